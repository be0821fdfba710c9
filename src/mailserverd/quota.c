/* POLICY: how much a user may send in an hour (MAIL and RCPT at submission), and which networks may have mail relayed
 * (CONNECT of mail exchangers). */
#include "keyed.h"
#include "login.h"

#include <mailsrv/policy.h>

#define HOUR_US (INT64_C(3600) * 1000000)

/* One more for an account, of `most` in an hour; 0: as many as come. */
static bool may_send(struct meter *meter, const mailsrv_id *account, uint64_t most)
{
    const uint64_t key = keyed('a', (mailsrv_bytes){ account->b, sizeof account->b });
    return most == 0 || meter_try(meter, key, HOUR_US / (int64_t)most, HOUR_US);
}

static bool is_within(const struct directory *d, const mailsrv_arg_policy *arg)
{
    if (arg->stage == MAILSRV_STAGE_MAIL)
        return may_send(&d->gate->messages, &arg->submitter, d->config->messages_per_hour);
    return arg->stage != MAILSRV_STAGE_RCPT ||
           may_send(&d->gate->recipients, &arg->submitter, d->config->recipients_per_hour);
}

static int32_t welcome(const struct directory *d, const mailsrv_arg_policy *arg)
{
    const bool relays = arg->stage == MAILSRV_STAGE_CONNECT &&
                        config_relays_for(d->config, arg->peer->address, arg->peer->address_octets);
    return relays ? MAILSRV_POLICY_RELAY_OK : MAILSRV_POLICY_CONTINUE;
}

static void on_policy(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    static const char text[] = "too much in one hour: come again later";
    const struct directory *d = user;
    const mailsrv_verdict go_on = { .size = sizeof go_on, .verdict = welcome(d, op->arg) };
    const mailsrv_verdict later = { .size = sizeof later,
                                    .verdict = MAILSRV_POLICY_LATER,
                                    .code = 450,
                                    .subject = 7,
                                    .detail = 1 };
    const bool within = is_within(d, op->arg);
    const mailsrv_answer answer = { .size = sizeof answer,
                                    .status = MAILSRV_OK,
                                    .text = { (const uint8_t *)text, within ? 0 : sizeof text - 1 },
                                    .value = within ? &go_on : &later };
    if (!within)
        __atomic_add_fetch(&d->gate->over_limit, 1, __ATOMIC_RELAXED);
    mailsrv_op_answer(engine, op->id, &answer);
}

int32_t quota_serve(struct directory *directory, mailsrv_engine *engine)
{
    return mailsrv_engine_serve(engine, MAILSRV_OP_POLICY, on_policy, directory);
}
