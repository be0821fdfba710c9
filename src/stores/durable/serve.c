/* Binding, handlers, threads, and answers on their way back. */
#include "durable.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GROUP_MAX 128 /* tasks; their bodies in memory are 32 MiB at most */

static const int32_t kinds[] = {
    MAILSRV_OP_BODY_BEGIN, MAILSRV_OP_BODY_WRITE,  MAILSRV_OP_BODY_COMMIT, MAILSRV_OP_BODY_CLOSE,
    MAILSRV_OP_STORE_OPEN, MAILSRV_OP_STORE_CLOSE, MAILSRV_OP_MBOX_OPEN,   MAILSRV_OP_MBOX_CLOSE,
    MAILSRV_OP_ROWS,       MAILSRV_OP_READ,        MAILSRV_OP_READ_CLOSE,  MAILSRV_OP_EXPUNGE,
    MAILSRV_OP_LOCK,       MAILSRV_OP_UNLOCK,      MAILSRV_OP_QUEUE_SCAN,  MAILSRV_OP_QUEUE_UPDATE,
    MAILSRV_OP_QUEUE_DELETE, MAILSRV_OP_CHANGES,   MAILSRV_OP_FLAGS,       MAILSRV_OP_COPY,
    MAILSRV_OP_MBOX_LIST,  MAILSRV_OP_MBOX_STATUS, MAILSRV_OP_MBOX_CREATE, MAILSRV_OP_MBOX_DELETE,
    MAILSRV_OP_MBOX_RENAME, MAILSRV_OP_MBOX_SUBSCRIBE, MAILSRV_OP_MOVE,
};

/* ---- Tasks ---- */

static void *hold(struct task *t, struct room *room)
{
    if (room == NULL)
        return NULL;
    room->next = t->rooms;
    t->rooms = room;
    return room->bytes;
}

void *mailsrv__durable_room(struct task *t, size_t n)
{
    return hold(t, calloc(1, sizeof(struct room) + n));
}

void *mailsrv__durable_room_to_fill(struct task *t, size_t n)
{
    return hold(t, malloc(sizeof(struct room) + n));
}

static void free_rooms(void *user)
{
    struct room *next;
    for (struct room *room = user; room != NULL; room = next) {
        next = room->next;
        free(room);
    }
}

void mailsrv__durable_lend(struct task *t)
{
    t->answer.release = free_rooms;
    t->answer.user = t->rooms;
    t->rooms = NULL;
}

void mailsrv__durable_task_free(struct task *t)
{
    if (t->part != NULL)
        mailsrv__durable_part_free(t->part);
    free_rooms(t->rooms);
    free(t);
}

static void give_up(struct task *t)
{
    if (t->answer.release != NULL)
        t->answer.release(t->answer.user);
    mailsrv__durable_task_free(t);
}

/* On the engine's thread: reads of one handle are done in their order, so that a message can be checked. */
static void count_waiting(struct durable *d, struct task *t, int by)
{
    if (t->kind == MAILSRV_OP_READ && by > 0)
        t->number = ((const mailsrv_arg_read *)t->op->arg)->handle;
    struct handle *h = NULL;
    if (t->kind == MAILSRV_OP_READ && t->number != 0)
        h = mailsrv__durable_handle_find(d, t->number, HANDLE_READ);
    if (h != NULL)
        h->waiting += (uint32_t)by;
}

static void deliver(mailsrv_engine *engine, mailsrv_letter *letter)
{
    struct task *t = (struct task *)(void *)((char *)letter - offsetof(struct task, letter));
    if (engine == NULL) {
        give_up(t);
        return;
    }
    if (t->answer.status != MAILSRV_OK)
        t->answer.value = NULL;
    count_waiting(t->from->d, t, -1);
    mailsrv_op_answer(engine, t->id, &t->answer);
    mailsrv__durable_task_free(t);
}

