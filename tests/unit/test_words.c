/* Encoded words, charsets and case. */
#include "text/fold.h"
#include "text/utf8.h"
#include "text/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cut.h"

static void put(void *ctx, uint32_t c)
{
    char room[4];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_utf8(&w, c);
    collect(ctx, mailsrv__written(&w));
}

static void check_span(struct span in, struct span expected)
{
    static struct words w;
    struct collected got = { .n = 0 };
    mailsrv__words_begin(&w, put, &got);
    for (size_t i = 0; i < in.n; i++)
        mailsrv__words_take(&w, in.p[i]);
    mailsrv__words_end(&w);
    assert_collected(&got, expected);
}

#define WORDS(in, out) check_span(SPAN(in), SPAN(out))

/* RFC 2047 section 8 has the first ones. */
static void test_words(void **state)
{
    (void)state;
    WORDS("(=?ISO-8859-1?Q?a?=)", "(a)");
    WORDS("(=?ISO-8859-1?Q?a?= b)", "(a b)");
    WORDS("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)");
    WORDS("(=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=)", "(ab)");
    WORDS("(=?ISO-8859-1?Q?a_b?=)", "(a b)");
    WORDS("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)");
    WORDS("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <k@a.example>", "Keld J\xC3\xB8rn Simonsen <k@a.example>");
    WORDS("=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "\xD7\x9D\xD7\x95\xD7\x9C\xD7\xA9 \xD7\x9F\xD7\x91 "
                                                   "\xD7\x99\xD7\x9C\xD7\x98\xD7\xA4\xD7\xA0");
    WORDS("=?US-ASCII*en?q?hello?=", "hello"); /* RFC 2231 section 5 */
}

static void test_split_characters(void **state)
{
    (void)state;
    WORDS("=?utf-8?q?caf=C3?= =?UTF-8?q?=A9?=", "caf\xC3\xA9");
    WORDS("=?utf-8?b?Y2Fmww==?= =?utf-8?q?=A9?=", "caf\xC3\xA9");
    WORDS("\xC3=?utf-8?q?x?=", "\xEF\xBF\xBDx");
    WORDS("=?utf-8?q?caf=C3?= x", "caf\xEF\xBF\xBD x");
    WORDS("=?utf-8?q?caf=C3?=", "caf\xEF\xBF\xBD");
    WORDS("=?utf-8?q?caf=C3?= =?koi8-r?q?=C1?=", "caf\xEF\xBF\xBD\xD0\xB0");
}

static void test_lenient(void **state)
{
    (void)state;
    WORDS("a=?utf-8?q?b?=c", "abc");
    WORDS("\"=?utf-8?q?b_c?=\"", "\"b c\"");
    WORDS("=?utf-8?q?one two?=", "one two"); /* folded within */
    WORDS("=?utf-8?b?Zm9v YmFy?=", "foobar");
    WORDS("=?utf-8?q?"
          "?=x",
          "x");
    WORDS("=?utf-8?q?a?b?=", "a?b");
    WORDS("=?utf-8?q?=C3=A9?=", "\xC3\xA9");
    WORDS("=?unknown?q?a=C3=A9?=", "a\xC3\xA9");
}

static void test_no_words(void **state)
{
    (void)state;
    WORDS("a = b", "a = b");
    WORDS("=", "=");
    WORDS("==?utf-8?q?a?=", "=a");
    WORDS("=?=?utf-8?q?a?=", "=?a");
    WORDS("=??q?a?=", "=??q?a?=");
    WORDS("=?utf-8?x?a?=", "=?utf-8?x?a?=");
    WORDS("=?utf-8?qq?a?=", "=?utf-8?qq?a?=");
    WORDS("=?utf-8?q?a", "=?utf-8?q?a");
    WORDS("=?utf-8?q?a?=  =?utf 8", "a  =?utf 8");
    WORDS("=?utf-8?q?a?= \t", "a  ");
    WORDS("caf\xC3\xA9 \xFF=", "caf\xC3\xA9 \xEF\xBF\xBD=");
}

static void test_long_word(void **state)
{
    (void)state;
    char in[WORD_OCTETS_MAX + 2];
    memset(in, 'a', sizeof in);
    memcpy(in, "=?utf-8?q?", 10);
    memcpy(in + WORD_OCTETS_MAX - 2, "?=", 2);
    check_span((struct span){ in, WORD_OCTETS_MAX }, (struct span){ in + 10, WORD_OCTETS_MAX - 12 });
    memset(in + WORD_OCTETS_MAX - 2, 'a', 2);
    memcpy(in + WORD_OCTETS_MAX, "?=", 2);
    check_span((struct span){ in, sizeof in }, (struct span){ in, sizeof in });
}

/* ---- Charsets ---- */

