/* What the durable store does beyond the kit: who may open it, what it says of broken files, UIDs at their end, large
 * bodies, engines that are given up, and an index that cannot take what is durable. */
#include "disk.h"
#include "shore.h"
#include "tap.h"

#include <mailsrv/stats.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fixture {
    struct disk *disk;
    mailsrv_durable_files files;
    struct shore shore;
    mailsrv_engine *engines[2];
    int64_t now_us;
};

static void begin_engines(struct fixture *f)
{
    for (int i = 0; i < 2; i++)
        if (mailsrv_engine_new(NULL, &f->engines[i]) != MAILSRV_OK ||
            shore_bind(&f->shore, f->engines[i]) != MAILSRV_OK)
            abort();
}

static void end_engines(struct fixture *f)
{
    for (int i = 0; i < 2; i++)
        mailsrv_engine_free(f->engines[i], MAILSRV_ABANDON);
}

/* `memory_octets`: 0: as the store has it when nothing is said; so `reserve_octets`. */
static void begin_as(struct fixture *f, uint64_t memory_octets, uint64_t reserve_octets)
{
    memset(f, 0, sizeof *f);
    f->disk = disk_new(7);
    f->files = disk_files(f->disk);
    shore_init(&f->shore, "/disk", &f->files);
    f->shore.setup.reserve_octets = reserve_octets;
    f->shore.setup.memory_octets = memory_octets;
    if (shore_open(&f->shore) != MAILSRV_OK)
        abort();
    begin_engines(f);
}

static void begin_with(struct fixture *f, uint64_t memory_octets)
{
    begin_as(f, memory_octets, 200000);
}

static void begin(struct fixture *f)
{
    begin_with(f, 0);
}

static void end(struct fixture *f)
{
    end_engines(f);
    shore_close(&f->shore);
    disk_free(f->disk);
}

static int32_t open_again(struct fixture *f)
{
    end_engines(f);
    shore_close(&f->shore);
    int32_t status = shore_open(&f->shore);
    if (status == MAILSRV_OK)
        begin_engines(f);
    return status;
}

static void turn(struct fixture *f)
{
    f->now_us += 1000;
    for (int i = 0; i < 2; i++) {
        mailsrv_engine_advance(f->engines[i], f->now_us, f->now_us);
        mailsrv_engine_turn(f->engines[i], 100000);
    }
}

/* Nothing more will be answered for now. */
static bool all_are_held(struct fixture *f)
{
    uint64_t held = mailsrv_durable_stat(f->shore.store, MAILSRV_DURABLE_STAT_HELD), out = 0;
    for (int i = 0; i < 2; i++)
        out += mailsrv_engine_stat(f->engines[i], MAILSRV_STAT_OPS_OUT);
    return held != 0 && held == out;
}

static mailsrv_asked *ask(struct fixture *f, int engine, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    if (mailsrv_ask(f->engines[engine], kind, &f->shore.accounts[0], arg, &asked) != MAILSRV_OK)
        abort();
    for (turn(f); mailsrv_asked_answer(asked) == NULL && !all_are_held(f) && shore_wait(&f->shore); turn(f))
        continue;
    return asked;
}

static const void *value_of(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    return answer != NULL && answer->status == MAILSRV_OK ? answer->value : NULL;
}

static void drop(struct fixture *f, mailsrv_asked *asked)
{
    mailsrv_asked_free(asked);
    turn(f);
}

/* ---- Bodies and commits ---- */

static mailsrv_asked *stage(struct fixture *f, size_t octets, mailsrv_staged *staged)
{
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    mailsrv_asked *asked = ask(f, 0, MAILSRV_OP_BODY_BEGIN, &arg);
    uint8_t piece[4000];
    *staged = (mailsrv_staged){ .size = sizeof *staged };
    staged->body = ((const mailsrv_body_begun *)value_of(asked))->body;
    for (size_t n; staged->octets < octets; staged->octets += n) {
        n = octets - staged->octets < sizeof piece ? (size_t)(octets - staged->octets) : sizeof piece;
        memset(piece, 'a' + (int)(staged->octets / sizeof piece % 26), n);
        mailsrv_arg_body_write write = { sizeof write, 0, staged->body, staged->octets, { piece, n } };
        drop(f, ask(f, 0, MAILSRV_OP_BODY_WRITE, &write));
    }
    return asked;
}

struct commit {
    mailsrv_staged staged;
    mailsrv_target target;
    mailsrv_arg_body_commit arg;
    mailsrv_asked *body, *asked;
};

static void make_commit(struct fixture *f, struct commit *c, size_t octets, uint32_t uid)
{
    memset(c, 0, sizeof *c);
    c->body = stage(f, octets, &c->staged);
    c->target = (mailsrv_target){ .size = sizeof c->target,
                                  .kind = MAILSRV_TARGET_MAILBOX,
                                  .account = f->shore.accounts[0],
                                  .uid = uid };
    c->arg = (mailsrv_arg_body_commit){ .size = sizeof c->arg,
                                        .n_bodies = 1,
                                        .body_stride = sizeof c->staged,
                                        .n_targets = 1,
                                        .target_stride = sizeof c->target,
                                        .bodies = &c->staged,
                                        .targets = &c->target };
}

