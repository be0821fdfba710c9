/* 100 MiB in by SMTP and out by POP3, octet for octet, in at most 256 KiB of the engine's memory, as its allocator
 * counts it; a reader that takes an octet at a time costs at most 128 KiB; so does a store that takes its time. */
#include "allocators.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_OCTETS = 80, BIG_MIB = 100, SMALL_MIB = 2, PIECE = 64 * 1024, KIB = 1024 };

struct world {
    struct counted heap;
    mailsrv_store *store; /* with memory of its own */
    mailsrv_profile *smtp, *pop3;
    mailsrv_engine *engine;
    bool late; /* operations are answered when nothing else moves */
};

static const int32_t kinds[] = {
    MAILSRV_OP_RESOLVE,    MAILSRV_OP_BODY_BEGIN,  MAILSRV_OP_BODY_WRITE, MAILSRV_OP_BODY_COMMIT,
    MAILSRV_OP_BODY_CLOSE, MAILSRV_OP_AUTH_VERIFY, MAILSRV_OP_STORE_OPEN, MAILSRV_OP_STORE_CLOSE,
    MAILSRV_OP_MBOX_OPEN,  MAILSRV_OP_MBOX_CLOSE,  MAILSRV_OP_ROWS,       MAILSRV_OP_READ,
    MAILSRV_OP_READ_CLOSE,
};

static mailsrv_profile *new_profile(struct world *w, const mailsrv_machine *machine, int32_t face)
{
    mailsrv_profile *p;
    assert_int_equal(mailsrv_profile_new(&w->heap.allocator, machine, face, &p), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "here.test", 9), MAILSRV_OK);
    if (face == MAILSRV_FACE_POP3)
        assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    else
        assert_int_equal(mailsrv_profile_set_u64(p, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, UINT64_C(1) << 28), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    return p;
}

static void begin(struct world *w, bool late)
{
    mailsrv_id id;
    mailsrv_config *config;
    *w = (struct world){ .late = late };
    counted_init(&w->heap);
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &id), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, "pat@here.test", 13, &id, 1), MAILSRV_OK);
    w->smtp = new_profile(w, mailsrv_smtp(), MAILSRV_FACE_MX);
    w->pop3 = new_profile(w, mailsrv_pop3(), MAILSRV_FACE_POP3);
    assert_int_equal(mailsrv_config_new(&w->heap.allocator, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    for (size_t i = 0; late && i < sizeof kinds / sizeof kinds[0]; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, kinds[i], NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
}

static void end(struct world *w)
{
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_profile_unref(w->smtp);
    mailsrv_profile_unref(w->pop3);
    mailsrv_store_free(w->store);
    assert_int_equal(w->heap.live, 0);
    assert_null(w->heap.fault);
}

/* Lets the engine work.  A late store answers one operation, when nothing else is left to do. */
static bool work(struct world *w)
{
    const mailsrv_op *op;
    while (mailsrv_engine_turn(w->engine, 100000) == MAILSRV_MORE)
        continue;
    if (!w->late || mailsrv_engine_next_op(w->engine, &op) != MAILSRV_OK)
        return false;
    mailsrv_memory_handle(w->store, w->engine, op);
    return true;
}

/* The message: a header, and lines of 80 octets, every seventh of which begins with a dot. */
static size_t line_of(uint64_t i, char *to)
{
    if (i == 0)
        return (size_t)sprintf(to, "Subject: big\r\n");
    if (i == 1)
        return (size_t)sprintf(to, "\r\n");
    memset(to, 'a' + (int)(i % 26), LINE_OCTETS);
    sprintf(to, "%s%012llu", i % 7 == 0 ? "." : "", (unsigned long long)i);
    to[strlen(to)] = ' ';
    memcpy(to + LINE_OCTETS - 2, "\r\n", 2);
    return LINE_OCTETS;
}

static uint64_t lines_of(unsigned mib)
{
    return (uint64_t)mib * KIB * KIB / LINE_OCTETS;
}

/* ---- In ---- */

static void feed(struct world *w, mailsrv_session *s, const char *p, size_t n)
{
    mailsrv_out v[4];
    size_t consumed, count;
    while (n != 0) {
        assert_int_equal(mailsrv_session_feed(s, (const uint8_t *)p, n, &consumed), MAILSRV_OK);
        p += consumed;
        n -= consumed;
        if (consumed == 0 || !w->late)
            work(w);
        assert_int_equal(mailsrv_session_output(s, v, 4, &count), MAILSRV_OK);
        if (count != 0)
            assert_int_equal(mailsrv_session_sent(s, v[0].n), MAILSRV_OK);
    }
}

static void feed_text(struct world *w, mailsrv_session *s, const char *text)
{
    feed(w, s, text, strlen(text));
}

static void put_message(struct world *w, unsigned mib)
{
    static char piece[PIECE];
    mailsrv_session *s;
    size_t n = 0;
    assert_int_equal(mailsrv_server_new(w->engine, w->smtp, NULL, NULL, &s), MAILSRV_OK);
    feed_text(w, s, "HELO client.test\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n");
    for (uint64_t i = 0; i < lines_of(mib); i++) {
        if (i > 1 && i % 7 == 0)
            piece[n++] = '.'; /* stuffed (RFC 5321 section 4.5.2) */
        n += line_of(i, piece + n);
        if (n < sizeof piece - 2 * LINE_OCTETS)
            continue;
        feed(w, s, piece, n);
        n = 0;
    }
    feed(w, s, piece, n);
    feed_text(w, s, ".\r\nQUIT\r\n");
    while (work(w))
        continue;
    assert_int_equal(mailsrv_session_wants(s) & MAILSRV_WANT_READ, 0);
    mailsrv_session_free(s);
    while (work(w))
        continue;
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MESSAGES), 1);
}

