/* What goes on while the reader is in the middle of something: the writer removes the segment that is just opened, and
 * changes the mailbox that is; its mailbox is closed while more messages are looked up in it; and while a call reads in the
 * reader's place, what is asked waits.  And while a large body is synced: nobody else waits for that. */
#include "log_case.h"
#include "tap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_2 "/disk/0000000000000002.log" /* the one that begins when the store is opened again */
#define INDEX "/disk/index.db"
#define BODIES "/disk/bodies/"
#define FILES_MAX 256

enum where { NOWHERE, SEGMENT_IS_OPENED, INDEX_IS_READ, BODY_IS_SYNCED };

/* Files of which one call stops, once, until it is let go. */
static struct {
    mailsrv_durable_files base;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    enum where stops;
    bool is_there, goes_on;
    void *of_index[FILES_MAX], *of_segment[FILES_MAX]; /* that are open; of the segment, to be read */
    void *of_bodies[FILES_MAX];
    int32_t synced; /* what the sync that stopped comes to */
} late = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

/* With the lock. */
static void **place_of(void *v[FILES_MAX], const void *file)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (v[i] == file)
            return &v[i];
    return NULL;
}

/* With the lock. */
static void stop_at(enum where where)
{
    if (late.stops != where)
        return;
    late.stops = NOWHERE;
    late.is_there = true;
    pthread_cond_broadcast(&late.moved);
    while (!late.goes_on)
        pthread_cond_wait(&late.moved, &late.lock);
}

static int32_t open_file(void *user, const char *path, uint32_t flags, void **out)
{
    int32_t status = late.base.open(user, path, flags, out);
    if (status != MAILSRV_OK)
        return status;
    pthread_mutex_lock(&late.lock);
    bool is_segment = strcmp(path, SEGMENT_2) == 0 && flags == 0;
    bool is_index = strncmp(path, INDEX, sizeof INDEX - 1) == 0;
    bool is_body = strncmp(path, BODIES, sizeof BODIES - 1) == 0;
    void **of = is_segment ? late.of_segment : is_index ? late.of_index : is_body ? late.of_bodies : NULL;
    void **place = of != NULL ? place_of(of, NULL) : NULL;
    if (place != NULL)
        *place = *out;
    if (is_segment)
        stop_at(SEGMENT_IS_OPENED);
    pthread_mutex_unlock(&late.lock);
    return MAILSRV_OK;
}

static void close_file(void *user, void *file)
{
    pthread_mutex_lock(&late.lock);
    void **place = place_of(late.of_segment, file);
    if (place == NULL)
        place = place_of(late.of_index, file);
    if (place == NULL)
        place = place_of(late.of_bodies, file);
    if (place != NULL)
        *place = NULL;
    pthread_mutex_unlock(&late.lock);
    late.base.close(user, file);
}

static int32_t read_file(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    pthread_mutex_lock(&late.lock);
    if (place_of(late.of_index, file) != NULL)
        stop_at(INDEX_IS_READ);
    pthread_mutex_unlock(&late.lock);
    return late.base.read(user, file, p, n, offset, got);
}

static int32_t read_in_memory(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    return late.base.read(user, file, p, n, offset, got);
}

static int32_t sync_file(void *user, void *file)
{
    pthread_mutex_lock(&late.lock);
    bool stopped = late.stops == BODY_IS_SYNCED && place_of(late.of_bodies, file) != NULL;
    if (stopped)
        stop_at(BODY_IS_SYNCED);
    pthread_mutex_unlock(&late.lock);
    int32_t status = late.base.sync(user, file);
    return stopped && status == MAILSRV_OK ? late.synced : status;
}

static void stop_next(enum where where)
{
    pthread_mutex_lock(&late.lock);
    late.stops = where;
    late.is_there = late.goes_on = false;
    pthread_mutex_unlock(&late.lock);
}

static void wait_until_there(void)
{
    gate_await(&late.lock, &late.moved, &late.is_there, "nobody comes there");
}

