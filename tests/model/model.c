/* A model of what clients know: many sessions look at one mailbox, on one engine and on two over one store; each does
 * commands at random, answers come late and shuffled, some fail, pages are short, history is forgotten.  Whatever a view
 * tells is done to a client's list, and everything that the client then believes must be true.
 *
 *     MODEL_STEPS=100000 MAILSRV_SEED=1 test-model
 *
 * Built with MAILBOX_WITHOUT, one rule of the view is missing, and the fault must be found within 20,000 steps.
 */
#include "mailbox/view.h"

#include <mailsrv/ask.h>
#include <mailsrv/stores/memory.h>

#include <stdio.h>
#include <stdlib.h>

enum { SESSIONS = 24, ENGINES = 2, MESSAGES = 60, UIDS = 1 << 20, TURNS_MAX = 100000, STEPS_WITHOUT = 20000 };
enum { PHASE_STEPS = 400 }; /* between two times when everybody comes to rest */

enum doing { OUT, LOADING, IDLE, WRITING, SYNCING, TELLING };

struct msg {
    uint32_t uid;
    struct marks marks;
    uint32_t base; /* changes of the row when it was last told */
    uint32_t own;  /* silent changes of its own since */
    bool clean;    /* `base` counts what the client knows */
};

struct session {
    struct view view;
    int engine;
    bool slow, rested;
    enum doing doing;
    enum tells tells;
    mailsrv_asked *question;
    int32_t kind;
    uint32_t write;
    bool silent;
    struct silent_ask ask;
    mailsrv_run run;
    mailsrv_bytes name;
    struct msg list[2 * MESSAGES + 64];
    uint32_t n;
    uint64_t highest;
};

struct seen {
    uint32_t uid;
    uint64_t modseq;
};

struct model {
    mailsrv_store *store;
    mailsrv_id account, inbox;
    mailsrv_engine *engines[ENGINES];
    mailsrv_asked *stores[ENGINES], *mboxes[ENGINES];
    uint64_t handles[ENGINES];
    struct session sessions[SESSIONS];
    int n_engines, n_sessions;
    bool resting, finishing; /* no new mail; no new commands */
    int64_t now_us;
    uint64_t random, step;
    const char *fault;
    uint64_t counts[6]; /* what was told, by kind */
    /* The truth, as the store performs one operation after the other. */
    struct seen rows[2 * MESSAGES + 64];
    uint32_t n_rows;
    uint64_t modseq;
    uint64_t gone_at[UIDS]; /* by UID: when it vanished; 0: not yet */
    uint32_t changes[UIDS];
};

static uint32_t below(struct model *m, uint32_t n)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)((m->random >> 16) % n);
}

static bool expect(struct model *m, bool good, const char *text)
{
    if (!good && m->fault == NULL)
        m->fault = text;
    return good;
}

/* ---- The truth ---- */

