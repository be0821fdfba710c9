/* What items of the queue cost in the durable store, and what memory they leave behind: they are committed, scanned by time
 * and by lane, put off, read and deleted, and the log is compacted.  Nothing is synced, so that what is measured is the
 * store and not the disk. */
#include "mill.h"

#include <mailsrv/ask.h>

#include <malloc.h>
#include <sqlite3.h>
#include <unistd.h>

enum {
    MESSAGE_OCTETS = 2000,
    RECIPIENTS = 20, /* of a message, each in another lane */
    LANES = 1000,
    FLIGHT = 64, /* operations at once */
    TOGETHER = 1000 /* items of a QUEUE_DELETE */
};

enum { INDEX_OCTETS = 2 << 20, GROWS_AT_MOST = 8 << 20 };

static uint64_t items, resident_at_first;
static double begun_cpu, begun;

/* ---- How much ---- */

static double mib(uint64_t octets)
{
    return (double)octets / (1 << 20);
}

static uint64_t resident(void)
{
    unsigned long long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL && fscanf(f, "%llu %llu", &all, &pages) != 2)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void begin_part(void)
{
    begun = seconds();
    begun_cpu = cpu_seconds();
    if (resident_at_first == 0)
        resident_at_first = resident();
}

static void end_part(const char *what, uint64_t n)
{
    struct mallinfo2 m = mallinfo2();
    double cpu = cpu_seconds() - begun_cpu;
    printf("# summary: queue, %s: %llu in %.1f s, %.1f us of CPU each; %.1f MiB resident, %.1f allocated (%.1f SQLite's),"
           " %.1f free in the heap\n",
           what, (unsigned long long)n, seconds() - begun, n != 0 ? cpu * 1e6 / (double)n : 0.0, mib(resident()),
           mib(m.uordblks + m.hblkhd), mib((uint64_t)sqlite3_memory_used()), mib(m.fordblks));
    fflush(stdout);
    check(resident() <= resident_at_first + GROWS_AT_MOST, "items of the queue take memory");
}

/* ---- Questions ---- */

static mailsrv_asked *ask(struct mill *mill, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    check(mailsrv_ask(mill->engine, kind, NULL, arg, &asked) == MAILSRV_OK, "a question cannot be asked");
    return asked;
}

static const void *hear(struct mill *mill, mailsrv_asked *asked)
{
    const mailsrv_answer *answer;
    for (mill_turn(mill); (answer = mailsrv_asked_answer(asked)) == NULL; mill_turn(mill))
        mill_wait(mill);
    check(answer->status == MAILSRV_OK, mailsrv_strerror(answer->status));
    return answer->value;
}

static void give_back(struct mill *mill, mailsrv_asked *asked)
{
    mailsrv_asked_free(asked);
    mill_turn(mill);
}

/* ---- COMMIT ---- */

struct letter {
    mailsrv_asked *body, *commit;
    mailsrv_staged staged;
    mailsrv_target targets[RECIPIENTS];
    char lanes[RECIPIENTS][32];
    mailsrv_arg_body_commit arg;
};

static uint8_t octets[MESSAGE_OCTETS], record[300];

static int64_t due_of(uint64_t item)
{
    return (int64_t)(item * 2654435761u % 18000) * 1000000;
}

static void post(struct mill *mill, struct letter *l, uint64_t first)
{
    mailsrv_arg_body_begin begin = { sizeof begin, 0, 0 };
    l->body = ask(mill, MAILSRV_OP_BODY_BEGIN, &begin);
    l->staged = (mailsrv_staged){ .size = sizeof l->staged, .octets = sizeof octets };
    l->staged.body = ((const mailsrv_body_begun *)hear(mill, l->body))->body;
    mailsrv_arg_body_write write = { sizeof write, 0, l->staged.body, 0, { octets, sizeof octets } };
    mailsrv_asked *asked = ask(mill, MAILSRV_OP_BODY_WRITE, &write);
    hear(mill, asked);
    mailsrv_asked_free(asked);
    for (uint32_t i = 0; i < RECIPIENTS; i++) {
        int n = snprintf(l->lanes[i], sizeof l->lanes[i], "d%u.example", (unsigned)((first + i) * 7919 % LANES));
        l->targets[i] = (mailsrv_target){ .size = sizeof l->targets[i],
                                          .kind = MAILSRV_TARGET_QUEUE,
                                          .record = { record, sizeof record },
                                          .recipient = { octets, 30 },
                                          .due_us = due_of(first + i),
                                          .lane = { (const uint8_t *)l->lanes[i], (size_t)n } };
    }
    l->arg = (mailsrv_arg_body_commit){ .size = sizeof l->arg, .n_bodies = 1, .body_stride = sizeof l->staged,
                                        .n_targets = RECIPIENTS, .target_stride = sizeof *l->targets,
                                        .bodies = &l->staged, .targets = l->targets };
    l->commit = ask(mill, MAILSRV_OP_BODY_COMMIT, &l->arg);
}

