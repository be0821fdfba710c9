#include "queue/notice_text.h"

#include "message/header.h"
#include "text/date.h"
#include "text/utf8.h"

enum {
    COLUMN = 72,
    ADDRESS_MAX = 512, /* octets that are shown of each */
    REPLY_MAX = 512,
    HOST_MAX = 255,
    TYPE_MAX = 64,
    MESSAGE_ID_MAX = 250
};

/* ---- What others have said ---- */

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] > 127)
            return false;
    return true;
}

/* Takes a character from the front and writes it: a control octet as a blank, what cannot be said here as "?". */
static void write_char_of(struct span *text, bool utf8, struct writer *w)
{
    struct span at = *text;
    uint8_t c = (uint8_t)text->p[0];
    if (c < 128) {
        *text = mailsrv__span_after(*text, 1);
        mailsrv__write_char(w, c < ' ' || c == 127 ? ' ' : (char)c);
        return;
    }
    uint32_t point = mailsrv__utf8_take(text);
    bool fine = utf8 && point != UTF8_BAD && point >= 0xA0 && point != 0x2028 && point != 0x2029;
    mailsrv__write(w, fine ? mailsrv__span_first(at, at.n - text->n) : SPAN("?"));
}

static void write_clean(const struct notice_text *t, struct span text, size_t most, struct writer *w)
{
    for (text = mailsrv__span_first(text, most); text.n != 0;)
        write_char_of(&text, t->utf8, w);
}

static bool is_blank(char c)
{
    return (uint8_t)c <= ' ' || c == 127;
}

/* Words of a text, in lines that are not long, each with `indent` before it but the first, which has `column` octets
 * already. */
static void write_folded(const struct notice_text *t, struct span text, size_t column, struct span indent,
                         struct writer *w)
{
    text = mailsrv__span_first(text, REPLY_MAX);
    for (bool first = true; text.n != 0; first = false) {
        size_t n = 0;
        while (n < text.n && !is_blank(text.p[n]))
            n++;
        if (n != 0 && !first && column + 1 + n > COLUMN) {
            mailsrv__write(w, SPAN("\r\n"));
            mailsrv__write(w, indent);
            column = indent.n;
        } else if (n != 0 && !first) {
            mailsrv__write_char(w, ' ');
            column++;
        }
        write_clean(t, mailsrv__span_first(text, n), n, w);
        column += n;
        do
            n++;
        while (n < text.n && is_blank(text.p[n]));
        text = mailsrv__span_after(text, n);
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext of RFC 3461 section 4, as what it stands for */
static void write_xtext(const struct notice_text *t, struct span text, struct writer *w)
{
    text = mailsrv__span_first(text, ADDRESS_MAX);
    while (text.n != 0) {
        bool is_hex = text.n >= 3 && text.p[0] == '+' && hex_value(text.p[1]) >= 0 && hex_value(text.p[2]) >= 0;
        if (!is_hex) {
            write_char_of(&text, t->utf8, w);
            continue;
        }
        char c = (char)(hex_value(text.p[1]) * 16 + hex_value(text.p[2]));
        struct span one = { &c, 1 };
        write_char_of(&one, false, w);
        text = mailsrv__span_after(text, 3);
    }
}

static void write_date_field(struct span name, int64_t us, struct writer *w)
{
    if (us <= 0)
        return;
    mailsrv__write(w, name);
    mailsrv__write_date(w, us);
    mailsrv__write(w, SPAN("\r\n"));
}

/* ---- Statuses ---- */

/* status-code = ("2" / "4" / "5") "." 1*3digit "." 1*3digit   RFC 3463 section 2
 * The one at the front of a reply's text; empty: none of this class is there. */
static struct span enhanced_of(struct span text, char class_)
{
    size_t i = 1;
    if (text.n < 5 || text.p[0] != class_)
        return (struct span){ NULL, 0 };
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;
        if (i >= text.n || text.p[i++] != '.')
            return (struct span){ NULL, 0 };
        for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && digits < 4; digits++)
            i++;
        if (digits == 0 || digits > 3)
            return (struct span){ NULL, 0 };
    }
    return i == text.n || text.p[i] == ' ' ? mailsrv__span_first(text, i) : (struct span){ NULL, 0 };
}

