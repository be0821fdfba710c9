/* Text that is looked for in messages: each case whole, cut at every octet, and octet by octet. */
#include "message/scanner.h"
#include "message/seek.h"
#include "message/structure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

struct bench {
    struct heap heap;
    struct arena arena;
    struct seek *seek;
    uint32_t n;
};

static void set_up(struct bench *b, const struct sought *v, uint32_t n)
{
    memset(b, 0, sizeof *b);
    mailsrv__heap_init(&b->heap, mailsrv__malloc(), UINT64_MAX);
    b->arena.heap = &b->heap;
    b->n = n;
    assert_int_equal(mailsrv__seek_new(&b->arena, v, n, &b->seek), MAILSRV_OK);
}

static void tear_down(struct bench *b)
{
    mailsrv__seek_fini(b->seek);
    mailsrv__arena_clear(&b->arena);
    assert_int_equal(b->heap.used, 0);
}

static struct sought field(const char *name, const char *text)
{
    return (struct sought){ SEEK_FIELD, { name, strlen(name) }, { text, strlen(text) }, 0 };
}

static struct sought body(const char *text)
{
    return (struct sought){ SEEK_BODY, { NULL, 0 }, { text, strlen(text) }, 0 };
}

static struct sought text(const char *text)
{
    return (struct sought){ SEEK_TEXT, { NULL, 0 }, { text, strlen(text) }, 0 };
}

/* ---- Any cut gives the same ---- */

static void check_answers(const struct bench *b, const char *expected, const char *how, size_t at)
{
    char got[64] = "";
    for (uint32_t i = 0; i < b->n; i++)
        got[i] = ".-+"[mailsrv__seek_match(b->seek, i)];
    if (strcmp(got, expected) != 0)
        fail_msg("got %s, expected %s, %s %zu", got, expected, how, at);
}

static void seek_cut(struct bench *b, struct span message, size_t cut)
{
    mailsrv__seek_begin(b->seek);
    if (mailsrv__seek_take(b->seek, mailsrv__span_first(message, cut)))
        mailsrv__seek_take(b->seek, mailsrv__span_after(message, cut));
    mailsrv__seek_end(b->seek);
}

static void seek_trickled(struct bench *b, struct span message)
{
    mailsrv__seek_begin(b->seek);
    for (size_t i = 0; i < message.n; i++) {
        char *octet = malloc(1); /* a block of its own: nothing beside it may be read */
        assert_non_null(octet);
        *octet = message.p[i];
        bool more = mailsrv__seek_take(b->seek, (struct span){ octet, 1 });
        free(octet);
        if (!more)
            break;
    }
    mailsrv__seek_end(b->seek);
}

/* What is kept of a structure tells the same, or nothing. */
static void check_kept(struct bench *b, struct span blob, struct seek_told told)
{
    struct seek_told kept = { 0, 0 };
    for (uint32_t field = 0; field < 32; field++) {
        struct span text = { NULL, 0 };
        if ((mailsrv__seek_fields(b->seek) >> field & 1) == 0)
            continue;
        enum seek_kept how = mailsrv__seek_keep(b->seek, blob, field, &text);
        mailsrv__seek_kept(b->seek, field, how, text, &kept);
    }
    assert_int_equal(kept.known & ~told.known, 0);
    assert_int_equal(kept.matches, told.matches & kept.known);
}

/* What the structure of the message tells, it tells as the message does. */
static void check_structure(struct bench *b, struct span message, const char *expected)
{
    struct scanner scanner;
    mailsrv__scanner_init(&scanner, &b->heap, CLASS_BODIES);
    mailsrv__scanner_take(&scanner, message);
    struct span blob = mailsrv__scanner_end(&scanner);
    struct seek_told told = mailsrv__seek_structure(b->seek, blob);
    check_kept(b, blob, told);
    mailsrv__scanner_fini(&scanner);
    for (uint32_t i = 0; i < b->n; i++)
        if ((told.known >> i & 1) != 0 && (told.matches >> i & 1) != (expected[i] == '+'))
            fail_msg("the structure tells another answer than \"%s\" of %u", expected, i);
}

/* `expected` has "+" for each condition that matches, "-" for each other. */
static void check_span(struct span message, const struct sought *v, size_t n, const char *expected)
{
    struct bench b;
    set_up(&b, v, (uint32_t)n);
    for (size_t cut = 0; cut <= message.n; cut++) {
        seek_cut(&b, message, cut);
        check_answers(&b, expected, "cut at", cut);
    }
    seek_trickled(&b, message);
    check_answers(&b, expected, "octet by octet", 0);
    check_structure(&b, message, expected);
    tear_down(&b);
}

