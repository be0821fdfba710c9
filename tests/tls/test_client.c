/* A provider as the client, against each provider as the server, and against OpenSSL itself.  The same file tests both. */
#include "pair.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct identity root, other_root, ec, rsa, alone, expired, for_clients, named, own;

static int make_identities(void **state)
{
    static const struct odd_identity ended = { .names = "DNS:mx.here.test", .ended_s = 60 };
    static const struct odd_identity of_clients = { .names = "DNS:mx.here.test", .usage = "clientAuth" };
    static const struct odd_identity by_subject = { .common_name = "mx.here.test" };
    (void)state;
    identity_make(&root, KEY_EC, NULL, NULL);
    identity_make(&other_root, KEY_EC, NULL, NULL);
    identity_make(&ec, KEY_EC, "DNS:mx.here.test,DNS:*.wild.test,IP:192.0.2.1,IP:2001:db8::1", &root);
    identity_make(&rsa, KEY_RSA, "DNS:mx.here.test", &root);
    identity_make(&alone, KEY_EC, "DNS:mx.here.test", NULL);
    identity_make(&own, KEY_EC, "DNS:we.test,email:we@we.test", &root);
    identity_make_odd(&expired, &ended, &root);
    identity_make_odd(&for_clients, &of_clients, &root);
    identity_make_odd(&named, &by_subject, &root);
    return 0;
}

static int free_identities(void **state)
{
    struct identity *all[] = { &root, &other_root, &ec, &rsa, &alone, &expired, &for_clients, &named, &own };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        identity_free(all[i]);
    return 0;
}

/* `roots` NULL: nobody is trusted; `identity` NULL: we have no certificate. */
static mailsrv_tls *client_of(const struct identity *roots, const struct identity *identity)
{
    const mailsrv_certificate certificate =
        identity == NULL ? (mailsrv_certificate){ 0 } : identity_certificate(identity);
    const mailsrv_tls_client_setup setup = { .size = sizeof setup,
                                             .roots = identity_bytes(roots == NULL ? "" : roots->chain),
                                             .certificate = identity == NULL ? NULL : &certificate };
    mailsrv_error why = { .size = sizeof why };
    mailsrv_tls *tls = NULL;
    assert_int_equal(client_new(&setup, &tls, &why), MAILSRV_OK);
    return tls;
}

static mailsrv_tls *server_of(const struct server_maker *maker, const struct identity *identity)
{
    const mailsrv_certificate certificate = identity_certificate(identity);
    const mailsrv_tls_setup setup = { .size = sizeof setup,
                                      .certificates = &certificate,
                                      .n_certificates = 1,
                                      .certificate_stride = sizeof certificate,
                                      .client_roots = identity_bytes(root.chain) };
    mailsrv_error why = { .size = sizeof why };
    mailsrv_tls *tls = NULL;
    assert_int_equal(maker->make(&setup, &tls, &why), MAILSRV_OK);
    return tls;
}

static SSL_CTX *raw_server(const struct identity *identity, int least, int most)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, least), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, most), 1);
    identity_show(identity, ctx);
    return ctx;
}

static bool is_text(mailsrv_bytes b, const char *text)
{
    return b.n == strlen(text) && (b.n == 0 || memcmp(b.p, text, b.n) == 0);
}

/* ---- Handshakes ---- */

static void same(mailsrv_bytes a, mailsrv_bytes b)
{
    assert_int_equal(a.n, b.n);
    if (a.n != 0)
        assert_memory_equal(a.p, b.p, a.n);
}

static void shake_and_talk(const struct server_maker *maker, const struct identity *identity, size_t piece, size_t room)
{
    mailsrv_tls *client = client_of(&root, NULL), *server = server_of(maker, identity);
    const mailsrv_tls_target target = pair_target("mx.here.test", true);
    struct pair *p = pair_new(client, &target, server);
    p->piece = piece;
    p->client.room_octets = room;
    assert_true(pair_shake(p));
    const mailsrv_tls_info ours = pair_info(&p->client), theirs = pair_info(&p->server);
    assert_int_equal(ours.version, theirs.version);
    same(ours.cipher, theirs.cipher);
    assert_true(ours.cipher.n > 10);
    assert_true(is_text(ours.server_name, "mx.here.test"));
    assert_true(is_text(theirs.server_name, "mx.here.test"));
    assert_int_equal(ours.client_subject.n, 0);
    assert_int_equal(ours.n_client_names, 0);
    assert_int_equal(ours.verified, 1);
    assert_int_equal(theirs.verified, 0);
    assert_int_equal(ours.resumed, 0);
    assert_int_equal(ours.exporter.n, 32);
    same(ours.exporter, theirs.exporter);
    assert_int_equal(ours.end_point.n, 32);
    same(ours.end_point, theirs.end_point);
    if (ours.version == 0x0303 && CLIENT_HAS_UNIQUE)
        assert_int_equal(ours.unique.n, 12);
    else
        assert_int_equal(ours.unique.n, 0);
    if (ours.unique.n != 0 && theirs.unique.n != 0)
        same(ours.unique, theirs.unique);
    assert_true(p->client.provider->octets(p->client.connection) > 1000);
    assert_true(pair_talk(p));
    pair_free(p);
    mailsrv_tls_unref(client);
    mailsrv_tls_unref(server);
}

