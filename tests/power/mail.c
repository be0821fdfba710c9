#include "mail_inside.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TARGETS_MAX 3
#define OCTETS_MAX 24000u
#define UNITS 100000u

void mail_wrong(struct mail *m, const char *text, uint32_t number)
{
    if (m->wrong[0] == '\0')
        snprintf(m->wrong, sizeof m->wrong, "%s (%u)", text, number);
}

/* ---- Engines and questions ---- */

static void turn(struct mail *m)
{
    m->now_us += 1000;
    for (int i = 0; i < ENGINES; i++) {
        mailsrv_engine_advance(m->engines[i], m->now_us, m->now_us);
        while (mailsrv_engine_turn(m->engines[i], UNITS) == MAILSRV_MORE)
            continue;
    }
}

static uint64_t owed(const struct mail *m)
{
    uint64_t n = 0;
    for (int i = 0; i < ENGINES; i++)
        n += mailsrv_engine_stat(m->engines[i], MAILSRV_STAT_OPS_QUEUED) +
             mailsrv_engine_stat(m->engines[i], MAILSRV_STAT_OPS_OUT);
    return n;
}

/* Changes that are durable and cannot be shown are never answered, unless the disk gets well again. */
static bool is_stuck(struct mail *m)
{
    uint64_t held = mailsrv_durable_stat(m->shore.store, MAILSRV_DURABLE_STAT_HELD);
    m->is_stuck = held != 0 && held >= owed(m); /* of a COMMIT in several shards it counts each */
    return m->is_stuck;
}

/* What the store does by itself comes to its end, so that a seed means more or less the same each time. */
static void calm_down(struct mail *m)
{
    const struct timespec moment = { 0, 50000 };
    for (int i = 0; i < 100 && mailsrv_durable_stat(m->shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0; i++)
        nanosleep(&moment, NULL);
}

void mail_settle(struct mail *m)
{
    for (turn(m); owed(m) != 0 && !is_stuck(m); turn(m))
        if (!shore_wait(&m->shore) && !is_stuck(m)) {
            mail_wrong(m, "an operation got no answer", 0);
            return;
        }
    calm_down(m);
}

mailsrv_asked *mail_ask(struct mail *m, int engine, int32_t kind, int account, const void *arg)
{
    mailsrv_asked *asked = NULL;
    if (mailsrv_ask(m->engines[engine], kind, account >= 0 ? &m->shore.accounts[account] : NULL, arg, &asked) !=
        MAILSRV_OK)
        abort();
    return asked;
}

int32_t mail_status_of(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    return answer != NULL ? answer->status : MAILSRV_TEMP;
}

const void *mail_value_of(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    return answer != NULL && answer->status == MAILSRV_OK ? answer->value : NULL;
}

const void *mail_hear(struct mail *m, int engine, int32_t kind, int account, const void *arg, mailsrv_asked **out)
{
    *out = mail_ask(m, engine, kind, account, arg);
    mail_settle(m);
    return mail_value_of(*out);
}

bool mail_begin(struct mail *m)
{
    for (int a = 0; a < 2; a++)
        if (m->known.accounts[a].n == 0) {
            struct box *inbox = &m->known.accounts[a].boxes[m->known.accounts[a].n++];
            inbox->state = THERE;
            strcpy(inbox->name, "INBOX");
        }
    for (int i = 0; i < ENGINES; i++) {
        int32_t status = mailsrv_engine_new(NULL, &m->engines[i]) == MAILSRV_OK ? MAILSRV_NOMEM : MAILSRV_TEMP;
        for (int k = 0; k < 100 && status == MAILSRV_NOMEM; k++)
            status = shore_bind(&m->shore, m->engines[i]);
        if (status != MAILSRV_OK)
            abort();
    }
    turn(m);
    return m->wrong[0] == '\0';
}

void mail_end(struct mail *m)
{
    for (int i = 0; i < ENGINES; i++)
        mailsrv_engine_free(m->engines[i], MAILSRV_ABANDON);
    if (mailsrv_durable_stat(m->shore.store, MAILSRV_DURABLE_STAT_HANDLES) != 0)
        mail_wrong(m, "handles are left open", 0);
}

/* ---- Octets that say whose they are ---- */

uint8_t mail_octet(uint32_t number, size_t i)
{
    if (i < 4)
        return (uint8_t)(number >> (8 * i));
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) + number * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(x >> 32 ^ x >> 13);
}

