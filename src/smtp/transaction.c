#include "smtp/transaction.h"

#include "core/ask.h"

enum { RESERVE_FIRST = 4096 };

/* ---- What POLICY said ---- */

static void free_noted(mailsrv_session *session, struct noted *noted)
{
    while (noted != NULL) {
        struct noted *next = noted->next;
        mailsrv__session_give(session, noted, sizeof *noted + noted->n);
        noted = next;
    }
}

struct noted *mailsrv__note(mailsrv_session *session, struct span text)
{
    struct noted *noted = mailsrv__session_take(session, sizeof *noted + text.n);
    if (noted == NULL)
        return NULL;
    noted->n = text.n;
    memcpy(noted + 1, text.p, text.n);
    return noted;
}

void mailsrv__standing_free(mailsrv_session *session, struct standing *standing)
{
    free_noted(session, standing->fields);
    free_noted(session, standing->address);
    *standing = (struct standing){ .fate = FATE_USUAL };
}

bool mailsrv__standing_add(mailsrv_session *session, struct standing *standing, struct span fields)
{
    struct noted **last = &standing->fields;
    while (*last != NULL)
        last = &(*last)->next;
    if (fields.n != 0)
        *last = mailsrv__note(session, fields);
    return fields.n == 0 || *last != NULL;
}

static bool send_elsewhere(mailsrv_session *session, struct standing *standing, const mailsrv_verdict *verdict)
{
    struct noted *address = NULL;
    if (verdict->verdict == MAILSRV_POLICY_REDIRECT && verdict->address.n != 0) {
        address = mailsrv__note(session, mailsrv__span(verdict->address));
        if (address == NULL)
            return false;
    }
    free_noted(session, standing->address);
    standing->address = address;
    standing->to = verdict->to;
    standing->to.address = standing->to.reverse_path = (mailsrv_bytes){ NULL, 0 }; /* `address` says it */
    standing->to.flags = 0;
    standing->shard = verdict->shard;
    standing->fate = FATE_ELSEWHERE;
    return true;
}

bool mailsrv__standing_take(mailsrv_session *session, struct standing *standing, const mailsrv_verdict *verdict)
{
    if (!mailsrv__standing_add(session, standing, mailsrv__span(verdict->fields)))
        return false;
    switch (verdict->verdict) {
    case MAILSRV_POLICY_ACCEPT:
        standing->accepted = true;
        return true;
    case MAILSRV_POLICY_DISCARD:
        standing->fate = FATE_DISCARD;
        return true;
    case MAILSRV_POLICY_RELAY_OK:
        standing->relay_ok = true;
        return true;
    case MAILSRV_POLICY_QUARANTINE:
    case MAILSRV_POLICY_REDIRECT:
        return send_elsewhere(session, standing, verdict);
    default:
        return true;
    }
}

/* ---- Its life ---- */

struct transaction *mailsrv__transaction_new(mailsrv_session *session, struct span reverse_path)
{
    struct transaction *t = mailsrv__session_take(session, sizeof *t + reverse_path.n);
    if (t == NULL)
        return NULL;
    char *path = (char *)(t + 1);
    if (reverse_path.n != 0)
        memcpy(path, reverse_path.p, reverse_path.n);
    t->reverse_path = (struct span){ path, reverse_path.n };
    return t;
}

static void free_recipient(mailsrv_session *session, struct recipient *r)
{
    if (r == NULL)
        return;
    free_noted(session, r->fields);
    free_noted(session, r->original);
    mailsrv__session_give(session, r, r->octets);
}

static void forget_asked(mailsrv_session *session, struct transaction *t)
{
    mailsrv__session_give(session, (void *)(uintptr_t)t->asked.p, t->asked.n);
    t->asked = (struct span){ NULL, 0 };
    t->for_postmaster = false;
    free_noted(session, t->asked_original);
    t->asked_original = NULL;
    t->asked_notify = 0;
    mailsrv__standing_free(session, &t->asked_standing);
}

