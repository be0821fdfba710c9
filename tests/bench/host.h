/* What the bench programs share: a store with an account, profiles, a session spoken to in memory. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PLENTY = 1 << 24 };

static inline void check(int good, const char *what)
{
    if (good)
        return;
    printf("Bail out! %s\n", what);
    exit(1);
}

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline uint64_t count_of(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

static inline mailsrv_profile *profile_of(const mailsrv_machine *machine, int32_t face)
{
    mailsrv_profile *profile;
    check(mailsrv_profile_new(NULL, machine, face, &profile) == MAILSRV_OK, "no profile");
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    check(mailsrv_profile_seal(profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
    return profile;
}

/* A store with the account `pat`, password `secret`, address pat@here.test. */
static inline mailsrv_store *store_with_pat(mailsrv_id *pat)
{
    mailsrv_store *store;
    check(mailsrv_memory_new(NULL, &store) == MAILSRV_OK, "no store");
    mailsrv_memory_add_account(store, "pat", 3, "secret", 6, pat);
    mailsrv_memory_add_address(store, "pat@here.test", 13, pat, 1);
    return store;
}

static inline mailsrv_session *begin(mailsrv_engine *engine, mailsrv_profile *profile)
{
    mailsrv_session *session;
    check(mailsrv_server_new(engine, profile, NULL, NULL, &session) == MAILSRV_OK, "no session");
    return session;
}

/* Reads all that is said, and returns how many octets it was. */
static inline uint64_t drain(mailsrv_engine *engine, mailsrv_session *session)
{
    mailsrv_out v[16];
    uint64_t octets = 0;
    for (;;) {
        size_t count, n = 0;
        mailsrv_engine_turn(engine, PLENTY);
        mailsrv_session_output(session, v, 16, &count);
        for (size_t i = 0; i < count; i++)
            n += v[i].n;
        if (n == 0)
            return octets;
        octets += n;
        mailsrv_session_sent(session, n);
    }
}

static inline uint64_t say(mailsrv_engine *engine, mailsrv_session *session, const char *text, size_t n)
{
    uint64_t octets = 0;
    while (n != 0) {
        size_t taken;
        check(mailsrv_session_feed(session, (const uint8_t *)text, n, &taken) == MAILSRV_OK, "the session has ended");
        text += taken;
        n -= taken;
        octets += drain(engine, session);
    }
    return octets;
}

#endif
