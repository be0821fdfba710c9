/* The end of a message: what the taps say, where it goes, what is replied. */
#include "smtp/smtp.h"

/* ---- Replies for the whole ---- */

static void tell_event(struct smtp *s, int32_t what, const char *line)
{
    const struct transaction *t = s->mail;
    char room[REPLY_OCTETS_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    if (what == MAILSRV_EVENT_MESSAGE_REFUSED) {
        mailsrv__write(&w, (struct span){ line, strlen(line) });
    } else {
        mailsrv__write_char(&w, '<');
        mailsrv__write(&w, t->reverse_path);
        mailsrv__write(&w, SPAN("> octets="));
        mailsrv__write_u64(&w, t->octets);
        mailsrv__write(&w, SPAN(" recipients="));
        mailsrv__write_u64(&w, t->n_recipients);
    }
    mailsrv__session_event(&s->session, what, mailsrv__written(&w));
}

enum step mailsrv__smtp_conclude(struct smtp *s, const char *line, struct span text)
{
    bool ok = line[0] == '2';
    tell_event(s, ok ? MAILSRV_EVENT_MESSAGE_ACCEPTED : MAILSRV_EVENT_MESSAGE_REFUSED, line);
    bool is_last = mailsrv__smtp_is_last(line);
    enum step step = mailsrv__smtp_reply_text(s, line, text);
    mailsrv__smtp_reset(s);
    return is_last ? STEP_CLOSE : step;
}

/* ---- Results ---- */

int32_t mailsrv__smtp_result_of(const mailsrv_answer *answer, uint32_t i, struct span *text)
{
    const mailsrv_committed *committed = answer->value; /* the core has a result for each target */
    const mailsrv_result *result = answer->status == MAILSRV_OK ? &committed->results[i] : NULL;
    *text = mailsrv__span(result == NULL ? answer->text : result->text);
    return result == NULL ? answer->status : result->status;
}

/* Gives each target its result.  The texts stay valid as long as the transaction keeps the answer. */
static void take_results(struct smtp *s)
{
    struct transaction *t = s->mail;
    const mailsrv_answer *answer = mailsrv__answer(&s->session, 0);
    uint32_t i = 0;
    for (struct recipient *r = t->first; r != NULL; r = r->next)
        for (uint32_t own = 0; own < r->n_own; own++, i++)
            r->own[own].status = mailsrv__smtp_result_of(answer, i, &r->own[own].text);
    if (answer->status == MAILSRV_OK || answer->text.n != 0)
        t->answer = mailsrv__take_lent(&s->session, 0);
}

struct verdict mailsrv__smtp_verdict_of(const struct smtp *s, const struct recipient *r)
{
    if (r->refusal != NULL)
        return (struct verdict){ r->refusal, { NULL, 0 } };
    if (r->n == 0)
        return (struct verdict){ mailsrv__smtp_line(s, MAILSRV_OK, AT_DATA), { NULL, 0 } };
    struct verdict v = { mailsrv__smtp_line(s, r->targets[0]->status, AT_DATA), r->targets[0]->text };
    for (uint32_t i = 1; i < r->n && !mailsrv__smtp_is_temporary(v.line); i++) {
        struct verdict next = { mailsrv__smtp_line(s, r->targets[i]->status, AT_DATA), r->targets[i]->text };
        if (mailsrv__smtp_is_temporary(next.line) || (v.line[0] == '2' && next.line[0] != '2'))
            v = next;
    }
    return v;
}

/* ---- LMTP: a reply for each recipient (RFC 2033 section 4.2) ---- */

/* Others may take the memory while this session waits: what is still to be said keeps its room, or nothing is waited
 * for. */
static bool may_wait(struct smtp *s)
{
    return mailsrv__smtp_reserve_replies(s, s->mail->reply_octets);
}

static enum step reply_to_each(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct transaction *t = s->mail;
    for (; t->replied != NULL; t->replied = t->replied->next) {
        if (!mailsrv__may_go_on(session) && may_wait(s))
            return mailsrv__then_turn(session, reply_to_each);
        if (!mailsrv__window_open(session) && may_wait(s))
            return mailsrv__then_window(session, reply_to_each);
        struct verdict v = { t->refusal, t->refusal_text };
        if (t->refusal == NULL)
            v = mailsrv__smtp_verdict_of(s, t->replied);
        if (!mailsrv__smtp_say(s, v.line, v.text))
            return STEP_CLOSE;
        mailsrv__spend(session, 1);
    }
    bool is_last = t->refusal != NULL && mailsrv__smtp_is_last(t->refusal);
    mailsrv__smtp_reset(s);
    return is_last ? STEP_CLOSE : STEP_NEXT;
}

static enum step reply_lmtp(struct smtp *s)
{
    struct transaction *t = s->mail;
    const char *refusal = t->refusal;
    uint32_t n_ok = 0;
    for (const struct recipient *r = t->first; r != NULL && t->refusal == NULL; r = r->next) {
        const char *line = mailsrv__smtp_verdict_of(s, r).line;
        n_ok += line[0] == '2';
        refusal = line[0] == '2' ? refusal : line;
    }
    if (n_ok != 0)
        tell_event(s, MAILSRV_EVENT_MESSAGE_ACCEPTED, NULL);
    else if (refusal != NULL)
        tell_event(s, MAILSRV_EVENT_MESSAGE_REFUSED, refusal);
    t->replied = t->first;
    return reply_to_each(&s->session);
}

enum step mailsrv__smtp_refuse_all(struct smtp *s, const char *line, struct span text)
{
    if (!mailsrv__smtp_is_lmtp(s))
        return mailsrv__smtp_conclude(s, line, text);
    s->mail->refusal = line;
    s->mail->refusal_text = text;
    return reply_lmtp(s);
}

static enum step refuse_status(struct smtp *s, int32_t status, struct span text)
{
    return mailsrv__smtp_refuse_all(s, mailsrv__smtp_line(s, status, AT_DATA), text);
}

/* ---- The first COMMIT ---- */

/* One reply for all (RFC 5321 section 4.4).  Where nothing can be kept for later, any failure refuses the whole. */
static enum step reply_smtp(struct smtp *s)
{
    struct verdict temporary = { NULL, { NULL, 0 } }, permanent = temporary, ok = temporary;
    for (const struct recipient *r = s->mail->first; r != NULL; r = r->next) {
        struct verdict v = mailsrv__smtp_verdict_of(s, r);
        struct verdict *first = v.line[0] == '2' ? &ok : v.line[0] == '4' ? &temporary : &permanent;
        if (first->line == NULL)
            *first = v;
    }
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    struct verdict v = temporary.line != NULL ? temporary : permanent.line != NULL ? permanent : ok;
    if (users == NULL || ok.line == NULL || !mailsrv__smtp_queue_served(s))
        return mailsrv__smtp_conclude(s, v.line, v.text);
    return users->settle(s, ok.line, ok.text);
}

static enum step commit_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    take_results(s);
    return mailsrv__smtp_is_lmtp(s) ? reply_lmtp(s) : reply_smtp(s);
}

