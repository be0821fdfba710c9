/* The dictionary of a mailbox: names of keywords, to which others are only ever added. */
#include "memory.h"

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

/* The number of a name, which is added if need be; MAILSRV_KEYWORDS_MAX: there is no room. */
static uint32_t number_of(struct memory *m, struct mailbox *mbox, mailsrv_bytes name)
{
    for (uint32_t i = 0; i < mbox->n_names; i++)
        if (same(mbox->names[i], name))
            return i;
    if (name.n == 0 || mbox->n_names >= m->knobs[MAILSRV_MEMORY_KEYWORDS])
        return MAILSRV_KEYWORDS_MAX;
    uint8_t *p = mailsrv__memory_take(m, name.n);
    if (p == NULL)
        return MAILSRV_KEYWORDS_MAX;
    memcpy(p, name.p, name.n);
    mbox->names[mbox->n_names] = (mailsrv_bytes){ p, name.n };
    return mbox->n_names++;
}

bool mailsrv__memory_intern(struct memory *m, struct mailbox *mbox, const mailsrv_bytes *names, size_t n,
                            uint64_t bits[2])
{
    bool all = true;
    for (size_t i = 0; i < n; i++) {
        uint32_t number = number_of(m, mbox, names[i]);
        if (number < MAILSRV_KEYWORDS_MAX)
            bits[number / 64] |= UINT64_C(1) << (number % 64);
        all = all && number < MAILSRV_KEYWORDS_MAX;
    }
    return all;
}

void mailsrv__memory_names_free(struct memory *m, struct mailbox *mbox)
{
    for (uint32_t i = 0; i < mbox->n_names; i++)
        mailsrv__memory_give(m, (void *)(uintptr_t)mbox->names[i].p, mbox->names[i].n);
}
