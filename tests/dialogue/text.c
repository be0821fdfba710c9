#include "text.h"

#include <stdio.h>
#include <stdlib.h>

void *dialogue_take(size_t n)
{
    void *p = calloc(1, n == 0 ? 1 : n);
    if (p == NULL) {
        fputs("dialogue: no memory\n", stderr);
        exit(3);
    }
    return p;
}

void buffer_add(struct buffer *b, const void *p, size_t n)
{
    if (b->n + n > b->room) {
        b->room = (b->n + n) * 2 + 64;
        char *larger = realloc(b->p, b->room);
        if (larger == NULL) {
            fputs("dialogue: no memory\n", stderr);
            exit(3);
        }
        b->p = larger;
    }
    if (n != 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buffer_add_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text));
}

void buffer_add_number(struct buffer *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    buffer_add(b, digits + at, sizeof digits - at);
}

void buffer_free(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){ 0 };
}

size_t text_find(struct text a, const char *z)
{
    size_t n = strlen(z);
    for (size_t i = 0; i + n <= a.n; i++)
        if (memcmp(a.p + i, z, n) == 0)
            return i;
    return a.n;
}

bool text_holds(struct text a, struct text part)
{
    for (size_t i = 0; i + part.n <= a.n; i++)
        if (text_begins(text_after(a, i), part))
            return true;
    return false;
}

struct text text_word(struct text *rest)
{
    while (rest->n != 0 && rest->p[0] == ' ')
        *rest = text_after(*rest, 1);
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ' ')
        n++;
    struct text word = { rest->p, n };
    *rest = text_after(*rest, n);
    while (rest->n != 0 && rest->p[0] == ' ')
        *rest = text_after(*rest, 1);
    return word;
}

struct text text_line(struct text *rest)
{
    const char *end = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);
    size_t n = end == NULL ? rest->n : (size_t)(end - rest->p) + 1;
    struct text line = { rest->p, n };
    *rest = text_after(*rest, n);
    return line;
}

bool text_number(struct text a, uint64_t *out)
{
    uint64_t number = 0;
    if (a.n == 0 || a.n > 20)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(a.p[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}
