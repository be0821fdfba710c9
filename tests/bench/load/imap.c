#define _GNU_SOURCE
#include "imap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_ = 256 };

static bool begins_at(const struct imap_reply *reply, size_t at, const char *with)
{
    const size_t n = strlen(with);
    return reply->n >= at + n && strncasecmp(reply->text + at, with, n) == 0;
}

static bool begins(const struct imap_reply *reply, const char *with)
{
    return begins_at(reply, 0, with);
}

static bool has(const struct imap_reply *reply, const char *word)
{
    return memmem(reply->text, reply->n, word, strlen(word)) != NULL;
}

static void fail(struct imap *imap, const char *what, const struct imap_reply *reply)
{
    load_fail(&imap->client, what, reply->text, reply->n);
}

/* ---- Commands ---- */

void imap_say(struct imap *imap, const char *text)
{
    wire_say(&imap->client.wire, text, strlen(text));
}

void imap_say_name(struct imap *imap, const char *pattern, uint64_t number)
{
    char name[NAME_MAX_];
    const size_t n = pattern_write(pattern, number, name, sizeof name);
    imap_say(imap, "\"");
    for (size_t i = 0; i < n; i++) {
        if (name[i] == '"' || name[i] == '\\')
            imap_say(imap, "\\");
        wire_say(&imap->client.wire, name + i, 1);
    }
    imap_say(imap, "\"");
}

void imap_ask(struct imap *imap, const char *what, void (*done)(struct imap *imap))
{
    char tag[16];
    snprintf(tag, sizeof tag, "a%u ", ++imap->tag);
    imap->asked = true;
    imap->what = what;
    imap->done = done;
    imap->goes_on = NULL;
    imap->fetched = imap->found = imap->searches = imap->literals = imap->octets = 0;
    imap_say(imap, tag);
    imap_say(imap, what);
}

void imap_end(struct imap *imap)
{
    imap_say(imap, "\r\n");
    wire_flush(&imap->client.wire);
}

void imap_login(struct imap *imap, void (*done)(struct imap *imap))
{
    const struct options *o = &imap->client.load->options;
    imap_ask(imap, "LOGIN ", done);
    imap_say_name(imap, o->user, imap->client.account);
    imap_say(imap, " ");
    imap_say_name(imap, o->password, imap->client.account);
    imap_end(imap);
}

void imap_select(struct imap *imap, void (*done)(struct imap *imap))
{
    imap->exists = UINT64_MAX;
    imap_ask(imap, "SELECT ", done);
    imap_say_name(imap, imap->client.load->options.mailbox, imap->client.account);
    imap_end(imap);
}

static void leave(struct imap *imap)
{
    load_leave(&imap->client);
}

void imap_logout(struct imap *imap)
{
    imap->client.ending = true;
    imap_ask(imap, "LOGOUT", leave);
    imap_end(imap);
}

/* ---- Responses ---- */

static void see_capability(struct imap *imap, const struct imap_reply *reply)
{
    imap->told_capability = true;
    imap->literal_plus = has(reply, "LITERAL+");
    imap->literal_minus = has(reply, "LITERAL-");
    imap->starttls = has(reply, "STARTTLS");
}

/* "* 12 EXISTS" and its like. */
static void see_number(struct imap *imap, const struct imap_reply *reply)
{
    char *end;
    const uint64_t number = strtoull(reply->text + 2, &end, 10);
    const size_t at = (size_t)(end - reply->text);
    if (begins_at(reply, at, " FETCH ")) {
        imap->fetched++;
        imap->literals += reply->literals;
    } else if (begins_at(reply, at, " EXISTS")) {
        imap->exists = number;
    } else if (begins_at(reply, at, " EXPUNGE")) {
        imap->exists--;
    }
}

static void see_untagged(struct imap *imap, const struct imap_reply *reply)
{
    if (begins(reply, "* BAD") || (begins(reply, "* BYE") && !imap->client.ending)) {
        fail(imap, "the server says: ", reply);
        return;
    }
    if (reply->text[2] >= '0' && reply->text[2] <= '9') {
        see_number(imap, reply);
    } else if (begins(reply, "* SEARCH")) {
        imap->searches++;
        imap->found += reply->spaces - 1; /* one is before the word */
    } else if (begins(reply, "* ESEARCH")) {
        imap->searches++;
    } else if (begins(reply, "* CAPABILITY ")) {
        see_capability(imap, reply);
    }
    if (imap->untagged != NULL)
        imap->untagged(imap, reply);
}

