/* A program that only receives: what it links is what such a program costs. */
#include <mailsrv/mailsrv.h>

#include <stdio.h>
#include <string.h>

static int32_t on_message(void *user, const mailsrv_envelope *envelope, mailsrv_bytes message)
{
    size_t *octets = user;
    *octets += envelope->n_recipients == 1 ? message.n : 0;
    return MAILSRV_OK;
}

static void drain(mailsrv_session *session)
{
    mailsrv_out out[8];
    size_t n = 0;
    while (mailsrv_session_output(session, out, 8, &n) == MAILSRV_OK && n > 0)
        for (size_t i = 0; i < n; i++) {
            fwrite(out[i].p, 1, out[i].n, stdout);
            mailsrv_session_sent(session, out[i].n);
        }
}

static const char script[] = "HELO remote.test\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<b@here.test>\r\nDATA\r\n"
                             "Subject: one\r\n\r\nhello\r\n.\r\nQUIT\r\n";

int main(void)
{
    mailsrv_engine *engine = NULL;
    mailsrv_profile *profile = NULL;
    mailsrv_session *session = NULL;
    size_t octets = 0;
    if (mailsrv_engine_new(NULL, &engine) != MAILSRV_OK ||
        mailsrv_inbox(engine, 1 << 20, on_message, &octets) != MAILSRV_OK ||
        mailsrv_profile_new(NULL, mailsrv_smtp_receive(), MAILSRV_FACE_MX, &profile) != MAILSRV_OK ||
        mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12) != MAILSRV_OK ||
        mailsrv_profile_seal(profile, NULL) != MAILSRV_OK || mailsrv_engine_advance(engine, 1, 1) != MAILSRV_OK ||
        mailsrv_server_new(engine, profile, NULL, NULL, &session) != MAILSRV_OK)
        return 2;
    mailsrv_profile_unref(profile);

    for (size_t at = 0; (mailsrv_session_wants(session) & MAILSRV_WANT_CLOSE) == 0;) {
        size_t taken = 0;
        if (mailsrv_session_wants(session) & MAILSRV_WANT_READ)
            mailsrv_session_feed(session, (const uint8_t *)script + at, sizeof script - 1 - at, &taken);
        at += taken;
        int32_t more = mailsrv_engine_turn(engine, 1000);
        size_t before = octets;
        drain(session);
        if (taken == 0 && more == MAILSRV_OK && before == octets && at == sizeof script - 1 &&
            (mailsrv_session_wants(session) & MAILSRV_WANT_CLOSE) == 0)
            return 3; /* nothing moves any more */
    }
    mailsrv_session_free(session);
    while (mailsrv_engine_free(engine, 0) == MAILSRV_E_BUSY)
        mailsrv_engine_turn(engine, 1000);
    return octets > strlen("Subject: one\r\n\r\nhello\r\n") ? 0 : 1;
}
