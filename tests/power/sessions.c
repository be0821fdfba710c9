/* Sessions of clients over the durable store: slow senders, mailboxes that are changed from another engine, and a disk
 * that is full. */
#include "disk.h"
#include "talk.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_OCTETS (8u << 20) /* of each shard, unless the setup says otherwise */

static uint32_t shards = 1;

struct fixture {
    struct disk *disk;
    mailsrv_durable_files files;
    struct talk talk;
};

static struct fixture *begin(uint64_t memory_octets)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->disk = disk_new(3);
    f->files = disk_files(f->disk);
    shore_init(&f->talk.shore, "/disk", &f->files);
    f->talk.shore.setup.shards = shards;
    f->talk.shore.setup.memory_octets = memory_octets;
    f->talk.shore.setup.reserve_octets = 0; /* as it is without being set */
    if (shore_open(&f->talk.shore) != MAILSRV_OK)
        abort();
    talk_begin(&f->talk);
    return f;
}

static void end(struct fixture *f)
{
    talk_end(&f->talk);
    shore_close(&f->talk.shore);
    disk_free(f->disk);
    free(f);
}

static bool ask(struct fixture *f, struct peer *peer, const char *said, const char *heard)
{
    return talk_ask(&f->talk, peer, said, heard);
}

/* ---- Slow senders ---- */

enum { SENDERS = 64, BODY = 144 * 1024, LINE = 64, HALF = BODY / 2 };

static char body[BODY + 6]; /* with the end of the message */

static void make_body(void)
{
    memset(body, 'x', BODY);
    memcpy(body, "Subject: slow\r\n\r\n", 17);
    for (size_t at = 17 + LINE; at + 2 < BODY; at += LINE)
        memcpy(body + at, "\r\n", 2);
    memcpy(body + BODY - 2, "\r\n.\r\n", 6);
}

static bool hello(struct fixture *f, struct peer *peer)
{
    return talk_hears(&f->talk, peer, "220 ") && ask(f, peer, "EHLO there.test\r\n", "250 ");
}

static bool envelope(struct fixture *f, struct peer *peer)
{
    return ask(f, peer, "MAIL FROM:<>\r\n", "250 ") && ask(f, peer, "RCPT TO:<pat@here.test>\r\n", "250 ") &&
           ask(f, peer, "DATA\r\n", "354 ");
}

static bool half(struct fixture *f, struct peer *peer)
{
    if (!hello(f, peer) || !envelope(f, peer))
        return false;
    talk_say(&f->talk, peer, body, HALF);
    while (peer->n_left != 0 && shore_wait(&f->talk.shore))
        talk_hears(&f->talk, peer, "");
    return peer->n_left == 0 && peer->n == 0;
}

static bool deliver(struct fixture *f, struct peer *peer)
{
    return hello(f, peer) && envelope(f, peer) && ask(f, peer, "Subject: quick\r\n\r\n.\r\n", "250 ");
}

static uint32_t answered(struct peer *const *peers)
{
    uint32_t n = 0;
    for (int i = 0; i < SENDERS; i++)
        n += strstr(peers[i]->heard, "250 ") != NULL;
    return n;
}

static void slow_senders(uint64_t memory_octets, const char *name)
{
    struct fixture *f = begin(memory_octets);
    struct peer *peers[SENDERS];
    bool good = true;
    char text[80];
    for (int i = 0; i < SENDERS && good; i++) {
        peers[i] = talk_to(&f->talk, f->talk.mx, i % 2);
        good = half(f, peers[i]);
    }
    tap(good, name, "each has sent half of its message", "");
    uint64_t staged = mailsrv_durable_stat(f->talk.shore.store, MAILSRV_DURABLE_STAT_STAGED);
    snprintf(text, sizeof text, "%llu octets wait in memory", (unsigned long long)staged);
    tap(staged <= memory_octets && (memory_octets < HALF || staged >= HALF), name,
        "what has no room is not kept in memory", text);
    for (int engine = 0; engine < 2; engine++)
        tap(good && deliver(f, talk_to(&f->talk, f->talk.mx, engine)) && answered(peers) == 0, name,
            engine == 0 ? "another delivery is answered first" : "also on the other engine", "");
    for (int i = 0; i < SENDERS && good; i++)
        talk_say(&f->talk, peers[i], body + HALF, BODY + 3 - HALF);
    for (int i = 0; i < SENDERS && good; i++)
        good = talk_hears(&f->talk, peers[i], "250 ");
    tap(good && answered(peers) == SENDERS, name, "then all of them", "");
    struct peer *reader = talk_login(&f->talk, 0, 0);
    tap(ask(f, reader, "a SELECT INBOX\r\n", "a OK") && strstr(reader->heard, "* 66 EXISTS") != NULL, name,
        "all are there", reader->heard);
    good = ask(f, reader, "b UID FETCH 3:66 BODY.PEEK[TEXT]\r\n", "b OK");
    tap(good && reader->n > (size_t)SENDERS * (BODY - 17), name, "and whole", "");
    end(f);
}

