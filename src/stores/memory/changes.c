/* What became of a mailbox: the UIDs that vanished, as far back as they are remembered, then rows. */
#include "memory.h"

#include <string.h>

void mailsrv__memory_forget(struct memory *m, struct mailbox *mbox)
{
    struct history *h = &mbox->history;
    mailsrv__memory_give(m, h->v, h->room * sizeof *h->v);
    *h = (struct history){ .forgotten = h->forgotten + h->n, .horizon = mbox->account->modseq };
}

static bool reserve(struct memory *m, struct history *h)
{
    if (h->n < h->room)
        return true;
    size_t room = h->room == 0 ? 16 : h->room * 2;
    struct vanished *v = mailsrv__memory_take(m, room * sizeof *v);
    if (v == NULL)
        return false;
    if (h->n != 0)
        memcpy(v, h->v, h->n * sizeof *v);
    mailsrv__memory_give(m, h->v, h->room * sizeof *v);
    h->v = v;
    h->room = room;
    return true;
}

static void forget_oldest(struct history *h)
{
    h->horizon = h->v[0].modseq;
    h->forgotten++;
    h->n--;
    memmove(h->v, h->v + 1, h->n * sizeof *h->v);
}

void mailsrv__memory_vanish(struct memory *m, struct mailbox *mbox, uint32_t uid, uint64_t modseq)
{
    struct history *h = &mbox->history;
    uint64_t most = m->knobs[MAILSRV_MEMORY_HISTORY];
    while (h->n != 0 && h->n >= most)
        forget_oldest(h);
    if (most == 0 || !reserve(m, h)) {
        mailsrv__memory_forget(m, mbox);
        h->horizon = modseq;
        return;
    }
    h->v[h->n++] = (struct vanished){ uid, modseq };
}

/* ---- A page of vanished UIDs: the next of the history, sorted, as runs ---- */

static uint32_t add_sorted(mailsrv_run *runs, uint32_t n, uint32_t uid)
{
    uint32_t at = n;
    for (; at != 0 && runs[at - 1].first > uid; at--)
        runs[at] = runs[at - 1];
    runs[at] = (mailsrv_run){ uid, uid };
    return n + 1;
}

static uint32_t join(mailsrv_run *runs, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept != 0 && runs[kept - 1].last == runs[i].first - 1)
            runs[kept - 1].last = runs[i].last;
        else
            runs[kept++] = runs[i];
    }
    return kept;
}

/* `place->from` counts entries of the history since its beginning. */
static void tell_vanished(struct memory *m, const struct mailbox *mbox, const mailsrv_arg_changes *arg,
                          struct place *place, mailsrv_changes *to)
{
    const struct history *h = &mbox->history;
    uint32_t n = 0, most = mailsrv__memory_page(m, arg->limit);
    size_t i = place->from > h->forgotten ? (size_t)(place->from - h->forgotten) : 0;
    for (; i < h->n && n < most && h->v[i].modseq <= place->upto; i++)
        if (h->v[i].modseq > arg->since)
            n = add_sorted(m->page.runs, n, h->v[i].uid);
    place->from = h->forgotten + i;
    place->rows = i == h->n || h->v[i].modseq > place->upto;
    to->vanished = m->page.runs;
    to->n_vanished = join(m->page.runs, n);
}

/* ---- A page of rows ---- */

static bool tell_rows(struct memory *m, const struct mailbox *mbox, const mailsrv_arg_changes *arg, struct place *place,
                      mailsrv_changes *to)
{
    const struct shelf *shelf = &mbox->shelf;
    uint32_t most = mailsrv__memory_page(m, arg->limit);
    size_t at = mailsrv__memory_shelf_uid(shelf, place->from);
    to->rows = m->page.rows;
    for (; at < shelf->n && shelf->v[at]->row.uid < place->end; at++) {
        if (shelf->v[at]->row.modseq <= arg->since)
            continue;
        place->from = shelf->v[at]->row.uid;
        if (to->n == most)
            return true;
        m->page.rows[to->n++] = shelf->v[at]->row;
    }
    return false;
}

/* The next page; is there more? */
static bool tell(struct memory *m, const struct mailbox *mbox, const mailsrv_arg_changes *arg, struct place *place,
                 mailsrv_changes *to)
{
    if (mailsrv__memory_empty_first(m, place)) {
        place->empty_given = true;
        return true;
    }
    place->empty_given = false;
    if (place->rows)
        return tell_rows(m, mbox, arg, place, to);
    tell_vanished(m, mbox, arg, place, to);
    if (!place->rows)
        return true;
    place->from = 0;
    return to->n_vanished != 0 || tell_rows(m, mbox, arg, place, to);
}

int32_t mailsrv__memory_changes(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_changes *arg = op->arg;
    if (arg->mbox == 0)
        return mailsrv__memory_changes_of_names(m, arg, r);
    const struct mailbox *mbox = mailsrv__memory_opened(m, arg->mbox);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    struct place place = mailsrv__memory_place(&arg->cursor);
    if (mailsrv__memory_is_start(&arg->cursor)) {
        place.upto = mbox->account->modseq;
        place.end = mbox->uidnext;
    }
    mailsrv_changes *to = &r->value.changes;
    r->has_value = true;
    to->size = sizeof *to;
    to->stride = sizeof *to->rows;
    to->upto = place.upto;
    to->horizon = m->knobs[MAILSRV_MEMORY_HISTORY] != 0 ? mbox->history.horizon : place.upto;
    if (arg->n_keywords < mbox->n_keywords) {
        to->n_keywords = mbox->n_keywords - arg->n_keywords;
        to->keywords = mbox->keywords + arg->n_keywords;
    }
    to->more = tell(m, mbox, arg, &place, to);
    if (to->more)
        to->next = mailsrv__memory_cursor(place);
    return MAILSRV_OK;
}
