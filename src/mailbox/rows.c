/* Rows of an image come and go, and what is given up when they find no memory. */
#include "mailbox/view.h"

#include "text/writer.h"

enum { HITS = 96 };

struct marks mailsrv__image_marks(const struct image *image, uint32_t uid)
{
    return mailsrv__columns_get(&image->columns, mailsrv__runs_rank(&image->uids, uid) - 1);
}

/* ---- Coming ---- */

/* Bits of names that are not known yet are left for the answer that brings the names. */
static uint64_t known(const struct image *image, const mailsrv_row *row, uint32_t word)
{
    uint32_t first = word * 64;
    if (image->n_names >= first + 64)
        return row->keywords[word];
    return image->n_names <= first ? 0 : row->keywords[word] & ((UINT64_C(1) << (image->n_names - first)) - 1);
}

static struct marks marks_of(const struct image *image, const mailsrv_row *row)
{
    return (struct marks){ row->modseq, { known(image, row, 0), known(image, row, 1) }, (uint8_t)row->flags };
}

static bool append(struct image *image, const mailsrv_row *row)
{
    mailsrv_run run = { row->uid, row->uid };
    struct marks marks = marks_of(image, row);
    if (!mailsrv__columns_append(&image->columns, &marks))
        return false;
    if (mailsrv__runs_add(&image->uids, &run, 1)) {
        mailsrv__group_set(image, image->columns.n - 1, row);
        return true;
    }
    mailsrv__columns_remove(&image->columns, &(struct stretch){ image->columns.n - 1, 1 }, 1);
    return false;
}

static bool is_newer(const struct marks *old, const struct marks *now)
{
    return now->modseq > old->modseq ||
           (now->modseq == old->modseq && memcmp(now->keywords, old->keywords, sizeof now->keywords) != 0);
}

static bool change(struct image *image, uint32_t index, const mailsrv_row *row)
{
    struct marks old = mailsrv__columns_get(&image->columns, index), now = marks_of(image, row);
    if (!is_newer(&old, &now))
        return true; /* applied before */
    if (!mailsrv__columns_set(&image->columns, index, &now))
        return false;
    struct journal_entry entry = { .modseq = now.modseq, .uid = row->uid };
    entry.fits = mailsrv__image_fits(image, row->uid, &old, &now, &entry.origin);
    mailsrv__journal_add(&image->journal, &entry);
    return true;
}

bool mailsrv__image_apply(struct image *image, const mailsrv_row *row)
{
    uint32_t number = mailsrv__runs_find(&image->uids, row->uid);
    if (number != 0)
        return change(image, number - 1, row);
    if (row->uid > mailsrv__runs_last(&image->uids))
        return append(image, row);
    /* A message that appears below one that was seen would change what numbers mean. */
    mailsrv__room_event(image->engine, MAILSRV_EVENT_STORE_FAILED, SPAN("a message appeared below an older one"));
    return true;
}

/* ---- Changed by an answer to FLAGS ---- */

/* A run of the image.  Of more than the journal keeps only the last ones are looked at one by one. */
static bool mark_run(struct image *image, mailsrv_run run, mailsrv_row *row)
{
    const uint32_t n = run.last - run.first + 1, skipped = n > JOURNAL_ENTRIES ? n - JOURNAL_ENTRIES : 0;
    if (skipped != 0) {
        struct marks marks = marks_of(image, row);
        uint32_t index = mailsrv__runs_rank(&image->uids, run.first) - 1;
        if (!mailsrv__columns_fill(&image->columns, index, skipped, &marks))
            return false;
        mailsrv__journal_skip(&image->journal, skipped);
    }
    for (uint32_t i = skipped; i < n; i++) {
        row->uid = run.first + i;
        if (!mailsrv__image_apply(image, row))
            return false;
    }
    return true;
}

static bool mark(struct image *image, const mailsrv_marked *marked, uint64_t modseq)
{
    mailsrv_row row = { .modseq = modseq, .flags = marked->flags };
    mailsrv_run run;
    memcpy(row.keywords, marked->keywords, sizeof row.keywords);
    for (uint64_t from = marked->uids.first; from <= marked->uids.last; from = (uint64_t)run.last + 1) {
        if (!mailsrv__runs_next(&image->uids, (uint32_t)from, &run) || run.first > marked->uids.last)
            return true;
        if (run.last > marked->uids.last)
            run.last = marked->uids.last;
        if (!mark_run(image, run, &row))
            return false;
    }
    return true;
}

/* All of the mailbox but this change, and what its bits mean.  A round that goes on may have begun before it. */
static bool has_all_before(const struct image *image, const mailsrv_flagged *flagged)
{
    bool known = image->state == IMAGE_LIVE && !image->in_round && flagged->since != 0 &&
                 flagged->since <= image->upto && image->upto < flagged->modseq;
    for (uint32_t i = 0; i < flagged->n_marked && known; i++) {
        const mailsrv_marked *marked = mailsrv__marked_at(flagged, i);
        const mailsrv_row row = { .keywords = { marked->keywords[0], marked->keywords[1] } };
        const struct marks now = marks_of(image, &row);
        known = memcmp(now.keywords, row.keywords, sizeof now.keywords) == 0;
    }
    return known;
}

