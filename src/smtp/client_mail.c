/* MAIL, RCPT and DATA.
 *
 * A server with PIPELINING is sent all of them at once (RFC 2920), but no more than it can answer before it must be
 * read again; any other one by one.  Where the octets go in chunks, they follow when a recipient was accepted. */
#include "smtp/client_machine.h"
#include "text/queue_record.h"
#include "text/writer.h"

enum { COMMANDS_OUT_MAX = 64 }; /* whose replies the system keeps for us while we write (RFC 2920 section 3.1) */

/* ---- Commands ---- */

static void say_number(struct smtp_client *c, struct span name, uint64_t number)
{
    char room[24];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_u64(&w, number);
    mailsrv__say(&c->session, name);
    mailsrv__say(&c->session, mailsrv__written(&w));
}

static void say_if(struct smtp_client *c, bool wanted, struct span text)
{
    if (wanted)
        mailsrv__say(&c->session, text);
}

/* RFC 3461 section 4.3 and 4.4. */
static void say_returns(struct smtp_client *c, const struct smtp_job *job)
{
    if (!mailsrv__client_has(c, MAILSRV_EXT_DSN))
        return;
    if ((job->flags & QUEUE_FLAG_RET_FULL) != 0)
        mailsrv__say(&c->session, SPAN(" RET=FULL"));
    else
        say_if(c, (job->flags & QUEUE_FLAG_RET_HDRS) != 0, SPAN(" RET=HDRS"));
    say_if(c, job->envelope_id.n != 0, SPAN(" ENVID="));
    mailsrv__say(&c->session, job->envelope_id);
}

static void say_mail(struct smtp_client *c)
{
    const struct smtp_job *job = c->sending->job;
    mailsrv__say(&c->session, SPAN("MAIL FROM:<"));
    mailsrv__say(&c->session, job->reverse_path);
    mailsrv__say(&c->session, SPAN(">"));
    if (mailsrv__client_has(c, MAILSRV_EXT_SIZE) && c->sending->conversion == NULL)
        say_number(c, SPAN(" SIZE="), job->octets);
    say_if(c, (job->flags & QUEUE_FLAG_8BIT) != 0 && c->sending->conversion == NULL, SPAN(" BODY=8BITMIME"));
    say_if(c, (job->flags & QUEUE_FLAG_UTF8) != 0, SPAN(" SMTPUTF8"));
    say_returns(c, job);
    mailsrv__say(&c->session, SPAN("\r\n"));
    c->sending->mail_said = true;
}

/* notify-list = "NEVER" / "SUCCESS" / "FAILURE" / "DELAY", commas between   RFC 3461 section 4.1 */
static void say_notify(struct smtp_client *c, uint16_t flags)
{
    static const struct {
        uint16_t flag;
        struct span name;
    } names[] = {
        { QUEUE_FLAG_NOTIFY_NEVER, SPAN("NEVER") },
        { QUEUE_FLAG_NOTIFY_SUCCESS, SPAN("SUCCESS") },
        { QUEUE_FLAG_NOTIFY_FAILURE, SPAN("FAILURE") },
        { QUEUE_FLAG_NOTIFY_DELAY, SPAN("DELAY") },
    };
    bool is_first = true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((flags & names[i].flag) == 0)
            continue;
        mailsrv__say(&c->session, is_first ? SPAN(" NOTIFY=") : SPAN(","));
        mailsrv__say(&c->session, names[i].name);
        is_first = false;
        if (names[i].flag == QUEUE_FLAG_NOTIFY_NEVER)
            return; /* it stands alone */
    }
}

static void say_rcpt(struct smtp_client *c)
{
    const struct smtp_rcpt *rcpt = &c->sending->job->rcpts[c->sending->said++];
    mailsrv__say(&c->session, SPAN("RCPT TO:<"));
    mailsrv__say(&c->session, rcpt->address);
    mailsrv__say(&c->session, SPAN(">"));
    if (mailsrv__client_has(c, MAILSRV_EXT_DSN)) {
        say_notify(c, rcpt->flags);
        say_if(c, rcpt->original.n != 0, SPAN(" ORCPT="));
        mailsrv__say(&c->session, rcpt->original);
    }
    mailsrv__say(&c->session, SPAN("\r\n"));
}

static void say_data(struct smtp_client *c)
{
    mailsrv__say(&c->session, SPAN("DATA\r\n"));
    c->sending->data_said = true;
}

/* ---- How far ahead ---- */

static uint32_t commands_out(const struct sending *s)
{
    return (s->mail_said && !s->mail_replied) + (s->said - s->replied) + (s->data_said && !s->data_replied);
}