/* Where nobody said one: by the class of the reply.  What failed without having been refused was given up for its age
 * (X.4.7 of RFC 3463 section 3.5), and what waits without a reply was not reached (X.4.1). */
static struct span default_status(const struct notice_recipient *r)
{
    bool refused = r->record.code >= 500;
    switch (r->action) {
    case NOTICE_FAILED:
        return refused ? SPAN("5.0.0") : SPAN("5.4.7");
    case NOTICE_DELAYED:
        return r->record.code == 0 ? SPAN("4.4.1") : SPAN("4.0.0");
    default:
        return SPAN("2.0.0");
    }
}

static struct span status_of(const struct notice_recipient *r)
{
    char class_ = r->action == NOTICE_FAILED ? '5' : r->action == NOTICE_DELAYED ? '4' : '2';
    struct span said = enhanced_of(r->record.text, class_);
    return said.n != 0 ? said : default_status(r);
}

/* ---- The header ---- */

static enum notice_action worst_of(const struct notice_text *t)
{
    enum notice_action worst = t->recipients[0].action;
    for (uint32_t i = 1; i < t->n; i++)
        if (t->recipients[i].action < worst)
            worst = t->recipients[i].action;
    return worst;
}

static struct span subject_of(enum notice_action action)
{
    static const struct span subjects[] = {
        [NOTICE_FAILED] = { "Your message could not be delivered", 35 },
        [NOTICE_DELAYED] = { "Your message is delayed, and is still being tried", 49 },
        [NOTICE_RELAYED] = { "Your message was passed on", 26 },
        [NOTICE_DELIVERED] = { "Your message was delivered", 26 },
        [NOTICE_EXPANDED] = { "Your message was passed on to several recipients", 48 },
    };
    return subjects[action];
}

/* RFC 3834 section 3.1.5: what it answers. */
static void write_reference(const struct notice_text *t, struct writer *w)
{
    struct span header = t->original, id;
    struct header_field field;
    while (mailsrv__header_next(&header, &field)) {
        char room[MESSAGE_ID_MAX];
        struct writer value = { .p = room, .room = sizeof room };
        if (!mailsrv__span_equal_nocase(field.name, SPAN("Message-ID")))
            continue;
        mailsrv__unfold(field.value, &value);
        id = mailsrv__written(&value);
        if (value.full || id.n < 3 || id.p[0] != '<' || id.p[id.n - 1] != '>' || !is_ascii(id))
            return;
        mailsrv__write(w, SPAN("In-Reply-To: "));
        write_clean(t, id, id.n, w);
        mailsrv__write(w, SPAN("\r\n"));
        return;
    }
}

static void write_boundary(const struct notice_text *t, struct writer *w)
{
    mailsrv__write(w, (struct span){ t->boundary, t->boundary_n });
}

static void write_header(const struct notice_text *t, struct writer *w)
{
    struct span host = mailsrv__span_first(t->setup->hostname, HOST_MAX);
    mailsrv__write(w, SPAN("From: Mail Delivery System <MAILER-DAEMON@"));
    mailsrv__write(w, host);
    mailsrv__write(w, SPAN(">\r\nTo: <"));
    write_clean(t, t->recipients[0].record.reverse_path, ADDRESS_MAX, w);
    mailsrv__write(w, SPAN(">\r\nSubject: "));
    mailsrv__write(w, subject_of(worst_of(t)));
    mailsrv__write(w, SPAN("\r\nDate: "));
    mailsrv__write_date(w, t->setup->now_us);
    mailsrv__write(w, SPAN("\r\nMessage-ID: <"));
    write_boundary(t, w);
    mailsrv__write_char(w, '@');
    mailsrv__write(w, host);
    mailsrv__write(w, SPAN(">\r\n"));
    write_reference(t, w);
    mailsrv__write(w, SPAN("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                           "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"=_"));
    write_boundary(t, w);
    mailsrv__write(w, SPAN("\"\r\n"));
    if (t->utf8 || t->eight_bit)
        mailsrv__write(w, SPAN("Content-Transfer-Encoding: 8bit\r\n"));
    mailsrv__write(w, SPAN("\r\nThis is a message of several parts in MIME format.\r\n\r\n"));
}

