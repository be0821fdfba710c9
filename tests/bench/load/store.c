/* store: sets a flag and takes it away by turns, of a set of messages or of one after the other (set=each). */
#include "imap.h"
#include "imap_modes.h"

#include <stdio.h>
#include <string.h>

struct store {
    struct imap imap;
    uint64_t turn; /* commands that were answered */
};

static struct store *store_of(struct imap *imap)
{
    return (struct store *)(void *)imap;
}

static bool is_each(const struct load *load)
{
    return strcmp(load->options.set, "each") == 0;
}

static void next(struct client *client);

static void stored(struct imap *imap)
{
    if (imap->fetched < imap->client.weight) {
        load_fail(&imap->client, "STORE tells less than all", "", 0);
        return;
    }
    store_of(imap)->turn++;
    load_done(&imap->client, 0);
    next(&imap->client);
}

static void say_store(struct store *store, const char *set, bool adds)
{
    imap_ask(&store->imap, "STORE ", stored);
    imap_say(&store->imap, set);
    imap_say(&store->imap, adds ? " +FLAGS (" : " -FLAGS (");
    imap_say(&store->imap, store->imap.client.load->options.flag);
    imap_say(&store->imap, ")");
    imap_end(&store->imap);
}

static void next(struct client *client)
{
    struct store *store = store_of(imap_of(client));
    const struct options *o = &client->load->options;
    const uint64_t exists = store->imap.exists, size = is_each(client->load) ? 1 : set_size(o->set, exists);
    char one[32];
    if (size == 0) {
        load_fail(client, "no set of messages: ", o->set, strlen(o->set));
        return;
    }
    if (!load_take(client, size)) {
        imap_logout(&store->imap);
        return;
    }
    snprintf(one, sizeof one, "%llu", (unsigned long long)(store->turn % exists + 1));
    if (is_each(client->load))
        say_store(store, one, store->turn / exists % 2 == 0);
    else
        say_store(store, o->set, store->turn % 2 == 0);
}

/* Each of all messages once, where nothing else is said. */
static void begin(struct load *load)
{
    if (!is_each(load) || !load->once)
        return;
    load->once = false;
    load->options.count = 0;
    for (uint64_t i = 0; i < load->n_clients; i++)
        load->options.count += imap_of(load_client(load, i))->exists;
}

const struct mode store_mode = { .name = "store",
                                 .talk = &imap_talk,
                                 .octets = sizeof(struct store),
                                 .set_up = set_up_select,
                                 .next = next,
                                 .begin = begin };
