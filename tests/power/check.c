/* mailsrv_durable_check: of a store that is as it must be it says nothing; of each thing that is damaged, by its name. */
#include "shore.h"
#include "tap.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_OCTETS 20000
#define LARGE 300000 /* a file of its own */
#define SENT 40

struct world {
    char directory[64];
    struct shore shore;
    mailsrv_engine *engine;
    int64_t now_us;
    int account;        /* that is asked about */
    mailsrv_id mailbox; /* of it, where mail goes; zero: INBOX */
    char heard[4096]; /* what the check reported */
};

/* ---- A store ---- */

static mailsrv_asked *begin_to_ask(struct world *w, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    if (mailsrv_ask(w->engine, kind, &w->shore.accounts[w->account], arg, &asked) != MAILSRV_OK)
        abort();
    mailsrv_engine_turn(w->engine, 100000);
    return asked;
}

static mailsrv_asked *wait_for(struct world *w, mailsrv_asked *asked)
{
    while (mailsrv_asked_answer(asked) == NULL && shore_wait(&w->shore)) {
        w->now_us += 1000;
        mailsrv_engine_advance(w->engine, w->now_us, w->now_us);
        mailsrv_engine_turn(w->engine, 100000);
    }
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    if (answer == NULL || answer->status != MAILSRV_OK)
        abort();
    return asked;
}

static mailsrv_asked *ask(struct world *w, int32_t kind, const void *arg)
{
    return wait_for(w, begin_to_ask(w, kind, arg));
}

static void send_one(struct world *w, size_t octets, bool to_queue)
{
    static uint8_t text[LARGE];
    mailsrv_arg_body_begin begin = { sizeof begin, 0, 0 };
    mailsrv_asked *body = ask(w, MAILSRV_OP_BODY_BEGIN, &begin);
    mailsrv_staged staged = { .size = sizeof staged, .octets = octets };
    staged.body = ((const mailsrv_body_begun *)mailsrv_asked_answer(body)->value)->body;
    mailsrv_arg_body_write write = { sizeof write, 0, staged.body, 0, { text, octets } };
    mailsrv_asked_free(ask(w, MAILSRV_OP_BODY_WRITE, &write));
    mailsrv_target target = { .size = sizeof target,
                              .kind = to_queue ? MAILSRV_TARGET_QUEUE : MAILSRV_TARGET_MAILBOX,
                              .account = w->shore.accounts[w->account],
                              .mailbox = w->mailbox };
    mailsrv_arg_body_commit arg = { .size = sizeof arg, .n_bodies = 1, .body_stride = sizeof staged, .n_targets = 1,
                                    .target_stride = sizeof target, .bodies = &staged, .targets = &target };
    mailsrv_asked_free(ask(w, MAILSRV_OP_BODY_COMMIT, &arg));
    mailsrv_asked_free(body);
}

static mailsrv_asked *open_mailbox(struct world *w)
{
    mailsrv_arg_store_open open = { sizeof open, 0 };
    mailsrv_asked *store = ask(w, MAILSRV_OP_STORE_OPEN, &open);
    mailsrv_arg_mbox_open arg = { .size = sizeof arg, .mailbox = w->mailbox, .name = { (const uint8_t *)"INBOX", 5 } };
    arg.store = ((const mailsrv_store_opened *)mailsrv_asked_answer(store)->value)->store;
    mailsrv_asked *mbox = ask(w, MAILSRV_OP_MBOX_OPEN, &arg);
    mailsrv_asked_free(store);
    return mbox;
}

static void flag(struct world *w, const mailsrv_mbox_opened *opened, mailsrv_run run)
{
    mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_ADD, .mbox = opened->mbox, .uids = &run,
                              .n_uids = 1, .flags = MAILSRV_FLAG_FLAGGED, .unchanged_since = UINT64_MAX,
                              .mailbox = opened->mailbox };
    mailsrv_asked_free(ask(w, MAILSRV_OP_FLAGS, &arg));
}

