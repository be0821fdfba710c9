#include "probe.h"

#include "core/body.h"
#include "frame/line.h"

enum { PROBE_LINE_MAX = 512 };

struct probe {
    mailsrv_session session;
    struct line_frame frame;
    struct handle held;
    struct lent *lent;
    struct span unsaid; /* of what was lent */
    uint64_t work;
};

static struct probe *probe_of(mailsrv_session *s)
{
    return (struct probe *)(void *)s;
}

static enum step say(mailsrv_session *s, struct span text)
{
    return mailsrv__say(s, text) && mailsrv__say(s, SPAN("\r\n")) ? STEP_NEXT : STEP_CLOSE;
}

static enum step say_number(mailsrv_session *s, int32_t number)
{
    char digits[12];
    size_t at = sizeof digits;
    uint32_t left = (uint32_t)(number < 0 ? -number : number);
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (number < 0)
        digits[--at] = '-';
    return say(s, (struct span){ digits + at, sizeof digits - at });
}

static uint64_t number_of(struct span text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(text.p[i] - '0');
    return n;
}

/* ---- Commands ---- */

static enum step cmd_say(mailsrv_session *s, struct span arg)
{
    static const char xs[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    uint64_t left = number_of(arg) - 2;
    while (left != 0) {
        size_t n = left < sizeof xs - 1 ? (size_t)left : sizeof xs - 1;
        if (!mailsrv__say(s, (struct span){ xs, n }))
            return STEP_CLOSE;
        left -= n;
    }
    return say(s, SPAN(""));
}

static enum step work_on(mailsrv_session *s)
{
    struct probe *p = probe_of(s);
    for (; p->work != 0; p->work--) {
        if (!mailsrv__may_go_on(s))
            return mailsrv__then_turn(s, work_on);
        mailsrv__spend(s, 1);
    }
    return say(s, SPAN("worked"));
}

static enum step cmd_work(mailsrv_session *s, struct span arg)
{
    probe_of(s)->work = number_of(arg);
    return work_on(s);
}

static enum step say_status(mailsrv_session *s)
{
    int32_t status = mailsrv__answer(s, 0)->status;
    mailsrv__replies(s, status == MAILSRV_OK ? '2' : status <= MAILSRV_DENIED ? '5' : '4');
    return say_number(s, status);
}

static enum step cmd_ask(mailsrv_session *s, struct span arg)
{
    (void)arg;
    struct ask ask = mailsrv__ask(s, MAILSRV_OP_AUTH_VERIFY, 2 * mailsrv__ask_octets(8));
    if (ask.op == NULL)
        return say_number(s, MAILSRV_NOMEM);
    ((mailsrv_arg_auth_verify *)ask.arg)->user = mailsrv__ask_copy(&ask, SPAN("pat"));
    ((mailsrv_arg_auth_verify *)ask.arg)->password = mailsrv__ask_copy(&ask, SPAN("secret"));
    return mailsrv__then_answers(s, say_status);
}

static enum step say_both(mailsrv_session *s)
{
    enum step step = say_number(s, mailsrv__answer(s, 0)->status);
    return step == STEP_NEXT ? say_number(s, mailsrv__answer(s, 1)->status) : step;
}

static enum step cmd_pair(mailsrv_session *s, struct span arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct ask ask = mailsrv__ask(s, MAILSRV_OP_RESOLVE, mailsrv__ask_octets(8));
        if (ask.op != NULL)
            ((mailsrv_arg_resolve *)ask.arg)->address = mailsrv__ask_copy(&ask, i == 0 ? SPAN("a") : SPAN("b"));
    }
    return mailsrv__then_answers(s, say_both);
}

static enum step await_the_other(mailsrv_session *s)
{
    enum step step = say_number(s, mailsrv__answer(s, 0)->status);
    if (step != STEP_NEXT)
        return step;
    mailsrv__ask_await(s);
    return mailsrv__then_answers(s, say_status);
}

