/* READs: at once where the octets are in memory, else by the reader; and octets that are not those that were stored. */
#include "disk.h"
#include "mail_inside.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL 3000u
#define LARGE 145000u
#define OF_ITS_OWN 300000u
#define PIECE 29000u
#define SEGMENT "/disk/0000000000000001.log"
#define HEAD 24

/* How the disk answers `read_now`. */
enum memory { HAS_ALL, HAS_NOTHING, HAS_ALL_BUT_ONE, ENDS_EARLY, IS_NO_FUNCTION };

static int32_t (*read_of_disk)(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got);
static enum memory memory;
static uint64_t asked_now;

static int32_t read_now(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got)
{
    asked_now++;
    if (memory == HAS_NOTHING || (memory == HAS_ALL_BUT_ONE && asked_now == 1))
        return MAILSRV_MORE;
    return read_of_disk(user, file, p, memory == ENDS_EARLY ? n / 2 : n, offset, got);
}

struct fixture {
    struct disk *disk;
    mailsrv_durable_files files;
    struct mail mail;
    struct opened box;
};

static void open_store(struct fixture *f)
{
    static const struct box inbox;
    if (shore_open(&f->mail.shore) != MAILSRV_OK)
        abort();
    mail_begin(&f->mail);
    mail_open_box(&f->mail, 0, &inbox, &f->box);
}

static void close_store(struct fixture *f)
{
    mail_close_box(&f->mail, &f->box);
    mail_end(&f->mail);
    shore_close(&f->mail.shore);
}

static struct fixture *begin(enum memory how)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->disk = disk_new(5);
    f->files = disk_files(f->disk);
    read_of_disk = f->files.read;
    f->files.read_now = how != IS_NO_FUNCTION ? read_now : NULL;
    memory = how;
    shore_init(&f->mail.shore, "/disk", &f->files);
    open_store(f);
    return f;
}

static void end(struct fixture *f)
{
    close_store(f);
    tap(f->mail.wrong[0] == '\0', "reads", "all is answered", f->mail.wrong);
    disk_free(f->disk);
    free(f);
}

/* ---- Messages ---- */

/* Of INBOX, whose octets are those of `number`, behind a prefix; `uid` 0: the next one. */
static uint32_t deliver_as(struct fixture *f, uint32_t number, size_t octets, uint32_t uid)
{
    struct mail *m = &f->mail;
    mailsrv_asked *body, *commit, *write;
    uint8_t *text = malloc(octets);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    const mailsrv_body_begun *begun = mail_hear(m, 0, MAILSRV_OP_BODY_BEGIN, -1, &arg, &body);
    for (size_t i = 0; i < octets; i++)
        text[i] = mail_octet(number, i);
    for (size_t at = 0; at < octets; at += PIECE) {
        mailsrv_arg_body_write octets_at = { sizeof octets_at, 0, begun->body, at, { text + at, PIECE } };
        octets_at.octets.n = octets - at < PIECE ? octets - at : PIECE;
        mail_hear(m, 0, MAILSRV_OP_BODY_WRITE, -1, &octets_at, &write);
        mailsrv_asked_free(write);
    }
    mailsrv_staged staged = { .size = sizeof staged, .body = begun->body, .octets = octets };
    mailsrv_target target = { .size = sizeof target, .kind = MAILSRV_TARGET_MAILBOX, .account = m->shore.accounts[0],
                              .prefix = { (const uint8_t *)"Prefix", 6 }, .uid = uid };
    mailsrv_arg_body_commit c = { .size = sizeof c, .n_bodies = 1, .body_stride = sizeof staged, .n_targets = 1,
                                  .target_stride = sizeof target, .bodies = &staged, .targets = &target };
    const mailsrv_committed *value = mail_hear(m, 0, MAILSRV_OP_BODY_COMMIT, -1, &c, &commit);
    uid = value != NULL ? value->results[0].uid : 0;
    mailsrv_asked_free(commit);
    mailsrv_asked_free(body);
    mail_settle(m);
    free(text);
    return uid;
}

static uint32_t deliver(struct fixture *f, uint32_t number, size_t octets)
{
    return deliver_as(f, number, octets, 0);
}

static uint8_t octet(uint32_t number, size_t i)
{
    return i < 6 ? (uint8_t)"Prefix"[i] : mail_octet(number, i - 6);
}

