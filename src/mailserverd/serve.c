#include "serve.h"
#include "accounts.h"
#include "log.h"

#include <mailsrv/stores/durable.h>
#include <mailsrv/uv.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define GRACE_MS 5000
#define EVENTS_MAX 4096
#define MEMORY_OCTETS_MAX (UINT64_C(256) << 20)

struct server {
    const struct options *options;
    char path[4096]; /* of the accounts */
    char hostname[256];
    struct accounts accounts;
    mailsrv_store *store;
    mailsrv_engine *engine; /* the driver's, once there is one */
    mailsrv_uv *driver;
    mailsrv_profile *profiles[DOORS_MAX]; /* of each door */
    uv_loop_t loop;
    uv_signal_t signals[2];
    unsigned n_signals; /* that have come */
};

static bool failed(const char *what, int32_t status)
{
    if (status != MAILSRV_OK)
        fprintf(stderr, "mailserverd: %s: %s\n", what, mailsrv_strerror(status));
    return status != MAILSRV_OK;
}

/* ---- The data directory ---- */

static bool open_store(struct server *s)
{
    const char *data = s->options->data;
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = data };
    if (mkdir(data, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "mailserverd: %s: %s\n", data, strerror(errno));
        return false;
    }
    return !failed(data, mailsrv_durable_open(&setup, &s->store));
}

/* The accounts of the file are those of the store; a new one is added. */
static bool know_accounts(struct server *s)
{
    for (size_t i = 0; i < s->accounts.n; i++) {
        struct account *account = &s->accounts.all[i];
        const size_t n = strlen(account->name);
        int32_t status = mailsrv_durable_find_account(s->store, account->name, n, &account->id);
        if (status == MAILSRV_NONEXISTENT)
            status = mailsrv_durable_add_account(s->store, account->name, n, &account->id);
        if (failed(account->name, status))
            return false;
    }
    return true;
}

/* ---- The engine ---- */

static int32_t new_engine(mailsrv_engine **out)
{
    mailsrv_config *config;
    int32_t status = mailsrv_config_new(NULL, &config);
    if (status != MAILSRV_OK)
        return status;
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_EVENTS_MAX, EVENTS_MAX);
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, MEMORY_OCTETS_MAX);
    status = mailsrv_engine_new(config, out);
    mailsrv_config_free(config);
    return status;
}

static bool begin_engine(struct server *s)
{
    const mailsrv_uv_setup setup = { .size = sizeof setup, .on_event = log_event };
    int32_t status = new_engine(&s->engine);
    if (status == MAILSRV_OK)
        status = mailsrv_uv_new(&s->loop, s->engine, &setup, &s->driver);
    if (status == MAILSRV_OK) /* its threads wake the loop */
        status = mailsrv_durable_bind(s->store, s->engine, mailsrv_uv_wake, s->driver);
    if (status == MAILSRV_OK)
        status = accounts_serve(&s->accounts, s->engine);
    return !failed("the engine", status);
}

/* ---- Doors ---- */

static void show_address(char *out, size_t n, const char *address, uint16_t port)
{
    snprintf(out, n, strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address, (unsigned)port);
}

static int32_t on_begin(void *user, mailsrv_uv_connection *connection)
{
    const struct door *door = user;
    mailsrv_peer peer = { .size = sizeof peer };
    mailsrv_info info = { .size = sizeof info };
    char address[ADDRESS_OCTETS] = "", from[ADDRESS_OCTETS + 16] = "";
    mailsrv_uv_connection_peer(connection, &peer);
    mailsrv_session_info(mailsrv_uv_connection_session(connection), &info);
    uv_inet_ntop(peer.address_octets == 16 ? AF_INET6 : AF_INET, peer.address, address, sizeof address);
    show_address(from, sizeof from, address, peer.port);
    log_line("session %" PRIu64 " began: %s from %s", info.id, door->service->name, from);
    return MAILSRV_OK;
}