static enum step cmd_ahead(mailsrv_session *s, struct span arg)
{
    (void)arg;
    struct ask ask = mailsrv__ask_ahead(s, MAILSRV_OP_RESOLVE, mailsrv__ask_octets(8));
    if (ask.op == NULL)
        return say_number(s, MAILSRV_NOMEM);
    ((mailsrv_arg_resolve *)ask.arg)->address = mailsrv__ask_copy(&ask, SPAN("a"));
    mailsrv__ask(s, MAILSRV_OP_AUTH_VERIFY, 0);
    return mailsrv__then_answers(s, await_the_other);
}

static enum step held(mailsrv_session *s)
{
    const mailsrv_answer *answer = mailsrv__answer(s, 0);
    const mailsrv_store_opened *opened = answer->value;
    if (answer->status == MAILSRV_OK)
        mailsrv__handle_take(s, 0, opened->store, &probe_of(s)->held);
    return say_number(s, answer->status);
}

static enum step cmd_hold(mailsrv_session *s, struct span arg)
{
    (void)arg;
    if (mailsrv__ask(s, MAILSRV_OP_STORE_OPEN, 0).op == NULL)
        return say_number(s, MAILSRV_NOMEM);
    return mailsrv__then_answers(s, held);
}

static enum step cmd_drop(mailsrv_session *s, struct span arg)
{
    (void)arg;
    mailsrv__handle_close(s, &probe_of(s)->held);
    return say(s, SPAN("dropped"));
}

static enum step closed(mailsrv_session *s)
{
    return say(s, SPAN("closed"));
}

static enum step cmd_close(mailsrv_session *s, struct span arg)
{
    (void)arg;
    mailsrv__handle_ask_close(s, &probe_of(s)->held);
    return mailsrv__then_answers(s, closed);
}

static enum step cmd_list(mailsrv_session *s, struct span arg)
{
    say(s, SPAN("first line"));
    s->mid_reply = true;
    return cmd_say(s, arg);
}

static enum step cmd_take(mailsrv_session *s, struct span arg)
{
    (void)arg;
    s->patient_bytes = true;
    return say(s, SPAN("go on"));
}

static enum step say_what_was_read(mailsrv_session *s)
{
    struct probe *p = probe_of(s);
    if (!mailsrv__window_open(s))
        return mailsrv__then_window(s, say_what_was_read);
    bool said = mailsrv__say_lent(s, p->lent, p->unsaid);
    mailsrv__lent_drop(p->lent);
    p->lent = NULL;
    return said ? say(s, SPAN("")) : STEP_CLOSE;
}

static enum step was_read(mailsrv_session *s)
{
    const mailsrv_answer *answer = mailsrv__answer(s, 0);
    if (answer->status != MAILSRV_OK)
        return say_number(s, answer->status);
    probe_of(s)->unsaid = mailsrv__span(((const mailsrv_read_bytes *)answer->value)->octets);
    probe_of(s)->lent = mailsrv__take_lent(s, 0);
    return say_what_was_read(s);
}

static enum step cmd_read(mailsrv_session *s, struct span arg)
{
    struct ask ask = mailsrv__ask(s, MAILSRV_OP_READ, 0);
    if (ask.op == NULL)
        return say_number(s, MAILSRV_NOMEM);
    ((mailsrv_arg_read *)ask.arg)->octets = number_of(arg);
    return mailsrv__then_answers(s, was_read);
}

static enum step cmd_expunge(mailsrv_session *s, struct span arg)
{
    (void)arg;
    if (mailsrv__ask(s, MAILSRV_OP_EXPUNGE, 0).op == NULL)
        return say_number(s, MAILSRV_NOMEM);
    return mailsrv__then_answers(s, say_status);
}

static enum step put_out(mailsrv_session *s)
{
    if (!mailsrv__body_settled(s))
        return mailsrv__then_body(s, put_out);
    int32_t status = mailsrv__body_status(s);
    mailsrv__body_drop(s);
    return say_number(s, status);
}

static enum step put_on(mailsrv_session *s)
{
    static const char ys[] = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";
    struct probe *p = probe_of(s);
    while (p->work != 0) {
        size_t n = p->work < sizeof ys - 1 ? (size_t)p->work : sizeof ys - 1;
        n = mailsrv__body_put(s, (struct span){ ys, n });
        if (n == 0)
            return mailsrv__then_body(s, put_on);
        p->work -= n;
    }
    mailsrv__body_finish(s);
    return put_out(s);
}

