/* What compaction must not lose, and must not bring back: each case is a log of which a part was compacted, compared
 * with itself after the index was made anew from what is left. */
#include "log_case.h"
#include "tap.h"

#include <stdio.h>
#include <string.h>

/* ---- UIDs, or INBOX, mean something else while a segment is being compacted ---- */

enum { ROWS = 512, GONE_ROWS = ROWS / 2 };

/* Segment 1 has the messages, segment 2 the record that the first half of them are gone, and something heavy. */
static mailsrv_result prepare(struct log_case *f, const mailsrv_id *box)
{
    const mailsrv_run run = { 1, GONE_ROWS };
    for (int i = 0; i < 8; i++)
        case_deliver(f, 0, box, 100, 0);
    while (case_box(f, box).exists < ROWS)
        case_copy_all(f, box);
    case_deliver(f, 0, box, HEAVY, 0);
    case_expunge(f, box, &run, 1);
    mailsrv_result heavy = case_deliver(f, 1, NULL, HEAVY, 0);
    case_deliver(f, 0, box, 100, UINT32_MAX - 1); /* in segment 3 */
    case_rest(f);
    return heavy;
}

/* All is there, and nothing else, also from the log alone. */
static void is_so(struct log_case *f, const char *name, const mailsrv_id *box, uint64_t rows)
{
    case_rest(f);
    tap(!case_has_segment(f, 2) && case_has_segment(f, 1), name, "the segment is retired, and an older one is not", "");
    tap(case_box(f, box).exists == rows, name, "nothing is lost", "");
    case_check(f, name, "the check finds nothing");
    case_lose_index(f);
    tap(case_box(f, box).exists == rows, name, "the log has it so", "");
    case_check(f, name, "and then the check finds nothing");
}

static void send_last(struct log_case *f, void *user)
{
    struct sent *s = user;
    const mailsrv_id box = s->target.mailbox;
    case_send(f, s, 0, &box, 100, 0);
}

static void renumbered(void)
{
    static const char name[] = "UIDs end while a segment is compacted";
    struct log_case *f = case_begin();
    mailsrv_id box = case_create(f, "box");
    struct sent s = { .target = { .mailbox = box } };
    mailsrv_result heavy = prepare(f, &box);
    uint32_t before = case_box(f, &box).uidvalidity;
    case_in_the_middle(f, &heavy, send_last, &s);
    mailsrv_result last = case_take(f, &s);
    tap(last.status == MAILSRV_OK && last.uidvalidity != before, name, "UIDs begin at 1 again", "");
    is_so(f, name, &box, ROWS - GONE_ROWS + 3);
    case_end(f, name);
}

/* What is there, by a status of its own: UIDs and how many. */
static bool is_still(struct log_case *f, const mailsrv_id *box, const mailsrv_mbox_opened *before)
{
    mailsrv_mbox_opened now = case_box(f, box);
    return now.exists == before->exists && now.uidvalidity == before->uidvalidity && now.uidnext == before->uidnext;
}

/* Up to a record that gives UIDs another meaning segments go in their order, however little is live of a later one. */
static void in_order(const char *name, bool moves)
{
    struct log_case *f = case_begin();
    mailsrv_id box = moves ? case_inbox : case_create(f, "box");
    mailsrv_result heavy = prepare(f, &box);
    mailsrv_id is_inbox = moves ? case_box(f, &box).mailbox : case_inbox;
    if (moves) {
        case_rename(f, &is_inbox, "old");
        box = case_id(f, "old");
    } else {
        case_deliver(f, 0, &box, 100, 0);
    }
    mailsrv_mbox_opened before = case_box(f, &box);
    tap(before.exists == ROWS - GONE_ROWS + 2u + !moves, name, "all are there", "");
    case_lighten(f, &heavy);
    case_deliver(f, 1, NULL, 100, 0);
    case_rest(f);
    tap(case_has_segment(f, 1) && case_has_segment(f, 2), name, "one goes not before an older one", "");
    tap(is_still(f, &box, &before), name, "nothing is lost", "");
    uint32_t uid = moves ? ROWS + 1 : ROWS - GONE_ROWS + 1; /* of what is heavy in the first */
    const mailsrv_run run = { uid, uid };
    case_expunge(f, &box, &run, 1);
    case_deliver(f, 1, NULL, 100, 0);
    case_rest(f);
    before.exists--;
    tap(!case_has_segment(f, 1) && !case_has_segment(f, 2), name, "the oldest goes, and then it does", "");
    tap(is_still(f, &box, &before), name, "nothing is lost then", "");
    case_check(f, name, "the check finds nothing");
    case_lose_index(f);
    tap(is_still(f, &box, &before), name, "the log has it so", "");
    case_check(f, name, "and then the check finds nothing");
    case_end(f, name);
}

/* The order in which the log says that segments are retired (docs/store-format.md: kind 3, entry 32). */
static uint32_t retired(struct log_case *f, uint64_t out[8])
{
    uint32_t n = 0;
    for (unsigned segment = 1; segment < 16; segment++) {
        char path[40];
        void *file;
        uint8_t head[24 + 9];
        size_t got = 0;
        snprintf(path, sizeof path, "/disk/%016x.log", segment);
        if (f->files.open(f->disk, path, 0, &file) != MAILSRV_OK)
            continue;
        for (uint64_t at = 0; f->files.read(f->disk, file, head, sizeof head, at, &got) == MAILSRV_OK && got >= 24;) {
            uint32_t octets = head[4] | (uint32_t)head[5] << 8 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 24;
            if (octets == 9 && head[8] == 3 && got == sizeof head && head[24] == 32 && n < 8)
                out[n++] = head[25];
            at += 24 + octets;
        }
        f->files.close(f->disk, file);
    }
    return n;
}

