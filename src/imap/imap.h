/* The IMAP server (RFC 9051, RFC 3501): what its files share.
 *
 *   imap.c        the machine, one command from its first octet to its end
 *   table.c       the table of commands
 *   parse.c       the grammar; sets.c: of sequence sets
 *   names.c       mailbox names, and the matcher of LIST
 *   say.c         flags, sets, on their way out; pen.c: many small pieces, and strings
 *   reply.c       how a command ends, and what a status is told as
 *   tell.c        telling what has happened to the selected mailbox
 *   capability.c  CAPABILITY
 *   starttls.c    STARTTLS
 *   login.c       LOGIN, AUTHENTICATE
 *   select.c      SELECT, EXAMINE, CLOSE, UNSELECT
 *   enable.c      ENABLE, and what CONDSTORE turns on
 *   resync.c      what has vanished since, for QRESYNC
 *   list.c        LIST, LSUB; list_parse.c: their grammar
 *   status.c      STATUS, also of LIST
 *   mailboxes.c   CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE
 *   uses.c        special uses of mailboxes
 *   about.c       NAMESPACE, ID
 *   idle.c        IDLE
 *   noop.c        NOOP, LOGOUT
 *   messages.h    the commands about messages: FETCH, STORE, EXPUNGE, COPY, SEARCH, APPEND
 *
 * The life of a command.  It is framed, found in the table, parsed (`parse` fills in what `own` points to, in the
 * command's arena), and run.  A step that waits stores its next one (core/machine.h).  It ends with mailsrv__imap_done:
 * what has happened is told as far as its row allows, in slices; then comes the tagged line, `fini` is called, and the
 * arena and the text of the command are given back.  Between two commands a session holds neither.
 */
#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H

#include "core/ask.h"
#include "core/machine.h"
#include "frame/literal.h"
#include "imap/parse.h"
#include "imap/pen.h"
#include "mailbox/view.h"
#include "sasl/sasl.h"
#include "text/writer.h"

#include <mailsrv/store.h>

/* RFC 9051 section 3, as a mask. */
enum { IN_GREETED = 1 << 0, IN_AUTHENTICATED = 1 << 1, IN_SELECTED = 1 << 2 };
enum { IN_ANY = IN_GREETED | IN_AUTHENTICATED | IN_SELECTED, IN_LOGGED_IN = IN_AUTHENTICATED | IN_SELECTED };

/* What a command's end may tell of the mailbox (RFC 9051 section 7.5.1). */
enum { TELL_NOTHING, TELL_FLAGS, TELL_ALL };

enum {
    ROW_SYNCS = 1 << 0,    /* what happened before it is told with it, whether the store notifies or not */
    ROW_NUMBERED = 1 << 1, /* by number, it tells an EXPUNGE even if the next command has arrived already */
    ROW_WRITES = 1 << 2,   /* a mailbox that was opened to look only refuses it: NO */
    ROW_TRYCREATE = 1 << 3, /* it names a mailbox that could be made first */
    ROW_EXPUNGES = 1 << 4  /* as ROW_NUMBERED, in both forms: its own are among them */
};

struct imap;
struct statuses;

/* Of a command that takes a literal as a stream: APPEND. */
struct streams {
    /* A literal is announced; `r` stands behind the command's name, in what there is of the command.  It says one of
     * mailsrv__imap_literal_..., at once or in a later step. */
    enum step (*announced)(struct imap *p, struct reader *r);
    /* Octets have come, 1 to p->frame.left of them.  STEP_NEXT: some were taken (mailsrv__literal_took), go on;
     * STEP_WAIT: a next step is stored, which ends with STEP_WAIT again to go on. */
    enum step (*octets)(struct imap *p, struct input *in);
};

struct row {
    char name[16];
    uint8_t states; /* where it is allowed */
    uint8_t tells;
    uint8_t uid_tells; /* of its UID form; TELL_NOTHING: it has none */
    uint8_t flags;     /* ROW_... */
    uint8_t kind;      /* of operation, that it needs; 0: none */
    uint8_t extension; /* where that is off it is not known; 0: none */
    bool (*parse)(struct imap *p, struct reader *r); /* its arguments, from the space on; NULL: it has none */
    enum step (*run)(struct imap *p);
    /* Gives back what `own` holds beside the arena, also where parse failed; NULL: nothing. */
    void (*fini)(struct imap *p);
    const struct streams *streams;
};

