#include "smtp/smtp.h"

enum {
    TARGET_OVERHEAD = sizeof(mailsrv_target) + sizeof(mailsrv_result) + RESULT_TEXT_OCTETS, /* in a COMMIT */
    RECIPIENT_OVERHEAD = 64, /* rounding, and what the trace fields may still grow */
    COMMIT_OVERHEAD = 1536,
    LMTP_REPLY_OCTETS = 80 /* without what a target's result says */
};

/* ---- What the queue can do ---- */

bool mailsrv__smtp_queue_kinds(const struct smtp *s)
{
    return mailsrv__smtp_users_of(&s->session) != NULL && mailsrv__served(&s->session, MAILSRV_OP_QUEUE_SCAN) &&
           mailsrv__served(&s->session, MAILSRV_OP_QUEUE_UPDATE) &&
           mailsrv__served(&s->session, MAILSRV_OP_QUEUE_DELETE);
}

bool mailsrv__smtp_queue_served(const struct smtp *s)
{
    return mailsrv__smtp_queue_kinds(s) && (mailsrv__body_features(&s->session) & MAILSRV_BODY_TAKES_QUEUE) != 0;
}

static bool receives(const struct smtp *s)
{
    for (int32_t kind = MAILSRV_OP_RESOLVE; kind <= MAILSRV_OP_BODY_CLOSE; kind++)
        if (!mailsrv__served(&s->session, kind))
            return false;
    return true;
}

/* ---- Replies ---- */

static enum step refuse(struct smtp *s, const char *line, struct span text)
{
    char room[REPLY_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, (struct span){ line, strlen(line) });
    mailsrv__write(&w, SPAN(": "));
    mailsrv__write(&w, s->mail->asked);
    mailsrv__session_event(&s->session, MAILSRV_EVENT_RECIPIENT_REFUSED, mailsrv__written(&w));
    enum step step = mailsrv__smtp_reply_text(s, line, text);
    return mailsrv__smtp_is_last(line) ? STEP_CLOSE : step;
}

static enum step refuse_status(struct smtp *s, const mailsrv_answer *answer)
{
    return refuse(s, mailsrv__smtp_line(s, answer->status, AT_RCPT), mailsrv__span(answer->text));
}

static enum step refuse_for_memory(struct smtp *s)
{
    return refuse(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_RCPT), (struct span){ NULL, 0 });
}

/* The offered recipient is not taken. */
static enum step decline(struct smtp *s, const char *line)
{
    mailsrv__transaction_decline(&s->session, s->mail);
    return refuse(s, line, (struct span){ NULL, 0 });
}

/* ---- Room ---- */

/* What the offered recipient adds to the COMMIT. */
static size_t commit_octets(const struct smtp *s)
{
    const struct recipient *r = s->mail->offered;
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    char room[RECEIVED_OCTETS_MAX];
    struct writer received = { .p = room, .room = sizeof room };
    mailsrv__smtp_write_received(s, &received);
    size_t octets = mailsrv__smtp_delivery_octets(s->mail, r->address) + mailsrv__smtp_fields_octets(s, r) +
                    received.n + r->address.n + RECIPIENT_OVERHEAD + r->n_own * TARGET_OVERHEAD;
    for (uint32_t i = 0; users != NULL && i < r->n_own; i++)
        if (r->own[i].to.kind == MAILSRV_TARGET_QUEUE)
            octets += users->queue_octets(s, r, &r->own[i], mailsrv__written(&received)) + RECIPIENT_OVERHEAD;
    return octets;
}

/* Room for a COMMIT with the offered recipient in it, and for all replies behind it: when the message is there, neither
 * may be out of reach. */
static bool reserve(struct smtp *s)
{
    struct transaction *t = s->mail;
    const struct recipient *r = t->offered;
    size_t commit = t->commit_octets + commit_octets(s);
    size_t replies = REPLY_OCTETS_MAX;
    if (mailsrv__smtp_is_lmtp(s))
        replies = t->reply_octets + LMTP_REPLY_OCTETS + r->n * RESULT_TEXT_OCTETS;
    if (!mailsrv__transaction_reserve(&s->session, t, COMMIT_OVERHEAD + commit) ||
        !mailsrv__smtp_reserve_replies(s, replies))
        return false;
    t->commit_octets = commit;
    t->reply_octets = replies;
    return true;
}