static void let_go(void)
{
    pthread_mutex_lock(&late.lock);
    late.goes_on = true;
    pthread_cond_broadcast(&late.moved);
    pthread_mutex_unlock(&late.lock);
}

static unsigned open_files_of_segment(void)
{
    unsigned n = 0;
    pthread_mutex_lock(&late.lock);
    for (size_t i = 0; i < FILES_MAX; i++)
        n += late.of_segment[i] != NULL;
    pthread_mutex_unlock(&late.lock);
    return n;
}

/* `now`: what is in memory is read at once. */
static struct log_case *begin_with(bool now)
{
    struct log_case *f = case_begin();
    case_close(f);
    late.base = f->files;
    f->files.open = open_file;
    f->files.close = close_file;
    f->files.read = read_file;
    f->files.sync = sync_file;
    f->files.read_now = now ? read_in_memory : NULL;
    case_open(f);
    return f;
}

static struct log_case *begin(void)
{
    return begin_with(false);
}

/* While the reader stands still nobody waits for all answers. */
static void wait_for(struct log_case *f, const mailsrv_asked *asked)
{
    for (case_turn(f); mailsrv_asked_answer(asked) == NULL; case_turn(f))
        if (!shore_wait(&f->mail.shore)) {
            printf("Bail out! no answer comes\n");
            exit(1);
        }
}

/* ---- Cases ---- */

static void segment_goes(void)
{
    static const char name[] = "a segment that goes while it is opened";
    static const struct box inbox;
    struct log_case *f = begin();
    struct opened opened, other;
    mailsrv_result small = case_deliver(f, 0, NULL, 100, 0), heavy = case_deliver(f, 1, NULL, HEAVY, 0);
    const mailsrv_run run = { heavy.uid, heavy.uid };
    case_deliver(f, 1, NULL, 100, 0); /* in segment 3 */
    case_rest(f);
    mail_open_box(&f->mail, 0, &inbox, &opened);
    mail_open_box(&f->mail, 1, &inbox, &other);
    stop_next(SEGMENT_IS_OPENED);
    const mailsrv_arg_read arg = { sizeof arg, small.uid, opened.value.mbox, 0, 0, 0, 1000, 0 };
    mailsrv_asked *read = mail_ask(&f->mail, 0, MAILSRV_OP_READ, 0, &arg);
    case_turn(f);
    wait_until_there();
    mailsrv_asked *gone = case_ask_expunge(f, &other, &run);
    wait_for(f, gone);
    case_rest(f);
    tap(!case_has_segment(f, 2) && open_files_of_segment() == 1, name, "it is gone", "");
    let_go();
    wait_for(f, read);
    const mailsrv_read_bytes *value = mail_value_of(read);
    tap(value != NULL && value->octets.n == 100, name, "who opened it reads it", "");
    mailsrv_asked_free(read);
    mailsrv_asked_free(gone);
    mail_settle(&f->mail);
    tap(open_files_of_segment() == 0, name, "and its room on the disk is free", "");
    mail_close_box(&f->mail, &other);
    mail_close_box(&f->mail, &opened);
    case_end(f, name);
}

static uint64_t letters(const struct log_case *f)
{
    return mailsrv_engine_stat(f->mail.engines[0], MAILSRV_STAT_LETTERS);
}

/* The answer comes as a letter, and so does the poke. */
static void mailbox_changes(void)
{
    static const char name[] = "a mailbox that is changed while it is opened";
    struct log_case *f = begin();
    struct opened store;
    struct sent sent;
    mailsrv_asked *mbox;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_open arg = { .size = sizeof arg, .store = store.store_handle, .name = case_bytes("INBOX") };
    case_deliver(f, 0, NULL, 100, 0);
    case_rest(f);
    uint64_t before = letters(f);
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_OPEN, 0, &arg, &mbox);
    tap(letters(f) == before + 1, name, "nobody is told where nothing was changed", "");
    mailsrv_asked_free(mbox);
    case_deliver(f, 0, NULL, 100, 0);
    case_rest(f);
    before = letters(f);
    stop_next(INDEX_IS_READ);
    mbox = mail_ask(&f->mail, 0, MAILSRV_OP_MBOX_OPEN, 0, &arg);
    case_turn(f);
    wait_until_there();
    case_send(f, &sent, 0, NULL, 100, 0);
    wait_for(f, sent.commit);
    tap(letters(f) == before, name, "it is not open yet", "");
    let_go();
    case_take(f, &sent);
    const mailsrv_mbox_opened *value = mail_value_of(mbox);
    tap(value != NULL && value->exists == 2, name, "what is answered is how it was before", "");
    tap(letters(f) == before + 2, name, "and who opened it is told that it was changed", "");
    mailsrv_asked_free(mbox);
    mail_settle(&f->mail);
    mail_close_box(&f->mail, &store);
    case_end(f, name);
}

