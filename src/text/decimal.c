#include "text/decimal.h"

bool mailsrv__decimal_read(struct span text, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.p[i] - '0');
        sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
    }
    if (text.n == 0)
        return false;
    *value = sum;
    return true;
}
