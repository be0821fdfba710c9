/* Changes of mailboxes and of what is in them. */
#include "mail_inside.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WORD(text) { (const uint8_t *)text, sizeof text - 1 }

const mailsrv_bytes mail_keywords[KEYWORDS] = { WORD("$Forwarded"), WORD("one"),   WORD("Two"),
                                                WORD("tHrEe"),      WORD("four!"), WORD("5") };

struct box *mail_some_box(struct mail *m, int account, uint64_t random)
{
    struct account *a = &m->known.accounts[account];
    struct box *box = &a->boxes[random % 3 != 0 ? random / 3 % a->n : 0];
    return box->state == THERE ? box : &a->boxes[0];
}

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

bool mail_open_store(struct mail *m, int account, struct opened *out)
{
    memset(out, 0, sizeof *out);
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    const mailsrv_store_opened *store = mail_hear(m, 0, MAILSRV_OP_STORE_OPEN, account, &arg, &out->store);
    out->store_handle = store != NULL ? store->store : 0;
    return store != NULL;
}

bool mail_open_box(struct mail *m, int account, const struct box *box, struct opened *out)
{
    if (!mail_open_store(m, account, out))
        return false;
    mailsrv_arg_mbox_open arg = {
        .size = sizeof arg, .for_writing = 1, .store = out->store_handle, .mailbox = box->id, .name = bytes("inBox")
    };
    const mailsrv_mbox_opened *value = mail_hear(m, 0, MAILSRV_OP_MBOX_OPEN, account, &arg, &out->mbox);
    if (value != NULL)
        out->value = *value;
    return value != NULL;
}

void mail_close_box(struct mail *m, struct opened *box)
{
    mailsrv_asked_free(box->mbox);
    mail_settle(m);
    mailsrv_asked_free(box->store);
    mail_settle(m);
}

static void was_answered(struct mail *m, int account, uint64_t modseq, const char *what)
{
    struct account *a = &m->known.accounts[account];
    m->answered++;
    if (modseq != 0 && modseq <= a->modseq_max)
        mail_wrong(m, what, (uint32_t)modseq);
    if (modseq > a->modseq_max)
        a->modseq_max = modseq;
}

static bool is_in(const struct message *message, const mailsrv_run *run)
{
    return message->uid >= run->first && message->uid <= run->last &&
           (message->state == THERE || message->state == PERHAPS_GONE);
}

static mailsrv_run some_run(const struct box *box, uint64_t random)
{
    uint32_t first = 1 + (uint32_t)(random >> 8) % (box->uid_max | (box->uid_max == 0));
    return (mailsrv_run){ first, first + (uint32_t)(random >> 4) % 4 };
}

/* Is one of them changing, and nobody knows to what? */
static bool is_open(const struct box *box, const mailsrv_run *run)
{
    for (size_t i = 0; i < box->n; i++)
        if (is_in(&box->messages[i], run) && box->messages[i].is_changing)
            return true;
    return false;
}

/* ---- EXPUNGE ---- */

/* Those of a run that are there may be gone from now on; or are. */
static void let_go(struct box *box, const mailsrv_run *run, bool only_deleted, enum fate_of from, enum fate_of to)
{
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (message->state == from && is_in(message, run) &&
            (!only_deleted || (message->marks.flags & MAILSRV_FLAG_DELETED) != 0))
            message->state = to;
    }
}

void mail_expunge(struct mail *m, uint64_t random)
{
    int account = random % 2 != 0;
    struct box *box = mail_some_box(m, account, random >> 20);
    struct opened opened;
    mailsrv_run run = some_run(box, random);
    if (mail_open_box(m, account, box, &opened) && box->uid_max != 0 && !is_open(box, &run)) {
        mailsrv_arg_expunge arg = {
            .size = sizeof arg, .only_deleted = random >> 40 & 1, .mbox = opened.value.mbox, .uids = &run, .n_uids = 1
        };
        mailsrv_asked *asked;
        let_go(box, &run, arg.only_deleted, THERE, PERHAPS_GONE);
        const mailsrv_expunged *value = mail_hear(m, 0, MAILSRV_OP_EXPUNGE, account, &arg, &asked);
        if (value != NULL) {
            let_go(box, &run, arg.only_deleted, PERHAPS_GONE, GONE);
            was_answered(m, account, value->modseq, "the modseq of an EXPUNGE was given before");
        }
        mailsrv_asked_free(asked);
    }
    mail_close_box(m, &opened);
}

/* ---- FLAGS ---- */

static uint32_t combine(int32_t how, uint32_t old, uint32_t given)
{
    return how == MAILSRV_FLAGS_ADD ? old | given : how == MAILSRV_FLAGS_REMOVE ? old & ~given : given;
}

