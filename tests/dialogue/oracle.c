/* The oracle: the transcript is as written; or, where a fault was planned, a prefix of it and then a refusal that says
 * what happened; and nothing that was acknowledged is missing. */
#include "run.h"

#include "names.h"

/* What a peer is told of a status.  The code and its enhanced one; NULL: the protocol has no row for it, and any
 * refusal will do. */
static const struct refusal {
    int32_t status;
    const char *rcpt; /* SMTP, to RCPT */
    const char *smtp; /* SMTP otherwise */
    const char *pop3;
} refusals[] = {
    { MAILSRV_TEMP, "451 4.3.0", "451 4.3.0", "-ERR [SYS/TEMP]" },
    { MAILSRV_NOMEM, "452 4.3.1", "452 4.3.1", "-ERR [SYS/TEMP]" },
    { MAILSRV_FULL, "452 4.3.1", "452 4.3.1", "-ERR [SYS/TEMP]" },
    { MAILSRV_LIMIT, "452 4.5.3", "452 4.3.1", "-ERR [SYS/TEMP]" },
    { MAILSRV_DENIED, NULL, NULL, "-ERR [AUTH]" },
    { MAILSRV_OVERQUOTA, "452 4.2.2", "452 4.2.2", NULL },
    { MAILSRV_TOOBIG, "552 5.3.4", "552 5.3.4", NULL },
    { MAILSRV_NONEXISTENT, "550 5.1.1", "550 5.1.1", "-ERR [SYS/PERM]" },
    { MAILSRV_NOPERM, "550 5.7.1", "550 5.7.1", "-ERR [SYS/PERM]" },
    { MAILSRV_CANNOT, "554 5.3.0", "554 5.3.0", "-ERR [SYS/PERM]" },
    { MAILSRV_ALREADYEXISTS, NULL, NULL, "-ERR [SYS/PERM]" },
    { MAILSRV_INUSE, "450 4.2.0", "451 4.2.0", "-ERR [SYS/TEMP]" },
    { MAILSRV_GONE, NULL, NULL, NULL },
    { MAILSRV_CORRUPT, "451 4.3.0", "451 4.3.0", "-ERR [SYS/PERM]" },
};

static const struct refusal *refusal_of(const struct run *run)
{
    int32_t status = MAILSRV_TEMP;
    if (run->heap.failed)
        status = MAILSRV_NOMEM;
    else if (run->plan->fault == FAULT_STATUS)
        status = run->plan->status;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (refusals[i].status == status)
            return &refusals[i];
    return &refusals[0];
}

/* Was it a login that the fault befell? */
static bool verifies(const struct run *run)
{
    return run->fault_kind == MAILSRV_OP_AUTH_VERIFY || run->fault_kind == MAILSRV_OP_AUTH_SCRAM_KEYS ||
           run->fault_kind == MAILSRV_OP_AUTH_EXTERNAL;
}

/* ---- SMTP ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_reply(struct text line)
{
    if (line.n < 4 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]))
        return false;
    return line.p[3] == ' ' || line.p[3] == '-';
}

/* `450 4.2.0` against a line, which may do without the enhanced code (RFC 2034 section 3). */
static bool has_code(struct text line, const char *code)
{
    if (memcmp(line.p, code, 3) != 0)
        return false;
    bool enhanced = line.n >= 9 && line.p[4] == line.p[0] && line.p[5] == '.';
    return !enhanced || memcmp(line.p + 4, code + 4, 5) == 0;
}

/* In the place of 220 there may be 421 or 554, with the status's own enhanced code (RFC 5321 section 4.3.2). */
static bool is_greeting_refusal(struct text line, const char *code)
{
    char greeting[sizeof "421 4.3.0"] = "";
    if (code == NULL || strlen(code) >= sizeof greeting)
        return false;
    memcpy(greeting, code, strlen(code));
    memcpy(greeting, code[0] == '4' ? "421" : "554", 3);
    return has_code(line, greeting);
}

