#include "queue/local.h"

#include "queue/place.h"

enum { CHUNK_OCTETS = 16 * 1024, TEXT_OCTETS = 256 };

struct local {
    struct work work;
    mailsrv_engine *engine;
    struct errand resolve; /* its answer is kept for the COMMIT */
    struct errand errand;  /* BODY_BEGIN, WRITE, COMMIT */
    struct errand read;    /* the octets of its answer are written from where they are */
    struct errand *asked;  /* which of them is waited for; NULL: it begins, or is done */
    void (*step)(struct local *local, const mailsrv_answer *answer);
    void (*done)(void *user, const struct local_result *result);
    void *user;
    struct local_setup setup;
    struct queue_record record;
    struct handle body, reading;
    uint64_t written;
    bool takes_queue;
    char text[TEXT_OCTETS];
};

/* ---- The end ---- */

static void close_handles(struct local *l)
{
    struct handle *reading[] = { &l->reading }, *body[] = { &l->body };
    mailsrv__errand_drop(&l->resolve);
    mailsrv__errand_drop_with(&l->read, reading, 1);
    mailsrv__errand_drop_with(&l->errand, body, 1);
    mailsrv__list_remove(&l->work.ring);
}

void mailsrv__local_free(struct local *l)
{
    if (l == NULL)
        return;
    close_handles(l);
    mailsrv__heap_give(mailsrv__room_heap(l->engine), CLASS_BODIES, NULL, l, sizeof *l);
}

/* RFC 3463, as the server's replies: smtp/reply.c */
static struct span line_of(int32_t status)
{
    switch (status) {
    case MAILSRV_OK:
        return SPAN("250 2.1.5 delivered");
    case MAILSRV_OVERQUOTA:
        return SPAN("452 4.2.2 mailbox full");
    case MAILSRV_NONEXISTENT:
        return SPAN("550 5.1.1 no such recipient here");
    case MAILSRV_NOPERM:
        return SPAN("550 5.7.1 not allowed");
    case MAILSRV_TOOBIG:
        return SPAN("552 5.3.4 too large");
    default:
        return status <= MAILSRV_DENIED ? SPAN("554 5.3.0 cannot be delivered") : SPAN("451 4.3.0 try again later");
    }
}

