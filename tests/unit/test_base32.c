/* Base32: the vectors of RFC 4648 section 10, in lower case and without padding. */
#include "text/base32.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check(const void *in, size_t n, const char *expected)
{
    char out[64];
    memset(out, '#', sizeof out);
    assert_int_equal(mailsrv__base32(in, n, out), strlen(expected));
    assert_int_equal(BASE32_CHARS(n), strlen(expected));
    assert_memory_equal(out, expected, strlen(expected));
    assert_int_equal(out[strlen(expected)], '#');
}

static void test_vectors(void **state)
{
    (void)state;
    check("", 0, "");
    check("f", 1, "my");
    check("fo", 2, "mzxq");
    check("foo", 3, "mzxw6");
    check("foob", 4, "mzxw6yq");
    check("fooba", 5, "mzxw6ytb");
    check("foobar", 6, "mzxw6ytboi");
}

static void test_id(void **state)
{
    (void)state;
    static const unsigned char zero[16], ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                                      255, 255, 255, 255, 255, 255, 255, 255 };
    check(zero, sizeof zero, "aaaaaaaaaaaaaaaaaaaaaaaaaa");
    check(ones, sizeof ones, "7777777777777777777777777" "4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
