/* What this machine can do at most, for benchmarks to be held against. */
#ifndef LIMIT_H
#define LIMIT_H

#include <stddef.h>
#include <stdint.h>

struct limits {
    const char *dir;  /* where files are written */
    double seconds;   /* that each measurement takes */
    uint64_t group;   /* messages to a sync; 0: 1, 8 and 64 */
    size_t octets;    /* of a message; 0: the sizes that each has by itself */
    size_t slice;     /* octets that are written at once over loopback */
    const char *only; /* the name of one of them; NULL: all */
};

double limits_now(void);
void limits_must(int good, const char *what);

/* One figure of the object that is printed. */
void limits_tell(double value, const char *format, ...) __attribute__((format(printf, 2, 3)));

void limits_appends(const struct limits *limits);
void limits_overwrites(const struct limits *limits);
void limits_memory(const struct limits *limits);
void limits_trips(const struct limits *limits);
void limits_logins(const struct limits *limits);
void limits_streams(const struct limits *limits);
void limits_rows(const struct limits *limits);
void limits_openssl(const struct limits *limits);
void limits_mbedtls(const struct limits *limits);

#endif
