/* Reading out of the durable store, by sessions in memory: what a client asks of a mailbox that it has not seen before
 * (flags, dates, sizes, envelopes and structures), whole messages over IMAP, a maildrop over POP3, and a search of
 * subjects. */
#define _XOPEN_SOURCE 700 /* mkdtemp, nftw */
#include "host.h"

#include <mailsrv/stores/durable.h>

#include <ftw.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OCTETS_LEAST = 2048, SLICES = 16 };

static mailsrv_id account;
static unsigned checks;

/* ---- The engine's thread waits for the store's ---- */

struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool rings;
};

static struct bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

static void ring(void *user)
{
    (void)user;
    pthread_mutex_lock(&bell.lock);
    bell.rings = true;
    pthread_cond_signal(&bell.rung);
    pthread_mutex_unlock(&bell.lock);
}

static void wait_for_bell(void)
{
    pthread_mutex_lock(&bell.lock);
    while (!bell.rings)
        pthread_cond_wait(&bell.rung, &bell.lock);
    bell.rings = false;
    pthread_mutex_unlock(&bell.lock);
}

static void turn(mailsrv_engine *engine)
{
    int64_t now_us = (int64_t)(seconds() * 1e6);
    mailsrv_engine_advance(engine, now_us, now_us);
    while (mailsrv_engine_turn(engine, PLENTY) == MAILSRV_MORE)
        continue;
}

/* ---- A client ---- */

struct client {
    mailsrv_engine *engine;
    mailsrv_session *session;
    char end[256]; /* what was said last */
    size_t n_end;
    uint64_t octets;
};

static void keep_end(struct client *c, const uint8_t *p, size_t n)
{
    if (n >= sizeof c->end) {
        p += n - sizeof c->end;
        n = sizeof c->end;
    }
    size_t kept = c->n_end + n > sizeof c->end ? sizeof c->end - n : c->n_end;
    memmove(c->end, c->end + c->n_end - kept, kept);
    memcpy(c->end + kept, p, n);
    c->n_end = kept + n;
}

/* False: nothing was said. */
static bool hear(struct client *c)
{
    mailsrv_out v[SLICES];
    size_t count, n = 0;
    mailsrv_session_output(c->session, v, SLICES, &count);
    for (size_t i = 0; i < count; i++) {
        keep_end(c, v[i].p, v[i].n);
        n += v[i].n;
    }
    mailsrv_session_sent(c->session, n);
    c->octets += n;
    return n != 0;
}

/* Is the last line that was said one that begins so? */
static bool ends_with(const struct client *c, const char *line)
{
    if (c->n_end < 2 || c->end[c->n_end - 1] != '\n')
        return false;
    size_t at = c->n_end - 1;
    while (at > 0 && c->end[at - 1] != '\n')
        at--;
    return c->n_end - at >= strlen(line) && memcmp(c->end + at, line, strlen(line)) == 0;
}

/* Until a line has come that begins with `last`, which is the end of what was asked. */
static void await(struct client *c, const char *last)
{
    for (;;) {
        turn(c->engine);
        bool some = hear(c);
        if (some && ends_with(c, last))
            return;
        if (!some && !ends_with(c, last))
            wait_for_bell();
    }
}

static void command(struct client *c, const char *text, size_t n, const char *last)
{
    c->n_end = 0;
    while (n != 0) {
        size_t taken = 0;
        check(mailsrv_session_feed(c->session, (const uint8_t *)text, n, &taken) == MAILSRV_OK, "the session has ended");
        text += taken;
        n -= taken;
        if (n == 0)
            break;
        turn(c->engine);
        if (taken == 0 && !hear(c))
            wait_for_bell();
    }
    await(c, last);
}

/* ---- The mailbox is filled ---- */

static uint64_t state = 1;

static unsigned any(unsigned below)
{
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(state >> 33) % below;
}

static const char *const names[] = { "Ada Lovelace", "Grace Hopper", "Alan Turing", "Edsger Dijkstra",
                                     "Barbara Liskov", "Donald Knuth", "Radia Perlman", "Ken Thompson" };
