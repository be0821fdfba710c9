#define _GNU_SOURCE /* strverscmp, asprintf */
#include "maildir_index.h"

#include <mailsrv/op.h>
#include <mailsrv/store.h>

#include <stdlib.h>
#include <string.h>

enum { NAME_OCTETS_MAX = 256 /* of a name, with its end: NAME_MAX */ };

static const struct {
    char letter;
    uint32_t flag;
} flag_letters[] = {
    { 'D', MAILSRV_FLAG_DRAFT }, { 'F', MAILSRV_FLAG_FLAGGED }, { 'R', MAILSRV_FLAG_ANSWERED },
    { 'S', MAILSRV_FLAG_SEEN },  { 'T', MAILSRV_FLAG_DELETED },
};

enum { FLAG_LETTERS = sizeof flag_letters / sizeof *flag_letters };

/* ---- Names ---- */

/* NAME without :2,FLAGS, as the list of UIDs has it. */
static void base_of(const char *name, char *out)
{
    const size_t n = strcspn(name, ":");
    const size_t kept = n < NAME_OCTETS_MAX ? n : NAME_OCTETS_MAX - 1;
    memcpy(out, name, kept);
    out[kept] = '\0';
}

static const char *name_of(const struct maildir_entry *entry)
{
    return entry->path + 4;
}

static int by_base(const void *a, const void *b)
{
    char x[NAME_OCTETS_MAX], y[NAME_OCTETS_MAX];
    base_of(name_of(a), x);
    base_of(name_of(b), y);
    return strverscmp(x, y);
}

static int by_uid(const void *a, const void *b)
{
    const struct maildir_entry *x = a, *y = b;
    if (x->uid != y->uid)
        return x->uid == 0 ? 1 : y->uid == 0 ? -1 : x->uid < y->uid ? -1 : 1;
    return by_base(a, b);
}

static void sort(struct maildir_index *f, int (*compare)(const void *a, const void *b))
{
    if (f->n > 0)
        qsort(f->all, f->n, sizeof *f->all, compare);
}

bool maildir_index_add(struct maildir_index *f, const char *in, const char *name)
{
    struct maildir_entry *more = realloc(f->all, (f->n + 1) * sizeof *more);
    char *path = NULL;
    if (more != NULL)
        f->all = more;
    if (more == NULL || asprintf(&path, "%s/%s", in, name) < 0)
        return false;
    f->all[f->n++] = (struct maildir_entry){ .path = path };
    return true;
}

