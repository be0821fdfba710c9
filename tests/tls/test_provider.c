/* A provider behind real sessions, with a client of OpenSSL's.  The same file tests both providers. */
#include "peer.h"

#include <setjmp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct identity root, ec, rsa, other, client, stranger;

static int make_identities(void **state)
{
    (void)state;
    identity_make(&root, KEY_EC, NULL, NULL);
    identity_make(&ec, KEY_EC, "DNS:mx.here.test,DNS:*.wild.test", &root);
    identity_make(&rsa, KEY_RSA, "DNS:mx.here.test", &root);
    identity_make(&other, KEY_EC, "DNS:mail.elsewhere.test", &root);
    identity_make(&client, KEY_EC, "email:pat@here.test,DNS:pat.here.test", &root);
    identity_make(&stranger, KEY_EC, "email:mallory@here.test", NULL);
    return 0;
}

static int free_identities(void **state)
{
    (void)state;
    struct identity *all[] = { &root, &ec, &rsa, &other, &client, &stranger };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        identity_free(all[i]);
    return 0;
}

/* The three certificates; `n` of them. */
static mailsrv_tls_setup setup_of(mailsrv_certificate *v, uint32_t n)
{
    v[0] = identity_certificate(&ec);
    v[1] = identity_certificate(&rsa);
    v[2] = identity_certificate(&other);
    return (mailsrv_tls_setup){ .size = sizeof(mailsrv_tls_setup),
                                .certificates = v,
                                .n_certificates = n,
                                .certificate_stride = sizeof *v };
}

struct scene {
    mailsrv_certificate certificates[3];
    mailsrv_tls_setup setup;
    struct place place;
    struct peer peer;
};

static void begin(struct scene *s, uint64_t mode, bool jobs)
{
    s->setup = setup_of(s->certificates, 3);
    place_begin(&s->place, &s->setup, mode, jobs);
    peer_begin(&s->peer, &s->place, s->place.profile);
}

static void end(struct scene *s)
{
    peer_end(&s->peer);
    place_end(&s->place);
}

static mailsrv_tls_info info_of(const struct peer *c)
{
    mailsrv_tls_info info = { .size = sizeof info };
    assert_int_equal(mailsrv_session_tls(c->session, &info), MAILSRV_OK);
    return info;
}

static bool is_text(mailsrv_bytes b, const char *text)
{
    return b.n == strlen(text) && (b.n == 0 || memcmp(b.p, text, b.n) == 0);
}

/* ---- Handshakes ---- */