#define CHECK(message, expected, ...)                                                                                  \
    do {                                                                                                               \
        const struct sought v[] = { __VA_ARGS__ };                                                                     \
        check_span(SPAN(message), v, LENGTH(v), expected);                                                             \
    } while (0)

/* `expected` has "." where the structure tells nothing. */
static void check_told(struct span message, const struct sought *v, size_t n, const char *expected)
{
    struct bench b;
    struct scanner scanner;
    set_up(&b, v, (uint32_t)n);
    mailsrv__scanner_init(&scanner, &b.heap, CLASS_BODIES);
    mailsrv__scanner_take(&scanner, message);
    struct span blob = mailsrv__scanner_end(&scanner);
    struct seek_told told = mailsrv__seek_structure(b.seek, blob);
    check_kept(&b, blob, told);
    mailsrv__scanner_fini(&scanner);
    for (size_t i = 0; i < n; i++) {
        char got = (told.known >> i & 1) == 0 ? '.' : (told.matches >> i & 1) != 0 ? '+' : '-';
        if (got != expected[i])
            fail_msg("of %zu it tells %c, not %c", i, got, expected[i]);
    }
    tear_down(&b);
}

#define TOLD(message, expected, ...)                                                                                   \
    do {                                                                                                               \
        const struct sought v[] = { __VA_ARGS__ };                                                                     \
        check_told(message, v, LENGTH(v), expected);                                                                   \
    } while (0)

static struct sought sent(enum seek_kind kind, int32_t day)
{
    return (struct sought){ kind, { NULL, 0 }, { NULL, 0 }, day };
}

/* Blanks at the ends of a value, parameters and other fields are not in a structure. */
static void test_structure(void **state)
{
    (void)state;
    static const char message[] = "Date: Thu, 1 Jan 1970 23:00:00 -1200 \r\nSubject:  =?utf-8?q?=C3=9Cber?=\r\n all \r\n"
                                  "To: a@a.example\r\nTO: b@b.example\r\nX: y\r\nContent-Type: text/plain; x=y\r\n\r\nz";
    TOLD(SPAN(message), "++--.+--.......+-+", field("subject", "\xC3\xBC"
                                                                      "BER ALL"),
         field("SUBJECT", ""), field("subject", "z"), field("Cc", ""), field("subject", " \xC3\xBC"), field("to", "B@"),
         field("to", "exampleto"), field("bcc", "a"), field("x", "y"), field("subject", "all\t"), body("z"), text("a"),
         field("content-type", "plain"), field("", "a"), field("content-disposition", ""), sent(SEEK_SENT_ON, 0),
         sent(SEEK_SENT_BEFORE, 0), sent(SEEK_SENT_SINCE, -1));
    TOLD(SPAN("X: y\r\n\r\n"), "--", sent(SEEK_SENT_BEFORE, 0), field("from", ""));
    TOLD(SPAN("Subject: x"), "..", body("x"), field("x", "y"));
}

/* Of a field whose values are all in the structure; folded, it may be longer than what is kept of it. */
static void test_kept(void **state)
{
    (void)state;
    char wide[1100] = "Subject: ";
    for (size_t i = 9; i < 1000; i++) /* of two octets, of which the capital takes one */
        wide[i] = '\xFF';
    memcpy(wide + 1000, "\r\n\r\n", 5);
    const struct sought v[] = { field("subject", "\xC3\xBC" "BER a"), field("to", "exampleb"), field("to", "A.EXAMPLE"),
                                field("cc", ""), field("subject", "") };
    struct bench b;
    struct scanner scanner;
    struct span text;
    set_up(&b, v, 5);
    assert_true(mailsrv__seek_keeps_all(b.seek));
    mailsrv__scanner_init(&scanner, &b.heap, CLASS_BODIES);
    mailsrv__scanner_take(&scanner, SPAN("Subject: =?utf-8?q?=C3=9Cber?=\r\n all\r\nTo: a@a.example\r\nTo: b@b\r\n\r\n"));
    struct span blob = mailsrv__scanner_end(&scanner);
    struct seek_told told = { 0, 0 };
    for (uint32_t field = 0; field < 32; field++)
        if ((mailsrv__seek_fields(b.seek) >> field & 1) != 0)
            mailsrv__seek_kept(b.seek, field, mailsrv__seek_keep(b.seek, blob, field, &text), text, &told);
    assert_int_equal(told.known, 31);
    assert_int_equal(told.matches, 1 | 4 | 16);
    mailsrv__scanner_fini(&scanner);
    mailsrv__scanner_init(&scanner, &b.heap, CLASS_BODIES);
    mailsrv__scanner_take(&scanner, (struct span){ wide, strlen(wide) });
    blob = mailsrv__scanner_end(&scanner);
    assert_int_equal(mailsrv__seek_keep(b.seek, blob, FIELD_SUBJECT, &text), SEEK_ELSEWHERE);
    mailsrv__scanner_fini(&scanner);
    tear_down(&b);
}

