/* Looks for text in messages that stream past: what IMAP's SEARCH asks of a message's own octets (RFC 3501 section
 * 6.4.4: BCC, BODY, CC, FROM, HEADER, SENTBEFORE, SENTON, SENTSINCE, SUBJECT, TEXT, TO).
 *
 * All conditions of one search are given at once, then one message after the other: _begin, _take for its octets, piece
 * by piece in pieces of any size, _end.  How a message is cut changes nothing.  It is read once, and never lies in
 * memory.
 *
 * Text is compared decoded: encoded words of header fields (RFC 2047), parameters of Content-Type and
 * Content-Disposition (RFC 2231), transfer encodings and charsets of text parts become UTF-8 (text/charset.h says
 * which).  Letters compare without case (text/fold.h); a tab is a space.  Octets of a charset that is not known are
 * read as UTF-8, so that ASCII is found in them.
 *
 * BODY sees the text of each text part, HTML as it stands, and within a message/rfc822 part the header of that message;
 * of other message types it sees the octets as text.  TEXT sees that, and every header: the message's own and those of
 * its parts, each field with its name.  Nothing is found across the end of a field or of a part.  Neither sees other
 * parts (RFC 3501 section 6.4.4 allows to leave them out), nor what stands before the first delimiter of a multipart
 * and behind its last (RFC 2046 section 5.1.1).  A part that the scanner holds for opaque, past its bounds, is text as
 * it stands.
 */
#ifndef MESSAGE_SEEK_H
#define MESSAGE_SEEK_H

#include "base/arena.h"

enum {
    SEEK_CONDITIONS_MAX = 1000,
    SEEK_TEXTS_MAX = 64,             /* of them BODY and TEXT, which are compared with every octet */
    SEEK_NAME_MAX = 128,             /* octets of a field's name */
    SEEK_KEY_MAX = 1024,             /* octets of a text that is looked for, with its case folded */
    SEEK_KEYS_OCTETS_MAX = 64 * 1024 /* of all of them */
};

enum seek_kind {
    SEEK_FIELD,       /* a field `name` of the message's own header that has `text` in it; empty: that is there */
    SEEK_BODY,        /* `text` in the body; an empty one is in each */
    SEEK_TEXT,        /* in the header or the body */
    SEEK_SENT_BEFORE, /* the day of its Date, without regard to time and zone, is before `day` */
    SEEK_SENT_ON,
    SEEK_SENT_SINCE /* is `day` or later */
};

struct sought {
    enum seek_kind kind;
    struct span name; /* of a field, in any case */
    struct span text; /* UTF-8 */
    int32_t day;      /* days since 1970-01-01 */
};

enum seek_match { SEEK_OPEN, SEEK_NO, SEEK_YES };

struct seek;

/* Takes what it needs of the arena: 10 KiB, and for each condition 72 octets, its name, and three times its text.
 * Nothing of `v` is kept.  While a message comes the scanner takes up to SCANNER_OCTETS_MAX of the arena's heap, class
 * CLASS_BODIES; so _fini comes before the arena is cleared.
 *
 * MAILSRV_OK; MAILSRV_LIMIT: more or longer than the bounds above; MAILSRV_NOMEM. */
int32_t mailsrv__seek_new(struct arena *arena, const struct sought *v, uint32_t n, struct seek **out);

/* `s` NULL is fine.  Gives back what a message took; the arena gives back the rest. */
void mailsrv__seek_fini(struct seek *s);

/* The next message: nothing is known of it.  What the last one took is given back. */
void mailsrv__seek_begin(struct seek *s);

/* The next octets of the message, prefix and body as one.  False: nothing that follows can change an answer, and none
 * needs to come: each condition is decided, or there was no memory. */
bool mailsrv__seek_take(struct seek *s, struct span octets);

/* The message has ended, or no more of it is wanted after _take was false: no condition is open any more, but where
 * there was no memory. */
void mailsrv__seek_end(struct seek *s);

/* Of condition `i`, at any time: what is known so far.  SEEK_OPEN after _end: there was no memory to look. */
enum seek_match mailsrv__seek_match(const struct seek *s, uint32_t i);

/* What is known of the conditions up to SEEK_TOLD_MAX without the message: of the i-th its bit. */
enum { SEEK_TOLD_MAX = 64 };
struct seek_told {
    uint64_t known, matches;
};

/* Can a structure tell of any of them? */
bool mailsrv__seek_asks_structure(const struct seek *s);

/* What the structure (message/structure.h) of a message tells: the same that its octets would, or nothing.  Not between
 * _begin and _end.  A message with one has no field that it names in its prefix. */
struct seek_told mailsrv__seek_structure(struct seek *s, struct span blob);

/* ---- Text that is kept from one search to the next ---- */

/* Fields of a structure (message/structure.h) whose text conditions ask for: of each its bit. */
uint32_t mailsrv__seek_fields(const struct seek *s);

enum seek_kept {
    SEEK_ABSENT,   /* there is no such field */
    SEEK_KEPT,     /* its text, as it is compared: all of its values, one behind the other */
    SEEK_ELSEWHERE /* only the message tells, or it is too long */
};

/* What a structure tells of a field, to be kept: `*out` is lent until anything is done with `s`.  Not between _begin
 * and _end. */
enum seek_kept mailsrv__seek_keep(struct seek *s, struct span blob, uint32_t field, struct span *out);

/* What was kept tells of the conditions that ask for that field, as its structure would; SEEK_ELSEWHERE: nothing. */
void mailsrv__seek_kept(const struct seek *s, uint32_t field, enum seek_kept kept, struct span text,
                        struct seek_told *told);

/* Are those all that a structure could tell? */
bool mailsrv__seek_keeps_all(const struct seek *s);

/* Is that condition decided by the end of the header?  Then a store needs to hand out no more than that. */
bool mailsrv__seek_in_header(enum seek_kind kind);

#endif
