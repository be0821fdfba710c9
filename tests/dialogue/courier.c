#include "courier.h"

#include "smtp/client.h"
#include "text/queue_record.h"

#include <mailsrv/ask.h>

#include <stdlib.h>

enum { RCPTS_MAX = 1200, COMMIT_TURNS_MAX = 100 };

struct job {
    struct smtp_job job; /* first: the session gives its address back */
    struct smtp_rcpt rcpts[RCPTS_MAX];
    uint8_t told[RCPTS_MAX]; /* how often */
    unsigned given, done;
    struct buffer names; /* of recipients that are made up */
};

struct played_courier {
    struct courier courier; /* first */
    struct run *run;
    struct job **jobs;
    size_t n_jobs, n_there, n_given;
    unsigned ready, ended;
    struct buffer lines; /* what was told */
    size_t lines_at;
};

static struct played_courier *of(struct courier *courier)
{
    return (struct played_courier *)(void *)courier;
}

/* ---- Jobs, as files describe them ---- */

static struct span span_of(struct text text)
{
    return (struct span){ text.p, text.n };
}

/* `"odd user"@here.test` is one word. */
static struct text path_word(struct text *rest)
{
    struct text all = *rest;
    if (rest->n == 0 || rest->p[0] != '"')
        return text_word(rest);
    size_t quote = 1 + text_find(text_after(*rest, 1), "\"");
    *rest = text_after(*rest, quote);
    struct text tail = text_word(rest);
    return (struct text){ all.p, (size_t)(tail.p + tail.n - all.p) };
}

static const struct {
    const char *word;
    uint16_t flag;
} job_flags[] = { { "8bit", QUEUE_FLAG_8BIT },
                  { "utf8", QUEUE_FLAG_UTF8 },
                  { "ret=full", QUEUE_FLAG_RET_FULL },
                  { "ret=hdrs", QUEUE_FLAG_RET_HDRS } },
  rcpt_flags[] = { { "notify=never", QUEUE_FLAG_NOTIFY_NEVER },
                   { "notify=success", QUEUE_FLAG_NOTIFY_SUCCESS },
                   { "notify=failure", QUEUE_FLAG_NOTIFY_FAILURE },
                   { "notify=delay", QUEUE_FLAG_NOTIFY_DELAY } };

static bool read_flag(struct job *job, struct text word)
{
    for (size_t i = 0; i < 4; i++) {
        if (text_is(word, job_flags[i].word)) {
            job->job.flags |= job_flags[i].flag;
            return true;
        }
        if (text_is(word, rcpt_flags[i].word) && job->job.n_rcpts != 0) {
            job->rcpts[job->job.n_rcpts - 1].flags |= rcpt_flags[i].flag;
            return true;
        }
    }
    return false;
}

static void add_rcpt(struct job *job, struct text address)
{
    if (job->job.n_rcpts < RCPTS_MAX)
        job->rcpts[job->job.n_rcpts++].address = span_of(address);
}

enum { NAME_OCTETS = 24 };

/* So many recipients, whose names are numbers. */
static void add_many(struct job *job, size_t n)
{
    char *names = dialogue_take(n * NAME_OCTETS);
    struct buffer one = { 0 };
    for (size_t i = 0; i < n; i++) {
        one.n = 0;
        buffer_add_text(&one, "r");
        buffer_add_number(&one, i + 1);
        buffer_add_text(&one, "@remote.test");
        memcpy(names + i * NAME_OCTETS, one.p, one.n);
        add_rcpt(job, (struct text){ names + i * NAME_OCTETS, one.n });
    }
    buffer_free(&one);
    job->names = (struct buffer){ names, n, n };
}

static bool begins_with(struct text *word, const char *z)
{
    if (!text_begins(*word, text_of(z)))
        return false;
    *word = text_after(*word, strlen(z));
    return true;
}

static void read_word(struct run *run, struct job *job, struct text word)
{
    uint64_t n = 0;
    struct text all = word;
    if (read_flag(job, word))
        return;
    if (begins_with(&word, "envid="))
        job->job.envelope_id = span_of(word);
    else if (begins_with(&word, "orcpt=") && job->job.n_rcpts != 0)
        job->rcpts[job->job.n_rcpts - 1].original = span_of(word);
    else if (begins_with(&word, "many=") && text_number(word, &n) && n <= RCPTS_MAX)
        add_many(job, (size_t)n);
    else if (begins_with(&word, "octets=") && text_number(word, &n))
        job->job.octets = n;
    else if (begins_with(&word, "item=") && text_number(word, &n))
        job->job.queue = n;
    else if (text_holds(all, text_of("@")))
        add_rcpt(job, all);
    else
        run_wrong_text(run, "no word of a job: ", all);
}