static const char *const words[] = { "meeting", "report", "invoice", "holiday", "draft", "of", "the", "next", "about",
                                     "question", "figures", "and", "Re:", "budget", "release", "notes" };

static char *text; /* the message that is made */
static size_t n_text;

static void add(const char *format, const char *a, const char *b, unsigned c)
{
    n_text += (size_t)sprintf(text + n_text, format, a, b, c);
}

static void add_subject(void)
{
    add("Subject:%s%s", "", "", 0);
    for (unsigned i = 3 + any(5); i != 0; i--)
        add(" %s%s", words[any(16)], "", 0);
    add("%s%s", "\r\n", "", 0);
}

static void add_header(unsigned number)
{
    const char *from = names[any(8)], *to = names[any(8)];
    add("Received: from mx.remote.test (%s [192.0.2.%s]) by here.test; Mon, 3 Mar 2025 10:%02u:00 +0100\r\n",
        "mx.remote.test", "17", number % 60);
    add("Date: Mon, 3 Mar 2025 %s%s10:%02u:00 +0100\r\n", "", "", number % 60);
    add("From: \"%s\" <%s%u@remote.test>\r\n", from, "person.", any(1000));
    add("To: %s <%sat@here.test>\r\n", to, "p", 0);
    if (any(3) == 0)
        add("Cc: %s <%s%u@here.test>\r\n", names[any(8)], "someone.", any(100));
    add_subject();
    add("Message-ID: <%s%s%u", "20250303.", "abcdefgh.", number);
    add(".%s%s%u@remote.test>\r\n", "", "", any(1000000));
    if (any(2) == 0)
        add("In-Reply-To: <%s%s%u@here.test>\r\n", "20250302.", "zyxw.", any(1000000));
    add("MIME-Version: %s%s\r\n", "1.0", "", 0);
}

static void add_lines(size_t until)
{
    while (n_text + 74 < until) {
        memset(text + n_text, 'a' + (int)any(26), 70);
        memcpy(text + n_text + 70, "\r\n", 3);
        n_text += 72;
    }
}

static void add_text(const char *subtype, size_t until)
{
    add("Content-Type: text/%s; charset=%s\r\n", subtype, "utf-8", 0);
    add("Content-Transfer-Encoding: %s%s\r\n\r\n", "quoted-printable", "", 0);
    add_lines(until);
    add("%s%s", "\r\n", "", 0);
}

/* Six of ten are plain, three are text and HTML, and one has something attached. */
static void make_message(unsigned number, size_t octets)
{
    unsigned kind = any(10);
    n_text = 0;
    add_header(number);
    if (kind < 6) {
        add_text("plain", octets - 2);
        return;
    }
    add("Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n", kind < 9 ? "alternative" : "mixed", "=_part_0815", 0);
    add("--%s%s\r\n", "=_part_0815", "", 0);
    add_text("plain", octets / 3);
    add("--%s%s\r\n", "=_part_0815", "", 0);
    if (kind < 9) {
        add_text("html", octets - 20);
    } else {
        add("Content-Type: application/pdf; name=\"report %s%s%u.pdf\"\r\n", "of ", "", any(100));
        add("Content-Disposition: attachment; filename=\"report %s%s%u.pdf\"\r\n", "of ", "", any(100));
        add("Content-Transfer-Encoding: %s%s\r\n\r\n", "base64", "", 0);
        add_lines(octets - 20);
    }
    add("--%s--%s\r\n", "=_part_0815", "", 0);
}

static void resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_destination inbox = { .kind = MAILSRV_TARGET_MAILBOX, .account = account };
    const mailsrv_resolved resolved = { sizeof resolved, 0, 1, sizeof inbox, &inbox };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &resolved };
    (void)user;
    mailsrv_op_answer(engine, op->id, &answer);
}

