/* Rounds: what CHANGES answers, with all its pages; or comparing with ROWS, where the store does not remember far
 * enough, and to load. */
#include "mailbox/image.h"

static void finish(struct image *image, int32_t status)
{
    image->round_status = status;
    image->in_round = false;
    image->finished++;
    image->state = IMAGE_LIVE;
    mailsrv__silents_tidy(image, 0);
    mailsrv__image_wake_views(image);
}

/* A round that cannot be finished leaves what it has applied, and `upto` where it was: the next one asks again.  A
 * mailbox that cannot be loaded is no image. */
void mailsrv__round_fail(struct image *image, int32_t status)
{
    mailsrv__errand_drop(&image->errand);
    if (image->state != IMAGE_LIVE || status <= MAILSRV_DENIED)
        mailsrv__image_end(image, status);
    else
        finish(image, status);
}

bool mailsrv__image_take_names(struct image *image, const mailsrv_bytes *names, uint32_t first, uint32_t n)
{
    struct heap *heap = mailsrv__image_heap(image);
    if (image->names == NULL && n != 0)
        image->names = mailsrv__heap_take(heap, CLASS_IMAGES, NULL, NAMES_OCTETS);
    if (image->names == NULL)
        return n == 0;
    while (image->n_names < first + n) {
        mailsrv_bytes name = names[image->n_names - first];
        uint8_t *p = mailsrv__heap_take(heap, CLASS_IMAGES, NULL, name.n);
        if (p == NULL)
            return false;
        memcpy(p, name.p, name.n);
        image->names[image->n_names++] = (mailsrv_bytes){ p, name.n };
    }
    return true;
}

/* ---- Pages ---- */

/* A page brings no more rows than there is room for.  While it loads, that was made before; then it is made page by
 * page, small ones in a small mailbox.  0: it cannot grow, and has ended. */
static uint32_t page_limit(struct image *image, uint32_t most)
{
    struct columns *columns = &image->columns;
    uint32_t n = columns->n < 16 ? 16 : columns->n < most ? columns->n : most;
    while (mailsrv__columns_free(columns) < (image->first_load ? 1 : n)) {
        if (mailsrv__columns_reserve(columns, n))
            continue;
        if (mailsrv__columns_free(columns) != 0)
            break;
        mailsrv__image_starve(image);
        if (image->state == IMAGE_ENDED)
            return 0;
    }
    uint32_t free_rows = mailsrv__columns_free(columns);
    return free_rows < most ? free_rows : most;
}

/* The page is applied.  There is more: asks for it, unless the cursor stands still, which would go on for ever. */
static void go_on(struct image *image, mailsrv_cursor cursor, void (*ask_next)(struct image *))
{
    mailsrv__errand_drop(&image->errand);
    if (memcmp(&cursor, &image->cursor, sizeof cursor) == 0) {
        mailsrv__room_event(image->engine, MAILSRV_EVENT_STORE_FAILED, SPAN("a cursor stands still"));
        mailsrv__round_fail(image, MAILSRV_CORRUPT);
        return;
    }
    image->cursor = cursor;
    ask_next(image);
}

static bool vanishes(const struct image *image)
{
    return image->vanishing.first <= image->vanishing.last;
}

static struct ask ask_page(struct image *image, int32_t kind, size_t octets, take_fn *take)
{
    struct ask a = mailsrv__image_ask(image, kind, octets, take);
    image->vanishing = (mailsrv_run){ 1, 0 };
    if (a.op == NULL)
        mailsrv__round_fail(image, MAILSRV_NOMEM);
    return a;
}

/* ---- Comparing: what ROWS has and what it leaves out ---- */

static take_fn take_rows, take_changes;

static void ask_rows(struct image *image)
{
    uint32_t limit = page_limit(image, LOAD_ROWS);
    struct ask a = { NULL, NULL };
    if (limit != 0)
        a = ask_page(image, MAILSRV_OP_ROWS, sizeof(mailsrv_run), take_rows);
    if (a.op == NULL)
        return;
    mailsrv_run *run = mailsrv__ask_room(&a, sizeof *run);
    mailsrv_arg_rows *arg = a.arg;
    *run = (mailsrv_run){ 1, UINT32_MAX };
    arg->fields = mailsrv__image_fields(image);
    arg->mbox = image->mbox.value;
    arg->uids = run;
    arg->n_uids = 1;
    arg->limit = limit;
    arg->cursor = image->cursor;
}

