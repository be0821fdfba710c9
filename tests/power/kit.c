/* The conformance kit over the durable store: in a real directory; and on a simulated disk, where opening again comes
 * after a loss of power, with every body in a file, with the smallest segments, and with answers that come late. */
#include "disk.h"
#include "shore.h"
#include "tap.h"

#include <mailsrv/stores/kit.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OCTETS_MAX 200000u

struct world {
    struct shore shore;
    char directory[64];
    bool is_simulated, is_slow;
    struct disk *disk;
    mailsrv_durable_files files;
    const char *name;
};

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

/* Whatever waits for a disk waits, now longer and now shorter: answers come late, and reads and writes pass each
 * other. */
static struct {
    mailsrv_durable_files files;
    uint64_t random;
} slow;

static void wait_a_while(void)
{
    uint64_t random = __atomic_add_fetch(&slow.random, UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);
    struct timespec pause = { 0, (long)(random >> 40) % 8 == 0 ? (long)(random >> 50) % 1500 * 1000 : 0 };
    nanosleep(&pause, NULL);
}

static int32_t slow_sync(void *user, void *file)
{
    wait_a_while();
    return slow.files.sync(user, file);
}

static int32_t slow_read(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    wait_a_while();
    return slow.files.read(user, file, p, n, offset, got);
}

static int32_t open_store(void *user)
{
    struct world *w = user;
    strcpy(w->directory, "/tmp/mailsrv-durable-XXXXXX");
    if (w->is_simulated) {
        w->disk = disk_new(1);
        w->files = disk_files(w->disk);
        slow.files = w->files;
        w->files.sync = w->is_slow ? slow_sync : w->files.sync;
        w->files.read = w->is_slow ? slow_read : w->files.read;
        w->shore.setup.files = &w->files;
    } else if (mkdtemp(w->directory) == NULL) {
        return MAILSRV_TEMP;
    }
    return shore_open(&w->shore);
}

static int32_t bind(void *user, mailsrv_engine *engine)
{
    return shore_bind(&((struct world *)user)->shore, engine);
}

static void close_store(void *user)
{
    struct world *w = user;
    shore_close(&w->shore);
    if (w->is_simulated)
        disk_free(w->disk);
    else
        remove_all(w->directory);
}

static int32_t drive(void *user)
{
    return shore_wait(&((struct world *)user)->shore);
}

static int32_t reopen(void *user)
{
    struct world *w = user;
    shore_close(&w->shore);
    if (w->is_simulated)
        disk_cut(w->disk);
    return shore_open(&w->shore);
}

static uint64_t handles(void *user)
{
    return mailsrv_durable_stat(((struct world *)user)->shore.store, MAILSRV_DURABLE_STAT_HANDLES);
}

static int32_t quota(void *user, uint32_t account, uint64_t octets)
{
    struct world *w = user;
    return mailsrv_durable_set_quota(w->shore.store, &w->shore.accounts[account], octets);
}

/* The store passes every check, and skips none. */
static void report(void *user, const char *name, int32_t outcome, const char *text)
{
    tap(outcome == MAILSRV_KIT_PASSED, ((struct world *)user)->name, name, text);
}

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static void with(const char *name, uint32_t shards, bool is_simulated, bool is_slow, uint64_t memory_octets,
                 uint64_t segment_octets)
{
    struct world w = { .name = name, .is_simulated = is_simulated, .is_slow = is_slow };
    uint32_t failed = 0;
    shore_init(&w.shore, w.directory, NULL);
    w.shore.setup.memory_octets = memory_octets;
    w.shore.setup.shards = shards;
    w.shore.setup.segment_octets = segment_octets;
    w.shore.setup.body_octets_max = OCTETS_MAX;
    w.shore.setup.checkpoint_pages = 4;
    mailsrv_kit_setup setup = {
        .size = sizeof setup,
        .covers = MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_QUEUE | MAILSRV_KIT_IMAP |
                  MAILSRV_KIT_ATOMIC | MAILSRV_KIT_IMPORT | MAILSRV_KIT_READS_STAGED | MAILSRV_KIT_LOCKS |
                  MAILSRV_KIT_STRUCTURE | MAILSRV_KIT_MOVE,
        .user = &w,
        .open = open_store,
        .bind = bind,
        .close = close_store,
        .drive = drive,
        .reopen = reopen,
        .handles = handles,
        .quota = quota,
        .report = report,
        .accounts = { { bytes("pat@here.test"), bytes("pat"), bytes("secret words") },
                      { bytes("kim@here.test"), bytes("kim"), bytes("secret words") } },
        .unknown_address = bytes("nobody@here.test"),
        .octets_max = OCTETS_MAX,
    };
    int32_t status = mailsrv_kit_run(&setup, &failed);
    tap(status == MAILSRV_OK, name, "the kit ran", mailsrv_strerror(status));
}

int main(void)
{
    with("a directory", 0, false, false, 0, 0);
    with("bodies in files", 0, true, false, 1, 0);
    with("small segments", 0, true, false, 0, 4096);
    with("a slow disk", 0, true, true, 0, 0);
    with("three shards", 3, false, false, 0, 0);
    with("three shards, bodies in files", 3, true, false, 1, 4096);
    return tap_end();
}
