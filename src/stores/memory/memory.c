#include "memory.h"

#include "stores/common/heap.h"

#include <string.h>

struct memory *mailsrv__memory(mailsrv_store *store)
{
    return (struct memory *)(void *)store;
}

void *mailsrv__memory_take(struct memory *m, size_t n)
{
    void *p = m->allocator.alloc(m->allocator.user, n);
    if (p == NULL)
        return NULL;
    m->allocated += n;
    return memset(p, 0, n);
}

void mailsrv__memory_give(struct memory *m, void *p, size_t n)
{
    if (p == NULL)
        return;
    m->allocated -= n;
    m->allocator.release(m->allocator.user, p, n);
}

/* Through a volatile pointer, so that no compiler leaves it out as a store that nobody reads. */
void mailsrv__memory_wipe(void *p, size_t n)
{
    volatile uint8_t *v = p;
    for (size_t i = 0; i < n; i++)
        v[i] = 0;
}

static void put_number(uint8_t *to, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        to[i] = (uint8_t)number;
}

mailsrv_id mailsrv__memory_new_id(struct memory *m)
{
    mailsrv_id id;
    put_number(id.b, m->knobs[MAILSRV_MEMORY_EPOCH]);
    put_number(id.b + 8, ++m->last_id);
    return id;
}

bool mailsrv__memory_same_id(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool mailsrv__memory_no_id(const mailsrv_id *id)
{
    static const mailsrv_id none;
    return mailsrv__memory_same_id(id, &none);
}

static void end(mailsrv_store *store)
{
    struct memory *m = mailsrv__memory(store);
    mailsrv__memory_handles_end(m, NULL);
    mailsrv__memory_accounts_free(m);
    mailsrv__memory_shelf_free(m, &m->queue);
    m->due.n = 0; /* its items were the queue's */
    mailsrv__memory_shelf_free(m, &m->due);
    mailsrv_allocator from = m->allocator;
    from.release(from.user, m, sizeof *m);
}

static void set_defaults(struct memory *m)
{
    m->store.size = sizeof m->store;
    m->store.bind = mailsrv__memory_bind;
    m->store.end = end;
    m->held_end = &m->held;
    m->knobs[MAILSRV_MEMORY_TAKES_QUEUE] = 1;
    m->knobs[MAILSRV_MEMORY_ATOMIC] = 1;
    m->knobs[MAILSRV_MEMORY_FAIL_STATUS] = -MAILSRV_TEMP;
    m->knobs[MAILSRV_MEMORY_READ_LENDS] = 1;
    m->knobs[MAILSRV_MEMORY_OCTETS_MAX] = UINT64_C(1) << 63;
    m->knobs[MAILSRV_MEMORY_EPOCH] = 1;
    m->knobs[MAILSRV_MEMORY_MODSEQS] = 1;
    m->knobs[MAILSRV_MEMORY_HISTORY] = UINT64_MAX;
    m->knobs[MAILSRV_MEMORY_KEYWORDS] = MAILSRV_KEYWORDS_MAX;
    m->knobs[MAILSRV_MEMORY_MAILBOXES] = UINT32_MAX;
}

int32_t mailsrv_memory_new(const mailsrv_allocator *allocator, mailsrv_store **out)
{
    const mailsrv_allocator *from = allocator != NULL ? allocator : &mailsrv__stores_heap;
    if (out == NULL || from->size < sizeof *from || from->alloc == NULL || from->release == NULL)
        return MAILSRV_E_USAGE;
    struct memory *m = from->alloc(from->user, sizeof *m);
    if (m == NULL)
        return MAILSRV_NOMEM;
    memset(m, 0, sizeof *m);
    m->allocator = *from;
    set_defaults(m);
    *out = &m->store;
    return MAILSRV_OK;
}

static uint64_t in_all_mailboxes(const struct memory *m)
{
    uint64_t n = 0;
    for (const struct account *a = m->accounts; a != NULL; a = a->next)
        for (size_t i = 0; i < a->n_names; i++)
            n += a->names[i]->mailbox != NULL ? a->names[i]->mailbox->shelf.n : 0;
    return n;
}

uint64_t mailsrv_memory_stat(const mailsrv_store *store, int32_t key)
{
    const struct memory *m = (const struct memory *)(const void *)store;
    switch (key) {
    case MAILSRV_MEMORY_STAT_BODIES:
        return m->open[HANDLE_BODY];
    case MAILSRV_MEMORY_STAT_STORES:
        return m->open[HANDLE_STORE];
    case MAILSRV_MEMORY_STAT_MAILBOXES:
        return m->open[HANDLE_MAILBOX];
    case MAILSRV_MEMORY_STAT_LOCKS:
        return m->open[HANDLE_LOCK];
    case MAILSRV_MEMORY_STAT_READS:
        return m->open[HANDLE_READ];
    case MAILSRV_MEMORY_STAT_LENT:
        return m->lent;
    case MAILSRV_MEMORY_STAT_HELD:
        return m->n_held;
    case MAILSRV_MEMORY_STAT_ANSWERED:
        return m->answered;
    case MAILSRV_MEMORY_STAT_MESSAGES:
        return in_all_mailboxes(m);
    case MAILSRV_MEMORY_STAT_QUEUED:
        return m->queue.n;
    case MAILSRV_MEMORY_STAT_OCTETS:
        return m->octets;
    case MAILSRV_MEMORY_STAT_ALLOCATED:
        return m->allocated;
    default:
        return 0;
    }
}
