#include "smtp/smtp.h"
#include "text/date.h"

/* ---- Received (RFC 5321 section 4.4) ---- */

static struct span hello_of(const struct smtp *s)
{
    return (struct span){ s->hello, s->hello_n };
}

/* The name is whatever the peer said: nothing in it may look like another part of the field. */
static void write_hello(const struct smtp *s, struct writer *w)
{
    struct span name = hello_of(s);
    bool is_literal = mailsrv__is_address_literal(name);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i], u = mailsrv__upper(c);
        bool fine = (u >= 'A' && u <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        bool of_literal = is_literal && (c == '[' || c == ']' || c == ':');
        mailsrv__write_char(w, fine || of_literal ? c : '?');
    }
}

/* TCP-info = address-literal */
static void write_peer(const struct smtp *s, struct writer *w)
{
    const mailsrv_peer *peer = &s->session.peer;
    if (peer->address_octets == 0)
        return;
    mailsrv__write(w, SPAN(" (["));
    if (peer->address_octets == 16)
        mailsrv__write(w, SPAN("IPv6:"));
    mailsrv__write_ip(w, peer->address, peer->address_octets);
    mailsrv__write(w, SPAN("])"));
}

/* RFC 3848: the E says that the peer greeted with EHLO, the S that there is TLS, the A that he has logged in.  RFC 6531
 * section 4.3: UTF8SMTP stands for ESMTP with SMTPUTF8. */
static void write_protocol(const struct smtp *s, struct writer *w)
{
    bool lmtp = mailsrv__smtp_is_lmtp(s);
    if (s->mail->utf8)
        mailsrv__write(w, SPAN("UTF8"));
    else if (!lmtp && s->greeting == GREETED_EHLO)
        mailsrv__write(w, SPAN("E"));
    mailsrv__write(w, lmtp ? SPAN("LMTP") : SPAN("SMTP"));
    if (mailsrv__secure(&s->session))
        mailsrv__write(w, SPAN("S"));
    if (s->authenticated)
        mailsrv__write(w, SPAN("A"));
}

void mailsrv__smtp_write_id(const struct smtp *s, struct writer *w)
{
    mailsrv__write_hex(w, (uint64_t)mailsrv__unix_us(&s->session));
    mailsrv__write_char(w, '-');
    mailsrv__write_u64(w, s->session.id);
    mailsrv__write_char(w, '-');
    mailsrv__write_u64(w, s->n_mails);
}

void mailsrv__smtp_write_received(const struct smtp *s, struct writer *w)
{
    mailsrv__write(w, SPAN("Received: from "));
    write_hello(s, w);
    write_peer(s, w);
    mailsrv__write(w, SPAN("\r\n by "));
    mailsrv__write(w, mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME));
    mailsrv__write(w, SPAN(" with "));
    write_protocol(s, w);
    mailsrv__write(w, SPAN("\r\n id "));
    mailsrv__smtp_write_id(s, w);
    if (s->mail->n_recipients == 1) { /* more would tell each of the others (RFC 5321 section 7.2) */
        mailsrv__write(w, SPAN("\r\n for <"));
        mailsrv__write(w, s->mail->first->address);
        mailsrv__write_char(w, '>');
    }
    mailsrv__write(w, SPAN(";\r\n "));
    mailsrv__write_date(w, mailsrv__unix_us(&s->session));
    mailsrv__write(w, SPAN("\r\n"));
}

/* ---- What stands above it where a message is delivered ---- */

#define RETURN_PATH "Return-Path: <"
#define DELIVERED_TO "Delivered-To: "

size_t mailsrv__smtp_delivery_octets(const struct transaction *t, struct span recipient)
{
    return sizeof RETURN_PATH - 1 + t->reverse_path.n + 3 + sizeof DELIVERED_TO - 1 + recipient.n + 2;
}

void mailsrv__smtp_write_delivery(const struct transaction *t, struct span recipient, struct writer *w)
{
    mailsrv__write(w, SPAN(RETURN_PATH));
    mailsrv__write(w, t->reverse_path);
    mailsrv__write(w, SPAN(">\r\n" DELIVERED_TO));
    mailsrv__write(w, recipient);
    mailsrv__write(w, SPAN("\r\n"));
}

