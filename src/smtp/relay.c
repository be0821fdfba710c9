/* Mail that goes on: what the queue is given of a message, in the COMMIT beside the mailboxes, and in a second one what
 * that left undone.
 *
 * The second COMMIT has three kinds of items: recipients who failed for now, to be tried again; those who failed for
 * good, whose sender is owed a notice (RFC 5321 section 4.4); and those who have it, where the sender asked to be told
 * (RFC 3461 section 4.1).  Where it fails, the reply is 451 if an item of the first two kinds is lost with it: nobody
 * would know of that mail any more, and who sends again sends some of it twice.  It is 250 if only the third is: the
 * mail is where it belongs, and mail that comes twice is worse than a confirmation that does not come. */
#include "smtp/smtp.h"
#include "text/queue_record.h"

enum {
    NOTIFY_ANY = QUEUE_FLAG_NOTIFY_NEVER | QUEUE_FLAG_NOTIFY_SUCCESS | QUEUE_FLAG_NOTIFY_FAILURE |
                 QUEUE_FLAG_NOTIFY_DELAY,
    MESSAGE_OCTETS_MAX = 64,
    LANE_OCTETS_MAX = 255
};

/* ---- Where it goes, and what of the envelope goes with it ---- */

/* What an item is about: a recipient, or one of the places that he leads to. */
struct item {
    const struct recipient *r;
    const struct target *own; /* NULL: the recipient himself */
    const struct verdict *v;  /* what was said of it; NULL: nothing was tried */
    enum queue_fate fate;
    struct span received;
};

static bool is_list(const struct item *item)
{
    return item->own != NULL && (item->own->to.flags & MAILSRV_TO_LIST) != 0;
}

static bool is_forwarded(const struct item *item)
{
    return item->own != NULL && (item->own->to.flags & MAILSRV_TO_FORWARD) != 0;
}

static struct span recipient_of(const struct item *item)
{
    struct span address = item->own == NULL ? (struct span){ NULL, 0 } : mailsrv__span(item->own->to.address);
    return address.n == 0 ? item->r->address : address;
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] > 127)
            return false;
    return true;
}

static bool fields_are_ascii(const struct smtp *s, const struct recipient *r)
{
    const struct noted *lists[] = { s->connected.fields, s->greeted.fields, s->mail->standing.fields, r->fields };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct noted *at = lists[i]; at != NULL; at = at->next)
            if (!is_ascii(mailsrv__noted(at)))
                return false;
    return true;
}

/* SMTPUTF8 that was said and is not needed is not asked of the next server (RFC 6531 section 3.6). */
static uint16_t flags_of_octets(const struct smtp *s, const struct item *item, struct span reverse_path)
{
    const struct transaction *t = s->mail;
    const struct facts *facts = mailsrv__taps_facts(t->taps);
    bool fields = fields_are_ascii(s, item->r);
    bool envelope = is_ascii(reverse_path) && is_ascii(recipient_of(item)) && is_ascii(item->r->address);
    bool utf8 = !envelope || (t->utf8 && (facts->header_utf8 || !fields));
    bool eight_bit = t->eight_bit || facts->eight_bit || !fields || !envelope;
    return (uint16_t)((utf8 ? QUEUE_FLAG_UTF8 : 0) | (eight_bit ? QUEUE_FLAG_8BIT : 0));
}

/* RFC 3461 section 5.2.7.3, (c): an alias of several addresses keeps SUCCESS for itself. */
static uint16_t notify_of(const struct item *item)
{
    uint16_t notify = item->r->notify;
    if (item->fate != QUEUE_RETRY || item->own == NULL || item->r->n < 2)
        return notify;
    uint16_t less = notify & (uint16_t)~QUEUE_FLAG_NOTIFY_SUCCESS;
    return notify != 0 && less == 0 ? QUEUE_FLAG_NOTIFY_NEVER : less;
}

/* Of one transaction, items have the same octets unless something stands before the message for one recipient alone. */
static void write_message(const struct smtp *s, const struct item *item, struct writer *w)
{
    mailsrv__smtp_write_id(s, w);
    mailsrv__write_char(w, '-');
    mailsrv__write_hex(w, mailsrv__smtp_hash_of_peer(s));
    if (item->r->fields == NULL && !is_forwarded(item))
        return;
    mailsrv__write_char(w, '.');
    mailsrv__write_hex(w, item->r->number);
}

/* RFC 3461 section 5.2.7.1, (b): a list's own mail has nothing of the original's. */
static void add_envelope(const struct transaction *t, const struct item *item, struct queue_record *record)
{
    if (is_list(item)) {
        record->reverse_path = mailsrv__span(item->own->to.reverse_path);
        return;
    }
    record->reverse_path = t->reverse_path;
    record->envelope_id = mailsrv__noted(t->envelope_id);
    record->original = mailsrv__noted(item->r->original);
    record->flags = (uint16_t)(t->ret | notify_of(item));
}

