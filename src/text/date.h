/* Dates of message headers (RFC 5322 section 3.3). */
#ifndef TEXT_DATE_H
#define TEXT_DATE_H

#include "text/writer.h"

/* The longest that mailsrv__write_date writes: "Wed, 25 Nov 2026 17:26:11 +0000", with a year of up to six digits. */
#define DATE_OCTETS_MAX 33

/* Writes a time in microseconds since 1970, not negative, in UTC: the time zone of the machine is nothing that the
 * library knows (RFC 5321 section 4.4 takes UTC where it must). */
void mailsrv__write_date(struct writer *w, int64_t unix_us);

#endif
