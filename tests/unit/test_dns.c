/* Replies of DNS: what they say, and every way in which one is none. */
#include "dns/reply.h"

#include <mailsrv/queue.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MX = MAILSRV_DNS_MX, A = MAILSRV_DNS_A, AAAA = MAILSRV_DNS_AAAA, CNAME = MAILSRV_DNS_CNAME, TLSA = MAILSRV_DNS_TLSA };

/* A literal with NULs in it. */
#define OCTETS(literal) ((struct span){ (literal), sizeof(literal) - 1 })

/* In a block of exactly its size, so that the address sanitizer sees what is read behind it. */
static enum dns_outcome read_exact(struct span message, struct span name, uint16_t type, struct dns_reply *r)
{
    char *copy = malloc(message.n == 0 ? 1 : message.n);
    assert_non_null(copy);
    memcpy(copy, message.p, message.n);
    enum dns_outcome outcome = mailsrv__dns_reply_read(r, (struct span){ copy, message.n }, name, type);
    struct dns_record record;
    while (mailsrv__dns_reply_next(r, &record))
        continue;
    free(copy);
    return outcome;
}

/* ---- Names ---- */

static const struct {
    const char *label;
    struct span octets; /* behind a header of 12 octets of zeros; the name is read at `at` */
    size_t at, behind;  /* 0: there is none */
    const char *text;
} names[] = {
    { "the root", OCTETS("\0"), 12, 13, "" },
    { "two labels", OCTETS("\2mx\4test\0"), 12, 21, "mx.test" },
    { "a pointer", OCTETS("\4test\0\2mx\xC0\x0C"), 18, 23, "mx.test" },
    { "a pointer alone", OCTETS("\4test\0\xC0\x0C"), 18, 20, "test" },
    { "a pointer to a pointer", OCTETS("\4test\0\1b\xC0\x0C\1a\xC0\x12"), 22, 26, "a.b.test" },
    { "a pointer to the root", OCTETS("\0\1a\xC0\x0C"), 13, 17, "a" },
    { "any octet but a dot", OCTETS("\3\0 \xFF\0"), 12, 17, NULL },
    { "a dot in a label", OCTETS("\3a.b\0"), 12, 0, NULL },
    { "no end", OCTETS("\4test"), 12, 0, NULL },
    { "a label behind the end", OCTETS("\5test"), 12, 0, NULL },
    { "nothing", OCTETS(""), 12, 0, NULL },
    { "half a pointer", OCTETS("\0\xC0"), 13, 0, NULL },
    { "a pointer to itself", OCTETS("\xC0\x0C"), 12, 0, NULL },
    { "a pointer forwards", OCTETS("\xC0\x0E\0"), 12, 0, NULL },
    { "a pointer into its own name", OCTETS("\1a\xC0\x0C"), 12, 0, NULL },
    { "two pointers in a circle", OCTETS("\1a\xC0\x10\1b\xC0\x0C"), 16, 0, NULL },
    { "a pointer into the header", OCTETS("\1a\xC0\x02"), 12, 0, NULL },
    { "a pointer behind the end", OCTETS("\0\xFF\xFF"), 13, 0, NULL },
    { "a label type that was given up", OCTETS("\x41\1\0"), 12, 0, NULL },
    { "another one", OCTETS("\x80\1\0"), 12, 0, NULL },
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = DNS_HEADER_OCTETS + names[i].octets.n, at = names[i].at;
        char *message = calloc(1, n);
        struct dns_name name;
        assert_non_null(message);
        memcpy(message + DNS_HEADER_OCTETS, names[i].octets.p, names[i].octets.n);
        bool read = mailsrv__dns_name_read((struct span){ message, n }, &at, &name);
        free(message);
        if (read != (names[i].behind != 0) || (read && at != names[i].behind) ||
            (names[i].text != NULL && (name.n != strlen(names[i].text) || memcmp(name.text, names[i].text, name.n) != 0)))
            fail_msg("%s", names[i].label);
    }
}

