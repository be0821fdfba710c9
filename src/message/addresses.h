/* Address lists of header fields (RFC 5322 section 3.4, and section 4.4 for what is obsolete). */
#ifndef MESSAGE_ADDRESSES_H
#define MESSAGE_ADDRESSES_H

#include "message/lexer.h"

enum list_entry { ENTRY_MAILBOX, ENTRY_GROUP, ENTRY_GROUP_END };

/* One entry; a text that is not there has p NULL.  The texts are unquoted, and stand in the room that was given. */
struct list_address {
    enum list_entry kind;
    struct span name;   /* display-name, or the comment of an address without one */
    struct span route;  /* obs-route, without its colon: "@a,@b" */
    struct span local;  /* local-part; of ENTRY_GROUP the group's name */
    struct span domain; /* a literal with its brackets */
    bool broken;        /* it has an opening bracket, and not what must follow */
};

/* A list that is read from the front. */
struct address_list {
    struct lexer lx;
    bool in_group;
};

static inline struct address_list mailsrv__address_list(struct span text)
{
    return (struct address_list){ .lx.rest = text };
}

/* The next entry; what is none is left out.  `room` is emptied first; as many octets as the list has are always enough,
 * and with fewer a text is cut.  False: there is no more. */
bool mailsrv__address_next(struct address_list *list, struct writer *room, struct list_address *out);

#endif