static void add_job(struct run *run, struct text words, struct text message)
{
    struct played_courier *pc = run->courier;
    struct job *job = dialogue_take(sizeof *job);
    struct text from = path_word(&words);
    job->job.rcpts = job->rcpts;
    job->job.octets = message.n;
    job->job.queue = pc->n_jobs + 1;
    if (!text_is(from, "<>"))
        job->job.reverse_path = span_of(from);
    while (words.n != 0)
        read_word(run, job, path_word(&words));
    struct job **jobs = dialogue_take((pc->n_jobs + 1) * sizeof(struct job *));
    if (pc->n_jobs != 0)
        memcpy(jobs, pc->jobs, pc->n_jobs * sizeof(struct job *));
    free(pc->jobs);
    pc->jobs = jobs;
    pc->jobs[pc->n_jobs++] = job;
}

/* ---- Their messages ---- */

static const mailsrv_answer *hear(struct run *run, mailsrv_engine *engine, int32_t kind, const void *arg,
                                  mailsrv_asked **asked)
{
    const mailsrv_answer *answer = NULL;
    if (mailsrv_ask(engine, kind, NULL, arg, asked) == MAILSRV_OK)
        for (int i = 0; i < COMMIT_TURNS_MAX && (answer = mailsrv_asked_answer(*asked)) == NULL; i++)
            mailsrv_engine_turn(engine, 1000);
    if (answer == NULL || answer->status != MAILSRV_OK) {
        run_wrong(run, "the store does not take the message of a job");
        return NULL;
    }
    return answer;
}

static void put_into_queue(struct run *run, mailsrv_engine *engine, struct text message)
{
    mailsrv_asked *begun = NULL, *written = NULL, *committed = NULL;
    mailsrv_arg_body_begin begin = { .size = sizeof begin, .octets_hint = message.n };
    const mailsrv_answer *answer = hear(run, engine, MAILSRV_OP_BODY_BEGIN, &begin, &begun);
    if (answer != NULL) {
        uint64_t body = ((const mailsrv_body_begun *)answer->value)->body;
        mailsrv_arg_body_write write = { .size = sizeof write,
                                         .body = body,
                                         .octets = { (const uint8_t *)message.p, message.n } };
        mailsrv_target target = { .size = sizeof target, .kind = MAILSRV_TARGET_QUEUE, .due_us = INT64_MAX };
        mailsrv_staged staged = { .size = sizeof staged, .body = body, .octets = message.n };
        mailsrv_arg_body_commit commit = { .size = sizeof commit,
                                           .targets = &target,
                                           .n_targets = 1,
                                           .target_stride = sizeof target,
                                           .bodies = &staged,
                                           .n_bodies = 1,
                                           .body_stride = sizeof staged };
        if (message.n == 0 || hear(run, engine, MAILSRV_OP_BODY_WRITE, &write, &written) != NULL)
            hear(run, engine, MAILSRV_OP_BODY_COMMIT, &commit, &committed);
    }
    mailsrv_asked_free(committed);
    mailsrv_asked_free(written);
    mailsrv_asked_free(begun);
    for (int i = 0; i < COMMIT_TURNS_MAX && mailsrv_engine_turn(engine, 1000) == MAILSRV_MORE; i++)
        continue;
}

static mailsrv_engine *an_engine(struct run *run)
{
    mailsrv_config *config = NULL;
    mailsrv_engine *engine = NULL;
    if (mailsrv_config_new(NULL, &config) != MAILSRV_OK || mailsrv_engine_new(config, &engine) != MAILSRV_OK ||
        mailsrv_store_bind(run->store, engine) != MAILSRV_OK ||
        mailsrv_engine_advance(engine, 1, 1) != MAILSRV_OK)
        run_wrong(run, "there is no engine to fill the queue with");
    mailsrv_config_free(config);
    return engine;
}

static void take_job(struct run *run, mailsrv_engine *engine, struct text words, struct text message)
{
    add_job(run, words, message);
    put_into_queue(run, engine, message);
}

void courier_set_up(struct run *run)
{
    const struct dialogue *d = run->d;
    struct played_courier *pc = dialogue_take(sizeof *pc);
    mailsrv_engine *engine = an_engine(run);
    pc->run = run;
    run->courier = pc;
    for (size_t i = 0; i < d->n_setups; i++)
        if (d->setups[i].what == SETUP_JOB)
            take_job(run, engine, d->setups[i].words, d->setups[i].text);
    pc->n_there = pc->n_jobs;
    for (size_t i = 0; i < d->n_steps; i++)
        if (d->steps[i].what == STEP_JOB)
            take_job(run, engine, d->steps[i].words, d->steps[i].text);
    mailsrv_engine_free(engine, 0);
}

