/* VANISHED (EARLIER): what has gone since a modseq that the client knows (RFC 7162 sections 3.2.5.1 and 3.2.6).
 *
 * The store says what vanished.  Where it does not remember that far, or does not answer, every UID that the client
 * may know and that is not there is said to have vanished: more than need be, and never less (section 3.2.5.2).  What
 * is in the view, gone or not, is left out: that is told when its number is. */
#include "imap/imap.h"

#include "imap/messages.h"

enum { PAGE = 256, LINE_FULL = 480, RUNS_MAX = 256, RUNS_A_UNIT = 8 };

static void drop_page(struct vanished *v)
{
    if (v->lent != NULL)
        mailsrv__lent_drop(v->lent);
    v->lent = NULL;
}

void mailsrv__imap_vanished_fini(struct vanished *v)
{
    drop_page(v);
    mailsrv__runs_clear(&v->gone);
}

static struct vanished *current(struct imap *p)
{
    return p->command.vanished;
}

/* ---- Lines ---- */

static bool flush(struct imap *p, struct vanished *v)
{
    if (v->line.n == 0)
        return true;
    struct writer line = { .p = v->room, .n = v->line.n, .room = sizeof v->room - 2 };
    v->line.n = 0;
    return mailsrv__imap_say(p, &line);
}

static bool put(struct imap *p, struct vanished *v, mailsrv_run run)
{
    if (v->line.n > LINE_FULL - 2 * sizeof "4294967295" && !flush(p, v))
        return false;
    v->line.p = v->room;
    v->line.room = LINE_FULL;
    mailsrv__write(&v->line, v->line.n == 0 ? SPAN("* VANISHED (EARLIER) ") : SPAN(","));
    mailsrv__imap_write_run(&v->line, run);
    return true;
}

static bool put_gone(struct imap *p, struct vanished *v)
{
    mailsrv_run run = { 0, 0 };
    bool good = true;
    while (good && run.last != UINT32_MAX && mailsrv__runs_next(&v->gone, run.last + 1, &run))
        good = put(p, v, run);
    mailsrv__spend(&p->session, v->n_gone / RUNS_A_UNIT);
    mailsrv__runs_clear(&v->gone);
    v->n_gone = 0;
    return good;
}

/* In order and as few as there are, wherever the store's pages end; what comes to be too many is said. */
static bool add(struct imap *p, struct vanished *v, mailsrv_run run)
{
    if (v->n_gone == RUNS_MAX && !put_gone(p, v))
        return false;
    if (!mailsrv__runs_add(&v->gone, &run, 1)) /* no memory */
        return put_gone(p, v) && put(p, v, run);
    v->n_gone++;
    return true;
}

/* ---- Which ---- */

/* The first run of the set that ends at or above `uid`; n: there is none. */
static uint32_t place_in(const struct set *set, uint32_t uid)
{
    uint32_t low = 0, high = set->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->runs[middle].last < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first run at or behind `from` that is there, or has gone and will be told. */
static bool next_there(const struct view *view, uint32_t from, mailsrv_run *out)
{
    mailsrv_run gone;
    bool is_there = mailsrv__runs_next(&view->image->uids, from, out);
    bool has_gone = mailsrv__runs_next(&view->gone, from, &gone);
    if (has_gone && (!is_there || gone.first < out->first))
        *out = gone;
    return is_there || has_gone;
}

/* What is known of the beginning of `left`, up to what is there; `left` goes on behind that.  False: nothing. */
static bool take_piece(const struct imap *p, struct vanished *v, mailsrv_run *out)
{
    mailsrv_run left = v->left, there;
    uint32_t i = place_in(v->known, left.first);
    v->left = (mailsrv_run){ 1, 0 };
    if (i == v->known->n || v->known->runs[i].first > left.last)
        return false;
    *out = v->known->runs[i];
    if (out->first < left.first)
        out->first = left.first;
    if (out->last > left.last)
        out->last = left.last;
    uint32_t end = out->last;
    if (next_there(&p->view, out->first, &there) && there.first <= end) {
        out->last = there.first - 1;
        end = there.last < end ? there.last : end;
    }
    if (end < left.last)
        v->left = (mailsrv_run){ end + 1, left.last };
    return out->first <= out->last;
}

/* ---- Pages ---- */

static enum step say_page(mailsrv_session *session);

static enum step end(struct imap *p)
{
    struct vanished *v = current(p);
    bool said = put_gone(p, v) && flush(p, v);
    mailsrv__imap_vanished_fini(v);
    return said ? v->then(&p->session) : STEP_CLOSE;
}

static enum step say_runs(struct imap *p, const mailsrv_run *runs, uint32_t n)
{
    struct vanished *v = current(p);
    v->runs = runs;
    v->n = n;
    v->at = 0;
    v->left = (mailsrv_run){ 1, 0 };
    return say_page(&p->session);
}

/* All that is not there, above what the client has shown to be there. */
static enum step say_missing(struct imap *p)
{
    struct vanished *v = current(p);
    drop_page(v);
    v->more = false;
    v->all = (mailsrv_run){ v->match + 1, mailsrv__view_uidnext(&p->view) - 1 };
    return v->match == UINT32_MAX ? end(p) : say_runs(p, &v->all, 1);
}

static enum step page_came(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct vanished *v = current(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_changes *page = answer->value;
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    if (answer->status != MAILSRV_OK || page->horizon > v->since ||
        (page->more != 0 && memcmp(&page->next, &v->cursor, sizeof v->cursor) == 0))
        return say_missing(p);
    v->cursor = page->next;
    v->more = page->more != 0;
    v->lent = mailsrv__take_lent(session, 0);
    return say_runs(p, page->vanished, page->n_vanished);
}

static enum step ask_page(struct imap *p)
{
    struct vanished *v = current(p);
    drop_page(v);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_CHANGES, 0);
    if (ask.op == NULL)
        return say_missing(p);
    mailsrv_arg_changes *arg = ask.arg;
    arg->mbox = p->mbox.value;
    arg->since = v->since;
    arg->limit = PAGE;
    arg->n_keywords = MAILSRV_KEYWORDS_MAX;
    arg->cursor = v->cursor;
    return mailsrv__then_answers(&p->session, page_came);
}

static enum step say_page(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct vanished *v = current(p);
    mailsrv_run piece;
    for (;;) {
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, say_page);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, say_page);
        mailsrv__spend(session, 1);
        if (v->left.first > v->left.last && v->at == v->n)
            return v->more ? ask_page(p) : end(p);
        if (v->left.first > v->left.last)
            v->left = v->runs[v->at++];
        else if (take_piece(p, v, &piece) && !add(p, v, piece))
            return STEP_CLOSE;
    }
}

enum step mailsrv__imap_say_vanished(struct imap *p, struct vanished *v, step_fn *then)
{
    p->command.vanished = v;
    v->then = then;
    mailsrv__runs_init(&v->gone, mailsrv__room_heap(p->session.engine), CLASS_IMAGES);
    return v->since < p->view.image->upto ? ask_page(p) : then(&p->session);
}
