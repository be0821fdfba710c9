/* Peers that do wrong under a real provider: each meets a defined end, nothing of it is run, and beside it another
 * session goes on.  The same file tests both providers. */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct identity own;

static int make_identity(void **state)
{
    (void)state;
    identity_make(&own, KEY_EC, "DNS:mx.here.test", NULL);
    return 0;
}

static int free_identity(void **state)
{
    (void)state;
    identity_free(&own);
    return 0;
}

/* Two sessions: one that is looked at, and one that goes on. */
struct scene {
    mailsrv_certificate certificate;
    struct place place;
    struct peer peer, calm;
};

static void begin(struct scene *s)
{
    s->certificate = identity_certificate(&own);
    const mailsrv_tls_setup setup = { .size = sizeof setup,
                                      .certificates = &s->certificate,
                                      .n_certificates = 1,
                                      .certificate_stride = sizeof s->certificate };
    place_begin(&s->place, &setup, MAILSRV_TLS_IMPLICIT, false);
    peer_begin(&s->calm, &s->place, s->place.profile);
    assert_true(peer_shake(&s->calm, "mx.here.test"));
    assert_non_null(place_event(&s->place, MAILSRV_EVENT_TLS_STARTED));
    peer_begin(&s->peer, &s->place, s->place.profile);
}

static void end(struct scene *s)
{
    peer_say(&s->calm, "NOOP\r\n");
    assert_string_equal(s->calm.said, "250 2.0.0 ok\r\n");
    peer_end(&s->calm);
    peer_end(&s->peer);
    place_end(&s->place);
}

/* The handshake has failed, and the host has something to write into its log. */
static void has_failed(struct scene *s)
{
    assert_true(s->peer.is_cut);
    const char *why = place_event(&s->place, MAILSRV_EVENT_TLS_FAILED);
    assert_non_null(why);
    assert_true(strlen(why) > 3);
}

/* What the session has sent in the clear ends with a fatal alert (RFC 8446 section 6); which one. */
static uint8_t alert_of(struct scene *s)
{
    const uint8_t *p = (const uint8_t *)s->peer.said;
    assert_true(s->peer.n_said >= 7);
    p += s->peer.n_said - 7;
    assert_int_equal(p[0], 21);
    assert_int_equal(p[5], 2);
    return p[6];
}

/* ---- Handshakes ---- */

enum { PROTOCOL_VERSION = 70, UNKNOWN_CA = 48 };

