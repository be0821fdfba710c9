/* Memory that fails: one run of a load through everything that the durable store serves for each allocation that it
 * makes, of which that one fails; and for some of those that SQLite makes.  Every question is answered once, what was
 * answered OK is there, what was not is there whole or not at all, nothing is left over, and the store goes on. */
#define STARVE_ITSELF
#include "starve.h"

#include "disk.h"
#include "mail_inside.h"
#include "tap.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- Allocations ---- */

static struct allocations {
    atomic_uint n, fails_at; /* the n-th; 0: none */
    uint32_t in_a_row;       /* and so many with it */
    atomic_int live;
} own, sqlite;

static bool fails(struct allocations *a)
{
    uint32_t n = atomic_fetch_add(&a->n, 1) + 1;
    uint32_t first = atomic_load(&a->fails_at);
    return first != 0 && n >= first && n - first < a->in_a_row;
}

static void starve(struct allocations *a, uint32_t fails_at, uint32_t in_a_row)
{
    a->n = 0;
    a->in_a_row = in_a_row;
    a->fails_at = fails_at;
}

static bool has_starved(const struct allocations *a)
{
    return a->fails_at != 0 && a->n >= a->fails_at;
}

void *starve_malloc(size_t n)
{
    void *p = !fails(&own) ? malloc(n) : NULL;
    own.live += p != NULL;
    return p;
}

void *starve_calloc(size_t n, size_t size)
{
    void *p = !fails(&own) ? calloc(n, size) : NULL;
    own.live += p != NULL;
    return p;
}

void *starve_realloc(void *p, size_t n)
{
    if (p == NULL)
        return starve_malloc(n);
    return !fails(&own) ? realloc(p, n) : NULL;
}

void starve_free(void *p)
{
    own.live -= p != NULL;
    free(p);
}

static sqlite3_mem_methods system_methods;

static void *malloc_of_sqlite(int n)
{
    return !fails(&sqlite) ? system_methods.xMalloc(n) : NULL;
}

static void *realloc_of_sqlite(void *p, int n)
{
    return !fails(&sqlite) ? system_methods.xRealloc(p, n) : NULL;
}

static void starve_sqlite(void)
{
    sqlite3_mem_methods methods;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_methods) != SQLITE_OK)
        abort();
    methods = system_methods;
    methods.xMalloc = malloc_of_sqlite;
    methods.xRealloc = realloc_of_sqlite;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        abort();
}

/* ---- A load ---- */

struct run {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail;
    bool is_copied;
    bool opened; /* before, with these accounts */
    mailsrv_id accounts[2];
    char wrong[200];
};

/* By the highest octet of a random number the model chooses what to change. */
enum { DELIVER = 0, DELIVER_MANY = 80, EXPUNGE = 110, FLAG = 160, COPY = 190, MAILBOX = 210, REQUEUE = 240 };

static const uint8_t changes[] = {
    DELIVER, MAILBOX, DELIVER_MANY, FLAG, COPY, MAILBOX, DELIVER, EXPUNGE, REQUEUE, MAILBOX, DELIVER_MANY, COPY,
    MAILBOX, FLAG, DELIVER, REQUEUE, EXPUNGE, MAILBOX, DELIVER_MANY, MAILBOX, DELIVER, FLAG, EXPUNGE, MAILBOX,
};

static uint64_t number(uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (x ^ x >> 31) & UINT64_C(0xffffffffffffff);
}

static void say(struct run *r, const char *text, int32_t status)
{
    if (r->wrong[0] == '\0')
        snprintf(r->wrong, sizeof r->wrong, "%s: %s", text, mailsrv_strerror(status));
}

/* What the model does not ask. */
static void ask_the_rest(struct run *r)
{
    struct mail *m = &r->mail;
    struct opened opened;
    mailsrv_asked *lock, *changed;
    mail_open_store(m, 0, &opened);
    mailsrv_arg_lock arg = { sizeof arg, 0, opened.store_handle };
    mail_hear(m, 0, MAILSRV_OP_LOCK, 0, &arg, &lock);
    mailsrv_arg_changes names = { .size = sizeof names, .limit = 10, .store = opened.store_handle };
    mail_hear(m, 0, MAILSRV_OP_CHANGES, 0, &names, &changed);
    mailsrv_asked_free(changed);
    mailsrv_asked_free(lock);
    mail_settle(m);
    mail_close_box(m, &opened);
    mailsrv_durable_set_quota(m->shore.store, &m->shore.accounts[1], 1u << 30);
    r->is_copied = mailsrv_durable_copy(m->shore.store, "/copy", NULL, NULL) == MAILSRV_OK;
}

/* All is read as well, but not judged: an answer may be that there is no memory. */
static void load(struct run *r)
{
    static struct mail before;
    struct mail *m = &r->mail;
    for (size_t i = 0; i < sizeof changes && !m->must_look && m->wrong[0] == '\0'; i++)
        mail_change(m, (uint64_t)changes[i] << 56 | number(i));
    ask_the_rest(r);
    before = *m;
    if (!m->must_look)
        mail_check(m);
    m->known = before.known;
    memcpy(m->wrong, before.wrong, sizeof before.wrong);
}

