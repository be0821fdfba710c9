/* The talk of SMTP and LMTP (RFC 5321, RFC 2033): the envelope in one write where the server lets it (RFC 2920). */
#ifndef LOAD_SMTP_H
#define LOAD_SMTP_H

#include "load.h"
#include "smtp_reply.h"

struct smtp {
    struct client client;
    struct smtp_reader reader;
    void (*step)(struct smtp *smtp, const struct smtp_reply *reply); /* a line of a reply has come */
    bool lmtp, pipelining, starttls;
    uint64_t seen; /* replies to the envelope, or to the message */
    uint64_t rcpt, rcpts;
    uint64_t message_ns;             /* when the message was said */
    void (*done)(struct smtp *smtp); /* what was begun has its last reply */
};

extern const struct talk smtp_talk, lmtp_talk;

/* Sends message number `op` of the corpus; its recipients are users `rcpt`, `rcpt` + 1 ..., and go round. */
void smtp_send(struct smtp *smtp, uint64_t rcpt, uint64_t rcpts, void (*accepted)(struct smtp *smtp));

void smtp_noop(struct smtp *smtp, void (*answered)(struct smtp *smtp));
void smtp_quit(struct smtp *smtp);

extern const struct mode smtp_mode, lmtp_mode;

#endif
