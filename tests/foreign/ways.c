#include "ways.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void way_expect(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "that failed: %s\n", what);
    exit(1);
}

void way_begin(struct way *w, const char *directory)
{
    shore_init(&w->shore, directory, NULL);
    w->shore.setup.segment_octets = 65536;
    int32_t status = shore_open(&w->shore);
    way_expect(status == MAILSRV_OK, mailsrv_strerror(status));
    way_expect(mailsrv_engine_new(NULL, &w->engine) == MAILSRV_OK, "an engine");
    way_expect(shore_bind(&w->shore, w->engine) == MAILSRV_OK, "binding");
    way_turn(w);
}

void way_end(struct way *w)
{
    way_turn(w);
    mailsrv_engine_free(w->engine, MAILSRV_ABANDON);
    shore_close(&w->shore);
}

void way_turn(struct way *w)
{
    w->now_us += 1000;
    mailsrv_engine_advance(w->engine, w->now_us, w->now_us);
    while (mailsrv_engine_turn(w->engine, 100000) == MAILSRV_MORE)
        continue;
}

mailsrv_bytes way_bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, text != NULL ? strlen(text) : 0 };
}

mailsrv_asked *way_ask(struct way *w, int32_t kind, int account, const void *arg)
{
    mailsrv_asked *asked;
    way_expect(mailsrv_ask(w->engine, kind, &w->shore.accounts[account], arg, &asked) == MAILSRV_OK, "asking");
    for (way_turn(w); mailsrv_asked_answer(asked) == NULL; way_turn(w))
        way_expect(shore_wait(&w->shore) != 0, "waiting");
    way_expect(mailsrv_asked_answer(asked)->status == MAILSRV_OK, mailsrv_op_name(kind));
    return asked;
}

const void *way_hear(struct way *w, int32_t kind, int account, const void *arg, mailsrv_asked **out)
{
    *out = way_ask(w, kind, account, arg);
    return mailsrv_asked_answer(*out)->value;
}

void way_store(struct way *w, int account, struct way_box *out)
{
    memset(out, 0, sizeof *out);
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    out->account = account;
    out->store = ((const mailsrv_store_opened *)way_hear(w, MAILSRV_OP_STORE_OPEN, account, &arg,
                                                         &out->asked_store))->store;
}

void way_open(struct way *w, int account, mailsrv_id id, struct way_box *out)
{
    way_store(w, account, out);
    mailsrv_arg_mbox_open arg = { .size = sizeof arg, .store = out->store, .mailbox = id, .name = way_bytes("inbox") };
    memcpy(&out->value, way_hear(w, MAILSRV_OP_MBOX_OPEN, account, &arg, &out->asked_mbox), sizeof out->value);
}

void way_leave(struct way *w, struct way_box *box)
{
    mailsrv_asked_free(box->asked_mbox);
    mailsrv_asked_free(box->asked_store);
    way_turn(w);
}
