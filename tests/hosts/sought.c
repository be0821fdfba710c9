/* Looks for texts in messages, for sought.py.  From standard input, with numbers of four octets, little-endian: how many
 * conditions; of each its kind, and the octets of its name and of its text, each behind their number; then the message,
 * behind its number.  To standard output a line for it: + where it matches, - where it does not.  And so on. */
#include "message/seek.h"

#include <stdio.h>
#include <stdlib.h>

enum { PIECE = 1000 };

static void stop(const char *why)
{
    fprintf(stderr, "sought: %s\n", why);
    exit(1);
}

static bool read_number(uint32_t *out)
{
    uint8_t octets[4];
    if (fread(octets, 1, 4, stdin) != 4)
        return false;
    *out = octets[0] | (uint32_t)octets[1] << 8 | (uint32_t)octets[2] << 16 | (uint32_t)octets[3] << 24;
    return true;
}

static uint32_t must_read_number(void)
{
    uint32_t n;
    if (!read_number(&n))
        stop("the input ends");
    return n;
}

static struct span read_octets(struct arena *arena)
{
    uint32_t n = must_read_number();
    char *p = mailsrv__arena_take(arena, n);
    if (p == NULL || fread(p, 1, n, stdin) != n)
        stop("the input ends");
    return (struct span){ p, n };
}

static void seek(struct arena *arena, const struct sought *v, uint32_t n, struct span message)
{
    struct seek *s;
    if (mailsrv__seek_new(arena, v, n, &s) != MAILSRV_OK)
        stop("that cannot be looked for");
    mailsrv__seek_begin(s);
    while (message.n != 0 && mailsrv__seek_take(s, mailsrv__span_first(message, PIECE)))
        message = mailsrv__span_after(message, PIECE);
    mailsrv__seek_end(s);
    for (uint32_t i = 0; i < n; i++)
        putchar(mailsrv__seek_match(s, i) == SEEK_YES ? '+' : '-');
    putchar('\n');
    fflush(stdout);
    mailsrv__seek_fini(s);
}

int main(void)
{
    uint32_t n;
    while (read_number(&n)) {
        struct heap heap;
        mailsrv__heap_init(&heap, mailsrv__malloc(), UINT64_MAX);
        struct arena arena = { .heap = &heap };
        struct sought *v = mailsrv__arena_take(&arena, n * sizeof *v);
        if (v == NULL)
            stop("no memory");
        for (uint32_t i = 0; i < n; i++) {
            v[i].kind = (enum seek_kind)must_read_number();
            v[i].name = read_octets(&arena);
            v[i].text = read_octets(&arena);
        }
        seek(&arena, v, n, read_octets(&arena));
        mailsrv__arena_clear(&arena);
    }
    return 0;
}
