/* A store of several shards: where accounts are, a COMMIT whose targets are in several, large bodies under another name
 * or copied, what is refused, a making that is cut off at any moment, and syncs that fail. */
#include "disk.h"
#include "mail_inside.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHARDS 3
#define LARGE 300000 /* a file of its own */
#define TARGETS 4
#define SEEDS 1 /* of each moment at which a making is cut off */

static const struct plan none;

struct fixture {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail; /* its engines and questions */
};

static int32_t open_one(struct fixture *f)
{
    disk_opening(f->disk, true);
    int32_t status = shore_open(&f->mail.shore);
    disk_opening(f->disk, false);
    return status;
}

static void begin(struct fixture *f, uint64_t seed, uint32_t shards)
{
    memset(f, 0, sizeof *f);
    f->disk = disk_new(seed);
    f->files = disk_files(f->disk);
    shore_init(&f->mail.shore, "/disk", &f->files);
    f->mail.shore.setup.shards = shards;
}

static void begin_open(struct fixture *f, uint64_t seed)
{
    begin(f, seed, SHARDS);
    if (open_one(f) != MAILSRV_OK)
        abort();
    mail_begin(&f->mail);
}

static void end_open(struct fixture *f)
{
    mail_end(&f->mail);
    shore_close(&f->mail.shore);
}

/* ---- Accounts ---- */

static void accounts(void)
{
    static struct fixture f;
    mailsrv_id ids[40], id;
    uint32_t seen = 0, shards[40];
    bool good = true;
    char name[16];
    begin(&f, 1, SHARDS);
    if (open_one(&f) != MAILSRV_OK)
        abort();
    for (int i = 0; i < 40; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "user %d", i);
        good = good && mailsrv_durable_add_account(f.mail.shore.store, name, n, &ids[i]) == MAILSRV_OK &&
               mailsrv_durable_add_account(f.mail.shore.store, name, n, &id) == MAILSRV_ALREADYEXISTS &&
               mailsrv_durable_set_quota(f.mail.shore.store, &ids[i], 1000) == MAILSRV_OK;
        shards[i] = mailsrv_durable_shard(f.mail.shore.store, &ids[i]);
        seen |= 1u << shards[i];
    }
    tap(good && seen == 7, "accounts", "are in all shards, each once", "");
    shore_close(&f.mail.shore);
    f.mail.shore.setup.shards = 0;
    if (open_one(&f) != MAILSRV_OK)
        abort();
    for (int i = 0; i < 40; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "user %d", i);
        good = good && mailsrv_durable_find_account(f.mail.shore.store, name, n, &id) == MAILSRV_OK &&
               memcmp(&id, &ids[i], sizeof id) == 0 && mailsrv_durable_shard(f.mail.shore.store, &id) == shards[i];
    }
    tap(good, "accounts", "are where they were, however many shards are asked for", "");
    tap(mailsrv_durable_find_account(f.mail.shore.store, "nobody", 6, &id) == MAILSRV_NONEXISTENT, "accounts",
        "that are nowhere", "");
    shore_close(&f.mail.shore);
    disk_free(f.disk);
}

/* ---- COMMITs ---- */

struct commit {
    mailsrv_asked *body, *asked;
    mailsrv_staged staged;
    mailsrv_target targets[TARGETS];
    mailsrv_arg_body_commit arg;
};

static void stage(struct fixture *f, struct commit *c, size_t octets)
{
    static uint8_t piece[16384];
    memset(c, 0, sizeof *c);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    const mailsrv_body_begun *begun = mail_hear(&f->mail, 0, MAILSRV_OP_BODY_BEGIN, -1, &arg, &c->body);
    c->staged = (mailsrv_staged){ .size = sizeof c->staged, .body = begun->body };
    for (size_t n; c->staged.octets < octets; c->staged.octets += n) {
        n = octets - c->staged.octets < sizeof piece ? (size_t)(octets - c->staged.octets) : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = mail_octet(7, (size_t)c->staged.octets + i);
        mailsrv_arg_body_write write = { sizeof write, 0, c->staged.body, c->staged.octets, { piece, n } };
        mailsrv_asked *asked;
        mail_hear(&f->mail, 0, MAILSRV_OP_BODY_WRITE, -1, &write, &asked);
        mailsrv_asked_free(asked);
    }
}

