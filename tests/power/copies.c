/* Copies of a store that goes on being used: on a disk that loses power, fails and is full, and in a directory in which
 * a process is killed.  A copy has what was answered before, is one that the check finds nothing wrong with, and its
 * index can be made from its log alone; every mailbox has a UIDVALIDITY above all that were given, and new ids meet none
 * of the original's.  What is not whole cannot be opened.  The original goes on.  And each sync is needed. */
#include "disk.h"
#include "mail_inside.h"
#include "tap.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHANGES_BEFORE 50
#define CHANGES_AFTER 15
#define COPY "/vault/copy"

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- A copy that is made by another thread ---- */

struct copying {
    mailsrv_store *store;
    const char *directory;
    uint64_t stops_at; /* the word of progress that ends it; 0: none */
    uint64_t told, done, all;
    atomic_bool has_begun, has_ended;
    int32_t status;
    pthread_t thread;
};

static int32_t progress(void *user, uint64_t octets, uint64_t all)
{
    struct copying *c = user;
    c->done = octets;
    c->all = all;
    atomic_store(&c->has_begun, true);
    return ++c->told == c->stops_at ? MAILSRV_LIMIT : MAILSRV_OK;
}

static void *make_copy(void *user)
{
    struct copying *c = user;
    c->status = mailsrv_durable_copy(c->store, c->directory, progress, c);
    atomic_store(&c->has_ended, true);
    return NULL;
}

/* Until what the copy will have is known. */
static void begin_copying(struct copying *c, mailsrv_store *store, const char *directory)
{
    const struct timespec moment = { 0, 20000 };
    c->store = store;
    c->directory = directory;
    if (pthread_create(&c->thread, NULL, make_copy, c) != 0)
        abort();
    while (!atomic_load(&c->has_begun) && !atomic_load(&c->has_ended))
        nanosleep(&moment, NULL);
}

static void end_copying(struct copying *c)
{
    pthread_join(c->thread, NULL);
}

/* ---- A store on a disk ---- */

struct run {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail;      /* the original's */
    struct mail copy;      /* what the copy must have */
    uint32_t dies_in;      /* as in a plan; 0: by chance */
    uint32_t whole, refused, faults;
};

static const struct plan none;
static uint32_t shards = 1;

/* Below a store of one shard, and one of three. */
static const char *const directories[] = { "", "/00", "/01", "/02" };
#define DIRECTORIES (sizeof directories / sizeof *directories)

static void say(struct run *r, const char *text, int32_t status)
{
    if (r->mail.wrong[0] == '\0')
        snprintf(r->mail.wrong, sizeof r->mail.wrong, "%s: %s", text, mailsrv_strerror(status));
}

static void setup(struct shore *shore, const char *directory, const mailsrv_durable_files *files)
{
    shore_init(shore, directory, files);
    shore->setup.segment_octets = 8192;
    shore->setup.memory_octets = 16384;
    shore->setup.checkpoint_pages = 6;
    shore->setup.shards = shards;
}

static int32_t open_one(struct run *r, struct mail *m)
{
    disk_opening(r->disk, true);
    int32_t status = shore_open(&m->shore);
    disk_opening(r->disk, false);
    return status;
}

static void begin(struct run *r, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->disk = disk_new(seed);
    r->files = disk_files(r->disk);
    setup(&r->mail.shore, "/disk", &r->files);
    setup(&r->copy.shore, COPY, &r->files);
    if (r->files.make_directory(r->files.user, "/vault") != MAILSRV_OK ||
        r->files.sync_directory(r->files.user, "") != MAILSRV_OK || open_one(r, &r->mail) != MAILSRV_OK)
        abort();
    mail_begin(&r->mail);
}

static void end(struct run *r)
{
    disk_free(r->disk);
}

static bool is_faulty(struct disk *disk)
{
    return disk_is_dead(disk) || disk_has_failed(disk);
}

/* After a RENAME of INBOX the model has to look; where the power goes meanwhile, or a call of the disk fails, that tells
 * nothing: what was refused then may be there when the store is opened again. */
