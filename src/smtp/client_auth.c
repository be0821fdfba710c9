/* The login (RFC 4954): who we are says CREDENTIAL; without one nothing is sent. */
#include "smtp/client_machine.h"

enum { COMMAND_OCTETS_MAX = 512 }; /* RFC 5321 section 4.5.3.1.4; behind that the initial response must be asked for */

static enum step auth_replied(struct smtp_client *c, const struct smtp_reply *reply);

/* A line of the login, wiped when it was sent. */
static enum step say_line(struct smtp_client *c, struct span line)
{
    c->session.says_secrets = true;
    mailsrv__say(&c->session, line);
    c->session.says_secrets = false;
    return mailsrv__client_say(c, SPAN("\r\n"), auth_replied);
}

static enum step end_login(struct smtp_client *c)
{
    mailsrv__sasl_client_free(c->login);
    c->login = NULL;
    return mailsrv__client_ready(c);
}

/* ---- Challenges ---- */

/* The server takes back what we give up, and says so. */
static enum step given_up(struct smtp_client *c, const struct smtp_reply *reply)
{
    const char *why = mailsrv__sasl_client_why(c->login);
    const struct smtp_reply ours = { 0, { why, strlen(why) } };
    (void)reply;
    return mailsrv__client_fail(c, &ours);
}

static enum step work_on(mailsrv_session *session);

static enum step take_turn(struct smtp_client *c, enum sasl_client_turn turn)
{
    switch (turn) {
    case SASL_CLIENT_SAYS:
        return say_line(c, mailsrv__sasl_client_response(c->login));
    case SASL_CLIENT_WORKS:
        return mailsrv__then_turn(&c->session, work_on);
    default:
        return mailsrv__client_say(c, SPAN("*\r\n"), given_up);
    }
}

static enum step work_on(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    return take_turn(c, mailsrv__sasl_client_go_on(c->login));
}

static enum step challenged(struct smtp_client *c, struct span challenge)
{
    if (!c->initial_waits)
        return take_turn(c, mailsrv__sasl_client_answer(c->login, challenge));
    c->initial_waits = false;
    return say_line(c, mailsrv__sasl_client_initial(c->login));
}

static enum step auth_replied(struct smtp_client *c, const struct smtp_reply *reply)
{
    enum { GO_ON = 334 };
    if (reply->code == GO_ON)
        return challenged(c, reply->text);
    if (!mailsrv__reply_is(reply, 2))
        return mailsrv__client_fail_for_now(c, reply);
    if (c->initial_waits || !mailsrv__sasl_client_is_done(c->login))
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.0 the server cannot prove that it knows us"));
    return end_login(c);
}

/* ---- The beginning ---- */

/* auth-command = "AUTH" SP sasl-mech [SP initial-response]   RFC 4954 section 8 */
static enum step say_auth(struct smtp_client *c)
{
    struct span name = mailsrv__sasl_client_name(c->login), initial = mailsrv__sasl_client_initial(c->login);
    c->initial_waits = initial.n != 0 && sizeof "AUTH  \r\n" - 1 + name.n + initial.n > COMMAND_OCTETS_MAX;
    mailsrv__say(&c->session, SPAN("AUTH "));
    mailsrv__say(&c->session, name);
    if (initial.n == 0 || c->initial_waits)
        return mailsrv__client_say(c, SPAN("\r\n"), auth_replied);
    mailsrv__say(&c->session, SPAN(" "));
    return say_line(c, initial);
}

static enum step credential_answered(mailsrv_session *session)
{
    struct smtp_client *c = mailsrv__client_of(session);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status != MAILSRV_OK)
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.0 nobody says who we are there"));
    switch (mailsrv__sasl_client_new(session, c->mechanisms, answer->value, &c->login)) {
    case MAILSRV_OK:
        return say_auth(c);
    case MAILSRV_NOMEM:
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.3.0 there was no memory for the login"));
    case MAILSRV_CANNOT:
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.0 the server offers no login that can be used"));
    default:
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.0 the login cannot be made"));
    }
}

static void fill_in(struct smtp_client *c, struct ask *ask, uint32_t mechanisms)
{
    mailsrv_arg_credential *arg = ask->arg;
    mailsrv_tls_info info = { .size = sizeof info };
    arg->mechanisms = mechanisms;
    arg->route = mailsrv__ask_copy(ask, c->terms.route);
    arg->host = mailsrv__ask_copy(ask, c->terms.host);
    arg->secured = mailsrv__tls_info(&c->session, &info);
    arg->verified = arg->secured != 0 && info.verified != 0;
}

enum step mailsrv__client_log_in(struct smtp_client *c)
{
    uint32_t mechanisms = mailsrv__sasl_client_can(&c->session, c->mechanisms);
    size_t octets = mailsrv__ask_octets(c->terms.route.n) + mailsrv__ask_octets(c->terms.host.n);
    if (mechanisms == 0)
        return mailsrv__client_fail(c, OUR_REPLY(0, "4.7.0 the server offers no login that can be used"));
    struct ask ask = mailsrv__ask(&c->session, MAILSRV_OP_CREDENTIAL, octets);
    if (ask.op != NULL)
        fill_in(c, &ask, mechanisms);
    return mailsrv__then_answers(&c->session, credential_answered);
}
