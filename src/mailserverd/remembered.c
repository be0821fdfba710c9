#include "remembered.h"
#include "keyed.h"
#include "password.h"
#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOGINS_MAX = 4096, WAYS = 8 /* that a user may be at */, OF_LOGIN = 'l' };

struct remembered_login {
    uint64_t user; /* keyed; 0: none */
    int64_t at_s;
    uint8_t mac[32];
};

static int64_t now_s(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec;
}

bool remembered_begin(struct remembered *r)
{
    *r = (struct remembered){ .mutex = PTHREAD_MUTEX_INITIALIZER, .crypto = plan_crypto() };
    r->all = calloc(LOGINS_MAX, sizeof *r->all);
    return r->all != NULL &&
           (r->crypto == NULL || r->crypto->random(r->crypto->user, r->key, sizeof r->key) == MAILSRV_OK);
}

void remembered_forget(struct remembered *r)
{
    pthread_mutex_lock(&r->mutex);
    explicit_bzero(r->all, LOGINS_MAX * sizeof *r->all);
    pthread_mutex_unlock(&r->mutex);
}

void remembered_end(struct remembered *r)
{
    if (r->all != NULL)
        explicit_bzero(r->all, LOGINS_MAX * sizeof *r->all);
    explicit_bzero(r->key, sizeof r->key);
    free(r->all);
    r->all = NULL;
}

static mailsrv_bytes text(const char *p)
{
    return (mailsrv_bytes){ (const uint8_t *)p, strlen(p) };
}

/* Of the user, of what his password is looked at by, and of the password. */
static bool make_mac(const struct remembered *r, const struct entry *person, mailsrv_bytes password, uint8_t *out)
{
    static const uint8_t nul[1] = { 0 };
    const mailsrv_bytes key = { r->key, sizeof r->key };
    const mailsrv_bytes parts[] = { text(person->address), { nul, 1 }, text(person->text), { nul, 1 }, password };
    return r->crypto != NULL && r->crypto->hmac(r->crypto->user, MAILSRV_HASH_SHA256, &key, parts,
                                                sizeof parts / sizeof *parts, out) == MAILSRV_OK;
}

static struct remembered_login *places_of(const struct remembered *r, uint64_t user)
{
    return &r->all[user % (LOGINS_MAX / WAYS) * WAYS];
}

bool remembered_is(struct remembered *r, const struct entry *person, mailsrv_bytes password, uint64_t seconds)
{
    uint8_t mac[32];
    bool found = false;
    if (seconds == 0 || !make_mac(r, person, password, mac))
        return false;
    const uint64_t user = keyed(OF_LOGIN, text(person->address));
    const int64_t since = now_s() - (int64_t)seconds;
    const struct remembered_login *first = places_of(r, user);
    pthread_mutex_lock(&r->mutex);
    for (const struct remembered_login *l = first; l < first + WAYS; l++)
        if (l->user == user && l->at_s >= since && password_same(l->mac, mac, sizeof mac))
            found = true;
    pthread_mutex_unlock(&r->mutex);
    explicit_bzero(mac, sizeof mac);
    if (found)
        __atomic_add_fetch(&r->found, 1, __ATOMIC_RELAXED);
    return found;
}

/* In the place of the same user, or of who came in longest ago. */
void remembered_add(struct remembered *r, const struct entry *person, mailsrv_bytes password)
{
    struct remembered_login new = { .user = keyed(OF_LOGIN, text(person->address)), .at_s = now_s() };
    if (!make_mac(r, person, password, new.mac))
        return;
    struct remembered_login *first = places_of(r, new.user), *victim = first;
    pthread_mutex_lock(&r->mutex);
    for (struct remembered_login *l = first; l < first + WAYS && victim->user != new.user; l++)
        if (l->user == new.user || l->user == 0 || (victim->user != 0 && l->at_s < victim->at_s))
            victim = l;
    *victim = new;
    pthread_mutex_unlock(&r->mutex);
    explicit_bzero(&new, sizeof new);
}
