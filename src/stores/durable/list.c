/* An account's names, all of them or those that have changed. */
#include "durable.h"

struct page {
    struct index *x;
    struct task *task;
    mailsrv_mbox_entry *entries;
    uint32_t n, most;
    bool more;
    int64_t last; /* number of the last name */
};

static mailsrv_cursor cursor_at(const struct page *page, uint64_t upto)
{
    mailsrv_cursor cursor = { { 1 } }; /* never all zero: that is the start */
    mailsrv__durable_set_number(cursor.b + 8, (uint64_t)page->last, 8);
    mailsrv__durable_set_number(cursor.b + 16, upto, 8);
    return cursor;
}

static uint64_t number_in(const mailsrv_cursor *cursor, size_t at)
{
    struct reader from = { cursor->b + at, 8, false };
    return mailsrv__durable_get_number(&from, 8);
}

/* The name that the last page ended with.  MAILSRV_TEMP: it is forgotten; whoever asks begins anew. */
static int32_t last_name(struct index *x, const mailsrv_cursor *cursor, struct name *out)
{
    uint64_t number = number_in(cursor, 8);
    out->n = 0;
    if (cursor->b[0] == 0)
        return MAILSRV_OK;
    int32_t status = mailsrv__durable_name_numbered(x, (int64_t)number, out);
    return status == MAILSRV_NONEXISTENT ? MAILSRV_TEMP : status;
}

static bool begin(struct page *page, struct index *x, struct task *t, uint32_t limit)
{
    *page = (struct page){ .x = x, .task = t, .most = limit < PAGE_MAX ? limit : PAGE_MAX };
    page->entries = mailsrv__durable_room(t, PAGE_MAX * sizeof *page->entries);
    return page->entries != NULL;
}

static bool take(struct page *page, sqlite3_stmt *row)
{
    mailsrv_mbox_entry *to = &page->entries[page->n];
    page->last = sqlite3_column_int64(row, 0);
    to->mailbox = mailsrv__durable_column_id(row, 1);
    to->modseq = (uint64_t)sqlite3_column_int64(row, 2);
    to->attributes = (uint32_t)sqlite3_column_int64(row, 3);
    to->name = mailsrv__durable_column_bytes(row, 5);
    page->n++;
    return mailsrv__durable_keep(page->task, &to->name);
}

/* The rows of a statement that gives one more than a page has room for. */
static int32_t fill(struct page *page, sqlite3_stmt *row)
{
    bool good = true;
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    for (; good && result == SQLITE_ROW && page->n < page->most; result = sqlite3_step(row))
        good = take(page, row);
    page->more = result == SQLITE_ROW;
    int32_t status = mailsrv__durable_ended(page->x, result);
    sqlite3_reset(row);
    if (!good)
        return MAILSRV_NOMEM;
    return status == MAILSRV_NONEXISTENT ? MAILSRV_OK : status;
}

int32_t mailsrv__durable_mbox_list(struct durable *d, struct task *t)
{
    const mailsrv_arg_mbox_list *arg = t->op->arg;
    const struct handle *h = mailsrv__durable_handle_find(d, arg->store, HANDLE_STORE);
    mailsrv_mbox_listed *value = &t->value.listed;
    struct page page;
    struct name last;
    if (h == NULL)
        return MAILSRV_CANNOT;
    if (!begin(&page, &d->reader, t, arg->limit))
        return MAILSRV_NOMEM;
    int32_t status = last_name(&d->reader, &arg->cursor, &last);
    if (status == MAILSRV_OK)
        status = fill(&page, mailsrv__durable_ask(&d->reader, SQL_NAME_RANGE, "dbi", &h->account,
                                                  mailsrv__durable_name_text(&last), (int64_t)page.most + 1));
    *value = (mailsrv_mbox_listed){ .size = sizeof *value,
                                    .stride = sizeof *page.entries,
                                    .n = page.n,
                                    .more = page.more,
                                    .entries = page.entries };
    if (page.more)
        value->next = cursor_at(&page, 0);
    t->answer.value = value;
    return status;
}

int32_t mailsrv__durable_name_changes(struct durable *d, struct task *t)
{
    const mailsrv_arg_changes *arg = t->op->arg;
    const struct handle *h = mailsrv__durable_handle_find(d, arg->store, HANDLE_STORE);
    mailsrv_changes *value = &t->value.changes;
    struct account a;
    struct page page;
    struct name last;
    if (h == NULL)
        return MAILSRV_CANNOT;
    if (!begin(&page, &d->reader, t, arg->limit))
        return MAILSRV_NOMEM;
    int32_t status = mailsrv__durable_account(&d->reader, &h->account, &a);
    if (status == MAILSRV_OK)
        status = last_name(&d->reader, &arg->cursor, &last);
    if (status == MAILSRV_OK)
        status = fill(&page, mailsrv__durable_ask(&d->reader, SQL_NAME_CHANGED, "dbii", &h->account,
                                                  mailsrv__durable_name_text(&last), (int64_t)arg->since,
                                                  (int64_t)page.most + 1));
    if (status != MAILSRV_OK)
        return status;
    *value = (mailsrv_changes){ .size = sizeof *value,
                                .stride = sizeof(mailsrv_row),
                                .more = page.more,
                                .upto = arg->cursor.b[0] == 0 ? a.modseq : number_in(&arg->cursor, 16),
                                .horizon = a.forgotten,
                                .entries = page.entries,
                                .n_entries = page.n,
                                .entry_stride = sizeof *page.entries };
    if (page.more)
        value->next = cursor_at(&page, value->upto);
    t->answer.value = value;
    return MAILSRV_OK;
}
