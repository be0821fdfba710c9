/* The images of an engine: found by account and mailbox, kept when nobody looks at them, given back when memory is
 * needed. */
#include "mailbox/image.h"

enum { BUCKETS = 256 };

struct images {
    struct room room; /* first */
    mailsrv_engine *engine;
    struct node live;             /* not IDLE */
    struct node kept;             /* IDLE, in the order in which they were left */
    struct node texts;            /* those of them that have any, in the order in which they were used */
    struct node buckets[BUCKETS]; /* all of them, by mailbox */
};

static const char room_name[] = "mailbox";

static bool same(const mailsrv_id *a, const mailsrv_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Which of an account's mailboxes is its INBOX is not known here: any may be. */
static bool concerns(const struct image *image, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    static const mailsrv_id inbox = { { 0 } };
    return (same(&image->mailbox, mailbox) || same(&inbox, mailbox)) &&
           (account == NULL || same(&image->account, account));
}

/* One that is kept is not touched: its next view asks for all that has happened. */
static void notify(struct room *room, const mailsrv_id *account, const mailsrv_id *mailbox, uint64_t modseq_hint)
{
    struct images *images = (struct images *)(void *)room;
    for (struct node *n = images->live.next; n != &images->live; n = n->next) {
        struct image *image = HOLDER(n, struct image, all);
        if (concerns(image, account, mailbox) && (modseq_hint == 0 || modseq_hint > image->upto))
            mailsrv__image_poke(image);
    }
}

static struct image *find(struct images *images, const mailsrv_id *account, const mailsrv_id *mailbox);

static void flagged(struct room *room, const mailsrv_id *account, const mailsrv_id *mailbox,
                    const mailsrv_flagged *flagged)
{
    struct image *image = find((struct images *)(void *)room, account, mailbox);
    if (image != NULL)
        mailsrv__image_flagged(image, flagged);
}

/* ---- Texts ---- */

void mailsrv__image_drop_texts(struct image *image)
{
    struct texts *texts = image->texts;
    if (texts == NULL)
        return;
    mailsrv__texts_clear(texts);
    image->texts = NULL;
    image->texts_made = texts->made;
    mailsrv__list_remove(&image->with_texts);
    mailsrv__heap_give(mailsrv__image_heap(image), CLASS_TEXTS, NULL, texts, sizeof *texts);
}

/* Those that were used longest ago go, unless they are the image's own.  False: there are none. */
static bool drop_texts(struct images *images, const struct image *but)
{
    struct image *oldest =
        mailsrv__list_empty(&images->texts) ? NULL : HOLDER(images->texts.next, struct image, with_texts);
    if (oldest == NULL || oldest == but)
        return false;
    mailsrv__image_drop_texts(oldest);
    return true;
}

static bool make_texts(struct image *image)
{
    struct heap *heap = mailsrv__image_heap(image);
    if (image->texts == NULL) {
        image->texts = mailsrv__heap_take_spare(heap, CLASS_TEXTS, sizeof *image->texts);
        if (image->texts != NULL)
            mailsrv__texts_init(image->texts, heap, image->texts_made);
    }
    return image->texts != NULL;
}

void mailsrv__image_keep_text(struct image *image, uint32_t field, uint32_t uid, enum text_state state,
                              struct span text)
{
    bool kept;
    do
        kept = make_texts(image) && mailsrv__texts_keep(image->texts, field, uid, state, text, image->uids.count);
    while (!kept && drop_texts(image->room, image));
    if (image->texts == NULL)
        return;
    mailsrv__list_remove(&image->with_texts);
    mailsrv__list_append(&image->room->texts, &image->with_texts);
}

/* ---- Giving back ---- */

/* The heap needs memory: what searches kept goes first, then the image that was left longest ago. */
static bool give_back(void *user)
{
    struct images *images = user;
    if (drop_texts(images, NULL))
        return true;
    if (mailsrv__list_empty(&images->kept))
        return false;
    mailsrv__image_free(HOLDER(images->kept.next, struct image, all));
    return true;
}

static void end_room(struct room *room)
{
    struct images *images = (struct images *)(void *)room;
    struct heap *heap = mailsrv__room_heap(images->engine);
    heap->give_back = NULL;
    while (give_back(images))
        continue;
    while (!mailsrv__list_empty(&images->live))
        mailsrv__image_free(HOLDER(images->live.next, struct image, all));
    mailsrv__heap_give(heap, CLASS_IMAGES, NULL, images, sizeof *images);
}

static struct images *room_of(mailsrv_engine *engine)
{
    struct heap *heap = mailsrv__room_heap(engine);
    struct room *room = mailsrv__room_find(engine, room_name);
    if (room != NULL)
        return (struct images *)(void *)room;
    struct images *images = mailsrv__heap_take(heap, CLASS_IMAGES, NULL, sizeof *images);
    if (images == NULL)
        return NULL;
    images->room = (struct room){ .name = room_name, .notify = notify, .flagged = flagged, .end = end_room };
    images->engine = engine;
    mailsrv__list_init(&images->live);
    mailsrv__list_init(&images->kept);
    mailsrv__list_init(&images->texts);
    for (int i = 0; i < BUCKETS; i++)
        mailsrv__list_init(&images->buckets[i]);
    mailsrv__room_add(engine, &images->room);
    heap->give_back = give_back;
    heap->user = images;
    return images;
}

/* FNV-1a: ids may be counted or random. */
static struct node *bucket(struct images *images, const mailsrv_id *mailbox)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof mailbox->b; i++)
        hash = (hash ^ mailbox->b[i]) * 16777619u;
    return &images->buckets[hash % BUCKETS];
}

static struct image *find(struct images *images, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    struct node *all = bucket(images, mailbox);
    for (struct node *n = all->next; n != all; n = n->next) {
        struct image *image = HOLDER(n, struct image, bucket);
        if (same(&image->mailbox, mailbox) && same(&image->account, account) && image->state != IMAGE_ENDED)
            return image;
    }
    return NULL;
}

static struct image *make(struct images *images, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    struct image *image = mailsrv__heap_take(mailsrv__room_heap(images->engine), CLASS_IMAGES, NULL, sizeof *image);
    if (image == NULL)
        return NULL;
    image->account = *account;
    image->mailbox = *mailbox;
    mailsrv__image_init(image, images, images->engine);
    mailsrv__list_append(&images->live, &image->all);
    mailsrv__list_append(bucket(images, mailbox), &image->bucket);
    mailsrv__image_open(image);
    return image;
}

struct image *mailsrv__image_of(mailsrv_engine *engine, const mailsrv_id *account, const mailsrv_id *mailbox)
{
    struct images *images = room_of(engine);
    if (images == NULL)
        return NULL;
    struct image *image = find(images, account, mailbox);
    if (image == NULL)
        return make(images, account, mailbox);
    if (image->state == IMAGE_IDLE) {
        mailsrv__list_remove(&image->all);
        mailsrv__list_append(&images->live, &image->all);
        mailsrv__image_open(image);
    }
    return image;
}

void mailsrv__image_kept(struct image *image)
{
    mailsrv__list_remove(&image->all);
    mailsrv__list_append(&image->room->kept, &image->all);
}
