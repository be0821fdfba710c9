/* Jobs: the next one, what cannot be sent to this server, what becomes of recipients. */
#include "smtp/client_machine.h"
#include "text/queue_record.h"

/* ---- Recipients ---- */

void mailsrv__client_tell(struct smtp_client *c, uint32_t i, enum smtp_fate fate, const struct smtp_reply *reply)
{
    struct sending *s = c->sending;
    if (s->states[i] == RCPT_ACCEPTED)
        s->accepted--;
    s->states[i] = RCPT_TOLD;
    c->courier->told(c->courier, s->job, i, fate, reply);
}

void mailsrv__client_tell_rest(struct smtp_client *c, enum smtp_fate fate, const struct smtp_reply *reply)
{
    for (uint32_t i = 0; i < c->sending->job->n_rcpts; i++)
        if (c->sending->states[i] != RCPT_TOLD)
            mailsrv__client_tell(c, i, fate, reply);
}

enum smtp_fate mailsrv__client_fate(const struct smtp_client *c, const struct smtp_reply *reply)
{
    if (mailsrv__reply_is(reply, 5))
        return SMTP_REFUSED;
    if (!mailsrv__reply_is(reply, 2))
        return SMTP_LATER;
    return mailsrv__client_has(c, MAILSRV_EXT_DSN) ? SMTP_DELIVERED : SMTP_RELAYED;
}

/* ---- The end of a job ---- */

static void give_back(struct smtp_client *c)
{
    struct sending *s = c->sending;
    const struct smtp_job *job = s->job;
    mailsrv__client_unread(c);
    c->sending = NULL;
    c->session.unfinished = false;
    mailsrv__session_give(&c->session, s, s->octets);
    if (c->courier->done != NULL)
        c->courier->done(c->courier, job);
}

/* A connection that was used before and ends before anything was answered has most likely ended in between: that says
 * nothing about this message. */
void mailsrv__client_drop_job(struct smtp_client *c, const struct smtp_reply *reply)
{
    bool none_counts = c->messages != 0 && !c->sending->mail_replied;
    enum smtp_fate fate = c->sending->all_said && reply->code == 0 ? SMTP_UNSURE : SMTP_LATER;
    mailsrv__client_tell_rest(c, none_counts ? SMTP_NOT_SENT : fate, reply);
    give_back(c);
}

enum step mailsrv__client_job_done(struct smtp_client *c)
{
    c->messages++;
    give_back(c);
    return mailsrv__then_turn(&c->session, mailsrv__client_next);
}

static enum step reset_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (!mailsrv__reply_is(reply, 2))
        return mailsrv__client_part(c);
    return mailsrv__then_turn(&c->session, mailsrv__client_next);
}

enum step mailsrv__client_job_undone(struct smtp_client *c)
{
    c->messages++;
    give_back(c);
    return mailsrv__client_say(c, SPAN("RSET\r\n"), reset_replied);
}

/* ---- The beginning ---- */

/* What would end the command, or the path in it. */
static bool is_safe(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] < ' ' || text.p[i] == 127)
            return false;
    return true;
}

static bool addresses_are_safe(const struct smtp_job *job)
{
    if (!is_safe(job->reverse_path) || !is_safe(job->envelope_id))
        return false;
    for (uint32_t i = 0; i < job->n_rcpts; i++)
        if (!is_safe(job->rcpts[i].address) || !is_safe(job->rcpts[i].original))
            return false;
    return true;
}

static bool needs_conversion(const struct smtp_client *c, const struct smtp_job *job)
{
    return (job->flags & QUEUE_FLAG_8BIT) != 0 && !mailsrv__client_has(c, MAILSRV_EXT_8BITMIME);
}