/* ---- Who may be in one transaction ---- */

/* SMTP has one reply for all recipients, so that it must be true for all.  Where the queue can take what fails, any
 * may come together; else those whose mailboxes are stored together, all or none; else one.  LMTP has a reply for each
 * (RFC 2033 section 4.2). */
static bool may_join(const struct smtp *s)
{
    const struct transaction *t = s->mail;
    bool goes_nowhere = t->offered->n == 0;
    if (mailsrv__smtp_is_lmtp(s) || t->n_recipients == 0 || goes_nowhere || mailsrv__smtp_queue_served(s))
        return true;
    return (mailsrv__body_features(&s->session) & MAILSRV_BODY_ATOMIC) != 0 && t->offered->shard == t->first->shard;
}

/* Does the decision depend on what the body's handler can do? */
static bool needs_features(const struct smtp *s)
{
    const struct transaction *t = s->mail;
    return mailsrv__transaction_offered_queue(t) != 0 || (!mailsrv__smtp_is_lmtp(s) && t->n_recipients != 0);
}

/* No answer to BODY_BEGIN could help: nobody keeps a queue. */
static bool is_hopeless(const struct smtp *s)
{
    return mailsrv__transaction_offered_queue(s->mail) != 0 && !mailsrv__smtp_queue_kinds(s);
}

/* Submission: nothing that may pass keeps mail for other domains from being sent, and the user is told so. */
static const char *no_queue(const struct smtp *s)
{
    if (s->mail->offered->is_long)
        return "451 4.2.4 list too long, try again later";
    return mailsrv__smtp_is_submission(s) ? "550 5.1.2 mail for other domains is not sent from here"
                                          : "451 4.3.5 no queue here, try again later";
}

static enum step decide(struct smtp *s)
{
    struct transaction *t = s->mail;
    if (mailsrv__transaction_offered_queue(t) != 0 && !mailsrv__smtp_queue_served(s))
        return decline(s, no_queue(s));
    if (t->n_targets + t->offered->n_own > TARGETS_MAX)
        return decline(s, mailsrv__smtp_line(s, MAILSRV_LIMIT, AT_RCPT));
    if (!may_join(s))
        return decline(s, "452 4.5.3 not together with the others, send again for this one");
    if (!reserve(s))
        return decline(s, mailsrv__smtp_line(s, MAILSRV_NOMEM, AT_RCPT));
    mailsrv__transaction_accept(t);
    return mailsrv__smtp_reply(s, mailsrv__smtp_line(s, MAILSRV_OK, AT_RCPT));
}

static enum step begin_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    if (mailsrv__body_begun(session, 0) == MAILSRV_OK)
        return decide(s);
    mailsrv__transaction_decline(session, s->mail);
    return refuse_status(s, mailsrv__answer(session, 0));
}

static enum step ask_features(struct smtp *s)
{
    int32_t status = mailsrv__smtp_begin(s);
    if (status != MAILSRV_OK)
        return decline(s, mailsrv__smtp_line(s, status, AT_RCPT));
    return mailsrv__then_answers(&s->session, begin_answered);
}

/* He is offered. */
static enum step offered(struct smtp *s)
{
    if (needs_features(s) && s->session.body == NULL && !is_hopeless(s))
        return ask_features(s);
    return decide(s);
}

/* ---- RESOLVE ---- */

static const mailsrv_destination *destination(const mailsrv_resolved *resolved, uint32_t i)
{
    return (const void *)((const char *)resolved->destinations + (size_t)i * resolved->stride);
}

