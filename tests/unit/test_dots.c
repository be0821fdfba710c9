/* Doubled dots, counted octets, and line ends that stand alone: each input whole, in pieces of any one size, and with
 * room for any one number of octets behind it. */
#include "frame/dots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cut.h"

static const struct {
    const char *in, *out;
    bool bare;
} cases[] = {
    { ".\r\n", "", false },
    { "\r\n.\r\n", "\r\n", false },
    { "a\r\n.\r\n", "a\r\n", false },
    { "a\r\nb\r\n.\r\n", "a\r\nb\r\n", false },
    { "..\r\n.\r\n", ".\r\n", false },
    { "...\r\n.\r\n", "..\r\n", false },
    { "..x\r\n.\r\n", ".x\r\n", false },
    { ".x\r\n.\r\n", "x\r\n", false },
    { "a.\r\n..\r\n.b.\r\n.\r\n", "a.\r\n.\r\nb.\r\n", false },
    { " .\r\n.\r\n", " .\r\n", false },
    /* nothing near the end is the end */
    { "a\r\n.\r\r\n.\r\n", "a\r\n\r\r\n", true },
    { "a\n.\r\n.\r\n", "a\n.\r\n", true },
    { "a\n.\n\r\n.\r\n", "a\n.\n\r\n", true },
    { "a\r.\r\r\n.\r\n", "a\r.\r\r\n", true },
    { "a\r\n.\n.\r\n\r\n.\r\n", "a\r\n\n.\r\n\r\n", true },
    { ".\r.\r\n.\r\n", "\r.\r\n", true },
    { ".\rx\r\n.\r\n", "\rx\r\n", true },
    { "\r.\r\n\r\n.\r\n", "\r.\r\n\r\n", true },
    { "\n\r\n.\r\n", "\n\r\n", true },
    { "\r\r\n.\r\n", "\r\r\n", true },
    { ".\n\r\n.\r\n", "\n\r\n", true },
    { "a\r\n\n.\r\n\r\n.\r\n", "a\r\n\n.\r\n\r\n", true },
};

enum { N_CASES = sizeof cases / sizeof cases[0] };

/* What follows the end is not looked at. */
static void run_dots(size_t i, size_t piece, size_t most)
{
    struct collected got = { .n = 0 };
    struct dots dots = { 0 };
    char in[80];
    size_t n = strlen(cases[i].in), at = 0;
    bool ended = false;
    memcpy(in, cases[i].in, n);
    memcpy(in + n, "QUIT\r\n", 6);
    while (!ended) {
        struct input input = { (const uint8_t *)in + at, n + 6 - at < piece ? n + 6 - at : piece };
        assert_true(input.n != 0);
        while (input.n != 0 && !ended) {
            struct span out;
            size_t before = input.n;
            ended = mailsrv__dots_take(&dots, &input, most, &out);
            assert_true(out.n <= most);
            assert_true(out.n != 0 || input.n < before || ended);
            collect(&got, out);
            at += before - input.n;
        }
    }
    assert_int_equal(at, n);
    assert_collected(&got, (struct span){ cases[i].out, strlen(cases[i].out) });
    mailsrv__line_ends_end(&dots.ends);
    assert_int_equal(dots.ends.bare, cases[i].bare);
}

static void test_dots_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++)
        for (size_t piece = 1; piece <= strlen(cases[i].in) + 6; piece++)
            for (size_t most = 1; most <= piece; most++)
                run_dots(i, piece, most);
}

/* The promise that lets a caller with too little room behind it take back what he decoded. */
static void test_dots_again_with_less_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct dots dots = { 0 };
        struct input in = { (const uint8_t *)cases[i].in, strlen(cases[i].in) };
        struct span all, part;
        for (bool ended = false; !ended;) {
            struct dots before = dots;
            struct input from = in;
            ended = mailsrv__dots_take(&dots, &in, SIZE_MAX, &all);
            for (size_t most = 1; most <= all.n; most++) {
                struct dots again = before;
                struct input input = from;
                assert_false(mailsrv__dots_take(&again, &input, most, &part));
                assert_int_equal(part.n, most);
                assert_memory_equal(part.p, all.p, most);
            }
        }
    }
}

