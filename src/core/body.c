#include "core/body.h"

#include "core/op.h"
#include "core/step.h"

enum {
    CHUNK_LEAST = 4 * 1024,
    CHUNK_MOST = 32 * 1024,
    TEXT_KEPT = 120 /* of a failed WRITE's answer */
};

struct chunk {
    size_t room, n; /* the octets stand just behind */
};

struct body {
    struct handle handle;
    struct op *out;   /* BEGIN, WRITE or COMMIT that is waited for; NULL: none */
    struct op *write; /* the record of all WRITEs, reserved with BEGIN */
    struct chunk *filling, *spare; /* a third one is `write`'s buffer while that is out */
    uint64_t octets;  /* taken */
    uint64_t written; /* asked to be written */
    uint32_t features;
    int32_t status;
    bool finished;
    char text[TEXT_KEPT];
    size_t text_n;
};

/* ---- Chunks ---- */

static struct chunk *new_chunk(mailsrv_session *s, size_t room)
{
    struct chunk *c = mailsrv__heap_room(&s->engine->heap, CLASS_BODIES, &s->purse, sizeof *c + room);
    if (c != NULL)
        *c = (struct chunk){ .room = room };
    return c;
}

static void free_chunk(mailsrv_session *s, struct chunk *c)
{
    if (c != NULL)
        mailsrv__heap_give(&s->engine->heap, CLASS_BODIES, &s->purse, c, sizeof *c + c->room);
}

static uint8_t *octets_of(struct chunk *c)
{
    return (uint8_t *)(c + 1);
}

/* Chunks grow with the body: many small deliveries at once do not hold many large buffers. */
static size_t fitting_room(const struct body *b)
{
    size_t room = CHUNK_LEAST;
    while (room < CHUNK_MOST && b->octets >= 4 * room)
        room *= 2;
    return room;
}

/* The chunk to fill next: a larger one if the body has grown and there is memory, else the one that came back. */
static struct chunk *next_chunk(mailsrv_session *s, struct body *b)
{
    size_t room = fitting_room(b);
    struct chunk *back = b->spare;
    if (back != NULL && back->room >= room) {
        b->spare = NULL;
        return back;
    }
    struct chunk *larger = new_chunk(s, room);
    if (larger == NULL && back == NULL && room > CHUNK_LEAST)
        larger = new_chunk(s, CHUNK_LEAST);
    if (larger == NULL) {
        b->spare = NULL;
        return back;
    }
    free_chunk(s, back);
    b->spare = NULL;
    return larger;
}

/* ---- Writing ---- */

static bool is_writing(const struct body *b)
{
    return b->write != NULL && b->out == b->write;
}

static void write_chunk(mailsrv_session *s, struct body *b)
{
    struct chunk *c = b->filling;
    struct op *op = b->write;
    mailsrv_arg_body_write *arg = (mailsrv_arg_body_write *)(void *)(uintptr_t)op->pub.arg;
    arg->body = b->handle.value;
    arg->offset = b->written;
    arg->octets = (mailsrv_bytes){ octets_of(c), c->n };
    op->is_chunk = true;
    op->buffer = c;
    op->buffer_octets = sizeof *c + c->room;
    b->written += c->n;
    b->filling = NULL;
    b->out = op;
    mailsrv__op_submit(op);
    mailsrv__spend(s, 8);
}

static void failed(struct body *b, int32_t status, struct span text)
{
    b->status = status;
    b->text_n = text.n < TEXT_KEPT ? text.n : TEXT_KEPT;
    if (b->text_n != 0)
        memcpy(b->text, text.p, b->text_n);
}

/* Of one session's writes one is out at a time, also when nobody waits for it any more. */
static void write_if_possible(mailsrv_session *s, struct body *b)
{
    struct chunk *c = b->filling;
    if (b->status != MAILSRV_OK || b->out != NULL || c == NULL || c->n == 0)
        return;
    if (!b->finished && c->n < c->room)
        return;
    if (mailsrv__write_is_late(s)) {
        failed(b, MAILSRV_TEMP, (struct span){ NULL, 0 });
        return;
    }
    write_chunk(s, b);
    if (!b->finished)
        b->filling = next_chunk(s, b);
}

bool mailsrv__body_has_news(const mailsrv_session *s)
{
    const struct body *b = s->body;
    return b != NULL && is_writing(b) && b->out->state == OP_ANSWERED;
}

void mailsrv__body_turn(mailsrv_session *s)
{
    struct body *b = s->body;
    if (!mailsrv__body_has_news(s))
        return;
    struct op *op = b->write;
    struct chunk *back = op->buffer;
    back->n = 0;
    op->buffer = NULL;
    op->buffer_octets = 0;
    b->out = NULL;
    free_chunk(s, b->spare);
    b->spare = back;
    if (op->answer.status != MAILSRV_OK)
        failed(b, op->answer.status, mailsrv__span(op->answer.text));
    mailsrv__op_renew(op);
    if (b->filling == NULL && !b->finished)
        b->filling = next_chunk(s, b);
    write_if_possible(s, b);
}

