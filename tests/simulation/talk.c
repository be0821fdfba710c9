/* What a mail server says: a small one, that is right when it is well. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

static void say(struct wire *wire, const char *line)
{
    buffer_add_text(&wire->out, line);
    buffer_add_text(&wire->out, "\r\n");
}

/* For good. */
static void refuse(struct wire *wire, const char *command, const char *line)
{
    say(wire, line);
    reasons_refused(wire, command);
}

static void end(struct wire *wire)
{
    wire->ends = true;
    wire->place = AT_END;
}

static void clear(struct wire *wire)
{
    wire->n_rcpts = 0;
    wire->has_mail = wire->bad_data = false;
    wire->text.n = 0;
}

/* ---- What a sick one does instead ---- */

enum upset { NOT, CUTS, BABBLES, LATER, NEVER, STALLS, CLOSES };

static enum upset upset(struct wire *wire)
{
    struct dice *dice = &wire->sim->peer_dice;
    if (wire->mood != SICK)
        return NOT;
    if (dice_falls(dice, 100))
        wire_pause(wire, (int64_t)dice_below(dice, 240) * SECOND);
    uint32_t chance = dice_below(dice, 1000);
    return chance < 40 ? CUTS : chance < 70 ? BABBLES : chance < 150 ? LATER : chance < 160 ? NEVER
                                                        : chance < 175   ? STALLS
                                                        : chance < 190   ? CLOSES
                                                                         : NOT;
}

/* True: it was upset by that, and nothing else is to be said. */
static bool is_upset(struct wire *wire, const char *command)
{
    enum upset how = upset(wire);
    if (how == CUTS)
        end(wire);
    else if (how == BABBLES)
        say(wire, "\x01 hello? \xFF");
    else if (how == LATER)
        say(wire, "451 4.3.0 not now");
    else if (how == NEVER)
        refuse(wire, command, "550 5.3.0 never");
    else if (how == STALLS)
        wire_pause(wire, INT64_MAX);
    else if (how == CLOSES) {
        say(wire, "421 4.3.2 closing down");
        end(wire);
    }
    return how != NOT;
}

/* ---- Commands ---- */

void talk_begin(struct wire *wire)
{
    if (wire->mood == BUSY) {
        say(wire, "421 4.3.2 too many of you");
        end(wire);
    } else if (wire->mood == CLOSED) {
        refuse(wire, "", "554 5.7.1 go away");
    } else if (wire->mood == SILENT) {
        wire_pause(wire, INT64_MAX);
    } else if (!is_upset(wire, "")) {
        say(wire, "220 mx.test ready");
    }
}

static void greet(struct wire *wire)
{
    uint32_t traits = wire->traits;
    if ((traits & PEER_NO_EHLO) != 0) {
        say(wire, "502 5.5.1 what?");
        return;
    }
    wire->extended = true;
    say(wire, "250-mx.test");
    if ((traits & PEER_NO_PIPELINING) == 0)
        say(wire, "250-PIPELINING");
    if ((traits & PEER_NO_8BIT) == 0)
        say(wire, "250-8BITMIME");
    if ((traits & PEER_DSN) != 0)
        say(wire, "250-DSN");
    if ((traits & PEER_CHUNKING) != 0)
        say(wire, "250-CHUNKING");
    if ((traits & PEER_SIZE) != 0)
        say(wire, (traits & PEER_SMALL_SIZE) != 0 ? "250-SIZE 10000" : "250-SIZE 10000000");
    if ((traits & PEER_UTF8) != 0)
        say(wire, "250-SMTPUTF8");
    if ((traits & PEER_TLS) != 0 && !wire->secured)
        say(wire, "250-STARTTLS");
    if ((traits & PEER_AUTH) != 0 && wire->secured)
        say(wire, "250-AUTH PLAIN");
    say(wire, "250 ENHANCEDSTATUSCODES");
}

/* The path between < and > of a command. */
static bool path_of(const char *line, char out[ADDRESS_MAX])
{
    const char *p = strchr(line, '<'), *q = p == NULL ? NULL : strchr(p, '>');
    if (q == NULL || (size_t)(q - p) > ADDRESS_MAX)
        return false;
    snprintf(out, ADDRESS_MAX, "%.*s", (int)(q - p - 1), p + 1);
    return true;
}

