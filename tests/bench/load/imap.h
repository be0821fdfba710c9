/* The talk of IMAP (RFC 9051, RFC 3501): one command at a time, each with its answer. */
#ifndef LOAD_IMAP_H
#define LOAD_IMAP_H

#include "imap_reply.h"
#include "load.h"

struct imap {
    struct client client;
    struct imap_reader reader;
    uint32_t tag;
    bool asked, literal_plus, literal_minus, starttls, told_capability;
    const char *what;                   /* was asked */
    void (*done)(struct imap *imap);    /* it was answered by OK */
    void (*goes_on)(struct imap *imap); /* it was answered by "+"; NULL: that is wrong */
    void (*untagged)(struct imap *imap, const struct imap_reply *reply); /* further responses; NULL: nobody minds */
    uint64_t exists;
    /* Of the command that runs: */
    uint64_t fetched, found, searches, literals, octets;
};

/* Greeting, STARTTLS, LOGIN; then the connection is ready. */
extern const struct talk imap_talk;

/* Begins a command; its text follows by imap_say(), and imap_end() sends it. */
void imap_ask(struct imap *imap, const char *what, void (*done)(struct imap *imap));
void imap_say(struct imap *imap, const char *text);
void imap_say_name(struct imap *imap, const char *pattern, uint64_t number); /* as a quoted string */
void imap_end(struct imap *imap);

void imap_login(struct imap *imap, void (*done)(struct imap *imap));
void imap_select(struct imap *imap, void (*done)(struct imap *imap));
void imap_logout(struct imap *imap);

static inline struct imap *imap_of(struct client *client)
{
    return (struct imap *)(void *)client;
}

#endif