static void test_each_with_each(void **state)
{
    static const size_t pieces[] = { WIRE_OCTETS, 1, 100 };
    (void)state;
    for (size_t i = 0; i < n_server_makers; i++)
        for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++) {
            shake_and_talk(&server_makers[i], &ec, pieces[j], 4096);
            shake_and_talk(&server_makers[i], &rsa, pieces[j], 4096);
        }
}

/* Whose room is small is asked for another one. */
static void test_little_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_server_makers; i++)
        shake_and_talk(&server_makers[i], &ec, WIRE_OCTETS, 64);
}

/* ---- Versions ---- */

static bool shakes_with(const struct identity *identity, int least, int most, uint32_t version)
{
    mailsrv_tls *client = client_of(&root, NULL);
    SSL_CTX *ctx = raw_server(identity, least, most);
    const mailsrv_tls_target target = pair_target("mx.here.test", true);
    struct pair *p = pair_new_raw(client, &target, ctx);
    bool good = pair_shake(p);
    if (good)
        assert_int_equal(pair_info(&p->client).version, version);
    else
        assert_true(strlen(p->client.provider->why(p->client.connection)) > 3);
    pair_free(p);
    SSL_CTX_free(ctx);
    mailsrv_tls_unref(client);
    return good;
}

static void test_versions(void **state)
{
    const struct identity *both[] = { &ec, &rsa };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_false(shakes_with(both[i], TLS1_VERSION, TLS1_VERSION, 0));
        assert_false(shakes_with(both[i], TLS1_1_VERSION, TLS1_1_VERSION, 0));
        assert_true(shakes_with(both[i], TLS1_VERSION, TLS1_2_VERSION, 0x0303));
        assert_int_equal(shakes_with(both[i], TLS1_3_VERSION, TLS1_3_VERSION, 0x0304), CLIENT_HAS_TLS_1_3);
        assert_true(shakes_with(both[i], TLS1_2_VERSION, TLS1_3_VERSION, CLIENT_HAS_TLS_1_3 ? 0x0304 : 0x0303));
    }
}

/* Without extended_master_secret what an exporter gives is not this connection's alone (RFC 9266 section 4.2). */
static void test_no_extended_master_secret(void **state)
{
    mailsrv_tls *client = client_of(&root, NULL);
    SSL_CTX *ctx = raw_server(&ec, TLS1_2_VERSION, TLS1_2_VERSION);
    const mailsrv_tls_target target = pair_target("mx.here.test", true);
    (void)state;
    SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    struct pair *p = pair_new_raw(client, &target, ctx);
    assert_true(pair_shake(p));
    assert_int_equal(pair_info(&p->client).exporter.n, 0);
    assert_int_equal(pair_info(&p->client).unique.n, 0);
    assert_int_equal(pair_info(&p->client).verified, 1);
    pair_free(p);
    SSL_CTX_free(ctx);
    mailsrv_tls_unref(client);
}

/* ---- Who it is ---- */

static const struct trust {
    const char *what;
    const struct identity *shown, *roots;
    const char *name;
    bool is_good;
} trusts[] = {
    { "as it should be", &ec, &root, "mx.here.test", true },
    { "in another case", &ec, &root, "MX.Here.TEST", true },
    { "with a dot at its end", &ec, &root, "mx.here.test.", true },
    { "another name", &ec, &root, "mail.here.test", false },
    { "a name below it", &ec, &root, "a.mx.here.test", false },
    { "a name that begins as it", &ec, &root, "mx.here.test.evil.test", false },
    { "an asterisk", &ec, &root, "a.wild.test", true },
    { "an asterisk for two labels", &ec, &root, "a.b.wild.test", false },
    { "an asterisk for none", &ec, &root, "wild.test", false },
    { "an asterisk for an empty label", &ec, &root, ".wild.test", false },
    { "an address", &ec, &root, "192.0.2.1", true },
    { "another address", &ec, &root, "192.0.2.2", false },
    { "an address of IPv6", &ec, &root, "2001:DB8:0::1", true },
    { "another of IPv6", &ec, &root, "2001:db8::2", false },
    { "an address, of a name alone", &rsa, &root, "192.0.2.1", false },
    { "no name", &ec, &root, "", false },
    { "the name of the subject alone", &named, &root, "mx.here.test", false },
    { "signed by itself", &alone, &root, "mx.here.test", false },
    { "signed by itself, and known", &alone, &alone, "mx.here.test", true },
    { "an unknown root", &ec, &other_root, "mx.here.test", false },
    { "nobody is known", &ec, NULL, "mx.here.test", false },
    { "expired", &expired, &root, "mx.here.test", false },
    { "for clients", &for_clients, &root, "mx.here.test", false },
};

