/* mailsrv/mailsrv.h - everything. */
#ifndef MAILSRV_MAILSRV_H
#define MAILSRV_MAILSRV_H

#include <mailsrv/auth.h>
#include <mailsrv/base.h>
#include <mailsrv/engine.h>
#include <mailsrv/inbox.h>
#include <mailsrv/message.h>
#include <mailsrv/op.h>
#include <mailsrv/policy.h>
#include <mailsrv/profile.h>
#include <mailsrv/queue.h>
#include <mailsrv/session.h>
#include <mailsrv/stats.h>
#include <mailsrv/store.h>
#include <mailsrv/tls.h>

#endif
