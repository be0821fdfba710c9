/* The dialogue driver: text files with the lines of a client and of a server, replayed against a session in memory, in
 * many ways.  ../dialogues/README.md has the format.
 *
 * It stands on the public headers, the memory store and the C library alone, so that it also runs where no test
 * framework does (32-bit, big-endian).
 */
#ifndef DIALOGUE_DIALOGUE_H
#define DIALOGUE_DIALOGUE_H

#include "text.h"

#include <mailsrv/mailsrv.h>

enum step_kind {
    STEP_CLIENT,      /* C: bytes in one write */
    STEP_SERVER,      /* S: the next line, a pattern */
    STEP_SERVER_RAW,  /* S| the next bytes */
    STEP_CLOSES,      /* S closes */
    STEP_EOF,         /* eof */
    STEP_OP,          /* O: an operation and its answer */
    STEP_ANSWER,      /* A: the late answer */
    STEP_TIME,        /* T: microseconds */
    STEP_TLS,         /* TLS: the client begins its handshake */
    STEP_COUNT,       /* M: account, messages */
    STEP_MESSAGE,     /* M: account, which one, its pattern */
    STEP_ROW,         /* R: account and mailbox, which one, what its row says */
    STEP_ACT,         /* X: another session's doing, straight in the store */
    STEP_NOTIFY,      /* N: the engine is told of it */
    STEP_QUEUE_COUNT, /* Q: items */
    STEP_QUEUE_HAS,   /* Q: which one, part of its record */
    STEP_QUEUE_IS,    /* Q: which one, what its record says */
    STEP_QUEUE_BEGINS, /* Q: which one, what the message begins with */
    STEP_JOB,         /* J: a client has another message to send */
    STEP_TOLD         /* K: what its courier is told, a pattern */
};

enum reply {
    REPLY_STORE,  /* as the memory store answers */
    REPLY_STATUS, /* by the driver */
    REPLY_VERDICT, /* POLICY's, by the driver */
    REPLY_LATER,  /* kept until an A: */
    REPLY_NEVER,
    REPLY_WITHHELD /* not in files: kept until the run says what becomes of it */
};

struct step {
    enum step_kind what;
    unsigned line;
    struct text text;  /* bytes, pattern, text of an answer, part of a record */
    struct text words; /* of an operation; of M: and R: account and mailbox; of X: all of them */
    uint64_t n;        /* microseconds, messages, which one (from 1) */
    int32_t kind;      /* of an operation */
    int32_t status;    /* of its answer */
    int32_t verdict;   /* the same */
    enum reply reply;
    bool loose; /* S~: another session's EXPUNGE, which may come earlier */
};

/* What is set up before the session begins, in the order of the file. */
enum setup_kind {
    SETUP_U64,
    SETUP_STR,
    SETUP_ENABLE,
    SETUP_ACCOUNT,
    SETUP_ADDRESS,
    SETUP_FORWARD,
    SETUP_MAILBOX,
    SETUP_KNOB,
    SETUP_MESSAGE,
    SETUP_JOB,
    SETUP_CREDENTIAL,
    SETUP_TOKEN
};

struct setup {
    enum setup_kind what;
    unsigned line;
    int32_t key;
    uint64_t number;
    struct text name;  /* account, address, string; of a message account and mailbox */
    struct text text;  /* password, accounts, name of a mailbox, message */
    struct text words; /* of a message: flags, keywords, date; of a job: all of them */
};

struct dialogue {
    char *name; /* of the file */
    char *file; /* its bytes: texts point into it */
    const mailsrv_machine *machine;
    int32_t face;
    bool is_pop3, is_lmtp, is_imap;
    bool is_client;    /* the session is a client: S: lines are fed to it, C: lines are what it says */
    struct text terms; /* of a client */
    bool has_certificate; /* the server of a client, which can be verified */
    struct text user, password, token; /* that CREDENTIAL is answered with; empty: there is none */
    bool without_codes; /* POP3: RESP-CODES is off */
    bool has_loose; /* there is an S~ */
    bool has_tls;   /* it sets when TLS is done */
    bool tls_first; /* from the first octet on */
    bool has_plain_passwords; /* it says whether they are taken in the clear */
    bool is_clear;  /* what it shows is so without TLS alone */
    bool is_provided; /* and what this one shows with the library's alone */
    uint8_t peer[4];
    struct text external; /* who the host knows the client to be; empty: nobody */
    bool has_scram;       /* there is cryptography, and each account has keys */
    uint16_t local_port;
    uint64_t unserved; /* a bit for each kind */
    struct setup *setups;
    size_t n_setups;
    struct step *steps;
    size_t n_steps;
    struct text input; /* all bytes of the client, one after the other */
    char **made;       /* memory of texts that are not in the file */
    size_t n_made;
};

/* Reads a dialogue out of `p`, which is copied; `name` is for messages.  NULL: it is none, and `why` says so. */
struct dialogue *dialogue_parse(const char *name, const char *p, size_t n, struct buffer *why);
struct dialogue *dialogue_read(const char *path, struct buffer *why);
void dialogue_free(struct dialogue *d);

/* How often, and from where. */
struct counts {
    uint64_t seed;
    size_t cuts;        /* at most so many single cuts of long input; 0: no single cuts */
    size_t short_input; /* up to this length it is cut, closed and ended at every place */
    size_t random_cuts; /* runs cut at random places */
    size_t pairs;
    size_t step;     /* of the allocations, and of the operations, each n-th fails; which one is the first, the seed says */
    size_t tls_step; /* of the allocations under TLS each n-th fails */
    size_t tls_ends; /* at most so many places where a session under TLS ends */
};

struct result {
    unsigned files;
    uint64_t runs;
    uint64_t diverged; /* runs in which a fault was told to the peer */
    uint64_t wrong;
    struct buffer why; /* of the first that went wrong */
};

/* The ways, by name, in their order; NULL after the last. */
const char *dialogue_way_name(size_t i);

/* Runs `d` in the way of that name, and adds to `result`.  False: there is no such way. */
bool dialogue_run(const struct dialogue *d, const char *way, const struct counts *counts, struct result *result);

/* Runs `d` once as it is written, and prints what is said and asked. */
void dialogue_trace(const struct dialogue *d, struct result *result);

/* The counts that CI takes, changed by the environment (DIALOGUE_CUTS, DIALOGUE_SHORT_INPUT, DIALOGUE_RANDOM_CUTS,
 * DIALOGUE_PAIRS, DIALOGUE_STEP and others, MAILSRV_SEED). */
struct counts dialogue_counts(void);

#endif
