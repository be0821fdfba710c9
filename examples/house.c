#include "house.h"
#include "accounts.h"
#include "tls_file.h"

#include <mailsrv/stores/durable.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOMAIN "here.test"

struct user {
    struct user *next;
    mailsrv_id account;
    char name[17], password[256];
    size_t password_octets;
};

static const struct kind {
    const char *name;
    uint16_t port;
    const mailsrv_machine *(*machine)(void);
    int32_t face;
    uint64_t tls;
} kinds[DOORS] = {
    { "smtp", 25, mailsrv_smtp, MAILSRV_FACE_MX, MAILSRV_TLS_OFFERED },
    { "lmtp", 24, mailsrv_smtp, MAILSRV_FACE_LMTP, MAILSRV_TLS_NONE },
    { "pop3", 110, mailsrv_pop3, MAILSRV_FACE_POP3, MAILSRV_TLS_OFFERED },
    { "imap", 143, mailsrv_imap, MAILSRV_FACE_IMAP, MAILSRV_TLS_OFFERED },
    { "submission", 587, mailsrv_smtp, MAILSRV_FACE_SUBMISSION, MAILSRV_TLS_OFFERED },
    { "submissions", 465, mailsrv_smtp, MAILSRV_FACE_SUBMISSION, MAILSRV_TLS_IMPLICIT },
    { "pop3s", 995, mailsrv_pop3, MAILSRV_FACE_POP3, MAILSRV_TLS_IMPLICIT },
    { "imaps", 993, mailsrv_imap, MAILSRV_FACE_IMAP, MAILSRV_TLS_IMPLICIT },
};

void house_must(int32_t status, const char *what)
{
    if (status != MAILSRV_OK)
        exit((fprintf(stderr, "%s: %s\n", what, mailsrv_strerror(status)), 1));
}

/* ---- Doors ---- */

static void add_door(struct house *house, const struct kind *kind, mailsrv_tls *tls, const char *base)
{
    struct door *door = &house->doors[house->n_doors];
    const uint64_t when = tls == NULL ? MAILSRV_TLS_NONE : kind->tls;
    if (tls == NULL && kind->tls == MAILSRV_TLS_IMPLICIT)
        return;
    door->name = kind->name;
    door->port = base == NULL ? 0 : (uint16_t)(atoi(base) + kind->port);
    house_must(mailsrv_profile_new(NULL, kind->machine(), kind->face, &door->profile), kind->name);
    mailsrv_profile_set_str(door->profile, MAILSRV_PROFILE_HOSTNAME, DOMAIN, sizeof DOMAIN - 1);
    mailsrv_profile_set_u64(door->profile, MAILSRV_PROFILE_TLS, when);
    mailsrv_profile_set_u64(door->profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, tls == NULL); /* on loopback */
    mailsrv_profile_set_tls(door->profile, when == MAILSRV_TLS_NONE ? NULL : tls);
    house_must(mailsrv_profile_seal(door->profile, NULL), kind->name);
    house->n_doors++;
}

int house_listen(const struct door *door)
{
    struct sockaddr_in at = { AF_INET, htons(door->port), { htonl(INADDR_LOOPBACK) }, { 0 } };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, (void *)&at, sizeof at) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (void *)&at, &(socklen_t){ sizeof at }) != 0)
        exit((perror(door->name), 1));
    dprintf(STDOUT_FILENO, "%s 127.0.0.1:%d\n", door->name, ntohs(at.sin_port));
    return fd;
}

mailsrv_peer house_peer(int socket)
{
    struct sockaddr_in from = { 0 };
    mailsrv_peer peer = { .size = sizeof peer };
    if (getpeername(socket, (void *)&from, &(socklen_t){ sizeof from }) == 0) {
        peer.address_octets = sizeof from.sin_addr;
        memcpy(peer.address, &from.sin_addr, sizeof from.sin_addr);
        peer.port = ntohs(from.sin_port);
    }
    return peer;
}

/* ---- Users ---- */