/* `labels` labels of 63 octets and one of `last`. */
static size_t long_name(char *to, unsigned labels, size_t last)
{
    size_t n = DNS_HEADER_OCTETS;
    memset(to, 0, n);
    for (unsigned i = 0; i <= labels; i++) {
        size_t label = i < labels ? DNS_LABEL_OCTETS_MAX : last;
        to[n++] = (char)label;
        memset(to + n, 'a', label);
        n += label;
    }
    to[n++] = 0;
    return n;
}

static void test_the_longest_name(void **state)
{
    (void)state;
    char message[512];
    struct dns_name name;
    size_t at = DNS_HEADER_OCTETS, n = long_name(message, 3, 61);
    assert_int_equal(n - DNS_HEADER_OCTETS, DNS_NAME_OCTETS_MAX);
    assert_true(mailsrv__dns_name_read((struct span){ message, n }, &at, &name));
    assert_int_equal(name.n, DNS_TEXT_OCTETS_MAX);
    at = DNS_HEADER_OCTETS;
    n = long_name(message, 3, 62);
    assert_false(mailsrv__dns_name_read((struct span){ message, n }, &at, &name));
}

/* Each pointer leads to one label more: a short message with a name that would never end. */
static void test_a_name_of_many_pointers_is_bounded(void **state)
{
    (void)state;
    char message[DNS_HEADER_OCTETS + 1024] = { 0 };
    struct dns_name name;
    size_t n = DNS_HEADER_OCTETS + 1, before = DNS_HEADER_OCTETS, at;
    for (unsigned labels = 1; labels < 200; labels++) {
        at = n;
        message[n++] = 1;
        message[n++] = 'a';
        message[n++] = (char)(0xC0 | before >> 8);
        message[n++] = (char)before;
        before = at;
        assert_int_equal(mailsrv__dns_name_read((struct span){ message, n }, &at, &name), labels <= 127);
    }
}

static void test_text_as_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_name;
    } texts[] = { { "", true },   { "a", true },     { "a.b", true },  { ".", false }, { "a.", false },
                  { ".a", false }, { "a..b", false }, { "a b", true } };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char room[32];
        struct writer w = { .p = room, .room = sizeof room };
        struct span text = { texts[i].text, strlen(texts[i].text) };
        assert_int_equal(mailsrv__dns_name_write(&w, text), texts[i].is_name);
        assert_int_equal(w.n, !texts[i].is_name ? 0 : text.n == 0 ? 1 : text.n + 2);
    }
}

/* ---- Replies ---- */

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

#define RECORD(owner, type_, ttl, octets)                                                                              \
    {                                                                                                                  \
        .size = sizeof(mailsrv_dns_record), .type = (type_), .ttl_s = (ttl),                                           \
        .name = { (const uint8_t *)(owner), sizeof(owner) - 1 },                                                       \
        .data = { (const uint8_t *)(octets), sizeof(octets) - 1 }                                                      \
    }

static struct span write_reply(char *p, size_t room, const char *name, uint32_t type, uint32_t rcode,
                               const mailsrv_dns_record *records, size_t n)
{
    size_t written = 0;
    assert_int_equal(mailsrv_dns_write(bytes(name), type, rcode, records, n, (uint8_t *)p, room, &written), MAILSRV_OK);
    return (struct span){ p, written };
}

static const mailsrv_dns_record mixed[] = {
    RECORD("there.test", MX, 300, "\0\12\2mx\5there\4test\0"),
    RECORD("here.test", CNAME, 900, "\5there\4test\0"),
    RECORD("THERE.test", MX, 200, "\0\5\2MX\5other\4test\0"),
    RECORD("other.test", MX, 1, "\0\1\1x\0"),
    RECORD("there.test", A, 2, "\300\0\2\1"),
    RECORD("v6.test", AAAA, 60, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
};
enum { N_MIXED = sizeof mixed / sizeof mixed[0] };

static void test_records_behind_a_cname(void **state)
{
    (void)state;
    char room[512];
    struct dns_reply r;
    struct dns_record one;
    struct span message = write_reply(room, sizeof room, "here.test", MX, 0, mixed, N_MIXED);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("HERE.test"), MX), DNS_RECORDS);
    assert_int_equal(r.ttl_s, 200);
    assert_false(r.authentic);
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_int_equal(one.preference, 10);
    assert_true(mailsrv__span_equal(mailsrv__dns_text(&one.exchange), SPAN("mx.there.test")));
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_int_equal(one.preference, 5);
    assert_true(mailsrv__span_equal(mailsrv__dns_text(&one.exchange), SPAN("MX.other.test")));
    assert_false(mailsrv__dns_reply_next(&r, &one));
}

