/* What is different where our own users send mail (RFC 6409). */
#include "message/addresses.h"
#include "message/header.h"
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

/* ---- The field From ---- */

enum { SENDERS_MAX = 16, ENTRY_ROOM = 1024, SENDER_ROOM = 320, UNITS_PER_WALK = 16 };

/* Goes through the mailboxes of all From fields. */
struct walk {
    struct span header;
    struct address_list list;
};

static struct walk walk_of(const struct smtp *s)
{
    return (struct walk){ .header = mailsrv__header_kept(&s->mail->header) };
}

/* The next one.  False: there is no more. */
static bool next_mailbox(struct walk *walk, struct writer *room, struct list_address *out)
{
    struct header_field field;
    for (;;) {
        while (mailsrv__address_next(&walk->list, room, out))
            if (out->kind == ENTRY_MAILBOX)
                return true;
        if (!mailsrv__header_next(&walk->header, &field))
            return false;
        if (mailsrv__span_equal_nocase(field.name, SPAN("From")))
            walk->list = mailsrv__address_list(field.value);
    }
}

static bool is_dot_atom(struct span local)
{
    static const char special[] = "()<>[]:;@\\,\" \t";
    for (size_t i = 0; i < local.n; i++)
        if (memchr(special, local.p[i], sizeof special - 1) != NULL)
            return false;
    return local.n != 0 && local.p[0] != '.' && local.p[local.n - 1] != '.';
}

/* As a path has it: the name is quoted where it must be. */
static void write_mailbox(struct writer *w, const struct list_address *a)
{
    bool quoted = !is_dot_atom(a->local);
    mailsrv__write(w, quoted ? SPAN("\"") : SPAN(""));
    for (size_t i = 0; i < a->local.n; i++) {
        if (quoted && (a->local.p[i] == '"' || a->local.p[i] == '\\'))
            mailsrv__write_char(w, '\\');
        mailsrv__write_char(w, a->local.p[i]);
    }
    mailsrv__write(w, quoted ? SPAN("\"@") : SPAN("@"));
    mailsrv__write(w, a->domain);
}

enum found {
    FOUND_NONE, /* there are no more */
    FOUND_MAILBOX,
    FOUND_NO_MAILBOX /* what stands there is none, or too long to be looked at */
};

/* The mailbox number `n` of From, from 0. */
static enum found find_sender(const struct smtp *s, uint32_t n, struct writer *out)
{
    char room[ENTRY_ROOM];
    struct writer w = { .p = room, .room = sizeof room };
    struct walk walk = walk_of(s);
    struct list_address a;
    struct address address;
    for (uint32_t i = 0; i <= n; i++)
        if (!next_mailbox(&walk, &w, &a))
            return FOUND_NONE;
    if (a.broken || w.n == sizeof room) /* what was cut may look like another */
        return FOUND_NO_MAILBOX;
    write_mailbox(out, &a);
    bool whole = out->n < out->room && mailsrv__mailbox_read(mailsrv__written(out), &address) == PATH_OK;
    return whole && address.domain.n != 0 ? FOUND_MAILBOX : FOUND_NO_MAILBOX;
}

/* Is it the reverse-path, which was looked at when MAIL came? */
static bool is_known(const struct smtp *s, struct span mailbox)
{
    return (mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_CHECK) & SENDER_CHECK_PATH) != 0 &&
           mailsrv__span_equal_nocase(mailbox, s->mail->reverse_path);
}

static bool has_field(const struct smtp *s, struct span name)
{
    struct span header = mailsrv__header_kept(&s->mail->header);
    struct header_field field;
    while (mailsrv__header_next(&header, &field))
        if (mailsrv__span_equal_nocase(field.name, name))
            return true;
    return false;
}

/* Does From say who sends it, and nobody else? */
static bool says_sender(const struct smtp *s)
{
    char room[SENDER_ROOM];
    struct writer first = { .p = room, .room = sizeof room };
    bool same = find_sender(s, 0, &first) == FOUND_MAILBOX &&
                mailsrv__span_equal_nocase(mailsrv__written(&first), s->mail->reverse_path);
    return same && find_sender(s, 1, &first) == FOUND_NONE;
}

/* RFC 6409 section 8.1.  False: no memory. */
static bool add_sender_field(struct smtp *s)
{
    struct transaction *t = s->mail;
    char room[SENDER_ROOM];
    struct writer w = { .p = room, .room = sizeof room };
    if (mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_FIELD) == 0 || t->reverse_path.n == 0 || says_sender(s) ||
        has_field(s, SPAN("Sender")))
        return true;
    mailsrv__write(&w, SPAN("Sender: <"));
    mailsrv__write(&w, t->reverse_path);
    mailsrv__write(&w, SPAN(">\r\n"));
    return mailsrv__standing_add(&s->session, &t->standing, mailsrv__written(&w));
}

static enum step check_more(struct smtp *s);

static enum step from_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    const char *refusal = mailsrv__smtp_sender_answered(s, 0);
    if (refusal != NULL)
        return mailsrv__smtp_refuse_all(s, refusal, mailsrv__span(mailsrv__answer(session, 0)->text));
    return check_more(s);
}

static enum step senders_are_fine(struct smtp *s)
{
    struct span none = { NULL, 0 };
    if (s->mail->n_senders == 0 && s->mail->header.full)
        return mailsrv__smtp_refuse_all(s, "550 5.7.1 the field From stands too far down", none);
    if (!add_sender_field(s))
        return mailsrv__smtp_refuse_all(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA), none);
    return mailsrv__smtp_senders_checked(s);
}

/* One after the other, each with a question. */
static enum step check_more(struct smtp *s)
{
    struct transaction *t = s->mail;
    struct span none = { NULL, 0 };
    char room[SENDER_ROOM];
    bool checks = (mailsrv__setting(&s->session, MAILSRV_PROFILE_SENDER_CHECK) & SENDER_CHECK_FROM) != 0;
    while (checks && t->n_senders <= SENDERS_MAX) {
        struct writer mailbox = { .p = room, .room = sizeof room };
        enum found found = find_sender(s, t->n_senders, &mailbox);
        mailsrv__spend(&s->session, UNITS_PER_WALK);
        if (found == FOUND_NONE)
            return senders_are_fine(s);
        t->n_senders++;
        if (found == FOUND_NO_MAILBOX)
            return mailsrv__smtp_refuse_all(s, "550 5.7.1 the field From has something that is no address", none);
        if (is_known(s, mailsrv__written(&mailbox)))
            continue;
        if (!mailsrv__smtp_ask_sender(s, mailsrv__written(&mailbox)))
            return mailsrv__smtp_refuse_all(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA), none);
        return mailsrv__then_answers(&s->session, from_answered);
    }
    if (checks)
        return mailsrv__smtp_refuse_all(s, "550 5.7.1 too many senders in the field From", none);
    return senders_are_fine(s);
}

enum step mailsrv__smtp_check_senders(struct smtp *s)
{
    if (!mailsrv__smtp_checks_from(s))
        return mailsrv__smtp_senders_checked(s);
    if (s->mail->header.lost)
        return mailsrv__smtp_refuse_all(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA), (struct span){ NULL, 0 });
    return check_more(s);
}

/* ---- What a message lacks (RFC 6409 sections 8.2 and 8.3) ---- */

enum { FIXUPS_OCTETS = 512 };

/* Two engines may have a session of the same number at the same time, but not with the same peer. */
uint32_t mailsrv__smtp_hash_of_peer(const struct smtp *s)
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
    mailsrv__write_hex(w, mailsrv__smtp_hash_of_peer(s));
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
