/* CREATE, DELETE, RENAME and SUBSCRIBE. */
#include "durable.h"

#include <string.h>

struct change {
    struct durable *d;
    struct task *task;
    mailsrv_id id; /* of the account */
    struct account account;
    uint64_t modseq; /* of the change */
    uint8_t text[MAILSRV_MBOX_NAME_MAX];
    mailsrv_bytes name; /* the text */
};

#define ATTRIBUTES 255u

static int32_t begin(struct change *c, struct durable *d, struct task *t, uint64_t store)
{
    const struct handle *h = mailsrv__durable_handle_find(d, store, HANDLE_STORE);
    memset(c, 0, sizeof *c);
    c->d = d;
    c->task = t;
    if (h == NULL)
        return MAILSRV_CANNOT;
    c->id = h->account;
    if (mailsrv__durable_account(&d->writer, &c->id, &c->account) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    c->modseq = c->account.modseq + 1;
    return MAILSRV_OK;
}

static int32_t take_name(struct change *c, mailsrv_bytes name)
{
    if (!mailsrv__durable_canonical(name, c->text))
        return MAILSRV_CANNOT;
    c->name = (mailsrv_bytes){ c->text, name.n };
    return MAILSRV_OK;
}

/* What is known of a name; MAILSRV_OK, and all zero, where that is nothing. */
static int32_t look_up(struct change *c, mailsrv_bytes name, struct name *out)
{
    int32_t status = mailsrv__durable_name(&c->d->writer, &c->id, name, out);
    return status == MAILSRV_OK || status == MAILSRV_NONEXISTENT ? MAILSRV_OK : mailsrv__durable_broken(c->d);
}

/* A mailbox of the account. */
static int32_t find(struct change *c, const mailsrv_id *mailbox, struct mailbox *mbox)
{
    int32_t status = mailsrv__durable_mailbox(&c->d->writer, mailbox, mbox);
    if (status == MAILSRV_OK && !mailsrv__durable_same(&mbox->account, &c->id))
        status = MAILSRV_NONEXISTENT;
    return status == MAILSRV_OK || status == MAILSRV_NONEXISTENT ? status : mailsrv__durable_broken(c->d);
}

/* Is there room for one name more? */
static int32_t has_room(struct change *c)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_NAME_COUNT, "d", &c->id);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int64_t n = result == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    if (result != SQLITE_ROW)
        return mailsrv__durable_broken(c->d);
    return n < NAMES_MAX + GONE_MAX ? MAILSRV_OK : MAILSRV_LIMIT;
}

static void put_begin(struct change *c, enum entry entry, const mailsrv_id *mailbox)
{
    mailsrv__durable_put_number(&c->d->record, entry, 1);
    mailsrv__durable_put_id(&c->d->record, &c->id);
    if (mailbox != NULL)
        mailsrv__durable_put_id(&c->d->record, mailbox);
}

static int32_t take_effect(struct change *c)
{
    return mailsrv__durable_take_effect(c->d) ? MAILSRV_OK : mailsrv__durable_broken(c->d);
}

/* ---- Names that are gone are remembered, but not all for ever ---- */

static void put_gone(struct change *c, mailsrv_bytes text, uint64_t modseq, uint32_t uidvalidity)
{
    struct buffer *to = &c->d->record;
    mailsrv__durable_put_number(to, ENTRY_GONE, 1);
    mailsrv__durable_put_number(to, TOMB_NAME, 1);
    mailsrv__durable_put_number(to, 0, 8);
    mailsrv__durable_put_id(to, &c->id);
    mailsrv__durable_put_number(to, modseq, 8);
    mailsrv__durable_put_number(to, uidvalidity, 8);
    mailsrv__durable_put_bytes(to, text);
}

/* A name becomes known.  Of one that was forgotten the log may still have that it was subscribed, and not that it is so
 * no more. */
static void put_new_name(struct change *c, mailsrv_bytes text, const struct name *before)
{
    if (before->number == 0)
        put_gone(c, text, 0, 0);
}

static int64_t count_gone(struct change *c)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_NAME_GONE, "d", &c->id);
    int64_t n = row != NULL && sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int64(row, 0) : -1;
    sqlite3_reset(row);
    return n;
}

