/* Paths, domains and address literals (RFC 5321 sections 4.1.2, 4.1.3). */
#include "text/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct span span_of(const char *text)
{
    return (struct span){ text, strlen(text) };
}

static void assert_text(struct span got, const char *expected)
{
    if (!mailsrv__span_equal(got, span_of(expected)))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)got.n, got.p, expected);
}

/* From a block of its exact size, so that a step too far is seen. */
static enum path take(const char *text, struct address *out, char **block)
{
    size_t n = strlen(text);
    *block = malloc(n == 0 ? 1 : n);
    memcpy(*block, text, n);
    struct span span = { *block, n };
    return mailsrv__path_take(&span, out);
}

static void test_good_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *mailbox, *local, *domain;
    } cases[] = {
        { "<>", "", "", "" },
        { "<a@b>", "a@b", "a", "b" },
        { "<pat@here.test>", "pat@here.test", "pat", "here.test" },
        { "<a.b!#$%&'*+-/=?^_`{|}~c@x-1.y2>", "a.b!#$%&'*+-/=?^_`{|}~c@x-1.y2", "a.b!#$%&'*+-/=?^_`{|}~c", "x-1.y2" },
        { "<\"odd user\"@here.test>", "\"odd user\"@here.test", "odd user", "here.test" },
        { "<\"Joe\\,Smith\"@b>", "\"Joe\\,Smith\"@b", "Joe,Smith", "b" },
        { "<\"a\\\"b\\\\\\ c\"@b>", "\"a\\\"b\\\\\\ c\"@b", "a\"b\\ c", "b" },
        { "<\"a@b>\"@c>", "\"a@b>\"@c", "a@b>", "c" },
        { "<\"\"@b>", "\"\"@b", "", "b" },
        { "<postmaster>", "postmaster", "postmaster", "" },
        { "<POSTmaster>", "POSTmaster", "POSTmaster", "" },
        { "<postmaster@b>", "postmaster@b", "postmaster", "b" },
        { "<@one.test:a@b>", "a@b", "a", "b" },
        { "<@one.test,@two:\"a b\"@b>", "\"a b\"@b", "a b", "b" },
        { "<a@[192.0.2.1]>", "a@[192.0.2.1]", "a", "[192.0.2.1]" },
        { "<a@[IPv6:::1]>", "a@[IPv6:::1]", "a", "[IPv6:::1]" },
        { "<\xc3\xa9t\xc3\xa9@b>", "\xc3\xa9t\xc3\xa9@b", "\xc3\xa9t\xc3\xa9", "b" },
        { "<\"\xe7\x94\xa8 x\"@b>", "\"\xe7\x94\xa8 x\"@b", "\xe7\x94\xa8 x", "b" },
        { "<a@x\xc3\xbc-\xc3\xbc.x>", "a@x\xc3\xbc-\xc3\xbc.x", "a", "x\xc3\xbc-\xc3\xbc.x" },
        { "<a@[x-tag:any!thing]>", "a@[x-tag:any!thing]", "a", "[x-tag:any!thing]" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address a;
        char *block;
        assert_int_equal(take(cases[i].path, &a, &block), PATH_OK);
        assert_text(a.mailbox, cases[i].mailbox);
        assert_text((struct span){ a.local, a.local_n }, cases[i].local);
        assert_text(a.domain, cases[i].domain);
        free(block);
    }
}

static void test_bad_paths(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "", "a@b", "<", "<a", "<a>", "<a@", "<a@>", "<@b>", "<a@b", "<a@b.>", "<a@.b>", "<a@b..c>", "<a@-b>", "<a@b->",
        "<a@b_c>", "<a@b c>", "<.a@b>", "<a.@b>", "<a..b@c>", "<a b@c>", "<a\\b@c>", "<(a)@b>", "<\"a@b>", "<\"a\"b@c>",
        "<a\"b\"@c>", "<\"a\\\"@c>", "<\"a\tb\"@c>", "<\"a\\\x01\"@c>", "<\"\xe9\"@b>", "<a@\xe9>",
        "<\"\\\xc3\xa9\"@b>", "<\xc2\x85@b>", "<\xed\xa0\x80@b>", "<\xc0\xaf@b>", "<\xf4\x90\x80\x80@b>", "<a@-\xc3\xa9>",
        "<\303a@b>", "<\xc3\xa9>",
        "<@one.test>", "<@one.test:>", "<@one.test,a@b>", "<@one.test,@two>", "<one.test:a@b>", "<@:a@b>",
        "<a@[192.0.2.1>", "<a@[192.0.2]>", "<a@[192.0.2.256]>", "<a@[192.0.2.1.2]>", "<a@[1920.2.1.2]>", "<a@[]>",
        "<a@[IPv6:]>", "<a@[tag:]>", "<a@[tag-:x]>", "<a@[tag:a[b]>", "<a@[b]c>", "<a@b@c>", "<postmasters>", "< a@b>",
        "<a@b >",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address a;
        char *block;
        if (take(cases[i], &a, &block) != PATH_BAD)
            fail_msg("%s is no path", cases[i]);
        free(block);
    }
}

static void test_what_follows(void **state)
{
    (void)state;
    struct address a;
    struct span text = span_of("<a@b> SIZE=1");
    assert_int_equal(mailsrv__path_take(&text, &a), PATH_OK);
    assert_text(text, " SIZE=1");
    text = span_of("<>x");
    assert_int_equal(mailsrv__path_take(&text, &a), PATH_OK);
    assert_text(text, "x");
}

