/* The handshake, here or, where the host serves JOB, on another thread.
 *
 * A job has the connection, a reference to its provider, a copy of what came in and room for what goes out, all inside
 * the operation's record: a session that leaves meanwhile leaves them to it. */
#include "core/engine.h"
#include "core/op.h"
#include "core/profile.h"
#include "core/provider.h"
#include "core/step.h"
#include "core/tls.h"

enum {
    FLIGHT_OCTETS = 4096, /* of ciphertext that a handshake makes at a time */
    JOB_OCTETS_MAX = 4096 /* of ciphertext that a job takes */
};

enum { TLS_HANDSHAKE_RECORD = 0x16 }; /* RFC 8446 section 5.1 */

struct job {
    mailsrv_tls *tls;
    void *connection; /* NULL: taken back */
    int32_t status;
    bool done;
    mailsrv_tls_io io;
};

/* ---- What a call has brought ---- */

static struct span why(const struct tls *tls)
{
    const char *text = tls->provider->why(tls->connection);
    return (struct span){ text, strlen(text) };
}

/* What follows from one call of the provider: the step that the machine makes then. */
static enum step shaken(mailsrv_session *s, int32_t status, const mailsrv_tls_io *io)
{
    mailsrv__tls_count(s);
    if (status == MAILSRV_OK)
        return mailsrv__tls_opened(s);
    if (status != MAILSRV_MORE)
        mailsrv__tls_fails(s, why(s->tls));
    else if (io->taken == 0 && io->room_made == 0)
        mailsrv__tls_fails(s, SPAN("the provider stands still"));
    s->tls->shakes_on = io->more != 0;
    return STEP_WAIT;
}

/* ---- Here ---- */

/* One call, with room of its own.  True: another one is wanted at once. */
static bool shake_once(mailsrv_session *s, struct input *in)
{
    struct tls *tls = s->tls;
    struct slice *room = mailsrv__slice_new(s, FLIGHT_OCTETS);
    if (room == NULL) {
        mailsrv__tls_fails(s, SPAN("no memory for the handshake"));
        return false;
    }
    mailsrv_tls_io io = { .size = sizeof io,
                          .in = in->p,
                          .in_octets = in->n,
                          .room = (uint8_t *)(room + 1),
                          .room_octets = room->room };
    int32_t status = tls->provider->handshake(tls->connection, &io);
    if (io.taken != 0) /* a client begins without any input */
        mailsrv__input_skip(in, io.taken);
    room->n = io.room_made;
    if (room->n != 0)
        mailsrv__output_record(s, room);
    else
        mailsrv__slice_free(s, room);
    mailsrv__session_stepped(s, shaken(s, status, &io));
    return status == MAILSRV_MORE && io.more != 0;
}

/* ---- As a job ---- */

static void run_job(void *work)
{
    struct job *job = work;
    job->status = job->tls->provider->handshake(job->connection, &job->io);
    job->done = true;
}

static struct job *job_of(const struct op *op)
{
    return ((const mailsrv_arg_job *)op->pub.arg)->work;
}

void mailsrv__job_end(struct op *op)
{
    struct job *job = job_of(op);
    if (job == NULL)
        return;
    if (job->connection != NULL)
        job->tls->provider->end(job->connection);
    mailsrv_tls_unref(job->tls);
    ((mailsrv_arg_job *)(void *)(uintptr_t)op->pub.arg)->work = NULL;
}

static enum step job_answered(mailsrv_session *s);

/* False: no memory; it is done here. */
static bool ask_job(mailsrv_session *s, struct input *in)
{
    struct tls *tls = s->tls;
    size_t n = in->n < JOB_OCTETS_MAX ? in->n : JOB_OCTETS_MAX;
    size_t octets = mailsrv__ask_octets(sizeof(struct job)) + mailsrv__ask_octets(n) + FLIGHT_OCTETS;
    struct op *op = mailsrv__op_new(s->engine, s, MAILSRV_OP_JOB, octets);
    if (op == NULL)
        return false;
    struct job *job = mailsrv__op_room(op, sizeof *job);
    uint8_t *copy = mailsrv__op_room(op, n);
    if (n != 0)
        memcpy(copy, in->p, n);
    job->tls = mailsrv__tls_ref(s->profile->tls);
    job->connection = tls->connection;
    job->io = (mailsrv_tls_io){ .size = sizeof job->io, .in = copy, .in_octets = n };
    job->io.room = mailsrv__op_room(op, FLIGHT_OCTETS);
    job->io.room_octets = FLIGHT_OCTETS;
    mailsrv_arg_job *arg = (mailsrv_arg_job *)(void *)(uintptr_t)op->pub.arg;
    arg->what = MAILSRV_JOB_HANDSHAKE;
    arg->run = run_job;
    arg->work = job;
    tls->connection = NULL;
    if (n != 0)
        mailsrv__input_skip(in, n);
    mailsrv__ask_record(s, op);
    mailsrv__session_stepped(s, mailsrv__then_answers(s, job_answered));
    return true;
}

