/* Zones by chance: what is found is one of what the rules, written down plainly, allow. */
#include "random.h"
#include "routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* Hosts are h0.test to h5.test; we are h5.test, and the mail is for d.test. */
enum { HOSTS = 6, US = 5, MX_MAX = 4, ROOT_NAME = HOSTS, NUMBERS, N_TARGETS, ZONES = 20000 };
enum kind { ADDRESS, NONE, FAILS, SILENT, N_KINDS };

enum { MX_SOME, MX_NONE, MX_NO_DOMAIN, MX_FAILS, N_DOMAINS };

struct host {
    bool there;
    int alias; /* of another host, which is none itself; -1: none */
    enum kind a, aaaa;
};

struct mx {
    unsigned target, preference;
};

struct world {
    struct host hosts[HOSTS];
    unsigned domain; /* MX_... */
    struct host implicit; /* the domain's own addresses */
    struct mx mx[MX_MAX];
    unsigned n;
    char zone[4096];
};

/* ---- A world by chance, and its zone ---- */

static void make_host(struct host *h, uint64_t *chance)
{
    h->there = draw(chance, 6) != 0;
    h->alias = -1;
    h->a = (enum kind)draw(chance, 10);
    h->aaaa = (enum kind)draw(chance, 10);
    h->a = h->a >= N_KINDS ? ADDRESS : h->a;
    h->aaaa = h->aaaa >= N_KINDS ? NONE : h->aaaa;
}

static void make(struct world *w, uint64_t *chance)
{
    memset(w, 0, sizeof *w);
    for (unsigned i = 0; i < HOSTS; i++)
        make_host(&w->hosts[i], chance);
    for (unsigned i = 0; i < 2; i++)
        if (draw(chance, 4) == 0)
            w->hosts[i].alias = (int)(2 + draw(chance, HOSTS - 2));
    make_host(&w->implicit, chance);
    w->domain = draw(chance, 3) != 0 ? 0 : (unsigned)draw(chance, N_DOMAINS);
    w->n = 1 + (unsigned)draw(chance, MX_MAX);
    for (unsigned i = 0; i < w->n; i++)
        w->mx[i] = (struct mx){ (unsigned)draw(chance, N_TARGETS), (unsigned)draw(chance, 3) };
}

static const char *target_name(unsigned target)
{
    static const char *const names[] = { "h0.test", "h1.test", "h2.test", "h3.test", "h4.test", "h5.test", ".", "10.0.0.1" };
    return names[target];
}

static void say(struct world *w, const char *name, const char *text, unsigned number)
{
    size_t n = strlen(w->zone);
    snprintf(w->zone + n, sizeof w->zone - n, "%s %s%.0u\n", name, text, number);
}

static void say_kind(struct world *w, const char *name, enum kind kind, const char *type, const char *address, unsigned i)
{
    size_t n = strlen(w->zone);
    if (kind == ADDRESS)
        snprintf(w->zone + n, sizeof w->zone - n, "%s %s %s%u\n", name, type, address, i + 1);
    if (kind == FAILS || kind == SILENT)
        snprintf(w->zone + n, sizeof w->zone - n, "%s %s %s\n", name, kind == FAILS ? "FAIL" : "SILENT", type);
}

static void say_host(struct world *w, const char *name, const struct host *h, unsigned i)
{
    if (h->alias >= 0) {
        size_t n = strlen(w->zone);
        snprintf(w->zone + n, sizeof w->zone - n, "%s CNAME %s\n", name, target_name((unsigned)h->alias));
        return;
    }
    if (!h->there)
        return;
    say(w, name, "TXT x", 0);
    say_kind(w, name, h->a, "A", "192.0.2.", i);
    say_kind(w, name, h->aaaa, "AAAA", "2001:db8::", i);
}

static void write_zone(struct world *w)
{
    for (unsigned i = 0; i < HOSTS; i++)
        say_host(w, target_name(i), &w->hosts[i], i);
    if (w->domain == MX_FAILS)
        say(w, "d.test", "FAIL MX", 0);
    if (w->domain == MX_NONE) {
        w->implicit.there = true;
        say_host(w, "d.test", &w->implicit, HOSTS);
    }
    for (unsigned i = 0; w->domain == MX_SOME && i < w->n; i++) {
        size_t n = strlen(w->zone);
        snprintf(w->zone + n, sizeof w->zone - n, "d.test MX %u %s\n", w->mx[i].preference, target_name(w->mx[i].target));
    }
}

/* ---- The rules ---- */

struct exchanger {
    const char *name;
    const struct host *host; /* what it leads to */
    unsigned number;         /* of its addresses */
    unsigned preference;
};

struct rules {
    struct exchanger e[MX_MAX];
    unsigned n;
    bool failed;              /* a question that mattered had no answer */
    unsigned best, ours;
    const char *verdict;      /* where nothing is found: how it begins */
    char plan[512];
    bool matched;
    const char *found;
};

static bool fails(const struct host *h)
{
    return h->there && (h->a >= FAILS || h->aaaa >= FAILS);
}