static bool row_of(struct model *m, uint32_t uid, mailsrv_row *out)
{
    uint64_t low = 0, high = mailsrv_memory_count(m->store, &m->account);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        mailsrv_memory_row(m->store, &m->account, middle, out);
        if (out->uid == uid)
            return true;
        if (out->uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* At most one operation was performed since the last look. */
static void look(struct model *m)
{
    struct seen now[2 * MESSAGES + 64];
    uint64_t n = mailsrv_memory_count(m->store, &m->account), before = m->modseq;
    uint32_t i = 0;
    for (uint32_t k = 0; k < n; k++) {
        mailsrv_row row;
        mailsrv_memory_row(m->store, &m->account, k, &row);
        now[k] = (struct seen){ row.uid, row.modseq };
        m->modseq = row.modseq > m->modseq ? row.modseq : m->modseq;
        for (; i < m->n_rows && m->rows[i].uid < row.uid; i++)
            m->gone_at[m->rows[i].uid] = before + 1;
        if (i < m->n_rows && m->rows[i].uid == row.uid)
            m->changes[row.uid] += m->rows[i++].modseq != row.modseq;
    }
    for (; i < m->n_rows; i++)
        m->gone_at[m->rows[i].uid] = before + 1;
    for (uint32_t k = 0; k < m->n_rows; k++)
        if (m->gone_at[m->rows[k].uid] > m->modseq)
            m->modseq = m->gone_at[m->rows[k].uid];
    m->n_rows = (uint32_t)n;
    memcpy(m->rows, now, m->n_rows * sizeof *now);
}

/* ---- The client ---- */

static bool same_marks(const struct marks *a, const mailsrv_row *row)
{
    return a->flags == row->flags && a->keywords[0] == row->keywords[0] && a->keywords[1] == row->keywords[1];
}

static uint64_t combine(int32_t how, uint64_t old, uint64_t given)
{
    if (how == MAILSRV_FLAGS_ADD)
        return old | given;
    return how == MAILSRV_FLAGS_REMOVE ? old & ~given : given;
}

static void client_removes(struct model *m, struct session *s, uint32_t number)
{
    if (!expect(m, number >= 1 && number <= s->n, "EXPUNGE of a number that the client does not have"))
        return;
    expect(m, m->gone_at[s->list[number - 1].uid] != 0, "EXPUNGE of a message that is there");
    memmove(&s->list[number - 1], &s->list[number], (s->n - number) * sizeof *s->list);
    s->n--;
}

static void client_vanishes(struct model *m, struct session *s, mailsrv_run uids)
{
    for (uint32_t uid = uids.first; uid <= uids.last && m->fault == NULL; uid++) {
        uint32_t i = 0;
        while (i < s->n && s->list[i].uid != uid)
            i++;
        if (expect(m, i < s->n, "VANISHED of a UID that the client does not have"))
            client_removes(m, s, i + 1);
    }
}

/* It fetches what it does not know. */
static void client_grows(struct model *m, struct session *s, uint32_t exists)
{
    expect(m, exists > s->n, "EXISTS that does not grow");
    while (s->n < exists && m->fault == NULL) {
        uint32_t uid = mailsrv__view_uid(&s->view, s->n + 1);
        if (!expect(m, s->n == 0 || uid > s->list[s->n - 1].uid, "a new message with an old UID"))
            return;
        struct msg *msg = &s->list[s->n++];
        *msg = (struct msg){ .uid = uid };
        if (!mailsrv__view_is_gone(&s->view, uid))
            msg->marks = mailsrv__image_marks(s->view.image, uid);
    }
}

static void client_fetches(struct model *m, struct session *s, const struct told *told)
{
    bool there = told->number >= 1 && told->number <= s->n && s->list[told->number - 1].uid == told->uid;
    if (!expect(m, there, "FETCH with a number that is another message's"))
        return;
    struct msg *msg = &s->list[told->number - 1];
    if (told->modseq_alone)
        return;
    bool all_own = msg->clean && msg->own == 1 && m->changes[told->uid] - msg->base == 1;
    expect(m, !all_own || s->view.phase == PHASE_ROWS, "FETCH of one's own silent change alone");
    msg->marks = told->marks;
}

/* Who comes back with this value must have missed nothing up to it. */
static void client_keeps(struct model *m, struct session *s, uint64_t highest)
{
    mailsrv_row row;
    expect(m, highest >= s->highest, "HIGHESTMODSEQ that falls");
    s->highest = highest;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct msg *msg = &s->list[i];
        uint64_t gone = m->gone_at[msg->uid];
        expect(m, gone == 0 || gone > highest, "HIGHESTMODSEQ above an EXPUNGE that was not told");
        if (gone == 0 && row_of(m, msg->uid, &row) && row.modseq <= highest)
            expect(m, same_marks(&msg->marks, &row), "HIGHESTMODSEQ above flags that were not told");
    }
    for (uint32_t i = 0, k = 0; i < m->n_rows; i++) {
        while (k < s->n && s->list[k].uid < m->rows[i].uid)
            k++;
        expect(m, m->rows[i].modseq > highest || (k < s->n && s->list[k].uid == m->rows[i].uid),
               "HIGHESTMODSEQ above a message that was not told");
    }
}

static void client_hears(struct model *m, struct session *s, const struct told *told)
{
    m->counts[told->kind]++;
    bool expunges = told->kind == TOLD_EXPUNGE || told->kind == TOLD_VANISHED;
    expect(m, !expunges || s->tells == TELLS_ALL, "EXPUNGE where numbers are in use");
    if (told->kind == TOLD_EXPUNGE)
        client_removes(m, s, told->number);
    else if (told->kind == TOLD_VANISHED)
        client_vanishes(m, s, told->uids);
    else if (told->kind == TOLD_EXISTS)
        client_grows(m, s, told->number);
    else if (told->kind == TOLD_FETCH)
        client_fetches(m, s, told);
    expect(m, mailsrv__view_exists(&s->view) == s->n, "the view has another number of messages than the client");
}

/* What was silent is told or known; a row that is newer in the store will be told later. */
static void client_rests(struct model *m, struct session *s)
{
    mailsrv_row row;
    for (uint32_t i = 0; i < s->n; i++) {
        struct msg *msg = &s->list[i];
        expect(m, mailsrv__view_uid(&s->view, i + 1) == msg->uid, "a number is another message's than the client's");
        expect(m, mailsrv__view_number(&s->view, msg->uid) == i + 1, "a UID has another number than the client's");
        msg->clean = row_of(m, msg->uid, &row) && row.modseq <= s->view.told;
        msg->base = m->changes[msg->uid];
        msg->own = 0;
    }
    client_keeps(m, s, mailsrv__view_highest(&s->view));
}

/* ---- Sessions ---- */

static void woken(struct view *view)
{
    (void)view; /* every session is looked at again and again */
}

static void comes(struct model *m, struct session *s)
{
    mailsrv_engine *e = m->engines[s->engine];
    if (mailsrv__view_open(&s->view, e, &m->account, &m->inbox, woken) == MAILSRV_OK)
        s->doing = LOADING;
}

static void goes(struct session *s)
{
    mailsrv__view_close(&s->view);
    s->doing = OUT;
}

static void loads(struct model *m, struct session *s)
{
    int32_t status = mailsrv__view_status(&s->view);
    if (status == MAILSRV_MORE)
        return;
    if (status != MAILSRV_OK) {
        goes(s);
        return;
    }
    mailsrv__view_select(&s->view);
    s->view.condstore = below(m, 2) == 0;
    s->view.qresync = s->view.condstore && below(m, 2) == 0;
    s->n = 0;
    s->highest = 0;
    if (mailsrv__view_exists(&s->view) != 0)
        client_grows(m, s, mailsrv__view_exists(&s->view));
    client_rests(m, s);
    s->doing = IDLE;
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
    int32_t status = mailsrv_ask(m->engines[s->engine], kind, &m->account, arg, &s->question);
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
                              .unchanged_since = UINT64_MAX };
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

static void begins(struct model *m, struct session *s)
{
    uint32_t what = below(m, 40);
    if (m->resting) {
        s->rested = true; /* by this command */
        syncs(s, TELLS_ALL);
    } else if (what == 0) {
        goes(s);
    } else if (what < 4 || s->n == 0) {
        syncs(s, below(m, 3) == 0 ? TELLS_ALL : TELLS_FLAGS);
    } else if (what < 6) {
        s->tells = TELLS_ALL; /* in IDLE nothing is asked */
        s->doing = mailsrv__view_tell(&s->view, TELLS_ALL) ? TELLING : IDLE;
    } else {
        choose(m, s);
        if (what < 35)
            stores_flags(m, s);
        else if (what < 38 || m->n_rows > MESSAGES)
            expunges(m, s);
        else
            copies(m, s);
    }
}

/* A client takes its own silent change for done. */
static void changes_silently(struct model *m, struct session *s, uint64_t modseq)
{
    mailsrv_row row;
    for (uint32_t i = 0; i < s->n; i++) {
        struct msg *msg = &s->list[i];
        if (msg->uid < s->run.first || msg->uid > s->run.last)
            continue;
        msg->marks.flags = (uint8_t)combine(s->ask.how, msg->marks.flags, s->ask.flags);
        for (int w = 0; w < 2; w++)
            msg->marks.keywords[w] = combine(s->ask.how, msg->marks.keywords[w], s->ask.keywords[w]);
        msg->own += modseq != 0 && row_of(m, msg->uid, &row) && row.modseq == modseq;
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
        changes_silently(m, s, modseq);
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
    client_rests(m, s);
    s->doing = IDLE;
}

/* Where the round failed, the session's own change may not be there yet. */
static void begins_to_tell(struct session *s)
{
    if (mailsrv__view_tell(&s->view, s->tells))
        s->doing = TELLING;
    else
        syncs(s, s->tells);
}

static void moves(struct model *m, struct session *s)
{
    if (s->doing > LOADING && s->doing != WRITING && mailsrv__view_status(&s->view) != MAILSRV_OK) {
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

/* ---- The world ---- */

static void turn(struct model *m, int engine, uint32_t units)
{
    m->now_us += 1000;
    mailsrv_engine_advance(m->engines[engine], m->now_us, m->now_us);
    mailsrv_engine_turn(m->engines[engine], units);
}

static void answer_one(struct model *m)
{
    bool fails = !m->resting && below(m, 60) == 0;
    if (fails)
        mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_FAIL_NTH, 1);
    mailsrv_memory_answer(m->store, 1);
    if (fails)
        mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_FAIL_NTH, 0);
    look(m);
}

static void deliver(struct model *m)
{
    if (m->n_rows >= MESSAGES)
        return;
    mailsrv_memory_append(m->store, &m->account, "x\r\n", 3);
    look(m);
}

/* As for want of memory: every view has fallen off, and looks at the rows. */
static void lose_journal(struct session *s)
{
    if (s->doing != OUT)
        mailsrv__journal_drop(&s->view.image->journal);
}

static void act(struct model *m)
{
    uint32_t what = below(m, 100);
    struct session *s = &m->sessions[below(m, (uint32_t)m->n_sessions)];
    int engine = (int)below(m, (uint32_t)m->n_engines);
    if (what < 30)
        turn(m, engine, 1 + below(m, 100));
    else if (what < 60)
        answer_one(m);
    else if (what < 62 && !m->resting)
        deliver(m);
    else if (what < 65)
        mailsrv_notify(m->engines[engine], &m->inbox, below(m, 2) == 0 ? m->modseq : 0);
    else if (below(m, 300) == 0)
        lose_journal(s);
    else if (!s->slow || m->resting || below(m, 12) == 0)
        for (int i = 0; i < 3 && m->fault == NULL; i++)
            moves(m, s);
}

static void turn_knobs(struct model *m)
{
    static const uint64_t histories[] = { UINT64_MAX, UINT64_MAX, 20, 3, 0 }, pages[] = { 0, 0, 1, 5 };
    mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_HISTORY, histories[below(m, 5)]);
    mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_PAGE_ROWS, pages[below(m, 4)]);
}