/* Where there is no memory to open the store, there is when it is tried again. */
static bool open_store(struct run *r)
{
    mailsrv_id before[2];
    int32_t status = shore_open(&r->mail.shore);
    if (status != MAILSRV_OK && !has_starved(&own) && !has_starved(&sqlite))
        say(r, "the store cannot be opened", status);
    for (int i = 0; i < 100 && status != MAILSRV_OK; i++)
        status = shore_open(&r->mail.shore);
    if (status != MAILSRV_OK)
        say(r, "nor when that is tried again", status);
    if (status == MAILSRV_OK && mailsrv_durable_find_account(r->mail.shore.store, "kim@here", 8, &before[0]) ==
                                    MAILSRV_NONEXISTENT)
        say(r, "an account that was added is not there", MAILSRV_OK);
    memcpy(before, r->accounts, sizeof before);
    memcpy(r->accounts, r->mail.shore.accounts, sizeof before);
    if (r->opened && memcmp(before, r->accounts, sizeof before) != 0)
        say(r, "an account is another than before", MAILSRV_OK);
    r->opened = true;
    return status == MAILSRV_OK && mail_begin(&r->mail);
}

static void close_store(struct run *r)
{
    mail_end(&r->mail);
    shore_close(&r->mail.shore);
    if (own.live != 0)
        say(r, "memory is left over", (int32_t)own.live);
}

static void not_so(void *user, const char *text)
{
    struct run *r = user;
    if (r->wrong[0] == '\0')
        snprintf(r->wrong, sizeof r->wrong, "the check finds %.140s", text);
}

static void look(struct run *r)
{
    if (!open_store(r))
        return;
    mail_check(&r->mail);
    close_store(r);
    mailsrv_durable_check(&r->mail.shore.setup, not_so, r);
}

/* What was answered OK is whole, and opens. */
static void look_at_copy(struct run *r)
{
    mailsrv_durable_setup setup = r->mail.shore.setup;
    mailsrv_store *store;
    mailsrv_id id;
    setup.directory = "/copy";
    mailsrv_durable_check(&setup, not_so, r);
    int32_t status = mailsrv_durable_open(&setup, &store);
    if (status != MAILSRV_OK) {
        say(r, "a copy cannot be opened", status);
        return;
    }
    if (mailsrv_durable_find_account(store, "kim@here", 8, &id) != MAILSRV_OK)
        say(r, "a copy has not all accounts", MAILSRV_OK);
    mailsrv_store_free(store);
}

static void begin(struct run *r, uint32_t shards)
{
    memset(r, 0, sizeof *r);
    r->disk = disk_new(3);
    r->files = disk_files(r->disk);
    shore_init(&r->mail.shore, "/disk", &r->files);
    r->mail.shore.setup.segment_octets = 8192;
    r->mail.shore.setup.memory_octets = 16384;
    r->mail.shore.setup.checkpoint_pages = 6;
    r->mail.shore.setup.shards = shards;
}

/* One run; false: nothing failed any more. */
static bool run_with(struct allocations *a, uint32_t shards, uint32_t fails_at, uint32_t in_a_row, char wrong[200])
{
    struct run *r = malloc(sizeof *r);
    if (r == NULL)
        abort();
    begin(r, shards);
    starve(a, fails_at, in_a_row);
    if (open_store(r)) {
        load(r);
        close_store(r);
    }
    bool failed = has_starved(a);
    starve(a, 0, 0);
    if (r->wrong[0] == '\0')
        look(r);
    if (r->wrong[0] == '\0' && r->is_copied)
        look_at_copy(r);
    if (r->wrong[0] == '\0' && shards == 1) {
        r->files.unlink(r->disk, "/disk/index.db");
        r->files.unlink(r->disk, "/disk/index.db-wal");
        look(r);
    }
    memcpy(wrong, r->wrong[0] != '\0' ? r->wrong : r->mail.wrong, sizeof r->mail.wrong);
    disk_free(r->disk);
    free(r);
    return failed;
}

static void starve_all(struct allocations *a, const char *name, uint32_t shards, uint32_t first, uint32_t step,
                       uint32_t in_a_row)
{
    uint32_t n = 0, at = first;
    char wrong[200] = "", text[240] = "";
    uint32_t bad = 0;
    for (; run_with(a, shards, at, in_a_row, wrong); at += step, n++)
        if (wrong[0] != '\0' && bad++ == 0)
            snprintf(text, sizeof text, "the %u. fails: %s", at, wrong);
    fflush(stdout);
    printf("# %s: %u runs, %u bad\n", name, n, bad);
    tap(bad == 0, "memory fails", name, text);
    tap(n > 50, "memory fails, often", name, "");
}

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (uint32_t)strtoull(text, NULL, 10) : otherwise;
}

/* Of those of SQLite, and of several in a row, one of so many, from the seed. */
int main(void)
{
    uint32_t step = number_of("POWER_STARVED_STEP", 97), seed = number_of("MAILSRV_SEED", 1);
    uint32_t few = step / 16 + 1;
    starve_sqlite();
    starve_all(&own, "the store's", 1, 1, 1, 1);
    starve_all(&own, "several of the store's", 1, 1 + seed % few, few, 20);
    starve_all(&sqlite, "SQLite's", 1, 1 + seed % step, step, 1);
    starve_all(&own, "of a store of three shards", 3, 1 + seed % 5, 5, 1);
    return tap_end();
}
