#include "text/queue_record.h"

static void write_u16(struct writer *w, size_t value)
{
    mailsrv__write_char(w, (char)(uint8_t)(value & 0xff));
    mailsrv__write_char(w, (char)(uint8_t)(value >> 8));
}

static void write_field(struct writer *w, struct span field)
{
    write_u16(w, field.n);
    mailsrv__write(w, field);
}

void mailsrv__queue_record_write(struct writer *w, const struct queue_record *record)
{
    mailsrv__write_char(w, QUEUE_RECORD_VERSION);
    mailsrv__write_char(w, (char)record->fate);
    write_u16(w, record->code);
    write_field(w, record->reverse_path);
    write_field(w, record->recipient);
    write_field(w, record->text);
}

static bool read_u8(struct span *in, unsigned *out)
{
    if (in->n == 0)
        return false;
    *out = (uint8_t)in->p[0];
    *in = mailsrv__span_after(*in, 1);
    return true;
}

static bool read_u16(struct span *in, unsigned *out)
{
    unsigned low, high;
    if (!read_u8(in, &low) || !read_u8(in, &high))
        return false;
    *out = high << 8 | low;
    return true;
}

static bool read_field(struct span *in, struct span *out)
{
    unsigned n;
    if (!read_u16(in, &n) || n > in->n)
        return false;
    *out = mailsrv__span_first(*in, n);
    *in = mailsrv__span_after(*in, n);
    return true;
}

bool mailsrv__queue_record_read(struct span in, struct queue_record *out)
{
    struct queue_record r = { .fate = QUEUE_RETRY };
    unsigned version, fate, code;
    if (!read_u8(&in, &version) || version != QUEUE_RECORD_VERSION || !read_u8(&in, &fate) || !read_u16(&in, &code) ||
        (fate != QUEUE_RETRY && fate != QUEUE_BOUNCE))
        return false;
    if (!read_field(&in, &r.reverse_path) || !read_field(&in, &r.recipient) || !read_field(&in, &r.text))
        return false;
    r.fate = fate == QUEUE_RETRY ? QUEUE_RETRY : QUEUE_BOUNCE;
    r.code = (uint16_t)code;
    *out = r;
    return true;
}
