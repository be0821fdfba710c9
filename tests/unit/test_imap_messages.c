/* The grammar of the commands about messages, and the walk over what they name. */
#include "imap/fetch_att.h"
#include "imap/search_key.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct heap heap;
static struct arena arena;

static uint64_t state_of_random;

static uint32_t random_below(uint32_t most)
{
    return (uint32_t)draw(&state_of_random, most);
}

static int setup(void **state)
{
    (void)state;
    mailsrv__heap_init(&heap, mailsrv__malloc(), UINT64_MAX);
    state_of_random = random_seed();
    arena = (struct arena){ .heap = &heap };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mailsrv__arena_clear(&arena);
    assert_int_equal(heap.used, 0);
    return 0;
}

static struct reader read(const char *text)
{
    return (struct reader){ .rest = { text, strlen(text) }, .arena = &arena };
}

/* ---- Sequence sets ---- */

static const char *shown(const struct set *set)
{
    static char text[1024];
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < set->n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u:%u", i == 0 ? "" : " ", set->runs[i].first,
                              set->runs[i].last);
    return text;
}

static void test_sets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t star;
        const char *runs, *rest;
    } cases[] = {
        { "1", 9, "1:1", "" },
        { "4:2 UID", 9, "2:4", " UID" },
        { "*", 9, "9:9", "" },
        { "*:2", 9, "2:9", "" },
        { "*:*", 9, "9:9", "" },
        { "12:*", 9, "9:12", "" },
        { "*:4294967295", 9, "9:4294967295", "" },
        { "5,1,3", 9, "1:1 3:3 5:5", "" },
        { "1,2,3,7:5,4)", 9, "1:7", ")" },
        { "1:3,2:8,10", 9, "1:8 10:10", "" },
        { "4294967295,4294967294", 9, "4294967294:4294967295", "" },
        { "1,1,1,1:1", 9, "1:1", "" },
        { "8,6,4,2,9,7,5,3,1", 9, "1:9", "" },
        { "3,*", 0, "3:3", "" },
        { "*", 0, "", "" },
        { "1:*", 0, "", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader r = read(cases[i].text);
        struct set set;
        assert_true(mailsrv__parse_sequence_set(&r, cases[i].star, &set));
        assert_string_equal(shown(&set), cases[i].runs);
        assert_int_equal(r.rest.n, strlen(cases[i].rest));
    }
}

static void test_sets_that_are_none(void **state)
{
    (void)state;
    static const char *const none[] = { "",     "a",  "0",  "0:1", "1:0",        "1:",          ":1",     ",1", "1,",
                                        "1,,2", "01", "-1", "**",  "4294967296", "99999999999", "1:2,:3", "+1", " 1" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct reader r = read(none[i]);
        struct set set;
        bool taken = mailsrv__parse_sequence_set(&r, 9, &set);
        if (taken && r.rest.n == 0)
            fail_msg("taken: %s", none[i]);
    }
}

/* Random sets against a table of all numbers. */
static void test_sets_name_what_they_say(void **state)
{
    enum { NUMBERS = 64, SETS = 2000 };
    (void)state;
    for (uint32_t round = 0; round < SETS; round++) {
        char text[512];
        bool named[NUMBERS + 2] = { false };
        size_t n = 0;
        struct set set;
        for (uint32_t i = 0, most = 1 + random_below(12); i < most; i++) {
            uint32_t a = 1 + random_below(NUMBERS), b = 1 + random_below(NUMBERS);
            bool range = random_below(2) != 0;
            n += (size_t)snprintf(text + n, sizeof text - n, range ? "%s%u:%u" : "%s%u", i == 0 ? "" : ",", a, b);
            for (uint32_t j = range && b < a ? b : a; j <= (range ? (a < b ? b : a) : a); j++)
                named[j] = true;
        }
        struct reader r = read(text);
        assert_true(mailsrv__parse_sequence_set(&r, NUMBERS, &set));
        for (uint32_t j = 1; j <= NUMBERS + 1; j++)
            assert_int_equal(mailsrv__set_has(&set, j), named[j]);
        for (uint32_t i = 1; i < set.n; i++)
            assert_true(set.runs[i].first > set.runs[i - 1].last + 1);
        mailsrv__arena_clear(&arena);
    }
}

