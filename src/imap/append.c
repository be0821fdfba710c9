/* APPEND (RFC 9051 section 6.3.12): its literal is a stream into the store, never held whole.
 *
 *   announced   the name is looked up and the body begun, side by side, before anything is asked for
 *   octets      through the taps into the body
 *   parse, run  when the rest of the command is there as well, and its syntax good: COMMIT
 */
#include "core/body.h"
#include "core/tap.h"
#include "imap/messages.h"

enum { CODE_ROOM = 64 };

struct append {
    struct span name;
    struct flags flags;
    int64_t internal_us;
    uint64_t octets; /* of the literal */
    mailsrv_id mailbox;
    struct taps *taps;
    uint32_t write; /* of the view */
    bool writes;    /* into the selected mailbox */
    bool begun;     /* the literal is taken */
    bool nul;       /* there is one in it */
    char code[CODE_ROOM];
};

static struct append *append_of(struct imap *p)
{
    return p->command.own;
}

void mailsrv__imap_append_fini(struct imap *p)
{
    struct append *a = append_of(p);
    p->session.patient_bytes = false;
    if (a == NULL)
        return;
    mailsrv__body_drop(&p->session);
    mailsrv__taps_free(&p->session, a->taps);
    mailsrv__unreserve(&p->session);
}

/* ---- Grammar ---- */

/* SP mailbox [SP flag-list] [SP date-time] SP, up to the literal */
static bool parse_prefix(struct imap *p, struct reader *r, struct append *a)
{
    a->internal_us = mailsrv__unix_us(&p->session);
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_mailbox(r, &a->name) || !mailsrv__parse_sp(r))
        return false;
    if (mailsrv__parse_is(r, '(') && (!mailsrv__parse_flag_list(r, &a->flags) || !mailsrv__parse_sp(r)))
        return false;
    return !mailsrv__parse_is(r, '"') || (mailsrv__parse_date_time(r, &a->internal_us) && mailsrv__parse_sp(r));
}

/* append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal */
bool mailsrv__imap_parse_append(struct imap *p, struct reader *r)
{
    struct append *a = mailsrv__imap_own(p, r, sizeof *a);
    return a != NULL && parse_prefix(p, r, a) && mailsrv__parse_body(r, &a->octets);
}

/* ---- The literal is announced ---- */

static enum step refuse_literal(struct imap *p, int32_t status, struct span text)
{
    return mailsrv__imap_literal_refuse(p, mailsrv__imap_status_reply(p, status, text));
}

static enum step bad_literal(struct imap *p, struct span text)
{
    return mailsrv__imap_literal_refuse(p, (struct reply){ .ending = END_BAD, .text = text });
}

static enum step not_parsed(struct imap *p, const struct reader *r)
{
    if (r->no_memory)
        return refuse_literal(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    if (r->too_many)
        return refuse_literal(p, MAILSRV_LIMIT, (struct span){ NULL, 0 });
    return bad_literal(p, SPAN("expected a mailbox, flags, a date and a literal"));
}

/* The name is looked at first: [TRYCREATE] is what a client can do something about. */
static enum step begun(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct append *a = append_of(p);
    int32_t status = mailsrv__body_begun(session, 0);
    const mailsrv_answer *body = mailsrv__answer(session, 0), *found = mailsrv__answer(session, 1);
    if (found->status != MAILSRV_OK)
        return refuse_literal(p, found->status, mailsrv__span(found->text));
    if (status != MAILSRV_OK)
        return refuse_literal(p, status, mailsrv__span(body->text));
    a->mailbox = ((const mailsrv_mbox_status *)found->value)->mailbox;
    a->begun = true;
    session->patient_bytes = true;
    return mailsrv__imap_literal_stream(p);
}

static enum step ask_both(struct imap *p)
{
    struct append *a = append_of(p);
    if (mailsrv__write_is_late(&p->session))
        return refuse_literal(p, MAILSRV_TEMP, (struct span){ NULL, 0 });
    a->taps = mailsrv__taps_begin(&p->session);
    if (a->taps == NULL || !mailsrv__body_ask(&p->session, a->octets))
        return refuse_literal(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_STATUS, mailsrv__ask_octets(a->name.n));
    if (ask.op != NULL) {
        mailsrv_arg_mbox_status *arg = ask.arg;
        arg->store = p->store.value;
        arg->name = mailsrv__ask_copy(&ask, a->name);
    }
    return mailsrv__then_answers(&p->session, begun);
}

/* A first literal may be the mailbox's name. */
static enum step announced(struct imap *p, struct reader *r)
{
    struct append *a = mailsrv__imap_own(p, r, sizeof *a);
    if (a == NULL)
        return not_parsed(p, r);
    if (a->begun)
        return bad_literal(p, SPAN("one message at a time"));
    struct reader name = *r;
    if (mailsrv__parse_sp(&name) && mailsrv__parse_at_body(&name))
        return mailsrv__imap_literal_keep(p);
    if (!parse_prefix(p, r, a) || !mailsrv__parse_body(r, &a->octets))
        return not_parsed(p, r);
    if (r->no_name)
        return refuse_literal(p, MAILSRV_CANNOT, SPAN("no mailbox can have that name"));
    if (a->octets > mailsrv__setting(&p->session, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX))
        return refuse_literal(p, MAILSRV_TOOBIG, (struct span){ NULL, 0 });
    if (a->octets == 0)
        return refuse_literal(p, MAILSRV_CANNOT, SPAN("a message is not empty"));
    return ask_both(p);
}

/* ---- Its octets ---- */

/* There is room again: the host feeds what it kept. */
static enum step room_came(mailsrv_session *session)
{
    (void)session;
    return STEP_WAIT;
}

/* Octets that nobody wants are swallowed: none of them is ever a command. */
static void swallow(struct imap *p, struct input *in, size_t n)
{
    mailsrv__input_skip(in, n);
    mailsrv__literal_took(&p->frame, n);
}

static enum step octets(struct imap *p, struct input *in)
{
    struct append *a = append_of(p);
    size_t n = p->frame.left < in->n ? (size_t)p->frame.left : in->n;
    size_t room = a->nul ? n : mailsrv__body_room(&p->session);
    if (room == 0)
        return mailsrv__then_body(&p->session, room_came);
    struct span piece = mailsrv__span_first((struct span){ (const char *)in->p, n }, room);
    if (!a->nul && memchr(piece.p, 0, piece.n) != NULL) {
        a->nul = true;
        mailsrv__body_drop(&p->session);
    }
    if (!a->nul) {
        mailsrv__taps_bytes(a->taps, piece);
        mailsrv__body_put(&p->session, piece);
    }
    swallow(p, in, piece.n);
    return STEP_NEXT;
}

const struct streams mailsrv__imap_append_streams = { announced, octets };

/* ---- The command is whole ---- */

static struct reply appended(struct imap *p, const mailsrv_result *result)
{
    struct append *a = append_of(p);
    struct writer w = { .p = a->code, .room = sizeof a->code };
    mailsrv__write(&w, SPAN("[APPENDUID "));
    mailsrv__write_u64(&w, result->uidvalidity);
    mailsrv__write_char(&w, ' ');
    mailsrv__write_u64(&w, result->uid);
    mailsrv__write_char(&w, ']');
    return (struct reply){ END_OK, mailsrv__written(&w), SPAN("APPEND completed") };
}

static void tell_event(struct imap *p)
{
    char room[64];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, SPAN("APPEND octets="));
    mailsrv__write_u64(&w, append_of(p)->octets);
    mailsrv__session_event(&p->session, MAILSRV_EVENT_MESSAGE_ACCEPTED, mailsrv__written(&w));
}

