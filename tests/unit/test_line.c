/* Lines out of input in any pieces: each table row fed whole, octet by octet, and cut at every place. */
#include "frame/line.h"

#include "allocators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_MAX = 20, LINES_MAX = 8 };

struct cut_line {
    enum framed fate;
    char text[LINE_MAX + 1];
};

struct cut_lines {
    struct cut_line v[LINES_MAX];
    size_t n;
    bool begun; /* something is left over */
};

struct reader {
    struct counted from;
    struct heap heap;
    struct line_frame frame;
    struct line_room room;
};

static void begin(struct reader *r)
{
    memset(r, 0, sizeof *r);
    counted_init(&r->from);
    mailsrv__heap_init(&r->heap, &r->from.allocator, 1 << 20);
    r->room = (struct line_room){ &r->heap, NULL, LINE_MAX };
}

/* Feeds one piece out of a block of its exact size. */
static void feed(struct reader *r, const char *p, size_t n, struct cut_lines *out)
{
    uint8_t *exact = malloc(n == 0 ? 1 : n);
    struct span line;
    memcpy(exact, p, n);
    struct input in = { exact, n };
    while (in.n != 0) {
        enum framed fate = mailsrv__line_take(&r->frame, &r->room, &in, &line);
        if (fate == FRAMED_MORE)
            break;
        assert_true(out->n < LINES_MAX);
        struct cut_line *to = &out->v[out->n++];
        *to = (struct cut_line){ .fate = fate };
        assert_true(line.n <= LINE_MAX);
        if (fate == FRAMED_LINE)
            memcpy(to->text, line.p, line.n);
        else
            assert_int_equal(line.n, 0);
        mailsrv__line_done(&r->frame, &r->room, false);
    }
    assert_int_equal(in.n, 0);
    free(exact);
}

static void end(struct reader *r, struct cut_lines *out)
{
    out->begun = mailsrv__line_begun(&r->frame);
    mailsrv__line_done(&r->frame, &r->room, true);
    assert_int_equal(r->from.live, 0);
    assert_null(r->from.fault);
}

