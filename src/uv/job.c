/* Work of the library on libuv's pool of threads: handshakes of TLS. */
#include "driver.h"

#include <mailsrv/op.h>
#include <stdlib.h>

struct job {
    uv_work_t request;
    mailsrv_engine *engine; /* it is not freed before the answer */
    mailsrv_op_id id;
    mailsrv_arg_job what;
};

static void run(uv_work_t *request)
{
    const struct job *job = request->data;
    job->what.run(job->what.work);
}

static void ran(uv_work_t *request, int status)
{
    struct job *job = request->data;
    mailsrv_op_answer_status(job->engine, job->id, status == 0 ? MAILSRV_OK : MAILSRV_TEMP);
    free(job);
}

/* Where there is no memory, or no thread, it is done here. */
static void ask(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    mailsrv_uv *d = user;
    const mailsrv_arg_job *what = op->arg;
    struct job *job = calloc(1, sizeof *job);
    if (job != NULL) {
        *job = (struct job){ .engine = engine, .id = op->id, .what = *what };
        job->request.data = job;
        if (uv_queue_work(d->loop, &job->request, run, ran) == 0)
            return;
    }
    free(job);
    what->run(what->work);
    mailsrv_op_answer_status(engine, op->id, MAILSRV_OK);
}

void mailsrv__uv_serve_jobs(mailsrv_uv *d)
{
    mailsrv_engine_serve(d->engine, MAILSRV_OP_JOB, ask, d); /* an engine that had a session stays as it is */
}
