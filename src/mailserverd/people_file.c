/* The files users and aliases. */
#include "people.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_OCTETS_MAX (64 << 20)

static const struct {
    const char *name;
    const char *begins;   /* its first line */
    const char *expected; /* of each other */
} files[PEOPLE_FILES] = {
    [PEOPLE_USERS] = { "users", "# ADDRESS HASH [SCRAM KEYS]...: changed by mailserverd user\n",
                       "ADDRESS HASH, as mailserverd user writes it" },
    [PEOPLE_ALIASES] = { "aliases", "# ADDRESS TARGET...: changed by mailserverd alias\n",
                         "ADDRESS TARGET..., as mailserverd alias writes it" },
};

/* ---- Reading ---- */

static void path_of(char *out, size_t n, const char *directory, const char *name)
{
    snprintf(out, n, "%s/%s", directory, name);
}

static bool is_private(const char *path, int fd, FILE *err)
{
    struct stat is;
    if (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode) || is.st_size > FILE_OCTETS_MAX)
        fprintf(err, "mailserverd: %s: expected a file of at most 64 MiB\n", path);
    else if ((is.st_mode & 077) != 0)
        fprintf(err, "mailserverd: %s: others than its owner may open it; expected mode 0600 (chmod 600)\n", path);
    else
        return true;
    return false;
}

/* The file, or NULL with `*absent` or a word of why not. */
static FILE *open_private(const char *path, bool *absent, FILE *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *absent = fd < 0 && errno == ENOENT;
    if (fd < 0) {
        if (!*absent)
            fprintf(err, "mailserverd: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    FILE *file = is_private(path, fd, err) ? fdopen(fd, "r") : NULL;
    if (file == NULL)
        close(fd);
    return file;
}

/* `n` octets with their line's end. */
static bool read_line(struct people *people, enum people_file which, char *line, size_t n)
{
    if (memchr(line, '\0', n) != NULL)
        return false;
    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return true;
    char *rest = line + strcspn(line, " \t");
    if (*rest == '\0')
        return false;
    *rest++ = '\0';
    rest += strspn(rest, " \t");
    return *rest != '\0' && strchr(line, '@') != NULL && strlen(line) < ADDRESS_MAX &&
           people_find(people, which, line, strlen(line)) == NULL && people_put(people, which, line, rest);
}

bool people_read_lines(struct people *people, enum people_file which, FILE *file, const char *path, FILE *err)
{
    bool ok = true;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    for (unsigned number = 1; ok && (n = getline(&line, &room, file)) >= 0; number++)
        if (!read_line(people, which, line, (size_t)n)) {
            fprintf(err, "mailserverd: %s:%u: expected %s, each address once\n", path, number, files[which].expected);
            ok = false;
        }
    if (line != NULL)
        explicit_bzero(line, room);
    free(line);
    return ok;
}

static bool read_file(struct people *people, enum people_file which, const char *directory, FILE *err)
{
    char path[PATH_OCTETS + 16];
    bool absent;
    path_of(path, sizeof path, directory, files[which].name);
    FILE *file = open_private(path, &absent, err);
    if (file == NULL)
        return absent;
    const bool ok = people_read_lines(people, which, file, path, err);
    fclose(file);
    return ok;
}

struct people *people_read(const char *directory, FILE *err)
{
    struct people *people = people_new();
    if (people == NULL)
        fprintf(err, "mailserverd: out of memory\n");
    if (people != NULL && read_file(people, PEOPLE_USERS, directory, err) &&
        read_file(people, PEOPLE_ALIASES, directory, err))
        return people;
    people_unref(people);
    return NULL;
}

/* ---- Writing ---- */

static bool sync_directory(const char *directory)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool replace(const struct people *people, enum people_file which, const char *directory)
{
    const struct entries *in = &people->of[which];
    char path[PATH_OCTETS + 16], made[PATH_OCTETS + 24];
    path_of(path, sizeof path, directory, files[which].name);
    snprintf(made, sizeof made, "%s.new", path);
    const int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    fputs(files[which].begins, file);
    for (size_t i = 0; i < in->n; i++)
        fprintf(file, "%s %s\n", in->all[i].address, in->all[i].text);
    bool ok = fflush(file) == 0 && !ferror(file) && fsync(fd) == 0;
    ok = fclose(file) == 0 && ok;
    return ok && rename(made, path) == 0 && sync_directory(directory);
}

bool people_write(const struct people *people, enum people_file which, const char *directory, FILE *err)
{
    const bool ok = replace(people, which, directory);
    if (!ok)
        fprintf(err, "mailserverd: %s/%s: it cannot be written: %s\n", directory, files[which].name, strerror(errno));
    return ok;
}
