#include "address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static bool read_port(const char *text, uint16_t *out)
{
    unsigned long port = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || p - text >= 5)
            return false;
        port = port * 10 + (unsigned long)(*p - '0');
    }
    *out = (uint16_t)port;
    return *text != '\0' && port <= 65535;
}

static bool is_address(const char *text)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    return uv_ip4_addr(text, 0, &v4) == 0 || uv_ip6_addr(text, 0, &v6) == 0;
}

static bool read_path(const char *path, struct address *out)
{
    const size_t n = strlen(path);
    if (path[0] != '/' || n >= sizeof out->text)
        return false;
    memcpy(out->text, path, n + 1);
    out->local = true;
    return true;
}

bool address_read(const char *text, struct address *out)
{
    memset(out, 0, sizeof *out);
    if (strncmp(text, "unix:", 5) == 0)
        return read_path(text + 5, out);
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !read_port(colon + 1, &out->port))
        return false;
    const size_t n = (size_t)(colon - text), brackets = text[0] == '[' && n >= 2 && colon[-1] == ']';
    if (n - 2 * brackets >= sizeof out->text)
        return false;
    memcpy(out->text, text + brackets, n - 2 * brackets);
    return is_address(out->text) && (strchr(out->text, ':') != NULL) == (brackets == 1);
}

bool address_is_loopback(const struct address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->local)
        return true;
    if (uv_ip4_addr(address->text, 0, &v4) == 0)
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    return uv_ip6_addr(address->text, 0, &v6) == 0 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

void address_show(const struct address *address, uint16_t port, char *out, size_t n)
{
    if (address->local)
        snprintf(out, n, "unix:%s", address->text);
    else
        snprintf(out, n, strchr(address->text, ':') != NULL ? "[%s]:%u" : "%s:%u", address->text, (unsigned)port);
}