static void ask_commit(struct fixture *f, struct commit *c, size_t octets, uint32_t uid)
{
    make_commit(f, c, octets, uid);
    c->asked = ask(f, 0, MAILSRV_OP_BODY_COMMIT, &c->arg);
}

static mailsrv_result result_of(struct fixture *f, struct commit *c)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(c->asked);
    const mailsrv_committed *value = value_of(c->asked);
    mailsrv_result result = { .status = answer != NULL ? answer->status : MAILSRV_MORE };
    if (value != NULL)
        result = value->results[0];
    drop(f, c->asked);
    drop(f, c->body);
    return result;
}

static mailsrv_result send_one(struct fixture *f, size_t octets, uint32_t uid)
{
    struct commit c;
    ask_commit(f, &c, octets, uid);
    return result_of(f, &c);
}

/* What is durable is held while the index has no room, and answered when it has. */
static mailsrv_result send_patiently(struct fixture *f, size_t octets)
{
    const struct timespec moment = { 0, 10000000 };
    struct commit c;
    ask_commit(f, &c, octets, 0);
    for (int i = 0; i < 1000 && mailsrv_asked_answer(c.asked) == NULL; i++) {
        nanosleep(&moment, NULL);
        turn(f);
    }
    return result_of(f, &c);
}

struct opened {
    mailsrv_asked *store, *mbox;
    mailsrv_mbox_opened value;
};

static void open_inbox(struct fixture *f, struct opened *out)
{
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    out->store = ask(f, 1, MAILSRV_OP_STORE_OPEN, &arg);
    mailsrv_arg_mbox_open mbox = { .size = sizeof mbox, .name = { (const uint8_t *)"INBOX", 5 } };
    mbox.store = ((const mailsrv_store_opened *)value_of(out->store))->store;
    out->mbox = ask(f, 1, MAILSRV_OP_MBOX_OPEN, &mbox);
    out->value = *(const mailsrv_mbox_opened *)value_of(out->mbox);
}

static void close_inbox(struct fixture *f, struct opened *box)
{
    drop(f, box->mbox);
    drop(f, box->store);
}

static uint64_t messages(struct fixture *f)
{
    struct opened box;
    open_inbox(f, &box);
    close_inbox(f, &box);
    return box.value.exists;
}

/* ---- Opening ---- */

static void opening(void)
{
    struct fixture f;
    mailsrv_durable_setup setup = { .size = sizeof setup };
    mailsrv_store *store;
    mailsrv_id id;
    begin(&f);
    tap(mailsrv_durable_open(&setup, &store) == MAILSRV_E_USAGE, "opening", "without a directory", "");
    setup = f.shore.setup;
    tap(mailsrv_durable_open(&setup, &store) == MAILSRV_INUSE, "opening", "what is open", "");
    tap(mailsrv_durable_add_account(f.shore.store, "pat@here", 8, &id) == MAILSRV_ALREADYEXISTS, "opening",
        "an account that is there", "");
    tap(mailsrv_durable_find_account(f.shore.store, "sam", 3, &id) == MAILSRV_NONEXISTENT, "opening",
        "an account that is not there", "");
    tap(mailsrv_durable_bind(f.shore.store, f.engines[0], NULL, NULL) == MAILSRV_E_USAGE, "opening",
        "an engine that is bound", "");
    id = f.shore.accounts[1];
    open_again(&f);
    tap(memcmp(&id, &f.shore.accounts[1], sizeof id) == 0, "opening", "accounts are found again", "");
    end(&f);
    setup.files = NULL;
    setup.directory = "/nowhere/at all";
    tap(mailsrv_durable_open(&setup, &store) == MAILSRV_NONEXISTENT, "opening", "no directory", "");
}

/* ---- Files that are not as they were ---- */

static void flip(struct fixture *f, const char *path, uint64_t offset)
{
    void *file;
    uint8_t octet;
    size_t got;
    if (f->files.open(f->disk, path, MAILSRV_DURABLE_WRITE, &file) != MAILSRV_OK)
        abort();
    f->files.read(f->disk, file, &octet, 1, offset, &got);
    octet ^= 1;
    f->files.write(f->disk, file, &octet, 1, offset);
    f->files.close(f->disk, file);
}

