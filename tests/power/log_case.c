#include "log_case.h"

#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void case_open(struct log_case *f)
{
    int32_t status = shore_open(&f->mail.shore);
    if (status != MAILSRV_OK) {
        printf("Bail out! the store cannot be opened: %s\n", mailsrv_strerror(status));
        exit(1);
    }
    mail_begin(&f->mail);
}

void case_close(struct log_case *f)
{
    mail_end(&f->mail);
    shore_close(&f->mail.shore);
}

struct log_case *case_begin(void)
{
    struct log_case *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->disk = disk_new(13);
    f->files = disk_files(f->disk);
    f->files = gate_files(&f->files);
    shore_init(&f->mail.shore, "/disk", &f->files);
    f->mail.shore.setup.segment_octets = SEGMENT;
    case_open(f);
    return f;
}

void case_end(struct log_case *f, const char *name)
{
    case_close(f);
    tap(f->mail.wrong[0] == '\0', name, "all is answered", f->mail.wrong);
    disk_free(f->disk);
    free(f);
}

static void not_so(void *user, const char *text)
{
    struct log_case *f = user;
    if (f->found++ == 0)
        snprintf(f->first, sizeof f->first, "%s", text);
}

/* Whatever the check finds is said as a failure of that name. */
void case_check(struct log_case *f, const char *name, const char *when)
{
    f->found = 0;
    case_close(f);
    int32_t status = mailsrv_durable_check(&f->mail.shore.setup, not_so, f);
    tap(status == MAILSRV_OK && f->found == 0, name, when, f->first);
    case_open(f);
}

void case_lose_index(struct log_case *f)
{
    case_close(f);
    f->files.unlink(f->disk, "/disk/index.db");
    f->files.unlink(f->disk, "/disk/index.db-wal");
    case_open(f);
}

/* Until the store does nothing by itself any more. */
void case_rest(struct log_case *f)
{
    const struct timespec moment = { 0, 1000000 };
    while (mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0)
        nanosleep(&moment, NULL);
}

bool case_has_segment(struct log_case *f, unsigned number)
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

mailsrv_bytes case_bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

void case_turn(struct log_case *f)
{
    f->mail.now_us += 1000;
    for (int i = 0; i < ENGINES; i++) {
        mailsrv_engine_advance(f->mail.engines[i], f->mail.now_us, f->mail.now_us);
        while (mailsrv_engine_turn(f->mail.engines[i], 100000) == MAILSRV_MORE)
            continue;
    }
}

/* A body in memory is answered in the turn, whatever the writer does. */
void case_stage(struct log_case *f, struct sent *s, int account, size_t octets)
{
    static uint8_t text[LARGE] = "Subject: one of many\r\n\r\n";
    struct mail *m = &f->mail;
    memset(s, 0, sizeof *s);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    s->body = mail_ask(m, 1, MAILSRV_OP_BODY_BEGIN, account, &arg);
    case_turn(f);
    const mailsrv_body_begun *begun = mail_value_of(s->body);
    mailsrv_arg_body_write write = { sizeof write, 0, begun->body, 0, { text, octets } };
    s->write = mail_ask(m, 1, MAILSRV_OP_BODY_WRITE, account, &write);
    case_turn(f);
    s->staged = (mailsrv_staged){ .size = sizeof s->staged, .body = begun->body, .octets = octets };
}

void case_commit(struct log_case *f, struct sent *s, int account)
{
    s->arg = (mailsrv_arg_body_commit){ .size = sizeof s->arg, .n_bodies = 1, .body_stride = sizeof s->staged,
                                        .n_targets = 1, .target_stride = sizeof s->target, .bodies = &s->staged,
                                        .targets = &s->target };
    s->commit = mail_ask(&f->mail, 1, MAILSRV_OP_BODY_COMMIT, account, &s->arg);
    case_turn(f);
}

void case_send(struct log_case *f, struct sent *s, int account, const mailsrv_id *mailbox, size_t octets,
               uint32_t uid)
{
    case_stage(f, s, account, octets);
    s->target = (mailsrv_target){ .size = sizeof s->target, .kind = MAILSRV_TARGET_MAILBOX,
                                  .account = f->mail.shore.accounts[account], .uid = uid };
    if (mailbox != NULL)
        s->target.mailbox = *mailbox;
    case_commit(f, s, account);
}

mailsrv_result case_take(struct log_case *f, struct sent *s)
{
    mail_settle(&f->mail);
    const mailsrv_committed *value = mail_value_of(s->commit);
    mailsrv_result result = value != NULL ? value->results[0] : (mailsrv_result){ .status = MAILSRV_TEMP };
    mailsrv_asked_free(s->write);
    mailsrv_asked_free(s->commit);
    mailsrv_asked_free(s->body);
    case_turn(f);
    return result;
}

