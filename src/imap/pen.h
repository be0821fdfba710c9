/* Text on its way out that is made of very many small pieces: they are put together before they are said.
 *
 * What was written is said when the room is full, and when the pen is flushed; whoever says something in another way
 * flushes before.
 */
#ifndef IMAP_PEN_H
#define IMAP_PEN_H

#include "core/machine.h"
#include "text/writer.h"

struct pen {
    mailsrv_session *session;
    char *p;
    size_t n, room;
    uint32_t flushes; /* that said something */
    bool mid_reply;   /* what was written ends within a response: the session's, once it is said */
};

static inline struct pen mailsrv__pen(mailsrv_session *session, char *room, size_t octets)
{
    return (struct pen){ .session = session, .p = room, .room = octets, .mid_reply = session->mid_reply };
}

/* As all that writes here: false where there is no memory, as mailsrv__say. */
bool mailsrv__pen_flush(struct pen *pen);

/* What has no room: all is said. */
bool mailsrv__pen_overflow(struct pen *pen, struct span text);

static inline bool mailsrv__pen_write(struct pen *pen, struct span text)
{
    if (text.n > pen->room - pen->n)
        return mailsrv__pen_overflow(pen, text);
    if (text.n != 0)
        memcpy(pen->p + pen->n, text.p, text.n);
    pen->n += text.n;
    return true;
}

bool mailsrv__pen_u64(struct pen *pen, uint64_t number);

/* A string: quoted where that can be, or else a literal.  A NUL cannot be said (RFC 9051 section 9, CHAR8): it ends
 * there. */
bool mailsrv__pen_string(struct pen *pen, struct span text);

#endif