/* A segment that has another behind it is never cut: what is broken there is said, not dropped. */
static void broken(void)
{
    struct fixture f;
    begin(&f);
    send_one(&f, 3000, 0);
    open_again(&f);
    send_one(&f, 3000, 0);
    end_engines(&f);
    shore_close(&f.shore);
    f.files.unlink(f.disk, "/disk/index.db");
    f.files.unlink(f.disk, "/disk/index.db-wal");
    flip(&f, "/disk/0000000000000001.log", 1000);
    tap(shore_open(&f.shore) == MAILSRV_CORRUPT, "broken files", "a frame that is not of the last segment", "");
    flip(&f, "/disk/0000000000000001.log", 1000);
    int32_t status = shore_open(&f.shore);
    tap(status == MAILSRV_OK, "broken files", "and mended", mailsrv_strerror(status));
    begin_engines(&f);
    tap(messages(&f) == 2, "broken files", "the index is made anew from the log", "");
    end_engines(&f);
    shore_close(&f.shore);
    f.files.unlink(f.disk, "/disk/0000000000000001.log");
    f.files.unlink(f.disk, "/disk/index.db");
    f.files.unlink(f.disk, "/disk/index.db-wal");
    tap(shore_open(&f.shore) == MAILSRV_CORRUPT, "broken files", "a segment that is missing", "");
    disk_free(f.disk);
}

/* ---- UIDs end at 2^32 - 1 ---- */

static void uids_end(void)
{
    struct fixture f;
    begin(&f);
    mailsrv_result first = send_one(&f, 10, 0), last = send_one(&f, 10, UINT32_MAX - 1), none, next;
    tap(last.status == MAILSRV_OK && last.uid == UINT32_MAX - 1, "UIDs end", "the last one", "");
    none = send_one(&f, 10, UINT32_MAX);
    tap(none.status == MAILSRV_LIMIT, "UIDs end", "nobody brings the very last one", "");
    next = send_one(&f, 10, 0);
    tap(next.status == MAILSRV_OK && next.uidvalidity > first.uidvalidity && next.uid == 3, "UIDs end",
        "then a new UIDVALIDITY, and UIDs from 1", "");
    tap(messages(&f) == 3, "UIDs end", "nothing is lost", "");
    end_engines(&f);
    shore_close(&f.shore);
    f.files.unlink(f.disk, "/disk/index.db");
    f.files.unlink(f.disk, "/disk/index.db-wal");
    if (shore_open(&f.shore) != MAILSRV_OK)
        abort();
    begin_engines(&f);
    struct opened box;
    open_inbox(&f, &box);
    tap(box.value.uidvalidity == next.uidvalidity && box.value.uidnext == 4, "UIDs end", "the log has it so", "");
    close_inbox(&f, &box);
    end(&f);
}

/* ---- Large bodies ---- */

static void count_names(void *context, const char *name)
{
    *(int *)context += name[0] != '.';
}

static int bodies(struct fixture *f)
{
    int n = 0;
    f->files.list(f->disk, "/disk/bodies", count_names, &n);
    return n;
}

static void large_bodies(void)
{
    struct fixture f;
    struct opened box;
    mailsrv_staged staged;
    begin(&f);
    mailsrv_asked *body = stage(&f, 300000, &staged);
    tap(bodies(&f) == 1, "large bodies", "a file for each", "");
    drop(&f, body);
    tap(bodies(&f) == 0, "large bodies", "that goes with what was not committed", "");
    mailsrv_result r = send_one(&f, 300000, 0);
    tap(r.status == MAILSRV_OK && bodies(&f) == 1, "large bodies", "or stays", "");
    open_inbox(&f, &box);
    mailsrv_arg_read read = { sizeof read, r.uid, box.value.mbox, 0, 0, 299999, 10, 0 };
    mailsrv_asked *asked = ask(&f, 1, MAILSRV_OP_READ, &read);
    const mailsrv_read_bytes *value = value_of(asked);
    tap(value != NULL && value->octets.n == 1 && value->octets.p[0] == 'a' + 299999 / 4000 % 26, "large bodies",
        "is read to its end", "");
    drop(&f, asked);
    mailsrv_run run = { r.uid, r.uid };
    mailsrv_arg_expunge expunge = { sizeof expunge, 0, box.value.mbox, &run, 1, 0, { { 0 } } };
    drop(&f, ask(&f, 1, MAILSRV_OP_EXPUNGE, &expunge));
    tap(bodies(&f) == 0, "large bodies", "and goes with its last message", "");
    close_inbox(&f, &box);
    end(&f);
}

/* ---- An index that cannot take what is durable ---- */