void mailsrv__durable_post(struct durable *d, struct task *t)
{
    struct binding *from = t->from;
    bool is_awaited = from != NULL && t->ahead == NULL;
    bool posted = is_awaited && mailsrv_port_post(&from->port, &t->letter) == MAILSRV_OK;
    if (from != NULL && !posted)
        give_up(t);
    pthread_mutex_lock(&d->lock);
    if (from != NULL)
        from->running--;
    else
        t->done = true;
    pthread_cond_broadcast(&d->calm);
    pthread_mutex_unlock(&d->lock);
}

static bool is_read(int32_t kind)
{
    static const int32_t reads[] = {
        KIND_FIND_ACCOUNT,    KIND_LOOK_AHEAD,        MAILSRV_OP_BODY_WRITE, MAILSRV_OP_STORE_OPEN,
        MAILSRV_OP_MBOX_OPEN, MAILSRV_OP_MBOX_STATUS, MAILSRV_OP_MBOX_LIST,  MAILSRV_OP_ROWS,
        MAILSRV_OP_READ,      MAILSRV_OP_CHANGES,     MAILSRV_OP_QUEUE_SCAN,
    };
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
        if (reads[i] == kind)
            return true;
    return false;
}

void mailsrv__durable_append(struct queue *queue, struct task *t)
{
    *queue->last = t;
    queue->last = &t->next;
    queue->n++;
}

void mailsrv__durable_wait_in_line(struct durable *d, struct task *t)
{
    struct queue *queue = is_read(t->kind) ? &d->reads : mailsrv__durable_has_large(d, t) ? &d->syncs : &d->writes;
    pthread_mutex_lock(&d->lock);
    mailsrv__durable_append(queue, t);
    bool wakes = queue->n >= queue->enough;
    pthread_mutex_unlock(&d->lock);
    if (wakes)
        pthread_cond_signal(&queue->work); /* who wakes up finds the lock free */
}

/* What is read by a call, where the reader rests, is read by who calls, in its place: there and back it would be two
 * threads that wake each other, and a host asks for each of its accounts as it starts.  False: the reader is at
 * work. */
static bool read_in_place(struct durable *d, struct task *t)
{
    pthread_mutex_lock(&d->lock);
    const bool rests = is_read(t->kind) && !d->is_reading && d->reads.first == NULL && !d->ending;
    d->is_reading = d->is_reading || rests;
    pthread_mutex_unlock(&d->lock);
    if (!rests)
        return false;
    mailsrv__durable_read(d, t);
    pthread_mutex_lock(&d->lock);
    d->is_reading = false;
    const bool wakes = d->reads.first != NULL;
    pthread_mutex_unlock(&d->lock);
    if (wakes)
        pthread_cond_signal(&d->reads.work);
    return true;
}

int32_t mailsrv__durable_call(struct durable *d, struct task *t)
{
    t->answer.status = MAILSRV_TEMP;
    if (read_in_place(d, t))
        return t->answer.status;
    mailsrv__durable_wait_in_line(d, t);
    pthread_mutex_lock(&d->lock);
    while (!t->done)
        pthread_cond_wait(&d->calm, &d->lock);
    pthread_mutex_unlock(&d->lock);
    return t->answer.status;
}

/* ---- On the engine's thread ---- */

static void answer(mailsrv_engine *engine, const mailsrv_op *op, int32_t status, const void *value)
{
    mailsrv_answer a = { .size = sizeof a, .status = status, .value = status == MAILSRV_OK ? value : NULL };
    mailsrv_op_answer(engine, op->id, &a);
}

static void begin_body(struct binding *b, const mailsrv_op *op)
{
    const mailsrv_arg_body_begin *arg = op->arg;
    struct handle *h = mailsrv__durable_handle_new(b->d, b, HANDLE_BODY);
    if (h != NULL)
        h->body = mailsrv__durable_body_new(b->d);
    bool good = h != NULL && h->body != NULL;
    if (good)
        h->body->is_large = arg->octets_hint > INLINE_MAX;
    if (h != NULL && !good)
        mailsrv__durable_handle_close(b->d, h->number, HANDLE_BODY, 0);
    mailsrv_body_begun value = { sizeof value, MAILSRV_BODY_TAKES_QUEUE | MAILSRV_BODY_ATOMIC, good ? h->number : 0 };
    answer(b->engine, op, good ? MAILSRV_OK : MAILSRV_NOMEM, &value);
}

