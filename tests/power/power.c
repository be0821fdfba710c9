/* What the durable store keeps when the power goes, a process dies, a write or a sync fails, or the disk is full: what
 * was answered is there whole, the rest whole or not at all, and nothing that was once seen goes back.  And each sync
 * is needed: without it this test fails. */
#include "disk.h"
#include "mail.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVES 5
#define SHARDS 4 /* directories that there may be: of a store with one, and of one with three */
#define CHANGES 40 /* of a life, unless it ends before */

static const char *const names[SYNC_COUNT] = {
    "of a group",      "of the log's end, found at the start", "of a segment's name", "of names, at the start",
    "of a large body", "of its name",                          "of the index",        "of the index's log",
};

struct run {
    struct disk *disk;
    struct mail mail;
    uint32_t cuts, failures;
};

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void begin(struct run *r, uint64_t seed, uint32_t shards)
{
    static mailsrv_durable_files files;
    memset(r, 0, sizeof *r);
    r->disk = disk_new(seed);
    files = disk_files(r->disk);
    shore_init(&r->mail.shore, "/disk", &files);
    r->mail.shore.setup.segment_octets = 8192;
    r->mail.shore.setup.memory_octets = seed % 2 != 0 ? 16384 : 262144; /* large bodies in files, or in the log */
    r->mail.shore.setup.checkpoint_pages = 6;
    if (seed % 4 >= 2) /* the index shows new messages when somebody looks, where there is room for that */
        r->mail.shore.setup.reserve_octets = 600000;
    r->mail.shore.setup.shards = shards;
}

static void end(struct run *r)
{
    disk_free(r->disk);
}

/* One thing goes wrong in most lives. */
static struct plan plan_of(const struct run *r, uint64_t random)
{
    struct plan plan = { .dies_at = 0 };
    plan.dies_at = 1 + (random >> 8) % 1200;
    if (random % 8 == 0)
        plan.write_fails = 1 + (random >> 20) % 60;
    if (random % 8 == 1)
        plan.sync_fails = 1 + (random >> 20) % 40;
    if (random % 8 == 2)
        plan.octets_max = r->mail.shore.setup.reserve_octets + 120000 + (random >> 20) % 300000;
    if (random % 8 == 3)
        plan.read_fails = 1 + (random >> 20) % 100;
    if (random % 8 == 4)
        plan.read_fails = 1 + (random >> 20) % 2000;
    return plan;
}

static int32_t open_store(struct run *r)
{
    disk_opening(r->disk, true);
    int32_t status = shore_open(&r->mail.shore);
    disk_opening(r->disk, false);
    return status;
}

static void fail(struct run *r, const char *text, int32_t status)
{
    if (r->mail.wrong[0] == '\0')
        snprintf(r->mail.wrong, sizeof r->mail.wrong, "%s: %s", text, mailsrv_strerror(status));
}

static bool is_over(struct run *r)
{
    return disk_is_dead(r->disk) || r->mail.is_stuck || r->mail.must_look || r->mail.wrong[0] != '\0';
}

/* A life that goes wrong somewhere.  What was true before it is looked at in a model of its own when the power went
 * during the look. */
static void one_life(struct run *r)
{
    static struct mail before;
    struct plan plan = plan_of(r, disk_random(r->disk));
    disk_plan(r->disk, &plan);
    int32_t status = open_store(r);
    if (status == MAILSRV_OK) {
        mail_begin(&r->mail);
        before = r->mail;
        mail_check(&r->mail);
        bool tells_nothing = disk_is_dead(r->disk) || disk_has_failed_to_read(r->disk); /* while we looked */
        if (tells_nothing) {
            r->mail.known = before.known;
            memcpy(r->mail.wrong, before.wrong, sizeof before.wrong);
        }
        for (int i = 0; i < CHANGES && !is_over(r) && !tells_nothing; i++)
            mail_change(&r->mail, disk_random(r->disk));
        mail_end(&r->mail);
        shore_close(&r->mail.shore);
    } else if (status == MAILSRV_CORRUPT || (!disk_is_dead(r->disk) && !disk_has_failed(r->disk))) {
        fail(r, "the store cannot be opened", status);
    }
    r->failures += disk_has_failed(r->disk);
}

static void lose_index(struct run *r)
{
    const mailsrv_durable_files files = disk_files(r->disk);
    for (unsigned i = 0; i < SHARDS; i++) {
        static const char *const directories[SHARDS] = { "/disk", "/disk/00", "/disk/01", "/disk/02" };
        char path[32];
        snprintf(path, sizeof path, "%s/index.db", directories[i]);
        files.unlink(files.user, path);
        snprintf(path, sizeof path, "%s/index.db-wal", directories[i]);
        files.unlink(files.user, path);
        files.sync_directory(files.user, directories[i]);
    }
}