/* The store's own words follow, if it had any. */
static void finish(struct local *l, int32_t status, struct span said, bool handed_on)
{
    struct span line = line_of(status);
    struct writer w = { .p = l->text, .room = sizeof l->text };
    mailsrv__write(&w, mailsrv__span_after(line, 4));
    if (said.n != 0) {
        mailsrv__write(&w, SPAN(": "));
        mailsrv__write(&w, said);
    }
    uint16_t code = (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
    struct local_result result = { code, mailsrv__written(&w), handed_on };
    close_handles(l);
    l->step = NULL;
    l->done(l->user, &result);
}

static void fail(struct local *l, const mailsrv_answer *answer)
{
    char room[TEXT_OCTETS];
    struct writer said = { .p = room, .room = sizeof room };
    mailsrv__write(&said, mailsrv__span(answer->text)); /* its octets go with the question */
    finish(l, answer->status, mailsrv__written(&said), false);
}

static void no_memory(struct local *l)
{
    finish(l, MAILSRV_NOMEM, (struct span){ NULL, 0 }, false);
}

/* ---- COMMIT ---- */

static const mailsrv_resolved *places_of(const struct local *l)
{
    return mailsrv__errand_answer(&l->resolve)->value;
}

/* Is everything that becomes of it said by who takes it over? */
static bool hands_on(const struct local *l)
{
    const mailsrv_resolved *places = places_of(l);
    return places->n == 1 && mailsrv__place_queues(places) &&
           (places->destinations->flags & MAILSRV_TO_LIST) == 0;
}

/* What failed for now stands before what failed for good: it is tried again, and some get it twice then, never not at
 * all. */
static void committed(struct local *l, const mailsrv_answer *answer)
{
    const mailsrv_committed *value = answer->value;
    const mailsrv_result *worst = NULL;
    if (answer->status != MAILSRV_OK) {
        fail(l, answer);
        return;
    }
    for (uint32_t i = 0; i < value->n; i++) {
        const mailsrv_result *r = &value->results[i];
        bool temporary = r->status > MAILSRV_DENIED;
        if (r->status != MAILSRV_OK && (worst == NULL || (temporary && worst->status <= MAILSRV_DENIED)))
            worst = r;
    }
    if (worst == NULL) {
        finish(l, MAILSRV_OK, (struct span){ NULL, 0 }, hands_on(l));
        return;
    }
    mailsrv_answer as = { .size = sizeof as, .status = worst->status, .text = worst->text };
    fail(l, &as);
}

static void commit(struct local *l)
{
    struct placing placing = {
        .engine = l->engine,
        .recipient = l->record.recipient,
        .hostname = l->setup.hostname,
        .delimiter = l->setup.delimiter,
        .now_us = l->setup.now_us,
        .body = l->body.value,
        .octets = l->written,
        .record = l->record,
    };
    const mailsrv_resolved *places = places_of(l);
    if (!l->takes_queue && mailsrv__place_queues(places)) {
        finish(l, MAILSRV_TEMP, (struct span){ NULL, 0 }, false);
        return;
    }
    l->step = committed;
    if (mailsrv__place_commit(&placing, &l->errand, places).op == NULL)
        no_memory(l);
}

/* ---- READ and WRITE, one after the other ---- */

static void read_on(struct local *l);

static void written(struct local *l, const mailsrv_answer *answer)
{
    if (answer->status != MAILSRV_OK) {
        fail(l, answer);
        return;
    }
    mailsrv__errand_drop(&l->errand);
    read_on(l);
}

static void has_read(struct local *l, const mailsrv_answer *answer)
{
    static const mailsrv_id nobody;
    const mailsrv_read_bytes *value = answer->value;
    if (answer->status != MAILSRV_OK) { /* an item that is gone, or cannot be read, is no recipient's fault */
        finish(l, MAILSRV_TEMP, (struct span){ NULL, 0 }, false);
        return;
    }
    if (l->reading.value == 0 && value->handle != 0)
        mailsrv__errand_take_handle(&l->read, value->handle, &l->reading);
    l->asked = &l->errand;
    if (value->octets.n == 0) {
        commit(l);
        return;
    }
    struct ask ask = mailsrv__errand_ask(l->engine, &l->errand, MAILSRV_OP_BODY_WRITE, &nobody,
                                         mailsrv__ask_octets(value->octets.n));
    if (ask.op == NULL) {
        no_memory(l);
        return;
    }
    mailsrv_arg_body_write *arg = ask.arg;
    arg->body = l->body.value;
    arg->offset = l->written;
    arg->octets = mailsrv__ask_copy(&ask, mailsrv__span(value->octets));
    l->written += value->octets.n;
    mailsrv__errand_drop(&l->read);
    l->step = written;
}

static void read_on(struct local *l)
{
    static const mailsrv_id nobody;
    l->asked = &l->read;
    l->step = has_read;
    struct ask ask = mailsrv__errand_ask(l->engine, &l->read, MAILSRV_OP_READ, &nobody, 0);
    if (ask.op == NULL) {
        no_memory(l);
        return;
    }
    mailsrv_arg_read *arg = ask.arg;
    arg->handle = l->reading.value;
    arg->queue = l->setup.queue;
    arg->offset = l->written;
    arg->octets = CHUNK_OCTETS;
}

static void begun(struct local *l, const mailsrv_answer *answer)
{
    const mailsrv_body_begun *value = answer->value;
    if (answer->status != MAILSRV_OK) {
        fail(l, answer);
        return;
    }
    l->takes_queue = (value->features & MAILSRV_BODY_TAKES_QUEUE) != 0;
    mailsrv__errand_take_handle(&l->errand, value->body, &l->body);
    mailsrv__errand_drop(&l->errand);
    read_on(l);
}

/* ---- RESOLVE ---- */

static void resolved(struct local *l, const mailsrv_answer *answer)
{
    static const mailsrv_id nobody;
    if (answer->status != MAILSRV_OK) {
        fail(l, answer);
        return;
    }
    if (((const mailsrv_resolved *)answer->value)->n > PLACES_MAX) {
        finish(l, MAILSRV_CANNOT, SPAN("the list is too long"), false);
        return;
    }
    l->asked = &l->errand;
    l->step = begun;
    if (mailsrv__errand_ask(l->engine, &l->errand, MAILSRV_OP_BODY_BEGIN, &nobody, 0).op == NULL)
        no_memory(l);
}

static void begin(struct local *l, const mailsrv_answer *answer)
{
    struct placing placing = { .engine = l->engine,
                               .recipient = l->record.recipient,
                               .delimiter = l->setup.delimiter,
                               .record = l->record };
    (void)answer;
    l->asked = &l->resolve;
    l->step = resolved;
    if (!mailsrv__place_can_ask(&placing))
        finish(l, MAILSRV_TEMP, (struct span){ NULL, 0 }, false);
    else if (mailsrv__place_ask(&placing, &l->resolve).op == NULL)
        no_memory(l);
}

/* ---- Its turns ---- */

static int run(struct work *work, uint32_t units)
{
    struct local *l = HOLDER(work, struct local, work);
    const mailsrv_answer *answer = l->asked == NULL ? NULL : mailsrv__errand_answer(l->asked);
    (void)units;
    mailsrv__room_spend(l->engine, 4);
    if (l->step != NULL && (l->asked == NULL || answer != NULL))
        l->step(l, answer);
    return 0;
}

static void errand_answered(struct errand *errand)
{
    struct local *l = HOLDER(errand, struct local, errand);
    mailsrv__room_work(l->engine, &l->work);
}

static void read_answered(struct errand *errand)
{
    struct local *l = HOLDER(errand, struct local, read);
    mailsrv__room_work(l->engine, &l->work);
}

static void resolve_answered(struct errand *errand)
{
    struct local *l = HOLDER(errand, struct local, resolve);
    mailsrv__room_work(l->engine, &l->work);
}

struct local *mailsrv__local_new(mailsrv_engine *engine, const struct local_setup *setup,
                                 const struct queue_record *record,
                                 void (*done)(void *user, const struct local_result *result), void *user)
{
    struct local *l = mailsrv__heap_take(mailsrv__room_heap(engine), CLASS_BODIES, NULL, sizeof *l);
    if (l == NULL)
        return NULL;
    l->engine = engine;
    l->setup = *setup;
    l->record = *record;
    l->record.fate = QUEUE_RETRY;
    l->record.flags &= (uint16_t)~(QUEUE_FLAG_LOCAL | QUEUE_FLAG_DELAYED);
    l->record.code = 0;
    l->record.tries = 0;
    l->record.tried_us = 0;
    l->record.text = l->record.host = l->record.message = (struct span){ NULL, 0 };
    l->done = done;
    l->user = user;
    l->work.run = run;
    l->step = begin;
    l->resolve.answered = resolve_answered;
    l->errand.answered = errand_answered;
    l->read.answered = read_answered;
    mailsrv__list_init(&l->work.ring);
    mailsrv__room_work(engine, &l->work);
    return l;
}