static void see_tagged(struct imap *imap, const struct imap_reply *reply)
{
    char *end = NULL;
    const bool is_ours = reply->text[0] == 'a' && strtoul(reply->text + 1, &end, 10) == imap->tag;
    if (!imap->asked || !is_ours) {
        fail(imap, "an answer to nothing: ", reply);
        return;
    }
    if (!begins_at(reply, (size_t)(end - reply->text), " OK")) {
        fail(imap, imap->what, reply);
        return;
    }
    if (has(reply, "[CAPABILITY "))
        see_capability(imap, reply);
    imap->asked = false;
    imap->done(imap);
}

static void see_more(struct imap *imap, const struct imap_reply *reply)
{
    void (*goes_on)(struct imap * imap) = imap->goes_on;
    if (goes_on == NULL) {
        fail(imap, "nothing is to go on: ", reply);
        return;
    }
    imap->goes_on = NULL;
    goes_on(imap);
}

/* ---- Greeting ---- */

static void logged_in(struct imap *imap)
{
    if (imap->client.mode->set_up != NULL)
        imap->client.mode->set_up(&imap->client);
    else
        load_ready(&imap->client);
}

static void told_capability(struct imap *imap)
{
    if (imap->client.mode->needs_capability && !imap->told_capability)
        load_fail(&imap->client, "CAPABILITY has no answer", "", 0);
    else
        logged_in(imap);
}

static void ask_capability(struct imap *imap)
{
    if (!imap->client.mode->needs_capability || imap->told_capability) {
        logged_in(imap);
        return;
    }
    imap_ask(imap, "CAPABILITY", told_capability);
    imap_end(imap);
}

/* What is said of capabilities before a login, or before TLS, does not hold behind it (RFC 9051 section 6.2). */
static void begin(struct imap *imap)
{
    imap->told_capability = imap->literal_plus = imap->literal_minus = false;
    if (imap->client.mode->counts_logins)
        load_ready(&imap->client);
    else
        imap_login(imap, ask_capability);
}

static void secure(struct imap *imap)
{
    wire_secure(&imap->client.wire, imap->client.load->ssl);
}

static void see_greeting(struct imap *imap, const struct imap_reply *reply)
{
    imap->tag = 1;
    if (!begins(reply, "* OK")) {
        fail(imap, "greeting: ", reply);
        return;
    }
    if (load_tls(&imap->client) != TLS_STARTTLS) {
        begin(imap);
        return;
    }
    imap_ask(imap, "STARTTLS", secure);
    imap_end(imap);
}

static void greet(struct client *client)
{
    struct imap *imap = imap_of(client);
    memset((char *)imap + sizeof *client, 0, sizeof *imap - sizeof *client);
}

static void see(struct imap *imap, const struct imap_reply *reply)
{
    imap->octets += reply->octets;
    if (imap->tag == 0)
        see_greeting(imap, reply);
    else if (reply->n > 2 && reply->text[0] == '*' && reply->text[1] == ' ')
        see_untagged(imap, reply);
    else if (reply->n != 0 && reply->text[0] == '+')
        see_more(imap, reply);
    else
        see_tagged(imap, reply);
}

static void got(struct client *client, const char *p, size_t n)
{
    struct imap *imap = imap_of(client);
    struct imap_reply reply;
    while (n != 0 && client->wire.fd >= 0) {
        const size_t taken = imap_take(&imap->reader, p, n, &reply);
        p += taken;
        n -= taken;
        if (reply.whole)
            see(imap, &reply);
        if (client->wire.shaking && n != 0)
            load_fail(client, "more than an answer to STARTTLS: ", p, n);
    }
}

static void secured(struct client *client)
{
    begin(imap_of(client));
}

const struct talk imap_talk = { false, greet, got, secured };
