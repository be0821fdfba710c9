/* A configuration while it is read: what the files that know its sections share. */
#ifndef MAILSERVERD_READING_H
#define MAILSERVERD_READING_H

#include "config.h"

/* A file while it is read. */
struct reading {
    struct config *config;
    FILE *file, *err;
    unsigned line, section_line, mistakes;
    const struct key *key;           /* that is being taken */
    unsigned begun_line;             /* of the section whose keys are being taken */
    struct listener *listener;       /* whose section this is */
    struct certificate *certificate; /* the same */
    struct route *route;             /* the same */
    char *text;                      /* of the line */
    size_t room;
};

typedef bool take_fn(struct reading *r, void *to, const char *value);

struct key {
    const char *name;
    take_fn *take;
    size_t offset; /* of its value in the struct of its section */
    const char *expected;
    uint64_t least, most; /* of a number */
};

#define N_KEYS(keys) (sizeof(keys) / sizeof *(keys))

/* FILE:LINE: KEY: what was expected. */
void reading_mistake(struct reading *r, unsigned line, const char *key, const char *expected, const char *given);

/* Takes a key of a section, or says what is wrong with it. */
void reading_take(struct reading *r, const struct key *keys, size_t n, void *section, const char *name,
                  const char *value);

/* ---- Values: each function is one kind of them ---- */

bool reading_text(char *to, size_t room, const char *value);
take_fn reading_word, reading_path, reading_domain, reading_flag, reading_bounded;

/* Each word between spaces; the key may also stand again. */
bool reading_words(struct reading *r, const char *value, bool (*take)(struct reading *r, const char *word));

/* ---- [queue] and [route NAME]; config_out.c ---- */

void reading_queue(struct reading *r, const char *name, const char *value);
bool reading_route_begins(struct reading *r, const char *name);
void reading_route(struct reading *r, const char *name, const char *value);
void reading_check_outgoing(struct reading *r);

/* relay-networks of [server] */
take_fn reading_networks;

#endif
