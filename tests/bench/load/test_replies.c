/* Replies as the load generator reads them: each transcript whole, octet by octet, and cut at every place, from blocks
 * of the exact size.  And its histogram. */
#include "histogram.h"
#include "imap_reply.h"
#include "pop3_reply.h"
#include "smtp_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOLD_MAX = 8192 };

/* What was read, as text. */
struct told {
    char text[TOLD_MAX];
    size_t n;
};

struct reader {
    struct smtp_reader smtp;
    struct imap_reader imap;
    struct pop3_reader pop3;
    struct told *told;
    const enum pop3_form *form;
};

typedef size_t take_fn(struct reader *reader, const char *p, size_t n);

__attribute__((format(printf, 2, 3))) static void tell(struct told *told, const char *format, ...)
{
    va_list more;
    va_start(more, format);
    int n = vsnprintf(told->text + told->n, sizeof told->text - told->n, format, more);
    va_end(more);
    assert_true(n >= 0 && told->n + (size_t)n < sizeof told->text);
    told->n += (size_t)n;
}

static size_t take_smtp(struct reader *r, const char *p, size_t n)
{
    struct smtp_reply reply;
    const size_t taken = smtp_take(&r->smtp, p, n, &reply);
    if (reply.whole)
        tell(r->told, "%d%s <%.*s>\n", reply.code, reply.last ? "" : "-", (int)reply.n, reply.text);
    return taken;
}

static size_t take_imap(struct reader *r, const char *p, size_t n)
{
    struct imap_reply reply;
    const size_t taken = imap_take(&r->imap, p, n, &reply);
    if (reply.whole)
        tell(r->told, "%u+%u %u %u <%.*s>\n", (unsigned)reply.octets, (unsigned)reply.literal_octets, reply.literals,
             (unsigned)reply.spaces, (int)reply.n, reply.text);
    return taken;
}

static size_t take_pop3(struct reader *r, const char *p, size_t n)
{
    struct pop3_reply reply;
    const size_t taken = pop3_take(&r->pop3, *r->form, p, n, &reply);
    if (!reply.whole)
        return taken;
    tell(r->told, "%s %u %u <%.*s>", reply.good ? "good" : "bad", (unsigned)reply.octets, (unsigned)reply.lines,
         (int)reply.n, reply.text);
    tell(r->told, *r->form == POP3_LINES ? " <%.*s>\n" : "\n", (int)reply.more_n, reply.more);
    r->form++;
    return taken;
}

static void feed(struct reader *r, take_fn *take, const char *p, size_t n)
{
    char *exact = malloc(n == 0 ? 1 : n);
    memcpy(exact, p, n);
    for (size_t at = 0; at < n;) {
        const size_t taken = take(r, exact + at, n - at);
        assert_in_range(taken, 1, n - at);
        at += taken;
    }
    free(exact);
}

static struct reader reader_of(struct told *told, const enum pop3_form *forms)
{
    told->n = 0;
    told->text[0] = '\0';
    return (struct reader){ .told = told, .form = forms };
}

static void check(take_fn *take, const char *said, size_t n, const enum pop3_form *forms, const char *expected)
{
    static struct told told;
    static struct reader r;
    r = reader_of(&told, forms);
    feed(&r, take, said, n);
    assert_string_equal(told.text, expected);
    r = reader_of(&told, forms);
    for (size_t i = 0; i < n; i++)
        feed(&r, take, said + i, 1);
    assert_string_equal(told.text, expected);
    for (size_t cut = 1; cut < n; cut++) {
        r = reader_of(&told, forms);
        feed(&r, take, said, cut);
        feed(&r, take, said + cut, n - cut);
        assert_string_equal(told.text, expected);
    }
}
#define CHECK(take, said, forms, expected) check(take, said, sizeof(said) - 1, forms, expected)

static void test_smtp_replies(void **state)
{
    (void)state;
    CHECK(take_smtp, "220 here.test ESMTP\r\n250-here.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n354\r\n250 a\n", NULL,
          "220 <220 here.test ESMTP>\n250- <250-here.test>\n250- <250-PIPELINING>\n250 <250 8BITMIME>\n354 <354>\n"
          "250 <250 a>\n");
    CHECK(take_smtp, "* OK\r\n2501 a\r\n25\r\n\r\n", NULL, "0 <* OK>\n0 <2501 a>\n0 <25>\n0 <>\n");
}

