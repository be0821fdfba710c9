#include "mailbox/journal.h"

void mailsrv__journal_init(struct journal *j, struct heap *heap)
{
    *j = (struct journal){ .heap = heap };
}

void mailsrv__journal_drop(struct journal *j)
{
    mailsrv__heap_give(j->heap, CLASS_IMAGES, NULL, j->v, JOURNAL_ENTRIES * sizeof *j->v);
    j->v = NULL;
    j->first = j->next;
}

uint64_t mailsrv__journal_octets(const struct journal *j)
{
    return j->v == NULL ? 0 : JOURNAL_ENTRIES * sizeof *j->v;
}

static struct journal_entry *at(const struct journal *j, uint64_t number)
{
    return &j->v[number % JOURNAL_ENTRIES];
}

const struct journal_entry *mailsrv__journal_at(const struct journal *j, uint64_t number)
{
    return at(j, number);
}

void mailsrv__journal_add(struct journal *j, const struct journal_entry *entry)
{
    if (j->v == NULL)
        j->v = mailsrv__heap_take(j->heap, CLASS_IMAGES, NULL, JOURNAL_ENTRIES * sizeof *j->v);
    if (j->v == NULL) {
        j->first = ++j->next;
        return;
    }
    *at(j, j->next++) = *entry;
    if (j->next - j->first > JOURNAL_ENTRIES)
        j->first++;
}

void mailsrv__journal_skip(struct journal *j, uint32_t n)
{
    j->next += n;
    j->first = j->next;
}

void mailsrv__journal_settle(struct journal *j, uint32_t bit, uint64_t modseq, uint32_t origin)
{
    for (uint64_t i = j->first; i < j->next; i++) {
        struct journal_entry *entry = at(j, i);
        if ((entry->fits & bit) != 0 && entry->modseq == modseq)
            entry->origin = origin;
        entry->fits &= ~bit;
    }
}
