/* Logins as the client (RFC 4422): what a machine says that has connected to a server.
 *
 * The machine reads which mechanisms the server offers, asks CREDENTIAL (queue.h) with those that can be used here, and
 * begins: the one that is safest of what is left is chosen.
 *
 *     AUTH name [initial]         mailsrv__sasl_client_name, _initial
 *     334 challenge               mailsrv__sasl_client_answer; then, as that says:
 *     SASL_CLIENT_SAYS            mailsrv__sasl_client_response is the next line
 *     SASL_CLIENT_WORKS           mailsrv__then_turn, and mailsrv__sasl_client_go_on in that step
 *     SASL_CLIENT_FAILS           "*" is the next line, which the server refuses; mailsrv__sasl_client_why
 *     235                         mailsrv__sasl_client_is_done; false: who answers cannot prove that he knows us, and
 *                                 nothing is sent to him
 *
 * Lines are in base64, without CRLF.  A challenge that is longer than SASL_CHALLENGE_CHARS need not be kept whole: cut,
 * or empty, it fails where it matters.
 */
#ifndef SASL_CLIENT_H
#define SASL_CLIENT_H

#include "core/machine.h"

#include <mailsrv/auth.h>
#include <mailsrv/queue.h>

enum { SASL_CHALLENGE_CHARS = 2048 };

enum sasl_client_turn { SASL_CLIENT_SAYS, SASL_CLIENT_WORKS, SASL_CLIENT_FAILS };

struct sasl_client;

/* The mechanisms among `names`, which have spaces between them: MAILSRV_SASL_..., or-ed. */
uint32_t mailsrv__sasl_client_read(struct span names);

/* Which of those that are offered are safe on this connection, and can be done: for mailsrv_arg_credential. */
uint32_t mailsrv__sasl_client_can(const mailsrv_session *session, uint32_t offered);

/* Begins a login; `offered` is all that the server offers, `credential` is copied.  MAILSRV_OK; MAILSRV_NOMEM;
 * MAILSRV_CANNOT: none of the mechanisms is safe here, allowed by the credential, and one that it has the secret for;
 * MAILSRV_E_VALUE: the credential has what no credential can hold; MAILSRV_TEMP: there are no random numbers. */
int32_t mailsrv__sasl_client_new(mailsrv_session *session, uint32_t offered, const mailsrv_credential *credential,
                                 struct sasl_client **out);

/* Wiped.  NULL is fine. */
void mailsrv__sasl_client_free(struct sasl_client *client);

/* "SCRAM-SHA-256". */
struct span mailsrv__sasl_client_name(const struct sasl_client *client);

/* The initial response; empty: this mechanism has none.  These bytes, and those of a response, live until the next
 * call. */
struct span mailsrv__sasl_client_initial(const struct sasl_client *client);

/* What a server's challenge, the text behind its code, leads to. */
enum sasl_client_turn mailsrv__sasl_client_answer(struct sasl_client *client, struct span challenge);
enum sasl_client_turn mailsrv__sasl_client_go_on(struct sasl_client *client);

/* The line that is said now, which may be empty. */
struct span mailsrv__sasl_client_response(const struct sasl_client *client);

/* Why it fails: English, static. */
const char *mailsrv__sasl_client_why(const struct sasl_client *client);

/* The server says that the login succeeded: may it?  One that is to prove that it knows us must have done so. */
bool mailsrv__sasl_client_is_done(const struct sasl_client *client);

#endif
