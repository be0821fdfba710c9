/* IMAP over a mailbox of a million messages, and over a message of 100 MiB: it goes in slices while another session has
 * its turn, counted in units; no allocation of the engine is above 64 KiB; a session's memory is bounded, also where its
 * reader takes an octet at a time and where the store answers one at a time. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    STEP_UNITS_MAX = 300, /* of one slice */
    TURN_UNITS = 2000,    /* of the host's loop */
    TURNS_MAX = 4,        /* that a small command waits beside a large one */
    ALLOCATION_MAX = 65536,
    SESSION_MAX = 128 * 1024,
    SESSION_MAX_BODY = 256 * 1024, /* with a body on its way */
    BODY_OCTETS = 100 << 20
};

struct client {
    mailsrv_session *session;
    const char *in; /* what is still to be said */
    size_t in_n;
    uint64_t octets, lines; /* heard */
    uint64_t most_per_turn; /* octets that it takes in one turn of the loop; 0: all */
    uint64_t memory_peak;
    char tail[512]; /* the last octets, NUL-ended */
    size_t tail_n;
    const char *reply; /* the beginning of the line that is waited for */
    size_t reply_at;   /* so much of it stands at the beginning of this line; SIZE_MAX: this line is another one */
    bool replied;
    void (*heard)(struct client *client, const uint8_t *p, size_t n);
    uint64_t sum; /* of `heard` */
};

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_profile *profile;
    mailsrv_id pat, kim;
    int64_t now_us;
};

static uint32_t n_messages(void)
{
    const char *value = getenv("LARGE_MESSAGES");
    return value == NULL ? 1000000 : (uint32_t)strtoul(value, NULL, 10);
}

/* ---- The world ---- */

static void begin(struct world *w)
{
    *w = (struct world){ .now_us = 1 };
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &w->pat), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "kim", 3, "secret", 6, &w->kim), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_append(w->store, &w->kim, "Subject: 1\r\n\r\none\r\n", 19), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "imap.here.test", 14), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, w->now_us, w->now_us), MAILSRV_OK);
}

static void end(struct world *w)
{
    mailsrv_engine_turn(w->engine, 1u << 30);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_STORES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_READS), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_BODIES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_LENT), 0);
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= STEP_UNITS_MAX);
    assert_true(mailsrv_engine_stat(w->engine, MAILSRV_STAT_ALLOCATION_PEAK) <= ALLOCATION_MAX);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
}

static void fill(struct world *w, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++) {
        char text[64];
        int octets = snprintf(text, sizeof text, "Subject: %u\r\n\r\n", i);
        assert_int_equal(mailsrv_memory_append(w->store, &w->pat, text, (size_t)octets), MAILSRV_OK);
    }
}

/* ---- Clients ---- */

static void keep_tail(struct client *c, const uint8_t *p, size_t n)
{
    size_t room = sizeof c->tail - 1;
    if (n > room) {
        p += n - room;
        n = room;
    }
    size_t kept = c->tail_n < room - n ? c->tail_n : room - n;
    memmove(c->tail, c->tail + c->tail_n - kept, kept);
    memcpy(c->tail + kept, p, n);
    c->tail_n = kept + n;
    c->tail[c->tail_n] = '\0';
}

static void see_reply(struct client *c, char octet)
{
    if (octet == '\n') {
        c->reply_at = 0;
    } else if (c->reply_at != SIZE_MAX && c->reply[c->reply_at] != '\0') {
        c->reply_at = octet == c->reply[c->reply_at] ? c->reply_at + 1 : SIZE_MAX;
        c->replied = c->replied || (c->reply_at != SIZE_MAX && c->reply[c->reply_at] == '\0');
    }
}

static void hear(struct client *c, const uint8_t *p, size_t n)
{
    c->octets += n;
    for (size_t i = 0; i < n; i++) {
        c->lines += p[i] == '\n';
        see_reply(c, (char)p[i]);
    }
    if (c->heard != NULL)
        c->heard(c, p, n);
    keep_tail(c, p, n);
}

