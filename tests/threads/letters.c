/* Letters: posted while an engine lives, is closed, is freed, and after it.  Each is delivered once, or stays the
 * poster's. */
#include "tap.h"

#include <mailsrv/ask.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POSTERS_MAX 64
#define PATIENCE_S 20 /* for a wake that never comes; nothing that works takes so long */

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoul(value, NULL, 10) : otherwise;
}

struct note {
    mailsrv_letter letter;
    atomic_uint delivered; /* with an engine */
    atomic_uint returned;  /* with none */
    unsigned kept;         /* E_CLOSED */
};

static void deliver(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct note *note = (struct note *)(void *)letter;
    atomic_fetch_add(engine != NULL ? &note->delivered : &note->returned, 1);
}

static void post(mailsrv_port *port, struct note *note)
{
    note->letter.deliver = deliver;
    if (mailsrv_port_post(port, &note->letter) == MAILSRV_E_CLOSED)
        note->kept = 1;
}

/* ---- Many engines come and go while letters are posted ---- */

static mailsrv_port *ports; /* each outlives its engine: they are freed at the very end */
static _Atomic(unsigned long) current; /* the port to post to, plus 1 */
static _Atomic(unsigned long) posted;

struct poster {
    pthread_t thread;
    struct note *notes;
    unsigned long n, engines, seed;
};

/* Spreads its letters over all engines: none is posted before its engine has come, and some after a moment in which
 * that may go; so that many meet one that is ending. */
static void *poster(void *user)
{
    struct poster *p = user;
    unsigned long dice = p->seed;
    for (unsigned long i = 0; i < p->n; i++) {
        unsigned long port;
        while ((port = atomic_load(&current)) < 1 + i * p->engines / p->n)
            sched_yield();
        dice = dice * 1103515245 + 12345;
        if (dice >> 16 & 1)
            sched_yield();
        post(&ports[port - 1], &p->notes[i]);
        atomic_fetch_add(&posted, 1);
    }
    return NULL;
}

static void start(struct poster *posters, unsigned long n, unsigned long each, unsigned long engines,
                  void *(*run)(void *user))
{
    for (unsigned long i = 0; i < n; i++) {
        posters[i].n = each;
        posters[i].engines = engines;
        posters[i].seed = number("MAILSRV_SEED", 1) + i;
        posters[i].notes = calloc(each, sizeof *posters[i].notes);
        pthread_create(&posters[i].thread, NULL, run, &posters[i]);
    }
}

static void wake(void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
}

static void wait_for_posts(unsigned long n)
{
    while (atomic_load(&posted) < n)
        sched_yield();
}

/* The i-th engine goes while letters are being posted: every fourth one as soon as it has come, others after a quarter,
 * a half, or most of their share, one of them without having read a letter.  Two letters are its own. */
static void one_engine(unsigned long i, unsigned long share, atomic_uint *woken, struct note own[2])
{
    mailsrv_engine *engine;
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK ||
        mailsrv_port_open(&ports[i], engine, wake, woken) != MAILSRV_OK)
        abort();
    atomic_store(&current, i + 1);
    wait_for_posts(i * share + share * (i % 4) / 4);
    if (i % 4 != 1)
        mailsrv_engine_advance(engine, 1, 1);
    post(&ports[i], &own[0]);
    mailsrv_engine_close(engine);
    mailsrv_engine_free(engine, 0);
    post(&ports[i], &own[1]);
}

struct sums {
    unsigned long delivered, returned, kept, wrong;
};

static void add(struct sums *sums, const struct note *note)
{
    unsigned delivered = atomic_load(&note->delivered), returned = atomic_load(&note->returned);
    sums->delivered += delivered;
    sums->returned += returned;
    sums->kept += note->kept;
    sums->wrong += delivered + returned + note->kept != 1;
}

static void engines_come_and_go(void)
{
    unsigned long n_posters = number("THREADS_POSTERS", 4), n_engines = number("THREADS_ENGINES", 1000);
    unsigned long each = number("THREADS_LETTERS", 100000) / n_posters;
    unsigned long share = each * n_posters / n_engines; /* letters for an engine */
    struct poster posters[POSTERS_MAX];
    struct sums sums = { 0, 0, 0, 0 };
    atomic_uint woken = 0;
    struct note *own = calloc(2 * n_engines, sizeof *own);
    ports = calloc(n_engines, sizeof *ports);
    start(posters, n_posters, each, n_engines, poster);
    for (unsigned long i = 0; i < n_engines; i++)
        one_engine(i, share, &woken, &own[2 * i]);
    for (unsigned long i = 0; i < n_posters; i++) {
        pthread_join(posters[i].thread, NULL);
        for (unsigned long j = 0; j < each; j++)
            add(&sums, &posters[i].notes[j]);
        free(posters[i].notes);
    }
    tap(sums.wrong == 0, "letters", "each is delivered, returned or kept, once", "some are not");
    tap(sums.delivered != 0, "letters", "some were delivered to a living engine", "none was");
    tap(atomic_load(&woken) != 0, "letters", "the host was woken", "it was not");
    printf("# %lu delivered, %lu returned by the end of their engine, %lu kept by their poster; %u wakes\n",
           sums.delivered, sums.returned, sums.kept, atomic_load(&woken));
    unsigned long ends = 0;
    for (unsigned long i = 0; i < n_engines; i++)
        ends += atomic_load(&own[2 * i].returned) == 1 && own[2 * i + 1].kept == 1;
    tap(ends == n_engines, "letters", "the last one before each end is returned, the first one after it is kept", "");
    free(own);
    free(ports);
}

