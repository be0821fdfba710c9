#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

enum { EVENTS = 256, ERRORS_MAX = 100, TOLD_MAX = 20, SAID_MAX = 200, SPARE_DESCRIPTORS = 32 };

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

struct client *load_client(const struct load *load, uint64_t number)
{
    return (struct client *)(void *)(load->clients + number * load->mode->octets);
}

/* ---- Opening ---- */

static void wait_to_open(struct client *client)
{
    struct load *load = client->load;
    client->next_waiting = NULL;
    if (load->first_waiting == NULL)
        load->first_waiting = client;
    else
        load->last_waiting->next_waiting = client;
    load->last_waiting = client;
}

static void open_client(struct client *client)
{
    struct load *load = client->load;
    struct wire_place place = {
        .at = load->at,
        .source = load->options.sources < 2 ? 0 : (uint32_t)(load->n_opened++ % load->options.sources) + 1,
        .ssl = load_tls(client) == TLS_IMPLICIT ? load->ssl : NULL,
    };
    if (client->port != 0)
        place.at.sin_port = htons(client->port);
    client->done = 0;
    if (client->mode->is_connection && !load_take(client, 1)) {
        load->n_left--;
        return;
    }
    client->account = load->options.first + client->turn % load->options.users;
    client->turn += load->n_clients;
    client->opened_ns = now_ns();
    client->opening = true;
    client->ending = false;
    load->n_opening++;
    client->mode->talk->greet(client);
    wire_open(&client->wire, &place);
}

/* Not too many at once: a queue of those who want in that overflows makes them wait for a second. */
static void open_some(struct load *load)
{
    while (load->first_waiting != NULL && load->n_opening < load->options.opening) {
        struct client *client = load->first_waiting;
        load->first_waiting = client->next_waiting;
        open_client(client);
    }
}

static void has_opened(struct client *client)
{
    client->load->n_opening -= client->opening;
    client->opening = false;
}

/* ---- Operations ---- */

static void start_clock(struct load *load)
{
    load->started = true;
    load->began_ns = load->ended_ns = now_ns();
    load->began_cpu_us = cpu_us();
}

static void start_all(struct load *load)
{
    start_clock(load);
    if (load->mode->begin != NULL)
        load->mode->begin(load);
    for (uint64_t i = 0; i < load->n_clients; i++) {
        struct client *client = load_client(load, i);
        if (client->held) {
            client->held = false;
            client->mode->next(client);
        }
    }
}

void load_ready(struct client *client)
{
    struct load *load = client->load;
    has_opened(client);
    if (load->started) {
        client->mode->next(client);
        return;
    }
    client->held = true;
    if (++load->n_ready == load->n_clients)
        start_all(load);
}

static bool is_left(const struct client *client)
{
    const struct load *load = client->load;
    return !load->failed && (load->once ? !client->has_taken : load->given < load->options.count);
}

bool load_take(struct client *client, uint64_t weight)
{
    struct load *load = client->load;
    const uint64_t per = load->options.per;
    if (!is_left(client) || (per != 0 && client->done >= per))
        return false;
    client->has_taken = true;
    client->op = load->given;
    client->weight = weight;
    client->began_ns = now_ns();
    load->given += weight;
    return true;
}

void load_took(struct load *load, uint64_t since_ns)
{
    load->ended_ns = now_ns();
    histogram_add(&load->latency, load->ended_ns - since_ns);
}

void load_count(struct client *client, uint64_t octets)
{
    client->load->ops += client->weight;
    client->load->octets += octets;
    client->done += client->weight;
    client->weight = 0;
}

void load_done(struct client *client, uint64_t octets)
{
    load_took(client->load, client->began_ns);
    load_count(client, octets);
}

void load_figure(struct load *load, const char *name, double value)
{
    if (load->n_figures < FIGURES_MAX)
        load->figures[load->n_figures++] = (struct figure){ name, value };
}

/* ---- Ends ---- */

static void is_over(struct client *client)
{
    if (is_left(client))
        wait_to_open(client);
    else
        client->load->n_left--;
}

static void count_error(struct load *load, const char *what, const char *said, size_t n)
{
    if (load->errors++ < TOLD_MAX)
        fprintf(stderr, "bench-load: %s: %s%.*s\n", load->name, what, (int)(n < SAID_MAX ? n : SAID_MAX), said);
    if (load->errors >= ERRORS_MAX || load->mode->needs_all)
        load->failed = true;
}

void load_fail(struct client *client, const char *what, const char *said, size_t n)
{
    count_error(client->load, what, said, n);
    client->weight = 0;
    if (client->held)
        client->load->n_ready--;
    client->held = false;
    has_opened(client);
    wire_close(&client->wire);
    is_over(client);
}

void load_leave(struct client *client)
{
    has_opened(client);
    wire_close(&client->wire);
    is_over(client);
}

