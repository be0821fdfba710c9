/* The host of a session in a fuzz target: feeds it, takes what it says, and lets questions be answered, at once and whole,
 * or as chance has it. */
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include "fuzz.h"

#include "base/list.h"

#include <mailsrv/mailsrv.h>

enum { PLENTY = 1 << 20, UNITS_MAX = 300, MONO_US = 1000000 };

struct host {
    mailsrv_engine *engine;
    mailsrv_session *session;
    struct bytes out;
    uint32_t *chance; /* NULL: all goes its best way */
    bool faulty;
    size_t leaves_in; /* pieces until the session is freed; 0: it is not */
    bool (*answer)(struct host *host); /* one question; false: there is none */
};

static inline bool host_take_output(struct host *h)
{
    mailsrv_out v[4];
    size_t count;
    mailsrv_session_output(h->session, v, 4, &count);
    for (size_t i = 0; i < count; i++) {
        size_t n = piece_octets(h->chance, v[i].n);
        bytes_add(&h->out, (struct span){ (const char *)v[i].p, n });
        mailsrv_session_sent(h->session, n);
        if (n < v[i].n)
            return true;
    }
    return count != 0;
}

/* Until nothing moves any more. */
static inline void host_pump(struct host *h)
{
    bool moved = true;
    while (moved) {
        uint32_t units = h->chance == NULL ? PLENTY : 1 + draw(h->chance, UNITS_MAX);
        moved = mailsrv_engine_turn(h->engine, units) == MAILSRV_MORE;
        moved = (h->session != NULL && host_take_output(h)) || moved;
        moved = h->answer(h) || moved;
    }
}

static inline void host_say(void *ctx, struct span piece)
{
    struct host *h = (struct host *)ctx;
    while (piece.n != 0 && h->session != NULL) {
        size_t taken;
        if (h->leaves_in != 0 && --h->leaves_in == 0) {
            mailsrv_session_free(h->session);
            h->session = NULL;
            return;
        }
        if (mailsrv_session_feed(h->session, (const uint8_t *)piece.p, piece.n, &taken) != MAILSRV_OK)
            return;
        piece = mailsrv__span_after(piece, taken);
        host_pump(h);
        if (taken == 0 && (mailsrv_session_wants(h->session) & MAILSRV_WANT_READ) == 0)
            return;
    }
}

/* The peer says no more: the session ends, if it has not been freed before. */
static inline void host_end(struct host *h)
{
    if (h->session != NULL) {
        mailsrv_session_feed_eof(h->session);
        host_pump(h);
        CHECK((mailsrv_session_wants(h->session) & MAILSRV_WANT_CLOSE) != 0, "the session does not end");
        mailsrv_session_free(h->session);
        h->session = NULL;
    }
    host_pump(h);
    CHECK(mailsrv_engine_stat(h->engine, MAILSRV_STAT_STEP_UNITS_PEAK) <= UNITS_MAX, "a long slice");
}

#endif
