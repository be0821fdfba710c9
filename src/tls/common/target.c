#include "tls/common/target.h"

#include <arpa/inet.h>
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

void mailsrv__tls_target_read(const mailsrv_tls_target *from, struct target *out)
{
    size_t n = without_dot(&from->name);
    *out = (struct target){ .verify = from->verify != 0 };
    if (!is_name(&from->name, n))
        return;
    memcpy(out->name, from->name.p, n);
    out->address_octets = read_address(out->name, out->address);
    if (out->address_octets != 0)
        memset(out->name, 0, n);
}
