/* The script: the steps of the file, one after the other. */
#include "run.h"

#include "courier.h"
#include "items.h"
#include "words.h"

enum { SLEEPS_MAX = 64 };

static const struct step *step_at(const struct run *run, size_t at)
{
    return &run->d->steps[at];
}

/* ---- Operations that the script names ---- */

/* Does what was asked before this step belong to the one before it? */
static bool is_barrier(enum step_kind what)
{
    return what == STEP_CLIENT || what == STEP_EOF || what == STEP_TIME || what == STEP_ANSWER || what == STEP_ACT ||
           what == STEP_NOTIFY || what == STEP_TLS || what == STEP_JOB;
}

/* The next step that names an operation and to which none came yet: from `at` on, before something else is done. */
static size_t next_named(const struct run *run, size_t at)
{
    for (; at < run->d->n_steps; at++) {
        if (step_at(run, at)->what == STEP_OP && !run->done[at])
            return at;
        if (at != run->at && is_barrier(step_at(run, at)->what))
            break;
    }
    return run->d->n_steps;
}

static bool words_match(const struct entry *entry, const struct step *step, struct buffer *words)
{
    op_words(entry->op, words);
    return text_begins(buffer_text(words), step->words);
}

/* An operation that the script names, but not now. */
static void out_of_place(struct run *run, const struct step *step, struct buffer *words)
{
    if (run_excused(run) || run->stopped)
        return; /* what is asked after a fault may be something else */
    buffer_add_text(words, " came, where the file has: ");
    buffer_add_text(words, mailsrv_op_name(step->kind));
    buffer_add_text(words, " ");
    buffer_add(words, step->words.p, step->words.n);
    run_wrong_text(run, "out of place: ", buffer_text(words));
}

/* A POLICY is asked at the stages that the profile names and at no others: a file has each. */
static void unnamed(struct run *run, const struct entry *entry, struct buffer *words)
{
    words->n = 0;
    op_words(entry->op, words);
    if (!run_excused(run) && !run->stopped)
        run_wrong_text(run, "the file has no such POLICY: ", buffer_text(words));
}

void script_claim(struct run *run, struct entry *entry)
{
    struct buffer words = { 0 };
    bool claimed = false;
    entry->reply = REPLY_STORE;
    if (run->diverged || run->session == NULL)
        return;
    size_t first = next_named(run, run->at);
    for (size_t at = first; at < run->d->n_steps; at = next_named(run, at + 1)) {
        const struct step *step = step_at(run, at);
        if (step->kind != entry->kind)
            continue;
        if (words_match(entry, step, &words) && at == first) {
            run->done[at] = claimed = true;
            entry->reply = step->reply;
            entry->status = step->status;
            entry->verdict = step->verdict;
            entry->text = step->text;
        } else {
            out_of_place(run, step, &words);
        }
        break;
    }
    if (entry->kind == MAILSRV_OP_POLICY && entry->reply == REPLY_STORE && !claimed)
        unnamed(run, entry, &words);
    buffer_free(&words);
}

const struct step *script_next_answer(struct run *run)
{
    size_t at = run->answers_at > run->at ? run->answers_at : run->at;
    for (; at < run->d->n_steps; at++) {
        const struct step *step = step_at(run, at);
        run->answers_at = at + 1;
        if (step->what == STEP_ANSWER)
            return step;
        if (step->what != STEP_TIME)
            continue;
        run->mono_us += (int64_t)step->n; /* it comes when somebody's patience is over */
        run->unix_us += (int64_t)step->n;
        host_pump(run);
    }
    return NULL;
}

/* ---- Output ---- */

static struct text unread(const struct run *run)
{
    return run->out.n == 0 ? (struct text){ "", 0 }
                           : (struct text){ run->out.p + run->out_pos, run->out.n - run->out_pos };
}

