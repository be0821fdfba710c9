/* Messages, and how they come into the queue: by mailsrv_queue_send, or by a session of the server. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum step { GREETING, HELLO, FROM, TO, DATA, MESSAGE, QUITS };

/* A client of our server. */
struct submission {
    struct submission *next;
    struct mail *mail;
    mailsrv_session *server;
    enum step step;
    uint32_t rcpt, accepted;
    struct buffer in, out;
    size_t out_at;
};

/* ---- What they write ---- */

/* Its first field names it; what follows is made of its number. */
void mail_text(const struct mail *mail, uint64_t seed, struct buffer *out)
{
    static const char letters[] = "the quick brown fox jumps over the lazy dog, 0123456789 times; and when it has done so, it rests; "
                                  "then it jumps again, and again, and again, until the dog has had enough";
    struct dice dice = { dice_mix(seed, 9000 + mail->number) };
    buffer_add_text(out, "X-Sim: ");
    buffer_add_number(out, mail->number);
    buffer_add_text(out, "\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ");
    buffer_add_text(out, mail->eight_bit ? "8bit\r\n\r\n" : "7bit\r\n\r\n");
    while (out->n < mail->octets) {
        uint32_t n = dice_below(&dice, 72);
        if (dice_falls(&dice, 100))
            buffer_add_text(out, ".");
        buffer_add(out, &letters[dice_below(&dice, sizeof letters - 72)], n);
        buffer_add_text(out, mail->eight_bit ? "x\xC3\xA9\r\n" : "x\r\n");
    }
}

static uint32_t notify_of(struct dice *dice)
{
    uint32_t chance = dice_below(dice, 100);
    return chance < 70   ? 0
           : chance < 80 ? MAILSRV_NOTIFY_NEVER
           : chance < 90 ? MAILSRV_NOTIFY_SUCCESS | MAILSRV_NOTIFY_FAILURE
                         : MAILSRV_NOTIFY_FAILURE;
}

static void address_rcpt(struct sim *sim, struct mail *m, uint32_t i, uint32_t domain, struct dice *dice)
{
    uint32_t chance = dice_below(dice, 100);
    struct addressee *a = &m->rcpts[i];
    const char *kind = sim->setup.calm || chance < 80 ? "u" : chance < 85 ? "bad" : chance < 90 ? "grey" : "\xC3\xBC";
    a->mail = m;
    a->is_local = !sim->setup.calm && m->by_session && i < LOCALS && chance >= 90;
    if (a->is_local)
        snprintf(a->address, ADDRESS_MAX, "s%u@here.test", i);
    else if (m->by_session && chance >= 90)
        snprintf(a->address, ADDRESS_MAX, "u%ux%u@d%u.test", m->number, i, domain);
    else
        snprintf(a->address, ADDRESS_MAX, "%s%ux%u@d%u.test", kind, m->number, i, domain);
    a->notify = sim->setup.calm ? 0 : notify_of(dice);
}

static void compose(struct sim *sim, struct mail *m, struct dice *dice)
{
    uint32_t chance = dice_below(dice, 100), domain = dice_below(dice, sim->setup.domains);
    m->n_rcpts = 1 + (dice_falls(dice, 400) ? dice_below(dice, RCPTS_MAX) : 0);
    m->by_session = dice_falls(dice, 300);
    if (chance < 50)
        snprintf(m->from, ADDRESS_MAX, "s%u@here.test", dice_below(dice, LOCALS));
    else if (chance < 85)
        snprintf(m->from, ADDRESS_MAX, "r%u@d%u.test", m->number, dice_below(dice, sim->setup.domains));
    for (uint32_t i = 0; i < m->n_rcpts; i++) {
        if (dice_falls(dice, 600))
            domain = dice_below(dice, sim->setup.domains);
        address_rcpt(sim, m, i, domain, dice);
    }
    m->octets = dice_falls(dice, 950) ? 200 + dice_below(dice, 1000) : dice_below(dice, 60000);
    m->eight_bit = dice_falls(dice, 200);
}

/* ---- By the library ---- */

static void sent(void *user, int32_t status)
{
    struct mail *m = user;
    m->lent = false;
    if (status != MAILSRV_OK || m->sim->crashing)
        return;
    m->acknowledged = true;
    sim_expect(m->sim, m->durable, "it is said to be durable, and is not");
}