/* ---- One engine in IDLE, the other one changes ---- */

static void append(struct fixture *f, struct peer *peer, const char *mailbox, const char *flags)
{
    char text[120];
    snprintf(text, sizeof text, "ap APPEND %s %s {16+}\r\nSubject: one\r\n\r\n\r\n", mailbox, flags);
    if (!ask(f, peer, text, "ap OK"))
        printf("# %s\n", peer->heard);
}

/* `idler` has the mailbox selected, and `other`, on the other engine, changes it. */
static void is_told(struct fixture *f, struct peer *idler, struct peer *other, const char *mailbox, const char *name)
{
    char text[80];
    snprintf(text, sizeof text, "s SELECT %s\r\n", mailbox);
    tap(ask(f, idler, text, "s OK") && ask(f, idler, "i IDLE\r\n", "+ "), name, "IDLE", idler->heard);
    idler->n = 0;
    append(f, other, mailbox, "()");
    tap(talk_hears(&f->talk, idler, "* 1 EXISTS"), name, "an APPEND is told", idler->heard);
    append(f, other, mailbox, "(\\Seen)");
    tap(talk_hears(&f->talk, idler, "* 2 EXISTS"), name, "and another", idler->heard);
    tap(ask(f, other, text, "s OK"), name, "the other engine selects it", other->heard);
    ask(f, other, "st STORE 1 +FLAGS.SILENT (\\Flagged word)\r\n", "st OK");
    tap(talk_hears(&f->talk, idler, "* 1 FETCH (") && talk_hears(&f->talk, idler, "\\Flagged") &&
            talk_hears(&f->talk, idler, "word"),
        name, "a STORE is told, with a new keyword", idler->heard);
    ask(f, other, "st STORE 1 +FLAGS (\\Deleted)\r\n", "st OK");
    ask(f, other, "e EXPUNGE\r\n", "e OK");
    tap(talk_hears(&f->talk, idler, "* 1 EXPUNGE"), name, "an EXPUNGE is told", idler->heard);
    tap(ask(f, idler, "DONE\r\n", "i OK") && ask(f, idler, "f FETCH 1 FLAGS\r\n", "* 1 FETCH (FLAGS (\\Seen") &&
            talk_hears(&f->talk, idler, "f OK"),
        name, "then it goes on", idler->heard);
}

static mailsrv_asked *ask_store(struct fixture *f, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    if (mailsrv_ask(f->talk.engines[1], kind, &f->talk.shore.accounts[0], arg, &asked) != MAILSRV_OK)
        abort();
    talk_status(&f->talk, asked);
    return asked;
}

static const void *value_of(const mailsrv_asked *asked)
{
    return mailsrv_asked_answer(asked)->value;
}

static void idle(void)
{
    struct fixture *f = begin(0);
    struct peer *idler = talk_login(&f->talk, 0, 0), *other = talk_login(&f->talk, 1, 0);
    mailsrv_arg_store_open open = { sizeof open, 0 };
    mailsrv_asked *store = ask_store(f, MAILSRV_OP_STORE_OPEN, &open);
    mailsrv_arg_mbox_create make = { .size = sizeof make, .name = { (const uint8_t *)"beside", 6 } };
    make.store = ((const mailsrv_store_opened *)value_of(store))->store;
    mailsrv_asked *made = ask_store(f, MAILSRV_OP_MBOX_CREATE, &make);
    mailsrv_arg_mbox_delete drop = { .size = sizeof drop, .store = make.store };
    drop.mailbox = ((const mailsrv_mbox_created *)value_of(made))->mailbox;
    is_told(f, idler, other, "INBOX", "IDLE and another engine");
    is_told(f, idler, other, "beside", "IDLE beside INBOX");
    ask(f, idler, "i IDLE\r\n", "+ ");
    append(f, other, "INBOX", "()");
    ask(f, other, "n NOOP\r\n", "n OK");
    tap(talk_hears(&f->talk, idler, "") && strstr(idler->heard, "EXISTS") == NULL, "IDLE beside INBOX",
        "another mailbox is not its own", idler->heard);
    mailsrv_asked *dropped = ask_store(f, MAILSRV_OP_MBOX_DELETE, &drop);
    tap(mailsrv_asked_answer(dropped)->status == MAILSRV_OK && talk_hears(&f->talk, idler, "* BYE "),
        "IDLE beside INBOX", "when it is deleted, BYE", idler->heard);
    tap(talk_hears(&f->talk, other, "* BYE "), "IDLE beside INBOX", "also to who deleted it", other->heard);
    mailsrv_asked *const asked[] = { dropped, made, store };
    for (size_t i = 0; i < 3; i++)
        mailsrv_asked_free(asked[i]);
    end(f);
}

