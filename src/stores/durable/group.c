/* A group: planned inside a transaction, written and synced, made visible, answered.
 *
 *   begin -> plan and apply each change -> write and sync the log -> commit -> answer
 *
 * Where nobody is about to look, the transaction stays open behind the answer, and the next group goes on with it
 * (unseen.c).
 *
 * What fails before the log is written leaves nothing.  What fails while it is written is void: the segment is never
 * read behind its last good end.  What cannot be committed afterwards is durable all the same: it is neither answered
 * nor void until the index has it, and nothing is written meanwhile.
 */
#include "durable.h"

#include <stdlib.h>

#define KEPT_MAX (1u << 20) /* octets of memory, from group to group */
#define REPLAYED_MAX 1000 /* changes of one transaction */
#define COMMITS_LOOK 64    /* so many groups of new messages, and it is looked for something to compact */
#define PAGES_LONG 2       /* so many times the pages of a checkpoint, and the index's log is to begin anew */
#define PAGES_WAIT 3       /* so many times, and it must, whatever is left to be moved */
#define PAGE_OCTETS 4096   /* of the index */

static void roll_back(struct durable *d)
{
    mailsrv__durable_index_roll_back(&d->writer);
    d->loose.n = 0;
}

static void remove_loose(struct durable *d)
{
    for (size_t i = 0; i < d->loose.n; i++)
        mailsrv__durable_drop_file(d, d->loose.v[i]);
    d->loose.n = 0;
}

/* ---- The index follows the log ---- */

struct replay {
    struct durable *d;
    uint32_t n;
};

static bool store_and_commit(struct durable *d)
{
    return mailsrv__durable_state_store(&d->writer) && mailsrv__durable_index_commit(&d->writer);
}

