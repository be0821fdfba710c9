/* Messages that are a function of a seed and of their number.
 *
 * Each has exactly as many octets as it shall.  Of ten, six are plain text, three have the same in two forms
 * (multipart/alternative), one has an attachment; what is smaller than two parts can be has one.  A line in some forty
 * begins with a dot, so that who sends has something to stuff (RFC 5321 section 4.5.2).
 *
 * Mixed, ten of twenty are as large as it is said, six four times, three sixteen times, one sixty-four times as large.
 *
 * The header differs from message to message.  Bodies are made once and used again: a hundred of them, or as many as
 * CORPUS_ROOM octets hold, at least one.  One thread at a time. */
#ifndef LOAD_CORPUS_H
#define LOAD_CORPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CORPUS_HEADER = 768,      /* octets of each header, its empty line included */
    CORPUS_OCTETS_MIN = 1024, /* of a message */
    CORPUS_BODIES_MAX = 100,
    CORPUS_ROOM = 64 * 1024 * 1024, /* octets of all bodies, where there is more than one */
};

struct text {
    const char *p;
    size_t n;
};

struct corpus {
    uint64_t seed;
    size_t octets; /* of a message, before dots are stuffed; mixed: of a small one */
    bool stuffed, mixed;
    uint32_t n_bodies;
    struct text bodies[CORPUS_BODIES_MAX]; /* p is NULL until one is wanted */
};

/* `stuffed`: bodies are given as SMTP and LMTP carry them, without the line that ends them. */
void corpus_init(struct corpus *corpus, uint64_t seed, size_t octets, bool stuffed);
void corpus_fini(struct corpus *corpus);

/* Before anything is taken from it. */
void corpus_mix(struct corpus *corpus);

/* Of a message as it was before dots were stuffed. */
size_t corpus_octets(const struct corpus *corpus, uint64_t number);

/* Writes the CORPUS_HEADER octets of a message's header. */
void corpus_header(const struct corpus *corpus, uint64_t number, char *to);

/* What follows it; it lives as long as the corpus.  p is NULL where there is no memory for it. */
struct text corpus_body(struct corpus *corpus, uint64_t number);

#endif
