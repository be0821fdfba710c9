#include "fixture.h"

#include <stdlib.h>
#include <string.h>

mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static mailsrv_id account(mailsrv_store *store, const char *name)
{
    mailsrv_id id = { { 0 } };
    if (mailsrv_memory_add_account(store, name, strlen(name), "secret", 6, &id) != MAILSRV_OK)
        abort();
    return id;
}

void begin(struct fixture *f)
{
    if (mailsrv_memory_new(NULL, &f->store) != MAILSRV_OK)
        abort();
    f->pat = account(f->store, "pat");
    f->kim = account(f->store, "kim");
    for (int i = 0; i < 2; i++) {
        if (mailsrv_engine_new(NULL, &f->engines[i]) != MAILSRV_OK ||
            mailsrv_store_bind(f->store, f->engines[i]) != MAILSRV_OK)
            abort();
        mailsrv_engine_advance(f->engines[i], 1, 1);
    }
}

void end(struct fixture *f)
{
    for (int i = 0; i < 2; i++)
        mailsrv_engine_free(f->engines[i], MAILSRV_ABANDON);
    mailsrv_store_free(f->store);
}

/* Asks and turns; the question is kept, for its answer and what that opened. */
mailsrv_asked *ask(struct fixture *f, int engine, int32_t kind, const mailsrv_id *whose, const void *arg)
{
    mailsrv_asked *asked;
    if (mailsrv_ask(f->engines[engine], kind, whose, arg, &asked) != MAILSRV_OK)
        abort();
    mailsrv_engine_turn(f->engines[engine], 10000);
    return asked;
}

int32_t status_of(const mailsrv_asked *asked)
{
    const mailsrv_answer *answer = mailsrv_asked_answer(asked);
    return answer != NULL ? answer->status : MAILSRV_MORE;
}

void drop(struct fixture *f, mailsrv_asked *asked)
{
    mailsrv_asked_free(asked);
    mailsrv_engine_turn(f->engines[0], 10000);
    mailsrv_engine_turn(f->engines[1], 10000);
}

uint64_t stat_of(const struct fixture *f, int32_t key)
{
    return mailsrv_memory_stat(f->store, key);
}

mailsrv_asked *open_store(struct fixture *f, int engine, uint64_t *store)
{
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    mailsrv_asked *asked = ask(f, engine, MAILSRV_OP_STORE_OPEN, &f->pat, &arg);
    *store =
        status_of(asked) == MAILSRV_OK ? ((const mailsrv_store_opened *)mailsrv_asked_answer(asked)->value)->store : 0;
    return asked;
}

mailsrv_asked *open_mailbox(struct fixture *f, uint64_t store, const char *name, uint32_t for_writing,
                            mailsrv_mbox_opened *out)
{
    mailsrv_arg_mbox_open arg = { .size = sizeof arg, .store = store, .for_writing = for_writing, .name = bytes(name) };
    mailsrv_asked *asked = ask(f, 0, MAILSRV_OP_MBOX_OPEN, &f->pat, &arg);
    if (status_of(asked) != MAILSRV_OK)
        abort();
    *out = *(const mailsrv_mbox_opened *)mailsrv_asked_answer(asked)->value;
    return asked;
}
