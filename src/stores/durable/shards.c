/* The shards of a store: a directory each, with a log, an index and threads of its own.
 *
 * An account is in the shard that its bucket has, which is a hash of its name, and of its id, too: ids of accounts are
 * drawn so.  Which shard has a bucket is written down, and never changes: more shards could get buckets of their own.
 * A store with one shard writes nothing down, and has its files in its own directory. */
#include "durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_OCTETS (12 + BUCKETS_OF_ACCOUNTS) /* CRC, format, number, then the shard of each bucket */

/* What there is in a directory. */
struct found {
    struct durable *d;
    uint64_t shards; /* a bit for each that has a directory */
    bool has_store;  /* of one shard */
    bool has_some;   /* in the directory of a shard */
};

uint8_t mailsrv__durable_bucket(const void *p, size_t n)
{
    return (uint8_t)mailsrv__durable_crc(0, p, n);
}

struct durable *mailsrv__durable_shard_of(struct durable *d, const mailsrv_id *account)
{
    struct family *f = d->family;
    return f != NULL ? f->shards[f->table[mailsrv__durable_bucket(account->b, sizeof account->b)]] : d;
}

struct durable *mailsrv__durable_shard_of_name(struct durable *d, mailsrv_bytes name)
{
    struct family *f = d->family;
    return f != NULL ? f->shards[f->table[mailsrv__durable_bucket(name.p, name.n)]] : d;
}

uint32_t mailsrv__durable_shards(const struct durable *d)
{
    return d->family != NULL ? d->family->n : 1;
}

struct durable *mailsrv__durable_shard(struct durable *d, uint32_t i)
{
    return d->family != NULL ? d->family->shards[i] : d;
}

void mailsrv__durable_shard_name(uint32_t i, char out[4])
{
    static const char digits[] = "0123456789abcdef";
    out[0] = '/';
    out[1] = digits[i >> 4 & 15];
    out[2] = digits[i & 15];
    out[3] = '\0';
}

/* SHARDS_MAX: it is no shard's. */
uint32_t mailsrv__durable_shard_number(const char *name)
{
    char digits[4];
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        mailsrv__durable_shard_name(i, digits);
        if (strcmp(name, digits + 1) == 0)
            return i;
    }
    return SHARDS_MAX;
}

/* ---- What there is ---- */

static void find(void *context, const char *name)
{
    struct found *f = context;
    uint32_t i = mailsrv__durable_shard_number(name);
    if (i < SHARDS_MAX)
        f->shards |= UINT64_C(1) << i;
    if (mailsrv__durable_segment_number(name) != 0 || strcmp(name, "index.db") == 0)
        f->has_store = true;
}

