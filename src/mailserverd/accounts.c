#include "accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_OCTETS_MAX (1 << 20)

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* But for case. */
static bool same(mailsrv_bytes a, const char *b, size_t n)
{
    if (a.n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower((char)a.p[i]) != lower(b[i]))
            return false;
    return true;
}

/* ---- The file ---- */

static bool refuse(const char *path, const char *why)
{
    fprintf(stderr, "mailserverd: %s: %s\n", path, why);
    return false;
}

static bool read_whole(struct accounts *a, int fd, size_t octets)
{
    a->text = calloc(1, octets + 1);
    a->octets = octets;
    for (size_t n = 0; a->text != NULL && n < octets;) {
        ssize_t got = read(fd, a->text + n, octets - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
    return a->text != NULL;
}

static bool read_file(struct accounts *a, const char *path)
{
    struct stat is;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = false;
    if (fd < 0)
        return refuse(path, strerror(errno));
    if (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode) || is.st_size > FILE_OCTETS_MAX)
        refuse(path, "expected a file of at most 1 MiB");
    else if ((is.st_mode & 077) != 0)
        refuse(path, "it holds passwords, and others than its owner may open it; expected mode 0600 (chmod 600)");
    else
        ok = read_whole(a, fd, (size_t)is.st_size) || refuse(path, "it cannot be read");
    close(fd);
    return ok;
}

/* The word at `*at`, which ends there from now on; `*at` moves to what follows. */
static char *take_word(char **at)
{
    char *word = *at + strspn(*at, " \t");
    char *end = word + strcspn(word, " \t");
    *at = end + strspn(end, " \t");
    *end = '\0';
    return word;
}

static bool is_known(const struct accounts *a, const char *name)
{
    const mailsrv_bytes wanted = { (const uint8_t *)name, strlen(name) };
    for (size_t i = 0; i < a->n; i++)
        if (same(wanted, a->all[i].name, strlen(a->all[i].name)))
            return true;
    return false;
}

/* What is wrong with a line; NULL: nothing. */
static const char *read_line(struct accounts *a, char *line)
{
    struct account *account = &a->all[a->n];
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return NULL;
    account->name = take_word(&line);
    account->addresses = take_word(&line);
    account->password = line;
    if (*account->addresses == '\0' || *account->password == '\0')
        return "expected NAME ADDRESS[,ADDRESS]... PASSWORD";
    if (is_known(a, account->name))
        return "expected a name that no line before has";
    a->n++;
    return NULL;
}

static size_t lines_in(const char *text)
{
    size_t n = 1;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        n++;
    return n;
}

static bool read_lines(struct accounts *a, const char *path)
{
    char *next = a->text;
    a->all = calloc(lines_in(a->text), sizeof *a->all);
    if (a->all == NULL)
        return refuse(path, "out of memory");
    for (unsigned number = 1; next != NULL; number++) {
        char *line = next, *end = line + strcspn(line, "\n");
        next = *end == '\0' ? NULL : end + 1;
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        *end = '\0';
        const char *wrong = read_line(a, line);
        if (wrong != NULL) {
            fprintf(stderr, "mailserverd: %s:%u: %s\n", path, number, wrong);
            return false;
        }
    }
    return a->n > 0 || refuse(path, "expected an account: NAME ADDRESS[,ADDRESS]... PASSWORD");
}

bool accounts_read(struct accounts *a, const char *path)
{
    memset(a, 0, sizeof *a);
    bool ok = read_file(a, path) && read_lines(a, path);
    if (!ok)
        accounts_end(a);
    return ok;
}

void accounts_end(struct accounts *a)
{
    if (a->text != NULL)
        explicit_bzero(a->text, a->octets);
    free(a->text);
    free(a->all);
    memset(a, 0, sizeof *a);
}

/* ---- Addresses ---- */

struct address {
    const char *local, *domain;
    size_t n_local, n_domain; /* one without a domain has none */
};

/* The address at `*at`, which moves behind it; false: there is none any more. */
static bool take_address(const char **at, struct address *out)
{
    const char *p = *at, *end = p + strcspn(p, ","), *sign = end;
    if (*p == '\0')
        return false;
    while (sign > p && sign[-1] != '@')
        sign--;
    out->local = p;
    out->n_local = sign > p ? (size_t)(sign - 1 - p) : (size_t)(end - p);
    out->domain = sign > p ? sign : end;
    out->n_domain = (size_t)(end - out->domain);
    *at = *end == ',' ? end + 1 : end;
    return true;
}

static bool has_address(const struct account *account, const mailsrv_arg_resolve *arg)
{
    const char *at = account->addresses;
    struct address one;
    while (take_address(&at, &one))
        if (same(arg->local_part, one.local, one.n_local) && same(arg->domain, one.domain, one.n_domain))
            return true;
    return false;
}

static bool has_domain(const struct account *account, mailsrv_bytes domain)
{
    const char *at = account->addresses;
    struct address one;
    while (take_address(&at, &one))
        if (domain.n == 0 || same(domain, one.domain, one.n_domain))
            return true;
    return false;
}

/* A domain that takes mail takes it for its postmaster (RFC 5321 section 4.5.1): where no line names him, for the
 * first account of that domain. */
static const struct account *find_address(const struct accounts *a, const mailsrv_arg_resolve *arg)
{
    for (size_t i = 0; i < a->n; i++)
        if (has_address(&a->all[i], arg))
            return &a->all[i];
    for (size_t i = 0; i < a->n && same(arg->local_part, "postmaster", 10); i++)
        if (has_domain(&a->all[i], arg->domain))
            return &a->all[i];
    return NULL;
}

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct account *found = find_address(user, op->arg);
    mailsrv_destination to = { .kind = MAILSRV_TARGET_MAILBOX };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
    if (found == NULL) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NONEXISTENT);
        return;
    }
    to.account = found->id;
    mailsrv_op_answer(engine, op->id, &answer);
}

/* ---- Passwords ---- */

/* As long for a near miss as for any other of the same length. */
static bool is_password(const struct account *account, mailsrv_bytes given)
{
    const size_t n = strlen(account->password);
    uint8_t differs = given.n != n;
    for (size_t i = 0; i < n; i++)
        differs |= (uint8_t)(account->password[i] ^ (i < given.n ? given.p[i] : 0));
    return !differs;
}

static void verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct accounts *a = user;
    const mailsrv_arg_auth_verify *arg = op->arg;
    mailsrv_identity value = { .size = sizeof value };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
    const struct account *found = NULL;
    for (size_t i = 0; i < a->n && found == NULL; i++)
        if (same(arg->user, a->all[i].name, strlen(a->all[i].name)))
            found = &a->all[i];
    if (found == NULL || !is_password(found, arg->password)) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_DENIED);
        return;
    }
    value.account = found->id;
    mailsrv_op_answer(engine, op->id, &answer);
}

int32_t accounts_serve(struct accounts *a, mailsrv_engine *engine)
{
    int32_t status = mailsrv_engine_serve(engine, MAILSRV_OP_RESOLVE, resolve, a);
    return status == MAILSRV_OK ? mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_VERIFY, verify, a) : status;
}