static bool is_good(const mailsrv_read_bytes *value, uint32_t number, uint64_t offset)
{
    bool good = value != NULL;
    for (size_t i = 0; good && i < value->octets.n; i++)
        good = value->octets.p[i] == octet(number, (size_t)offset + i);
    return good;
}

struct reading {
    int32_t status;  /* of the last READ */
    uint64_t octets; /* that were answered OK */
    bool is_good;    /* those */
};

/* From an offset to the end; its own answers' handle is closed when the first question is freed. */
static struct reading read_from(struct fixture *f, uint32_t uid, uint64_t offset, uint64_t piece)
{
    mailsrv_arg_read arg = { sizeof arg, uid, f->box.value.mbox, 0, 0, offset, piece, 0 };
    struct reading r = { MAILSRV_OK, 0, true };
    mailsrv_asked *first = NULL, *asked;
    for (uint64_t n = 1; n != 0; arg.offset += n, r.octets += n) {
        const mailsrv_read_bytes *value = mail_hear(&f->mail, 0, MAILSRV_OP_READ, 0, &arg, &asked);
        r.status = mail_status_of(asked);
        r.is_good = r.is_good && (value == NULL || is_good(value, uid, arg.offset));
        n = value != NULL ? value->octets.n : 0;
        if (first == NULL && value != NULL)
            arg.handle = value->handle;
        if (first == NULL)
            first = asked;
        else
            mailsrv_asked_free(asked);
    }
    mailsrv_asked_free(first);
    mail_settle(&f->mail);
    return r;
}

static bool is_whole(struct fixture *f, uint32_t uid, size_t octets)
{
    struct reading r = read_from(f, uid, 0, PIECE);
    return r.status == MAILSRV_OK && r.is_good && r.octets == octets + 6;
}

static uint64_t read_at_once(struct fixture *f)
{
    return mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_READ_NOW);
}

/* ---- The log, read by nobody but the test ---- */

struct log_file {
    uint8_t *p;
    size_t n;
};

static struct log_file read_log(struct fixture *f)
{
    struct log_file log;
    void *file;
    uint64_t length = 0;
    if (f->files.open(f->disk, SEGMENT, 0, &file) != MAILSRV_OK)
        abort();
    f->files.length(f->disk, file, &length);
    log.p = malloc((size_t)length);
    f->files.read(f->disk, file, log.p, (size_t)length, 0, &log.n);
    f->files.close(f->disk, file);
    return log;
}

static uint32_t number_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* As RFC 3720 has it, bit by bit. */
static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

/* Where the n-th body's frame is; 0: there is none.  `*good`: the CRC of each frame before it. */
static size_t frame_of_body(struct fixture *f, unsigned n, bool *good)
{
    struct log_file log = read_log(f);
    size_t at = 0, found = 0;
    *good = true;
    while (found == 0 && at + HEAD <= log.n) {
        size_t octets = number_at(log.p + at + 4);
        *good = *good && crc32c(log.p + at + 4, HEAD - 4 + octets) == number_at(log.p + at);
        if (number_at(log.p + at + 8) == 2 && --n == 0)
            found = at;
        at += HEAD + octets;
    }
    free(log.p);
    return found;
}

static void flip(struct fixture *f, uint64_t offset)
{
    void *file;
    uint8_t one;
    size_t got;
    if (f->files.open(f->disk, SEGMENT, MAILSRV_DURABLE_WRITE, &file) != MAILSRV_OK)
        abort();
    f->files.read(f->disk, file, &one, 1, offset, &got);
    one ^= 16;
    f->files.write(f->disk, file, &one, 1, offset);
    f->files.close(f->disk, file);
}

/* ---- At once, or not ---- */

static void paths(enum memory how, uint64_t expected, const char *name)
{
    struct fixture *f = begin(how);
    uint32_t small = deliver(f, 1, SMALL), large = deliver(f, 2, LARGE), own = deliver(f, 3, OF_ITS_OWN);
    asked_now = 0;
    tap(is_whole(f, small, SMALL) && read_at_once(f) == 0, name, "what one answer has", "");
    tap(is_whole(f, large, LARGE), name, "several answers", "");
    tap(read_at_once(f) == expected, name, "those that were given at once are counted", "");
    tap(is_whole(f, own, OF_ITS_OWN), name, "a file of its own", "");
    end(f);
}

