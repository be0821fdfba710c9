#include "liar.h"

#include <string.h>

static void takes_every_address(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_RESOLVE || t->status != MAILSRV_NONEXISTENT)
        return;
    liar->is.destination = (mailsrv_destination){ .kind = MAILSRV_TARGET_MAILBOX,
                                                  .account = liar->world.accounts[0] };
    t->status = MAILSRV_OK;
    t->reply.has_value = true;
    t->reply.value.resolved = (mailsrv_resolved){ sizeof(mailsrv_resolved), 0, 1, sizeof(mailsrv_destination),
                                                  &liar->is.destination };
}

static enum go minds_case(struct liar *liar, struct telling *t)
{
    (void)liar;
    const mailsrv_arg_resolve *arg = t->op.arg;
    if (t->op.kind != MAILSRV_OP_RESOLVE)
        return GO_ON;
    for (size_t i = 0; i < arg->domain.n; i++)
        if (arg->domain.p[i] >= 'A' && arg->domain.p[i] <= 'Z')
            return refuse(t, MAILSRV_NONEXISTENT);
    return GO_ON;
}

static void hides_features(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_BODY_BEGIN)
        t->reply.value.begun.features = 0;
}

/* The second body gets the first one's handle while nothing was written. */
static void one_handle_for_two(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_BODY_WRITE || t->op.kind == MAILSRV_OP_BODY_CLOSE)
        liar->is.handle = 0;
    if (t->op.kind != MAILSRV_OP_BODY_BEGIN)
        return;
    if (liar->is.handle != 0) {
        mailsrv__memory_handle_close(store_of(liar), t->reply.value.begun.body, HANDLE_BODY, 0);
        t->reply.value.begun.body = liar->is.handle;
    }
    liar->is.handle = t->reply.value.begun.body;
}

static enum go spoils_an_octet(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_WRITE)
        return GO_ON;
    liar->is.arg.write = *(const mailsrv_arg_body_write *)t->op.arg;
    mailsrv_bytes *octets = &liar->is.arg.write.octets;
    if (octets->n != 7)
        return GO_ON;
    memcpy(liar->is.octets, octets->p, 7);
    liar->is.octets[3] ^= 1;
    octets->p = liar->is.octets;
    t->op.arg = &liar->is.arg.write;
    return GO_ON;
}

static enum go delivers_what_was_dropped(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_CLOSE)
        return GO_ON;
    const struct handle *h = mailsrv__memory_handle_find(
        store_of(liar), ((const mailsrv_arg_close *)t->op.arg)->handle, HANDLE_BODY);
    if (h != NULL && h->body->octets == 777)
        mailsrv_memory_append(liar->world.store, &liar->world.accounts[0], "dropped", 7);
    return GO_ON;
}

static void swallows_what_is_too_large(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_BODY_WRITE && t->status == MAILSRV_FULL)
        t->status = MAILSRV_OK;
}

static void reads_nothing_staged(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_READ && ((const mailsrv_arg_read *)t->op.arg)->body != 0)
        t->reply.value.read_bytes.octets.n = 0;
}

/* ---- Answers as such ---- */

static void answers_twice(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_BODY_CLOSE)
        mailsrv_op_answer_status(t->engine, t->op.id, MAILSRV_OK);
}

static void answers_half(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind != MAILSRV_OP_BODY_BEGIN || t->status != MAILSRV_OK)
        return;
    mailsrv_body_begun half = t->reply.value.begun;
    half.size = 4;
    mailsrv_answer a = { .size = sizeof a, .value = &half };
    mailsrv_op_answer(t->engine, t->op.id, &a);
}

static enum go never_answers_a_close(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_BODY_CLOSE)
        return GO_ON;
    mailsrv__memory_perform(store_of(liar), t->from, &t->op, &t->reply);
    return SAY_NOTHING;
}

static enum go leaves_bodies_open(struct liar *liar, struct telling *t)
{
    (void)liar;
    return t->op.kind == MAILSRV_OP_BODY_CLOSE ? refuse(t, MAILSRV_OK) : GO_ON;
}

const struct lie lies_receive[] = {
    { .check = "addresses are known", .what = "every address is taken", .after = takes_every_address },
    { .check = "domains have no case", .what = "a domain in upper case is refused", .before = minds_case },
    { .check = "features are told", .what = "BODY_BEGIN tells none", .after = hides_features },
    { .check = "bodies have handles of their own", .what = "one handle for two", .after = one_handle_for_two },
    { .check = "a commit gives the whole message", .what = "an octet is spoilt", .before = spoils_an_octet },
    { .check = "a body closed without commit leaves nothing", .what = "it is delivered",
      .before = delivers_what_was_dropped },
    { .check = "a body too large is refused", .what = "its octets vanish", .after = swallows_what_is_too_large },
    { .check = "a staged body can be read", .what = "it seems empty", .after = reads_nothing_staged },
    { .check = "answers are given once and whole", .what = "BODY_CLOSE is, twice", .after = answers_twice },
    { .check = "answers are given once and whole", .what = "a struct is too small", .after = answers_half },
    { .check = "every operation is answered", .what = "BODY_CLOSE never is", .before = never_answers_a_close },
    { .check = "no handle is left open", .what = "BODY_CLOSE does nothing", .before = leaves_bodies_open },
    { 0 },
};
