/* Records of the queue: written, read, cut, and of other versions. */
#include "text/queue_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct queue_record records[] = {
    { QUEUE_RETRY, 0, { "a@remote.test", 13 }, { "pat@here.test", 13 }, { NULL, 0 } },
    { QUEUE_RETRY, 452, { NULL, 0 }, { "pat@here.test", 13 }, { "4.2.2 mailbox full", 18 } },
    { QUEUE_BOUNCE, 554, { "\"a b\"@remote.test", 17 }, { "postmaster", 10 }, { "5.3.0 no", 8 } },
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
        size_t n = QUEUE_RECORD_OCTETS(r->reverse_path.n, r->recipient.n, r->text.n);
        assert_int_equal(write_record(r, octets, n), n);
        memset(octets + n, 'x', sizeof octets - n); /* a later writer's */
        for (size_t more = 0; more < 2; more++) {
            assert_true(mailsrv__queue_record_read((struct span){ octets, n + more }, &read));
            assert_int_equal(read.fate, r->fate);
            assert_int_equal(read.code, r->code);
            assert_span(read.reverse_path, r->reverse_path);
            assert_span(read.recipient, r->recipient);
            assert_span(read.text, r->text);
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
    static const char expected[] = "\x01\x02\x2a\x02\x02\x00"
                                   "ab\x01\x00"
                                   "c\x03\x00"
                                   "5.1";
    const struct queue_record record = { QUEUE_BOUNCE, 554, { "ab", 2 }, { "c", 1 }, { "5.1", 3 } };
    char octets[40];
    assert_int_equal(write_record(&record, octets, sizeof octets), sizeof expected - 1);
    assert_memory_equal(octets, expected, sizeof expected - 1);
}

static void test_unknown(void **state)
{
    (void)state;
    struct queue_record read;
    assert_false(mailsrv__queue_record_read(SPAN("\x02\x01\0\0\0\0\0\0\0\0"), &read)); /* version 2 */
    assert_false(mailsrv__queue_record_read(SPAN("\x01\x03\0\0\0\0\0\0\0\0"), &read)); /* fate 3 */
    assert_false(mailsrv__queue_record_read(SPAN("\x01\x00\0\0\0\0\0\0\0\0"), &read));
    assert_true(mailsrv__queue_record_read(SPAN("\x01\x01\0\0\0\0\0\0\0\0"), &read));
    assert_false(mailsrv__queue_record_read(SPAN("\x01\x01\0\0\xff\xff\0\0\0\0"), &read)); /* longer than it is */
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
