#include "words.h"

#include "names.h"

static void add_bytes(struct buffer *out, mailsrv_bytes b)
{
    buffer_add(out, b.p, b.n);
}

static void add_word(struct buffer *out, const char *before, mailsrv_bytes b, const char *after)
{
    buffer_add_text(out, before);
    add_bytes(out, b);
    buffer_add_text(out, after);
}

static void add_runs(struct buffer *out, const mailsrv_run *runs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i != 0)
            buffer_add_text(out, ",");
        buffer_add_number(out, runs[i].first);
        if (runs[i].last == runs[i].first)
            continue;
        buffer_add_text(out, ":");
        buffer_add_number(out, runs[i].last);
    }
}

static void add_flags(struct buffer *out, uint32_t flags, const mailsrv_bytes *keywords, size_t n_keywords)
{
    if (flags != 0)
        buffer_add_text(out, " ");
    names_of_flags(flags, out);
    for (size_t i = 0; i < n_keywords; i++)
        add_word(out, " ", keywords[i], "");
}

static void commit_words(const mailsrv_arg_body_commit *arg, struct buffer *out)
{
    buffer_add_text(out, arg->atomic ? "atomic" : "each");
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *t =
            (const mailsrv_target *)(const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        add_word(out, t->kind == MAILSRV_TARGET_QUEUE ? " queue " : " mailbox ", t->recipient, "");
        add_flags(out, t->flags, t->keywords, t->n_keywords);
    }
    add_word(out, " from ", arg->reverse_path, "");
}

static void two_numbers(struct buffer *out, uint64_t a, uint64_t b)
{
    buffer_add_number(out, a);
    buffer_add_text(out, " ");
    buffer_add_number(out, b);
}

static void queue_words(const mailsrv_op *op, struct buffer *out)
{
    if (op->kind == MAILSRV_OP_QUEUE_UPDATE) {
        const mailsrv_arg_queue_update *arg = op->arg;
        buffer_add_number(out, arg->queue);
        add_word(out, " ", arg->record, "");
    } else if (op->kind == MAILSRV_OP_QUEUE_DELETE) {
        const mailsrv_arg_queue_delete *arg = op->arg;
        for (uint32_t i = 0; i < arg->n; i++) {
            if (i != 0)
                buffer_add_text(out, " ");
            buffer_add_number(out, arg->queues[i]);
        }
    }
}

/* UIDs, then `+`, `-` or `=`, then what is changed. */
static void flags_words(const mailsrv_arg_flags *arg, struct buffer *out)
{
    add_runs(out, arg->uids, arg->n_uids);
    buffer_add_text(out, arg->how == MAILSRV_FLAGS_ADD ? " +" : arg->how == MAILSRV_FLAGS_REMOVE ? " -" : " =");
    add_flags(out, arg->flags, arg->keywords, arg->n_keywords);
}

static void name_words(const mailsrv_op *op, struct buffer *out)
{
    if (op->kind == MAILSRV_OP_MBOX_STATUS) {
        add_bytes(out, ((const mailsrv_arg_mbox_status *)op->arg)->name);
    } else if (op->kind == MAILSRV_OP_MBOX_CREATE) {
        add_bytes(out, ((const mailsrv_arg_mbox_create *)op->arg)->name);
    } else if (op->kind == MAILSRV_OP_MBOX_RENAME) {
        add_bytes(out, ((const mailsrv_arg_mbox_rename *)op->arg)->name);
    } else if (op->kind == MAILSRV_OP_MBOX_SUBSCRIBE) {
        const mailsrv_arg_mbox_subscribe *arg = op->arg;
        add_word(out, arg->on != 0 ? "on " : "off ", arg->name, "");
    }
}

static void mailbox_words(const mailsrv_op *op, struct buffer *out)
{
    if (op->kind == MAILSRV_OP_MBOX_OPEN) {
        const mailsrv_arg_mbox_open *arg = op->arg;
        add_word(out, "", arg->name, arg->for_writing ? " writing" : " reading");
    } else if (op->kind == MAILSRV_OP_ROWS) {
        const mailsrv_arg_rows *arg = op->arg;
        add_runs(out, arg->uids, arg->n_uids);
    } else if (op->kind == MAILSRV_OP_EXPUNGE) {
        const mailsrv_arg_expunge *arg = op->arg;
        add_runs(out, arg->uids, arg->n_uids);
    } else if (op->kind == MAILSRV_OP_FLAGS) {
        flags_words(op->arg, out);
    } else if (op->kind == MAILSRV_OP_COPY || op->kind == MAILSRV_OP_MOVE) {
        const mailsrv_arg_copy *arg = op->arg;
        add_runs(out, arg->uids, arg->n_uids);
    } else if (op->kind == MAILSRV_OP_CHANGES) {
        buffer_add_number(out, ((const mailsrv_arg_changes *)op->arg)->since);
    } else if (op->kind == MAILSRV_OP_READ) {
        const mailsrv_arg_read *arg = op->arg;
        buffer_add_number(out, arg->uid);
        buffer_add_text(out, " ");
        two_numbers(out, arg->offset, arg->octets);
    }
}

static void resolve_words(const mailsrv_arg_resolve *arg, struct buffer *out)
{
    add_word(out, "", arg->address, " from ");
    add_bytes(out, arg->reverse_path);
}

static void as_words(mailsrv_bytes identity, struct buffer *out)
{
    if (identity.n != 0)
        add_word(out, " as ", identity, "");
}

