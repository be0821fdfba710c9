/* What the durable store does with mailboxes beyond the kit: large copies, large deletions, histories that end, full
 * dictionaries, and engines that are told. */
#include "disk.h"
#include "mail_inside.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail;
};

static void open_store(struct fixture *f)
{
    if (shore_open(&f->mail.shore) != MAILSRV_OK)
        abort();
    mail_begin(&f->mail);
}

static void close_store(struct fixture *f)
{
    mail_end(&f->mail);
    shore_close(&f->mail.shore);
}

static struct fixture *begin(uint32_t history_max)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->disk = disk_new(11);
    f->files = disk_files(f->disk);
    shore_init(&f->mail.shore, "/disk", &f->files);
    f->mail.shore.setup.history_max = history_max;
    open_store(f);
    return f;
}

static void end(struct fixture *f, const char *name)
{
    tap(f->mail.wrong[0] == '\0', name, "all is answered", f->mail.wrong);
    disk_free(f->disk);
    free(f);
}

/* The store is opened again, with its index made anew. */
static void open_anew(struct fixture *f)
{
    close_store(f);
    f->files.unlink(f->disk, "/disk/index.db");
    f->files.unlink(f->disk, "/disk/index.db-wal");
    open_store(f);
}

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

/* ---- Questions, each with a store and a mailbox of its own ---- */

static mailsrv_result deliver(struct fixture *f, const mailsrv_id *mailbox, const mailsrv_bytes *keyword)
{
    static const uint8_t text[] = "Subject: one of very many\r\n\r\n";
    struct mail *m = &f->mail;
    mailsrv_asked *body, *commit, *write;
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    const mailsrv_body_begun *begun = mail_hear(m, 0, MAILSRV_OP_BODY_BEGIN, 0, &arg, &body);
    mailsrv_arg_body_write octets = { sizeof octets, 0, begun->body, 0, { text, sizeof text - 1 } };
    mail_hear(m, 0, MAILSRV_OP_BODY_WRITE, 0, &octets, &write);
    mailsrv_staged staged = { .size = sizeof staged, .body = begun->body, .octets = sizeof text - 1 };
    mailsrv_target target = { .size = sizeof target, .kind = MAILSRV_TARGET_MAILBOX, .account = m->shore.accounts[0],
                              .keywords = keyword, .n_keywords = keyword != NULL };
    if (mailbox != NULL)
        target.mailbox = *mailbox;
    mailsrv_arg_body_commit c = { .size = sizeof c, .n_bodies = 1, .body_stride = sizeof staged, .n_targets = 1,
                                  .target_stride = sizeof target, .bodies = &staged, .targets = &target };
    const mailsrv_committed *value = mail_hear(m, 0, MAILSRV_OP_BODY_COMMIT, 0, &c, &commit);
    mailsrv_result result = value != NULL ? value->results[0] : (mailsrv_result){ .status = MAILSRV_TEMP };
    mailsrv_asked_free(write);
    mailsrv_asked_free(commit);
    mailsrv_asked_free(body);
    mail_settle(m);
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

static void rename_to(struct fixture *f, int engine, const mailsrv_id *id, const char *name)
{
    struct mail *m = &f->mail;
    mailsrv_asked *store, *asked;
    mailsrv_arg_store_open open = { sizeof open, 0 };
    const mailsrv_store_opened *opened = mail_hear(m, engine, MAILSRV_OP_STORE_OPEN, 0, &open, &store);
    mailsrv_arg_mbox_rename arg = { sizeof arg, 0, opened->store, *id, bytes(name), 0 };
    mail_hear(m, engine, MAILSRV_OP_MBOX_RENAME, 0, &arg, &asked);
    if (mail_status_of(asked) != MAILSRV_OK)
        mail_wrong(m, "RENAME is refused", 0);
    mailsrv_asked_free(asked);
    mailsrv_asked_free(store);
    mail_settle(m);
}

static void delete(struct fixture *f, const mailsrv_id *id)
{
    struct opened store;
    mailsrv_asked *asked;
    mail_open_store(&f->mail, 0, &store);
    mailsrv_arg_mbox_delete arg = { sizeof arg, 0, store.store_handle, *id };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_DELETE, 0, &arg, &asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &store);
}

