#include "imap/search_key.h"

#include "text/calendar.h"
#include "text/utf8.h"

/* ---- Grammar ---- */

/* What a parser of keys works on. */
struct parsing {
    struct imap *p;
    struct reader *r;
    struct search_program *out;
    struct condition **next; /* where the next condition belongs */
    unsigned depth;
};

static struct key *new_key(struct parsing *g, struct key key)
{
    struct key *k = NULL;
    g->r->too_many = ++g->out->n > KEYS_MAX;
    if (!g->r->too_many) {
        k = mailsrv__arena_take(g->r->arena, sizeof *k);
        g->r->no_memory = k == NULL;
    }
    if (k != NULL)
        *k = key;
    return k;
}

enum argument { ARG_NONE, ARG_OCTETS, ARG_DATE, ARG_FIELD, ARG_HEADER, ARG_TEXT, ARG_SENT };

static const struct word {
    char name[12];
    uint8_t kind;
    uint8_t argument;
    uint8_t flags; /* TEXT: its enum seek_kind */
    bool inverted;
} words[] = {
    { "ALL", KEY_AND, ARG_NONE, 0, false },
    { "ANSWERED", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_ANSWERED, false },
    { "BCC", KEY_TEXT, ARG_FIELD, SEEK_FIELD, false },
    { "BEFORE", KEY_BEFORE, ARG_DATE, 0, false },
    { "BODY", KEY_TEXT, ARG_TEXT, SEEK_BODY, false },
    { "CC", KEY_TEXT, ARG_FIELD, SEEK_FIELD, false },
    { "DELETED", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_DELETED, false },
    { "DRAFT", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_DRAFT, false },
    { "FLAGGED", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_FLAGGED, false },
    { "FROM", KEY_TEXT, ARG_FIELD, SEEK_FIELD, false },
    { "HEADER", KEY_TEXT, ARG_HEADER, SEEK_FIELD, false },
    { "LARGER", KEY_LARGER, ARG_OCTETS, 0, false },
    { "OLD", KEY_RECENT, ARG_NONE, 0, true },
    { "ON", KEY_ON, ARG_DATE, 0, false },
    { "RECENT", KEY_RECENT, ARG_NONE, 0, false },
    { "SEEN", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_SEEN, false },
    { "SENTBEFORE", KEY_TEXT, ARG_SENT, SEEK_SENT_BEFORE, false },
    { "SENTON", KEY_TEXT, ARG_SENT, SEEK_SENT_ON, false },
    { "SENTSINCE", KEY_TEXT, ARG_SENT, SEEK_SENT_SINCE, false },
    { "SINCE", KEY_SINCE, ARG_DATE, 0, false },
    { "SMALLER", KEY_SMALLER, ARG_OCTETS, 0, false },
    { "SUBJECT", KEY_TEXT, ARG_FIELD, SEEK_FIELD, false },
    { "TEXT", KEY_TEXT, ARG_TEXT, SEEK_TEXT, false },
    { "TO", KEY_TEXT, ARG_FIELD, SEEK_FIELD, false },
    { "UNANSWERED", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_ANSWERED, true },
    { "UNDELETED", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_DELETED, true },
    { "UNDRAFT", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_DRAFT, true },
    { "UNFLAGGED", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_FLAGGED, true },
    { "UNSEEN", KEY_FLAGS, ARG_NONE, MAILSRV_FLAG_SEEN, true },
};

static const struct word *take_word(struct reader *r)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (mailsrv__parse_word(r, (struct span){ words[i].name, strlen(words[i].name) }))
            return &words[i];
    return NULL;
}

/* The character U+FFFD may be there; what stands for it in want of one may not. */
static bool is_text(struct span text, bool ascii)
{
    while (text.n != 0) {
        size_t n = text.n;
        uint32_t c = mailsrv__utf8_take(&text);
        bool is_bad = c == UTF8_BAD && n - text.n == 1;
        if (is_bad || c == 0 || (ascii && c > 0x7F))
            return false;
    }
    return true;
}

/* SP astring, in the charset of the command, which is UTF-8 where none was named: clients send it then, too (RFC 9051
 * section 6.4.4).  CHAR8 has no NUL (RFC 3501 section 9).  What is in a charset that is not known is not looked at. */
