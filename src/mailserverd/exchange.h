/* Mail on its way between a subcommand, which reads and writes files of its user, and who has the store.
 *
 *     mailbox NAME-OCTETS ATTRIBUTES UIDVALIDITY UIDNEXT\n NAME
 *     message OCTETS FLAGS INTERNAL-US UID UIDL-OCTETS KEYWORDS-OCTETS\n UIDL KEYWORDS MESSAGE
 *
 * Numbers are decimal; 0 is one that is not known; keywords stand between spaces. */
#ifndef MAILSERVERD_EXCHANGE_H
#define MAILSERVERD_EXCHANGE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define EXCHANGE_LINE 160
#define EXCHANGE_NAME_MAX 255
#define EXCHANGE_KEYWORDS_MAX 8192
#define EXCHANGE_UIDL_MAX 70

struct exchanged_mailbox {
    char name[EXCHANGE_NAME_MAX + 1]; /* UTF-8, levels divided by "/" */
    uint32_t attributes;              /* MAILSRV_NAME_... */
    uint32_t uidvalidity, uidnext;
};

struct exchanged_message {
    uint64_t octets;
    uint32_t flags, uid;
    int64_t internal_us;
    char uidl[EXCHANGE_UIDL_MAX + 1];
    char keywords[EXCHANGE_KEYWORDS_MAX + 1];
};

enum exchanged { EXCHANGED_MAILBOX, EXCHANGED_MESSAGE, EXCHANGED_END, EXCHANGED_WRONG };

/* Where it comes from: exactly `n` octets, or a line. */
struct exchange_source {
    void *user;
    bool (*read)(void *user, void *p, size_t n);
    bool (*line)(void *user, char *line, size_t room);
};

/* What comes next; the octets of a message are to be read by the caller afterwards. */
enum exchanged exchange_next(const struct exchange_source *from, struct exchanged_mailbox *mailbox,
                             struct exchanged_message *message);

/* Where it goes: each takes what has come, the octets of a message from the source included. */
struct exchange_sink {
    void *user;
    bool (*begin_mailbox)(void *user, const struct exchanged_mailbox *mailbox);
    bool (*take_message)(void *user, const struct exchange_source *from, const struct exchanged_message *message);
};

/* All of it, to its end.  False: it is not as it should be, or the sink could not. */
bool exchange_take_all(const struct exchange_source *from, const struct exchange_sink *to);

/* Both to a stream; the octets of a message follow. */
void exchange_put_mailbox(FILE *to, const struct exchanged_mailbox *mailbox);
void exchange_put_message(FILE *to, const struct exchanged_message *message);

#endif
