/* Ports and letters, on one thread. */
#include "world.h"

#include <mailsrv/store.h>

#include <string.h>

struct post {
    mailsrv_letter letter;
    mailsrv_port *port;
    mailsrv_engine *engine; /* that it was delivered to */
    int delivered, order;
    int again; /* so often it is posted anew when it arrives */
};

static int arrivals;

static void deliver(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct post *post = (struct post *)(void *)letter;
    post->engine = engine;
    post->delivered++;
    post->order = ++arrivals;
    if (post->again-- > 0)
        assert_int_equal(mailsrv_port_post(post->port, letter), engine == NULL ? MAILSRV_E_CLOSED : MAILSRV_OK);
}

static void wake(void *user)
{
    ++*(int *)user;
}

static struct post letter_for(mailsrv_port *port)
{
    return (struct post){ .letter = { .deliver = deliver }, .port = port };
}

static void test_letters_arrive_in_order_with_the_next_advance(void **state)
{
    struct world w;
    mailsrv_port port;
    int woken = 0;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(&port, w.engine, wake, &woken), MAILSRV_OK);
    struct post a = letter_for(&port), b = letter_for(&port);
    assert_int_equal(mailsrv_port_post(&port, &a.letter), MAILSRV_OK);
    assert_int_equal(mailsrv_port_post(&port, &b.letter), MAILSRV_OK);
    assert_int_equal(woken, 1); /* the first at an empty port */
    run(&w);
    assert_int_equal(a.delivered, 0);
    arrivals = 0;
    world_advance(&w, 0);
    assert_int_equal(a.delivered, 1);
    assert_int_equal(a.order, 1);
    assert_int_equal(b.order, 2);
    assert_ptr_equal(a.engine, w.engine);
    assert_int_equal(mailsrv_engine_stat(w.engine, MAILSRV_STAT_LETTERS), 2);
    world_advance(&w, 0);
    assert_int_equal(a.delivered, 1);
    assert_int_equal(mailsrv_port_post(&port, &a.letter), MAILSRV_OK);
    assert_int_equal(woken, 2);
    world_advance(&w, 0);
    assert_int_equal(a.delivered, 2);
    world_end(&w);
}

static void test_a_letter_may_be_posted_where_it_arrives(void **state)
{
    struct world w;
    mailsrv_port port;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(&port, w.engine, NULL, NULL), MAILSRV_OK);
    struct post a = letter_for(&port);
    a.again = 3;
    assert_int_equal(mailsrv_port_post(&port, &a.letter), MAILSRV_OK);
    for (int i = 1; i <= 6; i++) {
        world_advance(&w, 0);
        assert_int_equal(a.delivered, i < 4 ? i : 4);
    }
    world_end(&w);
}

static void test_an_engine_that_ends_gives_letters_back(void **state)
{
    struct world w;
    mailsrv_port first, second;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(&first, w.engine, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_port_open(&second, w.engine, NULL, NULL), MAILSRV_OK);
    struct post a = letter_for(&first), b = letter_for(&second), c = letter_for(&second);
    a.again = 1; /* it tries, and is told that nobody is there */
    assert_int_equal(mailsrv_port_post(&first, &a.letter), MAILSRV_OK);
    assert_int_equal(mailsrv_port_post(&second, &b.letter), MAILSRV_OK);
    world_end(&w);
    assert_int_equal(a.delivered, 1);
    assert_int_equal(b.delivered, 1);
    assert_null(a.engine);
    assert_null(b.engine);
    assert_int_equal(mailsrv_port_post(&second, &c.letter), MAILSRV_E_CLOSED);
    assert_int_equal(mailsrv_port_post(&first, &a.letter), MAILSRV_E_CLOSED);
    assert_int_equal(c.delivered, 0);
    assert_int_equal(a.delivered, 1);
}

struct late_guest {
    mailsrv_letter letter;
    struct world *world;
};

static void come_too_late(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct world *w = ((struct late_guest *)(void *)letter)->world;
    mailsrv_session *s = NULL;
    assert_null(engine);
    assert_int_equal(mailsrv_engine_free(w->engine, MAILSRV_ABANDON), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_turn(w->engine, 1), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &s), MAILSRV_E_CLOSED);
}

