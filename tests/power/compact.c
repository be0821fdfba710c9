/* What compaction must not lose, and must not bring back: each case is a log of which a part was compacted, compared with
 * itself after the index was made anew from what is left. */
#include "disk.h"
#include "gate.h"
#include "mail_inside.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEGMENT 150000u /* octets of groups, after which a segment ends */
#define HEAVY 190000u   /* octets of a body that fills one */

struct fixture {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail;
    int found; /* by the check */
    char first[200];
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

static struct fixture *begin(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->disk = disk_new(13);
    f->files = disk_files(f->disk);
    f->files = gate_files(&f->files);
    shore_init(&f->mail.shore, "/disk", &f->files);
    f->mail.shore.setup.segment_octets = SEGMENT;
    open_store(f);
    return f;
}

static void end(struct fixture *f, const char *name)
{
    close_store(f);
    tap(f->mail.wrong[0] == '\0', name, "all is answered", f->mail.wrong);
    disk_free(f->disk);
    free(f);
}

static void not_so(void *user, const char *text)
{
    struct fixture *f = user;
    if (f->found++ == 0)
        snprintf(f->first, sizeof f->first, "%s", text);
}

/* Whatever the check finds is said as a failure of that name. */
static void check(struct fixture *f, const char *name, const char *when)
{
    f->found = 0;
    close_store(f);
    int32_t status = mailsrv_durable_check(&f->mail.shore.setup, not_so, f);
    tap(status == MAILSRV_OK && f->found == 0, name, when, f->first);
    open_store(f);
}

static void lose_index(struct fixture *f)
{
    close_store(f);
    f->files.unlink(f->disk, "/disk/index.db");
    f->files.unlink(f->disk, "/disk/index.db-wal");
    open_store(f);
}

/* Until the store does nothing by itself any more. */
static void rest(struct fixture *f)
{
    const struct timespec moment = { 0, 1000000 };
    while (mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0)
        nanosleep(&moment, NULL);
}

static bool has_segment(struct fixture *f, unsigned number)
{
    char path[40];
    void *file;
    snprintf(path, sizeof path, "/disk/%016x.log", number);
    int32_t status = f->files.open(f->disk, path, 0, &file);
    if (status == MAILSRV_OK)
        f->files.close(f->disk, file);
    return status == MAILSRV_OK;
}

/* ---- Questions ---- */

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static void turn(struct fixture *f)
{
    f->mail.now_us += 1000;
    for (int i = 0; i < ENGINES; i++) {
        mailsrv_engine_advance(f->mail.engines[i], f->mail.now_us, f->mail.now_us);
        while (mailsrv_engine_turn(f->mail.engines[i], 100000) == MAILSRV_MORE)
            continue;
    }
}

struct sent {
    mailsrv_staged staged;
    mailsrv_target target;
    mailsrv_arg_body_commit arg;
    mailsrv_asked *body, *write, *commit;
};

/* A body in memory is answered in the turn, whatever the writer does. */
static void stage_one(struct fixture *f, struct sent *s, int account, size_t octets)
{
    static uint8_t text[HEAVY] = "Subject: one of many\r\n\r\n";
    struct mail *m = &f->mail;
    memset(s, 0, sizeof *s);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    s->body = mail_ask(m, 1, MAILSRV_OP_BODY_BEGIN, account, &arg);
    turn(f);
    const mailsrv_body_begun *begun = mail_value_of(s->body);
    mailsrv_arg_body_write write = { sizeof write, 0, begun->body, 0, { text, octets } };
    s->write = mail_ask(m, 1, MAILSRV_OP_BODY_WRITE, account, &write);
    turn(f);
    s->staged = (mailsrv_staged){ .size = sizeof s->staged, .body = begun->body, .octets = octets };
}

static void commit_one(struct fixture *f, struct sent *s, int account)
{
    s->arg = (mailsrv_arg_body_commit){ .size = sizeof s->arg, .n_bodies = 1, .body_stride = sizeof s->staged,
                                        .n_targets = 1, .target_stride = sizeof s->target, .bodies = &s->staged,
                                        .targets = &s->target };
    s->commit = mail_ask(&f->mail, 1, MAILSRV_OP_BODY_COMMIT, account, &s->arg);
    turn(f);
}

static void send_one(struct fixture *f, struct sent *s, int account, const mailsrv_id *mailbox, size_t octets,
                     uint32_t uid)
{
    stage_one(f, s, account, octets);
    s->target = (mailsrv_target){ .size = sizeof s->target, .kind = MAILSRV_TARGET_MAILBOX,
                                  .account = f->mail.shore.accounts[account], .uid = uid };
    if (mailbox != NULL)
        s->target.mailbox = *mailbox;
    commit_one(f, s, account);
}

static mailsrv_result take_sent(struct fixture *f, struct sent *s)
{
    mail_settle(&f->mail);
    const mailsrv_committed *value = mail_value_of(s->commit);
    mailsrv_result result = value != NULL ? value->results[0] : (mailsrv_result){ .status = MAILSRV_TEMP };
    mailsrv_asked_free(s->write);
    mailsrv_asked_free(s->commit);
    mailsrv_asked_free(s->body);
    turn(f);
    return result;
}

static mailsrv_result deliver(struct fixture *f, int account, const mailsrv_id *mailbox, size_t octets, uint32_t uid)
{
    struct sent s;
    send_one(f, &s, account, mailbox, octets, uid);
    return take_sent(f, &s);
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

static int32_t delete(struct fixture *f, const mailsrv_id *id)
{
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_delete arg = { sizeof arg, 0, store.store_handle, *id };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_DELETE, 0, &arg, &asked);
    int32_t status = mail_status_of(asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
    return status;
}

static int32_t rename_to(struct fixture *f, const mailsrv_id *id, const char *name)
{
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_rename arg = { sizeof arg, 0, store.store_handle, *id, bytes(name), 0 };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_RENAME, 0, &arg, &asked);
    int32_t status = mail_status_of(asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
    return status;
}

static void subscribe(struct fixture *f, const struct opened *store, const char *name, uint32_t on)
{
    mailsrv_asked *asked;
    mailsrv_arg_mbox_subscribe arg = { sizeof arg, on, store->store_handle, bytes(name) };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_SUBSCRIBE, 0, &arg, &asked);
    if (mail_status_of(asked) != MAILSRV_OK)
        mail_wrong(&f->mail, "SUBSCRIBE is refused", on);
    mailsrv_asked_free(asked);
}

/* With a store of its own. */
static void subscribe_one(struct fixture *f, const char *name, uint32_t on)
{
    struct opened store;
    mail_open_store(&f->mail, 0, &store);
    subscribe(f, &store, name, on);
    mail_close_box(&f->mail, &store);
}

static mailsrv_mbox_opened box_of(struct fixture *f, const mailsrv_id *id)
{
    struct box box = { .id = *id };
    struct opened opened;
    bool good = mail_open_box(&f->mail, 0, &box, &opened);
    mail_close_box(&f->mail, &opened);
    return good ? opened.value : (mailsrv_mbox_opened){ .exists = UINT32_MAX };
}

static void copy_all(struct fixture *f, const mailsrv_id *id)
{
    static const mailsrv_run all = { 1, UINT32_MAX };
    struct box box = { .id = *id };
    struct opened opened;
    mailsrv_asked *asked;
    mail_open_box(&f->mail, 0, &box, &opened);
    mailsrv_arg_copy arg = { .size = sizeof arg, .n_uids = 1, .mbox = opened.value.mbox, .uids = &all, .to = *id };
    mail_hear(&f->mail, 0, MAILSRV_OP_COPY, 0, &arg, &asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

static void expunge(struct fixture *f, const mailsrv_id *id, const mailsrv_run *runs, uint32_t n)
{
    struct box box = { .id = *id };
    struct opened opened;
    mailsrv_asked *asked;
    mail_open_box(&f->mail, 0, &box, &opened);
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened.value.mbox, .uids = runs, .n_uids = n };
    if (mail_hear(&f->mail, 0, MAILSRV_OP_EXPUNGE, 0, &arg, &asked) == NULL)
        mail_wrong(&f->mail, "EXPUNGE is refused", n);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

static mailsrv_asked *ask_expunge(struct fixture *f, const struct opened *opened, const mailsrv_run *run)
{
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened->value.mbox, .uids = run, .n_uids = 1 };
    mailsrv_asked *asked = mail_ask(&f->mail, 0, MAILSRV_OP_EXPUNGE, 1, &arg);
    turn(f);
    return asked;
}

static const mailsrv_id inbox; /* zero: by its name */

/* What fills a segment, in the other account's INBOX, goes. */
static void lighten(struct fixture *f, const mailsrv_result *heavy)
{
    static const struct box box;
    struct opened opened;
    mailsrv_run run = { heavy->uid, heavy->uid };
    mail_open_box(&f->mail, 1, &box, &opened);
    mailsrv_asked *asked = ask_expunge(f, &opened, &run);
    mail_settle(&f->mail);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

/* ---- UIDs, or INBOX, mean something else while a segment is being compacted ---- */

enum { ROWS = 512, GONE_ROWS = ROWS / 2 };

/* Segment 1 has the messages, segment 2 the record that the first half of them are gone, and something heavy. */
static mailsrv_result prepare(struct fixture *f, const mailsrv_id *box)
{
    const mailsrv_run run = { 1, GONE_ROWS };
    for (int i = 0; i < 8; i++)
        deliver(f, 0, box, 100, 0);
    while (box_of(f, box).exists < ROWS)
        copy_all(f, box);
    deliver(f, 0, box, HEAVY, 0);
    expunge(f, box, &run, 1);
    mailsrv_result heavy = deliver(f, 1, NULL, HEAVY, 0);
    deliver(f, 0, box, 100, UINT32_MAX - 1); /* in segment 3 */
    rest(f);
    return heavy;
}

/* What is heavy goes, and with the next group copies begin; the one behind that is `last`. */
static void in_the_middle(struct fixture *f, const mailsrv_result *heavy, void (*last)(struct fixture *f, void *user),
                          void *user)
{
    static const struct box box;
    struct opened opened;
    struct sent other;
    mailsrv_run run = { heavy->uid, heavy->uid };
    mail_open_box(&f->mail, 1, &box, &opened);
    gate_set(true);
    mailsrv_asked *asked = ask_expunge(f, &opened, &run);
    gate_wait();
    send_one(f, &other, 1, NULL, 100, 0);
    gate_let_one_pass();
    gate_wait();
    last(f, user);
    gate_set(false);
    take_sent(f, &other);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

/* All is there, and nothing else, also from the log alone. */
static void is_so(struct fixture *f, const char *name, const mailsrv_id *box, uint64_t rows)
{
    rest(f);
    tap(!has_segment(f, 2) && has_segment(f, 1), name, "the segment is retired, and an older one is not", "");
    tap(box_of(f, box).exists == rows, name, "nothing is lost", "");
    check(f, name, "the check finds nothing");
    lose_index(f);
    tap(box_of(f, box).exists == rows, name, "the log has it so", "");
    check(f, name, "and then the check finds nothing");
}

static void send_last(struct fixture *f, void *user)
{
    struct sent *s = user;
    const mailsrv_id box = s->target.mailbox;
    send_one(f, s, 0, &box, 100, 0);
}

static void renumbered(void)
{
    static const char name[] = "UIDs end while a segment is compacted";
    struct fixture *f = begin();
    mailsrv_id box = create(f, "box");
    struct sent s = { .target = { .mailbox = box } };
    mailsrv_result heavy = prepare(f, &box);
    uint32_t before = box_of(f, &box).uidvalidity;
    in_the_middle(f, &heavy, send_last, &s);
    mailsrv_result last = take_sent(f, &s);
    tap(last.status == MAILSRV_OK && last.uidvalidity != before, name, "UIDs begin at 1 again", "");
    is_so(f, name, &box, ROWS - GONE_ROWS + 3);
    end(f, name);
}

/* What is there, by a status of its own: UIDs and how many. */
static bool is_still(struct fixture *f, const mailsrv_id *box, const mailsrv_mbox_opened *before)
{
    mailsrv_mbox_opened now = box_of(f, box);
    return now.exists == before->exists && now.uidvalidity == before->uidvalidity && now.uidnext == before->uidnext;
}

static mailsrv_id id_of(struct fixture *f, const char *name);

/* Up to a record that gives UIDs another meaning segments go in their order, however little is live of a later one. */
static void in_order(const char *name, bool moves)
{
    struct fixture *f = begin();
    mailsrv_id box = moves ? inbox : create(f, "box");
    mailsrv_result heavy = prepare(f, &box);
    mailsrv_id is_inbox = moves ? box_of(f, &box).mailbox : inbox;
    if (moves) {
        rename_to(f, &is_inbox, "old");
        box = id_of(f, "old");
    } else {
        deliver(f, 0, &box, 100, 0);
    }
    mailsrv_mbox_opened before = box_of(f, &box);
    tap(before.exists == ROWS - GONE_ROWS + 2u + !moves, name, "all are there", "");
    lighten(f, &heavy);
    deliver(f, 1, NULL, 100, 0);
    rest(f);
    tap(has_segment(f, 1) && has_segment(f, 2), name, "one goes not before an older one", "");
    tap(is_still(f, &box, &before), name, "nothing is lost", "");
    uint32_t uid = moves ? ROWS + 1 : ROWS - GONE_ROWS + 1; /* of what is heavy in the first */
    const mailsrv_run run = { uid, uid };
    expunge(f, &box, &run, 1);
    deliver(f, 1, NULL, 100, 0);
    rest(f);
    before.exists--;
    tap(!has_segment(f, 1) && !has_segment(f, 2), name, "the oldest goes, and then it does", "");
    tap(is_still(f, &box, &before), name, "nothing is lost then", "");
    check(f, name, "the check finds nothing");
    lose_index(f);
    tap(is_still(f, &box, &before), name, "the log has it so", "");
    check(f, name, "and then the check finds nothing");
    end(f, name);
}

/* The order in which the log says that segments are retired (docs/store-format.md: kind 3, entry 32). */
static uint32_t retired(struct fixture *f, uint64_t out[8])
{
    uint32_t n = 0;
    for (unsigned segment = 1; segment < 16; segment++) {
        char path[40];
        void *file;
        uint8_t head[24 + 9];
        size_t got = 0;
        snprintf(path, sizeof path, "/disk/%016x.log", segment);
        if (f->files.open(f->disk, path, 0, &file) != MAILSRV_OK)
            continue;
        for (uint64_t at = 0; f->files.read(f->disk, file, head, sizeof head, at, &got) == MAILSRV_OK && got >= 24;) {
            uint32_t octets = head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
            if (octets == 9 && head[8] == 3 && got == sizeof head && head[24] == 32 && n < 8)
                out[n++] = head[25];
            at += 24 + octets;
        }
        f->files.close(f->disk, file);
    }
    return n;
}

/* What is heavy in segment 2 goes, and with the next group, in which that in 3 goes, copies from 2 begin.  Then the
 * process dies. */
static void die_in_the_middle(struct fixture *f, const mailsrv_result *second, const mailsrv_result *third)
{
    static const struct box box;
    struct opened opened;
    const mailsrv_run runs[2] = { { second->uid, second->uid }, { third->uid, third->uid } };
    mailsrv_asked *asked[2];
    mail_open_box(&f->mail, 1, &box, &opened);
    gate_set(true);
    asked[0] = ask_expunge(f, &opened, &runs[0]);
    gate_wait();
    asked[1] = ask_expunge(f, &opened, &runs[1]);
    gate_let_one_pass();
    gate_wait();
    gate_set_dead(true);
    gate_set(false);
    mail_settle(&f->mail);
    mailsrv_asked_free(asked[0]);
    mailsrv_asked_free(asked[1]);
    mail_close_box(&f->mail, &opened);
    close_store(f);
    gate_set_dead(false);
}

/* A segment of which some was copied is retired before another is begun, also by the next process, and though less is
 * live of the other. */
static void begun_first(void)
{
    static const char name[] = "a segment of which some was copied";
    struct fixture *f = begin();
    uint64_t order[8];
    mailsrv_id box = create(f, "box");
    mailsrv_result second = prepare(f, &box), third = deliver(f, 1, NULL, HEAVY, 0);
    deliver(f, 1, NULL, 100, 0);
    rest(f);
    die_in_the_middle(f, &second, &third);
    open_store(f);
    deliver(f, 1, NULL, 100, 0);
    rest(f);
    uint32_t n = retired(f, order);
    tap(n >= 2 && order[0] == 2 && order[1] == 3, name, "is retired before another", "");
    end(f, name);
}

/* An item that comes, and goes; its number. */
static uint64_t queue_one(struct fixture *f)
{
    struct sent s;
    mailsrv_asked *asked;
    stage_one(f, &s, 0, 100);
    s.target = (mailsrv_target){ .size = sizeof s.target, .kind = MAILSRV_TARGET_QUEUE, .record = bytes("a record") };
    commit_one(f, &s, 0);
    uint64_t number = take_sent(f, &s).queue;
    mailsrv_arg_queue_delete arg = { sizeof arg, 1, &number };
    mail_hear(&f->mail, 0, MAILSRV_OP_QUEUE_DELETE, -1, &arg, &asked);
    mailsrv_asked_free(asked);
    return number;
}

/* Nothing that is still in the log says which were the last ids and numbers, but for the first frame of a segment. */
static void given(void)
{
    static const char name[] = "what was given, and is not in the log";
    struct fixture *f = begin();
    mailsrv_result light = deliver(f, 1, NULL, 100, 0), heavy = deliver(f, 1, NULL, HEAVY, 0);
    mailsrv_id gone = create(f, "gone");
    delete(f, &gone);
    uint64_t item = queue_one(f);
    mailsrv_result last = deliver(f, 1, NULL, HEAVY, 0);
    lighten(f, &heavy);
    lighten(f, &last);
    rest(f);
    lighten(f, &light);
    rest(f);
    tap(!has_segment(f, 1) && !has_segment(f, 2), name, "what gave them is compacted", "");
    lose_index(f);
    mailsrv_result next = deliver(f, 1, NULL, 100, 0);
    tap(memcmp(&next.email, &last.email, sizeof last.email) > 0, name, "no id is given twice", "");
    tap(next.uid > last.uid && next.modseq > last.modseq, name, "nor a UID or modseq", "");
    mailsrv_id anew = create(f, "gone");
    tap(memcmp(&anew, &next.email, sizeof anew) > 0, name, "nor a mailbox's id", "");
    tap(item != 0 && queue_one(f) > item, name, "nor a number of the queue", "");
    end(f, name);
}

struct renaming {
    struct opened store;
    mailsrv_arg_mbox_rename arg;
    mailsrv_asked *asked;
};

static void ask_rename(struct fixture *f, void *user)
{
    struct renaming *r = user;
    r->asked = mail_ask(&f->mail, 0, MAILSRV_OP_MBOX_RENAME, 0, &r->arg);
    turn(f);
}

static void moved(void)
{
    static const char name[] = "INBOX is moved while a segment is compacted";
    struct fixture *f = begin();
    struct renaming r;
    mailsrv_result heavy = prepare(f, &inbox);
    mailsrv_id id = box_of(f, &inbox).mailbox;
    mail_open_store(&f->mail, 0, &r.store);
    r.arg = (mailsrv_arg_mbox_rename){ sizeof r.arg, 0, r.store.store_handle, id, bytes("old"), 0 };
    in_the_middle(f, &heavy, ask_rename, &r);
    tap(mail_status_of(r.asked) == MAILSRV_OK, name, "it is moved", "");
    mailsrv_asked_free(r.asked);
    mail_close_box(&f->mail, &r.store);
    mailsrv_id old = id_of(f, "old");
    tap(box_of(f, &inbox).exists == 0, name, "INBOX is empty", "");
    is_so(f, name, &old, ROWS - GONE_ROWS + 2);
    tap(box_of(f, &inbox).exists == 0, name, "and stays so", "");
    end(f, name);
}

/* ---- Names ---- */

enum { NAMES = 1005 }; /* more than are remembered when they are gone */

struct listed {
    char name[32];
    mailsrv_id mailbox;
    uint32_t attributes;
};

struct list {
    struct listed v[20];
    uint32_t n;
};

static struct list list_of(struct fixture *f)
{
    struct list list = { .n = 0 };
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_list arg = { .size = sizeof arg, .limit = 20, .store = store.store_handle };
    const mailsrv_mbox_listed *value = mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_LIST, 0, &arg, &asked);
    for (uint32_t i = 0; value != NULL && i < value->n && i < 20; i++, list.n++) {
        memcpy(list.v[i].name, value->entries[i].name.p, value->entries[i].name.n);
        list.v[i].mailbox = value->entries[i].mailbox;
        list.v[i].attributes = value->entries[i].attributes;
    }
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
    return list;
}

static mailsrv_id id_of(struct fixture *f, const char *name)
{
    const struct list list = list_of(f);
    for (uint32_t i = 0; i < list.n; i++)
        if (strcmp(list.v[i].name, name) == 0)
            return list.v[i].mailbox;
    return inbox;
}

/* Names that come, and go again. */
static void very_many(struct fixture *f)
{
    struct opened store;
    char name[16];
    mail_open_store(&f->mail, 0, &store);
    for (unsigned i = 0; i < 2 * NAMES; i++) {
        snprintf(name, sizeof name, "name-%u", i / 2);
        subscribe(f, &store, name, i % 2 == 0);
    }
    mail_close_box(&f->mail, &store);
}

static bool is_list(const struct list *a, const struct list *b, char text[160])
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < b->n && at < 120; i++)
        at += (size_t)snprintf(text + at, 160 - at, "%.12s:%u ", b->v[i].name, b->v[i].attributes);
    return a->n == b->n && memcmp(a->v, b->v, sizeof a->v) == 0;
}

/* In segment 1 there are names, in 2 they go, in 3 they are forgotten, and then 2 and 3 are compacted. */
static void forgotten(void)
{
    static const char name[] = "names that are forgotten";
    struct fixture *f = begin();
    char text[160];
    mailsrv_id deleted = create(f, "deleted"), renamed = create(f, "renamed");
    mailsrv_id again = create(f, "again");
    static const char *const subscribed[] = { "subscribed", "target", "twice", "again" };
    for (int i = 0; i < 4; i++)
        subscribe_one(f, subscribed[i], 1);
    deliver(f, 0, NULL, HEAVY, 0);
    for (int i = 0; i < 4; i++)
        subscribe_one(f, subscribed[i], 0);
    delete(f, &deleted);
    delete(f, &again);
    rename_to(f, &renamed, "new");
    mailsrv_result second = deliver(f, 1, NULL, HEAVY, 0);
    very_many(f);
    mailsrv_result third = deliver(f, 1, NULL, HEAVY, 0);
    mailsrv_id other = create(f, "other"); /* in segment 4 */
    rename_to(f, &other, "target");
    subscribe_one(f, "twice", 1);
    create(f, "again");
    rest(f);
    const struct list before = list_of(f);
    lighten(f, &second);
    lighten(f, &third);
    rest(f);
    tap(has_segment(f, 1) && !has_segment(f, 2) && !has_segment(f, 3), name, "what said that they go is compacted", "");
    const struct list now = list_of(f);
    tap(before.n == 5 && is_list(&before, &now, text), name, "and the list is as it was", text);
    check(f, name, "the check finds nothing");
    lose_index(f);
    const struct list then = list_of(f);
    tap(is_list(&before, &then, text), name, "none comes back from the log", text);
    check(f, name, "and then the check finds nothing");
    mailsrv_id anew = create(f, "deleted");
    tap(memcmp(&anew, &inbox, sizeof anew) != 0, name, "and can be made again", "");
    end(f, name);
}

struct deletion {
    struct opened store;
    mailsrv_arg_mbox_delete arg;
    mailsrv_asked *asked;
};

static void ask_delete(struct fixture *f, void *user)
{
    struct deletion *r = user;
    r->asked = mail_ask(&f->mail, 0, MAILSRV_OP_MBOX_DELETE, 0, &r->arg);
    turn(f);
}

/* Where a mailbox goes whose new name has been copied, and what it was called before not yet. */
static void two_names(void)
{
    static const char name[] = "a mailbox that is renamed, and goes while that is compacted";
    struct fixture *f = begin();
    struct deletion r;
    char text[160];
    mailsrv_id box = create(f, "old");
    deliver(f, 0, NULL, HEAVY, 0);
    rename_to(f, &box, "new");
    for (unsigned i = 0; i < 250; i++) { /* more than one step copies */
        snprintf(text, sizeof text, "other/%u", i);
        create(f, text);
    }
    mailsrv_result heavy = deliver(f, 1, NULL, HEAVY, 0);
    deliver(f, 1, NULL, 100, 0);
    rest(f);
    mail_open_store(&f->mail, 0, &r.store);
    r.arg = (mailsrv_arg_mbox_delete){ sizeof r.arg, 0, r.store.store_handle, box };
    in_the_middle(f, &heavy, ask_delete, &r);
    tap(mail_status_of(r.asked) == MAILSRV_OK, name, "it is deleted", "");
    mailsrv_asked_free(r.asked);
    mail_close_box(&f->mail, &r.store);
    rest(f);
    tap(has_segment(f, 1) && !has_segment(f, 2), name, "what said that it is renamed is compacted", "");
    const struct list before = list_of(f);
    lose_index(f);
    const struct list then = list_of(f);
    tap(is_list(&before, &then, text), name, "the log has it so", text);
    check(f, name, "and the check finds nothing");
    end(f, name);
}

/* ---- What a deleted mailbox held cannot be removed now ---- */

/* The writer cannot read the index, which others can. */
static struct failing {
    mailsrv_durable_files base;
    pthread_t opener;
    void *files[2]; /* the index, and its log, as the writer has them, who opens them first */
    atomic_bool is_armed;
} failing;

static int32_t open_and_see(void *user, const char *path, uint32_t flags, void **out)
{
    int32_t status = failing.base.open(user, path, flags, out);
    size_t i = strcmp(path, "/disk/index.db-wal") == 0;
    bool is_index = i != 0 || strcmp(path, "/disk/index.db") == 0;
    if (status == MAILSRV_OK && is_index && (flags & MAILSRV_DURABLE_WRITE) != 0 && failing.files[i] == NULL)
        failing.files[i] = *out;
    return status;
}

static int32_t read_or_fail(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    bool fails = failing.is_armed && !pthread_equal(failing.opener, pthread_self()) &&
                 (file == failing.files[0] || file == failing.files[1]);
    return fails ? MAILSRV_TEMP : failing.base.read(user, file, p, n, offset, got);
}

static void open_failing(struct fixture *f)
{
    failing.base = f->files;
    failing.opener = pthread_self();
    f->files.open = open_and_see;
    f->files.read = read_or_fail;
    failing.is_armed = true;
    open_store(f);
}

static void unswept(void)
{
    static const char name[] = "a deleted mailbox whose messages cannot be removed";
    struct fixture *f = begin();
    mailsrv_id box = create(f, "box");
    for (int i = 0; i < 8; i++)
        deliver(f, 0, &box, 100, 0);
    mailsrv_result heavy = deliver(f, 1, NULL, HEAVY, 0);
    while (box_of(f, &box).exists < 8192)
        copy_all(f, &box);
    rest(f);
    delete(f, &box);
    close_store(f); /* most of its messages are still in the index */
    open_failing(f);
    bool refuses = deliver(f, 1, NULL, 100, 0).status == MAILSRV_TEMP;
    refuses = deliver(f, 1, NULL, 100, 0).status == MAILSRV_TEMP && refuses;
    tap(refuses, name, "the index cannot be read", "");
    failing.is_armed = false;
    lighten(f, &heavy);
    deliver(f, 1, NULL, 100, 0);
    rest(f);
    tap(!has_segment(f, 1), name, "it is compacted then", "");
    check(f, name, "the check finds nothing");
    lose_index(f);
    rest(f);
    check(f, name, "and neither with the log alone");
    end(f, name);
}

int main(void)
{
    two_names();
    unswept();
    in_order("segments before a renumbering", false);
    in_order("segments before INBOX was moved", true);
    begun_first();
    given();
    renumbered();
    moved();
    forgotten();
    return tap_end();
}
