/* send_uv.c - a host that only sends, on a loop of libuv: send_uv DIRECTORY HOSTNAME SMARTHOST FROM TO... < MESSAGE
 *
 * What is given to it is in the queue of DIRECTORY when it says so; then it sends whatever waits there until SIGTERM, or
 * until all that it was given has gone.  SMARTHOST is HOST:PORT, or "mx": to each domain's own mail exchangers.  The
 * lines of the message end with CRLF. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/durable.h>
#include <mailsrv/uv.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { RECIPIENTS_MAX = 100, MESSAGE_OCTETS_MAX = 1 << 24 };

static struct sender {
    mailsrv_engine *engine;
    mailsrv_uv *driver;
    mailsrv_queue *queue;
    char *host; /* of the smarthost; NULL: there is none */
    uint16_t port;
    uv_signal_t term;
    size_t left; /* recipients of ours that were neither sent nor failed */
    int status;
} s;

static void must(int32_t status, const char *what)
{
    if (status != MAILSRV_OK)
        exit((fprintf(stderr, "%s: %s\n", what, mailsrv_strerror(status)), 1));
}

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, text == NULL ? 0 : strlen(text) };
}

static void end(uv_signal_t *signal, int number)
{
    (void)number;
    mailsrv_uv_close(s.driver, 1000, NULL, NULL);
    if (!uv_is_closing((uv_handle_t *)signal))
        uv_close((uv_handle_t *)signal, NULL); /* nothing else keeps the loop running */
}

/* TLS where it is offered: a program with a provider says more here, and in the profile (tls.h). */
static void on_route(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    (void)user;
    const mailsrv_route to = { .size = sizeof to,
                               .kind = s.host == NULL ? MAILSRV_ROUTE_MX : MAILSRV_ROUTE_HOST,
                               .host = bytes(s.host),
                               .port = s.port };
    mailsrv_op_answer(engine, op->id, &(mailsrv_answer){ .size = sizeof(mailsrv_answer), .value = &to });
}

static void on_event(void *user, const mailsrv_event *event)
{
    (void)user;
    const bool sent = event->what == MAILSRV_EVENT_SENT, failed = event->what == MAILSRV_EVENT_FAILED;
    if (sent || failed || event->what == MAILSRV_EVENT_DEFERRED)
        printf("%s %.*s\n", sent ? "sent" : failed ? "failed" : "waits", (int)event->text.n, event->text.p);
    fflush(stdout);
    s.status |= failed;
    if ((sent || failed) && s.left != 0 && --s.left == 0)
        end(&s.term, 0);
}

static void on_queued(void *user, int32_t status)
{
    free(user);
    printf("queued: %s\n", mailsrv_strerror(status));
    fflush(stdout);
    if (status != MAILSRV_OK)
        s.status = 1, end(&s.term, 0);
}

static void send_message(int argc, char **argv)
{
    mailsrv_queue_recipient to[RECIPIENTS_MAX];
    uint8_t *message = malloc(MESSAGE_OCTETS_MAX);
    const mailsrv_queue_mail mail = {
        .size = sizeof mail,
        .reverse_path = bytes(argv[0]),
        .recipients = to,
        .n_recipients = (size_t)argc - 1,
        .message = { message, message == NULL ? 0 : fread(message, 1, MESSAGE_OCTETS_MAX, stdin) }
    };
    for (int i = 1; i < argc; i++)
        to[i - 1] = (mailsrv_queue_recipient){ .size = sizeof *to, .address = bytes(argv[i]) };
    s.left = mail.n_recipients;
    must(mailsrv_queue_send(s.queue, &mail, on_queued, message), "the message");
}

int main(int argc, char **argv)
{
    mailsrv_store *store;
    mailsrv_profile *profile;
    uv_loop_t *loop = uv_default_loop();
    if (argc < 6 || argc > 5 + RECIPIENTS_MAX)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    char *colon = strrchr(argv[3], ':');
    if (colon != NULL) {
        s.port = (uint16_t)atoi(colon + 1);
        *colon = '\0';
        s.host = argv[3];
    }
    const mailsrv_durable_setup where = { .size = sizeof where, .directory = argv[1] };
    const mailsrv_uv_setup driver = { .size = sizeof driver, .on_event = on_event };
    must(mailsrv_durable_open(&where, &store), argv[1]);
    must(mailsrv_engine_new(NULL, &s.engine), "the engine");
    must(mailsrv_uv_new(loop, s.engine, &driver, &s.driver), "the driver");
    must(mailsrv_durable_bind(store, s.engine, mailsrv_uv_wake, s.driver), "the store");
    must(mailsrv_uv_go_out(s.driver, NULL), "connections");
    must(mailsrv_engine_serve(s.engine, MAILSRV_OP_ROUTE, on_route, NULL), "routes");
    must(mailsrv_profile_new(NULL, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, &profile), "the profile");
    must(mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, argv[2], strlen(argv[2])), argv[2]);
    must(mailsrv_profile_seal(profile, NULL), argv[2]);
    const mailsrv_queue_setup setup = { .size = sizeof setup, .profile = profile };
    must(mailsrv_queue_open(s.engine, &setup, &s.queue), "the queue");
    uv_signal_init(loop, &s.term);
    uv_signal_start(&s.term, end, SIGTERM);
    send_message(argc - 4, argv + 4);
    uv_run(loop, UV_RUN_DEFAULT);
    mailsrv_store_free(store);
    mailsrv_uv_free(s.driver);
    mailsrv_profile_unref(profile);
    return s.status | uv_loop_close(loop);
}