/* RFC 6531 section 3.3: what is not ASCII is said to be there, also in a source route. */
static void test_utf8_is_noticed(void **state)
{
    (void)state;
    static const char *const cases[] = { "<\xc3\xa9@b>", "<a@\xc3\xa9>", "<\"\xc3\xa9\"@b>", "<@\xc3\xa9:a@b>", "<a@b>", "<>" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address a;
        char *block;
        assert_int_equal(take(cases[i], &a, &block), PATH_OK);
        assert_int_equal(a.utf8, i < 4);
        free(block);
    }
}

static void test_mailboxes_alone(void **state)
{
    (void)state;
    static const char *const good[] = { "a@b", "\"a b\"@c", "postmaster", "a@[192.0.2.1]", "\xc3\xa9@b" };
    static const char *const bad[] = { "", "a", "a@", "<a@b>", "a@b>", "a@b ", "@one:a@b", "postmaster>", "a@b\xe9" };
    struct address a;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(mailsrv__mailbox_read(span_of(good[i]), &a), PATH_OK);
        assert_text(a.mailbox, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mailsrv__mailbox_read(span_of(bad[i]), &a), PATH_BAD);
}

/* RFC 5233 section 4: the first separator counts, and nothing is no user. */
static void test_details(void **state)
{
    (void)state;
    static const struct {
        const char *local;
        char delimiter;
        const char *user, *detail;
    } cases[] = {
        { "pat", '+', "pat", "" },    { "pat+a", '+', "pat", "a" }, { "pat+a+b", '+', "pat", "a+b" },
        { "pat+", '+', "pat", "" },   { "+a", '+', "+a", "" },      { "+a+b", '+', "+a", "b" },
        { "+", '+', "+", "" },        { "", '+', "", "" },          { "pat-a", '+', "pat-a", "" },
        { "pat-a", '-', "pat", "a" }, { "pat+a", 0, "pat+a", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct local_part parts = mailsrv__local_part_split(span_of(cases[i].local), cases[i].delimiter);
        assert_text(parts.user, cases[i].user);
        assert_text(parts.detail, cases[i].detail);
    }
}

/* <L@D> with so many octets in the local part, and, of labels, in the domain. */
static enum path take_long(size_t local, size_t domain, bool quoted)
{
    char path[1024];
    size_t n = 0;
    struct address a;
    path[n++] = '<';
    if (quoted)
        path[n++] = '"';
    memset(path + n, 'a', local);
    n += local;
    if (quoted)
        path[n++] = '"';
    path[n++] = '@';
    for (size_t i = 0; i < domain; i++)
        path[n++] = i % 20 == 19 && i + 1 != domain ? '.' : 'd';
    path[n++] = '>';
    struct span text = { path, n };
    return mailsrv__path_take(&text, &a);
}

/* RFC 5321 section 4.5.3.1: 64 for a local part, 255 for a domain, 256 for a path with its brackets. */
static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(take_long(64, 10, false), PATH_OK);
    assert_int_equal(take_long(65, 10, false), PATH_TOO_LONG);
    assert_int_equal(take_long(64, 10, true), PATH_OK);
    assert_int_equal(take_long(65, 10, true), PATH_TOO_LONG);
    assert_int_equal(take_long(500, 10, true), PATH_TOO_LONG);
    assert_int_equal(take_long(1, 252, false), PATH_OK);
    assert_int_equal(take_long(1, 253, false), PATH_TOO_LONG);
    assert_int_equal(take_long(64, 189, false), PATH_OK);
    assert_int_equal(take_long(64, 190, false), PATH_TOO_LONG);
    assert_int_equal(take_long(1, 256, false), PATH_TOO_LONG);
}

static void test_literals(void **state)
{
    (void)state;
    static const char *const good[] = {
        "[0.0.0.0]", "[255.255.255.255]", "[IPv6:::]", "[IPv6:::1]", "[ipv6:1::]", "[IPV6:1:2:3:4:5:6:7:8]",
        "[IPv6:1:2:3:4:5:6::]", "[IPv6:1::3:4:5:6:7]", "[IPv6:abcd:EF01::]", "[IPv6:::192.0.2.1]",
        "[IPv6:1:2:3:4:5:6:192.0.2.1]", "[IPv6:1:2:3:4::192.0.2.1]", "[IPv6:2001:db8::192.0.2.1]",
    };
    static const char *const bad[] = {
        "[]", "[", "]", "192.0.2.1", "[192.0.2.1", "[IPv6:1:2:3:4:5:6:7]", "[IPv6:1:2:3:4:5:6:7:8:9]", "[IPv6::]",
        "[IPv6:1:]", "[IPv6::1]", "[IPv6:1::2::3]", "[IPv6:1:2:3:4:5:6:7::]", "[IPv6:12345::]", "[IPv6:g::]",
        "[IPv6:192.0.2.1::]", "[IPv6:1:2:3:4:5:6:7:192.0.2.1]", "[IPv6:1:2:3:4:5::192.0.2.1]", "[IPv6::::]",
        "[IPv6:1::192.0.2.1:2]", "[IPv6:1::192.0.2.300]", "[::1]", "[1.2.3.4 ]",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!mailsrv__is_address_literal(span_of(good[i])))
            fail_msg("%s is a literal", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mailsrv__is_address_literal(span_of(bad[i])))
            fail_msg("%s is no literal", bad[i]);
    assert_true(mailsrv__is_domain(span_of("a-b.c")));
    assert_false(mailsrv__is_domain(span_of("a-b.c.")));
    assert_false(mailsrv__is_domain(span_of("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_paths), cmocka_unit_test(test_bad_paths), cmocka_unit_test(test_what_follows),
        cmocka_unit_test(test_utf8_is_noticed), cmocka_unit_test(test_mailboxes_alone), cmocka_unit_test(test_details),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_literals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