static void a_full_index(void)
{
    enum { WRITES = 11, ALL_MAX = 100 * WRITES };
    struct fixture f;
    struct commit c;
    struct plan plan = { .dies_at = 0 };
    uint32_t ok = 0, temp = 0, all = 0;
    begin(&f);
    /* The write that fails may be one to the index's place. */
    for (; all < WRITES || (temp == 0 && all < ALL_MAX); all++) {
        plan.write_fails = all % WRITES + 1;
        disk_plan(f.disk, &plan);
        mailsrv_result r = send_one(&f, 100, 0);
        ok += r.status == MAILSRV_OK;
        temp += r.status == MAILSRV_TEMP;
    }
    tap(ok != 0 && temp != 0 && ok + temp == all, "failing writes", "OK or TEMP", "");
    plan = (struct plan){ .dies_at = 0 };
    disk_plan(f.disk, &plan);
    tap(send_one(&f, 100, 0).status == MAILSRV_OK, "failing writes", "then it goes on", "");
    uint64_t before = messages(&f);
    tap(before == ok + 1, "failing writes", "and what was refused is not there", "");
    plan.dies_at = 3; /* write, sync of the log; then the index */
    disk_plan(f.disk, &plan);
    ask_commit(&f, &c, 100, 0);
    tap(mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_HELD) == 1 && mailsrv_asked_answer(c.asked) == NULL,
        "a dead index", "what is durable is not answered", "");
    mailsrv_result refused = send_one(&f, 100, 0);
    tap(refused.status == MAILSRV_TEMP, "a dead index", "and nothing is written meanwhile", "");
    plan.dies_at = 0;
    disk_plan(f.disk, &plan);
    disk_revive(f.disk);
    for (turn(&f); mailsrv_asked_answer(c.asked) == NULL && shore_wait(&f.shore); turn(&f))
        continue;
    tap(value_of(c.asked) != NULL, "a dead index", "until it is well again", "");
    drop(&f, c.asked);
    drop(&f, c.body);
    tap(messages(&f) == before + 1, "a dead index", "and then it is seen, once", "");
    end(&f);
}

/* ---- What the index shows when somebody looks ---- */

enum { SHOWN = 2, UNSEEN = 5, OF_ONE_LOG = 2, A_WHILE = 70 };

/* Into a store where nobody has looked for long: nothing is asked of the disk but to write and sync the log. */
static bool send_unseen(struct fixture *f)
{
    struct plan plan = { .dies_at = OF_ONE_LOG + 1 };
    disk_plan(f->disk, &plan);
    const bool good = send_one(f, 100, 0).status == MAILSRV_OK && !disk_is_dead(f->disk);
    plan.dies_at = 0;
    disk_plan(f->disk, &plan);
    return good;
}

/* The first group of a store is shown at once, and so are those behind a look for a while. */
static void begin_unseen(struct fixture *f)
{
    bool good = true;
    begin_as(f, 0, 0);
    for (int i = 0; i < SHOWN && good; i++)
        good = send_one(f, 100, 0).status == MAILSRV_OK;
    for (int i = 0; i < UNSEEN && good; i++)
        good = send_unseen(f);
    tap(good, "unseen", "a message needs the log alone", "");
}

static void a_look(void)
{
    struct fixture f;
    struct opened box;
    begin_unseen(&f);
    tap(messages(&f) == SHOWN + UNSEEN, "unseen", "who looks finds all", "");
    tap(!send_unseen(&f), "unseen", "behind a look all is shown at once", "");
    disk_revive(f.disk);
    end(&f);
    begin_unseen(&f);
    open_inbox(&f, &box);
    close_inbox(&f, &box);
    for (int i = 0; i < A_WHILE; i++)
        send_one(&f, 100, 0);
    open_inbox(&f, &box);
    tap(!send_unseen(&f), "unseen", "nor is anything unseen of a mailbox that is open", "");
    disk_revive(f.disk);
    close_inbox(&f, &box);
    end(&f);
}

static void unseen_and_cut(void)
{
    struct fixture f;
    struct plan plan = { .dies_at = 1 };
    begin_unseen(&f);
    disk_plan(f.disk, &plan);
    end_engines(&f);
    shore_close(&f.shore);
    disk_cut(f.disk);
    plan.dies_at = 0;
    disk_plan(f.disk, &plan);
    const bool is_open = shore_open(&f.shore) == MAILSRV_OK;
    begin_engines(&f);
    tap(is_open && messages(&f) == SHOWN + UNSEEN, "unseen", "what was answered survives", "");
    end(&f);
}

/* The log cannot be written: what was answered before is applied from it once more. */
static void unseen_and_void(void)
{
    struct fixture f;
    struct plan plan = { .write_fails = 1 };
    begin_unseen(&f);
    disk_plan(f.disk, &plan);
    tap(send_one(&f, 100, 0).status == MAILSRV_TEMP, "unseen", "a group that fails is refused", "");
    plan.write_fails = 0;
    disk_plan(f.disk, &plan);
    tap(messages(&f) == SHOWN + UNSEEN, "unseen", "those before it stay", "");
    const mailsrv_result next = send_one(&f, 100, 0);
    tap(next.status == MAILSRV_OK && next.uid == SHOWN + UNSEEN + 1, "unseen", "and the next has the next UID", "");
    end(&f);
}

static int32_t status_of_look(struct fixture *f)
{
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    mailsrv_asked *store = ask(f, 1, MAILSRV_OP_STORE_OPEN, &arg);
    mailsrv_arg_mbox_open mbox = { .size = sizeof mbox, .name = { (const uint8_t *)"INBOX", 5 } };
    mbox.store = ((const mailsrv_store_opened *)value_of(store))->store;
    mailsrv_asked *asked = ask(f, 1, MAILSRV_OP_MBOX_OPEN, &mbox);
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    const int32_t status = answer != NULL ? answer->status : MAILSRV_MORE;
    drop(f, asked);
    drop(f, store);
    return status;
}