static void change(struct mail *m, struct disk *disk)
{
    static struct mail before;
    mail_change(m, disk_random(disk));
    if (!m->must_look || is_faulty(disk) || m->is_stuck)
        return;
    before = *m;
    mail_check(m);
    if (is_faulty(disk)) {
        m->known = before.known;
        m->must_look = true;
        memcpy(m->wrong, before.wrong, sizeof m->wrong);
    }
}

/* ---- The copy ---- */

struct found {
    struct run *r;
    const char *where;
};

static void not_so(void *user, const char *text)
{
    const struct found *f = user;
    if (f->r->mail.wrong[0] == '\0')
        snprintf(f->r->mail.wrong, sizeof f->r->mail.wrong, "the check of %s finds %.100s", f->where, text);
}

static void check(struct run *r, const struct mail *m, const char *where)
{
    struct found f = { r, where };
    if (mailsrv_durable_check(&m->shore.setup, not_so, &f) != MAILSRV_OK)
        say(r, "a check fails", MAILSRV_CORRUPT);
}

static void lose_index(struct run *r, const char *directory)
{
    char path[64];
    for (size_t i = 0; i < DIRECTORIES; i++) {
        snprintf(path, sizeof path, "%s%s/index.db", directory, directories[i]);
        r->files.unlink(r->files.user, path);
        snprintf(path, sizeof path, "%s%s/index.db-wal", directory, directories[i]);
        r->files.unlink(r->files.user, path);
        snprintf(path, sizeof path, "%s%s", directory, directories[i]);
        r->files.sync_directory(r->files.user, path);
    }
}

/* What the copy has is known, but for the UIDVALIDITYs. */
static void expect_new_ones(struct mail *copy)
{
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < copy->known.accounts[a].n; i++)
            copy->known.accounts[a].boxes[i].uidvalidity = 0;
}

static void are_new(struct run *r)
{
    for (int a = 0; a < 2; a++) {
        const struct account *before = &r->mail.known.accounts[a], *account = &r->copy.known.accounts[a];
        for (size_t i = 0; i < account->n; i++)
            if (account->boxes[i].state == THERE && account->boxes[i].uidvalidity <= before->uidvalidity_max)
                say(r, "a mailbox of a copy has a UIDVALIDITY that may have been given", MAILSRV_OK);
    }
}

/* Looks at the open copy, and closes it. */
static uint64_t look(struct run *r, bool changes)
{
    struct mail *copy = &r->copy;
    mail_begin(copy);
    mail_check(copy);
    for (int i = 0; changes && i < CHANGES_AFTER && copy->wrong[0] == '\0'; i++)
        change(copy, r->disk);
    if (changes && copy->wrong[0] == '\0')
        mail_check(copy);
    uint64_t sum = mail_sum(copy);
    mail_end(copy);
    shore_close(&copy->shore);
    if (copy->wrong[0] != '\0' && r->mail.wrong[0] == '\0')
        snprintf(r->mail.wrong, sizeof r->mail.wrong, "of a copy: %.140s", copy->wrong);
    return sum;
}

/* It is opened three times: first; after a loss of power, when it is a store like others; and without its index, which
 * may be so at the first time, too. */
static void copy_is_whole(struct run *r)
{
    uint64_t sums[3] = { 0, 0, 0 };
    check(r, &r->copy, "a copy");
    if (disk_random(r->disk) % 2 != 0)
        lose_index(r, COPY);
    for (int i = 0; i < 3 && r->mail.wrong[0] == '\0'; i++) {
        int32_t status = open_one(r, &r->copy);
        if (status != MAILSRV_OK) {
            say(r, "a copy cannot be opened", status);
            return;
        }
        sums[i] = look(r, i == 0);
        if (i == 0)
            are_new(r);
        if (i < 2)
            disk_cut(r->disk);
        if (i == 1)
            lose_index(r, COPY);
    }
    if (r->mail.wrong[0] == '\0' && (sums[0] != sums[1] || sums[1] != sums[2]))
        say(r, "a copy is another when it is opened again", MAILSRV_OK);
    if (r->mail.wrong[0] == '\0')
        check(r, &r->copy, "a copy that was opened");
    r->whole++;
}

