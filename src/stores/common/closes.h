/* The handles that a store gives, and the kinds that give them back (op.h). */
#ifndef STORES_COMMON_CLOSES_H
#define STORES_COMMON_CLOSES_H

#include <mailsrv/op.h>

enum handle_kind { HANDLE_BODY = 1, HANDLE_STORE, HANDLE_MAILBOX, HANDLE_LOCK, HANDLE_READ };

/* Which handle a closing kind gives back; 0: it is no closing kind. */
enum handle_kind mailsrv__stores_closes(int32_t kind);

#endif
