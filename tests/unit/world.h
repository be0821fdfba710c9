/* An engine with sessions of the probe (probe.h), and a host that the test moves by hand. */
#ifndef UNIT_WORLD_H
#define UNIT_WORLD_H

#include "allocators.h"
#include "probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct counted heap;
    mailsrv_config *config;
    mailsrv_profile *profile;
    mailsrv_engine *engine;
    int64_t now_us;
};

/* Every kind is pulled; the first advance is at 1,000 s. */
void world_begin(struct world *world);

/* Another profile, not sealed, that the world unrefs at its end instead of its first one. */
mailsrv_profile *world_profile(struct world *world);

/* Nothing may be left: no session, operation, or memory. */
void world_end(struct world *world);

mailsrv_session *world_session(struct world *world);
void world_advance(struct world *world, int64_t us);

/* Feeds a text, all of which is taken. */
void feed(mailsrv_session *session, const char *text);

/* Feeds it and runs until nothing is left to do. */
void say(struct world *world, mailsrv_session *session, const char *text);
void run(struct world *world);

/* Takes all output and compares it. */
void expect(mailsrv_session *session, const char *text);

/* The next operation, which is of this kind. */
const mailsrv_op *next_op(struct world *world, int32_t kind);
void no_op(struct world *world);
void answer(struct world *world, const mailsrv_op *op, int32_t status, const void *value);

#endif
