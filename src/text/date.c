#include "text/date.h"

#include "text/calendar.h"

void mailsrv__write_date(struct writer *w, int64_t unix_us)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t seconds = unix_us / 1000000;
    uint32_t of_day = (uint32_t)(seconds % 86400);
    struct day d = mailsrv__day_of(seconds / 86400);

    mailsrv__write(w, (struct span){ weekdays + seconds / 86400 % 7 * 3, 3 });
    mailsrv__write(w, SPAN(", "));
    mailsrv__write_u64(w, d.day);
    mailsrv__write_char(w, ' ');
    mailsrv__write(w, (struct span){ months + (d.month - 1) * 3, 3 });
    mailsrv__write_char(w, ' ');
    mailsrv__write_u64(w, (uint64_t)d.year);
    mailsrv__write_char(w, ' ');
    mailsrv__write_padded(w, of_day / 3600, 2);
    mailsrv__write_char(w, ':');
    mailsrv__write_padded(w, of_day / 60 % 60, 2);
    mailsrv__write_char(w, ':');
    mailsrv__write_padded(w, of_day % 60, 2);
    mailsrv__write(w, SPAN(" +0000"));
}