static bool is_queue(const struct target *target)
{
    return target->to.kind == MAILSRV_TARGET_QUEUE;
}

static size_t prefix_octets(const struct smtp *s, const struct recipient *r, size_t received_n)
{
    return mailsrv__smtp_delivery_octets(s->mail, r->address) + mailsrv__smtp_fields_octets(s, r) + received_n;
}

static size_t commit_octets(const struct smtp *s, struct span received)
{
    const struct transaction *t = s->mail;
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    size_t octets = mailsrv__ask_octets(t->reverse_path.n);
    for (const struct recipient *r = t->first; r != NULL; r = r->next) {
        octets += mailsrv__ask_octets(prefix_octets(s, r, received.n));
        octets += mailsrv__ask_octets(r->address.n);
        for (uint32_t i = 0; i < r->n_own; i++)
            if (is_queue(&r->own[i]))
                octets += users->queue_octets(s, r, &r->own[i], received);
    }
    return octets;
}

/* The targets that this recipient brought; those that are mailboxes share one prefix. */
static mailsrv_target *fill_targets(const struct smtp *s, struct ask *ask, mailsrv_target *target,
                                    const struct recipient *r, struct span received)
{
    size_t octets = prefix_octets(s, r, received.n);
    struct writer prefix = { .p = mailsrv__ask_room(ask, octets), .room = octets };
    mailsrv__smtp_write_delivery(s->mail, r->address, &prefix);
    mailsrv__smtp_write_fields(s, r, &prefix);
    mailsrv__write(&prefix, received);
    mailsrv_bytes address = mailsrv__ask_copy(ask, r->address);
    for (uint32_t i = 0; i < r->n_own; i++, target++) {
        if (is_queue(&r->own[i])) {
            mailsrv__smtp_users_of(&s->session)->fill_queue(s, ask, target, r, &r->own[i], received);
            continue;
        }
        target->kind = MAILSRV_TARGET_MAILBOX;
        target->account = r->own[i].to.account;
        target->mailbox = r->own[i].to.mailbox;
        target->internal_us = mailsrv__unix_us(&s->session);
        target->prefix = mailsrv__bytes(mailsrv__written(&prefix));
        target->recipient = address;
    }
    return target;
}

