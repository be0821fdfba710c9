/* Much at once: 100 MiB through an engine of 256 KiB, by DATA and by BDAT, into a store that answers at once or late;
 * a thousand recipients, and nobody else waits; what a session holds when it is idle. */
#include <mailsrv/mailsrv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE = 76, LINES = 100 * 1024 * 1024 / LINE, RECIPIENTS = 1000, UNITS_MAX = 300, MEMORY = 256 * 1024 };

/* ---- A store that keeps nothing: it counts, and answers when it is told to ---- */

struct sink {
    bool late;
    mailsrv_op_id kept;
    uint64_t octets, digest;
    uint32_t targets;
    unsigned bodies;
    int32_t write_status;
};

struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    struct sink sink;
};

static void answer(mailsrv_engine *e, mailsrv_op_id id, int32_t status, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .status = status, .value = status == MAILSRV_OK ? value : NULL };
    assert_int_equal(mailsrv_op_answer(e, id, &a), MAILSRV_OK);
}

/* Each address is a mailbox of its own. */
static void resolve(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    mailsrv_destination to = { .kind = MAILSRV_TARGET_MAILBOX };
    (void)user;
    memcpy(to.account.b, arg->local_part.p, arg->local_part.n < 16 ? arg->local_part.n : 16);
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    answer(e, op->id, MAILSRV_OK, &value);
}

static void begin_body(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct sink *s = user;
    const mailsrv_body_begun value = { .size = sizeof value, .features = MAILSRV_BODY_ATOMIC, .body = 1 };
    s->octets = s->digest = 0;
    s->bodies++;
    answer(e, op->id, MAILSRV_OK, &value);
}

static void write_body(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct sink *s = user;
    const mailsrv_arg_body_write *arg = op->arg;
    assert_int_equal(arg->offset, s->octets);
    for (size_t i = 0; i < arg->octets.n; i++)
        s->digest = s->digest * 31 + arg->octets.p[i];
    s->octets += arg->octets.n;
    if (s->late)
        s->kept = op->id;
    else
        answer(e, op->id, s->write_status, NULL);
}

static void commit(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    struct sink *s = user;
    const mailsrv_arg_body_commit *arg = op->arg;
    mailsrv_result *results = calloc(arg->n_targets, sizeof *results);
    assert_non_null(results);
    const mailsrv_committed value = { .size = sizeof value,
                                      .n = arg->n_targets,
                                      .stride = sizeof *results,
                                      .results = results };
    assert_int_equal(arg->bodies[0].octets, s->octets);
    s->targets = arg->n_targets;
    answer(e, op->id, MAILSRV_OK, &value);
    free(results);
}

static void close_body(void *user, mailsrv_engine *e, const mailsrv_op *op)
{
    ((struct sink *)user)->bodies--;
    answer(e, op->id, MAILSRV_OK, NULL);
}

/* ---- A world ---- */

static void serve(struct world *w)
{
    const mailsrv_handler handlers[] = { resolve, begin_body, write_body, commit, close_body };
    for (int32_t i = 0; i < 5; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_RESOLVE + i, handlers[i], &w->sink), MAILSRV_OK);
}

static void make_profile(struct world *w, int32_t face)
{
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_smtp(), face, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_RECIPIENTS_MAX, 1000), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_SESSION_OCTETS_MAX, 1 << 24), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
}

static void begin_world(struct world *w, int32_t face, uint64_t memory)
{
    mailsrv_config *config;
    *w = (struct world){ 0 };
    assert_int_equal(mailsrv_config_new(NULL, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, memory), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    serve(w);
    make_profile(w, face);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
}

static void turn(struct world *w)
{
    if (w->sink.kept != 0) {
        mailsrv_op_id id = w->sink.kept;
        w->sink.kept = 0;
        answer(w->engine, id, w->sink.write_status, NULL);
    }
    while (mailsrv_engine_turn(w->engine, 1000) == MAILSRV_MORE)
        continue;
}

static void end_world(struct world *w)
{
    turn(w);
    assert_int_equal(w->sink.bodies, 0);
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= UNITS_MAX);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_profile_unref(w->profile);
}

/* ---- A client ---- */

struct client {
    mailsrv_session *session;
    unsigned lines; /* that came */
    char last[64];  /* the beginning of the last one */
    size_t n;
};

static void read_octet(struct client *c, char octet)
{
    if (c->n < sizeof c->last - 1 && octet >= ' ')
        c->last[c->n++] = octet;
    if (octet != '\n')
        return;
    c->last[c->n] = '\0';
    c->n = 0;
    c->lines++;
}

