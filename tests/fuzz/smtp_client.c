/* A client's session with a server that says anything.  Its lines come whole, and in pieces with late answers: what the
 * client says, and what its courier is told, is the same.  A third time something goes wrong, and then, too, each
 * recipient is told once, each job is done, and nothing is left. */
#include "host.h"

#include "smtp/client.h"
#include "text/queue_record.h"

#include <mailsrv/mailsrv.h>

enum { OPS_MAX = 8, JOBS = 4, RCPTS = 3 };

static const char small[] = "Subject: small\r\n\r\n.\r\n..\r\nx", eight_bit[] = "Subject: \xc3\xa4\r\n\r\n\xff\r\n";

static const struct smtp_rcpt rcpts[RCPTS] = {
    { .address = SPAN("b@remote.test") },
    { .address = SPAN("\"odd user\"@remote.test"), .flags = QUEUE_FLAG_NOTIFY_SUCCESS, .original = SPAN("rfc822;c@d") },
    { .address = SPAN("c@remote.test") },
};

static const struct {
    struct smtp_job job;
    const char *text;
} jobs[JOBS] = {
    { { SPAN("a@here.test"), { NULL, 0 }, 0, sizeof small - 1, 1, rcpts, RCPTS }, small },
    { { { NULL, 0 }, SPAN("q1"), QUEUE_FLAG_8BIT | QUEUE_FLAG_RET_HDRS, sizeof eight_bit - 1, 2, rcpts, 1 }, eight_bit },
    { { SPAN("a@here.test"), { NULL, 0 }, QUEUE_FLAG_UTF8, sizeof eight_bit - 1, 3, rcpts + 1, 2 }, eight_bit },
    { { SPAN("a@here.test"), { NULL, 0 }, 0, sizeof small - 1, 4, rcpts, 2 }, small },
};

struct question {
    mailsrv_op_id id;
    int32_t kind;
    mailsrv_arg_read arg;
};

struct world {
    struct courier courier; /* first */
    struct host host;
    struct question asked[OPS_MAX];
    size_t n_asked;
    uint64_t open; /* readings */
    uint32_t given, done, ready, ended;
    uint32_t told[JOBS][RCPTS];
};

static uint32_t chance_of(struct world *w, uint32_t below)
{
    return w->host.chance == NULL ? 0 : draw(w->host.chance, below);
}

/* ---- The courier ---- */

static struct world *of(struct courier *courier)
{
    return (struct world *)(void *)courier;
}

static void ready(struct courier *courier)
{
    CHECK(of(courier)->ready++ == 0 && of(courier)->ended == 0, "ready twice");
}

static const struct smtp_job *next(struct courier *courier)
{
    struct world *w = of(courier);
    CHECK(w->ready == 1 && w->ended == 0 && w->given == w->done, "a job is wanted that is not to be given");
    return w->given == JOBS ? NULL : &jobs[w->given++].job;
}

static void note(struct world *w, uint64_t what, const struct smtp_reply *reply)
{
    CHECK(reply->text.n <= 512, "a long reply");
    bytes_add_u64(&w->host.out, what);
    bytes_add_u64(&w->host.out, reply->code);
    bytes_add(&w->host.out, reply->text);
}

static void told(struct courier *courier, const struct smtp_job *job, uint32_t i, enum smtp_fate fate,
                 const struct smtp_reply *reply)
{
    struct world *w = of(courier);
    CHECK(w->given != w->done && job == &jobs[w->given - 1].job && i < job->n_rcpts, "a job that does not run is told");
    CHECK(w->told[w->given - 1][i]++ == 0, "a recipient is told twice");
    CHECK(fate > SMTP_RELAYED || reply->code / 100 == 2, "delivered by no reply");
    CHECK(fate != SMTP_REFUSED || reply->code / 100 == 5, "refused by no reply");
    note(w, i * 10 + fate, reply);
}

static void done(struct courier *courier, const struct smtp_job *job)
{
    struct world *w = of(courier);
    CHECK(w->given == w->done + 1, "a job is done that does not run");
    for (uint32_t i = 0; i < job->n_rcpts; i++)
        CHECK(w->told[w->done][i] == 1, "a recipient was not told");
    w->done++;
}

static void ended(struct courier *courier, enum smtp_end end, const struct smtp_reply *reply)
{
    struct world *w = of(courier);
    CHECK(w->ended++ == 0 && (end == SMTP_END_READY) == (w->ready != 0) && w->given == w->done, "a wrong end");
    note(w, end, reply);
}

/* ---- The store ---- */

static void keep(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    (void)engine;
    CHECK(w->n_asked < OPS_MAX, "too much is asked at once");
    struct question *q = &w->asked[w->n_asked++];
    *q = (struct question){ .id = op->id, .kind = op->kind };
    if (op->kind == MAILSRV_OP_READ)
        q->arg = *(const mailsrv_arg_read *)op->arg;
}

