/* The header editor: each message whole, in pieces of any one size, and cut in two at every place. */
#include "message/header_editor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cut.h"

#define NAME64 "x23456789-123456789-123456789-123456789-123456789-123456789-1234"

static const struct missing_field date_and_id[] = {
    { { "Date", 4 }, { "Date: now\r\n", 11 } },
    { { "Message-ID", 10 }, { "Message-ID: <1@x>\r\n", 19 } },
};

static const struct {
    const char *drop, *in, *out;
    size_t n_add;
} cases[] = {
    { "", "", "", 0 },
    { "Bcc", "", "", 0 },
    { "", "a: b\r\n\r\nbody\r\n", "a: b\r\n\r\nbody\r\n", 0 },
    /* fields go with their folded lines */
    { "Bcc", "Bcc: x\r\na: b\r\n\r\nBcc: y\r\n", "a: b\r\n\r\nBcc: y\r\n", 0 },
    { "Bcc", "a: b\r\nbCC: x\r\n y\r\n\tz\r\n \r\nc: d\r\n\r\n", "a: b\r\nc: d\r\n\r\n", 0 },
    { "Bcc", "a: b\r\nBcc: x\r\n\r\nbody", "a: b\r\n\r\nbody", 0 },
    { "Bcc", "a: b\r\n Bcc: x\r\n\r\n", "a: b\r\n Bcc: x\r\n\r\n", 0 },
    { "Bcc", "Bcc:\r\nBcc:\r\nBcc:\r\n\r\n", "\r\n", 0 },
    { "Bcc X", "X: 1\r\nxy: 2\r\nBc: 3\r\nBccc: 4\r\nBCC: 5\r\n\r\n", "xy: 2\r\nBc: 3\r\nBccc: 4\r\n\r\n", 0 },
    /* blanks before the colon, also more than are kept */
    { "Bcc", "Bcc : x\r\nBcc\t \t: y\r\na: b\r\n\r\n", "a: b\r\n\r\n", 0 },
    { "Bcc",
      "Bcc"
      "                                                                                                    "
      ": x\r\na: b\r\n\r\n",
      "a: b\r\n\r\n", 0 },
    { "Bcc",
      "a"
      "                                                                                                    "
      ": x\r\n\r\n",
      "a"
      "                                                                                                    "
      ": x\r\n\r\n",
      0 },
    /* the longest name, and one longer */
    { NAME64, NAME64 ": x\r\na: b\r\n\r\n", "a: b\r\n\r\n", 0 },
    { NAME64, NAME64 "5: x\r\n\r\n", NAME64 "5: x\r\n\r\n", 0 },
    { NAME64, NAME64 " : x\r\n\r\n", "\r\n", 0 },
    /* what is no field does not end the header */
    { "Bcc", "From me\r\nBcc: x\r\na: b\r\n\r\nBcc: y\r\n", "From me\r\na: b\r\n\r\nBcc: y\r\n", 0 },
    { "Bcc", ": x\r\nBcc: y\r\n\xc3\xa9: z\r\nBcc: y\r\n\r\n", ": x\r\n\xc3\xa9: z\r\n\r\n", 0 },
    { "Bcc", "Bcc\r\nBcc x: y\r\nBcc: z", "Bcc\r\nBcc x: y\r\n", 0 },
    /* any LF ends a line */
    { "Bcc", "a: b\nBcc: x\nc: d\n\nBcc: y\n", "a: b\nc: d\n\nBcc: y\n", 0 },
    { "Bcc", "\nBcc: y\n", "\nBcc: y\n", 0 },
    { "Bcc", "\r\nBcc: y\r\n", "\r\nBcc: y\r\n", 0 },
    { "Bcc", "\rBcc: y\r\nBcc: x\r\n\r\n", "\rBcc: y\r\n\r\n", 0 },
    { "Bcc", "\r\rx\r\nBcc: x\r\n", "\r\rx\r\n", 0 },
    /* a message that ends in its header */
    { "Bcc", "a: b\r\nBcc: x", "a: b\r\n", 0 },
    { "Bcc", "a: b\r\nBcc", "a: b\r\nBcc", 0 },
    { "Bcc", "a: b\r\nBcc  ", "a: b\r\nBcc  ", 0 },
    { "Bcc", "a: b\r\n\r", "a: b\r\n\r", 0 },
    /* what is missing is added before the empty line */
    { "", "a: b\r\n\r\nbody", "a: b\r\nDate: now\r\nMessage-ID: <1@x>\r\n\r\nbody", 2 },
    { "", "date: x\r\na: b\r\n\r\nbody", "date: x\r\na: b\r\nMessage-ID: <1@x>\r\n\r\nbody", 2 },
    { "", "message-id : y\r\ndate: x\r\n\r\nbody", "message-id : y\r\ndate: x\r\n\r\nbody", 2 },
    { "", "a: b\r\n Date: x\r\n\r\n", "a: b\r\n Date: x\r\nDate: now\r\nMessage-ID: <1@x>\r\n\r\n", 2 },
    { "", "\r\nDate: x\r\n", "Date: now\r\nMessage-ID: <1@x>\r\n\r\nDate: x\r\n", 2 },
    { "", "a: b\n\nbody", "a: b\nDate: now\r\nMessage-ID: <1@x>\r\n\nbody", 2 },
    { "Date", "Date: x\r\n\r\nbody", "Date: now\r\nMessage-ID: <1@x>\r\n\r\nbody", 2 },
    /* without an empty line: at the end, or before what is no field, and an empty line with it */
    { "", "", "Date: now\r\nMessage-ID: <1@x>\r\n", 2 },
    { "", "a: b\r\n", "a: b\r\nDate: now\r\nMessage-ID: <1@x>\r\n", 2 },
    { "", "a: b", "a: b\r\nDate: now\r\nMessage-ID: <1@x>\r\n", 2 },
    { "", "a: b\r\nDa", "a: b\r\nDa\r\nDate: now\r\nMessage-ID: <1@x>\r\n", 2 },
    { "Bcc", "a: b\r\nBcc: x", "a: b\r\nDate: now\r\nMessage-ID: <1@x>\r\n", 2 },
    { "", "Hello!\r\nDate: x\r\n", "Date: now\r\nMessage-ID: <1@x>\r\n\r\nHello!\r\nDate: x\r\n", 2 },
    { "", "a: b\r\nHello you\r\n\r\nx", "a: b\r\nDate: now\r\nMessage-ID: <1@x>\r\n\r\nHello you\r\n\r\nx", 2 },
    { "", "H\n", "Date: now\r\nMessage-ID: <1@x>\r\n\r\nH\n", 2 },
    { "", "date: x\r\nmessage-id: y\r\nHello\r\nz", "date: x\r\nmessage-id: y\r\nHello\r\nz", 2 },
};