static void read_output(struct client *c)
{
    mailsrv_out v[8];
    size_t count;
    do {
        assert_int_equal(mailsrv_session_output(c->session, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < v[i].n; k++)
                read_octet(c, (char)v[i].p[k]);
            assert_int_equal(mailsrv_session_sent(c->session, v[i].n), MAILSRV_OK);
        }
    } while (count != 0);
}

static void say_octets(struct world *w, struct client *c, const char *p, size_t n)
{
    size_t taken;
    for (;;) {
        assert_int_equal(mailsrv_session_feed(c->session, (const uint8_t *)p, n, &taken), MAILSRV_OK);
        p += taken;
        n -= taken;
        if (n == 0)
            return;
        turn(w);
        read_output(c);
    }
}

static void say(struct world *w, struct client *c, const char *text)
{
    say_octets(w, c, text, strlen(text));
}

static void expect(struct world *w, struct client *c, const char *reply)
{
    for (unsigned i = 0; i < 4; i++) {
        turn(w);
        read_output(c);
    }
    assert_memory_equal(c->last, reply, strlen(reply));
}

static void begin_client(struct world *w, struct client *c)
{
    *c = (struct client){ 0 };
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &c->session), MAILSRV_OK);
    expect(w, c, "220 ");
}

static void greet(struct world *w, struct client *c)
{
    say(w, c, "EHLO x\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\n");
    expect(w, c, "250 2.1.5 ");
}

/* A line of a large message, as it is stored. */
static void make_line(char *line, uint32_t i)
{
    for (unsigned k = 0; k < LINE - 2; k++)
        line[k] = (char)('!' + (i * 7 + k * (i % 13 + 1)) % 90);
    memcpy(line + LINE - 2, "\r\n", 2);
}

static uint64_t digest_of_lines(uint32_t n)
{
    char line[LINE];
    uint64_t digest = 0;
    for (uint32_t i = 0; i < n; i++) {
        make_line(line, i);
        for (unsigned k = 0; k < LINE; k++)
            digest = digest * 31 + (uint8_t)line[k];
    }
    return digest;
}

/* Sends lines from `first` on, some hundred in one piece, dots doubled or not. */
static void send_lines(struct world *w, struct client *c, uint32_t first, uint32_t n, bool doubled)
{
    static char piece[512 * (LINE + 1)];
    size_t octets = 0;
    for (uint32_t i = first; i < first + n; i++) {
        char line[LINE];
        make_line(line, i);
        if (doubled && line[0] == '.')
            piece[octets++] = '.';
        memcpy(piece + octets, line, LINE);
        octets += LINE;
        if ((i - first) % 512 == 511 || i + 1 == first + n) {
            say_octets(w, c, piece, octets);
            octets = 0;
        }
    }
}

static void assert_small(const struct world *w)
{
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY_PEAK) <= MEMORY);
    assert_true(w->sink.octets == (uint64_t)LINES * LINE);
    assert_true(w->sink.digest == digest_of_lines(LINES));
}

/* ---- Tests ---- */

static void by_data(bool late)
{
    struct world w;
    struct client c;
    begin_world(&w, MAILSRV_FACE_MX, MEMORY);
    w.sink.late = late;
    begin_client(&w, &c);
    greet(&w, &c);
    say(&w, &c, "DATA\r\n");
    expect(&w, &c, "354 ");
    send_lines(&w, &c, 0, LINES, true);
    say(&w, &c, ".\r\n");
    expect(&w, &c, "250 2.0.0 ");
    assert_small(&w);
    mailsrv_session_free(c.session);
    end_world(&w);
}

static void test_100_mib_by_data(void **state)
{
    (void)state;
    by_data(false);
}

static void test_100_mib_by_data_late(void **state)
{
    (void)state;
    by_data(true);
}

static void test_100_mib_by_bdat(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    const uint32_t each = 10000;
    begin_world(&w, MAILSRV_FACE_MX, MEMORY);
    begin_client(&w, &c);
    greet(&w, &c);
    for (uint32_t i = 0; i < LINES; i += each) {
        char command[64];
        uint32_t n = LINES - i < each ? LINES - i : each;
        snprintf(command, sizeof command, "BDAT %lu%s\r\n", (unsigned long)n * LINE, i + n == LINES ? " LAST" : "");
        say(&w, &c, command);
        send_lines(&w, &c, i, n, false);
        expect(&w, &c, i + n == LINES ? "250 2.0.0 accepted" : "250 2.0.0 760000 octets");
        if (i + n != LINES)
            assert_int_equal(c.lines, 11 + i / each); /* one reply for each chunk */
    }
    assert_small(&w);
    mailsrv_session_free(c.session);
    end_world(&w);
}

