/* The queue: what its files share.
 *
 *   queue.c     opening, closing, the room, what is due
 *   item.c      items in memory: found by number, bounded, remembered while a page that holds them may be on its way
 *   lanes.c     lanes: all items for one domain, of one sender where routes depend on that; where they go is asked here
 *   sites.c     sites: servers that lanes lead to; their addresses, their back-off, how many connections they bear
 *   row.c       what the store says of an item, and what is to be done with it
 *   look.c      what is due is looked for in the store
 *   batch.c     items that go together
 *   link.c      a connection of a site, and what it tells as the client's courier
 *   connect.c   CONNECT, and mailsrv_client_new
 *   schedule.c  when it is tried again
 *   settle.c    what becomes of an item
 *   write.c     the same as changes of the store
 *   owed.c      notices that are owed, gathered by message
 *   control.c   what an operator does
 *   refresh.c   what was answered counts no more
 *   send.c      mail of the host itself
 *   queued.c    items as the host reads them
 *
 * Whatever has something to do is a task of the queue's ring, in which nothing recurses: answers, timers and what
 * couriers are told only make a task due.
 *
 * An item is in memory once, in one state:
 *
 *     found in the store, or told by a COMMIT
 *     -> WAITS in its lane -> OUT in a batch -> SETTLES: asked, told, written -> GONE
 *
 * What waits can be forgotten at any time: the store has it, and its lane knows that there is more.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "core/room.h"
#include "queue/notice.h"
#include "queue/route.h"
#include "smtp/client.h"
#include "text/queue_record.h"

#include <mailsrv/queue.h>

#define SECOND_US INT64_C(1000000)
#define HOUR_US (3600 * SECOND_US)

enum {
    LANES_MAX = 16384,
    LANES_IDLE_MAX = 1024, /* of them, that have nothing to do: the next item need not ask where it goes */
    LANE_BUCKETS = 4096,
    SITE_BUCKETS = 1024,
    ITEM_BUCKETS = 1024,
    LANE_ITEMS = 100,      /* that wait in memory */
    LANE_ITEMS_TIGHT = 8,  /* the same when half of all there may be are taken */
    ROUTES_MAX = 64,       /* questions at once */
    RESOLVES_MAX = 64,     /* sites that are looked up at once, with ROUTE_AT_ONCE questions each */
    LOCAL_MAX = 16,        /* items that are delivered here at once */
    LOOKS = 4,             /* scans of lanes at once */
    PAGE_ITEMS = 64,
    LINK_FIRST_LIMIT = 4,  /* connections of a site that nothing is known of */
    LANE_OCTETS_MAX = 255,
    ROUTE_OCTETS_MAX = 64,
    SENDER_OCTETS_MAX = 512, /* of a lane's: no path that SMTP takes is longer (RFC 5321 section 4.5.3.1) */
    REPLY_OCTETS = 512
};

/* ---- Tasks ---- */

struct task {
    struct node node; /* in the queue's list of what is due, or of what is due again soon, or alone */
    void (*run)(struct task *task);
};

struct lane;
struct site;
struct link;
struct batch;
struct control;

/* ---- Items ---- */

enum item_state { ITEM_WAITS, ITEM_OUT, ITEM_SETTLES, ITEM_GONE };

/* What is to be done with an item that settles. */
enum item_plan {
    PLAN_DEFER,   /* it failed for now: the host may say when to try again */
    PLAN_UPDATE,  /* its record is written */
    PLAN_DELETE,
    PLAN_GIVE_UP, /* a notice, if one is owed, then deleted */
    PLAN_RELAYED, /* the same for one that was delivered */
    PLAN_DELAYED, /* a notice, then its record is written */
    PLAN_LOCAL    /* it is delivered here */
};

enum item_question { ASKED_NOTHING, ASKED_RETRY, ASKED_UPDATE };

