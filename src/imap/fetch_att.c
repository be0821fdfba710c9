#include "imap/fetch_att.h"

static bool add(struct reader *r, struct fetch_atts *out, struct att att)
{
    if (att.kind != ATT_BODY && mailsrv__fetch_has(out, att.kind))
        return true;
    r->too_many = out->n == ATTS_MAX;
    if (r->too_many)
        return mailsrv__parse_fails(r, "fewer attributes");
    out->v[out->n++] = att;
    out->kinds |= 1u << att.kind;
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

/* ---- Sections ---- */

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static bool parse_header_list(struct reader *r)
{
    struct span name;
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '(') || !mailsrv__parse_astring(r, &name))
        return false;
    while (!mailsrv__parse_is(r, ')'))
        if (!mailsrv__parse_sp(r) || !mailsrv__parse_astring(r, &name))
            return false;
    return mailsrv__parse_char(r, ')');
}

/* section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT", behind a part also "MIME" */
static bool parse_other_text(struct reader *r, bool of_part)
{
    if (mailsrv__parse_word(r, SPAN("HEADER.FIELDS")) || mailsrv__parse_word(r, SPAN("HEADER.FIELDS.NOT")))
        return parse_header_list(r);
    if (of_part && (mailsrv__parse_word(r, SPAN("HEADER")) || mailsrv__parse_word(r, SPAN("TEXT")) ||
                    mailsrv__parse_word(r, SPAN("MIME"))))
        return true;
    return mailsrv__parse_fails(r, "a body section");
}

static bool at_digit(const struct reader *r)
{
    return r->rest.n != 0 && r->rest.p[0] >= '0' && r->rest.p[0] <= '9';
}

/* section-part ["." section-text]; section-part = nz-number *("." nz-number) */
static bool parse_part(struct reader *r)
{
    uint32_t number;
    do {
        if (!at_digit(r))
            return parse_other_text(r, true);
        if (!mailsrv__parse_nz_number(r, &number))
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

/* section = "[" [section-spec] "]" */
static bool parse_section(struct reader *r, struct fetch_atts *out, bool sets_seen)
{
    struct att body = { ATT_BODY, .name = SPAN("BODY[]"), .section = SECTION_ALL };
    bool served = true;
    if (!mailsrv__parse_char(r, '['))
        return false;
    if (mailsrv__parse_word(r, SPAN("HEADER")))
        body = (struct att){ ATT_BODY, .name = SPAN("BODY[HEADER]"), .section = SECTION_HEADER };
    else if (mailsrv__parse_word(r, SPAN("TEXT")))
        body = (struct att){ ATT_BODY, .name = SPAN("BODY[TEXT]"), .section = SECTION_TEXT };
    else if (!mailsrv__parse_is(r, ']'))
        served = false;
    if (!served && !(at_digit(r) ? parse_part(r) : parse_other_text(r, false)))
        return false;
    if (!mailsrv__parse_char(r, ']') || !parse_partial(r, &body))
        return false;
    out->unserved = out->unserved || !served;
    out->sets_seen = out->sets_seen || (served && sets_seen);
    return !served || add(r, out, body);
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
    if (!mailsrv__parse_is(r, '[')) {
        out->unserved = true;
        return true;
    }
    return parse_section(r, out, true);
}

static bool parse_att(struct reader *r, struct fetch_atts *out)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (mailsrv__parse_word(r, words[i].name))
            return add(r, out, (struct att){ .kind = words[i].kind });
    }
    if (mailsrv__parse_word(r, SPAN("ENVELOPE")) || mailsrv__parse_word(r, SPAN("BODYSTRUCTURE"))) {
        out->unserved = true;
        return true;
    }
    for (size_t i = 0; i < sizeof olds / sizeof *olds; i++) {
        if (!mailsrv__parse_word(r, olds[i].name))
            continue;
        out->sets_seen = out->sets_seen || olds[i].sets_seen;
        return add(r, out, (struct att){ ATT_BODY, .name = olds[i].name, .section = olds[i].section });
    }
    return parse_body_att(r, out);
}

/* "ALL" / "FULL" / "FAST" */
static bool parse_macro(struct reader *r, struct fetch_atts *out)
{
    bool all = mailsrv__parse_word(r, SPAN("ALL")) || mailsrv__parse_word(r, SPAN("FULL"));
    if (!all && !mailsrv__parse_word(r, SPAN("FAST")))
        return false;
    out->unserved = all; /* ENVELOPE is among them */
    return add(r, out, (struct att){ .kind = ATT_FLAGS }) && add(r, out, (struct att){ .kind = ATT_INTERNALDATE }) &&
           add(r, out, (struct att){ .kind = ATT_SIZE });
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