static void send(struct mail *m)
{
    struct sim *sim = m->sim;
    mailsrv_queue_recipient rcpts[RCPTS_MAX];
    for (uint32_t i = 0; i < m->n_rcpts; i++)
        rcpts[i] = (mailsrv_queue_recipient){ .size = sizeof rcpts[0], .notify = m->rcpts[i].notify,
                                              .address = { (const uint8_t *)m->rcpts[i].address,
                                                           strlen(m->rcpts[i].address) } };
    mail_text(m, sim->setup.seed, &m->text);
    const mailsrv_queue_mail mail = { .size = sizeof mail, .recipients = rcpts, .n_recipients = m->n_rcpts,
                                      .ret = m->number % 3,
                                      .reverse_path = { (const uint8_t *)m->from, strlen(m->from) },
                                      .message = { (const uint8_t *)m->text.p, m->text.n } };
    m->asked = m->lent = true;
    m->came_us = sim_unix(sim);
    sim_expect(sim, mailsrv_queue_send(sim->queue, &mail, sent, m) == MAILSRV_OK, "a message is not taken");
    m->next_lent = sim->lent;
    sim->lent = m;
}

/* The texts that were lent until they were told. */
static void take_back(struct sim *sim, bool all)
{
    for (struct mail **at = &sim->lent; *at != NULL;) {
        struct mail *m = *at;
        if (m->lent && !all) {
            at = &m->next_lent;
            continue;
        }
        *at = m->next_lent;
        buffer_free(&m->text);
    }
}

/* ---- By a session ---- */

static void submit(struct mail *m)
{
    struct sim *sim = m->sim;
    const mailsrv_peer peer = { .size = sizeof peer, .address_octets = 4, .address = { 127, 0, 0, 1 }, .port = 4000 };
    struct submission *s = dialogue_take(sizeof *s);
    s->mail = m;
    m->asked = true;
    m->came_us = sim_unix(sim);
    sim_expect(sim, mailsrv_server_new(sim->engine, sim->server_profile, &peer, s, &s->server) == MAILSRV_OK, "no server");
    s->next = sim->submissions;
    sim->submissions = s;
}

static const char *notify_text(uint32_t notify)
{
    return notify == 0                        ? ""
           : (notify & MAILSRV_NOTIFY_NEVER) != 0 ? " NOTIFY=NEVER"
           : (notify & MAILSRV_NOTIFY_SUCCESS) != 0 ? " NOTIFY=SUCCESS,FAILURE"
                                                    : " NOTIFY=FAILURE";
}

static void say_rcpt(struct submission *s)
{
    char line[200];
    const struct addressee *a = &s->mail->rcpts[s->rcpt];
    snprintf(line, sizeof line, "RCPT TO:<%s>%s\r\n", a->address, notify_text(a->notify));
    buffer_add_text(&s->out, line);
    s->step = TO;
}

static void say_message(struct submission *s)
{
    struct buffer text = { .n = 0 };
    bool begins = true;
    mail_text(s->mail, s->mail->sim->setup.seed, &text);
    for (size_t i = 0; i < text.n; i++) {
        if (begins && text.p[i] == '.')
            buffer_add_text(&s->out, ".");
        buffer_add(&s->out, &text.p[i], 1);
        begins = text.p[i] == '\n';
    }
    buffer_add_text(&s->out, ".\r\n");
    buffer_free(&text);
    s->step = MESSAGE;
}

static void give_up(struct submission *s)
{
    buffer_add_text(&s->out, "QUIT\r\n");
    s->step = QUITS;
}

static void say_mail(struct submission *s)
{
    char line[200];
    snprintf(line, sizeof line, "MAIL FROM:<%s>%s\r\n", s->mail->from, s->mail->eight_bit ? " BODY=8BITMIME" : "");
    buffer_add_text(&s->out, line);
    s->step = FROM;
}

static void told_of_rcpt(struct submission *s, char code)
{
    s->mail->rcpts[s->rcpt].refused = code != '2';
    s->accepted += code == '2';
    if (++s->rcpt < s->mail->n_rcpts) {
        say_rcpt(s);
    } else if (s->accepted == 0) {
        give_up(s);
    } else {
        buffer_add_text(&s->out, "DATA\r\n");
        s->step = DATA;
    }
}

