/* Replies of DNS: what is read is what a reader that is written in another way reads, and what would be written. */
#include "fuzz.h"

#include "dns/reply.h"

#include <mailsrv/queue.h>

/* ---- Another reader: all records first, then what is said of a name ---- */

struct entry {
    char owner[DNS_TEXT_OCTETS_MAX + 1], target[DNS_TEXT_OCTETS_MAX + 1];
    bool has_target;
    unsigned owner_n, target_n, type, class_, ttl_s;
    const uint8_t *data;
    size_t n;
};

struct whole {
    const uint8_t *p;
    size_t n, at;
    bool bad;
    unsigned rcode;
    char name[DNS_TEXT_OCTETS_MAX + 1];
    unsigned name_n, type, class_, n_answers;
    struct entry *answers;
};

static unsigned octet(struct whole *w, size_t at)
{
    if (at < w->n)
        return w->p[at];
    w->bad = true;
    return 0;
}

static unsigned number(struct whole *w)
{
    unsigned high = octet(w, w->at), low = octet(w, w->at + 1);
    w->at += 2;
    return high << 8 | low;
}

/* The labels from `at` on, and where those end that stand there; a pointer leads to another such row further before. */
static size_t labels(struct whole *w, size_t at, size_t end, char *text, unsigned *n, unsigned *octets)
{
    size_t begin = at;
    for (;;) {
        unsigned c = octet(w, at);
        if (w->bad || c == 0)
            return at + 1;
        if (c > 63) {
            size_t to = (c & 63) << 8 | octet(w, at + 1);
            w->bad = w->bad || c < 192 || to < 12 || to >= begin || at + 2 > end;
            if (!w->bad)
                labels(w, to, begin, text, n, octets);
            return at + 2;
        }
        *octets += c + 1;
        w->bad = w->bad || *octets > 254;
        for (unsigned i = 0; i < c && !w->bad; i++) {
            if (i == 0 && *n != 0)
                text[(*n)++] = '.';
            text[(*n)++] = (char)octet(w, at + 1 + i);
            w->bad = w->bad || octet(w, at + 1 + i) == '.';
        }
        at += c + 1;
    }
}

static unsigned name_at(struct whole *w, size_t *at, size_t end, char *text)
{
    unsigned n = 0, octets = 0;
    *at = labels(w, *at, end, text, &n, &octets);
    w->bad = w->bad || *at > end;
    return n;
}

static void read_entry(struct whole *w, struct entry *e)
{
    e->owner_n = name_at(w, &w->at, w->n, e->owner);
    e->type = number(w);
    e->class_ = number(w);
    e->ttl_s = number(w) << 16;
    e->ttl_s |= number(w);
    if (e->ttl_s >> 31 != 0)
        e->ttl_s = 0;
    e->n = number(w);
    w->bad = w->bad || e->n > w->n - w->at;
    e->data = w->p + w->at;
    w->at += e->n;
}

/* The target of a record whose data must be well-formed.  False: it is not. */
static bool read_target(struct whole *w, struct entry *e)
{
    size_t fixed = e->type == MAILSRV_DNS_MX ? 2 : 0, at = (size_t)(e->data - w->p) + fixed, end = at - fixed + e->n;
    if (e->type == MAILSRV_DNS_A)
        return e->n == 4;
    if (e->type == MAILSRV_DNS_AAAA)
        return e->n == 16;
    if (e->type == MAILSRV_DNS_TLSA)
        return e->n > 3;
    if (e->n <= fixed)
        return false;
    e->target_n = name_at(w, &at, end, e->target);
    return !w->bad && at == end;
}

static void read_whole(struct whole *w)
{
    unsigned bits, questions;
    w->at = 2;
    bits = number(w);
    questions = number(w);
    w->n_answers = number(w);
    w->at = 12;
    w->name_n = w->bad ? 0 : name_at(w, &w->at, w->n, w->name);
    w->type = number(w);
    w->class_ = number(w);
    w->bad = w->bad || (bits & 0xFA00) != 0x8000 || questions != 1 || w->class_ != 1;
    w->rcode = bits & 15;
    w->bad = w->bad || (w->rcode == 0 && w->n_answers > DNS_RECORDS_MAX);
    if (w->bad || w->rcode != 0)
        return;
    w->answers = must(calloc(w->n_answers + 1, sizeof *w->answers));
    for (unsigned i = 0; i < w->n_answers && !w->bad; i++)
        read_entry(w, &w->answers[i]);
}

static bool is_of(const struct entry *e, unsigned type, const char *name, unsigned n)
{
    return e->type == type && e->class_ == 1 &&
           mailsrv__span_equal_nocase((struct span){ e->owner, e->owner_n }, (struct span){ name, n });
}

/* What is said to the question that it answers: `out` has the places of the records. */
static enum dns_outcome say(struct whole *w, unsigned *out, unsigned *n, uint32_t *ttl_s)
{
    const char *name = w->name;
    unsigned name_n = w->name_n;
    *n = 0;
    *ttl_s = UINT32_MAX;
    if (w->bad || (w->rcode != 0 && w->rcode != 3))
        return DNS_FAILED;
    if (w->rcode == 3)
        return DNS_NXDOMAIN;
    for (unsigned links = 0; links < 9; links++) {
        struct entry *alias = NULL;
        for (unsigned i = 0; i < w->n_answers; i++) {
            struct entry *e = &w->answers[i];
            if (is_of(e, w->type, name, name_n)) {
                if (!read_target(w, e))
                    return DNS_FAILED;
                out[(*n)++] = i;
                *ttl_s = e->ttl_s < *ttl_s ? e->ttl_s : *ttl_s;
            }
            alias = alias == NULL && is_of(e, MAILSRV_DNS_CNAME, name, name_n) ? e : alias;
        }
        if (*n != 0)
            return DNS_RECORDS;
        if (alias == NULL)
            return DNS_NODATA;
        if (!alias->has_target && !read_target(w, alias))
            return DNS_FAILED;
        alias->has_target = true;
        *ttl_s = alias->ttl_s < *ttl_s ? alias->ttl_s : *ttl_s;
        name = alias->target;
        name_n = alias->target_n;
    }
    return DNS_FAILED;
}

