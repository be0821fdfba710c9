/* The oracle of IMAP: after a fault, what may a server say instead? */
#include "run.h"

/* What a command is told of a status: NO and this code; NULL: any, or none. */
static const struct {
    int32_t status;
    const char *code;
} codes[] = {
    { MAILSRV_TEMP, "[UNAVAILABLE]" },
    { MAILSRV_NOMEM, "[UNAVAILABLE]" },
    { MAILSRV_FULL, "[UNAVAILABLE]" },
    { MAILSRV_LIMIT, "[LIMIT]" },
    { MAILSRV_OVERQUOTA, "[OVERQUOTA]" },
    { MAILSRV_TOOBIG, "[TOOBIG]" },
    { MAILSRV_NONEXISTENT, "[NONEXISTENT]" },
    { MAILSRV_NOPERM, "[NOPERM]" },
    { MAILSRV_CANNOT, "[CANNOT]" },
    { MAILSRV_ALREADYEXISTS, "[ALREADYEXISTS]" },
    { MAILSRV_INUSE, "[INUSE]" },
    { MAILSRV_CORRUPT, "[CORRUPTION]" },
};

static int32_t status_of(const struct run *run)
{
    if (run->heap.failed)
        return MAILSRV_NOMEM;
    return run->plan->fault == FAULT_STATUS ? run->plan->status : MAILSRV_TEMP;
}

static bool is_appending(struct text command)
{
    return imap_is_verb(command, "APPEND") || imap_is_verb(command, "COPY") || imap_is_verb(command, "UID COPY") ||
           imap_is_verb(command, "MOVE") || imap_is_verb(command, "UID MOVE");
}

static bool is_expunging(struct text command)
{
    return imap_is_verb(command, "EXPUNGE") || imap_is_verb(command, "UID EXPUNGE") ||
           imap_is_verb(command, "MOVE") || imap_is_verb(command, "UID MOVE");
}

/* `NO [CODE] text` against the fault. */
static bool is_right_no(const struct run *run, struct text no, struct text command)
{
    int32_t status = status_of(run);
    const char *code = NULL;
    bool verifies = run->fault_kind == MAILSRV_OP_AUTH_VERIFY || run->fault_kind == MAILSRV_OP_AUTH_SCRAM_KEYS ||
                    run->fault_kind == MAILSRV_OP_AUTH_EXTERNAL;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].status == status)
            code = codes[i].code;
    if (verifies && (status == MAILSRV_DENIED || status == MAILSRV_NONEXISTENT))
        code = "[AUTHENTICATIONFAILED]"; /* nobody is told who exists */
    if (status == MAILSRV_NONEXISTENT && is_appending(command) && text_begins(no, text_of("NO [TRYCREATE]")))
        return true; /* RFC 9051 section 6.3.12 */
    if (run->fault_kind == MAILSRV_OP_CHANGES && is_expunging(command) && text_begins(no, text_of("NO [UNAVAILABLE]")))
        return true; /* they are gone, and which is not known */
    if (status == MAILSRV_CANNOT && text_holds(command, text_of("USE (\\")) && text_begins(no, text_of("NO [USEATTR]")))
        return true; /* RFC 6154 section 3 */
    if (run->heap.failed && text_begins(no, text_of("NO [LIMIT]")))
        return true; /* a mailbox for which there is no room */
    struct text given = text_after(no, 3);
    return text_begins(no, text_of("NO ")) && (code == NULL || text_begins(given, text_of(code)));
}

/* ---- Telling ---- */

/* Is it told beside the command's own answers, so that it may come later, or never? */
static bool is_telling(struct text pattern, struct text command)
{
    bool selects = imap_is_verb(command, "SELECT") || imap_is_verb(command, "EXAMINE");
    bool asks = imap_is_verb(command, "FETCH") || imap_is_verb(command, "UID FETCH");
    if (!text_begins(pattern, text_of("* ")) || selects)
        return false;
    if (text_holds(pattern, text_of(" FETCH (UID ")) && text_holds(pattern, text_of(" MODSEQ (")) && !asks)
        return true;
    if (text_holds(pattern, text_of(" FETCH (")))
        return text_holds(pattern, text_of(" FLAGS (")) && (!asks || !text_holds(command, text_of("FLAGS")));
    return text_holds(pattern, text_of(" EXISTS")) || text_holds(pattern, text_of(" RECENT")) ||
           text_holds(pattern, text_of(" EXPUNGE")) || text_begins(pattern, text_of("* FLAGS ")) ||
           text_begins(pattern, text_of("* OK [PERMANENTFLAGS ")) || text_begins(pattern, text_of("* VANISHED ")) ||
           text_begins(pattern, text_of("* OK [HIGHESTMODSEQ "));
}

