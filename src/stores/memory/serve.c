#include "memory.h"

#include <string.h>

const int32_t mailsrv__memory_kinds[] = {
    MAILSRV_OP_RESOLVE,     MAILSRV_OP_BODY_BEGIN,  MAILSRV_OP_BODY_WRITE,   MAILSRV_OP_BODY_COMMIT,
    MAILSRV_OP_BODY_CLOSE,  MAILSRV_OP_AUTH_VERIFY, MAILSRV_OP_STORE_OPEN,   MAILSRV_OP_STORE_CLOSE,
    MAILSRV_OP_MBOX_OPEN,   MAILSRV_OP_MBOX_CLOSE,  MAILSRV_OP_ROWS,         MAILSRV_OP_READ,
    MAILSRV_OP_READ_CLOSE,  MAILSRV_OP_EXPUNGE,     MAILSRV_OP_LOCK,         MAILSRV_OP_UNLOCK,
    MAILSRV_OP_QUEUE_SCAN,  MAILSRV_OP_QUEUE_UPDATE, MAILSRV_OP_QUEUE_DELETE, MAILSRV_OP_CHANGES,
    MAILSRV_OP_FLAGS,       MAILSRV_OP_COPY,        MAILSRV_OP_MBOX_LIST,    MAILSRV_OP_MBOX_STATUS,
    MAILSRV_OP_MBOX_CREATE, MAILSRV_OP_MBOX_DELETE, MAILSRV_OP_MBOX_RENAME,  MAILSRV_OP_MBOX_SUBSCRIBE,
    MAILSRV_OP_AUTH_SCRAM_KEYS, MAILSRV_OP_AUTH_EXTERNAL, MAILSRV_OP_MOVE,
    0,
};

static int32_t perform_receive(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    switch (op->kind) {
    case MAILSRV_OP_RESOLVE:
        return mailsrv__memory_resolve(m, op, r);
    case MAILSRV_OP_BODY_BEGIN:
        return mailsrv__memory_body_begin(m, from, r);
    case MAILSRV_OP_BODY_WRITE:
        return mailsrv__memory_body_write(m, op);
    case MAILSRV_OP_BODY_COMMIT:
        return mailsrv__memory_commit(m, op, r);
    case MAILSRV_OP_QUEUE_SCAN:
        return mailsrv__memory_queue_scan(m, op, r);
    case MAILSRV_OP_QUEUE_UPDATE:
        return mailsrv__memory_queue_update(m, op);
    case MAILSRV_OP_QUEUE_DELETE:
        return mailsrv__memory_queue_delete(m, op);
    default:
        return MAILSRV_CANNOT;
    }
}

static int32_t perform_names(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    switch (op->kind) {
    case MAILSRV_OP_MBOX_LIST:
        return mailsrv__memory_mbox_list(m, op, r);
    case MAILSRV_OP_MBOX_STATUS:
        return mailsrv__memory_mbox_status(m, op, r);
    case MAILSRV_OP_MBOX_CREATE:
        return mailsrv__memory_mbox_create(m, op, r);
    case MAILSRV_OP_MBOX_DELETE:
        return mailsrv__memory_mbox_delete(m, op);
    case MAILSRV_OP_MBOX_RENAME:
        return mailsrv__memory_mbox_rename(m, op);
    case MAILSRV_OP_MBOX_SUBSCRIBE:
        return mailsrv__memory_mbox_subscribe(m, op);
    default:
        return perform_receive(m, from, op, r);
    }
}

static int32_t perform_imap(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    switch (op->kind) {
    case MAILSRV_OP_CHANGES:
        return mailsrv__memory_changes(m, op, r);
    case MAILSRV_OP_FLAGS:
        return mailsrv__memory_flags(m, op, r);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return mailsrv__memory_copy(m, op, r);
    default:
        return perform_names(m, from, op, r);
    }
}

static int32_t perform_any(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    switch (op->kind) {
    case MAILSRV_OP_AUTH_VERIFY:
        return mailsrv__memory_auth_verify(m, op, r);
    case MAILSRV_OP_AUTH_SCRAM_KEYS:
        return mailsrv__memory_auth_scram_keys(m, op, r);
    case MAILSRV_OP_AUTH_EXTERNAL:
        return mailsrv__memory_auth_external(m, op, r);
    case MAILSRV_OP_STORE_OPEN:
        return mailsrv__memory_store_open(m, from, op, r);
    case MAILSRV_OP_MBOX_OPEN:
        return mailsrv__memory_mbox_open(m, from, op, r);
    case MAILSRV_OP_ROWS:
        return mailsrv__memory_rows(m, op, r);
    case MAILSRV_OP_READ:
        return mailsrv__memory_read(m, from, op, r);
    case MAILSRV_OP_EXPUNGE:
        return mailsrv__memory_expunge(m, op, r);
    case MAILSRV_OP_LOCK:
        return mailsrv__memory_lock(m, from, op, r);
    default:
        return perform_imap(m, from, op, r);
    }
}

/* Is this the n-th operation? */
static bool fails(struct memory *m)
{
    uint64_t *left = &m->knobs[MAILSRV_MEMORY_FAIL_NTH];
    return *left != 0 && --*left == 0;
}