/* ---- A full disk ---- */

enum { WRITERS = 12 };

static const char *const writes[] = {
    "w APPEND INBOX {517+}\r\n",
    "w STORE 1:* +FLAGS (\\Flagged)\r\n",
    "w COPY 1:10 INBOX\r\n",
    "w STORE 1:* -FLAGS (\\Flagged)\r\n",
};

static char append_text[600];

static void make_append(void)
{
    size_t n = (size_t)snprintf(append_text, sizeof append_text, "%s", writes[0]);
    memset(append_text + n, 'y', 515);
    memcpy(append_text + n, "Subject: full\r\n\r\n", 17);
    memcpy(append_text + n + 515, "\r\n\r\n", 5);
}

static const char *write_of(int i)
{
    return i % 4 == 0 ? append_text : writes[i % 4];
}

/* All at once, one each; how many were refused for want of room.  `*others`: what was neither done nor so refused. */
static uint32_t write_all(struct fixture *f, struct peer *const *peers, uint32_t *others)
{
    uint32_t refused = 0;
    for (int i = 0; i < WRITERS; i++)
        talk_say(&f->talk, peers[i], write_of(i), strlen(write_of(i)));
    for (int i = 0; i < WRITERS; i++) {
        bool heard = talk_hears(&f->talk, peers[i], "w ") && talk_hears(&f->talk, peers[i], "\r\n");
        bool full = heard && strstr(peers[i]->heard, "w NO [UNAVAILABLE]") != NULL;
        bool done = heard && strstr(peers[i]->heard, "w OK") != NULL;
        refused += full;
        *others += !full && !done;
        if (!full && !done && *others == 1)
            printf("# %s# %s\n", write_of(i), peers[i]->heard);
    }
    return refused;
}

static void full_disk(void)
{
    struct fixture *f = begin(0);
    struct plan plan = { .octets_max = 5000000 + (uint64_t)shards * RESERVE_OCTETS };
    struct peer *peers[WRITERS];
    uint32_t refused = 0, others = 0, rounds = 0;
    make_append();
    for (int i = 0; i < WRITERS; i++)
        peers[i] = talk_login(&f->talk, i % 2, 0);
    for (int i = 0; i < 20; i++)
        ask(f, peers[i % 2], append_text, "w OK");
    for (int i = 0; i < WRITERS; i++)
        ask(f, peers[i], "s SELECT INBOX\r\n", "s OK");
    ask(f, peers[0], "d STORE 1:15 +FLAGS.SILENT (\\Deleted)\r\n", "d OK");
    disk_plan(f->disk, &plan);
    for (; rounds < 1000 && refused < WRITERS; rounds++)
        refused = write_all(f, peers, &others);
    tap(rounds > 2 && refused == WRITERS, "a full disk", "refuses every write, NO [UNAVAILABLE]", "");
    tap(others == 0, "a full disk", "until then each is OK or so refused", "");
    tap(ask(f, peers[0], "r FETCH 1:* FLAGS\r\n", "r OK"), "a full disk", "reading goes on", "");
    tap(ask(f, peers[0], "e EXPUNGE\r\n", "e ") && strstr(peers[0]->heard, "e OK") != NULL, "a full disk",
        "EXPUNGE has the reserve", peers[0]->heard);
    for (int i = 0; i < WRITERS; i++)
        ask(f, peers[i], "n NOOP\r\n", "n OK");
    tap(write_all(f, peers, &others) == WRITERS && others == 0, "a full disk", "and nothing else has", "");
    plan.octets_max = 0;
    disk_plan(f->disk, &plan);
    tap(write_all(f, peers, &others) == 0 && others == 0, "a full disk", "then mail is taken again", "");
    end(f);
}

/* With an argument: so many shards. */
int main(int argc, char **argv)
{
    shards = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    make_body();
    slow_senders(UINT64_C(64) << 20, "64 slow senders, much memory");
    slow_senders(UINT64_C(1) << 20, "64 slow senders, little memory");
    slow_senders(4096, "64 slow senders, none");
    idle();
    full_disk();
    return tap_end();
}
