/* backup: a copy of the data directory that can be served from, also while the server runs. */
#include "office.h"

#include <mailsrv/stores/durable.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define TOLD_EVERY (UINT64_C(1) << 30) /* octets */

struct backup {
    const struct errand *errand;
    uint64_t told;
};

/* A client that has gone ends it. */
static int32_t tell(void *user, uint64_t octets, uint64_t octets_all)
{
    struct backup *b = user;
    if (octets / TOLD_EVERY == b->told / TOLD_EVERY && octets != octets_all)
        return MAILSRV_OK;
    b->told = octets;
    fprintf(b->errand->err, "mailserverd: %" PRIu64 " of %" PRIu64 " MiB\n", octets >> 20, octets_all >> 20);
    return ferror(b->errand->err) ? MAILSRV_TEMP : MAILSRV_OK;
}

static bool is_empty(const char *path)
{
    DIR *all = opendir(path);
    bool empty = all != NULL;
    for (struct dirent *one; empty && (one = readdir(all)) != NULL;)
        empty = strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0;
    if (all != NULL)
        closedir(all);
    return empty;
}

static bool make_directory(const struct errand *e, const char *path)
{
    if (mkdir(path, 0700) == 0 || (errno == EEXIST && is_empty(path)))
        return true;
    fprintf(e->err, "mailserverd: %s: expected a directory that is empty, or not there: %s\n", path, strerror(errno));
    return false;
}

/* Last of all: who came meanwhile is among them, and gets his account when it is served. */
static bool copy_people(const struct errand *e, const char *directory)
{
    pthread_mutex_lock(&e->office->mutex);
    const bool ok = people_write(e->office->people, PEOPLE_USERS, directory, e->err) &&
                    people_write(e->office->people, PEOPLE_ALIASES, directory, e->err);
    pthread_mutex_unlock(&e->office->mutex);
    return ok;
}

int do_backup(struct errand *e)
{
    char store[PATH_OCTETS + 16];
    struct backup b = { .errand = e };
    const char *directory = e->argc > 1 ? e->argv[1] : "";
    const int n = snprintf(store, sizeof store, "%s/store", directory);
    if (*directory != '/' || n < 0 || (size_t)n >= PATH_OCTETS)
        return errand_failed(e, directory, MAILSRV_CANNOT);
    if (!make_directory(e, directory))
        return 1;
    const int32_t status = mailsrv_durable_copy(e->office->store, store, tell, &b);
    if (status != MAILSRV_OK)
        return errand_failed(e, store, status);
    if (!copy_people(e, directory))
        return 1;
    fprintf(e->out, "%s: a copy of %s\n", directory, e->config->data);
    return 0;
}
