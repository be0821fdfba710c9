#define _GNU_SOURCE
#include "corpus.h"

#include "random.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum kind { PLAIN, ALTERNATIVE, ATTACHMENT };

enum {
    LINE_LETTERS = 72,
    INDEX_LETTERS = 60,
    LETTERS_OF_DICE = 10, /* of base64 */
    DATE_OCTETS = 33,     /* with its CRLF */
    LAST_LINES = 150,     /* octets of the two lines that end a part */
    DOTS_OF = 40,         /* lines to one with a dot */
    TWO_PARTS_MIN = 1536, /* octets of a message that has parts */
    BASE64_LINE = 76,     /* RFC 2045 section 6.8 */
    TEXT_MAX = 2048,      /* octets beside an attachment */
    FIRST_DATE = 1700000000,
    BETWEEN_S = 37,
    LARGEST = 64, /* times as large, of mixed messages */
};

static const char *const words[] = {
    "about", "account", "after", "again", "agenda", "agreed", "already", "also", "and", "answer", "april", "are", "as",
    "at", "attached", "back", "be", "because", "been", "before", "both", "budget", "but", "by", "call", "can", "change",
    "check", "clear", "client", "come", "confirm", "contract", "could", "date", "day", "deadline", "deliver", "design",
    "details", "did", "document", "done", "draft", "each", "early", "evening", "every", "figures", "file", "final",
    "find", "first", "for", "forward", "friday", "from", "get", "give", "good", "great", "had", "have", "hear", "hello",
    "help", "here", "his", "hope", "hours", "how", "if", "in", "invoice", "is", "it", "its", "june", "just", "keep",
    "know", "last", "late", "let", "like", "list", "little", "long", "look", "made", "mail", "make", "march", "may",
    "me", "meeting", "minutes", "monday", "month", "more", "morning", "much", "my", "need", "new", "next", "no", "not",
    "note", "number", "of", "offer", "office", "on", "one", "only", "open", "or", "order", "other", "our", "out",
    "over", "page", "paper", "part", "people", "plan", "please", "point", "project", "proposal", "quarter", "question",
    "read", "ready", "reply", "report", "review", "right", "room", "same", "schedule", "see", "send", "set", "she",
    "should", "sign", "since", "so", "some", "soon", "still", "such", "sure", "table", "take", "team", "than", "thanks",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "time", "to", "today", "tomorrow", "two",
    "under", "until", "up", "update", "us", "very", "version", "was", "we", "week", "well", "were", "what", "when",
    "where", "which", "while", "who", "will", "with", "work", "would", "year", "yes", "yesterday", "you", "your",
};
static const char *const names[] = { "Ada", "Berta", "Carl", "Dora", "Emil", "Frida", "Georg", "Hanna", "Ivan", "Julia",
    "Karl", "Lena", "Maria", "Nils", "Olga", "Peter" };
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Where text is written, and where it must end. */
struct pen {
    char *at, *end;
    struct dice dice;
};

static const char *pick(struct pen *pen, const char *const *of, size_t n)
{
    return of[dice_below(&pen->dice, (uint32_t)n)];
}
#define PICK(pen, of) pick(pen, of, sizeof(of) / sizeof *(of))

static void put(struct pen *pen, const char *text, size_t n)
{
    assert((size_t)(pen->end - pen->at) >= n);
    memcpy(pen->at, text, n);
    pen->at += n;
}

static void puts_(struct pen *pen, const char *text)
{
    put(pen, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void print(struct pen *pen, const char *format, ...)
{
    char line[256];
    va_list more;
    va_start(more, format);
    int n = vsnprintf(line, sizeof line, format, more);
    va_end(more);
    assert(n >= 0 && (size_t)n < sizeof line);
    put(pen, line, (size_t)n);
}

/* ---- Bodies ---- */

static void line_of_words(struct pen *pen)
{
    const char *const start = pen->at;
    if (dice_below(&pen->dice, DOTS_OF) == 0)
        puts_(pen, dice_below(&pen->dice, 4) == 0 ? ".. " : ".");
    const size_t letters = 20 + dice_below(&pen->dice, LINE_LETTERS - 20);
    for (;;) {
        const char *word = PICK(pen, words);
        size_t n = strlen(word);
        if ((size_t)(pen->at - start) + n > letters)
            break;
        put(pen, word, n);
        put(pen, " ", 1);
    }
    pen->at[-1] = '.';
    put(pen, "\r\n", 2);
}

static void line_until(struct pen *pen, const char *end)
{
    assert(end - pen->at >= 2);
    for (; end - pen->at > 2; pen->at++)
        *pen->at = "thank you "[(end - pen->at) % 10];
    put(pen, "\r\n", 2);
}

/* Ends exactly at `end`; the last two lines are as long as they must be. */
static void text_until(struct pen *pen, const char *end)
{
    while (end - pen->at > LAST_LINES)
        line_of_words(pen);
    if (end - pen->at > LAST_LINES / 2)
        line_until(pen, end - (end - pen->at) / 2);
    line_until(pen, end);
}

static void letters_of_base64(struct pen *pen, size_t n)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++, bits >>= 6) {
        if (i % LETTERS_OF_DICE == 0)
            bits = dice_next(&pen->dice);
        *pen->at++ = base64[bits & 63];
    }
}

