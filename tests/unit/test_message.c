/* Messages by themselves, through mailsrv/message.h: structures (each message whole, and in pieces of every size),
 * fields, addresses, parameters. */
#include <mailsrv/message.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CRLF "\r\n"

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

/* ---- Text that grows ---- */

struct text {
    char *p;
    size_t n, room;
};

static void add(struct text *t, const char *format, ...)
{
    va_list list;
    if (t->room - t->n < 8192)
        t->p = realloc(t->p, t->room = 2 * t->room + 16384);
    va_start(list, format);
    t->n += (size_t)vsnprintf(t->p + t->n, t->room - t->n, format, list);
    va_end(list);
}

/* ---- Structures ---- */

static void add_field(struct text *t, const mailsrv_part *part, int32_t field)
{
    mailsrv_part_value value = { .size = sizeof value };
    for (uint32_t i = 0; mailsrv_part_field(part, field, i, &value) == MAILSRV_OK; i++) {
        if (value.in_message)
            add(t, " %d@%llu+%llu", field, (unsigned long long)value.offset, (unsigned long long)value.octets);
        else
            add(t, " %d=<%.*s>", field, (int)value.text.n, (const char *)value.text.p);
    }
}

static int32_t add_part(void *user, const mailsrv_part *part)
{
    static const char *const kinds[] = { "other", "text", "multipart", "message" };
    struct text *t = user;
    add(t, "%.*s%s%s %llu+%llu+%llu/%llu", (int)part->depth, "                    ", kinds[part->kind],
        part->opaque ? "!" : "", (unsigned long long)part->offset, (unsigned long long)part->header_octets,
        (unsigned long long)part->body_octets, (unsigned long long)part->body_lines);
    for (int32_t field = 1; field <= 18; field++)
        add_field(t, part, field);
    add(t, "\n");
    return 0;
}

/* The structure of a message that comes in pieces of `piece` octets; 0: whole. */
static struct text shown(const char *message, size_t n, size_t piece)
{
    struct text t = { NULL, 0, 0 };
    mailsrv_scanner *s;
    mailsrv_bytes structure;
    assert_int_equal(mailsrv_scanner_new(NULL, &s), MAILSRV_OK);
    for (size_t at = 0; at < n;) {
        size_t k = piece == 0 || n - at < piece ? n - at : piece;
        assert_int_equal(mailsrv_scanner_feed(s, (const uint8_t *)message + at, k), MAILSRV_OK);
        at += k;
    }
    assert_int_equal(mailsrv_scanner_end(s, &structure), MAILSRV_OK);
    assert_int_equal(mailsrv_scanner_feed(s, (const uint8_t *)"x", 1), MAILSRV_E_CLOSED);
    assert_int_equal(mailsrv_structure_walk(structure, n + 1, add_part, &t), MAILSRV_CORRUPT);
    add(&t, "");
    assert_int_equal(mailsrv_structure_walk(structure, n, add_part, &t), MAILSRV_OK);
    mailsrv_scanner_free(s);
    return t;
}

