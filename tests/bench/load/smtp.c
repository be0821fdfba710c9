#include "smtp.h"

#include <string.h>

enum { ADDRESS_MAX = 256 };

static struct smtp *smtp_of(struct client *client)
{
    return (struct smtp *)(void *)client;
}

static void say(struct smtp *smtp, const char *text)
{
    wire_say(&smtp->client.wire, text, strlen(text));
}

static void fail(struct smtp *smtp, const char *what, const struct smtp_reply *reply)
{
    load_fail(&smtp->client, what, reply->text, reply->n);
}

/* The last line of the reply that is expected; of another one the connection dies. */
static bool is(struct smtp *smtp, const struct smtp_reply *reply, int code, const char *what)
{
    if (reply->code == code)
        return reply->last;
    fail(smtp, what, reply);
    return false;
}

static void step_unasked(struct smtp *smtp, const struct smtp_reply *reply)
{
    fail(smtp, "nothing was asked: ", reply);
}

/* ---- Greeting ---- */

static void step_starttls(struct smtp *smtp, const struct smtp_reply *reply)
{
    smtp->step = step_unasked;
    if (is(smtp, reply, 220, "STARTTLS: "))
        wire_secure(&smtp->client.wire, smtp->client.load->ssl);
}

static bool has_word(const struct smtp_reply *reply, const char *word)
{
    const size_t n = strlen(word);
    return reply->n >= 4 + n && strncasecmp(reply->text + 4, word, n) == 0 &&
           (reply->n == 4 + n || reply->text[4 + n] == ' ');
}

static void step_hello(struct smtp *smtp, const struct smtp_reply *reply)
{
    smtp->pipelining |= has_word(reply, "PIPELINING");
    smtp->starttls |= has_word(reply, "STARTTLS");
    if (!is(smtp, reply, 250, "EHLO: "))
        return;
    smtp->step = step_unasked;
    smtp->pipelining &= smtp->client.load->options.pipeline;
    if (load_tls(&smtp->client) != TLS_STARTTLS || smtp->client.wire.ssl != NULL) {
        load_ready(&smtp->client);
    } else if (smtp->starttls) {
        smtp->step = step_starttls;
        say(smtp, "STARTTLS\r\n");
    } else {
        fail(smtp, "STARTTLS is not offered: ", reply);
    }
}

static void say_hello(struct smtp *smtp)
{
    smtp->pipelining = smtp->starttls = false;
    smtp->step = step_hello;
    say(smtp, smtp->lmtp ? "LHLO load.remote.test\r\n" : "EHLO load.remote.test\r\n");
    wire_flush(&smtp->client.wire);
}

static void step_greeting(struct smtp *smtp, const struct smtp_reply *reply)
{
    if (is(smtp, reply, 220, "greeting: "))
        say_hello(smtp);
}

static void greet(struct client *client)
{
    struct smtp *smtp = smtp_of(client);
    smtp->reader.n = 0;
    smtp->lmtp = false;
    smtp->step = step_greeting;
}

static void greet_lmtp(struct client *client)
{
    greet(client);
    smtp_of(client)->lmtp = true;
}

static void secured(struct client *client)
{
    say_hello(smtp_of(client));
}

static void got(struct client *client, const char *p, size_t n)
{
    struct smtp *smtp = smtp_of(client);
    struct smtp_reply reply;
    while (n != 0 && client->wire.fd >= 0) {
        const size_t taken = smtp_take(&smtp->reader, p, n, &reply);
        p += taken;
        n -= taken;
        if (!reply.whole)
            continue;
        if (reply.code == 0)
            fail(smtp, "this is no reply: ", &reply);
        else
            smtp->step(smtp, &reply);
        if (client->wire.shaking && n != 0) /* RFC 3207 section 4.2: nothing in the clear is kept */
            load_fail(client, "more than an answer to STARTTLS: ", p, n);
    }
    wire_flush(&client->wire);
}

const struct talk smtp_talk = { true, greet, got, secured }, lmtp_talk = { true, greet_lmtp, got, secured };

/* ---- A message ---- */

/* RFC 2033 section 4.2: LMTP answers for each recipient. */
static void step_message(struct smtp *smtp, const struct smtp_reply *reply)
{
    if (!is(smtp, reply, 250, "message: ") || ++smtp->seen < (smtp->lmtp ? smtp->rcpts : 1))
        return;
    smtp->step = step_unasked;
    smtp->done(smtp);
}

