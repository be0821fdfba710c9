/* Messages in which text is looked for: any cutting gives the same answers, no answer is open at the end, what a field
 * or the body has the text has, what a structure answers is what the message does, and memory is given back.  The texts
 * are pieces of the message. */
#include "fuzz.h"

#include "message/scanner.h"
#include "message/seek.h"

enum { CONDITIONS = 12, KEY_MOST = 8 };

struct run {
    struct heap heap;
    struct arena arena;
    struct seek *seek;
    bool more;
};

static void take(void *ctx, struct span piece)
{
    struct run *r = ctx;
    if (r->more)
        r->more = mailsrv__seek_take(r->seek, piece);
}

static void seek(struct run *r, const struct sought *v, struct span all, uint32_t *chance)
{
    memset(r, 0, sizeof *r);
    mailsrv__heap_init(&r->heap, mailsrv__malloc(), UINT64_MAX);
    r->arena.heap = &r->heap;
    CHECK(mailsrv__seek_new(&r->arena, v, CONDITIONS, &r->seek) == MAILSRV_OK, "no search");
    mailsrv__seek_begin(r->seek);
    r->more = true;
    in_pieces(all, chance, take, r);
    mailsrv__seek_end(r->seek);
}

static void end(struct run *r)
{
    mailsrv__seek_fini(r->seek);
    mailsrv__arena_clear(&r->arena);
    CHECK(r->heap.used == 0, "memory is left");
}

static struct span some(struct span all, uint32_t *chance)
{
    if (all.n == 0)
        return all;
    struct span from = mailsrv__span_after(all, draw(chance, (uint32_t)all.n));
    return mailsrv__span_first(from, 1 + draw(chance, KEY_MOST));
}

/* Each text is looked for in a field, in the body and in both. */
static void make(struct sought *v, struct span all, uint32_t *chance)
{
    static const struct span names[] = { { "Subject", 7 }, { "From", 4 }, { "to", 2 }, { "Content-Type", 12 } };
    for (int i = 0; i < CONDITIONS; i += 3) {
        struct span text = some(all, chance);
        v[i] = (struct sought){ SEEK_FIELD, names[i / 3], text, 0 };
        v[i + 1] = (struct sought){ SEEK_BODY, { NULL, 0 }, text, 0 };
        v[i + 2] = (struct sought){ SEEK_TEXT, { NULL, 0 }, text, 0 };
    }
    v[CONDITIONS - 3].kind = SEEK_SENT_SINCE;
}

static void check_answers(const struct sought *v, const struct run *a, const struct run *b)
{
    for (uint32_t i = 0; i < CONDITIONS; i++) {
        enum seek_match match = mailsrv__seek_match(a->seek, i);
        CHECK(match != SEEK_OPEN, "no answer");
        CHECK(match == mailsrv__seek_match(b->seek, i), "cut input gives another answer");
        if (match == SEEK_YES && v[i].kind <= SEEK_BODY)
            CHECK(mailsrv__seek_match(a->seek, i / 3 * 3 + 2) == SEEK_YES, "the text does not have what is in it");
    }
}

/* What is kept of the structure tells the same, or nothing. */
static void check_kept(struct seek *s, struct span blob, struct seek_told told)
{
    struct seek_told kept = { 0, 0 };
    for (uint32_t field = 0; field < 32; field++) {
        struct span text = { NULL, 0 };
        if ((mailsrv__seek_fields(s) >> field & 1) == 0)
            continue;
        enum seek_kept how = mailsrv__seek_keep(s, blob, field, &text);
        mailsrv__seek_kept(s, field, how, text, &kept);
    }
    CHECK((kept.known & ~told.known) == 0 && kept.matches == (told.matches & kept.known),
          "what is kept of the structure gives another answer");
}

static void check_structure(const struct sought *v, const struct run *r, struct span all)
{
    struct run other;
    struct scanner scanner;
    memset(&other, 0, sizeof other);
    mailsrv__heap_init(&other.heap, mailsrv__malloc(), UINT64_MAX);
    other.arena.heap = &other.heap;
    CHECK(mailsrv__seek_new(&other.arena, v, CONDITIONS, &other.seek) == MAILSRV_OK, "no search");
    mailsrv__scanner_init(&scanner, &other.heap, CLASS_BODIES);
    mailsrv__scanner_take(&scanner, all);
    struct span blob = mailsrv__scanner_end(&scanner);
    struct seek_told told = mailsrv__seek_structure(other.seek, blob);
    check_kept(other.seek, blob, told);
    mailsrv__scanner_fini(&scanner);
    for (uint32_t i = 0; i < CONDITIONS; i++) {
        bool matches = mailsrv__seek_match(r->seek, i) == SEEK_YES;
        if ((told.known >> i & 1) != 0)
            CHECK((told.matches >> i & 1) == matches, "the structure gives another answer");
    }
    end(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct run whole, cut;
    struct sought v[CONDITIONS];
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    make(v, all, &chance);
    seek(&whole, v, all, NULL);
    seek(&cut, v, all, &chance);
    check_answers(v, &whole, &cut);
    check_structure(v, &whole, all);
    end(&whole);
    end(&cut);
    return 0;
}