static void test_sets_have_a_bound(void **state)
{
    static char text[2 * (SET_RUNS_MAX + 1) + 1];
    (void)state;
    for (size_t i = 0; i <= SET_RUNS_MAX; i++)
        memcpy(text + 2 * i, "1,", 2);
    text[2 * SET_RUNS_MAX - 1] = '\0';
    struct reader r = read(text);
    struct set set;
    assert_true(mailsrv__parse_sequence_set(&r, 9, &set));
    assert_string_equal(shown(&set), "1:1");
    text[2 * SET_RUNS_MAX - 1] = ',';
    text[2 * SET_RUNS_MAX + 1] = '\0';
    r = read(text);
    assert_false(mailsrv__parse_sequence_set(&r, 9, &set));
    assert_true(r.too_many);
}

/* ---- The walk ---- */

enum { UIDS = 200 };

struct mailbox {
    struct image image;
    struct view view;
    bool gone[UIDS + 1], there[UIDS + 1];
};

static void add(struct runs *runs, uint32_t uid)
{
    const mailsrv_run run = { uid, uid };
    assert_true(mailsrv__runs_add(runs, &run, 1));
}

/* Members up to UID 150; what is above that was not told yet. */
static void fill(struct mailbox *m)
{
    memset(m, 0, sizeof *m);
    mailsrv__runs_init(&m->image.uids, &heap, CLASS_IMAGES);
    mailsrv__columns_init(&m->image.columns, &heap);
    mailsrv__runs_init(&m->view.gone, &heap, CLASS_IMAGES);
    m->view.image = &m->image;
    m->view.max_uid = 150;
    for (uint32_t uid = 1; uid <= UIDS; uid++) {
        uint32_t kind = random_below(4);
        m->there[uid] = kind < 2;
        m->gone[uid] = kind == 2 && uid <= m->view.max_uid;
        if (m->there[uid])
            add(&m->image.uids, uid);
        if (m->gone[uid])
            add(&m->view.gone, uid);
    }
}

static void empty(struct mailbox *m)
{
    mailsrv__runs_clear(&m->image.uids);
    mailsrv__runs_clear(&m->view.gone);
}

static struct set random_set(uint32_t most)
{
    char text[128];
    size_t n = 0;
    struct set set;
    for (uint32_t i = 0, ranges = 1 + random_below(5); i < ranges; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u:%u", i == 0 ? "" : ",", 1 + random_below(most),
                              1 + random_below(most));
    struct reader r = read(text);
    assert_true(mailsrv__parse_sequence_set(&r, most, &set));
    return set;
}

/* Each member that is named, once, in order, with its number; nothing else. */
static void walk(const struct mailbox *m, const struct set *set, bool by_uid)
{
    struct walk w;
    struct member member;
    uint32_t number = 0;
    enum walked walked = WALK_NOTHING;
    mailsrv__walk_begin(&w, &m->view, set, by_uid);
    for (uint32_t uid = 1; uid <= m->view.max_uid; uid++) {
        if (!m->there[uid] && !m->gone[uid])
            continue;
        number++;
        if (!mailsrv__set_has(set, by_uid ? uid : number))
            continue;
        do
            walked = mailsrv__walk_next(&w, &member);
        while (walked == WALK_NOTHING);
        assert_int_equal(walked, WALK_MEMBER);
        assert_int_equal(member.uid, uid);
        assert_int_equal(member.number, number);
        assert_int_equal(member.gone, m->gone[uid]);
    }
    do
        walked = mailsrv__walk_next(&w, &member);
    while (walked == WALK_NOTHING);
    assert_int_equal(walked, WALK_END);
}

static void test_walks(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct mailbox m;
        fill(&m);
        uint32_t exists = mailsrv__view_exists(&m.view);
        struct set uids = random_set(UIDS), numbers = random_set(exists);
        walk(&m, &uids, true);
        walk(&m, &numbers, false);
        for (uint32_t i = 0; i < numbers.n; i++) {
            mailsrv_run run = mailsrv__walk_uids(&m.view, numbers.runs[i], false);
            assert_int_equal(mailsrv__view_number(&m.view, run.first), numbers.runs[i].first);
            assert_int_equal(mailsrv__view_number(&m.view, run.last), numbers.runs[i].last);
        }
        empty(&m);
        mailsrv__arena_clear(&arena);
    }
}