/* A login (RFC 4954 section 6): what may be otherwise another time is 454 4.7.0, whatever it is. */
static bool is_login_refusal(const struct run *run, struct text line)
{
    const struct refusal *r = refusal_of(run);
    if (r->status == MAILSRV_DENIED || r->status == MAILSRV_NONEXISTENT)
        return has_code(line, "535 5.7.8");
    bool is_permanent = r->smtp != NULL ? r->smtp[0] == '5' : r->status != MAILSRV_CORRUPT;
    return has_code(line, is_permanent ? r->smtp != NULL ? r->smtp : "554 5.3.0" : "454 4.7.0");
}

static bool is_smtp_refusal(const struct run *run, struct text line)
{
    const struct refusal *r = refusal_of(run);
    if (!is_reply(line))
        return false;
    if (verifies(run))
        return is_login_refusal(run, line);
    if (run->heap.failed && text_holds(run->d->input, text_of("AUTH ")) && has_code(line, "454 4.7.0"))
        return true;
    if (run->heap.failed && (has_code(line, "421 4.3.2") || has_code(line, "421 4.3.1")))
        return true;
    if (run->heap.failed && has_code(line, "452 4.5.3")) /* no room for a recipient */
        return true;
    if (run->heap.failed && run->d->has_tls && has_code(line, "454 4.7.0")) /* RFC 3207 section 4 */
        return true;
    bool queues = run->fault_is_queue || (run->heap.failed && run->commits_stored != 0);
    if (queues && has_code(line, "451 4.3.0")) /* neither stored nor queued: it is tried again */
        return true;
    /* Input ends while an answer is waited for: the host's patience ends first, and then the peer has been silent. */
    bool unanswered = run->plan->fault == FAULT_NEVER || run->plan->fault == FAULT_TARDY;
    if (unanswered && run->plan->ending != END_AS_WRITTEN && has_code(line, "421 4.4.2"))
        return true;
    if (run->fault_kind == MAILSRV_OP_POLICY && is_greeting_refusal(line, r->smtp))
        return true;
    if (run->fault_is_sender && (r->status == MAILSRV_NONEXISTENT || r->status == MAILSRV_NOPERM))
        return has_code(line, "550 5.7.1"); /* the address is not the account's */
    const char *code = run->fault_kind == MAILSRV_OP_RESOLVE && !run->fault_is_sender ? r->rcpt : r->smtp;
    if (code == NULL)
        return line.p[0] == '4' || line.p[0] == '5';
    if (run->fault_kind == MAILSRV_OP_BODY_BEGIN && has_code(line, r->rcpt)) /* which RCPT may ask, too */
        return true;
    if (r->status == MAILSRV_OVERQUOTA && has_code(line, "552 5.2.2"))
        return true;
    return has_code(line, code);
}

/* ---- POP3 ---- */

static bool is_login(int32_t kind)
{
    return kind == MAILSRV_OP_AUTH_VERIFY || kind == MAILSRV_OP_AUTH_SCRAM_KEYS || kind == MAILSRV_OP_AUTH_EXTERNAL ||
           kind == MAILSRV_OP_STORE_OPEN || kind == MAILSRV_OP_LOCK || kind == MAILSRV_OP_MBOX_OPEN ||
           kind == MAILSRV_OP_ROWS;
}

static const char *pop3_code(const struct run *run)
{
    const struct refusal *r = refusal_of(run);
    if (r->status == MAILSRV_DENIED && !verifies(run))
        return "-ERR"; /* it is said of credentials */
    if (r->status == MAILSRV_NONEXISTENT && verifies(run))
        return "-ERR [AUTH]"; /* nobody is told who exists (RFC 1939 section 13) */
    return r->pop3 == NULL ? "-ERR" : r->pop3;
}

