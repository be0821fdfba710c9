/* A sealed profile is shared by threads, and goes with whoever holds it last; engines of several threads share nothing
 * else. */
#include "tap.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define ROUNDS 300

static atomic_long held; /* octets of the profile */

static void *take(void *user, size_t n)
{
    (void)user;
    atomic_fetch_add(&held, (long)n);
    return malloc(n);
}

static void give(void *user, void *p, size_t n)
{
    (void)user;
    atomic_fetch_sub(&held, (long)n);
    free(p);
}

static mailsrv_profile *new_profile(void)
{
    static const mailsrv_allocator counted = { sizeof counted, 0, NULL, take, give };
    mailsrv_profile *profile;
    if (mailsrv_profile_new(&counted, mailsrv_smtp(), MAILSRV_FACE_MX, &profile) != MAILSRV_OK ||
        mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12) != MAILSRV_OK ||
        mailsrv_profile_seal(profile, NULL) != MAILSRV_OK)
        abort();
    return profile;
}

/* ---- Who is last? ---- */

struct holder {
    pthread_t thread;
    mailsrv_profile *profile;
    pthread_barrier_t *barrier;
};

static void *holds_a_session(void *user)
{
    struct holder *h = user;
    mailsrv_engine *engine;
    mailsrv_session *session;
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK)
        abort();
    mailsrv_engine_advance(engine, 1, 1);
    if (mailsrv_server_new(engine, h->profile, NULL, NULL, &session) != MAILSRV_OK)
        abort();
    pthread_barrier_wait(h->barrier); /* now everybody lets go at once, the maker too */
    mailsrv_session_free(session);
    mailsrv_engine_free(engine, MAILSRV_ABANDON);
    return NULL;
}

static void the_last_one_frees(void)
{
    unsigned wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct holder holders[THREADS];
        pthread_barrier_t barrier;
        mailsrv_profile *profile = new_profile();
        pthread_barrier_init(&barrier, NULL, THREADS + 1);
        for (int i = 0; i < THREADS; i++) {
            holders[i] = (struct holder){ .profile = profile, .barrier = &barrier };
            pthread_create(&holders[i].thread, NULL, holds_a_session, &holders[i]);
        }
        pthread_barrier_wait(&barrier);
        mailsrv_profile_unref(profile);
        for (int i = 0; i < THREADS; i++)
            pthread_join(holders[i].thread, NULL);
        pthread_barrier_destroy(&barrier);
        wrong += atomic_load(&held) != 0;
    }
    tap(wrong == 0, "profiles", "the last of several threads frees it", "memory is left");
}

/* ---- Mail by several threads at once, each with an engine and a store of its own ---- */

struct receiver {
    pthread_t thread;
    mailsrv_profile *profile;
    uint64_t messages;
};

static void drain(mailsrv_session *session)
{
    mailsrv_out out[8];
    size_t n = 0;
    while (mailsrv_session_output(session, out, 8, &n) == MAILSRV_OK && n != 0) {
        size_t octets = 0;
        for (size_t i = 0; i < n; i++)
            octets += out[i].n;
        mailsrv_session_sent(session, octets);
    }
}

static void deliver_one(mailsrv_engine *engine, mailsrv_profile *profile, int64_t now)
{
    static const char dialogue[] = "EHLO there.test\r\nMAIL FROM:<a@there.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n"
                                   "Subject: hello\r\n\r\nhello\r\n.\r\nQUIT\r\n";
    mailsrv_session *session;
    size_t at = 0, consumed;
    if (mailsrv_server_new(engine, profile, NULL, NULL, &session) != MAILSRV_OK)
        abort();
    for (int i = 0; i < 100 && at < sizeof dialogue - 1; i++) {
        mailsrv_engine_advance(engine, now, now);
        mailsrv_session_feed(session, (const uint8_t *)dialogue + at, sizeof dialogue - 1 - at, &consumed);
        at += consumed;
        mailsrv_engine_turn(engine, 10000);
        drain(session);
    }
    mailsrv_session_free(session);
}

static void *receives(void *user)
{
    struct receiver *r = user;
    mailsrv_engine *engine;
    mailsrv_store *store;
    mailsrv_id account;
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK || mailsrv_memory_new(NULL, &store) != MAILSRV_OK ||
        mailsrv_memory_add_account(store, "pat", 3, "secret", 6, &account) != MAILSRV_OK ||
        mailsrv_memory_add_address(store, "pat@here.test", 13, &account, 1) != MAILSRV_OK ||
        mailsrv_store_bind(store, engine) != MAILSRV_OK)
        abort();
    mailsrv_engine_advance(engine, 1, 1);
    for (int64_t i = 0; i < 50; i++)
        deliver_one(engine, r->profile, 2 + i);
    while (mailsrv_engine_turn(engine, 10000) == MAILSRV_MORE)
        continue;
    r->messages = mailsrv_memory_count(store, &account);
    mailsrv_engine_free(engine, 0);
    mailsrv_store_free(store);
    return NULL;
}

static void threads_share_nothing_else(void)
{
    struct receiver receivers[THREADS];
    uint64_t messages = 0;
    mailsrv_profile *profile = new_profile();
    for (int i = 0; i < THREADS; i++) {
        receivers[i] = (struct receiver){ .profile = profile };
        pthread_create(&receivers[i].thread, NULL, receives, &receivers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(receivers[i].thread, NULL);
        messages += receivers[i].messages;
    }
    mailsrv_profile_unref(profile);
    tap(messages == 50 * THREADS, "profiles", "mail comes in by four threads with one profile", "some is missing");
    tap(atomic_load(&held) == 0, "profiles", "and nothing is left of it", "");
}

int main(void)
{
    the_last_one_frees();
    threads_share_nothing_else();
    return tap_end();
}
