/* A protocol, as the core sees it, and a session, as a protocol sees it.  A machine includes this, core/ask.h,
 * core/output.h and core/body.h, and nothing else of the core.
 *
 * How a machine runs.  The core calls `take` with input, one step at a time: it frames, and runs at most one command.
 * A step that must wait stores its next step with one of the mailsrv__then_... calls and returns STEP_WAIT: no more
 * input is taken until that step has run.  Answers, room in the window and the work ring only make the next step due;
 * it runs from mailsrv_engine_run, so nothing recurses.
 *
 *   take      input there is, nothing stored     -> STEP_NEXT (a command is done), STEP_WAIT (wants more, or stored a
 *                                                   next step), STEP_CLOSE (say no more, end when output is sent)
 *   next step what was stored is due             -> the same; STEP_NEXT: go on with input
 *   called    mailsrv__session_call, nothing stored -> the same as take, without input
 */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include "base/heap.h"
#include "base/list.h"
#include "base/span.h"
#include "core/output.h"
#include "core/timer.h"
#include "core/work.h"

#include <mailsrv/profile.h>
#include <mailsrv/session.h>
#include <mailsrv/tls.h>

enum step { STEP_NEXT, STEP_WAIT, STEP_CLOSE };

/* What is said when a session ends by itself: static texts with CRLF, NULL for silence. */
enum parting { PARTING_SHUTDOWN, PARTING_TIMEOUT, PARTING_NO_MEMORY, PARTING_BUSY, N_PARTINGS };

struct tap;
struct answers;

extern const struct answers mailsrv__store_answers; /* of logins, mailboxes and the queue: core/store_answer.c */
extern const struct answers mailsrv__queue_answers; /* of these, and of what sending asks: core/queue_answer.c */

/* A table whose rows begin with a name, NUL-ended. */
struct command_names {
    const char *first;
    size_t stride;
    size_t n;
};

struct mailsrv_machine {
    const char *name;
    struct command_names (*commands)(void); /* what its tallies are called: 63 at most */
    size_t octets; /* of its session, which begins with struct mailsrv_session */
    const char *partings[N_PARTINGS];
    bool (*has_face)(int32_t face);
    void (*defaults)(mailsrv_profile *profile);
    const struct tap *engine_tap; /* runs over every body of an engine that has sessions of this machine; NULL: none */
    const struct answers *answers; /* of what it asks beside the receiving of mail (core/answer.h); NULL: none */
    /* A client's: takes what mailsrv__session_new was given, before anything else.  False: there is no memory, and
     * nothing is kept.  NULL: a server. */
    bool (*prepare)(mailsrv_session *session, const void *given);
    enum step (*greet)(mailsrv_session *session);
    enum step (*take)(mailsrv_session *session, struct input *in);
    enum step (*called)(mailsrv_session *session); /* NULL: this machine is never called */
    /* TLS has begun after mailsrv__start_tls or mailsrv__connect_tls: forget what the peer said in the clear.  NULL:
     * nothing is kept. */
    enum step (*secured)(mailsrv_session *session);
    /* The session is being freed: give up every handle, body and buffer.  What was asked is still in `session->asker`
     * and is orphaned by the core afterwards. */
    void (*leave)(mailsrv_session *session);
};

typedef enum step step_fn(mailsrv_session *session);

enum wait {
    WAIT_NOTHING, /* no step is stored */
    WAIT_ANSWERS, /* all that was asked is answered */
    WAIT_WINDOW,  /* output has fallen to half of the window */
    WAIT_TURN,    /* its next turn in the work ring */
    WAIT_CALL,    /* mailsrv__session_call, or the host's patience is over */
    WAIT_ALARM,   /* the session's alarm */
    WAIT_BODY     /* the session's body has room, or all of it is written, or it failed: core/body.h */
};

struct body;
struct op;
struct sasl;
struct tls;

#define ASKED_MAX 4

/* Who waits for operations. */
struct asker {
    struct op *asked[ASKED_MAX]; /* of the running step, in the order of asking; NULL: it timed out or was not asked */
    struct op *answered[ASKED_MAX]; /* of the step before, while its next step runs */
    int32_t asked_status[ASKED_MAX], answered_status[ASKED_MAX]; /* where there is no operation */
    uint8_t n_asked, n_answered;
    uint8_t open; /* of `asked`, not yet answered */
    struct op *ahead; /* asked for a step that is still to come; NULL: nothing is */
};

