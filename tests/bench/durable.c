/* Messages a second into the durable store, over LMTP sessions in memory, and how many of them share a sync; beside
 * what the disk does by itself, appending as much and syncing it each time. */
#include "mill.h"

#include <fcntl.h>
#include <unistd.h>

enum { MESSAGE_OCTETS = 4096, LIMIT_SYNCS = 500 };

static unsigned checks;

/* Appends of the same size, each synced: what one sender could reach at most. */
static double limit_of(const struct mill *mill, const char *directory)
{
    char path[256];
    snprintf(path, sizeof path, "%s/limit", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    check(fd >= 0, "no file");
    double since = seconds();
    for (int i = 0; i < LIMIT_SYNCS; i++)
        check(write(fd, mill->message, MESSAGE_OCTETS) == MESSAGE_OCTETS && fdatasync(fd) == 0, "the disk fails");
    double rate = LIMIT_SYNCS / (seconds() - since);
    close(fd);
    unlink(path);
    return rate;
}

static void measure(struct mill *mill, const char *directory, uint32_t n, uint64_t messages)
{
    uint64_t groups = mailsrv_durable_stat(mill->store, MAILSRV_DURABLE_STAT_GROUPS);
    double before = limit_of(mill, directory); /* its mood changes */
    double rate = (double)messages / mill_deliver(mill, n, messages);
    double limit = (before + limit_of(mill, directory)) / 2;
    groups = mailsrv_durable_stat(mill->store, MAILSRV_DURABLE_STAT_GROUPS) - groups;
    printf("# summary: durable, %u at once: %.0f messages a second, %.2f syncs each; the disk %.0f: ratio %.2f\n",
           (unsigned)n, rate, (double)groups / (double)messages, limit, rate / limit);
    printf("ok %u - %u at once\n", ++checks, (unsigned)n);
}

int main(void)
{
    static const uint32_t at_once[] = { 1, 8, 64 };
    struct mill mill;
    char directory[64];
    uint64_t messages = count_of("BENCH_MESSAGES", 5000) / 5;
    printf("1..3\n");
    mill_directory(directory);
    mill_open(&mill, directory, 1, 1, MESSAGE_OCTETS);
    for (size_t i = 0; i < 3; i++)
        measure(&mill, directory, at_once[i], messages);
    mill_close(&mill);
    mill_remove(directory);
    return 0;
}
