#include "sim.h"

#include <stdlib.h>

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void put(struct clock *c, size_t place, struct event *event)
{
    c->events[place - 1] = event;
    event->place = place;
}

static void rise(struct clock *c, size_t at, struct event *event)
{
    for (; at > 1 && is_before(event, c->events[at / 2 - 1]); at /= 2)
        put(c, at, c->events[at / 2 - 1]);
    put(c, at, event);
}

static void sink(struct clock *c, size_t at, struct event *event)
{
    for (size_t child = 2 * at; child <= c->n; child = 2 * at) {
        if (child < c->n && is_before(c->events[child], c->events[child - 1]))
            child++;
        if (!is_before(c->events[child - 1], event))
            break;
        put(c, at, c->events[child - 1]);
        at = child;
    }
    put(c, at, event);
}

void clock_clear(struct clock *c, struct event *event)
{
    size_t at = event->place;
    if (at == 0)
        return;
    event->place = 0;
    struct event *last = c->events[--c->n];
    if (last == event)
        return;
    if (at > 1 && is_before(last, c->events[at / 2 - 1]))
        rise(c, at, last);
    else
        sink(c, at, last);
}

void clock_set(struct clock *c, struct event *event, int64_t after_us)
{
    clock_clear(c, event);
    if (c->n == c->room) {
        c->room = c->room == 0 ? 256 : 2 * c->room;
        c->events = realloc(c->events, c->room * sizeof *c->events);
        if (c->events == NULL)
            abort();
    }
    event->at_us = c->now_us + after_us;
    event->number = ++c->numbers;
    c->n++;
    rise(c, c->n, event);
}

int64_t clock_next(const struct clock *c)
{
    return c->n == 0 ? INT64_MAX : c->events[0]->at_us;
}

void clock_fire(struct clock *c)
{
    while (c->n != 0 && c->events[0]->at_us <= c->now_us) {
        struct event *event = c->events[0];
        clock_clear(c, event);
        event->happens(event);
    }
}