void mailsrv__transaction_free(mailsrv_session *session, struct transaction *t)
{
    if (t == NULL)
        return;
    mailsrv__transaction_unreserve(session, t);
    mailsrv__taps_free(session, t->taps);
    if (t->answer != NULL)
        mailsrv__lent_drop(t->answer);
    mailsrv__standing_free(session, &t->standing);
    mailsrv__header_free(session, &t->header);
    free_noted(session, t->fixups);
    free_noted(session, t->refusal_note);
    free_noted(session, t->envelope_id);
    free_recipient(session, t->offered);
    forget_asked(session, t);
    while (t->first != NULL) {
        struct recipient *r = t->first;
        t->first = r->next;
        free_recipient(session, r);
    }
    mailsrv__session_give(session, t, sizeof *t + t->reverse_path.n);
}

/* ---- Targets by what they name ---- */

static bool same_id(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static struct target **bucket_of(struct transaction *t, const mailsrv_destination *to)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof to->account.b; i++)
        hash = ((hash ^ to->account.b[i]) * 16777619u ^ to->mailbox.b[i]) * 16777619u;
    return &t->buckets[(hash ^ hash >> 16) % TARGET_BUCKETS];
}

static bool same_bytes(mailsrv_bytes a, mailsrv_bytes b)
{
    return mailsrv__span_equal(mailsrv__span(a), mailsrv__span(b));
}

/* NULL: it is a new one.  Each recipient has the queue for himself, once for each address that he forwards to. */
static struct target *find(struct transaction *t, const mailsrv_destination *to)
{
    if (to->kind != MAILSRV_TARGET_MAILBOX) {
        struct recipient *r = t->offered;
        for (uint32_t i = 0; i < r->n_own; i++)
            if (r->own[i].to.kind != MAILSRV_TARGET_MAILBOX && same_bytes(r->own[i].to.address, to->address))
                return &r->own[i];
        return NULL;
    }
    for (struct target *at = *bucket_of(t, to); at != NULL; at = at->chained)
        if (same_id(&at->to.account, &to->account) && same_id(&at->to.mailbox, &to->mailbox))
            return at;
    return NULL;
}

/* There is room for it. */
static mailsrv_bytes keep_text(struct recipient *r, mailsrv_bytes text)
{
    char *p = r->text;
    if (text.n != 0)
        memcpy(p, text.p, text.n);
    r->text += text.n;
    return (mailsrv_bytes){ (const uint8_t *)p, text.n };
}

static void add_own(struct transaction *t, struct recipient *r, const mailsrv_destination *to)
{
    struct target *own = &r->own[r->n_own++];
    own->to = *to;
    own->to.address = keep_text(r, to->address);
    own->to.reverse_path = keep_text(r, to->reverse_path);
    if (to->kind == MAILSRV_TARGET_MAILBOX) {
        struct target **bucket = bucket_of(t, to);
        own->chained = *bucket;
        *bucket = own;
    }
    r->targets[r->n++] = own;
}

/* ---- Recipients ---- */

static bool has_target(const struct recipient *r, const struct target *target)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->targets[i] == target)
            return true;
    return false;
}

static const mailsrv_destination *destination(const mailsrv_resolved *resolved, uint32_t i)
{
    return (const void *)((const char *)resolved->destinations + (size_t)i * resolved->stride);
}

/* `texts`: octets of those of its destinations. */
static struct recipient *new_recipient(mailsrv_session *session, struct span address, uint32_t n, size_t texts)
{
    n = n == 0 ? 1 : n; /* a late verdict may send it somewhere */
    size_t octets =
        sizeof(struct recipient) + n * (sizeof(struct target) + sizeof(struct target *)) + address.n + texts;
    struct recipient *r = mailsrv__session_take(session, octets);
    if (r == NULL)
        return NULL;
    r->octets = octets;
    r->own = (struct target *)(void *)(r + 1);
    r->targets = (struct target **)(void *)(r->own + n);
    char *text = (char *)(r->targets + n);
    memcpy(text, address.p, address.n);
    r->address = (struct span){ text, address.n };
    r->text = text + address.n;
    return r;
}

bool mailsrv__transaction_ask(mailsrv_session *session, struct transaction *t, struct span address)
{
    forget_asked(session, t);
    char *kept = mailsrv__session_take(session, address.n);
    if (kept == NULL)
        return false;
    memcpy(kept, address.p, address.n);
    t->asked = (struct span){ kept, address.n };
    return true;
}

