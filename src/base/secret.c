#include "base/secret.h"

#include <stdint.h>

bool mailsrv__secret_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differs = 0;
    for (size_t i = 0; i < n; i++)
        differs = (uint8_t)(differs | (x[i] ^ y[i]));
    return differs == 0;
}