static void *find_account(void *user)
{
    struct log_case *f = user;
    mailsrv_id id;
    bool found = mailsrv_durable_find_account(f->mail.shore.store, "nobody", 6, &id) == MAILSRV_NONEXISTENT;
    return found ? user : NULL;
}

/* The index is read anew for it, because a delivery has changed it. */
static void call_reads(void)
{
    static const char name[] = "a call that reads";
    struct log_case *f = begin();
    struct opened store;
    pthread_t caller;
    void *found;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_open arg = { .size = sizeof arg, .store = store.store_handle, .name = case_bytes("INBOX") };
    case_deliver(f, 0, NULL, 100, 0);
    case_rest(f);
    stop_next(INDEX_IS_READ);
    pthread_create(&caller, NULL, find_account, f);
    wait_until_there();
    mailsrv_asked *mbox = mail_ask(&f->mail, 0, MAILSRV_OP_MBOX_OPEN, 0, &arg);
    case_turn(f);
    tap(mailsrv_asked_answer(mbox) == NULL, name, "what is asked meanwhile waits", "");
    let_go();
    pthread_join(caller, &found);
    tap(found == f, name, "it is answered", "");
    wait_for(f, mbox);
    const mailsrv_mbox_opened *value = mail_value_of(mbox);
    tap(value != NULL && value->exists == 1, name, "and then what waited", "");
    mailsrv_asked_free(mbox);
    mail_settle(&f->mail);
    mail_close_box(&f->mail, &store);
    case_end(f, name);
}

/* ---- Messages that are looked up ahead ---- */

enum { MESSAGES = 8, FIRST_KNOWN = 3 };

static bool read_one(struct log_case *f, const struct opened *opened, uint32_t uid)
{
    const mailsrv_arg_read arg = { sizeof arg, uid, opened->value.mbox, 0, 0, 0, 1000, 0 };
    mailsrv_asked *read = mail_ask(&f->mail, 0, MAILSRV_OP_READ, 0, &arg);
    wait_for(f, read);
    const mailsrv_read_bytes *value = mail_value_of(read);
    const bool good = value != NULL && value->octets.n == 100;
    mailsrv_asked_free(read);
    return good;
}

/* The first is looked up, the second too, and with it those behind it; the index is then to be read anew. */
static uint32_t read_first(struct log_case *f, struct opened *opened)
{
    static const struct box inbox;
    uint32_t first = 0;
    for (int i = 0; i < MESSAGES; i++) {
        const uint32_t uid = case_deliver(f, 0, NULL, 100, 0).uid;
        first = first == 0 ? uid : first;
    }
    case_rest(f);
    mail_open_box(&f->mail, 0, &inbox, opened);
    for (uint32_t i = 0; i < FIRST_KNOWN - 1; i++)
        read_one(f, opened, first + i);
    case_deliver(f, 0, NULL, 100, 0);
    case_rest(f);
    return first;
}

static uint64_t read_now(const struct log_case *f)
{
    return mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_READ_NOW);
}