/* Why this server is not asked to take it; NULL: it is. */
static const struct smtp_reply *refusal(const struct smtp_client *c, const struct smtp_job *job)
{
    static const struct smtp_reply bad_address = { 553, SPAN("5.1.3 an address that cannot be sent") };
    static const struct smtp_reply needs_utf8 = { 553, SPAN("5.6.7 the server has no SMTPUTF8") };
    static const struct smtp_reply needs_8bit = { 554, SPAN("5.6.3 the server has no 8BITMIME") };
    static const struct smtp_reply too_large = { 552, SPAN("5.3.4 the server does not take so large a message") };
    if (!addresses_are_safe(job))
        return &bad_address;
    if ((job->flags & QUEUE_FLAG_UTF8) != 0 && !mailsrv__client_has(c, MAILSRV_EXT_SMTPUTF8))
        return &needs_utf8;
    if (needs_conversion(c, job) && !c->terms.downgrades)
        return &needs_8bit;
    if (c->size_max != 0 && job->octets > c->size_max)
        return &too_large;
    return NULL;
}

/* It never began: all recipients fare alike. */
static enum step turn_down(struct smtp_client *c, const struct smtp_job *job, enum smtp_fate fate,
                           const struct smtp_reply *reply)
{
    for (uint32_t i = 0; i < job->n_rcpts; i++)
        c->courier->told(c->courier, job, i, fate, reply);
    if (c->courier->done != NULL)
        c->courier->done(c->courier, job);
    return mailsrv__then_turn(&c->session, mailsrv__client_next);
}

static struct sending *new_sending(struct smtp_client *c, const struct smtp_job *job)
{
    size_t octets = sizeof(struct sending) + job->n_rcpts;
    struct sending *s = mailsrv__session_take(&c->session, octets);
    if (s == NULL)
        return NULL;
    s->job = job;
    s->octets = octets;
    s->rcpts = job->n_rcpts < c->terms.rcpts_max ? job->n_rcpts : c->terms.rcpts_max; /* 1 or more, both */
    s->in_chunks = mailsrv__client_has(c, MAILSRV_EXT_CHUNKING) && !needs_conversion(c, job);
    mailsrv__stuff_init(&s->stuff);
    return s;
}

static enum step begin(struct smtp_client *c, const struct smtp_job *job)
{
    const struct smtp_reply *refused = refusal(c, job);
    if (refused != NULL)
        return turn_down(c, job, SMTP_UNABLE, refused);
    c->sending = new_sending(c, job);
    if (c->sending == NULL)
        return turn_down(c, job, SMTP_HINDERED, OUR_REPLY(0, "4.3.0 there was no memory for it"));
    c->session.unfinished = true;
    for (uint32_t i = c->sending->rcpts; i < job->n_rcpts; i++)
        mailsrv__client_tell(c, i, SMTP_NOT_SENT, OUR_REPLY(0, "more recipients than one transaction takes"));
    return needs_conversion(c, job) ? mailsrv__client_convert(c) : mailsrv__client_read_first(c);
}

/* ---- The next one ---- */

static enum step wait_for_one(struct smtp_client *c)
{
    int64_t now_us = mailsrv__now_us(&c->session);
    if (!c->is_idle)
        c->idle_until_us = now_us + (int64_t)c->terms.idle_ms * 1000;
    if (!c->is_idle)
        mailsrv__alarm(&c->session, c->terms.idle_ms);
    c->is_idle = now_us < c->idle_until_us;
    return c->is_idle ? STEP_NEXT : mailsrv__client_part(c);
}

enum step mailsrv__client_next(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    if (session->shutting)
        return STEP_NEXT; /* the parting is QUIT */
    if (mailsrv__input_waits(session))
        return mailsrv__client_lost(c, OUR_REPLY(0, "the server said more than it was asked"));
    bool goes_on = !c->quits && c->messages < c->terms.messages_max;
    const struct smtp_job *job = goes_on ? c->courier->next(c->courier) : NULL;
    if (job == NULL && goes_on)
        return wait_for_one(c);
    c->is_idle = false;
    mailsrv__alarm(session, 0);
    return job == NULL ? mailsrv__client_part(c) : begin(c, job);
}
