/* Notices: when one is owed, where it goes, and what stands in it line by line; what whole parsers make of them is
 * tests/unit/notices.py, which this program prints them for. */
#include "notices.h"

static const struct notice_case *find(const char *name)
{
    for (size_t i = 0; i < n_notice_cases; i++)
        if (strcmp(notice_cases[i].name, name) == 0)
            return &notice_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static void make(const char *name, struct made *made)
{
    notice_make(find(name), &(struct notice_fault){ 0 }, made);
    assert_int_equal(made->status, MAILSRV_OK);
}

static struct queue_record record_of(const struct made *made)
{
    struct queue_record record;
    assert_true(mailsrv__queue_record_read((struct span){ made->record, made->n_record }, &record));
    return record;
}

/* ---- Owed ---- */

static void test_owed(void **state)
{
    (void)state;
    enum { NEVER = QUEUE_FLAG_NOTIFY_NEVER, SUCCESS = QUEUE_FLAG_NOTIFY_SUCCESS, FAILURE = QUEUE_FLAG_NOTIFY_FAILURE,
           DELAY = QUEUE_FLAG_NOTIFY_DELAY };
    static const struct {
        const char *reverse_path;
        uint16_t flags;
        bool failed, delayed, success;
    } rows[] = {
        { "a@b", 0, true, true, false },
        { "", 0, false, false, false },
        { "", SUCCESS | FAILURE | DELAY, false, false, false },
        { "a@b", QUEUE_FLAG_NOTICE, false, false, false },
        { "a@b", NEVER, false, false, false },
        { "a@b", FAILURE, true, false, false },
        { "a@b", DELAY, false, true, false },
        { "a@b", SUCCESS, false, false, true },
        { "a@b", QUEUE_FLAG_DELAYED, true, false, false },
        { "a@b", DELAY | QUEUE_FLAG_DELAYED, false, false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct queue_record r = { .flags = rows[i].flags,
                                  .reverse_path = { rows[i].reverse_path, strlen(rows[i].reverse_path) } };
        assert_int_equal(mailsrv__notice_owed(&r, NOTICE_FAILED), rows[i].failed);
        assert_int_equal(mailsrv__notice_owed(&r, NOTICE_DELAYED), rows[i].delayed);
        assert_int_equal(mailsrv__notice_owed(&r, NOTICE_RELAYED), rows[i].success);
        assert_int_equal(mailsrv__notice_owed(&r, NOTICE_DELIVERED), rows[i].success);
        assert_int_equal(mailsrv__notice_owed(&r, NOTICE_EXPANDED), rows[i].success);
    }
}

/* ---- Where it goes ---- */

static void test_to_the_queue(void **state)
{
    (void)state;
    static struct made made;
    make("failed", &made);
    struct queue_record r = record_of(&made);
    assert_int_equal(r.fate, QUEUE_RETRY);
    assert_int_equal(r.flags, QUEUE_FLAG_NOTICE);
    assert_int_equal(r.reverse_path.n, 0);
    assert_true(mailsrv__span_equal(r.recipient, SPAN("x@elsewhere.test")));
    assert_string_equal(made.lane, "elsewhere.test");
    assert_true(r.message.n != 0 && r.message.n <= 64);
    make("eight_bit", &made);
    assert_int_equal(record_of(&made).flags, QUEUE_FLAG_NOTICE | QUEUE_FLAG_8BIT);
    make("utf8", &made);
    assert_int_equal(record_of(&made).flags, QUEUE_FLAG_NOTICE | QUEUE_FLAG_8BIT | QUEUE_FLAG_UTF8);
    make("utf8_recipient", &made);
    assert_int_equal(record_of(&made).flags, QUEUE_FLAG_NOTICE | QUEUE_FLAG_8BIT);
}

static void test_to_a_mailbox_of_ours(void **state)
{
    (void)state;
    static struct made made;
    static const char prefix[] = "Return-Path: <>\r\nDelivered-To: pat@here.test\r\nFrom: ";
    make("ours", &made);
    assert_int_equal(made.n_record, 0);
    assert_memory_equal(made.text, prefix, sizeof prefix - 1);
}

/* Nobody has this address: who would be told? */
static void test_to_nobody(void **state)
{
    (void)state;
    static struct made made;
    static const int32_t refusals[] = { MAILSRV_DENIED, MAILSRV_TOOBIG, MAILSRV_NONEXISTENT, MAILSRV_NOPERM };
    notice_make(find("nobody"), &(struct notice_fault){ 0 }, &made);
    assert_int_equal(made.status, MAILSRV_NONEXISTENT);
    assert_int_equal(made.n, 0);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        notice_make(find("ours"), &(struct notice_fault){ .result = refusals[i] }, &made);
        assert_int_equal(made.status, MAILSRV_NONEXISTENT);
        assert_int_equal(made.n, 0);
    }
}

static void test_to_a_mailbox_that_is_full(void **state)
{
    (void)state;
    static struct made made;
    notice_make(find("ours"), &(struct notice_fault){ .result = MAILSRV_OVERQUOTA }, &made);
    assert_int_equal(made.status, MAILSRV_TEMP);
}

/* ---- Lines ---- */

static void test_lines(void **state)
{
    (void)state;
    static struct made made;
    for (size_t i = 0; i < n_notice_cases; i++) {
        notice_make(&notice_cases[i], &(struct notice_fault){ 0 }, &made);
        size_t line = 0;
        for (size_t at = 0; at < made.n; at++) {
            char c = made.text[at];
            assert_true(c != '\n' || (at != 0 && made.text[at - 1] == '\r'));
            assert_true(at == 0 || made.text[at - 1] != '\r' || c == '\n');
            assert_true((uint8_t)c >= ' ' || c == '\r' || c == '\n');
            line = c == '\n' ? 0 : line + 1;
            assert_true(line <= 998 + 1);
        }
        assert_true(made.n == 0 || made.text[made.n - 1] == '\n');
    }
}

static void has(const struct made *made, const char *text)
{
    if (strstr(made->text, text) == NULL)
        fail_msg("there is no %s in %s", text, made->text);
}

static void has_not(const struct made *made, const char *text)
{
    if (strstr(made->text, text) != NULL)
        fail_msg("%s is in %s", text, made->text);
}

static void test_fields(void **state)
{
    (void)state;
    static struct made made;
    make("failed", &made);
    has(&made, "\r\nTo: <x@elsewhere.test>\r\n");
    has(&made, "From: Mail Delivery System <MAILER-DAEMON@mx.here.test>\r\n");
    has(&made, "\r\nAuto-Submitted: auto-replied\r\n");
    has(&made, "\r\nIn-Reply-To: <one@here.test>\r\n");
    has(&made, "\r\nOriginal-Envelope-Id: q+1\r\nReporting-MTA: dns; mx.here.test\r\n"
               "Arrival-Date: Fri, 2 Jan 2026 03:04:05 +0000\r\n\r\n");
    has(&made, "\r\nOriginal-Recipient: rfc822; a+b@remote.test\r\nFinal-Recipient: rfc822; a@remote.test\r\n"
               "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.remote.test\r\n"
               "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\nLast-Attempt-Date: Fri, 2 Jan 2026 03:05:05 +0000\r\n");
    has(&made, "    mx.remote.test said:\r\n    550 5.1.1 no such user\r\n");
    has(&made, "\r\nContent-Type: message/rfc822\r\n\r\nFrom: pat@here.test\r\n");
    make("expired", &made);
    has(&made, "\r\nStatus: 5.4.7\r\n");
    make("unsaid", &made);
    has(&made, "\r\nStatus: 5.4.7\r\nLast-Attempt-Date");
    make("unreached", &made);
    has(&made, "\r\nStatus: 5.4.1\r\nDiagnostic-Code: x-mailsrv; 5.4.1 connection refused\r\n");
    make("delayed", &made);
    has(&made, "\r\nAction: delayed\r\nStatus: 4.3.0\r\n");
    has(&made, "\r\nWill-Retry-Until: Wed, 7 Jan 2026 03:04:05 +0000\r\n");
    has(&made, "\r\nContent-Type: text/rfc822-headers\r\n");
    has_not(&made, "\r\ntext\r\n");
    make("forwarded", &made);
    has(&made, "    (you sent it to pat@here.test)\r\n");
}

static void test_what_goes_along(void **state)
{
    (void)state;
    static struct made made;
    static const char *const headers[] = { "headers", "too_large", "delivered" };
    for (size_t i = 0; i < 3; i++) {
        make(headers[i], &made);
        has(&made, "\r\nContent-Type: text/rfc822-headers\r\n\r\nFrom: pat@here.test\r\n");
        has(&made, "\r\nSubject: one\r\n\r\n\r\n--=_");
        has_not(&made, "\r\ntext\r\n");
    }
    make("eight_bit", &made);
    has(&made, "\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: eight\r\n");
    make("utf8", &made);
    has(&made, "\r\nContent-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n");
    has(&made, "\r\nFinal-Recipient: utf-8; \xE7\x88\xA9@remote.test\r\n");
    has(&made, "\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n");
}

static void test_what_a_peer_says_stays_where_it_is(void **state)
{
    (void)state;
    static struct made made;
    make("hostile", &made);
    has(&made, "\r\nDiagnostic-Code: smtp; 550 5.1.1 a Bcc: x@y --=_1");
    has(&made, "\r\nOriginal-Envelope-Id: a  Subject: x\r\n");
    has(&made, "\r\nOriginal-Recipient: rfc822; a  Action: delivered \r\n");
    has(&made, "\r\nRemote-MTA: dns; mx    .test\r\n");
    has_not(&made, "\nBcc");
    has_not(&made, "\nAction: delivered");
}

/* ---- Memory ---- */

/* Each allocation fails in turn: nothing is half done, and it comes to an end. */
static void test_no_memory(void **state)
{
    (void)state;
    static struct made made;
    static const char *const names[] = { "mixed", "ours" };
    for (size_t i = 0; i < 2; i++) {
        made.status = MAILSRV_NOMEM;
        uint64_t n = 0;
        while (made.status != MAILSRV_OK && n < 200) {
            notice_make(find(names[i]), &(struct notice_fault){ .allocation = ++n }, &made);
            assert_int_not_equal(made.status, 1);
            assert_true(made.status == MAILSRV_OK || made.n == 0);
        }
        assert_true(n > 5 && n < 200);
    }
}

/* What the store cannot do now is done later, and nothing of it is seen. */
static void test_what_fails_is_done_again(void **state)
{
    (void)state;
    static struct made made;
    static const int32_t kinds[] = { MAILSRV_OP_READ, MAILSRV_OP_BODY_BEGIN, MAILSRV_OP_BODY_WRITE,
                                     MAILSRV_OP_RESOLVE, MAILSRV_OP_BODY_COMMIT };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        notice_make(find("failed"), &(struct notice_fault){ .kind = kinds[i], .status = MAILSRV_TEMP }, &made);
        assert_int_equal(made.status, MAILSRV_TEMP);
        assert_int_equal(made.n, 0);
    }
}