static void told(struct submission *s, char code)
{
    struct mail *m = s->mail;
    if (s->step == TO) {
        told_of_rcpt(s, code);
    } else if (s->step == MESSAGE) {
        m->acknowledged = code == '2';
        sim_expect(m->sim, !m->acknowledged || m->durable, "250 is said, and it is not durable");
        give_up(s);
    } else if (code != (s->step == DATA ? '3' : '2')) {
        give_up(s);
    } else if (s->step == GREETING) {
        buffer_add_text(&s->out, "EHLO sender.test\r\n");
        s->step = HELLO;
    } else if (s->step == HELLO) {
        say_mail(s);
    } else if (s->step == FROM) {
        say_rcpt(s);
    } else if (s->step == DATA) {
        say_message(s);
    }
}

static void hear(struct submission *s)
{
    char *lf;
    while (s->in.n != 0 && (lf = memchr(s->in.p, '\n', s->in.n)) != NULL) {
        size_t n = (size_t)(lf - s->in.p) + 1;
        bool is_last = n > 4 && s->in.p[3] == ' ';
        char code = s->in.p[0];
        memmove(s->in.p, s->in.p + n, s->in.n - n);
        s->in.n -= n;
        if (is_last && s->step != QUITS)
            told(s, code);
    }
}

static bool move(struct submission *s)
{
    mailsrv_out v[1];
    size_t count = 0, taken = 0, n = s->out.n - s->out_at;
    bool moved = false;
    if (mailsrv_session_output(s->server, v, 1, &count) == MAILSRV_OK && count != 0) {
        buffer_add(&s->in, v[0].p, v[0].n);
        mailsrv_session_sent(s->server, v[0].n);
        hear(s);
        moved = true;
    }
    if (n != 0 && (mailsrv_session_wants(s->server) & MAILSRV_WANT_READ) != 0) {
        mailsrv_session_feed(s->server, (const uint8_t *)s->out.p + s->out_at, n, &taken);
        s->out_at += taken;
        moved = moved || taken != 0;
    }
    return moved;
}

static void drop(struct submission **at)
{
    struct submission *s = *at;
    *at = s->next;
    mailsrv_session_free(s->server);
    buffer_free(&s->in);
    buffer_free(&s->out);
    free(s);
}

bool senders_move(struct sim *sim)
{
    bool moved = false;
    take_back(sim, false);
    for (struct submission **at = &sim->submissions; *at != NULL && !sim->crashing;) {
        bool is_over = (mailsrv_session_wants((*at)->server) & MAILSRV_WANT_CLOSE) != 0;
        moved = is_over || move(*at) || moved;
        if (is_over)
            drop(at);
        else
            at = &(*at)->next;
    }
    return moved;
}

void lent_end(struct sim *sim)
{
    take_back(sim, true);
}

void submissions_end(struct sim *sim)
{
    while (sim->submissions != NULL)
        drop(&sim->submissions);
}

/* ---- When ---- */

/* Nobody is there to take it while the program is down: it was never accepted. */
static void arrives(struct event *event)
{
    struct mail *m = (struct mail *)(void *)((char *)event - offsetof(struct mail, arrives));
    m->sim->n_arrived++;
    if (m->sim->engine == NULL || m->sim->crashing)
        return;
    if (m->by_session)
        submit(m);
    else
        send(m);
}

void senders_begin(struct sim *sim)
{
    const struct sim_setup *setup = &sim->setup;
    sim->n_mails = setup->mails + setup->dead_mails;
    sim->mails = dialogue_take((sim->n_mails + 1) * sizeof *sim->mails);
    sim->words = dialogue_take((setup->domains + 1) * sizeof *sim->words);
    for (uint32_t i = 0; i < sim->n_mails; i++) {
        struct mail *m = &sim->mails[i];
        struct dice dice = { dice_mix(setup->seed, 10000 + i) };
        m->number = i + 1;
        m->sim = sim;
        m->arrives.happens = arrives;
        compose(sim, m, &dice);
        int64_t at = (int64_t)(dice_roll(&dice) % (uint64_t)setup->span_us);
        if (i >= setup->mails) { /* to the dead domain */
            m->n_rcpts = 1;
            m->by_session = false;
            address_rcpt(sim, m, 0, setup->domains, &dice);
            at = (int64_t)(i - setup->mails);
        }
        clock_set(&sim->clock, &m->arrives, at);
    }
}
