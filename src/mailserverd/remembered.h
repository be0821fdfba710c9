/* Logins that were right a short while ago: a client that comes each minute does not cost a slow hash each time.  Kept
 * is a HMAC of the password under a key of this process, together with what the password was looked at by: a user who
 * has another one is not found.  Any thread. */
#ifndef MAILSERVERD_REMEMBERED_H
#define MAILSERVERD_REMEMBERED_H

#include "people.h"

#include <mailsrv/tls.h>

#include <pthread.h>

#define REMEMBERED_KEY_OCTETS 32

struct remembered_login;

struct remembered {
    pthread_mutex_t mutex;
    const mailsrv_crypto *crypto; /* NULL: nothing is ever remembered */
    uint8_t key[REMEMBERED_KEY_OCTETS];
    struct remembered_login *all;
    uint64_t found; /* atomic: ever */
};

bool remembered_begin(struct remembered *remembered);
void remembered_end(struct remembered *remembered);

/* Was this the password of `person`, at most `seconds` ago? */
bool remembered_is(struct remembered *remembered, const struct entry *person, mailsrv_bytes password, uint64_t seconds);

/* It is, now. */
void remembered_add(struct remembered *remembered, const struct entry *person, mailsrv_bytes password);

/* Users have changed: nothing is remembered any more. */
void remembered_forget(struct remembered *remembered);

#endif
