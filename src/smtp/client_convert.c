/* A message with octets above 127 for a server without 8BITMIME (RFC 6152 section 3).
 *
 * It is read three times: for its parts, for what of them must be encoded, and as it goes out.  That is rare enough,
 * and takes no memory that grows with the message. */
#include "message/scanner.h"
#include "message/seven_bit.h"
#include "smtp/client_machine.h"

enum { UNIT_OCTETS = 1024 };

struct conversion {
    struct seven_bit message;
    bool is_scanned;
    struct scanner scanner;
};

void mailsrv__client_conversion_free(struct smtp_client *c)
{
    struct conversion *v = c->sending->conversion;
    if (v == NULL)
        return;
    mailsrv__scanner_fini(&v->scanner);
    mailsrv__session_give(&c->session, v, sizeof *v);
    c->sending->conversion = NULL;
}

bool mailsrv__client_converted(struct smtp_client *c, struct span *out)
{
    return mailsrv__seven_bit_take(&c->sending->conversion->message, &c->sending->octets_left, out);
}

bool mailsrv__client_converted_end(struct smtp_client *c, struct span *out)
{
    return mailsrv__seven_bit_end(&c->sending->conversion->message, out);
}

/* ---- Before it goes out ---- */

static enum step cannot_be(struct smtp_client *c)
{
    mailsrv__client_tell_rest(c, SMTP_UNABLE,
                              OUR_REPLY(554, "5.6.3 the server has no 8BITMIME, and the message cannot be converted"));
    return mailsrv__client_job_done(c);
}

static enum step range_answered(mailsrv_session *session);

static enum step look_on(struct smtp_client *c)
{
    mailsrv__client_ask_range(c);
    return mailsrv__then_answers(&c->session, range_answered);
}

/* The message has been read to its end. */
static enum step is_read(struct smtp_client *c)
{
    struct conversion *v = c->sending->conversion;
    c->sending->offset = 0;
    if (v->is_scanned)
        return mailsrv__seven_bit_rewind(&v->message) ? mailsrv__client_read_first(c) : cannot_be(c);
    v->is_scanned = true;
    struct span structure = mailsrv__scanner_end(&v->scanner);
    if (v->scanner.failed)
        return mailsrv__client_unreadable(c); /* there was no memory for it */
    return mailsrv__seven_bit_begin(&v->message, structure) ? look_on(c) : cannot_be(c);
}

static enum step range_answered(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    struct sending *s = c->sending;
    bool is_here = mailsrv__client_take_range(c);
    if (session->eof)
        return STEP_CLOSE;
    if (!is_here)
        return mailsrv__client_unreadable(c);
    if (s->conversion->is_scanned)
        mailsrv__seven_bit_look(&s->conversion->message, s->octets_left);
    else
        mailsrv__scanner_take(&s->conversion->scanner, s->octets_left);
    mailsrv__spend(session, (uint32_t)(s->octets_left.n / UNIT_OCTETS));
    mailsrv__client_drop_range(c);
    return s->offset == s->job->octets ? is_read(c) : look_on(c);
}

enum step mailsrv__client_convert(struct smtp_client *c)
{
    struct conversion *v = mailsrv__session_take(&c->session, sizeof *v);
    if (v == NULL)
        return mailsrv__client_unreadable(c);
    mailsrv__scanner_init(&v->scanner, mailsrv__session_heap(&c->session), CLASS_SESSIONS);
    c->sending->conversion = v;
    return look_on(c);
}
