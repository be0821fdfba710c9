/* accounts.c - addresses, passwords and locks of the accounts of a directory. */
#include "accounts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

mailsrv_id accounts_id(mailsrv_bytes name)
{
    mailsrv_id id = { { 0 } };
    for (size_t i = 0; i < name.n && name.n <= 12; i++)
        id.b[i] = (uint8_t)tolower(name.p[i]);
    return id;
}

/* A name that begins with a dot or holds a slash is nobody's. */
int accounts_open(const char *directory, mailsrv_id account, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%.16s/%s", directory, (const char *)account.b, name);
    errno = ENOENT;
    return strchr("./", account.b[0]) || memchr(account.b, '/', 16) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

static void answer(mailsrv_engine *engine, const mailsrv_op *op, int32_t status, const void *value)
{
    const mailsrv_answer answer = { .size = sizeof answer, .status = status, .value = value };
    mailsrv_op_answer(engine, op->id, &answer);
}

void accounts_resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    const mailsrv_destination to = { .kind = MAILSRV_TARGET_MAILBOX, .account = accounts_id(arg->local_part) };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    const int fd = accounts_open(user, to.account, "password");
    const int32_t failed = errno == ENOENT ? MAILSRV_NONEXISTENT : MAILSRV_TEMP;
    answer(engine, op, fd >= 0 && close(fd) == 0 ? MAILSRV_OK : failed, &value);
}

void accounts_verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_auth_verify *arg = op->arg;
    const mailsrv_identity value = { .size = sizeof value, .account = accounts_id(arg->user) };
    char password[256];
    const int fd = accounts_open(user, value.account, "password");
    const ssize_t n = fd < 0 ? -1 : read(fd, password, sizeof password);
    uint8_t differs = n != (ssize_t)arg->password.n;
    for (ssize_t i = 0; i < n && n == (ssize_t)arg->password.n; i++) /* as long for a near miss as for any other */
        differs |= (uint8_t)password[i] ^ arg->password.p[i];
    answer(engine, op, fd >= 0 && close(fd) == 0 && !differs ? MAILSRV_OK : MAILSRV_DENIED, &value);
}

void accounts_lock(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const int fd = accounts_open(user, op->account, "password");
    const mailsrv_locked value = { .size = sizeof value, .lock = (uint64_t)fd };
    const bool ok = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (fd >= 0 && !ok)
        close(fd);
    answer(engine, op, ok ? MAILSRV_OK : MAILSRV_INUSE, &value);
}
