/* The segment that messages were read from last stays open: most of a mailbox lies in one. */
#include "durable.h"

#include <stdlib.h>

struct segment_file *mailsrv__durable_segment_file(struct durable *d, uint64_t number)
{
    pthread_mutex_lock(&d->lock);
    struct segment_file *one = d->kept != NULL && d->kept->number == number ? d->kept : NULL;
    if (one != NULL)
        one->refs++;
    pthread_mutex_unlock(&d->lock);
    return one;
}

void mailsrv__durable_segment_file_drop(struct durable *d, struct segment_file *one)
{
    if (one == NULL)
        return;
    pthread_mutex_lock(&d->lock);
    bool last = --one->refs == 0;
    pthread_mutex_unlock(&d->lock);
    if (!last)
        return;
    d->files.close(d->files.user, one->file);
    free(one);
}

static uint64_t segments_gone(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    uint64_t gone = d->segments_gone;
    pthread_mutex_unlock(&d->lock);
    return gone;
}

/* In place of the one that is kept; but none that may have gone while it was opened, for its room on the disk would be
 * taken until another one is read. */
static void keep(struct durable *d, struct segment_file *one, uint64_t gone)
{
    pthread_mutex_lock(&d->lock);
    struct segment_file *before = NULL;
    if (gone == d->segments_gone) {
        before = d->kept;
        d->kept = one;
        one->refs++;
    }
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_segment_file_drop(d, before);
}

int32_t mailsrv__durable_segment_file_open(struct durable *d, uint64_t number, struct segment_file **out)
{
    char path[PATH_MAX_OCTETS];
    struct segment_file *one = malloc(sizeof *one);
    if (one == NULL)
        return MAILSRV_NOMEM;
    mailsrv__durable_segment_path(d, number, path);
    const uint64_t gone = segments_gone(d);
    int32_t status = d->files.open(d->files.user, path, 0, &one->file);
    if (status != MAILSRV_OK) {
        free(one);
        return status;
    }
    one->number = number;
    one->refs = 1;
    keep(d, one, gone);
    *out = one;
    return MAILSRV_OK;
}

void mailsrv__durable_segment_file_forget(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    struct segment_file *before = d->kept;
    d->kept = NULL;
    d->segments_gone++;
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_segment_file_drop(d, before);
}