/* ---- What it is told ---- */

/* The courier is the driver's: its own memory is no malloc of an engine over a static block. */
static void on_our_side(struct played_courier *pc, bool begins)
{
    if (begins || pc->run->plan->memory != MEMORY_BLOCK)
        guard_down();
    else
        guard_up();
}

static void add_reply(struct played_courier *pc, const struct smtp_reply *reply)
{
    buffer_add_text(&pc->lines, " ");
    buffer_add_number(&pc->lines, reply->code);
    buffer_add_text(&pc->lines, " ");
    buffer_add(&pc->lines, reply->text.p, reply->text.n);
    buffer_add_text(&pc->lines, "\n");
    for (size_t i = 0; i < reply->text.n; i++)
        if (reply->text.p[i] < ' ' || reply->text.p[i] > '~')
            run_wrong(pc->run, "a reply is passed on that cannot be printed");
    if (reply->text.n > 512)
        run_wrong(pc->run, "a reply is passed on that is too long");
}

static void ready(struct courier *courier)
{
    if (of(courier)->ready++ != 0 || of(courier)->ended != 0)
        run_wrong(of(courier)->run, "the courier is told twice that mail can be sent");
}

static const struct smtp_job *next(struct courier *courier)
{
    struct played_courier *pc = of(courier);
    if (pc->ready == 0 || pc->ended != 0)
        run_wrong(pc->run, "a job is wanted that cannot be sent");
    if (pc->n_given == pc->n_there)
        return NULL;
    struct job *job = pc->jobs[pc->n_given++];
    if (pc->n_given >= 2 && pc->jobs[pc->n_given - 2]->done == 0)
        run_wrong(pc->run, "a job is wanted before the one before it is done");
    job->given++;
    return &job->job;
}

/* A fate follows from a reply of its class; where the server has said nothing, what we say ourselves may refuse. */
static bool fits(enum smtp_fate fate, unsigned code)
{
    switch (fate) {
    case SMTP_DELIVERED:
    case SMTP_RELAYED:
        return code / 100 == 2;
    case SMTP_REFUSED:
    case SMTP_UNABLE:
        return code / 100 == 5;
    case SMTP_LATER:
        return code / 100 == 4 || code == 0;
    case SMTP_UNSURE:
    case SMTP_HINDERED:
        return code == 0;
    default:
        return code / 100 == 4 || code == 552 || code == 0;
    }
}

static void told(struct courier *courier, const struct smtp_job *job, uint32_t i, enum smtp_fate fate,
                 const struct smtp_reply *reply)
{
    static const char *const fates[] = { " delivered", " relayed", " later",   " unsure",
                                        " hindered",  " refused", " unable", " not sent" };
    struct played_courier *pc = of(courier);
    struct job *of_job = (struct job *)(void *)(uintptr_t)job;
    on_our_side(pc, true);
    if (of_job->given == 0 || of_job->done != 0 || i >= job->n_rcpts || of_job->told[i]++ != 0)
        run_wrong(pc->run, "a recipient is told that is not to be");
    if (!fits(fate, reply->code))
        run_wrong(pc->run, "what became of a recipient does not follow from the reply");
    buffer_add(&pc->lines, job->rcpts[i].address.p, job->rcpts[i].address.n);
    buffer_add_text(&pc->lines, fates[fate]);
    add_reply(pc, reply);
    on_our_side(pc, false);
}

static void done(struct courier *courier, const struct smtp_job *job)
{
    struct job *of_job = (struct job *)(void *)(uintptr_t)job;
    if (of_job->given == 0 || of_job->done++ != 0)
        run_wrong(of(courier)->run, "a job is done that is not to be");
    for (uint32_t i = 0; i < job->n_rcpts; i++)
        if (of_job->told[i] != 1)
            run_wrong(of(courier)->run, "a job is done, and a recipient of it was not told");
}

static void ended(struct courier *courier, enum smtp_end end, const struct smtp_reply *reply)
{
    static const char *const ends[] = { "ended", "ended unready", "ended unsecured" };
    struct played_courier *pc = of(courier);
    on_our_side(pc, true);
    if (pc->ended++ != 0 || (end == SMTP_END_READY) != (pc->ready != 0))
        run_wrong(pc->run, "the end is told twice, or wrongly");
    buffer_add_text(&pc->lines, ends[end]);
    add_reply(pc, reply);
    on_our_side(pc, false);
}

/* ---- The session ---- */

static const char *const secures[] = { "may", "never", "must", "verify" };

