/* Name servers of a test: a text with a record in each line, and the messages that they answer with. */
#ifndef UNIT_ZONE_H
#define UNIT_ZONE_H

#include <mailsrv/queue.h>

#include "base/span.h"

/* Lines "name type value", each ended by LF: A, AAAA, CNAME, "MX 10 name" ("." is the root), TXT (the name is there,
 * no more), "TLSA 311aabb.." (each number a digit, then the data), and what goes wrong: "FAIL type" is a SERVFAIL, "SILENT
 * type" no reply.  A TTL may stand at the end.  "CNAME_A" is an alias for questions of that type alone.  "SIGNED -" is a name
 * whose records can be trusted, but for "UNSIGNED type": a reply that is about such names alone says so (AD), and where there
 * is any the name servers are `trusted`. */
struct zone {
    const char *text;
    unsigned asked; /* how many questions */
    char message[4096];
    mailsrv_dns_reply reply; /* the last one */
};

/* The status of the answer; MAILSRV_OK: `reply` is filled. */
int32_t zone_answer(struct zone *z, const mailsrv_arg_dns *ask);

#endif
