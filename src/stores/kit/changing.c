#include "kit.h"

#include <string.h>

#define PAGES_MAX 1000u

static bool take_names(struct kit *k, const mailsrv_changes *page, struct changes *out)
{
    uint32_t most = sizeof out->names / sizeof *out->names;
    for (uint32_t i = 0; i < page->n_keywords; i++) {
        mailsrv_bytes name = page->keywords[i];
        if (!mailsrv__kit_expect(k, out->n_names < most && name.n < sizeof out->names[0],
                                 "CHANGES gives names that nobody made"))
            return false;
        memcpy(out->names[out->n_names++], name.p, name.n);
    }
    return true;
}

bool mailsrv__kit_pages(struct kit *k, const struct box *box, mailsrv_arg_changes *arg,
                        bool (*take)(struct kit *k, const mailsrv_changes *page, void *out), void *out)
{
    bool more = true;
    arg->size = sizeof *arg;
    for (uint32_t pages = 0; more; pages++) {
        mailsrv_asked *question;
        if (!mailsrv__kit_expect(k, pages < PAGES_MAX, "the pages of CHANGES never end"))
            return false;
        const mailsrv_answer *answer =
            mailsrv__kit_hear(k, box->engine, MAILSRV_OP_CHANGES, &box->account, arg, &question);
        if (answer == NULL || !mailsrv__kit_expect_status(k, answer->status, MAILSRV_OK, "CHANGES") ||
            !take(k, answer->value, out))
            return false;
        const mailsrv_changes *page = answer->value;
        more = page->more != 0;
        arg->cursor = page->next;
        arg->n_keywords += page->n_keywords;
        mailsrv__kit_drop(k, question);
    }
    return true;
}

static bool take_page(struct kit *k, const mailsrv_changes *page, void *changes)
{
    struct changes *out = changes;
    bool fits = out->list.n + page->n <= ROWS_MAX && out->n_vanished + page->n_vanished <= ROWS_MAX;
    if (!mailsrv__kit_expect(k, fits, "CHANGES gives more than has changed"))
        return false;
    if (!mailsrv__kit_expect(k, out->list.pages == 0 || out->upto == page->upto,
                             "the pages of one CHANGES have different ends"))
        return false;
    for (uint32_t i = 0; i < page->n; i++) {
        memcpy(&out->list.rows[out->list.n], (const char *)page->rows + (size_t)i * page->stride,
               sizeof *out->list.rows);
        out->list.rows[out->list.n++].uidl.p = NULL;
    }
    for (uint32_t i = 0; i < page->n_vanished; i++)
        out->vanished[out->n_vanished++] = page->vanished[i];
    out->upto = page->upto;
    out->horizon = page->horizon;
    out->list.pages++;
    return take_names(k, page, out);
}

bool mailsrv__kit_changed(struct kit *k, const struct box *box, uint64_t since, uint32_t limit, struct changes *out)
{
    mailsrv_arg_changes arg;
    memset(&arg, 0, sizeof arg);
    memset(out, 0, sizeof *out);
    arg.fields = MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ | MAILSRV_ROW_KEYWORDS;
    arg.mbox = box->handle;
    arg.since = since;
    arg.limit = limit;
    return mailsrv__kit_pages(k, box, &arg, take_page, out);
}

bool mailsrv__kit_vanished(const struct changes *changes, uint32_t uid)
{
    for (uint32_t i = 0; i < changes->n_vanished; i++)
        if (uid >= changes->vanished[i].first && uid <= changes->vanished[i].last)
            return true;
    return false;
}

int32_t mailsrv__kit_flag(struct kit *k, const struct box *box, mailsrv_run uids, int32_t how, uint32_t flags,
                          const char *keyword, uint64_t unchanged_since, struct flagged *out)
{
    mailsrv_asked *question;
    mailsrv_bytes name = mailsrv__kit_bytes(keyword != NULL ? keyword : "");
    mailsrv_arg_flags arg;
    memset(&arg, 0, sizeof arg);
    memset(out, 0, sizeof *out);
    arg.size = sizeof arg;
    arg.how = how;
    arg.mbox = box->handle;
    arg.uids = &uids;
    arg.n_uids = 1;
    arg.keywords = &name;
    arg.n_keywords = keyword != NULL;
    arg.flags = flags;
    arg.unchanged_since = unchanged_since;
    const mailsrv_answer *answer =
        mailsrv__kit_hear(k, box->engine, MAILSRV_OP_FLAGS, &box->account, &arg, &question);
    int32_t status = answer != NULL ? answer->status : MAILSRV_TEMP;
    if (status == MAILSRV_OK) {
        const mailsrv_flagged *flagged = answer->value;
        out->modseq = flagged->modseq;
        out->n_modified = flagged->n_modified < ROWS_MAX ? flagged->n_modified : ROWS_MAX;
        out->since = flagged->since;
        out->n_marked = flagged->n_marked;
        if (out->n_marked != 0)
            out->first_marked = *flagged->marked;
        if (out->n_modified != 0)
            memcpy(out->modified, flagged->modified, out->n_modified * sizeof *out->modified);
    }
    mailsrv__kit_drop(k, question);
    return status;
}
