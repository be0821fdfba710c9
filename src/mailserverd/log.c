#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define LINE_OCTETS 1024
#define TEXT_OCTETS 512

static enum log_format as;
static _Thread_local struct log_gathered *gathered;

void log_as(enum log_format format)
{
    as = format;
}

/* ---- One line, in one piece: those of threads do not mix ---- */

struct line {
    char text[LINE_OCTETS];
    size_t n;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...)
{
    va_list more;
    va_start(more, format);
    const int n = vsnprintf(line->text + line->n, sizeof line->text - line->n, format, more);
    va_end(more);
    if (n > 0)
        line->n += (size_t)n < sizeof line->text - line->n ? (size_t)n : sizeof line->text - line->n - 1;
}

/* A second has many lines. */
static void add_time(struct line *line)
{
    static _Thread_local struct {
        time_t second;
        char text[32];
    } date;
    struct timespec now = { 0, 0 };
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != date.second || date.text[0] == '\0') {
        gmtime_r(&now.tv_sec, &utc);
        strftime(date.text, sizeof date.text, "%Y-%m-%dT%H:%M:%S", &utc);
        date.second = now.tv_sec;
    }
    add(line, "%s.%03dZ", date.text, (int)(now.tv_nsec / 1000000));
}

/* A JSON string (RFC 8259 section 7); what is not ASCII comes out as it came in, as escapes. */
static void add_string(struct line *line, const char *p, size_t n)
{
    add(line, "\"");
    for (size_t i = 0; i < n && line->n + 8 < sizeof line->text; i++) {
        const unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\')
            add(line, "\\%c", c);
        else if (c < 0x20 || c > 0x7E)
            add(line, "\\u%04x", c);
        else
            add(line, "%c", c);
    }
    add(line, "\"");
}

void log_write(void)
{
    if (gathered == NULL || gathered->n == 0)
        return;
    fwrite(gathered->text, 1, gathered->n, stderr);
    gathered->n = 0;
}

void log_gather(struct log_gathered *room)
{
    log_write();
    gathered = room;
}

static void finish(struct line *line)
{
    if (as == LOG_JSON)
        add(line, "}");
    if (gathered == NULL) {
        fprintf(stderr, "%s\n", line->text);
        return;
    }
    if (gathered->n + line->n + 1 > sizeof gathered->text)
        log_write();
    memcpy(gathered->text + gathered->n, line->text, line->n);
    gathered->n += line->n;
    gathered->text[gathered->n++] = '\n';
}

static void begin(struct line *line)
{
    line->n = 0;
    if (as == LOG_JSON)
        add(line, "{\"time\":\"");
    add_time(line);
    add(line, as == LOG_JSON ? "\"" : " ");
}

void log_line(const char *format, ...)
{
    struct line line;
    char text[TEXT_OCTETS];
    va_list more;
    va_start(more, format);
    vsnprintf(text, sizeof text, format, more);
    va_end(more);
    begin(&line);
    if (as == LOG_JSON) {
        add(&line, ",\"message\":");
        add_string(&line, text, strlen(text));
    } else {
        add(&line, "%s", text);
    }
    finish(&line);
}

void log_session(uint64_t session, const char *what, const char *text, size_t n)
{
    struct line line;
    const int octets = (int)(n < TEXT_OCTETS ? n : TEXT_OCTETS);
    begin(&line);
    if (as == LOG_JSON) {
        if (session != 0)
            add(&line, ",\"session\":%" PRIu64, session);
        add(&line, ",\"message\":");
        add_string(&line, what, strlen(what));
        add(&line, ",\"text\":");
        add_string(&line, text, (size_t)octets);
    } else if (session != 0) {
        add(&line, "session %" PRIu64 " %s: %.*s", session, what, octets, text);
    } else {
        add(&line, "%s: %.*s", what, octets, text);
    }
    finish(&line);
}

void log_peer(uint64_t session, const char *name, const char *way, const mailsrv_peer *peer)
{
    struct address at = { .text = "" };
    char text[2 * ADDRESS_OCTETS], shown[ADDRESS_OCTETS + 16] = "a local socket";
    if (peer->address_octets != 0) {
        uv_inet_ntop(peer->address_octets == 16 ? AF_INET6 : AF_INET, peer->address, at.text, sizeof at.text);
        address_show(&at, peer->port, shown, sizeof shown);
    }
    const int n = snprintf(text, sizeof text, "%s %s %s", name, way, shown);
    log_session(session, "began", text, (size_t)n);
}

/* ---- Events ---- */

static const char *const events[] = {
    [MAILSRV_EVENT_SESSION_ENDED] = "ended",
    [MAILSRV_EVENT_MESSAGE_ACCEPTED] = "accepted a message",
    [MAILSRV_EVENT_MESSAGE_REFUSED] = "refused a message",
    [MAILSRV_EVENT_RECIPIENT_REFUSED] = "refused a recipient",
    [MAILSRV_EVENT_LOGIN] = "login",
    [MAILSRV_EVENT_LOGIN_FAILED] = "refused a login",
    [MAILSRV_EVENT_OP_TIMED_OUT] = "waited too long for the store",
    [MAILSRV_EVENT_OUT_OF_MEMORY] = "out of memory for",
    [MAILSRV_EVENT_STORE_FAILED] = "the store answered what it must not",
    [MAILSRV_EVENT_TLS_STARTED] = "is under TLS",
    [MAILSRV_EVENT_TLS_FAILED] = "failed at TLS",
    [MAILSRV_EVENT_TLS_CUT] = "was cut off under TLS",
    [MAILSRV_EVENT_QUEUED] = "queued",
    [MAILSRV_EVENT_SENT] = "sent",
    [MAILSRV_EVENT_DEFERRED] = "deferred",
    [MAILSRV_EVENT_FAILED] = "failed",
    [MAILSRV_EVENT_NOTICE] = "sent a notice of",
};

void log_event(const mailsrv_event *event)
{
    char number[32];
    const size_t known = sizeof events / sizeof *events;
    const char *what = event->what >= 0 && (size_t)event->what < known ? events[event->what] : NULL;
    if (event->what == MAILSRV_EVENT_SESSION_BEGAN)
        return;
    if (what == NULL) {
        snprintf(number, sizeof number, "event %" PRId32, event->what);
        what = number;
    }
    log_session(event->session_id, what, (const char *)event->text.p, event->text.n);
}
