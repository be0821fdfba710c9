#include "notices.h"

/* ---- The cases ---- */

#define TEXT(literal) { (literal), sizeof(literal) - 1 }
#define AT INT64_C(1767323045000000) /* 2 January 2026, 03:04:05 UTC */

static const char plain[] = "From: pat@here.test\r\nMessage-ID: <one@here.test>\r\nSubject: one\r\n\r\ntext\r\n";
static const char eight[] = "Subject: eight\r\n\r\nna\xC3\xAFve\r\n";
static const char global[] = "From: \xE7\x88\xA9@here.test\r\nSubject: \xE7\x88\xA9\r\n\r\ntext\r\n";
static const char no_end[] = "Subject: no end";

#define RECORD(from, to)                                                                                               \
    .record.reverse_path = TEXT(from), .record.recipient = TEXT(to), .record.arrived_us = AT,                          \
    .record.tried_us = AT + 60000000

const struct notice_case notice_cases[] = {
    { "failed", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.fate = QUEUE_BOUNCE,
                              .record.code = 550, .record.text = TEXT("5.1.1 no such user"),
                              .record.host = TEXT("mx.remote.test"), .record.envelope_id = TEXT("q+2B1"),
                              .record.original = TEXT("rfc822;a+2Bb@remote.test") } }, 1 },
    { "expired", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 451,
                               .record.text = TEXT("4.3.0 later"), .record.host = TEXT("mx.remote.test") } }, 1 },
    { "unsaid", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test") } }, 1 },
    { "unreached", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"),
                                 .record.text = TEXT("5.4.1 connection refused") } }, 1 },
    { "delayed", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .action = NOTICE_DELAYED,
                               .expires_us = AT + INT64_C(432000000000), .record.code = 451,
                               .record.text = TEXT("4.3.0 later"), .record.host = TEXT("mx.remote.test") } }, 1 },
    { "relayed", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .action = NOTICE_RELAYED,
                               .record.code = 250, .record.text = TEXT("ok"), .record.host = TEXT("mx.remote.test") } },
      1 },
    { "delivered", plain, 0, { { RECORD("x@elsewhere.test", "pat@here.test"), .action = NOTICE_DELIVERED } }, 1 },
    { "expanded", plain, 0, { { RECORD("x@elsewhere.test", "team@here.test"), .action = NOTICE_EXPANDED,
                                .record.flags = QUEUE_FLAG_FORWARDED } }, 1 },
    { "mixed", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 550,
                             .record.text = TEXT("5.1.1 no such user") },
                           { RECORD("x@elsewhere.test", "b@remote.test"), .action = NOTICE_DELAYED,
                             .record.code = 452, .record.text = TEXT("4.2.2 full") },
                           { RECORD("x@elsewhere.test", "c@remote.test"), .action = NOTICE_RELAYED } }, 3 },
    { "forwarded", plain, 0, { { RECORD("x@elsewhere.test", "away@remote.test"), .record.code = 550,
                                 .record.flags = QUEUE_FLAG_FORWARDED, .record.original = TEXT("rfc822;pat@here.test"),
                                 .record.text = TEXT("5.1.1 no such user") } }, 1 },
    { "headers", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 554,
                               .record.flags = QUEUE_FLAG_RET_HDRS } }, 1 },
    { "too_large", plain, 60, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 554,
                                  .record.flags = QUEUE_FLAG_RET_FULL } }, 1 },
    { "eight_bit", eight, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 554 } }, 1 },
    { "utf8", global, 0, { { RECORD("\xE7\x88\xA9@elsewhere.test", "\xE7\x88\xA9@remote.test"), .record.code = 550,
                             .record.flags = QUEUE_FLAG_UTF8, .record.text = TEXT("5.1.1 \xE7\x88\xA9 no") } }, 1 },
    { "utf8_recipient", plain, 0, { { RECORD("x@elsewhere.test", "\xE7\x88\xA9@remote.test"),
                                      .record.code = 550 } }, 1 },
    { "no_end", no_end, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 554 } }, 1 },
    { "ours", plain, 0, { { RECORD("pat@here.test", "a@remote.test"), .record.code = 550 } }, 1 },
    { "nobody", plain, 0, { { RECORD("nobody@here.test", "a@remote.test"), .record.code = 550 } }, 1 },
    /* What a peer says cannot become a field, a part or a line of its own. */
    { "hostile", plain, 0, { { RECORD("x@elsewhere.test", "a@remote.test"), .record.code = 550,
                               .record.text = TEXT("5.1.1 a\r\nBcc: x@y\r\n\r\n--=_1\x00\x1B[2J\xFF\x7F b\ttab\nStatus: 2.0.0"),
                               .record.host = TEXT("mx\r\n\r\n.test"),
                               .record.envelope_id = TEXT("a+0D+0ASubject:+20x"),
                               .record.original = TEXT("rfc822;a+0D+0AAction:+20delivered+00") } }, 1 },
};

const size_t n_notice_cases = sizeof notice_cases / sizeof notice_cases[0];

/* ---- Making one ---- */

static mailsrv_asked *ask(struct world *w, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    assert_int_equal(mailsrv_ask(w->engine, kind, NULL, arg, &asked), MAILSRV_OK);
    mail_turns(w);
    assert_non_null(mailsrv_asked_answer(asked));
    assert_int_equal(mailsrv_asked_answer(asked)->status, MAILSRV_OK);
    return asked;
}

