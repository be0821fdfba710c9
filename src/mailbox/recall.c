/* What a view forgot is found out again: the UIDs that vanished since, without those that are still in the image (for
 * what the image was not told of yet) and those above what the view knows.  Between two pages there is no round. */
#include "mailbox/view.h"

enum { BATCH = 64 };

static bool vanishes(const struct image *image)
{
    return image->vanishing.first <= image->vanishing.last;
}

static bool end(struct image *image, bool all)
{
    struct view *view = image->recalling;
    image->recalling = NULL;
    mailsrv__errand_drop(&image->errand);
    mailsrv__view_recalled(view, all);
    return true;
}

/* The next runs of `*range` that are not in the image; it shrinks. */
static size_t find_missing(const struct image *image, mailsrv_run *range, mailsrv_run missing[BATCH])
{
    size_t n = 0;
    mailsrv_run run;
    while (n < BATCH && range->first <= range->last) {
        if (!mailsrv__runs_next(&image->uids, range->first, &run) || run.first > range->last) {
            missing[n++] = *range;
            *range = (mailsrv_run){ 1, 0 };
            break;
        }
        if (run.first > range->first)
            missing[n++] = (mailsrv_run){ range->first, run.first - 1 };
        if (run.last >= range->last)
            *range = (mailsrv_run){ 1, 0 };
        else
            range->first = run.last + 1;
    }
    return n;
}

/* False: no memory. */
static bool recall_some(struct image *image)
{
    mailsrv_run missing[BATCH];
    size_t n = find_missing(image, &image->vanishing, missing);
    mailsrv__room_spend(image->engine, 1 + (uint32_t)n);
    return n == 0 || mailsrv__view_recall(image->recalling, missing, n);
}

static void next_run(struct image *image, const mailsrv_changes *page)
{
    uint32_t max_uid = image->recalling->max_uid;
    image->vanishing = page->vanished[image->at++];
    if (image->vanishing.last > max_uid)
        image->vanishing.last = max_uid;
}

static bool take_page(struct image *image, const mailsrv_answer *answer);

static bool ask_page(struct image *image)
{
    struct ask a = mailsrv__image_ask(image, MAILSRV_OP_CHANGES, 0, take_page);
    image->vanishing = (mailsrv_run){ 1, 0 };
    if (a.op == NULL)
        return end(image, false);
    mailsrv_arg_changes *arg = a.arg;
    arg->mbox = image->mbox.value;
    arg->since = image->recalling->gone_since;
    arg->limit = PAGE_ROWS;
    arg->n_keywords = image->n_names;
    arg->cursor = image->recall_cursor;
    return true;
}

static bool end_of_page(struct image *image, const mailsrv_changes *page)
{
    bool more = page->more != 0;
    if (more && memcmp(&page->next, &image->recall_cursor, sizeof page->next) == 0)
        return end(image, false); /* it would go on for ever */
    if (!more)
        return end(image, true);
    image->recall_cursor = page->next;
    mailsrv__errand_drop(&image->errand);
    return ask_page(image);
}

static bool take_page(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_changes *page = answer->value;
    const mailsrv_arg_changes *arg = mailsrv__errand_arg(&image->errand);
    if (image->recalling == NULL) {
        mailsrv__errand_drop(&image->errand); /* the view has left */
        return true;
    }
    mailsrv__room_spend(image->engine, 1);
    if (page == NULL || page->horizon > arg->since)
        return end(image, false);
    if (vanishes(image))
        return recall_some(image) || end(image, false);
    if (image->at == page->n_vanished)
        return end_of_page(image, page);
    next_run(image, page);
    return true;
}

bool mailsrv__recall_begin(struct image *image)
{
    for (struct node *n = image->views.next; n != &image->views; n = n->next) {
        struct view *view = HOLDER(n, struct view, link);
        if (!view->forgot || view->resting || view->lost)
            continue;
        image->recalling = view;
        image->recall_cursor = (mailsrv_cursor){ { 0 } };
        return ask_page(image);
    }
    return false;
}
