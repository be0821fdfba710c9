#include "loop.h"
#include "figures.h"
#include "keyed.h"
#include "log.h"
#include "out.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/durable.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 4096, PATIENCE_S = 2, LOG_WAITS_MS = 20 };

const int32_t loop_stat_keys[STATS_MAX] = {
    MAILSRV_STAT_SESSIONS,   MAILSRV_STAT_MESSAGES, MAILSRV_STAT_MEMORY,        MAILSRV_STAT_IMAGES_OCTETS,
    MAILSRV_STAT_TLS_OCTETS, MAILSRV_STAT_OPS_OUT,  MAILSRV_STAT_OPS_TIMED_OUT, MAILSRV_STAT_EVENTS_DROPPED,
};

static bool failed(const char *what, int32_t status)
{
    if (status != MAILSRV_OK)
        log_line("%s: %s", what, mailsrv_strerror(status));
    return status != MAILSRV_OK;
}

/* ---- The log ---- */

static void tell_queue(struct loop *l);

static void on_event(void *user, const mailsrv_event *event)
{
    struct loop *l = user;
    const uint64_t lost = mailsrv_engine_stat(l->engine, MAILSRV_STAT_EVENTS_DROPPED);
    if (lost != l->lost)
        log_line("%" PRIu64 " lines were lost: more happened at once than there is room for", lost - l->lost);
    l->lost = lost;
    if (event->what == MAILSRV_EVENT_LOGIN)
        login_succeeded(&l->directory, event->session_id);
    if (event->what == MAILSRV_EVENT_LOGIN_FAILED)
        login_failed(&l->directory, event->session_id);
    if (event->what == MAILSRV_EVENT_QUEUED && l->sender != l)
        tell_queue(l->sender);
    log_event(event);
}

static void write_log(uv_timer_t *timer)
{
    (void)timer;
    log_write();
}

/* Lines that came at about the same time are written together. */
static void before_sleep(uv_prepare_t *prepare)
{
    struct loop *l = prepare->data;
    if (l->log.n != 0 && !uv_is_active((uv_handle_t *)&l->writes_log))
        uv_timer_start(&l->writes_log, write_log, LOG_WAITS_MS, 0);
}

/* ---- Those who come ---- */

/* The limit of each peer is that of all threads together: the driver is not asked to count those of one. */
static int32_t on_begin(void *user, mailsrv_uv_connection *connection)
{
    static const char too_many[] = "too many connections from there";
    const struct door *door = user;
    const struct listener *listener = door->listener;
    struct directory *d = &door->loop->directory;
    mailsrv_peer peer = { .size = sizeof peer };
    mailsrv_uv_connection_peer(connection, &peer);
    const uint64_t which = keyed('c', (mailsrv_bytes){ (const uint8_t *)listener->name, strlen(listener->name) });
    const uint64_t network = guard_network(which, (mailsrv_bytes){ peer.address, peer.address_octets });
    const uint64_t session = guests_session(connection);
    log_peer(session, listener->name, "from", &peer); /* the engine says of each that it has ended */
    if (!crowd_enter(&d->gate->crowd, network, listener->connections_per_peer)) {
        log_session(session, "is turned away", too_many, sizeof too_many - 1);
        return MAILSRV_LIMIT;
    }
    struct guest *guest = guests_add(&d->guests, session, connection);
    if (guest == NULL) {
        crowd_leave(&d->gate->crowd, network);
        return MAILSRV_NOMEM;
    }
    guest->network = network;
    return MAILSRV_OK;
}

static void on_end(void *user, mailsrv_uv_connection *connection)
{
    const struct door *door = user;
    struct directory *d = &door->loop->directory;
    const uint64_t session = guests_session(connection);
    const struct guest *guest = guests_find(&d->guests, session);
    if (guest != NULL)
        crowd_leave(&d->gate->crowd, guest->network);
    guests_remove(&d->guests, session);
}

/* ---- Listeners ---- */

/* The socket of this thread; -1: another one has it. */
static int socket_of(const struct loop *l, const char *listener, const struct address *address)
{
    const struct bound *b = sockets_find(l->sockets, listener, address);
    if (b == NULL || l->number >= b->n_fds)
        return -1;
    return fcntl(b->fds[l->number], F_DUPFD_CLOEXEC, 0);
}

