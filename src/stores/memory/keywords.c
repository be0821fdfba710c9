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
    for (uint32_t i = 0; i < mbox->n_keywords; i++)
        if (same(mbox->keywords[i], name))
            return i;
    if (name.n == 0 || mbox->n_keywords >= m->knobs[MAILSRV_MEMORY_KEYWORDS])
        return MAILSRV_KEYWORDS_MAX;
    uint8_t *p = mailsrv__memory_take(m, name.n);
    if (p == NULL)
        return MAILSRV_KEYWORDS_MAX;
    memcpy(p, name.p, name.n);
    mbox->keywords[mbox->n_keywords] = (mailsrv_bytes){ p, name.n };
    return mbox->n_keywords++;
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

void mailsrv__memory_dictionary_free(struct memory *m, struct mailbox *mbox)
{
    for (uint32_t i = 0; i < mbox->n_keywords; i++)
        mailsrv__memory_give(m, (void *)(uintptr_t)mbox->keywords[i].p, mbox->keywords[i].n);
}

bool mailsrv__memory_dictionary_copy(struct memory *m, struct mailbox *to, const struct mailbox *from)
{
    for (uint32_t i = 0; i < from->n_keywords; i++) {
        uint8_t *p = mailsrv__memory_take(m, from->keywords[i].n);
        if (p == NULL)
            return false;
        memcpy(p, from->keywords[i].p, from->keywords[i].n);
        to->keywords[to->n_keywords++] = (mailsrv_bytes){ p, from->keywords[i].n };
    }
    return true;
}