/* Something is always said where no reply is awaited; else while it is short of what would keep us from reading. */
static bool may_say(const struct smtp_client *c)
{
    uint32_t out = commands_out(c->sending);
    if (out == 0 || !mailsrv__client_has(c, MAILSRV_EXT_PIPELINING))
        return out == 0;
    uint64_t window = mailsrv__setting(&c->session, MAILSRV_PROFILE_WINDOW_OCTETS);
    return out < COMMANDS_OUT_MAX && mailsrv__unsent(&c->session) < window / 2;
}

/* DATA follows where somebody was accepted, or may be yet. */
static bool wants_data(const struct sending *s)
{
    return !s->in_chunks && !s->data_said && s->said == s->rcpts && (s->accepted != 0 || s->replied != s->said);
}

static enum step transaction_replied(struct smtp_client *c, const struct smtp_reply *reply);

static enum step go_on(struct smtp_client *c)
{
    struct sending *s = c->sending;
    while (!s->refused && s->said < s->rcpts && may_say(c))
        say_rcpt(c);
    if (!s->refused && wants_data(s) && may_say(c))
        say_data(c);
    if (commands_out(s) != 0)
        return mailsrv__client_expect(c, transaction_replied, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS);
    if (s->refused)
        return mailsrv__client_job_done(c); /* no transaction has begun */
    return s->accepted == 0 ? mailsrv__client_job_undone(c) : mailsrv__client_body(c);
}

enum step mailsrv__client_mail(struct smtp_client *c)
{
    say_mail(c);
    return go_on(c);
}

/* ---- Replies ---- */

static bool is_answer(const struct smtp_reply *reply)
{
    return !mailsrv__reply_is(reply, 3);
}

static enum step out_of_step(struct smtp_client *c)
{
    return mailsrv__client_lost(c, OUR_REPLY(0, "the server's reply is none to what it was asked"));
}

static enum step mail_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (!is_answer(reply))
        return out_of_step(c);
    c->sending->mail_replied = true;
    if (!mailsrv__reply_is(reply, 2)) {
        c->sending->refused = true;
        mailsrv__client_tell_rest(c, mailsrv__client_fate(c, reply), reply);
    }
    return go_on(c);
}

/* RFC 5321 section 4.5.3.1.10: 452 behind a recipient that was accepted says that one transaction takes no more; so
 * does 552 of old servers.  With an enhanced code it must say so itself: 452 4.2.2 is a full mailbox. */
static bool is_too_many(const struct sending *s, const struct smtp_reply *reply)
{
    enum { NOW = 452, FOR_EVER = 552 };
    size_t n = mailsrv__enhanced_octets(reply->text);
    struct span code = mailsrv__span_first(reply->text, n != 0 && reply->text.p[n - 1] == ' ' ? n - 1 : n);
    bool says_so = n == 0 || mailsrv__span_equal(mailsrv__span_after(code, 1), SPAN(".5.3"));
    return s->accepted != 0 && (reply->code == NOW || reply->code == FOR_EVER) && says_so;
}

static enum step rcpt_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct sending *s = c->sending;
    uint32_t i = s->replied++;
    if (!is_answer(reply))
        return out_of_step(c);
    if (s->refused)
        return go_on(c); /* MAIL was, and all were told */
    if (mailsrv__reply_is(reply, 2)) {
        s->states[i] = RCPT_ACCEPTED;
        s->accepted++;
    } else {
        mailsrv__client_tell(c, i, is_too_many(s, reply) ? SMTP_NOT_SENT : mailsrv__client_fate(c, reply), reply);
    }
    return go_on(c);
}

static enum step stray_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    (void)reply;
    return mailsrv__client_job_done(c);
}

static enum step data_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    enum { GO_AHEAD = 354 };
    struct sending *s = c->sending;
    s->data_replied = true;
    if (reply->code == GO_AHEAD && s->refused) /* MAIL was: behind that a dot might end a message, and an empty one */
        return out_of_step(c);
    if (reply->code == GO_AHEAD && s->accepted == 0) /* RFC 2920 section 3.1: nobody takes it, and a dot ends it */
        return mailsrv__client_say(c, SPAN(".\r\n"), stray_replied);
    if (reply->code == GO_AHEAD)
        return mailsrv__client_body(c);
    if (mailsrv__reply_is(reply, 2) || mailsrv__reply_is(reply, 3))
        return out_of_step(c);
    mailsrv__client_tell_rest(c, mailsrv__client_fate(c, reply), reply);
    return s->refused ? mailsrv__client_job_done(c) : mailsrv__client_job_undone(c);
}

/* Replies come in the order of the commands. */
static enum step transaction_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct sending *s = c->sending;
    if (!s->mail_replied)
        return mail_replied(c, reply);
    return s->replied < s->said ? rcpt_replied(c, reply) : data_replied(c, reply);
}
