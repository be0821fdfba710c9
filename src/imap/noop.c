/* NOOP, CHECK and LOGOUT. */
#include "imap/imap.h"

enum step mailsrv__imap_noop(struct imap *p)
{
    return mailsrv__imap_ok(p, SPAN("nothing done"));
}

static enum step logged_out(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    mailsrv__write(&line, SPAN("* BYE logging out\r\n"));
    mailsrv__write(&line, p->command.tag);
    mailsrv__write(&line, SPAN(" OK good bye"));
    mailsrv__imap_say(p, &line);
    return STEP_CLOSE;
}

/* The mailbox is given back first: the next session's RECENT depends on it. */
enum step mailsrv__imap_logout(struct imap *p)
{
    return mailsrv__imap_unselect(p, logged_out);
}