static void old_client(int version)
{
    uint8_t hello[4096];
    struct scene s;
    begin(&s);
    SSL_CTX_set_security_level(s.peer.ctx, 0);
    SSL_CTX_set_min_proto_version(s.peer.ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(s.peer.ctx, version);
    SSL *ssl = SSL_new(s.peer.ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    BIO_write(s.peer.to_us, hello, BIO_read(out, hello, sizeof hello));
    peer_pump(&s.peer);
    assert_int_equal(alert_of(&s), PROTOCOL_VERSION);
    has_failed(&s);
    SSL_free(ssl);
    end(&s);
}

static void test_older_versions(void **state)
{
    (void)state;
    old_client(TLS1_VERSION);
    old_client(TLS1_1_VERSION);
}

/* A client that does not know who has signed our certificate says so, and goes. */
static void test_a_client_that_refuses_us(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct scene s;
        begin(&s);
        SSL_CTX_set_max_proto_version(s.peer.ctx, version);
        SSL_CTX_set_verify(s.peer.ctx, SSL_VERIFY_PEER, NULL);
        assert_false(peer_shake(&s.peer, "mx.here.test"));
        peer_pump(&s.peer);
        has_failed(&s);
        assert_int_equal(s.peer.n_said, 0);
        end(&s);
    }
}

enum { RECORD_OCTETS = 16384, HELLO_OCTETS = 2 << 20 };

/* One that says it is 2 MB long, and comes: it ends long before. */
static void test_an_oversize_hello(void **state)
{
    static uint8_t record[5 + RECORD_OCTETS] = { 22, 3, 1, RECORD_OCTETS >> 8, 0 };
    static const uint8_t first[] = { 1, HELLO_OCTETS >> 16, 0, 0, 3, 3 };
    struct scene s;
    unsigned n = 0;
    (void)state;
    begin(&s);
    memcpy(record + 5, first, sizeof first);
    for (; n < HELLO_OCTETS / RECORD_OCTETS && !s.peer.is_cut; n++) {
        BIO_write(s.peer.to_us, record, sizeof record);
        memset(record + 5, 0, sizeof first);
        peer_pump(&s.peer);
    }
    assert_int_equal(n, 1);
    alert_of(&s);
    has_failed(&s);
    end(&s);
}

/* A record that is larger than one may be (RFC 8446 section 5.1). */
static void test_an_oversize_record(void **state)
{
    static const uint8_t header[] = { 22, 3, 1, 0xff, 0xff, 1, 0, 1, 0 };
    struct scene s;
    (void)state;
    begin(&s);
    BIO_write(s.peer.to_us, header, sizeof header);
    peer_pump(&s.peer);
    alert_of(&s);
    has_failed(&s);
    end(&s);
}

/* The connection ends in the middle of a hello. */
static void test_half_a_hello(void **state)
{
    uint8_t hello[4096];
    struct scene s;
    (void)state;
    begin(&s);
    SSL *ssl = SSL_new(s.peer.ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    int n = BIO_read(out, hello, sizeof hello);
    BIO_write(s.peer.to_us, hello, n / 2);
    peer_pump(&s.peer);
    assert_false(s.peer.is_cut);
    assert_int_equal(mailsrv_session_feed_eof(s.peer.session), MAILSRV_OK);
    peer_pump(&s.peer);
    assert_true(s.peer.is_cut);
    SSL_free(ssl);
    end(&s);
}

/* ---- Records ---- */

static void shake(struct scene *s, int version)
{
    begin(s);
    SSL_CTX_set_max_proto_version(s->peer.ctx, version);
    assert_true(peer_shake(&s->peer, "mx.here.test"));
    peer_say(&s->peer, "EHLO remote.test\r\n");
}

/* All but the end of a record with a command has come: nothing is run of it, and the cut is told. */
static void test_a_truncated_record(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        uint8_t record[256];
        struct scene s;
        shake(&s, version);
        s.peer.n_said = 0;
        SSL_write(s.peer.ssl, "MAIL FROM:<>\r\n", 14);
        int n = BIO_read(s.peer.to_us, record, sizeof record);
        BIO_write(s.peer.to_us, record, n - 1);
        peer_pump(&s.peer);
        assert_int_equal(s.peer.n_said, 0);
        mailsrv_session_feed_eof(s.peer.session);
        peer_pump(&s.peer);
        assert_int_equal(s.peer.n_said, 0);
        assert_true(s.peer.is_cut);
        assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_CUT));
        end(&s);
    }
}

/* A record that was changed, or that comes twice, is the end. */
static void check_replay(int version, bool changes)
{
    uint8_t record[256];
    struct scene s;
    shake(&s, version);
    s.peer.n_said = 0;
    SSL_write(s.peer.ssl, "NOOP\r\n", 6);
    int n = BIO_read(s.peer.to_us, record, sizeof record);
    if (changes)
        record[n - 1] ^= 1;
    else
        BIO_write(s.peer.to_us, record, n);
    BIO_write(s.peer.to_us, record, n);
    uint64_t before = s.peer.octets_out;
    peer_pump(&s.peer);
    assert_true(s.peer.is_cut);
    assert_true(s.peer.octets_out > before); /* an alert */
    assert_true(s.peer.n_said <= (changes ? 0u : strlen("250 2.0.0 ok\r\n")));
    assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_FAILED));
    end(&s);
}

static void test_changed_and_repeated_records(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        check_replay(version, true);
        check_replay(version, false);
    }
}

/* Text behind a handshake is no record. */
static void test_text_under_tls(void **state)
{
    struct scene s;
    (void)state;
    shake(&s, TLS1_3_VERSION);
    s.peer.n_said = 0;
    BIO_write(s.peer.to_us, "NOOP\r\nNOOP\r\n", 12);
    peer_pump(&s.peer);
    assert_true(s.peer.is_cut);
    assert_int_equal(s.peer.n_said, 0);
    assert_non_null(place_event(&s.place, MAILSRV_EVENT_TLS_FAILED));
    end(&s);
}

