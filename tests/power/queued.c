/* The queue in the log: items of releases that knew neither times nor lanes, and updates that are compacted. */
#include "log_case.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Items, and what is done to them ---- */

static mailsrv_result queue_one(struct log_case *f, const char *record)
{
    struct sent s;
    case_stage(f, &s, 0, 100);
    s.target = (mailsrv_target){ .size = sizeof s.target, .kind = MAILSRV_TARGET_QUEUE };
    s.target.record = case_bytes(record);
    case_commit(f, &s, 0);
    return case_take(f, &s);
}

static void update(struct log_case *f, uint64_t queue, const char *record, int64_t due_us)
{
    mailsrv_asked *asked;
    mailsrv_arg_queue_update arg = { .size = sizeof arg, .queue = queue, .record = case_bytes(record), .due_us = due_us };
    mail_hear(&f->mail, 0, MAILSRV_OP_QUEUE_UPDATE, -1, &arg, &asked);
    if (mail_status_of(asked) != MAILSRV_OK)
        mail_wrong(&f->mail, "QUEUE_UPDATE is refused", (uint32_t)queue);
    mailsrv_asked_free(asked);
}

/* Is it the only one, with that record, at the beginning of time, and can it be read? */
static bool is_alone(struct log_case *f, uint64_t queue, const char *record)
{
    mailsrv_asked *asked;
    mailsrv_arg_queue_scan scan = { .size = sizeof scan, .limit = 10, .order = MAILSRV_QUEUE_BY_LANE,
                                    .due_min_us = -1, .due_max_us = 0 };
    const mailsrv_queued *queued = mail_hear(&f->mail, 0, MAILSRV_OP_QUEUE_SCAN, -1, &scan, &asked);
    bool good = queued != NULL && queued->n == 1 && queued->items->queue == queue && queued->items->lane.n == 0 &&
                queued->items->record.n == strlen(record) &&
                memcmp(queued->items->record.p, record, strlen(record)) == 0;
    mailsrv_asked_free(asked);
    mailsrv_arg_read arg = { .size = sizeof arg, .octets = 1000, .queue = queue };
    const mailsrv_read_bytes *read = mail_hear(&f->mail, 0, MAILSRV_OP_READ, -1, &arg, &asked);
    good = good && read != NULL && read->octets.n == 100;
    mailsrv_asked_free(asked);
    return good;
}

/* ---- As older releases wrote it ---- */

static uint32_t number_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void set_number(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

/* CRC-32C (RFC 3720 appendix B.4), bit by bit. */
static uint32_t crc_of(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

/* The last entry of a change that concerns an item, behind that of its body where there is one; 0: there is none. */
static size_t item_in(const uint8_t *change, size_t n)
{
    size_t at = 24;
    if (n > at && change[at] == 3)
        at += 1 + 4 * 8 + 4 + number_at(change + at + 1 + 4 * 8);
    return at < n && (change[at] == 17 || change[at] == 18) ? at : 0;
}

/* Takes the time and the lane, which are 12 zeros, from the records of a segment (docs/store-format.md: entries 17 and 18
 * become 7 and 8).  Nothing but such records may follow the first of them. */
static int make_older(struct log_case *f)
{
    static uint8_t octets[SEGMENT];
    void *file;
    size_t n = 0, to = 0;
    int changed = 0;
    if (f->files.open(f->disk, "/disk/0000000000000001.log", MAILSRV_DURABLE_WRITE, &file) != MAILSRV_OK ||
        f->files.read(f->disk, file, octets, sizeof octets, 0, &n) != MAILSRV_OK)
        abort();
    for (size_t at = 0; at + 24 <= n && number_at(octets + at + 8) != 0;) {
        uint8_t *frame = octets + to;
        size_t length = 24 + number_at(octets + at + 4), item;
        memmove(frame, octets + at, length);
        at += length;
        item = number_at(frame + 8) == 3 ? item_in(frame, length) : 0;
        if (item != 0) {
            frame[item] = (uint8_t)(frame[item] - 10);
            length -= 12;
            set_number(frame + 4, (uint32_t)length - 24);
            set_number(frame, crc_of(frame + 4, length - 4));
            changed++;
        }
        to += length;
    }
    f->files.write(f->disk, file, octets, to, 0);
    f->files.truncate(f->disk, file, to);
    f->files.sync(f->disk, file);
    f->files.close(f->disk, file);
    return changed;
}

static void older(bool is_updated)
{
    const char *name = is_updated ? "an item that an older release updated" : "an item of an older release";
    struct log_case *f = case_begin();
    case_deliver(f, 0, NULL, 100, 0);
    uint64_t item = queue_one(f, "first").queue;
    if (is_updated)
        update(f, item, "second", 0);
    case_close(f);
    int changed = make_older(f);
    f->files.unlink(f->disk, "/disk/index.db"); /* it knows a longer log */
    f->files.unlink(f->disk, "/disk/index.db-wal");
    case_open(f);
    tap(changed == 1 + is_updated, name, "is as it was written then", "");
    tap(is_alone(f, item, is_updated ? "second" : "first"), name, "is due at the beginning, in no lane", "");
    case_check(f, name, "and all is as it must be");
    case_end(f, name);
}

/* ---- Compaction ---- */

#define ITEMS 150
#define COMPACTIONS_MAX 40

/* Every item is updated: what an update says is live until the next, and weighs what it has.  Else segments of updates
 * would be copied again and again. */
static void updates_rest(void)
{
    static const char name[] = "segments of updates";
    static char record[2000];
    static uint64_t items[ITEMS];
    struct log_case *f = case_begin();
    uint64_t n = 0;
    memset(record, 'r', sizeof record - 1);
    for (int i = 0; i < ITEMS; i++)
        items[i] = queue_one(f, "new").queue;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < ITEMS; i++)
            update(f, items[i], record, i);
    while (n < COMPACTIONS_MAX && mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_BUSY) != 0)
        n = mailsrv_durable_stat(f->mail.shore.store, MAILSRV_DURABLE_STAT_COMPACTIONS);
    tap(n < COMPACTIONS_MAX, name, "are compacted no more often than they come", "");
    case_check(f, name, "and all is as it must be");
    case_end(f, name);
}

int main(void)
{
    older(false);
    older(true);
    updates_rest();
    return tap_end();
}
