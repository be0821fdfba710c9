/* The layer of TLS as its host sees it: room that is lent, given back and counted; replies that share a record; what is
 * lent by a store is released once it is encrypted; TLS that the host does. */
#include "core/tls.h"
#include "fake_tls.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

struct line {
    struct world w;
    struct fake fake;
    struct fake_client client;
    struct buffer wire, said;
    size_t fed;
    mailsrv_session *s;
};

static void begin(struct line *l, uint64_t mode, bool by_library)
{
    mailsrv_tls *tls = NULL;
    memset(l, 0, sizeof *l);
    world_begin(&l->w);
    mailsrv_profile *p = world_profile(&l->w);
    assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_TLS, mode), MAILSRV_OK);
    if (by_library) {
        assert_int_equal(fake_new(&l->fake, &l->w.heap.allocator, &tls), MAILSRV_OK);
        assert_int_equal(mailsrv_profile_set_tls(p, tls), MAILSRV_OK);
        mailsrv_tls_unref(tls);
    }
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_tls(p, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_server_new(l->w.engine, p, NULL, &l->w, &l->s), MAILSRV_OK);
}

static void end(struct line *l)
{
    mailsrv_session_free(l->s);
    assert_int_equal(mailsrv_engine_stat(l->w.engine, MAILSRV_STAT_TLS_OCTETS), 0);
    world_end(&l->w);
    assert_null(l->fake.fault);
    assert_null(l->client.fault);
    assert_int_equal(l->fake.begun, l->fake.ended);
    buffer_free(&l->wire);
    buffer_free(&l->said);
}

/* Sends all output to the client; its octets. */
static size_t send_all(struct line *l)
{
    mailsrv_out v[8];
    size_t count, octets = 0;
    do {
        size_t n = 0;
        assert_int_equal(mailsrv_session_output(l->s, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++, n += v[i - 1].n)
            fake_client_take(&l->client, v[i].p, v[i].n, &l->said, &l->wire);
        assert_int_equal(mailsrv_session_sent(l->s, n), MAILSRV_OK);
        octets += n;
    } while (count != 0);
    return octets;
}

static void feed_wire(struct line *l)
{
    size_t taken = 0;
    assert_int_equal(mailsrv_session_feed(l->s, (const uint8_t *)l->wire.p + l->fed, l->wire.n - l->fed, &taken),
                     MAILSRV_OK);
    l->fed += taken;
    run(&l->w);
}

static void shake(struct line *l)
{
    fake_client_begin(&l->client, &l->wire);
    for (int i = 0; i < FAKE_FLIGHTS; i++) {
        feed_wire(l);
        send_all(l);
    }
    assert_true(l->client.is_open);
}

static void open_line(struct line *l)
{
    begin(l, MAILSRV_TLS_IMPLICIT, true);
    shake(l);
    assert_int_equal(l->said.n, 7);
    assert_memory_equal(l->said.p, "hello\r\n", 7);
}

static void say_sealed(struct line *l, const char *text)
{
    fake_client_seal(&l->client, text, strlen(text), &l->wire);
    feed_wire(l);
}

static uint64_t memory_of(const struct line *l)
{
    mailsrv_info info = { .size = sizeof info };
    assert_int_equal(mailsrv_session_info(l->s, &info), MAILSRV_OK);
    return info.memory;
}

static uint64_t unsent(struct line *l, size_t *count)
{
    mailsrv_out v[128];
    uint64_t octets = 0;
    assert_int_equal(mailsrv_session_output(l->s, v, 128, count), MAILSRV_OK);
    for (size_t i = 0; i < *count; i++)
        octets += v[i].n;
    return octets;
}

/* ---- Memory ---- */

static void test_an_idle_session_holds_no_room(void **state)
{
    struct line l;
    size_t count;
    (void)state;
    open_line(&l);
    uint64_t idle = memory_of(&l);
    assert_true(idle < 2048); /* 4 KiB is the promise, the machine's included */
    say_sealed(&l, "say 8000\r\nsay 8000\r\n");
    assert_true(memory_of(&l) > idle + 16000);
    assert_true(unsent(&l, &count) > 16000);
    send_all(&l);
    assert_int_equal(memory_of(&l), idle);
    assert_int_equal(mailsrv_engine_stat(l.w.engine, MAILSRV_STAT_TLS_OCTETS), 1000);
    end(&l);
}

static unsigned released;

static void release(void *user)
{
    (void)user;
    released++;
}

static void test_what_is_lent_is_released_once_encrypted(void **state)
{
    static uint8_t octets[6000];
    mailsrv_read_bytes read = { .size = sizeof read, .octets = { octets, sizeof octets } };
    mailsrv_answer lent = { .size = sizeof lent, .value = &read, .release = release };
    struct line l;
    size_t count;
    (void)state;
    memset(octets, 'y', sizeof octets);
    open_line(&l);
    say_sealed(&l, "read 6000\r\n");
    const mailsrv_op *op = next_op(&l.w, MAILSRV_OP_READ);
    released = 0;
    assert_int_equal(mailsrv_op_answer(l.w.engine, op->id, &lent), MAILSRV_OK);
    run(&l.w);
    assert_true(unsent(&l, &count) > 6000);
    assert_int_equal(released, 1); /* before anything was sent */
    memset(octets, 'z', sizeof octets);
    send_all(&l);
    assert_int_equal(l.said.p[7], 'y');
    assert_null(memchr(l.said.p, 'z', l.said.n));
    end(&l);
}

/* What came in may have been a password: nothing of what was taken stays where it was decrypted, and the room goes with
 * the last of it. */
static void test_what_was_taken_is_wiped(void **state)
{
    static const char secret[] = "what about secret\r\nread 9\r\n", rest[] = "say 20\r\nand half a li";
    static const uint8_t zeros[sizeof secret - 1];
    mailsrv_read_bytes read = { .size = sizeof read, .octets = { (const uint8_t *)"123456789", 9 } };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &read };
    char said[sizeof secret + sizeof rest];
    struct line l;
    (void)state;
    open_line(&l);
    snprintf(said, sizeof said, "%s%s", secret, rest);
    say_sealed(&l, said);
    assert_non_null(l.s->tls->plain); /* the rest waits for the answer */
    assert_memory_equal(l.s->tls->plain, zeros, sizeof zeros);
    assert_memory_equal(l.s->tls->plain + sizeof zeros, rest, sizeof rest - 1);
    assert_int_equal(mailsrv_op_answer(l.w.engine, next_op(&l.w, MAILSRV_OP_READ)->id, &answer), MAILSRV_OK);
    run(&l.w);
    assert_null(l.s->tls->plain);
    assert_int_equal(l.s->tls->at, l.s->tls->n);
    end(&l);
}