/* ---- What FETCH is asked for ---- */

static const char *atts_shown(const struct fetch_atts *atts)
{
    static const char *const names[] = { "UID",      "FLAGS", "INTERNALDATE", "RFC822.SIZE",
                                         "MODSEQ",   "ENVELOPE", "BODY", "BODYSTRUCTURE" };
    static char text[1024];
    size_t n = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < atts->n; i++) {
        const struct att *a = &atts->v[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", i == 0 ? "" : " ");
        if (a->kind != ATT_BODY)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", names[a->kind]);
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s/%d", (int)a->name.n, a->name.p, (int)a->section);
        if (a->is_partial)
            n += (size_t)snprintf(text + n, sizeof text - n, "<%llu.%llu>", (unsigned long long)a->first,
                                  (unsigned long long)a->most);
    }
    snprintf(text + n, sizeof text - n, "%s%s", atts->sets_seen ? " seen" : "", atts->structured ? " structured" : "");
    return text;
}

static void test_attributes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { "FLAGS", "FLAGS" },
        { "uid", "UID" },
        { "FAST", "FLAGS INTERNALDATE RFC822.SIZE" },
        { "ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE structured" },
        { "FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY structured" },
        { "(RFC822.SIZE UID UID FLAGS)", "RFC822.SIZE UID FLAGS" },
        { "(MODSEQ modseq FLAGS)", "MODSEQ FLAGS" },
        { "BODY[]", "BODY[]/0 seen" },
        { "BODY.PEEK[]", "BODY[]/0" },
        { "BODY.peek[text]", "BODY[TEXT]/2" },
        { "(BODY[HEADER] BODY.PEEK[TEXT]<3.4>)", "BODY[HEADER]/1 BODY[TEXT]/2<3.4> seen" },
        { "BODY[]<0.9223372036854775807>", "BODY[]/0<0.9223372036854775807> seen" },
        { "RFC822", "RFC822/0 seen" },
        { "RFC822.HEADER", "RFC822.HEADER/1" },
        { "RFC822.TEXT", "RFC822.TEXT/2 seen" },
        { "ENVELOPE", "ENVELOPE structured" },
        { "BODY", "BODY structured" },
        { "BODYSTRUCTURE", "BODYSTRUCTURE structured" },
        { "(FLAGS BODY)", "FLAGS BODY structured" },
        { "BODY.PEEK[header.fields (Subject \"To\" \"a b\")]", "BODY[HEADER.FIELDS (Subject To \"a b\")]/4" },
        { "BODY[HEADER.FIELDS.NOT (Subject)]<0.1>", "BODY[HEADER.FIELDS.NOT (Subject)]/5<0.1> seen" },
        { "(BODY[1] BODY[TEXT])", "BODY[1]/0 BODY[TEXT]/2 seen structured" },
        { "BODY.PEEK[1]", "BODY[1]/0 structured" },
        { "BODY.PEEK[1.2.3.MIME]", "BODY[1.2.3.MIME]/3 structured" },
        { "BODY.PEEK[4.HEADER.FIELDS (X)]", "BODY[4.HEADER.FIELDS (X)]/4 structured" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader r = read(cases[i].text);
        struct fetch_atts atts = { .n = 0 };
        if (!mailsrv__parse_fetch_atts(&r, &atts) || r.rest.n != 0)
            fail_msg("refused: %s", cases[i].text);
        assert_string_equal(atts_shown(&atts), cases[i].shown);
    }
}

static void test_attributes_that_are_none(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",
        "()",
        "(FLAGS",
        "FLAGS)",
        "(FLAGS  UID)",
        "(FLAGS )",
        "( FLAGS)",
        "(ALL)",
        "(FLAGS FAST)",
        "FLAG",
        "FLAGSX",
        "BODY[",
        "BODY[]<",
        "BODY[]<1>",
        "BODY[]<1.>",
        "BODY[]<1.0>",
        "BODY[]<-1.5>",
        "BODY[]<1.2",
        "BODY[0]",
        "BODY[1.]",
        "BODY[MIME]",
        "BODY[1.FIELDS]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (a]",
        "BODY.PEEK",
        "BODY[]<9223372036854775808.1>",
        "RFC822.",
        "RFC822[]",
        "BODY.PEEK[TEXT",
        "BODY[TEXT.MIME]",
        "BODYSTRUCTURE[]",
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct reader r = read(none[i]);
        struct fetch_atts atts = { .n = 0 };
        if (mailsrv__parse_fetch_atts(&r, &atts) && r.rest.n == 0)
            fail_msg("taken: %s", none[i]);
    }
}

