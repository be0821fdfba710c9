#include "core/engine.h"
#include "core/tap.h"

#include <mailsrv/store.h>

int32_t mailsrv_store_bind(mailsrv_store *store, mailsrv_engine *engine)
{
    if (store == NULL || engine == NULL)
        return MAILSRV_E_USAGE;
    engine->tap = &mailsrv__structure_tap;
    return store->bind(store, engine);
}

void mailsrv_store_free(mailsrv_store *store)
{
    if (store != NULL)
        store->end(store);
}
