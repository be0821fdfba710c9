/* LOCK and UNLOCK: a maildrop is one session's (RFC 1939 section 4). */
#include "kit.h"

#include <string.h>

#define NEEDS (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_LOCKS)

struct lock {
    struct box box;
    mailsrv_asked *question;
};

/* Asks for the lock of an account, with a store of its own. */
static int32_t lock(struct kit *k, int engine, uint32_t account, struct lock *out)
{
    mailsrv_arg_lock arg = { sizeof arg, 0, 0 };
    out->question = NULL;
    if (!mailsrv__kit_open_store(k, engine, account, &out->box, &arg.store))
        return MAILSRV_TEMP;
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, engine, MAILSRV_OP_LOCK, &out->box.account, &arg, &out->question);
    return answer != NULL ? answer->status : MAILSRV_TEMP;
}

static void unlock(struct kit *k, struct lock *held)
{
    mailsrv__kit_drop(k, held->question);
    mailsrv__kit_shut(k, &held->box);
}

static void keeps_out(struct kit *k)
{
    struct lock held, same, other;
    if (!mailsrv__kit_expect_status(k, lock(k, 0, 0, &held), MAILSRV_OK, "LOCK"))
        return;
    mailsrv__kit_expect_status(k, lock(k, 0, 0, &same), MAILSRV_INUSE, "LOCK of what is locked");
    mailsrv__kit_expect_status(k, lock(k, 1, 0, &other), MAILSRV_INUSE, "LOCK of what another engine has locked");
}

static void lets_in(struct kit *k)
{
    struct lock first, second;
    if (!mailsrv__kit_expect_status(k, lock(k, 0, 0, &first), MAILSRV_OK, "LOCK"))
        return;
    unlock(k, &first);
    mailsrv__kit_expect_status(k, lock(k, 1, 0, &second), MAILSRV_OK, "LOCK after UNLOCK");
}

static void by_account(struct kit *k)
{
    struct lock one, other;
    if (mailsrv__kit_expect_status(k, lock(k, 0, 0, &one), MAILSRV_OK, "LOCK"))
        mailsrv__kit_expect_status(k, lock(k, 0, 1, &other), MAILSRV_OK, "LOCK of another account");
}

/* It keeps out other LOCKs only: mail comes in. */
static void lets_mail_in(struct kit *k)
{
    struct lock held;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    if (mailsrv__kit_expect_status(k, lock(k, 0, 0, &held), MAILSRV_OK, "LOCK") &&
        mailsrv__kit_send(k, 0, &target, 80, 100, &result))
        mailsrv__kit_expect_status(k, result.status, MAILSRV_OK, "BODY_COMMIT to a locked account");
}

const struct check mailsrv__kit_locks[] = {
    { "a lock keeps others out", NEEDS, keeps_out },
    { "unlocking lets others in", NEEDS, lets_in },
    { "a lock is one account's", NEEDS, by_account },
    { "a lock lets mail in", NEEDS, lets_mail_in },
    { NULL, 0, NULL },
};