/* What became of a mailbox could not be found out; or what was to happen late did not. */
static bool may_tell_less(const struct run *run)
{
    return run->heap.failed || run->fault_is_late || run->fault_kind == MAILSRV_OP_CHANGES ||
           run->fault_kind == MAILSRV_OP_ROWS;
}

/* Then what others did meanwhile, or what it did itself, is not in what this session sees. */
static bool may_be_behind(const struct run *run)
{
    bool changed = run->writes != 0;
    for (size_t at = 0; at < run->at && !changed; at++)
        changed = run->d->steps[at].what == STEP_ACT;
    return changed && may_tell_less(run);
}

/* A mailbox that could not be closed has not moved its mark (mailsrv/op.h). */
static bool is_of_mark(const struct run *run, struct text line)
{
    return run->fault_kind == MAILSRV_OP_MBOX_CLOSE && text_holds(line, text_of(" RECENT\r\n"));
}

static bool is_tagged_pattern(const struct run *run, struct text pattern)
{
    struct text tag = imap_tag(pattern), rest = text_after(pattern, tag.n + 1);
    bool ends =
        text_begins(rest, text_of("OK")) || text_begins(rest, text_of("NO")) || text_begins(rest, text_of("BAD"));
    return imap_is_tagged(pattern) && ends && imap_command(run->d->input, tag).n != 0;
}

/* The step that has the tagged response which the script awaits; n_steps: there is none. */
static size_t next_tagged(const struct run *run)
{
    size_t at = run->at;
    while (at < run->d->n_steps &&
           (run->d->steps[at].what != STEP_SERVER || !is_tagged_pattern(run, run->d->steps[at].text)))
        at++;
    return at;
}

/* RFC 9051 section 6.4.3: an untagged EXPUNGE for each comes before the OK of EXPUNGE. */
static bool owes_expunges(const struct run *run, size_t tagged, struct text command)
{
    for (size_t at = run->at; at < tagged && is_expunging(command); at++)
        if (run->d->steps[at].what == STEP_SERVER && !run->done[at] &&
            (text_holds(run->d->steps[at].text, text_of(" EXPUNGE")) ||
             text_begins(run->d->steps[at].text, text_of("* VANISHED "))))
            return true;
    return false;
}

/* MOVE says OK without it where there was no memory for what it says. */
static bool is_for_memory(const struct run *run, struct text pattern)
{
    return run->heap.failed && text_begins(pattern, text_of("* OK [COPYUID "));
}

/* From here to the tagged response only tellings are missing. */
static bool only_tellings_are_missing(const struct run *run, size_t tagged, struct text command)
{
    for (size_t at = run->at; at < tagged; at++)
        if (run->d->steps[at].what == STEP_SERVER && !run->done[at] && !is_telling(run->d->steps[at].text, command) &&
            !is_for_memory(run, run->d->steps[at].text))
            return false;
    return true;
}

/* RFC 5819 section 2: a STATUS that cannot be told is left out of what LIST says. */
static bool leaves_out_statuses(const struct run *run, size_t tagged, struct text command)
{
    bool asked = run->heap.failed || run->fault_is_late || run->fault_kind == MAILSRV_OP_MBOX_STATUS ||
                 run->fault_kind == MAILSRV_OP_MBOX_OPEN || run->fault_kind == MAILSRV_OP_ROWS;
    for (size_t at = run->at; at < tagged; at++)
        if (run->d->steps[at].what == STEP_SERVER && !run->done[at] &&
            !text_begins(run->d->steps[at].text, text_of("* STATUS ")) &&
            !text_holds(buffer_text(&run->out), run->d->steps[at].text))
            return false;
    return asked && imap_is_verb(command, "LIST");
}

/* ---- What is said ---- */

static bool may_say_bye(const struct run *run)
{
    bool of_image = run->fault_kind == MAILSRV_OP_CHANGES || run->fault_kind == MAILSRV_OP_ROWS;
    return run->heap.failed || of_image || run->slept;
}

/* The message is gone, by what the store says: by UID it is left out, and that is all; SEARCH by number says so. */
static bool leaves_out(const struct run *run, struct text command, struct text rest)
{
    bool said = imap_is_verb(command, "SEARCH") && text_begins(rest, text_of("OK [EXPUNGEISSUED] "));
    return status_of(run) == MAILSRV_GONE && (imap_is_verb(command, "UID") || said);
}