static bool listen_at(struct loop *l, size_t which, const struct address *address)
{
    const struct listener *listener = &l->plan->config->listeners[which];
    const int fd = socket_of(l, listener->name, address);
    struct door *door = &l->doors[l->n_listeners];
    const mailsrv_uv_listener_setup setup = { .size = sizeof setup,
                                              .connections_max = (uint32_t)listener->connections_max,
                                              .flags = MAILSRV_UV_LISTEN_SOCKET,
                                              .socket = fd,
                                              .profile = l->plan->profiles[which],
                                              .on_begin = on_begin,
                                              .on_end = on_end,
                                              .user = door };
    if (fd < 0)
        return true;
    *door = (struct door){ l, listener };
    const int32_t status = mailsrv_uv_listen(l->driver, &setup, &l->listeners[l->n_listeners]);
    if (failed(listener->name, status)) {
        close(fd);
        return false;
    }
    l->n_listeners++;
    return true;
}

static bool listen_to_all(struct loop *l)
{
    const struct config *c = l->plan->config;
    bool ok = true;
    for (size_t i = 0; i < c->n_listeners; i++)
        for (size_t k = 0; k < c->listeners[i].n_addresses; k++)
            ok = listen_at(l, i, &c->listeners[i].addresses[k]) && ok;
    return ok;
}

/* Those who are here stay, by the profiles that they came by. */
static void change_plan(struct loop *l, struct plan *plan)
{
    for (size_t i = 0; i < l->n_listeners; i++)
        mailsrv_uv_listener_close(l->listeners[i]);
    l->n_listeners = 0;
    plan_unref(l->plan);
    l->plan = plan;
    l->directory.config = plan->config;
    mailsrv_queue_set_flags(l->queue, out_flags(plan->config));
    mailsrv_queue_refresh(l->queue); /* routes and who we are there may be others */
    listen_to_all(l);
}

/* ---- News ---- */

static void on_closed(void *user)
{
    struct loop *l = user;
    uv_close((uv_handle_t *)&l->has_news, NULL);
    uv_close((uv_handle_t *)&l->before_sleep, NULL);
    uv_close((uv_handle_t *)&l->writes_log, NULL);
}

static void close_now(struct loop *l, unsigned closes)
{
    if (closes == l->closes)
        return;
    l->closes = closes;
    mailsrv_queue_close(l->queue, NULL, NULL);
    l->queue = NULL;
    mailsrv_uv_close(l->driver, closes == 1 ? (uint32_t)(l->plan->config->grace_s * 1000) : 0, on_closed, l);
}

