#include "mailbox/texts.h"

#include <string.h>

enum { BLOCK_LEAST = 1024, BLOCK_MOST = 16 * 1024, BLOCKS_FIRST = 8, BLOCKS_MAX = 8192 };

/* An entry: its UID, its octets or what stands for their number, and these. */
enum { HEAD_OCTETS = 6, IS_ABSENT = 0xFFFF, IS_ELSEWHERE = 0xFFFE };

struct text_block {
    uint32_t first; /* UID */
    uint32_t n, room;
    char octets[];
};

static uint32_t uid_at(const struct text_block *b, uint32_t at)
{
    uint32_t uid;
    memcpy(&uid, b->octets + at, sizeof uid);
    return uid;
}

static uint16_t number_at(const struct text_block *b, uint32_t at)
{
    uint16_t n;
    memcpy(&n, b->octets + at + sizeof(uint32_t), sizeof n);
    return n;
}

static uint32_t end_of(const struct text_block *b, uint32_t at)
{
    uint16_t n = number_at(b, at);
    return at + HEAD_OCTETS + (n < IS_ELSEWHERE ? n : 0);
}

/* ---- Memory ---- */

static size_t octets_of(const struct text_block *b)
{
    return sizeof *b + b->room;
}

static void give(struct texts *t, void *p, size_t n)
{
    mailsrv__heap_give(t->heap, CLASS_TEXTS, NULL, p, n);
}

static void clear(struct texts *t, struct text_shelf *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        give(t, s->blocks[i], octets_of(s->blocks[i]));
    give(t, s->blocks, s->room * sizeof *s->blocks);
    *s = (struct text_shelf){ .made = ++t->made };
}

void mailsrv__texts_init(struct texts *t, struct heap *heap, uint32_t made)
{
    *t = (struct texts){ .heap = heap, .made = made };
    for (uint32_t i = 0; i < TEXT_FIELDS; i++)
        t->shelves[i].made = ++t->made;
}

void mailsrv__texts_clear(struct texts *t)
{
    for (uint32_t i = 0; i < TEXT_FIELDS; i++)
        clear(t, &t->shelves[i]);
}

static bool grow_directory(struct texts *t, struct text_shelf *s)
{
    if (s->n < s->room)
        return true;
    uint32_t room = s->room == 0 ? BLOCKS_FIRST : s->room * 2;
    struct text_block **blocks =
        room > BLOCKS_MAX ? NULL : mailsrv__heap_take_spare(t->heap, CLASS_TEXTS, room * sizeof *blocks);
    if (blocks == NULL)
        return false;
    if (s->n != 0)
        memcpy(blocks, s->blocks, s->n * sizeof *blocks);
    give(t, s->blocks, s->room * sizeof *s->blocks);
    s->blocks = blocks;
    s->room = room;
    return true;
}

/* The block that has room for so many octets more, which are `uid`'s; a small mailbox has small ones.  NULL: none. */
static struct text_block *open_block(struct texts *t, struct text_shelf *s, uint32_t uid, uint32_t n)
{
    struct text_block *b = s->n == 0 ? NULL : s->blocks[s->n - 1];
    if (b != NULL && n <= b->room - b->n)
        return b;
    uint32_t room = b == NULL ? BLOCK_LEAST : b->room * 2;
    room = room > BLOCK_MOST ? BLOCK_MOST : room;
    room = room < n ? BLOCK_MOST : room;
    b = grow_directory(t, s) ? mailsrv__heap_take_spare(t->heap, CLASS_TEXTS, sizeof *b + room) : NULL;
    if (b == NULL)
        return NULL;
    b->first = uid;
    b->room = room;
    s->blocks[s->n++] = b;
    return b;
}

/* ---- Looking ---- */

/* The last block that begins at or before `uid`, among those from `low` on. */
static uint32_t block_of(const struct text_shelf *s, uint32_t low, uint32_t uid)
{
    uint32_t high = s->n - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (s->blocks[middle]->first <= uid)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static enum text_state state_at(const struct text_block *b, uint32_t at, struct span *out)
{
    uint16_t n = number_at(b, at);
    if (n >= IS_ELSEWHERE)
        return n == IS_ABSENT ? TEXT_ABSENT : TEXT_ELSEWHERE;
    *out = (struct span){ b->octets + at + HEAD_OCTETS, n };
    return TEXT_THERE;
}

enum text_state mailsrv__texts_find(const struct texts *t, uint32_t field, uint32_t uid, struct text_place *place,
                                    struct span *out)
{
    const struct text_shelf *s = &t->shelves[field];
    if (uid > s->last)
        return TEXT_UNKNOWN;
    bool stands = place->made == s->made;
    uint32_t i = stands ? place->block : 0;
    if (!stands || (i + 1 < s->n && s->blocks[i + 1]->first <= uid)) {
        *place = (struct text_place){ .made = s->made, .block = block_of(s, i, uid) };
        i = place->block;
    }
    const struct text_block *b = s->blocks[i];
    uint32_t at = place->at;
    while (at != b->n && uid_at(b, at) < uid)
        at = end_of(b, at);
    place->at = at;
    return at != b->n && uid_at(b, at) == uid ? state_at(b, at, out) : TEXT_UNKNOWN;
}

/* ---- Keeping ---- */

/* Are most of its messages not there any more? */
static bool is_stale(const struct text_shelf *s, uint32_t exists)
{
    return s->count / 2 > exists + BLOCK_LEAST / HEAD_OCTETS;
}

/* Two searches may read the same. */
static bool is_there(const struct texts *t, uint32_t field, uint32_t uid)
{
    struct text_place place = { 0, 0, 0 };
    struct span text;
    return mailsrv__texts_find(t, field, uid, &place, &text) != TEXT_UNKNOWN;
}

bool mailsrv__texts_keep(struct texts *t, uint32_t field, uint32_t uid, enum text_state state, struct span text,
                         uint32_t exists)
{
    struct text_shelf *s = &t->shelves[field];
    if (state == TEXT_THERE && text.n > KEPT_OCTETS_MAX)
        state = TEXT_ELSEWHERE;
    if (is_there(t, field, uid))
        return true;
    if (uid <= s->last || is_stale(s, exists))
        clear(t, s);
    uint16_t n = state == TEXT_THERE ? (uint16_t)text.n : state == TEXT_ABSENT ? IS_ABSENT : IS_ELSEWHERE;
    uint32_t octets = HEAD_OCTETS + (state == TEXT_THERE ? n : 0);
    struct text_block *b = open_block(t, s, uid, octets);
    if (b == NULL)
        return false;
    char *p = b->octets + b->n;
    memcpy(p, &uid, sizeof uid);
    memcpy(p + sizeof uid, &n, sizeof n);
    if (octets != HEAD_OCTETS)
        memcpy(p + HEAD_OCTETS, text.p, n);
    b->n += octets;
    s->last = uid;
    s->count++;
    return true;
}