/* What an update changes. */
struct item_change {
    int64_t due_us;
    uint16_t flags_set, flags_cleared;
    bool bounces;     /* its fate is a notice from now on */
    bool owed_anew;   /* how long nobody could be told counts from now on */
    bool reroutes;
    uint8_t route_n;
    char route[ROUTE_OCTETS_MAX];
};

/* What was said of it last; what finds no memory is empty. */
struct item_reply {
    uint16_t code;
    uint16_t text_n, host_n;
    char *text; /* then the host; NULL: nothing is new */
};

struct item {
    struct node node;   /* of its lane, batch or list */
    struct item *chained;
    mailsrv_queue *queue;
    struct task task;
    struct errand errand;
    struct lane *lane; /* WAITS, OUT */
    uint64_t number, octets;
    int64_t due_us;
    uint64_t scan;     /* the last that was asked before it was written; 0: it was not */
    uint64_t begun;    /* the same, before it was sent or delivered; 0: it was not */
    struct queue_record record; /* its spans point into `blob` */
    struct item_reply reply;
    struct item_change change;
    struct control *control; /* that waits for it; NULL: none */
    struct local *local;     /* its delivery here; NULL: none */
    uint8_t state, plan;
    uint8_t asked;     /* enum item_question */
    uint8_t undone;    /* times that it came back untried */
    bool delivered;    /* whatever fails now, it is not sent again */
    bool tried;        /* since its record was written */
    bool told;         /* a notice of its plan is durable, or nobody is to be told */
    bool put_off;      /* by one address of its site; another one is tried */
    uint16_t lane_n;
    size_t blob_n;
    char blob[];       /* its record, as the store has it, then its lane */
};

/* ---- Lanes ---- */

struct lane {
    struct node node;     /* of the queue's list for its state */
    struct lane *chained;
    mailsrv_queue *queue;
    struct task task;
    struct errand errand; /* ROUTE */
    struct site *site;    /* NULL: not known */
    struct node at_site;  /* of all that lead there */
    struct node busy;     /* of those that have something for it */
    struct node scan;     /* of those that want a scan */
    struct node items;    /* that wait */
    struct timer timer;   /* nobody could say where it goes */
    uint32_t n_items, n_out;
    uint32_t failures;
    int64_t route_until_us; /* what ROUTE said holds so long */
    int64_t not_before_us; /* unix time, while it waits for its timer */
    int64_t freed_us;     /* unix time; what was tried before that is due, though it is put off; 0: nothing is */
    int64_t freed_upto_us; /* to that time at most */
    int64_t swept_us;     /* when it was last looked for what is too old */
    int64_t latest_us;    /* unix time: the latest by which something was due, since it was last looked for more */
    uint64_t retried;     /* the last scan that was asked before an operator's RETRY of it */
    bool more;            /* in the store */
    bool waits;           /* for its timer */
    bool idle;
    bool sweeps;          /* the scan that it wants is for what is too old */
    bool scanned;         /* one is out */
    bool asks_again;      /* what ROUTE is saying counts no more */
    uint8_t route_n;
    uint16_t name_n;
    uint16_t sender_n;    /* 0: the null reverse-path, or all senders: the host's routes ask for none */
    char name[];          /* then the route, then the sender */
};

/* ---- Sites ---- */

/* The addresses of a site, shared with connections that began with them. */
struct way {
    uint32_t refs;
    struct route_plan *plan;
    int64_t until_us; /* so long it holds, for connections that have it, too, if it is validated */
    int64_t bad_until_us[ROUTE_ADDRESSES_MAX]; /* where nobody answered, or all was put off */
    uint8_t put_off[ROUTE_ADDRESSES_MAX];      /* batches, one behind the other, of which nothing else became */
    uint8_t hung_up[ROUTE_ADDRESSES_MAX];      /* connections, so, that were ready and ended at their first batch */
    uint16_t clear; /* addresses, a bit each, where TLS was offered and came to nothing */
};

