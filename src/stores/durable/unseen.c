/* Groups that are durable and answered, and that nobody can see yet.
 *
 * To end a transaction of the index costs more than to add a message in it: each of its pages, a dozen for one message,
 * gets a checksum and is written.  So the transaction of a group of COMMITs stays open for those that follow, until
 * somebody wants to read of an account that it changed: then the reader waits for its end.  What must see or move more
 * than new messages ends it, too, and so do ROWS_MAX messages.  Where somebody reads, or has a mailbox open that gets
 * some, a while goes by before this is tried again: there, each group is visible when it is answered.
 *
 * What such a transaction has is in the log.  Where it cannot be committed, it is applied from there once more.  On a
 * full disk that must not fail: so it takes no more room than a quarter of what is reserved. */
#include "durable.h"

#define ROWS_MAX 1000 /* messages; also those that the index has to be given after the process died */
#define EAGER 64      /* groups, after somebody had to wait */

/* Room that a transaction takes at most: pages that all share, and those of each mailbox (the leaves of its last
 * messages, of their marks, of its row and its account's), and what comes into them, with what a page leaves free. */
#define SHARED_OCTETS 65536
#define MAILBOX_OCTETS 16384
#define ITEM_OCTETS 8192 /* of an item of the queue: the leaves of its time and its lane */
#define RECORD_TIMES 2

/* With the lock: will somebody ask as soon as it is answered? */
static bool is_watched(struct durable *d, const struct task *first)
{
    for (const struct task *t = first; t != NULL; t = t->next)
        for (const struct touched *touched = t->touched; touched != NULL; touched = touched->next)
            if (mailsrv__durable_handle_next(d, &touched->mailbox, NULL) != NULL)
                return true;
    return false;
}

/* The mailboxes that some change, and how many of them others have not. */
static uint32_t add_mailboxes(struct changed_accounts *to, const struct task *first)
{
    uint32_t n = 0;
    for (const struct task *t = first; t != NULL; t = t->next)
        for (const struct touched *touched = t->touched; touched != NULL; touched = touched->next) {
            n += !mailsrv__durable_known_is_marked(to, &touched->mailbox);
            mailsrv__durable_known_mark(to, &touched->mailbox);
        }
    return n;
}

static uint64_t rows_of(const struct task *first)
{
    uint64_t n = 0;
    for (const struct task *t = first; t != NULL; t = t->next)
        n += ((const mailsrv_arg_body_commit *)t->op->arg)->n_targets;
    return n;
}

static uint64_t items_of(const struct task *first)
{
    uint64_t n = 0;
    for (const struct task *t = first; t != NULL; t = t->next) {
        const mailsrv_arg_body_commit *arg = t->op->arg;
        for (uint32_t i = 0; i < arg->n_targets; i++)
            n += mailsrv__durable_target_at(arg, i)->kind == MAILSRV_TARGET_QUEUE;
    }
    return n;
}

/* With the lock. */
static bool has_room(struct durable *d, const struct task *first, uint64_t records)
{
    struct unseen *u = &d->unseen;
    u->octets += (u->octets == 0 ? SHARED_OCTETS : 0) + RECORD_TIMES * records;
    u->octets += (uint64_t)add_mailboxes(&u->mailboxes, first) * MAILBOX_OCTETS + items_of(first) * ITEM_OCTETS;
    return u->rows + rows_of(first) <= ROWS_MAX && u->octets <= d->reserve_octets / 4;
}

bool mailsrv__durable_unseen_may_add(struct durable *d, const struct task *first, uint64_t records)
{
    struct unseen *u = &d->unseen;
    pthread_mutex_lock(&d->lock);
    const bool is_eager = u->eager != 0 || u->is_wanted || is_watched(d, first);
    const bool may = !is_eager && has_room(d, first, records);
    u->eager -= u->eager != 0;
    u->rows += may ? rows_of(first) : 0;
    pthread_mutex_unlock(&d->lock);
    return may;
}

void mailsrv__durable_unseen_changes(struct durable *d, const struct changed_accounts *changed)
{
    struct changed_accounts more;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < sizeof more.bits / sizeof *more.bits; i++) {
        more.bits[i] = changed->bits[i] & ~d->unseen.accounts.bits[i];
        d->unseen.accounts.bits[i] |= more.bits[i];
    }
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_known_ends(d, &more);
}

void mailsrv__durable_unseen_ends(struct durable *d)
{
    struct unseen *u = &d->unseen;
    pthread_mutex_lock(&d->lock);
    const struct changed_accounts all = u->accounts;
    *u = (struct unseen){ .eager = u->is_wanted ? EAGER : u->eager };
    pthread_cond_broadcast(&d->calm);
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_known_begins(d, &all);
}

void mailsrv__durable_unseen_fails(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    const bool is_answered = d->unseen.rows != 0;
    d->unseen.is_lost = is_answered;
    d->unseen.is_wanted = false;
    pthread_cond_broadcast(&d->calm);
    pthread_mutex_unlock(&d->lock);
    if (!is_answered)
        mailsrv__durable_unseen_ends(d);
}

bool mailsrv__durable_unseen_is_wanted(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    const bool is_wanted = d->unseen.is_wanted;
    pthread_mutex_unlock(&d->lock);
    return is_wanted;
}

/* Whose rows of the index a reader is about to look at; false: nobody's that a COMMIT changes. */
static bool account_of(struct durable *d, const struct task *t, mailsrv_id *out)
{
    *out = (mailsrv_id){ { 0 } };
    switch (t->kind) {
    case KIND_FIND_ACCOUNT:
    case KIND_LOOK_AHEAD: /* what is not there yet is looked up when it is asked for */
    case MAILSRV_OP_BODY_WRITE:
    case MAILSRV_OP_STORE_OPEN:
        return false;
    case MAILSRV_OP_READ:
        if (((const mailsrv_arg_read *)t->op->arg)->handle != 0) /* an open one knows where it is */
            return false;
        break;
    default:
        break;
    }
    mailsrv__durable_handle_account(d, mailsrv__durable_handle_of(t->op), out);
    return true;
}

/* With the lock. */
static bool concerns(const struct durable *d, const mailsrv_id *account)
{
    if (d->unseen.rows == 0)
        return false;
    return mailsrv__durable_no_id(account) || mailsrv__durable_known_is_marked(&d->unseen.accounts, account);
}

int32_t mailsrv__durable_unseen_wait(struct durable *d, const struct task *t)
{
    struct unseen *u = &d->unseen;
    mailsrv_id account;
    if (!account_of(d, t, &account))
        return MAILSRV_OK;
    pthread_mutex_lock(&d->lock);
    while (concerns(d, &account) && !u->is_lost && !d->ending) {
        u->is_wanted = true;
        pthread_cond_signal(&d->writes.work);
        pthread_cond_wait(&d->calm, &d->lock);
    }
    const bool waits = concerns(d, &account);
    pthread_mutex_unlock(&d->lock);
    return waits ? MAILSRV_TEMP : MAILSRV_OK;
}