/* ---- Fields that POLICY gave: those of the session, of the message, of the recipient ---- */

enum { FIELD_LISTS = 4 };

static void lists_of(const struct smtp *s, const struct recipient *r, const struct noted *lists[FIELD_LISTS])
{
    lists[0] = s->connected.fields;
    lists[1] = s->greeted.fields;
    lists[2] = s->mail->standing.fields;
    lists[3] = r->fields;
}

size_t mailsrv__smtp_fields_octets(const struct smtp *s, const struct recipient *r)
{
    const struct noted *lists[FIELD_LISTS];
    size_t octets = 0;
    lists_of(s, r, lists);
    for (size_t i = 0; i < FIELD_LISTS; i++)
        for (const struct noted *at = lists[i]; at != NULL; at = at->next)
            octets += at->n;
    return octets;
}

void mailsrv__smtp_write_fields(const struct smtp *s, const struct recipient *r, struct writer *w)
{
    const struct noted *lists[FIELD_LISTS];
    lists_of(s, r, lists);
    for (size_t i = 0; i < FIELD_LISTS; i++)
        for (const struct noted *at = lists[i]; at != NULL; at = at->next)
            mailsrv__write(w, mailsrv__noted(at));
}

static bool are_hidden(const struct smtp *s, const struct recipient *r)
{
    const struct noted *lists[FIELD_LISTS];
    lists_of(s, r, lists);
    for (size_t i = 0; i < FIELD_LISTS; i++)
        for (const struct noted *at = lists[i]; at != NULL; at = at->next)
            if (mailsrv__structure_hides(&s->session, mailsrv__noted(at)))
                return true;
    return false;
}

struct span mailsrv__smtp_structure(const struct smtp *s)
{
    for (const struct recipient *r = s->mail->first; r != NULL; r = r->next)
        if (are_hidden(s, r))
            return (struct span){ NULL, 0 };
    return mailsrv__taps_facts(s->mail->taps)->structure;
}

/* ---- Hops ---- */

enum { AT_NAME, AT_BLANKS, AT_REST, AT_END }; /* AT_END: behind the header */

struct hops {
    uint32_t n;
    uint8_t at;
    uint8_t matched; /* octets of the name */
    bool empty;      /* nothing but perhaps a CR in this line so far */
};

static void hops_begin(void *state, mailsrv_session *session)
{
    (void)session;
    *(struct hops *)state = (struct hops){ .at = AT_NAME, .empty = true };
}

static void next_line(struct hops *h)
{
    h->at = h->empty ? AT_END : AT_NAME;
    h->matched = 0;
    h->empty = true;
}

static void see(struct hops *h, char c)
{
    static const char name[] = "RECEIVED";
    if (c == '\n') {
        next_line(h);
        return;
    }
    h->empty = h->empty && c == '\r';
    if (h->at == AT_NAME && h->matched < sizeof name - 1 && mailsrv__upper(c) == name[h->matched]) {
        h->matched++;
        return;
    }
    if (c == ':' && h->matched == sizeof name - 1 && h->at != AT_REST)
        h->n++;
    h->at = (c == ' ' || c == '\t') && h->matched == sizeof name - 1 && h->at != AT_REST ? AT_BLANKS : AT_REST;
}

static void hops_bytes(void *state, struct span octets)
{
    struct hops *h = state;
    for (size_t i = 0; i < octets.n && h->at != AT_END; i++) {
        if (h->at == AT_REST && !h->empty) {
            const char *lf = memchr(octets.p + i, '\n', octets.n - i);
            if (lf == NULL)
                return;
            i = (size_t)(lf - octets.p);
        }
        see(h, octets.p[i]);
    }
}

static void hops_end(void *state, mailsrv_session *session, struct facts *facts)
{
    (void)session;
    facts->traces = ((const struct hops *)state)->n;
}

const struct tap mailsrv__smtp_trace_tap = {
    .octets = sizeof(struct hops),
    .begin = hops_begin,
    .bytes = hops_bytes,
    .end = hops_end,
};
