#include "message/header_editor.h"

enum { AT_LINE_START, AT_LINE, AT_ADDED, AT_BODY };

/* What a line is, as far as it can be seen. */
enum line { LINE_UNDECIDED, LINE_CONTINUES, LINE_FIELD, LINE_OTHER, LINE_EMPTY };

void mailsrv__header_editor_init(struct header_editor *e, struct span drop, const struct missing_field *add,
                                 size_t n_add)
{
    *e = (struct header_editor){ .drop = drop, .add = add, .n_add = n_add, .at = AT_LINE_START };
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ftext = %d33-57 / %d59-126   RFC 5322 section 3.6.8 */
static bool is_ftext(char c)
{
    return c > ' ' && c <= '~' && c != ':';
}

/* field-name *WSP ":"; blanks before the colon are obsolete, and read (RFC 5322 section 4.5.8).  More of them than can
 * be kept are taken for such blanks. */
static enum line see_field(const struct header_editor *e, struct span text, struct span *name)
{
    size_t n = 0;
    while (n < text.n && is_ftext(text.p[n]))
        n++;
    *name = mailsrv__span_first(text, n);
    if (n > FIELD_NAME_OCTETS_MAX)
        return LINE_FIELD; /* too long for a name that anybody asks for */
    while (n < text.n && is_blank(text.p[n]))
        n++;
    if (n == text.n)
        return n == sizeof e->held ? LINE_FIELD : LINE_UNDECIDED;
    return text.p[n] == ':' && name->n != 0 ? LINE_FIELD : LINE_OTHER;
}

/* `text` is the beginning of a line, of at most sizeof held octets. */
static enum line see_line(const struct header_editor *e, struct span text, struct span *name)
{
    if (is_blank(text.p[0]))
        return LINE_CONTINUES;
    if (text.p[0] == '\n')
        return LINE_EMPTY;
    if (text.p[0] != '\r')
        return see_field(e, text, name);
    if (text.n == 1)
        return LINE_UNDECIDED;
    return text.p[1] == '\n' ? LINE_EMPTY : LINE_OTHER;
}

static bool is_dropped(const struct header_editor *e, struct span name)
{
    struct span rest = e->drop;
    while (rest.n != 0) {
        const char *space = memchr(rest.p, ' ', rest.n);
        size_t n = space == NULL ? rest.n : (size_t)(space - rest.p);
        if (n != 0 && mailsrv__span_equal_nocase(name, mailsrv__span_first(rest, n)))
            return true;
        rest = mailsrv__span_after(rest, n + 1);
    }
    return false;
}

static void see_name(struct header_editor *e, struct span name)
{
    for (size_t i = 0; i < e->n_add; i++)
        if (mailsrv__span_equal_nocase(name, e->add[i].name))
            e->seen |= UINT32_C(1) << i;
}

/* The first that is missing, or n_add. */
static size_t find_missing(const struct header_editor *e)
{
    size_t i = 0;
    while (i < e->n_add && (e->seen >> i & 1) != 0)
        i++;
    return i;
}

/* The header is over: adds what is missing, then goes on with the body. */
static void end_header(struct header_editor *e, bool separate)
{
    bool complete = find_missing(e) == e->n_add;
    e->separate = separate && !complete;
    e->at = complete ? AT_BODY : AT_ADDED;
}

/* The kind of this line is known, and its beginning is in `held` or still in the input. */
static void enter_line(struct header_editor *e, enum line line, struct span name)
{
    e->at = AT_LINE;
    if (line == LINE_FIELD) {
        e->dropping = is_dropped(e, name);
        if (!e->dropping)
            see_name(e, name);
    } else if (line != LINE_CONTINUES) {
        e->dropping = false;
    }
    if (line == LINE_EMPTY || (line == LINE_OTHER && find_missing(e) != e->n_add))
        end_header(e, line == LINE_OTHER);
    if (e->dropping)
        e->held_n = 0;
    e->decided = e->held_n != 0;
    if (e->decided && e->at == AT_LINE && e->held[e->held_n - 1] == '\n')
        e->at = AT_LINE_START;
}

/* Takes octets into `held` until the line's kind is known; a beginning that lies in one piece is not copied. */
static void begin_line(struct header_editor *e, struct span *in)
{
    struct span name = { NULL, 0 };
    enum line line = LINE_UNDECIDED;
    if (e->held_n == 0)
        line = see_line(e, mailsrv__span_first(*in, sizeof e->held), &name);
    while (line == LINE_UNDECIDED && in->n != 0) {
        e->held[e->held_n++] = in->p[0];
        *in = mailsrv__span_after(*in, 1);
        line = see_line(e, (struct span){ e->held, e->held_n }, &name);
    }
    if (line != LINE_UNDECIDED)
        enter_line(e, line, name);
}

/* The rest of a line whose fate is known. */
static struct span take_line(struct header_editor *e, struct span *in)
{
    const char *lf = memchr(in->p, '\n', in->n);
    struct span part = mailsrv__span_first(*in, lf == NULL ? in->n : (size_t)(lf - in->p) + 1);
    *in = mailsrv__span_after(*in, part.n);
    if (lf != NULL)
        e->at = AT_LINE_START;
    if (e->dropping)
        return (struct span){ NULL, 0 };
    e->line_is_open = lf == NULL;
    return part;
}

static struct span take_held(struct header_editor *e)
{
    if (!e->decided)
        return (struct span){ NULL, 0 };
    struct span part = { e->held, e->held_n };
    e->line_is_open = e->held[e->held_n - 1] != '\n';
    e->decided = false;
    e->held_n = 0;
    return part;
}

static struct span take_added(struct header_editor *e)
{
    size_t i = find_missing(e);
    if (i != e->n_add) {
        e->seen |= UINT32_C(1) << i;
        return e->add[i].text;
    }
    e->at = AT_BODY;
    return e->separate ? SPAN("\r\n") : (struct span){ NULL, 0 };
}

bool mailsrv__header_edit(struct header_editor *e, struct span *in, struct span *out)
{
    *out = (struct span){ NULL, 0 };
    while (out->n == 0) {
        if (e->at == AT_ADDED) {
            *out = take_added(e);
        } else if (e->decided) {
            *out = take_held(e);
        } else if (in->n == 0) {
            return false;
        } else if (e->at == AT_LINE_START) {
            begin_line(e, in);
        } else if (e->at == AT_LINE) {
            *out = take_line(e, in);
        } else {
            *out = *in;
            *in = mailsrv__span_after(*in, in->n);
        }
    }
    return true;
}

/* What was kept back was no name.  A message that is all header gets what is missing at its end. */
bool mailsrv__header_end(struct header_editor *e, struct span *out)
{
    struct span none = { NULL, 0 };
    if (e->at == AT_LINE_START || e->at == AT_LINE) {
        e->decided = e->held_n != 0;
        *out = take_held(e);
        if (out->n != 0)
            return true;
        end_header(e, false);
        if (e->at == AT_ADDED && e->line_is_open) {
            e->line_is_open = false;
            *out = SPAN("\r\n");
            return true;
        }
    }
    return mailsrv__header_edit(e, &none, out);
}
