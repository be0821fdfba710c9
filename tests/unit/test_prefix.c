/* A field that POLICY puts before a message is a field of that message: what SEARCH and FETCH say of it does not depend
 * on whether the structure tells, which is of the body alone. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/policy.h>
#include <mailsrv/stores/memory.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct world {
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_session *session;
    const char *fields; /* that POLICY adds */
    char said[8192];
    size_t n;
};

static void policy(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct world *w = user;
    const mailsrv_verdict verdict = { .size = sizeof verdict,
                                      .verdict = MAILSRV_POLICY_ADD_FIELDS,
                                      .fields = { (const uint8_t *)w->fields, strlen(w->fields) } };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &verdict };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

static void begin(struct world *w, const char *fields)
{
    mailsrv_id id;
    memset(w, 0, sizeof *w);
    w->fields = fields;
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &id), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, "pat@here.test", 13, &id, 1), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(NULL, &w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_serve(w->engine, MAILSRV_OP_POLICY, policy, w), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_advance(w->engine, 1, 1), MAILSRV_OK);
}

static void end(struct world *w)
{
    while (mailsrv_engine_turn(w->engine, 1000) == MAILSRV_MORE)
        continue;
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    mailsrv_store_free(w->store);
}

static void turn(struct world *w)
{
    int32_t status;
    do {
        mailsrv_out v[8];
        size_t count, n = 0;
        status = mailsrv_engine_turn(w->engine, 1000);
        assert_int_equal(mailsrv_session_output(w->session, v, 8, &count), MAILSRV_OK);
        for (size_t i = 0; i < count; i++) {
            assert_true(v[i].n < sizeof w->said - w->n);
            memcpy(w->said + w->n, v[i].p, v[i].n);
            w->n += v[i].n;
            n += v[i].n;
        }
        w->said[w->n] = 0;
        mailsrv_session_sent(w->session, n);
    } while (status == MAILSRV_MORE);
}

/* One session says all that; what was said to it is in w->said. */
static void speak(struct world *w, const mailsrv_machine *machine, int32_t face, const char *text)
{
    mailsrv_profile *profile;
    size_t left = strlen(text), taken;
    assert_int_equal(mailsrv_profile_new(NULL, machine, face, &profile), MAILSRV_OK);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_POLICY_STAGES, MAILSRV_STAGE_HEADERS);
    assert_int_equal(mailsrv_profile_seal(profile, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w->engine, profile, NULL, NULL, &w->session), MAILSRV_OK);
    w->n = 0;
    turn(w);
    while (left != 0) {
        assert_int_equal(mailsrv_session_feed(w->session, (const uint8_t *)text, left, &taken), MAILSRV_OK);
        text += taken;
        left -= taken;
        turn(w);
    }
    mailsrv_session_free(w->session);
    mailsrv_profile_unref(profile);
}

static void deliver(struct world *w)
{
    speak(w, mailsrv_smtp(), MAILSRV_FACE_MX,
          "HELO me.test\r\nMAIL FROM:<a@me.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n"
          "From: a@me.test\r\n\r\ntext\r\n.\r\n");
    assert_non_null(strstr(w->said, "250 2.0.0 accepted"));
}

static void a_field_of_policy_is_found(void **state)
{
    struct world w;
    (void)state;
    begin(&w, "X-Seen: yes\r\nsubject: marked\r\n");
    deliver(&w);
    speak(&w, mailsrv_imap(), MAILSRV_FACE_IMAP,
          "a LOGIN pat secret\r\nb SELECT INBOX\r\nc SEARCH SUBJECT marked\r\nd SEARCH NOT SUBJECT marked\r\n"
          "e FETCH 1 ENVELOPE\r\n");
    assert_non_null(strstr(w.said, "* SEARCH 1\r\nc OK"));
    assert_non_null(strstr(w.said, "* SEARCH\r\nd OK"));
    assert_non_null(strstr(w.said, "ENVELOPE (NIL \"marked\" "));
    end(&w);
}

/* What no structure names changes nothing. */
static void other_fields_leave_the_structure(void **state)
{
    struct world w;
    (void)state;
    begin(&w, "X-Subject: one\r\nX-Seen: yes,\r\n Subject: two\r\n");
    deliver(&w);
    speak(&w, mailsrv_imap(), MAILSRV_FACE_IMAP,
          "a LOGIN pat secret\r\nb SELECT INBOX\r\nc SEARCH SUBJECT \"\"\r\nd FETCH 1 ENVELOPE\r\n");
    assert_non_null(strstr(w.said, "* SEARCH\r\nc OK"));
    assert_non_null(strstr(w.said, "ENVELOPE (NIL NIL "));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_of_policy_is_found),
        cmocka_unit_test(other_fields_leave_the_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
