#include "text/queue_record.h"

static void write_number(struct writer *w, uint64_t value, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++, value >>= 8)
        mailsrv__write_char(w, (char)(uint8_t)(value & 0xff));
}

static const struct span *field(const struct queue_record *r, unsigned i)
{
    const struct span *fields[QUEUE_RECORD_FIELDS] = { &r->message,     &r->reverse_path, &r->recipient, &r->text,
                                                       &r->envelope_id, &r->original,     &r->host,      &r->route };
    return fields[i];
}

size_t mailsrv__queue_record_octets(const struct queue_record *r)
{
    size_t octets = QUEUE_RECORD_FIXED + QUEUE_RECORD_FIELDS * 2;
    for (unsigned i = 0; i < QUEUE_RECORD_FIELDS; i++)
        octets += field(r, i)->n;
    return octets;
}

void mailsrv__queue_record_write(struct writer *w, const struct queue_record *r)
{
    write_number(w, QUEUE_RECORD_VERSION, 1);
    write_number(w, (uint64_t)r->fate, 1);
    write_number(w, r->code, 2);
    write_number(w, r->flags, 2);
    write_number(w, r->tries, 4);
    write_number(w, (uint64_t)r->arrived_us, 8);
    write_number(w, (uint64_t)r->tried_us, 8);
    for (unsigned i = 0; i < QUEUE_RECORD_FIELDS; i++) {
        write_number(w, field(r, i)->n, 2);
        mailsrv__write(w, *field(r, i));
    }
}

static bool read_number(struct span *in, unsigned octets, uint64_t *out)
{
    if (in->n < octets)
        return false;
    *out = 0;
    for (unsigned i = 0; i < octets; i++)
        *out |= (uint64_t)(uint8_t)in->p[i] << 8 * i;
    *in = mailsrv__span_after(*in, octets);
    return true;
}

static bool read_field(struct span *in, struct span *out)
{
    uint64_t n;
    if (!read_number(in, 2, &n) || n > in->n)
        return false;
    *out = mailsrv__span_first(*in, (size_t)n);
    *in = mailsrv__span_after(*in, (size_t)n);
    return true;
}

bool mailsrv__queue_record_read(struct span in, struct queue_record *out)
{
    static const uint8_t widths[] = { 1, 1, 2, 2, 4, 8, 8 };
    uint64_t numbers[sizeof widths];
    for (unsigned i = 0; i < sizeof widths; i++)
        if (!read_number(&in, widths[i], &numbers[i]))
            return false;
    if (numbers[0] != QUEUE_RECORD_VERSION || numbers[1] < QUEUE_RETRY || numbers[1] > QUEUE_SUCCESS)
        return false;
    struct queue_record r = { .fate = (enum queue_fate)numbers[1],
                              .code = (uint16_t)numbers[2],
                              .flags = (uint16_t)numbers[3],
                              .tries = (uint32_t)numbers[4],
                              .arrived_us = (int64_t)numbers[5],
                              .tried_us = (int64_t)numbers[6] };
    for (unsigned i = 0; i < QUEUE_RECORD_FIELDS; i++)
        if (!read_field(&in, (struct span *)(uintptr_t)field(&r, i)))
            return false;
    *out = r;
    return true;
}