/* RFC 8446 section 6.1: what was said before is answered, nothing behind it is, and we say so, too. */
static void test_close_notify(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct scene s;
        shake(&s, version);
        s.peer.n_said = 0;
        SSL_write(s.peer.ssl, "NOOP\r\n", 6);
        SSL_shutdown(s.peer.ssl);
        peer_pump(&s.peer);
        assert_memory_equal(s.peer.said, "250 2.0.0 ok\r\n", 14);
        assert_true(s.peer.is_cut);
        assert_int_equal(SSL_get_shutdown(s.peer.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
        assert_null(place_event(&s.place, MAILSRV_EVENT_TLS_CUT));
        end(&s);
    }
}

/* New keys are an extension that not every library has: the session goes on with them, or ends. */
static void test_new_keys(void **state)
{
    struct scene s;
    (void)state;
    if (!PROVIDER_HAS_TLS_1_3)
        return;
    shake(&s, TLS1_3_VERSION);
    SSL_key_update(s.peer.ssl, SSL_KEY_UPDATE_REQUESTED);
    s.peer.n_said = 0;
    SSL_write(s.peer.ssl, "NOOP\r\n", 6);
    peer_pump(&s.peer);
    assert_int_equal(s.peer.is_cut, !PROVIDER_HAS_KEY_UPDATE);
    assert_int_equal(s.peer.n_said, PROVIDER_HAS_KEY_UPDATE ? strlen("250 2.0.0 ok\r\n") : 0);
    end(&s);
}

/* ---- Early data (RFC 8446 section 8): whoever has recorded some could send it again, so none is taken ---- */

static SSL_SESSION *ticket_of(struct scene *s)
{
    struct peer c;
    peer_begin(&c, &s->place, s->place.profile);
    assert_true(peer_shake(&c, "mx.here.test"));
    peer_say(&c, "NOOP\r\n");
    SSL_SESSION *ticket = SSL_get1_session(c.ssl);
    peer_end(&c);
    return ticket;
}

static void test_early_data(void **state)
{
    static const char early[] = "EHLO early.test\r\nMAIL FROM:<>\r\n";
    struct scene s;
    size_t n = 0;
    (void)state;
    if (!PROVIDER_HAS_TLS_1_3)
        return;
    begin(&s);
    SSL_SESSION *ticket = ticket_of(&s);
    assert_int_equal(SSL_SESSION_get_max_early_data(ticket), 0);
    SSL_SESSION_set_max_early_data(ticket, 1000); /* who sends some all the same */
    s.peer.ssl = SSL_new(s.peer.ctx);
    SSL_set_session(s.peer.ssl, ticket);
    SSL_set_bio(s.peer.ssl, s.peer.to_him, s.peer.to_us);
    SSL_set_connect_state(s.peer.ssl);
    assert_int_equal(SSL_write_early_data(s.peer.ssl, early, sizeof early - 1, &n), 1);
    s.peer.shakes = true;
    peer_pump(&s.peer);
    assert_int_not_equal(SSL_get_early_data_status(s.peer.ssl), SSL_EARLY_DATA_ACCEPTED);
    if (!s.peer.is_cut) {
        peer_say(&s.peer, "RCPT TO:<pat@here.test>\r\n");
        assert_memory_equal(s.peer.said, "503", 3); /* nobody has said MAIL */
    }
    SSL_SESSION_free(ticket);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_older_versions),
        cmocka_unit_test(test_a_client_that_refuses_us),
        cmocka_unit_test(test_an_oversize_hello),
        cmocka_unit_test(test_an_oversize_record),
        cmocka_unit_test(test_half_a_hello),
        cmocka_unit_test(test_a_truncated_record),
        cmocka_unit_test(test_changed_and_repeated_records),
        cmocka_unit_test(test_text_under_tls),
        cmocka_unit_test(test_close_notify),
        cmocka_unit_test(test_new_keys),
        cmocka_unit_test(test_early_data),
    };
    return cmocka_run_group_tests(tests, make_identity, free_identity);
}
