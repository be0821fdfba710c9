/* Does a message cost more where there are many?  CPU, and pages of the index that are touched and read for each
 * message, in a mailbox that grows, and among more and more mailboxes: one message at a time, and with 64 on their way.
 * Nothing is synced, so that what is measured is the store and not the disk. */
#include "mill.h"

enum { MESSAGE_OCTETS = 512 };

static unsigned checks;
static uint64_t sample;

static uint32_t scattered(uint64_t number)
{
    return (uint32_t)(number * 2654435761u >> 4);
}

static void measure(struct mill *mill, const char *what, uint64_t n, uint32_t senders)
{
    struct counted *c = &mill->counted;
    mill_deliver(mill, senders, sample / 2); /* so that caches are warm */
    uint64_t touched = c->touched, moved = c->moved, read = c->read;
    double cpu = cpu_seconds();
    mill_deliver(mill, senders, sample);
    cpu = cpu_seconds() - cpu;
    printf("# summary: growth, %llu %s, %u at once: %.1f us of CPU a message, %.2f pages touched, %.2f moved, %.2f read\n",
           (unsigned long long)n, what, senders, cpu * 1e6 / (double)sample,
           (double)(c->touched - touched) / (double)sample, (double)(c->moved - moved) / (double)sample,
           (double)(c->read - read) / (double)sample);
}

static void messages(uint64_t most)
{
    struct mill mill;
    char path[64];
    uint64_t there = 0;
    mill_directory(path);
    mill_open(&mill, path, 0, 1, MESSAGE_OCTETS);
    for (uint64_t n = 1000; n <= most; n *= 10) {
        if (n > there)
            mill_deliver(&mill, SENDERS_MAX, n - there);
        measure(&mill, "messages in the mailbox", n, 1);
        measure(&mill, "messages in the mailbox", n, SENDERS_MAX);
        there = n + 3 * sample;
    }
    mill_close(&mill);
    mill_remove(path);
    printf("ok %u - a mailbox of %llu\n", ++checks, (unsigned long long)most);
}

static void mailboxes(uint64_t most)
{
    for (uint64_t n = 10; n <= most; n *= 10) {
        struct mill mill;
        char path[64];
        mill_directory(path);
        mill_open(&mill, path, 0, (uint32_t)n, MESSAGE_OCTETS);
        mill_deliver(&mill, SENDERS_MAX, n < 10000 ? 10000 : n); /* each has some */
        mill.to = scattered;
        measure(&mill, "mailboxes", n, 1);
        measure(&mill, "mailboxes", n, SENDERS_MAX);
        mill_close(&mill);
        mill_remove(path);
    }
    printf("ok %u - %llu mailboxes\n", ++checks, (unsigned long long)most);
}

int main(void)
{
    sample = count_of("GROWTH_SAMPLE", 500);
    printf("1..2\n");
    messages(count_of("GROWTH_MESSAGES", 10000));
    mailboxes(count_of("GROWTH_MAILBOXES", 100));
    return 0;
}
