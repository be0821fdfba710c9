/* The POP3 server (RFC 1939, RFC 2449): what its files share.
 *
 *   pop3.c    the machine, the table of commands, one line
 *   capa.c    CAPA
 *   stls.c    STLS
 *   login.c   UTF8, USER, PASS, AUTH, opening the maildrop
 *   list.c    STAT, LIST, UIDL
 *   retr.c    RETR, TOP
 *   quit.c    DELE, RSET, NOOP, QUIT
 *   give_back.c  closing the maildrop
 *   drop.c    the maildrop as this session sees it
 *   reply.c   lines of text, and what a status is told as
 */
#ifndef POP3_POP3_H
#define POP3_POP3_H

#include "core/ask.h"
#include "core/machine.h"
#include "frame/line.h"
#include "frame/stuff.h"
#include "pop3/drop.h"
#include "sasl/sasl.h"
#include "text/writer.h"

#include <mailsrv/store.h>

enum { IN_AUTH = 1 << 0, IN_TRANS = 1 << 1 }; /* RFC 1939 section 3, as a mask */

enum { ARGS_MAX = 2 };

struct args {
    struct span v[ARGS_MAX];
    unsigned n;
};

/* A message on its way out. */
struct reading {
    struct handle handle;
    struct lent *lent;  /* of the range that is being sent */
    struct span octets; /* what of it is still to be sent */
    struct stuff stuff;
    struct top top;
    uint64_t offset; /* of the next range */
    uint64_t size;   /* of the message, as the peer was told */
    uint32_t uid;
    bool is_top;
    bool needs_utf8; /* and the peer has not said UTF8 */
    bool begun; /* +OK is out: no -ERR any more */
    bool dot_out; /* the dot that the octets begin with has been sent once */
};

/* UIDs to be expunged. */
struct doomed {
    mailsrv_run *runs;
    uint32_t room, n_runs, n_uids;
};

/* A refusal that is said when everything is given back. */
struct refusal {
    int32_t status;
    struct span text;
    struct lent *lent; /* that the text belongs to; NULL: there is no text */
};

struct pop3 {
    struct mailsrv_session session;
    struct line_frame frame;
    char *user; /* between USER and PASS; NULL: none */
    size_t user_n;
    struct handle store, lock, mbox;
    struct drop drop;
    struct reading reading;
    struct doomed doomed;
    struct refusal refusal;
    step_fn *given_back; /* what follows when the maildrop is given back */
    mailsrv_cursor cursor; /* of the next page of rows */
    uint32_t at;           /* the index of the message where a listing goes on */
    uint32_t page;         /* of the first message of its page */
    uint8_t state;
    bool utf8;    /* UTF8 was said (RFC 6856 section 2.1) */
    bool listing; /* a listing has begun: no -ERR any more */
    bool asked_ahead; /* the page behind p->page has been asked for */
};

static inline struct pop3 *mailsrv__pop3_of(mailsrv_session *session)
{
    return (struct pop3 *)(void *)session;
}

/* ---- The commands ---- */
enum step mailsrv__pop3_stls(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_user(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_pass(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_auth(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_utf8(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_capa(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_stat(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_list(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_uidl(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_retr(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_top(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_dele(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_rset(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_noop(struct pop3 *p, const struct args *a);
enum step mailsrv__pop3_quit(struct pop3 *p, const struct args *a);

/* May a login succeed here at all?  And one by USER and PASS? */
bool mailsrv__pop3_takes_logins(const struct pop3 *p);
bool mailsrv__pop3_takes_passwords(const struct pop3 *p);

/* A login runs, and this is its next line, or what became of it. */
enum step mailsrv__pop3_response(struct pop3 *p, enum framed framed, struct span line);

/* Forgets the name that USER gave. */
void mailsrv__pop3_forget_user(struct pop3 *p);

/* Gives the maildrop back and goes on with `then`.  RFC 1939 wants the lock released before the peer is told: else his
 * next login may find it held by himself. */
enum step mailsrv__pop3_give_back(struct pop3 *p, step_fn *then);

/* The same where nobody waits: the session leaves. */
void mailsrv__pop3_abandon(struct pop3 *p);

/* Forgets the UIDs that were to be expunged. */
void mailsrv__pop3_doomed_fini(struct pop3 *p);

/* The message that an argument names; NULL: there is none, or it is marked. */
struct drop_row *mailsrv__pop3_message(struct pop3 *p, struct span number, uint32_t *index);

/* Asks for rows of these UIDs, now or beforehand, at p->cursor, `limit` at most.  False: no memory. */
bool mailsrv__pop3_ask_rows(struct pop3 *p, ask_fn *how, mailsrv_run uids, uint32_t fields, uint32_t limit);

/* May the page behind this one be asked for?  A store whose cursor stands still would keep the session for ever. */
static inline bool mailsrv__pop3_goes_on(const struct pop3 *p, const mailsrv_rows *rows)
{
    return rows->n != 0 || memcmp(&rows->next, &p->cursor, sizeof p->cursor) != 0;
}

/* The i-th row of a page, whose struct may be larger than the one known here. */
static inline const mailsrv_row *mailsrv__pop3_row(const mailsrv_rows *rows, uint32_t i)
{
    return (const mailsrv_row *)(const void *)((const char *)rows->rows + (size_t)i * rows->stride);
}

/* ---- Replies ---- */

enum { LINE_ROOM = 512 }; /* of a response's line, CRLF included (RFC 2449 section 4) */

static inline struct writer mailsrv__pop3_line(char room[LINE_ROOM])
{
    return (struct writer){ .p = room, .room = LINE_ROOM - 2 };
}

/* Says a line; its CRLF is added. */
enum step mailsrv__pop3_say(struct pop3 *p, struct writer *line);

/* The same for a text that has its CRLF. */
enum step mailsrv__pop3_reply(struct pop3 *p, struct span line);

/* Replies to a command that was wrong, and counts it. */
enum step mailsrv__pop3_bad(struct pop3 *p, struct span line);

/* Replies -ERR for what somebody outside answered. */
enum step mailsrv__pop3_refuse(struct pop3 *p, int32_t status, struct span text);

/* The response code of a status, with brackets (RFC 2449 section 8, RFC 3206). */
struct span mailsrv__pop3_code(int32_t status);

/* What a single answer says: its status, and its text. */
static inline int32_t mailsrv__pop3_status(struct pop3 *p)
{
    return mailsrv__answer(&p->session, 0)->status;
}

static inline struct span mailsrv__pop3_answer_text(struct pop3 *p)
{
    return mailsrv__span(mailsrv__answer(&p->session, 0)->text);
}

#endif