/* mbedTLS does not show a certificate of that use. */
static bool is_shown(const struct server_maker *maker, const struct trust *t)
{
    return t->shown != &for_clients || strcmp(maker->name, "mbedtls") != 0;
}

static void trust(const struct server_maker *maker, const struct trust *t, bool verify)
{
    mailsrv_tls *client = client_of(t->roots, NULL), *server = server_of(maker, t->shown);
    const mailsrv_tls_target target = pair_target(t->name, verify);
    struct pair *p = pair_new(client, &target, server);
    bool good = pair_shake(p);
    if (good != (t->is_good || !verify))
        fail_msg("%s, at %s: %s", t->what, maker->name, p->client.provider->why(p->client.connection));
    if (p->client.status == MAILSRV_OK && pair_info(&p->client).verified != t->is_good)
        fail_msg("%s, at %s: what is said of it is wrong", t->what, maker->name);
    if (!good) {
        assert_true(p->client.status < 0);
        assert_true(strlen(p->client.provider->why(p->client.connection)) > 8);
        assert_true(p->server.status < 0); /* an alert told it */
    } else {
        assert_true(pair_talk(p));
    }
    pair_free(p);
    mailsrv_tls_unref(client);
    mailsrv_tls_unref(server);
}

static void test_trust(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_server_makers; i++)
        for (size_t j = 0; j < sizeof trusts / sizeof *trusts; j++) {
            if (!is_shown(&server_makers[i], &trusts[j]))
                continue;
            trust(&server_makers[i], &trusts[j], true);
            trust(&server_makers[i], &trusts[j], false);
        }
}

/* A name that none can be is for nobody. */
static void test_names_that_are_none(void **state)
{
    char large[300];
    mailsrv_tls *client = client_of(&root, NULL);
    const mailsrv_bytes names[] = { { (const uint8_t *)large, sizeof large },
                                    { (const uint8_t *)"mx.here.test\0.evil.test", 23 },
                                    { (const uint8_t *)".", 1 } };
    (void)state;
    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        mailsrv_tls *server = server_of(&server_makers[0], &ec);
        mailsrv_tls_target target = { .size = sizeof target, .verify = i % 2, .name = names[i / 2] };
        struct pair *p = pair_new(client, &target, server);
        assert_int_equal(pair_shake(p), !target.verify);
        if (!target.verify)
            assert_int_equal(pair_info(&p->client).verified, 0);
        pair_free(p);
        mailsrv_tls_unref(server);
    }
    mailsrv_tls_unref(client);
}

/* ---- Our own certificate ---- */

static void test_our_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_server_makers; i++) {
        mailsrv_tls *client = client_of(&root, &own), *server = server_of(&server_makers[i], &ec);
        const mailsrv_tls_target target = pair_target("mx.here.test", true);
        struct pair *p = pair_new(client, &target, server);
        assert_true(pair_shake(p));
        const mailsrv_tls_info theirs = pair_info(&p->server);
        assert_true(is_text(theirs.client_subject, "CN=of tests"));
        assert_int_equal(theirs.n_client_names, 2);
        assert_true(is_text(theirs.client_names[1], "we.test"));
        assert_int_equal(pair_info(&p->client).client_subject.n, 0);
        pair_free(p);
        mailsrv_tls_unref(client);
        mailsrv_tls_unref(server);
    }
}

static void test_setups_that_are_none(void **state)
{
    const mailsrv_bytes junk = { (const uint8_t *)"junk", 4 };
    mailsrv_certificate bad = identity_certificate(&own);
    mailsrv_tls_client_setup setup = { .size = sizeof setup, .roots = junk };
    mailsrv_error why = { .size = sizeof why };
    mailsrv_tls *tls = NULL;
    (void)state;
    assert_int_equal(client_new(&setup, &tls, &why), MAILSRV_E_VALUE);
    assert_int_equal(why.key, 0);
    assert_non_null(why.expected);
    setup.roots = identity_bytes(root.chain);
    setup.certificate = &bad;
    bad.key = identity_bytes(ec.key);
    assert_int_equal(client_new(&setup, &tls, &why), MAILSRV_E_VALUE);
    assert_int_equal(why.key, 1);
    bad.chain = junk;
    assert_int_equal(client_new(&setup, &tls, NULL), MAILSRV_E_VALUE);
    bad.size = 4;
    assert_int_equal(client_new(&setup, &tls, &why), MAILSRV_E_USAGE);
    setup.certificate = NULL;
    assert_int_equal(client_new(&setup, NULL, &why), MAILSRV_E_USAGE);
    assert_int_equal(client_new(NULL, &tls, &why), MAILSRV_E_USAGE);
    setup.size = 8;
    assert_int_equal(client_new(&setup, &tls, &why), MAILSRV_E_USAGE);
    assert_null(tls);
}