/* Mail for him goes to a mailbox of ours, or is forwarded by us: it is not for any other server to take. */
static bool is_ours(const struct recipient *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->targets[i]->to.kind == MAILSRV_TARGET_MAILBOX || (r->targets[i]->to.flags & MAILSRV_TO_FORWARD) != 0)
            return true;
    return false;
}

static struct queue_record record_of(const struct smtp *s, const struct item *item)
{
    struct queue_record record = { .fate = item->fate,
                                   .recipient = recipient_of(item),
                                   .arrived_us = mailsrv__unix_us(&s->session) };
    add_envelope(s->mail, item, &record);
    record.flags |= flags_of_octets(s, item, record.reverse_path);
    if (is_forwarded(item) || (item->fate == QUEUE_SUCCESS && item->r->n > 1))
        record.flags |= QUEUE_FLAG_FORWARDED;
    if (item->fate == QUEUE_RETRY && (item->own == NULL ? is_ours(item->r) : item->r->is_long))
        record.flags |= QUEUE_FLAG_LOCAL;
    if (item->v != NULL && item->fate != QUEUE_SUCCESS) {
        const char *line = item->v->line;
        record.code = (uint16_t)((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
        record.tries = 1;
        record.tried_us = record.arrived_us;
    }
    return record;
}

/* The domain in lower case: all mail for it takes one way. */
static void write_lane(const struct smtp *s, struct span recipient, struct writer *w)
{
    struct address to;
    bool has_domain = mailsrv__mailbox_read(recipient, &to) == PATH_OK && to.domain.n != 0;
    struct span domain = has_domain ? to.domain : mailsrv__setting_str(&s->session, MAILSRV_PROFILE_HOSTNAME);
    for (size_t i = 0; i < domain.n; i++)
        mailsrv__write_char(w, domain.p[i] >= 'A' && domain.p[i] <= 'Z' ? (char)(domain.p[i] + 32) : domain.p[i]);
}

/* ---- The targets ---- */

#define DELIVERED_TO "Delivered-To: "

/* Who forwards says so: mail that comes back to him is a loop. */
static size_t prefix_octets(const struct smtp *s, const struct item *item)
{
    size_t forwarded = is_forwarded(item) ? sizeof DELIVERED_TO + 1 + item->r->address.n : 0;
    return forwarded + mailsrv__smtp_fields_octets(s, item->r) + item->received.n;
}

static void write_prefix(const struct smtp *s, const struct item *item, struct writer *w)
{
    if (is_forwarded(item)) {
        mailsrv__write(w, SPAN(DELIVERED_TO));
        mailsrv__write(w, item->r->address);
        mailsrv__write(w, SPAN("\r\n"));
    }
    mailsrv__smtp_write_fields(s, item->r, w);
    mailsrv__write(w, item->received);
}

static size_t octets_of(const struct smtp *s, const struct item *item)
{
    struct queue_record most = { .message = { NULL, MESSAGE_OCTETS_MAX }, .recipient = recipient_of(item) };
    add_envelope(s->mail, item, &most);
    most.text.n = item->v == NULL ? 0 : strlen(item->v->line) + item->v->text.n;
    return mailsrv__ask_octets(prefix_octets(s, item)) + mailsrv__ask_octets(item->r->address.n) +
           mailsrv__ask_octets(mailsrv__queue_record_octets(&most)) + mailsrv__ask_octets(LANE_OCTETS_MAX);
}

static mailsrv_bytes copy_record(const struct smtp *s, struct ask *ask, const struct item *item)
{
    char text_room[REPLY_OCTETS_MAX], message_room[MESSAGE_OCTETS_MAX];
    struct writer text = { .p = text_room, .room = sizeof text_room };
    struct writer message = { .p = message_room, .room = sizeof message_room };
    struct queue_record record = record_of(s, item);
    if (record.code != 0)
        mailsrv__smtp_write_text(&text, item->v->line, item->v->text, true);
    write_message(s, item, &message);
    record.text = mailsrv__written(&text);
    record.message = mailsrv__written(&message);
    size_t octets = mailsrv__queue_record_octets(&record);
    struct writer w = { .p = mailsrv__ask_room(ask, octets), .room = octets };
    mailsrv__queue_record_write(&w, &record);
    return mailsrv__bytes(mailsrv__written(&w));
}

static void fill(const struct smtp *s, struct ask *ask, mailsrv_target *target, const struct item *item)
{
    char lane_room[LANE_OCTETS_MAX];
    struct writer lane = { .p = lane_room, .room = sizeof lane_room };
    size_t octets = prefix_octets(s, item);
    struct writer prefix = { .p = mailsrv__ask_room(ask, octets), .room = octets };
    write_prefix(s, item, &prefix);
    write_lane(s, recipient_of(item), &lane);
    target->kind = MAILSRV_TARGET_QUEUE;
    target->internal_us = mailsrv__unix_us(&s->session);
    target->due_us = target->internal_us;
    target->prefix = mailsrv__bytes(mailsrv__written(&prefix));
    target->recipient = mailsrv__ask_copy(ask, item->r->address);
    target->record = copy_record(s, ask, item);
    target->lane = mailsrv__ask_copy(ask, mailsrv__written(&lane));
}

size_t mailsrv__smtp_queue_octets(const struct smtp *s, const struct recipient *r, const struct target *own,
                                  struct span received)
{
    return octets_of(s, &(struct item){ r, own, NULL, QUEUE_RETRY, received });
}

void mailsrv__smtp_fill_queue(const struct smtp *s, struct ask *ask, mailsrv_target *target, const struct recipient *r,
                              const struct target *own, struct span received)
{
    fill(s, ask, target, &(struct item){ r, own, NULL, QUEUE_RETRY, received });
}

/* ---- The second COMMIT ---- */

/* No notice is ever sent to the null reverse-path (RFC 5321 section 4.5.5), and none that was not asked for (RFC 3461
 * section 4.1). */
static bool wants(const struct transaction *t, const struct recipient *r, uint16_t notify)
{
    uint16_t asked = (r->notify & NOTIFY_ANY) == 0 ? QUEUE_FLAG_NOTIFY_FAILURE : r->notify;
    return t->reverse_path.n != 0 && (asked & notify) != 0;
}

/* Does the next server say what becomes of it?  It does where a single address is forwarded or relayed to: what was
 * asked for goes on with it (RFC 3461 section 5.2.7.2). */
static bool is_handed_on(const struct recipient *r)
{
    return r->n == 1 && r->targets[0]->to.kind == MAILSRV_TARGET_QUEUE &&
           (r->targets[0]->to.flags & MAILSRV_TO_LIST) == 0;
}

/* What is to be done about a recipient.  False: nothing. */
static bool is_left(const struct smtp *s, const struct recipient *r, const struct verdict *v, enum queue_fate *fate)
{
    *fate = v->line[0] == '4' ? QUEUE_RETRY : v->line[0] == '5' ? QUEUE_BOUNCE : QUEUE_SUCCESS;
    if (*fate == QUEUE_RETRY)
        return true;
    if (*fate == QUEUE_BOUNCE)
        return wants(s->mail, r, QUEUE_FLAG_NOTIFY_FAILURE);
    return r->n != 0 && !is_handed_on(r) && wants(s->mail, r, QUEUE_FLAG_NOTIFY_SUCCESS);
}

/* Success that is not told keeps nobody from being told the rest. */
static enum step second_answered(mailsrv_session *session)
{
    struct smtp *s = mailsrv__smtp_of(session);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    struct span text, none = { NULL, 0 };
    int32_t status = MAILSRV_OK;
    uint32_t i = 0;
    for (const struct recipient *r = s->mail->first; r != NULL; r = r->next) {
        struct verdict v = mailsrv__smtp_verdict_of(s, r);
        enum queue_fate fate;
        if (is_left(s, r, &v, &fate) && mailsrv__smtp_result_of(answer, i++, &text) != MAILSRV_OK &&
            fate != QUEUE_SUCCESS)
            status = MAILSRV_TEMP;
    }
    return mailsrv__smtp_conclude(s, mailsrv__smtp_line(s, status, AT_DATA), none);
}

struct plan {
    uint32_t n;
    bool has_mail; /* beside what tells of success */
    size_t octets;
};

static struct plan plan_second(const struct smtp *s, struct span received)
{
    struct plan plan = { .octets = mailsrv__ask_octets(s->mail->reverse_path.n) };
    for (const struct recipient *r = s->mail->first; r != NULL; r = r->next) {
        struct verdict v = mailsrv__smtp_verdict_of(s, r);
        struct item item = { r, NULL, &v, QUEUE_RETRY, received };
        if (!is_left(s, r, &v, &item.fate))
            continue;
        plan.n++;
        plan.has_mail = plan.has_mail || item.fate != QUEUE_SUCCESS;
        plan.octets += octets_of(s, &item);
    }
    return plan;
}

static void fill_second(const struct smtp *s, struct ask *ask, struct span received)
{
    mailsrv_arg_body_commit *arg = ask->arg;
    mailsrv_target *target = (mailsrv_target *)(uintptr_t)arg->targets;
    arg->reverse_path = mailsrv__ask_copy(ask, s->mail->reverse_path);
    for (const struct recipient *r = s->mail->first; r != NULL; r = r->next) {
        struct verdict v = mailsrv__smtp_verdict_of(s, r);
        struct item item = { r, NULL, &v, QUEUE_RETRY, received };
        if (is_left(s, r, &v, &item.fate))
            fill(s, ask, target++, &item);
    }
}

/* Whom POLICY sends somewhere is not RESOLVE's, and the queue would ask that: who fails for now has to come again. */
static const char *cannot_wait(const struct smtp *s)
{
    for (const struct recipient *r = s->mail->first; r != NULL; r = r->next) {
        struct verdict v = mailsrv__smtp_verdict_of(s, r);
        if (r->is_placed && v.line[0] == '4')
            return v.line;
    }
    return NULL;
}

enum step mailsrv__smtp_settle(struct smtp *s, const char *line, struct span text)
{
    const char *later = cannot_wait(s);
    if (later != NULL)
        return mailsrv__smtp_conclude(s, later, (struct span){ NULL, 0 });
    char room[RECEIVED_OCTETS_MAX];
    struct writer received = { .p = room, .room = sizeof room };
    mailsrv__smtp_write_received(s, &received);
    struct plan plan = plan_second(s, mailsrv__written(&received));
    struct span none = { NULL, 0 };
    if (plan.n == 0)
        return mailsrv__smtp_conclude(s, line, text);
    struct ask ask = mailsrv__body_commit(&s->session, plan.n, plan.n, plan.octets,
                                          mailsrv__taps_facts(s->mail->taps)->structure);
    if (ask.op == NULL)
        return plan.has_mail ? mailsrv__smtp_conclude(s, mailsrv__smtp_line(s, MAILSRV_TEMP, AT_DATA), none)
                             : mailsrv__smtp_conclude(s, line, text);
    fill_second(s, &ask, mailsrv__written(&received));
    return mailsrv__then_answers(&s->session, second_answered);
}

/* ---- Places that RESOLVE names ---- */

const char *mailsrv__smtp_refusal_of_forward(const mailsrv_destination *to)
{
    struct address a;
    struct span address = mailsrv__span(to->address), owner = mailsrv__span(to->reverse_path);
    bool fine = (address.n == 0 || (mailsrv__mailbox_read(address, &a) == PATH_OK && a.domain.n != 0)) &&
                (owner.n == 0 || (mailsrv__mailbox_read(owner, &a) == PATH_OK && a.domain.n != 0));
    return fine ? NULL : "451 4.3.5 forwarded to what is no address, try again later";
}

/* ---- Loops ---- */

static bool has_been_delivered(const struct facts *facts, struct span address)
{
    uint64_t hash = mailsrv__smtp_hash_of_address(address);
    for (uint32_t i = 0; i < facts->n_delivered; i++)
        if (facts->delivered[i] == hash)
            return true;
    return false;
}

/* Is one of his targets another's, too? */
static bool is_shared(const struct transaction *t, const struct recipient *r)
{
    for (const struct recipient *other = t->first; other != NULL; other = other->next)
        for (uint32_t i = 0; other != r && i < other->n; i++)
            if (other->targets[i] >= r->own && other->targets[i] < r->own + r->n_own)
                return true;
    return false;
}

/* It would be delivered, or forwarded, by what has delivered or forwarded it before: Delivered-To says so.  Mail that
 * is only relayed has not been to its recipient. */
static bool loops(const struct smtp *s, const struct recipient *r)
{
    const struct target *own = r->own;
    if (r->n_own == 0 || (own->to.kind == MAILSRV_TARGET_QUEUE && (own->to.flags & MAILSRV_TO_FORWARD) == 0))
        return false;
    return has_been_delivered(mailsrv__taps_facts(s->mail->taps), r->address) && !is_shared(s->mail, r);
}

static void give_nothing(struct transaction *t, struct recipient *r, const char *why)
{
    for (uint32_t i = 0; i < r->n_own; i++)
        t->n_queue -= r->own[i].to.kind == MAILSRV_TARGET_QUEUE;
    t->n_targets -= r->n_own;
    r->n_own = 0;
    r->refusal = why;
}

const char *mailsrv__smtp_stop_loops(struct smtp *s)
{
    static const char looping[] = "554 5.4.6 it has been here before, mail is looping";
    struct transaction *t = s->mail;
    uint32_t n = 0;
    if (mailsrv__taps_facts(t->taps)->n_delivered == 0)
        return NULL;
    for (struct recipient *r = t->first; r != NULL; r = r->next) {
        if (!loops(s, r))
            continue;
        if (!mailsrv__smtp_is_lmtp(s) && !mailsrv__smtp_queue_served(s))
            return looping; /* one reply, that must be true for all */
        give_nothing(t, r, looping);
        n++;
    }
    return n == t->n_recipients ? looping : NULL;
}
