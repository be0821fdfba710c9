#include "caller.h"

#include "frame/line.h"

enum { CALLER_LINE_MAX = 512 };

struct caller {
    mailsrv_session session;
    struct line_frame frame;
};

static struct calling *calling;

static struct line_room room_of(mailsrv_session *s)
{
    return (struct line_room){ mailsrv__session_heap(s), &s->purse, CALLER_LINE_MAX };
}

static enum step begin_tls(mailsrv_session *s)
{
    const mailsrv_tls_target target = { .size = sizeof target,
                                        .verify = calling->verify,
                                        .name = { (const uint8_t *)calling->name, strlen(calling->name) } };
    if (!mailsrv__can_connect_tls(s) || !mailsrv__connect_tls(s, &target)) {
        calling->failed++;
        return STEP_CLOSE;
    }
    calling->began++;
    return STEP_WAIT;
}

static enum step run_line(mailsrv_session *s, struct span line)
{
    if (mailsrv__span_equal(mailsrv__span_first(line, 3), SPAN("220")))
        return begin_tls(s);
    if (mailsrv__span_equal(line, SPAN("turn")))
        return mailsrv__then_turn(s, begin_tls);
    if (!mailsrv__say(s, SPAN("heard ")) || !mailsrv__say(s, line) || !mailsrv__say(s, SPAN("\r\n")))
        return STEP_CLOSE;
    return STEP_NEXT;
}

static enum step take(mailsrv_session *s, struct input *in)
{
    struct caller *c = (struct caller *)(void *)s;
    struct line_room room = room_of(s);
    struct span line;
    enum framed framed = mailsrv__line_take(&c->frame, &room, in, &line);
    if (framed == FRAMED_MORE)
        return STEP_WAIT;
    enum step step = framed == FRAMED_LINE ? run_line(s, line) : STEP_CLOSE;
    mailsrv__line_done(&c->frame, &room, true);
    return step;
}

static enum step greet(mailsrv_session *s)
{
    s->peer_timeout_ms = (uint32_t)mailsrv__setting(s, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    return calling->implicit ? begin_tls(s) : STEP_NEXT;
}

static enum step secured(mailsrv_session *s)
{
    return mailsrv__say(s, SPAN("secured\r\n")) ? STEP_NEXT : STEP_CLOSE;
}

static void leave_session(mailsrv_session *s)
{
    struct caller *c = (struct caller *)(void *)s;
    struct line_room room = room_of(s);
    struct span failure = mailsrv__span_first(mailsrv__tls_failure(s), sizeof calling->failure - 1);
    mailsrv__line_done(&c->frame, &room, true);
    if (failure.n != 0)
        memcpy(calling->failure, failure.p, failure.n);
    calling->failure[failure.n] = '\0';
}

static bool has_face(int32_t face)
{
    return face == MAILSRV_FACE_CLIENT;
}

static void defaults(mailsrv_profile *profile)
{
    mailsrv__default_u64(profile, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 300000, 1000, 3600000);
}

const mailsrv_machine *caller(struct calling *c)
{
    static const mailsrv_machine machine = {
        .name = "caller",
        .octets = sizeof(struct caller),
        .has_face = has_face,
        .defaults = defaults,
        .greet = greet,
        .take = take,
        .secured = secured,
        .leave = leave_session,
    };
    calling = c;
    return &machine;
}