static bool parse_text(struct parsing *g, struct span *out)
{
    if (!mailsrv__parse_sp(g->r) || !mailsrv__parse_astring(g->r, out))
        return false;
    if (g->out->bad_charset || is_text(*out, g->out->ascii))
        return true;
    return mailsrv__parse_fails(g->r, g->out->ascii ? "text in US-ASCII" : "text in UTF-8");
}

/* What a key of that word asks of the text of messages. */
static bool parse_sought(struct parsing *g, const struct word *word, struct sought *out)
{
    out->kind = word->flags;
    switch (word->argument) {
    case ARG_SENT:
        return mailsrv__parse_sp(g->r) && mailsrv__parse_date(g->r, &out->day);
    case ARG_HEADER:
        return parse_text(g, &out->name) && parse_text(g, &out->text);
    case ARG_FIELD:
        out->name = (struct span){ word->name, strlen(word->name) };
        return parse_text(g, &out->text);
    default:
        return parse_text(g, &out->text);
    }
}

static bool parse_condition(struct parsing *g, const struct word *word, struct key *key)
{
    struct sought sought = { .kind = word->flags };
    if (!parse_sought(g, word, &sought))
        return false;
    struct condition *c = mailsrv__arena_take(g->r->arena, sizeof *c);
    g->r->no_memory = c == NULL;
    if (c == NULL)
        return false;
    c->sought = sought;
    *g->next = c;
    g->next = &c->next;
    key->condition = g->out->n_conditions++;
    return true;
}

static bool parse_argument(struct parsing *g, const struct word *word, struct key *key)
{
    switch (word->argument) {
    case ARG_NONE:
        return true;
    case ARG_OCTETS:
        g->out->fields |= MAILSRV_ROW_OCTETS;
        return mailsrv__parse_sp(g->r) && mailsrv__parse_number64(g->r, &key->octets);
    case ARG_DATE:
        g->out->fields |= MAILSRV_ROW_INTERNALDATE;
        return mailsrv__parse_sp(g->r) && mailsrv__parse_date(g->r, &key->days);
    default:
        return parse_condition(g, word, key);
    }
}

/* `key`, or what is not that. */
static struct key *perhaps_not(struct parsing *g, struct key key, bool inverted)
{
    struct key *k = new_key(g, key);
    return k == NULL || !inverted ? k : new_key(g, (struct key){ .kind = KEY_NOT, .first = k });
}

static struct key *parse_plain(struct parsing *g, const struct word *word)
{
    struct key key = { .kind = word->kind, .flags = word->flags };
    return parse_argument(g, word, &key) ? perhaps_not(g, key, word->inverted) : NULL;
}

/* A name that the mailbox's dictionary does not have is a keyword of no message. */
static struct key *parse_keyword(struct parsing *g, bool inverted)
{
    struct key key = { .kind = KEY_FLAGS };
    struct span name;
    if (!mailsrv__parse_sp(g->r) || !mailsrv__parse_atom(g->r, &name))
        return NULL;
    mailsrv__view_keyword(&g->p->view, mailsrv__bytes(name), key.keywords);
    return perhaps_not(g, key, inverted);
}

/* RFC 3501 section 6.4.4: "NEW" is "(RECENT UNSEEN)". */
static struct key *parse_new(struct parsing *g)
{
    struct key *recent = new_key(g, (struct key){ .kind = KEY_RECENT });
    if (recent != NULL)
        recent->next = perhaps_not(g, (struct key){ .kind = KEY_FLAGS, .flags = MAILSRV_FLAG_SEEN }, true);
    return recent == NULL || recent->next == NULL ? NULL : new_key(g, (struct key){ .kind = KEY_AND, .first = recent });
}

static struct key *parse_numbers(struct parsing *g, bool by_uid)
{
    struct key key = { .kind = by_uid ? KEY_UIDS : KEY_NUMBERS };
    g->out->numbers = g->out->numbers || !by_uid;
    return mailsrv__imap_parse_numbers(g->p, g->r, by_uid, &key.set) ? new_key(g, key) : NULL;
}

/* search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer (RFC 7162 section 7).  A
 * message has one modseq, whatever of it has changed, so that the entry says nothing. */
