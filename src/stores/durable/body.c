/* Staged bodies: in memory while they are small and there is room, else in a file of their own, so that nobody's body
 * waits for another's end. */
#include "durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mailsrv__durable_body_path(const struct durable *d, uint64_t number, char out[PATH_MAX_OCTETS])
{
    snprintf(out, PATH_MAX_OCTETS, "%s/bodies/%016llx", d->directory, (unsigned long long)number);
}

struct body *mailsrv__durable_body_new(struct durable *d)
{
    struct body *body = calloc(1, sizeof *body);
    if (body == NULL)
        return NULL;
    pthread_mutex_lock(&d->lock);
    body->number = ++d->last_staged;
    pthread_mutex_unlock(&d->lock);
    return body;
}

static void give_back(struct durable *d, size_t n)
{
    pthread_mutex_lock(&d->lock);
    d->staged_octets -= n;
    pthread_mutex_unlock(&d->lock);
}

static void give_memory(struct durable *d, struct body *body)
{
    free(body->p);
    give_back(d, body->room);
    body->p = NULL;
    body->room = 0;
}

void mailsrv__durable_body_free(struct durable *d, struct body *body)
{
    char path[PATH_MAX_OCTETS];
    if (body->origin == NULL)
        give_memory(d, body);
    if (body->file != NULL) {
        d->files.close(d->files.user, body->file);
        mailsrv__durable_body_path(d, body->number, path);
        if (!body->kept)
            d->files.unlink(d->files.user, path);
    }
    free(body);
}

static bool reserve(struct durable *d, size_t more)
{
    pthread_mutex_lock(&d->lock);
    bool fits = d->memory_octets - d->staged_octets >= more;
    if (fits)
        d->staged_octets += more;
    pthread_mutex_unlock(&d->lock);
    return fits;
}

static bool grow(struct durable *d, struct body *body, size_t n)
{
    size_t room = body->room * 2 > 4096 ? body->room * 2 : 4096;
    room = room > INLINE_MAX ? INLINE_MAX : room;
    room = room < n ? n : room;
    if (!reserve(d, room - body->room))
        return false;
    uint8_t *p = realloc(body->p, room);
    if (p == NULL) {
        give_back(d, room - body->room);
        return false;
    }
    body->p = p;
    body->room = room;
    return true;
}

bool mailsrv__durable_body_add(struct durable *d, struct body *body, mailsrv_bytes octets)
{
    if (body->file != NULL || body->is_large || octets.n > INLINE_MAX - body->octets)
        return false;
    size_t n = (size_t)body->octets + octets.n;
    if (body->room < n && !grow(d, body, n))
        return false;
    memcpy(body->p + body->octets, octets.p, octets.n);
    body->octets = n;
    return true;
}

static int32_t move_to_file(struct durable *d, struct body *body)
{
    char path[PATH_MAX_OCTETS];
    mailsrv__durable_body_path(d, body->number, path);
    int32_t status = d->files.open(
        d->files.user, path, MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE | MAILSRV_DURABLE_EMPTY, &body->file);
    if (status != MAILSRV_OK) {
        body->file = NULL;
        return status;
    }
    if (body->octets != 0)
        status = d->files.write(d->files.user, body->file, body->p, (size_t)body->octets, 0);
    give_memory(d, body);
    return status;
}

int32_t mailsrv__durable_body_spill(struct durable *d, struct body *body, mailsrv_bytes octets)
{
    int32_t status = body->broken ? MAILSRV_TEMP : MAILSRV_OK;
    if (status == MAILSRV_OK && body->file == NULL)
        status = move_to_file(d, body);
    if (status == MAILSRV_OK)
        status = d->files.write(d->files.user, body->file, octets.p, octets.n, body->octets);
    if (status == MAILSRV_OK)
        body->octets += octets.n;
    else
        body->broken = true;
    body->synced = false;
    return status;
}

static int32_t sync_alone(struct durable *d, struct body *body)
{
    body->broken = body->broken || mailsrv__durable_sync(d, body->file, 0) != MAILSRV_OK;
    return body->broken ? MAILSRV_TEMP : MAILSRV_OK;
}

/* Where the sync of one shard fails, no other that has the same file may take its pages for written. */
int32_t mailsrv__durable_body_sync_octets(struct durable *d, struct body *body)
{
    if (d->family == NULL)
        return sync_alone(d, body);
    struct body *origin = body->origin != NULL ? body->origin : body;
    pthread_mutex_lock(&d->family->bodies);
    body->broken = body->broken || origin->broken;
    int32_t status = sync_alone(d, body);
    origin->broken = body->broken;
    pthread_mutex_unlock(&d->family->bodies);
    return status;
}

/* Other shards may be looking at it. */
void mailsrv__durable_body_breaks(struct durable *d, struct body *body)
{
    if (d->family != NULL)
        pthread_mutex_lock(&d->family->bodies);
    body->broken = true;
    if (d->family != NULL)
        pthread_mutex_unlock(&d->family->bodies);
}

int32_t mailsrv__durable_bodies_sync_names(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    snprintf(path, sizeof path, "%s/bodies", d->directory);
    return d->files.sync_directory(d->files.user, path);
}

/* The file, then its name; the log names it after both. */
int32_t mailsrv__durable_body_sync(struct durable *d, struct body *body)
{
    if (body->synced)
        return MAILSRV_OK;
    int32_t status = mailsrv__durable_body_sync_octets(d, body);
    if (status == MAILSRV_OK) {
        status = mailsrv__durable_bodies_sync_names(d);
        body->synced = status == MAILSRV_OK;
        if (!body->synced)
            mailsrv__durable_body_breaks(d, body);
    }
    return status;
}

/* ---- What nothing names ---- */

uint64_t mailsrv__durable_body_number(const char *name)
{
    uint64_t number = 0;
    if (strlen(name) != 16)
        return 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return 0;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return number;
}

static void clean(void *context, const char *name)
{
    struct durable *d = context;
    char path[PATH_MAX_OCTETS];
    uint64_t number = mailsrv__durable_body_number(name);
    if (number == 0)
        return;
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_BODY_GET, "i", (int64_t)number);
    if (row == NULL)
        return;
    bool nobody = sqlite3_step(row) == SQLITE_DONE;
    sqlite3_reset(row);
    mailsrv__durable_body_path(d, number, path);
    if (nobody)
        d->files.unlink(d->files.user, path);
}

void mailsrv__durable_bodies_clean(struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    snprintf(path, sizeof path, "%s/bodies", d->directory);
    d->files.list(d->files.user, path, clean, d);
}
