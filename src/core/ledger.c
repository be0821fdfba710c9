#include "core/ledger.h"

#include "core/profile.h"
#include "core/tls.h"

#include <mailsrv/store.h>

#include <string.h>

enum { FACES = 8 };

struct tally {
    uint64_t begun, done, refused, failed, dropped;
    uint64_t total_us, most_us;
    uint64_t *buckets; /* NULL: nothing is done yet, or there was no memory */
    bool is_closed;    /* there was none */
};

/* The commands of a face, and what its sessions that are no more have left behind. */
struct page {
    struct command_names names;
    uint64_t began, octets_in, octets_out;
    size_t octets; /* of this page */
    struct tally tallies[];
};

struct book {
    struct ledger ledger;
    void *user;
    int64_t (*now_us)(void *user); /* NULL: the time of the engine */
    struct page *pages[FACES];
    struct tally operations[KIND_NUMBERS];
};

static struct book *book_of(const mailsrv_engine *e)
{
    return (struct book *)(void *)e->ledger;
}

static int64_t now(const mailsrv_engine *e)
{
    const struct book *b = book_of(e);
    return b->now_us == NULL ? e->timers.now_us : b->now_us(b->user);
}

/* ---- One tally ---- */

/* Without memory its buckets stay empty: it is asked for only once, since others give up what they keep for it. */
static bool open_buckets(mailsrv_engine *e, struct tally *t)
{
    if (t->buckets == NULL && !t->is_closed)
        t->buckets = mailsrv__heap_take(&e->heap, CLASS_ENGINE, NULL, MAILSRV_BUCKETS * sizeof *t->buckets);
    t->is_closed = t->buckets == NULL;
    return !t->is_closed;
}

static void done(mailsrv_engine *e, struct tally *t, int64_t since_us)
{
    int64_t passed = now(e) - since_us;
    uint64_t us = passed < 0 ? 0 : (uint64_t)passed;
    t->done++;
    t->total_us += us;
    if (us > t->most_us)
        t->most_us = us;
    if (open_buckets(e, t))
        t->buckets[mailsrv_bucket(us)]++;
}

static void close_buckets(mailsrv_engine *e, struct tally *tallies, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mailsrv__heap_give(&e->heap, CLASS_ENGINE, NULL, tallies[i].buckets,
                           MAILSRV_BUCKETS * sizeof *tallies[i].buckets);
}

/* ---- Sessions ---- */

static struct page *page_of(const mailsrv_session *s)
{
    return book_of(s->engine)->pages[s->profile->face];
}

static bool joins(mailsrv_engine *e, const mailsrv_profile *profile)
{
    struct page **page = &book_of(e)->pages[mailsrv__profile_face(profile)];
    if (*page == NULL) {
        struct command_names names = profile->machine->commands();
        size_t octets = sizeof **page + (names.n + 1u) * sizeof (*page)->tallies[0];
        *page = mailsrv__heap_take(&e->heap, CLASS_ENGINE, NULL, octets);
        if (*page == NULL)
            return false;
        (*page)->names = names;
        (*page)->octets = octets;
    }
    return true;
}

static void leaves(mailsrv_session *s)
{
    struct page *page = page_of(s);
    page->began++;
    page->octets_in += s->octets_in;
    page->octets_out += s->octets_out;
}

/* ---- Commands ---- */

static struct tally *counted(const mailsrv_session *s)
{
    return &page_of(s)->tallies[s->counted - 1];
}

static void fed(mailsrv_session *s)
{
    s->counted_us = now(s->engine);
}

static void begins(mailsrv_session *s, const void *row)
{
    const struct command_names *names = &page_of(s)->names;
    if (s->counted != 0)
        return;
    size_t number = row == NULL ? 0 : (size_t)((const char *)row - names->first) / names->stride + 1;
    s->counted = (uint8_t)(number + 1);
    s->worst = 0;
    counted(s)->begun++;
}

static void ends(mailsrv_session *s, enum step step)
{
    struct tally *t = counted(s);
    if (step == STEP_NEXT && (s->goes_on || s->sasl != NULL))
        return;
    t->refused += s->worst == '5';
    t->failed += s->worst == '4';
    s->counted = 0;
    done(s->engine, t, s->counted_us);
}

static void dropped(mailsrv_session *s)
{
    counted(s)->dropped++;
    s->counted = 0;
}

/* ---- Operations ---- */

static struct tally *tally_of(const struct op *op)
{
    return &book_of(op->engine)->operations[op->pub.kind];
}

static void asked(struct op *op)
{
    tally_of(op)->begun++;
    op->asked_us = now(op->engine);
}

static void count_deliveries(const struct op *op)
{
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *target =
            (const mailsrv_target *)(const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        op->engine->n_deliveries += target->kind == MAILSRV_TARGET_MAILBOX && op->results[i].status == MAILSRV_OK;
    }
}

static void answered(const struct op *op)
{
    struct tally *t = tally_of(op);
    int32_t status = op->answer.status;
    t->refused += status <= MAILSRV_DENIED;
    t->failed += status < MAILSRV_OK && status > MAILSRV_DENIED;
    done(op->engine, t, op->asked_us);
    if (op->pub.kind == MAILSRV_OP_BODY_COMMIT && status == MAILSRV_OK)
        count_deliveries(op);
}

static void vanished(const struct op *op)
{
    tally_of(op)->dropped++;
}