static void verify(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_identity identity = { .size = sizeof identity, .account = account };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &identity };
    (void)user;
    mailsrv_op_answer(engine, op->id, &answer);
}

static const char envelope[] = "MAIL FROM:<sender@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n";

/* Many at once, so that they share groups: each client begins when the one before has been fed. */
static void fill(mailsrv_engine *engine, unsigned messages, size_t octets)
{
    enum { AT_ONCE = 64 };
    static struct client clients[AT_ONCE];
    mailsrv_profile *profile = profile_of(mailsrv_smtp(), MAILSRV_FACE_LMTP);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        clients[i] = (struct client){ .engine = engine, .session = begin(engine, profile) };
        command(&clients[i], "LHLO client.remote.test\r\n", 25, "250 ");
    }
    for (unsigned done = 0; done < messages; done += AT_ONCE) {
        unsigned n = messages - done < AT_ONCE ? messages - done : AT_ONCE;
        for (unsigned i = 0; i < n; i++) {
            command(&clients[i], envelope, sizeof envelope - 1, "354");
            make_message(done + i, octets);
            memcpy(text + n_text, ".\r\n", 3);
            size_t left = n_text + 3, taken = 0;
            for (const char *p = text; left != 0; p += taken, left -= taken) {
                mailsrv_session_feed(clients[i].session, (const uint8_t *)p, left, &taken);
                turn(engine);
                if (taken == 0)
                    wait_for_bell();
            }
        }
        for (unsigned i = 0; i < n; i++)
            await(&clients[i], "250 2.0.0");
    }
    for (unsigned i = 0; i < AT_ONCE; i++)
        mailsrv_session_free(clients[i].session);
    mailsrv_profile_unref(profile);
}

/* ---- What is measured ---- */

static void print(const char *what, unsigned messages, double best, uint64_t octets)
{
    printf("# summary: read, %s: %.0f messages a second, %.2f us each, %.0f MB/s\n", what, messages / best,
           best * 1e6 / messages, (double)octets / best / 1e6);
    printf("ok %u - %s\n", ++checks, what);
}

static double time_of(struct client *c, const char *line)
{
    double since = seconds();
    c->octets = 0;
    command(c, line, strlen(line), "c OK");
    return seconds() - since;
}

/* One command of IMAP about INBOX, again and again; where the first time differs from others it is told, too. */
static void ask_inbox(mailsrv_engine *engine, const char *what, const char *line, unsigned messages, bool tells_first)
{
    double best = 1e9;
    mailsrv_profile *profile = profile_of(mailsrv_imap(), MAILSRV_FACE_IMAP);
    struct client c = { .engine = engine, .session = begin(engine, profile) };
    command(&c, "a LOGIN pat secret\r\n", 20, "a OK");
    command(&c, "b SELECT INBOX\r\n", 16, "b OK");
    if (tells_first)
        printf("# summary: read, %s, first: %.2f us a message\n", what, time_of(&c, line) * 1e6 / messages);
    for (int i = 0; i < (int)count_of("BENCH_ROUNDS", 3); i++) {
        double now = time_of(&c, line);
        best = now < best ? now : best;
    }
    print(what, messages, best, c.octets);
    mailsrv_session_free(c.session);
    mailsrv_profile_unref(profile);
}

static void fetch(mailsrv_engine *engine, const char *what, const char *items, unsigned messages)
{
    char line[200];
    snprintf(line, sizeof line, "c UID FETCH 1:* %s\r\n", items);
    ask_inbox(engine, what, line, messages, false);
}

