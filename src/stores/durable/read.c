/* What only reads, and what writes no more than a staged body: by the thread that may wait for a disk. */
#include "durable.h"

#include <stdlib.h>
#include <string.h>

int32_t mailsrv__durable_is_open(struct durable *d, uint64_t number, const struct handle **out, struct mailbox *mbox)
{
    *out = mailsrv__durable_handle_find(d, number, HANDLE_MAILBOX);
    if (*out == NULL)
        return MAILSRV_CANNOT;
    int32_t status = mailsrv__durable_mailbox(&d->reader, &(*out)->mailbox, mbox);
    bool same = status == MAILSRV_OK && mailsrv__durable_same(&mbox->account, &(*out)->account) &&
                mbox->uidvalidity == (*out)->uidvalidity;
    return status == MAILSRV_OK && !same ? MAILSRV_NONEXISTENT : status;
}

/* ---- ROWS ---- */

bool mailsrv__durable_keep(struct task *t, mailsrv_bytes *bytes)
{
    if (bytes->n == 0)
        return true;
    uint8_t *copy = mailsrv__durable_room_to_fill(t, bytes->n);
    if (copy == NULL)
        return false;
    memcpy(copy, bytes->p, bytes->n);
    bytes->p = copy;
    return true;
}

bool mailsrv__durable_take_row(struct task *t, sqlite3_stmt *row, mailsrv_row *out)
{
    out->octets = (uint64_t)sqlite3_column_int64(row, 1);
    out->internal_us = sqlite3_column_int64(row, 2);
    out->email = mailsrv__durable_column_id(row, 3);
    out->uidl = mailsrv__durable_column_bytes(row, 4);
    out->saved_us = sqlite3_column_int64(row, 5);
    return mailsrv__durable_keep(t, &out->uidl);
}

void mailsrv__durable_take_mark(const struct message_mark *mark, mailsrv_row *out)
{
    *out = (mailsrv_row){ .uid = mark->uid,
                          .flags = mark->flags,
                          .modseq = mark->modseq,
                          .keywords = { mark->keywords[0], mark->keywords[1] } };
}

/* The structure of a row of the page.  MAILSRV_MORE: it is for the next page, behind those that are there. */
static int32_t take_structure(struct durable *d, struct task *t, int64_t box, mailsrv_row *out, size_t *structures)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->reader, SQL_MESSAGE_STRUCTURE, "ii", box, (int64_t)out->uid);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int32_t status = result == SQLITE_ROW || result == SQLITE_DONE ? MAILSRV_OK : mailsrv__durable_failure(&d->reader);
    if (result == SQLITE_ROW) {
        out->structure = mailsrv__durable_column_bytes(row, 0);
        out->prefix_octets = (uint64_t)sqlite3_column_int64(row, 1);
        *structures += out->structure.n;
        if (t->value.rows.n != 0 && *structures > MAILSRV_ROWS_STRUCTURE_MAX)
            status = MAILSRV_MORE;
        else if (!mailsrv__durable_keep(t, &out->structure))
            status = MAILSRV_NOMEM;
    }
    sqlite3_reset(row);
    return status;
}

mailsrv_cursor mailsrv__durable_cursor_at(uint64_t number)
{
    mailsrv_cursor cursor = { { 1 } }; /* never all zero: that is the start */
    mailsrv__durable_set_number(cursor.b + 8, number, 8);
    return cursor;
}

static uint64_t place_of(const mailsrv_cursor *cursor)
{
    struct reader from = { cursor->b + 8, 8, false };
    return mailsrv__durable_get_number(&from, 8);
}

/* Where the rows of a page come from: marks, and beside them, if more than that is wanted, the messages. */
struct source {
    struct walk marks;
    sqlite3_stmt *messages; /* NULL: they are not wanted */
    int result;             /* of the last step there */
};

static void begin_source(struct source *s, struct durable *d, int64_t box, mailsrv_run run, bool wants_all)
{
    *s = (struct source){ .result = SQLITE_ROW };
    mailsrv__durable_walk(&s->marks, &d->reader, box, run.first, run.last);
    if (!wants_all)
        return;
    s->messages = mailsrv__durable_ask(&d->reader, SQL_MESSAGE_RANGE, "iii", box, (int64_t)run.first,
                                       (int64_t)run.last);
    s->result = s->messages != NULL ? SQLITE_ROW : SQLITE_ERROR;
}

