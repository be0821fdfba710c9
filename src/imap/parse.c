#include "imap/parse.h"

#include "imap/names.h"
#include "text/decimal.h"
#include "text/imap_date.h"

#include <mailsrv/store.h>

bool mailsrv__parse_fails(struct reader *r, const char *expected)
{
    if (r->expected == NULL)
        r->expected = expected;
    return false;
}

static bool no_memory(struct reader *r)
{
    r->no_memory = true;
    return false;
}

static void skip(struct reader *r, size_t n)
{
    r->rest = (struct span){ r->rest.p + n, r->rest.n - n };
}

static struct span take(struct reader *r, size_t n)
{
    struct span s = { r->rest.p, n };
    skip(r, n);
    return s;
}

/* ---- Characters ---- */

bool mailsrv__parse_is(const struct reader *r, char c)
{
    return r->rest.n != 0 && r->rest.p[0] == c;
}

static const char *name_of(char c)
{
    switch (c) {
    case '(':
        return "an opening parenthesis";
    case ')':
        return "a closing parenthesis";
    case ' ':
        return "a space";
    case ']':
        return "a closing bracket";
    default:
        return "another character";
    }
}

bool mailsrv__parse_char(struct reader *r, char c)
{
    if (!mailsrv__parse_is(r, c))
        return mailsrv__parse_fails(r, name_of(c));
    skip(r, 1);
    return true;
}

bool mailsrv__parse_sp(struct reader *r)
{
    return mailsrv__parse_char(r, ' ');
}

bool mailsrv__parse_end(struct reader *r)
{
    if (r->rest.n != 2 || !mailsrv__parse_is(r, '\r'))
        return mailsrv__parse_fails(r, "the end of the command");
    skip(r, 2);
    return true;
}

/* atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials */
static bool is_atom_char(char c)
{
    return (uint8_t)c > 0x20 && (uint8_t)c < 0x7F && memchr("(){%*\"\\]", c, 8) == NULL;
}

