#include "core/tap.h"
#include "imap/imap.h"
#include "text/http.h"

/* ---- Where a command is kept ---- */

enum { OCTETS_BEFORE_LOGIN = 8192, SWALLOWS_BEFORE_LOGIN = 65536 };

/* Whoever has not said who he is gets little room; a login as much as one can need. */
static size_t octets_max(const struct imap *p)
{
    uint64_t octets = mailsrv__setting(&p->session, MAILSRV_PROFILE_LINE_OCTETS_MAX);
    if (p->session.sasl != NULL)
        return SASL_LINE_OCTETS_MAX;
    return (size_t)(p->state != IN_GREETED || octets < OCTETS_BEFORE_LOGIN ? octets : OCTETS_BEFORE_LOGIN);
}

struct literal_room mailsrv__imap_room(struct imap *p)
{
    bool known = p->state != IN_GREETED;
    uint64_t message = mailsrv__setting(&p->session, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX);
    return (struct literal_room){
        .heap = mailsrv__session_heap(&p->session),
        .purse = &p->session.purse,
        .octets_max = octets_max(p),
        /* a message that is a little too large, too; before login, in all commands */
        .swallows_max = known ? 2 * message : SWALLOWS_BEFORE_LOGIN - p->swallowed,
    };
}

void *mailsrv__imap_take(struct imap *p, size_t n)
{
    return mailsrv__arena_take(&p->command.arena, n);
}

void *mailsrv__imap_own(struct imap *p, struct reader *r, size_t n)
{
    if (p->command.own == NULL)
        p->command.own = mailsrv__imap_take(p, n);
    r->no_memory = p->command.own == NULL;
    return p->command.own;
}

static void forget_parsed(struct imap *p)
{
    struct command *c = &p->command;
    if (c->row != NULL && c->row->fini != NULL)
        c->row->fini(p);
    mailsrv__arena_clear(&c->arena);
    *c = (struct command){ .row = NULL };
}

void mailsrv__imap_forget_command(struct imap *p)
{
    struct literal_room room = mailsrv__imap_room(p);
    if (p->state == IN_GREETED) /* at most what the room had left for it */
        p->swallowed += (uint32_t)p->frame.swallowed;
    forget_parsed(p);
    mailsrv__literal_done(&p->frame, &room);
}

/* ---- From octets to a row of the table ---- */

static struct reader read_command(struct imap *p)
{
    struct command *c = &p->command;
    c->arena.heap = mailsrv__session_heap(&p->session);
    c->arena.purse = &p->session.purse;
    struct span text = mailsrv__literal_text(&p->frame);
    const char *streamed = p->frame.streamed_at == 0 ? NULL : text.p + p->frame.streamed_at;
    return (struct reader){ .rest = text, .streamed = streamed, .arena = &c->arena };
}

/* tag SP: it is kept where it stays as long as the command does. */
static bool take_tag(struct imap *p, struct reader *r)
{
    struct span tag;
    if (!mailsrv__parse_tag(r, &tag) || tag.n > TAG_MAX || !mailsrv__parse_sp(r))
        return mailsrv__parse_fails(r, "a tag");
    if (p->command.tag.n == 0)
        r->no_memory = !mailsrv__arena_copy(r->arena, tag, &p->command.tag);
    if (r->no_memory && p->frame.place == AT_END)
        p->command.tag = tag; /* where it stands: for the refusal, before which the frame does not move */
    return !r->no_memory;
}

/* The command's name, behind "UID" or not.  NULL: there is no such command. */
static const struct row *take_name(struct imap *p, struct reader *r)
{
    struct span name;
    p->command.by_uid = mailsrv__parse_word(r, SPAN("UID"));
    if (p->command.by_uid && !mailsrv__parse_sp(r))
        return NULL;
    if (!mailsrv__parse_atom(r, &name))
        return NULL;
    const struct row *row = mailsrv__imap_row(p, name);
    return row == NULL || (p->command.by_uid && row->uid_tells == TELL_NOTHING) ? NULL : row;
}

