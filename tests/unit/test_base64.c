/* Base64: the vectors of RFC 4648 section 10, both ways, and what is none (section 3). */
#include "text/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool read_text(const char *text, uint8_t *out, size_t *n)
{
    size_t octets = strlen(text);
    char *exact = malloc(octets == 0 ? 1 : octets); /* so that a look behind the end is seen */
    memcpy(exact, text, octets);
    bool good = mailsrv__base64_read((struct span){ exact, octets }, out, n);
    free(exact);
    return good;
}

static void check(const char *octets, const char *text)
{
    char out[64];
    uint8_t back[64];
    size_t n;
    memset(out, '#', sizeof out);
    assert_int_equal(mailsrv__base64((const uint8_t *)octets, strlen(octets), out), strlen(text));
    assert_int_equal(BASE64_CHARS(strlen(octets)), strlen(text));
    assert_memory_equal(out, text, strlen(text));
    assert_int_equal(out[strlen(text)], '#');
    assert_true(read_text(text, back, &n));
    assert_int_equal(n, strlen(octets));
    assert_memory_equal(back, octets, n);
}

static void test_vectors(void **state)
{
    (void)state;
    check("", "");
    check("f", "Zg==");
    check("fo", "Zm8=");
    check("foo", "Zm9v");
    check("foob", "Zm9vYg==");
    check("fooba", "Zm9vYmE=");
    check("foobar", "Zm9vYmFy");
}

static void test_every_octet_at_every_place(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 300; n++) {
        uint8_t octets[300], back[302];
        char text[408];
        size_t n_back;
        for (size_t i = 0; i < n; i++)
            octets[i] = (uint8_t)(i * 7 + n);
        size_t n_text = mailsrv__base64(octets, n, text);
        assert_true(n_text <= sizeof text && BASE64_OCTETS(n_text) <= sizeof back);
        assert_true(mailsrv__base64_read((struct span){ text, n_text }, back, &n_back));
        assert_int_equal(n_back, n);
        assert_memory_equal(back, octets, n);
    }
}

static void test_what_is_none(void **state)
{
    static const char *const none[] = {
        "Z", "Zg", "Zg=", "Zg===", "=", "==", "====", "=AAA", "A=AA", "AA=A", "AAA=BBB=", "Zg==Zg==", "Zh==", "Zm9=",
        "Zm9v\n", "Zm 9v", "Zm9_", "Zm9-", "Zm9.", "Zm9\x80", "Zm9v=", "Zm9v====", "*", "Z\xC3\xA4==",
    };
    uint8_t out[64];
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(read_text(none[i], out, &n));
    assert_false(mailsrv__base64_read((struct span){ "Zm\0v", 4 }, out, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_every_octet_at_every_place),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