static void test_addresses(void **state)
{
    (void)state;
    char room[512];
    struct dns_reply r;
    struct dns_record one;
    struct span message = write_reply(room, sizeof room, "there.test", A, 0, mixed, N_MIXED);
    message.p = memcpy(room, message.p, message.n);
    room[3] |= 0x20;
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("there.test"), A), DNS_RECORDS);
    assert_true(r.authentic);
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_memory_equal(one.address, "\300\0\2\1", 4);
    assert_int_equal(one.ttl_s, 2);
    message = write_reply(room, sizeof room, "v6.test", AAAA, 0, mixed, N_MIXED);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("v6.test"), AAAA), DNS_RECORDS);
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_memory_equal(one.address, mixed[5].data.p, 16);
}

static void test_associations(void **state)
{
    (void)state;
    static const mailsrv_dns_record rows[] = { RECORD("_25._tcp.a.test", TLSA, 9, "\3\1\1octets"), RECORD("_25._tcp.a.test", TLSA, 8, "\2\0\0x"),
                                               RECORD("_26._tcp.a.test", TLSA, 9, "\3\1\1") };
    char room[512];
    struct dns_reply r;
    struct dns_record one;
    struct span message = write_reply(room, sizeof room, "_25._tcp.a.test", TLSA, 0, rows, 3);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("_25._tcp.a.test"), TLSA), DNS_RECORDS);
    assert_int_equal(r.ttl_s, 8);
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_true(one.usage == 3 && one.selector == 1 && one.matching == 1);
    assert_true(mailsrv__span_equal(one.association, SPAN("octets")));
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_true(one.usage == 2 && one.selector == 0 && one.matching == 0);
    assert_true(mailsrv__span_equal(one.association, SPAN("x")));
    assert_false(mailsrv__dns_reply_next(&r, &one));
    message = write_reply(room, sizeof room, "_26._tcp.a.test", TLSA, 0, rows, 3);
    assert_int_equal(read_exact(message, SPAN("_26._tcp.a.test"), TLSA, &r), DNS_FAILED);
}

/* A name's own CNAME is not followed when it is what is asked for. */
static void test_an_alias(void **state)
{
    (void)state;
    char room[512];
    struct dns_reply r;
    struct dns_record one;
    struct span message = write_reply(room, sizeof room, "here.test", CNAME, 0, mixed, N_MIXED);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("here.test"), CNAME), DNS_RECORDS);
    assert_true(mailsrv__dns_reply_next(&r, &one));
    assert_true(mailsrv__span_equal(mailsrv__dns_text(&one.exchange), SPAN("there.test")));
    assert_false(mailsrv__dns_reply_next(&r, &one));
    message = write_reply(room, sizeof room, "there.test", CNAME, 0, mixed, N_MIXED);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("there.test"), CNAME), DNS_NODATA);
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    static const struct {
        uint32_t rcode;
        enum dns_outcome outcome;
        const char *why;
    } rows[] = { { 0, DNS_NODATA, "" },          { 3, DNS_NXDOMAIN, "" },         { 1, DNS_FAILED, "FORMERR" },
                 { 2, DNS_FAILED, "SERVFAIL" },  { 4, DNS_FAILED, "NOTIMP" },     { 5, DNS_FAILED, "REFUSED" },
                 { 9, DNS_FAILED, "an unknown error" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[512];
        struct dns_reply r;
        struct span message = write_reply(room, sizeof room, "nobody.test", MX, rows[i].rcode, mixed, N_MIXED);
        assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("nobody.test"), MX), rows[i].outcome);
        assert_true(mailsrv__span_equal(r.why, (struct span){ rows[i].why, strlen(rows[i].why) }));
        struct dns_record one;
        assert_false(mailsrv__dns_reply_next(&r, &one));
    }
}

