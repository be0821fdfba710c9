/* A large message in and out, in the clear, over the durable store: the most memory that its session takes, of the
 * engine and of the process. */
#include "mill.h"

#include <malloc.h>

enum { PIECE = 16384, SENT_MAX = 65536 };

static uint64_t engine_before, process_before, engine_most, process_most;

static uint64_t of_malloc(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void begin_looking(const struct mill *mill)
{
    engine_before = engine_most = mailsrv_engine_stat(mill->engine, MAILSRV_STAT_MEMORY);
    process_before = process_most = of_malloc();
}

static void look(const struct mill *mill)
{
    uint64_t engine = mailsrv_engine_stat(mill->engine, MAILSRV_STAT_MEMORY), process = of_malloc();
    engine_most = engine > engine_most ? engine : engine_most;
    process_most = process > process_most ? process : process_most;
}

static void report(const char *what, uint64_t octets, double since)
{
    printf("# summary: large, %.0f MiB %s: at most %.1f KiB of the engine, %.1f of the process; %.0f MiB a second\n",
           (double)octets / (1 << 20), what, (double)(engine_most - engine_before) / 1024,
           (double)(process_most - process_before) / 1024, (double)octets / (1 << 20) / (seconds() - since));
    printf("ok - %s\n", what);
}

/* Feeds as the session takes it. */
static void feed_all(struct mill *mill, mailsrv_session *session, const char *text, uint64_t n)
{
    while (n != 0) {
        size_t taken = 0, piece = n < PIECE ? (size_t)n : PIECE;
        check(mailsrv_session_feed(session, (const uint8_t *)text, piece, &taken) == MAILSRV_OK, "the session has ended");
        text += taken;
        n -= taken;
        mill_turn(mill);
        look(mill);
        if (taken == 0)
            mill_wait(mill);
    }
}

static void send(struct mill *mill, uint64_t octets)
{
    mailsrv_session *session = begin(mill->engine, mill->lmtp);
    mill_say(mill, session, "LHLO client.remote.test\r\n", "250 ");
    mill_say(mill, session, "MAIL FROM:<sender@remote.test>\r\n", "250");
    mill_say(mill, session, "RCPT TO:<u0@here.test>\r\n", "250");
    mill_say(mill, session, "DATA\r\n", "354");
    double since = seconds();
    begin_looking(mill);
    feed_all(mill, session, mill->message, mill->n_message);
    mill_await(mill, session, "250");
    look(mill);
    report("in", octets, since);
    mailsrv_session_free(session);
}

/* Takes what it says, as a connection would, until so much has come. */
static void take_all(struct mill *mill, mailsrv_session *session, uint64_t octets)
{
    mailsrv_out out;
    size_t count;
    for (uint64_t n = 0; n < octets;) {
        mill_turn(mill);
        look(mill);
        check(mailsrv_session_output(session, &out, 1, &count) == MAILSRV_OK, "the session has ended");
        size_t sent = count == 0 ? 0 : out.n < SENT_MAX ? out.n : SENT_MAX;
        if (sent == 0)
            mill_wait(mill);
        mailsrv_session_sent(session, sent);
        n += sent;
    }
}

static void fetch(struct mill *mill, uint64_t octets)
{
    size_t taken;
    mailsrv_session *session = begin(mill->engine, mill->imap);
    mill_say(mill, session, "a LOGIN u0 x\r\n", "a OK");
    mill_say(mill, session, "a SELECT INBOX\r\n", "a OK");
    double since = seconds();
    begin_looking(mill);
    mailsrv_session_feed(session, (const uint8_t *)"b FETCH 1 BODY.PEEK[]\r\n", 23, &taken);
    take_all(mill, session, octets);
    mill_await(mill, session, "b OK");
    report("out", octets, since);
    mailsrv_session_free(session);
}

int main(void)
{
    struct mill mill;
    char path[64];
    uint64_t octets = count_of("LARGE_MIB", 20) << 20;
    printf("1..2\n");
    mill_directory(path);
    mill_open(&mill, path, 0, 1, octets);
    send(&mill, octets);
    fetch(&mill, octets);
    mill_close(&mill);
    mill_remove(path);
    return 0;
}
