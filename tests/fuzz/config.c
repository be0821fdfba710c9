/* The configuration of mailserverd: a file is taken whole, and then profiles can be made of it, or its mistakes are told,
 * each in a line with file, line and what was expected. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include "plan.h"

static bool is_ended(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

static void check_told(const char *told, size_t n)
{
    static const char begins[] = "mailserverd: the file:";
    CHECK(n != 0 && told[n - 1] == '\n', "nothing whole was told");
    for (const char *line = told; line < told + n;) {
        const char *lf = memchr(line, '\n', (size_t)(told + n - line));
        CHECK((size_t)(lf - line) > sizeof begins && memcmp(line, begins, sizeof begins - 1) == 0, "no file is named");
        CHECK(line[sizeof begins - 1] >= '0' && line[sizeof begins - 1] <= '9', "no line is named");
        CHECK(memmem(line, (size_t)(lf - line), "expected ", 9) != NULL, "nothing was expected");
        line = lf + 1;
    }
}

static void check_listener(const struct config *c, const struct listener *l)
{
    CHECK(is_ended(l->name, sizeof l->name) && *l->name != '\0', "a listener without a name");
    CHECK(l->service != NULL && l->n_addresses >= 1 && l->n_addresses <= ADDRESSES_MAX, "a listener of nothing");
    CHECK(l->secured == SECURED_NEVER || c->n_certificates > 0, "TLS without a certificate");
    for (size_t i = 0; i < l->n_addresses; i++) {
        struct address again;
        char shown[ADDRESS_OCTETS + 16];
        address_show(&l->addresses[i], l->addresses[i].port, shown, sizeof shown);
        CHECK(address_read(shown, &again) && memcmp(&again, &l->addresses[i], sizeof again) == 0, "another address");
        CHECK(!l->plain_passwords || address_is_loopback(&again), "passwords in the clear");
    }
}

static void check_config(const struct config *c)
{
    CHECK(is_ended(c->hostname, NAME_OCTETS) && is_ended(c->data, PATH_OCTETS) && is_ended(c->run_as, WORD_OCTETS),
          "a text without an end");
    CHECK(*c->hostname != '\0' && *c->data != '\0', "nothing where something must be");
    CHECK(c->n_domains >= 1 && c->n_domains <= DOMAINS_MAX, "domains");
    for (size_t i = 0; i < c->n_domains; i++)
        CHECK(is_ended(c->domains[i], NAME_OCTETS) && config_has_domain(c, c->domains[i], strlen(c->domains[i])),
              "a domain");
    CHECK(c->n_certificates <= CERTIFICATES_MAX && c->n_listeners >= 1 && c->n_listeners <= LISTENERS_MAX, "sections");
    for (size_t i = 0; i < c->n_certificates; i++)
        CHECK(is_ended(c->certificates[i].chain, PATH_OCTETS) && is_ended(c->certificates[i].key, PATH_OCTETS) &&
                  *c->certificates[i].chain != '\0' && *c->certificates[i].key != '\0',
              "a certificate");
    for (size_t i = 0; i < c->n_listeners; i++)
        check_listener(c, &c->listeners[i]);
}

static const struct config *read_it(struct span all, char **told, size_t *n_told)
{
    FILE *file = must(fmemopen((void *)(uintptr_t)all.p, all.n, "r")), *err = must(open_memstream(told, n_told));
    const struct config *config = config_read_file(file, "the file", err);
    fclose(file);
    fclose(err);
    return config;
}

/* Certificates are files, which are not looked at here. */
static void make_plan(const struct config *config)
{
    struct plan *plan = plan_of(config_ref(config), NULL);
    CHECK(plan != NULL, "a profile refuses what was taken");
    plan_unref(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *told = NULL;
    size_t n_told = 0;
    if (n == 0)
        return 0;
    char *text = exact((struct span){ (const char *)p, n });
    const struct config *config = read_it((struct span){ text, n }, &told, &n_told);
    if (config == NULL)
        check_told(told, n_told);
    CHECK(config == NULL || n_told == 0, "a mistake was told, and taken");
    if (config != NULL)
        check_config(config);
    if (config != NULL && config->n_certificates == 0)
        make_plan(config);
    config_unref(config);
    free(told);
    free(text);
    return 0;
}
