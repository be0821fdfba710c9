/* The layer of TLS as the client: it speaks first, nothing that came in the clear is heard under it, and a certificate
 * that must be verified is.  The other side is a session of the probe, under the same TLS. */
#include "caller.h"
#include "core/kind.h"
#include "core/profile.h"
#include "core/provider.h"
#include "core/tls.h"
#include "fake_tls.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

struct call {
    struct world w;
    struct fake ours, theirs; /* the providers of both sides */
    struct calling calling;
    mailsrv_profile *profile;
    mailsrv_session *client, *server;
    uint8_t kept[65536]; /* of the server's, that the client has not taken */
    size_t n_kept;
    uint64_t octets; /* that moved */
};

enum by { BY_PROVIDER, BY_JOB, BY_HOST };

static void make_server(struct call *c)
{
    mailsrv_tls *tls = NULL;
    mailsrv_profile *p = world_profile(&c->w);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_TLS, MAILSRV_TLS_IMPLICIT), MAILSRV_OK);
    assert_int_equal(fake_new(&c->theirs, &c->w.heap.allocator, &tls), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_tls(p, tls), MAILSRV_OK);
    mailsrv_tls_unref(tls);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(c->w.engine, p, NULL, NULL, &c->server), MAILSRV_OK);
}

static void make_client(struct call *c, enum by by)
{
    mailsrv_tls *tls = NULL;
    mailsrv_profile *p = NULL;
    assert_int_equal(mailsrv_profile_new(&c->w.heap.allocator, caller(&c->calling), MAILSRV_FACE_CLIENT, &p),
                     MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "we.test", 7), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_TLS, MAILSRV_TLS_OFFERED), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_TLS_DISCARD, 1), MAILSRV_OK);
    c->ours.threads = by == BY_JOB;
    if (by != BY_HOST) {
        assert_int_equal(fake_new(&c->ours, &c->w.heap.allocator, &tls), MAILSRV_OK);
        assert_int_equal(mailsrv_profile_set_tls(p, tls), MAILSRV_OK);
        mailsrv_tls_unref(tls);
    }
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    c->profile = p;
    assert_int_equal(mailsrv_server_new(c->w.engine, p, NULL, NULL, &c->client), MAILSRV_OK);
}

static void begin(struct call *c, enum by by, bool implicit)
{
    c->calling.implicit = implicit;
    if (c->calling.name == NULL)
        c->calling.name = "mx.there.test";
    world_begin(&c->w);
    make_server(c);
    make_client(c, by);
}

static void end(struct call *c)
{
    mailsrv_session_free(c->client);
    mailsrv_session_free(c->server);
    run(&c->w);
    assert_int_equal(mailsrv_engine_stat(c->w.engine, MAILSRV_STAT_TLS_OCTETS), 0);
    mailsrv_profile_unref(c->profile);
    world_end(&c->w);
    assert_null(c->ours.fault);
    assert_null(c->theirs.fault);
    assert_int_equal(c->ours.begun, c->ours.ended);
    assert_int_equal(c->theirs.begun, c->theirs.ended);
}

static void do_jobs(struct call *c)
{
    const mailsrv_op *op = NULL;
    while (mailsrv_engine_next_op(c->w.engine, &op) == MAILSRV_OK) {
        assert_int_equal(op->kind, MAILSRV_OP_JOB);
        const mailsrv_arg_job *job = op->arg;
        job->run(job->work);
        assert_int_equal(mailsrv_op_answer_status(c->w.engine, op->id, MAILSRV_OK), MAILSRV_OK);
        run(&c->w);
    }
}

/* All output of one; its octets, at most as many as there is room for. */
static size_t take_output(mailsrv_session *s, uint8_t *to, size_t room)
{
    mailsrv_out v[1];
    size_t n = 0, count;
    for (;;) {
        assert_int_equal(mailsrv_session_output(s, v, 1, &count), MAILSRV_OK);
        if (count == 0)
            return n;
        assert_true(v[0].n <= room - n);
        memcpy(to + n, v[0].p, v[0].n);
        n += v[0].n;
        assert_int_equal(mailsrv_session_sent(s, v[0].n), MAILSRV_OK);
    }
}

static size_t give(mailsrv_session *s, const uint8_t *p, size_t n)
{
    size_t taken = 0;
    if ((mailsrv_session_wants(s) & MAILSRV_WANT_READ) != 0)
        mailsrv_session_feed(s, p, n, &taken);
    return taken;
}