/* What the change makes of those that it concerns. */
static void foresee(struct box *box, const mailsrv_arg_flags *arg, const struct marks *given)
{
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (!is_in(message, arg->uids) || message->modseq > arg->unchanged_since)
            continue;
        message->perhaps.flags = combine(arg->how, message->marks.flags, given->flags);
        message->perhaps.keywords = combine(arg->how, message->marks.keywords, given->keywords);
        atomic_signal_fence(memory_order_seq_cst);
        message->is_changing = memcmp(&message->perhaps, &message->marks, sizeof message->marks) != 0;
    }
}

static void it_came_so(struct box *box, const mailsrv_run *run, uint64_t modseq)
{
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (!is_in(message, run) || !message->is_changing)
            continue;
        message->marks = message->perhaps;
        message->modseq = modseq;
        atomic_signal_fence(memory_order_seq_cst);
        message->is_changing = false;
    }
}

void mail_flag(struct mail *m, uint64_t random)
{
    static const uint32_t flags[] = { MAILSRV_FLAG_SEEN, MAILSRV_FLAG_DELETED, MAILSRV_FLAG_FLAGGED, 0 };
    int account = random % 2 != 0;
    uint32_t keyword = (uint32_t)(random >> 32) % (2 * KEYWORDS);
    struct box *box = mail_some_box(m, account, random >> 20);
    struct opened opened;
    mailsrv_run run = some_run(box, random);
    struct marks given = { flags[random >> 36 & 3], keyword < KEYWORDS ? 1u << keyword : 0 };
    if (mail_open_box(m, account, box, &opened) && box->uid_max != 0 && !is_open(box, &run)) {
        mailsrv_arg_flags arg = { .size = sizeof arg, .how = (int32_t)(random >> 40) % 3, .mbox = opened.value.mbox };
        mailsrv_asked *asked;
        arg.uids = &run;
        arg.n_uids = 1;
        arg.flags = given.flags;
        arg.keywords = &mail_keywords[keyword % KEYWORDS];
        arg.n_keywords = keyword < KEYWORDS;
        arg.unchanged_since = (random >> 44 & 3) != 0 ? UINT64_MAX : box->messages[random % box->n].modseq;
        foresee(box, &arg, &given);
        const mailsrv_flagged *value = mail_hear(m, 0, MAILSRV_OP_FLAGS, account, &arg, &asked);
        if (value != NULL) {
            it_came_so(box, &run, value->modseq);
            was_answered(m, account, value->modseq, "the modseq of FLAGS was given before");
        }
        mailsrv_asked_free(asked);
    }
    mail_close_box(m, &opened);
}

/* ---- COPY and MOVE ---- */

/* Are all of them known to be there as they are? */
static bool is_sure(const struct box *box, const mailsrv_run *run)
{
    for (size_t i = 0; i < box->n; i++)
        if (is_in(&box->messages[i], run) && box->messages[i].state != THERE)
            return false;
    return !is_open(box, run);
}

static const struct message *with_uid(const struct box *box, uint32_t uid)
{
    for (size_t i = 0; i < box->n; i++)
        if (box->messages[i].uid == uid && box->messages[i].state == THERE)
            return &box->messages[i];
    return NULL;
}

/* Copies that may come to be, in the order of UIDs; the first of them. */
static size_t foresee_copies(struct mail *m, const struct box *from, const mailsrv_run *run, struct box *to)
{
    size_t first = to->n;
    uint32_t copy = ++m->last_number;
    for (uint32_t uid = run->first; uid <= run->last; uid++) {
        const struct message *message = with_uid(from, uid);
        if (message == NULL)
            continue;
        to->messages[to->n] = (struct message){ .state = PERHAPS, .number = message->number,
                                                .octets = message->octets, .marks = message->marks, .copy = copy };
        atomic_signal_fence(memory_order_seq_cst);
        to->n++;
    }
    return first;
}

static void take_copies(struct mail *m, int account, struct box *to, size_t first, const mailsrv_copied *value)
{
    size_t n = to->n - first;
    if (value->n_to != (n != 0) || (n != 0 && value->to[0].last - value->to[0].first + 1 != n)) {
        mail_wrong(m, "COPY answers another number of messages", (uint32_t)n);
        return;
    }
    uint32_t uid_max = to->uid_max;
    for (size_t i = 0; i < n; i++) {
        mail_was_given(m, account, to, &to->messages[first + i], value->to[0].first + (uint32_t)i, value->modseq);
        to->uid_max = value->to[0].first + (uint32_t)i;
    }
    if (n != 0 && value->to[0].first <= uid_max)
        mail_wrong(m, "a UID of a COPY was given before", uid_max);
}