static bool is_pop3_refusal(const struct run *run, struct text line)
{
    bool unanswered = run->plan->fault == FAULT_NEVER || run->plan->fault == FAULT_TARDY;
    if (run->d->without_codes)
        return text_begins(line, text_of("-ERR "));
    bool in_use = refusal_of(run)->status == MAILSRV_INUSE && is_login(run->fault_kind);
    /* What was never answered holds the lock of the login that asked it. */
    if ((in_use || unanswered) && text_begins(line, text_of("-ERR [IN-USE]")))
        return true;
    if (in_use && run->fault_kind != MAILSRV_OP_ROWS) /* which is also asked after the login */
        return false;
    return text_begins(line, text_of(pop3_code(run)));
}

/* A multi-line reply that cannot go on has no other end than the connection's. */
static bool may_break_off(const struct run *run)
{
    return run->d->is_pop3 &&
           (run->heap.failed || run->fault_kind == MAILSRV_OP_READ || run->fault_kind == MAILSRV_OP_ROWS);
}

/* ---- What the script did not expect ---- */

static void expected(struct run *run, const char *what, struct text got, struct text pattern)
{
    struct buffer text = { 0 };
    buffer_add(&text, got.p, got.n);
    buffer_add_text(&text, "\n    expected: ");
    buffer_add(&text, pattern.p, pattern.n);
    run_wrong_text(run, what, buffer_text(&text));
    buffer_free(&text);
}

/* The same refusal with another text: for that there was no memory. */
static bool is_same_refusal(const struct run *run, struct text line, struct text pattern)
{
    const char *end = run->d->is_pop3 ? "]" : " ";
    size_t n = text_find(pattern, end);
    return run->heap.failed && n != pattern.n && text_begins(line, (struct text){ pattern.p, n }) &&
           (run->d->is_pop3 ? line.p[0] == '-' : line.p[0] == '4' || line.p[0] == '5');
}

/* Nobody is told who has keys: what there is of them is made up, and the login goes on (RFC 5802 section 5.1). */
static bool is_made_up(const struct run *run, struct text line)
{
    int32_t status = refusal_of(run)->status;
    return run->fault_kind == MAILSRV_OP_AUTH_SCRAM_KEYS &&
           (status == MAILSRV_DENIED || status == MAILSRV_NONEXISTENT) &&
           (text_begins(line, text_of("+ ")) || text_begins(line, text_of("334 ")));
}

static bool is_refusal(struct run *run, struct text line, struct text pattern)
{
    if (run->d->is_client || is_made_up(run, line)) /* it says what then follows, and tells its courier */
        return true;
    if (run->d->is_imap)
        return run_excused(run) && imap_may_say(run, line, pattern);
    return is_same_refusal(run, line, pattern) ||
           (run->d->is_pop3 ? is_pop3_refusal(run, line) : is_smtp_refusal(run, line));
}

void oracle_unexpected(struct run *run, struct text line, struct text pattern)
{
    bool refusal = is_refusal(run, line, pattern);
    if (run_excused(run) && refusal)
        run->diverged = true;
    else
        expected(run, run_excused(run) ? "after a fault, a line that does not refuse as it should: " : "got: ", line,
                 pattern);
}

void oracle_silent(struct run *run, struct text pattern)
{
    struct text rest = { "", 0 };
    if (run->out.n != 0)
        rest = (struct text){ run->out.p + run->out_pos, run->out.n - run->out_pos };
    bool imap = run->d->is_imap && imap_may_be_silent(run, pattern);
    bool no_tls = run_closes(run) && tls_is_gone(run);
    if (run_excused(run) && (no_tls || run->d->is_client || imap || (run_closes(run) && may_break_off(run))))
        run->diverged = true;
    else
        expected(run, run_closes(run) ? "the session ended, after: " : "nothing came, but: ", rest, pattern);
}

/* ---- When all is over ---- */