/* A list of the grey takes nothing in the first minutes of a mail. */
static bool is_grey(const struct wire *wire, const char *address)
{
    unsigned number = 0;
    const struct sim *sim = wire->sim;
    return sscanf(address, "grey%ux", &number) == 1 && number != 0 && number <= sim->n_mails && !sim->setup.calm &&
           sim->clock.now_us < sim->mails[number - 1].arrives.at_us + 12 * MINUTE;
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (*text & 0x80) == 0)
        text++;
    return *text == '\0';
}

/* What must not happen between the two of us. */
static void check_way(struct wire *wire, const char *address)
{
    struct sim *sim = wire->sim;
    const char *at = strrchr(address, '@');
    unsigned domain = 0;
    uint32_t secure = at != NULL && sscanf(at, "@d%u.test", &domain) == 1 ? domain_secure(sim, domain) : MAILSRV_SECURE_MAY;
    if (!is_ascii(address) && !wire->is_utf8)
        sim_fault(sim, "an address of SMTPUTF8 for who does not have that", address);
    if ((wire->traits & PEER_AUTH) != 0 && !wire->logged_in && !sim->setup.lies) /* else it was not looked for */
        sim_fault(sim, "mail without a login", address);
    bool by_route = (wire->traits & (PEER_AUTH | PEER_LMTP)) != 0;
    if (!by_route && ((secure == MAILSRV_SECURE_MUST && !wire->secured) || (secure == MAILSRV_SECURE_VERIFY && !wire->verified)))
        sim_fault(sim, "mail without TLS that needs it", address);
}

static void take_login(struct wire *wire, const char *line)
{
    bool is_us = strcmp(line, "AUTH PLAIN AHVzAHB3") == 0; /* NUL us NUL pw */
    sim_expect(wire->sim, is_us && wire->secured, "a login that is none");
    wire->logged_in = sim_heals(wire->sim) || !dice_falls(&wire->sim->peer_dice, 100);
    say(wire, wire->logged_in ? "235 2.7.0 hello" : "535 5.7.8 not you");
}

static void take_recipient(struct wire *wire, const char *line)
{
    char address[ADDRESS_MAX];
    uint32_t most = (wire->traits & PEER_FEW) != 0 ? 2 : WIRE_RCPTS;
    if (!wire->has_mail || !path_of(line, address)) {
        say(wire, "503 5.5.1 out of order");
        return;
    }
    check_way(wire, address);
    if (wire->mood == FULL || is_grey(wire, address)) {
        ledger_put_off(wire, address);
        say(wire, "451 4.2.0 come again");
    } else if (strncmp(address, "bad", 3) == 0) {
        refuse(wire, line, "550 5.1.1 nobody of that name");
    } else if (wire->n_rcpts == most) {
        say(wire, "452 4.5.3 too many recipients");
    } else {
        memcpy(wire->rcpts[wire->n_rcpts++], address, sizeof address);
        say(wire, "250 2.1.5 fine");
    }
}

static void take_data(struct wire *wire)
{
    if (wire->n_rcpts == 0) {
        say(wire, "554 5.5.1 no valid recipients");
        return;
    }
    wire->place = AT_DATA;
    say(wire, "354 go on");
}

static void take_chunk(struct wire *wire, const char *line)
{
    wire->chunk_left = strtoull(line + 5, NULL, 10);
    wire->last = strstr(line, "LAST") != NULL;
    wire->bad_data = wire->bad_data || wire->n_rcpts == 0;
    wire->place = AT_CHUNK;
}

static void begin_mail(struct wire *wire, const char *line)
{
    clear(wire);
    wire->has_mail = true;
    wire->is_utf8 = strstr(line, " SMTPUTF8") != NULL;
    sim_expect(wire->sim, !wire->is_utf8 || (wire->traits & PEER_UTF8) != 0, "SMTPUTF8 for who does not have that");
    say(wire, "250 2.1.0 fine");
}

static void command(struct wire *wire, const char *line)
{
    if (strncmp(line, "QUIT", 4) == 0) {
        say(wire, "221 2.0.0 bye");
        end(wire);
    } else if (strncmp(line, "BDAT", 4) == 0) {
        take_chunk(wire, line); /* its octets come, whatever becomes of it */
    } else if (wire->mood == CLOSED) {
        say(wire, "503 5.5.1 I said no");
    } else if (is_upset(wire, line)) {
        return;
    } else if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "LHLO", 4) == 0) {
        greet(wire);
    } else if (strncmp(line, "MAIL", 4) == 0) {
        begin_mail(wire, line);
    } else if (strncmp(line, "STARTTLS", 8) == 0) {
        clear(wire);
        wire->extended = false; /* RFC 3207 section 4.2: as if nothing had been said */
        say(wire, "220 2.0.0 go on");
    } else if (strncmp(line, "AUTH", 4) == 0) {
        take_login(wire, line);
    } else if (strncmp(line, "RCPT", 4) == 0) {
        take_recipient(wire, line);
    } else if (strncmp(line, "DATA", 4) == 0) {
        take_data(wire);
    } else {
        if (strncmp(line, "RSET", 4) == 0)
            clear(wire);
        say(wire, "250 2.0.0 fine");
    }
}

