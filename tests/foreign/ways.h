/* A durable store in a directory, asked by one engine; whatever fails ends the program. */
#ifndef TESTS_FOREIGN_WAYS_H
#define TESTS_FOREIGN_WAYS_H

#include "../power/shore.h"

#include <stdbool.h>

struct way {
    struct shore shore;
    mailsrv_engine *engine;
    int64_t now_us;
};

struct way_box {
    int account;
    mailsrv_asked *asked_store, *asked_mbox;
    uint64_t store;
    mailsrv_mbox_opened value;
};

void way_begin(struct way *w, const char *directory);
void way_end(struct way *w);
void way_turn(struct way *w);
void way_expect(bool good, const char *what);
mailsrv_bytes way_bytes(const char *text); /* NULL: none */
/* Asks and waits for MAILSRV_OK. */
mailsrv_asked *way_ask(struct way *w, int32_t kind, int account, const void *arg);
const void *way_hear(struct way *w, int32_t kind, int account, const void *arg, mailsrv_asked **out);
void way_store(struct way *w, int account, struct way_box *out);
void way_open(struct way *w, int account, mailsrv_id id, struct way_box *out); /* zero: INBOX */
void way_leave(struct way *w, struct way_box *box);
void way_print(struct way *w); /* all that can be read */

#endif
