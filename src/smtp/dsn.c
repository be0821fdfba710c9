/* The parameters of DSN (RFC 3461): RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT. */
#include "smtp/smtp.h"
#include "text/queue_record.h"

enum { ENVID_OCTETS_MAX = 100, ORCPT_OCTETS_MAX = 500 }; /* RFC 3461 sections 4.4 and 4.2 */

bool mailsrv__smtp_offers_dsn(const struct smtp *s)
{
    return !mailsrv__smtp_is_lmtp(s) && mailsrv__enabled(&s->session, MAILSRV_EXT_DSN) && mailsrv__smtp_queue_kinds(s);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext = *( xchar / hexchar )   RFC 3461 section 4
 * What it stands for is `least` to 126: printable ASCII, and no line end that would break out of a notice. */
static bool is_xtext(struct span text, int least)
{
    for (size_t i = 0; i < text.n; i++) {
        int c = text.p[i];
        if (c < '!' || c > '~' || c == '=')
            return false;
        if (c != '+')
            continue;
        if (text.n - i < 3 || hex_value(text.p[i + 1]) < 0 || hex_value(text.p[i + 2]) < 0)
            return false;
        c = hex_value(text.p[i + 1]) * 16 + hex_value(text.p[i + 2]);
        if (c < least || c > '~')
            return false;
        i += 2;
    }
    return text.n != 0;
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

/* envid-parameter = "ENVID=" xtext   RFC 3461 section 4.4 */
static const char *take_envid(const struct parameter *one, struct mail_parameters *p)
{
    if (p->envelope_id.n != 0 || one->value.n > ENVID_OCTETS_MAX || !is_xtext(one->value, ' '))
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

/* original-recipient-address = addr-type ";" xtext   RFC 3461 section 4.2; addr-type = atom */
static bool is_original(struct span value)
{
    const char *semicolon = value.n == 0 ? NULL : memchr(value.p, ';', value.n);
    if (semicolon == NULL || semicolon == value.p || value.n > ORCPT_OCTETS_MAX)
        return false;
    size_t n = (size_t)(semicolon - value.p);
    for (size_t i = 0; i < n; i++) {
        char c = mailsrv__upper(value.p[i]);
        if ((c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-')
            return false;
    }
    return is_xtext(mailsrv__span_after(value, n + 1), ' ');
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
    return twice || !is_original(one->value) ? "501 5.5.4 bad ORCPT" : NULL;
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
