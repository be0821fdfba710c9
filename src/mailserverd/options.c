#include "options.h"

#include <mailsrv/mailsrv.h>

#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

const struct service services[] = {
    { "smtp", mailsrv_smtp, MAILSRV_FACE_MX },
    { "lmtp", mailsrv_smtp, MAILSRV_FACE_LMTP },
    { "pop3", mailsrv_pop3, MAILSRV_FACE_POP3 },
    { "imap", mailsrv_imap, MAILSRV_FACE_IMAP },
};

enum { N_SERVICES = sizeof services / sizeof *services, DATA = N_SERVICES, ACCOUNTS, HOSTNAME, N_OPTIONS };

void options_help(void)
{
    printf("mailserverd serve --data DIRECTORY [--accounts FILE] [--hostname NAME] --SERVICE ADDRESS:PORT ...\n"
           "mailserverd --help | --version\n"
           "\n"
           "  --data DIRECTORY   where mail is kept; made where it is not there\n"
           "  --accounts FILE    lines NAME ADDRESS[,ADDRESS]... PASSWORD, mode 0600; default DIRECTORY/accounts\n"
           "  --hostname NAME    the name that others know this machine by; default: its own\n"
           "\n"
           "Services, each any number of times, on a loopback address and a port, 0 for a free one:\n");
    for (size_t i = 0; i < N_SERVICES; i++)
        printf("  --%s ADDRESS:PORT\n", services[i].name);
}

static bool expected(const char *what, const char *given)
{
    fprintf(stderr, "mailserverd: expected %s%s%s\n", what, given != NULL ? ", not " : "", given != NULL ? given : "");
    return false;
}

/* ---- Addresses ---- */

static bool is_loopback(const char *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (uv_ip4_addr(address, 0, &v4) == 0)
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    return uv_ip6_addr(address, 0, &v6) == 0 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static bool is_address(const char *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    return uv_ip4_addr(address, 0, &v4) == 0 || uv_ip6_addr(address, 0, &v6) == 0;
}

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

/* 127.0.0.1:25 or [::1]:25 */
static bool cut_address(const char *text, struct door *door)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !read_port(colon + 1, &door->port))
        return false;
    size_t n = (size_t)(colon - text), brackets = text[0] == '[' && n >= 2 && colon[-1] == ']';
    if (n - 2 * brackets >= sizeof door->address)
        return false;
    memcpy(door->address, text + brackets, n - 2 * brackets);
    return is_address(door->address) && (strchr(door->address, ':') != NULL) == (brackets == 1);
}

static bool add_door(struct options *o, const struct service *service, const char *text)
{
    struct door *door = &o->doors[o->n_doors];
    if (o->n_doors == DOORS_MAX)
        return expected("fewer services", NULL);
    memset(door, 0, sizeof *door);
    door->service = service;
    if (!cut_address(text, door))
        return expected("ADDRESS:PORT, as in 127.0.0.1:2525 or [::1]:2525", text);
    if (!is_loopback(door->address)) {
        fprintf(stderr,
                "mailserverd: %s: not served: this version has no TLS, so that mail and passwords would cross the "
                "network in the clear; expected a loopback address (127.0.0.1 or [::1])\n",
                text);
        return false;
    }
    o->n_doors++;
    return true;
}

/* ---- The line ---- */

static bool take_option(struct options *o, int which)
{
    if (which < N_SERVICES)
        return add_door(o, &services[which], optarg);
    if (which == DATA)
        o->data = optarg;
    else if (which == ACCOUNTS)
        o->accounts = optarg;
    else
        o->hostname = optarg;
    return true;
}

bool options_read(struct options *o, int argc, char **argv)
{
    struct option known[N_OPTIONS + 1] = { [DATA] = { "data", required_argument, NULL, DATA },
                                           [ACCOUNTS] = { "accounts", required_argument, NULL, ACCOUNTS },
                                           [HOSTNAME] = { "hostname", required_argument, NULL, HOSTNAME } };
    for (int i = 0; i < N_SERVICES; i++)
        known[i] = (struct option){ services[i].name, required_argument, NULL, i };
    memset(o, 0, sizeof *o);
    opterr = 0;
    for (int which; (which = getopt_long(argc, argv, ":", known, NULL)) != -1;) {
        if (which == ':')
            return expected("a value", argv[optind - 1]);
        if (which == '?')
            return expected("an option that mailserverd --help names", argv[optind - 1]);
        if (!take_option(o, which))
            return false;
    }
    if (optind < argc)
        return expected("options alone", argv[optind]);
    if (o->data == NULL)
        return expected("--data DIRECTORY", NULL);
    return o->n_doors > 0 || expected("a service, as in --smtp 127.0.0.1:2525", NULL);
}
