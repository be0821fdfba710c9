#include "gate.h"
#include "keyed.h"

#include <inttypes.h>

bool gate_begin(struct gate *g)
{
    crowd_begin(&g->crowd);
    const bool ok = keyed_begin() && guard_begin(&g->guard) && remembered_begin(&g->remembered) &&
                    meter_begin(&g->messages) && meter_begin(&g->recipients);
    if (!ok)
        fprintf(stderr, "mailserverd: out of memory\n");
    return ok;
}

void gate_end(struct gate *g)
{
    guard_end(&g->guard);
    remembered_end(&g->remembered);
    crowd_end(&g->crowd);
    meter_end(&g->messages);
    meter_end(&g->recipients);
}

static void show(FILE *out, const char *what, const uint64_t *n)
{
    fprintf(out, "%s %" PRIu64 "\n", what, __atomic_load_n(n, __ATOMIC_RELAXED));
}

void gate_show(struct gate *g, uint64_t failures_max, FILE *out)
{
    show(out, "logins failed", &g->guard.failed);
    show(out, "logins refused unheard", &g->guard.refused);
    fprintf(out, "names and addresses at the limit of failures %zu\n", guard_count(&g->guard, failures_max));
    show(out, "logins remembered", &g->remembered.found);
    show(out, "submissions over a limit", &g->over_limit);
}
