#include "imap/walk.h"

#include "imap/messages.h"

void mailsrv__walk_begin(struct walk *walk, const struct view *view, const struct set *set, bool by_uid)
{
    *walk = (struct walk){ .view = view, .set = set, .by_uid = by_uid };
}

static bool is_in(const struct walk *w, mailsrv_run run, uint32_t uid, uint32_t number)
{
    return (w->by_uid ? uid : number) <= run.last;
}

static bool enter(struct walk *w, mailsrv_run run)
{
    uint32_t uid = w->by_uid ? mailsrv__view_after(w->view, run.first - 1) : mailsrv__view_uid(w->view, run.first);
    if (uid == 0)
        return false;
    w->last = uid;
    w->number = mailsrv__view_number(w->view, uid);
    return is_in(w, run, w->last, w->number);
}

static bool go_on(struct walk *w, mailsrv_run run)
{
    uint32_t uid = mailsrv__view_after(w->view, w->last);
    if (uid == 0)
        return false;
    w->last = uid;
    w->number++;
    return is_in(w, run, w->last, w->number);
}

/* Of a view that is lost numbers mean nothing any more. */
enum walked mailsrv__walk_next(struct walk *w, struct member *out)
{
    if (w->i == w->set->n || w->view->lost)
        return WALK_END;
    mailsrv_run run = w->set->runs[w->i];
    if (!(w->last == 0 ? enter(w, run) : go_on(w, run))) {
        w->last = 0;
        w->i++;
        return WALK_NOTHING;
    }
    *out = (struct member){ w->last, w->number, mailsrv__view_is_gone(w->view, w->last) };
    return WALK_MEMBER;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t mailsrv__walk_together(const struct walk *w)
{
    mailsrv_run run;
    if (w->view->gone.count != 0 || !mailsrv__runs_next(&w->view->image->uids, w->last, &run) || run.first != w->last)
        return w->last;
    uint32_t left = w->set->runs[w->i].last - (w->by_uid ? w->last : w->number), there = run.last - w->last;
    return w->last + least(least(left, there), w->view->max_uid - w->last);
}

void mailsrv__walk_skip(struct walk *w, uint32_t n)
{
    w->last += n;
    w->number += n;
}

mailsrv_run mailsrv__walk_uids(const struct view *view, mailsrv_run run, bool by_uid)
{
    if (!by_uid)
        return (mailsrv_run){ mailsrv__view_uid(view, run.first), mailsrv__view_uid(view, run.last) };
    if (run.last > view->max_uid)
        run.last = view->max_uid;
    return run;
}

/* RFC 9051 section 9, seq-number: a number above those of the messages that there are, also "*" where there is none, is
 * BAD.  UIDs that nobody has are no error (section 6.4.9). */
bool mailsrv__imap_parse_numbers(struct imap *p, struct reader *r, bool by_uid, struct set *out)
{
    uint32_t exists = mailsrv__view_exists(&p->view);
    uint32_t star = by_uid && exists != 0 ? mailsrv__view_uid(&p->view, exists) : exists;
    if (!mailsrv__parse_sequence_set(r, star, out))
        return false;
    if (!by_uid && (out->n == 0 || out->runs[out->n - 1].last > exists))
        return mailsrv__parse_fails(r, "numbers of messages that there are");
    return true;
}

bool mailsrv__imap_parse_set(struct imap *p, struct reader *r, struct set *out)
{
    return mailsrv__imap_parse_numbers(p, r, p->command.by_uid, out);
}
