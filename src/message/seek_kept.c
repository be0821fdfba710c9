/* Text of fields that is kept from one search to the next: made of a structure as it is compared, then searched. */
#include "message/scanning.h"
#include "message/seeking.h"

/* Between two values: in no text and in no key, for both are UTF-8. */
enum { APART = 0xFF };

static bool is_kept(const struct key *key)
{
    return key->field != 0 && key->kind == SEEK_FIELD;
}

static uint32_t n_told(const struct seek *s)
{
    return s->keys.n < SEEK_TOLD_MAX ? s->keys.n : SEEK_TOLD_MAX;
}

uint32_t mailsrv__seek_fields(const struct seek *s)
{
    uint32_t fields = 0;
    for (uint32_t i = 0; i < n_told(s); i++)
        if (is_kept(&s->keys.v[i]))
            fields |= UINT32_C(1) << s->keys.v[i].field;
    return fields;
}

bool mailsrv__seek_keeps_all(const struct seek *s)
{
    for (uint32_t i = 0; i < n_told(s); i++)
        if (s->keys.v[i].field != 0 && s->keys.v[i].kind != SEEK_FIELD)
            return false;
    return true;
}

/* ---- Making ---- */

static void put_value(struct seek *s, struct span text, bool is_first)
{
    struct keys *keys = &s->keys;
    if (!is_first)
        keys->folded[keys->folded_n++] = (char)APART;
    mailsrv__words_begin(&s->fields.words, mailsrv__keys_char, keys);
    mailsrv__keys_words(keys, &s->fields.words, text);
    mailsrv__words_end(&s->fields.words);
}

static enum seek_kept put_values(struct seek *s, const struct part *part, uint32_t wanted)
{
    struct span rest = part->fields;
    struct part_value value;
    enum part_field field;
    bool is_first = true;
    while (mailsrv__part_value_next(part, &rest, &field, &value)) {
        if (field != wanted)
            continue;
        if (value.in_message)
            return SEEK_ELSEWHERE;
        put_value(s, value.text, is_first);
        is_first = false;
    }
    if (rest.n != 0 || s->keys.spilled)
        return SEEK_ELSEWHERE;
    return is_first ? SEEK_ABSENT : SEEK_KEPT;
}

enum seek_kept mailsrv__seek_keep(struct seek *s, struct span blob, uint32_t field, struct span *out)
{
    struct structure structure;
    struct part part;
    if (!mailsrv__structure_open(blob, &structure) || !structure.has_all || !mailsrv__structure_next(&structure, &part))
        return SEEK_ELSEWHERE;
    mailsrv__keys_end(&s->keys); /* so that what is put concerns no key, and stays until there is no room */
    s->keys.spilled = false;
    enum seek_kept kept = put_values(s, &part, field);
    *out = (struct span){ s->keys.folded, s->keys.folded_n };
    s->keys.folded_n = 0;
    return kept;
}

/* ---- Looking ---- */

void mailsrv__seek_kept(const struct seek *s, uint32_t field, enum seek_kept kept, struct span text,
                        struct seek_told *told)
{
    for (uint32_t i = 0; kept != SEEK_ELSEWHERE && i < n_told(s); i++) {
        const struct key *key = &s->keys.v[i];
        if (!is_kept(key) || key->field != field)
            continue;
        told->known |= UINT64_C(1) << i;
        told->matches |= (uint64_t)(kept == SEEK_KEPT && mailsrv__key_is_in(key, text)) << i;
    }
}
