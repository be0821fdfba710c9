/* store_files.c - every handle is a file descriptor (never 0: that is stdin), so that nothing outlives the process. */
#define _GNU_SOURCE /* O_TMPFILE, copy_file_range, scandirat */
#include "accounts.h"
#include "store_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct numbers { /* of an account; a modseq is the UID that was taken with it */
    uint32_t uidvalidity, uidnext;
};

struct name { /* of a message: its UID, so that names and UIDs are in the same order */
    char text[11];
};

static int32_t status_of(bool ok, const char *directory)
{
    if (!ok && errno != ENOENT)
        perror(directory);
    return ok ? MAILSRV_OK : errno == ENOENT ? MAILSRV_NONEXISTENT : errno == ENOSPC ? MAILSRV_FULL : MAILSRV_TEMP;
}

static void answer(mailsrv_engine *engine, const mailsrv_op *op, int32_t status, const void *value)
{
    const mailsrv_answer answer = { .size = sizeof answer, .status = status, .value = value };
    mailsrv_op_answer(engine, op->id, &answer);
}

static mailsrv_id email_of(mailsrv_id account, uint32_t uid)
{
    memcpy(account.b + 12, &uid, sizeof uid);
    return account;
}

/* Opens the directory of an account, which is its INBOX and has its id. */
static int open_inbox(const char *directory, mailsrv_id account, mailsrv_id mailbox)
{
    errno = ENOENT;
    const bool is_it = mailbox.b[0] == 0 || memcmp(&mailbox, &account, sizeof account) == 0;
    return is_it ? accounts_open(directory, account, ".") : -1;
}

static struct name name_of(uint32_t uid)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%010u", (unsigned)uid);
    return name;
}

/* Makes a file of `head` and all of `body`, whole or not at all, and durably.  Its time is INTERNALDATE, in
 * microseconds; the nanoseconds beyond them are the flags. */