/* Ends the part before, and begins another. */
static void begin_part(const struct notice_text *t, struct span type, bool eight_bit, struct writer *w)
{
    mailsrv__write(w, SPAN("--=_"));
    write_boundary(t, w);
    mailsrv__write(w, SPAN("\r\nContent-Type: "));
    mailsrv__write(w, type);
    mailsrv__write(w, eight_bit ? SPAN("\r\nContent-Transfer-Encoding: 8bit\r\n\r\n") : SPAN("\r\n\r\n"));
}

/* ---- For people ---- */

static struct span opening_of(enum notice_action action)
{
    static const char *const openings[] = {
        [NOTICE_FAILED] = "A message of yours could not be delivered to everybody it is for. What went\r\n"
                          "wrong, and with whom, stands below.\r\n",
        [NOTICE_DELAYED] = "A message of yours has not been delivered yet. YOU NEED NOT SEND IT AGAIN: it\r\n"
                           "is still being tried.\r\n",
        [NOTICE_RELAYED] = "A message of yours was passed on to a server that does not confirm delivery.\r\n"
                           "You asked to be told; you will hear no more of it unless it fails.\r\n",
        [NOTICE_DELIVERED] = "A message of yours was delivered, as you asked to be told.\r\n",
        [NOTICE_EXPANDED] = "A message of yours was passed on to several recipients, as you asked to be told.\r\n",
    };
    return (struct span){ openings[action], strlen(openings[action]) };
}

static void write_beginning(const struct notice_text *t, struct writer *w)
{
    write_header(t, w);
    begin_part(t, t->utf8 ? SPAN("text/plain; charset=utf-8") : SPAN("text/plain; charset=us-ascii"), t->utf8, w);
    mailsrv__write(w, SPAN("This is the mail system at "));
    mailsrv__write(w, mailsrv__span_first(t->setup->hostname, HOST_MAX));
    mailsrv__write(w, SPAN(".\r\n\r\n"));
    mailsrv__write(w, opening_of(worst_of(t)));
    mailsrv__write(w, SPAN("\r\n"));
}

static struct span outcome_of(enum notice_action action)
{
    static const char *const outcomes[] = {
        [NOTICE_FAILED] = "could not be delivered",        [NOTICE_DELAYED] = "not delivered yet",
        [NOTICE_RELAYED] = "passed on to another server",  [NOTICE_DELIVERED] = "delivered",
        [NOTICE_EXPANDED] = "passed on to several recipients",
    };
    return (struct span){ outcomes[action], strlen(outcomes[action]) };
}

/* The server's words, or why it said none. */
static void write_words(const struct notice_text *t, const struct queue_record *r, struct writer *w)
{
    struct span text = r->text;
    if (r->code == 0 && text.n == 0)
        return;
    mailsrv__write(w, SPAN("    "));
    if (r->host.n != 0) {
        write_clean(t, r->host, HOST_MAX, w);
        mailsrv__write(w, r->code != 0 ? SPAN(" said:\r\n    ") : SPAN(":\r\n    "));
    }
    if (r->code != 0) {
        mailsrv__write_padded(w, r->code % 1000u, 3);
        mailsrv__write_char(w, ' ');
    }
    write_folded(t, text, 8, SPAN("    "), w);
    mailsrv__write(w, SPAN("\r\n"));
}

static void write_person(const struct notice_text *t, const struct notice_recipient *r, struct writer *w)
{
    const char *semicolon =
        r->record.original.n == 0 ? NULL : memchr(r->record.original.p, ';', r->record.original.n);
    mailsrv__write_char(w, '<');
    write_clean(t, r->record.recipient, ADDRESS_MAX, w);
    mailsrv__write(w, SPAN(">: "));
    mailsrv__write(w, outcome_of(r->action));
    mailsrv__write(w, SPAN("\r\n"));
    if ((r->record.flags & QUEUE_FLAG_FORWARDED) != 0 && semicolon != NULL && r->action != NOTICE_EXPANDED) {
        mailsrv__write(w, SPAN("    (you sent it to "));
        write_xtext(t, mailsrv__span_after(r->record.original, (size_t)(semicolon - r->record.original.p) + 1), w);
        mailsrv__write(w, SPAN(")\r\n"));
    }
    write_words(t, &r->record, w);
    if (r->action == NOTICE_DELAYED)
        write_date_field(SPAN("    It will be tried until "), r->expires_us, w);
    mailsrv__write(w, SPAN("\r\n"));
}

