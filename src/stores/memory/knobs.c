#include "memory.h"

#include <string.h>

static const struct knob {
    const char *name;
    int32_t key;
    uint64_t least, most;
} knobs[] = {
    { "takes_queue", MAILSRV_MEMORY_TAKES_QUEUE, 0, 1 },
    { "atomic", MAILSRV_MEMORY_ATOMIC, 0, 1 },
    { "late", MAILSRV_MEMORY_LATE, 0, 1 },
    { "shuffle", MAILSRV_MEMORY_SHUFFLE, 0, UINT64_MAX },
    { "fail_nth", MAILSRV_MEMORY_FAIL_NTH, 0, UINT64_MAX },
    { "fail_status", MAILSRV_MEMORY_FAIL_STATUS, 200, 999 },
    { "page_rows", MAILSRV_MEMORY_PAGE_ROWS, 0, UINT32_MAX },
    { "read_octets", MAILSRV_MEMORY_READ_OCTETS, 0, UINT64_MAX },
    { "read_lends", MAILSRV_MEMORY_READ_LENDS, 0, 1 },
    { "read_handles", MAILSRV_MEMORY_READ_HANDLES, 0, 1 },
    { "octets_max", MAILSRV_MEMORY_OCTETS_MAX, 0, UINT64_C(1) << 63 },
    { "epoch", MAILSRV_MEMORY_EPOCH, 1, UINT32_MAX },
    { "without", MAILSRV_MEMORY_WITHOUT, 0, UINT64_MAX },
    { "history", MAILSRV_MEMORY_HISTORY, 0, UINT64_MAX },
    { "keywords", MAILSRV_MEMORY_KEYWORDS, 0, MAILSRV_KEYWORDS_MAX },
    { "mailboxes", MAILSRV_MEMORY_MAILBOXES, 1, UINT32_MAX },
    { "relay", MAILSRV_MEMORY_RELAY, 0, 1 },
    { "ascii", MAILSRV_MEMORY_ASCII, 0, 1 },
    { "modseqs", MAILSRV_MEMORY_MODSEQS, 0, 1 },
    { "quota", MAILSRV_MEMORY_QUOTA, 0, UINT64_C(1) << 63 },
    { "shard", MAILSRV_MEMORY_SHARD, 0, UINT32_MAX },
    { "uidnext", MAILSRV_MEMORY_UIDNEXT, 1, UINT32_MAX },
    { "rights", MAILSRV_MEMORY_RIGHTS, 0, MAILSRV_RIGHTS_ALL },
};

#define N_KNOBS (sizeof knobs / sizeof *knobs)

int32_t mailsrv_memory_key(const char *name)
{
    for (size_t i = 0; i < N_KNOBS; i++)
        if (strcmp(knobs[i].name, name) == 0)
            return knobs[i].key;
    return 0;
}

static int32_t check(int32_t key, uint64_t value)
{
    for (size_t i = 0; i < N_KNOBS; i++)
        if (knobs[i].key == key)
            return value >= knobs[i].least && value <= knobs[i].most ? MAILSRV_OK : MAILSRV_E_VALUE;
    return MAILSRV_E_UNKNOWN_KEY;
}

int32_t mailsrv_memory_set_u64(mailsrv_store *store, int32_t key, uint64_t value)
{
    struct memory *m = mailsrv__memory(store);
    int32_t status = key <= MAILSRV_MEMORY_MODSEQS ? check(key, value) : MAILSRV_E_UNKNOWN_KEY;
    if (status != MAILSRV_OK)
        return status;
    if (key == MAILSRV_MEMORY_EPOCH && m->accounts != NULL)
        return MAILSRV_E_USAGE;
    m->knobs[key] = value;
    if (key == MAILSRV_MEMORY_SHUFFLE)
        m->shuffled = value;
    return MAILSRV_OK;
}

static int32_t set_of_mailbox(struct mailbox *mbox, int32_t key, uint64_t value)
{
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    if (key == MAILSRV_MEMORY_RIGHTS) {
        mbox->rights = (uint32_t)value;
        return MAILSRV_OK;
    }
    if (value < mbox->uidnext)
        return MAILSRV_E_VALUE;
    mbox->uidnext = (uint32_t)value;
    return MAILSRV_OK;
}

int32_t mailsrv_memory_account_u64(mailsrv_store *store, const mailsrv_id *account, int32_t key, uint64_t value)
{
    struct memory *m = mailsrv__memory(store);
    struct account *a = mailsrv__memory_account(m, account);
    int32_t status = key >= MAILSRV_MEMORY_QUOTA ? check(key, value) : MAILSRV_E_UNKNOWN_KEY;
    if (status != MAILSRV_OK)
        return status;
    if (key == MAILSRV_MEMORY_UIDNEXT || key == MAILSRV_MEMORY_RIGHTS)
        return set_of_mailbox(mailsrv__memory_where(m, account), key, value);
    if (a == NULL)
        return MAILSRV_NONEXISTENT;
    if (key == MAILSRV_MEMORY_QUOTA)
        a->quota = value;
    else
        a->shard = (uint32_t)value;
    return MAILSRV_OK;
}