static uint64_t count(struct fixture *f, const mailsrv_id *id)
{
    struct box box = { .id = *id };
    struct opened opened;
    bool good = mail_open_box(&f->mail, 0, &box, &opened);
    mail_close_box(&f->mail, &opened);
    return good ? opened.value.exists : UINT64_MAX;
}

/* Everything from one mailbox to another; the status. */
static int32_t copy_all(struct fixture *f, const mailsrv_id *from, const mailsrv_id *to)
{
    struct box box = { .id = *from };
    struct opened opened;
    mailsrv_asked *asked = NULL;
    mailsrv_run all = { 1, UINT32_MAX };
    int32_t status = MAILSRV_TEMP;
    if (mail_open_box(&f->mail, 0, &box, &opened)) {
        mailsrv_arg_copy arg = { .size = sizeof arg, .n_uids = 1, .mbox = opened.value.mbox, .uids = &all, .to = *to };
        mail_hear(&f->mail, 0, MAILSRV_OP_COPY, 0, &arg, &asked);
        status = mail_status_of(asked);
        mailsrv_asked_free(asked);
    }
    mail_close_box(&f->mail, &opened);
    return status;
}

static uint64_t expunge(struct fixture *f, const mailsrv_id *id, uint32_t uid)
{
    struct box box = { .id = *id };
    struct opened opened;
    mailsrv_asked *asked;
    mailsrv_run run = { uid, uid };
    mail_open_box(&f->mail, 0, &box, &opened);
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = opened.value.mbox, .uids = &run, .n_uids = 1 };
    const mailsrv_expunged *value = mail_hear(&f->mail, 0, MAILSRV_OP_EXPUNGE, 0, &arg, &asked);
    uint64_t modseq = value != NULL ? value->modseq : 0;
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
    return modseq;
}

static int32_t flag(struct fixture *f, const mailsrv_id *id, const char *keyword)
{
    struct box box = { .id = *id };
    struct opened opened;
    mailsrv_asked *asked;
    mailsrv_run run = { 1, 1 };
    mailsrv_bytes name = bytes(keyword);
    mail_open_box(&f->mail, 0, &box, &opened);
    mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_ADD, .mbox = opened.value.mbox, .uids = &run,
                              .keywords = &name, .n_uids = 1, .n_keywords = 1, .unchanged_since = UINT64_MAX };
    mail_hear(&f->mail, 0, MAILSRV_OP_FLAGS, 0, &arg, &asked);
    int32_t status = mail_status_of(asked);
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
    return status;
}

/* ---- COPY of very many ---- */

#define MANY 8192u

static void fill(struct fixture *f, const mailsrv_id *id)
{
    mailsrv_bytes keyword = bytes("many");
    for (int i = 0; i < 8; i++)
        deliver(f, id, &keyword);
    while (count(f, id) < MANY)
        copy_all(f, id, id);
}

static void large_copy(void)
{
    struct fixture *f = begin(0);
    mailsrv_id from = create(f, "from"), to = create(f, "to");
    fill(f, &from);
    tap(count(f, &from) == MANY, "a large COPY", "doubles its own mailbox", "");
    uint64_t groups = mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_GROUPS);
    int32_t status = copy_all(f, &from, &to);
    groups = mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_GROUPS) - groups;
    tap(status == MAILSRV_OK && count(f, &to) == MANY, "a large COPY", "is all there", "");
    tap(groups > 3, "a large COPY", "is several groups, between which others have their turn", "");
    open_anew(f);
    tap(count(f, &to) == MANY && count(f, &from) == MANY, "a large COPY", "the log has it so", "");
    close_store(f);
    end(f, "a large COPY");
}