/* ---- Its life ---- */

static void end(mailsrv_engine *e)
{
    struct book *b = book_of(e);
    close_buckets(e, b->operations, KIND_NUMBERS);
    for (size_t i = 0; i < FACES; i++) {
        struct page *page = b->pages[i];
        if (page == NULL)
            continue;
        close_buckets(e, page->tallies, page->names.n + 1u);
        mailsrv__heap_give(&e->heap, CLASS_ENGINE, NULL, page, page->octets);
    }
    e->ledger = NULL;
    mailsrv__heap_give(&e->heap, CLASS_ENGINE, NULL, b, sizeof *b);
}

int32_t mailsrv_engine_count(mailsrv_engine *e, const mailsrv_counting *how)
{
    static const struct ledger ledger = { joins, leaves, fed, begins, ends, dropped, asked, answered, vanished, end };
    if (e == NULL || e->had_a_session || e->ledger != NULL || (how != NULL && how->size < sizeof *how))
        return MAILSRV_E_USAGE;
    struct book *b = mailsrv__heap_take(&e->heap, CLASS_ENGINE, NULL, sizeof *b);
    if (b == NULL)
        return MAILSRV_NOMEM;
    b->ledger = ledger;
    if (how != NULL) {
        b->user = how->user;
        b->now_us = how->now_us;
    }
    e->ledger = &b->ledger;
    return MAILSRV_OK;
}

/* ---- Reading ---- */

static const struct page *page_numbered(const mailsrv_engine *e, int32_t face)
{
    return face > 0 && face < FACES ? book_of(e)->pages[face] : NULL;
}

/* NULL: there is none. */
static const struct tally *find(const mailsrv_engine *e, int32_t group, int32_t number, const char **name)
{
    if (group == MAILSRV_TALLY_OPERATIONS) {
        *name = mailsrv__kind(number)->name;
        return *name == NULL ? NULL : &book_of(e)->operations[number];
    }
    const struct page *page = page_numbered(e, group);
    if (page == NULL || number < 0 || (uint32_t)number > page->names.n)
        return NULL;
    *name = number == 0 ? "?" : page->names.first + (size_t)(number - 1) * page->names.stride;
    return &page->tallies[number];
}

int32_t mailsrv_engine_tally(const mailsrv_engine *e, int32_t group, int32_t number, mailsrv_tally *out)
{
    const char *name;
    if (e == NULL || e->ledger == NULL || out == NULL || out->size < 16)
        return MAILSRV_E_USAGE;
    const struct tally *t = find(e, group, number, &name);
    if (t == NULL)
        return MAILSRV_E_UNKNOWN_KEY;
    mailsrv_tally all = {
        .size = out->size,
        .name = name,
        .begun = t->begun,
        .open = t->begun - t->done - t->dropped,
        .done = t->done,
        .refused = t->refused,
        .failed = t->failed,
        .dropped = t->dropped,
        .total_us = t->total_us,
        .most_us = t->most_us,
    };
    memcpy(out, &all, out->size < sizeof all ? out->size : sizeof all);
    return MAILSRV_OK;
}

uint64_t mailsrv_engine_tally_bucket(const mailsrv_engine *e, int32_t group, int32_t number, uint32_t bucket)
{
    const char *name;
    if (e == NULL || e->ledger == NULL || bucket >= MAILSRV_BUCKETS)
        return 0;
    const struct tally *t = find(e, group, number, &name);
    return t == NULL || t->buckets == NULL ? 0 : t->buckets[bucket];
}

/* ---- Faces ---- */

/* Which of the five it is in. */
static uint64_t *state_in(mailsrv_face_stats *all, const mailsrv_session *s)
{
    uint32_t wants = mailsrv_session_wants(s);
    if (s->ended)
        return &all->ending;
    if (s->tls != NULL && s->tls->state == TLS_SHAKING)
        return &all->shaking;
    if ((wants & MAILSRV_WANT_READ) != 0)
        return &all->resting;
    return (wants & MAILSRV_WANT_WRITE) != 0 ? &all->sending : &all->waiting;
}

static void add(mailsrv_face_stats *all, const mailsrv_session *s)
{
    static const mailsrv_id nobody = { { 0 } };
    all->sessions++;
    all->began++;
    all->octets_in += s->octets_in;
    all->octets_out += s->octets_out;
    all->secure += mailsrv__secure(s);
    all->logged_in += memcmp(&s->account, &nobody, sizeof nobody) != 0;
    ++*state_in(all, s);
}

int32_t mailsrv_engine_face(const mailsrv_engine *e, int32_t face, mailsrv_face_stats *out)
{
    if (e == NULL || e->ledger == NULL || out == NULL || out->size < 16)
        return MAILSRV_E_USAGE;
    const struct page *page = page_numbered(e, face);
    if (page == NULL)
        return MAILSRV_E_UNKNOWN_KEY;
    mailsrv_face_stats all = {
        .size = out->size, .began = page->began, .octets_in = page->octets_in, .octets_out = page->octets_out
    };
    for (const struct node *n = e->sessions.next; n != &e->sessions; n = n->next) {
        const mailsrv_session *s = HOLDER(n, mailsrv_session, all);
        if (mailsrv__face(s) == face)
            add(&all, s);
    }
    memcpy(out, &all, out->size < sizeof all ? out->size : sizeof all);
    return MAILSRV_OK;
}