/* What the server has published: a record, and none that can be used. */
static const mailsrv_tlsa record = { .size = sizeof record, .usage = 3, .matching = 1, .data = { (const uint8_t *)"hash", 4 } };
static const struct dane published = { { { (const uint8_t *)"mx.remote.test", 14 } }, 1, 1, &record };
static const struct dane unusable = { { { (const uint8_t *)"mx.remote.test", 14 } }, 1, 0, NULL };

static void read_terms(struct run *run, struct text words, struct smtp_terms *terms)
{
    static const char *const numbers[] = { "messages=", "rcpts=", "idle=" };
    uint32_t *const to[] = { &terms->messages_max, &terms->rcpts_max, &terms->idle_ms };
    while (words.n != 0) {
        struct text word = text_word(&words), rest = word;
        uint64_t n = 0;
        bool known = true;
        if (text_is(word, "lmtp"))
            terms->route_flags |= MAILSRV_ROUTE_LMTP;
        else if (text_is(word, "implicit"))
            terms->route_flags |= MAILSRV_ROUTE_IMPLICIT;
        else if (text_is(word, "auth"))
            terms->route_flags |= MAILSRV_ROUTE_AUTH;
        else if (text_is(word, "dane"))
            terms->dane = &published;
        else if (text_is(word, "dane-unusable"))
            terms->dane = &unusable;
        else if (text_is(word, "downgrades"))
            terms->downgrades = true;
        else
            known = false;
        for (uint32_t i = 0; i < 4; i++)
            if (text_is(word, secures[i])) {
                terms->secure = i;
                known = true;
            }
        for (size_t i = 0; i < 3 && !known; i++)
            if (begins_with(&rest, numbers[i]) && text_number(rest, &n)) {
                *to[i] = (uint32_t)n;
                known = true;
            }
        if (!known)
            run_wrong_text(run, "no word of a client's terms: ", word);
    }
}

int32_t courier_begin(struct run *run, const mailsrv_peer *peer)
{
    struct smtp_terms terms = { .host = SPAN("mx.remote.test"),
                                .route = SPAN("a route"),
                                .secure = MAILSRV_SECURE_NEVER,
                                .messages_max = 100,
                                .rcpts_max = 1000,
                                .idle_ms = 0 };
    struct played_courier *pc = run->courier;
    read_terms(run, run->d->terms, &terms);
    if (run->tls_by != TLS_BY_NOBODY && !run->d->has_tls) /* all of it, under TLS */
        terms.route_flags |= MAILSRV_ROUTE_IMPLICIT;
    pc->courier = (struct courier){ .ready = ready, .next = next, .told = told, .done = done, .ended = ended };
    return mailsrv__client_begin(run->engine, run->profile, peer, run, &terms, &pc->courier, &run->session);
}

void courier_add(struct run *run)
{
    run->courier->n_there++;
    if (run->session != NULL && run->courier->ended == 0)
        mailsrv__client_call(run->session);
}

int32_t courier_answer(struct run *run, mailsrv_op_id id)
{
    const struct dialogue *d = run->d;
    const mailsrv_credential credential = { .size = sizeof credential,
                                            .user = { (const uint8_t *)d->user.p, d->user.n },
                                            .password = { (const uint8_t *)d->password.p, d->password.n },
                                            .token = { (const uint8_t *)d->token.p, d->token.n } };
    const mailsrv_answer answer = { .size = sizeof answer,
                                    .status = d->user.n == 0 ? MAILSRV_NONEXISTENT : MAILSRV_OK,
                                    .value = d->user.n == 0 ? NULL : &credential };
    return mailsrv_op_answer(run->engine, id, &answer);
}

bool courier_line(struct run *run, struct text *line)
{
    struct played_courier *pc = run->courier;
    struct text rest = text_after(buffer_text(&pc->lines), pc->lines_at);
    if (pc->lines_at == pc->lines.n)
        return false;
    *line = text_line(&rest);
    pc->lines_at += line->n;
    line->n--;
    return true;
}

void courier_check(struct run *run)
{
    struct played_courier *pc = run->courier;
    if (pc == NULL)
        return;
    bool was_begun = pc->courier.next != NULL && run->was_begun;
    if (pc->ended != was_begun)
        run_wrong(run, "the courier was not told of the end");
    for (size_t i = 0; i < pc->n_jobs; i++)
        if (pc->jobs[i]->given != pc->jobs[i]->done)
            run_wrong(run, "a job was given and is not done");
}

void courier_free(struct run *run)
{
    struct played_courier *pc = run->courier;
    if (pc == NULL)
        return;
    for (size_t i = 0; i < pc->n_jobs; i++) {
        buffer_free(&pc->jobs[i]->names);
        free(pc->jobs[i]);
    }
    free(pc->jobs);
    buffer_free(&pc->lines);
    free(pc);
    run->courier = NULL;
}