/* ---- Both ---- */

static void check_record(const struct whole *w, const struct dns_record *record, const struct entry *e)
{
    CHECK(record->ttl_s == e->ttl_s, "another TTL");
    if (w->type == MAILSRV_DNS_TLSA) {
        CHECK(record->usage == e->data[0] && record->selector == e->data[1] && record->matching == e->data[2], "other numbers");
        CHECK(mailsrv__span_equal(record->association, (struct span){ (const char *)e->data + 3, e->n - 3 }), "other data");
        return;
    }
    if (w->type != MAILSRV_DNS_MX && w->type != MAILSRV_DNS_CNAME) {
        CHECK(memcmp(record->address, e->data, e->n) == 0, "another address");
        return;
    }
    CHECK(w->type == MAILSRV_DNS_CNAME || record->preference == (e->data[0] << 8 | e->data[1]), "another preference");
    CHECK(mailsrv__span_equal(mailsrv__dns_text(&record->exchange), (struct span){ e->target, e->target_n }),
          "another exchanger");
}

static bool same_record(const struct dns_record *a, const struct dns_record *b)
{
    return a->ttl_s == b->ttl_s && a->preference == b->preference && a->usage == b->usage && a->selector == b->selector &&
           a->matching == b->matching && mailsrv__span_equal(a->association, b->association) &&
           memcmp(a->address, b->address, sizeof a->address) == 0 &&
           mailsrv__span_equal(mailsrv__dns_text(&a->exchange), mailsrv__dns_text(&b->exchange));
}

static void write_data(struct writer *w, const struct dns_record *record, uint16_t type)
{
    if (type == MAILSRV_DNS_TLSA) {
        mailsrv__write_char(w, (char)record->usage);
        mailsrv__write_char(w, (char)record->selector);
        mailsrv__write_char(w, (char)record->matching);
        mailsrv__write(w, record->association);
        return;
    }
    if (type != MAILSRV_DNS_MX && type != MAILSRV_DNS_CNAME) {
        mailsrv__write(w, (struct span){ (const char *)record->address, type == MAILSRV_DNS_A ? 4 : 16 });
        return;
    }
    if (type == MAILSRV_DNS_MX) {
        mailsrv__write_char(w, (char)(record->preference >> 8));
        mailsrv__write_char(w, (char)record->preference);
    }
    CHECK(mailsrv__dns_name_write(w, mailsrv__dns_text(&record->exchange)), "a name that cannot be written");
}

/* A message of each record alone says the same. */
static void check_written(struct dns_reply r)
{
    struct dns_record record = { .ttl_s = 0 }, again = record;
    mailsrv_bytes owner = mailsrv__bytes(mailsrv__dns_text(&r.owner));
    while (mailsrv__dns_reply_next(&r, &record)) {
        static char p[65535], data[65535];
        struct dns_reply read;
        struct writer w = { .p = data, .room = sizeof data };
        size_t n;
        write_data(&w, &record, r.type);
        mailsrv_dns_record one = { .size = sizeof one, .type = r.type, .ttl_s = record.ttl_s, .name = owner,
                                   .data = mailsrv__bytes(mailsrv__written(&w)) };
        CHECK(mailsrv_dns_write(owner, r.type, 0, &one, 1, (uint8_t *)p, sizeof p, &n) == MAILSRV_OK, "not written");
        mailsrv__dns_reply_read(&read, (struct span){ p, n }, mailsrv__dns_text(&r.owner), r.type);
        CHECK(mailsrv__dns_reply_next(&read, &again), "what was written is not read");
        CHECK(same_record(&record, &again), "another record");
    }
}

static void check(struct span all)
{
    struct whole w = { .p = (const uint8_t *)all.p, .n = all.n };
    static unsigned places[DNS_RECORDS_MAX];
    unsigned n;
    uint32_t ttl_s;
    struct dns_reply r;
    struct dns_record record = { .ttl_s = 0 };
    read_whole(&w);
    enum dns_outcome outcome = say(&w, places, &n, &ttl_s);
    if (w.type != MAILSRV_DNS_A && w.type != MAILSRV_DNS_AAAA && w.type != MAILSRV_DNS_MX && w.type != MAILSRV_DNS_CNAME &&
        w.type != MAILSRV_DNS_TLSA) {
        free(w.answers);
        return;
    }
    struct span name = { w.name, w.name_n };
    CHECK(mailsrv__dns_reply_read(&r, all, name, (uint16_t)w.type) == outcome, "another outcome");
    CHECK((outcome == DNS_FAILED) == (r.why.n != 0), "a reason for no failure, or none for one");
    if (outcome == DNS_RECORDS) {
        CHECK(r.ttl_s == ttl_s, "another TTL of all");
        check_written(r);
        for (unsigned i = 0; i < n; i++) {
            CHECK(mailsrv__dns_reply_next(&r, &record), "a record is missing");
            check_record(&w, &record, &w.answers[places[i]]);
        }
    }
    CHECK(!mailsrv__dns_reply_next(&r, &record), "a record too many");
    free(w.answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *copy = exact((struct span){ (const char *)p, n });
    check((struct span){ copy, n });
    free(copy);
    return 0;
}
