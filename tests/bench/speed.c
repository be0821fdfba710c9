/* Speed in memory, without sockets: the framers, and whole dialogues over the store in memory. */
#include "host.h"

#include "frame/dots.h"
#include "frame/line.h"
#include "frame/stuff.h"

enum { MESSAGE_OCTETS = 1 << 20, PIECE_OCTETS = 16384, MIB = 1 << 20 };

static uint64_t mebibytes, dialogues; /* how many */
static unsigned checks;

static void report(const char *what, double amount, const char *unit, double since)
{
    double s = seconds() - since;
    printf("# summary: %s: %.0f %s a second\n", what, amount / s, unit);
    printf("ok %u - %s\n", ++checks, what);
}

/* Text like that of ordinary mail: lines of up to 76 characters, a full stop in each, one in thirty beginning with a
 * dot. */
static char *make_message(void)
{
    char *p = malloc(MESSAGE_OCTETS);
    check(p != NULL, "no memory");
    for (size_t i = 0, column = 0, line = 0; i < MESSAGE_OCTETS; i++, column++) {
        size_t end = 40 + line * 7 % 37;
        p[i] = column == end ? '\r' : column == end + 1 ? '\n' : (column == 0 && line % 30 == 0) || column == 30 ? '.' : 'a';
        if (column == end + 1) {
            column = (size_t)-1;
            line++;
        }
    }
    memcpy(p + MESSAGE_OCTETS - 2, "\r\n", 2);
    return p;
}

static void bench_dots(const char *message)
{
    uint64_t octets = 0;
    double since = seconds();
    for (uint64_t i = 0; i < mebibytes; i++) {
        struct dots dots = { 0 };
        for (size_t at = 0; at < MESSAGE_OCTETS; at += PIECE_OCTETS) {
            struct input in = { (const uint8_t *)message + at, PIECE_OCTETS };
            struct span part;
            while (in.n != 0 && !mailsrv__dots_take(&dots, &in, SIZE_MAX, &part))
                octets += part.n;
        }
    }
    check(octets > mebibytes * MESSAGE_OCTETS / 2, "octets are missing");
    report("dots, inward", (double)mebibytes, "MiB", since);
}

static void bench_stuff(const char *message)
{
    uint64_t octets = 0;
    double since = seconds();
    for (uint64_t i = 0; i < mebibytes; i++) {
        struct stuff stuff;
        mailsrv__stuff_init(&stuff);
        for (size_t at = 0; at < MESSAGE_OCTETS; at += PIECE_OCTETS) {
            struct span in = { message + at, PIECE_OCTETS };
            struct stuffed part;
            while (mailsrv__stuff_take(&stuff, &in, &part))
                octets += part.octets.n;
        }
    }
    check(octets == mebibytes * MESSAGE_OCTETS, "octets are missing");
    report("dots, outward", (double)mebibytes, "MiB", since);
}

static void bench_lines(void)
{
    static const char line[] = "RCPT TO:<somebody@example.remote.test> NOTIFY=NEVER\r\n";
    struct heap heap;
    struct line_frame frame = { 0 };
    uint64_t lines = mebibytes * (MIB / (sizeof line - 1)), seen = 0;
    mailsrv__heap_init(&heap, mailsrv__malloc(), MIB);
    const struct line_room room = { .heap = &heap, .octets_max = 2048 };
    double since = seconds();
    for (uint64_t i = 0; i < lines; i++) {
        struct input in = { (const uint8_t *)line, sizeof line - 1 };
        struct span out;
        seen += mailsrv__line_take(&frame, &room, &in, &out) == FRAMED_LINE;
        mailsrv__line_done(&frame, &room, false);
    }
    check(seen == lines, "lines are missing");
    report("lines", (double)mebibytes, "MiB", since);
}

/* ---- Dialogues ---- */

struct world {
    mailsrv_id pat;
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_profile *profile;
};

static void world_init(struct world *w, const mailsrv_machine *machine, int32_t face)
{
    w->store = store_with_pat(&w->pat);
    w->profile = profile_of(machine, face);
    check(mailsrv_engine_new(NULL, &w->engine) == MAILSRV_OK, "no engine");
    mailsrv_store_bind(w->store, w->engine);
    mailsrv_engine_advance(w->engine, 1, 1);
}

