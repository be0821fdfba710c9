#include "match.h"

void captures_free(struct captures *c)
{
    for (size_t i = 0; i < c->n; i++)
        buffer_free(&c->v[i].value);
    c->n = 0;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The name of a `<name>` or `<*>` at the start of the pattern; empty: it is something else. */
static struct text hole_name(struct text pattern)
{
    size_t n = 1;
    if (pattern.n < 3 || pattern.p[0] != '<')
        return (struct text){ NULL, 0 };
    if (pattern.p[1] == '*')
        n = 2;
    else
        while (n < pattern.n && is_name(pattern.p[n]))
            n++;
    if (n == 1 || n == pattern.n || pattern.p[n] != '>')
        return (struct text){ NULL, 0 };
    return (struct text){ pattern.p + 1, n - 1 };
}

static const struct capture *captured(const struct captures *c, struct text name)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].name.n == name.n && memcmp(c->v[i].name.p, name.p, name.n) == 0)
            return &c->v[i];
    return NULL;
}

static bool match(struct text pattern, struct text line, struct captures *c);

static bool match_hole(struct text name, struct text pattern, struct text line, struct captures *c)
{
    const struct capture *known = captured(c, name);
    if (known != NULL) {
        struct text value = buffer_text(&known->value);
        return text_begins(line, value) && match(pattern, text_after(line, value.n), c);
    }
    bool keeps = name.p[0] != '*' && c->n < CAPTURES_MAX;
    for (size_t n = 0; n <= line.n; n++) {
        if (keeps) {
            struct capture *new = &c->v[c->n++];
            new->name = name;
            buffer_add(&new->value, line.p, n);
        }
        if (match(pattern, text_after(line, n), c))
            return true;
        if (keeps)
            buffer_free(&c->v[--c->n].value);
    }
    return false;
}

static bool match(struct text pattern, struct text line, struct captures *c)
{
    while (pattern.n != 0) {
        struct text name = hole_name(pattern);
        if (name.n != 0)
            return match_hole(name, text_after(pattern, name.n + 2), line, c);
        if (pattern.n >= 2 && pattern.p[0] == '\\' && pattern.p[1] == '<')
            pattern = text_after(pattern, 1);
        if (line.n == 0 || line.p[0] != pattern.p[0])
            return false;
        pattern = text_after(pattern, 1);
        line = text_after(line, 1);
    }
    return line.n == 0;
}

bool match_line(struct text pattern, struct text line, struct captures *captures)
{
    return match(pattern, line, captures);
}

bool match_lines(struct text pattern, struct text text, struct captures *captures)
{
    while (pattern.n != 0 && text.n != 0)
        if (!match(text_line(&pattern), text_line(&text), captures))
            return false;
    return pattern.n == 0 && text.n == 0;
}
