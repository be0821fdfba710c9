/* From a login (sasl/sasl.h) to a maildrop: STORE_OPEN, LOCK, MBOX_OPEN, ROWS.  What fails on the way gives back what
 * was opened before it, and the peer may try again (RFC 1939 section 4). */
#include "pop3/pop3.h"
#include "text/utf8.h"

enum { LOAD_ROWS = 200 }; /* of a page: one slice of work */

bool mailsrv__pop3_takes_logins(const struct pop3 *p)
{
    static const int32_t needed[] = { MAILSRV_OP_STORE_OPEN, MAILSRV_OP_MBOX_OPEN, MAILSRV_OP_ROWS };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!mailsrv__served(&p->session, needed[i]))
            return false;
    return true;
}

bool mailsrv__pop3_takes_passwords(const struct pop3 *p)
{
    return mailsrv__pop3_takes_logins(p) && mailsrv__auth_takes_passwords(&p->session);
}

void mailsrv__pop3_forget_user(struct pop3 *p)
{
    mailsrv__session_give(&p->session, p->user, p->user_n);
    p->user = NULL;
    p->user_n = 0;
}

/* RFC 6856 section 2.2: a name or password that is no UTF-8 is refused, also before the command UTF8.  Without that
 * extension they are octets. */
static bool may_be_said(const struct pop3 *p, struct span text)
{
    if (!mailsrv__enabled(&p->session, MAILSRV_EXT_POP3_UTF8))
        return true;
    while (text.n != 0)
        if (mailsrv__utf8_take(&text) == UTF8_BAD)
            return false;
    return true;
}

/* ---- UTF8 ---- */

enum step mailsrv__pop3_utf8(struct pop3 *p, const struct args *a)
{
    (void)a;
    p->utf8 = true;
    return mailsrv__pop3_reply(p, SPAN("+OK UTF-8 it is\r\n"));
}

/* ---- USER ---- */

static enum step no_passwords(struct pop3 *p)
{
    return mailsrv__pop3_bad(p, SPAN("-ERR passwords are not taken here\r\n"));
}

/* Says +OK to every name: else it tells which ones exist (RFC 1939 section 13). */
enum step mailsrv__pop3_user(struct pop3 *p, const struct args *a)
{
    if (!mailsrv__pop3_takes_passwords(p))
        return no_passwords(p);
    if (!may_be_said(p, a->v[0]))
        return mailsrv__pop3_bad(p, SPAN("-ERR no UTF-8\r\n"));
    char *user = mailsrv__session_take(&p->session, a->v[0].n);
    if (user == NULL)
        return mailsrv__pop3_refuse(p, MAILSRV_NOMEM, (struct span){ 0 });
    memcpy(user, a->v[0].p, a->v[0].n);
    p->user = user;
    p->user_n = a->v[0].n;
    return mailsrv__pop3_reply(p, SPAN("+OK\r\n"));
}

/* ---- Giving up ---- */

/* RFC 2449 section 8.1.2: [IN-USE].  GONE is said of messages only. */
static enum step say_status(struct pop3 *p, int32_t status, struct span text)
{
    if (status == MAILSRV_INUSE)
        return mailsrv__pop3_reply(p, SPAN("-ERR [IN-USE] the maildrop is in use\r\n"));
    return mailsrv__pop3_refuse(p, status == MAILSRV_GONE ? MAILSRV_CANNOT : status, text);
}

static enum step say_refusal(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    struct refusal refusal = p->refusal;
    p->refusal = (struct refusal){ 0 };
    enum step step = say_status(p, refusal.status, refusal.text);
    if (refusal.lent != NULL)
        mailsrv__lent_drop(refusal.lent);
    return step;
}

static enum step give_up(struct pop3 *p, int32_t status)
{
    p->refusal.status = status;
    mailsrv__sasl_free(&p->session);
    p->session.account = (mailsrv_id){ 0 };
    return mailsrv__pop3_give_back(p, say_refusal);
}

