/* What is known of a message by its structure: the fields that this keeps answer as their octets would. */
#include "message/scanning.h"
#include "message/seeking.h"
#include "message/sent.h"

/* A value is kept without the blanks at its ends: a text with one there may be in the message all the same.  Of
 * Content-Type and Content-Disposition parameters are looked at, too (RFC 2231). */
uint8_t mailsrv__seek_field(const struct key *key, struct span name)
{
    if (key->kind >= SEEK_SENT_BEFORE)
        return FIELD_DATE;
    if (key->kind != SEEK_FIELD || (key->n != 0 && (key->text[0] == ' ' || key->text[key->n - 1] == ' ')))
        return 0;
    uint8_t field = mailsrv__scan_field(name);
    return field == FIELD_CONTENT_TYPE || field == FIELD_CONTENT_DISPOSITION ? 0 : field;
}

static uint32_t n_told(const struct seek *s)
{
    return s->keys.n < SEEK_TOLD_MAX ? s->keys.n : SEEK_TOLD_MAX;
}

bool mailsrv__seek_asks_structure(const struct seek *s)
{
    for (uint32_t i = 0; i < n_told(s); i++)
        if (s->keys.v[i].field != 0)
            return true;
    return false;
}

/* As decide_header() of seek.c: the whole value counts. */
static void see_day(struct key *key, struct span value)
{
    int32_t day = 0;
    bool dated = mailsrv__sent_day(value, &day);
    key->match = dated && mailsrv__key_is_sent(key, day) ? SEEK_YES : SEEK_NO;
}

/* The value concerns that key: sees what can be seen without its text.  True: its text is looked through. */
static bool concerns(struct seek *s, struct key *key, const struct part_value *value)
{
    if (value->in_message)
        key->untold = true;
    else if (key->kind == SEEK_FIELD)
        mailsrv__keys_begin_one(&s->keys, key);
    else
        see_day(key, value->text);
    return key->kind == SEEK_FIELD && !value->in_message && key->match == SEEK_OPEN;
}

static void see_value(struct seek *s, enum part_field field, const struct part_value *value)
{
    bool any = false;
    mailsrv__keys_end(&s->keys);
    for (uint32_t i = 0; i < n_told(s); i++)
        if (s->keys.v[i].field == field && concerns(s, &s->keys.v[i], value))
            any = true;
    if (!any)
        return;
    mailsrv__words_begin(&s->fields.words, mailsrv__keys_char, &s->keys);
    mailsrv__keys_words(&s->keys, &s->fields.words, value->text);
    mailsrv__words_end(&s->fields.words);
}

/* False: the fields are none. */
static bool see_fields(struct seek *s, const struct part *part)
{
    struct span rest = part->fields;
    struct part_value value;
    enum part_field field;
    while (mailsrv__part_value_next(part, &rest, &field, &value))
        see_value(s, field, &value);
    mailsrv__keys_end(&s->keys);
    return rest.n == 0;
}

struct seek_told mailsrv__seek_structure(struct seek *s, struct span blob)
{
    struct seek_told told = { 0, 0 };
    struct structure structure;
    struct part part;
    if (!mailsrv__structure_open(blob, &structure) || !structure.has_all || !mailsrv__structure_next(&structure, &part))
        return told;
    s->keys.open = s->keys.n;
    for (uint32_t i = 0; i < s->keys.n; i++) {
        s->keys.v[i].match = SEEK_OPEN;
        s->keys.v[i].untold = false;
    }
    if (!see_fields(s, &part))
        return told;
    for (uint32_t i = 0; i < n_told(s); i++) {
        const struct key *key = &s->keys.v[i];
        bool known = key->field != 0 && (!key->untold || key->match == SEEK_YES);
        told.known |= (uint64_t)known << i;
        told.matches |= (uint64_t)(known && key->match == SEEK_YES) << i;
    }
    return told;
}
