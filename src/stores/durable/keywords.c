/* The dictionary of a mailbox: names of keywords, to which others are only ever added. */
#include "durable.h"

#include <string.h>

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool same(mailsrv_bytes a, mailsrv_bytes b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

/* The number of a name, or of names there are; -1: the index failed. */
static int64_t number_of(struct index *x, int64_t box, mailsrv_bytes name)
{
    int64_t at = 0;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_KEYWORD_RANGE, "ii", box, (int64_t)0);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; result == SQLITE_ROW && !same(mailsrv__durable_column_bytes(row, 0), name); result = sqlite3_step(row))
        at++;
    sqlite3_reset(row);
    return result == SQLITE_ROW || result == SQLITE_DONE ? at : -1;
}

static int64_t count(struct index *x, int64_t box)
{
    return number_of(x, box, (mailsrv_bytes){ NULL, 0 }); /* none is empty */
}

static bool add(struct durable *d, const mailsrv_id *account, const mailsrv_id *mailbox, int64_t number,
                mailsrv_bytes name)
{
    struct buffer *to = &d->record;
    mailsrv__durable_put_number(to, ENTRY_KEYWORD, 1);
    mailsrv__durable_put_id(to, account);
    mailsrv__durable_put_id(to, mailbox);
    mailsrv__durable_put_number(to, (uint64_t)number, 1);
    mailsrv__durable_put_bytes(to, name);
    return mailsrv__durable_take_effect(d);
}

int32_t mailsrv__durable_intern(struct durable *d, const mailsrv_id *account, const mailsrv_id *mailbox, int64_t box,
                                const mailsrv_bytes *names, size_t n, bool adds, uint64_t bits[2], bool *all)
{
    bits[0] = bits[1] = 0;
    *all = true;
    for (size_t i = 0; i < n; i++) {
        int64_t n_names = count(&d->writer, box), number = number_of(&d->writer, box, names[i]);
        if (n_names < 0 || number < 0)
            return mailsrv__durable_broken(d);
        bool is_new = number == n_names;
        if (is_new && !adds)
            continue;
        if (number >= MAILSRV_KEYWORDS_MAX || names[i].n == 0) {
            *all = false;
            continue;
        }
        if (is_new && !add(d, account, mailbox, number, names[i]))
            return mailsrv__durable_broken(d);
        bits[number / 64] |= UINT64_C(1) << (number % 64);
    }
    return MAILSRV_OK;
}

int32_t mailsrv__durable_dictionary(struct index *x, struct task *t, int64_t box, uint32_t first, mailsrv_bytes **out,
                                    uint32_t *n)
{
    bool good = true;
    *n = 0;
    *out = mailsrv__durable_room(t, MAILSRV_KEYWORDS_MAX * sizeof **out);
    if (*out == NULL)
        return MAILSRV_NOMEM;
    sqlite3_stmt *row = mailsrv__durable_ask(x, SQL_KEYWORD_RANGE, "ii", box, (int64_t)first);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; good && result == SQLITE_ROW && *n < MAILSRV_KEYWORDS_MAX; result = sqlite3_step(row)) {
        (*out)[*n] = mailsrv__durable_column_bytes(row, 0);
        good = mailsrv__durable_keep(t, &(*out)[(*n)++]);
    }
    int32_t status = !good                                             ? MAILSRV_NOMEM
                     : result == SQLITE_ROW || result == SQLITE_DONE ? MAILSRV_OK
                                                                       : mailsrv__durable_failure(x);
    sqlite3_reset(row);
    return status;
}
