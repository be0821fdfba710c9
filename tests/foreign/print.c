/* All that can be read of a store, as text. */
#include "ways.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_id(const mailsrv_id *id)
{
    for (int i = 0; i < 16; i++)
        printf("%02x", id->b[i]);
}

static void print_text(mailsrv_bytes text)
{
    printf("\"%.*s\"", (int)text.n, text.n != 0 ? (const char *)text.p : "");
}

/* A sum over the octets of a message. */
static uint32_t sum(struct way *w, const struct way_box *box, const mailsrv_row *row)
{
    uint32_t value = 1;
    for (uint64_t at = 0; at < row->octets;) {
        mailsrv_asked *asked;
        mailsrv_arg_read arg = { .size = sizeof arg, .uid = row->uid, .mbox = box->value.mbox, .offset = at,
                                 .octets = 1u << 20 };
        const mailsrv_read_bytes *read = way_hear(w, MAILSRV_OP_READ, box->account, &arg, &asked);
        way_expect(read->octets.n != 0, "READ");
        for (size_t i = 0; i < read->octets.n; i++)
            value = value * 31 + read->octets.p[i];
        at += read->octets.n;
        mailsrv_asked_free(asked);
        way_turn(w);
    }
    return value;
}

static void print_row(struct way *w, const struct way_box *box, const mailsrv_row *row)
{
    printf("  %" PRIu32 " flags %" PRIu32 " modseq %" PRIu64 " octets %" PRIu64 " at %" PRId64 " saved %" PRId64
           " keywords %" PRIx64 " %" PRIx64 " uidl ",
           row->uid, row->flags, row->modseq, row->octets, row->internal_us, row->saved_us, row->keywords[0],
           row->keywords[1]);
    print_text(row->uidl);
    printf(" email ");
    print_id(&row->email);
    printf(" sum %" PRIx32 "\n", sum(w, box, row));
}

static void print_rows(struct way *w, const struct way_box *box)
{
    mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg = { .size = sizeof arg, .fields = UINT32_MAX, .mbox = box->value.mbox, .uids = &all,
                             .n_uids = 1, .limit = 5 };
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_rows *rows = way_hear(w, MAILSRV_OP_ROWS, box->account, &arg, &asked);
        for (uint32_t i = 0; i < rows->n; i++)
            print_row(w, box, &rows->rows[i]);
        more = rows->more != 0;
        arg.cursor = rows->next;
        mailsrv_asked_free(asked);
    }
}

static void print_changes(struct way *w, const struct way_box *box, uint64_t since)
{
    mailsrv_arg_changes arg = { .size = sizeof arg, .mbox = box->value.mbox, .since = since, .limit = 4,
                                .store = box->store };
    if (box->asked_mbox == NULL)
        arg.mbox = 0;
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_changes *page = way_hear(w, MAILSRV_OP_CHANGES, box->account, &arg, &asked);
        printf("  changes to %" PRIu64 " known from %" PRIu64 ":", page->upto, page->horizon);
        for (uint32_t i = 0; i < page->n_vanished; i++)
            printf(" -%" PRIu32 ":%" PRIu32, page->vanished[i].first, page->vanished[i].last);
        for (uint32_t i = 0; i < page->n; i++)
            printf(" %" PRIu32, page->rows[i].uid);
        for (uint32_t i = 0; i < page->n_entries; i++)
            print_text(page->entries[i].name);
        printf("\n");
        more = page->more != 0;
        arg.cursor = page->next;
        mailsrv_asked_free(asked);
    }
}

static void print_box(struct way *w, int account, mailsrv_id id)
{
    struct way_box box;
    mailsrv_asked *asked;
    way_open(w, account, id, &box);
    mailsrv_arg_mbox_status arg = { .size = sizeof arg, .store = box.store, .mailbox = id };
    const mailsrv_mbox_status *s = way_hear(w, MAILSRV_OP_MBOX_STATUS, account, &arg, &asked);
    printf(" uidvalidity %" PRIu32 " uidnext %" PRIu32 " exists %" PRIu64 " unseen %" PRIu64 " deleted %" PRIu64
           " octets %" PRIu64 " modseq %" PRIu64 "\n ",
           s->uidvalidity, s->uidnext, s->exists, s->unseen, s->deleted, s->octets, s->modseq);
    for (uint32_t i = 0; i < box.value.n_keywords; i++)
        print_text(box.value.keywords[i]);
    printf("\n");
    mailsrv_asked_free(asked);
    print_rows(w, &box);
    print_changes(w, &box, 0);
    print_changes(w, &box, box.value.modseq / 2);
    way_leave(w, &box);
}

static void print_account(struct way *w, int account)
{
    struct way_box box;
    way_store(w, account, &box);
    mailsrv_arg_mbox_list arg = { .size = sizeof arg, .limit = 2, .store = box.store };
    printf("account ");
    print_id(&w->shore.accounts[account]);
    printf("\n");
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_mbox_listed *list = way_hear(w, MAILSRV_OP_MBOX_LIST, account, &arg, &asked);
        for (uint32_t i = 0; i < list->n; i++) {
            static const mailsrv_id none;
            const mailsrv_mbox_entry *entry = &list->entries[i];
            print_text(entry->name);
            printf(" attributes %" PRIu32 " modseq %" PRIu64 " ", entry->attributes, entry->modseq);
            print_id(&entry->mailbox);
            printf("\n");
            if (memcmp(&entry->mailbox, &none, sizeof none) != 0)
                print_box(w, account, entry->mailbox);
        }
        more = list->more != 0;
        arg.cursor = list->next;
        mailsrv_asked_free(asked);
    }
    print_changes(w, &box, 0);
    way_leave(w, &box);
}

static void print_queue(struct way *w)
{
    mailsrv_asked *asked;
    mailsrv_arg_queue_scan arg = { .size = sizeof arg, .limit = 50 };
    const mailsrv_queued *value = way_hear(w, MAILSRV_OP_QUEUE_SCAN, 0, &arg, &asked);
    for (uint32_t i = 0; i < value->n; i++) {
        printf("queue %" PRIu64 " octets %" PRIu64 " due %" PRId64 " ", value->items[i].queue, value->items[i].octets,
               value->items[i].due_us);
        print_text(value->items[i].record);
        print_text(value->items[i].lane);
        printf("\n");
    }
    mailsrv_asked_free(asked);
}

void way_print(struct way *w)
{
    print_account(w, 0);
    print_account(w, 1);
    print_queue(w);
}
