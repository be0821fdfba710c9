/* What is different where our own users send mail (RFC 6409). */
#include "smtp/smtp.h"
#include "text/date.h"

/* ---- Who may send as whom (RFC 6409 section 6.1) ---- */

static const mailsrv_destination *destination(const mailsrv_resolved *resolved, uint32_t i)
{
    return (const void *)((const char *)resolved->destinations + (size_t)i * resolved->stride);
}

/* Mail for this address comes to the account's own mailboxes. */
static bool is_own(const struct smtp *s, const mailsrv_resolved *resolved)
{
    for (uint32_t i = 0; resolved->n <= TARGETS_OF_RECIPIENT_MAX && i < resolved->n; i++) {
        const mailsrv_destination *to = destination(resolved, i);
        if (to->kind == MAILSRV_TARGET_MAILBOX && memcmp(&to->account, &s->submitter, sizeof to->account) == 0)
            return true;
    }
    return false;
}

const char *mailsrv__smtp_sender_answered(const struct smtp *s, unsigned i)
{
    static const char not_yours[] = "550 5.7.1 this sender is not yours";
    const mailsrv_answer *answer = mailsrv__answer(&s->session, i);
    if (answer->status == MAILSRV_OK)
        return is_own(s, answer->value) ? NULL : not_yours;
    if (answer->status == MAILSRV_NONEXISTENT || answer->status == MAILSRV_NOPERM)
        return not_yours;
    return mailsrv__smtp_line(s, answer->status, AT_DATA);
}

bool mailsrv__smtp_checks_from(const struct smtp *s)
{
    return mailsrv__smtp_is_submission(s) &&
           ((mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_CHECK) & SENDER_CHECK_FROM) != 0 ||
            mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_FIELD) != 0);
}

/* ---- What a message lacks (RFC 6409 sections 8.2 and 8.3) ---- */

enum { FIXUPS_OCTETS = 512 };

/* Two engines may have a session of the same number at the same time, but not with the same peer. */
static uint32_t hash_of_peer(const struct smtp *s)
{
    const mailsrv_peer *peer = &s->session.peer;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof peer->address; i++)
        hash = (hash ^ peer->address[i]) * 16777619u;
    hash = (hash ^ (peer->port & 0xFFu)) * 16777619u;
    hash = (hash ^ (uint32_t)(peer->port >> 8)) * 16777619u;
    for (size_t i = 0; i < sizeof s->submitter.b; i++)
        hash = (hash ^ s->submitter.b[i]) * 16777619u;
    return hash;
}

static void write_date_field(const struct smtp *s, struct writer *w)
{
    mailsrv__write(w, SPAN("Date: "));
    mailsrv__write_date(w, mailsrv__unix_us(&s->session));
    mailsrv__write(w, SPAN("\r\n"));
}

/* msg-id = "<" id-left "@" id-right ">"   RFC 5322 section 3.6.4 */
static void write_message_id(const struct smtp *s, struct writer *w)
{
    mailsrv__write(w, SPAN("Message-ID: <"));
    mailsrv__smtp_write_id(s, w);
    mailsrv__write_char(w, '-');
    mailsrv__write_hex(w, hash_of_peer(s));
    mailsrv__write_char(w, '@');
    mailsrv__write(w, mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME));
    mailsrv__write(w, SPAN(">\r\n"));
}

bool mailsrv__smtp_prepare_fixups(struct smtp *s)
{
    struct transaction *t = s->mail;
    char room[FIXUPS_OCTETS];
    struct writer w = { .p = room, .room = sizeof room };
    write_date_field(s, &w);
    size_t date_n = w.n;
    write_message_id(s, &w);
    t->fixups = mailsrv__note(&s->session, mailsrv__written(&w));
    if (t->fixups == NULL)
        return false;
    struct span all = mailsrv__noted(t->fixups);
    t->missing[0] = (struct missing_field){ SPAN("Date"), mailsrv__span_first(all, date_n) };
    t->missing[1] = (struct missing_field){ SPAN("Message-ID"), mailsrv__span_after(all, date_n) };
    return true;
}