/* Most of what was sent first goes, so that segments do, too; some of the rest is flagged. */
static void expunge_some(struct world *w)
{
    mailsrv_asked *mbox = open_mailbox(w);
    const mailsrv_mbox_opened *opened = mailsrv_asked_answer(mbox)->value;
    mailsrv_run run = { 8, SENT / 2 };
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened->mbox, .uids = &run, .n_uids = 1,
                                .mailbox = opened->mailbox };
    mailsrv_asked_free(ask(w, MAILSRV_OP_EXPUNGE, &arg));
    flag(w, opened, (mailsrv_run){ 3, 4 });
    mailsrv_asked_free(mbox);
}

static void begin(struct world *w, const mailsrv_durable_files *files)
{
    memset(w, 0, sizeof *w);
    strcpy(w->directory, "/tmp/mailsrv-check-XXXXXX");
    if (mkdtemp(w->directory) == NULL)
        abort();
    shore_init(&w->shore, w->directory, files);
    w->shore.setup.segment_octets = SEGMENT_OCTETS;
    if (shore_open(&w->shore) != MAILSRV_OK || mailsrv_engine_new(NULL, &w->engine) != MAILSRV_OK ||
        shore_bind(&w->shore, w->engine) != MAILSRV_OK)
        abort();
}

static void wait_until_tidy(struct world *w)
{
    const struct timespec moment = { 0, 1000000 };
    while (mailsrv_durable_stat(w->shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0)
        nanosleep(&moment, NULL);
}

static void end(struct world *w)
{
    wait_until_tidy(w);
    mailsrv_engine_free(w->engine, MAILSRV_ABANDON);
    shore_close(&w->shore);
}

static void make(struct world *w)
{
    begin(w, NULL);
    for (int i = 0; i < SENT; i++)
        send_one(w, 4000, false);
    send_one(w, LARGE, false);
    send_one(w, 1000, true);
    expunge_some(w);
    end(w);
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

/* ---- The check ---- */

static void hear(void *user, const char *text)
{
    struct world *w = user;
    size_t n = strlen(w->heard);
    snprintf(w->heard + n, sizeof w->heard - n, "%s\n", text);
}

static int32_t check(struct world *w)
{
    w->heard[0] = '\0';
    return mailsrv_durable_check(&w->shore.setup, hear, w);
}

static void finds(struct world *w, const char *what)
{
    int32_t status = check(w);
    tap(status == MAILSRV_CORRUPT && strstr(w->heard, what) != NULL, "the check finds", what, w->heard);
}

/* ---- Damage to the index ---- */

static const struct damage {
    const char *what, *harm, *mend;
} damages[] = {
    { "a message without a body", "UPDATE message SET body = body + 900 WHERE key & 4294967295 = 3",
      "UPDATE message SET body = body - 900 WHERE key & 4294967295 = 3" },
    { "a queue item without a body", "UPDATE queue SET body = body + 900", "UPDATE queue SET body = body - 900" },
    { "a body that counts its messages wrong", "UPDATE body SET refs = refs + 1 WHERE id = 2",
      "UPDATE body SET refs = refs - 1 WHERE id = 2" },
    { "a UID that is not below UIDNEXT", "UPDATE mailbox SET uidnext = 5 WHERE messages > 0",
      "UPDATE mailbox SET uidnext = (SELECT max(key & 4294967295) + 1 FROM message) WHERE messages > 0" },
    { "a UIDNEXT that is none", "UPDATE mailbox SET uidnext = uidnext + 4294967296",
      "UPDATE mailbox SET uidnext = uidnext - 4294967296" },
    { "a UIDVALIDITY above those that were given", "UPDATE account SET uidvalidity = uidvalidity - 1",
      "UPDATE account SET uidvalidity = uidvalidity + 1" },
    { "a modseq above the account's", "UPDATE account SET modseq = modseq - 900",
      "UPDATE account SET modseq = modseq + 900" },
    { "messages without marks, or marks without messages",
      "CREATE TABLE aside AS SELECT * FROM marks; DELETE FROM marks",
      "INSERT INTO marks SELECT * FROM aside; DROP TABLE aside" },
    { "a change of flags that cannot be found", "CREATE TABLE aside AS SELECT * FROM word; DELETE FROM word",
      "INSERT INTO word SELECT * FROM aside; DROP TABLE aside" },
    { "a mailbox that counts its messages wrong", "UPDATE mailbox SET unseen = unseen + 1",
      "UPDATE mailbox SET unseen = unseen - 1" },
    { "an account that counts its octets wrong", "UPDATE account SET octets = octets + 1",
      "UPDATE account SET octets = octets - 1" },
    { "a mailbox of no account", "UPDATE mailbox SET account = x'aa'",
      "UPDATE mailbox SET account = (SELECT account.id FROM account WHERE inbox = mailbox.id)" },
    { "a name of a mailbox that is not there", "UPDATE name SET mailbox = x'aa'",
      "UPDATE name SET mailbox = (SELECT inbox FROM account WHERE account.id = name.account)" },
    { "a number that was not given", "UPDATE state SET last_body = last_body - 1",
      "UPDATE state SET last_body = last_body + 1" },
    { "a segment whose live octets are counted wrong", "UPDATE segment SET live = live + 1",
      "UPDATE segment SET live = live - 1" },
    { "a body that is not where the index says", "DROP TRIGGER body_moved; UPDATE body SET place = place + 1 WHERE id = 2",
      "UPDATE body SET place = place - 1 WHERE id = 2" },
};

static void change_index(struct world *w, const char *how)
{
    char path[128], *text = NULL;
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/index.db", w->directory);
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, how, NULL, NULL, &text) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", how, text);
        abort();
    }
    sqlite3_close(db);
}

