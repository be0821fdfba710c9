#include "tls/common/target.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* A name as the DNS has it may end in a dot; one in a certificate, or in server_name, does not (RFC 6066 section 3). */
static size_t without_dot(const mailsrv_bytes *name)
{
    return name->n != 0 && name->p[name->n - 1] == '.' ? name->n - 1 : name->n;
}

/* One that begins with a dot is for OpenSSL whatever ends so. */
static bool is_name(const mailsrv_bytes *name, size_t n)
{
    return n != 0 && n <= TARGET_NAME_MAX && name->p[0] != '.' && memchr(name->p, 0, n) == NULL;
}

static size_t read_address(const char *text, uint8_t *out)
{
    if (inet_pton(AF_INET, text, out) == 1)
        return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

/* `out` is zeros. */
static void read_name(const mailsrv_bytes *from, char out[TARGET_NAME_MAX + 1])
{
    const size_t n = without_dot(from);
    if (is_name(from, n))
        memcpy(out, from->p, n);
}

bool mailsrv__tls_target_read(const mailsrv_tls_target *from, struct target *out)
{
    *out = (struct target){ .verify = from->verify };
    read_name(&from->name, out->name);
    out->address_octets = read_address(out->name, out->address);
    if (out->address_octets != 0)
        out->name[0] = '\0';
    if (from->n_other_names == 0)
        return true;
    out->others = calloc(from->n_other_names, sizeof *out->others);
    out->n_others = out->others == NULL ? 0 : from->n_other_names;
    out->octets = out->n_others * sizeof *out->others + OCTETS_AROUND;
    for (size_t i = 0; i < out->n_others; i++)
        read_name(&from->other_names[i], out->others[i]);
    return out->others != NULL;
}

void mailsrv__tls_target_free(struct target *target)
{
    free(target->others);
}

const mailsrv_tlsa *mailsrv__tls_target_tlsa(const mailsrv_tls_target *target, uint32_t i)
{
    const uint8_t *first = (const uint8_t *)target->tlsa;
    return (const mailsrv_tlsa *)(const void *)(first + (size_t)i * target->tlsa_stride);
}
