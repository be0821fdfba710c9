/* Silent changes: who asked for them is told only what came out otherwise. */
#include "mailbox/image.h"

static uint64_t combine(int32_t how, uint64_t old, uint64_t given)
{
    if (how == MAILSRV_FLAGS_ADD)
        return old | given;
    return how == MAILSRV_FLAGS_REMOVE ? old & ~given : given;
}

/* Is `now` what `old` becomes by this change alone?  Else something foreign is in it, which must be told. */
static bool fits(const struct silent *s, uint32_t uid, const struct marks *old, const struct marks *now)
{
    if (!mailsrv__runs_has(&s->uids, uid))
        return false;
    if (!HOLDS(RULE_FITS))
        return true;
    for (int w = 0; w < 2; w++)
        if (combine(s->how, old->keywords[w], s->given.keywords[w]) != now->keywords[w])
            return false;
    return combine(s->how, old->flags, s->given.flags) == now->flags;
}

uint32_t mailsrv__image_fits(const struct image *image, uint32_t uid, const struct marks *old, const struct marks *now,
                             uint32_t *origin)
{
    uint32_t bits = 0;
    *origin = 0;
    for (uint32_t i = 0; image->n_silents != 0 && i < SILENT_MAX; i++) {
        const struct silent *s = image->silents[i];
        if (s == NULL || !fits(s, uid, old, now))
            continue;
        if (s->modseq == 0)
            bits |= UINT32_C(1) << i;
        else if (s->modseq == now->modseq)
            *origin = s->view;
    }
    return bits;
}

void mailsrv__silent_free(struct image *image, uint32_t slot)
{
    struct silent *s = image->silents[slot];
    if (s == NULL)
        return;
    mailsrv__journal_settle(&image->journal, UINT32_C(1) << slot, s->modseq, s->view);
    mailsrv__runs_clear(&s->uids);
    mailsrv__heap_give(mailsrv__room_heap(image->engine), CLASS_IMAGES, NULL, s, sizeof *s);
    image->silents[slot] = NULL;
    image->n_silents--;
}

void mailsrv__silents_tidy(struct image *image, uint32_t view)
{
    for (uint32_t i = 0; i < SILENT_MAX; i++) {
        const struct silent *s = image->silents[i];
        if (s != NULL && (s->view == view || (s->modseq != 0 && s->modseq <= image->upto)))
            mailsrv__silent_free(image, i);
    }
}
