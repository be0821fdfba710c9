/* Edits the header of a message that streams past: takes fields out, adds those that are missing.
 *
 * It takes the message in pieces of any size and hands out spans: of the piece, of its own few octets, or of the texts
 * that it was told to add.  All that it ever keeps is the beginning of a line that may be the name of a field.
 *
 * A line ends at any LF here, because a later reader may see it so; what is handed out is never changed.  A line that
 * is neither a field nor the continuation of one does not end the header: some readers go on behind it, and must not
 * find there what was to be taken out.  Only where fields are added does the header end before such a line, with an
 * empty line, so that they are in it for every reader.
 */
#ifndef MESSAGE_HEADER_EDITOR_H
#define MESSAGE_HEADER_EDITOR_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { FIELD_NAME_OCTETS_MAX = 64, FIELDS_ADDED_MAX = 16 };

/* A field to be added when no field of that name has passed. */
struct missing_field {
    struct span name;
    struct span text; /* the whole field, CRLF included */
};

struct header_editor {
    struct span drop; /* names, separated by spaces, of at most 64 octets each; lives as long as the editor */
    const struct missing_field *add;
    size_t n_add;
    uint32_t seen; /* bit i: add[i] is there already, or has been added */
    uint8_t at;
    uint8_t held_n;
    bool decided;                          /* `held` is to be handed out */
    bool dropping;                         /* the field that this line belongs to */
    bool separate;                         /* an empty line goes behind what is added */
    bool line_is_open;                     /* what was handed out last did not end a line */
    char held[FIELD_NAME_OCTETS_MAX + 16]; /* the beginning of a line: perhaps a name, then blanks */
};

void mailsrv__header_editor_init(struct header_editor *editor, struct span drop, const struct missing_field *add,
                                 size_t n_add);

/* Takes from the front of `*in` and hands out the next part of the edited message.  It takes no more than it hands out,
 * but for what it drops or keeps back.  A part that is not of `*in` stays valid until the next call.  False: `*in` is
 * empty, and there is no part. */
bool mailsrv__header_edit(struct header_editor *editor, struct span *in, struct span *out);

/* The message has ended: hands out what is left, part after part, until false. */
bool mailsrv__header_end(struct header_editor *editor, struct span *out);

#endif