static void test_attributes_have_a_bound(void **state)
{
    char text[ATTS_MAX * 16 + 16] = "(BODY.PEEK[]";
    (void)state;
    for (int i = 1; i < ATTS_MAX; i++)
        strcat(text, " BODY[TEXT]");
    strcat(text, ")");
    struct reader r = read(text);
    struct fetch_atts atts = { .n = 0 };
    assert_true(mailsrv__parse_fetch_atts(&r, &atts));
    assert_int_equal(atts.n, ATTS_MAX);
    assert_false(mailsrv__fetch_add_uid(&r, &atts));
    assert_true(r.too_many);
    text[strlen(text) - 1] = '\0';
    strcat(text, " UID)");
    r = read(text);
    atts = (struct fetch_atts){ .n = 0 };
    assert_false(mailsrv__parse_fetch_atts(&r, &atts));
    assert_true(r.too_many);
}

static void test_uid_comes_first(void **state)
{
    struct reader r = read("(FLAGS RFC822.SIZE)");
    struct fetch_atts atts = { .n = 0 };
    (void)state;
    assert_true(mailsrv__parse_fetch_atts(&r, &atts));
    assert_true(mailsrv__fetch_add_uid(&r, &atts));
    assert_true(mailsrv__fetch_add_uid(&r, &atts));
    assert_string_equal(atts_shown(&atts), "UID FLAGS RFC822.SIZE");
}

/* ---- What SEARCH looks for ---- */

/* Three messages, UIDs 2, 4 and 6. */
static struct imap machine;
static struct image image;

static void begin_search(void)
{
    memset(&machine, 0, sizeof machine);
    memset(&image, 0, sizeof image);
    mailsrv__runs_init(&image.uids, &heap, CLASS_IMAGES);
    mailsrv__runs_init(&machine.view.gone, &heap, CLASS_IMAGES);
    machine.view.image = &image;
    machine.view.max_uid = 6;
    for (uint32_t uid = 2; uid <= 6; uid += 2)
        add(&image.uids, uid);
    static mailsrv_bytes dictionary[2];
    image.names = dictionary;
    image.names[0] = mailsrv__bytes(SPAN("$Junk"));
    image.names[1] = mailsrv__bytes(SPAN("Later"));
    image.n_names = 2;
}

static struct candidate candidate_of(uint32_t number)
{
    const int64_t day_us = INT64_C(86400) * 1000000;
    struct candidate c = { .member = { .uid = 2 * number, .number = number }, .has_marks = true, .has_row = true };
    c.recent = number == 3;
    c.marks.flags = number == 1 ? MAILSRV_FLAG_SEEN : number == 2 ? MAILSRV_FLAG_FLAGGED | MAILSRV_FLAG_SEEN : 0;
    c.marks.keywords[0] = number == 2 ? 2 : number == 3 ? 1 : 0;
    c.octets = 100 * number;
    c.internal_us = (20520 + number) * day_us + (number == 1 ? 0 : day_us - 1); /* 9, 10, 11 March 2026 */
    return c;
}

/* Of the text of messages: kind, name, text and day of each condition. */
static const char *what_is_asked(const struct search_program *program)
{
    static char said[200];
    size_t n = 0;
    for (const struct condition *c = program->conditions; c != NULL; c = c->next)
        n += (size_t)snprintf(said + n, sizeof said - n, "%s%d %.*s|%.*s|%d", n == 0 ? "" : " ", c->sought.kind,
                              (int)c->sought.name.n, c->sought.name.p, (int)c->sought.text.n, c->sought.text.p,
                              c->sought.day);
    return said;
}

