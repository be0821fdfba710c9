/* Segments and frames.
 *
 *   frame    crc (4), octets (4), kind (4), segment (4), group (8), then the octets; the CRC is of all behind it
 *   segment  a frame that says which it is and where the one before it ends; then groups
 *
 * Nothing is ever cut off or written twice: the next segment says how far this one is to be read.  So what a failed
 * write or sync left behind, or a crash tore, stays where it is, and nobody looks at it.
 */
#include "durable.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_OCTETS 28 /* of the first frame, behind its head */
#define SEGMENT_BEGINS (FRAME_HEAD + SEGMENT_OCTETS)

struct segment {
    uint64_t before_end; /* where the segment before this one ends */
    uint64_t group;
    uint32_t format;
    uint8_t tag[8];
};

void mailsrv__durable_segment_path(const struct durable *d, uint64_t number, char out[PATH_MAX_OCTETS])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(d->directory);
    memcpy(out, d->directory, n);
    out[n++] = '/';
    for (int i = 60; i >= 0; i -= 4)
        out[n++] = digits[number >> i & 15];
    memcpy(out + n, ".log", 5);
}

/* The number that a name stands for; 0: it is no segment's. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;
    if (strlen(name) != 20 || strcmp(name + 16, ".log") != 0)
        return 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return 0;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return number;
}

void mailsrv__durable_put_frame(const struct log *log, struct buffer *to, enum frame_kind kind, const void *p,
                                size_t n)
{
    size_t at = to->n;
    mailsrv__durable_put_number(to, 0, 4);
    mailsrv__durable_put_number(to, n, 4);
    mailsrv__durable_put_number(to, kind, 4);
    mailsrv__durable_put_number(to, (uint32_t)log->end.segment, 4);
    mailsrv__durable_put_number(to, log->group, 8);
    mailsrv__durable_put(to, p, n);
    if (!to->failed)
        mailsrv__durable_set_number(to->p + at, mailsrv__durable_crc(to->p + at + 4, to->n - at - 4), 4);
}

/* Reads `n` octets behind what the piece has; MAILSRV_GONE: the file ends before. */
static int32_t read_piece(struct log *log, void *file, uint64_t offset, size_t n)
{
    struct durable *d = log->d;
    size_t at = log->piece.n, got = 0;
    if (log->piece.room - at < n) {
        uint8_t *p = realloc(log->piece.p, at + n);
        if (p == NULL)
            return MAILSRV_NOMEM;
        log->piece.p = p;
        log->piece.room = at + n;
    }
    int32_t status = d->files.read(d->files.user, file, log->piece.p + at, n, offset, &got);
    log->piece.n = at + got;
    return status == MAILSRV_OK && got < n ? MAILSRV_GONE : status;
}

/* MAILSRV_GONE: what stands there is no frame of this segment. */
static int32_t read_frame(struct log *log, void *file, const struct place *at, struct frame *out)
{
    log->piece.n = 0;
    int32_t status = read_piece(log, file, at->offset, FRAME_HEAD);
    if (status != MAILSRV_OK)
        return status;
    struct reader head = { log->piece.p, FRAME_HEAD, false };
    uint32_t crc = (uint32_t)mailsrv__durable_get_number(&head, 4);
    size_t n = (size_t)mailsrv__durable_get_number(&head, 4);
    out->kind = (enum frame_kind)mailsrv__durable_get_number(&head, 4);
    uint32_t segment = (uint32_t)mailsrv__durable_get_number(&head, 4);
    out->group = mailsrv__durable_get_number(&head, 8);
    if (n > FRAME_MAX || segment != (uint32_t)at->segment)
        return MAILSRV_GONE;
    status = read_piece(log, file, at->offset + FRAME_HEAD, n);
    if (status != MAILSRV_OK)
        return status;
    if (mailsrv__durable_crc(log->piece.p + 4, FRAME_HEAD - 4 + n) != crc)
        return MAILSRV_GONE;
    out->octets = (mailsrv_bytes){ log->piece.p + FRAME_HEAD, n };
    out->end = at->offset + FRAME_HEAD + n;
    return MAILSRV_OK;
}

static int32_t open_segment(struct log *log, uint64_t number, uint32_t flags, void **out)
{
    struct durable *d = log->d;
    char path[PATH_MAX_OCTETS];
    mailsrv__durable_segment_path(d, number, path);
    return d->files.open(d->files.user, path, flags, out);
}