static void test_asks_structure(void **state)
{
    (void)state;
    static const struct sought never[] = { { SEEK_BODY, { NULL, 0 }, { "a", 1 }, 0 },
                                           { SEEK_FIELD, { "X", 1 }, { "a", 1 }, 0 },
                                           { SEEK_FIELD, { "Subject", 7 }, { " a", 2 }, 0 },
                                           { SEEK_FIELD, { "Bcc", 3 }, { "a", 1 }, 0 } };
    struct bench b;
    set_up(&b, never, 3);
    assert_false(mailsrv__seek_asks_structure(b.seek));
    tear_down(&b);
    set_up(&b, never, 4);
    assert_true(mailsrv__seek_asks_structure(b.seek));
    tear_down(&b);
}

/* Of a field that must come once one is kept; names with many blanks are not seen; a long value stays where it is. */
static void test_structure_left_out(void **state)
{
    (void)state;
    char long_one[1300] = "To: a\r\nFrom: ";
    memset(long_one + 13, 'x', 1200);
    memcpy(long_one + 1213, "\r\nTo: b", 8);
    TOLD(SPAN("Subject: a\r\nSubject: b\r\n\r\n"), ".", field("subject", "a"));
    TOLD(SPAN("Content-ID: a\r\nContent-ID: b\r\n\r\n"), ".", field("content-id", "b"));
    TOLD(SPAN("Subject                              : a\r\n\r\n"), ".", field("subject", "a"));
    TOLD(SPAN("A-name-that-is-longer-than-those-that-are-kept: a\r\n\r\n"), "-", field("subject", "a"));
    TOLD(((struct span){ long_one, strlen(long_one) }), ".+.", field("from", "x"), field("to", "b"), field("From", ""));
    char many[1024] = "";
    for (int i = 0; i < 65; i++)
        memcpy(many + 7 * i, "To: a\r\n", 8);
    TOLD(((struct span){ many, strlen(many) }), ".", field("to", "b"));
}

/* ---- Headers ---- */

static void test_fields(void **state)
{
    (void)state;
    CHECK(
        "From: Ann <ann@a.example>\r\nTO: b@b.example\r\nSubject: one\r\n two\r\nSubject: three\r\nX-Empty:\r\n\r\nfour",
        "+++++++++---------", field("from", "ANN"), field("To", "b@B"), field("subject", "one two"),
        field("Subject", "THREE"), field("X-Empty", ""), field("to", ""), field("Subject", "\tthree"),
        text("subject: ONE"), text("x-empty:"), field("X-None", ""), field("Cc", "a"), field("Fro", "a"),
        field("subject", "two three"), field("subject", "four"), field("X-Empty", "a"), text("onetwo"),
        text("twosubject"), text("threefour"));
}

static void test_odd_fields(void **state)
{
    (void)state;
    CHECK("Subject \t: a\rb\r\nno colon\r\n goes: on\r\nX: y\r\r\n", "++++++---", field("subject", "A\rB"),
          field("SUBJECT", ""), text("no colon goes: on"), text("x: y\r"), field("x", "y"), field("x", "y\r"),
          field("no colon", ""), field("no colon goes", "on"), field("", "a"));
    CHECK("X: y\r", "++-", field("x", "y\r"), text("x: Y\r"), field("x", "x:"));
    CHECK(" blank: first\r\nA: b\n\nA: c", "+---+", text("blank: first"), field("blank", "first"), field("a", "c"),
          field("a", "b\n"), body("a: c"));
}