/* The power goes while it is made: all of it is there, or nothing, and what comes after has other UIDs. */
static void torn_copy(void)
{
    const struct plan none = { .dies_at = 0 };
    struct fixture *f = begin(0);
    mailsrv_id from = create(f, "from");
    bool whole = true, some_died = false, some_lived = false, new_uids = true;
    fill(f, &from);
    for (uint64_t at = 1; at < 600; at += at / 4 + 1) {
        char name[16];
        snprintf(name, sizeof name, "to-%u", (unsigned)at);
        mailsrv_id to = create(f, name);
        struct plan plan = { .dies_at = at };
        disk_plan(f->disk, &plan);
        int32_t status = copy_all(f, &from, &to);
        bool died = disk_is_dead(f->disk);
        close_store(f);
        disk_cut(f->disk);
        disk_plan(f->disk, &none);
        open_store(f);
        uint64_t n = count(f, &to);
        mailsrv_result next = deliver(f, &to, NULL);
        whole = whole && (n == MANY || (n == 0 && status != MAILSRV_OK));
        new_uids = new_uids && next.status == MAILSRV_OK && next.uid > n;
        some_died = some_died || (died && n == 0);
        some_lived = some_lived || n == MANY;
    }
    tap(whole, "a torn COPY", "is there whole or not at all", "");
    tap(new_uids, "a torn COPY", "mail goes on behind it", "");
    tap(some_died && some_lived, "a torn COPY", "both were tried", "");
    close_store(f);
    end(f, "a torn COPY");
}

/* ---- CHANGES of very many: more than are looked through for one page ---- */

#define VERY_MANY 65600u
#define UIDS (2 * VERY_MANY)
#define FLAGGED 100u

/* Some, with what stands behind them, from here and there, and of the first 64 that a second page looks at. */
static void flag_some(struct fixture *f, const struct opened *box)
{
    for (uint32_t i = 0; i < FLAGGED; i++) {
        mailsrv_asked *asked;
        const uint32_t uid = i + 1 == FLAGGED ? 1024 * 64 + 8 : 1 + i * 7919 % VERY_MANY;
        const mailsrv_run run = { uid, uid + i % 3 };
        mailsrv_arg_flags arg = { .size = sizeof arg, .how = MAILSRV_FLAGS_SET, .mbox = box->value.mbox, .uids = &run,
                                  .n_uids = 1, .flags = i % 2 == 0 ? 1 : 4, .unchanged_since = UINT64_MAX };
        mail_hear(&f->mail, 0, MAILSRV_OP_FLAGS, 0, &arg, &asked);
        mailsrv_asked_free(asked);
    }
    mail_settle(&f->mail);
}

/* The modseqs of all, by their UIDs, as ROWS has them. */
static void look_at_all(struct fixture *f, const struct opened *box, uint64_t *modseqs)
{
    const mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg = { .size = sizeof arg, .fields = MAILSRV_ROW_MODSEQ, .mbox = box->value.mbox, .uids = &all,
                             .n_uids = 1, .limit = 1000 };
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_rows *rows = mail_hear(&f->mail, 0, MAILSRV_OP_ROWS, 0, &arg, &asked);
        for (uint32_t i = 0; rows != NULL && i < rows->n; i++) {
            const mailsrv_row *row = (const void *)((const char *)rows->rows + (size_t)i * rows->stride);
            modseqs[row->uid] = row->modseq;
        }
        more = rows != NULL && rows->more != 0;
        if (more)
            arg.cursor = rows->next;
        mailsrv_asked_free(asked);
    }
    mail_settle(&f->mail);
}

