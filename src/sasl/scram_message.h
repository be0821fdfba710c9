/* The messages of SCRAM (RFC 5802 section 7): read and checked as they came.  Every span points into the message. */
#ifndef SASL_SCRAM_MESSAGE_H
#define SASL_SCRAM_MESSAGE_H

#include "text/writer.h"

enum scram_binding {
    SCRAM_CANNOT_BIND = 'n',
    SCRAM_COULD_BIND = 'y', /* and takes it that we cannot */
    SCRAM_BINDS = 'p'
};

enum { SCRAM_NONCE_MAX = 256 };

struct scram_first {
    struct span gs2_header; /* with both its commas */
    enum scram_binding binding;
    struct span binding_name; /* SCRAM_BINDS */
    struct span identity;     /* these two as they are escaped */
    struct span user;
    struct span nonce;
    struct span bare;
};

struct scram_final {
    struct span binding; /* in base64 */
    struct span nonce;
    struct span proof;         /* in base64 */
    struct span without_proof; /* what stands before the comma in front of it */
};

/* Of the server. */
struct scram_server_first {
    struct span nonce;
    struct span salt; /* in base64 */
    uint32_t iterations;
};

/* False: it is none, or has an extension that must be understood. */
bool mailsrv__scram_read_first(struct span message, struct scram_first *out);
bool mailsrv__scram_read_final(struct span message, struct scram_final *out);
bool mailsrv__scram_read_server_first(struct span message, struct scram_server_first *out);

/* The signature, in base64.  False: it is none, or says that the login has failed. */
bool mailsrv__scram_read_server_final(struct span message, struct span *signature);

/* Writes the name that `escaped` stands for to `out`, which is as long, and its length to `*n`.  False: it stands for
 * none. */
bool mailsrv__scram_unescape(struct span escaped, char *out, size_t *n);

/* The contrary: up to three times as long. */
void mailsrv__scram_escape(struct span name, struct writer *w);

#endif
