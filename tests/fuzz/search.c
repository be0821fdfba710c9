/* What SEARCH looks for: texts are text, and what is known of a message early is so in the end, too. */
#include "fuzz.h"

#include "core/profile.h"
#include "imap/search_key.h"
#include "mailbox/image.h"
#include "text/utf8.h"

enum { MESSAGES = 3 };

struct search_fuzz {
    struct heap heap;
    struct arena arena;
    struct image image;
    struct imap machine;
};

/* A mailbox with UIDs 2, 4 and 6, and two keywords. */
static void begin(struct search_fuzz *f, mailsrv_profile *profile)
{
    static mailsrv_bytes names[2] = { { (const uint8_t *)"$Junk", 5 }, { (const uint8_t *)"Later", 5 } };
    memset(f, 0, sizeof *f);
    mailsrv__heap_init(&f->heap, mailsrv__malloc(), UINT64_MAX);
    f->arena.heap = &f->heap;
    mailsrv__runs_init(&f->image.uids, &f->heap, CLASS_IMAGES);
    mailsrv__runs_init(&f->machine.view.gone, &f->heap, CLASS_IMAGES);
    f->machine.session.profile = profile;
    f->machine.view.image = &f->image;
    f->machine.view.max_uid = 2 * MESSAGES;
    for (uint32_t uid = 2; uid <= 2 * MESSAGES; uid += 2)
        CHECK(mailsrv__runs_add(&f->image.uids, &(mailsrv_run){ uid, uid }, 1), "no memory");
    f->image.names = names;
    f->image.n_names = 2;
}

static void end(struct search_fuzz *f)
{
    mailsrv__runs_clear(&f->image.uids);
    mailsrv__arena_clear(&f->arena);
    CHECK(f->heap.used == 0, "memory is left");
}

static void check_text(struct span text)
{
    while (text.n != 0) {
        size_t n = text.n;
        uint32_t c = mailsrv__utf8_take(&text);
        CHECK(c != 0 && (c != UTF8_BAD || n - text.n == 3), "a text that is none");
    }
}

/* The conditions, as one array, and a seek that has them; NULL: they are too many. */
static struct seek *seek_for(struct search_fuzz *f, const struct search_program *program)
{
    struct sought *v = must(mailsrv__arena_take(&f->arena, program->n_conditions * sizeof *v));
    struct seek *seek = NULL;
    uint32_t n = 0;
    for (const struct condition *c = program->conditions; c != NULL; c = c->next) {
        if (!program->bad_charset)
            check_text(c->sought.text);
        v[n++] = c->sought;
    }
    CHECK(n == program->n_conditions, "conditions are missing");
    return mailsrv__seek_new(&f->arena, v, n, &seek) == MAILSRV_OK ? seek : NULL;
}

/* Once it is known whether a message matches, nothing changes it. */
static void see(enum match *known, const struct search_program *program, const struct candidate *c)
{
    enum match match = mailsrv__search_matches(program, c);
    CHECK(*known == MATCH_UNKNOWN || match == *known, "what was known has changed");
    *known = match;
}

/* A message that has the text of the search in it, told piece by piece. */
static void look(struct seek *seek, const struct search_program *program, struct span text, uint32_t number,
                 uint32_t *chance)
{
    static const char header[] = "Date: 9 Mar 2026 10:00:00 +0000\r\nFrom: kim@remote.test\r\nSubject: ";
    struct candidate c = { .member = { .uid = 2 * number, .number = number }, .recent = draw(chance, 2) != 0 };
    enum match known = MATCH_UNKNOWN;
    see(&known, program, &c);
    c.marks = (struct marks){ .flags = (uint8_t)draw(chance, 32), .keywords = { draw(chance, 4) }, .modseq = draw(chance, 9) };
    c.has_marks = true;
    see(&known, program, &c);
    c.octets = draw(chance, 1000);
    c.internal_us = (int64_t)draw(chance, 40000) * 86400 * 1000000;
    c.has_row = true;
    see(&known, program, &c);
    c.seek = seek;
    mailsrv__seek_begin(seek);
    const struct span parts[] = { SPAN(header), mailsrv__span_first(text, draw(chance, 80)), SPAN("\r\n\r\n"), text };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        mailsrv__seek_take(seek, parts[i]);
        see(&known, program, &c);
    }
    mailsrv__seek_end(seek);
    see(&known, program, &c);
    CHECK(known != MATCH_UNKNOWN, "nothing is known in the end");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static mailsrv_profile *profile;
    struct search_fuzz f;
    if (n < KNOB_OCTETS)
        return 0;
    if (profile == NULL)
        CHECK(mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &profile) == MAILSRV_OK, "no profile");
    uint32_t chance = knobs(p);
    char *text = exact((struct span){ (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS });
    begin(&f, profile);
    struct reader r = { .rest = { text, n - KNOB_OCTETS }, .arena = &f.arena };
    struct search_program program = { .n = 0 };
    bool taken = mailsrv__parse_search_program(&f.machine, &r, &program);
    CHECK(taken || r.expected != NULL || r.too_many, "it failed, and nothing was expected");
    struct seek *seek = taken ? seek_for(&f, &program) : NULL;
    for (uint32_t number = 1; seek != NULL && number <= MESSAGES; number++)
        look(seek, &program, (struct span){ text, n - KNOB_OCTETS }, number, &chance);
    mailsrv__seek_fini(seek);
    end(&f);
    free(text);
    return 0;
}