/* The process alone dies now and then; not where a sync has failed, because what Linux then shows is not on the
 * disk.  Now and then the index is lost, too: the log alone knows what numbers were given. */
static void between_lives(struct run *r)
{
    const struct plan none = { .dies_at = 0 };
    if (disk_random(r->disk) % 3 == 0 && !disk_has_failed(r->disk)) {
        disk_revive(r->disk);
    } else {
        disk_cut(r->disk);
        r->cuts++;
    }
    disk_plan(r->disk, &none);
    if (disk_random(r->disk) % 4 == 0)
        lose_index(r);
}

static void not_so(void *user, const char *text)
{
    struct run *r = user;
    snprintf(r->mail.wrong, sizeof r->mail.wrong, "the check finds %.140s", text);
}

/* Everything as before, also from the log alone. */
static void last_look(struct run *r)
{
    const struct plan none = { .dies_at = 0 };
    uint64_t sums[2] = { 0, 0 };
    disk_plan(r->disk, &none);
    for (int i = 0; i < 2 && r->mail.wrong[0] == '\0'; i++) {
        int32_t status = open_store(r);
        if (status != MAILSRV_OK) {
            fail(r, i == 0 ? "the store cannot be opened" : "the index cannot be made from the log", status);
            return;
        }
        mail_begin(&r->mail);
        mail_check(&r->mail);
        sums[i] = mail_sum(&r->mail);
        mail_end(&r->mail);
        shore_close(&r->mail.shore);
        if (r->mail.wrong[0] == '\0')
            mailsrv_durable_check(&r->mail.shore.setup, not_so, r);
        lose_index(r);
    }
    if (sums[0] != sums[1])
        fail(r, "the index made from the log is another", MAILSRV_OK);
}

static void all_lives(struct run *r)
{
    for (int i = 0; i < LIVES && r->mail.wrong[0] == '\0'; i++) {
        one_life(r);
        between_lives(r);
    }
    if (r->mail.wrong[0] == '\0')
        last_look(r);
}

static void power_cuts(uint64_t seed, uint64_t seeds, uint32_t shards)
{
    uint64_t cuts = 0, failures = 0, answered = 0, gone = 0, syncs[SYNC_COUNT] = { 0 };
    uint32_t bad = 0;
    char text[240] = "";
    for (uint64_t i = 0; i < seeds; i++) {
        struct run *r = malloc(sizeof *r);
        if (r == NULL)
            abort();
        begin(r, seed + i, shards);
        all_lives(r);
        if (r->mail.wrong[0] != '\0' && bad++ == 0)
            snprintf(text, sizeof text, "MAILSRV_SEED=%llu: %s", (unsigned long long)(seed + i), r->mail.wrong);
        cuts += r->cuts;
        failures += r->failures;
        answered += r->mail.answered;
        gone += disk_segments_gone(r->disk);
        for (int k = 0; k < SYNC_COUNT; k++)
            syncs[k] += disk_syncs(r->disk, (enum sync)k);
        end(r);
        free(r);
    }
    printf("# %llu seeds, %llu cuts, %llu failures, %llu changes answered, %llu segments removed\n",
           (unsigned long long)seeds, (unsigned long long)cuts, (unsigned long long)failures,
           (unsigned long long)answered, (unsigned long long)gone);
    tap(bad == 0, "power", "what was answered is there, whole, and nothing goes back", text);
    tap(cuts > seeds && answered > seeds * 10, "power", "much was answered, and the power went often", "");
    tap(gone > seeds / (2 * shards), "power", "much of the log was compacted", "");
    for (int k = 0; k < SYNC_COUNT; k++)
        tap(syncs[k] != 0, "a sync is made", names[k], "");
}

static void without(enum sync sync, uint64_t seed, uint64_t seeds)
{
    bool found = false;
    uint64_t i = 0;
    for (; i < seeds && !found; i++) {
        struct run *r = malloc(sizeof *r);
        if (r == NULL)
            abort();
        begin(r, seed + i, 1);
        disk_leave_out(r->disk, sync);
        all_lives(r);
        found = r->mail.wrong[0] != '\0';
        if (found)
            printf("# without the sync %s, seed %llu: %s\n", names[sync], (unsigned long long)i, r->mail.wrong);
        end(r);
        free(r);
    }
    tap(found, "without the sync", names[sync], "nothing went wrong");
}

/* With an argument: so many seeds, and no sync left out; with another: so many shards. */
int main(int argc, char **argv)
{
    uint64_t seed = number_of("MAILSRV_SEED", 1), seeds = number_of("POWER_SEEDS", 300);
    power_cuts(seed, argc > 1 ? strtoull(argv[1], NULL, 10) : seeds, argc > 2 ? (uint32_t)atoi(argv[2]) : 1);
    for (int i = 0; i < SYNC_COUNT && argc == 1; i++)
        without((enum sync)i, seed, seeds);
    return tap_end();
}
