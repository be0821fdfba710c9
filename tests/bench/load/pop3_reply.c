#define _GNU_SOURCE
#include "pop3_reply.h"

#include <string.h>

static const char end_of_lines[] = "\r\n.\r\n";
enum { END = sizeof end_of_lines - 1, END_LINE = 3 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Octets up to and with the end; 0: it is not here. */
static size_t find_end(const struct pop3_reader *r, const char *p, size_t n)
{
    char seam[2 * (END - 1)];
    const size_t ahead = least(n, END - 1);
    memcpy(seam, r->tail, r->tail_n);
    memcpy(seam + r->tail_n, p, ahead);
    const char *found = memmem(seam, r->tail_n + ahead, end_of_lines, END);
    if (found != NULL)
        return (size_t)(found - seam) + END - r->tail_n;
    found = memmem(p, n, end_of_lines, END);
    return found == NULL ? 0 : (size_t)(found - p) + END;
}

static void keep_tail(struct pop3_reader *r, const char *p, size_t n)
{
    const size_t new = least(n, sizeof r->tail), old = least(r->tail_n, sizeof r->tail - new);
    memmove(r->tail, r->tail + r->tail_n - old, old);
    memcpy(r->tail + old, p + n - new, new);
    r->tail_n = (uint8_t)(old + new);
}

static void end_reply(struct pop3_reader *r, struct pop3_reply *reply)
{
    reply->whole = true;
    reply->text = r->line;
    reply->n = r->n;
    reply->more = r->line + r->n;
    reply->more_n = r->more_n;
    reply->octets = r->octets;
    reply->lines = r->lines;
    r->within = false;
    r->n = r->more_n = 0;
}

static void see_lines(struct pop3_reader *r, const char *p, size_t n)
{
    const size_t kept = least(n, sizeof r->line - r->n - r->more_n);
    memcpy(r->line + r->n + r->more_n, p, kept);
    r->more_n += (uint32_t)kept;
    for (size_t i = 0; i < n; i++)
        r->lines += p[i] == '\n';
}

static size_t take_lines(struct pop3_reader *r, enum pop3_form form, const char *p, size_t n, struct pop3_reply *reply)
{
    const size_t found = find_end(r, p, n), taken = found == 0 ? n : found;
    r->octets += taken;
    if (form == POP3_LINES)
        see_lines(r, p, taken);
    keep_tail(r, p, taken);
    if (found == 0)
        return taken;
    r->octets -= END_LINE;
    r->lines -= form == POP3_LINES;
    reply->good = true;
    end_reply(r, reply);
    return taken;
}

size_t pop3_take(struct pop3_reader *r, enum pop3_form form, const char *p, size_t n, struct pop3_reply *reply)
{
    reply->whole = reply->good = false;
    if (r->within)
        return take_lines(r, form, p, n, reply);
    const char *end = memchr(p, '\n', n);
    const size_t taken = end == NULL ? n : (size_t)(end - p) + 1;
    const size_t kept = least(taken, sizeof r->line - r->n);
    memcpy(r->line + r->n, p, kept);
    r->n += (uint32_t)kept;
    if (end == NULL)
        return taken;
    while (r->n != 0 && (r->line[r->n - 1] == '\n' || r->line[r->n - 1] == '\r'))
        r->n--;
    r->octets = r->lines = 0;
    reply->good = r->n >= 3 && memcmp(r->line, "+OK", 3) == 0;
    if (!reply->good || form == POP3_LINE) {
        end_reply(r, reply);
        return taken;
    }
    r->within = true;
    r->tail_n = 2;
    memcpy(r->tail, "\r\n", 2);
    return taken;
}
