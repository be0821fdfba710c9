/* Dates as IMAP writes them (RFC 9051 section 9). */
#ifndef TEXT_IMAP_DATE_H
#define TEXT_IMAP_DATE_H

#include "text/writer.h"

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
enum { IMAP_DATE_TIME_OCTETS = 28 };

/* Writes a time in microseconds since 1970, with its quotes, in UTC.  Years are 0 to 9999: what lies outside becomes
 * the first or the last moment that can be written. */
void mailsrv__write_imap_date_time(struct writer *w, int64_t unix_us);

/* Reads a date-time without its quotes.  A day of one digit is taken with or without the space that belongs before it:
 * it can mean only one thing, and telephones send it. */
bool mailsrv__imap_date_time_read(struct span text, int64_t *unix_us);

/* date-text = date-day "-" date-month "-" date-year, without quotes: in days since 1970. */
bool mailsrv__imap_date_read(struct span text, int64_t *days);

#endif