static void look_for(void *context, const char *name)
{
    size_t n = strlen(name);
    if (strcmp(name, "index.db") == 0 || (n > 4 && strcmp(name + n - 4, ".log") == 0) || strcmp(name, "copied") == 0)
        *(bool *)context = true;
}

static bool has_some(struct run *r)
{
    bool some = false;
    char path[64];
    for (size_t i = 0; i < DIRECTORIES; i++) {
        snprintf(path, sizeof path, "%s%s", COPY, directories[i]);
        r->files.list(r->files.user, path, look_for, &some);
    }
    return some;
}

static void no_matter(void *user, const char *text)
{
    (void)user;
    (void)text;
}

/* Opened after the power went while it was made. */
static void copy_is_whole_or_none(struct run *r)
{
    if (!has_some(r))
        return;
    bool unfinished = disk_has_name(r->disk, COPY "/unfinished");
    int32_t status = open_one(r, &r->copy);
    if (status == MAILSRV_OK)
        shore_close(&r->copy.shore);
    if (unfinished != (status == MAILSRV_CORRUPT) ||
        (unfinished && mailsrv_durable_check(&r->copy.shore.setup, no_matter, NULL) != MAILSRV_CORRUPT))
        say(r, "a copy that has no end is opened, or another is not", status);
    r->refused += status == MAILSRV_CORRUPT;
    if (status == MAILSRV_OK) {
        open_one(r, &r->copy);
        look(r, false);
    }
}

/* ---- One run ---- */

static struct plan plan_of(uint64_t random, bool *stops)
{
    struct plan plan = { .dies_at = 0 };
    uint64_t n = 1 + (random >> 8) % 90;
    switch (random % 8) {
    case 0:
        plan.dies_at = n;
        break;
    case 1: /* of those that are made while it is */
        plan.dies_in = SYNC_COPY_BEGUN + (uint32_t)(n % (SYNC_COPY_RENEWED - SYNC_COPY_BEGUN)) + 1;
        break;
    case 2:
        plan.write_fails = 1 + n % 40;
        break;
    case 3:
        plan.sync_fails = 1 + n % 8;
        break;
    case 4:
        plan.octets_max = 150000 + (random >> 20) % 300000;
        break;
    case 5:
        *stops = true;
        break;
    default:
        break;
    }
    return plan;
}

static bool is_over(const struct run *r)
{
    return disk_is_dead(r->disk) || r->mail.is_stuck || r->mail.must_look || r->mail.wrong[0] != '\0';
}

/* The original goes on meanwhile. */
static void copy_under_load(struct run *r, struct copying *c)
{
    begin_copying(c, r->mail.shore.store, COPY);
    r->copy.known = r->mail.known;
    r->copy.last_number = r->mail.last_number;
    r->copy.now_us = r->mail.now_us;
    expect_new_ones(&r->copy);
    for (int i = 0; i < CHANGES_AFTER && !is_over(r); i++)
        change(&r->mail, r->disk);
    end_copying(c);
    if (c->status == MAILSRV_OK && (c->done != c->all || c->all == 0))
        say(r, "progress does not come to its end", MAILSRV_OK);
}

/* What was given up can be done again; true: it was. */
static bool once_more(struct run *r)
{
    struct copying c = { .stops_at = 0 };
    if (has_some(r) && !disk_has_name(r->disk, COPY "/unfinished"))
        say(r, "what is no whole copy does not say so", MAILSRV_OK);
    if (has_some(r) || is_over(r))
        return false;
    copy_under_load(r, &c);
    if (c.status != MAILSRV_OK)
        say(r, "a copy cannot be made after one that failed", c.status);
    return c.status == MAILSRV_OK;
}

/* The original is as it must be, whatever became of the copy. */
static void original_is_whole(struct run *r)
{
    disk_plan(r->disk, &none);
    int32_t status = open_one(r, &r->mail);
    if (status != MAILSRV_OK) {
        say(r, "the original cannot be opened", status);
        return;
    }
    mail_begin(&r->mail);
    mail_check(&r->mail);
    mail_end(&r->mail);
    shore_close(&r->mail.shore);
    if (r->mail.wrong[0] == '\0')
        check(r, &r->mail, "the original");
}