/* Are the rows of a page the next ones that changed since, behind `*at`? */
static bool are_next(const mailsrv_changes *page, const uint64_t *modseqs, uint64_t since, uint32_t *at)
{
    bool good = page != NULL;
    for (uint32_t i = 0; good && i < page->n; i++) {
        const mailsrv_row *row = (const void *)((const char *)page->rows + (size_t)i * page->stride);
        for (++*at; *at < row->uid && modseqs[*at] <= since;)
            ++*at;
        good = *at == row->uid && row->modseq == modseqs[*at] && row->modseq > since;
    }
    return good;
}

static bool tells_all_since(struct fixture *f, const struct opened *box, const uint64_t *modseqs, uint64_t since)
{
    mailsrv_arg_changes arg = { .size = sizeof arg, .fields = MAILSRV_ROW_MODSEQ, .mbox = box->value.mbox,
                                .since = since, .limit = since % 2 == 0 ? 1000 : 50 };
    bool good = true;
    uint32_t at = 0;
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_changes *page = mail_hear(&f->mail, 0, MAILSRV_OP_CHANGES, 0, &arg, &asked);
        good = good && are_next(page, modseqs, since, &at);
        more = good && page->more != 0;
        if (more)
            arg.cursor = page->next;
        mailsrv_asked_free(asked);
    }
    for (at++; good && at < UIDS; at++)
        good = modseqs[at] <= since;
    mail_settle(&f->mail);
    return good;
}

static void large_changes(void)
{
    struct fixture *f = begin(0);
    const struct box box = { .id = create(f, "very many") };
    uint64_t *modseqs = calloc(UIDS, sizeof *modseqs);
    struct opened opened;
    bool good = true;
    for (int i = 0; i < 41; i++)
        deliver(f, &box.id, NULL);
    while (count(f, &box.id) < VERY_MANY)
        copy_all(f, &box.id, &box.id);
    mail_open_box(&f->mail, 0, &box, &opened);
    flag_some(f, &opened);
    look_at_all(f, &opened, modseqs);
    for (uint64_t since = opened.value.modseq - 2; since <= opened.value.modseq + FLAGGED; since += 9)
        good = tells_all_since(f, &opened, modseqs, since) && good;
    mail_close_box(&f->mail, &opened);
    tap(good, "CHANGES of very many", "are those whose modseq is higher", "");
    free(modseqs);
    close_store(f);
    end(f, "CHANGES of very many");
}

/* ---- DELETE of very many ---- */

static void large_deletion(void)
{
    struct fixture *f = begin(0);
    const struct plan none = { .dies_at = 0 };
    static const mailsrv_id inbox;
    mailsrv_id id = create(f, "many");
    fill(f, &id);
    mailsrv_durable_set_quota(f->mail.shore.store, &f->mail.shore.accounts[0], 1000);
    tap(deliver(f, NULL, NULL).status == MAILSRV_OVERQUOTA, "a large deletion", "the account was over quota", "");
    delete(f, &id);
    tap(count(f, &id) == UINT64_MAX, "a large deletion", "is seen at once", "");
    tap(deliver(f, NULL, NULL).status == MAILSRV_OK, "a large deletion", "frees the quota at once", "");
    close_store(f); /* most of its messages are still in the index */
    disk_cut(f->disk);
    disk_plan(f->disk, &none);
    open_store(f);
    tap(count(f, &id) == UINT64_MAX && count(f, &inbox) == 1, "a large deletion", "goes on after a loss of power", "");
    mailsrv_id again = create(f, "many");
    tap(count(f, &again) == 0 && memcmp(&again, &id, sizeof id) != 0, "a large deletion", "its name is free", "");
    open_anew(f);
    tap(count(f, &id) == UINT64_MAX && count(f, &again) == 0 && count(f, &inbox) == 1, "a large deletion",
        "the log has it so", "");
    close_store(f);
    end(f, "a large deletion");
}

/* ---- What vanished is forgotten ---- */