/* How a command ends. */
enum ending { END_OK, END_NO, END_LATER, END_BAD }; /* END_LATER: NO, and another try may go better */
struct reply {
    enum ending ending;
    struct span code; /* with its brackets; empty: none */
    struct span text;
};

enum { TAG_MAX = 64 };

/* The command that runs, or that is coming in. */
struct vanished;
struct command {
    const struct row *row; /* NULL: not known yet */
    struct span tag;       /* in the arena */
    struct arena arena;
    void *own;             /* of the row's functions, in the arena, zeroed; NULL: parse did not take any */
    struct reply reply;    /* static, or in the arena */
    step_fn *then;         /* what follows when all is told */
    struct vanished *vanished; /* what has vanished is being said; NULL: it is not */
    struct handle *handles; /* that `own` holds: closed before the mailbox is when the session leaves; NULL: none */
    /* Was that FETCH said already?  NULL: none was.  Where only its flags are known, it may be cut to its modseq. */
    bool (*answered)(struct imap *p, struct told *told);
    uint8_t n_handles;
    uint8_t tells;         /* TELL_..., first what the row says */
    uint8_t tries;         /* at telling */
    bool by_uid;           /* its UID form */
    bool syncs;            /* first what the row says */
    bool told_modseq;      /* HIGHESTMODSEQ is owed */
    bool ends_highest;     /* OK says it: something was removed */
    struct statuses *statuses; /* that are being told, in `own`; NULL: none */
};

struct imap {
    struct mailsrv_session session;
    struct view view; /* of the selected mailbox; image NULL: there is none */
    struct literal_frame frame;
    struct command command;
    struct handle store, mbox;
    mailsrv_id mailbox;   /* the selected one */
    uint32_t recent;      /* messages above this UID are \Recent here */
    uint32_t rights;
    uint32_t swallowed; /* before login, of literals that nobody wanted */
    uint8_t state;
    bool can_write; /* selected, not examined */
    bool keywords;  /* the mailbox takes them */
    bool modseqs;   /* it has them (RFC 7162 section 3.1.2.2) */
    bool condstore, qresync; /* enabled: to the end of the connection */
    bool idling;
    int64_t idle_us; /* when IDLE last said something */
};

static inline struct imap *mailsrv__imap_of(mailsrv_session *session)
{
    return (struct imap *)(void *)session;
}

struct command_names mailsrv__imap_names(void); /* of the commands */

/* The command of that name; NULL: there is none. */
const struct row *mailsrv__imap_row(const struct imap *p, struct span name);

/* ---- Of a command ---- */

/* Memory of the running command, zeroed.  NULL: none. */
void *mailsrv__imap_take(struct imap *p, size_t n);

/* The same as `own`, for a parse function; where `own` is there already, that. */
void *mailsrv__imap_own(struct imap *p, struct reader *r, size_t n);

/* A sequence set of messages, by number or, in the UID form, by UID.  A number that no message has is an error. */
bool mailsrv__imap_parse_set(struct imap *p, struct reader *r, struct set *out);

/* For `announced`: the literal is kept with the command; it is streamed; or the command ends with `reply`, for a {n+}
 * when all of it has been swallowed. */
enum step mailsrv__imap_literal_keep(struct imap *p);
enum step mailsrv__imap_literal_stream(struct imap *p);
enum step mailsrv__imap_literal_refuse(struct imap *p, struct reply reply);

/* ---- How a command ends: one of these ---- */

/* Tells, then says the tagged line.  The reply's code and text are static, or in the arena. */
enum step mailsrv__imap_done(struct imap *p, struct reply reply);
enum step mailsrv__imap_ok(struct imap *p, struct span text); /* OK, without a code */

/* NO, for what somebody outside answered, or for our own status (the table in reply.c); `text` may be the answer's. */
enum step mailsrv__imap_refuse(struct imap *p, int32_t status, struct span text);
enum step mailsrv__imap_no_memory(struct imap *p);

/* BAD, and counts it. */
enum step mailsrv__imap_bad(struct imap *p, struct span text);

/* Only tells, and goes on with `then`: for a reply that is said in slices.  That ends with mailsrv__imap_end. */
enum step mailsrv__imap_tell(struct imap *p, step_fn *then);
enum step mailsrv__imap_tell_known(struct imap *p, step_fn *then); /* what is known already: it asks nothing */
enum step mailsrv__imap_end(struct imap *p);
enum step mailsrv__imap_say_reply(mailsrv_session *session); /* the tagged line: all is told */

