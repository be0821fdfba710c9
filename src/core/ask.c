#include "core/ask.h"

#include "core/op.h"

/* ---- Asking ---- */

static void *argument(struct op *op)
{
    return (void *)(uintptr_t)op->pub.arg;
}

struct ask mailsrv__ask_record(mailsrv_session *s, struct op *op)
{
    struct asker *a = &s->asker;
    a->asked[a->n_asked] = op;
    a->asked_status[a->n_asked] = MAILSRV_NOMEM;
    a->n_asked++;
    if (op == NULL)
        return (struct ask){ NULL, NULL };
    a->open++;
    mailsrv__op_submit(op);
    mailsrv__spend(s, 8);
    return (struct ask){ op, argument(op) };
}

struct ask mailsrv__ask(mailsrv_session *s, int32_t kind, size_t octets)
{
    if (s->asker.n_asked == ASKED_MAX) /* the taps of a body may be many */
        return (struct ask){ NULL, NULL };
    return mailsrv__ask_record(s, mailsrv__op_new_with_closer(s->engine, s, kind, octets));
}

struct ask mailsrv__ask_ahead(mailsrv_session *s, int32_t kind, size_t octets)
{
    struct op *op = mailsrv__op_new(s->engine, s, kind, octets);
    if (op == NULL)
        return (struct ask){ NULL, NULL };
    s->asker.ahead = op;
    mailsrv__op_submit(op);
    mailsrv__spend(s, 8);
    return (struct ask){ op, argument(op) };
}

void mailsrv__ask_await(mailsrv_session *s)
{
    struct asker *a = &s->asker;
    a->asked[a->n_asked++] = a->ahead;
    if (a->ahead->state != OP_ANSWERED)
        a->open++;
    a->ahead = NULL;
}

void *mailsrv__ask_room(struct ask *ask, size_t octets)
{
    return mailsrv__op_room(ask->op, octets);
}

mailsrv_bytes mailsrv__ask_copy(struct ask *ask, struct span from)
{
    if (from.n == 0)
        return (mailsrv_bytes){ NULL, 0 };
    uint8_t *to = mailsrv__op_room(ask->op, from.n);
    memcpy(to, from.p, from.n);
    return (mailsrv_bytes){ to, from.n };
}

const mailsrv_answer *mailsrv__answer(const mailsrv_session *s, unsigned i)
{
    const struct asker *a = &s->asker;
    if (i >= a->n_answered)
        return mailsrv__answer_of(MAILSRV_TEMP);
    if (a->answered[i] == NULL)
        return mailsrv__answer_of(a->answered_status[i]);
    return &a->answered[i]->answer;
}

bool mailsrv__answer_came(const mailsrv_session *s, unsigned i)
{
    return i < s->asker.n_answered && s->asker.answered[i] != NULL;
}

bool mailsrv__answer_is_done(const mailsrv_session *s, unsigned i)
{
    const struct op *op = s->asker.answered[i];
    return op != NULL && op->answer.status == MAILSRV_NOMEM && op->value_given;
}

struct lent *mailsrv__take_lent(mailsrv_session *s, unsigned i)
{
    struct op *op = s->asker.answered[i];
    op->lent.refs++;
    return &op->lent;
}

bool mailsrv__write_is_late(const mailsrv_session *s)
{
    for (const struct node *n = s->late.next; n != &s->late; n = n->next) {
        const struct op *op = HOLDER(n, struct op, late_link);
        if ((mailsrv__kind(op->pub.kind)->flags & KIND_WRITES) != 0)
            return true;
    }
    return false;
}

/* ---- Handles ---- */

void mailsrv__handle_take(mailsrv_session *s, unsigned i, uint64_t value, struct handle *handle)
{
    struct op *op = s->asker.answered[i];
    *handle = (struct handle){ 0, NULL };
    if (value == 0)
        return; /* READ gave none: the closing record goes with the question's */
    *handle = (struct handle){ value, op->then };
    op->then = NULL;
    ((mailsrv_arg_close *)argument(handle->closer))->handle = value;
}

void mailsrv__handle_told(struct handle *handle, uint32_t uid)
{
    if (handle->closer != NULL)
        ((mailsrv_arg_close *)argument(handle->closer))->told = uid;
}

struct op *mailsrv__handle_let_go(struct handle *handle)
{
    struct op *closer = handle->closer;
    *handle = (struct handle){ 0, NULL };
    if (closer == NULL || closer->session == NULL)
        return closer;
    mailsrv__purse_leave(&closer->session->purse, closer->octets);
    closer->session = NULL;
    return closer;
}

/* What timed out for the peer may be using any handle of its session: none is closed under it. */
static bool anything_late(const mailsrv_session *s)
{
    return !mailsrv__list_empty(&s->late);
}

/* Until the session leaves. */
static void put_off(mailsrv_session *s, struct op *closer)
{
    if (s->put_off == NULL)
        s->put_off = closer;
    else
        mailsrv__op_then(s->put_off, closer);
}

void mailsrv__handle_close(mailsrv_session *s, struct handle *handle)
{
    struct op *closer = mailsrv__handle_let_go(handle);
    if (closer == NULL)
        return;
    if (anything_late(s)) {
        put_off(s, closer);
        return;
    }
    mailsrv__op_submit(closer);
    mailsrv__spend(s, 8);
}

void mailsrv__handle_ask_close(mailsrv_session *s, struct handle *handle)
{
    if (anything_late(s)) {
        put_off(s, mailsrv__handle_let_go(handle));
        mailsrv__ask_record(s, NULL);
        return;
    }
    struct op *closer = handle->closer;
    *handle = (struct handle){ 0, NULL };
    mailsrv__ask_record(s, closer);
}

/* `chain` waits for `op`, unless that owes nothing any more. */
static void hold(struct op *chain, struct op *op)
{
    if (op == NULL || op->gate != NULL || (op->state == OP_ANSWERED && op->then == NULL))
        return;
    op->gate = chain;
    chain->holds++;
}

/* A chain that waits for something late of this session already; NULL: there is none. */
static struct op *waiting_chain(const mailsrv_session *s)
{
    for (struct node *late = s->late.next; late != &s->late; late = late->next)
        if (HOLDER(late, struct op, late_link)->gate != NULL)
            return HOLDER(late, struct op, late_link)->gate;
    return NULL;
}

/* The closers of all handles, those that were put off first. */
static struct op *leaving_chain(mailsrv_session *s, struct handle *const *handles, size_t n)
{
    struct op *chain = NULL;
    for (size_t i = n; i-- > 0;) {
        struct op *closer = mailsrv__handle_let_go(handles[i]);
        if (closer == NULL)
            continue;
        closer->then = chain;
        chain = closer;
    }
    if (s->put_off == NULL)
        return chain;
    struct op *first = s->put_off;
    s->put_off = NULL;
    if (chain != NULL)
        mailsrv__op_then(first, chain);
    return first;
}

void mailsrv__handles_leave(mailsrv_session *s, struct handle *const *handles, size_t n)
{
    struct op *chain = leaving_chain(s, handles, n);
    struct op *before = waiting_chain(s);
    if (chain == NULL)
        return;
    if (before != NULL) {
        mailsrv__op_then(before, chain);
        chain = before;
    }
    for (unsigned i = 0; i < s->asker.n_asked; i++)
        hold(chain, s->asker.asked[i]);
    hold(chain, s->asker.ahead);
    for (struct node *late = s->late.next; late != &s->late; late = late->next)
        hold(chain, HOLDER(late, struct op, late_link));
    if (chain->holds == 0)
        mailsrv__op_submit(chain);
}
