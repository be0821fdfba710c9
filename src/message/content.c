#include "message/content.h"

/* ---- What stands before the parameters ---- */

/* What follows a value is no part of it: a receiver reads on at the next semicolon. */
static struct span from_semicolon(struct lexer lx)
{
    struct writer nowhere = { 0 };
    mailsrv__lex_blanks(&lx);
    while (lx.rest.n != 0 && !mailsrv__lex_is(&lx, ';')) {
        if (mailsrv__lex_is(&lx, '"') && memchr(lx.rest.p + 1, '"', lx.rest.n - 1) != NULL)
            mailsrv__lex_quoted(&lx, &nowhere);
        else
            mailsrv__lex_skip(&lx, 1);
        mailsrv__lex_blanks(&lx);
    }
    return lx.rest;
}

bool mailsrv__content_type(struct span text, struct content_type *out)
{
    struct lexer lx = { .rest = text };
    *out = (struct content_type){ .type = { NULL, 0 } };
    mailsrv__lex_blanks(&lx);
    out->type = mailsrv__lex_token(&lx);
    mailsrv__lex_blanks(&lx);
    if (out->type.n == 0 || !mailsrv__lex_is(&lx, '/'))
        return false;
    mailsrv__lex_skip(&lx, 1);
    mailsrv__lex_blanks(&lx);
    out->subtype = mailsrv__lex_token(&lx);
    out->parameters = from_semicolon(lx);
    return out->subtype.n != 0;
}

struct span mailsrv__content_word(struct span text, struct span *parameters)
{
    struct lexer lx = { .rest = text };
    mailsrv__lex_blanks(&lx);
    struct span word = mailsrv__lex_token(&lx);
    *parameters = from_semicolon(lx);
    return word;
}

/* ---- A parameter ---- */

/* attribute ["*" section] ["*"]   RFC 2231 section 7 */
struct parameter {
    struct span name; /* all of it */
    struct span base; /* before the first "*" */
    struct lexer value;
    uint32_t section;
    bool in_section, extended;
};

enum { SECTION_MOST = 999 };

