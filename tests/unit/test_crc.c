/* CRC-32C: the vectors of RFC 3720 section B.4, and both ways to it against each other, at every length and place. */
#include "stores/durable/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { OCTETS = 5000 };

static void test_vectors(void **state)
{
    uint8_t octets[32];
    (void)state;
    memset(octets, 0, sizeof octets);
    assert_int_equal(mailsrv__durable_crc(0, octets, 32), 0x8a9136aa);
    assert_int_equal(mailsrv__durable_crc_by_table(0, octets, 32), 0x8a9136aa);
    memset(octets, 0xff, sizeof octets);
    assert_int_equal(mailsrv__durable_crc(0, octets, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        octets[i] = i;
    assert_int_equal(mailsrv__durable_crc(0, octets, 32), 0x46dd794e);
}

static void test_both_ways(void **state)
{
    static uint8_t octets[OCTETS];
    uint32_t seed = 1;
    (void)state;
    for (size_t i = 0; i < OCTETS; i++) {
        seed = seed * 1664525 + 1013904223;
        octets[i] = (uint8_t)(seed >> 24);
    }
    for (size_t n = 0; n <= OCTETS - 8; n += n < 100 ? 1 : 37)
        for (size_t at = 0; at < 8; at++)
            assert_int_equal(mailsrv__durable_crc(seed, octets + at, n),
                             mailsrv__durable_crc_by_table(seed, octets + at, n));
}

static void test_in_pieces(void **state)
{
    static const uint8_t octets[OCTETS] = { 1, 2, 3 };
    uint32_t whole = mailsrv__durable_crc(0, octets, OCTETS);
    (void)state;
    for (size_t cut = 0; cut <= OCTETS; cut += 41)
        assert_int_equal(mailsrv__durable_crc(mailsrv__durable_crc(0, octets, cut), octets + cut, OCTETS - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
