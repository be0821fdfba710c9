/* alias add | remove | list */
#include "office.h"

#include <string.h>

enum { TARGETS_OCTETS = 8192 };

/* Where it leads: users, or other aliases, that are there; or addresses of other domains. */
static bool read_targets(const struct errand *e, const struct people *people, char *out)
{
    size_t n = 0;
    char address[ADDRESS_MAX];
    for (size_t i = 3; i < e->argc; i++) {
        const bool is_outside = errand_is_outside(e, e->argv[i], address);
        if (!is_outside && !errand_address(e, e->argv[i], false, address))
            return false;
        const size_t octets = strlen(address);
        if (!is_outside && people_find(people, PEOPLE_USERS, address, octets) == NULL &&
            people_find(people, PEOPLE_ALIASES, address, octets) == NULL) {
            fprintf(e->err, "mailserverd: %s: there is no such user or alias\n", address);
            return false;
        }
        if (n + octets + 2 > TARGETS_OCTETS) {
            fprintf(e->err, "mailserverd: %s: expected targets of at most %d octets together\n", e->argv[2],
                    TARGETS_OCTETS - 1);
            return false;
        }
        n += (size_t)snprintf(out + n, TARGETS_OCTETS - n, "%s%s", n == 0 ? "" : " ", address);
    }
    return n != 0;
}

static int change(const struct errand *e, const char *address, bool add)
{
    struct office *office = e->office;
    char targets[TARGETS_OCTETS];
    struct people *people = people_read(e->config->data, e->err);
    bool ok = people != NULL && (!add || read_targets(e, people, targets));
    if (ok && !add && people_find(people, PEOPLE_ALIASES, address, strlen(address)) == NULL) {
        fprintf(e->err, "mailserverd: %s: there is no such alias\n", address);
        ok = false;
    }
    ok = ok && people_put(people, PEOPLE_ALIASES, address, add ? targets : NULL) &&
         people_write(people, PEOPLE_ALIASES, e->config->data, e->err);
    people_unref(people);
    return ok && office_reload(office, e->err) ? 0 : 1;
}

static int list(struct errand *e)
{
    pthread_mutex_lock(&e->office->mutex);
    const struct entries *all = &e->office->people->of[PEOPLE_ALIASES];
    for (size_t i = 0; i < all->n; i++)
        fprintf(e->out, "%s %s\n", all->all[i].address, all->all[i].text);
    pthread_mutex_unlock(&e->office->mutex);
    return 0;
}

int do_alias(struct errand *e)
{
    const char *what = e->argc > 1 ? e->argv[1] : "";
    char address[ADDRESS_MAX];
    if (strcmp(what, "list") == 0)
        return list(e);
    if (e->argc < 3 || !errand_address(e, e->argv[2], true, address))
        return 1;
    pthread_mutex_lock(&e->office->mutex);
    const int status = change(e, address, strcmp(what, "add") == 0);
    pthread_mutex_unlock(&e->office->mutex);
    return status;
}