/* A TTL whose first bit is set is 0 (RFC 2181 section 8); other classes are others. */
static void test_ttl_and_class(void **state)
{
    (void)state;
    char room[512];
    struct dns_reply r;
    const mailsrv_dns_record record = RECORD("a.test", A, 0x80000001, "\177\0\0\1");
    struct span message = write_reply(room, sizeof room, "a.test", A, 0, &record, 1);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("a.test"), A), DNS_RECORDS);
    assert_int_equal(r.ttl_s, 0);
    room[message.n - 11] = 3; /* CHAOS */
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("a.test"), A), DNS_NODATA);
}

static void test_cname_loops_and_chains(void **state)
{
    (void)state;
    char room[1024], owner[16][8], target[16][16];
    mailsrv_dns_record chain[16];
    struct dns_reply r;
    const mailsrv_dns_record loop = RECORD("a.test", CNAME, 1, "\1a\4test\0");
    struct span message = write_reply(room, sizeof room, "a.test", MX, 0, &loop, 1);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("a.test"), MX), DNS_FAILED);
    for (char i = 0; i < 16; i++) {
        memcpy(owner[(int)i], "a.test", 7);
        memcpy(target[(int)i], "\1a\4test", 8);
        owner[(int)i][0] = (char)('a' + i);
        target[(int)i][1] = (char)('b' + i);
        chain[(int)i] = (mailsrv_dns_record){ .size = sizeof chain[0], .type = CNAME, .name = bytes(owner[(int)i]),
                                              .data = { (const uint8_t *)target[(int)i], 8 } };
    }
    message = write_reply(room, sizeof room, "a.test", MX, 0, chain, DNS_CHAIN_MAX);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("a.test"), MX), DNS_NODATA);
    message = write_reply(room, sizeof room, "a.test", MX, 0, chain, DNS_CHAIN_MAX + 1);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("a.test"), MX), DNS_FAILED);
}

/* One octet of a good reply is another one. */
static void test_wrong_replies(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        size_t at;
        char octet;
        const char *why;
    } rows[] = {
        { "a question", 2, 0x01, "a reply to another question" },
        { "another opcode", 2, (char)0xA1, "a reply to another question" },
        { "truncated", 2, (char)0x83, "truncated" },
        { "no question", 5, 0, "a reply to another question" },
        { "two of them", 5, 2, "a reply to another question" },
        { "another name", 13, 'b', "a reply to another question" },
        { "a name that is none", 12, 63, "a reply to another question" },
        { "another type", 21, 1, "a reply to another question" },
        { "another class", 23, 3, "a reply to another question" },
        { "more answers than there are", 7, 2, "malformed" },
        { "too many", 6, 16, "too many records" },
        { "data behind the end", 35, 100, "malformed" },
        { "data that ends within the name", 35, 6, "malformed" },
        { "data with something behind the name", 38, 0, "malformed" },
        { "no name in the data", 35, 2, "malformed" },
        { "a dot in it", 39, '.', "malformed" },
    };
    const mailsrv_dns_record record = RECORD("a.test", MX, 7, "\0\12\2mx\4test\0");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[128];
        struct dns_reply r;
        struct span message = write_reply(room, sizeof room, "a.test", MX, 0, &record, 1);
        assert_int_equal(read_exact(message, SPAN("a.test"), MX, &r), DNS_RECORDS);
        room[rows[i].at] = rows[i].octet;
        if (read_exact(message, SPAN("a.test"), MX, &r) != DNS_FAILED ||
            !mailsrv__span_equal(r.why, (struct span){ rows[i].why, strlen(rows[i].why) }))
            fail_msg("%s", rows[i].label);
    }
}

