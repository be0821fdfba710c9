/* Names of mailboxes, and the matcher of LIST (RFC 9051 sections 5.1, 6.3.9). */
#include "imap/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct span span_of(const char *text)
{
    return (struct span){ text, strlen(text) };
}

static const struct {
    const char *sent, *name; /* NULL: it is none */
} names[] = {
    { "INBOX", "INBOX" },
    { "inBox", "INBOX" },
    { "inbox/Sub", "INBOX/Sub" },
    { "inboxes", "inboxes" },
    { "Sub/inbox", "Sub/inbox" },
    { "R&-D", "R&D" },
    { "Entw&APw-rfe", "Entw\xC3\xBCrfe" },
    { "a*b%", "a*b%" },
    { "", NULL },
    { "/", NULL },
    { "/a", NULL },
    { "a/", NULL },
    { "a//b", NULL },
    { "A&B", NULL },
    { "a&AAE-b", NULL },
    { "a&AH8-b", NULL },
};

static void test_names(void **state)
{
    char room[NAME_OCTETS];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct writer w = { .p = room, .room = sizeof room };
        bool read = mailsrv__name_read(span_of(names[i].sent), &w);
        assert_int_equal(read, names[i].name != NULL);
        if (!read)
            continue;
        assert_int_equal(w.n, strlen(names[i].name));
        assert_memory_equal(w.p, names[i].name, w.n);
    }
}

static void test_a_name_has_255_octets(void **state)
{
    char sent[NAME_OCTETS + 1], room[NAME_OCTETS];
    (void)state;
    memset(sent, 'a', sizeof sent);
    struct writer w = { .p = room, .room = sizeof room }, again = w;
    assert_true(mailsrv__name_read((struct span){ sent, NAME_OCTETS }, &w));
    assert_false(mailsrv__name_read((struct span){ sent, NAME_OCTETS + 1 }, &again));
}

static const struct {
    const char *reference, *pattern, *name;
    bool matches;
} patterns[] = {
    { "", "*", "a", true },
    { "", "*", "a/b", true },
    { "", "%", "a", true },
    { "", "%", "a/b", false },
    { "", "a/%", "a/b", true },
    { "", "a/%", "a", false },
    { "", "a/%", "a/b/c", false },
    { "", "a/*", "a/b/c", true },
    { "", "%/%", "a/b", true },
    { "", "%/b", "a/b", true },
    { "", "*b", "a/b", true },
    { "", "a*", "a", true },
    { "", "a%", "a", true },
    { "", "%%", "ab", true },
    { "", "%*", "a/b", true },
    { "", "*%", "a/b", true },
    { "", "%b%", "abc", true },
    { "", "%b%", "ac", false },
    { "", "", "a", false },
    { "", "A", "a", false },
    { "", "a", "ab", false },
    { "", "ab", "a", false },
    /* reference and pattern are put together, and matched by the same matcher */
    { "P/", "a/b", "P/a/b", true },
    { "P/", "%", "P/a", true },
    { "P/", "%", "P/a/b", false },
    { "", "P/a", "P/a", true },
    { "", "P/a/*", "P/a/b", true },
    { "", "P/a/*", "P/a", false },
    { "P", "a", "Pa", true },
    /* INBOX, in any case, and only there */
    { "", "inbox", "INBOX", true },
    { "", "iN%", "INBOX", true },
    { "in", "box", "INBOX", true },
    { "", "inbox/a", "INBOX/a", true },
    { "", "inbox/A", "INBOX/a", false },
    { "", "INBOXES", "inboxes", false },
    { "", "inboxes", "inboxes", true },
    { "", "Sub/INBOX", "Sub/inbox", false },
    /* modified UTF-7 */
    { "", "Entw&APw-*", "Entw\xC3\xBCrfe", true },
    { "", "R&-%", "R&D", true },
};

static void test_patterns(void **state)
{
    char room[PATTERN_OCTETS];
    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct writer w = { .p = room, .room = sizeof room };
        assert_true(mailsrv__pattern_read(span_of(patterns[i].reference), span_of(patterns[i].pattern), &w));
        if (mailsrv__name_matches(mailsrv__written(&w), span_of(patterns[i].name)) != patterns[i].matches)
            fail_msg("\"%s\" and \"%s\"", patterns[i].pattern, patterns[i].name);
    }
}

static void test_what_is_no_pattern(void **state)
{
    char room[PATTERN_OCTETS], sent[PATTERN_OCTETS + 1];
    struct writer w = { .p = room, .room = sizeof room }, again = w, third = w;
    (void)state;
    memset(sent, '*', sizeof sent);
    assert_false(mailsrv__pattern_read(span_of("a&b"), span_of("*"), &w));
    assert_false(mailsrv__pattern_read(span_of("a"), (struct span){ sent, PATTERN_OCTETS }, &again));
    assert_true(mailsrv__pattern_read(span_of(""), (struct span){ sent, PATTERN_OCTETS }, &third));
    assert_true(mailsrv__name_matches(mailsrv__written(&third), span_of("a/b")));
}

/* As many ways to match as there are: the time is a place of the name times a place of the pattern. */
static void test_many_wildcards_end(void **state)
{
    char name[NAME_OCTETS], pattern[PATTERN_OCTETS];
    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = "*a%"[i % 3];
    pattern[sizeof pattern - 1] = 'b';
    assert_false(mailsrv__name_matches((struct span){ pattern, sizeof pattern }, (struct span){ name, sizeof name }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_name_has_255_octets),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_what_is_no_pattern),
        cmocka_unit_test(test_many_wildcards_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
