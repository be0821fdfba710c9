#include "dns/reply.h"

#include <mailsrv/queue.h>

enum { CLASS_IN = 1 };

/* A record as it stands there. */
struct raw {
    struct dns_name owner;
    uint16_t type, class_;
    uint32_t ttl_s;
    size_t data, n; /* where, and how many octets */
};

static uint16_t number16(struct span message, size_t at)
{
    return (uint16_t)((uint8_t)message.p[at] << 8 | (uint8_t)message.p[at + 1]);
}

/* Its first bit is no part of a TTL, and says that it is 0 (RFC 2181 section 8). */
static uint32_t ttl_at(struct span message, size_t at)
{
    uint32_t ttl = (uint32_t)number16(message, at) << 16 | number16(message, at + 2);
    return ttl > INT32_MAX ? 0 : ttl;
}

/* NAME TYPE CLASS TTL RDLENGTH RDATA   RFC 1035 section 4.1.3 */
static bool take_raw(struct span message, size_t *at, struct raw *out)
{
    enum { BEHIND_NAME = 10 };
    if (!mailsrv__dns_name_read(message, at, &out->owner) || message.n - *at < BEHIND_NAME)
        return false;
    out->type = number16(message, *at);
    out->class_ = number16(message, *at + 2);
    out->ttl_s = ttl_at(message, *at + 4);
    out->n = number16(message, *at + 8);
    out->data = *at + BEHIND_NAME;
    *at = out->data + out->n;
    return *at <= message.n;
}

/* A name that fills the record's data up to its end. */
static bool read_target(struct span message, const struct raw *raw, size_t at, struct dns_name *out)
{
    struct span upto = mailsrv__span_first(message, raw->data + raw->n);
    return mailsrv__dns_name_read(upto, &at, out) && at == upto.n;
}

/* USAGE SELECTOR MATCHING-TYPE, an octet each, and the data, which may not be empty (RFC 6698 section 2.1) */
static bool read_tlsa(struct span message, const struct raw *raw, struct dns_record *out)
{
    enum { BEFORE_DATA = 3 };
    const char *p = message.p + raw->data;
    if (raw->n <= BEFORE_DATA)
        return false;
    out->usage = (uint8_t)p[0];
    out->selector = (uint8_t)p[1];
    out->matching = (uint8_t)p[2];
    out->association = (struct span){ p + BEFORE_DATA, raw->n - BEFORE_DATA };
    return true;
}

static bool read_data(struct span message, const struct raw *raw, struct dns_record *out)
{
    out->ttl_s = raw->ttl_s;
    if (raw->type == MAILSRV_DNS_TLSA)
        return read_tlsa(message, raw, out);
    if (raw->type == MAILSRV_DNS_MX) {
        if (raw->n < 3)
            return false;
        out->preference = number16(message, raw->data);
        return read_target(message, raw, raw->data + 2, &out->exchange);
    }
    if (raw->type == MAILSRV_DNS_CNAME)
        return read_target(message, raw, raw->data, &out->exchange);
    if (raw->n != (raw->type == MAILSRV_DNS_A ? 4 : 16))
        return false;
    memcpy(out->address, message.p + raw->data, raw->n);
    return true;
}

/* ---- Records of a name ---- */

static void rewind_answers(struct dns_reply *r)
{
    r->at = r->answers_at;
    r->left = r->n_answers;
}

enum found { FOUND, NONE, BAD };

/* The next record of this type that the name has. */
static enum found next_of(struct dns_reply *r, uint16_t type, struct dns_record *out)
{
    struct raw raw;
    while (r->left != 0) {
        r->left--;
        if (!take_raw(r->message, &r->at, &raw))
            return BAD;
        if (raw.type != type || raw.class_ != CLASS_IN ||
            !mailsrv__span_equal_nocase(mailsrv__dns_text(&raw.owner), mailsrv__dns_text(&r->owner)))
            continue;
        return read_data(r->message, &raw, out) ? FOUND : BAD;
    }
    return NONE;
}

static void lower_ttl(struct dns_reply *r, const struct dns_record *record)
{
    if (record->ttl_s < r->ttl_s)
        r->ttl_s = record->ttl_s;
}

