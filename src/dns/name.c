#include "dns/name.h"

/* A name on its way out of a message. */
struct reading {
    struct span message;
    size_t at;
    size_t lowest; /* where a pointer has to point below */
    size_t behind; /* the name as it stands in its place; 0: not known yet */
    size_t octets; /* of the whole name on the wire, not compressed, its end counted */
};

/* A pointer leads backwards, to a name that stood there before this one began.  So each leads below the one before it,
 * and none of them leads round in a circle. */
static bool follow(struct reading *r, uint8_t high)
{
    if (r->message.n - r->at < 2)
        return false;
    size_t to = (size_t)(high & 0x3F) << 8 | (uint8_t)r->message.p[r->at + 1];
    if (to >= r->lowest || to < DNS_HEADER_OCTETS)
        return false;
    if (r->behind == 0)
        r->behind = r->at + 2;
    r->at = r->lowest = to;
    return true;
}

static bool take_label(struct reading *r, size_t n, struct dns_name *out)
{
    const char *label = r->message.p + r->at + 1;
    r->octets += 1 + n;
    if (n > DNS_LABEL_OCTETS_MAX || n >= r->message.n - r->at || r->octets > DNS_NAME_OCTETS_MAX ||
        memchr(label, '.', n) != NULL)
        return false;
    if (out->n != 0)
        out->text[out->n++] = '.';
    memcpy(out->text + out->n, label, n);
    out->n = (uint8_t)(out->n + n);
    r->at += 1 + n;
    return true;
}

bool mailsrv__dns_name_read(struct span message, size_t *at, struct dns_name *out)
{
    struct reading r = { .message = message, .at = *at, .lowest = *at, .octets = 1 };
    out->n = 0;
    while (r.at < message.n) {
        uint8_t n = (uint8_t)message.p[r.at];
        if (n == 0) {
            *at = r.behind == 0 ? r.at + 1 : r.behind;
            return true;
        }
        if (!(n >= 0xC0 ? follow(&r, n) : take_label(&r, n, out)))
            return false;
    }
    return false;
}

/* The first label of `text`, which is empty where a dot stands first. */
static struct span first_label(struct span text)
{
    const char *dot = memchr(text.p, '.', text.n);
    return mailsrv__span_first(text, dot == NULL ? text.n : (size_t)(dot - text.p));
}

static bool is_name(struct span text)
{
    if (text.n > DNS_TEXT_OCTETS_MAX || (text.n != 0 && text.p[text.n - 1] == '.'))
        return false;
    while (text.n != 0) {
        struct span label = first_label(text);
        if (label.n == 0 || label.n > DNS_LABEL_OCTETS_MAX)
            return false;
        text = mailsrv__span_after(text, label.n + 1);
    }
    return true;
}

bool mailsrv__dns_name_write(struct writer *w, struct span text)
{
    if (!is_name(text))
        return false;
    while (text.n != 0) {
        struct span label = first_label(text);
        mailsrv__write_char(w, (char)label.n);
        mailsrv__write(w, label);
        text = mailsrv__span_after(text, label.n + 1);
    }
    mailsrv__write_char(w, '\0');
    return true;
}