struct site {
    struct node node;      /* of those that want a connection, or to be looked up; or alone */
    struct site *chained;
    mailsrv_queue *queue;
    struct task task;
    struct node lanes;     /* that lead here */
    struct node busy;      /* of them, with something to send: in turn */
    struct node links;
    uint32_t n_links, limit, failures, lookups_failed;
    struct errand dns[ROUTE_AT_ONCE];
    struct route *finding; /* NULL: it is not looked up */
    struct way *way;       /* what came of it; NULL: nothing yet */
    int64_t way_until_us;
    struct timer timer;
    int64_t not_before_us; /* unix time */
    uint8_t unlucky;       /* connections that ended at their first batch, since one was answered */
    bool answers;          /* a connection got so far as to be given something, since it failed last */
    bool backs_off;        /* until the timer */
    bool wakes;            /* that is over: its lanes are to be called */
    uint16_t code;         /* why */
    uint16_t text_n;
    char text[128];
    struct route_terms terms;
    mailsrv_route route;   /* ROUTE's answer, its bytes behind this */
    bool routed;           /* it was asked */
    size_t octets;         /* of all */
    char texts[];
};

/* ---- Connections ---- */

struct batch {
    struct smtp_job job;
    struct lane *lane;
    struct item **items; /* NULL: it was told */
    size_t octets;
    uint8_t moved; /* to another address, so often */
    bool real;     /* something was said of one of them */
    bool settled;  /* and it was not that it is put off */
};

struct link {
    struct courier courier;
    struct node node; /* of its site */
    struct node idle; /* of the queue's, while it waits for something to do */
    struct task task;
    struct errand errand; /* CONNECT */
    mailsrv_queue *queue;
    struct site *site;
    mailsrv_session *session; /* NULL: there is none yet */
    struct batch *batch;
    struct way *way;
    uint8_t at;               /* the address in use */
    uint16_t tried;           /* addresses, a bit each */
    bool ready, lost, ended;
    bool unsecured;           /* it ended because TLS came to nothing */
    bool worked;              /* a batch of it was real */
    bool moves;               /* its batch was put off: it ends, and begins with it at the next address */
    bool detour;              /* that was for this batch alone: the address before is good for others */
    bool is_old;              /* it began by answers that count no more */
    uint16_t code;
    uint16_t text_n;
    char text[128];           /* why it came to nothing */
};

/* ---- The queue ---- */

struct queue_limits {
    int64_t first_retry_us, retry_max_us, expire_us, notice_expire_us, delay_us; /* INT64_MAX: never */
    uint32_t connections, per_site, messages, recipients, idle_ms, items, notice_octets;
};

struct scan {
    struct task task;
    struct errand errand;
    mailsrv_queue *queue;
    struct lane *lane; /* NULL: none, or the look at all that is due */
    uint64_t asked;    /* its number; 0: it is not out */
    uint32_t at;       /* in the page */
    bool sweeps;       /* it is for what is too old */
    mailsrv_cursor cursor;
};

struct mailsrv_queue {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    uint32_t flags;
    struct queue_limits limits;
    struct own_addresses own;
    struct work work;
    struct node due, again; /* tasks: to be run; to be run when `again_timer` fires */
    struct timer again_timer;
    uint64_t random;
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
    uint64_t stats[8];

    struct item *items[ITEM_BUCKETS];
    struct node gone;
    uint32_t n_items;
    uint64_t scans; /* asked so far */

    struct lane *lanes[LANE_BUCKETS];
    struct node lanes_idle, lanes_live, lanes_asking; /* the last: they want ROUTE to be asked */
    uint32_t n_lanes, n_idle, n_routes;

    struct site *sites[SITE_BUCKETS];
    struct node sites_asking, sites_wanting; /* want to be looked up; a connection */
    uint32_t n_resolves;

    struct node links_idle;
    uint32_t n_links;
    struct task opener; /* gives connections to the sites that want one */

