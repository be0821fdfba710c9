#include "mailbox/image.h"

#include "mailbox/view.h"

void mailsrv__image_wake_views(struct image *image)
{
    for (struct node *n = image->views.next; n != &image->views; n = n->next) {
        struct view *view = HOLDER(n, struct view, link);
        view->wake(view);
    }
}

void mailsrv__image_goes_on(struct image *image)
{
    mailsrv__room_work(image->engine, &image->work);
}

void mailsrv__image_end(struct image *image, int32_t status)
{
    image->state = IMAGE_ENDED;
    image->status = status;
    image->in_round = false;
    mailsrv__errand_drop(&image->errand);
    mailsrv__image_wake_views(image);
    mailsrv__image_goes_on(image);
}

struct ask mailsrv__image_ask(struct image *image, int32_t kind, size_t octets, take_fn *take)
{
    image->take = take;
    image->at = 0;
    return mailsrv__errand_ask(image->engine, &image->errand, kind, &image->account, octets);
}

/* ---- Opening ---- */

/* Everything that belongs to one UIDVALIDITY. */
static void forget(struct image *image)
{
    for (uint32_t i = 0; i < SILENT_MAX; i++)
        mailsrv__silent_free(image, i);
    for (uint32_t i = 0; i < image->n_names; i++)
        mailsrv__heap_give(mailsrv__image_heap(image), CLASS_IMAGES, NULL, (void *)(uintptr_t)image->names[i].p,
                           image->names[i].n);
    mailsrv__heap_give(mailsrv__image_heap(image), CLASS_IMAGES, NULL, image->names, NAMES_OCTETS);
    image->names = NULL;
    image->n_names = 0;
    image->group_wanted = image->group_there = false;
    mailsrv__image_drop_texts(image);
    mailsrv__journal_drop(&image->journal);
    mailsrv__columns_clear(&image->columns);
    mailsrv__runs_clear(&image->uids);
}

/* What a row takes, beside keywords; and rows more than there are, so that one that just fits can still ask what came
 * meanwhile. */
enum { ROW_OCTETS = 9, SPARE_ROWS = 16 };

/* Could it ever fit?  What cannot is not worth what others would have to give for it. */
static bool could_fit(const struct image *image, uint64_t rows)
{
    const struct heap *heap = mailsrv__image_heap(image);
    uint64_t most = heap->max_by[CLASS_IMAGES] < heap->max ? heap->max_by[CLASS_IMAGES] : heap->max;
    return rows <= most / ROW_OCTETS && rows <= UINT32_MAX;
}

/* Everything that is known of it must come first: all rows, or the changes since. */
static void opened(struct image *image, const mailsrv_mbox_opened *mbox)
{
    bool known = image->uidvalidity == mbox->uidvalidity;
    if (!known)
        forget(image);
    image->state = IMAGE_LOADING;
    image->uidvalidity = mbox->uidvalidity;
    image->uidnext = mbox->uidnext;
    image->features = mbox->features;
    image->rights = mbox->rights;
    image->first_load = !known;
    image->expected = mbox->exists + SPARE_ROWS;
    if (!known)
        image->next_upto = mbox->modseq;
}

static bool take_opened(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_mbox_opened *mbox = answer->value;
    if (mbox == NULL) {
        mailsrv__round_fail(image, answer->status);
        return true;
    }
    mailsrv__errand_take_handle(&image->errand, mbox->mbox, &image->mbox);
    opened(image, mbox);
    bool names = mailsrv__image_take_names(image, mbox->keywords, 0, mbox->n_keywords);
    mailsrv__errand_drop(&image->errand);
    if (!names || (image->first_load && !could_fit(image, image->expected)))
        mailsrv__image_end(image, MAILSRV_LIMIT);
    else if (!image->first_load)
        mailsrv__round_begin(image);
    return true;
}

static bool take_store(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_store_opened *store = answer->value;
    if (store == NULL) {
        mailsrv__round_fail(image, answer->status);
        return true;
    }
    mailsrv__errand_take_handle(&image->errand, store->store, &image->store);
    mailsrv__errand_drop(&image->errand);
    struct ask a = mailsrv__image_ask(image, MAILSRV_OP_MBOX_OPEN, 0, take_opened);
    if (a.op == NULL) {
        mailsrv__image_end(image, MAILSRV_NOMEM);
        return true;
    }
    mailsrv_arg_mbox_open *arg = a.arg;
    arg->store = image->store.value;
    arg->mailbox = image->mailbox;
    return true;
}