/* Moves octets both ways until nothing moves, in pieces of so many. */
static void pump(struct call *c, size_t piece)
{
    static uint8_t octets[65536];
    bool moved = true;
    while (moved) {
        run(&c->w);
        do_jobs(c);
        size_t n = take_output(c->client, octets, sizeof octets), at = 0;
        moved = n != 0;
        while (at < n && (mailsrv_session_wants(c->server) & MAILSRV_WANT_CLOSE) == 0) {
            at += give(c->server, octets + at, n - at < piece ? n - at : piece);
            run(&c->w);
            do_jobs(c);
        }
        c->octets += n;
        n = take_output(c->server, c->kept + c->n_kept, sizeof c->kept - c->n_kept);
        c->n_kept += n;
        c->octets += n;
        n = give(c->client, c->kept, c->n_kept < piece ? c->n_kept : piece);
        memmove(c->kept, c->kept + n, c->n_kept - n);
        c->n_kept -= n;
        moved = moved || n != 0;
    }
}

static const char *event_of(struct call *c, int32_t what)
{
    static char text[EVENT_TEXT_MAX + 1];
    const mailsrv_event *event;
    const char *found = NULL;
    while (mailsrv_engine_next_event(c->w.engine, &event) == MAILSRV_OK) {
        if (event->what != what)
            continue;
        memcpy(text, event->text.p, event->text.n);
        text[event->text.n] = '\0';
        found = text;
    }
    return found;
}

static bool is_secured(const struct call *c)
{
    mailsrv_tls_info info = { .size = sizeof info };
    return mailsrv_session_tls(c->client, &info) == MAILSRV_OK;
}

/* ---- Handshakes ---- */

/* The probe says "hello", "what?" and at the end "enough": it erred as often as it may. */
static void talk(enum by by, bool implicit, const char *clear, size_t piece)
{
    struct call *c = calloc(1, sizeof *c);
    begin(c, by, implicit);
    if (!implicit)
        assert_int_equal(give(c->client, (const uint8_t *)clear, strlen(clear)), strlen(clear));
    pump(c, piece);
    assert_int_equal(c->calling.began, 1);
    assert_string_equal(c->ours.name, "mx.there.test");
    assert_int_equal(c->ours.server.flights, FAKE_FLIGHTS);
    const char *started = event_of(c, MAILSRV_EVENT_TLS_STARTED);
    assert_non_null(started);
    assert_non_null(strstr(started, ", not verified"));
    assert_int_equal(mailsrv_session_wants(c->server), MAILSRV_WANT_CLOSE); /* it was heard, and has had enough */
    assert_int_equal(c->n_kept, 0);
    end(c);
    free(c);
}

static void test_handshakes(void **state)
{
    static const size_t pieces[] = { 65536, 1, 7 };
    (void)state;
    for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        talk(BY_PROVIDER, true, NULL, pieces[i]);
        talk(BY_JOB, true, NULL, pieces[i]);
        talk(BY_PROVIDER, false, "220 ready\r\n", pieces[i]);
        talk(BY_PROVIDER, false, "turn\r\n", pieces[i]);
        talk(BY_JOB, false, "220 ready\r\n", pieces[i]);
        talk(BY_JOB, false, "turn\r\n", pieces[i]);
    }
}

/* It speaks first, without having heard anything. */
static void test_the_hello_goes_out_at_once(void **state)
{
    struct call *c = calloc(1, sizeof *c);
    uint8_t octets[64];
    (void)state;
    begin(c, BY_PROVIDER, true);
    run(&c->w);
    assert_int_equal(take_output(c->client, octets, sizeof octets), 4 + 5);
    assert_int_equal(octets[0], FAKE_HANDSHAKE);
    assert_int_equal(mailsrv_session_wants(c->client), MAILSRV_WANT_READ);
    end(c);
    free(c);
}

/* ---- What came in the clear (RFC 3207 section 6) ---- */

static void is_refused(struct call *c, const char *why)
{
    assert_int_equal(mailsrv_session_wants(c->client) & MAILSRV_WANT_CLOSE, MAILSRV_WANT_CLOSE);
    assert_string_equal(c->calling.failure, why);
    assert_string_equal(event_of(c, MAILSRV_EVENT_TLS_FAILED), why);
    assert_int_equal(c->ours.calls, 0); /* nobody heard it */
    end(c);
    free(c);
}

