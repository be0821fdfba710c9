#include "mailbox/image.h"

#include "mailbox/view.h"

#include <mailsrv/store.h>

enum { PAGE_ROWS = 256, HITS = 64, FIELDS = MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ | MAILSRV_ROW_KEYWORDS };

struct images {
    struct room room; /* first */
    mailsrv_engine *engine;
    struct node all;
};

static const char room_name[] = "mailbox";

static struct heap *heap_of(const struct image *image)
{
    return mailsrv__room_heap(image->engine);
}

static void wake_views(struct image *image)
{
    for (struct node *n = image->views.next; n != &image->views; n = n->next) {
        struct view *view = HOLDER(n, struct view, link);
        view->wake(view);
    }
}

static void goes_on(struct image *image)
{
    mailsrv__room_work(image->engine, &image->work);
}

/* ---- Rounds ---- */

static void end(struct image *image, int32_t status)
{
    image->state = IMAGE_ENDED;
    image->status = status;
    image->in_round = false;
    mailsrv__errand_drop(&image->errand);
    wake_views(image);
}

static void finish_round(struct image *image, int32_t status)
{
    image->round_status = status;
    image->in_round = false;
    image->finished++;
    image->state = IMAGE_LIVE;
    mailsrv__silents_tidy(image, 0);
    wake_views(image);
}

/* A round that cannot be finished leaves what it has applied, and `upto` where it was: the next one asks again.  A
 * mailbox that cannot be loaded is no image. */
static void fail_round(struct image *image, int32_t status)
{
    mailsrv__errand_drop(&image->errand);
    if (image->state != IMAGE_LIVE || status <= MAILSRV_DENIED)
        end(image, status);
    else
        finish_round(image, status);
}

/* What must grow cannot: the journal goes, and views look at the rows; without that the image goes. */
static void starve(struct image *image)
{
    if (image->journal.v != NULL) {
        mailsrv__journal_drop(&image->journal);
        return;
    }
    mailsrv__room_event(image->engine, MAILSRV_EVENT_OUT_OF_MEMORY, SPAN("the image of a mailbox"));
    end(image, MAILSRV_NOMEM);
}

static bool asked(struct image *image, struct ask ask, bool (*take)(struct image *, const mailsrv_answer *))
{
    image->take = take;
    image->at = 0;
    image->vanishing = (mailsrv_run){ 1, 0 };
    if (ask.op == NULL)
        fail_round(image, MAILSRV_NOMEM);
    return ask.op != NULL;
}

static struct ask ask(struct image *image, int32_t kind, size_t octets)
{
    return mailsrv__errand_ask(image->engine, &image->errand, kind, &image->account, octets);
}

/* ---- Rows come and go ---- */

struct marks mailsrv__image_marks(const struct image *image, uint32_t uid)
{
    return mailsrv__columns_get(&image->columns, mailsrv__runs_rank(&image->uids, uid) - 1);
}

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

static bool append(struct image *image, uint32_t uid, const struct marks *marks)
{
    mailsrv_run run = { uid, uid };
    if (!mailsrv__columns_append(&image->columns, marks))
        return false;
    if (mailsrv__runs_add(&image->uids, &run, 1))
        return true;
    mailsrv__columns_remove(&image->columns, image->columns.n - 1, 1);
    return false;
}

static bool is_newer(const struct marks *old, const struct marks *now)
{
    return now->modseq > old->modseq ||
           (now->modseq == old->modseq && memcmp(now->keywords, old->keywords, sizeof now->keywords) != 0);
}

static bool change(struct image *image, uint32_t uid, const struct marks *now)
{
    uint32_t index = mailsrv__runs_rank(&image->uids, uid) - 1;
    struct marks old = mailsrv__columns_get(&image->columns, index);
    if (!is_newer(&old, now))
        return true; /* applied before */
    if (!mailsrv__columns_set(&image->columns, index, now))
        return false;
    struct journal_entry entry = { .modseq = now->modseq, .uid = uid };
    entry.fits = mailsrv__image_fits(image, uid, &old, now, &entry.origin);
    mailsrv__journal_add(&image->journal, &entry);
    return true;
}

