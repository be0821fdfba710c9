/* Changes of very many rows: a COPY while another account's mail goes on, and one whose process dies in the middle; and
 * UIDs at their end in a mailbox of many gaps.
 *
 * Also flags of many at once, by runs that begin and end anywhere: against an array, as CHANGES tells them, by the check,
 * and out of the log alone.
 *
 * The COPY is made step by step: the writer waits in each sync of the log until the test lets it go.  So what goes on
 * meanwhile is counted in groups.  Few rows are on the disk in memory, and the power goes; many are in a directory, and
 * the process dies: from then on every call fails. */
#include "disk.h"
#include "gate.h"
#include "mail_inside.h"
#include "tap.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PART 2000u           /* rows of a group */
#define INDEX_MAX (1 << 20)  /* octets of the index that are kept in memory */
#define MEMORY_MAX (4 << 20) /* octets of a COPY, whatever it copies, those among them */

/* ---- A store ---- */

struct fixture {
    struct disk *disk; /* NULL: a directory */
    char directory[64];
    mailsrv_durable_files files;
    struct mail mail;
};

static void open_store(struct fixture *f)
{
    int32_t status = shore_open(&f->mail.shore);
    if (status != MAILSRV_OK) {
        printf("Bail out! the store cannot be opened: %s\n", mailsrv_strerror(status));
        exit(1);
    }
    mail_begin(&f->mail);
}

static void close_store(struct fixture *f)
{
    mail_end(&f->mail);
    shore_close(&f->mail.shore);
}

static struct fixture *begin(bool in_memory, uint64_t segment_octets)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    strcpy(f->directory, in_memory ? "/disk" : "/tmp/mailsrv-bulk-XXXXXX");
    mailsrv_durable_files files = { .size = sizeof files };
    if (!in_memory && (mkdtemp(f->directory) == NULL || mailsrv_durable_system_files(&files) != MAILSRV_OK))
        abort();
    f->disk = in_memory ? disk_new(5) : NULL;
    if (in_memory)
        files = disk_files(f->disk);
    f->files = gate_files(&files);
    shore_init(&f->mail.shore, f->directory, &f->files);
    f->mail.shore.setup.segment_octets = segment_octets;
    f->mail.shore.setup.memory_octets = INDEX_MAX;
    open_store(f);
    return f;
}

static void remove_one(void *context, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        remove(path);
}

static void end(struct fixture *f, const char *name)
{
    char bodies[80];
    tap(f->mail.wrong[0] == '\0', name, "all is answered", f->mail.wrong);
    snprintf(bodies, sizeof bodies, "%s/bodies", f->directory);
    for (int i = 0; f->disk == NULL && i < 2; i++)
        f->files.list(f->files.user, i == 0 ? bodies : f->directory, remove_one, i == 0 ? bodies : f->directory);
    if (f->disk == NULL)
        rmdir(f->directory);
    else
        disk_free(f->disk);
    free(f);
}

/* The power goes, or the process dies; what was asked is answered all the same. */
static void die(struct fixture *f)
{
    const struct plan dead = { .dies_at = 1 };
    if (f->disk != NULL)
        disk_plan(f->disk, &dead);
    gate_set_dead(true);
    gate_set(false);
    mail_settle(&f->mail);
}

static void live_again(struct fixture *f)
{
    const struct plan none = { .dies_at = 0 };
    close_store(f);
    gate_set_dead(false);
    if (f->disk != NULL) {
        disk_cut(f->disk);
        disk_plan(f->disk, &none);
    }
    open_store(f);
}

static void lose_index(struct fixture *f)
{
    char path[100];
    close_store(f);
    snprintf(path, sizeof path, "%s/index.db", f->directory);
    f->files.unlink(f->files.user, path);
    strcat(path, "-wal");
    f->files.unlink(f->files.user, path);
    open_store(f);
}

/* ---- Questions ---- */

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

/* A message on its way to an account. */
struct sent {
    mailsrv_staged staged;
    mailsrv_target target;
    mailsrv_arg_body_commit arg;
    mailsrv_asked *body, *write, *commit;
};

