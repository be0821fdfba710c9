#include "message/seven_bit.h"

#include "message/content.h"
#include "text/base64.h"
#include "text/transfer.h"

enum { QP_LINE = 75 }; /* and the "=" of a soft line break (RFC 2045 section 6.7) */

/* ---- What can be done with each part ---- */

static struct span value_of(const struct part *part, enum part_field field)
{
    return mailsrv__part_value(part, field).text;
}

/* A value that was left in the message may say anything. */
static bool is_unknown(const struct part *part, enum part_field field)
{
    return mailsrv__part_value(part, field).in_message;
}

static bool is_of(const struct part *part, struct span type, struct span subtype)
{
    struct content_type is;
    return mailsrv__content_type(value_of(part, FIELD_CONTENT_TYPE), &is) &&
           mailsrv__span_equal_nocase(is.type, type) &&
           (subtype.n == 0 || mailsrv__span_equal_nocase(is.subtype, subtype));
}

/* RFC 2045 section 6.4: a message is never encoded as a whole; a body that is encoded is not encoded again. */
static enum seven_bit_way way_of(const struct part *part)
{
    struct span rest, word = mailsrv__content_word(value_of(part, FIELD_CONTENT_ENCODING), &rest);
    bool is_plain = word.n == 0 || mailsrv__span_equal_nocase(word, SPAN("7bit")) ||
                    mailsrv__span_equal_nocase(word, SPAN("8bit"));
    if (is_of(part, SPAN("message"), (struct span){ NULL, 0 }))
        return WAY_AS_IT_IS;
    if (mailsrv__span_equal_nocase(word, SPAN("binary")))
        return WAY_BASE64;
    if (!is_plain)
        return WAY_AS_IT_IS;
    return part->kind == PART_TEXT ? WAY_QUOTED : WAY_BASE64;
}

/* A signature covers the octets as they are (RFC 1847 section 2.1). */
static bool is_left_alone(const struct part *part)
{
    return part->opaque || is_unknown(part, FIELD_CONTENT_TYPE) || is_unknown(part, FIELD_CONTENT_ENCODING) ||
           is_of(part, SPAN("multipart"), SPAN("signed"));
}

bool mailsrv__seven_bit_begin(struct seven_bit *s, struct span blob)
{
    struct structure structure;
    struct part part;
    memset(s, 0, sizeof *s);
    if (!mailsrv__structure_open(blob, &structure) || structure.n_parts > SEVEN_BIT_PARTS_MAX)
        return false;
    while (mailsrv__structure_next(&structure, &part)) {
        bool holds_others = part.kind == PART_MULTIPART || part.kind == PART_MESSAGE;
        uint64_t body = mailsrv__part_body(&part);
        if (is_left_alone(&part))
            return false;
        s->parts[s->n_parts++] = (struct seven_bit_part){ .begins = part.offset,
                                                          .body = body,
                                                          .ends = holds_others ? body : body + part.body_octets,
                                                          .way = holds_others ? WAY_AS_IT_IS : way_of(&part),
                                                          .is_container = holds_others };
    }
    return true;
}

/* ---- Where we are ---- */

enum where { BETWEEN_PARTS, IN_HEADER, IN_BODY };

static const struct seven_bit_part *this_part(const struct seven_bit *s)
{
    return s->part < s->n_parts ? &s->parts[s->part] : NULL;
}

/* What the next octet belongs to, and how many there are of that. */
static enum where find(const struct seven_bit *s, uint64_t *left)
{
    const struct seven_bit_part *p = this_part(s);
    *left = UINT64_MAX;
    if (p == NULL)
        return BETWEEN_PARTS;
    bool has_begun = s->at >= p->begins;
    uint64_t ends = !has_begun ? p->begins : s->at < p->body ? p->body : p->ends;
    *left = ends - s->at;
    if (!has_begun)
        return BETWEEN_PARTS;
    return s->at < p->body ? IN_HEADER : IN_BODY;
}

/* ---- Looking ---- */

static bool is_seven_bit(struct span octets)
{
    uint8_t all = 0;
    for (size_t i = 0; i < octets.n; i++)
        all |= (uint8_t)octets.p[i];
    return all < 128;
}

enum { LINE_BEGINS, LINE_NAME, LINE_BLANKS, LINE_VALUE };

/* field-name *WSP ":"   RFC 5322 section 4.5.8; or the continuation of a field, or the empty line. */
static void see_octet(struct seven_bit *s, char c)
{
    bool is_blank = c == ' ' || c == '\t', is_name = c > ' ' && c <= '~' && c != ':';
    bool begins = s->in_line == LINE_BEGINS;
    if (s->in_line == LINE_VALUE)
        s->in_line = c == '\n' ? LINE_BEGINS : LINE_VALUE;
    else if (begins && (is_blank || c == '\r'))
        s->in_line = LINE_VALUE;
    else if (begins ? is_name : c == ':')
        s->in_line = begins ? LINE_NAME : LINE_VALUE;
    else if (!begins && is_blank)
        s->in_line = LINE_BLANKS;
    else if (s->in_line != LINE_NAME || !is_name)
        s->is_odd = true;
}

