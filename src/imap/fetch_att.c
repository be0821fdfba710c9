#include "imap/fetch_att.h"

#include "text/writer.h"

static bool add(struct reader *r, struct fetch_atts *out, struct att att)
{
    if (att.kind != ATT_BODY && mailsrv__fetch_has(out, att.kind))
        return true;
    r->too_many = out->n == ATTS_MAX;
    if (r->too_many)
        return mailsrv__parse_fails(r, "fewer attributes");
    out->v[out->n++] = att;
    out->kinds |= 1u << att.kind;
    out->structured = out->structured || (att.kind >= ATT_ENVELOPE && att.kind < ATT_BODY) || att.n_part != 0;
    return true;
}

bool mailsrv__fetch_add_uid(struct reader *r, struct fetch_atts *out)
{
    struct att uid = { .kind = ATT_UID };
    if (mailsrv__fetch_has(out, ATT_UID))
        return true;
    if (!add(r, out, uid))
        return false;
    memmove(&out->v[1], &out->v[0], (out->n - 1) * sizeof out->v[0]);
    out->v[0] = uid;
    return true;
}

bool mailsrv__fetch_add_modseq(struct reader *r, struct fetch_atts *out)
{
    return add(r, out, (struct att){ .kind = ATT_MODSEQ });
}

/* Memory of the command. */
static void *take(struct reader *r, size_t n)
{
    void *p = mailsrv__arena_take(r->arena, n);
    r->no_memory = r->no_memory || p == NULL;
    return p;
}

static bool too_many(struct reader *r, const char *expected)
{
    r->too_many = true;
    return mailsrv__parse_fails(r, expected);
}

/* ---- Sections ---- */

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool parse_header_list(struct reader *r, struct att *body)
{
    struct span *all = take(r, FIELD_NAMES_MAX * sizeof *all);
    if (all == NULL || !mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '('))
        return false;
    body->fields = all;
    do {
        if (body->n_fields == FIELD_NAMES_MAX)
            return too_many(r, "fewer fields");
        if (!mailsrv__parse_astring(r, &all[body->n_fields++]))
            return false;
    } while (!mailsrv__parse_is(r, ')') && mailsrv__parse_sp(r));
    return mailsrv__parse_char(r, ')');
}

/* section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT", behind a part also "MIME" */
static bool parse_text(struct reader *r, struct att *body)
{
    if (mailsrv__parse_word(r, SPAN("HEADER.FIELDS")))
        body->section = SECTION_FIELDS;
    else if (mailsrv__parse_word(r, SPAN("HEADER.FIELDS.NOT")))
        body->section = SECTION_FIELDS_NOT;
    else if (mailsrv__parse_word(r, SPAN("HEADER")))
        body->section = SECTION_HEADER;
    else if (mailsrv__parse_word(r, SPAN("TEXT")))
        body->section = SECTION_TEXT;
    else if (body->n_part != 0 && mailsrv__parse_word(r, SPAN("MIME")))
        body->section = SECTION_MIME;
    else
        return mailsrv__parse_fails(r, "a body section");
    return !mailsrv__att_is_filtered(body) || parse_header_list(r, body);
}

static bool at_digit(const struct reader *r)
{
    return r->rest.n != 0 && r->rest.p[0] >= '0' && r->rest.p[0] <= '9';
}

/* section-part ["." section-text]; section-part = nz-number *("." nz-number) */
static bool parse_part(struct reader *r, struct att *body)
{
    uint32_t *numbers = take(r, PART_NUMBERS_MAX * sizeof *numbers);
    if (numbers == NULL)
        return false;
    body->part = numbers;
    do {
        if (!at_digit(r))
            return parse_text(r, body);
        if (body->n_part == PART_NUMBERS_MAX)
            return too_many(r, "a part nearer to the message");
        if (!mailsrv__parse_nz_number(r, &numbers[body->n_part++]))
            return false;
        if (!mailsrv__parse_is(r, '.'))
            return true;
    } while (mailsrv__parse_char(r, '.'));
    return false;
}

/* partial = "<" number64 "." nz-number64 ">" */
static bool parse_partial(struct reader *r, struct att *body)
{
    if (!mailsrv__parse_is(r, '<'))
        return true;
    body->is_partial = true;
    if (!mailsrv__parse_char(r, '<') || !mailsrv__parse_number64(r, &body->first) || !mailsrv__parse_char(r, '.') ||
        !mailsrv__parse_number64(r, &body->most))
        return false;
    return body->most != 0 ? mailsrv__parse_char(r, '>') : mailsrv__parse_fails(r, "a number above 0");
}

/* ---- The section's name in the response ---- */

static const struct span section_names[] = {
    [SECTION_ALL] = { "", 0 },
    [SECTION_HEADER] = { "HEADER", 6 },
    [SECTION_TEXT] = { "TEXT", 4 },
    [SECTION_MIME] = { "MIME", 4 },
    [SECTION_FIELDS] = { "HEADER.FIELDS", 13 },
    [SECTION_FIELDS_NOT] = { "HEADER.FIELDS.NOT", 17 },
};

static bool is_plain(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] > '~' || memchr("(){}%*\"\\]", name.p[i], 9) != NULL)
            return false;
    return name.n != 0;
}

/* A name that is no atom is quoted; what a quoted string cannot hold is in no field's name: it stands as "?". */
static void write_field(struct writer *w, struct span name)
{
    bool quoted = !is_plain(name);
    if (quoted)
        mailsrv__write_char(w, '"');
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '"' || c == '\\')
            mailsrv__write_char(w, '\\');
        mailsrv__write_char(w, c >= ' ' && c <= '~' ? c : '?');
    }
    if (quoted)
        mailsrv__write_char(w, '"');
}

