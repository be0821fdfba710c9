/* Reads a dialogue file, line by line. */
#include "dialogue.h"
#include "names.h"

#include <mailsrv/stores/memory.h>

#include <stdio.h>
#include <stdlib.h>

struct parser {
    struct dialogue *d;
    struct text rest;    /* of the file */
    unsigned line;       /* the number of the line being read */
    struct buffer *why;  /* empty: nothing is wrong yet */
    struct buffer block; /* lines that belong together: a write, a message */
};

static void wrong(struct parser *p, const char *what)
{
    if (p->why->n != 0)
        return;
    buffer_add_text(p->why, p->d->name);
    buffer_add_text(p->why, ":");
    buffer_add_number(p->why, p->line);
    buffer_add_text(p->why, ": ");
    buffer_add_text(p->why, what);
}

/* ---- Memory ---- */

static void *larger(void *array, size_t n, size_t octets)
{
    void *p = dialogue_take((n + 1) * octets);
    if (n != 0)
        memcpy(p, array, n * octets);
    free(array);
    return p;
}

/* A text that is in no file: kept until the dialogue is freed. */
static struct text keep(struct dialogue *d, const struct buffer *b)
{
    char *copy = dialogue_take(b->n + 1);
    if (b->n != 0)
        memcpy(copy, b->p, b->n);
    d->made = larger(d->made, d->n_made, sizeof *d->made);
    d->made[d->n_made++] = copy;
    return (struct text){ copy, b->n };
}

static struct text keep_block(struct parser *p)
{
    struct text text = keep(p->d, &p->block);
    p->block.n = 0;
    return text;
}

static struct step *add_step(struct parser *p, enum step_kind what)
{
    struct dialogue *d = p->d;
    d->steps = larger(d->steps, d->n_steps, sizeof *d->steps);
    struct step *step = &d->steps[d->n_steps++];
    step->what = what;
    step->line = p->line;
    return step;
}

static struct setup *add_setup(struct parser *p, enum setup_kind what)
{
    struct dialogue *d = p->d;
    d->setups = larger(d->setups, d->n_setups, sizeof *d->setups);
    struct setup *setup = &d->setups[d->n_setups++];
    setup->what = what;
    setup->line = p->line;
    return setup;
}

/* ---- Lines ---- */

static bool read_line(struct parser *p, struct text *out)
{
    if (p->rest.n == 0)
        return false;
    *out = text_line(&p->rest);
    if (out->n != 0 && out->p[out->n - 1] == '\n')
        out->n--;
    p->line++;
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char simple_escape(char c)
{
    switch (c) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    default:
        return c == '\\' ? c : 0;
    }
}

/* Adds the octets of `raw`, escapes resolved, to the block. */
static void add_raw(struct parser *p, struct text raw)
{
    while (raw.n != 0) {
        if (raw.p[0] != '\\') {
            buffer_add(&p->block, raw.p, 1);
            raw = text_after(raw, 1);
        } else if (raw.n >= 2 && simple_escape(raw.p[1]) != 0) {
            char c = simple_escape(raw.p[1]);
            buffer_add(&p->block, &c, 1);
            raw = text_after(raw, 2);
        } else if (raw.n >= 4 && raw.p[1] == 'x' && hex(raw.p[2]) >= 0 && hex(raw.p[3]) >= 0) {
            char c = (char)(hex(raw.p[2]) * 16 + hex(raw.p[3]));
            buffer_add(&p->block, &c, 1);
            raw = text_after(raw, 4);
        } else {
            wrong(p, "no such escape");
            return;
        }
    }
}

/* What stands behind `C:`, `S:` or `|`: one space is no part of it. */
static struct text after_mark(struct text line, size_t n)
{
    line = text_after(line, n);
    return line.n != 0 && line.p[0] == ' ' ? text_after(line, 1) : line;
}

/* `*N` and the mark behind it, as in `C*1000: text`.  False: wrong. */
static bool cut_times(struct parser *p, struct text *line, char mark, uint64_t *times)
{
    size_t n = 1;
    while (n < line->n && line->p[n] >= '0' && line->p[n] <= '9')
        n++;
    if (n == line->n || line->p[n] != mark || !text_number((struct text){ line->p + 1, n - 1 }, times)) {
        wrong(p, "a number and its mark are expected behind *");
        return false;
    }
    *line = after_mark(*line, n + 1);
    return true;
}

