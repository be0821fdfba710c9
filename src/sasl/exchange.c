/* One login, from its first line to its end. */
#include "sasl/sasl.h"
#include "text/base64.h"

enum { DOUBLINGS_MAX = 4 };

struct sasl *mailsrv__sasl_new(mailsrv_session *session, const struct sasl_face *face,
                               const struct mechanism *mechanism)
{
    struct sasl *x = mailsrv__session_take(session, sizeof *x);
    if (x == NULL)
        return NULL;
    x->session = session;
    x->face = face;
    x->mechanism = mechanism;
    x->arena = (struct arena){ .heap = mailsrv__session_heap(session), .purse = &session->purse };
    x->own = mechanism->octets == 0 ? NULL : mailsrv__arena_take(&x->arena, mechanism->octets);
    session->sasl = x;
    if (x->own != NULL || mechanism->octets == 0)
        return x;
    mailsrv__sasl_free(session);
    return NULL;
}

void mailsrv__sasl_free(mailsrv_session *session)
{
    struct sasl *x = session->sasl;
    if (x == NULL)
        return;
    mailsrv__arena_clear(&x->arena);
    mailsrv__session_give(session, x, sizeof *x);
    session->sasl = NULL;
}

/* ---- The end ---- */

static enum step delay_is_over(mailsrv_session *session)
{
    return session->sasl->face->ended(session, session->sasl);
}

/* Each guess costs more time than the one before. */
static uint64_t delay_ms(const mailsrv_session *session)
{
    unsigned doublings = session->failed_logins - 1u;
    if (doublings > DOUBLINGS_MAX)
        doublings = DOUBLINGS_MAX;
    return mailsrv__setting(session, MAILSRV_PROFILE_AUTH_DELAY_MS) << doublings;
}

/* The name in the event is what the peer said it was: a password may have been typed there, but nobody can know. */
static enum step failed(struct sasl *x)
{
    mailsrv_session *session = x->session;
    session->failed_logins++;
    mailsrv__session_event(session, MAILSRV_EVENT_LOGIN_FAILED, x->user);
    uint64_t ms = delay_ms(session);
    return ms == 0 ? x->face->ended(session, x) : mailsrv__then_alarm(session, ms, delay_is_over);
}

static enum step ended(struct sasl *x)
{
    if (x->end == SASL_REFUSED && x->status == MAILSRV_DENIED)
        return failed(x);
    return x->face->ended(x->session, x);
}

enum sasl_turn mailsrv__sasl_refuse(struct sasl *x, int32_t status)
{
    x->end = SASL_REFUSED;
    x->status = status;
    return SASL_OVER;
}

enum sasl_turn mailsrv__sasl_let_in(struct sasl *x, const mailsrv_id *account, uint32_t acts_as)
{
    if (x->identity.n != 0 && acts_as != 1)
        return mailsrv__sasl_refuse(x, MAILSRV_DENIED);
    x->end = SASL_LET_IN;
    x->account = *account;
    return SASL_OVER;
}

/* ---- Turns ---- */

bool mailsrv__sasl_keep(struct sasl *x, struct span from, struct span *out)
{
    if (mailsrv__arena_copy(&x->arena, from, out))
        return true;
    mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    return false;
}

static enum step no_memory(struct sasl *x)
{
    mailsrv__sasl_refuse(x, MAILSRV_NOMEM);
    return ended(x);
}

static enum step say_challenge(struct sasl *x)
{
    struct span prompt = x->face->prompt;
    size_t n = prompt.n + BASE64_CHARS(x->challenge.n);
    char *line = mailsrv__arena_take(&x->arena, n + 2);
    if (line == NULL)
        return no_memory(x);
    memcpy(line, prompt.p, prompt.n);
    mailsrv__base64((const uint8_t *)x->challenge.p, x->challenge.n, line + prompt.n);
    memcpy(line + n, "\r\n", 2);
    return mailsrv__say(x->session, (struct span){ line, n + 2 }) ? STEP_NEXT : STEP_CLOSE;
}

