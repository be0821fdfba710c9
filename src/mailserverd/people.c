#include "people.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { ALIASES_FOLLOWED_MAX = 256 /* for one address */ };

/* ---- Its life ---- */

struct people *people_new(void)
{
    struct people *people = calloc(1, sizeof *people);
    if (people != NULL)
        people->references = 1;
    return people;
}

struct people *people_ref(struct people *people)
{
    __atomic_add_fetch(&people->references, 1, __ATOMIC_RELAXED);
    return people;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void people_unref(struct people *people)
{
    if (people == NULL || __atomic_sub_fetch(&people->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t file = 0; file < PEOPLE_FILES; file++) {
        for (size_t i = 0; i < people->of[file].n; i++) {
            free(people->of[file].all[i].address);
            wipe(people->of[file].all[i].text);
        }
        free(people->of[file].all);
    }
    free(people);
}

/* ---- Entries ---- */

/* As strcmp of the address in lower case. */
static int compare(const char *kept, const char *address, size_t n)
{
    const size_t n_kept = strlen(kept);
    for (size_t i = 0; i < n && i < n_kept; i++) {
        const char c = address[i] >= 'A' && address[i] <= 'Z' ? (char)(address[i] + 32) : address[i];
        if (kept[i] != c)
            return (unsigned char)kept[i] < (unsigned char)c ? -1 : 1;
    }
    return n_kept == n ? 0 : n_kept < n ? -1 : 1;
}

/* The first place that is not before it; `*found`: it is it. */
static size_t place(const struct entries *in, const char *address, size_t n, bool *found)
{
    size_t low = 0, high = in->n;
    *found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int is = compare(in->all[middle].address, address, n);
        if (is == 0)
            *found = true;
        if (is < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct entry *people_find(const struct people *people, enum people_file file, const char *address, size_t n)
{
    bool found;
    const size_t at = place(&people->of[file], address, n, &found);
    return found ? &people->of[file].all[at] : NULL;
}

static bool add(struct entries *in, size_t at, const char *address)
{
    char *copy = strdup(address);
    struct entry *all = copy == NULL ? NULL : realloc(in->all, (in->n + 1) * sizeof *all);
    if (all == NULL) {
        free(copy);
        return false;
    }
    text_lower(copy);
    memmove(&all[at + 1], &all[at], (in->n - at) * sizeof *all);
    all[at] = (struct entry){ .address = copy };
    in->all = all;
    in->n++;
    return true;
}

static void take_out(struct entries *in, size_t at)
{
    free(in->all[at].address);
    wipe(in->all[at].text);
    memmove(&in->all[at], &in->all[at + 1], (in->n - at - 1) * sizeof *in->all);
    in->n--;
}

bool people_put(struct people *people, enum people_file file, const char *address, const char *text)
{
    struct entries *in = &people->of[file];
    bool found;
    const size_t at = place(in, address, strlen(address), &found);
    if (text == NULL) {
        if (found)
            take_out(in, at);
        return true;
    }
    char *copy = strdup(text);
    if (copy == NULL || (!found && !add(in, at, address))) {
        wipe(copy);
        return false;
    }
    if (file == PEOPLE_ALIASES)
        text_lower(copy);
    wipe(in->all[at].text);
    in->all[at].text = copy;
    return true;
}

/* ---- Where an address leads ---- */

/* Each alias is followed once, however many lead to it: aliases may lead in a circle. */
struct way {
    const struct people *people;
    const struct config *config;
    const struct entry *aliases[ALIASES_FOLLOWED_MAX];
    size_t n_aliases;
    struct leads *out;
    size_t n_out;
};

static void follow(struct way *w, const struct entry *alias)
{
    for (size_t i = 0; i < w->n_aliases; i++)
        if (w->aliases[i] == alias)
            return;
    if (w->n_aliases < ALIASES_FOLLOWED_MAX)
        w->aliases[w->n_aliases++] = alias;
}

static void reach(struct way *w, const struct leads *to)
{
    for (size_t i = 0; i < w->n_out; i++)
        if (w->out[i].person == to->person && text_same(w->out[i].address, w->out[i].n, to->address, to->n))
            return;
    if (w->n_out < TARGETS_MAX)
        w->out[w->n_out++] = *to;
}

static void take(struct way *w, const char *address, size_t n)
{
    const struct entry *person = people_find(w->people, PEOPLE_USERS, address, n);
    const struct entry *alias = people_find(w->people, PEOPLE_ALIASES, address, n);
    const char *domain = text_domain(address, n);
    if (person != NULL)
        reach(w, &(struct leads){ .person = person });
    if (person == NULL && alias == NULL && domain != NULL) { /* the domain's catch-all, or another's affair */
        const size_t domain_n = n - (size_t)(domain - address);
        alias = people_find(w->people, PEOPLE_ALIASES, domain - 1, domain_n + 1);
        if (alias == NULL && !config_has_domain(w->config, domain, domain_n))
            reach(w, &(struct leads){ .address = address, .n = n });
    }
    if (alias != NULL)
        follow(w, alias);
}

size_t people_resolve(const struct people *people, const struct config *config, const char *address, size_t n,
                      struct leads *out)
{
    struct way w = { .people = people, .config = config, .out = out };
    take(&w, address, n);
    for (size_t i = 0; i < w.n_aliases; i++)
        for (const char *p = w.aliases[i]->text; *p != '\0';) {
            const size_t octets = strcspn(p, " \t");
            take(&w, p, octets);
            p += octets + strspn(p + octets, " \t");
        }
    return w.n_out;
}
