/* Sizes and dates: columns that are loaded, page by page, when a view asks for them first; kept with each row from then
 * on; and dropped when memory ends. */
#include "mailbox/image.h"

enum { FIELDS = MAILSRV_ROW_FLAGS | MAILSRV_ROW_MODSEQ | MAILSRV_ROW_KEYWORDS };
enum { GROUP_FIELDS = MAILSRV_ROW_OCTETS | MAILSRV_ROW_INTERNALDATE };

uint32_t mailsrv__image_fields(const struct image *image)
{
    return image->group_wanted ? FIELDS | GROUP_FIELDS : FIELDS;
}

void mailsrv__group_want(struct image *image)
{
    if (image->group_wanted)
        return;
    image->group_wanted = true;
    image->group_status = MAILSRV_OK;
    image->group_cursor = (mailsrv_cursor){ { 0 } };
    mailsrv__image_goes_on(image);
}

static take_fn take_page;

/* Of a page that is being taken what was taken already goes with the rest. */
void mailsrv__group_drop(struct image *image, int32_t status)
{
    if (image->errand.op != NULL && image->take == take_page)
        image->at = 0;
    image->group_wanted = image->group_there = false;
    image->group_status = status;
    mailsrv__columns_drop_sizes(&image->columns);
    mailsrv__image_wake_views(image);
}

/* It is there to be fast: where it finds no room, the image does without it.  A row that came in a page which was asked
 * for before it was wanted has no size yet, and gets it when the group is loaded. */
void mailsrv__group_set(struct image *image, uint32_t index, const mailsrv_row *row)
{
    struct sizes sizes = { row->octets, row->internal_us };
    if (image->group_wanted && !mailsrv__columns_set_sizes(&image->columns, index, &sizes))
        mailsrv__group_drop(image, MAILSRV_NOMEM);
}

static bool end_of_page(struct image *image, const mailsrv_rows *page)
{
    bool stands_still = page->more != 0 && memcmp(&page->next, &image->group_cursor, sizeof page->next) == 0;
    image->group_cursor = page->next;
    image->group_there = page->more == 0;
    mailsrv__errand_drop(&image->errand);
    if (stands_still)
        mailsrv__group_drop(image, MAILSRV_CORRUPT);
    else if (image->group_there)
        mailsrv__image_wake_views(image);
    return true;
}

static bool take_page(struct image *image, const mailsrv_answer *answer)
{
    const mailsrv_rows *page = answer->value;
    const mailsrv_arg_rows *arg = mailsrv__errand_arg(&image->errand);
    if (memcmp(&arg->cursor, &image->group_cursor, sizeof arg->cursor) != 0) {
        mailsrv__errand_drop(&image->errand); /* the group was dropped, and is wanted again */
        return true;
    }
    if (page == NULL || !image->group_wanted) {
        int32_t status = answer->status;
        mailsrv__errand_drop(&image->errand);
        if (image->group_wanted)
            mailsrv__group_drop(image, status);
        return true;
    }
    if (image->at == page->n)
        return end_of_page(image, page);
    const mailsrv_row *row = (const void *)((const char *)page->rows + (size_t)image->at++ * page->stride);
    mailsrv__room_spend(image->engine, 1);
    uint32_t number = mailsrv__runs_find(&image->uids, row->uid);
    if (number != 0)
        mailsrv__group_set(image, number - 1, row);
    return true;
}

void mailsrv__group_ask(struct image *image)
{
    struct ask a = mailsrv__image_ask(image, MAILSRV_OP_ROWS, sizeof(mailsrv_run), take_page);
    if (a.op == NULL) {
        mailsrv__group_drop(image, MAILSRV_NOMEM);
        return;
    }
    mailsrv_run *run = mailsrv__ask_room(&a, sizeof *run);
    mailsrv_arg_rows *arg = a.arg;
    *run = (mailsrv_run){ 1, UINT32_MAX };
    arg->fields = GROUP_FIELDS;
    arg->mbox = image->mbox.value;
    arg->uids = run;
    arg->n_uids = 1;
    arg->limit = PAGE_ROWS;
    arg->cursor = image->group_cursor;
}
