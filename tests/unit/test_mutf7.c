/* Modified UTF-7 (RFC 3501 section 5.1.3), and UTF-8. */
#include "text/mutf7.h"
#include "text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Each text has one form: both ways. */
static const struct {
    const char *wire, *utf8;
} both[] = {
    { "", "" },
    { "INBOX", "INBOX" },
    { "R&-D", "R&D" },
    { "&-&-", "&&" },
    { "&A5EDkg-&-&A5MDlA-", "\xCE\x91\xCE\x92&\xCE\x93\xCE\x94" },
    { "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
      "~peter/mail/\xE5\x8F\xB0\xE5\x8C\x97/\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E" },
    { "Entw&APw-rfe", "Entw\xC3\xBCrfe" },
    { "&2D3c7A-", "\xF0\x9F\x93\xAC" },
    { "&2,,f,w-", "\xF4\x8F\xBF\xBF" },
    { "&AAE-", "\x01" },
    { "&AH8-", "\x7F" },
    { "a-b", "a-b" },
};

static const char *const wrong[] = {
    "A&B",          /* not ended */
    "&",            /* the same */
    "&A5E",         /* the same */
    "&AGE-",        /* "a" needs no shift */
    "&ACY-",        /* nor does "&" */
    "&A5F-",        /* bits that are not zero */
    "&A5EA-",       /* six bits too many */
    "&A-",          /* no whole unit */
    "&A5E=-",       /* padding */
    "&A/8-",        /* the base64 of other things */
    "&A5E-&A5I-",   /* two shifts where one does */
    "&2D0-",        /* half a pair */
    "&3Ow-",        /* the other half */
    "&2D0AQQ-",     /* a half, and something else */
    "\xC3\xBC",     /* octets above 127 */
    "a\x01",        /* a control */
    "a\x7F",        /* another */
};

static struct span span_of(const char *text)
{
    return (struct span){ text, strlen(text) };
}

static void assert_text(const struct writer *w, const char *expected)
{
    assert_false(w->full);
    assert_int_equal(w->n, strlen(expected));
    assert_memory_equal(w->p, expected, w->n);
}

static void test_read(void **state)
{
    char room[256];
    (void)state;
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        struct writer w = { .p = room, .room = sizeof room };
        assert_true(mailsrv__mutf7_read(span_of(both[i].wire), &w));
        assert_text(&w, both[i].utf8);
    }
}

static void test_write(void **state)
{
    char room[256];
    (void)state;
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        struct writer w = { .p = room, .room = sizeof room };
        mailsrv__mutf7_write(&w, span_of(both[i].utf8));
        assert_text(&w, both[i].wire);
    }
}

static void test_what_is_wrong_is_not_read(void **state)
{
    char room[256];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct writer w = { .p = room, .room = sizeof room };
        if (mailsrv__mutf7_read(span_of(wrong[i]), &w))
            fail_msg("\"%s\" was read", wrong[i]);
    }
}

/* A name of 255 octets, whatever stands in it, has room in three times as much. */
static void test_growth(void **state)
{
    static const char *const parts[] = { "&", "a", "\xC3\xBC", "\xC3\xBC" "a", "\xE6\x97\xA5" "a", "\xF0\x9F\x93\xAC" "a",
                                         "\xFF" };
    char text[255], room[MUTF7_GROWTH * sizeof text];
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t n = 0, part = strlen(parts[i]);
        for (; n + part <= sizeof text; n += part)
            memcpy(text + n, parts[i], part);
        struct writer w = { .p = room, .room = sizeof room };
        mailsrv__mutf7_write(&w, (struct span){ text, n });
        assert_false(w.full);
    }
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        uint32_t first;
        size_t n;
    } cases[] = {
        { "a", 'a', 1 },
        { "\xC2\x80", 0x80, 2 },
        { "\xDF\xBF", 0x7FF, 2 },
        { "\xE0\xA0\x80", 0x800, 3 },
        { "\xEF\xBF\xBF", 0xFFFF, 3 },
        { "\xF0\x90\x80\x80", 0x10000, 4 },
        { "\xF4\x8F\xBF\xBF", 0x10FFFF, 4 },
        { "\xC0\x80", UTF8_BAD, 1 },         /* too long for what it is */
        { "\xE0\x9F\xBF", UTF8_BAD, 1 },     /* the same */
        { "\xF0\x8F\xBF\xBF", UTF8_BAD, 1 }, /* the same */
        { "\xED\xA0\x80", UTF8_BAD, 1 },     /* a surrogate */
        { "\xF4\x90\x80\x80", UTF8_BAD, 1 }, /* too high */
        { "\xC2", UTF8_BAD, 1 },             /* not ended */
        { "\xE6\x97", UTF8_BAD, 1 },         /* the same */
        { "\xC2z", UTF8_BAD, 1 },
        { "\x80", UTF8_BAD, 1 },
        { "\xFF", UTF8_BAD, 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span rest = span_of(cases[i].text);
        char room[4];
        struct writer w = { .p = room, .room = sizeof room };
        assert_int_equal(mailsrv__utf8_take(&rest), cases[i].first);
        assert_ptr_equal(rest.p, cases[i].text + cases[i].n);
        if (cases[i].first == UTF8_BAD)
            continue;
        mailsrv__write_utf8(&w, cases[i].first);
        assert_text(&w, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),   cmocka_unit_test(test_write), cmocka_unit_test(test_what_is_wrong_is_not_read),
        cmocka_unit_test(test_growth), cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
