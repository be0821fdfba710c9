/* Fields of MIME: Content-Type, Content-Disposition and their parameters (RFC 2045 section 5.1, RFC 2183 section 2),
 * with parameters in sections put together (RFC 2231 sections 3 and 6). */
#ifndef MESSAGE_CONTENT_H
#define MESSAGE_CONTENT_H

#include "message/lexer.h"

enum { PARAMETERS_MAX = 64 }; /* of a field; what is behind them is not read */

struct parameters {
    struct span text; /* from the first ";" on */
    uint32_t n, next;
    struct {
        uint32_t at;      /* where it begins in the text, at its name */
        uint16_t section; /* with `in_section` */
        uint8_t group;    /* the first that has the same name, but for its section */
        bool in_section, extended;
    } v[PARAMETERS_MAX];
};

/* type "/" subtype *(";" parameter); the spans point into the text.  False: it has no type and subtype. */
struct content_type {
    struct span type, subtype;
    struct span parameters; /* what follows */
};
bool mailsrv__content_type(struct span text, struct content_type *out);

/* A token, as Content-Disposition and Content-Transfer-Encoding begin with.  Empty: there is none. */
struct span mailsrv__content_word(struct span text, struct span *parameters);

void mailsrv__parameters_begin(struct parameters *ps, struct span text);

/* The next parameter that has a value.  Name and value stand in the room, which is emptied first: three times the
 * octets of the text are always enough, and with fewer they are cut.  Values in sections come as one, at the place of
 * their first; where one of the sections is in an extended form the name ends with "*", and the value is charset,
 * language and text as they were (RFC 2231 section 4).  False: there is no more. */
bool mailsrv__parameter_next(struct parameters *ps, struct writer *room, struct span *name, struct span *value);

/* The value of a parameter that has no sections, in the room.  False: there is none. */
bool mailsrv__parameter_find(struct span text, struct span name, struct writer *room, struct span *value);

#endif
