/* What the commands about messages share. */
#include "imap/messages.h"

static uint32_t add(struct uids *u, mailsrv_run run, uint32_t most)
{
    uint32_t n = run.last - run.first + 1, left = most - u->n_uids;
    n = n < left ? n : left;
    if (n == 0)
        return 0;
    run.last = run.first + n - 1;
    if (u->n_runs != 0 && u->runs[u->n_runs - 1].last == run.first - 1)
        u->runs[u->n_runs - 1].last = run.last;
    else if (u->n_runs == UID_RUNS_MAX)
        return 0;
    else
        u->runs[u->n_runs++] = run;
    u->n_uids += n;
    return n;
}

bool mailsrv__uids_add(struct uids *u, uint32_t uid)
{
    return add(u, (mailsrv_run){ uid, uid }, UIDS_MAX) != 0;
}

uint32_t mailsrv__uids_add_run(struct uids *u, mailsrv_run run)
{
    return add(u, run, FLAGS_UIDS_MAX);
}

const mailsrv_run *mailsrv__uids_copy(const struct uids *u, struct ask *ask)
{
    mailsrv_run *runs = mailsrv__ask_room(ask, u->n_runs * sizeof *runs);
    memcpy(runs, u->runs, u->n_runs * sizeof *runs);
    return runs;
}

bool mailsrv__imap_ask_rows(struct imap *p, ask_fn *how, const struct uids *u, const mailsrv_arg_rows *wanted)
{
    struct ask ask = how(&p->session, MAILSRV_OP_ROWS, mailsrv__uids_octets(u));
    if (ask.op == NULL)
        return false;
    mailsrv_arg_rows *arg = ask.arg;
    arg->mbox = p->mbox.value;
    arg->uids = mailsrv__uids_copy(u, &ask);
    arg->n_uids = u->n_runs;
    arg->fields = wanted->fields;
    arg->limit = wanted->limit;
    arg->cursor = wanted->cursor;
    return true;
}

size_t mailsrv__keywords_octets(const struct flags *flags)
{
    size_t octets = mailsrv__ask_octets(flags->n_keywords * sizeof *flags->keywords);
    for (uint32_t i = 0; i < flags->n_keywords; i++)
        octets += mailsrv__ask_octets(flags->keywords[i].n);
    return octets;
}

const mailsrv_bytes *mailsrv__keywords_copy(const struct flags *flags, struct ask *ask)
{
    mailsrv_bytes *names = mailsrv__ask_room(ask, flags->n_keywords * sizeof *names);
    for (uint32_t i = 0; i < flags->n_keywords; i++)
        names[i] = mailsrv__ask_copy(ask, mailsrv__span(flags->keywords[i]));
    return names;
}

void mailsrv__failure_keep(struct failure *f, int32_t status, struct span text)
{
    if (status == MAILSRV_OK || f->status != MAILSRV_OK)
        return;
    f->status = status;
    f->n = text.n < REFUSAL_OCTETS ? text.n : REFUSAL_OCTETS;
    if (f->n != 0)
        memcpy(f->text, text.p, f->n);
}

enum step mailsrv__failure_end(struct imap *p, const struct failure *f)
{
    return mailsrv__imap_refuse(p, f->status, (struct span){ f->text, f->n });
}

enum step mailsrv__imap_expunge_issued(struct imap *p)
{
    return mailsrv__imap_done(
        p, (struct reply){ END_NO, SPAN("[EXPUNGEISSUED]"), SPAN("some of the messages have been expunged") });
}

void mailsrv__imap_leave_untold(const struct imap *p, struct marks *marks)
{
    for (uint32_t word = 0; word < 2; word++) {
        uint32_t first = word * 64, told = p->view.n_names;
        if (told <= first)
            marks->keywords[word] = 0;
        else if (told < first + 64)
            marks->keywords[word] &= (UINT64_C(1) << (told - first)) - 1;
    }
}

bool mailsrv__imap_told_marks(const struct imap *p, uint32_t uid, struct marks *out)
{
    if (!mailsrv__view_marks(&p->view, uid, out))
        return false;
    mailsrv__imap_leave_untold(p, out);
    return true;
}

uint64_t mailsrv__imap_range_octets(const mailsrv_session *session)
{
    uint64_t window = mailsrv__setting(session, MAILSRV_PROFILE_WINDOW_OCTETS) / 2;
    uint64_t share = mailsrv__setting(session, MAILSRV_PROFILE_SESSION_OCTETS_MAX) / 12;
    uint64_t most = window < share ? window : share;
    return most < RANGE_MOST ? most : RANGE_MOST;
}
