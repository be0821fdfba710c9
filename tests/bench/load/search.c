/* search: a key, again and again; tells how many messages a SEARCH found. */
#include "imap.h"
#include "imap_modes.h"

static uint64_t hits;

static void next(struct client *client);

static void searched(struct imap *imap)
{
    if (imap->searches != 1) {
        load_fail(&imap->client, "SEARCH without its answer", "", 0);
        return;
    }
    hits += imap->found;
    load_done(&imap->client, 0);
    next(&imap->client);
}

static void next(struct client *client)
{
    struct imap *imap = imap_of(client);
    if (!load_take(client, 1)) {
        imap_logout(imap);
        return;
    }
    imap_ask(imap, "SEARCH ", searched);
    imap_say(imap, client->load->options.key);
    imap_end(imap);
}

static void end(struct load *load)
{
    load_figure(load, "hits", load->ops == 0 ? 0 : (double)hits / (double)load->ops);
}

const struct mode search_mode = { .name = "search",
                                  .talk = &imap_talk,
                                  .octets = sizeof(struct imap),
                                  .set_up = set_up_select,
                                  .next = next,
                                  .end = end };
