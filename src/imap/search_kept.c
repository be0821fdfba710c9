/* Fields of the messages that SEARCH looks at, without their text: by the structures that the store keeps, and by what
 * searches before have kept of these. */
#include "imap/search.h"

#include "message/structure.h"

enum { UNITS_A_STRUCTURE = 1, OCTETS_A_UNIT = 512 };

_Static_assert((int)FIELDS_END <= (int)TEXT_FIELDS, "each field of a structure can be kept");

void mailsrv__search_kept_begin(struct imap *p)
{
    struct looking *l = &mailsrv__search_of(p)->looking;
    uint32_t fields = mailsrv__seek_fields(l->seek);
    for (uint8_t field = 0; field < FIELDS_END; field++)
        if ((fields >> field & 1) != 0)
            l->fields[l->n_fields++] = field;
}

/* What is known of a field tells; SEEK_ELSEWHERE: nothing. */
static void tell(struct imap *p, struct candidate *c, uint32_t field, enum seek_kept kept, struct span text)
{
    mailsrv__spend(&p->session, (uint32_t)text.n / OCTETS_A_UNIT);
    mailsrv__seek_kept(mailsrv__search_of(p)->looking.seek, field, kept, text, &c->told);
}

void mailsrv__search_kept(struct imap *p, struct candidate *c)
{
    struct looking *l = &mailsrv__search_of(p)->looking;
    for (uint32_t i = 0; i < l->n_fields; i++) {
        struct span text = { NULL, 0 };
        enum text_state state = mailsrv__view_text(&p->view, l->fields[i], c->member.uid, &l->places[i], &text);
        if (state == TEXT_UNKNOWN)
            c->to_keep |= UINT32_C(1) << i;
        else if (state != TEXT_ELSEWHERE)
            tell(p, c, l->fields[i], state == TEXT_THERE ? SEEK_KEPT : SEEK_ABSENT, text);
    }
}

/* Keeps what is not kept yet, and tells by it.  False: some of the fields are still not known. */
static bool keep(struct imap *p, struct candidate *c, struct span structure)
{
    static const enum text_state states[] = { [SEEK_ABSENT] = TEXT_ABSENT,
                                              [SEEK_KEPT] = TEXT_THERE,
                                              [SEEK_ELSEWHERE] = TEXT_ELSEWHERE };
    const struct looking *l = &mailsrv__search_of(p)->looking;
    bool all = true;
    for (uint32_t i = 0; i < l->n_fields; i++) {
        struct span text = { NULL, 0 };
        enum seek_kept kept = SEEK_ELSEWHERE;
        if ((c->to_keep >> i & 1) != 0) {
            kept = mailsrv__seek_keep(l->seek, structure, l->fields[i], &text);
            tell(p, c, l->fields[i], kept, text);
            mailsrv__view_keep_text(&p->view, l->fields[i], c->member.uid, states[kept], text);
        }
        all = all && kept != SEEK_ELSEWHERE;
    }
    return all;
}

void mailsrv__search_structure(struct imap *p, struct candidate *c, const mailsrv_row *row)
{
    const struct looking *l = &mailsrv__search_of(p)->looking;
    if (l->seek == NULL)
        return;
    mailsrv__spend(&p->session, UNITS_A_STRUCTURE);
    if (keep(p, c, mailsrv__span(row->structure)) && mailsrv__seek_keeps_all(l->seek))
        return;
    if (row->structure.n != 0)
        c->told = mailsrv__seek_structure(l->seek, mailsrv__span(row->structure));
}
