/* What a configuration comes to: sealed profiles, with their certificates.  Immutable, counted, shared by the loops. */
#ifndef MAILSERVERD_PLAN_H
#define MAILSERVERD_PLAN_H

#include "config.h"

#include <mailsrv/tls.h>

struct plan {
    unsigned references; /* atomic */
    const struct config *config;
    mailsrv_tls *tls;      /* NULL: no certificates */
    char scram_secret[65]; /* hexadecimal: what the salts of nobody are made of */
    mailsrv_profile *profiles[LISTENERS_MAX];
    mailsrv_profile *client; /* of what goes out */
    mailsrv_tls *client_tls; /* NULL: there is no provider of TLS here */
    uint64_t roots_hash;     /* of the file that says who vouches for servers */
};

/* Reads the file and makes of it all that can fail.  `before` is the plan that is in force, whose tickets stay good;
 * NULL: there is none.  NULL: it has told standard error. */
struct plan *plan_make(const char *path, const struct plan *before);

/* The same of a configuration, whose reference it takes over, also where it fails. */
struct plan *plan_of(const struct config *config, const struct plan *before);

struct plan *plan_ref(struct plan *plan);
void plan_unref(struct plan *plan); /* NULL is fine */

/* The table of the provider that does TLS here; NULL: there is none. */
const mailsrv_crypto *plan_crypto(void);

#endif
