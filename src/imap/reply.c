/* How a command ends, and what a status is told as. */
#include "imap/imap.h"

/* ---- Statuses ---- */

struct meaning {
    struct span code, usual;
};

static struct meaning meaning_of(const struct imap *p, int32_t status)
{
    const struct row *row = p->command.row;
    switch (status) {
    case MAILSRV_LIMIT:
        return (struct meaning){ SPAN("[LIMIT]"), SPAN("that is more than there is room for") };
    case MAILSRV_DENIED:
        return (struct meaning){ SPAN("[AUTHENTICATIONFAILED]"), SPAN("wrong user or password") };
    case MAILSRV_OVERQUOTA:
        return (struct meaning){ SPAN("[OVERQUOTA]"), SPAN("the quota is used up") };
    case MAILSRV_TOOBIG:
        return (struct meaning){ SPAN("[TOOBIG]"), SPAN("the message is too large") };
    case MAILSRV_NONEXISTENT:
        if (row != NULL && (row->flags & ROW_TRYCREATE) != 0)
            return (struct meaning){ SPAN("[TRYCREATE]"), SPAN("no such mailbox") };
        return (struct meaning){ SPAN("[NONEXISTENT]"), SPAN("no such mailbox") };
    case MAILSRV_NOPERM:
        return (struct meaning){ SPAN("[NOPERM]"), SPAN("you may not do that") };
    case MAILSRV_CANNOT:
        return (struct meaning){ SPAN("[CANNOT]"), SPAN("that cannot be done") };
    case MAILSRV_ALREADYEXISTS:
        return (struct meaning){ SPAN("[ALREADYEXISTS]"), SPAN("there is such a mailbox") };
    case MAILSRV_INUSE:
        return (struct meaning){ SPAN("[INUSE]"), SPAN("in use, try again later") };
    case MAILSRV_GONE:
        return (struct meaning){ SPAN("[EXPUNGEISSUED]"), SPAN("some of the messages are gone") };
    case MAILSRV_CORRUPT:
        return (struct meaning){ SPAN("[CORRUPTION]"), SPAN("what is stored there is damaged") };
    default:
        return (struct meaning){ SPAN("[UNAVAILABLE]"), SPAN("try again later") };
    }
}

/* The text of an answer goes with it, so it is kept; without memory the usual one does. */
struct reply mailsrv__imap_status_reply(struct imap *p, int32_t status, struct span text)
{
    struct meaning m = meaning_of(p, status);
    bool stays = status == MAILSRV_CORRUPT || status <= MAILSRV_DENIED;
    struct reply reply = { stays ? END_NO : END_LATER, m.code, m.usual };
    struct span kept;
    if (text.n != 0 && mailsrv__arena_copy(&p->command.arena, text, &kept))
        reply.text = kept;
    return reply;
}

enum step mailsrv__imap_refuse(struct imap *p, int32_t status, struct span text)
{
    return mailsrv__imap_done(p, mailsrv__imap_status_reply(p, status, text));
}

/* Without a tag there is no reply that a client would wait for. */
enum step mailsrv__imap_no_memory(struct imap *p)
{
    if (p->command.tag.n == 0) {
        mailsrv__say(&p->session, SPAN("* BYE [UNAVAILABLE] out of memory\r\n"));
        return STEP_CLOSE;
    }
    return mailsrv__imap_refuse(p, MAILSRV_NOMEM, (struct span){ NULL, 0 });
}

/* ---- The end ---- */

static void write_tag(struct imap *p, struct writer *line)
{
    mailsrv__write(line, p->command.tag.n == 0 ? SPAN("*") : p->command.tag);
}

/* RFC 7162 sections 3.2.7 and 3.2.9, RFC 6851 section 4.4: what removed something ends with it. */
static bool ends_with_highest(const struct imap *p, const struct reply *reply)
{
    return p->command.ends_highest && p->qresync && p->modseqs && reply->ending == END_OK && reply->code.n == 0 &&
           mailsrv__imap_is_selected(p);
}

static void write_highest(const struct imap *p, struct writer *line)
{
    mailsrv__write(line, SPAN("[HIGHESTMODSEQ "));
    mailsrv__write_u64(line, mailsrv__view_highest(&p->view));
    mailsrv__write(line, SPAN("] "));
}

/* resp-cond-state, with its tag */
static bool say_ending(struct imap *p, const struct reply *reply)
{
    static const char *const names[] = {
        [END_OK] = " OK ", [END_NO] = " NO ", [END_LATER] = " NO ", [END_BAD] = " BAD "
    };
    static const char digits[] = { [END_OK] = '2', [END_NO] = '5', [END_LATER] = '4', [END_BAD] = '5' };
    const char *name = names[reply->ending];
    mailsrv__replies(&p->session, digits[reply->ending]);
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    write_tag(p, &line);
    mailsrv__write(&line, (struct span){ name, strlen(name) });
    mailsrv__write(&line, reply->code);
    if (reply->code.n != 0)
        mailsrv__write_char(&line, ' ');
    else if (ends_with_highest(p, reply))
        write_highest(p, &line);
    mailsrv__write(&line, reply->text);
    return mailsrv__imap_say(p, &line);
}

/* The session of a mailbox that is no more ends after the reply in progress. */
enum step mailsrv__imap_end(struct imap *p)
{
    mailsrv__imap_forget_command(p);
    if (mailsrv__imap_is_selected(p))
        mailsrv__view_rest(&p->view); /* what numbers mean is not needed before the next command */
    return mailsrv__imap_view_ended(p) ? STEP_CLOSE : STEP_NEXT;
}

enum step mailsrv__imap_say_reply(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (!say_ending(p, &p->command.reply))
        return STEP_CLOSE;
    return mailsrv__imap_end(p);
}

enum step mailsrv__imap_done(struct imap *p, struct reply reply)
{
    p->command.reply = reply;
    return mailsrv__imap_tell(p, mailsrv__imap_say_reply);
}

enum step mailsrv__imap_ok(struct imap *p, struct span text)
{
    return mailsrv__imap_done(p, (struct reply){ .ending = END_OK, .text = text });
}

/* Tells nothing: whoever sends what is no command may be counting otherwise. */
enum step mailsrv__imap_bad(struct imap *p, struct span text)
{
    struct reply reply = { .ending = END_BAD, .text = text };
    bool said = say_ending(p, &reply);
    if (!mailsrv__erred(&p->session) || !said)
        return said ? mailsrv__imap_end(p) : STEP_CLOSE;
    mailsrv__say(&p->session, SPAN("* BYE too many errors\r\n"));
    return STEP_CLOSE;
}
