/* Taps over a message that comes by SMTP, or by APPEND: what they see, what they ask at its end, what their facts do.
 *
 * The machine is SMTP's or IMAP's with taps of the test's own added to the profile. */
#include "core/tap.h"
#include "smtp/smtp.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- Taps ---- */

enum { SEEN_MAX = 256 };

static struct seen {
    char p[SEEN_MAX];
    size_t n;
    unsigned begun, ended;
} seen[2];

struct asking {
    unsigned which;
    unsigned answers;
};

static void begin(void *state, unsigned which)
{
    struct asking *a = state;
    assert_int_equal(a->answers, 0); /* a state of zeros */
    a->which = which;
    seen[which].begun++;
    seen[which].n = 0;
}

static void begin_first(void *state, mailsrv_session *session)
{
    (void)session;
    begin(state, 0);
}

static void begin_second(void *state, mailsrv_session *session)
{
    (void)session;
    begin(state, 1);
}

static void bytes(void *state, struct span octets)
{
    struct seen *s = &seen[((const struct asking *)state)->which];
    assert_true(octets.n <= sizeof s->p - s->n);
    memcpy(s->p + s->n, octets.p, octets.n);
    s->n += octets.n;
}

/* Asks about an address; that is as good a question as any. */
static void ask(mailsrv_session *session, struct span address)
{
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_RESOLVE, mailsrv__ask_octets(address.n));
    if (ask.op != NULL)
        ((mailsrv_arg_resolve *)ask.arg)->address = mailsrv__ask_copy(&ask, address);
}

static void end(void *state, mailsrv_session *session, struct facts *facts)
{
    const struct asking *a = state;
    seen[a->which].ended++;
    assert_int_equal(facts->status, MAILSRV_OK);
    if (a->which == 0)
        ask(session, SPAN("one@taps.test"));
    ask(session, a->which == 0 ? SPAN("two@taps.test") : SPAN("three@taps.test"));
}

/* The first tap asks twice, then once more; the second once. */
static void answered(void *state, mailsrv_session *session, unsigned first, struct facts *facts)
{
    struct asking *a = state;
    a->answers++;
    if (a->which == 0 && a->answers == 1) {
        assert_int_equal(first, 0);
        assert_int_equal(mailsrv__answer(session, first)->status, MAILSRV_NONEXISTENT);
        assert_int_equal(mailsrv__answer(session, first + 1)->status, MAILSRV_OK);
        ask(session, SPAN("four@taps.test"));
        return;
    }
    assert_int_equal(first, a->which == 0 ? 0 : 2);
    assert_int_equal(a->answers, a->which == 0 ? 2 : 1);
    facts->status = mailsrv__answer(session, first)->status;
    facts->text = SPAN("said by a tap");
}

static const struct tap taps[] = {
    { sizeof(struct asking), begin_first, bytes, end, answered, NULL, NULL },
    { sizeof(struct asking), begin_second, bytes, end, answered, NULL, NULL },
};

/* ---- A world: engine, store, session ---- */

static struct smtp_machine copy; /* of the protocol's, whichever that is */
static const mailsrv_machine *(*protocol)(void) = mailsrv_smtp;

static void defaults(mailsrv_profile *profile)
{
    protocol()->defaults(profile);
    assert_true(mailsrv__profile_tap(profile, &taps[0]));
    assert_true(mailsrv__profile_tap(profile, &taps[1]));
}

static void (*wanted)(mailsrv_profile *profile) = defaults;

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_session *session;
    int32_t statuses[2]; /* of three@ and four@ */
    char asked[256];
    char out[2048];
    size_t out_n;
};

/* Questions of taps are answered here, all others by the store. */
static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    struct span address = mailsrv__span(((const mailsrv_arg_resolve *)op->arg)->address);
    if (address.n < 10 || memcmp(address.p + address.n - 10, "@taps.test", 10) != 0) {
        mailsrv_memory_handle(w->store, engine, op);
        return;
    }
    strncat(w->asked, address.p, address.n - 10);
    strcat(w->asked, " ");
    int32_t status = MAILSRV_NONEXISTENT;
    if (address.p[0] == 't')
        status = address.p[1] == 'w' ? MAILSRV_OK : w->statuses[0];
    else if (address.p[0] == 'f')
        status = w->statuses[1];
    const mailsrv_destination to = { .kind = MAILSRV_TARGET_QUEUE };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    const mailsrv_answer answer = { .size = sizeof answer,
                                    .status = status,
                                    .value = status == MAILSRV_OK ? &value : NULL };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