static enum step answered(mailsrv_session *session);

static enum step go_on(struct sasl *x, enum sasl_turn turn)
{
    if (turn == SASL_SAY)
        return say_challenge(x);
    return turn == SASL_WAIT ? mailsrv__then_answers(x->session, answered) : ended(x);
}

static enum step answered(mailsrv_session *session)
{
    struct sasl *x = session->sasl;
    return go_on(x, x->mechanism->answered(x));
}

bool mailsrv__sasl_answer_refuses(struct sasl *x, enum sasl_turn *turn)
{
    const mailsrv_answer *answer = mailsrv__answer(x->session, 0);
    int32_t status = answer->status;
    if (status == MAILSRV_OK)
        return false;
    /* A handler that says more than DENIED about a user who does not exist is not passed on, and neither is a text that
     * may differ between the two. */
    if (status == MAILSRV_NONEXISTENT)
        status = MAILSRV_DENIED;
    if (status != MAILSRV_DENIED && !mailsrv__arena_copy(&x->arena, mailsrv__span(answer->text), &x->text))
        x->text = (struct span){ NULL, 0 };
    *turn = mailsrv__sasl_refuse(x, status);
    return true;
}

/* ---- Responses ---- */

static enum step over(struct sasl *x, enum sasl_end end)
{
    x->end = end;
    return ended(x);
}

static enum step respond(struct sasl *x, struct span base64)
{
    size_t n;
    uint8_t *octets = mailsrv__arena_take(&x->arena, BASE64_OCTETS(base64.n));
    if (octets == NULL)
        return no_memory(x);
    if (!mailsrv__base64_read(base64, octets, &n))
        return over(x, SASL_NOT_BASE64);
    return go_on(x, x->mechanism->respond(x, (struct span){ (const char *)octets, n }));
}

/* RFC 4422 section 5.1: a mechanism in which the client goes first begins with an empty challenge where he did not. */
static enum step begin(struct sasl *x)
{
    if (x->mechanism->begin != NULL)
        return go_on(x, x->mechanism->begin(x));
    x->challenge = (struct span){ NULL, 0 };
    return say_challenge(x);
}

/* "=" is a response of no octets, and only here (RFC 4954 section 4, RFC 5034 section 4, RFC 4959 section 3). */
enum step mailsrv__sasl_start(struct sasl *x, const struct span *initial)
{
    if (initial == NULL)
        return begin(x);
    if (mailsrv__span_equal(*initial, SPAN("=")))
        return respond(x, (struct span){ NULL, 0 });
    return initial->n == 0 ? over(x, SASL_NOT_BASE64) : respond(x, *initial);
}

enum step mailsrv__sasl_line(struct sasl *x, struct span line)
{
    return mailsrv__span_equal(line, SPAN("*")) ? over(x, SASL_CANCELLED) : respond(x, line);
}

enum step mailsrv__sasl_no_line(struct sasl *x, enum sasl_end end, int32_t status)
{
    x->status = status;
    return over(x, end);
}

enum step mailsrv__sasl_framed(struct sasl *x, enum framed framed, struct span line)
{
    switch (framed) {
    case FRAMED_LINE:
        return mailsrv__sasl_line(x, line);
    case FRAMED_TOO_LONG:
        return mailsrv__sasl_no_line(x, SASL_TOO_LONG, MAILSRV_DENIED);
    case FRAMED_NO_MEMORY:
        return mailsrv__sasl_no_line(x, SASL_REFUSED, MAILSRV_NOMEM);
    default:
        return mailsrv__sasl_no_line(x, SASL_NOT_BASE64, MAILSRV_DENIED);
    }
}

enum step mailsrv__sasl_start_password(struct sasl *x, struct span user, struct span password)
{
    enum sasl_turn turn = SASL_OVER;
    x->by_command = true;
    if (mailsrv__sasl_keep(x, user, &x->user))
        turn = mailsrv__sasl_verify(x, password);
    return go_on(x, turn);
}
