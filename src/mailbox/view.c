#include "mailbox/view.h"

#include "base/span.h"

enum { NO_SLOT = SILENT_MAX };

/* ---- Life ---- */

int32_t mailsrv__view_open(struct view *view, mailsrv_engine *engine, const mailsrv_id *account,
                           const mailsrv_id *mailbox, void (*wake)(struct view *view))
{
    struct image *image = mailsrv__image_of(engine, account, mailbox);
    *view = (struct view){ .wake = wake };
    if (image == NULL)
        return MAILSRV_NOMEM;
    view->image = image;
    view->opening = true;
    /* While it opens, everything that it will know is asked for after now. */
    view->wanted = image->state == IMAGE_OPENING ? image->finished + 1 : mailsrv__image_round(image);
    view->number = ++image->last_view;
    mailsrv__runs_init(&view->gone, mailsrv__room_heap(engine), CLASS_IMAGES);
    mailsrv__list_append(&image->views, &view->link);
    return MAILSRV_OK;
}

void mailsrv__view_close(struct view *view)
{
    struct image *image = view->image;
    mailsrv__silents_tidy(image, view->number);
    mailsrv__runs_clear(&view->gone);
    mailsrv__list_remove(&view->link);
    if (image->recalling == view)
        image->recalling = NULL;
    view->image = NULL;
    mailsrv__image_left(image);
}

int32_t mailsrv__view_status(const struct view *view)
{
    const struct image *image = view->image;
    if (view->lost)
        return MAILSRV_NOMEM;
    if (image->state == IMAGE_ENDED)
        return image->status;
    bool behind = view->opening && !mailsrv__view_synced(view);
    return image->state == IMAGE_LIVE && !behind ? MAILSRV_OK : MAILSRV_MORE;
}

void mailsrv__view_select(struct view *view)
{
    const struct image *image = view->image;
    view->max_uid = mailsrv__runs_last(&image->uids);
    view->told = view->own = image->upto;
    view->cursor = image->journal.next;
    view->n_names = image->n_names;
    view->phase = PHASE_NOTHING;
    view->opening = view->resting = view->forgot = false;
    view->gone_told = view->n_gone_told = view->n_forgotten = 0;
    mailsrv__runs_clear(&view->gone);
}

void mailsrv__view_sync(struct view *view)
{
    view->wanted = mailsrv__image_round(view->image);
}

bool mailsrv__view_synced(const struct view *view)
{
    return view->image->state == IMAGE_ENDED || (int32_t)(view->image->finished - view->wanted) >= 0;
}

int32_t mailsrv__view_round(const struct view *view)
{
    return view->image->round_status;
}

/* ---- The mailbox ---- */

/* 0: there is none. */
static uint32_t first_above(const struct runs *runs, uint32_t uid)
{
    mailsrv_run run;
    return uid != UINT32_MAX && mailsrv__runs_next(runs, uid + 1, &run) ? run.first : 0;
}

uint32_t mailsrv__view_uidvalidity(const struct view *view)
{
    return view->image->uidvalidity;
}

uint32_t mailsrv__view_uidnext(const struct view *view)
{
    uint32_t last = mailsrv__runs_last(&view->image->uids), untold = first_above(&view->image->uids, view->max_uid);
    if (untold != 0)
        return untold;
    if (last < view->max_uid)
        last = view->max_uid;
    return last < view->image->uidnext ? view->image->uidnext : last == UINT32_MAX ? last : last + 1;
}

uint32_t mailsrv__view_features(const struct view *view)
{
    return view->image->features;
}

uint32_t mailsrv__view_rights(const struct view *view)
{
    return view->image->rights;
}

uint32_t mailsrv__view_names(const struct view *view)
{
    return view->image->n_names;
}

mailsrv_bytes mailsrv__view_name(const struct view *view, uint32_t i)
{
    return view->image->names[i];
}

/* ---- Messages ---- */

uint32_t mailsrv__view_after(const struct view *view, uint32_t uid)
{
    uint32_t there = first_above(&view->image->uids, uid);
    uint32_t gone = first_above(&view->gone, uid < view->gone_told ? view->gone_told : uid);
    uint32_t next = gone == 0 || (there != 0 && there < gone) ? there : gone;
    return next <= view->max_uid ? next : 0;
}

bool mailsrv__view_marks(const struct view *view, uint32_t uid, struct marks *out)
{
    uint32_t number = uid > view->max_uid ? 0 : mailsrv__runs_find(&view->image->uids, uid);
    if (number != 0)
        *out = mailsrv__columns_get(&view->image->columns, number - 1);
    return number != 0;
}

void mailsrv__view_want(struct view *view, enum group group)
{
    (void)group;
    mailsrv__group_want(view->image);
}

int32_t mailsrv__view_has(const struct view *view, enum group group)
{
    const struct image *image = view->image;
    (void)group;
    if (image->group_there)
        return MAILSRV_OK;
    return image->group_wanted || image->group_status == MAILSRV_OK ? MAILSRV_MORE : image->group_status;
}