/* 0 and 1: an account; 2: the queue; 3: an account that nobody has. */
static const mailsrv_committed *commit(struct fixture *f, struct commit *c, const int *to, uint32_t n, bool atomic)
{
    for (uint32_t i = 0; i < n; i++) {
        c->targets[i] = (mailsrv_target){ .size = sizeof(mailsrv_target),
                                          .kind = to[i] == 2 ? MAILSRV_TARGET_QUEUE : MAILSRV_TARGET_MAILBOX };
        if (to[i] < 2)
            c->targets[i].account = f->mail.shore.accounts[to[i]];
        else if (to[i] == 3)
            memset(&c->targets[i].account, 9, sizeof(mailsrv_id));
    }
    c->arg = (mailsrv_arg_body_commit){ .size = sizeof c->arg, .atomic = atomic, .n_bodies = 1,
                                        .body_stride = sizeof c->staged, .n_targets = n,
                                        .target_stride = sizeof *c->targets, .bodies = &c->staged,
                                        .targets = c->targets };
    if (c->asked != NULL)
        mailsrv_asked_free(c->asked);
    return mail_hear(&f->mail, 0, MAILSRV_OP_BODY_COMMIT, -1, &c->arg, &c->asked);
}

static void drop(struct fixture *f, struct commit *c)
{
    mailsrv_asked_free(c->asked);
    mailsrv_asked_free(c->body);
    mail_settle(&f->mail);
}

/* How many messages of an account's INBOX are whole. */
static uint32_t count(struct fixture *f, int account, uint64_t octets)
{
    struct opened box;
    uint32_t whole = 0;
    const struct box inbox = { .name = "INBOX" };
    if (!mail_open_box(&f->mail, account, &inbox, &box))
        return UINT32_MAX;
    for (uint32_t uid = 1; uid < box.value.uidnext; uid++) {
        uint64_t at = 0, handle = 0;
        bool good = true;
        mailsrv_asked *first = NULL, *asked;
        while (at < octets && good) {
            mailsrv_arg_read arg = { sizeof arg, uid, box.value.mbox, 0, handle, at, octets, 0 };
            const mailsrv_read_bytes *value = mail_hear(&f->mail, 1, MAILSRV_OP_READ, account, &arg, &asked);
            good = value != NULL && value->octets.n != 0;
            for (size_t i = 0; good && i < value->octets.n; i++)
                good = value->octets.p[i] == mail_octet(7, (size_t)at + i);
            at += good ? value->octets.n : 0;
            handle = good && first == NULL ? value->handle : handle;
            if (first == NULL)
                first = asked;
            else
                mailsrv_asked_free(asked);
        }
        if (first != NULL)
            mailsrv_asked_free(first);
        whole += good;
    }
    mail_close_box(&f->mail, &box);
    mail_settle(&f->mail);
    return whole;
}

static void not_so(void *user, const char *text)
{
    snprintf(user, 160, "%s", text);
}

