/* idle: many connections in IDLE (RFC 2177), spread over mailboxes; messages are delivered by LMTP, one after the
 * other, and an operation is an idler that was told of one.
 *
 * A latency is from the message's end, as it was handed to the kernel, to EXISTS, and so has the delivery in it;
 * after_250_... count from the delivery's acknowledgement, and are 0 for who was told before it. */
#include "idle.h"

#include "imap.h"
#include "smtp.h"

#include <stdio.h>
#include <stdlib.h>

struct idler {
    struct imap imap;
    uint64_t known; /* messages that it was told of */
    bool waits;     /* for the one that is under way */
};

/* What delivers. */
static struct {
    struct smtp smtp;
    struct histogram after;
    uint64_t accepted_ns; /* 0: the message is not acknowledged yet */
    uint64_t waiting;     /* idlers that wait for it */
    uint64_t told_early;
} sender;

static struct idler *idler_of(struct client *client)
{
    return (struct idler *)(void *)client;
}

static void round_ended(struct load *load);

/* ---- Idlers ---- */

static void told(struct idler *idler)
{
    struct load *load = idler->imap.client.load;
    idler->waits = false;
    sender.waiting--;
    load_took(load, sender.smtp.message_ns);
    load->ops++;
    if (sender.accepted_ns == 0)
        sender.told_early++;
    else
        histogram_add(&sender.after, load->ended_ns - sender.accepted_ns);
    if (sender.waiting == 0 && sender.accepted_ns != 0)
        round_ended(load);
}

static void see(struct imap *imap, const struct imap_reply *reply)
{
    struct idler *idler = idler_of(&imap->client);
    (void)reply;
    if (imap->exists == idler->known)
        return;
    if (imap->exists == idler->known + 1 && idler->waits) {
        idler->known = imap->exists;
        told(idler);
    } else {
        load_fail(&imap->client, "EXISTS is not as it must be: ", reply->text, reply->n);
    }
}

static void idles(struct imap *imap)
{
    idler_of(&imap->client)->known = imap->exists;
    imap->untagged = see;
    load_ready(&imap->client);
}

static void has_left(struct imap *imap)
{
    imap_logout(imap);
}

static void selected(struct imap *imap)
{
    imap_ask(imap, "IDLE", has_left);
    imap->goes_on = idles;
    imap_end(imap);
}

static void set_up(struct client *client)
{
    imap_select(imap_of(client), selected);
}

/* The clock has started: it waits to be told. */
static void next(struct client *client)
{
    (void)client;
}

/* ---- Delivery ---- */

static uint64_t mailbox_of(const struct load *load, uint64_t round)
{
    return round % load->options.mailboxes;
}

static void accepted(struct smtp *smtp)
{
    sender.accepted_ns = now_ns();
    for (; sender.told_early != 0; sender.told_early--)
        histogram_add(&sender.after, 0);
    if (sender.waiting == 0)
        round_ended(smtp->client.load);
}

static void say_done(struct load *load)
{
    for (uint64_t i = 0; i < load->n_clients; i++) {
        struct imap *imap = imap_of(load_client(load, i));
        imap->untagged = NULL;
        wire_say(&imap->client.wire, "DONE", 4);
        imap_end(imap);
    }
}

static void begin_round(struct client *client)
{
    struct load *load = client->load;
    if (!load_take(client, 1)) {
        smtp_quit(&sender.smtp);
        say_done(load);
        return;
    }
    const uint64_t mailbox = mailbox_of(load, client->op);
    sender.accepted_ns = sender.waiting = 0;
    for (uint64_t i = 0; i < load->n_clients; i++) {
        struct client *idler = load_client(load, i);
        idler_of(idler)->waits = idler->account == load->options.first + mailbox;
        sender.waiting += idler_of(idler)->waits;
    }
    smtp_send(&sender.smtp, mailbox, 1, accepted);
}

static void round_ended(struct load *load)
{
    load->octets += load->options.octets;
    begin_round(&sender.smtp.client);
}

static const struct mode sender_mode = {
    .name = "idle", .talk = &lmtp_talk, .octets = sizeof sender.smtp, .next = begin_round
};

static void begin(struct load *load)
{
    char line[8];
    if (load->options.wait) {
        fprintf(stderr, "ready\n");
        if (fgets(line, sizeof line, stdin) == NULL)
            exit(2);
    }
    load_add(load, &sender.smtp.client, &sender_mode, load->options.lmtp_port);
}

static void end(struct load *load)
{
    load_figure(load, "idlers", (double)load->n_clients);
    load_figure(load, "mailboxes", (double)load->options.mailboxes);
    load_figure(load, "after_250_p50_us", (double)histogram_quantile(&sender.after, 0.5) / 1e3);
    load_figure(load, "after_250_p99_us", (double)histogram_quantile(&sender.after, 0.99) / 1e3);
    load_figure(load, "after_250_max_us", (double)sender.after.max_ns / 1e3);
    wire_fini(&sender.smtp.client.wire);
}

const struct mode idle_mode = { .name = "idle",
                                .talk = &imap_talk,
                                .octets = sizeof(struct idler),
                                .set_up = set_up,
                                .next = next,
                                .begin = begin,
                                .end = end,
                                .needs_all = true };