static uint64_t horizon(struct fixture *f, const mailsrv_id *id, uint64_t since, uint32_t *n)
{
    struct box box = { .id = id != NULL ? *id : (mailsrv_id){ { 0 } } };
    struct opened opened;
    mailsrv_asked *asked;
    if (id != NULL)
        mail_open_box(&f->mail, 0, &box, &opened);
    else
        mail_open_store(&f->mail, 0, &opened);
    mailsrv_arg_changes arg = { .size = sizeof arg, .mbox = opened.value.mbox, .since = since, .limit = 50,
                                .store = opened.store_handle };
    const mailsrv_changes *value = mail_hear(&f->mail, 0, MAILSRV_OP_CHANGES, 0, &arg, &asked);
    uint64_t known = value != NULL ? value->horizon : UINT64_MAX;
    *n = value != NULL ? value->n_vanished : 0;
    mailsrv_asked_free(asked);
    mail_close_box(&f->mail, &opened);
    return known;
}

static void history_ends(void)
{
    struct fixture *f = begin(3);
    mailsrv_id id = create(f, "box");
    uint64_t modseqs[5];
    uint32_t n;
    for (int i = 0; i < 12; i++)
        deliver(f, &id, NULL);
    for (uint32_t i = 0; i < 3; i++)
        modseqs[i] = expunge(f, &id, 1 + 2 * i);
    tap(horizon(f, &id, 0, &n) == 0 && n == 3, "a history", "tells all that vanished", "");
    for (uint32_t i = 3; i < 5; i++)
        modseqs[i] = expunge(f, &id, 1 + 2 * i);
    tap(horizon(f, &id, 0, &n) == modseqs[1] && n == 3, "a history", "ends where it was forgotten", "");
    tap(horizon(f, &id, modseqs[3], &n) == modseqs[1] && n == 1, "a history", "tells what came after", "");
    open_anew(f);
    tap(horizon(f, &id, 0, &n) == modseqs[1] && n == 3, "a history", "the log has it so", "");
    close_store(f);
    end(f, "a history");
}

static void names_end(void)
{
    struct fixture *f = begin(0);
    char name[16];
    uint32_t n;
    for (unsigned i = 0; i < 1001; i++) {
        snprintf(name, sizeof name, "name-%u", i);
        mailsrv_id id = create(f, name);
        delete(f, &id);
        if (i == 999)
            tap(horizon(f, NULL, 0, &n) == 0, "names that are gone", "are remembered", "");
    }
    uint64_t known = horizon(f, NULL, 0, &n);
    tap(known > 1 && known < 10, "names that are gone", "are forgotten in their order", "");
    close_store(f);
    end(f, "names that are gone");
}

/* ---- A dictionary that is full ---- */

static void full_dictionary(void)
{
    struct fixture *f = begin(0);
    mailsrv_id full = create(f, "full"), other = create(f, "other");
    char name[16];
    bool all = true;
    mailsrv_bytes keyword = bytes("one-more");
    deliver(f, &full, NULL);
    for (unsigned i = 0; i < MAILSRV_KEYWORDS_MAX; i++) {
        snprintf(name, sizeof name, "Word-%u", i);
        all = all && flag(f, &full, name) == MAILSRV_OK;
    }
    tap(all, "a full dictionary", "takes 128 names", "");
    tap(flag(f, &full, "one-more") == MAILSRV_LIMIT, "a full dictionary", "FLAGS says so", "");
    tap(flag(f, &full, "wORD-127") == MAILSRV_OK, "a full dictionary", "knows its names in any case", "");
    mailsrv_result result = deliver(f, &full, &keyword);
    tap(result.status == MAILSRV_OK, "a full dictionary", "no message is refused for a label", "");
    deliver(f, &other, &keyword);
    tap(copy_all(f, &other, &full) == MAILSRV_OK && count(f, &full) == 3, "a full dictionary", "nor a copy", "");
    close_store(f);
    end(f, "a full dictionary");
}