/* A change has made names that have neither a mailbox nor a subscription: it ends with forgetting the oldest. */
static int32_t forget_oldest(struct change *c, int32_t status)
{
    struct name name;
    int64_t n = status == MAILSRV_OK ? count_gone(c) : 0;
    for (; n > GONE_MAX && status == MAILSRV_OK; n--) {
        if (mailsrv__durable_oldest_gone(&c->d->writer, &c->id, &name) != MAILSRV_OK)
            return mailsrv__durable_broken(c->d);
        put_gone(c, mailsrv__durable_name_text(&name), name.modseq, name.uidvalidity);
        status = take_effect(c);
    }
    return n >= 0 ? status : mailsrv__durable_broken(c->d);
}

/* ---- CREATE ---- */

static int32_t put_mailbox(struct change *c, const mailsrv_mbox_created *made, uint32_t attributes)
{
    put_begin(c, ENTRY_MAILBOX, &made->mailbox);
    mailsrv__durable_put_number(&c->d->record, made->uidvalidity, 4);
    mailsrv__durable_put_number(&c->d->record, c->modseq, 8);
    mailsrv__durable_put_number(&c->d->record, attributes, 4);
    mailsrv__durable_put_bytes(&c->d->record, c->name);
    return take_effect(c);
}

static uint32_t borne_by(const struct change *c, const struct name *name)
{
    return name->uidvalidity != 0 ? name->uidvalidity : c->account.forgotten_uidvalidity;
}

/* INBOX has been there from the beginning; no client knows a UID of it. */
static int32_t import_inbox(struct change *c, uint32_t uidvalidity)
{
    struct mailbox mbox;
    mailsrv_mbox_created *made = &c->task->value.created;
    int32_t status = find(c, &c->account.inbox, &mbox);
    if (status == MAILSRV_OK && mbox.uidnext != 1)
        status = MAILSRV_ALREADYEXISTS;
    if (status == MAILSRV_OK)
        status = mailsrv__durable_renumber_as(c->d, &c->account.inbox, &mbox, uidvalidity);
    if (status != MAILSRV_OK)
        return status;
    *made = (mailsrv_mbox_created){ sizeof *made, uidvalidity, c->account.inbox, c->account.modseq };
    c->task->answer.value = made;
    return MAILSRV_OK;
}

static int32_t make(struct change *c, const mailsrv_arg_mbox_create *arg, const struct name *name)
{
    mailsrv_mbox_created *made = &c->task->value.created;
    int32_t status = has_room(c);
    if (status == MAILSRV_OK && arg->uidvalidity != 0 && arg->uidvalidity <= borne_by(c, name))
        status = MAILSRV_ALREADYEXISTS;
    if (status != MAILSRV_OK)
        return status;
    made->size = sizeof *made;
    made->uidvalidity =
        arg->uidvalidity != 0 ? arg->uidvalidity : mailsrv__durable_new_uidvalidity(&c->account, arg->unix_us);
    made->mailbox = mailsrv__durable_new_id(c->d);
    made->modseq = c->modseq;
    c->task->answer.value = made;
    if (made->uidvalidity == 0)
        return MAILSRV_LIMIT;
    return put_mailbox(c, made, (name->attributes & MAILSRV_NAME_SUBSCRIBED) | (arg->attributes & ATTRIBUTES));
}

int32_t mailsrv__durable_mbox_create(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_create *arg = t->op->arg;
    struct change c;
    struct name name;
    int32_t status = begin(&c, d, t, arg->store);
    if (status == MAILSRV_OK)
        status = take_name(&c, arg->name);
    if (status == MAILSRV_OK)
        status = look_up(&c, c.name, &name);
    if (status != MAILSRV_OK)
        return status;
    if (mailsrv__durable_no_id(&name.mailbox))
        return make(&c, arg, &name);
    if (arg->uidvalidity == 0 || !mailsrv__durable_same(&name.mailbox, &c.account.inbox))
        return MAILSRV_ALREADYEXISTS;
    return import_inbox(&c, arg->uidvalidity);
}

/* ---- DELETE ---- */

