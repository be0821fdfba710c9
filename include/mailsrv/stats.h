/* mailsrv/stats.h - what an engine counts when its host asks for it: commands, operations, and how long they took.
 *
 * The counters of mailsrv_engine_stat are always there.  These here cost a few additions a command, and memory: about 5
 * KiB, 3 KiB for each face in use, and 1 KiB for each command and each kind of operation that was ever done, charged to
 * the engine.  A program that does not call mailsrv_engine_count links none of it.
 *
 * Time.  The library reads no clock.  Without one from the host a time is taken from the last mailsrv_engine_advance: a
 * command that was read, run and replied to between two of them took 0, and what waited counts in steps of the host's
 * loop.  With one, times are as fine as the clock.
 *
 * Threads: as the engine.  The functions about buckets: any.
 */
#ifndef MAILSRV_STATS_H
#define MAILSRV_STATS_H

#include <mailsrv/engine.h>
#include <mailsrv/profile.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Buckets: how often a value was in which range.  Values below 4 have one each; above, each doubling has 4 of the
 * same width, so that a limit is never more than a quarter above a value.  2^32 and more are in the last one. ---- */

#define MAILSRV_BUCKETS 124 /* how many there are */

/* The bucket of a value: 0 to MAILSRV_BUCKETS - 1. */
MAILSRV_API uint32_t mailsrv_bucket(uint64_t value);

/* The least value that is in no bucket up to this one; UINT64_MAX for the last one, and above. */
MAILSRV_API uint64_t mailsrv_bucket_limit(uint32_t bucket);

/* ---- Counting ---- */

/* How it is counted. */
typedef struct mailsrv_counting {
    uint32_t size;
    uint32_t reserved; /* 0 */
    void *user;        /* the argument of now_us; it lives as long as the engine */
    /* Microseconds of a clock that never goes back, whatever its zero is.  Called twice a command and twice an
     * operation, by every call into the library; it must not call the library.  NULL: the time of the last advance. */
    int64_t (*now_us)(void *user);
} mailsrv_counting;

/* Begins to count, before the first session and the first question; `how` NULL: without a clock.  Once.  MAILSRV_OK,
 * MAILSRV_NOMEM, or MAILSRV_E_USAGE. */
MAILSRV_API int32_t mailsrv_engine_count(mailsrv_engine *engine, const mailsrv_counting *how);

/* ---- Tallies ---- */

/* Groups of them: the commands of a face are in the group MAILSRV_FACE_... (profile.h). */
#define MAILSRV_TALLY_OPERATIONS 0 /* operations, by MAILSRV_OP_... */

#define MAILSRV_TALLIES 64 /* their numbers in a group are below this */

/* Of a command: it begins when its line is known; the SASL exchange of a login, a chunk of BDAT, the message of APPEND
 * and all of IDLE are within their command.  Its time runs from the last octet that the peer had to send for it to the
 * end of its reply.  Behind DATA the message is a command by itself, ".".
 *
 * Of an operation: it begins when it is queued, and ends with its answer. */
typedef struct mailsrv_tally {
    uint32_t size;
    uint32_t reserved;
    const char *name; /* NUL-ended and static: of the command or the kind */
    uint64_t begun;
    uint64_t open;    /* now */
    uint64_t done;    /* with a reply or an answer; those that follow are among them, but for `dropped` */
    uint64_t refused; /* 5yz, BAD, NO or -ERR for good; an answer of -5xx */
    uint64_t failed;  /* 4yz, NO or -ERR that may be another one later; an answer of -2xx or -4xx */
    uint64_t dropped; /* not done: the session ended before; nobody waited for the answer, and it was not asked */
    uint64_t total_us; /* times of what was done, added */
    uint64_t most_us;  /* the longest */
} mailsrv_tally;

/* Fills in as much of `*out` as out->size reaches.  Number 0 of a face is what was no command; others begin at 1 without
 * a hole.  Which number a command has may change with the version; its name does not.
 *
 * MAILSRV_OK; MAILSRV_E_UNKNOWN_KEY: no such group, or none yet, or no such number; MAILSRV_E_USAGE: nothing is counted,
 * or a size below 16. */
MAILSRV_API int32_t mailsrv_engine_tally(const mailsrv_engine *engine, int32_t group, int32_t number,
                                         mailsrv_tally *out);

/* How many of those that are done took a time of this bucket, in microseconds.  0 also where there was no memory for
 * buckets when the first was done. */
MAILSRV_API uint64_t mailsrv_engine_tally_bucket(const mailsrv_engine *engine, int32_t group, int32_t number,
                                                 uint32_t bucket);

/* ---- Faces ---- */

/* Sessions of a face. */
typedef struct mailsrv_face_stats {
    uint32_t size;
    uint32_t reserved;
    uint64_t sessions;   /* alive; each is in one of the five that follow */
    uint64_t shaking;    /* in the handshake of TLS */
    uint64_t resting;    /* its peer is to move */
    uint64_t waiting;    /* for answers of the host */
    uint64_t sending;    /* its peer is to take output first */
    uint64_t ending;     /* it has ended, and is not freed yet */
    uint64_t secure;     /* alive, under TLS */
    uint64_t logged_in;  /* alive, with an account */
    uint64_t began;      /* ever */
    uint64_t octets_in;  /* fed, ever */
    uint64_t octets_out; /* sent, ever */
} mailsrv_face_stats;

/* Fills in as much of `*out` as out->size reaches.  Looks at every session of the engine.  MAILSRV_OK;
 * MAILSRV_E_UNKNOWN_KEY: there was no session of this face; MAILSRV_E_USAGE: nothing is counted, or a size below 16. */
MAILSRV_API int32_t mailsrv_engine_face(const mailsrv_engine *engine, int32_t face, mailsrv_face_stats *out);

#ifdef __cplusplus
}
#endif

#endif
