#define _GNU_SOURCE /* memmem, strptime, timegm */
#include "folders.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Messages begin with a line "From SENDER DATE" at the beginning or behind an empty line; a line of theirs that begins
 * with any number of ">" and "From " has one more ">" (mboxrd).  What clients keep of a message stands in fields that
 * are not its own: Status, X-Status, X-Keywords, X-UID, X-IMAP, X-IMAPbase. */

struct line {
    const char *p;
    size_t n; /* with its end */
};

static bool next_line(const char **at, const char *end, struct line *out)
{
    if (*at == end)
        return false;
    const char *lf = memchr(*at, '\n', (size_t)(end - *at));
    *out = (struct line){ *at, (size_t)((lf == NULL ? end : lf + 1) - *at) };
    *at += out->n;
    return true;
}

static bool is_empty(const struct line *l)
{
    return (l->n == 1 && l->p[0] == '\n') || (l->n == 2 && l->p[0] == '\r' && l->p[1] == '\n');
}

static bool is_from(const struct line *l)
{
    return l->n > 5 && memcmp(l->p, "From ", 5) == 0;
}

static bool is_quoted_from(const struct line *l)
{
    size_t n = 0;
    while (n < l->n && l->p[n] == '>')
        n++;
    return n > 0 && l->n - n > 5 && memcmp(l->p + n, "From ", 5) == 0;
}

/* ---- Reading ---- */

static bool is_field(const struct line *l, const char *name)
{
    const size_t n = strlen(name);
    return l->n > n && l->p[n] == ':' && strncasecmp(l->p, name, n) == 0;
}

/* What stands behind the colon, without its ends, NUL-ended. */
static const char *value_of(const struct line *l, char *out, size_t room)
{
    const char *p = memchr(l->p, ':', l->n), *end = l->p + l->n;
    for (p++; p < end && isspace((unsigned char)*p);)
        p++;
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    const size_t n = (size_t)(end - p) < room - 1 ? (size_t)(end - p) : room - 1;
    memcpy(out, p, n);
    out[n] = '\0';
    return out;
}

static void read_status(const char *letters, struct exchanged_message *m)
{
    static const struct {
        char letter;
        uint32_t flag;
    } known[] = { { 'R', MAILSRV_FLAG_SEEN },
                  { 'A', MAILSRV_FLAG_ANSWERED },
                  { 'F', MAILSRV_FLAG_FLAGGED },
                  { 'D', MAILSRV_FLAG_DELETED },
                  { 'T', MAILSRV_FLAG_DRAFT } };
    for (; *letters != '\0'; letters++)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (known[i].letter == *letters)
                m->flags |= known[i].flag;
}

/* A field of a client's own: read and left out.  X-IMAPbase: UIDVALIDITY LAST-UID KEYWORDS. */
static bool take_field(const struct line *l, struct exchanged_message *m, struct exchanged_mailbox *box)
{
    char value[EXCHANGE_KEYWORDS_MAX + 1];
    if (is_field(l, "Status") || is_field(l, "X-Status"))
        read_status(value_of(l, value, sizeof value), m);
    else if (is_field(l, "X-Keywords"))
        snprintf(m->keywords, sizeof m->keywords, "%s", value_of(l, value, sizeof value));
    else if (is_field(l, "X-UID"))
        m->uid = (uint32_t)strtoul(value_of(l, value, sizeof value), NULL, 10);
    else if (is_field(l, "X-IMAPbase") || is_field(l, "X-IMAP"))
        box->uidvalidity = (uint32_t)strtoul(value_of(l, value, sizeof value), NULL, 10);
    else
        return false;
    return true;
}

/* From SENDER Wed Nov 25 20:15:18 2026 */
static int64_t date_of(const struct line *from)
{
    char line[256];
    struct tm utc = { 0 };
    const size_t n = from->n < sizeof line - 1 ? from->n : sizeof line - 1;
    memcpy(line, from->p, n);
    line[n] = '\0';
    const char *date = strchr(line + 5, ' ');
    if (date == NULL || strptime(date + strspn(date, " "), "%a %b %d %H:%M:%S %Y", &utc) == NULL)
        return 0;
    return (int64_t)timegm(&utc) * 1000000;
}

/* Where the message ends: before the empty line that stands before the next From line. */
static const char *end_of(const char *at, const char *end, const char **next)
{
    struct line l, before = { at, 0 };
    const char *empty = NULL;
    while (next_line(&at, end, &l)) {
        if (is_from(&l) && empty != NULL) {
            *next = l.p;
            return empty;
        }
        empty = is_empty(&l) ? l.p : NULL;
        before = l;
    }
    *next = end;
    return is_empty(&before) && empty != NULL ? empty : end;
}

/* The message in lines, twice: once to count, once to write. */
static uint64_t pass(const char *at, const char *end, struct exchanged_message *m, struct exchanged_mailbox *box,
                     FILE *to)
{
    uint64_t octets = 0;
    bool in_header = true;
    for (struct line l; next_line(&at, end, &l);) {
        in_header = in_header && !is_empty(&l);
        if (in_header && take_field(&l, m, box))
            continue;
        const size_t quote = is_quoted_from(&l) ? 1 : 0;
        octets += crlf_octets(l.p + quote, l.n - quote);
        if (to != NULL)
            crlf_write(l.p + quote, l.n - quote, to);
    }
    return octets;
}

