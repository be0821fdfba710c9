#include "imap_reply.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Whether what came so far begins as `word` does, as far as either goes. */
static bool may_begin(const struct imap_reader *r, const char *word, size_t n)
{
    return memcmp(r->head, word, least(r->head_n, n)) == 0;
}
#define MAY_BEGIN(r, word) may_begin(r, word, sizeof(word) - 1)

static void count_spaces(struct imap_reader *r, const char *p, size_t n)
{
    if (!MAY_BEGIN(r, "* SEARCH"))
        return;
    for (size_t i = 0; i < n; i++)
        r->spaces += p[i] == ' ';
}

static void keep_head(struct imap_reader *r, const char *p, size_t n)
{
    const size_t kept = least(n, sizeof r->head - r->head_n);
    memcpy(r->head + r->head_n, p, kept);
    r->head_n += (uint32_t)kept;
}

static void keep_tail(struct imap_reader *r, const char *p, size_t n)
{
    if (n >= sizeof r->tail) {
        memcpy(r->tail, p + n - sizeof r->tail, sizeof r->tail);
        r->tail_n = sizeof r->tail;
        return;
    }
    const size_t old = least(r->tail_n, sizeof r->tail - n);
    memmove(r->tail, r->tail + r->tail_n - old, old);
    memcpy(r->tail + old, p, n);
    r->tail_n = (uint8_t)(old + n);
}

/* Text of a person ends a status response (RFC 9051 section 7.1); whatever it looks like, no literal follows. */
static bool is_status(const char *p, size_t n)
{
    static const char *const words[] = { "* OK ", "* NO ", "* BAD ", "* BYE ", "* PREAUTH " };
    if (n == 0 || p[0] != '*')
        return true; /* tagged, or "+" */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (n >= strlen(words[i]) && memcmp(p, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* literal = "{" number64 "}" CRLF   (RFC 9051 section 9) at the end of a line; false: there is none. */
static bool literal_at_end(const char *p, size_t n, uint64_t *octets)
{
    uint64_t unit = 1;
    *octets = 0;
    if (n < 5 || memcmp(p + n - 3, "}\r\n", 3) != 0)
        return false;
    for (size_t i = n - 3; i-- != 0; unit *= 10) {
        if (p[i] == '{')
            return unit != 1;
        if (p[i] < '0' || p[i] > '9' || unit > 1000000000000000u)
            return false;
        *octets += unit * (uint64_t)(p[i] - '0');
    }
    return false;
}

static void end_reply(struct imap_reader *r, const char *text, size_t n, struct imap_reply *reply)
{
    *reply = (struct imap_reply){ .whole = true,
                                  .text = text,
                                  .n = least(n, IMAP_HEAD_MAX),
                                  .octets = r->octets,
                                  .literal_octets = r->literal_octets,
                                  .literals = r->literals,
                                  .spaces = n >= 8 && memcmp(text, "* SEARCH", 8) == 0 ? r->spaces : 0 };
    while (reply->n != 0 && (text[reply->n - 1] == '\n' || text[reply->n - 1] == '\r'))
        reply->n--;
    r->begun = false;
    r->head_n = r->tail_n = 0;
    r->octets = r->literal_octets = r->spaces = r->literals = 0;
}

/* A whole line that is the first of its response: nothing is copied unless a literal follows. */
static bool end_at_once(struct imap_reader *r, const char *p, size_t n, struct imap_reply *reply)
{
    uint64_t literal;
    if (r->begun || (literal_at_end(p, n, &literal) && !is_status(p, n)))
        return false;
    r->octets = n;
    if (n >= 8 && memcmp(p, "* SEARCH", 8) == 0)
        count_spaces(r, p, n);
    end_reply(r, p, n, reply);
    return true;
}

static void go_on(struct imap_reader *r, const char *p, size_t n)
{
    r->begun = true;
    r->octets += n;
    keep_head(r, p, n);
    keep_tail(r, p, n);
    count_spaces(r, p, n);
}

static size_t skip(struct imap_reader *r, size_t n)
{
    const size_t skipped = r->literal < n ? (size_t)r->literal : n;
    r->literal -= skipped;
    r->octets += skipped;
    return skipped;
}

size_t imap_take(struct imap_reader *r, const char *p, size_t n, struct imap_reply *reply)
{
    reply->whole = false;
    if (r->literal != 0)
        return skip(r, n);
    const char *end = memchr(p, '\n', n);
    const size_t taken = end == NULL ? n : (size_t)(end - p) + 1;
    if (end != NULL && end_at_once(r, p, taken, reply))
        return taken;
    go_on(r, p, taken);
    if (end == NULL)
        return taken;
    if (literal_at_end(r->tail, r->tail_n, &r->literal) && !is_status(r->head, r->head_n)) {
        r->literals++;
        r->literal_octets += r->literal;
        r->tail_n = 0;
        return taken;
    }
    r->literal = 0;
    end_reply(r, r->head, r->head_n, reply);
    return taken;
}