/* Each mark has its message. */
static bool next_of_source(struct source *s, struct message_mark *mark)
{
    if (s->result != SQLITE_ROW || !mailsrv__durable_walk_next(&s->marks, mark))
        return false;
    if (s->messages == NULL)
        return true;
    s->result = sqlite3_step(s->messages);
    if (s->result == SQLITE_DONE || (s->result == SQLITE_ROW && sqlite3_column_int64(s->messages, 0) != mark->uid))
        s->result = SQLITE_CORRUPT;
    return s->result == SQLITE_ROW;
}

static int32_t end_source(struct source *s, struct durable *d)
{
    int32_t status = mailsrv__durable_walk_end(&s->marks);
    sqlite3_reset(s->messages);
    if (status != MAILSRV_OK || s->result == SQLITE_ROW)
        return status;
    return s->result == SQLITE_CORRUPT ? MAILSRV_CORRUPT : mailsrv__durable_failure(&d->reader);
}

/* Rows of one run from `first` on, until the page is full: then `more`, and where to go on. */
static int32_t rows_of_run(struct durable *d, struct task *t, int64_t box, mailsrv_run run, size_t *structures)
{
    const mailsrv_arg_rows *arg = t->op->arg;
    uint32_t most = mailsrv__durable_page(arg->limit, arg->fields);
    mailsrv_rows *rows = &t->value.rows;
    mailsrv_row *page = (mailsrv_row *)(uintptr_t)rows->rows;
    int32_t status = MAILSRV_OK;
    struct source source;
    struct message_mark mark;
    begin_source(&source, d, box, run, (arg->fields & ~(uint32_t)FIELDS_OF_MARKS) != 0);
    while (!rows->more && status == MAILSRV_OK && next_of_source(&source, &mark)) {
        mailsrv_row *out = &page[rows->n];
        rows->more = rows->n == most;
        if (!rows->more)
            mailsrv__durable_take_mark(&mark, out);
        if (!rows->more && source.messages != NULL && !mailsrv__durable_take_row(t, source.messages, out))
            status = MAILSRV_NOMEM;
        else if (!rows->more && (arg->fields & MAILSRV_ROW_STRUCTURE) != 0)
            status = take_structure(d, t, box, out, structures);
        rows->more = rows->more || status == MAILSRV_MORE;
        if (rows->more)
            rows->next = mailsrv__durable_cursor_at(mark.uid);
        else if (status == MAILSRV_OK)
            rows->n++;
        status = status == MAILSRV_MORE ? MAILSRV_OK : status;
    }
    int32_t ended = end_source(&source, d);
    return status != MAILSRV_OK ? status : ended;
}

uint32_t mailsrv__durable_page(uint32_t limit, uint32_t fields)
{
    uint32_t most = mailsrv__durable_are_shapes(fields) ? PAGE_OF_SHAPES_MAX : PAGE_MAX;
    if ((fields & MAILSRV_ROW_STRUCTURE) == 0)
        most = (fields & ~(uint32_t)FIELDS_OF_MARKS) == 0 ? PAGE_OF_MARKS_MAX : PAGE_OF_ROWS_MAX;
    return limit < most ? limit : most;
}

static int32_t rows(struct durable *d, struct task *t)
{
    const mailsrv_arg_rows *arg = t->op->arg;
    const struct handle *h;
    struct mailbox mbox;
    uint64_t from = place_of(&arg->cursor);
    int32_t status = mailsrv__durable_is_open(d, arg->mbox, &h, &mbox);
    if (status != MAILSRV_OK)
        return status;
    const uint32_t most = mailsrv__durable_page(arg->limit, arg->fields);
    mailsrv_row *page = mailsrv__durable_room_to_fill(t, most * sizeof *page);
    if (page == NULL)
        return MAILSRV_NOMEM;
    mailsrv_rows *value = &t->value.rows;
    value->size = sizeof *value;
    value->stride = sizeof *page;
    value->rows = page;
    size_t structures = 0;
    for (uint32_t i = 0; i < arg->n_uids && !value->more && status == MAILSRV_OK; i++) {
        uint64_t first = arg->uids[i].first > from ? arg->uids[i].first : from;
        uint32_t last = arg->uids[i].last < mbox.uidnext ? arg->uids[i].last : mbox.uidnext - 1;
        mailsrv_run run = { (uint32_t)first, last };
        if (first <= last && mailsrv__durable_are_shapes(arg->fields))
            status = mailsrv__durable_shapes(d, t, mbox.box, run, &structures);
        else if (first <= last)
            status = rows_of_run(d, t, mbox.box, run, &structures);
    }
    t->answer.value = value;
    mailsrv__durable_lend(t);
    return status;
}