static bool all_rest(const struct model *m)
{
    for (int i = 0; i < m->n_sessions; i++)
        if (!m->sessions[i].rested || m->sessions[i].doing != IDLE)
            return false;
    return true;
}

/* Nothing happens any more, and everybody has been told everything: lists are what the store has. */
static void compare(struct model *m)
{
    mailsrv_row row;
    for (int i = 0; i < m->n_sessions && m->fault == NULL; i++) {
        const struct session *s = &m->sessions[i];
        expect(m, s->n == m->n_rows, "a client at rest has another number of messages than the store");
        for (uint32_t k = 0; k < s->n && m->fault == NULL; k++) {
            mailsrv_memory_row(m->store, &m->account, k, &row);
            expect(m, s->list[k].uid == row.uid, "a client at rest has another message than the store");
            expect(m, same_marks(&s->list[k].marks, &row), "a client at rest has other flags than the store");
        }
    }
}

static void finish_commands(struct model *m)
{
    for (uint32_t i = 0; m->fault == NULL && i < TURNS_MAX; i++) {
        bool all = true;
        for (int k = 0; k < m->n_sessions; k++)
            all = all && m->sessions[k].doing == IDLE;
        if (all)
            return;
        act(m);
    }
    expect(m, m->fault != NULL, "a command does not end");
}

