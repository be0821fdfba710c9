#include "liar.h"

#include <string.h>

#define HANDLE 777777u

static bool is_read(const struct telling *t)
{
    return t->op.kind == MAILSRV_OP_READ && ((const mailsrv_arg_read *)t->op.arg)->mbox != 0;
}

static void reads_one_further(struct liar *liar, struct telling *t)
{
    (void)liar;
    const mailsrv_arg_read *arg = t->op.arg;
    mailsrv_bytes *octets = &t->reply.value.read_bytes.octets;
    if (!is_read(t) || t->status != MAILSRV_OK || arg->offset == 0 || arg->octets != 10 || octets->n < 2)
        return;
    octets->p++;
    octets->n--;
}

static void fails_at_the_end(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_read(t) && t->status == MAILSRV_OK && t->reply.value.read_bytes.octets.n == 0)
        t->status = MAILSRV_NONEXISTENT;
}

static enum go forgets_handles(struct liar *liar, struct telling *t)
{
    (void)liar;
    return is_read(t) && ((const mailsrv_arg_read *)t->op.arg)->handle == HANDLE ? refuse(t, MAILSRV_GONE) : GO_ON;
}

static void gives_handles(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (is_read(t) && t->status == MAILSRV_OK)
        t->reply.value.read_bytes.handle = HANDLE;
}

static void nothing(void *user)
{
    (void)user;
}

/* All that is lent lies in one buffer. */
static void lends_one_buffer(struct liar *liar, struct telling *t)
{
    mailsrv_bytes *octets = &t->reply.value.read_bytes.octets;
    if (!is_read(t) || t->status != MAILSRV_OK || octets->n == 0 || octets->n > sizeof liar->is.octets)
        return;
    memcpy(liar->is.octets, octets->p, octets->n);
    octets->p = liar->is.octets;
    t->reply.release(t->reply.user);
    t->reply.release = nothing;
}

/* ---- EXPUNGE ---- */

static mailsrv_arg_expunge *own(struct liar *liar, struct telling *t)
{
    liar->is.arg.expunge = *(const mailsrv_arg_expunge *)t->op.arg;
    t->op.arg = &liar->is.arg.expunge;
    return &liar->is.arg.expunge;
}

static enum go takes_all_below(struct liar *liar, struct telling *t)
{
    if (t->op.kind != MAILSRV_OP_EXPUNGE)
        return GO_ON;
    mailsrv_arg_expunge *arg = own(liar, t);
    liar->is.run = (mailsrv_run){ 1, arg->uids[0].last };
    arg->uids = &liar->is.run;
    return GO_ON;
}

static enum go takes_undeleted(struct liar *liar, struct telling *t)
{
    if (t->op.kind == MAILSRV_OP_EXPUNGE)
        own(liar, t)->only_deleted = 0;
    return GO_ON;
}

static void minds_what_is_gone(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_EXPUNGE && t->reply.value.expunged.modseq == 0)
        t->status = MAILSRV_NONEXISTENT;
}

static void old_modseq(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (t->op.kind == MAILSRV_OP_EXPUNGE && t->reply.value.expunged.modseq != 0)
        t->reply.value.expunged.modseq = 1;
}

static void gone_for_now(struct liar *liar, struct telling *t)
{
    const mailsrv_arg_read *arg = t->op.arg;
    if (is_read(t) && t->status == MAILSRV_GONE && mailsrv__memory_opened(store_of(liar), arg->mbox) != NULL)
        t->status = MAILSRV_TEMP;
}

const struct lie lies_read[] = {
    { .check = "READ gives ranges", .what = "one octet further", .after = reads_one_further },
    { .check = "READ ends with the message", .what = "it fails there", .after = fails_at_the_end },
    { .check = "READ goes on by its handle", .what = "the handle is forgotten", .before = forgets_handles,
      .after = gives_handles },
    { .check = "lent octets stay as they are", .what = "the next READ writes over them", .after = lends_one_buffer },
    { .check = "EXPUNGE takes what it names", .what = "and all below", .before = takes_all_below },
    { .check = "only_deleted spares the others", .what = "it does not", .before = takes_undeleted },
    { .check = "EXPUNGE of what is gone is no error", .what = "it is one", .after = minds_what_is_gone },
    { .check = "EXPUNGE has a modseq above all before", .what = "the first one there was", .after = old_modseq },
    { .check = "an expunged message is GONE", .what = "it may come back", .after = gone_for_now },
    { 0 },
};
