/* TLS between a session and its peer: for the files of core/ alone.
 *
 *   feed ▸ handshake.c | records.c (decrypt) ▸ step.c (the machine) ▸ output.c ▸ records.c (encrypt) ▸ output, sent
 *
 * A session in the clear has none of this.  What the machine says under TLS waits in output.slices until the end of the
 * feed or the slice of work in which it was said, so that small replies share a record, and is released when it is
 * encrypted; the records wait in output.records until they were sent.  Where there is no memory for a record or for
 * plaintext that came in, a small room of the session's own serves, a piece at a time: nothing that was promised
 * is lost for it.
 */
#ifndef CORE_TLS_H
#define CORE_TLS_H

#include "core/machine.h"
#include "core/output.h"

#include <mailsrv/tls.h>

enum {
    PLAIN_OCTETS = 4096,  /* decrypted at a time */
    FEW_OCTETS = 32,      /* the same, where there is no memory for so many */
    RESERVE_OCTETS = 256, /* of the room that needs no memory */
    RECORD_OCTETS = 16384, /* of plaintext in a record (RFC 8446 section 5.1) */
    FAILURE_OCTETS = 96   /* of why it failed, that are kept */
};

enum tls_state {
    TLS_SHAKING, /* the handshake is not done; nothing can be said */
    TLS_OPEN,
    TLS_CLOSED /* nothing more can be said */
};

struct tls;

/* What a client has beside a server: tls_client.c.  Behind a table, so that a program of servers links none of it. */
struct tls_client {
    bool (*opens)(mailsrv_session *session); /* the handshake is done; false: with somebody else, so it has failed */
    struct span (*tells)(const mailsrv_tls_info *info); /* for the event */
    void (*fails)(struct tls *tls, struct span why);
};

struct tls {
    const mailsrv_tls_provider *provider; /* NULL: the host does it */
    void *connection;                     /* NULL: a job has it, or nobody */
    mailsrv_session *session;
    enum tls_state state;
    const struct tls_client *client; /* we are the client; NULL: the server */
    uint32_t must_verify;       /* a client's: it fails unless the server's certificate is verified so */
    mailsrv_tls_target *target; /* a client's, where the host does the handshake, with all of it in one piece */
    size_t target_octets;
    bool greets;     /* from the first octet: the greeting comes after the handshake */
    bool has_begun;  /* an octet of the handshake has come; a client's has been made */
    bool shakes_on;  /* the handshake goes on without the peer */
    bool more;       /* the provider may have plaintext that was not asked for yet */
    bool host_keeps; /* it has ciphertext that was not taken */
    bool eof_waits;  /* the peer will send no more, but what he sent is not done with */
    bool peer_closed; /* he said so himself */
    struct timer timer;    /* of the whole handshake */
    struct input left;     /* ciphertext that a handshake did not need */
    struct lent *left_of;  /* whose bytes these are */
    struct slice *reserve; /* with RESERVE_OCTETS of room; NULL: the host does TLS */
    bool reserve_waits;    /* to be sent */
    uint64_t octets;       /* of the provider, as last counted */
    mailsrv_tls_info *info; /* of the host, with its bytes behind it, in one piece */
    size_t info_octets;
    uint8_t *plain; /* decrypted; it is given back when the machine has taken all.  NULL: it lies in `few` */
    uint16_t at, n; /* of it: what the machine has not taken */
    uint8_t few[FEW_OCTETS];
    char failure[FAILURE_OCTETS];
    uint8_t failure_n;
};

/* ---- tls.c ---- */

/* TLS that has not begun; `target` NULL: as the server.  NULL: no memory. */
struct tls *mailsrv__tls_new(mailsrv_session *session, const mailsrv_tls_target *target);

/* From now on nothing is said before the handshake is done. */
void mailsrv__tls_begin(mailsrv_session *session, struct tls *tls);

/* Is a handshake owed, or going on?  Nothing is said in the clear then. */
bool mailsrv__tls_is_awaited(const mailsrv_session *session);

/* Begins TLS from the first octet on.  False: there is no memory. */
bool mailsrv__tls_implicit(mailsrv_session *session);

/* Is a step of the handshake due that needs nothing of the peer? */
bool mailsrv__tls_shakes_on(const mailsrv_session *session);

/* What is to be read, as MAILSRV_WANT_READ and _TLS_SERVER or _TLS_CLIENT; `reads`: the machine would take input. */
uint32_t mailsrv__tls_wants(const mailsrv_session *session, bool reads);

/* Has input come that the machine would take now? */
bool mailsrv__tls_has_input(const mailsrv_session *session, bool reads);

/* Octets stood behind STARTTLS: throws them away, or ends the session, as it does where they stood behind the reply. */
void mailsrv__tls_pipelined(mailsrv_session *session, struct input *in);

/* The handshake is done: greets, or lets the machine forget. */
enum step mailsrv__tls_opened(mailsrv_session *session);

/* It failed, or a record did: the session ends without a word.  `why` is any text. */
void mailsrv__tls_fails(mailsrv_session *session, struct span why);

/* Is it the reserve, which has been sent?  Then it is kept for the next time. */
bool mailsrv__tls_keeps(mailsrv_session *session, struct slice *slice);

/* Takes the provider's account. */
void mailsrv__tls_count(mailsrv_session *session);

void mailsrv__tls_free(mailsrv_session *session);

/* ---- handshake.c ---- */

/* Takes ciphertext while the handshake goes on. */
void mailsrv__tls_shake(mailsrv_session *session, struct input *in);

/* Goes on with what a job has left. */
void mailsrv__tls_shake_on(mailsrv_session *session);

/* The operation JOB is given up or freed: what it held is given back. */
void mailsrv__job_end(struct op *op);

/* ---- records.c ---- */

/* Takes ciphertext of the peer and gives the machine what is in it. */
void mailsrv__tls_take(mailsrv_session *session, struct input *in);

/* Goes on with what was taken before. */
void mailsrv__tls_go_on(mailsrv_session *session);

/* The connection's other side has ended: what was decrypted before is still run. */
void mailsrv__tls_eof(mailsrv_session *session);

/* Encrypts what waits, and says at the end that there will be no more. */
void mailsrv__tls_flush(mailsrv_session *session);

#endif