static void make_session(struct world *w)
{
    mailsrv_profile *profile;
    int32_t face = protocol == mailsrv_imap ? MAILSRV_FACE_IMAP : MAILSRV_FACE_MX;
    if (protocol == mailsrv_smtp)
        copy = *(const struct smtp_machine *)(const void *)mailsrv_smtp();
    else
        copy.machine = *protocol();
    copy.machine.defaults = wanted;
    assert_int_equal(mailsrv_profile_new(NULL, &copy.machine, face, &profile), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, profile, NULL, NULL, &w->session), MAILSRV_OK);
    mailsrv_profile_unref(profile);
}

static void begin_world(struct world *w)
{
    mailsrv_id id;
    *w = (struct world){ 0 };
    memset(seen, 0, sizeof seen);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "x", 1, &id), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, "pat@here.test", 13, &id, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_RESOLVE, resolve, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
    make_session(w);
}

static void end_world(struct world *w)
{
    mailsrv_session_free(w->session);
    while (mailsrv_engine_turn(w->engine, 1000) == MAILSRV_MORE)
        continue;
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_BODIES), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
}

static void take_output(struct world *w)
{
    mailsrv_out v[4];
    size_t count;
    do {
        assert_int_equal(mailsrv_session_output(w->session, v, 4, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(v[i].n < sizeof w->out - w->out_n);
            memcpy(w->out + w->out_n, v[i].p, v[i].n);
            w->out_n += v[i].n;
            assert_int_equal(mailsrv_session_sent(w->session, v[i].n), MAILSRV_OK);
        }
    } while (count != 0);
    w->out[w->out_n] = 0;
}

static void say(struct world *w, const char *text)
{
    size_t n = strlen(text), at = 0, taken;
    while (at < n) {
        assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text + at, n - at, &taken), MAILSRV_OK);
        at += taken;
        assert_int_equal(mailsrv_engine_turn(w->engine, 100000), MAILSRV_OK);
        take_output(w);
    }
}

static void send_message(struct world *w)
{
    say(w, "EHLO x\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n");
    w->out_n = 0;
    say(w, "Return-Path: <x>\r\na: b\r\n\r\n..\r\nbody\r\n.\r\n");
}

/* ---- Tests ---- */

/* A tap sees what is stored: without dots and dropped fields. */
static void test_taps_see_and_ask(void **state)
{
    (void)state;
    struct world w;
    begin_world(&w);
    w.statuses[0] = w.statuses[1] = MAILSRV_OK;
    send_message(&w);
    assert_string_equal(w.out, "250 2.0.0 accepted\r\n");
    assert_string_equal(w.asked, "one two three four "); /* side by side, then what the first answers led to */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(seen[i].begun, 1);
        assert_int_equal(seen[i].ended, 1);
        assert_int_equal(seen[i].n, 17);
        assert_memory_equal(seen[i].p, "a: b\r\n\r\n.\r\nbody\r\n", 17);
    }
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_MESSAGES), 1);
    end_world(&w);
}

static void refused(int32_t of_second, int32_t of_first, const char *expected)
{
    struct world w;
    begin_world(&w);
    w.statuses[0] = of_second;
    w.statuses[1] = of_first;
    send_message(&w);
    assert_string_equal(w.out, expected);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_MESSAGES), 0);
    end_world(&w);
}

static void test_a_tap_refuses(void **state)
{
    (void)state;
    refused(MAILSRV_OK, MAILSRV_NOPERM, "550 5.7.1 said by a tap\r\n");
    refused(MAILSRV_NOPERM, MAILSRV_OK, "550 5.7.1 said by a tap\r\n");
    refused(MAILSRV_FULL, MAILSRV_NOPERM, "452 4.3.1 said by a tap\r\n"); /* the one that was answered first */
}