static bool read_messages(const struct mapped *file, const char *name, FILE *to)
{
    const char *at = file->n == 0 ? "" : file->p, *end = at + file->n;
    struct exchanged_mailbox box = { .attributes = 0 };
    struct exchanged_message *m = calloc(1, sizeof *m), *again = calloc(1, sizeof *again);
    bool begun = false;
    snprintf(box.name, sizeof box.name, "%s", name);
    for (struct line from; m != NULL && again != NULL && next_line(&at, end, &from);) {
        const char *next, *last = end_of(at, end, &next);
        memset(m, 0, sizeof *m);
        m->internal_us = date_of(&from);
        m->octets = pass(at, last, m, &box, NULL);
        if (m->internal_us == 0)
            m->internal_us = file->modified_us;
        if (!begun) /* its UIDVALIDITY stands in the first message */
            exchange_put_mailbox(to, &box);
        begun = true;
        exchange_put_message(to, m);
        pass(at, last, again, &box, to);
        at = next;
    }
    if (!begun)
        exchange_put_mailbox(to, &box);
    const bool ok = m != NULL && again != NULL;
    free(m);
    free(again);
    return ok;
}

/* Is it an mbox?  Then its messages. */
bool mbox_read_octets(const struct mapped *file, const char *name, FILE *to)
{
    return (file->n == 0 || (file->n > 5 && memcmp(file->p, "From ", 5) == 0)) && read_messages(file, name, to);
}

bool mbox_read(const char *path, const char *name, FILE *to)
{
    struct mapped file;
    bool ok = map_file(AT_FDCWD, path, &file);
    if (!ok) {
        fprintf(stderr, "mailserverd: %s: %s\n", path, strerror(errno));
        return false;
    }
    ok = mbox_read_octets(&file, name, to);
    if (!ok)
        fprintf(stderr, "mailserverd: %s: expected an mbox, which begins with \"From \"\n", path);
    unmap_file(&file);
    return ok;
}

/* ---- Writing ---- */

struct writing {
    const char *path;
    FILE *file;
    uint32_t uidvalidity, uidnext;
    bool first; /* message of the mailbox */
};

static bool end_mailbox(struct writing *w)
{
    const bool ok = w->file == NULL || fclose(w->file) == 0;
    w->file = NULL;
    return ok;
}

/* A/B is DIRECTORY/A/B.mbox. */
static bool begin_mailbox(void *user, const struct exchanged_mailbox *box)
{
    struct writing *w = user;
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s.mbox", w->path, box->name);
    if (!end_mailbox(w) || n < 0 || (size_t)n >= sizeof path)
        return false;
    if (strncmp(box->name, "../", 3) == 0 || strstr(box->name, "/../") != NULL || strcmp(box->name, "..") == 0) {
        errno = EINVAL;
        return false;
    }
    for (char *p = path + strlen(w->path); (p = strchr(p + 1, '/')) != NULL; *p = '/') {
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return false;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    w->file = fd < 0 ? NULL : fdopen(fd, "w");
    w->uidvalidity = box->uidvalidity;
    w->uidnext = box->uidnext;
    w->first = true;
    return w->file != NULL;
}

static void write_head(struct writing *w, const struct exchanged_message *m)
{
    const time_t when = (time_t)(m->internal_us / 1000000);
    struct tm utc;
    char date[64];
    gmtime_r(&when, &utc);
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &utc);
    fprintf(w->file, "From MAILER-DAEMON %s\n", date);
    if (w->first)
        fprintf(w->file, "X-IMAPbase: %" PRIu32 " %" PRIu32 "\n", w->uidvalidity, w->uidnext - 1);
    fprintf(w->file, "X-UID: %" PRIu32 "\nStatus: %sO\n", m->uid, (m->flags & MAILSRV_FLAG_SEEN) != 0 ? "R" : "");
    fprintf(w->file, "X-Status: %s%s%s%s\n", (m->flags & MAILSRV_FLAG_ANSWERED) != 0 ? "A" : "",
            (m->flags & MAILSRV_FLAG_FLAGGED) != 0 ? "F" : "", (m->flags & MAILSRV_FLAG_DRAFT) != 0 ? "T" : "",
            (m->flags & MAILSRV_FLAG_DELETED) != 0 ? "D" : "");
    if (m->keywords[0] != '\0')
        fprintf(w->file, "X-Keywords: %s\n", m->keywords);
    w->first = false;
}

/* A line, as it came, but for the quoting; one without an end gets one. */
static void write_lines(FILE *to, const char *p, size_t n)
{
    const char *at = p;
    for (struct line l; next_line(&at, p + n, &l);) {
        if (is_from(&l) || is_quoted_from(&l))
            fputc('>', to);
        const bool crlf = l.n >= 2 && l.p[l.n - 2] == '\r' && l.p[l.n - 1] == '\n';
        fwrite(l.p, 1, crlf ? l.n - 2 : l.n, to);
        if (crlf || l.p[l.n - 1] != '\n')
            fputc('\n', to);
    }
}

/* A message is held whole: a line may be as long as it. */
static bool write_message(void *user, const struct exchange_source *from, const struct exchanged_message *m)
{
    struct writing *w = user;
    char *octets = w->file == NULL || m->octets >= SIZE_MAX ? NULL : malloc((size_t)m->octets + 1);
    const bool ok = octets != NULL && from->read(from->user, octets, (size_t)m->octets);
    if (ok) {
        write_head(w, m);
        write_lines(w->file, octets, (size_t)m->octets);
        fputc('\n', w->file);
    }
    free(octets);
    return ok && !ferror(w->file);
}

bool mbox_write(const char *path, const struct exchange_source *from)
{
    struct writing w = { .path = path };
    const struct exchange_sink sink = { &w, begin_mailbox, write_message };
    bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
    ok = ok && exchange_take_all(from, &sink);
    ok = end_mailbox(&w) && ok;
    if (!ok)
        fprintf(stderr, "mailserverd: %s: not all could be written: %s\n", path, strerror(errno));
    return ok;
}
