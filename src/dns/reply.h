/* Replies of DNS (RFC 1035 section 4): what one says to a question for a name's A, AAAA (RFC 3596), MX, CNAME or TLSA
 * (RFC 6698) records. */
#ifndef DNS_REPLY_H
#define DNS_REPLY_H

#include "dns/name.h"

/* CNAMEs that are followed, and records of one answer that are looked at: where there are more, it is no answer. */
enum { DNS_CHAIN_MAX = 8, DNS_RECORDS_MAX = 1024 };

enum dns_outcome {
    DNS_RECORDS,  /* there are some */
    DNS_NODATA,   /* there is such a name, with none of this type */
    DNS_NXDOMAIN, /* there is no such name */
    DNS_FAILED    /* nothing is known: a failure of the server, or no reply to this question */
};

struct dns_record {
    uint32_t ttl_s;
    uint16_t preference;      /* of MX, and the exchanger's name */
    struct dns_name exchange;
    uint8_t address[16]; /* of A, 4 octets of it, and of AAAA; in network order */
    uint8_t usage, selector, matching; /* of TLSA, and what follows them there */
    struct span association;
};

/* A reply that was read.  Its bytes are the caller's, and stay. */
struct dns_reply {
    enum dns_outcome outcome;
    struct span why; /* failed: in a few words, static */
    uint32_t ttl_s;  /* records: the smallest of them and of the CNAMEs that lead there */
    bool authentic;  /* its AD bit (RFC 4035 section 3.2.3): as good as who sent it */
    /* what follows is the reader's */
    struct span message;
    uint16_t type;
    uint16_t n_answers, left;
    size_t answers_at, at;
    struct dns_name owner; /* the name that the CNAMEs lead to */
};

/* Reads `message` as the reply to (name, type); `type` is 1, 5, 15, 28 or 52.  A message that is malformed anywhere in
 * its answer has failed as a whole. */
enum dns_outcome mailsrv__dns_reply_read(struct dns_reply *r, struct span message, struct span name, uint16_t type);

/* The next of the records, in their order there.  False: there are no more. */
bool mailsrv__dns_reply_next(struct dns_reply *r, struct dns_record *out);

#endif
