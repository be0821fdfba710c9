#include "queue/place.h"

#include "text/address.h"

enum { LANE_OCTETS_MAX = 255 };

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] > 127)
            return false;
    return true;
}

static const mailsrv_destination *destination(const mailsrv_resolved *resolved, uint32_t i)
{
    return (const void *)((const char *)resolved->destinations + (size_t)i * resolved->stride);
}

/* ---- RESOLVE ---- */

bool mailsrv__place_can_ask(const struct placing *p)
{
    struct address to;
    return mailsrv__room_served(p->engine, MAILSRV_OP_RESOLVE) && mailsrv__mailbox_read(p->recipient, &to) == PATH_OK;
}

struct ask mailsrv__place_ask(const struct placing *p, struct errand *errand)
{
    static const mailsrv_id nobody;
    struct address to;
    mailsrv__mailbox_read(p->recipient, &to);
    struct span local = { to.local, to.local_n }, from = p->record.reverse_path;
    struct local_part parts = mailsrv__local_part_split(local, p->delimiter);
    struct ask ask = mailsrv__errand_ask(p->engine, errand, MAILSRV_OP_RESOLVE, &nobody,
                                         mailsrv__ask_octets(to.mailbox.n) + mailsrv__ask_octets(to.domain.n) +
                                             mailsrv__ask_octets(local.n) + mailsrv__ask_octets(parts.user.n) +
                                             mailsrv__ask_octets(parts.detail.n) + mailsrv__ask_octets(from.n));
    if (ask.op == NULL)
        return ask;
    mailsrv_arg_resolve *arg = ask.arg;
    arg->flags = MAILSRV_RESOLVE_RELAY | ((p->record.flags & QUEUE_FLAG_UTF8) != 0 ? MAILSRV_RESOLVE_UTF8 : 0);
    arg->address = mailsrv__ask_copy(&ask, to.mailbox);
    arg->local_part = mailsrv__ask_copy(&ask, local);
    arg->domain = mailsrv__ask_copy(&ask, to.domain);
    arg->user = mailsrv__ask_copy(&ask, parts.user);
    arg->detail = mailsrv__ask_copy(&ask, parts.detail);
    arg->reverse_path = mailsrv__ask_copy(&ask, from);
    return ask;
}

/* ---- An item of the queue ---- */

/* Forwarded to several, it keeps nothing of SUCCESS (RFC 3461 section 5.2.7.3); a list's copies keep nothing at all
 * (section 5.2.7.1).  A notice stays one. */
static struct queue_record record_for(const struct placing *p, const mailsrv_destination *to, bool several)
{
    const uint16_t notify = QUEUE_FLAG_NOTIFY_NEVER | QUEUE_FLAG_NOTIFY_SUCCESS | QUEUE_FLAG_NOTIFY_FAILURE |
                            QUEUE_FLAG_NOTIFY_DELAY;
    const uint16_t all = notify | QUEUE_FLAG_RET_FULL | QUEUE_FLAG_RET_HDRS;
    struct queue_record r = p->record;
    struct span forward = mailsrv__span(to->address);
    r.recipient = forward.n == 0 ? p->recipient : forward;
    if ((to->flags & MAILSRV_TO_FORWARD) != 0)
        r.flags |= QUEUE_FLAG_FORWARDED;
    if ((to->flags & MAILSRV_TO_LIST) != 0 && (r.flags & QUEUE_FLAG_NOTICE) == 0) {
        r.reverse_path = mailsrv__span(to->reverse_path);
        r.envelope_id = r.original = (struct span){ NULL, 0 };
        r.flags &= (uint16_t)~all;
    } else if (several && r.flags & QUEUE_FLAG_NOTIFY_SUCCESS) {
        r.flags &= (uint16_t)~QUEUE_FLAG_NOTIFY_SUCCESS;
        r.flags |= (r.flags & notify) == 0 ? QUEUE_FLAG_NOTIFY_NEVER : 0;
    }
    if (!is_ascii(r.recipient) || !is_ascii(r.reverse_path))
        r.flags |= QUEUE_FLAG_UTF8 | QUEUE_FLAG_8BIT;
    return r;
}

static void write_lane(const struct placing *p, struct span recipient, struct writer *w)
{
    struct address to;
    bool has_domain = mailsrv__mailbox_read(recipient, &to) == PATH_OK && to.domain.n != 0;
    struct span domain = has_domain ? to.domain : p->hostname;
    for (size_t i = 0; i < domain.n; i++)
        mailsrv__write_char(w, domain.p[i] >= 'A' && domain.p[i] <= 'Z' ? (char)(domain.p[i] + 32) : domain.p[i]);
}

/* ---- Targets ---- */

