#include "keyed.h"

#include <string.h>
#include <sys/random.h>

static uint64_t secret[2];

bool keyed_begin(void)
{
    return getrandom(secret, sizeof secret, 0) == sizeof secret;
}

static uint64_t rotated(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(uint64_t v[4], unsigned n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotated(v[1], 13) ^ v[0];
        v[0] = rotated(v[0], 32);
        v[2] += v[3];
        v[3] = rotated(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotated(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotated(v[1], 17) ^ v[2];
        v[2] = rotated(v[2], 32);
    }
}

static void take(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

uint64_t keyed(uint64_t kind, mailsrv_bytes text)
{
    uint64_t v[4] = { secret[0] ^ UINT64_C(0x736f6d6570736575), secret[1] ^ UINT64_C(0x646f72616e646f6d),
                      secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ UINT64_C(0x7465646279746573) };
    size_t at = 0;
    take(v, kind);
    for (uint64_t word; at + 8 <= text.n; at += 8) {
        memcpy(&word, text.p + at, 8);
        take(v, word);
    }
    uint64_t last = (uint64_t)text.n << 56;
    for (unsigned i = 0; at < text.n; i++, at++)
        last |= (uint64_t)text.p[at] << 8 * i;
    take(v, last);
    v[2] ^= 0xFF;
    rounds(v, 4);
    const uint64_t n = v[0] ^ v[1] ^ v[2] ^ v[3];
    return n != 0 ? n : 1;
}
