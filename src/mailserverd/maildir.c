#define _GNU_SOURCE /* strverscmp */
#include "folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LETTERS = 26, FLAG_LETTERS = 5 };

static const struct {
    char letter;
    uint32_t flag;
} flag_letters[FLAG_LETTERS] = {
    { 'D', MAILSRV_FLAG_DRAFT }, { 'F', MAILSRV_FLAG_FLAGGED }, { 'R', MAILSRV_FLAG_ANSWERED },
    { 'S', MAILSRV_FLAG_SEEN },  { 'T', MAILSRV_FLAG_DELETED },
};

/* ---- Reading ---- */

/* A message of a folder. */
struct entry {
    char uidl[EXCHANGE_UIDL_MAX + 1]; /* that POP3 knew it by; empty: not in the list */
    char *path;                       /* cur/NAME or new/NAME */
    uint32_t uid;                     /* 0: not in the list */
};

struct folder {
    int fd;
    struct entry *entries;
    size_t n;
    uint32_t uidvalidity;
    char *letters[LETTERS]; /* of keywords */
};

/* NAME without :2,FLAGS, as the list of UIDs has it. */
static size_t base_octets(const char *name)
{
    return strcspn(name, ":");
}

static const char *name_of(const struct entry *entry)
{
    return entry->path + 4;
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(name_of(a), name_of(b));
}

static int by_uid(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->uid != y->uid) /* those without one come last: they get what comes next */
        return x->uid == 0 ? 1 : y->uid == 0 ? -1 : x->uid < y->uid ? -1 : 1;
    return by_name(a, b);
}

static bool add_entry(struct folder *f, const char *in, const char *name)
{
    struct entry *more = realloc(f->entries, (f->n + 1) * sizeof *more);
    char *path = NULL;
    if (more == NULL || asprintf(&path, "%s/%s", in, name) < 0)
        return false;
    f->entries = more;
    f->entries[f->n++] = (struct entry){ .path = path };
    return true;
}