static const char *found(const char *text)
{
    static char result[16];
    struct reader r = read(text);
    struct search_program program = { .n = 0 };
    size_t n = 0;
    if (!mailsrv__parse_search_program(&machine, &r, &program) || r.rest.n != 0)
        return r.too_many ? "too many" : "bad";
    for (uint32_t number = 1; number <= 3; number++) {
        struct candidate c = candidate_of(number);
        if (mailsrv__search_matches(&program, &c) == MATCH_YES)
            result[n++] = (char)('0' + number);
    }
    result[n] = '\0';
    return program.bad_charset ? "charset" : program.conditions != NULL ? what_is_asked(&program) : result;
}

static void test_search_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text, *found;
    } cases[] = {
        { "ALL", "123" },
        { "SEEN", "12" },
        { "unseen", "3" },
        { "FLAGGED SEEN", "2" },
        { "NOT FLAGGED", "13" },
        { "OR UNSEEN FLAGGED", "23" },
        { "OR OR 1 2 3", "123" },
        { "NOT (SEEN FLAGGED)", "13" },
        { "(SEEN (UNFLAGGED))", "1" },
        { "NOT NOT SEEN", "12" },
        { "KEYWORD later", "2" },
        { "UNKEYWORD $junk", "12" },
        { "KEYWORD nobodys", "" },
        { "UNKEYWORD nobodys", "123" },
        { "RECENT", "3" },
        { "OLD", "12" },
        { "NEW", "3" },
        { "ANSWERED", "" },
        { "UNANSWERED UNDELETED UNDRAFT", "123" },
        { "2:*", "23" },
        { "*", "3" },
        { "3,1", "13" },
        { "UID 1:4", "12" },
        { "UID *", "3" },
        { "UID 99:*", "3" },
        { "UID 7", "" },
        { "LARGER 100", "23" },
        { "SMALLER 300", "12" },
        { "LARGER 100 SMALLER 300", "2" },
        { "ON 10-Mar-2026", "2" },
        { "SINCE 10-Mar-2026", "23" },
        { "BEFORE \"10-Mar-2026\"", "1" },
        { "CHARSET UTF-8 SEEN", "12" },
        { "charset \"us-ascii\" SEEN", "12" },
        { "CHARSET KOI8-R SEEN", "charset" },
        { "SUBJECT x", "0 SUBJECT|x|0" },
        { "HEADER Message-ID \"<a@b>\"", "0 Message-ID|<a@b>|0" },
        { "OR FROM a (TO b NOT CC c)", "0 FROM|a|0 0 TO|b|0 0 CC|c|0" },
        { "BCC \"\" BODY x TEXT \"y \\\"z\"", "0 BCC||0 1 |x|0 2 |y \"z|0" },
        { "SENTBEFORE 1-Jan-1970 SENTON 10-Mar-2026 SENTSINCE 2-Jan-1970", "3 ||0 4 ||20522 5 ||1" },
        { "TEXT \"gr\xc3\xbcn \xef\xbf\xbd\"", "2 |gr\xc3\xbcn \xef\xbf\xbd|0" },
        { "CHARSET UTF-8 TEXT \"\xf0\x9f\x93\xa7\"", "2 |\xf0\x9f\x93\xa7|0" },
        { "CHARSET KOI8-R TEXT \"\xc4\xc1\"", "charset" },
        { "CHARSET US-ASCII TEXT \"\xc3\xbc\"", "bad" },
        { "TEXT \"\xfc\"", "bad" },
        { "HEADER \"\xc3\" x", "bad" },
        { "TEXT \"\xc0\x80\"", "bad" },
        { "", "bad" },
        { "()", "bad" },
        { "NOT", "bad" },
        { "OR SEEN", "bad" },
        { "SEEN ", "bad" },
        { "SEEN  SEEN", "bad" },
        { "(SEEN", "bad" },
        { "SEEN)", "bad" },
        { "4", "bad" },
        { "1:4", "bad" },
        { "0", "bad" },
        { "UID", "bad" },
        { "UID 0", "bad" },
        { "LARGER", "bad" },
        { "LARGER -1", "bad" },
        { "ON 31-Feb-2026", "bad" },
        { "SUBJECT", "bad" },
        { "HEADER x", "bad" },
        { "KEYWORD \\Seen", "bad" },
        { "CHARSET UTF-8", "bad" },
        { "SEENX", "bad" },
        { "UNOLD", "bad" },
    };
    begin_search();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(found(cases[i].text), cases[i].found) != 0)
            fail_msg("%s finds %s", cases[i].text, found(cases[i].text));
    mailsrv__runs_clear(&image.uids);
}

