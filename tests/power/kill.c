/* kill -9 of a process that writes, in a real directory, at any moment: the next one finds what was answered.  The
 * model lies in memory that both have, so that it is as it was at that moment. */
#include "mail.h"
#include "tap.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHANGES_LEAST = 4, /* before a kill amid changes */
    GUARD_S = 300,     /* against a writer that hangs */
};

static uint32_t shards;
static char directory[] = "/tmp/mailsrv-kill-XXXXXX";

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static int32_t open_store(struct mail *m)
{
    shore_init(&m->shore, directory, NULL);
    m->shore.setup.segment_octets = 40000;
    m->shore.setup.memory_octets = 16384;
    m->shore.setup.checkpoint_pages = 10;
    m->shore.setup.shards = shards;
    return shore_open(&m->shore);
}

static void close_store(struct mail *m)
{
    mail_end(m);
    shore_close(&m->shore);
}

/* Writes until it is killed. */
static void write_for_ever(struct mail *m, uint64_t seed)
{
    if (open_store(m) != MAILSRV_OK)
        _exit(1);
    mail_begin(m);
    while (!m->must_look)
        mail_change(m, next_random(&seed));
    for (;;)
        pause();
}

static void sleep_us(uint64_t us)
{
    struct timespec pause = { 0, (long)us * 1000 };
    nanosleep(&pause, NULL);
}

/* Until so many more changes have been answered.  A busy machine takes longer for them; a writer that hangs is given
 * up. */
static void await_changes(struct mail *m, uint32_t more)
{
    volatile uint32_t *answered = &m->answered;
    volatile bool *must_look = &m->must_look;
    uint32_t enough = *answered + more;
    for (uint32_t i = 0; i < GUARD_S * 1000 && *answered < enough && !*must_look; i++)
        sleep_us(1000);
}

/* Each fourth is hit while it opens the store, or a little later; the others amid their changes. */
static void kill_one(struct mail *m, uint64_t number, uint64_t *random)
{
    pid_t child = fork();
    if (child == 0)
        write_for_ever(m, next_random(random));
    if (number % 4 != 0)
        await_changes(m, (uint32_t)(CHANGES_LEAST + next_random(random) % 30));
    sleep_us(next_random(random) % (number % 4 != 0 ? 10000 : 150000));
    kill(child, SIGKILL);
    int how = 0;
    waitpid(child, &how, 0);
    if (!WIFSIGNALED(how))
        snprintf(m->wrong, sizeof m->wrong, "the writer ended by itself");
}

static void remove_all(const char *path)
{
    char below[512];
    DIR *all = opendir(path);
    for (struct dirent *one = all != NULL ? readdir(all) : NULL; one != NULL; one = readdir(all)) {
        snprintf(below, sizeof below, "%s/%s", path, one->d_name);
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0 && unlink(below) != 0)
            remove_all(below);
    }
    if (all != NULL)
        closedir(all);
    rmdir(path);
}

/* With an argument: so many shards. */
int main(int argc, char **argv)
{
    const char *kills = getenv("POWER_KILLS"), *seed = getenv("MAILSRV_SEED");
    uint64_t random = seed != NULL ? strtoull(seed, NULL, 10) : 1, n = kills != NULL ? strtoull(kills, NULL, 10) : 10;
    shards = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    struct mail *m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED || mkdtemp(directory) == NULL)
        abort();
    for (uint64_t i = 0; i < n && m->wrong[0] == '\0'; i++) {
        kill_one(m, i, &random);
        int32_t status = open_store(m);
        if (status != MAILSRV_OK) {
            snprintf(m->wrong, sizeof m->wrong, "the store cannot be opened: %s", mailsrv_strerror(status));
            break;
        }
        mail_begin(m);
        mail_check(m);
        close_store(m);
    }
    printf("# %llu kills, %u changes answered\n", (unsigned long long)n, m->answered);
    tap(m->wrong[0] == '\0', "kill -9", "what was answered is there, whole", m->wrong);
    tap(m->answered > n, "kill -9", "something was answered", "");
    remove_all(directory);
    return tap_end();
}
