/* logins.c - a server for the tests of logins, on a loop of libuv and over the store in memory:
 * logins NAME PASSWORD [CHAIN KEY ROOTS].  It has keys for SCRAM.  On the ports smtpx, popx and imapx it knows everybody,
 * without asking, as NAME; on smtps, pops and imaps TLS begins at once.  Without files it takes passwords in the clear; with them, each PEM, it has STARTTLS, and whom
 * ROOTS vouch for as CN=NAME is NAME.
 *
 * PROVIDER is openssl or mbedtls; without it there is no TLS, and the cryptography is that of the tests. */

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>
#include <mailsrv/uv.h>

#ifdef PROVIDER
#define NAME_OF_(a, b) mailsrv_##a##_##b
#define NAME_OF(a, b) NAME_OF_(a, b)
#include <mailsrv/mbedtls.h>
#include <mailsrv/openssl.h>
#else
#include "crypto.h"
#endif

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const struct door {
    const char *name;
    const mailsrv_machine *(*machine)(void);
    int32_t face;
    bool knows_everybody;
    bool begins_with_tls; /* where there is TLS */
} doors[] = {
    { "smtp", mailsrv_smtp, MAILSRV_FACE_SUBMISSION, false, false },
    { "smtpx", mailsrv_smtp, MAILSRV_FACE_SUBMISSION, true, false },
    { "smtps", mailsrv_smtp, MAILSRV_FACE_SUBMISSION, false, true },
    { "pop", mailsrv_pop3, MAILSRV_FACE_POP3, false, false },
    { "popx", mailsrv_pop3, MAILSRV_FACE_POP3, true, false },
    { "pops", mailsrv_pop3, MAILSRV_FACE_POP3, false, true },
    { "imap", mailsrv_imap, MAILSRV_FACE_IMAP, false, false },
    { "imapx", mailsrv_imap, MAILSRV_FACE_IMAP, true, false },
    { "imaps", mailsrv_imap, MAILSRV_FACE_IMAP, false, true },
};
enum { DOORS = sizeof doors / sizeof *doors };

static const char *everybody;

static void must(int32_t status, const char *what)
{
    if (status != MAILSRV_OK)
        exit((fprintf(stderr, "%s: %s\n", what, mailsrv_strerror(status)), 1));
}

#ifdef PROVIDER

static mailsrv_crypto crypto_here(void)
{
    return *NAME_OF(PROVIDER, crypto)();
}

static mailsrv_bytes read_file(const char *path)
{
    static uint8_t room[3][16384];
    static size_t n_files;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        exit((perror(path), 1));
    uint8_t *p = room[n_files++];
    size_t n = fread(p, 1, sizeof room[0], file);
    fclose(file);
    return (mailsrv_bytes){ p, n };
}

static mailsrv_tls *tls_from(char **files)
{
    mailsrv_tls *tls;
    mailsrv_error why = { .size = sizeof why };
    if (files[0] == NULL)
        return NULL;
    const mailsrv_certificate certificate = { .size = sizeof certificate,
                                              .chain = read_file(files[0]),
                                              .key = read_file(files[1]) };
    const mailsrv_tls_setup setup = { .size = sizeof setup,
                                      .certificates = &certificate,
                                      .n_certificates = 1,
                                      .certificate_stride = sizeof certificate,
                                      .client_roots = read_file(files[2]) };
    must(NAME_OF(PROVIDER, new)(&setup, &tls, &why), why.expected == NULL ? "TLS" : why.expected);
    return tls;
}

#else

/* Random numbers that differ: the test's own are always the same. */
static int32_t some_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    return uv_random(NULL, NULL, out, n, 0, NULL) == 0 ? MAILSRV_OK : MAILSRV_TEMP;
}

static mailsrv_crypto crypto_here(void)
{
    static uint8_t calls;
    mailsrv_crypto crypto = test_crypto(&calls);
    crypto.random = some_random;
    return crypto;
}

static mailsrv_tls *tls_from(char **files)
{
    return files[0] == NULL ? NULL : (exit(2), NULL);
}

#endif

static void add_keys(mailsrv_store *store, const mailsrv_id *account, const mailsrv_crypto *crypto, const char *password)
{
    uint8_t salt[16], stored[32], server[32];
    const mailsrv_bytes text = { (const uint8_t *)password, strlen(password) }, salt_bytes = { salt, sizeof salt };
    must(crypto->random(crypto->user, salt, sizeof salt), "a salt");
    for (int32_t hash = MAILSRV_HASH_SHA1; hash <= MAILSRV_HASH_SHA256; hash++) {
        const size_t octets = hash == MAILSRV_HASH_SHA1 ? 20 : 32;
        const mailsrv_scram_record record = { .size = sizeof record,
                                              .iterations = 4096,
                                              .salt = salt_bytes,
                                              .stored_key = { stored, octets },
                                              .server_key = { server, octets } };
        must(mailsrv_scram_keys(crypto, hash, &text, &salt_bytes, 4096, stored, server), "keys");
        must(mailsrv_memory_set_scram(store, account, hash, &record), "keys");
    }
}