static enum step committed(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct append *a = append_of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_committed *value = answer->value; /* the core has a result for each target */
    bool ok = answer->status == MAILSRV_OK && value->results[0].status == MAILSRV_OK;
    if (a->writes)
        mailsrv__view_wrote(&p->view, a->write, ok ? value->results[0].modseq : 0);
    if (answer->status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, answer->status, mailsrv__span(answer->text));
    if (!ok)
        return mailsrv__imap_refuse(p, value->results[0].status, mailsrv__span(value->results[0].text));
    tell_event(p);
    return mailsrv__imap_done(p, appended(p, &value->results[0]));
}

static void fill_target(const struct imap *p, const struct append *a, struct ask *ask)
{
    mailsrv_arg_body_commit *arg = ask->arg;
    mailsrv_target *target = (mailsrv_target *)(uintptr_t)arg->targets;
    target->kind = MAILSRV_TARGET_MAILBOX;
    target->account = p->session.account;
    target->mailbox = a->mailbox;
    target->flags = a->flags.flags;
    target->internal_us = a->internal_us;
    target->keywords = mailsrv__keywords_copy(&a->flags, ask);
    target->n_keywords = a->flags.n_keywords;
}

/* Room for the reply is kept before anything is stored: OK can then be said. */
static enum step commit(struct imap *p)
{
    struct append *a = append_of(p);
    struct ask ask = { NULL, NULL };
    if (mailsrv__reserve(&p->session, LINE_ROOM))
        ask = mailsrv__body_commit(&p->session, 1, 0, mailsrv__keywords_octets(&a->flags),
                                   mailsrv__taps_facts(a->taps)->structure);
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    fill_target(p, a, &ask);
    a->writes = mailsrv__imap_is_selected(p) && memcmp(&a->mailbox, &p->mailbox, sizeof a->mailbox) == 0;
    if (a->writes)
        a->write = mailsrv__view_writes(&p->view);
    return mailsrv__then_answers(&p->session, committed);
}

static enum step judge(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct append *a = append_of(p);
    if (mailsrv__taps_end(session, a->taps))
        return mailsrv__then_answers(session, judge);
    const struct facts *facts = mailsrv__taps_facts(a->taps);
    if (facts->status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, facts->status, facts->text);
    return commit(p);
}

static enum step written(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    int32_t status = mailsrv__body_status(session);
    if (status != MAILSRV_OK)
        return mailsrv__imap_refuse(p, status, mailsrv__body_text(session));
    return judge(session);
}

enum step mailsrv__imap_append(struct imap *p)
{
    mailsrv_session *session = &p->session;
    session->patient_bytes = false;
    if (append_of(p)->nul) /* CHAR8 has none (RFC 9051 section 9) */
        return mailsrv__imap_done(p, (struct reply){ .ending = END_NO, .text = SPAN("there is a NUL in the message") });
    mailsrv__body_finish(session);
    return mailsrv__body_settled(session) ? written(session) : mailsrv__then_body(session, written);
}
