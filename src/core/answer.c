/* Answers come in: checked whole before anything is changed, then copied or lent, then whoever waits is woken. */
#include "core/ledger.h"
#include "core/op.h"
#include "core/room.h"

#include <mailsrv/tls.h>

enum { TEXT_MAX = 200 };

/* ---- Static answers, for what was never asked and what came too late ---- */

const mailsrv_answer *mailsrv__answer_of(int32_t status)
{
    static const mailsrv_answer temp = { .size = sizeof temp, .status = MAILSRV_TEMP };
    static const mailsrv_answer no_memory = { .size = sizeof no_memory, .status = MAILSRV_NOMEM };
    return status == MAILSRV_NOMEM ? &no_memory : &temp;
}

/* ---- Checks ---- */

static bool is_status(int32_t status)
{
    return status == MAILSRV_OK || status == MAILSRV_NOMEM || (status <= MAILSRV_TEMP && status >= MAILSRV_CORRUPT) ||
           (status <= MAILSRV_DENIED && status >= MAILSRV_GONE);
}

/* Every struct of a value begins with its size; a field that it does not reach cannot be read. */
static bool value_is_whole(const struct kind *kind, const mailsrv_answer *answer)
{
    if (answer->status != MAILSRV_OK || kind->value_octets == 0)
        return true;
    return answer->value != NULL && *(const uint32_t *)answer->value >= kind->value_octets;
}

static bool bytes_are_there(mailsrv_bytes b)
{
    return b.n == 0 || b.p != NULL;
}

/* A list that a value points to: there, and its rows no smaller than what is read of them. */
static bool list_is_whole(const void *rows, uint32_t n, uint32_t stride, size_t row_octets)
{
    return n == 0 || (rows != NULL && stride >= row_octets);
}

/* Bytes that stand in each row of a list that is whole, `at` octets behind its beginning. */
static bool bytes_of_rows_are_there(const void *rows, uint32_t n, uint32_t stride, size_t at)
{
    mailsrv_bytes bytes;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&bytes, (const char *)rows + (size_t)i * stride + at, sizeof bytes);
        if (!bytes_are_there(bytes))
            return false;
    }
    return true;
}

/* A place of a kind that nobody knows is no place for mail.  Of a long list none is looked at. */
static bool kinds_are_known(const mailsrv_resolved *v)
{
    int32_t kind;
    for (uint32_t i = 0; v->n <= 64 && i < v->n; i++) {
        memcpy(&kind, (const char *)v->destinations + (size_t)i * v->stride, sizeof kind);
        if (kind != MAILSRV_TARGET_MAILBOX && kind != MAILSRV_TARGET_QUEUE)
            return false;
    }
    return true;
}

/* Rows that are there, with the bytes that they point to. */
static bool rows_are_whole(const mailsrv_row *rows, uint32_t n, uint32_t stride)
{
    return list_is_whole(rows, n, stride, sizeof(mailsrv_row)) &&
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
    if (!list_is_whole(entries, n, stride, sizeof *entries) ||
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

/* Keys of the hash that was asked for, and a salt. */
static bool scram_record_is_whole(const mailsrv_arg_auth_scram_keys *arg, const mailsrv_scram_record *v)
{
    size_t octets = arg->hash == MAILSRV_HASH_SHA1 ? 20 : 32;
    return v->iterations != 0 && v->salt.n != 0 && v->salt.n <= MAILSRV_SCRAM_SALT_MAX && v->salt.p != NULL &&
           v->stored_key.n == octets && v->stored_key.p != NULL && v->server_key.n == octets && v->server_key.p != NULL;
}

static bool lists_are_whole(const mailsrv_op *op, const void *value)
{
    const union op_value *v = value;
    switch (op->kind) {
    case MAILSRV_OP_RESOLVE:
        return v->resolved.n != 0 && list_is_whole(v->resolved.destinations, v->resolved.n, v->resolved.stride,
                                                   sizeof(mailsrv_destination)) && kinds_are_known(&v->resolved);
    case MAILSRV_OP_AUTH_SCRAM_KEYS:
        return scram_record_is_whole(op->arg, &v->scram_record);
    case MAILSRV_OP_BODY_COMMIT:
        return list_is_whole(v->committed.results, v->committed.n, v->committed.stride, sizeof(mailsrv_result));
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
        return runs_are_whole(v->flagged.modified, v->flagged.n_modified);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return runs_are_whole(v->copied.from, v->copied.n_from) && runs_are_whole(v->copied.to, v->copied.n_to);
    case MAILSRV_OP_POLICY:
        return mailsrv__verdict_is_whole(&v->verdict);
    case MAILSRV_OP_QUEUE_SCAN:
        return list_is_whole(v->queued.items, v->queued.n, v->queued.stride, sizeof(mailsrv_queue_item)) &&
               bytes_of_rows_are_there(v->queued.items, v->queued.n, v->queued.stride,
                                       offsetof(mailsrv_queue_item, record));
    case MAILSRV_OP_READ:
        return v->read_bytes.octets.n <= ((const mailsrv_arg_read *)op->arg)->octets &&
               bytes_are_there(v->read_bytes.octets);
    default:
        return true;
    }
}

/* A kind that must give a handle gives one that is not 0; READ may do without. */
static bool handle_is_given(const struct op *op, const void *value)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    if ((kind->flags & KIND_GIVES) == 0 || op->pub.kind == MAILSRV_OP_READ)
        return true;
    uint64_t handle;
    memcpy(&handle, (const char *)value + kind->handle_at, sizeof handle);
    return handle != 0;
}

static bool is_whole(const struct op *op, const mailsrv_answer *answer)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    if (!bytes_are_there(answer->text) || !value_is_whole(kind, answer))
        return false;
    if (answer->status != MAILSRV_OK || kind->value_octets == 0)
        return true;
    return lists_are_whole(&op->pub, answer->value) && handle_is_given(op, answer->value);
}