/* Nobody is shown less than was answered. */
static void unseen_and_lost(void)
{
    struct fixture f;
    struct plan plan = { .dies_at = 1 };
    begin_unseen(&f);
    disk_plan(f.disk, &plan);
    tap(status_of_look(&f) == MAILSRV_TEMP, "unseen", "an index that cannot be written shows nothing old", "");
    plan.dies_at = 0;
    disk_plan(f.disk, &plan);
    disk_revive(f.disk);
    int32_t status = MAILSRV_TEMP;
    for (int i = 0; i < 1000 && status == MAILSRV_TEMP; i++) {
        nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
        status = status_of_look(&f);
    }
    tap(status == MAILSRV_OK && messages(&f) == SHOWN + UNSEEN, "unseen", "until it is well again", "");
    end(&f);
}

/* ---- A full disk ---- */

static int32_t expunge_one(struct fixture *f, uint32_t uid)
{
    struct opened box;
    open_inbox(f, &box);
    mailsrv_run run = { uid, uid };
    mailsrv_arg_expunge arg = { sizeof arg, 0, box.value.mbox, &run, 1, 0, { { 0 } } };
    mailsrv_asked *asked = ask(f, 1, MAILSRV_OP_EXPUNGE, &arg);
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    int32_t status = answer != NULL ? answer->status : MAILSRV_MORE;
    drop(f, asked);
    close_inbox(f, &box);
    return status;
}

static void a_full_disk(void)
{
    struct fixture f;
    struct plan plan = { .octets_max = 2000000 };
    mailsrv_result r = { .status = MAILSRV_OK };
    uint32_t taken = 0;
    begin(&f);
    disk_plan(f.disk, &plan);
    for (; taken < 1000; taken++) {
        r = send_one(&f, 4000, 0);
        if (r.status != MAILSRV_OK)
            break;
    }
    tap(taken > 20 && r.status == MAILSRV_FULL, "a full disk", "refuses mail", mailsrv_strerror(r.status));
    tap(expunge_one(&f, 1) == MAILSRV_OK && messages(&f) == taken - 1, "a full disk", "has room to expunge", "");
    tap(send_one(&f, 4000, 0).status == MAILSRV_FULL, "a full disk", "and for nothing else", "");
    int32_t again = MAILSRV_OK;
    for (uint32_t uid = 2; uid < 12 && again == MAILSRV_OK; uid++)
        again = expunge_one(&f, uid);
    tap(again == MAILSRV_OK, "a full disk", "and again", mailsrv_strerror(again));
    plan.octets_max = 0;
    disk_plan(f.disk, &plan);
    tap(send_one(&f, 4000, 0).status == MAILSRV_OK && messages(&f) == taken - 10, "a full disk", "until it is not", "");
    end(&f);
}

/* Where the index has little memory, pages of a change go into its log, and are read from there, before its end: what
 * does not go there fails a read.  Mail is told that the disk is full all the same, wherever it is so. */
static void a_full_disk_with_little_memory(void)
{
    uint32_t full = 0, other = 0, kept = 0;
    for (uint64_t octets = 400000; octets < 400000 + 60 * 1111; octets += 1111) {
        struct fixture f;
        struct plan plan = { .octets_max = octets };
        int32_t status = MAILSRV_OK;
        uint32_t taken = 0;
        begin_with(&f, 16384);
        disk_plan(f.disk, &plan);
        for (; status == MAILSRV_OK; taken += status == MAILSRV_OK)
            status = send_patiently(&f, 2000).status;
        full += status == MAILSRV_FULL;
        other += status != MAILSRV_FULL;
        kept += messages(&f) == taken;
        end(&f);
    }
    tap(other == 0 && full == 60, "a full disk, little memory", "mail is told so", "");
    tap(kept == 60, "a full disk, little memory", "and what was taken is there", "");
}

/* It does nothing by itself any more. */
static void rest(struct fixture *f)
{
    const struct timespec moment = { 0, 1000000 };
    while (mailsrv_durable_stat(f->shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0)
        nanosleep(&moment, NULL);
}

/* ---- One sync serves all that waited ---- */

enum { WAITING = 20 };

static struct gate {
    int32_t (*sync)(void *user, void *file);
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_closed, is_reached;
} gate = { NULL, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false };

static int32_t sync_at_the_gate(void *user, void *file)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_reached = true;
    pthread_cond_broadcast(&gate.moved);
    while (gate.is_closed)
        pthread_cond_wait(&gate.moved, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    return gate.sync(user, file);
}

static void move_gate(bool closed)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_closed = closed;
    gate.is_reached = false;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_at_the_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.is_reached)
        pthread_cond_wait(&gate.moved, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void ask_only(struct fixture *f, struct commit *c, int engine)
{
    make_commit(f, c, 50, 0);
    if (mailsrv_ask(f->engines[engine], MAILSRV_OP_BODY_COMMIT, NULL, &c->arg, &c->asked) != MAILSRV_OK)
        abort();
    turn(f);
}

static uint32_t uid_of(const struct commit *c)
{
    const mailsrv_committed *value = value_of(c->asked);
    return value != NULL && value->results[0].status == MAILSRV_OK ? value->results[0].uid : 0;
}

/* Groups of so many changes. */
static uint64_t groups_of(const struct fixture *f, uint64_t changes)
{
    return mailsrv_durable_bucket(f->shore.store, MAILSRV_DURABLE_GROUP_SIZES, mailsrv_bucket(changes));
}

static uint64_t all_syncs(const struct fixture *f)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i <= MAILSRV_BUCKETS; i++)
        all += mailsrv_durable_bucket(f->shore.store, MAILSRV_DURABLE_SYNC_TIMES, i);
    return all;
}

