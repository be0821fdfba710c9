/* An intrusive, circular, doubly linked list.  A node that is in no list points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct node {
    struct node *prev, *next;
};

/* The struct that holds `node` as its field. */
#define HOLDER(node, type, field) ((type *)(void *)((char *)(node) - offsetof(type, field)))

static inline void mailsrv__list_init(struct node *n)
{
    n->prev = n->next = n;
}

static inline bool mailsrv__list_empty(const struct node *list)
{
    return list->next == list;
}

static inline void mailsrv__list_remove(struct node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    mailsrv__list_init(n);
}

/* Puts `n`, which is in no list, at the end. */
static inline void mailsrv__list_append(struct node *list, struct node *n)
{
    n->prev = list->prev;
    n->next = list;
    list->prev->next = n;
    list->prev = n;
}

/* Takes the first; NULL when there is none. */
static inline struct node *mailsrv__list_pop(struct node *list)
{
    struct node *n = list->next;
    if (n == list)
        return NULL;
    mailsrv__list_remove(n);
    return n;
}

#endif
