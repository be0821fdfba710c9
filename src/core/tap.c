#include "core/tap.h"

#include "core/engine.h"
#include "core/profile.h"

#include <stdalign.h>

struct running {
    const struct tap *tap;
    void *state;
    uint8_t first; /* of its answers */
    bool asked;
};

struct taps {
    size_t octets; /* of this allocation, states included */
    struct facts facts;
    bool ended;
    uint8_t n;
    struct running running[TAPS_MAX + 1];
};

bool mailsrv__profile_tap(mailsrv_profile *profile, const struct tap *tap)
{
    if (profile->n_taps == TAPS_MAX)
        return false;
    profile->taps[profile->n_taps++] = tap;
    return true;
}

static size_t rounded(size_t n)
{
    size_t unit = alignof(max_align_t);
    return (n + unit - 1) / unit * unit;
}

/* Those of the profile, then that of the engine; NULL: there are no more. */
static const struct tap *nth(const mailsrv_session *session, size_t i)
{
    const mailsrv_profile *profile = session->profile;
    if (i < profile->n_taps)
        return profile->taps[i];
    return i == profile->n_taps ? session->engine->tap : NULL;
}

struct taps *mailsrv__taps_begin(mailsrv_session *session)
{
    size_t octets = rounded(sizeof(struct taps)), n = 0;
    for (const struct tap *tap; (tap = nth(session, n)) != NULL; n++)
        octets += rounded(tap->octets);
    struct taps *taps = mailsrv__session_take(session, octets);
    if (taps == NULL)
        return NULL;
    taps->octets = octets;
    taps->n = (uint8_t)n;
    char *state = (char *)taps + rounded(sizeof(struct taps));
    for (size_t i = 0; i < taps->n; i++) {
        taps->running[i] = (struct running){ .tap = nth(session, i), .state = state };
        state += rounded(taps->running[i].tap->octets);
        taps->running[i].tap->begin(taps->running[i].state, session);
    }
    return taps;
}

void mailsrv__taps_bytes(struct taps *taps, struct span octets)
{
    for (size_t i = 0; i < taps->n; i++)
        taps->running[i].tap->bytes(taps->running[i].state, octets);
}

/* One tap's turn; what it asks begins at the number of questions asked before. */
static void turn(mailsrv_session *session, struct running *r, bool ended, struct facts *facts)
{
    uint8_t before = session->asker.n_asked;
    if (!ended)
        r->tap->end(r->state, session, facts);
    else if (r->asked)
        r->tap->answered(r->state, session, r->first, facts);
    r->first = before;
    r->asked = session->asker.n_asked != before;
}

bool mailsrv__taps_end(mailsrv_session *session, struct taps *taps)
{
    bool asked = false;
    for (size_t i = 0; i < taps->n; i++) {
        struct facts facts = taps->facts;
        turn(session, &taps->running[i], taps->ended, &facts);
        asked = asked || taps->running[i].asked;
        if (taps->facts.status != MAILSRV_OK) { /* the first refusal counts */
            facts.status = taps->facts.status;
            facts.text = taps->facts.text;
        }
        taps->facts = facts;
    }
    taps->ended = true;
    return asked;
}

const struct facts *mailsrv__taps_facts(const struct taps *taps)
{
    return &taps->facts;
}

bool mailsrv__structure_hides(const mailsrv_session *session, struct span fields)
{
    const struct tap *tap = session->engine->tap;
    return tap != NULL && tap->names(fields);
}

void mailsrv__taps_free(mailsrv_session *session, struct taps *taps)
{
    if (taps == NULL)
        return;
    for (size_t i = 0; i < taps->n; i++)
        if (taps->running[i].tap->fini != NULL)
            taps->running[i].tap->fini(taps->running[i].state);
    mailsrv__session_give(session, taps, taps->octets);
}
