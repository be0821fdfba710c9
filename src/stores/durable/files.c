/* The system's own files. */
#define _GNU_SOURCE /* preadv2, where the system has it */
#include "durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int32_t failure(void)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return MAILSRV_FULL;
    return errno == ENOENT ? MAILSRV_NONEXISTENT : MAILSRV_TEMP;
}

static int descriptor(const void *file)
{
    return (int)(intptr_t)file - 1;
}

/* One more than the descriptor, so that it is never NULL. */
static void *file_of(int fd)
{
    return (void *)(intptr_t)(fd + 1);
}

static int32_t open_file(void *user, const char *path, uint32_t flags, void **out)
{
    (void)user;
    int how = O_CLOEXEC | ((flags & MAILSRV_DURABLE_WRITE) != 0 ? O_RDWR : O_RDONLY);
    if ((flags & MAILSRV_DURABLE_CREATE) != 0)
        how |= O_CREAT;
    if ((flags & MAILSRV_DURABLE_EMPTY) != 0)
        how |= O_TRUNC;
    int fd = open(path, how, 0600);
    if (fd < 0)
        return failure();
    *out = file_of(fd);
    return MAILSRV_OK;
}

static void close_file(void *user, void *file)
{
    (void)user;
    close(descriptor(file));
}

static int32_t read_file(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    (void)user;
    size_t done = 0;
    while (done < n) {
        ssize_t some = pread(descriptor(file), (char *)p + done, n - done, (off_t)(offset + done));
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return failure();
        if (some == 0)
            break;
        done += (size_t)some;
    }
    *got = done;
    return MAILSRV_OK;
}

#ifdef RWF_NOWAIT
/* What fails is left to who may wait, and say why; so it is where kernel or file system know no RWF_NOWAIT. */
static int32_t read_file_now(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    (void)user;
    for (*got = 0; *got < n;) {
        struct iovec rest = { (char *)p + *got, n - *got };
        ssize_t some = preadv2(descriptor(file), &rest, 1, (off_t)(offset + *got), RWF_NOWAIT);
        if (some < 0)
            return MAILSRV_MORE;
        if (some == 0)
            break;
        *got += (size_t)some;
    }
    return MAILSRV_OK;
}
#define READ_NOW read_file_now
#else
#define READ_NOW NULL
#endif

static int32_t write_file(void *user, void *file, const void *p, size_t n, uint64_t offset)
{
    (void)user;
    for (size_t done = 0; done < n;) {
        ssize_t some = pwrite(descriptor(file), (const char *)p + done, n - done, (off_t)(offset + done));
        if (some < 0 && errno == EINTR)
            continue;
        if (some < 0)
            return failure();
        done += (size_t)some;
    }
    return MAILSRV_OK;
}

static int32_t truncate_file(void *user, void *file, uint64_t octets)
{
    (void)user;
    return ftruncate(descriptor(file), (off_t)octets) == 0 ? MAILSRV_OK : failure();
}

static int32_t length_of_file(void *user, void *file, uint64_t *out)
{
    struct stat about;
    (void)user;
    if (fstat(descriptor(file), &about) != 0)
        return failure();
    *out = (uint64_t)about.st_size;
    return MAILSRV_OK;
}

static int32_t sync_file(void *user, void *file)
{
    (void)user;
    return fdatasync(descriptor(file)) == 0 ? MAILSRV_OK : failure();
}

static int32_t unlink_file(void *user, const char *path)
{
    (void)user;
    return unlink(path) == 0 ? MAILSRV_OK : failure();
}

static int32_t link_file(void *user, const char *from, const char *to)
{
    (void)user;
    return link(from, to) == 0 ? MAILSRV_OK : failure();
}

static int32_t make_directory(void *user, const char *path)
{
    (void)user;
    return mkdir(path, 0700) == 0 || errno == EEXIST ? MAILSRV_OK : failure();
}

static int32_t sync_directory(void *user, const char *path)
{
    (void)user;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failure();
    int32_t status = fsync(fd) == 0 ? MAILSRV_OK : failure();
    close(fd);
    return status;
}

static int32_t list_directory(void *user, const char *path, void (*each)(void *context, const char *name),
                              void *context)
{
    (void)user;
    DIR *all = opendir(path);
    if (all == NULL)
        return failure();
    errno = 0;
    for (struct dirent *one = readdir(all); one != NULL; one = readdir(all))
        each(context, one->d_name);
    int32_t status = errno == 0 ? MAILSRV_OK : failure();
    closedir(all);
    return status;
}

/* The kernel's lock goes with the process; a file alone would stay. */
static int32_t lock(void *user, const char *path, void **out)
{
    (void)user;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return failure();
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int32_t status = errno == EWOULDBLOCK ? MAILSRV_INUSE : failure();
        close(fd);
        return status;
    }
    *out = file_of(fd);
    return MAILSRV_OK;
}

int32_t mailsrv_durable_system_files(mailsrv_durable_files *out)
{
    static const mailsrv_durable_files all = {
        sizeof all,     0,
        NULL,           open_file,
        close_file,     read_file,
        write_file,     truncate_file,
        length_of_file, sync_file,
        unlink_file,    make_directory,
        sync_directory, list_directory,
        lock,           close_file,
        READ_NOW,       link_file,
    };
    if (out == NULL || out->size < sizeof out->size)
        return MAILSRV_E_USAGE;
    uint32_t size = out->size;
    memcpy(out, &all, size < sizeof all ? size : sizeof all);
    out->size = size;
    return MAILSRV_OK;
}
