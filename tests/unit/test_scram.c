/* SCRAM: the vectors of RFC 5802 section 5 and RFC 7677 section 3, its messages, and SASLprep as far as it goes. */
#include "base/secret.h"
#include "crypto.h"
#include "sasl/prepare.h"
#include "sasl/scram_message.h"
#include "text/base64.h"

#include <mailsrv/auth.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static mailsrv_bytes bytes_of(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static struct span span_of(const char *text)
{
    return (struct span){ text, strlen(text) };
}

static size_t decode(const char *text, uint8_t *out)
{
    size_t n;
    assert_true(mailsrv__base64_read(span_of(text), out, &n));
    return n;
}

/* ---- The crypto of the tests itself: FIPS 180-4's "abc", RFC 4231 section 4.3, RFC 2202 section 3 ---- */

static void hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
    out[2 * n] = 0;
}

static void test_crypto_of_the_tests(void **state)
{
    uint8_t calls = 0, out[32];
    char text[65];
    mailsrv_crypto c = test_crypto(&calls);
    const mailsrv_bytes abc[] = { bytes_of("a"), bytes_of(""), bytes_of("bc") };
    const mailsrv_bytes jefe = bytes_of("Jefe"), what[] = { bytes_of("what do ya want "), bytes_of("for nothing?") };
    (void)state;
    assert_int_equal(c.hash(c.user, MAILSRV_HASH_SHA1, abc, 3, out), MAILSRV_OK);
    hex(out, 20, text);
    assert_string_equal(text, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_int_equal(c.hash(c.user, MAILSRV_HASH_SHA256, abc, 3, out), MAILSRV_OK);
    hex(out, 32, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(c.hmac(c.user, MAILSRV_HASH_SHA1, &jefe, what, 2, out), MAILSRV_OK);
    hex(out, 20, text);
    assert_string_equal(text, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_int_equal(c.hmac(c.user, MAILSRV_HASH_SHA256, &jefe, what, 2, out), MAILSRV_OK);
    hex(out, 32, text);
    assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* ---- Vectors ---- */

struct vector {
    int32_t hash;
    size_t octets;
    const char *salt, *first, *server_first, *final, *signature;
};

static const struct vector vectors[] = {
    { MAILSRV_HASH_SHA1, 20, "QSXCR+Q6sek8bf92", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
      "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
      "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
      "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
    { MAILSRV_HASH_SHA256, 32, "W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

/* The client's proof leads to the StoredKey that was made, and the ServerKey to the server's signature. */
static void test_vectors(void **state)
{
    uint8_t calls = 0;
    mailsrv_crypto c = test_crypto(&calls);
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        uint8_t salt[16], stored[32], server[32], proof[32], key[32], signature[32], expected[32];
        const mailsrv_bytes password = bytes_of("pencil"), salt_bytes = { salt, decode(v->salt, salt) };
        struct scram_first first;
        struct scram_final final;
        assert_int_equal(mailsrv_scram_keys(&c, v->hash, &password, &salt_bytes, 4096, stored, server), MAILSRV_OK);
        assert_true(mailsrv__scram_read_first(span_of(v->first), &first));
        assert_true(mailsrv__scram_read_final(span_of(v->final), &final));
        const mailsrv_bytes parts[] = { mailsrv__bytes(first.bare), bytes_of(","), bytes_of(v->server_first),
                                        bytes_of(","), mailsrv__bytes(final.without_proof) };
        const mailsrv_bytes stored_bytes = { stored, v->octets }, server_bytes = { server, v->octets };
        size_t n;
        assert_true(mailsrv__base64_read(final.proof, proof, &n));
        assert_int_equal(n, v->octets);
        assert_int_equal(c.hmac(c.user, v->hash, &stored_bytes, parts, 5, key), MAILSRV_OK);
        for (size_t at = 0; at < n; at++)
            key[at] ^= proof[at];
        const mailsrv_bytes key_bytes = { key, n };
        assert_int_equal(c.hash(c.user, v->hash, &key_bytes, 1, expected), MAILSRV_OK);
        assert_memory_equal(expected, stored, n);
        assert_int_equal(c.hmac(c.user, v->hash, &server_bytes, parts, 5, signature), MAILSRV_OK);
        assert_int_equal(decode(v->signature, expected), n);
        assert_memory_equal(signature, expected, n);
    }
}

static void test_keys_of_what_is_no_password(void **state)
{
    uint8_t calls = 0, out[64], two[64];
    char *large = calloc(1, 1026);
    mailsrv_crypto c = test_crypto(&calls), none = { .size = sizeof none };
    const mailsrv_bytes salt = bytes_of("salt"), good = bytes_of("pencil"), empty = bytes_of("");
    const mailsrv_bytes control = bytes_of("pen\x07"), no_utf8 = bytes_of("pen\xE4"), hidden = bytes_of("\xC2\xAD");
    (void)state;
    memset(large, 'x', 1025);
    const mailsrv_bytes longest = { (uint8_t *)large, 1024 }, too_long = { (uint8_t *)large, 1025 };
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &longest, &salt, 1, out, two), MAILSRV_OK);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &too_long, &salt, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &empty, &salt, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &hidden, &salt, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &control, &salt, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &no_utf8, &salt, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &good, &empty, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &good, &salt, 0, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA512, &good, &salt, 1, out, two), MAILSRV_E_VALUE);
    assert_int_equal(mailsrv_scram_keys(&none, MAILSRV_HASH_SHA256, &good, &salt, 1, out, two), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_scram_keys(NULL, MAILSRV_HASH_SHA256, &good, &salt, 1, out, two), MAILSRV_E_USAGE);
    free(large);
}

/* A password with what is mapped away has the keys of the one without. */
static void test_keys_of_a_prepared_password(void **state)
{
    uint8_t calls = 0, a[2][32], b[2][32];
    mailsrv_crypto c = test_crypto(&calls);
    const mailsrv_bytes salt = bytes_of("salt"), soft = bytes_of("I\xC2\xADX y"), plain = bytes_of("IX\xC2\xA0y");
    (void)state;
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &soft, &salt, 2, a[0], a[1]), MAILSRV_OK);
    assert_int_equal(mailsrv_scram_keys(&c, MAILSRV_HASH_SHA256, &plain, &salt, 2, b[0], b[1]), MAILSRV_OK);
    assert_memory_equal(a, b, sizeof a);
}