static struct recipient *begin_offer(mailsrv_session *session, struct transaction *t, struct span address, uint32_t n,
                                     size_t texts)
{
    struct recipient *r = new_recipient(session, address, n, texts);
    if (r == NULL)
        return NULL;
    r->fields = t->asked_standing.fields;
    t->asked_standing.fields = NULL;
    r->original = t->asked_original;
    t->asked_original = NULL;
    r->notify = t->asked_notify;
    r->number = (uint16_t)(t->n_recipients + 1);
    t->offered = r;
    return r;
}

static void add_target(struct transaction *t, struct recipient *r, const mailsrv_destination *to)
{
    struct target *known = find(t, to);
    if (known == NULL)
        add_own(t, r, to);
    else if (!has_target(r, known))
        r->targets[r->n++] = known;
}

bool mailsrv__transaction_offer(mailsrv_session *session, struct transaction *t, const mailsrv_resolved *resolved)
{
    bool is_long = resolved->n > TARGETS_OF_RECIPIENT_MAX;
    size_t texts = 0;
    for (uint32_t i = 0; !is_long && i < resolved->n; i++)
        texts += destination(resolved, i)->address.n + destination(resolved, i)->reverse_path.n;
    struct recipient *r = begin_offer(session, t, t->asked, is_long ? 1 : resolved->n, texts);
    if (r == NULL)
        return false;
    r->shard = resolved->shard;
    r->is_long = is_long;
    if (is_long) {
        add_own(t, r, &(mailsrv_destination){ .kind = MAILSRV_TARGET_QUEUE });
        return true;
    }
    for (uint32_t i = 0; i < resolved->n; i++)
        add_target(t, r, destination(resolved, i));
    return true;
}

bool mailsrv__transaction_offer_fate(mailsrv_session *session, struct transaction *t, const struct standing *fate)
{
    struct span address = mailsrv__noted(fate->address);
    struct recipient *r = begin_offer(session, t, address.n == 0 ? t->asked : address, 1, 0);
    if (r == NULL)
        return false;
    r->shard = fate->shard;
    r->is_placed = fate->fate == FATE_ELSEWHERE;
    if (fate->fate == FATE_ELSEWHERE)
        add_target(t, r, &fate->to);
    return true;
}

uint32_t mailsrv__transaction_offered_queue(const struct transaction *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->offered->n_own; i++)
        n += t->offered->own[i].to.kind == MAILSRV_TARGET_QUEUE;
    return n;
}

void mailsrv__transaction_accept(struct transaction *t)
{
    struct recipient *r = t->offered;
    t->n_queue += mailsrv__transaction_offered_queue(t);
    t->n_targets += r->n_own;
    t->n_recipients++;
    if (t->last == NULL)
        t->first = r;
    else
        t->last->next = r;
    t->last = r;
    t->offered = NULL;
}

/* His targets are the last that came: they stand at the front of their buckets. */
void mailsrv__transaction_decline(mailsrv_session *session, struct transaction *t)
{
    struct recipient *r = t->offered;
    for (uint32_t i = r->n_own; i-- > 0;)
        if (r->own[i].to.kind == MAILSRV_TARGET_MAILBOX)
            *bucket_of(t, &r->own[i].to) = r->own[i].chained;
    free_recipient(session, r);
    t->offered = NULL;
}

/* ---- Memory ahead of need ---- */

void mailsrv__transaction_unreserve(mailsrv_session *session, struct transaction *t)
{
    mailsrv__session_give(session, t->reserve, t->reserve_octets);
    t->reserve = NULL;
    t->reserve_octets = 0;
}

/* The old reserve is given back first: two of them at once would halve the number of recipients.  It grows by doubling,
 * as long as there is room for that, or each recipient would leave a hole behind him. */
bool mailsrv__transaction_reserve(mailsrv_session *session, struct transaction *t, size_t octets)
{
    size_t before = t->reserve_octets, doubled = mailsrv__doubled(RESERVE_FIRST, octets);
    if (octets <= before)
        return true;
    mailsrv__transaction_unreserve(session, t);
    const size_t tries[] = { doubled, octets, before };
    for (size_t i = 0; i < sizeof tries / sizeof *tries && t->reserve == NULL && tries[i] != 0; i++) {
        t->reserve = mailsrv__session_take(session, tries[i]);
        t->reserve_octets = t->reserve == NULL ? 0 : tries[i];
    }
    return t->reserve_octets >= octets;
}