static void go(struct run *r)
{
    struct copying c = { .stops_at = 0 };
    bool stops = false;
    for (int i = 0; i < CHANGES_BEFORE && !is_over(r); i++)
        change(&r->mail, r->disk);
    struct plan plan = plan_of(disk_random(r->disk), &stops);
    c.stops_at = stops ? 1 + disk_random(r->disk) % 2 : 0;
    if (r->dies_in != 0)
        plan = (struct plan){ .dies_in = r->dies_in };
    disk_has_links(r->disk, disk_random(r->disk) % 4 != 0);
    disk_plan(r->disk, &plan);
    copy_under_load(r, &c);
    bool died = disk_is_dead(r->disk), failed = disk_has_failed(r->disk);
    r->faults += died || failed || stops;
    disk_plan(r->disk, &none);
    if (c.status != MAILSRV_OK && !died && !failed && !stops)
        say(r, "a copy fails", c.status);
    bool made = c.status == MAILSRV_OK || (!died && !failed && once_more(r));
    mail_end(&r->mail);
    shore_close(&r->mail.shore);
    disk_cut(r->disk);
    if (made && r->mail.wrong[0] == '\0')
        copy_is_whole(r);
    else if (r->mail.wrong[0] == '\0')
        copy_is_whole_or_none(r);
    if (r->mail.wrong[0] == '\0')
        original_is_whole(r);
}

static void under_faults(uint64_t seed, uint64_t seeds)
{
    uint64_t whole = 0, refused = 0, faults = 0, bad = 0, syncs[SYNC_ALL] = { 0 };
    char text[240] = "";
    for (uint64_t i = 0; i < seeds; i++) {
        struct run *r = malloc(sizeof *r);
        if (r == NULL)
            abort();
        begin(r, seed + i);
        go(r);
        if (r->mail.wrong[0] != '\0' && bad++ == 0)
            snprintf(text, sizeof text, "MAILSRV_SEED=%llu: %s", (unsigned long long)(seed + i), r->mail.wrong);
        whole += r->whole;
        refused += r->refused;
        faults += r->faults;
        for (int k = 0; k < SYNC_ALL; k++)
            syncs[k] += disk_syncs(r->disk, (enum sync)k);
        end(r);
        free(r);
    }
    printf("# %llu copies: %llu whole, %llu not made to their end, %llu faults\n", (unsigned long long)seeds,
           (unsigned long long)whole, (unsigned long long)refused, (unsigned long long)faults);
    tap(bad == 0, "copies", "are whole, or none, and the original goes on", text);
    tap(seeds < 40 || (whole > seeds / 5 && faults > seeds / 3), "copies", "many are made, and many fail", "");
    tap(seeds < 100 || refused != 0, "copies", "some are not made to their end", "");
    for (int k = SYNC_COUNT; k < SYNC_ALL && shards == 1 && seeds >= 40; k++)
        if (syncs[k] == 0)
            tap(false, "copies", "every sync is made", "");
}

/* ---- Without each sync ---- */

static const char *const names[SYNC_ALL - SYNC_COUNT] = {
    "of the name that says that it is none yet", "of the directory's name", "of a segment", "of a large body",
    "of the index", "of the names of large bodies", "of all other names", "of its end",
    "of the first segment of its own",
    "of its being a store like others",
};

static void without(enum sync sync, uint64_t seed, uint64_t seeds)
{
    bool found = false;
    for (uint64_t i = 0; i < seeds && !found; i++) {
        struct run *r = malloc(sizeof *r);
        if (r == NULL)
            abort();
        begin(r, seed + i);
        disk_leave_out(r->disk, sync);
        r->dies_in = sync == SYNC_COPY_NAMES ? SYNC_COPY_ENDED + 1 : 0;
        go(r);
        found = r->mail.wrong[0] != '\0';
        if (found)
            printf("# without the sync %s, seed %llu: %s\n", names[sync - SYNC_COUNT], (unsigned long long)i,
                   r->mail.wrong);
        end(r);
        free(r);
    }
    tap(found, "without the sync", names[sync - SYNC_COUNT], "nothing went wrong");
}