/* The entry of a name without flags; they are in order. */
static struct maildir_entry *find(const struct maildir_index *f, const char *base)
{
    for (size_t low = 0, high = f->n; low < high;) {
        const size_t middle = low + (high - low) / 2;
        char name[NAME_OCTETS_MAX];
        base_of(name_of(&f->all[middle]), name);
        const int is = strverscmp(name, base);
        if (is == 0)
            return &f->all[middle];
        if (is < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- Lists ---- */

/* A number of 32 bits, 0 where there is none. */
static uint32_t number(const char *text)
{
    const unsigned long long n = *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
    return n <= UINT32_MAX ? (uint32_t)n : 0;
}

/* RFC 1939 section 7: 1 to 70 octets from 0x21 to 0x7E.  One that is none is left out. */
static void take_uidl(const char *text, char *out)
{
    const size_t n = strcspn(text, " ");
    for (size_t i = 0; i < n; i++)
        if (n > EXCHANGE_UIDL_MAX || text[i] < 0x21 || text[i] > 0x7E)
            return;
    memcpy(out, text, n);
    out[n] = '\0';
}

/* "UID [PUIDL and others] :NAME" */
static void read_uid(struct maildir_index *f, char *line)
{
    char base[NAME_OCTETS_MAX];
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = strstr(line, " :");
    if (colon == NULL)
        return;
    base_of(colon + 2, base);
    struct maildir_entry *entry = find(f, base);
    if (entry == NULL)
        return;
    *colon = '\0';
    entry->uid = number(line);
    const char *uidl = strstr(line, " P");
    if (uidl != NULL)
        take_uidl(uidl + 2, entry->uidl);
}

/* dovecot-uidlist, version 3: "3 VUIDVALIDITY NUIDNEXT GGUID", then a line for each message. */
static void read_uids(struct maildir_index *f, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    if (getline(&line, &room, file) > 0 && strncmp(line, "3 ", 2) == 0 && strstr(line, " V") != NULL)
        f->uidvalidity = number(strstr(line, " V") + 2);
    while (getline(&line, &room, file) > 0)
        read_uid(f, line);
    free(line);
}

/* dovecot-keywords: "0 NAME" names the letter a. */
static void read_letters(struct maildir_index *f, FILE *file)
{
    char *line = NULL, *name;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        const unsigned long letter = strtoul(line, &name, 10);
        if (name != line && *name == ' ' && letter < LETTERS && f->letters[letter] == NULL)
            f->letters[letter] = strdup(name + 1);
    }
    free(line);
}

void maildir_index_complete(struct maildir_index *f, FILE *uids, FILE *keywords)
{
    sort(f, by_base);
    if (uids != NULL)
        read_uids(f, uids);
    if (keywords != NULL)
        read_letters(f, keywords);
    sort(f, by_uid);
}

void maildir_index_free(struct maildir_index *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->all[i].path);
    for (size_t i = 0; i < LETTERS; i++)
        free(f->letters[i]);
    free(f->all);
}

bool maildir_is_subscribed(const char *lines, size_t n, const char *folder)
{
    const size_t octets = strlen(folder);
    bool found = false;
    for (const char *at = lines, *end = lines + n; at < end && !found;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        const char *ends = lf == NULL ? end : lf;
        found = (size_t)(ends - at) == octets;
        for (size_t i = 0; i < octets && found; i++) /* levels are divided by a tab, a dot or a slash */
            found = at[i] == folder[i] || (folder[i] == '.' && (at[i] == '\t' || at[i] == '/'));
        at = lf == NULL ? end : lf + 1;
    }
    return found;
}

/* ---- Special uses (RFC 6154 section 2) ---- */

static const struct {
    const char *name;
    uint32_t bit;
    const char *folders[2]; /* that Dovecot's default configuration gives it */
} special_uses[] = {
    { "\\All", MAILSRV_NAME_ALL, { NULL } },           { "\\Archive", MAILSRV_NAME_ARCHIVE, { NULL } },
    { "\\Drafts", MAILSRV_NAME_DRAFTS, { "Drafts" } }, { "\\Flagged", MAILSRV_NAME_FLAGGED, { NULL } },
    { "\\Junk", MAILSRV_NAME_JUNK, { "Junk" } },       { "\\Sent", MAILSRV_NAME_SENT, { "Sent", "Sent Messages" } },
    { "\\Trash", MAILSRV_NAME_TRASH, { "Trash" } },
};

enum { USES = sizeof special_uses / sizeof *special_uses };

static bool is_line(const char *p, size_t n, const char *use, const char *folder)
{
    const size_t n_use = strlen(use), n_folder = strlen(folder);
    return n == n_use + 1 + n_folder && memcmp(p, use, n_use) == 0 && p[n_use] == ' ' &&
           memcmp(p + n_use + 1, folder, n_folder) == 0;
}

static uint32_t default_uses(const char *folder)
{
    uint32_t uses = 0;
    for (size_t i = 0; i < USES; i++)
        for (size_t k = 0; k < 2 && special_uses[i].folders[k] != NULL; k++)
            if (strcmp(special_uses[i].folders[k], folder) == 0)
                uses |= special_uses[i].bit;
    return uses;
}

uint32_t maildir_uses(const char *lines, size_t n, const char *folder)
{
    uint32_t uses = 0;
    if (lines == NULL)
        return default_uses(folder);
    for (const char *at = lines, *end = lines + n; at < end;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        const char *ends = lf == NULL ? end : lf;
        for (size_t i = 0; i < USES; i++)
            if (is_line(at, (size_t)(ends - at), special_uses[i].name, folder))
                uses |= special_uses[i].bit;
        at = lf == NULL ? end : lf + 1;
    }
    return uses;
}

void maildir_write_uses(uint32_t uses, const char *folder, FILE *to)
{
    for (size_t i = 0; i < USES; i++)
        if ((uses & special_uses[i].bit) != 0)
            fprintf(to, "%s %s\n", special_uses[i].name, folder);
}

/* ---- Flags ---- */

/* One that finds no room is left out, whole. */
static void add_keyword(struct exchanged_message *m, const char *name)
{
    const size_t n = strlen(m->keywords), octets = strlen(name);
    if (octets != 0 && n + octets + 2 <= sizeof m->keywords)
        snprintf(m->keywords + n, sizeof m->keywords - n, "%s%s", n == 0 ? "" : " ", name);
}

void maildir_index_flags(const struct maildir_index *f, const struct maildir_entry *entry, struct exchanged_message *m)
{
    const char *info = strstr(name_of(entry), ":2,");
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

size_t maildir_flag_letters(uint32_t flags, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < FLAG_LETTERS; i++)
        if ((flags & flag_letters[i].flag) != 0)
            out[n++] = flag_letters[i].letter;
    out[n] = '\0';
    return n;
}
