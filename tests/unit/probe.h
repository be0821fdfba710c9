/* A protocol of the tests' own, so that the core is seen without one that is in use.  Commands are lines:
 *
 *   say N       a line of N octets, CRLF included
 *   work N      N units of work, one after the other, then `worked`
 *   ask         AUTH_VERIFY; then its status as a number
 *   pair        two RESOLVE side by side; then both statuses
 *   ahead       RESOLVE beforehand, then as ask; then the status of the former
 *   hold        STORE_OPEN, whose handle is kept; then its status
 *   drop        the handle is closed; then `dropped`
 *   close       the same, and waited for; then `closed`
 *   list N      a first line, then as say N: one response
 *   take        from now on every octet is of a message, as it were
 *   read N      READ of N octets, said as they were lent, or the status
 *   expunge     EXPUNGE; then its status
 *   put N       a body of N octets is written, and closed; then its status
 *   quit        ends
 */
#ifndef UNIT_PROBE_H
#define UNIT_PROBE_H

#include <mailsrv/mailsrv.h>

const mailsrv_machine *probe(void);

#endif