/* ---- Ids ---- */

static mailsrv_durable_setup setup_of(const char *directory, const mailsrv_durable_files *files)
{
    return (mailsrv_durable_setup){ .size = sizeof(mailsrv_durable_setup), .directory = directory, .files = files };
}

/* Makes an account; its id's first half says which store gave it. */
static mailsrv_id add(mailsrv_store *store, const char *name)
{
    mailsrv_id id = { { 0 } };
    if (mailsrv_durable_add_account(store, name, strlen(name), &id) != MAILSRV_OK)
        abort();
    return id;
}

/* Something that is nobody's: an item of the queue. */
static void queue_one(mailsrv_store *store)
{
    const struct timespec moment = { 0, 100000 };
    mailsrv_engine *engine;
    mailsrv_asked *asked[2];
    int64_t now_us = 0;
    mailsrv_arg_body_begin begin = { sizeof begin, 0, 0 };
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK ||
        mailsrv_durable_bind(store, engine, NULL, NULL) != MAILSRV_OK ||
        mailsrv_ask(engine, MAILSRV_OP_BODY_BEGIN, NULL, &begin, &asked[0]) != MAILSRV_OK)
        abort();
    mailsrv_engine_turn(engine, 1000);
    mailsrv_staged staged = { .size = sizeof staged };
    staged.body = ((const mailsrv_body_begun *)mail_value_of(asked[0]))->body;
    mailsrv_target target = { .size = sizeof target, .kind = MAILSRV_TARGET_QUEUE };
    mailsrv_arg_body_commit arg = { .size = sizeof arg, .n_bodies = 1, .body_stride = sizeof staged, .n_targets = 1,
                                    .target_stride = sizeof target, .bodies = &staged, .targets = &target };
    if (mailsrv_ask(engine, MAILSRV_OP_BODY_COMMIT, NULL, &arg, &asked[1]) != MAILSRV_OK)
        abort();
    for (; mailsrv_asked_answer(asked[1]) == NULL; nanosleep(&moment, NULL)) {
        now_us++;
        mailsrv_engine_advance(engine, now_us, now_us);
        mailsrv_engine_turn(engine, 1000);
    }
    mailsrv_asked_free(asked[1]);
    mailsrv_asked_free(asked[0]);
    mailsrv_engine_free(engine, MAILSRV_ABANDON);
}

/* What new ids begin with is durable before a copy is a store like others, also where no mailbox gets a new UIDVALIDITY
 * because there is none: the power goes in between. */
static bool ids_meet(uint64_t seed, bool has_account, bool left_out)
{
    struct disk *disk = disk_new(seed);
    const mailsrv_durable_files files = disk_files(disk);
    mailsrv_durable_setup original = setup_of("/disk", &files), copy = setup_of(COPY, &files);
    mailsrv_store *store, *other;
    files.make_directory(files.user, "/vault");
    files.sync_directory(files.user, "");
    if (mailsrv_durable_open(&original, &store) != MAILSRV_OK)
        abort();
    queue_one(store);
    mailsrv_id first = has_account ? add(store, "first") : (mailsrv_id){ { 0 } }, found = first;
    if (mailsrv_durable_copy(store, COPY, NULL, NULL) != MAILSRV_OK)
        abort();
    mailsrv_id mine = add(store, "second");
    mailsrv_store_free(store);
    if (left_out)
        disk_leave_out(disk, SYNC_COPY_RENEWED);
    disk_opening(disk, true);
    if (mailsrv_durable_open(&copy, &other) != MAILSRV_OK)
        abort();
    mailsrv_store_free(other);
    disk_cut(disk);
    if (mailsrv_durable_open(&copy, &other) != MAILSRV_OK)
        abort();
    mailsrv_id theirs = add(other, "second");
    bool is_lost = has_account && mailsrv_durable_find_account(other, "first", 5, &found) != MAILSRV_OK;
    mailsrv_store_free(other);
    disk_free(disk);
    return is_lost || memcmp(&found, &first, sizeof found) != 0 || memcmp(mine.b, theirs.b, 8) == 0;
}