static const struct {
    const char *message, *shown;
} structures[] = {
    { "", "text 0+0+0/0\n" },
    { "hello", "text 0+5+0/0\n" },
    { CRLF "body" CRLF, "text 0+2+6/1\n" },
    { "Subject: a" CRLF " b" CRLF CRLF "x" CRLF, "text 0+18+3/1 2=<a b>\n" },
    { "Subject:" CRLF "Date: " CRLF CRLF, "text 0+20+0/0 1=<> 2=<>\n" },
    { "subject : x\t" CRLF "not a field" CRLF "X:y" CRLF CRLF, "text 0+34+0/0 2=<x>\n" },
    { "Subject: a\r\r\n\rb: c\nTo: d\n\nx", "text 0+26+1/0 2=<a\r> 6=<d>\n" },
    { "Subject: a\r", "text 0+11+0/0 2=<a\r>\n" },
    /* what comes again */
    { "To: a" CRLF "Subject: 1" CRLF "To: b" CRLF "Subject: 2" CRLF CRLF, "text 0+40+0/0 2=<2> 6=<a> 6=<b>\n" },
    { "Content-Type: text/html" CRLF "Content-Type: multipart/mixed" CRLF CRLF, "text 0+58+0/0 11=<text/html>\n" },
    /* kinds */
    { "Content-Type: image/png" CRLF CRLF "x", "other 0+27+1/0 11=<image/png>\n" },
    { "Content-Type: TEXT" CRLF CRLF "x", "text 0+22+1/0 11=<TEXT>\n" },
    { "Content-Type: message/rfc822" CRLF CRLF "Subject: x" CRLF CRLF "y",
      "message 0+32+15/2 11=<message/rfc822>\n text 32+14+1/0 2=<x>\n" },
    { "Content-Type: message/rfc822", "message 0+28+0/0 11=<message/rfc822>\n text 28+0+0/0\n" },
    { "Content-Type: multipart/mixed" CRLF CRLF "--x" CRLF CRLF, "multipart 0+33+7/2 11=<multipart/mixed>\n" },
    { "Content-Type: multipart/mixed; boundary=\"\"" CRLF CRLF "--" CRLF,
      "multipart 0+46+4/1 11=<multipart/mixed; boundary=\"\">\n" },
    /* delimiters */
    { "Content-Type: multipart/mixed; boundary=b" CRLF CRLF "pre" CRLF "--b" CRLF CRLF "one" CRLF "--b \t" CRLF
      "X: y" CRLF "--b-" CRLF CRLF "--b--" CRLF "--b" CRLF,
      "multipart 0+45+50/10 11=<multipart/mixed; boundary=b>\n text 55+2+3/0\n text 69+4+0/0\n text 81+2+0/0\n" },
    { "Content-Type: multipart/mixed; boundary=b" CRLF CRLF "--b" CRLF "--b" CRLF CRLF "--b",
      "multipart 0+45+15/3 11=<multipart/mixed; boundary=b>\n text 50+0+0/0\n text 55+2+0/0\n" },
    { "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--", "multipart 0+43+12/3 11=<multipart/mixed; boundary=b>\n"
                                                                  " text 47+1+1/0\n" },
    /* the outer one ends the inner parts, and is not taken for the inner one, which it begins with */
    { "Content-Type: multipart/mixed; boundary=a" CRLF CRLF "--a" CRLF "Content-Type: multipart/mixed; boundary=ab" CRLF
      CRLF "--ab" CRLF CRLF "x" CRLF "--a" CRLF CRLF "y" CRLF "--a--",
      "multipart 0+45+77/9 11=<multipart/mixed; boundary=a>\n multipart 50+46+9/2 11=<multipart/mixed; boundary=ab>\n"
      "  text 102+2+1/0\n text 112+2+1/0\n" },
    { "Content-Type: multipart/mixed; boundary=a--" CRLF CRLF "--a--" CRLF CRLF "x" CRLF "--a----",
      "multipart 0+47+19/3 11=<multipart/mixed; boundary=a-->\n text 54+2+1/0\n" },
    { "Content-Type: multipart/digest; boundary=b" CRLF CRLF "--b" CRLF CRLF "Subject: x" CRLF CRLF "--b" CRLF
      "Content-Type: text/plain" CRLF CRLF "--b--",
      "multipart 0+46+59/7 11=<multipart/digest; boundary=b>\n message 51+2+14/2\n  text 53+14+0/0 2=<x>\n"
      " text 72+28+0/0 11=<text/plain>\n" },
};

static void test_structures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof structures / sizeof *structures; i++) {
        size_t n = strlen(structures[i].message);
        for (size_t piece = 0; piece <= n; piece++) {
            struct text t = shown(structures[i].message, n, piece);
            if (strcmp(t.p, structures[i].shown) != 0)
                fail_msg("%s\nin pieces of %zu is\n%sand not\n%s", structures[i].message, piece, t.p,
                         structures[i].shown);
            free(t.p);
        }
    }
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

/* 200 levels: the hundredth is opaque, and its body is all that it holds. */
static void test_depth(void **state)
{
    struct text t = { NULL, 0, 0 };
    (void)state;
    for (int i = 0; i < 200; i++)
        add(&t, "Content-Type: multipart/mixed; boundary=level%03d\r\n\r\n--level%03d\r\n", i, i);
    add(&t, "\r\nbottom\r\n");
    for (int i = 199; i >= 0; i--)
        add(&t, "--level%03d--\r\n", i);
    struct text whole = shown(t.p, t.n, 0), cut = shown(t.p, t.n, 7);
    assert_string_equal(whole.p, cut.p);
    assert_int_equal(count(whole.p, "multipart "), 99);
    assert_int_equal(count(whole.p, "other!"), 1);
    assert_int_equal(count(whole.p, "\n"), 100);
    free(t.p);
    free(whole.p);
    free(cut.p);
}