static void world_fini(struct world *w)
{
    mailsrv_engine_turn(w->engine, PLENTY);
    check(mailsrv_engine_free(w->engine, 0) == MAILSRV_OK, "the engine is busy");
    mailsrv_store_free(w->store);
    mailsrv_profile_unref(w->profile);
}

static void converse(struct world *w, const char *const *parts)
{
    mailsrv_session *session = begin(w->engine, w->profile);
    drain(w->engine, session);
    for (; *parts != NULL; parts++)
        say(w->engine, session, *parts, strlen(*parts));
    check((mailsrv_session_wants(session) & MAILSRV_WANT_CLOSE) != 0, "the session does not end");
    mailsrv_session_free(session);
}

static const char commands[] = "MAIL FROM:<sender@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n";

static void bench_smtp(char *message)
{
    struct world w;
    char kept[5];
    memcpy(kept, message + 1024, 5);
    memcpy(message + 1024, "\r\n.\r\n", 5);
    char *text = malloc(1030);
    check(text != NULL, "no memory");
    memcpy(text, message, 1029);
    text[1029] = '\0';
    memcpy(message + 1024, kept, 5);
    const char *parts[] = { "EHLO client.remote.test\r\n", commands, text, "QUIT\r\n", NULL };
    world_init(&w, mailsrv_smtp(), MAILSRV_FACE_MX);
    double since = seconds();
    for (uint64_t i = 0; i < dialogues; i++)
        converse(&w, parts);
    check(mailsrv_memory_count(w.store, &w.pat) == dialogues, "messages are missing");
    report("smtp, sessions of one message of 1 KiB", (double)dialogues, "sessions", since);
    free(text);
    world_fini(&w);
}

static void bench_smtp_large(const char *message)
{
    struct world w;
    uint64_t messages = mebibytes / 16 + 1;
    world_init(&w, mailsrv_smtp(), MAILSRV_FACE_MX);
    mailsrv_session *session = begin(w.engine, w.profile);
    say(w.engine, session, "EHLO client.remote.test\r\n", 25);
    double since = seconds();
    for (uint64_t i = 0; i < messages; i++) {
        say(w.engine, session, commands, sizeof commands - 1);
        say(w.engine, session, message, MESSAGE_OCTETS);
        say(w.engine, session, ".\r\n", 3);
    }
    check(mailsrv_memory_count(w.store, &w.pat) == messages, "messages are missing");
    report("smtp, messages of 1 MiB", (double)messages, "MiB", since);
    mailsrv_session_free(session);
    world_fini(&w);
}

static void bench_pop3(void)
{
    static const char *const parts[] = { "USER pat\r\nPASS secret\r\n", "STAT\r\nUIDL\r\n", "QUIT\r\n", NULL };
    struct world w;
    world_init(&w, mailsrv_pop3(), MAILSRV_FACE_POP3);
    for (unsigned i = 0; i < 10; i++)
        mailsrv_memory_append(w.store, &w.pat, "Subject: x\r\n", 12);
    double since = seconds();
    for (uint64_t i = 0; i < dialogues; i++)
        converse(&w, parts);
    report("pop3, sessions that look at ten messages", (double)dialogues, "sessions", since);
    world_fini(&w);
}

static void bench_retr(const char *message)
{
    struct world w;
    uint64_t octets = 0;
    world_init(&w, mailsrv_pop3(), MAILSRV_FACE_POP3);
    mailsrv_memory_append(w.store, &w.pat, message, MESSAGE_OCTETS);
    mailsrv_session *session = begin(w.engine, w.profile);
    say(w.engine, session, "USER pat\r\nPASS secret\r\n", 23);
    double since = seconds();
    for (uint64_t i = 0; i < mebibytes; i++)
        octets += say(w.engine, session, "RETR 1\r\n", 8);
    check(octets > mebibytes * MESSAGE_OCTETS, "octets are missing");
    report("pop3, messages of 1 MiB", (double)mebibytes, "MiB", since);
    mailsrv_session_free(session);
    world_fini(&w);
}

int main(void)
{
    char *message = make_message();
    mebibytes = count_of("BENCH_MEBIBYTES", 500);
    dialogues = count_of("BENCH_DIALOGUES", 20000);
    bench_dots(message);
    bench_stuff(message);
    bench_lines();
    bench_smtp(message);
    bench_smtp_large(message);
    bench_pop3();
    bench_retr(message);
    printf("1..%u\n", checks);
    free(message);
    return 0;
}