/* The lines of a message: `| text`, `|*N text`, `|| raw`. */
static struct text read_message(struct parser *p)
{
    while (p->rest.n != 0 && p->rest.p[0] == '|') {
        struct text line;
        uint64_t times = 1;
        read_line(p, &line);
        if (text_begins(line, text_of("||"))) {
            add_raw(p, after_mark(line, 2));
            continue;
        }
        line = text_after(line, 1);
        if (line.n != 0 && line.p[0] == '*') {
            if (!cut_times(p, &line, ' ', &times))
                break;
        } else if (line.n != 0 && line.p[0] == ' ') {
            line = text_after(line, 1);
        }
        for (; times != 0; times--) {
            buffer_add(&p->block, line.p, line.n);
            buffer_add_text(&p->block, "\r\n");
        }
    }
    return keep_block(p);
}

/* ---- What is set up ---- */

static void parse_profile(struct parser *p, struct text rest)
{
    struct dialogue *d = p->d;
    if (text_is(rest, "smtp mx")) {
        d->machine = mailsrv_smtp();
        d->face = MAILSRV_FACE_MX;
    } else if (text_is(rest, "smtp lmtp")) {
        d->machine = mailsrv_smtp();
        d->face = MAILSRV_FACE_LMTP;
        d->is_lmtp = true;
    } else if (text_is(rest, "smtp receive")) {
        d->machine = mailsrv_smtp_receive();
        d->face = MAILSRV_FACE_MX;
    } else if (text_is(rest, "smtp submission")) {
        d->machine = mailsrv_smtp();
        d->face = MAILSRV_FACE_SUBMISSION;
    } else if (text_is(rest, "smtp client")) {
        d->machine = mailsrv_smtp_client();
        d->face = MAILSRV_FACE_CLIENT;
        d->is_client = true;
    } else if (text_is(rest, "pop3")) {
        d->machine = mailsrv_pop3();
        d->face = MAILSRV_FACE_POP3;
        d->is_pop3 = true;
    } else if (text_is(rest, "imap")) {
        d->machine = mailsrv_imap();
        d->face = MAILSRV_FACE_IMAP;
        d->is_imap = true;
    } else {
        wrong(p, "no such profile");
    }
}

static void parse_set(struct parser *p, struct text rest)
{
    bool is_string = false;
    struct setup *setup = add_setup(p, SETUP_U64);
    if (!name_of_profile_key(text_word(&rest), &setup->key, &is_string)) {
        wrong(p, "no such key");
    } else if (is_string) {
        setup->what = SETUP_STR;
        setup->name = rest;
    } else if (!text_number(rest, &setup->number)) {
        wrong(p, "a number is expected");
    }
    p->d->has_plain_passwords |= !is_string && setup->key == MAILSRV_PROFILE_PLAIN_PASSWORDS;
    if (is_string || setup->key != MAILSRV_PROFILE_TLS)
        return;
    p->d->has_tls = true;
    p->d->tls_first = setup->number == MAILSRV_TLS_IMPLICIT;
}

static void parse_enable(struct parser *p, struct text rest)
{
    struct setup *setup = add_setup(p, SETUP_ENABLE);
    if (!name_of_extension(text_word(&rest), &setup->key))
        wrong(p, "no such extension");
    else if (!text_is(rest, "on") && !text_is(rest, "off"))
        wrong(p, "on or off is expected");
    setup->number = text_is(rest, "on");
    p->d->without_codes |= setup->key == MAILSRV_EXT_RESP_CODES && text_is(rest, "off");
}

static void parse_serve(struct parser *p, struct text rest)
{
    while (rest.n != 0) {
        struct text word = text_word(&rest);
        int32_t kind = 0;
        if (word.n == 0 || word.p[0] != '-' || !name_of_kind(text_after(word, 1), &kind)) {
            wrong(p, "-KIND is expected");
            return;
        }
        p->d->unserved |= UINT64_C(1) << kind;
    }
}

