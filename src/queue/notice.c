#include "queue/notice.h"

#include "message/header.h"
#include "queue/notice_text.h"
#include "queue/place.h"

enum {
    READ_OCTETS = 16 * 1024,
    WRITE_OCTETS = 2 * NOTICE_PIECE_OCTETS_MAX,
    HEADER_OCTETS_MAX = 32 * 1024 /* of an original, where only that goes along */
};

struct notice {
    struct work work;
    mailsrv_engine *engine;
    struct errand errand;  /* what is waited for */
    struct errand resolve; /* RESOLVE, while the COMMIT is made of its answer */
    void (*step)(struct notice *notice, const mailsrv_answer *answer);
    void (*done)(void *user, int32_t status);
    void *user;
    struct notice_setup setup;
    struct notice_text text;
    struct handle reading, body;
    char *original;
    size_t original_n, original_room, original_max;
    uint64_t written;
    uint32_t piece;
    size_t of_original; /* octets of it that are written */
    bool wants_whole; /* the original, if it is no longer than may be */
    bool takes_queue;
    size_t octets; /* of this allocation, recipients and their texts included */
};

static const mailsrv_id nobody;

/* ---- Is one owed? ---- */

bool mailsrv__notice_owed(const struct queue_record *r, enum notice_action action)
{
    const uint16_t any = QUEUE_FLAG_NOTIFY_NEVER | QUEUE_FLAG_NOTIFY_SUCCESS | QUEUE_FLAG_NOTIFY_FAILURE |
                         QUEUE_FLAG_NOTIFY_DELAY;
    bool unsaid = (r->flags & any) == 0;
    if (r->reverse_path.n == 0 || (r->flags & QUEUE_FLAG_NOTICE) != 0) /* RFC 5321 section 4.5.5 */
        return false;
    switch (action) {
    case NOTICE_FAILED:
        return unsaid || (r->flags & QUEUE_FLAG_NOTIFY_FAILURE) != 0;
    case NOTICE_DELAYED:
        return (r->flags & QUEUE_FLAG_DELAYED) == 0 && (unsaid || (r->flags & QUEUE_FLAG_NOTIFY_DELAY) != 0);
    default:
        return (r->flags & QUEUE_FLAG_NOTIFY_SUCCESS) != 0;
    }
}

/* ---- The end ---- */

static void close_handles(struct notice *n)
{
    struct handle *handles[] = { &n->reading, &n->body };
    mailsrv__errand_drop(&n->resolve);
    mailsrv__errand_drop_with(&n->errand, handles, 2);
    mailsrv__list_remove(&n->work.ring);
}

static void give_original(struct notice *n)
{
    mailsrv__heap_give(mailsrv__room_heap(n->engine), CLASS_BODIES, NULL, n->original, n->original_room);
    n->original = NULL;
    n->original_n = n->original_room = 0;
}

void mailsrv__notice_free(struct notice *n)
{
    if (n == NULL)
        return;
    close_handles(n);
    give_original(n);
    mailsrv__heap_give(mailsrv__room_heap(n->engine), CLASS_BODIES, NULL, n, n->octets);
}

static void finish(struct notice *n, int32_t status)
{
    close_handles(n);
    n->step = NULL;
    n->done(n->user, status);
}

static int32_t not_now(const mailsrv_answer *answer)
{
    return answer->status == MAILSRV_NOMEM ? MAILSRV_NOMEM : MAILSRV_TEMP;
}

/* ---- Asking ---- */

/* Begins to ask; without memory the notice is done. */
static void *ask(struct notice *n, int32_t kind, size_t octets, struct ask *out,
                 void (*step)(struct notice *, const mailsrv_answer *))
{
    n->step = step;
    *out = mailsrv__errand_ask(n->engine, &n->errand, kind, &nobody, octets);
    if (out->op == NULL)
        finish(n, MAILSRV_NOMEM);
    return out->arg;
}

static void answered(struct errand *errand)
{
    struct notice *n = HOLDER(errand, struct notice, errand);
    mailsrv__room_work(n->engine, &n->work);
}

/* ---- COMMIT ---- */