/* NULL: mail may go there.  Of a long list none is looked at: it is ours. */
static const char *refusal_of_places(const struct smtp *s, const mailsrv_resolved *resolved)
{
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    bool strict = mailsrv__face(&s->session) == MAILSRV_FACE_MX && !mailsrv__smtp_may_relay(s);
    for (uint32_t i = 0; resolved->n <= TARGETS_OF_RECIPIENT_MAX && i < resolved->n; i++) {
        const mailsrv_destination *to = destination(resolved, i);
        if (strict && to->kind == MAILSRV_TARGET_QUEUE && (to->flags & MAILSRV_TO_FORWARD) == 0)
            return mailsrv__smtp_line(s, MAILSRV_NOPERM, AT_RCPT); /* RFC 5321 section 7.9 */
        if (s->mail->utf8 && (to->flags & MAILSRV_TO_ASCII) != 0)
            return "550 5.6.9 this recipient takes no mail that needs SMTPUTF8"; /* RFC 6531 section 3.5 */
        const char *refusal = users == NULL ? NULL : users->refusal_of_forward(to);
        if (refusal != NULL)
            return refusal;
    }
    return NULL;
}

static bool ask_resolve(struct smtp *s, struct span address, uint32_t flags)
{
    struct address to;
    if (mailsrv__mailbox_read(address, &to) != PATH_OK)
        return false;
    struct span local = { to.local, to.local_n }, from = s->mail->reverse_path;
    struct span delimiter = mailsrv__setting_str(&s->session, MAILSRV_PROFILE_DETAIL_DELIMITER);
    struct local_part parts = mailsrv__local_part_split(local, delimiter.n == 0 ? 0 : delimiter.p[0]);
    struct ask ask =
        mailsrv__ask(&s->session, MAILSRV_OP_RESOLVE,
                     mailsrv__ask_octets(to.mailbox.n) + mailsrv__ask_octets(to.domain.n) +
                         mailsrv__ask_octets(local.n) + mailsrv__ask_octets(parts.user.n) +
                         mailsrv__ask_octets(parts.detail.n) + mailsrv__ask_octets(from.n));
    if (ask.op == NULL)
        return false;
    mailsrv_arg_resolve *arg = ask.arg;
    arg->flags = flags | (s->mail->utf8 ? MAILSRV_RESOLVE_UTF8 : 0);
    arg->address = mailsrv__ask_copy(&ask, to.mailbox);
    arg->local_part = mailsrv__ask_copy(&ask, local);
    arg->domain = mailsrv__ask_copy(&ask, to.domain);
    arg->reverse_path = mailsrv__ask_copy(&ask, from);
    arg->user = mailsrv__ask_copy(&ask, parts.user);
    arg->detail = mailsrv__ask_copy(&ask, parts.detail);
    arg->submitter = s->submitter;
    return true;
}

bool mailsrv__smtp_ask_sender(struct smtp *s, struct span address)
{
    return ask_resolve(s, address, MAILSRV_RESOLVE_SENDER);
}

static enum step resolve_answered(mailsrv_session *session);

static enum step look_up(struct smtp *s, struct span address)
{
    struct transaction *t = s->mail;
    if (!ask_resolve(s, address, mailsrv__smtp_may_relay(s) ? MAILSRV_RESOLVE_RELAY : 0))
        return refuse_for_memory(s);
    bool is_second = t->n_recipients != 0 && !mailsrv__smtp_is_lmtp(s);
    if (is_second && s->session.body == NULL)
        t->begin_was_asked = mailsrv__smtp_begin(s) == MAILSRV_OK;
    return mailsrv__then_answers(&s->session, resolve_answered);
}

/* RFC 5321 section 4.5.1: mail for postmaster is taken, of any of our domains and of none. */
static bool is_postmaster(const struct smtp *s)
{
    struct address to;
    return !s->mail->for_postmaster && mailsrv__mailbox_read(s->mail->asked, &to) == PATH_OK &&
           mailsrv__span_equal_nocase((struct span){ to.local, to.local_n }, SPAN("postmaster"));
}

