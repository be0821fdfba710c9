#include "memory.h"

#include <string.h>

#define CHUNK_MAX 16384 /* of what is added in small pieces; a larger piece is one chunk */

struct body *mailsrv__memory_body_new(struct memory *m)
{
    struct body *body = mailsrv__memory_take(m, sizeof *body);
    if (body == NULL)
        return NULL;
    body->memory = m;
    body->refs = 1;
    return body;
}

void mailsrv__memory_body_unref(struct body *body)
{
    if (--body->refs != 0)
        return;
    struct memory *m = body->memory;
    struct chunk *next;
    for (struct chunk *c = body->first; c != NULL; c = next) {
        next = c->next;
        mailsrv__memory_give(m, c, sizeof *c + c->room);
    }
    m->octets -= body->octets;
    mailsrv__memory_give(m, body->structure, body->n_structure);
    mailsrv__memory_give(m, body, sizeof *body);
}

/* Chunks double with the body, so that octets written one by one cost few allocations. */
static struct chunk *add_chunk(struct body *body, size_t least)
{
    size_t room = body->octets < CHUNK_MAX ? (size_t)body->octets : CHUNK_MAX;
    if (room < least)
        room = least;
    struct chunk *c = mailsrv__memory_take(body->memory, sizeof *c + room);
    if (c == NULL)
        return NULL;
    c->room = room;
    if (body->last != NULL)
        body->last->next = c;
    else
        body->first = c;
    body->last = c;
    return c;
}

static void fill(struct body *body, struct chunk *c, const uint8_t *p, size_t n)
{
    memcpy(c->octets + c->n, p, n);
    c->n += n;
    body->octets += n;
    body->memory->octets += n;
}

int32_t mailsrv__memory_body_add(struct body *body, const uint8_t *p, size_t n)
{
    struct memory *m = body->memory;
    if (m->octets >= m->knobs[MAILSRV_MEMORY_OCTETS_MAX] || n > m->knobs[MAILSRV_MEMORY_OCTETS_MAX] - m->octets)
        return MAILSRV_FULL;
    struct chunk *last = body->last;
    size_t rest = last != NULL ? last->room - last->n : 0;
    if (rest > n)
        rest = n;
    struct chunk *more = NULL;
    if (n > rest && (more = add_chunk(body, n - rest)) == NULL)
        return MAILSRV_NOMEM;
    if (rest != 0)
        fill(body, last, p, rest);
    if (more != NULL)
        fill(body, more, p + rest, n - rest);
    return MAILSRV_OK;
}

/* The first COMMIT of a body tells; without memory for it there is none. */
void mailsrv__memory_body_structure(struct body *body, mailsrv_bytes structure)
{
    if (body->structure != NULL || structure.n == 0)
        return;
    body->structure = mailsrv__memory_take(body->memory, structure.n);
    if (body->structure == NULL)
        return;
    memcpy(body->structure, structure.p, structure.n);
    body->n_structure = structure.n;
}

mailsrv_bytes mailsrv__memory_body_at(struct body *body, uint64_t offset)
{
    struct chunk *c = body->first;
    uint64_t at = 0;
    if (body->near != NULL && body->near_at <= offset) {
        c = body->near;
        at = body->near_at;
    }
    while (c != NULL && offset - at >= c->n) {
        at += c->n;
        c = c->next;
    }
    if (c == NULL)
        return (mailsrv_bytes){ NULL, 0 };
    body->near = c;
    body->near_at = at;
    size_t skip = (size_t)(offset - at);
    return (mailsrv_bytes){ c->octets + skip, c->n - skip };
}

int32_t mailsrv__memory_body_begin(struct memory *m, const struct binding *from, struct reply *r)
{
    struct handle *h = mailsrv__memory_handle_new(m, from, HANDLE_BODY);
    if (h == NULL)
        return MAILSRV_NOMEM;
    h->body = mailsrv__memory_body_new(m);
    if (h->body == NULL) {
        mailsrv__memory_handle_close(m, h->number, HANDLE_BODY, 0);
        return MAILSRV_NOMEM;
    }
    r->has_value = true;
    r->value.begun.size = sizeof r->value.begun;
    r->value.begun.body = h->number;
    if (m->knobs[MAILSRV_MEMORY_TAKES_QUEUE] != 0)
        r->value.begun.features |= MAILSRV_BODY_TAKES_QUEUE;
    if (m->knobs[MAILSRV_MEMORY_ATOMIC] != 0)
        r->value.begun.features |= MAILSRV_BODY_ATOMIC;
    return MAILSRV_OK;
}

int32_t mailsrv__memory_body_write(struct memory *m, const mailsrv_op *op)
{
    const mailsrv_arg_body_write *arg = op->arg;
    struct handle *h = mailsrv__memory_handle_find(m, arg->body, HANDLE_BODY);
    if (h == NULL || arg->offset != h->body->octets)
        return MAILSRV_CANNOT;
    return mailsrv__memory_body_add(h->body, arg->octets.p, arg->octets.n);
}
