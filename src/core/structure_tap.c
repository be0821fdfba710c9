#include "core/engine.h"
#include "core/tap.h"
#include "message/scanner.h"

static void begin(void *state, mailsrv_session *session)
{
    mailsrv__scanner_init(state, &session->engine->heap, CLASS_BODIES);
}

static void bytes(void *state, struct span octets)
{
    mailsrv__scanner_take(state, octets);
}

static void end(void *state, mailsrv_session *session, struct facts *facts)
{
    (void)session;
    facts->structure = mailsrv__scanner_end(state);
}

static void fini(void *state)
{
    mailsrv__scanner_fini(state);
}

const struct tap mailsrv__structure_tap = {
    .octets = sizeof(struct scanner),
    .begin = begin,
    .bytes = bytes,
    .end = end,
    .fini = fini,
    .names = mailsrv__structure_names,
};