static struct key *parse_modseq(struct parsing *g)
{
    struct reader *r = g->r;
    struct key key = { .kind = KEY_MODSEQ };
    struct span entry;
    g->out->modseq = true;
    if (!mailsrv__parse_sp(r))
        return NULL;
    if (mailsrv__parse_is(r, '"')) {
        if (!mailsrv__parse_string(r, &entry) || !mailsrv__parse_sp(r))
            return NULL;
        bool is_flag = entry.n > 7 && mailsrv__span_equal_nocase((struct span){ entry.p, 7 }, SPAN("/flags/"));
        bool has_type = mailsrv__parse_word(r, SPAN("PRIV")) || mailsrv__parse_word(r, SPAN("SHARED")) ||
                        mailsrv__parse_word(r, SPAN("ALL"));
        if (!is_flag || !has_type) {
            mailsrv__parse_fails(r, "an entry of flags, and priv, shared or all");
            return NULL;
        }
        if (!mailsrv__parse_sp(r))
            return NULL;
    }
    return mailsrv__parse_number64(r, &key.octets) ? new_key(g, key) : NULL;
}

static struct key *parse_key(struct parsing *g);

/* "OR" SP search-key SP search-key */
static struct key *parse_or(struct parsing *g)
{
    struct key *a = mailsrv__parse_sp(g->r) ? parse_key(g) : NULL;
    struct key *b = a != NULL && mailsrv__parse_sp(g->r) ? parse_key(g) : NULL;
    if (b == NULL)
        return NULL;
    a->next = b;
    return new_key(g, (struct key){ .kind = KEY_OR, .first = a });
}

/* "NOT" SP search-key */
static struct key *parse_not(struct parsing *g)
{
    struct key *k = mailsrv__parse_sp(g->r) ? parse_key(g) : NULL;
    return k == NULL ? NULL : new_key(g, (struct key){ .kind = KEY_NOT, .first = k });
}

/* search-key *(SP search-key), in the order of coming */
static bool parse_keys(struct parsing *g, struct key *and_)
{
    struct key **at = &and_->first;
    do {
        *at = parse_key(g);
        if (*at == NULL)
            return false;
        at = &(*at)->next;
    } while (mailsrv__parse_is(g->r, ' ') && mailsrv__parse_sp(g->r));
    return true;
}

/* "(" search-key *(SP search-key) ")" */
static struct key *parse_list(struct parsing *g)
{
    struct key and_ = { .kind = KEY_AND };
    if (!mailsrv__parse_char(g->r, '(') || !parse_keys(g, &and_) || !mailsrv__parse_char(g->r, ')'))
        return NULL;
    return new_key(g, and_);
}

static bool at_set(const struct reader *r)
{
    return mailsrv__parse_is(r, '*') || (r->rest.n != 0 && r->rest.p[0] >= '0' && r->rest.p[0] <= '9');
}

static struct key *parse_one(struct parsing *g)
{
    struct reader *r = g->r;
    if (at_set(r))
        return parse_numbers(g, false);
    if (mailsrv__parse_is(r, '('))
        return parse_list(g);
    if (mailsrv__parse_word(r, SPAN("UID")))
        return mailsrv__parse_sp(r) ? parse_numbers(g, true) : NULL;
    if (mailsrv__parse_word(r, SPAN("OR")))
        return parse_or(g);
    if (mailsrv__parse_word(r, SPAN("NOT")))
        return parse_not(g);
    if (mailsrv__parse_word(r, SPAN("KEYWORD")))
        return parse_keyword(g, false);
    if (mailsrv__parse_word(r, SPAN("UNKEYWORD")))
        return parse_keyword(g, true);
    if (mailsrv__parse_word(r, SPAN("NEW")))
        return parse_new(g);
    if (mailsrv__parse_word(r, SPAN("MODSEQ")) && mailsrv__enabled(&g->p->session, MAILSRV_EXT_CONDSTORE))
        return parse_modseq(g);
    const struct word *word = take_word(r);
    if (word != NULL)
        return parse_plain(g, word);
    mailsrv__parse_fails(r, "a search key");
    return NULL;
}

/* Whatever a peer nests, the stack stays small. */
static struct key *parse_key(struct parsing *g)
{
    g->r->too_many = g->depth == KEY_DEPTH_MAX;
    if (g->r->too_many)
        return NULL;
    g->depth++;
    struct key *k = parse_one(g);
    g->depth--;
    return k;
}

