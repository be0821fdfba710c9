#include "folders.h"
#include "maildir_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Reading ---- */

struct folder {
    int fd;
    struct maildir_index index;
};

static bool list_messages(struct folder *f, const char *in)
{
    const int fd = openat(f->fd, in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *all = fd < 0 ? NULL : fdopendir(fd);
    bool ok = true;
    if (all == NULL)
        return fd < 0 && errno == ENOENT;
    for (struct dirent *one; ok && (one = readdir(all)) != NULL;)
        if (one->d_name[0] != '.')
            ok = maildir_index_add(&f->index, in, one->d_name);
    closedir(all);
    return ok;
}

static FILE *open_list(const struct folder *f, const char *name)
{
    const int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (file == NULL && fd >= 0)
        close(fd);
    return file;
}

static bool read_entry(const struct folder *f, const struct maildir_entry *entry, FILE *to)
{
    struct mapped file;
    struct exchanged_message *m = calloc(1, sizeof *m);
    if (m == NULL || !map_file(f->fd, entry->path, &file)) {
        fprintf(stderr, "mailserverd: %s: %s\n", entry->path, strerror(errno));
        free(m);
        return false;
    }
    m->octets = crlf_octets(file.p, file.n);
    m->internal_us = file.modified_us;
    m->uid = entry->uid;
    memcpy(m->uidl, entry->uidl, sizeof m->uidl);
    maildir_index_flags(&f->index, entry, m);
    exchange_put_message(to, m);
    crlf_write(file.p, file.n, to);
    unmap_file(&file);
    free(m);
    return true;
}

/* Has the lists that are there read. */
static void complete(struct folder *f)
{
    FILE *uids = open_list(f, "dovecot-uidlist"), *keywords = open_list(f, "dovecot-keywords");
    maildir_index_complete(&f->index, uids, keywords);
    if (uids != NULL)
        fclose(uids);
    if (keywords != NULL)
        fclose(keywords);
}

static void close_folder(struct folder *f)
{
    maildir_index_free(&f->index);
    if (f->fd >= 0)
        close(f->fd);
}

static bool is_subscribed(int root, const char *folder)
{
    struct mapped file;
    if (!map_file(root, "subscriptions", &file))
        return false;
    const bool found = maildir_is_subscribed(file.p, file.n, folder);
    unmap_file(&file);
    return found;
}

/* A file of ours, which says that there are none, too: it may be empty. */
static uint32_t uses_of(int root, const char *folder)
{
    struct mapped file;
    if (!map_file(root, "special-uses", &file))
        return maildir_uses(NULL, 0, folder);
    const uint32_t uses = maildir_uses(file.n == 0 ? "" : file.p, file.n, folder);
    unmap_file(&file);
    return uses;
}

/* `folder` is "" or ".A.B". */
static bool read_folder(int root, const char *folder, FILE *to)
{
    struct folder f = { .fd = openat(root, *folder == '\0' ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
    struct exchanged_mailbox box = { .name = "INBOX" };
    char levels[EXCHANGE_NAME_MAX + 1];
    snprintf(levels, sizeof levels, "%s", *folder == '\0' ? "INBOX" : folder + 1);
    box.attributes = (is_subscribed(root, levels) ? MAILSRV_NAME_SUBSCRIBED : 0) | uses_of(root, levels);
    for (char *p = levels; (p = strchr(p, '.')) != NULL;)
        *p = '/';
    bool ok = f.fd >= 0 && name_from_utf7(levels, box.name, sizeof box.name) && list_messages(&f, "cur") &&
              list_messages(&f, "new");
    if (ok) {
        complete(&f);
        box.uidvalidity = f.index.uidvalidity;
        exchange_put_mailbox(to, &box);
    } else {
        fprintf(stderr, "mailserverd: %s: it cannot be read as a folder\n", *folder == '\0' ? "." : folder);
    }
    for (size_t i = 0; i < f.index.n && ok; i++)
        ok = read_entry(&f, &f.index.all[i], to);
    close_folder(&f);
    return ok;
}

bool maildir_read(const char *path, FILE *to)
{
    struct dirent **all = NULL;
    const int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int n = root < 0 ? -1 : scandir(path, &all, NULL, alphasort);
    bool ok = n >= 0 && faccessat(root, "cur", X_OK, 0) == 0;
    if (!ok)
        fprintf(stderr, "mailserverd: %s: expected a Maildir, with a directory cur: %s\n", path, strerror(errno));
    ok = ok && read_folder(root, "", to);
    for (int i = 0; i < n; i++) {
        const char *name = all[i]->d_name;
        char cur[300];
        snprintf(cur, sizeof cur, "%s/cur", name);
        if (ok && name[0] == '.' && name[1] != '\0' && strcmp(name, "..") != 0 && faccessat(root, cur, X_OK, 0) == 0)
            ok = read_folder(root, name, to);
        free(all[i]);
    }
    free(all);
    if (root >= 0)
        close(root);
    return ok;
}

/* ---- Writing ---- */

struct writing {
    int root, folder;
    FILE *uids, *subscriptions, *uses;
    char *keywords[LETTERS];
    size_t n_keywords, left_out; /* names of keywords beyond the letters */
    uint64_t n;
};

static int make_directory(int at, const char *name)
{
    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static FILE *create(int at, const char *name)
{
    const int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL && fd >= 0)
        close(fd);
    return file;
}

static bool end_folder(struct writing *w)
{
    bool ok = true;
    if (w->uids != NULL)
        ok = fclose(w->uids) == 0;
    if (w->n_keywords > 0) {
        FILE *file = create(w->folder, "dovecot-keywords");
        for (size_t i = 0; i < w->n_keywords && file != NULL; i++)
            fprintf(file, "%zu %s\n", i, w->keywords[i]);
        ok = file != NULL && fclose(file) == 0 && ok;
    }
    for (size_t i = 0; i < w->n_keywords; i++)
        free(w->keywords[i]);
    if (w->folder >= 0)
        close(w->folder);
    w->n_keywords = 0;
    w->uids = NULL;
    w->folder = -1;
    return ok;
}

/* INBOX is the root; A/B is .A.B, a dot in a level being written as &AC4-. */
static bool folder_name(const char *name, char *out, size_t room)
{
    char encoded[1024];
    size_t n = 0;
    if (!name_to_utf7(name, encoded, sizeof encoded))
        return false;
    for (const char *p = encoded; *p != '\0' && n + 8 < room; p++)
        n += (size_t)snprintf(out + n, room - n, "%s%.*s", n == 0 ? "." : "", *p == '.' ? 5 : 1,
                              *p == '.'   ? "&AC4-"
                              : *p == '/' ? "."
                                          : p);
    return n != 0;
}

static bool begin_folder(void *user, const struct exchanged_mailbox *box)
{
    struct writing *w = user;
    char name[1100] = ".";
    const bool inbox = strcmp(box->name, "INBOX") == 0;
    if (!end_folder(w) || (!inbox && !folder_name(box->name, name, sizeof name)))
        return false;
    if ((box->attributes & MAILSRV_NAME_SUBSCRIBED) != 0)
        fprintf(w->subscriptions, "%s\n", inbox ? "INBOX" : name + 1);
    maildir_write_uses(box->attributes, inbox ? "INBOX" : name + 1, w->uses);
    w->folder = make_directory(w->root, name);
    static const char *const parts[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < 3; i++) {
        const int fd = w->folder < 0 ? -1 : make_directory(w->folder, parts[i]);
        if (fd < 0)
            return false;
        close(fd);
    }
    if (!inbox) {
        FILE *mark = create(w->folder, "maildirfolder");
        if (mark == NULL || fclose(mark) != 0)
            return false;
    }
    w->uids = create(w->folder, "dovecot-uidlist");
    if (w->uids != NULL)
        fprintf(w->uids, "3 V%" PRIu32 " N%" PRIu32 "\n", box->uidvalidity, box->uidnext);
    return w->uids != NULL;
}

static size_t letter_of(struct writing *w, const char *name, size_t n)
{
    for (size_t i = 0; i < w->n_keywords; i++)
        if (strlen(w->keywords[i]) == n && memcmp(w->keywords[i], name, n) == 0)
            return i;
    if (w->n_keywords < LETTERS && (w->keywords[w->n_keywords] = strndup(name, n)) != NULL)
        return w->n_keywords++;
    w->left_out++;
    return LETTERS;
}

/* Letters stand in the order of ASCII (cr.yp.to/proto/maildir.html). */
static void write_flags(struct writing *w, const struct exchanged_message *m, char *out)
{
    bool set[LETTERS] = { false };
    char *to = out + maildir_flag_letters(m->flags, out);
    for (const char *p = m->keywords; *p != '\0';) {
        const size_t n = strcspn(p, " ");
        const size_t letter = letter_of(w, p, n);
        if (letter < LETTERS)
            set[letter] = true;
        p += n + strspn(p + n, " ");
    }
    for (size_t i = 0; i < LETTERS; i++)
        if (set[i])
            *to++ = (char)('a' + i);
    *to = '\0';
}

static bool copy_octets(const struct exchange_source *from, uint64_t octets, FILE *to)
{
    char chunk[16384];
    while (octets > 0) {
        const size_t n = octets < sizeof chunk ? (size_t)octets : sizeof chunk;
        if (!from->read(from->user, chunk, n))
            return false;
        fwrite(chunk, 1, n, to);
        octets -= n;
    }
    return !ferror(to);
}

static bool write_message(void *user, const struct exchange_source *from, const struct exchanged_message *m)
{
    struct writing *w = user;
    char base[96], made[112], path[192], letters[8 + LETTERS];
    const int64_t us = (m->internal_us % 1000000 + 1000000) % 1000000; /* also before 1970 */
    const struct timespec when = { (time_t)((m->internal_us - us) / 1000000), (long)us * 1000 };
    const struct timespec times[2] = { when, when };
    if (w->folder < 0)
        return false;
    snprintf(base, sizeof base, "%" PRId64 ".%" PRIu64 "_%" PRIu32 ".mailserverd,S=%" PRIu64, m->internal_us / 1000000,
             ++w->n, m->uid, m->octets);
    snprintf(made, sizeof made, "tmp/%s", base);
    write_flags(w, m, letters);
    snprintf(path, sizeof path, "cur/%s:2,%s", base, letters);
    FILE *file = create(w->folder, made);
    if (file == NULL)
        return false;
    bool ok = copy_octets(from, m->octets, file) && fflush(file) == 0 && futimens(fileno(file), times) == 0;
    ok = fclose(file) == 0 && ok && renameat(w->folder, made, w->folder, path) == 0;
    fprintf(w->uids, "%" PRIu32 "%s%s :%s\n", m->uid, m->uidl[0] != '\0' ? " P" : "", m->uidl, base);
    return ok;
}

bool maildir_write(const char *path, const struct exchange_source *from)
{
    struct writing w = { .folder = -1 };
    const struct exchange_sink sink = { &w, begin_folder, write_message };
    w.root = make_directory(AT_FDCWD, path);
    w.subscriptions = w.root < 0 ? NULL : create(w.root, "subscriptions");
    w.uses = w.root < 0 ? NULL : create(w.root, "special-uses");
    bool ok = w.subscriptions != NULL && w.uses != NULL && exchange_take_all(from, &sink);
    ok = end_folder(&w) && ok;
    ok = w.subscriptions != NULL && fclose(w.subscriptions) == 0 && ok;
    ok = w.uses != NULL && fclose(w.uses) == 0 && ok;
    if (!ok)
        fprintf(stderr, "mailserverd: %s: not all could be written: %s\n", path, strerror(errno));
    if (w.left_out > 0)
        fprintf(stderr, "mailserverd: %s: %zu keywords left out: a folder of a Maildir has room for %d\n", path,
                w.left_out, LETTERS);
    if (w.root >= 0)
        close(w.root);
    return ok;
}