static void retrieve(mailsrv_engine *engine, unsigned messages)
{
    char line[32];
    double best = 1e9;
    uint64_t octets = 0;
    mailsrv_profile *profile = profile_of(mailsrv_pop3(), MAILSRV_FACE_POP3);
    for (int i = 0; i < (int)count_of("BENCH_ROUNDS", 3); i++) {
        struct client c = { .engine = engine, .session = begin(engine, profile) };
        double since = seconds();
        command(&c, "USER pat\r\n", 10, "+OK");
        command(&c, "PASS secret\r\n", 13, "+OK");
        command(&c, "STAT\r\n", 6, "+OK");
        command(&c, "UIDL\r\n", 6, ".\r\n");
        for (unsigned number = 1; number <= messages; number++)
            command(&c, line, (size_t)snprintf(line, sizeof line, "RETR %u\r\n", number), ".\r\n");
        command(&c, "QUIT\r\n", 6, "+OK");
        double took = seconds() - since;
        best = took < best ? took : best;
        octets = c.octets;
        mailsrv_session_free(c.session);
    }
    print("POP3, all", messages, best, octets);
    mailsrv_profile_unref(profile);
}

/* The first search of a field reads what the store has of each message; those that follow find what it kept. */
static void search(mailsrv_engine *engine, const char *what, const char *key, unsigned messages)
{
    char line[200];
    snprintf(line, sizeof line, "c UID SEARCH RETURN (COUNT) %s\r\n", key);
    ask_inbox(engine, what, line, messages, true);
}

static int32_t sync_nothing(void *user, void *file)
{
    (void)user;
    (void)file;
    return MAILSRV_OK;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat;
    (void)type;
    (void)at;
    return remove(path);
}

static void measure(mailsrv_store *store, unsigned messages, size_t octets, bool is_new)
{
    mailsrv_engine *engine;
    const char *only = getenv("BENCH_READ_ONLY");
    check(mailsrv_engine_new(NULL, &engine) == MAILSRV_OK, "no engine");
    check(mailsrv_durable_bind(store, engine, ring, NULL) == MAILSRV_OK, "the store cannot be bound");
    mailsrv_engine_serve(engine, MAILSRV_OP_RESOLVE, resolve, NULL);
    mailsrv_engine_serve(engine, MAILSRV_OP_AUTH_VERIFY, verify, NULL);
    turn(engine);
    if (is_new)
        fill(engine, messages, octets);
    if (only == NULL || strcmp(only, "sync") == 0)
        fetch(engine, "all that a client lists", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", messages);
    if (only == NULL || strcmp(only, "body") == 0)
        fetch(engine, "whole messages", "(UID BODY.PEEK[])", messages);
    if (only == NULL || strcmp(only, "pop3") == 0)
        retrieve(engine, messages);
    if (only == NULL || strcmp(only, "search") == 0)
        search(engine, "SEARCH of subjects", "HEADER Subject zebra", messages);
    mailsrv_engine_free(engine, MAILSRV_ABANDON);
}

/* With BENCH_STORE a store is made there, or the one that is there is read again, and it stays. */
int main(void)
{
    char own[] = "bench-read-XXXXXX";
    const char *kept = getenv("BENCH_STORE");
    char *directory = kept != NULL ? (char *)(uintptr_t)kept : own;
    unsigned messages = (unsigned)count_of("BENCH_MESSAGES", 2000);
    size_t octets = (size_t)count_of("BENCH_OCTETS", 4096);
    mailsrv_store *store;
    mailsrv_durable_files files = { .size = sizeof files };
    check(octets >= OCTETS_LEAST, "the messages are too small");
    text = malloc(octets + 4096);
    check(text != NULL && (kept != NULL || mkdtemp(own) != NULL), "no directory");
    bool is_new = kept == NULL || mkdir(kept, 0700) == 0;
    mailsrv_durable_system_files(&files);
    files.sync = sync_nothing; /* what is measured is reading */
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = directory, .files = &files };
    printf("1..4\n");
    check(mailsrv_durable_open(&setup, &store) == MAILSRV_OK, "the store cannot be opened");
    int32_t status = is_new ? mailsrv_durable_add_account(store, "pat", 3, &account)
                            : mailsrv_durable_find_account(store, "pat", 3, &account);
    check(status == MAILSRV_OK, "no account");
    measure(store, messages, octets, is_new);
    mailsrv_store_free(store);
    if (kept == NULL)
        nftw(own, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(text);
    return 0;
}