/* ---- Messages: each from a block of its own size ---- */

static bool reads_first(const char *text, size_t n, struct scram_first *out)
{
    char *exact = malloc(n == 0 ? 1 : n);
    memcpy(exact, text, n);
    bool good = mailsrv__scram_read_first((struct span){ exact, n }, out);
    free(exact);
    return good;
}

static void test_first_message(void **state)
{
    struct scram_first f;
    char name[16];
    size_t n;
    (void)state;
    assert_true(mailsrv__scram_read_first(span_of("p=tls-exporter,a=k=2Cm,n=p=3Dt,r=abc,x=1,Y=z"), &f));
    assert_int_equal(f.binding, SCRAM_BINDS);
    assert_true(mailsrv__span_equal(f.binding_name, SPAN("tls-exporter")));
    assert_true(mailsrv__span_equal(f.gs2_header, SPAN("p=tls-exporter,a=k=2Cm,")));
    assert_true(mailsrv__span_equal(f.bare, SPAN("n=p=3Dt,r=abc,x=1,Y=z")));
    assert_true(mailsrv__span_equal(f.nonce, SPAN("abc")));
    assert_true(mailsrv__scram_unescape(f.identity, name, &n) && n == 3 && memcmp(name, "k,m", 3) == 0);
    assert_true(mailsrv__scram_unescape(f.user, name, &n) && n == 3 && memcmp(name, "p=t", 3) == 0);
    assert_true(mailsrv__scram_read_first(span_of("y,,n=pat,r=abc"), &f) && f.binding == SCRAM_COULD_BIND);
    assert_true(mailsrv__scram_read_first(span_of("n,,n=pat,r=abc"), &f) && f.binding == SCRAM_CANNOT_BIND);
}

