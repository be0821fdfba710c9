/* ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2, RFC 3501 section 7.4.2), out of the structure of a message,
 * piece by piece: between two of them the session may wait for its window, for its turn, or for octets of a value that
 * is too long to be kept with the row. */
#include "imap/fetch.h"

#include "message/content.h"
#include "message/header.h"

/* What comes next of a part. */
enum {
    PIECE_BEGIN, /* nothing was said yet */
    PIECE_PART,
    PIECE_TYPE,
    PIECE_ID,
    PIECE_DESCRIPTION,
    PIECE_ENCODING,
    PIECE_ENVELOPE,
    PIECE_LINES,
    PIECE_SUBTYPE, /* of a multipart, behind its parts */
    PIECE_MD5,
    PIECE_DISPOSITION,
    PIECE_LANGUAGE,
    PIECE_LOCATION,
    PIECE_CLOSE,
    PIECE_END
};

enum { LONG_ADDRESS_MAX = 8 * 1024 }; /* of a list that is longer than the room */

static struct shape *shape_of(struct imap *p)
{
    return mailsrv__fetch_of(p)->shape;
}

static struct pen *pen_of(struct imap *p)
{
    return &mailsrv__fetch_of(p)->pen;
}

static bool say(struct imap *p, struct span text)
{
    return mailsrv__pen_write(pen_of(p), text);
}

static bool say_number(struct imap *p, uint64_t number)
{
    return say(p, SPAN(" ")) && mailsrv__pen_u64(pen_of(p), number);
}

static bool say_string(struct imap *p, struct span text)
{
    return mailsrv__pen_string(pen_of(p), text);
}

static bool say_nstring(struct imap *p, struct span text)
{
    return text.p == NULL ? say(p, SPAN("NIL")) : say_string(p, text);
}

/* ---- Values ---- */

void mailsrv__shape_fini(struct imap *p)
{
    struct shape *shape = shape_of(p);
    if (shape->room != NULL)
        mailsrv__session_give(&p->session, shape->room, 2 * LONG_VALUE_MAX);
    shape->room = NULL;
}

/* Where a value is unfolded or unquoted. */
static struct writer room_of(struct shape *shape)
{
    if (shape->room != NULL)
        return (struct writer){ .p = shape->room + LONG_VALUE_MAX, .room = LONG_VALUE_MAX };
    return (struct writer){ .p = shape->small_room, .room = sizeof shape->small_room };
}

/* Where the fields of a part stand. */
static const struct part_fields *fields_of(struct shape *shape, const struct part *part)
{
    if (shape->fields.of.p != part->fields.p || shape->fields.of.n != part->fields.n)
        mailsrv__part_fields(part, &shape->fields);
    return &shape->fields;
}

/* The next value of the field, where it has several. */
static bool find_value(struct source *s)
{
    enum part_field field;
    s->taken = 0;
    s->loaded = false;
    while (mailsrv__part_value_next(&s->part, &s->rest, &field, &s->value))
        if (field == s->field)
            return true;
    s->value = (struct part_value){ .there = false };
    return false;
}

static void begin_source(struct shape *shape, const struct part *part, enum part_field field)
{
    struct source *s = &shape->source;
    const struct part_fields *fields = fields_of(shape, part);
    *s = (struct source){ .part = *part, .field = field, .begun = true };
    if ((fields->again >> field & 1) == 0) {
        s->value = mailsrv__part_fields_value(fields, field);
        return;
    }
    s->rest = part->fields;
    find_value(s);
}

/* Reads on in a value that stands in the message, until the room is full or it has ended. */
static enum step read_on(struct imap *p)
{
    struct source *s = &shape_of(p)->source;
    const struct sending *sending = &mailsrv__fetch_of(p)->sending;
    uint64_t from = sending->prefix + s->value.offset, end = from + s->value.octets;
    while (s->taken < s->value.octets && s->text.n < LONG_VALUE_MAX) {
        struct span octets;
        enum step step = mailsrv__fetch_octets(p, from + s->taken, end, &octets);
        if (step != STEP_NEXT)
            return step;
        if (octets.n == 0)
            return STEP_CLOSE; /* it failed within the response */
        octets = mailsrv__span_first(octets, LONG_VALUE_MAX - s->text.n);
        memcpy(shape_of(p)->room + s->text.n, octets.p, octets.n);
        s->text.n += octets.n;
        s->taken += octets.n;
    }
    return STEP_NEXT;
}

