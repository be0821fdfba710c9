#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "mill.h"

#include <ftw.h>
#include <sys/resource.h>

enum { MEMORY_MAX = 1 << 30 };

uint64_t mill_index_octets;

double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- The engine's thread waits for the store's ---- */

static void ring(void *user)
{
    struct bell *bell = user;
    pthread_mutex_lock(&bell->lock);
    bell->rings++;
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

void mill_wait(struct mill *mill)
{
    struct bell *bell = &mill->bell;
    pthread_mutex_lock(&bell->lock);
    while (bell->rings == 0)
        pthread_cond_wait(&bell->rung, &bell->lock);
    bell->rings = 0;
    pthread_mutex_unlock(&bell->lock);
}

void mill_turn(struct mill *mill)
{
    int64_t now_us = (int64_t)(seconds() * 1e6);
    mailsrv_engine_advance(mill->engine, now_us, now_us);
    while (mailsrv_engine_turn(mill->engine, PLENTY) == MAILSRV_MORE)
        continue;
}

/* ---- Senders ---- */

static void send_text(struct sender *sender, const char *text, size_t n)
{
    sender->unsent = text;
    sender->n_unsent = n;
}

static void send_envelope(struct sender *sender)
{
    struct mill *mill = sender->mill;
    int n = snprintf(sender->envelope, sizeof sender->envelope,
                     "MAIL FROM:<sender@remote.test>\r\nRCPT TO:<u%u@here.test>\r\nDATA\r\n",
                     (unsigned)(mill->to(mill->number++) % mill->n_accounts));
    send_text(sender, sender->envelope, (size_t)n);
}

static void feed(struct sender *sender)
{
    size_t taken = 0;
    if (sender->n_unsent == 0)
        return;
    check(mailsrv_session_feed(sender->session, (const uint8_t *)sender->unsent, sender->n_unsent, &taken) == MAILSRV_OK,
          "a session does not take its input");
    sender->unsent += taken;
    sender->n_unsent -= taken;
}

/* What follows a reply; is a message through with it? */
static unsigned take_reply(struct sender *sender)
{
    const char *line = sender->line;
    if (strncmp(line, "354", 3) == 0) {
        send_text(sender, sender->mill->message, sender->mill->n_message);
        return 0;
    }
    check(line[0] == '2', line);
    return strncmp(line, "250 2.0.0", 9) == 0;
}

static unsigned take_octet(struct sender *sender, char c)
{
    if (c != '\n') {
        if (sender->n_line + 1 < sizeof sender->line)
            sender->line[sender->n_line++] = c;
        return 0;
    }
    sender->line[sender->n_line] = '\0';
    sender->n_line = 0;
    return take_reply(sender);
}

/* How many messages were acknowledged; `*some`: something was said. */
static unsigned hear(struct sender *sender, int *some)
{
    unsigned done = 0;
    mailsrv_out out;
    size_t count;
    while (mailsrv_session_output(sender->session, &out, 1, &count) == MAILSRV_OK && count != 0) {
        *some = 1;
        for (size_t i = 0; i < out.n; i++)
            done += take_octet(sender, (char)out.p[i]);
        mailsrv_session_sent(sender->session, out.n);
    }
    return done;
}

static void begin_senders(struct mill *mill, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct sender *sender = &mill->senders[i];
        *sender = (struct sender){ .mill = mill, .session = begin(mill->engine, mill->lmtp) };
        drain(mill->engine, sender->session);
        say(mill->engine, sender->session, "LHLO client.remote.test\r\n", 25);
        send_envelope(sender);
    }
}

double mill_deliver(struct mill *mill, uint32_t n, uint64_t messages)
{
    uint64_t done = 0, begun = n;
    begin_senders(mill, n);
    double since = seconds();
    while (done < messages) {
        int some = 0;
        for (uint32_t i = 0; i < n; i++)
            feed(&mill->senders[i]);
        mill_turn(mill);
        for (uint32_t i = 0; i < n; i++) {
            unsigned now = hear(&mill->senders[i], &some);
            done += now;
            if (now != 0 && begun < messages) {
                send_envelope(&mill->senders[i]);
                begun++;
            }
        }
        if (!some)
            mill_wait(mill);
    }
    since = seconds() - since;
    for (uint32_t i = 0; i < n; i++)
        mailsrv_session_free(mill->senders[i].session);
    return since;
}

/* ---- Whose mail, and who logs in ---- */

static const mailsrv_id *account_of(const struct mill *mill, mailsrv_bytes name)
{
    uint32_t n = 0;
    for (size_t i = 1; i < name.n; i++)
        n = n * 10 + (uint32_t)(name.p[i] - '0');
    check(name.n > 1 && n < mill->n_accounts, "no such account");
    return &mill->accounts[n];
}

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    const mailsrv_destination inbox = { .kind = MAILSRV_TARGET_MAILBOX,
                                        .account = *account_of(user, arg->user) };
    const mailsrv_resolved resolved = { sizeof resolved, 0, 1, sizeof inbox, &inbox };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &resolved };
    mailsrv_op_answer(engine, op->id, &answer);
}