static void lines_of_base64(struct pen *pen, size_t lines)
{
    for (; lines != 0; lines--) {
        letters_of_base64(pen, BASE64_LINE);
        put(pen, "\r\n", 2);
    }
}

static void alternative(struct pen *pen, uint32_t boundary)
{
    static const char html[] = "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
                               "<html><body><p>\r\n";
    static const char end[] = "</p></body></html>\r\n\r\n--=_%08x--\r\n";
    const size_t third = (size_t)(pen->end - pen->at) / 3, end_n = sizeof end - 1 - 4 + 8;
    char *const stop = pen->end - end_n;
    print(pen, "--=_%08x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
          boundary);
    text_until(pen, pen->at + third);
    print(pen, "\r\n--=_%08x\r\n", boundary);
    puts_(pen, html);
    text_until(pen, stop);
    print(pen, end, boundary);
}

static void attachment(struct pen *pen, uint32_t boundary)
{
    static const char type[] = "Content-Type: application/pdf; name=\"report.pdf\"\r\n"
                               "Content-Disposition: attachment; filename=\"report.pdf\"\r\n"
                               "Content-Transfer-Encoding: base64\r\n\r\n";
    print(pen, "--=_%08x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n",
          boundary);
    const size_t around = 2 * (4 + 11 + 2) + sizeof type - 1, rest = (size_t)(pen->end - pen->at) - around;
    const size_t text_min = rest / 4 < TEXT_MAX ? rest / 4 : TEXT_MAX;
    const size_t lines = (rest - text_min) / (BASE64_LINE + 2);
    text_until(pen, pen->at + (rest - lines * (BASE64_LINE + 2)));
    print(pen, "\r\n--=_%08x\r\n", boundary);
    puts_(pen, type);
    lines_of_base64(pen, lines);
    print(pen, "\r\n--=_%08x--\r\n", boundary);
}

/* Which is large hangs on other digits than what it is made of. */
static size_t octets_of(const struct corpus *corpus, uint32_t body)
{
    const uint32_t place = body / 10 % 10 * 2 + body % 2;
    return corpus->octets * (!corpus->mixed || place < 10 ? 1 : place < 16 ? 4 : place < 19 ? 16 : LARGEST);
}

static enum kind kind_of(const struct corpus *corpus, uint32_t body)
{
    const uint32_t digit = body % 10;
    return octets_of(corpus, body) < TWO_PARTS_MIN || digit < 6 ? PLAIN : digit < 9 ? ALTERNATIVE : ATTACHMENT;
}

static uint32_t boundary_of(const struct corpus *corpus, uint32_t body)
{
    struct dice dice = dice_of(~corpus->seed, body);
    return (uint32_t)dice_next(&dice);
}

static struct text stuffed(struct text plain)
{
    size_t dots = plain.n != 0 && plain.p[0] == '.';
    for (const char *p = plain.p; (p = memmem(p, plain.n - (size_t)(p - plain.p), "\n.", 2)) != NULL; p++)
        dots++;
    char *to = malloc(plain.n + dots), *at = to;
    if (to == NULL)
        return (struct text){ NULL, 0 };
    for (size_t i = 0; i < plain.n; i++) {
        if (plain.p[i] == '.' && (i == 0 || plain.p[i - 1] == '\n'))
            *at++ = '.';
        *at++ = plain.p[i];
    }
    return (struct text){ to, plain.n + dots };
}

static struct text make_body(const struct corpus *corpus, uint32_t body)
{
    const size_t n = octets_of(corpus, body) - CORPUS_HEADER;
    char *room = malloc(n);
    if (room == NULL)
        return (struct text){ NULL, 0 };
    struct pen pen = { room, room + n, dice_of(corpus->seed, (uint64_t)body << 32) };
    const enum kind kind = kind_of(corpus, body);
    if (kind == PLAIN)
        text_until(&pen, pen.end);
    else
        (kind == ALTERNATIVE ? alternative : attachment)(&pen, boundary_of(corpus, body));
    assert(pen.at == pen.end);
    struct text made = { room, n };
    if (!corpus->stuffed)
        return made;
    struct text sent = stuffed(made);
    free(room);
    return sent;
}

