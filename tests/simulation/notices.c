/* Notices as they are committed (RFC 3464): whom they are for, of which mail, and what they say of whom. */
#include "sim.h"

#include <stdlib.h>

static bool take_line(struct text *rest, struct text *line)
{
    const char *lf = rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);
    if (lf == NULL)
        return false;
    size_t n = (size_t)(lf - rest->p) + 1;
    *line = (struct text){ rest->p, n >= 2 ? n - 2 : 0 };
    rest->p += n;
    rest->n -= n;
    return true;
}

/* The value of a field; false: the line is another's. */
static bool is_field(struct text line, const char *name, struct text *value)
{
    size_t n = strlen(name);
    if (line.n < n || memcmp(line.p, name, n) != 0)
        return false;
    while (n < line.n && line.p[n] == ' ')
        n++;
    *value = (struct text){ line.p + n, line.n - n };
    return true;
}

static uint32_t number_in(struct text message)
{
    struct text line, value;
    while (take_line(&message, &line))
        if (is_field(line, "X-Sim:", &value))
            return (uint32_t)strtoul(value.p, NULL, 10);
    return 0;
}

static void count(struct sim *sim, uint32_t number, struct text recipient, struct text action)
{
    struct addressee *a = ledger_find(sim, number, recipient);
    if (a == NULL || a->refused) {
        sim_fault(sim, "a notice names somebody who is no recipient", "");
        return;
    }
    a->failed += text_is(action, "failed");
    a->delayed += text_is(action, "delayed");
    a->relayed += text_is(action, "relayed");
}

static void check_target(struct sim *sim, struct mail *m, const mailsrv_arg_body_commit *commit)
{
    const mailsrv_target *t = commit->targets;
    bool is_local = m->from[0] == 's';
    sim_expect(sim, commit->n_targets == 1 && commit->reverse_path.n == 0, "a notice is for several, or has a sender");
    sim_expect(sim, t->kind == (is_local ? MAILSRV_TARGET_MAILBOX : MAILSRV_TARGET_QUEUE), "a notice goes elsewhere");
    m->notices_queued += !is_local;
    if (m->from[0] == '\0')
        sim_fault(sim, "a notice to the null reverse-path", "");
}

/* Does it with each recipient that it tells of, and what it tells. */
static void tell(struct sim *sim, struct text message, void (*what)(struct sim *, uint32_t, struct text, struct text))
{
    uint32_t number = number_in(message);
    struct text line, value, recipient = { NULL, 0 };
    while (take_line(&message, &line)) {
        if (is_field(line, "Final-Recipient: rfc822;", &value) || is_field(line, "Final-Recipient: utf-8;", &value))
            recipient = value;
        else if (is_field(line, "Action:", &value) && recipient.n != 0)
            what(sim, number, recipient, value);
    }
}

static void check_reason(struct sim *sim, uint32_t number, struct text recipient, struct text action)
{
    struct addressee *a = ledger_find(sim, number, recipient);
    if (a != NULL && text_is(action, "failed"))
        reasons_check(sim, a, action);
}

void notice_asked(struct sim *sim, struct text message)
{
    tell(sim, message, check_reason);
}

void notice_committed(struct sim *sim, struct text message, const mailsrv_arg_body_commit *commit)
{
    uint32_t number = number_in(message);
    if (number == 0 || number > sim->n_mails) {
        sim_fault(sim, "a notice of no mail", "");
        return;
    }
    check_target(sim, &sim->mails[number - 1], commit);
    sim->notices++;
    tell(sim, message, count);
}