static void test_imap_responses(void **state)
{
    (void)state;
    CHECK(take_imap, "* OK hi\r\na1 OK done\r\n+ go on\r\n* 12 EXISTS\r\n", NULL,
          "9+0 0 0 <* OK hi>\n12+0 0 0 <a1 OK done>\n9+0 0 0 <+ go on>\n13+0 0 0 <* 12 EXISTS>\n");
    CHECK(take_imap, "* SEARCH\r\n* SEARCH 1 2 30\r\n* SEARCHED 1\r\n", NULL,
          "10+0 0 1 <* SEARCH>\n17+0 0 4 <* SEARCH 1 2 30>\n14+0 0 2 <* SEARCHED 1>\n");
}

/* What stands in a literal is nobody's line, and no literal follows the text of a status response. */
static void test_imap_literals(void **state)
{
    (void)state;
    CHECK(take_imap,
          "* 1 FETCH (BODY[] {9}\r\na1 OK\r\n{3 UID 7 BODY[1] {0}\r\n X {12}\r\n* 2 EXISTS\r\n)\r\na1 OK\r\n", NULL,
          "76+21 3 0 <* 1 FETCH (BODY[] {9}\r\n UID 7 BODY[1] {0}\r\n X {12}\r\n)>\n7+0 0 0 <a1 OK>\n");
    CHECK(take_imap, "* OK as {3}\r\na2 NO {5}\r\n+ {1}\r\n* BYE\r\n* 1 FETCH {x}\r\n* 2 FETCH {}\r\n* 3 \"{3}\"\r\n",
          NULL,
          "13+0 0 0 <* OK as {3}>\n11+0 0 0 <a2 NO {5}>\n7+0 0 0 <+ {1}>\n7+0 0 0 <* BYE>\n15+0 0 0 <* 1 FETCH {x}>\n"
          "14+0 0 0 <* 2 FETCH {}>\n11+0 0 0 <* 3 \"{3}\">\n");
}

static void test_a_long_response_keeps_its_head(void **state)
{
    static char said[3 * IMAP_HEAD_MAX], expected[3 * IMAP_HEAD_MAX];
    (void)state;
    memset(said, 'x', sizeof said);
    memcpy(said, "* 1 FETCH ", 10);
    memcpy(said + sizeof said - 14, "{4}\r\nabcd)\r\n+\n", 14);
    snprintf(expected, sizeof expected, "%u+4 1 0 <%.*s>\n2+0 0 0 <+>\n", (unsigned)sizeof said - 2, IMAP_HEAD_MAX,
             said);
    check(take_imap, said, sizeof said, NULL, expected);
}

static void test_pop3_responses(void **state)
{
    static const enum pop3_form forms[] = { POP3_LINE,    POP3_LINES,   POP3_MESSAGE, POP3_LINES,
                                            POP3_MESSAGE, POP3_MESSAGE, POP3_LINE };
    (void)state;
    CHECK(take_pop3,
          "+OK hi\r\n"
          "+OK\r\n1 a\r\n2 b\r\n.\r\n"
          "+OK 9\r\n..\r\n.x\r\n\r\n.\r\n"
          "+OK none\r\n.\r\n"
          "+OK\r\n.\r.\r\n.\n\r\n.\r\n"
          "-ERR no\r\n"
          "+OK bye\r\n",
          forms,
          "good 0 0 <+OK hi>\n"
          "good 10 2 <+OK> <1 a\r\n2 b\r\n.\r\n>\n"
          "good 10 0 <+OK 9>\n"
          "good 0 0 <+OK none> <.\r\n>\n"
          "good 9 0 <+OK>\n"
          "bad 0 0 <-ERR no>\n"
          "good 0 0 <+OK bye>\n");
}

static void test_quantiles_are_near(void **state)
{
    static struct histogram h;
    (void)state;
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_add(&h, i * 1000);
    for (int percent = 1; percent <= 100; percent++) {
        const uint64_t exact = (uint64_t)percent * 1000000, q = histogram_quantile(&h, percent / 100.0);
        assert_in_range(q, exact, exact + exact / 50);
    }
    assert_int_equal(histogram_quantile(&h, 1), 100000000);
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(histogram_quantile(&h, 1), h.max_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smtp_replies),   cmocka_unit_test(test_imap_responses),
        cmocka_unit_test(test_imap_literals),  cmocka_unit_test(test_a_long_response_keeps_its_head),
        cmocka_unit_test(test_pop3_responses), cmocka_unit_test(test_quantiles_are_near),
    };
    return cmocka_run_group_tests_name("replies", tests, NULL, NULL);
}
