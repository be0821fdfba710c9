#include "core/room.h"

#include "core/answer.h"
#include "core/op.h"

#include <mailsrv/store.h>

/* ---- Rooms ---- */

struct room *mailsrv__room_find(const mailsrv_engine *e, const char *name)
{
    struct room *room = e->rooms;
    while (room != NULL && room->name != name)
        room = room->next;
    return room;
}

void mailsrv__room_add(mailsrv_engine *e, struct room *room)
{
    room->next = e->rooms;
    e->rooms = room;
}

void mailsrv__rooms_end(mailsrv_engine *e)
{
    while (e->rooms != NULL) {
        struct room *room = e->rooms;
        e->rooms = room->next;
        room->end(room);
    }
}

void mailsrv__rooms_notify(mailsrv_engine *e, const mailsrv_id *account, const mailsrv_id *mailbox,
                           uint64_t modseq_hint)
{
    for (struct room *room = e->rooms; room != NULL; room = room->next)
        if (room->notify != NULL)
            room->notify(room, account, mailbox, modseq_hint);
}

int32_t mailsrv_notify(mailsrv_engine *e, const mailsrv_id *mailbox, uint64_t modseq_hint)
{
    if (e == NULL || mailbox == NULL)
        return MAILSRV_E_USAGE;
    mailsrv__rooms_notify(e, NULL, mailbox, modseq_hint);
    return MAILSRV_OK;
}

/* ---- The engine ---- */

struct heap *mailsrv__room_heap(mailsrv_engine *e)
{
    return &e->heap;
}

void mailsrv__room_work(mailsrv_engine *e, struct work *work)
{
    mailsrv__ring_put(e, work);
}

void mailsrv__room_spend(mailsrv_engine *e, uint32_t units)
{
    e->slice_spent += units;
}

bool mailsrv__room_may_go_on(const mailsrv_engine *e)
{
    return e->slice_spent < e->slice_max;
}

struct timers *mailsrv__room_timers(mailsrv_engine *e)
{
    return &e->timers;
}

int64_t mailsrv__room_unix_us(const mailsrv_engine *e)
{
    return e->unix_us;
}

bool mailsrv__room_served(const mailsrv_engine *e, int32_t kind)
{
    return e->servers[kind].served;
}

bool mailsrv__room_begin(mailsrv_engine *e, const struct answers *answers)
{
    if (!e->advanced)
        return false;
    e->had_a_session = true;
    mailsrv__answers_use(e, answers);
    return true;
}

bool mailsrv__room_random(const mailsrv_engine *e, void *out, size_t n)
{
    return e->crypto.random != NULL && e->crypto.random(e->crypto.user, out, n) == MAILSRV_OK;
}

void mailsrv__room_event(mailsrv_engine *e, int32_t what, struct span text)
{
    mailsrv__event(e, what, 0, text.p, text.n);
}

/* ---- Errands ---- */

static struct ask submit(mailsrv_engine *e, struct errand *errand, struct op *op)
{
    mailsrv__answers_use(e, &mailsrv__store_answers);
    op->errand = errand;
    errand->op = op;
    mailsrv__op_submit(op);
    mailsrv__room_spend(e, 8);
    return (struct ask){ op, (void *)(uintptr_t)op->pub.arg };
}

struct ask mailsrv__errand_ask(mailsrv_engine *e, struct errand *errand, int32_t number, const mailsrv_id *account,
                               size_t octets)
{
    struct op *op = mailsrv__op_new_with_closer(e, NULL, number, octets);
    if (op == NULL)
        return (struct ask){ NULL, NULL };
    op->pub.account = *account;
    if (op->then != NULL)
        op->then->pub.account = *account;
    return submit(e, errand, op);
}

struct ask mailsrv__errand_commit(mailsrv_engine *e, struct errand *errand, const mailsrv_staged *body,
                                  uint32_t n_targets, size_t octets)
{
    struct op *op = mailsrv__commit_new(e, NULL, body, n_targets, octets);
    return op == NULL ? (struct ask){ NULL, NULL } : submit(e, errand, op);
}

const void *mailsrv__errand_arg(const struct errand *errand)
{
    return errand->op->pub.arg;
}

const mailsrv_answer *mailsrv__errand_answer(const struct errand *errand)
{
    const struct op *op = errand->op;
    return op != NULL && op->state == OP_ANSWERED ? &op->answer : NULL;
}

int32_t mailsrv__errand_find(const mailsrv_engine *e, mailsrv_op_id id, int32_t kind, struct errand **out)
{
    const struct op *op = mailsrv__op_find(e, id);
    if (op == NULL || op->state != OP_TAKEN || op->pub.kind != kind)
        return MAILSRV_E_USAGE;
    *out = op->errand;
    return op->errand == NULL ? MAILSRV_E_STALE : MAILSRV_OK;
}

void mailsrv__errand_take_handle(struct errand *errand, uint64_t value, struct handle *handle)
{
    *handle = (struct handle){ value, errand->op->then };
    errand->op->then = NULL;
    ((mailsrv_arg_close *)(void *)(uintptr_t)handle->closer->pub.arg)->handle = value;
}

void mailsrv__errand_drop(struct errand *errand)
{
    struct op *op = errand->op;
    errand->op = NULL;
    if (op == NULL)
        return;
    op->errand = NULL;
    mailsrv__op_orphan(op);
}

void mailsrv__errand_drop_with(struct errand *errand, struct handle *const *handles, size_t n)
{
    struct op *op = errand->op;
    for (size_t i = 0; op != NULL && op->state != OP_ANSWERED && i < n; i++) {
        if (handles[i]->closer != NULL)
            mailsrv__op_then(op, handles[i]->closer);
        *handles[i] = (struct handle){ 0, NULL };
    }
    mailsrv__handles_drop(handles, n);
    mailsrv__errand_drop(errand);
}

void mailsrv__handles_drop(struct handle *const *handles, size_t n)
{
    struct op *first = NULL;
    for (size_t i = 0; i < n; i++) {
        struct op *closer = handles[i]->closer;
        *handles[i] = (struct handle){ 0, NULL };
        if (first == NULL)
            first = closer;
        else if (closer != NULL)
            mailsrv__op_then(first, closer);
    }
    if (first != NULL)
        mailsrv__op_submit(first);
}
