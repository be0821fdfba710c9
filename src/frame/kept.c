#include "frame/kept.h"

#include <string.h>

enum { ROOM_FIRST = 128 };

bool mailsrv__kept_grow(struct kept *kept, struct heap *heap, struct purse *purse, size_t used, size_t needed)
{
    if (needed <= kept->room)
        return true;
    size_t larger = kept->room == 0 ? ROOM_FIRST : kept->room;
    while (larger < needed)
        larger *= 2;
    char *p = mailsrv__heap_room(heap, CLASS_SESSIONS, purse, larger);
    if (p == NULL)
        return false;
    if (used != 0)
        memcpy(p, kept->p, used);
    if (kept->p != NULL)
        mailsrv__wipe(kept->p, used); /* it may be half a password */
    mailsrv__heap_give(heap, CLASS_SESSIONS, purse, kept->p, kept->room);
    *kept = (struct kept){ p, larger };
    return true;
}

void mailsrv__kept_free(struct kept *kept, struct heap *heap, struct purse *purse, bool wipe)
{
    if (kept->p != NULL && wipe)
        mailsrv__wipe(kept->p, kept->room);
    mailsrv__heap_give(heap, CLASS_SESSIONS, purse, kept->p, kept->room);
    *kept = (struct kept){ NULL, 0 };
}
