/* Mail received in one call.  Built on public calls alone: whoever wants something else finds here how to begin. */
#include <mailsrv/inbox.h>

#include <string.h>

enum {
    HEAD_ROOM = 2048, /* before a body, for its trace fields: the message is handed over in one piece */
    ROOM_FIRST = 8192
};

struct inbox;

struct mail {
    struct inbox *inbox;
    struct mail *prev, *next;
    uint8_t *block; /* HEAD_ROOM, then the body */
    uint64_t number;
    size_t room, n; /* of the body */
};

struct inbox {
    mailsrv_ending ending;
    mailsrv_allocator from;
    struct mail *mails;
    mailsrv_on_message on_message;
    void *user;
    uint64_t octets_max, octets;
    uint64_t numbers; /* handles and accounts, never given twice */
};

static void *take(struct inbox *box, size_t n)
{
    return box->from.alloc(box->from.user, n);
}

static void give(struct inbox *box, void *p, size_t n)
{
    if (p != NULL)
        box->from.release(box->from.user, p, n);
}

static void answer(mailsrv_engine *engine, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = value };
    mailsrv_op_answer(engine, op->id, &a);
}

/* Every address is an account of its own, so that none is taken for another's double. */
static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct inbox *box = user;
    mailsrv_destination here = { .kind = MAILSRV_TARGET_MAILBOX };
    uint64_t number = ++box->numbers;
    memcpy(here.account.b, &number, sizeof number);
    const mailsrv_resolved value = {
        .size = sizeof value, .n = 1, .stride = sizeof here, .destinations = &here
    };
    answer(engine, op, &value);
}

static struct mail *find(const struct inbox *box, uint64_t number)
{
    struct mail *m = box->mails;
    while (m != NULL && m->number != number)
        m = m->next;
    return m;
}

static void body_begin(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct inbox *box = user;
    struct mail *m = take(box, sizeof *m);
    if (m == NULL) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NOMEM);
        return;
    }
    *m = (struct mail){ .inbox = box, .next = box->mails, .number = ++box->numbers };
    if (box->mails != NULL)
        box->mails->prev = m;
    box->mails = m;
    const mailsrv_body_begun value = { .size = sizeof value, .features = MAILSRV_BODY_ATOMIC, .body = m->number };
    answer(engine, op, &value);
}

static int32_t grow(struct mail *m, size_t needed)
{
    struct inbox *box = m->inbox;
    size_t room = m->room == 0 ? ROOM_FIRST : m->room;
    while (room < needed)
        room *= 2;
    if (room == m->room)
        return MAILSRV_OK;
    uint64_t left = box->octets_max - box->octets;
    if (room - m->room > left)
        room = needed; /* what is left is not lost for being no power of two */
    if (room - m->room > left)
        return MAILSRV_FULL;
    uint8_t *block = take(box, HEAD_ROOM + room);
    if (block == NULL)
        return MAILSRV_NOMEM;
    if (m->n != 0)
        memcpy(block + HEAD_ROOM, m->block + HEAD_ROOM, m->n);
    give(box, m->block, HEAD_ROOM + m->room);
    box->octets += room - m->room;
    m->block = block;
    m->room = room;
    return MAILSRV_OK;
}

static void body_write(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_body_write *arg = op->arg;
    struct mail *m = find(user, arg->body);
    int32_t status = m == NULL ? MAILSRV_CANNOT : grow(m, m->n + arg->octets.n);
    if (status == MAILSRV_OK) {
        memcpy(m->block + HEAD_ROOM + m->n, arg->octets.p, arg->octets.n);
        m->n += arg->octets.n;
    }
    mailsrv_op_answer_status(engine, op->id, status);
}

