/* The grammar of IMAP: what is taken lies in the text, and means what plainer rules say that it means. */
#include "fuzz.h"

#include "imap/names.h"
#include "imap/fetch_att.h"
#include "text/mutf7.h"
#include "text/utf8.h"

enum { STAR = 20, NUMBERS = 64 };

struct text {
    struct heap heap;
    struct arena arena;
    struct span all;
};

static struct reader reader_of(struct text *t)
{
    return (struct reader){ .rest = t->all, .arena = &t->arena };
}

static void check_rest(const struct text *t, const struct reader *r, bool taken)
{
    CHECK(r->rest.n == 0 || (r->rest.n <= t->all.n && r->rest.p + r->rest.n == t->all.p + t->all.n),
          "the rest is no end of the text");
    CHECK(taken || r->expected != NULL || r->no_memory || r->too_many, "it failed, and nothing was expected");
}

/* ---- Strings ---- */

static void see_strings(struct text *t)
{
    static bool (*const parsers[])(struct reader * r, struct span * out) = {
        mailsrv__parse_tag,    mailsrv__parse_atom,         mailsrv__parse_astring,
        mailsrv__parse_string, mailsrv__parse_list_mailbox, mailsrv__parse_mailbox,
    };
    for (size_t i = 0; i < sizeof parsers / sizeof *parsers; i++) {
        struct reader r = reader_of(t);
        struct span out = { NULL, 0 };
        bool taken = parsers[i](&r, &out);
        check_rest(t, &r, taken);
        CHECK(!taken || (r.rest.n < t->all.n && out.n <= t->all.n * 2), "nothing was taken, or more than there is");
        char *copy = taken ? exact(out) : NULL; /* all of it can be read */
        free(copy);
    }
}

/* ---- Names ---- */

static bool is_utf8(struct span s)
{
    while (s.n != 0)
        if (mailsrv__utf8_take(&s) == UTF8_BAD)
            return false;
    return true;
}

/* What is read is written the same, and what is written is read the same. */
static void see_mutf7(struct text *t)
{
    char utf8[4096], wire[3 * 4096];
    struct writer w = { .p = utf8, .room = sizeof utf8 }, back = { .p = wire, .room = sizeof wire };
    if (t->all.n > sizeof utf8 / 2)
        return;
    if (mailsrv__mutf7_read(t->all, &w)) {
        mailsrv__mutf7_write(&back, mailsrv__written(&w));
        CHECK(mailsrv__span_equal(mailsrv__written(&back), t->all), "read and written it is another");
    }
    w.n = back.n = 0;
    mailsrv__mutf7_write(&back, t->all);
    CHECK(mailsrv__mutf7_read(mailsrv__written(&back), &w), "what was written cannot be read");
    CHECK(!is_utf8(t->all) || mailsrv__span_equal(mailsrv__written(&w), t->all), "written and read it is another");
}

static bool matches_plainly(struct span pattern, struct span name)
{
    if (pattern.n == 0)
        return name.n == 0;
    struct span rest = { pattern.p + 1, pattern.n - 1 }, after = { name.p + 1, name.n - 1 };
    char c = pattern.p[0];
    if (c != '*' && c != '%')
        return name.n != 0 && c == name.p[0] && matches_plainly(rest, after);
    return matches_plainly(rest, name) ||
           (name.n != 0 && (c == '*' || name.p[0] != '/') && matches_plainly(pattern, after));
}

/* Half of the text is a pattern, and half a name. */
static void see_matcher(struct text *t)
{
    size_t n = t->all.n < 24 ? t->all.n : 24;
    struct span pattern = { t->all.p, n / 2 }, name = { t->all.p + n / 2, n - n / 2 };
    bool is_inbox = mailsrv__span_equal_nocase(mailsrv__span_first(name, 5), SPAN("INBOX"));
    CHECK(is_inbox || mailsrv__name_matches(pattern, name) == matches_plainly(pattern, name), "it matches otherwise");
}

/* ---- Numbers ---- */

/* "*" or a number; 0: neither. */
static uint64_t number_at(struct span *s, size_t *n)
{
    uint64_t value = 0;
    *n = 0;
    if (s->n != 0 && s->p[0] == '*') {
        *n = 1;
        value = STAR;
    }
    for (; *n < s->n && s->p[*n] >= '0' && s->p[*n] <= '9'; (*n)++)
        value = value > UINT32_MAX ? value : value * 10 + (uint64_t)(s->p[*n] - '0');
    *s = (struct span){ s->p + *n, s->n - *n };
    return value;
}

/* Does the set, which was taken for one, name this number? */
static bool names_number(struct span set, uint64_t number)
{
    for (;;) {
        size_t n;
        uint64_t first = number_at(&set, &n), last = first;
        if (set.n != 0 && set.p[0] == ':') {
            set = (struct span){ set.p + 1, set.n - 1 };
            last = number_at(&set, &n);
        }
        if ((number >= first && number <= last) || (number >= last && number <= first))
            return true;
        if (set.n == 0 || set.p[0] != ',')
            return false;
        set = (struct span){ set.p + 1, set.n - 1 };
    }
}

static bool set_has(const struct set *set, uint32_t number)
{
    for (uint32_t i = 0; i < set->n; i++)
        if (number >= set->runs[i].first && number <= set->runs[i].last)
            return true;
    return false;
}

static void see_set(struct text *t)
{
    struct reader r = reader_of(t);
    struct set set = { NULL, 0 };
    bool taken = mailsrv__parse_sequence_set(&r, STAR, &set);
    check_rest(t, &r, taken);
    if (!taken)
        return;
    for (uint32_t i = 0; i < set.n; i++) {
        CHECK(set.runs[i].first != 0 && set.runs[i].first <= set.runs[i].last, "a run that is none");
        CHECK(i == 0 || set.runs[i].first > (uint64_t)set.runs[i - 1].last + 1, "runs that touch");
    }
    struct span text = mailsrv__span_first(t->all, t->all.n - r.rest.n);
    for (uint32_t number = 1; number < NUMBERS; number++)
        CHECK(set_has(&set, number) == names_number(text, number), "it names other numbers");
}

/* ---- The rest ---- */

static void see_others(struct text *t)
{
    struct reader r[7] = { reader_of(t), reader_of(t), reader_of(t), reader_of(t),
                           reader_of(t), reader_of(t), reader_of(t) };
    int64_t us;
    int32_t days;
    struct flags flags;
    struct fetch_atts atts = { .n = 0 };
    uint64_t octets;
    uint32_t number;
    check_rest(t, &r[0], mailsrv__parse_date_time(&r[0], &us));
    check_rest(t, &r[1], mailsrv__parse_date(&r[1], &days));
    check_rest(t, &r[2], mailsrv__parse_flag_list(&r[2], &flags));
    check_rest(t, &r[3], mailsrv__parse_flags(&r[3], &flags));
    check_rest(t, &r[4], mailsrv__parse_fetch_atts(&r[4], &atts));
    check_rest(t, &r[5], mailsrv__parse_body(&r[5], &octets));
    check_rest(t, &r[6], mailsrv__parse_nz_number(&r[6], &number));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct text t = { .all = { exact((struct span){ (const char *)p, n }), n } };
    mailsrv__heap_init(&t.heap, mailsrv__malloc(), 1 << 24);
    t.arena.heap = &t.heap;
    see_strings(&t);
    see_mutf7(&t);
    see_matcher(&t);
    see_set(&t);
    see_others(&t);
    mailsrv__arena_clear(&t.arena);
    CHECK(t.heap.used == 0, "memory is left");
    free((void *)(uintptr_t)t.all.p);
    return 0;
}
