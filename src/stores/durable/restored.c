/* The first opening of a copy.
 *
 * What the original gave after the copy was made, the copy would give once more: UIDs, modseqs and ids.  So every
 * mailbox gets a new UIDVALIDITY, one for all of an account, above all that a clock has given and many more; and new
 * ids get another tag.  It is done before anybody is served, in records that there were before (a mailbox is renamed to
 * the name that it has), and done again where it did not come to its end. */
#include "durable.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RENEWED_MAX 1000 /* mailboxes of a group, and the rest of the last one's account */
#define AHEAD 65536      /* so many an account may have been given in more of a hurry than one each second */

static int32_t is_there(struct durable *d, const char *name, bool *out)
{
    char path[PATH_MAX_OCTETS];
    void *file;
    snprintf(path, sizeof path, "%s/%s", d->directory, name);
    int32_t status = d->files.open(d->files.user, path, 0, &file);
    *out = status == MAILSRV_OK;
    if (*out)
        d->files.close(d->files.user, file);
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

int32_t mailsrv__durable_is_copy(struct durable *d, bool *out)
{
    bool unfinished;
    int32_t status = is_there(d, DURABLE_UNFINISHED, &unfinished);
    if (status == MAILSRV_OK && unfinished)
        return MAILSRV_CORRUPT;
    return status == MAILSRV_OK ? is_there(d, DURABLE_COPIED, out) : status;
}

/* ---- By the writer ---- */

static void put_renewed(struct durable *d, const mailsrv_id *account, const struct name *name, uint64_t modseq,
                        uint32_t uidvalidity)
{
    mailsrv__durable_put_number(&d->record, ENTRY_RENAME, 1);
    mailsrv__durable_put_id(&d->record, account);
    mailsrv__durable_put_id(&d->record, &name->mailbox);
    mailsrv__durable_put_number(&d->record, modseq, 8);
    mailsrv__durable_put_number(&d->record, uidvalidity, 4);
    mailsrv__durable_put_bytes(&d->record, mailsrv__durable_name_text(name));
}

/* 0: there are no more. */
static uint32_t above_all(const struct account *a)
{
    uint64_t now = (uint64_t)time(NULL), last = a->uidvalidity;
    uint64_t next = (now > last ? now : last) + AHEAD;
    return next <= UINT32_MAX ? (uint32_t)next : a->uidvalidity + 1;
}

static int32_t renew_account(struct durable *d, const mailsrv_id *id, uint64_t *renewed)
{
    struct account a;
    struct name name;
    if (mailsrv__durable_account(&d->writer, id, &a) != MAILSRV_OK)
        return mailsrv__durable_broken(d);
    uint32_t uidvalidity = above_all(&a);
    if (uidvalidity == 0)
        return MAILSRV_LIMIT;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_NAME_ALL, "d", id);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW; result = sqlite3_step(row), ++*renewed) {
        mailsrv__durable_name_take(row, &name);
        put_renewed(d, id, &name, a.modseq + 1, uidvalidity);
    }
    sqlite3_reset(row);
    return result == SQLITE_DONE && mailsrv__durable_take_effect(d) ? MAILSRV_OK : mailsrv__durable_broken(d);
}

static int32_t next_account(struct durable *d, mailsrv_id *id)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_ACCOUNT_AFTER, "d", id);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW)
        *id = mailsrv__durable_column_id(row, 0);
    sqlite3_reset(row);
    int32_t status = mailsrv__durable_ended(&d->writer, result);
    return status == MAILSRV_OK || status == MAILSRV_NONEXISTENT ? status : mailsrv__durable_broken(d);
}

int32_t mailsrv__durable_renew(struct durable *d, struct task *t)
{
    uint64_t renewed = 0;
    int32_t status = next_account(d, &t->account);
    while (status == MAILSRV_OK && renewed < RENEWED_MAX && !d->record.failed) {
        status = renew_account(d, &t->account, &renewed);
        if (status == MAILSRV_OK && renewed < RENEWED_MAX)
            status = next_account(d, &t->account);
    }
    t->number = status == MAILSRV_NONEXISTENT; /* there are no more */
    return t->number != 0 ? MAILSRV_OK : status;
}

/* ---- By who opens it ---- */

int32_t mailsrv__durable_renew_all(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    struct task t = { .kind = KIND_RENEW };
    int32_t status = MAILSRV_OK;
    while (status == MAILSRV_OK && t.number == 0) {
        t.done = false;
        t.next = NULL;
        status = mailsrv__durable_call(d, &t);
    }
    if (status != MAILSRV_OK)
        return status;
    snprintf(path, sizeof path, "%s/%s", d->directory, DURABLE_COPIED);
    status = d->files.unlink(d->files.user, path);
    return status == MAILSRV_OK ? d->files.sync_directory(d->files.user, d->directory) : status;
}