/* 2,000 parts are parts; of 5,000 the last of 4,096 holds the others. */
static void test_number_of_parts(void **state)
{
    (void)state;
    for (int n = 2000; n <= 5000; n += 3000) {
        struct text t = { NULL, 0, 0 };
        add(&t, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
        for (int i = 0; i < n; i++)
            add(&t, "--b\r\nContent-Type: text/plain; name=%d\r\n\r\nx\r\n", i);
        add(&t, "--b--\r\nend");
        struct text whole = shown(t.p, t.n, 0);
        assert_int_equal(count(whole.p, "\n"), n == 2000 ? 2001 : 4096);
        assert_int_equal(count(whole.p, "text!"), n == 2000 ? 0 : 1);
        free(t.p);
        free(whole.p);
    }
}

static void test_long_values(void **state)
{
    struct text t = { NULL, 0, 0 };
    (void)state;
    add(&t, "X: y\r\nTo: ");
    for (int i = 0; i < 300; i++)
        add(&t, "a@b.example,\r\n ");
    add(&t, "z\r\nContent-Type: multipart/mixed; %0600d=1; boundary=%0300d\r\n\r\n--%0200d\r\n\r\nx", 0, 7, 0);
    struct text whole = shown(t.p, t.n, 0), cut = shown(t.p, t.n, 13);
    assert_string_equal(whole.p, cut.p);
    assert_non_null(strstr(whole.p, " 6@9+4502"));
    assert_int_equal(count(whole.p, "\n text "), 1); /* the first 200 octets of a boundary count */
    free(t.p);
    free(whole.p);
    free(cut.p);
}

/* ---- Memory ---- */

struct limited {
    size_t left, used;
};

static void *take(void *user, size_t n)
{
    struct limited *l = user;
    if (l->left == 0)
        return NULL;
    l->left--;
    l->used += n;
    return malloc(n);
}

static void give(void *user, void *p, size_t n)
{
    ((struct limited *)user)->used -= n;
    free(p);
}

static void test_every_allocation_may_fail(void **state)
{
    const char *message = structures[sizeof structures / sizeof *structures - 1].message;
    int32_t status = MAILSRV_NOMEM;
    size_t tries = 0;
    (void)state;
    for (; status == MAILSRV_NOMEM; tries++) {
        struct limited l = { tries, 0 };
        mailsrv_allocator from = { .size = sizeof from, .user = &l, .alloc = take, .release = give };
        mailsrv_scanner *s = NULL;
        mailsrv_bytes structure;
        status = mailsrv_scanner_new(&from, &s);
        if (status == MAILSRV_OK) {
            assert_int_equal(mailsrv_scanner_feed(s, (const uint8_t *)message, strlen(message)), MAILSRV_OK);
            status = mailsrv_scanner_end(s, &structure);
        }
        mailsrv_scanner_free(s);
        assert_int_equal(l.used, 0);
    }
    assert_int_equal(status, MAILSRV_OK);
    assert_true(tries > 5);
}

/* ---- Fields ---- */

static void test_fields(void **state)
{
    mailsrv_bytes rest = bytes("A: b\r\nlong:\r\n x\n\ty \r\nnone\r\nB :\r\n\r\nbody");
    static const char *const expected[][2] = { { "A", "b" }, { "long", "x\ty" }, { "none", NULL }, { "B", "" } };
    mailsrv_field f = { .size = sizeof f };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint8_t room[64];
        size_t n = 0;
        assert_int_equal(mailsrv_field_next(&rest, &f), MAILSRV_MORE);
        assert_int_equal(f.name.n, strlen(expected[i][0]));
        assert_memory_equal(f.name.p, expected[i][0], f.name.n);
        assert_int_equal(f.value.p == NULL, expected[i][1] == NULL);
        assert_int_equal(mailsrv_unfold(f.value, room, sizeof room, &n), MAILSRV_OK);
        assert_int_equal(n, expected[i][1] == NULL ? 0 : strlen(expected[i][1]));
        assert_memory_equal(room, expected[i][1] == NULL ? "" : expected[i][1], n);
        if (n > 1)
            assert_int_equal(mailsrv_unfold(f.value, room, 1, &n), MAILSRV_LIMIT);
    }
    assert_int_equal(mailsrv_field_next(&rest, &f), MAILSRV_OK);
    assert_int_equal(rest.n, 4);
    assert_memory_equal(rest.p, "body", 4);
}

