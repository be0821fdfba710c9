#include "tap.h"

#include <stdio.h>

static unsigned tests, bad;

void tap(int good, const char *name, const char *which, const char *text)
{
    bad += !good;
    printf("%sok %u - %s: %s\n", good ? "" : "not ", ++tests, name, which);
    if (!good && text[0] != '\0')
        printf("# %s\n", text);
}

int tap_end(void)
{
    printf("1..%u\n", tests);
    return bad != 0;
}
