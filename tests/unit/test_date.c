/* Dates, numbers and addresses as text. */
#include "text/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char room[64];
static struct writer w;

static void begin(void)
{
    memset(room, '#', sizeof room);
    w = (struct writer){ .p = room, .room = sizeof room };
}

static void assert_written(const char *expected)
{
    assert_int_equal(w.n, strlen(expected));
    assert_memory_equal(room, expected, w.n);
    assert_int_equal(room[w.n], '#');
    assert_false(w.full);
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        { 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
        { 86399, "Thu, 1 Jan 1970 23:59:59 +0000" },
        { 951782399, "Mon, 28 Feb 2000 23:59:59 +0000" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
        { 951868800, "Wed, 1 Mar 2000 00:00:00 +0000" },
        { 1109635199, "Mon, 28 Feb 2005 23:59:59 +0000" },
        { 1109635200, "Tue, 1 Mar 2005 00:00:00 +0000" },
        { 1764091571, "Tue, 25 Nov 2025 17:26:11 +0000" },
        { 1767225599, "Wed, 31 Dec 2025 23:59:59 +0000" },
        { 4107542400, "Mon, 1 Mar 2100 00:00:00 +0000" }, /* 2100 has no leap day */
        { 253402300800, "Sat, 1 Jan 10000 00:00:00 +0000" },
        { INT64_MAX / 1000000, "Sun, 10 Jan 294247 04:00:54 +0000" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        mailsrv__write_date(&w, cases[i].seconds * 1000000 + (i & 1 ? 1 : 0));
        assert_written(cases[i].text);
        assert_true(w.n <= DATE_OCTETS_MAX);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    begin();
    mailsrv__write_u64(&w, 0);
    mailsrv__write_char(&w, ' ');
    mailsrv__write_u64(&w, UINT64_MAX);
    mailsrv__write_char(&w, ' ');
    mailsrv__write_hex(&w, 0xfeedbeef09);
    mailsrv__write_char(&w, ' ');
    mailsrv__write_padded(&w, 7, 2);
    mailsrv__write_padded(&w, 0, 3);
    mailsrv__write_padded(&w, 42, 2);
    assert_written("0 18446744073709551615 feedbeef09 0700042");
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        uint8_t address[16];
        size_t octets;
        const char *text;
    } cases[] = {
        { { 192, 0, 2, 7 }, 4, "192.0.2.7" },
        { { 0 }, 4, "0.0.0.0" },
        { { 0 }, 16, "::" },
        { { [15] = 1 }, 16, "::1" },
        { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 16, "2001:db8::1" },
        { { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1 }, 16, "2001:db8:0:1:1:1:1:1" },
        { { 0x20, 0x01, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 }, 16, "2001:0:0:1::1" },
        { { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 }, 16, "2001:db8::1:0:0:1" },
        { { 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 0, 0 }, 16, "1:2:3:4:5:6::" },
        { { 0 }, 0, "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        mailsrv__write_ip(&w, cases[i].address, cases[i].octets);
        assert_written(cases[i].text);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    begin();
    w.room = 3;
    mailsrv__write(&w, SPAN("abcd"));
    assert_true(w.full);
    assert_int_equal(w.n, 3);
    mailsrv__write_u64(&w, 1);
    assert_int_equal(w.n, 3);
    assert_int_equal(room[3], '#');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