static void in_several(bool has_links, size_t octets, const char *name)
{
    static const int to[TARGETS] = { 1, 2, 3, 0 };
    static struct fixture f;
    struct commit c;
    char wrong[160] = "";
    begin_open(&f, 2);
    disk_has_links(f.disk, has_links);
    stage(&f, &c, octets);
    const mailsrv_committed *value = commit(&f, &c, to, TARGETS, false);
    tap(value != NULL && value->n == TARGETS && value->results[0].status == MAILSRV_OK && value->results[0].uid == 1 &&
            value->results[1].status == MAILSRV_OK && value->results[1].queue == 1 &&
            value->results[2].status == MAILSRV_NONEXISTENT && value->results[3].status == MAILSRV_OK &&
            value->results[3].uid == 1,
        name, "each target has its result", "");
    value = commit(&f, &c, to, 1, true);
    tap(value != NULL && value->results[0].status == MAILSRV_OK && value->results[0].uid == 2, name,
        "a body is committed again, to one", "");
    tap(commit(&f, &c, to, 2, true) == NULL && mail_status_of(c.asked) == MAILSRV_CANNOT, name,
        "all or nothing is no promise over several", "");
    drop(&f, &c);
    tap(count(&f, 0, octets) == 1 && count(&f, 1, octets) == 2, name, "messages are whole", "");
    end_open(&f);
    disk_cut(f.disk);
    if (open_one(&f) != MAILSRV_OK)
        abort();
    mail_begin(&f.mail);
    tap(count(&f, 0, octets) == 1 && count(&f, 1, octets) == 2, name, "so they are after a loss of power", "");
    end_open(&f);
    int32_t status = mailsrv_durable_check(&f.mail.shore.setup, not_so, wrong);
    tap(status == MAILSRV_OK, name, "the check finds nothing", wrong);
    tap(f.mail.wrong[0] == '\0', name, "nothing is left open", f.mail.wrong);
    disk_free(f.disk);
}

/* ---- Syncs that fail, and that are left out ---- */

/* The n-th fails, whichever shard makes it.  What is answered OK is there, however often it is asked. */
static bool survives(uint64_t seed, uint64_t sync_fails, enum sync left_out)
{
    static const int to[2] = { 0, 1 };
    static struct fixture f;
    struct commit c;
    uint32_t ok[2] = { 0, 0 };
    begin_open(&f, seed);
    disk_has_links(f.disk, seed % 40 < 20);
    stage(&f, &c, LARGE);
    disk_plan(f.disk, &(struct plan){ .sync_fails = sync_fails });
    if (left_out != SYNC_ALL)
        disk_leave_out(f.disk, left_out);
    for (int i = 0; i < 3; i++) {
        const mailsrv_committed *value = commit(&f, &c, to, 2, false);
        for (int a = 0; value != NULL && a < 2; a++)
            ok[a] += value->results[a].status == MAILSRV_OK;
    }
    drop(&f, &c);
    end_open(&f);
    disk_cut(f.disk);
    disk_plan(f.disk, &none);
    bool good = open_one(&f) == MAILSRV_OK;
    if (good) {
        mail_begin(&f.mail);
        good = count(&f, 0, LARGE) >= ok[0] && count(&f, 1, LARGE) >= ok[1] && count(&f, 0, LARGE) != UINT32_MAX &&
               count(&f, 1, LARGE) != UINT32_MAX;
        end_open(&f);
    }
    disk_free(f.disk);
    return good;
}

static void syncs(void)
{
    bool good = true, body = false, name = false;
    for (uint64_t i = 0; i < 40; i++)
        good = good && survives(i, i % 20, SYNC_ALL);
    for (uint64_t i = 0; i < 40; i++) {
        body = body || !survives(i, 0, SYNC_BODY);
        name = name || !survives(i, 0, SYNC_BODY_NAME);
    }
    tap(good, "a large body in two shards", "is there where it was answered, whichever sync fails", "");
    tap(body, "without the sync", "of a large body", "nothing went wrong");
    tap(name, "without the sync", "of its name", "nothing went wrong");
}

/* ---- Making one ---- */

/* What came back with the power is removed, too. */
static void close_calmly(struct fixture *f)
{
    const struct timespec moment = { 0, 1000000 };
    for (int i = 0; i < 5000 && mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0; i++)
        nanosleep(&moment, NULL);
    shore_close(&f->mail.shore);
}