/* Whatever is cut off: it has failed, and nothing was read behind the end. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    char room[512];
    struct dns_reply r;
    struct span message = write_reply(room, sizeof room, "here.test", MX, 0, mixed, N_MIXED);
    for (size_t n = 0; n < message.n; n++)
        assert_int_equal(read_exact(mailsrv__span_first(message, n), SPAN("here.test"), MX, &r), DNS_FAILED);
    assert_int_equal(read_exact(message, SPAN("here.test"), MX, &r), DNS_RECORDS);
}

static void test_addresses_of_another_length(void **state)
{
    (void)state;
    static const mailsrv_dns_record rows[] = { RECORD("a.test", A, 1, "\1\2\3"), RECORD("a.test", A, 1, "\1\2\3\4\5"),
                                               RECORD("a.test", AAAA, 1, "\1\2\3\4"), RECORD("a.test", MX, 1, "\1\2"),
                                               RECORD("a.test", CNAME, 1, "") };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char room[128];
        struct dns_reply r;
        uint16_t type = (uint16_t)(rows[i].type == CNAME ? A : rows[i].type);
        struct span message = write_reply(room, sizeof room, "a.test", type, 0, &rows[i], 1);
        assert_int_equal(read_exact(message, SPAN("a.test"), type, &r), DNS_FAILED);
    }
}

/* ---- Writing ---- */

static void test_what_cannot_be_written(void **state)
{
    (void)state;
    uint8_t p[64];
    size_t n = 99;
    mailsrv_dns_record record = RECORD("a.test", A, 1, "\1\2\3\4");
    for (size_t room = 0; room < 40; room++)
        assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, &record, 1, p, room, &n), MAILSRV_TOOBIG);
    assert_int_equal(n, 99);
    assert_int_equal(mailsrv_dns_write(bytes("a.test."), A, 0, &record, 1, p, 40, &n), MAILSRV_OK);
    assert_int_equal(n, 40);
    assert_int_equal(mailsrv_dns_write(bytes("a..test"), A, 0, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), 0, 0, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), 65536, 0, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 16, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, NULL, 1, p, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, NULL, 0, NULL, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, NULL, 0, p, 64, NULL), MAILSRV_E_USAGE);
    record.type = 65536;
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    record = (mailsrv_dns_record)RECORD("b..test", A, 1, "\1\2\3\4");
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    record.size = 8;
    assert_int_equal(mailsrv_dns_write(bytes("a.test"), A, 0, &record, 1, p, 64, &n), MAILSRV_E_USAGE);
    assert_int_equal(n, 40);
}

/* A later header's records are larger. */
static void test_records_have_a_stride(void **state)
{
    (void)state;
    struct later {
        mailsrv_dns_record record;
        uint64_t more;
    } records[2] = { { .record = RECORD("a.test", A, 1, "\1\2\3\4") }, { .record = RECORD("a.test", A, 1, "\5\6\7\10") } };
    records[0].record.size = records[1].record.size = sizeof records[0];
    char room[128];
    struct dns_reply r;
    struct dns_record one;
    struct span message = write_reply(room, sizeof room, "a.test", A, 0, &records[0].record, 2);
    assert_int_equal(mailsrv__dns_reply_read(&r, message, SPAN("a.test"), A), DNS_RECORDS);
    assert_true(mailsrv__dns_reply_next(&r, &one) && mailsrv__dns_reply_next(&r, &one));
    assert_memory_equal(one.address, "\5\6\7\10", 4);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_the_longest_name),
        cmocka_unit_test(test_a_name_of_many_pointers_is_bounded),
        cmocka_unit_test(test_text_as_a_name),
        cmocka_unit_test(test_records_behind_a_cname),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_associations),
        cmocka_unit_test(test_an_alias),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_ttl_and_class),
        cmocka_unit_test(test_cname_loops_and_chains),
        cmocka_unit_test(test_wrong_replies),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_addresses_of_another_length),
        cmocka_unit_test(test_what_cannot_be_written),
        cmocka_unit_test(test_records_have_a_stride),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