static void publish(struct loop *l, bool stats, bool plan)
{
    uint64_t counted[STATS_MAX] = { 0 };
    for (size_t i = 0; i < STATS_MAX && stats; i++)
        counted[i] = mailsrv_engine_stat(l->engine, loop_stat_keys[i]);
    pthread_mutex_lock(&l->mutex);
    if (stats) {
        memcpy(l->stats, counted, sizeof counted);
        l->stats_are_new = true;
    }
    if (plan)
        l->plan_is_old = false;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

/* A group in each round of the loop.  Whoever waits has given up when he has the lock. */
static void count(struct loop *l)
{
    pthread_mutex_lock(&l->mutex);
    if (l->figures != NULL && figures_add(l->figures, l->engine, l->group++)) {
        uv_async_send(&l->has_news);
    } else {
        l->figures = NULL;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->mutex);
}

/* ---- What is wanted of the queue ---- */

static void end_order(struct loop *l, int32_t status, uint64_t n)
{
    pthread_mutex_lock(&l->mutex);
    struct queue_order *order = l->order;
    l->order = NULL;
    if (order != NULL) {
        order->status = status;
        order->n = n;
        order->done = true;
    }
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

static void order_done(void *user, int32_t status, uint64_t n)
{
    end_order(user, status, n);
}

static void begin_order(struct loop *l, const struct queue_order *order)
{
    const int32_t status =
        l->queue == NULL ? MAILSRV_E_CLOSED
                         : mailsrv_queue_control(l->queue, &order->match, order->action, order->route, order_done, l);
    if (status != MAILSRV_OK)
        end_order(l, status, 0);
}

static void on_news(uv_async_t *async)
{
    struct loop *l = async->data;
    pthread_mutex_lock(&l->mutex);
    const struct news news = l->news;
    l->news = (struct news){ .closes = news.closes };
    if (news.order != NULL)
        l->order = news.order; /* before the next one may come */
    pthread_mutex_unlock(&l->mutex);
    if (news.people != NULL)
        directory_change(&l->directory, news.people);
    if (news.plan != NULL && news.closes == 0)
        change_plan(l, news.plan);
    else
        plan_unref(news.plan);
    if (news.queue_has_more && l->queue != NULL)
        mailsrv_queue_poke(l->queue);
    if (news.order != NULL)
        begin_order(l, news.order);
    if (news.closes == 0 || l->closes == 0) {
        publish(l, news.wants_stats, news.plan != NULL);
        count(l);
    }
    close_now(l, news.closes);
}

static void tell(struct loop *l)
{
    uv_async_send(&l->has_news);
    pthread_mutex_unlock(&l->mutex);
}

/* False: it has ended, and nothing is locked. */
static bool lock_living(struct loop *l)
{
    pthread_mutex_lock(&l->mutex);
    if (!l->ended)
        return true;
    pthread_mutex_unlock(&l->mutex);
    return false;
}

void loop_tell_people(struct loop *l, struct people *people)
{
    if (!lock_living(l)) {
        people_unref(people);
        return;
    }
    people_unref(l->news.people);
    l->news.people = people;
    tell(l);
}

void loop_tell_plan(struct loop *l, struct plan *plan)
{
    if (!lock_living(l)) {
        plan_unref(plan);
        return;
    }
    plan_unref(l->news.plan);
    l->news.plan = plan;
    l->plan_is_old = true;
    tell(l);
    pthread_mutex_lock(&l->mutex);
    while (l->plan_is_old && !l->ended)
        pthread_cond_wait(&l->changed, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
}

static void tell_queue(struct loop *l)
{
    if (!lock_living(l))
        return;
    l->news.queue_has_more = true;
    tell(l);
}

/* One at a time: whoever comes waits for the one before. */
bool loop_order(struct loop *l, struct queue_order *order)
{
    order->done = false;
    pthread_mutex_lock(&l->mutex);
    while ((l->news.order != NULL || l->order != NULL) && !l->ended)
        pthread_cond_wait(&l->changed, &l->mutex);
    if (!l->ended) {
        l->news.order = order;
        uv_async_send(&l->has_news);
    }
    while (!order->done && !l->ended)
        pthread_cond_wait(&l->changed, &l->mutex);
    pthread_mutex_unlock(&l->mutex);
    return order->done;
}

void loop_close(struct loop *l)
{
    if (!lock_living(l))
        return;
    l->news.closes++;
    tell(l);
}

static void be_patient(struct timespec *until)
{
    clock_gettime(CLOCK_REALTIME, until);
    until->tv_sec += PATIENCE_S;
}

bool loop_stats(struct loop *l, uint64_t *out)
{
    struct timespec until;
    if (!lock_living(l))
        return false;
    l->stats_are_new = false;
    l->news.wants_stats = true;
    tell(l);
    be_patient(&until);
    pthread_mutex_lock(&l->mutex);
    while (!l->stats_are_new && !l->ended && pthread_cond_timedwait(&l->changed, &l->mutex, &until) != ETIMEDOUT)
        ;
    const bool ok = l->stats_are_new;
    memcpy(out, l->stats, sizeof l->stats);
    pthread_mutex_unlock(&l->mutex);
    return ok;
}

/* Those who ask at the same time wait for each other. */
bool loop_count(struct loop *l, struct figures *figures)
{
    struct timespec until;
    bool ok = false;
    int waited = 0;
    if (!lock_living(l))
        return false;
    be_patient(&until);
    while (l->figures != NULL && !l->ended && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&l->changed, &l->mutex, &until);
    if (l->figures == NULL && !l->ended) {
        l->figures = figures;
        l->group = 0;
        uv_async_send(&l->has_news);
        while (l->figures == figures && !l->ended && waited != ETIMEDOUT)
            waited = pthread_cond_timedwait(&l->changed, &l->mutex, &until);
        ok = l->figures != figures;
    }
    if (l->figures == figures) {
        l->figures = NULL;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->mutex);
    return ok;
}

/* ---- Its life ---- */

static int32_t new_engine(const struct config *config, mailsrv_engine **out)
{
    mailsrv_config *setup;
    int32_t status = mailsrv_config_new(NULL, &setup);
    if (status != MAILSRV_OK)
        return status;
    mailsrv_config_set_u64(setup, MAILSRV_CONFIG_EVENTS_MAX, EVENTS_MAX);
    mailsrv_config_set_u64(setup, MAILSRV_CONFIG_MEMORY_MAX, config->memory / config->threads);
    mailsrv_config_set_crypto(setup, plan_crypto());
    status = mailsrv_engine_new(setup, out);
    mailsrv_config_free(setup);
    return status;
}

static bool begin_engine(struct loop *l)
{
    const mailsrv_uv_setup setup = { .size = sizeof setup, .on_event = on_event, .user = l };
    int32_t status = new_engine(l->plan->config, &l->engine);
    if (status == MAILSRV_OK)
        status = figures_count(l->engine);
    if (status == MAILSRV_OK)
        status = mailsrv_uv_new(&l->uv, l->engine, &setup, &l->driver);
    if (status == MAILSRV_OK) /* its threads wake the loop */
        status = mailsrv_durable_bind(l->store, l->engine, mailsrv_uv_wake, l->driver);
    if (status == MAILSRV_OK)
        status = login_serve(&l->directory, l->engine);
    if (status == MAILSRV_OK)
        status = resolve_serve(&l->directory, l->engine);
    if (status == MAILSRV_OK)
        status = quota_serve(&l->directory, l->engine);
    if (status == MAILSRV_OK && l->sender == l)
        status = out_begin(&l->directory, l->driver, l->engine, l->plan, &l->queue);
    return !failed("the engine", status);
}

static void *run(void *user)
{
    struct loop *l = user;
    log_gather(&l->log);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    log_gather(NULL);
    pthread_mutex_lock(&l->mutex);
    l->ended = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

bool loop_begin(struct loop *l, struct loop *sender, mailsrv_store *store, struct sockets *sockets, struct gate *gate,
                struct plan *plan, struct people *people)
{
    l->sender = sender;
    l->store = store;
    l->sockets = sockets;
    l->plan = plan;
    l->directory.config = plan->config;
    l->directory.loop = &l->uv;
    l->directory.gate = gate;
    l->directory.people = people;
    l->ended = true;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (uv_loop_init(&l->uv) != 0 || uv_async_init(&l->uv, &l->has_news, on_news) != 0) {
        fprintf(stderr, "mailserverd: out of memory\n");
        return false;
    }
    l->has_news.data = l;
    uv_prepare_init(&l->uv, &l->before_sleep); /* these cannot fail */
    uv_prepare_start(&l->before_sleep, before_sleep);
    uv_timer_init(&l->uv, &l->writes_log);
    l->before_sleep.data = l;
    uv_unref((uv_handle_t *)&l->before_sleep);
    uv_unref((uv_handle_t *)&l->writes_log);
    if (!begin_engine(l) || !listen_to_all(l))
        return false;
    l->ended = false;
    l->is_running = pthread_create(&l->thread, NULL, run, l) == 0;
    return l->is_running;
}

void loop_join(struct loop *l)
{
    if (l->is_running) {
        pthread_join(l->thread, NULL);
    } else if (l->driver != NULL) { /* it was not made whole */
        mailsrv_uv_close(l->driver, 0, on_closed, l);
        uv_run(&l->uv, UV_RUN_DEFAULT);
    } else {
        mailsrv_engine_free(l->engine, 0);
    }
}

void loop_end(struct loop *l)
{
    mailsrv_uv_free(l->driver);
    uv_loop_close(&l->uv);
    people_unref(l->directory.people);
    people_unref(l->news.people);
    plan_unref(l->news.plan);
    plan_unref(l->plan);
}