static bool is_prefix(const struct buffer *out, const struct buffer *reference)
{
    return out->n <= reference->n && (out->n == 0 || memcmp(out->p, reference->p, out->n) == 0);
}

/* The replies of the plain run, and then a last word. */
static bool is_prefix_and_parting(const struct run *run, const struct buffer *out_told, const struct buffer *reference)
{
    struct text out = buffer_text(out_told), rest = out, last = out;
    while (rest.n != 0)
        last = text_line(&rest);
    struct buffer before = *out_told;
    before.n = out.n - last.n;
    return is_prefix(&before, reference) && text_begins(last, text_of(run->d->is_client ? "QUIT" : run->d->is_imap   ? "* BYE "
                                                                      : run->d->is_pop3 ? "-ERR"
                                                                                        : "421"));
}

static void check_responses(struct run *run)
{
    struct text where = { NULL, 0 };
    const char *why = imap_check(buffer_text(&run->in), buffer_text(&run->out), &where);
    struct buffer what = { 0 };
    if (why == NULL)
        return;
    buffer_add_text(&what, why);
    buffer_add_text(&what, ": ");
    buffer_add(&what, where.p, where.n);
    run_wrong_text(run, "", buffer_text(&what));
    buffer_free(&what);
}

/* What a client sent as a whole message, behind DATA and up to the dot, it sends in the plain run, too: half of one must
 * not look whole, whatever happens. */
static void check_messages(struct run *run)
{
    struct text rest = buffer_text(&run->out);
    while (run->reference != NULL && rest.n != 0) {
        struct text line = text_line(&rest);
        if (!text_begins(line, text_of("DATA\r\n")))
            continue;
        size_t end = text_find(rest, "\r\n.\r\n");
        struct text whole = { line.p, line.n + end + 5 };
        if (end != rest.n && !text_holds(buffer_text(run->reference), whole))
            run_wrong_text(run, "a message was ended that is none of the plain run's:\n", whole);
    }
}

static void check_replies(struct run *run)
{
    struct text rest = buffer_text(&run->out);
    if (run->d->is_imap)
        check_responses(run);
    if (run->d->is_client)
        check_messages(run);
    while (rest.n != 0 && !run->d->is_pop3 && !run->d->is_imap && !run->d->is_client) {
        struct text line = text_line(&rest);
        if (line.p[line.n - 1] != '\n')
            break; /* cut off with the session */
        if (line.n < 2 || line.n > 512 || line.p[line.n - 2] != '\r' || !is_reply(line))
            run_wrong_text(run, "this is no reply: ", line);
        for (size_t i = 0; i + 2 < line.n; i++)
            if (line.p[i] < ' ' || line.p[i] > '~')
                run_wrong_text(run, "a reply holds what cannot be printed: ", line);
    }
}

/* What of a transcript is the same in every way. */
static void compared(const struct run *run, const struct buffer *transcript, struct buffer *out)
{
    if (run->d->has_loose)
        imap_without_expunges(buffer_text(transcript), out);
    else
        buffer_add(out, transcript->p, transcript->n);
}

/* Another session would have acted while the last command was at work: what it is told then is another thing. */
static bool misses_an_act(const struct run *run)
{
    const struct dialogue *d = run->d;
    for (size_t at = run->at; run->stopped && at < d->n_steps; at++) {
        if (d->steps[at].what == STEP_ACT)
            return true;
        if (at != run->at && d->steps[at].what == STEP_CLIENT)
            break;
    }
    return false;
}

void oracle_transcript(struct run *run)
{
    if (run_is_wrong(run))
        return;
    check_replies(run);
    if (run->reference == NULL || run->diverged || run_excused(run))
        return;
    struct buffer out = { 0 }, reference = { 0 };
    if (misses_an_act(run))
        run->out.n = run->out_at_stop;
    compared(run, &run->out, &out);
    compared(run, run->reference, &reference);
    bool good = is_prefix(&out, &reference) && (run->stopped || out.n == reference.n);
    if (!good && run->stopped && run->plan->ending == END_SHUTDOWN)
        good = is_prefix_and_parting(run, &out, &reference);
    buffer_free(&out);
    buffer_free(&reference);
    if (!good)
        run_wrong_text(run, "the transcript is not that of the plain run:\n", buffer_text(&run->out));
}

