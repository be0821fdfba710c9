/* Who is it, where does mail go, and how much of it: AUTH_VERIFY, AUTH_SCRAM_KEYS, RESOLVE and POLICY of one loop. */
#ifndef MAILSERVERD_LOGIN_H
#define MAILSERVERD_LOGIN_H

#include "guests.h"

#include <mailsrv/op.h>

#include <uv.h>

/* What the handlers of a loop know; on its thread. */
struct directory {
    const struct config *config;
    uv_loop_t *loop;
    struct gate *gate;
    struct guests guests;
    struct people *people; /* its own reference */
    unsigned verifying;    /* passwords that threads are looking at */
};

/* Binds the handlers.  MAILSRV_OK, or what failed. */
int32_t login_serve(struct directory *directory, mailsrv_engine *engine);
int32_t resolve_serve(struct directory *directory, mailsrv_engine *engine);
int32_t quota_serve(struct directory *directory, mailsrv_engine *engine);

/* What became of the login that a session tried. */
void login_failed(struct directory *directory, uint64_t session);
void login_succeeded(struct directory *directory, uint64_t session);

/* Other people from now on; takes the reference.  Sessions of who is none any more end. */
void directory_change(struct directory *directory, struct people *people);

#endif
