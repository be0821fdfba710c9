/* Records of the queue: written, read, cut, and of other versions. */
#include "text/queue_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct queue_record records[] = {
    { .fate = QUEUE_RETRY, .reverse_path = { "a@remote.test", 13 }, .recipient = { "pat@here.test", 13 } },
    { .fate = QUEUE_RETRY,
      .code = 452,
      .tries = 70000,
      .arrived_us = INT64_MAX,
      .tried_us = 1,
      .recipient = { "pat@here.test", 13 },
      .text = { "4.2.2 mailbox full", 18 },
      .host = { "mx.here.test", 12 } },
    { .fate = QUEUE_BOUNCE,
      .code = 554,
      .flags = QUEUE_FLAG_8BIT | QUEUE_FLAG_NOTICE,
      .message = { "m1", 2 },
      .reverse_path = { "\"a b\"@remote.test", 17 },
      .recipient = { "postmaster", 10 },
      .text = { "5.3.0 no", 8 },
      .envelope_id = { "q+3D1", 5 },
      .original = { "rfc822;x@y", 10 },
      .route = { "smart", 5 } },
};

enum { N_RECORDS = sizeof records / sizeof records[0] };

static size_t write_record(const struct queue_record *record, char *to, size_t room)
{
    struct writer w = { .p = to, .room = room };
    mailsrv__queue_record_write(&w, record);
    assert_false(w.full);
    return w.n;
}

static void assert_span(struct span a, struct span b)
{
    assert_true(mailsrv__span_equal(a, b));
}

static void test_read_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_RECORDS; i++) {
        char octets[200];
        const struct queue_record *r = &records[i];
        struct queue_record read;
        size_t n = mailsrv__queue_record_octets(r);
        assert_int_equal(write_record(r, octets, n), n);
        memset(octets + n, 'x', sizeof octets - n); /* a later writer's */
        for (size_t more = 0; more < 2; more++) {
            assert_true(mailsrv__queue_record_read((struct span){ octets, n + more }, &read));
            assert_int_equal(read.fate, r->fate);
            assert_int_equal(read.code, r->code);
            assert_int_equal(read.flags, r->flags);
            assert_int_equal(read.tries, r->tries);
            assert_int_equal(read.arrived_us, r->arrived_us);
            assert_int_equal(read.tried_us, r->tried_us);
            assert_span(read.message, r->message);
            assert_span(read.reverse_path, r->reverse_path);
            assert_span(read.recipient, r->recipient);
            assert_span(read.text, r->text);
            assert_span(read.envelope_id, r->envelope_id);
            assert_span(read.original, r->original);
            assert_span(read.host, r->host);
            assert_span(read.route, r->route);
        }
    }
}

static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_RECORDS; i++) {
        char octets[200];
        struct queue_record read;
        size_t n = write_record(&records[i], octets, sizeof octets);
        for (size_t cut = 0; cut < n; cut++)
            assert_false(mailsrv__queue_record_read((struct span){ octets, cut }, &read));
    }
}

static void test_the_format(void **state)
{
    (void)state;
    static const char expected[] = "\x02\x02\x2a\x02\x01\x08\x03\x00\x00\x00"
                                   "\x05\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x01"
                                   "\x01\x00m\x02\x00"
                                   "ab\x01\x00"
                                   "c\x03\x00"
                                   "5.1\x01\x00"
                                   "e\x01\x00o\x01\x00h\x01\x00r";
    const struct queue_record record = { QUEUE_BOUNCE, 554,          QUEUE_FLAG_8BIT | QUEUE_FLAG_NOTICE,
                                         3,            5,            INT64_C(0x0100000000000006),
                                         { "m", 1 },   { "ab", 2 },  { "c", 1 },
                                         { "5.1", 3 }, { "e", 1 },   { "o", 1 },
                                         { "h", 1 },   { "r", 1 } };
    char octets[80];
    assert_int_equal(write_record(&record, octets, sizeof octets), sizeof expected - 1);
    assert_memory_equal(octets, expected, sizeof expected - 1);
}

/* An empty record but for these. */
static struct span raw(char *room, char version, char fate, char first_octets)
{
    memset(room, 0, QUEUE_RECORD_FIXED + 2 * QUEUE_RECORD_FIELDS);
    room[0] = version;
    room[1] = fate;
    room[QUEUE_RECORD_FIXED] = first_octets;
    return (struct span){ room, QUEUE_RECORD_FIXED + 2 * QUEUE_RECORD_FIELDS };
}

static void test_unknown(void **state)
{
    (void)state;
    char room[QUEUE_RECORD_FIXED + 2 * QUEUE_RECORD_FIELDS];
    struct queue_record read;
    assert_false(mailsrv__queue_record_read(raw(room, 1, 1, 0), &read));
    assert_false(mailsrv__queue_record_read(raw(room, 3, 1, 0), &read));
    assert_false(mailsrv__queue_record_read(raw(room, 2, 4, 0), &read));
    assert_false(mailsrv__queue_record_read(raw(room, 2, 0, 0), &read));
    assert_true(mailsrv__queue_record_read(raw(room, 2, 1, 0), &read));
    assert_true(mailsrv__queue_record_read(raw(room, 2, 3, 0), &read));
    assert_false(mailsrv__queue_record_read(raw(room, 2, 1, 15), &read)); /* longer than it is */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_as_written),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_the_format),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
