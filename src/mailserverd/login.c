/* Who is it.  AUTH_VERIFY: a hash is slow on purpose, so that it is made on a thread of libuv's pool.  A user who does
 * not exist costs one as well: nobody learns by the time who does. */
#include "login.h"
#include "password.h"
#include "secrets.h"

#include <stdlib.h>
#include <string.h>

#define VERIFYING_MAX 256 /* at once, of one loop; whoever comes beyond them is asked to come again */

/* ---- Answers that come late ---- */

struct late {
    uv_timer_t timer;
    void (*then)(const struct late *late);
    const struct directory *directory;
    mailsrv_engine *engine;
    mailsrv_op_id id;
    const mailsrv_op *op; /* a question that waits: it lives until its answer (op.h) */
    int32_t status;
};

static void forget_late(uv_handle_t *timer)
{
    free(timer->data);
}

static void do_now(uv_timer_t *timer)
{
    const struct late *late = timer->data;
    late->then(late);
    uv_close((uv_handle_t *)timer, forget_late);
}

/* Without memory for that: at once. */
static void do_late(const struct directory *d, const struct late *what, uint64_t ms)
{
    struct late *late = ms == 0 ? NULL : malloc(sizeof *late);
    if (late == NULL) {
        what->then(what);
        return;
    }
    *late = *what;
    uv_timer_init(d->loop, &late->timer);
    late->timer.data = late;
    uv_timer_start(&late->timer, do_now, ms, 0);
}

static void answer_now(const struct late *late)
{
    mailsrv_op_answer_status(late->engine, late->id, late->status);
}

static void answer_late(const struct directory *d, mailsrv_engine *engine, mailsrv_op_id id, int32_t status,
                        uint64_t ms)
{
    do_late(d, &(const struct late){ .then = answer_now, .engine = engine, .id = id, .status = status }, ms);
}

/* ---- Whom a peer tries to be ---- */

/* The address that a name means, in lower case: pat is pat@ the first domain.  0: it is too long to be one. */
static size_t whole_name(const struct directory *d, mailsrv_bytes user, char *out)
{
    const bool whole = user.n != 0 && memchr(user.p, '@', user.n) != NULL;
    const char *domain = d->config->domains[0];
    const size_t n_domain = whole ? 0 : 1 + strlen(domain);
    if (user.n + n_domain >= ADDRESS_MAX)
        return 0;
    if (user.n != 0)
        memcpy(out, user.p, user.n);
    if (!whole) {
        out[user.n] = '@';
        memcpy(out + user.n + 1, domain, n_domain - 1);
    }
    for (size_t i = 0; i < user.n; i++)
        out[i] = out[i] >= 'A' && out[i] <= 'Z' ? (char)(out[i] + 32) : out[i];
    return user.n + n_domain;
}

static const struct entry *find_user(const struct directory *d, mailsrv_bytes user)
{
    char whole[ADDRESS_MAX];
    return people_find(d->people, PEOPLE_USERS, whole, whole_name(d, user, whole));
}

/* Notes it.  Is he to be looked at?  Else he has been answered. */
static bool take_attempt(struct directory *d, mailsrv_engine *engine, const mailsrv_op *op, mailsrv_bytes user,
                         mailsrv_bytes peer)
{
    char whole[ADDRESS_MAX];
    const mailsrv_bytes name = { (const uint8_t *)whole, whole_name(d, user, whole) };
    const struct attempt attempt = guard_attempt(peer, name);
    struct guest *guest = guests_find(&d->guests, op->session_id);
    const struct entry *person = people_find(d->people, PEOPLE_USERS, whole, name.n);
    if (guest == NULL || !guest_tries(guest, &attempt, person))
        mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP);
    else if (guard_refuses(&d->gate->guard, &attempt, d->config->login_failures))
        answer_late(d, engine, op->id, MAILSRV_TEMP, guard_delay_ms(&d->gate->guard, &attempt));
    else
        return true;
    return false;
}

void login_failed(struct directory *d, uint64_t session)
{
    const struct guest *guest = guests_find(&d->guests, session);
    if (guest != NULL)
        guard_failed(&d->gate->guard, &guest->attempt);
}

void login_succeeded(struct directory *d, uint64_t session)
{
    const struct guest *guest = guests_find(&d->guests, session);
    if (guest != NULL)
        guard_succeeded(&d->gate->guard, &guest->attempt);
}

/* ---- Passwords ---- */

