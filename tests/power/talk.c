#include "talk.h"

#include <stdlib.h>
#include <string.h>

#define UNITS 100000u

/* ---- Wakes ---- */

static void wake(void *user)
{
    struct wake *w = user;
    struct shore *s = &w->talk->shore;
    atomic_fetch_add(&w->calls, 1);
    pthread_mutex_lock(&s->bell);
    s->rung++;
    pthread_cond_signal(&s->ring);
    pthread_mutex_unlock(&s->bell);
}

/* Was it called, or something said, since it was asked last? */
static bool is_due(struct wake *w)
{
    unsigned calls = atomic_load(&w->calls);
    bool due = calls != w->seen || w->is_fed;
    w->seen = calls;
    w->is_fed = false;
    return due;
}

/* ---- Engines ---- */

static mailsrv_profile *profile_of(const mailsrv_machine *machine, int32_t face)
{
    mailsrv_profile *profile;
    if (mailsrv_profile_new(NULL, machine, face, &profile) != MAILSRV_OK ||
        mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9) != MAILSRV_OK ||
        (face == MAILSRV_FACE_IMAP &&
         mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1) != MAILSRV_OK) ||
        mailsrv_profile_seal(profile, NULL) != MAILSRV_OK)
        abort();
    return profile;
}

void talk_begin(struct talk *t)
{
    t->n_peers = 0;
    t->imap = profile_of(mailsrv_imap(), MAILSRV_FACE_IMAP);
    t->mx = profile_of(mailsrv_smtp(), MAILSRV_FACE_MX);
    t->now_us++;
    for (int i = 0; i < TALK_ENGINES; i++) {
        t->wakes[i].talk = t;
        if (mailsrv_engine_new(NULL, &t->engines[i]) != MAILSRV_OK ||
            shore_bind_with(&t->shore, t->engines[i], wake, &t->wakes[i]) != MAILSRV_OK ||
            mailsrv_engine_advance(t->engines[i], t->now_us, t->now_us) != MAILSRV_OK)
            abort();
    }
}

void talk_end(struct talk *t)
{
    for (size_t i = 0; i < t->n_peers; i++) {
        mailsrv_session_free(t->peers[i]->session);
        free(t->peers[i]->heard);
        free(t->peers[i]);
    }
    for (int i = 0; i < TALK_ENGINES; i++)
        mailsrv_engine_free(t->engines[i], MAILSRV_ABANDON);
    mailsrv_profile_unref(t->imap);
    mailsrv_profile_unref(t->mx);
}

/* ---- Octets to and fro ---- */

static void hear(struct peer *peer, const mailsrv_out *out)
{
    if (peer->n + out->n >= peer->room) {
        peer->room = 2 * (peer->n + out->n + 1);
        peer->heard = realloc(peer->heard, peer->room);
        if (peer->heard == NULL)
            abort();
    }
    memcpy(peer->heard + peer->n, out->p, out->n);
    peer->n += out->n;
    peer->heard[peer->n] = '\0';
}

/* Something was heard, or taken. */
static bool carry(struct talk *t, struct peer *peer)
{
    mailsrv_out v[8];
    size_t count = 0, taken = 0;
    mailsrv_session_output(peer->session, v, 8, &count);
    for (size_t i = 0; i < count; i++) {
        hear(peer, &v[i]);
        mailsrv_session_sent(peer->session, v[i].n);
    }
    if (peer->n_left != 0 && (mailsrv_session_wants(peer->session) & MAILSRV_WANT_READ) != 0)
        mailsrv_session_feed(peer->session, (const uint8_t *)peer->left, peer->n_left, &taken);
    peer->left += taken;
    peer->n_left -= taken;
    t->wakes[peer->engine].is_fed |= count != 0 || taken != 0;
    return count != 0 || taken != 0;
}

/* Everything that goes on without waiting. */
static void go_on(struct talk *t)
{
    bool more = true;
    while (more) {
        more = false;
        for (int i = 0; i < TALK_ENGINES; i++) {
            if (!is_due(&t->wakes[i]))
                continue;
            more = true;
            t->now_us += 10;
            mailsrv_engine_advance(t->engines[i], t->now_us, t->now_us);
            while (mailsrv_engine_turn(t->engines[i], UNITS) == MAILSRV_MORE)
                continue;
        }
        for (size_t i = 0; i < t->n_peers; i++)
            more = carry(t, t->peers[i]) || more;
    }
}

struct peer *talk_to(struct talk *t, mailsrv_profile *profile, int engine)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL || t->n_peers == TALK_PEERS)
        abort();
    if (mailsrv_server_new(t->engines[engine], profile, NULL, NULL, &peer->session) != MAILSRV_OK)
        abort();
    peer->engine = engine;
    peer->left = "";
    t->peers[t->n_peers++] = peer;
    hear(peer, &(mailsrv_out){ .p = (const uint8_t *)"", .n = 0 });
    t->wakes[engine].is_fed = true;
    go_on(t);
    return peer;
}

struct peer *talk_login(struct talk *t, int engine, int account)
{
    struct peer *peer = talk_to(t, t->imap, engine);
    if (!talk_ask(t, peer, account == 0 ? "in LOGIN pat \"secret words\"\r\n" : "in LOGIN kim \"secret words\"\r\n",
                  "in OK"))
        abort();
    return peer;
}

void talk_say(struct talk *t, struct peer *peer, const char *text, size_t n)
{
    go_on(t);
    peer->n = 0;
    peer->heard[0] = '\0';
    peer->left = text;
    peer->n_left = n;
    go_on(t);
}

bool talk_hears(struct talk *t, struct peer *peer, const char *text)
{
    for (go_on(t); strstr(peer->heard, text) == NULL; go_on(t))
        if (!shore_wait(&t->shore))
            return false;
    return true;
}

bool talk_ask(struct talk *t, struct peer *peer, const char *said, const char *heard)
{
    talk_say(t, peer, said, strlen(said));
    return talk_hears(t, peer, heard);
}

int32_t talk_status(struct talk *t, mailsrv_asked *asked)
{
    for (int i = 0; i < TALK_ENGINES; i++)
        t->wakes[i].is_fed = true; /* somebody of that engine has asked */
    for (go_on(t); mailsrv_asked_answer(asked) == NULL; go_on(t))
        if (!shore_wait(&t->shore))
            abort();
    return mailsrv_asked_answer(asked)->status;
}