/* What nobody wants is not kept: the store said no to the first octets. */
static void test_100_mib_refused(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    begin_world(&w, MAILSRV_FACE_MX, MEMORY);
    w.sink.write_status = MAILSRV_FULL;
    begin_client(&w, &c);
    greet(&w, &c);
    say(&w, &c, "DATA\r\n");
    expect(&w, &c, "354 ");
    send_lines(&w, &c, 0, LINES, true);
    say(&w, &c, ".\r\n");
    expect(&w, &c, "452 4.3.1 ");
    assert_true(w.sink.octets <= 64 * 1024);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY_PEAK) <= MEMORY / 2);
    mailsrv_session_free(c.session);
    end_world(&w);
}

/* The time that the store takes is not the peer's: neither his three minutes for a block nor the ten minutes and 1 KiB a
 * second that he has for the whole (RFC 5321 section 4.5.3.2). */
static void test_slow_store(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    const int64_t minute_us = 60000000;
    int64_t now_us = 1;
    begin_world(&w, MAILSRV_FACE_MX, MEMORY);
    w.sink.late = true;
    begin_client(&w, &c);
    greet(&w, &c);
    say(&w, &c, "DATA\r\n");
    expect(&w, &c, "354 ");
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t before = w.sink.octets;
        for (uint32_t first = i * 1000; w.sink.octets == before || w.sink.kept == 0; first++)
            send_lines(&w, &c, first, 1, true);
        now_us += 4 * minute_us;
        assert_int_equal(mailsrv_engine_advance(w.engine, now_us, now_us), MAILSRV_OK);
        turn(&w);
    }
    say(&w, &c, ".\r\n");
    expect(&w, &c, "250 2.0.0 ");
    mailsrv_session_free(c.session);
    end_world(&w);
}

/* A thousand replies are told in slices, and others have their turn between them. */
static void test_many_recipients(void **state)
{
    (void)state;
    struct world w;
    struct client c, other;
    begin_world(&w, MAILSRV_FACE_LMTP, 1 << 24);
    begin_client(&w, &c);
    begin_client(&w, &other);
    say(&w, &c, "LHLO x\r\nMAIL FROM:<a@remote.test>\r\n");
    for (unsigned i = 0; i < RECIPIENTS; i++) {
        char command[64];
        snprintf(command, sizeof command, "RCPT TO:<r%u@here.test>\r\n", i);
        say(&w, &c, command);
    }
    expect(&w, &c, "250 2.1.5 ");
    say(&w, &c, "DATA\r\n");
    expect(&w, &c, "354 ");
    c.lines = 0;
    say(&w, &c, "x\r\n.\r\n");
    say(&w, &other, "NOOP\r\n");
    read_output(&other);
    assert_memory_equal(other.last, "250 2.0.0 ", 10);
    expect(&w, &c, "250 2.0.0 ");
    assert_int_equal(w.sink.targets, RECIPIENTS);
    assert_int_equal(c.lines, RECIPIENTS);
    mailsrv_session_free(c.session);
    mailsrv_session_free(other.session);
    end_world(&w);
}

static uint64_t memory_of(const struct client *c)
{
    mailsrv_info info = { .size = sizeof info };
    assert_int_equal(mailsrv_session_info(c->session, &info), MAILSRV_OK);
    return info.memory;
}

/* A session with nothing in progress holds no buffer: only the name that its peer greeted with. */
static void test_idle(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    begin_world(&w, MAILSRV_FACE_MX, MEMORY);
    begin_client(&w, &c);
    uint64_t fresh = memory_of(&c);
    for (unsigned i = 0; i < 3; i++) {
        greet(&w, &c);
        say(&w, &c, "DATA\r\n");
        expect(&w, &c, "354 ");
        send_lines(&w, &c, 0, 5000, true);
        assert_true(memory_of(&c) > fresh + 4096);
        say(&w, &c, ".\r\n");
        expect(&w, &c, "250 2.0.0 ");
        assert_true(memory_of(&c) == fresh + 1);
    }
    mailsrv_session_free(c.session);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_100_mib_by_data),
        cmocka_unit_test(test_100_mib_by_data_late),
        cmocka_unit_test(test_100_mib_by_bdat),
        cmocka_unit_test(test_100_mib_refused),
        cmocka_unit_test(test_slow_store),
        cmocka_unit_test(test_many_recipients),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