static void auth_words(const mailsrv_op *op, struct buffer *out)
{
    if (op->kind == MAILSRV_OP_AUTH_VERIFY) {
        const mailsrv_arg_auth_verify *arg = op->arg;
        add_word(out, "", arg->user, " [");
        add_word(out, "", arg->password, "]");
        as_words(arg->identity, out);
        add_word(out, " ", arg->mechanism, "");
        add_word(out, " ", arg->service, "");
    } else if (op->kind == MAILSRV_OP_AUTH_SCRAM_KEYS) {
        const mailsrv_arg_auth_scram_keys *arg = op->arg;
        add_word(out, "", arg->user, "");
        as_words(arg->identity, out);
        add_word(out, " ", arg->mechanism, "");
        add_word(out, " ", arg->service, "");
    } else if (op->kind == MAILSRV_OP_AUTH_EXTERNAL) {
        const mailsrv_arg_auth_external *arg = op->arg;
        add_word(out, "", arg->external, "");
        as_words(arg->identity, out);
        add_word(out, " ", arg->service, "");
    }
}

static void credential_words(const mailsrv_arg_credential *arg, struct buffer *out)
{
    add_bytes(out, arg->host);
    buffer_add_text(out, arg->verified != 0 ? " verified" : arg->secured != 0 ? " secured" : " clear");
}

/* The stage, and what it is about: an address, a name, a path, octets of a header, or octets and recipients. */
static void policy_words(const mailsrv_arg_policy *arg, struct buffer *out)
{
    static const char *const stages[] = { "CONNECT ", "HELO ", "MAIL ", "RCPT ", "HEADERS ", "EOM " };
    unsigned i = 0;
    while (i < 5 && arg->stage != 1u << i)
        i++;
    buffer_add_text(out, stages[i]);
    if (arg->stage == MAILSRV_STAGE_CONNECT)
        for (size_t b = 0; b < 4; b++) {
            buffer_add_text(out, b == 0 ? "" : ".");
            buffer_add_number(out, arg->peer->address[b]);
        }
    else if (arg->stage == MAILSRV_STAGE_HELO)
        add_bytes(out, arg->hello);
    else if (arg->stage == MAILSRV_STAGE_MAIL)
        add_bytes(out, arg->reverse_path);
    else if (arg->stage == MAILSRV_STAGE_RCPT)
        add_bytes(out, arg->recipient);
    else if (arg->stage == MAILSRV_STAGE_HEADERS)
        buffer_add_number(out, arg->header.n);
    else
        two_numbers(out, arg->octets, arg->recipients);
}

static void write_words(const mailsrv_arg_body_write *arg, struct buffer *out)
{
    two_numbers(out, arg->offset, arg->octets.n);
}

void op_words(const mailsrv_op *op, struct buffer *out)
{
    switch (op->kind) {
    case MAILSRV_OP_RESOLVE:
        resolve_words(op->arg, out);
        break;
    case MAILSRV_OP_BODY_BEGIN:
        buffer_add_number(out, ((const mailsrv_arg_body_begin *)op->arg)->octets_hint);
        break;
    case MAILSRV_OP_BODY_WRITE:
        write_words(op->arg, out);
        break;
    case MAILSRV_OP_BODY_COMMIT:
        commit_words(op->arg, out);
        break;
    case MAILSRV_OP_AUTH_VERIFY:
    case MAILSRV_OP_AUTH_SCRAM_KEYS:
    case MAILSRV_OP_AUTH_EXTERNAL:
        auth_words(op, out);
        break;
    case MAILSRV_OP_POLICY:
        policy_words(op->arg, out);
        break;
    case MAILSRV_OP_CREDENTIAL:
        credential_words(op->arg, out);
        break;
    default:
        mailbox_words(op, out);
        queue_words(op, out);
        name_words(op, out);
        break;
    }
}

/* ---- The digest: FNV-1a over the words, the octets that they leave out, and the handles ---- */

static uint64_t digest_of(uint64_t digest, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        digest = (digest ^ b[i]) * UINT64_C(0x100000001b3);
    return digest;
}

static uint64_t digest_of_commit(uint64_t digest, const mailsrv_arg_body_commit *arg)
{
    for (uint32_t i = 0; i < arg->n_targets; i++) {
        const mailsrv_target *t =
            (const mailsrv_target *)(const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
        digest = digest_of(digest, &t->account, sizeof t->account);
        digest = digest_of(digest, t->prefix.p, t->prefix.n);
        digest = digest_of(digest, t->record.p, t->record.n);
    }
    for (uint32_t i = 0; i < arg->n_bodies; i++) {
        const mailsrv_staged *b =
            (const mailsrv_staged *)(const void *)((const char *)arg->bodies + (size_t)i * arg->body_stride);
        digest = digest_of(digest, &b->body, sizeof b->body);
        digest = digest_of(digest, &b->octets, sizeof b->octets);
    }
    return digest;
}

uint64_t op_digest(const mailsrv_op *op)
{
    struct buffer words = { 0 };
    op_words(op, &words);
    uint64_t digest = digest_of(UINT64_C(0xcbf29ce484222325), words.p, words.n);
    buffer_free(&words);
    digest = digest_of(digest, op, sizeof *op);
    if (op->kind == MAILSRV_OP_BODY_WRITE) {
        const mailsrv_arg_body_write *arg = op->arg;
        digest = digest_of(digest, &arg->body, sizeof arg->body);
        digest = digest_of(digest, arg->octets.p, arg->octets.n);
    } else if (op->kind == MAILSRV_OP_BODY_COMMIT) {
        digest = digest_of_commit(digest, op->arg);
    } else if (op->kind == MAILSRV_OP_POLICY) {
        const mailsrv_arg_policy *arg = op->arg;
        digest = digest_of(digest, arg->peer, sizeof *arg->peer);
        digest = digest_of(digest, arg->header.p, arg->header.n);
    } else if (op->kind == MAILSRV_OP_READ) {
        const mailsrv_arg_read *arg = op->arg;
        digest = digest_of(digest, arg, sizeof *arg);
    }
    return digest;
}
