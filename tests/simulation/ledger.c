/* Who was promised what, and what came of it. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

static const char field[] = "X-Sim: ";

static size_t header_octets(struct text t)
{
    for (size_t i = 0; i + 4 <= t.n; i++)
        if (memcmp(t.p + i, "\r\n\r\n", 4) == 0)
            return i + 2;
    return t.n;
}

static size_t find_field(struct text message)
{
    size_t n = header_octets(message), length = sizeof field - 1;
    for (size_t i = 0; i + length < n; i++)
        if ((i == 0 || message.p[i - 1] == '\n') && memcmp(message.p + i, field, length) == 0)
            return i;
    return SIZE_MAX;
}

uint32_t ledger_number(struct text message)
{
    size_t at = find_field(message);
    return at == SIZE_MAX ? 0 : (uint32_t)strtoul(message.p + at + sizeof field - 1, NULL, 10);
}

struct addressee *ledger_find(struct sim *sim, uint32_t number, struct text address)
{
    struct mail *m = number == 0 || number > sim->n_mails ? NULL : &sim->mails[number - 1];
    for (uint32_t i = 0; m != NULL && i < m->n_rcpts; i++)
        if (text_is(address, m->rcpts[i].address))
            return &m->rcpts[i];
    return NULL;
}

/* ---- What is durable ---- */

static const mailsrv_target *target_of(const mailsrv_arg_body_commit *c, uint32_t i)
{
    return (const mailsrv_target *)(const void *)((const char *)c->targets + (size_t)i * c->target_stride);
}

static struct text recipient_of(const mailsrv_target *target)
{
    return (struct text){ (const char *)target->recipient.p, target->recipient.n };
}

bool ledger_fits(const struct sim *sim, const mailsrv_target *target)
{
    char full[ADDRESS_MAX];
    snprintf(full, sizeof full, "s%d@here.test", LOCALS - 1);
    return target->kind != MAILSRV_TARGET_MAILBOX || !sim->box_is_full || !text_is(recipient_of(target), full);
}

/* Who has no room gets it no more: its item says from the beginning that it is given up. */
static void take_target(struct sim *sim, struct mail *m, const mailsrv_target *target)
{
    struct addressee *a = ledger_find(sim, m->number, recipient_of(target));
    bool is_queue = target->kind == MAILSRV_TARGET_QUEUE;
    if (a == NULL || a->refused || (!is_queue && !a->is_local)) {
        sim_fault(sim, "a target is nobody's", "");
        return;
    }
    if (!ledger_fits(sim, target)) {
        a->is_refused = true;
        return;
    }
    sim_expect(sim, !is_queue || !a->queued, "a message is queued twice");
    a->queued = a->queued || is_queue;
    a->taken += !is_queue;
}

void ledger_committed(struct sim *sim, const mailsrv_arg_body_commit *commit, struct text body)
{
    uint32_t number = ledger_number(body);
    if (number == 0) {
        notice_committed(sim, body, commit);
        return;
    }
    struct mail *m = &sim->mails[number - 1];
    bool is_whole = true;
    sim_expect(sim, m->asked, "a message is committed that nobody sent");
    for (uint32_t i = 0; i < commit->n_targets; i++)
        take_target(sim, m, target_of(commit, i));
    for (uint32_t i = 0; i < m->n_rcpts; i++)
        is_whole = is_whole && (m->rcpts[i].refused || m->rcpts[i].queued || m->rcpts[i].taken != 0);
    m->durable = m->durable || is_whole;
}

/* What came later than now has only just come. */
void ledger_clock_is_put_back(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->n_mails; i++) {
        struct mail *m = &sim->mails[i];
        if (m->asked && m->came_us > sim_unix(sim))
            m->came_us = sim_unix(sim);
    }
}

/* ---- What arrives ---- */

static bool is_seven_bit(struct text message)
{
    for (size_t i = 0; i < message.n; i++)
        if ((message.p[i] & 0x80) != 0)
            return false;
    return true;
}

/* A server without 8BITMIME gets 8-bit mail in another encoding. */
static bool is_unchanged(const struct wire *wire, const struct mail *m, struct text message)
{
    struct buffer text = { .n = 0 };
    size_t at = find_field(message);
    if (m->eight_bit && (!wire->extended || (wire->traits & PEER_NO_8BIT) != 0))
        return is_seven_bit(message);
    mail_text(m, wire->sim->setup.seed, &text);
    bool same = message.n - at == text.n && memcmp(message.p + at, text.p, text.n) == 0;
    buffer_free(&text);
    return same;
}

static void notice_taken(struct sim *sim, const char *address)
{
    struct mail *m = reasons_sender(sim, text_of(address));
    if (sim_expect(sim, m != NULL, "a notice for who has sent nothing"))
        m->notices_ended++;
}

