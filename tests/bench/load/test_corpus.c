/* Messages of the load generator: sizes, lines, dots, and that the same seed gives the same. */
#define _GNU_SOURCE
#include "corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NUMBERS = 300, LINE_MAX = 78, LARGE = 1 << 20 };

/* Each kind of body at sizes where its parts just have room, and at those that are asked for. */
static const size_t sizes[] = { 1024, 1025, 1026, 1535, 1536,  1537,       1613,
                                1614, 1615, 2048, 4096, 20480, 100 * 1024, LARGE };
enum { SIZES = sizeof sizes / sizeof *sizes };

/* The whole message, in a block of its exact size. */
static struct text message(struct corpus *corpus, uint64_t number)
{
    const struct text body = corpus_body(corpus, number);
    assert_non_null(body.p);
    char *to = malloc(CORPUS_HEADER + body.n);
    corpus_header(corpus, number, to);
    memcpy(to + CORPUS_HEADER, body.p, body.n);
    return (struct text){ to, CORPUS_HEADER + body.n };
}

static void message_free(struct text text)
{
    free((void *)(uintptr_t)text.p);
}

/* RFC 5322 section 2.3: CR and LF only together; lines that nobody has to fold; the empty line ends the header. */
static void check_lines(struct text text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.n; i++, column++) {
        assert_in_range((unsigned char)text.p[i], '\t', '~');
        if (text.p[i] != '\n') {
            assert_false(i != 0 && text.p[i - 1] == '\r');
            continue;
        }
        assert_true(i != 0 && text.p[i - 1] == '\r');
        assert_true(column <= LINE_MAX + 1);
        column = (size_t)-1;
    }
    assert_memory_equal(text.p + text.n - 2, "\r\n", 2);
    assert_memory_equal(text.p + CORPUS_HEADER - 4, "\r\n\r\n", 4);
    assert_true(memmem(text.p, text.n, "\r\n\r\n", 4) == text.p + CORPUS_HEADER - 4);
}

static void test_sizes_are_exact(void **state)
{
    struct corpus corpus;
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        corpus_init(&corpus, 7, sizes[i], false);
        for (uint64_t n = 0; n < (sizes[i] == LARGE ? 10 : NUMBERS); n++) {
            struct text text = message(&corpus, n);
            assert_int_equal(text.n, sizes[i]);
            check_lines(text);
            message_free(text);
        }
        corpus_fini(&corpus);
    }
}

static void test_mixed_sizes_are_those_that_are_told(void **state)
{
    size_t seen[65] = { 0 };
    struct corpus corpus;
    (void)state;
    corpus_init(&corpus, 7, 4096, false);
    corpus_mix(&corpus);
    for (uint64_t n = 0; n < 1000; n++) {
        struct text text = message(&corpus, n);
        assert_int_equal(text.n, corpus_octets(&corpus, n));
        assert_int_equal(text.n % 4096, 0);
        assert_in_range(text.n / 4096, 1, 64);
        seen[text.n / 4096]++;
        message_free(text);
    }
    corpus_fini(&corpus);
    assert_int_equal(seen[1] + seen[4] + seen[16] + seen[64], 1000);
    assert_in_range(seen[1], 400, 600);
    assert_in_range(seen[4], 200, 400);
    assert_in_range(seen[16], 75, 225);
    assert_in_range(seen[64], 20, 100);
}

static void test_the_same_seed_gives_the_same(void **state)
{
    struct corpus one, two, other;
    (void)state;
    corpus_init(&one, 1, 4096, false);
    corpus_init(&two, 1, 4096, false);
    corpus_init(&other, 2, 4096, false);
    for (uint64_t i = 0; i < NUMBERS; i++) {
        const uint64_t n = i * 7919 % NUMBERS; /* in whatever order */
        struct text a = message(&one, i), b = message(&one, n), again = message(&two, n), not = message(&other, n);
        assert_memory_equal(b.p, again.p, 4096);
        assert_memory_not_equal(b.p, not .p, 4096);
        assert_true(n == i || memcmp(a.p, b.p, CORPUS_HEADER) != 0);
        message_free(a);
        message_free(b);
        message_free(again);
        message_free(not );
    }
    corpus_fini(&one);
    corpus_fini(&two);
    corpus_fini(&other);
}

/* FNV-1a, so that the bytes are the same on every machine. */
static void test_the_bytes_are_these(void **state)
{
    struct corpus corpus;
    uint32_t hash = 2166136261u;
    (void)state;
    corpus_init(&corpus, 1, 4096, false);
    for (uint64_t n = 0; n < NUMBERS; n++) {
        struct text text = message(&corpus, n);
        for (size_t i = 0; i < text.n; i++)
            hash = (hash ^ (uint8_t)text.p[i]) * 16777619u;
        message_free(text);
    }
    corpus_fini(&corpus);
    assert_int_equal(hash, 0x888a81c9u);
}

/* RFC 5321 section 4.5.2 */
static size_t unstuff(struct text text, char *to, size_t *dots)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '.' && (i == 0 || text.p[i - 1] == '\n')) {
            ++*dots;
            assert_int_equal(text.p[++i], '.');
        }
        to[n++] = text.p[i];
    }
    return n;
}

static void test_dots_are_stuffed(void **state)
{
    struct corpus plain, sent;
    size_t dots = 0;
    (void)state;
    corpus_init(&plain, 3, 20480, false);
    corpus_init(&sent, 3, 20480, true);
    for (uint64_t n = 0; n < NUMBERS; n++) {
        struct text a = message(&plain, n), b = message(&sent, n);
        char *to = malloc(b.n);
        assert_int_equal(unstuff(b, to, &dots), a.n);
        assert_memory_equal(to, a.p, a.n);
        free(to);
        message_free(a);
        message_free(b);
    }
    assert_in_range(dots, NUMBERS, NUMBERS * 20); /* some 370 lines each */
    corpus_fini(&plain);
    corpus_fini(&sent);
}

static void test_there_are_all_kinds(void **state)
{
    static const char *const types[] = { "multipart/alternative", "multipart/mixed", "text/plain" };
    struct corpus corpus;
    size_t seen[3] = { 0 };
    (void)state;
    corpus_init(&corpus, 5, 4096, false);
    for (uint64_t n = 0; n < NUMBERS; n++) {
        struct text text = message(&corpus, n);
        for (size_t k = 0; k < 3; k++)
            if (memmem(text.p, CORPUS_HEADER, types[k], strlen(types[k])) != NULL)
                seen[k]++;
        message_free(text);
    }
    corpus_fini(&corpus);
    assert_in_range(seen[0], NUMBERS / 5, NUMBERS * 2 / 5);
    assert_in_range(seen[1], NUMBERS / 20, NUMBERS / 5);
    assert_int_equal(seen[0] + seen[1] + seen[2], NUMBERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_are_exact),
        cmocka_unit_test(test_mixed_sizes_are_those_that_are_told),
        cmocka_unit_test(test_the_same_seed_gives_the_same),
        cmocka_unit_test(test_the_bytes_are_these), cmocka_unit_test(test_dots_are_stuffed),
        cmocka_unit_test(test_there_are_all_kinds),
    };
    return cmocka_run_group_tests_name("corpus", tests, NULL, NULL);
}
