/* The grammar of IMAP's commands, production by production (RFC 9051 section 9). */
#include "imap/parse.h"

#include "allocators.h"

#include <mailsrv/store.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct grammar {
    struct counted from;
    struct heap heap;
    struct arena arena;
};

static void begin(struct grammar *t)
{
    *t = (struct grammar){ .arena = { .heap = &t->heap } };
    counted_init(&t->from);
    mailsrv__heap_init(&t->heap, &t->from.allocator, 1 << 20);
}

static struct reader reader_of(struct grammar *t, const char *text)
{
    return (struct reader){ .rest = { text, strlen(text) }, .arena = &t->arena };
}

static void end(struct grammar *t)
{
    mailsrv__arena_clear(&t->arena);
    assert_int_equal(t->from.live, 0);
}

/* ---- Strings ---- */

typedef bool string_parser(struct reader *r, struct span *out);

static const struct {
    string_parser *parse;
    const char *text, *out, *rest; /* `out` NULL: it is none, and `rest` is what was expected */
} strings[] = {
    { mailsrv__parse_tag, "a1.]x NOOP", "a1.]x", " NOOP" },
    { mailsrv__parse_tag, "+ x", NULL, "a tag" },
    { mailsrv__parse_tag, "a+b x", "a", "+b x" },
    { mailsrv__parse_tag, " x", NULL, "a tag" },
    { mailsrv__parse_atom, "NOOP\r\n", "NOOP", "\r\n" },
    { mailsrv__parse_atom, "a]b", "a", "]b" },
    { mailsrv__parse_atom, "\\Seen", NULL, "an atom" },
    { mailsrv__parse_atom, "(", NULL, "an atom" },
    { mailsrv__parse_atom, "\xC3\xA4", NULL, "an atom" },
    { mailsrv__parse_atom, "", NULL, "an atom" },
    { mailsrv__parse_astring, "a]b c", "a]b", " c" },
    { mailsrv__parse_astring, "a*", "a", "*" },
    { mailsrv__parse_astring, "\"\"x", "", "x" },
    { mailsrv__parse_astring, "\"a b\" c", "a b", " c" },
    { mailsrv__parse_astring, "\"a\\\"\\\\b\" c", "a\"\\b", " c" },
    { mailsrv__parse_astring, "\"p\xC3\xA4\"", "p\xC3\xA4", "" },
    { mailsrv__parse_astring, "{3}\r\nbob c", "bob", " c" },
    { mailsrv__parse_astring, "{3+}\r\nbob", "bob", "" },
    { mailsrv__parse_astring, "{0}\r\n c", "", " c" },
    { mailsrv__parse_astring, "{5}\r\na\r\nb\"", "a\r\nb\"", "" },
    { mailsrv__parse_astring, "", NULL, "an atom or a string" },
    { mailsrv__parse_string, "a", NULL, "a string" },
    { mailsrv__parse_string, "\"a\r\n", NULL, "the end of a quoted string" },
    { mailsrv__parse_string, "\"a\n\"", NULL, "the end of a quoted string" },
    { mailsrv__parse_string, "\"a", NULL, "the end of a quoted string" },
    { mailsrv__parse_string, "\"a\\", NULL, "a quotation mark or backslash behind a backslash" },
    { mailsrv__parse_string, "\"a\\n\"", NULL, "a quotation mark or backslash behind a backslash" },
    { mailsrv__parse_string, "{4}\r\nbob", NULL, "a literal" },
    { mailsrv__parse_string, "{}\r\n", NULL, "a literal" },
    { mailsrv__parse_string, "{3-}\r\nbob", NULL, "a literal" },
    { mailsrv__parse_string, "{3} \r\nbob", NULL, "a literal" },
    { mailsrv__parse_list_mailbox, "%/*] x", "%/*]", " x" },
    { mailsrv__parse_list_mailbox, "\"a b%\"", "a b%", "" },
    { mailsrv__parse_list_mailbox, "(", NULL, "a pattern" },
    { mailsrv__parse_mailbox, "inbox x", "INBOX", " x" },
    { mailsrv__parse_mailbox, "\"Entw&APw-rfe\"", "Entw\xC3\xBCrfe", "" },
    { mailsrv__parse_mailbox, "(", NULL, "an atom or a string" },
};

static void check_string(struct grammar *t, size_t i)
{
    struct reader r = reader_of(t, strings[i].text);
    struct span out;
    bool taken = strings[i].parse(&r, &out);
    if (taken != (strings[i].out != NULL))
        fail_msg("\"%s\"", strings[i].text);
    if (!taken) {
        assert_string_equal(r.expected, strings[i].rest);
        return;
    }
    assert_int_equal(out.n, strlen(strings[i].out));
    assert_memory_equal(out.p, strings[i].out, out.n);
    assert_int_equal(r.rest.n, strlen(strings[i].rest));
    assert_memory_equal(r.rest.p, strings[i].rest, r.rest.n);
}

static void test_strings(void **state)
{
    struct grammar t;
    (void)state;
    begin(&t);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        check_string(&t, i);
    end(&t);
}

