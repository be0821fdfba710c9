/* stats: what the server has counted. */
#include "figures.h"
#include "office.h"

#include <stdlib.h>
#include <string.h>

int do_stats(struct errand *e)
{
    if (e->office->count == NULL) {
        fprintf(e->err, "mailserverd: no server runs on %s\n", e->config->data);
        return 1;
    }
    struct figures *figures = calloc(1, sizeof *figures);
    if (figures == NULL)
        return errand_failed(e, "stats", MAILSRV_NOMEM);
    const bool ok = e->office->count(e->office->user, figures);
    if (!ok)
        fprintf(e->err, "mailserverd: a thread does not answer: its figures are missing\n");
    if (e->argc == 2)
        figures_show_json(figures, e->office->store, e->out);
    else
        figures_show(figures, e->office->store, e->out);
    free(figures);
    return ok ? 0 : 1;
}
