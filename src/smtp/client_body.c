/* A message's octets on their way out.
 *
 * The first range is read before MAIL is said: a message that cannot be read costs the server nothing.  While a range
 * goes out, the next one is read.  A message that fails in the middle ends the connection: without the dot, or the last
 * chunk, half of it is taken for nothing.
 */
#include "smtp/client_machine.h"
#include "text/writer.h"

enum {
    RANGE_MAX = 32768,
    UNIT_OCTETS = 1024,
    CHUNK_MAX = 262144,  /* of BDAT */
    CHUNKS_OUT_MAX = 2   /* one is sent while the one before it is answered */
};

/* ---- Reading ---- */

void mailsrv__client_drop_range(struct smtp_client *c)
{
    if (c->sending->lent != NULL)
        mailsrv__lent_drop(c->sending->lent);
    c->sending->lent = NULL;
}

void mailsrv__client_unread(struct smtp_client *c)
{
    struct sending *s = c->sending;
    struct handle *handles[] = { &s->handle };
    mailsrv__client_drop_range(c);
    mailsrv__client_conversion_free(c);
    if (c->session.left || s->read_ahead)
        mailsrv__handles_leave(&c->session, handles, 1);
    else
        mailsrv__handle_close(&c->session, &s->handle);
}

/* A range fits into the window, and a copy of it into the session's memory beside what else that holds.  Converted, it
 * may be three times as long, and somewhat more. */
static uint64_t most_at_once(const struct smtp_client *c)
{
    uint64_t window = mailsrv__setting(&c->session, MAILSRV_PROFILE_WINDOW_OCTETS);
    uint64_t share = mailsrv__setting(&c->session, MAILSRV_PROFILE_SESSION_OCTETS_MAX) / 8;
    uint64_t most = window < share ? window : share;
    if (most > RANGE_MAX)
        most = RANGE_MAX;
    return c->sending->conversion == NULL ? most : most / 4;
}

static bool ask_range(struct smtp_client *c, ask_fn *asking)
{
    struct sending *s = c->sending;
    uint64_t left = s->job->octets - s->offset;
    uint64_t most = most_at_once(c);
    struct ask ask = asking(&c->session, MAILSRV_OP_READ, 0);
    if (ask.op == NULL)
        return false;
    mailsrv_arg_read *arg = ask.arg;
    arg->queue = s->job->queue;
    arg->handle = s->handle.value;
    arg->offset = s->offset;
    arg->octets = left > most ? most : left == 0 ? 1 : left; /* an empty one is asked for, too: it may be gone */
    return true;
}

void mailsrv__client_ask_range(struct smtp_client *c)
{
    ask_range(c, mailsrv__ask);
}

bool mailsrv__client_take_range(struct smtp_client *c)
{
    struct sending *s = c->sending;
    if (mailsrv__answer(&c->session, 0)->status != MAILSRV_OK)
        return false;
    const mailsrv_read_bytes *bytes = mailsrv__answer(&c->session, 0)->value;
    if (!s->has_read)
        mailsrv__handle_take(&c->session, 0, bytes->handle, &s->handle);
    s->has_read = true;
    uint64_t left = s->job->octets - s->offset;
    if (bytes->octets.n > left || (bytes->octets.n == 0 && left != 0))
        return false; /* not as long as it was when it came */
    s->lent = mailsrv__take_lent(&c->session, 0);
    s->octets_left = mailsrv__span(bytes->octets);
    s->offset += bytes->octets.n;
    return true;
}

enum step mailsrv__client_unreadable(struct smtp_client *c)
{
    mailsrv__client_tell_rest(c, SMTP_HINDERED, OUR_REPLY(0, "4.3.0 the message cannot be read now"));
    return mailsrv__client_job_done(c);
}

static enum step first_answered(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    bool is_here = mailsrv__client_take_range(c);
    if (session->eof)
        return STEP_CLOSE;
    return is_here ? mailsrv__client_mail(c) : mailsrv__client_unreadable(c);
}

enum step mailsrv__client_read_first(struct smtp_client *c)
{
    ask_range(c, mailsrv__ask);
    return mailsrv__then_answers(&c->session, first_answered);
}

/* ---- The reply to it ---- */

/* RFC 3030 section 2: what state a BDAT that failed leaves behind, nobody knows before RSET.  Postfix is in the
 * transaction still, and answers MAIL with a 503, which would be taken for the next message's. */
static enum step final_told(struct smtp_client *c)
{
    return c->sending->last_failed ? mailsrv__client_job_undone(c) : mailsrv__client_job_done(c);
}

