#include "pop3/pop3.h"

enum step mailsrv__pop3_reply(struct pop3 *p, struct span line)
{
    return mailsrv__say(&p->session, line) ? STEP_NEXT : STEP_CLOSE;
}

enum step mailsrv__pop3_say(struct pop3 *p, struct writer *line)
{
    line->room += 2;
    mailsrv__write(line, SPAN("\r\n"));
    return mailsrv__pop3_reply(p, mailsrv__written(line));
}

enum step mailsrv__pop3_bad(struct pop3 *p, struct span line)
{
    if (!mailsrv__erred(&p->session))
        return mailsrv__pop3_reply(p, line);
    mailsrv__pop3_reply(p, SPAN("-ERR too many errors\r\n"));
    return STEP_CLOSE;
}

struct span mailsrv__pop3_code(int32_t status)
{
    if (status == MAILSRV_CORRUPT || status <= MAILSRV_DENIED)
        return SPAN("[SYS/PERM]");
    return SPAN("[SYS/TEMP]");
}

enum step mailsrv__pop3_refuse(struct pop3 *p, int32_t status, struct span text)
{
    if (status == MAILSRV_GONE)
        return mailsrv__pop3_reply(p, SPAN("-ERR no such message\r\n"));
    bool stays = status == MAILSRV_CORRUPT || status <= MAILSRV_DENIED;
    struct span usual = stays ? SPAN("cannot be done") : SPAN("try again later");
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("-ERR "));
    mailsrv__write(&line, mailsrv__pop3_code(status));
    mailsrv__write(&line, SPAN(" "));
    mailsrv__write(&line, text.n != 0 ? text : usual);
    return mailsrv__pop3_say(p, &line);
}
