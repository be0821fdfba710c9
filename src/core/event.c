/* The ring of events: bounded, oldest kept, the rest counted. */
#include "core/engine.h"

#include <string.h>

bool mailsrv__events_init(mailsrv_engine *e, uint32_t room)
{
    e->events.room = room;
    if (room == 0)
        return true;
    e->events.slots = mailsrv__heap_take(&e->heap, CLASS_ENGINE, NULL, room * sizeof *e->events.slots);
    return e->events.slots != NULL;
}

void mailsrv__events_fini(mailsrv_engine *e)
{
    mailsrv__heap_give(&e->heap, CLASS_ENGINE, NULL, e->events.slots, e->events.room * sizeof *e->events.slots);
}

/* What a peer sent may be in a text: no control character of his reaches a log. */
static size_t copy_printable(uint8_t *to, const char *text, size_t n)
{
    if (n > EVENT_TEXT_MAX)
        n = EVENT_TEXT_MAX;
    for (size_t i = 0; i < n; i++)
        to[i] = text[i] >= 0x20 && text[i] < 0x7F ? (uint8_t)text[i] : '?';
    return n;
}

void mailsrv__event(mailsrv_engine *e, int32_t what, uint64_t session_id, const char *text, size_t n)
{
    struct events *ring = &e->events;
    if (ring->n == ring->room) {
        ring->dropped++;
        return;
    }
    struct event_slot *slot = &ring->slots[(ring->first + ring->n++) % ring->room];
    slot->event = (mailsrv_event){
        .size = sizeof slot->event, .what = what, .session_id = session_id, .unix_us = e->unix_us
    };
    slot->event.text = (mailsrv_bytes){ slot->text, copy_printable(slot->text, text, n) };
}

int32_t mailsrv_engine_next_event(mailsrv_engine *e, const mailsrv_event **out)
{
    if (e == NULL || out == NULL)
        return MAILSRV_E_USAGE;
    *out = NULL;
    struct events *ring = &e->events;
    if (ring->n == 0)
        return MAILSRV_E_CLOSED;
    ring->last = ring->slots[ring->first];
    ring->last.event.text.p = ring->last.text;
    ring->first = (ring->first + 1) % ring->room;
    ring->n--;
    *out = &ring->last.event;
    return MAILSRV_OK;
}