static bool take_room(struct imap *p)
{
    struct shape *shape = shape_of(p);
    if (shape->room == NULL)
        shape->room = mailsrv__session_take(&p->session, 2 * LONG_VALUE_MAX);
    return shape->room != NULL;
}

/* The text of what `find_value` found. */
static enum step load(struct imap *p)
{
    struct source *s = &shape_of(p)->source;
    if (!s->value.in_message) {
        s->text = s->value.text;
        return STEP_NEXT;
    }
    if (!take_room(p))
        return STEP_CLOSE;
    if (s->taken == 0)
        s->text = (struct span){ shape_of(p)->room, 0 };
    return read_on(p);
}

static enum step load_long(struct imap *p, struct span *text)
{
    struct source *s = &shape_of(p)->source;
    enum step step = load(p);
    if (step != STEP_NEXT)
        return step;
    s->begun = false;
    *text = s->text.n != 0 ? s->text : SPAN("");
    return STEP_NEXT;
}

/* The first value of a field.  `text.p` NULL: the part has none. */
static enum step value_of(struct imap *p, const struct part *part, enum part_field field, struct span *text)
{
    struct shape *shape = shape_of(p);
    *text = (struct span){ NULL, 0 };
    if (shape->source.begun)
        return load_long(p, text);
    struct part_value value = mailsrv__part_fields_value(fields_of(shape, part), field);
    if (value.in_message) {
        begin_source(shape, part, field);
        return load_long(p, text);
    }
    if (value.there)
        *text = value.text.n != 0 ? value.text : SPAN("");
    return STEP_NEXT;
}

static enum step said(bool good)
{
    return good ? STEP_NEXT : STEP_CLOSE;
}

/* What a structure has itself is unfolded: mostly there is nothing to do. */
static struct span unfolded(struct shape *shape, struct span text)
{
    if (text.n == 0 || (text.p[0] > ' ' && text.p[text.n - 1] > ' ' && memchr(text.p, '\n', text.n) == NULL))
        return text;
    struct writer w = room_of(shape);
    mailsrv__unfold(text, &w);
    return mailsrv__written(&w);
}

/* A value as a string, unfolded; NIL where there is none. */
static enum step say_value(struct imap *p, const struct part *part, enum part_field field, struct span before)
{
    struct span text;
    enum step step = value_of(p, part, field, &text);
    if (step != STEP_NEXT)
        return step;
    return said(say(p, before) && (text.p == NULL ? say(p, SPAN("NIL")) : say_string(p, unfolded(shape_of(p), text))));
}

/* ---- What was said lately ---- */

static void begin_said(struct imap *p)
{
    struct shape *shape = shape_of(p);
    shape->said_at = pen_of(p)->n;
    shape->said_flushes = pen_of(p)->flushes;
}

/* What was said since; empty: some of it has gone out already. */
static struct span said_since(struct imap *p)
{
    const struct shape *shape = shape_of(p);
    const struct pen *pen = pen_of(p);
    if (shape->said_flushes != pen->flushes)
        return (struct span){ NULL, 0 };
    return (struct span){ pen->p + shape->said_at, pen->n - shape->said_at };
}

/* The only place where it can be; the value is not empty. */
static struct recent *place_of(struct recent *places, uint32_t n, struct span value)
{
    size_t sum = value.n + (uint8_t)value.p[0] + 5 * (size_t)(uint8_t)value.p[value.n / 2];
    return &places[sum % n];
}

static bool is_recent(const struct recent *recent, uint8_t tag, struct span value)
{
    return recent->n_value == value.n && recent->tag == tag && memcmp(recent->octets, value.p, value.n) == 0;
}

static struct span recent_text(const struct recent *recent)
{
    return (struct span){ recent->octets + recent->n_value, recent->n_text };
}

static void keep_recent(struct recent *recent, uint8_t tag, struct span value, struct span text)
{
    if (text.n == 0 || value.n + text.n > RECENT_OCTETS)
        return;
    memcpy(recent->octets, value.p, value.n);
    memcpy(recent->octets + value.n, text.p, text.n);
    recent->n_value = (uint8_t)value.n;
    recent->n_text = (uint8_t)text.n;
    recent->tag = tag;
}

/* ---- ENVELOPE ---- */

