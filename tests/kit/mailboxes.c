/* What the memory store does with mailboxes beyond the contract: its knobs, rights, and what is done without an engine. */
#include "fixture.h"
#include "tap.h"

#include <string.h>

static int32_t add(struct fixture *f, const char *name, uint32_t attributes, mailsrv_id *out)
{
    return mailsrv_memory_add_mailbox(f->store, &f->pat, name, strlen(name), attributes, out);
}

static int32_t find(struct fixture *f, const char *name, mailsrv_id *out)
{
    return mailsrv_memory_find_mailbox(f->store, &f->pat, name, strlen(name), out);
}

static mailsrv_row row_of(struct fixture *f, const mailsrv_id *where, uint64_t index)
{
    mailsrv_row row = { .uid = 0 };
    mailsrv_memory_row(f->store, where, index, &row);
    return row;
}

static void without_an_engine(void)
{
    struct fixture f;
    mailsrv_id box, same, inbox, nobody = { { 9 } };
    mailsrv_run first = { 1, 1 };
    begin(&f);
    tap(add(&f, "a/b", MAILSRV_NAME_SENT, &box) == MAILSRV_OK, "mailboxes", "one is made", "");
    tap(add(&f, "a/b", 0, &same) == MAILSRV_ALREADYEXISTS, "mailboxes", "once", "");
    tap(add(&f, "a//b", 0, &same) == MAILSRV_E_USAGE, "mailboxes", "not by what is no name", "");
    tap(find(&f, "a/b", &same) == MAILSRV_OK && memcmp(&box, &same, sizeof box) == 0, "mailboxes", "it is found", "");
    tap(find(&f, "a", &same) == MAILSRV_NONEXISTENT, "mailboxes", "and none above it", "");
    tap(find(&f, "inBox", &inbox) == MAILSRV_OK, "mailboxes", "INBOX is found", "");
    mailsrv_memory_append(f.store, &box, "first", 5);
    mailsrv_memory_append(f.store, &box, "second", 6);
    mailsrv_memory_append(f.store, &f.pat, "other", 5);
    tap(mailsrv_memory_count(f.store, &box) == 2 && mailsrv_memory_count(f.store, &f.pat) == 1 &&
            mailsrv_memory_count(f.store, &inbox) == 1,
        "mailboxes", "each has its messages", "");
    mailsrv_memory_flag(f.store, &box, first, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_SEEN);
    tap(row_of(&f, &box, 0).flags == MAILSRV_FLAG_SEEN && row_of(&f, &box, 1).flags == 0, "mailboxes",
        "flags are changed", "");
    mailsrv_memory_expunge(f.store, &box, first);
    tap(row_of(&f, &box, 0).uid == 2 && mailsrv_memory_count(f.store, &box) == 1, "mailboxes", "a message goes", "");
    tap(mailsrv_memory_remove_mailbox(f.store, &inbox) == MAILSRV_CANNOT, "mailboxes", "INBOX is not removed", "");
    tap(mailsrv_memory_remove_mailbox(f.store, &box) == MAILSRV_OK && find(&f, "a/b", &same) == MAILSRV_NONEXISTENT,
        "mailboxes", "another one is", "");
    tap(stat_of(&f, MAILSRV_MEMORY_STAT_MESSAGES) == 1 && stat_of(&f, MAILSRV_MEMORY_STAT_OCTETS) == 5, "mailboxes",
        "with its messages", "");
    tap(mailsrv_memory_append(f.store, &box, "x", 1) == MAILSRV_NONEXISTENT &&
            mailsrv_memory_flag(f.store, &box, first, 0, 0) == MAILSRV_NONEXISTENT &&
            mailsrv_memory_expunge(f.store, &nobody, first) == MAILSRV_NONEXISTENT &&
            mailsrv_memory_remove_mailbox(f.store, &nobody) == MAILSRV_NONEXISTENT,
        "mailboxes", "nothing is done where nothing is", "");
    end(&f);
}

static void limits(void)
{
    struct fixture f;
    mailsrv_id box;
    mailsrv_row row;
    begin(&f);
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_MAILBOXES, 2);
    tap(add(&f, "a", 0, &box) == MAILSRV_OK, "mailboxes", "as many as may be", "");
    tap(add(&f, "b", 0, NULL) == MAILSRV_LIMIT, "mailboxes", "no more", "");
    mailsrv_memory_account_u64(f.store, &box, MAILSRV_MEMORY_UIDNEXT, UINT32_MAX - 1);
    mailsrv_memory_append(f.store, &box, "last", 4);
    tap(row_of(&f, &box, 0).uid == UINT32_MAX - 1, "mailboxes", "UIDs near their end", "");
    mailsrv_memory_append(f.store, &box, "next", 4);
    row = row_of(&f, &box, 1);
    tap(row.uid == 2 && row_of(&f, &box, 0).uid == 1, "mailboxes", "begin again", "");
    mailsrv_memory_account_u64(f.store, &f.pat, MAILSRV_MEMORY_QUOTA, 10);
    tap(mailsrv_memory_append(f.store, &f.pat, "one", 3) == MAILSRV_OVERQUOTA, "mailboxes", "share the quota", "");
    mailsrv_memory_remove_mailbox(f.store, &box);
    tap(mailsrv_memory_append(f.store, &f.pat, "one", 3) == MAILSRV_OK, "mailboxes", "and give it back", "");
    end(&f);
}

