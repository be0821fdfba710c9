#include "smtp_reply.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void read_line(struct smtp_reply *reply, const char *p, size_t n)
{
    reply->whole = true;
    reply->text = p;
    reply->n = n -= n >= 2 && p[n - 2] == '\r' ? 2 : 1;
    if (n < 3 || !is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) || (n > 3 && p[3] != ' ' && p[3] != '-'))
        return;
    reply->code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    reply->last = n == 3 || p[3] == ' ';
}

size_t smtp_take(struct smtp_reader *reader, const char *p, size_t n, struct smtp_reply *reply)
{
    const char *end = memchr(p, '\n', n);
    const size_t taken = end == NULL ? n : (size_t)(end - p) + 1;
    *reply = (struct smtp_reply){ .last = true };
    if (reader->n == 0 && end != NULL) {
        read_line(reply, p, taken);
        return taken;
    }
    /* What is longer than it may be loses its middle. */
    const size_t room = sizeof reader->line - reader->n, kept = taken < room ? taken : room;
    memcpy(reader->line + reader->n, p, kept);
    reader->n += kept;
    if (end != NULL) {
        memcpy(reader->line + reader->n - 1, "\n", 1);
        read_line(reply, reader->line, reader->n);
        reader->n = 0;
    }
    return taken;
}
