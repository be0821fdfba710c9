#include "mail.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS_MAX 3
#define OCTETS_MAX 24000u
#define UNITS 100000u

static void wrong(struct mail *m, const char *text, uint32_t number)
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
    m->is_stuck = held != 0 && held == owed(m);
    return m->is_stuck;
}

static void settle(struct mail *m)
{
    for (turn(m); owed(m) != 0 && !is_stuck(m); turn(m))
        if (!shore_wait(&m->shore) && !is_stuck(m)) {
            wrong(m, "an operation got no answer", 0);
            return;
        }
}

static mailsrv_asked *ask(struct mail *m, int engine, int32_t kind, int account, const void *arg)
{
    mailsrv_asked *asked = NULL;
    if (mailsrv_ask(m->engines[engine], kind, account >= 0 ? &m->shore.accounts[account] : NULL, arg, &asked) !=
        MAILSRV_OK)
        abort();
    return asked;
}

static int32_t status_of(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    return answer != NULL ? answer->status : MAILSRV_TEMP;
}

static const void *value_of(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    return answer != NULL && answer->status == MAILSRV_OK ? answer->value : NULL;
}

static const void *hear(struct mail *m, int engine, int32_t kind, int account, const void *arg, mailsrv_asked **out)
{
    *out = ask(m, engine, kind, account, arg);
    settle(m);
    return value_of(*out);
}

bool mail_begin(struct mail *m)
{
    for (int i = 0; i < ENGINES; i++)
        if (mailsrv_engine_new(NULL, &m->engines[i]) != MAILSRV_OK ||
            shore_bind(&m->shore, m->engines[i]) != MAILSRV_OK)
            abort();
    turn(m);
    return m->wrong[0] == '\0';
}

void mail_end(struct mail *m)
{
    for (int i = 0; i < ENGINES; i++)
        mailsrv_engine_free(m->engines[i], MAILSRV_ABANDON);
    if (mailsrv_durable_stat(m->shore.store, MAILSRV_DURABLE_STAT_HANDLES) != 0)
        wrong(m, "handles are left open", 0);
}

/* ---- Octets that say whose they are ---- */

static uint8_t octet(uint32_t number, size_t i)
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
    struct item *item;
    uint32_t number;
    char record[16];
    int engine;
};

