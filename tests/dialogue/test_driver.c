/* The driver tested: what it reads, what it compares, and that it notices what a host or an engine does wrong. */
#include "run.h"
#include "words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char smtp_text[] = "profile: smtp mx\n"
                                "store: account pat secret\n"
                                "S: 220 <*>\n"
                                "C: HELO client.remote.test\n"
                                "S: 250 mx.here.test\n"
                                "C: MAIL FROM:<a@remote.test>\n"
                                "C: RCPT TO:<pat@here.test>\n"
                                "C: DATA\n"
                                "S: 250 <*>\n"
                                "S: 250 <*>\n"
                                "S: 354 <*>\n"
                                "C: hello\n"
                                "C: .\n"
                                "O: BODY_COMMIT each mailbox pat@here.test -> ok\n"
                                "S: 250 <*>\n"
                                "M: pat 1\n"
                                "C: QUIT\n"
                                "S: 221 <*>\n"
                                "S closes\n";

static struct dialogue *parse(const char *text)
{
    struct buffer why = { 0 };
    struct dialogue *d = dialogue_parse("test", text, strlen(text), &why);
    if (d == NULL)
        fail_msg("%.*s", (int)why.n, why.p);
    return d;
}

/* Runs a dialogue as planned and says whether it went well; `expected` is part of what was wrong. */
static bool plays(const char *text, const struct plan *plan, const char *expected)
{
    struct dialogue *d = parse(text);
    struct buffer why = { 0 };
    bool good = run_dialogue(d, plan, NULL, NULL, &why).good;
    if (!good && text_find(buffer_text(&why), expected) == why.n)
        fail_msg("%.*s", (int)why.n, why.p);
    buffer_free(&why);
    dialogue_free(d);
    return good;
}

/* ---- Reading ---- */

static void test_wrong_files_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } files[] = {
        { "S: 220\n", "needs a profile" },
        { "profile: jmap\n", "no such profile" },
        { "profile: pop3\nset: colour 1\n", "no such key" },
        { "profile: pop3\nset: errors_max few\n", "a number is expected" },
        { "profile: pop3\nenable: colour on\n", "no such extension" },
        { "profile: pop3\nenable: top maybe\n", "on or off" },
        { "profile: pop3\nserve: LOCK\n", "-KIND" },
        { "profile: pop3\nstore: account pat\n", "two words" },
        { "profile: pop3\nstore: colour 1\n", "no such knob" },
        { "profile: pop3\nstore: late 1\n", "the driver's" },
        { "profile: pop3\npeer: here\n", "IPv4" },
        { "profile: pop3\nC| \\q\n", "no such escape" },
        { "profile: pop3\nC*x: a\n", "behind *" },
        { "profile: pop3\nO: DANCE -> ok\n", "no such kind" },
        { "profile: pop3\nO: LOCK ok\n", "->" },
        { "profile: pop3\nO: LOCK -> PERHAPS\n", "no such status" },
        { "profile: pop3\nA: PERHAPS\n", "no such status" },
        { "profile: pop3\nT: 30s\n", "+N" },
        { "profile: pop3\nT: +30\n", "+N" },
        { "profile: pop3\nM: pat one\n", "an account" },
        { "profile: pop3\nQ: 1 like x\n", "has, is or begins" },
        { "profile: pop3\nY: hello\n", "no line of a dialogue" },
        { "profile: imap\nstore: mailbox pat\n", "two words" },
        { "profile: imap\nX: dance pat\n", "append, flags" },
        { "profile: imap\nN: pat\n", "nothing is expected" },
        { "profile: imap\nR: pat one\n", "a number" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buffer why = { 0 };
        assert_null(dialogue_parse("test", files[i].text, strlen(files[i].text), &why));
        if (text_find(buffer_text(&why), files[i].why) == why.n)
            fail_msg("%s: %.*s", files[i].text, (int)why.n, why.p);
        buffer_free(&why);
    }
}

