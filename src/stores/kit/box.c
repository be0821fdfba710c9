#include "kit.h"

#include <string.h>

#define PAGES_MAX 1000u /* for the few rows of a check */

/* ---- Opening ---- */

bool mailsrv__kit_open_store(struct kit *k, int engine, uint32_t account, struct box *out, uint64_t *store)
{
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    memset(out, 0, sizeof *out);
    out->engine = engine;
    out->account = k->inboxes[account].account;
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, engine, MAILSRV_OP_STORE_OPEN, &out->account, &arg, &out->store);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "STORE_OPEN"))
        return false;
    *store = out->in = ((const mailsrv_store_opened *)answer->value)->store;
    return true;
}

bool mailsrv__kit_open_named(struct kit *k, int engine, uint32_t account, const char *name, struct box *out)
{
    uint64_t store;
    if (!mailsrv__kit_open_store(k, engine, account, out, &store))
        return false;
    mailsrv_arg_mbox_open arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.for_writing = 1;
    arg.store = store;
    arg.name = mailsrv__kit_bytes(name);
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, engine, MAILSRV_OP_MBOX_OPEN, &out->account, &arg, &out->mbox);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "MBOX_OPEN"))
        return false;
    out->opened = *(const mailsrv_mbox_opened *)answer->value;
    out->handle = out->opened.mbox;
    return true;
}

bool mailsrv__kit_open(struct kit *k, int engine, uint32_t account, struct box *out)
{
    return mailsrv__kit_open_named(k, engine, account, "INBOX", out);
}

void mailsrv__kit_shut(struct kit *k, struct box *box)
{
    mailsrv__kit_drop(k, box->mbox);
    mailsrv__kit_drop(k, box->store);
    box->mbox = box->store = NULL;
}

/* ---- Rows ---- */

static bool take_page(struct kit *k, const mailsrv_rows *rows, struct list *out)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        if (!mailsrv__kit_expect(k, out->n < ROWS_MAX, "ROWS gives more rows than there are messages"))
            return false;
        memcpy(&out->rows[out->n], (const char *)rows->rows + (size_t)i * rows->stride, sizeof *out->rows);
        out->rows[out->n++].uidl.p = NULL; /* its length stays */
    }
    return true;
}

bool mailsrv__kit_rows(struct kit *k, const struct box *box, const mailsrv_run *runs, uint32_t n_runs, uint32_t limit,
                       struct list *out)
{
    mailsrv_arg_rows arg;
    memset(&arg, 0, sizeof arg);
    memset(out, 0, sizeof *out);
    arg.size = sizeof arg;
    arg.fields = MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ | MAILSRV_ROW_OCTETS | MAILSRV_ROW_INTERNALDATE |
                 MAILSRV_ROW_EMAILID | MAILSRV_ROW_KEYWORDS | MAILSRV_ROW_SAVEDATE;
    arg.mbox = box->handle;
    arg.uids = runs;
    arg.n_uids = n_runs;
    arg.limit = limit;
    for (bool more = true; more; out->pages++) {
        mailsrv_asked *question;
        if (!mailsrv__kit_expect(k, out->pages < PAGES_MAX, "the pages of ROWS never end"))
            return false;
        const mailsrv_answer *answer =
            mailsrv__kit_hear(k, box->engine, MAILSRV_OP_ROWS, &box->account, &arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "ROWS") ||
            !take_page(k, answer->value, out))
            return false;
        const mailsrv_rows *rows = answer->value;
        more = rows->more != 0;
        arg.cursor = rows->next;
        mailsrv__kit_drop(k, question);
    }
    return true;
}

bool mailsrv__kit_list(struct kit *k, const struct box *box, uint32_t limit, struct list *out)
{
    static const mailsrv_run all = { 1, UINT32_MAX };
    return mailsrv__kit_rows(k, box, &all, 1, limit, out);
}

const mailsrv_row *mailsrv__kit_find(const struct list *list, uint32_t uid)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->rows[i].uid == uid)
            return &list->rows[i];
    return NULL;
}

bool mailsrv__kit_count(struct kit *k, int engine, uint32_t account, uint32_t *out)
{
    struct box box;
    struct list list;
    if (!mailsrv__kit_open(k, engine, account, &box) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return false;
    *out = list.n;
    mailsrv__kit_shut(k, &box);
    return true;
}

/* ---- Reading ---- */

bool mailsrv__kit_is(const struct expected *message, uint64_t offset, mailsrv_bytes octets)
{
    size_t n_prefix = strlen(message->prefix);
    for (size_t i = 0; i < octets.n; i++) {
        uint64_t at = offset + i;
        uint8_t right = at < n_prefix ? (uint8_t)message->prefix[at]
                                      : mailsrv__kit_octet(message->seed, at - n_prefix);
        if (octets.p[i] != right)
            return false;
    }
    return true;
}

/* One question; how many octets came, 0 when it failed. */
static uint64_t read_once(struct kit *k, const struct box *box, uint32_t uid, const struct expected *message,
                          uint64_t offset, uint64_t n)
{
    mailsrv_asked *question;
    mailsrv_arg_read arg = { sizeof arg, uid, box->handle, 0, 0, offset, n, 0 };
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, box->engine, MAILSRV_OP_READ, &box->account, &arg, &question);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "READ"))
        return 0;
    const mailsrv_read_bytes *bytes = answer->value;
    uint64_t got = bytes->octets.n;
    mailsrv__kit_expect(k, got != 0, "READ gives nothing where there are octets");
    mailsrv__kit_expect(k, got <= n, "READ gives more than was asked for");
    mailsrv__kit_expect(k, mailsrv__kit_is(message, offset, bytes->octets), "READ gives other octets");
    mailsrv__kit_drop(k, question);
    return k->failed ? 0 : got;
}

bool mailsrv__kit_reads(struct kit *k, const struct box *box, uint32_t uid, const struct expected *message,
                        uint64_t offset, uint64_t n, uint64_t step)
{
    uint64_t end = offset + n;
    while (offset < end) {
        uint64_t got = read_once(k, box, uid, message, offset, end - offset < step ? end - offset : step);
        if (got == 0)
            return false;
        offset += got;
    }
    return true;
}

bool mailsrv__kit_reads_all(struct kit *k, const struct box *box, uint32_t uid, const struct expected *message)
{
    return mailsrv__kit_reads(k, box, uid, message, 0, strlen(message->prefix) + message->octets, PIECE_MAX);
}

/* ---- Expunging ---- */

int32_t mailsrv__kit_expunge(struct kit *k, const struct box *box, uint32_t first, uint32_t last,
                             uint32_t only_deleted, uint64_t *modseq)
{
    mailsrv_asked *question;
    mailsrv_run run = { first, last };
    mailsrv_arg_expunge arg = { sizeof arg, only_deleted, box->handle, &run, 1, 0, { { 0 } } };
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, box->engine, MAILSRV_OP_EXPUNGE, &box->account, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    *modseq = status == MAILSRV_OK ? ((const mailsrv_expunged *)answer->value)->modseq : 0;
    mailsrv__kit_drop(k, question);
    return status;
}