/* ---- Records ---- */

static void test_small_replies_share_a_record(void **state)
{
    struct line l;
    size_t count;
    (void)state;
    open_line(&l);
    say_sealed(&l, "say 7\r\nsay 7\r\nsay 7\r\nsay 7\r\nsay 7\r\n");
    assert_int_equal(unsent(&l, &count), 5 * 7 + 4); /* and what one record of the fake one costs */
    assert_int_equal(count, 1);
    end(&l);
}

/* As many as a record holds, and what a lent slice has above whole records shares one with what stands behind it. */
static void test_large_replies_share_records(void **state)
{
    static const uint8_t octets[20000];
    mailsrv_read_bytes read = { .size = sizeof read, .octets = { octets, sizeof octets } };
    const mailsrv_answer lent = { .size = sizeof lent, .value = &read };
    mailsrv_out v[3];
    struct line l;
    size_t count;
    (void)state;
    open_line(&l);
    say_sealed(&l, "say 900\r\nsay 900\r\nsay 900\r\nsay 900\r\nsay 900\r\nsay 900\r\nsay 900\r\n");
    assert_int_equal(unsent(&l, &count), 7 * 900 + 4);
    assert_int_equal(count, 1);
    send_all(&l);
    say_sealed(&l, "read 20000\r\nsay 900\r\n");
    assert_int_equal(mailsrv_op_answer(l.w.engine, next_op(&l.w, MAILSRV_OP_READ)->id, &lent), MAILSRV_OK);
    run(&l.w);
    assert_int_equal(mailsrv_session_output(l.s, v, 3, &count), MAILSRV_OK);
    assert_int_equal(count, 2);
    assert_int_equal(v[0].n, RECORD_OCTETS + 4);
    assert_int_equal(v[1].n, sizeof octets - RECORD_OCTETS + 2 + 900 + 4); /* a line's end stands behind it */
    send_all(&l);
    assert_int_equal(l.said.n, 7 + 7 * 900 + sizeof octets + 2 + 900);
    end(&l);
}

static void test_the_window_counts_ciphertext(void **state)
{
    enum { WINDOW = 32 * 1024, REPLY = 20, RECORD = REPLY + 4 };
    struct line l;
    (void)state;
    open_line(&l);
    while ((mailsrv_session_wants(l.s) & MAILSRV_WANT_READ) != 0)
        say_sealed(&l, "say 20\r\n");
    send_all(&l);
    size_t replies = (l.said.n - 7) / REPLY; /* behind the greeting */
    assert_true(replies * RECORD >= WINDOW && (replies - 1) * RECORD < WINDOW);
    assert_true(replies * REPLY < WINDOW); /* of plaintext there is less */
    assert_int_equal(mailsrv_session_wants(l.s), MAILSRV_WANT_READ);
    end(&l);
}

