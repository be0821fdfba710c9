#include "base/word.h"
#include "message/content.h"
#include "message/seeking.h"

enum { AT_LINE, AT_NAME, AT_VALUE };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void reset(struct kept_value *value)
{
    value->there = false;
    value->n = 0;
}

void mailsrv__fields_begin(struct fields *f, enum seek_header header)
{
    f->header = header;
    f->at = AT_LINE;
    f->cr = f->has_field = f->too_long = false;
    f->name_n = 0;
    f->kept = NULL;
    reset(&f->type);
    reset(&f->encoding);
    reset(&f->disposition);
    reset(&f->date);
}

/* ---- Octets of a field, without its line ends ---- */

static void take_name(struct fields *f, char c)
{
    f->too_long = f->too_long || f->name_n == SEEK_NAME_MAX;
    if (!f->too_long)
        f->name[f->name_n++] = c;
    mailsrv__words_take(&f->words, c);
}

/* What is kept begins with no blank, as in a structure. */
static void keep(struct kept_value *kept, struct span text)
{
    while (kept->n == 0 && text.n != 0 && is_blank(text.p[0]))
        text = mailsrv__span_after(text, 1);
    text = mailsrv__span_first(text, SEEK_VALUE_MAX - kept->n);
    if (text.n != 0)
        memcpy(kept->p + kept->n, text.p, text.n);
    kept->n += text.n;
}

/* What concerns no key need not be read: its characters would go nowhere. */
static void take_value(struct fields *f, struct span text)
{
    if (f->kept != NULL)
        keep(f->kept, text);
    if (f->keys->n_fed != 0)
        mailsrv__keys_words(f->keys, &f->words, text);
}

static void take_octet(struct fields *f, char c)
{
    if (f->at == AT_NAME)
        take_name(f, c);
    else
        take_value(f, (struct span){ &c, 1 });
}

/* The conditions that ask for that field see what comes. */
static void show_value(struct fields *f, struct span name)
{
    for (uint32_t i = 0; f->header == SEEK_OWN && i < f->keys->n; i++) {
        struct key *key = &f->keys->v[i];
        if (key->kind == SEEK_FIELD && key->match == SEEK_OPEN && mailsrv__span_equal_nocase(key->name, name))
            mailsrv__keys_begin_one(f->keys, key);
    }
}

/* The name of the field, without the blanks before its colon. */
static struct span name_of(const struct fields *f)
{
    struct span name = { f->name, f->too_long ? 0 : f->name_n };
    while (name.n != 0 && is_blank(name.p[name.n - 1]))
        name.n--;
    return name;
}

/* ---- Parameters, whose values may come in sections and in a charset (RFC 2231) ---- */

static void show_octet(struct fields *f, struct charset_reader *r, char octet)
{
    uint32_t chars[CHARSET_CHARS_MAX];
    unsigned n = mailsrv__charset_take(r, (uint8_t)octet, chars);
    for (unsigned i = 0; i < n; i++)
        mailsrv__keys_char(f->keys, chars[i]);
}

/* Up to the next apostrophe. */
static struct span take_quoted(struct span *text)
{
    const char *end = text->n == 0 ? NULL : memchr(text->p, '\'', text->n);
    size_t n = end == NULL ? 0 : (size_t)(end - text->p);
    struct span taken = mailsrv__span_first(*text, n);
    *text = mailsrv__span_after(*text, end == NULL ? 0 : n + 1);
    return taken;
}

/* charset "'" language "'" *(ext-octet / attribute-char)   section 7 */
static void show_extended(struct fields *f, struct span text)
{
    struct charset_reader r;
    mailsrv__charset_begin(&r, mailsrv__charset(take_quoted(&text)));
    take_quoted(&text);
    while (text.n != 0) {
        unsigned high = text.n > 2 && text.p[0] == '%' ? mailsrv__hex_digit(text.p[1]) : 16;
        unsigned low = high < 16 ? mailsrv__hex_digit(text.p[2]) : 16;
        show_octet(f, &r, low < 16 ? (char)(high << 4 | low) : text.p[0]);
        text = mailsrv__span_after(text, low < 16 ? 3 : 1);
    }
}

static void show_plain(struct fields *f, struct span text)
{
    struct charset_reader r;
    mailsrv__charset_begin(&r, mailsrv__charset((struct span){ NULL, 0 }));
    for (size_t i = 0; i < text.n; i++)
        show_octet(f, &r, text.p[i]);
}