static void rest(struct model *m)
{
    m->resting = m->finishing = true;
    for (int i = 0; i < m->n_sessions; i++)
        m->sessions[i].rested = false;
    finish_commands(m);
    m->finishing = false;
    for (uint32_t i = 0; m->fault == NULL && !all_rest(m) && i < TURNS_MAX; i++) {
        struct session *s = &m->sessions[below(m, (uint32_t)m->n_sessions)];
        if (!s->rested || s->doing != IDLE)
            moves(m, s);
        for (int e = 0; e < m->n_engines; e++)
            turn(m, e, 1000);
        answer_one(m);
    }
    expect(m, all_rest(m), "sessions do not come to rest");
    if (m->fault == NULL)
        compare(m);
    m->resting = false;
}

/* ---- Beginning and end ---- */

static const void *hear(struct model *m, int engine, int32_t kind, const void *arg, mailsrv_asked **out)
{
    if (mailsrv_ask(m->engines[engine], kind, &m->account, arg, out) != MAILSRV_OK)
        abort();
    for (int i = 0; i < 100 && mailsrv_asked_answer(*out) == NULL; i++)
        turn(m, engine, 1000);
    return mailsrv_asked_answer(*out)->value;
}

static void open_engine(struct model *m, int engine)
{
    mailsrv_arg_store_open store = { sizeof store, 0 };
    mailsrv_arg_mbox_open mbox = { .size = sizeof mbox, .for_writing = 1, .name = { (const uint8_t *)"INBOX", 5 } };
    if (mailsrv_engine_new(NULL, &m->engines[engine]) != MAILSRV_OK ||
        mailsrv_store_bind(m->store, m->engines[engine]) != MAILSRV_OK)
        abort();
    const mailsrv_store_opened *opened = hear(m, engine, MAILSRV_OP_STORE_OPEN, &store, &m->stores[engine]);
    mbox.store = opened->store;
    const mailsrv_mbox_opened *box = hear(m, engine, MAILSRV_OP_MBOX_OPEN, &mbox, &m->mboxes[engine]);
    m->handles[engine] = box->mbox;
    m->inbox = box->mailbox;
}

