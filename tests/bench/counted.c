#include "counted.h"

#include <stdlib.h>
#include <string.h>

struct file {
    void *file;
    int is_index, is_log;
};

static struct counted *of(void *user)
{
    return user;
}

static const mailsrv_durable_files *system_of(void *user)
{
    return &of(user)->system;
}

static int32_t open_file(void *user, const char *path, uint32_t flags, void **out)
{
    struct file *f = malloc(sizeof *f);
    if (f == NULL)
        return MAILSRV_NOMEM;
    f->is_index = strstr(path, "/index.db") != NULL;
    f->is_log = strstr(path, "/index.db-wal") != NULL;
    int32_t status = system_of(user)->open(system_of(user)->user, path, flags, &f->file);
    if (status == MAILSRV_OK)
        *out = f;
    else
        free(f);
    return status;
}

static void close_file(void *user, void *file)
{
    struct file *f = file;
    system_of(user)->close(system_of(user)->user, f->file);
    free(f);
}

static int32_t read_file(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    struct file *f = file;
    of(user)->read += f->is_index ? n / INDEX_PAGE : 0;
    return system_of(user)->read(system_of(user)->user, f->file, p, n, offset, got);
}

static int32_t read_now(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    struct file *f = file;
    return system_of(user)->read_now(system_of(user)->user, f->file, p, n, offset, got);
}

static int32_t write_file(void *user, void *file, const void *p, size_t n, uint64_t offset)
{
    struct file *f = file;
    if (f->is_index)
        *(f->is_log ? &of(user)->touched : &of(user)->moved) += n / INDEX_PAGE;
    else
        of(user)->appended += n;
    return system_of(user)->write(system_of(user)->user, f->file, p, n, offset);
}

static int32_t truncate_file(void *user, void *file, uint64_t octets)
{
    struct file *f = file;
    return system_of(user)->truncate(system_of(user)->user, f->file, octets);
}

static int32_t length_of(void *user, void *file, uint64_t *out)
{
    struct file *f = file;
    return system_of(user)->length(system_of(user)->user, f->file, out);
}

static int32_t sync_file(void *user, void *file)
{
    struct file *f = file;
    of(user)->n_syncs++;
    return of(user)->syncs ? system_of(user)->sync(system_of(user)->user, f->file) : MAILSRV_OK;
}

static int32_t sync_directory(void *user, const char *path)
{
    return of(user)->syncs ? system_of(user)->sync_directory(system_of(user)->user, path) : MAILSRV_OK;
}

static int32_t unlink_file(void *user, const char *path)
{
    return system_of(user)->unlink(system_of(user)->user, path);
}

static int32_t make_directory(void *user, const char *path)
{
    return system_of(user)->make_directory(system_of(user)->user, path);
}

static int32_t list(void *user, const char *path, void (*each)(void *context, const char *name), void *context)
{
    return system_of(user)->list(system_of(user)->user, path, each, context);
}

static int32_t lock(void *user, const char *path, void **out)
{
    return system_of(user)->lock(system_of(user)->user, path, out);
}

static void unlock(void *user, void *held)
{
    system_of(user)->unlock(system_of(user)->user, held);
}

static int32_t link_file(void *user, const char *path, const char *other)
{
    return system_of(user)->link(system_of(user)->user, path, other);
}

void counted_init(struct counted *counted, int syncs)
{
    memset(counted, 0, sizeof *counted);
    counted->syncs = syncs;
    counted->system.size = sizeof counted->system;
    mailsrv_durable_system_files(&counted->system);
    counted->files = (mailsrv_durable_files){
        .size = sizeof counted->files,
        .user = counted,
        .open = open_file,
        .close = close_file,
        .read = read_file,
        .write = write_file,
        .truncate = truncate_file,
        .length = length_of,
        .sync = sync_file,
        .unlink = unlink_file,
        .make_directory = make_directory,
        .sync_directory = sync_directory,
        .list = list,
        .lock = lock,
        .unlock = unlock,
        .read_now = read_now,
        .link = link_file,
    };
}