static void check_charset(const char *name, struct span in, struct span expected)
{
    struct charset_reader r;
    struct collected got = { .n = 0 };
    uint32_t chars[CHARSET_CHARS_MAX];
    mailsrv__charset_begin(&r, mailsrv__charset((struct span){ name, strlen(name) }));
    for (size_t i = 0; i < in.n; i++) {
        unsigned n = mailsrv__charset_take(&r, (uint8_t)in.p[i], chars);
        for (unsigned k = 0; k < n; k++)
            put(&got, chars[k]);
    }
    if (mailsrv__charset_end(&r, chars) != 0)
        put(&got, chars[0]);
    assert_collected(&got, expected);
}

#define CHARSET(name, in, out) check_charset(name, SPAN(in), SPAN(out))
#define NONE "\xEF\xBF\xBD"

static void test_tables(void **state)
{
    (void)state;
    CHARSET("iso-8859-1", "\xE9\x93", "\xC3\xA9\xE2\x80\x9C");
    CHARSET("ISO_8859-15", "\xA4", "\xE2\x82\xAC");
    CHARSET("windows-1251", "\xCF", "\xD0\x9F");
    CHARSET("Windows-1250", "\x8A", "\xC5\xA0");
    CHARSET("KOI8-R", "\xF0", "\xD0\x9F");
    CHARSET("koi8-u", "\xA4", "\xD1\x94");
    CHARSET("cp866", "\x8F", "\xD0\x9F");
    CHARSET("tis-620", "\xA1\xFF", "\xE0\xB8\x81" NONE);
    CHARSET("iso-8859-16", "\xAA", "\xC8\x98");
}

static void test_utf8(void **state)
{
    (void)state;
    CHARSET("utf-8", "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    CHARSET("", "\xC3\xA9", "\xC3\xA9");
    CHARSET("us-ascii", "\xC3\xA9", "\xC3\xA9");
    CHARSET("iso-2022-jp-and-much-more", "a\xC3\xA9", "a\xC3\xA9");
    CHARSET("utf-8",
            "\xC3"
            "a\xC3\xC3\xA9",
            NONE "a" NONE "\xC3\xA9");
    CHARSET("utf-8", "\xC0\xAF", NONE NONE);
    CHARSET("utf-8", "\xE0\x80\xAF", NONE NONE NONE);
    CHARSET("utf-8", "\xED\xA0\x80\xEE\x80\x80", NONE NONE NONE "\xEE\x80\x80");
    CHARSET("utf-8", "\xEC\x80\x80\xED\x9F\xBF", "\xEC\x80\x80\xED\x9F\xBF");
    CHARSET("utf-8", "\xF4\x90\x80\x80\xF5", NONE NONE NONE NONE NONE);
    CHARSET("utf-8", "\xE2\x82", NONE);
}

static void test_utf16(void **state)
{
    (void)state;
    CHARSET("utf-16",
            "\xFE\xFF\x00"
            "a\x20\xAC",
            "a\xE2\x82\xAC");
    CHARSET("utf-16",
            "\xFF\xFE"
            "a\x00\xAC\x20",
            "a\xE2\x82\xAC");
    CHARSET("utf-16be",
            "\x00"
            "a\xD8\x3D\xDE\x00",
            "a\xF0\x9F\x98\x80");
    CHARSET("UTF-16LE", "a\x00\x3D\xD8\x00\xDE", "a\xF0\x9F\x98\x80");
    CHARSET("utf-16be",
            "\xD8\x3D\x00"
            "a\xDE\x00\xD8\x3D",
            NONE "a" NONE NONE);
    CHARSET("utf-16be", "\x00", NONE);
}

static void test_fold(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {
        { 'A', 'a' },       { 'Z', 'z' },         { '@', '@' },           { '[', '[' },       { 0xC9, 0xE9 },
        { 0xD7, 0xD7 },     { 0x178, 0xFF },      { 0x100, 0x101 },       { 0x101, 0x101 },   { 0x130, 0x130 },
        { 0x139, 0x13A },   { 0x17F, 's' },       { 0x3C2, 0x3C3 },       { 0x3A3, 0x3C3 },   { 0x410, 0x430 },
        { 0x42F, 0x44F },   { 0x430, 0x430 },     { 0x587, 0x587 },       { 0x1E9E, 0xDF },   { 0xDF, 0xDF },
        { 0x1F88, 0x1F80 }, { 0x212A, 'k' },      { 0xAB70, 0x13A0 },     { 0xFF21, 0xFF41 }, { 0x10400, 0x10428 },
        { 0x4E00, 0x4E00 }, { 0x1E921, 0x1E943 }, { 0x10FFFF, 0x10FFFF },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_int_equal(mailsrv__fold(pairs[i][0]), pairs[i][1]);
    for (uint32_t c = 0; c <= 0x10FFFF; c++)
        assert_int_equal(mailsrv__fold(mailsrv__fold(c)), mailsrv__fold(c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),     cmocka_unit_test(test_split_characters),
        cmocka_unit_test(test_lenient),   cmocka_unit_test(test_no_words),
        cmocka_unit_test(test_long_word), cmocka_unit_test(test_tables),
        cmocka_unit_test(test_utf8),      cmocka_unit_test(test_utf16),
        cmocka_unit_test(test_fold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