static void take_output(struct client *c)
{
    uint64_t left = c->most_per_turn == 0 ? UINT64_MAX : c->most_per_turn;
    mailsrv_out v[8];
    size_t count;
    do {
        assert_int_equal(mailsrv_session_output(c->session, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count && left != 0; i++) {
            size_t n = v[i].n < left ? v[i].n : (size_t)left;
            left -= n;
            hear(c, v[i].p, n);
            assert_int_equal(mailsrv_session_sent(c->session, n), MAILSRV_OK);
        }
    } while (count != 0 && left != 0);
}

static void feed(struct client *c)
{
    size_t taken = 0;
    if (c->in_n == 0 || (mailsrv_session_wants(c->session) & MAILSRV_WANT_READ) == 0)
        return;
    assert_int_equal(mailsrv_session_feed(c->session, (const uint8_t *)c->in, c->in_n, &taken), MAILSRV_OK);
    c->in += taken;
    c->in_n -= taken;
}

static void watch(struct client *c)
{
    mailsrv_info info = { .size = sizeof info };
    assert_int_equal(mailsrv_session_info(c->session, &info), MAILSRV_OK);
    c->memory_peak = info.memory_peak;
}

/* One turn of the host's loop. */
static void turn(struct world *w, struct client *const *clients, size_t n)
{
    w->now_us++;
    mailsrv_engine_advance(w->engine, w->now_us, w->now_us);
    for (size_t i = 0; i < n; i++)
        feed(clients[i]);
    mailsrv_engine_turn(w->engine, TURN_UNITS);
    for (size_t i = 0; i < n; i++) {
        take_output(clients[i]);
        watch(clients[i]);
    }
}

/* Says `text`; what is waited for is a line that begins with `reply`. */
static void ask(struct client *c, const char *text, const char *reply)
{
    c->reply = reply;
    c->reply_at = 0;
    c->replied = false;
    c->in = text;
    c->in_n = strlen(text);
    c->tail_n = 0;
    c->tail[0] = '\0';
    c->octets = c->lines = 0;
}

static void say(struct world *w, struct client *c, const char *text, const char *reply)
{
    struct client *one[] = { c };
    ask(c, text, reply);
    while (!c->replied || (c->tail[c->tail_n - 1] != '\n' && reply[0] != '+'))
        turn(w, one, 1);
}

static void login(struct world *w, struct client *c, const char *command)
{
    *c = (struct client){ .session = NULL };
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &c->session), MAILSRV_OK);
    say(w, c, command, "in OK");
}

static void logout(struct world *w, struct client *c)
{
    say(w, c, "out LOGOUT\r\n", "out OK");
    mailsrv_session_free(c->session);
}

/* ---- A million messages ---- */

/* `c` works on something large; meanwhile `small` says one command after the other, and waits for none of them.  How
 * many it got through. */
static unsigned say_beside(struct world *w, struct client *c, struct client *small, const char *text, const char *reply)
{
    struct client *both[] = { c, small };
    unsigned waited = 0, commands = 0;
    ask(c, text, reply);
    while (!c->replied) {
        if (commands == 0 || small->replied) {
            waited = 0;
            commands++;
            ask(small, "s FETCH 1 BODY[TEXT]\r\n", "s OK");
        }
        turn(w, both, 2);
        assert_true(++waited <= TURNS_MAX);
    }
    while (!small->replied)
        turn(w, &both[1], 1);
    return commands;
}

