#include "text/date.h"

struct day {
    int64_t year;
    uint32_t month, day; /* from 1 */
};

/* Days are counted from 1 March of year 0, so that the leap day ends a year: then the months' beginnings are a line
 * (153 days for each five months), and 400 years always have 146,097 days. */
static struct day day_of(int64_t days_since_1970)
{
    int64_t days = days_since_1970 + 719468;
    int64_t era = days / 146097;
    uint32_t of_era = (uint32_t)(days % 146097);
    uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint32_t march_month = (5 * of_year + 2) / 153;
    struct day d = { era * 400 + year, march_month < 10 ? march_month + 3 : march_month - 9,
                     of_year - (153 * march_month + 2) / 5 + 1 };
    if (d.month <= 2)
        d.year++;
    return d;
}

void mailsrv__write_date(struct writer *w, int64_t unix_us)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t seconds = unix_us / 1000000;
    uint32_t of_day = (uint32_t)(seconds % 86400);
    struct day d = day_of(seconds / 86400);

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
