/* Who is connected to a loop, and whom he has logged in as.  On the loop's thread. */
#ifndef MAILSERVERD_GUESTS_H
#define MAILSERVERD_GUESTS_H

#include "gate.h"

#include <mailsrv/uv.h>

#define GUESTS_LISTS 4096

struct guest {
    struct guest *next; /* of its list */
    uint64_t session;
    mailsrv_uv_connection *connection;
    uint64_t network;       /* that he is counted by */
    struct attempt attempt; /* the last one */
    char *address; /* of the user that it was about, if there is one; whoever came in came in by his last attempt */
    uint64_t looked_at; /* keyed: what the password was looked at by */
};

struct guests {
    struct guest *lists[GUESTS_LISTS];
};

/* NULL: out of memory. */
struct guest *guests_add(struct guests *guests, uint64_t session, mailsrv_uv_connection *connection);
struct guest *guests_find(const struct guests *guests, uint64_t session); /* NULL: he has gone */
void guests_remove(struct guests *guests, uint64_t session);

/* He tries to be `person`; NULL: nobody.  False: out of memory. */
bool guest_tries(struct guest *guest, const struct attempt *attempt, const struct entry *person);

/* Ends the sessions of users who are none any more, or have another password: politely, after the command in
 * progress. */
void guests_see_off(const struct guests *guests, const struct people *people);

/* The number of its session, by which the engine's events tell of it. */
uint64_t guests_session(const mailsrv_uv_connection *connection);

#endif