static void begin(struct imap *p, const struct row *row)
{
    struct command *c = &p->command;
    c->row = row;
    mailsrv__count_command(&p->session, row);
    c->tells = c->by_uid ? row->uid_tells : row->tells;
    c->syncs = (row->flags & ROW_SYNCS) != 0;
}

/* ---- Running it ---- */

static enum step say_expected(struct imap *p, const struct reader *r)
{
    const char *expected = r->expected == NULL ? "something else" : r->expected;
    char room[LINE_ROOM];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write(&w, SPAN("expected "));
    mailsrv__write(&w, (struct span){ expected, strlen(expected) });
    return mailsrv__imap_bad(p, mailsrv__written(&w));
}

static enum step not_parsed(struct imap *p, const struct reader *r)
{
    if (r->no_memory)
        return mailsrv__imap_no_memory(p);
    if (r->too_many)
        return mailsrv__imap_refuse(p, MAILSRV_LIMIT, (struct span){ NULL, 0 });
    return say_expected(p, r);
}

/* Everything that can be decided from the table is decided here, so that a handler starts from a legal command. */
static enum step run_row(struct imap *p, struct reader *r)
{
    const struct row *row = p->command.row;
    if ((row->states & p->state) == 0)
        return mailsrv__imap_bad(p, SPAN("not now"));
    if (row->kind != 0 && !mailsrv__served(&p->session, row->kind))
        return mailsrv__imap_refuse(p, MAILSRV_CANNOT, (struct span){ NULL, 0 });
    if ((row->parse != NULL && !row->parse(p, r)) || !mailsrv__parse_end(r))
        return not_parsed(p, r);
    if (r->no_name)
        return mailsrv__imap_refuse(p, MAILSRV_CANNOT, SPAN("no mailbox can have that name"));
    if ((row->flags & ROW_WRITES) != 0 && !p->can_write)
        return mailsrv__imap_refuse(p, MAILSRV_NOPERM, SPAN("the mailbox is open to look only"));
    return row->run(p);
}

/* The lines of a request of HTTP, and its body, are another's text: none of them may be run.  Its method could be a
 * tag, but not with what stands behind it. */
static enum step not_known(struct imap *p)
{
    mailsrv__count_command(&p->session, NULL);
    if (!mailsrv__is_http_request(mailsrv__literal_text(&p->frame)))
        return mailsrv__imap_bad(p, SPAN("unknown command"));
    mailsrv__say(&p->session, SPAN("* BYE this is no web server\r\n"));
    return STEP_CLOSE;
}

static enum step run_command(struct imap *p)
{
    struct reader r = read_command(p);
    if (!take_tag(p, &r)) {
        mailsrv__count_command(&p->session, NULL);
        return not_parsed(p, &r);
    }
    const struct row *row = take_name(p, &r);
    if (row == NULL)
        return not_known(p);
    begin(p, row);
    return run_row(p, &r);
}

/* Its octets would be taken for commands (RFC 7888 section 4). */
enum step mailsrv__imap_endless(struct imap *p)
{
    mailsrv__say(&p->session, SPAN("* BYE [TOOBIG] the literal is too large\r\n"));
    return STEP_CLOSE;
}

/* Its framing went wrong; its tag is there for certain, if it had one. */
static enum step run_bad(struct imap *p)
{
    struct reader r = read_command(p);
    mailsrv__count_command(&p->session, NULL);
    take_tag(p, &r);
    switch (p->frame.bad) {
    case LITERAL_REFUSED:
        if (p->command.reply.ending == END_BAD)
            return mailsrv__imap_bad(p, p->command.reply.text);
        return mailsrv__imap_done(p, p->command.reply);
    case LITERAL_TOO_LONG:
        return mailsrv__imap_bad(p, SPAN("the command is too long"));
    case LITERAL_NO_MEMORY:
        return mailsrv__imap_no_memory(p);
    case LITERAL_ENDLESS:
        return mailsrv__imap_endless(p);
    default:
        return mailsrv__imap_bad(p, SPAN("a NUL, or a CR or LF that stands alone"));
    }
}