/* A domain that is not there must not be NIL, which marks a group: clients know these words from another server. */
static bool say_address(struct imap *p, const struct list_address *a)
{
    struct span local = a->local, domain = a->domain;
    if (a->kind == ENTRY_MAILBOX) {
        local = local.p == NULL ? SPAN("MISSING_MAILBOX") : local;
        domain = a->broken ? SPAN("SYNTAX_ERROR") : domain.p == NULL ? SPAN("MISSING_DOMAIN") : domain;
    }
    return say(p, SPAN("(")) && say_nstring(p, a->name) && say(p, SPAN(" ")) && say_nstring(p, a->route) &&
           say(p, SPAN(" ")) && say_nstring(p, local) && say(p, SPAN(" ")) && say_nstring(p, domain) &&
           say(p, SPAN(")"));
}

/* Where the rest of a long list may end within an address, more of it is read. */
static enum step more_of_list(struct imap *p)
{
    struct shape *shape = shape_of(p);
    struct source *s = &shape->source;
    struct span rest = shape->list.lx.rest;
    if (!s->value.in_message || s->taken == s->value.octets || rest.n > LONG_ADDRESS_MAX)
        return STEP_NEXT;
    if (rest.p != shape->room && rest.n != 0)
        memmove(shape->room, rest.p, rest.n);
    s->text = (struct span){ shape->room, rest.n };
    shape->list.lx.rest = s->text;
    enum step step = read_on(p);
    shape->list.lx.rest = s->text;
    return step;
}

/* The next address of all values of the field.  `*there` false: there is none. */
static enum step next_address(struct imap *p, struct list_address *out, bool *there)
{
    struct shape *shape = shape_of(p);
    struct source *s = &shape->source;
    *there = false;
    while (s->value.there) {
        enum step step = s->loaded ? more_of_list(p) : load(p);
        if (step != STEP_NEXT)
            return step;
        if (!s->loaded)
            shape->list = mailsrv__address_list(s->text);
        s->loaded = true;
        struct writer room = room_of(shape);
        *there = mailsrv__address_next(&shape->list, &room, out);
        if (*there)
            return STEP_NEXT;
        find_value(s);
    }
    return STEP_NEXT;
}

/* What From was said as, for Sender and Reply-To, if it is short. */
static void keep_from(struct shape *shape, struct span text)
{
    shape->from = (struct span){ NULL, 0 };
    if (text.n == 0 || text.n > sizeof shape->from_room)
        return;
    memcpy(shape->from_room, text.p, text.n);
    shape->from = (struct span){ shape->from_room, text.n };
}

/* The value of a list of which nothing was said yet, if all of it is in the structure, and at one place. */
static struct span one_value(const struct shape *shape)
{
    const struct source *s = &shape->source;
    bool is_one = (shape->fields.again >> s->field & 1) == 0 && !s->value.in_message;
    return is_one ? s->value.text : (struct span){ NULL, 0 };
}

/* If just that was said lately. */
static bool say_recent(struct imap *p, bool *good)
{
    struct shape *shape = shape_of(p);
    struct span value = shape->said_of;
    const struct recent *recent = value.n != 0 ? place_of(shape->lists, RECENT_LISTS, value) : NULL;
    if (recent == NULL || !is_recent(recent, 0, value))
        return false;
    *good = say(p, recent_text(recent));
    if (shape->source.field == FIELD_FROM)
        keep_from(shape, recent_text(recent));
    shape->source.begun = false;
    return true;
}

static void begin_list(struct imap *p, const struct part *part, enum part_field field)
{
    struct shape *shape = shape_of(p);
    if (shape->source.begun)
        return;
    begin_source(shape, part, field);
    shape->first = true;
    shape->said_of = one_value(shape);
    begin_said(p);
}

static bool end_list(struct imap *p)
{
    struct shape *shape = shape_of(p);
    struct span value = shape->said_of;
    if (!say(p, SPAN(")")))
        return false;
    struct span text = said_since(p);
    if (shape->source.field == FIELD_FROM)
        keep_from(shape, text);
    if (value.n != 0)
        keep_recent(place_of(shape->lists, RECENT_LISTS, value), 0, value, text);
    return true;
}

/* Sender and Reply-To are those of From where they are absent or empty (RFC 9051 section 7.5.2). */
static bool stands_for(enum part_field *field)
{
    if (*field != FIELD_SENDER && *field != FIELD_REPLY_TO)
        return false;
    *field = FIELD_FROM;
    return true;
}