int32_t mailsrv__durable_mbox_delete(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_delete *arg = t->op->arg;
    struct change c;
    struct mailbox mbox;
    int32_t status = begin(&c, d, t, arg->store);
    if (status == MAILSRV_OK && mailsrv__durable_same(&arg->mailbox, &c.account.inbox))
        status = MAILSRV_CANNOT;
    if (status == MAILSRV_OK)
        status = find(&c, &arg->mailbox, &mbox);
    if (status != MAILSRV_OK)
        return status;
    put_begin(&c, ENTRY_MAILBOX_DELETE, &arg->mailbox);
    mailsrv__durable_put_number(&d->record, c.modseq, 8);
    mailsrv__durable_touch(t, &arg->mailbox, c.modseq);
    d->has_dead = true;
    return forget_oldest(&c, take_effect(&c));
}

/* ---- RENAME ---- */

/* The UIDVALIDITY of a mailbox under a name: a new one where that name bore its own or a higher one, so that no client
 * takes it for what was there (RFC 9051 section 2.3.1.1).  0: there are no more. */
static uint32_t uidvalidity_under(struct change *c, const struct name *name, uint32_t own, int64_t unix_us)
{
    if (own > borne_by(c, name))
        return own;
    uint32_t fresh = mailsrv__durable_new_uidvalidity(&c->account, unix_us);
    c->account.uidvalidity = fresh;
    return fresh;
}

/* Does the name begin with those levels? */
static bool lies_below(mailsrv_bytes name, mailsrv_bytes above)
{
    return name.n > above.n && name.p[above.n] == '/' && memcmp(name.p, above.p, above.n) == 0;
}

/* One mailbox of those that are renamed: its new name begins with the change's instead of `old`.  A mailbox that has
 * the new name is in the way, unless it is renamed as well, which has been done by then. */
static int32_t rename_one(struct change *c, const struct name *old, size_t n_old, int64_t unix_us)
{
    struct name name;
    struct mailbox mbox;
    uint8_t text[MAILSRV_MBOX_NAME_MAX];
    size_t n_rest = old->n - n_old;
    if (c->name.n + n_rest > sizeof text)
        return MAILSRV_CANNOT;
    memcpy(text, c->text, c->name.n);
    memcpy(text + c->name.n, old->text + n_old, n_rest);
    mailsrv_bytes now = { text, c->name.n + n_rest };
    int32_t status = look_up(c, now, &name);
    if (status == MAILSRV_OK && !mailsrv__durable_no_id(&name.mailbox))
        status = MAILSRV_ALREADYEXISTS;
    if (status == MAILSRV_OK)
        status = find(c, &old->mailbox, &mbox);
    if (status != MAILSRV_OK)
        return status;
    uint32_t uidvalidity = uidvalidity_under(c, &name, mbox.uidvalidity, unix_us);
    if (uidvalidity == 0)
        return MAILSRV_LIMIT;
    if (uidvalidity != mbox.uidvalidity)
        mailsrv__durable_touch(c->task, &old->mailbox, c->modseq);
    put_new_name(c, now, &name);
    put_begin(c, ENTRY_RENAME, &old->mailbox);
    mailsrv__durable_put_number(&c->d->record, c->modseq, 8);
    mailsrv__durable_put_number(&c->d->record, uidvalidity, 4);
    mailsrv__durable_put_bytes(&c->d->record, now);
    return take_effect(c);
}

/* The mailboxes below a name, the shortest names first, so that none is in another's way.  As memory of the task. */
static int32_t list_below(struct change *c, const struct name *above, struct name **out, size_t *n)
{
    uint8_t from[MAILSRV_MBOX_NAME_MAX + 1], to[MAILSRV_MBOX_NAME_MAX + 1];
    size_t room = 0;
    int32_t status = MAILSRV_OK;
    memcpy(from, above->text, above->n);
    memcpy(to, above->text, above->n);
    from[above->n] = '/';
    to[above->n] = '/' + 1;
    *n = 0;
    *out = NULL;
    sqlite3_stmt *row = mailsrv__durable_ask(&c->d->writer, SQL_NAME_BELOW, "dbb", &c->id,
                                             (mailsrv_bytes){ from, above->n + 1 },
                                             (mailsrv_bytes){ to, above->n + 1 });
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; status == MAILSRV_OK && result == SQLITE_ROW; result = sqlite3_step(row)) {
        if (*n == room) {
            struct name *v = mailsrv__durable_room(c->task, (room = room * 2 + 8) * sizeof *v);
            if (v != NULL && *n != 0)
                memcpy(v, *out, *n * sizeof *v);
            *out = v;
        }
        if (*out != NULL)
            mailsrv__durable_name_take(row, &(*out)[(*n)++]);
        else
            status = MAILSRV_NOMEM;
    }
    sqlite3_reset(row);
    if (status == MAILSRV_OK && result != SQLITE_DONE)
        status = mailsrv__durable_broken(c->d);
    return status;
}

