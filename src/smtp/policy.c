/* POLICY: what the host's own rules say at each stage (mailsrv/policy.h). */
#include "smtp/smtp.h"

/* ---- Is it asked? ---- */

static bool is_accepted(const struct smtp *s, uint32_t stage)
{
    if (s->connected.accepted || (stage != MAILSRV_STAGE_HELO && s->greeted.accepted))
        return true;
    return s->mail != NULL && stage > MAILSRV_STAGE_MAIL && s->mail->standing.accepted;
}

bool mailsrv__smtp_consults(const struct smtp *s, uint32_t stage)
{
    return (mailsrv__setting(&s->session, MAILSRV_PROFILE_POLICY_STAGES) & stage) != 0 &&
           mailsrv__served(&s->session, MAILSRV_OP_POLICY) && !is_accepted(s, stage);
}

/* ---- The question ---- */

/* What is known, as text. */
struct known {
    struct span hello, reverse_path, recipient, header;
};

static struct known known_at(const struct smtp *s, uint32_t stage)
{
    struct known known = { .hello = { s->hello, s->hello_n } };
    if (stage == MAILSRV_STAGE_HELO)
        known.hello = (struct span){ s->candidate, s->candidate_n };
    if (s->mail == NULL || stage < MAILSRV_STAGE_MAIL)
        return known;
    known.reverse_path = s->mail->reverse_path;
    if (stage == MAILSRV_STAGE_RCPT)
        known.recipient = s->mail->asked;
    if (stage == MAILSRV_STAGE_HEADERS)
        known.header = mailsrv__header_kept(&s->mail->header);
    return known;
}

static uint32_t facts_of(const struct smtp *s)
{
    uint32_t facts = mailsrv__secure(&s->session) ? MAILSRV_FACT_SECURED : 0;
    if (s->greeting == GREETED_EHLO)
        facts |= MAILSRV_FACT_EXTENDED;
    if (s->mail != NULL && s->mail->utf8)
        facts |= MAILSRV_FACT_UTF8;
    return facts;
}

static void tell_of_message(const struct smtp *s, mailsrv_arg_policy *arg)
{
    const struct transaction *t = s->mail;
    arg->recipients = t->n_recipients;
    arg->octets = arg->stage < MAILSRV_STAGE_HEADERS ? t->size_hint : t->octets;
    if (arg->stage == MAILSRV_STAGE_EOM)
        arg->body = mailsrv__body_handle(&s->session);
}

static bool ask(struct smtp *s, uint32_t stage)
{
    struct known known = known_at(s, stage);
    size_t octets = mailsrv__ask_octets(sizeof(mailsrv_peer)) + mailsrv__ask_octets(known.hello.n) +
                    mailsrv__ask_octets(known.reverse_path.n) + mailsrv__ask_octets(known.recipient.n) +
                    mailsrv__ask_octets(known.header.n);
    struct ask ask = mailsrv__ask(&s->session, MAILSRV_OP_POLICY, octets);
    if (ask.op == NULL)
        return false;
    mailsrv_arg_policy *arg = ask.arg;
    mailsrv_peer *peer = mailsrv__ask_room(&ask, sizeof *peer);
    *peer = s->session.peer;
    arg->stage = stage;
    arg->face = mailsrv__face(&s->session);
    arg->facts = facts_of(s);
    arg->submitter = s->submitter;
    arg->peer = peer;
    arg->hello = mailsrv__ask_copy(&ask, known.hello);
    arg->reverse_path = mailsrv__ask_copy(&ask, known.reverse_path);
    arg->recipient = mailsrv__ask_copy(&ask, known.recipient);
    arg->header = mailsrv__ask_copy(&ask, known.header);
    if (s->mail != NULL && stage >= MAILSRV_STAGE_MAIL)
        tell_of_message(s, arg);
    return true;
}

enum step mailsrv__smtp_consult(struct smtp *s, uint32_t stage, step_fn *answered)
{
    ask(s, stage); /* without memory its answer says so */
    return mailsrv__then_answers(&s->session, answered);
}

/* ---- The verdict ---- */

static bool refuses(const mailsrv_verdict *v)
{
    return v->verdict == MAILSRV_POLICY_REJECT || v->verdict == MAILSRV_POLICY_LATER;
}

static void write_code(struct writer *w, const mailsrv_verdict *v)
{
    bool later = v->verdict == MAILSRV_POLICY_LATER, usual = v->subject == 0 && v->detail == 0;
    mailsrv__write_u64(w, v->code != 0 ? v->code : later ? 451 : 550);
    mailsrv__write(w, later ? SPAN(" 4.") : SPAN(" 5."));
    mailsrv__write_u64(w, usual ? 7 : v->subject);
    mailsrv__write_char(w, '.');
    mailsrv__write_u64(w, usual ? 1 : v->detail);
    mailsrv__write(w, later ? SPAN(" not now, try again later") : SPAN(" refused"));
}

/* The line stays until the next verdict that refuses something of this session. */
static const char *refusal_line(struct smtp *s, const mailsrv_verdict *v)
{
    struct writer w = { .p = s->verdict_line, .room = sizeof s->verdict_line - 1 };
    write_code(&w, v);
    s->verdict_line[w.n] = 0;
    return s->verdict_line;
}

const char *mailsrv__smtp_consulted(struct smtp *s, struct standing *standing, struct span *text)
{
    const mailsrv_answer *answer = mailsrv__answer(&s->session, 0);
    *text = mailsrv__span(answer->text);
    if (answer->status != MAILSRV_OK)
        return mailsrv__smtp_line(s, answer->status, AT_DATA);
    const mailsrv_verdict *verdict = answer->value;
    if (refuses(verdict))
        return refusal_line(s, verdict);
    if (!mailsrv__standing_take(&s->session, standing, verdict))
        return mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_DATA);
    return NULL;
}

const char *mailsrv__smtp_late_verdict(struct smtp *s, struct span *text)
{
    struct transaction *t = s->mail;
    const mailsrv_answer *answer = mailsrv__answer(&s->session, 0);
    const char *refusal = mailsrv__smtp_consulted(s, &t->standing, text);
    if (refusal != NULL)
        return refusal;
    int32_t verdict = ((const mailsrv_verdict *)answer->value)->verdict;
    t->fate_is_late = t->fate_is_late || verdict == MAILSRV_POLICY_DISCARD || verdict == MAILSRV_POLICY_QUARANTINE ||
                      verdict == MAILSRV_POLICY_REDIRECT;
    return NULL;
}

/* ---- What came of it ---- */

const struct standing *mailsrv__smtp_fate(const struct smtp *s)
{
    if (s->mail->asked_standing.fate != FATE_USUAL)
        return &s->mail->asked_standing;
    if (s->mail->standing.fate != FATE_USUAL)
        return &s->mail->standing;
    return s->greeted.fate != FATE_USUAL ? &s->greeted : &s->connected;
}

/* RFC 5321 section 7.9, and RFC 6409 section 3.3: mail is relayed for those who are known. */
bool mailsrv__smtp_may_relay(const struct smtp *s)
{
    const struct transaction *t = s->mail;
    return s->authenticated || s->connected.relay_ok || s->greeted.relay_ok || t->standing.relay_ok ||
           t->asked_standing.relay_ok;
}
