/* Bad input in one session, every known form of smuggling among it; beside it a second session goes on, on the same
 * engine, and each of its replies is checked.  Nothing of the bad one is stored, or run. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_id pat, kim;
};

/* A client: what he has been told since the last look. */
struct client {
    struct world *w;
    mailsrv_session *session;
    char said[4096];
    size_t n;
};

static mailsrv_profile *new_profile(const mailsrv_machine *machine, int32_t face)
{
    mailsrv_profile *profile;
    assert_int_equal(mailsrv_profile_new(NULL, machine, face, &profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12), MAILSRV_OK);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_AUTH_MECHANISMS, MAILSRV_SASL_PLAIN);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_ERRORS_MAX, 1000);
    assert_int_equal(mailsrv_profile_seal(profile, NULL), MAILSRV_OK);
    return profile;
}

static mailsrv_id add(struct world *w, const char *name, const char *address)
{
    mailsrv_id id;
    assert_int_equal(mailsrv_memory_add_account(w->store, name, strlen(name), "secret", 6, &id), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, address, strlen(address), &id, 1), MAILSRV_OK);
    return id;
}

static void begin_world(struct world *w)
{
    mailsrv_config *config;
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    w->pat = add(w, "pat", "pat@here.test");
    w->kim = add(w, "kim", "kim@here.test");
    assert_int_equal(mailsrv_config_new(NULL, &config), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
}

static void end_world(struct world *w)
{
    while (mailsrv_engine_turn(w->engine, 1000) == MAILSRV_MORE)
        continue;
    assert_int_equal(mailsrv_engine_stat(w->engine, MAILSRV_STAT_SESSIONS), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
}

static void take_output(struct client *c)
{
    mailsrv_out v[8];
    size_t count, n = 0;
    assert_int_equal(mailsrv_session_output(c->session, v, 8, &count), MAILSRV_OK);
    for (size_t i = 0; i < count; i++) {
        size_t room = sizeof c->said - 1 - c->n, kept = v[i].n < room ? v[i].n : room;
        memcpy(c->said + c->n, v[i].p, kept);
        c->n += kept;
        n += v[i].n;
    }
    c->said[c->n] = 0;
    assert_int_equal(mailsrv_session_sent(c->session, n), MAILSRV_OK);
}

static void turn(struct client *c)
{
    int32_t status;
    do {
        status = mailsrv_engine_turn(c->w->engine, 1000);
        take_output(c);
    } while (status == MAILSRV_MORE);
}

static void begin_client(struct client *c, struct world *w, mailsrv_profile *profile)
{
    *c = (struct client){ .w = w };
    assert_int_equal(mailsrv_server_new(w->engine, profile, NULL, NULL, &c->session), MAILSRV_OK);
    turn(c);
}

/* Says octets in pieces of `piece`; false: the session has ended. */
static bool say(struct client *c, const char *p, size_t n, size_t piece)
{
    c->n = 0;
    while (n != 0) {
        size_t taken, part = n < piece ? n : piece;
        if (mailsrv_session_feed(c->session, (const uint8_t *)p, part, &taken) != MAILSRV_OK)
            return false;
        p += taken;
        n -= taken;
        turn(c);
    }
    return (mailsrv_session_wants(c->session) & MAILSRV_WANT_CLOSE) == 0;
}

static void expect(struct client *c, const char *line, const char *reply)
{
    say(c, line, strlen(line), SIZE_MAX);
    if (strncmp(c->said, reply, strlen(reply)) != 0)
        fail_msg("beside it, %s was answered: %s", line, c->said);
}

/* The second session: a step of its life for each look at it. */
struct neighbour {
    struct client smtp, pop3;
    unsigned at;
    uint64_t delivered;
};

static void live(struct neighbour *b)
{
    static const struct {
        const char *line, *reply;
    } steps[] = {
        { "EHLO b.remote.test\r\n", "250-mx.here.test\r\n" },
        { "MAIL FROM:<b@remote.test>\r\n", "250 2.1.0 sender ok\r\n" },
        { "RCPT TO:<kim@here.test>\r\n", "250 2.1.5 recipient ok\r\n" },
        { "NOOP\r\n", "250 2.0.0 ok\r\n" },
        { "DATA\r\n", "354 " },
        { "Subject: beside\r\n\r\ntext\r\n.\r\n", "250 2.0.0 accepted\r\n" },
    };
    const size_t n = sizeof steps / sizeof steps[0];
    expect(&b->smtp, steps[b->at % n].line, steps[b->at % n].reply);
    b->delivered += b->at++ % n == n - 1;
    expect(&b->pop3, "CAPA\r\n", "+OK capability list follows\r\nTOP\r\n");
    expect(&b->pop3, "NOOP\r\n", "-ERR not now\r\n");
}

static void begin_neighbour(struct neighbour *b, struct world *w, mailsrv_profile *smtp, mailsrv_profile *pop3)
{
    b->at = 0;
    b->delivered = 0;
    begin_client(&b->smtp, w, smtp);
    begin_client(&b->pop3, w, pop3);
}

/* ---- Bad input ---- */

#define BEGIN "EHLO x\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n"
#define CHUNKS "EHLO x\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\n"
#define INNER "MAIL FROM:<evil@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
#define BETWEEN(end) BEGIN "Subject: a\r\n\r\ntext" end INNER ".\r\n"

struct bad {
    const char *what, *input;
    size_t n;
    const char *last; /* the last reply but one to QUIT begins so; NULL: the session has ended by then */
};

#define BAD(what, input, last)                                                                                         \
    {                                                                                                                  \
        what, input, sizeof(input) - 1, last                                                                           \
    }

/* SMTP smuggling (CVE-2023-51764, -51765, -51766 and what came after): each of these ended the data in some server. */
static const struct bad smuggling[] = {
    BAD("LF . LF", BETWEEN("\n.\n"), "550 5.6.0"),
    BAD("LF . CRLF", BETWEEN("\n.\r\n"), "550 5.6.0"),
    BAD("CRLF . LF", BETWEEN("\r\n.\n"), "550 5.6.0"),
    BAD("CR . CR", BETWEEN("\r.\r"), "550 5.6.0"),
    BAD("CR . CRLF", BETWEEN("\r.\r\n"), "550 5.6.0"),
    BAD("CRLF . CR", BETWEEN("\r\n.\r"), "550 5.6.0"),
    BAD("CR LF . CR CR LF", BETWEEN("\r\n.\r\r\n"), "550 5.6.0"),
    BAD("LF LF . CRLF", BETWEEN("\n\n.\r\n"), "550 5.6.0"),
    BAD("CRLF NUL . CRLF", BETWEEN("\r\n\0.\r\n"), "250 2.0.0"),
    BAD("CRLF . NUL CRLF", BETWEEN("\r\n.\0\r\n"), "250 2.0.0"),
    BAD("LF . CR", BETWEEN("\n.\r"), "550 5.6.0"),
    BAD("CR . LF", BETWEEN("\r.\n"), "550 5.6.0"),
    BAD("CRLF . space CRLF", BETWEEN("\r\n. \r\n"), "250 2.0.0"),
    BAD("CRLF . tab CRLF", BETWEEN("\r\n.\t\r\n"), "250 2.0.0"),
    BAD("VT . VT", BETWEEN("\v.\v"), "250 2.0.0"),
    BAD("NEL . NEL", BETWEEN("\xC2\x85.\xC2\x85"), "250 2.0.0"),
    BAD("LS . LS", BETWEEN("\xE2\x80\xA8.\xE2\x80\xA8"), "250 2.0.0"),
    BAD("by BDAT, CRLF . CRLF", CHUNKS "BDAT 31 LAST\r\nx\r\n\r\n.\r\nMAIL FROM:<e@evil.test>", "250 2.0.0"),
    BAD("by BDAT, bare LF", CHUNKS "BDAT 7 LAST\r\nx\n\n.\n\r\n", "550 5.6.0"),
    BAD("CR between chunks", CHUNKS "BDAT 2\r\nx\rBDAT 5 LAST\r\n.\r\n\r\n", "550 5.6.0"),
};

/* Lines and octets that are no commands. */
static const struct bad lines[] = {
    BAD("bare LF", "NOOP\nNOOP\r\n", "500 5.5.2"),
    BAD("bare CR", "NOOP\rNOOP\r\n", "500 5.5.2"),
    BAD("NUL", "NO\0OP\r\n", "500 5.5.2"),
    BAD("no verb", "\r\n", "500 5.5.1"),
    BAD("8 bits", "\xFF\xFE\x80\r\n", "500 5.5.1"),
    BAD("unknown", "XYZZY\r\n", "500 5.5.1"),
    BAD("wrong order", "RCPT TO:<pat@here.test>\r\n", "503 5.5.1"),
    BAD("no argument", "EHLO\r\n", "501"),
    BAD("broken path", "EHLO x\r\nMAIL FROM:<pat@\r\n", "501 5.1.7"),
    BAD("unknown parameter", "EHLO x\r\nMAIL FROM:<a@b> X=1\r\n", "555 5.5.4"),
    BAD("broken base64", "EHLO x\r\nAUTH PLAIN !!!\r\n", "501 5.5.2"),
    BAD("BDAT without a number", "EHLO x\r\nBDAT x\r\nNOOP\r\n", NULL),
    BAD("refused BDAT", "EHLO x\r\nBDAT 32 LAST\r\nMAIL FROM:<evil@remote.test>\r\n\r\n", "503 5.5.1"),
    BAD("TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\xFF\r\n", "500 5.5.2"),
    BAD("HTTP", "POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n" INNER ".\r\n", NULL),
};

static void check_last(const struct bad *bad, size_t piece, struct client *c, bool open)
{
    size_t n = bad->last == NULL ? 0 : strlen(bad->last);
    if (bad->last == NULL || c->n < 2)
        return;
    const char *last = c->said + c->n - 2;
    while (last != c->said && last[-1] != '\n')
        last--;
    if (!open || strncmp(last, bad->last, n) != 0)
        fail_msg("%s, in pieces of %zu: the last reply was: %s", bad->what, piece, last);
}

/* Says it octet by octet, or whole, while the neighbour lives; then the session takes QUIT or has ended. */
static void run_bad(struct world *w, mailsrv_profile *profile, struct neighbour *b, const struct bad *bad, size_t piece)
{
    struct client c;
    begin_client(&c, w, profile);
    live(b);
    bool open = say(&c, bad->input, bad->n, piece);
    check_last(bad, piece, &c, open);
    live(b);
    if (open) {
        say(&c, "QUIT\r\n", 6, SIZE_MAX);
        if (strcmp(c.said, "221 2.0.0 bye\r\n") != 0)
            fail_msg("%s, in pieces of %zu: QUIT was answered: %s", bad->what, piece, c.said);
    }
    mailsrv_session_free(c.session);
}

static bool holds(struct world *w, uint64_t index, const char *text)
{
    char message[4096];
    mailsrv_bytes part;
    size_t n = 0;
    for (;; n += part.n) {
        mailsrv_memory_message(w->store, &w->pat, index, n, &part);
        if (part.n == 0)
            break;
        assert_true(n + part.n < sizeof message);
        memcpy(message + n, part.p, part.n);
    }
    for (size_t i = 0; i < n; i++)
        if (message[i] == 0)
            message[i] = '0';
    message[n] = 0;
    return strstr(message, text) != NULL;
}

static void run_all(const struct bad *all, size_t n, uint64_t stored)
{
    struct world w;
    struct neighbour b;
    begin_world(&w);
    mailsrv_profile *smtp = new_profile(mailsrv_smtp(), MAILSRV_FACE_MX);
    mailsrv_profile *pop3 = new_profile(mailsrv_pop3(), MAILSRV_FACE_POP3);
    begin_neighbour(&b, &w, smtp, pop3);
    for (size_t i = 0; i < n; i++) {
        run_bad(&w, smtp, &b, &all[i], SIZE_MAX);
        run_bad(&w, smtp, &b, &all[i], 1);
        run_bad(&w, smtp, &b, &all[i], 7);
    }
    assert_int_equal(mailsrv_memory_count(w.store, &w.pat), 3 * stored);
    assert_int_equal(mailsrv_memory_count(w.store, &w.kim), b.delivered);
    assert_true(b.delivered >= n / 2);
    for (uint64_t i = 0; i < 3 * stored; i++)
        assert_false(holds(&w, i, "Return-Path: <evil@remote.test>")); /* as part of another's text it may be there */
    mailsrv_session_free(b.smtp.session);
    mailsrv_session_free(b.pop3.session);
    end_world(&w);
    mailsrv_profile_unref(smtp);
    mailsrv_profile_unref(pop3);
}

static void test_smuggling(void **state)
{
    uint64_t stored = 0;
    (void)state;
    for (size_t i = 0; i < sizeof smuggling / sizeof smuggling[0]; i++)
        stored += smuggling[i].last != NULL && smuggling[i].last[0] == '2';
    run_all(smuggling, sizeof smuggling / sizeof smuggling[0], stored);
}

static void test_lines(void **state)
{
    (void)state;
    run_all(lines, sizeof lines / sizeof lines[0], 0);
}

/* A line without end, of 64 KiB: refused once, and the next one is a command again. */
static void test_endless_line(void **state)
{
    static char line[65536 + 2];
    const struct bad endless = { "a line of 64 KiB", line, sizeof line, "500 5.5.2 line too long" };
    (void)state;
    memset(line, 'x', sizeof line - 2);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    run_all(&endless, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_endless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