static void parse_knob(struct parser *p, struct text name, struct text rest)
{
    struct setup *setup = add_setup(p, SETUP_KNOB);
    char z[40] = { 0 };
    if (name.n < sizeof z)
        memcpy(z, name.p, name.n);
    setup->key = mailsrv_memory_key(z);
    if (setup->key >= MAILSRV_MEMORY_QUOTA)
        setup->name = text_word(&rest);
    if (setup->key == 0)
        wrong(p, "the store has no such knob");
    else if (setup->key == MAILSRV_MEMORY_LATE || setup->key == MAILSRV_MEMORY_SHUFFLE)
        wrong(p, "late answers are the driver's: O: KIND -> later");
    else if (!text_number(rest, &setup->number))
        wrong(p, "a number is expected");
}

/* An address, or an account and mailbox; what stands in quotes, as in "odd user"@here.test, is given to the store
 * without them. */
static struct text address_word(struct parser *p, struct text *rest)
{
    if (rest->n == 0 || rest->p[0] != '"')
        return text_word(rest);
    *rest = text_after(*rest, 1);
    size_t quote = text_find(*rest, "\"");
    buffer_add(&p->block, rest->p, quote);
    *rest = text_after(*rest, quote + 1);
    if (rest->n != 0 && rest->p[0] != ' ') {
        struct text domain = text_word(rest);
        buffer_add(&p->block, domain.p, domain.n);
    }
    return keep_block(p);
}

static void two_words(struct parser *p, struct setup *setup, struct text name, struct text rest)
{
    setup->name = name;
    setup->text = rest;
    if (name.n == 0 || rest.n == 0)
        wrong(p, "two words are expected");
}

static void parse_store(struct parser *p, struct text rest)
{
    struct text what = text_word(&rest);
    if (text_is(what, "mailbox")) {
        two_words(p, add_setup(p, SETUP_MAILBOX), text_word(&rest), rest);
        return;
    }
    if (text_is(what, "forward")) {
        struct text from = address_word(p, &rest);
        two_words(p, add_setup(p, SETUP_FORWARD), from, rest);
        return;
    }
    if (!text_is(what, "account") && !text_is(what, "address")) {
        parse_knob(p, what, rest);
        return;
    }
    struct setup *setup = add_setup(p, text_is(what, "account") ? SETUP_ACCOUNT : SETUP_ADDRESS);
    struct text name = text_is(what, "account") ? text_word(&rest) : address_word(p, &rest);
    two_words(p, setup, name, rest);
}

static void add_messages(struct parser *p, struct text rest, uint64_t times)
{
    struct text name = address_word(p, &rest), text = read_message(p);
    for (; times != 0; times--) {
        struct setup *setup = add_setup(p, SETUP_MESSAGE);
        setup->name = name;
        setup->words = rest;
        setup->text = text;
    }
}

static void parse_message(struct parser *p, struct text rest)
{
    add_messages(p, rest, 1);
}

/* `message*N: pat`: as many that are the same. */
static void parse_messages(struct parser *p, struct text rest)
{
    uint64_t times = 1;
    struct text line = { rest.p - 1, rest.n + 1 }; /* from the asterisk on */
    if (cut_times(p, &line, ':', &times))
        add_messages(p, line, times);
}

static void parse_peer(struct parser *p, struct text rest)
{
    unsigned b[4];
    char z[16] = { 0 };
    if (rest.n < sizeof z)
        memcpy(z, rest.p, rest.n);
    if (sscanf(z, "%3u.%3u.%3u.%3u", &b[0], &b[1], &b[2], &b[3]) != 4)
        wrong(p, "an IPv4 address is expected");
    else
        for (int i = 0; i < 4; i++)
            p->d->peer[i] = (uint8_t)b[i];
}

static void parse_external(struct parser *p, struct text rest)
{
    p->d->external = rest;
}

static void parse_crypto(struct parser *p, struct text rest)
{
    p->d->has_scram = true;
    if (!text_is(rest, "scram"))
        wrong(p, "scram is expected");
}

static void parse_local_port(struct parser *p, struct text rest)
{
    uint64_t port = 0;
    if (!text_number(rest, &port) || port > 65535)
        wrong(p, "a port is expected");
    p->d->local_port = (uint16_t)port;
}

/* ---- Clients ---- */

