#include "smtp/header.h"

enum { ROOM_FIRST = 1024 };
enum { AT_LINE_START, AT_LINE, AT_CR }; /* AT_CR: of a line that has nothing else so far */

/* False: no memory, or no more is kept. */
static bool grow(mailsrv_session *session, struct kept_header *h, size_t n)
{
    size_t room = h->room == 0 ? ROOM_FIRST : h->room;
    while (room < n && room < HEADER_KEPT_MAX)
        room *= 2;
    if (room == h->room)
        return true;
    char *p = mailsrv__session_take(session, room);
    if (p == NULL)
        return false;
    if (h->n != 0)
        memcpy(p, h->p, h->n);
    mailsrv__session_give(session, h->p, h->room);
    h->p = p;
    h->room = room;
    return true;
}

static void keep(mailsrv_session *session, struct kept_header *h, struct span octets)
{
    if (h->full || octets.n == 0)
        return;
    h->lost = h->lost || !grow(session, h, h->n + octets.n);
    size_t n = h->room - h->n < octets.n ? h->room - h->n : octets.n;
    h->full = n < octets.n;
    if (n != 0)
        memcpy(h->p + h->n, octets.p, n);
    h->n += n;
}

/* How many octets of `octets` are the header's.  The empty line is not. */
static size_t pass(struct kept_header *h, struct span octets)
{
    for (size_t i = 0; i < octets.n; i++) {
        char c = octets.p[i];
        if (c == '\n' && h->at != AT_LINE) {
            h->ended = true;
            return i;
        }
        h->at = c == '\n' ? AT_LINE_START : c == '\r' && h->at == AT_LINE_START ? AT_CR : AT_LINE;
    }
    return octets.n;
}

void mailsrv__header_keep(mailsrv_session *session, struct kept_header *h, struct span octets)
{
    if (h->ended)
        return;
    keep(session, h, mailsrv__span_first(octets, pass(h, octets)));
    if (h->ended && !h->full && h->n != 0 && h->at == AT_CR)
        h->n--; /* the CR of the empty line */
}

void mailsrv__header_free(mailsrv_session *session, struct kept_header *h)
{
    mailsrv__session_give(session, h->p, h->room);
    *h = (struct kept_header){ .p = NULL };
}
