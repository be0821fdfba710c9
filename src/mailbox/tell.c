/* Telling a session what has happened, one thing at a time: what has gone, what there is, names, flags. */
#include "mailbox/view.h"

/* A row that is older than the session's own silent change to it must not be told after that: the client would take the
 * old flags for the new ones. */
bool mailsrv__view_tell(struct view *view, enum tells tells)
{
    const struct image *image = view->image;
    if (view->writing != 0 || view->own > image->upto || image->state != IMAGE_LIVE || view->lost || view->forgot)
        return false;
    view->tells_all = tells == TELLS_ALL || !HOLDS(RULE_DEFERRED);
    view->told_modseq = false;
    view->upto = image->upto;
    view->end = image->journal.next;
    view->last = mailsrv__runs_last(&image->uids);
    view->uid = 0;
    view->phase = PHASE_GONE;
    return true;
}

struct view_now mailsrv__view_now(const struct view *view)
{
    return (struct view_now){ view->image->upto, view->image->journal.next };
}

void mailsrv__view_said_all(struct view *view, struct view_now then)
{
    view->told = view->told < then.modseq ? then.modseq : view->told;
    view->cursor = view->cursor < then.entries ? then.entries : view->cursor;
}

static bool then(struct view *view, enum phase phase)
{
    view->phase = phase;
    return false;
}

/* ---- What has gone ---- */

static void told_up_to(struct view *view, uint32_t uid, uint32_t n)
{
    view->gone_told = uid;
    view->n_gone_told += n;
}

/* The lowest first, so that no other one stands below it: its number is that of the image's rows before it, and one. */
static bool tell_expunge(struct view *view, mailsrv_run run, struct told *out)
{
    out->kind = TOLD_EXPUNGE;
    out->number = mailsrv__view_number(view, run.first);
    told_up_to(view, run.first, 1);
    return true;
}

static bool tell_vanished(struct view *view, mailsrv_run run, struct told *out)
{
    out->kind = TOLD_VANISHED;
    out->uids = run;
    told_up_to(view, run.last, run.last - run.first + 1);
    return true;
}

static bool tell_gone(struct view *view, struct told *out)
{
    mailsrv_run run;
    if (view->tells_all && view->gone_told != UINT32_MAX && mailsrv__runs_next(&view->gone, view->gone_told + 1, &run))
        return view->qresync ? tell_vanished(view, run, out) : tell_expunge(view, run, out);
    view->lost = !mailsrv__view_settle(view);
    return then(view, view->lost ? PHASE_NOTHING : PHASE_EXISTS);
}

/* ---- What there is ---- */

static bool tell_exists(struct view *view, struct told *out)
{
    view->phase = PHASE_NAMES;
    if (view->last <= view->max_uid)
        return false;
    uint32_t before = mailsrv__view_exists(view);
    view->max_uid = view->last;
    out->kind = TOLD_EXISTS;
    out->number = mailsrv__view_exists(view);
    return !HOLDS(RULE_MAX_UID) || out->number != before;
}

/* FLAGS and OK [PERMANENTFLAGS] come before the first FETCH that has the name. */
static bool tell_names(struct view *view, struct told *out)
{
    const struct journal *journal = &view->image->journal;
    view->phase = view->cursor >= journal->first ? PHASE_JOURNAL : PHASE_ROWS;
    if (view->n_names == view->image->n_names)
        return false;
    view->n_names = view->image->n_names;
    out->kind = TOLD_NAMES;
    return true;
}

/* ---- Flags ---- */

static bool fetch(struct view *view, uint32_t uid, const struct marks *marks, bool modseq_alone, struct told *out)
{
    out->kind = TOLD_FETCH;
    out->number = mailsrv__view_number(view, uid);
    out->uid = uid;
    out->marks = *marks;
    out->modseq_alone = modseq_alone;
    view->told_modseq = view->told_modseq || view->condstore;
    return true;
}

static bool tell_entry(struct view *view, const struct journal_entry *entry, struct told *out)
{
    const struct image *image = view->image;
    if (entry->uid > view->max_uid || !mailsrv__runs_has(&image->uids, entry->uid))
        return false;
    struct marks marks = mailsrv__image_marks(image, entry->uid);
    bool is_own = HOLDS(RULE_ORIGIN) && entry->origin == view->number;
    if (!is_own)
        return fetch(view, entry->uid, &marks, false, out);
    if (!view->condstore || marks.modseq != entry->modseq)
        return false; /* where it was changed once more, that entry tells it */
    return fetch(view, entry->uid, &marks, true, out);
}

static bool tell_journal(struct view *view, struct told *out)
{
    const struct journal *journal = &view->image->journal;
    if (view->cursor < journal->first)
        return then(view, PHASE_ROWS); /* fell off while it was telling */
    if (view->cursor >= view->end)
        return then(view, PHASE_HIGHEST);
    return tell_entry(view, mailsrv__journal_at(journal, view->cursor++), out);
}

/* The rows that have changed since flags were told. */
static bool tell_rows(struct view *view, struct told *out)
{
    const struct image *image = view->image;
    mailsrv_run run;
    if (view->uid >= view->max_uid || !mailsrv__runs_next(&image->uids, view->uid + 1, &run) ||
        run.first > view->max_uid) {
        view->cursor = view->cursor < view->end ? view->end : view->cursor;
        return then(view, PHASE_HIGHEST);
    }
    view->uid = run.first;
    struct marks marks = mailsrv__image_marks(image, view->uid);
    return marks.modseq > view->told && fetch(view, view->uid, &marks, false, out);
}

/* ---- The end: what has gone meanwhile came after what this telling covers ---- */

static bool tell_highest(struct view *view, struct told *out)
{
    view->phase = PHASE_NOTHING;
    view->told = view->upto;
    out->kind = TOLD_HIGHEST;
    out->highest = mailsrv__view_highest(view);
    return view->told_modseq;
}

static bool tell(struct view *view, struct told *out)
{
    switch (view->phase) {
    case PHASE_GONE:
        return tell_gone(view, out);
    case PHASE_EXISTS:
        return tell_exists(view, out);
    case PHASE_NAMES:
        return tell_names(view, out);
    case PHASE_JOURNAL:
        return tell_journal(view, out);
    case PHASE_ROWS:
        return tell_rows(view, out);
    case PHASE_HIGHEST:
        return tell_highest(view, out);
    default:
        return false;
    }
}

bool mailsrv__view_next(struct view *view, uint32_t *units, struct told *out)
{
    *out = (struct told){ 0 };
    if (view->lost)
        view->phase = PHASE_NOTHING; /* without all that is gone numbers mean nothing */
    while (mailsrv__view_is_telling(view) && *units != 0) {
        (*units)--;
        if (tell(view, out))
            return true;
    }
    return false;
}
