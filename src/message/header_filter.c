#include "message/header_filter.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_named(const struct header_filter *f, struct span name)
{
    while (name.n != 0 && is_blank(name.p[name.n - 1]))
        name.n--;
    for (uint32_t i = 0; i < f->n_names; i++)
        if (mailsrv__span_equal_nocase(name, f->names[i]))
            return true;
    return false;
}

/* Of a line's beginning: does it go out?  False: that cannot be known yet. */
static bool decide(struct header_filter *f, struct span line)
{
    char last = line.p[line.n - 1];
    if (is_blank(line.p[0]))
        return true; /* as the field that it goes on with */
    if (last == '\n' && (line.n == 1 || (line.n == 2 && line.p[0] == '\r'))) {
        f->passes = true;
        return true;
    }
    if (last != ':' && last != '\n' && line.n != FILTER_NAME_MAX)
        return false;
    f->passes = f->others != (last == ':' && is_named(f, mailsrv__span_first(line, line.n - 1)));
    return true;
}

static struct span take_held(struct header_filter *f)
{
    struct span held = { f->held, f->held_n };
    f->decided = held.n == 0 || held.p[held.n - 1] != '\n';
    f->held_n = 0;
    return f->passes ? held : (struct span){ NULL, 0 };
}

static struct span take_line(struct header_filter *f, struct span *in)
{
    const char *lf = memchr(in->p, '\n', in->n);
    struct span part = mailsrv__span_first(*in, lf == NULL ? in->n : (size_t)(lf - in->p) + 1);
    *in = mailsrv__span_after(*in, part.n);
    f->decided = lf == NULL;
    return f->passes ? part : (struct span){ NULL, 0 };
}

bool mailsrv__header_filter_take(struct header_filter *f, struct span *in, struct span *out)
{
    *out = (struct span){ NULL, 0 };
    while (out->n == 0 && in->n != 0) {
        if (f->decided) {
            *out = take_line(f, in);
            continue;
        }
        f->held[f->held_n++] = in->p[0];
        *in = mailsrv__span_after(*in, 1);
        if (decide(f, (struct span){ f->held, f->held_n }))
            *out = take_held(f);
    }
    return out->n != 0;
}

bool mailsrv__header_filter_end(struct header_filter *f, struct span *out)
{
    f->passes = f->others;
    *out = f->held_n != 0 ? take_held(f) : (struct span){ NULL, 0 };
    return out->n != 0;
}