/* RFC 9051 section 6.4.4: US-ASCII and UTF-8 must be there. */
static bool parse_charset(struct reader *r, struct search_program *out)
{
    struct span name;
    if (!mailsrv__parse_word(r, SPAN("CHARSET")))
        return true;
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_astring(r, &name) || !mailsrv__parse_sp(r))
        return false;
    out->ascii = mailsrv__span_equal_nocase(name, SPAN("US-ASCII"));
    out->bad_charset = !out->ascii && !mailsrv__span_equal_nocase(name, SPAN("UTF-8"));
    return true;
}

bool mailsrv__parse_search_program(struct imap *p, struct reader *r, struct search_program *out)
{
    struct parsing g = { p, r, out, &out->conditions, 0 };
    out->all.kind = KEY_AND;
    if (!parse_charset(r, out) || !parse_keys(&g, &out->all))
        return false;
    if (out->conditions != NULL)
        out->fields |= MAILSRV_ROW_OCTETS; /* where a message ends is known before it is read */
    return true;
}

/* ---- Matching ---- */

static enum match of(bool matches)
{
    return matches ? MATCH_YES : MATCH_NO;
}

static enum match match_flags(const struct key *k, const struct candidate *c)
{
    if (!c->has_marks)
        return MATCH_UNKNOWN;
    return of((k->flags & c->marks.flags) != 0 || (k->keywords[0] & c->marks.keywords[0]) != 0 ||
              (k->keywords[1] & c->marks.keywords[1]) != 0);
}

/* RFC 9051 section 6.4.4: the date alone counts, disregarding time and time zone: it is that of UTC, as INTERNALDATE
 * shows it. */
static enum match match_row(const struct key *k, const struct candidate *c)
{
    const int64_t day_us = INT64_C(86400) * 1000000;
    int64_t days = mailsrv__floor_div(c->internal_us, day_us);
    if (!c->has_row)
        return MATCH_UNKNOWN;
    switch (k->kind) {
    case KEY_LARGER:
        return of(c->octets > k->octets);
    case KEY_SMALLER:
        return of(c->octets < k->octets);
    case KEY_BEFORE:
        return of(days < k->days);
    case KEY_ON:
        return of(days == k->days);
    default:
        return of(days >= k->days);
    }
}

static enum match match_text(const struct key *k, const struct candidate *c)
{
    if (k->condition < SEEK_TOLD_MAX && (c->told.known >> k->condition & 1) != 0)
        return of((c->told.matches >> k->condition & 1) != 0);
    enum seek_match match = c->seek == NULL ? SEEK_OPEN : mailsrv__seek_match(c->seek, k->condition);
    return match == SEEK_OPEN ? MATCH_UNKNOWN : of(match == SEEK_YES);
}

static enum match match_key(const struct key *k, const struct candidate *c);

/* What `decides` ends it; what is not known counts only if nothing does. */
static enum match match_list(const struct key *first, const struct candidate *c, enum match decides)
{
    enum match result = decides == MATCH_YES ? MATCH_NO : MATCH_YES;
    for (const struct key *k = first; k != NULL; k = k->next) {
        enum match match = match_key(k, c);
        if (match == decides)
            return match;
        if (match == MATCH_UNKNOWN)
            result = match;
    }
    return result;
}

static enum match match_not(const struct key *k, const struct candidate *c)
{
    enum match match = match_key(k->first, c);
    return match == MATCH_UNKNOWN ? match : of(match == MATCH_NO);
}

static enum match match_key(const struct key *k, const struct candidate *c)
{
    switch (k->kind) {
    case KEY_AND:
        return match_list(k->first, c, MATCH_NO);
    case KEY_OR:
        return match_list(k->first, c, MATCH_YES);
    case KEY_NOT:
        return match_not(k, c);
    case KEY_FLAGS:
        return match_flags(k, c);
    case KEY_RECENT:
        return of(c->recent);
    case KEY_MODSEQ:
        return c->has_marks ? of(c->marks.modseq >= k->octets) : MATCH_UNKNOWN;
    case KEY_NUMBERS:
        return of(mailsrv__set_has(&k->set, c->member.number));
    case KEY_UIDS:
        return of(mailsrv__set_has(&k->set, c->member.uid));
    case KEY_TEXT:
        return match_text(k, c);
    default:
        return match_row(k, c);
    }
}

enum match mailsrv__search_matches(const struct search_program *program, const struct candidate *candidate)
{
    return match_key(&program->all, candidate);
}