mailsrv_result case_deliver(struct log_case *f, int account, const mailsrv_id *mailbox, size_t octets, uint32_t uid)
{
    struct sent s;
    case_send(f, &s, account, mailbox, octets, uid);
    return case_take(f, &s);
}

mailsrv_id case_create(struct log_case *f, const char *name)
{
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_create arg = { .size = sizeof arg, .store = store.store_handle, .name = case_bytes(name) };
    const mailsrv_mbox_created *value = mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_CREATE, 0, &arg, &asked);
    mailsrv_id id = value != NULL ? value->mailbox : (mailsrv_id){ { 0 } };
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
    return id;
}

int32_t case_delete(struct log_case *f, const mailsrv_id *id)
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

int32_t case_rename(struct log_case *f, const mailsrv_id *id, const char *name)
{
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_rename arg = { sizeof arg, 0, store.store_handle, *id, case_bytes(name), 0 };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_RENAME, 0, &arg, &asked);
    int32_t status = mail_status_of(asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
    return status;
}

void case_subscribe(struct log_case *f, const struct opened *store, const char *name, uint32_t on)
{
    mailsrv_asked *asked;
    mailsrv_arg_mbox_subscribe arg = { sizeof arg, on, store->store_handle, case_bytes(name) };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_SUBSCRIBE, 0, &arg, &asked);
    if (mail_status_of(asked) != MAILSRV_OK)
        mail_wrong(&f->mail, "SUBSCRIBE is refused", on);
    mailsrv_asked_free(asked);
}

/* With a store of its own. */
void case_subscribe_one(struct log_case *f, const char *name, uint32_t on)
{
    struct opened store;
    mail_open_store(&f->mail, 0, &store);
    case_subscribe(f, &store, name, on);
    mail_close_box(&f->mail, &store);
}

mailsrv_mbox_opened case_box(struct log_case *f, const mailsrv_id *id)
{
    struct box box = { .id = *id };
    struct opened opened;
    bool good = mail_open_box(&f->mail, 0, &box, &opened);
    mail_close_box(&f->mail, &opened);
    return good ? opened.value : (mailsrv_mbox_opened){ .exists = UINT32_MAX };
}

void case_copy_all(struct log_case *f, const mailsrv_id *id)
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

void case_expunge(struct log_case *f, const mailsrv_id *id, const mailsrv_run *runs, uint32_t n)
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

mailsrv_asked *case_ask_expunge(struct log_case *f, const struct opened *opened, const mailsrv_run *run)
{
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened->value.mbox, .uids = run, .n_uids = 1 };
    mailsrv_asked *asked = mail_ask(&f->mail, 0, MAILSRV_OP_EXPUNGE, 1, &arg);
    case_turn(f);
    return asked;
}

const mailsrv_id case_inbox;

/* What fills a segment, in the other account's INBOX, goes. */
void case_lighten(struct log_case *f, const mailsrv_result *heavy)
{
    static const struct box box;
    struct opened opened;
    mailsrv_run run = { heavy->uid, heavy->uid };
    mail_open_box(&f->mail, 1, &box, &opened);
    mailsrv_asked *asked = case_ask_expunge(f, &opened, &run);
    mail_settle(&f->mail);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}

struct list case_list(struct log_case *f)
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

mailsrv_id case_id(struct log_case *f, const char *name)
{
    const struct list list = case_list(f);
    for (uint32_t i = 0; i < list.n; i++)
        if (strcmp(list.v[i].name, name) == 0)
            return list.v[i].mailbox;
    return case_inbox;
}

bool case_is_list(const struct list *a, const struct list *b, char text[160])
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < b->n && at < 120; i++)
        at += (size_t)snprintf(text + at, 160 - at, "%.12s:%u ", b->v[i].name, b->v[i].attributes);
    return a->n == b->n && memcmp(a->v, b->v, sizeof a->v) == 0;
}

/* ---- In the middle of a compaction ---- */

/* What is heavy goes, and with the next group copies begin; the one behind that is `last`. */
void case_in_the_middle(struct log_case *f, const mailsrv_result *heavy, void (*last)(struct log_case *f, void *user),
                        void *user)
{
    static const struct box box;
    struct opened opened;
    struct sent other;
    mailsrv_run run = { heavy->uid, heavy->uid };
    mail_open_box(&f->mail, 1, &box, &opened);
    gate_set(true);
    mailsrv_asked *asked = case_ask_expunge(f, &opened, &run);
    gate_wait();
    case_send(f, &other, 1, NULL, 100, 0);
    gate_let_one_pass();
    gate_wait();
    last(f, user);
    gate_set(false);
    case_take(f, &other);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
}
