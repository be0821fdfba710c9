#include "pop3/pop3.h"

static bool takes_passwords(const struct pop3 *p)
{
    return mailsrv__pop3_takes_passwords(p);
}

static bool has_top(const struct pop3 *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_TOP) && mailsrv__served(&p->session, MAILSRV_OP_READ);
}

static bool has_uidl(const struct pop3 *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_UIDL) && mailsrv__served(&p->session, MAILSRV_OP_ROWS);
}

static bool pipelines(const struct pop3 *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_POP3_PIPELINING);
}

static bool has_stls(const struct pop3 *p)
{
    return mailsrv__can_start_tls(&p->session);
}

static bool has_codes(const struct pop3 *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_RESP_CODES);
}

static bool has_utf8(const struct pop3 *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_POP3_UTF8);
}

/* Strangers need not know it (RFC 2449 section 6.9). */
static bool is_logged_in(const struct pop3 *p)
{
    return p->state == IN_TRANS;
}

static bool always(const struct pop3 *p)
{
    (void)p;
    return true;
}

/* RFC 2449 section 5: what is announced before login is announced after it, so that a client asks once; but for
 * STLS, which is of no use then.  EXPIRE: nothing here is deleted but by DELE and QUIT (section 6.7).  LOGIN-DELAY is
 * missing because nobody who comes again soon is refused (section 6.5). */
static const struct capability {
    struct span line;
    bool (*is_there)(const struct pop3 *p);
} capabilities[] = {
    { { "TOP\r\n", 5 }, has_top },
    { { "UIDL\r\n", 6 }, has_uidl },
    { { "STLS\r\n", 6 }, has_stls },
    { { "USER\r\n", 6 }, takes_passwords },
    { { "RESP-CODES\r\n", 12 }, has_codes },
    { { "AUTH-RESP-CODE\r\n", 16 }, has_codes }, /* RFC 3206 section 6 */
    { { "PIPELINING\r\n", 12 }, pipelines },
    { { "EXPIRE NEVER\r\n", 14 }, always },
    { { "UTF8 USER\r\n", 11 }, has_utf8 }, /* RFC 6856 section 2 */
    { { "IMPLEMENTATION libmailserver\r\n", 30 }, is_logged_in },
};

/* RFC 5034 section 3: announced after login as well. */
static enum step say_sasl(struct pop3 *p)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("SASL"));
    mailsrv__sasl_write_names(&p->session, SPAN(" "), &line);
    return mailsrv__pop3_say(p, &line);
}

static bool has_sasl(const struct pop3 *p)
{
    return mailsrv__pop3_takes_logins(p) && mailsrv__sasl_offers_any(&p->session);
}

enum step mailsrv__pop3_capa(struct pop3 *p, const struct args *a)
{
    (void)a;
    enum step step = mailsrv__pop3_reply(p, SPAN("+OK capability list follows\r\n"));
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities && step == STEP_NEXT; i++)
        if (capabilities[i].is_there(p))
            step = mailsrv__pop3_reply(p, capabilities[i].line);
    if (step == STEP_NEXT && has_sasl(p))
        step = say_sasl(p);
    return step == STEP_NEXT ? mailsrv__pop3_reply(p, SPAN(".\r\n")) : step;
}
