#include "figures.h"

#include <time.h>

const struct figure_stat figure_stats[FIGURE_STATS] = {
    { "messages_accepted", MAILSRV_STAT_MESSAGES },
    { "messages_delivered", MAILSRV_STAT_DELIVERIES },
    { "memory", MAILSRV_STAT_MEMORY },
    { "memory_peak", MAILSRV_STAT_MEMORY_PEAK },
    { "memory_of_engine", MAILSRV_STAT_ENGINE_OCTETS },
    { "memory_of_sessions", MAILSRV_STAT_SESSIONS_OCTETS },
    { "memory_of_output", MAILSRV_STAT_OUTPUT_OCTETS },
    { "memory_of_operations", MAILSRV_STAT_OPS_OCTETS },
    { "memory_of_bodies", MAILSRV_STAT_BODIES_OCTETS },
    { "memory_of_mailboxes", MAILSRV_STAT_IMAGES_OCTETS },
    { "memory_of_searches", MAILSRV_STAT_TEXTS_OCTETS },
    { "memory_of_tls", MAILSRV_STAT_TLS_OCTETS },
    { "tls_handshakes", MAILSRV_STAT_TLS_STARTED },
    { "tls_handshakes_failed", MAILSRV_STAT_TLS_FAILED },
    { "operations_queued", MAILSRV_STAT_OPS_QUEUED },
    { "operations_out", MAILSRV_STAT_OPS_OUT },
    { "operations_timed_out", MAILSRV_STAT_OPS_TIMED_OUT },
    { "letters", MAILSRV_STAT_LETTERS },
    { "log_lines_lost", MAILSRV_STAT_EVENTS_DROPPED },
    { "longest_slice_units", MAILSRV_STAT_STEP_UNITS_PEAK },
    { "largest_allocation", MAILSRV_STAT_ALLOCATION_PEAK },
    { "sessions", MAILSRV_STAT_SESSIONS },
};

const char *const figure_groups[FIGURE_GROUPS] = {
    [MAILSRV_TALLY_OPERATIONS] = "operations", [MAILSRV_FACE_MX] = "mx",
    [MAILSRV_FACE_LMTP] = "lmtp",              [MAILSRV_FACE_POP3] = "pop3",
    [MAILSRV_FACE_IMAP] = "imap",              [MAILSRV_FACE_SUBMISSION] = "submission",
};

static int64_t now_us(void *user)
{
    struct timespec now = { 0, 0 };
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int32_t figures_count(mailsrv_engine *engine)
{
    const mailsrv_counting how = { .size = sizeof how, .now_us = now_us };
    return mailsrv_engine_count(engine, &how);
}

/* ---- Sums ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What is no amount has no sum. */
static bool is_amount(int32_t key)
{
    return key != MAILSRV_STAT_STEP_UNITS_PEAK && key != MAILSRV_STAT_ALLOCATION_PEAK;
}

static void add_stats(struct figures *f, const mailsrv_engine *engine)
{
    for (size_t i = 0; i < FIGURE_STATS; i++) {
        const int32_t key = figure_stats[i].key;
        const uint64_t one = mailsrv_engine_stat(engine, key);
        f->stats[i] = is_amount(key) ? f->stats[i] + one : larger(f->stats[i], one);
    }
}

static void add_face(mailsrv_face_stats *all, const mailsrv_engine *engine, int32_t face)
{
    mailsrv_face_stats one = { .size = sizeof one };
    if (mailsrv_engine_face(engine, face, &one) != MAILSRV_OK)
        return;
    all->sessions += one.sessions;
    all->shaking += one.shaking;
    all->resting += one.resting;
    all->waiting += one.waiting;
    all->sending += one.sending;
    all->ending += one.ending;
    all->secure += one.secure;
    all->logged_in += one.logged_in;
    all->began += one.began;
    all->octets_in += one.octets_in;
    all->octets_out += one.octets_out;
}

static void add_series(struct series *all, const mailsrv_engine *engine, int32_t group, int32_t number)
{
    mailsrv_tally one = { .size = sizeof one };
    if (mailsrv_engine_tally(engine, group, number, &one) != MAILSRV_OK)
        return;
    all->sum.name = one.name;
    all->sum.begun += one.begun;
    all->sum.open += one.open;
    all->sum.done += one.done;
    all->sum.refused += one.refused;
    all->sum.failed += one.failed;
    all->sum.dropped += one.dropped;
    all->sum.total_us += one.total_us;
    all->sum.most_us = larger(all->sum.most_us, one.most_us);
    for (uint32_t i = 0; i < MAILSRV_BUCKETS && one.done != 0; i++)
        all->buckets[i] += mailsrv_engine_tally_bucket(engine, group, number, i);
}

bool figures_add(struct figures *f, const mailsrv_engine *engine, int32_t group)
{
    if (group == 0)
        add_stats(f, engine);
    add_face(&f->faces[group], engine, group);
    for (int32_t number = 0; number < MAILSRV_TALLIES; number++)
        add_series(&f->series[group][number], engine, group, number);
    return group + 1 < FIGURE_GROUPS;
}