static void turn(struct fixture *f)
{
    f->mail.now_us += 1000;
    for (int i = 0; i < ENGINES; i++) {
        mailsrv_engine_advance(f->mail.engines[i], f->mail.now_us, f->mail.now_us);
        while (mailsrv_engine_turn(f->mail.engines[i], 100000) == MAILSRV_MORE)
            continue;
    }
}

/* Bodies in memory are answered in the turn, whatever the writer does. */
static void send_one(struct fixture *f, struct sent *s, int account, const mailsrv_id *mailbox, uint32_t uid)
{
    static const uint8_t text[] = "Subject: one of very many\r\n\r\n";
    struct mail *m = &f->mail;
    memset(s, 0, sizeof *s);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    s->body = mail_ask(m, 1, MAILSRV_OP_BODY_BEGIN, account, &arg);
    turn(f);
    const mailsrv_body_begun *begun = mail_value_of(s->body);
    mailsrv_arg_body_write octets = { sizeof octets, 0, begun->body, 0, { text, sizeof text - 1 } };
    s->write = mail_ask(m, 1, MAILSRV_OP_BODY_WRITE, account, &octets);
    turn(f);
    s->staged = (mailsrv_staged){ .size = sizeof s->staged, .body = begun->body, .octets = sizeof text - 1 };
    s->target = (mailsrv_target){ .size = sizeof s->target, .kind = MAILSRV_TARGET_MAILBOX,
                                  .account = m->shore.accounts[account], .uid = uid };
    if (mailbox != NULL)
        s->target.mailbox = *mailbox;
    s->arg = (mailsrv_arg_body_commit){ .size = sizeof s->arg, .n_bodies = 1, .body_stride = sizeof s->staged,
                                        .n_targets = 1, .target_stride = sizeof s->target, .bodies = &s->staged,
                                        .targets = &s->target };
    s->commit = mail_ask(m, 1, MAILSRV_OP_BODY_COMMIT, account, &s->arg);
    turn(f);
}

static mailsrv_result result_of(const struct sent *s)
{
    const mailsrv_committed *value = mail_value_of(s->commit);
    return value != NULL ? value->results[0] : (mailsrv_result){ .status = MAILSRV_TEMP };
}

static void drop_sent(struct fixture *f, struct sent *s)
{
    mailsrv_asked_free(s->write);
    mailsrv_asked_free(s->commit);
    mailsrv_asked_free(s->body);
    turn(f);
}

static mailsrv_result deliver(struct fixture *f, const mailsrv_id *mailbox, uint32_t uid)
{
    struct sent s;
    send_one(f, &s, 0, mailbox, uid);
    mail_settle(&f->mail);
    mailsrv_result result = result_of(&s);
    drop_sent(f, &s);
    return result;
}

static mailsrv_id create(struct fixture *f, const char *name)
{
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_create arg = { .size = sizeof arg, .store = store.store_handle, .name = bytes(name) };
    const mailsrv_mbox_created *value = mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_CREATE, 0, &arg, &asked);
    mailsrv_id id = value != NULL ? value->mailbox : (mailsrv_id){ { 0 } };
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
    return id;
}

static bool look(struct fixture *f, const mailsrv_id *id, struct opened *out)
{
    struct box box = { .id = *id };
    return mail_open_box(&f->mail, 0, &box, out);
}

static mailsrv_mbox_opened box_of(struct fixture *f, int account, const mailsrv_id *id)
{
    struct box box = { .id = *id };
    struct opened opened;
    bool good = mail_open_box(&f->mail, account, &box, &opened);
    mail_close_box(&f->mail, &opened);
    return good ? opened.value : (mailsrv_mbox_opened){ .exists = UINT32_MAX };
}

static uint64_t count(struct fixture *f, const mailsrv_id *id)
{
    return box_of(f, 0, id).exists;
}

static mailsrv_asked *ask_copy(struct fixture *f, const struct opened *from, const mailsrv_id *to)
{
    static const mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_copy arg = { .size = sizeof arg, .n_uids = 1, .mbox = from->value.mbox, .uids = &all, .to = *to };
    return mail_ask(&f->mail, 0, MAILSRV_OP_COPY, 0, &arg);
}

