/* STARTTLS (RFC 9051 section 6.2.1). */
#include "imap/imap.h"

enum step mailsrv__imap_starttls(struct imap *p)
{
    if (mailsrv__secure(&p->session))
        return mailsrv__imap_bad(p, SPAN("TLS is active already"));
    if (!mailsrv__can_start_tls(&p->session))
        return mailsrv__imap_bad(p, SPAN("TLS is not offered here"));
    char room[LINE_ROOM];
    struct writer line = { .p = room, .room = sizeof room };
    mailsrv__write(&line, p->command.tag);
    mailsrv__write(&line, SPAN(" OK begin TLS\r\n"));
    return mailsrv__start_tls(&p->session, mailsrv__written(&line)) ? mailsrv__imap_end(p) : mailsrv__imap_no_memory(p);
}
