/* Dates as IMAP writes them. */
#include "text/calendar.h"
#include "text/imap_date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const int64_t second_us = 1000000;

static void test_every_day_comes_back(void **state)
{
    (void)state;
    int64_t first = mailsrv__days_of((struct day){ 0, 1, 1 }), last = mailsrv__days_of((struct day){ 9999, 12, 31 });
    struct day before = mailsrv__day_of(first - 1);
    assert_int_equal(before.year, -1);
    assert_int_equal(last - first + 1, 25 * 146097);
    for (int64_t days = first; days <= last; days++) {
        struct day d = mailsrv__day_of(days);
        assert_int_equal(mailsrv__days_of(d), days);
        assert_true(d.year > before.year || d.month > before.month || d.day == before.day + 1);
        before = d;
    }
}

static void test_days_that_are_none(void **state)
{
    (void)state;
    static const struct day none[] = { { 2026, 2, 29 }, { 2100, 2, 29 }, { 2026, 4, 31 }, { 2026, 13, 1 },
                                       { 2026, 0, 1 },  { 2026, 1, 0 },  { 2026, 1, 32 }, { 2024, 2, 30 } };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_true(mailsrv__days_of(none[i]) == INT64_MIN);
    assert_int_equal(mailsrv__days_of((struct day){ 2024, 2, 29 }), 19782);
    assert_int_equal(mailsrv__days_of((struct day){ 1970, 1, 1 }), 0);
}

static void test_writes(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_us;
        const char *text;
    } cases[] = {
        { 0, "\"01-Jan-1970 00:00:00 +0000\"" },
        { -1, "\"31-Dec-1969 23:59:59 +0000\"" },
        { INT64_C(1770102309) * 1000000, "\"03-Feb-2026 07:05:09 +0000\"" },
        { INT64_MIN, "\"01-Jan-0000 00:00:00 +0000\"" },
        { INT64_MAX, "\"31-Dec-9999 23:59:59 +0000\"" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char room[IMAP_DATE_TIME_OCTETS];
        struct writer w = { .p = room, .room = sizeof room };
        mailsrv__write_imap_date_time(&w, cases[i].unix_us);
        assert_int_equal(w.n, IMAP_DATE_TIME_OCTETS);
        assert_false(w.full);
        assert_memory_equal(room, cases[i].text, w.n);
    }
}

static void assert_time(const char *text, int64_t seconds)
{
    int64_t us = 0;
    assert_true(mailsrv__imap_date_time_read((struct span){ text, strlen(text) }, &us));
    assert_int_equal(us, seconds * second_us);
}

static void test_reads_times(void **state)
{
    (void)state;
    assert_time("03-Feb-2026 07:05:09 +0000", 1770102309);
    assert_time(" 3-Feb-2026 07:05:09 +0000", 1770102309);
    assert_time("3-Feb-2026 07:05:09 +0000", 1770102309);
    assert_time("03-feb-2026 09:35:09 +0230", 1770102309);
    assert_time("02-FEB-2026 23:05:09 -0800", 1770102309);
    assert_time("31-Dec-2016 23:59:60 +0000", 1483228799);
    assert_time("01-Jan-1970 00:00:00 +0001", -60);
}

static void test_refuses_times(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "03-Feb-2026",
        "03-Feb-2026 07:05:09",
        "03-Feb-2026 07:05:09 +000",
        "03-Feb-2026 07:05:09 +00000",
        "03-Feb-2026 07:05:09 0000",
        "03-Feb-2026 07:05:09 UTC",
        "03-Feb-2026 24:05:09 +0000",
        "03-Feb-2026 07:60:09 +0000",
        "03-Feb-2026 07:05:61 +0000",
        "03-Feb-2026 07:05:09 +0060",
        "03-Feb-2026  07:05:09 +0000",
        "30-Feb-2026 07:05:09 +0000",
        "03-Fee-2026 07:05:09 +0000",
        "03-Feb-26 07:05:09 +0000",
        "003-Feb-2026 07:05:09 +0000",
        "-3-Feb-2026 07:05:09 +0000",
        "  3-Feb-2026 07:05:09 +0000",
        "03-Feb-2026 7:05:09 +0000",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int64_t us;
        if (mailsrv__imap_date_time_read((struct span){ wrong[i], strlen(wrong[i]) }, &us))
            fail_msg("taken: %s", wrong[i]);
    }
}

static void test_dates(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "9-Mar-2026 10:00:00 +0000", "9-Mar-26", "Mar-9-2026", "31-Jun-2026", "9-Mar-2026 ", "", " 9-Mar-2026"
    };
    int64_t days = 0;
    assert_true(mailsrv__imap_date_read(SPAN("9-Mar-2026"), &days));
    assert_int_equal(days, 20521);
    assert_true(mailsrv__imap_date_read(SPAN("09-mar-2026"), &days));
    assert_int_equal(days, 20521);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(mailsrv__imap_date_read((struct span){ wrong[i], strlen(wrong[i]) }, &days));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day_comes_back),
        cmocka_unit_test(test_days_that_are_none),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_reads_times),
        cmocka_unit_test(test_refuses_times),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
