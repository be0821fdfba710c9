#include "text/base32.h"

size_t mailsrv__base32(const uint8_t *p, size_t n, char *out)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (n_bits += 8; n_bits >= 5; n_bits -= 5)
            out[at++] = letters[bits >> (n_bits - 5) & 31];
    }
    if (n_bits > 0)
        out[at++] = letters[bits << (5 - n_bits) & 31];
    return at;
}
