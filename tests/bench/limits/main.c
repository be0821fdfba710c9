/* bench-limits [only=NAME] [dir=.] [seconds=1] [group=N] [octets=N] [slice=32768]: one JSON object with what the disk,
 * the memory, loopback, SQLite and the libraries of TLS do by themselves; or one of them alone. */
#include "limit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *separator = "{";

double limits_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void limits_must(int good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

void limits_tell(double value, const char *format, ...)
{
    va_list more;
    printf("%s\n \"", separator);
    va_start(more, format);
    vprintf(format, more);
    va_end(more);
    printf("\":%.1f", value);
    fflush(stdout);
    separator = ",";
}

static int read_word(struct limits *limits, const char *word)
{
    if (strncmp(word, "dir=", 4) == 0)
        limits->dir = word + 4;
    else if (strncmp(word, "seconds=", 8) == 0)
        limits->seconds = strtod(word + 8, NULL);
    else if (strncmp(word, "group=", 6) == 0)
        limits->group = strtoull(word + 6, NULL, 10);
    else if (strncmp(word, "octets=", 7) == 0)
        limits->octets = (size_t)strtoull(word + 7, NULL, 10);
    else if (strncmp(word, "only=", 5) == 0)
        limits->only = word + 5;
    else if (strncmp(word, "slice=", 6) == 0)
        limits->slice = (size_t)strtoull(word + 6, NULL, 10);
    else
        return 0;
    return limits->seconds > 0 && limits->group <= 1024 && limits->slice != 0 && limits->slice <= 65536 && limits->octets <= 4 << 20;
}

static const struct {
    const char *name;
    void (*measure)(const struct limits *limits);
} all[] = {
    { "appends", limits_appends }, { "overwrites", limits_overwrites }, { "trips", limits_trips },
    { "logins", limits_logins },   { "memory", limits_memory },         { "streams", limits_streams },
#ifdef LIMITS_SQLITE
    { "rows", limits_rows },
#endif
#ifdef LIMITS_OPENSSL
    { "openssl", limits_openssl },
#endif
#ifdef LIMITS_MBEDTLS
    { "mbedtls", limits_mbedtls },
#endif
};

int main(int argc, char **argv)
{
    struct limits limits = { .dir = ".", .seconds = 1, .slice = 32768 };
    for (int i = 1; i < argc; i++)
        if (!read_word(&limits, argv[i])) {
            fprintf(stderr,
                    "bench-limits [only=NAME] [dir=.] [seconds=1] [group=N, at most 1024] [octets=N, at most 4 MiB] "
                    "[slice=32768]\n");
            return 2;
        }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (limits.only == NULL || strcmp(limits.only, all[i].name) == 0)
            all[i].measure(&limits);
    puts("\n}");
    return 0;
}