static int32_t rename_all(struct change *c, const struct name *old, int64_t unix_us)
{
    struct name *below;
    size_t n;
    if (lies_below(c->name, mailsrv__durable_name_text(old)))
        return MAILSRV_CANNOT;
    int32_t status = list_below(c, old, &below, &n);
    if (status == MAILSRV_OK)
        status = rename_one(c, old, old->n, unix_us);
    for (size_t i = 0; i < n && status == MAILSRV_OK; i++)
        status = rename_one(c, &below[i], old->n, unix_us);
    return forget_oldest(c, status);
}

/* The messages of INBOX go into a new mailbox, and what lies below it stays (RFC 9051 section 6.3.6). */
static int32_t move_inbox(struct change *c, int64_t unix_us)
{
    struct durable *d = c->d;
    struct name name;
    if (lies_below(c->name, (mailsrv_bytes){ (const uint8_t *)"INBOX", 5 }))
        return MAILSRV_CANNOT;
    int32_t status = look_up(c, c->name, &name);
    if (status == MAILSRV_OK && !mailsrv__durable_no_id(&name.mailbox))
        status = MAILSRV_ALREADYEXISTS;
    if (status != MAILSRV_OK)
        return status;
    uint32_t uidvalidity = mailsrv__durable_new_uidvalidity(&c->account, unix_us);
    if (uidvalidity == 0)
        return MAILSRV_LIMIT;
    status = mailsrv__durable_compact_before_bulk(d);
    if (status != MAILSRV_OK)
        return status;
    mailsrv_id mailbox = mailsrv__durable_new_id(d);
    put_new_name(c, c->name, &name);
    put_begin(c, ENTRY_INBOX_MOVED, &c->account.inbox);
    mailsrv__durable_put_id(&d->record, &mailbox);
    mailsrv__durable_put_number(&d->record, c->modseq, 8);
    mailsrv__durable_put_number(&d->record, uidvalidity, 4);
    mailsrv__durable_put_bytes(&d->record, c->name);
    mailsrv__durable_touch(c->task, &c->account.inbox, c->modseq);
    return take_effect(c);
}

int32_t mailsrv__durable_mbox_rename(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_rename *arg = t->op->arg;
    struct change c;
    struct mailbox mbox;
    struct name old;
    int32_t status = begin(&c, d, t, arg->store);
    if (status == MAILSRV_OK)
        status = take_name(&c, arg->name);
    if (status == MAILSRV_OK)
        status = find(&c, &arg->mailbox, &mbox);
    if (status == MAILSRV_OK)
        status = has_room(&c);
    if (status != MAILSRV_OK)
        return status;
    if (mailsrv__durable_same(&arg->mailbox, &c.account.inbox))
        return move_inbox(&c, arg->unix_us);
    if (mailsrv__durable_name_of(&d->writer, &arg->mailbox, &old) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    return rename_all(&c, &old, arg->unix_us);
}

/* ---- SUBSCRIBE ---- */

int32_t mailsrv__durable_mbox_subscribe(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_subscribe *arg = t->op->arg;
    struct change c;
    struct name name;
    int32_t status = begin(&c, d, t, arg->store);
    if (status == MAILSRV_OK)
        status = take_name(&c, arg->name);
    if (status == MAILSRV_OK)
        status = look_up(&c, c.name, &name);
    if (status == MAILSRV_OK && arg->on != 0)
        status = has_room(&c);
    if (status != MAILSRV_OK || ((name.attributes & MAILSRV_NAME_SUBSCRIBED) != 0) == (arg->on != 0))
        return status;
    put_new_name(&c, c.name, &name);
    put_begin(&c, ENTRY_SUBSCRIBE, NULL);
    mailsrv__durable_put_number(&d->record, c.modseq, 8);
    mailsrv__durable_put_number(&d->record, arg->on != 0, 1);
    mailsrv__durable_put_bytes(&d->record, c.name);
    return forget_oldest(&c, take_effect(&c));
}
