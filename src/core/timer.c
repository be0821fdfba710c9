#include "core/timer.h"

/* A pairing heap: the root has the least key; `child` is the first of a node's children, `sibling` the next one of its
 * parent's.  Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap", 1986. */

static struct timer *meld(struct timer *a, struct timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->key < a->key) {
        struct timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->sibling = a->child;
    if (a->child != NULL)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Melds the children of a node that is leaving, in pairs from the left, then all from the right; without recursion. */
static struct timer *meld_children(struct timer *first)
{
    struct timer *pairs = NULL;
    while (first != NULL) {
        struct timer *a = first, *b = a->sibling;
        first = b == NULL ? NULL : b->sibling;
        a->sibling = a->prev = NULL;
        if (b != NULL)
            b->sibling = b->prev = NULL;
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    struct timer *root = NULL;
    while (pairs != NULL) {
        struct timer *next = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    if (root != NULL)
        root->prev = NULL;
    return root;
}

static void insert(struct timers *timers, struct timer *t)
{
    t->child = t->sibling = t->prev = NULL;
    t->key = t->due;
    t->in_heap = 1;
    timers->root = meld(timers->root, t);
}

static void cut_out(struct timers *timers, struct timer *t)
{
    struct timer *rest = meld_children(t->child);
    if (timers->root == t) {
        timers->root = rest;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->sibling;
        else
            t->prev->sibling = t->sibling;
        if (t->sibling != NULL)
            t->sibling->prev = t->prev;
        timers->root = meld(timers->root, rest);
    }
    t->child = t->sibling = t->prev = NULL;
    t->in_heap = 0;
}

void mailsrv__timers_init(struct timers *timers)
{
    *timers = (struct timers){ .pending_least_us = INT64_MAX };
    mailsrv__list_init(&timers->pending);
}

void mailsrv__timer_init(struct timer *t, void (*fire)(struct timer *timer))
{
    *t = (struct timer){ .due = INT64_MAX, .fire = fire };
    mailsrv__list_init(&t->pending);
}

void mailsrv__timer_arm(struct timers *timers, struct timer *t, int64_t after_us)
{
    mailsrv__list_remove(&t->pending);
    mailsrv__list_append(&timers->pending, &t->pending);
    t->after_us = after_us;
    if (after_us < timers->pending_least_us)
        timers->pending_least_us = after_us;
}

void mailsrv__timer_disarm(struct timer *t)
{
    mailsrv__list_remove(&t->pending);
    t->due = INT64_MAX;
}

void mailsrv__timer_remove(struct timers *timers, struct timer *t)
{
    mailsrv__timer_disarm(t);
    if (t->in_heap)
        cut_out(timers, t);
}

static int64_t later(int64_t now_us, int64_t after_us)
{
    return after_us > INT64_MAX - now_us ? INT64_MAX - 1 : now_us + after_us;
}

static void arm_pending(struct timers *timers)
{
    struct node *n;
    while ((n = mailsrv__list_pop(&timers->pending)) != NULL) {
        struct timer *t = HOLDER(n, struct timer, pending);
        t->due = later(timers->now_us, t->after_us);
        if (t->in_heap && t->key <= t->due)
            continue; /* put back when its old key comes due */
        if (t->in_heap)
            cut_out(timers, t);
        insert(timers, t);
    }
    timers->pending_least_us = INT64_MAX;
}

void mailsrv__timers_advance(struct timers *timers, int64_t now_us)
{
    timers->now_us = now_us;
    arm_pending(timers);
    while (timers->root != NULL && timers->root->key <= now_us) {
        struct timer *t = timers->root;
        cut_out(timers, t);
        if (!mailsrv__list_empty(&t->pending))
            continue; /* armed anew by one that fired just now */
        if (t->due > now_us) {
            if (t->due != INT64_MAX)
                insert(timers, t);
            continue;
        }
        t->due = INT64_MAX;
        t->fire(t);
    }
}

int64_t mailsrv__timers_next(const struct timers *timers)
{
    int64_t next = timers->root == NULL ? INT64_MAX : timers->root->key;
    if (mailsrv__list_empty(&timers->pending))
        return next;
    int64_t pending = later(timers->now_us, timers->pending_least_us);
    return pending < next ? pending : next;
}