static void verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_auth_verify *arg = op->arg;
    const mailsrv_identity identity = { .size = sizeof identity, .account = *account_of(user, arg->user) };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &identity };
    mailsrv_op_answer(engine, op->id, &answer);
}

int mill_hears(mailsrv_session *session, const char *end)
{
    char line[80];
    size_t count, n_line = 0;
    int found = 0;
    mailsrv_out out;
    while (mailsrv_session_output(session, &out, 1, &count) == MAILSRV_OK && count != 0) {
        for (size_t i = 0; i < out.n; i++) {
            if (n_line + 1 < sizeof line)
                line[n_line++] = (char)out.p[i];
            if (out.p[i] != '\n')
                continue;
            line[n_line] = '\0';
            found = found || strncmp(line, end, strlen(end)) == 0;
            n_line = 0;
        }
        mailsrv_session_sent(session, out.n);
    }
    return found;
}

void mill_await(struct mill *mill, mailsrv_session *session, const char *end)
{
    for (;;) {
        mill_turn(mill);
        if (mill_hears(session, end))
            return;
        if (mailsrv_engine_next_deadline(mill->engine) > (int64_t)(seconds() * 1e6))
            mill_wait(mill);
    }
}

void mill_say(struct mill *mill, mailsrv_session *session, const char *command, const char *end)
{
    size_t taken = 0, n = strlen(command);
    check(mailsrv_session_feed(session, (const uint8_t *)command, n, &taken) == MAILSRV_OK, "a session has ended");
    check(taken == n, "a command is not taken");
    mill_await(mill, session, end);
}

/* ---- Opening ---- */

void mill_directory(char path[64])
{
    strcpy(path, "bench-store-XXXXXX");
    check(mkdtemp(path) != NULL, "no directory");
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat;
    (void)type;
    (void)at;
    return remove(path);
}

void mill_remove(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_message(struct mill *mill, size_t octets)
{
    static const char header[] = "From: sender@remote.test\r\nSubject: bench\r\n\r\n";
    check(octets > sizeof header + 2, "no message is so small");
    mill->message = malloc(octets + 3);
    check(mill->message != NULL, "no memory");
    memset(mill->message, 'x', octets);
    memcpy(mill->message, header, sizeof header - 1);
    for (size_t i = sizeof header + 64; i < octets; i += 64)
        memcpy(mill->message + i, "\r\n", 2);
    memcpy(mill->message + octets - 2, "\r\n.\r\n", 5);
    mill->n_message = octets + 3;
}

static void take_accounts(struct mill *mill, uint32_t n)
{
    mill->accounts = calloc(n, sizeof *mill->accounts);
    check(mill->accounts != NULL, "no memory");
    mill->n_accounts = n;
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        size_t octets = (size_t)snprintf(name, sizeof name, "u%u", (unsigned)i);
        int32_t status = mailsrv_durable_find_account(mill->store, name, octets, &mill->accounts[i]);
        if (status == MAILSRV_NONEXISTENT)
            status = mailsrv_durable_add_account(mill->store, name, octets, &mill->accounts[i]);
        check(status == MAILSRV_OK, "no account");
    }
}

static uint32_t one_after_the_other(uint64_t number)
{
    return (uint32_t)number;
}

static void make_engine(struct mill *mill)
{
    mailsrv_config *config;
    check(mailsrv_config_new(NULL, &config) == MAILSRV_OK, "no config");
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, MEMORY_MAX);
    check(mailsrv_engine_new(config, &mill->engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
}

void mill_open(struct mill *mill, const char *directory, int syncs, uint32_t accounts, size_t message_octets)
{
    *mill = (struct mill){ .bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 } };
    counted_init(&mill->counted, syncs);
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = directory, .files = &mill->counted.files,
                                          .index_octets = mill_index_octets };
    check(mailsrv_durable_open(&setup, &mill->store) == MAILSRV_OK, "the store cannot be opened");
    take_accounts(mill, accounts);
    make_message(mill, message_octets);
    mill->to = one_after_the_other;
    make_engine(mill);
    check(mailsrv_durable_bind(mill->store, mill->engine, ring, &mill->bell) == MAILSRV_OK, "the store cannot be bound");
    mailsrv_engine_serve(mill->engine, MAILSRV_OP_RESOLVE, resolve, mill);
    mailsrv_engine_serve(mill->engine, MAILSRV_OP_AUTH_VERIFY, verify, mill);
    mill->lmtp = profile_of(mailsrv_smtp(), MAILSRV_FACE_LMTP);
    mill->imap = profile_of(mailsrv_imap(), MAILSRV_FACE_IMAP);
    mill_turn(mill);
}

void mill_close(struct mill *mill)
{
    mailsrv_engine_free(mill->engine, MAILSRV_ABANDON);
    mailsrv_profile_unref(mill->lmtp);
    mailsrv_profile_unref(mill->imap);
    mailsrv_store_free(mill->store);
    free(mill->accounts);
    free(mill->message);
}