struct verification {
    uv_work_t work;
    struct directory *directory;
    mailsrv_engine *engine;
    mailsrv_op_id id;
    struct people *people; /* whose secrets are looked at */
    const struct entry *person;
    enum password_method method; /* of nobody */
    uint64_t delay_ms;           /* of a failure */
    char password[PASSWORD_MAX];
    size_t n_password;
    bool ok, acts_as; /* the identity that was asked for is the user's own */
};

static void verify(uv_work_t *work)
{
    struct verification *v = work->data;
    v->ok = password_is(v->password, v->person != NULL ? v->person->text : NULL, v->method);
}

static void let_in(mailsrv_engine *engine, mailsrv_op_id id, const struct entry *person, bool acts_as)
{
    const mailsrv_identity value = { .size = sizeof value, .acts_as = acts_as, .account = person->account };
    const mailsrv_answer is = { .size = sizeof is, .status = MAILSRV_OK, .value = &value };
    mailsrv_op_answer(engine, id, &is);
}

static void answer(uv_work_t *work, int status)
{
    struct verification *v = work->data;
    struct directory *d = v->directory;
    if (status == 0 && v->ok) {
        if (d->config->login_cache_s != 0)
            remembered_add(&d->gate->remembered, v->person,
                           (mailsrv_bytes){ (const uint8_t *)v->password, v->n_password });
        let_in(v->engine, v->id, v->person, v->acts_as);
    } else {
        answer_late(d, v->engine, v->id, status == 0 ? MAILSRV_DENIED : MAILSRV_TEMP, status == 0 ? v->delay_ms : 0);
    }
    d->verifying--;
    people_unref(v->people);
    explicit_bzero(v, sizeof *v);
    free(v);
}

/* Has it no NUL, behind which nothing would be looked at? */
static bool is_text(mailsrv_bytes octets)
{
    return octets.n == 0 || memchr(octets.p, '\0', octets.n) == NULL;
}

/* As much work for a user who does not exist. */
static bool is_remembered(const struct directory *d, const struct entry *person, mailsrv_bytes password)
{
    const struct entry nobody = { .address = (char[]){ "" }, .text = (char[]){ "" } };
    return remembered_is(&d->gate->remembered, person != NULL ? person : &nobody, password, d->config->login_cache_s) &&
           person != NULL;
}

static void begin_verifying(struct verification *v, const struct attempt *attempt, mailsrv_bytes password)
{
    struct directory *d = v->directory;
    v->people = people_ref(d->people);
    v->method = d->config->password_method;
    v->delay_ms = guard_delay_ms(&d->gate->guard, attempt);
    v->n_password = password.n;
    if (password.n != 0)
        memcpy(v->password, password.p, password.n);
    v->work.data = v;
    d->verifying++;
    if (uv_queue_work(d->loop, &v->work, verify, answer) != 0)
        answer(&v->work, -1);
}

static void on_verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct directory *d = user;
    const mailsrv_arg_auth_verify *arg = op->arg;
    if (!take_attempt(d, engine, op, arg->user, arg->peer))
        return;
    const struct entry *person = is_text(arg->password) ? find_user(d, arg->user) : NULL;
    const bool acts_as = arg->identity.n != 0 && find_user(d, arg->identity) == person;
    if (is_remembered(d, person, arg->password)) {
        let_in(engine, op->id, person, acts_as);
        return;
    }
    struct verification *v = d->verifying < VERIFYING_MAX ? calloc(1, sizeof *v) : NULL;
    if (v == NULL || arg->password.n >= sizeof v->password) {
        mailsrv_op_answer_status(engine, op->id, v == NULL ? MAILSRV_TEMP : MAILSRV_DENIED);
        free(v);
        return;
    }
    v->directory = d;
    v->engine = engine;
    v->id = op->id;
    v->person = person;
    v->acts_as = acts_as;
    begin_verifying(v, &guests_find(&d->guests, op->session_id)->attempt, arg->password);
}

/* ---- SCRAM: keys are at hand ---- */

static void give_keys(const struct directory *d, mailsrv_engine *engine, const mailsrv_op *op)
{
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

static void give_keys_now(const struct late *late)
{
    give_keys(late->directory, late->engine, late->op);
}

/* Whether the proof will be right nobody knows yet: late is who has failed at this name from this address. */
static void on_scram_keys(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct directory *d = user;
    const mailsrv_arg_auth_scram_keys *arg = op->arg;
    if (!take_attempt(d, engine, op, arg->user, arg->peer))
        return;
    const struct attempt own = { .pair = guests_find(&d->guests, op->session_id)->attempt.pair };
    do_late(d, &(const struct late){ .then = give_keys_now, .directory = d, .engine = engine, .op = op },
            guard_delay_ms(&d->gate->guard, &own));
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
    guests_see_off(&directory->guests, people);
}