static void test_octets_behind_the_reply(void **state)
{
    static const char *const texts[] = { "220 ready\r\n250 and more\r\n", "220 ready\r\n\x16" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct call *c = calloc(1, sizeof *c);
        begin(c, BY_PROVIDER, false);
        give(c->client, (const uint8_t *)texts[i], strlen(texts[i]));
        is_refused(c, "octets came before the handshake");
    }
}

/* They come in another piece, before there was a turn to say hello in. */
static void test_octets_before_the_hello(void **state)
{
    static const char *const texts[] = { "250 and more\r\n", "\x16" };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct call *c = calloc(1, sizeof *c);
        begin(c, BY_PROVIDER, i / 2 != 0);
        if (i / 2 == 0)
            give(c->client, (const uint8_t *)"220 ready\r\n", 11);
        give(c->client, (const uint8_t *)texts[i % 2], strlen(texts[i % 2]));
        is_refused(c, "octets came before the handshake");
    }
}

/* What the machine waited before beginning TLS for stays with the host, and is no part of the handshake. */
static void test_octets_that_the_host_keeps(void **state)
{
    struct call *c = calloc(1, sizeof *c);
    const char text[] = "turn\r\n250 and more\r\n";
    (void)state;
    begin(c, BY_PROVIDER, false);
    size_t taken = give(c->client, (const uint8_t *)text, sizeof text - 1);
    assert_int_equal(taken, 6);
    run(&c->w);
    give(c->client, (const uint8_t *)text + taken, sizeof text - 1 - taken);
    assert_string_equal(c->calling.failure, "this is no handshake");
    assert_false(is_secured(c));
    end(c);
    free(c);
}

static void test_text_in_place_of_a_handshake(void **state)
{
    struct call *c = calloc(1, sizeof *c);
    (void)state;
    begin(c, BY_PROVIDER, true);
    run(&c->w);
    give(c->client, (const uint8_t *)"250 ok\r\n", 8);
    assert_string_equal(c->calling.failure, "this is no handshake");
    assert_int_equal(mailsrv_engine_stat(c->w.engine, MAILSRV_STAT_TLS_FAILED), 1);
    end(c);
    free(c);
}

/* ---- Who it is ---- */

static void verify(enum by by, bool verifies, bool ignores, const char *failure)
{
    struct call *c = calloc(1, sizeof *c);
    c->calling.verify = true;
    c->ours.verifies = verifies;
    c->ours.ignores = ignores;
    begin(c, by, true);
    pump(c, 65536);
    const char *started = event_of(c, MAILSRV_EVENT_TLS_STARTED); /* the client's, if it was, else the server's */
    assert_int_equal(c->ours.verify, MAILSRV_TLS_BY_ROOTS);
    assert_int_equal(strstr(started, ", verified") != NULL, failure == NULL);
    assert_string_equal(c->calling.failure, failure == NULL ? "" : failure);
    assert_int_equal(mailsrv_engine_stat(c->w.engine, MAILSRV_STAT_TLS_FAILED) != 0, failure != NULL);
    end(c);
    free(c);
}

static void test_verified(void **state)
{
    (void)state;
    for (enum by by = BY_PROVIDER; by <= BY_JOB; by++) {
        verify(by, true, false, NULL);
        verify(by, false, false, "it is somebody else");
        verify(by, false, true, "the server's certificate was not verified");
    }
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *asked;
    } cases[] = { { "mx.there.test", "mx.there.test" },
                  { "[192.0.2.1]", "192.0.2.1" },
                  { "[IPv6:2001:db8::1]", "2001:db8::1" },
                  { "192.0.2.1", "192.0.2.1" },
                  { "", "" },
                  { "[", "[" },
                  { "[]", "" } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct call *c = calloc(1, sizeof *c);
        c->calling.name = cases[i].name;
        begin(c, BY_PROVIDER, true);
        assert_string_equal(c->ours.name, cases[i].asked);
        end(c);
        free(c);
    }
}

/* ---- The host ---- */

static void by_host(bool must, uint32_t verified, bool is_good)
{
    struct call *c = calloc(1, sizeof *c);
    mailsrv_tls_info info = { .size = sizeof info, .version = 0x0304, .verified = verified };
    c->calling.verify = must;
    begin(c, BY_HOST, false);
    give(c->client, (const uint8_t *)"220 ready\r\n", 11);
    assert_int_equal(mailsrv_session_wants(c->client), MAILSRV_WANT_TLS_CLIENT);
    assert_int_equal(mailsrv_session_tls_started(c->client, &info), MAILSRV_OK);
    if (is_good)
        expect(c->client, "secured\r\n");
    assert_int_equal(is_secured(c), is_good);
    assert_int_equal(mailsrv_session_wants(c->client), is_good ? MAILSRV_WANT_READ : MAILSRV_WANT_CLOSE);
    end(c);
    free(c);
}