/* ---- READ ---- */

static int32_t copy_staged(struct durable *d, const struct body *body, uint64_t offset, uint8_t *p, size_t n)
{
    size_t got = n;
    if (body->file == NULL) {
        memcpy(p, body->p + offset, n);
        return MAILSRV_OK;
    }
    int32_t status = d->files.read(d->files.user, body->file, p, n, offset, &got);
    return status == MAILSRV_OK && got < n ? MAILSRV_CORRUPT : status;
}

/* Memory for an answer, which has it; NULL: there is none. */
static uint8_t *room_for(mailsrv_read_bytes *value, mailsrv_answer *answer, const mailsrv_arg_read *arg,
                         uint64_t octets)
{
    uint64_t left = arg->offset < octets ? octets - arg->offset : 0;
    left = left < arg->octets ? left : arg->octets;
    size_t n = left < READ_MAX ? (size_t)left : READ_MAX;
    uint8_t *p = malloc(n != 0 ? n : 1);
    value->size = sizeof *value;
    value->octets = (mailsrv_bytes){ p, n };
    answer->value = value;
    answer->release = p != NULL ? free : NULL;
    answer->user = p;
    return p;
}

static int32_t read_staged(struct durable *d, struct task *t, const mailsrv_arg_read *arg)
{
    const struct handle *h = mailsrv__durable_handle_find(d, arg->body, HANDLE_BODY);
    if (h == NULL)
        return MAILSRV_CANNOT;
    uint8_t *p = room_for(&t->value.read_bytes, &t->answer, arg, h->body->octets);
    size_t n = t->value.read_bytes.octets.n;
    if (p == NULL)
        return MAILSRV_NOMEM;
    return n != 0 ? copy_staged(d, h->body, arg->offset, p, n) : MAILSRV_OK;
}

static int32_t copy(struct durable *d, struct message *message, bool now, const mailsrv_arg_read *arg,
                    mailsrv_read_bytes *value, mailsrv_answer *answer)
{
    struct range range = { .offset = arg->offset };
    range.p = room_for(value, answer, arg, message->octets);
    range.n = value->octets.n;
    return range.p != NULL ? mailsrv__durable_message_copy(d, message, now, &range) : MAILSRV_NOMEM;
}

/* Where more is to come, the reading goes on by a handle; without memory for one it does without. */
static void go_on(struct durable *d, const struct binding *owner, struct message *message, const mailsrv_arg_read *arg,
                  mailsrv_read_bytes *value)
{
    bool more = arg->offset + value->octets.n < message->octets;
    struct handle *h = more ? mailsrv__durable_handle_new(d, owner, HANDLE_READ) : NULL;
    if (h == NULL) {
        mailsrv__durable_message_free(d, message);
        return;
    }
    h->message = message;
    value->handle = h->number;
}

/* Looks up a message, and some behind it. */
static int32_t find_message(struct durable *d, const mailsrv_arg_read *arg, struct ahead *ahead, struct message **out)
{
    const struct handle *h;
    struct mailbox mbox;
    uint64_t removals = mailsrv__durable_removals(d);
    int32_t status = mailsrv__durable_is_open(d, arg->mbox, &h, &mbox);
    if (status == MAILSRV_OK && arg->uid >= mbox.uidnext) /* a change in parts adds it just now */
        status = MAILSRV_GONE;
    if (status == MAILSRV_OK)
        status = mailsrv__durable_message_find(d, mbox.box, arg->uid, out);
    if (status == MAILSRV_OK && ahead != NULL && mailsrv__durable_ahead_wants(d, ahead, arg->uid))
        mailsrv__durable_ahead_look(d, ahead, mbox.box, arg->uid, mbox.uidnext, removals);
    return status;
}