static void begin(struct model *m, uint64_t seed, int n_engines)
{
    memset(m, 0, sizeof *m);
    m->random = seed * 2 + 1;
    for (int i = 0; i < 10; i++)
        below(m, 2);
    m->n_engines = n_engines;
    if (mailsrv_memory_new(NULL, &m->store) != MAILSRV_OK ||
        mailsrv_memory_add_account(m->store, "pat", 3, "", 0, &m->account) != MAILSRV_OK)
        abort();
    for (int i = 0; i < n_engines; i++)
        open_engine(m, i);
    mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_LATE, 1);
    mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_SHUFFLE, seed | 1);
    m->n_sessions = below(m, 2) == 0 ? 2 + (int)below(m, 6) : 2 + (int)below(m, SESSIONS - 1);
    for (int i = 0; i < m->n_sessions; i++) {
        m->sessions[i].engine = i % n_engines;
        m->sessions[i].slow = i % 5 == 4;
    }
    for (int i = 0; i < 20; i++)
        deliver(m);
}

static void end(struct model *m)
{
    mailsrv_memory_set_u64(m->store, MAILSRV_MEMORY_LATE, 0);
    for (int i = 0; i < m->n_sessions; i++) {
        mailsrv_asked_free(m->sessions[i].question);
        if (m->sessions[i].doing != OUT)
            goes(&m->sessions[i]);
    }
    for (int i = 0; i < m->n_engines; i++) {
        mailsrv_asked_free(m->mboxes[i]);
        mailsrv_asked_free(m->stores[i]);
    }
    for (int k = 0; k < 100; k++) {
        mailsrv_memory_answer(m->store, 1000);
        for (int i = 0; i < m->n_engines; i++)
            turn(m, i, 100000);
    }
    expect(m, mailsrv_memory_stat(m->store, MAILSRV_MEMORY_STAT_MAILBOXES) == 0 &&
                  mailsrv_memory_stat(m->store, MAILSRV_MEMORY_STAT_STORES) == 0, "handles stay open");
    for (int i = 0; i < m->n_engines; i++)
        expect(m, mailsrv_engine_free(m->engines[i], 0) == MAILSRV_OK, "an engine is still busy");
    mailsrv_store_free(m->store);
}