static void begin_comparing(struct image *image, uint64_t upto)
{
    image->next_upto = upto;
    image->compared = 0;
    image->cursor = (mailsrv_cursor){ { 0 } };
    ask_rows(image);
}

void mailsrv__round_load(struct image *image, uint64_t modseq)
{
    begin_comparing(image, modseq);
}

static void end_comparing(struct image *image)
{
    image->upto = image->next_upto;
    if (!image->first_load) {
        finish(image, MAILSRV_OK);
        return;
    }
    image->first_load = false; /* rows may have vanished behind the page that had them */
    mailsrv__round_begin(image);
}

/* UIDs between two rows of an answer are gone. */
static bool compare_row(struct image *image, const mailsrv_row *row)
{
    if (row->uid > image->compared && row->uid - image->compared > 1) { /* behind the last UID there is none */
        image->vanishing = (mailsrv_run){ image->compared + 1, row->uid - 1 };
        image->compared = row->uid - 1;
        return true;
    }
    if (!mailsrv__image_apply(image, row))
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
        mailsrv__round_fail(image, answer->status);
        return true;
    }
    mailsrv__room_spend(image->engine, 1);
    bool good = true;
    if (vanishes(image)) {
        good = mailsrv__image_vanish_some(image, NULL, 0, &(uint32_t){ 0 });
    } else if (image->at < page->n) {
        good = compare_row(image, (const void *)((const char *)page->rows + (size_t)image->at * page->stride));
    } else if (page->more == 0 && image->compared != UINT32_MAX) {
        image->vanishing = (mailsrv_run){ image->compared + 1, UINT32_MAX };
        image->compared = UINT32_MAX;
    } else {
        end_of_rows(image, page);
    }
    if (!good)
        mailsrv__image_starve(image);
    return true;
}

/* ---- Changes ---- */

static void ask_changes(struct image *image)
{
    uint32_t limit = page_limit(image, PAGE_ROWS);
    struct ask a = { NULL, NULL };
    if (limit != 0)
        a = ask_page(image, MAILSRV_OP_CHANGES, 0, take_changes);
    if (a.op == NULL)
        return;
    mailsrv_arg_changes *arg = a.arg;
    arg->fields = mailsrv__image_fields(image);
    arg->mbox = image->mbox.value;
    arg->since = image->since;
    arg->limit = limit;
    arg->n_keywords = image->n_names;
    arg->cursor = image->cursor;
}

void mailsrv__round_begin(struct image *image)
{
    image->in_round = true;
    image->since = image->upto;
    image->cursor = (mailsrv_cursor){ { 0 } };
    ask_changes(image);
}

static void end_of_page(struct image *image, const mailsrv_changes *page)
{
    if (page->more != 0) {
        go_on(image, page->next, ask_changes);
        return;
    }
    image->upto = page->upto;
    mailsrv__errand_drop(&image->errand);
    finish(image, MAILSRV_OK);
}

/* One step: what vanished first, then the rows. */
static bool apply(struct image *image, const mailsrv_changes *page)
{
    if (vanishes(image) || image->at < page->n_vanished) {
        uint32_t begun = image->at < page->n_vanished ? image->at : page->n_vanished, taken;
        if (!mailsrv__image_vanish_some(image, page->vanished + begun, page->n_vanished - begun, &taken))
            return false;
        image->at += taken;
        return true;
    }
    uint32_t row = image->at - page->n_vanished;
    if (row == page->n) {
        end_of_page(image, page);
        return true;
    }
    if (!mailsrv__image_apply(image, (const void *)((const char *)page->rows + (size_t)row * page->stride)))
        return false;
    image->at++;
    return true;
}

static bool take_changes(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_changes *page = answer->value;
    if (page == NULL) {
        mailsrv__round_fail(image, answer->status);
        return true;
    }
    const mailsrv_arg_changes *arg = mailsrv__errand_arg(&image->errand);
    mailsrv__room_spend(image->engine, 1);
    if (!mailsrv__image_take_names(image, page->keywords, arg->n_keywords, page->n_keywords)) {
        mailsrv__image_starve(image);
    } else if (page->horizon > image->since) {
        uint64_t upto = page->upto;
        mailsrv__errand_drop(&image->errand);
        begin_comparing(image, upto);
    } else if (!apply(image, page)) {
        mailsrv__image_starve(image);
    }
    return true;
}
