#include "secrets.h"
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATIONS = 4096 /* RFC 7677 section 4 */, SALT_OCTETS = 16 };

static const struct {
    int32_t hash;
    const char *name;
    size_t octets;
} mechanisms[] = {
    { MAILSRV_HASH_SHA256, "SCRAM-SHA-256", 32 },
    { MAILSRV_HASH_SHA1, "SCRAM-SHA-1", 20 },
};

enum { MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

/* ---- Writing ---- */

static void write_hex(char **at, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *at += sprintf(*at, "%02x", p[i]);
}

/* " NAME:ITERATIONS:SALT:STORED:SERVER", where there is room for the longest. */
static bool write_keys(const mailsrv_crypto *crypto, size_t which, const char *password, char *out)
{
    uint8_t salt[SALT_OCTETS], stored[MAILSRV_HASH_OCTETS_MAX], server[MAILSRV_HASH_OCTETS_MAX];
    const mailsrv_bytes text = { (const uint8_t *)password, strlen(password) }, salt_is = { salt, sizeof salt };
    char *at = out;
    if (crypto->random(crypto->user, salt, sizeof salt) != MAILSRV_OK ||
        mailsrv_scram_keys(crypto, mechanisms[which].hash, &text, &salt_is, ITERATIONS, stored, server) != MAILSRV_OK)
        return false;
    at += sprintf(at, " %s:%d:", mechanisms[which].name, ITERATIONS);
    write_hex(&at, salt, sizeof salt);
    *at++ = ':';
    write_hex(&at, stored, mechanisms[which].octets);
    *at++ = ':';
    write_hex(&at, server, mechanisms[which].octets);
    explicit_bzero(stored, sizeof stored);
    explicit_bzero(server, sizeof server);
    return true;
}

bool secrets_make(enum password_method method, const char *password, char *out, size_t n)
{
    enum { KEYS_OCTETS = 256 };
    const mailsrv_crypto *crypto = plan_crypto();
    if (!password_hash(method, password, out, n))
        return false;
    for (size_t i = 0; i < MECHANISMS && crypto != NULL; i++) {
        const size_t used = strlen(out);
        if (used + KEYS_OCTETS > n || !write_keys(crypto, i, password, out + used))
            out[used] = '\0'; /* a password that SCRAM has no form for logs in without it */
    }
    return true;
}

/* ---- Reading ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As many octets as there are, up to `end`; 0: it is not as it should be. */
static size_t read_hex(const char **at, char end, uint8_t *out, size_t most)
{
    size_t n = 0;
    const char *p = *at;
    for (; n < most && digit(p[0]) >= 0 && digit(p[1]) >= 0; p += 2)
        out[n++] = (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
    if (*p != end && !(end == ' ' && *p == '\0'))
        return 0;
    *at = p + 1;
    return n;
}

static bool read_keys(const char *at, size_t octets, struct scram_keys *out)
{
    char *end;
    out->iterations = (uint32_t)strtoul(at, &end, 10);
    if (end == at || *end != ':')
        return false;
    const char *p = end + 1;
    out->n_keys = octets;
    out->n_salt = read_hex(&p, ':', out->salt, sizeof out->salt);
    return out->n_salt != 0 && read_hex(&p, ':', out->stored, sizeof out->stored) == octets &&
           read_hex(&p, ' ', out->server, sizeof out->server) == octets;
}

bool secrets_keys(const char *secrets, int32_t hash, struct scram_keys *out)
{
    for (size_t i = 0; i < MECHANISMS; i++) {
        const size_t n = strlen(mechanisms[i].name);
        for (const char *p = secrets; mechanisms[i].hash == hash && (p = strchr(p, ' ')) != NULL;)
            if (strncmp(++p, mechanisms[i].name, n) == 0 && p[n] == ':')
                return read_keys(p + n + 1, mechanisms[i].octets, out);
    }
    return false;
}
