/* What the engines of all threads, and the store, have counted. */
#ifndef MAILSERVERD_FIGURES_H
#define MAILSERVERD_FIGURES_H

#include <mailsrv/mailsrv.h>

#include <stdbool.h>
#include <stdio.h>

enum { FIGURE_GROUPS = 6 }; /* operations, and each face */

struct series {
    mailsrv_tally sum;
    uint64_t buckets[MAILSRV_BUCKETS]; /* by microseconds */
};

#define FIGURE_STATS 22

struct figures {
    uint64_t stats[FIGURE_STATS]; /* by figure_stats */
    mailsrv_face_stats faces[FIGURE_GROUPS];
    struct series series[FIGURE_GROUPS][MAILSRV_TALLIES]; /* sum.name NULL: there is none */
};

/* A number that the engine or the store has under a key, and what it is called here: words with _ between them. */
struct figure_stat {
    const char *name;
    int32_t key;
};
extern const struct figure_stat figure_stats[FIGURE_STATS];

/* "operations", and what the configuration calls the protocols. */
extern const char *const figure_groups[FIGURE_GROUPS];

/* Begins to count, before the first session. */
int32_t figures_count(mailsrv_engine *engine);

/* Adds what an engine has counted, on its thread: one group at a time, from 0 on, since each face looks at all sessions
 * (a fifth of a millisecond for 10,000).  False: that was the last one. */
bool figures_add(struct figures *figures, const mailsrv_engine *engine, int32_t group);

/* Shows them, as tables or as one object of JSON; `store` by mailsrv_durable_stat. */
void figures_show(const struct figures *figures, mailsrv_store *store, FILE *out);
void figures_show_json(const struct figures *figures, mailsrv_store *store, FILE *out);

#endif