/* The reply of a status, for mailsrv__imap_done: its code, and `text` or what is usual. */
struct reply mailsrv__imap_status_reply(struct imap *p, int32_t status, struct span text);

/* What a single answer says. */
static inline int32_t mailsrv__imap_status(struct imap *p)
{
    return mailsrv__answer(&p->session, 0)->status;
}

static inline struct span mailsrv__imap_answer_text(struct imap *p)
{
    return mailsrv__span(mailsrv__answer(&p->session, 0)->text);
}

/* ---- Lines on their way out.  False: no memory; the step returns STEP_CLOSE, and the core says BYE. ---- */

enum { LINE_ROOM = 1024 };

static inline struct writer mailsrv__imap_line(char room[LINE_ROOM])
{
    return (struct writer){ .p = room, .room = LINE_ROOM - 2 };
}

/* Says a line; its CRLF is added. */
bool mailsrv__imap_say(struct imap *p, struct writer *line);

void mailsrv__imap_write_mailbox(struct writer *w, struct span name); /* astring, in modified UTF-7 */

/* "(\Seen $Forwarded)". */
bool mailsrv__imap_write_flags(struct imap *p, struct pen *pen, const struct marks *marks, uint32_t uid);
bool mailsrv__imap_say_flags(struct imap *p, const struct marks *marks, uint32_t uid);

/* A run of a set: "1:3". */
void mailsrv__imap_write_run(struct writer *w, mailsrv_run run);

/* "* 3 EXISTS", with CRLF; `what` has its space. */
bool mailsrv__imap_say_number(struct imap *p, uint64_t number, struct span what);

/* "* OK [UIDNEXT 4] ...". */
bool mailsrv__imap_say_code(struct imap *p, struct span code, uint64_t number);

bool mailsrv__imap_say_names(struct imap *p);  /* FLAGS and OK [PERMANENTFLAGS] */
bool mailsrv__imap_say_recent(struct imap *p); /* RECENT: of what is told */
void mailsrv__imap_write_modseq(struct writer *w, uint64_t modseq); /* "MODSEQ (5)" */

/* ---- The selected mailbox ---- */

static inline bool mailsrv__imap_is_selected(const struct imap *p)
{
    return p->view.image != NULL;
}

static inline bool mailsrv__imap_is_recent(const struct imap *p, uint32_t uid)
{
    return uid > p->recent;
}

/* Leaves it, and goes on with `then` when its handle is given back. */
enum step mailsrv__imap_unselect(struct imap *p, step_fn *then);

/* Waits for the view: `next` is run when something has come of it. */
enum step mailsrv__imap_then_view(struct imap *p, step_fn *next);

/* Has the view ended?  Then it says BYE; the step returns STEP_CLOSE. */
bool mailsrv__imap_view_ended(struct imap *p);

/* ---- CONDSTORE and QRESYNC (RFC 7162) ---- */

/* From now on MODSEQs are told.  The first time, where a mailbox is selected, HIGHESTMODSEQ is said.  False: no
 * memory. */
bool mailsrv__imap_use_condstore(struct imap *p);

/* It is enabled by ENABLE alone, and is more than CONDSTORE. */
static inline bool mailsrv__imap_has_qresync(const struct imap *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_ENABLE) && mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE) &&
           mailsrv__enabled(&p->session, MAILSRV_EXT_QRESYNC) && mailsrv__served(&p->session, MAILSRV_OP_CHANGES);
}

/* OK [HIGHESTMODSEQ], or [NOMODSEQ] of a mailbox that has none. */
bool mailsrv__imap_say_highest(struct imap *p);

/* BAD: what was asked for takes modseqs (RFC 7162 section 3.1.2.2). */
enum step mailsrv__imap_no_modseqs(struct imap *p);

/* mod-sequence-value: 1 and more, below 2^63. */
bool mailsrv__parse_modseq(struct reader *r, uint64_t *out);

/* VANISHED (EARLIER): UIDs of `known` that have gone since a modseq, and were not told before or will not be at the
 * command's end.  Begun in memory that is zeroed. */