/* ---- Filling ---- */

bool mailsrv__body_has_room(const mailsrv_session *s)
{
    const struct body *b = s->body;
    return b->status != MAILSRV_OK || (b->filling != NULL && b->filling->n < b->filling->room);
}

static size_t fill(struct chunk *c, struct span octets)
{
    size_t n = c->room - c->n < octets.n ? c->room - c->n : octets.n;
    memcpy(octets_of(c) + c->n, octets.p, n);
    c->n += n;
    return n;
}

size_t mailsrv__body_put(mailsrv_session *s, struct span octets)
{
    struct body *b = s->body;
    size_t taken = 0;
    while (b->status == MAILSRV_OK && taken < octets.n && mailsrv__body_has_room(s)) {
        size_t n = fill(b->filling, mailsrv__span_after(octets, taken));
        taken += n;
        b->octets += n;
        write_if_possible(s, b);
    }
    return b->status == MAILSRV_OK ? taken : octets.n;
}

size_t mailsrv__body_room(mailsrv_session *s)
{
    struct body *b = s->body;
    if (b->status != MAILSRV_OK)
        return SIZE_MAX;
    if (b->filling == NULL)
        b->filling = next_chunk(s, b);
    return b->filling == NULL ? 0 : b->filling->room - b->filling->n;
}

void mailsrv__body_finish(mailsrv_session *s)
{
    s->body->finished = true;
    s->one_patience = true; /* from the final dot to the reply there is one total time */
    if (s->body->status == MAILSRV_OK && mailsrv__write_is_late(s))
        failed(s->body, MAILSRV_TEMP, (struct span){ NULL, 0 }); /* also a body without octets is not committed now */
    write_if_possible(s, s->body);
}

bool mailsrv__body_settled(const mailsrv_session *s)
{
    const struct body *b = s->body;
    if (b->status != MAILSRV_OK)
        return !is_writing(b);
    return b->finished && b->out == NULL && (b->filling == NULL || b->filling->n == 0);
}

bool mailsrv__body_is_due(const mailsrv_session *s)
{
    const struct body *b = s->body;
    if (b == NULL || s->answers_are_late)
        return true;
    return b->finished ? mailsrv__body_settled(s) : mailsrv__body_has_room(s);
}

struct op *mailsrv__body_writing(const mailsrv_session *s)
{
    const struct body *b = s->body;
    return b != NULL && is_writing(b) && b->out->state != OP_ANSWERED ? b->out : NULL;
}

void mailsrv__body_loses(mailsrv_session *s, struct op *op)
{
    struct body *b = s->body;
    if (b == NULL || b->out != op)
        return;
    if (b->write == op)
        b->write = NULL;
    b->out = NULL;
    failed(b, MAILSRV_TEMP, (struct span){ NULL, 0 });
    struct op *closer = mailsrv__handle_let_go(&b->handle);
    if (closer != NULL)
        mailsrv__op_then(op, closer);
}

void mailsrv__body_answered(mailsrv_session *s)
{
    struct body *b = s->body;
    if (b != NULL && b->out != NULL && b->out != b->write && b->out->state == OP_ANSWERED)
        b->out = NULL;
}

int32_t mailsrv__body_status(const mailsrv_session *s)
{
    return s->body->status;
}

struct span mailsrv__body_text(const mailsrv_session *s)
{
    return (struct span){ s->body->text, s->body->text_n };
}

uint64_t mailsrv__body_octets(const mailsrv_session *s)
{
    return s->body->octets;
}

uint64_t mailsrv__body_handle(const mailsrv_session *s)
{
    return s->body == NULL ? 0 : s->body->handle.value;
}

uint32_t mailsrv__body_features(const mailsrv_session *s)
{
    return s->body->features;
}

/* ---- Beginning ---- */

static bool reserve(mailsrv_session *s, struct body *b)
{
    b->filling = new_chunk(s, CHUNK_LEAST);
    b->write = mailsrv__op_new(s->engine, s, MAILSRV_OP_BODY_WRITE, 0);
    return b->filling != NULL && b->write != NULL;
}

static void free_body(mailsrv_session *s, struct body *b)
{
    free_chunk(s, b->filling);
    free_chunk(s, b->spare);
    mailsrv__op_free(b->write);
    mailsrv__heap_give(&s->engine->heap, CLASS_BODIES, &s->purse, b, sizeof *b);
}

bool mailsrv__body_ask(mailsrv_session *s, uint64_t octets_hint)
{
    struct body *b = mailsrv__heap_take(&s->engine->heap, CLASS_BODIES, &s->purse, sizeof *b);
    if (b == NULL)
        return false;
    struct ask ask = { NULL, NULL };
    if (reserve(s, b))
        ask = mailsrv__ask(s, MAILSRV_OP_BODY_BEGIN, 0);
    if (ask.op == NULL) {
        free_body(s, b);
        return false;
    }
    ((mailsrv_arg_body_begin *)ask.arg)->octets_hint = octets_hint;
    b->out = ask.op;
    s->body = b;
    return true;
}