/* An original that has gone leaves the notice; who is not ours is sent it. */
static void test_what_is_not_there_is_left_out(void **state)
{
    (void)state;
    static struct made made;
    notice_make(find("failed"), &(struct notice_fault){ .kind = MAILSRV_OP_READ, .status = MAILSRV_GONE }, &made);
    assert_int_equal(made.status, MAILSRV_OK);
    has(&made, "\r\nAction: failed\r\n");
    has_not(&made, "Content-Type: message/rfc822");
    notice_make(find("ours"), &(struct notice_fault){ .kind = MAILSRV_OP_RESOLVE, .status = MAILSRV_NOPERM }, &made);
    assert_int_equal(made.status, MAILSRV_OK);
    assert_true(made.n_record != 0);
}

/* Given up at any moment: whatever it had open is closed. */
static void test_given_up(void **state)
{
    (void)state;
    static struct made made;
    for (uint64_t turns = 1; turns < 60; turns++)
        notice_make(find("mixed"), &(struct notice_fault){ .turns = turns }, &made);
    assert_int_equal(made.status, MAILSRV_OK);
}

/* For tests/unit/notices.py. */
static int print(const char *name)
{
    static struct made made;
    notice_make(find(name), &(struct notice_fault){ 0 }, &made);
    fwrite(made.text, 1, made.n, stdout);
    return made.status == MAILSRV_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owed),          cmocka_unit_test(test_to_the_queue),
        cmocka_unit_test(test_to_a_mailbox_of_ours), cmocka_unit_test(test_to_nobody),
        cmocka_unit_test(test_to_a_mailbox_that_is_full),
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_fields),
        cmocka_unit_test(test_what_goes_along), cmocka_unit_test(test_what_a_peer_says_stays_where_it_is),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_what_fails_is_done_again),
        cmocka_unit_test(test_what_is_not_there_is_left_out), cmocka_unit_test(test_given_up),
    };
    if (argc == 2)
        return print(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