/* The session goes while a tap waits. */
static void test_gone_while_a_tap_waits(void **state)
{
    (void)state;
    struct world w;
    begin_world(&w);
    say(&w, "EHLO x\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n");
    static const char message[] = "x\r\n.\r\n";
    size_t taken;
    assert_int_equal(mailsrv_session_feed(w.session, (const uint8_t *)message, sizeof message - 1, &taken), MAILSRV_OK);
    while (seen[1].ended == 0)
        mailsrv_engine_turn(w.engine, 1);
    end_world(&w);
}

/* ---- APPEND ---- */

static const char *append(struct world *w, int32_t of_second, int32_t of_first)
{
    protocol = mailsrv_imap;
    begin_world(w);
    protocol = mailsrv_smtp;
    w->statuses[0] = of_second;
    w->statuses[1] = of_first;
    say(w, "in LOGIN pat x\r\n");
    w->out_n = 0;
    say(w, "a APPEND INBOX {28+}\r\nReturn-Path: <x>\r\n\r\n.\nbody\r\n\r\n");
    return w->out;
}

/* What a client stores is seen, and kept, as it came. */
static void test_append_goes_through_taps(void **state)
{
    struct world w;
    (void)state;
    assert_memory_equal(append(&w, MAILSRV_OK, MAILSRV_OK), "a OK [APPENDUID ", 16);
    assert_string_equal(w.asked, "one two three four ");
    assert_int_equal(seen[0].n, 28);
    assert_memory_equal(seen[1].p, "Return-Path: <x>\r\n\r\n.\nbody\r\n", 28);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_MESSAGES), 1);
    end_world(&w);
}

static void test_a_tap_refuses_an_append(void **state)
{
    struct world w;
    (void)state;
    assert_string_equal(append(&w, MAILSRV_OK, MAILSRV_NOPERM), "a NO [NOPERM] said by a tap\r\n");
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_MESSAGES), 0);
    assert_int_equal(mailsrv_memory_stat(w.store, MAILSRV_MEMORY_STAT_BODIES), 0);
    end_world(&w);
}

/* ---- Limits ---- */

static unsigned n_asked;

static void ask_five(void *state, mailsrv_session *session, struct facts *facts)
{
    (void)state;
    (void)facts;
    for (unsigned i = 0; i < 5; i++)
        n_asked += mailsrv__ask(session, MAILSRV_OP_RESOLVE, 0).op != NULL;
}

static void see_five(void *state, mailsrv_session *session, unsigned first, struct facts *facts)
{
    (void)state;
    facts->status = mailsrv__answer(session, first + ASKED_MAX)->status; /* there is no fifth */
}

static const struct tap five = { sizeof(struct asking), begin_first, bytes, ask_five, see_five, NULL, NULL };

static void defaults_with_five(mailsrv_profile *profile)
{
    mailsrv_smtp()->defaults(profile);
    assert_true(mailsrv__profile_tap(profile, &five));
}

static void test_questions_are_limited(void **state)
{
    (void)state;
    struct world w;
    wanted = defaults_with_five;
    begin_world(&w);
    wanted = defaults;
    send_message(&w);
    assert_int_equal(n_asked, ASKED_MAX);
    assert_string_equal(w.out, "451 4.3.0 try again later\r\n");
    end_world(&w);
}

static void test_taps_are_limited(void **state)
{
    (void)state;
    mailsrv_profile *profile;
    copy = *(const struct smtp_machine *)(const void *)mailsrv_smtp();
    assert_int_equal(mailsrv_profile_new(NULL, &copy.machine, MAILSRV_FACE_MX, &profile), MAILSRV_OK);
    unsigned n = 0;
    while (mailsrv__profile_tap(profile, &taps[0]))
        n++;
    assert_int_equal(n, TAPS_MAX - 2); /* two are SMTP's own */
    mailsrv_profile_unref(profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taps_see_and_ask),        cmocka_unit_test(test_a_tap_refuses),
        cmocka_unit_test(test_gone_while_a_tap_waits),  cmocka_unit_test(test_questions_are_limited),
        cmocka_unit_test(test_taps_are_limited),        cmocka_unit_test(test_append_goes_through_taps),
        cmocka_unit_test(test_a_tap_refuses_an_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
