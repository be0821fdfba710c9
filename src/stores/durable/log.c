/* Segments and frames.
 *
 *   frame    crc (4), octets (4), kind (4), segment (4), group (8), then the octets; the CRC is of all behind it
 *   segment  a frame that says which it is, which others the log is made of and how far each is to be read; then groups
 *
 * Nothing is ever cut off or written twice: a later segment says how far this one is to be read.  So what a failed
 * write or sync left behind, or a crash tore, stays where it is, and nobody looks at it.
 */
#include "durable.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_OCTETS 48 /* of the first frame, behind its head, before the segments that it names */
#define SEALED_OCTETS 24  /* of each of those */
#define READY_MAX (1u << 20)   /* octets that are made ready at once */
#define READY_PIECE (1u << 16) /* the least of them, and of a write */
#define READY_GROUP (1u << 17) /* for a larger group nothing is */

/* What a first frame says. */
struct first {
    struct sealed_list sealed;
    struct given given;
    uint64_t begins, group;
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
uint64_t mailsrv__durable_segment_number(const char *name)
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
    if (mailsrv__durable_crc(0, log->piece.p + 4, FRAME_HEAD - 4 + n) != crc)
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

static bool add_sealed(struct sealed_list *list, const struct sealed *one)
{
    if (list->n == list->room) {
        size_t room = list->room != 0 ? list->room * 2 : 16;
        struct sealed *v = realloc(list->v, room * sizeof *v);
        if (v == NULL)
            return false;
        list->v = v;
        list->room = room;
    }
    list->v[list->n++] = *one;
    return true;
}

static int32_t take_sealed(struct reader *from, struct sealed_list *out)
{
    uint64_t n = mailsrv__durable_get_number(from, 4);
    for (uint64_t i = 0; i < n && !from->bad; i++) {
        struct sealed one = { 0, 0, 0, 0 };
        one.number = mailsrv__durable_get_number(from, 8);
        one.begins = mailsrv__durable_get_number(from, 8);
        one.end = mailsrv__durable_get_number(from, 8);
        if (!from->bad && !add_sealed(out, &one))
            return MAILSRV_NOMEM;
    }
    return from->bad || from->n != 0 ? MAILSRV_GONE : MAILSRV_OK;
}

/* MAILSRV_GONE: it has no good first frame.  What it says is to be freed. */
static int32_t read_first(struct log *log, void *file, uint64_t number, struct first *out)
{
    struct frame frame;
    const struct place begin = { number, 0 };
    int32_t status = read_frame(log, file, &begin, &frame);
    if (status != MAILSRV_OK)
        return status;
    struct reader from = { frame.octets.p, frame.octets.n, false };
    uint64_t format = mailsrv__durable_get_number(&from, 4);
    if (frame.kind != FRAME_SEGMENT || frame.octets.n < SEGMENT_OCTETS)
        return MAILSRV_GONE;
    if (format != FORMAT)
        return MAILSRV_CANNOT;
    mailsrv__durable_set_number(out->tag, mailsrv__durable_get_number(&from, 8), 8);
    bool same = mailsrv__durable_get_number(&from, 8) == number;
    out->given.body = mailsrv__durable_get_number(&from, 8);
    out->given.id = mailsrv__durable_get_number(&from, 8);
    out->given.queue = mailsrv__durable_get_number(&from, 8);
    out->begins = frame.end;
    out->group = frame.group;
    return same ? take_sealed(&from, &out->sealed) : MAILSRV_GONE;
}

static int32_t first_of(struct log *log, uint64_t number, struct first *out)
{
    void *file;
    memset(out, 0, sizeof *out);
    int32_t status = open_segment(log, number, 0, &file);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    status = read_first(log, file, number, out);
    log->d->files.close(log->d->files.user, file);
    return status;
}

/* ---- Which segments there are ---- */

static size_t place_in(const struct sealed_list *list, uint64_t number)
{
    size_t i = 0;
    while (i < list->n && list->v[i].number < number)
        i++;
    return i;
}

static void take_out(struct sealed_list *list, size_t i)
{
    list->n--;
    memmove(&list->v[i], &list->v[i + 1], (list->n - i) * sizeof *list->v);
}

struct sealed *mailsrv__durable_log_find(struct log *log, uint64_t number)
{
    size_t i = place_in(&log->sealed, number);
    return i < log->sealed.n && log->sealed.v[i].number == number ? &log->sealed.v[i] : NULL;
}

/* Without memory its file stays until the next start. */
void mailsrv__durable_log_retire(struct log *log, uint64_t number, uint64_t group)
{
    struct sealed *one = mailsrv__durable_log_find(log, number);
    struct sealed gone = { .number = number, .retired = group };
    if (one != NULL)
        take_out(&log->sealed, (size_t)(one - log->sealed.v));
    add_sealed(&log->retired, &gone);
}

uint64_t mailsrv__durable_retires(mailsrv_bytes record)
{
    struct reader from = { record.p, record.n, false };
    if (mailsrv__durable_get_number(&from, 1) != ENTRY_RETIRED || from.bad)
        return 0;
    uint64_t number = mailsrv__durable_get_number(&from, 8);
    return from.bad || from.n != 0 ? 0 : number;
}

/* ---- Writing ---- */

static void put_first(const struct log *log, struct buffer *to)
{
    const struct state *state = &log->d->writer.committed;
    mailsrv__durable_put_number(to, FORMAT, 4);
    mailsrv__durable_put(to, log->tag, sizeof log->tag);
    mailsrv__durable_put_number(to, log->end.segment, 8);
    mailsrv__durable_put_number(to, state->last_body, 8);
    mailsrv__durable_put_number(to, state->last_id, 8);
    mailsrv__durable_put_number(to, state->last_queue, 8);
    mailsrv__durable_put_number(to, log->sealed.n, 4);
    for (size_t i = 0; i < log->sealed.n; i++) {
        mailsrv__durable_put_number(to, log->sealed.v[i].number, 8);
        mailsrv__durable_put_number(to, log->sealed.v[i].begins, 8);
        mailsrv__durable_put_number(to, log->sealed.v[i].end, 8);
    }
}

static int32_t write_first(struct log *log, void *file)
{
    struct durable *d = log->d;
    struct buffer octets = { NULL, 0, 0, false }, frame = { NULL, 0, 0, false };
    put_first(log, &octets);
    mailsrv__durable_put_frame(log, &frame, FRAME_SEGMENT, octets.p, octets.n);
    int32_t status = octets.failed || frame.failed ? MAILSRV_NOMEM : MAILSRV_OK;
    if (status == MAILSRV_OK)
        status = d->files.write(d->files.user, file, frame.p, frame.n, 0);
    log->begins = frame.n;
    free(octets.p);
    free(frame.p);
    return status;
}

/* There is room for one more, so that a segment can always end. */
static bool make_room(struct sealed_list *list)
{
    const struct sealed none = { 0, 0, 0, 0 };
    if (!add_sealed(list, &none))
        return false;
    list->n--;
    return true;
}

/* What was made ready and not used goes; where it does not, it stays. */
static void trim(struct log *log)
{
    if (log->file != NULL && log->first_is_durable && log->ready > log->end.offset)
        log->d->files.truncate(log->d->files.user, log->file, log->end.offset);
    log->ready = log->end.offset;
}

static void leave(struct log *log)
{
    if (log->file != NULL)
        log->d->files.close(log->d->files.user, log->file);
    log->file = NULL;
}

static void end_segment(struct log *log)
{
    const struct sealed one = { log->end.segment, log->begins, log->end.offset, 0 };
    leave(log);
    add_sealed(&log->sealed, &one);
}

/* Its first group's sync makes the first frame durable too; its name must be so before. */
int32_t mailsrv__durable_log_begin(struct log *log)
{
    struct durable *d = log->d;
    char path[PATH_MAX_OCTETS];
    struct place before;
    void *file;
    if (log->file != NULL && log->end.offset - log->begins >= d->segment_octets) {
        trim(log);
        end_segment(log); /* its last group has been applied, so what is live of it is known */
    }
    if (log->file != NULL)
        return MAILSRV_OK;
    before = log->end;
    if (!make_room(&log->sealed))
        return MAILSRV_NOMEM;
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
    log->end.offset = log->ready = log->begins;
    log->before = before;
    log->first_is_durable = false;
    return MAILSRV_OK;
}

int32_t mailsrv__durable_log_renew(struct log *log)
{
    trim(log);
    if (log->file != NULL)
        end_segment(log);
    if (getentropy(log->tag, sizeof log->tag) != 0)
        return MAILSRV_TEMP;
    int32_t status = mailsrv__durable_log_begin(log);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_sync(log->d, log->file, 0);
    log->first_is_durable = status == MAILSRV_OK;
    return status;
}

/* Zeros behind the end, where later groups go: where a sync finds a file no longer than before, it costs the system one
 * write instead of two or three.  That is faster by a third or more, and pays while a group is small beside what is
 * made ready.  Zeros are no frame; where there is no room for them, there may still be some for groups. */
static int32_t make_ready(struct log *log, uint64_t end, size_t group)
{
    static uint8_t zeros[READY_PIECE]; /* not const: so the program's file has none of them */
    const mailsrv_durable_files *files = &log->d->files;
    uint64_t most = log->begins + log->d->segment_octets, more = end - log->begins;
    more = more > READY_MAX ? READY_MAX : more < READY_PIECE ? READY_PIECE : more;
    int32_t status = MAILSRV_OK;
    log->ready = end;
    if (group > READY_GROUP || !log->d->has_reserve)
        return MAILSRV_OK;
    while (status == MAILSRV_OK && log->ready < end + more && log->ready < most) {
        size_t n = most - log->ready < sizeof zeros ? (size_t)(most - log->ready) : sizeof zeros;
        status = files->write(files->user, log->file, zeros, n, log->ready);
        log->ready += status == MAILSRV_OK ? n : 0;
    }
    return status == MAILSRV_FULL ? MAILSRV_OK : status;
}

int32_t mailsrv__durable_log_append(struct log *log, const struct group *group)
{
    const size_t octets = mailsrv__durable_group_octets(group);
    const uint64_t end = log->end.offset + octets;
    int32_t status = mailsrv__durable_group_write(log, group);
    if (status == MAILSRV_OK && end > log->ready)
        status = make_ready(log, end, octets);
    if (status == MAILSRV_OK)
        status = mailsrv__durable_sync(log->d, log->file, octets);
    if (status == MAILSRV_OK) {
        log->first_is_durable = true;
        log->end.offset = end;
    } else if (log->first_is_durable) {
        end_segment(log);
    } else { /* this one never was: the next takes its number */
        leave(log);
        log->end = log->before;
    }
    return status;
}

void mailsrv__durable_log_close(struct log *log)
{
    trim(log);
    leave(log);
    free(log->piece.p);
    free(log->sealed.v);
    free(log->retired.v);
    memset(log, 0, sizeof *log);
}

/* ---- Opening ---- */

static void find(void *context, const char *name)
{
    uint64_t *last = context, number = mailsrv__durable_segment_number(name);
    if (number > *last)
        *last = number;
}

static void take_first(struct log *log, struct first *first)
{
    free(log->sealed.v);
    log->sealed = first->sealed;
    log->given = first->given;
    log->begins = first->begins;
    log->group = first->group > log->group ? first->group : log->group;
    memcpy(log->tag, first->tag, sizeof log->tag);
}

/* The last segment that has a good first frame; one behind it that has none was begun and never written to. */
static int32_t find_last(struct log *log, const struct place *known)
{
    struct durable *d = log->d;
    struct first first = { .begins = 0 };
    char path[PATH_MAX_OCTETS];
    uint64_t last = 0;
    int32_t status = d->files.list(d->files.user, d->directory, find, &last);
    if (status != MAILSRV_OK || last == 0)
        return status;
    status = first_of(log, last, &first);
    if (status == MAILSRV_GONE && known->segment < last) {
        free(first.sealed.v);
        mailsrv__durable_segment_path(d, last, path);
        if (!log->only_looks)
            d->files.unlink(d->files.user, path);
        if (--last == 0)
            return MAILSRV_OK;
        status = first_of(log, last, &first);
    }
    take_first(log, &first);
    log->end.segment = last;
    return status == MAILSRV_GONE ? MAILSRV_CORRUPT : status;
}

/* Reads on to the last good frame; of a change that goes on in a later frame, to its last one.  What is retired on the
 * way is not of the log. */
static int32_t find_end(struct log *log, void *file, const struct place *known)
{
    struct frame frame;
    struct place at = { log->end.segment, log->begins };
    uint64_t length, retired;
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
        if (frame.kind == FRAME_CHANGE && (retired = mailsrv__durable_retires(frame.octets)) != 0)
            mailsrv__durable_log_retire(log, retired, frame.group);
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
    if (status == MAILSRV_OK && !make_room(&log->sealed))
        status = MAILSRV_NOMEM;
    if (status == MAILSRV_OK)
        status = d->files.sync(d->files.user, file);
    if (status == MAILSRV_OK)
        status = d->files.length(d->files.user, file, &length);
    if (status == MAILSRV_OK && length == log->begins) {
        log->file = file;
        log->ready = log->begins;
        log->first_is_durable = true;
        return d->files.sync_directory(d->files.user, d->directory);
    }
    d->files.close(d->files.user, file);
    if (status == MAILSRV_OK)
        end_segment(log);
    return status;
}

int32_t mailsrv__durable_log_look(struct log *log)
{
    const struct place start = { 0, 0 };
    void *file;
    log->only_looks = true;
    int32_t status = find_last(log, &start);
    if (status != MAILSRV_OK || log->end.segment == 0)
        return status;
    status = open_segment(log, log->end.segment, 0, &file);
    if (status != MAILSRV_OK)
        return status;
    status = make_room(&log->sealed) ? find_end(log, file, &start) : MAILSRV_NOMEM;
    log->d->files.close(log->d->files.user, file);
    if (status == MAILSRV_OK)
        end_segment(log);
    return status;
}

int32_t mailsrv__durable_log_open(struct log *log, const struct place *known)
{
    int32_t status = find_last(log, known);
    if (status != MAILSRV_OK)
        return status;
    if (log->end.segment == 0 && known->segment != 0)
        return MAILSRV_CORRUPT;
    if (log->end.segment != 0)
        return settle(log, known);
    return getentropy(log->tag, sizeof log->tag) == 0 ? MAILSRV_OK : MAILSRV_TEMP;
}

struct look {
    struct log *log;
    uint64_t n;
};

static void look_at(void *context, const char *name)
{
    struct look *look = context;
    struct durable *d = look->log->d;
    char path[PATH_MAX_OCTETS];
    uint64_t number = mailsrv__durable_segment_number(name);
    if (number == 0 || (look->log->file != NULL && number == look->log->end.segment))
        return;
    if (mailsrv__durable_log_find(look->log, number) != NULL) {
        look->n++;
        return;
    }
    for (size_t i = 0; i < look->log->retired.n; i++)
        if (look->log->retired.v[i].number == number)
            return;
    mailsrv__durable_segment_path(d, number, path);
    d->files.unlink(d->files.user, path);
}

int32_t mailsrv__durable_log_settle(struct log *log)
{
    struct look look = { log, 0 };
    int32_t status = log->d->files.list(log->d->files.user, log->d->directory, look_at, &look);
    return status == MAILSRV_OK && look.n != log->sealed.n ? MAILSRV_CORRUPT : status;
}

/* ---- Replaying ---- */

int32_t mailsrv__durable_log_body(struct log *log, const struct place *at, uint64_t id, mailsrv_bytes *out)
{
    struct frame frame = { .kind = FRAME_SEGMENT };
    void *file;
    int32_t status = open_segment(log, at->segment, 0, &file);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    const struct place begin = { at->segment, at->offset - FRAME_HEAD - 8 };
    status = read_frame(log, file, &begin, &frame);
    log->d->files.close(log->d->files.user, file);
    struct reader from = { frame.octets.p, frame.octets.n, false };
    if (status == MAILSRV_OK && (frame.kind != FRAME_BODY || mailsrv__durable_get_number(&from, 8) != id))
        status = MAILSRV_CORRUPT;
    *out = frame.octets;
    return status == MAILSRV_GONE ? MAILSRV_CORRUPT : status;
}

/* Where a segment is to be read to: the next one names it last, since it was no longer written to then. */
static int32_t end_of(struct log *log, uint64_t number, struct sealed *out)
{
    struct first next = { .begins = 0 };
    const struct sealed *known = mailsrv__durable_log_find(log, number);
    if (known != NULL || number == log->end.segment) {
        *out = known != NULL ? *known : (struct sealed){ number, log->begins, log->end.offset, 0 };
        return MAILSRV_OK;
    }
    int32_t status = first_of(log, number + 1, &next);
    bool named = next.sealed.n != 0 && next.sealed.v[next.sealed.n - 1].number == number;
    if (named)
        *out = next.sealed.v[next.sealed.n - 1];
    free(next.sealed.v);
    return status == MAILSRV_GONE || (status == MAILSRV_OK && !named) ? MAILSRV_CORRUPT : status;
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

static int32_t replay_one(struct log *log, uint64_t number, uint64_t offset,
                          bool (*each)(void *user, const struct frame *frame, const struct place *end), void *user)
{
    struct sealed one;
    void *file;
    int32_t status = end_of(log, number, &one);
    if (status == MAILSRV_OK)
        status = open_segment(log, number, 0, &file);
    if (status != MAILSRV_OK)
        return status == MAILSRV_NONEXISTENT ? MAILSRV_CORRUPT : status;
    const struct place at = { number, offset != 0 ? offset : one.begins };
    status = replay_segment(log, file, at, one.end, each, user);
    log->d->files.close(log->d->files.user, file);
    return status;
}

int32_t mailsrv__durable_log_replay_one(struct log *log, uint64_t number,
                                        bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                        void *user)
{
    return replay_one(log, number, 0, each, user);
}

/* What follows a place is there without a gap, since nothing goes before the index has it for good. */
int32_t mailsrv__durable_log_replay(struct log *log, const struct place *from,
                                    bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                    void *user)
{
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < log->sealed.n && from->segment == 0 && status == MAILSRV_OK; i++)
        status = replay_one(log, log->sealed.v[i].number, 0, each, user);
    uint64_t number = from->segment != 0 ? from->segment : log->file != NULL ? log->end.segment : UINT64_MAX;
    for (; number <= log->end.segment && status == MAILSRV_OK; number++)
        status = replay_one(log, number, number == from->segment ? from->offset : 0, each, user);
    return status;
}