static bool make_profile(const struct server *s, const struct door *door, mailsrv_profile **out)
{
    mailsrv_error why = { .size = sizeof why };
    int32_t status = mailsrv_profile_new(NULL, door->service->machine(), door->service->face, out);
    if (status == MAILSRV_OK) /* nobody else listens on loopback */
        status = mailsrv_profile_set_u64(*out, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    if (status == MAILSRV_OK)
        status = mailsrv_profile_set_str(*out, MAILSRV_PROFILE_HOSTNAME, s->hostname, strlen(s->hostname));
    if (status == MAILSRV_E_VALUE)
        fprintf(stderr, "mailserverd: --hostname %s: expected a domain, as in mail.example.org\n", s->hostname);
    else if (!failed(door->service->name, status) && (status = mailsrv_profile_seal(*out, &why)) != MAILSRV_OK)
        fprintf(stderr, "mailserverd: %s: expected %s\n", door->service->name, why.expected);
    return status == MAILSRV_OK;
}

static bool open_door(struct server *s, size_t which)
{
    const struct door *door = &s->options->doors[which];
    mailsrv_uv_listener *listener;
    char at[ADDRESS_OCTETS + 16];
    if (!make_profile(s, door, &s->profiles[which]))
        return false;
    const mailsrv_uv_listener_setup setup = { .size = sizeof setup,
                                              .address = door->address,
                                              .port = door->port,
                                              .profile = s->profiles[which],
                                              .on_begin = on_begin,
                                              .user = (void *)(uintptr_t)door };
    const int32_t status = mailsrv_uv_listen(s->driver, &setup, &listener);
    show_address(at, sizeof at, door->address, status == MAILSRV_OK ? mailsrv_uv_listener_port(listener) : door->port);
    if (failed(at, status))
        return false;
    printf("%s %s\n", door->service->name, at);
    return true;
}

static bool open_doors(struct server *s)
{
    size_t n = sizeof s->hostname;
    if (s->options->hostname != NULL)
        snprintf(s->hostname, sizeof s->hostname, "%s", s->options->hostname);
    else if (uv_os_gethostname(s->hostname, &n) != 0)
        snprintf(s->hostname, sizeof s->hostname, "localhost");
    for (size_t i = 0; i < s->options->n_doors; i++)
        if (!open_door(s, i))
            return false;
    fflush(stdout);
    return true;
}

/* ---- The end ---- */

static void on_closed(void *user)
{
    struct server *s = user;
    for (size_t i = 0; i < 2; i++)
        if (uv_is_active((uv_handle_t *)&s->signals[i]))
            uv_close((uv_handle_t *)&s->signals[i], NULL);
}

/* The first signal is polite, the second is not; the third is the system's. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    log_line("%s: ending%s", number == SIGINT ? "SIGINT" : "SIGTERM", s->n_signals == 0 ? "" : " at once");
    mailsrv_uv_close(s->driver, s->n_signals == 0 ? GRACE_MS : 0, on_closed, s);
    if (++s->n_signals == 2)
        on_closed(s);
}

static void watch_signals(struct server *s)
{
    static const int numbers[2] = { SIGTERM, SIGINT };
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
}

/* Whatever was begun, in whatever state. */
static void finish(struct server *s)
{
    if (s->driver != NULL)
        mailsrv_uv_close(s->driver, 0, on_closed, s);
    else
        mailsrv_engine_free(s->engine, 0);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    mailsrv_store_free(s->store);
    mailsrv_uv_free(s->driver);
    for (size_t i = 0; i < DOORS_MAX; i++)
        mailsrv_profile_unref(s->profiles[i]);
    uv_loop_close(&s->loop);
    accounts_end(&s->accounts);
}

static bool begin(struct server *s)
{
    const struct options *o = s->options;
    snprintf(s->path, sizeof s->path, o->accounts != NULL ? "%s" : "%s/accounts",
             o->accounts != NULL ? o->accounts : o->data);
    if (!accounts_read(&s->accounts, s->path) || !open_store(s) || !know_accounts(s) || !begin_engine(s))
        return false;
    watch_signals(s); /* before others learn that it is here */
    return open_doors(s);
}

int serve(const struct options *options)
{
    static struct server s;
    s.options = options;
    if (uv_loop_init(&s.loop) != 0) {
        fprintf(stderr, "mailserverd: out of memory\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(077); /* whatever is made here is for its owner alone */
    const bool ok = begin(&s);
    if (ok) {
        log_line("serving %zu accounts from %s as %s", s.accounts.n, options->data, s.hostname);
        uv_run(&s.loop, UV_RUN_DEFAULT);
        log_line("ended");
    }
    finish(&s);
    return ok ? 0 : 1;
}
