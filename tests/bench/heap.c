/* Heap for each idle session, by its state: what an allocator was asked for, of a thousand sessions in that state. */
#include "host.h"

enum { SESSIONS = 1000 };

static size_t in_use;

static void *take(void *user, size_t n)
{
    (void)user;
    in_use += n;
    return malloc(n);
}

static void give(void *user, void *p, size_t n)
{
    (void)user;
    in_use -= n;
    free(p);
}

static mailsrv_engine *make_engine(mailsrv_store *store)
{
    const mailsrv_allocator counted = { sizeof counted, 0, NULL, take, give };
    mailsrv_config *config;
    mailsrv_engine *engine;
    check(mailsrv_config_new(&counted, &config) == MAILSRV_OK, "no config");
    check(mailsrv_engine_new(config, &engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
    mailsrv_store_bind(store, engine);
    mailsrv_engine_advance(engine, 1, 1);
    return engine;
}

static const struct state {
    const char *name;
    const mailsrv_machine *(*machine)(void);
    int32_t face;
    unsigned messages; /* in the maildrop */
    const char *said;
} states[] = {
    { "smtp greeted", mailsrv_smtp, MAILSRV_FACE_MX, 0, "" },
    { "smtp behind EHLO", mailsrv_smtp, MAILSRV_FACE_MX, 0, "EHLO client.remote.test\r\n" },
    { "smtp in a transaction", mailsrv_smtp, MAILSRV_FACE_MX, 0,
      "EHLO client.remote.test\r\nMAIL FROM:<sender@remote.test>\r\nRCPT TO:<pat@here.test>\r\n" },
    { "smtp in a message", mailsrv_smtp, MAILSRV_FACE_MX, 0,
      "EHLO client.remote.test\r\nMAIL FROM:<sender@remote.test>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\nSubject: x\r\n" },
    { "pop3 in AUTHORIZATION", mailsrv_pop3, MAILSRV_FACE_POP3, 0, "" },
    { "pop3 in TRANSACTION, empty", mailsrv_pop3, MAILSRV_FACE_POP3, 0, "USER pat\r\nPASS secret\r\n" },
    { "pop3 in TRANSACTION, 100 messages", mailsrv_pop3, MAILSRV_FACE_POP3, 100, "USER pat\r\nPASS secret\r\n" },
    { "imap greeted", mailsrv_imap, MAILSRV_FACE_IMAP, 0, "" },
    { "imap logged in", mailsrv_imap, MAILSRV_FACE_IMAP, 0, "a LOGIN pat secret\r\n" },
    { "imap selected, 100 messages", mailsrv_imap, MAILSRV_FACE_IMAP, 100, "a LOGIN pat secret\r\nb SELECT INBOX\r\n" },
    { "imap in IDLE, 100 messages", mailsrv_imap, MAILSRV_FACE_IMAP, 100,
      "a LOGIN pat secret\r\nb SELECT INBOX\r\nc IDLE\r\n" },
};

/* Each of them has its own account, as if all were different people. */
static mailsrv_store *store_for(const struct state *state)
{
    mailsrv_id id;
    mailsrv_store *store = store_with_pat(&id);
    for (unsigned i = 0; i < state->messages; i++)
        mailsrv_memory_append(store, &id, "Subject: x\r\n", 12);
    return store;
}

static void lock(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_locked locked = { .size = sizeof locked, .lock = 1 };
    const mailsrv_answer answer = { .size = sizeof answer, .value = &locked };
    (void)user;
    mailsrv_op_answer(engine, op->id, &answer);
}

static void unlock(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    (void)user;
    mailsrv_op_answer_status(engine, op->id, MAILSRV_OK);
}

static void measure(const struct state *state)
{
    static mailsrv_session *sessions[SESSIONS];
    size_t at_first = in_use;
    mailsrv_store *store = store_for(state);
    mailsrv_engine *engine = make_engine(store);
    mailsrv_profile *profile = profile_of(state->machine(), state->face);
    mailsrv_engine_serve(engine, MAILSRV_OP_LOCK, lock, NULL); /* one maildrop stands for a thousand */
    mailsrv_engine_serve(engine, MAILSRV_OP_UNLOCK, unlock, NULL);
    size_t before = in_use;
    for (unsigned i = 0; i < SESSIONS; i++) {
        sessions[i] = begin(engine, profile);
        drain(engine, sessions[i]);
        say(engine, sessions[i], state->said, strlen(state->said));
    }
    printf("# summary: heap of a session, %s: %zu octets\n", state->name, (in_use - before) / SESSIONS);
    for (unsigned i = 0; i < SESSIONS; i++)
        mailsrv_session_free(sessions[i]);
    mailsrv_engine_turn(engine, PLENTY);
    check(mailsrv_engine_free(engine, 0) == MAILSRV_OK, "the engine is busy");
    check(in_use == at_first, "memory is left"); /* an image of a mailbox stays until the engine ends */
    mailsrv_store_free(store);
    mailsrv_profile_unref(profile);
}

int main(void)
{
    size_t n = sizeof states / sizeof *states;
    printf("1..%zu\n", n);
    for (size_t i = 0; i < n; i++) {
        measure(&states[i]);
        printf("ok %zu - %s gives all of it back\n", i + 1, states[i].name);
    }
    return 0;
}