/* ---- Rights ---- */

static int32_t ask_once(struct fixture *f, int32_t kind, const void *arg)
{
    mailsrv_asked *asked = ask(f, 0, kind, &f->pat, arg);
    int32_t status = status_of(asked);
    drop(f, asked);
    return status;
}

struct rights_world {
    struct fixture f;
    mailsrv_id box;
    mailsrv_run all;
    uint64_t store;
    mailsrv_mbox_opened opened;
    mailsrv_asked *asked[2];
};

static void begin_rights(struct rights_world *w)
{
    begin(&w->f);
    w->all = (mailsrv_run){ 1, UINT32_MAX };
    add(&w->f, "shared", 0, &w->box);
    mailsrv_memory_append(w->f.store, &w->box, "text", 4);
    w->asked[0] = open_store(&w->f, 0, &w->store);
    w->asked[1] = open_mailbox(&w->f, w->store, "shared", 0, &w->opened);
}

static void end_rights(struct rights_world *w)
{
    drop(&w->f, w->asked[1]);
    drop(&w->f, w->asked[0]);
    end(&w->f);
}

static int32_t flag(struct rights_world *w, uint32_t flags)
{
    mailsrv_arg_flags arg = { .size = sizeof arg,
                              .how = MAILSRV_FLAGS_ADD,
                              .mbox = w->opened.mbox,
                              .uids = &w->all,
                              .n_uids = 1,
                              .flags = flags,
                              .unchanged_since = UINT64_MAX };
    return ask_once(&w->f, MAILSRV_OP_FLAGS, &arg);
}

/* Each right is taken away in turn: one kind is refused, and done again when it is back. */
static void without(struct rights_world *w, uint32_t right, int32_t kind, const void *arg, const char *what)
{
    mailsrv_memory_account_u64(w->f.store, &w->box, MAILSRV_MEMORY_RIGHTS, MAILSRV_RIGHTS_ALL & ~right);
    int32_t refused = ask_once(&w->f, kind, arg);
    mailsrv_memory_account_u64(w->f.store, &w->box, MAILSRV_MEMORY_RIGHTS, right | MAILSRV_RIGHT_READ);
    int32_t done = ask_once(&w->f, kind, arg);
    tap(refused == MAILSRV_NOPERM && done == MAILSRV_OK, "rights", what, "");
}

static void rights(void)
{
    struct rights_world w;
    mailsrv_mbox_opened opened;
    begin_rights(&w);
    tap(w.opened.rights == MAILSRV_RIGHTS_ALL, "rights", "are all there are", "");
    mailsrv_memory_account_u64(w.f.store, &w.box, MAILSRV_MEMORY_RIGHTS, MAILSRV_RIGHT_READ | MAILSRV_RIGHT_SEEN);
    drop(&w.f, open_mailbox(&w.f, w.store, "shared", 1, &opened));
    tap(opened.rights == (MAILSRV_RIGHT_READ | MAILSRV_RIGHT_SEEN), "rights", "or those that were set", "");
    tap(flag(&w, MAILSRV_FLAG_SEEN) == MAILSRV_OK && flag(&w, MAILSRV_FLAG_DELETED) == MAILSRV_NOPERM &&
            flag(&w, MAILSRV_FLAG_FLAGGED) == MAILSRV_NOPERM &&
            flag(&w, MAILSRV_FLAG_SEEN | MAILSRV_FLAG_DRAFT) == MAILSRV_NOPERM,
        "rights", "each flag has its own", "");
    const mailsrv_arg_mbox_open look = { .size = sizeof look, .store = w.store, .mailbox = w.box };
    const mailsrv_arg_mbox_status status = { .size = sizeof status, .store = w.store, .mailbox = w.box };
    const mailsrv_arg_copy copy = { .size = sizeof copy,
                                    .n_uids = 1,
                                    .mbox = w.opened.mbox,
                                    .uids = &w.all,
                                    .to = w.box };
    const mailsrv_arg_expunge expunge = { .size = sizeof expunge, .mbox = w.opened.mbox, .uids = &w.all, .n_uids = 1 };
    const mailsrv_arg_mbox_rename rename = { .size = sizeof rename,
                                             .store = w.store,
                                             .mailbox = w.box,
                                             .name = bytes("other") };
    const mailsrv_arg_mbox_delete remove = { .size = sizeof remove, .store = w.store, .mailbox = w.box };
    without(&w, MAILSRV_RIGHT_READ, MAILSRV_OP_MBOX_OPEN, &look, "to open");
    without(&w, MAILSRV_RIGHT_READ, MAILSRV_OP_MBOX_STATUS, &status, "to ask the status");
    without(&w, MAILSRV_RIGHT_INSERT, MAILSRV_OP_COPY, &copy, "to copy into it");
    without(&w, MAILSRV_RIGHT_EXPUNGE, MAILSRV_OP_EXPUNGE, &expunge, "to expunge");
    without(&w, MAILSRV_RIGHT_DELETE_BOX, MAILSRV_OP_MBOX_RENAME, &rename, "to rename");
    without(&w, MAILSRV_RIGHT_DELETE_BOX, MAILSRV_OP_MBOX_DELETE, &remove, "to delete");
    end_rights(&w);
}

