#include "message/content.h"
#include "message/scanning.h"
#include "message/seeking.h"
#include "message/sent.h"

/* ---- Conditions ---- */

static bool has_text(enum seek_kind kind)
{
    return kind <= SEEK_TEXT;
}

bool mailsrv__seek_in_header(enum seek_kind kind)
{
    return kind != SEEK_BODY && kind != SEEK_TEXT;
}

/* What all of them take.  False: they are beyond the bounds. */
static bool measure(const struct sought *v, uint32_t n, size_t *octets, size_t *names)
{
    uint32_t texts = 0;
    *octets = *names = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t text = has_text(v[i].kind) ? mailsrv__key_octets(v[i].text) : 0;
        size_t name = v[i].kind == SEEK_FIELD ? v[i].name.n : 0;
        texts += mailsrv__seek_in_header(v[i].kind) ? 0 : 1;
        if (text > SEEK_KEY_MAX || name > SEEK_NAME_MAX || texts > SEEK_TEXTS_MAX)
            return false;
        *octets += text;
        *names += name;
    }
    return *octets <= SEEK_KEYS_OCTETS_MAX;
}

static void make(struct seek *s, const struct sought *v, char *text, uint16_t *back)
{
    for (uint32_t i = 0; i < s->keys.n; i++) {
        struct key *key = &s->keys.v[i];
        key->kind = v[i].kind;
        key->day = v[i].day;
        if (has_text(key->kind))
            mailsrv__key_make(key, v[i].text, text, back);
        text += key->n;
        back += key->n;
        if (!mailsrv__seek_in_header(key->kind))
            s->keys.texts[s->keys.n_texts++] = key;
        key->field = mailsrv__seek_field(key, v[i].name);
        if (key->kind != SEEK_FIELD || v[i].name.n == 0)
            continue;
        memcpy(text, v[i].name.p, v[i].name.n);
        key->name = (struct span){ text, v[i].name.n };
        text += v[i].name.n;
    }
}

int32_t mailsrv__seek_new(struct arena *arena, const struct sought *v, uint32_t n, struct seek **out)
{
    size_t octets, names;
    if (n > SEEK_CONDITIONS_MAX || !measure(v, n, &octets, &names))
        return MAILSRV_LIMIT;
    struct seek *s = mailsrv__arena_take(arena, sizeof *s);
    struct key *keys = mailsrv__arena_take(arena, n * sizeof *keys);
    struct key **lists = mailsrv__arena_take(arena, 2 * n * sizeof *lists);
    uint16_t *back = mailsrv__arena_take(arena, octets * sizeof *back);
    char *text = mailsrv__arena_take(arena, octets + names);
    if (s == NULL || keys == NULL || lists == NULL || back == NULL || text == NULL)
        return MAILSRV_NOMEM;
    s->heap = arena->heap;
    s->keys.v = keys;
    s->keys.texts = lists;
    s->keys.fed = lists + n;
    s->keys.n = n;
    s->fields.keys = &s->keys;
    make(s, v, text, back);
    *out = s;
    return MAILSRV_OK;
}

void mailsrv__seek_fini(struct seek *s)
{
    if (s != NULL && s->scans)
        mailsrv__scanner_fini(&s->scanner);
    if (s != NULL)
        s->scans = false;
}

enum seek_match mailsrv__seek_match(const struct seek *s, uint32_t i)
{
    return s->keys.v[i].match;
}

void mailsrv__seek_begin(struct seek *s)
{
    mailsrv__seek_fini(s);
    s->keys.open = s->keys.n;
    s->keys.n_fed = 0;
    s->held_n = 0;
    s->text = false;
    for (uint32_t i = 0; i < s->keys.n; i++) {
        struct key *key = &s->keys.v[i];
        key->match = SEEK_OPEN;
        if (key->n == 0 && !mailsrv__seek_in_header(key->kind))
            mailsrv__keys_decide(&s->keys, key, true);
    }
    mailsrv__scanner_init(&s->scanner, s->heap, CLASS_BODIES);
    s->scans = true;
    s->header = true;
    mailsrv__fields_begin(&s->fields, SEEK_OWN);
}

/* ---- Text parts ---- */

static struct span kept(const struct kept_value *value)
{
    return (struct span){ value->p, value->n };
}