/* The field was text as it stands; where an asterisk is in it each value is one now, put together.  It lies where
 * encoded words do. */
static void show_parameters(struct fields *f)
{
    struct parameters ps;
    struct span text, name, value;
    struct writer room = { .p = f->words.word, .room = sizeof f->words.word };
    if (memchr(f->kept->p, '*', f->kept->n) == NULL)
        return;
    mailsrv__content_word((struct span){ f->kept->p, f->kept->n }, &text);
    mailsrv__parameters_begin(&ps, text);
    while (mailsrv__parameter_next(&ps, &room, &name, &value)) {
        mailsrv__keys_begin(f->keys, f->header == SEEK_INNER);
        show_value(f, name_of(f));
        if (name.n != 0 && name.p[name.n - 1] == '*')
            show_extended(f, value);
        else
            show_plain(f, value);
    }
}

/* ---- A field ---- */

static void end_field(struct fields *f)
{
    if (!f->has_field)
        return;
    if (f->cr) /* the message has ended: it stands alone */
        take_octet(f, '\r');
    f->cr = false;
    mailsrv__words_end(&f->words);
    f->has_field = false;
    if (f->kept == &f->type || f->kept == &f->disposition)
        show_parameters(f);
}

static void begin_field(struct fields *f)
{
    end_field(f);
    f->has_field = true;
    f->at = AT_NAME;
    f->name_n = 0;
    f->too_long = false;
    f->kept = NULL;
    mailsrv__keys_begin(f->keys, f->header == SEEK_INNER);
    mailsrv__words_begin(&f->words, mailsrv__keys_char, f->keys);
}

/* ---- Names ---- */

/* Of a field that comes again the first one counts, as for the scanner; of a date the last one, as for ENVELOPE. */
static struct kept_value *kept_of(struct fields *f, struct span name)
{
    struct kept_value *kept = NULL;
    if (mailsrv__span_equal_nocase(name, SPAN("Content-Type")))
        kept = &f->type;
    else if (mailsrv__span_equal_nocase(name, SPAN("Content-Transfer-Encoding")))
        kept = &f->encoding;
    else if (mailsrv__span_equal_nocase(name, SPAN("Content-Disposition")))
        kept = &f->disposition;
    else if (mailsrv__span_equal_nocase(name, SPAN("Date")))
        kept = &f->date;
    if (kept == NULL || (kept->there && kept != &f->date))
        return NULL;
    kept->there = true;
    kept->n = 0;
    return kept;
}

static void end_name(struct fields *f)
{
    struct span name = name_of(f);
    mailsrv__words_end(&f->words);
    mailsrv__words_begin(&f->words, mailsrv__keys_char, f->keys);
    mailsrv__words_take(&f->words, ':');
    f->at = AT_VALUE;
    f->kept = kept_of(f, name);
    show_value(f, name);
}

/* ---- Lines ---- */

/* A CR before the line's end belongs to that. */
static void take_in_line(struct fields *f, char c)
{
    if (f->cr && c != '\n')
        take_octet(f, '\r');
    f->cr = c == '\r';
    if (c == '\r')
        return;
    if (f->at == AT_NAME && c == ':')
        end_name(f);
    else
        take_octet(f, c);
}

/* Text of a value, up to what may end its line: how many octets. */
static size_t take_run(struct fields *f, struct span octets)
{
    size_t n = f->cr ? 0 : mailsrv__find_either(octets.p, octets.n, '\r', '\n');
    if (n != 0)
        take_value(f, mailsrv__span_first(octets, n));
    return n;
}

/* A line that begins with a blank goes on with the field before it; a name without a colon ends with its line. */
void mailsrv__fields_take(struct fields *f, struct span octets)
{
    for (size_t i = 0; i < octets.n; i++) {
        if (f->at == AT_VALUE)
            i += take_run(f, mailsrv__span_after(octets, i));
        if (i == octets.n)
            break;
        char c = octets.p[i];
        bool goes_on = f->at != AT_LINE || (is_blank(c) && f->has_field);
        if (!goes_on)
            begin_field(f);
        else if (f->at == AT_LINE)
            f->at = AT_VALUE;
        if (c == '\n') {
            f->cr = false;
            f->at = AT_LINE;
        } else {
            take_in_line(f, c);
        }
    }
}

void mailsrv__fields_end(struct fields *f)
{
    end_field(f);
}
