/* Users, stores and mailboxes. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)

/* ---- Users ---- */

static int32_t verify(struct kit *k, mailsrv_bytes user, mailsrv_bytes password, mailsrv_id *account)
{
    mailsrv_asked *question;
    mailsrv_arg_auth_verify arg = { .size = sizeof arg, .user = user, .password = password };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, 0, MAILSRV_OP_AUTH_VERIFY, NULL, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (status == MAILSRV_OK)
        *account = ((const mailsrv_identity *)answer->value)->account;
    mailsrv__kit_drop(k, question);
    return status;
}

static void right_password(struct kit *k)
{
    for (uint32_t i = 0; i < 2; i++) {
        mailsrv_id account;
        const mailsrv_kit_account *who = &k->setup->accounts[i];
        int32_t status = verify(k, who->user, who->password, &account);
        if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "AUTH_VERIFY with the right password"))
            return;
        mailsrv__kit_expect(k, memcmp(&account, &k->inboxes[i].account, sizeof account) == 0,
                            "a user is another account than his address leads to");
    }
}

/* One octet more, one less, one that differs, and none at all. */
static void wrong_password(struct kit *k)
{
    mailsrv_id account;
    const mailsrv_kit_account *who = &k->setup->accounts[0];
    size_t n = who->password.n;
    if (!mailsrv__kit_expect(k, n > 1 && n + 1 < sizeof k->piece, "the setup's password is too short or too long"))
        return;
    const mailsrv_bytes wrong[] = { { k->piece, n + 1 }, { k->piece, n - 1 }, { k->piece + 1, n }, { k->piece, 0 } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(k->piece, who->password.p, n);
        k->piece[n] = 'x';
        int32_t status = verify(k, who->user, wrong[i], &account);
        mailsrv__kit_expect_status(k, status, MAILSRV_DENIED, "AUTH_VERIFY with a wrong password");
    }
}

/* Nothing may tell who exists. */
static void unknown_user(struct kit *k)
{
    mailsrv_id account;
    int32_t status = verify(k, mailsrv__kit_bytes("nobody that is here"), k->setup->accounts[0].password, &account);
    mailsrv__kit_expect_status(k, status, MAILSRV_DENIED, "AUTH_VERIFY of an unknown user");
}

/* ---- Mailboxes ---- */

static int32_t open_as(struct kit *k, uint64_t store, const char *name, const mailsrv_id *mailbox, mailsrv_id *out)
{
    mailsrv_asked *question;
    mailsrv_arg_mbox_open arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.store = store;
    arg.name = mailsrv__kit_bytes(name);
    if (mailbox != NULL)
        arg.mailbox = *mailbox;
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, 0, MAILSRV_OP_MBOX_OPEN, &k->inboxes[0].account, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (status == MAILSRV_OK)
        *out = ((const mailsrv_mbox_opened *)answer->value)->mailbox;
    mailsrv__kit_drop(k, question);
    return status;
}

/* RFC 9051 section 5.1: INBOX, in any case. */
static void inbox_case(struct kit *k)
{
    static const char *const names[] = { "INBOX", "inbox", "InBox" };
    struct box box;
    uint64_t store;
    mailsrv_id ids[3];
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    for (int i = 0; i < 3; i++) {
        int32_t status = open_as(k, store, names[i], NULL, &ids[i]);
        if (!mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_OPEN of INBOX in another case"))
            return;
        mailsrv__kit_expect(k, memcmp(&ids[0], &ids[i], sizeof *ids) == 0, "INBOX in another case is another mailbox");
    }
}

static void by_id(struct kit *k)
{
    struct box box;
    mailsrv_id id;
    uint64_t store;
    if (!mailsrv__kit_open(k, 0, 0, &box))
        return;
    mailsrv_id inbox = box.opened.mailbox;
    mailsrv__kit_shut(k, &box);
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    int32_t status = open_as(k, store, "", &inbox, &id);
    if (mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_OPEN by id"))
        mailsrv__kit_expect(k, memcmp(&inbox, &id, sizeof id) == 0, "MBOX_OPEN by id opens another mailbox");
}

static void unknown_mailbox(struct kit *k)
{
    struct box box;
    uint64_t store;
    mailsrv_id id;
    if (!mailsrv__kit_open_store(k, 0, 0, &box, &store))
        return;
    int32_t status = open_as(k, store, "No such mailbox", NULL, &id);
    mailsrv__kit_expect_status(k, status, MAILSRV_NONEXISTENT, "MBOX_OPEN of a mailbox that is not there");
}

static void opening_tells(struct kit *k)
{
    struct box box, again;
    mailsrv_result results[3];
    for (int i = 0; i < 3; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 40, 100, &results[i]))
            return;
    if (!mailsrv__kit_open(k, 0, 0, &box) || !mailsrv__kit_open(k, 1, 0, &again))
        return;
    mailsrv__kit_expect(k, box.opened.exists == 3, "MBOX_OPEN tells another number of messages");
    mailsrv__kit_expect(k, box.opened.uidnext > results[2].uid, "UIDNEXT is not above the last UID");
    mailsrv__kit_expect(k, box.opened.uidvalidity != 0, "UIDVALIDITY is 0");
    mailsrv__kit_expect(k, box.opened.uidvalidity == again.opened.uidvalidity, "two openings tell two UIDVALIDITYs");
    mailsrv__kit_expect(k, box.opened.modseq >= results[2].modseq, "MBOX_OPEN tells a modseq below the last one");
}

const struct check mailsrv__kit_mailboxes[] = {
    { "the right password is right", POP3, right_password },
    { "a wrong password is denied", POP3, wrong_password },
    { "an unknown user is denied", POP3, unknown_user },
    { "INBOX has no case", POP3, inbox_case },
    { "a mailbox opens by its id", POP3, by_id },
    { "an unknown mailbox is nonexistent", POP3, unknown_mailbox },
    { "opening tells what is there", POP3, opening_tells },
    { NULL, 0, NULL },
};