bool mailsrv__view_sizes(const struct view *view, uint32_t uid, struct sizes *out)
{
    const struct image *image = view->image;
    uint32_t number = image->group_wanted && uid <= view->max_uid ? mailsrv__runs_find(&image->uids, uid) : 0;
    return number != 0 && mailsrv__columns_sizes(&image->columns, number - 1, out);
}

/* ---- Text of fields ---- */

enum text_state mailsrv__view_text(const struct view *view, uint32_t field, uint32_t uid, struct text_place *place,
                                   struct span *out)
{
    const struct texts *texts = view->image->texts;
    return texts == NULL ? TEXT_UNKNOWN : mailsrv__texts_find(texts, field, uid, place, out);
}

void mailsrv__view_keep_text(struct view *view, uint32_t field, uint32_t uid, enum text_state state, struct span text)
{
    mailsrv__image_keep_text(view->image, field, uid, state, text);
}

/* ---- Numbers: a rank among the UIDs of the image, and one among those that are gone, added ---- */

static uint32_t rank(const struct view *view, uint32_t uid)
{
    if (HOLDS(RULE_MAX_UID) && uid > view->max_uid)
        uid = view->max_uid;
    uint32_t gone = uid <= view->gone_told ? 0 : mailsrv__runs_rank(&view->gone, uid) - view->n_gone_told;
    return mailsrv__runs_rank(&view->image->uids, uid) + gone;
}

uint32_t mailsrv__view_exists(const struct view *view)
{
    return rank(view, UINT32_MAX) + view->n_forgotten;
}

uint32_t mailsrv__view_uid(const struct view *view, uint32_t number)
{
    if (view->gone.count == 0)
        return mailsrv__runs_select(&view->image->uids, number);
    uint32_t low = 1, high = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (rank(view, middle) < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool mailsrv__view_is_gone(const struct view *view, uint32_t uid)
{
    return uid > view->gone_told && mailsrv__runs_has(&view->gone, uid);
}

uint32_t mailsrv__view_number(const struct view *view, uint32_t uid)
{
    bool is_member =
        uid <= view->max_uid && (mailsrv__runs_has(&view->image->uids, uid) || mailsrv__view_is_gone(view, uid));
    return is_member ? rank(view, uid) : 0;
}

uint64_t mailsrv__view_highest(const struct view *view)
{
    bool any = view->forgot || view->gone.count > view->n_gone_told;
    bool held = HOLDS(RULE_HELD_BACK) && any && view->gone_since < view->told;
    return held ? view->gone_since : view->told;
}

/* ---- One's own changes ---- */

uint32_t mailsrv__view_writes(struct view *view)
{
    view->writing++;
    return NO_SLOT;
}

static uint32_t free_slot(const struct image *image)
{
    uint32_t slot = 0;
    while (slot < SILENT_MAX && image->silents[slot] != NULL)
        slot++;
    return slot;
}

/* What finds no room is an ordinary change: told more than need be, never less. */
uint32_t mailsrv__view_silent(struct view *view, const struct silent_ask *ask)
{
    struct image *image = view->image;
    struct heap *heap = mailsrv__room_heap(image->engine);
    uint32_t slot = free_slot(image);
    struct silent *s = slot == NO_SLOT ? NULL : mailsrv__heap_take(heap, CLASS_IMAGES, NULL, sizeof *s);
    view->writing++;
    if (s == NULL)
        return NO_SLOT;
    s->view = view->number;
    s->how = ask->how;
    s->given = (struct marks){ 0, { ask->keywords[0], ask->keywords[1] }, (uint8_t)ask->flags };
    mailsrv__runs_init(&s->uids, heap, CLASS_IMAGES);
    if (!mailsrv__runs_add(&s->uids, ask->uids, ask->n_uids)) {
        mailsrv__heap_give(heap, CLASS_IMAGES, NULL, s, sizeof *s);
        return NO_SLOT;
    }
    image->silents[slot] = s;
    image->n_silents++;
    return slot;
}

void mailsrv__view_wrote(struct view *view, uint32_t write, uint64_t modseq)
{
    struct image *image = view->image;
    view->writing--;
    if (view->own < modseq)
        view->own = modseq;
    if (write == NO_SLOT || image->silents[write] == NULL)
        return;
    image->silents[write]->modseq = modseq;
    if (modseq == 0) {
        mailsrv__silent_free(image, write);
        return;
    }
    mailsrv__journal_settle(&image->journal, UINT32_C(1) << write, modseq, view->number);
    mailsrv__silents_tidy(image, 0);
}

bool mailsrv__view_has_all(const struct view *view, const mailsrv_flagged *flagged)
{
    const uint64_t upto = view->image->upto;
    return flagged->modseq != 0 ? flagged->modseq <= upto : flagged->since != 0 && flagged->since <= upto;
}

bool mailsrv__view_keyword(const struct view *view, mailsrv_bytes name, uint64_t bits[2])
{
    const struct image *image = view->image;
    for (uint32_t i = 0; i < image->n_names; i++) {
        if (!mailsrv__span_equal_nocase(mailsrv__span(image->names[i]), mailsrv__span(name)))
            continue;
        bits[i / 64] |= UINT64_C(1) << (i % 64);
        return true;
    }
    return false;
}
