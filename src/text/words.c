#include "text/words.h"

#include "text/transfer.h"

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?="   RFC 2047 section 2 */
enum { AT_TEXT, AT_BEGIN, AT_CHARSET, AT_ENCODING, AT_ENCODING_END, AT_ENCODED };

void mailsrv__words_begin(struct words *w, void (*on_char)(void *ctx, uint32_t c), void *ctx)
{
    w->on_char = on_char;
    w->ctx = ctx;
    w->behind = false;
    w->blanks = 0;
    w->at = AT_TEXT;
    w->n = 0;
    mailsrv__charset_begin(&w->plain, (struct charset){ CHARSET_UTF8, NULL });
    w->inside = w->plain;
}

/* ---- Characters ---- */

static void read_octet(struct words *w, struct charset_reader *r, char octet)
{
    uint32_t chars[CHARSET_CHARS_MAX];
    unsigned n = mailsrv__charset_take(r, (uint8_t)octet, chars);
    for (unsigned i = 0; i < n; i++)
        w->on_char(w->ctx, chars[i]);
}

static void end_reader(struct words *w, struct charset_reader *r)
{
    uint32_t chars[CHARSET_CHARS_MAX];
    if (mailsrv__charset_end(r, chars) != 0)
        w->on_char(w->ctx, chars[0]);
}

/* No other word follows the last one: blanks behind it are text. */
static void leave_words(struct words *w)
{
    if (!w->behind)
        return;
    w->behind = false;
    end_reader(w, &w->inside);
    for (; w->blanks != 0; w->blanks--)
        read_octet(w, &w->plain, ' ');
}

/* ---- The text of a word ---- */

/* The Q encoding (section 4.2). */
static void read_q(struct words *w, struct span text)
{
    while (text.n != 0) {
        char c = text.p[0] == '_' ? ' ' : text.p[0];
        bool escaped =
            c == '=' && text.n > 2 && mailsrv__hex_digit(text.p[1]) < 16 && mailsrv__hex_digit(text.p[2]) < 16;
        if (escaped)
            c = (char)(mailsrv__hex_digit(text.p[1]) << 4 | mailsrv__hex_digit(text.p[2]));
        read_octet(w, &w->inside, c);
        text = mailsrv__span_after(text, escaped ? 3 : 1);
    }
}

/* The B encoding is that of base64 (section 4.1). */
static void read_b(struct words *w, struct span text)
{
    struct transfer t;
    char room[2 * TRANSFER_ROOM_MIN];
    mailsrv__transfer_begin(&t, TRANSFER_BASE64);
    while (text.n != 0) {
        struct writer out = { .p = room, .room = sizeof room };
        mailsrv__transfer_take(&t, &text, &out);
        for (size_t i = 0; i < out.n; i++)
            read_octet(w, &w->inside, room[i]);
    }
}

/* charset ["*" language]   RFC 2231 section 5 */
static struct charset charset_of(const struct words *w)
{
    struct span name = { w->word + 2, (size_t)w->text - 5 };
    const char *star = memchr(name.p, '*', name.n);
    return mailsrv__charset(mailsrv__span_first(name, star == NULL ? name.n : (size_t)(star - name.p)));
}

static void end_word(struct words *w)
{
    struct charset charset = charset_of(w);
    struct span text = { w->word + w->text, (size_t)w->n - w->text - 2 };
    end_reader(w, &w->plain);
    if (!w->behind || !mailsrv__charset_equal(charset, w->inside.charset)) {
        end_reader(w, &w->inside);
        mailsrv__charset_begin(&w->inside, charset);
    }
    if (mailsrv__upper(w->word[w->text - 2]) == 'Q')
        read_q(w, text);
    else
        read_b(w, text);
    w->behind = true;
    w->blanks = 0;
    w->at = AT_TEXT;
    w->n = 0;
}

/* ---- What is a word ---- */

/* What was held for one is none. */
static void give_up(struct words *w)
{
    leave_words(w);
    for (uint16_t i = 0; i < w->n; i++)
        read_octet(w, &w->plain, w->word[i]);
    w->n = 0;
    w->at = AT_TEXT;
}

static void take_text(struct words *w, char c)
{
    if (w->behind && (c == ' ' || c == '\t')) {
        w->blanks++;
        return;
    }
    if (c == '=') {
        w->word[w->n++] = c;
        w->at = AT_BEGIN;
        return;
    }
    leave_words(w);
    read_octet(w, &w->plain, c);
}

/* Of a charset's name (section 2: token). */
static bool is_token(char c)
{
    return c > ' ' && c != 0x7F && memchr("()<>@,;:\"/[]?.=", c, 15) == NULL;
}

/* May that octet come next in a word? */
static bool fits(struct words *w, char c)
{
    switch (w->at) {
    case AT_BEGIN:
        w->at = AT_CHARSET;
        return c == '?';
    case AT_CHARSET:
        if (c == '?' && w->n > 2)
            w->at = AT_ENCODING;
        return c == '?' ? w->n > 2 : is_token(c);
    case AT_ENCODING:
        w->at = AT_ENCODING_END;
        return mailsrv__upper(c) == 'Q' || mailsrv__upper(c) == 'B';
    case AT_ENCODING_END:
        w->at = AT_ENCODED;
        w->text = (uint16_t)(w->n + 1);
        return c == '?';
    default:
        return true;
    }
}

void mailsrv__words_take(struct words *w, char c)
{
    bool held = w->at != AT_TEXT;
    if (held && (w->n == WORD_OCTETS_MAX || !fits(w, c))) {
        give_up(w);
        held = false;
    }
    if (!held) {
        take_text(w, c);
        return;
    }
    w->word[w->n++] = c;
    if (w->at == AT_ENCODED && c == '=' && w->n >= w->text + 2 && w->word[w->n - 2] == '?')
        end_word(w);
}

void mailsrv__words_end(struct words *w)
{
    give_up(w);
    end_reader(w, &w->plain);
}
