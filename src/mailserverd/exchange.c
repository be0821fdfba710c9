#include "exchange.h"

#include <stdlib.h>
#include <string.h>

static bool read_text(const struct exchange_source *from, char *out, size_t n, size_t most)
{
    if (n > most || !from->read(from->user, out, n))
        return false;
    out[n] = '\0';
    return strlen(out) == n;
}

static enum exchanged read_mailbox(const struct exchange_source *from, const char *line, struct exchanged_mailbox *m)
{
    size_t n;
    if (sscanf(line, "mailbox %zu %" SCNu32 " %" SCNu32 " %" SCNu32, &n, &m->attributes, &m->uidvalidity,
               &m->uidnext) != 4 ||
        n == 0 || !read_text(from, m->name, n, EXCHANGE_NAME_MAX))
        return EXCHANGED_WRONG;
    return EXCHANGED_MAILBOX;
}

static enum exchanged read_message(const struct exchange_source *from, const char *line, struct exchanged_message *m)
{
    size_t n_uidl, n_keywords;
    if (sscanf(line, "message %" SCNu64 " %" SCNu32 " %" SCNd64 " %" SCNu32 " %zu %zu", &m->octets, &m->flags,
               &m->internal_us, &m->uid, &n_uidl, &n_keywords) != 6 ||
        !read_text(from, m->uidl, n_uidl, EXCHANGE_UIDL_MAX) ||
        !read_text(from, m->keywords, n_keywords, EXCHANGE_KEYWORDS_MAX))
        return EXCHANGED_WRONG;
    return EXCHANGED_MESSAGE;
}

enum exchanged exchange_next(const struct exchange_source *from, struct exchanged_mailbox *mailbox,
                             struct exchanged_message *message)
{
    char line[EXCHANGE_LINE];
    if (!from->line(from->user, line, sizeof line))
        return EXCHANGED_END;
    return strncmp(line, "mailbox ", 8) == 0 ? read_mailbox(from, line, mailbox) : read_message(from, line, message);
}

bool exchange_take_all(const struct exchange_source *from, const struct exchange_sink *to)
{
    struct exchanged_mailbox mailbox;
    struct exchanged_message *message = calloc(1, sizeof *message);
    bool ok = message != NULL, more = true;
    while (ok && more) {
        const enum exchanged what = exchange_next(from, &mailbox, message);
        more = what != EXCHANGED_END;
        if (what == EXCHANGED_MAILBOX)
            ok = to->begin_mailbox(to->user, &mailbox);
        else if (what == EXCHANGED_MESSAGE)
            ok = to->take_message(to->user, from, message);
        else
            ok = what == EXCHANGED_END;
    }
    free(message);
    return ok;
}

void exchange_put_mailbox(FILE *to, const struct exchanged_mailbox *m)
{
    fprintf(to, "mailbox %zu %" PRIu32 " %" PRIu32 " %" PRIu32 "\n%s", strlen(m->name), m->attributes, m->uidvalidity,
            m->uidnext, m->name);
}

void exchange_put_message(FILE *to, const struct exchanged_message *m)
{
    fprintf(to, "message %" PRIu64 " %" PRIu32 " %" PRId64 " %" PRIu32 " %zu %zu\n%s%s", m->octets, m->flags,
            m->internal_us, m->uid, strlen(m->uidl), strlen(m->keywords), m->uidl, m->keywords);
}