static void find_below(void *context, const char *name)
{
    struct found *f = context;
    f->has_some = f->has_some || (strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
}

static int32_t look_around(struct durable *d, struct found *out)
{
    char path[PATH_MAX_OCTETS], name[4];
    *out = (struct found){ d, 0, false, false };
    int32_t status = d->files.list(d->files.user, d->directory, find, out);
    for (uint32_t i = 0; i < SHARDS_MAX && status == MAILSRV_OK; i++) {
        if ((out->shards >> i & 1) == 0)
            continue;
        mailsrv__durable_shard_name(i, name);
        snprintf(path, sizeof path, "%s%s", d->directory, name);
        status = d->files.list(d->files.user, path, find_below, out);
    }
    return status;
}

/* MAILSRV_GONE: it is not there, or not whole. */
static int32_t read_table(struct durable *d, struct family *out)
{
    char path[PATH_MAX_OCTETS];
    uint8_t octets[FILE_OCTETS];
    size_t got = 0;
    void *file;
    snprintf(path, sizeof path, "%s/" DURABLE_SHARDS, d->directory);
    int32_t status = d->files.open(d->files.user, path, 0, &file);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_GONE : status;
    status = d->files.read(d->files.user, file, octets, sizeof octets, 0, &got);
    d->files.close(d->files.user, file);
    if (status != MAILSRV_OK)
        return status;
    struct reader from = { octets, got, false };
    uint32_t crc = (uint32_t)mailsrv__durable_get_number(&from, 4);
    if (got < sizeof octets || mailsrv__durable_crc(0, octets + 4, sizeof octets - 4) != crc)
        return MAILSRV_GONE;
    if (mailsrv__durable_get_number(&from, 4) != FORMAT)
        return MAILSRV_CANNOT;
    out->n = (uint32_t)mailsrv__durable_get_number(&from, 4);
    memcpy(out->table, from.p, sizeof out->table);
    for (size_t i = 0; i < sizeof out->table; i++)
        if (out->table[i] >= out->n)
            return MAILSRV_CORRUPT;
    return out->n < 2 || out->n > SHARDS_MAX ? MAILSRV_CORRUPT : MAILSRV_OK;
}

static void put_table(const struct family *f, struct buffer *to)
{
    mailsrv__durable_put_number(to, 0, 4);
    mailsrv__durable_put_number(to, FORMAT, 4);
    mailsrv__durable_put_number(to, f->n, 4);
    mailsrv__durable_put(to, f->table, sizeof f->table);
    if (!to->failed)
        mailsrv__durable_set_number(to->p, mailsrv__durable_crc(0, to->p + 4, to->n - 4), 4);
}

int32_t mailsrv__durable_table_write(const struct family *f, struct durable *d)
{
    char path[PATH_MAX_OCTETS];
    struct buffer octets = { NULL, 0, 0, false };
    void *file;
    put_table(f, &octets);
    snprintf(path, sizeof path, "%s/" DURABLE_SHARDS, d->directory);
    int32_t status = octets.failed ? MAILSRV_NOMEM
                                   : d->files.open(d->files.user, path,
                                                   MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE |
                                                       MAILSRV_DURABLE_EMPTY,
                                                   &file);
    if (status == MAILSRV_OK) {
        status = d->files.write(d->files.user, file, octets.p, octets.n, 0);
        if (status == MAILSRV_OK)
            status = d->files.sync(d->files.user, file);
        d->files.close(d->files.user, file);
    }
    free(octets.p);
    return status == MAILSRV_OK ? d->files.sync_directory(d->files.user, d->directory) : status;
}

/* Nothing is put into a shard before it is written down which there are, and that is the last thing to be made: what
 * was cut off before is made again. */
static int32_t make(struct durable *d, struct family *f, uint32_t n)
{
    char path[PATH_MAX_OCTETS], name[4];
    int32_t status = MAILSRV_OK;
    f->n = n;
    for (uint32_t i = 0; i < BUCKETS_OF_ACCOUNTS; i++)
        f->table[i] = (uint8_t)(i % n);
    for (uint32_t i = 0; i < n && status == MAILSRV_OK; i++) {
        mailsrv__durable_shard_name(i, name);
        snprintf(path, sizeof path, "%s%s", d->directory, name);
        status = d->files.make_directory(d->files.user, path);
    }
    if (status == MAILSRV_OK)
        status = d->files.sync_directory(d->files.user, d->directory);
    return status == MAILSRV_OK ? mailsrv__durable_table_write(f, d) : status;
}

static int32_t found_or_made(struct durable *d, uint32_t wanted, struct family *f)
{
    struct found found;
    int32_t status = look_around(d, &found);
    if (status == MAILSRV_OK)
        status = read_table(d, f);
    if (status == MAILSRV_OK) {
        uint64_t all = UINT64_MAX >> (64 - f->n);
        return (found.shards & all) != all ? MAILSRV_CORRUPT : wanted != 0 && wanted != f->n ? MAILSRV_CANNOT : status;
    }
    if (status != MAILSRV_GONE)
        return status;
    f->n = 1;
    if (found.has_some)
        return MAILSRV_CORRUPT;
    if (wanted < 2)
        return MAILSRV_OK;
    return found.has_store ? MAILSRV_CANNOT : make(d, f, wanted);
}

/* ---- All of them ---- */

static int32_t new_family(struct durable *d, struct family **out)
{
    struct family *f = calloc(1, sizeof *f);
    if (f == NULL)
        return MAILSRV_NOMEM;
    pthread_mutex_init(&f->bodies, NULL);
    memcpy(f->directory, d->directory, sizeof f->directory);
    f->files = d->files;
    *out = f;
    return MAILSRV_OK;
}

static void free_family(struct family *f)
{
    if (f->lock != NULL)
        f->files.unlock(f->files.user, f->lock);
    pthread_mutex_destroy(&f->bodies);
    free(f);
}

int32_t mailsrv__durable_family_find(struct durable *d, uint32_t wanted, bool makes)
{
    struct family *f = NULL;
    int32_t status = new_family(d, &f);
    if (status != MAILSRV_OK)
        return status;
    status = makes ? found_or_made(d, wanted, f) : read_table(d, f);
    if (status != MAILSRV_OK || f->n < 2) {
        free_family(f);
        return status == MAILSRV_GONE ? MAILSRV_OK : status;
    }
    f->lock = d->process_lock;
    d->process_lock = NULL;
    d->family = f;
    f->shards[0] = d;
    return MAILSRV_OK;
}

void mailsrv__durable_becomes_shard(struct durable *d, struct family *f, uint32_t i)
{
    char name[4];
    size_t n = strlen(f->directory);
    mailsrv__durable_shard_name(i, name);
    memcpy(d->directory, f->directory, n);
    memcpy(d->directory + n, name, sizeof name);
    d->family = f;
    d->shard = i;
    f->shards[i] = d;
}

void mailsrv__durable_family_end(struct family *f, void (*end_one)(struct durable *d))
{
    for (uint32_t i = f->n; i-- > 0;)
        if (f->shards[i] != NULL)
            end_one(f->shards[i]);
    free_family(f);
}
