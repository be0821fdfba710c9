#include "durable.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct buffer *b, size_t n)
{
    if (b->room - b->n >= n)
        return true;
    size_t room = b->room * 2 > b->n + n ? b->room * 2 : b->n + n;
    uint8_t *p = realloc(b->p, room);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->room = room;
    return true;
}

void mailsrv__durable_put(struct buffer *to, const void *p, size_t n)
{
    if (n == 0 || to->failed || !grow(to, n))
        return;
    memcpy(to->p + to->n, p, n);
    to->n += n;
}

void mailsrv__durable_set_number(uint8_t *to, uint64_t value, int octets)
{
    for (int i = 0; i < octets; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

void mailsrv__durable_put_number(struct buffer *to, uint64_t value, int octets)
{
    uint8_t b[8];
    mailsrv__durable_set_number(b, value, octets);
    mailsrv__durable_put(to, b, (size_t)octets);
}

void mailsrv__durable_put_bytes(struct buffer *to, mailsrv_bytes bytes)
{
    mailsrv__durable_put_number(to, bytes.n, 4);
    mailsrv__durable_put(to, bytes.p, bytes.n);
}

void mailsrv__durable_put_id(struct buffer *to, const mailsrv_id *id)
{
    mailsrv__durable_put(to, id->b, sizeof id->b);
}

static const uint8_t *take(struct reader *from, size_t n)
{
    if (from->bad || from->n < n) {
        from->bad = true;
        return NULL;
    }
    const uint8_t *p = from->p;
    from->p += n;
    from->n -= n;
    return p;
}

uint64_t mailsrv__durable_get_number(struct reader *from, int octets)
{
    const uint8_t *p = take(from, (size_t)octets);
    uint64_t value = 0;
    for (int i = 0; p != NULL && i < octets; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

mailsrv_bytes mailsrv__durable_get_bytes(struct reader *from)
{
    size_t n = (size_t)mailsrv__durable_get_number(from, 4);
    const uint8_t *p = take(from, n);
    return (mailsrv_bytes){ p, p != NULL ? n : 0 };
}

mailsrv_bytes mailsrv__durable_id_bytes(const mailsrv_id *id)
{
    return (mailsrv_bytes){ id->b, sizeof id->b };
}

mailsrv_id mailsrv__durable_get_id(struct reader *from)
{
    mailsrv_id id = { { 0 } };
    const uint8_t *p = take(from, sizeof id.b);
    if (p != NULL)
        memcpy(id.b, p, sizeof id.b);
    return id;
}