/* ---- A host that sleeps until it is woken misses nothing ---- */

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t ring;
    int rung;
};

static void ring(void *user)
{
    struct bell *bell = user;
    pthread_mutex_lock(&bell->lock);
    bell->rung = 1;
    pthread_cond_signal(&bell->ring);
    pthread_mutex_unlock(&bell->lock);
}

/* 0: nobody rang for a long time. */
static int sleep_until_rung(struct bell *bell)
{
    struct timespec until;
    int waited = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&bell->lock);
    while (!bell->rung && waited == 0)
        waited = pthread_cond_timedwait(&bell->ring, &bell->lock, &until);
    bell->rung = 0;
    pthread_mutex_unlock(&bell->lock);
    return waited == 0;
}

/* Posts a letter when the one before has arrived: each finds the port empty, and must wake. */
static void *patient_poster(void *user)
{
    struct poster *p = user;
    for (unsigned long i = 0; i < p->n; i++) {
        post(&ports[0], &p->notes[i]);
        while (atomic_load(&p->notes[i].delivered) == 0)
            sched_yield();
    }
    return NULL;
}

static void nothing_is_slept_through(void *(*run)(void *user), unsigned long n_posters, const char *how)
{
    enum { EACH = 5000 };
    static struct bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
    struct poster posters[POSTERS_MAX];
    mailsrv_port port;
    mailsrv_engine *engine;
    uint64_t arrived = 0;
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK ||
        mailsrv_port_open(&port, engine, ring, &bell) != MAILSRV_OK)
        abort();
    ports = &port;
    atomic_store(&current, 1);
    start(posters, n_posters, EACH, 1, run);
    bool awake = true;
    for (int64_t now = 1; awake && arrived < EACH * n_posters; now++) {
        awake = sleep_until_rung(&bell);
        mailsrv_engine_advance(engine, now, now);
        arrived = mailsrv_engine_stat(engine, MAILSRV_STAT_LETTERS);
    }
    tap(awake, "letters", how, "it slept on though letters were there");
    while (!awake && arrived < EACH * n_posters) {
        mailsrv_engine_advance(engine, 1, 1);
        arrived = mailsrv_engine_stat(engine, MAILSRV_STAT_LETTERS);
    }
    for (unsigned long i = 0; i < n_posters; i++) {
        pthread_join(posters[i].thread, NULL);
        free(posters[i].notes);
    }
    mailsrv_engine_free(engine, 0);
}

/* ---- A release that must call the library posts a letter ---- */

struct lender {
    mailsrv_port port;
    struct note note;
    unsigned releases;
};

static void release(void *user)
{
    struct lender *lender = user;
    lender->releases++;
    post(&lender->port, &lender->note);
}

static void lend(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    static const uint8_t octets[] = "lent";
    mailsrv_read_bytes value = { sizeof value, 0, 0, { octets, 4 } };
    mailsrv_answer answer;
    memset(&answer, 0, sizeof answer);
    answer.size = sizeof answer;
    answer.value = &value;
    answer.release = release;
    answer.user = user;
    mailsrv_op_answer(engine, op->id, &answer);
}

static void nobody(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    (void)user;
    mailsrv_op_answer_status(engine, op->id, MAILSRV_OK);
}

static void a_release_posts(void)
{
    struct lender lender;
    mailsrv_engine *engine;
    mailsrv_asked *asked;
    mailsrv_arg_read arg = { sizeof arg, 1, 1, 0, 0, 0, 4, 0 };
    memset(&lender, 0, sizeof lender);
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK ||
        mailsrv_port_open(&lender.port, engine, NULL, NULL) != MAILSRV_OK)
        abort();
    mailsrv_engine_serve(engine, MAILSRV_OP_READ, lend, &lender);
    mailsrv_engine_serve(engine, MAILSRV_OP_READ_CLOSE, nobody, NULL);
    mailsrv_engine_advance(engine, 1, 1);
    int32_t status = mailsrv_ask(engine, MAILSRV_OP_READ, NULL, &arg, &asked);
    tap(status == MAILSRV_OK, "a release", "its operation is asked", mailsrv_strerror(status));
    mailsrv_engine_turn(engine, 1000);
    tap(lender.releases == 0, "a release", "not before the octets are given up", "");
    mailsrv_asked_free(asked);
    tap(lender.releases == 1 && atomic_load(&lender.note.delivered) == 0, "a release", "it posts a letter", "");
    mailsrv_engine_advance(engine, 2, 2);
    tap(lender.releases == 1 && atomic_load(&lender.note.delivered) == 1, "a release", "which arrives", "");
    tap(mailsrv_engine_free(engine, 0) == MAILSRV_OK, "a release", "nothing is left", "");
}

int main(void)
{
    engines_come_and_go();
    nothing_is_slept_through(poster, 4, "a host that sleeps until it is woken gets those of four threads");
    nothing_is_slept_through(patient_poster, 1, "a host that sleeps until it is woken gets one after the other");
    a_release_posts();
    return tap_end();
}