/* What a MOVE takes may be gone from now on. */
static void let_move(struct box *box, const mailsrv_run *run, uint32_t move)
{
    for (size_t i = 0; i < box->n; i++)
        if (is_in(&box->messages[i], run))
            box->messages[i].move = move;
    let_go(box, run, false, THERE, PERHAPS_GONE);
}

static void has_moved(struct box *box, const mailsrv_run *run)
{
    let_go(box, run, false, PERHAPS_GONE, GONE);
    for (size_t i = 0; i < box->n; i++)
        box->messages[i].move = 0;
}

static void transfer(struct mail *m, uint64_t random, int32_t kind)
{
    bool moves = kind == MAILSRV_OP_MOVE;
    int account = random % 2 != 0;
    struct box *box = mail_some_box(m, account, random >> 20), *to = mail_some_box(m, account, random >> 28);
    struct opened opened;
    mailsrv_run run = some_run(box, random);
    if (mail_open_box(m, account, box, &opened) && box->uid_max != 0 && is_sure(box, &run) && mail_has_room(to, 20)) {
        mailsrv_arg_copy arg = {
            .size = sizeof arg, .n_uids = 1, .mbox = opened.value.mbox, .uids = &run, .to = to->id, .saved_us = 1
        };
        mailsrv_asked *asked;
        size_t first = foresee_copies(m, box, &run, to);
        if (moves)
            let_move(box, &run, m->last_number);
        const mailsrv_copied *value = mail_hear(m, 0, kind, account, &arg, &asked);
        if (value != NULL) {
            take_copies(m, account, to, first, value);
            if (moves)
                has_moved(box, &run);
            was_answered(m, account, 0, "");
            mail_raise_marks(m);
        }
        m->must_look = m->must_look || value == NULL; /* of two that are alike it is not known later which it was */
        mailsrv_asked_free(asked);
    }
    mail_close_box(m, &opened);
}

void mail_copy(struct mail *m, uint64_t random)
{
    transfer(m, random, MAILSRV_OP_COPY);
}

void mail_move(struct mail *m, uint64_t random)
{
    transfer(m, random, MAILSRV_OP_MOVE);
}

/* ---- Mailboxes ---- */

static void new_name(struct mail *m, char out[16])
{
    uint32_t number = ++m->last_number;
    snprintf(out, 16, number % 3 == 0 ? "inBOX/m%u" : "m/%u", number);
}

static void create(struct mail *m, int account, struct opened *store)
{
    struct account *a = &m->known.accounts[account];
    struct box *box = &a->boxes[a->n];
    mailsrv_asked *asked;
    if (a->n == BOXES_MAX)
        return;
    memset(box, 0, sizeof *box);
    new_name(m, box->name);
    box->state = PERHAPS;
    atomic_signal_fence(memory_order_seq_cst);
    a->n++;
    mailsrv_arg_mbox_create arg = { .size = sizeof arg, .store = store->store_handle, .name = bytes(box->name),
                                    .unix_us = 1000000 };
    const mailsrv_mbox_created *value = mail_hear(m, 0, MAILSRV_OP_MBOX_CREATE, account, &arg, &asked);
    if (value != NULL) {
        if (value->uidvalidity <= a->uidvalidity_max)
            mail_wrong(m, "a UIDVALIDITY was given before", value->uidvalidity);
        a->uidvalidity_max = value->uidvalidity;
        box->id = value->mailbox;
        box->uidvalidity = value->uidvalidity;
        box->looked_at = value->modseq;
        atomic_signal_fence(memory_order_seq_cst);
        box->state = THERE;
        was_answered(m, account, value->modseq, "the modseq of a CREATE was given before");
    }
    mailsrv_asked_free(asked);
}

static void rename_box(struct mail *m, int account, struct box *box, struct opened *store)
{
    char name[16];
    mailsrv_asked *asked;
    if (box->name_perhaps[0] != '\0' || box->subscribed || box->subscribed_perhaps) /* which stays with the name */
        return;
    new_name(m, name);
    strcpy(box->name_perhaps, name);
    mailsrv_arg_mbox_rename arg = {
        .size = sizeof arg, .store = store->store_handle, .mailbox = box->id, .name = bytes(name), .unix_us = 1000000
    };
    mail_hear(m, 0, MAILSRV_OP_MBOX_RENAME, account, &arg, &asked);
    if (mail_status_of(asked) == MAILSRV_OK) {
        strcpy(box->name, name);
        atomic_signal_fence(memory_order_seq_cst);
        box->name_perhaps[0] = '\0';
        was_answered(m, account, 0, "");
    }
    mailsrv_asked_free(asked);
}

