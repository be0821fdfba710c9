/* The public face of this room: mailsrv/message.h. */
#include "message/addresses.h"
#include "message/content.h"
#include "message/header.h"
#include "message/scanner.h"

#include <mailsrv/message.h>

static bool is_there(mailsrv_bytes b)
{
    return b.n == 0 || b.p != NULL;
}

static struct writer writer_in(uint8_t *room, size_t octets)
{
    return (struct writer){ .p = (char *)room, .room = octets };
}

/* ---- The scanner ---- */

struct mailsrv_scanner {
    mailsrv_allocator from;
    struct heap heap;
    struct scanner scanner;
    bool ended;
};

int32_t mailsrv_scanner_new(const mailsrv_allocator *allocator, mailsrv_scanner **out)
{
    const mailsrv_allocator *from = allocator == NULL ? mailsrv__malloc() : allocator;
    if (out == NULL || from->size < sizeof *from || from->alloc == NULL || from->release == NULL)
        return MAILSRV_E_USAGE;
    mailsrv_scanner *s = from->alloc(from->user, sizeof *s);
    if (s == NULL)
        return MAILSRV_NOMEM;
    memset(s, 0, sizeof *s);
    s->from = *from;
    mailsrv__heap_init(&s->heap, &s->from, UINT64_MAX);
    mailsrv__scanner_init(&s->scanner, &s->heap, CLASS_BODIES);
    *out = s;
    return MAILSRV_OK;
}

int32_t mailsrv_scanner_feed(mailsrv_scanner *s, const uint8_t *p, size_t n)
{
    if (s == NULL || (n != 0 && p == NULL))
        return MAILSRV_E_USAGE;
    if (s->ended)
        return MAILSRV_E_CLOSED;
    mailsrv__scanner_take(&s->scanner, (struct span){ (const char *)p, n });
    return MAILSRV_OK;
}

int32_t mailsrv_scanner_end(mailsrv_scanner *s, mailsrv_bytes *structure)
{
    if (s == NULL || structure == NULL)
        return MAILSRV_E_USAGE;
    if (s->ended)
        return MAILSRV_E_CLOSED;
    s->ended = true;
    struct span blob = mailsrv__scanner_end(&s->scanner);
    if (blob.n == 0)
        return MAILSRV_NOMEM;
    *structure = mailsrv__bytes(blob);
    return MAILSRV_OK;
}

void mailsrv_scanner_free(mailsrv_scanner *s)
{
    if (s == NULL)
        return;
    mailsrv_allocator from = s->from;
    mailsrv__scanner_fini(&s->scanner);
    from.release(from.user, s, sizeof *s);
}

/* ---- Structures ---- */

static mailsrv_part shown(const struct part *part)
{
    return (mailsrv_part){ .size = sizeof(mailsrv_part),
                           .kind = (int32_t)part->kind,
                           .depth = part->depth,
                           .children = part->children,
                           .offset = part->offset,
                           .header_octets = part->header_octets,
                           .body_octets = part->body_octets,
                           .body_lines = part->body_lines,
                           .opaque = part->opaque,
                           .fields = mailsrv__bytes(part->fields) };
}

int32_t mailsrv_structure_walk(mailsrv_bytes structure, uint64_t octets, mailsrv_on_part on_part, void *user)
{
    struct structure s;
    struct part part;
    if (on_part == NULL || !is_there(structure))
        return MAILSRV_E_USAGE;
    if (!mailsrv__structure_is_whole(mailsrv__span(structure), octets) ||
        !mailsrv__structure_open(mailsrv__span(structure), &s))
        return MAILSRV_CORRUPT;
    while (mailsrv__structure_next(&s, &part)) {
        mailsrv_part out = shown(&part);
        if (on_part(user, &out) != 0)
            break;
    }
    return MAILSRV_OK;
}

int32_t mailsrv_part_field(const mailsrv_part *part, int32_t field, uint32_t index, mailsrv_part_value *out)
{
    if (part == NULL || out == NULL || part->size < sizeof *part || out->size < sizeof *out || field < FIELD_DATE ||
        field >= FIELDS_END)
        return MAILSRV_E_USAGE;
    struct part inside = { .offset = part->offset, .header_octets = part->header_octets };
    struct span rest = mailsrv__span(part->fields);
    struct part_value value;
    enum part_field found;
    while (mailsrv__part_value_next(&inside, &rest, &found, &value)) {
        if ((int32_t)found != field || index-- != 0)
            continue;
        out->in_message = value.in_message;
        out->text = mailsrv__bytes(value.text);
        out->offset = value.offset;
        out->octets = value.octets;
        return MAILSRV_OK;
    }
    return MAILSRV_NONEXISTENT;
}