/* False: no memory. */
static bool apply_row(struct image *image, const mailsrv_row *row)
{
    struct marks now = marks_of(image, row);
    if (row->uid > mailsrv__runs_last(&image->uids))
        return append(image, row->uid, &now);
    if (mailsrv__runs_has(&image->uids, row->uid))
        return change(image, row->uid, &now);
    /* A message that appears below one that was seen would change what numbers mean. */
    mailsrv__room_event(image->engine, MAILSRV_EVENT_STORE_FAILED, SPAN("a message appeared below an older one"));
    return true;
}

/* The next UIDs of the image in `*range`, which shrinks. */
static size_t find_hits(const struct image *image, mailsrv_run *range, mailsrv_run hits[HITS])
{
    size_t n = 0;
    mailsrv_run run;
    while (n < HITS && range->first <= range->last && mailsrv__runs_next(&image->uids, range->first, &run) &&
           run.first <= range->last) {
        if (run.last >= range->last) {
            hits[n++] = (mailsrv_run){ run.first, range->last };
            *range = (mailsrv_run){ 1, 0 };
            return n;
        }
        hits[n++] = run;
        range->first = run.last + 1;
    }
    if (n < HITS)
        *range = (mailsrv_run){ 1, 0 };
    return n;
}

/* Takes some of the UIDs of image->vanishing out.  False: no memory, and nothing happened. */
static bool vanish_some(struct image *image)
{
    mailsrv_run hits[HITS], range = image->vanishing;
    size_t n = find_hits(image, &range, hits);
    if (!mailsrv__runs_remove(&image->uids, hits, n))
        return false;
    image->vanishing = range;
    for (size_t i = 0; i < n; i++)
        mailsrv__columns_remove(&image->columns, mailsrv__runs_rank(&image->uids, hits[i].first),
                                hits[i].last - hits[i].first + 1);
    for (struct node *v = image->views.next; n != 0 && v != &image->views; v = v->next) {
        mailsrv__view_lose(HOLDER(v, struct view, link), hits, n, image->since);
        mailsrv__room_spend(image->engine, 1);
    }
    mailsrv__room_spend(image->engine, 1 + (uint32_t)n);
    return true;
}

static bool vanishes(const struct image *image)
{
    return image->vanishing.first <= image->vanishing.last;
}

/* The page is applied.  There is more: asks for it, unless the cursor stands still, which would go on for ever. */
static void go_on(struct image *image, mailsrv_cursor cursor, void (*ask_next)(struct image *))
{
    mailsrv__errand_drop(&image->errand);
    if (memcmp(&cursor, &image->cursor, sizeof cursor) == 0) {
        mailsrv__room_event(image->engine, MAILSRV_EVENT_STORE_FAILED, SPAN("a cursor stands still"));
        fail_round(image, MAILSRV_CORRUPT);
        return;
    }
    image->cursor = cursor;
    ask_next(image);
}

/* ---- Comparing: what ROWS has and what it leaves out ---- */

static bool take_rows(struct image *image, const mailsrv_answer *answer);
static bool take_changes(struct image *image, const mailsrv_answer *answer);
static void ask_changes(struct image *image);

static void ask_rows(struct image *image)
{
    struct ask a = ask(image, MAILSRV_OP_ROWS, sizeof(mailsrv_run));
    if (!asked(image, a, take_rows))
        return;
    mailsrv_run *run = mailsrv__ask_room(&a, sizeof *run);
    mailsrv_arg_rows *arg = a.arg;
    *run = (mailsrv_run){ 1, UINT32_MAX };
    arg->fields = FIELDS;
    arg->mbox = image->mbox.value;
    arg->uids = run;
    arg->n_uids = 1;
    arg->limit = PAGE_ROWS;
    arg->cursor = image->cursor;
}