static enum step say_list(struct imap *p, const struct part *part, enum part_field field);

/* In place of a list that is absent or empty. */
static enum step say_no_list(struct imap *p, const struct part *part, enum part_field field)
{
    struct shape *shape = shape_of(p);
    if (stands_for(&field))
        return shape->from.n != 0 ? said(say(p, shape->from)) : say_list(p, part, field);
    if (field == FIELD_FROM)
        keep_from(shape, SPAN(" NIL"));
    return said(say(p, SPAN(" NIL")));
}

static enum step say_addresses(struct imap *p, const struct part *part, enum part_field field)
{
    struct shape *shape = shape_of(p);
    if (shape->source.begun)
        return say_list(p, part, shape->source.field);
    if ((fields_of(shape, part)->there >> field & 1) == 0)
        return say_no_list(p, part, field);
    return say_list(p, part, field);
}

/* "((name route local domain)...)" or NIL; a list is said as slowly as it is read. */
static enum step say_list(struct imap *p, const struct part *part, enum part_field field)
{
    struct shape *shape = shape_of(p);
    struct list_address address;
    bool there = true;
    begin_list(p, part, field);
    if (shape->first && say_recent(p, &there))
        return said(there);
    while (there) {
        if (!mailsrv__window_open(&p->session))
            return mailsrv__then_window(&p->session, mailsrv__fetch_go_on);
        enum step step = next_address(p, &address, &there);
        if (step != STEP_NEXT)
            return step;
        if (there && !(say(p, shape->first ? SPAN(" (") : SPAN("")) && say_address(p, &address)))
            return STEP_CLOSE;
        shape->first = shape->first && !there;
        mailsrv__spend(&p->session, 1);
    }
    shape->source.begun = false;
    return shape->first ? say_no_list(p, part, field) : said(end_list(p));
}

/* env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP env-in-reply-to
 * SP env-message-id: the fields of the blob in their order.  Says the next one; `field` is 0 behind the last. */
static enum step say_envelope(struct imap *p, const struct part *part)
{
    struct shape *shape = shape_of(p);
    enum part_field field = shape->field != 0 ? (enum part_field)shape->field : FIELD_DATE;
    enum step step = mailsrv__is_address_field(field)
                         ? say_addresses(p, part, field)
                         : say_value(p, part, field, field == FIELD_DATE ? SPAN(" (") : SPAN(" "));
    if (step != STEP_NEXT)
        return step;
    shape->field = (uint8_t)(field == FIELD_MESSAGE_ID ? 0 : field + 1);
    return said(shape->field != 0 || say(p, SPAN(")")));
}

/* ---- Fields of a body ---- */

