/* Answers to what is asked beside the receiving of mail: of logins, mailboxes and the queue.  Who asks such a kind says
 * so by mailsrv_machine.answers, and a program that only receives links none of it. */
#include "core/answer.h"
#include "core/room.h"

enum { LANE_OCTETS_MAX = 255 }; /* mailsrv_target.lane */

/* ---- Checks ---- */

/* Bytes that stand in each row of a list that is whole, `at` octets behind its beginning. */
static bool bytes_of_rows_are_there(const void *rows, uint32_t n, uint32_t stride, size_t at)
{
    mailsrv_bytes bytes;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&bytes, (const char *)rows + (size_t)i * stride + at, sizeof bytes);
        if (!mailsrv__bytes_are_there(bytes))
            return false;
    }
    return true;
}

/* Rows that are there, with the bytes that they point to. */
static bool rows_are_whole(const mailsrv_row *rows, uint32_t n, uint32_t stride)
{
    return mailsrv__list_is_whole(rows, n, stride, sizeof(mailsrv_row)) &&
           bytes_of_rows_are_there(rows, n, stride, offsetof(mailsrv_row, uidl)) &&
           bytes_of_rows_are_there(rows, n, stride, offsetof(mailsrv_row, structure));
}

/* UIDs ascend, and their runs neither overlap nor touch: what follows counts on it. */
static bool runs_are_whole(const mailsrv_run *runs, uint32_t n)
{
    if (n != 0 && runs == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (runs[i].first == 0 || runs[i].last < runs[i].first)
            return false;
        if (i != 0 && runs[i].first - 1 <= runs[i - 1].last)
            return false;
    }
    return true;
}

/* Rows that were changed, as UIDs of an image are looked for. */
static bool marked_are_whole(const mailsrv_flagged *v)
{
    uint32_t last = 0;
    if (!mailsrv__list_is_whole(v->marked, v->n_marked, v->stride, sizeof *v->marked))
        return false;
    for (uint32_t i = 0; i < v->n_marked; i++) {
        const mailsrv_marked *marked = mailsrv__marked_at(v, i);
        if (marked->uids.first <= last || marked->uids.last < marked->uids.first)
            return false;
        last = marked->uids.last;
    }
    return true;
}

/* A dictionary from its entry number `first` on. */
static bool names_are_whole(const mailsrv_bytes *names, uint32_t first, uint32_t n)
{
    if (n > MAILSRV_KEYWORDS_MAX || first > MAILSRV_KEYWORDS_MAX - n || (n != 0 && names == NULL))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (names[i].n == 0 || names[i].p == NULL)
            return false;
    return true;
}

/* Names of mailboxes, that no machine needs to doubt. */
static bool entries_are_whole(const mailsrv_mbox_entry *entries, uint32_t n, uint32_t stride)
{
    mailsrv_bytes name;
    if (!mailsrv__list_is_whole(entries, n, stride, sizeof *entries) ||
        !bytes_of_rows_are_there(entries, n, stride, offsetof(mailsrv_mbox_entry, name)))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&name, (const char *)entries + (size_t)i * stride + offsetof(mailsrv_mbox_entry, name), sizeof name);
        if (name.n == 0 || name.n > MAILSRV_MBOX_NAME_MAX)
            return false;
    }
    return true;
}

static bool changes_are_whole(const mailsrv_arg_changes *arg, const mailsrv_changes *v)
{
    return v->n <= arg->limit && v->n_vanished <= arg->limit && v->n_entries <= arg->limit &&
           rows_are_whole(v->rows, v->n, v->stride) && runs_are_whole(v->vanished, v->n_vanished) &&
           entries_are_whole(v->entries, v->n_entries, v->entry_stride) &&
           names_are_whole(v->keywords, arg->n_keywords, v->n_keywords);
}

