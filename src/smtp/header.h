/* The header of a message, kept while it passes: what POLICY is shown of it, and where the senders of a submission are
 * looked for. */
#ifndef SMTP_HEADER_H
#define SMTP_HEADER_H

#include "core/machine.h"

enum { HEADER_KEPT_MAX = 16 * 1024 };

/* All zero: nothing has come. */
struct kept_header {
    char *p;
    size_t n, room;
    uint8_t at;
    bool full;  /* there was more */
    bool lost;  /* there was no memory for it */
    bool ended; /* the empty line has come */
};

void mailsrv__header_keep(mailsrv_session *session, struct kept_header *header, struct span octets);
void mailsrv__header_free(mailsrv_session *session, struct kept_header *header);

/* Without the empty line. */
static inline struct span mailsrv__header_kept(const struct kept_header *header)
{
    return (struct span){ header->p, header->n };
}

#endif