static struct charset charset_of(const struct fields *f)
{
    struct content_type type;
    char room[SEEK_HELD_MAX];
    struct writer w = { .p = room, .room = sizeof room };
    struct span name = { NULL, 0 };
    if (mailsrv__content_type(kept(&f->type), &type))
        mailsrv__parameter_find(type.parameters, SPAN("charset"), &w, &name);
    return mailsrv__charset(name);
}

enum { DECODED_ROOM = 1024 };

/* A part that is opaque is text as it stands.  What concerns no key is passed by. */
static void begin_text(struct seek *s, bool opaque)
{
    struct span rest, word = mailsrv__content_word(kept(&s->fields.encoding), &rest);
    struct charset plain = { CHARSET_UTF8, NULL };
    mailsrv__transfer_begin(&s->transfer, opaque ? TRANSFER_PLAIN : mailsrv__transfer_kind(word));
    mailsrv__charset_begin(&s->reader, opaque ? plain : charset_of(&s->fields));
    mailsrv__keys_begin(&s->keys, true);
    s->text = s->keys.n_fed != 0;
}

static void put_chars(struct seek *s, const uint32_t *chars, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        mailsrv__keys_char(&s->keys, chars[i]);
}

/* Most text is ASCII. */
static void put_decoded(struct seek *s, struct span octets)
{
    uint32_t chars[CHARSET_CHARS_MAX];
    while (octets.n != 0) {
        size_t n = mailsrv__charset_is_ascii(&s->reader) ? mailsrv__keys_ascii(&s->keys, octets) : 0;
        for (; n < octets.n && (n == 0 || (uint8_t)octets.p[n] >= 0x80); n++)
            put_chars(s, chars, mailsrv__charset_take(&s->reader, (uint8_t)octets.p[n], chars));
        octets = mailsrv__span_after(octets, n);
    }
}

static void take_text(struct seek *s, struct span octets)
{
    char room[DECODED_ROOM];
    if (s->transfer.kind == TRANSFER_PLAIN) {
        put_decoded(s, octets);
        return;
    }
    while (octets.n != 0) {
        struct writer out = { .p = room, .room = sizeof room };
        mailsrv__transfer_take(&s->transfer, &octets, &out);
        put_decoded(s, mailsrv__written(&out));
    }
}

static void end_text(struct seek *s)
{
    char room[TRANSFER_ROOM_MIN];
    uint32_t chars[CHARSET_CHARS_MAX];
    struct writer out = { .p = room, .room = sizeof room };
    if (!s->text)
        return;
    mailsrv__transfer_end(&s->transfer, &out);
    put_decoded(s, mailsrv__written(&out));
    put_chars(s, chars, mailsrv__charset_end(&s->reader, chars));
    s->text = false;
}

/* ---- Headers ---- */

bool mailsrv__key_is_sent(const struct key *key, int32_t day)
{
    if (key->kind == SEEK_SENT_BEFORE)
        return day < key->day;
    return key->kind == SEEK_SENT_ON ? day == key->day : day >= key->day;
}

/* What only the message's own header can tell is told: a field that did not come is not there. */
static void decide_header(struct seek *s)
{
    int32_t day = 0;
    bool dated = mailsrv__sent_day(kept(&s->fields.date), &day);
    for (uint32_t i = 0; i < s->keys.n; i++) {
        struct key *key = &s->keys.v[i];
        if (key->kind == SEEK_FIELD)
            mailsrv__keys_decide(&s->keys, key, false);
        else if (mailsrv__seek_in_header(key->kind))
            mailsrv__keys_decide(&s->keys, key, dated && mailsrv__key_is_sent(key, day));
    }
}

static void end_header(struct seek *s)
{
    if (!s->header)
        return;
    mailsrv__fields_end(&s->fields);
    mailsrv__keys_compare(&s->keys);
    if (s->fields.header == SEEK_OWN)
        decide_header(s);
    s->header = false;
}

/* ---- Lines ---- */

/* Another part's header begins, if the scanner is in one. */
static void begin_header(struct seek *s, enum seek_header header)
{
    s->header = mailsrv__scan_top(&s->scanner)->in_header;
    if (s->header)
        mailsrv__fields_begin(&s->fields, header);
}

