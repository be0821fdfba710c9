/* Questions of the host itself: operations without a session, kept for who asked until he frees them. */
#include "core/answer.h"

#include <mailsrv/ask.h>

static struct op *op_of(mailsrv_asked *asked)
{
    return (struct op *)(void *)asked;
}

/* What closes a handle goes with the question that brought it; jobs, and what the queue needs of the world, are the
 * library's own. */
static bool can_be_asked(const mailsrv_engine *e, int32_t number)
{
    const struct kind *kind = mailsrv__kind(number);
    return kind->name != NULL && kind->flags != KIND_STAYS && number < MAILSRV_OP_ROUTE && e != NULL;
}

static uint32_t targets_of(int32_t kind, const void *arg)
{
    return kind == MAILSRV_OP_BODY_COMMIT ? ((const mailsrv_arg_body_commit *)arg)->n_targets : 0;
}

/* The results of a COMMIT have their room before it is asked. */
static struct op *new_op(mailsrv_engine *e, int32_t number, uint32_t n_targets)
{
    size_t results = n_targets * sizeof(mailsrv_result), texts = (size_t)n_targets * RESULT_TEXT_OCTETS;
    struct op *op =
        mailsrv__op_new_with_closer(e, NULL, number, mailsrv__ask_octets(results) + mailsrv__ask_octets(texts));
    if (op == NULL || n_targets == 0)
        return op;
    op->results = mailsrv__op_room(op, results);
    op->results_text = mailsrv__op_room(op, texts);
    return op;
}

static void take_account(struct op *op, const mailsrv_id *account)
{
    if (account == NULL)
        return;
    op->pub.account = *account;
    if (op->then != NULL)
        op->then->pub.account = *account;
}

int32_t mailsrv_ask(mailsrv_engine *e, int32_t number, const mailsrv_id *account, const void *arg, mailsrv_asked **out)
{
    if (!can_be_asked(e, number) || arg == NULL || out == NULL)
        return MAILSRV_E_USAGE;
    const struct kind *kind = mailsrv__kind(number);
    uint32_t octets = *(const uint32_t *)arg;
    if (octets < kind->arg_octets)
        return MAILSRV_E_USAGE;
    if (!e->servers[number].served)
        return MAILSRV_CANNOT;
    mailsrv__answers_use(e, &mailsrv__store_answers);
    struct op *op = new_op(e, number, targets_of(number, arg));
    if (op == NULL)
        return MAILSRV_NOMEM;
    memcpy((void *)(uintptr_t)op->pub.arg, arg, kind->arg_octets);
    *(uint32_t *)(uintptr_t)op->pub.arg = kind->arg_octets; /* what a later version had behind it was left out */
    take_account(op, account);
    op->kept = true;
    e->had_a_session = true;
    e->n_asked++;
    mailsrv__op_submit(op);
    *out = (mailsrv_asked *)(void *)op;
    return MAILSRV_OK;
}

const mailsrv_answer *mailsrv_asked_answer(const mailsrv_asked *asked)
{
    const struct op *op = (const struct op *)(const void *)asked;
    return op != NULL && op->state == OP_ANSWERED ? &op->answer : NULL;
}

void mailsrv_asked_free(mailsrv_asked *asked)
{
    struct op *op = op_of(asked);
    if (op == NULL)
        return;
    op->kept = false;
    op->engine->n_asked--;
    mailsrv__op_orphan(op);
}
