#include "message/header.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One line, with its end; the last one may have none. */
static struct span line_of(struct span text)
{
    const char *lf = text.n == 0 ? NULL : memchr(text.p, '\n', text.n);
    return mailsrv__span_first(text, lf == NULL ? text.n : (size_t)(lf - text.p) + 1);
}

/* A CR without LF ends no line. */
static struct span without_end(struct span line)
{
    if (line.n == 0 || line.p[line.n - 1] != '\n')
        return line;
    line.n--;
    if (line.n != 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* Lines that begin with a blank go on with the one before. */
static struct span take_lines(struct span *header)
{
    struct span all = *header;
    size_t n = line_of(all).n;
    while (n < all.n && is_blank(all.p[n]))
        n += line_of(mailsrv__span_after(all, n)).n;
    *header = mailsrv__span_after(all, n);
    return mailsrv__span_first(all, n);
}

bool mailsrv__header_next(struct span *header, struct header_field *out)
{
    struct span first = line_of(*header);
    if (first.n == 0)
        return false;
    if (without_end(first).n == 0) {
        *header = mailsrv__span_after(*header, first.n);
        return false;
    }
    out->all = take_lines(header);
    const char *colon = memchr(out->all.p, ':', first.n);
    out->name = colon == NULL ? without_end(first) : mailsrv__span_first(first, (size_t)(colon - first.p));
    out->value = (struct span){ NULL, 0 };
    if (colon != NULL)
        out->value = without_end((struct span){ colon + 1, out->all.n - out->name.n - 1 });
    while (out->name.n != 0 && is_blank(out->name.p[out->name.n - 1]))
        out->name.n--;
    return true;
}

void mailsrv__unfold(struct span value, struct writer *out)
{
    size_t begin = out->n;
    while (value.n != 0) {
        struct span line = line_of(value), text = without_end(line);
        value = mailsrv__span_after(value, line.n);
        while (out->n == begin && text.n != 0 && is_blank(text.p[0]))
            text = mailsrv__span_after(text, 1);
        mailsrv__write(out, text);
    }
    while (out->n != begin && is_blank(out->p[out->n - 1]))
        out->n--;
}

size_t mailsrv__header_octets(struct span text)
{
    struct header_field field;
    struct span rest = text;
    while (mailsrv__header_next(&rest, &field))
        ;
    return text.n - rest.n;
}