/* RFC 3501 section 6.4.4 lets parts of other types than text and message be left out: of message/delivery-status,
 * message/global and the like the octets are text. */
static bool is_text(const struct seek *s, uint8_t kind)
{
    struct content_type type;
    if (kind != PART_OTHER)
        return kind == PART_TEXT || (kind & PART_OPAQUE) != 0;
    return mailsrv__content_type(kept(&s->fields.type), &type) &&
           mailsrv__span_equal_nocase(type.type, SPAN("message"));
}

/* A header has ended.  That of a message within the message follows, or the part's body. */
static void take_empty(struct seek *s)
{
    end_header(s);
    begin_header(s, SEEK_INNER);
    uint8_t kind = mailsrv__scan_part(&s->scanner, mailsrv__scan_top(&s->scanner)->part)->kind;
    if (!s->header && is_text(s, kind))
        begin_text(s, (kind & PART_OPAQUE) != 0);
}

static void take_line(struct seek *s, enum line line, struct span octets)
{
    if (line == LINE_PLAIN && s->header) {
        mailsrv__fields_take(&s->fields, octets);
    } else if (line == LINE_PLAIN && s->text) {
        take_text(s, octets);
    } else if (line == LINE_DELIMITER || line == LINE_LAST_DELIMITER) {
        end_header(s);
        end_text(s);
        begin_header(s, SEEK_MIME);
    } else if (line == LINE_EMPTY) {
        take_empty(s);
    }
}

/* Octets of one line, which have no line end but at their end.  The scanner says what the line is, perhaps not yet. */
static void take_piece(struct seek *s, struct span octets)
{
    mailsrv__scanner_take(&s->scanner, octets);
    if (s->scanner.failed)
        return;
    bool undecided = s->scanner.head_n != 0 && s->scanner.in_line == LINE_UNDECIDED;
    if (undecided) {
        memcpy(s->held + s->held_n, octets.p, octets.n);
        s->held_n += octets.n;
        return;
    }
    enum line line = (enum line)s->scanner.seen;
    struct span held = { s->held, s->held_n };
    s->held_n = 0;
    if (held.n != 0 && line == LINE_PLAIN)
        take_line(s, line, held);
    take_line(s, line, octets);
}

/* Most lines are of a body, and no delimiter: they are taken together.  An empty line whose CR came before its LF is
 * told by the latter. */
static size_t take_lines(struct seek *s, struct span octets)
{
    size_t n = mailsrv__scan_body(&s->scanner, octets);
    if (n != 0 && s->text)
        take_text(s, mailsrv__span_first(octets, n));
    if (n != 0)
        return n;
    const char *lf = memchr(octets.p, '\n', octets.n);
    n = lf == NULL ? octets.n : (size_t)(lf - octets.p) + 1;
    take_piece(s, mailsrv__span_first(octets, n));
    return n;
}

bool mailsrv__seek_take(struct seek *s, struct span octets)
{
    while (octets.n != 0 && s->keys.open != 0 && !s->scanner.failed) {
        size_t n = take_lines(s, octets);
        octets = mailsrv__span_after(octets, n);
    }
    mailsrv__keys_compare(&s->keys);
    return s->keys.open != 0 && !s->scanner.failed;
}

/* ---- The end ---- */

/* A line that has no end may be a delimiter as well. */
static void take_held(struct seek *s)
{
    struct span line = { s->held, s->held_n };
    bool is_last;
    bool delimiter =
        line.n > 1 && line.p[0] == '-' &&
        mailsrv__scan_delimiter(&s->scanner, mailsrv__span_after(line, 2), &is_last) != s->scanner.n_levels;
    if (line.n != 0 && !delimiter)
        take_line(s, LINE_PLAIN, line);
    s->held_n = 0;
}

void mailsrv__seek_end(struct seek *s)
{
    if (!s->scanner.failed && s->keys.open != 0) {
        take_held(s);
        end_header(s);
        end_text(s);
        mailsrv__keys_compare(&s->keys);
        for (uint32_t i = 0; i < s->keys.n; i++)
            mailsrv__keys_decide(&s->keys, &s->keys.v[i], false);
    }
    mailsrv__seek_fini(s);
}
