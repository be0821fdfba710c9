/* Reads a message that streams past, in pieces of any size, and tells what it is made of: the structure blob
 * (message/structure.h).
 *
 * It never fails a message.  What lies beyond a bound is opaque: a part at the depth of 100, what would be part 4,097,
 * and, when there is no more room for fields, every part that would hold others.  Where there is no memory there is no
 * structure.
 */
#ifndef MESSAGE_SCANNER_H
#define MESSAGE_SCANNER_H

#include "base/heap.h"
#include "message/structure.h"

enum {
    SCANNER_OCTETS_MAX = 2 * 1024 * 1024, /* memory of one: without more there is no structure */
    FIELDS_OCTETS_MAX = 384 * 1024,       /* of all parts: behind that many no more are kept */
    BOUNDARY_OCTETS_MAX = 200, /* of a longer one the beginning counts (RFC 2046 section 5.1.1 allows 70) */
    CONTENT_TYPE_MAX = 4096,   /* of a Content-Type, which decides what comes next; the rest is not looked at */
    FIELDS_KEPT_MAX = 64,      /* of one header */
    FIELD_NAME_ROOM = 32
};

/* What a line is, as far as it has been seen. */
enum line { LINE_UNDECIDED, LINE_PLAIN, LINE_EMPTY, LINE_DELIMITER, LINE_LAST_DELIMITER };

/* Octets that grow. */
struct growing {
    char *p;
    size_t n, room;
};

/* A part that has begun and not ended. */
struct level {
    uint32_t part;
    uint32_t boundary_at; /* in `boundaries` */
    uint16_t boundary_n;  /* 0: it has none, or its last part has ended */
    bool in_header;
    bool is_digest;       /* its parts are messages if they say nothing else */
    uint64_t body, lines; /* where its body begins, and how many lines ended before it */
};

/* The header that comes in: its fields are kept in the form of the blob. */
struct incoming {
    uint8_t at;     /* within a line */
    uint8_t id;     /* of the field; 0: nobody asks for it */
    bool cr;        /* held back: it ends the line, or does not */
    bool has_field; /* a line that begins with a blank goes on with it */
    uint8_t repeated; /* fields that came again, and counted */
    uint8_t n_kept;
    size_t name_n;
    char name[FIELD_NAME_ROOM];
    uint64_t begins, ends; /* its value, as it stands in the message */
    size_t octets;         /* and unfolded */
    struct growing value;  /* the beginning of that */
    bool has_type;         /* its first Content-Type says: */
    bool is_digest;
    uint8_t kind;
    uint16_t boundary_n;
    char boundary[BOUNDARY_OCTETS_MAX + FIELD_NAME_ROOM];
    struct growing kept;
    struct {
        uint8_t id;
        uint32_t at, n;
    } fields[FIELDS_KEPT_MAX];
};

struct scanner {
    struct heap *heap;
    enum mailsrv__class class_;
    size_t octets;   /* memory that it holds */
    bool failed;     /* there was none */
    bool dots;
    bool left_out;   /* of the message's own header: a field that is asked for */
    uint8_t in_line; /* what the line is */
    uint8_t seen;    /* what the last one was whose kind is known */
    char last;       /* the octet before `at` */
    uint8_t line_end; /* octets of the end of the line before this one; 0: there is none before it */
    uint64_t at;     /* octets seen */
    uint64_t lines;  /* line ends seen */
    uint64_t line;   /* where this line begins */
    uint32_t active; /* levels with a boundary */
    uint32_t n_levels, n_parts;
    struct growing levels, boundaries, parts, fields, blob;
    struct incoming in;
    size_t head_n;
    char head[BOUNDARY_OCTETS_MAX + 4]; /* of a line whose kind is not known yet */
};

/* It takes memory of the heap, charged to that class. */
void mailsrv__scanner_init(struct scanner *s, struct heap *heap, enum mailsrv__class class_);

void mailsrv__scanner_take(struct scanner *s, struct span octets);

/* Is one of these whole header fields such as a structure keeps? */
bool mailsrv__structure_names(struct span fields);

/* The message has ended.  The structure lives until _fini; empty: there was no memory. */
struct span mailsrv__scanner_end(struct scanner *s);

void mailsrv__scanner_fini(struct scanner *s);

#endif
