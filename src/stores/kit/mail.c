#include "kit.h"

#include <string.h>

mailsrv_bytes mailsrv__kit_bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

/* ---- Bodies ---- */

bool mailsrv__kit_begin_body(struct kit *k, int engine, uint64_t hint, struct staged *out)
{
    mailsrv_arg_body_begin arg = { sizeof arg, 0, hint };
    memset(out, 0, sizeof *out);
    out->engine = engine;
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, engine, MAILSRV_OP_BODY_BEGIN, NULL, &arg, &out->question);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "BODY_BEGIN"))
        return false;
    const mailsrv_body_begun *begun = answer->value;
    out->handle = begun->body;
    out->features = begun->features;
    return true;
}

int32_t mailsrv__kit_write(struct kit *k, struct staged *body, uint32_t seed, uint32_t n)
{
    mailsrv_asked *question;
    for (uint32_t i = 0; i < n; i++)
        k->piece[i] = mailsrv__kit_octet(seed, body->octets + i);
    mailsrv_arg_body_write arg = { sizeof arg, 0, body->handle, body->octets, { k->piece, n } };
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, body->engine, MAILSRV_OP_BODY_WRITE, NULL, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    mailsrv__kit_drop(k, question);
    if (status == MAILSRV_OK)
        body->octets += n;
    return status;
}

bool mailsrv__kit_stage(struct kit *k, int engine, uint32_t seed, uint64_t octets, uint32_t piece, struct staged *out)
{
    if (!mailsrv__kit_begin_body(k, engine, octets, out))
        return false;
    while (out->octets < octets) {
        uint64_t left = octets - out->octets;
        int32_t status = mailsrv__kit_write(k, out, seed, left < piece ? (uint32_t)left : piece);
        if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "BODY_WRITE"))
            return false;
    }
    return true;
}

/* ---- Targets ---- */

mailsrv_target mailsrv__kit_to_inbox(const struct kit *k, uint32_t account)
{
    mailsrv_target target;
    memset(&target, 0, sizeof target);
    target.size = sizeof target;
    target.kind = MAILSRV_TARGET_MAILBOX;
    target.account = k->inboxes[account].account;
    target.mailbox = k->inboxes[account].mailbox;
    target.recipient = k->setup->accounts[account].address;
    target.internal_us = KIT_ARRIVED;
    return target;
}

mailsrv_target mailsrv__kit_to_nowhere(const struct kit *k)
{
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    memset(&target.account, 0xee, sizeof target.account);
    memset(&target.mailbox, 0, sizeof target.mailbox);
    return target;
}

mailsrv_target mailsrv__kit_to_queue(const char *record)
{
    mailsrv_target target;
    memset(&target, 0, sizeof target);
    target.size = sizeof target;
    target.kind = MAILSRV_TARGET_QUEUE;
    target.record = mailsrv__kit_bytes(record);
    target.recipient = mailsrv__kit_bytes("someone@remote.test");
    target.internal_us = KIT_ARRIVED;
    return target;
}

/* ---- Commits ---- */

bool mailsrv__kit_ask_commit(struct kit *k, const struct staged *body, const mailsrv_target *targets, uint32_t n,
                             uint32_t atomic, struct commit *commit)
{
    memset(commit, 0, sizeof *commit);
    commit->staged.size = sizeof commit->staged;
    commit->staged.body = body->handle;
    commit->staged.octets = body->octets;
    commit->staged.structure = body->structure;
    commit->arg.size = sizeof commit->arg;
    commit->arg.atomic = atomic;
    commit->arg.n_bodies = 1;
    commit->arg.body_stride = sizeof commit->staged;
    commit->arg.bodies = &commit->staged;
    commit->arg.n_targets = n;
    commit->arg.target_stride = sizeof *targets;
    commit->arg.targets = targets;
    commit->arg.reverse_path = mailsrv__kit_bytes("kit@remote.test");
    commit->arg.saved_us = KIT_NOW;
    commit->question = mailsrv__kit_ask(k, body->engine, MAILSRV_OP_BODY_COMMIT, NULL, &commit->arg);
    return commit->question != NULL;
}

int32_t mailsrv__kit_commit(struct kit *k, const struct staged *body, const mailsrv_target *targets, uint32_t n,
                            uint32_t atomic, mailsrv_result *results)
{
    struct commit commit;
    memset(results, 0, n * sizeof *results);
    if (!mailsrv__kit_ask_commit(k, body, targets, n, atomic, &commit))
        return MAILSRV_TEMP;
    const mailsrv_answer *answer = mailsrv__kit_wait(k, commit.question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (status == MAILSRV_OK) {
        const mailsrv_committed *committed = answer->value;
        memcpy(results, committed->results, n * sizeof *results);
    }
    for (uint32_t i = 0; i < n; i++) {
        results[i].text = (mailsrv_bytes){ NULL, 0 };
        if (status != MAILSRV_OK)
            results[i].status = status;
    }
    mailsrv__kit_drop(k, commit.question);
    return status;
}

bool mailsrv__kit_send(struct kit *k, int engine, const mailsrv_target *target, uint32_t seed, uint64_t octets,
                       mailsrv_result *result)
{
    struct staged body;
    if (!mailsrv__kit_stage(k, engine, seed, octets, PIECE_MAX, &body))
        return false;
    mailsrv__kit_commit(k, &body, target, 1, 0, result);
    mailsrv__kit_drop(k, body.question);
    return !k->failed;
}

bool mailsrv__kit_deliver(struct kit *k, int engine, uint32_t account, uint32_t seed, uint64_t octets,
                          mailsrv_result *result)
{
    mailsrv_result own;
    mailsrv_target target = mailsrv__kit_to_inbox(k, account);
    if (result == NULL)
        result = &own;
    return mailsrv__kit_send(k, engine, &target, seed, octets, result) &&
           mailsrv__kit_expect_status(k, result->status, MAILSRV_OK, "BODY_COMMIT to an INBOX");
}
