#include "message/scanning.h"

enum { FIRST_OCTETS = 256 };

/* ---- Memory ---- */

void mailsrv__scan_free(struct scanner *s, struct growing *g)
{
    mailsrv__heap_give(s->heap, s->class_, NULL, g->p, g->room);
    s->octets -= g->room;
    *g = (struct growing){ NULL, 0, 0 };
}

bool mailsrv__scan_room(struct scanner *s, struct growing *g, size_t more)
{
    size_t room = g->room == 0 ? FIRST_OCTETS : g->room;
    if (more <= g->room - g->n)
        return true;
    while (room - g->n < more)
        room *= 2;
    char *p = NULL;
    if (!s->failed && room <= SCANNER_OCTETS_MAX - s->octets)
        p = mailsrv__heap_take(s->heap, s->class_, NULL, room);
    s->failed = p == NULL;
    if (p == NULL)
        return false;
    struct growing larger = { p, g->n, room };
    if (g->n != 0)
        memcpy(p, g->p, g->n);
    mailsrv__scan_free(s, g);
    s->octets += room;
    *g = larger;
    return true;
}

bool mailsrv__scan_add(struct scanner *s, struct growing *g, struct span octets)
{
    if (octets.n == 0)
        return true;
    if (!mailsrv__scan_room(s, g, octets.n))
        return false;
    memcpy(g->p + g->n, octets.p, octets.n);
    g->n += octets.n;
    return true;
}

bool mailsrv__scan_number(struct scanner *s, struct growing *g, uint64_t number)
{
    char room[NUMBER_OCTETS_MAX];
    return mailsrv__scan_add(s, g, (struct span){ room, mailsrv__number_write(room, number) });
}

/* ---- A part begins ---- */

void mailsrv__scan_begin_part(struct scanner *s, uint64_t offset)
{
    if (!mailsrv__scan_room(s, &s->parts, sizeof(struct scanned_part)) ||
        !mailsrv__scan_room(s, &s->levels, sizeof(struct level)))
        return;
    if (s->n_levels != 0)
        mailsrv__scan_part(s, mailsrv__scan_top(s)->part)->children++;
    s->parts.n += sizeof(struct scanned_part);
    s->levels.n += sizeof(struct level);
    *mailsrv__scan_part(s, s->n_parts) = (struct scanned_part){ .offset = offset };
    *mailsrv__scan_level(s, s->n_levels++) = (struct level){ .part = s->n_parts++, .in_header = true };
    mailsrv__scan_fields_begin(s);
}

static bool may_hold_parts(const struct scanner *s)
{
    return s->n_levels < STRUCTURE_DEPTH_MAX && s->n_parts < STRUCTURE_PARTS_MAX && !mailsrv__scan_is_tight(s);
}

/* RFC 2046 section 5.1.5: in a digest, what says nothing else is a message. */
static uint8_t kind_of(const struct scanner *s)
{
    bool in_digest = s->n_levels > 1 && mailsrv__scan_level(s, s->n_levels - 2)->is_digest;
    uint8_t kind = !s->in.has_type && in_digest ? PART_MESSAGE : s->in.kind;
    bool holds = kind == PART_MULTIPART || kind == PART_MESSAGE;
    return holds && !may_hold_parts(s) ? PART_OTHER | PART_OPAQUE : kind;
}

static void enter_multipart(struct scanner *s, struct level *level)
{
    level->is_digest = s->in.is_digest;
    level->boundary_at = (uint32_t)s->boundaries.n;
    if (!mailsrv__scan_add(s, &s->boundaries, (struct span){ s->in.boundary, s->in.boundary_n }))
        return;
    level->boundary_n = s->in.boundary_n;
    s->active += level->boundary_n != 0;
}

void mailsrv__scan_end_header(struct scanner *s, uint64_t end)
{
    mailsrv__scan_fields_end(s);
    struct level *level = mailsrv__scan_top(s);
    struct scanned_part *part = mailsrv__scan_part(s, level->part);
    level->in_header = false;
    level->body = end;
    level->lines = s->lines;
    part->header_octets = end - part->offset;
    part->kind = kind_of(s);
    if (part->kind == PART_MULTIPART)
        enter_multipart(s, level);
    else if (part->kind == PART_MESSAGE)
        mailsrv__scan_begin_part(s, end);
}