static bool all_are_answered(const struct commit others[WAITING])
{
    bool all = true;
    for (int i = 0; i < WAITING; i++)
        all = all && mailsrv_asked_answer(others[i].asked) != NULL;
    return all;
}

static void groups(void)
{
    struct fixture f;
    struct commit first, others[WAITING];
    bool in_order = true;
    begin(&f);
    gate.sync = f.files.sync;
    f.files.sync = sync_at_the_gate;
    open_again(&f);
    rest(&f); /* the index has its syncs, too */
    uint64_t before = mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_GROUPS);
    uint64_t syncs = mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_SYNCS);
    uint64_t octets = mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_LOG_OCTETS);
    uint64_t alone = groups_of(&f, 1);
    move_gate(true);
    ask_only(&f, &first, 0);
    wait_at_the_gate();
    for (int i = 0; i < WAITING; i++)
        ask_only(&f, &others[i], i % 2);
    tap(mailsrv_asked_answer(first.asked) == NULL && messages(&f) == 0, "a group", "is not seen before it is synced", "");
    tap(mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_WRITES_WAITING) == WAITING &&
            mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_SYNCS) == syncs,
        "a group", "is counted while it waits", "");
    move_gate(false);
    for (turn(&f); !all_are_answered(others) && shore_wait(&f.shore); turn(&f))
        continue;
    for (uint32_t i = 0; i < WAITING; i++)
        in_order = in_order && uid_of(&others[i]) == i + 2;
    tap(uid_of(&first) == 1 && in_order, "a group", "gives UIDs in the order of asking", "");
    tap(mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_GROUPS) - before == 2, "a group",
        "is all that waited for the sync before", "");
    tap(groups_of(&f, 1) - alone == 1 && groups_of(&f, WAITING) == 1, "a group", "is counted by its changes", "");
    syncs = mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_SYNCS) - syncs;
    tap(syncs == 2 && all_syncs(&f) == mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_SYNCS), "a group",
        "is one sync, counted by its time", "");
    octets = mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_LOG_OCTETS) - octets;
    tap(octets > UINT64_C(50) * (WAITING + 1) && octets < UINT64_C(1000) * (WAITING + 1), "a group",
        "is counted by its octets", "");
    tap(mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_SYNC_US) >=
                mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_SYNC_MOST_US) &&
            mailsrv_durable_bucket(f.shore.store, 3, 0) == 0 &&
            mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_WRITES_WAITING) == 0,
        "a group", "leaves nothing that waits", "");
    for (int i = 0; i < WAITING; i++) {
        drop(&f, others[i].asked);
        drop(&f, others[i].body);
    }
    drop(&f, first.asked);
    drop(&f, first.body);
    end(&f);
}

/* ---- Compaction ---- */

enum { SENT = 60, KEPT = 5 }; /* every fifth stays */

static uint64_t segments(struct fixture *f)
{
    return mailsrv_durable_stat(f->shore.store, MAILSRV_DURABLE_STAT_SEGMENTS);
}

static void begin_small(struct fixture *f)
{
    begin(f);
    f->shore.setup.segment_octets = 20000;
    open_again(f);
    for (uint32_t i = 0; i < SENT; i++)
        send_one(f, 3000, 0);
}

static void expunge_most(struct fixture *f)
{
    for (uint32_t uid = 1; uid <= SENT; uid++)
        if (uid % KEPT != 0)
            expunge_one(f, uid);
}

/* The first octet of a message is 'a', that of its last thousand too. */
static bool is_whole(const mailsrv_asked *asked, size_t n)
{
    const mailsrv_read_bytes *value = value_of(asked);
    bool whole = value != NULL && value->octets.n == n;
    for (size_t i = 0; whole && i < n; i++)
        whole = value->octets.p[i] == 'a';
    return whole;
}

static bool all_are_whole(struct fixture *f)
{
    struct opened box;
    bool whole = true;
    open_inbox(f, &box);
    for (uint32_t uid = KEPT; uid <= SENT; uid += KEPT) {
        mailsrv_arg_read read = { sizeof read, uid, box.value.mbox, 0, 0, 0, 3000, 0 };
        mailsrv_asked *asked = ask(f, 1, MAILSRV_OP_READ, &read);
        whole = whole && is_whole(asked, 3000);
        drop(f, asked);
    }
    close_inbox(f, &box);
    return whole && messages(f) == SENT / KEPT;
}