static const char *nested(const char *open, unsigned depth, const char *key, const char *close)
{
    static char text[8192];
    text[0] = '\0';
    for (unsigned i = 0; i < depth; i++)
        strcat(text, open);
    strcat(text, key);
    for (unsigned i = 0; i < depth; i++)
        strcat(text, close);
    return text;
}

static void test_search_has_bounds(void **state)
{
    static char many[8 * KEYS_MAX];
    (void)state;
    begin_search();
    assert_string_equal(found(nested("(", KEY_DEPTH_MAX - 1, "SEEN", ")")), "12");
    assert_string_equal(found(nested("(", KEY_DEPTH_MAX, "SEEN", ")")), "too many");
    assert_string_equal(found(nested("NOT ", KEY_DEPTH_MAX - 2, "SEEN", "")), "12");
    assert_string_equal(found(nested("NOT ", KEY_DEPTH_MAX, "SEEN", "")), "too many");
    assert_string_equal(found(nested("OR 1 ", KEY_DEPTH_MAX, "SEEN", "")), "too many");
    for (int i = 0; i < KEYS_MAX; i++)
        strcat(many, i == 0 ? "SEEN" : " SEEN");
    assert_string_equal(found(many), "12");
    strcat(many, " SEEN");
    assert_string_equal(found(many), "too many");
    mailsrv__runs_clear(&image.uids);
}

/* What is not known of a message decides only where nothing else does. */
static void test_search_of_what_is_not_known(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum match without_row, without_all;
    } cases[] = {
        { "LARGER 1", MATCH_UNKNOWN, MATCH_UNKNOWN },
        { "SEEN LARGER 1", MATCH_UNKNOWN, MATCH_UNKNOWN },
        { "UNSEEN LARGER 1", MATCH_NO, MATCH_UNKNOWN },
        { "LARGER 1 2", MATCH_NO, MATCH_NO },
        { "OR SEEN LARGER 1", MATCH_YES, MATCH_UNKNOWN },
        { "OR LARGER 1 1", MATCH_YES, MATCH_YES },
        { "NOT LARGER 1", MATCH_UNKNOWN, MATCH_UNKNOWN },
        { "NOT (LARGER 1 2)", MATCH_YES, MATCH_YES },
        { "ALL", MATCH_YES, MATCH_YES },
        { "SEEN", MATCH_YES, MATCH_UNKNOWN },
    };
    begin_search();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader r = read(cases[i].text);
        struct search_program program = { .n = 0 };
        struct candidate c = candidate_of(1);
        assert_true(mailsrv__parse_search_program(&machine, &r, &program));
        c.has_row = false;
        assert_int_equal(mailsrv__search_matches(&program, &c), cases[i].without_row);
        c.has_marks = false;
        assert_int_equal(mailsrv__search_matches(&program, &c), cases[i].without_all);
    }
    mailsrv__runs_clear(&image.uids);
}

/* ---- UIDs for one operation ---- */

static void test_uids_for_one_operation(void **state)
{
    static struct uids uids;
    (void)state;
    for (uint32_t uid = 1; uid <= UIDS_MAX; uid++)
        assert_true(mailsrv__uids_add(&uids, uid));
    assert_int_equal(uids.n_runs, 1);
    assert_false(mailsrv__uids_add(&uids, UIDS_MAX + 1));
    memset(&uids, 0, sizeof uids);
    for (uint32_t i = 0; i < UID_RUNS_MAX; i++)
        assert_true(mailsrv__uids_add(&uids, 2 * i + 1));
    assert_false(mailsrv__uids_add(&uids, 2 * UID_RUNS_MAX + 1));
    assert_true(mailsrv__uids_add(&uids, 2 * UID_RUNS_MAX));
    assert_int_equal(uids.n_uids, UID_RUNS_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sets_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sets_name_what_they_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sets_have_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_walks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes_have_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uid_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search_has_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search_of_what_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uids_for_one_operation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