static void answer_read(struct world *w, const struct question *q)
{
    const char *text = jobs[q->arg.queue - 1].text;
    size_t n = strlen(text), most = n; /* a chunk is what is read at once */
    mailsrv_read_bytes bytes = { .size = sizeof bytes };
    mailsrv_answer answer = { .size = sizeof answer, .value = &bytes };
    CHECK(q->arg.offset <= n, "a range behind the end");
    size_t left = n - (size_t)q->arg.offset;
    most = most < left ? most : left;
    most = most < q->arg.octets ? most : (size_t)q->arg.octets;
    bytes.octets = (mailsrv_bytes){ (const uint8_t *)text + q->arg.offset, most };
    if (q->arg.handle == 0 && (w->host.chance == NULL || q->arg.queue % 2 == 0)) {
        bytes.handle = 7;
        w->open++;
    }
    CHECK(mailsrv_op_answer(w->host.engine, q->id, &answer) == MAILSRV_OK, "an answer is not taken");
}

static bool answer_one(struct host *host)
{
    struct world *w = HOLDER(host, struct world, host);
    if (w->n_asked == 0)
        return false;
    struct question q = w->asked[0];
    memmove(w->asked, w->asked + 1, --w->n_asked * sizeof q);
    if (q.kind == MAILSRV_OP_READ_CLOSE)
        w->open--;
    if (q.kind == MAILSRV_OP_READ && !(w->host.faulty && chance_of(w, 6) == 0))
        answer_read(w, &q);
    else
        mailsrv_op_answer_status(w->host.engine, q.id, q.kind == MAILSRV_OP_READ ? MAILSRV_TEMP : MAILSRV_OK);
    return true;
}

/* ---- The host ---- */

/* A line at a time: what a server says before it was asked may come too early, and then it is the end. */
static void say_lines(struct world *w, struct span all)
{
    while (all.n != 0) {
        const char *lf = memchr(all.p, '\n', all.n);
        size_t n = lf == NULL ? all.n : (size_t)(lf - all.p) + 1;
        in_pieces(mailsrv__span_first(all, n), w->host.chance, host_say, &w->host);
        all = mailsrv__span_after(all, n);
    }
}

static void end(struct world *w, uint64_t memory)
{
    host_end(&w->host);
    CHECK(w->ended == 1 && w->given == w->done, "the courier was not told of the end");
    CHECK(w->open == 0, "a reading was not closed");
    CHECK(mailsrv_engine_stat(w->host.engine, MAILSRV_STAT_MEMORY) == memory, "memory is left");
    CHECK(mailsrv_engine_free(w->host.engine, 0) == MAILSRV_OK, "the engine is busy");
}

static void make_engine(struct world *w)
{
    mailsrv_config *config;
    mailsrv_config_new(NULL, &config);
    if (w->host.faulty && chance_of(w, 2) == 0)
        mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, 131072);
    CHECK(mailsrv_engine_new(config, &w->host.engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
    mailsrv_engine_serve(w->host.engine, MAILSRV_OP_READ, keep, w);
    mailsrv_engine_serve(w->host.engine, MAILSRV_OP_READ_CLOSE, keep, w);
    mailsrv_engine_advance(w->host.engine, MONO_US, MONO_US);
}

static void converse(struct world *w, struct span all, uint32_t knob, mailsrv_profile *profile)
{
    struct smtp_terms terms = { .host = SPAN("mx.remote.test"),
                                .route_flags = knob % 4 == 0 ? MAILSRV_ROUTE_LMTP : 0,
                                .secure = MAILSRV_SECURE_NEVER,
                                .downgrades = knob / 4 % 2 == 0,
                                .messages_max = 3 + knob / 8 % 2,
                                .rcpts_max = 2 + knob / 16 % 2,
                                .idle_ms = 1000 };
    w->courier = (struct courier){ ready, next, told, done, ended };
    make_engine(w);
    uint64_t memory = mailsrv_engine_stat(w->host.engine, MAILSRV_STAT_MEMORY);
    if (w->host.faulty && chance_of(w, 2) == 0)
        w->host.leaves_in = 1 + chance_of(w, 16);
    CHECK(mailsrv__client_begin(w->host.engine, profile, NULL, NULL, &terms, &w->courier, &w->host.session) == MAILSRV_OK,
          "no session");
    host_pump(&w->host);
    say_lines(w, all);
    end(w, memory);
}

static mailsrv_profile *make_profile(void)
{
    mailsrv_profile *profile;
    mailsrv_profile_new(NULL, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, &profile);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    CHECK(mailsrv_profile_seal(profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
    return profile;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static mailsrv_profile *profile;
    if (n < KNOB_OCTETS)
        return 0;
    if (profile == NULL)
        profile = make_profile();
    uint32_t chance = knobs(p), knob = chance >> 8;
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct world whole = { .host.answer = answer_one }, cut = { .host = { .answer = answer_one, .chance = &chance } };
    struct world faulty = { .host = { .answer = answer_one, .chance = &chance, .faulty = true } };
    converse(&whole, all, knob, profile);
    converse(&cut, all, knob, profile);
    bytes_same(&whole.host.out, &cut.host.out, "cut input or late answers have the client say something else");
    converse(&faulty, all, knob, profile);
    bytes_free(&whole.host.out);
    bytes_free(&cut.host.out);
    bytes_free(&faulty.host.out);
    return 0;
}