#define RETURN_PATH "Return-Path: <"
#define DELIVERED_TO "Delivered-To: "

static size_t prefix_octets(const struct placing *p)
{
    return sizeof RETURN_PATH + p->record.reverse_path.n + 3 + sizeof DELIVERED_TO + p->recipient.n + 2;
}

/* What stands before it in a mailbox of ours, and, without the reverse-path, where it is forwarded. */
static mailsrv_bytes copy_prefix(const struct placing *p, struct ask *ask, bool is_mailbox)
{
    size_t octets = prefix_octets(p);
    struct writer w = { .p = mailsrv__ask_room(ask, octets), .room = octets };
    if (is_mailbox) {
        mailsrv__write(&w, SPAN(RETURN_PATH));
        mailsrv__write(&w, p->record.reverse_path);
        mailsrv__write(&w, SPAN(">\r\n"));
    }
    mailsrv__write(&w, SPAN(DELIVERED_TO));
    mailsrv__write(&w, p->recipient);
    mailsrv__write(&w, SPAN("\r\n"));
    return mailsrv__bytes(mailsrv__written(&w));
}

static void fill_queue(const struct placing *p, struct ask *ask, mailsrv_target *target,
                       const mailsrv_destination *to, bool several)
{
    char lane_room[LANE_OCTETS_MAX];
    struct writer lane = { .p = lane_room, .room = sizeof lane_room };
    struct queue_record record = record_for(p, to, several);
    write_lane(p, record.recipient, &lane);
    size_t octets = mailsrv__queue_record_octets(&record);
    struct writer w = { .p = mailsrv__ask_room(ask, octets), .room = octets };
    mailsrv__queue_record_write(&w, &record);
    target->kind = MAILSRV_TARGET_QUEUE;
    target->due_us = p->now_us;
    target->record = mailsrv__bytes(mailsrv__written(&w));
    target->lane = mailsrv__ask_copy(ask, mailsrv__written(&lane));
    if ((to->flags & MAILSRV_TO_FORWARD) != 0)
        target->prefix = copy_prefix(p, ask, false);
}

static void fill_target(const struct placing *p, struct ask *ask, mailsrv_target *target,
                        const mailsrv_destination *to, bool several)
{
    target->internal_us = p->now_us;
    target->recipient = mailsrv__ask_copy(ask, p->recipient);
    if (to->kind == MAILSRV_TARGET_QUEUE) {
        fill_queue(p, ask, target, to, several);
        return;
    }
    target->kind = MAILSRV_TARGET_MAILBOX;
    target->account = to->account;
    target->mailbox = to->mailbox;
    target->prefix = copy_prefix(p, ask, true);
}

static size_t target_octets(const struct placing *p, const mailsrv_destination *to)
{
    struct queue_record most = p->record;
    most.recipient.n = p->recipient.n + to->address.n + to->reverse_path.n;
    return mailsrv__ask_octets(p->recipient.n) + mailsrv__ask_octets(prefix_octets(p)) +
           mailsrv__ask_octets(mailsrv__queue_record_octets(&most)) + mailsrv__ask_octets(LANE_OCTETS_MAX);
}

/* ---- COMMIT ---- */

bool mailsrv__place_queues(const mailsrv_resolved *resolved)
{
    for (uint32_t i = 0; i < resolved->n; i++)
        if (destination(resolved, i)->kind == MAILSRV_TARGET_QUEUE)
            return true;
    return false;
}

struct ask mailsrv__place_commit(const struct placing *p, struct errand *errand, const mailsrv_resolved *resolved)
{
    static const mailsrv_destination queue = { .kind = MAILSRV_TARGET_QUEUE };
    static const mailsrv_resolved to_queue = { sizeof to_queue, 0, 1, sizeof queue, &queue };
    const mailsrv_staged staged = { .size = sizeof staged, .body = p->body, .octets = p->octets };
    resolved = resolved == NULL ? &to_queue : resolved;
    size_t octets = mailsrv__ask_octets(p->record.reverse_path.n);
    for (uint32_t i = 0; i < resolved->n; i++)
        octets += target_octets(p, destination(resolved, i));
    struct ask ask = mailsrv__errand_commit(p->engine, errand, &staged, resolved->n, octets);
    if (ask.op == NULL)
        return ask;
    mailsrv_arg_body_commit *arg = ask.arg;
    mailsrv_target *target = (mailsrv_target *)(uintptr_t)arg->targets;
    arg->reverse_path = mailsrv__ask_copy(&ask, p->record.reverse_path);
    for (uint32_t i = 0; i < resolved->n; i++)
        fill_target(p, &ask, &target[i], destination(resolved, i), resolved->n > 1);
    return ask;
}
