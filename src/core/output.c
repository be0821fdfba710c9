#include "core/output.h"

#include "core/op.h"
#include "core/profile.h"
#include "core/step.h"
#include "core/tls.h"

enum {
    CHUNK_FIRST = 384, /* of text: holds an EHLO reply */
    CHUNK_NEXT = 2048,
    CHUNK_BESIDE = 64, /* behind lent bytes: a stuffed dot, perhaps, and then lent bytes again */
    LENT_LEAST = 512   /* shorter runs are copied: a slice costs more */
};

void mailsrv__output_init(struct output *out)
{
    *out = (struct output){ 0 };
    mailsrv__list_init(&out->slices);
    mailsrv__list_init(&out->records);
}

/* Where what was said waits to be seen, or to be encrypted. */
static uint64_t *said(struct output *out)
{
    return out->veiled ? &out->plain : &out->octets;
}

struct slice *mailsrv__slice_new(mailsrv_session *s, size_t room)
{
    struct slice *slice = mailsrv__heap_room(&s->engine->heap, CLASS_OUTPUT, &s->purse, sizeof *slice + room);
    if (slice == NULL)
        return NULL;
    *slice = (struct slice){ .p = (const char *)(slice + 1), .room = room };
    return slice;
}

void mailsrv__slice_free(mailsrv_session *s, struct slice *slice)
{
    if (slice == NULL || mailsrv__tls_keeps(s, slice))
        return;
    if (slice->lent != NULL)
        mailsrv__lent_drop(slice->lent);
    if (slice->secret)
        mailsrv__wipe(slice + 1, slice->room);
    mailsrv__heap_give(&s->engine->heap, CLASS_OUTPUT, &s->purse, slice, sizeof *slice + slice->room);
}

static struct slice *last(const struct output *out)
{
    return mailsrv__list_empty(&out->slices) ? NULL : HOLDER(out->slices.prev, struct slice, node);
}

/* A place for `n` octets of text, in one piece: behind the last slice, in a new one, in the reserved one. */
static struct slice *text_for(mailsrv_session *s, size_t n)
{
    struct output *out = &s->out;
    struct slice *slice = last(out);
    if (slice != NULL && slice->lent == NULL && slice->room - slice->n >= n)
        return slice;
    size_t usual = CHUNK_NEXT;
    if (slice == NULL)
        usual = CHUNK_FIRST;
    else if (slice->lent != NULL)
        usual = CHUNK_BESIDE;
    slice = mailsrv__slice_new(s, n > usual ? n : usual);
    if (slice == NULL && usual > n)
        slice = mailsrv__slice_new(s, n);
    if (slice == NULL && out->spare != NULL && out->spare->room >= n) {
        slice = out->spare;
        out->spare = NULL;
    }
    if (slice != NULL)
        mailsrv__list_append(&out->slices, &slice->node);
    return slice;
}

static bool put_text(mailsrv_session *s, struct span text)
{
    if (text.n == 0)
        return true;
    struct slice *slice = text_for(s, text.n);
    if (slice == NULL)
        return false;
    memcpy((char *)(slice + 1) + slice->n, text.p, text.n);
    slice->n += text.n;
    slice->secret |= s->says_secrets;
    *said(&s->out) += text.n;
    s->out.in_line = text.p[text.n - 1] != '\n';
    return true;
}

bool mailsrv__say(mailsrv_session *s, struct span text)
{
    if (s->ended || s->broken)
        return false;
    if (put_text(s, text))
        return true;
    s->broken = true;
    return false;
}

bool mailsrv__reserve(mailsrv_session *s, size_t octets)
{
    struct slice *spare = s->out.spare;
    if (spare != NULL && spare->room >= octets)
        return true;
    struct slice *larger = mailsrv__slice_new(s, octets);
    if (larger == NULL)
        return false;
    mailsrv__slice_free(s, spare);
    s->out.spare = larger;
    return true;
}

void mailsrv__unreserve(mailsrv_session *s)
{
    mailsrv__slice_free(s, s->out.spare);
    s->out.spare = NULL;
}