/* What has gone while the session rested may have to be found out again, before numbers mean anything. */
static bool numbers_are_there(struct imap *p)
{
    return !mailsrv__imap_is_selected(p) || mailsrv__view_use(&p->view);
}

static enum step run_framed(mailsrv_session *session);

static enum step wait_for_numbers(struct imap *p)
{
    struct reader r = read_command(p);
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    if (!mailsrv__was_late(&p->session))
        return mailsrv__imap_then_view(p, run_framed);
    take_tag(p, &r);
    return mailsrv__imap_refuse(p, MAILSRV_TEMP, (struct span){ NULL, 0 });
}

static enum step run_framed(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (!numbers_are_there(p))
        return wait_for_numbers(p);
    return p->frame.bad == LITERAL_GOOD ? run_command(p) : run_bad(p);
}

static enum step run(struct imap *p)
{
    if (p->session.sasl != NULL)
        return mailsrv__imap_response(p);
    return p->idling ? mailsrv__imap_idle_line(p) : run_framed(&p->session);
}

/* ---- Literals ---- */

/* continue-req: "+" and a space, always (RFC 9051 section 9). */
static enum step go_ahead(struct imap *p)
{
    if (!p->frame.nonsync && !mailsrv__say(&p->session, SPAN("+ go ahead\r\n")))
        return STEP_CLOSE;
    return STEP_WAIT;
}

enum step mailsrv__imap_literal_keep(struct imap *p)
{
    struct literal_room room = mailsrv__imap_room(p);
    if (mailsrv__literal_keep(&p->frame, &room))
        return go_ahead(p);
    return p->frame.place == AT_END ? run(p) : STEP_WAIT;
}

enum step mailsrv__imap_literal_stream(struct imap *p)
{
    mailsrv__literal_stream(&p->frame);
    return go_ahead(p);
}

enum step mailsrv__imap_literal_refuse(struct imap *p, struct reply reply)
{
    struct literal_room room = mailsrv__imap_room(p);
    p->command.reply = reply;
    mailsrv__literal_refuse(&p->frame, &room, LITERAL_REFUSED);
    return p->frame.place == AT_END ? run(p) : STEP_WAIT;
}

enum { LOOKED_AT_MAX = 16 }; /* literals of a command: each look reads it from its beginning */

/* Is the command right, as far as it goes?  Where it is not, no literal is asked for (RFC 9051 section 7.6). */
static bool is_right_so_far(struct imap *p, const struct row *row, struct reader *r)
{
    bool is_legal = row != NULL && (row->states & p->state) != 0 && row->parse != NULL;
    if (!is_legal)
        return false;
    begin(p, row);
    return !row->parse(p, r) && r->incomplete;
}

/* In IDLE and in a login no literal is right, and the command that runs is kept. */
static enum step announced_inside(struct imap *p)
{
    if (p->frame.nonsync)
        return mailsrv__imap_literal_keep(p);
    mailsrv__literal_cut_short(&p->frame);
    return run(p);
}

static enum step announced_to(struct imap *p, const struct row *row, struct reader *r)
{
    if (p->frame.nonsync || p->frame.asked > LOOKED_AT_MAX || !numbers_are_there(p))
        return mailsrv__imap_literal_keep(p);
    bool right = is_right_so_far(p, row, r) || r->no_memory;
    forget_parsed(p);
    if (mailsrv__imap_is_selected(p))
        mailsrv__view_rest(&p->view); /* who waits with a literal may wait for long */
    if (right)
        return mailsrv__imap_literal_keep(p);
    mailsrv__literal_cut_short(&p->frame);
    return run(p);
}

/* A command that streams a literal decides when it is announced: what it is for stands before it. */
static enum step announced(struct imap *p)
{
    if (mailsrv__imap_is_inside(p))
        return announced_inside(p);
    struct reader r = read_command(p);
    const struct row *row = take_tag(p, &r) ? take_name(p, &r) : NULL;
    if (r.no_memory)
        return mailsrv__imap_literal_refuse(p, mailsrv__imap_status_reply(p, MAILSRV_NOMEM, (struct span){ NULL, 0 }));
    if (row == NULL || row->streams == NULL || (row->states & p->state) == 0 ||
        (row->kind != 0 && !mailsrv__served(&p->session, row->kind)))
        return announced_to(p, row, &r);
    begin(p, row);
    return row->streams->announced(p, &r);
}

