#include "message/seeking.h"

#include "base/word.h"
#include "text/fold.h"
#include "text/utf8.h"

/* A field is folded at blanks, at some of them with a tab: it is a space here, in the keys as well. */
static uint32_t folded(uint32_t c)
{
    return c == '\t' ? ' ' : mailsrv__fold(c);
}

/* ---- Keys ---- */

static void write_folded(struct span from, struct writer *out)
{
    while (from.n != 0)
        mailsrv__write_utf8(out, folded(mailsrv__utf8_take(&from)));
}

size_t mailsrv__key_octets(struct span text)
{
    size_t n = 0;
    while (text.n != 0) {
        char room[4];
        struct writer w = { .p = room, .room = sizeof room };
        mailsrv__write_utf8(&w, folded(mailsrv__utf8_take(&text)));
        n += w.n;
    }
    return n;
}

/* How far a key has come with another octet behind `at` of them (Knuth, Morris and Pratt). */
static inline uint16_t next(const struct key *key, uint16_t at, char c)
{
    while (at != 0 && key->text[at] != c)
        at = key->back[at - 1];
    return (uint16_t)(at + (key->text[at] == c));
}

/* How rare an octet is in text: a guess, which costs time alone where it is wrong.  The first octet of a character that
 * is not ASCII is the same for a whole script. */
static size_t rarity(char c)
{
    static const char common[] = " etaoinsrhldcumfpgwybvkxjqz";
    const char *at = memchr(common, c, sizeof common - 1);
    if (at != NULL)
        return (size_t)(at - common);
    return (uint8_t)c >= 0xC0 ? 1 : sizeof common;
}

void mailsrv__key_make(struct key *key, struct span from, char *text, uint16_t *back)
{
    struct writer w = { .p = text, .room = mailsrv__key_octets(from) };
    write_folded(from, &w);
    key->n = (uint16_t)w.n;
    key->text = text;
    key->back = back;
    for (uint16_t i = 0; i < key->n; i++)
        back[i] = i == 0 ? 0 : next(key, back[i - 1], text[i]);
    for (uint16_t i = 1; i < key->n; i++)
        if (rarity(text[i]) > rarity(text[key->rare]))
            key->rare = i;
}

void mailsrv__keys_decide(struct keys *keys, struct key *key, bool matches)
{
    if (key->match != SEEK_OPEN)
        return;
    key->match = matches ? SEEK_YES : SEEK_NO;
    keys->open--;
}

/* ---- Text ---- */

static void feed(struct keys *keys, struct key *key)
{
    if (key->match != SEEK_OPEN)
        return;
    key->at = 0;
    keys->fed[keys->n_fed++] = key;
}

void mailsrv__keys_end(struct keys *keys)
{
    mailsrv__keys_compare(keys);
    keys->n_fed = 0;
}

void mailsrv__keys_begin(struct keys *keys, bool body)
{
    mailsrv__keys_end(keys);
    for (uint32_t i = 0; i < keys->n_texts; i++)
        if (body || keys->texts[i]->kind == SEEK_TEXT)
            feed(keys, keys->texts[i]);
}

void mailsrv__keys_begin_one(struct keys *keys, struct key *key)
{
    mailsrv__keys_compare(keys);
    if (key->n == 0)
        mailsrv__keys_decide(keys, key, true);
    feed(keys, key);
}

/* Where a match may begin, from `p` on: its rarest octet tells.  Of what is behind `end` nothing is known yet. */
static const char *find_begin(const struct key *key, const char *p, const char *end)
{
    const char *found = NULL;
    if (end - p > key->rare) {
        found = memchr(p + key->rare, key->text[key->rare], (size_t)(end - p) - key->rare);
        if (found != NULL)
            return found - key->rare;
        p = end - key->rare;
    }
    found = memchr(p, key->text[0], (size_t)(end - p));
    return found == NULL ? end : found;
}

static void compare(struct keys *keys, struct key *key)
{
    const char *p = keys->folded, *end = p + keys->folded_n;
    uint16_t at = key->at;
    while (at != key->n) {
        if (at == 0)
            p = find_begin(key, p, end);
        if (p == end)
            break;
        at = next(key, at, *p++);
    }
    key->at = at;
    if (at == key->n)
        mailsrv__keys_decide(keys, key, true);
}

