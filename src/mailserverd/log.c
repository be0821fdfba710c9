#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define LINE_MAX_OCTETS 512

void log_line(const char *format, ...)
{
    char line[LINE_MAX_OCTETS];
    struct timespec now = { 0, 0 };
    struct tm utc;
    va_list more;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ ", (int)(now.tv_nsec / 1000000));
    va_start(more, format);
    vsnprintf(line + n, sizeof line - n, format, more);
    va_end(more);
    fprintf(stderr, "%s\n", line); /* in one piece: lines of threads do not mix */
}

static const char *what_of(int32_t what)
{
    switch (what) {
    case MAILSRV_EVENT_SESSION_ENDED:
        return "ended";
    case MAILSRV_EVENT_MESSAGE_ACCEPTED:
        return "accepted a message";
    case MAILSRV_EVENT_MESSAGE_REFUSED:
        return "refused a message";
    case MAILSRV_EVENT_RECIPIENT_REFUSED:
        return "refused a recipient";
    case MAILSRV_EVENT_LOGIN:
        return "login";
    case MAILSRV_EVENT_LOGIN_FAILED:
        return "refused a login";
    case MAILSRV_EVENT_OP_TIMED_OUT:
        return "waited too long for the store";
    case MAILSRV_EVENT_OUT_OF_MEMORY:
        return "out of memory for";
    case MAILSRV_EVENT_STORE_FAILED:
        return "the store answered what it must not";
    default:
        return NULL;
    }
}

void log_event(void *user, const mailsrv_event *event)
{
    const char *what = what_of(event->what);
    (void)user;
    if (event->what == MAILSRV_EVENT_SESSION_BEGAN)
        return;
    if (what == NULL)
        log_line("session %" PRIu64 ": event %" PRId32 ": %.*s", event->session_id, event->what, (int)event->text.n,
                 (const char *)event->text.p);
    else if (event->session_id == 0)
        log_line("%s: %.*s", what, (int)event->text.n, (const char *)event->text.p);
    else
        log_line("session %" PRIu64 " %s: %.*s", event->session_id, what, (int)event->text.n,
                 (const char *)event->text.p);
}