/* Whoever has INBOX open has its dictionary too, to which names are only ever added, although its messages go. */
static void moved_inbox(void)
{
    static const mailsrv_id none;
    const struct box inbox = { .id = none };
    struct fixture *f = begin(0);
    struct opened opened, again;
    mailsrv_asked *asked;
    mailsrv_bytes keyword = bytes("stays");
    deliver(f, NULL, &keyword);
    mail_open_box(&f->mail, 0, &inbox, &opened);
    mailsrv_arg_mbox_rename arg = { sizeof arg, 0, opened.store_handle, opened.value.mailbox, bytes("old"), 0 };
    mail_hear(&f->mail, 0, MAILSRV_OP_MBOX_RENAME, 0, &arg, &asked);
    mailsrv_asked_free(asked);
    mail_open_box(&f->mail, 0, &inbox, &again);
    tap(again.value.exists == 0 && again.value.n_keywords == 1 && again.value.keywords[0].n == keyword.n,
        "an INBOX that was moved", "keeps its dictionary", "");
    mail_close_box(&f->mail, &again);
    mail_close_box(&f->mail, &opened);
    close_store(f);
    end(f, "an INBOX that was moved");
}

/* ---- Engines are told of each other ---- */

static uint64_t letters(struct fixture *f, int engine)
{
    return mailsrv_engine_stat(f->mail.engines[engine], MAILSRV_STAT_LETTERS);
}

/* Answers and pokes come as letters; an engine that has asked nothing gets but pokes. */
static void pokes(void)
{
    struct fixture *f = begin(0);
    mailsrv_id seen = create(f, "seen"), unseen = create(f, "unseen");
    mailsrv_asked *store, *mbox;
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    const mailsrv_store_opened *opened = mail_hear(&f->mail, 1, MAILSRV_OP_STORE_OPEN, 0, &arg, &store);
    mailsrv_arg_mbox_open open = { .size = sizeof open, .store = opened->store, .mailbox = seen };
    mail_hear(&f->mail, 1, MAILSRV_OP_MBOX_OPEN, 0, &open, &mbox);
    uint64_t before = letters(f, 1);
    deliver(f, &unseen, NULL);
    tap(letters(f, 1) == before, "pokes", "not for a mailbox that is not open", "");
    deliver(f, &seen, NULL);
    tap(letters(f, 1) == before + 1, "pokes", "for one that is", "");
    flag(f, &seen, "word");
    tap(letters(f, 1) == before + 2, "pokes", "for each visible change", "");
    expunge(f, &seen, 7);
    tap(letters(f, 1) == before + 2, "pokes", "but not where nothing was changed", "");
    delete(f, &seen);
    tap(letters(f, 1) == before + 3, "pokes", "and when it goes", "");
    mailsrv_asked_free(mbox);
    mail_settle(&f->mail);
    mailsrv_asked_free(store);
    mail_settle(&f->mail);
    close_store(f);
    end(f, "pokes");
}

/* A mailbox below one that is renamed gets another UIDVALIDITY where its new name bore a higher one: who has it open in
 * the engine that asked is told, too. */
static void pokes_below(void)
{
    struct fixture *f = begin(0);
    mailsrv_id above = create(f, "old"), below = create(f, "old/below"), gone = create(f, "new/below");
    mailsrv_asked *store, *mbox;
    delete(f, &gone);
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    const mailsrv_store_opened *opened = mail_hear(&f->mail, 1, MAILSRV_OP_STORE_OPEN, 0, &arg, &store);
    mailsrv_arg_mbox_open open = { .size = sizeof open, .store = opened->store, .mailbox = below };
    mail_hear(&f->mail, 1, MAILSRV_OP_MBOX_OPEN, 0, &open, &mbox);
    uint64_t before = letters(f, 1);
    rename_to(f, 1, &above, "between");
    uint64_t without = letters(f, 1) - before;
    rename_to(f, 1, &above, "new");
    tap(letters(f, 1) - before == 2 * without + 1, "pokes", "for what lies below a renamed mailbox", "");
    mailsrv_asked_free(mbox);
    mail_settle(&f->mail);
    mailsrv_asked_free(store);
    mail_settle(&f->mail);
    close_store(f);
    end(f, "pokes below");
}

