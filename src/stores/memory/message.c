#include "memory.h"

#include <string.h>

static size_t octets_of(const struct message *message)
{
    return sizeof *message + message->n_prefix + message->n_uidl;
}

struct message *mailsrv__memory_message_new(struct memory *m, struct body *body, mailsrv_bytes prefix,
                                            mailsrv_bytes uidl)
{
    struct message *message = mailsrv__memory_take(m, sizeof *message + prefix.n + uidl.n);
    if (message == NULL)
        return NULL;
    message->memory = m;
    message->refs = 1;
    message->body = body;
    body->refs++;
    message->n_prefix = prefix.n;
    message->n_uidl = uidl.n;
    if (prefix.n != 0)
        memcpy(message->bytes, prefix.p, prefix.n);
    if (uidl.n != 0)
        memcpy(message->bytes + prefix.n, uidl.p, uidl.n);
    message->row.octets = prefix.n + body->octets;
    message->row.uidl = (mailsrv_bytes){ message->bytes + prefix.n, uidl.n };
    m->octets += prefix.n;
    return message;
}

void mailsrv__memory_message_unref(struct message *message)
{
    if (--message->refs != 0)
        return;
    struct memory *m = message->memory;
    m->octets -= message->n_prefix;
    mailsrv__memory_body_unref(message->body);
    mailsrv__memory_give(m, message->record, message->n_record + message->n_lane);
    mailsrv__memory_give(m, message, octets_of(message));
}

mailsrv_bytes mailsrv__memory_message_at(struct message *message, uint64_t offset)
{
    if (offset < message->n_prefix)
        return (mailsrv_bytes){ message->bytes + offset, message->n_prefix - (size_t)offset };
    return mailsrv__memory_body_at(message->body, offset - message->n_prefix);
}

bool mailsrv__memory_set_record(struct message *message, mailsrv_bytes record, mailsrv_bytes lane)
{
    struct memory *m = message->memory;
    uint8_t *copy = NULL;
    if (record.n + lane.n != 0) {
        copy = mailsrv__memory_take(m, record.n + lane.n);
        if (copy == NULL)
            return false;
    }
    if (record.n != 0)
        memcpy(copy, record.p, record.n);
    if (lane.n != 0)
        memcpy(copy + record.n, lane.p, lane.n);
    mailsrv__memory_give(m, message->record, message->n_record + message->n_lane);
    message->record = copy;
    message->n_record = record.n;
    message->n_lane = lane.n;
    return true;
}

bool mailsrv__memory_shelf_reserve(struct memory *m, struct shelf *shelf, size_t more)
{
    if (shelf->room - shelf->n >= more)
        return true;
    size_t room = shelf->room * 2 >= shelf->n + more ? shelf->room * 2 : shelf->n + more;
    struct message **v = mailsrv__memory_take(m, room * sizeof(struct message *));
    if (v == NULL)
        return false;
    if (shelf->n != 0)
        memcpy(v, shelf->v, shelf->n * sizeof(struct message *));
    mailsrv__memory_give(m, shelf->v, shelf->room * sizeof(struct message *));
    shelf->v = v;
    shelf->room = room;
    return true;
}

void mailsrv__memory_shelf_free(struct memory *m, struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->n; i++)
        mailsrv__memory_message_unref(shelf->v[i]);
    mailsrv__memory_give(m, shelf->v, shelf->room * sizeof(struct message *));
}

void mailsrv__memory_shelf_put(struct shelf *shelf, size_t at, struct message *message)
{
    memmove(shelf->v + at + 1, shelf->v + at, (shelf->n - at) * sizeof(struct message *));
    shelf->v[at] = message;
    shelf->n++;
}

void mailsrv__memory_shelf_drop(struct shelf *shelf, size_t at)
{
    shelf->n--;
    memmove(shelf->v + at, shelf->v + at + 1, (shelf->n - at) * sizeof(struct message *));
}

static uint64_t uid_of(const struct message *message)
{
    return message->row.uid;
}

static uint64_t queue_of(const struct message *message)
{
    return message->queue;
}

static size_t lower_bound(const struct shelf *shelf, uint64_t least, uint64_t (*number)(const struct message *))
{
    size_t low = 0, high = shelf->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (number(shelf->v[middle]) < least)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t mailsrv__memory_shelf_uid(const struct shelf *shelf, uint64_t least)
{
    return lower_bound(shelf, least, uid_of);
}

size_t mailsrv__memory_shelf_queue(const struct shelf *shelf, uint64_t least)
{
    return lower_bound(shelf, least, queue_of);
}