static void run(struct model *m, uint64_t seed, int n_engines, uint64_t steps)
{
    begin(m, seed, n_engines);
    for (m->step = 0; m->step < steps && m->fault == NULL; m->step++) {
        if (m->step % PHASE_STEPS == PHASE_STEPS - 1) {
            rest(m);
            turn_knobs(m);
        }
        act(m);
    }
    end(m);
}

/* ---- Programs ---- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* Each run has its own number of sessions; several of them cover few and many. */
enum { RUN_STEPS = 4000 };

static unsigned bad;

static void report(bool good, unsigned n, const char *what, const struct model *m, uint64_t seed)
{
    bad += !good;
    printf("%sok %u - %s\n# seed %llu, step %llu: %s\n", good ? "" : "not ", n, what, (unsigned long long)seed,
           (unsigned long long)m->step, m->fault == NULL ? "no fault" : m->fault);
}

/* Until a fault is found, which is good or bad. */
static void many_runs(struct model *m, unsigned n, const char *what, int n_engines, uint64_t seed, uint64_t steps)
{
    uint64_t counts[6] = { 0 };
    uint64_t done = 0;
    do {
        run(m, seed + done, n_engines, steps - done < RUN_STEPS ? steps - done : RUN_STEPS);
        done += m->step;
        for (int i = 0; i < 6; i++)
            counts[i] += m->counts[i];
    } while (m->fault == NULL && done < steps);
    report((m->fault == NULL) == (MAILBOX_WITHOUT == 0), n, what, m, seed + done - m->step);
    printf("# %llu steps; told: %llu expunged, %llu vanished, %llu grown, %llu names, %llu fetched, %llu highest\n",
           (unsigned long long)done, (unsigned long long)counts[0], (unsigned long long)counts[1],
           (unsigned long long)counts[2], (unsigned long long)counts[3], (unsigned long long)counts[4],
           (unsigned long long)counts[5]);
}

int main(void)
{
    static struct model m;
    uint64_t seed = number("MAILSRV_SEED", 1);
    printf("1..2\n# seed %llu\n", (unsigned long long)seed);
    if (MAILBOX_WITHOUT == 0) {
        uint64_t steps = number("MODEL_STEPS", 100000);
        many_runs(&m, 1, "one engine", 1, seed, steps / 2);
        many_runs(&m, 2, "two engines over one store", 2, seed, steps - steps / 2);
    } else {
        many_runs(&m, 1, "one engine: a rule is missing, and it is found", 1, seed, STEPS_WITHOUT);
        many_runs(&m, 2, "two engines: a rule is missing, and it is found", 2, seed, STEPS_WITHOUT);
    }
    return bad != 0;
}