/* Doubles a mailbox until it has so many. */
static void fill(struct fixture *f, const mailsrv_id *id, uint64_t rows)
{
    for (uint64_t n = 0; n < 8; n++)
        deliver(f, id, 0);
    while (count(f, id) < rows) {
        struct opened opened;
        look(f, id, &opened);
        mailsrv_asked *asked = ask_copy(f, &opened, id);
        mail_settle(&f->mail);
        mailsrv_asked_free(asked);
        mail_close_box(&f->mail, &opened);
    }
}

/* ---- COPY ---- */

static size_t memory(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

/* What was seen while a COPY went on, step by step. */
struct seen {
    uint32_t groups, others_n; /* groups of the COPY, and answers to the other account meanwhile */
    uint32_t others_at_end;    /* answered when it was over */
    mailsrv_result own;
    uint64_t modseq;
    uint64_t rows;           /* the most rows of it that could be seen before its end */
    bool own_came_first;     /* what its own account asked was answered before it */
    size_t memory;           /* the most that it took */
    struct sent others[2];   /* on their way */
};

static uint64_t rows_of(struct fixture *f, uint64_t store, const mailsrv_id *to)
{
    mailsrv_asked *asked;
    mailsrv_arg_mbox_status arg = { .size = sizeof arg, .store = store, .mailbox = *to };
    asked = mail_ask(&f->mail, 1, MAILSRV_OP_MBOX_STATUS, 0, &arg);
    for (turn(f); mailsrv_asked_answer(asked) == NULL && shore_wait(&f->mail.shore); turn(f))
        continue;
    const mailsrv_mbox_status *value = mail_value_of(asked);
    uint64_t n = value != NULL ? value->exists : UINT64_MAX;
    mailsrv_asked_free(asked);
    turn(f);
    return n;
}

/* One group.  What the other account asks while a group is synced is in the next one, and answered with that: so two of
 * its messages are on their way, and with each group one is answered. */
static void step(struct fixture *f, struct seen *seen)
{
    struct sent *last = &seen->others[(seen->groups + 1) % 2];
    gate_let_one_pass();
    seen->groups++;
    if (last->commit == NULL)
        return;
    for (turn(f); mailsrv_asked_answer(last->commit) == NULL; turn(f))
        if (!shore_wait(&f->mail.shore)) {
            mail_wrong(&f->mail, "nobody is answered while a COPY goes on", seen->groups);
            return;
        }
    seen->others_n += result_of(last).status == MAILSRV_OK;
    drop_sent(f, last);
    last->commit = NULL;
}

/* Up to a number of groups, or its end. */
static void follow(struct fixture *f, const struct opened *from, const mailsrv_id *to, const mailsrv_asked *copy,
                   struct sent *own, uint32_t groups, struct seen *seen)
{
    size_t before = memory();
    while (seen->groups < groups && f->mail.wrong[0] == '\0') {
        gate_wait();
        size_t now = memory();
        uint64_t rows = rows_of(f, from->store_handle, to);
        if (mailsrv_asked_answer(copy) != NULL)
            return;
        if (seen->groups == 0)
            send_one(f, own, 0, NULL, 0);
        seen->rows = rows > seen->rows ? rows : seen->rows;
        seen->memory = now > before && now - before > seen->memory ? now - before : seen->memory;
        seen->own_came_first = seen->own_came_first || mailsrv_asked_answer(own->commit) != NULL;
        send_one(f, &seen->others[seen->groups % 2], 1, NULL, 0);
        step(f, seen);
    }
}

/* Its status.  `groups`: after so many it dies; 0: it does not. */
static int32_t copy_all(struct fixture *f, const mailsrv_id *from, const mailsrv_id *to, uint32_t groups,
                        struct seen *seen)
{
    struct opened opened;
    struct sent own;
    memset(seen, 0, sizeof *seen);
    look(f, from, &opened);
    gate_set(true);
    mailsrv_asked *copy = ask_copy(f, &opened, to);
    turn(f);
    follow(f, &opened, to, copy, &own, groups != 0 ? groups : UINT32_MAX, seen);
    if (groups != 0)
        die(f);
    gate_set(false);
    mail_settle(&f->mail);
    int32_t status = mail_status_of(copy);
    for (int i = 0; i < 2; i++)
        if (seen->others[i].commit != NULL) {
            seen->others_at_end += result_of(&seen->others[i]).status == MAILSRV_OK;
            drop_sent(f, &seen->others[i]);
        }
    seen->own = result_of(&own);
    seen->modseq = status == MAILSRV_OK ? ((const mailsrv_copied *)mail_value_of(copy))->modseq : 0;
    drop_sent(f, &own);
    mailsrv_asked_free(copy);
    mail_close_box(&f->mail, &opened);
    return status;
}

/* What is left of it goes, some with each group: its account waits, and the other one does not. */
static mailsrv_result while_it_goes(struct fixture *f, const char *name, const mailsrv_id *to)
{
    struct sent own, other;
    gate_set(true);
    send_one(f, &own, 0, to, 0);
    send_one(f, &other, 1, NULL, 0);
    for (int i = 0; i < 2; i++) { /* both may be in the first group, or not */
        gate_wait();
        gate_let_one_pass();
    }
    for (turn(f); mailsrv_asked_answer(other.commit) == NULL && shore_wait(&f->mail.shore); turn(f))
        continue;
    tap(result_of(&other).status == MAILSRV_OK && mailsrv_asked_answer(own.commit) == NULL, name,
        "its rows go in groups, and only its own account waits", "");
    gate_set(false);
    mail_settle(&f->mail);
    mailsrv_result result = result_of(&own);
    drop_sent(f, &other);
    drop_sent(f, &own);
    return result;
}

/* It dies in the middle; the messages of the other account that were answered. */
static uint32_t torn_copy(struct fixture *f, const char *name, const mailsrv_id *from, uint64_t rows)
{
    static const mailsrv_id inbox;
    struct seen seen;
    char text[120];
    mailsrv_id to = create(f, "torn");
    int32_t status = copy_all(f, from, &to, (uint32_t)(rows / PART / 2), &seen);
    tap(status != MAILSRV_OK && seen.rows == 0, name, "that dies in the middle is not answered, and was not seen", "");
    live_again(f);
    uint64_t others = box_of(f, 1, &inbox).exists;
    snprintf(text, sizeof text, "%u answered in %u groups, %llu are there", seen.others_n, seen.groups,
             (unsigned long long)others);
    tap(seen.others_n + 1 == seen.groups && others >= seen.others_n + seen.others_at_end && others <= seen.groups, name,
        "the other account's mail is there", text);
    mailsrv_mbox_opened box = box_of(f, 0, &to);
    tap(box.exists == 0, name, "nothing of it is there", "");
    mailsrv_result next = while_it_goes(f, name, &to);
    tap(next.status == MAILSRV_OK && next.uid >= box.uidnext && count(f, &to) == 1, name, "and mail goes on", "");
    return (uint32_t)others + 1;
}

static void whole_copy(struct fixture *f, const char *name, const mailsrv_id *from, uint64_t rows, uint32_t others)
{
    static const mailsrv_id inbox;
    struct seen seen;
    char text[120];
    mailsrv_id to = create(f, "whole");
    int32_t status = copy_all(f, from, &to, 0, &seen);
    snprintf(text, sizeof text, "%llu rows, %u groups, %u answers to the other account, %zu octets of memory",
             (unsigned long long)rows, seen.groups, seen.others_n, seen.memory);
    printf("# %s: %s\n", name, text);
    tap(status == MAILSRV_OK && count(f, &to) == rows, name, "is all there", mailsrv_strerror(status));
    tap(seen.groups >= rows / PART && seen.rows == 0, name, "nothing of it is seen before", text);
    tap(seen.others_n + 1 >= seen.groups, name, "the other account is answered in each group", text);
    tap(!seen.own_came_first && seen.own.status == MAILSRV_OK && seen.own.modseq > seen.modseq, name,
        "its own account waits", "");
    tap(f->disk != NULL || seen.memory < MEMORY_MAX, name, "takes little memory", text);
    others += seen.others_n + seen.others_at_end;
    lose_index(f);
    tap(count(f, &to) == rows && count(f, from) == rows && box_of(f, 1, &inbox).exists == others, name,
        "the log has it so", "");
}

static void large_copy(bool in_memory, uint64_t rows)
{
    const char *name = in_memory ? "a COPY, and a loss of power" : "a COPY, and a process that dies";
    struct fixture *f = begin(in_memory, 0);
    mailsrv_id from = create(f, "from");
    fill(f, &from, rows);
    rows = count(f, &from);
    uint32_t others = torn_copy(f, name, &from, rows);
    whole_copy(f, name, &from, rows, others);
    close_store(f);
    end(f, name);
}

/* ---- UIDs at their end, in a mailbox of many gaps ---- */

static void expunge_every_second(struct fixture *f, const mailsrv_id *id, uint32_t n)
{
    struct opened opened;
    mailsrv_asked *asked;
    mailsrv_run *runs = malloc(n / 2 * sizeof *runs);
    if (runs == NULL)
        abort();
    for (uint32_t i = 0; i < n / 2; i++)
        runs[i] = (mailsrv_run){ 2 * i + 1, 2 * i + 1 };
    look(f, id, &opened);
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened.value.mbox, .uids = runs, .n_uids = n / 2 };
    mail_hear(&f->mail, 0, MAILSRV_OP_EXPUNGE, 0, &arg, &asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
    free(runs);
}

/* As it was, or renumbered, and both with `n` and the last. */
static bool is_whole(const mailsrv_mbox_opened *box, const mailsrv_mbox_opened *before)
{
    bool is_old = box->uidvalidity == before->uidvalidity && box->uidnext == before->uidnext &&
                  box->exists == before->exists;
    bool is_new = box->uidvalidity > before->uidvalidity && box->exists == before->exists + 1 &&
                  box->uidnext == box->exists + 1;
    return is_old || is_new;
}

static void uids_end(bool in_memory, uint64_t rows)
{
    const char *name = in_memory ? "UIDs end, and a loss of power" : "UIDs end, and a process that dies";
    struct fixture *f = begin(in_memory, 0);
    struct sent sent;
    mailsrv_id id = create(f, "gaps");
    fill(f, &id, rows);
    expunge_every_second(f, &id, (uint32_t)count(f, &id));
    deliver(f, &id, UINT32_MAX - 1);
    mailsrv_mbox_opened before = box_of(f, 0, &id);
    tap(before.uidnext == UINT32_MAX && before.exists >= rows / 2, name, "many gaps", "");
    gate_set(true);
    send_one(f, &sent, 0, &id, 0);
    gate_wait();
    die(f);
    drop_sent(f, &sent);
    live_again(f);
    mailsrv_mbox_opened box = box_of(f, 0, &id);
    tap(is_whole(&box, &before), name, "all are renumbered, or none", "");
    mailsrv_result next = deliver(f, &id, 0);
    box = box_of(f, 0, &id);
    tap(next.status == MAILSRV_OK && next.uidvalidity > before.uidvalidity && next.uid == box.exists, name,
        "mail is taken", mailsrv_strerror(next.status));
    tap(box.exists > before.exists && box.uidnext == box.exists + 1, name, "UIDs are those from 1 on", "");
    lose_index(f);
    mailsrv_mbox_opened again = box_of(f, 0, &id);
    tap(again.uidvalidity == box.uidvalidity && again.exists == box.exists && again.uidnext == box.uidnext, name,
        "the log has it so", "");
    close_store(f);
    end(f, name);
}

/* ---- Flags of many ---- */

enum { FLAGGED_ROWS = 2048, FLAGGED_MAX = FLAGGED_ROWS + 100, FLAGGED_TIMES = 120, GAP = 601 };

static const char flags_of_many[] = "FLAGS of many";

static struct flagged_row {
    bool is_there;
    uint32_t flags;
    uint64_t modseq;
} array[FLAGGED_MAX + 1]; /* by UID */

static uint32_t below(struct fixture *f, uint32_t n)
{
    return (uint32_t)(disk_random(f->disk) % n);
}

static uint64_t highest_of_array(void)
{
    uint64_t highest = 0;
    for (uint32_t uid = 1; uid <= FLAGGED_MAX; uid++)
        highest = array[uid].modseq > highest ? array[uid].modseq : highest;
    return highest;
}

static uint32_t became(const mailsrv_arg_flags *arg, uint32_t flags)
{
    if (arg->how == MAILSRV_FLAGS_SET)
        return arg->flags;
    return arg->how == MAILSRV_FLAGS_ADD ? flags | arg->flags : flags & ~arg->flags;
}

static bool is_modified(const mailsrv_flagged *value, uint32_t uid)
{
    for (uint32_t i = 0; i < value->n_modified; i++)
        if (uid >= value->modified[i].first && uid <= value->modified[i].last)
            return true;
    return false;
}

static const mailsrv_marked *marked_of(const mailsrv_flagged *value, uint32_t uid)
{
    for (uint32_t i = 0; i < value->n_marked; i++)
        if (uid >= value->marked[i].uids.first && uid <= value->marked[i].uids.last)
            return &value->marked[i];
    return NULL;
}

/* What became of one, and whether the answer says so. */
static bool flag_one(const mailsrv_arg_flags *arg, const mailsrv_flagged *value, uint32_t uid)
{
    struct flagged_row *row = &array[uid];
    const mailsrv_marked *marked = marked_of(value, uid);
    const bool is_named = row->is_there && uid >= arg->uids->first && uid <= arg->uids->last;
    const bool is_newer = is_named && row->modseq > arg->unchanged_since;
    const bool changes = is_named && !is_newer && became(arg, row->flags) != row->flags;
    if (changes)
        *row = (struct flagged_row){ true, became(arg, row->flags), value->modseq };
    if (is_modified(value, uid) != is_newer || (value->n_marked != 0 && (marked != NULL) != changes))
        return false;
    return marked == NULL || marked->flags == row->flags;
}

/* A UID; one of two stands at the end of a chunk, or beside that. */
static uint32_t some_uid(struct fixture *f)
{
    const uint32_t uid = 1 + below(f, FLAGGED_MAX - 64);
    return below(f, 2) == 0 ? uid : (uid & ~63u) + 62 + below(f, 3);
}

/* Of most of them, or of few; some only where they have not changed since one of them did. */
static void flag_some(struct fixture *f, const mailsrv_id *id)
{
    struct opened opened;
    mailsrv_asked *asked;
    const uint32_t one = some_uid(f), other = some_uid(f);
    const mailsrv_run run = { one < other ? one : other, one < other ? other : one };
    const uint64_t before = highest_of_array();
    look(f, id, &opened);
    mailsrv_arg_flags arg = { .size = sizeof arg, .how = (int32_t)below(f, 3), .mbox = opened.value.mbox,
                              .uids = &run, .n_uids = 1, .flags = 1u << below(f, 5), .mailbox = *id,
                              .unchanged_since = below(f, 4) == 0 ? array[one].modseq : UINT64_MAX };
    const mailsrv_flagged *value = mail_hear(&f->mail, 0, MAILSRV_OP_FLAGS, 0, &arg, &asked);
    for (uint32_t uid = 1; value != NULL && uid <= FLAGGED_MAX; uid++)
        if (!flag_one(&arg, value, uid))
            mail_wrong(&f->mail, "FLAGS answers something else than it did", uid);
    if (value == NULL || value->since < before || (value->modseq != 0 && value->modseq <= value->since))
        mail_wrong(&f->mail, "FLAGS is not answered, or says nothing of what was before", one);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

/* A page of CHANGES, of which all must be newer; how many rows. */
static uint32_t compare(struct fixture *f, const mailsrv_changes *page, uint64_t since)
{
    for (uint32_t i = 0; i < page->n; i++) {
        const mailsrv_row *told = (const void *)((const char *)page->rows + (size_t)i * page->stride);
        const struct flagged_row *row = &array[told->uid];
        if (told->uid > FLAGGED_MAX || !row->is_there || told->flags != row->flags || told->modseq != row->modseq ||
            row->modseq <= since)
            mail_wrong(&f->mail, "CHANGES tells something else", told->uid);
    }
    return page->n;
}

static void same(struct fixture *f, const mailsrv_id *id, uint64_t since)
{
    struct opened opened;
    uint32_t told = 0, newer = 0;
    bool more = true;
    look(f, id, &opened);
    mailsrv_arg_changes arg = { .size = sizeof arg, .fields = MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ,
                                .mbox = opened.value.mbox, .since = since, .limit = 200 };
    while (more && f->mail.wrong[0] == '\0') {
        mailsrv_asked *asked;
        const mailsrv_changes *page = mail_hear(&f->mail, 0, MAILSRV_OP_CHANGES, 0, &arg, &asked);
        told += page != NULL ? compare(f, page, since) : 0;
        more = page != NULL && page->more != 0;
        arg.cursor = page != NULL ? page->next : arg.cursor;
        mailsrv_asked_free(asked);
    }
    for (uint32_t uid = 1; uid <= FLAGGED_MAX; uid++)
        newer += array[uid].is_there && array[uid].modseq > since;
    if (told != newer)
        mail_wrong(&f->mail, "CHANGES tells fewer, or more", told);
    mail_close_box(&f->mail, &opened);
}

/* Rows of a mailbox as they are in the beginning. */
static void learn(struct fixture *f, const mailsrv_id *id)
{
    struct opened opened;
    mailsrv_asked *asked;
    look(f, id, &opened);
    mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg = { .size = sizeof arg, .fields = MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ, .mbox = opened.value.mbox,
                             .uids = &all, .n_uids = 1, .limit = FLAGGED_MAX };
    for (bool more = true; more;) {
        const mailsrv_rows *page = mail_hear(&f->mail, 0, MAILSRV_OP_ROWS, 0, &arg, &asked);
        for (uint32_t i = 0; page != NULL && i < page->n; i++) {
            const mailsrv_row *row = (const void *)((const char *)page->rows + (size_t)i * page->stride);
            if (row->uid <= FLAGGED_MAX)
                array[row->uid] = (struct flagged_row){ true, row->flags, row->modseq };
        }
        more = page != NULL && page->more != 0;
        arg.cursor = page != NULL ? page->next : arg.cursor;
        mailsrv_asked_free(asked);
    }
    mail_close_box(&f->mail, &opened);
}

static void make_gaps(struct fixture *f, const mailsrv_id *id)
{
    struct opened opened;
    mailsrv_asked *asked;
    mailsrv_run runs[FLAGGED_ROWS / GAP];
    for (uint32_t i = 0; i < FLAGGED_ROWS / GAP; i++)
        runs[i] = (mailsrv_run){ GAP * (i + 1), GAP * (i + 1) + i };
    look(f, id, &opened);
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened.value.mbox, .uids = runs,
                                .n_uids = FLAGGED_ROWS / GAP };
    mail_hear(&f->mail, 0, MAILSRV_OP_EXPUNGE, 0, &arg, &asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

static void not_so(void *user, const char *what)
{
    struct fixture *f = user;
    snprintf(f->mail.wrong, sizeof f->mail.wrong, "%s", what);
}

/* Segments are small, so that words of many are in one chunk, and what is dead is compacted meanwhile. */
static void many_flags(void)
{
    struct fixture *f = begin(true, 8192);
    mailsrv_id id = create(f, "flagged");
    fill(f, &id, FLAGGED_ROWS);
    make_gaps(f, &id);
    learn(f, &id);
    for (uint32_t i = 1; i <= FLAGGED_TIMES && f->mail.wrong[0] == '\0'; i++) {
        flag_some(f, &id);
        if (i % 10 == 0)
            same(f, &id, i % 20 == 0 ? 0 : array[1 + below(f, FLAGGED_ROWS)].modseq);
    }
    tap(f->mail.wrong[0] == '\0', flags_of_many, "are those of the array", f->mail.wrong);
    close_store(f);
    mailsrv_durable_check(&f->mail.shore.setup, not_so, f);
    tap(f->mail.wrong[0] == '\0', flags_of_many, "leave nothing that is not so", f->mail.wrong);
    open_store(f);
    same(f, &id, 0);
    lose_index(f);
    same(f, &id, 0);
    close_store(f);
    end(f, flags_of_many);
}

/* What a disk in memory is for; more rows are for a directory. */
#define IN_MEMORY_MAX 20000
#define GAPS_MAX 500000 /* one group expunges and one renumbers them */

int main(void)
{
    const char *text = getenv("POWER_ROWS");
    uint64_t rows = text != NULL ? strtoull(text, NULL, 10) : 20000;
    uint64_t few = rows < IN_MEMORY_MAX ? rows : IN_MEMORY_MAX;
    many_flags();
    large_copy(true, few);
    large_copy(false, rows);
    uids_end(true, few);
    uids_end(false, rows < GAPS_MAX ? rows : GAPS_MAX);
    return tap_end();
}