/* Where a match may begin that ends before `end`, as its rarest octet tells; NULL: nowhere. */
static const char *find_whole(const struct key *key, const char *p, const char *end)
{
    if ((size_t)(end - p) < key->n)
        return NULL;
    const char *rare = memchr(p + key->rare, key->text[key->rare], (size_t)(end - p) - key->n + 1);
    return rare == NULL ? NULL : rare - key->rare;
}

bool mailsrv__key_is_in(const struct key *key, struct span text)
{
    const char *p = text.p, *end = p + text.n;
    uint16_t at = 0;
    while (at != key->n && p != end) {
        if (at == 0 && (p = find_whole(key, p, end)) == NULL)
            return false;
        at = next(key, at, *p++);
    }
    return at == key->n;
}

void mailsrv__keys_compare(struct keys *keys)
{
    for (uint32_t i = 0; keys->folded_n != 0 && i < keys->n_fed; i++)
        if (keys->fed[i]->match == SEEK_OPEN)
            compare(keys, keys->fed[i]);
    keys->folded_n = 0;
}

/* For a character more. */
static void make_room(struct keys *keys)
{
    if (SEEK_FOLDED_ROOM - keys->folded_n >= 4)
        return;
    mailsrv__keys_compare(keys);
    keys->spilled = true;
}

/* Eight characters of ASCII at a time: adding lets the high bit rise from 'A' on, and behind 'Z'. */
static uint64_t fold_word(uint64_t word)
{
    uint64_t upper = ((word + WORD_ONES * (0x80 - 'A')) ^ (word + WORD_ONES * (0x7F - 'Z'))) & WORD_HIGH;
    uint64_t no_tab = ((word ^ WORD_ONES * '\t') + WORD_ONES * 0x7F) & WORD_HIGH;
    return word + (upper >> 2) + ((no_tab ^ WORD_HIGH) >> 7) * (' ' - '\t');
}

/* From `p` to `to`, up to the first that is none. */
static size_t fold_ascii(const char *p, size_t n, char *to)
{
    size_t i = 0;
    for (; n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word = mailsrv__word(p + i);
        if ((word & WORD_HIGH) != 0)
            break;
        word = fold_word(word);
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < n && (uint8_t)p[i] < 0x80; i++)
        to[i] = (char)folded((uint8_t)p[i]);
    return i;
}

size_t mailsrv__keys_ascii(struct keys *keys, struct span octets)
{
    size_t n = 0, some = 1;
    while (n != octets.n && some != 0) {
        size_t room = SEEK_FOLDED_ROOM - keys->folded_n, most = octets.n - n < room ? octets.n - n : room;
        some = fold_ascii(octets.p + n, most, keys->folded + keys->folded_n);
        keys->folded_n += some;
        n += some;
        make_room(keys);
    }
    return n;
}

static void write_char(struct keys *keys, uint32_t c)
{
    struct writer w = { .p = keys->folded, .n = keys->folded_n, .room = SEEK_FOLDED_ROOM };
    mailsrv__write_utf8(&w, folded(c));
    keys->folded_n = w.n;
}

void mailsrv__keys_char(void *ctx, uint32_t c)
{
    struct keys *keys = ctx;
    if (c < 0x80) /* most of all text */
        keys->folded[keys->folded_n++] = (char)folded(c);
    else
        write_char(keys, c);
    make_room(keys);
}

void mailsrv__keys_words(struct keys *keys, struct words *words, struct span text)
{
    while (text.n != 0) {
        size_t n = 0;
        if (mailsrv__words_are_plain(words)) {
            const char *equals = memchr(text.p, '=', text.n);
            n = equals == NULL ? text.n : (size_t)(equals - text.p);
            n = mailsrv__keys_ascii(keys, mailsrv__span_first(text, n));
        }
        if (n == 0)
            mailsrv__words_take(words, text.p[n++]);
        text = mailsrv__span_after(text, n);
    }
}
