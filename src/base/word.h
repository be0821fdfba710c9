/* Octets that are looked at eight at a time: most of them are passed by, and only what is left is looked at singly. */
#ifndef BASE_WORD_H
#define BASE_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_HIGH (WORD_ONES << 7)

static inline uint64_t mailsrv__word(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The high bits of those of the eight that are this octet, and perhaps of some above the lowest of them; 0: none is.
 * Subtracting 1 from each lets its high bit rise where it was 0. */
static inline uint64_t mailsrv__word_marks(uint64_t word, uint8_t octet)
{
    uint64_t zero = word ^ WORD_ONES * octet;
    return (zero - WORD_ONES) & ~zero & WORD_HIGH;
}

/* The same of those that are below `octet`, which is 128 at most. */
static inline uint64_t mailsrv__word_below(uint64_t word, uint8_t octet)
{
    return (word - WORD_ONES * octet) & ~word & WORD_HIGH;
}

/* How far, eight octets at a time, there is none below `below`, which is 128 at most, and none that is `octet`, where
 * that is not 0. */
static inline size_t mailsrv__skip_words(const char *p, size_t n, uint8_t below, uint8_t octet)
{
    size_t i = 0;
    for (; n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = mailsrv__word(p + i);
        uint64_t marks = mailsrv__word_below(word, below);
        if ((octet == 0 ? marks : marks | mailsrv__word_marks(word, octet)) != 0)
            break;
    }
    return i;
}

/* How far it is to the next octet that is one of both; `n`: there is none. */
size_t mailsrv__find_either(const char *p, size_t n, char a, char b);

#endif