static enum step take(mailsrv_session *session, struct input *in)
{
    struct imap *p = mailsrv__imap_of(session);
    struct literal_room room = mailsrv__imap_room(p);
    for (;;) {
        enum step step = STEP_WAIT;
        switch (mailsrv__literal_take(&p->frame, &room, in)) {
        case CUT_MORE:
            return STEP_WAIT;
        case CUT_COMMAND:
            return run(p);
        case CUT_OCTETS:
            step = p->command.row->streams->octets(p, in);
            if (step == STEP_NEXT)
                continue;
            return step;
        case CUT_LITERAL:
            step = announced(p);
            if (step != STEP_WAIT || session->next != NULL)
                return step;
        }
    }
}

/* ---- The machine ---- */

static enum step greet(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    p->state = IN_GREETED;
    session->peer_timeout_ms = (uint32_t)mailsrv__setting(session, MAILSRV_PROFILE_LOGIN_TIMEOUT_MS);
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    mailsrv__write(&line, SPAN("* OK [CAPABILITY "));
    mailsrv__imap_write_capabilities(p, &line);
    mailsrv__write(&line, SPAN("] "));
    mailsrv__write(&line, mailsrv__setting_str(session, MAILSRV_PROFILE_HOSTNAME));
    mailsrv__write(&line, SPAN(" IMAP server ready"));
    return mailsrv__imap_say(p, &line) ? STEP_NEXT : STEP_CLOSE;
}

/* Between two commands, or within one that is still coming in. */
static enum step called(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (mailsrv__imap_view_ended(p))
        return STEP_CLOSE;
    return p->idling ? mailsrv__imap_idle_called(p) : STEP_WAIT;
}

static void leave(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    mailsrv__imap_abandon(p);
    mailsrv__sasl_free(session);
    mailsrv__imap_forget_command(p);
}

static bool has_face(int32_t face)
{
    return face == MAILSRV_FACE_IMAP;
}

enum { MINUTE_MS = 60000 };

static void defaults(mailsrv_profile *profile)
{
    const uint64_t day_ms = 24 * 60 * MINUTE_MS, tera = UINT64_C(1) << 40;
    /* RFC 9051 section 5.4: an autologout timer runs at least 30 minutes. */
    mailsrv__default_u64(profile, MAILSRV_PROFILE_COMMAND_TIMEOUT_MS, 30 * MINUTE_MS, 30 * MINUTE_MS, day_ms);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_LOGIN_TIMEOUT_MS, 3 * MINUTE_MS, MINUTE_MS, 30 * MINUTE_MS);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_IDLE_SIGN_MS, 2 * MINUTE_MS, MINUTE_MS / 6, day_ms);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_LINE_OCTETS_MAX, 65536, 1024, 65536);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, UINT64_C(100) << 20, 65536, tera);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_SESSION_OCTETS_MAX, 384 * 1024, 32 * 1024, tera);
    mailsrv__default_u64(profile, MAILSRV_PROFILE_WINDOW_OCTETS, 64 * 1024, 1024, UINT64_C(1) << 30);
}

static const mailsrv_machine machine = {
    .name = "imap",
    .commands = mailsrv__imap_names,
    .octets = sizeof(struct imap),
    .partings = { [PARTING_SHUTDOWN] = "* BYE shutting down\r\n",
                  [PARTING_TIMEOUT] = "* BYE silent for too long\r\n",
                  [PARTING_NO_MEMORY] = "* BYE [UNAVAILABLE] out of memory\r\n",
                  [PARTING_BUSY] = "* BYE [UNAVAILABLE] too busy, try again later\r\n" },
    .has_face = has_face,
    .defaults = defaults,
    .engine_tap = &mailsrv__structure_tap,
    .answers = &mailsrv__store_answers,
    .greet = greet,
    .take = take,
    .called = called,
    .leave = leave,
};

const mailsrv_machine *mailsrv_imap(void)
{
    return &machine;
}
