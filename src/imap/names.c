#include "imap/names.h"

#include "text/mutf7.h"

enum { INBOX_N = sizeof "INBOX" - 1 };

static bool is_inbox(struct span name)
{
    return mailsrv__span_equal_nocase(mailsrv__span_first(name, INBOX_N), SPAN("INBOX")) &&
           (name.n == INBOX_N || name.p[INBOX_N] == '/');
}

/* Controls have no place in a name; no level of it is empty. */
static bool is_name(struct span name)
{
    char before = '/';
    for (size_t i = 0; i < name.n; i++) {
        if ((uint8_t)name.p[i] < 0x20 || name.p[i] == 0x7F || (name.p[i] == '/' && before == '/'))
            return false;
        before = name.p[i];
    }
    return before != '/';
}

bool mailsrv__name_read(struct span sent, struct writer *name)
{
    if (!mailsrv__mutf7_read(sent, name) || name->full || !is_name(mailsrv__written(name)))
        return false;
    if (is_inbox(mailsrv__written(name)))
        memcpy(name->p, "INBOX", INBOX_N);
    return true;
}

bool mailsrv__pattern_read(struct span reference, struct span sent, struct writer *pattern)
{
    return mailsrv__mutf7_read(reference, pattern) && mailsrv__mutf7_read(sent, pattern) && !pattern->full;
}

/* ---- Matching: the places of the pattern that the name, so far, may have led to ---- */

struct places {
    uint64_t bits[PATTERN_OCTETS / 64 + 1];
};

static bool has(const struct places *p, size_t i)
{
    return (p->bits[i / 64] >> (i % 64) & 1) != 0;
}

/* A wildcard may also stand for nothing. */
static void put(struct places *p, struct span pattern, size_t i)
{
    for (;; i++) {
        p->bits[i / 64] |= UINT64_C(1) << (i % 64);
        if (i == pattern.n || (pattern.p[i] != '*' && pattern.p[i] != '%'))
            return;
    }
}

static void follow(const struct places *from, struct span pattern, char c, bool nocase, struct places *to)
{
    for (size_t i = 0; i < pattern.n; i++) {
        char want = pattern.p[i];
        if (!has(from, i))
            continue;
        if (want == '*' || (want == '%' && c != '/'))
            put(to, pattern, i);
        else if (want != '%' && (want == c || (nocase && mailsrv__upper(want) == mailsrv__upper(c))))
            put(to, pattern, i + 1);
    }
}

bool mailsrv__name_matches(struct span pattern, struct span name)
{
    struct places now = { { 0 } };
    size_t nocase = is_inbox(name) ? INBOX_N : 0;
    put(&now, pattern, 0);
    for (size_t i = 0; i < name.n; i++) {
        struct places next = { { 0 } };
        follow(&now, pattern, name.p[i], i < nocase, &next);
        now = next;
    }
    return has(&now, pattern.n);
}
