/* TLS in a run: the client under the fake one, and the host that does it by itself. */
#include "run.h"


static bool is_ok(struct run *run, int32_t status)
{
    if (status != MAILSRV_OK && !(status == MAILSRV_NOMEM && run->heap.failed))
        run_wrong(run, "the profile takes no TLS");
    return status == MAILSRV_OK;
}

static bool give_provider(struct run *run)
{
    mailsrv_tls *tls = NULL;
    run->fake.threads = run->plan->jobs;
    run->fake.fails_at = run->plan->tls_fails;
    run->fake.verifies = run->d->has_certificate;
    if (!is_ok(run, fake_new(&run->fake, &run->heap.allocator, &tls)))
        return false;
    bool good = is_ok(run, mailsrv_profile_set_tls(run->profile, tls));
    mailsrv_tls_unref(tls);
    return good;
}

bool tls_set_up(struct run *run)
{
    run->tls_by = run->plan->tls;
    if (run->d->has_tls && run->tls_by == TLS_BY_NOBODY)
        run->tls_by = TLS_BY_LIBRARY;
    if (run->tls_by != TLS_BY_NOBODY && !run->d->has_tls &&
        !is_ok(run, mailsrv_profile_set_u64(run->profile, MAILSRV_PROFILE_TLS,
                                            run->d->is_client ? MAILSRV_TLS_OFFERED : MAILSRV_TLS_IMPLICIT)))
        return false;
    return run->tls_by != TLS_BY_LIBRARY || give_provider(run);
}

void tls_begin(struct run *run)
{
    run->host_may_begin = true;
    if (run->d->is_client) {
        if (run->d->has_tls && run->tls_by == TLS_BY_LIBRARY && !run->client.is_active && !run_excused(run))
            run_wrong(run, "the client does not begin its handshake");
        return;
    }
    if (run->tls_by == TLS_BY_LIBRARY && !run->client.is_active && run->session != NULL)
        fake_client_begin(&run->client, &run->wire);
}

void tls_heard(struct run *run, uint8_t first, bool server_does)
{
    if (run->tls_by != TLS_BY_LIBRARY || run->client.is_active || first != FAKE_HANDSHAKE)
        return;
    bool is_ready = server_does || !run->d->has_tls;
    run->client.is_active = run->client.is_server = is_ready;
    run->talks_alone = !is_ready;
}

/* ---- The client ---- */

static void seal(struct run *run, size_t end)
{
    fake_client_seal(&run->client, run->in.p + run->in_pos, end - run->in_pos, &run->wire);
    run->in_pos = end;
}

bool tls_feed(struct run *run, size_t end)
{
    if ((run->wants & MAILSRV_WANT_READ) == 0)
        return false;
    if (run->wire_pos == run->wire.n && end != run->in_pos && run->client.is_open)
        seal(run, end);
    size_t n = run->wire.n - run->wire_pos, piece = run->plan->wire_piece;
    if (n == 0)
        return false;
    if (piece != 0 && n > piece)
        n = piece;
    size_t taken = host_feed(run, run->wire.p + run->wire_pos, n);
    run->wire_pos += taken;
    return taken != 0;
}

bool tls_says_closed(struct run *run)
{
    if (!run->client.is_open || run->has_closed || run->plan->cut_off)
        return false;
    run->has_closed = true;
    fake_client_close(&run->client, &run->wire);
    return true;
}

/* ---- The host ---- */

/* What was sent in the clear behind STARTTLS is no handshake. */
static bool fails(struct run *run)
{
    static const char why[] = "this is no handshake";
    if (mailsrv_session_tls_failed(run->session, why, sizeof why - 1) != MAILSRV_OK)
        run_wrong(run, "the session takes no failure of TLS");
    run->wants &= mailsrv_session_wants(run->session);
    run->in_pos = run->in.n;
    return true;
}

/* By what a server's must be. */
static uint32_t wanted(struct run *run)
{
    mailsrv_tls_target target = { .size = sizeof target };
    const int32_t status = mailsrv_session_tls_target(run->session, &target);
    if ((status == MAILSRV_OK) != ((run->wants & MAILSRV_WANT_TLS_CLIENT) != 0))
        run_wrong(run, "the session does not say whom it wants");
    return target.verify;
}

bool tls_host(struct run *run)
{
    static const uint8_t cipher[] = "TLS_OF_THE_HOST";
    mailsrv_tls_info info = { .size = sizeof info, .version = 0x0303, .cipher = { cipher, sizeof cipher - 1 } };
    if (run->session == NULL || (run->wants & (MAILSRV_WANT_TLS_SERVER | MAILSRV_WANT_TLS_CLIENT)) == 0)
        return false;
    if (!run->host_may_begin)
        return run->in_pos != run->in.n && fails(run);
    if (run->tls_by != TLS_BY_HOST || (run->wants & MAILSRV_WANT_READ) != 0 || run->host_began)
        run_wrong(run, "the host is to do TLS that is not his affair");
    run->host_began = true;
    info.verified = fake_verified(run->d->has_certificate, wanted(run));
    int32_t status = mailsrv_session_tls_started(run->session, &info);
    if (status != MAILSRV_OK && !(status == MAILSRV_NOMEM && run_excused(run)))
        run_wrong(run, "the session takes no TLS of the host");
    run->wants &= mailsrv_session_wants(run->session);
    return true;
}

/* ---- The end ---- */

bool tls_is_gone(const struct run *run)
{
    bool told_to = run->plan->tls_fails != 0 && run->fake.calls >= run->plan->tls_fails;
    if (run->tls_by == TLS_BY_LIBRARY)
        return told_to ||
               (!run->client.is_open && (run->client.is_active || run->d->tls_first || !run->d->has_tls));
    return run->tls_by == TLS_BY_HOST && run->heap.failed;
}

void tls_check(struct run *run)
{
    const struct fake *f = &run->fake;
    if (f->fault != NULL)
        run_wrong(run, f->fault);
    if (run->client.fault != NULL)
        run_wrong(run, run->client.fault);
    bool had_provider = run->tls_by == TLS_BY_LIBRARY && run->profile != NULL && !run->heap.failed;
    if (f->begun != f->ended || (had_provider && !f->freed))
        run_wrong(run, "a connection, or its provider, was not given back");
}
