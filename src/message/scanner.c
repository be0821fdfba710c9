/* Lines: which of them are delimiters, and which end a header.  Those of a body are only counted. */
#include "message/scanning.h"

void mailsrv__scanner_init(struct scanner *s, struct heap *heap, enum mailsrv__class class_)
{
    memset(s, 0, sizeof *s);
    s->heap = heap;
    s->class_ = class_;
    s->last = '\n';
    mailsrv__scan_begin_part(s, 0);
}

static bool in_header(const struct scanner *s)
{
    return mailsrv__scan_top(s)->in_header;
}

/* ---- A line whose kind is known ---- */

static void line_ended(struct scanner *s, bool crlf)
{
    enum line line = (enum line)s->in_line;
    s->lines++;
    s->line_end = crlf ? 2 : 1;
    s->line = s->at;
    s->last = '\n';
    s->in_line = LINE_UNDECIDED;
    s->head_n = 0;
    if (line == LINE_EMPTY)
        mailsrv__scan_end_header(s, s->at);
    else if (line == LINE_DELIMITER)
        mailsrv__scan_begin_part(s, s->at);
}

/* Up to its end; returns how many octets of it there are. */
static size_t take_line(struct scanner *s, struct span octets)
{
    const char *lf = memchr(octets.p, '\n', octets.n);
    size_t n = lf == NULL ? octets.n : (size_t)(lf - octets.p) + 1;
    char before = n > 1 ? octets.p[n - 2] : s->last;
    if (s->in_line == LINE_PLAIN && in_header(s))
        mailsrv__scan_fields_take(s, mailsrv__span_first(octets, n), s->at);
    s->at += n;
    s->last = octets.p[n - 1];
    if (lf != NULL)
        line_ended(s, before == '\r');
    return n;
}

size_t mailsrv__scan_body(struct scanner *s, struct span octets)
{
    if (s->in_line != LINE_UNDECIDED || s->head_n != 0 || in_header(s))
        return 0;
    const char *p = octets.p, *end = octets.p + octets.n;
    while (p != end && (*p != '-' || s->active == 0)) {
        s->dots = s->dots || *p == '.';
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (lf == NULL) {
            s->in_line = LINE_PLAIN;
            s->last = end[-1];
            p = end;
            break;
        }
        s->line_end = lf != p && lf[-1] == '\r' ? 2 : 1;
        s->lines++;
        p = lf + 1;
        s->line = s->at + (uint64_t)(p - octets.p);
    }
    s->at += (uint64_t)(p - octets.p);
    if (p != octets.p)
        s->seen = LINE_PLAIN;
    return (size_t)(p - octets.p);
}

/* ---- The beginning of a line, which is kept until its kind is known ---- */

static enum line see_delimiter(const struct scanner *s, struct span line)
{
    if (s->active == 0 || (line.n > 1 && line.p[1] != '-'))
        return LINE_PLAIN;
    bool whole = line.p[line.n - 1] == '\n' || line.n == sizeof s->head;
    return whole ? LINE_DELIMITER : LINE_UNDECIDED;
}

static enum line see_line(const struct scanner *s, struct span line)
{
    if (line.p[0] == '-')
        return see_delimiter(s, line);
    if (!in_header(s))
        return LINE_PLAIN;
    if (line.p[0] == '\n')
        return LINE_EMPTY;
    if (line.p[0] != '\r')
        return LINE_PLAIN;
    if (line.n == 1)
        return LINE_UNDECIDED;
    return line.p[1] == '\n' ? LINE_EMPTY : LINE_PLAIN;
}

/* The line end before a delimiter belongs to it (RFC 2046 section 5.1.1), but for one that ends a header, or the
 * delimiter before it. */
static bool line_end_is_its(const struct scanner *s)
{
    const struct level *top = mailsrv__scan_top(s);
    uint64_t begin = top->in_header ? mailsrv__scan_part(s, top->part)->offset : top->body;
    return s->line > begin;
}

/* The delimiter that would begin part 4,097 is
 * none: what follows it is of the part before it. */
static enum line enter_delimiter(struct scanner *s)
{
    bool is_last;
    struct span line = { s->head, s->head_n };
    uint32_t at = mailsrv__scan_delimiter(s, mailsrv__span_after(line, 2), &is_last);
    if (at == s->n_levels)
        return LINE_PLAIN;
    if (!is_last && s->n_parts == STRUCTURE_PARTS_MAX) {
        mailsrv__scan_part(s, s->n_parts - 1)->kind |= PART_OPAQUE;
        return LINE_PLAIN;
    }
    if (line_end_is_its(s))
        mailsrv__scan_end_parts(s, at + 1, s->line - s->line_end, s->lines - 1);
    else
        mailsrv__scan_end_parts(s, at + 1, s->line, s->lines);
    if (s->failed)
        return LINE_PLAIN;
    if (is_last) {
        mailsrv__scan_level(s, at)->boundary_n = 0;
        s->active--;
    }
    return is_last ? LINE_LAST_DELIMITER : LINE_DELIMITER;
}

/* Its kind is known: what was kept of it is taken as that. */
static void enter_line(struct scanner *s, enum line line)
{
    struct span head = { s->head, s->head_n };
    uint64_t at = s->at;
    if (line == LINE_DELIMITER)
        line = enter_delimiter(s);
    s->in_line = s->seen = (uint8_t)line;
    s->at = at - head.n;
    if (!s->failed && head.n != 0)
        take_line(s, head);
}

static size_t take_head(struct scanner *s, struct span octets)
{
    size_t n = 0;
    enum line line = LINE_UNDECIDED;
    while (n < octets.n && line == LINE_UNDECIDED) {
        s->head[s->head_n++] = octets.p[n++];
        line = see_line(s, (struct span){ s->head, s->head_n });
    }
    s->at += n;
    if (s->head_n == n)
        s->dots = s->dots || s->head[0] == '.';
    if (line != LINE_UNDECIDED)
        enter_line(s, line);
    return n;
}

/* ---- A message ---- */

void mailsrv__scanner_take(struct scanner *s, struct span octets)
{
    while (octets.n != 0 && !s->failed) {
        size_t n = 0;
        if (s->in_line != LINE_UNDECIDED)
            n = take_line(s, octets);
        else
            n = mailsrv__scan_body(s, octets);
        if (n == 0)
            n = take_head(s, octets);
        octets = mailsrv__span_after(octets, n);
    }
}

/* What was kept of the last line ends with the message. */
struct span mailsrv__scanner_end(struct scanner *s)
{
    if (!s->failed && s->head_n != 0 && s->in_line == LINE_UNDECIDED)
        enter_line(s, s->head_n > 1 && s->head[0] == '-' ? LINE_DELIMITER : LINE_PLAIN);
    if (!s->failed)
        mailsrv__scan_end_parts(s, 0, s->at, s->lines);
    if (!s->failed)
        mailsrv__scan_write_blob(s);
    return s->failed ? (struct span){ NULL, 0 } : (struct span){ s->blob.p, s->blob.n };
}

void mailsrv__scanner_fini(struct scanner *s)
{
    struct growing *all[] = { &s->levels, &s->boundaries, &s->parts, &s->fields, &s->blob, &s->in.value, &s->in.kept };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mailsrv__scan_free(s, all[i]);
}
