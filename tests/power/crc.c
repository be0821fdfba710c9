/* CRC-32C: by the machine's instruction, where it has one, and by table; both as RFC 3720 defines it, bit by bit, and
 * over octets in any number, at any place, in any pieces. */
#include "stores/durable/bytes.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

enum { OCTETS = 300 };

static uint32_t by_bits(uint32_t before, const uint8_t *p, size_t n)
{
    uint32_t crc = ~before;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

typedef uint32_t (*crc_function)(uint32_t before, const uint8_t *p, size_t n);

/* RFC 3720 section B.4, as the numbers whose octets it prints. */
static bool knows_examples(crc_function crc)
{
    uint8_t octets[32];
    memset(octets, 0, sizeof octets);
    bool good = crc(0, octets, sizeof octets) == UINT32_C(0x8a9136aa);
    memset(octets, 0xff, sizeof octets);
    good = good && crc(0, octets, sizeof octets) == UINT32_C(0x62a8ab43);
    for (uint8_t i = 0; i < sizeof octets; i++)
        octets[i] = i;
    return good && crc(0, octets, sizeof octets) == UINT32_C(0x46dd794e);
}

static bool knows_all(crc_function crc, const uint8_t *octets)
{
    for (size_t at = 0; at < 9; at++)
        for (size_t n = 0; at + n <= OCTETS; n++)
            if (crc(7, octets + at, n) != by_bits(7, octets + at, n))
                return false;
    return true;
}

static bool goes_in_pieces(crc_function crc, const uint8_t *octets)
{
    uint32_t whole = crc(0, octets, OCTETS);
    for (size_t n = 0; n <= OCTETS; n++)
        if (crc(crc(0, octets, n), octets + n, OCTETS - n) != whole)
            return false;
    return true;
}

static void check(const char *name, crc_function crc, const uint8_t *octets)
{
    tap(knows_examples(crc), name, "the examples of RFC 3720", "");
    tap(knows_all(crc, octets), name, "any length at any place", "");
    tap(goes_in_pieces(crc, octets), name, "in two pieces", "");
}

int main(void)
{
    uint8_t octets[OCTETS];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof octets; i++, random = random * 1664525 + 1013904223)
        octets[i] = (uint8_t)(random >> 24);
    check("crc", mailsrv__durable_crc, octets);
    check("crc by table", mailsrv__durable_crc_by_table, octets);
    return tap_end();
}
