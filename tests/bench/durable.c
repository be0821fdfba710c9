/* Messages a second into the durable store, over LMTP sessions in memory, and how many of them share a sync; beside
 * what the disk does by itself, appending as much and syncing it each time. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "host.h"

#include <mailsrv/stores/durable.h>

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <unistd.h>

enum { AT_ONCE_MAX = 64, MESSAGE_OCTETS = 4096, LIMIT_SYNCS = 500 };

static char message[MESSAGE_OCTETS + 4];
static mailsrv_id account;
static unsigned checks;

/* ---- The engine's thread waits for the store's ---- */

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    int rings;
};

static void ring(void *user)
{
    struct bell *bell = user;
    pthread_mutex_lock(&bell->lock);
    bell->rings++;
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->lock);
}

static void wait_for(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    while (bell->rings == 0)
        pthread_cond_wait(&bell->rung, &bell->lock);
    bell->rings = 0;
    pthread_mutex_unlock(&bell->lock);
}

/* ---- Senders ---- */

static const char envelope[] = "MAIL FROM:<sender@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n";

struct sender {
    mailsrv_session *session;
    const char *unsent;
    size_t n_unsent;
    char line[64]; /* the reply that comes in, as far as it matters */
    size_t n_line;
};

static void send_text(struct sender *sender, const char *text, size_t n)
{
    sender->unsent = text;
    sender->n_unsent = n;
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
static int take_reply(struct sender *sender)
{
    const char *line = sender->line;
    if (strncmp(line, "354", 3) == 0) {
        send_text(sender, message, MESSAGE_OCTETS + 3);
        return 0;
    }
    check(line[0] == '2', line);
    if (strncmp(line, "250 2.0.0", 9) != 0)
        return 0;
    send_text(sender, envelope, sizeof envelope - 1);
    return 1;
}

static int take_octet(struct sender *sender, char c)
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
            done += (unsigned)take_octet(sender, (char)out.p[i]);
        mailsrv_session_sent(sender->session, out.n);
    }
    return done;
}

/* ---- */

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_destination inbox = { MAILSRV_TARGET_MAILBOX, 0, account, { { 0 } } };
    const mailsrv_resolved resolved = { sizeof resolved, 0, 1, sizeof inbox, &inbox };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &resolved };
    (void)user;
    mailsrv_op_answer(engine, op->id, &answer);
}

static void turn(mailsrv_engine *engine)
{
    int64_t now_us = (int64_t)(seconds() * 1e6);
    mailsrv_engine_advance(engine, now_us, now_us);
    while (mailsrv_engine_turn(engine, PLENTY) == MAILSRV_MORE)
        continue;
}

static double deliver(mailsrv_engine *engine, struct bell *bell, struct sender *senders, unsigned n, unsigned messages)
{
    double since = seconds();
    for (unsigned done = 0; done < messages;) {
        int some = 0;
        for (unsigned i = 0; i < n; i++)
            feed(&senders[i]);
        turn(engine);
        for (unsigned i = 0; i < n; i++)
            done += hear(&senders[i], &some);
        if (!some)
            wait_for(bell);
    }
    return seconds() - since;
}

/* Appends of the same size, each synced: what one sender could reach at most. */
static double limit_of(const char *directory)
{
    char path[256];
    snprintf(path, sizeof path, "%s/limit", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
    check(fd >= 0, "no file");
    double since = seconds();
    for (int i = 0; i < LIMIT_SYNCS; i++)
        check(write(fd, message, MESSAGE_OCTETS) == MESSAGE_OCTETS && fdatasync(fd) == 0, "the disk fails");
    double rate = LIMIT_SYNCS / (seconds() - since);
    close(fd);
    unlink(path);
    return rate;
}

static void measure(mailsrv_store *store, const char *directory, unsigned n, unsigned messages)
{
    static struct sender senders[AT_ONCE_MAX];
    struct bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
    mailsrv_engine *engine;
    check(mailsrv_engine_new(NULL, &engine) == MAILSRV_OK, "no engine");
    check(mailsrv_durable_bind(store, engine, ring, &bell) == MAILSRV_OK, "the store cannot be bound");
    mailsrv_engine_serve(engine, MAILSRV_OP_RESOLVE, resolve, NULL);
    turn(engine);
    mailsrv_profile *profile = profile_of(mailsrv_smtp(), MAILSRV_FACE_LMTP);
    for (unsigned i = 0; i < n; i++) {
        senders[i] = (struct sender){ .session = begin(engine, profile) };
        drain(engine, senders[i].session);
        say(engine, senders[i].session, "LHLO client.remote.test\r\n", 25);
        send_text(&senders[i], envelope, sizeof envelope - 1);
    }
    uint64_t groups = mailsrv_durable_stat(store, MAILSRV_DURABLE_STAT_GROUPS);
    double before = limit_of(directory); /* its mood changes */
    double rate = messages / deliver(engine, &bell, senders, n, messages);
    double limit = (before + limit_of(directory)) / 2;
    groups = mailsrv_durable_stat(store, MAILSRV_DURABLE_STAT_GROUPS) - groups;
    printf("# summary: durable, %u at once: %.0f messages a second, %.2f syncs each; the disk %.0f: ratio %.2f\n", n, rate,
           (double)groups / messages, limit, rate / limit);
    for (unsigned i = 0; i < n; i++)
        mailsrv_session_free(senders[i].session);
    mailsrv_engine_free(engine, MAILSRV_ABANDON);
    mailsrv_profile_unref(profile);
    printf("ok %u - %u at once\n", ++checks, n);
}

static void fill_message(void)
{
    memset(message, 'x', MESSAGE_OCTETS);
    memcpy(message, "Subject: x\r\n\r\n", 14);
    for (size_t i = 64; i < MESSAGE_OCTETS; i += 64)
        memcpy(message + i, "\r\n", 2);
    memcpy(message + MESSAGE_OCTETS - 2, "\r\n.\r\n", 5);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat;
    (void)type;
    (void)at;
    return remove(path);
}

int main(void)
{
    static const unsigned at_once[] = { 1, 8, 64 };
    char directory[] = "bench-durable-XXXXXX";
    unsigned messages = (unsigned)count_of("BENCH_MESSAGES", 5000) / 5;
    mailsrv_store *store;
    check(mkdtemp(directory) != NULL, "no directory");
    fill_message();
    printf("1..3\n");
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = directory };
    check(mailsrv_durable_open(&setup, &store) == MAILSRV_OK, "the store cannot be opened");
    check(mailsrv_durable_add_account(store, "pat", 3, &account) == MAILSRV_OK, "no account");
    for (size_t i = 0; i < 3; i++)
        measure(store, directory, at_once[i], messages);
    mailsrv_store_free(store);
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
