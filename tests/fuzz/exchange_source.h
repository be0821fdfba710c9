/* A source of the exchange format that lies in memory. */
#ifndef FUZZ_EXCHANGE_SOURCE_H
#define FUZZ_EXCHANGE_SOURCE_H

#include "fuzz.h"

#include "exchange.h"

static bool source_read(void *user, void *p, size_t n)
{
    struct span *rest = user;
    if (n > rest->n)
        return false;
    if (n != 0)
        memcpy(p, rest->p, n);
    *rest = mailsrv__span_after(*rest, n);
    return true;
}

static bool source_read_line(void *user, char *line, size_t room)
{
    for (size_t n = 0; n < room && source_read(user, line + n, 1); n++)
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
    return false;
}

/* What was read of it `rest` has no more. */
static struct exchange_source source_of(struct span *rest)
{
    return (struct exchange_source){ rest, source_read, source_read_line };
}

#endif
