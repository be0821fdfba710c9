/* A view of bytes that somebody else owns, and the few things that are done with one. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <mailsrv/base.h>

#include <stdbool.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

/* A string literal as a span. */
#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

static inline struct span mailsrv__span(mailsrv_bytes b)
{
    return (struct span){ (const char *)b.p, b.n };
}

static inline mailsrv_bytes mailsrv__bytes(struct span s)
{
    return (mailsrv_bytes){ (const uint8_t *)s.p, s.n };
}

static inline bool mailsrv__span_equal(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char mailsrv__upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* ASCII letters compare without case; no locale. */
static inline bool mailsrv__span_equal_nocase(struct span a, struct span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (mailsrv__upper(a.p[i]) != mailsrv__upper(b.p[i]))
            return false;
    return true;
}

/* The first `n` octets of `s`, or all. */
static inline struct span mailsrv__span_first(struct span s, size_t n)
{
    return (struct span){ s.p, n < s.n ? n : s.n };
}

/* `s` without its first `n` octets. */
static inline struct span mailsrv__span_after(struct span s, size_t n)
{
    return n >= s.n ? (struct span){ NULL, 0 } : (struct span){ s.p + n, s.n - n };
}

/* Input that a reader consumes from the front. */
struct input {
    const uint8_t *p;
    size_t n;
};

static inline void mailsrv__input_skip(struct input *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

#endif