static void test_a_name_that_cannot_be_is_no_error(void **state)
{
    struct grammar t;
    struct span out;
    (void)state;
    begin(&t);
    struct reader r = reader_of(&t, "A&B x");
    assert_true(mailsrv__parse_mailbox(&r, &out));
    assert_true(r.no_name);
    assert_int_equal(out.n, 0);
    assert_int_equal(r.rest.n, 2);
    end(&t);
}

static void test_a_literal_that_is_not_there_yet(void **state)
{
    struct grammar t;
    struct span out;
    uint64_t octets;
    (void)state;
    begin(&t);
    struct reader r = reader_of(&t, "{10}\r\n"), empty = reader_of(&t, "{0}\r\n"), there = reader_of(&t, "{2}\r\nab");
    assert_true(mailsrv__parse_at_body(&r));
    assert_true(mailsrv__parse_at_body(&empty));
    assert_false(mailsrv__parse_at_body(&there));
    assert_false(mailsrv__parse_astring(&r, &out));
    assert_true(r.incomplete);
    assert_true(mailsrv__parse_body(&r, &octets));
    assert_int_equal(octets, 10);
    end(&t);
}

/* Its octets went elsewhere; what stands behind its announcement is the rest of the command. */
static void test_a_streamed_literal(void **state)
{
    static const char text[] = "{3}\r\n {2}\r\nab\r\n";
    struct grammar t;
    struct span out;
    uint64_t octets;
    (void)state;
    begin(&t);
    struct reader r = reader_of(&t, text);
    r.streamed = text + 5;
    assert_true(mailsrv__parse_body(&r, &octets));
    assert_int_equal(octets, 3);
    assert_true(mailsrv__parse_sp(&r) && mailsrv__parse_astring(&r, &out) && mailsrv__parse_end(&r));
    assert_memory_equal(out.p, "ab", 2);
    end(&t);
}

/* ---- Words, numbers, the end ---- */

static void test_words(void **state)
{
    struct grammar t;
    (void)state;
    begin(&t);
    struct reader r = reader_of(&t, "header.fields HeaderX text]");
    assert_false(mailsrv__parse_word(&r, SPAN("HEADER")));
    assert_true(mailsrv__parse_word(&r, SPAN("HEADER.FIELDS")));
    assert_true(mailsrv__parse_sp(&r));
    assert_false(mailsrv__parse_word(&r, SPAN("HEADER")));
    assert_null(r.expected);
    assert_true(mailsrv__parse_word(&r, SPAN("HEADERX")) && mailsrv__parse_sp(&r));
    assert_true(mailsrv__parse_word(&r, SPAN("TEXT")));
    assert_false(mailsrv__parse_word(&r, SPAN("]X")));
    end(&t);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool number, nz_number, number64;
        uint64_t value;
    } cases[] = {
        { "0", true, false, true, 0 },
        { "007", true, true, true, 7 },
        { "4294967295", true, true, true, UINT32_MAX },
        { "4294967296", false, false, true, UINT64_C(4294967296) },
        { "9223372036854775807", false, false, true, INT64_MAX },
        { "9223372036854775808", false, false, false, 0 },
        { "99999999999999999999", false, false, false, 0 },
        { "-1", false, false, false, 0 },
        { "x", false, false, false, 0 },
        { "", false, false, false, 0 },
    };
    struct grammar t;
    (void)state;
    begin(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reader a = reader_of(&t, cases[i].text), b = a, c = a;
        uint32_t number = 0, nz = 0;
        uint64_t large = 0;
        assert_int_equal(mailsrv__parse_number(&a, &number), cases[i].number);
        assert_int_equal(mailsrv__parse_nz_number(&b, &nz), cases[i].nz_number);
        assert_int_equal(mailsrv__parse_number64(&c, &large), cases[i].number64);
        assert_true(!cases[i].number || number == cases[i].value);
        assert_true(!cases[i].nz_number || nz == cases[i].value);
        assert_true(!cases[i].number64 || large == cases[i].value);
    }
    end(&t);
}

static void test_the_end(void **state)
{
    struct grammar t;
    (void)state;
    begin(&t);
    struct reader good = reader_of(&t, "\r\n"), space = reader_of(&t, " \r\n"), more = reader_of(&t, "\r\nx");
    assert_true(mailsrv__parse_end(&good));
    assert_false(mailsrv__parse_end(&space));
    assert_false(mailsrv__parse_end(&more));
    assert_string_equal(more.expected, "the end of the command");
    end(&t);
}

/* ---- Sets ---- */

static void write_set(const struct set *set, char *out, size_t room)
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < set->n; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%u:%u", i == 0 ? "" : ",", set->runs[i].first, set->runs[i].last);
}