static size_t octets_of(uint64_t random)
{
    return 4 + (size_t)(random >> 20) % (random % 3 == 0 ? OCTETS_MAX : 1500);
}

/* ---- Bodies ---- */

struct sending {
    mailsrv_asked *body, *commit;
    mailsrv_staged staged;
    mailsrv_target targets[TARGETS_MAX];
    mailsrv_arg_body_commit arg;
    struct message *messages[TARGETS_MAX];
    struct box *boxes[TARGETS_MAX];
    struct item *item;
    uint32_t number;
    char record[16], uidl[16];
    int engine;
};

static bool write_all(struct mail *m, struct sending *s, size_t octets)
{
    uint8_t piece[4096];
    for (size_t at = 0; at < octets;) {
        size_t n = octets - at < sizeof piece ? octets - at : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = mail_octet(s->number, at + i);
        mailsrv_arg_body_write arg = { sizeof arg, 0, s->staged.body, at, { piece, n } };
        mailsrv_asked *asked = mail_ask(m, s->engine, MAILSRV_OP_BODY_WRITE, -1, &arg);
        mail_settle(m);
        int32_t status = mail_status_of(asked);
        mailsrv_asked_free(asked);
        if (status != MAILSRV_OK)
            return false;
        at += n;
    }
    s->staged.octets = octets;
    return true;
}

static bool stage(struct mail *m, struct sending *s, int engine, size_t octets)
{
    memset(s, 0, sizeof *s);
    s->engine = engine;
    s->number = ++m->last_number;
    s->staged.size = sizeof s->staged;
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    const mailsrv_body_begun *begun = mail_hear(m, engine, MAILSRV_OP_BODY_BEGIN, -1, &arg, &s->body);
    if (begun != NULL)
        s->staged.body = begun->body;
    if (begun != NULL && write_all(m, s, octets))
        return true;
    mailsrv_asked_free(s->body);
    mail_settle(m);
    return false;
}

mailsrv_bytes mail_uidl_of(uint32_t number, char text[16])
{
    return (mailsrv_bytes){ (const uint8_t *)text, (size_t)snprintf(text, 16, "u-%u", number) };
}

/* Into a mailbox that is there; with flags and a keyword, now and then. */
static void to_box(struct mail *m, struct sending *s, int account, uint64_t random)
{
    uint32_t at = s->arg.n_targets, keyword = (uint32_t)(random >> 8) % (2 * KEYWORDS);
    struct box *box = mail_some_box(m, account, random >> 16);
    struct message *message = &box->messages[box->n];
    *message = (struct message){ .state = PERHAPS, .number = s->number, .octets = (size_t)s->staged.octets };
    message->marks.flags = (uint32_t)(random >> 3) & MAILSRV_FLAG_SEEN;
    message->marks.keywords = keyword < KEYWORDS ? 1u << keyword : 0;
    box->n++;
    s->boxes[at] = box;
    s->messages[at] = message;
    s->targets[at] = (mailsrv_target){ .size = sizeof(mailsrv_target),
                                       .kind = MAILSRV_TARGET_MAILBOX,
                                       .flags = message->marks.flags,
                                       .account = m->shore.accounts[account],
                                       .mailbox = box->id,
                                       .uidl = mail_uidl_of(s->number, s->uidl),
                                       .keywords = &mail_keywords[keyword % KEYWORDS],
                                       .n_keywords = keyword < KEYWORDS };
    s->arg.n_targets++;
}

