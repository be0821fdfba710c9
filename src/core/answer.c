/* Answers come in: checked whole before anything is changed, then copied or lent, then whoever waits is woken. */
#include "core/answer.h"
#include "core/ledger.h"
#include "core/room.h"

#include <mailsrv/tls.h>

enum { TEXT_MAX = 200 };

/* ---- Static answers, for what was never asked and what came too late ---- */

const mailsrv_answer *mailsrv__answer_of(int32_t status)
{
    static const mailsrv_answer temp = { .size = sizeof temp, .status = MAILSRV_TEMP };
    static const mailsrv_answer no_memory = { .size = sizeof no_memory, .status = MAILSRV_NOMEM };
    return status == MAILSRV_NOMEM ? &no_memory : &temp;
}

/* ---- Checks ---- */

static bool is_status(int32_t status)
{
    return status == MAILSRV_OK || status == MAILSRV_NOMEM || (status <= MAILSRV_TEMP && status >= MAILSRV_CORRUPT) ||
           (status <= MAILSRV_DENIED && status >= MAILSRV_GONE);
}

/* Every struct of a value begins with its size; a field that it does not reach cannot be read. */
static bool value_is_whole(const struct kind *kind, const mailsrv_answer *answer)
{
    if (answer->status != MAILSRV_OK || kind->value_octets == 0)
        return true;
    return answer->value != NULL && *(const uint32_t *)answer->value >= kind->value_octets;
}

bool mailsrv__bytes_are_there(mailsrv_bytes b)
{
    return b.n == 0 || b.p != NULL;
}

bool mailsrv__list_is_whole(const void *rows, uint32_t n, uint32_t stride, size_t row_octets)
{
    return n == 0 || (rows != NULL && stride >= row_octets);
}

/* A place of a kind that nobody knows is no place for mail.  Of a long list none is looked at. */
static bool places_are_known(const mailsrv_resolved *v)
{
    mailsrv_destination to;
    for (uint32_t i = 0; v->n <= 64 && i < v->n; i++) {
        memcpy(&to, (const char *)v->destinations + (size_t)i * v->stride, sizeof to);
        if ((to.kind != MAILSRV_TARGET_MAILBOX && to.kind != MAILSRV_TARGET_QUEUE) ||
            !mailsrv__bytes_are_there(to.address) || !mailsrv__bytes_are_there(to.reverse_path))
            return false;
    }
    return true;
}

static bool lists_are_whole(const struct op *op, const void *value)
{
    const union op_value *v = value;
    const struct answers *answers = op->engine->answers;
    switch (op->pub.kind) {
    case MAILSRV_OP_RESOLVE:
        return v->resolved.n != 0 && mailsrv__list_is_whole(v->resolved.destinations, v->resolved.n, v->resolved.stride,
                                                            sizeof(mailsrv_destination)) &&
               places_are_known(&v->resolved);
    case MAILSRV_OP_BODY_BEGIN:
        return true;
    case MAILSRV_OP_BODY_COMMIT:
        return mailsrv__list_is_whole(v->committed.results, v->committed.n, v->committed.stride,
                                      sizeof(mailsrv_result));
    case MAILSRV_OP_POLICY:
        return mailsrv__verdict_is_whole(&v->verdict);
    default:
        return answers != NULL && answers->is_whole(&op->pub, value);
    }
}

/* A kind that must give a handle gives one that is not 0; READ may do without. */
static bool handle_is_given(const struct op *op, const void *value)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    if ((kind->flags & KIND_GIVES) == 0 || op->pub.kind == MAILSRV_OP_READ)
        return true;
    uint64_t handle;
    memcpy(&handle, (const char *)value + kind->handle_at, sizeof handle);
    return handle != 0;
}

static bool is_whole(const struct op *op, const mailsrv_answer *answer)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    if (!mailsrv__bytes_are_there(answer->text) || !value_is_whole(kind, answer))
        return false;
    if (answer->status != MAILSRV_OK || kind->value_octets == 0)
        return true;
    return lists_are_whole(op, answer->value) && handle_is_given(op, answer->value);
}

/* ---- Copies ---- */

void *mailsrv__copy_room(struct op *op, size_t octets)
{
    struct purse *purse = op->session == NULL ? NULL : &op->session->purse;
    if (octets == 0)
        return NULL;
    op->copied = mailsrv__heap_take(&op->engine->heap, CLASS_OPERATIONS, purse, octets);
    op->copied_octets = octets;
    return op->copied;
}