static size_t name_octets(const struct att *body)
{
    size_t octets = sizeof "BODY[HEADER.FIELDS.NOT ()]" + (size_t)body->n_part * 11;
    for (uint32_t i = 0; i < body->n_fields; i++)
        octets += 2 * body->fields[i].n + 3;
    return octets;
}

static void write_name(struct writer *w, const struct att *body)
{
    mailsrv__write(w, SPAN("BODY["));
    for (uint32_t i = 0; i < body->n_part; i++) {
        if (i != 0)
            mailsrv__write_char(w, '.');
        mailsrv__write_u64(w, body->part[i]);
    }
    if (body->n_part != 0 && body->section != SECTION_ALL)
        mailsrv__write_char(w, '.');
    mailsrv__write(w, section_names[body->section]);
    for (uint32_t i = 0; i < body->n_fields; i++) {
        mailsrv__write(w, i == 0 ? SPAN(" (") : SPAN(" "));
        write_field(w, body->fields[i]);
    }
    if (body->n_fields != 0)
        mailsrv__write_char(w, ')');
    mailsrv__write_char(w, ']');
}

static bool set_name(struct reader *r, struct att *body)
{
    struct writer w = { .room = name_octets(body) };
    w.p = take(r, w.room);
    if (w.p == NULL)
        return false;
    write_name(&w, body);
    body->name = mailsrv__written(&w);
    return true;
}

/* section = "[" [section-spec] "]" */
static bool parse_section(struct reader *r, struct fetch_atts *out, bool sets_seen)
{
    struct att body = { .kind = ATT_BODY };
    if (!mailsrv__parse_char(r, '['))
        return false;
    if (!mailsrv__parse_is(r, ']') && !(at_digit(r) ? parse_part(r, &body) : parse_text(r, &body)))
        return false;
    if (!mailsrv__parse_char(r, ']') || !parse_partial(r, &body) || !set_name(r, &body))
        return false;
    out->sets_seen = out->sets_seen || sets_seen;
    return add(r, out, body);
}

/* ---- Attributes ---- */

static const struct word {
    struct span name;
    enum att_kind kind;
} words[] = {
    { { "UID", 3 }, ATT_UID },
    { { "FLAGS", 5 }, ATT_FLAGS },
    { { "INTERNALDATE", 12 }, ATT_INTERNALDATE },
    { { "RFC822.SIZE", 11 }, ATT_SIZE },
    { { "MODSEQ", 6 }, ATT_MODSEQ },
    { { "ENVELOPE", 8 }, ATT_ENVELOPE },
    { { "BODYSTRUCTURE", 13 }, ATT_BODYSTRUCTURE },
};

/* RFC 3501 section 6.4.5: RFC822 is BODY[], RFC822.HEADER is BODY.PEEK[HEADER], RFC822.TEXT is BODY[TEXT], but for the
 * names. */
static const struct old {
    struct span name;
    enum section section;
    bool sets_seen;
} olds[] = {
    { { "RFC822", 6 }, SECTION_ALL, true },
    { { "RFC822.HEADER", 13 }, SECTION_HEADER, false },
    { { "RFC822.TEXT", 11 }, SECTION_TEXT, true },
};

static bool parse_body_att(struct reader *r, struct fetch_atts *out)
{
    if (mailsrv__parse_word(r, SPAN("BODY.PEEK")))
        return parse_section(r, out, false);
    if (!mailsrv__parse_word(r, SPAN("BODY")))
        return mailsrv__parse_fails(r, "something to fetch");
    if (!mailsrv__parse_is(r, '['))
        return add(r, out, (struct att){ .kind = ATT_STRUCTURE });
    return parse_section(r, out, true);
}

static bool parse_att(struct reader *r, struct fetch_atts *out)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (mailsrv__parse_word(r, words[i].name))
            return add(r, out, (struct att){ .kind = words[i].kind });
    }
    for (size_t i = 0; i < sizeof olds / sizeof *olds; i++) {
        if (!mailsrv__parse_word(r, olds[i].name))
            continue;
        out->sets_seen = out->sets_seen || olds[i].sets_seen;
        return add(r, out, (struct att){ ATT_BODY, .name = olds[i].name, .section = olds[i].section });
    }
    return parse_body_att(r, out);
}

/* RFC 3501 section 6.4.5: each goes on where the one before it ends. */
static bool parse_macro(struct reader *r, struct fetch_atts *out)
{
    static const enum att_kind full[] = { ATT_FLAGS, ATT_INTERNALDATE, ATT_SIZE, ATT_ENVELOPE, ATT_STRUCTURE };
    size_t n = 0;
    if (mailsrv__parse_word(r, SPAN("FAST")))
        n = 3;
    else if (mailsrv__parse_word(r, SPAN("ALL")))
        n = 4;
    else if (mailsrv__parse_word(r, SPAN("FULL")))
        n = 5;
    for (size_t i = 0; i < n; i++)
        if (!add(r, out, (struct att){ .kind = full[i] }))
            return false;
    return n != 0;
}

bool mailsrv__parse_fetch_atts(struct reader *r, struct fetch_atts *out)
{
    if (parse_macro(r, out))
        return true;
    if (!mailsrv__parse_is(r, '('))
        return parse_att(r, out);
    if (!mailsrv__parse_char(r, '(') || !parse_att(r, out))
        return false;
    while (!mailsrv__parse_is(r, ')'))
        if (!mailsrv__parse_sp(r) || !parse_att(r, out))
            return false;
    return mailsrv__parse_char(r, ')');
}