static void compaction(void)
{
    struct fixture f;
    struct opened box;
    begin_small(&f);
    rest(&f);
    uint64_t before = segments(&f);
    open_inbox(&f, &box);
    mailsrv_arg_read read = { sizeof read, 2 * KEPT, box.value.mbox, 0, 0, 0, 1000, 0 };
    mailsrv_asked *first = ask(&f, 1, MAILSRV_OP_READ, &read);
    expunge_most(&f);
    rest(&f);
    tap(before > 5 && segments(&f) <= before / 2, "compaction", "gives room back", "");
    tap(all_are_whole(&f), "compaction", "loses nothing", "");
    read.handle = ((const mailsrv_read_bytes *)value_of(first))->handle;
    read.offset = 1000;
    read.octets = 2000;
    mailsrv_asked *second = ask(&f, 1, MAILSRV_OP_READ, &read);
    tap(is_whole(second, 2000), "compaction", "a reader reads on", "");
    drop(&f, second);
    drop(&f, first);
    close_inbox(&f, &box);
    mailsrv_result last = send_one(&f, 10, 0);
    expunge_one(&f, last.uid);
    end_engines(&f);
    shore_close(&f.shore);
    f.files.unlink(f.disk, "/disk/index.db");
    f.files.unlink(f.disk, "/disk/index.db-wal");
    if (shore_open(&f.shore) != MAILSRV_OK)
        abort();
    begin_engines(&f);
    tap(all_are_whole(&f), "compaction", "the log alone has everything", "");
    mailsrv_result next = send_one(&f, 10, 0);
    tap(next.uid == last.uid + 1 && next.modseq > last.modseq + 1, "compaction", "and what was given", "");
    end(&f);
}

/* ---- A segment goes when the index would do without it after a loss of power ---- */

static int32_t (*sync_of_all)(void *user, void *file);
static int32_t (*open_of_all)(void *user, const char *path, uint32_t flags, void **out);
static void *_Atomic index_file;

static int32_t open_and_note(void *user, const char *path, uint32_t flags, void **out)
{
    int32_t status = open_of_all(user, path, flags, out);
    if (status == MAILSRV_OK && strcmp(path, "/disk/index.db") == 0)
        index_file = *out; /* the last one that is opened is that of checkpoints */
    return status;
}

static int32_t sync_all_but_index(void *user, void *file)
{
    return file == index_file ? MAILSRV_TEMP : sync_of_all(user, file);
}

static void home(void)
{
    struct fixture f;
    begin_small(&f);
    rest(&f);
    sync_of_all = f.files.sync;
    open_of_all = f.files.open;
    f.files.open = open_and_note;
    open_again(&f);
    rest(&f);
    f.files.sync = sync_all_but_index;
    open_again(&f);
    uint64_t before = segments(&f);
    expunge_most(&f);
    for (int i = 0; i < 50; i++)
        send_one(&f, 10, 0);
    tap(segments(&f) >= before, "compaction", "no file goes before the index is home", "");
    f.files.sync = sync_of_all;
    open_again(&f);
    rest(&f);
    tap(segments(&f) < before - 3, "compaction", "and then it does", "");
    end(&f);
}

/* ---- The index's own log ---- */

static uint64_t octets_of(struct fixture *f, const char *path)
{
    void *file;
    uint64_t octets = 0;
    if (f->files.open(f->files.user, path, 0, &file) != MAILSRV_OK)
        return 0;
    f->files.length(f->files.user, file, &octets);
    f->files.close(f->files.user, file);
    return octets;
}

/* Moves take long: else each would have ended before the next change. */
static int32_t sync_index_slowly(void *user, void *file)
{
    const struct timespec a_while = { 0, 5000000 };
    if (file == index_file)
        nanosleep(&a_while, NULL);
    return sync_of_all(user, file);
}

/* Each of so many changes touches nine pages, of 4 KiB; a file that never began anew would have them all. */
static void the_index_s_log(void)
{
    enum { CHANGES = 200, PAGES = 10, MOST = 100 };
    struct fixture f;
    begin(&f);
    sync_of_all = f.files.sync;
    open_of_all = f.files.open;
    f.files.open = open_and_note;
    f.files.sync = sync_index_slowly;
    f.shore.setup.checkpoint_pages = PAGES;
    open_again(&f);
    uint64_t before = octets_of(&f, "/disk/index.db-wal");
    for (int i = 0; i < CHANGES; i++)
        send_one(&f, 10, 0);
    uint64_t now = octets_of(&f, "/disk/index.db-wal");
    char said[80];
    snprintf(said, sizeof said, "%llu octets before, %llu now", (unsigned long long)before, (unsigned long long)now);
    tap(now > 0 && now < before + (uint64_t)MOST * 4120, "index", "its log begins anew while one change follows another", said);
    end(&f);
}

static bool fails_to_sync;

static int32_t sync_unless_it_fails(void *user, void *file)
{
    return fails_to_sync ? MAILSRV_TEMP : sync_of_all(user, file);
}

