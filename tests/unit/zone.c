#include "zone.h"

#include "dns/name.h"
#include "text/ip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 80, TTL = 3000, SERVFAIL = 2, NXDOMAIN = 3, AD = 0x20 };

struct line {
    char name[256], type[16], a[256], b[256];
    uint32_t ttl;
};

/* A message in the making. */
struct making {
    mailsrv_dns_record records[RECORDS_MAX];
    char data[RECORDS_MAX][DNS_NAME_OCTETS_MAX + 2], names[RECORDS_MAX][256];
    size_t n;
    char owner[256];
    uint32_t type;
    bool there, failed, silent, unsigned_;
};

static bool read_line(const char **at, struct line *line)
{
    const char *end = strchr(*at, '\n');
    char text[1024], third[256] = "", fourth[256] = "";
    if (end == NULL)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)(end - *at), *at);
    *at = end + 1;
    line->b[0] = '\0';
    int n = sscanf(text, "%255s %15s %255s %255s %255s", line->name, line->type, line->a, third, fourth);
    bool mx = strcmp(line->type, "MX") == 0;
    const char *ttl = mx ? fourth : third;
    snprintf(line->b, sizeof line->b, "%s", mx ? third : "");
    line->ttl = ttl[0] == '\0' ? TTL : (uint32_t)strtoul(ttl, NULL, 10);
    if (n < 3)
        abort();
    return true;
}

static uint32_t type_of(const char *name)
{
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = { { "A", MAILSRV_DNS_A }, { "AAAA", MAILSRV_DNS_AAAA }, { "MX", MAILSRV_DNS_MX },
                  { "CNAME", MAILSRV_DNS_CNAME }, { "TLSA", MAILSRV_DNS_TLSA } };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return 0;
}

/* Of a line for a question of that type. */
static uint32_t type_for(const struct line *line, uint32_t asked)
{
    static const char of_one[] = "CNAME_";
    if (strncmp(line->type, of_one, sizeof of_one - 1) != 0)
        return type_of(line->type);
    return type_of(line->type + sizeof of_one - 1) == asked ? MAILSRV_DNS_CNAME : 0;
}

static struct span text(const char *s)
{
    return (struct span){ s, strlen(s) };
}

/* "311" and hexadecimal digits. */
static void write_tlsa(struct writer *w, const char *p)
{
    unsigned octet;
    for (int i = 0; i < 3; i++)
        mailsrv__write_char(w, (char)(*p++ - '0'));
    for (; sscanf(p, "%2x", &octet) == 1; p += 2)
        mailsrv__write_char(w, (char)octet);
}

static void write_data(struct writer *w, const struct line *line, uint32_t type)
{
    uint8_t address[IPV6_OCTETS];
    if (type == MAILSRV_DNS_TLSA) {
        write_tlsa(w, line->a);
        return;
    }
    const char *name = type == MAILSRV_DNS_MX ? line->b : line->a;
    if (type == MAILSRV_DNS_A || type == MAILSRV_DNS_AAAA) {
        size_t n = mailsrv__ip_read(text(line->a), address);
        mailsrv__write(w, (struct span){ (const char *)address, n });
        return;
    }
    if (type == MAILSRV_DNS_MX) {
        unsigned long preference = strtoul(line->a, NULL, 10);
        mailsrv__write_char(w, (char)(preference >> 8));
        mailsrv__write_char(w, (char)preference);
    }
    if (!mailsrv__dns_name_write(w, text(strcmp(name, ".") == 0 ? "" : name)))
        abort();
}

static void add(struct making *m, const struct line *line, uint32_t type)
{
    if (m->n == RECORDS_MAX)
        abort();
    struct writer w = { .p = m->data[m->n], .room = sizeof m->data[0] };
    write_data(&w, line, type);
    memcpy(m->names[m->n], line->name, sizeof line->name);
    m->records[m->n] = (mailsrv_dns_record){ .size = sizeof m->records[0],
                                             .type = type,
                                             .ttl_s = line->ttl,
                                             .name = mailsrv__bytes(text(m->names[m->n])),
                                             .data = mailsrv__bytes(mailsrv__written(&w)) };
    m->n++;
}

/* Adds what there is of one name; true: a CNAME, which stands last, and its target is next. */
static bool look(struct making *m, const char *zone)
{
    struct line line;
    bool is_signed = false, goes_on = false;
    m->there = false;
    while (read_line(&zone, &line)) {
        uint32_t type = type_for(&line, m->type);
        bool mine = m->type == type_of(line.a);
        if (!mailsrv__span_equal_nocase(text(line.name), text(m->owner)))
            continue;
        m->there = true;
        m->failed = m->failed || (strcmp(line.type, "FAIL") == 0 && mine);
        m->silent = m->silent || (strcmp(line.type, "SILENT") == 0 && mine);
        is_signed = is_signed || strcmp(line.type, "SIGNED") == 0;
        m->unsigned_ = m->unsigned_ || (strcmp(line.type, "UNSIGNED") == 0 && mine);
        if (type != m->type && type != MAILSRV_DNS_CNAME)
            continue;
        add(m, &line, type);
        if (type == MAILSRV_DNS_CNAME && type != m->type) {
            memcpy(m->owner, line.a, sizeof m->owner);
            goes_on = true;
            break;
        }
    }
    m->unsigned_ = m->unsigned_ || !is_signed;
    return goes_on;
}

int32_t zone_answer(struct zone *z, const mailsrv_arg_dns *ask)
{
    struct making *m = calloc(1, sizeof *m);
    size_t written = 0;
    if (m == NULL)
        abort();
    z->asked++;
    m->type = ask->type;
    snprintf(m->owner, sizeof m->owner, "%.*s", (int)ask->name.n, (const char *)ask->name.p);
    for (unsigned links = 0; links < 8 && look(m, z->text); links++)
        continue;
    int32_t status = mailsrv_dns_write(ask->name, ask->type, m->failed ? SERVFAIL : m->there ? 0 : NXDOMAIN, m->records,
                                       m->failed ? 0 : m->n, (uint8_t *)z->message, sizeof z->message, &written);
    const bool silent = m->silent, is_signed = !m->unsigned_ && !m->failed;
    free(m);
    if (status != MAILSRV_OK)
        abort();
    if (is_signed)
        z->message[3] |= AD;
    z->reply = (mailsrv_dns_reply){ .size = sizeof z->reply,
                                    .trusted = strstr(z->text, " SIGNED ") != NULL,
                                    .message = { (uint8_t *)z->message, written } };
    return silent ? MAILSRV_TEMP : MAILSRV_OK;
}
