/* store: sets a flag and takes it away by turns, of a set of messages or of one after the other (set=each).  A server
 * may say nothing of what was so already: it is taken from all before, and each connection has its own mailbox. */
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

static void say_store(struct imap *imap, const char *set, const char *how, void (*done)(struct imap *imap))
{
    imap_ask(imap, "STORE ", done);
    imap_say(imap, set);
    imap_say(imap, how);
    imap_say(imap, " (");
    imap_say(imap, imap->client.load->options.flag);
    imap_say(imap, ")");
    imap_end(imap);
}

static void cleared(struct imap *imap)
{
    load_ready(&imap->client);
}

static void selected(struct imap *imap)
{
    if (imap->exists == 0 || imap->exists == UINT64_MAX)
        load_fail(&imap->client, "the mailbox is empty", "", 0);
    else
        say_store(imap, "1:*", " -FLAGS.SILENT", cleared);
}

static void set_up(struct client *client)
{
    imap_select(imap_of(client), selected);
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
    const uint64_t turn = is_each(client->load) ? store->turn / exists : store->turn;
    say_store(&store->imap, is_each(client->load) ? one : o->set, turn % 2 == 0 ? " +FLAGS" : " -FLAGS", stored);
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

const struct mode store_mode = {
    .name = "store", .talk = &imap_talk, .octets = sizeof(struct store), .set_up = set_up, .next = next, .begin = begin
};