static void test_lines_are_read(void **state)
{
    struct dialogue *d = parse("# a comment\nprofile: smtp lmtp\npeer: 10.0.0.1\n\nC: a\nC| b\\x00\\r\\n\nC*2: c\n"
                               "S*2: 250 ok\nO: RESOLVE x@y -> TEMP not now\nT: +2m\nM: pat 1 =\n| a\n|*2 b\n|| c\n");
    (void)state;
    assert_int_equal(d->face, MAILSRV_FACE_LMTP);
    assert_int_equal(d->peer[0], 10);
    assert_int_equal(d->input.n, 3 + 4 + 6);
    assert_memory_equal(d->input.p, "a\r\nb\0\r\nc\r\nc\r\n", d->input.n);
    assert_int_equal(d->n_steps, 6);
    assert_int_equal(d->steps[2].what, STEP_SERVER);
    assert_int_equal(d->steps[3].status, MAILSRV_TEMP);
    assert_true(text_is(d->steps[3].words, "x@y"));
    assert_true(text_is(d->steps[3].text, "not now"));
    assert_int_equal(d->steps[4].n, 120000000);
    assert_true(text_is(d->steps[5].text, "a\r\nb\r\nb\r\nc"));
    dialogue_free(d);
}

static void test_patterns_match(void **state)
{
    static const struct {
        const char *pattern, *line;
        bool matches;
    } cases[] = {
        { "250 ok", "250 ok", true },
        { "250 ok", "250 OK", false },
        { "250 ok", "250 ok ", false },
        { "250 <*>", "250 ", true },
        { "250 <*>", "251 x", false },
        { "<*>ab", "aab", true },
        { "<*> <*>", "ab", false },
        { "<id> <id>", "a1 a1", true },
        { "<id> <id>", "a1 a2", false },
        { "<pat@here.test>", "<pat@here.test>", true },
        { "\\<pat>", "<pat>", true },
        { "\\<pat>", "anything", false },
        { "", "", true },
        { "", "x", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct captures captures = { 0 };
        assert_int_equal(match_line(text_of(cases[i].pattern), text_of(cases[i].line), &captures), cases[i].matches);
        captures_free(&captures);
    }
}

static void test_captures_hold_for_later_lines(void **state)
{
    struct captures captures = { 0 };
    (void)state;
    assert_true(match_line(text_of("1 <a>"), text_of("1 xyz"), &captures));
    assert_false(match_line(text_of("2 <a>"), text_of("2 abc"), &captures));
    assert_true(match_line(text_of("2 <a> <b>"), text_of("2 xyz q"), &captures));
    assert_int_equal(captures.n, 2);
    captures_free(&captures);
}

static void test_messages_match_line_by_line(void **state)
{
    struct captures captures = { 0 };
    (void)state;
    assert_true(match_lines(text_of("a<*>\r\nb\r\n"), text_of("axx\r\nb\r\n"), &captures));
    assert_false(match_lines(text_of("a<*>\r\n"), text_of("a\r\nb\r\n"), &captures));
    assert_false(match_lines(text_of("a\r\nb\r\n"), text_of("a\r\n"), &captures));
    captures_free(&captures);
}

/* ---- What a host does wrong is noticed ---- */

static void test_a_good_run_is_good(void **state)
{
    (void)state;
    assert_true(plays(smtp_text, &(struct plan){ 0 }, ""));
    assert_true(plays(smtp_text, &(struct plan){ .sending = SEND_LATE, .memory = MEMORY_BLOCK }, ""));
}

static void test_sabotage_is_noticed(void **state)
{
    static const char *const noticed[N_SABOTAGES] = {
        [SABOTAGE_LOSE_LINE] = "expected: 220",
        [SABOTAGE_MOVE_OUTPUT] = "lent output moved",
        [SABOTAGE_LOSE_CLOSE] = "a body was not closed",
        [SABOTAGE_LOSE_MESSAGE] = "another number of messages",
        [SABOTAGE_ANSWER_TWICE] = "a body was not closed",
        [SABOTAGE_CHANGE_RECORD] = "changed while it was out",
        [SABOTAGE_KEEP_LENT] = "lent bytes were not released",
        [SABOTAGE_LEAK] = "the heap is not empty",
    };
    (void)state;
    for (enum sabotage s = SABOTAGE_LOSE_LINE; s < N_SABOTAGES; s++) {
        struct plan plan = { .sabotage = s, .sending = s == SABOTAGE_MOVE_OUTPUT ? SEND_LATE : SEND_AT_ONCE };
        if (plays(smtp_text, &plan, noticed[s]))
            fail_msg("not noticed: %d", (int)s);
    }
}

/* A transcript that differs from the plain run's is noticed, though every pattern matches. */
static void test_another_transcript_is_noticed(void **state)
{
    struct dialogue *d = parse(smtp_text);
    struct buffer reference = { 0 }, why = { 0 };
    (void)state;
    assert_true(run_dialogue(d, &(struct plan){ 0 }, NULL, &reference, &why).good);
    assert_true(run_dialogue(d, &(struct plan){ .bytewise = true }, &reference, NULL, &why).good);
    reference.p[8] ^= 1;
    assert_false(run_dialogue(d, &(struct plan){ .bytewise = true }, &reference, NULL, &why).good);
    assert_true(text_find(buffer_text(&why), "not that of the plain run") != why.n);
    buffer_free(&reference);
    buffer_free(&why);
    dialogue_free(d);
}

/* A refusal has to be the one that belongs to the fault. */
static void test_a_wrong_refusal_is_noticed(void **state)
{
    static const char wrong[] = "profile: smtp mx\nstore: account pat secret\nS: 220 <*>\nC: HELO a.test\nS: 250 <*>\n"
                                "C: MAIL FROM:<>\nS: 250 <*>\nC: RCPT TO:<nobody@here.test>\nS: 250 <*>\n";
    struct plan plan = { .fault = FAULT_STATUS, .nth = 1, .status = MAILSRV_TOOBIG };
    (void)state;
    assert_true(plays(wrong, &plan, ""));
    plan.fault = FAULT_NONE;
    assert_false(plays(wrong, &plan, "got: 550 5.1.1"));
    plan = (struct plan){ .fault = FAULT_CANCEL, .nth = 1 };
    assert_true(plays(wrong, &plan, ""));
    plan = (struct plan){ .fault = FAULT_STATUS, .nth = 2, .status = MAILSRV_TEMP };
    assert_false(plays(wrong, &plan, "got: 550 5.1.1"));
}

/* ---- IMAP ---- */

#define IMAP_TEXT                                                                                                      \
    "profile: imap\nset: plain_passwords 1\nstore: account pat secret\nstore: mailbox pat Sent\n"                      \
    "message: pat \\Seen\n| one\nmessage: pat\n| two\nS: * OK <*>\nC: a LOGIN pat secret\nS: a OK <*>\n"               \
    "C: b SELECT INBOX\nS*8: * <*>\nS: b OK <*>\n"

static void test_other_sessions_act(void **state)
{
    static const char text[] =
        IMAP_TEXT "R: pat 1 \\Seen\nR: pat 2\nX: expunge pat 1\nX: flags pat 2 + \\Draft\nX: append pat\n"
                  "| three\nX: append pat/Sent \\Seen\n| four\nN:\nC: c NOOP\nS: * 1 EXPUNGE\n"
                  "S: * 2 EXISTS\nS: * 2 RECENT\nS: * 1 FETCH (UID 2 FLAGS (\\Draft \\Recent))\n"
                  "S: c OK <*>\nM: pat 2\nM: pat/Sent 1\nR: pat/Sent 1 \\Seen\n";
    (void)state;
    assert_true(plays(text, &(struct plan){ 0 }, ""));
    assert_false(plays(IMAP_TEXT "R: pat 2 \\Seen\n", &(struct plan){ 0 }, "the row has the flags"));
    assert_false(plays(IMAP_TEXT "R: pat 3\n", &(struct plan){ 0 }, "no such row"));
    assert_false(plays(IMAP_TEXT "X: flags pat/Post 1 + \\Seen\n", &(struct plan){ 0 }, "no mailbox"));
    assert_false(plays(IMAP_TEXT "X: flags pat 1 + $Junk\n", &(struct plan){ 0 }, "no such flag"));
    assert_false(plays(IMAP_TEXT "X: expunge pat one\n", &(struct plan){ 0 }, "cannot be done"));
}

/* A client waits for its `+`, and one that does not get it leaves the rest of its command out. */
static void test_a_client_waits(void **state)
{
    static const char text[] = IMAP_TEXT "C: c EXAMINE {4}\nS: + <*>\nC: Sent\nS*8: * <*>\nS: c OK <*>\n";
    (void)state;
    assert_true(plays(text, &(struct plan){ 0 }, ""));
    for (uint64_t nth = 1; nth < 60; nth++)
        assert_true(plays(text, &(struct plan){ .fault = FAULT_ALLOCATION, .nth = nth }, ""));
    assert_false(plays(IMAP_TEXT "C: c EXAMINE {4}\nC: Sent\n", &(struct plan){ 0 }, "before it is asked"));
}

static void test_what_a_client_said(void **state)
{
    static const char all[] = "a {3+}\r\nx\r\n {2}\r\nyy \"{5}\"\r\n";
    struct said said = { 0 };
    struct text rest = text_of(all);
    (void)state;
    rest = text_after(rest, said_take(&said, rest));
    assert_int_equal(said.state, SAID_IN_LITERAL);
    rest = text_after(rest, said_take(&said, rest));
    assert_int_equal(said.state, SAID_AT_LINE);
    assert_true(said.inside);
    rest = text_after(rest, said_take(&said, rest));
    assert_int_equal(said.state, SAID_WAITS);
    said_answered(&said, true);
    rest = text_after(rest, said_take(&said, rest));
    rest = text_after(rest, said_take(&said, rest));
    assert_int_equal(rest.n, 0);
    assert_int_equal(said.state, SAID_AT_LINE);
    assert_false(said.inside);
}

/* What every transcript is looked at for. */
static void test_responses_are_looked_at(void **state)
{
    static const struct {
        const char *said, *heard, *why;
    } cases[] = {
        { "a NOOP\r\n", "* 1 EXISTS\r\na OK x\r\n", NULL },
        { "a FETCH 1 BODY[]\r\n", "* 1 EXISTS\r\n* 1 FETCH (BODY[] {3}\r\n)\n\x01)\r\na OK x\r\n", NULL },
        { "a NOOP\r\n", "b OK x\r\n", "a tag that" },
        { "a NOOP\r\n", "a YES x\r\n", "neither OK" },
        { "a NOOP\r\n", "*\r\n", "an empty" },
        { "a NOOP\r\n", "+go on\r\n", "no space" },
        { "a NOOP\r\n", "a OK x\n", "CRLF" },
        { "a NOOP\r\n", "* OK \x01\r\n", "printed" },
        { "a NOOP\r\n", "* 1 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen)\r\na OK x\r\n", "do not close" },
        { "a NOOP\r\n", "* 2 EXISTS\r\n* 1 EXISTS\r\na OK x\r\n", "becomes less" },
        { "a NOOP\r\n", "* 1 EXPUNGE\r\na OK x\r\n", "EXPUNGE of a number" },
        { "a NOOP\r\n", "* 1 EXISTS\r\n* 2 FETCH (UID 2)\r\na OK x\r\n", "FETCH of a number" },
        { "a FETCH 1 UID\r\n", "* 1 EXISTS\r\n* 1 EXPUNGE\r\na OK x\r\n", "numbers are in use" },
        { "a UID FETCH 1 UID\r\n", "* 1 EXISTS\r\n* 1 EXPUNGE\r\na OK x\r\n", NULL },
        { "a CLOSE\r\n", "* 1 EXISTS\r\na OK x\r\n", "that is left" },
        { "a NOOP\r\n", "* 4 EXISTS\r\n* VANISHED 2,4:5\r\n* 1 EXISTS\r\na OK x\r\n", NULL },
        { "a NOOP\r\n", "* 3 EXISTS\r\n* VANISHED 2:3\r\n* 2 FETCH (UID 4)\r\na OK x\r\n", "FETCH of a number" },
        { "a NOOP\r\n", "* 1 EXISTS\r\n* VANISHED 2:3\r\na OK x\r\n", "more than there is" },
        { "a STORE 1 FLAGS ()\r\n", "* 1 EXISTS\r\n* VANISHED 1\r\na OK x\r\n", "numbers are in use" },
        { "a SELECT x\r\n", "* 9 EXISTS\r\n* OK [CLOSED] x\r\n* 1 EXISTS\r\n* BYE x\r\n", NULL },
        { "a SELECT x\r\n", "* 9 EXISTS\r\n* OK [CLOSED] x\r\n* 1 FETCH (UID 1)\r\n", "FETCH of a number" },
        { "a SELECT x\r\n", "* 1 EXISTS\r\n* VANISHED (EARLIER) 1:9\r\n* 1 FETCH (UID 10)\r\na OK x\r\n", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text where = { NULL, 0 };
        const char *why = imap_check(text_of(cases[i].said), text_of(cases[i].heard), &where);
        if ((why == NULL) != (cases[i].why == NULL) || (why != NULL && strstr(why, cases[i].why) == NULL))
            fail_msg("%s: %s", cases[i].heard, why == NULL ? "nothing" : why);
    }
}

/* Another session's EXPUNGE may come before its place, and the transcript is the same without it. */
static void test_an_expunge_may_come_earlier(void **state)
{
    static const char early[] = IMAP_TEXT "X: expunge pat 2\nN:\nC: c NOOP\nS: c OK <*>\nS~: * 2 EXPUNGE\n";
    static const char strict[] = IMAP_TEXT "X: expunge pat 2\nN:\nC: c NOOP\nS: c OK <*>\nS: * 2 EXPUNGE\n";
    struct buffer out = { 0 };
    (void)state;
    assert_true(plays(early, &(struct plan){ 0 }, ""));
    assert_false(plays(strict, &(struct plan){ 0 }, "got: * 2 EXPUNGE"));
    imap_without_expunges(text_of("* 2 EXPUNGE\r\n* 1 FETCH (BODY[] {13}\r\n* 1 EXPUNGE\r\n)\r\na OK x\r\n* 1 EXP"),
                          &out);
    assert_true(text_is(buffer_text(&out), "* 1 FETCH (BODY[] {13}\r\n* 1 EXPUNGE\r\n)\r\na OK x\r\n* 1 EXP"));
    buffer_free(&out);
}

/* What IMAP says after a fault has to be what belongs to it. */
static void test_imap_refusals(void **state)
{
    static const char text[] = IMAP_TEXT "C: c CLOSE\nS: c OK <*>\nC: d SELECT Nowhere\nS: d OK <*>\n";
    struct plan plan = { .fault = FAULT_STATUS, .nth = 9, .status = MAILSRV_TEMP };
    (void)state;
    assert_false(plays(text, &(struct plan){ 0 }, "got: d NO [NONEXISTENT]"));
    assert_false(plays(text, &plan, "does not refuse as it should"));
    plan.status = MAILSRV_NONEXISTENT;
    assert_true(plays(text, &plan, ""));
    plan = (struct plan){ .fault = FAULT_STATUS, .nth = 1, .status = MAILSRV_TEMP };
    assert_true(plays(text, &plan, ""));
}

/* ---- The books ---- */

static const char *take(struct ledger *ledger, mailsrv_op_id id, int32_t kind, const void *arg)
{
    struct entry entry;
    static mailsrv_op ops[16];
    mailsrv_op *op = &ops[id % 16];
    *op = (mailsrv_op){ .size = sizeof *op, .kind = kind, .id = id, .session_id = 1, .arg = arg };
    const char *why = ledger_take(ledger, op, UINT64_C(1) << MAILSRV_OP_LOCK, &entry);
    ledger_add(ledger, &entry);
    return why;
}

static void test_the_ledger_knows_the_order(void **state)
{
    struct ledger l = { 0 };
    mailsrv_arg_body_write first = { .size = sizeof first, .body = 7, .octets = { (const uint8_t *)"abc", 3 } };
    mailsrv_arg_body_write next = { .size = sizeof next,
                                    .body = 7,
                                    .offset = 3,
                                    .octets = { (const uint8_t *)"d", 1 } };
    mailsrv_arg_body_write gap = { .size = sizeof gap, .body = 8, .offset = 1, .octets = { (const uint8_t *)"e", 1 } };
    mailsrv_arg_close close_7 = { .size = sizeof close_7, .handle = 7 };
    mailsrv_arg_lock lock = { .size = sizeof lock, .store = 1 };
    (void)state;
    assert_null(take(&l, 1, MAILSRV_OP_BODY_WRITE, &first));
    assert_string_equal(take(&l, 2, MAILSRV_OP_BODY_WRITE, &next), "two operations of one body are out");
    assert_string_equal(take(&l, 3, MAILSRV_OP_BODY_WRITE, &gap), "two writes of one session are out");
    while (l.n_out != 0)
        ledger_remove(&l, 0);
    assert_string_equal(take(&l, 4, MAILSRV_OP_BODY_WRITE, &gap),
                        "a write that does not go on where the one before ended");
    assert_string_equal(take(&l, 4, MAILSRV_OP_BODY_WRITE, &next), "an id that is not new");
    ledger_remove(&l, 0);
    assert_null(take(&l, 5, MAILSRV_OP_BODY_CLOSE, &close_7));
    ledger_remove(&l, 0);
    assert_string_equal(take(&l, 6, MAILSRV_OP_BODY_CLOSE, &close_7), "a handle is closed twice");
    assert_string_equal(take(&l, 7, MAILSRV_OP_BODY_WRITE, &next), "a handle is used after it was closed");
    assert_string_equal(take(&l, 8, MAILSRV_OP_LOCK, &lock), "a kind that nobody serves was asked");
    ledger_free(&l);
}

static void test_the_ledger_knows_what_may_be_cancelled(void **state)
{
    struct ledger l = { 0 };
    mailsrv_arg_close close_7 = { .size = sizeof close_7, .handle = 7 };
    mailsrv_arg_expunge expunge = { .size = sizeof expunge, .mbox = 9 };
    mailsrv_arg_cancel cancel = { .size = sizeof cancel, .kind = MAILSRV_OP_EXPUNGE, .id = 2 };
    mailsrv_op notice = { .size = sizeof notice, .kind = MAILSRV_NOTICE_CANCEL, .arg = &cancel };
    (void)state;
    assert_null(take(&l, 1, MAILSRV_OP_BODY_CLOSE, &close_7));
    assert_null(take(&l, 2, MAILSRV_OP_EXPUNGE, &expunge));
    assert_string_equal(ledger_notice(&l, &notice), "a write is cancelled");
    cancel = (mailsrv_arg_cancel){ .size = sizeof cancel, .kind = MAILSRV_OP_BODY_CLOSE, .id = 1 };
    assert_null(ledger_notice(&l, &notice));
    cancel.id = 3;
    assert_string_equal(ledger_notice(&l, &notice), "a cancel of what is not out");
    ledger_free(&l);
}

/* ---- The allocators ---- */

static void test_the_allocator_counts_and_fails(void **state)
{
    struct counted c;
    (void)state;
    counted_init(&c);
    c.fail_first = c.fail_last = 2;
    void *p = c.allocator.alloc(&c, 10);
    assert_non_null(p);
    assert_null(c.allocator.alloc(&c, 10));
    assert_true(c.failed);
    assert_int_equal(c.octets, 10);
    c.allocator.release(&c, p, 9);
    assert_non_null(c.fault);
    c.fault = NULL;
    c.allocator.release(&c, p, 10);
    assert_null(c.fault);
    assert_int_equal(c.live, 0);
}

static void test_the_allocator_finds_secrets(void **state)
{
    struct counted c;
    (void)state;
    counted_init(&c);
    counted_add_secret(&c, text_of("secret"));
    char *p = c.allocator.alloc(&c, 20);
    memcpy(p + 14, "secret", 6);
    c.allocator.release(&c, p, 20);
    assert_non_null(c.fault);
}

static void test_the_guard_sees_malloc(void **state)
{
#ifdef DIALOGUE_GUARD
    uint64_t before = guard_caught();
    (void)state;
    free(malloc(1));
    assert_int_equal(guard_caught(), before);
    guard_up();
    void *volatile p = malloc(1); /* volatile: or the compiler leaves both out */
    guard_down();
    free(p);
    assert_int_equal(guard_caught(), before + 1);
#else
    (void)state;
    skip();
#endif
}

static void test_a_block_is_whole_or_not(void **state)
{
    struct block b;
    (void)state;
    block_init(&b, 4096);
    assert_true(block_is_whole(&b));
    void *p = b.allocator.alloc(b.allocator.user, 100);
    assert_false(block_is_whole(&b));
    b.allocator.release(b.allocator.user, p, 100);
    assert_true(block_is_whole(&b));
    block_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_files_are_refused),
        cmocka_unit_test(test_lines_are_read),
        cmocka_unit_test(test_patterns_match),
        cmocka_unit_test(test_captures_hold_for_later_lines),
        cmocka_unit_test(test_messages_match_line_by_line),
        cmocka_unit_test(test_a_good_run_is_good),
        cmocka_unit_test(test_sabotage_is_noticed),
        cmocka_unit_test(test_another_transcript_is_noticed),
        cmocka_unit_test(test_a_wrong_refusal_is_noticed),
        cmocka_unit_test(test_other_sessions_act),
        cmocka_unit_test(test_a_client_waits),
        cmocka_unit_test(test_what_a_client_said),
        cmocka_unit_test(test_responses_are_looked_at),
        cmocka_unit_test(test_an_expunge_may_come_earlier),
        cmocka_unit_test(test_imap_refusals),
        cmocka_unit_test(test_the_ledger_knows_the_order),
        cmocka_unit_test(test_the_ledger_knows_what_may_be_cancelled),
        cmocka_unit_test(test_the_allocator_counts_and_fails),
        cmocka_unit_test(test_the_allocator_finds_secrets),
        cmocka_unit_test(test_the_guard_sees_malloc),
        cmocka_unit_test(test_a_block_is_whole_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
