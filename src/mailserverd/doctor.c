/* doctor: looks through all that is kept, and says what is not as it should be, a line each. */
#include "doctor.h"
#include "people.h"
#include "privileges.h"
#include "text.h"

#include <mailsrv/stores/durable.h>

#include <string.h>

static void show_fault(void *user, const char *text)
{
    unsigned *faults = user;
    ++*faults;
    printf("%s\n", text);
}

/* Mail for it would be refused, and its user could not be added again. */
static void check_domain(const struct config *config, const char *file, const char *address, unsigned *faults)
{
    const char *domain = strrchr(address, '@') + 1;
    if (config_has_domain(config, domain, strlen(domain)))
        return;
    ++*faults;
    printf("%s/%s: %s is in none of the domains of %s\n", config->data, file, address, config->path);
}

static bool is_outside(const struct config *config, const char *address, size_t n)
{
    const char *domain = text_domain(address, n);
    return domain != NULL && !config_has_domain(config, domain, n - (size_t)(domain - address));
}

static void check_targets(const struct config *config, const struct people *people, const struct entry *alias,
                          unsigned *faults)
{
    for (const char *p = alias->text; *p != '\0';) {
        const size_t n = strcspn(p, " \t");
        if (people_find(people, PEOPLE_USERS, p, n) == NULL && people_find(people, PEOPLE_ALIASES, p, n) == NULL &&
            !is_outside(config, p, n)) {
            ++*faults;
            printf("%s/aliases: %s leads to %.*s, which is neither a user nor an alias\n", config->data, alias->address,
                   (int)n, p);
        }
        p += n + strspn(p + n, " \t");
    }
}

static bool check_people(const struct config *config, unsigned *faults)
{
    struct people *people = people_read(config->data, stderr);
    if (people == NULL)
        return false;
    const struct entries *users = &people->of[PEOPLE_USERS], *aliases = &people->of[PEOPLE_ALIASES];
    for (size_t i = 0; i < users->n; i++)
        check_domain(config, "users", users->all[i].address, faults);
    for (size_t i = 0; i < aliases->n; i++) {
        check_domain(config, "aliases", aliases->all[i].address, faults);
        check_targets(config, people, &aliases->all[i], faults);
    }
    people_unref(people);
    return true;
}

int doctor(const struct config *config)
{
    char path[PATH_OCTETS + 16];
    unsigned faults = 0;
    if (!privileges_drop(config))
        return 1;
    snprintf(path, sizeof path, "%s/store", config->data);
    const mailsrv_durable_setup setup = { .size = sizeof setup, .directory = path };
    const bool read = check_people(config, &faults);
    const int32_t found = mailsrv_durable_check(&setup, show_fault, &faults);
    if (found == MAILSRV_INUSE)
        fprintf(stderr,
                "mailserverd: %s: a server runs on it; look at a copy (mailserverd backup), or end the server\n", path);
    else if (found != MAILSRV_OK && found != MAILSRV_CORRUPT)
        fprintf(stderr, "mailserverd: %s: %s\n", path, mailsrv_strerror(found));
    else
        printf("%s: %u faults\n", config->data, faults);
    return read && found == MAILSRV_OK && faults == 0 ? 0 : 1;
}
