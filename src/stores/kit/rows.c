/* ROWS: which, in what order, in pages. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)
#define MESSAGES 5

/* An INBOX with some messages, opened after they came. */
static bool filled(struct kit *k, struct box *box, mailsrv_result results[MESSAGES])
{
    for (uint32_t i = 0; i < MESSAGES; i++)
        if (!mailsrv__kit_deliver(k, 0, 0, 50 + i, 100 + i, &results[i]))
            return false;
    return mailsrv__kit_open(k, 0, 0, box);
}

static void ascending(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[MESSAGES];
    if (!filled(k, &box, results) || !mailsrv__kit_list(k, &box, 40, &list))
        return;
    for (uint32_t i = 1; i < list.n; i++)
        mailsrv__kit_expect(k, list.rows[i - 1].uid < list.rows[i].uid, "the UIDs of ROWS do not ascend");
}

static void cut(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[MESSAGES];
    if (!filled(k, &box, results) || !mailsrv__kit_list(k, &box, 2, &list))
        return;
    mailsrv__kit_expect(k, list.n == MESSAGES, "rows are missing behind the end of a page");
}

/* A page may be short or empty, but the last one says that it is the last. */
static void ending(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[MESSAGES];
    if (filled(k, &box, results) && mailsrv__kit_list(k, &box, 1, &list))
        mailsrv__kit_expect(k, list.n == MESSAGES, "pages of one row give another number of rows");
}

static void chosen(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[MESSAGES];
    if (!filled(k, &box, results))
        return;
    mailsrv_run runs[2] = { { results[1].uid, results[1].uid }, { results[3].uid, results[3].uid } };
    if (!mailsrv__kit_rows(k, &box, runs, 2, ROWS_MAX, &list))
        return;
    mailsrv__kit_expect(k, list.n == 2 && list.rows[0].uid == results[1].uid && list.rows[1].uid == results[3].uid,
                        "ROWS gives other rows than those of the UIDs asked for");
}

static void not_there(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result results[MESSAGES];
    if (!filled(k, &box, results))
        return;
    mailsrv_run run = { results[4].uid + 1, results[4].uid + 50 };
    if (mailsrv__kit_rows(k, &box, &run, 1, ROWS_MAX, &list))
        mailsrv__kit_expect(k, list.n == 0, "ROWS gives rows for UIDs that are not there");
}

static void sizes(struct kit *k)
{
    struct box box;
    struct list list;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.prefix = mailsrv__kit_bytes("X-Kit: size\r\n");
    if (mailsrv__kit_send(k, 0, &target, 55, 1000, &result) && mailsrv__kit_open(k, 0, 0, &box) &&
        mailsrv__kit_list(k, &box, ROWS_MAX, &list) && mailsrv__kit_expect(k, list.n == 1, "the message is not there"))
        mailsrv__kit_expect(k, list.rows[0].octets == 1000 + target.prefix.n,
                            "the octets of a row are not those of prefix and body");
}

const struct check mailsrv__kit_rows_checks[] = {
    { "rows ascend", POP3, ascending },
    { "a page that is cut has a cursor", POP3, cut },
    { "pages end", POP3, ending },
    { "rows are those asked for", POP3, chosen },
    { "no rows where no messages are", POP3, not_there },
    { "sizes are prefix and body", POP3, sizes },
    { NULL, 0, NULL },
};
