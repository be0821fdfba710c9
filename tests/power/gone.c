/* What is gone stays so, though what said that is compacted: names that are forgotten, and mailboxes. */
#include "log_case.h"
#include "tap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- Names ---- */

enum { NAMES = 1005 }; /* more than are remembered when they are gone */

/* Names that come, and go again. */
static void very_many(struct log_case *f)
{
    struct opened store;
    char name[16];
    mail_open_store(&f->mail, 0, &store);
    for (unsigned i = 0; i < 2 * NAMES; i++) {
        snprintf(name, sizeof name, "name-%u", i / 2);
        case_subscribe(f, &store, name, i % 2 == 0);
    }
    mail_close_box(&f->mail, &store);
}

/* In segment 1 there are names, in 2 they go, in 3 they are forgotten, and then 2 and 3 are compacted. */
static void forgotten(void)
{
    static const char name[] = "names that are forgotten";
    struct log_case *f = case_begin();
    char text[160];
    mailsrv_id deleted = case_create(f, "deleted"), renamed = case_create(f, "renamed");
    mailsrv_id again = case_create(f, "again");
    static const char *const subscribed[] = { "subscribed", "target", "twice", "again" };
    for (int i = 0; i < 4; i++)
        case_subscribe_one(f, subscribed[i], 1);
    case_deliver(f, 0, NULL, HEAVY, 0);
    for (int i = 0; i < 4; i++)
        case_subscribe_one(f, subscribed[i], 0);
    case_delete(f, &deleted);
    case_delete(f, &again);
    case_rename(f, &renamed, "new");
    mailsrv_result second = case_deliver(f, 1, NULL, HEAVY, 0);
    very_many(f);
    mailsrv_result third = case_deliver(f, 1, NULL, HEAVY, 0);
    mailsrv_id other = case_create(f, "other"); /* in segment 4 */
    case_rename(f, &other, "target");
    case_subscribe_one(f, "twice", 1);
    case_create(f, "again");
    case_rest(f);
    const struct list before = case_list(f);
    case_lighten(f, &second);
    case_lighten(f, &third);
    case_rest(f);
    tap(case_has_segment(f, 1) && !case_has_segment(f, 2) && !case_has_segment(f, 3), name,
        "what said that they go is compacted", "");
    const struct list now = case_list(f);
    tap(before.n == 5 && case_is_list(&before, &now, text), name, "and the list is as it was", text);
    case_check(f, name, "the check finds nothing");
    case_lose_index(f);
    const struct list then = case_list(f);
    tap(case_is_list(&before, &then, text), name, "none comes back from the log", text);
    case_check(f, name, "and then the check finds nothing");
    mailsrv_id anew = case_create(f, "deleted");
    tap(memcmp(&anew, &case_inbox, sizeof anew) != 0, name, "and can be made again", "");
    case_end(f, name);
}

struct deletion {
    struct opened store;
    mailsrv_arg_mbox_delete arg;
    mailsrv_asked *asked;
};

static void ask_delete(struct log_case *f, void *user)
{
    struct deletion *r = user;
    r->asked = mail_ask(&f->mail, 0, MAILSRV_OP_MBOX_DELETE, 0, &r->arg);
    case_turn(f);
}

/* Where a mailbox goes whose new name has been copied, and what it was called before not yet. */
static void two_names(void)
{
    static const char name[] = "a mailbox that is renamed, and goes while that is compacted";
    struct log_case *f = case_begin();
    struct deletion r;
    char text[160];
    mailsrv_id box = case_create(f, "old");
    case_deliver(f, 0, NULL, HEAVY, 0);
    case_rename(f, &box, "new");
    for (unsigned i = 0; i < 250; i++) { /* more than one step copies */
        snprintf(text, sizeof text, "other/%u", i);
        case_create(f, text);
    }
    mailsrv_result heavy = case_deliver(f, 1, NULL, HEAVY, 0);
    case_deliver(f, 1, NULL, 100, 0);
    case_rest(f);
    mail_open_store(&f->mail, 0, &r.store);
    r.arg = (mailsrv_arg_mbox_delete){ sizeof r.arg, 0, r.store.store_handle, box };
    case_in_the_middle(f, &heavy, ask_delete, &r);
    tap(mail_status_of(r.asked) == MAILSRV_OK, name, "it is deleted", "");
    mailsrv_asked_free(r.asked);
    mail_close_box(&f->mail, &r.store);
    case_rest(f);
    tap(case_has_segment(f, 1) && !case_has_segment(f, 2), name, "what said that it is renamed is compacted", "");
    const struct list before = case_list(f);
    case_lose_index(f);
    const struct list then = case_list(f);
    tap(case_is_list(&before, &then, text), name, "the log has it so", text);
    case_check(f, name, "and the check finds nothing");
    case_end(f, name);
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

static void open_failing(struct log_case *f)
{
    failing.base = f->files;
    failing.opener = pthread_self();
    f->files.open = open_and_see;
    f->files.read = read_or_fail;
    failing.is_armed = true;
    case_open(f);
}

static void unswept(void)
{
    static const char name[] = "a deleted mailbox whose messages cannot be removed";
    struct log_case *f = case_begin();
    mailsrv_id box = case_create(f, "box");
    for (int i = 0; i < 8; i++)
        case_deliver(f, 0, &box, 100, 0);
    mailsrv_result heavy = case_deliver(f, 1, NULL, HEAVY, 0);
    while (case_box(f, &box).exists < 8192)
        case_copy_all(f, &box);
    case_rest(f);
    case_delete(f, &box);
    case_close(f); /* most of its messages are still in the index */
    open_failing(f);
    bool refuses = case_deliver(f, 1, NULL, 100, 0).status == MAILSRV_TEMP;
    refuses = case_deliver(f, 1, NULL, 100, 0).status == MAILSRV_TEMP && refuses;
    tap(refuses, name, "the index cannot be read", "");
    failing.is_armed = false;
    case_lighten(f, &heavy);
    case_deliver(f, 1, NULL, 100, 0);
    case_rest(f);
    tap(!case_has_segment(f, 1), name, "it is compacted then", "");
    case_check(f, name, "the check finds nothing");
    case_lose_index(f);
    case_rest(f);
    case_check(f, name, "and neither with the log alone");
    case_end(f, name);
}

void gone_cases(void)
{
    two_names();
    unswept();
    forgotten();
}