/* The next line, without its CRLF.  False: there is no whole one. */
static bool next_line(struct run *run, struct text *line)
{
    struct text rest = unread(run);
    size_t n = text_find(rest, "\r\n");
    if (n == rest.n)
        return false;
    *line = (struct text){ rest.p, n };
    run->out_pos += n + 2;
    return true;
}

static bool has_line(const struct run *run, size_t octets)
{
    struct text rest = unread(run);
    return octets != 0 ? rest.n >= octets : text_find(rest, "\r\n") != rest.n;
}

void script_wait(struct run *run, size_t octets)
{
    if (run->n_withheld == 0 && run->n_never == 0)
        return;
    for (unsigned i = 0; i < SLEEPS_MAX && !has_line(run, octets) && !run_closes(run) && !run_is_wrong(run); i++) {
        if (!host_sleep(run))
            break;
        host_pump(run);
    }
    if (run->n_withheld != 0 && run->plan->fault == FAULT_TARDY) {
        operations_answer_kept(run, REPLY_WITHHELD, NULL);
        run->n_withheld = 0;
        host_pump(run);
    }
}

/* Another session's EXPUNGE that came before its place: it is held back only where the next command is there already,
 * which depends on how input is cut. */
static bool came_early(struct run *run, struct text line)
{
    for (size_t at = run->at + 1; at < run->d->n_steps && !is_barrier(step_at(run, at)->what); at++) {
        if (!step_at(run, at)->loose || run->done[at] || !match_line(step_at(run, at)->text, line, &run->captures))
            continue;
        run->done[at] = true;
        return true;
    }
    return false;
}

/* What an idle client is told now and then, where it waited long (RFC 2177 section 3). */
static bool is_sign_of_life(const struct run *run, struct text line)
{
    return run->d->is_imap && run->slept && text_begins(line, text_of("* OK ")) && has_line(run, 0);
}

static void play_server(struct run *run, const struct step *step)
{
    struct text line;
    bool early = false;
    if (run->done[run->at])
        return;
    do {
        if (!has_line(run, 0))
            script_wait(run, 0);
        if (run->stopped || run_is_wrong(run))
            return;
        if (!next_line(run, &line)) {
            oracle_silent(run, step->text);
            return;
        }
        if (match_line(step->text, line, &run->captures))
            return;
        early = came_early(run, line) || is_sign_of_life(run, line);
    } while (early);
    oracle_unexpected(run, line, step->text);
}

static void play_server_raw(struct run *run, const struct step *step)
{
    if (!has_line(run, step->text.n))
        script_wait(run, step->text.n);
    if (run->stopped || run_is_wrong(run))
        return;
    struct text got = unread(run);
    if (got.n > step->text.n)
        got.n = step->text.n;
    run->out_pos += got.n;
    bool begins = got.n == 0 || memcmp(got.p, step->text.p, got.n) == 0;
    if (got.n < step->text.n && begins)
        oracle_silent(run, step->text);
    else if (got.n < step->text.n)
        oracle_unexpected(run, got, step->text);
    else if (memcmp(got.p, step->text.p, got.n) != 0)
        oracle_unexpected(run, got, step->text);
}

/* Everything that was said has been expected. */
static bool nothing_unread(struct run *run)
{
    struct text rest = unread(run), line;
    if (rest.n == 0 || run->diverged || run->stopped)
        return true;
    if (!next_line(run, &line))
        line = rest;
    oracle_unexpected(run, line, text_of("nothing"));
    return false;
}

/* After a fault the lines of a command may come at other moments: its S: lines look at them. */
static bool may_act(struct run *run)
{
    return (run->d->is_imap && run_excused(run)) || nothing_unread(run);
}

/* ---- Steps ---- */

/* Does the last line of the server ask for what the client holds back? */
static bool is_asked_for_more(const struct run *run)
{
    struct text rest = buffer_text(&run->out), last = rest;
    while (rest.n != 0)
        last = text_line(&rest);
    return text_begins(last, text_of("+"));
}