static void test_encoded_words(void **state)
{
    (void)state;
    CHECK(
        "Subject: =?iso-8859-1?Q?Caf=E9?= =?utf-8?b?IMOcYmVy?=\r\n =?utf-8?q?_all?=\r\nFrom: =?utf-8?q?Zo=C3=AB?= <z@z.example>\r\n\r\n",
        "+++++-",
        field("subject", "caf\xC3\xA9 \xC3\xBC"
                         "ber all"),
        field("subject", "CAF\xC3\x89"), text("zo\xC3\xAB <z@"), field("from", "ZO\xC3\x8B"),
        text("subject: caf\xC3\xA9"), text("=?"));
}

/* RFC 2231 sections 3 and 4. */
static void test_parameters(void **state)
{
    (void)state;
    CHECK(
        "Content-Disposition: attachment; filename*1=b%20c; filename*0*=UTF-8''%E2%82%AC%20;\r\n filename*2*=%2E.txt\r\n\r\n",
        "++++---", text("\xE2\x82\xAC b%20c..TXT"), field("content-disposition", "\xE2\x82\xAC "),
        field("Content-Disposition", "filename*1=b"), text("%e2%82%ac"), text("\xE2\x82\xAC.txt"),
        field("subject", "\xE2\x82\xAC"), body("\xE2\x82\xAC"));
    CHECK(
        "Content-Type: text/plain; name*=koi8-r'ru'%F0%D2.txt; title*0=two; title*1=parts; x*=%E2%82%AC; y*='%C3%A9'%C3%A9%\r\n",
        "++++--", text("\xD0\xBF\xD1\x80.txt"), text("twoparts"), text("\xE2\x82\xAC"), text("\xC3\xA9%"),
        text("\xC3\xA9'"), body("two"));
    CHECK("Content-Type: message/rfc822\r\n\r\nContent-Disposition: inline; filename*=''%41%42\r\n\r\n", "++-",
          body("ab"), text("ab"), field("content-disposition", "ab"));
}

static void test_dates(void **state)
{
    (void)state;
    const struct sought before = { .kind = SEEK_SENT_BEFORE, .day = 20782 },
                        on = { .kind = SEEK_SENT_ON, .day = 20782 }, since = { .kind = SEEK_SENT_SINCE, .day = 20782 };
    CHECK("Date: Wed, 25 Nov 2026 23:26:11 -1100\r\n\r\n", "-++", before, on, since);
    CHECK("date: Tue,\r\n 24 Nov\r\n\t2026 23:26:11 -1100\r\n\r\n", "+--", before, on, since);
    CHECK("Date: 26 Nov 2026\r\n", "--+", before, on, since);
    CHECK("Date: 26 Nov 2026\r\nDate: 25 Nov 2026\r\n\r\n", "-++", before, on, since); /* as ENVELOPE shows */
    CHECK("Subject: 25 Nov 2026\r\n\r\nDate: 25 Nov 2026\r\n", "---", before, on, since);
    CHECK("Date: soon\r\n\r\n", "---", before, on, since);
}

/* ---- Bodies ---- */

static void test_plain_body(void **state)
{
    (void)state;
    CHECK("Subject: in the header\r\n\r\nabcabcabd\r\nand Stra\xC3\x9F"
          "e\r\n",
          "+++++-+--+", body("abcabd"), body("ABCABCABD"),
          body("\xC3\x9F"
               "E"),
          body("d\r\nand"), body(""), body("header"), text("in the HEADER"), text("headerabc"), body("abcabcabcabd"),
          text(""));
    CHECK("\r\nbody", "++--", body("body"), text("BODY"), field("a", ""), body("body\r\n"));
    CHECK("", "--++", body("a"), text("a"), body(""), text(""));
}

static void test_decoded_bodies(void **state)
{
    (void)state;
    CHECK("Content-Type: text/plain; charset=\"iso-8859-15\"\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n"
          "caf=E9 5=A4 so=\r\nft =\r\n",
          "+++--", body("CAF\xC3\x89 5\xE2\x82\xAC"), text("soft"), body("5\xE2\x82\xAC so"), body("=E9"),
          body("so=\r\nft"));
    CHECK(
        "Content-Transfer-Encoding: base64\r\nContent-Type: TEXT/HTML (c); x=y;\r\n Charset=koi8-r\r\n\r\n8NLJ18XUIDxiPg==\r\n",
        "++-", body("\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82"), body("<B>"), body("8NLJ"));
    CHECK("Content-Type: text/plain; charset=x-nobody-knows\r\n\r\nascii \xE9t\xC3\xA9", "++", body("ascii "),
          body("t\xC3\xA9"));
    CHECK("Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBiAGMA\r\n", "+",
          body("abc"));
}