static void test_the_host_tells(void **state)
{
    struct call *c = calloc(1, sizeof *c);
    (void)state;
    by_host(false, 0, true);
    by_host(true, 1, true);
    by_host(true, 0, false);
    begin(c, BY_HOST, false);
    give(c->client, (const uint8_t *)"220 ready\r\n250 ok\r\n", 19);
    is_refused(c, "octets came before the handshake");
    c = calloc(1, sizeof *c);
    begin(c, BY_HOST, true);
    assert_int_equal(mailsrv_session_wants(c->client), MAILSRV_WANT_TLS_CLIENT);
    assert_int_equal(mailsrv_session_tls_failed(c->client, "no", 2), MAILSRV_OK);
    assert_string_equal(c->calling.failure, "no");
    end(c);
    free(c);
}

/* ---- Where it cannot be ---- */

/* A server's context cannot connect, a client's cannot serve: no profile is sealed with the other's. */
static void is_of_side(mailsrv_tls *tls, const mailsrv_machine *machine, int32_t face, bool fits)
{
    mailsrv_profile *p = NULL;
    mailsrv_error why = { .size = sizeof why };
    assert_int_equal(mailsrv_profile_new(NULL, machine, face, &p), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "we.test", 7), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_tls(p, tls), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, &why), fits ? MAILSRV_OK : MAILSRV_E_VALUE);
    assert_int_equal(why.key, fits ? 0 : MAILSRV_PROFILE_TLS);
    mailsrv_profile_unref(p);
}

static void test_a_context_is_of_one_side(void **state)
{
    struct fake fake = { .threads = false };
    mailsrv_tls *both = NULL;
    (void)state;
    assert_int_equal(fake_new(&fake, NULL, &both), MAILSRV_OK);
    mailsrv_tls_provider halves[2] = { *both->provider, *both->provider };
    halves[0].connect = NULL;
    halves[1].begin = NULL;
    is_of_side(both, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, true);
    is_of_side(both, mailsrv_smtp(), MAILSRV_FACE_MX, true);
    for (int serves = 0; serves < 2; serves++) {
        mailsrv_tls half = { .from = both->from, .provider = &halves[1 - serves], .context = &fake, .references = 2 };
        is_of_side(&half, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, serves == 0);
        is_of_side(&half, mailsrv_smtp(), MAILSRV_FACE_MX, serves == 1);
        assert_int_equal(half.references, 2);
    }
    mailsrv_tls_unref(both);
}

static void test_it_took_too_long(void **state)
{
    struct call *c = calloc(1, sizeof *c);
    (void)state;
    begin(c, BY_PROVIDER, true);
    run(&c->w);
    world_advance(&c->w, 0);
    world_advance(&c->w, 61000000);
    assert_string_equal(c->calling.failure, "the handshake took too long");
    end(c);
    free(c);
}

static void find_no_memory(enum by by)
{
    bool is_done = false;
    for (uint64_t at = 1; !is_done; at++) {
        struct call *c = calloc(1, sizeof *c);
        begin(c, by, false);
        c->w.heap.fail_first = c->w.heap.fail_last = c->w.heap.calls + at;
        give(c->client, (const uint8_t *)"220 ready\r\n", 11);
        run(&c->w);
        is_done = c->w.heap.calls < c->w.heap.fail_first;
        c->w.heap.fail_first = c->w.heap.fail_last = 0;
        pump(c, 65536);
        const uint32_t wants = mailsrv_session_wants(c->client);
        const bool is_hosts = by == BY_HOST && (wants & MAILSRV_WANT_TLS_CLIENT) != 0;
        assert_true(is_hosts || is_secured(c) || (wants & MAILSRV_WANT_CLOSE) != 0);
        end(c);
        free(c);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    find_no_memory(BY_PROVIDER);
    find_no_memory(BY_HOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_the_hello_goes_out_at_once),
        cmocka_unit_test(test_octets_behind_the_reply),
        cmocka_unit_test(test_octets_before_the_hello),
        cmocka_unit_test(test_octets_that_the_host_keeps),
        cmocka_unit_test(test_text_in_place_of_a_handshake),
        cmocka_unit_test(test_verified),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_the_host_tells),
        cmocka_unit_test(test_a_context_is_of_one_side),
        cmocka_unit_test(test_it_took_too_long),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