static bool put(int dir, const char *name, mailsrv_bytes head, int body, struct timespec at)
{
    const struct timespec times[2] = { at, at };
    off_t done = 0;
    const int fd = openat(dir, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && (errno = ENOSPC, write(fd, head.p, head.n) == (ssize_t)head.n);
    for (ssize_t n = body >= 0; ok && n > 0; ok = n >= 0)
        n = copy_file_range(body, &done, fd, NULL, 1 << 30, 0);
    ok = ok && futimens(fd, times) == 0 && fsync(fd) == 0;
    ok = fd >= 0 && close(fd) == 0 && ok;
    return ok && renameat(dir, "new", dir, name) == 0 && fsync(dir) == 0;
}

/* Locks an account until `dir` is closed and takes `n` of its numbers, durably before their use: none comes twice. */
static bool take(int dir, uint32_t n, struct numbers *out)
{
    const int fd = openat(dir, "numbers", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const ssize_t had = fd < 0 || flock(dir, LOCK_EX) != 0 ? -1 : pread(fd, out, sizeof *out, 0);
    if (had == 0)
        *out = (struct numbers){ (uint32_t)time(NULL), 1 };
    const struct numbers left = { out->uidvalidity, out->uidnext + n };
    bool ok = (had == 0 || had == sizeof left) && left.uidnext >= out->uidnext;
    if (had == 0 || n != 0)
        ok = ok && pwrite(fd, &left, sizeof left, 0) == sizeof left && fsync(fd) == 0 && fsync(dir) == 0;
    return fd >= 0 && close(fd) == 0 && ok;
}

static int32_t deliver(const char *directory, const mailsrv_target *to, mailsrv_bytes head, int body,
                       struct numbers *out)
{
    const struct timespec at = { to->internal_us / 1000000, to->internal_us % 1000000 * 1000 + to->flags };
    const int dir = open_inbox(directory, to->account, to->mailbox);
    const bool ok = dir >= 0 && take(dir, 1, out) && put(dir, name_of(out->uidnext).text, head, body, at);
    return status_of(dir >= 0 && close(dir) == 0 && ok, directory);
}

int32_t store_files_deliver(const char *directory, mailsrv_bytes account, mailsrv_bytes message)
{
    struct numbers numbers;
    const mailsrv_target to = { .account = accounts_id(account), .internal_us = (int64_t)time(NULL) * 1000000 };
    return deliver(directory, &to, message, -1, &numbers);
}

static void body_begin(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const int fd = open(user, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const mailsrv_body_begun value = { .size = sizeof value, .body = (uint64_t)fd };
    answer(engine, op, status_of(fd >= 0, user), &value);
}

static void body_write(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_body_write *arg = op->arg;
    errno = ENOSPC; /* when fewer are written */
    const ssize_t n = pwrite((int)arg->body, arg->octets.p, arg->octets.n, (off_t)arg->offset);
    mailsrv_op_answer_status(engine, op->id, status_of(n == (ssize_t)arg->octets.n, user));
}

static void body_commit(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_body_commit *arg = op->arg;
    mailsrv_result *results = calloc(arg->n_targets, sizeof *results);
    const mailsrv_committed value = { sizeof value, arg->n_targets, sizeof *results, 0, results };
    for (uint32_t i = 0; results != NULL && i < arg->n_targets; i++) {
        const mailsrv_target *to = (const void *)((const char *)arg->targets + i * arg->target_stride);
        const mailsrv_staged *body = (const void *)((const char *)arg->bodies + to->body_index * arg->body_stride);
        struct numbers at = { 0, 0 };
        const int32_t status = deliver(user, to, to->prefix, (int)body->body, &at);
        results[i] = (mailsrv_result){ .status = status,
                                       .uidvalidity = at.uidvalidity,
                                       .uid = at.uidnext,
                                       .modseq = at.uidnext,
                                       .email = email_of(to->account, at.uidnext) };
    }
    answer(engine, op, results == NULL ? MAILSRV_NOMEM : MAILSRV_OK, &value);
    free(results);
}

static void give_back(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_close *arg = op->arg;
    mailsrv_op_answer_status(engine, op->id, status_of(close((int)arg->handle) == 0, user));
}

static void store_open(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const int fd = accounts_open(user, op->account, ".");
    const mailsrv_store_opened value = { .size = sizeof value, .store = (uint64_t)fd };
    answer(engine, op, status_of(fd >= 0, user), &value);
}

static void mbox_open(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_mbox_open *arg = op->arg;
    const bool is_known =
        arg->mailbox.b[0] != 0 || (arg->name.n == 5 && strncasecmp((const char *)arg->name.p, "INBOX", 5) == 0);
    struct numbers at = { 0, 0 };
    const int fd = open_inbox(user, op->account, is_known ? arg->mailbox : (mailsrv_id){ "?" });
    const bool ok = fd >= 0 && take(fd, 0, &at) && flock(fd, LOCK_UN) == 0;
    const mailsrv_mbox_opened value = { .size = sizeof value, .uidvalidity = at.uidvalidity, .mbox = (uint64_t)fd,
                                        .mailbox = op->account, .exists = at.uidnext - 1, .modseq = at.uidnext - 1,
                                        .uidnext = at.uidnext };
    answer(engine, op, status_of(ok, user), &value);
    if (fd >= 0 && !ok)
        close(fd);
}

static int is_message(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789") == 10;
}

static bool is_asked(const mailsrv_arg_rows *arg, uint32_t uid)
{
    uint32_t last, i = 0; /* the cursor is the last UID of the page before */
    memcpy(&last, arg->cursor.b, sizeof last);
    while (i < arg->n_uids && arg->uids[i].last < uid)
        i++;
    return uid > last && i < arg->n_uids && arg->uids[i].first <= uid;
}

static void rows(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_rows *arg = op->arg;
    mailsrv_row page[256] = { { .uid = 0 } };
    mailsrv_rows value = { .size = sizeof value, .stride = sizeof *page, .rows = page };
    struct dirent **names = NULL;
    struct stat st;
    const int n = scandirat((int)arg->mbox, ".", &names, is_message, alphasort);
    for (int i = 0; i < n; free(names[i++])) {
        const uint32_t uid = (uint32_t)strtoul(names[i]->d_name, NULL, 10);
        if (value.more != 0 || !is_asked(arg, uid) || fstatat((int)arg->mbox, names[i]->d_name, &st, 0) != 0)
            continue;
        page[value.n++] = (mailsrv_row){ .uid = uid,
                                         .flags = (uint32_t)(st.st_mtim.tv_nsec % 1000),
                                         .modseq = uid,
                                         .octets = (uint64_t)st.st_size,
                                         .internal_us = st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000,
                                         .email = email_of(op->account, uid) };
        value.more = value.n == arg->limit || value.n == 256;
        memcpy(value.next.b, &uid, sizeof uid);
    }
    free(names);
    answer(engine, op, status_of(n >= 0, user), &value);
}

static void read_some(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_read *arg = op->arg;
    uint8_t page[65536];
    const struct name name = name_of(arg->uid);
    const int fd = arg->handle != 0 ? (int)arg->handle : openat((int)arg->mbox, name.text, O_RDONLY | O_CLOEXEC);
    const bool is_gone = fd < 0 && errno == ENOENT;
    const ssize_t n = pread(fd, page, arg->octets < sizeof page ? arg->octets : sizeof page, (off_t)arg->offset);
    const mailsrv_read_bytes value = { .size = sizeof value,
                                       .handle = arg->handle != 0 ? 0 : (uint64_t)fd,
                                       .octets = { page, n < 0 ? 0 : (size_t)n } };
    answer(engine, op, is_gone ? MAILSRV_GONE : status_of(n >= 0, user), &value);
    if (n < 0 && arg->handle == 0 && fd >= 0)
        close(fd);
}

static void expunge(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_expunge *arg = op->arg;
    const int dir = accounts_open(user, op->account, ".");
    struct numbers at = { 0, 0 };
    struct stat st;
    uint64_t removed = 0;
    bool ok = dir >= 0 && take(dir, 1, &at);
    for (uint32_t i = 0; i < arg->n_uids; i++)
        for (uint64_t uid = arg->uids[i].first; ok && uid <= arg->uids[i].last; uid++) {
            const struct name name = name_of((uint32_t)uid);
            if (fstatat(dir, name.text, &st, 0) == 0 &&
                (!arg->only_deleted || (st.st_mtim.tv_nsec % 1000 & MAILSRV_FLAG_DELETED)))
                removed += unlinkat(dir, name.text, 0) == 0;
        }
    ok = ok && fsync(dir) == 0;
    const mailsrv_expunged value = { .size = sizeof value, .modseq = removed == 0 ? 0 : at.uidnext };
    answer(engine, op, status_of(dir >= 0 && close(dir) == 0 && ok, user), &value);
}

/* clang-format off */
const struct store_files store_files[] = {
    { MAILSRV_OP_RESOLVE, accounts_resolve }, { MAILSRV_OP_AUTH_VERIFY, accounts_verify },
    { MAILSRV_OP_BODY_BEGIN, body_begin },    { MAILSRV_OP_BODY_WRITE, body_write },
    { MAILSRV_OP_BODY_COMMIT, body_commit },  { MAILSRV_OP_BODY_CLOSE, give_back },
    { MAILSRV_OP_STORE_OPEN, store_open },    { MAILSRV_OP_STORE_CLOSE, give_back },
    { MAILSRV_OP_MBOX_OPEN, mbox_open },      { MAILSRV_OP_MBOX_CLOSE, give_back },
    { MAILSRV_OP_READ, read_some },           { MAILSRV_OP_READ_CLOSE, give_back },
    { MAILSRV_OP_LOCK, accounts_lock },       { MAILSRV_OP_UNLOCK, give_back },
    { MAILSRV_OP_ROWS, rows },                { MAILSRV_OP_EXPUNGE, expunge },
    { 0, NULL },
};
