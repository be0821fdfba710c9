#include "serve.h"
#include "control.h"
#include "figures.h"
#include "log.h"
#include "loop.h"
#include "office.h"
#include "plan.h"
#include "privileges.h"
#include "sockets.h"

#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct server {
    const char *path;
    struct plan *plan;
    struct sockets sockets;
    struct office office;
    struct gate gate;
    struct control *control;
    struct loop *loops;
    size_t n_loops; /* that were begun */
    bool is_open;   /* the office */
};

/* ---- What others hear ---- */

/* sd_notify(3): nothing where no supervisor asks. */
static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof at.sun_path)
        return;
    memcpy(at.sun_path, path, strlen(path));
    if (path[0] == '@')
        at.sun_path[0] = '\0';
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&at,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    close(fd);
}

/* A line for each address: NAME ADDRESS. */
static void show_listeners(const struct server *s)
{
    const struct config *c = s->plan->config;
    char shown[ADDRESS_OCTETS + 16];
    for (size_t i = 0; i < c->n_listeners; i++)
        for (size_t k = 0; k < c->listeners[i].n_addresses; k++) {
            const struct bound *b = sockets_find(&s->sockets, c->listeners[i].name, &c->listeners[i].addresses[k]);
            address_show(&c->listeners[i].addresses[k], b != NULL ? b->port : 0, shown, sizeof shown);
            printf("%s %s\n", c->listeners[i].name, shown);
        }
    fflush(stdout);
}

static void on_people(void *user, struct people *people)
{
    struct server *s = user;
    remembered_forget(&s->gate.remembered);
    for (size_t i = 0; i < s->n_loops; i++)
        loop_tell_people(&s->loops[i], people_ref(people));
    people_unref(people);
}

static void add(uint64_t all[STATS_MAX], const uint64_t one[STATS_MAX])
{
    for (size_t k = 0; k < STATS_MAX; k++)
        all[k] += one[k];
}

static void show_status(void *user, const struct config *config, FILE *out)
{
    static const char *const names[STATS_MAX] = { "sessions",      "messages accepted",
                                                  "octets",        "octets of mailboxes",
                                                  "octets of TLS", "operations out",
                                                  "timed out",     "log lines lost" };
    struct server *s = user;
    uint64_t all[STATS_MAX] = { 0 }, one[STATS_MAX];
    for (size_t i = 0; i < s->n_loops; i++)
        if (loop_stats(&s->loops[i], one))
            add(all, one);
    fprintf(out, "process %ld\nthreads %zu\n", (long)getpid(), s->n_loops);
    for (size_t k = 0; k < STATS_MAX; k++)
        fprintf(out, "%s %" PRIu64 "\n", names[k], all[k]);
    gate_show(&s->gate, config->login_failures, out);
}

static bool order(void *user, struct queue_order *what)
{
    struct server *s = user;
    return loop_order(&s->loops[0], what);
}

static bool count(void *user, struct figures *out)
{
    struct server *s = user;
    bool ok = true;
    for (size_t i = 0; i < s->n_loops; i++)
        ok = loop_count(&s->loops[i], out) && ok;
    return ok;
}

/* ---- Reload ---- */

/* What cannot change while it runs stays, and the log says so. */
static bool is_possible(const struct config *now, const struct config *new)
{
    if (strcmp(now->data, new->data) == 0 && now->threads == new->threads && strcmp(now->run_as, new->run_as) == 0)
        return true;
    log_line("not reloaded: data, threads and user need a restart");
    return false;
}

/* The queue that is open goes on as it was opened, but for its flags (out_flags). */
static bool changes_queue(const struct plan *now, const struct plan *new)
{
    return strcmp(now->config->hostname, new->config->hostname) != 0 || now->roots_hash != new->roots_hash ||
           memcmp(&now->config->outgoing, &new->config->outgoing, offsetof(struct outgoing, roots_line)) != 0;
}

static void reload(struct server *s)
{
    struct plan *plan = plan_make(s->path, s->plan);
    if (plan == NULL || !is_possible(s->plan->config, plan->config) || !sockets_bind(&s->sockets, plan->config)) {
        log_line("the configuration is as it was");
        plan_unref(plan);
        return;
    }
    log_as(plan->config->log);
    if (changes_queue(s->plan, plan))
        log_line("the queue is as it was: [queue] but for downgrade, what tls-roots has, and hostname "
                 "for what is sent, need a restart");
    for (size_t i = 0; i < s->n_loops; i++)
        loop_tell_plan(&s->loops[i], plan_ref(plan));
    sockets_tidy(&s->sockets, plan->config);
    office_reconfigure(&s->office, plan->config);
    plan_unref(s->plan);
    s->plan = plan;
    log_line("reloaded");
    show_listeners(s);
}