/* Looks through all records of the name that the CNAMEs have led to so far. */
static enum found look(struct dns_reply *r, uint16_t type, struct dns_record *last)
{
    enum found all = NONE, one;
    rewind_answers(r);
    while ((one = next_of(r, type, last)) == FOUND) {
        lower_ttl(r, last);
        all = FOUND;
        if (type != r->type)
            break; /* there is one at most (RFC 1034 section 3.6.2) */
    }
    rewind_answers(r);
    return one == BAD ? BAD : all;
}

/* ---- A reply ---- */

static enum dns_outcome failed(struct dns_reply *r, struct span why)
{
    r->why = why;
    return r->outcome = DNS_FAILED;
}

static enum dns_outcome malformed(struct dns_reply *r)
{
    return failed(r, SPAN("malformed"));
}

/* The answer to a name with a CNAME has what its target has, too (RFC 1034 section 4.3.2), in whatever order. */
static enum dns_outcome follow_chain(struct dns_reply *r)
{
    struct dns_record record;
    for (unsigned links = 0; links <= DNS_CHAIN_MAX; links++) {
        enum found found = look(r, r->type, &record);
        if (found == FOUND)
            return r->outcome = DNS_RECORDS;
        if (found == NONE)
            found = look(r, MAILSRV_DNS_CNAME, &record);
        if (found == NONE)
            return r->outcome = DNS_NODATA;
        if (found == BAD)
            return malformed(r);
        r->owner = record.exchange;
    }
    return failed(r, SPAN("too many CNAMEs"));
}

static struct span rcode_text(unsigned rcode)
{
    static const struct span texts[] = { [1] = { "FORMERR", 7 }, [2] = { "SERVFAIL", 8 }, [4] = { "NOTIMP", 6 },
                                         [5] = { "REFUSED", 7 } };
    bool known = rcode < sizeof texts / sizeof texts[0] && texts[rcode].p != NULL;
    return known ? texts[rcode] : SPAN("an unknown error");
}

/* QR and Opcode say what it is, TC that there was more (RFC 1035 section 4.1.1). */
enum { QR = 0x8000, OPCODE = 0x7800, TC = 0x0200, AD = 0x0020, RCODE = 0x000F };

/* One question, and the one that was asked: a reply to another one is none (RFC 5452 section 9.1). */
static bool take_question(struct dns_reply *r, struct span name)
{
    struct span message = r->message;
    r->at = DNS_HEADER_OCTETS;
    if (number16(message, 4) != 1 || !mailsrv__dns_name_read(message, &r->at, &r->owner) || message.n - r->at < 4)
        return false;
    bool same = number16(message, r->at) == r->type && number16(message, r->at + 2) == CLASS_IN &&
                mailsrv__span_equal_nocase(mailsrv__dns_text(&r->owner), name);
    r->at += 4;
    return same;
}

enum dns_outcome mailsrv__dns_reply_read(struct dns_reply *r, struct span message, struct span name, uint16_t type)
{
    *r = (struct dns_reply){ .message = message, .type = type, .ttl_s = UINT32_MAX };
    if (message.n < DNS_HEADER_OCTETS)
        return malformed(r);
    uint16_t bits = number16(message, 2);
    unsigned rcode = bits & RCODE;
    if ((bits & QR) == 0 || (bits & OPCODE) != 0 || !take_question(r, name))
        return failed(r, SPAN("a reply to another question"));
    r->authentic = (bits & AD) != 0;
    r->answers_at = r->at;
    r->n_answers = number16(message, 6);
    if ((bits & TC) != 0)
        return failed(r, SPAN("truncated"));
    if (rcode == 3)
        return r->outcome = DNS_NXDOMAIN; /* of the last name, where there are CNAMEs (RFC 6604 section 3) */
    if (rcode != 0)
        return failed(r, rcode_text(rcode));
    if (r->n_answers > DNS_RECORDS_MAX)
        return failed(r, SPAN("too many records"));
    return follow_chain(r);
}

bool mailsrv__dns_reply_next(struct dns_reply *r, struct dns_record *out)
{
    return r->outcome == DNS_RECORDS && next_of(r, r->type, out) == FOUND;
}
