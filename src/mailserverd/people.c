#include "people.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_OCTETS_MAX (64 << 20)
#define DEPTH_MAX 8 /* aliases of aliases */

/* ---- In memory ---- */

struct people *people_ref(struct people *people)
{
    __atomic_add_fetch(&people->references, 1, __ATOMIC_RELAXED);
    return people;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void people_unref(struct people *people)
{
    if (people == NULL || __atomic_sub_fetch(&people->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < people->n_persons; i++) {
        free(people->persons[i].address);
        wipe(people->persons[i].secrets);
    }
    for (size_t i = 0; i < people->n_aliases; i++) {
        free(people->aliases[i].address);
        free(people->aliases[i].targets);
    }
    free(people->persons);
    free(people->aliases);
    free(people);
}

/* As strcmp of the address in lower case. */
static int compare(const char *kept, const char *address, size_t n)
{
    const size_t n_kept = strlen(kept);
    for (size_t i = 0; i < n && i < n_kept; i++) {
        const char c = address[i] >= 'A' && address[i] <= 'Z' ? (char)(address[i] + 32) : address[i];
        if (kept[i] != c)
            return (unsigned char)kept[i] < (unsigned char)c ? -1 : 1;
    }
    return n_kept == n ? 0 : n_kept < n ? -1 : 1;
}

/* Both structs begin with their address.  The first place that is not before it; `*found`: it is it. */
static size_t place(const void *all, size_t stride, size_t count, const char *address, size_t n, bool *found)
{
    size_t low = 0, high = count;
    *found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int is = compare(*(char *const *)((const char *)all + middle * stride), address, n);
        if (is == 0)
            *found = true;
        if (is < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct person *people_find(const struct people *people, const char *address, size_t n)
{
    bool found;
    const size_t at = place(people->persons, sizeof *people->persons, people->n_persons, address, n, &found);
    return found ? &people->persons[at] : NULL;
}

const struct alias *people_find_alias(const struct people *people, const char *address, size_t n)
{
    bool found;
    const size_t at = place(people->aliases, sizeof *people->aliases, people->n_aliases, address, n, &found);
    return found ? &people->aliases[at] : NULL;
}

static char *lowered(const char *text)
{
    char *copy = strdup(text);
    if (copy != NULL)
        text_lower(copy);
    return copy;
}

static void take_out(void *all, size_t stride, size_t *count, size_t at)
{
    char *base = all;
    memmove(base + at * stride, base + (at + 1) * stride, (*count - at - 1) * stride);
    --*count;
}

/* Room for one more at a place; NULL: there is no memory. */
static void *make_room(void *all, size_t stride, size_t *count, size_t at)
{
    char *base = realloc(all, (*count + 1) * stride);
    if (base == NULL)
        return NULL;
    memmove(base + (at + 1) * stride, base + at * stride, (*count - at) * stride);
    memset(base + at * stride, 0, stride);
    ++*count;
    return base;
}

static bool add_person(struct people *people, size_t at, const char *address)
{
    char *copy = lowered(address);
    struct person *all = copy == NULL ? NULL : make_room(people->persons, sizeof *all, &people->n_persons, at);
    if (all == NULL) {
        free(copy);
        return false;
    }
    people->persons = all;
    all[at].address = copy;
    return true;
}

bool people_put(struct people *people, const char *address, const char *secrets)
{
    bool found;
    const size_t at =
        place(people->persons, sizeof *people->persons, people->n_persons, address, strlen(address), &found);
    char *copy = secrets == NULL ? NULL : strdup(secrets);
    if (secrets != NULL && (copy == NULL || (!found && !add_person(people, at, address)))) {
        wipe(copy);
        return false;
    }
    if (secrets == NULL && !found)
        return true;
    wipe(people->persons[at].secrets);
    people->persons[at].secrets = copy;
    if (secrets == NULL) {
        free(people->persons[at].address);
        take_out(people->persons, sizeof *people->persons, &people->n_persons, at);
    }
    return true;
}

static bool add_alias(struct people *people, size_t at, const char *address)
{
    char *copy = lowered(address);
    struct alias *all = copy == NULL ? NULL : make_room(people->aliases, sizeof *all, &people->n_aliases, at);
    if (all == NULL) {
        free(copy);
        return false;
    }
    people->aliases = all;
    all[at].address = copy;
    return true;
}

bool people_put_alias(struct people *people, const char *address, const char *targets)
{
    bool found;
    const size_t at =
        place(people->aliases, sizeof *people->aliases, people->n_aliases, address, strlen(address), &found);
    char *copy = targets == NULL ? NULL : lowered(targets);
    if (targets != NULL && (copy == NULL || (!found && !add_alias(people, at, address)))) {
        free(copy);
        return false;
    }
    if (targets == NULL && !found)
        return true;
    free(people->aliases[at].targets);
    people->aliases[at].targets = copy;
    if (targets == NULL) {
        free(people->aliases[at].address);
        take_out(people->aliases, sizeof *people->aliases, &people->n_aliases, at);
    }
    return true;
}

/* ---- Where an address leads ---- */

static void add_target(const struct person *person, const struct person **out, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        if (out[i] == person)
            return;
    if (*n < TARGETS_MAX)
        out[(*n)++] = person;
}

static void follow(const struct people *people, const char *address, size_t n, unsigned depth,
                   const struct person **out, size_t *n_out)
{
    const struct person *person = people_find(people, address, n);
    const struct alias *alias = people_find_alias(people, address, n);
    const char *at = memchr(address, '@', n);
    if (person != NULL)
        add_target(person, out, n_out);
    if (person == NULL && alias == NULL && at != NULL) /* the domain's catch-all */
        alias = people_find_alias(people, at, n - (size_t)(at - address));
    if (alias == NULL || depth == DEPTH_MAX)
        return;
    for (const char *p = alias->targets; *p != '\0';) {
        const size_t octets = strcspn(p, " ");
        follow(people, p, octets, depth + 1, out, n_out);
        p += octets + strspn(p + octets, " ");
    }
}

size_t people_resolve(const struct people *people, const char *address, size_t n, const struct person **out)
{
    size_t found = 0;
    follow(people, address, n, 0, out, &found);
    return found;
}

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

typedef bool put_fn(struct people *people, const char *address, const char *rest);

static bool read_line(struct people *people, char *line, put_fn *put)
{
    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return true;
    char *rest = line + strcspn(line, " \t");
    if (*rest == '\0')
        return false;
    *rest++ = '\0';
    rest += strspn(rest, " \t");
    return *rest != '\0' && strchr(line, '@') != NULL && strlen(line) < ADDRESS_MAX && put(people, line, rest);
}

static bool read_file(struct people *people, const char *path, put_fn *put, const char *expected, FILE *err)
{
    bool absent, ok = true;
    FILE *file = open_private(path, &absent, err);
    char *line = NULL;
    size_t room = 0;
    if (file == NULL)
        return absent;
    for (unsigned number = 1; ok && getline(&line, &room, file) >= 0; number++)
        if (!read_line(people, line, put)) {
            fprintf(err, "mailserverd: %s:%u: expected %s\n", path, number, expected);
            ok = false;
        }
    if (line != NULL)
        explicit_bzero(line, room);
    free(line);
    fclose(file);
    return ok;
}

struct people *people_read(const char *directory, FILE *err)
{
    char users[PATH_OCTETS + 16], aliases[PATH_OCTETS + 16];
    struct people *people = calloc(1, sizeof *people);
    if (people == NULL) {
        fprintf(err, "mailserverd: out of memory\n");
        return NULL;
    }
    people->references = 1;
    path_of(users, sizeof users, directory, "users");
    path_of(aliases, sizeof aliases, directory, "aliases");
    if (!read_file(people, users, people_put, "ADDRESS HASH, as mailserverd user writes it", err) ||
        !read_file(people, aliases, people_put_alias, "ADDRESS TARGET..., as mailserverd alias writes it", err)) {
        people_unref(people);
        return NULL;
    }
    return people;
}

/* ---- Writing ---- */

static void write_persons(const struct people *people, FILE *file)
{
    fprintf(file, "# ADDRESS HASH [SCRAM KEYS]...: changed by mailserverd user\n");
    for (size_t i = 0; i < people->n_persons; i++)
        fprintf(file, "%s %s\n", people->persons[i].address, people->persons[i].secrets);
}

static void write_aliases(const struct people *people, FILE *file)
{
    fprintf(file, "# ADDRESS TARGET...: changed by mailserverd alias\n");
    for (size_t i = 0; i < people->n_aliases; i++)
        fprintf(file, "%s %s\n", people->aliases[i].address, people->aliases[i].targets);
}

static bool sync_directory(const char *directory)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool replace(const struct people *people, const char *directory, const char *name,
                    void (*write_all)(const struct people *people, FILE *file))
{
    char path[PATH_OCTETS + 16], made[PATH_OCTETS + 24];
    path_of(path, sizeof path, directory, name);
    snprintf(made, sizeof made, "%s.new", path);
    const int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    write_all(people, file);
    bool ok = fflush(file) == 0 && !ferror(file) && fsync(fd) == 0;
    ok = fclose(file) == 0 && ok;
    return ok && rename(made, path) == 0 && sync_directory(directory);
}

bool people_write(const struct people *people, const char *directory, FILE *err)
{
    const bool ok =
        replace(people, directory, "users", write_persons) && replace(people, directory, "aliases", write_aliases);
    if (!ok)
        fprintf(err, "mailserverd: %s: users and aliases cannot be written: %s\n", directory, strerror(errno));
    return ok;
}
