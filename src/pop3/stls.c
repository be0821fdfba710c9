/* STLS (RFC 2595 section 4).  There is nothing to forget behind it: a name does not outlive the command that follows
 * USER. */
#include "pop3/pop3.h"

enum step mailsrv__pop3_stls(struct pop3 *p, const struct args *a)
{
    (void)a;
    if (mailsrv__secure(&p->session))
        return mailsrv__pop3_bad(p, SPAN("-ERR TLS is active already\r\n"));
    if (p->utf8)
        return mailsrv__pop3_bad(p, SPAN("-ERR not behind UTF8\r\n")); /* RFC 6856 section 2.1 */
    if (!mailsrv__can_start_tls(&p->session))
        return mailsrv__pop3_bad(p, SPAN("-ERR unknown command\r\n"));
    if (mailsrv__start_tls(&p->session, SPAN("+OK begin TLS\r\n")))
        return STEP_NEXT;
    return mailsrv__pop3_refuse(p, MAILSRV_NOMEM, (struct span){ 0 });
}