static enum step put_begun(mailsrv_session *s)
{
    int32_t status = mailsrv__body_begun(s, 0);
    return status == MAILSRV_OK ? put_on(s) : say_number(s, status);
}

static enum step cmd_put(mailsrv_session *s, struct span arg)
{
    probe_of(s)->work = number_of(arg);
    if (!mailsrv__body_ask(s, probe_of(s)->work))
        return say_number(s, MAILSRV_NOMEM);
    return mailsrv__then_answers(s, put_begun);
}

static enum step cmd_quit(mailsrv_session *s, struct span arg)
{
    (void)arg;
    say(s, SPAN("bye"));
    return STEP_CLOSE;
}

/* ---- The machine ---- */

static const struct {
    char name[8];
    enum step (*run)(mailsrv_session *s, struct span arg);
} commands[] = {
    { "say", cmd_say },   { "work", cmd_work },       { "ask", cmd_ask },
    { "pair", cmd_pair }, { "hold", cmd_hold },       { "drop", cmd_drop },
    { "read", cmd_read }, { "expunge", cmd_expunge }, { "put", cmd_put },
    { "close", cmd_close }, { "list", cmd_list },     { "take", cmd_take },
    { "ahead", cmd_ahead }, { "quit", cmd_quit },
};

static struct command_names names(void)
{
    return (struct command_names){ commands->name, sizeof *commands, sizeof commands / sizeof *commands };
}

static enum step run_line(mailsrv_session *s, struct span line)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct span name = { commands[i].name, strlen(commands[i].name) };
        if (!mailsrv__span_equal(mailsrv__span_first(line, name.n), name))
            continue;
        mailsrv__count_command(s, &commands[i]);
        return commands[i].run(s, mailsrv__span_after(line, name.n + 1));
    }
    mailsrv__count_command(s, NULL);
    mailsrv__replies(s, '5');
    if (mailsrv__erred(s)) {
        say(s, SPAN("enough"));
        return STEP_CLOSE;
    }
    return say(s, SPAN("what?"));
}

static enum step take(mailsrv_session *s, struct input *in)
{
    struct probe *p = probe_of(s);
    struct span line;
    struct line_room room = { mailsrv__session_heap(s), &s->purse, PROBE_LINE_MAX };
    enum framed framed = mailsrv__line_take(&p->frame, &room, in, &line);
    if (framed == FRAMED_MORE)
        return STEP_WAIT;
    enum step step = framed == FRAMED_LINE ? run_line(s, line) : say(s, SPAN("bad"));
    mailsrv__line_done(&p->frame, &room, true);
    return step;
}

static enum step greet(mailsrv_session *s)
{
    s->peer_timeout_ms = (uint32_t)mailsrv__setting(s, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    return say(s, SPAN("hello"));
}

static void leave_session(mailsrv_session *s)
{
    struct probe *p = probe_of(s);
    struct line_room room = { mailsrv__session_heap(s), &s->purse, PROBE_LINE_MAX };
    struct handle *handles[] = { &p->held };
    mailsrv__line_done(&p->frame, &room, true);
    if (p->lent != NULL)
        mailsrv__lent_drop(p->lent);
    mailsrv__handles_leave(s, handles, 1);
}

static bool has_face(int32_t face)
{
    return face == 1;
}

static void defaults(mailsrv_profile *profile)
{
    mailsrv__default_u64(profile, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 300000, 1000, 3600000);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_ERRORS_MAX, 3, 1, 1000);
}

const mailsrv_machine *probe(void)
{
    static const mailsrv_machine machine = {
        .name = "probe",
        .commands = names,
        .octets = sizeof(struct probe),
        .partings = { [PARTING_SHUTDOWN] = "down\r\n",
                      [PARTING_TIMEOUT] = "late\r\n",
                      [PARTING_NO_MEMORY] = "full\r\n",
                      [PARTING_BUSY] = "busy\r\n" },
        .has_face = has_face,
        .answers = &mailsrv__store_answers,
        .defaults = defaults,
        .greet = greet,
        .take = take,
        .leave = leave_session,
    };
    return &machine;
}
