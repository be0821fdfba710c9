#include "pop3/pop3.h"

/* RFC 2449 section 8: without RESP-CODES a bracket is nothing but text, and no code is said. */
static struct span without_code(struct span line)
{
    const char *end = memchr(line.p, ']', line.n);
    size_t n = end == NULL ? 0 : (size_t)(end - line.p) + 2;
    return n < line.n ? mailsrv__span_after(line, n) : line;
}

/* -ERR [SYS/TEMP], and [IN-USE]: another try may go better (RFC 3206 section 4, RFC 2449 section 8.1.2). */
static bool passes(struct span line)
{
    struct span code = mailsrv__span_after(line, 6);
    return mailsrv__span_equal(mailsrv__span_first(code, 9), SPAN("SYS/TEMP]")) ||
           mailsrv__span_equal(mailsrv__span_first(code, 7), SPAN("IN-USE]"));
}

static bool say_plainly(struct pop3 *p, struct span line)
{
    char room[LINE_ROOM];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, SPAN("-ERR "));
    mailsrv__write(&w, without_code(line));
    return mailsrv__say(&p->session, mailsrv__written(&w));
}

enum step mailsrv__pop3_reply(struct pop3 *p, struct span line)
{
    bool coded = line.n > 6 && memcmp(line.p, "-ERR [", 6) == 0;
    if (line.p[0] == '-')
        mailsrv__replies(&p->session, coded && passes(line) ? '4' : '5');
    if (coded && !mailsrv__enabled(&p->session, MAILSRV_EXT_RESP_CODES))
        return say_plainly(p, line) ? STEP_NEXT : STEP_CLOSE;
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