    struct scan look;          /* for what is due */
    int64_t looked_us;         /* unix time: what was due by then has been seen, or is being looked for */
    int64_t next_us;           /* unix time of the next look */
    int64_t look_from_us, look_upto_us; /* of the look that runs */
    int64_t look_not_before_us;
    int64_t far_after_us;      /* how far ahead the look at what is due far ahead begins */
    int64_t clock_us;          /* unix time at 0 of the other clock, when it was looked at last */
    bool looking, poked;
    bool wants_far, far;       /* a look at what is due far ahead is wanted; it runs */
    struct timer look_timer;
    struct scan scans_of[LOOKS];
    struct node lanes_scan;    /* that want one */

    struct task eraser;        /* QUEUE_DELETE */
    struct errand erasing;
    struct node erase, erased; /* items: waiting, in the question */
    uint32_t n_settling;

    struct task porter;        /* delivers here */
    struct node locals;        /* items that wait for it, in turn */
    uint32_t n_local, n_locals; /* being delivered; waiting */
    bool locals_more;          /* in the store */
    bool locals_far;           /* and some of it is due later, by a clock that was ahead */

    struct node owed;          /* items */
    struct timer owed_timer;
    struct task teller;
    struct node tellings;
    uint32_t n_tellings;

    struct node controls, sends;
};

/* ---- queue.c ---- */
static inline struct heap *mailsrv__queue_heap(const mailsrv_queue *q)
{
    return mailsrv__room_heap(q->engine);
}

static inline int64_t mailsrv__queue_unix(const mailsrv_queue *q)
{
    return mailsrv__room_unix_us(q->engine);
}

static inline int64_t mailsrv__queue_now(const mailsrv_queue *q)
{
    return mailsrv__room_timers(q->engine)->now_us;
}

void mailsrv__task_init(struct task *task, void (*run)(struct task *task));
void mailsrv__task_due(mailsrv_queue *queue, struct task *task);
void mailsrv__task_again(mailsrv_queue *queue, struct task *task); /* when there may be memory, or the store answers */
void mailsrv__timer_set(mailsrv_queue *queue, struct timer *timer, int64_t after_us);
uint64_t mailsrv__queue_random(mailsrv_queue *queue);
void *mailsrv__queue_take(mailsrv_queue *queue, size_t octets);
void mailsrv__queue_give(mailsrv_queue *queue, void *p, size_t octets);

/* FNV-1a: of a text, behind what was hashed before; QUEUE_HASH: nothing was. */
#define QUEUE_HASH 2166136261u
uint32_t mailsrv__queue_hash(uint32_t hash, struct span text);
struct ask mailsrv__queue_ask(mailsrv_queue *queue, struct errand *errand, int32_t kind, size_t octets);
void mailsrv__queue_event(mailsrv_queue *queue, int32_t what, const struct item *item);
void mailsrv__queue_may_end(mailsrv_queue *queue); /* something that closing waits for is over */

/* ---- item.c ---- */
struct item *mailsrv__item_find(const mailsrv_queue *queue, uint64_t number);

/* A new item, in no list, that settles.  NULL: no memory, or there are too many. */
struct item *mailsrv__item_new(mailsrv_queue *queue, const mailsrv_queue_item *row);
void mailsrv__item_forget(struct item *item); /* GONE from memory, once no older page can show it */
void mailsrv__item_let_go(struct item *item); /* it waited: nothing of it has changed since it was taken */
void mailsrv__item_drop(struct item *item);   /* at once */
void mailsrv__items_bury(mailsrv_queue *queue);
bool mailsrv__item_said(struct item *item, uint16_t code, struct span text, struct span host);
void mailsrv__items_free(mailsrv_queue *queue);
bool mailsrv__items_room(const mailsrv_queue *queue, uint32_t of_lane); /* for one more of a lane that has so many */

/* ---- lanes.c ---- */

/* The lane of a name as the store has it, made if need be.  The reverse-path counts where the host's routes depend on
 * it.  NULL: no memory, or there are too many. */
struct lane *mailsrv__lane_get(mailsrv_queue *queue, struct span name, struct span route,
                               struct span reverse_path);
