/* What SQLite appends to its log, gathered: in the order of asking, whole with the end of each transaction, and nothing
 * that failed comes later. */
#include "stores/durable/vfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEAD = 24, PAGE = 4096, FRAME = HEAD + PAGE, BEGIN = 32, FRAMES = 40, ROOM = 65536 };

/* A file, and the same written as SQLite asked. */
struct world {
    struct gathered g;
    uint8_t has[BEGIN + FRAMES * FRAME], wanted[BEGIN + FRAMES * FRAME];
    int writes, fails_at;
};

static int write_octets(void *file, const void *p, size_t n, uint64_t offset)
{
    struct world *w = file;
    if (++w->writes == w->fails_at)
        return SQLITE_FULL;
    assert_true(offset + n <= sizeof w->has);
    memcpy(w->has + offset, p, n);
    return SQLITE_OK;
}

static int ask(struct world *w, const void *p, size_t n, uint64_t offset)
{
    memcpy(w->wanted + offset, p, n);
    return mailsrv__durable_gather(&w->g, p, n, offset);
}

static int begin(struct world *w)
{
    uint8_t octets[BEGIN];
    memset(octets, 0x37, sizeof octets);
    return ask(w, octets, sizeof octets, 0);
}

/* A frame as SQLite writes it: its head, then its page.  `pages`: of the database; 0: the transaction goes on. */
static int frame(struct world *w, unsigned at, uint8_t value, uint8_t pages)
{
    uint8_t octets[FRAME];
    memset(octets, value, sizeof octets);
    memset(octets + 4, 0, 4);
    octets[7] = pages;
    uint64_t offset = BEGIN + (uint64_t)at * FRAME;
    int result = ask(w, octets, HEAD, offset);
    return result == SQLITE_OK ? ask(w, octets + HEAD, PAGE, offset + HEAD) : result;
}

static bool is_written(const struct world *w)
{
    return memcmp(w->has, w->wanted, sizeof w->has) == 0;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -1;
    w->g = (struct gathered){ .write = write_octets, .file = w };
    *state = w;
    return begin(w);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    free(w->g.p);
    free(w);
    return 0;
}

static void test_transaction(void **state)
{
    struct world *w = *state;
    for (uint8_t i = 0; i < 4; i++)
        assert_int_equal(frame(w, i, i, 0), SQLITE_OK);
    assert_int_equal(w->writes, 1); /* that of the beginning */
    assert_int_equal(frame(w, 4, 9, 1), SQLITE_OK);
    assert_int_equal(w->writes, 2);
    assert_true(is_written(w));
}

static void test_more_than_there_is_room_for(void **state)
{
    struct world *w = *state;
    for (uint8_t i = 0; i < FRAMES; i++)
        assert_int_equal(frame(w, i, i, i == FRAMES - 1), SQLITE_OK);
    assert_int_equal(w->writes, 1 + (FRAMES * FRAME + ROOM - 1) / ROOM);
    assert_true(is_written(w));
}

/* A page that a transaction changes once more after it went into the log is written over there. */
static void test_over_what_is_gathered(void **state)
{
    struct world *w = *state;
    uint8_t page[PAGE];
    memset(page, 0x55, sizeof page);
    assert_int_equal(frame(w, 0, 1, 0), SQLITE_OK);
    assert_int_equal(frame(w, 1, 2, 0), SQLITE_OK);
    assert_int_equal(ask(w, page, PAGE, BEGIN + HEAD), SQLITE_OK);
    assert_true(is_written(w));
    assert_int_equal(frame(w, 2, 3, 1), SQLITE_OK);
    assert_true(is_written(w));
}

/* The next transaction goes where the one that was rolled back was, and the log may begin anew. */
static void test_rolled_back(void **state)
{
    struct world *w = *state;
    assert_int_equal(frame(w, 0, 1, 1), SQLITE_OK);
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(frame(w, i, 2, 0), SQLITE_OK);
    for (unsigned i = 1; i < 9; i++)
        assert_int_equal(frame(w, i, 3, i == 8), SQLITE_OK);
    assert_int_equal(w->writes, 3); /* what was rolled back is not written at all */
    assert_true(is_written(w));
    for (unsigned i = 9; i < 29; i++) /* a part of this is written before it is rolled back */
        assert_int_equal(frame(w, i, 4, 0), SQLITE_OK);
    assert_int_equal(w->writes, 4);
    for (unsigned i = 9; i < 30; i++)
        assert_int_equal(frame(w, i, 5, i == 29), SQLITE_OK);
    assert_int_equal(w->writes, 6);
    assert_true(is_written(w));
    assert_int_equal(frame(w, 30, 6, 0), SQLITE_OK);
    assert_int_equal(begin(w), SQLITE_OK);
    assert_true(is_written(w));
    int writes = w->writes;
    assert_int_equal(frame(w, 0, 5, 0), SQLITE_OK);
    assert_int_equal(frame(w, 1, 6, 1), SQLITE_OK);
    assert_int_equal(w->writes, writes + 1);
    assert_true(is_written(w));
}

/* It is told with the transaction's last frame at the latest, and not tried again. */
static void test_failure(void **state)
{
    struct world *w = *state;
    w->fails_at = 2;
    assert_int_equal(frame(w, 0, 1, 0), SQLITE_OK);
    assert_int_equal(frame(w, 1, 2, 1), SQLITE_FULL);
    assert_int_equal(mailsrv__durable_gathered_write(&w->g), SQLITE_OK);
    assert_int_equal(w->writes, 2);
    assert_int_equal(frame(w, 0, 3, 0), SQLITE_OK);
    assert_int_equal(frame(w, 1, 4, 1), SQLITE_OK);
    assert_true(is_written(w));
    w->fails_at = w->writes + 1;
    assert_int_equal(frame(w, 2, 5, 0), SQLITE_OK);
    assert_int_equal(begin(w), SQLITE_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transaction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_over_what_is_gathered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rolled_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