enum { N_CASES = sizeof cases / sizeof cases[0] };

static void feed(struct header_editor *e, const char *p, size_t n, struct collected *got)
{
    char piece[512];
    struct span in = { piece, n }, part;
    assert_true(n <= sizeof piece);
    memcpy(piece, p, n);
    while (mailsrv__header_edit(e, &in, &part)) {
        assert_true(part.n != 0);
        collect(got, part);
    }
    assert_int_equal(in.n, 0);
    memset(piece, '#', sizeof piece); /* nothing of it is needed any more */
}

static void finish(struct header_editor *e, size_t i, struct collected *got)
{
    struct span part;
    while (mailsrv__header_end(e, &part))
        collect(got, part);
    assert_false(mailsrv__header_end(e, &part));
    assert_collected(got, (struct span){ cases[i].out, strlen(cases[i].out) });
}

static void begin(struct header_editor *e, size_t i)
{
    struct span drop = { cases[i].drop, strlen(cases[i].drop) };
    mailsrv__header_editor_init(e, drop, date_and_id, cases[i].n_add);
}

static void test_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        size_t n = strlen(cases[i].in);
        for (size_t size = 1; size <= n + 1; size++) {
            struct collected got = { .n = 0 };
            struct header_editor e;
            begin(&e, i);
            for (size_t at = 0; at < n; at += size)
                feed(&e, cases[i].in + at, n - at < size ? n - at : size, &got);
            finish(&e, i, &got);
        }
    }
}

static void test_cut_in_two(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        size_t n = strlen(cases[i].in);
        for (size_t cut = 0; cut <= n; cut++) {
            struct collected got = { .n = 0 };
            struct header_editor e;
            begin(&e, i);
            feed(&e, cases[i].in, cut, &got);
            feed(&e, cases[i].in + cut, n - cut, &got);
            finish(&e, i, &got);
        }
    }
}

/* It takes no more than it hands out, but for what it drops or keeps back: a caller with little room offers little. */
static void test_no_more_than_offered(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct collected got = { .n = 0 };
        struct header_editor e;
        struct span rest = { cases[i].in, strlen(cases[i].in) }, part;
        begin(&e, i);
        for (size_t room = 1; rest.n != 0; room = room % 7 + 1) {
            struct span window = mailsrv__span_first(rest, room);
            size_t offered = window.n;
            if (mailsrv__header_edit(&e, &window, &part)) {
                bool of_input = part.p >= rest.p && part.p < rest.p + rest.n;
                assert_true(!of_input || part.n <= room);
                collect(&got, part);
            }
            rest = mailsrv__span_after(rest, offered - window.n);
        }
        while (mailsrv__header_edit(&e, &rest, &part))
            collect(&got, part);
        finish(&e, i, &got);
    }
}

/* A body goes through in one part, as it is. */
static void test_body_is_not_copied(void **state)
{
    (void)state;
    struct header_editor e;
    struct span in = SPAN("a: b\r\n\r\nBcc: x\r\nlong body\r\n"), part;
    mailsrv__header_editor_init(&e, SPAN("Bcc"), NULL, 0);
    assert_true(mailsrv__header_edit(&e, &in, &part));
    const char *body = in.p;
    size_t n = in.n;
    assert_true(mailsrv__header_edit(&e, &in, &part));
    assert_ptr_equal(part.p, body);
    assert_int_equal(part.n, n);
    assert_int_equal(in.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_cut_in_two),
        cmocka_unit_test(test_no_more_than_offered),
        cmocka_unit_test(test_body_is_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