/* Octets are looked at eight at a time: a line end is seen in every place, and nothing is taken for one. */
static void test_every_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool bare;
    } marks[] = {
        { "\r\n", false },         { "\r", true },        { "\n", true },        { "\x8d\x8a", false },
        { "\x0c\x0e\x0b", false }, { "\x7f\xff", false }, { "\x01\x80", false },
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        for (size_t place = 0; place <= 40; place++) {
            char in[64];
            size_t n = strlen(marks[i].text);
            struct dots dots = { 0 };
            struct counted counted = { .left = 40 + n };
            struct span out;
            memset(in, place % 2 == 0 ? 'a' : '\xfe', sizeof in);
            memcpy(in + place, marks[i].text, n);
            struct input input = { (const uint8_t *)in, 40 + n };
            mailsrv__dots_take(&dots, &input, SIZE_MAX, &out);
            assert_int_equal(out.n, 40 + n);
            input = (struct input){ (const uint8_t *)in, 40 + n };
            assert_true(mailsrv__counted_take(&counted, &input, SIZE_MAX, &out));
            mailsrv__line_ends_end(&dots.ends);
            mailsrv__line_ends_end(&counted.ends);
            assert_int_equal(dots.ends.bare, marks[i].bare);
            assert_int_equal(counted.ends.bare, marks[i].bare);
        }
}

/* A message is long, its lines are short. */
static void test_a_long_line(void **state)
{
    (void)state;
    char in[3000];
    struct dots dots = { 0 };
    struct span out;
    memset(in, 'x', sizeof in);
    struct input input = { (const uint8_t *)in, sizeof in };
    assert_false(mailsrv__dots_take(&dots, &input, SIZE_MAX, &out));
    assert_int_equal(out.n, sizeof in);
    assert_ptr_equal(out.p, in);
    assert_int_equal(input.n, 0);
}

static const struct {
    const char *first, *second; /* two chunks of one message */
    bool bare;
} chunks[] = {
    { "", "", false },           { "a", "b", false },     { "a\r\n", "b\r\n", false }, { "a\r", "\nb", false },
    { "a\r", "b", true },        { "a\r", "", true },     { "a", "\n", true },         { "a\n", "", true },
    { "\r", "\r\n", true },      { "a\r\n", "\n", true }, { "a\r\n", "\r", true },     { "\r\r\n", "", true },
    { ".\r\n", ".\r\n", false },
};

static void take_chunk(struct counted *c, const char *chunk, size_t piece, struct collected *got)
{
    char in[20];
    size_t n = strlen(chunk), at = 0;
    memcpy(in, chunk, n);
    memcpy(in + n, "NOOP", 4);
    c->left = n;
    while (c->left != 0) {
        struct input input = { (const uint8_t *)in + at, n + 4 - at < piece ? n + 4 - at : piece };
        struct span out;
        size_t before = input.n;
        bool ended = mailsrv__counted_take(c, &input, piece, &out);
        assert_int_equal(ended, c->left == 0);
        assert_int_equal(before - input.n, out.n);
        at += out.n;
        collect(got, out);
    }
    assert_int_equal(at, n);
}

static void test_counted_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
        for (size_t piece = 1; piece <= 10; piece++) {
            struct collected got = { .n = 0 };
            struct counted counted = { 0 };
            char both[20];
            take_chunk(&counted, chunks[i].first, piece, &got);
            take_chunk(&counted, chunks[i].second, piece, &got);
            strcpy(both, chunks[i].first);
            strcat(both, chunks[i].second);
            assert_collected(&got, (struct span){ both, strlen(both) });
            mailsrv__line_ends_end(&counted.ends);
            assert_int_equal(counted.ends.bare, chunks[i].bare);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dots_in_pieces),    cmocka_unit_test(test_dots_again_with_less_room),
        cmocka_unit_test(test_every_place),       cmocka_unit_test(test_a_long_line),
        cmocka_unit_test(test_counted_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
