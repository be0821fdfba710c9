/* Messages that are read: where they are, their octets, and whether these are what was written. */
#include "durable.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_HEAD = FRAME_HEAD + 8 }; /* of a frame, before the octets of the body */

void mailsrv__durable_message_free(struct durable *d, struct message *message)
{
    if (message == NULL)
        return;
    if (message->of != NULL)
        mailsrv__durable_segment_file_drop(d, message->of);
    else if (message->file != NULL)
        d->files.close(d->files.user, message->file);
    free(message);
}

bool mailsrv__durable_message_found(sqlite3_stmt *row, struct whereabouts *out)
{
    mailsrv_bytes prefix = mailsrv__durable_column_bytes(row, 0);
    struct message *message = calloc(1, sizeof *message + prefix.n);
    out->message = message;
    if (message == NULL)
        return false;
    out->place.segment = (uint64_t)sqlite3_column_int64(row, 1);
    message->at = (uint64_t)sqlite3_column_int64(row, 2);
    message->octets = prefix.n + (uint64_t)sqlite3_column_int64(row, 3);
    message->body = (uint64_t)sqlite3_column_int64(row, 4);
    message->n_prefix = prefix.n;
    if (prefix.n != 0)
        memcpy(message->prefix, prefix.p, prefix.n);
    return true;
}

static int32_t look_up(struct durable *d, int64_t box, uint64_t number, struct whereabouts *out)
{
    sqlite3_stmt *row = box != 0 ? mailsrv__durable_ask(&d->reader, SQL_MESSAGE_PLACE, "ii", box, (int64_t)number)
                                 : mailsrv__durable_ask(&d->reader, SQL_QUEUE_PLACE, "i", (int64_t)number);
    int result = row != NULL ? sqlite3_step(row) : SQLITE_ERROR;
    int32_t status = result == SQLITE_DONE ? MAILSRV_GONE : MAILSRV_OK;
    out->message = NULL;
    if (result == SQLITE_ROW && !mailsrv__durable_message_found(row, out))
        status = MAILSRV_NOMEM;
    else if (result != SQLITE_ROW && result != SQLITE_DONE)
        status = mailsrv__durable_failure(&d->reader);
    sqlite3_reset(row);
    return status;
}

static int32_t open_body(struct durable *d, const struct whereabouts *found)
{
    char path[PATH_MAX_OCTETS];
    mailsrv__durable_body_path(d, found->message->body, path);
    int32_t status = d->files.open(d->files.user, path, 0, &found->message->file);
    if (status != MAILSRV_OK)
        found->message->file = NULL;
    return status;
}

static int32_t open_segment(struct durable *d, const struct whereabouts *found, bool now)
{
    struct message *message = found->message;
    struct segment_file *file = message->of;
    int32_t status = MAILSRV_OK;
    if (file == NULL)
        file = mailsrv__durable_segment_file(d, found->place.segment);
    if (file == NULL && now)
        return MAILSRV_MORE;
    if (file == NULL)
        status = mailsrv__durable_segment_file_open(d, found->place.segment, &file);
    if (status != MAILSRV_OK)
        return status;
    message->of = file;
    message->file = file->file;
    message->waits_for_head = true;
    return MAILSRV_OK;
}

int32_t mailsrv__durable_message_open(struct durable *d, struct whereabouts *found, bool now)
{
    int32_t status = MAILSRV_MORE;
    if (found->place.segment != 0)
        status = open_segment(d, found, now);
    else if (!now)
        status = open_body(d, found);
    if (status != MAILSRV_OK && status != MAILSRV_MORE)
        mailsrv__durable_message_free(d, found->message);
    return status;
}

/* Where the message is, with its file open: it can be read to its end though it is expunged, or moved.  A file that is
 * not there any more is that of a message that was expunged or moved just now: the index knows by now. */
int32_t mailsrv__durable_message_find(struct durable *d, int64_t box, uint64_t number, struct message **out)
{
    struct whereabouts found = { .place = { UINT64_MAX, 0 } };
    for (;;) {
        uint64_t before = found.place.segment;
        int32_t status = look_up(d, box, number, &found);
        if (status == MAILSRV_OK)
            status = mailsrv__durable_message_open(d, &found, false);
        if (status == MAILSRV_NONEXISTENT && found.place.segment != before)
            continue;
        *out = found.message;
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    }
}

