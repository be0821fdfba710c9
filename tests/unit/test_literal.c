/* Commands with literals out of input in any pieces: each table row fed whole, octet by octet, and cut at every place. */
#include "frame/literal.h"

#include "allocators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What becomes of a literal is decided by how long it is. */
enum { STREAMED = 7, REFUSED = 9, CUT_SHORT = 8 };
enum { OCTETS_MAX = 160, SWALLOWS_MAX = 300, SEEN_MAX = 1024 };

struct reader {
    struct counted from;
    struct heap heap;
    struct literal_frame frame;
    struct literal_room room;
    char seen[SEEN_MAX]; /* commands as [text], bad ones as !why[beginning], streamed octets as <octets> */
    size_t n;
    bool streaming, ended;
};

static void begin(struct reader *r)
{
    memset(r, 0, sizeof *r);
    counted_init(&r->from);
    mailsrv__heap_init(&r->heap, &r->from.allocator, 1 << 20);
    r->room = (struct literal_room){ &r->heap, NULL, OCTETS_MAX, SWALLOWS_MAX };
}

static void see(struct reader *r, const char *p, size_t n)
{
    assert_true(n < SEEN_MAX - r->n);
    if (n != 0)
        memcpy(r->seen + r->n, p, n);
    r->n += n;
}

static void see_text(struct reader *r, const char *text)
{
    see(r, text, strlen(text));
}

static void decide(struct reader *r)
{
    uint64_t octets = r->frame.left;
    if (octets == STREAMED && r->frame.streamed_at == 0)
        mailsrv__literal_stream(&r->frame);
    else if (octets == REFUSED)
        mailsrv__literal_refuse(&r->frame, &r->room, LITERAL_REFUSED);
    else if (octets == CUT_SHORT && !r->frame.nonsync)
        mailsrv__literal_cut_short(&r->frame);
    else
        mailsrv__literal_keep(&r->frame, &r->room);
}

static void take_octets(struct reader *r, struct input *in)
{
    size_t n = in->n < r->frame.left ? in->n : (size_t)r->frame.left;
    assert_true(n != 0);
    see_text(r, r->streaming ? "" : "<");
    r->streaming = true;
    see(r, (const char *)in->p, n);
    mailsrv__input_skip(in, n);
    mailsrv__literal_took(&r->frame, n);
    if (r->frame.left == 0) {
        see_text(r, ">");
        r->streaming = false;
    }
}

/* Of a bad command the beginning of its first line is certain. */
static void see_command(struct reader *r)
{
    struct span text = mailsrv__literal_text(&r->frame);
    if (r->frame.bad != LITERAL_GOOD) {
        const char *end = text.n == 0 ? NULL : memchr(text.p, '\n', text.n);
        char why[] = { '!', (char)('0' + r->frame.bad), 0 };
        text = mailsrv__span_first(text, end == NULL ? LITERAL_BEGINNING : (size_t)(end - text.p) + 1);
        text = mailsrv__span_first(text, LITERAL_BEGINNING);
        see_text(r, why);
        r->ended = r->frame.bad == LITERAL_ENDLESS;
    }
    see_text(r, "[");
    see(r, text.p, text.n);
    see_text(r, "]");
    mailsrv__literal_done(&r->frame, &r->room);
}

/* Feeds one piece out of a block of its exact size. */
static void feed(struct reader *r, const char *p, size_t n)
{
    uint8_t *exact = malloc(n == 0 ? 1 : n);
    memcpy(exact, p, n);
    struct input in = { exact, n };
    for (bool more = true; more && !r->ended;) {
        switch (mailsrv__literal_take(&r->frame, &r->room, &in)) {
        case CUT_MORE:
            assert_int_equal(in.n, 0);
            more = false;
            break;
        case CUT_LITERAL:
            decide(r);
            break;
        case CUT_OCTETS:
            take_octets(r, &in);
            break;
        case CUT_COMMAND:
            see_command(r);
        }
    }
    free(exact);
}

static void end(struct reader *r)
{
    if (mailsrv__literal_begun(&r->frame))
        see_text(r, "...");
    r->seen[r->n] = 0;
    mailsrv__literal_done(&r->frame, &r->room);
    assert_int_equal(r->from.live, 0);
    assert_null(r->from.fault);
}

#define TEN "1234567890"
#define FIFTY TEN TEN TEN TEN TEN
#define INPUT(text) text, sizeof(text) - 1