/* ---- Copies ---- */

/* Room for what a list's rows and bytes need; they are copied by the same walk that counts them. */
static void *copy_room(struct op *op, size_t octets)
{
    struct purse *purse = op->session == NULL ? NULL : &op->session->purse;
    if (octets == 0)
        return NULL;
    op->copied = mailsrv__heap_take(&op->engine->heap, CLASS_OPERATIONS, purse, octets);
    op->copied_octets = octets;
    return op->copied;
}

static mailsrv_bytes put_bytes(uint8_t **to, mailsrv_bytes from)
{
    if (from.n == 0)
        return (mailsrv_bytes){ NULL, 0 };
    memcpy(*to, from.p, from.n);
    *to += from.n;
    return (mailsrv_bytes){ *to - from.n, from.n };
}

static bool copy_destinations(struct op *op)
{
    mailsrv_resolved *v = &op->value.resolved;
    const char *from = (const char *)v->destinations;
    if (v->n > 64) { /* becomes one QUEUE target: none of them is looked at */
        v->destinations = NULL;
        return true;
    }
    mailsrv_destination *to = copy_room(op, v->n * sizeof *to);
    if (to == NULL)
        return false;
    for (uint32_t i = 0; i < v->n; i++)
        memcpy(&to[i], from + (size_t)i * v->stride, sizeof *to);
    v->destinations = to;
    v->stride = sizeof *to;
    return true;
}

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
        copies[i].uidl = put_bytes(to, copies[i].uidl);
        copies[i].structure = put_bytes(to, copies[i].structure);
    }
    return copies;
}

static bool copy_rows(struct op *op)
{
    mailsrv_rows *v = &op->value.rows;
    if (v->n == 0)
        return true;
    uint8_t *to = copy_room(op, rows_octets(v->rows, v->n, v->stride));
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
        copies[i] = put_bytes(to, names[i]);
    return copies;
}

static bool copy_opened(struct op *op)
{
    mailsrv_mbox_opened *v = &op->value.mbox_opened;
    uint8_t *to = copy_room(op, names_octets(v->keywords, v->n_keywords));
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
        copies[i].name = put_bytes(to, copies[i].name);
    }
    return copies;
}

