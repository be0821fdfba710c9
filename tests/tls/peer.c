#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- The place ---- */

mailsrv_profile *place_profile(const mailsrv_tls_setup *setup, uint64_t mode, mailsrv_tls **tls)
{
    mailsrv_profile *profile;
    mailsrv_error why = { .size = sizeof why };
    assert_int_equal(provider_new(setup, tls, &why), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_TLS, mode), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_tls(profile, *tls), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(profile, NULL), MAILSRV_OK);
    return profile;
}

static int32_t discard(void *user, const mailsrv_envelope *envelope, mailsrv_bytes message)
{
    (void)envelope;
    *(size_t *)user += message.n;
    return MAILSRV_OK;
}

void place_begin(struct place *p, const mailsrv_tls_setup *setup, uint64_t mode, bool jobs)
{
    static size_t received;
    *p = (struct place){ .now_us = 1000000 };
    p->profile = place_profile(setup, mode, &p->tls);
    assert_int_equal(mailsrv_engine_new(NULL, &p->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_inbox(p->engine, 16 << 20, discard, &received), MAILSRV_OK);
    if (jobs)
        assert_int_equal(mailsrv_engine_serve(p->engine, MAILSRV_OP_JOB, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(p->engine, p->now_us, p->now_us), MAILSRV_OK);
}

void place_end(struct place *p)
{
    assert_int_equal(mailsrv_engine_stat(p->engine, MAILSRV_STAT_SESSIONS), 0);
    assert_int_equal(mailsrv_engine_stat(p->engine, MAILSRV_STAT_TLS_OCTETS), 0);
    assert_int_equal(mailsrv_engine_free(p->engine, 0), MAILSRV_OK);
    mailsrv_profile_unref(p->profile);
    mailsrv_tls_unref(p->tls);
}

unsigned place_jobs(struct place *p)
{
    const mailsrv_op *op;
    unsigned n = 0;
    mailsrv_engine_turn(p->engine, 100000);
    while (mailsrv_engine_next_op(p->engine, &op) == MAILSRV_OK) {
        const mailsrv_arg_job *job = op->arg;
        assert_int_equal(op->kind, MAILSRV_OP_JOB);
        assert_int_equal(job->what, MAILSRV_JOB_HANDSHAKE);
        job->run(job->work);
        assert_int_equal(mailsrv_op_answer_status(p->engine, op->id, MAILSRV_OK), MAILSRV_OK);
        n++;
        mailsrv_engine_turn(p->engine, 100000);
    }
    return n;
}

const char *place_event(struct place *p, int32_t what)
{
    static char text[128];
    const mailsrv_event *event;
    while (mailsrv_engine_next_event(p->engine, &event) == MAILSRV_OK) {
        if (event->what != what)
            continue;
        memcpy(text, event->text.p, event->text.n);
        text[event->text.n] = '\0';
        return text;
    }
    return NULL;
}

/* ---- The peer ---- */

void peer_begin(struct peer *c, struct place *place, mailsrv_profile *profile)
{
    *c = (struct peer){ .place = place, .to_us = BIO_new(BIO_s_mem()), .to_him = BIO_new(BIO_s_mem()) };
    BIO_set_mem_eof_return(c->to_us, -1);
    BIO_set_mem_eof_return(c->to_him, -1);
    c->ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(c->ctx);
    assert_int_equal(mailsrv_server_new(place->engine, profile, NULL, NULL, &c->session), MAILSRV_OK);
}

void peer_end(struct peer *c)
{
    if (c->ssl == NULL) { /* else they are its own */
        BIO_free(c->to_him);
        BIO_free(c->to_us);
    } else { /* or its ticket is thrown away */
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    mailsrv_session_free(c->session);
}

static bool send_some(struct peer *c)
{
    mailsrv_out out[8];
    size_t n = 0, octets = 0;
    assert_int_equal(mailsrv_session_output(c->session, out, 8, &n), MAILSRV_OK);
    for (size_t i = 0; i < n; i++) {
        BIO_write(c->to_him, out[i].p, (int)out[i].n);
        octets += out[i].n;
    }
    c->octets_out += octets;
    assert_int_equal(mailsrv_session_sent(c->session, octets), MAILSRV_OK);
    return octets != 0;
}

static bool feed_some(struct peer *c)
{
    uint8_t octets[5000];
    char *at;
    long left = BIO_get_mem_data(c->to_us, &at);
    size_t taken = 0, n = left < (long)sizeof octets ? (size_t)left : sizeof octets;
    if (n == 0 || (mailsrv_session_wants(c->session) & MAILSRV_WANT_READ) == 0)
        return false;
    if (c->in_pieces != 0 && n > c->in_pieces)
        n = c->in_pieces;
    memcpy(octets, at, n);
    assert_int_equal(mailsrv_session_feed(c->session, octets, n, &taken), MAILSRV_OK);
    if (taken != 0)
        assert_int_equal(BIO_read(c->to_us, octets, (int)taken), (int)taken);
    return taken != 0;
}

/* What the client has got, in the clear or under TLS. */
static void listen(struct peer *c)
{
    size_t room = sizeof c->said - 1 - c->n_said, n = 0;
    if (c->ssl == NULL) {
        int got = BIO_read(c->to_him, c->said + c->n_said, (int)room);
        n = got > 0 ? (size_t)got : 0;
    } else if (SSL_is_init_finished(c->ssl)) {
        while (room != 0 && SSL_read_ex(c->ssl, c->said + c->n_said, room, &n) == 1) {
            c->n_said += n;
            room -= n;
            n = 0;
        }
    } else if (c->shakes) {
        SSL_do_handshake(c->ssl);
    }
    c->n_said += n;
    c->said[c->n_said] = '\0';
}

void peer_pump(struct peer *c)
{
    bool moved = true;
    while (moved && c->session != NULL) {
        moved = feed_some(c);
        mailsrv_engine_turn(c->place->engine, 100000);
        moved = place_jobs(c->place) != 0 || moved;
        moved = send_some(c) || moved;
        listen(c);
        moved = moved || (BIO_ctrl_pending(c->to_us) != 0 &&
                          (mailsrv_session_wants(c->session) & MAILSRV_WANT_READ) != 0);
    }
    c->is_cut = c->session != NULL && (mailsrv_session_wants(c->session) & MAILSRV_WANT_CLOSE) != 0;
}

bool peer_shake(struct peer *c, const char *name)
{
    c->ssl = SSL_new(c->ctx);
    assert_non_null(c->ssl);
    SSL_set_bio(c->ssl, c->to_him, c->to_us);
    SSL_set_connect_state(c->ssl);
    if (name != NULL)
        SSL_set_tlsext_host_name(c->ssl, name);
    c->shakes = true;
    SSL_do_handshake(c->ssl);
    c->n_said = 0;
    peer_pump(c);
    return SSL_is_init_finished(c->ssl) == 1;
}

void peer_say(struct peer *c, const char *text)
{
    c->n_said = 0;
    c->said[0] = '\0';
    assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), (int)strlen(text));
    peer_pump(c);
}

void peer_say_clear(struct peer *c, const char *text)
{
    c->n_said = 0;
    c->said[0] = '\0';
    BIO_write(c->to_us, text, (int)strlen(text));
    peer_pump(c);
}
