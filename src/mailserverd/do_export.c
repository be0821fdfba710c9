/* export: all mail of an account, by the exchange format. */
#include "exchange.h"
#include "mailboxes.h"

#include <string.h>

enum { PAGE = 256, CHUNK = 128 << 10, TOLD_EVERY = 1000 };

struct export_of {
    struct errand *errand;
    struct mailboxes of;
    FILE *data;
    uint64_t exported;
};

static void give_text(char *out, size_t most, mailsrv_bytes text)
{
    const size_t n = text.n < most ? text.n : most;
    if (n != 0)
        memcpy(out, text.p, n);
    out[n] = '\0';
}

/* ---- A message ---- */

static int32_t give_octets(struct export_of *ex, uint64_t mbox, uint32_t uid, uint64_t octets)
{
    mailsrv_asked *first = NULL;
    uint64_t handle = 0;
    int32_t status = MAILSRV_OK;
    for (uint64_t at = 0; at < octets && status == MAILSRV_OK;) {
        const mailsrv_arg_read arg = { .size = sizeof arg,
                                       .uid = uid,
                                       .mbox = mbox,
                                       .handle = handle,
                                       .offset = at,
                                       .octets = octets - at < CHUNK ? octets - at : CHUNK };
        mailsrv_asked *asked;
        status = desk_ask(ex->of.desk, MAILSRV_OP_READ, &ex->of.account, &arg, &asked);
        const mailsrv_read_bytes *read = status == MAILSRV_OK ? desk_value(asked) : NULL;
        if (read != NULL && read->octets.n == 0)
            status = MAILSRV_CORRUPT;
        if (read != NULL) {
            fwrite(read->octets.p, 1, read->octets.n, ex->data);
            at += read->octets.n;
        }
        if (first == NULL && read != NULL) { /* its handle is for all */
            handle = read->handle;
            first = asked;
        } else {
            desk_free(ex->of.desk, asked);
        }
    }
    desk_free(ex->of.desk, first);
    return status;
}

static void name_keywords(struct exchanged_message *message, const mailsrv_row *row, const mailsrv_mbox_opened *box)
{
    size_t n = 0;
    message->keywords[0] = '\0';
    for (uint32_t i = 0; i < box->n_keywords; i++) {
        const mailsrv_bytes name = box->keywords[i];
        if ((row->keywords[i / 64] >> i % 64 & 1) == 0 || n + name.n + 2 > sizeof message->keywords)
            continue;
        n += (size_t)snprintf(message->keywords + n, sizeof message->keywords - n, "%s%.*s", n == 0 ? "" : " ",
                              (int)name.n, (const char *)name.p);
    }
}

static int32_t give_message(struct export_of *ex, const mailsrv_mbox_opened *box, const mailsrv_row *row)
{
    struct exchanged_message message = { .octets = row->octets,
                                         .flags = row->flags,
                                         .uid = row->uid,
                                         .internal_us = row->internal_us };
    give_text(message.uidl, EXCHANGE_UIDL_MAX, row->uidl);
    name_keywords(&message, row, box);
    exchange_put_message(ex->data, &message);
    const int32_t status = give_octets(ex, box->mbox, row->uid, row->octets);
    if (status == MAILSRV_OK && ++ex->exported % TOLD_EVERY == 0)
        fprintf(ex->errand->err, "mailserverd: %" PRIu64 " messages\n", ex->exported);
    return status;
}

/* ---- A mailbox ---- */

static int32_t give_rows(struct export_of *ex, const mailsrv_mbox_opened *box)
{
    const mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg = { .size = sizeof arg,
                             .mbox = box->mbox,
                             .uids = &all,
                             .n_uids = 1,
                             .limit = PAGE,
                             .fields = MAILSRV_ROW_FLAGS | MAILSRV_ROW_OCTETS | MAILSRV_ROW_INTERNALDATE |
                                       MAILSRV_ROW_EMAILID | MAILSRV_ROW_KEYWORDS };
    int32_t status = MAILSRV_OK;
    for (bool more = true; more && status == MAILSRV_OK;) {
        mailsrv_asked *asked;
        status = desk_ask(ex->of.desk, MAILSRV_OP_ROWS, &ex->of.account, &arg, &asked);
        const mailsrv_rows *page = status == MAILSRV_OK ? desk_value(asked) : NULL;
        for (uint32_t i = 0; page != NULL && i < page->n && status == MAILSRV_OK; i++)
            status = give_message(
                ex, box, (const mailsrv_row *)(const void *)((const char *)page->rows + (size_t)i * page->stride));
        more = page != NULL && page->more;
        if (more)
            arg.cursor = page->next;
        desk_free(ex->of.desk, asked);
    }
    return status;
}

static int32_t give_mailbox(void *user, const mailsrv_mbox_entry *entry)
{
    struct export_of *ex = user;
    struct exchanged_mailbox mailbox = { .attributes = entry->attributes };
    const mailsrv_arg_mbox_open arg = { .size = sizeof arg, .store = ex->of.store, .mailbox = entry->mailbox };
    mailsrv_asked *opened;
    int32_t status = desk_ask(ex->of.desk, MAILSRV_OP_MBOX_OPEN, &ex->of.account, &arg, &opened);
    if (status == MAILSRV_OK) {
        const mailsrv_mbox_opened *box = desk_value(opened);
        give_text(mailbox.name, EXCHANGE_NAME_MAX, entry->name);
        mailbox.uidvalidity = box->uidvalidity;
        mailbox.uidnext = box->uidnext;
        exchange_put_mailbox(ex->data, &mailbox);
        status = give_rows(ex, box);
    }
    desk_free(ex->of.desk, opened);
    return status;
}

int do_export(struct errand *e)
{
    char address[ADDRESS_MAX];
    struct export_of ex = { .errand = e };
    if (e->argc < 2 || !errand_address(e, e->argv[1], false, address))
        return 1;
    int32_t status = mailboxes_open(&ex.of, e->office, address);
    ex.data = status == MAILSRV_OK ? wire_stream(e->fd, WIRE_DATA) : NULL;
    if (status == MAILSRV_OK)
        status = ex.data == NULL ? MAILSRV_NOMEM : mailboxes_each(&ex.of, give_mailbox, &ex);
    if (ex.data != NULL && fclose(ex.data) != 0 && status == MAILSRV_OK)
        status = MAILSRV_TEMP;
    mailboxes_close(&ex.of);
    wire_send(e->fd, WIRE_END, NULL, 0);
    if (status != MAILSRV_NONEXISTENT)
        fprintf(e->out, "%s: %" PRIu64 " messages exported\n", address, ex.exported);
    return status == MAILSRV_OK ? 0 : errand_failed(e, address, status);
}
