/* Transfer encodings, whole and cut everywhere. */
#include "text/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cut.h"

static void take(struct transfer *t, struct span in, struct collected *got)
{
    char room[TRANSFER_ROOM_MIN];
    while (in.n != 0) {
        struct writer out = { .p = room, .room = sizeof room };
        mailsrv__transfer_take(t, &in, &out);
        assert_false(out.full);
        collect(got, mailsrv__written(&out));
    }
}

static void check_cut(enum transfer_kind kind, struct span in, size_t cut, struct span expected)
{
    struct transfer t;
    struct collected got = { .n = 0 };
    char room[TRANSFER_ROOM_MIN];
    struct writer out = { .p = room, .room = sizeof room };
    mailsrv__transfer_begin(&t, kind);
    take(&t, mailsrv__span_first(in, cut), &got);
    take(&t, mailsrv__span_after(in, cut), &got);
    mailsrv__transfer_end(&t, &out);
    assert_false(out.full);
    collect(&got, mailsrv__written(&out));
    assert_collected(&got, expected);
}

static void check(enum transfer_kind kind, struct span in, struct span expected)
{
    for (size_t cut = 0; cut <= in.n; cut++)
        check_cut(kind, in, cut, expected);
}

#define PRINTABLE(in, out) check(TRANSFER_QUOTED_PRINTABLE, SPAN(in), SPAN(out))
#define BASE64(in, out) check(TRANSFER_BASE64, SPAN(in), SPAN(out))

static void test_printable(void **state)
{
    (void)state;
    PRINTABLE("", "");
    PRINTABLE("caf=C3=A9 = caf=c3=a9", "caf\xC3\xA9 = caf\xC3\xA9");
    PRINTABLE("one=\r\ntwo=\nthree", "onetwothree");
    PRINTABLE("one=  \t\r\ntwo", "onetwo");           /* blanks came behind the soft break */
    PRINTABLE("one \t\r\n two\t\n", "one\r\n two\n"); /* rule 3 */
    PRINTABLE("one=20\r\n", "one \r\n");              /* what is encoded stays */
    PRINTABLE("a\rb\r\rc\r\r\nd", "a\rb\r\rc\r\r\nd");
    PRINTABLE("=00=FF", "\x00\xFF");
}

/* What others' readers broke at: a soft break at the very end, "=" before an escape, small digits, blanks. */
static void test_printable_edges(void **state)
{
    (void)state;
    PRINTABLE("a=\r\nb  \r\n=c3=A9==41=\r\n=", "ab\r\n\xC3\xA9=A");
    PRINTABLE("==", "=");
    PRINTABLE("=4", "=4");
    PRINTABLE("=4G=G4", "=4G=G4");
    PRINTABLE("=4=41=  =42", "=4A=  B");
    PRINTABLE("= \rx", "= \rx");
    PRINTABLE("=\r", "");
    PRINTABLE("end ", "end");
    PRINTABLE("end\r", "end\r");
}

static void test_many_blanks(void **state)
{
    (void)state;
    char in[3 * TRANSFER_BLANKS_MAX + 1];
    memset(in, ' ', sizeof in);
    in[sizeof in - 1] = '\n';
    char out[2 * TRANSFER_BLANKS_MAX + 1];
    memset(out, ' ', sizeof out);
    out[sizeof out - 1] = '\n';
    check(TRANSFER_QUOTED_PRINTABLE, (struct span){ in, sizeof in }, (struct span){ out, sizeof out });
    in[0] = '=';
    in[sizeof in - 1] = 'x';
    check(TRANSFER_QUOTED_PRINTABLE, (struct span){ in, sizeof in }, (struct span){ in, sizeof in });
}

static void test_base64(void **state)
{
    (void)state;
    BASE64("", "");
    BASE64("Zm9vYmFy", "foobar");
    BASE64("Zm9v\r\nYmE=\r\n", "fooba");
    BASE64("Zm9vYg==", "foob");
    BASE64("Zm9vYg", "foob");
    BASE64("Zm9vYg==Zm9vYg==", "foobfoob");
    BASE64("Zm 9v!*\r\n\tYmFy", "foobar");
    BASE64("/+8=", "\xFF\xEF");
    BASE64("Z", "");
}

static void test_kinds(void **state)
{
    (void)state;
    check(TRANSFER_PLAIN, SPAN("a=41 \r\n"), SPAN("a=41 \r\n"));
    assert_int_equal(mailsrv__transfer_kind(SPAN("BASE64")), TRANSFER_BASE64);
    assert_int_equal(mailsrv__transfer_kind(SPAN("Quoted-Printable")), TRANSFER_QUOTED_PRINTABLE);
    assert_int_equal(mailsrv__transfer_kind(SPAN("8bit")), TRANSFER_PLAIN);
    assert_int_equal(mailsrv__transfer_kind(SPAN("")), TRANSFER_PLAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_printable), cmocka_unit_test(test_printable_edges), cmocka_unit_test(test_many_blanks),
        cmocka_unit_test(test_base64),    cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