/* A name from outside of the protocol; `p` NULL: none. */
struct external {
    char *p;
    size_t n;
};

struct mailsrv_session {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    void *host;
    uint64_t id;
    mailsrv_id account; /* zero until login */
    mailsrv_peer peer;
    struct node all;   /* in engine->sessions */
    struct node ready; /* in engine->ready */
    struct work work;
    struct purse purse;
    struct output out;
    struct asker asker;
    struct body *body; /* the one being staged, or NULL: core/body.h */
    struct sasl *sasl; /* the login that runs, or NULL: sasl/sasl.h.  `leave` frees it */
    struct external external; /* who the host knows the peer to be */
    struct tls *tls;   /* NULL: in the clear, until now */
    step_fn *next;
    enum wait waits;
    struct timer peer_timer;   /* the peer's silence */
    struct timer answer_timer; /* the host's answers to one command */
    struct timer alarm;        /* calls the machine, or ends WAIT_ALARM */
    struct node late;          /* operations that timed out for the peer and are not answered yet */
    struct op *put_off;        /* closers, a chain, of handles that something late may be using */
    uint64_t octets_in, octets_out, commands;
    int64_t counted_us; /* since when the command that is counted is the host's affair */
    uint32_t peer_timeout_ms; /* the machine sets what is right for its state */
    uint32_t wants;           /* as last told by an edge */
    uint16_t errors;
    uint16_t failed_logins;
    uint8_t budget;       /* commands that may still begin before the next run */
    uint8_t counted;      /* the command that is counted, from 1 on; 0: none is */
    char worst;           /* of its replies, by the first digit that SMTP would give them: '4' or '5'; else 0 */
    bool goes_on;         /* the peer's next line belongs to the same command */
    bool patient_bytes;   /* every byte of the peer restarts his timer (a body), else only a command does */
    bool says_secrets;    /* what is said is wiped when it was sent */
    bool unfinished;      /* something runs that a shutdown waits for, though the peer is the one to move */
    bool one_patience;    /* the answers of this command are waited for in one total time (after the final dot) */
    bool answers_are_late; /* the answer timer fired */
    bool was_late;         /* the same, while the step that waited runs */
    bool called;           /* and that was not seen yet */
    bool input_waits;      /* the host keeps input that was not taken */
    bool broken;          /* a reply found no memory; it ends after this step */
    bool shutting, eof;
    bool ended; /* no more steps; output is sent */
    bool dead;  /* nothing more at all: the peer stopped reading */
    bool left;  /* the machine gave up what it held */
    bool mid_reply; /* a response of many lines has begun: no word of parting belongs into it */
    const struct input *input; /* that is being fed; NULL: none is */
    const char *why; /* it ended, for the log; NULL: it has not */
};

/* ---- For machines ---- */

/* A session of a client, begun from inside of the library: `given` is for the machine's `prepare`.  Results as
 * mailsrv_server_new. */
int32_t mailsrv__session_new(mailsrv_engine *engine, mailsrv_profile *profile, const mailsrv_peer *peer, void *host,
                             const void *given, mailsrv_session **out);

/* Stores the next step and returns STEP_WAIT. */
enum step mailsrv__then_answers(mailsrv_session *session, step_fn *next);
enum step mailsrv__then_window(mailsrv_session *session, step_fn *next);
enum step mailsrv__then_turn(mailsrv_session *session, step_fn *next);
enum step mailsrv__then_body(mailsrv_session *session, step_fn *next);

/* Something that the machine looks at has changed: a step that waits with mailsrv__then_call is due, or, when none is
 * stored, the machine is called.  It only sets fields and puts work into the ring, and may be called at any time. */
void mailsrv__session_call(mailsrv_session *session);
enum step mailsrv__then_call(mailsrv_session *session, step_fn *next);

/* Lets that time pass: nothing is taken meanwhile. */
enum step mailsrv__then_alarm(mailsrv_session *session, uint64_t ms, step_fn *next);

/* In a step that waited with mailsrv__then_call: was the host's patience over? */
static inline bool mailsrv__was_late(const mailsrv_session *session)
{
    return session->was_late;
}

/* Calls the machine after that time, once; 0: not any more. */
void mailsrv__alarm(mailsrv_session *session, uint64_t ms);

/* Is there input behind what has been taken, as far as is known here? */
static inline bool mailsrv__input_waits(const mailsrv_session *session)
{
    return session->input != NULL ? session->input->n != 0 : session->input_waits;
}