static const char mixed[] =
    "Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain;"
    " name=\"first.txt\"\r\n\r\nfirst\r\n--b \t\r\n\r\nplain --b is text\r\n--\r\n--x\r\n--b\r\nContent-Type: application/pdf;"
    " name=paper.pdf\r\n\r\nattached\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inner?=\r\nDate: 25 Nov 2026\r\n"
    "Content-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding:"
    " base64\r\n\r\nZGVlcA==\r\n--bb--\r\nbetween\r\n--b--\r\nepilogue\r\n";

static void test_parts(void **state)
{
    (void)state;
    CHECK(mixed, "+++++++++---------", body("first"), body("plain --b is text"), body("--\r\n--x"),
          body("subject: INNER"), body("deep"), text("first.txt"), text("paper.pdf"), text("subject: outer"),
          text("inner"), body("preamble"), body("attached"), body("epilogue"), body("between"), body("outer"),
          body("first.txt"), text("firstplain"), field("subject", "inner"),
          (struct sought){ .kind = SEEK_SENT_ON, .day = 20782 });
}

static void test_other_messages(void **state)
{
    (void)state;
    CHECK(
        "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nAction: f=61iled\r\n",
        "++", body("action: failed"), text("delivery"));
    CHECK("Content-Type: messages/x\r\n\r\nAction: failed\r\n", "-", body("failed"));
}

static void test_ends(void **state)
{
    (void)state;
    CHECK("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--", "+-", body("one"), body("--b"));
    CHECK("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--c", "+", body("one\r\n--c"));
    CHECK("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b\r\n\r\ntwo", "++-", text("x: y"),
          body("two"), body("y"));
    CHECK(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n--b--\r\nafter: all\r\n",
        "-+", text("after"), text("message/rfc822"));
    CHECK("Content-Type: message/rfc822\r\n\r\nSubject: only", "+-", body("subject: only"), field("subject", "only"));
    CHECK("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ncaf\xC3\r\n--b\r\n\r\n\xA9", "-",
          body("\xC3\xA9"));
    CHECK("Subject: =?utf-8?q?half", "+", field("subject", "=?UTF-8?q?half"));
}

/* A boundary that is as long as the scanner keeps of one, and blanks behind it. */
static void test_long_delimiter(void **state)
{
    (void)state;
    char boundary[BOUNDARY_OCTETS_MAX + 1], message[2048];
    const struct sought v[] = { body("one"), body("two"), text("x-of: part"), body("bbbb") };
    memset(boundary, 'b', sizeof boundary);
    boundary[sizeof boundary - 1] = '\0';
    int n = snprintf(message, sizeof message,
                     "Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%sbbb  \r\nX-Of: part\r\n\r\none\r\n"
                     "--%s--       \r\ntwo\r\n",
                     boundary, boundary, boundary);
    check_span((struct span){ message, (size_t)n }, v, LENGTH(v), "+-+-");
}

/* Past the scanner's bound of depth a part is opaque: its text is found as it stands. */
static void test_opaque(void **state)
{
    (void)state;
    static char message[32768];
    size_t n = 0;
    for (int i = 0; i <= STRUCTURE_DEPTH_MAX; i++)
        n += (size_t)snprintf(message + n, sizeof message - n,
                              "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
                              "quoted-printable\r\nX-At: %d.\r\n\r\n",
                              i);
    n += (size_t)snprintf(message + n, sizeof message - n, "\r\nla=73t");
    const struct sought v[] = { body("x-at: 1."), body("x-at: 100."), body("la=73t"), body("x-at: 0.") };
    struct bench b;
    set_up(&b, v, LENGTH(v));
    seek_cut(&b, (struct span){ message, n }, 100);
    check_answers(&b, "+++-", "at depth", n);
    tear_down(&b);
}

/* ---- Early ends, bounds, memory ---- */

static void test_early(void **state)
{
    (void)state;
    const struct sought fields[] = { field("subject", "one"), field("to", "b"), { .kind = SEEK_SENT_ON } };
    struct bench b;
    set_up(&b, fields, 3);
    mailsrv__seek_begin(b.seek);
    assert_true(mailsrv__seek_take(b.seek, SPAN("Subject: one")));
    check_answers(&b, "+..", "within", 0);
    assert_true(mailsrv__seek_take(b.seek, SPAN("\r\n\r")));
    assert_false(mailsrv__seek_take(b.seek, SPAN("\nbody")));
    check_answers(&b, "+--", "behind the header", 0);
    mailsrv__seek_begin(b.seek);
    check_answers(&b, "...", "anew", 0);
    tear_down(&b);

    const struct sought bodies[] = { body("two"), body("") };
    set_up(&b, bodies, 2);
    mailsrv__seek_begin(b.seek);
    check_answers(&b, ".+", "at the beginning", 0);
    assert_true(mailsrv__seek_take(b.seek, SPAN("\r\none t")));
    assert_false(mailsrv__seek_take(b.seek, SPAN("wo three")));
    check_answers(&b, "++", "found", 0);
    tear_down(&b);
}

