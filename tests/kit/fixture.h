/* The memory store with two accounts and two engines, moved by hand. */
#ifndef TESTS_KIT_FIXTURE_H
#define TESTS_KIT_FIXTURE_H

#include <mailsrv/ask.h>
#include <mailsrv/stores/memory.h>

struct fixture {
    mailsrv_store *store;
    mailsrv_engine *engines[2];
    mailsrv_id pat, kim;
};

mailsrv_bytes bytes(const char *text);
void begin(struct fixture *f);
void end(struct fixture *f);

/* Asks and turns; the question is kept, for its answer and what that opened. */
mailsrv_asked *ask(struct fixture *f, int engine, int32_t kind, const mailsrv_id *whose, const void *arg);
int32_t status_of(const mailsrv_asked *asked);
void drop(struct fixture *f, mailsrv_asked *asked);
uint64_t stat_of(const struct fixture *f, int32_t key);

/* Of the account pat; it must be there. */
mailsrv_asked *open_store(struct fixture *f, int engine, uint64_t *store);
mailsrv_asked *open_mailbox(struct fixture *f, uint64_t store, const char *name, uint32_t for_writing,
                            mailsrv_mbox_opened *out);

#endif
