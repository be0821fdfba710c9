/* Questions about an account's mailboxes. */
#include "kit.h"

#include <string.h>

#define PAGES_MAX 1000u

bool mailsrv__kit_same_id(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool mailsrv__kit_no_id(const mailsrv_id *id)
{
    static const mailsrv_id none;
    return mailsrv__kit_same_id(id, &none);
}

const struct entry *mailsrv__kit_name(const struct names *names, const char *name)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i].name, name) == 0)
            return &names->v[i];
    return NULL;
}

/* ---- Pages ---- */

static bool take_entries(struct kit *k, const mailsrv_mbox_entry *entries, uint32_t n, uint32_t stride,
                         struct names *out)
{
    for (uint32_t i = 0; i < n; i++) {
        mailsrv_mbox_entry entry;
        memcpy(&entry, (const char *)entries + (size_t)i * stride, sizeof entry);
        if (!mailsrv__kit_expect(k, out->n < ROWS_MAX && entry.name.n < sizeof out->v[0].name,
                                 "there are names that nobody made"))
            return false;
        struct entry *to = &out->v[out->n++];
        memcpy(to->name, entry.name.p, entry.name.n);
        to->mailbox = entry.mailbox;
        to->modseq = entry.modseq;
        to->attributes = entry.attributes;
    }
    return true;
}

bool mailsrv__kit_names(struct kit *k, const struct box *box, uint32_t limit, struct names *out)
{
    mailsrv_arg_mbox_list arg = { sizeof arg, limit, box->in, { { 0 } } };
    memset(out, 0, sizeof *out);
    for (bool more = true; more; out->pages++) {
        mailsrv_asked *question;
        if (!mailsrv__kit_expect(k, out->pages < PAGES_MAX, "the pages of MBOX_LIST never end"))
            return false;
        const mailsrv_answer *answer =
            mailsrv__kit_hear(k, box->engine, MAILSRV_OP_MBOX_LIST, &box->account, &arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "MBOX_LIST"))
            return false;
        const mailsrv_mbox_listed *page = answer->value;
        if (!take_entries(k, page->entries, page->n, page->stride, out))
            return false;
        more = page->more != 0;
        arg.cursor = page->next;
        mailsrv__kit_drop(k, question);
    }
    return true;
}

static bool take_changes(struct kit *k, const mailsrv_changes *page, void *names)
{
    struct names *out = names;
    bool one_end = out->pages == 0 || out->upto == page->upto;
    out->horizon = page->horizon;
    out->upto = page->upto;
    out->pages++;
    return mailsrv__kit_expect(k, one_end, "the pages of one CHANGES of names have different ends") &&
           mailsrv__kit_expect(k, page->n == 0 && page->n_vanished == 0, "CHANGES of names gives rows") &&
           take_entries(k, page->entries, page->n_entries, page->entry_stride, out);
}

bool mailsrv__kit_names_changed(struct kit *k, const struct box *box, uint64_t since, uint32_t limit, struct names *out)
{
    mailsrv_arg_changes arg;
    memset(&arg, 0, sizeof arg);
    memset(out, 0, sizeof *out);
    arg.store = box->in;
    arg.since = since;
    arg.limit = limit;
    return mailsrv__kit_pages(k, box, &arg, take_changes, out);
}

/* ---- Questions with one answer ---- */