static bool copy_listed(struct op *op)
{
    mailsrv_mbox_listed *v = &op->value.mbox_listed;
    uint8_t *to = copy_room(op, entries_octets(v->entries, v->n, v->stride));
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
    uint8_t *to = copy_room(op, rows + runs + entries + names_octets(v->keywords, v->n_keywords));
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

static bool copy_modified(struct op *op)
{
    mailsrv_flagged *v = &op->value.flagged;
    uint8_t *to = copy_room(op, v->n_modified * sizeof *v->modified);
    if (to == NULL)
        return v->n_modified == 0;
    v->modified = put_runs(&to, v->modified, v->n_modified);
    return true;
}

static bool copy_copied(struct op *op)
{
    mailsrv_copied *v = &op->value.copied;
    uint8_t *to = copy_room(op, ((size_t)v->n_from + v->n_to) * sizeof *v->from);
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
    for (uint32_t i = 0; i < v->n; i++)
        bytes += ((const mailsrv_queue_item *)(const void *)(from + (size_t)i * v->stride))->record.n;
    mailsrv_queue_item *to = copy_room(op, v->n * sizeof *to + bytes);
    if (to == NULL)
        return false;
    uint8_t *at = (uint8_t *)(to + v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        memcpy(&to[i], from + (size_t)i * v->stride, sizeof *to);
        to[i].record = put_bytes(&at, to[i].record);
    }
    v->items = to;
    v->stride = sizeof *to;
    return true;
}

static bool copy_octets(struct op *op)
{
    mailsrv_read_bytes *v = &op->value.read_bytes;
    uint8_t *to = copy_room(op, v->octets.n);
    if (v->octets.n != 0 && to == NULL)
        return false;
    v->octets = put_bytes(&to, v->octets);
    return true;
}

static bool copy_scram_record(struct op *op)
{
    mailsrv_scram_record *v = &op->value.scram_record;
    uint8_t *to = copy_room(op, v->salt.n + v->stored_key.n + v->server_key.n);
    if (to == NULL)
        return false;
    v->salt = put_bytes(&to, v->salt);
    v->stored_key = put_bytes(&to, v->stored_key);
    v->server_key = put_bytes(&to, v->server_key);
    return true;
}

static bool copy_verdict(struct op *op)
{
    mailsrv_verdict *v = &op->value.verdict;
    uint8_t *to = copy_room(op, v->address.n + v->fields.n);
    if (to == NULL)
        return v->address.n == 0 && v->fields.n == 0;
    v->address = put_bytes(&to, v->address);
    v->fields = put_bytes(&to, v->fields);
    return true;
}

static bool copy_list(struct op *op)
{
    switch (op->pub.kind) {
    case MAILSRV_OP_RESOLVE:
        return copy_destinations(op);
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
        return copy_modified(op);
    case MAILSRV_OP_COPY:
    case MAILSRV_OP_MOVE:
        return copy_copied(op);
    case MAILSRV_OP_QUEUE_SCAN:
        return copy_queue_items(op);
    case MAILSRV_OP_READ:
        return copy_octets(op);
    case MAILSRV_OP_POLICY:
        return copy_verdict(op);
    default:
        return true;
    }
}

/* A text goes to a peer: nothing in it may end a line or hide in one. */
static void put_text(uint8_t *to, mailsrv_bytes from)
{
    for (size_t i = 0; i < from.n; i++)
        to[i] = from.p[i] >= 0x20 && from.p[i] < 0x7F ? from.p[i] : '?';
}

static void copy_text(struct op *op, mailsrv_bytes text)
{
    struct purse *purse = op->session == NULL ? NULL : &op->session->purse;
    size_t n = text.n < TEXT_MAX ? text.n : TEXT_MAX;
    op->answer.text = (mailsrv_bytes){ NULL, 0 };
    if (n == 0)
        return;
    op->text = mailsrv__heap_take(&op->engine->heap, CLASS_OPERATIONS, purse, n);
    if (op->text == NULL)
        return; /* a text is a courtesy */
    op->text_octets = n;
    put_text(op->text, (mailsrv_bytes){ text.p, n });
    op->answer.text = (mailsrv_bytes){ op->text, n };
}

/* The results of a COMMIT have their room since it was asked: a message must not be stored and then not be told of. */
static void copy_results(struct op *op)
{
    mailsrv_committed *v = &op->value.committed;
    const mailsrv_arg_body_commit *arg = op->pub.arg;
    for (uint32_t i = 0; i < arg->n_targets; i++)
        op->results[i] = (mailsrv_result){ .status = MAILSRV_TEMP };
    for (uint32_t i = 0; i < arg->n_targets && i < v->n; i++) {
        memcpy(&op->results[i], (const char *)v->results + (size_t)i * v->stride, sizeof *op->results);
        mailsrv_bytes *text = &op->results[i].text;
        if (!is_status(op->results[i].status))
            op->results[i].status = MAILSRV_TEMP;
        if (!bytes_are_there(*text))
            *text = (mailsrv_bytes){ NULL, 0 };
        if (text->n > RESULT_TEXT_OCTETS)
            text->n = RESULT_TEXT_OCTETS; /* so much is kept for each */
        put_text(op->results_text, *text);
        text->p = op->results_text;
        op->results_text += text->n;
    }
    v->results = op->results;
    v->n = arg->n_targets;
    v->stride = sizeof *op->results;
}

void mailsrv__answer_store(struct op *op, const mailsrv_answer *answer)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    op->answer = (mailsrv_answer){ .size = sizeof op->answer, .status = answer->status };
    copy_text(op, answer->text);
    op->lent.release = answer->release;
    op->lent.user = answer->user;
    if (!is_status(answer->status))
        op->answer.status = MAILSRV_TEMP;
    if (op->answer.status != MAILSRV_OK || kind->value_octets == 0)
        return;
    memcpy(&op->value, answer->value, kind->value_octets);
    op->value_given = true;
    op->answer.value = &op->value;
    if (op->pub.kind == MAILSRV_OP_BODY_COMMIT)
        copy_results(op);
    if (op->pub.kind == MAILSRV_OP_READ && ((const mailsrv_arg_read *)op->pub.arg)->handle != 0)
        op->value.read_bytes.handle = 0; /* only the first answer gives one: an echo must not close it twice */
    if (answer->release == NULL && !copy_list(op)) {
        op->answer.status = MAILSRV_NOMEM;
        op->answer.value = NULL;
        mailsrv__op_close_unseen(op);
    }
}