/* ---- Addresses ---- */

static const char *text_of(mailsrv_bytes b)
{
    static char rooms[4][256];
    static unsigned at;
    char *room = rooms[at++ % 4];
    snprintf(room, 256, "%.*s", b.p == NULL ? 1 : (int)b.n, b.p == NULL ? "~" : (const char *)b.p);
    return room;
}

static void test_addresses(void **state)
{
    static const struct {
        const char *list, *shown;
    } cases[] = {
        { "", "" },
        { " , ,, ", "" },
        { "a@b", "0 ~ ~ a b|" },
        { "Ann Lee <ann@a.example>, bo@b.example (Bo)", "0 Ann Lee ~ ann a.example|0 Bo ~ bo b.example|" },
        { "\"A \\\"B\\\" C\" <\"x y\"@[192.0.2.1]>", "0 A \"B\" C ~ x y [192.0.2.1]|" },
        { "Crew: a@a, B <b@b>;, c@c", "1 ~ ~ Crew ~|0 ~ ~ a a|0 B ~ b b|2 ~ ~ ~ ~|0 ~ ~ c c|" },
        { "undisclosed-recipients:;", "1 ~ ~ undisclosed-recipients ~|2 ~ ~ ~ ~|" },
        { "x:a@b", "1 ~ ~ x ~|0 ~ ~ a b|2 ~ ~ ~ ~|" },
        { "<@a,@b:c@d>", "0 ~ @a,@b c d|" },
        { "<@a,, @b:c@d>", "0 ~ @a,@b c d|" },
        { "<@a@b@c@d@e@f@g@h:c@d>", "0 ~ @a@b@c@d@e@f@g@h c d|" },
        { "a . b @ c . d", "0 ~ ~ a.b c.d|" },
        { "A. B.\r\n C <a@b>", "0 A. B. C ~ a b|" },
        { "(x (y) z) a@b (c\\)d)", "0 c)d ~ a b|" },
        { "=?utf-8?q?=C3=A9?= <a@b>", "0 =?utf-8?q?=C3=A9?= ~ a b|" },
        { "caf\xc3\xa9@\xc3\xa9.example", "0 ~ ~ caf\xc3\xa9 \xc3\xa9.example|" },
        { "a", "0 ~ ~ a ~|" },
        { "a <b, c@d", "0 a ~ b ~!|0 ~ ~ c d|" },
        { "<>, a@b", "0 ~ ~ ~ ~!|0 ~ ~ a b|" },
        { "a b@c, d@e", "0 ~ ~ a ~|0 ~ ~ d e|" },
        { "@a", "0 ~ ~ ~ a|" },
        { "\"a", "" },
        { "x: y: z@z;, a@b", "1 ~ ~ x ~|0 ~ ~ y ~|2 ~ ~ ~ ~|0 ~ ~ a b|" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = { NULL, 0, 0 };
        mailsrv_addresses list = { .size = sizeof list, .rest = bytes(cases[i].list) };
        mailsrv_address a = { .size = sizeof a };
        uint8_t *room = malloc(strlen(cases[i].list) + 1);
        int32_t status;
        add(&t, "");
        while ((status = mailsrv_address_next(&list, room, strlen(cases[i].list), &a)) == MAILSRV_MORE)
            add(&t, "%d %s %s %s %s%s|", a.kind, text_of(a.name), text_of(a.route), text_of(a.local), text_of(a.domain),
                a.broken ? "!" : "");
        assert_int_equal(status, MAILSRV_OK);
        if (strcmp(t.p, cases[i].shown) != 0)
            fail_msg("%s is %s and not %s", cases[i].list, t.p, cases[i].shown);
        free(t.p);
        free(room);
    }
}

static void test_an_address_is_cut(void **state)
{
    mailsrv_addresses list = { .size = sizeof list, .rest = bytes("somebody@somewhere.example, a@b") };
    mailsrv_address a = { .size = sizeof a };
    uint8_t room[10];
    (void)state;
    assert_int_equal(mailsrv_address_next(&list, room, sizeof room, &a), MAILSRV_LIMIT);
    assert_int_equal(a.local.n, 8);
    assert_int_equal(a.domain.n, 2);
    assert_int_equal(mailsrv_address_next(&list, room, sizeof room, &a), MAILSRV_MORE);
}

/* ---- Parameters ---- */

static void test_parameters(void **state)
{
    static const struct {
        const char *value, *shown;
    } cases[] = {
        { "text/plain", "text plain" },
        { " text / plain ; charset = utf-8 ;", "text plain;charset=utf-8" },
        { "(a) text (b) / (c) html (d); (e) x (f) = (g) \"y ; z\" (h) ; i=j", "text html;x=y ; z;i=j" },
        { "attachment; filename=\"a \\\"b\\\"\"", "attachment ;filename=a \"b\"" },
        { "text/plain\"; a=b", "text plain;a=b" },
        { "text/plain; a; =b; c=; d=e", "text plain;d=e" },
        { "text/plain; a=\"b", "text plain" },
        { "text/plain; name==?utf-8?q?a?= ;b=c", "text plain;name==?utf-8?q?a?=;b=c" },
        { "a/b; n*1=two; n*0=\"one \"; x=y", "a b;n=one two;x=y" },
        { "a/b; n*0*=utf-8''%E2%82; N*1*=%AC; n*2=5%.txt", "a b;n*=utf-8''%E2%82%AC5%25.txt" },
        { "a/b; n*0=50%; n*1*=%41", "a b;n*=''50%25%41" },
        { "a/b; n*0=a; n*2=c", "a b;n*0=a;n*2=c" },
        { "a/b; n*0=a; n*0=b", "a b;n*0=a;n*0=b" },
        { "a/b; n*=utf-8''x; m*y=z", "a b;n*=utf-8''x;m*y=z" },
        { "", NULL },
        { ";a=b", NULL },
        { "\"text\"/plain", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text t = { NULL, 0, 0 };
        mailsrv_content c = { .size = sizeof c };
        mailsrv_bytes name, value;
        uint8_t room[512];
        int32_t status = mailsrv_content_read(bytes(cases[i].value), &c);
        assert_int_equal(status, cases[i].shown != NULL ? MAILSRV_OK : MAILSRV_CORRUPT);
        if (status != MAILSRV_OK)
            continue;
        add(&t, "%.*s %.*s", (int)c.type.n, (const char *)c.type.p, (int)c.subtype.n, (const char *)c.subtype.p);
        for (uint32_t k = 0; mailsrv_parameter(c.parameters, k, room, sizeof room, &name, &value) == MAILSRV_OK; k++)
            add(&t, ";%.*s=%.*s", (int)name.n, (const char *)name.p, (int)value.n, (const char *)value.p);
        if (strcmp(t.p, cases[i].shown) != 0)
            fail_msg("%s is\n%s and not\n%s", cases[i].value, t.p, cases[i].shown);
        free(t.p);
    }
}

static void test_usage(void **state)
{
    mailsrv_bytes none = { NULL, 0 }, bad = { NULL, 1 };
    mailsrv_scanner *s;
    (void)state;
    assert_int_equal(mailsrv_scanner_new(NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_scanner_new(NULL, &s), MAILSRV_OK);
    assert_int_equal(mailsrv_scanner_feed(s, NULL, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_scanner_end(s, NULL), MAILSRV_E_USAGE);
    mailsrv_scanner_free(s);
    mailsrv_scanner_free(NULL);
    assert_int_equal(mailsrv_structure_walk(none, 0, add_part, NULL), MAILSRV_CORRUPT);
    assert_int_equal(mailsrv_structure_walk(bad, 0, add_part, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_structure_walk(none, 0, NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_field_next(&none, &(mailsrv_field){ .size = 4 }), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_address_next(&(mailsrv_addresses){ .size = 4 }, NULL, 0, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_content_read(none, &(mailsrv_content){ .size = 4 }), MAILSRV_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_number_of_parts),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_an_address_is_cut),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