/* ---- What is in the store ---- */

static bool is_of(struct text name, struct text account)
{
    return name.n == account.n && memcmp(name.p, account.p, name.n) == 0;
}

/* One of those that the file knows: there from the start, or expected; in IMAP of any mailbox, for COPY. */
static bool is_known(const struct run *run, struct text account, struct text message)
{
    const struct dialogue *d = run->d;
    for (size_t i = 0; i < d->n_setups; i++)
        if (d->setups[i].what == SETUP_MESSAGE && (d->is_imap || is_of(d->setups[i].name, account)) &&
            is_of(d->setups[i].text, message))
            return true;
    for (size_t i = 0; i < d->n_steps; i++) {
        struct captures captures = { 0 };
        bool may = (d->steps[i].what == STEP_MESSAGE && (d->is_imap || is_of(d->steps[i].words, account))) ||
                   d->steps[i].what == STEP_ACT;
        bool same = may && match_lines(d->steps[i].text, message, &captures);
        captures_free(&captures);
        if (same)
            return true;
    }
    return false;
}

/* Whole or not at all: nothing is in a mailbox that is not, octet for octet, a message that the file knows. */
static void check_whole(struct run *run, struct text account)
{
    struct box box;
    struct buffer message = { 0 };
    if (!box_find(run, account, &box))
        return;
    for (uint64_t i = 0; i < box_count(run, &box); i++) {
        message.n = 0;
        if (!box_message(run, &box, i, &message) || !is_known(run, account, buffer_text(&message)))
            run_wrong_text(run, "a message was stored that is none of those expected:\n", buffer_text(&message));
    }
    buffer_free(&message);
}

/* Does the file say of each message of this account what it is? */
static bool lists_all(const struct dialogue *d, struct text account)
{
    size_t listed = 0;
    for (size_t i = 0; i < d->n_steps; i++) {
        if (d->steps[i].what == STEP_COUNT && is_of(d->steps[i].words, account) && d->steps[i].n > listed)
            return false;
        if (d->steps[i].what == STEP_MESSAGE && is_of(d->steps[i].words, account))
            listed++;
    }
    return listed != 0;
}

/* A 2yz that follows a 354 says that a message is safe, and so does APPENDUID (RFC 4315 section 3). */
static void check_acknowledged(struct run *run)
{
    size_t acknowledged = 0;
    bool in_data = false;
    struct text rest = buffer_text(&run->out);
    while (rest.n != 0 && !run->d->is_pop3) {
        struct text line = text_line(&rest);
        acknowledged += run->d->is_imap && text_holds(line, text_of(" OK [APPENDUID "));
        acknowledged += in_data && line.p[0] == '2';
        in_data = !run->d->is_imap && text_begins(line, text_of("354"));
    }
    if (run->discards)
        return;
    if (acknowledged > run->commits_stored ||
        mailsrv_engine_stat(run->engine, MAILSRV_STAT_MESSAGES) > run->commits_stored)
        run_wrong(run, "a message was acknowledged that was not stored");
}

void oracle_stored(struct run *run)
{
    if (run_is_wrong(run) || run->engine == NULL)
        return;
    check_acknowledged(run);
    if (run->slept || (run->diverged && !run->plan->quits))
        return; /* what a client said that did not listen may have become anything */
    for (size_t i = 0; i < run->d->n_steps; i++)
        if (run->d->steps[i].what == STEP_COUNT && lists_all(run->d, run->d->steps[i].words))
            check_whole(run, run->d->steps[i].words);
}