/* What is known of the messages that are read from a mailbox; NULL: no memory, or no such mailbox. */
static struct ahead *ahead_of(struct durable *d, uint64_t mbox)
{
    struct handle *h = mailsrv__durable_handle_find(d, mbox, HANDLE_MAILBOX);
    if (h == NULL)
        return NULL;
    pthread_mutex_lock(&d->lock);
    if (h->ahead == NULL)
        h->ahead = mailsrv__durable_ahead_new(h);
    struct ahead *ahead = h->ahead;
    pthread_mutex_unlock(&d->lock);
    return ahead;
}

static int32_t read_first(struct durable *d, struct task *t, const mailsrv_arg_read *arg)
{
    struct whereabouts found;
    struct message *message = NULL;
    struct ahead *ahead = ahead_of(d, arg->mbox);
    int32_t status = MAILSRV_NONEXISTENT;
    if (arg->mbox == 0)
        status = mailsrv__durable_message_find(d, 0, arg->queue, &message);
    if (ahead != NULL && mailsrv__durable_ahead_take(d, ahead, arg->uid, &found, NULL)) {
        message = found.message;
        status = mailsrv__durable_message_open(d, &found, false);
    }
    if (status == MAILSRV_NONEXISTENT && arg->mbox != 0) /* or what was known is old */
        status = find_message(d, arg, ahead, &message);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_GONE : status;
    status = copy(d, message, false, arg, &t->value.read_bytes, &t->answer);
    if (status == MAILSRV_OK)
        go_on(d, t->from, message, arg, &t->value.read_bytes);
    else
        mailsrv__durable_message_free(d, message);
    return status;
}

static int32_t read_octets(struct durable *d, struct task *t)
{
    const mailsrv_arg_read *arg = t->op->arg;
    if (arg->mbox == 0 && arg->body != 0)
        return read_staged(d, t, arg);
    if (arg->handle == 0)
        return read_first(d, t, arg);
    const struct handle *h = mailsrv__durable_handle_find(d, arg->handle, HANDLE_READ);
    if (h == NULL)
        return MAILSRV_CANNOT;
    return copy(d, h->message, false, arg, &t->value.read_bytes, &t->answer);
}

static void take_back(mailsrv_answer *answer)
{
    if (answer->release != NULL)
        answer->release(answer->user);
    answer->release = NULL;
    answer->value = NULL;
}

static int32_t go_on_now(struct durable *d, const mailsrv_arg_read *arg, mailsrv_read_bytes *value,
                         mailsrv_answer *answer)
{
    const struct handle *h = mailsrv__durable_handle_find(d, arg->handle, HANDLE_READ);
    return h == NULL || h->waiting != 0 ? MAILSRV_MORE : copy(d, h->message, true, arg, value, answer);
}

/* Without memory for it the next messages are looked up when they are asked for. */
static void have_looked(struct binding *b, struct ahead *ahead)
{
    struct task *t = calloc(1, sizeof *t);
    if (t != NULL) {
        t->from = b;
        t->kind = KIND_LOOK_AHEAD;
        t->ahead = ahead;
        mailsrv__durable_wait_in_line(b->d, t);
        return;
    }
    pthread_mutex_lock(&b->d->lock);
    mailsrv__durable_ahead_looked(ahead);
    pthread_mutex_unlock(&b->d->lock);
}

/* A message that is known.  What is not as it was known, or not in memory, is the reader's. */
static int32_t begin_now(struct binding *b, const mailsrv_arg_read *arg, mailsrv_read_bytes *value,
                         mailsrv_answer *answer)
{
    struct durable *d = b->d;
    struct whereabouts found;
    const struct handle *h = mailsrv__durable_handle_find(d, arg->mbox, HANDLE_MAILBOX);
    pthread_mutex_lock(&d->lock);
    struct ahead *ahead = h != NULL ? h->ahead : NULL;
    pthread_mutex_unlock(&d->lock);
    bool runs_out = false;
    if (ahead == NULL || !mailsrv__durable_ahead_take(d, ahead, arg->uid, &found, &runs_out))
        return MAILSRV_MORE;
    if (runs_out)
        have_looked(b, ahead);
    int32_t status = mailsrv__durable_message_open(d, &found, true);
    if (status != MAILSRV_OK && status != MAILSRV_MORE)
        return MAILSRV_MORE;
    if (status == MAILSRV_OK)
        status = copy(d, found.message, true, arg, value, answer);
    if (status == MAILSRV_OK)
        go_on(d, b, found.message, arg, value);
    else
        mailsrv__durable_message_free(d, found.message);
    return status == MAILSRV_CORRUPT ? MAILSRV_MORE : status;
}