static enum step commit(struct smtp *s)
{
    struct transaction *t = s->mail;
    char room[RECEIVED_OCTETS_MAX];
    struct writer received = { .p = room, .room = sizeof room };
    mailsrv__smtp_write_received(s, &received);
    if (!mailsrv__smtp_reserve_replies(s, t->reply_octets)) /* 354 may have used, and sent, what was kept */
        return refuse_status(s, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    mailsrv__transaction_unreserve(&s->session, t);
    size_t octets = commit_octets(s, mailsrv__written(&received));
    struct ask ask =
        mailsrv__body_commit(&s->session, t->n_targets, t->n_queue, octets, mailsrv__smtp_structure(s));
    if (ask.op == NULL)
        return refuse_status(s, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    mailsrv_arg_body_commit *arg = ask.arg;
    bool atomic_is_there = (mailsrv__body_features(&s->session) & MAILSRV_BODY_ATOMIC) != 0;
    arg->atomic = !mailsrv__smtp_is_lmtp(s) && !mailsrv__smtp_queue_served(s) && atomic_is_there;
    arg->reverse_path = mailsrv__ask_copy(&ask, t->reverse_path);
    mailsrv_target *target = (mailsrv_target *)(uintptr_t)arg->targets;
    for (const struct recipient *r = t->first; r != NULL; r = r->next)
        target = fill_targets(s, &ask, target, r, mailsrv__written(&received));
    mailsrv__spend(&s->session, t->n_targets / 4);
    return mailsrv__then_answers(&s->session, commit_answered);
}

/* Everybody got what there was for him: nothing. */
static enum step drop(struct smtp *s)
{
    return mailsrv__smtp_is_lmtp(s) ? reply_lmtp(s) : reply_smtp(s);
}

/* ---- A late verdict of POLICY stands above what was said of each recipient ---- */

static void send_nowhere(struct transaction *t)
{
    t->n_targets = t->n_queue = 0;
    for (struct recipient *r = t->first; r != NULL; r = r->next)
        r->n = r->n_own = 0;
}

/* One target for all; it is the first recipient's own. */
static void send_elsewhere(struct transaction *t)
{
    struct recipient *first = t->first;
    struct span address = mailsrv__noted(t->standing.address);
    send_nowhere(t);
    t->elsewhere.to = t->standing.to;
    for (struct recipient *r = first; r != NULL; r = r->next) {
        r->targets[0] = &t->elsewhere;
        r->n = 1;
    }
    first->own = &t->elsewhere;
    first->n_own = 1;
    first->address = address.n == 0 ? first->address : address;
    t->n_targets = 1;
    t->n_queue = is_queue(&t->elsewhere);
}

static enum step deliver(struct smtp *s)
{
    struct transaction *t = s->mail;
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    if (t->fate_is_late && t->standing.fate == FATE_DISCARD)
        send_nowhere(t);
    else if (t->fate_is_late)
        send_elsewhere(t);
    if (t->n_queue != 0 && !mailsrv__smtp_queue_served(s))
        return mailsrv__smtp_refuse_all(s, "451 4.3.5 no queue here, try again later", (struct span){ NULL, 0 });
    const char *refusal = users == NULL ? NULL : users->stop_loops(s);
    if (refusal != NULL)
        return mailsrv__smtp_refuse_all(s, refusal, (struct span){ NULL, 0 });
    return t->n_targets == 0 ? drop(s) : commit(s);
}

static enum step end_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct span text;
    const char *refusal = mailsrv__smtp_late_verdict(s, &text);
    return refusal == NULL ? deliver(s) : mailsrv__smtp_refuse_all(s, refusal, text);
}

enum step mailsrv__smtp_senders_checked(struct smtp *s)
{
    if (mailsrv__smtp_consults(s, MAILSRV_STAGE_EOM))
        return mailsrv__smtp_consult(s, MAILSRV_STAGE_EOM, end_answered);
    return deliver(s);
}

static enum step check_senders(struct smtp *s)
{
    const struct smtp_users *users = mailsrv__smtp_users_of(&s->session);
    return users == NULL ? mailsrv__smtp_senders_checked(s) : users->check_senders(s);
}

static enum step header_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    struct span text;
    const char *refusal = mailsrv__smtp_late_verdict(s, &text);
    return refusal == NULL ? check_senders(s) : mailsrv__smtp_refuse_all(s, refusal, text);
}