static bool write_all(struct mail *m, struct sending *s, size_t octets)
{
    uint8_t piece[4096];
    for (size_t at = 0; at < octets;) {
        size_t n = octets - at < sizeof piece ? octets - at : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = octet(s->number, at + i);
        mailsrv_arg_body_write arg = { sizeof arg, 0, s->staged.body, at, { piece, n } };
        mailsrv_asked *asked = ask(m, s->engine, MAILSRV_OP_BODY_WRITE, -1, &arg);
        settle(m);
        int32_t status = status_of(asked);
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
    const mailsrv_body_begun *begun = hear(m, engine, MAILSRV_OP_BODY_BEGIN, -1, &arg, &s->body);
    if (begun != NULL)
        s->staged.body = begun->body;
    if (begun != NULL && write_all(m, s, octets))
        return true;
    mailsrv_asked_free(s->body);
    settle(m);
    return false;
}

static void to_box(struct mail *m, struct sending *s, int account)
{
    struct box *box = &m->boxes[account];
    struct message *message = &box->messages[box->n];
    *message = (struct message){ PERHAPS, s->number, 0, 0, (size_t)s->staged.octets };
    box->n++;
    s->messages[s->arg.n_targets] = message;
    s->targets[s->arg.n_targets++] = (mailsrv_target){ .size = sizeof(mailsrv_target),
                                                       .kind = MAILSRV_TARGET_MAILBOX,
                                                       .account = m->shore.accounts[account] };
}

static mailsrv_bytes record_of(uint32_t number, uint32_t version, char text[16])
{
    return (mailsrv_bytes){ (const uint8_t *)text, (size_t)snprintf(text, 16, "%u.%u", number, version) };
}

static void to_queue(struct mail *m, struct sending *s)
{
    s->item = &m->items[m->n_items++];
    *s->item = (struct item){ .state = PERHAPS, .number = s->number, .octets = (size_t)s->staged.octets };
    s->targets[s->arg.n_targets++] = (mailsrv_target){ .size = sizeof(mailsrv_target),
                                                       .kind = MAILSRV_TARGET_QUEUE,
                                                       .record = record_of(s->number, 0, s->record) };
}

static bool is_full(const struct mail *m)
{
    return m->boxes[0].n + TARGETS_MAX > MESSAGES_MAX || m->boxes[1].n + TARGETS_MAX > MESSAGES_MAX ||
           m->n_items + 1 > MESSAGES_MAX;
}

static void ask_commit(struct mail *m, struct sending *s, uint64_t random)
{
    s->arg.n_targets = 0;
    if (random % 5 != 0)
        to_box(m, s, random % 2 != 0);
    if (random % 7 == 0)
        to_box(m, s, random % 2 == 0);
    if (random % 5 == 0)
        to_queue(m, s);
    s->arg.size = sizeof s->arg;
    s->arg.atomic = random % 3 == 0;
    s->arg.n_bodies = 1;
    s->arg.body_stride = sizeof s->staged;
    s->arg.target_stride = sizeof *s->targets;
    s->arg.bodies = &s->staged;
    s->arg.targets = s->targets;
    s->commit = ask(m, s->engine, MAILSRV_OP_BODY_COMMIT, -1, &s->arg);
}

/* UIDs and modseqs only ever ascend. */
static void was_given(struct mail *m, struct box *box, struct message *message, uint32_t uid, uint64_t modseq)
{
    if (uid <= box->uid_max || modseq <= box->modseq_max)
        wrong(m, "a UID or modseq was given twice, or went back", message->number);
    message->uid = uid;
    message->modseq = modseq;
    atomic_signal_fence(memory_order_seq_cst); /* a kill finds it whole */
    message->state = THERE;
}

static void take_results(struct mail *m, struct sending *s)
{
    const mailsrv_committed *value = value_of(s->commit);
    for (uint32_t i = 0; value != NULL && i < value->n; i++) {
        const mailsrv_result *r = &value->results[i];
        if (r->status != MAILSRV_OK)
            continue;
        m->answered++;
        if (s->targets[i].kind == MAILSRV_TARGET_QUEUE) {
            s->item->queue = r->queue;
            atomic_signal_fence(memory_order_seq_cst);
            s->item->state = THERE;
            if (r->queue <= m->queue_max)
                wrong(m, "a queue number was given twice", s->number);
            continue;
        }
        int account = memcmp(&s->targets[i].account, &m->shore.accounts[0], sizeof(mailsrv_id)) != 0;
        was_given(m, &m->boxes[account], s->messages[i], r->uid, r->modseq);
    }
    mailsrv_asked_free(s->commit);
    mailsrv_asked_free(s->body);
    settle(m);
}

static void raise_marks(struct mail *m)
{
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < m->boxes[a].n; i++) {
            struct box *box = &m->boxes[a];
            box->uid_max = box->messages[i].uid > box->uid_max ? box->messages[i].uid : box->uid_max;
            box->modseq_max = box->messages[i].modseq > box->modseq_max ? box->messages[i].modseq : box->modseq_max;
        }
    for (size_t i = 0; i < m->n_items; i++)
        m->queue_max = m->items[i].queue > m->queue_max ? m->items[i].queue : m->queue_max;
}

void mail_deliver(struct mail *m, uint64_t random)
{
    struct sending s;
    if (is_full(m) || !stage(m, &s, (int)(random % ENGINES), octets_of(random)))
        return;
    ask_commit(m, &s, random >> 8);
    settle(m);
    take_results(m, &s);
    raise_marks(m);
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
    settle(m);
    for (size_t i = 0; i < n; i++)
        take_results(m, &s[i]);
    raise_marks(m);
}