static void note_said(struct run *run, struct text text)
{
    if (run->said.state == SAID_WAITS)
        said_answered(&run->said, is_asked_for_more(run));
    while (text.n != 0 && run->said.state != SAID_WAITS)
        text = text_after(text, said_take(&run->said, text));
    if (text.n != 0)
        run_wrong(run, "a client does not go on behind {n} before it is asked to");
}

static void say(struct run *run, struct text text)
{
    if (run->d->is_imap)
        note_said(run, text);
    buffer_add(&run->in, text.p, text.n);
    host_pump(run);
}

static void play_client(struct run *run, const struct step *step)
{
    if (nothing_unread(run))
        say(run, step->text);
}

bool script_begins_tls(const struct run *run)
{
    size_t at = run->at;
    while (at < run->d->n_steps && (at == run->at || !is_barrier(step_at(run, at)->what)) &&
           step_at(run, at)->what != STEP_TLS)
        at++;
    return at < run->d->n_steps && step_at(run, at)->what == STEP_TLS;
}

/* The client begins its handshake, with the library or with the host. */
static void play_tls(struct run *run)
{
    if ((!run->d->is_client && !nothing_unread(run)) || run->stopped)
        return;
    tls_begin(run);
    host_pump(run);
}

static void play_closes(struct run *run)
{
    if (!run_closes(run))
        script_wait(run, SIZE_MAX);
    if (nothing_unread(run) && !run->stopped && !run_closes(run))
        oracle_silent(run, text_of("the end of the session"));
    else if (run->client.is_open && !run->client.is_closed && !run->client.alerted && !run_excused(run) &&
             !run->stopped)
        run_wrong(run, "the session has ended without a close_notify");
}

static void play_op(struct run *run, const struct step *step)
{
    if (run->done[run->at] || run_excused(run) || run->stopped)
        return;
    run_wrong_text(run, "an operation did not come: ", text_of(mailsrv_op_name(step->kind)));
}

static void play_answer(struct run *run, const struct step *step)
{
    if (!may_act(run) || run->stopped)
        return;
    if (!operations_answer_kept(run, REPLY_LATER, step) && !run_excused(run))
        run_wrong(run, "there is nothing to answer");
    host_pump(run);
}

static void play_time(struct run *run, const struct step *step)
{
    if (!nothing_unread(run))
        return;
    run->mono_us += (int64_t)step->n;
    run->unix_us += (int64_t)step->n;
    bool feeds_next = run->at + 1 < run->d->n_steps && step_at(run, run->at + 1)->what == STEP_CLIENT;
    if (run->plan->order == ADVANCE_FIRST || !feeds_next)
        host_pump(run);
}

static void check_item(struct run *run, const struct step *step, const mailsrv_queue_item *item)
{
    struct buffer is = { 0 };
    if (step->what == STEP_QUEUE_IS)
        item_describe(run, item, &is);
    else
        item_message(run, step->n - 1, step->text.n, &is);
    struct text text = buffer_text(&is);
    if (text.n != step->text.n || memcmp(text.p, step->text.p, text.n) != 0)
        run_wrong_text(run, "the item is ", text);
    buffer_free(&is);
}

/* That success was not told is no reason to say that there was none: after a fault such an item may be missing. */
static bool may_miss_items(const struct run *run)
{
    for (size_t i = 0; run_excused(run) && i < run->d->n_steps; i++)
        if (run->d->steps[i].what == STEP_QUEUE_IS && text_begins(run->d->steps[i].text, text_of("success ")))
            return true;
    return false;
}

static void check_queue(struct run *run, const struct step *step)
{
    mailsrv_queue_item item;
    if (may_miss_items(run))
        return;
    if (step->what == STEP_QUEUE_COUNT) {
        bool stays = run->fault_fired && run->fault_kind == MAILSRV_OP_QUEUE_DELETE; /* what was to be deleted */
        if (mailsrv_memory_stat(run->store, MAILSRV_MEMORY_STAT_QUEUED) != step->n && !stays)
            run_wrong(run, "the queue holds another number of items");
        return;
    }
    if (step->n == 0 || mailsrv_memory_queue_item(run->store, step->n - 1, &item) != MAILSRV_OK) {
        run_wrong(run, "the queue has no such item");
        return;
    }
    struct text record = { (const char *)item.record.p, item.record.n };
    if (step->what != STEP_QUEUE_HAS) {
        check_item(run, step, &item);
        return;
    }
    if (!text_holds(record, step->text))
        run_wrong_text(run, "the record of the item is ", record);
}