/* Work done in this slice, beside the 1 that each step costs. */
void mailsrv__spend(mailsrv_session *session, uint32_t units);

/* Of the slice, are units left? */
bool mailsrv__may_go_on(const mailsrv_session *session);

/* Adds text to the output.  Where there is no room the session's parting for no memory is said instead and the session
 * ends: false, and the machine returns STEP_CLOSE. */
bool mailsrv__say(mailsrv_session *session, struct span text);

/* Makes sure that the next `octets` of mailsrv__say need no memory, until they were said or the room is given back with
 * mailsrv__unreserve.  Asked again with more, it grows to that.  False: there is none, and nothing happened. */
bool mailsrv__reserve(mailsrv_session *session, size_t octets);
void mailsrv__unreserve(mailsrv_session *session);

/* The command of this row of machine->commands is counted from now on; NULL: what is no command.  Nothing while another
 * one is. */
void mailsrv__count_command(mailsrv_session *session, const void *row);

/* The reply of the running command that begins so is not the best that it could be: '4', '5'; others do not matter. */
static inline void mailsrv__replies(mailsrv_session *session, char digit)
{
    if (digit > '3' && digit > session->worst)
        session->worst = digit;
}

/* A bad command: true when it was one too many, and the machine says so and closes. */
bool mailsrv__erred(mailsrv_session *session);

void *mailsrv__session_take(mailsrv_session *session, size_t n);
void mailsrv__session_give(mailsrv_session *session, void *p, size_t n);

/* The engine's heap, for the readers of frame/, which take it beside &session->purse. */
struct heap *mailsrv__session_heap(mailsrv_session *session);

/* Records an event of this session; `text` is made printable and cut. */
void mailsrv__session_event(mailsrv_session *session, int32_t what, struct span text);

/* Is an operation of this kind answered by anybody? */
bool mailsrv__served(const mailsrv_session *session, int32_t kind);

/* Profile of a session. */
uint64_t mailsrv__setting(const mailsrv_session *session, int32_t key);
struct span mailsrv__setting_str(const mailsrv_session *session, int32_t key);
bool mailsrv__enabled(const mailsrv_session *session, int32_t extension);
int32_t mailsrv__face(const mailsrv_session *session);
const mailsrv_machine *mailsrv__machine(const mailsrv_session *session);

/* ---- TLS; the primitives of cryptography are in core/crypto.h ---- */

/* Is everything between the peer and us encrypted, by the library or by the host? */
bool mailsrv__secure(const mailsrv_session *session);

/* Would STARTTLS be taken now?  Not once it was, nor after login. */
bool mailsrv__can_start_tls(const mailsrv_session *session);

/* Says `reply` in the clear; from then on everything is under TLS, and no input is taken before the handshake is done.
 * Then the machine's `secured` runs.  False: there is no memory, and nothing was said. */
bool mailsrv__start_tls(mailsrv_session *session, struct span reply);

/* A client's: would mailsrv__connect_tls find somebody to do it?  Not where the profile says MAILSRV_TLS_NONE, by a
 * provider that is a server's, or twice. */
bool mailsrv__can_connect_tls(const mailsrv_session *session);

/* Begins TLS as the client, in a step: behind the reply to STARTTLS, or in `greet`, where it is from the first octet.
 * The server is the target's; its name may be an address literal.  What follows is under TLS, and no input is taken
 * before the handshake is done; octets that were sent in the clear behind the reply end the session (RFC 3207
 * section 6). Then the machine's `secured` runs.  False: there is no memory; nothing happened. */
bool mailsrv__connect_tls(mailsrv_session *session, const mailsrv_tls_target *target);

/* Why TLS failed, while the session lives; empty: it did not. */
struct span mailsrv__tls_failure(const mailsrv_session *session);

/* What is known of it; the bytes live as long as the session.  False: it is not secure. */
bool mailsrv__tls_info(const mailsrv_session *session, mailsrv_tls_info *info);

/* Time of the last advance. */
int64_t mailsrv__now_us(const mailsrv_session *session);
int64_t mailsrv__unix_us(const mailsrv_session *session);

/* ---- For a machine's `defaults`: before the host sets anything ---- */
void mailsrv__default_u64(mailsrv_profile *profile, int32_t key, uint64_t value, uint64_t least, uint64_t most);
void mailsrv__default_str(mailsrv_profile *profile, int32_t key, struct span value);
int32_t mailsrv__profile_face(const mailsrv_profile *profile);

#endif
