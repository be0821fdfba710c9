#define _GNU_SOURCE
#include "pop3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_ = 256 };

static void say(struct pop3 *pop3, const char *text)
{
    wire_say(&pop3->client.wire, text, strlen(text));
}

void pop3_ask(struct pop3 *pop3, const char *command, enum pop3_form form,
              void (*step)(struct pop3 *pop3, const struct pop3_reply *reply))
{
    pop3->what = command;
    pop3->form = form;
    pop3->step = step;
    say(pop3, command);
    say(pop3, "\r\n");
}

static void ask_name(struct pop3 *pop3, const char *command, const char *pattern,
                     void (*step)(struct pop3 *pop3, const struct pop3_reply *reply))
{
    char name[NAME_MAX_], line[NAME_MAX_ + 8];
    pattern_write(pattern, pop3->client.account, name, sizeof name);
    snprintf(line, sizeof line, "%s %s", command, name);
    pop3_ask(pop3, line, POP3_LINE, step);
    pop3->what = command;
}

/* ---- Login ---- */

static void step_pass(struct pop3 *pop3, const struct pop3_reply *reply)
{
    (void)reply;
    pop3->has_logged_in = true;
    if (pop3->client.mode->counts_logins)
        pop3->client.mode->next(&pop3->client);
    else
        load_ready(&pop3->client);
}

static void step_user(struct pop3 *pop3, const struct pop3_reply *reply)
{
    (void)reply;
    ask_name(pop3, "PASS", pop3->client.load->options.password, step_pass);
}

static void step_capa(struct pop3 *pop3, const struct pop3_reply *reply)
{
    pop3->pipelining = memmem(reply->more, reply->more_n, "PIPELINING", 10) != NULL;
    ask_name(pop3, "USER", pop3->client.load->options.user, step_user);
}

static void log_in(struct pop3 *pop3)
{
    if (pop3->client.load->options.pipeline)
        pop3_ask(pop3, "CAPA", POP3_LINES, step_capa);
    else
        ask_name(pop3, "USER", pop3->client.load->options.user, step_user);
}

static void begin(struct pop3 *pop3)
{
    if (pop3->client.mode->counts_logins)
        load_ready(&pop3->client);
    else
        log_in(pop3);
}

static void step_stls(struct pop3 *pop3, const struct pop3_reply *reply)
{
    (void)reply;
    wire_secure(&pop3->client.wire, pop3->client.load->ssl);
}

static void step_greeting(struct pop3 *pop3, const struct pop3_reply *reply)
{
    (void)reply;
    if (load_tls(&pop3->client) == TLS_STARTTLS)
        pop3_ask(pop3, "STLS", POP3_LINE, step_stls);
    else
        begin(pop3);
}

static void greet(struct client *client)
{
    struct pop3 *pop3 = pop3_of(client);
    memset((char *)pop3 + sizeof *client, 0, sizeof *pop3 - sizeof *client);
    pop3->what = "greeting";
    pop3->step = step_greeting;
}

static void secured(struct client *client)
{
    begin(pop3_of(client));
    wire_flush(&client->wire);
}

static void see(struct pop3 *pop3, const struct pop3_reply *reply)
{
    char what[64];
    if (reply->good && pop3->what != NULL) {
        if (pop3->form != POP3_MESSAGE)
            pop3->what = NULL;
        pop3->step(pop3, reply);
        return;
    }
    snprintf(what, sizeof what, "%s: ", pop3->what == NULL ? "nothing was asked" : pop3->what);
    load_fail(&pop3->client, what, reply->text, reply->n);
}

static void got(struct client *client, const char *p, size_t n)
{
    struct pop3 *pop3 = pop3_of(client);
    struct pop3_reply reply;
    while (n != 0 && client->wire.fd >= 0) {
        const size_t taken = pop3_take(&pop3->reader, pop3->form, p, n, &reply);
        p += taken;
        n -= taken;
        if (reply.whole)
            see(pop3, &reply);
        if (client->wire.shaking && n != 0)
            load_fail(client, "more than an answer to STLS: ", p, n);
    }
    wire_flush(&client->wire);
}

const struct talk pop3_talk = { false, greet, got, secured };

/* ---- The maildrop ---- */

static void step_quit(struct pop3 *pop3, const struct pop3_reply *reply)
{
    (void)reply;
    load_leave(&pop3->client);
}

void pop3_quit(struct pop3 *pop3)
{
    pop3_ask(pop3, "QUIT", POP3_LINE, step_quit);
}

static void retrieved(struct pop3 *pop3, const struct pop3_reply *reply);

static void ask_messages(struct pop3 *pop3)
{
    const uint64_t ahead = pop3->pipelining ? POP3_AHEAD : 1, now = now_ns();
    char line[32];
    for (; pop3->asked < pop3->messages && pop3->asked - pop3->answered < ahead; pop3->asked++) {
        snprintf(line, sizeof line, "RETR %llu", (unsigned long long)pop3->asked + 1);
        pop3->asked_ns[pop3->asked % POP3_AHEAD] = now;
        pop3_ask(pop3, line, POP3_MESSAGE, retrieved);
        pop3->what = "RETR";
    }
}

/* With dots stuffed they are as many octets as STAT says, or more. */
static void end_maildrop(struct pop3 *pop3)
{
    if (pop3->came < pop3->octets) {
        load_fail(&pop3->client, "RETR gives less than STAT says", "", 0);
        return;
    }
    load_count(&pop3->client, pop3->came);
    pop3_quit(pop3);
}

static void retrieved(struct pop3 *pop3, const struct pop3_reply *reply)
{
    load_took(pop3->client.load, pop3->asked_ns[pop3->answered++ % POP3_AHEAD]);
    pop3->came += reply->octets;
    if (pop3->answered == pop3->messages)
        end_maildrop(pop3);
    else if (pop3->asked - pop3->answered <= POP3_AHEAD / 2)
        ask_messages(pop3);
}

static void step_uidl(struct pop3 *pop3, const struct pop3_reply *reply)
{
    if (reply->lines != pop3->messages)
        load_fail(&pop3->client, "UIDL and STAT do not agree", "", 0);
    else
        ask_messages(pop3);
}

static void step_stat(struct pop3 *pop3, const struct pop3_reply *reply)
{
    char *end = NULL;
    pop3->messages = reply->n > 4 ? strtoull(reply->text + 4, &end, 10) : 0;
    pop3->octets = pop3->messages == 0 ? 0 : strtoull(end, NULL, 10);
    if (pop3->messages == 0)
        load_fail(&pop3->client, "the maildrop is empty: ", reply->text, reply->n);
    else if (load_take(&pop3->client, pop3->messages))
        pop3_ask(pop3, "UIDL", POP3_LINES, step_uidl);
    else
        pop3_quit(pop3);
}

static void next(struct client *client)
{
    struct pop3 *pop3 = pop3_of(client);
    if (pop3->has_logged_in)
        pop3_ask(pop3, "STAT", POP3_LINE, step_stat);
    else
        log_in(pop3);
}

const struct mode pop3_mode = {
    .name = "pop3", .talk = &pop3_talk, .octets = sizeof(struct pop3), .next = next, .counts_logins = true
};
