/* Giving the maildrop back: what was opened last is closed first, and the next one when that is answered. */
#include "pop3/pop3.h"

enum { HANDLES = 4 };

static void list_handles(struct pop3 *p, struct handle *handles[HANDLES])
{
    handles[0] = &p->reading.handle;
    handles[1] = &p->mbox;
    handles[2] = &p->lock;
    handles[3] = &p->store;
}

static void close_on_its_own(struct pop3 *p)
{
    struct handle *handles[HANDLES];
    list_handles(p, handles);
    mailsrv__handles_leave(&p->session, handles, HANDLES);
}

static enum step close_next(struct pop3 *p);

static enum step closed(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    /* For want of patience it is out still: what is left is closed behind it, and nobody waits for that. */
    if (!mailsrv__answer_came(session, 0))
        close_on_its_own(p);
    return close_next(p);
}

static enum step close_next(struct pop3 *p)
{
    struct handle *handles[HANDLES];
    list_handles(p, handles);
    for (size_t i = 0; i < HANDLES; i++) {
        if (handles[i]->closer == NULL)
            continue;
        mailsrv__handle_ask_close(&p->session, handles[i]);
        return mailsrv__then_answers(&p->session, closed);
    }
    return p->given_back(&p->session);
}

enum step mailsrv__pop3_give_back(struct pop3 *p, step_fn *then)
{
    mailsrv__drop_fini(&p->session, &p->drop);
    p->given_back = then;
    return close_next(p);
}

void mailsrv__pop3_abandon(struct pop3 *p)
{
    struct lent **lents[] = { &p->reading.lent, &p->refusal.lent };
    for (size_t i = 0; i < sizeof lents / sizeof *lents; i++) {
        if (*lents[i] != NULL)
            mailsrv__lent_drop(*lents[i]);
        *lents[i] = NULL;
    }
    mailsrv__drop_fini(&p->session, &p->drop);
    close_on_its_own(p);
}
