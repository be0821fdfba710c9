#include "model.h"

#include <stdlib.h>

uint32_t below(struct model *m, uint32_t n)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)((m->random >> 16) % n);
}

bool expect(struct model *m, bool good, const char *text)
{
    if (!good && m->fault == NULL)
        m->fault = text;
    return good;
}

/* ---- Engines, and what they ask: taken at once, answered late and in any order ---- */

static void take(struct model *m, int engine)
{
    const mailsrv_op *op;
    while (mailsrv_engine_next_op(m->engines[engine], &op) == MAILSRV_OK) {
        if (m->n_held == HELD_MAX)
            abort();
        m->held[m->n_held++] = (struct held){ m->engines[engine], op };
    }
}

static void turn(struct model *m, int engine, uint32_t units)
{
    m->now_us += 1000;
    mailsrv_engine_advance(m->engines[engine], m->now_us, m->now_us);
    mailsrv_engine_turn(m->engines[engine], units);
    take(m, engine);
}

static void answer_one(struct model *m)
{
    bool fails = !m->resting && below(m, 60) == 0;
    if (m->n_held == 0)
        return;
    uint32_t i = below(m, m->n_held);
    struct held held = m->held[i];
    m->held[i] = m->held[--m->n_held];
    truth_perform(m->truth, held.engine, held.op, fails);
}

/* ---- What happens ---- */

/* As for want of memory: sizes are dropped, or every view falls off the journal and looks at the rows. */
static void spare(const struct session *s)
{
    if (s->doing > LOADING)
        mailsrv__image_spare(s->view.image);
}

static void forget(struct model *m, struct session *s)
{
    if (s->doing != IDLE || !s->view.resting || s->view.forgot)
        return;
    mailsrv__view_forget(&s->view);
    m->forgotten += s->view.forgot;
}

void world_act(struct model *m)
{
    uint32_t what = below(m, 100);
    struct session *s = &m->sessions[below(m, (uint32_t)m->n_sessions)];
    int engine = (int)below(m, (uint32_t)m->n_engines);
    if (what < 30)
        turn(m, engine, 1 + below(m, 100));
    else if (what < 60)
        answer_one(m);
    else if (what < 62 && !m->resting)
        truth_deliver(m->truth);
    else if (what < 65)
        mailsrv_notify(m->engines[engine], &m->truth->inbox, below(m, 2) == 0 ? truth_modseq(m->truth) : 0);
    else if (below(m, 300) == 0)
        spare(s);
    else if (below(m, 20) == 0)
        forget(m, s);
    else if (!s->slow || m->resting || below(m, 12) == 0)
        for (int i = 0; i < 3 && m->fault == NULL; i++)
            session_moves(m, s);
}

void world_turns_knobs(struct model *m)
{
    static const uint64_t histories[] = { UINT64_MAX, UINT64_MAX, 20, 3, 0 }, pages[] = { 0, 0, 1, 5 };
    truth_set(m->truth, MAILSRV_MEMORY_HISTORY, histories[below(m, 5)]);
    truth_set(m->truth, MAILSRV_MEMORY_PAGE_ROWS, pages[below(m, 4)]);
}

void world_empties(struct model *m)
{
    if (below(m, 3) != 0)
        return;
    for (int i = 0; i < m->n_sessions; i++)
        if (m->sessions[i].doing == IDLE)
            session_goes(m, &m->sessions[i]);
    for (uint32_t i = below(m, 30); i != 0; i--)
        world_act(m);
}

/* ---- Coming to rest ---- */

static bool all_rest(const struct model *m)
{
    for (int i = 0; i < m->n_sessions; i++)
        if (!m->sessions[i].rested || m->sessions[i].doing != IDLE)
            return false;
    return true;
}

static bool all_are_idle(const struct model *m)
{
    for (int i = 0; i < m->n_sessions; i++)
        if (m->sessions[i].doing != IDLE)
            return false;
    return true;
}

void world_finishes(struct model *m)
{
    m->resting = m->finishing = true;
    for (int i = 0; i < m->n_sessions; i++)
        m->sessions[i].rested = false;
    for (uint32_t i = 0; m->fault == NULL && !all_are_idle(m) && i < TURNS_MAX; i++)
        world_act(m);
    expect(m, m->fault != NULL || all_are_idle(m), "a command does not end");
    m->finishing = false;
}