/* MAILSRV_MORE: it is the disk's. */
static int32_t write_body(struct durable *d, const mailsrv_arg_body_write *arg)
{
    const struct handle *h = mailsrv__durable_handle_find(d, arg->body, HANDLE_BODY);
    if (h == NULL || arg->offset != h->body->octets)
        return MAILSRV_CANNOT;
    if (arg->octets.n > d->body_octets_max - h->body->octets)
        return MAILSRV_TOOBIG;
    return mailsrv__durable_body_add(d, h->body, arg->octets) ? MAILSRV_OK : MAILSRV_MORE;
}

static void lock_account(struct binding *b, const mailsrv_op *op)
{
    const mailsrv_arg_lock *arg = op->arg;
    const struct handle *store = mailsrv__durable_handle_find(b->d, arg->store, HANDLE_STORE);
    struct handle *h = store != NULL ? mailsrv__durable_handle_new(b->d, b, HANDLE_LOCK) : NULL;
    mailsrv_locked value = { sizeof value, 0, 0 };
    int32_t status = store == NULL ? MAILSRV_CANNOT : h == NULL ? MAILSRV_NOMEM : MAILSRV_OK;
    if (status == MAILSRV_OK) {
        value.lock = h->number;
        if (!mailsrv__durable_lock(b->d, h, &store->account)) {
            mailsrv__durable_handle_close(b->d, h->number, HANDLE_LOCK, 0);
            status = MAILSRV_INUSE;
        }
    }
    answer(b->engine, op, status, &value);
}

static bool read_at_once(struct binding *b, const mailsrv_op *op)
{
    mailsrv_read_bytes value = { .size = sizeof value };
    mailsrv_answer a = { .size = sizeof a };
    bool done = mailsrv__durable_read_now(b, op->arg, &value, &a);
    if (done)
        mailsrv_op_answer(b->engine, op->id, &a);
    return done;
}

/* What needs neither a disk nor memory for a task. */
static bool at_once(struct binding *b, const mailsrv_op *op)
{
    enum handle_kind closed = mailsrv__stores_closes(op->kind);
    if (closed != 0) {
        const mailsrv_arg_close *arg = op->arg;
        answer(b->engine, op, mailsrv__durable_handle_close(b->d, arg->handle, closed, arg->told), NULL);
        return true;
    }
    if (op->kind == MAILSRV_OP_BODY_BEGIN) {
        begin_body(b, op);
        return true;
    }
    if (op->kind == MAILSRV_OP_LOCK) {
        lock_account(b, op);
        return true;
    }
    if (op->kind == MAILSRV_OP_READ)
        return read_at_once(b, op);
    if (mailsrv__durable_answer_known(b, b->engine, op))
        return true;
    int32_t status = op->kind == MAILSRV_OP_BODY_WRITE ? write_body(b->d, op->arg) : MAILSRV_MORE;
    if (status != MAILSRV_MORE)
        answer(b->engine, op, status, NULL);
    return status != MAILSRV_MORE;
}

void mailsrv__durable_task_begins(struct task *t, struct binding *b, const mailsrv_op *op,
                                  void (*delivers)(mailsrv_engine *engine, mailsrv_letter *letter))
{
    t->letter.deliver = delivers;
    t->from = b;
    t->kind = op->kind;
    t->op = op;
    t->id = op->id;
    t->account = op->account;
    t->answer.size = sizeof t->answer;
    t->answer.status = MAILSRV_TEMP;
}

void mailsrv__durable_handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct binding *b = user;
    if (op->id == 0 || at_once(b, op))
        return;
    struct task *t = calloc(1, sizeof *t);
    if (t == NULL) {
        answer(engine, op, MAILSRV_NOMEM, NULL);
        return;
    }
    mailsrv__durable_task_begins(t, b, op, deliver);
    count_waiting(b->d, t, 1);
    mailsrv__durable_wait_in_line(b->d, t);
}