static void begin_comparing(struct image *image, uint64_t upto)
{
    image->next_upto = upto;
    image->compared = 0;
    image->cursor = (mailsrv_cursor){ { 0 } };
    ask_rows(image);
}

static void begin_changes(struct image *image)
{
    image->since = image->upto;
    image->cursor = (mailsrv_cursor){ { 0 } };
    ask_changes(image);
}

static void end_comparing(struct image *image)
{
    image->upto = image->next_upto;
    if (!image->first_load) {
        finish_round(image, MAILSRV_OK);
        return;
    }
    image->first_load = false; /* rows may have vanished behind the page that had them */
    begin_changes(image);
}

/* UIDs between two rows of an answer are gone. */
static bool compare_row(struct image *image, const mailsrv_row *row)
{
    if (row->uid > image->compared + 1) {
        image->vanishing = (mailsrv_run){ image->compared + 1, row->uid - 1 };
        image->compared = row->uid - 1;
        return true;
    }
    if (!apply_row(image, row))
        return false;
    if (row->uid > image->compared)
        image->compared = row->uid;
    image->at++;
    return true;
}

static void end_of_rows(struct image *image, const mailsrv_rows *page)
{
    if (page->more != 0) {
        go_on(image, page->next, ask_rows);
        return;
    }
    mailsrv__errand_drop(&image->errand);
    end_comparing(image);
}

static bool take_rows(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_rows *page = answer->value;
    if (page == NULL) {
        fail_round(image, answer->status);
        return true;
    }
    mailsrv__room_spend(image->engine, 1);
    bool good = true;
    if (vanishes(image)) {
        good = vanish_some(image);
    } else if (image->at < page->n) {
        good = compare_row(image, (const void *)((const char *)page->rows + (size_t)image->at * page->stride));
    } else if (page->more == 0 && image->compared != UINT32_MAX) {
        image->vanishing = (mailsrv_run){ image->compared + 1, UINT32_MAX };
        image->compared = UINT32_MAX;
    } else {
        end_of_rows(image, page);
    }
    if (!good)
        starve(image);
    return true;
}

/* ---- Changes ---- */

static void ask_changes(struct image *image)
{
    struct ask a = ask(image, MAILSRV_OP_CHANGES, 0);
    if (!asked(image, a, take_changes))
        return;
    mailsrv_arg_changes *arg = a.arg;
    arg->fields = FIELDS;
    arg->mbox = image->mbox.value;
    arg->since = image->since;
    arg->limit = PAGE_ROWS;
    arg->n_keywords = image->n_names;
    arg->cursor = image->cursor;
}

/* False: no memory. */
static bool take_names(struct image *image, const mailsrv_bytes *names, uint32_t first, uint32_t n)
{
    while (image->n_names < first + n) {
        mailsrv_bytes name = names[image->n_names - first];
        uint8_t *p = mailsrv__heap_take(heap_of(image), CLASS_IMAGES, NULL, name.n);
        if (p == NULL)
            return false;
        memcpy(p, name.p, name.n);
        image->names[image->n_names++] = (mailsrv_bytes){ p, name.n };
    }
    return true;
}

static void end_of_page(struct image *image, const mailsrv_changes *page)
{
    if (page->more != 0) {
        go_on(image, page->next, ask_changes);
        return;
    }
    image->upto = page->upto;
    mailsrv__errand_drop(&image->errand);
    finish_round(image, MAILSRV_OK);
}

/* One step: what vanished first, then the rows. */
static bool apply(struct image *image, const mailsrv_changes *page)
{
    if (vanishes(image))
        return vanish_some(image);
    if (image->at < page->n_vanished) {
        image->vanishing = page->vanished[image->at++];
        return true;
    }
    uint32_t row = image->at - page->n_vanished;
    if (row == page->n) {
        end_of_page(image, page);
        return true;
    }
    if (!apply_row(image, (const void *)((const char *)page->rows + (size_t)row * page->stride)))
        return false;
    image->at++;
    return true;
}

