#include "routes.h"
#include "log.h"

#include <mailsrv/queue.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_OCTETS_MAX = 16384 /* tokens are long */ };

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static void answer(mailsrv_engine *engine, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = value };
    mailsrv_op_answer(engine, op->id, &answer);
}

/* ---- ROUTE ---- */

/* An item whose route was taken out of the configuration goes as its domain says. */
static void on_route(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct directory *d = user;
    const mailsrv_arg_route *arg = op->arg;
    const struct route *route = arg->route.n != 0 ? config_route_named(d->config, arg->route) : NULL;
    mailsrv_route value = { .size = sizeof value, .kind = MAILSRV_ROUTE_MX };
    if (route == NULL)
        route = config_route(d->config, arg->domain, arg->reverse_path);
    if (route != NULL) {
        value.kind = route->host[0] != '\0' ? MAILSRV_ROUTE_HOST : MAILSRV_ROUTE_MX;
        value.flags = route->flags;
        value.secure = route->secure;
        value.host = bytes(route->host);
        value.port = route->port;
        value.name = bytes(route->name);
    }
    answer(engine, op, &value);
}

/* ---- CREDENTIAL ---- */

/* The first line of a file, which is read each time: tokens are renewed.  0: there is none. */
static size_t read_line(const struct route *route, const char *path, char *out, size_t room)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t n = fd >= 0 ? read(fd, out, room) : -1;
    const int error = errno;
    if (fd >= 0)
        close(fd);
    if (n <= 0) {
        log_line("route %s: %s: %s", route->name, path, n < 0 ? strerror(error) : "it is empty");
        return 0;
    }
    const char *end = memchr(out, '\n', (size_t)n);
    return end != NULL ? (size_t)(end - out) : (size_t)n;
}

static void on_credential(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct directory *d = user;
    const mailsrv_arg_credential *arg = op->arg;
    const struct route *route = config_route_named(d->config, arg->route);
    char secret[SECRET_OCTETS_MAX];
    const bool is_token = route != NULL && route->token[0] != '\0';
    size_t n = 0;
    if (route != NULL && (is_token || route->password[0] != '\0'))
        n = read_line(route, is_token ? route->token : route->password, secret, sizeof secret);
    if (n == 0) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP);
        return;
    }
    const mailsrv_bytes what = { (const uint8_t *)secret, n }, none = { NULL, 0 };
    const mailsrv_credential value = { .size = sizeof value,
                                       .user = bytes(route->user),
                                       .password = is_token ? none : what,
                                       .token = is_token ? what : none };
    answer(engine, op, &value);
    explicit_bzero(secret, sizeof secret);
}

int32_t routes_serve(struct directory *directory, mailsrv_engine *engine)
{
    const int32_t status = mailsrv_engine_serve(engine, MAILSRV_OP_ROUTE, on_route, directory);
    return status != MAILSRV_OK ? status
                                : mailsrv_engine_serve(engine, MAILSRV_OP_CREDENTIAL, on_credential, directory);
}
