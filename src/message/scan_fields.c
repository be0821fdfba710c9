#include "message/content.h"
#include "message/scanning.h"

enum { AT_LINE, AT_NAME, AT_VALUE, AT_NOTHING };
enum { REPEATED_MAX = 16 }; /* of fields that must come once: the last one of so many counts */

static const struct span names[FIELDS_END] = {
    [FIELD_DATE] = { "DATE", 4 },
    [FIELD_SUBJECT] = { "SUBJECT", 7 },
    [FIELD_FROM] = { "FROM", 4 },
    [FIELD_SENDER] = { "SENDER", 6 },
    [FIELD_REPLY_TO] = { "REPLY-TO", 8 },
    [FIELD_TO] = { "TO", 2 },
    [FIELD_CC] = { "CC", 2 },
    [FIELD_BCC] = { "BCC", 3 },
    [FIELD_IN_REPLY_TO] = { "IN-REPLY-TO", 11 },
    [FIELD_MESSAGE_ID] = { "MESSAGE-ID", 10 },
    [FIELD_CONTENT_TYPE] = { "CONTENT-TYPE", 12 },
    [FIELD_CONTENT_ENCODING] = { "CONTENT-TRANSFER-ENCODING", 25 },
    [FIELD_CONTENT_ID] = { "CONTENT-ID", 10 },
    [FIELD_CONTENT_DESCRIPTION] = { "CONTENT-DESCRIPTION", 19 },
    [FIELD_CONTENT_MD5] = { "CONTENT-MD5", 11 },
    [FIELD_CONTENT_DISPOSITION] = { "CONTENT-DISPOSITION", 19 },
    [FIELD_CONTENT_LANGUAGE] = { "CONTENT-LANGUAGE", 16 },
    [FIELD_CONTENT_LOCATION] = { "CONTENT-LOCATION", 16 },
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- What is kept of a header ---- */

static bool is_content(uint8_t id)
{
    return id >= FIELD_CONTENT_TYPE;
}

/* The field of that number that is kept already; n_kept: there is none. */
static uint8_t find_kept(const struct incoming *in, uint8_t id)
{
    uint8_t i = 0;
    while (i < in->n_kept && in->fields[i].id != id)
        i++;
    return i;
}

static void drop_kept(struct incoming *in, uint8_t i)
{
    uint32_t at = in->fields[i].at, n = in->fields[i].n;
    memmove(in->kept.p + at, in->kept.p + at + n, in->kept.n - at - n);
    in->kept.n -= n;
    in->n_kept--;
    for (; i < in->n_kept; i++) {
        in->fields[i] = in->fields[i + 1];
        in->fields[i].at -= n;
    }
}

/* RFC 5322 section 3.6: these fields come once.  Where one comes again, of those that say what a part is the first
 * counts, since it has decided already; of addresses all do (section 4.5.3), and of the others the last. */
static bool may_keep(struct scanner *s, uint8_t id)
{
    struct incoming *in = &s->in;
    uint8_t i = find_kept(in, id);
    bool again = i != in->n_kept && !mailsrv__is_address_field((enum part_field)id);
    s->left_out = s->left_out || (s->n_levels == 1 && (again || in->n_kept == FIELDS_KEPT_MAX));
    if (again) {
        if (is_content(id) || in->repeated == REPEATED_MAX)
            return false;
        in->repeated++;
        drop_kept(in, i);
    }
    return in->n_kept < FIELDS_KEPT_MAX;
}

static bool add_value(struct scanner *s, uint64_t offset)
{
    struct incoming *in = &s->in;
    struct span value = { in->value.p, in->value.n };
    bool long_one = in->octets > STRUCTURE_VALUE_MAX;
    if (!mailsrv__scan_room(s, &in->kept, 1))
        return false;
    in->kept.p[in->kept.n++] = (char)in->id;
    if (long_one)
        return mailsrv__scan_number(s, &in->kept, 2 * (in->ends - in->begins) + 1) &&
               mailsrv__scan_number(s, &in->kept, in->begins - offset);
    while (value.n != 0 && is_blank(value.p[value.n - 1]))
        value.n--;
    return mailsrv__scan_number(s, &in->kept, 2 * (uint64_t)value.n) && mailsrv__scan_add(s, &in->kept, value);
}

static bool is_of_message(const struct scanner *s)
{
    if (s->n_levels < 2)
        return true;
    uint32_t around = mailsrv__scan_level(s, s->n_levels - 2)->part;
    return mailsrv__scan_part(s, around)->kind == PART_MESSAGE;
}

/* Only what a message says of itself is shown of its fields, but those of MIME of every part. */
static bool is_asked_for(const struct scanner *s, uint8_t id)
{
    if (mailsrv__scan_is_tight(s))
        return id == FIELD_CONTENT_TYPE;
    return is_content(id) || is_of_message(s);
}

/* RFC 2045 section 5.2: a Content-Type that cannot be read is as good as none. */
static void see_type(struct incoming *in)
{
    struct span text = { in->value.p, in->value.n }, boundary;
    struct writer room = { .p = in->boundary, .room = sizeof in->boundary };
    struct content_type type;
    in->has_type = mailsrv__content_type(text, &type);
    if (!in->has_type)
        return;
    in->kind = PART_OTHER;
    if (mailsrv__span_equal_nocase(type.type, SPAN("text")))
        in->kind = PART_TEXT;
    else if (mailsrv__span_equal_nocase(type.type, SPAN("multipart")))
        in->kind = PART_MULTIPART;
    else if (mailsrv__span_equal_nocase(type.type, SPAN("message")) &&
             mailsrv__span_equal_nocase(type.subtype, SPAN("rfc822")))
        in->kind = PART_MESSAGE;
    in->is_digest = mailsrv__span_equal_nocase(type.subtype, SPAN("digest"));
    if (in->kind != PART_MULTIPART || !mailsrv__parameter_find(type.parameters, SPAN("boundary"), &room, &boundary))
        return;
    boundary = mailsrv__span_first(boundary, BOUNDARY_OCTETS_MAX);
    memmove(in->boundary, boundary.p, boundary.n);
    in->boundary_n = (uint16_t)boundary.n;
}

static void add_text(struct scanner *s, struct span text)
{
    struct incoming *in = &s->in;
    size_t most = in->id == FIELD_CONTENT_TYPE ? CONTENT_TYPE_MAX : STRUCTURE_VALUE_MAX;
    while (in->octets == 0 && text.n != 0 && is_blank(text.p[0]))
        text = mailsrv__span_after(text, 1);
    in->octets += text.n;
    if (in->value.n < most)
        mailsrv__scan_add(s, &in->value, mailsrv__span_first(text, most - in->value.n));
}

static void end_field(struct scanner *s)
{
    struct incoming *in = &s->in;
    if (in->id != 0 && in->cr) { /* the message has ended: it stands alone */
        add_text(s, SPAN("\r"));
        in->ends++;
    }
    if (in->id == FIELD_CONTENT_TYPE && !in->has_type)
        see_type(in);
    if (in->id != 0 && !s->failed && !mailsrv__scan_is_tight(s) && may_keep(s, in->id)) {
        uint32_t at = (uint32_t)in->kept.n;
        if (add_value(s, mailsrv__scan_part(s, mailsrv__scan_top(s)->part)->offset)) {
            in->fields[in->n_kept].id = in->id;
            in->fields[in->n_kept].at = at;
            in->fields[in->n_kept++].n = (uint32_t)in->kept.n - at;
        }
    }
    in->id = 0;
    in->cr = false;
}

/* ---- Lines ---- */

uint8_t mailsrv__scan_field(struct span name)
{
    for (uint8_t i = 1; i < FIELDS_END; i++)
        if (mailsrv__span_equal_nocase(name, names[i]))
            return i;
    return 0;
}

/* A line that begins with a blank goes on with the field before it. */
bool mailsrv__structure_names(struct span fields)
{
    while (fields.n != 0) {
        const char *lf = memchr(fields.p, '\n', fields.n);
        struct span line = mailsrv__span_first(fields, lf == NULL ? fields.n : (size_t)(lf - fields.p) + 1);
        const char *colon = memchr(line.p, ':', line.n);
        if (colon != NULL && mailsrv__scan_field(mailsrv__span_first(line, (size_t)(colon - line.p))) != 0)
            return true;
        fields = mailsrv__span_after(fields, line.n);
    }
    return false;
}

/* A name that is too long may be one of these with many blanks behind it. */
static uint8_t id_of(struct scanner *s)
{
    const struct incoming *in = &s->in;
    bool too_long = in->name_n > FIELD_NAME_ROOM;
    struct span name = { in->name, too_long ? 0 : in->name_n };
    s->left_out = s->left_out || (too_long && is_blank(in->name[FIELD_NAME_ROOM - 1]));
    while (name.n != 0 && is_blank(name.p[name.n - 1]))
        name.n--;
    uint8_t id = mailsrv__scan_field(name);
    return id != 0 && is_asked_for(s, id) ? id : 0;
}

static size_t begin_line(struct scanner *s, char c)
{
    struct incoming *in = &s->in;
    if (is_blank(c) && in->has_field) {
        in->at = in->id != 0 ? AT_VALUE : AT_NOTHING;
        return 0;
    }
    end_field(s);
    in->has_field = true;
    in->at = AT_NAME;
    in->name_n = 0;
    return 0;
}

/* The name, up to its colon.  A line without one is a field that nobody asks for. */
static size_t take_name(struct scanner *s, struct span octets, uint64_t at)
{
    struct incoming *in = &s->in;
    for (size_t i = 0; i < octets.n; i++) {
        char c = octets.p[i];
        if (c != ':' && c != '\n') {
            if (in->name_n < FIELD_NAME_ROOM)
                in->name[in->name_n] = c;
            in->name_n += in->name_n <= FIELD_NAME_ROOM;
            continue;
        }
        if (c == '\n') {
            in->at = AT_LINE;
            return i + 1;
        }
        in->id = id_of(s);
        in->at = in->id != 0 ? AT_VALUE : AT_NOTHING;
        in->begins = in->ends = at + i + 1;
        in->octets = in->value.n = 0;
        return i + 1;
    }
    return octets.n;
}

/* A CR before the line's end belongs to that. */
static size_t take_value(struct scanner *s, struct span octets, uint64_t at)
{
    struct incoming *in = &s->in;
    const char *lf = memchr(octets.p, '\n', octets.n);
    struct span text = mailsrv__span_first(octets, lf == NULL ? octets.n : (size_t)(lf - octets.p));
    if (in->cr && text.n != 0)
        add_text(s, SPAN("\r"));
    in->cr = in->cr && text.n == 0;
    if (text.n != 0 && text.p[text.n - 1] == '\r') {
        in->cr = true;
        text.n--;
    }
    add_text(s, text);
    in->ends = at + (lf == NULL ? octets.n : (size_t)(lf - octets.p)) - (in->cr ? 1 : 0);
    if (lf == NULL)
        return octets.n;
    in->cr = false;
    in->at = AT_LINE;
    return (size_t)(lf - octets.p) + 1;
}

static size_t take_nothing(struct scanner *s, struct span octets)
{
    const char *lf = memchr(octets.p, '\n', octets.n);
    if (lf == NULL)
        return octets.n;
    s->in.at = AT_LINE;
    return (size_t)(lf - octets.p) + 1;
}

void mailsrv__scan_fields_take(struct scanner *s, struct span octets, uint64_t at)
{
    while (octets.n != 0) {
        size_t n = 0;
        if (s->in.at == AT_LINE)
            n = begin_line(s, octets.p[0]);
        else if (s->in.at == AT_NAME)
            n = take_name(s, octets, at);
        else if (s->in.at == AT_VALUE)
            n = take_value(s, octets, at);
        else
            n = take_nothing(s, octets);
        octets = mailsrv__span_after(octets, n);
        at += n;
    }
}

/* ---- A header ---- */

void mailsrv__scan_fields_begin(struct scanner *s)
{
    struct incoming *in = &s->in;
    in->at = AT_LINE;
    in->id = 0;
    in->cr = in->has_field = in->has_type = in->is_digest = false;
    in->kind = PART_TEXT;
    in->boundary_n = 0;
    in->repeated = in->n_kept = 0;
    in->kept.n = in->value.n = 0;
}

void mailsrv__scan_fields_end(struct scanner *s)
{
    struct scanned_part *part = mailsrv__scan_part(s, mailsrv__scan_top(s)->part);
    end_field(s);
    part->fields_at = (uint32_t)s->fields.n;
    if (mailsrv__scan_add(s, &s->fields, (struct span){ s->in.kept.p, s->in.kept.n }))
        part->fields_n = (uint32_t)s->in.kept.n;
}