static const struct {
    const char *input;
    size_t n;
    struct cut_lines expected;
} cases[] = {
#define INPUT(text) text, sizeof(text) - 1
    { INPUT("NOOP\r\n"), { { { FRAMED_LINE, "NOOP" } }, 1, false } },
    { INPUT("\r\n"), { { { FRAMED_LINE, "" } }, 1, false } },
    { INPUT("A\r\nB\r\n\r\nC"), { { { FRAMED_LINE, "A" }, { FRAMED_LINE, "B" }, { FRAMED_LINE, "" } }, 3, true } },
    { INPUT("A\nB\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("A\rB\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("A\rB\nC\r\nD\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "D" } }, 2, false } },
    { INPUT("A\r12345678\nB\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("12345678\nB\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("1234567\0B\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("12345678\x0E\xFF\r\n"), { { { FRAMED_LINE, "12345678\x0E\xFF" } }, 1, false } },
    { INPUT("A\r\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("\n\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("A\0B\r\nC\r\n"), { { { FRAMED_BAD, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("\xC3\xA4\xFF\r\n"), { { { FRAMED_LINE, "\xC3\xA4\xFF" } }, 1, false } },
    { INPUT("123456789012345678\r\n"), { { { FRAMED_LINE, "123456789012345678" } }, 1, false } },
    { INPUT("1234567890123456789\r\nC\r\n"), { { { FRAMED_TOO_LONG, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("12345678901234567890123456789012345678901234567890\r\nC\r\n"),
      { { { FRAMED_TOO_LONG, "" }, { FRAMED_LINE, "C" } }, 2, false } },
    { INPUT("A\r"), { { { FRAMED_MORE, "" } }, 0, true } },
    { INPUT(""), { { { FRAMED_MORE, "" } }, 0, false } },
};

enum { CASES = sizeof cases / sizeof cases[0] };

static void compare(const struct cut_lines *got, const struct cut_lines *expected)
{
    assert_int_equal(got->n, expected->n);
    assert_int_equal(got->begun, expected->begun);
    for (size_t i = 0; i < got->n; i++) {
        assert_int_equal(got->v[i].fate, expected->v[i].fate);
        assert_string_equal(got->v[i].text, expected->v[i].text);
    }
}

static void test_lines_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct reader r;
        struct cut_lines got = { 0 };
        begin(&r);
        feed(&r, cases[i].input, cases[i].n, &got);
        end(&r, &got);
        compare(&got, &cases[i].expected);
    }
}

static void test_lines_trickled(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct reader r;
        struct cut_lines got = { 0 };
        begin(&r);
        for (size_t k = 0; k < cases[i].n; k++)
            feed(&r, cases[i].input + k, 1, &got);
        end(&r, &got);
        compare(&got, &cases[i].expected);
    }
}

static void test_lines_cut_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        for (size_t at = 0; at <= cases[i].n; at++) {
            struct reader r;
            struct cut_lines got = { 0 };
            begin(&r);
            feed(&r, cases[i].input, at, &got);
            feed(&r, cases[i].input + at, cases[i].n - at, &got);
            end(&r, &got);
            compare(&got, &cases[i].expected);
        }
}

static void test_a_whole_line_is_not_copied(void **state)
{
    struct reader r;
    struct cut_lines got = { 0 };
    (void)state;
    begin(&r);
    feed(&r, "NOOP\r\nQUIT\r\n", 12, &got);
    assert_int_equal(r.from.calls, 0);
    end(&r, &got);
}

static void test_without_memory_the_line_is_lost_and_the_next_is_not(void **state)
{
    struct reader r;
    struct cut_lines got = { 0 };
    (void)state;
    begin(&r);
    r.from.fail_first = r.from.fail_last = 1;
    feed(&r, "NO", 2, &got);
    feed(&r, "OP\r\nQU", 6, &got);
    feed(&r, "IT\r\n", 4, &got);
    end(&r, &got);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.v[0].fate, FRAMED_NO_MEMORY);
    assert_int_equal(got.v[1].fate, FRAMED_LINE);
    assert_string_equal(got.v[1].text, "QUIT");
}

static void test_an_endless_line_holds_no_more_than_allowed(void **state)
{
    struct reader r;
    struct cut_lines got = { 0 };
    (void)state;
    begin(&r);
    for (unsigned i = 0; i < 10000; i++)
        feed(&r, "xxxxxxxxxx", 10, &got);
    assert_true(r.from.octets_peak <= 128);
    assert_true(mailsrv__line_begun(&r.frame));
    feed(&r, "\r\nA\r\n", 5, &got);
    assert_int_equal(got.n, 2);
    assert_int_equal(got.v[0].fate, FRAMED_TOO_LONG);
    assert_string_equal(got.v[1].text, "A");
    end(&r, &got);
}

static void test_a_secret_is_wiped_where_the_line_grew(void **state)
{
    struct reader r;
    struct cut_lines got = { 0 };
    (void)state;
    begin(&r);
    r.room.octets_max = 2000;
    counted_add_secret(&r.from, text_of("my secret"));
    feed(&r, "PASS my secret ", 15, &got);
    for (unsigned i = 0; i < 100; i++)
        feed(&r, "0123456789", 10, &got); /* it moves to larger places */
    end(&r, &got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_whole),
        cmocka_unit_test(test_lines_trickled),
        cmocka_unit_test(test_lines_cut_everywhere),
        cmocka_unit_test(test_a_whole_line_is_not_copied),
        cmocka_unit_test(test_without_memory_the_line_is_lost_and_the_next_is_not),
        cmocka_unit_test(test_an_endless_line_holds_no_more_than_allowed),
        cmocka_unit_test(test_a_secret_is_wiped_where_the_line_grew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
