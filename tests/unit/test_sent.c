/* The day of a Date field. */
#include "message/sent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(const char *value, int32_t expected)
{
    int32_t days = 0;
    assert_true(mailsrv__sent_day((struct span){ value, strlen(value) }, &days));
    assert_int_equal(days, expected);
}

static void check_none(const char *value)
{
    int32_t days;
    assert_false(mailsrv__sent_day((struct span){ value, strlen(value) }, &days));
}

static void test_days(void **state)
{
    (void)state;
    check(" Thu, 01 Jan 1970 00:00:00 +0000", 0);
    check(" Wed, 31 Dec 1969 23:59:59 -0800", -1);
    check("Fri, 2 Jan 1970 23:59:59 -1200", 1); /* the day as it stands there */
    check(" 25 Nov 2026 17:26:11 +0000", 20782);
    check("\tWed ,  25\t NOV 2026", 20782);
    check("(c) Wed (d), (e) 25 (f) nov (g\\)) 2026 (h)", 20782);
    check("Wed,25 Nov 2026", 20782);
    check("29 Feb 2024 00:00", 19782);
}

/* RFC 5322 section 4.3 */
static void test_old_years(void **state)
{
    (void)state;
    check("25 Nov 26 17:26", 20782);
    check("25 Nov 126 17:26", 20782);
    check("1 Jan 70 00:00", 0);
    check("1 Jan 49 00:00", 28855);
    check("1 Jan 50 00:00", -7305);
}

static void test_none(void **state)
{
    (void)state;
    check_none("");
    check_none(" ");
    check_none("Wed,");
    check_none("Wed 25 Nov 2026");
    check_none("25 November 2026");
    check_none("30 Feb 2026");
    check_none("0 Jan 2026");
    check_none("125 Jan 2026");
    check_none("25 Nov 5");
    check_none("25 Nov 20266");
    check_none("25 Nov");
    check_none("2026-11-25");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_old_years),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
