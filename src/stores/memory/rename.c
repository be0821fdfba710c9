/* RENAME: everything that needs memory first, then all at once. */
#include "memory.h"

#include <string.h>

/* A mailbox on its way to its new name. */
struct move {
    struct mailbox *mbox;
    struct name *to;
};

struct renaming {
    struct memory *m;
    struct account *a;
    struct name *from;
    const struct path *to;
    int64_t unix_us;
    struct move *moves;
    size_t n;
};

static bool moves(const struct renaming *r, const struct name *name)
{
    return name->mailbox != NULL && (name == r->from || mailsrv__memory_below(name, r->from->octets, r->from->n));
}

/* The name that a moving one gets.  False: it would be too long. */
static bool new_path(const struct renaming *r, const struct name *name, struct path *out)
{
    size_t rest = name->n - r->from->n;
    if (rest > MAILSRV_MBOX_NAME_MAX - r->to->n)
        return false;
    *out = *r->to;
    memcpy(out->octets + out->n, name->octets + r->from->n, rest);
    out->n += rest;
    return true;
}

/* May this name move?  Counts it, and the UIDVALIDITY that it may need. */
static int32_t plan(struct renaming *r, const struct name *name, uint32_t *left)
{
    struct path path;
    if (!new_path(r, name, &path))
        return MAILSRV_CANNOT;
    const struct name *taken = mailsrv__memory_name(r->a, &path);
    if (taken != NULL && taken->mailbox != NULL)
        return MAILSRV_ALREADYEXISTS;
    if (taken != NULL && taken->highest >= name->mailbox->uidvalidity && (*left)-- == 0)
        return MAILSRV_LIMIT;
    r->n++;
    return MAILSRV_OK;
}

static int32_t plan_all(struct renaming *r)
{
    uint32_t left = UINT32_MAX - r->a->last_uidvalidity;
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; status == MAILSRV_OK && i < r->a->n_names; i++)
        if (moves(r, r->a->names[i]))
            status = plan(r, r->a->names[i], &left);
    return status;
}

/* Names that are made shift the others, so that the mailboxes are written down first. */
static bool make_names(struct renaming *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->a->n_names; i++)
        if (moves(r, r->a->names[i]))
            r->moves[n++].mbox = r->a->names[i]->mailbox;
    for (size_t i = 0; i < n; i++) {
        struct path path;
        new_path(r, r->moves[i].mbox->name, &path);
        r->moves[i].to = mailsrv__memory_name_made(r->m, r->a, &path);
        if (r->moves[i].to == NULL)
            return false;
    }
    return true;
}

/* A name never bears a UIDVALIDITY again that it bore, nor a lower one (RFC 9051 section 2.3.1.1). */
static void move(const struct renaming *r, const struct move *move)
{
    struct mailbox *mbox = move->mbox;
    mbox->name->mailbox = NULL;
    mbox->name->modseq = r->a->modseq;
    if (move->to->highest >= mbox->uidvalidity)
        mbox->uidvalidity = mailsrv__memory_new_uidvalidity(r->a, r->unix_us);
    mailsrv__memory_give_name(mbox, move->to, r->a->modseq);
}

static int32_t rename_with_those_below(struct renaming *r)
{
    int32_t status = plan_all(r);
    if (status != MAILSRV_OK)
        return status;
    size_t octets = r->n * sizeof *r->moves;
    r->moves = mailsrv__memory_take(r->m, octets);
    if (r->moves == NULL || !make_names(r)) {
        mailsrv__memory_give(r->m, r->moves, octets);
        return MAILSRV_NOMEM;
    }
    r->a->modseq++;
    for (size_t i = 0; i < r->n; i++)
        move(r, &r->moves[i]);
    mailsrv__memory_give(r->m, r->moves, octets);
    mailsrv__memory_names_changed(r->m, r->a);
    return MAILSRV_OK;
}

/* ---- INBOX, whose messages are moved (RFC 9051 section 6.3.6) ---- */

/* The messages come into the other mailbox now, with UIDs of it. */
static void move_messages(const struct renaming *r, struct mailbox *from, struct mailbox *to)
{
    to->shelf = from->shelf;
    memset(&from->shelf, 0, sizeof from->shelf);
    for (size_t i = 0; i < to->shelf.n; i++) {
        mailsrv_row *row = &to->shelf.v[i]->row;
        mailsrv__memory_vanish(r->m, from, row->uid, r->a->modseq);
        row->uid = to->uidnext++;
        row->modseq = r->a->modseq;
        row->saved_us = r->unix_us;
    }
}

static int32_t rename_inbox(const struct renaming *r)
{
    struct mailbox *inbox = r->from->mailbox, *mbox;
    struct making how = { 0, 0, r->unix_us, inbox };
    int32_t status = mailsrv__memory_make_mailbox(r->m, r->a, r->to, &how, &mbox);
    if (status == MAILSRV_OK)
        move_messages(r, inbox, mbox);
    return status;
}

int32_t mailsrv__memory_mbox_rename(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_mbox_rename *arg = op->arg;
    const struct handle *store = mailsrv__memory_handle_find(m, arg->store, HANDLE_STORE);
    struct path path;
    if (store == NULL || !mailsrv__memory_path(arg->name, &path))
        return MAILSRV_CANNOT;
    struct mailbox *mbox = mailsrv__memory_mailbox(store->account, &arg->mailbox);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    if ((mbox->rights & MAILSRV_RIGHT_DELETE_BOX) == 0)
        return MAILSRV_NOPERM;
    struct renaming r = { m, store->account, mbox->name, &path, arg->unix_us, NULL, 0 };
    if (path.n > r.from->n && path.octets[r.from->n] == '/' && memcmp(path.octets, r.from->octets, r.from->n) == 0)
        return MAILSRV_CANNOT;
    return mbox == store->account->inbox ? rename_inbox(&r) : rename_with_those_below(&r);
}
