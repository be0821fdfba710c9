/* READ: ranges, ends, handles, and what was lent. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)

static const char prefix[] = "X-Kit: reading\r\n";

/* One message in an INBOX that is open. */
static bool one_message(struct kit *k, struct box *box, const struct expected *message, uint32_t *uid)
{
    struct list list;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.prefix = mailsrv__kit_bytes(message->prefix);
    if (!mailsrv__kit_send(k, 0, &target, message->seed, message->octets, &result) ||
        !mailsrv__kit_open(k, 0, 0, box) || !mailsrv__kit_list(k, box, ROWS_MAX, &list) ||
        !mailsrv__kit_expect(k, list.n == 1, "the message is not there"))
        return false;
    *uid = list.rows[0].uid;
    return true;
}

/* At the beginning, inside the prefix, over its end, inside, and at the end. */
static void ranges(struct kit *k)
{
    static const uint64_t offsets[] = { 0, 1, 10, 15, 16, 17, 1000, 4090, 4099, 5005 };
    const struct expected message = { prefix, 60, 5000 };
    struct box box;
    uint32_t uid = 0;
    if (!one_message(k, &box, &message, &uid))
        return;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (!mailsrv__kit_reads(k, &box, uid, &message, offsets[i], 10, 10))
            return;
    mailsrv__kit_reads(k, &box, uid, &message, 3, 600, 7);
}

static const mailsrv_answer *read_at(struct kit *k, const struct box *box, uint32_t uid, uint64_t handle,
                                     uint64_t offset, uint64_t n, mailsrv_asked **question)
{
    mailsrv_arg_read arg = { sizeof arg, uid, box->handle, 0, handle, offset, n, 0 };
    return mailsrv__kit_hear(k, box->engine, MAILSRV_OP_READ, &box->account, &arg, question);
}

/* More is asked for than there is; and at the end there is nothing, which is no failure. */
static void ends(struct kit *k)
{
    const struct expected message = { prefix, 61, 200 };
    struct box box;
    mailsrv_asked *question;
    uint32_t uid = 0;
    uint64_t at = 0, all = sizeof prefix - 1 + message.octets;
    if (!one_message(k, &box, &message, &uid))
        return;
    for (uint64_t got = 1; got != 0; at += got) {
        const mailsrv_answer *answer = read_at(k, &box, uid, 0, at, PIECE_MAX, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ up to the end"))
            return;
        got = ((const mailsrv_read_bytes *)answer->value)->octets.n;
        if (!mailsrv__kit_expect(k, got <= all - at, "READ gives octets behind the end"))
            return;
        mailsrv__kit_drop(k, question);
    }
    mailsrv__kit_expect(k, at == all, "READ ends before the message does");
}

/* Where the first answer gives a handle, the reading goes on by it. */
static void by_handle(struct kit *k)
{
    const struct expected message = { prefix, 62, 700 };
    struct box box;
    mailsrv_asked *first, *next;
    uint32_t uid = 0;
    if (!one_message(k, &box, &message, &uid))
        return;
    const mailsrv_answer *answer = read_at(k, &box, uid, 0, 0, 100, &first);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ"))
        return;
    uint64_t handle = ((const mailsrv_read_bytes *)answer->value)->handle;
    answer = read_at(k, &box, uid, handle, 300, 100, &next);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ by its handle"))
        return;
    mailsrv_bytes octets = ((const mailsrv_read_bytes *)answer->value)->octets;
    mailsrv__kit_expect(k, octets.n != 0 && mailsrv__kit_is(&message, 300, octets),
                        "READ by its handle gives other octets");
    mailsrv__kit_drop(k, next);
    mailsrv__kit_drop(k, first);
}

/* What is lent lies in a queue to a peer, and stays as it is whatever happens to the message. */
static void lent(struct kit *k)
{
    const struct expected message = { prefix, 63, 2000 };
    struct box box;
    mailsrv_asked *held, *other;
    uint32_t uid = 0;
    uint64_t modseq;
    if (!one_message(k, &box, &message, &uid))
        return;
    const mailsrv_answer *answer = read_at(k, &box, uid, 0, 0, 1000, &held);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ"))
        return;
    mailsrv_bytes octets = ((const mailsrv_read_bytes *)answer->value)->octets;
    if (read_at(k, &box, uid, 0, 1001, 900, &other) == NULL)
        return;
    mailsrv__kit_drop(k, other);
    int32_t status = mailsrv__kit_expunge(k, &box, uid, uid, 0, &modseq);
    mailsrv__kit_expect_status(k, status, MAILSRV_OK, "EXPUNGE while octets are lent");
    mailsrv__kit_deliver(k, 0, 0, 64, 2000, NULL);
    mailsrv__kit_expect(k, mailsrv__kit_is(&message, 0, octets), "octets changed while they were lent");
    mailsrv__kit_drop(k, held);
}

const struct check mailsrv__kit_reading[] = {
    { "READ gives ranges", POP3, ranges },
    { "READ ends with the message", POP3, ends },
    { "READ goes on by its handle", POP3, by_handle },
    { "lent octets stay as they are", POP3, lent },
    { NULL, 0, NULL },
};
