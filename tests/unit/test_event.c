/* The ring of events, and statistics. */
#include "world.h"

#include <string.h>

static mailsrv_engine *engine_with_events(struct world *w, uint64_t events)
{
    mailsrv_config *c;
    mailsrv_engine *e;
    assert_int_equal(mailsrv_config_new(&w->heap.allocator, &c), MAILSRV_OK);
    assert_int_equal(mailsrv_config_set_u64(c, MAILSRV_CONFIG_EVENTS_MAX, events), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_new(c, &e), MAILSRV_OK);
    mailsrv_config_free(c);
    assert_int_equal(mailsrv_engine_advance(e, 5, 77), MAILSRV_OK);
    return e;
}

static void begin_and_end(struct world *w, mailsrv_engine *e)
{
    mailsrv_session *s;
    assert_int_equal(mailsrv_server_new(e, w->profile, NULL, NULL, &s), MAILSRV_OK);
    mailsrv_session_free(s);
}

static void test_sessions_begin_and_end(void **state)
{
    struct world w;
    const mailsrv_event *event = NULL;
    (void)state;
    world_begin(&w);
    mailsrv_engine *e = engine_with_events(&w, 4);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_E_CLOSED);
    assert_null(event);
    begin_and_end(&w, e);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_OK);
    assert_int_equal(event->size, sizeof *event);
    assert_int_equal(event->what, MAILSRV_EVENT_SESSION_BEGAN);
    assert_int_equal(event->session_id, 1);
    assert_int_equal(event->unix_us, 77);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_OK);
    assert_int_equal(event->what, MAILSRV_EVENT_SESSION_ENDED);
    assert_true(event->text.n != 0); /* why */
    begin_and_end(&w, e);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_OK);
    assert_int_equal(event->session_id, 2); /* never reused */
    assert_int_equal(mailsrv_engine_free(e, 0), MAILSRV_OK);
    world_end(&w);
}

/* The oldest are kept, the rest is counted. */
static void test_a_full_ring_counts_what_it_drops(void **state)
{
    struct world w;
    const mailsrv_event *event;
    (void)state;
    world_begin(&w);
    mailsrv_engine *e = engine_with_events(&w, 3);
    for (int i = 0; i < 5; i++)
        begin_and_end(&w, e);
    assert_int_equal(mailsrv_engine_stat(e, MAILSRV_STAT_EVENTS_DROPPED), 7);
    for (uint64_t id = 1, n = 0; n < 3; n++) {
        assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_OK);
        assert_int_equal(event->session_id, id + n / 2);
    }
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_E_CLOSED);
    begin_and_end(&w, e); /* there is room again, across the end of the ring */
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_OK);
    assert_int_equal(event->session_id, 6);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_E_CLOSED);
    assert_int_equal(mailsrv_engine_free(e, 0), MAILSRV_OK);
    world_end(&w);
}

static void test_without_a_ring_all_are_dropped(void **state)
{
    struct world w;
    const mailsrv_event *event;
    (void)state;
    world_begin(&w);
    mailsrv_engine *e = engine_with_events(&w, 0);
    begin_and_end(&w, e);
    assert_int_equal(mailsrv_engine_next_event(e, &event), MAILSRV_E_CLOSED);
    assert_int_equal(mailsrv_engine_stat(e, MAILSRV_STAT_EVENTS_DROPPED), 2);
    assert_int_equal(mailsrv_engine_free(e, 0), MAILSRV_OK);
    world_end(&w);
}

/* What a peer sent may be in a text: nothing of it can end a line of a log. */
static void test_texts_are_printable_and_short(void **state)
{
    struct world w;
    const mailsrv_event *event;
    mailsrv_session *s;
    (void)state;
    world_begin(&w);
    mailsrv_profile *p;
    assert_int_equal(mailsrv_profile_new(&w.heap.allocator, mailsrv_smtp(), MAILSRV_FACE_MX, &p), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_set_str(p, MAILSRV_PROFILE_HOSTNAME, "mx.test", 7), MAILSRV_OK);
    assert_int_equal(mailsrv_profile_seal(p, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_server_new(w.engine, p, NULL, NULL, &s), MAILSRV_OK);
    feed(s, "HELO x\r\nMAIL FROM:<>\r\n");
    feed(s, "RCPT TO:<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@here.test>\r\n");
    static const char evil[] =
        "evil\r\n\x07\x1b[31m text that goes on and on and on and on and on and on and on and on "
        "and on and on and on and on and on and on and on and on and on and on and on and on";
    const mailsrv_op *op;
    run(&w);
    while (mailsrv_engine_next_op(w.engine, &op) == MAILSRV_OK) {
        const mailsrv_answer no = { .size = sizeof no,
                                    .status = MAILSRV_NONEXISTENT,
                                    .text = { (const uint8_t *)evil, sizeof evil - 1 } };
        assert_int_equal(mailsrv_op_answer(w.engine, op->id, &no), MAILSRV_OK);
    }
    run(&w);
    unsigned refusals = 0;
    while (mailsrv_engine_next_event(w.engine, &event) == MAILSRV_OK) {
        refusals += event->what == MAILSRV_EVENT_RECIPIENT_REFUSED;
        assert_true(event->text.n <= 200);
        for (size_t i = 0; i < event->text.n; i++)
            assert_in_range(event->text.p[i], 0x20, 0x7E);
    }
    assert_int_equal(refusals, 1);
    mailsrv_session_free(s);
    mailsrv_profile_unref(p);
    world_end(&w);
}

static void test_statistics_tell_what_is_there(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    uint64_t memory = mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY);
    mailsrv_session *s = world_session(&w);
    say(&w, s, "pair\r\n");
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_SESSIONS), 1);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_QUEUED), 2);
    const mailsrv_op *op = next_op(&w, MAILSRV_OP_RESOLVE);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_QUEUED), 1);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OUT), 1);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OCTETS) > 0);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY) > memory);
    answer(&w, op, MAILSRV_TEMP, NULL);
    answer(&w, next_op(&w, MAILSRV_OP_RESOLVE), MAILSRV_TEMP, NULL);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_OPS_OUT), 0);
    run(&w);
    expect(s, "-400\r\n-400\r\n");
    mailsrv_session_free(s);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY), memory);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY_PEAK) > memory);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_ALLOCATION_PEAK) > 0);
    assert_true(mailsrv_engine_stat(w.engine, MAILSRV_STAT_STEP_UNITS_PEAK) > 0);
    assert_int_equal(mailsrv_engine_stat(w.engine, 0), 0);
    assert_int_equal(mailsrv_engine_stat(w.engine, 999), 0);
    assert_int_equal(mailsrv_engine_stat(NULL, MAILSRV_STAT_MEMORY), 0);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_begin_and_end),         cmocka_unit_test(test_a_full_ring_counts_what_it_drops),
        cmocka_unit_test(test_without_a_ring_all_are_dropped), cmocka_unit_test(test_texts_are_printable_and_short),
        cmocka_unit_test(test_statistics_tell_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
