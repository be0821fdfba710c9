#include "model.h"

static void woken(struct view *view)
{
    (void)view; /* every session is looked at again and again */
}

static void comes(struct model *m, struct session *s)
{
    mailsrv_engine *e = m->engines[s->engine];
    if (mailsrv__view_open(&s->view, e, &m->truth->account, &m->truth->inbox, woken) != MAILSRV_OK)
        return;
    s->doing = LOADING;
    m->kept += s->view.image->state == IMAGE_OPENING && s->view.image->finished != 0;
}

void session_goes(struct model *m, struct session *s)
{
    m->lost += s->view.lost;
    mailsrv__view_close(&s->view);
    s->doing = OUT;
    s->recalling = false;
}

/* Between commands numbers are not needed. */
static void rests(struct model *m, struct session *s)
{
    client_rests(m, s);
    mailsrv__view_rest(&s->view);
    s->doing = IDLE;
}

static void loads(struct model *m, struct session *s)
{
    int32_t status = mailsrv__view_status(&s->view);
    if (status == MAILSRV_MORE)
        return;
    if (status != MAILSRV_OK) {
        session_goes(m, s);
        return;
    }
    mailsrv__view_select(&s->view);
    s->view.condstore = below(m, 2) == 0;
    s->view.qresync = s->view.condstore && below(m, 2) == 0;
    s->n = 0;
    s->highest = 0;
    if (mailsrv__view_exists(&s->view) != 0)
        client_grows(m, s, mailsrv__view_exists(&s->view));
    if (below(m, 4) == 0)
        mailsrv__view_want(&s->view, GROUP_SIZES);
    rests(m, s);
}

static void syncs(struct session *s, enum tells tells)
{
    s->tells = tells;
    mailsrv__view_sync(&s->view);
    s->doing = SYNCING;
}

static void ask(struct model *m, struct session *s, int32_t kind, const void *arg, enum tells tells)
{
    s->kind = kind;
    s->tells = tells;
    s->doing = WRITING;
    int32_t status = mailsrv_ask(m->engines[s->engine], kind, &m->truth->account, arg, &s->question);
    expect(m, status == MAILSRV_OK, "an operation could not be asked");
}

/* Some messages that the client knows; often those that others choose, too. */
static void choose(struct model *m, struct session *s)
{
    uint32_t first = below(m, s->n < 2 || below(m, 3) == 0 ? s->n : 2), last = first + below(m, 4);
    s->run = (mailsrv_run){ s->list[first].uid, s->list[last < s->n ? last : s->n - 1].uid };
}

static void stores_flags(struct model *m, struct session *s)
{
    static const char *const names[] = { "$Forwarded", "Work", "Later" };
    mailsrv_arg_flags arg = { .size = sizeof arg, .how = (int32_t)below(m, 3), .mbox = m->handles[s->engine],
                              .uids = &s->run, .n_uids = 1, .flags = below(m, 8), .keywords = &s->name,
                              .mailbox = m->truth->inbox, .unchanged_since = UINT64_MAX };
    const char *name = names[below(m, 3)];
    s->name = (mailsrv_bytes){ (const uint8_t *)name, strlen(name) };
    arg.n_keywords = below(m, 3) == 0;
    s->ask = (struct silent_ask){ .how = arg.how, .flags = arg.flags, .uids = &s->run, .n_uids = 1 };
    bool named = arg.n_keywords == 0 || mailsrv__view_keyword(&s->view, s->name, s->ask.keywords);
    s->silent = named && below(m, 3) != 0;
    s->write = s->silent ? mailsrv__view_silent(&s->view, &s->ask) : mailsrv__view_writes(&s->view);
    ask(m, s, MAILSRV_OP_FLAGS, &arg, TELLS_FLAGS);
}

static void expunges(struct model *m, struct session *s)
{
    mailsrv_arg_expunge arg = { sizeof arg, 0, m->handles[s->engine], &s->run, 1, 0, { { 0 } } };
    s->write = mailsrv__view_writes(&s->view);
    s->silent = false;
    ask(m, s, MAILSRV_OP_EXPUNGE, &arg, TELLS_ALL);
}