/* Is an item of its domain its own? */
bool mailsrv__lane_is_of(const struct lane *lane, const struct queue_record *record);
void mailsrv__lane_put(struct lane *lane, struct item *item, bool first); /* it waits there */
void mailsrv__lane_more(struct lane *lane);                   /* there is more in the store, due now */
void mailsrv__lane_due(struct lane *lane);                    /* something is due now */
void mailsrv__lane_freed(struct lane *lane);                  /* all that the schedule has put off in it is */
void mailsrv__lane_freed_upto(struct lane *lane, int64_t tried_before_us, int64_t due_us); /* to that time at most */
void mailsrv__lanes_each(mailsrv_queue *queue, void (*what)(struct lane *lane)); /* which frees none */
void mailsrv__lanes_were_due(mailsrv_queue *queue);           /* by a clock that was ahead: they are due still */
void mailsrv__lane_leave(struct item *item);                  /* it waits, or is out, no more */
void mailsrv__lane_let_go(struct lane *lane);                 /* its items are the store's alone */
void mailsrv__lane_fail(struct lane *lane, uint16_t code, struct span text); /* its items are given up */
void mailsrv__lane_sweep(struct lane *lane);  /* what is too old in it is looked for, if that was long ago */
void mailsrv__lane_retry(struct lane *lane);                  /* its own back-off, and its site's, are forgotten */
bool mailsrv__lane_is_held_up(const struct lane *lane);       /* nothing can be sent now */
int64_t mailsrv__lane_not_before(const struct lane *lane);    /* unix time; 0: at once */
void mailsrv__lane_run(struct task *task);
void mailsrv__lanes_ask(mailsrv_queue *queue);
void mailsrv__lanes_free(mailsrv_queue *queue);

/* ---- sites.c ---- */
struct site *mailsrv__site_get(struct lane *lane, const mailsrv_route *route); /* NULL: no memory */
void mailsrv__site_join(struct site *site, struct lane *lane);
void mailsrv__site_leave(struct lane *lane); /* that is at one, or at none */
void mailsrv__site_worked(struct site *site);

/* `worked`: it is no fault of the site; `told`: what was being sent was told. */
struct site_failure {
    uint16_t code;
    struct span text, host;
    bool worked, told;
};
void mailsrv__site_failed(struct site *site, const struct site_failure *failure);
uint16_t mailsrv__site_port(const struct site *site);
void mailsrv__site_retry(struct site *site); /* its back-off is forgotten */

/* What it goes by is to be asked for anew, unless that was done since. */
void mailsrv__site_way_is_old(struct site *site, const struct way *way);
void mailsrv__site_forget_way(struct site *site); /* what DNS said, or is saying, counts no more */
void mailsrv__site_release(struct site *site); /* freed, unless somebody needs it */
void mailsrv__way_drop(mailsrv_queue *queue, struct way *way); /* NULL is fine */
void mailsrv__sites_ask(mailsrv_queue *queue);
void mailsrv__sites_free(mailsrv_queue *queue);

/* ---- row.c, look.c ---- */
void mailsrv__look_begin(mailsrv_queue *queue);
void mailsrv__look_at_clock(mailsrv_queue *queue); /* before anything else is done at a time */
void mailsrv__look_at(mailsrv_queue *queue, int64_t due_us); /* something is due then */
void mailsrv__look_from_start(mailsrv_queue *queue, int64_t due_us);
void mailsrv__look_far(mailsrv_queue *queue); /* at all that is put off, with the next look */
void mailsrv__look_lanes(mailsrv_queue *queue);
void mailsrv__look_init(mailsrv_queue *queue);
void mailsrv__look_end(mailsrv_queue *queue);

/* Takes what the store, or a COMMIT, says of an item; `scan` is the number of the question that it comes from.  What is
 * not due is taken where a lane is `freed`.  False: there is no room for something that must be done now. */
bool mailsrv__row_take(mailsrv_queue *queue, const mailsrv_queue_item *row, uint64_t scan, const struct lane *freed);

