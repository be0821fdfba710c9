/* Operations: taken, and answered as the script, the plan and the memory store say. */
#include "run.h"

#include "courier.h"
#include "names.h"
#include "words.h"

#include <stdio.h>
#include <stdlib.h>

static void trace(const struct run *run, const char *what, const struct entry *entry)
{
    struct buffer words = { 0 };
    if (!run->plan->traced)
        return;
    if (entry->op != NULL)
        op_words(entry->op, &words);
    printf("%s %llu %s %.*s", what, (unsigned long long)entry->id, mailsrv_op_name(entry->kind), (int)words.n, words.p);
    if (entry->reply == REPLY_STATUS)
        printf(" -> %s", status_name(entry->status));
    puts(entry->reply == REPLY_NEVER ? " -> never" : "");
    buffer_free(&words);
}

/* ---- Answers ---- */

static uint64_t open_handles(const struct run *run)
{
    uint64_t n = 0;
    for (int32_t key = MAILSRV_MEMORY_STAT_BODIES; key <= MAILSRV_MEMORY_STAT_READS; key++)
        n += mailsrv_memory_stat(run->store, key);
    return n;
}

static uint64_t stored(const struct run *run)
{
    return mailsrv_memory_stat(run->store, MAILSRV_MEMORY_STAT_MESSAGES) +
           mailsrv_memory_stat(run->store, MAILSRV_MEMORY_STAT_QUEUED);
}

static void release_lease(void *user)
{
    struct lease *lease = user;
    lease->released++;
}

static void keep_lease(void *user)
{
    (void)user;
}

static struct lease *lend(struct run *run)
{
    struct lease *lease = dialogue_take(sizeof *lease);
    lease->next = run->leases;
    run->leases = lease;
    return lease;
}

static int32_t answer_status(struct run *run, mailsrv_op_id id, int32_t status, struct text text)
{
    const mailsrv_answer answer = {
        .size = sizeof answer,
        .status = status,
        .text = { (const uint8_t *)text.p, text.n },
        .release = run->plan->sabotage == SABOTAGE_KEEP_LENT ? keep_lease : release_lease,
        .user = lend(run),
    };
    if (run->plan->memory == MEMORY_BLOCK)
        guard_up();
    int32_t result = mailsrv_op_answer(run->engine, id, &answer);
    guard_down();
    return result;
}

/* ---- Sabotage ---- */

static void commit_nothing(struct run *run, const struct entry *entry)
{
    mailsrv_result results[8] = { { .uid = 1 } };
    const mailsrv_arg_body_commit *arg = entry->op->arg;
    mailsrv_committed committed = { .size = sizeof committed, .stride = sizeof results[0], .results = results };
    mailsrv_answer ok = { .size = sizeof ok, .value = &committed };
    committed.n = arg->n_targets < 8 ? arg->n_targets : 8;
    mailsrv_op_answer(run->engine, entry->id, &ok);
}

/* True: the operation has been answered, wrongly. */
static bool sabotaged(struct run *run, const struct entry *entry)
{
    enum sabotage sabotage = run->plan->sabotage;
    if (sabotage == SABOTAGE_LOSE_CLOSE && kind_closes(entry->kind)) {
        mailsrv_op_answer_status(run->engine, entry->id, MAILSRV_OK);
        return true;
    }
    if (sabotage == SABOTAGE_LOSE_MESSAGE && entry->kind == MAILSRV_OP_BODY_COMMIT) {
        commit_nothing(run, entry);
        return true;
    }
    if (sabotage == SABOTAGE_ANSWER_TWICE && entry->kind == MAILSRV_OP_BODY_BEGIN)
        mailsrv_memory_handle(run->store, run->engine, entry->op);
    if (sabotage == SABOTAGE_LEAK && entry->kind == MAILSRV_OP_RESOLVE)
        run->leaked = run->heap.allocator.alloc(&run->heap, 1);
    return false;
}

/* A worker that writes where it was to read. */
static void write_into(const struct entry *entry)
{
    if (entry->kind == MAILSRV_OP_RESOLVE)
        ((mailsrv_arg_resolve *)(uintptr_t)entry->op->arg)->address.n--;
}

/* ---- The answers ---- */

/* Work of the library that another thread might do. */
static void do_job(struct run *run, const struct entry *entry)
{
    const mailsrv_arg_job *arg = entry->op->arg;
    arg->run(arg->work);
    mailsrv_op_answer_status(run->engine, entry->id, MAILSRV_OK);
}

static void answer_policy(struct run *run, const struct entry *entry)
{
    if (verdict_answer(run, entry) != MAILSRV_OK)
        run_wrong(run, "a verdict was not taken");
}