static bool replay_change(void *user, const struct frame *frame, const struct place *end)
{
    struct replay *replay = user;
    struct durable *d = replay->d;
    if (!mailsrv__durable_segment_applies(&d->writer, end->segment, frame->group) ||
        !mailsrv__durable_apply(&d->writer, frame->octets))
        return false;
    if (frame->kind == FRAME_BEGUN)
        return true;
    d->writer.state.group = frame->group;
    d->writer.state.place = *end;
    if (++replay->n % REPLAYED_MAX != 0)
        return true;
    if (!store_and_commit(d))
        return false;
    if ((uint32_t)d->pages >= d->checkpoint_pages)
        sqlite3_wal_checkpoint_v2(d->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return mailsrv__durable_run(&d->writer, SQL_BEGIN, "");
}

static void at_least(uint64_t *last, uint64_t value)
{
    if (value > *last)
        *last = value;
}

/* Records that are no longer there have given numbers, too. */
static void were_given(struct state *state, const struct given *given)
{
    at_least(&state->last_body, given->body);
    at_least(&state->last_id, given->id);
    at_least(&state->last_queue, given->queue);
}

static bool end_replay(struct durable *d)
{
    if (!d->writer.state.whole && !mailsrv__durable_segments_remade(d))
        return false;
    d->writer.state.whole = 1;
    return mailsrv__durable_drop_idle(&d->writer, &d->loose) && mailsrv__durable_segments_end(d, 0) &&
           store_and_commit(d);
}

static int32_t follow(struct durable *d)
{
    struct replay replay = { d, 0 };
    const struct place from = d->writer.state.place;
    if (!mailsrv__durable_run(&d->writer, SQL_BEGIN, ""))
        return mailsrv__durable_failure(&d->writer);
    int32_t status = mailsrv__durable_log_replay(&d->log, &from, replay_change, &replay);
    were_given(&d->writer.state, &d->log.given);
    if (status == MAILSRV_TEMP || (status == MAILSRV_OK && !end_replay(d)))
        status = mailsrv__durable_failure(&d->writer);
    if (status != MAILSRV_OK) {
        roll_back(d);
        return status;
    }
    remove_loose(d);
    mailsrv__durable_indexed(d);
    mailsrv__durable_unseen_ends(d);
    mailsrv__durable_removed(d); /* perhaps */
    return mailsrv__durable_segments_load(d);
}

int32_t mailsrv__durable_catch_up(struct durable *d)
{
    struct changed_accounts all;
    mailsrv__durable_known_mark_all(&all);
    mailsrv__durable_known_ends(d, &all);
    int32_t status = follow(d);
    if (status == MAILSRV_FULL && mailsrv__durable_reserve_use(d))
        status = follow(d);
    mailsrv__durable_known_begins(d, &all);
    d->behind = status != MAILSRV_OK;
    if (d->behind)
        mailsrv__durable_unseen_fails(d);
    return status;
}

/* What the open transaction has is undone; groups of it that are in the log already come back from there. */
static int32_t take_back(struct durable *d)
{
    roll_back(d);
    return d->unseen.rows != 0 ? mailsrv__durable_catch_up(d) : MAILSRV_OK;
}

static bool commit(struct durable *d)
{
    if (!store_and_commit(d)) {
        mailsrv__durable_compact_again(d);
        roll_back(d);
        return mailsrv__durable_catch_up(d) == MAILSRV_OK;
    }
    mailsrv__durable_indexed(d);
    mailsrv__durable_unseen_ends(d);
    return true;
}

bool mailsrv__durable_settle(struct durable *d)
{
    return d->behind || d->unseen.rows == 0 || commit(d);
}

/* ---- Answers ---- */

static void answer(struct durable *d, struct task *first)
{
    struct task *next;
    for (struct task *t = first; t != NULL; t = next) {
        next = t->next;
        mailsrv__durable_post(d, t);
    }
}

static void refuse(struct durable *d, struct task *first, int32_t status)
{
    bool is_told = status == MAILSRV_FULL || status == MAILSRV_NOMEM;
    for (struct task *t = first; t != NULL; t = t->next) {
        t->answer.status = is_told ? status : MAILSRV_TEMP;
        t->answer.value = NULL;
    }
    answer(d, first);
}

/* It waits for the index, and is no thread's. */
static void hold_one(struct durable *d, struct task *t)
{
    pthread_mutex_lock(&d->lock);
    struct task **end = &d->held;
    while (*end != NULL)
        end = &(*end)->next;
    *end = t;
    t->next = NULL;
    t->from->running--;
    pthread_cond_broadcast(&d->calm);
    pthread_mutex_unlock(&d->lock);
}

/* A call of the host does not wait for a disk to be mended. */
static void hold(struct durable *d, struct task *first)
{
    struct task *next;
    for (struct task *t = first; t != NULL; t = next) {
        next = t->next;
        if (t->from != NULL) {
            hold_one(d, t);
            continue;
        }
        t->answer.status = MAILSRV_TEMP;
        mailsrv__durable_post(d, t);
    }
}

static void answer_held(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    struct task *first = d->held;
    d->held = NULL;
    for (const struct task *t = first; t != NULL; t = t->next)
        t->from->running++;
    pthread_mutex_unlock(&d->lock);
    mailsrv__durable_tell(d, first);
    answer(d, first);
}

/* ---- One group ---- */

/* What of a change is to be put back when it is not kept. */
struct mark {
    struct state state;
    struct group_mark group;
    size_t loose;
    bool is_saved; /* the index can undo this change alone */
};

/* The last frame of a change, which is all that most have; the status that it then has. */
static int32_t put_change(struct durable *d, const struct mark *mark, int32_t status)
{
    bool keeps = (status == MAILSRV_OK || status == MAILSRV_MORE) && !d->undo;
    if (keeps && (d->record.n != 0 || d->begun))
        mailsrv__durable_put_frame(&d->log, &d->group.own, FRAME_CHANGE, d->record.p, d->record.n);
    if (d->record.failed || d->group.own.failed)
        return MAILSRV_NOMEM;
    d->records += d->record.n;
    const size_t octets = mailsrv__durable_group_octets(&d->group) - mark->group.octets;
    return keeps && (d->record.n > FRAME_MAX || octets > CHANGE_MAX) ? MAILSRV_LIMIT : status;
}

static bool begin_change(struct durable *d, struct mark *mark, bool saves)
{
    *mark = (struct mark){ d->writer.state, mailsrv__durable_group_mark(&d->group), d->loose.n, saves };
    d->record.n = d->applied = 0;
    d->undo = d->begun = false;
    /* Where SQLite has given the transaction up, this would be one by itself, and its end would make it be seen. */
    if (sqlite3_get_autocommit(d->writer.db) == 0 && (!saves || mailsrv__durable_run(&d->writer, SQL_SAVE, "")))
        return true;
    mailsrv__durable_broken(d);
    return false;
}

/* What the index has of a change, kept or undone; where it cannot undo that alone, the group is to be made again. */
static void settle(struct durable *d, const struct mark *mark, bool keeps)
{
    bool undoes = !keeps && (d->applied != 0 || d->begun);
    if (!mark->is_saved && undoes)
        d->failed = d->is_too_bold = true;
    else if (mark->is_saved && ((!keeps && !mailsrv__durable_run(&d->writer, SQL_BACK, "")) ||
                                !mailsrv__durable_run(&d->writer, SQL_RELEASE, "")))
        mailsrv__durable_broken(d);
}

/* Kept, or as if it had never been. */
static void end_change(struct durable *d, const struct mark *mark, bool keeps)
{
    settle(d, mark, keeps);
    if (keeps)
        return;
    mailsrv__durable_marks_forget(&d->writer);
    d->writer.state = mark->state;
    mailsrv__durable_group_cut(&d->group, &mark->group);
    d->loose.n = mark->loose;
    d->record.failed = false;
}

static void plan(struct durable *d, struct task *t, bool saves)
{
    struct mark mark;
    if (!begin_change(d, &mark, saves))
        return;
    t->answer.status = mailsrv__durable_change(d, t);
    if (d->failed)
        return;
    t->answer.status = put_change(d, &mark, t->answer.status);
    t->is_in_parts = t->answer.status == MAILSRV_MORE;
    end_change(d, &mark, (t->is_in_parts || t->answer.status == MAILSRV_OK) && !d->undo);
}

/* Parts that were left without an end. */
static void plan_drop(struct durable *d, const struct task *first)
{
    struct mark mark;
    if (d->writer.state.parts == 0 || !begin_change(d, &mark, true))
        return;
    int32_t status = put_change(d, &mark, mailsrv__durable_parts_drop(d, first));
    if (!d->failed)
        end_change(d, &mark, status == MAILSRV_OK);
}

static void plan_compaction(struct durable *d, bool saves)
{
    struct mark mark;
    if (!begin_change(d, &mark, saves))
        return;
    int32_t status = put_change(d, &mark, mailsrv__durable_compact(d));
    if (!d->failed)
        end_change(d, &mark, status == MAILSRV_OK);
    if (d->failed || status != MAILSRV_OK)
        mailsrv__durable_compact_again(d);
}

/* The transaction of a group: its own, or that of those before it, which knows the segment already. */
static bool begin_transaction(struct durable *d)
{
    if (d->unseen.rows != 0)
        return mailsrv__durable_segment_applies(&d->writer, d->log.end.segment, d->log.group);
    return mailsrv__durable_run(&d->writer, SQL_BEGIN, "") &&
           mailsrv__durable_segment_applies(&d->writer, d->log.end.segment, d->log.group) &&
           mailsrv__durable_segments_end(d, d->told);
}

/* The log has it, and the index can take it.  `saves`: each change can be undone alone. */
static int32_t make_with(struct durable *d, struct task *first, bool saves)
{
    static const struct group_mark nothing;
    int32_t status = mailsrv__durable_log_begin(&d->log);
    if (status != MAILSRV_OK)
        return status;
    if (d->told != d->log.end.segment && !mailsrv__durable_settle(d))
        return MAILSRV_TEMP;
    mailsrv__durable_group_cut(&d->group, &nothing);
    d->failed = d->is_too_bold = false;
    d->writer.changed = (struct changed_accounts){ { 0 } };
    d->writer.removes = false;
    d->records = 0;
    d->log.group++;
    if (!begin_transaction(d))
        return mailsrv__durable_failure(&d->writer);
    plan_drop(d, first);
    for (struct task *t = first; t != NULL && !d->failed; t = t->next) {
        t->waits = mailsrv__durable_parts_wait(d, first, t);
        if (!t->waits)
            plan(d, t, saves);
    }
    if (!d->failed)
        plan_compaction(d, saves);
    if (d->failed || !mailsrv__durable_drop_idle(&d->writer, &d->loose))
        return mailsrv__durable_failure(&d->writer);
    if (d->group.own.n == 0)
        return MAILSRV_OK;
    d->writer.state.group = d->log.group;
    d->writer.state.place = d->log.end;
    d->writer.state.place.offset += mailsrv__durable_group_octets(&d->group);
    return mailsrv__durable_log_append(&d->log, &d->group);
}

static bool are_commits(const struct durable *d, const struct task *first)
{
    while (first != NULL && first->kind == MAILSRV_OP_BODY_COMMIT)
        first = first->next;
    return first == NULL && d->writer.state.parts == 0;
}

/* A change that can be undone alone costs a copy of every page of the index that it touches.  Of COMMITs and FLAGS
 * hardly one is ever undone behind its effect, nor of what changes the queue, nor a step of a compaction: so they are
 * planned without that, and should one be, all of them once more.  A plan of these keeps nothing in its task that a
 * second one would not make anew. */
static bool are_kept(const struct durable *d, const struct task *first)
{
    while (first != NULL && (first->kind == MAILSRV_OP_BODY_COMMIT || first->kind == MAILSRV_OP_FLAGS ||
                             first->kind == MAILSRV_OP_QUEUE_UPDATE || first->kind == MAILSRV_OP_QUEUE_DELETE))
        first = first->next;
    return first == NULL && d->writer.state.parts == 0;
}

static int32_t make(struct durable *d, struct task *first)
{
    bool saves = !are_kept(d, first);
    int32_t status = make_with(d, first, saves);
    if (!d->is_too_bold)
        return status;
    status = take_back(d);
    return status == MAILSRV_OK ? make_with(d, first, true) : status;
}

/* Or what a full disk must not stop: a copy to another one, and the first opening of one. */
static bool frees(int32_t kind)
{
    return kind == MAILSRV_OP_EXPUNGE || kind == MAILSRV_OP_QUEUE_UPDATE || kind == MAILSRV_OP_QUEUE_DELETE ||
           kind == KIND_SNAPSHOT || kind == KIND_RENEW;
}

/* A full disk has room for what frees some; the others are told.  What is left. */
static struct task *only_what_frees(struct durable *d, struct task *first)
{
    struct task *left = NULL, **end = &left, *next;
    for (struct task *t = first; t != NULL; t = next) {
        next = t->next;
        t->next = NULL;
        if (frees(t->kind)) {
            *end = t;
            end = &t->next;
        } else {
            refuse(d, t, MAILSRV_FULL);
        }
    }
    return left;
}

/* What can be made of the tasks, and in `*first` those that are not yet answered. */
static int32_t make_with_reserve(struct durable *d, struct task **first)
{
    if (!mailsrv__durable_reserve_make(d))
        *first = only_what_frees(d, *first);
    int32_t status = make(d, *first);
    if (status != MAILSRV_FULL || take_back(d) != MAILSRV_OK)
        return status;
    mailsrv__durable_compact_again(d);
    *first = only_what_frees(d, *first);
    return *first != NULL && mailsrv__durable_reserve_use(d) ? make(d, *first) : status;
}

/* Its log begins anew only when all of it has been moved and nothing comes meanwhile: so when it is long, and has been
 * moved since, the next change waits for what came during that. */
static bool is_too_long(struct durable *d, uint64_t pages)
{
    if (pages == d->moved || d->moved < (uint64_t)d->checkpoint_pages * PAGES_LONG)
        return false;
    return pages >= (uint64_t)d->checkpoint_pages * PAGES_WAIT || !mailsrv__durable_is_moving(d);
}

static uint64_t size_of_index(struct durable *d)
{
    sqlite3_stmt *row = mailsrv__durable_ask(&d->writer, SQL_PAGES, "");
    const bool good = row != NULL && sqlite3_step(row) == SQLITE_ROW;
    const uint64_t pages = good ? (uint64_t)sqlite3_column_int64(row, 0) : d->moved_size;
    sqlite3_reset(row);
    return pages;
}

/* So many pages are in their place; of a new index none is. */
static uint64_t pages_in_place(struct durable *d)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 octets = 0;
    if (sqlite3_file_control(d->writer.db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file->pMethods == NULL || file->pMethods->xFileSize(file, &octets) != SQLITE_OK)
        return 0;
    return (uint64_t)octets / PAGE_OCTETS;
}

/* Has what the index gathered moved to its place, now that everybody has his answer: so many pages after the last time,
 * for each move syncs two files, and a page that many changes touched is moved once; and where so many are new that
 * their places would take a quarter of what is reserved on a full disk.  It is waited for where its log must not grow:
 * there, and where it is long already. */
static void checkpoint(struct durable *d)
{
    uint64_t pages = (uint64_t)d->pages, size = size_of_index(d);
    if (pages < d->moved) /* its log has begun anew */
        d->moved = 0;
    if (d->moved_size == 0)
        d->moved_size = pages_in_place(d);
    if (size < d->moved_size)
        d->moved_size = size;
    bool is_due = pages - d->moved >= d->checkpoint_pages ||
                  (size - d->moved_size) * PAGE_OCTETS > d->reserve_octets / 4;
    bool waits = !d->has_reserve || is_too_long(d, pages);
    if (waits || is_due) {
        d->moved = pages;
        d->moved_size = size;
        mailsrv__durable_move(d, waits);
    }
}

/* Those that go on in the next group, or have not begun, stay; those that are left are to be answered. */
static struct task *keep_unfinished(struct durable *d, struct task *first)
{
    struct task *done = NULL, **done_end = &done, **end = &d->unfinished, *next;
    while (*end != NULL)
        end = &(*end)->next;
    for (struct task *t = first; t != NULL; t = next) {
        struct task ***to = t->is_in_parts || t->waits ? &end : &done_end;
        next = t->next;
        t->next = NULL;
        **to = t;
        *to = &t->next;
    }
    return done;
}

/* Those that go on, before those that came meanwhile. */
static struct task *take_unfinished(struct durable *d, struct task *first)
{
    struct task *all = d->unfinished, **end = &all;
    d->unfinished = NULL;
    while (*end != NULL)
        end = &(*end)->next;
    *end = first;
    return all;
}

static void count(struct durable *d, const struct task *first)
{
    if (d->group.own.n == 0)
        return;
    uint64_t changes = 0;
    for (const struct task *t = first; t != NULL; t = t->next)
        changes++;
    pthread_mutex_lock(&d->lock);
    mailsrv__durable_count_group(d, changes);
    d->is_busy = true; /* perhaps, and before anybody is answered */
    pthread_mutex_unlock(&d->lock);
}

/* For who asks how it is. */
static void say(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    d->segments = d->log.sealed.n + d->log.retired.n + 1;
    d->is_busy = !d->rests && (d->has_dead || mailsrv__durable_tidies(d) || d->log.retired.n != 0);
    pthread_mutex_unlock(&d->lock);
}

/* A large group was an exception. */
static void give_back_memory(struct durable *d)
{
    struct buffer *const buffers[] = { &d->group.own, &d->record };
    for (size_t i = 0; i < 2; i++) {
        if (buffers[i]->room <= KEPT_MAX)
            continue;
        free(buffers[i]->p);
        *buffers[i] = (struct buffer){ NULL, 0, 0, false };
    }
}

/* May the transaction stay open behind these?  Only new messages came, and nothing waits for its end. */
static bool may_stay_unseen(struct durable *d, const struct task *first)
{
    return first != NULL && are_commits(d, first) && d->compacting == 0 && !d->has_dead && d->has_reserve &&
           d->told == d->log.end.segment && d->log.retired.n == 0 && d->loose.n == 0 &&
           mailsrv__durable_unseen_may_add(d, first, d->records);
}

/* What is durable, to everybody, at once or as soon as he looks; false: the index cannot take it now. */
static bool make_visible(struct durable *d, const struct task *first)
{
    if (d->group.own.n == 0) { /* nothing is; what the index was told belongs to a group */
        d->loose.n = 0;
        if (d->unseen.rows == 0)
            roll_back(d);
        return true;
    }
    mailsrv__durable_unseen_changes(d, &d->writer.changed);
    if (may_stay_unseen(d, first))
        return true;
    if (!commit(d))
        return false;
    mailsrv__durable_compacted(d);
    d->told = d->log.end.segment;
    return true;
}

/* May there be something to compact now?  New messages alone take nothing from a segment; but one may have ended, and
 * what could not be compacted before may be so now. */
static void look_after(struct durable *d, const struct task *first)
{
    bool ended = d->told != d->log.end.segment;
    d->looks = d->looks || ended || !are_commits(d, first) || ++d->unlooked % COMMITS_LOOK == 0;
}

/* More than new messages come, or somebody waits to see those that are there. */
static bool must_settle(struct durable *d, const struct task *first)
{
    return first == NULL || !are_commits(d, first) || mailsrv__durable_unseen_is_wanted(d);
}

void mailsrv__durable_group(struct durable *d, struct task *first)
{
    int32_t status = d->behind ? mailsrv__durable_catch_up(d) : MAILSRV_OK;
    first = take_unfinished(d, first);
    if (must_settle(d, first) && !mailsrv__durable_settle(d))
        status = MAILSRV_TEMP;
    if (!d->behind)
        answer_held(d);
    if (status == MAILSRV_OK)
        status = make_with_reserve(d, &first);
    d->rests = status != MAILSRV_OK;
    if (status != MAILSRV_OK) {
        mailsrv__durable_compact_again(d);
        if (!d->behind)
            take_back(d);
        refuse(d, first, status);
        if (status == MAILSRV_FULL)
            checkpoint(d);
        return;
    }
    if (d->group.own.n != 0 && first != NULL)
        look_after(d, first);
    first = keep_unfinished(d, first);
    if (!make_visible(d, first)) {
        hold(d, first);
        return;
    }
    if (d->writer.removes)
        mailsrv__durable_removed(d);
    remove_loose(d);
    count(d, first);
    mailsrv__durable_tell(d, first);
    answer(d, first);
    give_back_memory(d);
    if (d->unseen.rows == 0)
        checkpoint(d);
    mailsrv__durable_remove_retired(d);
    say(d);
}

/* ---- What deleted mailboxes held ---- */

static int32_t sweep_some(struct durable *d, bool *more)
{
    if (mailsrv__durable_run(&d->writer, SQL_BEGIN, "") && mailsrv__durable_apply_death(&d->writer, more) &&
        mailsrv__durable_drop_idle(&d->writer, &d->loose) && mailsrv__durable_index_commit(&d->writer)) {
        remove_loose(d);
        return MAILSRV_OK;
    }
    int32_t status = mailsrv__durable_failure(&d->writer);
    roll_back(d);
    return status;
}

/* Where the index cannot do it now, it is tried again some time later. */
void mailsrv__durable_sweep(struct durable *d)
{
    bool more = true;
    if (!d->has_dead || d->behind)
        return;
    int32_t status = sweep_some(d, &more);
    if (status == MAILSRV_FULL && mailsrv__durable_reserve_use(d))
        status = sweep_some(d, &more);
    d->rests = d->rests || status != MAILSRV_OK;
    d->has_dead = more || status != MAILSRV_OK;
    say(d);
}