static bool take_changes(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_changes *page = answer->value;
    if (page == NULL) {
        fail_round(image, answer->status);
        return true;
    }
    const mailsrv_arg_changes *arg = mailsrv__errand_arg(&image->errand);
    mailsrv__room_spend(image->engine, 1);
    if (!take_names(image, page->keywords, arg->n_keywords, page->n_keywords)) {
        starve(image);
    } else if (page->horizon > image->since) {
        uint64_t upto = page->upto;
        mailsrv__errand_drop(&image->errand);
        begin_comparing(image, upto);
    } else if (!apply(image, page)) {
        starve(image);
    }
    return true;
}

/* ---- Opening ---- */

/* What a row takes, beside keywords. */
enum { ROW_OCTETS = 9 };

static bool has_room(const struct image *image, uint64_t rows)
{
    const struct heap *heap = heap_of(image);
    uint64_t left = heap->max_by[CLASS_IMAGES] - heap->used_by[CLASS_IMAGES];
    uint64_t all = heap->max - heap->used;
    return rows <= (left < all ? left : all) / ROW_OCTETS;
}

static bool take_opened(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_mbox_opened *opened = answer->value;
    if (opened == NULL) {
        fail_round(image, answer->status);
        return true;
    }
    mailsrv__errand_take_handle(&image->errand, opened->mbox, &image->mbox);
    if (!has_room(image, opened->exists)) {
        fail_round(image, MAILSRV_LIMIT);
        return true;
    }
    if (!take_names(image, opened->keywords, 0, opened->n_keywords)) {
        fail_round(image, MAILSRV_NOMEM);
        return true;
    }
    image->uidvalidity = opened->uidvalidity;
    image->state = IMAGE_LOADING;
    image->first_load = true;
    uint64_t modseq = opened->modseq;
    mailsrv__errand_drop(&image->errand);
    begin_comparing(image, modseq);
    return true;
}

static bool take_store(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_store_opened *opened = answer->value;
    if (opened == NULL) {
        fail_round(image, answer->status);
        return true;
    }
    mailsrv__errand_take_handle(&image->errand, opened->store, &image->store);
    mailsrv__errand_drop(&image->errand);
    struct ask a = ask(image, MAILSRV_OP_MBOX_OPEN, 0);
    if (!asked(image, a, take_opened))
        return true;
    mailsrv_arg_mbox_open *arg = a.arg;
    arg->store = image->store.value;
    arg->mailbox = image->mailbox;
    return true;
}

/* ---- Life ---- */

static void free_image(struct image *image)
{
    struct handle *handles[] = { &image->mbox, &image->store };
    mailsrv__list_remove(&image->all);
    mailsrv__list_remove(&image->work.ring);
    mailsrv__errand_drop(&image->errand);
    mailsrv__handles_drop(handles, 2);
    for (uint32_t i = 0; i < SILENT_MAX; i++)
        mailsrv__silent_free(image, i);
    for (uint32_t i = 0; i < image->n_names; i++)
        mailsrv__heap_give(heap_of(image), CLASS_IMAGES, NULL, (void *)(uintptr_t)image->names[i].p,
                           image->names[i].n);
    mailsrv__journal_drop(&image->journal);
    mailsrv__columns_clear(&image->columns);
    mailsrv__runs_clear(&image->uids);
    mailsrv__heap_give(heap_of(image), CLASS_IMAGES, NULL, image, sizeof *image);
}

/* What is asked goes first: it may be using the handles. */
static bool is_asking(const struct image *image)
{
    return image->errand.op != NULL && mailsrv__errand_answer(&image->errand) == NULL;
}

static bool begin_round(struct image *image)
{
    if (image->state != IMAGE_LIVE || image->in_round || image->wished <= image->finished)
        return false;
    image->in_round = true;
    begin_changes(image);
    return true;
}

