/* Bytes of the driver: borrowed ones, and a buffer that grows. */
#ifndef DIALOGUE_TEXT_H
#define DIALOGUE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *p;
    size_t n;
};

struct buffer {
    char *p;
    size_t n, room;
};

/* A test that finds no memory of its own cannot go on: both end the program then. */
void *dialogue_take(size_t n); /* zeroed */
void buffer_add(struct buffer *buffer, const void *p, size_t n);

void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_number(struct buffer *buffer, uint64_t number);
void buffer_free(struct buffer *buffer);

static inline struct text buffer_text(const struct buffer *buffer)
{
    return (struct text){ buffer->p, buffer->n };
}

static inline struct text text_of(const char *z)
{
    return (struct text){ z, strlen(z) };
}

static inline bool text_is(struct text a, const char *z)
{
    return a.n == strlen(z) && memcmp(a.p, z, a.n) == 0;
}

static inline bool text_begins(struct text a, struct text with)
{
    return a.n >= with.n && (with.n == 0 || memcmp(a.p, with.p, with.n) == 0);
}

static inline struct text text_after(struct text a, size_t n)
{
    if (a.n == 0)
        return a; /* it may be nowhere */
    return n >= a.n ? (struct text){ a.p + a.n, 0 } : (struct text){ a.p + n, a.n - n };
}

/* Where `z` begins in `a`, or a.n. */
size_t text_find(struct text a, const char *z);

bool text_holds(struct text a, struct text part);

/* Cuts the first word off `*rest`; words are separated by spaces.  Empty: there is none. */
struct text text_word(struct text *rest);

/* Cuts the first line off `*rest`, its end (LF) included. */
struct text text_line(struct text *rest);

/* False: not a decimal number below 2^64. */
bool text_number(struct text a, uint64_t *out);

#endif