/* ---- Settling ---- */

void mailsrv__op_tell(struct op *op)
{
    mailsrv_session *s = op->session;
    if (op->errand != NULL) {
        op->errand->answered(op->errand);
        return;
    }
    if (s == NULL) {
        if (!op->kept)
            mailsrv__op_finish_orphan(op);
        return;
    }
    if (!op->is_chunk)
        s->asker.open--;
    mailsrv__session_wake(s);
}

static void settle(struct op *op, const mailsrv_answer *answer)
{
    const struct kind *kind = mailsrv__kind(op->pub.kind);
    mailsrv__list_remove(&op->link);
    mailsrv__list_remove(&op->late_link);
    mailsrv__op_forget(op);
    op->engine->ops.n_out--;
    op->state = OP_ANSWERED;
    mailsrv__answer_store(op, answer);
    if (op->engine->ledger != NULL)
        op->engine->ledger->answered(op);
    if ((kind->flags & KIND_SECRET) != 0)
        mailsrv__wipe(op + 1, op->octets - sizeof *op);
    mailsrv__changed_by(op);
    mailsrv__op_tell(op);
}

/* A handler did what it must not: whoever runs the program is told, for no peer can be. */
static void blame(mailsrv_engine *e, uint64_t session_id, const char *kind, struct span fault)
{
    char text[EVENT_TEXT_MAX];
    size_t n = strlen(kind);
    memcpy(text, kind, n);
    memcpy(text + n, fault.p, fault.n);
    mailsrv__event(e, MAILSRV_EVENT_STORE_FAILED, session_id, text, n + fault.n);
}

static int32_t refuse_unknown(mailsrv_engine *e, mailsrv_op_id id, const mailsrv_answer *answer)
{
    if (id == 0 || id > e->ops.last_id)
        return MAILSRV_E_USAGE;
    blame(e, 0, "an operation", SPAN(" was answered twice"));
    if (answer->release != NULL)
        answer->release(answer->user);
    return MAILSRV_E_STALE;
}

int32_t mailsrv_op_answer(mailsrv_engine *e, mailsrv_op_id id, const mailsrv_answer *given)
{
    if (e == NULL || given == NULL || given->size < sizeof *given)
        return MAILSRV_E_USAGE;
    mailsrv_answer answer = *given;
    struct op *op = mailsrv__op_find(e, id);
    if (op == NULL)
        return refuse_unknown(e, id, &answer);
    if (op->state != OP_TAKEN)
        return MAILSRV_E_USAGE;
    if (!is_whole(op, &answer)) {
        blame(e, op->pub.session_id, mailsrv_op_name(op->pub.kind), SPAN(" was given an answer that is not whole"));
        return MAILSRV_E_USAGE;
    }
    settle(op, &answer);
    return MAILSRV_OK;
}

int32_t mailsrv_op_answer_status(mailsrv_engine *e, mailsrv_op_id id, int32_t status)
{
    const mailsrv_answer answer = { .size = sizeof answer, .status = status };
    return mailsrv_op_answer(e, id, &answer);
}
