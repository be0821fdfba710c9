/* The layer of TLS, under a provider that is none.  What a client says is sealed in records of any size, which are fed
 * in any pieces, while the store answers late; the replies are those of a session in the clear.  Then octets that are no
 * records are fed, before, within and behind a handshake, and nothing may be left open. */
#include "../dialogue/fake_tls.h"
#include "fuzz.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

enum { PLENTY = 1 << 20, MONO_US = 1000000 };

struct world {
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_session *session;
    mailsrv_profile *profile;
    struct fake fake;
    struct fake_client client;
    struct buffer wire, out;
    size_t fed;
    uint32_t *chance;
    bool has_tls, is_junk, jobs;
};

/* ---- The world ---- */

static void make_profile(struct world *w)
{
    mailsrv_tls *tls = NULL;
    mailsrv_profile_new(NULL, mailsrv_smtp(), MAILSRV_FACE_MX, &w->profile);
    mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, 65536);
    mailsrv_profile_enable(w->profile, MAILSRV_EXT_STARTTLS, 0);
    if (w->has_tls) {
        w->fake.threads = w->jobs;
        CHECK(fake_new(&w->fake, NULL, &tls) == MAILSRV_OK, "no provider");
        mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_IMPLICIT);
        mailsrv_profile_set_tls(w->profile, tls);
        mailsrv_tls_unref(tls);
    }
    CHECK(mailsrv_profile_seal(w->profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
}

static void make(struct world *w)
{
    mailsrv_id id;
    make_profile(w);
    mailsrv_memory_new(NULL, &w->store);
    mailsrv_memory_add_account(w->store, "pat", 3, "secret", 6, &id);
    mailsrv_memory_add_address(w->store, "pat@here.test", 13, &id, 1);
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_LATE, 1);
    CHECK(mailsrv_engine_new(NULL, &w->engine) == MAILSRV_OK, "no engine");
    mailsrv_store_bind(w->store, w->engine);
    if (w->jobs)
        mailsrv_engine_serve(w->engine, MAILSRV_OP_JOB, NULL, NULL);
    mailsrv_engine_advance(w->engine, MONO_US, MONO_US);
    CHECK(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session) == MAILSRV_OK, "no session");
}

/* ---- The host ---- */

static bool do_jobs(struct world *w)
{
    const mailsrv_op *op;
    bool any = false;
    while (mailsrv_engine_next_op(w->engine, &op) == MAILSRV_OK) {
        const mailsrv_arg_job *job = op->arg;
        job->run(job->work);
        mailsrv_op_answer_status(w->engine, op->id, MAILSRV_OK);
        any = true;
    }
    return any;
}

static bool take_output(struct world *w)
{
    mailsrv_out v[4];
    size_t count, octets = 0;
    mailsrv_session_output(w->session, v, 4, &count);
    for (size_t i = 0; i < count; i++, octets += v[i - 1].n) {
        if (w->has_tls && !w->is_junk)
            fake_client_take(&w->client, v[i].p, v[i].n, &w->out, &w->wire);
        else
            buffer_add(&w->out, v[i].p, v[i].n);
    }
    mailsrv_session_sent(w->session, octets);
    return octets != 0;
}

static bool feed(struct world *w)
{
    size_t left = w->wire.n - w->fed, taken = 0;
    if (left == 0 || (mailsrv_session_wants(w->session) & MAILSRV_WANT_READ) == 0)
        return false;
    size_t n = piece_octets(w->chance, left);
    char *piece = exact((struct span){ w->wire.p + w->fed, n });
    mailsrv_session_feed(w->session, (const uint8_t *)piece, n, &taken);
    free(piece);
    w->fed += taken;
    return taken != 0;
}

static void pump(struct world *w)
{
    for (bool moved = true; moved;) {
        uint32_t units = w->chance == NULL ? PLENTY : 1 + draw(w->chance, 50);
        moved = mailsrv_engine_turn(w->engine, units) == MAILSRV_MORE;
        moved = do_jobs(w) || moved;
        moved = take_output(w) || moved;
        moved = feed(w) || moved; /* at last: what came before may have made it wanted */
        moved = moved || mailsrv_memory_answer(w->store, 1) != 0;
    }
}

static void end(struct world *w)
{
    mailsrv_session_feed_eof(w->session);
    pump(w);
    CHECK((mailsrv_session_wants(w->session) & MAILSRV_WANT_CLOSE) != 0, "the session does not end");
    mailsrv_session_free(w->session);
    while (mailsrv_engine_turn(w->engine, PLENTY) == MAILSRV_MORE || mailsrv_memory_answer(w->store, 1) != 0)
        continue;
    CHECK(mailsrv_engine_stat(w->engine, MAILSRV_STAT_TLS_OCTETS) == 0, "a connection is counted that has gone");
    CHECK(mailsrv_engine_free(w->engine, 0) == MAILSRV_OK, "the engine is busy");
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
    CHECK(w->fake.fault == NULL, w->fake.fault);
    CHECK(w->client.fault == NULL, w->client.fault);
    CHECK(w->fake.begun == w->fake.ended && (!w->has_tls || w->fake.freed), "a connection is left");
    buffer_free(&w->wire);
}

/* ---- What is said ---- */

static void say_clear(struct world *w, struct span all)
{
    make(w);
    pump(w);
    buffer_add(&w->wire, all.p, all.n);
    pump(w);
    end(w);
}

static void say_sealed(struct world *w, struct span all)
{
    make(w);
    fake_client_begin(&w->client, &w->wire);
    pump(w);
    CHECK(w->client.is_open, "the handshake does not end");
    while (all.n != 0) {
        size_t n = piece_octets(w->chance, all.n);
        fake_client_seal(&w->client, all.p, n, &w->wire);
        all = mailsrv__span_after(all, n);
        if (draw(w->chance, 3) == 0)
            pump(w);
    }
    pump(w);
    if (draw(w->chance, 2) == 0 && w->wire.n == w->fed)
        fake_client_close(&w->client, &w->wire);
    end(w);
}

/* Octets that are no records, in the place of some of a right beginning. */
static void say_junk(struct world *w, struct span all)
{
    make(w);
    fake_client_begin(&w->client, &w->wire);
    w->wire.n -= draw(w->chance, (uint32_t)w->wire.n + 1);
    if (draw(w->chance, 2) == 0)
        pump(w);
    buffer_add(&w->wire, all.p, all.n);
    pump(w);
    end(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct world clear, sealed, junk;
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    clear = (struct world){ .chance = NULL };
    sealed = (struct world){ .chance = &chance, .has_tls = true, .jobs = (n & 1) != 0 };
    junk = (struct world){ .chance = &chance, .has_tls = true, .is_junk = true, .jobs = (n & 2) != 0 };
    say_clear(&clear, all);
    say_sealed(&sealed, all);
    CHECK(sealed.out.n == clear.out.n && memcmp(sealed.out.p, clear.out.p, clear.out.n) == 0,
          "under TLS the replies are others");
    say_junk(&junk, all);
    buffer_free(&clear.out);
    buffer_free(&sealed.out);
    buffer_free(&junk.out);
    return 0;
}