/* A mailbox that may not be changed is selected all the same. */
static bool is_looked_at_only(const struct run *run, struct text rest)
{
    return run->fault_kind == MAILSRV_OP_MBOX_OPEN && status_of(run) == MAILSRV_NOPERM &&
           text_begins(rest, text_of("OK [READ-ONLY] "));
}

/* What a store cannot move at once is moved all the same. */
static bool is_done_in_steps(const struct run *run)
{
    return run->fault_kind == MAILSRV_OP_MOVE && status_of(run) == MAILSRV_CANNOT;
}

static struct text without_end(struct text line)
{
    return (struct text){ line.p, line.n - 2 };
}

static bool is_same(struct text a, struct text b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* A refusal up to its text.  Empty: it is none with a code. */
static struct text until_text(struct text line)
{
    size_t n = text_holds(line, text_of(" NO [")) ? text_find(line, "]") : 0;
    return (struct text){ line.p, n };
}

static bool may_say_tagged(struct run *run, struct text line)
{
    struct text tag = imap_tag(line), rest = text_after(line, tag.n + 1);
    struct text command = imap_command(buffer_text(&run->in), tag);
    size_t at = next_tagged(run);
    struct text awaited = at < run->d->n_steps ? run->d->steps[at].text : line;
    if (!is_same(imap_tag(awaited), tag))
        return false;
    bool less = (may_tell_less(run) && only_tellings_are_missing(run, at, command)) ||
                leaves_out_statuses(run, at, command);
    bool no = text_begins(rest, text_of("NO ")); /* awaited anyhow; what stands before it may be less */
    bool ok_awaited = text_begins(text_after(awaited, tag.n + 1), text_of("OK"));
    bool has_all = !is_for_memory(run, run->d->steps[run->at].text);
    if (!no && ok_awaited && has_all && owes_expunges(run, at, command))
        return false;
    if ((no || less || may_be_behind(run)) && match_line(awaited, without_end(line), &run->captures))
        return true;
    if (run->heap.failed && until_text(line).n != 0 && is_same(until_text(awaited), until_text(line)))
        return true; /* for what the host had to say there was no memory */
    if (no)
        return is_right_no(run, rest, command);
    if (!text_begins(rest, text_of("OK ")))
        return false;
    return leaves_out(run, command, rest) || is_done_in_steps(run) || is_looked_at_only(run, rest) ||
           less || may_be_behind(run);
}

/* The bytes of a literal that was promised cannot be had: there is no other end than the connection's. */
static bool may_break_off(const struct run *run)
{
    return run_closes(run) &&
           (run->heap.failed || run->fault_kind == MAILSRV_OP_READ || run->fault_kind == MAILSRV_OP_ROWS);
}

/* Nothing is owed: the last command has its answer, or is IDLE. */
static bool nothing_is_owed(const struct run *run)
{
    for (size_t at = run->at; at-- != 0;) {
        const struct step *step = &run->d->steps[at];
        if (step->what == STEP_SERVER && is_tagged_pattern(run, step->text))
            return true;
        if (step->what == STEP_CLIENT)
            return imap_is_verb(text_after(step->text, imap_tag(step->text).n + 1), "IDLE");
    }
    return true;
}

bool imap_may_say(struct run *run, struct text line, struct text expected)
{
    size_t at = (size_t)(line.p - run->out.p);
    bool still_here = run->slept; /* all of it is what an idle client is told now and then (RFC 2177 section 3) */
    for (;;) {
        struct text rest = text_after(buffer_text(&run->out), at);
        struct text r = imap_response(rest);
        if (r.n == 0 && rest.n == 0 && !run_closes(run)) {
            run->out_pos = at;
            if (still_here || nothing_is_owed(run))
                return still_here || may_tell_less(run);
            script_wait(run, 0);
            if (run->out.n == at)
                return false;
            continue;
        }
        if (r.n == 0)
            return may_break_off(run);
        if (text_begins(r, text_of("* BYE ")))
            return may_say_bye(run);
        if (imap_is_tagged(r))
            return may_say_tagged(run, r);
        if (r.p[0] == '+')
            return false;
        if (is_of_mark(run, r))
            return true;
        if (text_begins(r, text_of("* BAD ")))
            return run->heap.failed && text_holds(expected, text_of(" BAD ")); /* its tag was not kept */
        still_here = still_here && text_begins(r, text_of("* OK "));
        at += r.n;
    }
}

bool imap_may_be_silent(const struct run *run, struct text expected)
{
    if (run_closes(run))
        return may_break_off(run);
    bool told = text_begins(expected, text_of("* BYE ")) || is_telling(expected, (struct text){ "", 0 });
    return may_tell_less(run) && told && nothing_is_owed(run);
}
