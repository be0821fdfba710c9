#include "crypto.h"

#include <string.h>

enum { BLOCK = 64, ROUNDS = 80 };

/* SHA-1 and SHA-256 (FIPS 180-4) differ in their rounds alone. */
struct sha {
    uint32_t h[8];
    uint8_t block[BLOCK];
    uint64_t octets;
    int32_t hash;
};

static uint32_t rotl(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t rotr(uint32_t x, unsigned n)
{
    return rotl(x, 32 - n);
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void rounds_1(struct sha *s)
{
    uint32_t w[ROUNDS], v[5];
    for (unsigned i = 0; i < ROUNDS; i++)
        w[i] = i < 16 ? word_at(s->block + 4 * i) : rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, s->h, sizeof v);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t choice = (v[1] & v[2]) | (~v[1] & v[3]), parity = v[1] ^ v[2] ^ v[3];
        uint32_t majority = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]);
        uint32_t f = i < 20 ? choice + 0x5A827999 : i < 40 ? parity + 0x6ED9EBA1
                     : i < 60 ? majority + 0x8F1BBCDC : parity + 0xCA62C1D6;
        uint32_t next = rotl(v[0], 5) + f + v[4] + w[i];
        memmove(v + 1, v, 4 * sizeof *v);
        v[2] = rotl(v[2], 30);
        v[0] = next;
    }
    for (unsigned i = 0; i < 5; i++)
        s->h[i] += v[i];
}

static const uint32_t k256[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

static void rounds_256(struct sha *s)
{
    uint32_t w[64], v[8];
    for (unsigned i = 0; i < 64; i++) {
        if (i < 16) {
            w[i] = word_at(s->block + 4 * i);
            continue;
        }
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + w[i - 7] + (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
    }
    memcpy(v, s->h, sizeof v);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t one = v[7] + (rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
                       k256[i] + w[i];
        uint32_t two = (rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22)) +
                       ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++)
        s->h[i] += v[i];
}

static void begin(struct sha *s, int32_t hash)
{
    static const uint32_t h1[8] = { 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0 };
    static const uint32_t h256[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    *s = (struct sha){ .hash = hash };
    memcpy(s->h, hash == MAILSRV_HASH_SHA1 ? h1 : h256, sizeof s->h);
}

static void add(struct sha *s, const uint8_t *p, size_t n)
{
    for (; n != 0; p++, n--) {
        s->block[s->octets++ % BLOCK] = *p;
        if (s->octets % BLOCK != 0)
            continue;
        if (s->hash == MAILSRV_HASH_SHA1)
            rounds_1(s);
        else
            rounds_256(s);
    }
}

static size_t octets_of(int32_t hash)
{
    return hash == MAILSRV_HASH_SHA1 ? 20 : 32;
}

static void end(struct sha *s, uint8_t *out)
{
    uint64_t bits = s->octets * 8;
    uint8_t length[8];
    for (unsigned i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    add(s, (const uint8_t *)"\x80", 1);
    while (s->octets % BLOCK != BLOCK - 8)
        add(s, (const uint8_t *)"", 1);
    add(s, length, sizeof length);
    for (unsigned i = 0; i < octets_of(s->hash); i++)
        out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

static int32_t hash_parts(void *user, int32_t hash, const mailsrv_bytes *parts, size_t n, uint8_t *out)
{
    struct sha s;
    (void)user;
    if (hash != MAILSRV_HASH_SHA1 && hash != MAILSRV_HASH_SHA256)
        return MAILSRV_E_VALUE;
    begin(&s, hash);
    for (size_t i = 0; i < n; i++)
        add(&s, parts[i].p, parts[i].n);
    end(&s, out);
    return MAILSRV_OK;
}

/* RFC 2104 section 2. */
static int32_t hmac_parts(void *user, int32_t hash, const mailsrv_bytes *key, const mailsrv_bytes *parts, size_t n,
                          uint8_t *out)
{
    struct sha s;
    uint8_t pad[BLOCK] = { 0 }, inner[32];
    if (key->n > BLOCK && hash_parts(user, hash, key, 1, pad) != MAILSRV_OK)
        return MAILSRV_E_VALUE;
    if (key->n <= BLOCK && key->n != 0)
        memcpy(pad, key->p, key->n);
    for (unsigned i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36;
    begin(&s, hash);
    add(&s, pad, BLOCK);
    for (size_t i = 0; i < n; i++)
        add(&s, parts[i].p, parts[i].n);
    end(&s, inner);
    for (unsigned i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5C;
    begin(&s, hash);
    add(&s, pad, BLOCK);
    add(&s, inner, octets_of(hash));
    end(&s, out);
    return MAILSRV_OK;
}

static int32_t same_random(void *user, uint8_t *out, size_t n)
{
    uint8_t *calls = user;
    memset(out, ++*calls, n);
    return MAILSRV_OK;
}

mailsrv_crypto test_crypto(uint8_t *calls)
{
    return (mailsrv_crypto){ .size = sizeof(mailsrv_crypto),
                             .user = calls,
                             .hash = hash_parts,
                             .hmac = hmac_parts,
                             .random = same_random };
}