static void index_damaged(struct world *w)
{
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        change_index(w, damages[i].harm);
        finds(w, damages[i].what);
        change_index(w, damages[i].mend);
    }
    tap(check(w) == MAILSRV_OK, "the check", "says nothing of what was mended", w->heard);
}

/* One of an older format is as none; one of a newer is not touched. */
static void other_formats(struct world *w)
{
    if (shore_open(&w->shore) != MAILSRV_OK)
        abort();
    shore_close(&w->shore);
    change_index(w, "PRAGMA user_version = 4");
    tap(check(w) == MAILSRV_CANNOT && shore_open(&w->shore) == MAILSRV_CANNOT, "an index of another format",
        "a newer one is refused", w->heard);
    change_index(w, "PRAGMA user_version = 1; DROP TABLE marks");
    tap(check(w) == MAILSRV_OK, "an index of another format", "an older one is not looked at", w->heard);
    int32_t status = shore_open(&w->shore);
    tap(status == MAILSRV_OK, "an index of another format", "and made anew", mailsrv_strerror(status));
    if (status == MAILSRV_OK)
        shore_close(&w->shore);
    tap(check(w) == MAILSRV_OK, "an index of another format", "and is as it must be then", w->heard);
}

static int take_number(void *user, int n, char **values, char **names)
{
    (void)n;
    (void)names;
    *(long *)user = strtol(values[0], NULL, 10);
    return 0;
}

static long ask_index(struct world *w, const char *question)
{
    char path[128];
    sqlite3 *db;
    long answer = -1;
    snprintf(path, sizeof path, "%s/index.db", w->directory);
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, question, take_number, &answer, NULL) != SQLITE_OK)
        abort();
    sqlite3_close(db);
    return answer;
}

static bool becomes_tidy(struct world *w)
{
    const struct timespec moment = { 0, 1000000 };
    for (int i = 0; i < 60000; i++, nanosleep(&moment, NULL))
        if (mailsrv_durable_stat(w->shore.store, MAILSRV_DURABLE_STAT_BUSY) == 0)
            return true;
    return false;
}