/* Items of the queue, whose lanes are no longer than one may be. */
static bool queue_items_are_whole(const mailsrv_queued *v)
{
    mailsrv_bytes lane;
    if (!mailsrv__list_is_whole(v->items, v->n, v->stride, sizeof *v->items) ||
        !bytes_of_rows_are_there(v->items, v->n, v->stride, offsetof(mailsrv_queue_item, record)) ||
        !bytes_of_rows_are_there(v->items, v->n, v->stride, offsetof(mailsrv_queue_item, lane)))
        return false;
    for (uint32_t i = 0; i < v->n; i++) {
        memcpy(&lane, (const char *)v->items + (size_t)i * v->stride + offsetof(mailsrv_queue_item, lane), sizeof lane);
        if (lane.n > LANE_OCTETS_MAX)
            return false;
    }
    return true;
}

/* Keys of the hash that was asked for, and a salt. */
static bool scram_record_is_whole(const mailsrv_arg_auth_scram_keys *arg, const mailsrv_scram_record *v)
{
    size_t octets = arg->hash == MAILSRV_HASH_SHA1 ? 20 : 32;
    return v->iterations != 0 && v->salt.n != 0 && v->salt.n <= MAILSRV_SCRAM_SALT_MAX && v->salt.p != NULL &&
           v->stored_key.n == octets && v->stored_key.p != NULL && v->server_key.n == octets && v->server_key.p != NULL;
}

static bool is_whole(const mailsrv_op *op, const void *value)
{
    const union op_value *v = value;
    switch (op->kind) {
    case MAILSRV_OP_AUTH_SCRAM_KEYS:
        return scram_record_is_whole(op->arg, &v->scram_record);
    case MAILSRV_OP_ROWS:
        return v->rows.n <= ((const mailsrv_arg_rows *)op->arg)->limit &&
               rows_are_whole(v->rows.rows, v->rows.n, v->rows.stride);
    case MAILSRV_OP_MBOX_OPEN:
        return names_are_whole(v->mbox_opened.keywords, 0, v->mbox_opened.n_keywords);
    case MAILSRV_OP_MBOX_LIST:
        return v->mbox_listed.n <= ((const mailsrv_arg_mbox_list *)op->arg)->limit &&
               entries_are_whole(v->mbox_listed.entries, v->mbox_listed.n, v->mbox_listed.stride);
    case MAILSRV_OP_CHANGES:
        return changes_are_whole(op->arg, &v->changes);
    case MAILSRV_OP_FLAGS:
        return runs_are_whole(v->flagged.modified, v->flagged.n_modified) && marked_are_whole(&v->flagged);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return runs_are_whole(v->copied.from, v->copied.n_from) && runs_are_whole(v->copied.to, v->copied.n_to);
    case MAILSRV_OP_QUEUE_SCAN:
        return queue_items_are_whole(&v->queued);
    case MAILSRV_OP_READ:
        return v->read_bytes.octets.n <= ((const mailsrv_arg_read *)op->arg)->octets &&
               mailsrv__bytes_are_there(v->read_bytes.octets);
    default:
        return true;
    }
}

/* ---- Copies ---- */

/* The octets that rows need, with the bytes that they point to. */
static size_t rows_octets(const void *rows, uint32_t n, uint32_t stride)
{
    size_t octets = n * sizeof(mailsrv_row);
    for (uint32_t i = 0; i < n; i++) {
        const mailsrv_row *row = (const mailsrv_row *)(const void *)((const char *)rows + (size_t)i * stride);
        octets += row->uidl.n + row->structure.n;
    }
    return octets;
}

/* Copies `n` rows to `*to`, and behind them their bytes. */
static mailsrv_row *put_rows(uint8_t **to, const void *rows, uint32_t n, uint32_t stride)
{
    mailsrv_row *copies = (mailsrv_row *)(void *)*to;
    *to += n * sizeof *copies;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&copies[i], (const char *)rows + (size_t)i * stride, sizeof *copies);
        copies[i].uidl = mailsrv__put_bytes(to, copies[i].uidl);
        copies[i].structure = mailsrv__put_bytes(to, copies[i].structure);
    }
    return copies;
}