/* ---- COMMIT to very many ---- */

enum { TARGETS = 10000, BOXES = 100 };

static void to_all(struct fixture *f, mailsrv_target *targets, const mailsrv_id *boxes)
{
    for (uint32_t i = 0; i < TARGETS; i++) {
        targets[i] = (mailsrv_target){ .size = sizeof *targets,
                                       .kind = i % 2 == 0 ? MAILSRV_TARGET_MAILBOX : MAILSRV_TARGET_QUEUE,
                                       .account = f->mail.shore.accounts[0],
                                       .mailbox = boxes[i / 2 % BOXES],
                                       .record = bytes("a record of the queue"),
                                       .recipient = bytes("pat@here.test") };
    }
}

static uint32_t taken(const mailsrv_committed *value)
{
    uint32_t n = 0;
    for (uint32_t i = 0; value != NULL && i < value->n; i++)
        n += value->results[i].status == MAILSRV_OK && (i % 2 != 0 || value->results[i].uid == i / 2 / BOXES + 1);
    return n;
}

static uint32_t in_all(struct fixture *f, const mailsrv_id *boxes)
{
    uint32_t n = 0;
    for (int i = 0; i < BOXES; i++)
        n += count(f, &boxes[i]) == TARGETS / 2 / BOXES;
    return n;
}

/* One body: the octets are there once. */
static void many_targets(void)
{
    static mailsrv_target targets[TARGETS];
    static const uint8_t text[] = "Subject: to very many\r\n\r\n";
    struct fixture *f = begin(0);
    struct mail *m = &f->mail;
    mailsrv_id boxes[BOXES];
    char name[16];
    mailsrv_asked *body, *commit, *write;
    for (int i = 0; i < BOXES; i++) {
        snprintf(name, sizeof name, "box-%d", i);
        boxes[i] = create(f, name);
    }
    to_all(f, targets, boxes);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    const mailsrv_body_begun *begun = mail_hear(m, 0, MAILSRV_OP_BODY_BEGIN, 0, &arg, &body);
    mailsrv_arg_body_write octets = { sizeof octets, 0, begun->body, 0, { text, sizeof text - 1 } };
    mail_hear(m, 0, MAILSRV_OP_BODY_WRITE, 0, &octets, &write);
    mailsrv_staged staged = { .size = sizeof staged, .body = begun->body, .octets = sizeof text - 1 };
    mailsrv_arg_body_commit c = { .size = sizeof c, .atomic = 1, .n_bodies = 1, .body_stride = sizeof staged,
                                  .n_targets = TARGETS, .target_stride = sizeof *targets, .bodies = &staged,
                                  .targets = targets };
    uint64_t groups = mailsrv_durable_stat(m->shore.store, MAILSRV_DURABLE_STAT_GROUPS);
    uint32_t n = taken(mail_hear(m, 0, MAILSRV_OP_BODY_COMMIT, 0, &c, &commit));
    groups = mailsrv_durable_stat(m->shore.store, MAILSRV_DURABLE_STAT_GROUPS) - groups;
    tap(n == TARGETS && groups == 1, "COMMIT to 10,000", "is taken for all, in one group", "");
    mailsrv_asked_free(write);
    mailsrv_asked_free(commit);
    mailsrv_asked_free(body);
    mail_settle(m);
    tap(in_all(f, boxes) == BOXES, "COMMIT to 10,000", "each has its own", "");
    open_anew(f);
    tap(in_all(f, boxes) == BOXES, "COMMIT to 10,000", "the log has it so", "");
    close_store(f);
    end(f, "COMMIT to 10,000");
}

int main(void)
{
    many_targets();
    pokes_below();
    large_copy();
    torn_copy();
    large_changes();
    large_deletion();
    history_ends();
    names_end();
    full_dictionary();
    moved_inbox();
    pokes();
    return tap_end();
}
