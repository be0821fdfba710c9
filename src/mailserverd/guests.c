#include "guests.h"
#include "keyed.h"

#include <stdlib.h>
#include <string.h>

enum { OF_SECRETS = 's' };

static struct guest **place(struct guests *g, uint64_t session)
{
    struct guest **at = &g->lists[session % GUESTS_LISTS];
    while (*at != NULL && (*at)->session != session)
        at = &(*at)->next;
    return at;
}

struct guest *guests_add(struct guests *g, uint64_t session, mailsrv_uv_connection *connection)
{
    struct guest *guest = calloc(1, sizeof *guest);
    struct guest **at = place(g, session);
    if (guest != NULL) {
        *guest = (struct guest){ .next = *at, .session = session, .connection = connection };
        *at = guest;
    }
    return guest;
}

struct guest *guests_find(const struct guests *g, uint64_t session)
{
    for (struct guest *guest = g->lists[session % GUESTS_LISTS]; guest != NULL; guest = guest->next)
        if (guest->session == session)
            return guest;
    return NULL;
}

void guests_remove(struct guests *g, uint64_t session)
{
    struct guest **at = place(g, session), *guest = *at;
    if (guest == NULL)
        return;
    *at = guest->next;
    free(guest->address);
    free(guest);
}

static uint64_t looked_at(const struct entry *person)
{
    return keyed(OF_SECRETS, (mailsrv_bytes){ (const uint8_t *)person->text, strlen(person->text) });
}

bool guest_tries(struct guest *guest, const struct attempt *attempt, const struct entry *person)
{
    free(guest->address);
    guest->attempt = *attempt;
    guest->address = person == NULL ? NULL : strdup(person->address);
    guest->looked_at = person == NULL ? 0 : looked_at(person);
    return person == NULL || guest->address != NULL;
}

static bool is_welcome(const struct guest *guest, const struct people *people)
{
    if (guest->address == NULL)
        return true;
    const struct entry *person = people_find(people, PEOPLE_USERS, guest->address, strlen(guest->address));
    return person != NULL && looked_at(person) == guest->looked_at;
}

void guests_see_off(const struct guests *g, const struct people *people)
{
    for (size_t i = 0; i < GUESTS_LISTS; i++)
        for (const struct guest *guest = g->lists[i]; guest != NULL; guest = guest->next)
            if (!is_welcome(guest, people))
                mailsrv_session_shutdown(mailsrv_uv_connection_session(guest->connection));
}

uint64_t guests_session(const mailsrv_uv_connection *connection)
{
    mailsrv_info info = { .size = sizeof info };
    mailsrv_session_info(mailsrv_uv_connection_session(connection), &info);
    return info.id;
}