mailsrv_bytes mail_record_of(uint32_t number, uint32_t version, char text[16])
{
    return (mailsrv_bytes){ (const uint8_t *)text, (size_t)snprintf(text, 16, "%u.%u", number, version) };
}

/* Some are due together. */
int64_t mail_due_of(uint32_t number, uint32_t version)
{
    return (int64_t)((number + version * 7) % 5) * 1000000 - 1000000;
}

mailsrv_bytes mail_lane_of(uint32_t number, uint32_t version)
{
    static const char *const lanes[LANES] = { "", "one.test", "another.test" };
    const char *lane = lanes[(number + version) % LANES];
    return (mailsrv_bytes){ (const uint8_t *)lane, strlen(lane) };
}

static void to_queue(struct mail *m, struct sending *s)
{
    s->item = &m->known.items[m->known.n_items++];
    *s->item = (struct item){ .state = PERHAPS, .number = s->number, .octets = (size_t)s->staged.octets };
    s->targets[s->arg.n_targets++] = (mailsrv_target){ .size = sizeof(mailsrv_target),
                                                       .kind = MAILSRV_TARGET_QUEUE,
                                                       .record = mail_record_of(s->number, 0, s->record),
                                                       .due_us = mail_due_of(s->number, 0),
                                                       .lane = mail_lane_of(s->number, 0) };
}

bool mail_has_room(const struct box *box, size_t more)
{
    return box->n + more <= MESSAGES_MAX;
}

static bool is_full(const struct mail *m)
{
    bool full = m->known.n_items + 1 > MESSAGES_MAX;
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < m->known.accounts[a].n; i++)
            full = full || !mail_has_room(&m->known.accounts[a].boxes[i], TARGETS_MAX);
    return full;
}

static void ask_commit(struct mail *m, struct sending *s, uint64_t random)
{
    s->arg.n_targets = 0;
    if (random % 5 != 0)
        to_box(m, s, random % 2 != 0, random >> 4);
    if (random % 7 == 0)
        to_box(m, s, random % 2 == 0, random >> 5);
    if (random % 5 == 0)
        to_queue(m, s);
    s->arg.size = sizeof s->arg;
    s->arg.atomic = random % 3 == 0;
    s->arg.n_bodies = 1;
    s->arg.body_stride = sizeof s->staged;
    s->arg.target_stride = sizeof *s->targets;
    s->arg.bodies = &s->staged;
    s->arg.targets = s->targets;
    s->commit = mail_ask(m, s->engine, MAILSRV_OP_BODY_COMMIT, -1, &s->arg);
}

void mail_was_given(struct mail *m, int account, struct box *box, struct message *message, uint32_t uid,
                    uint64_t modseq)
{
    if (uid <= box->uid_max || modseq <= m->known.accounts[account].modseq_max)
        mail_wrong(m, "a UID or modseq was given twice, or went back", message->number);
    message->uid = uid;
    message->modseq = modseq;
    atomic_signal_fence(memory_order_seq_cst); /* a kill finds it whole */
    message->state = THERE;
}

static void take_results(struct mail *m, struct sending *s)
{
    const mailsrv_committed *value = mail_value_of(s->commit);
    for (uint32_t i = 0; value != NULL && i < value->n; i++) {
        const mailsrv_result *r = &value->results[i];
        if (r->status != MAILSRV_OK)
            continue;
        m->answered++;
        if (s->targets[i].kind == MAILSRV_TARGET_QUEUE) {
            s->item->queue = r->queue;
            atomic_signal_fence(memory_order_seq_cst);
            s->item->state = THERE;
            if (r->queue <= m->known.queue_max)
                mail_wrong(m, "a queue number was given twice", s->number);
            continue;
        }
        int account = memcmp(&s->targets[i].account, &m->shore.accounts[0], sizeof(mailsrv_id)) != 0;
        mail_was_given(m, account, s->boxes[i], s->messages[i], r->uid, r->modseq);
    }
    mailsrv_asked_free(s->commit);
    mailsrv_asked_free(s->body);
    mail_settle(m);
}