bool mailsrv__say_lent(mailsrv_session *s, struct lent *lent, struct span bytes)
{
    if (bytes.n < LENT_LEAST)
        return put_text(s, bytes);
    struct slice *slice = mailsrv__heap_take(&s->engine->heap, CLASS_OUTPUT, &s->purse, sizeof *slice);
    if (slice == NULL)
        return false;
    slice->p = bytes.p;
    slice->n = bytes.n;
    slice->lent = lent;
    lent->refs++;
    mailsrv__list_append(&s->out.slices, &slice->node);
    *said(&s->out) += bytes.n;
    return true;
}

void mailsrv__lent_drop(struct lent *lent)
{
    mailsrv__op_free(lent->op);
}

uint64_t mailsrv__unsent(const mailsrv_session *s)
{
    return s->out.octets + s->out.plain;
}

bool mailsrv__window_open(const mailsrv_session *s)
{
    return mailsrv__unsent(s) < mailsrv__setting(s, MAILSRV_PROFILE_WINDOW_OCTETS);
}

void mailsrv__output_part(mailsrv_session *s, const char *parting)
{
    if (parting == NULL || s->out.parting != NULL || s->out.in_line || mailsrv__tls_is_awaited(s))
        return;
    s->out.parting = parting;
    s->out.parting_n = strlen(parting);
    *said(&s->out) += s->out.parting_n;
}

void mailsrv__output_veil(mailsrv_session *s)
{
    struct node *n;
    while ((n = mailsrv__list_pop(&s->out.slices)) != NULL)
        mailsrv__list_append(&s->out.records, n);
    s->out.veiled = true;
}

void mailsrv__output_record(mailsrv_session *s, struct slice *record)
{
    mailsrv__list_append(&s->out.records, &record->node);
    s->out.octets += record->n;
}

void mailsrv__output_free(mailsrv_session *s)
{
    struct node *n;
    while ((n = mailsrv__list_pop(&s->out.slices)) != NULL || (n = mailsrv__list_pop(&s->out.records)) != NULL)
        mailsrv__slice_free(s, HOLDER(n, struct slice, node));
    mailsrv__unreserve(s);
}

/* ---- What the host sees ---- */

static struct node *seen(mailsrv_session *s)
{
    return s->out.veiled ? &s->out.records : &s->out.slices;
}

int32_t mailsrv_session_output(mailsrv_session *s, mailsrv_out *v, size_t cap, size_t *count)
{
    if (s == NULL || count == NULL || (v == NULL && cap != 0))
        return MAILSRV_E_USAGE;
    *count = 0;
    if (s->dead)
        return MAILSRV_OK;
    const struct node *all = seen(s), *n = all->next;
    for (; n != all && *count < cap; n = n->next) {
        const struct slice *slice = HOLDER(n, struct slice, node);
        if (slice->n != slice->sent)
            v[(*count)++] = (mailsrv_out){ (const uint8_t *)slice->p + slice->sent, slice->n - slice->sent, 0, 0 };
    }
    if (n == all && *count < cap && s->out.parting_n != 0 && !s->out.veiled)
        v[(*count)++] = (mailsrv_out){ (const uint8_t *)s->out.parting, s->out.parting_n, 0, 0 };
    return MAILSRV_OK;
}

size_t mailsrv__output_drop(mailsrv_session *s, struct node *all, size_t n)
{
    while (!mailsrv__list_empty(all)) {
        struct slice *slice = HOLDER(all->next, struct slice, node);
        size_t left = slice->n - slice->sent;
        if (n < left) {
            slice->sent += n;
            return 0;
        }
        n -= left;
        mailsrv__list_remove(&slice->node);
        mailsrv__slice_free(s, slice);
    }
    return n;
}

int32_t mailsrv_session_sent(mailsrv_session *s, size_t n)
{
    if (s == NULL || n > s->out.octets)
        return MAILSRV_E_USAGE;
    if (n == 0 || s->dead)
        return MAILSRV_OK;
    s->out.octets -= n;
    s->octets_out += n;
    size_t of_parting = mailsrv__output_drop(s, seen(s), n);
    if (of_parting != 0) {
        s->out.parting += of_parting;
        s->out.parting_n -= of_parting;
    }
    mailsrv__peer_timer_restart(s);
    mailsrv__session_wake(s);
    mailsrv__session_update(s);
    return MAILSRV_OK;
}