static void talk(struct peer *c)
{
    peer_say(c, "EHLO remote.test\r\nNOOP\r\n");
    assert_non_null(strstr(c->said, "250 2.0.0 ok\r\n"));
    assert_null(strstr(c->said, "STARTTLS"));
    peer_say(c, "QUIT\r\n");
    assert_string_equal(c->said, "221 2.0.0 bye\r\n");
    assert_true(c->is_cut);
    assert_int_equal(SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

static void shake_and_talk(uint64_t mode, bool jobs, size_t in_pieces, int version)
{
    struct scene s;
    begin(&s, mode, jobs);
    s.peer.in_pieces = in_pieces;
    SSL_CTX_set_max_proto_version(s.peer.ctx, version);
    if (mode == MAILSRV_TLS_OFFERED) {
        peer_say_clear(&s.peer, "EHLO remote.test\r\n");
        assert_non_null(strstr(s.peer.said, "250-STARTTLS\r\n"));
        peer_say_clear(&s.peer, "STARTTLS\r\n");
        assert_string_equal(s.peer.said, "220 2.0.0 ready for TLS\r\n");
    }
    assert_true(peer_shake(&s.peer, "mx.here.test"));
    if (mode == MAILSRV_TLS_IMPLICIT)
        assert_string_equal(s.peer.said, "220 mx.here.test ESMTP ready\r\n");
    assert_int_equal(mailsrv_engine_stat(s.place.engine, MAILSRV_STAT_TLS_STARTED), 1);
    assert_true(mailsrv_engine_stat(s.place.engine, MAILSRV_STAT_TLS_OCTETS) > 1000);
    const char *started = place_event(&s.place, MAILSRV_EVENT_TLS_STARTED);
    assert_non_null(started);
    assert_int_equal(SSL_version(s.peer.ssl), PROVIDER_HAS_TLS_1_3 ? version : TLS1_2_VERSION);
    assert_non_null(strstr(started, SSL_version(s.peer.ssl) == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2"));
    talk(&s.peer);
    end(&s);
}

static void test_handshakes(void **state)
{
    static const uint64_t modes[] = { MAILSRV_TLS_OFFERED, MAILSRV_TLS_IMPLICIT };
    static const size_t pieces[] = { 0, 1, 100 };
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    (void)state;
    for (unsigned i = 0; i < 2 * 3 * 2 * 2; i++)
        shake_and_talk(modes[i % 2], i / 2 % 2 != 0, pieces[i / 4 % 3], versions[i / 12]);
}

static void test_an_older_tls_is_refused(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    SSL_CTX_set_security_level(s.peer.ctx, 0);
    SSL_CTX_set_min_proto_version(s.peer.ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(s.peer.ctx, TLS1_1_VERSION);
    assert_false(peer_shake(&s.peer, NULL));
    assert_true(s.peer.is_cut);
    assert_true(s.peer.octets_out >= 7); /* an alert */
    assert_int_equal(mailsrv_engine_stat(s.place.engine, MAILSRV_STAT_TLS_FAILED), 1);
    assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_FAILED));
    end(&s);
}

static void send_junk(const char *junk, size_t n)
{
    uint8_t out[64] = { 0 };
    struct scene s;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    BIO_write(s.peer.to_us, junk, (int)n);
    peer_pump(&s.peer);
    assert_true(s.peer.is_cut);
    assert_true(s.peer.n_said >= 7 && s.peer.n_said < sizeof out);
    memcpy(out, s.peer.said, s.peer.n_said);
    assert_int_equal(out[0], 21); /* an alert, fatal (RFC 8446 section 6) */
    assert_int_equal(out[5], 2);
    assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_FAILED));
    end(&s);
}

static void test_junk_gets_an_alert(void **state)
{
    (void)state;
    send_junk("GET / HTTP/1.1\r\nHost: mx.here.test\r\n\r\n", 38);
    send_junk("EHLO remote.test\r\n", 18);
    send_junk("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    send_junk("\x16\x03\x01\x00\x05hello", 10);
}

/* ---- Certificates ---- */

/* The key of the certificate that a client sees; `sigalgs` NULL: whatever. */
static void shown(const char *name, const char *sigalgs, const struct identity *expected)
{
    struct scene s;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    SSL_CTX_set_max_proto_version(s.peer.ctx, TLS1_2_VERSION);
    if (sigalgs != NULL)
        assert_int_equal(SSL_CTX_set1_sigalgs_list(s.peer.ctx, sigalgs), 1);
    if (sigalgs != NULL && strstr(sigalgs, "RSA") != NULL)
        SSL_CTX_set_cipher_list(s.peer.ctx, "ECDHE-RSA-AES128-GCM-SHA256");
    assert_true(peer_shake(&s.peer, name));
    X509 *got = SSL_get0_peer_certificate(s.peer.ssl);
    BIO *pem = BIO_new_mem_buf(expected->chain, -1);
    X509 *want = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    assert_int_equal(X509_cmp(got, want), 0);
    assert_true(is_text(info_of(&s.peer).server_name, name == NULL ? "" : name));
    X509_free(want);
    BIO_free(pem);
    end(&s);
}

static void test_certificates_by_name(void **state)
{
    (void)state;
    shown("mx.here.test", "ECDSA+SHA256", &ec);
    shown("MX.here.test", "ECDSA+SHA256", &ec);
    shown("mx.here.test", "RSA+SHA256", &rsa);
    shown("mail.elsewhere.test", NULL, &other);
    shown("a.wild.test", NULL, &ec);
    shown("nobody.test", "ECDSA+SHA256", &ec);
    shown("nobody.test", "RSA+SHA256", &rsa);
    shown(NULL, "ECDSA+SHA256", &ec);
    shown(NULL, "RSA+SHA256", &rsa);
}

static void refused(mailsrv_certificate certificate, mailsrv_bytes roots, int32_t key)
{
    mailsrv_tls *tls = NULL;
    mailsrv_error why = { .size = sizeof why };
    mailsrv_tls_setup setup = { .size = sizeof setup,
                                .certificates = &certificate,
                                .n_certificates = 1,
                                .certificate_stride = sizeof certificate,
                                .client_roots = roots };
    assert_int_equal(provider_new(&setup, &tls, &why), MAILSRV_E_VALUE);
    assert_int_equal(why.key, key);
    assert_non_null(why.expected);
    assert_null(tls);
}

static void test_what_cannot_be_used(void **state)
{
    (void)state;
    const mailsrv_certificate good = identity_certificate(&ec);
    mailsrv_certificate bad = good;
    mailsrv_bytes none = { NULL, 0 };
    bad.key = identity_bytes(other.key);
    refused(bad, none, 1);
    bad.key = identity_bytes("no key at all");
    refused(bad, none, 1);
    bad = good;
    bad.chain = identity_bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    refused(bad, none, 1);
    bad.chain = none;
    refused(bad, none, 1);
    refused(good, identity_bytes("no roots"), 0);
    mailsrv_tls *tls;
    assert_int_equal(provider_new(NULL, &tls, NULL), MAILSRV_E_USAGE);
}

/* ---- Tickets ---- */

static SSL_SESSION *ticket;

/* A connection to `profile`; was it resumed? */
static bool visit(struct place *place, mailsrv_profile *profile, int version)
{
    struct peer c;
    peer_begin(&c, place, profile);
    SSL_CTX_set_max_proto_version(c.ctx, version);
    SSL_CTX_set_session_cache_mode(c.ctx, SSL_SESS_CACHE_OFF);
    c.ssl = SSL_new(c.ctx);
    if (ticket != NULL)
        SSL_set_session(c.ssl, ticket);
    SSL_set_bio(c.ssl, c.to_him, c.to_us);
    SSL_set_connect_state(c.ssl);
    c.shakes = true;
    SSL_do_handshake(c.ssl);
    peer_pump(&c);
    assert_true(SSL_is_init_finished(c.ssl));
    bool resumed = SSL_session_reused(c.ssl) == 1;
    assert_int_equal(info_of(&c).resumed, resumed);
    talk(&c);
    SSL_SESSION_free(ticket);
    ticket = SSL_get1_session(c.ssl);
    peer_end(&c);
    return resumed;
}

static void check_tickets(int version)
{
    mailsrv_certificate v[3];
    mailsrv_tls_setup setup = setup_of(v, 1);
    struct place place;
    mailsrv_tls *second, *third, *fourth;
    place_begin(&place, &setup, MAILSRV_TLS_IMPLICIT, false);
    assert_false(visit(&place, place.profile, version));
    assert_true(visit(&place, place.profile, version));
    setup.tickets_of = place.tls; /* a reload: the first profile goes, and its tickets are still good */
    mailsrv_profile *after = place_profile(&setup, MAILSRV_TLS_IMPLICIT, &second);
    assert_true(visit(&place, after, version));
    setup.tickets_of = NULL;
    mailsrv_profile *apart = place_profile(&setup, MAILSRV_TLS_IMPLICIT, &third);
    assert_false(visit(&place, apart, version));
    setup.flags = MAILSRV_TLS_NO_TICKETS;
    SSL_SESSION_free(ticket);
    ticket = NULL;
    mailsrv_profile *without = place_profile(&setup, MAILSRV_TLS_IMPLICIT, &fourth);
    assert_false(visit(&place, without, version));
    assert_true(ticket == NULL || !SSL_SESSION_has_ticket(ticket));
    SSL_SESSION_free(ticket);
    ticket = NULL;
    mailsrv_profile_unref(after);
    mailsrv_profile_unref(apart);
    mailsrv_profile_unref(without);
    mailsrv_tls_unref(second);
    mailsrv_tls_unref(third);
    mailsrv_tls_unref(fourth);
    place_end(&place);
}

static void test_tickets_outlive_a_reload(void **state)
{
    (void)state;
    check_tickets(TLS1_2_VERSION);
    check_tickets(TLS1_3_VERSION);
}

/* ---- Clients' certificates ---- */

/* T52: an unknown certificate, or none, ends nothing and gives no identity. */
static void check_client(const struct identity *shows, bool asks, bool known, int version)
{
    struct scene s;
    s.setup = setup_of(s.certificates, 1);
    if (asks)
        s.setup.client_roots = identity_bytes(root.chain);
    place_begin(&s.place, &s.setup, MAILSRV_TLS_IMPLICIT, false);
    peer_begin(&s.peer, &s.place, s.place.profile);
    SSL_CTX_set_max_proto_version(s.peer.ctx, version);
    if (shows != NULL)
        identity_show(shows, s.peer.ctx);
    assert_true(peer_shake(&s.peer, "mx.here.test"));
    mailsrv_tls_info info = info_of(&s.peer);
    assert_int_equal(info.client_subject.n != 0, known);
    assert_int_equal(info.n_client_names, known ? 2 : 0);
    if (known) {
        assert_true(is_text(info.client_subject, "CN=of tests"));
        assert_true(is_text(info.client_names[0], "pat@here.test"));
        assert_true(is_text(info.client_names[1], "pat.here.test"));
    }
    talk(&s.peer);
    end(&s);
}

static void test_certificates_of_clients(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        check_client(&client, true, true, versions[i]);
        check_client(&stranger, true, false, versions[i]);
        check_client(NULL, true, false, versions[i]);
        check_client(&client, false, false, versions[i]);
    }
}

/* ---- Bindings ---- */

static void check_bindings(int version, bool ems)
{
    uint8_t exporter[32], unique[64], digest[64];
    unsigned n = 0;
    struct scene s;
    s.setup = setup_of(s.certificates, 1);
    place_begin(&s.place, &s.setup, MAILSRV_TLS_IMPLICIT, false);
    peer_begin(&s.peer, &s.place, s.place.profile);
    SSL_CTX_set_max_proto_version(s.peer.ctx, version);
    if (!ems)
        SSL_CTX_set_options(s.peer.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    s.peer.in_pieces = 3;
    assert_true(peer_shake(&s.peer, "mx.here.test"));
    mailsrv_tls_info info = info_of(&s.peer);
    assert_int_equal(info.exporter.n, ems ? 32 : 0);
    SSL_export_keying_material(s.peer.ssl, exporter, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 0);
    if (ems)
        assert_memory_equal(info.exporter.p, exporter, 32);
    if (info.unique.n != 0) {
        assert_true(ems && info.version == 0x0303);
        assert_int_equal(SSL_get_finished(s.peer.ssl, unique, sizeof unique), info.unique.n);
        assert_memory_equal(info.unique.p, unique, info.unique.n);
    }
    X509_digest(SSL_get0_peer_certificate(s.peer.ssl), EVP_sha256(), digest, &n);
    assert_int_equal(info.end_point.n, n);
    assert_memory_equal(info.end_point.p, digest, n);
    assert_true(is_text(info.cipher, SSL_CIPHER_standard_name(SSL_get_current_cipher(s.peer.ssl))));
    assert_int_equal(info.version, SSL_version(s.peer.ssl));
    end(&s);
}

static void test_channel_bindings(void **state)
{
    (void)state;
    check_bindings(TLS1_2_VERSION, true);
    check_bindings(TLS1_2_VERSION, false);
    check_bindings(TLS1_3_VERSION, true);
}

/* ---- The end, and large things ---- */

static void test_a_cut_is_noticed(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    assert_true(peer_shake(&s.peer, NULL));
    assert_int_equal(mailsrv_session_feed_eof(s.peer.session), MAILSRV_OK);
    assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_CUT));
    end(&s);
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    assert_true(peer_shake(&s.peer, NULL));
    SSL_shutdown(s.peer.ssl);
    peer_pump(&s.peer);
    assert_true(s.peer.is_cut); /* close_notify is the end of what the peer says */
    assert_int_equal(SSL_get_shutdown(s.peer.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    mailsrv_session_feed_eof(s.peer.session);
    assert_null(place_event(&s.place, MAILSRV_EVENT_TLS_CUT));
    end(&s);
}

static void test_a_broken_record_ends_it(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    assert_true(peer_shake(&s.peer, NULL));
    uint64_t before = s.peer.octets_out;
    static const uint8_t junk[] = { 23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
    BIO_write(s.peer.to_us, junk, sizeof junk);
    peer_pump(&s.peer);
    assert_true(s.peer.is_cut);
    assert_true(s.peer.octets_out > before);
    assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_FAILED));
    end(&s);
}

static void test_renegotiation_is_refused(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    SSL_CTX_set_max_proto_version(s.peer.ctx, TLS1_2_VERSION);
    assert_true(peer_shake(&s.peer, NULL));
    SSL_renegotiate(s.peer.ssl);
    SSL_do_handshake(s.peer.ssl);
    peer_pump(&s.peer);
    assert_int_equal(SSL_total_renegotiations(s.peer.ssl), 1); /* it was asked for; nothing came of it */
    assert_int_equal(mailsrv_engine_stat(s.place.engine, MAILSRV_STAT_TLS_STARTED), 1);
    end(&s);
}

enum { LINES = 20000 };

/* More than a record either way, with plaintext that the provider holds while the session waits. */
static void test_a_large_message(void **state)
{
    struct scene s;
    static char line[] = "one line of a message that is so long that many of them fill a record\r\n";
    (void)state;
    begin(&s, MAILSRV_TLS_IMPLICIT, false);
    assert_true(peer_shake(&s.peer, NULL));
    peer_say(&s.peer, "EHLO remote.test\r\nMAIL FROM:<>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n");
    assert_non_null(strstr(s.peer.said, "354"));
    for (unsigned i = 0; i < LINES; i++) {
        assert_true(SSL_write(s.peer.ssl, line, sizeof line - 1) > 0);
        if (i % 400 == 0)
            peer_pump(&s.peer);
    }
    peer_say(&s.peer, "\r\n.\r\n");
    assert_non_null(strstr(s.peer.said, "250 2.0.0"));
    for (unsigned i = 0; i < 60; i++) /* replies that share records */
        SSL_write(s.peer.ssl, "NOOP\r\nNOOP\r\nNOOP\r\n", 18);
    uint64_t before = s.peer.octets_out;
    peer_say(&s.peer, "NOOP\r\n");
    assert_int_equal(s.peer.n_said, 181 * strlen("250 2.0.0 ok\r\n"));
    assert_true(s.peer.octets_out - before < 181 * 14 + 20 * 64);
    end(&s);
}

/* ---- Jobs ---- */

enum { MANY = 100 };

static void nothing_done(struct place *place, struct peer *calm)
{
    peer_say(calm, "NOOP\r\n");
    (void)place;
    assert_string_equal(calm->said, "250 2.0.0 ok\r\n");
}

/* While a hundred handshakes are out as jobs, another session is answered in the turn in which it asks. */
static void test_a_hundred_handshakes_hold_up_nobody(void **state)
{
    struct scene s;
    static struct peer many[MANY];
    const mailsrv_op *ops[MANY];
    mailsrv_out out[4];
    size_t n_ops = 0, n;
    (void)state;
    begin(&s, MAILSRV_TLS_IMPLICIT, true);
    assert_true(peer_shake(&s.peer, NULL));
    for (size_t i = 0; i < MANY; i++) {
        uint8_t hello[4000];
        size_t taken = 0;
        peer_begin(&many[i], &s.place, s.place.profile);
        many[i].ssl = SSL_new(many[i].ctx);
        SSL_set_bio(many[i].ssl, many[i].to_him, many[i].to_us);
        SSL_set_connect_state(many[i].ssl);
        SSL_do_handshake(many[i].ssl);
        int octets = BIO_read(many[i].to_us, hello, sizeof hello);
        assert_true(octets > 0);
        assert_int_equal(mailsrv_session_feed(many[i].session, hello, (size_t)octets, &taken), MAILSRV_OK);
        assert_int_equal(taken, octets);
        assert_int_equal(mailsrv_session_wants(many[i].session) & MAILSRV_WANT_READ, 0);
        assert_int_equal(mailsrv_session_feed(many[i].session, hello, 1, &taken), MAILSRV_OK);
        assert_int_equal(taken, 0); /* nothing while the job is out */
    }
    while (n_ops < MANY && mailsrv_engine_next_op(s.place.engine, &ops[n_ops]) == MAILSRV_OK)
        n_ops++;
    assert_int_equal(n_ops, MANY);
    uint8_t record[200];
    size_t taken = 0;
    SSL_write(s.peer.ssl, "NOOP\r\n", 6);
    int octets = BIO_read(s.peer.to_us, record, sizeof record);
    assert_int_equal(mailsrv_session_feed(s.peer.session, record, (size_t)octets, &taken), MAILSRV_OK);
    mailsrv_engine_turn(s.place.engine, 100);
    assert_int_equal(mailsrv_session_output(s.peer.session, out, 4, &n), MAILSRV_OK);
    assert_int_equal(n, 1); /* it is there */
    for (size_t i = 0; i < MANY; i++) {
        if (i % 2 == 0) { /* one that is freed leaves the connection to the job */
            mailsrv_session_free(many[i].session);
            many[i].session = NULL;
        }
        const mailsrv_arg_job *job = ops[i]->arg;
        job->run(job->work);
        assert_int_equal(mailsrv_op_answer_status(s.place.engine, ops[i]->id, MAILSRV_OK), MAILSRV_OK);
    }
    for (size_t i = 0; i < MANY; i++) {
        many[i].shakes = true;
        peer_pump(&many[i]);
        assert_int_equal(SSL_is_init_finished(many[i].ssl), i % 2);
        peer_end(&many[i]);
    }
    peer_pump(&s.peer);
    nothing_done(&s.place, &s.peer);
    end(&s);
}

/* A job that nobody could do is done here; one that is never answered ends in time, and is the host's to answer. */
static void test_jobs_that_fail(void **state)
{
    struct scene s;
    uint8_t hello[4000];
    const mailsrv_op *op;
    size_t taken = 0;
    (void)state;
    for (int refused_first = 0; refused_first < 2; refused_first++) {
        begin(&s, MAILSRV_TLS_IMPLICIT, true);
        s.peer.ssl = SSL_new(s.peer.ctx);
        SSL_set_bio(s.peer.ssl, s.peer.to_him, s.peer.to_us);
        SSL_set_connect_state(s.peer.ssl);
        SSL_do_handshake(s.peer.ssl);
        int octets = BIO_read(s.peer.to_us, hello, sizeof hello);
        assert_int_equal(mailsrv_session_feed(s.peer.session, hello, (size_t)octets, &taken), MAILSRV_OK);
        assert_int_equal(mailsrv_engine_next_op(s.place.engine, &op), MAILSRV_OK);
        if (refused_first) {
            assert_int_equal(mailsrv_op_answer_status(s.place.engine, op->id, MAILSRV_TEMP), MAILSRV_OK);
            s.peer.shakes = true;
            peer_pump(&s.peer);
            assert_true(SSL_is_init_finished(s.peer.ssl));
        } else {
            s.place.now_us += 61000000;
            mailsrv_engine_advance(s.place.engine, s.place.now_us, s.place.now_us);
            s.place.now_us += 61000000;
            mailsrv_engine_advance(s.place.engine, s.place.now_us, s.place.now_us);
            mailsrv_engine_turn(s.place.engine, 1000);
            assert_int_equal(mailsrv_session_wants(s.peer.session), MAILSRV_WANT_CLOSE);
            const mailsrv_arg_job *job = op->arg;
            job->run(job->work);
            assert_int_equal(mailsrv_op_answer_status(s.place.engine, op->id, MAILSRV_OK), MAILSRV_OK);
        }
        end(&s);
    }
}

/* ---- Primitives ---- */

static void check_hex(const uint8_t *p, const char *hex)
{
    char text[3];
    for (size_t i = 0; hex[2 * i] != '\0'; i++) {
        snprintf(text, sizeof text, "%02x", p[i]);
        assert_memory_equal(text, hex + 2 * i, 2);
    }
}

static void test_primitives(void **state)
{
    const mailsrv_crypto *c = provider_crypto();
    uint8_t out[MAILSRV_HASH_OCTETS_MAX], again[32];
    const mailsrv_bytes abc[] = { { (const uint8_t *)"a", 1 }, { NULL, 0 }, { (const uint8_t *)"bc", 2 } };
    const mailsrv_bytes jefe = { (const uint8_t *)"Jefe", 4 }, none = { NULL, 0 };
    const mailsrv_bytes what[] = { { (const uint8_t *)"what do ya want ", 16 }, { (const uint8_t *)"for nothing?", 12 } };
    (void)state;
    /* FIPS 180-4, RFC 2202 section 3, RFC 4231 section 4.3 */
    assert_int_equal(c->hash(c->user, MAILSRV_HASH_SHA1, abc, 3, out), MAILSRV_OK);
    check_hex(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_int_equal(c->hash(c->user, MAILSRV_HASH_SHA256, abc, 3, out), MAILSRV_OK);
    check_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(c->hash(c->user, MAILSRV_HASH_SHA512, abc, 3, out), MAILSRV_OK);
    check_hex(out, "ddaf35a193617abacc417349ae204131");
    assert_int_equal(c->hash(c->user, MAILSRV_HASH_SHA256, NULL, 0, out), MAILSRV_OK);
    check_hex(out, "e3b0c44298fc1c149afbf4c8996fb924");
    assert_int_equal(c->hmac(c->user, MAILSRV_HASH_SHA1, &jefe, what, 2, out), MAILSRV_OK);
    check_hex(out, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_int_equal(c->hmac(c->user, MAILSRV_HASH_SHA256, &jefe, what, 2, out), MAILSRV_OK);
    check_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(c->hmac(c->user, MAILSRV_HASH_SHA512, &jefe, what, 2, out), MAILSRV_OK);
    check_hex(out, "164b7a7bfcf819e2e395fbe73b56e0a3");
    assert_int_equal(c->hmac(c->user, MAILSRV_HASH_SHA256, &none, NULL, 0, out), MAILSRV_OK);
    check_hex(out, "b613679a0814d9ec772f95d778c35fc5");
    assert_int_equal(c->hash(c->user, 99, abc, 3, out), MAILSRV_E_VALUE);
    assert_int_equal(c->hmac(c->user, 99, &jefe, abc, 3, out), MAILSRV_E_VALUE);
    assert_int_equal(c->random(c->user, out, 32), MAILSRV_OK);
    assert_int_equal(c->random(c->user, again, 32), MAILSRV_OK);
    assert_memory_not_equal(out, again, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_an_older_tls_is_refused),
        cmocka_unit_test(test_junk_gets_an_alert),
        cmocka_unit_test(test_certificates_by_name),
        cmocka_unit_test(test_what_cannot_be_used),
        cmocka_unit_test(test_tickets_outlive_a_reload),
        cmocka_unit_test(test_certificates_of_clients),
        cmocka_unit_test(test_channel_bindings),
        cmocka_unit_test(test_a_cut_is_noticed),
        cmocka_unit_test(test_a_broken_record_ends_it),
        cmocka_unit_test(test_renegotiation_is_refused),
        cmocka_unit_test(test_a_large_message),
        cmocka_unit_test(test_a_hundred_handshakes_hold_up_nobody),
        cmocka_unit_test(test_jobs_that_fail),
        cmocka_unit_test(test_primitives),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