/* Each is known before it is read: the reader looks further while half of them are left. */
static void looks_ahead(void)
{
    static const char name[] = "messages that are looked up while others are read";
    struct log_case *f = begin_with(true);
    struct opened opened;
    const uint32_t first = read_first(f, &opened);
    const uint64_t before = read_now(f);
    bool good = true;
    for (uint32_t i = FIRST_KNOWN - 1; i < MESSAGES && good; i++) {
        stop_next(INDEX_IS_READ);
        good = read_one(f, &opened, first + i);
        if (i == FIRST_KNOWN - 1)
            wait_until_there();
        let_go();
        mailsrv_id id; /* which the reader answers behind what it was told before */
        mailsrv_durable_find_account(f->mail.shore.store, "nobody", 6, &id);
    }
    tap(good, name, "all are read", "");
    tap(read_now(f) == before + MESSAGES - FIRST_KNOWN + 1, name, "each of them at once", "");
    mail_close_box(&f->mail, &opened);
    case_end(f, name);
}

static void closed_meanwhile(void)
{
    static const char name[] = "a mailbox that is closed while messages are looked up in it";
    struct log_case *f = begin_with(true);
    struct opened opened;
    const uint32_t first = read_first(f, &opened);
    stop_next(INDEX_IS_READ);
    tap(read_one(f, &opened, first + FIRST_KNOWN - 1), name, "who reads does not wait for that", "");
    wait_until_there();
    mail_close_box(&f->mail, &opened);
    tap(true, name, "nor who closes it", "");
    let_go();
    case_end(f, name);
}

/* ---- Large bodies ---- */

static void send_large(struct log_case *f, struct sent *s)
{
    case_stage(f, s, 0, LARGE);
    wait_for(f, s->write);
    s->target = (mailsrv_target){ .size = sizeof s->target, .kind = MAILSRV_TARGET_MAILBOX,
                                  .account = f->mail.shore.accounts[0] };
    case_commit(f, s, 0);
}

/* Its sync has begun, and comes to that when it is let go. */
static void send_slow(struct log_case *f, struct sent *s, int32_t comes_to)
{
    late.synced = comes_to;
    stop_next(BODY_IS_SYNCED);
    send_large(f, s);
    wait_until_there();
}

static void sync_is_slow(void)
{
    static const char name[] = "a large body that is synced for long";
    struct log_case *f = begin();
    struct sent large, small;
    send_slow(f, &large, MAILSRV_OK);
    case_send(f, &small, 1, NULL, 100, 0);
    wait_for(f, small.commit);
    tap(mailsrv_asked_answer(large.commit) == NULL, name, "another message does not wait for it", "");
    let_go();
    tap(case_take(f, &small).status == MAILSRV_OK, name, "which is there", "");
    tap(case_take(f, &large).status == MAILSRV_OK, name, "and then so is this one", "");
    case_end(f, name);
}

static void sync_fails(void)
{
    static const char name[] = "a large body whose sync fails";
    struct log_case *f = begin();
    struct sent large;
    send_slow(f, &large, MAILSRV_TEMP);
    let_go();
    tap(case_take(f, &large).status == MAILSRV_TEMP, name, "it is not stored", "");
    send_large(f, &large);
    tap(case_take(f, &large).status == MAILSRV_OK, name, "the next one is", "");
    case_end(f, name);
}

static void *let_go_meanwhile(void *user)
{
    let_go();
    return user;
}

static void engine_goes(void)
{
    static const char name[] = "an engine that goes while its large body is synced";
    struct log_case *f = begin();
    struct sent large;
    pthread_t other;
    send_slow(f, &large, MAILSRV_OK);
    mailsrv_asked_free(large.write);
    mailsrv_asked_free(large.commit);
    mailsrv_asked_free(large.body);
    pthread_create(&other, NULL, let_go_meanwhile, NULL);
    case_close(f);
    pthread_join(other, NULL);
    case_open(f);
    send_large(f, &large);
    tap(case_take(f, &large).status == MAILSRV_OK, name, "the store goes on", "");
    case_end(f, name);
}

int main(void)
{
    sync_is_slow();
    sync_fails();
    engine_goes();
    segment_goes();
    looks_ahead();
    closed_meanwhile();
    mailbox_changes();
    call_reads();
    return tap_end();
}