static void check_message(struct run *run, const struct step *step, const struct box *box)
{
    struct buffer message = { 0 };
    struct captures captures = { 0 };
    if (step->n == 0 || !box_message(run, box, step->n - 1, &message))
        run_wrong_text(run, "there is no such message for ", step->words);
    else if (!match_lines(step->text, buffer_text(&message), &captures) && !run->slept)
        run_wrong_text(run, "the message is\n", buffer_text(&message));
    captures_free(&captures);
    buffer_free(&message);
}

static void check_mailbox(struct run *run, const struct step *step)
{
    struct box box;
    if (!box_find(run, step->words, &box))
        return;
    if (step->what == STEP_MESSAGE)
        check_message(run, step, &box);
    else if (box_count(run, &box) != step->n)
        run_wrong_text(run, "another number of messages is in the mailbox of ", step->words);
}

/* Whoever else is there does his own, whatever the session is at. */
static void play_act(struct run *run, const struct step *step)
{
    if (may_act(run) && !run->stopped)
        box_act(run, step);
}

static void play_notify(struct run *run)
{
    for (; run->n_touched != 0; run->n_touched--)
        if (mailsrv_notify(run->engine, &run->touched[run->n_touched - 1], 0) != MAILSRV_OK)
            run_wrong(run, "notify failed");
    host_pump(run);
}

/* ---- Clients ---- */

static void play_job(struct run *run)
{
    courier_add(run);
    host_pump(run);
}

static void play_told(struct run *run, const struct step *step)
{
    struct text line;
    if (run->stopped)
        return;
    if (!courier_line(run, &line))
        oracle_silent(run, step->text);
    else if (!match_line(step->text, line, &run->captures))
        oracle_unexpected(run, line, step->text);
}

/* All that the courier was told has stood in a K: line. */
static void nothing_untold(struct run *run)
{
    struct text line;
    if (run->courier != NULL && !run->diverged && courier_line(run, &line))
        oracle_unexpected(run, line, text_of("nothing"));
}

static void play(struct run *run, const struct step *step)
{
    switch (step->what) {
    case STEP_CLIENT:
        play_client(run, step);
        break;
    case STEP_SERVER:
        play_server(run, step);
        break;
    case STEP_SERVER_RAW:
        play_server_raw(run, step);
        break;
    case STEP_CLOSES:
        play_closes(run);
        break;
    case STEP_EOF:
        run->eof_due = true;
        host_pump(run);
        break;
    case STEP_TLS:
        play_tls(run);
        break;
    case STEP_OP:
        play_op(run, step);
        break;
    case STEP_ANSWER:
        play_answer(run, step);
        break;
    case STEP_TIME:
        play_time(run, step);
        break;
    case STEP_COUNT:
    case STEP_MESSAGE:
        check_mailbox(run, step);
        break;
    case STEP_ROW:
        box_check_row(run, step);
        break;
    case STEP_ACT:
        play_act(run, step);
        break;
    case STEP_NOTIFY:
        play_notify(run);
        break;
    case STEP_JOB:
        play_job(run);
        break;
    case STEP_TOLD:
        play_told(run, step);
        break;
    default:
        check_queue(run, step);
        break;
    }
}

/* ---- After a refusal ---- */

/* The last command is IDLE, and it is not over (RFC 2177 section 3). */
static bool idles(const struct run *run)
{
    struct text rest = buffer_text(&run->in), last = rest;
    while (rest.n != 0)
        last = text_line(&rest);
    struct text tag = imap_tag(last);
    return run->d->is_imap && imap_is_verb(text_after(last, tag.n + 1), "IDLE") &&
           imap_command(buffer_text(&run->out), tag).n == 0;
}