static void test_large_mailbox(void **state)
{
    struct world w;
    struct client c, other, small;
    uint32_t n = n_messages();
    unsigned least = n / 20000; /* small commands beside a large one */
    char text[128];
    (void)state;
    begin(&w);
    fill(&w, n);
    login(&w, &small, "in LOGIN kim secret\r\n");
    say(&w, &small, "a SELECT INBOX\r\n", "a OK");
    login(&w, &c, "in LOGIN pat secret\r\n");
    say_beside(&w, &c, &small, "a SELECT INBOX\r\n", "a OK");
    login(&w, &other, "in LOGIN pat secret\r\n");
    say_beside(&w, &other, &small, "a SELECT INBOX\r\n", "a OK");

    assert_true(say_beside(&w, &c, &small, "b SEARCH UNSEEN\r\n", "b OK") > least);
    assert_int_equal(c.lines, 2);
    snprintf(text, sizeof text, " %u\r\nb OK", n);
    assert_non_null(strstr(c.tail, text));
    assert_true(say_beside(&w, &c, &small, "c UID SEARCH NOT LARGER 100\r\n", "c OK") > least);
    assert_int_equal(c.lines, 2);

    assert_true(say_beside(&w, &c, &small, "d STORE 1:* +FLAGS.SILENT (\\Flagged)\r\n", "d OK") > least);
    assert_int_equal(c.lines, 1);
    assert_true(say_beside(&w, &other, &small, "d NOOP\r\n", "d OK") > least);
    assert_int_equal(other.lines, (uint64_t)n + 1);
    assert_true(say_beside(&w, &c, &small, "e STORE 1:* +FLAGS (\\Seen)\r\n", "e OK") > least);
    assert_int_equal(c.lines, (uint64_t)n + 1);
    snprintf(text, sizeof text, "* %u FETCH (FLAGS (\\Seen \\Flagged \\Recent))\r\ne OK", n);
    assert_non_null(strstr(c.tail, text));
    assert_true(say_beside(&w, &c, &small, "f FETCH 1:* (UID RFC822.SIZE)\r\n", "f OK") > least);
    assert_int_equal(c.lines, (uint64_t)n + 1);

    snprintf(text, sizeof text, "g STORE 1:%u +FLAGS.SILENT (\\Deleted)\r\n", n / 10);
    say_beside(&w, &c, &small, text, "g OK");
    assert_true(say_beside(&w, &c, &small, "h EXPUNGE\r\n", "h OK") > least);
    assert_int_equal(c.lines, (uint64_t)n / 10 + 1);
    assert_int_equal(mailsrv_memory_count(w.store, &w.pat), n - n / 10);
    say_beside(&w, &other, &small, "h NOOP\r\n", "h OK");
    say_beside(&w, &c, &small, "i COPY 1:* INBOX\r\n", "i OK");
    snprintf(text, sizeof text, " %u:%u %u:%u] ", n / 10 + 1, n, n + 1, n + n - n / 10);
    assert_non_null(strstr(c.tail, text));

    assert_true(c.memory_peak <= SESSION_MAX);
    assert_true(other.memory_peak <= SESSION_MAX);
    logout(&w, &small);
    logout(&w, &other);
    logout(&w, &c);
    end(&w);
}

/* Where every second message is left, a set of all that there are is long: COPYUID has both of its sets whole. */
static void test_scattered_copy(void **state)
{
    enum { MESSAGES = 6000 };
    static char expected[MESSAGES * 8];
    struct world w;
    struct client c;
    size_t at = 0;
    (void)state;
    begin(&w);
    fill(&w, MESSAGES);
    for (uint32_t uid = 2; uid <= MESSAGES; uid += 2)
        assert_int_equal(mailsrv_memory_expunge(w.store, &w.pat, (mailsrv_run){ uid, uid }), MAILSRV_OK);
    login(&w, &c, "in LOGIN pat secret\r\n");
    say(&w, &c, "a SELECT INBOX\r\n", "a OK");
    say(&w, &c, "b UID COPY 1:* INBOX\r\n", "b OK");
    for (uint32_t uid = 1; uid <= MESSAGES; uid += 2)
        at += (size_t)snprintf(expected + at, sizeof expected - at, "%s%u", uid == 1 ? "" : ",", uid);
    char begins[64], ends[64];
    int first = snprintf(begins, sizeof begins, "* %u EXISTS\r\n* %u RECENT\r\nb OK [COPYUID 1 ", MESSAGES, MESSAGES);
    int last = snprintf(ends, sizeof ends, " %u:%u] COPY completed\r\n", MESSAGES + 1, MESSAGES + MESSAGES / 2);
    assert_non_null(strstr(c.tail, ends));
    assert_int_equal(c.octets, (size_t)first + at + (size_t)last);
    assert_non_null(strstr(c.tail, expected + at - 300));
    logout(&w, &c);
    end(&w);
}

