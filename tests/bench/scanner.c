/* Octets a second through the scanner of messages, in pieces as they come from a socket. */
#include <mailsrv/message.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINES = 200000, PIECE = 16384, ROUNDS = 5 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int32_t count(void *user, const mailsrv_part *part)
{
    (void)part;
    ++*(uint32_t *)user;
    return 0;
}

static uint32_t scan(const char *message, size_t n)
{
    uint32_t parts = 0;
    mailsrv_scanner *s;
    mailsrv_bytes structure = { NULL, 0 };
    if (mailsrv_scanner_new(NULL, &s) != MAILSRV_OK)
        return 0;
    for (size_t at = 0; at < n; at += PIECE)
        mailsrv_scanner_feed(s, (const uint8_t *)message + at, n - at < PIECE ? n - at : PIECE);
    mailsrv_scanner_end(s, &structure);
    mailsrv_structure_walk(structure, n, count, &parts);
    mailsrv_scanner_free(s);
    return parts;
}

/* A message with so many parts, each of lines of `octets` octets. */
static char *make(uint32_t parts, size_t octets, size_t *n)
{
    size_t lines = LINES / parts, room = (size_t)LINES * (octets + 2) + parts * 100 + 200;
    char *message = malloc(room), *at = message;
    if (message == NULL)
        exit(2);
    at += sprintf(at, "Subject: x\r\nContent-Type: %s\r\n\r\n",
                  parts == 1 ? "text/plain" : "multipart/mixed; boundary=\"=_bound\"");
    for (uint32_t part = 0; part < parts; part++) {
        if (parts != 1)
            at += sprintf(at, "\r\n--=_bound\r\nContent-Type: text/plain\r\n\r\n");
        for (size_t line = 0; line < lines; line++, at += octets + 2) {
            memset(at, 'a' + (int)(line % 26), octets);
            memcpy(at + octets, "\r\n", 2);
        }
    }
    if (parts != 1)
        at += sprintf(at, "\r\n--=_bound--\r\n");
    *n = (size_t)(at - message);
    return message;
}

int main(void)
{
    static const struct {
        const char *name;
        uint32_t parts;
        size_t octets;
    } cases[] = { { "text", 1, 72 }, { "text of short lines", 1, 8 }, { "two parts", 2, 76 }, { "2,000 parts", 2000, 76 } };
    unsigned bad = 0;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        char *message = make(cases[i].parts, cases[i].octets, &n);
        double best = 1e9;
        uint32_t parts = 0;
        for (int round = 0; round < ROUNDS; round++) {
            double began = now();
            parts = scan(message, n);
            best = now() - began < best ? now() - began : best;
        }
        int good = parts == (cases[i].parts == 1 ? 1 : cases[i].parts + 1);
        bad += !good;
        printf("%sok %u - %s: %.0f MB/s\n", good ? "" : "not ", i + 1, cases[i].name, (double)n / best / 1e6);
        free(message);
    }
    printf("1..%zu\n", sizeof cases / sizeof *cases);
    return bad != 0;
}
