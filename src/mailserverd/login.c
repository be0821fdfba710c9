/* Who is it.  AUTH_VERIFY: a hash is slow on purpose, so that it is made on a thread of libuv's pool.  A user who does
 * not exist costs one as well: nobody learns by the time who does. */
#include "login.h"
#include "password.h"
#include "secrets.h"

#include <stdlib.h>
#include <string.h>

#define VERIFYING_MAX 256 /* at once, of one loop; whoever comes beyond them is asked to come again */

struct verification {
    uv_work_t work;
    struct directory *directory;
    mailsrv_engine *engine;
    mailsrv_op_id id;
    struct people *people; /* whose secrets are looked at */
    const struct entry *person;
    char password[PASSWORD_MAX];
    bool ok, acts_as; /* the identity that was asked for is the user's own */
};

static void verify(uv_work_t *work)
{
    struct verification *v = work->data;
    v->ok = password_is(v->password, v->person != NULL ? v->person->text : NULL);
}

static void answer(uv_work_t *work, int status)
{
    struct verification *v = work->data;
    mailsrv_identity value = { .size = sizeof value };
    const mailsrv_answer is = { .size = sizeof is, .status = MAILSRV_OK, .value = &value };
    if (status == 0 && v->ok) {
        value.acts_as = v->acts_as;
        value.account = v->person->account;
        mailsrv_op_answer(v->engine, v->id, &is);
    } else {
        mailsrv_op_answer_status(v->engine, v->id, status == 0 ? MAILSRV_DENIED : MAILSRV_TEMP);
    }
    v->directory->verifying--;
    people_unref(v->people);
    explicit_bzero(v, sizeof *v);
    free(v);
}

/* pat is pat@ the first domain. */
static const struct entry *find_user(const struct directory *d, mailsrv_bytes user)
{
    char whole[ADDRESS_MAX];
    if (user.n == 0 || user.n >= sizeof whole || memchr(user.p, '@', user.n) != NULL)
        return people_find(d->people, PEOPLE_USERS, (const char *)user.p, user.n);
    const int n = snprintf(whole, sizeof whole, "%.*s@%s", (int)user.n, (const char *)user.p, d->config->domains[0]);
    return n < 0 || (size_t)n >= sizeof whole ? NULL : people_find(d->people, PEOPLE_USERS, whole, (size_t)n);
}

/* Has it no NUL, behind which nothing would be looked at? */
static bool is_text(mailsrv_bytes octets)
{
    return octets.n == 0 || memchr(octets.p, '\0', octets.n) == NULL;
}

static void on_verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct directory *d = user;
    const mailsrv_arg_auth_verify *arg = op->arg;
    struct verification *v = d->verifying < VERIFYING_MAX ? calloc(1, sizeof *v) : NULL;
    if (v == NULL || arg->password.n >= sizeof v->password) {
        mailsrv_op_answer_status(engine, op->id, v == NULL ? MAILSRV_TEMP : MAILSRV_DENIED);
        free(v);
        return;
    }
    v->directory = d;
    v->engine = engine;
    v->id = op->id;
    v->people = people_ref(d->people);
    v->person = is_text(arg->password) ? find_user(d, arg->user) : NULL;
    v->acts_as = arg->identity.n != 0 && find_user(d, arg->identity) == v->person;
    if (arg->password.n != 0)
        memcpy(v->password, arg->password.p, arg->password.n);
    v->work.data = v;
    d->verifying++;
    if (uv_queue_work(d->loop, &v->work, verify, answer) != 0)
        answer(&v->work, -1);
}

/* ---- SCRAM: keys are at hand ---- */

static void on_scram_keys(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct directory *d = user;
    const mailsrv_arg_auth_scram_keys *arg = op->arg;
    const struct entry *person = find_user(d, arg->user);
    struct scram_keys keys;
    if (person == NULL || !secrets_keys(person->text, arg->hash, &keys)) {
        mailsrv_op_answer_status(engine, op->id, MAILSRV_DENIED);
        return;
    }
    const mailsrv_scram_record value = { .size = sizeof value,
                                         .acts_as = arg->identity.n != 0 && find_user(d, arg->identity) == person,
                                         .account = person->account,
                                         .iterations = keys.iterations,
                                         .salt = { keys.salt, keys.n_salt },
                                         .stored_key = { keys.stored, keys.n_keys },
                                         .server_key = { keys.server, keys.n_keys } };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
    mailsrv_op_answer(engine, op->id, &answer);
    explicit_bzero(&keys, sizeof keys);
}

int32_t login_serve(struct directory *directory, mailsrv_engine *engine)
{
    const int32_t status = mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_VERIFY, on_verify, directory);
    return status == MAILSRV_OK ? mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_SCRAM_KEYS, on_scram_keys, directory)
                                : status;
}

void directory_change(struct directory *directory, struct people *people)
{
    people_unref(directory->people);
    directory->people = people;
}