static void parse_terms(struct parser *p, struct text rest)
{
    p->d->terms = rest;
}

/* A job that is there from the start, or one that comes. */
static void parse_job(struct parser *p, struct text rest)
{
    struct text message = read_message(p);
    if (p->d->n_steps == 0) {
        struct setup *setup = add_setup(p, SETUP_JOB);
        setup->words = rest;
        setup->text = message;
        return;
    }
    struct step *step = add_step(p, STEP_JOB);
    step->words = rest;
    step->text = message;
}

static void parse_certificate(struct parser *p, struct text rest)
{
    p->d->has_certificate = text_is(rest, "good");
    if (!p->d->has_certificate)
        wrong(p, "good is expected");
}

static void parse_credential(struct parser *p, struct text rest)
{
    struct setup *setup = add_setup(p, SETUP_CREDENTIAL);
    two_words(p, setup, text_word(&rest), rest);
    p->d->user = setup->name;
    p->d->password = setup->text;
}

static void parse_token(struct parser *p, struct text rest)
{
    struct setup *setup = add_setup(p, SETUP_TOKEN);
    two_words(p, setup, text_word(&rest), rest);
    p->d->user = setup->name;
    p->d->token = setup->text;
}

static void parse_told(struct parser *p, struct text rest)
{
    add_step(p, STEP_TOLD)->text = rest;
}

/* ---- What is said ---- */

/* What follows `C:`, `C*N:`, `S:`, `S~:` or `S*N:`, and N. */
static struct text cut_mark(struct parser *p, struct text line, uint64_t *times)
{
    *times = 1;
    line = text_after(line, 1);
    if (line.p[0] == '~')
        return after_mark(line, 2);
    if (line.p[0] != '*')
        return after_mark(line, 1);
    return cut_times(p, &line, ':', times) ? line : (struct text){ line.p, 0 };
}

/* Consecutive lines of the client are one write. */
static void parse_client(struct parser *p, struct text line)
{
    struct dialogue *d = p->d;
    uint64_t times;
    if (d->n_steps != 0 && d->steps[d->n_steps - 1].what == STEP_CLIENT) {
        struct text before = d->steps[--d->n_steps].text;
        buffer_add(&p->block, before.p, before.n);
    }
    if (line.p[1] == '|') {
        add_raw(p, after_mark(line, 2));
    } else {
        for (line = cut_mark(p, line, &times); times != 0; times--) {
            buffer_add(&p->block, line.p, line.n);
            buffer_add_text(&p->block, "\r\n");
        }
    }
    struct text text = keep_block(p);
    add_step(p, STEP_CLIENT)->text = text;
}

static void parse_server(struct parser *p, struct text line)
{
    uint64_t times;
    if (line.p[1] == '|') {
        add_raw(p, after_mark(line, 2));
        struct text raw = keep_block(p);
        add_step(p, STEP_SERVER_RAW)->text = raw;
        return;
    }
    bool loose = line.p[1] == '~';
    p->d->has_loose |= loose;
    for (line = cut_mark(p, line, &times); times != 0; times--) {
        struct step *step = add_step(p, STEP_SERVER);
        step->text = line;
        step->loose = loose;
    }
}

static void parse_op(struct parser *p, struct text rest)
{
    struct step *step = add_step(p, STEP_OP);
    if (!name_of_kind(text_word(&rest), &step->kind)) {
        wrong(p, "no such kind of operation");
        return;
    }
    size_t arrow = text_find(rest, "->");
    if (arrow == rest.n) {
        wrong(p, "-> and an answer are expected");
        return;
    }
    step->words = (struct text){ rest.p, arrow };
    while (step->words.n != 0 && step->words.p[step->words.n - 1] == ' ')
        step->words.n--;
    struct text answer = text_after(rest, arrow + 2);
    struct text status = text_word(&answer);
    step->text = answer;
    if (text_is(status, "ok") || text_is(status, "OK"))
        step->reply = REPLY_STORE;
    else if (text_is(status, "later"))
        step->reply = REPLY_LATER;
    else if (text_is(status, "never"))
        step->reply = REPLY_NEVER;
    else if (name_of_status(status, &step->status))
        step->reply = REPLY_STATUS;
    else if (name_of_verdict(status, &step->verdict))
        step->reply = REPLY_VERDICT;
    else
        wrong(p, "no such status");
}

