/* What is given up must have a reason: it has become too old; a server has refused it for good, or there is none that ever
 * takes it; an operator or the host has said so.  What they say is written down as they say it; it is read when a notice is to
 * be committed, and when the queue tells that it has given up (MAILSRV_EVENT_FAILED). */
#include "sim.h"

#include <stdio.h>

enum { EXPIRE_DAYS = 5 }; /* include/mailsrv/queue.h */

/* Between the beginning of a submission and the time that its items have, and the other way round. */
#define SLACK_US (10 * MINUTE)

/* ---- Who it is ---- */

/* Of addresses the numbers say it: u7x1 is the second recipient of the seventh mail, r7 its sender.  How many there are. */
static int numbers_of(struct text address, unsigned *mail, unsigned *which)
{
    size_t i = 0;
    char rest[ADDRESS_MAX];
    while (i < address.n && (address.p[i] < '0' || address.p[i] > '9'))
        i++;
    snprintf(rest, sizeof rest, "%.*s", (int)(address.n - i), address.p + i);
    return sscanf(rest, "%ux%u@", mail, which);
}

struct mail *reasons_sender(struct sim *sim, struct text address)
{
    unsigned number = 0, which = 0;
    bool is_one = address.n != 0 && address.p[0] == 'r' && numbers_of(address, &number, &which) == 1;
    return is_one && number != 0 && number <= sim->n_mails ? &sim->mails[number - 1] : NULL;
}

/* A mailbox here is many mails'. */
static void each_local(struct sim *sim, struct text address, void (*what)(struct sim *sim, struct addressee *a))
{
    for (uint32_t i = 0; i < sim->n_mails; i++)
        for (uint32_t k = 0; k < sim->mails[i].n_rcpts; k++)
            if (sim->mails[i].rcpts[k].queued && text_is(address, sim->mails[i].rcpts[k].address))
                what(sim, &sim->mails[i].rcpts[k]);
}

void reasons_each(struct sim *sim, struct text address, void (*what)(struct sim *sim, struct addressee *a))
{
    unsigned number = 0, which = 0;
    bool is_one = numbers_of(address, &number, &which) == 2 && number != 0 && number <= sim->n_mails;
    if (!is_one)
        each_local(sim, address, what);
    else if (which < sim->mails[number - 1].n_rcpts)
        what(sim, &sim->mails[number - 1].rcpts[which]);
}

static uint32_t domain_of(const struct addressee *a)
{
    unsigned domain = 0;
    const char *at = strrchr(a->address, '@');
    return at != NULL && sscanf(at, "@d%u.test", &domain) == 1 ? domain : 0;
}

/* ---- What is said ---- */

static void is_refused(struct sim *sim, struct addressee *a)
{
    (void)sim;
    a->is_refused = true;
}

/* 5yz: to a recipient, to all of a message, or to whatever may come over this wire. */
void reasons_refused(struct wire *wire, const char *command)
{
    struct sim *sim = wire->sim;
    char address[ADDRESS_MAX];
    if (strncmp(command, "RCPT", 4) == 0) {
        if (sscanf(command, "RCPT TO:<%63[^>]", address) == 1)
            reasons_each(sim, text_of(address), is_refused);
    } else if (strncmp(command, "DATA", 4) == 0 || strcmp(command, ".") == 0) {
        for (uint32_t i = 0; i < wire->n_rcpts; i++)
            reasons_each(sim, text_of(wire->rcpts[i]), is_refused);
    } else if (wire->domain <= sim->setup.domains) {
        sim->words[wire->domain].refused_us = sim->clock.now_us;
        wire->is_plain = wire->is_plain || strncmp(command, "EHLO", 4) == 0;
    }
}

/* What was said of all that comes over it holds as long as it does. */
void reasons_wire_ends(struct wire *wire)
{
    if (wire->is_plain)
        wire->sim->words[wire->domain].refused_us = wire->sim->clock.now_us;
}

static bool has_plain_wire(const struct sim *sim, uint32_t domain)
{
    const struct wire *wire = sim->wires;
    while (wire != NULL && !(wire->domain == domain && wire->is_plain))
        wire = wire->next;
    return wire != NULL;
}

void reasons_lied(struct sim *sim, uint32_t domain)
{
    if (domain <= sim->setup.domains)
        sim->words[domain].lied_us = sim->clock.now_us;
}

/* ---- Is there a reason? ---- */

/* No server of this domain takes it, or one did not. */
static bool is_turned_down(const struct sim *sim, const struct addressee *a, uint32_t domain)
{
    const struct mail *m = a->mail;
    const struct word *word = &sim->words[domain];
    uint32_t traits = domain_traits(sim, domain);
    bool was_lied_to = word->lied_us != 0 && word->lied_us + HOUR >= m->arrives.at_us; /* it is remembered so long */
    bool is_ascii = (a->address[0] & 0x80) == 0;
    bool has_utf8 = (traits & PEER_UTF8) != 0 && (traits & PEER_NO_EHLO) == 0;
    return word->refused_us >= m->arrives.at_us || was_lied_to || (!is_ascii && !has_utf8) || has_plain_wire(sim, domain) ||
           ((traits & PEER_SMALL_SIZE) != 0 && 2 * m->octets > SMALL_SIZE); /* in another encoding it is longer */
}

static bool has_reason(const struct sim *sim, const struct addressee *a)
{
    uint32_t domain = domain_of(a);
    return a->is_refused || a->may_return || sim->unix_most_us - a->mail->came_us >= EXPIRE_DAYS * DAY - SLACK_US ||
           domain_is_nowhere(sim, domain) || is_turned_down(sim, a, domain) ||
           ((a->may_move || domain_has_smarthost(sim, domain)) && is_turned_down(sim, a, 0));
}

/* That there was one once is enough: its notice may come late. */
void reasons_check(struct sim *sim, struct addressee *a, struct text told)
{
    char where[sizeof sim->where];
    if (!has_reason(sim, a))
        orders_go_on(sim);
    a->may_return = has_reason(sim, a);
    if (a->may_return || a->refused)
        return;
    snprintf(where, sizeof where, "<%s> to <%s>, after %.1f hours: %.*s", a->mail->from, a->address,
             (double)(sim->clock.now_us - a->mail->arrives.at_us) / (double)HOUR, (int)told.n, told.p);
    sim_fault(sim, "given up without a reason", where);
}

/* ---- The queue says that it has given up ---- */

static void is_given_up(struct sim *sim, struct addressee *a)
{
    a->given_up = true;
    if (!a->is_local)
        reasons_check(sim, a, (struct text){ "by the queue", 12 });
}

/* The text has a number, the recipient, and why. */
static void failed(struct sim *sim, struct text text)
{
    const char *space = memchr(text.p, ' ', text.n);
    if (space == NULL)
        return;
    struct text address = { space + 1, text.n - (size_t)(space + 1 - text.p) };
    space = memchr(address.p, ' ', address.n);
    if (space != NULL)
        address.n = (size_t)(space - address.p);
    struct mail *sender = reasons_sender(sim, address);
    if (sender != NULL)
        sender->notices_ended++;
    else
        reasons_each(sim, address, is_given_up);
}

void reasons_events(struct sim *sim)
{
    const mailsrv_event *event;
    while (mailsrv_engine_next_event(sim->engine, &event) == MAILSRV_OK)
        if (event->what == MAILSRV_EVENT_FAILED)
            failed(sim, (struct text){ (const char *)event->text.p, event->text.n });
    sim_expect(sim, mailsrv_engine_stat(sim->engine, MAILSRV_STAT_EVENTS_DROPPED) == 0, "an event is lost");
}