/* What cannot be told to whom it is for is told to nobody: notices of notices have no end. */
static int32_t outcome_of(const mailsrv_committed *value)
{
    int32_t status = MAILSRV_NONEXISTENT;
    for (uint32_t i = 0; i < value->n; i++) {
        int32_t result = value->results[i].status;
        if (result > MAILSRV_DENIED && result != MAILSRV_OK)
            return MAILSRV_TEMP;
        if (result == MAILSRV_OK)
            status = MAILSRV_OK;
    }
    return status;
}

static void committed(struct notice *n, const mailsrv_answer *answer)
{
    finish(n, answer->status == MAILSRV_OK ? outcome_of(answer->value) : not_now(answer));
}

static struct span reverse_path_of(const struct notice *n)
{
    return n->text.recipients[0].record.reverse_path;
}

/* A notice has the null reverse-path. */
static struct placing placing_of(const struct notice *n)
{
    const struct notice_text *t = &n->text;
    return (struct placing){
        .engine = n->engine,
        .recipient = reverse_path_of(n),
        .hostname = n->setup.hostname,
        .delimiter = n->setup.delimiter,
        .now_us = n->setup.now_us,
        .body = n->body.value,
        .octets = n->written,
        .record = { .fate = QUEUE_RETRY,
                    .flags = (uint16_t)(QUEUE_FLAG_NOTICE | (t->utf8 || t->eight_bit ? QUEUE_FLAG_8BIT : 0)),
                    .arrived_us = n->setup.now_us,
                    .message = { t->boundary, t->boundary_n } },
    };
}

/* NULL: into the queue. */
static void commit(struct notice *n, const mailsrv_resolved *places)
{
    struct placing placing = placing_of(n);
    if (!n->takes_queue && (places == NULL || mailsrv__place_queues(places))) {
        finish(n, MAILSRV_TEMP);
        return;
    }
    n->step = committed;
    if (mailsrv__place_commit(&placing, &n->errand, places).op == NULL)
        finish(n, MAILSRV_NOMEM);
    else
        mailsrv__errand_drop(&n->resolve);
}

/* ---- RESOLVE ---- */

static void resolved(struct notice *n, const mailsrv_answer *answer)
{
    const mailsrv_resolved *places = answer->value;
    n->resolve.op = n->errand.op; /* its answer's bytes are needed until the COMMIT is asked */
    n->errand.op = NULL;
    if (answer->status == MAILSRV_NOPERM || answer->status == MAILSRV_CANNOT)
        commit(n, NULL);
    else if (answer->status == MAILSRV_NONEXISTENT)
        finish(n, MAILSRV_NONEXISTENT);
    else if (answer->status != MAILSRV_OK)
        finish(n, not_now(answer));
    else
        commit(n, places->n > PLACES_MAX ? NULL : places);
}

static void ask_resolve(struct notice *n)
{
    struct placing placing = placing_of(n);
    if (!mailsrv__place_can_ask(&placing)) {
        commit(n, NULL);
        return;
    }
    n->step = resolved;
    if (mailsrv__place_ask(&placing, &n->errand).op == NULL)
        finish(n, MAILSRV_NOMEM);
}

/* ---- WRITE ---- */

static uint32_t pieces(const struct notice *n)
{
    return mailsrv__notice_pieces(&n->text);
}

/* Pieces as long as the longest fits; the original stands before the last one. */
static void write_some(struct notice *n, struct writer *w)
{
    while (n->piece < pieces(n)) {
        size_t left = w->room - w->n;
        if (n->piece == pieces(n) - 1 && n->of_original < n->text.original.n) {
            struct span rest = mailsrv__span_after(n->text.original, n->of_original);
            struct span part = mailsrv__span_first(rest, left);
            mailsrv__write(w, part);
            n->of_original += part.n;
            if (part.n == left)
                return;
            continue;
        }
        if (left < NOTICE_PIECE_OCTETS_MAX)
            return;
        mailsrv__notice_piece(&n->text, n->piece++, w);
        mailsrv__room_spend(n->engine, 1);
    }
}

static void written(struct notice *n, const mailsrv_answer *answer);

