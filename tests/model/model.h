/* A model of what clients know: many sessions look at one mailbox; each does commands at random, answers come late and
 * shuffled, some fail, pages are short, history is forgotten, and so is what is gone.  Whatever a view tells is done to
 * a client's list, and everything that the client then believes must be true. */
#ifndef MODEL_H
#define MODEL_H

#include "mailbox/view.h"

#include "truth.h"

#include <mailsrv/ask.h>

enum { SESSIONS = 24, ENGINES = 2, HELD_MAX = 128, TURNS_MAX = 100000 };
enum { PHASE_STEPS = 400 }; /* between two times when everybody comes to rest */

enum doing { OUT, LOADING, IDLE, WRITING, SYNCING, TELLING };

struct msg {
    uint32_t uid;
    struct marks marks;
    uint32_t base; /* changes of the row when it was last told */
    uint32_t own;  /* silent changes of its own since */
    bool clean;    /* `base` counts what the client knows */
};

struct session {
    struct view view;
    int engine;
    bool slow, rested, recalling;
    enum doing doing;
    enum tells tells;
    mailsrv_asked *question;
    int32_t kind;
    uint32_t write;
    bool silent;
    struct silent_ask ask;
    mailsrv_run run;
    mailsrv_bytes name;
    struct msg list[ROWS_MAX];
    uint32_t n;
    uint64_t highest;
};

/* Taken, and not yet answered. */
struct held {
    mailsrv_engine *engine;
    const mailsrv_op *op;
};

/* What one thread does. */
struct model {
    struct truth *truth;
    mailsrv_engine *engines[ENGINES];
    mailsrv_asked *stores[ENGINES], *mboxes[ENGINES];
    uint64_t handles[ENGINES];
    struct session sessions[SESSIONS];
    struct held held[HELD_MAX];
    uint32_t n_held;
    int n_engines, n_sessions;
    bool resting, finishing; /* no new mail; no new commands */
    int64_t now_us;
    uint64_t random, step;
    const char *fault;
    uint64_t told[6]; /* by kind */
    uint64_t forgotten, recalled, lost, kept, sized;
};

uint32_t below(struct model *m, uint32_t n);
bool expect(struct model *m, bool good, const char *text);

/* ---- client.c ---- */
void client_grows(struct model *m, struct session *s, uint32_t exists); /* it fetches what it does not know */
void client_hears(struct model *m, struct session *s, const struct told *told);
/* Everything is told that was to be. */
void client_rests(struct model *m, struct session *s);
void client_stores(struct model *m, struct session *s, uint64_t modseq); /* it takes its own silent change for done */
/* Nothing happens any more, and everybody was told everything: lists are what the store has. */
void clients_compare(struct model *m);

/* ---- session.c ---- */
void session_moves(struct model *m, struct session *s);
void session_goes(struct model *m, struct session *s);

/* ---- world.c ---- */

/* `n_sessions` sessions on `n_engines` engines over the store of `truth`. */
void world_begin(struct model *m, struct truth *truth, uint64_t seed, int n_engines, int n_sessions);
void world_act(struct model *m);
void world_turns_knobs(struct model *m);
void world_empties(struct model *m); /* everybody who rests may leave, so that images are kept */

/* The commands that go on come to their end; then everybody is told everything. */
void world_finishes(struct model *m);
void world_rests(struct model *m);

/* Everybody leaves, and everything is answered; then the engines end. */
void world_leaves(struct model *m);
void world_ends(struct model *m);

#endif