void world_rests(struct model *m)
{
    for (uint32_t i = 0; m->fault == NULL && !all_rest(m) && i < TURNS_MAX; i++) {
        struct session *s = &m->sessions[below(m, (uint32_t)m->n_sessions)];
        if (!s->rested || s->doing != IDLE)
            session_moves(m, s);
        for (int e = 0; e < m->n_engines; e++)
            turn(m, e, 1000);
        answer_one(m);
    }
    expect(m, all_rest(m), "sessions do not come to rest");
    m->resting = false;
}

/* ---- Beginning and end ---- */

static const void *hear(struct model *m, int engine, int32_t kind, const void *arg, mailsrv_asked **out)
{
    if (mailsrv_ask(m->engines[engine], kind, &m->truth->account, arg, out) != MAILSRV_OK)
        abort();
    turn(m, engine, 1000);
    while (m->n_held != 0)
        answer_one(m);
    return mailsrv_asked_answer(*out)->value;
}

/* The store answers what is pulled. */
static void open_engine(struct model *m, int engine)
{
    static const int32_t kinds[] = { MAILSRV_OP_STORE_OPEN, MAILSRV_OP_STORE_CLOSE, MAILSRV_OP_MBOX_OPEN,
                                     MAILSRV_OP_MBOX_CLOSE, MAILSRV_OP_ROWS,        MAILSRV_OP_CHANGES,
                                     MAILSRV_OP_FLAGS,      MAILSRV_OP_EXPUNGE,     MAILSRV_OP_COPY };
    mailsrv_arg_store_open store = { .size = sizeof store };
    mailsrv_arg_mbox_open mbox = { .size = sizeof mbox, .for_writing = 1, .name = { (const uint8_t *)"INBOX", 5 } };
    if (mailsrv_engine_new(NULL, &m->engines[engine]) != MAILSRV_OK ||
        mailsrv_store_bind(m->truth->store, m->engines[engine]) != MAILSRV_OK)
        abort();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        mailsrv_engine_serve(m->engines[engine], kinds[i], NULL, NULL);
    const mailsrv_store_opened *opened = hear(m, engine, MAILSRV_OP_STORE_OPEN, &store, &m->stores[engine]);
    mbox.store = opened->store;
    const mailsrv_mbox_opened *box = hear(m, engine, MAILSRV_OP_MBOX_OPEN, &mbox, &m->mboxes[engine]);
    m->handles[engine] = box->mbox;
    m->truth->inbox = box->mailbox;
}

void world_begin(struct model *m, struct truth *truth, uint64_t seed, int n_engines, int n_sessions)
{
    memset(m, 0, sizeof *m);
    m->truth = truth;
    m->random = seed * 2 + 1;
    for (int i = 0; i < 10; i++)
        below(m, 2);
    m->n_engines = n_engines;
    m->resting = true; /* nothing fails yet */
    for (int i = 0; i < n_engines; i++)
        open_engine(m, i);
    m->resting = false;
    m->n_sessions = n_sessions;
    for (int i = 0; i < m->n_sessions; i++) {
        m->sessions[i].engine = i % n_engines;
        m->sessions[i].slow = i % 5 == 4;
    }
}

void world_leaves(struct model *m)
{
    for (int i = 0; i < m->n_sessions; i++) {
        mailsrv_asked_free(m->sessions[i].question);
        if (m->sessions[i].doing != OUT)
            session_goes(m, &m->sessions[i]);
    }
    for (int i = 0; i < m->n_engines; i++) {
        mailsrv_asked_free(m->mboxes[i]);
        mailsrv_asked_free(m->stores[i]);
    }
    for (int k = 0; k < 1000; k++) {
        for (int i = 0; i < m->n_engines; i++)
            turn(m, i, 100000);
        while (m->n_held != 0)
            answer_one(m);
    }
}

void world_ends(struct model *m)
{
    for (int i = 0; i < m->n_engines; i++)
        expect(m, mailsrv_engine_free(m->engines[i], 0) == MAILSRV_OK, "an engine is still busy");
}
