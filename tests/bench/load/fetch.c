/* fetch: items of a set of messages; an operation is a message, a latency that of a whole FETCH. */
#include "imap.h"
#include "imap_modes.h"

#include <stdlib.h>
#include <string.h>

/* seq-number = nz-number / "*"   (RFC 9051 section 9) */
static uint64_t read_place(const char **p, uint64_t exists)
{
    if (**p == '*') {
        ++*p;
        return exists;
    }
    char *end;
    const uint64_t number = strtoull(*p, &end, 10);
    *p = end;
    return number;
}

uint64_t set_size(const char *set, uint64_t exists)
{
    uint64_t size = 0;
    for (const char *p = set;; p++) {
        uint64_t low = read_place(&p, exists), high = low;
        if (*p == ':') {
            p++;
            high = read_place(&p, exists);
        }
        if (low == 0 || high == 0 || (*p != ',' && *p != '\0'))
            return 0;
        size += low < high ? high - low + 1 : low - high + 1;
        if (*p == '\0')
            return size;
    }
}

static void next(struct client *client);

static void fetched(struct imap *imap)
{
    const bool has_body = strstr(imap->client.load->options.items, "[]") != NULL;
    if (imap->fetched < imap->client.weight || (has_body && imap->literals < imap->client.weight)) {
        load_fail(&imap->client, "FETCH gives less than all", "", 0);
        return;
    }
    load_done(&imap->client, imap->octets);
    next(&imap->client);
}

static void next(struct client *client)
{
    struct imap *imap = imap_of(client);
    const struct options *o = &client->load->options;
    const uint64_t size = set_size(o->set, imap->exists);
    if (size == 0) {
        load_fail(client, "no set of messages: ", o->set, strlen(o->set));
        return;
    }
    if (!load_take(client, size)) {
        imap_logout(imap);
        return;
    }
    imap_ask(imap, "FETCH ", fetched);
    imap_say(imap, o->set);
    imap_say(imap, " ");
    imap_say(imap, o->items);
    imap_end(imap);
}

const struct mode fetch_mode = {
    .name = "fetch", .talk = &imap_talk, .octets = sizeof(struct imap), .set_up = set_up_select, .next = next
};
