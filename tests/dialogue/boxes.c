/* The mailboxes of the store, as a file names them, and what other sessions do to them. */
#include "run.h"

#include "names.h"

static bool find_account(struct run *run, struct text name, mailsrv_id *out)
{
    if (mailsrv_memory_find_account(run->store, name.p, name.n, out) == MAILSRV_OK)
        return true;
    run_wrong_text(run, "the store has no account ", name);
    return false;
}

/* An account, and the name of a mailbox of it. */
static bool split(struct run *run, struct text reference, struct box *out)
{
    size_t n = text_find(reference, "/");
    out->name = n == reference.n ? text_of("INBOX") : text_after(reference, n + 1);
    return find_account(run, (struct text){ reference.p, n }, &out->account);
}

bool box_find(struct run *run, struct text reference, struct box *out)
{
    if (!split(run, reference, out))
        return false;
    if (mailsrv_memory_find_mailbox(run->store, &out->account, out->name.p, out->name.n, &out->id) == MAILSRV_OK)
        return true;
    run_wrong_text(run, "the store has no mailbox ", reference);
    return false;
}

uint64_t box_count(struct run *run, const struct box *box)
{
    return mailsrv_memory_count(run->store, &box->id);
}

/* RFC 3848: "with ESMTPS".  Where TLS is but a way to play a dialogue, it has the words of the clear one. */
static void forget_tls(const struct run *run, struct buffer *message)
{
    bool is_played = run->plan->tls != TLS_BY_NOBODY && !run->d->has_tls;
    size_t at = is_played ? text_find(buffer_text(message), " with ") : message->n;
    while (at < message->n && message->p[at] != '\n')
        at++;
    for (size_t i = at; i > 5 && at < message->n; i--) {
        if (memcmp(message->p + i - 5, "MTPS", 4) != 0)
            continue;
        memmove(message->p + i - 2, message->p + i - 1, message->n - i + 1);
        message->n--;
        return;
    }
}

bool box_message(struct run *run, const struct box *box, uint64_t index, struct buffer *out)
{
    mailsrv_bytes piece;
    for (;;) {
        if (mailsrv_memory_message(run->store, &box->id, index, out->n, &piece) != MAILSRV_OK)
            return false;
        if (piece.n == 0) {
            forget_tls(run, out);
            return true;
        }
        buffer_add(out, piece.p, piece.n);
    }
}

bool box_create(struct run *run, struct text account, struct text name)
{
    mailsrv_id id, box;
    if (!find_account(run, account, &id))
        return false;
    if (mailsrv_memory_add_mailbox(run->store, &id, name.p, name.n, 0, &box) == MAILSRV_OK)
        return true;
    run_wrong_text(run, "the store takes no such mailbox: ", name);
    return false;
}

/* ---- Flags ---- */

static bool read_flags(struct run *run, struct text words, uint32_t *out)
{
    *out = 0;
    for (struct text word = text_word(&words); word.n != 0; word = text_word(&words)) {
        uint32_t flag = 0;
        if (!name_of_flag(word, &flag)) {
            run_wrong_text(run, "no such flag: ", word);
            return false;
        }
        *out |= flag;
    }
    return true;
}

static bool last_uid(struct run *run, const struct box *box, uint32_t *out)
{
    mailsrv_row row;
    uint64_t n = box_count(run, box);
    if (n == 0 || mailsrv_memory_row(run->store, &box->id, n - 1, &row) != MAILSRV_OK)
        return false;
    *out = row.uid;
    return true;
}

bool box_append(struct run *run, const struct box *box, struct text message, struct text words)
{
    uint32_t flags = 0, uid = 0;
    if (!read_flags(run, words, &flags))
        return false;
    bool added =
        mailsrv_memory_append(run->store, &box->id, message.p, message.n) == MAILSRV_OK && last_uid(run, box, &uid);
    const mailsrv_run uids = { uid, uid };
    if (added && flags != 0)
        added = mailsrv_memory_flag(run->store, &box->id, uids, MAILSRV_FLAGS_SET, flags) == MAILSRV_OK;
    if (!added)
        run_wrong_text(run, "the store takes no such message: ", message);
    return added;
}

void box_check_row(struct run *run, const struct step *step)
{
    struct box box;
    mailsrv_row row;
    struct buffer has = { 0 };
    uint32_t flags;
    if (!box_find(run, step->words, &box) || !read_flags(run, step->text, &flags))
        return;
    if (step->n == 0 || mailsrv_memory_row(run->store, &box.id, step->n - 1, &row) != MAILSRV_OK) {
        run_wrong_text(run, "there is no such row of ", step->words);
        return;
    }
    if (row.flags == flags)
        return;
    names_of_flags(row.flags, &has);
    run_wrong_text(run, "the row has the flags ", buffer_text(&has));
    buffer_free(&has);
}

/* ---- Acts ---- */

/* `1:3` or `7`. */
static bool read_uids(struct text word, mailsrv_run *out)
{
    uint64_t first, last;
    size_t colon = text_find(word, ":");
    struct text end = colon == word.n ? word : text_after(word, colon + 1);
    if (!text_number((struct text){ word.p, colon }, &first) || !text_number(end, &last) || last > UINT32_MAX ||
        first > last)
        return false;
    *out = (mailsrv_run){ (uint32_t)first, (uint32_t)last };
    return true;
}

static bool act_flags(struct run *run, const struct box *box, mailsrv_run uids, struct text rest)
{
    uint32_t flags;
    struct text how = text_word(&rest);
    int32_t what = text_is(how, "+") ? MAILSRV_FLAGS_ADD : text_is(how, "-") ? MAILSRV_FLAGS_REMOVE : MAILSRV_FLAGS_SET;
    return read_flags(run, rest, &flags) && mailsrv_memory_flag(run->store, &box->id, uids, what, flags) == MAILSRV_OK;
}

static bool act_on_messages(struct run *run, const struct box *box, struct text act, struct text rest)
{
    mailsrv_run uids;
    if (!read_uids(text_word(&rest), &uids))
        return false;
    if (text_is(act, "flags"))
        return act_flags(run, box, uids, rest);
    return mailsrv_memory_expunge(run->store, &box->id, uids) == MAILSRV_OK;
}

static void touch(struct run *run, const mailsrv_id *mailbox)
{
    for (size_t i = 0; i < run->n_touched; i++)
        if (memcmp(&run->touched[i], mailbox, sizeof *mailbox) == 0)
            return;
    if (run->n_touched < TOUCHED_MAX)
        run->touched[run->n_touched++] = *mailbox;
}

void box_act(struct run *run, const struct step *step)
{
    struct text rest = step->words, act = text_word(&rest), reference = text_word(&rest);
    struct box box;
    bool good;
    if (text_is(act, "create")) {
        if (split(run, reference, &box))
            box_create(run, (struct text){ reference.p, text_find(reference, "/") }, box.name);
        return;
    }
    if (!box_find(run, reference, &box))
        return;
    touch(run, &box.id);
    if (text_is(act, "append"))
        good = box_append(run, &box, step->text, rest);
    else if (text_is(act, "delete"))
        good = mailsrv_memory_remove_mailbox(run->store, &box.id) == MAILSRV_OK;
    else
        good = act_on_messages(run, &box, act, rest);
    if (!good)
        run_wrong_text(run, "this cannot be done: ", step->words);
}
