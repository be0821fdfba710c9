/* pop3: a whole maildrop over each connection (RFC 1939): login, STAT, UIDL, RETR of all, QUIT.  An operation is a
 * message; RETRs are sent ahead of their answers where the server lets them (RFC 2449 section 6.6). */
#ifndef LOAD_POP3_H
#define LOAD_POP3_H

#include "load.h"
#include "pop3_reply.h"

enum { POP3_AHEAD = 16 };

struct pop3 {
    struct client client;
    struct pop3_reader reader;
    enum pop3_form form; /* of the answer that comes next */
    const char *what;    /* was asked; NULL: nothing */
    void (*step)(struct pop3 *pop3, const struct pop3_reply *reply);
    bool pipelining, has_logged_in;
    uint64_t messages, octets;      /* as STAT says */
    uint64_t asked, answered, came; /* RETRs, and the octets that they gave */
    uint64_t asked_ns[POP3_AHEAD];
};

extern const struct talk pop3_talk;
extern const struct mode pop3_mode;

void pop3_ask(struct pop3 *pop3, const char *command, enum pop3_form form,
              void (*step)(struct pop3 *pop3, const struct pop3_reply *reply));
void pop3_quit(struct pop3 *pop3);

static inline struct pop3 *pop3_of(struct client *client)
{
    return (struct pop3 *)(void *)client;
}

#endif
