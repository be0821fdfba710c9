#include "base/word.h"

/* Where the lowest octet of a word is the first in memory, so is its lowest mark, which is exact. */
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FIRST_OF(marks) ((size_t)__builtin_ctzll(marks) / 8)
#else
#define FIRST_OF(marks) 0
#endif

size_t mailsrv__find_either(const char *p, size_t n, char a, char b)
{
    size_t i = 0;
    for (; n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = mailsrv__word(p + i);
        uint64_t marks = mailsrv__word_marks(word, (uint8_t)a) | mailsrv__word_marks(word, (uint8_t)b);
        if (marks != 0) {
            i += FIRST_OF(marks);
            break;
        }
    }
    while (i < n && p[i] != a && p[i] != b)
        i++;
    return i;
}