static enum step final_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct sending *s = c->sending;
    enum smtp_fate fate = mailsrv__client_fate(c, reply);
    if (mailsrv__reply_is(reply, 3))
        return mailsrv__client_lost(c, OUR_REPLY(0, "the server's reply is none to a message"));
    s->last_failed = s->last_failed || (s->in_chunks && !mailsrv__reply_is(reply, 2));
    if (!mailsrv__client_is_lmtp(c)) {
        mailsrv__client_tell_rest(c, fate, reply);
        return final_told(c);
    }
    while (s->states[s->next_told] != RCPT_ACCEPTED) /* RFC 2033 section 4.2: one reply for each, in their order */
        s->next_told++;
    mailsrv__client_tell(c, s->next_told, fate, reply);
    if (s->accepted == 0)
        return final_told(c);
    return mailsrv__client_expect(c, final_replied, MAILSRV_PROFILE_FINAL_TIMEOUT_MS);
}

static enum step all_said(struct smtp_client *c)
{
    c->sending->all_said = true;
    return mailsrv__client_expect(c, final_replied, MAILSRV_PROFILE_FINAL_TIMEOUT_MS);
}

/* ---- Sending ---- */

static enum step send_on(mailsrv_session *session);

static enum step range_answered(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    c->sending->read_ahead = false;
    if (!mailsrv__client_take_range(c))
        return mailsrv__client_hindered(c, OUR_REPLY(0, "4.3.0 the message could not be read to its end"));
    return send_on(session);
}

static enum step next_range(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    if (c->sending->read_ahead)
        mailsrv__ask_await(session);
    else
        ask_range(c, mailsrv__ask);
    return mailsrv__then_answers(session, range_answered);
}

/* Only with a handle: the answer to a first question may bring one, which this could not close.  Where a chunk ends
 * its reply may come first, and nothing is to be out then. */
static void read_ahead(struct smtp_client *c)
{
    struct sending *s = c->sending;
    bool is_wanted = s->offset < s->job->octets && s->handle.value != 0;
    if (is_wanted && !s->read_ahead && (!s->in_chunks || s->chunk_left > s->octets_left.n))
        s->read_ahead = ask_range(c, mailsrv__ask_ahead);
}

static bool say_octets(struct smtp_client *c, struct span octets)
{
    mailsrv__spend(&c->session, 1 + (uint32_t)(octets.n / UNIT_OCTETS));
    return octets.n == 0 || mailsrv__say_lent(&c->session, c->sending->lent, octets);
}

/* ---- DATA ---- */

/* RFC 5321 section 4.5.2.  False: no memory. */
static bool say_lines(struct smtp_client *c)
{
    struct sending *s = c->sending;
    while (s->octets_left.n != 0 && mailsrv__may_go_on(&c->session)) {
        struct stuffed part;
        mailsrv__stuff_take(&s->stuff, &s->octets_left, &part);
        if (part.dot && !mailsrv__say(&c->session, SPAN(".")))
            return false;
        if (!say_octets(c, part.octets))
            return false;
    }
    return true;
}

/* The same for octets that are others than those in hand. */
static bool say_copied(struct smtp_client *c, struct span octets)
{
    bool is_said = true;
    struct stuffed part;
    while (is_said && mailsrv__stuff_take(&c->sending->stuff, &octets, &part))
        is_said = (!part.dot || mailsrv__say(&c->session, SPAN("."))) && mailsrv__say(&c->session, part.octets);
    mailsrv__spend(&c->session, 1);
    return is_said;
}

static bool say_converted(struct smtp_client *c)
{
    struct span out;
    while (mailsrv__may_go_on(&c->session) && mailsrv__client_converted(c, &out))
        if (!say_copied(c, out))
            return false;
    return true;
}

static enum step end_lines(struct smtp_client *c)
{
    struct span out;
    while (c->sending->conversion != NULL && mailsrv__client_converted_end(c, &out))
        say_copied(c, out);
    mailsrv__say(&c->session, mailsrv__stuff_end(&c->sending->stuff));
    return all_said(c);
}

/* ---- BDAT (RFC 3030) ---- */

/* Does what has been read end a line? */
static bool ends_line(const struct sending *s)
{
    struct span in_hand = s->octets_left;
    if (in_hand.n == 0)
        return s->stuff.crlf; /* an empty message */
    char before = in_hand.n > 1 ? in_hand.p[in_hand.n - 2] : s->stuff.last;
    return before == '\r' && in_hand.p[in_hand.n - 1] == '\n';
}

/* What is left, where all of that is in hand; else as much as a chunk may have, or as is in hand, so that the last
 * chunk is known whole, and its end. */
static uint64_t chunk_octets(struct sending *s)
{
    uint64_t left = s->job->octets - s->offset + s->octets_left.n;
    s->last_chunk = left == s->octets_left.n;
    s->crlf_due = s->last_chunk && !ends_line(s);
    if (s->last_chunk)
        return left;
    return left > CHUNK_MAX ? CHUNK_MAX : s->octets_left.n;
}

/* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] */
static void say_bdat(struct smtp_client *c)
{
    struct sending *s = c->sending;
    char room[40];
    struct writer w = { .p = room, .room = sizeof room };
    s->chunk_left = chunk_octets(s);
    s->chunks_out++;
    mailsrv__write(&w, SPAN("BDAT "));
    mailsrv__write_u64(&w, s->chunk_left + (s->crlf_due ? 2 : 0));
    mailsrv__write(&w, s->last_chunk ? SPAN(" LAST\r\n") : SPAN("\r\n"));
    mailsrv__say(&c->session, mailsrv__written(&w));
}