/* One step; is there anything more to do now? */
static bool step(struct image *image)
{
    if (is_asking(image))
        return false;
    if (image->errand.op == NULL)
        return begin_round(image);
    return image->take(image, mailsrv__errand_answer(&image->errand));
}

static int run(struct work *work, uint32_t units)
{
    struct image *image = HOLDER(work, struct image, work);
    (void)units;
    while (mailsrv__room_may_go_on(image->engine)) {
        if (image->leaving && !is_asking(image)) {
            free_image(image);
            return 0;
        }
        if (!step(image))
            return 0;
    }
    return 1;
}

static void answered(struct errand *errand)
{
    goes_on(HOLDER(errand, struct image, errand));
}

uint32_t mailsrv__image_round(struct image *image)
{
    uint32_t number = image->finished + (image->in_round ? 2 : 1);
    if (image->wished < number)
        image->wished = number;
    goes_on(image);
    return number;
}

void mailsrv__image_left(struct image *image)
{
    if (!mailsrv__list_empty(&image->views))
        return;
    image->leaving = true;
    goes_on(image);
}

/* ---- The room ---- */

static bool same(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static void notify(struct room *room, const mailsrv_id *mailbox, uint64_t modseq_hint)
{
    struct images *images = (struct images *)(void *)room;
    for (struct node *n = images->all.next; n != &images->all; n = n->next) {
        struct image *image = HOLDER(n, struct image, all);
        if (same(&image->mailbox, mailbox) && (modseq_hint == 0 || modseq_hint > image->upto))
            mailsrv__image_round(image);
    }
}

static void end_room(struct room *room)
{
    struct images *images = (struct images *)(void *)room;
    while (!mailsrv__list_empty(&images->all))
        free_image(HOLDER(images->all.next, struct image, all));
    mailsrv__heap_give(mailsrv__room_heap(images->engine), CLASS_IMAGES, NULL, images, sizeof *images);
}

static struct images *room_of(mailsrv_engine *engine)
{
    struct room *room = mailsrv__room_find(engine, room_name);
    if (room != NULL)
        return (struct images *)(void *)room;
    struct images *images = mailsrv__heap_take(mailsrv__room_heap(engine), CLASS_IMAGES, NULL, sizeof *images);
    if (images == NULL)
        return NULL;
    images->room = (struct room){ .name = room_name, .notify = notify, .end = end_room };
    images->engine = engine;
    mailsrv__list_init(&images->all);
    mailsrv__room_add(engine, &images->room);
    return images;
}

static struct image *find(const struct images *images, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    for (struct node *n = images->all.next; n != &images->all; n = n->next) {
        struct image *image = HOLDER(n, struct image, all);
        if (same(&image->mailbox, mailbox) && same(&image->account, account) && image->state != IMAGE_ENDED &&
            !image->leaving)
            return image;
    }
    return NULL;
}

static void init(struct image *image, struct images *images)
{
    struct heap *heap = mailsrv__room_heap(images->engine);
    image->engine = images->engine;
    image->work.run = run;
    image->errand.answered = answered;
    image->in_round = true;
    mailsrv__list_init(&image->work.ring);
    mailsrv__list_init(&image->views);
    mailsrv__list_append(&images->all, &image->all);
    mailsrv__runs_init(&image->uids, heap, CLASS_IMAGES);
    mailsrv__columns_init(&image->columns, heap);
    mailsrv__journal_init(&image->journal, heap);
}

struct image *mailsrv__image_of(mailsrv_engine *engine, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    struct images *images = room_of(engine);
    struct image *image = images == NULL ? NULL : find(images, account, mailbox);
    if (images == NULL || image != NULL)
        return image;
    image = mailsrv__heap_take(mailsrv__room_heap(engine), CLASS_IMAGES, NULL, sizeof *image);
    if (image == NULL)
        return NULL;
    image->account = *account;
    image->mailbox = *mailbox;
    init(image, images);
    asked(image, ask(image, MAILSRV_OP_STORE_OPEN, 0), take_store);
    return image;
}
