/* Names of mailboxes: which there can be, and how they are kept. */
#include "durable.h"

#include <string.h>

/* How many octets the character at `i` has (RFC 3629 section 4); 0: it is none. */
static size_t character(mailsrv_bytes name, size_t i)
{
    uint8_t c = name.p[i];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (n == 0 || name.n - i < n)
        return 0;
    for (size_t k = 1; k < n; k++)
        if ((name.p[i + k] & 0xc0) != 0x80)
            return 0;
    uint8_t next = n > 1 ? name.p[i + 1] : 0;
    bool overlong = (c == 0xe0 && next < 0xa0) || (c == 0xf0 && next < 0x90);
    bool beyond = (c == 0xed && next > 0x9f) || (c == 0xf4 && next > 0x8f);
    return overlong || beyond ? 0 : n;
}

static bool is_control(mailsrv_bytes name, size_t i)
{
    return name.p[i] < 0x20 || name.p[i] == 0x7f || (name.p[i] == 0xc2 && name.p[i + 1] < 0xa0);
}

/* Without controls, and no level empty. */
static bool is_good(mailsrv_bytes name)
{
    bool begins = true; /* a level */
    if (name.n == 0 || name.n > MAILSRV_MBOX_NAME_MAX)
        return false;
    for (size_t i = 0, n; i < name.n; i += n) {
        n = character(name, i);
        if (n == 0 || is_control(name, i) || (begins && name.p[i] == '/'))
            return false;
        begins = name.p[i] == '/';
    }
    return !begins;
}

/* INBOX is compared without case, as a first level, too (RFC 9051 section 5.1). */
static bool begins_with_inbox(mailsrv_bytes name)
{
    if (name.n < 5 || (name.n > 5 && name.p[5] != '/'))
        return false;
    for (size_t i = 0; i < 5; i++)
        if ((name.p[i] & ~0x20) != "INBOX"[i])
            return false;
    return true;
}

bool mailsrv__durable_canonical(mailsrv_bytes name, uint8_t out[MAILSRV_MBOX_NAME_MAX])
{
    if (!is_good(name))
        return false;
    memcpy(out, name.p, name.n);
    if (begins_with_inbox(name))
        memcpy(out, "INBOX", 5);
    return true;
}

void mailsrv__durable_name_take(sqlite3_stmt *row, struct name *out)
{
    mailsrv_bytes text = mailsrv__durable_column_bytes(row, 5);
    out->number = sqlite3_column_int64(row, 0);
    out->mailbox = mailsrv__durable_column_id(row, 1);
    out->modseq = (uint64_t)sqlite3_column_int64(row, 2);
    out->attributes = (uint32_t)sqlite3_column_int64(row, 3);
    out->uidvalidity = (uint32_t)sqlite3_column_int64(row, 4);
    out->n = text.n <= sizeof out->text ? text.n : 0;
    if (out->n != 0)
        memcpy(out->text, text.p, out->n);
}

static int32_t one(struct index *x, sqlite3_stmt *row, struct name *out)
{
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    memset(out, 0, sizeof *out);
    if (result == SQLITE_ROW)
        mailsrv__durable_name_take(row, out);
    int32_t status = mailsrv__durable_ended(x, result);
    sqlite3_reset(row);
    return status;
}

int32_t mailsrv__durable_name(struct index *x, const mailsrv_id *account, mailsrv_bytes name, struct name *out)
{
    return one(x, mailsrv__durable_ask(x, SQL_NAME_GET, "db", account, name), out);
}

int32_t mailsrv__durable_name_of(struct index *x, const mailsrv_id *mailbox, struct name *out)
{
    return one(x, mailsrv__durable_ask(x, SQL_NAME_OF, "d", mailbox), out);
}

int32_t mailsrv__durable_name_numbered(struct index *x, int64_t number, struct name *out)
{
    return one(x, mailsrv__durable_ask(x, SQL_NAME_NUMBER, "i", number), out);
}

int32_t mailsrv__durable_oldest_gone(struct index *x, const mailsrv_id *account, struct name *out)
{
    return one(x, mailsrv__durable_ask(x, SQL_NAME_OLDEST_GONE, "d", account), out);
}

mailsrv_bytes mailsrv__durable_name_text(const struct name *name)
{
    return (mailsrv_bytes){ name->text, name->n };
}
