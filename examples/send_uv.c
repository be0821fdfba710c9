/* send_uv.c - a host that only sends, on a loop of libuv: send_uv DIRECTORY HOSTNAME [HOST]:PORT [FROM TO...] < MESSAGE
 *
 * What is given to it is in the queue of DIRECTORY when it says so; then it sends whatever waits there, until SIGTERM:
 * to the smarthost HOST or, without one, to each domain's own mail exchangers.  The lines of the message end with CRLF.
 * DNS_SERVERS in the environment ("127.0.0.1:5353") takes the place of the system's name servers. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/durable.h>
#include <mailsrv/uv.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { RECIPIENTS_MAX = 100, MESSAGE_OCTETS_MAX = 1 << 24 };

static struct sender {
    mailsrv_uv *driver;
    mailsrv_queue *queue;
    mailsrv_route route; /* of all mail.  TLS where it is offered: a program with a provider says more (tls.h) */
} s;

static void must(int32_t status, const char *what)
{
    if (status != MAILSRV_OK)
        exit((fprintf(stderr, "%s: %s\n", what, mailsrv_strerror(status)), 1));
}

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

/* What is being sent has a second to be done; it is still in the queue where that is too little. */
static void end(uv_signal_t *signal, int number)
{
    (void)number;
    mailsrv_uv_close(s.driver, 1000, NULL, NULL);
    uv_close((uv_handle_t *)signal, NULL); /* nothing else keeps the loop running */
}

static void on_route(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    (void)user;
    mailsrv_op_answer(engine, op->id, &(mailsrv_answer){ .size = sizeof(mailsrv_answer), .value = &s.route });
}

static void on_event(void *user, const mailsrv_event *event)
{
    (void)user;
    const int32_t what = event->what;
    if (what == MAILSRV_EVENT_SENT || what == MAILSRV_EVENT_DEFERRED || what == MAILSRV_EVENT_FAILED)
        printf("%s %.*s\n", what == MAILSRV_EVENT_SENT ? "sent" : what == MAILSRV_EVENT_FAILED ? "failed" : "waits",
               (int)event->text.n, event->text.p);
    fflush(stdout);
}

static void on_queued(void *user, int32_t status)
{
    (void)user;
    must(status, "the message");
    puts("queued");
    fflush(stdout);
}

static void send_message(int n, char **addresses)
{
    static uint8_t message[MESSAGE_OCTETS_MAX]; /* is there until on_queued */
    mailsrv_queue_recipient to[RECIPIENTS_MAX];
    const mailsrv_queue_mail mail = { .size = sizeof mail,
                                      .reverse_path = bytes(addresses[0]),
                                      .recipients = to,
                                      .n_recipients = (size_t)n - 1,
                                      .message = { message, fread(message, 1, sizeof message, stdin) } };
    for (int i = 1; i < n; i++)
        to[i - 1] = (mailsrv_queue_recipient){ .size = sizeof *to, .address = bytes(addresses[i]) };
    must(mailsrv_queue_send(s.queue, &mail, on_queued, NULL), "the message");
}

int main(int argc, char **argv)
{
    mailsrv_store *store;
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    uv_signal_t term;
    uv_loop_t *loop = uv_default_loop();
    char *colon = argc < 4 ? NULL : strrchr(argv[3], ':');
    if (colon == NULL || argc == 5 || argc > 5 + RECIPIENTS_MAX)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    *colon = '\0';
    s.route = (mailsrv_route){ .size = sizeof s.route,
                               .kind = *argv[3] == '\0' ? MAILSRV_ROUTE_MX : MAILSRV_ROUTE_HOST,
                               .host = bytes(argv[3]),
                               .port = (uint16_t)atoi(colon + 1) };
    const mailsrv_durable_setup where = { .size = sizeof where, .directory = argv[1] };
    const mailsrv_uv_setup driver = { .size = sizeof driver, .on_event = on_event };
    const mailsrv_uv_out_setup out = { .size = sizeof out, .dns_servers = getenv("DNS_SERVERS") };
    must(mailsrv_durable_open(&where, &store), argv[1]);
    must(mailsrv_engine_new(NULL, &engine), "the engine");
    must(mailsrv_uv_new(loop, engine, &driver, &s.driver), "the driver");
    must(mailsrv_durable_bind(store, engine, mailsrv_uv_wake, s.driver), "the store");
    must(mailsrv_uv_go_out(s.driver, &out), "connections");
    must(mailsrv_engine_serve(engine, MAILSRV_OP_ROUTE, on_route, NULL), "routes");
    must(mailsrv_profile_new(NULL, mailsrv_smtp_client(), MAILSRV_FACE_CLIENT, &profile), "the profile");
    must(mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, argv[2], strlen(argv[2])), argv[2]);
    must(mailsrv_profile_seal(profile, NULL), argv[2]);
    const mailsrv_queue_setup setup = { .size = sizeof setup, .profile = profile };
    must(mailsrv_queue_open(engine, &setup, &s.queue), "the queue");
    if (argc > 5)
        send_message(argc - 4, argv + 4);
    uv_signal_init(loop, &term);
    uv_signal_start(&term, end, SIGTERM);
    uv_run(loop, UV_RUN_DEFAULT);
    mailsrv_store_free(store);
    mailsrv_uv_free(s.driver);
    mailsrv_profile_unref(profile);
    return uv_loop_close(loop);
}