/* ---- Out ---- */

/* A client that compares what it gets, line by line. */
struct reader {
    char line[1024];
    size_t n;
    uint64_t lines; /* of the message, once its trace fields are past */
    bool in_message, done;
};

static void take_line(struct reader *r)
{
    char expected[LINE_OCTETS + 1];
    char *line = r->line;
    size_t n = r->n;
    r->n = 0;
    if (n == 3 && line[0] == '.') {
        r->done = true;
        return;
    }
    if (n > 1 && line[0] == '.') { /* RFC 1939 section 3 */
        line++;
        n--;
    }
    if (!r->in_message && (n < 8 || memcmp(line, "Subject:", 8) != 0))
        return;
    r->in_message = true;
    size_t m = line_of(r->lines++, expected);
    assert_int_equal(n, m);
    assert_memory_equal(line, expected, m);
}

static void take(struct reader *r, const uint8_t *p, size_t n)
{
    for (; n-- != 0; p++) {
        assert_true(r->n < sizeof r->line);
        r->line[r->n++] = (char)*p;
        if (*p == '\n')
            take_line(r);
    }
}

static void get_message(struct world *w, unsigned mib, size_t at_a_time)
{
    struct reader r = { .n = 0 };
    mailsrv_session *s;
    mailsrv_out v[1];
    size_t count;
    assert_int_equal(mailsrv_server_new(w->engine, w->pop3, NULL, NULL, &s), MAILSRV_OK);
    feed_text(w, s, "USER pat\r\nPASS secret\r\nRETR 1\r\n");
    while (!r.done) {
        assert_int_equal(mailsrv_session_output(s, v, 1, &count), MAILSRV_OK);
        if (count == 0) {
            assert_true(work(w) || mailsrv_session_output(s, v, 1, &count) == MAILSRV_OK);
            continue;
        }
        size_t n = v[0].n < at_a_time ? v[0].n : at_a_time;
        take(&r, v[0].p, n);
        assert_int_equal(mailsrv_session_sent(s, n), MAILSRV_OK);
        work(w);
    }
    assert_int_equal(r.lines, lines_of(mib));
    mailsrv_session_free(s);
    while (work(w))
        continue;
}

/* ---- Tests ---- */

static void in_and_out(bool late, unsigned mib, uint64_t most_kib)
{
    struct world w;
    begin(&w, late);
    put_message(&w, mib);
    uint64_t in = w.heap.octets_peak;
    get_message(&w, mib, SIZE_MAX);
    printf("# %u MiB in: %llu KiB, and out: %llu KiB\n", mib, (unsigned long long)in / KIB,
           (unsigned long long)w.heap.octets_peak / KIB);
    assert_true(w.heap.octets_peak <= most_kib * KIB);
    end(&w);
}

static void test_100_mib_in_and_out(void **state)
{
    (void)state;
    in_and_out(false, BIG_MIB, 256);
}

static void test_100_mib_with_a_store_that_takes_its_time(void **state)
{
    (void)state;
    in_and_out(true, BIG_MIB, 256);
}

/* Whether the store lends what is read or has it copied. */
static void test_a_reader_of_one_octet_at_a_time(void **state)
{
    (void)state;
    for (uint64_t lends = 0; lends < 2; lends++) {
        struct world w;
        begin(&w, false);
        assert_int_equal(mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_READ_LENDS, lends), MAILSRV_OK);
        put_message(&w, SMALL_MIB);
        uint64_t before = w.heap.octets;
        w.heap.octets_peak = before;
        get_message(&w, SMALL_MIB, 1);
        printf("# octet by octet, %s: %llu KiB\n", lends ? "lent" : "copied",
               (unsigned long long)w.heap.octets_peak / KIB);
        assert_true(w.heap.octets_peak <= 128 * KIB);
        assert_int_equal(w.heap.octets, before);
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_100_mib_in_and_out),
        cmocka_unit_test(test_100_mib_with_a_store_that_takes_its_time),
        cmocka_unit_test(test_a_reader_of_one_octet_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