static void add_user(struct house *house, const char *directory, const char *name)
{
    const mailsrv_id known_as = accounts_id((mailsrv_bytes){ (const uint8_t *)name, strlen(name) });
    const int fd = accounts_open(directory, known_as, "password");
    if (fd < 0)
        return;
    struct user *u = calloc(1, sizeof *u);
    house_must(u != NULL ? MAILSRV_OK : MAILSRV_NOMEM, name);
    memcpy(u->name, known_as.b, sizeof known_as.b);
    const ssize_t n = read(fd, u->password, sizeof u->password);
    close(fd);
    int32_t status = mailsrv_durable_find_account(house->store, u->name, strlen(u->name), &u->account);
    if (status == MAILSRV_NONEXISTENT)
        status = mailsrv_durable_add_account(house->store, u->name, strlen(u->name), &u->account);
    house_must(n > 0 ? status : MAILSRV_E_VALUE, name);
    u->password_octets = (size_t)n;
    u->next = house->users;
    house->users = u;
}

static bool is(const char *text, mailsrv_bytes octets)
{
    return strlen(text) == octets.n && strncasecmp(text, (const char *)octets.p, octets.n) == 0;
}

static const struct user *find(const struct house *house, mailsrv_bytes name)
{
    const struct user *u = house->users;
    while (u != NULL && !is(u->name, name))
        u = u->next;
    return u;
}

static mailsrv_id id_of(const struct user *u)
{
    return u != NULL ? u->account : (mailsrv_id){ { 0 } };
}

/* ---- Questions ---- */

static void answer(mailsrv_engine *engine, const mailsrv_op *op, int32_t status, const void *value)
{
    const mailsrv_answer answer = { .size = sizeof answer, .status = status, .value = value };
    mailsrv_op_answer(engine, op->id, &answer);
}

/* A mailbox of this domain, or nobody's: mail for others is not taken.  Where nobody is the postmaster it is whoever
 * comes first (RFC 5321 section 4.5.1). */
static void on_resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    const bool here = arg->domain.n == 0 || is(DOMAIN, arg->domain);
    const struct house *house = user;
    const struct user *found = find(house, arg->local_part);
    const struct user *u = found == NULL && is("postmaster", arg->local_part) ? house->users : found;
    const mailsrv_destination to = { .kind = MAILSRV_TARGET_MAILBOX, .account = id_of(u) };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    answer(engine, op, !here ? MAILSRV_NOPERM : u == NULL ? MAILSRV_NONEXISTENT : MAILSRV_OK, &value);
}

static void on_verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_auth_verify *arg = op->arg;
    const struct user *u = find(user, arg->user);
    const mailsrv_identity value = { .size = sizeof value, .account = id_of(u) };
    uint8_t differs = u == NULL || u->password_octets != arg->password.n;
    for (size_t i = 0; u != NULL && i < arg->password.n && i < sizeof u->password; i++) /* as long for a near miss */
        differs |= (uint8_t)u->password[i] ^ arg->password.p[i];
    answer(engine, op, differs ? MAILSRV_DENIED : MAILSRV_OK, &value);
}

void house_serve(struct house *house, mailsrv_engine *engine, void (*wake)(void *user), void *user)
{
    house_must(mailsrv_durable_bind(house->store, engine, wake, user), "the store");
    house_must(mailsrv_engine_serve(engine, MAILSRV_OP_RESOLVE, on_resolve, house), "addresses");
    house_must(mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_VERIFY, on_verify, house), "logins");
}

/* ---- The house ---- */

void house_open(struct house *house, const char *directory, const char *base)
{
    char store[4096];
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = store };
    DIR *all = opendir(directory);
    house_must(all != NULL ? MAILSRV_OK : MAILSRV_NONEXISTENT, directory);
    snprintf(store, sizeof store, "%s/.store", directory);
    mkdir(store, 0700);
    *house = (struct house){ 0 };
    house_must(mailsrv_durable_open(&setup, &house->store), store);
    for (const struct dirent *one = readdir(all); one != NULL; one = readdir(all))
        add_user(house, directory, one->d_name);
    closedir(all);
    mailsrv_tls *tls = tls_file(directory);
    for (const struct kind *kind = kinds; kind < kinds + DOORS; kind++)
        add_door(house, kind, tls, base);
    mailsrv_tls_unref(tls);
}

void house_close(struct house *house)
{
    mailsrv_store_free(house->store);
    for (int i = 0; i < house->n_doors; i++)
        mailsrv_profile_unref(house->doors[i].profile);
    for (struct user *u = house->users, *next; u != NULL; u = next) {
        next = u->next;
        free(u);
    }
}
