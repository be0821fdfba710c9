#include "core/kind.h"

#include <mailsrv/auth.h>
#include <mailsrv/policy.h>
#include <mailsrv/queue.h>

#define GIVES(type, field, closer_kind) sizeof(type), offsetof(type, field), KIND_GIVES, closer_kind
#define CLOSES(number, text) [number] = { text, sizeof(mailsrv_arg_close), 0, 0, KIND_STAYS, 0 }

static const struct kind kinds[KIND_NUMBERS] = {
    [MAILSRV_OP_RESOLVE] = { "RESOLVE", sizeof(mailsrv_arg_resolve), sizeof(mailsrv_resolved), 0, 0, 0 },
    [MAILSRV_OP_BODY_BEGIN] = { "BODY_BEGIN", sizeof(mailsrv_arg_body_begin),
                                GIVES(mailsrv_body_begun, body, MAILSRV_OP_BODY_CLOSE) },
    [MAILSRV_OP_BODY_WRITE] = { "BODY_WRITE", sizeof(mailsrv_arg_body_write), 0, 0, KIND_WRITES, 0 },
    [MAILSRV_OP_BODY_COMMIT] = { "BODY_COMMIT", sizeof(mailsrv_arg_body_commit), sizeof(mailsrv_committed), 0,
                                 KIND_WRITES, 0 },
    CLOSES(MAILSRV_OP_BODY_CLOSE, "BODY_CLOSE"),
    [MAILSRV_OP_AUTH_VERIFY] = { "AUTH_VERIFY", sizeof(mailsrv_arg_auth_verify), sizeof(mailsrv_identity), 0,
                                 KIND_SECRET, 0 },
    [MAILSRV_OP_AUTH_SCRAM_KEYS] = { "AUTH_SCRAM_KEYS", sizeof(mailsrv_arg_auth_scram_keys),
                                     sizeof(mailsrv_scram_record), 0, KIND_SECRET, 0 },
    [MAILSRV_OP_AUTH_EXTERNAL] = { "AUTH_EXTERNAL", sizeof(mailsrv_arg_auth_external), sizeof(mailsrv_identity), 0, 0,
                                   0 },
    [MAILSRV_OP_STORE_OPEN] = { "STORE_OPEN", sizeof(mailsrv_arg_store_open),
                                GIVES(mailsrv_store_opened, store, MAILSRV_OP_STORE_CLOSE) },
    CLOSES(MAILSRV_OP_STORE_CLOSE, "STORE_CLOSE"),
    [MAILSRV_OP_MBOX_OPEN] = { "MBOX_OPEN", sizeof(mailsrv_arg_mbox_open),
                               GIVES(mailsrv_mbox_opened, mbox, MAILSRV_OP_MBOX_CLOSE) },
    CLOSES(MAILSRV_OP_MBOX_CLOSE, "MBOX_CLOSE"),
    [MAILSRV_OP_ROWS] = { "ROWS", sizeof(mailsrv_arg_rows), sizeof(mailsrv_rows), 0, 0, 0 },
    [MAILSRV_OP_READ] = { "READ", sizeof(mailsrv_arg_read),
                          GIVES(mailsrv_read_bytes, handle, MAILSRV_OP_READ_CLOSE) },
    CLOSES(MAILSRV_OP_READ_CLOSE, "READ_CLOSE"),
    [MAILSRV_OP_EXPUNGE] = { "EXPUNGE", sizeof(mailsrv_arg_expunge), sizeof(mailsrv_expunged), 0,
                             KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_CHANGES] = { "CHANGES", sizeof(mailsrv_arg_changes), sizeof(mailsrv_changes), 0, 0, 0 },
    [MAILSRV_OP_FLAGS] = { "FLAGS", sizeof(mailsrv_arg_flags), sizeof(mailsrv_flagged), 0,
                           KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_COPY] = { "COPY", sizeof(mailsrv_arg_copy), sizeof(mailsrv_copied), 0, KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_MOVE] = { "MOVE", sizeof(mailsrv_arg_copy), sizeof(mailsrv_copied), 0, KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_MBOX_LIST] = { "MBOX_LIST", sizeof(mailsrv_arg_mbox_list), sizeof(mailsrv_mbox_listed), 0, 0, 0 },
    [MAILSRV_OP_MBOX_STATUS] = { "MBOX_STATUS", sizeof(mailsrv_arg_mbox_status), sizeof(mailsrv_mbox_status), 0, 0, 0 },
    [MAILSRV_OP_MBOX_CREATE] = { "MBOX_CREATE", sizeof(mailsrv_arg_mbox_create), sizeof(mailsrv_mbox_created), 0,
                                 KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_MBOX_DELETE] = { "MBOX_DELETE", sizeof(mailsrv_arg_mbox_delete), 0, 0, KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_MBOX_RENAME] = { "MBOX_RENAME", sizeof(mailsrv_arg_mbox_rename), 0, 0, KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_MBOX_SUBSCRIBE] = { "MBOX_SUBSCRIBE", sizeof(mailsrv_arg_mbox_subscribe), 0, 0,
                                    KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_LOCK] = { "LOCK", sizeof(mailsrv_arg_lock), GIVES(mailsrv_locked, lock, MAILSRV_OP_UNLOCK) },
    CLOSES(MAILSRV_OP_UNLOCK, "UNLOCK"),
    [MAILSRV_OP_POLICY] = { "POLICY", sizeof(mailsrv_arg_policy), sizeof(mailsrv_verdict), 0, 0, 0 },
    [MAILSRV_OP_QUEUE_SCAN] = { "QUEUE_SCAN", sizeof(mailsrv_arg_queue_scan), sizeof(mailsrv_queued), 0, 0, 0 },
    [MAILSRV_OP_QUEUE_UPDATE] = { "QUEUE_UPDATE", sizeof(mailsrv_arg_queue_update), 0, 0, KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_QUEUE_DELETE] = { "QUEUE_DELETE", sizeof(mailsrv_arg_queue_delete), 0, 0, KIND_WRITES | KIND_STAYS, 0 },
    [MAILSRV_OP_ROUTE] = { "ROUTE", sizeof(mailsrv_arg_route), sizeof(mailsrv_route), 0, 0, 0 },
    [MAILSRV_OP_DNS] = { "DNS", sizeof(mailsrv_arg_dns), sizeof(mailsrv_dns_reply), 0, 0, 0 },
    [MAILSRV_OP_CONNECT] = { "CONNECT", sizeof(mailsrv_arg_connect), 0, 0, 0, 0 },
    [MAILSRV_OP_CREDENTIAL] = { "CREDENTIAL", sizeof(mailsrv_arg_credential), sizeof(mailsrv_credential), 0,
                                KIND_SECRET, 0 },
    [MAILSRV_OP_RETRY] = { "RETRY", sizeof(mailsrv_arg_retry), sizeof(mailsrv_retry), 0, 0, 0 },
    [MAILSRV_OP_JOB] = { "JOB", sizeof(mailsrv_arg_job), 0, 0, 0, 0 },
    [MAILSRV_NOTICE_CHANGED] = { "CHANGED", sizeof(mailsrv_arg_changed), 0, 0, 0, 0 },
    [MAILSRV_NOTICE_CANCEL] = { "CANCEL", sizeof(mailsrv_arg_cancel), 0, 0, 0, 0 },
};

const struct kind *mailsrv__kind(int32_t number)
{
    static const struct kind none = { 0 };
    return number < 0 || number >= KIND_NUMBERS ? &none : &kinds[number];
}

const char *mailsrv_op_name(int32_t kind)
{
    const char *name = mailsrv__kind(kind)->name;
    return name == NULL ? "unknown" : name;
}
