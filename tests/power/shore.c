#include "shore.h"

#include <string.h>
#include <time.h>

#define LOOK_MS 20
#define PATIENCE_S 30 /* for what never comes; nothing that works takes so long */

static const char *const names[2] = { "pat", "kim" };
/* As the store knows them; of three shards the second has one and the third the other. */
static const char *const accounts[2] = { "pat@here", "kim@here" };

void shore_init(struct shore *s, const char *directory, const mailsrv_durable_files *files)
{
    memset(s, 0, sizeof *s);
    s->setup.size = sizeof s->setup;
    s->setup.directory = directory;
    s->setup.files = files;
    s->setup.reserve_octets = 30000;
    pthread_mutex_init(&s->bell, NULL);
    pthread_cond_init(&s->ring, NULL);
}

int32_t shore_open(struct shore *s)
{
    int32_t status = mailsrv_durable_open(&s->setup, &s->store);
    for (int i = 0; i < 2 && status == MAILSRV_OK; i++) {
        status = mailsrv_durable_find_account(s->store, accounts[i], 8, &s->accounts[i]);
        if (status == MAILSRV_NONEXISTENT)
            status = mailsrv_durable_add_account(s->store, accounts[i], 8, &s->accounts[i]);
        if (status != MAILSRV_OK)
            shore_close(s);
    }
    return status;
}

void shore_close(struct shore *s)
{
    mailsrv_store_free(s->store);
    s->store = NULL;
}

static void wake(void *user)
{
    struct shore *s = user;
    pthread_mutex_lock(&s->bell);
    s->rung++;
    pthread_cond_signal(&s->ring);
    pthread_mutex_unlock(&s->bell);
}

/* What is held rings no bell, so it is looked for. */
int32_t shore_wait(struct shore *s)
{
    struct timespec until;
    int32_t come = 0;
    for (int i = 0; i < PATIENCE_S * 1000 / LOOK_MS && !come; i++) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&s->bell);
        if (s->rung == 0)
            pthread_cond_timedwait(&s->ring, &s->bell, &until);
        come = s->rung != 0;
        s->rung = 0;
        pthread_mutex_unlock(&s->bell);
        come = come || mailsrv_durable_stat(s->store, MAILSRV_DURABLE_STAT_HELD) != 0;
    }
    return come;
}

static int index_of(mailsrv_bytes name)
{
    for (int i = 0; i < 2; i++)
        if (name.n == 3 && memcmp(name.p, names[i], 3) == 0)
            return i;
    return -1;
}

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct shore *s = user;
    const mailsrv_arg_resolve *arg = op->arg;
    int i = index_of(arg->local_part);
    mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof(mailsrv_destination) };
    mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_NONEXISTENT };
    if (i >= 0) {
        s->inboxes[i] = (mailsrv_destination){ .kind = MAILSRV_TARGET_MAILBOX, .account = s->accounts[i] };
        value.destinations = &s->inboxes[i];
        value.shard = mailsrv_durable_shard(s->store, &s->accounts[i]);
        answer.status = MAILSRV_OK;
        answer.value = &value;
    }
    mailsrv_op_answer(engine, op->id, &answer);
}

static void verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct shore *s = user;
    const mailsrv_arg_auth_verify *arg = op->arg;
    int i = index_of(arg->user);
    mailsrv_identity value = { .size = sizeof value };
    mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_DENIED };
    if (i >= 0 && arg->password.n == 12 && memcmp(arg->password.p, "secret words", 12) == 0) {
        value.account = s->accounts[i];
        answer.status = MAILSRV_OK;
        answer.value = &value;
    }
    mailsrv_op_answer(engine, op->id, &answer);
}

int32_t shore_bind(struct shore *s, mailsrv_engine *engine)
{
    return shore_bind_with(s, engine, wake, s);
}

int32_t shore_bind_with(struct shore *s, mailsrv_engine *engine, void (*call)(void *user), void *user)
{
    int32_t status = mailsrv_durable_bind(s->store, engine, call, user);
    if (status == MAILSRV_OK)
        status = mailsrv_engine_serve(engine, MAILSRV_OP_RESOLVE, resolve, s);
    return status == MAILSRV_OK ? mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_VERIFY, verify, s) : status;
}
