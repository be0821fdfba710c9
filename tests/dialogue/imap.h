/* What the driver knows of IMAP: where a client may speak, how a response looks, and what a view may be told. */
#ifndef DIALOGUE_IMAP_H
#define DIALOGUE_IMAP_H

#include "text.h"

/* Where the client is in what it says (RFC 9051 section 4.3). */
enum said_state {
    SAID_AT_LINE,    /* before a command, or before the rest of one */
    SAID_IN_LINE,    /* in a line of one */
    SAID_IN_LITERAL, /* `left` octets are still to come */
    SAID_WAITS       /* behind `{n}`: for a `+`, and then `left` octets */
};

enum { SAID_TAIL = 24 };

struct said {
    enum said_state state;
    uint64_t left;
    bool inside;          /* a command: a line that goes on behind a literal */
    char tail[SAID_TAIL]; /* of the line */
    size_t n;
};

/* Takes octets of the client, at most to the end of a line or literal; how many. */
size_t said_take(struct said *said, struct text text);
/* The answer to `{n}`: octets are asked for, or not. */
void said_answered(struct said *said, bool asked_for);

/* The next whole response of `rest`, its literals and CRLF included.  Empty: there is none. */
struct text imap_response(struct text rest);

/* Its first word. */
struct text imap_tag(struct text line);
/* `*`, `+`, or a command's tag? */
bool imap_is_tagged(struct text line);
/* The line of `input` that begins with this tag, behind the tag.  Empty: there is none. */
struct text imap_command(struct text input, struct text tag);
/* Is this the command?  `verb` in capitals; a `UID ` before it is part of it. */
bool imap_is_verb(struct text command, const char *verb);

/* Looks at all that a server has said to what a client has said.  NULL, or what is wrong, and where. */
const char *imap_check(struct text said, struct text heard, struct text *where);

/* Leaves out each `* n EXPUNGE`. */
void imap_without_expunges(struct text heard, struct buffer *out);

#endif