static void see_section(struct parameter *p)
{
    const char *star = p->name.n == 0 ? NULL : memchr(p->name.p, '*', p->name.n);
    p->base = p->name;
    if (star == NULL || star == p->name.p)
        return;
    struct span rest = mailsrv__span_after(p->name, (size_t)(star - p->name.p) + 1);
    size_t digits = 0;
    for (; digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9' && p->section <= SECTION_MOST; digits++)
        p->section = p->section * 10 + (uint32_t)(rest.p[digits] - '0');
    p->extended = digits + 1 == rest.n && rest.p[digits] == '*';
    p->in_section = digits != 0 && p->section <= SECTION_MOST && (digits == rest.n || p->extended);
    if (p->in_section)
        p->base.n = (size_t)(star - p->name.p);
}

/* parameter = attribute "=" value.  False: it has no value. */
static bool read_parameter(struct span text, struct parameter *out)
{
    *out = (struct parameter){ .value.rest = text };
    out->name = mailsrv__lex_token(&out->value);
    mailsrv__lex_blanks(&out->value);
    if (out->name.n == 0 || !mailsrv__lex_is(&out->value, '='))
        return false;
    mailsrv__lex_skip(&out->value, 1);
    mailsrv__lex_blanks(&out->value);
    see_section(out);
    return out->value.rest.n != 0 && !mailsrv__lex_is(&out->value, ';');
}

static struct span text_since(const struct writer *w, size_t begin)
{
    return (struct span){ w->n == begin ? "" : w->p + begin, w->n - begin };
}

/* value = token / quoted-string; what is neither ends at a blank or a semicolon ("=?utf-8?q?a?="). */
static struct span take_value(struct lexer *lx, struct writer *room)
{
    size_t begin = room->n, n = 0;
    if (mailsrv__lex_is(lx, '"')) {
        mailsrv__lex_quoted(lx, room);
        return text_since(room, begin);
    }
    struct lexer token = *lx;
    n = mailsrv__lex_token(&token).n;
    if (n == 0 || mailsrv__lex_is(&token, '?') || mailsrv__lex_is(&token, '='))
        while (n < lx->rest.n && memchr("; \t\r\n", lx->rest.p[n], 5) == NULL)
            n++;
    mailsrv__write(room, mailsrv__span_first(lx->rest, n));
    mailsrv__lex_skip(lx, n);
    return text_since(room, begin);
}

static void add(struct parameters *ps, const struct parameter *p, size_t at)
{
    struct parameter other;
    uint32_t i = ps->n++;
    ps->v[i].at = (uint32_t)at;
    ps->v[i].section = (uint16_t)p->section;
    ps->v[i].in_section = p->in_section;
    ps->v[i].extended = p->extended;
    ps->v[i].group = (uint8_t)i;
    for (uint32_t k = 0; p->in_section && k < i; k++) {
        if (!ps->v[k].in_section)
            continue;
        read_parameter(mailsrv__span_after(ps->text, ps->v[k].at), &other);
        if (!mailsrv__span_equal_nocase(other.base, p->base))
            continue;
        ps->v[i].group = ps->v[k].group;
        return;
    }
}

/* Where each begins; a semicolon in quotes is none. */
void mailsrv__parameters_begin(struct parameters *ps, struct span text)
{
    struct lexer lx = { .rest = text };
    struct writer nowhere = { 0 };
    struct parameter p;
    *ps = (struct parameters){ .text = text };
    while (ps->n < PARAMETERS_MAX) {
        lx.rest = from_semicolon(lx);
        if (lx.rest.n == 0)
            return;
        mailsrv__lex_skip(&lx, 1);
        mailsrv__lex_blanks(&lx);
        size_t at = text.n - lx.rest.n;
        if (!read_parameter(lx.rest, &p))
            continue;
        lx = p.value;
        if (mailsrv__lex_is(&lx, '"') && !mailsrv__lex_quoted(&lx, &nowhere))
            return; /* no value: it has no end */
        if (lx.rest.p == p.value.rest.p)
            take_value(&lx, &nowhere);
        add(ps, &p, at);
    }
}

/* ---- Sections ---- */

static bool is_section(const struct parameters *ps, uint32_t i, uint32_t group)
{
    return ps->v[i].in_section && ps->v[i].group == group;
}

/* Sections from 0 on, each there once, and none behind a gap: how many.  0: they are no whole. */
static uint32_t count_sections(const struct parameters *ps, uint32_t group, bool *extended)
{
    uint64_t seen = 0;
    uint32_t n = 0;
    *extended = false;
    for (uint32_t i = group; i < ps->n; i++) {
        if (!is_section(ps, i, group))
            continue;
        if (ps->v[i].section >= PARAMETERS_MAX || (seen >> ps->v[i].section & 1) != 0)
            return 0;
        seen |= UINT64_C(1) << ps->v[i].section;
        *extended = *extended || ps->v[i].extended;
        n++;
    }
    return seen == (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) ? n : 0;
}

/* In an extended value "%" begins an octet: where it came plainly it is written as one. */
static void escape_percent(struct writer *room, size_t begin)
{
    size_t more = 0, from = room->n;
    for (size_t i = begin; i < room->n; i++)
        more += room->p[i] == '%' ? 2 : 0;
    room->full = room->full || room->room - room->n < more;
    if (room->room - room->n < more)
        return;
    room->n += more;
    for (size_t to = room->n; from != to;) {
        to -= room->p[--from] == '%' ? 3 : 1;
        if (room->p[from] == '%')
            memcpy(room->p + to, "%25", 3);
        else
            room->p[to] = room->p[from];
    }
}

static void nth(const struct parameters *ps, uint32_t i, struct parameter *out)
{
    read_parameter(mailsrv__span_after(ps->text, ps->v[i].at), out);
}

static void join(const struct parameters *ps, uint32_t group, uint32_t section, bool extended, struct writer *room)
{
    struct parameter p;
    for (uint32_t i = group; i < ps->n; i++) {
        if (!is_section(ps, i, group) || ps->v[i].section != section)
            continue;
        nth(ps, i, &p);
        if (section == 0 && extended && !p.extended)
            mailsrv__write(room, SPAN("''"));
        size_t begin = room->n;
        take_value(&p.value, room);
        if (extended && !p.extended)
            escape_percent(room, begin);
        return;
    }
}

/* ---- One after the other ---- */

static struct span take_sections(const struct parameters *ps, uint32_t group, uint32_t n, bool extended,
                                 struct writer *room)
{
    size_t begin = room->n;
    for (uint32_t section = 0; section < n; section++)
        join(ps, group, section, extended, room);
    return text_since(room, begin);
}

/* The i-th.  False: it comes with the first of its sections. */
static bool take_parameter(const struct parameters *ps, uint32_t i, struct writer *room, struct span *name,
                           struct span *value)
{
    bool extended = false;
    struct parameter p;
    nth(ps, i, &p);
    uint32_t n = p.in_section ? count_sections(ps, ps->v[i].group, &extended) : 0;
    if (n != 0 && ps->v[i].group != i)
        return false;
    mailsrv__write(room, n != 0 ? p.base : p.name);
    if (n != 0 && extended)
        mailsrv__write_char(room, '*');
    *name = mailsrv__written(room);
    *value = n != 0 ? take_sections(ps, i, n, extended, room) : take_value(&p.value, room);
    return true;
}

bool mailsrv__parameter_next(struct parameters *ps, struct writer *room, struct span *name, struct span *value)
{
    room->n = 0;
    while (ps->next < ps->n)
        if (take_parameter(ps, ps->next++, room, name, value))
            return true;
    return false;
}

bool mailsrv__parameter_find(struct span text, struct span name, struct writer *room, struct span *value)
{
    struct parameters ps;
    struct span found;
    mailsrv__parameters_begin(&ps, text);
    while (mailsrv__parameter_next(&ps, room, &found, value))
        if (mailsrv__span_equal_nocase(found, name))
            return true;
    return false;
}
