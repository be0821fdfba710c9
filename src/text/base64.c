#include "text/base64.h"

size_t mailsrv__base64(const uint8_t *p, size_t n, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
        out[at++] = letters[bits >> 18];
        out[at++] = letters[bits >> 12 & 63];
        out[at++] = left > 1 ? letters[bits >> 6 & 63] : '=';
        out[at++] = left > 2 ? letters[bits & 63] : '=';
    }
    return at;
}

/* The three octets of four characters, the last `pad` of which are padding. */
static bool read_four(const char *p, unsigned pad, uint8_t *out)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t value = i < 4 - pad ? mailsrv__base64_value(p[i]) : 0;
        if (value > 63)
            return false;
        bits = bits << 6 | value;
    }
    if ((bits & ((UINT32_C(1) << 8 * pad) - 1)) != 0)
        return false;
    for (unsigned i = 0; i < 3 - pad; i++)
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    return true;
}

bool mailsrv__base64_read(struct span text, uint8_t *out, size_t *n)
{
    *n = 0;
    if (text.n % 4 != 0)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        const char *p = text.p + i;
        unsigned pad = i + 4 != text.n || p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
        if (!read_four(p, pad, out + *n))
            return false;
        *n += 3 - pad;
    }
    return true;
}
