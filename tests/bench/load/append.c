/* append: a message into a mailbox, in one write where the server takes literals unasked (RFC 7888). */
#include "imap.h"
#include "imap_modes.h"

#include <stdio.h>

enum { LITERAL_MINUS_MAX = 4096 }; /* RFC 7888 section 5 */

static void next(struct client *client);

static void appended(struct imap *imap)
{
    load_done(&imap->client, imap->client.load->options.octets);
    next(&imap->client);
}

static void say_message(struct imap *imap)
{
    struct corpus *corpus = &imap->client.load->corpus;
    const struct text body = corpus_body(corpus, imap->client.op);
    if (body.p == NULL) {
        load_fail(&imap->client, "no memory", "", 0);
        return;
    }
    corpus_header(corpus, imap->client.op, wire_room(&imap->client.wire, CORPUS_HEADER));
    wire_lend(&imap->client.wire, body.p, body.n);
    imap_end(imap);
}

static void next(struct client *client)
{
    struct imap *imap = imap_of(client);
    const uint64_t octets = client->load->options.octets;
    const bool at_once = imap->literal_plus || (imap->literal_minus && octets <= LITERAL_MINUS_MAX);
    char literal[32];
    if (!load_take(client, 1)) {
        imap_logout(imap);
        return;
    }
    snprintf(literal, sizeof literal, " {%llu%s}\r\n", (unsigned long long)octets, at_once ? "+" : "");
    imap_ask(imap, "APPEND ", appended);
    imap_say_name(imap, client->load->options.mailbox, client->account);
    imap_say(imap, literal);
    if (at_once) {
        say_message(imap);
        return;
    }
    imap->goes_on = say_message;
    wire_flush(&client->wire);
}

const struct mode append_mode = {
    .name = "append", .talk = &imap_talk, .octets = sizeof(struct imap), .next = next, .needs_capability = true
};
