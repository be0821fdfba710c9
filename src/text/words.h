/* Text of a header field with encoded words in it (RFC 2047), read into Unicode as it streams past, unfolded.
 *
 * Words are taken wherever they stand, also within quotation marks or other text, of up to WORD_OCTETS_MAX octets, and
 * with blanks in them (a field was folded there): senders write all of these, though section 5 allows none.  Blanks
 * between two words go (section 6.2), and a character may begin in one and end in the next.  What is no word stays as
 * it is, read as UTF-8 (RFC 6532 section 3.2).
 */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H

#include "text/charset.h"

enum { WORD_OCTETS_MAX = 1024 };

struct words {
    void (*on_char)(void *ctx, uint32_t c);
    void *ctx;
    struct charset_reader plain, inside;
    bool behind;     /* a word has ended, and only blanks came since */
    uint32_t blanks; /* these */
    uint8_t at;      /* within a word */
    uint16_t text;   /* where its encoded text begins */
    uint16_t n;
    char word[WORD_OCTETS_MAX];
};

/* A field begins.  Each of its characters goes to `on_char`. */
void mailsrv__words_begin(struct words *w, void (*on_char)(void *ctx, uint32_t c), void *ctx);

void mailsrv__words_take(struct words *w, char c);

/* Is a character of ASCII, if it comes next, what it stands for, and nothing changes with it?  Each but "=" is. */
static inline bool mailsrv__words_are_plain(const struct words *w)
{
    return w->n == 0 && !w->behind && mailsrv__charset_is_ascii(&w->plain);
}

/* The field has ended. */
void mailsrv__words_end(struct words *w);

#endif