/* Asks; the answer is copied into `out`, which has so many octets, or is NULL. */
static int32_t hear(struct kit *k, const struct box *box, int32_t kind, const void *arg, void *out, size_t octets)
{
    mailsrv_asked *question;
    const mailsrv_answer *answer = mailsrv__kit_hear(k, box->engine, kind, &box->account, arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (out != NULL)
        memset(out, 0, octets);
    if (out != NULL && status == MAILSRV_OK)
        memcpy(out, answer->value, octets);
    mailsrv__kit_drop(k, question);
    return status;
}

int32_t mailsrv__kit_create(struct kit *k, const struct box *box, mailsrv_bytes name, uint32_t attributes,
                            mailsrv_mbox_created *out)
{
    mailsrv_arg_mbox_create arg = { sizeof arg, attributes, box->in, name, KIT_NOW, 0, 0 };
    return hear(k, box, MAILSRV_OP_MBOX_CREATE, &arg, out, sizeof *out);
}

int32_t mailsrv__kit_import_box(struct kit *k, const struct box *box, const char *name, uint32_t uidvalidity,
                                mailsrv_mbox_created *out)
{
    mailsrv_arg_mbox_create arg = { sizeof arg, 0, box->in, mailsrv__kit_bytes(name), KIT_NOW, uidvalidity, 0 };
    return hear(k, box, MAILSRV_OP_MBOX_CREATE, &arg, out, sizeof *out);
}

bool mailsrv__kit_make(struct kit *k, const struct box *box, const char *name, mailsrv_mbox_created *out)
{
    mailsrv_mbox_created own;
    int32_t status = mailsrv__kit_create(k, box, mailsrv__kit_bytes(name), 0, out != NULL ? out : &own);
    return mailsrv__kit_expect_status(k, status, MAILSRV_OK, "MBOX_CREATE");
}

int32_t mailsrv__kit_delete(struct kit *k, const struct box *box, const mailsrv_id *mailbox)
{
    mailsrv_arg_mbox_delete arg = { sizeof arg, 0, box->in, *mailbox };
    return hear(k, box, MAILSRV_OP_MBOX_DELETE, &arg, NULL, 0);
}

int32_t mailsrv__kit_rename(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name)
{
    mailsrv_arg_mbox_rename arg = { sizeof arg, 0, box->in, *mailbox, mailsrv__kit_bytes(name), KIT_NOW };
    return hear(k, box, MAILSRV_OP_MBOX_RENAME, &arg, NULL, 0);
}

int32_t mailsrv__kit_subscribe(struct kit *k, const struct box *box, const char *name, uint32_t on)
{
    mailsrv_arg_mbox_subscribe arg = { sizeof arg, on, box->in, mailsrv__kit_bytes(name) };
    return hear(k, box, MAILSRV_OP_MBOX_SUBSCRIBE, &arg, NULL, 0);
}

/* Which mailbox: by id, or by name where that is NULL. */
static void aim(const mailsrv_id *mailbox, const char *name, mailsrv_id *id, mailsrv_bytes *text)
{
    memset(id, 0, sizeof *id);
    *text = mailsrv__kit_bytes(mailbox == NULL ? name : "");
    if (mailbox != NULL)
        *id = *mailbox;
}

int32_t mailsrv__kit_status(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name,
                            mailsrv_mbox_status *out)
{
    mailsrv_arg_mbox_status arg = { .size = sizeof arg, .store = box->in };
    aim(mailbox, name, &arg.mailbox, &arg.name);
    return hear(k, box, MAILSRV_OP_MBOX_STATUS, &arg, out, sizeof *out);
}

int32_t mailsrv__kit_opens(struct kit *k, const struct box *box, const mailsrv_id *mailbox, const char *name,
                           mailsrv_mbox_opened *out)
{
    mailsrv_arg_mbox_open arg = { .size = sizeof arg, .store = box->in };
    aim(mailbox, name, &arg.mailbox, &arg.name);
    return hear(k, box, MAILSRV_OP_MBOX_OPEN, &arg, out, sizeof *out);
}

bool mailsrv__kit_put(struct kit *k, const mailsrv_id *mailbox, uint32_t seed, mailsrv_result *result)
{
    mailsrv_target target = mailsrv__kit_to_inbox(k, 0);
    target.mailbox = *mailbox;
    return mailsrv__kit_send(k, 0, &target, seed, 100, result) &&
           mailsrv__kit_expect_status(k, result->status, MAILSRV_OK, "BODY_COMMIT to a mailbox");
}