static void test_a_nul_in_an_extension(void **state)
{
    struct scram_first f;
    (void)state;
    assert_true(reads_first("n,,n=pat,r=abc,x=y0z", 20, &f));
    assert_false(reads_first("n,,n=pat,r=abc,x=y\0z", 20, &f));
}

static void test_every_prefix_of_a_first_message(void **state)
{
    static const char whole[] = "p=tls-unique,a=kim,n=pat,r=abc";
    struct scram_first f;
    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++)
        assert_int_equal(reads_first(whole, n, &f), n > sizeof "p=tls-unique,a=kim,n=pat,r=" - 1);
    assert_true(reads_first(whole, sizeof whole - 1, &f));
}

static void test_every_prefix_of_a_final_message(void **state)
{
    static const char whole[] = "c=biws,r=abc,x=y,p=AAAA";
    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *exact = malloc(n == 0 ? 1 : n);
        struct scram_final f;
        memcpy(exact, whole, n);
        assert_int_equal(mailsrv__scram_read_final((struct span){ exact, n }, &f), n > sizeof "c=biws,r=abc,x=y,p=" - 1);
        free(exact);
    }
}

static void test_names_that_are_none(void **state)
{
    static const char *const none[] = { "=", "a=", "=2", "a=2", "=2c", "=3d", "=2D", "==2C", "=3D=" };
    char out[16];
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(mailsrv__scram_unescape(span_of(none[i]), out, &n));
}

/* ---- SASLprep: RFC 4013 section 3, but for normalization ---- */

static void check_prepared(const char *text, const char *expected)
{
    char room[64];
    struct writer w = { .p = room, .room = sizeof room };
    bool good = mailsrv__sasl_prepare(span_of(text), &w);
    assert_int_equal(good, expected != NULL);
    if (good)
        assert_true(mailsrv__span_equal(mailsrv__written(&w), span_of(expected)));
}

static void test_prepare(void **state)
{
    (void)state;
    check_prepared("I\xC2\xADX", "IX");
    check_prepared("user", "user");
    check_prepared("USER", "USER");
    check_prepared("\x07", NULL);
    check_prepared("a\x7F", NULL);
    check_prepared("a\xC2\xA0" "b\xE3\x80\x80", "a b ");
    check_prepared("\xE2\x80\x8B\xE2\x80\x8C", " "); /* U+200B is in both tables, and a space first */
    check_prepared("\xC3\xA4\xF0\x9F\x98\x80", "\xC3\xA4\xF0\x9F\x98\x80");
    check_prepared("\xEE\x80\x80", NULL);         /* U+E000, private use */
    check_prepared("\xEF\xBF\xBE", NULL);         /* U+FFFE */
    check_prepared("\xF0\x9F\xBF\xBF", NULL);     /* U+1FFFF */
    check_prepared("\xEF\xBF\xBD", NULL);         /* U+FFFD */
    check_prepared("\xF3\xA0\x80\xA0", NULL);     /* U+E0020 */
    check_prepared("\xE2\x80\xAE", NULL);         /* U+202E */
    check_prepared("a\xC3", NULL);
    check_prepared("\xC0\xAF", NULL);
}

static void test_secret_equal(void **state)
{
    char a[] = "0123456789abcdef", b[] = "0123456789abcdef";
    (void)state;
    assert_true(mailsrv__secret_equal(a, b, 16) && mailsrv__secret_equal(a, "x", 0));
    for (size_t i = 0; i < 16; i++) {
        b[i] ^= 1;
        assert_false(mailsrv__secret_equal(a, b, 16));
        assert_true(mailsrv__secret_equal(a, b, i));
        b[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto_of_the_tests),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_keys_of_what_is_no_password),
        cmocka_unit_test(test_keys_of_a_prepared_password),
        cmocka_unit_test(test_first_message),
        cmocka_unit_test(test_a_nul_in_an_extension),
        cmocka_unit_test(test_every_prefix_of_a_first_message),
        cmocka_unit_test(test_every_prefix_of_a_final_message),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_secret_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