/* ---- Mailboxes ---- */

struct opened {
    mailsrv_asked *store, *mbox;
    mailsrv_mbox_opened value;
};

static bool open_box(struct mail *m, int account, struct opened *out)
{
    memset(out, 0, sizeof *out);
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    const mailsrv_store_opened *store = hear(m, 0, MAILSRV_OP_STORE_OPEN, account, &arg, &out->store);
    if (store == NULL)
        return false;
    mailsrv_arg_mbox_open mbox = { .size = sizeof mbox, .store = store->store, .name = { (const uint8_t *)"INBOX", 5 } };
    const mailsrv_mbox_opened *value = hear(m, 0, MAILSRV_OP_MBOX_OPEN, account, &mbox, &out->mbox);
    if (value != NULL)
        out->value = *value;
    return value != NULL;
}

static void close_box(struct mail *m, struct opened *box)
{
    mailsrv_asked_free(box->mbox);
    settle(m);
    mailsrv_asked_free(box->store);
    settle(m);
}

/* Those of a run that are there may be gone from now on; or are. */
static void let_go(struct box *box, const mailsrv_run *run, enum fate_of from, enum fate_of to)
{
    for (size_t i = 0; i < box->n; i++)
        if (box->messages[i].state == from && box->messages[i].uid >= run->first && box->messages[i].uid <= run->last)
            box->messages[i].state = to;
}

void mail_expunge(struct mail *m, uint64_t random)
{
    int account = random % 2 != 0;
    struct box *box = &m->boxes[account];
    struct opened opened;
    if (open_box(m, account, &opened) && box->uid_max != 0) {
        uint32_t first = 1 + (uint32_t)(random >> 8) % box->uid_max;
        mailsrv_run run = { first, first + (uint32_t)(random >> 4) % 3 };
        mailsrv_arg_expunge arg = { sizeof arg, 0, opened.value.mbox, &run, 1, 0, { { 0 } } };
        mailsrv_asked *asked;
        let_go(box, &run, THERE, PERHAPS_GONE);
        const mailsrv_expunged *value = hear(m, 0, MAILSRV_OP_EXPUNGE, account, &arg, &asked);
        if (value != NULL)
            let_go(box, &run, PERHAPS_GONE, GONE);
        if (value != NULL && value->modseq != 0 && value->modseq <= box->modseq_max)
            wrong(m, "the modseq of an EXPUNGE was given before", run.first);
        if (value != NULL && value->modseq > box->modseq_max)
            box->modseq_max = value->modseq;
        m->answered += value != NULL;
        mailsrv_asked_free(asked);
    }
    close_box(m, &opened);
}

/* ---- The queue ---- */

void mail_requeue(struct mail *m, uint64_t random)
{
    struct item *item = m->n_items != 0 ? &m->items[(random >> 8) % m->n_items] : NULL;
    char text[16];
    mailsrv_asked *asked;
    if (item == NULL || item->state != THERE)
        return;
    if (random % 2 != 0) {
        item->version_perhaps = item->version + 1;
        mailsrv_arg_queue_update arg = { sizeof arg, 0, item->queue,
                                         record_of(item->number, item->version_perhaps, text) };
        hear(m, 1, MAILSRV_OP_QUEUE_UPDATE, -1, &arg, &asked);
        if (status_of(asked) == MAILSRV_OK)
            item->version = item->version_perhaps;
    } else {
        mailsrv_arg_queue_delete arg = { sizeof arg, 1, &item->queue };
        item->state = PERHAPS_GONE;
        hear(m, 1, MAILSRV_OP_QUEUE_DELETE, -1, &arg, &asked);
        item->state = status_of(asked) == MAILSRV_OK ? GONE : PERHAPS_GONE;
    }
    m->answered += status_of(asked) == MAILSRV_OK;
    mailsrv_asked_free(asked);
}

