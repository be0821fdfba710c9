/* The segment that messages were read from last stays open: most of a mailbox lies in one. */
#include "durable.h"

#include <stdlib.h>

struct opened *mailsrv__durable_file_kept(struct durable *d, uint64_t number)
{
    pthread_mutex_lock(&d->lock);
    struct opened *opened = d->opened != NULL && d->opened->number == number ? d->opened : NULL;
    if (opened != NULL)
        opened->refs++;
    pthread_mutex_unlock(&d->lock);
    return opened;
}

void mailsrv__durable_file_drop(struct durable *d, struct opened *opened)
{
    if (opened == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    bool last = --opened->refs == 0;
    pthread_mutex_unlock(&d->lock);
    if (!last)
        return;
    d->files.close(d->files.user, opened->file);
    free(opened);
}

/* In place of the one that is kept. */
static void keep(struct durable *d, struct opened *opened)
{
    pthread_mutex_lock(&d->lock);
    struct opened *before = d->opened;
    d->opened = opened;
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_file_drop(d, before);
}

int32_t mailsrv__durable_file_open(struct durable *d, uint64_t number, struct opened **out)
{
    char path[PATH_MAX_OCTETS];
    struct opened *opened = malloc(sizeof *opened);
    if (opened == NULL)
        return MAILSRV_NOMEM;
    mailsrv__durable_segment_path(d, number, path);
    int32_t status = d->files.open(d->files.user, path, 0, &opened->file);
    if (status != MAILSRV_OK) {
        free(opened);
        return status;
    }
    opened->number = number;
    opened->refs = 2; /* who asks, and the store */
    keep(d, opened);
    *out = opened;
    return MAILSRV_OK;
}

void mailsrv__durable_file_forget(struct durable *d)
{
    keep(d, NULL);
}