/* "*" is 9. */
static void test_sets(void **state)
{
    static const struct {
        const char *text, *set; /* NULL: it is none */
    } cases[] = {
        { "1", "1:1" },
        { "2:4", "2:4" },
        { "4:2", "2:4" },
        { "*", "9:9" },
        { "*:2", "2:9" },
        { "2:*", "2:9" },
        { "12:*", "9:12" },
        { "*:*", "9:9" },
        { "3,1,2", "1:3" },
        { "5:7,1:2,9", "1:2,5:7,9:9" },
        { "1:5,2:3", "1:5" },
        { "1,1,1", "1:1" },
        { "4294967295", "4294967295:4294967295" },
        { "7,*:8,1", "1:1,7:9" },
        { "0", NULL },
        { "0:3", NULL },
        { "1:", NULL },
        { ":1", NULL },
        { "1,", NULL },
        { ",1", NULL },
        { "1;2", "1:1" },
        { "4294967296", NULL },
        { "", NULL },
        { "x", NULL },
    };
    struct grammar t;
    (void)state;
    begin(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reader r = reader_of(&t, cases[i].text);
        struct set set = { NULL, 0 };
        char out[128];
        bool taken = mailsrv__parse_sequence_set(&r, 9, &set);
        if (taken != (cases[i].set != NULL))
            fail_msg("\"%s\"", cases[i].text);
        if (!taken)
            continue;
        write_set(&set, out, sizeof out);
        assert_string_equal(out, cases[i].set);
    }
    end(&t);
}

/* ---- Flags ---- */

static void test_flags(void **state)
{
    struct grammar t;
    struct flags flags;
    (void)state;
    begin(&t);
    struct reader r = reader_of(&t, "(\\seen $Forwarded \\DELETED $forwarded x)");
    assert_true(mailsrv__parse_flag_list(&r, &flags));
    assert_int_equal(flags.flags, MAILSRV_FLAG_SEEN | MAILSRV_FLAG_DELETED);
    assert_int_equal(flags.n_keywords, 2);
    assert_memory_equal(flags.keywords[0].p, "$Forwarded", 10);
    struct reader bare = reader_of(&t, "\\Draft \\Answered a\r\n");
    assert_true(mailsrv__parse_flags(&bare, &flags) && mailsrv__parse_end(&bare));
    assert_int_equal(flags.flags, MAILSRV_FLAG_DRAFT | MAILSRV_FLAG_ANSWERED);
    struct reader none = reader_of(&t, "()");
    assert_true(mailsrv__parse_flags(&none, &flags));
    assert_int_equal(flags.flags | flags.n_keywords, 0);
    static const char *const wrong[] = { "(\\Recent)", "(\\*)", "(\\Seen", "(\\Seen  x)", "( x)", "(x )",
                                         "(\"x\")",    "\\",    "" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct reader bad = reader_of(&t, wrong[i]);
        assert_false(mailsrv__parse_flags(&bad, &flags));
        assert_non_null(bad.expected);
    }
    end(&t);
}

static void test_too_many_flags(void **state)
{
    char text[8 * (FLAG_KEYWORDS_MAX + 1) + 2] = "(";
    size_t n = 1;
    struct grammar t;
    struct flags flags;
    (void)state;
    begin(&t);
    for (int i = 0; i <= FLAG_KEYWORDS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%sk%d", i == 0 ? "" : " ", i);
    text[n] = ')';
    struct reader r = reader_of(&t, text);
    assert_false(mailsrv__parse_flag_list(&r, &flags));
    assert_true(r.too_many);
    end(&t);
}

/* ---- Memory ---- */

static void test_without_memory(void **state)
{
    struct grammar t;
    struct span out;
    struct flags flags;
    struct set set;
    (void)state;
    begin(&t);
    t.from.fail_first = 1;
    t.from.fail_last = UINT64_MAX;
    struct reader r[4] = { reader_of(&t, "\"a\\\"\""), reader_of(&t, "INBOX"), reader_of(&t, "(x)"),
                           reader_of(&t, "1:3") };
    assert_false(mailsrv__parse_astring(&r[0], &out));
    assert_false(mailsrv__parse_mailbox(&r[1], &out));
    assert_false(mailsrv__parse_flag_list(&r[2], &flags));
    assert_false(mailsrv__parse_sequence_set(&r[3], 9, &set));
    for (size_t i = 0; i < 4; i++)
        assert_true(r[i].no_memory);
    end(&t);
}

static void test_an_arena_gives_all_of_it_back_wiped(void **state)
{
    struct grammar t;
    struct span kept;
    (void)state;
    begin(&t);
    counted_add_secret(&t.from, (struct text){ "secret", 6 });
    for (size_t n = 0; n < 5000; n = n * 2 + 1) {
        char *p = mailsrv__arena_take(&t.arena, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % sizeof(void *), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 'x', n);
        assert_true(mailsrv__arena_copy(&t.arena, SPAN("secret"), &kept));
        assert_memory_equal(kept.p, "secret", 6);
    }
    end(&t);
    assert_null(t.from.fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_a_name_that_cannot_be_is_no_error),
        cmocka_unit_test(test_a_literal_that_is_not_there_yet),
        cmocka_unit_test(test_a_streamed_literal),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_the_end),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_too_many_flags),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_an_arena_gives_all_of_it_back_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
