/* What was shown to somebody, of each mailbox: in memory alone, and lost when the store is closed. */
#include "durable.h"

#include <stdlib.h>

static struct recent **bucket(struct durable *d, const mailsrv_id *mailbox)
{
    struct recent **at = &d->recents[mailbox->b[15] % BUCKETS];
    while (*at != NULL && !mailsrv__durable_same(&(*at)->mailbox, mailbox))
        at = &(*at)->next;
    return at;
}

uint32_t mailsrv__durable_recent(struct durable *d, const mailsrv_id *mailbox, uint32_t uidvalidity, uint32_t uid)
{
    struct recent *mark = *bucket(d, mailbox);
    uint32_t before = mark != NULL && mark->uidvalidity == uidvalidity ? mark->uid : 0;
    if (mark != NULL && mark->uidvalidity == uidvalidity && uid > before)
        mark->uid = uid;
    return before;
}

/* Without memory a message is recent once more than it should be. */
void mailsrv__durable_recent_begin(struct durable *d, const mailsrv_id *mailbox, uint32_t uidvalidity)
{
    struct recent **at = bucket(d, mailbox);
    if (*at == NULL)
        *at = calloc(1, sizeof **at);
    if (*at == NULL || (*at)->uidvalidity >= uidvalidity)
        return;
    (*at)->mailbox = *mailbox;
    (*at)->uidvalidity = uidvalidity;
    (*at)->uid = 0;
}

uint32_t mailsrv__durable_recent_seen(struct durable *d, const mailsrv_id *mailbox, uint32_t uidvalidity,
                                      uint32_t uidnext)
{
    if (uidnext != 0)
        mailsrv__durable_recent_begin(d, mailbox, uidvalidity);
    return mailsrv__durable_recent(d, mailbox, uidvalidity, uidnext != 0 ? uidnext - 1 : 0);
}

void mailsrv__durable_recent_forget(struct durable *d, const mailsrv_id *mailbox)
{
    pthread_mutex_lock(&d->lock);
    struct recent **at = bucket(d, mailbox), *mark = *at;
    if (mark != NULL)
        *at = mark->next;
    pthread_mutex_unlock(&d->lock);
    free(mark);
}

void mailsrv__durable_recents_free(struct durable *d)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (d->recents[i] != NULL) {
            struct recent *next = d->recents[i]->next;
            free(d->recents[i]);
            d->recents[i] = next;
        }
}