static int32_t try_new(const struct sought *v, uint32_t n)
{
    struct heap heap;
    mailsrv__heap_init(&heap, mailsrv__malloc(), UINT64_MAX);
    struct arena arena = { .heap = &heap };
    struct seek *s = NULL;
    int32_t status = mailsrv__seek_new(&arena, v, n, &s);
    mailsrv__seek_fini(s);
    mailsrv__arena_clear(&arena);
    return status;
}

static void test_bounds(void **state)
{
    (void)state;
    static struct sought v[SEEK_CONDITIONS_MAX + 1];
    static char octets[SEEK_KEY_MAX + 1];
    memset(octets, 'a', sizeof octets);
    for (size_t i = 0; i < LENGTH(v); i++)
        v[i] = field("subject", "one");
    assert_int_equal(try_new(v, SEEK_CONDITIONS_MAX), MAILSRV_OK);
    assert_int_equal(try_new(v, SEEK_CONDITIONS_MAX + 1), MAILSRV_LIMIT);
    v[0].text = (struct span){ octets, SEEK_KEY_MAX };
    v[0].name = (struct span){ octets, SEEK_NAME_MAX };
    assert_int_equal(try_new(v, 1), MAILSRV_OK);
    v[0].text.n++;
    assert_int_equal(try_new(v, 1), MAILSRV_LIMIT);
    v[0].text.n = 1;
    v[0].name.n++;
    assert_int_equal(try_new(v, 1), MAILSRV_LIMIT);
    for (size_t i = 0; i < LENGTH(v); i++)
        v[i] = body("one");
    assert_int_equal(try_new(v, SEEK_TEXTS_MAX), MAILSRV_OK);
    assert_int_equal(try_new(v, SEEK_TEXTS_MAX + 1), MAILSRV_LIMIT);
    for (size_t i = 0; i < LENGTH(v); i++)
        v[i] = (struct sought){ SEEK_FIELD, SPAN("a"), { octets, SEEK_KEY_MAX }, 0 };
    assert_int_equal(try_new(v, SEEK_KEYS_OCTETS_MAX / SEEK_KEY_MAX), MAILSRV_OK);
    assert_int_equal(try_new(v, SEEK_KEYS_OCTETS_MAX / SEEK_KEY_MAX + 1), MAILSRV_LIMIT);
    assert_int_equal(try_new(v, 0), MAILSRV_OK);
}

/* Without memory nothing is claimed, and the next message is looked at again. */
static void test_no_memory(void **state)
{
    (void)state;
    const struct sought v[] = { field("subject", "outer"), body("deep"), body("nowhere") };
    struct bench b;
    uint64_t max = 0;
    set_up(&b, v, LENGTH(v));
    uint64_t mine = b.heap.used;
    for (bool whole = false; !whole; max += 64) {
        b.heap.max = mine + max;
        seek_cut(&b, SPAN(mixed), 100);
        assert_int_equal(b.heap.used, mine);
        whole = mailsrv__seek_match(b.seek, 2) != SEEK_OPEN;
        if (!whole)
            assert_int_not_equal(mailsrv__seek_match(b.seek, 1), SEEK_NO);
    }
    assert_true(max > 64);
    check_answers(&b, "++-", "with memory", (size_t)max);
    tear_down(&b);
    b.heap.max = 8;
    assert_int_equal(mailsrv__seek_new(&b.arena, v, LENGTH(v), &b.seek), MAILSRV_NOMEM);
    mailsrv__arena_clear(&b.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_structure_left_out), cmocka_unit_test(test_asks_structure), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_fields),         cmocka_unit_test(test_odd_fields),
        cmocka_unit_test(test_encoded_words),  cmocka_unit_test(test_dates),
        cmocka_unit_test(test_parameters),     cmocka_unit_test(test_plain_body),
        cmocka_unit_test(test_decoded_bodies), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_other_messages), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_long_delimiter), cmocka_unit_test(test_opaque),
        cmocka_unit_test(test_early),          cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
