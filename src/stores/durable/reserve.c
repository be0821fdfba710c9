/* A file that takes up room, so that there is some when the disk is full: for what frees, and for the index. */
#include "durable.h"

#include <stdio.h>

#define PIECE 16384

static void path_of(const struct durable *d, char out[PATH_MAX_OCTETS])
{
    snprintf(out, PATH_MAX_OCTETS, "%s/reserve", d->directory);
}

/* One that a process before this one made is as good. */
static int32_t fill(struct durable *d, void *file)
{
    static const uint8_t zeros[PIECE];
    uint64_t length = 0;
    int32_t status = d->files.length(d->files.user, file, &length);
    for (uint64_t at = length; at < d->reserve_octets && status == MAILSRV_OK; at += PIECE) {
        size_t n = d->reserve_octets - at < PIECE ? (size_t)(d->reserve_octets - at) : PIECE;
        status = d->files.write(d->files.user, file, zeros, n, at);
    }
    return status;
}

bool mailsrv__durable_reserve_make(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    void *file;
    if (d->has_reserve)
        return true;
    path_of(d, path);
    int32_t status = d->files.open(d->files.user, path, MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE, &file);
    if (status == MAILSRV_OK) {
        status = fill(d, file);
        d->files.close(d->files.user, file);
        if (status != MAILSRV_OK)
            d->files.unlink(d->files.user, path);
    }
    d->has_reserve = status == MAILSRV_OK;
    return status != MAILSRV_FULL; /* nothing else is full */
}

bool mailsrv__durable_reserve_use(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    path_of(d, path);
    if (!d->has_reserve || d->files.unlink(d->files.user, path) != MAILSRV_OK)
        return false;
    d->has_reserve = false;
    return true;
}
