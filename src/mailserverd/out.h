/* What goes out: the queue, with its connections and its DNS, of one loop. */
#ifndef MAILSERVERD_OUT_H
#define MAILSERVERD_OUT_H

#include "login.h"
#include "plan.h"

#include <mailsrv/queue.h>
#include <mailsrv/uv.h>

/* Has the loop's driver serve it, and opens the queue.  MAILSRV_OK, or what failed. */
int32_t out_begin(struct directory *directory, mailsrv_uv *driver, mailsrv_engine *engine, const struct plan *plan,
                  mailsrv_queue **queue);

uint32_t out_flags(const struct config *config); /* the queue's: MAILSRV_QUEUE_... */

#endif