mailsrv_bytes mailsrv__put_bytes(uint8_t **to, mailsrv_bytes from)
{
    if (from.n == 0)
        return (mailsrv_bytes){ NULL, 0 };
    memcpy(*to, from.p, from.n);
    *to += from.n;
    return (mailsrv_bytes){ *to - from.n, from.n };
}

static size_t bytes_of_places(const mailsrv_resolved *v)
{
    size_t octets = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        const mailsrv_destination *to =
            (const void *)((const char *)v->destinations + (size_t)i * v->stride);
        octets += to->address.n + to->reverse_path.n;
    }
    return octets;
}

static bool copy_destinations(struct op *op)
{
    mailsrv_resolved *v = &op->value.resolved;
    const char *from = (const char *)v->destinations;
    if (v->n > 64) { /* becomes one QUEUE target: none of them is looked at */
        v->destinations = NULL;
        return true;
    }
    mailsrv_destination *to = mailsrv__copy_room(op, v->n * sizeof *to + bytes_of_places(v));
    if (to == NULL)
        return false;
    uint8_t *at = (uint8_t *)(to + v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        memcpy(&to[i], from + (size_t)i * v->stride, sizeof *to);
        to[i].address = mailsrv__put_bytes(&at, to[i].address);
        to[i].reverse_path = mailsrv__put_bytes(&at, to[i].reverse_path);
    }
    v->destinations = to;
    v->stride = sizeof *to;
    return true;
}

static bool copy_verdict(struct op *op)
{
    mailsrv_verdict *v = &op->value.verdict;
    uint8_t *to = mailsrv__copy_room(op, v->address.n + v->fields.n);
    if (to == NULL)
        return v->address.n == 0 && v->fields.n == 0;
    v->address = mailsrv__put_bytes(&to, v->address);
    v->fields = mailsrv__put_bytes(&to, v->fields);
    return true;
}

static bool copy_list(struct op *op)
{
    switch (op->pub.kind) {
    case MAILSRV_OP_RESOLVE:
        return copy_destinations(op);
    case MAILSRV_OP_POLICY:
        return copy_verdict(op);
    default:
        return op->engine->answers == NULL || op->engine->answers->copy(op);
    }
}

/* A text goes to a peer: nothing in it may end a line or hide in one. */
static void put_text(uint8_t *to, mailsrv_bytes from)
{
    for (size_t i = 0; i < from.n; i++)
        to[i] = from.p[i] >= 0x20 && from.p[i] < 0x7F ? from.p[i] : '?';
}

static void copy_text(struct op *op, mailsrv_bytes text)
{
    struct purse *purse = op->session == NULL ? NULL : &op->session->purse;
    size_t n = text.n < TEXT_MAX ? text.n : TEXT_MAX;
    op->answer.text = (mailsrv_bytes){ NULL, 0 };
    if (n == 0)
        return;
    op->text = mailsrv__heap_room(&op->engine->heap, CLASS_OPERATIONS, purse, n);
    if (op->text == NULL)
        return; /* a text is a courtesy */
    op->text_octets = n;
    put_text(op->text, (mailsrv_bytes){ text.p, n });
    op->answer.text = (mailsrv_bytes){ op->text, n };
}

/* The results of a COMMIT have their room since it was asked: a message must not be stored and then not be told of. */
static void copy_results(struct op *op)
{
    mailsrv_committed *v = &op->value.committed;
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    for (uint32_t i = 0; i < arg->n_targets; i++)
        op->results[i] = (mailsrv_result){ .status = MAILSRV_TEMP };
    for (uint32_t i = 0; i < arg->n_targets && i < v->n; i++) {
        memcpy(&op->results[i], (const char *)v->results + (size_t)i * v->stride, sizeof *op->results);
        mailsrv_bytes *text = &op->results[i].text;
        if (!is_status(op->results[i].status))
            op->results[i].status = MAILSRV_TEMP;
        if (!mailsrv__bytes_are_there(*text))
            *text = (mailsrv_bytes){ NULL, 0 };
        if (text->n > RESULT_TEXT_OCTETS)
            text->n = RESULT_TEXT_OCTETS; /* so much is kept for each */
        put_text(op->results_text, *text);
        text->p = op->results_text;
        op->results_text += text->n;
    }
    v->results = op->results;
    v->n = arg->n_targets;
    v->stride = sizeof *op->results;
}

