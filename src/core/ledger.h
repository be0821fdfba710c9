/* What is counted beside mailsrv_engine_stat, where the host asked for it (mailsrv/stats.h).  The engine reaches it by
 * a table, so that a program that does not ask links none of it. */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include "core/engine.h"
#include "core/machine.h"
#include "core/op.h"

#include <mailsrv/stats.h>

struct ledger {
    /* A session of this profile is about to be made.  False: no memory. */
    bool (*joins)(mailsrv_engine *engine, const mailsrv_profile *profile);
    void (*leaves)(mailsrv_session *session); /* it is being freed */

    /* Input has come, for its command or for the next one. */
    void (*fed)(mailsrv_session *session);
    void (*begins)(mailsrv_session *session, const void *row);
    void (*ends)(mailsrv_session *session, enum step step); /* session->counted is not 0 */
    void (*dropped)(mailsrv_session *session);              /* the same */

    void (*asked)(struct op *op);
    void (*answered)(const struct op *op);
    void (*vanished)(const struct op *op);

    void (*end)(mailsrv_engine *engine);
};

#endif