/* Closed: a long log is moved to its place, and is empty; one that cannot be moved is read when the store is opened. */
static void the_index_s_log_at_the_end(bool can_be_moved)
{
    enum { CHANGES = 150, LONG = 4 << 20 };
    struct fixture f;
    char said[80];
    begin(&f);
    sync_of_all = f.files.sync;
    f.files.sync = sync_unless_it_fails;
    open_again(&f);
    for (int i = 0; i < CHANGES; i++)
        send_one(&f, 10, 0);
    uint64_t before = octets_of(&f, "/disk/index.db-wal");
    fails_to_sync = !can_be_moved;
    end_engines(&f);
    shore_close(&f.shore);
    fails_to_sync = false;
    uint64_t left = octets_of(&f, "/disk/index.db-wal");
    snprintf(said, sizeof said, "%llu octets before, %llu left", (unsigned long long)before, (unsigned long long)left);
    tap(before > LONG && (left == 0) == can_be_moved, "index", "a long log is not left behind, if it can be moved", said);
    tap(shore_open(&f.shore) == MAILSRV_OK, "index", "and the store is opened", "");
    begin_engines(&f);
    tap(messages(&f) == CHANGES, "index", "with all that there was", "");
    end(&f);
}

/* ---- A change of several frames ---- */

enum { TARGETS = 30, PREFIX = 50000 };

/* To many, all or none; the power goes while it is written, or not. */
static uint64_t large_commit(uint64_t dies_at, int chance, int32_t *status)
{
    static mailsrv_target targets[TARGETS];
    static uint8_t prefix[PREFIX];
    struct fixture f;
    struct commit c;
    struct plan plan = { .dies_at = dies_at };
    begin(&f);
    make_commit(&f, &c, 100, 0);
    for (int i = 0; i < TARGETS; i++) {
        targets[i] = c.target;
        targets[i].prefix = (mailsrv_bytes){ prefix, sizeof prefix };
    }
    c.arg.targets = targets;
    c.arg.n_targets = TARGETS;
    c.arg.atomic = 1;
    disk_plan(f.disk, &plan);
    for (int i = 0; i < chance; i++)
        disk_random(f.disk);
    c.asked = ask(&f, 0, MAILSRV_OP_BODY_COMMIT, &c.arg);
    *status = mailsrv_asked_answer(c.asked) != NULL ? mailsrv_asked_answer(c.asked)->status : MAILSRV_MORE;
    drop(&f, c.asked);
    drop(&f, c.body);
    end_engines(&f);
    shore_close(&f.shore);
    disk_cut(f.disk);
    plan.dies_at = 0;
    disk_plan(f.disk, &plan);
    if (shore_open(&f.shore) != MAILSRV_OK)
        abort();
    begin_engines(&f);
    uint64_t n = messages(&f);
    end(&f);
    return n;
}

static void several_frames(void)
{
    int32_t status;
    tap(large_commit(0, 0, &status) == TARGETS && status == MAILSRV_OK, "a change of several frames", "is stored", "");
    bool whole = true;
    for (int i = 0; i < 24; i++) {
        uint64_t n = large_commit(1 + (uint64_t)i / 16, i, &status); /* mostly in the write of the log */
        whole = whole && (n == 0 || n == TARGETS) && (status != MAILSRV_OK || n == TARGETS);
    }
    tap(whole, "a change of several frames", "is there whole or not at all", "");
}

/* ---- Engines that are given up ---- */

static void given_up(void)
{
    struct fixture f;
    mailsrv_staged staged;
    mailsrv_asked *asked;
    begin(&f);
    mailsrv_asked *body = stage(&f, 100, &staged);
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    if (mailsrv_ask(f.engines[0], MAILSRV_OP_STORE_OPEN, &f.shore.accounts[0], &arg, &asked) != MAILSRV_OK)
        abort();
    mailsrv_engine_turn(f.engines[0], 100000); /* it is out, and may be running */
    mailsrv_asked_free(asked);
    mailsrv_asked_free(body);
    mailsrv_engine_free(f.engines[0], MAILSRV_ABANDON);
    f.engines[0] = NULL;
    tap(mailsrv_durable_stat(f.shore.store, MAILSRV_DURABLE_STAT_HANDLES) == 0, "an engine is given up",
        "with all that it held", "");
    mailsrv_engine_free(f.engines[1], MAILSRV_ABANDON);
    begin_engines(&f);
    tap(send_one(&f, 10, 0).status == MAILSRV_OK, "an engine is given up", "and others go on", "");
    end(&f);
}

int main(void)
{
    opening();
    broken();
    uids_end();
    large_bodies();
    a_full_index();
    a_look();
    unseen_and_cut();
    unseen_and_void();
    unseen_and_lost();
    a_full_disk();
    a_full_disk_with_little_memory();
    groups();
    several_frames();
    compaction();
    home();
    the_index_s_log();
    the_index_s_log_at_the_end(true);
    the_index_s_log_at_the_end(false);
    given_up();
    return tap_end();
}
