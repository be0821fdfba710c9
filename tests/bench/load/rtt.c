/* rtt: NOOP, again and again: what a command costs that asks for nothing. */
#include "rtt.h"

#include "imap.h"
#include "pop3.h"
#include "smtp.h"

static void next_smtp(struct client *client);
static void next_imap(struct client *client);
static void next_pop3(struct client *client);

static void answered_smtp(struct smtp *smtp)
{
    load_done(&smtp->client, 0);
    next_smtp(&smtp->client);
}

static void next_smtp(struct client *client)
{
    struct smtp *smtp = (struct smtp *)(void *)client;
    if (load_take(client, 1))
        smtp_noop(smtp, answered_smtp);
    else
        smtp_quit(smtp);
}

static void answered_imap(struct imap *imap)
{
    load_done(&imap->client, 0);
    next_imap(&imap->client);
}

static void next_imap(struct client *client)
{
    struct imap *imap = imap_of(client);
    if (!load_take(client, 1)) {
        imap_logout(imap);
        return;
    }
    imap_ask(imap, "NOOP", answered_imap);
    imap_end(imap);
}

static void answered_pop3(struct pop3 *pop3, const struct pop3_reply *reply)
{
    (void)reply;
    load_done(&pop3->client, 0);
    next_pop3(&pop3->client);
}

static void next_pop3(struct client *client)
{
    struct pop3 *pop3 = pop3_of(client);
    if (load_take(client, 1))
        pop3_ask(pop3, "NOOP", POP3_LINE, answered_pop3);
    else
        pop3_quit(pop3);
    wire_flush(&client->wire);
}

const struct mode rtt_modes[RTT_MODES] = {
    { .name = "smtp", .talk = &smtp_talk, .octets = sizeof(struct smtp), .next = next_smtp },
    { .name = "lmtp", .talk = &lmtp_talk, .octets = sizeof(struct smtp), .next = next_smtp },
    { .name = "imap", .talk = &imap_talk, .octets = sizeof(struct imap), .next = next_imap },
    { .name = "pop3", .talk = &pop3_talk, .octets = sizeof(struct pop3), .next = next_pop3 },
};