void mailsrv__image_flagged(struct image *image, const mailsrv_flagged *flagged)
{
    if (!has_all_before(image, flagged))
        return;
    for (uint32_t i = 0; i < flagged->n_marked; i++)
        if (!mark(image, mailsrv__marked_at(flagged, i), flagged->modseq))
            return; /* for want of memory: the next round brings it */
    image->upto = flagged->modseq;
    mailsrv__silents_tidy(image, 0);
    mailsrv__image_wake_views(image);
}

/* ---- Going ---- */

/* Runs of the image that vanish. */
struct hits {
    mailsrv_run v[HITS];
    size_t n;
};

static bool is_empty(const mailsrv_run *range)
{
    return range->first > range->last;
}

/* Takes the next UIDs of the image that are in `*range`, which shrinks. */
static void find_hits(const struct image *image, mailsrv_run *range, struct hits *hits)
{
    mailsrv_run run;
    while (hits->n < HITS && !is_empty(range)) {
        bool any = mailsrv__runs_next(&image->uids, range->first, &run) && run.first <= range->last;
        bool all = !any || run.last >= range->last;
        if (any)
            hits->v[hits->n++] = (mailsrv_run){ run.first, all ? range->last : run.last };
        range->first = all ? 1 : run.last + 1;
        range->last = all ? 0 : range->last;
    }
}

/* Their UIDs are out of the image already: a row had those before it that are left, and those that go with it. */
static void remove_rows(struct image *image, const struct hits *hits)
{
    struct stretch blocks[HITS];
    uint32_t removed = 0;
    for (size_t i = 0; i < hits->n; i++) {
        mailsrv_run run = hits->v[i];
        blocks[i].index = mailsrv__runs_rank(&image->uids, run.first) + removed;
        blocks[i].n = run.last - run.first + 1;
        removed += blocks[i].n;
    }
    mailsrv__columns_remove(&image->columns, blocks, hits->n);
}

static bool vanish(struct image *image, const struct hits *hits)
{
    if (hits->n == 0)
        return true;
    if (!mailsrv__runs_remove(&image->uids, hits->v, hits->n))
        return false;
    remove_rows(image, hits);
    for (struct node *v = image->views.next; v != &image->views; v = v->next) {
        mailsrv__view_lose(HOLDER(v, struct view, link), hits->v, hits->n, image->since);
        mailsrv__room_spend(image->engine, 1 + (uint32_t)hits->n / 4);
    }
    return true;
}

bool mailsrv__image_vanish_some(struct image *image, const mailsrv_run *runs, uint32_t n, uint32_t *taken)
{
    struct hits hits = { .n = 0 };
    mailsrv_run range = image->vanishing;
    uint32_t i = 0, last = image->vanishing.last;
    find_hits(image, &range, &hits);
    while (is_empty(&range) && hits.n < HITS && i < n && (runs[i].first > last || last == 0)) {
        last = runs[i].last;
        range = runs[i++];
        find_hits(image, &range, &hits);
    }
    if (!vanish(image, &hits))
        return false;
    image->vanishing = range;
    *taken = i;
    mailsrv__room_spend(image->engine, 1 + i / 4 + (uint32_t)hits.n);
    return true;
}

/* ---- Giving up ---- */

bool mailsrv__image_spare(struct image *image)
{
    if (image->group_wanted) {
        mailsrv__group_drop(image, MAILSRV_NOMEM);
        return true;
    }
    if (image->journal.v != NULL) {
        mailsrv__journal_drop(&image->journal); /* views look at the rows */
        return true;
    }
    return false;
}

uint64_t mailsrv__image_octets(const struct image *image)
{
    uint64_t octets = sizeof *image + mailsrv__columns_octets(&image->columns) + mailsrv__runs_octets(&image->uids) +
                      mailsrv__journal_octets(&image->journal);
    octets += image->names == NULL ? 0 : NAMES_OCTETS;
    for (uint32_t i = 0; i < image->n_names; i++)
        octets += image->names[i].n;
    return octets;
}

static void tell_the_host(const struct image *image)
{
    char text[120];
    struct writer w = { .p = text, .room = sizeof text };
    mailsrv__write(&w, SPAN("the image of mailbox "));
    for (size_t i = 0; i < sizeof image->mailbox.b; i++) {
        mailsrv__write_hex(&w, image->mailbox.b[i] >> 4);
        mailsrv__write_hex(&w, image->mailbox.b[i] & 15);
    }
    mailsrv__write(&w, SPAN(", of "));
    mailsrv__write_u64(&w, mailsrv__image_octets(image));
    mailsrv__write(&w, SPAN(" octets, cannot grow"));
    mailsrv__room_event(image->engine, MAILSRV_EVENT_OUT_OF_MEMORY, mailsrv__written(&w));
}

/* Those that look at one that is live are cut off; those that still wait are refused. */
void mailsrv__image_starve(struct image *image)
{
    if (mailsrv__image_spare(image))
        return;
    tell_the_host(image);
    mailsrv__image_end(image, image->state == IMAGE_LIVE ? MAILSRV_NOMEM : MAILSRV_LIMIT);
}