/* ---- Signals ---- */

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, set, NULL); /* in every thread that follows */
    signal(SIGPIPE, SIG_IGN);
}

/* The loops end while signals are waited for: a thread joins them, and tells by a signal that nobody else sends. */
static void *join_all(void *user)
{
    struct server *s = user;
    for (size_t i = 0; i < s->n_loops; i++)
        loop_join(&s->loops[i]);
    kill(getpid(), SIGUSR1);
    return NULL;
}

static void close_loops(struct server *s)
{
    for (size_t i = 0; i < s->n_loops; i++)
        loop_close(&s->loops[i]);
}

/* The first signal is polite, the second is not, the third is the system's. */
static void end_loops(struct server *s, const sigset_t *set)
{
    sigset_t fatal;
    pthread_t joiner;
    notify("STOPPING=1");
    close_loops(s);
    if (pthread_create(&joiner, NULL, join_all, s) != 0) {
        join_all(s);
        return;
    }
    int number = SIGHUP;
    while (number == SIGHUP || number < 0)
        number = sigwaitinfo(set, NULL);
    if (number != SIGUSR1) {
        log_line("%s: ending at once", number == SIGINT ? "SIGINT" : "SIGTERM");
        close_loops(s);
        sigemptyset(&fatal);
        sigaddset(&fatal, SIGTERM);
        sigaddset(&fatal, SIGINT);
        pthread_sigmask(SIG_UNBLOCK, &fatal, NULL);
    }
    pthread_join(joiner, NULL);
}

static void go_on(struct server *s, sigset_t *set)
{
    for (;;) {
        const int number = sigwaitinfo(set, NULL);
        if (number == SIGHUP)
            reload(s);
        else if (number == SIGTERM || number == SIGINT)
            break;
    }
    log_line("ending");
    end_loops(s, set);
}

/* ---- Its life ---- */

static bool begin_loops(struct server *s)
{
    const size_t n = (size_t)s->plan->config->threads;
    s->loops = calloc(n, sizeof *s->loops);
    for (size_t i = 0; s->loops != NULL && i < n; i++) {
        s->loops[i].number = (unsigned)i;
        s->n_loops++;
        if (!loop_begin(&s->loops[i], &s->loops[0], s->office.store, &s->sockets, &s->gate, plan_ref(s->plan),
                        people_ref(s->office.people)))
            return false;
    }
    return s->loops != NULL;
}

/* Every connection is a descriptor, and by habit only 1,024 are given; select(2), for whose sake, is not used here. */
static void take_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* glibc gives each thread a heap of its own, and what one does not need no other gets: so the most that each ever held
 * adds up.  There are as many heaps as loops, which the threads that work for them share; MALLOC_ARENA_MAX of
 * mallopt(3) has the last word. */
static void share_heaps(const struct config *c)
{
#ifdef __GLIBC__
    if (getenv("MALLOC_ARENA_MAX") == NULL)
        mallopt(M_ARENA_MAX, (int)c->threads);
#else
    (void)c;
#endif
}

static bool begin(struct server *s)
{
    s->plan = plan_make(s->path, NULL);
    if (s->plan == NULL || !sockets_begin(&s->sockets) || !sockets_bind(&s->sockets, s->plan->config) ||
        !privileges_drop(s->plan->config))
        return false;
    log_as(s->plan->config->log);
    share_heaps(s->plan->config);
    s->is_open = office_open(&s->office, s->plan->config, stderr);
    if (!s->is_open || !gate_begin(&s->gate) || !begin_loops(s))
        return false;
    s->office.on_people = on_people;
    s->office.show_status = show_status;
    s->office.count = count;
    s->office.order = order;
    s->office.user = s;
    s->control = control_begin(&s->office);
    return s->control != NULL;
}

static void finish(struct server *s, bool joined)
{
    control_end(s->control);
    for (size_t i = 0; i < s->n_loops && !joined; i++) {
        loop_close(&s->loops[i]);
        loop_join(&s->loops[i]);
    }
    if (s->is_open)
        office_close(&s->office);
    for (size_t i = 0; i < s->n_loops; i++)
        loop_end(&s->loops[i]);
    free(s->loops);
    gate_end(&s->gate);
    sockets_end(&s->sockets);
    plan_unref(s->plan);
}

int serve(const char *path)
{
    static struct server s;
    sigset_t set;
    s.path = path;
    umask(077); /* whatever is made here is for its owner alone */
    block_signals(&set);
    take_descriptors();
    const bool ok = begin(&s);
    if (ok) {
        const struct config *c = s.plan->config;
        log_line("serving %zu users from %s as %s", s.office.people->of[PEOPLE_USERS].n, c->data, c->hostname);
        show_listeners(&s);
        notify("READY=1");
        go_on(&s, &set);
    }
    finish(&s, ok);
    if (ok)
        log_line("ended");
    return ok ? 0 : 1;
}