/* What is heavy in segment 2 goes, and with the next group, in which that in 3 goes, copies from 2 begin.  Then the
 * process dies. */
static void die_in_the_middle(struct log_case *f, const mailsrv_result *second, const mailsrv_result *third)
{
    static const struct box box;
    struct opened opened;
    const mailsrv_run runs[2] = { { second->uid, second->uid }, { third->uid, third->uid } };
    mailsrv_asked *asked[2];
    mail_open_box(&f->mail, 1, &box, &opened);
    gate_set(true);
    asked[0] = case_ask_expunge(f, &opened, &runs[0]);
    gate_wait();
    asked[1] = case_ask_expunge(f, &opened, &runs[1]);
    gate_let_one_pass();
    gate_wait();
    gate_set_dead(true);
    gate_set(false);
    mail_settle(&f->mail);
    mailsrv_asked_free(asked[0]);
    mailsrv_asked_free(asked[1]);
    mail_close_box(&f->mail, &opened);
    case_close(f);
    gate_set_dead(false);
}

/* A segment of which some was copied is retired before another is begun, also by the next process, and though less is
 * live of the other. */
static void begun_first(void)
{
    static const char name[] = "a segment of which some was copied";
    struct log_case *f = case_begin();
    uint64_t order[8];
    mailsrv_id box = case_create(f, "box");
    mailsrv_result second = prepare(f, &box), third = case_deliver(f, 1, NULL, HEAVY, 0);
    case_deliver(f, 1, NULL, 100, 0);
    case_rest(f);
    die_in_the_middle(f, &second, &third);
    case_open(f);
    case_deliver(f, 1, NULL, 100, 0);
    case_rest(f);
    uint32_t n = retired(f, order);
    tap(n >= 2 && order[0] == 2 && order[1] == 3, name, "is retired before another", "");
    case_end(f, name);
}

/* An item that comes, and goes; its number. */
static uint64_t queue_one(struct log_case *f)
{
    struct sent s;
    mailsrv_asked *asked;
    case_stage(f, &s, 0, 100);
    s.target = (mailsrv_target){ .size = sizeof s.target, .kind = MAILSRV_TARGET_QUEUE };
    s.target.record = case_bytes("a record");
    case_commit(f, &s, 0);
    uint64_t number = case_take(f, &s).queue;
    mailsrv_arg_queue_delete arg = { sizeof arg, 1, &number };
    mail_hear(&f->mail, 0, MAILSRV_OP_QUEUE_DELETE, -1, &arg, &asked);
    mailsrv_asked_free(asked);
    return number;
}

/* Nothing that is still in the log says which were the last ids and numbers, but for the first frame of a segment. */
static void given(void)
{
    static const char name[] = "what was given, and is not in the log";
    struct log_case *f = case_begin();
    mailsrv_result light = case_deliver(f, 1, NULL, 100, 0), heavy = case_deliver(f, 1, NULL, HEAVY, 0);
    mailsrv_id gone = case_create(f, "gone");
    case_delete(f, &gone);
    uint64_t item = queue_one(f);
    mailsrv_result last = case_deliver(f, 1, NULL, HEAVY, 0);
    case_lighten(f, &heavy);
    case_lighten(f, &last);
    case_rest(f);
    case_lighten(f, &light);
    case_rest(f);
    tap(!case_has_segment(f, 1) && !case_has_segment(f, 2), name, "what gave them is compacted", "");
    case_lose_index(f);
    mailsrv_result next = case_deliver(f, 1, NULL, 100, 0);
    tap(memcmp(&next.email, &last.email, sizeof last.email) > 0, name, "no id is given twice", "");
    tap(next.uid > last.uid && next.modseq > last.modseq, name, "nor a UID or modseq", "");
    mailsrv_id anew = case_create(f, "gone");
    tap(memcmp(&anew, &next.email, sizeof anew) > 0, name, "nor a mailbox's id", "");
    tap(item != 0 && queue_one(f) > item, name, "nor a number of the queue", "");
    case_end(f, name);
}

struct renaming {
    struct opened store;
    mailsrv_arg_mbox_rename arg;
    mailsrv_asked *asked;
};

static void ask_rename(struct log_case *f, void *user)
{
    struct renaming *r = user;
    r->asked = mail_ask(&f->mail, 0, MAILSRV_OP_MBOX_RENAME, 0, &r->arg);
    case_turn(f);
}

static void moved(void)
{
    static const char name[] = "INBOX is moved while a segment is compacted";
    struct log_case *f = case_begin();
    struct renaming r;
    mailsrv_result heavy = prepare(f, &case_inbox);
    mailsrv_id id = case_box(f, &case_inbox).mailbox;
    mail_open_store(&f->mail, 0, &r.store);
    r.arg = (mailsrv_arg_mbox_rename){ sizeof r.arg, 0, r.store.store_handle, id, case_bytes("old"), 0 };
    case_in_the_middle(f, &heavy, ask_rename, &r);
    tap(mail_status_of(r.asked) == MAILSRV_OK, name, "it is moved", "");
    mailsrv_asked_free(r.asked);
    mail_close_box(&f->mail, &r.store);
    mailsrv_id old = case_id(f, "old");
    tap(case_box(f, &case_inbox).exists == 0, name, "INBOX is empty", "");
    is_so(f, name, &old, ROWS - GONE_ROWS + 2);
    tap(case_box(f, &case_inbox).exists == 0, name, "and stays so", "");
    case_end(f, name);
}

int main(void)
{
    in_order("segments before a renumbering", false);
    in_order("segments before INBOX was moved", true);
    begun_first();
    given();
    renumbered();
    moved();
    gone_cases();
    return tap_end();
}
