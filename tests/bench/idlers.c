/* IMAP sessions that idle, over the durable store, in memory: what each holds, of the engine and of the process, and how
 * soon those who look at one mailbox are told of a message in it. */
#include "mill.h"

#include <malloc.h>

enum { WATCHERS = 500, ROUNDS = 20, MESSAGE_OCTETS = 512 };

static double waits[WATCHERS * ROUNDS];

static uint64_t of_malloc(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static mailsrv_session *idle(struct mill *mill, uint32_t account)
{
    char login[40];
    mailsrv_session *session = begin(mill->engine, mill->imap);
    snprintf(login, sizeof login, "a LOGIN u%u x\r\n", (unsigned)account);
    mill_say(mill, session, login, "a OK");
    mill_say(mill, session, "a SELECT INBOX\r\n", "a OK");
    mill_say(mill, session, "a IDLE\r\n", "+");
    return session;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint32_t to_the_first(uint64_t number)
{
    (void)number;
    return 0;
}

/* From the moment when the message is sent to that when the session says so. */
static void round_of(struct mill *mill, mailsrv_session **watchers, double *out)
{
    int told[WATCHERS] = { 0 };
    unsigned n = 0;
    double since = seconds();
    mill_deliver(mill, 1, 1);
    for (;;) {
        for (unsigned i = 0; i < WATCHERS; i++) {
            if (told[i] || !mill_hears(watchers[i], "* "))
                continue;
            told[i] = 1;
            out[n++] = seconds() - since;
        }
        if (n == WATCHERS)
            return;
        mill_wait(mill);
        mill_turn(mill);
    }
}

static void watch(struct mill *mill)
{
    mailsrv_session *watchers[WATCHERS];
    mill->to = to_the_first;
    for (unsigned i = 0; i < WATCHERS; i++)
        watchers[i] = idle(mill, 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        round_of(mill, watchers, waits + (size_t)i * WATCHERS);
    for (unsigned i = 0; i < WATCHERS; i++)
        mailsrv_session_free(watchers[i]);
    qsort(waits, WATCHERS * ROUNDS, sizeof *waits, by_size);
    printf("# summary: idlers, %d of one mailbox are told: p50 %.2f ms, p99 %.2f ms, most %.2f ms\n", WATCHERS,
           waits[WATCHERS * ROUNDS / 2] * 1e3, waits[WATCHERS * ROUNDS * 99 / 100] * 1e3,
           waits[WATCHERS * ROUNDS - 1] * 1e3);
    printf("ok 2 - %d of one mailbox\n", WATCHERS);
}

int main(void)
{
    struct mill mill;
    char path[64];
    uint32_t n = (uint32_t)count_of("IDLERS", 2000), mailboxes = n / 50 != 0 ? n / 50 : 1;
    mailsrv_session **sessions = calloc(n, sizeof *sessions);
    check(sessions != NULL, "no memory");
    printf("1..2\n");
    mill_directory(path);
    mill_open(&mill, path, 0, mailboxes, MESSAGE_OCTETS);
    mill_deliver(&mill, SENDERS_MAX, (uint64_t)mailboxes * 20);
    mailsrv_session_free(idle(&mill, 0)); /* what everybody shares is there */
    uint64_t engine = mailsrv_engine_stat(mill.engine, MAILSRV_STAT_MEMORY), process = of_malloc();
    for (uint32_t i = 0; i < n; i++)
        sessions[i] = idle(&mill, i % mailboxes);
    engine = mailsrv_engine_stat(mill.engine, MAILSRV_STAT_MEMORY) - engine;
    process = of_malloc() - process;
    printf("# summary: idlers, %u on %u mailboxes: %.0f octets of the engine each, %.0f of the process\n", (unsigned)n,
           (unsigned)mailboxes, (double)engine / n, (double)process / n);
    for (uint32_t i = 0; i < n; i++)
        mailsrv_session_free(sessions[i]);
    free(sessions);
    printf("ok 1 - %u sessions\n", (unsigned)n);
    watch(&mill);
    mill_close(&mill);
    mill_remove(path);
    return 0;
}
