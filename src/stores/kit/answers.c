/* Answers as such: each given once and whole, and every handle given back. */
#include "kit.h"

#include <string.h>

#define POP3 (MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3)

/* One of each kind of the tiers that are covered, with all that opens and closes. */
static void everything(struct kit *k)
{
    struct box box;
    struct list list;
    struct staged body;
    mailsrv_result result;
    mailsrv_asked *question;
    uint64_t modseq;
    if (!mailsrv__kit_stage(k, 0, 100, 100, PIECE_MAX, &body))
        return;
    mailsrv__kit_drop(k, body.question);
    if (!mailsrv__kit_deliver(k, 0, 0, 100, 100, &result) || (k->setup->covers & MAILSRV_KIT_POP3) == 0)
        return;
    if (!mailsrv__kit_open(k, 0, 0, &box) || !mailsrv__kit_list(k, &box, ROWS_MAX, &list))
        return;
    mailsrv_arg_read arg = { sizeof arg, result.uid, box.handle, 0, 0, 0, 10, 0 };
    mailsrv__kit_hear(k, 0, MAILSRV_OP_READ, &box.account, &arg, &question);
    mailsrv__kit_drop(k, question);
    mailsrv__kit_expunge(k, &box, result.uid, result.uid, 0, &modseq);
    mailsrv__kit_shut(k, &box);
}

/* The engine says what it had to refuse. */
static void once_and_whole(struct kit *k)
{
    const mailsrv_event *event;
    everything(k);
    for (int i = 0; i < ENGINES; i++)
        while (mailsrv_engine_next_event(k->engines[i], &event) == MAILSRV_OK)
            mailsrv__kit_expect(k, event->what != MAILSRV_EVENT_STORE_FAILED,
                                "an operation was answered twice, or with what is no answer");
}

static void answered(struct kit *k)
{
    everything(k);
    mailsrv__kit_expect(k, mailsrv__kit_quiet(k), "an operation got no answer");
}

static void closed(struct kit *k)
{
    everything(k);
    mailsrv__kit_expect(k, k->setup->handles(k->setup->user) == 0, "handles are open though all were closed");
}

const struct check mailsrv__kit_answers[] = {
    { "answers are given once and whole", MAILSRV_KIT_RECEIVE, once_and_whole },
    { "every operation is answered", MAILSRV_KIT_RECEIVE, answered },
    { "no handle is left open", MAILSRV_KIT_RECEIVE | NEEDS_HANDLES, closed },
    { NULL, 0, NULL },
};
