/* Responses of POP3 (RFC 1939 section 3), out of input that is cut anywhere.  Messages are not kept. */
#ifndef LOAD_POP3_REPLY_H
#define LOAD_POP3_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POP3_LINE_MAX = 512 };

/* What an answer is, if it is +OK. */
enum pop3_form { POP3_LINE, POP3_LINES, POP3_MESSAGE };

struct pop3_reply {
    bool whole, good;
    const char *text; /* the first line without its end; it lives until the next call */
    size_t n;
    const char *more; /* the first octets of POP3_LINES, as far as there is room; until the next call */
    size_t more_n;
    uint64_t octets; /* behind the first line, without the one that ends it, as they were sent */
    uint64_t lines;  /* of POP3_LINES; of a message they are not counted */
};

struct pop3_reader {
    bool within; /* behind the first line */
    uint8_t tail_n;
    char tail[4]; /* its last octets: the end may be cut */
    uint32_t n, more_n;
    uint64_t octets, lines;
    char line[POP3_LINE_MAX]; /* and what is kept behind it */
};

/* Takes at most one response, and returns how many octets that were. */
size_t pop3_take(struct pop3_reader *reader, enum pop3_form form, const char *p, size_t n, struct pop3_reply *reply);

#endif