/* ---- A large message ---- */

static const char line[] = "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklm\r\n";

enum { LINE = sizeof line - 1 };

/* Counts what is as it was sent: the octets of the literal are the line, over and over. */
static void compare(struct client *c, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->sum += p[i] == (uint8_t)line[c->sum % LINE];
}

static uint64_t append_large(struct world *w, struct client *c, uint64_t octets)
{
    static char block[1024 * LINE];
    struct client *one[] = { c };
    char text[64];
    for (size_t i = 0; i < 1024; i++)
        memcpy(block + i * LINE, line, LINE);
    snprintf(text, sizeof text, "b APPEND INBOX {%llu}\r\n", (unsigned long long)octets);
    say(w, c, text, "+ ");
    for (uint64_t left = octets; left != 0;) {
        size_t n = left < sizeof block ? (size_t)left : sizeof block;
        c->in = block;
        c->in_n = n;
        left -= n;
        while (c->in_n != 0)
            turn(w, one, 1);
    }
    say(w, c, "\r\n", "b OK [APPENDUID");
    return octets;
}

static void fetch_large(struct world *w, struct client *c, uint64_t octets)
{
    char text[64];
    say(w, c, "c SELECT INBOX\r\n", "c OK");
    int before = snprintf(text, sizeof text, "* 1 FETCH (BODY[] {%llu}\r\n", (unsigned long long)octets);
    c->sum = 0;
    say(w, c, "d FETCH 1 BODY.PEEK[]\r\n", "d OK");
    assert_int_equal(c->octets, (uint64_t)before + octets + strlen(")\r\nd OK FETCH completed\r\n"));
}

static void test_large_message(void **state)
{
    struct world w;
    struct client c;
    (void)state;
    begin(&w);
    login(&w, &c, "in LOGIN pat secret\r\n");
    append_large(&w, &c, BODY_OCTETS);
    fetch_large(&w, &c, BODY_OCTETS);
    uint64_t at = 0;
    for (mailsrv_bytes part = { NULL, 1 }; at < BODY_OCTETS; at += part.n) {
        assert_int_equal(mailsrv_memory_message(w.store, &w.pat, 0, at, &part), MAILSRV_OK);
        for (size_t i = 0; i < part.n; i++)
            if (part.p[i] != (uint8_t)line[(at + i) % LINE])
                fail_msg("octet %llu", (unsigned long long)(at + i));
    }
    assert_int_equal(at, BODY_OCTETS);
    assert_true(c.memory_peak <= SESSION_MAX_BODY);
    logout(&w, &c);
    end(&w);
}

/* A few octets at a time, out of the store and out to the client. */
static void slowly(uint64_t octets, uint64_t read_octets, uint64_t lends, uint64_t most_per_turn)
{
    struct world w;
    struct client c;
    begin(&w);
    assert_int_equal(mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_READ_OCTETS, read_octets), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_READ_LENDS, lends), MAILSRV_OK);
    login(&w, &c, "in LOGIN pat secret\r\n");
    append_large(&w, &c, octets);
    c.most_per_turn = most_per_turn;
    c.heard = compare;
    fetch_large(&w, &c, octets);
    assert_true(c.memory_peak <= SESSION_MAX);
    logout(&w, &c);
    end(&w);
}

static void test_store_gives_an_octet_at_a_time(void **state)
{
    (void)state;
    slowly(40 * 1024, 1, 1, 0);
    slowly(40 * 1024, 1, 0, 0);
}

static void test_client_takes_an_octet_at_a_time(void **state)
{
    (void)state;
    slowly(40 * 1024, 0, 1, 1);
    slowly(40 * 1024, 0, 0, 1);
    slowly(1024 * 1024, 0, 0, 64); /* more than a session may hold */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_mailbox),
        cmocka_unit_test(test_scattered_copy),
        cmocka_unit_test(test_large_message),
        cmocka_unit_test(test_store_gives_an_octet_at_a_time),
        cmocka_unit_test(test_client_takes_an_octet_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