/* Octets of the body, from `offset` of it on, were read: what continues those before goes into the CRC, and at the end
 * it must be the frame's.  Whoever leaves some out, or begins in the middle, comes to no such end. */
static int32_t carry(struct message *message, uint64_t offset, const uint8_t *p, size_t n)
{
    if (!message->has_crc || offset > message->carried || message->carried - offset >= n)
        return MAILSRV_OK;
    size_t known = (size_t)(message->carried - offset);
    message->crc = mailsrv__durable_crc(message->crc, p + known, n - known);
    message->carried += n - known;
    if (message->carried == message->octets - message->n_prefix)
        message->is_broken = message->crc != message->frame_crc;
    return message->is_broken ? MAILSRV_CORRUPT : MAILSRV_OK;
}

/* Whole, or not at all. */
static int32_t read_all(struct durable *d, const struct message *message, bool now, const struct range *range)
{
    int32_t (*read)(void *user, void *file, void *p, size_t n, uint64_t offset, size_t *got) =
        now ? d->files.read_now : d->files.read;
    size_t got = 0;
    int32_t status = read(d->files.user, message->file, range->p, range->n, range->offset, &got);
    if (status != MAILSRV_OK || got == range->n)
        return status;
    return now ? MAILSRV_MORE : MAILSRV_CORRUPT; /* kernels were known to say so of what they had not in memory */
}

/* The head of the frame that the body is in, and the body's number: with its CRC, which is carried along from here over
 * the body's octets. */
static int32_t begin_frame(struct message *message, const uint8_t head[BODY_HEAD])
{
    struct reader from = { head, BODY_HEAD, false };
    message->frame_crc = (uint32_t)mailsrv__durable_get_number(&from, 4);
    bool good = mailsrv__durable_get_number(&from, 4) == message->octets - message->n_prefix + 8;
    good = mailsrv__durable_get_number(&from, 4) == FRAME_BODY && good;
    good = mailsrv__durable_get_number(&from, 4) == (uint32_t)message->of->number && good;
    mailsrv__durable_get_number(&from, 8);
    good = mailsrv__durable_get_number(&from, 8) == message->body && good;
    message->has_crc = true;
    message->waits_for_head = false;
    message->crc = mailsrv__durable_crc(0, head + 4, BODY_HEAD - 4);
    return good ? MAILSRV_OK : MAILSRV_CORRUPT;
}

static int32_t read_head(struct durable *d, struct message *message, bool now)
{
    uint8_t head[BODY_HEAD];
    struct range range = { message->at - BODY_HEAD, head, BODY_HEAD };
    int32_t status = read_all(d, message, now, &range);
    return status == MAILSRV_OK ? begin_frame(message, head) : status;
}

/* Octets of the body.  `before`: so many octets in front of `p` may be overwritten.  The head is read with what follows
 * it if there is room: a small message takes one read. */
static int32_t copy_body(struct durable *d, struct message *message, bool now, const struct range *range, size_t before)
{
    bool together = message->waits_for_head && range->offset == 0 && before >= BODY_HEAD;
    size_t head = together ? BODY_HEAD : 0;
    int32_t status = MAILSRV_OK;
    if (message->waits_for_head && message->at < BODY_HEAD)
        return MAILSRV_CORRUPT;
    if (message->waits_for_head && !together)
        status = read_head(d, message, now);
    if (status != MAILSRV_OK)
        return status;
    struct range all = { message->at + range->offset - head, range->p - head, range->n + head };
    status = read_all(d, message, now, &all);
    if (status == MAILSRV_OK && together)
        status = begin_frame(message, all.p);
    return status == MAILSRV_OK ? carry(message, range->offset, range->p, range->n) : status;
}

int32_t mailsrv__durable_message_copy(struct durable *d, struct message *message, bool now,
                                      const struct range *range)
{
    uint64_t left = range->offset < message->n_prefix ? message->n_prefix - range->offset : 0;
    size_t n_prefix = left < range->n ? (size_t)left : range->n;
    struct range of_body = { range->offset + n_prefix - message->n_prefix, range->p + n_prefix, range->n - n_prefix };
    if (message->is_broken)
        return MAILSRV_CORRUPT;
    int32_t status = of_body.n != 0 ? copy_body(d, message, now, &of_body, n_prefix) : MAILSRV_OK;
    if (n_prefix != 0) /* behind the body: the head of its frame may have stood there */
        memcpy(range->p, message->prefix + range->offset, n_prefix);
    return status;
}
