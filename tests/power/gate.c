#include "gate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 300 /* for what never comes; a group of everything takes its time */

static struct gate {
    mailsrv_durable_files base;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    void *_Atomic log;
    bool is_closed, is_reached;
    uint32_t permits;
    atomic_bool is_dead;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

static int32_t open_and_note(void *user, const char *path, uint32_t flags, void **out)
{
    if (gate.is_dead)
        return MAILSRV_TEMP;
    int32_t status = gate.base.open(user, path, flags, out);
    size_t n = strlen(path);
    if (status == MAILSRV_OK && (flags & MAILSRV_DURABLE_WRITE) != 0 && strcmp(path + n - 4, ".log") == 0)
        gate.log = *out;
    return status;
}

static int32_t write_alive(void *user, void *file, const void *p, size_t n, uint64_t offset)
{
    return gate.is_dead ? MAILSRV_TEMP : gate.base.write(user, file, p, n, offset);
}

static int32_t truncate_alive(void *user, void *file, uint64_t octets)
{
    return gate.is_dead ? MAILSRV_TEMP : gate.base.truncate(user, file, octets);
}

static int32_t unlink_alive(void *user, const char *path)
{
    return gate.is_dead ? MAILSRV_TEMP : gate.base.unlink(user, path);
}

static void pass(void)
{
    pthread_mutex_lock(&gate.lock);
    if (gate.is_closed) {
        gate.is_reached = true;
        pthread_cond_broadcast(&gate.moved);
        while (gate.is_closed && gate.permits == 0)
            pthread_cond_wait(&gate.moved, &gate.lock);
        gate.permits -= gate.permits != 0;
        gate.is_reached = false;
    }
    pthread_mutex_unlock(&gate.lock);
}

static int32_t sync_alive(void *user, void *file)
{
    if (file == gate.log)
        pass();
    return gate.is_dead ? MAILSRV_TEMP : gate.base.sync(user, file);
}

mailsrv_durable_files gate_files(const mailsrv_durable_files *base)
{
    mailsrv_durable_files files = gate.base = *base;
    files.open = open_and_note;
    files.write = write_alive;
    files.truncate = truncate_alive;
    files.unlink = unlink_alive;
    files.sync = sync_alive;
    return files;
}

void gate_set(bool closed)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_closed = closed;
    gate.permits = 0;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

void gate_await(pthread_mutex_t *lock, pthread_cond_t *moved, const bool *is_so, const char *otherwise)
{
    struct timespec until;
    int waited = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(lock);
    while (!*is_so && waited == 0)
        waited = pthread_cond_timedwait(moved, lock, &until);
    bool came = *is_so;
    pthread_mutex_unlock(lock);
    if (!came) {
        printf("Bail out! %s\n", otherwise);
        exit(1);
    }
}

void gate_wait(void)
{
    gate_await(&gate.lock, &gate.moved, &gate.is_reached, "nothing is written any more");
}

void gate_let_one_pass(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.permits = 1;
    gate.is_reached = false;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

void gate_set_dead(bool dead)
{
    gate.is_dead = dead;
}