/* ---- Names that are gone ---- */

static uint64_t names_horizon(struct fixture *f, uint64_t since, uint32_t *n)
{
    uint64_t store;
    mailsrv_asked *asked = open_store(f, 0, &store);
    mailsrv_arg_changes arg = { .size = sizeof arg, .since = since, .limit = 60, .store = store };
    mailsrv_asked *changes = ask(f, 0, MAILSRV_OP_CHANGES, &f->pat, &arg);
    const mailsrv_changes *v = mailsrv_asked_answer(changes)->value;
    uint64_t found = v->horizon;
    *n = v->n_entries;
    drop(f, changes);
    drop(f, asked);
    return found;
}

static void history(void)
{
    static const char *const names[] = { "a", "b", "c" };
    struct fixture f;
    mailsrv_id boxes[3];
    uint32_t n;
    begin(&f);
    for (int i = 0; i < 3; i++)
        add(&f, names[i], 0, &boxes[i]); /* modseq 2 to 4: INBOX has 1 */
    for (int i = 0; i < 3; i++)
        mailsrv_memory_remove_mailbox(f.store, &boxes[i]);
    tap(names_horizon(&f, 4, &n) == 0 && n == 3, "mailboxes", "names that went are remembered", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_HISTORY, 1);
    add(&f, "d", 0, &boxes[0]);
    mailsrv_memory_remove_mailbox(f.store, &boxes[0]);
    tap(names_horizon(&f, 4, &n) == 7 && n == 1, "mailboxes", "as many as they are told to", "");
    add(&f, "a", 0, &boxes[0]); /* 10 */
    tap(names_horizon(&f, 9, &n) == 7 && n == 1, "mailboxes", "one that was forgotten may come again", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_HISTORY, 0);
    tap(names_horizon(&f, 4, &n) == 10, "mailboxes", "without history the horizon is now", "");
    end(&f);
}

/* ---- RENAME ---- */

static int32_t rename_to(struct fixture *f, uint64_t store, const mailsrv_id *box, const char *name)
{
    mailsrv_arg_mbox_rename arg = { .size = sizeof arg, .store = store, .mailbox = *box, .name = bytes(name) };
    return ask_once(f, MAILSRV_OP_MBOX_RENAME, &arg);
}

static void renaming(void)
{
    struct fixture f;
    mailsrv_mbox_opened opened;
    mailsrv_id inbox, box, moved;
    mailsrv_bytes word = bytes("Work");
    mailsrv_run all = { 1, 9 };
    char name[250];
    uint64_t store;
    begin(&f);
    mailsrv_memory_append(f.store, &f.pat, "text", 4);
    mailsrv_asked *asked = open_store(&f, 0, &store), *mbox = open_mailbox(&f, store, "INBOX", 1, &opened);
    mailsrv_arg_flags arg = { .size = sizeof arg,
                              .mbox = opened.mbox,
                              .uids = &all,
                              .n_uids = 1,
                              .keywords = &word,
                              .n_keywords = 1,
                              .unchanged_since = UINT64_MAX };
    ask_once(&f, MAILSRV_OP_FLAGS, &arg);
    find(&f, "INBOX", &inbox);
    tap(rename_to(&f, store, &inbox, "old") == MAILSRV_OK, "renaming", "INBOX", "");
    drop(&f, mbox);
    find(&f, "old", &moved);
    mbox = open_mailbox(&f, store, "old", 0, &opened);
    tap(opened.n_keywords == 1 && row_of(&f, &moved, 0).keywords[0] == 1 && row_of(&f, &moved, 0).uid == 1, "renaming",
        "keywords go along", "");
    drop(&f, mbox);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    add(&f, "top", 0, &box);
    add(&f, "top/bottom", 0, NULL);
    tap(rename_to(&f, store, &box, name) == MAILSRV_CANNOT, "renaming", "not where those below get too long", "");
    drop(&f, asked);
    end(&f);
}

int main(void)
{
    without_an_engine();
    limits();
    rights();
    history();
    renaming();
    return tap_end();
}