/* The same of a lane that is held up: only what is too old. */
bool mailsrv__row_sweep(struct lane *lane, const mailsrv_queue_item *row, uint64_t scan);
uint64_t mailsrv__oldest_scan(const mailsrv_queue *queue); /* that is out; UINT64_MAX: none is */

/* ---- batch.c ---- */
uint32_t mailsrv__batches(const struct lane *lane, uint32_t most); /* how many its items are, or at least `most` */
struct batch *mailsrv__batch_new(struct site *site); /* NULL: nothing is to be sent, or there is no memory */
void mailsrv__batch_leave(struct batch *batch, uint32_t i); /* its fate is known: READ is asked for one of the others */
void mailsrv__batch_pack(struct batch *batch); /* those that have left are out of the way of the others */
void mailsrv__batch_free(mailsrv_queue *queue, struct batch *batch);

/* ---- link.c, connect.c ---- */
void mailsrv__link_open(struct site *site);
void mailsrv__link_connect(struct link *link);
void mailsrv__link_free(struct link *link);
void mailsrv__links_open(mailsrv_queue *queue);
void mailsrv__links_close(mailsrv_queue *queue); /* begins nothing more */
bool mailsrv__link_offer(struct site *site); /* there is something for one that is idle */

/* ---- schedule.c ---- */
int64_t mailsrv__schedule_wait(mailsrv_queue *queue, uint32_t tries); /* in microseconds, behind so many */
int64_t mailsrv__schedule_expires(const mailsrv_queue *queue, const struct queue_record *record);
int64_t mailsrv__schedule_arrived(const mailsrv_queue *queue, const struct queue_record *record);
bool mailsrv__schedule_is_over(const mailsrv_queue *queue, const struct queue_record *record);
bool mailsrv__schedule_tells(const mailsrv_queue *queue, const struct queue_record *record);

/* ---- settle.c ---- */
void mailsrv__settle_told(struct item *item, enum smtp_fate fate, const struct smtp_reply *reply, struct span host);
void mailsrv__settle_undone(struct item *item, bool in_vain, struct span host); /* it is to be sent at once */
void mailsrv__settle_put_off(struct item *item); /* no other address has taken it: what was said last stands */
void mailsrv__settle(struct item *item, enum item_plan plan);
void mailsrv__settle_local(struct item *item); /* it is delivered here, in its turn */
bool mailsrv__settle_withdraw(struct item *item); /* it waits for that no more; false: it did not */
bool mailsrv__locals_room(mailsrv_queue *queue, int64_t due_us); /* for one more; false: it is looked for later */
void mailsrv__locals_init(mailsrv_queue *queue);
void mailsrv__settle_no_more(struct item *item); /* it goes: what is being done for it is given up */
void mailsrv__settle_run(struct task *task);
void mailsrv__settled(struct item *item); /* the store has it as it is to be */
void mailsrv__settled_not(struct item *item); /* it is not there, or as it was */

/* ---- write.c ---- */
void mailsrv__write_update(struct item *item);
void mailsrv__write_delete(struct item *item);
void mailsrv__write_init(mailsrv_queue *queue);

/* ---- owed.c ---- */
void mailsrv__owed_init(mailsrv_queue *queue);
bool mailsrv__owed(struct item *item); /* is a notice owed for its plan?  Then it is told, and the item settles again */
void mailsrv__owed_close(mailsrv_queue *queue); /* nothing is waited for any more */
void mailsrv__owed_free(mailsrv_queue *queue);

/* ---- control.c, send.c ---- */
void mailsrv__control_apply(struct control *control, struct item *item); /* that it waits for */
void mailsrv__control_done(struct item *item);
uint64_t mailsrv__controls_oldest_scan(const mailsrv_queue *queue);
void mailsrv__controls_go_on(mailsrv_queue *queue); /* an item has settled */
void mailsrv__controls_close(mailsrv_queue *queue); /* what they have begun comes to its end */
void mailsrv__controls_end(mailsrv_queue *queue);
void mailsrv__sends_end(mailsrv_queue *queue);

#endif