static bool list_messages(struct folder *f, const char *in)
{
    const int fd = openat(f->fd, in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *all = fd < 0 ? NULL : fdopendir(fd);
    bool ok = true;
    if (all == NULL)
        return fd < 0 && errno == ENOENT;
    for (struct dirent *one; ok && (one = readdir(all)) != NULL;)
        if (one->d_name[0] != '.')
            ok = add_entry(f, in, one->d_name);
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

/* The entry of a name without flags; they are in order. */
static struct entry *find_entry(const struct folder *f, const char *base)
{
    for (size_t low = 0, high = f->n; low < high;) {
        const size_t middle = low + (high - low) / 2;
        char name[512];
        snprintf(name, sizeof name, "%.*s", (int)base_octets(name_of(&f->entries[middle])),
                 name_of(&f->entries[middle]));
        const int is = strverscmp(name, base);
        if (is == 0)
            return &f->entries[middle];
        if (is < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* dovecot-uidlist, version 3: "3 VUIDVALIDITY NUIDNEXT GGUID", then lines "UID [PUIDL and others] :NAME". */
static void read_uids(struct folder *f)
{
    FILE *file = open_list(f, "dovecot-uidlist");
    char *line = NULL;
    size_t room = 0;
    if (file == NULL)
        return;
    if (getline(&line, &room, file) > 0 && strncmp(line, "3 ", 2) == 0 && strstr(line, " V") != NULL)
        f->uidvalidity = (uint32_t)strtoul(strstr(line, " V") + 2, NULL, 10);
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        char *colon = strstr(line, " :");
        if (colon == NULL)
            continue;
        colon[2 + base_octets(colon + 2)] = '\0';
        struct entry *entry = find_entry(f, colon + 2);
        if (entry == NULL)
            continue;
        *colon = '\0';
        entry->uid = (uint32_t)strtoul(line, NULL, 10);
        const char *uidl = strstr(line, " P");
        if (uidl != NULL)
            snprintf(entry->uidl, sizeof entry->uidl, "%.*s", (int)strcspn(uidl + 2, " "), uidl + 2);
    }
    free(line);
    fclose(file);
}

/* dovecot-keywords: "0 NAME" names the letter a. */
static void read_letters(struct folder *f)
{
    FILE *file = open_list(f, "dovecot-keywords");
    char *line = NULL, *name;
    size_t room = 0;
    while (file != NULL && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        const unsigned long letter = strtoul(line, &name, 10);
        if (name != line && *name == ' ' && letter < LETTERS && f->letters[letter] == NULL)
            f->letters[letter] = strdup(name + 1);
    }
    free(line);
    if (file != NULL)
        fclose(file);
}

static void add_keyword(struct exchanged_message *m, const char *name)
{
    const size_t n = strlen(m->keywords);
    snprintf(m->keywords + n, sizeof m->keywords - n, "%s%s", n == 0 ? "" : " ", name);
}

static void read_flags(const struct folder *f, const char *name, struct exchanged_message *m)
{
    const char *info = strstr(name, ":2,");
    for (const char *p = info == NULL ? "" : info + 3; *p != '\0' && *p != ','; p++) {
        for (size_t i = 0; i < FLAG_LETTERS; i++)
            if (flag_letters[i].letter == *p)
                m->flags |= flag_letters[i].flag;
        if (*p == 'P')
            add_keyword(m, "$Forwarded");
        if (*p >= 'a' && *p <= 'z' && f->letters[*p - 'a'] != NULL)
            add_keyword(m, f->letters[*p - 'a']);
    }
}

static bool read_entry(const struct folder *f, const struct entry *entry, FILE *to)
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
    read_flags(f, entry->path, m);
    exchange_put_message(to, m);
    crlf_write(file.p, file.n, to);
    unmap_file(&file);
    free(m);
    return true;
}

static void close_folder(struct folder *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->entries[i].path);
    for (size_t i = 0; i < LETTERS; i++)
        free(f->letters[i]);
    free(f->entries);
    if (f->fd >= 0)
        close(f->fd);
}

static bool is_subscribed(int root, const char *folder)
{
    struct mapped file;
    bool found = false;
    if (!map_file(root, "subscriptions", &file))
        return false;
    const size_t n = strlen(folder);
    for (const char *at = file.p, *end = file.p + file.n; at < end && !found;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        const size_t octets = (size_t)((lf == NULL ? end : lf) - at);
        found = octets == n;
        for (size_t i = 0; i < n && found; i++) /* levels are divided by a tab, a dot or a slash */
            found = at[i] == folder[i] || (folder[i] == '.' && (at[i] == '\t' || at[i] == '/'));
        at += octets + 1;
    }
    unmap_file(&file);
    return found;
}

static void sort(struct folder *f, int (*compare)(const void *a, const void *b))
{
    if (f->n > 0)
        qsort(f->entries, f->n, sizeof *f->entries, compare);
}

/* `folder` is "" or ".A.B". */
static bool read_folder(int root, const char *folder, FILE *to)
{
    struct folder f = { .fd = openat(root, *folder == '\0' ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
    struct exchanged_mailbox box = { .name = "INBOX" };
    char levels[EXCHANGE_NAME_MAX + 1];
    snprintf(levels, sizeof levels, "%s", *folder == '\0' ? "INBOX" : folder + 1);
    box.attributes = is_subscribed(root, levels) ? MAILSRV_NAME_SUBSCRIBED : 0;
    for (char *p = levels; (p = strchr(p, '.')) != NULL;)
        *p = '/';
    bool ok = f.fd >= 0 && name_from_utf7(levels, box.name, sizeof box.name) && list_messages(&f, "cur") &&
              list_messages(&f, "new");
    if (ok) {
        sort(&f, by_name);
        read_uids(&f);
        read_letters(&f);
        sort(&f, by_uid);
        box.uidvalidity = f.uidvalidity;
        exchange_put_mailbox(to, &box);
    } else {
        fprintf(stderr, "mailserverd: %s: it cannot be read as a folder\n", *folder == '\0' ? "." : folder);
    }
    for (size_t i = 0; i < f.n && ok; i++)
        ok = read_entry(&f, &f.entries[i], to);
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
    FILE *uids, *subscriptions;
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
    char *to = out;
    for (size_t i = 0; i < FLAG_LETTERS; i++)
        if ((m->flags & flag_letters[i].flag) != 0)
            *to++ = flag_letters[i].letter;
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
    char base[96], made[112], path[192], letters[FLAG_LETTERS + LETTERS + 1];
    const struct timespec when = { (time_t)(m->internal_us / 1000000), (long)(m->internal_us % 1000000) * 1000 };
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
    bool ok = w.subscriptions != NULL && exchange_take_all(from, &sink);
    ok = end_folder(&w) && ok;
    ok = w.subscriptions != NULL && fclose(w.subscriptions) == 0 && ok;
    if (!ok)
        fprintf(stderr, "mailserverd: %s: not all could be written: %s\n", path, strerror(errno));
    if (w.left_out > 0)
        fprintf(stderr, "mailserverd: %s: %zu keywords left out: a folder of a Maildir has room for %d\n", path,
                w.left_out, LETTERS);
    if (w.root >= 0)
        close(w.root);
    return ok;
}
