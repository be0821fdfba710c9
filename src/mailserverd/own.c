#include "own.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { PORT_OF_EXCHANGERS = 25 };

static void add(struct own *own, const char *text)
{
    if (own->n == MAILSRV_QUEUE_OWN_MAX)
        return;
    char *to = own->texts[own->n];
    snprintf(to, WORD_OCTETS, "%s", text);
    own->addresses[own->n++] = (mailsrv_bytes){ (const uint8_t *)to, strlen(to) };
}

/* Those of all interfaces: who listens at 0.0.0.0 has the ones of IPv4, at :: those of IPv6 (sockets.c). */
static void add_interfaces(struct own *own, bool of_v6)
{
    uv_interface_address_t *all;
    char text[WORD_OCTETS];
    int n;
    if (uv_interface_addresses(&all, &n) != 0)
        return;
    for (int i = 0; i < n; i++) {
        const bool is_v6 = all[i].address.address4.sin_family == AF_INET6;
        if (is_v6 != of_v6)
            continue;
        if ((is_v6 ? uv_ip6_name(&all[i].address.address6, text, sizeof text)
                   : uv_ip4_name(&all[i].address.address4, text, sizeof text)) == 0)
            add(own, text);
    }
    uv_free_interface_addresses(all, n);
}

static void add_listened(struct own *own, const struct address *at)
{
    if (at->local || at->port != PORT_OF_EXCHANGERS)
        return;
    const bool is_any_v6 = strcmp(at->text, "::") == 0;
    if (is_any_v6 || strcmp(at->text, "0.0.0.0") == 0)
        add_interfaces(own, is_any_v6);
    else
        add(own, at->text);
}

void own_find(struct own *own, const struct config *c)
{
    own->n = 0;
    for (size_t i = 0; i < c->outgoing.n_own; i++)
        add(own, c->outgoing.own[i]);
    for (size_t i = 0; i < c->n_listeners; i++)
        if (c->listeners[i].service->face == MAILSRV_FACE_MX)
            for (size_t k = 0; k < c->listeners[i].n_addresses; k++)
                add_listened(own, &c->listeners[i].addresses[k]);
}
