/* serve_uv.c - a mail server on a loop of libuv, over the store in memory: serve_uv NAME PASSWORD [NAME PASSWORD] ...
 * It serves NAME@here.test on free ports of 127.0.0.1, and forgets everything when it ends. */
#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>
#include <mailsrv/uv.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static const struct door {
    const char *name;
    const mailsrv_machine *(*machine)(void);
    int32_t face;
} doors[] = {
    { "smtp", mailsrv_smtp, MAILSRV_FACE_MX },
    { "lmtp", mailsrv_smtp, MAILSRV_FACE_LMTP },
    { "pop3", mailsrv_pop3, MAILSRV_FACE_POP3 },
    { "imap", mailsrv_imap, MAILSRV_FACE_IMAP },
};
enum { DOORS = sizeof doors / sizeof *doors };

static void must(int32_t status, const char *what)
{
    if (status != MAILSRV_OK)
        exit((fprintf(stderr, "%s: %s\n", what, mailsrv_strerror(status)), 1));
}

static mailsrv_store *store_for(char **names_and_passwords)
{
    mailsrv_store *store;
    mailsrv_id id;
    must(mailsrv_memory_new(NULL, &store), "the store");
    mailsrv_memory_set_u64(store, MAILSRV_MEMORY_EPOCH, (uint64_t)time(NULL));
    for (char **a = names_and_passwords; a[0] != NULL && a[1] != NULL; a += 2) {
        char address[300];
        const int n = snprintf(address, sizeof address, "%.200s@here.test", a[0]);
        must(mailsrv_memory_add_account(store, a[0], strlen(a[0]), a[1], strlen(a[1]), &id), a[0]);
        must(mailsrv_memory_add_address(store, address, (size_t)n, &id, 1), address);
    }
    return store;
}

static mailsrv_profile *profile_for(const struct door *door)
{
    mailsrv_profile *profile;
    must(mailsrv_profile_new(NULL, door->machine(), door->face, &profile), door->name);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1); /* nobody else listens on loopback */
    must(mailsrv_profile_seal(profile, NULL), door->name);
    return profile;
}

static void open_door(mailsrv_uv *driver, mailsrv_profile *profile, const char *name)
{
    mailsrv_uv_listener *listener;
    const mailsrv_uv_listener_setup setup = { .size = sizeof setup, .address = "127.0.0.1", .profile = profile };
    must(mailsrv_uv_listen(driver, &setup, &listener), name);
    printf("%s 127.0.0.1:%d\n", name, mailsrv_uv_listener_port(listener));
}

static void end(uv_signal_t *signal, int number)
{
    (void)number;
    mailsrv_uv_close(signal->data, 1000, NULL, NULL);
    uv_close((uv_handle_t *)signal, NULL); /* nothing else keeps the loop running */
}

int main(int argc, char **argv)
{
    mailsrv_engine *engine;
    mailsrv_uv *driver;
    mailsrv_profile *profiles[DOORS];
    uv_signal_t signal_;
    uv_loop_t *loop = uv_default_loop();
    mailsrv_store *store = store_for(argc > 0 ? argv + 1 : argv);

    signal(SIGPIPE, SIG_IGN);
    must(mailsrv_engine_new(NULL, &engine), "the engine");
    must(mailsrv_store_bind(store, engine), "the store");
    must(mailsrv_uv_new(loop, engine, NULL, &driver), "the driver");
    for (int i = 0; i < DOORS; i++)
        open_door(driver, profiles[i] = profile_for(doors + i), doors[i].name);
    fflush(stdout);
    uv_signal_init(loop, &signal_);
    signal_.data = driver;
    uv_signal_start(&signal_, end, SIGTERM);
    uv_run(loop, UV_RUN_DEFAULT);

    mailsrv_store_free(store);
    mailsrv_uv_free(driver);
    for (int i = 0; i < DOORS; i++)
        mailsrv_profile_unref(profiles[i]);
    return uv_loop_close(loop);
}
