/* The tier Receive: addresses and bodies. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)

/* What RESOLVE says of an address; `*out` is where it leads first. */
static int32_t resolve(struct kit *k, mailsrv_bytes address, mailsrv_destination *out)
{
    mailsrv_asked *question;
    size_t at = address.n;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    mailsrv_arg_resolve arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.address = address;
    arg.local_part = (mailsrv_bytes){ address.p, at > 0 ? at - 1 : address.n };
    arg.domain = (mailsrv_bytes){ address.p + at, at > 0 ? address.n - at : 0 };
    arg.reverse_path = mailsrv__kit_bytes("kit@remote.test");
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_RESOLVE, NULL, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (status == MAILSRV_OK)
        *out = ((const mailsrv_resolved *)answer->value)->destinations[0];
    mailsrv__kit_drop(k, question);
    return status;
}

static void addresses(struct kit *k)
{
    mailsrv_destination to;
    mailsrv__kit_expect(k, memcmp(&k->inboxes[0].account, &k->inboxes[1].account, sizeof(mailsrv_id)) != 0,
                        "two addresses lead to one account");
    int32_t status = resolve(k, k->setup->unknown_address, &to);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "RESOLVE of an address that leads nowhere");
}

/* Domains have no case (RFC 5321 section 2.4). */
static void domain_case(struct kit *k)
{
    mailsrv_bytes address = k->setup->accounts[0].address;
    mailsrv_destination to;
    bool in_domain = false;
    if (!mailsrv__kit_expect(k, address.n <= sizeof k->piece, "the setup's address is too long"))
        return;
    for (size_t i = 0; i < address.n; i++) {
        uint8_t c = address.p[i];
        in_domain = in_domain || c == '@';
        k->piece[i] = in_domain && c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
    }
    int32_t status = resolve(k, (mailsrv_bytes){ k->piece, address.n }, &to);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "RESOLVE with the domain in upper case"))
        mailsrv__kit_expect(k, memcmp(&to.account, &k->inboxes[0].account, sizeof to.account) == 0,
                            "the address in upper case leads elsewhere");
}

static void features(struct kit *k)
{
    struct staged body;
    if (!mailsrv__kit_begin_body(k, 0, 0, &body))
        return;
    uint32_t covers = k->setup->covers;
    mailsrv__kit_expect(k, (covers & MAILSRV_KIT_ATOMIC) == 0 || (body.features & MAILSRV_BODY_ATOMIC) != 0,
                        "BODY_BEGIN does not say MAILSRV_BODY_ATOMIC");
    mailsrv__kit_expect(k, (covers & MAILSRV_KIT_QUEUE) == 0 || (body.features & MAILSRV_BODY_TAKES_QUEUE) != 0,
                        "BODY_BEGIN does not say MAILSRV_BODY_TAKES_QUEUE");
}

static void own_handles(struct kit *k)
{
    struct staged one, other;
    if (!mailsrv__kit_begin_body(k, 0, 0, &one) || !mailsrv__kit_begin_body(k, 1, 0, &other))
        return;
    mailsrv__kit_expect(k, one.handle != other.handle, "two bodies that are open have one handle");
}

/* Octets of every size come one after the other, and the message is what was written. */
static void whole(struct kit *k)
{
    static const uint32_t pieces[] = { 1, 7, 1, 4096, 333, 64, 4095, 7, 2, 1000 };
    struct staged body;
    struct box box;
    struct list list;
    mailsrv_result result;
    if (!mailsrv__kit_begin_body(k, 0, 9506, &body))
        return;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (!mailsrv__kit_expect_status(k, mailsrv__kit_write(k, &body, 11, pieces[i]), MAILSRV_OK, "BODY_WRITE"))
            return;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    mailsrv__kit_commit(k, &body, &target, 1, 0, &result);
    if (!mailsrv__kit_expect_status(k, result.status, MAILSRV_OK, "BODY_COMMIT"))
        return;
    mailsrv__kit_drop(k, body.question);
    struct expected message = { "", 11, body.octets };
    if (mailsrv__kit_open(k, 0, 0, &box) && mailsrv__kit_list(k, &box, ROWS_MAX, &list) &&
        mailsrv__kit_expect(k, list.n == 1, "the message is not there"))
        mailsrv__kit_reads_all(k, &box, list.rows[0].uid, &message);
}

static void not_committed(struct kit *k)
{
    struct staged body;
    uint32_t n = 0;
    if (!mailsrv__kit_stage(k, 0, 12, 777, PIECE_MAX, &body))
        return;
    mailsrv__kit_drop(k, body.question);
    if (mailsrv__kit_count(k, 0, 0, &n))
        mailsrv__kit_expect(k, n == 0, "a body that was closed without a commit is a message");
}

static bool is_refusal(int32_t status)
{
    return status == MAILSRV_FULL || status == MAILSRV_TOOBIG || status == MAILSRV_LIMIT ||
           status == MAILSRV_OVERQUOTA || status == MAILSRV_NOMEM;
}

static void too_large(struct kit *k)
{
    struct staged body;
    mailsrv_result result;
    int32_t status = MAILSRV_OK;
    if (!mailsrv__kit_begin_body(k, 0, 0, &body))
        return;
    while (status == MAILSRV_OK && body.octets <= k->setup->octets_max)
        status = mailsrv__kit_write(k, &body, 13, PIECE_MAX);
    if (status == MAILSRV_OK) {
        mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
        mailsrv__kit_commit(k, &body, &target, 1, 0, &result);
        status = result.status;
    }
    mailsrv__kit_drop(k, body.question);
    if (mailsrv__kit_expect(k, is_refusal(status), "a body that is too large is not refused for that"))
        mailsrv__kit_deliver(k, 0, 0, 13, 100, NULL);
}

/* A staged body may be read before it is anybody's. */
static void staged_read(struct kit *k)
{
    struct staged body;
    mailsrv_asked *question;
    struct expected message = { "", 14, 3000 };
    if (!mailsrv__kit_stage(k, 0, 14, 3000, 1000, &body))
        return;
    for (uint64_t at = 0; at < 3000;) {
        mailsrv_arg_read arg = { sizeof arg, 0, 0, body.handle, 0, at, 3000 - at, 0 };
        const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_READ, NULL, &arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ of a staged body"))
            return;
        mailsrv_bytes octets = ((const mailsrv_read_bytes *)answer->value)->octets;
        if (!mailsrv__kit_expect(k, octets.n != 0 && mailsrv__kit_is(&message, at, octets),
                                 "READ of a staged body gives other octets"))
            return;
        at += octets.n;
        mailsrv__kit_drop(k, question);
    }
}

const struct check mailsrv__kit_receive[] = {
    { "addresses are known", MAILSRV_KIT_RECEIVE, addresses },
    { "domains have no case", MAILSRV_KIT_RECEIVE, domain_case },
    { "features are told", MAILSRV_KIT_RECEIVE, features },
    { "bodies have handles of their own", MAILSRV_KIT_RECEIVE, own_handles },
    { "a commit gives the whole message", POP3, whole },
    { "a body closed without commit leaves nothing", POP3, not_committed },
    { "a body too large is refused", MAILSRV_KIT_RECEIVE | NEEDS_LIMIT, too_large },
    { "a staged body can be read", POP3 | MAILSRV_KIT_READS_STAGED, staged_read },
    { NULL, 0, NULL },
};