static int32_t expunge(struct fixture *f, uint32_t uid)
{
    mailsrv_asked *asked;
    const mailsrv_run one = { uid, uid };
    const mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = f->box.value.mbox, .uids = &one, .n_uids = 1 };
    mail_hear(&f->mail, 0, MAILSRV_OP_EXPUNGE, 0, &arg, &asked);
    int32_t status = mail_status_of(asked);
    mailsrv_asked_free(asked);
    mail_settle(&f->mail);
    return status;
}

/* Who reads one message after the other need not wait for most of them; but what was removed is gone at once, and what
 * has come is there. */
static void one_by_one(enum memory how, bool at_once, const char *name)
{
    enum { MESSAGES = 40 };
    struct fixture *f = begin(how);
    uint32_t uid = 1;
    bool good = true;
    for (uint32_t i = 1; i <= MESSAGES; i++)
        good = deliver(f, i, i % 10 == 0 ? LARGE : SMALL) == i && good;
    for (; uid <= 30; uid++)
        good = is_whole(f, uid, uid % 10 == 0 ? LARGE : SMALL) && good;
    tap(good, name, "all are whole", "");
    tap((read_at_once(f) > 35) == at_once, name, "most are answered at once", "");
    tap(is_whole(f, uid, SMALL) && expunge(f, uid + 1) == MAILSRV_OK, name, "one goes that would be next", "");
    tap(read_from(f, uid + 1, 0, PIECE).status == MAILSRV_GONE, name, "it is gone", "");
    tap(is_whole(f, uid + 2, SMALL) && is_whole(f, uid + 3, SMALL), name, "those behind it are there", "");
    for (uid += 4, good = true; uid <= MESSAGES; uid++)
        good = is_whole(f, uid, uid % 10 == 0 ? LARGE : SMALL) && good;
    tap(good && deliver(f, uid, SMALL) == uid && is_whole(f, uid, SMALL), name, "one that has just come", "");
    tap(is_whole(f, 3, SMALL) && is_whole(f, 2, SMALL), name, "backwards", "");
    end(f);
}

/* UIDs that have come to their end begin at 1 again: those that a session knows mean nothing any more. */
static void renumbered(enum memory how, const char *name)
{
    struct fixture *f = begin(how);
    bool good = true;
    for (uint32_t i = 1; i <= 8; i++)
        good = deliver(f, i, SMALL) == i && good;
    for (uint32_t uid = 1; uid <= 3; uid++)
        good = is_whole(f, uid, SMALL) && good;
    good = deliver_as(f, 9, SMALL, UINT32_MAX - 1) == UINT32_MAX - 1 && good;
    tap(good && deliver(f, 10, SMALL) == 10, name, "UIDs begin at 1 again", "");
    struct reading r = read_from(f, 4, 0, PIECE);
    tap(r.octets == 0 && (r.status == MAILSRV_GONE || r.status == MAILSRV_NONEXISTENT), name, "one of before is gone",
        mailsrv_strerror(r.status));
    end(f);
}

/* Two READs of one handle are out: the second one waits for the first, though its octets are in memory. */
static void order(void)
{
    struct fixture *f = begin(HAS_ALL_BUT_ONE);
    mailsrv_asked *first, *second, *third, *fourth;
    uint32_t uid = deliver(f, 1, 4 * PIECE - 6);
    asked_now = 0;
    mailsrv_arg_read arg = { sizeof arg, uid, f->box.value.mbox, 0, 0, 0, PIECE, 0 }, next;
    const mailsrv_read_bytes *value = mail_hear(&f->mail, 0, MAILSRV_OP_READ, 0, &arg, &first);
    arg.handle = value != NULL ? value->handle : 0;
    arg.offset = PIECE;
    next = arg;
    next.offset = 2 * PIECE;
    second = mail_ask(&f->mail, 0, MAILSRV_OP_READ, 0, &arg);
    value = mail_hear(&f->mail, 0, MAILSRV_OP_READ, 0, &next, &third);
    tap(is_good(value, uid, next.offset) && is_good(mail_value_of(second), uid, arg.offset), "two at a time",
        "both are answered", "");
    tap(asked_now == 1 && read_at_once(f) == 0, "two at a time", "in their order", "");
    next.offset = 3 * PIECE;
    value = mail_hear(&f->mail, 0, MAILSRV_OP_READ, 0, &next, &fourth);
    tap(is_good(value, uid, next.offset) && read_at_once(f) == 1, "two at a time", "and then it is at once again", "");
    mailsrv_asked_free(fourth);
    mailsrv_asked_free(third);
    mailsrv_asked_free(second);
    mailsrv_asked_free(first);
    mail_settle(&f->mail);
    end(f);
}

