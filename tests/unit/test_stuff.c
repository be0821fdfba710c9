/* Dot-stuffing outward, and the first lines of a message: whole, byte by byte, and cut at every place. */
#include "frame/stuff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 256 };

struct result {
    char p[ROOM];
    size_t n;
};

static void add(struct result *r, struct span s)
{
    assert_true(s.n <= ROOM - r->n);
    if (s.n != 0)
        memcpy(r->p + r->n, s.p, s.n);
    r->n += s.n;
}

/* A copy of exactly that size, so that a sanitizer sees a read behind it. */
static char *exact(struct span s)
{
    char *p = malloc(s.n == 0 ? 1 : s.n);
    assert_non_null(p);
    if (s.n != 0)
        memcpy(p, s.p, s.n);
    return p;
}

static void stuff_piece(struct stuff *stuff, struct span piece, struct result *r)
{
    char *copy = exact(piece);
    struct span in = { copy, piece.n };
    struct stuffed part;
    size_t taken = 0;
    while (mailsrv__stuff_take(stuff, &in, &part)) {
        assert_ptr_equal(part.octets.p, copy + taken);
        taken += part.octets.n;
        if (part.dot)
            add(r, SPAN("."));
        add(r, part.octets);
    }
    assert_int_equal(taken, piece.n);
    free(copy);
}

static void expect(const struct result *r, struct span out)
{
    assert_int_equal(r->n, out.n);
    assert_memory_equal(r->p, out.p, out.n);
}

/* In pieces of `piece` octets, the first of them `first`. */
static void stuff_in_pieces(struct span in, size_t first, size_t piece, struct span out)
{
    struct stuff stuff;
    struct result r = { .n = 0 };
    mailsrv__stuff_init(&stuff);
    stuff_piece(&stuff, mailsrv__span_first(in, first), &r);
    for (in = mailsrv__span_after(in, first); in.n != 0; in = mailsrv__span_after(in, piece))
        stuff_piece(&stuff, mailsrv__span_first(in, piece), &r);
    add(&r, mailsrv__stuff_end(&stuff));
    expect(&r, out);
}

static const struct {
    const char *in, *out;
} stuffed[] = {
    { "", ".\r\n" },
    { "a\r\n", "a\r\n.\r\n" },
    { "a", "a\r\n.\r\n" },
    { ".", "..\r\n.\r\n" },
    { ".\r\n", "..\r\n.\r\n" },
    { "..\r\n", "...\r\n.\r\n" },
    { "...", "....\r\n.\r\n" },
    { "a.b\r\n.c.\r\n\r\n.\r\nd\r\n", "a.b\r\n..c.\r\n\r\n..\r\nd\r\n.\r\n" },
    { "\r\n", "\r\n.\r\n" },
    { "\r\n\r\n", "\r\n\r\n.\r\n" },
    /* A message that does not end with CRLF is given one. */
    { "a\r", "a\r\r\n.\r\n" },
    { "a\n", "a\n\r\n.\r\n" },
    { "\r", "\r\r\n.\r\n" },
    { "\n", "\n\r\n.\r\n" },
    { "\r\r\n", "\r\r\n.\r\n" },
    { "a\r\nb", "a\r\nb\r\n.\r\n" },
    /* Lone CRs and LFs pass as they are, and whoever takes one for a line's end finds no end of the message there. */
    { "a\n.\r\nb\r\n", "a\n..\r\nb\r\n.\r\n" },
    { "a\n.\nb\r\n", "a\n..\nb\r\n.\r\n" },
    { "a\r.\r\nb\r\n", "a\r..\r\nb\r\n.\r\n" },
    { "a\r.b\n.c\r\n", "a\r..b\n..c\r\n.\r\n" },
    { "a\n\r.\r\n", "a\n\r..\r\n.\r\n" },
};

static void test_stuff_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stuffed / sizeof *stuffed; i++) {
        struct span in = { stuffed[i].in, strlen(stuffed[i].in) };
        stuff_in_pieces(in, in.n, 1, (struct span){ stuffed[i].out, strlen(stuffed[i].out) });
    }
}

