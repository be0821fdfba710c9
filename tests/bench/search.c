/* SEARCH of text, in memory: what a message costs whose header is looked at, and what a megabyte of text costs. */
#include "host.h"

enum { MESSAGES = 2000, LARGE = 8, LARGE_OCTETS = 1 << 20, MIB = 1 << 20, LINE_OCTETS = 76 };

static unsigned checks;

struct world {
    mailsrv_id pat;
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
};

static void world_init(struct world *w)
{
    w->store = store_with_pat(&w->pat);
    w->profile = profile_of(mailsrv_imap(), MAILSRV_FACE_IMAP);
    check(mailsrv_engine_new(NULL, &w->engine) == MAILSRV_OK, "no engine");
    mailsrv_store_bind(w->store, w->engine);
    mailsrv_engine_advance(w->engine, 1, 1);
}

static void world_fini(struct world *w)
{
    mailsrv_session_free(w->session);
    mailsrv_engine_turn(w->engine, PLENTY);
    check(mailsrv_engine_free(w->engine, 0) == MAILSRV_OK, "the engine is busy");
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
}

static void command(struct world *w, const char *text)
{
    check(say(w->engine, w->session, text, strlen(text)) != 0, "nothing is said");
}

static void log_in(struct world *w)
{
    w->session = begin(w->engine, w->profile);
    drain(w->engine, w->session);
    command(w, "a LOGIN pat secret\r\n");
}

/* Through the session, so that it gets its structure. */
static void append(struct world *w, const char *message, size_t n)
{
    char line[64];
    snprintf(line, sizeof line, "p APPEND INBOX (\\Seen) {%zu}\r\n", n);
    command(w, line);
    say(w->engine, w->session, message, n);
    command(w, "\r\n");
}

/* Says the search, and checks that it finds so many. */
static void search(struct world *w, const char *keys, unsigned found)
{
    char line[512], response[64];
    size_t count, taken, n = 0;
    mailsrv_out v[16];
    size_t octets = (size_t)snprintf(line, sizeof line, "c SEARCH RETURN (COUNT) %s\r\n", keys);
    size_t awaited = (size_t)snprintf(response, sizeof response, "* ESEARCH (TAG \"c\") COUNT %u\r\n", found);
    mailsrv_session_feed(w->session, (const uint8_t *)line, octets, &taken);
    mailsrv_engine_turn(w->engine, INT32_MAX);
    mailsrv_session_output(w->session, v, 16, &count);
    for (size_t i = 0; i < count && n < sizeof line; i++) {
        size_t some = v[i].n < sizeof line - n ? v[i].n : sizeof line - n;
        memcpy(line + n, v[i].p, some);
        n += some;
    }
    check(n > awaited && memcmp(line, response, awaited) == 0, "it finds something else");
    drain(w->engine, w->session);
}

static void report(const char *what, double amount, const char *unit, double since)
{
    double took = seconds() - since;
    printf("# summary: SEARCH %s: %.0f ms, %.0f %s a second\n", what, took * 1000, amount / took, unit);
    printf("ok %u - SEARCH %s\n", ++checks, what);
}

/* Messages with a header as it comes, and a body that nobody asks for. */
static void bench_headers(void)
{
    static const char received[] = "Received: from client.remote.test (client.remote.test [192.0.2.7])\r\n"
                                   "\tby mx.here.test with ESMTPS id 0123456789abcdef; Fri, 2 Jan 2026 03:04:05 +0000\r\n";
    struct world w;
    char message[6000];
    world_init(&w);
    log_in(&w);
    for (unsigned i = 0; i < MESSAGES; i++) {
        size_t n = 0;
        for (unsigned hop = 0; hop < 6; hop++)
            n += (size_t)snprintf(message + n, sizeof message - n, "%s", received);
        n += (size_t)snprintf(message + n, sizeof message - n,
                              "From: Kim <kim@remote.test>\r\nTo: pat@here.test\r\n"
                              "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_number?= %u\r\nMessage-ID: <%u@remote.test>\r\n\r\n", i, i);
        memset(message + n, 'x', sizeof message - n - 2);
        memcpy(message + sizeof message - 2, "\r\n", 2);
        append(&w, message, sizeof message);
    }
    command(&w, "b SELECT INBOX\r\n");
    double since = seconds();
    search(&w, "SUBJECT \"number 199\"", 11);
    report("SUBJECT over 2,000 messages", MESSAGES, "messages", since);
    since = seconds();
    search(&w, "OR FROM nobody HEADER Message-ID \"<1999@\"", 1);
    report("FROM and HEADER over 2,000 messages", MESSAGES, "messages", since);
    since = seconds();
    search(&w, "HEADER Received \"nowhere\"", 0);
    report("HEADER Received over 2,000 messages", MESSAGES, "messages", since);
    world_fini(&w);
}

static size_t write_line(char *p, size_t i, int in_base64)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char words[] = "the quick brown fox jumps over the lazy dog and back, while others look on ";
    char text[LINE_OCTETS];
    for (size_t at = 0; at < LINE_OCTETS; at++)
        text[at] = words[(i * 5 + at) % (sizeof words - 1)];
    for (size_t at = 0; at < LINE_OCTETS && in_base64; at++) { /* four digits for three of its octets */
        const uint8_t *of = (const uint8_t *)text + at / 4 * 3;
        uint32_t bits = (uint32_t)of[0] << 16 | (uint32_t)of[1] << 8 | of[2];
        p[at] = digits[bits >> (18 - 6 * (at % 4)) & 63];
    }
    if (!in_base64)
        memcpy(p, text, LINE_OCTETS);
    memcpy(p + LINE_OCTETS, "\r\n", 2);
    return LINE_OCTETS + 2;
}

/* What is looked for stands nowhere, so that all of it is read. */
static void bench_text(const char *encoding, const char *keys, const char *what)
{
    struct world w;
    char *message = malloc(LARGE_OCTETS);
    check(message != NULL, "no memory");
    size_t n = (size_t)sprintf(message, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                               encoding);
    for (size_t i = 0; n + LINE_OCTETS + 2 <= LARGE_OCTETS; i++)
        n += write_line(message + n, i, strcmp(encoding, "base64") == 0);
    world_init(&w);
    log_in(&w);
    for (unsigned i = 0; i < LARGE; i++)
        append(&w, message, n);
    command(&w, "b SELECT INBOX\r\n");
    double since = seconds();
    search(&w, keys, 0);
    report(what, (double)LARGE * LARGE_OCTETS / MIB, "MiB", since);
    world_fini(&w);
    free(message);
}

int main(void)
{
    bench_headers();
    bench_text("8bit", "TEXT needle", "TEXT over 8 MiB");
    bench_text("base64", "BODY \"needle in it\"", "BODY over 8 MiB of base64");
    bench_text("quoted-printable", "BODY \"needle in it\"", "BODY over 8 MiB of quoted-printable");
    bench_text("8bit", "OR OR OR OR OR OR OR BODY a1 BODY b1 BODY c1 BODY d1 BODY e1 BODY f1 BODY g1 BODY h1",
               "8 keys of BODY over 8 MiB");
    printf("1..%u\n", checks);
    return 0;
}