/* What it made is sent from where it lies.  False: no memory. */
static bool send_made(mailsrv_session *s, struct op *op, const struct job *job)
{
    if (job->io.room_made == 0)
        return true;
    struct slice *slice = mailsrv__slice_new(s, 0);
    if (slice == NULL)
        return false;
    slice->p = (const char *)job->io.room;
    slice->n = job->io.room_made;
    slice->lent = &op->lent;
    op->lent.refs++;
    mailsrv__output_record(s, slice);
    return true;
}

/* What the peer sent behind his handshake. */
static void keep_left(mailsrv_session *s, struct op *op, const struct job *job)
{
    struct tls *tls = s->tls;
    tls->left = (struct input){ job->io.in + job->io.taken, job->io.in_octets - job->io.taken };
    if (tls->left.n == 0)
        return;
    tls->left_of = &op->lent;
    op->lent.refs++;
}

static enum step job_answered(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    struct op *op = s->asker.answered[0];
    if (op == NULL) {
        mailsrv__tls_fails(s, SPAN("the work of the handshake was not done in time"));
        return STEP_CLOSE;
    }
    struct job *job = job_of(op);
    if (!job->done)
        run_job(job); /* who serves it could not */
    tls->connection = job->connection;
    job->connection = NULL;
    if (!send_made(s, op, job)) {
        mailsrv__tls_fails(s, SPAN("no memory for the handshake"));
        return STEP_CLOSE;
    }
    keep_left(s, op, job);
    return shaken(s, job->status, &job->io);
}

/* ---- */

static bool can_leave(const mailsrv_session *s)
{
    return mailsrv__served(s, MAILSRV_OP_JOB) && (s->tls->provider->features & MAILSRV_TLS_THREADS) != 0;
}

static void shake(mailsrv_session *s, struct input *in)
{
    s->tls->shakes_on = false;
    if (can_leave(s) && ask_job(s, in))
        return;
    while (!s->ended && shake_once(s, in))
        ;
}

/* After STARTTLS, text is no handshake: it was sent in the clear (RFC 3207 section 6).  The others are told by the
 * provider that this is TLS.  To a client nothing is sent before he has begun. */
static bool is_text(const struct tls *tls, const struct input *in)
{
    return !tls->greets && !tls->has_begun && (tls->client != NULL || in->p[0] != TLS_HANDSHAKE_RECORD);
}

/* True: what follows is a handshake. */
static bool pass_text(mailsrv_session *s, struct input *in)
{
    if (!is_text(s->tls, in))
        return true;
    const uint8_t *begin = s->tls->client != NULL ? NULL : memchr(in->p, TLS_HANDSHAKE_RECORD, in->n);
    struct input text = { in->p, begin == NULL ? in->n : (size_t)(begin - in->p) };
    mailsrv__input_skip(in, text.n);
    mailsrv__tls_pipelined(s, &text);
    return !s->ended && in->n != 0;
}

void mailsrv__tls_shake(mailsrv_session *s, struct input *in)
{
    if (in->n == 0 || s->next != NULL || !pass_text(s, in))
        return;
    s->tls->has_begun = true;
    shake(s, in);
}

void mailsrv__tls_shake_on(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    bool could = tls != NULL && tls->state == TLS_SHAKING && !s->ended && s->next == NULL;
    if (!could || (!tls->shakes_on && tls->left.n == 0))
        return;
    tls->has_begun = true;
    shake(s, &tls->left);
    if (tls->left_of != NULL && tls->left.n == 0) {
        mailsrv__lent_drop(tls->left_of);
        tls->left_of = NULL;
    }
}
