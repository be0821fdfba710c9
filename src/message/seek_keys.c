#include "message/seeking.h"

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

void mailsrv__key_make(struct key *key, struct span from, char *text, uint16_t *back)
{
    struct writer w = { .p = text, .room = mailsrv__key_octets(from) };
    write_folded(from, &w);
    key->n = (uint16_t)w.n;
    key->text = text;
    key->back = back;
    for (uint16_t i = 0; i < key->n; i++)
        back[i] = i == 0 ? 0 : next(key, back[i - 1], text[i]);
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

void mailsrv__keys_begin(struct keys *keys, bool body)
{
    mailsrv__keys_compare(keys);
    keys->n_fed = 0;
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

static void compare(struct keys *keys, struct key *key)
{
    const char *p = keys->folded, *end = p + keys->folded_n;
    uint16_t at = key->at;
    while (p != end && at != key->n) {
        if (at == 0 && (p = memchr(p, key->text[0], (size_t)(end - p))) == NULL)
            break;
        at = next(key, at, *p++);
    }
    key->at = at;
    if (at == key->n)
        mailsrv__keys_decide(keys, key, true);
}

void mailsrv__keys_compare(struct keys *keys)
{
    for (uint32_t i = 0; keys->folded_n != 0 && i < keys->n_fed; i++)
        if (keys->fed[i]->match == SEEK_OPEN)
            compare(keys, keys->fed[i]);
    keys->folded_n = 0;
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
        keys->folded[keys->folded_n++] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c == '\t' ? ' ' : c);
    else
        write_char(keys, c);
    if (SEEK_FOLDED_ROOM - keys->folded_n < 4)
        mailsrv__keys_compare(keys);
}
