/* select: the same mailbox again and again; and what other modes do first. */
#include "imap.h"
#include "imap_modes.h"

static void next(struct client *client);

static void selected_again(struct imap *imap)
{
    if (imap->exists == UINT64_MAX) {
        load_fail(&imap->client, "SELECT without EXISTS", "", 0);
        return;
    }
    load_done(&imap->client, 0);
    next(&imap->client);
}

static void next(struct client *client)
{
    if (load_take(client, 1))
        imap_select(imap_of(client), selected_again);
    else
        imap_logout(imap_of(client));
}

static void selected(struct imap *imap)
{
    if (imap->exists == 0 || imap->exists == UINT64_MAX)
        load_fail(&imap->client, "the mailbox is empty", "", 0);
    else
        load_ready(&imap->client);
}

void set_up_select(struct client *client)
{
    imap_select(imap_of(client), selected);
}

const struct mode select_mode = { .name = "select", .talk = &imap_talk, .octets = sizeof(struct imap), .next = next };
