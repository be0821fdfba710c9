/* bench-limits [dir=.] [seconds=1] [group=N] [slice=16384]: one JSON object with what the disk, the memory, loopback
 * and the libraries of TLS do by themselves. */
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
    else if (strncmp(word, "slice=", 6) == 0)
        limits->slice = (size_t)strtoull(word + 6, NULL, 10);
    else
        return 0;
    return limits->seconds > 0 && limits->group <= 1024 && limits->slice != 0;
}

int main(int argc, char **argv)
{
    struct limits limits = { ".", 1, 0, 16384 };
    for (int i = 1; i < argc; i++)
        if (!read_word(&limits, argv[i])) {
            fprintf(stderr, "bench-limits [dir=.] [seconds=1] [group=N, at most 1024] [slice=16384]\n");
            return 2;
        }
    limits_disk(&limits);
    limits_trips(&limits);
    limits_memory(&limits);
    limits_streams(&limits);
#ifdef LIMITS_OPENSSL
    limits_openssl(&limits);
#endif
#ifdef LIMITS_MBEDTLS
    limits_mbedtls(&limits);
#endif
    puts("\n}");
    return 0;
}