static bool copy_rows(struct op *op)
{
    mailsrv_rows *v = &op->value.rows;
    if (v->n == 0)
        return true;
    uint8_t *to = mailsrv__copy_room(op, rows_octets(v->rows, v->n, v->stride));
    if (to == NULL)
        return false;
    v->rows = put_rows(&to, v->rows, v->n, v->stride);
    v->stride = sizeof *v->rows;
    return true;
}

static mailsrv_run *put_runs(uint8_t **to, const mailsrv_run *runs, uint32_t n)
{
    mailsrv_run *copies = (mailsrv_run *)(void *)*to;
    if (n != 0)
        memcpy(copies, runs, n * sizeof *copies);
    *to += n * sizeof *copies;
    return copies;
}

static size_t names_octets(const mailsrv_bytes *names, uint32_t n)
{
    size_t octets = n * sizeof *names;
    for (uint32_t i = 0; i < n; i++)
        octets += names[i].n;
    return octets;
}

static mailsrv_bytes *put_names(uint8_t **to, const mailsrv_bytes *names, uint32_t n)
{
    mailsrv_bytes *copies = (mailsrv_bytes *)(void *)*to;
    *to += n * sizeof *copies;
    for (uint32_t i = 0; i < n; i++)
        copies[i] = mailsrv__put_bytes(to, names[i]);
    return copies;
}

static bool copy_opened(struct op *op)
{
    mailsrv_mbox_opened *v = &op->value.mbox_opened;
    uint8_t *to = mailsrv__copy_room(op, names_octets(v->keywords, v->n_keywords));
    if (to == NULL)
        return v->n_keywords == 0;
    v->keywords = put_names(&to, v->keywords, v->n_keywords);
    return true;
}

/* The octets that entries need, with their names. */
static size_t entries_octets(const mailsrv_mbox_entry *entries, uint32_t n, uint32_t stride)
{
    size_t octets = n * sizeof *entries;
    for (uint32_t i = 0; i < n; i++)
        octets += ((const mailsrv_mbox_entry *)(const void *)((const char *)entries + (size_t)i * stride))->name.n;
    return octets;
}

static mailsrv_mbox_entry *put_entries(uint8_t **to, const mailsrv_mbox_entry *entries, uint32_t n, uint32_t stride)
{
    mailsrv_mbox_entry *copies = (mailsrv_mbox_entry *)(void *)*to;
    *to += n * sizeof *copies;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&copies[i], (const char *)entries + (size_t)i * stride, sizeof *copies);
        copies[i].name = mailsrv__put_bytes(to, copies[i].name);
    }
    return copies;
}

static bool copy_listed(struct op *op)
{
    mailsrv_mbox_listed *v = &op->value.mbox_listed;
    uint8_t *to = mailsrv__copy_room(op, entries_octets(v->entries, v->n, v->stride));
    if (to == NULL)
        return v->n == 0;
    v->entries = put_entries(&to, v->entries, v->n, v->stride);
    v->stride = sizeof *v->entries;
    return true;
}

/* Rows with their octets, runs, entries with theirs, names: each part aligned. */
static bool copy_changes(struct op *op)
{
    mailsrv_changes *v = &op->value.changes;
    size_t rows = mailsrv__ask_octets(rows_octets(v->rows, v->n, v->stride));
    size_t runs = mailsrv__ask_octets(v->n_vanished * sizeof *v->vanished);
    size_t entries = mailsrv__ask_octets(entries_octets(v->entries, v->n_entries, v->entry_stride));
    uint8_t *to = mailsrv__copy_room(op, rows + runs + entries + names_octets(v->keywords, v->n_keywords));
    if (to == NULL)
        return v->n == 0 && v->n_vanished == 0 && v->n_entries == 0 && v->n_keywords == 0;
    uint8_t *runs_to = to + rows, *entries_to = runs_to + runs, *names_to = entries_to + entries;
    v->entries = put_entries(&entries_to, v->entries, v->n_entries, v->entry_stride);
    v->entry_stride = sizeof *v->entries;
    v->rows = put_rows(&to, v->rows, v->n, v->stride);
    v->stride = sizeof *v->rows;
    v->vanished = put_runs(&runs_to, v->vanished, v->n_vanished);
    v->keywords = put_names(&names_to, v->keywords, v->n_keywords);
    return true;
}