/* Its number. */
static uint64_t queue_original(struct world *w, const char *text)
{
    mailsrv_arg_body_begin begin = { .size = sizeof begin };
    mailsrv_asked *asked = ask(w, MAILSRV_OP_BODY_BEGIN, &begin);
    uint64_t body = ((const mailsrv_body_begun *)mailsrv_asked_answer(asked)->value)->body;
    mailsrv_arg_body_write write = { .size = sizeof write, .body = body,
                                     .octets = { (const uint8_t *)text, strlen(text) } };
    mailsrv_asked_free(ask(w, MAILSRV_OP_BODY_WRITE, &write));
    mailsrv_staged staged = { .size = sizeof staged, .body = body, .octets = strlen(text) };
    mailsrv_target target = { .size = sizeof target, .kind = MAILSRV_TARGET_QUEUE, .due_us = INT64_MAX };
    mailsrv_arg_body_commit commit = { .size = sizeof commit, .n_bodies = 1, .body_stride = sizeof staged,
                                       .n_targets = 1, .target_stride = sizeof target, .bodies = &staged,
                                       .targets = &target };
    mailsrv_asked *done = ask(w, MAILSRV_OP_BODY_COMMIT, &commit);
    uint64_t queue = ((const mailsrv_committed *)mailsrv_asked_answer(done)->value)->results[0].queue;
    mailsrv_asked_free(done);
    mailsrv_asked_free(asked);
    return queue;
}

static void done(void *user, int32_t status)
{
    struct made *made = user;
    assert_int_equal(made->status, 1);
    made->status = status;
}

static void take_text(struct world *w, struct made *out, bool of_queue)
{
    mailsrv_bytes piece = { NULL, 0 };
    for (;;) {
        int32_t status = of_queue ? mailsrv_memory_queue_message(w->store, 1, out->n, &piece)
                                  : mailsrv_memory_message(w->store, &w->account, 0, out->n, &piece);
        assert_int_equal(status, MAILSRV_OK);
        if (piece.n == 0)
            return;
        assert_true(out->n + piece.n < sizeof out->text);
        memcpy(out->text + out->n, piece.p, piece.n);
        out->n += piece.n;
    }
}

static void take_result(struct world *w, struct made *out)
{
    mailsrv_queue_item item = { .queue = 0 };
    if (mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_QUEUED) == 2) {
        assert_int_equal(mailsrv_memory_queue_item(w->store, 1, &item), MAILSRV_OK);
        assert_true(item.record.n <= sizeof out->record && item.lane.n < sizeof out->lane);
        memcpy(out->record, item.record.p, out->n_record = item.record.n);
        memcpy(out->lane, item.lane.p, item.lane.n);
        assert_int_equal(item.due_us, AT);
        take_text(w, out, true);
    } else if (mailsrv_memory_count(w->store, &w->account) != 0) {
        take_text(w, out, false);
    }
}

/* Stands before the store. */
static struct {
    mailsrv_store *store;
    const struct notice_fault *fault; /* NULL: not now */
} before;

static void answer_result(mailsrv_engine *engine, const mailsrv_op *op, int32_t status)
{
    const mailsrv_result result = { .status = status };
    const mailsrv_committed value = { .size = sizeof value, .n = 1, .stride = sizeof result, .results = &result };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
    assert_int_equal(mailsrv_op_answer(engine, op->id, &answer), MAILSRV_OK);
}

static void handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    if (before.fault != NULL && before.fault->result != 0 && op->kind == MAILSRV_OP_BODY_COMMIT)
        answer_result(engine, op, before.fault->result);
    else if (before.fault != NULL && before.fault->kind == op->kind)
        assert_int_equal(mailsrv_op_answer_status(engine, op->id, before.fault->status), MAILSRV_OK);
    else
        mailsrv_memory_handle(user, engine, op);
}

static void stand_before(struct world *w)
{
    static const int32_t kinds[] = { MAILSRV_OP_RESOLVE, MAILSRV_OP_BODY_BEGIN, MAILSRV_OP_BODY_WRITE,
                                     MAILSRV_OP_BODY_COMMIT, MAILSRV_OP_READ };
    before.store = w->store;
    before.fault = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        assert_int_equal(mailsrv_engine_serve(w->engine, kinds[i], handle, w->store), MAILSRV_OK);
}

/* Goes on until it is done, or given up. */
static void go_on(struct world *w, struct notice *notice, const struct notice_fault *fault)
{
    for (uint64_t i = 0; i < fault->turns; i++)
        mailsrv_engine_turn(w->engine, 1);
    if (fault->turns == 0)
        mail_turns(w);
    mailsrv__notice_free(notice);
    mail_turns(w);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_BODIES), 0);
}

void notice_make(const struct notice_case *c, const struct notice_fault *fault, struct made *out)
{
    struct world w;
    memset(out, 0, sizeof *out);
    out->status = 1;
    mail_begin(&w, 0, UINT64_C(1) << 26);
    stand_before(&w);
    mail_turns(&w);
    mailsrv_memory_set_u64(w.store, MAILSRV_MEMORY_RELAY, 1);
    const struct notice_setup setup = { .hostname = SPAN("mx.here.test"),
                                        .delimiter = '+',
                                        .octets_max = c->octets_max == 0 ? 51200 : (uint32_t)c->octets_max,
                                        .now_us = AT,
                                        .queue = queue_original(&w, c->original),
                                        .octets = strlen(c->original) };
    w.from.fail_first = w.from.fail_last = fault->allocation == 0 ? 0 : w.from.calls + fault->allocation;
    before.fault = fault;
    struct notice *notice = mailsrv__notice_new(w.engine, &setup, c->recipients, c->n, done, out);
    if (notice != NULL)
        go_on(&w, notice, fault);
    else
        out->status = MAILSRV_NOMEM;
    assert_true(w.from.failed == (out->status != MAILSRV_OK) || fault->allocation == 0);
    w.from.fail_first = w.from.fail_last = 0;
    before.fault = NULL;
    take_result(&w, out);
    mail_end(&w);
}
