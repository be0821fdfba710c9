/* The day that a Date field names (RFC 5322 section 3.3), as SENTBEFORE, SENTON and SENTSINCE have it. */
#ifndef MESSAGE_SENT_H
#define MESSAGE_SENT_H

#include "base/span.h"

/* [day-of-week ","] day month year, with what section 4.3 says of years of two and three digits.  The day as it
 * stands there, without regard to time and zone (RFC 3501 section 6.4.4), in days since 1970-01-01.  False: there is
 * none. */
bool mailsrv__sent_day(struct span value, int32_t *days);

#endif
