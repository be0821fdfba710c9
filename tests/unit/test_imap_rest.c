/* IMAP: what goes from a mailbox while a session rests between two commands is bounded, and means the same afterwards. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 12000, GONE = MESSAGES / 2, OUT_ROOM = 1 << 20, REST_OCTETS_MAX = 32 * 1024 };

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_profile *profile;
    mailsrv_session *session;
    mailsrv_id pat, inbox;
    char *out; /* what was heard since the last line was said, NUL-ended */
    size_t n;
};

static void turn(struct world *w)
{
    mailsrv_out v[8];
    size_t count;
    do {
        mailsrv_engine_turn(w->engine, 1u << 30);
        assert_int_equal(mailsrv_session_output(w->session, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(v[i].n < OUT_ROOM - w->n);
            memcpy(w->out + w->n, v[i].p, v[i].n);
            w->n += v[i].n;
            mailsrv_session_sent(w->session, v[i].n);
        }
    } while (count != 0);
    w->out[w->n] = '\0';
}

static void say(struct world *w, const char *text)
{
    size_t taken, n = strlen(text);
    w->n = 0;
    assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, n, &taken), MAILSRV_OK);
    assert_int_equal(taken, n);
    turn(w);
}

static void begin(struct world *w, uint64_t history)
{
    *w = (struct world){ .out = malloc(OUT_ROOM) };
    mailsrv_memory_new(NULL, &w->store);
    mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &w->pat);
    mailsrv_memory_find_mailbox(w->store, &w->pat, "INBOX", 5, &w->inbox);
    assert_int_equal(mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_HISTORY, history), MAILSRV_OK);
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_int_equal(mailsrv_memory_append(w->store, &w->inbox, "a: b\r\n\r\n", 8), MAILSRV_OK);
    mailsrv_engine_new(NULL, &w->engine);
    mailsrv_store_bind(w->store, w->engine);
    mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile);
    mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "imap.here.test", 14);
    mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    assert_int_equal(mailsrv_profile_seal(w->profile, NULL), MAILSRV_OK);
    mailsrv_engine_advance(w->engine, 1, 1);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session), MAILSRV_OK);
    say(w, "a LOGIN pat secret\r\n");
    say(w, "b SELECT INBOX\r\n");
    assert_non_null(strstr(w->out, "\r\nb OK [READ-WRITE]"));
}

/* Every second message goes, and the engine is told: no two of them are one run. */
static void expunge_every_second(struct world *w)
{
    for (uint32_t uid = 2; uid <= MESSAGES; uid += 2)
        mailsrv_memory_expunge(w->store, &w->inbox, (mailsrv_run){ uid, uid });
    mailsrv_notify(w->engine, &w->inbox, 0);
    turn(w);
}

static void end(struct world *w)
{
    mailsrv_session_free(w->session);
    mailsrv_engine_turn(w->engine, 1u << 30);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_STORES), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
    free(w->out);
}

static uint32_t count_lines(const char *text, const char *ending)
{
    uint32_t n = 0;
    for (; (text = strstr(text, ending)) != NULL; text += strlen(ending))
        n++;
    return n;
}

static void test_what_goes_meanwhile_is_bounded_and_told(void **state)
{
    struct world w;
    (void)state;
    begin(&w, UINT64_MAX);
    uint64_t before = mailsrv_engine_stat(w.engine, MAILSRV_STAT_IMAGES_OCTETS);
    expunge_every_second(&w);
    uint64_t after = mailsrv_engine_stat(w.engine, MAILSRV_STAT_IMAGES_OCTETS);
    /* the image has its holes as runs; its view has not what went as runs beside */
    mailsrv_run *runs = NULL;
    assert_true(after < before + GONE * 2 * sizeof *runs + REST_OCTETS_MAX);
    say(&w, "c FETCH 1:3 UID\r\n"); /* the numbers are what they were */
    assert_non_null(strstr(w.out, "* 1 FETCH (UID 1)\r\n"));
    assert_non_null(strstr(w.out, "* 3 FETCH (UID 3)\r\n"));
    assert_null(strstr(w.out, "* 2 FETCH"));
    assert_null(strstr(w.out, "EXPUNGE\r\n"));
    assert_non_null(strstr(w.out, "c NO [EXPUNGEISSUED]"));
    say(&w, "d NOOP\r\n");
    assert_int_equal(count_lines(w.out, " EXPUNGE\r\n"), GONE);
    assert_memory_equal(w.out, "* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n", 26);
    assert_non_null(strstr(w.out, "\r\nd OK "));
    say(&w, "e FETCH 6000 UID\r\n");
    assert_memory_equal(w.out, "* 6000 FETCH (UID 11999)\r\n", 26);
    end(&w);
}

static void test_in_idle_all_is_told(void **state)
{
    struct world w;
    (void)state;
    begin(&w, UINT64_MAX);
    say(&w, "c IDLE\r\n");
    w.n = 0;
    expunge_every_second(&w);
    assert_int_equal(count_lines(w.out, " EXPUNGE\r\n"), GONE);
    say(&w, "DONE\r\n");
    assert_memory_equal(w.out, "c OK ", 5);
    end(&w);
}

/* Nobody knows any more what the numbers mean. */
static void test_without_history_the_session_ends(void **state)
{
    struct world w;
    (void)state;
    begin(&w, 0);
    expunge_every_second(&w);
    say(&w, "c FETCH 1:3 UID\r\n");
    assert_memory_equal(w.out, "* BYE ", 6);
    assert_true((mailsrv_session_wants(w.session) & MAILSRV_WANT_CLOSE) != 0);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_meanwhile_is_bounded_and_told),
        cmocka_unit_test(test_in_idle_all_is_told),
        cmocka_unit_test(test_without_history_the_session_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