/* ---- Looking ---- */

static void add(uint64_t *sum, uint64_t value)
{
    *sum = (*sum ^ value) * UINT64_C(0x100000001b3);
    *sum ^= *sum >> 31;
}

/* Reads a message whole; the number it says it is made of, or 0: it cannot be read, or is not what it says. */
static uint32_t read_message(struct mail *m, int account, const struct opened *opened, const mailsrv_row *row)
{
    uint32_t number = 0;
    mailsrv_asked *first = NULL, *asked;
    uint64_t handle = 0, at = 0;
    while (at < row->octets) {
        mailsrv_arg_read arg = { sizeof arg, row->uid, opened->value.mbox, 0, handle, at, row->octets };
        const mailsrv_read_bytes *value = hear(m, 0, MAILSRV_OP_READ, account, &arg, &asked);
        if (value == NULL || value->octets.n == 0) {
            number = 0;
            mailsrv_asked_free(asked);
            break;
        }
        for (int i = 0; at == 0 && i < 4 && value->octets.n >= 4; i++)
            number |= (uint32_t)value->octets.p[i] << (8 * i);
        for (size_t i = 0; number != 0 && i < value->octets.n; i++)
            if (value->octets.p[i] != octet(number, (size_t)at + i))
                number = 0;
        at += value->octets.n;
        handle = at == value->octets.n ? value->handle : handle;
        if (first == NULL)
            first = asked;
        else
            mailsrv_asked_free(asked);
    }
    if (first != NULL)
        mailsrv_asked_free(first);
    settle(m);
    return number;
}

static void match(struct mail *m, int account, const mailsrv_row *row, uint32_t number, bool seen[MESSAGES_MAX])
{
    struct box *box = &m->boxes[account];
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (message->number != number || seen[i])
            continue;
        seen[i] = true;
        if (message->state == GONE || message->state == NEVER_WAS)
            wrong(m, "a message came back", number);
        else if (message->state == PERHAPS)
            was_given(m, box, message, row->uid, row->modseq);
        else if (message->uid != row->uid || message->modseq != row->modseq)
            wrong(m, "a message has another UID or modseq than before", number);
        message->state = THERE;
        if (message->octets != row->octets)
            wrong(m, "a message has another length", number);
        return;
    }
    wrong(m, "a message is not one that was sent, or is not whole", row->uid);
}

static void all_rows(struct mail *m, int account, const struct opened *opened, bool seen[MESSAGES_MAX], uint64_t *sum)
{
    mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg = { .size = sizeof arg, .fields = UINT32_MAX, .mbox = opened->value.mbox, .uids = &all,
                             .n_uids = 1, .limit = 20 };
    uint64_t found = 0;
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_rows *rows = hear(m, 0, MAILSRV_OP_ROWS, account, &arg, &asked);
        more = rows != NULL && rows->more != 0;
        if (rows == NULL)
            wrong(m, "ROWS fails", (uint32_t)-status_of(asked));
        for (uint32_t i = 0; rows != NULL && i < rows->n; i++, found++) {
            uint32_t number = read_message(m, account, opened, &rows->rows[i]);
            if (sum == NULL)
                match(m, account, &rows->rows[i], number, seen);
            else
                for (int k = 0; k < 3; k++)
                    add(sum, k == 0 ? number : k == 1 ? rows->rows[i].uid : rows->rows[i].modseq);
        }
        if (more)
            arg.cursor = rows->next;
        mailsrv_asked_free(asked);
    }
    if (found != opened->value.exists)
        wrong(m, "MBOX_OPEN tells another number of messages", (uint32_t)found);
}