int32_t mailsrv__body_begun(mailsrv_session *s, unsigned i)
{
    const mailsrv_answer *answer = mailsrv__answer(s, i);
    struct body *b = s->body;
    if (answer->status != MAILSRV_OK) {
        free_body(s, b);
        s->body = NULL;
        return answer->status;
    }
    const mailsrv_body_begun *begun = answer->value;
    b->features = begun->features;
    mailsrv__handle_take(s, i, begun->body, &b->handle);
    return MAILSRV_OK;
}

/* ---- Committing ---- */

static size_t commit_octets(uint32_t n_targets, size_t octets)
{
    size_t results = mailsrv__ask_octets(n_targets * sizeof(mailsrv_result));
    size_t texts = mailsrv__ask_octets(n_targets * RESULT_TEXT_OCTETS);
    return mailsrv__ask_octets(sizeof(mailsrv_staged)) + mailsrv__ask_octets(n_targets * sizeof(mailsrv_target)) +
           results + texts + octets;
}

static struct op *new_undo(mailsrv_session *s, uint32_t n_queue)
{
    struct op *op = mailsrv__op_new(s->engine, s, MAILSRV_OP_QUEUE_DELETE, n_queue * sizeof(uint64_t));
    if (op == NULL)
        return NULL;
    ((mailsrv_arg_queue_delete *)(void *)(uintptr_t)op->pub.arg)->queues =
        mailsrv__op_room(op, n_queue * sizeof(uint64_t));
    return op;
}

static void fill_commit(struct op *op, const mailsrv_staged *body, uint32_t n_targets)
{
    mailsrv_staged *staged = mailsrv__op_room(op, sizeof *staged);
    mailsrv_target *targets = mailsrv__op_room(op, n_targets * sizeof *targets);
    op->results = mailsrv__op_room(op, n_targets * sizeof *op->results);
    op->results_text = mailsrv__op_room(op, n_targets * RESULT_TEXT_OCTETS);
    *staged = *body;
    for (uint32_t i = 0; i < n_targets; i++)
        targets[i].size = sizeof *targets;
    mailsrv_arg_body_commit *arg = (mailsrv_arg_body_commit *)(void *)(uintptr_t)op->pub.arg;
    arg->n_bodies = 1;
    arg->body_stride = sizeof *staged;
    arg->n_targets = n_targets;
    arg->target_stride = sizeof *targets;
    arg->bodies = staged;
    arg->targets = targets;
    arg->saved_us = op->engine->unix_us;
}

struct op *mailsrv__commit_new(mailsrv_engine *e, mailsrv_session *s, const mailsrv_staged *body, uint32_t n_targets,
                               size_t octets)
{
    struct op *op = mailsrv__op_new(e, s, MAILSRV_OP_BODY_COMMIT, commit_octets(n_targets, octets));
    if (op != NULL)
        fill_commit(op, body, n_targets);
    return op;
}

/* Without it the body is as good: who asks for it reads the message. */
static void fill_structure(struct op *op, struct span structure)
{
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    mailsrv_staged *staged = (mailsrv_staged *)(uintptr_t)arg->bodies;
    if (structure.n != 0)
        op->structure = mailsrv__heap_take(&op->engine->heap, CLASS_BODIES, NULL, structure.n);
    if (op->structure == NULL)
        return;
    memcpy(op->structure, structure.p, structure.n);
    op->structure_octets = structure.n;
    staged->structure = (mailsrv_bytes){ op->structure, structure.n };
}

struct ask mailsrv__body_commit(mailsrv_session *s, uint32_t n_targets, uint32_t n_queue, size_t octets,
                                struct span structure)
{
    struct body *b = s->body;
    const mailsrv_staged staged = { .size = sizeof staged, .body = b->handle.value, .octets = b->octets };
    struct op *op = mailsrv__commit_new(s->engine, s, &staged, n_targets, octets);
    if (op != NULL && n_queue != 0) {
        op->undo = new_undo(s, n_queue);
        if (op->undo == NULL) {
            mailsrv__op_free(op);
            op = NULL;
        }
    }
    if (op != NULL)
        fill_structure(op, structure);
    struct ask ask = mailsrv__ask_record(s, op);
    b->out = ask.op;
    return ask;
}

/* ---- The end ---- */

/* The body is closed when what is out of it is answered.  BEGIN brings its own closing record. */
static void close_after(mailsrv_session *s, struct body *b)
{
    struct op *out = b->out;
    struct op *closer = mailsrv__handle_let_go(&b->handle);
    if (closer == NULL)
        return;
    if (out != NULL && out->state != OP_ANSWERED) {
        mailsrv__op_then(out, closer);
        return;
    }
    mailsrv__op_submit(closer);
    mailsrv__spend(s, 8);
}

void mailsrv__body_drop(mailsrv_session *s)
{
    struct body *b = s->body;
    if (b == NULL)
        return;
    s->body = NULL;
    close_after(s, b);
    if (is_writing(b) && b->write->state != OP_ANSWERED) {
        mailsrv__op_orphan(b->write);
        b->write = NULL;
    }
    free_body(s, b);
}