bool mailsrv__durable_read_now(struct binding *b, const mailsrv_arg_read *arg, mailsrv_read_bytes *value,
                               mailsrv_answer *answer)
{
    struct durable *d = b->d;
    if (d->files.read_now == NULL || (arg->mbox == 0 && arg->handle == 0))
        return false;
    answer->status = arg->handle != 0 ? go_on_now(d, arg, value, answer) : begin_now(b, arg, value, answer);
    if (answer->status != MAILSRV_OK)
        take_back(answer);
    pthread_mutex_lock(&d->lock);
    d->read_now += answer->status == MAILSRV_OK;
    pthread_mutex_unlock(&d->lock);
    return answer->status != MAILSRV_MORE;
}

/* ---- The others ---- */

static int32_t find_account(struct durable *d, struct task *t)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->reader, SQL_ACCOUNT_BY_NAME, "b", t->name);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    if (result == SQLITE_ROW)
        t->account = mailsrv__durable_column_id(row, 0);
    int32_t status = result == SQLITE_ROW    ? MAILSRV_OK
                     : result == SQLITE_DONE ? MAILSRV_NONEXISTENT
                                             : mailsrv__durable_failure(&d->reader);
    sqlite3_reset(row);
    return status;
}

static int32_t body_write(struct durable *d, const struct task *t)
{
    const mailsrv_arg_body_write *arg = t->op->arg;
    const struct handle *h = mailsrv__durable_handle_find(d, arg->body, HANDLE_BODY);
    return h != NULL ? mailsrv__durable_body_spill(d, h->body, arg->octets) : MAILSRV_CANNOT;
}

/* What is read in several steps is all as of one moment. */
static int32_t at_one_moment(struct durable *d, struct task *t, int32_t (*look)(struct durable *d, struct task *t))
{
    struct index *x = &d->reader;
    if (!mailsrv__durable_run(x, SQL_LOOK, ""))
        return mailsrv__durable_failure(x);
    int32_t status = look(d, t);
    if (mailsrv__durable_run(x, SQL_COMMIT, ""))
        return status;
    int32_t failure = mailsrv__durable_failure(x);
    mailsrv__durable_run(x, SQL_ROLLBACK, "");
    return status == MAILSRV_OK ? failure : status;
}

static int32_t changes(struct durable *d, struct task *t)
{
    const mailsrv_arg_changes *arg = t->op->arg;
    return arg->mbox != 0 ? mailsrv__durable_changes(d, t) : mailsrv__durable_name_changes(d, t);
}

static int32_t perform(struct durable *d, struct task *t)
{
    switch (t->kind) {
    case KIND_FIND_ACCOUNT:
        return find_account(d, t);
    case KIND_LOOK_AHEAD:
        mailsrv__durable_ahead_look_on(d, t->ahead);
        return MAILSRV_OK;
    case MAILSRV_OP_BODY_WRITE:
        return body_write(d, t);
    case MAILSRV_OP_STORE_OPEN:
        return mailsrv__durable_store_open(d, t);
    case MAILSRV_OP_MBOX_OPEN:
        return at_one_moment(d, t, mailsrv__durable_mbox_open);
    case MAILSRV_OP_MBOX_STATUS:
        return at_one_moment(d, t, mailsrv__durable_mbox_status);
    case MAILSRV_OP_MBOX_LIST:
        return at_one_moment(d, t, mailsrv__durable_mbox_list);
    case MAILSRV_OP_CHANGES:
        return at_one_moment(d, t, changes);
    case MAILSRV_OP_ROWS:
        return at_one_moment(d, t, rows);
    case MAILSRV_OP_READ:
        return read_octets(d, t);
    case MAILSRV_OP_QUEUE_SCAN:
        return at_one_moment(d, t, mailsrv__durable_queue_scan);
    default:
        return MAILSRV_CANNOT;
    }
}

void mailsrv__durable_read(struct durable *d, struct task *t)
{
    const int32_t status = mailsrv__durable_unseen_wait(d, t);
    t->answer.status = status == MAILSRV_OK ? perform(d, t) : status;
    if (t->answer.status != MAILSRV_OK)
        take_back(&t->answer);
}
