/* Numbers that stand for texts of peers in tables: SipHash-2-4 under a key that nobody knows, so that nobody can choose
 * texts that meet. */
#ifndef MAILSERVERD_KEYED_H
#define MAILSERVERD_KEYED_H

#include <mailsrv/base.h>

#include <stdbool.h>

/* Makes the key of this process; once, before threads.  False: the system gives no chance. */
bool keyed_begin(void);

/* Of `text`, and of what it is about: another kind gives another number.  Never 0. */
uint64_t keyed(uint64_t kind, mailsrv_bytes text);

#endif