static void fill(struct mill *mill)
{
    static struct letter letters[FLIGHT];
    uint64_t n = items / RECIPIENTS;
    begin_part();
    for (uint64_t i = 0; i < n + FLIGHT; i++) {
        struct letter *l = &letters[i % FLIGHT];
        if (i >= FLIGHT && l->commit != NULL) {
            hear(mill, l->commit);
            mailsrv_asked_free(l->commit);
            give_back(mill, l->body);
            l->commit = NULL;
        }
        if (i < n)
            post(mill, l, i * RECIPIENTS);
    }
    end_part("committed", items);
}

/* ---- QUEUE_SCAN ---- */

static void scan(struct mill *mill, const char *what, mailsrv_arg_queue_scan arg)
{
    uint64_t n = 0;
    begin_part();
    for (uint32_t more = 1; more;) {
        mailsrv_asked *asked = ask(mill, MAILSRV_OP_QUEUE_SCAN, &arg);
        const mailsrv_queued *value = hear(mill, asked);
        n += value->n;
        more = value->more;
        arg.cursor = value->next;
        give_back(mill, asked);
    }
    end_part(what, n);
}

static void scan_all(struct mill *mill)
{
    mailsrv_arg_queue_scan arg = { .size = sizeof arg, .limit = 64, .order = MAILSRV_QUEUE_BY_DUE,
                                   .due_min_us = INT64_MIN, .due_max_us = INT64_MAX,
                                   .lane = { (const uint8_t *)"d5.example", 10 } };
    scan(mill, "scanned by time", arg);
    arg.order = MAILSRV_QUEUE_BY_LANE;
    scan(mill, "scanned of one lane", arg);
}

/* ---- QUEUE_UPDATE, READ, QUEUE_DELETE ---- */

static void put_off(struct mill *mill, uint64_t n)
{
    static mailsrv_asked *asked[FLIGHT];
    static mailsrv_arg_queue_update args[FLIGHT];
    begin_part();
    for (uint64_t i = 0; i < n + FLIGHT; i++) {
        mailsrv_asked **at = &asked[i % FLIGHT];
        if (i >= FLIGHT && *at != NULL) {
            hear(mill, *at);
            give_back(mill, *at);
            *at = NULL;
        }
        if (i >= n)
            continue;
        uint64_t item = i * 7919 % items;
        args[i % FLIGHT] = (mailsrv_arg_queue_update){ .size = sizeof *args,
                                                       .queue = item + 1,
                                                       .record = { record, sizeof record },
                                                       .due_us = due_of(item) + 3600000000,
                                                       .lane = { (const uint8_t *)"d5.example", 10 } };
        *at = ask(mill, MAILSRV_OP_QUEUE_UPDATE, &args[i % FLIGHT]);
    }
    end_part("put off", n);
}

static void read_some(struct mill *mill, uint64_t n)
{
    begin_part();
    for (uint64_t i = 0; i < n; i++) {
        mailsrv_arg_read arg = { .size = sizeof arg, .octets = 65536, .queue = i * 104729 % items + 1 };
        mailsrv_asked *asked = ask(mill, MAILSRV_OP_READ, &arg);
        hear(mill, asked);
        give_back(mill, asked);
    }
    end_part("read", n);
}

static void rest(struct mill *mill)
{
    const struct timespec moment = { 0, 1000000 };
    while (mailsrv_durable_stat(mill->store, MAILSRV_DURABLE_STAT_BUSY) != 0)
        nanosleep(&moment, NULL);
}

/* From `first` to before `end`. */
static void drop(struct mill *mill, const char *what, uint64_t first, uint64_t end)
{
    static uint64_t numbers[TOGETHER];
    begin_part();
    for (uint64_t i = first; i < end; i += TOGETHER) {
        uint32_t n = 0;
        for (; n < TOGETHER && i + n < end; n++)
            numbers[n] = i + n + 1;
        mailsrv_arg_queue_delete arg = { sizeof arg, n, numbers };
        mailsrv_asked *asked = ask(mill, MAILSRV_OP_QUEUE_DELETE, &arg);
        hear(mill, asked);
        give_back(mill, asked);
    }
    end_part(what, end - first);
    begin_part();
    rest(mill);
    end_part("compacted behind it", mailsrv_durable_stat(mill->store, MAILSRV_DURABLE_STAT_COMPACTIONS));
}

int main(void)
{
    struct mill mill;
    char path[64];
    items = count_of("BENCH_QUEUE_ITEMS", 10000) / RECIPIENTS * RECIPIENTS;
    memset(octets, 'x', sizeof octets);
    memset(record, 'r', sizeof record);
    mill_directory(path);
    mill_index_octets = INDEX_OCTETS;
    mill_open(&mill, path, 0, 1, MESSAGE_OCTETS);
    begin_part();
    end_part("opened", 0);
    fill(&mill);
    scan_all(&mill);
    put_off(&mill, items / 4);
    read_some(&mill, 1000);
    drop(&mill, "half deleted", 0, items / 2);
    drop(&mill, "all deleted", items / 2, items);
    for (int i = 0; i < 2; i++) {
        fill(&mill);
        drop(&mill, "again", items * (uint64_t)(i + 1), items * (uint64_t)(i + 2));
    }
    mill_close(&mill);
    mill_remove(path);
    printf("ok 1 - %llu items of the queue\n1..1\n", (unsigned long long)items);
    return 0;
}