static bool copy_flagged(struct op *op)
{
    mailsrv_flagged *v = &op->value.flagged;
    size_t marked = mailsrv__ask_octets((size_t)v->n_marked * sizeof *v->marked);
    mailsrv_marked *to = mailsrv__copy_room(op, marked + v->n_modified * sizeof *v->modified);
    if (to == NULL)
        return v->n_modified == 0 && v->n_marked == 0;
    uint8_t *runs_to = (uint8_t *)to + marked;
    for (uint32_t i = 0; i < v->n_marked; i++)
        to[i] = *mailsrv__marked_at(v, i);
    v->marked = to;
    v->stride = sizeof *to;
    v->modified = put_runs(&runs_to, v->modified, v->n_modified);
    return true;
}

static bool copy_copied(struct op *op)
{
    mailsrv_copied *v = &op->value.copied;
    uint8_t *to = mailsrv__copy_room(op, ((size_t)v->n_from + v->n_to) * sizeof *v->from);
    if (to == NULL)
        return v->n_from == 0 && v->n_to == 0;
    v->from = put_runs(&to, v->from, v->n_from);
    v->to = put_runs(&to, v->to, v->n_to);
    return true;
}

static bool copy_queue_items(struct op *op)
{
    mailsrv_queued *v = &op->value.queued;
    const char *from = (const char *)v->items;
    size_t bytes = 0;
    if (v->n == 0)
        return true;
    for (uint32_t i = 0; i < v->n; i++) {
        const mailsrv_queue_item *item = (const void *)(from + (size_t)i * v->stride);
        bytes += item->record.n + item->lane.n;
    }
    mailsrv_queue_item *to = mailsrv__copy_room(op, v->n * sizeof *to + bytes);
    if (to == NULL)
        return false;
    uint8_t *at = (uint8_t *)(to + v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        memcpy(&to[i], from + (size_t)i * v->stride, sizeof *to);
        to[i].record = mailsrv__put_bytes(&at, to[i].record);
        to[i].lane = mailsrv__put_bytes(&at, to[i].lane);
    }
    v->items = to;
    v->stride = sizeof *to;
    return true;
}

static bool copy_octets(struct op *op)
{
    mailsrv_read_bytes *v = &op->value.read_bytes;
    uint8_t *to = mailsrv__copy_room(op, v->octets.n);
    if (v->octets.n != 0 && to == NULL)
        return false;
    v->octets = mailsrv__put_bytes(&to, v->octets);
    return true;
}

static bool copy_scram_record(struct op *op)
{
    mailsrv_scram_record *v = &op->value.scram_record;
    uint8_t *to = mailsrv__copy_room(op, v->salt.n + v->stored_key.n + v->server_key.n);
    if (to == NULL)
        return false;
    v->salt = mailsrv__put_bytes(&to, v->salt);
    v->stored_key = mailsrv__put_bytes(&to, v->stored_key);
    v->server_key = mailsrv__put_bytes(&to, v->server_key);
    return true;
}

static bool copy(struct op *op)
{
    switch (op->pub.kind) {
    case MAILSRV_OP_AUTH_SCRAM_KEYS:
        return copy_scram_record(op);
    case MAILSRV_OP_ROWS:
        return copy_rows(op);
    case MAILSRV_OP_MBOX_OPEN:
        return copy_opened(op);
    case MAILSRV_OP_MBOX_LIST:
        return copy_listed(op);
    case MAILSRV_OP_CHANGES:
        return copy_changes(op);
    case MAILSRV_OP_FLAGS:
        return copy_flagged(op);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return copy_copied(op);
    case MAILSRV_OP_QUEUE_SCAN:
        return copy_queue_items(op);
    case MAILSRV_OP_READ:
        return copy_octets(op);
    default:
        return true;
    }
}

const struct answers mailsrv__store_answers = { .is_whole = is_whole, .copy = copy, .changed = mailsrv__store_changed };