static void lost(struct wire *wire, const char *why)
{
    load_fail((struct client *)wire, "the connection is lost: ", why, strlen(why));
}

static void got(struct wire *wire, const char *p, size_t n)
{
    struct client *client = (struct client *)wire;
    client->mode->talk->got(client, p, n);
}

static void secured(struct wire *wire)
{
    struct client *client = (struct client *)wire;
    client->mode->talk->secured(client);
}

static const struct wire_events events = { secured, got, lost };

enum tls_when load_tls(const struct client *client)
{
    return client->port == 0 ? client->load->options.tls : TLS_NONE;
}

void load_add(struct load *load, struct client *client, const struct mode *mode, uint64_t port)
{
    client->load = load;
    client->mode = mode;
    client->port = (uint16_t)port;
    load->n_left++;
    wire_init(&client->wire, &events, load->poll);
    wait_to_open(client);
}

/* ---- A run ---- */

static void raise_limit(uint64_t connections)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < connections + SPARE_DESCRIPTORS)
        fprintf(stderr, "bench-load: RLIMIT_NOFILE leaves room for %llu connections\n",
                (unsigned long long)limit.rlim_cur - SPARE_DESCRIPTORS);
}

static bool make_clients(struct load *load)
{
    const struct mode *mode = load->mode;
    load->n_clients = mode->needs_all ? load->options.idlers : load->options.connections;
    if (mode->needs_all)
        load->options.users = load->options.mailboxes;
    raise_limit(load->n_clients);
    load->clients = calloc((size_t)load->n_clients, mode->octets);
    if (load->clients == NULL)
        return fprintf(stderr, "bench-load: no memory\n"), false;
    for (uint64_t i = 0; i < load->n_clients; i++) {
        load_add(load, load_client(load, i), mode, 0);
        load_client(load, i)->turn = i;
    }
    return true;
}

bool load_init(struct load *load, const struct mode *mode)
{
    const struct options *o = &load->options;
    load->mode = mode;
    load->once = o->count == 0;
    load->at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)o->port) };
    if (inet_pton(AF_INET, o->host, &load->at.sin_addr) != 1)
        return fprintf(stderr, "bench-load: host is an address of four numbers\n"), false;
    if (o->tls != TLS_NONE && (load->ssl = wire_tls(o->tls_version, o->group)) == NULL)
        return false;
    corpus_init(&load->corpus, o->seed, (size_t)o->octets, mode->talk->stuffs);
    if (o->mixed)
        corpus_mix(&load->corpus);
    load->poll = epoll_create1(EPOLL_CLOEXEC);
    return make_clients(load);
}

void load_run(struct load *load)
{
    static struct epoll_event ready[EVENTS];
    if (load->mode->counts_logins)
        start_clock(load);
    for (;;) {
        open_some(load);
        if (load->n_left == 0)
            return;
        const int n = epoll_wait(load->poll, ready, EVENTS, (int)load->options.timeout_s * 1000);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            count_error(load, n == 0 ? "nobody answers" : "epoll_wait", "", 0);
            return;
        }
        for (int i = 0; i < n; i++)
            wire_ready(ready[i].data.ptr, ready[i].events);
        if (load->failed && (!load->started || load->mode->needs_all))
            return;
    }
}

/* Microseconds since 1970, for who compares with what others saw. */
static unsigned long long unix_us(uint64_t at_ns)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000 - (now_ns() - at_ns) / 1000;
}

void load_print(const struct load *load)
{
    const struct histogram *h = &load->latency;
    const double seconds = (double)(load->ended_ns - load->began_ns) / 1e9;
    printf("{\"mode\":\"%s\",\"ops\":%llu,\"errors\":%llu,\"seconds\":%.6f,\"per_second\":%.1f,\"octets\":%llu,"
           "\"ended_us\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"cpu_us\":%llu",
           load->name, (unsigned long long)load->ops, (unsigned long long)load->errors, seconds,
           seconds > 0 ? (double)load->ops / seconds : 0, (unsigned long long)load->octets,
           unix_us(load->ended_ns), (double)histogram_quantile(h, 0.5) / 1e3,
           (double)histogram_quantile(h, 0.99) / 1e3, (double)h->max_ns / 1e3,
           load->began_ns == 0 ? 0ull : (unsigned long long)(cpu_us() - load->began_cpu_us));
    for (uint32_t i = 0; i < load->n_figures; i++)
        printf(",\"%s\":%.1f", load->figures[i].name, load->figures[i].value);
    puts("}");
}

void load_fini(struct load *load)
{
    corpus_fini(&load->corpus);
    for (uint64_t i = 0; i < load->n_clients; i++)
        wire_fini(&load_client(load, i)->wire);
    free(load->clients);
    SSL_CTX_free(load->ssl);
}
