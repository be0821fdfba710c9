#include "message/structure.h"

/* ---- Numbers ---- */

size_t mailsrv__number_write(char *to, uint64_t number)
{
    size_t n = 0;
    for (; number >= 0x80; number >>= 7)
        to[n++] = (char)(number | 0x80);
    to[n++] = (char)number;
    return n;
}

bool mailsrv__number_read_long(struct span *from, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < from->n && i < NUMBER_OCTETS_MAX; i++) {
        uint64_t octet = (uint8_t)from->p[i];
        if ((i == NUMBER_OCTETS_MAX - 1 && octet > 1) || (i != 0 && octet == 0))
            return false;
        *out |= (octet & 0x7F) << (7 * i);
        if (octet < 0x80) {
            *from = mailsrv__span_after(*from, i + 1);
            return true;
        }
    }
    return false;
}

static bool read_u32(struct span *from, uint32_t *out)
{
    uint64_t number;
    if (!mailsrv__number_read(from, &number) || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* ---- Fields ---- */

static bool read_value(struct span *from, const struct part *part, struct part_value *out)
{
    uint64_t twice, at;
    if (!mailsrv__number_read(from, &twice))
        return false;
    *out = (struct part_value){ .there = true, .in_message = (twice & 1) != 0, .octets = twice / 2 };
    if (out->in_message) {
        if (!mailsrv__number_read(from, &at) || at > part->header_octets || out->octets > part->header_octets - at)
            return false;
        out->offset = part->offset + at;
        return true;
    }
    if (out->octets > STRUCTURE_VALUE_MAX || out->octets > from->n)
        return false;
    out->text = mailsrv__span_first(*from, (size_t)out->octets);
    *from = mailsrv__span_after(*from, (size_t)out->octets);
    return true;
}

bool mailsrv__part_value_next(const struct part *part, struct span *rest, enum part_field *field,
                              struct part_value *out)
{
    if (rest->n == 0 || rest->p[0] <= 0 || rest->p[0] >= FIELDS_END)
        return false;
    *field = (enum part_field)rest->p[0];
    *rest = mailsrv__span_after(*rest, 1);
    return read_value(rest, part, out);
}

static bool fields_are_whole(const struct part *part)
{
    struct span rest = part->fields;
    struct part_value value;
    enum part_field field;
    uint32_t seen = 0;
    while (rest.n != 0) {
        if (!mailsrv__part_value_next(part, &rest, &field, &value))
            return false;
        if ((seen >> field & 1) != 0 && !mailsrv__is_address_field(field))
            return false;
        seen |= UINT32_C(1) << field;
    }
    return true;
}

struct part_value mailsrv__part_value(const struct part *part, enum part_field field)
{
    struct span rest = part->fields;
    struct part_value value;
    enum part_field found;
    while (mailsrv__part_value_next(part, &rest, &found, &value))
        if (found == field)
            return value;
    return (struct part_value){ .there = false };
}

void mailsrv__part_fields(const struct part *part, struct part_fields *out)
{
    struct span rest = part->fields;
    struct part_value value;
    enum part_field field;
    out->of = part->fields;
    out->there = out->again = 0;
    while (mailsrv__part_value_next(part, &rest, &field, &value)) {
        uint32_t bit = UINT32_C(1) << field;
        if ((out->there & bit) != 0)
            out->again |= bit;
        else
            out->first[field] = value;
        out->there |= bit;
    }
}

/* ---- Parts ---- */

/* What is due at a depth is set when it is reached: to begin with zeros would cost as much as to read a part. */
bool mailsrv__structure_open(struct span blob, struct structure *s)
{
    s->rest = mailsrv__span_after(blob, 2);
    s->octets = 0;
    s->n_parts = s->left = s->depth = 0;
    s->dots = s->has_all = false;
    s->due[0] = 0;
    if (blob.n < 2 || blob.p[0] != STRUCTURE_VERSION || (blob.p[1] & ~(STRUCTURE_DOTS | STRUCTURE_HAS_ALL)) != 0)
        return false;
    s->dots = (blob.p[1] & STRUCTURE_DOTS) != 0;
    s->has_all = (blob.p[1] & STRUCTURE_HAS_ALL) != 0;
    s->due[0] = 1;
    if (!mailsrv__number_read(&s->rest, &s->octets) || !read_u32(&s->rest, &s->n_parts))
        return false;
    s->left = s->n_parts;
    return s->n_parts != 0 && s->n_parts <= STRUCTURE_PARTS_MAX;
}

static bool read_kind(struct span *from, struct part *out)
{
    if (from->n == 0)
        return false;
    uint8_t kind = (uint8_t)from->p[0];
    *from = mailsrv__span_after(*from, 1);
    out->opaque = (kind & PART_OPAQUE) != 0;
    out->kind = (enum part_kind)(kind & ~PART_OPAQUE);
    return (kind & ~PART_OPAQUE) <= PART_MESSAGE;
}

static bool read_part(struct span *from, struct part *out)
{
    uint32_t n;
    if (!read_kind(from, out) || !read_u32(from, &out->children) || !mailsrv__number_read(from, &out->offset) ||
        !mailsrv__number_read(from, &out->header_octets) || !mailsrv__number_read(from, &out->body_octets) ||
        !mailsrv__number_read(from, &out->body_lines) || !read_u32(from, &n) || n > from->n)
        return false;
    out->fields = mailsrv__span_first(*from, n);
    *from = mailsrv__span_after(*from, n);
    return true;
}

static bool may_have_children(const struct part *p)
{
    if (p->kind == PART_MESSAGE)
        return p->children == 1;
    return p->children == 0 || (p->kind == PART_MULTIPART && p->children <= STRUCTURE_PARTS_MAX);
}

bool mailsrv__structure_next(struct structure *s, struct part *out)
{
    if (s->left == 0 || !read_part(&s->rest, out) || !may_have_children(out))
        return false;
    while (s->due[s->depth] == 0) {
        if (s->depth == 0)
            return false;
        s->depth--;
    }
    s->left--;
    s->due[s->depth]--;
    out->depth = s->depth;
    if (out->children == 0)
        return true;
    if (s->depth + 1 == STRUCTURE_DEPTH_MAX)
        return false;
    s->due[++s->depth] = (uint16_t)out->children;
    return true;
}

/* The parts that a part lies in: each ends where the one around it does, or before. */
struct ends {
    uint64_t end[STRUCTURE_DEPTH_MAX], at;
};

static bool lies_within(struct ends *ends, const struct part *p)
{
    uint64_t within = ends->end[p->depth == 0 ? 0 : p->depth - 1];
    if (p->offset < ends->at || p->offset > within || p->header_octets > within - p->offset ||
        p->body_octets > within - p->offset - p->header_octets || p->body_lines > p->body_octets)
        return false;
    ends->at = mailsrv__part_body(p) + (p->children == 0 ? p->body_octets : 0);
    ends->end[p->depth] = mailsrv__part_body(p) + p->body_octets;
    return p->depth != 0 || (p->offset == 0 && ends->end[0] == within);
}

bool mailsrv__structure_is_whole(struct span blob, uint64_t octets)
{
    struct structure s;
    struct part part;
    struct ends ends;
    if (!mailsrv__structure_open(blob, &s) || s.octets != octets)
        return false;
    ends.at = 0;
    ends.end[0] = octets;
    while (s.left != 0)
        if (!mailsrv__structure_next(&s, &part) || !lies_within(&ends, &part) || !fields_are_whole(&part))
            return false;
    while (s.due[s.depth] == 0 && s.depth != 0)
        s.depth--;
    return s.rest.n == 0 && s.depth == 0 && s.due[0] == 0;
}

/* ---- Sections ---- */

/* Goes to the n-th child of the part that was read last. */
static bool find_child(struct structure *s, uint32_t number, struct part *part)
{
    uint32_t depth = part->depth + 1;
    if (number == 0 || number > part->children)
        return false;
    while (number != 0) {
        if (!mailsrv__structure_next(s, part))
            return false;
        number -= part->depth == depth;
    }
    return true;
}

/* The part of that number within a message, or within a multipart.  A message that is no multipart has one, which is
 * its body. */
static bool find_part(struct structure *s, uint32_t number, bool of_message, struct part *out)
{
    if (out->kind == PART_MULTIPART)
        return find_child(s, number, out);
    return of_message && number == 1;
}

bool mailsrv__structure_find(struct structure *s, const uint32_t *numbers, uint32_t n, struct part *out)
{
    if (!mailsrv__structure_next(s, out))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        bool of_message = i == 0 || out->kind == PART_MESSAGE;
        if (i != 0 && of_message && !find_child(s, 1, out))
            return false;
        if (!find_part(s, numbers[i], of_message, out))
            return false;
    }
    return true;
}
