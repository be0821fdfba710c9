/* Channel bindings (RFC 5056): what a login is bound to under TLS. */
#ifndef SASL_BINDING_H
#define SASL_BINDING_H

#include "core/machine.h"

/* Which of them is usual, as SCRAM names it: none of the protocols says which a peer has, so both take this one:
 * tls-exporter in TLS 1.3 (RFC 9266 section 3), tls-unique before it (RFC 5802 section 6.1). */
struct span mailsrv__sasl_usual_binding(const mailsrv_session *session);

/* Is it there?  Without it no -PLUS is of use. */
bool mailsrv__sasl_can_bind(const mailsrv_session *session);

/* The data of a binding of that name; empty: it is not there. */
struct span mailsrv__sasl_binding(const mailsrv_session *session, struct span name);

#endif