/* MAILSRV_GONE: it has no good first frame. */
static int32_t read_first(struct log *log, void *file, uint64_t number, struct segment *out)
{
    struct frame frame;
    const struct place begin = { number, 0 };
    int32_t status = read_frame(log, file, &begin, &frame);
    if (status != MAILSRV_OK)
        return status;
    if (frame.kind != FRAME_SEGMENT || frame.octets.n != SEGMENT_OCTETS)
        return MAILSRV_GONE;
    struct reader from = { frame.octets.p, frame.octets.n, false };
    out->format = (uint32_t)mailsrv__durable_get_number(&from, 4);
    memcpy(out->tag, from.p, sizeof out->tag);
    from.p += sizeof out->tag;
    from.n -= sizeof out->tag;
    bool same = mailsrv__durable_get_number(&from, 8) == number;
    out->before_end = mailsrv__durable_get_number(&from, 8);
    out->group = frame.group;
    if (out->format != FORMAT)
        return MAILSRV_CANNOT;
    return same ? MAILSRV_OK : MAILSRV_GONE;
}

static int32_t first_of(struct log *log, uint64_t number, struct segment *out)
{
    void *file;
    int32_t status = open_segment(log, number, 0, &file);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    status = read_first(log, file, number, out);
    log->d->files.close(log->d->files.user, file);
    return status;
}

/* ---- Writing ---- */

static int32_t write_first(struct log *log, void *file)
{
    struct durable *d = log->d;
    struct buffer octets = { NULL, 0, 0, false }, frame = { NULL, 0, 0, false };
    mailsrv__durable_put_number(&octets, FORMAT, 4);
    mailsrv__durable_put(&octets, log->tag, sizeof log->tag);
    mailsrv__durable_put_number(&octets, log->end.segment, 8);
    mailsrv__durable_put_number(&octets, log->end.offset, 8);
    mailsrv__durable_put_frame(log, &frame, FRAME_SEGMENT, octets.p, octets.n);
    int32_t status = octets.failed || frame.failed ? MAILSRV_NOMEM : MAILSRV_OK;
    if (status == MAILSRV_OK)
        status = d->files.write(d->files.user, file, frame.p, frame.n, 0);
    free(octets.p);
    free(frame.p);
    return status;
}

/* Its first group's sync makes the first frame durable too; its name must be so before. */
int32_t mailsrv__durable_log_begin(struct log *log)
{
    struct durable *d = log->d;
    char path[PATH_MAX_OCTETS];
    struct place before = log->end;
    void *file;
    if (log->file != NULL)
        return MAILSRV_OK;
    mailsrv__durable_segment_path(d, before.segment + 1, path);
    d->files.unlink(d->files.user, path); /* an earlier try's: no group was ever in it */
    int32_t status = open_segment(log, before.segment + 1, MAILSRV_DURABLE_WRITE | MAILSRV_DURABLE_CREATE |
                                  MAILSRV_DURABLE_EMPTY, &file);
    if (status != MAILSRV_OK)
        return status;
    log->end.segment++;
    status = write_first(log, file);
    if (status == MAILSRV_OK)
        status = d->files.sync_directory(d->files.user, d->directory);
    if (status != MAILSRV_OK) {
        d->files.close(d->files.user, file);
        log->end = before;
        return status;
    }
    log->file = file;
    log->end.offset = SEGMENT_BEGINS;
    log->before = before;
    log->first_is_durable = false;
    return MAILSRV_OK;
}

static void end_segment(struct log *log)
{
    if (log->file != NULL)
        log->d->files.close(log->d->files.user, log->file);
    log->file = NULL;
}

int32_t mailsrv__durable_log_append(struct log *log, const struct buffer *group)
{
    const mailsrv_durable_files *files = &log->d->files;
    int32_t status = files->write(files->user, log->file, group->p, group->n, log->end.offset);
    if (status == MAILSRV_OK)
        status = files->sync(files->user, log->file);
    if (status != MAILSRV_OK) {
        end_segment(log);
        if (!log->first_is_durable) /* this one never was: the next takes its number */
            log->end = log->before;
        return status;
    }
    log->first_is_durable = true;
    log->end.offset += group->n;
    if (log->end.offset >= log->d->segment_octets)
        end_segment(log);
    return MAILSRV_OK;
}

void mailsrv__durable_log_close(struct log *log)
{
    end_segment(log);
    free(log->piece.p);
    memset(log, 0, sizeof *log);
}

/* ---- Opening ---- */

struct found {
    uint64_t last, n;
};

static void find(void *context, const char *name)
{
    struct found *found = context;
    uint64_t number = number_of(name);
    found->n += number != 0;
    if (number > found->last)
        found->last = number;
}

/* The last segment that has a good first frame; one behind it that has none was begun and never written to. */
static int32_t find_last(struct log *log, const struct place *known, struct segment *first)
{
    struct durable *d = log->d;
    struct found found = { 0, 0 };
    char path[PATH_MAX_OCTETS];
    int32_t status = d->files.list(d->files.user, d->directory, find, &found);
    if (status != MAILSRV_OK || found.last == 0)
        return status;
    status = first_of(log, found.last, first);
    if (status == MAILSRV_GONE && known->segment < found.last) {
        mailsrv__durable_segment_path(d, found.last, path);
        d->files.unlink(d->files.user, path);
        found.last--;
        found.n--;
        if (found.last == 0)
            return MAILSRV_OK;
        status = first_of(log, found.last, first);
    }
    if (status == MAILSRV_GONE || found.n != found.last) /* one is missing, or broken */
        status = MAILSRV_CORRUPT;
    log->end.segment = found.last;
    return status;
}