/* ---- The message has come ---- */

/* LMTP says it of each recipient; one may be refused there (RFC 2033 section 4.2), or the connection be lost. */
static void take_each(struct wire *wire)
{
    uint32_t n = wire->n_rcpts;
    for (uint32_t i = 0; i < n; i++) {
        bool lost = wire->mood == SICK && dice_falls(&wire->sim->peer_dice, 50);
        if (lost) {
            for (uint32_t k = i; k < n; k++)
                ledger_taken(wire, wire->rcpts[k], false);
            end(wire);
            return;
        }
        if (wire->mood == SICK && dice_falls(&wire->sim->peer_dice, 100)) {
            say(wire, "452 4.2.2 mailbox full");
            continue;
        }
        ledger_taken(wire, wire->rcpts[i], true);
        say(wire, "250 2.0.0 yours");
    }
}

static void take_message(struct wire *wire)
{
    bool lost = wire->mood == SICK && dice_falls(&wire->sim->peer_dice, 100);
    if ((wire->traits & PEER_LMTP) != 0) {
        take_each(wire);
        return;
    }
    for (uint32_t i = 0; i < wire->n_rcpts; i++)
        ledger_taken(wire, wire->rcpts[i], !lost);
    if (!lost)
        say(wire, "250 2.0.0 yours");
    else if (dice_falls(&wire->sim->peer_dice, 600))
        end(wire);
    else if (dice_falls(&wire->sim->peer_dice, 500))
        wire_pause(wire, INT64_MAX); /* it was taken, and is never answered */
    else
        say(wire, "BLAH");
}

static void finish(struct wire *wire)
{
    wire->place = AT_COMMAND;
    if (wire->bad_data)
        say(wire, "503 5.5.1 out of order");
    else if ((wire->traits & PEER_SMALL_SIZE) != 0 && wire->text.n > SMALL_SIZE)
        for (uint32_t i = 0; i < ((wire->traits & PEER_LMTP) != 0 ? wire->n_rcpts : 1); i++)
            refuse(wire, ".", "552 5.3.4 too big");
    else if (!is_upset(wire, "."))
        take_message(wire);
    clear(wire);
}

static void hear_data(struct wire *wire, const char *line, size_t n)
{
    if (n == 1 && line[0] == '.') {
        finish(wire);
        return;
    }
    if (n != 0 && line[0] == '.') {
        line++;
        n--;
    }
    buffer_add(&wire->text, line, n);
    buffer_add(&wire->text, "\r\n", 2);
}

/* ---- Octets ---- */

static void skip(struct wire *wire, size_t n)
{
    memmove(wire->in.p, wire->in.p + n, wire->in.n - n);
    wire->in.n -= n;
}

static void hear_chunk(struct wire *wire)
{
    size_t n = wire->in.n < wire->chunk_left ? wire->in.n : (size_t)wire->chunk_left;
    buffer_add(&wire->text, wire->in.p, n);
    skip(wire, n);
    wire->chunk_left -= n;
    if (wire->chunk_left != 0)
        return;
    wire->place = AT_COMMAND;
    if (wire->last)
        finish(wire);
    else
        say(wire, wire->bad_data ? "503 5.5.1 out of order" : "250 2.0.0 more");
}

void talk_hear(struct wire *wire)
{
    while (!wire->pauses && wire->place != AT_END) {
        if (wire->place == AT_CHUNK) {
            if (wire->in.n == 0 && wire->chunk_left != 0)
                return;
            hear_chunk(wire);
            continue;
        }
        char *lf = wire->in.n == 0 ? NULL : memchr(wire->in.p, '\n', wire->in.n);
        if (lf == NULL)
            return;
        size_t n = (size_t)(lf - wire->in.p) + 1;
        char *line = dialogue_take(n + 1);
        memcpy(line, wire->in.p, n);
        line[n - 2] = '\0'; /* CRLF */
        skip(wire, n);
        if (wire->place == AT_DATA)
            hear_data(wire, line, n - 2);
        else
            command(wire, line);
        free(line);
    }
}
