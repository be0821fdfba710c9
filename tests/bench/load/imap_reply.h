/* Responses of IMAP (RFC 9051 section 7), out of input that is cut anywhere.  Literals are skipped, not kept. */
#ifndef LOAD_IMAP_REPLY_H
#define LOAD_IMAP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAP_HEAD_MAX = 1024, IMAP_TAIL_MAX = 24 };

struct imap_reply {
    bool whole;       /* a response is there, with its literals */
    const char *text; /* its first octets, at most IMAP_HEAD_MAX, without those of literals; until the next call */
    size_t n;
    uint64_t octets, literal_octets; /* of all of it */
    uint32_t literals;
    uint64_t spaces; /* in a SEARCH; of others nothing is counted */
};

struct imap_reader {
    bool begun;
    uint8_t tail_n;
    char tail[IMAP_TAIL_MAX]; /* the last octets of a line that goes on: "{N}" may stand there */
    uint64_t literal;         /* octets of it that are to come */
    uint64_t octets, literal_octets, spaces;
    uint32_t literals;
    uint32_t head_n;
    char head[IMAP_HEAD_MAX];
};

/* Takes at most one response, and returns how many octets that were. */
size_t imap_take(struct imap_reader *reader, const char *p, size_t n, struct imap_reply *reply);

#endif