/* ---- Parts end ---- */

static void end_part(struct scanner *s, uint64_t end, uint64_t lines)
{
    const struct level *level = mailsrv__scan_top(s);
    struct scanned_part *part = mailsrv__scan_part(s, level->part);
    if (end > level->body) {
        part->body_octets = end - level->body;
        part->body_lines = lines - level->lines;
    }
    if (level->boundary_n != 0)
        s->active--;
    if (part->kind == PART_MULTIPART)
        s->boundaries.n = level->boundary_at;
    s->n_levels--;
    s->levels.n -= sizeof(struct level);
}

/* A message has a header, if an empty one, also where it ends before that. */
void mailsrv__scan_end_parts(struct scanner *s, uint32_t n_levels, uint64_t end, uint64_t lines)
{
    while (!s->failed && mailsrv__scan_top(s)->in_header) {
        uint64_t begin = mailsrv__scan_part(s, mailsrv__scan_top(s)->part)->offset;
        mailsrv__scan_end_header(s, end > begin ? end : begin);
    }
    while (s->n_levels > n_levels && !s->failed)
        end_part(s, end, lines);
}

/* ---- Delimiters ---- */

static struct span boundary_of(const struct scanner *s, const struct level *level)
{
    if (level->boundary_n == 0)
        return (struct span){ NULL, 0 };
    return (struct span){ s->boundaries.p + level->boundary_at, level->boundary_n };
}

/* Behind a boundary: nothing but blanks, with "--" before them or not. */
static bool is_exact(struct span rest)
{
    if (rest.n >= 2 && rest.p[0] == '-' && rest.p[1] == '-')
        rest = mailsrv__span_after(rest, 2);
    for (size_t i = 0; i < rest.n; i++)
        if (memchr(" \t\r\n", rest.p[i], 4) == NULL)
            return false;
    return true;
}

/* RFC 2046 section 5.1.1: it is sufficient that the boundary appears in its entirety at the beginning of the line.  Of
 * several that do, the innermost is meant with nothing behind it, else the longest, and of equal ones the innermost. */
uint32_t mailsrv__scan_delimiter(const struct scanner *s, struct span line, bool *is_last)
{
    uint32_t best = s->n_levels;
    size_t longest = 0;
    bool exact = false;
    for (uint32_t i = s->n_levels; i-- != 0 && !exact;) {
        struct span boundary = boundary_of(s, mailsrv__scan_level(s, i));
        if (boundary.n == 0 || boundary.n > line.n || memcmp(boundary.p, line.p, boundary.n) != 0)
            continue;
        exact = is_exact(mailsrv__span_after(line, boundary.n));
        if (!exact && boundary.n <= longest)
            continue;
        best = i;
        longest = boundary.n;
    }
    *is_last = line.n >= longest + 2 && line.p[longest] == '-' && line.p[longest + 1] == '-';
    return best;
}

/* ---- The blob ---- */

static bool write_part(struct scanner *s, const struct scanned_part *p)
{
    struct growing *to = &s->blob;
    char kind = (char)p->kind;
    struct span fields = { NULL, p->fields_n };
    if (fields.n != 0)
        fields.p = s->fields.p + p->fields_at;
    return mailsrv__scan_add(s, to, (struct span){ &kind, 1 }) && mailsrv__scan_number(s, to, p->children) &&
           mailsrv__scan_number(s, to, p->offset) && mailsrv__scan_number(s, to, p->header_octets) &&
           mailsrv__scan_number(s, to, p->body_octets) && mailsrv__scan_number(s, to, p->body_lines) &&
           mailsrv__scan_number(s, to, fields.n) && mailsrv__scan_add(s, to, fields);
}

void mailsrv__scan_write_blob(struct scanner *s)
{
    int flags = (s->dots ? STRUCTURE_DOTS : 0) | (s->left_out ? 0 : STRUCTURE_HAS_ALL);
    const char begin[] = { STRUCTURE_VERSION, (char)flags };
    bool good = mailsrv__scan_add(s, &s->blob, (struct span){ begin, sizeof begin }) &&
                mailsrv__scan_number(s, &s->blob, s->at) && mailsrv__scan_number(s, &s->blob, s->n_parts);
    for (uint32_t i = 0; good && i < s->n_parts; i++)
        good = write_part(s, mailsrv__scan_part(s, i));
}