static void test_nothing_begins_in_an_engine_that_ends(void **state)
{
    struct world w;
    mailsrv_port port;
    (void)state;
    world_begin(&w);
    struct late_guest guest = { { .deliver = come_too_late }, &w };
    assert_int_equal(mailsrv_port_open(&port, w.engine, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_port_post(&port, &guest.letter), MAILSRV_OK);
    world_end(&w);
}

static void test_wrong_letters_are_refused(void **state)
{
    struct world w;
    mailsrv_port port;
    mailsrv_letter letter = { NULL, NULL };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(NULL, w.engine, NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_port_open(&port, NULL, NULL, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_port_open(&port, w.engine, NULL, NULL), MAILSRV_OK);
    assert_int_equal(mailsrv_port_post(NULL, &letter), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_port_post(&port, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_port_post(&port, &letter), MAILSRV_E_USAGE);
    world_end(&w);
}

/* A `release` must not call the library; one that has to say something posts a letter, which does the rest. */
static struct post from_release;
static mailsrv_op_id answered_by_letter;

static void answer_now(mailsrv_engine *engine, mailsrv_letter *letter)
{
    ((struct post *)(void *)letter)->delivered++;
    if (engine != NULL)
        assert_int_equal(mailsrv_op_answer_status(engine, answered_by_letter, MAILSRV_DENIED), MAILSRV_OK);
}

static void post_letter(void *user)
{
    assert_int_equal(mailsrv_port_post(user, &from_release.letter), MAILSRV_OK);
}

static void test_a_release_that_posts_a_letter(void **state)
{
    struct world w;
    mailsrv_port port;
    int woken = 0;
    uint8_t octets[1000] = { 0 };
    mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { octets, sizeof octets } };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(&port, w.engine, wake, &woken), MAILSRV_OK);
    from_release = (struct post){ .letter = { .deliver = answer_now }, .port = &port };
    mailsrv_session *reader = world_session(&w), *other = world_session(&w);
    say(&w, other, "ask\r\n");
    answered_by_letter = next_op(&w, MAILSRV_OP_AUTH_VERIFY)->id;
    say(&w, reader, "read 1000\r\n");
    const mailsrv_answer a = { .size = sizeof a, .value = &bytes, .release = post_letter, .user = &port };
    assert_int_equal(mailsrv_op_answer(w.engine, next_op(&w, MAILSRV_OP_READ)->id, &a), MAILSRV_OK);
    run(&w);
    assert_int_equal(mailsrv_session_sent(reader, 1002), MAILSRV_OK);
    assert_int_equal(woken, 1);
    assert_int_equal(from_release.delivered, 0);
    world_advance(&w, 0);
    assert_int_equal(from_release.delivered, 1);
    run(&w);
    expect(other, "-500\r\n");
    mailsrv_session_free(reader);
    mailsrv_session_free(other);
    world_end(&w);
}

/* And also where the engine ends with bytes still lent. */
static void test_a_release_that_posts_a_letter_at_the_end(void **state)
{
    struct world w;
    mailsrv_port port;
    uint8_t octets[1000] = { 0 };
    mailsrv_read_bytes bytes = { .size = sizeof bytes, .octets = { octets, sizeof octets } };
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_port_open(&port, w.engine, NULL, NULL), MAILSRV_OK);
    from_release = (struct post){ .letter = { .deliver = deliver }, .port = &port };
    mailsrv_session *reader = world_session(&w);
    say(&w, reader, "read 1000\r\n");
    const mailsrv_answer a = { .size = sizeof a, .value = &bytes, .release = post_letter, .user = &port };
    assert_int_equal(mailsrv_op_answer(w.engine, next_op(&w, MAILSRV_OP_READ)->id, &a), MAILSRV_OK);
    run(&w);
    mailsrv_session_free(reader);
    assert_int_equal(from_release.delivered, 0);
    world_end(&w);
    assert_int_equal(from_release.delivered, 1);
    assert_null(from_release.engine);
}

/* Those who asked to be told of the end are told once, the last first, when letters are back and nothing is lent. */
struct mourner {
    mailsrv_ending ending;
    int ended, order;
};

static void note_end(mailsrv_ending *ending)
{
    struct mourner *m = (struct mourner *)(void *)ending;
    m->ended++;
    m->order = ++arrivals;
}

static void test_the_end_is_told(void **state)
{
    struct world w;
    struct mourner a = { .ending = { .ended = note_end } }, b = a;
    (void)state;
    world_begin(&w);
    assert_int_equal(mailsrv_engine_at_end(w.engine, NULL), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_at_end(NULL, &a.ending), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_engine_at_end(w.engine, &a.ending), MAILSRV_OK);
    assert_int_equal(mailsrv_engine_at_end(w.engine, &b.ending), MAILSRV_OK);
    mailsrv_session *s = world_session(&w);
    assert_int_equal(mailsrv_engine_free(w.engine, MAILSRV_ABANDON), MAILSRV_E_BUSY);
    assert_int_equal(a.ended + b.ended, 0);
    mailsrv_session_free(s);
    arrivals = 0;
    world_end(&w);
    assert_int_equal(b.order, 1);
    assert_int_equal(a.order, 2);
    assert_int_equal(a.ended + b.ended, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters_arrive_in_order_with_the_next_advance),
        cmocka_unit_test(test_a_letter_may_be_posted_where_it_arrives),
        cmocka_unit_test(test_an_engine_that_ends_gives_letters_back),
        cmocka_unit_test(test_nothing_begins_in_an_engine_that_ends),
        cmocka_unit_test(test_wrong_letters_are_refused),
        cmocka_unit_test(test_a_release_that_posts_a_letter),
        cmocka_unit_test(test_a_release_that_posts_a_letter_at_the_end),
        cmocka_unit_test(test_the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