static void ids(void)
{
    bool meet = false, meet_without = false;
    for (uint64_t seed = 0; seed < 10; seed++) {
        meet = meet || ids_meet(seed, seed % 2 == 0, false);
        meet_without = meet_without || ids_meet(seed, false, true);
    }
    tap(!meet, "ids", "of a copy meet none of the original's", "");
    tap(meet_without, "ids", "meet without the sync of the first segment of its own", "");
}

/* ---- What goes while a copy is made ---- */

/* Files whose first link waits until it is let go. */
static struct {
    mailsrv_durable_files base;
    atomic_bool is_reached, goes_on;
} held;

static int32_t held_link(void *user, const char *path, const char *other)
{
    const struct timespec moment = { 0, 100000 };
    atomic_store(&held.is_reached, true);
    while (!atomic_load(&held.goes_on))
        nanosleep(&moment, NULL);
    return held.base.link(user, path, other);
}

static bool waits_for(struct run *r, uint64_t gone, int ms)
{
    const struct timespec moment = { 0, 1000000 };
    for (int i = 0; i < ms && disk_segments_gone(r->disk) <= gone; i++)
        nanosleep(&moment, NULL);
    return disk_segments_gone(r->disk) > gone;
}

static void remove_everything(struct mail *m)
{
    const mailsrv_run all = { 1, UINT32_MAX };
    for (int a = 0; a < 2; a++)
        for (size_t i = 0; i < m->known.accounts[a].n; i++) {
            const struct box *known = &m->known.accounts[a].boxes[i];
            struct opened box;
            mailsrv_asked *asked;
            if (known->state != THERE || !mail_open_box(m, a, known, &box))
                continue;
            mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = box.value.mbox, .uids = &all, .n_uids = 1,
                                        .mailbox = box.value.mailbox };
            mail_hear(m, 0, MAILSRV_OP_EXPUNGE, a, &arg, &asked);
            mailsrv_asked_free(asked);
            mail_close_box(m, &box);
        }
    mail_settle(m);
}

/* Everything goes while a copy is made, and every segment is retired: their files stay until it is done. */
static void all_goes(void)
{
    struct run *r = malloc(sizeof *r);
    struct copying c = { .stops_at = 0 };
    const struct timespec moment = { 0, 100000 };
    if (r == NULL)
        abort();
    begin(r, 12);
    mail_end(&r->mail);
    shore_close(&r->mail.shore);
    held.base = r->files;
    r->files.link = held_link;
    if (open_one(r, &r->mail) != MAILSRV_OK)
        abort();
    mail_begin(&r->mail);
    for (int i = 0; i < 60; i++)
        mail_deliver(&r->mail, disk_random(r->disk));
    begin_copying(&c, r->mail.shore.store, COPY);
    r->copy.known = r->mail.known;
    r->copy.last_number = r->mail.last_number;
    expect_new_ones(&r->copy);
    while (!atomic_load(&held.is_reached))
        nanosleep(&moment, NULL);
    uint64_t gone = disk_segments_gone(r->disk);
    remove_everything(&r->mail);
    tap(!waits_for(r, gone, 500), "while a copy is made", "nothing is removed", "");
    atomic_store(&held.goes_on, true);
    end_copying(&c);
    tap(c.status == MAILSRV_OK && waits_for(r, gone, 20000), "when a copy is made", "what has waited is removed", "");
    mail_end(&r->mail);
    shore_close(&r->mail.shore);
    disk_cut(r->disk);
    if (c.status == MAILSRV_OK)
        copy_is_whole(r);
    tap(r->mail.wrong[0] == '\0', "a copy", "has what went while it was made", r->mail.wrong);
    end(r);
    free(r);
}

/* ---- What is refused ---- */

static int32_t stop(void *user, uint64_t octets, uint64_t all)
{
    (void)user;
    (void)octets;
    (void)all;
    return MAILSRV_NOPERM;
}