static void parse_answer(struct parser *p, struct text rest)
{
    struct step *step = add_step(p, STEP_ANSWER);
    struct text status = text_word(&rest);
    step->text = rest;
    if (name_of_verdict(status, &step->verdict)) {
        step->reply = REPLY_VERDICT;
        return;
    }
    if (!name_of_status(status, &step->status))
        wrong(p, "no such status");
    step->reply = step->status == MAILSRV_OK ? REPLY_STORE : REPLY_STATUS;
}

static void parse_time(struct parser *p, struct text rest)
{
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 }, { "h", 3600000000 } };
    struct step *step = add_step(p, STEP_TIME);
    size_t digits = 1;
    while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
        digits++;
    uint64_t number = 0;
    if (rest.n != 0 && rest.p[0] == '+' && text_number((struct text){ rest.p + 1, digits - 1 }, &number))
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (text_is(text_after(rest, digits), units[i].unit))
                step->n = number * units[i].us;
    if (step->n == 0)
        wrong(p, "+N and us, ms, s, m or h are expected");
}

static void parse_mailbox(struct parser *p, struct text rest)
{
    struct text account = address_word(p, &rest);
    struct text number = text_word(&rest);
    uint64_t n = 0;
    if (!text_number(number, &n) || (rest.n != 0 && !text_is(rest, "="))) {
        wrong(p, "an account, a number and perhaps = are expected");
        return;
    }
    struct step *step = add_step(p, rest.n == 0 ? STEP_COUNT : STEP_MESSAGE);
    step->words = account;
    step->n = n;
    if (step->what == STEP_MESSAGE)
        step->text = read_message(p);
}

static void parse_row(struct parser *p, struct text rest)
{
    struct text box = address_word(p, &rest);
    struct step *step = add_step(p, STEP_ROW);
    step->words = box;
    if (!text_number(text_word(&rest), &step->n))
        wrong(p, "a mailbox, a number and what its row says are expected");
    step->text = rest;
}

static void parse_act(struct parser *p, struct text rest)
{
    static const char *const acts[] = { "append", "flags", "expunge", "create", "delete" };
    struct step *step = add_step(p, STEP_ACT);
    struct text all = rest, act = text_word(&rest);
    size_t i = 0;
    while (i < sizeof acts / sizeof acts[0] && !text_is(act, acts[i]))
        i++;
    if (i == sizeof acts / sizeof acts[0])
        wrong(p, "append, flags, expunge, create or delete is expected");
    step->words = all;
    if (i == 0)
        step->text = read_message(p);
}

static void parse_notify(struct parser *p, struct text rest)
{
    add_step(p, STEP_NOTIFY);
    if (rest.n != 0)
        wrong(p, "nothing is expected behind N:");
}

static void parse_queue(struct parser *p, struct text rest)
{
    uint64_t n = 0;
    if (!text_number(text_word(&rest), &n)) {
        wrong(p, "a number is expected");
        return;
    }
    struct step *step = add_step(p, rest.n == 0 ? STEP_QUEUE_COUNT : STEP_QUEUE_HAS);
    step->n = n;
    if (rest.n == 0)
        return;
    struct text how = text_word(&rest);
    if (text_is(how, "is"))
        step->what = STEP_QUEUE_IS;
    else if (text_is(how, "begins"))
        step->what = STEP_QUEUE_BEGINS;
    else if (!text_is(how, "has"))
        wrong(p, "has, is or begins is expected");
    step->text = rest;
}

/* ---- TLS ---- */

static void parse_wire(struct parser *p, struct text rest)
{
    p->d->is_clear = text_is(rest, "clear");
    p->d->is_provided = text_is(rest, "provider");
    if (!p->d->is_clear && !p->d->is_provided)
        wrong(p, "clear or provider is expected");
}

static void parse_tls(struct parser *p, struct text rest)
{
    if (!text_is(rest, "begins"))
        wrong(p, "begins is expected");
    add_step(p, STEP_TLS);
}

/* ---- The whole ---- */

