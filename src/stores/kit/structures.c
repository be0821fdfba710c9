/* MAILSRV_ROW_STRUCTURE: what a COMMIT said of a body comes back with its rows, in pages that are not too large. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_STRUCTURE)
#define IMAP (POP3 | MAILSRV_KIT_IMAP)
#define LARGE 30000 /* two fit into a page, three do not */
#define MESSAGES 5

static const char prefix[] = "X-Kit: structure\r\n";

static uint8_t octet_at(uint32_t seed, size_t i)
{
    return (uint8_t)(seed * 31 + i * 7 + i / 251); /* NUL is one of them */
}

static void fill(uint32_t seed, uint8_t *octets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        octets[i] = octet_at(seed, i);
}

static bool is_filled(uint32_t seed, mailsrv_bytes octets, size_t n)
{
    for (size_t i = 0; i < octets.n && octets.n == n; i++)
        if (octets.p[i] != octet_at(seed, i))
            return false;
    return octets.n == n;
}

/* Sends a message with a structure of `n` octets to account 0. */
static bool send(struct kit *k, uint32_t seed, size_t n)
{
    struct staged body;
    mailsrv_result result;
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.prefix = mailsrv__kit_bytes(prefix);
    if (!mailsrv__kit_stage(k, 0, seed, 500, PIECE_MAX, &body))
        return false;
    fill(seed, k->structure, n);
    body.structure = (mailsrv_bytes){ k->structure, n };
    mailsrv__kit_commit(k, &body, &target, 1, 0, &result);
    memset(k->structure, 0, n);
    mailsrv__kit_drop(k, body.question);
    return mailsrv__kit_expect_status(k, result.status, MAILSRV_OK, "COMMIT with a structure");
}

static bool row_is_right(struct kit *k, const mailsrv_row *row, uint32_t seed, size_t n)
{
    return mailsrv__kit_expect(k, is_filled(seed, row->structure, n), "a structure is not what COMMIT had") &&
           mailsrv__kit_expect(k, n == 0 || row->prefix_octets == sizeof prefix - 1,
                               "prefix_octets are not those of the prefix");
}

static bool page_is_right(struct kit *k, const mailsrv_rows *rows, uint32_t *seen, size_t n)
{
    size_t octets = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        mailsrv_row row;
        memcpy(&row, (const char *)rows->rows + (size_t)i * rows->stride, sizeof row);
        octets += row.structure.n;
        if (!row_is_right(k, &row, ++*seen, n))
            return false;
    }
    return mailsrv__kit_expect(k, rows->n < 2 || octets <= MAILSRV_ROWS_STRUCTURE_MAX,
                               "a page has more octets of structures than one may have");
}

/* All rows of a mailbox, whose structures are of the seeds 1, 2 ... */
static void look(struct kit *k, const struct box *box, uint32_t messages, size_t n)
{
    static const mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg;
    memset(&arg, 0, sizeof arg);
    arg.size = sizeof arg;
    arg.fields = MAILSRV_ROW_STRUCTURE;
    arg.mbox = box->handle;
    arg.uids = &all;
    arg.n_uids = 1;
    arg.limit = ROWS_MAX;
    uint32_t seen = 0;
    for (bool more = true; more;) {
        mailsrv_asked *question;
        const mailsrv_answer *answer =
            mailsrv__kit_hear(k, box->engine, MAILSRV_OP_ROWS, &box->account, &arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "ROWS with structures") ||
            !page_is_right(k, answer->value, &seen, n))
            return;
        const mailsrv_rows *rows = answer->value;
        more = rows->more != 0;
        arg.cursor = rows->next;
        mailsrv__kit_drop(k, question);
    }
    mailsrv__kit_expect(k, seen == messages, "ROWS with structures gives another number of rows");
}

static void come_back(struct kit *k)
{
    struct box box;
    for (uint32_t seed = 1; seed <= 3; seed++)
        if (!send(k, seed, 700))
            return;
    if (mailsrv__kit_open(k, 0, 0, &box))
        look(k, &box, 3, 700);
}

static void none(struct kit *k)
{
    struct box box;
    if (send(k, 1, 0) && mailsrv__kit_open(k, 0, 0, &box))
        look(k, &box, 1, 0);
}

static void paged(struct kit *k)
{
    struct box box;
    for (uint32_t seed = 1; seed <= MESSAGES; seed++)
        if (!send(k, seed, LARGE))
            return;
    if (mailsrv__kit_open(k, 0, 0, &box))
        look(k, &box, MESSAGES, LARGE);
}

/* One that is larger than a page comes alone. */
static void huge(struct kit *k)
{
    struct box box;
    if (send(k, 1, STRUCTURE_MAX) && send(k, 2, STRUCTURE_MAX) && mailsrv__kit_open(k, 0, 0, &box))
        look(k, &box, 2, STRUCTURE_MAX);
}

static bool reopen(struct kit *k)
{
    mailsrv__kit_end_engines(k);
    return !k->failed && mailsrv__kit_expect_status(k, k->setup->reopen(k->setup->user), MAILSRV_OK, "reopening") &&
           mailsrv__kit_begin_engines(k);
}

/* Another check is about the messages themselves. */
static void kept(struct kit *k)
{
    struct box box;
    uint32_t messages;
    if (send(k, 1, 900) && reopen(k) && mailsrv__kit_count(k, 0, 0, &messages) && mailsrv__kit_open(k, 0, 0, &box))
        look(k, &box, messages, 900);
}

static bool copy(struct kit *k, const struct box *box, const mailsrv_id *to)
{
    static const mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_asked *question;
    mailsrv_arg_copy arg = { sizeof arg, 1, box->handle, &all, *to, KIT_NOW, { { 0 } } };
    const mailsrv_answer *answer = mailsrv__kit_hear(k, box->engine, MAILSRV_OP_COPY, &box->account, &arg, &question);
    if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "COPY"))
        return false;
    mailsrv__kit_drop(k, question);
    return true;
}

static void copied(struct kit *k)
{
    struct box box, to;
    mailsrv_mbox_created made;
    if (send(k, 1, 800) && mailsrv__kit_open(k, 0, 0, &box) && mailsrv__kit_make(k, &box, "Copies", &made) &&
        copy(k, &box, &made.mailbox) && mailsrv__kit_open_named(k, 0, 0, "Copies", &to))
        look(k, &to, 1, 800);
}

const struct check mailsrv__kit_structures[] = {
    { "structures come with their rows", POP3, come_back },
    { "a message without a structure has none", POP3, none },
    { "a page of structures is not too large", POP3, paged },
    { "a large structure comes alone", POP3, huge },
    { "structures are kept", POP3 | NEEDS_REOPEN, kept },
    { "a copy has the structure of its original", IMAP, copied },
    { NULL, 0, NULL },
};