static const mailsrv_target *target(const mailsrv_arg_body_commit *arg, uint32_t i)
{
    return (const mailsrv_target *)(const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
}

static int32_t hand_over(struct inbox *box, struct mail *m, const mailsrv_op *op, mailsrv_bytes *recipients)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    mailsrv_bytes prefix = target(arg, 0)->prefix;
    int32_t status = grow(m, 1);
    if (status != MAILSRV_OK)
        return status;
    if (prefix.n > HEAD_ROOM)
        return MAILSRV_CANNOT;
    for (uint32_t i = 0; i < arg->n_targets; i++)
        recipients[i] = target(arg, i)->recipient;
    uint8_t *begin = m->block + HEAD_ROOM - prefix.n;
    if (prefix.n != 0)
        memcpy(begin, prefix.p, prefix.n);
    const mailsrv_envelope envelope = { .size = sizeof envelope,
                                        .n_recipients = arg->n_targets,
                                        .reverse_path = arg->reverse_path,
                                        .recipients = recipients,
                                        .session_id = op->session_id };
    return box->on_message(box->user, &envelope, (mailsrv_bytes){ begin, prefix.n + m->n });
}

static void tell_results(mailsrv_engine *engine, const mailsrv_op *op, mailsrv_result *results, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        results[i] = (mailsrv_result){ .status = MAILSRV_OK };
    const mailsrv_committed value = { .size = sizeof value, .n = n, .stride = sizeof *results, .results = results };
    answer(engine, op, &value);
}

static void body_commit(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct inbox *box = user;
    const mailsrv_arg_body_commit *arg = op->arg;
    struct mail *m = find(box, arg->bodies->body);
    size_t octets = arg->n_targets * (sizeof(mailsrv_bytes) + sizeof(mailsrv_result));
    mailsrv_result *results = m == NULL ? NULL : take(box, octets);
    int32_t status = m == NULL ? MAILSRV_CANNOT : MAILSRV_NOMEM;
    if (results != NULL)
        status = hand_over(box, m, op, (mailsrv_bytes *)(void *)(results + arg->n_targets));
    if (status == MAILSRV_OK)
        tell_results(engine, op, results, arg->n_targets);
    else
        mailsrv_op_answer_status(engine, op->id, status);
    give(box, results, octets);
}

static void drop(struct mail *m)
{
    struct inbox *box = m->inbox;
    if (m->prev != NULL)
        m->prev->next = m->next;
    else
        box->mails = m->next;
    if (m->next != NULL)
        m->next->prev = m->prev;
    box->octets -= m->room;
    give(box, m->block, HEAD_ROOM + m->room);
    give(box, m, sizeof *m);
}

static void body_close(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct mail *m = find(user, ((const mailsrv_arg_close *)op->arg)->handle);
    if (m != NULL)
        drop(m);
    mailsrv_op_answer_status(engine, op->id, m == NULL ? MAILSRV_CANNOT : MAILSRV_OK);
}

static void ended(mailsrv_ending *ending)
{
    struct inbox *box = (struct inbox *)(void *)ending; /* its first member */
    while (box->mails != NULL)
        drop(box->mails);
    mailsrv_allocator from = box->from;
    from.release(from.user, box, sizeof *box);
}

static int32_t serve(mailsrv_engine *engine, struct inbox *box)
{
    static const struct {
        int32_t kind;
        mailsrv_handler handler;
    } kinds[] = {
        { MAILSRV_OP_RESOLVE, resolve },         { MAILSRV_OP_BODY_BEGIN, body_begin },
        { MAILSRV_OP_BODY_WRITE, body_write },   { MAILSRV_OP_BODY_COMMIT, body_commit },
        { MAILSRV_OP_BODY_CLOSE, body_close },
    };
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && status == MAILSRV_OK; i++)
        status = mailsrv_engine_serve(engine, kinds[i].kind, kinds[i].handler, box);
    return status;
}

int32_t mailsrv_inbox(mailsrv_engine *engine, uint64_t octets_max, mailsrv_on_message on_message, void *user)
{
    mailsrv_allocator from = { .size = sizeof from };
    if (on_message == NULL || mailsrv_engine_allocator(engine, &from) != MAILSRV_OK)
        return MAILSRV_E_USAGE;
    struct inbox *box = from.alloc(from.user, sizeof *box);
    if (box == NULL)
        return MAILSRV_NOMEM;
    *box = (struct inbox){
        .ending = { NULL, ended }, .from = from, .on_message = on_message, .user = user, .octets_max = octets_max
    };
    int32_t status = serve(engine, box);
    if (status != MAILSRV_OK) {
        from.release(from.user, box, sizeof *box);
        return status;
    }
    return mailsrv_engine_at_end(engine, &box->ending);
}
