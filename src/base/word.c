#include "base/word.h"

size_t mailsrv__find_either(const char *p, size_t n, char a, char b)
{
    size_t i = 0;
    for (; n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = mailsrv__word(p + i);
        if (mailsrv__word_holds(word, (uint8_t)a) || mailsrv__word_holds(word, (uint8_t)b))
            break;
    }
    while (i < n && p[i] != a && p[i] != b)
        i++;
    return i;
}