static void write_on(struct notice *n)
{
    struct ask a;
    if (n->piece == pieces(n)) {
        ask_resolve(n);
        return;
    }
    mailsrv_arg_body_write *arg = ask(n, MAILSRV_OP_BODY_WRITE, WRITE_OCTETS, &a, written);
    if (a.op == NULL)
        return;
    struct writer w = { .p = mailsrv__ask_room(&a, WRITE_OCTETS), .room = WRITE_OCTETS };
    write_some(n, &w);
    arg->body = n->body.value;
    arg->offset = n->written;
    arg->octets = mailsrv__bytes(mailsrv__written(&w));
    n->written += w.n;
}

static void written(struct notice *n, const mailsrv_answer *answer)
{
    if (answer->status != MAILSRV_OK) {
        finish(n, not_now(answer));
        return;
    }
    mailsrv__errand_drop(&n->errand);
    write_on(n);
}

static void begun(struct notice *n, const mailsrv_answer *answer)
{
    const mailsrv_body_begun *value = answer->value;
    if (answer->status != MAILSRV_OK) {
        finish(n, not_now(answer));
        return;
    }
    n->takes_queue = (value->features & MAILSRV_BODY_TAKES_QUEUE) != 0;
    mailsrv__errand_take_handle(&n->errand, value->body, &n->body);
    mailsrv__errand_drop(&n->errand);
    write_on(n);
}

static void begin_body(struct notice *n)
{
    struct ask a;
    mailsrv__notice_prepare(&n->text);
    ask(n, MAILSRV_OP_BODY_BEGIN, 0, &a, begun);
}

/* ---- READ ---- */

/* Room for `octets` more, as far as there may be; false: no memory. */
static bool grow(struct notice *n, size_t octets)
{
    size_t want = n->original_n + octets;
    if (want > n->original_max)
        want = n->original_max;
    if (want <= n->original_room)
        return true;
    size_t room = n->original_room * 2 < want ? want : n->original_room * 2;
    room = room > n->original_max ? n->original_max : room;
    char *p = mailsrv__heap_take(mailsrv__room_heap(n->engine), CLASS_BODIES, NULL, room);
    if (p == NULL)
        return false;
    if (n->original_n != 0)
        memcpy(p, n->original, n->original_n);
    size_t kept = n->original_n;
    give_original(n);
    n->original = p;
    n->original_n = kept;
    n->original_room = room;
    return true;
}

/* Its header, or what there is of it: up to the end of a line. */
static struct span header_of(struct span original)
{
    size_t n = mailsrv__header_octets(original);
    if (n == original.n)
        while (n != 0 && original.p[n - 1] != '\n')
            n--;
    return mailsrv__span_first(original, n);
}

/* It ends with a line, and what follows begins one. */
static void original_is_there(struct notice *n, bool ended)
{
    struct span all = { n->original, n->original_n };
    struct handle *handles[] = { &n->reading };
    mailsrv__errand_drop(&n->errand);
    mailsrv__handles_drop(handles, 1);
    n->text.whole = ended && n->wants_whole && n->original_n <= n->setup.octets_max;
    n->text.original = n->text.whole ? all : header_of(all);
    begin_body(n);
}

static void read_on(struct notice *n);

static void has_read(struct notice *n, const mailsrv_answer *answer)
{
    const mailsrv_read_bytes *value = answer->value;
    if (answer->status == MAILSRV_GONE || answer->status == MAILSRV_CANNOT || answer->status == MAILSRV_CORRUPT) {
        original_is_there(n, false); /* the notice is as good without it */
        return;
    }
    if (answer->status != MAILSRV_OK || !grow(n, value->octets.n)) {
        finish(n, answer->status == MAILSRV_OK ? MAILSRV_NOMEM : not_now(answer));
        return;
    }
    if (n->reading.value == 0 && value->handle != 0)
        mailsrv__errand_take_handle(&n->errand, value->handle, &n->reading);
    size_t room = n->original_room - n->original_n;
    size_t taken = value->octets.n < room ? value->octets.n : room;
    if (taken != 0)
        memcpy(n->original + n->original_n, value->octets.p, taken);
    n->original_n += taken;
    bool ended = value->octets.n == 0;
    struct span all = { n->original, n->original_n };
    bool enough = !n->wants_whole && mailsrv__header_octets(all) < all.n;
    if (ended || enough || n->original_n == n->original_max) {
        original_is_there(n, ended);
        return;
    }
    mailsrv__errand_drop(&n->errand);
    read_on(n);
}