static void look_at_header(struct seven_bit *s, struct span octets)
{
    for (size_t i = 0; i < octets.n; i++)
        see_octet(s, octets.p[i]);
    for (size_t i = octets.n > sizeof s->tail ? octets.n - sizeof s->tail : 0; i < octets.n; i++) {
        memmove(s->tail, s->tail + 1, sizeof s->tail - 1);
        s->tail[sizeof s->tail - 1] = octets.p[i];
    }
}

/* Nothing can be added to a header that no empty line ends, or that readers may see end before a line that is none of
 * its own. */
static bool is_sound(const struct seven_bit *s, const struct seven_bit_part *p)
{
    size_t n = p->body - p->begins == 2 ? 2 : 4;
    return !s->is_odd && p->body - p->begins >= 2 && memcmp(s->tail + sizeof s->tail - n, &"\r\n\r\n"[4 - n], n) == 0;
}

static void next_part(struct seven_bit *s)
{
    s->part++;
    s->in_line = LINE_BEGINS;
    s->is_odd = false;
}

void mailsrv__seven_bit_look(struct seven_bit *s, struct span octets)
{
    while (octets.n != 0) {
        uint64_t left;
        enum where where = find(s, &left);
        if (left == 0) {
            next_part(s);
            continue;
        }
        struct span some = mailsrv__span_first(octets, left < octets.n ? (size_t)left : octets.n);
        struct seven_bit_part *p = s->part < s->n_parts ? &s->parts[s->part] : NULL;
        if (where == IN_HEADER)
            look_at_header(s, some);
        if (where == IN_BODY && s->at == p->body && !is_sound(s, p))
            p->way = WAY_AS_IT_IS;
        bool can_be = where == IN_BODY && p->way != WAY_AS_IT_IS;
        if (!is_seven_bit(some) && can_be)
            p->needs = true;
        else if (!is_seven_bit(some))
            s->is_stuck = true;
        s->at += some.n;
        octets = mailsrv__span_after(octets, some.n);
    }
}

bool mailsrv__seven_bit_rewind(struct seven_bit *s)
{
    s->part = 0;
    s->at = 0;
    return !s->is_stuck;
}

/* ---- Headers ---- */

static const struct missing_field quoted = { SPAN("Content-Transfer-Encoding"),
                                             SPAN("Content-Transfer-Encoding: quoted-printable\r\n") };
static const struct missing_field base64 = { SPAN("Content-Transfer-Encoding"),
                                             SPAN("Content-Transfer-Encoding: base64\r\n") };
/* RFC 1428 section 3: a charset that nobody knows. */
static const struct missing_field unknown = { SPAN("Content-Type"),
                                              SPAN("Content-Type: text/plain; charset=unknown-8bit\r\n") };
static const struct missing_field version = { SPAN("MIME-Version"), SPAN("MIME-Version: 1.0\r\n") };

/* What holds others has no octets above 127 any more, and says nothing of them. */
static void begin_header(struct seven_bit *s, const struct seven_bit_part *p)
{
    bool changes = p->needs || p->is_container;
    size_t n = 0;
    if (p->needs) {
        s->add[n++] = p->way == WAY_QUOTED ? quoted : base64;
        s->add[n++] = unknown;
    }
    if (p->needs && s->part == 0)
        s->add[n++] = version;
    mailsrv__header_editor_init(&s->editor, changes ? SPAN("Content-Transfer-Encoding") : (struct span){ NULL, 0 },
                                s->add, n);
    s->in_header = true;
    s->n_headers = s->part + 1;
}

/* True: something of it is handed out. */
static bool end_header(struct seven_bit *s, struct span *out)
{
    if (s->in_header && mailsrv__header_end(&s->editor, out))
        return true;
    s->in_header = false;
    return false;
}

/* ---- Quoted-printable (RFC 2045 section 6.7) ---- */

static void put(struct seven_bit *s, struct span text)
{
    memcpy(s->out + s->out_n, text.p, text.n);
    s->out_n += text.n;
    s->column = (uint8_t)(s->column + text.n);
}

/* A line that we break must not become a delimiter of parts by that. */
static void put_within_line(struct seven_bit *s, struct span text)
{
    if (s->column + text.n > QP_LINE) {
        put(s, SPAN("=\r\n"));
        s->column = 0;
        text = text.p[0] == '-' ? SPAN("=2D") : text;
    }
    put(s, text);
}

static void put_escaped(struct seven_bit *s, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char escaped[] = { '=', digits[(uint8_t)c >> 4], digits[(uint8_t)c & 15] };
    put_within_line(s, (struct span){ escaped, sizeof escaped });
}

