/* The machine of a server whose users log in. */
#include "smtp/smtp.h"

static bool offers_auth(const struct smtp *s)
{
    return mailsrv__sasl_offers_any(&s->session);
}

static void write_mechanisms(const struct smtp *s, struct writer *w)
{
    mailsrv__sasl_write_names(&s->session, SPAN(" "), w);
}

static bool has_face(int32_t face)
{
    return face == MAILSRV_FACE_MX || face == MAILSRV_FACE_LMTP || face == MAILSRV_FACE_SUBMISSION;
}

static void defaults(mailsrv_profile *profile)
{
    mailsrv__smtp_defaults(profile);
    mailsrv__profile_tap(profile, &mailsrv__smtp_passing_tap);
    mailsrv_profile_enable(profile, MAILSRV_EXT_DSN, 0);
}

const mailsrv_machine *mailsrv_smtp(void)
{
    static const struct smtp_users users = {
        .auth = mailsrv__smtp_auth,
        .response = mailsrv__smtp_response,
        .offers_auth = offers_auth,
        .write_mechanisms = write_mechanisms,
        .is_auth_parameter = mailsrv__smtp_is_auth_parameter,
        .leave = mailsrv__sasl_free,
        .sender_answered = mailsrv__smtp_sender_answered,
        .check_senders = mailsrv__smtp_check_senders,
        .prepare_fixups = mailsrv__smtp_prepare_fixups,
        .offers_dsn = mailsrv__smtp_offers_dsn,
        .mail_parameter = mailsrv__smtp_mail_parameter,
        .keep_envelope = mailsrv__smtp_keep_envelope,
        .rcpt_parameters = mailsrv__smtp_rcpt_parameters,
        .refusal_of_forward = mailsrv__smtp_refusal_of_forward,
        .stop_loops = mailsrv__smtp_stop_loops,
        .queue_octets = mailsrv__smtp_queue_octets,
        .fill_queue = mailsrv__smtp_fill_queue,
        .settle = mailsrv__smtp_settle,
    };
    static const struct smtp_machine all = {
        .machine = SMTP_MACHINE(has_face, &mailsrv__store_answers, defaults),
        .users = &users,
    };
    return &all.machine;
}