/* ---- Octets that are not those that were stored ---- */

static void broken(enum memory how, const char *name)
{
    struct fixture *f = begin(how);
    bool good;
    uint32_t small = deliver(f, 1, SMALL), large = deliver(f, 2, LARGE), other = deliver(f, 3, LARGE);
    size_t of_small = frame_of_body(f, 1, &good), of_large = frame_of_body(f, 2, &good);
    tap(frame_of_body(f, 3, &good) != 0 && good, name, "each frame has its CRC", "");
    tap(is_whole(f, small, SMALL) && is_whole(f, large, LARGE), name, "messages are whole before", "");
    flip(f, of_small + HEAD + 8 + SMALL / 2);
    flip(f, of_large + HEAD + 8 + 10);
    struct reading r = read_from(f, small, 0, PIECE);
    tap(r.status == MAILSRV_CORRUPT && r.octets == 0, name, "a message in one answer", "");
    r = read_from(f, large, 0, PIECE);
    tap(r.status == MAILSRV_CORRUPT && r.octets == LARGE / PIECE * PIECE, name, "before its last octets", "");
    r = read_from(f, large, PIECE, PIECE);
    tap(r.status == MAILSRV_OK && r.is_good && r.octets == LARGE + 6 - PIECE, name, "a part is not checked", "");
    tap(is_whole(f, other, LARGE), name, "others are whole", "");
    flip(f, of_large + HEAD + 8 + 10);
    tap(is_whole(f, large, LARGE), name, "and mended", "");
    flip(f, of_large + 16);
    tap(read_from(f, large, 0, PIECE).status == MAILSRV_CORRUPT, name, "the head of its frame", "");
    end(f);
}

/* ---- The system's files ---- */

static void system_files(void)
{
    static const char path[] = "power-reads.octets";
    mailsrv_durable_files files = { .size = sizeof files };
    static uint8_t octets[100000], again[sizeof octets];
    void *file;
    size_t got = 0;
    mailsrv_durable_system_files(&files);
    if (files.open(files.user, path, MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE, &file) != MAILSRV_OK)
        abort();
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = mail_octet(1, i);
    files.write(files.user, file, octets, sizeof octets, 0);
    int32_t status = files.read_now != NULL ? files.read_now(files.user, file, again, sizeof again, 7, &got)
                                            : MAILSRV_MORE;
    bool same = got == sizeof octets - 7 && memcmp(again, octets + 7, got) == 0;
    tap(status == MAILSRV_MORE || (status == MAILSRV_OK && same), "the system's files", "what is in memory, or not now",
        status == MAILSRV_OK ? "read" : "not now");
    files.close(files.user, file);
    files.unlink(files.user, path);
}

/* A table of who knew nothing of `read_now`. */
static void short_table(void)
{
    struct fixture *f = begin(HAS_ALL);
    close_store(f);
    f->files.size = offsetof(mailsrv_durable_files, read_now);
    open_store(f);
    uint32_t uid = deliver(f, 1, LARGE);
    tap(is_whole(f, uid, LARGE) && read_at_once(f) == 0, "a table without read_now", "is taken", "");
    end(f);
}

int main(void)
{
    paths(HAS_ALL, 6, "in memory"); /* five with octets, and the one that finds the end */
    paths(HAS_NOTHING, 1, "on the disk"); /* at the end there is nothing to wait for */
    paths(ENDS_EARLY, 1, "in memory, it is said, but less than there is");
    paths(IS_NO_FUNCTION, 0, "no such function");
    paths(HAS_ALL_BUT_ONE, 5, "in memory but for the first");
    one_by_one(HAS_ALL, true, "one by one, in memory");
    one_by_one(HAS_NOTHING, false, "one by one, on the disk");
    one_by_one(ENDS_EARLY, false, "one by one, in memory, it is said, but less than there is");
    one_by_one(IS_NO_FUNCTION, false, "one by one, no such function");
    renumbered(HAS_ALL, "renumbered, in memory");
    renumbered(HAS_NOTHING, "renumbered, on the disk");
    order();
    broken(HAS_ALL, "a flipped octet, in memory");
    broken(HAS_NOTHING, "a flipped octet, on the disk");
    short_table();
    system_files();
    return tap_end();
}