static enum step chunk_replied(struct smtp_client *c, const struct smtp_reply *reply);

static enum step expect_chunk(struct smtp_client *c)
{
    bool is_last = c->sending->last_chunk && c->sending->chunks_out == 1;
    c->sending->all_said = c->sending->last_chunk;
    return is_last ? all_said(c) : mailsrv__client_expect(c, chunk_replied, MAILSRV_PROFILE_FINAL_TIMEOUT_MS);
}

/* Of chunks that follow one that failed. */
static enum step leftover_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    (void)reply;
    if (--c->sending->chunks_out != 0)
        return mailsrv__client_expect(c, leftover_replied, MAILSRV_PROFILE_FINAL_TIMEOUT_MS);
    return mailsrv__client_job_undone(c);
}

static enum step chunk_failed(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct sending *s = c->sending;
    bool is_unclear = mailsrv__client_is_lmtp(c) && s->last_chunk; /* how many replies LMTP owes to the last one */
    mailsrv__client_tell_rest(c, mailsrv__client_fate(c, reply), reply);
    if (is_unclear)
        return mailsrv__client_fail(c, OUR_REPLY(0, "a chunk failed"));
    if (s->chunks_out != 0)
        return mailsrv__client_expect(c, leftover_replied, MAILSRV_PROFILE_FINAL_TIMEOUT_MS);
    return mailsrv__client_job_undone(c);
}

static enum step chunk_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    struct sending *s = c->sending;
    s->chunks_out--;
    if (mailsrv__reply_is(reply, 3))
        return mailsrv__client_lost(c, OUR_REPLY(0, "the server's reply is none to a chunk"));
    if (!mailsrv__reply_is(reply, 2))
        return chunk_failed(c, reply);
    if (s->last_chunk)
        return expect_chunk(c);
    c->session.peer_timeout_ms = (uint32_t)mailsrv__setting(&c->session, MAILSRV_PROFILE_DATA_TIMEOUT_MS);
    return send_on(&c->session);
}

static bool must_wait(const struct smtp_client *c)
{
    const struct sending *s = c->sending;
    uint8_t most = mailsrv__client_has(c, MAILSRV_EXT_PIPELINING) ? CHUNKS_OUT_MAX : 1;
    return s->chunk_left == 0 && (s->last_chunk || s->chunks_out == most);
}

/* False: no memory. */
static bool say_chunks(struct smtp_client *c)
{
    struct sending *s = c->sending;
    while (s->octets_left.n != 0 && !must_wait(c)) {
        if (s->chunk_left == 0)
            say_bdat(c);
        struct span part = mailsrv__span_first(s->octets_left, (size_t)s->chunk_left);
        if (!say_octets(c, part))
            return false;
        s->stuff.last = part.p[part.n - 1];
        s->octets_left = mailsrv__span_after(s->octets_left, part.n);
        s->chunk_left -= part.n;
    }
    if (s->crlf_due && s->chunk_left == 0)
        mailsrv__say(&c->session, SPAN("\r\n"));
    return true;
}

/* ---- Both ---- */

/* Nothing of the message is left to be read or said. */
static bool is_whole(const struct sending *s)
{
    return s->octets_left.n == 0 && s->offset == s->job->octets;
}

/* The range in hand has been said. */
static enum step range_said(struct smtp_client *c)
{
    mailsrv__client_drop_range(c);
    if (c->sending->in_chunks && must_wait(c))
        return expect_chunk(c);
    if (!c->sending->in_chunks && is_whole(c->sending))
        return end_lines(c);
    return mailsrv__window_open(&c->session) ? next_range(&c->session) :
                                               mailsrv__then_window(&c->session, next_range);
}

static bool say_some(struct smtp_client *c)
{
    if (c->sending->conversion != NULL)
        return say_converted(c);
    return c->sending->in_chunks ? say_chunks(c) : say_lines(c);
}

static enum step send_on(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    struct sending *s = c->sending;
    if (session->eof)
        return STEP_CLOSE;
    bool begins = s->in_chunks && s->chunk_left == 0 && (s->octets_left.n != 0 || is_whole(s));
    if (begins && !must_wait(c))
        say_bdat(c);
    read_ahead(c);
    if (!say_some(c))
        return mailsrv__client_hindered(c, OUR_REPLY(0, "4.3.0 there was no memory for the message"));
    if (s->octets_left.n == 0)
        return range_said(c);
    return s->in_chunks && must_wait(c) ? expect_chunk(c) : mailsrv__then_turn(session, send_on);
}

enum step mailsrv__client_body(struct smtp_client *c)
{
    c->session.peer_timeout_ms = (uint32_t)mailsrv__setting(&c->session, MAILSRV_PROFILE_DATA_TIMEOUT_MS);
    return send_on(&c->session);
}