static enum step not_there(struct smtp *s)
{
    struct span postmaster = mailsrv__setting_str(&s->session, MAILSRV_PROFILE_POSTMASTER);
    if (postmaster.n == 0 || !is_postmaster(s))
        return refuse_status(s, mailsrv__answer(&s->session, 0));
    s->mail->for_postmaster = true;
    return look_up(s, postmaster);
}

static enum step resolved(struct smtp *s, const mailsrv_resolved *value)
{
    const char *refusal = refusal_of_places(s, value);
    if (refusal != NULL)
        return refuse(s, refusal, (struct span){ NULL, 0 });
    const struct standing *fate = mailsrv__smtp_fate(s);
    bool usual = fate->fate == FATE_USUAL;
    if (usual ? !mailsrv__transaction_offer(&s->session, s->mail, value)
              : !mailsrv__transaction_offer_fate(&s->session, s->mail, fate))
        return refuse_for_memory(s);
    return offered(s);
}

static enum step resolve_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct transaction *t = s->mail;
    bool has_begun = !t->begin_was_asked || mailsrv__body_begun(session, 1) == MAILSRV_OK;
    t->begin_was_asked = false;
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status == MAILSRV_NONEXISTENT)
        return not_there(s);
    if (answer->status != MAILSRV_OK)
        return refuse_status(s, answer);
    if (!has_begun)
        return refuse_status(s, mailsrv__answer(session, 1));
    return resolved(s, answer->value);
}

/* ---- POLICY ---- */

/* Whom POLICY sends somewhere needs no RESOLVE. */
static enum step policy_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct transaction *t = s->mail;
    struct span text;
    const char *refusal = mailsrv__smtp_consulted(s, &t->asked_standing, &text);
    if (refusal != NULL)
        return refuse(s, refusal, text);
    if (t->asked_standing.fate == FATE_USUAL)
        return look_up(s, t->asked);
    if (!mailsrv__transaction_offer_fate(session, t, &t->asked_standing))
        return refuse_for_memory(s);
    return offered(s);
}

static enum step ask(struct smtp *s, const struct address *to, uint16_t notify, struct span original)
{
    struct transaction *t = s->mail;
    if (!mailsrv__transaction_ask(&s->session, t, to->mailbox))
        return refuse_for_memory(s);
    t->asked_notify = notify;
    if (original.n != 0 && (t->asked_original = mailsrv__note(&s->session, original)) == NULL)
        return refuse_for_memory(s);
    if (mailsrv__smtp_consults(s, MAILSRV_STAGE_RCPT))
        return mailsrv__smtp_consult(s, MAILSRV_STAGE_RCPT, policy_answered);
    return look_up(s, s->mail->asked);
}

enum step mailsrv__smtp_rcpt(struct smtp *s, struct span rest)
{
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    uint16_t notify = 0;
    struct span original = { NULL, 0 };
    struct address to;
    enum path path = mailsrv__smtp_path(&rest, SPAN("TO:"), &to);
    if (path == PATH_TOO_LONG)
        return mailsrv__smtp_bad(s, "501 5.1.3 path too long");
    if (path != PATH_OK || to.mailbox.n == 0)
        return mailsrv__smtp_bad(s, "501 5.1.3 expected TO:<address>");
    const char *refusal = rest.n == 0 ? NULL
                          : users == NULL ? "555 5.5.4 parameter not known"
                                          : users->rcpt_parameters(s, rest, &notify, &original);
    if (refusal != NULL)
        return mailsrv__smtp_bad(s, refusal);
    if (to.utf8 && !s->mail->utf8)
        return mailsrv__smtp_bad(s, "553 5.6.7 this address needs SMTPUTF8"); /* RFC 6531 section 3.5 */
    if (!receives(s))
        return mailsrv__smtp_reply(s, "550 5.3.2 no mail is taken here");
    if (s->mail->n_recipients >= mailsrv__setting(&s->session, MAILSRV_PROFILE_RECIPIENTS_MAX))
        return mailsrv__smtp_reply(s, mailsrv__smtp_line(s, MAILSRV_LIMIT, AT_RCPT));
    return ask(s, &to, notify, original);
}