/* A mailbox that was deleted goes, and all that it has, though some of that is missing. */
static void half_dead(const char *harm, const char *name)
{
    struct world w;
    begin(&w, NULL);
    for (int i = 0; i < 10; i++)
        send_one(&w, 100, false);
    end(&w);
    change_index(&w, harm);
    if (shore_open(&w.shore) != MAILSRV_OK)
        abort();
    tap(becomes_tidy(&w), name, "the store comes to rest", "");
    shore_close(&w.shore);
    tap(ask_index(&w, "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM marks) +"
                      " (SELECT count(*) FROM mailbox WHERE length(account) = 0)") == 0,
        name, "nothing of it is left", "");
    remove_all(w.directory);
}

/* ---- Damage to files ---- */

static void flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    if (file == NULL || fseek(file, offset, SEEK_SET) != 0)
        abort();
    int octet = fgetc(file);
    fseek(file, offset, SEEK_SET);
    fputc(octet ^ 1, file);
    fclose(file);
}

static void put(const char *path)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        abort();
    fclose(file);
}

/* The name of the file of the one large body, or of a segment that was removed. */
static void find_large(struct world *w, char out[512])
{
    char path[128];
    snprintf(path, sizeof path, "%s/bodies", w->directory);
    DIR *all = opendir(path);
    for (struct dirent *one = readdir(all); one != NULL; one = readdir(all))
        if (one->d_name[0] != '.')
            snprintf(out, 512, "%s/%s", path, one->d_name);
    closedir(all);
}

static int find_gap(struct world *w, char out[512])
{
    for (int i = 1; i < 20; i++) {
        snprintf(out, 512, "%s/%016x.log", w->directory, (unsigned)i);
        if (access(out, F_OK) != 0)
            return i;
    }
    abort();
}

static void files_damaged(struct world *w)
{
    char path[512], other[520];
    snprintf(path, sizeof path, "%s/0000000000000001.log", w->directory);
    flip(path, 5000);
    finds(w, "a segment that is missing, or has a broken frame: 1");
    flip(path, 5000);
    snprintf(other, sizeof other, "%s.away", path);
    rename(path, other);
    finds(w, "a segment that is missing, or has a broken frame: 1");
    rename(other, path);
    find_large(w, path);
    truncate(path, LARGE - 1);
    finds(w, "a body whose file is missing, or has another length");
    truncate(path, LARGE);
    snprintf(other, sizeof other, "%s/bodies/00000000000fffff", w->directory);
    put(other);
    finds(w, "a body that nothing names");
    unlink(other);
    int gap = find_gap(w, path);
    put(path);
    finds(w, "a segment that the log is not made of");
    unlink(path);
    tap(gap > 1 && check(w) == MAILSRV_OK, "the check", "says nothing of files that are as they were", w->heard);
}

static void index_broken(struct world *w)
{
    char path[128];
    snprintf(path, sizeof path, "%s/index.db", w->directory);
    flip(path, 5);
    finds(w, "the index cannot be read");
    unlink(path);
    tap(check(w) == MAILSRV_OK, "the check", "says nothing of an index that is not there: it is made anew", w->heard);
}

/* ---- It changes nothing ---- */

static uint32_t changes;

static int32_t write_none(void *user, void *file, const void *p, size_t n, uint64_t offset)
{
    (void)user, (void)file, (void)p, (void)n, (void)offset;
    changes++;
    return MAILSRV_TEMP;
}

static int32_t truncate_none(void *user, void *file, uint64_t octets)
{
    (void)user, (void)file, (void)octets;
    changes++;
    return MAILSRV_TEMP;
}

static int32_t unlink_none(void *user, const char *path)
{
    (void)user, (void)path;
    changes++;
    return MAILSRV_TEMP;
}

static void unchanged(struct world *w)
{
    mailsrv_durable_files files = { .size = sizeof files };
    mailsrv_durable_system_files(&files);
    files.write = write_none;
    files.truncate = truncate_none;
    files.unlink = files.make_directory = unlink_none;
    w->shore.setup.files = &files;
    tap(check(w) == MAILSRV_OK && changes == 0, "the check", "changes nothing", w->heard);
    w->shore.setup.files = NULL;
}