static void test_stuff_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stuffed / sizeof *stuffed; i++) {
        struct span in = { stuffed[i].in, strlen(stuffed[i].in) };
        struct span out = { stuffed[i].out, strlen(stuffed[i].out) };
        stuff_in_pieces(in, 0, 1, out);
        for (size_t first = 1; first < in.n; first++)
            stuff_in_pieces(in, first, in.n, out);
    }
}

/* A NUL is an octet like any other. */
static void test_stuff_nul(void **state)
{
    (void)state;
    stuff_in_pieces(SPAN("\0\r\n.\0"), 5, 1, SPAN("\0\r\n..\0\r\n.\r\n"));
}

/* Octets without a dot behind a line's end go out in one part. */
static void test_stuff_does_not_cut_needlessly(void **state)
{
    (void)state;
    struct stuff stuff;
    struct stuffed part;
    struct span in = SPAN("To: a.b@c.d\r\n\r\nx.\r\n.y\r\n");
    mailsrv__stuff_init(&stuff);
    assert_true(mailsrv__stuff_take(&stuff, &in, &part));
    assert_false(part.dot);
    assert_int_equal(part.octets.n, sizeof "To: a.b@c.d\r\n\r\nx.\r\n" - 1);
    assert_true(mailsrv__stuff_take(&stuff, &in, &part));
    assert_true(part.dot);
    assert_int_equal(part.octets.n, sizeof ".y\r\n" - 1);
    assert_false(mailsrv__stuff_take(&stuff, &in, &part));
}

static const struct {
    const char *in;
    uint64_t lines;
    const char *out;
} tops[] = {
    { "A: b\r\n\r\n1\r\n2\r\n", 0, "A: b\r\n\r\n" },
    { "A: b\r\n\r\n1\r\n2\r\n", 1, "A: b\r\n\r\n1\r\n" },
    { "A: b\r\n\r\n1\r\n2\r\n", 2, "A: b\r\n\r\n1\r\n2\r\n" },
    { "A: b\r\n\r\n1\r\n2\r\n", 3, "A: b\r\n\r\n1\r\n2\r\n" },
    { "A: b\r\n\r\n1\r\n2", 2, "A: b\r\n\r\n1\r\n2" },
    { "A: b\r\n\r\n1\r\n2", UINT64_MAX, "A: b\r\n\r\n1\r\n2" },
    { "A: b\r\n\r\n\r\n\r\n2", 1, "A: b\r\n\r\n\r\n" },
    { "A: b\r\n c\r\nD: e", 0, "A: b\r\n c\r\nD: e" },
    { "\r\nbody\r\n", 0, "\r\n" },
    { "", 5, "" },
    /* No line is empty that holds a CR of its own, or a space. */
    { "A: b\r\n\r\r\nC: d\r\n \r\n\r\n1\r\n", 0, "A: b\r\n\r\r\nC: d\r\n \r\n\r\n" },
    /* Stored without CRs. */
    { "A: b\n\n1\n2\n", 1, "A: b\n\n1\n" },
};

static void top_in_pieces(struct span in, size_t first, size_t piece, uint64_t lines, struct span out)
{
    struct top top;
    struct result r = { .n = 0 };
    mailsrv__top_init(&top, lines);
    for (size_t n = first; in.n != 0; in = mailsrv__span_after(in, n), n = piece) {
        struct span now = mailsrv__span_first(in, n);
        char *copy = exact(now);
        bool done = mailsrv__top_done(&top);
        size_t taken = mailsrv__top_take(&top, (struct span){ copy, now.n });
        assert_true(done ? taken == 0 : taken == now.n || mailsrv__top_done(&top));
        add(&r, mailsrv__span_first(now, taken));
        free(copy);
    }
    expect(&r, out);
}

static void test_top(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        struct span in = { tops[i].in, strlen(tops[i].in) };
        struct span out = { tops[i].out, strlen(tops[i].out) };
        top_in_pieces(in, 1, 1, tops[i].lines, out);
        for (size_t first = 1; first <= in.n; first++)
            top_in_pieces(in, first, in.n, tops[i].lines, out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stuff_whole),
        cmocka_unit_test(test_stuff_cut_anywhere),
        cmocka_unit_test(test_stuff_nul),
        cmocka_unit_test(test_stuff_does_not_cut_needlessly),
        cmocka_unit_test(test_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