static struct span advice_of(enum notice_action action)
{
    static const char *const advices[] = {
        [NOTICE_FAILED] = ("It will not be tried again. Look whether the address is right. If it is, what\r\n"
                           "the server said may tell the reason; its postmaster can help.\r\n\r\n"),
        [NOTICE_DELAYED] = "You will be told if it cannot be delivered in the end.\r\n\r\n",
        [NOTICE_RELAYED] = "",
        [NOTICE_DELIVERED] = "",
        [NOTICE_EXPANDED] = "",
    };
    return (struct span){ advices[action], strlen(advices[action]) };
}

/* ---- For programs (RFC 3464 section 2) ---- */

/* per-message-fields   RFC 3464 section 2.2 */
static void write_per_message(const struct notice_text *t, struct writer *w)
{
    const struct queue_record *r = &t->recipients[0].record;
    mailsrv__write(w, advice_of(worst_of(t)));
    begin_part(t, t->utf8 ? SPAN("message/global-delivery-status") : SPAN("message/delivery-status"), t->utf8, w);
    if (r->envelope_id.n != 0) {
        mailsrv__write(w, SPAN("Original-Envelope-Id: "));
        write_xtext(t, r->envelope_id, w);
        mailsrv__write(w, SPAN("\r\n"));
    }
    mailsrv__write(w, SPAN("Reporting-MTA: dns; "));
    mailsrv__write(w, mailsrv__span_first(t->setup->hostname, HOST_MAX));
    mailsrv__write(w, SPAN("\r\n"));
    write_date_field(SPAN("Arrival-Date: "), r->arrived_us, w);
}

static void write_original_recipient(const struct notice_text *t, struct span original, struct writer *w)
{
    const char *semicolon = original.n == 0 ? NULL : memchr(original.p, ';', original.n);
    if (semicolon == NULL)
        return;
    size_t n = (size_t)(semicolon - original.p) + 1;
    mailsrv__write(w, SPAN("Original-Recipient: "));
    write_clean(t, mailsrv__span_first(original, n), TYPE_MAX, w);
    mailsrv__write_char(w, ' ');
    write_xtext(t, mailsrv__span_after(original, n), w);
    mailsrv__write(w, SPAN("\r\n"));
}

static struct span action_name(enum notice_action action)
{
    static const struct span names[] = {
        [NOTICE_FAILED] = { "failed", 6 },       [NOTICE_DELAYED] = { "delayed", 7 },
        [NOTICE_RELAYED] = { "relayed", 7 },     [NOTICE_DELIVERED] = { "delivered", 9 },
        [NOTICE_EXPANDED] = { "expanded", 8 },
    };
    return names[action];
}

/* diagnostic-code-field   RFC 3464 section 2.3.6: of type smtp is only what a server has said. */
static void write_diagnostic(const struct notice_text *t, const struct queue_record *r, struct writer *w)
{
    if (r->code != 0) {
        mailsrv__write(w, SPAN("Diagnostic-Code: smtp; "));
        mailsrv__write_padded(w, r->code % 1000u, 3);
        mailsrv__write_char(w, ' ');
        write_folded(t, r->text, 27, SPAN(" "), w);
    } else if (r->text.n != 0) {
        mailsrv__write(w, SPAN("Diagnostic-Code: x-mailsrv; "));
        write_folded(t, r->text, 28, SPAN(" "), w);
    } else {
        return;
    }
    mailsrv__write(w, SPAN("\r\n"));
}

