/* Who is it, and where does mail go: AUTH_VERIFY and RESOLVE of one loop. */
#ifndef MAILSERVERD_LOGIN_H
#define MAILSERVERD_LOGIN_H

#include "people.h"

#include <mailsrv/op.h>

#include <uv.h>

/* What the handlers of a loop know; on its thread. */
struct directory {
    const struct config *config;
    uv_loop_t *loop;
    struct people *people; /* its own reference */
    unsigned verifying;    /* passwords that threads are looking at */
};

/* Binds the handlers.  MAILSRV_OK, or what failed. */
int32_t login_serve(struct directory *directory, mailsrv_engine *engine);
int32_t resolve_serve(struct directory *directory, mailsrv_engine *engine);

/* Other people from now on; takes the reference. */
void directory_change(struct directory *directory, struct people *people);

#endif