static void refusals(void)
{
    struct disk *disk = disk_new(5);
    const mailsrv_durable_files files = disk_files(disk);
    mailsrv_durable_setup original = setup_of("/disk", &files);
    mailsrv_store *store;
    void *lock, *file;
    if (mailsrv_durable_open(&original, &store) != MAILSRV_OK)
        abort();
    tap(mailsrv_durable_copy(NULL, COPY, NULL, NULL) == MAILSRV_E_USAGE &&
            mailsrv_durable_copy(store, NULL, NULL, NULL) == MAILSRV_E_USAGE &&
            mailsrv_durable_copy(store, "", NULL, NULL) == MAILSRV_E_USAGE,
        "a copy", "needs a store and a directory", "");
    tap(mailsrv_durable_copy(store, "/disk", NULL, NULL) == MAILSRV_INUSE, "a copy", "of a store into itself", "");
    files.lock(files.user, COPY "/lock", &lock);
    tap(mailsrv_durable_copy(store, COPY, NULL, NULL) == MAILSRV_INUSE, "a copy", "where another is made", "");
    files.unlock(files.user, lock);
    tap(mailsrv_durable_copy(store, COPY, stop, NULL) == MAILSRV_NOPERM, "a copy", "ends with what progress says", "");
    tap(mailsrv_durable_copy(store, COPY, NULL, NULL) == MAILSRV_OK, "a copy", "where one was given up", "");
    tap(mailsrv_durable_copy(store, COPY, NULL, NULL) == MAILSRV_ALREADYEXISTS, "a copy", "where there is one", "");
    files.make_directory(files.user, "/other");
    files.open(files.user, "/other/letter", MAILSRV_DURABLE_CREATE, &file);
    files.close(files.user, file);
    tap(mailsrv_durable_copy(store, "/other", NULL, NULL) == MAILSRV_ALREADYEXISTS &&
            disk_has_name(disk, "/other/letter"),
        "a copy", "where there is something else", "");
    mailsrv_store_free(store);
    disk_free(disk);
}

/* ---- kill -9 of a process that copies again and again, in a real directory ---- */

static char home[] = "/tmp/mailsrv-copies-XXXXXX";

struct killed {
    struct mail mail, copy;
    atomic_uint begun, ended; /* copies */
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

static void path_of(const char *name, char out[64])
{
    snprintf(out, 64, "%s/%s", home, name);
}

static int32_t open_in(struct mail *m, const char *name, char path[64])
{
    path_of(name, path);
    setup(&m->shore, path, NULL);
    m->shore.setup.segment_octets = 40000;
    return shore_open(&m->shore);
}

static void copy_for_ever(struct killed *k, uint64_t seed)
{
    char path[64], to[64];
    struct disk *random = disk_new(seed);
    if (open_in(&k->mail, "store", path) != MAILSRV_OK)
        _exit(1);
    mail_begin(&k->mail);
    path_of("copy", to);
    for (int i = 0; i < 20 && !k->mail.must_look; i++)
        mail_change(&k->mail, disk_random(random));
    for (;;) {
        struct copying c = { .stops_at = 0 };
        begin_copying(&c, k->mail.shore.store, to);
        k->copy.known = k->mail.known;
        atomic_fetch_add(&k->begun, 1);
        for (int i = 0; i < 3 && !k->mail.must_look; i++)
            mail_change(&k->mail, disk_random(random));
        end_copying(&c);
        if (c.status != MAILSRV_OK)
            _exit(2);
        atomic_fetch_add(&k->ended, 1);
        remove_all(to);
    }
}

/* One to three copies have begun. */
static void wait_for_copies(const struct killed *k, pid_t child, uint64_t random)
{
    const struct timespec moment = { 0, 100000 };
    siginfo_t ended = { .si_pid = 0 };
    while (atomic_load(&k->begun) < 1 + random % 3 && ended.si_pid == 0) {
        nanosleep(&moment, NULL);
        if (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) != 0)
            abort();
    }
    struct timespec pause = { 0, (long)(random >> 8) % 20000 * 1000 };
    nanosleep(&pause, NULL);
}