/* A message that is all header has ended with it. */
static enum step consult_about_header(struct smtp *s)
{
    if (s->mail->header_was_asked || !mailsrv__smtp_consults(s, MAILSRV_STAGE_HEADERS))
        return check_senders(s);
    if (s->mail->header.lost)
        return refuse_status(s, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    s->mail->header_was_asked = true;
    return mailsrv__smtp_consult(s, MAILSRV_STAGE_HEADERS, header_answered);
}

/* ---- The verdict before it ---- */

static enum step judge(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    if (mailsrv__taps_end(session, s->mail->taps))
        return mailsrv__then_answers(session, judge);
    const struct facts *facts = mailsrv__taps_facts(s->mail->taps);
    if (facts->traces > mailsrv__setting(session, MAILSRV_PROFILE_HOPS_MAX)) /* RFC 5321 section 6.3 */
        return mailsrv__smtp_refuse_all(s, "554 5.4.6 too many hops, mail is looping", (struct span){ NULL, 0 });
    if (facts->status != MAILSRV_OK)
        return refuse_status(s, facts->status, facts->text);
    return consult_about_header(s);
}

static enum step written(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    int32_t status = mailsrv__body_status(session);
    if (status != MAILSRV_OK)
        return refuse_status(s, status, mailsrv__body_text(session));
    return judge(session);
}

/* Puts what the editor still holds.  False: there is no room for it yet. */
static bool flush(struct smtp *s)
{
    struct span part;
    while (mailsrv__smtp_put_waiting(s)) {
        if (!mailsrv__header_end(&s->mail->editor, &part))
            return true;
        mailsrv__smtp_put(s, part);
    }
    return false;
}

static enum step finish(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    if (!flush(s))
        return mailsrv__then_body(session, finish);
    mailsrv__body_finish(session);
    return mailsrv__body_settled(session) ? written(session) : mailsrv__then_body(session, written);
}

enum step mailsrv__smtp_finish(struct smtp *s)
{
    if (s->mail->refusal != NULL)
        return mailsrv__smtp_refuse_all(s, s->mail->refusal, s->mail->refusal_text);
    return finish(&s->session);
}