static const struct {
    const char *input;
    size_t n;
    const char *expected;
} cases[] = {
    { INPUT("a NOOP\r\n"), "[a NOOP\r\n]" },
    { INPUT("\r\n"), "[\r\n]" },
    { INPUT("a NOOP\r\nb NOOP\r\nc"), "[a NOOP\r\n][b NOOP\r\n]..." },
    /* literals, one and several, empty, with octets that look like commands */
    { INPUT("a LOGIN {3}\r\nbob {6}\r\nsecret\r\nb"), "[a LOGIN {3}\r\nbob {6}\r\nsecret\r\n]..." },
    { INPUT("a LOGIN {3+}\r\nbob {6+}\r\nsecret\r\nb\r\n"), "[a LOGIN {3+}\r\nbob {6+}\r\nsecret\r\n][b\r\n]" },
    { INPUT("a X {0}\r\n\r\nb\r\n"), "[a X {0}\r\n\r\n][b\r\n]" },
    { INPUT("a X {6+}\r\n\r\nb\r\n\r\r\nc\r\n"), "[a X {6+}\r\n\r\nb\r\n\r\r\n][c\r\n]" },
    { INPUT("a X {7+}\r\n\r\nb X\r\n\r\nc\r\n"), "<\r\nb X\r\n>[a X {7+}\r\n\r\n][c\r\n]" },
    { INPUT("a X {10+}\r\n{5}\r\n{6+}\r \r\nb\r\n"), "[a X {10+}\r\n{5}\r\n{6+}\r \r\n][b\r\n]" },
    /* streamed, one of each command */
    { INPUT("a X {7}\r\nabcdefg\r\nb\r\n"), "<abcdefg>[a X {7}\r\n\r\n][b\r\n]" },
    { INPUT("a X {7}\r\na\0cdefg {7}\r\n1234567\r\n"), "<a" },
    { INPUT("a X {2}\r\nab {7+}\r\nabcdefg {2}\r\nxy z\r\n"), "<abcdefg>[a X {2}\r\nab {7+}\r\n {2}\r\nxy z\r\n]" },
    /* what is no announcement */
    { INPUT("a X {}\r\nb X {+}\r\nc {5\r\nd 5}\r\ne {5} \r\nf {5}}\r\ng {x5}\r\nh {5-}\r\n"),
      "[a X {}\r\n][b X {+}\r\n][c {5\r\n][d 5}\r\n][e {5} \r\n][f {5}}\r\n][g {x5}\r\n][h {5-}\r\n]" },
    { INPUT("a {{2}\r\nxy\r\n"), "[a {{2}\r\nxy\r\n]" },
    /* within a quoted string: what its sender thinks is not known, his octets are */
    { INPUT("a X \"{2+}\r\nb \"\r\nc\r\n"), "[a X \"{2+}\r\nb \"\r\n][c\r\n]" },
    /* bad octets: one bad command, and the octets of its literals are no commands */
    { INPUT("a \0 X\r\nb\r\n"), "!1[a " },
    { INPUT("a\nb\r\nc\r\n"), "!1[a\n][c\r\n]" },
    { INPUT("a\rb\r\nc\r\n"), "!1[a\rb\r\n][c\r\n]" },
    { INPUT("a\r12345678\nb\r\nc\r\n"), "!1[a\r12345678\n][c\r\n]" },
    { INPUT("a\r\r\nc\r\n"), "!1[a\r\r\n][c\r\n]" },
    { INPUT("a \r{3+}\r\nb\r\n\r\nc\r\n"), "!1[a \r{3+}\r\n][c\r\n]" },
    { INPUT("a \n {3}\r\nb\r\n"), "!1[a \n][b\r\n]" },
    { INPUT("a {3}\r\nx\0y {3+}\r\nb\r\n\r\nc\r\n"), "!1[a {3}\r\n][c\r\n]" },
    { INPUT("a {5\r}\r\nc\r\n"), "!1[a {5\r}\r\n][c\r\n]" },
    { INPUT("a {5}\r\r\nc\r\n"), "!1[a {5}\r\r\n][c\r\n]" },
    /* refused: with {n} the command ends there, with {n+} all of it is swallowed */
    { INPUT("a X {9}\r\nb\r\n"), "!4[a X {9}\r\n][b\r\n]" },
    { INPUT("a X {9+}\r\nb CREATE\r {1+}\r\n\n x\r\nc\r\n"), "!4[a X {9+}\r\n][c\r\n]" },
    { INPUT("a X {9+}\r\nb CREATE\r {1}\r\nc\r\n"), "!4[a X {9+}\r\n][c\r\n]" },
    { INPUT("a X {8}\r\nb\r\n"), "[a X {8}\r\n][b\r\n]" },
    /* too long: a line, a literal, their sum; bad in two ways it is always too long */
    { INPUT("a " FIFTY FIFTY FIFTY TEN "\r\nb\r\n"), "!2[a " FIFTY FIFTY "12345678901234567890123456][b\r\n]" },
    { INPUT("a \0" FIFTY FIFTY FIFTY TEN "\r\nb\r\n"), "!2[a " },
    { INPUT("a {200}\r\nb\r\n"), "!2[a {200}\r\n][b\r\n]" },
    { INPUT("a {100}\r\n" FIFTY FIFTY " {60}\r\nb\r\n"), "!2[a {100}\r\n][b\r\n]" },
    { INPUT("a {100+}\r\n" FIFTY FIFTY " {60+}\r\n" FIFTY TEN "\r\nb\r\n"), "!2[a {100+}\r\n][b\r\n]" },
    /* more than is swallowed */
    { INPUT("a {301+}\r\nb\r\n"), "!5[a {301+}\r\n]" },
    { INPUT("a {99999999999999999999999999+}\r\nb\r\n"), "!5[a {99999999999999999999999999+}\r\n]" },
    { INPUT("a {99999999999999999999999999}\r\nb\r\n"), "!2[a {99999999999999999999999999}\r\n][b\r\n]" },
};