static void answer_by_store(struct run *run, const struct entry *entry)
{
    if (entry->kind == MAILSRV_OP_JOB) {
        do_job(run, entry);
        return;
    }
    uint64_t handles = open_handles(run);
    uint64_t before = stored(run);
    uint64_t messages = mailsrv_memory_stat(run->store, MAILSRV_MEMORY_STAT_MESSAGES);
    if (sabotaged(run, entry))
        return;
    mailsrv_memory_handle(run->store, run->engine, entry->op);
    if (kind_closes(entry->kind) && open_handles(run) + 1 != handles)
        run_wrong(run, "a close that closes no handle");
    if (entry->kind == MAILSRV_OP_BODY_COMMIT && stored(run) > before)
        run->commits_stored++;
    run->changes += mailsrv_memory_stat(run->store, MAILSRV_MEMORY_STAT_MESSAGES) != messages;
    run->writes += kind_writes(entry->kind);
}

/* Each target fails for itself, or, with TEMP, has no result at all. */
static int32_t answer_results(struct run *run, const struct entry *entry)
{
    const mailsrv_arg_body_commit *arg = entry->op->arg;
    mailsrv_result *results = dialogue_take(arg->n_targets * sizeof *results);
    mailsrv_committed committed = { .size = sizeof committed, .stride = sizeof *results, .results = results };
    mailsrv_answer ok = { .size = sizeof ok, .value = &committed };
    if (entry->status != MAILSRV_TEMP)
        committed.n = arg->n_targets;
    for (uint32_t i = 0; i < committed.n; i++) {
        results[i].status = entry->status;
        results[i].text = (mailsrv_bytes){ (const uint8_t *)entry->text.p, entry->text.n };
    }
    int32_t status = mailsrv_op_answer(run->engine, entry->id, &ok);
    free(results);
    return status;
}

/* Whatever comes after the answer is too late: it is refused, and what it lends is given back. */
static void answer_again(struct run *run, mailsrv_op_id id)
{
    if (answer_status(run, id, MAILSRV_TEMP, text_of("again")) != MAILSRV_E_STALE)
        run_wrong(run, "a second answer is not stale");
}

static void answer(struct run *run, size_t at)
{
    struct entry entry = run->ledger.out[at];
    uint64_t out = mailsrv_engine_stat(run->engine, MAILSRV_STAT_OPS_OUT);
    if (run->plan->sabotage == SABOTAGE_CHANGE_RECORD)
        write_into(&entry);
    const char *why = ledger_unchanged(&entry);
    if (why != NULL)
        run_wrong(run, why);
    ledger_remove(&run->ledger, at);
    trace(run, "A:", &entry);
    if (entry.reply == REPLY_STATUS && kind_closes(entry.kind)) {
        mailsrv_memory_set_u64(run->store, MAILSRV_MEMORY_FAIL_STATUS, (uint64_t)-entry.status);
        mailsrv_memory_set_u64(run->store, MAILSRV_MEMORY_FAIL_NTH, 1); /* it says so, and closes all the same */
        answer_by_store(run, &entry);
    } else if (entry.reply == REPLY_STATUS) {
        bool by_result =
            run->plan->by_result && entry.ordinal == run->plan->nth && entry.kind == MAILSRV_OP_BODY_COMMIT;
        int32_t status =
            by_result ? answer_results(run, &entry) : answer_status(run, entry.id, entry.status, entry.text);
        if (status != MAILSRV_OK)
            run_wrong(run, "an answer was not taken");
    } else if (entry.kind == MAILSRV_OP_POLICY) {
        answer_policy(run, &entry);
    } else if (entry.kind == MAILSRV_OP_CREDENTIAL) {
        if (courier_answer(run, entry.id) != MAILSRV_OK)
            run_wrong(run, "a credential was not taken");
    } else {
        answer_by_store(run, &entry);
    }
    if (mailsrv_engine_stat(run->engine, MAILSRV_STAT_OPS_OUT) + 1 != out)
        run_wrong(run, "an answer did not settle its operation");
    answer_again(run, entry.id);
}

/* ---- Faults ---- */

/* A text that tries to be a reply of its own. */
static const char wild_text[] = "no\r\n250 2.0.0 yes\r\n+OK";