static bool has_some(const struct host *h)
{
    return h->there && (h->a == ADDRESS || h->aaaa == ADDRESS);
}

static void take_mx(const struct world *w, struct rules *r)
{
    for (unsigned i = 0; i < w->n; i++) {
        const struct mx *mx = &w->mx[i];
        const struct host *h = mx->target < HOSTS ? &w->hosts[mx->target] : NULL;
        unsigned number = mx->target;
        if (mx->target != ROOT_NAME && mx->preference < r->best)
            r->best = mx->preference;
        if (h != NULL && h->alias >= 0) {
            number = (unsigned)h->alias;
            h = &w->hosts[number];
        }
        /* under another name we know ourselves by our address records */
        if (h != NULL && number == US && (mx->target == US || has_some(h)) && mx->preference < r->ours)
            r->ours = mx->preference;
        if (h == NULL)
            continue;
        unsigned k = 0;
        while (k < r->n && r->e[k].name != target_name(mx->target))
            k++;
        if (k < r->n && r->e[k].preference <= mx->preference)
            continue;
        r->e[k] = (struct exchanger){ target_name(mx->target), h, number, mx->preference };
        r->n += k == r->n;
    }
}

static void drop_ours(struct rules *r)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->n; i++)
        if (r->e[i].preference < r->ours)
            r->e[n++] = r->e[i];
    r->n = n;
}

static void judge(const struct world *w, struct rules *r)
{
    *r = (struct rules){ .best = 100, .ours = 100 };
    if (w->domain == MX_FAILS || w->domain == MX_NO_DOMAIN) {
        r->verdict = w->domain == MX_FAILS ? "451 4.4.3" : "550 5.1.2";
        return;
    }
    if (w->domain == MX_NONE) {
        r->e[r->n++] = (struct exchanger){ "d.test", &w->implicit, HOSTS, 0 };
        r->best = 0;
    } else {
        take_mx(w, r);
        drop_ours(r);
    }
    for (unsigned i = 0; i < r->n; i++)
        r->failed = r->failed || fails(r->e[i].host);
    r->verdict = r->best == 100                ? "556 5.1.10"
                 : r->ours <= r->best          ? "554 5.4.6"
                 : r->failed || r->ours != 100 ? "451 4.4."
                                               : "550 5.4.4";
}

static void add_address(struct rules *r, const struct exchanger *e, const char *prefix)
{
    char one[64];
    size_t n = strlen(r->plan);
    snprintf(one, sizeof one, "/%s%u ", prefix, e->number + 1);
    if (strstr(r->plan, one) == NULL) /* an address is tried once */
        snprintf(r->plan + n, sizeof r->plan - n, "%s%s", e->name, one);
}

/* Tries all orders of the exchangers that their preferences allow. */
static void try_orders(struct rules *r, unsigned used, unsigned done)
{
    size_t n = strlen(r->plan);
    if (done == r->n) {
        r->matched = r->matched || (n == strlen(r->found) + 1 && memcmp(r->plan, r->found, n - 1) == 0);
        return;
    }
    unsigned least = 100;
    for (unsigned i = 0; i < r->n; i++)
        if ((used >> i & 1) == 0 && r->e[i].preference < least)
            least = r->e[i].preference;
    for (unsigned i = 0; i < r->n; i++) {
        const struct exchanger *e = &r->e[i];
        if ((used >> i & 1) != 0 || e->preference != least)
            continue;
        if (e->host->there && e->host->aaaa == ADDRESS)
            add_address(r, e, "2001:db8::");
        if (e->host->there && e->host->a == ADDRESS)
            add_address(r, e, "192.0.2.");
        try_orders(r, used | 1u << i, done + 1);
        r->plan[n] = '\0';
    }
}

static bool is_allowed(struct rules *r, const char *found)
{
    bool some = false;
    for (unsigned i = 0; i < r->n; i++)
        some = some || has_some(r->e[i].host);
    if (!some)
        return strncmp(found, r->verdict, strlen(r->verdict)) == 0;
    r->found = found;
    try_orders(r, 0, 0);
    return r->matched;
}

static void test_what_the_rules_allow(void **state)
{
    (void)state;
    uint64_t chance = random_seed();
    struct world w;
    struct rules rules;
    struct routed out;
    unsigned verdicts = 0;
    for (unsigned i = 0; i < ZONES; i++) {
        make(&w, &chance);
        write_zone(&w);
        judge(&w, &rules);
        struct route_terms terms = { .domain = SPAN("d.test"), .own = SPAN("h5.test"), .seed = draw(&chance, UINT64_MAX) };
        routes_run(&out, w.zone, &terms, 0);
        verdicts += out.plan[0] >= '0' && out.plan[0] <= '9';
        if (!is_allowed(&rules, out.plan))
            fail_msg("zone %u:\n%sfound %s, verdict %s", i, w.zone, out.plan, rules.verdict);
    }
    assert_in_range(verdicts, ZONES / 4, ZONES / 4 * 3); /* both were seen often enough */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_rules_allow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