static uint32_t body_of(const struct corpus *corpus, uint64_t number)
{
    struct dice dice = dice_of(corpus->seed, number);
    return dice_below(&dice, corpus->n_bodies);
}

/* ---- Headers ---- */

static void put_date(struct pen *pen, uint64_t number)
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
    };
    const time_t when = (time_t)(FIRST_DATE + (number % 10000000) * BETWEEN_S);
    const char *const before = pen->at;
    struct tm t;
    (void)before;
    gmtime_r(&when, &t);
    print(pen, "%s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
          t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    assert(pen->at - before == DATE_OCTETS);
}

static void put_subject(struct pen *pen, uint64_t number)
{
    print(pen, "Subject: %s[#%llu]", dice_below(&pen->dice, 3) == 0 ? "Re: " : "", (unsigned long long)number);
    for (uint32_t n = 2 + dice_below(&pen->dice, 4); n != 0; n--) {
        put(pen, " ", 1);
        puts_(pen, PICK(pen, words));
    }
    put(pen, "\r\n", 2);
}

static void put_type(struct pen *pen, enum kind kind, uint32_t boundary)
{
    puts_(pen, "MIME-Version: 1.0\r\n");
    if (kind == PLAIN)
        puts_(pen, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n");
    else
        print(pen, "Content-Type: multipart/%s;\r\n\tboundary=\"=_%08x\"\r\n",
              kind == ALTERNATIVE ? "alternative" : "mixed", boundary);
}

/* A field as some clients write it; it takes what room is left. */
static void put_index(struct pen *pen)
{
    char *const stop = pen->end - 4;
    puts_(pen, "Thread-Index: ");
    for (ptrdiff_t rest = stop - pen->at; rest != 0; rest = stop - pen->at) {
        const size_t letters = rest > INDEX_LETTERS + 8 ? INDEX_LETTERS : (size_t)rest;
        letters_of_base64(pen, letters);
        if (pen->at != stop)
            puts_(pen, "\r\n\t");
    }
    puts_(pen, "\r\n\r\n");
}

void corpus_header(const struct corpus *corpus, uint64_t number, char *to)
{
    struct pen pen = { to, to + CORPUS_HEADER, dice_of(corpus->seed, number) };
    const uint32_t body = body_of(corpus, number);
    const unsigned long long id = dice_next(&pen.dice);
    const char *from = PICK(&pen, names), *name = PICK(&pen, names), *rcpt = PICK(&pen, names);
    print(&pen,
          "Received: from mail.remote.test (mail.remote.test [192.0.2.%u])\r\n\tby mx.here.test with ESMTPS "
          "id %012llx;\r\n\t",
          dice_below(&pen.dice, 256), id >> 16);
    put_date(&pen, number);
    const char *const date = pen.at - DATE_OCTETS;
    puts_(&pen, "Date: ");
    put(&pen, date, DATE_OCTETS);
    print(&pen, "From: %s %s <%s.%s@remote.test>\r\nTo: \"%s\" <%s@here.test>\r\n", from, name, from, name, rcpt, rcpt);
    put_subject(&pen, number);
    print(&pen, "Message-ID: <%016llx.%llu@remote.test>\r\n", id, (unsigned long long)number);
    put_type(&pen, kind_of(corpus, body), boundary_of(corpus, body));
    put_index(&pen);
    assert(pen.at == pen.end);
}

/* ---- All of them ---- */

static uint32_t bodies_in(size_t octets)
{
    const size_t many = CORPUS_ROOM / octets;
    return many >= CORPUS_BODIES_MAX ? CORPUS_BODIES_MAX : many == 0 ? 1 : (uint32_t)many;
}

void corpus_init(struct corpus *corpus, uint64_t seed, size_t octets, bool as_sent)
{
    assert(octets >= CORPUS_OCTETS_MIN);
    *corpus = (struct corpus){ .seed = seed, .octets = octets, .stuffed = as_sent };
    corpus->n_bodies = bodies_in(octets);
}

void corpus_mix(struct corpus *corpus)
{
    corpus->mixed = true;
    corpus->n_bodies = bodies_in(corpus->octets * LARGEST);
}

size_t corpus_octets(const struct corpus *corpus, uint64_t number)
{
    return octets_of(corpus, body_of(corpus, number));
}

void corpus_fini(struct corpus *corpus)
{
    for (uint32_t i = 0; i < corpus->n_bodies; i++)
        free((void *)(uintptr_t)corpus->bodies[i].p);
}

struct text corpus_body(struct corpus *corpus, uint64_t number)
{
    struct text *body = &corpus->bodies[body_of(corpus, number)];
    if (body->p == NULL)
        *body = make_body(corpus, (uint32_t)(body - corpus->bodies));
    return *body;
}