int32_t mailsrv__memory_perform(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    bool failing = fails(m);
    int32_t failure = -(int32_t)m->knobs[MAILSRV_MEMORY_FAIL_STATUS];
    memset(r, 0, sizeof *r);
    if (mailsrv__stores_closes(op->kind) != 0) {
        const mailsrv_arg_close *arg = op->arg;
        int32_t status = mailsrv__memory_handle_close(m, arg->handle, mailsrv__stores_closes(op->kind), arg->told);
        return failing ? failure : status;
    }
    return failing ? failure : perform_any(m, from, op, r);
}

void mailsrv__memory_done(struct memory *m, struct reply *r)
{
    mailsrv__memory_give(m, r->scratch, r->n_scratch);
}

static void answer(struct memory *m, const struct binding *from, const mailsrv_op *op)
{
    struct reply r;
    mailsrv_engine *engine = from->engine;
    mailsrv_answer a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.status = mailsrv__memory_perform(m, from, op, &r);
    a.value = r.has_value && a.status == MAILSRV_OK ? &r.value : NULL;
    a.release = r.release;
    a.user = r.user;
    m->answered++;
    mailsrv_op_answer(engine, op->id, &a);
    mailsrv__memory_done(m, &r);
}

static struct binding *bound(struct memory *m, const mailsrv_engine *engine)
{
    struct binding *b = m->bindings;
    while (b != NULL && b->engine != engine)
        b = b->next;
    return b;
}

/* False: no memory; what cannot be held is answered at once. */
static bool hold(struct memory *m, const struct binding *from, const mailsrv_op *op)
{
    struct held *h = mailsrv__memory_take(m, sizeof *h);
    if (h == NULL)
        return false;
    h->from = from;
    h->op = op;
    *m->held_end = h;
    m->held_end = &h->next;
    m->n_held++;
    return true;
}

void mailsrv_memory_handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct memory *m = user;
    struct binding *from = bound(m, engine);
    if (op->id == 0)
        return;
    if (from == NULL) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_CANNOT);
        return;
    }
    if (m->knobs[MAILSRV_MEMORY_LATE] == 0 || !hold(m, from, op))
        answer(m, from, op);
}

/* Takes the held operation out of the list. */
static void let_go(struct memory *m, struct held **at)
{
    struct held *h = *at;
    *at = h->next;
    if (h->next == NULL)
        m->held_end = at;
    m->n_held--;
    mailsrv__memory_give(m, h, sizeof *h);
}

/* xorshift64 (Marsaglia 2003): the same order for the same seed, on every machine. */
static uint64_t shuffle(struct memory *m)
{
    uint64_t x = m->shuffled;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return m->shuffled = x;
}

size_t mailsrv_memory_answer(mailsrv_store *store, size_t n)
{
    struct memory *m = mailsrv__memory(store);
    size_t gone = 0;
    for (; gone < n && m->held != NULL; gone++) {
        struct held **at = &m->held;
        uint64_t skip = m->shuffled != 0 ? shuffle(m) % m->n_held : 0;
        while (skip-- != 0)
            at = &(*at)->next;
        struct held chosen = **at;
        let_go(m, at);
        answer(m, chosen.from, chosen.op);
    }
    return gone;
}

/* The engine is gone: nothing that it asked is owed an answer, and nobody else will close its handles. */
static void ended(mailsrv_ending *ending)
{
    struct binding *b = (struct binding *)(void *)((char *)ending - offsetof(struct binding, ending));
    struct memory *m = b->memory;
    struct held **at = &m->held;
    while (*at != NULL) {
        if ((*at)->from == b)
            let_go(m, at);
        else
            at = &(*at)->next;
    }
    mailsrv__memory_handles_end(m, b);
    struct binding **link = &m->bindings;
    while (*link != b)
        link = &(*link)->next;
    *link = b->next;
    mailsrv__memory_give(m, b, sizeof *b);
}

static int32_t add_binding(struct memory *m, mailsrv_engine *engine)
{
    struct binding *b = mailsrv__memory_take(m, sizeof *b);
    if (b == NULL)
        return MAILSRV_NOMEM;
    b->memory = m;
    b->engine = engine;
    b->ending.ended = ended;
    int32_t status = mailsrv_engine_at_end(engine, &b->ending);
    if (status != MAILSRV_OK) {
        mailsrv__memory_give(m, b, sizeof *b);
        return status;
    }
    b->next = m->bindings;
    m->bindings = b;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_bind(mailsrv_store *store, mailsrv_engine *engine)
{
    struct memory *m = mailsrv__memory(store);
    int32_t status = bound(m, engine) != NULL ? MAILSRV_OK : add_binding(m, engine);
    for (const int32_t *kind = mailsrv__memory_kinds; status == MAILSRV_OK && *kind != 0; kind++)
        if (((m->knobs[MAILSRV_MEMORY_WITHOUT] >> *kind) & 1) == 0 &&
            (*kind != MAILSRV_OP_AUTH_SCRAM_KEYS || m->has_scram))
            status = mailsrv_engine_serve(engine, *kind, mailsrv_memory_handle, m);
    return status;
}
