/* Between the files of a search for text: seek.c sees the message's parts, seek_fields.c the fields of a header,
 * seek_keys.c what is looked for. */
#ifndef MESSAGE_SEEKING_H
#define MESSAGE_SEEKING_H

#include "message/scanner.h"
#include "message/seek.h"
#include "text/transfer.h"
#include "text/words.h"

enum {
    SEEK_VALUE_MAX = 1024, /* of a field that says what comes next, or when it was sent; the rest is not looked at */
    SEEK_FOLDED_ROOM = 2048,
    SEEK_HELD_MAX = BOUNDARY_OCTETS_MAX + 4
};

/* ---- What is looked for: seek_keys.c ---- */

/* A condition: its text with its case folded, and how far into that the characters before have come. */
struct key {
    enum seek_kind kind;
    enum seek_match match;
    bool fed; /* what comes now concerns it */
    uint16_t n, at;
    uint16_t rare; /* which of its octets is the least common one */
    const char *text;
    const uint16_t *back; /* behind its first i + 1 octets, where another octet than the next may still go on */
    struct span name;
    uint8_t field; /* of a structure that tells as much as the message; 0: none does */
    bool untold;   /* that structure leaves the value in the message */
    int32_t day;
};

/* Characters on their way to the keys, folded, in UTF-8. */
struct keys {
    struct key *v;
    struct key **texts; /* those of kind BODY and TEXT */
    struct key **fed;   /* those that what comes now concerns */
    uint32_t n, n_texts, n_fed;
    uint32_t open; /* without an answer */
    bool spilled; /* some of what was folded is not there any more */
    size_t folded_n;
    char folded[SEEK_FOLDED_ROOM];
};

/* The room that the text takes with its case folded. */
size_t mailsrv__key_octets(struct span text);

/* `text` has that room, and `back` as many numbers. */
void mailsrv__key_make(struct key *key, struct span from, char *text, uint16_t *back);

void mailsrv__keys_decide(struct keys *keys, struct key *key, bool matches);

/* What comes from here on concerns no key. */
void mailsrv__keys_end(struct keys *keys);

/* A text begins: none of what came before goes on in it.  It concerns TEXT, and BODY where `body`. */
void mailsrv__keys_begin(struct keys *keys, bool body);

/* From here on it concerns that key, too. */
void mailsrv__keys_begin_one(struct keys *keys, struct key *key);

/* A character of it.  `ctx` is the struct keys. */
void mailsrv__keys_char(void *ctx, uint32_t c);

/* Characters of ASCII, from the front of `octets`: how many of them there are. */
size_t mailsrv__keys_ascii(struct keys *keys, struct span octets);

/* Text of a field, with encoded words in it, which give their characters to `keys`. */
void mailsrv__keys_words(struct keys *keys, struct words *words, struct span text);

/* What was put so far is compared. */
void mailsrv__keys_compare(struct keys *keys);

/* Is the key in a text that is folded already? */
bool mailsrv__key_is_in(const struct key *key, struct span text);

/* ---- A structure: seek_structure.c ---- */

/* The field of a structure that tells about the key, whose text is there, as much as the message does; 0: none. */
uint8_t mailsrv__seek_field(const struct key *key, struct span name);

/* ---- Fields: seek_fields.c ---- */

enum seek_header {
    SEEK_OWN,   /* of the message itself */
    SEEK_INNER, /* of one in it, which is text of the body */
    SEEK_MIME   /* of a part */
};

/* A field that is kept. */
struct kept_value {
    bool there;
    size_t n;
    char p[SEEK_VALUE_MAX];
};

struct fields {
    struct keys *keys;
    enum seek_header header;
    uint8_t at;
    bool cr, has_field, too_long;
    size_t name_n;
    char name[SEEK_NAME_MAX];
    struct kept_value *kept; /* where the value goes, too, that comes in; or NULL */
    struct kept_value type, encoding, disposition, date;
    struct words words;
};

void mailsrv__fields_begin(struct fields *f, enum seek_header header);
void mailsrv__fields_take(struct fields *f, struct span octets);
void mailsrv__fields_end(struct fields *f);

/* ---- A message: seek.c ---- */

/* Is that day what the key asks for? */
bool mailsrv__key_is_sent(const struct key *key, int32_t day);

struct seek {
    struct heap *heap;
    struct keys keys;
    struct fields fields;
    struct scanner scanner;
    bool scans;  /* the scanner holds memory, or may */
    bool header; /* within one */
    bool text;   /* within a text part's body */
    struct transfer transfer;
    struct charset_reader reader;
    size_t held_n;
    char held[SEEK_HELD_MAX]; /* the beginning of a line whose kind is not known yet */
};

#endif
