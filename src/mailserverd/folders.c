#include "folders.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool map_file(int directory, const char *name, struct mapped *out)
{
    struct stat is;
    const int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool ok = fd >= 0 && fstat(fd, &is) == 0;
    memset(out, 0, sizeof *out);
    if (ok && !S_ISREG(is.st_mode)) {
        errno = EINVAL;
        ok = false;
    }
    if (ok && is.st_size > 0) {
        void *p = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        ok = p != MAP_FAILED;
        out->p = ok ? p : NULL;
        out->n = ok ? (size_t)is.st_size : 0;
    }
    if (ok)
        out->modified_us = (int64_t)is.st_mtim.tv_sec * 1000000 + is.st_mtim.tv_nsec / 1000;
    if (fd >= 0)
        close(fd);
    return ok;
}

void unmap_file(struct mapped *file)
{
    if (file->p != NULL)
        munmap((void *)(uintptr_t)file->p, file->n);
}

/* ---- Line ends ---- */

static bool lacks_cr(const char *p, const char *lf)
{
    return lf == p || lf[-1] != '\r';
}

uint64_t crlf_octets(const char *p, size_t n)
{
    uint64_t octets = n;
    const char *end = p + n;
    for (const char *at = p, *lf; at < end && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL; at = lf + 1)
        octets += lacks_cr(p, lf);
    return octets;
}

void crlf_write(const char *p, size_t n, FILE *to)
{
    const char *at = p, *end = p + n;
    for (const char *lf; at < end && (lf = memchr(at, '\n', (size_t)(end - at))) != NULL; at = lf + 1) {
        const bool lacks = lacks_cr(p, lf);
        fwrite(at, 1, (size_t)(lf - at) + !lacks, to);
        if (lacks)
            fwrite("\r\n", 1, 2, to);
    }
    fwrite(at, 1, (size_t)(end - at), to);
}

/* ---- Names ---- */

static bool convert(const char *to_code, const char *from_code, const char *from, char *out, size_t room)
{
    iconv_t code = iconv_open(to_code, from_code);
    char *in = (char *)(uintptr_t)from, *to = out;
    size_t n_in = strlen(from), n_out = room - 1;
    if (code == (iconv_t)-1)
        return false;
    const bool ok = iconv(code, &in, &n_in, &to, &n_out) != (size_t)-1 && n_in == 0 &&
                    iconv(code, NULL, NULL, &to, &n_out) != (size_t)-1;
    *to = '\0';
    iconv_close(code);
    return ok;
}

bool name_from_utf7(const char *from, char *out, size_t room)
{
    return convert("UTF-8", "UTF-7-IMAP", from, out, room);
}

bool name_to_utf7(const char *from, char *out, size_t room)
{
    return convert("UTF-7-IMAP", "UTF-8", from, out, room);
}