/* ---- What is none ---- */

static int32_t answered(const void *octets, size_t n)
{
    mailsrv_tls *client = client_of(&root, NULL), *server = server_of(&server_makers[0], &ec);
    const mailsrv_tls_target target = pair_target("mx.here.test", false);
    struct pair *p = pair_new(client, &target, server);
    assert_true(pair_step(&p->client, &p->server, WIRE_OCTETS));
    assert_int_equal(p->client.status, MAILSRV_MORE);
    assert_int_equal(p->server.wire[0], 22);
    memcpy(p->client.wire, octets, n);
    p->client.n = n;
    while (p->client.status == MAILSRV_MORE && p->client.n != 0 && pair_step(&p->client, &p->server, WIRE_OCTETS))
        ;
    int32_t status = p->client.status;
    pair_free(p);
    mailsrv_tls_unref(client);
    mailsrv_tls_unref(server);
    return status;
}

static void test_what_is_no_handshake(void **state)
{
    (void)state;
    assert_true(answered("220 mx.here.test ESMTP\r\n", 24) < 0);
    assert_true(answered("\x15\x03\x03\x00\x02\x02\x28", 7) < 0);
    assert_true(answered("\x16\x03\x03\x00\x04\x01\x00\x00\x00", 9) < 0); /* a ClientHello */
    assert_true(answered("\x16\x03\x03\x00\x04\x02\xFF\xFF\xFF", 9) < 0); /* a ServerHello of 16 MiB */
    assert_true(answered("\x17\x03\x03\x00\x04oops", 9) < 0);
}

/* Shakes with at most `limit` octets of the server's, of which the one at `flip` is another one; how many came. */
static uint64_t shake_with(struct pair *p, uint64_t limit, uint64_t flip)
{
    uint64_t passed = 0;
    bool moved = true, first = true;
    while (moved && p->client.status == MAILSRV_MORE) {
        moved = (first || p->client.n != 0) && pair_step(&p->client, &p->server, WIRE_OCTETS);
        first = false;
        size_t before = p->client.n;
        if (p->client.status == MAILSRV_MORE && p->server.status == MAILSRV_MORE && p->server.n != 0)
            moved = pair_step(&p->server, &p->client, WIRE_OCTETS) || moved;
        size_t came = p->client.n - before;
        if (flip >= passed && flip < passed + came)
            p->client.wire[before + flip - passed] ^= 1;
        if (passed + came > limit) {
            p->client.n = before + (size_t)(limit - passed);
            came = (size_t)(limit - passed);
        }
        passed += came;
    }
    return passed;
}

enum { SIGNATURES_DIFFER = 16 }; /* by some octets, from one time to the next */

/* Cut after any octet, it goes no further; with an octet that is another one it ends, or it was one that does not
 * matter: both have the same keys. */
static void test_cut_and_changed(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_server_makers; i++) {
        mailsrv_tls *client = client_of(&root, NULL), *server = server_of(&server_makers[i], &ec);
        const mailsrv_tls_target target = pair_target("mx.here.test", true);
        struct pair *p = pair_new(client, &target, server);
        uint64_t all = shake_with(p, UINT64_MAX, UINT64_MAX) - p->client.n;
        assert_int_equal(p->client.status, MAILSRV_OK);
        assert_true(all > 500);
        pair_free(p);
        for (uint64_t at = 0; at + SIGNATURES_DIFFER < all; at += 7) {
            p = pair_new(client, &target, server);
            shake_with(p, at, UINT64_MAX);
            assert_int_equal(p->client.status, MAILSRV_MORE);
            pair_free(p);
            p = pair_new(client, &target, server);
            shake_with(p, UINT64_MAX, at);
            if (p->client.status == MAILSRV_OK && pair_shake(p))
                same(pair_info(&p->client).exporter, pair_info(&p->server).exporter);
            pair_free(p);
        }
        mailsrv_tls_unref(client);
        mailsrv_tls_unref(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_with_each),
        cmocka_unit_test(test_little_room),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_no_extended_master_secret),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_our_certificate),
        cmocka_unit_test(test_setups_that_are_none),
        cmocka_unit_test(test_what_is_no_handshake),
        cmocka_unit_test(test_cut_and_changed),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
