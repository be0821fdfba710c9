/* What a message is made of, for FETCH: the structure that came with its row, or else one that is made now. */
#include "imap/fetch.h"

#include "message/scanner.h"

void mailsrv__fetch_take_structure(struct imap *p, struct message *m, const mailsrv_row *row)
{
    struct span structure = mailsrv__span(row->structure);
    if (structure.n == 0 || row->prefix_octets > row->octets ||
        !mailsrv__structure_is_whole(structure, row->octets - row->prefix_octets))
        return;
    m->structure = structure;
    m->prefix = row->prefix_octets;
    mailsrv__spend(&p->session, 1 + (uint32_t)(structure.n / 1024));
}

/* ---- Where a section stands ---- */

struct known {
    struct span blob;
    uint64_t prefix;
};

static struct known what_is_known(const struct message *m, const struct sending *s)
{
    if (s->structured)
        return (struct known){ s->blob, s->prefix };
    return (struct known){ m->structure, m->prefix };
}

/* Header and body of a part; those of the message begin with its prefix. */
static enum range range_of(const struct part *part, uint64_t prefix, enum section section, uint64_t *first,
                           uint64_t *last)
{
    uint64_t body = prefix + mailsrv__part_body(part);
    bool is_header = section != SECTION_ALL && section != SECTION_TEXT;
    *first = is_header ? (part->depth == 0 ? 0 : prefix + part->offset) : body;
    *last = is_header ? body : body + part->body_octets;
    return RANGE_FOUND;
}

/* RFC 9051 section 6.4.5: HEADER and TEXT of a part are those of the message that it holds. */
static enum range range_of_part(const struct att *att, const struct known *known, uint64_t *first, uint64_t *last)
{
    struct structure s;
    struct part part;
    if (known->blob.n == 0)
        return RANGE_UNKNOWN;
    if (!mailsrv__structure_open(known->blob, &s) || !mailsrv__structure_find(&s, att->part, att->n_part, &part))
        return RANGE_NONE;
    if (att->section == SECTION_ALL || att->section == SECTION_MIME)
        return range_of(&part, known->prefix, att->section, first, last);
    if (part.kind != PART_MESSAGE || !mailsrv__structure_next(&s, &part))
        return RANGE_NONE;
    return range_of(&part, known->prefix, att->section, first, last);
}

static bool find_header_end(const struct known *known, const struct sending *s, uint64_t *end)
{
    struct structure walk;
    struct part part;
    *end = s->header_end;
    if (s->header_known)
        return true;
    if (known->blob.n == 0 || !mailsrv__structure_open(known->blob, &walk) || !mailsrv__structure_next(&walk, &part))
        return false;
    *end = known->prefix + part.header_octets;
    return true;
}

enum range mailsrv__fetch_range(const struct att *att, const struct message *m, const struct sending *s,
                                uint64_t *first, uint64_t *last)
{
    struct known known = what_is_known(m, s);
    uint64_t end;
    if (att->n_part != 0)
        return range_of_part(att, &known, first, last);
    *first = 0;
    *last = m->octets;
    if (att->section == SECTION_ALL)
        return RANGE_FOUND;
    if (!find_header_end(&known, s, &end))
        return RANGE_UNKNOWN;
    if (att->section == SECTION_TEXT)
        *first = end;
    else
        *last = end;
    return RANGE_FOUND;
}

/* ---- A message that is read for it ---- */

static const struct failure no_memory = { .status = MAILSRV_NOMEM };

void mailsrv__fetch_drop_scanner(struct imap *p)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    if (s->scanner == NULL)
        return;
    mailsrv__scanner_fini(s->scanner);
    mailsrv__session_give(&p->session, s->scanner, sizeof *s->scanner);
    s->scanner = NULL;
}

static bool begin_scan(struct imap *p, struct sending *s)
{
    if (s->scanner != NULL)
        return true;
    s->scanner = mailsrv__session_take(&p->session, sizeof *s->scanner);
    if (s->scanner == NULL)
        return false;
    mailsrv__scanner_init(s->scanner, mailsrv__session_heap(&p->session), CLASS_BODIES);
    return true;
}

/* All of it, with what stands before the body: nothing is before that. */
static enum step scan(struct imap *p, const struct message *m)
{
    struct sending *s = &mailsrv__fetch_of(p)->sending;
    struct span octets;
    if (!begin_scan(p, s))
        return mailsrv__fetch_fails(p, &no_memory);
    while (s->scan_at < m->octets) {
        enum step step = mailsrv__fetch_octets(p, s->scan_at, m->octets, &octets);
        if (step != STEP_NEXT || s->failed)
            return step;
        mailsrv__scanner_take(s->scanner, octets);
        s->scan_at += octets.n;
    }
    s->blob = mailsrv__scanner_end(s->scanner);
    s->prefix = 0;
    s->structured = s->blob.n != 0;
    return s->structured ? STEP_NEXT : mailsrv__fetch_fails(p, &no_memory);
}

enum step mailsrv__fetch_structure(struct imap *p)
{
    struct fetch *f = mailsrv__fetch_of(p);
    const struct message *m = &f->page[f->now];
    if (f->sending.structured)
        return STEP_NEXT;
    if (m->structure.n == 0)
        return scan(p, m);
    f->sending.blob = m->structure;
    f->sending.prefix = m->prefix;
    f->sending.structured = true;
    return STEP_NEXT;
}