/* ---- Threads ---- */

struct task *mailsrv__durable_take(struct queue *queue, size_t max)
{
    struct task *first = queue->first, **end = &queue->first;
    for (size_t i = 0; i < max && *end != NULL; i++) {
        if ((*end)->from != NULL)
            (*end)->from->running++;
        end = &(*end)->next;
        queue->n--;
    }
    struct task *rest = *end;
    if (rest == NULL)
        queue->last = &queue->first;
    *end = NULL;
    queue->first = rest;
    return first;
}

static void *read_for_ever(void *user)
{
    struct durable *d = user;
    pthread_mutex_lock(&d->lock);
    while (!d->ending) {
        struct task *t = d->is_reading ? NULL : mailsrv__durable_take(&d->reads, 1);
        if (t == NULL) {
            pthread_cond_wait(&d->reads.work, &d->lock);
            continue;
        }
        d->is_reading = true;
        pthread_mutex_unlock(&d->lock);
        mailsrv__durable_read(d, t);
        mailsrv__durable_post(d, t);
        pthread_mutex_lock(&d->lock);
        d->is_reading = false;
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* With the lock: waits for work; while the index is behind, tries again each second.  False: the end has come. */
static bool wait_for_writes(struct durable *d)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    int waited = 0;
    while (d->writes.first == NULL && d->unfinished == NULL && (!d->has_dead || d->rests) &&
           !mailsrv__durable_tidies(d) && !d->unseen.is_wanted && !d->ending && waited != ETIMEDOUT) {
        if (d->behind || d->rests)
            waited = pthread_cond_timedwait(&d->writes.work, &d->lock, &until);
        else
            pthread_cond_wait(&d->writes.work, &d->lock);
    }
    return !d->ending;
}

static void *write_for_ever(void *user)
{
    struct durable *d = user;
    pthread_mutex_lock(&d->lock);
    while (wait_for_writes(d)) {
        mailsrv__durable_join(d);
        struct task *first = mailsrv__durable_take(&d->writes, GROUP_MAX);
        pthread_mutex_unlock(&d->lock);
        mailsrv__durable_group(d, first);
        mailsrv__durable_sweep(d);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_settle(d);
    return NULL;
}

/* Signals are the host's: its handlers run on threads that it knows. */
bool mailsrv__durable_start(struct durable *d)
{
    void *(*const work[THREADS])(void *) = { write_for_ever, read_for_ever, mailsrv__durable_move_for_ever,
                                             mailsrv__durable_sync_for_ever };
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (d->n_threads < THREADS && pthread_create(&d->threads[d->n_threads], NULL, work[d->n_threads], d) == 0)
        d->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d->n_threads == THREADS;
}

void mailsrv__durable_stop(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->ending = true;
    pthread_cond_broadcast(&d->writes.work);
    pthread_cond_broadcast(&d->reads.work);
    pthread_cond_broadcast(&d->syncs.work);
    pthread_cond_broadcast(&d->move);
    pthread_cond_broadcast(&d->calm);
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; i < d->n_threads; i++)
        pthread_join(d->threads[i], NULL);
}

/* ---- Engines ---- */

/* With the lock: tasks of an engine go.  How many; and `*end` is where the next one would be. */
static size_t drop(struct task **at, const struct binding *b, struct task ***end)
{
    size_t n = 0;
    while (*at != NULL) {
        struct task *t = *at;
        if (t->from != b) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (t->ahead != NULL)
            mailsrv__durable_ahead_looked(t->ahead);
        give_up(t);
        n++;
    }
    *end = at;
    return n;
}

static void drop_from(struct queue *queue, const struct binding *b)
{
    queue->n -= drop(&queue->first, b, &queue->last);
}

static void end_binding(struct binding *b)
{
    struct durable *d = b->d;
    struct task **end;
    pthread_mutex_lock(&d->lock);
    drop_from(&d->syncs, b);
    drop_from(&d->writes, b);
    drop_from(&d->reads, b);
    while (b->running != 0) {
        pthread_cond_wait(&d->calm, &d->lock);
        drop_from(&d->writes, b); /* what was synced meanwhile */
    }
    drop(&d->held, b, &end);
    struct binding **at = &d->bindings;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_handles_end(d, b);
}

static void free_bindings(struct binding *b, uint32_t n)
{
    for (uint32_t i = 1; b->family != NULL && i < n; i++)
        free(b->family[i]);
    free(b->family);
    free(b);
}

/* The first shard last: it has the bodies of the others' parts. */
static void ended(mailsrv_ending *ending)
{
    struct binding *b = (struct binding *)(void *)((char *)ending - offsetof(struct binding, ending));
    uint32_t n = mailsrv__durable_shards(b->d);
    for (uint32_t i = n; i-- > 1;)
        end_binding(b->family[i]);
    end_binding(b);
    free_bindings(b, n);
}

static int32_t serve(struct binding *b)
{
    int32_t status = MAILSRV_OK;
    mailsrv_handler handler = b->family != NULL ? mailsrv__durable_spread : mailsrv__durable_handle;
    for (size_t i = 0; status == MAILSRV_OK && i < sizeof kinds / sizeof *kinds; i++)
        status = mailsrv_engine_serve(b->engine, kinds[i], handler, b);
    return status;
}

static bool is_bound(struct durable *d, const mailsrv_engine *engine)
{
    pthread_mutex_lock(&d->lock);
    const struct binding *b = d->bindings;
    while (b != NULL && b->engine != engine)
        b = b->next;
    pthread_mutex_unlock(&d->lock);
    return b != NULL;
}

static struct binding *new_binding(struct durable *d, mailsrv_engine *engine)
{
    struct binding *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->d = d;
    b->engine = engine;
    b->ending.ended = ended;
    b->poke.deliver = mailsrv__durable_poked;
    return b;
}

/* One for each shard; NULL: no memory. */
static struct binding *new_bindings(struct durable *d, mailsrv_engine *engine)
{
    uint32_t n = mailsrv__durable_shards(d);
    struct binding *b = new_binding(d, engine);
    if (b == NULL || n == 1)
        return b;
    b->family = calloc(n, sizeof *b->family);
    bool good = b->family != NULL;
    for (uint32_t i = 0; good && i < n; i++) {
        b->family[i] = i == 0 ? b : new_binding(d->family->shards[i], engine);
        good = b->family[i] != NULL;
    }
    if (good)
        return b;
    free_bindings(b, n);
    return NULL;
}

static void add_binding(struct binding *b)
{
    pthread_mutex_lock(&b->d->lock);
    b->next = b->d->bindings;
    b->d->bindings = b;
    pthread_mutex_unlock(&b->d->lock);
}

int32_t mailsrv__durable_bind_with(struct durable *d, mailsrv_engine *engine, void (*wake)(void *user), void *user)
{
    if (engine == NULL || is_bound(d, engine))
        return MAILSRV_E_USAGE;
    uint32_t n = mailsrv__durable_shards(d);
    struct binding *b = new_bindings(d, engine);
    if (b == NULL)
        return MAILSRV_NOMEM;
    int32_t status = serve(b);
    for (uint32_t i = 0; i < n && status == MAILSRV_OK; i++)
        status = mailsrv_port_open(i == 0 ? &b->port : &b->family[i]->port, engine, wake, user);
    if (status == MAILSRV_OK)
        status = mailsrv_engine_at_end(engine, &b->ending);
    if (status != MAILSRV_OK) {
        free_bindings(b, n);
        return status;
    }
    for (uint32_t i = 0; i < n; i++)
        add_binding(i == 0 ? b : b->family[i]);
    return MAILSRV_OK;
}

int32_t mailsrv__durable_bind(mailsrv_store *store, mailsrv_engine *engine)
{
    return mailsrv__durable_bind_with((struct durable *)(void *)store, engine, NULL, NULL);
}