/* The power goes in the n-th call, and again at the next start; then it is made. */
static bool is_made(uint64_t seed, uint64_t at, bool *was_cut, char wrong[160])
{
    static struct fixture f;
    begin(&f, at + seed * 1000, SHARDS);
    bool good = true;
    for (int i = 0; i < 3 && good; i++) {
        disk_plan(f.disk, &(struct plan){ .dies_at = i < 2 ? at + (uint64_t)i * 3 : 0 });
        int32_t status = open_one(&f);
        *was_cut = *was_cut || disk_is_dead(f.disk);
        good = status == MAILSRV_OK || (status != MAILSRV_CORRUPT && disk_is_dead(f.disk));
        if (!good)
            snprintf(wrong, 160, "cut at %llu, start %d: %s", (unsigned long long)at, i, mailsrv_strerror(status));
        if (status == MAILSRV_OK)
            close_calmly(&f);
        if (i < 2)
            disk_cut(f.disk);
    }
    good = good && mailsrv_durable_check(&f.mail.shore.setup, not_so, wrong) == MAILSRV_OK;
    disk_free(f.disk);
    return good;
}

static void making(void)
{
    char wrong[160] = "";
    bool good = true, was_cut = true;
    uint64_t at = 1;
    for (uint64_t seed = 0; seed < SEEDS && good; seed++)
        for (at = 1, was_cut = true; good && was_cut && at < 2000; at++) {
            was_cut = false;
            good = is_made(seed, at, &was_cut, wrong);
        }
    printf("# %d times cut at %llu calls\n", SEEDS, (unsigned long long)at);
    tap(good && at > 30, "making a store of several", "is done again where it was cut off", wrong);
}

/* ---- What is refused ---- */

static void write_file(struct fixture *f, const char *path, size_t octets)
{
    static const uint8_t zeros[300];
    void *file;
    if (f->files.open(f->files.user, path, MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE | MAILSRV_DURABLE_EMPTY,
                      &file) != MAILSRV_OK ||
        f->files.write(f->files.user, file, zeros, octets, 0) != MAILSRV_OK)
        abort();
    f->files.close(f->files.user, file);
}

static void refusals(void)
{
    static struct fixture f;
    mailsrv_durable_setup *setup = &f.mail.shore.setup;
    char heard[160] = "";
    begin(&f, 4, SHARDS);
    if (open_one(&f) != MAILSRV_OK)
        abort();
    tap(mailsrv_durable_check(setup, not_so, heard) == MAILSRV_INUSE, "several shards", "are one store", "");
    shore_close(&f.mail.shore);
    setup->shards = 2;
    tap(shore_open(&f.mail.shore) == MAILSRV_CANNOT, "several shards", "are as many as they were made", "");
    setup->shards = 1;
    tap(shore_open(&f.mail.shore) == MAILSRV_CANNOT, "several shards", "are not one", "");
    setup->shards = 65;
    tap(shore_open(&f.mail.shore) == MAILSRV_E_USAGE, "several shards", "are 64 at most", "");
    setup->shards = 0;
    f.files.unlink(f.files.user, "/disk/01");
    tap(shore_open(&f.mail.shore) == MAILSRV_CORRUPT, "several shards", "must all be there", "");
    f.files.make_directory(f.files.user, "/disk/01");
    write_file(&f, "/disk/shards", 268);
    tap(shore_open(&f.mail.shore) == MAILSRV_CORRUPT, "several shards", "are not made anew where they have something",
        "");
    disk_free(f.disk);
    begin(&f, 5, 1);
    if (open_one(&f) != MAILSRV_OK)
        abort();
    shore_close(&f.mail.shore);
    tap(!disk_has_name(f.disk, "/disk/shards") && !disk_has_name(f.disk, "/disk/00"), "one shard",
        "is a directory as it always was", "");
    setup->shards = SHARDS;
    tap(shore_open(&f.mail.shore) == MAILSRV_CANNOT, "one shard", "does not become several", "");
    setup->shards = 0;
    tap(shore_open(&f.mail.shore) == MAILSRV_OK, "one shard", "opens as it is", "");
    shore_close(&f.mail.shore);
    disk_free(f.disk);
}

int main(void)
{
    accounts();
    in_several(true, 1000, "a small body");
    in_several(true, LARGE, "a large body");
    in_several(false, LARGE, "a large body, without links");
    syncs();
    making();
    refusals();
    return tap_end();
}
