/* Where mail for elsewhere goes, and who we are there: ROUTE and CREDENTIAL of the queue's loop. */
#ifndef MAILSERVERD_ROUTES_H
#define MAILSERVERD_ROUTES_H

#include "login.h"

/* Binds the handlers.  MAILSRV_OK, or what failed. */
int32_t routes_serve(struct directory *directory, mailsrv_engine *engine);

#endif