static void kill_one(struct killed *k, uint64_t *random)
{
    struct disk *more = disk_new(*random);
    pid_t child = fork();
    if (child == 0)
        copy_for_ever(k, *random);
    wait_for_copies(k, child, disk_random(more) >> 1);
    kill(child, SIGKILL);
    int how = 0;
    waitpid(child, &how, 0);
    if (!WIFSIGNALED(how))
        snprintf(k->mail.wrong, sizeof k->mail.wrong, "the copier ended by itself");
    *random = disk_random(more);
    disk_free(more);
}

/* Whether the copy has what it must have is looked at where all of it was made with the model as it was: the process
 * was killed neither before that was known nor while it was removed. */
static void look_at_copy(struct killed *k, uint32_t *whole)
{
    char path[64], mark[80];
    path_of("copy", path);
    snprintf(mark, sizeof mark, "%s/copied", path);
    bool copied = access(mark, F_OK) == 0;
    snprintf(mark, sizeof mark, "%s/unfinished", path);
    if (access(mark, F_OK) == 0 || !copied || k->begun != k->ended + 1)
        return;
    expect_new_ones(&k->copy);
    int32_t status = open_in(&k->copy, "copy", path);
    if (status != MAILSRV_OK) {
        snprintf(k->mail.wrong, sizeof k->mail.wrong, "a copy cannot be opened: %s", mailsrv_strerror(status));
        return;
    }
    mail_begin(&k->copy);
    mail_check(&k->copy);
    mail_end(&k->copy);
    shore_close(&k->copy.shore);
    if (k->copy.wrong[0] != '\0')
        memcpy(k->mail.wrong, k->copy.wrong, sizeof k->copy.wrong);
    ++*whole;
}

static void killed(uint64_t seed, uint64_t kills)
{
    struct killed *k = mmap(NULL, sizeof *k, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char path[64];
    uint32_t whole = 0, copies = 0;
    if (k == MAP_FAILED || mkdtemp(home) == NULL)
        abort();
    path_of("store", path);
    if (mailsrv_durable_copy(NULL, path, NULL, NULL) != MAILSRV_E_USAGE)
        abort();
    char make[80];
    snprintf(make, sizeof make, "mkdir %s", path);
    if (system(make) != 0)
        abort();
    for (uint64_t i = 0; i < kills && k->mail.wrong[0] == '\0'; i++) {
        k->begun = k->ended = 0;
        kill_one(k, &seed);
        copies += k->ended;
        look_at_copy(k, &whole);
        path_of("copy", path);
        remove_all(path);
        int32_t status = open_in(&k->mail, "store", path);
        if (status != MAILSRV_OK)
            snprintf(k->mail.wrong, sizeof k->mail.wrong, "the store cannot be opened: %s", mailsrv_strerror(status));
        if (status != MAILSRV_OK)
            break;
        mail_begin(&k->mail);
        mail_check(&k->mail);
        mail_end(&k->mail);
        shore_close(&k->mail.shore);
    }
    printf("# %llu kills, %u copies, %u opened after a kill\n", (unsigned long long)kills, copies, whole);
    tap(k->mail.wrong[0] == '\0', "kill -9", "the store goes on, and a copy is whole", k->mail.wrong);
    tap(copies != 0, "kill -9", "some copies are made", "");
    remove_all(home);
}

/* With an argument: so many seeds, and no sync left out; with another: so many shards. */
int main(int argc, char **argv)
{
    uint64_t seed = number_of("MAILSRV_SEED", 1), seeds = number_of("POWER_COPIES", 60);
    shards = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
    if (argc == 1) {
        refusals();
        ids();
        all_goes();
    }
    under_faults(seed, argc > 1 ? strtoull(argv[1], NULL, 10) : seeds);
    for (int i = SYNC_COUNT; i < SYNC_ALL && argc == 1; i++)
        if (i != SYNC_COPY_RENEWED) /* that is found above */
            without((enum sync)i, seed, 10 * seeds);
    if (argc == 1)
        killed(seed, number_of("POWER_KILLS", 10));
    return tap_end();
}
