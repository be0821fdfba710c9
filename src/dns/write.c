#include "dns/name.h"

#include <mailsrv/queue.h>

enum { CLASS_IN = 1, MESSAGE_OCTETS_MAX = 65535, NUMBER_MAX = 65535, RCODE_MAX = 15 };

/* A reply to a question that asked for recursion, which was available (RFC 1035 section 4.1.1). */
enum { QR_RD_RA = 0x8180 };

static void write16(struct writer *w, uint32_t n)
{
    mailsrv__write_char(w, (char)(n >> 8));
    mailsrv__write_char(w, (char)n);
}

/* Without the dot at its end that a host's resolver may have left there. */
static struct span name_text(mailsrv_bytes name)
{
    struct span text = mailsrv__span(name);
    return mailsrv__span_first(text, text.n > 1 && text.p[text.n - 1] == '.' ? text.n - 1 : text.n);
}

static bool write_record(struct writer *w, const mailsrv_dns_record *record, struct span question)
{
    struct span owner = name_text(record->name);
    if (record->type == 0 || record->type > NUMBER_MAX || record->data.n > NUMBER_MAX)
        return false;
    if (owner.n != 0 && mailsrv__span_equal(owner, question))
        write16(w, 0xC000 | DNS_HEADER_OCTETS); /* where the question's name stands */
    else if (!mailsrv__dns_name_write(w, owner))
        return false;
    write16(w, record->type);
    write16(w, CLASS_IN);
    write16(w, record->ttl_s >> 16);
    write16(w, record->ttl_s);
    write16(w, (uint32_t)record->data.n);
    mailsrv__write(w, mailsrv__span(record->data));
    return true;
}

/* ID, bits, and how many there are of each section. */
static void write_header(struct writer *w, uint32_t rcode, size_t n)
{
    write16(w, 0);
    write16(w, QR_RD_RA | rcode);
    write16(w, 1);
    write16(w, (uint32_t)n);
    write16(w, 0);
    write16(w, 0);
}

int32_t mailsrv_dns_write(mailsrv_bytes name, uint32_t type, uint32_t rcode, const mailsrv_dns_record *records,
                          size_t n, uint8_t *p, size_t room, size_t *written)
{
    struct writer w = { .p = (char *)p, .room = room < MESSAGE_OCTETS_MAX ? room : MESSAGE_OCTETS_MAX };
    struct span question = name_text(name);
    if (p == NULL || written == NULL || type == 0 || type > NUMBER_MAX || rcode > RCODE_MAX || n > NUMBER_MAX ||
        (n != 0 && (records == NULL || records->size < sizeof *records)))
        return MAILSRV_E_USAGE;
    write_header(&w, rcode, n);
    if (!mailsrv__dns_name_write(&w, question))
        return MAILSRV_E_USAGE;
    write16(&w, type);
    write16(&w, CLASS_IN);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *record = (const uint8_t *)records + i * records->size;
        if (!write_record(&w, (const mailsrv_dns_record *)(const void *)record, question))
            return MAILSRV_E_USAGE;
    }
    if (w.full)
        return MAILSRV_TOOBIG;
    *written = w.n;
    return MAILSRV_OK;
}