static void raise_marks_of(struct account *account, struct box *box)
{
    for (size_t i = 0; i < box->n; i++) {
        box->uid_max = box->messages[i].uid > box->uid_max ? box->messages[i].uid : box->uid_max;
        if (box->messages[i].modseq > account->modseq_max)
            account->modseq_max = box->messages[i].modseq;
    }
}

void mail_raise_marks(struct mail *m)
{
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < m->known.accounts[a].n; i++)
            raise_marks_of(&m->known.accounts[a], &m->known.accounts[a].boxes[i]);
    for (size_t i = 0; i < m->known.n_items; i++)
        m->known.queue_max = m->known.items[i].queue > m->known.queue_max ? m->known.items[i].queue : m->known.queue_max;
}

void mail_deliver(struct mail *m, uint64_t random)
{
    struct sending s;
    if (is_full(m) || !stage(m, &s, (int)(random % ENGINES), octets_of(random)))
        return;
    ask_commit(m, &s, random >> 8);
    mail_settle(m);
    take_results(m, &s);
    mail_raise_marks(m);
}

/* Several commits are out at once. */
void mail_deliver_side_by_side(struct mail *m, uint64_t random)
{
    struct sending s[3];
    size_t n = 0;
    for (; n < 3 && !is_full(m); n++)
        if (!stage(m, &s[n], (int)(n % ENGINES), octets_of(random + n)))
            break;
    for (size_t i = 0; i < n; i++)
        ask_commit(m, &s[i], (random >> 8) + i);
    mail_settle(m);
    for (size_t i = 0; i < n; i++)
        take_results(m, &s[i]);
    mail_raise_marks(m);
}

/* ---- The queue ---- */

void mail_requeue(struct mail *m, uint64_t random)
{
    struct item *item = m->known.n_items != 0 ? &m->known.items[(random >> 8) % m->known.n_items] : NULL;
    char text[16];
    mailsrv_asked *asked;
    if (item == NULL || item->state != THERE)
        return;
    if (random % 2 != 0) {
        item->version_perhaps = item->version + 1;
        mailsrv_arg_queue_update arg = { .size = sizeof arg,
                                         .queue = item->queue,
                                         .record = mail_record_of(item->number, item->version_perhaps, text),
                                         .due_us = mail_due_of(item->number, item->version_perhaps),
                                         .lane = mail_lane_of(item->number, item->version_perhaps) };
        mail_hear(m, 1, MAILSRV_OP_QUEUE_UPDATE, -1, &arg, &asked);
        if (mail_status_of(asked) == MAILSRV_OK)
            item->version = item->version_perhaps;
    } else {
        mailsrv_arg_queue_delete arg = { sizeof arg, 1, &item->queue };
        item->state = PERHAPS_GONE;
        mail_hear(m, 1, MAILSRV_OP_QUEUE_DELETE, -1, &arg, &asked);
        item->state = mail_status_of(asked) == MAILSRV_OK ? GONE : PERHAPS_GONE;
    }
    m->answered += mail_status_of(asked) == MAILSRV_OK;
    mailsrv_asked_free(asked);
}

/* ---- Any change ---- */

void mail_change(struct mail *m, uint64_t random)
{
    uint64_t what = random >> 56;
    random &= UINT64_C(0xffffffffffffff);
    if (what < 70)
        mail_deliver(m, random);
    else if (what < 100)
        mail_deliver_side_by_side(m, random);
    else if (what < 145)
        mail_expunge(m, random);
    else if (what < 170)
        mail_flag(m, random);
    else if (what < 190)
        mail_copy(m, random);
    else if (what < 205)
        mail_move(m, random);
    else if (what < 235)
        mail_mailbox(m, random);
    else
        mail_requeue(m, random);
}
