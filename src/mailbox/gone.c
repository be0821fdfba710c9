/* What has gone from the image and was not told to a view yet: its numbers count it until it is.
 *
 * It is bounded while the view rests.  What was forgotten is found out again by asking CHANGES since the modseq before
 * the first of it.  That answer may hold more than what was forgotten: what this view was told already.  Their number
 * was kept, and if it is the same they are the same. */
#include "mailbox/view.h"

enum { GONE_OCTETS_MAX = 16 * 1024 };

bool mailsrv__view_settle(struct view *view)
{
    const mailsrv_run told = { 1, view->gone_told };
    if (view->n_gone_told == view->gone.count)
        mailsrv__runs_clear(&view->gone);
    else if (view->n_gone_told != 0 && !mailsrv__runs_remove(&view->gone, &told, 1))
        return false;
    view->gone_told = view->n_gone_told = 0;
    return true;
}

void mailsrv__view_forget(struct view *view)
{
    view->n_forgotten += view->gone.count - view->n_gone_told;
    view->forgot = view->n_forgotten != 0;
    view->gone_told = view->n_gone_told = 0;
    mailsrv__runs_clear(&view->gone);
}

static void bound(struct view *view)
{
    if (view->resting && !mailsrv__view_is_telling(view) && mailsrv__runs_octets(&view->gone) > GONE_OCTETS_MAX)
        mailsrv__view_forget(view);
}

/* The image gives up what it can do without before a session must end. */
static bool add(struct view *view, const mailsrv_run *runs, size_t n)
{
    do {
        if (mailsrv__view_settle(view) && mailsrv__runs_add(&view->gone, runs, n))
            return true;
    } while (mailsrv__image_spare(view->image));
    return false;
}

static void lose(struct view *view, const mailsrv_run *runs, size_t n)
{
    if (n == 0 || view->lost)
        return;
    if (!view->forgot && !add(view, runs, n)) {
        view->lost = !view->resting || mailsrv__view_is_telling(view);
        mailsrv__view_forget(view);
        view->forgot = true;
    }
    for (size_t i = 0; i < n && view->forgot; i++)
        view->n_forgotten += runs[i].last - runs[i].first + 1;
}

/* Only what the session knows of is missed. */
void mailsrv__view_lose(struct view *view, const mailsrv_run *hits, size_t n, uint64_t since)
{
    bool first = !view->forgot && view->gone.count == view->n_gone_told;
    uint32_t max_uid = HOLDS(RULE_MAX_UID) ? view->max_uid : UINT32_MAX;
    size_t whole = n;
    while (whole != 0 && hits[whole - 1].last > max_uid)
        whole--;
    if (HOLDS(RULE_GONE))
        lose(view, hits, whole);
    if (HOLDS(RULE_GONE) && whole != n && hits[whole].first <= max_uid)
        lose(view, &(mailsrv_run){ hits[whole].first, max_uid }, 1);
    if (first)
        view->gone_since = since;
    bound(view);
    if (view->lost)
        view->wake(view);
}

/* ---- Resting and using ---- */

void mailsrv__view_rest(struct view *view)
{
    view->resting = true;
    bound(view);
}

bool mailsrv__view_use(struct view *view)
{
    view->resting = false;
    if (view->forgot && !view->lost)
        mailsrv__image_goes_on(view->image);
    return !view->forgot && !view->lost;
}

bool mailsrv__view_recall(struct view *view, const mailsrv_run *runs, size_t n)
{
    return add(view, runs, n);
}

void mailsrv__view_recalled(struct view *view, bool all)
{
    view->lost = !all || view->gone.count != view->n_forgotten;
    view->forgot = false;
    view->n_forgotten = 0;
    view->wake(view);
}