/* Would QUIT be a command now?  It is none among the lines of a message, or the octets of a chunk. */
static bool takes_commands(const struct run *run)
{
    struct text rest = buffer_text(&run->out), last = rest;
    while (rest.n != 0)
        last = text_line(&rest);
    if (text_begins(last, text_of("334 ")) || (text_begins(last, text_of("+ ")) && !idles(run)))
        return false; /* in a login */
    if (run->d->is_imap)
        return run->said.state == SAID_AT_LINE && !run->said.inside;
    return !text_begins(last, text_of("354")) && !text_holds(run->d->input, text_of("BDAT"));
}

static void quit(struct run *run)
{
    operations_settle(run);
    run->out_pos = run->out.n;
    if (run_closes(run) || !takes_commands(run))
        return;
    if (idles(run))
        say(run, text_of("DONE\r\n"));
    say(run, text_of(run->d->is_imap ? "last LOGOUT\r\n" : "QUIT\r\n"));
    script_wait(run, run->d->is_imap ? SIZE_MAX : 0);
    if (!run_closes(run))
        run_wrong_text(run, "QUIT does not end the session after a refusal: ", unread(run));
}

/* A client that waited for a `+` and did not get it leaves out the literal and the rest of its command. */
static struct text without_unasked(const struct run *run, struct text text, struct said *unsaid)
{
    if (run->said.state == SAID_WAITS && !is_asked_for_more(run))
        *unsaid = (struct said){ .state = SAID_IN_LITERAL, .left = run->said.left, .inside = true };
    while (text.n != 0 && unsaid->inside) {
        text = text_after(text, said_take(unsaid, text));
        if (unsaid->state == SAID_WAITS)
            said_answered(unsaid, true);
    }
    return text;
}

/* For an answer, or for nothing but time: a login that failed. */
static bool is_waiting(const struct run *run)
{
    return run->ledger.n_out != 0 || mailsrv_session_wants(run->session) == 0;
}

/* Half-closed or shut down, a session ends by itself when all that it asked is answered. */
static void end_by_itself(struct run *run)
{
    operations_settle(run);
    for (unsigned i = 0; i < SLEEPS_MAX && !run_closes(run) && is_waiting(run) && host_sleep(run); i++)
        host_pump(run);
    if (!run_closes(run))
        run_wrong(run, "the session does not end by itself");
}

/* A client that is told no: it says QUIT, or goes on as if nothing were, and the session still has an answer to each
 * thing that it says. */
static void go_on(struct run *run)
{
    if (run->d->is_client && run->plan->quits) {
        run->eof_due = true; /* a server that goes away */
        end_by_itself(run);
        return;
    }
    if (run->plan->quits) {
        quit(run);
        return;
    }
    struct said unsaid = { 0 };
    for (run->at++; run->at < run->d->n_steps && !run_is_wrong(run) && !run_closes(run); run->at++)
        if (step_at(run, run->at)->what == STEP_CLIENT)
            say(run, without_unasked(run, step_at(run, run->at)->text, &unsaid));
}

void script_run(struct run *run)
{
    host_pump(run);
    for (run->at = 0; run->at < run->d->n_steps && !run_is_wrong(run) && !run->stopped; run->at++) {
        play(run, step_at(run, run->at));
        if (run->diverged) {
            go_on(run);
            return;
        }
    }
    if (run->stopped && run->eof_due && !run_is_wrong(run))
        end_by_itself(run);
    if (run_is_wrong(run) || run->stopped || !nothing_unread(run))
        return;
    nothing_untold(run);
    bool is_left = run->in_pos < run->in.n || run->wire_pos < run->wire.n;
    if (is_left && !run_closes(run) && run->ledger.n_out == 0)
        run_wrong(run, "input is left that the session does not take");
}