static void inject(struct run *run, struct entry *entry)
{
    const struct plan *plan = run->plan;
    if (entry->ordinal != plan->nth)
        return;
    run->fault_kind = entry->kind;
    run->fault_is_queue = entry->is_queue;
    run->fault_is_sender = entry->is_sender;
    run->fault_is_late = entry->reply == REPLY_LATER;
    switch (plan->fault) {
    case FAULT_STATUS:
        if (entry->reply != REPLY_LATER)
            entry->reply = REPLY_STATUS;
        entry->status = plan->status;
        entry->text = text_of(plan->quits ? wild_text : "");
        run->fault_fired = true;
        break;
    case FAULT_CANCEL:
    case FAULT_TARDY:
        entry->reply = REPLY_WITHHELD;
        run->n_withheld++;
        run->fault_fired = true;
        break;
    case FAULT_NEVER:
        entry->reply = REPLY_NEVER;
        run->n_never++;
        run->fault_fired = true;
        break;
    default:
        break;
    }
}

/* ---- Taking ---- */

/* What is asked for a session carries its number and its host's pointer; what gives a handle back may come when the
 * session cares no more, without the pointer, and so does what is asked for the image of a mailbox. */
static void check_owner(struct run *run, const mailsrv_op *op)
{
    mailsrv_info info = { .size = sizeof info };
    bool may_be_nobodys =
        kind_closes(op->kind) || kind_loads(op->kind) || op->kind == MAILSRV_OP_QUEUE_DELETE || run->session == NULL ||
        (kind_writes(op->kind) && tls_is_gone(run)); /* it was asked, and then its session ended */
    if (op->host == NULL && may_be_nobodys)
        return;
    if (op->host != run || run->session == NULL || mailsrv_session_info(run->session, &info) != MAILSRV_OK ||
        info.id != op->session_id)
        run_wrong(run, "an operation of somebody else's session");
}

static void operation_wrong(struct run *run, const char *why, const mailsrv_op *op)
{
    struct buffer what = { 0 };
    buffer_add_text(&what, mailsrv_op_name(op->kind));
    buffer_add_text(&what, ": ");
    buffer_add_text(&what, why);
    run_wrong_text(run, "", buffer_text(&what));
    buffer_free(&what);
}

/* In its turn, that is. */
static bool is_answered(enum reply reply)
{
    return reply == REPLY_STORE || reply == REPLY_STATUS || reply == REPLY_VERDICT;
}

void operations_take(struct run *run, const mailsrv_op *op)
{
    struct entry entry;
    const char *why;
    if (op->id == 0) {
        why = ledger_notice(&run->ledger, op);
        run->changes_told += op->kind == MAILSRV_NOTICE_CHANGED;
        if (why != NULL)
            run_wrong(run, why);
        return;
    }
    why = ledger_take(&run->ledger, op, run->d->unserved, &entry);
    if (why != NULL)
        operation_wrong(run, why, op);
    check_owner(run, op);
    script_claim(run, &entry);
    inject(run, &entry);
    trace(run, "O:", &entry);
    ledger_add(&run->ledger, &entry);
    if (run->plan->answering == ANSWER_AT_ONCE && is_answered(entry.reply))
        answer(run, run->ledger.n_out - 1);
}

bool operations_answer_late(struct run *run)
{
    struct ledger *l = &run->ledger;
    for (size_t i = 0; i < l->n_out; i++) {
        size_t at = run->plan->answering == ANSWER_LATE_REVERSED ? l->n_out - 1 - i : i;
        if (!is_answered(l->out[at].reply))
            continue;
        answer(run, at);
        return true;
    }
    return false;
}

/* How one that was kept is answered: as a fault has it, as the script says, or as the store does. */
static void decide(struct entry *entry, const struct step *step)
{
    bool faulty = entry->status != MAILSRV_OK;
    entry->reply = faulty ? REPLY_STATUS : step == NULL ? REPLY_STORE : step->reply;
    if (faulty || step == NULL)
        return;
    entry->status = step->status;
    entry->verdict = step->verdict;
    entry->text = step->text;
}

bool operations_answer_kept(struct run *run, enum reply reply, const struct step *step)
{
    struct ledger *l = &run->ledger;
    for (size_t i = 0; i < l->n_out; i++) {
        if (l->out[i].reply != reply)
            continue;
        decide(&l->out[i], step);
        answer(run, i);
        return true;
    }
    return false;
}

static bool is_kept(const struct run *run, enum reply reply)
{
    for (size_t i = 0; i < run->ledger.n_out; i++)
        if (run->ledger.out[i].reply == reply)
            return true;
    return false;
}

void operations_settle(struct run *run)
{
    for (;;) {
        host_pump(run);
        if (run_is_wrong(run))
            return;
        if (is_kept(run, REPLY_LATER))
            operations_answer_kept(run, REPLY_LATER, script_next_answer(run));
        else if (!operations_answer_kept(run, REPLY_WITHHELD, NULL))
            return;
    }
}
