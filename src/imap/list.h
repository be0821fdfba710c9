/* LIST and LSUB: what their files share. */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H

#include "imap/names.h"
#include "imap/status.h"

enum {
    PATTERNS_MAX = 64,
    PATTERNS_OCTETS = 1024, /* of all patterns: each octet is work for each name */
    LEVELS = NAME_OCTETS + 1
};

/* What is selected and what is told (RFC 5258 section 3, RFC 6154, RFC 5819). */
enum {
    SELECT_SUBSCRIBED = 1 << 0,
    SELECT_SPECIAL_USE = 1 << 1,
    SELECT_RECURSIVE = 1 << 2,
    SELECT_REMOTE = 1 << 3, /* there are none: it selects what is selected without it */
    RETURN_SUBSCRIBED = 1 << 4,
    RETURN_CHILDREN = 1 << 5,
    RETURN_SPECIAL_USE = 1 << 6,
    RETURN_STATUS = 1 << 7
};

struct list {
    struct span reference;
    struct span sent[PATTERNS_MAX]; /* then the patterns themselves */
    uint32_t n;
    uint32_t options;
    bool extended;       /* one of the three ways of RFC 5258 section 3 was used */
    bool lsub;
    mailsrv_cursor cursor;
    uint32_t taken;      /* names since statuses were told */
    struct writer text;  /* of the patterns */
    /* The name before this one, and what is known of each of its beginnings that is a name or a level above one
     * (LEVEL_... in list.c).  Names ascend, so whatever may stand above a name is a beginning of the one before it. */
    struct writer before;
    uint16_t levels[LEVELS];
    struct statuses statuses;
};

#endif