static enum step give_up_answered(struct pop3 *p)
{
    struct span text = mailsrv__pop3_answer_text(p);
    if (text.n != 0)
        p->refusal = (struct refusal){ .text = text, .lent = mailsrv__take_lent(&p->session, 0) };
    return give_up(p, mailsrv__pop3_status(p));
}

static enum step no_memory(struct pop3 *p)
{
    return give_up(p, MAILSRV_NOMEM);
}

/* ---- Opening the maildrop ---- */

static enum step open(struct pop3 *p)
{
    mailsrv__session_event(&p->session, MAILSRV_EVENT_LOGIN, p->session.sasl->user);
    mailsrv__sasl_free(&p->session);
    p->state = IN_TRANS;
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("+OK "));
    mailsrv__write_u64(&line, p->drop.n);
    mailsrv__write(&line, SPAN(" messages"));
    return mailsrv__pop3_say(p, &line);
}

static enum step rows_loaded(mailsrv_session *session);

static enum step load_page(struct pop3 *p)
{
    if (!mailsrv__pop3_ask_rows(p, mailsrv__ask, (mailsrv_run){ 1, UINT32_MAX }, MAILSRV_ROW_OCTETS, LOAD_ROWS))
        return no_memory(p);
    return mailsrv__then_answers(&p->session, rows_loaded);
}

static int32_t keep_rows(struct pop3 *p, const mailsrv_rows *rows)
{
    int32_t status = MAILSRV_OK;
    for (uint32_t i = 0; i < rows->n && status == MAILSRV_OK; i++) {
        const mailsrv_row *row = mailsrv__pop3_row(rows, i);
        status = mailsrv__drop_add(&p->session, &p->drop, row->uid, row->octets);
        mailsrv__spend(&p->session, 1);
    }
    return status;
}

static enum step rows_loaded(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (mailsrv__pop3_status(p) != MAILSRV_OK)
        return give_up_answered(p);
    const mailsrv_rows *rows = mailsrv__answer(session, 0)->value;
    int32_t status = keep_rows(p, rows);
    if (status != MAILSRV_OK)
        return give_up(p, status);
    if (rows->more == 0)
        return open(p);
    if (!mailsrv__pop3_goes_on(p, rows))
        return give_up(p, MAILSRV_CORRUPT);
    p->cursor = rows->next;
    return load_page(p);
}

static enum step mbox_opened(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (mailsrv__pop3_status(p) != MAILSRV_OK)
        return give_up_answered(p);
    const mailsrv_mbox_opened *opened = mailsrv__answer(session, 0)->value;
    mailsrv__handle_take(session, 0, opened->mbox, &p->mbox);
    p->drop.expected = opened->exists;
    p->cursor = (mailsrv_cursor){ 0 };
    return load_page(p);
}

static enum step open_mbox(struct pop3 *p)
{
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_OPEN, sizeof "INBOX");
    if (ask.op == NULL)
        return no_memory(p);
    mailsrv_arg_mbox_open *arg = ask.arg;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, SPAN("INBOX"));
    arg->for_writing = mailsrv__served(&p->session, MAILSRV_OP_EXPUNGE);
    return mailsrv__then_answers(&p->session, mbox_opened);
}

static enum step locked(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (mailsrv__pop3_status(p) != MAILSRV_OK)
        return give_up_answered(p);
    const mailsrv_locked *answer = mailsrv__answer(session, 0)->value;
    mailsrv__handle_take(session, 0, answer->lock, &p->lock);
    return open_mbox(p);
}

static enum step store_opened(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (mailsrv__pop3_status(p) != MAILSRV_OK)
        return give_up_answered(p);
    const mailsrv_store_opened *opened = mailsrv__answer(session, 0)->value;
    mailsrv__handle_take(session, 0, opened->store, &p->store);
    if (!mailsrv__served(session, MAILSRV_OP_LOCK))
        return open_mbox(p);
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_LOCK, 0);
    if (ask.op == NULL)
        return no_memory(p);
    ((mailsrv_arg_lock *)ask.arg)->store = p->store.value;
    return mailsrv__then_answers(session, locked);
}

