#include "text.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void text_lower(char *text)
{
    for (; *text != '\0'; text++)
        *text = lower(*text);
}

bool text_same(const char *a, size_t n_a, const char *b, size_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

const char *text_domain(const char *address, size_t n)
{
    for (size_t i = n; i > 0; i--)
        if (address[i - 1] == '@')
            return address + i;
    return NULL;
}