static void test_a_lent_slice_stays_where_it_is(void **state)
{
    struct line l;
    mailsrv_out first[1], again[1];
    uint8_t copy[64];
    size_t count;
    (void)state;
    open_line(&l);
    say_sealed(&l, "what\r\n");
    assert_int_equal(mailsrv_session_output(l.s, first, 1, &count), MAILSRV_OK);
    memcpy(copy, first[0].p, first[0].n);
    for (int i = 0; i < 20; i++)
        say_sealed(&l, "say 300\r\n");
    assert_int_equal(mailsrv_session_output(l.s, again, 1, &count), MAILSRV_OK);
    assert_ptr_equal(again[0].p, first[0].p);
    assert_int_equal(again[0].n, first[0].n);
    assert_memory_equal(again[0].p, copy, first[0].n);
    end(&l);
}

/* ---- The host ---- */

static void test_the_host_tells(void **state)
{
    static const uint8_t text[] = "abcdefghij";
    const mailsrv_bytes names[] = { { text, 3 }, { text + 3, 2 } };
    mailsrv_tls_info given = { .size = sizeof given, .version = 0x0303, .cipher = { text, 4 },
                               .client_subject = { text + 4, 5 }, .client_names = names, .n_client_names = 2,
                               .exporter = { text, 10 } };
    mailsrv_tls_info got = { .size = sizeof got };
    struct line l;
    size_t taken = 9;
    (void)state;
    begin(&l, MAILSRV_TLS_IMPLICIT, false);
    assert_int_equal(mailsrv_session_wants(l.s), MAILSRV_WANT_TLS_SERVER);
    expect(l.s, "");
    assert_int_equal(mailsrv_session_tls(l.s, &got), MAILSRV_E_USAGE);
    given.size = 4;
    assert_int_equal(mailsrv_session_tls_started(l.s, &given), MAILSRV_E_USAGE);
    given.size = sizeof given;
    given.n_client_names = 17;
    assert_int_equal(mailsrv_session_tls_started(l.s, &given), MAILSRV_E_USAGE);
    given.n_client_names = 2;
    assert_int_equal(mailsrv_session_tls_started(l.s, &given), MAILSRV_OK);
    expect(l.s, "hello\r\n");
    assert_int_equal(mailsrv_session_tls_started(l.s, &given), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_tls_failed(l.s, "x", 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_session_tls(l.s, &got), MAILSRV_OK);
    assert_true(got.cipher.p != text && got.cipher.n == 4 && memcmp(got.cipher.p, text, 4) == 0);
    assert_int_equal(got.n_client_names, 2);
    assert_memory_equal(got.client_names[1].p, text + 3, 2);
    assert_memory_equal(got.exporter.p, text, 10);
    assert_int_equal(got.server_name.n, 0);
    assert_int_equal(mailsrv_session_feed(l.s, (const uint8_t *)"what\r\n", 6, &taken), MAILSRV_OK);
    expect(l.s, "what?\r\n");
    end(&l);
}

static void test_the_host_fails(void **state)
{
    struct line l;
    size_t taken = 9;
    (void)state;
    begin(&l, MAILSRV_TLS_IMPLICIT, false);
    assert_int_equal(mailsrv_session_tls_failed(l.s, "no", 2), MAILSRV_OK);
    assert_int_equal(mailsrv_session_wants(l.s), MAILSRV_WANT_CLOSE);
    expect(l.s, "");
    end(&l);
    begin(&l, MAILSRV_TLS_IMPLICIT, false); /* what the host feeds before its handshake was meant for that */
    assert_int_equal(mailsrv_session_feed(l.s, (const uint8_t *)"what\r\n", 6, &taken), MAILSRV_OK);
    assert_int_equal(mailsrv_session_wants(l.s), MAILSRV_WANT_CLOSE);
    end(&l);
    begin(&l, MAILSRV_TLS_IMPLICIT, false);
    world_advance(&l.w, 0);
    world_advance(&l.w, 61000000);
    assert_int_equal(mailsrv_session_wants(l.s), MAILSRV_WANT_CLOSE);
    end(&l);
}

/* ---- Providers ---- */

static void test_a_provider_is_whole(void **state)
{
    struct fake fake = { .threads = false };
    mailsrv_tls *tls = NULL;
    mailsrv_tls_provider half = { .size = sizeof half };
    (void)state;
    assert_int_equal(mailsrv_tls_new(NULL, &half, &fake, &tls), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_tls_new(NULL, NULL, &fake, &tls), MAILSRV_E_USAGE);
    assert_int_equal(fake_new(&fake, NULL, &tls), MAILSRV_OK);
    assert_null(mailsrv_tls_context(tls, &half));
    mailsrv_tls_unref(tls);
    assert_true(fake.freed);
    mailsrv_tls_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_idle_session_holds_no_room),
        cmocka_unit_test(test_what_is_lent_is_released_once_encrypted),
        cmocka_unit_test(test_what_was_taken_is_wiped),
        cmocka_unit_test(test_small_replies_share_a_record),
        cmocka_unit_test(test_large_replies_share_records),
        cmocka_unit_test(test_the_window_counts_ciphertext),
        cmocka_unit_test(test_a_lent_slice_stays_where_it_is),
        cmocka_unit_test(test_the_host_tells),
        cmocka_unit_test(test_the_host_fails),
        cmocka_unit_test(test_a_provider_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