/* ASTRING-CHAR = ATOM-CHAR / resp-specials */
static bool is_astring_char(char c)
{
    return is_atom_char(c) || c == ']';
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
static bool is_tag_char(char c)
{
    return is_astring_char(c) && c != '+';
}

/* list-char = ATOM-CHAR / list-wildcards / resp-specials */
static bool is_list_char(char c)
{
    return is_astring_char(c) || c == '%' || c == '*';
}

static size_t count(struct span s, bool (*is)(char c))
{
    size_t n = 0;
    while (n < s.n && is(s.p[n]))
        n++;
    return n;
}

static bool parse_run(struct reader *r, bool (*is)(char c), const char *expected, struct span *out)
{
    size_t n = count(r->rest, is);
    if (n == 0)
        return mailsrv__parse_fails(r, expected);
    *out = take(r, n);
    return true;
}

static bool goes_on_as_word(char c)
{
    return (mailsrv__upper(c) >= 'A' && mailsrv__upper(c) <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

bool mailsrv__parse_word(struct reader *r, struct span word)
{
    if (!mailsrv__span_equal_nocase(mailsrv__span_first(r->rest, word.n), word))
        return false;
    if (word.n < r->rest.n && goes_on_as_word(r->rest.p[word.n]))
        return false;
    skip(r, word.n);
    return true;
}

/* ---- Words and strings ---- */

bool mailsrv__parse_tag(struct reader *r, struct span *out)
{
    return parse_run(r, is_tag_char, "a tag", out);
}

bool mailsrv__parse_atom(struct reader *r, struct span *out)
{
    return parse_run(r, is_atom_char, "an atom", out);
}

/* Writes anew what stands between the quotes, `n` octets with backslashes. */
static bool unescape(struct reader *r, struct span raw, struct span *out)
{
    char *p = mailsrv__arena_take(r->arena, raw.n);
    if (p == NULL)
        return no_memory(r);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\')
            i++;
        p[n++] = raw.p[i];
    }
    *out = (struct span){ p, n };
    return true;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; QUOTED-CHAR = any TEXT-CHAR except quoted-specials / "\" quoted-specials
 * Octets above 127 are taken: IMAP4rev2 has UTF-8 here, and clients send it to servers without it. */
static bool parse_quoted(struct reader *r, struct span *out)
{
    bool escaped = false;
    size_t n = 1;
    for (; n < r->rest.n && r->rest.p[n] != '"'; n++) {
        char c = r->rest.p[n];
        if (c == '\\') {
            c = ++n < r->rest.n ? r->rest.p[n] : '\r';
            if (c != '"' && c != '\\')
                return mailsrv__parse_fails(r, "a quotation mark or backslash behind a backslash");
            escaped = true;
        } else if (c == '\r' || c == '\n') {
            break;
        }
    }
    if (n >= r->rest.n || r->rest.p[n] != '"')
        return mailsrv__parse_fails(r, "the end of a quoted string");
    struct span raw = { r->rest.p + 1, n - 1 };
    skip(r, n + 1);
    *out = raw;
    return !escaped || unescape(r, raw, out);
}

/* literal = "{" number64 ["+"] "}" CRLF *CHAR8   `*octets` octets follow its announcement, of `*n` octets. */
static bool announcement(const struct reader *r, uint64_t *octets, size_t *n)
{
    struct span s = r->rest;
    size_t end = 1;
    if (!mailsrv__parse_is(r, '{'))
        return false;
    while (end < s.n && s.p[end] >= '0' && s.p[end] <= '9')
        end++;
    if (!mailsrv__decimal_read((struct span){ s.p + 1, end - 1 }, octets))
        return false;
    end += end < s.n && s.p[end] == '+';
    *n = end + 3;
    return *n <= s.n && memcmp(s.p + end, "}\r\n", 3) == 0;
}

bool mailsrv__parse_at_body(const struct reader *r)
{
    uint64_t octets;
    size_t n;
    if (!announcement(r, &octets, &n))
        return false;
    return r->rest.p + n == r->streamed || octets > r->rest.n - n || (n == r->rest.n && octets == 0);
}

bool mailsrv__parse_body(struct reader *r, uint64_t *octets)
{
    size_t n;
    if (!mailsrv__parse_at_body(r) || !announcement(r, octets, &n))
        return mailsrv__parse_fails(r, "a literal");
    skip(r, n);
    return true;
}

static bool parse_literal(struct reader *r, struct span *out)
{
    uint64_t octets;
    size_t n;
    r->incomplete = mailsrv__parse_at_body(r);
    if (r->incomplete || !announcement(r, &octets, &n))
        return mailsrv__parse_fails(r, "a literal");
    skip(r, n);
    *out = take(r, (size_t)octets);
    return true;
}

bool mailsrv__parse_string(struct reader *r, struct span *out)
{
    if (mailsrv__parse_is(r, '"'))
        return parse_quoted(r, out);
    if (mailsrv__parse_is(r, '{'))
        return parse_literal(r, out);
    return mailsrv__parse_fails(r, "a string");
}

static bool is_string(const struct reader *r)
{
    return mailsrv__parse_is(r, '"') || mailsrv__parse_is(r, '{');
}

bool mailsrv__parse_astring(struct reader *r, struct span *out)
{
    return is_string(r) ? mailsrv__parse_string(r, out) : parse_run(r, is_astring_char, "an atom or a string", out);
}

bool mailsrv__parse_list_mailbox(struct reader *r, struct span *out)
{
    return is_string(r) ? mailsrv__parse_string(r, out) : parse_run(r, is_list_char, "a pattern", out);
}

static bool read_name(struct reader *r, struct span sent, struct span *out)
{
    char *p = mailsrv__arena_take(r->arena, NAME_OCTETS);
    if (p == NULL)
        return no_memory(r);
    struct writer name = { .p = p, .room = NAME_OCTETS };
    r->no_name = !mailsrv__name_read(sent, &name);
    *out = r->no_name ? (struct span){ p, 0 } : mailsrv__written(&name);
    return true;
}

bool mailsrv__parse_mailbox(struct reader *r, struct span *out)
{
    struct span sent;
    return mailsrv__parse_astring(r, &sent) && read_name(r, sent, out);
}

bool mailsrv__parse_new_mailbox(struct reader *r, struct span *out)
{
    struct span sent;
    if (!mailsrv__parse_astring(r, &sent))
        return false;
    if (sent.n > 1 && sent.p[sent.n - 1] == '/')
        sent.n--;
    return read_name(r, sent, out);
}

/* ---- Numbers ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_digits(struct reader *r, uint64_t least, uint64_t most, uint64_t *out)
{
    uint64_t value;
    size_t n = count(r->rest, is_digit);
    if (!mailsrv__decimal_read((struct span){ r->rest.p, n }, &value) || value < least || value > most)
        return mailsrv__parse_fails(r, "a number");
    skip(r, n);
    *out = value;
    return true;
}

bool mailsrv__parse_number64(struct reader *r, uint64_t *out)
{
    return parse_digits(r, 0, INT64_MAX, out);
}

static bool parse_u32(struct reader *r, uint32_t least, uint32_t *out)
{
    uint64_t value;
    if (!parse_digits(r, least, UINT32_MAX, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool mailsrv__parse_number(struct reader *r, uint32_t *out)
{
    return parse_u32(r, 0, out);
}

bool mailsrv__parse_nz_number(struct reader *r, uint32_t *out)
{
    return parse_u32(r, 1, out);
}

/* ---- Dates ---- */

bool mailsrv__parse_date_time(struct reader *r, int64_t *unix_us)
{
    struct span text;
    if (!mailsrv__parse_is(r, '"') || !parse_quoted(r, &text) || !mailsrv__imap_date_time_read(text, unix_us))
        return mailsrv__parse_fails(r, "a date and time");
    return true;
}

static bool is_date_char(char c)
{
    return is_digit(c) || c == '-' || (mailsrv__upper(c) >= 'A' && mailsrv__upper(c) <= 'Z');
}

/* date = date-text / DQUOTE date-text DQUOTE */
bool mailsrv__parse_date(struct reader *r, int32_t *days)
{
    struct span text;
    int64_t value = 0;
    bool there = mailsrv__parse_is(r, '"') ? parse_quoted(r, &text) : parse_run(r, is_date_char, "a date", &text);
    if (!there || !mailsrv__imap_date_read(text, &value))
        return mailsrv__parse_fails(r, "a date");
    *days = (int32_t)value;
    return true;
}

/* ---- Flags ---- */

static const struct {
    struct span name;
    uint32_t flag;
} system_flags[] = {
    { { "Answered", 8 }, MAILSRV_FLAG_ANSWERED }, { { "Deleted", 7 }, MAILSRV_FLAG_DELETED },
    { { "Draft", 5 }, MAILSRV_FLAG_DRAFT },       { { "Flagged", 7 }, MAILSRV_FLAG_FLAGGED },
    { { "Seen", 4 }, MAILSRV_FLAG_SEEN },
};

static bool parse_system_flag(struct reader *r, struct flags *out)
{
    struct span name;
    skip(r, 1);
    if (!mailsrv__parse_atom(r, &name))
        return false;
    for (size_t i = 0; i < sizeof system_flags / sizeof *system_flags; i++) {
        if (!mailsrv__span_equal_nocase(name, system_flags[i].name))
            continue;
        out->flags |= system_flags[i].flag;
        return true;
    }
    return mailsrv__parse_fails(r, "a flag that can be set");
}

static bool has_keyword(const struct flags *flags, struct span name)
{
    for (uint32_t i = 0; i < flags->n_keywords; i++)
        if (mailsrv__span_equal_nocase(mailsrv__span(flags->keywords[i]), name))
            return true;
    return false;
}

static bool parse_keyword(struct reader *r, struct flags *out)
{
    struct span name;
    if (!mailsrv__parse_atom(r, &name))
        return mailsrv__parse_fails(r, "a flag");
    if (out->keywords == NULL)
        out->keywords = mailsrv__arena_take(r->arena, FLAG_KEYWORDS_MAX * sizeof *out->keywords);
    if (out->keywords == NULL)
        return no_memory(r);
    if (has_keyword(out, name))
        return true;
    if (out->n_keywords == FLAG_KEYWORDS_MAX) {
        r->too_many = true;
        return false;
    }
    out->keywords[out->n_keywords++] = mailsrv__bytes(name);
    return true;
}

/* flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension */
static bool parse_flag(struct reader *r, struct flags *out)
{
    return mailsrv__parse_is(r, '\\') ? parse_system_flag(r, out) : parse_keyword(r, out);
}

static bool parse_flags(struct reader *r, struct flags *out)
{
    do {
        if (!parse_flag(r, out))
            return false;
    } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    return true;
}

/* flag-list = "(" [flag *(SP flag)] ")" */
bool mailsrv__parse_flag_list(struct reader *r, struct flags *out)
{
    *out = (struct flags){ 0 };
    if (!mailsrv__parse_char(r, '('))
        return false;
    if (!mailsrv__parse_is(r, ')') && !parse_flags(r, out))
        return false;
    return mailsrv__parse_char(r, ')');
}

/* store-att-flags = (flag-list / (flag *(SP flag))) */
bool mailsrv__parse_flags(struct reader *r, struct flags *out)
{
    if (mailsrv__parse_is(r, '('))
        return mailsrv__parse_flag_list(r, out);
    *out = (struct flags){ 0 };
    return parse_flags(r, out);
}