static bool say_parameter(struct imap *p, bool first, struct span name, struct span value)
{
    return say(p, first ? SPAN(" (") : SPAN(" ")) && say_string(p, name) && say(p, SPAN(" ")) && say_string(p, value);
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil.  A text without a charset is in US-ASCII (RFC
 * 2046 section 4.1.2). */
static bool say_parameters(struct imap *p, struct span text, bool is_text)
{
    struct writer room = room_of(shape_of(p));
    struct parameters parameters;
    struct span name, value, charset = SPAN("charset");
    bool first = true, has_charset = false;
    mailsrv__parameters_begin(&parameters, text);
    while (mailsrv__parameter_next(&parameters, &room, &name, &value)) {
        if (!say_parameter(p, first, name, value))
            return false;
        has_charset = has_charset || mailsrv__span_equal_nocase(name, charset);
        first = false;
    }
    if (is_text && !has_charset && !say_parameter(p, first, charset, SPAN("us-ascii")))
        return false;
    return say(p, first && !is_text ? SPAN(" NIL") : SPAN(")"));
}

/* Type, subtype and parameters as they are said: the scanner has decided what the part is. */
static void choose_type(const struct part *part, struct span text, struct content_type *out)
{
    bool valid = text.p != NULL && mailsrv__content_type(text, out);
    bool is_text = valid && mailsrv__span_equal_nocase(out->type, SPAN("text"));
    if (!valid || is_text != (part->kind == PART_TEXT))
        *out = (struct content_type){ SPAN("application"), SPAN("octet-stream"), { NULL, 0 } };
    if (part->kind == PART_TEXT && !is_text)
        *out = (struct content_type){ SPAN("text"), SPAN("plain"), { NULL, 0 } };
    if (part->kind == PART_OTHER && part->opaque)
        *out = (struct content_type){ SPAN("application"), SPAN("octet-stream"), out->parameters };
    if (part->kind == PART_MESSAGE)
        *out = (struct content_type){ SPAN("message"), SPAN("rfc822"), out->parameters };
    if (part->kind == PART_MULTIPART && !valid)
        out->subtype = SPAN("mixed");
}

static bool say_type_of(struct imap *p, const struct part *part, struct span text)
{
    struct content_type type;
    choose_type(part, text, &type);
    return say_string(p, type.type) && say(p, SPAN(" ")) && say_string(p, type.subtype) &&
           say_parameters(p, type.parameters, part->kind == PART_TEXT);
}

static enum step say_type(struct imap *p, const struct part *part)
{
    struct span text;
    enum step step = value_of(p, part, FIELD_CONTENT_TYPE, &text);
    if (step != STEP_NEXT)
        return step;
    if (text.n == 0)
        return said(say_type_of(p, part, text));
    struct recent *recent = place_of(shape_of(p)->types, RECENT_TYPES, text);
    uint8_t tag = (uint8_t)(part->kind | (part->opaque ? PART_OPAQUE : 0));
    if (is_recent(recent, tag, text))
        return said(say(p, recent_text(recent)));
    begin_said(p);
    if (!say_type_of(p, part, text))
        return STEP_CLOSE;
    keep_recent(recent, tag, text, said_since(p));
    return STEP_NEXT;
}

/* Of a multipart the subtype, and only BODYSTRUCTURE has its parameters. */
static enum step say_subtype(struct imap *p, const struct part *part)
{
    struct span text;
    struct content_type type;
    enum step step = value_of(p, part, FIELD_CONTENT_TYPE, &text);
    if (step != STEP_NEXT)
        return step;
    choose_type(part, text, &type);
    return said(say(p, SPAN(" ")) && say_string(p, type.subtype) &&
                (!shape_of(p)->extended || say_parameters(p, type.parameters, false)));
}

static bool say_encoding_of(struct imap *p, struct span text)
{
    struct span rest, word = mailsrv__content_word(text, &rest);
    return say(p, SPAN(" ")) && say_string(p, word.n != 0 ? word : SPAN("7bit"));
}

static enum step say_encoding(struct imap *p, const struct part *part)
{
    struct span text;
    enum step step = value_of(p, part, FIELD_CONTENT_ENCODING, &text);
    if (step != STEP_NEXT)
        return step;
    struct recent *recent = text.n != 0 ? place_of(shape_of(p)->types, RECENT_TYPES, text) : NULL;
    bool again = recent != NULL && is_recent(recent, RECENT_ENCODING, text);
    begin_said(p);
    if (!(again ? say(p, recent_text(recent)) : say_encoding_of(p, text)))
        return STEP_CLOSE;
    if (recent != NULL && !again)
        keep_recent(recent, RECENT_ENCODING, text, said_since(p));
    return said(say_number(p, part->body_octets) && (part->kind != PART_TEXT || say_number(p, part->body_lines)));
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static enum step say_disposition(struct imap *p, const struct part *part)
{
    struct span text, word, rest;
    enum step step = value_of(p, part, FIELD_CONTENT_DISPOSITION, &text);
    if (step != STEP_NEXT)
        return step;
    word = mailsrv__content_word(text, &rest);
    if (word.n == 0)
        return said(say(p, SPAN(" NIL")));
    return said(say(p, SPAN(" (")) && say_string(p, word) && say_parameters(p, rest, false) && say(p, SPAN(")")));
}

/* Language-Header = "Content-Language" ":" 1#Language-tag   RFC 3282 section 2 */
static enum step say_language(struct imap *p, const struct part *part)
{
    struct lexer lx = { { NULL, 0 }, { NULL, 0 } };
    bool first = true;
    enum step step = value_of(p, part, FIELD_CONTENT_LANGUAGE, &lx.rest);
    if (step != STEP_NEXT)
        return step;
    for (mailsrv__lex_blanks(&lx); lx.rest.n != 0; mailsrv__lex_blanks(&lx)) {
        struct span tag = mailsrv__lex_token(&lx);
        if (tag.n == 0) {
            mailsrv__lex_skip(&lx, 1);
            continue;
        }
        if (!say(p, first ? SPAN(" (") : SPAN(" ")) || !say_string(p, tag))
            return STEP_CLOSE;
        first = false;
    }
    return said(say(p, first ? SPAN(" NIL") : SPAN(")")));
}

/* ---- The tree ---- */

#define EMPTY_TEXT "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"

/* A multipart without parts has one that is empty: the grammar wants one (RFC 9051 section 9, body-type-mpart). */
static enum step begin_part(struct imap *p)
{
    struct shape *shape = shape_of(p);
    struct part part;
    if (!mailsrv__structure_next(&shape->walk, &part))
        return STEP_CLOSE;
    mailsrv__spend(&p->session, 4);
    bool in_multipart = part.depth != 0 && shape->parts[part.depth - 1].kind == PART_MULTIPART;
    shape->depth = part.depth;
    shape->parts[part.depth] = part;
    shape->left[part.depth] = part.children;
    shape->at = part.kind != PART_MULTIPART ? PIECE_TYPE : part.children != 0 ? PIECE_PART : PIECE_SUBTYPE;
    if (!say(p, in_multipart ? SPAN("(") : SPAN(" (")))
        return STEP_CLOSE;
    if (shape->at != PIECE_SUBTYPE)
        return STEP_NEXT;
    return said(say(p, shape->extended ? SPAN(EMPTY_TEXT " NIL NIL NIL NIL)") : SPAN(EMPTY_TEXT ")")));
}

static enum step end_part(struct imap *p)
{
    struct shape *shape = shape_of(p);
    if (!say(p, SPAN(")")))
        return STEP_CLOSE;
    if (shape->depth == 0) {
        shape->at = PIECE_END;
        return STEP_NEXT;
    }
    shape->depth--;
    bool goes_on = --shape->left[shape->depth] != 0;
    if (shape->parts[shape->depth].kind == PART_MESSAGE)
        shape->at = PIECE_LINES;
    else
        shape->at = goes_on ? PIECE_PART : PIECE_SUBTYPE;
    return STEP_NEXT;
}

/* Of the message within this one: its header comes next in the structure. */
static enum step say_inner_envelope(struct imap *p)
{
    struct shape *shape = shape_of(p);
    struct structure walk = shape->walk;
    struct part inner;
    if (!mailsrv__structure_next(&walk, &inner))
        return STEP_CLOSE;
    enum step step = say_envelope(p, &inner);
    if (step == STEP_NEXT && shape->field == 0)
        shape->at = PIECE_PART;
    return step;
}

static uint8_t behind(const struct shape *shape, const struct part *part)
{
    switch (shape->at) {
    case PIECE_ENCODING:
        return part->kind == PART_MESSAGE ? PIECE_ENVELOPE : shape->extended ? PIECE_MD5 : PIECE_CLOSE;
    case PIECE_LINES:
        return shape->extended ? PIECE_MD5 : PIECE_CLOSE;
    case PIECE_SUBTYPE:
        return shape->extended ? PIECE_DISPOSITION : PIECE_CLOSE;
    default:
        return (uint8_t)(shape->at + 1);
    }
}

/* Of fields that a part mostly has none of, those from this piece to the last one before a piece of another kind: none
 * of them is there.  Then that is said at once. */
static enum step say_none(struct imap *p, uint8_t last, struct span nils)
{
    shape_of(p)->at = last;
    return said(say(p, nils));
}

#define FIELD_BIT(field) (UINT32_C(1) << (field))
#define ID_FIELDS (FIELD_BIT(FIELD_CONTENT_ID) | FIELD_BIT(FIELD_CONTENT_DESCRIPTION))
#define PLACE_FIELDS                                                                                                   \
    (FIELD_BIT(FIELD_CONTENT_DISPOSITION) | FIELD_BIT(FIELD_CONTENT_LANGUAGE) | FIELD_BIT(FIELD_CONTENT_LOCATION))

static enum step say_piece(struct imap *p, const struct part *part)
{
    uint8_t at = shape_of(p)->at;
    uint32_t there = fields_of(shape_of(p), part)->there;
    if (at == PIECE_ID && (there & ID_FIELDS) == 0)
        return say_none(p, PIECE_DESCRIPTION, SPAN(" NIL NIL"));
    if (at == PIECE_MD5 && (there & (PLACE_FIELDS | FIELD_BIT(FIELD_CONTENT_MD5))) == 0)
        return say_none(p, PIECE_LOCATION, SPAN(" NIL NIL NIL NIL"));
    if (at == PIECE_DISPOSITION && (there & PLACE_FIELDS) == 0)
        return say_none(p, PIECE_LOCATION, SPAN(" NIL NIL NIL"));
    switch (at) {
    case PIECE_TYPE:
        return say_type(p, part);
    case PIECE_ID:
        return say_value(p, part, FIELD_CONTENT_ID, SPAN(" "));
    case PIECE_DESCRIPTION:
        return say_value(p, part, FIELD_CONTENT_DESCRIPTION, SPAN(" "));
    case PIECE_ENCODING:
        return say_encoding(p, part);
    case PIECE_LINES:
        return said(say_number(p, part->body_lines));
    case PIECE_SUBTYPE:
        return say_subtype(p, part);
    case PIECE_MD5:
        return say_value(p, part, FIELD_CONTENT_MD5, SPAN(" "));
    case PIECE_DISPOSITION:
        return say_disposition(p, part);
    case PIECE_LANGUAGE:
        return say_language(p, part);
    default:
        return say_value(p, part, FIELD_CONTENT_LOCATION, SPAN(" "));
    }
}

static enum step go_on_body(struct imap *p)
{
    struct shape *shape = shape_of(p);
    if (shape->at == PIECE_PART)
        return begin_part(p);
    if (shape->at == PIECE_CLOSE)
        return end_part(p);
    if (shape->at == PIECE_ENVELOPE)
        return say_inner_envelope(p);
    const struct part *part = &shape->parts[shape->depth];
    enum step step = say_piece(p, part);
    if (step == STEP_NEXT)
        shape->at = behind(shape, part);
    return step;
}

static enum step go_on_envelope(struct imap *p)
{
    struct shape *shape = shape_of(p);
    enum step step = say_envelope(p, &shape->parts[0]);
    if (step == STEP_NEXT && shape->field == 0)
        shape->at = PIECE_END;
    return step;
}

/* ---- An attribute ---- */

static enum step begin(struct imap *p, enum att_kind kind)
{
    static const struct span names[] = {
        [ATT_ENVELOPE] = { "ENVELOPE", 8 },
        [ATT_STRUCTURE] = { "BODY", 4 },
        [ATT_BODYSTRUCTURE] = { "BODYSTRUCTURE", 13 },
    };
    struct shape *shape = shape_of(p);
    struct fetch *f = mailsrv__fetch_of(p);
    struct sending *sending = &f->sending;
    const struct message *message = &f->page[f->now];
    int32_t status = mailsrv__fetch_say_next(p);
    if (status == MAILSRV_GONE)
        return STEP_NEXT;
    if (status != MAILSRV_OK || !say(p, names[kind]) || !mailsrv__structure_open(sending->blob, &shape->walk))
        return STEP_CLOSE;
    sending->announced = true;
    if (shape->uid != message->uid) { /* a structure may stand where the one before stood */
        shape->fields.of = (struct span){ NULL, 0 };
        shape->fields.there = shape->fields.again = 0;
    }
    shape->uid = message->uid;
    shape->extended = kind == ATT_BODYSTRUCTURE;
    shape->source.begun = false;
    shape->field = 0;
    shape->depth = 0;
    shape->at = PIECE_PART;
    if (kind != ATT_ENVELOPE)
        return STEP_NEXT;
    mailsrv__spend(&p->session, 4);
    return said(mailsrv__structure_next(&shape->walk, &shape->parts[0]));
}

enum step mailsrv__fetch_shape(struct imap *p, enum att_kind kind)
{
    struct shape *shape = shape_of(p);
    const struct pen *pen = pen_of(p);
    enum step step = shape->at == PIECE_BEGIN ? begin(p, kind) : STEP_NEXT;
    uint32_t looked = pen->flushes - 1; /* the window is what it was until something is flushed */
    while (step == STEP_NEXT && shape->at != PIECE_BEGIN && shape->at != PIECE_END) {
        if (pen->flushes != looked && !mailsrv__window_open(&p->session))
            return mailsrv__then_window(&p->session, mailsrv__fetch_go_on);
        looked = pen->flushes;
        if (!mailsrv__may_go_on(&p->session))
            return mailsrv__then_turn(&p->session, mailsrv__fetch_go_on);
        step = kind == ATT_ENVELOPE ? go_on_envelope(p) : go_on_body(p);
    }
    if (step == STEP_NEXT)
        shape->at = PIECE_BEGIN;
    return step;
}
