/* The parameters of DSN (RFC 3461): RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT. */
#include "smtp/smtp.h"
#include "text/queue_record.h"
#include "text/xtext.h"

bool mailsrv__smtp_offers_dsn(const struct smtp *s)
{
    return !mailsrv__smtp_is_lmtp(s) && mailsrv__enabled(&s->session, MAILSRV_EXT_DSN) && mailsrv__smtp_queue_kinds(s);
}

/* ---- MAIL ---- */

/* ret-value = "FULL" / "HDRS"   RFC 3461 section 4.3 */
static const char *take_ret(const struct parameter *one, struct mail_parameters *p)
{
    uint16_t ret = mailsrv__span_equal_nocase(one->value, SPAN("FULL"))   ? QUEUE_FLAG_RET_FULL
                   : mailsrv__span_equal_nocase(one->value, SPAN("HDRS")) ? QUEUE_FLAG_RET_HDRS
                                                                          : 0;
    if (p->ret != 0 || ret == 0)
        return "501 5.5.4 bad RET";
    p->ret = ret;
    return NULL;
}

static const char *take_envid(const struct parameter *one, struct mail_parameters *p)
{
    if (p->envelope_id.n != 0 || !mailsrv__is_envelope_id(one->value))
        return "501 5.5.4 bad ENVID";
    p->envelope_id = one->value;
    return NULL;
}

static const char unknown[] = "555 5.5.4 parameter not known";

const char *mailsrv__smtp_mail_parameter(const struct smtp *s, const struct parameter *one, struct mail_parameters *p)
{
    if (!mailsrv__smtp_offers_dsn(s))
        return unknown;
    if (mailsrv__span_equal_nocase(one->keyword, SPAN("RET")))
        return take_ret(one, p);
    if (mailsrv__span_equal_nocase(one->keyword, SPAN("ENVID")))
        return take_envid(one, p);
    return unknown;
}

bool mailsrv__smtp_keep_envelope(struct smtp *s, const struct mail_parameters *p)
{
    struct transaction *t = s->mail;
    t->ret = p->ret;
    if (p->envelope_id.n != 0)
        t->envelope_id = mailsrv__note(&s->session, p->envelope_id);
    return p->envelope_id.n == 0 || t->envelope_id != NULL;
}

/* ---- RCPT ---- */

/* notify-esmtp-value = "NEVER" / ( notify-list-element *( "," notify-list-element ) )   RFC 3461 section 4.1
 * 0: it is none. */
static uint16_t read_notify(struct span value)
{
    uint16_t flags = 0;
    if (mailsrv__span_equal_nocase(value, SPAN("NEVER")))
        return QUEUE_FLAG_NOTIFY_NEVER;
    for (bool more = true; more;) {
        const char *comma = value.n == 0 ? NULL : memchr(value.p, ',', value.n);
        struct span word = mailsrv__span_first(value, comma == NULL ? value.n : (size_t)(comma - value.p));
        uint16_t flag = mailsrv__span_equal_nocase(word, SPAN("SUCCESS"))   ? QUEUE_FLAG_NOTIFY_SUCCESS
                        : mailsrv__span_equal_nocase(word, SPAN("FAILURE")) ? QUEUE_FLAG_NOTIFY_FAILURE
                        : mailsrv__span_equal_nocase(word, SPAN("DELAY"))   ? QUEUE_FLAG_NOTIFY_DELAY
                                                                            : 0;
        if (flag == 0)
            return 0;
        flags |= flag;
        more = comma != NULL;
        value = mailsrv__span_after(value, word.n + 1);
    }
    return flags;
}

static const char *take_rcpt_parameter(const struct parameter *one, uint16_t *notify, struct span *original)
{
    if (mailsrv__span_equal_nocase(one->keyword, SPAN("NOTIFY"))) {
        uint16_t before = *notify;
        *notify = read_notify(one->value);
        return before != 0 || *notify == 0 ? "501 5.5.4 bad NOTIFY" : NULL;
    }
    if (!mailsrv__span_equal_nocase(one->keyword, SPAN("ORCPT")))
        return unknown;
    bool twice = original->n != 0;
    *original = one->value;
    return twice || !mailsrv__is_original(one->value) ? "501 5.5.4 bad ORCPT" : NULL;
}

const char *mailsrv__smtp_rcpt_parameters(const struct smtp *s, struct span rest, uint16_t *notify,
                                          struct span *original)
{
    struct parameter one;
    while (rest.n != 0) {
        if (!mailsrv__smtp_offers_dsn(s))
            return unknown;
        if (!mailsrv__smtp_parameter(&rest, &one))
            return "501 5.5.4 bad parameters";
        const char *refusal = take_rcpt_parameter(&one, notify, original);
        if (refusal != NULL)
            return refusal;
    }
    return NULL;
}