enum { CASES = sizeof cases / sizeof cases[0] };

/* A row whose text goes on behind a NUL says only how it begins. */
static void compare(const struct reader *r, const char *expected, const char *first)
{
    size_t n = strlen(expected);
    assert_memory_equal(r->seen, expected, n);
    if (memchr(r->seen, 0, r->n) == NULL)
        assert_int_equal(r->n, n);
    if (first != NULL)
        assert_memory_equal(r->seen, first, r->n);
}

static void test_commands_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct reader r;
        begin(&r);
        feed(&r, cases[i].input, cases[i].n);
        end(&r);
        compare(&r, cases[i].expected, NULL);
    }
}

static void test_commands_trickled(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct reader whole, r;
        begin(&whole);
        feed(&whole, cases[i].input, cases[i].n);
        end(&whole);
        begin(&r);
        for (size_t k = 0; k < cases[i].n; k++)
            feed(&r, cases[i].input + k, 1);
        end(&r);
        assert_int_equal(r.n, whole.n);
        compare(&r, cases[i].expected, whole.seen);
    }
}

static void test_commands_cut_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        for (size_t at = 0; at <= cases[i].n; at++) {
            struct reader r;
            begin(&r);
            feed(&r, cases[i].input, at);
            feed(&r, cases[i].input + at, cases[i].n - at);
            end(&r);
            compare(&r, cases[i].expected, NULL);
        }
}

static void test_literals_that_are_asked_for_are_counted(void **state)
{
    static const char input[] = "a {1}\r\nx {1+}\r\ny {1}\r\n";
    struct reader r;
    (void)state;
    begin(&r);
    feed(&r, input, sizeof input - 1);
    assert_int_equal(r.frame.asked, 2);
    end(&r);
}

/* The tag is lost as well, or there; nothing of the command is run, and the next one is. */
static void test_without_memory_the_command_is_lost_and_the_next_is_not(void **state)
{
    static const char input[] = "a {140+}\r\n" FIFTY FIFTY TEN TEN TEN TEN " x\r\nb NOOP\r\n";
    (void)state;
    for (uint64_t fails = 1; fails <= 2; fails++) {
        struct reader r;
        begin(&r);
        r.from.fail_first = r.from.fail_last = fails;
        feed(&r, input, sizeof input - 1);
        end(&r);
        assert_string_equal(r.seen, fails == 1 ? "!3[][b NOOP\r\n]" : "!3[a {140+}\r\n][b NOOP\r\n]");
    }
}

static void test_what_was_kept_is_wiped(void **state)
{
    static const char input[] = "a LOGIN bob {6+}\r\nsecret" FIFTY FIFTY "\r\n";
    struct reader r;
    (void)state;
    begin(&r);
    counted_add_secret(&r.from, (struct text){ "secret", 6 });
    for (size_t i = 0; i < sizeof input - 1; i++)
        feed(&r, input + i, 1);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_whole),
        cmocka_unit_test(test_commands_trickled),
        cmocka_unit_test(test_commands_cut_everywhere),
        cmocka_unit_test(test_literals_that_are_asked_for_are_counted),
        cmocka_unit_test(test_without_memory_the_command_is_lost_and_the_next_is_not),
        cmocka_unit_test(test_what_was_kept_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
