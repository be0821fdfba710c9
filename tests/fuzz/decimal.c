/* Numbers: the value that a slower way of reading gives. */
#include "fuzz.h"

#include "text/decimal.h"

static bool read_plainly(struct span text, uint64_t *value)
{
    static const char largest[] = "18446744073709551615";
    char digits[sizeof largest] = { 0 };
    size_t i = 0;
    for (size_t k = 0; k < text.n; k++)
        if (text.p[k] < '0' || text.p[k] > '9')
            return false;
    while (i + 1 < text.n && text.p[i] == '0')
        i++;
    if (text.n == 0)
        return false;
    size_t n = text.n - i;
    *value = UINT64_MAX;
    if (n < sizeof digits)
        memcpy(digits, text.p + i, n);
    if (n < sizeof largest - 1 || (n == sizeof largest - 1 && strcmp(digits, largest) < 0))
        *value = strtoull(digits, NULL, 10);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint64_t value = 1, expected = 1;
    char *copy = exact((struct span){ (const char *)p, n });
    struct span text = { copy, n };
    bool is_number = mailsrv__decimal_read(text, &value);
    CHECK(is_number == read_plainly(text, &expected), "a number is none, or none is one");
    CHECK(value == expected, "another number");
    free(copy);
    return 0;
}