/* Reads on to the last good frame; of a change that goes on in a later frame, to its last one. */
static int32_t find_end(struct log *log, void *file, const struct place *known)
{
    struct frame frame;
    struct place at = { log->end.segment, SEGMENT_BEGINS };
    uint64_t length;
    bool begun = false;
    int32_t status = log->d->files.length(log->d->files.user, file, &length);
    if (status != MAILSRV_OK)
        return status;
    if (known->segment == at.segment)
        at.offset = known->offset;
    if (known->segment > at.segment || at.offset > length)
        return MAILSRV_CORRUPT;
    log->end.offset = at.offset;
    while ((status = read_frame(log, file, &at, &frame)) == MAILSRV_OK) {
        at.offset = frame.end;
        begun = frame.kind == FRAME_BEGUN || (begun && frame.kind == FRAME_BODY);
        if (!begun)
            log->end.offset = at.offset;
        log->group = frame.group > log->group ? frame.group : log->group;
    }
    return status == MAILSRV_GONE ? MAILSRV_OK : status;
}

/* Groups that a process wrote and did not live to sync are there to be read, and must not be seen before they are
 * durable.  A segment with nothing but its first frame is gone on with. */
static int32_t settle(struct log *log, const struct place *known)
{
    struct durable *d = log->d;
    void *file;
    uint64_t length = 0;
    int32_t status = open_segment(log, log->end.segment, MAILSRV_DURABLE_WRITE, &file);
    if (status != MAILSRV_OK)
        return status;
    status = find_end(log, file, known);
    if (status == MAILSRV_OK)
        status = d->files.sync(d->files.user, file);
    if (status == MAILSRV_OK)
        status = d->files.length(d->files.user, file, &length);
    if (status == MAILSRV_OK && length == SEGMENT_BEGINS) {
        log->file = file;
        log->first_is_durable = true;
        return d->files.sync_directory(d->files.user, d->directory);
    }
    d->files.close(d->files.user, file);
    return status;
}

int32_t mailsrv__durable_log_open(struct log *log, const struct place *known)
{
    struct segment first;
    int32_t status = find_last(log, known, &first);
    if (status != MAILSRV_OK)
        return status;
    if (log->end.segment == 0 && known->segment != 0)
        return MAILSRV_CORRUPT;
    if (log->end.segment == 0) {
        if (getentropy(log->tag, sizeof log->tag) != 0)
            return MAILSRV_TEMP;
    } else {
        memcpy(log->tag, first.tag, sizeof log->tag);
        log->group = first.group > log->group ? first.group : log->group;
        status = settle(log, known);
    }
    return status == MAILSRV_OK ? mailsrv__durable_log_begin(log) : status;
}

/* ---- Replaying ---- */

/* Where a segment is to be read to. */
static int32_t end_of(struct log *log, uint64_t number, uint64_t *out)
{
    struct segment next;
    if (number == log->end.segment) {
        *out = log->end.offset;
        return MAILSRV_OK;
    }
    int32_t status = first_of(log, number + 1, &next);
    *out = status == MAILSRV_OK ? next.before_end : 0;
    return status == MAILSRV_GONE ? MAILSRV_CORRUPT : status;
}

static int32_t replay_segment(struct log *log, void *file, struct place at, uint64_t end,
                              bool (*each)(void *user, const struct frame *frame, const struct place *end), void *user)
{
    struct frame frame;
    if (at.offset > end)
        return MAILSRV_CORRUPT;
    while (at.offset < end) {
        int32_t status = read_frame(log, file, &at, &frame);
        if (status != MAILSRV_OK || frame.end > end)
            return status == MAILSRV_OK || status == MAILSRV_GONE ? MAILSRV_CORRUPT : status;
        at.offset = frame.end;
        if ((frame.kind == FRAME_CHANGE || frame.kind == FRAME_BEGUN) && !each(user, &frame, &at))
            return MAILSRV_TEMP;
    }
    return MAILSRV_OK;
}

int32_t mailsrv__durable_log_replay(struct log *log, const struct place *from,
                                    bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                    void *user)
{
    struct place at = *from;
    if (at.segment == 0)
        at = (struct place){ 1, SEGMENT_BEGINS };
    for (; at.segment <= log->end.segment; at = (struct place){ at.segment + 1, SEGMENT_BEGINS }) {
        uint64_t end;
        void *file;
        int32_t status = end_of(log, at.segment, &end);
        if (status == MAILSRV_OK)
            status = open_segment(log, at.segment, 0, &file);
        if (status != MAILSRV_OK)
            return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
        status = replay_segment(log, file, at, end, each, user);
        log->d->files.close(log->d->files.user, file);
        if (status != MAILSRV_OK)
            return status;
    }
    return MAILSRV_OK;
}