static mailsrv_store *store_for(const char *name, const char *password, const mailsrv_crypto *crypto)
{
    mailsrv_store *store;
    mailsrv_id id;
    char address[300];
    const int n = snprintf(address, sizeof address, "%.200s@here.test", name);
    must(mailsrv_memory_new(NULL, &store), "the store");
    must(mailsrv_memory_add_account(store, name, strlen(name), password, strlen(password), &id), name);
    must(mailsrv_memory_add_address(store, address, (size_t)n, &id, 1), address);
    add_keys(store, &id, crypto, password);
    return store;
}

static mailsrv_profile *profile_for(const struct door *door, mailsrv_tls *tls)
{
    mailsrv_profile *profile;
    must(mailsrv_profile_new(NULL, door->machine(), door->face, &profile), door->name);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, tls == NULL);
    const uint64_t mode = door->begins_with_tls ? MAILSRV_TLS_IMPLICIT : MAILSRV_TLS_OFFERED;
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_TLS, tls == NULL ? MAILSRV_TLS_NONE : mode);
    mailsrv_profile_set_tls(profile, tls);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_AUTH_DELAY_MS, 10);
    must(mailsrv_profile_seal(profile, NULL), door->name);
    return profile;
}

static bool is(mailsrv_bytes b, const char *before, const char *text)
{
    const size_t n = strlen(before);
    return b.n == n + strlen(text) && memcmp(b.p, before, n) == 0 && memcmp(b.p + n, text, b.n - n) == 0;
}

/* By the name that is known from outside, or by the certificate; as himself. */
static void external(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_auth_external *arg = op->arg;
    mailsrv_identity identity = { .size = sizeof identity, .acts_as = arg->identity.n != 0 };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &identity };
    const bool known = is(arg->external, "", everybody) || is(arg->subject, "CN=", everybody);
    mailsrv_memory_find_account(user, everybody, strlen(everybody), &identity.account);
    if (known && (arg->identity.n == 0 || is(arg->identity, "", everybody)))
        mailsrv_op_answer(engine, op->id, &answer);
    else
        mailsrv_op_answer_status(engine, op->id, MAILSRV_DENIED);
}

static int32_t know_everybody(void *user, mailsrv_uv_connection *connection)
{
    (void)user;
    return mailsrv_session_set_external(mailsrv_uv_connection_session(connection), everybody, strlen(everybody));
}

static void open_door(mailsrv_uv *driver, mailsrv_profile *profile, const struct door *door)
{
    mailsrv_uv_listener *listener;
    const mailsrv_uv_listener_setup setup = { .size = sizeof setup,
                                              .address = "127.0.0.1",
                                              .profile = profile,
                                              .on_begin = door->knows_everybody ? know_everybody : NULL };
    must(mailsrv_uv_listen(driver, &setup, &listener), door->name);
    printf("%s 127.0.0.1:%d\n", door->name, mailsrv_uv_listener_port(listener));
}

/* What happened is said on the standard error: no secret may be found there. */
static void say_event(void *user, const mailsrv_event *event)
{
    (void)user;
    fprintf(stderr, "event %d %.*s\n", event->what, (int)event->text.n, (const char *)event->text.p);
}

static void end(uv_signal_t *signal, int number)
{
    (void)number;
    mailsrv_uv_close(signal->data, 1000, NULL, NULL);
    uv_close((uv_handle_t *)signal, NULL);
}

static mailsrv_engine *engine_with(const mailsrv_crypto *crypto, mailsrv_store *store)
{
    mailsrv_config *config;
    mailsrv_engine *engine;
    must(mailsrv_config_new(NULL, &config), "a config");
    must(mailsrv_config_set_crypto(config, crypto), "the crypto");
    must(mailsrv_engine_new(config, &engine), "the engine");
    mailsrv_config_free(config);
    must(mailsrv_store_bind(store, engine), "the store");
    must(mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_EXTERNAL, external, store), "EXTERNAL");
    return engine;
}

int main(int argc, char **argv)
{
    mailsrv_crypto crypto = crypto_here();
    const mailsrv_uv_setup setup = { .size = sizeof setup, .on_event = say_event };
    mailsrv_profile *profiles[DOORS];
    mailsrv_uv *driver;
    uv_signal_t signal_;
    uv_loop_t *loop = uv_default_loop();
    if (argc != 3 && argc != 6)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    everybody = argv[1];
    mailsrv_tls *tls = tls_from(argv + 3);
    mailsrv_store *store = store_for(argv[1], argv[2], &crypto);
    must(mailsrv_uv_new(loop, engine_with(&crypto, store), &setup, &driver), "the driver");
    for (int i = 0; i < DOORS; i++)
        open_door(driver, profiles[i] = profile_for(doors + i, tls), doors + i);
    fflush(stdout);
    uv_signal_init(loop, &signal_);
    signal_.data = driver;
    uv_signal_start(&signal_, end, SIGTERM);
    uv_run(loop, UV_RUN_DEFAULT);
    mailsrv_store_free(store);
    mailsrv_uv_free(driver);
    for (int i = 0; i < DOORS; i++)
        mailsrv_profile_unref(profiles[i]);
    mailsrv_tls_unref(tls);
    return uv_loop_close(loop);
}