struct vanished {
    const struct set *known;
    uint64_t since;
    uint32_t match; /* where the store has forgotten: UIDs up to this one are all there */
    step_fn *then;
    mailsrv_cursor cursor;
    struct lent *lent; /* of the page; NULL: none */
    const mailsrv_run *runs;
    uint32_t n, at;
    mailsrv_run all, left; /* all: where the store has forgotten; left: of the run at hand */
    bool more;
    struct runs gone; /* what was found and is not said yet */
    uint32_t n_gone;  /* how often it grew */
    struct writer line;
    char room[512];
};
enum step mailsrv__imap_say_vanished(struct imap *p, struct vanished *v, step_fn *then);
void mailsrv__imap_vanished_fini(struct vanished *v);

/* ---- The commands: what table.c names ---- */
bool mailsrv__imap_parse_enable(struct imap *p, struct reader *r);
enum step mailsrv__imap_enable(struct imap *p);
enum step mailsrv__imap_unselect_only(struct imap *p);
enum step mailsrv__imap_capability(struct imap *p);
enum step mailsrv__imap_noop(struct imap *p);
enum step mailsrv__imap_starttls(struct imap *p);
enum step mailsrv__imap_logout(struct imap *p);
bool mailsrv__imap_parse_login(struct imap *p, struct reader *r);
enum step mailsrv__imap_login(struct imap *p);
bool mailsrv__imap_parse_authenticate(struct imap *p, struct reader *r);
enum step mailsrv__imap_authenticate(struct imap *p);
bool mailsrv__imap_parse_list(struct imap *p, struct reader *r);
bool mailsrv__imap_parse_lsub(struct imap *p, struct reader *r);
enum step mailsrv__imap_list(struct imap *p);
bool mailsrv__imap_parse_status(struct imap *p, struct reader *r);
enum step mailsrv__imap_status_command(struct imap *p);
bool mailsrv__imap_parse_create(struct imap *p, struct reader *r);
enum step mailsrv__imap_create(struct imap *p);
bool mailsrv__imap_parse_name(struct imap *p, struct reader *r);
enum step mailsrv__imap_delete(struct imap *p);
bool mailsrv__imap_parse_rename(struct imap *p, struct reader *r);
enum step mailsrv__imap_rename(struct imap *p);
enum step mailsrv__imap_subscribe(struct imap *p);
enum step mailsrv__imap_unsubscribe(struct imap *p);
void mailsrv__imap_names_fini(struct imap *p);
enum step mailsrv__imap_namespace(struct imap *p);
bool mailsrv__imap_parse_id(struct imap *p, struct reader *r);
enum step mailsrv__imap_id(struct imap *p);
bool mailsrv__imap_parse_select(struct imap *p, struct reader *r);
enum step mailsrv__imap_select(struct imap *p);
void mailsrv__imap_select_fini(struct imap *p);
enum step mailsrv__imap_examine(struct imap *p);
enum step mailsrv__imap_close(struct imap *p);
enum step mailsrv__imap_idle(struct imap *p);

/* ---- Between the files of the machine ---- */

/* The running command is over: gives back what it held, and how it was sent. */
void mailsrv__imap_forget_command(struct imap *p);

/* A literal is announced with more octets than are swallowed. */
enum step mailsrv__imap_endless(struct imap *p);

/* The session leaves: gives back its mailbox and its store. */
void mailsrv__imap_abandon(struct imap *p);

/* Does LIST take RETURN (STATUS ...)? */
bool mailsrv__imap_lists_status(const struct imap *p);

/* May a login succeed here at all?  And one by LOGIN? */
bool mailsrv__imap_takes_logins(const struct imap *p);
bool mailsrv__imap_takes_passwords(const struct imap *p);

/* A login runs, and this is its next line, or what became of it. */
enum step mailsrv__imap_response(struct imap *p);

/* The next line is no command, but belongs to the one that runs. */
static inline bool mailsrv__imap_is_inside(const struct imap *p)
{
    return p->idling || p->session.sasl != NULL;
}

/* "IMAP4rev1 LITERAL+ ...": what this session has, in the state that it is in. */
void mailsrv__imap_write_capabilities(const struct imap *p, struct writer *w);

/* IDLE: something may have come, or it was silent for long; DONE, or whatever else the peer sent. */
enum step mailsrv__imap_idle_called(struct imap *p);
enum step mailsrv__imap_idle_line(struct imap *p);

/* Where the framer keeps what it keeps. */
struct literal_room mailsrv__imap_room(struct imap *p);

#endif