static const struct {
    const char *mark;
    void (*parse)(struct parser *p, struct text rest);
} marks[] = {
    { "profile:", parse_profile },  { "set:", parse_set },     { "enable:", parse_enable },
    { "serve:", parse_serve },      { "store:", parse_store }, { "message:", parse_message },
    { "peer:", parse_peer },        { "O:", parse_op },        { "A:", parse_answer },
    { "T:", parse_time },           { "M:", parse_mailbox },   { "Q:", parse_queue },
    { "message*", parse_messages }, { "R:", parse_row },       { "X:", parse_act },
    { "N:", parse_notify },         { "external:", parse_external }, { "crypto:", parse_crypto },
    { "local_port:", parse_local_port },
    { "wire:", parse_wire },         { "TLS:", parse_tls },
    { "terms:", parse_terms },       { "J:", parse_job },
    { "K:", parse_told },            { "certificate:", parse_certificate },
    { "credential:", parse_credential }, { "token:", parse_token },
};

static void parse_line(struct parser *p, struct text line)
{
    if (line.n == 0 || line.p[0] == '#')
        return;
    bool is_client = p->d->is_client; /* the other side is the server */
    char peer = is_client ? 'S' : 'C', ours = is_client ? 'C' : 'S';
    if (text_is(line, is_client ? "C closes" : "S closes")) {
        add_step(p, STEP_CLOSES);
    } else if (text_is(line, is_client ? "S closes" : "eof")) {
        add_step(p, STEP_EOF);
    } else if (line.n >= 2 && strchr(":|*", line.p[1]) != NULL && line.p[0] == peer) {
        parse_client(p, line);
    } else if (line.n >= 2 && strchr(":|*~", line.p[1]) != NULL && line.p[0] == ours) {
        parse_server(p, line);
    } else {
        for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
            if (!text_begins(line, text_of(marks[i].mark)))
                continue;
            marks[i].parse(p, after_mark(line, strlen(marks[i].mark)));
            return;
        }
        wrong(p, "no line of a dialogue begins like this");
    }
}

static void join_input(struct dialogue *d)
{
    struct buffer all = { 0 };
    for (size_t i = 0; i < d->n_steps; i++)
        if (d->steps[i].what == STEP_CLIENT)
            buffer_add(&all, d->steps[i].text.p, d->steps[i].text.n);
    d->input = keep(d, &all);
    bool logs_in =
        d->is_imap || d->is_pop3 || d->face == MAILSRV_FACE_SUBMISSION || text_holds(d->input, text_of("AUTH "));
    d->is_clear |= logs_in && !d->has_plain_passwords && !d->has_tls; /* under TLS passwords would be taken */
    buffer_free(&all);
}

struct dialogue *dialogue_parse(const char *name, const char *text, size_t n, struct buffer *why)
{
    struct dialogue *d = dialogue_take(sizeof *d);
    struct parser p = { .d = d, .why = why };
    struct text line;
    d->name = memcpy(dialogue_take(strlen(name) + 1), name, strlen(name));
    d->file = dialogue_take(n + 1);
    memcpy(d->file, text, n);
    memcpy(d->peer, (uint8_t[]){ 192, 0, 2, 7 }, sizeof d->peer);
    p.rest = (struct text){ d->file, n };
    while (why->n == 0 && read_line(&p, &line))
        parse_line(&p, line);
    if (why->n == 0 && d->machine == NULL)
        wrong(&p, "a dialogue needs a profile");
    buffer_free(&p.block);
    if (why->n != 0) {
        dialogue_free(d);
        return NULL;
    }
    join_input(d);
    return d;
}

struct dialogue *dialogue_read(const char *path, struct buffer *why)
{
    struct buffer text = { 0 };
    char piece[4096];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        buffer_add_text(why, path);
        buffer_add_text(why, ": cannot be read");
        return NULL;
    }
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) != 0;)
        buffer_add(&text, piece, n);
    fclose(f);
    struct dialogue *d = dialogue_parse(path, text.p == NULL ? "" : text.p, text.n, why);
    buffer_free(&text);
    return d;
}

void dialogue_free(struct dialogue *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n_made; i++)
        free(d->made[i]);
    free(d->made);
    free(d->steps);
    free(d->setups);
    free(d->file);
    free(d->name);
    free(d);
}