static void copies(struct model *m, struct session *s)
{
    mailsrv_arg_copy arg = { .size = sizeof arg, .n_uids = 1, .mbox = m->handles[s->engine], .uids = &s->run };
    s->write = mailsrv__view_writes(&s->view);
    s->silent = false;
    ask(m, s, MAILSRV_OP_COPY, &arg, TELLS_ALL);
}

/* What was forgotten is found out again first; where it cannot be, the session ends. */
static bool is_ready(struct model *m, struct session *s)
{
    if (mailsrv__view_use(&s->view)) {
        m->recalled += s->recalling;
        s->recalling = false;
        return true;
    }
    s->recalling = true;
    if (mailsrv__view_status(&s->view) != MAILSRV_OK)
        session_goes(m, s);
    return false;
}

static void begins(struct model *m, struct session *s)
{
    if (!is_ready(m, s))
        return;
    uint32_t what = below(m, 40);
    if (m->resting) {
        s->rested = true; /* by this command */
        syncs(s, TELLS_ALL);
    } else if (what == 0) {
        session_goes(m, s);
    } else if (what < 4 || s->n == 0) {
        syncs(s, below(m, 3) == 0 ? TELLS_ALL : TELLS_FLAGS);
    } else if (what < 6) {
        s->tells = TELLS_ALL; /* in IDLE nothing is asked */
        s->doing = mailsrv__view_tell(&s->view, TELLS_ALL) ? TELLING : IDLE;
    } else {
        choose(m, s);
        if (what < 35)
            stores_flags(m, s);
        else if (what < 38 || truth_rows(m->truth) > MESSAGES)
            expunges(m, s);
        else
            copies(m, s);
    }
}

static uint64_t modseq_of(int32_t kind, const void *value)
{
    if (kind == MAILSRV_OP_FLAGS)
        return ((const mailsrv_flagged *)value)->modseq;
    if (kind == MAILSRV_OP_COPY)
        return ((const mailsrv_copied *)value)->modseq;
    return ((const mailsrv_expunged *)value)->modseq;
}

static void waits_for_write(struct model *m, struct session *s)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(s->question);
    uint64_t modseq = 0;
    if (answer == NULL)
        return;
    expect(m, !mailsrv__view_tell(&s->view, TELLS_ALL), "something is told while a change is out");
    if (answer->status == MAILSRV_OK)
        modseq = modseq_of(s->kind, answer->value);
    if (answer->status == MAILSRV_OK && s->silent)
        client_stores(m, s, modseq);
    mailsrv__view_wrote(&s->view, s->write, modseq);
    mailsrv_asked_free(s->question);
    s->question = NULL;
    syncs(s, s->tells);
}

static void tells_some(struct model *m, struct session *s)
{
    struct told told;
    uint32_t units = 1 + below(m, 30);
    while (m->fault == NULL && mailsrv__view_next(&s->view, &units, &told)) {
        client_hears(m, s, &told);
        if (told.kind == TOLD_HIGHEST)
            expect(m, told.highest == mailsrv__view_highest(&s->view), "two values of HIGHESTMODSEQ");
    }
    if (m->fault != NULL || mailsrv__view_is_telling(&s->view))
        return;
    rests(m, s);
}

/* Where the round failed, the session's own change may not be there yet. */
static void begins_to_tell(struct session *s)
{
    if (mailsrv__view_tell(&s->view, s->tells))
        s->doing = TELLING;
    else
        syncs(s, s->tells);
}

void session_moves(struct model *m, struct session *s)
{
    if (s->doing > IDLE && s->doing != WRITING && mailsrv__view_status(&s->view) != MAILSRV_OK) {
        expect(m, false, "an image ended");
        return;
    }
    if (s->doing == OUT)
        comes(m, s);
    else if (s->doing == LOADING)
        loads(m, s);
    else if (s->doing == IDLE && !m->finishing)
        begins(m, s);
    else if (s->doing == WRITING)
        waits_for_write(m, s);
    else if (s->doing == SYNCING && mailsrv__view_synced(&s->view))
        begins_to_tell(s);
    else if (s->doing == TELLING)
        tells_some(m, s);
}
