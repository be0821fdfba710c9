/* login: LOGIN, SELECT, LOGOUT, over a connection each; its time begins with the connection. */
#include "imap.h"
#include "imap_modes.h"

static void ended(struct imap *imap)
{
    load_done(&imap->client, 0);
    load_leave(&imap->client);
}

static void selected(struct imap *imap)
{
    imap->client.ending = true;
    imap_ask(imap, "LOGOUT", ended);
    imap_end(imap);
}

static void logged_in(struct imap *imap)
{
    imap_select(imap, selected);
}

static void next(struct client *client)
{
    client->began_ns = client->opened_ns;
    imap_login(imap_of(client), logged_in);
}

const struct mode login_mode = { .name = "login",
                                 .talk = &imap_talk,
                                 .octets = sizeof(struct imap),
                                 .next = next,
                                 .counts_logins = true,
                                 .is_connection = true };
