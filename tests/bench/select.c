/* SELECT of a large mailbox over the durable store, first and again; how long another session waits meanwhile; and how
 * long a store with so many messages takes to open. */
#include "mill.h"

enum { MESSAGE_OCTETS = 512, SEED = 1000, TURN_UNITS = 1000, WAITS_MAX = 1 << 20 };

static unsigned checks;
static uint64_t rows;

static mailsrv_session *log_in(struct mill *mill, const char *login)
{
    mailsrv_session *session = begin(mill->engine, mill->imap);
    mill_say(mill, session, login, "a OK");
    return session;
}

/* Copies of copies: the quickest way to very many rows. */
static void fill(struct mill *mill)
{
    char command[80];
    mill_deliver(mill, SENDERS_MAX, rows < SEED ? rows : SEED);
    mailsrv_session *session = log_in(mill, "a LOGIN u0 x\r\n");
    mill_say(mill, session, "a SELECT INBOX\r\n", "a OK");
    for (uint64_t n = rows < SEED ? rows : SEED; n < rows; n *= 2) {
        snprintf(command, sizeof command, "a COPY 1:%llu INBOX\r\n", (unsigned long long)(n * 2 < rows ? n : rows - n));
        mill_say(mill, session, command, "a OK");
        mill_say(mill, session, "a NOOP\r\n", "a OK");
    }
    mailsrv_session_free(session);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One command of a session, while another asks the same thing again and again: how long do its answers take? */
static void beside(struct mill *mill, mailsrv_session *session, mailsrv_session *other)
{
    static double waits[WAITS_MAX];
    static const char status[] = "b STATUS INBOX (MESSAGES)\r\n";
    size_t n = 0, taken;
    int done = 0;
    mailsrv_session_feed(session, (const uint8_t *)"a SELECT INBOX\r\n", 16, &taken);
    while (!done && n < WAITS_MAX) {
        double since = seconds();
        int heard = 0;
        mailsrv_session_feed(other, (const uint8_t *)status, sizeof status - 1, &taken);
        while (!heard) {
            int64_t now_us = (int64_t)(seconds() * 1e6);
            mailsrv_engine_advance(mill->engine, now_us, now_us);
            int32_t more = mailsrv_engine_turn(mill->engine, TURN_UNITS);
            done = mill_hears(session, "a OK") || done;
            heard = mill_hears(other, "b OK");
            if (!heard && more != MAILSRV_MORE)
                mill_wait(mill);
        }
        waits[n++] = seconds() - since;
    }
    qsort(waits, n, sizeof *waits, by_size);
    printf("# summary: select, %llu rows: another session's %zu commands meanwhile: p50 %.2f ms, p99 %.2f ms, "
           "most %.2f ms\n", (unsigned long long)rows, n, waits[n / 2] * 1e3, waits[n * 99 / 100] * 1e3, waits[n - 1] * 1e3);
}

static void report(const char *what, double wall, double cpu)
{
    printf("# summary: select, %llu rows: %s: %.2f ms, %.2f ms of CPU\n", (unsigned long long)rows, what,
           (seconds() - wall) * 1e3, (cpu_seconds() - cpu) * 1e3);
}

static void command(struct mill *mill, mailsrv_session *session, const char *text, const char *what)
{
    double wall = seconds(), cpu = cpu_seconds();
    mill_say(mill, session, text, "a OK");
    report(what, wall, cpu);
}

/* What the system has of the files is as the filling left it. */
static void reopen(struct mill *mill, const char *path)
{
    mailsrv_store *store;
    struct counted counted;
    counted_init(&counted, 0);
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = path, .files = &counted.files };
    double wall = seconds(), cpu = cpu_seconds();
    check(mailsrv_durable_open(&setup, &store) == MAILSRV_OK, "the store cannot be opened");
    report("the store is opened", wall, cpu);
    mailsrv_store_free(store);
    mill_open(mill, path, 0, 2, MESSAGE_OCTETS);
}

int main(void)
{
    struct mill mill;
    char path[64];
    rows = count_of("SELECT_ROWS", 20000);
    printf("1..1\n");
    mill_directory(path);
    mill_open(&mill, path, 0, 1, MESSAGE_OCTETS);
    fill(&mill);
    mill_close(&mill);
    reopen(&mill, path);
    mailsrv_session *one = log_in(&mill, "a LOGIN u0 x\r\n"), *two = log_in(&mill, "a LOGIN u0 x\r\n");
    mailsrv_session *other = log_in(&mill, "a LOGIN u1 x\r\n");
    uint64_t read = mill.counted.read;
    command(&mill, one, "a SELECT INBOX\r\n", "SELECT, first");
    printf("# summary: select, %llu rows: %llu pages of the index read\n", (unsigned long long)rows,
           (unsigned long long)(mill.counted.read - read));
    command(&mill, two, "a SELECT INBOX\r\n", "SELECT beside another");
    command(&mill, one, "a UNSELECT\r\n", "UNSELECT");
    command(&mill, two, "a UNSELECT\r\n", "UNSELECT, the last");
    command(&mill, one, "a SELECT INBOX\r\n", "SELECT again");
    mill_deliver(&mill, 1, 2); /* the one that nobody looks at, and one that is looked at */
    command(&mill, one, "a NOOP\r\n", "NOOP after a delivery");
    mailsrv_session_free(one);
    mailsrv_session_free(two);
    mailsrv_session_free(other);
    mill_close(&mill);
    mill_open(&mill, path, 0, 2, MESSAGE_OCTETS);
    one = log_in(&mill, "a LOGIN u0 x\r\n");
    other = log_in(&mill, "a LOGIN u1 x\r\n");
    beside(&mill, one, other);
    mailsrv_session_free(one);
    mailsrv_session_free(other);
    mill_close(&mill);
    mill_remove(path);
    printf("ok %u - a mailbox of %llu\n", ++checks, (unsigned long long)rows);
    return 0;
}