static void subscribe(struct mail *m, int account, struct box *box, struct opened *store)
{
    mailsrv_asked *asked;
    if (box->name_perhaps[0] != '\0' || box->subscribed != box->subscribed_perhaps)
        return;
    box->subscribed_perhaps = !box->subscribed;
    mailsrv_arg_mbox_subscribe arg = { sizeof arg, box->subscribed_perhaps, store->store_handle, bytes(box->name) };
    mail_hear(m, 0, MAILSRV_OP_MBOX_SUBSCRIBE, account, &arg, &asked);
    if (mail_status_of(asked) == MAILSRV_OK) {
        box->subscribed = box->subscribed_perhaps;
        was_answered(m, account, 0, "");
    }
    mailsrv_asked_free(asked);
}

static void delete_box(struct mail *m, int account, struct box *box, struct opened *store)
{
    mailsrv_arg_mbox_delete arg = { sizeof arg, 0, store->store_handle, box->id };
    mailsrv_asked *asked;
    box->state = PERHAPS_GONE;
    mail_hear(m, 0, MAILSRV_OP_MBOX_DELETE, account, &arg, &asked);
    if (mail_status_of(asked) == MAILSRV_OK) {
        box->state = GONE;
        was_answered(m, account, 0, "");
    }
    mailsrv_asked_free(asked);
}

/* ---- RENAME of INBOX ---- */

void mail_empty_inbox(struct account *account)
{
    struct box *inbox = &account->boxes[0];
    for (size_t i = 0; i < inbox->n; i++)
        inbox->messages[i].state = GONE;
}

/* Is all that is in it known? */
static bool is_all_sure(const struct box *box)
{
    for (size_t i = 0; i < box->n; i++)
        if (box->messages[i].state == PERHAPS || box->messages[i].state == PERHAPS_GONE || box->messages[i].is_changing)
            return false;
    return true;
}

/* The mailbox that its messages are in, if it comes to be. */
static struct box *foresee_move(struct mail *m, struct account *a)
{
    struct box *box = &a->boxes[a->n];
    *box = a->boxes[0];
    do
        new_name(m, box->name);
    while (box->name[0] == 'i'); /* not below INBOX */
    box->state = PERHAPS;
    box->is_inbox_moved = true;
    box->subscribed = box->subscribed_perhaps = false;
    box->uidvalidity = 0;
    box->looked_at = box->looked_before = 0;
    for (size_t i = 0; i < box->n; i++) {
        box->messages[i].was_there = box->messages[i].was_there_before = false;
        box->messages[i].modseq = a->modseq_max;
        box->messages[i].is_moved = true;
    }
    atomic_signal_fence(memory_order_seq_cst);
    a->n++;
    return box;
}

static void move_inbox(struct mail *m, int account, struct opened *store)
{
    struct account *a = &m->known.accounts[account];
    struct opened inbox;
    mailsrv_asked *asked;
    if (a->n == BOXES_MAX || !is_all_sure(&a->boxes[0]))
        return;
    if (!mail_open_box(m, account, &a->boxes[0], &inbox)) {
        mail_close_box(m, &inbox);
        return;
    }
    struct box *box = foresee_move(m, a);
    mailsrv_arg_mbox_rename arg = { .size = sizeof arg, .store = store->store_handle, .mailbox = inbox.value.mailbox,
                                    .name = bytes(box->name), .unix_us = 1000000 };
    mail_hear(m, 0, MAILSRV_OP_MBOX_RENAME, account, &arg, &asked);
    m->must_look = true; /* also its id is not known yet */
    if (mail_status_of(asked) == MAILSRV_OK) {
        mail_empty_inbox(a);
        atomic_signal_fence(memory_order_seq_cst);
        box->is_inbox_moved = false;
        box->state = THERE;
        was_answered(m, account, 0, "");
    }
    mailsrv_asked_free(asked);
    mail_close_box(m, &inbox);
}

void mail_mailbox(struct mail *m, uint64_t random)
{
    int account = random % 2 != 0;
    struct account *a = &m->known.accounts[account];
    struct box *box = mail_some_box(m, account, random >> 8);
    struct opened store;
    if (mail_open_store(m, account, &store)) {
        if (box == &a->boxes[0] && (random >> 44) % 6 == 0)
            move_inbox(m, account, &store);
        else if (box == &a->boxes[0] || (random >> 40) % 3 == 0)
            create(m, account, &store);
        else if ((random >> 44) % 8 == 0)
            delete_box(m, account, box, &store);
        else if ((random >> 44) % 2 == 0)
            subscribe(m, account, box, &store);
        else
            rename_box(m, account, box, &store);
    }
    mail_close_box(m, &store);
}