void ledger_taken(struct wire *wire, const char *address, bool says)
{
    struct sim *sim = wire->sim;
    struct text message = buffer_text(&wire->text);
    uint32_t number = ledger_number(message);
    if (number == 0) { /* it was read when it was committed */
        notice_taken(sim, address);
        return;
    }
    struct addressee *a = ledger_find(sim, number, text_of(address));
    if (a == NULL || a->refused || !a->queued) { /* who is ours may have got another way */
        sim_fault(sim, "somebody gets what is not for him", address);
        return;
    }
    if (!is_unchanged(wire, &sim->mails[number - 1], message))
        sim_fault(sim, "a message arrives changed", address);
    if (a->held)
        sim_fault(sim, "somebody gets what is held", address);
    if (a->taken++ == 0)
        a->first_us = sim->clock.now_us;
    a->excuses += !says;
    sim->copies++;
}

/* What the queue waits at least before the next try (include/mailsrv/queue.h): 5 minutes, then half as much again each
 * time, up to 2 hours; a fifth less, by chance. */
static int64_t least_wait(uint32_t tries)
{
    int64_t wait = 5 * MINUTE;
    for (uint32_t i = 1; i < tries && wait < 2 * HOUR; i++)
        wait += wait / 2;
    return (wait < 2 * HOUR ? wait : 2 * HOUR) / 5 * 4;
}

void ledger_put_off(struct wire *wire, const char *address)
{
    unsigned number = 0;
    struct sim *sim = wire->sim;
    if (sscanf(address, "u%ux", &number) != 1)
        return;
    struct addressee *a = ledger_find(sim, number, text_of(address));
    if (a == NULL)
        return;
    int64_t early = sim->clock.now_us - a->tried_us - least_wait(a->tries);
    if (a->tries++ != 0 && early < a->soonest_us)
        a->soonest_us = early;
    a->tried_us = sim->clock.now_us;
}

/* What was taken, and is in the queue still, may be sent again; so may a notice. */
void ledger_crashed(struct sim *sim)
{
    mailsrv_queue_item item;
    for (uint64_t i = 0; mailsrv_memory_queue_item(sim->store, i, &item) == MAILSRV_OK; i++) {
        mailsrv_queued_mail mail = { .size = sizeof mail };
        mailsrv_bytes part;
        struct buffer text = { .n = 0 };
        while (text.n < 2000 && mailsrv_memory_queue_message(sim->store, i, text.n, &part) == MAILSRV_OK && part.n != 0)
            buffer_add(&text, part.p, part.n);
        if (mailsrv_queued_read(&item, &mail) == MAILSRV_OK) {
            struct text to = { (const char *)mail.recipient.p, mail.recipient.n };
            struct addressee *a = ledger_find(sim, ledger_number(buffer_text(&text)), to);
            if (a != NULL && a->taken != 0)
                a->excuses++;
            if (a != NULL)
                a->given_up = false; /* what was said of it counts no more */
            if (a != NULL && a->failed + a->delayed + a->relayed != 0)
                a->notice_excuses++;
        }
        buffer_free(&text);
    }
}

/* ---- Is all well? ---- */

static bool is_owed(const struct mail *m, const struct addressee *a)
{
    return m->from[0] != '\0' && (a->notify == 0 || (a->notify & MAILSRV_NOTIFY_FAILURE) != 0);
}

static const char *wrong(const struct mail *m, const struct addressee *a)
{
    uint32_t told = a->failed + a->delayed + a->relayed;
    if (a->taken == 0 && a->failed == 0 && is_owed(m, a) && !a->may_vanish)
        return "neither delivered, nor was its sender told";
    if (a->taken == 0 && !a->given_up && !a->may_vanish)
        return "neither delivered nor given up, and it is gone";
    if (a->taken > 1 + a->excuses)
        return "delivered too often";
    if (a->failed != 0 && !is_owed(m, a))
        return "somebody is told who is not to be";
    if (told != 0 && (m->from[0] == '\0' || (a->notify & MAILSRV_NOTIFY_NEVER) != 0))
        return "somebody is told who must never be";
    if (a->relayed != 0 && (a->notify & MAILSRV_NOTIFY_SUCCESS) == 0)
        return "success is told who did not ask";
    if (a->failed != 0 && a->taken != 0 && a->excuses + a->notice_excuses == 0)
        return "delivered, and its sender was told that it was not";
    if (a->failed > 1 + a->notice_excuses || a->delayed > 1 + a->notice_excuses || a->relayed > 1 + a->notice_excuses)
        return "told too often";
    return NULL;
}

static void check(struct sim *sim, const struct mail *m)
{
    sim_expect(sim, m->notices_ended >= m->notices_queued || m->notices_may_vanish, "a notice is gone");
    for (uint32_t i = 0; i < m->n_rcpts; i++) {
        const struct addressee *a = &m->rcpts[i];
        const char *what = a->refused ? NULL : wrong(m, a);
        sim->doubles += a->taken > 1 ? a->taken - 1 : 0;
        if (what == NULL)
            continue;
        char where[sizeof sim->where];
        snprintf(where, sizeof where, "<%s> to <%s>: taken %u, excuses %u; failed %u, delayed %u, relayed %u", m->from,
                 a->address, a->taken, a->excuses, a->failed, a->delayed, a->relayed);
        sim_fault(sim, what, where);
    }
}

void ledger_close(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->n_mails; i++) {
        sim_expect(sim, !sim->mails[i].acknowledged || sim->mails[i].durable, "accepted, and forgotten");
        if (sim->mails[i].durable)
            check(sim, &sim->mails[i]);
    }
}