/* per-recipient-fields   RFC 3464 section 2.3 */
static void write_per_recipient(const struct notice_text *t, const struct notice_recipient *r, struct writer *w)
{
    mailsrv__write(w, SPAN("\r\n"));
    write_original_recipient(t, r->record.original, w);
    mailsrv__write(w, is_ascii(r->record.recipient) ? SPAN("Final-Recipient: rfc822; ")
                                                    : SPAN("Final-Recipient: utf-8; "));
    write_clean(t, r->record.recipient, ADDRESS_MAX, w);
    mailsrv__write(w, SPAN("\r\nAction: "));
    mailsrv__write(w, action_name(r->action));
    mailsrv__write(w, SPAN("\r\nStatus: "));
    mailsrv__write(w, status_of(r));
    mailsrv__write(w, SPAN("\r\n"));
    if (r->record.host.n != 0) {
        mailsrv__write(w, SPAN("Remote-MTA: dns; "));
        write_clean(t, r->record.host, HOST_MAX, w);
        mailsrv__write(w, SPAN("\r\n"));
    }
    write_diagnostic(t, &r->record, w);
    write_date_field(SPAN("Last-Attempt-Date: "), r->record.tried_us, w);
    if (r->action == NOTICE_DELAYED)
        write_date_field(SPAN("Will-Retry-Until: "), r->expires_us, w);
}

/* RFC 6522 section 3, RFC 6533 section 6 */
static void begin_original(const struct notice_text *t, struct writer *w)
{
    struct span type = t->whole ? SPAN("message/rfc822") : SPAN("text/rfc822-headers");
    mailsrv__write(w, SPAN("\r\n"));
    if (t->original.n == 0)
        return;
    if (t->utf8)
        type = t->whole ? SPAN("message/global") : SPAN("message/global-headers");
    begin_part(t, type, t->eight_bit, w);
}

static void write_end(const struct notice_text *t, struct writer *w)
{
    mailsrv__write(w, SPAN("\r\n--=_"));
    write_boundary(t, w);
    mailsrv__write(w, SPAN("--\r\n"));
}

uint32_t mailsrv__notice_pieces(const struct notice_text *t)
{
    return 2 * t->n + 4;
}

void mailsrv__notice_piece(const struct notice_text *t, uint32_t i, struct writer *w)
{
    if (i == 0)
        write_beginning(t, w);
    else if (i <= t->n)
        write_person(t, &t->recipients[i - 1], w);
    else if (i == t->n + 1)
        write_per_message(t, w);
    else if (i <= 2 * t->n + 1)
        write_per_recipient(t, &t->recipients[i - t->n - 2], w);
    else if (i == 2 * t->n + 2)
        begin_original(t, w);
    else
        write_end(t, w);
}

/* ---- What is in it ---- */

bool mailsrv__notice_wants_whole(const struct notice_recipient *recipients, uint32_t n)
{
    if ((recipients[0].record.flags & QUEUE_FLAG_RET_HDRS) != 0)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (recipients[i].action == NOTICE_FAILED)
            return true;
    return false;
}

static bool holds(struct span text, struct span what)
{
    for (size_t i = 0; text.n - i >= what.n; i++) {
        const char *p = memchr(text.p + i, what.p[0], text.n - i - what.n + 1);
        if (p == NULL)
            return false;
        i = (size_t)(p - text.p);
        if (memcmp(p, what.p, what.n) == 0)
            return true;
    }
    return false;
}

/* RFC 2046 section 5.1.1: it stands in no part. */
static void find_boundary(struct notice_text *t)
{
    for (uint64_t number = t->setup->queue;; number += UINT64_C(0x9E3779B97F4A7C15)) {
        struct writer w = { .p = t->boundary, .room = sizeof t->boundary };
        mailsrv__write_hex(&w, (uint64_t)t->setup->now_us);
        mailsrv__write_char(&w, '.');
        mailsrv__write_hex(&w, number);
        t->boundary_n = w.n;
        if (t->original.n < w.n || !holds(t->original, mailsrv__written(&w)))
            return;
    }
}

void mailsrv__notice_prepare(struct notice_text *t)
{
    t->eight_bit = !is_ascii(t->original);
    t->utf8 = !is_ascii(t->recipients[0].record.reverse_path) ||
              ((t->recipients[0].record.flags & QUEUE_FLAG_UTF8) != 0 &&
               !is_ascii(mailsrv__span_first(t->original, mailsrv__header_octets(t->original))));
    for (uint32_t i = 0; i < t->n; i++)
        t->utf8 = t->utf8 || !is_ascii(t->recipients[i].record.recipient);
    find_boundary(t);
}