static void say_message(struct smtp *smtp)
{
    struct corpus *corpus = &smtp->client.load->corpus;
    const struct text body = corpus_body(corpus, smtp->client.op);
    if (body.p == NULL) {
        load_fail(&smtp->client, "no memory", "", 0);
        return;
    }
    corpus_header(corpus, smtp->client.op, wire_room(&smtp->client.wire, CORPUS_HEADER));
    wire_lend(&smtp->client.wire, body.p, body.n);
    wire_lend(&smtp->client.wire, ".\r\n", 3);
    smtp->seen = 0;
    smtp->message_ns = now_ns();
    smtp->step = step_message;
}

/* MAIL is the first line of an envelope, DATA the last. */
static void say_line(struct smtp *smtp, uint64_t line)
{
    const struct options *o = &smtp->client.load->options;
    char address[ADDRESS_MAX];
    if (line == smtp->rcpts + 1) {
        say(smtp, "DATA\r\n");
        return;
    }
    const uint64_t user = o->first + (smtp->rcpt + line - 1) % o->users;
    const size_t n = line == 0 ? pattern_write(o->from, smtp->client.op, address, sizeof address)
                               : pattern_write(o->to, user, address, sizeof address);
    say(smtp, line == 0 ? "MAIL FROM:<" : "RCPT TO:<");
    wire_say(&smtp->client.wire, address, n);
    say(smtp, ">\r\n");
}

static void step_envelope(struct smtp *smtp, const struct smtp_reply *reply)
{
    const bool is_last = smtp->seen == smtp->rcpts + 1;
    if (!is(smtp, reply, is_last ? 354 : 250, smtp->seen == 0 ? "MAIL: " : is_last ? "DATA: " : "RCPT: "))
        return;
    smtp->seen++;
    if (is_last)
        say_message(smtp);
    else if (!smtp->pipelining)
        say_line(smtp, smtp->seen);
}

void smtp_send(struct smtp *smtp, uint64_t rcpt, uint64_t rcpts, void (*accepted)(struct smtp *smtp))
{
    smtp->rcpt = rcpt;
    smtp->rcpts = rcpts;
    smtp->seen = 0;
    smtp->done = accepted;
    smtp->step = step_envelope;
    say_line(smtp, 0);
    for (uint64_t line = 1; smtp->pipelining && line <= rcpts + 1; line++)
        say_line(smtp, line);
    wire_flush(&smtp->client.wire);
}

/* ---- Short commands ---- */

static void step_noop(struct smtp *smtp, const struct smtp_reply *reply)
{
    if (!is(smtp, reply, 250, "NOOP: "))
        return;
    smtp->step = step_unasked;
    smtp->done(smtp);
}

void smtp_noop(struct smtp *smtp, void (*answered)(struct smtp *smtp))
{
    smtp->done = answered;
    smtp->step = step_noop;
    say(smtp, "NOOP\r\n");
    wire_flush(&smtp->client.wire);
}

static void step_quit(struct smtp *smtp, const struct smtp_reply *reply)
{
    if (is(smtp, reply, 221, "QUIT: "))
        load_leave(&smtp->client);
}

void smtp_quit(struct smtp *smtp)
{
    smtp->step = step_quit;
    say(smtp, "QUIT\r\n");
    wire_flush(&smtp->client.wire);
}

/* ---- The modes ---- */

static void next(struct client *client);

static void accepted(struct smtp *smtp)
{
    load_done(&smtp->client, corpus_octets(&smtp->client.load->corpus, smtp->client.op));
    next(&smtp->client);
}

static void next(struct client *client)
{
    const uint64_t rcpts = client->load->options.rcpts;
    if (load_take(client, 1))
        smtp_send(smtp_of(client), client->op * rcpts, rcpts, accepted);
    else
        smtp_quit(smtp_of(client));
}

const struct mode smtp_mode = { .name = "smtp", .talk = &smtp_talk, .octets = sizeof(struct smtp), .next = next };
const struct mode lmtp_mode = { .name = "lmtp", .talk = &lmtp_talk, .octets = sizeof(struct smtp), .next = next };