static void read_on(struct notice *n)
{
    struct ask a;
    mailsrv_arg_read *arg = ask(n, MAILSRV_OP_READ, 0, &a, has_read);
    if (a.op == NULL)
        return;
    arg->handle = n->reading.value;
    arg->queue = n->setup.queue;
    arg->offset = n->original_n;
    arg->octets = n->original_max - n->original_n < READ_OCTETS ? n->original_max - n->original_n : READ_OCTETS;
}

/* One octet more than may go along tells whether there is more. */
static void begin_reading(struct notice *n, const mailsrv_answer *answer)
{
    (void)answer;
    n->wants_whole =
        mailsrv__notice_wants_whole(n->text.recipients, n->text.n) && n->setup.octets <= n->setup.octets_max;
    n->original_max = HEADER_OCTETS_MAX;
    if (n->wants_whole && n->setup.octets_max >= HEADER_OCTETS_MAX)
        n->original_max = (size_t)n->setup.octets_max + 1;
    read_on(n);
}

/* ---- The beginning ---- */

static int run(struct work *work, uint32_t units)
{
    struct notice *n = HOLDER(work, struct notice, work);
    const mailsrv_answer *answer = mailsrv__errand_answer(&n->errand);
    (void)units;
    mailsrv__room_spend(n->engine, 2);
    if (n->step != NULL && (answer != NULL || n->errand.op == NULL))
        n->step(n, answer);
    return 0;
}

static struct span keep(char **to, struct span from)
{
    char *p = *to;
    if (from.n != 0)
        memcpy(p, from.p, from.n);
    *to += from.n;
    return (struct span){ p, from.n };
}

enum { FIELDS = 6 };

static void fields_of(struct queue_record *r, struct span *out[FIELDS])
{
    struct span *all[FIELDS] = { &r->reverse_path, &r->recipient, &r->text, &r->envelope_id, &r->original, &r->host };
    memcpy(out, all, sizeof all);
}

static size_t octets_of(const struct notice_setup *setup, const struct notice_recipient *recipients, uint32_t n)
{
    size_t octets = sizeof(struct notice) + n * sizeof *recipients + setup->hostname.n;
    for (uint32_t i = 0; i < n; i++) {
        struct queue_record r = recipients[i].record;
        struct span *fields[FIELDS];
        fields_of(&r, fields);
        for (size_t f = 0; f < FIELDS; f++)
            octets += fields[f]->n;
    }
    return octets;
}

static void keep_recipients(struct notice *n, const struct notice_recipient *recipients, uint32_t count)
{
    struct notice_recipient *to = (struct notice_recipient *)(void *)(n + 1);
    char *text = (char *)(to + count);
    n->setup.hostname = keep(&text, n->setup.hostname);
    for (uint32_t i = 0; i < count; i++) {
        struct span *fields[FIELDS];
        to[i] = recipients[i];
        fields_of(&to[i].record, fields);
        for (size_t f = 0; f < FIELDS; f++)
            *fields[f] = keep(&text, *fields[f]);
        to[i].record.message = to[i].record.route = (struct span){ NULL, 0 };
    }
    n->text = (struct notice_text){ .setup = &n->setup, .recipients = to, .n = count };
}

struct notice *mailsrv__notice_new(mailsrv_engine *engine, const struct notice_setup *setup,
                                   const struct notice_recipient *recipients, uint32_t count,
                                   void (*done)(void *user, int32_t status), void *user)
{
    size_t octets = octets_of(setup, recipients, count);
    struct notice *n = mailsrv__heap_take(mailsrv__room_heap(engine), CLASS_BODIES, NULL, octets);
    if (n == NULL)
        return NULL;
    n->octets = octets;
    n->engine = engine;
    n->setup = *setup;
    n->done = done;
    n->user = user;
    n->work.run = run;
    n->errand.answered = answered;
    n->resolve.answered = answered;
    n->step = begin_reading;
    mailsrv__list_init(&n->work.ring);
    keep_recipients(n, recipients, count);
    mailsrv__room_work(engine, &n->work);
    return n;
}