static void whole(struct world *w)
{
    mailsrv_durable_setup none = { .size = sizeof none };
    int32_t status = check(w);
    tap(status == MAILSRV_OK && w->heard[0] == '\0', "the check", "of a store that is whole", w->heard);
    tap(mailsrv_durable_check(&none, hear, w) == MAILSRV_E_USAGE, "the check", "needs a directory", "");
    if (shore_open(&w->shore) != MAILSRV_OK)
        abort();
    tap(check(w) == MAILSRV_INUSE, "the check", "of a store that is open", "");
    shore_close(&w->shore);
}

/* ---- The number of a mailbox in the index, once more ---- */

static atomic_bool is_held; /* a file that is to go */

static int32_t unlink_held(void *user, const char *path)
{
    const struct timespec moment = { 0, 1000000 };
    mailsrv_durable_files system = { .size = sizeof system };
    mailsrv_durable_system_files(&system);
    while (atomic_load(&is_held))
        nanosleep(&moment, NULL);
    return system.unlink(user, path);
}

static mailsrv_asked *open_account(struct world *w, uint64_t *handle)
{
    mailsrv_arg_store_open open = { sizeof open, 0 };
    mailsrv_asked *store = ask(w, MAILSRV_OP_STORE_OPEN, &open);
    *handle = ((const mailsrv_store_opened *)mailsrv_asked_answer(store)->value)->store;
    return store;
}

/* It is asked for before what is held goes. */
static void create_mailbox(struct world *w)
{
    mailsrv_arg_mbox_create arg = { .size = sizeof arg, .name = { (const uint8_t *)"box", 3 } };
    mailsrv_asked *store = open_account(w, &arg.store), *created = begin_to_ask(w, MAILSRV_OP_MBOX_CREATE, &arg);
    atomic_store(&is_held, false);
    wait_for(w, created);
    w->mailbox = ((const mailsrv_mbox_created *)mailsrv_asked_answer(created)->value)->mailbox;
    mailsrv_asked_free(created);
    mailsrv_asked_free(store);
}

/* With a message that was flagged, and that has a file of its own. */
static void use_and_delete_mailbox(struct world *w)
{
    mailsrv_arg_mbox_delete arg = { .size = sizeof arg, .mailbox = w->mailbox };
    send_one(w, LARGE, false);
    mailsrv_asked *mbox = open_mailbox(w), *store = open_account(w, &arg.store);
    flag(w, mailsrv_asked_answer(mbox)->value, (mailsrv_run){ 1, 1 });
    mailsrv_asked_free(mbox);
    atomic_store(&is_held, true);
    mailsrv_asked_free(ask(w, MAILSRV_OP_MBOX_DELETE, &arg));
    mailsrv_asked_free(store);
}

/* What was known of the mailbox that had it first is not said of the second one, whose account has lower modseqs: the
 * writer, which has just removed the last message of the one, finds the other asked for. */
static void number_again(void)
{
    struct world w;
    mailsrv_durable_files files = { .size = sizeof files };
    mailsrv_durable_system_files(&files);
    files.unlink = unlink_held;
    begin(&w, &files);
    create_mailbox(&w);
    use_and_delete_mailbox(&w);
    w.account = 1;
    create_mailbox(&w);
    send_one(&w, 1000, false);
    end(&w);
    int32_t status = check(&w);
    tap(status == MAILSRV_OK, "the number of a mailbox that was deleted", "is another's", w.heard);
    remove_all(w.directory);
}

int main(void)
{
    struct world w;
    number_again();
    make(&w);
    whole(&w);
    unchanged(&w);
    files_damaged(&w);
    index_damaged(&w);
    index_broken(&w);
    other_formats(&w);
    remove_all(w.directory);
    half_dead("UPDATE mailbox SET account = x''; DELETE FROM marks", "a dead mailbox without marks");
    half_dead("UPDATE mailbox SET account = x''; DELETE FROM message", "a dead mailbox without messages");
    return tap_end();
}