/* A blank may not end a line, and CR is none without its LF. */
static void put_held(struct seven_bit *s, bool ends)
{
    char held = s->held;
    s->held = 0;
    if (held != 0 && (ends || held == '\r'))
        put_escaped(s, held);
    else if (held != 0)
        put_within_line(s, (struct span){ &held, 1 });
}

static void put_quoted(struct seven_bit *s, char c)
{
    if (s->held == '\r' && c == '\n') {
        s->held = 0;
        put(s, SPAN("\r\n"));
        s->column = 0;
        return;
    }
    put_held(s, c == '\r' || c == '\n');
    if (c == '\r' || c == ' ' || c == '\t')
        s->held = c;
    else if (c > ' ' && c <= '~' && c != '=')
        put_within_line(s, (struct span){ &c, 1 });
    else
        put_escaped(s, c);
}

enum { QP_MOST = 14 }; /* that one octet puts: what was held, itself, and two line breaks */

static void take_quoted(struct seven_bit *s, struct span *in)
{
    while (in->n != 0 && s->out_n + QP_MOST <= sizeof s->out) {
        put_quoted(s, in->p[0]);
        *in = mailsrv__span_after(*in, 1);
    }
}

/* ---- Base64 (section 6.8) ---- */

static void put_line(struct seven_bit *s)
{
    if (s->line_n == 0)
        return;
    if (s->has_line)
        put(s, SPAN("\r\n"));
    s->has_line = true;
    s->out_n += mailsrv__base64(s->line, s->line_n, s->out + s->out_n);
    s->line_n = 0;
}

static void take_base64(struct seven_bit *s, struct span *in)
{
    size_t n = in->n < (size_t)(SEVEN_BIT_LINE - s->line_n) ? in->n : (size_t)(SEVEN_BIT_LINE - s->line_n);
    memcpy(s->line + s->line_n, in->p, n);
    s->line_n = (uint8_t)(s->line_n + n);
    *in = mailsrv__span_after(*in, n);
    if (s->line_n == SEVEN_BIT_LINE)
        put_line(s);
}

/* ---- Bodies ---- */

static void take_body(struct seven_bit *s, const struct seven_bit_part *p, struct span *some, struct span *out)
{
    s->out_n = 0;
    if (!p->needs) {
        *out = *some;
        *some = mailsrv__span_after(*some, some->n);
        return;
    }
    if (p->way == WAY_QUOTED)
        take_quoted(s, some);
    else
        take_base64(s, some);
    *out = (struct span){ s->out, s->out_n };
}

/* The part is over: what was held back. */
static void end_body(struct seven_bit *s, struct span *out)
{
    const struct seven_bit_part *p = &s->parts[s->part++];
    s->out_n = 0;
    if (p->needs && p->way == WAY_QUOTED)
        put_held(s, true);
    else if (p->needs)
        put_line(s);
    s->column = 0;
    s->has_line = false;
    *out = (struct span){ s->out, s->out_n };
}

/* ---- The whole ---- */

static void take_some(struct seven_bit *s, enum where where, struct span *some, struct span *out)
{
    const struct seven_bit_part *p = this_part(s);
    if (where == IN_HEADER) {
        if (s->n_headers == s->part)
            begin_header(s, p);
        if (!mailsrv__header_edit(&s->editor, some, out))
            *out = (struct span){ NULL, 0 };
    } else if (where == IN_BODY) {
        take_body(s, p, some, out);
    } else {
        *out = *some;
        *some = mailsrv__span_after(*some, some->n);
    }
}

/* What stands between two regions.  True: it is handed out.  A part may have no header at all, and get one. */
static bool pass_border(struct seven_bit *s, enum where where, uint64_t left, struct span *out)
{
    if (where == IN_BODY && s->n_headers == s->part)
        begin_header(s, this_part(s));
    if (where != IN_HEADER && end_header(s, out))
        return true;
    if (left != 0)
        return false;
    end_body(s, out);
    return true;
}

bool mailsrv__seven_bit_take(struct seven_bit *s, struct span *in, struct span *out)
{
    uint64_t left;
    enum where where = find(s, &left);
    if (pass_border(s, where, left, out))
        return true;
    if (in->n == 0)
        return false;
    struct span some = mailsrv__span_first(*in, left < in->n ? (size_t)left : in->n);
    size_t before = some.n;
    take_some(s, where, &some, out);
    s->at += before - some.n;
    *in = mailsrv__span_after(*in, before - some.n);
    return true;
}

bool mailsrv__seven_bit_end(struct seven_bit *s, struct span *out)
{
    if (end_header(s, out))
        return true;
    if (s->part >= s->n_parts)
        return false;
    end_body(s, out); /* and what should have followed it */
    return true;
}