void mailsrv__answer_store(struct op *op, const mailsrv_answer *answer)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    op->answer = (mailsrv_answer){ .size = sizeof op->answer, .status = answer->status };
    copy_text(op, answer->text);
    op->lent.release = answer->release;
    op->lent.user = answer->user;
    if (!is_status(answer->status))
        op->answer.status = MAILSRV_TEMP;
    if (op->answer.status != MAILSRV_OK || kind->value_octets == 0)
        return;
    memcpy(&op->value, answer->value, kind->value_octets);
    op->value_given = true;
    op->answer.value = &op->value;
    if (op->pub.kind == MAILSRV_OP_BODY_COMMIT)
        copy_results(op);
    if (op->pub.kind == MAILSRV_OP_READ && ((const mailsrv_arg_read *)op->pub.arg)->handle != 0)
        op->value.read_bytes.handle = 0; /* only the first answer gives one: an echo must not close it twice */
    if (answer->release == NULL && !copy_list(op)) {
        op->answer.status = MAILSRV_NOMEM;
        op->answer.value = NULL;
        mailsrv__op_close_unseen(op);
    }
}

/* ---- Settling ---- */

void mailsrv__op_tell(struct op *op)
{
    mailsrv_session *s = op->session;
    if (op->errand != NULL) {
        op->errand->answered(op->errand);
        return;
    }
    if (s == NULL) {
        if (!op->kept)
            mailsrv__op_finish_orphan(op);
        return;
    }
    if (!op->is_chunk && op != s->asker.ahead)
        s->asker.open--;
    mailsrv__session_wake(s);
}

static void settle(struct op *op, const mailsrv_answer *answer)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    mailsrv__list_remove(&op->link);
    mailsrv__list_remove(&op->late_link);
    mailsrv__op_forget(op);
    op->engine->ops.n_out--;
    op->state = OP_ANSWERED;
    mailsrv__answer_store(op, answer);
    if (op->engine->ledger != NULL)
        op->engine->ledger->answered(op);
    if ((kind->flags & KIND_SECRET) != 0)
        mailsrv__wipe(op + 1, op->octets - sizeof *op);
    mailsrv__changed_by(op);
    mailsrv__op_tell(op);
}

/* A handler did what it must not: whoever runs the program is told, for no peer can be. */
static void blame(mailsrv_engine *e, uint64_t session_id, const char *kind, struct span fault)
{
    char text[EVENT_TEXT_MAX];
    size_t n = strlen(kind);
    memcpy(text, kind, n);
    memcpy(text + n, fault.p, fault.n);
    mailsrv__event(e, MAILSRV_EVENT_STORE_FAILED, session_id, text, n + fault.n);
}

static int32_t refuse_unknown(mailsrv_engine *e, mailsrv_op_id id, const mailsrv_answer *answer)
{
    if (id == 0 || id > e->ops.last_id)
        return MAILSRV_E_USAGE;
    blame(e, 0, "an operation", SPAN(" was answered twice"));
    if (answer->release != NULL)
        answer->release(answer->user);
    return MAILSRV_E_STALE;
}

int32_t mailsrv_op_answer(mailsrv_engine *e, mailsrv_op_id id, const mailsrv_answer *given)
{
    if (e == NULL || given == NULL || given->size < sizeof *given)
        return MAILSRV_E_USAGE;
    mailsrv_answer answer = *given;
    struct op *op = mailsrv__op_find(e, id);
    if (op == NULL)
        return refuse_unknown(e, id, &answer);
    if (op->state != OP_TAKEN)
        return MAILSRV_E_USAGE;
    if (!is_whole(op, &answer)) {
        blame(e, op->pub.session_id, mailsrv_op_name(op->pub.kind), SPAN(" was given an answer that is not whole"));
        return MAILSRV_E_USAGE;
    }
    settle(op, &answer);
    return MAILSRV_OK;
}

int32_t mailsrv_op_answer_status(mailsrv_engine *e, mailsrv_op_id id, int32_t status)
{
    const mailsrv_answer answer = { .size = sizeof answer, .status = status };
    return mailsrv_op_answer(e, id, &answer);
}