static void check_box(struct mail *m, int account)
{
    struct box *box = &m->boxes[account];
    struct opened opened;
    bool seen[MESSAGES_MAX] = { false };
    if (!open_box(m, account, &opened)) {
        wrong(m, "a mailbox cannot be opened", (uint32_t)account);
    } else {
        if (box->uidvalidity != 0 && opened.value.uidvalidity != box->uidvalidity)
            wrong(m, "UIDVALIDITY has changed", opened.value.uidvalidity);
        box->uidvalidity = opened.value.uidvalidity;
        if (opened.value.uidnext <= box->uid_max || opened.value.modseq < box->modseq_max)
            wrong(m, "UIDNEXT or the modseq went back", box->uid_max);
        all_rows(m, account, &opened, seen, NULL);
        if (opened.value.modseq > box->modseq_max) /* of an EXPUNGE that was not answered */
            box->modseq_max = opened.value.modseq;
    }
    close_box(m, &opened);
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (message->state == THERE && !seen[i])
            wrong(m, "a message is lost", message->number);
        if (!seen[i])
            message->state = GONE;
    }
}

static void match_item(struct mail *m, const mailsrv_queue_item *found, bool seen[MESSAGES_MAX])
{
    char one[16], other[16];
    for (size_t i = 0; i < m->n_items; i++) {
        struct item *item = &m->items[i];
        mailsrv_bytes now = record_of(item->number, item->version, one);
        mailsrv_bytes perhaps = record_of(item->number, item->version_perhaps, other);
        bool is_now = found->record.n == now.n && memcmp(found->record.p, now.p, now.n) == 0;
        bool is_perhaps = found->record.n == perhaps.n && memcmp(found->record.p, perhaps.p, perhaps.n) == 0;
        if (!is_now && !(is_perhaps && item->version_perhaps > item->version))
            continue;
        if (item->state == GONE || (item->queue != 0 && item->queue != found->queue) || item->octets != found->octets)
            wrong(m, "a queue item came back, or is another", item->number);
        item->version = is_now ? item->version : item->version_perhaps;
        item->queue = found->queue;
        item->state = THERE;
        seen[i] = true;
        return;
    }
    wrong(m, "a queue item is not one that was queued", (uint32_t)found->queue);
}

static void all_items(struct mail *m, bool seen[MESSAGES_MAX], uint64_t *sum)
{
    mailsrv_arg_queue_scan arg = { .size = sizeof arg, .limit = 10 };
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_queued *value = hear(m, 0, MAILSRV_OP_QUEUE_SCAN, -1, &arg, &asked);
        more = value != NULL && value->more != 0;
        if (value == NULL)
            wrong(m, "QUEUE_SCAN fails", 0);
        for (uint32_t i = 0; value != NULL && i < value->n; i++) {
            if (sum == NULL)
                match_item(m, &value->items[i], seen);
            else
                for (size_t k = 0; k < value->items[i].record.n; k++)
                    add(sum, value->items[i].record.p[k] + value->items[i].queue * 256);
        }
        if (more)
            arg.cursor = value->next;
        mailsrv_asked_free(asked);
    }
}

void mail_check(struct mail *m)
{
    bool seen[MESSAGES_MAX] = { false };
    check_box(m, 0);
    check_box(m, 1);
    all_items(m, seen, NULL);
    for (size_t i = 0; i < m->n_items; i++) {
        struct item *item = &m->items[i];
        if (item->state == THERE && !seen[i])
            wrong(m, "a queue item is lost", item->number);
        if (!seen[i])
            item->state = GONE;
        item->version_perhaps = item->version;
    }
    raise_marks(m);
}

uint64_t mail_sum(struct mail *m)
{
    uint64_t sum = 1;
    struct opened opened;
    for (int account = 0; account < 2; account++) {
        if (open_box(m, account, &opened)) {
            add(&sum, opened.value.uidnext);
            add(&sum, opened.value.modseq);
            add(&sum, opened.value.uidvalidity);
            all_rows(m, account, &opened, NULL, &sum);
        }
        close_box(m, &opened);
    }
    all_items(m, NULL, &sum);
    return sum;
}