void mailsrv__image_open(struct image *image)
{
    image->state = IMAGE_OPENING;
    image->in_round = true;
    if (mailsrv__image_ask(image, MAILSRV_OP_STORE_OPEN, 0, take_store).op == NULL)
        mailsrv__image_end(image, MAILSRV_NOMEM);
}

/* Makes room for the rows that are to come, a piece at a time, before the first of them is asked for: who finds none
 * learns it at once, and nobody else suffers.  Images that are kept go for it. */
static void prepare(struct image *image)
{
    mailsrv__room_spend(image->engine, 8);
    if (mailsrv__columns_free(&image->columns) >= image->expected)
        mailsrv__round_load(image, image->next_upto);
    else if (!mailsrv__columns_reserve(&image->columns, (uint32_t)image->expected))
        mailsrv__image_end(image, MAILSRV_LIMIT);
}

/* ---- Life ---- */

static void close_handles(struct image *image)
{
    struct handle *handles[] = { &image->mbox, &image->store };
    mailsrv__handles_drop(handles, 2);
}

void mailsrv__image_free(struct image *image)
{
    mailsrv__list_remove(&image->all);
    mailsrv__list_remove(&image->bucket);
    mailsrv__list_remove(&image->work.ring);
    mailsrv__errand_drop(&image->errand);
    close_handles(image);
    forget(image);
    mailsrv__heap_give(mailsrv__image_heap(image), CLASS_IMAGES, NULL, image, sizeof *image);
}

static void keep(struct image *image)
{
    image->state = IMAGE_IDLE;
    image->wished = image->finished;
    close_handles(image);
    mailsrv__image_kept(image);
}

/* Nothing is asked: what is to be done next?  False: nothing. */
static bool begin_next(struct image *image)
{
    if (image->state == IMAGE_LOADING) {
        prepare(image);
        return true;
    }
    if (image->state != IMAGE_LIVE)
        return false;
    bool watched = mailsrv__image_is_watched(image);
    if (!watched)
        keep(image);
    else if (image->wished > image->finished)
        mailsrv__round_begin(image);
    else if (mailsrv__recall_begin(image))
        return true;
    else if (image->group_wanted && !image->group_there)
        mailsrv__group_ask(image);
    else
        return false;
    return watched;
}

/* What is asked goes first: it may be using the handles. */
static bool is_asking(const struct image *image)
{
    return image->errand.op != NULL && mailsrv__errand_answer(&image->errand) == NULL;
}

/* One step; is there anything more to do now? */
static bool step(struct image *image)
{
    if (is_asking(image))
        return false;
    if (image->errand.op == NULL)
        return begin_next(image);
    return image->take(image, mailsrv__errand_answer(&image->errand));
}

static int run(struct work *work, uint32_t units)
{
    struct image *image = HOLDER(work, struct image, work);
    (void)units;
    if (image->poked) {
        image->poked = false;
        return 1;
    }
    while (mailsrv__room_may_go_on(image->engine)) {
        if (image->state == IMAGE_ENDED && !mailsrv__image_is_watched(image)) {
            mailsrv__image_free(image);
            return 0;
        }
        if (!step(image))
            return 0;
    }
    return 1;
}

static void answered(struct errand *errand)
{
    mailsrv__image_goes_on(HOLDER(errand, struct image, errand));
}

void mailsrv__image_init(struct image *image, struct images *room, mailsrv_engine *engine)
{
    struct heap *heap = mailsrv__room_heap(engine);
    image->room = room;
    image->engine = engine;
    image->work.run = run;
    image->errand.answered = answered;
    mailsrv__list_init(&image->work.ring);
    mailsrv__list_init(&image->views);
    mailsrv__list_init(&image->with_texts);
    mailsrv__runs_init(&image->uids, heap, CLASS_IMAGES);
    mailsrv__columns_init(&image->columns, heap);
    mailsrv__journal_init(&image->journal, heap);
}

uint32_t mailsrv__image_round(struct image *image)
{
    uint32_t number = image->finished + (image->in_round ? 2 : 1);
    if (image->wished < number)
        image->wished = number;
    mailsrv__image_goes_on(image);
    return number;
}

void mailsrv__image_poke(struct image *image)
{
    image->poked = true;
    mailsrv__image_round(image);
}

void mailsrv__image_left(struct image *image)
{
    if (!mailsrv__image_is_watched(image))
        mailsrv__image_goes_on(image);
}