static enum step let_in(struct pop3 *p, const struct sasl *sasl)
{
    p->session.account = sasl->account;
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_STORE_OPEN, 0);
    if (ask.op == NULL)
        return no_memory(p);
    return mailsrv__then_answers(&p->session, store_opened);
}

/* ---- Logins ---- */

/* The text of the answer stays out: it may differ between a wrong password and a user that does not exist. */
static enum step denied(struct pop3 *p)
{
    mailsrv__sasl_free(&p->session);
    if (!mailsrv__auth_too_many(&p->session))
        return mailsrv__pop3_reply(p, SPAN("-ERR [AUTH] wrong user or password\r\n")); /* RFC 3206 section 5 */
    mailsrv__pop3_reply(p, SPAN("-ERR [AUTH] too many failed logins\r\n"));
    return STEP_CLOSE;
}

static enum step refused(struct pop3 *p, const struct sasl *sasl)
{
    if (sasl->status == MAILSRV_DENIED)
        return denied(p);
    enum step step = say_status(p, sasl->status, sasl->text);
    mailsrv__sasl_free(&p->session);
    return step;
}

static enum step ended(mailsrv_session *session, struct sasl *sasl)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (sasl->end == SASL_LET_IN)
        return let_in(p, sasl);
    if (sasl->end == SASL_REFUSED)
        return refused(p, sasl);
    enum sasl_end end = sasl->end;
    mailsrv__sasl_free(session);
    if (end == SASL_CANCELLED)
        return mailsrv__pop3_bad(p, SPAN("-ERR the login is cancelled\r\n"));
    return mailsrv__pop3_bad(p, end == SASL_TOO_LONG ? SPAN("-ERR line too long\r\n") : SPAN("-ERR no base64\r\n"));
}

static const struct sasl_face face = { .service = { "pop", 3 }, .prompt = { "+ ", 2 }, .ended = ended };

static enum step begin_no_memory(struct pop3 *p)
{
    return mailsrv__pop3_refuse(p, MAILSRV_NOMEM, (struct span){ 0 });
}

enum step mailsrv__pop3_pass(struct pop3 *p, const struct args *a)
{
    if (!mailsrv__pop3_takes_passwords(p))
        return no_passwords(p);
    if (p->user == NULL)
        return mailsrv__pop3_bad(p, SPAN("-ERR USER comes first\r\n"));
    if (!may_be_said(p, a->v[0])) {
        mailsrv__pop3_forget_user(p);
        return mailsrv__pop3_bad(p, SPAN("-ERR no UTF-8\r\n"));
    }
    struct sasl *sasl = mailsrv__sasl_new(&p->session, &face, &mailsrv__sasl_user_pass);
    enum step step = sasl == NULL ? begin_no_memory(p)
                                  : mailsrv__sasl_start_password(sasl, (struct span){ p->user, p->user_n }, a->v[0]);
    mailsrv__pop3_forget_user(p);
    return step;
}

/* "AUTH" SP mechanism [SP initial-response] */
enum step mailsrv__pop3_auth(struct pop3 *p, const struct args *a)
{
    const struct mechanism *m = mailsrv__sasl_find(&p->session, a->v[0]);
    if (m == NULL && mailsrv__sasl_wants_tls(&p->session, a->v[0]))
        return no_passwords(p);
    if (m == NULL || !mailsrv__pop3_takes_logins(p))
        return mailsrv__pop3_bad(p, SPAN("-ERR no such mechanism\r\n"));
    struct sasl *sasl = mailsrv__sasl_new(&p->session, &face, m);
    return sasl == NULL ? begin_no_memory(p) : mailsrv__sasl_start(sasl, a->n == 2 ? &a->v[1] : NULL);
}

enum step mailsrv__pop3_response(struct pop3 *p, enum framed framed, struct span line)
{
    return mailsrv__sasl_framed(p->session.sasl, framed, line);
}
