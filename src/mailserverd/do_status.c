/* status: how the server is. */
#include "office.h"

int do_status(struct errand *e)
{
    if (e->office->show_status == NULL) {
        fprintf(e->out, "no server runs on %s\n", e->config->data);
        return 1;
    }
    e->office->show_status(e->office->user, e->config, e->out);
    return 0;
}
