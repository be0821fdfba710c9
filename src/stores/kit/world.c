#include "kit.h"

#include <string.h>

#define UNITS 100000u       /* of a turn: more than any check needs */
#define ROUNDS_MAX 1000000u /* of waiting, should `drive` never give up */

uint8_t mailsrv__kit_octet(uint32_t seed, uint64_t i)
{
    if (i % 64 == 62)
        return '\r';
    if (i % 64 == 63)
        return '\n';
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed * UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 29;
    return (uint8_t)(0x21 + x % 94);
}

/* ---- Engines ---- */

static mailsrv_engine *new_engine(struct kit *k)
{
    mailsrv_config *config;
    mailsrv_engine *engine = NULL;
    if (!mailsrv__kit_expect(k, mailsrv_config_new(&k->allocator, &config) == MAILSRV_OK, "no memory for the kit"))
        return NULL;
    int32_t status = mailsrv_engine_new(config, &engine);
    mailsrv_config_free(config);
    mailsrv__kit_expect(k, status == MAILSRV_OK, "no memory for the kit");
    return status == MAILSRV_OK ? engine : NULL;
}

bool mailsrv__kit_begin_engines(struct kit *k)
{
    for (int i = 0; i < ENGINES; i++) {
        k->engines[i] = new_engine(k);
        if (k->engines[i] == NULL)
            return false;
        int32_t status = k->setup->bind(k->setup->user, k->engines[i]);
        if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "the store could not be bound"))
            return false;
    }
    mailsrv__kit_turn(k);
    return true;
}

void mailsrv__kit_end_engines(struct kit *k)
{
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        mailsrv_asked_free(k->questions[i]);
        k->questions[i] = NULL;
    }
    mailsrv__kit_quiet(k);
    for (int i = 0; i < ENGINES; i++) {
        mailsrv_engine_free(k->engines[i], MAILSRV_ABANDON);
        k->engines[i] = NULL;
    }
}

/* ---- Where the addresses lead ---- */

static bool find_inbox(struct kit *k, uint32_t account)
{
    mailsrv_asked *question;
    mailsrv_bytes address = k->setup->accounts[account].address;
    size_t at = address.n;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    if (!mailsrv__kit_expect(k, at > 1, "the setup's addresses need an @"))
        return false;
    mailsrv_arg_resolve arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.address = address;
    arg.local_part = (mailsrv_bytes){ address.p, at - 1 };
    arg.domain = (mailsrv_bytes){ address.p + at, address.n - at };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_RESOLVE, NULL, &arg, &question);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "RESOLVE of the setup's address"))
        return false;
    const mailsrv_resolved *resolved = answer->value;
    k->inboxes[account] = resolved->destinations[0];
    mailsrv__kit_drop(k, question);
    return mailsrv__kit_expect(k, k->inboxes[account].kind == MAILSRV_TARGET_MAILBOX,
                               "the setup's address leads to no mailbox");
}

bool mailsrv__kit_begin(struct kit *k)
{
    int32_t status = k->setup->open(k->setup->user);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "the store could not be opened"))
        return false;
    k->opened = true;
    return mailsrv__kit_begin_engines(k) && find_inbox(k, 0) && find_inbox(k, 1);
}

void mailsrv__kit_end(struct kit *k)
{
    mailsrv__kit_end_engines(k);
    if (k->opened)
        k->setup->close(k->setup->user);
    k->opened = false;
}

/* ---- Questions ---- */

mailsrv_asked *mailsrv__kit_ask(struct kit *k, int engine, int32_t kind, const mailsrv_id *account, const void *arg)
{
    int i = 0;
    while (i < QUESTIONS_MAX && k->questions[i] != NULL)
        i++;
    if (!mailsrv__kit_expect(k, i < QUESTIONS_MAX, "too many questions of the kit"))
        return NULL;
    int32_t status = mailsrv_ask(k->engines[engine], kind, account, arg, &k->questions[i]);
    if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, mailsrv_op_name(kind)))
        return NULL;
    return k->questions[i];
}

void mailsrv__kit_turn(struct kit *k)
{
    k->now_us += 1000;
    for (int i = 0; i < ENGINES; i++) {
        if (k->engines[i] == NULL)
            continue;
        mailsrv_engine_advance(k->engines[i], k->now_us, k->now_us);
        while (mailsrv_engine_turn(k->engines[i], UNITS) == MAILSRV_MORE)
            continue;
    }
}

static bool drive(struct kit *k)
{
    return k->setup->drive != NULL && k->setup->drive(k->setup->user) != 0;
}

const mailsrv_answer *mailsrv__kit_wait(struct kit *k, mailsrv_asked *question)
{
    for (uint32_t i = 0; question != NULL && i < ROUNDS_MAX; i++) {
        mailsrv__kit_turn(k);
        const mailsrv_answer *answer = mailsrv_asked_answer(question);
        if (answer != NULL)
            return answer;
        if (!drive(k))
            break;
    }
    mailsrv__kit_turn(k);
    const mailsrv_answer *answer = mailsrv_asked_answer(question);
    mailsrv__kit_expect(k, answer != NULL, "an operation got no answer");
    return answer;
}

const mailsrv_answer *mailsrv__kit_hear(struct kit *k, int engine, int32_t kind, const mailsrv_id *account,
                                        const void *arg, mailsrv_asked **question)
{
    *question = mailsrv__kit_ask(k, engine, kind, account, arg);
    return *question != NULL ? mailsrv__kit_wait(k, *question) : NULL;
}

static bool owed(const struct kit *k)
{
    for (int i = 0; i < ENGINES; i++)
        if (k->engines[i] != NULL && (mailsrv_engine_stat(k->engines[i], MAILSRV_STAT_OPS_QUEUED) != 0 ||
                                      mailsrv_engine_stat(k->engines[i], MAILSRV_STAT_OPS_OUT) != 0))
            return true;
    return false;
}

bool mailsrv__kit_quiet(struct kit *k)
{
    mailsrv__kit_turn(k);
    for (uint32_t i = 0; owed(k) && i < ROUNDS_MAX && drive(k); i++)
        mailsrv__kit_turn(k);
    mailsrv__kit_turn(k);
    return !owed(k);
}

void mailsrv__kit_drop(struct kit *k, mailsrv_asked *question)
{
    if (question == NULL)
        return;
    for (int i = 0; i < QUESTIONS_MAX; i++)
        if (k->questions[i] == question)
            k->questions[i] = NULL;
    mailsrv_asked_free(question);
    mailsrv__kit_quiet(k);
}