/* ---- Header fields ---- */

int32_t mailsrv_field_next(mailsrv_bytes *header, mailsrv_field *out)
{
    if (header == NULL || out == NULL || out->size < sizeof *out || !is_there(*header))
        return MAILSRV_E_USAGE;
    struct span rest = mailsrv__span(*header);
    struct header_field field;
    bool more = mailsrv__header_next(&rest, &field);
    *header = mailsrv__bytes(rest);
    if (!more)
        return MAILSRV_OK;
    out->name = mailsrv__bytes(field.name);
    out->value = mailsrv__bytes(field.value);
    out->all = mailsrv__bytes(field.all);
    return MAILSRV_MORE;
}

int32_t mailsrv_unfold(mailsrv_bytes value, uint8_t *room, size_t octets, size_t *n)
{
    if (n == NULL || (octets != 0 && room == NULL) || !is_there(value))
        return MAILSRV_E_USAGE;
    struct writer w = writer_in(room, octets);
    mailsrv__unfold(mailsrv__span(value), &w);
    *n = w.n;
    return w.full ? MAILSRV_LIMIT : MAILSRV_OK;
}

/* ---- Addresses ---- */

int32_t mailsrv_address_next(mailsrv_addresses *list, uint8_t *room, size_t octets, mailsrv_address *out)
{
    if (list == NULL || out == NULL || room == NULL || list->size < sizeof *list || out->size < sizeof *out ||
        !is_there(list->rest))
        return MAILSRV_E_USAGE;
    struct address_list inside = mailsrv__address_list(mailsrv__span(list->rest));
    struct writer w = writer_in(room, octets);
    struct list_address address;
    inside.in_group = list->in_group != 0;
    bool more = mailsrv__address_next(&inside, &w, &address);
    list->rest = mailsrv__bytes(inside.lx.rest);
    list->in_group = inside.in_group;
    if (!more)
        return MAILSRV_OK;
    out->kind = (int32_t)address.kind;
    out->name = mailsrv__bytes(address.name);
    out->route = mailsrv__bytes(address.route);
    out->local = mailsrv__bytes(address.local);
    out->domain = mailsrv__bytes(address.domain);
    out->broken = address.broken;
    return w.full ? MAILSRV_LIMIT : MAILSRV_MORE;
}

/* ---- Content-Type, Content-Disposition ---- */

int32_t mailsrv_content_read(mailsrv_bytes value, mailsrv_content *out)
{
    if (out == NULL || out->size < sizeof *out || !is_there(value))
        return MAILSRV_E_USAGE;
    struct content_type type;
    struct span text = mailsrv__span(value);
    if (!mailsrv__content_type(text, &type)) {
        type.type = mailsrv__content_word(text, &type.parameters);
        type.subtype = (struct span){ NULL, 0 };
    }
    if (type.type.n == 0)
        return MAILSRV_CORRUPT;
    out->type = mailsrv__bytes(type.type);
    out->subtype = mailsrv__bytes(type.subtype);
    out->parameters = mailsrv__bytes(type.parameters);
    return MAILSRV_OK;
}

int32_t mailsrv_parameter(mailsrv_bytes parameters, uint32_t index, uint8_t *room, size_t octets, mailsrv_bytes *name,
                          mailsrv_bytes *value)
{
    if (name == NULL || value == NULL || room == NULL || !is_there(parameters))
        return MAILSRV_E_USAGE;
    struct parameters ps;
    struct writer w = writer_in(room, octets);
    struct span found_name, found_value;
    mailsrv__parameters_begin(&ps, mailsrv__span(parameters));
    do {
        w.full = false;
        if (!mailsrv__parameter_next(&ps, &w, &found_name, &found_value))
            return MAILSRV_NONEXISTENT;
    } while (index-- != 0);
    *name = mailsrv__bytes(found_name);
    *value = mailsrv__bytes(found_value);
    return w.full ? MAILSRV_LIMIT : MAILSRV_OK;
}
