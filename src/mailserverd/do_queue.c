/* queue list | hold | release | retry | drop | return | reroute */
#include "loop.h"
#include "office.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NUMBERS_MAX = 64, PAGE = 256, WRONG_COMMAND = 2 };

/* Which items a command is about. */
struct choice {
    mailsrv_queue_match match;
    uint64_t numbers[NUMBERS_MAX];
    bool all, json;
};

static const struct action {
    const char *name;
    int32_t action;
} actions[] = {
    { "hold", MAILSRV_QUEUE_HOLD }, { "release", MAILSRV_QUEUE_RELEASE }, { "retry", MAILSRV_QUEUE_RETRY },
    { "drop", MAILSRV_QUEUE_DROP }, { "return", MAILSRV_QUEUE_RETURN },   { "reroute", MAILSRV_QUEUE_REROUTE },
};

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

/* ---- Words ---- */

static bool take_number(struct choice *c, const char *word)
{
    char *end;
    const uint64_t number = strtoull(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || c->match.n_queues == NUMBERS_MAX)
        return false;
    c->numbers[c->match.n_queues++] = number;
    return true;
}

/* An option with a value; NULL: it has none, or is not known. */
static mailsrv_bytes *place_of(struct choice *c, const char *option)
{
    if (strcmp(option, "--domain") == 0)
        return &c->match.lane;
    if (strcmp(option, "--from") == 0)
        return &c->match.reverse_path;
    return strcmp(option, "--to") == 0 ? &c->match.recipient : NULL;
}

static bool take_flag(struct choice *c, const char *word)
{
    if (strcmp(word, "--held") == 0)
        c->match.flags |= MAILSRV_QUEUED_HELD;
    else if (strcmp(word, "--all") == 0)
        c->all = true;
    else if (strcmp(word, "--json") == 0)
        c->json = true;
    else
        return false;
    return true;
}

static bool read_choice(const struct errand *e, size_t at, struct choice *c)
{
    *c = (struct choice){ .match = { .size = sizeof c->match, .queues = c->numbers } };
    for (size_t i = at; i < e->argc; i++) {
        mailsrv_bytes *value = place_of(c, e->argv[i]);
        if (value != NULL && i + 1 < e->argc) {
            if (value == &c->match.lane)
                text_lower(e->argv[i + 1]); /* as the store has domains */
            *value = bytes(e->argv[++i]);
        } else if (value != NULL || (!take_flag(c, e->argv[i]) && !take_number(c, e->argv[i]))) {
            fprintf(e->err,
                    "mailserverd: %s: expected numbers (at most %d), --domain DOMAIN, --from ADDRESS, --to ADDRESS, "
                    "--held or --all\n",
                    e->argv[i], NUMBERS_MAX);
            return false;
        }
    }
    return true;
}

static bool chooses(const struct choice *c)
{
    return c->match.n_queues != 0 || c->match.lane.n != 0 || c->match.reverse_path.n != 0 ||
           c->match.recipient.n != 0 || c->match.flags != 0;
}

/* ---- list ---- */

static void write_time(FILE *out, int64_t us)
{
    const time_t s = (time_t)(us / 1000000);
    struct tm tm;
    char text[32];
    if (us <= 0 || us == INT64_MAX || gmtime_r(&s, &tm) == NULL)
        fputs("-", out);
    else if (strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) != 0)
        fputs(text, out);
}

/* What others said may hold anything: a terminal is shown printable octets, JSON is given text. */
static void write_text(FILE *out, mailsrv_bytes text, bool json)
{
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t c = text.p[i];
        if (json && (c == '"' || c == '\\'))
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, json ? "\\u%04x" : "?", c);
        else
            fputc(c, out);
    }
}

static const char *state_of(const mailsrv_queued_mail *mail)
{
    if ((mail->flags & MAILSRV_QUEUED_HELD) != 0)
        return "held";
    return (mail->flags & MAILSRV_QUEUED_BOUNCE) != 0 ? "failed" : mail->tries != 0 ? "waiting" : "new";
}

static void show_line(FILE *out, const mailsrv_queued_mail *mail)
{
    fprintf(out, "%" PRIu64 " %s %" PRIu64 " ", mail->queue, state_of(mail), mail->octets);
    write_time(out, mail->arrived_us);
    fputc(' ', out);
    write_time(out, mail->due_us);
    fprintf(out, " %" PRIu32 " <", mail->tries);
    write_text(out, mail->reverse_path, false);
    fputs("> <", out);
    write_text(out, mail->recipient, false);
    fputc('>', out);
    if (mail->text.n != 0 || mail->code != 0) {
        fputs(" ", out);
        write_text(out, mail->host, false);
        fprintf(out, "%s%" PRIu32 " ", mail->host.n != 0 ? ": " : "", mail->code);
        write_text(out, mail->text, false);
    }
    fputc('\n', out);
}

static void show_member(FILE *out, const char *name, mailsrv_bytes text)
{
    fprintf(out, ",\"%s\":\"", name);
    write_text(out, text, true);
    fputc('"', out);
}

static void show_json(FILE *out, const mailsrv_queued_mail *mail)
{
    fprintf(out,
            "{\"queue\":%" PRIu64 ",\"state\":\"%s\",\"octets\":%" PRIu64 ",\"arrived_us\":%" PRId64
            ",\"due_us\":%" PRId64 ",\"tries\":%" PRIu32 ",\"code\":%" PRIu32,
            mail->queue, state_of(mail), mail->octets, mail->arrived_us, mail->due_us == INT64_MAX ? -1 : mail->due_us,
            mail->tries, mail->code);
    show_member(out, "from", mail->reverse_path);
    show_member(out, "to", mail->recipient);
    show_member(out, "domain", mail->lane);
    show_member(out, "route", mail->route);
    show_member(out, "host", mail->host);
    show_member(out, "text", mail->text);
    fputs("}\n", out);
}

static void show_page(const struct errand *e, const struct choice *c, const mailsrv_queued *page)
{
    for (uint32_t i = 0; i < page->n; i++) {
        const char *item = (const char *)page->items + (size_t)i * page->stride;
        mailsrv_queued_mail mail = { .size = sizeof mail };
        if (mailsrv_queued_read((const mailsrv_queue_item *)(const void *)item, &mail) != MAILSRV_OK)
            fprintf(e->err, "mailserverd: %" PRIu64 ": it has a record that this version cannot read\n",
                    ((const mailsrv_queue_item *)(const void *)item)->queue);
        else if (mailsrv_queued_fits(&mail, &c->match) == 1)
            c->json ? show_json(e->out, &mail) : show_line(e->out, &mail);
    }
}

/* Of a domain no more is gone through than is its own, by the time of the next try. */
static mailsrv_arg_queue_scan first_page(const struct choice *c)
{
    return (mailsrv_arg_queue_scan){ .size = sizeof(mailsrv_arg_queue_scan),
                                     .limit = PAGE,
                                     .order = c->match.lane.n != 0 ? MAILSRV_QUEUE_BY_LANE : MAILSRV_QUEUE_BY_NUMBER,
                                     .due_min_us = INT64_MIN,
                                     .due_max_us = INT64_MAX,
                                     .lane = c->match.lane };
}

/* It goes on as long as there is more, and somebody reads it: a server that ends waits for it. */
static int32_t list_with(struct errand *e, struct desk *desk, const struct choice *c)
{
    mailsrv_arg_queue_scan arg = first_page(c);
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const int32_t status = desk_ask(desk, MAILSRV_OP_QUEUE_SCAN, NULL, &arg, &asked);
        if (status == MAILSRV_OK) {
            const mailsrv_queued *page = desk_value(asked);
            show_page(e, c, page);
            arg.cursor = page->next;
            more = page->more != 0 && !ferror(e->out);
        }
        desk_free(desk, asked);
        if (status != MAILSRV_OK)
            return status;
    }
    return MAILSRV_OK;
}

static int list(struct errand *e, const struct choice *c)
{
    struct desk *desk = desk_take(&e->office->desks);
    const int32_t status = desk == NULL ? MAILSRV_NOMEM : list_with(e, desk, c);
    if (desk != NULL)
        desk_return(&e->office->desks, desk);
    return status == MAILSRV_OK ? 0 : errand_failed(e, "queue list", status);
}

/* ---- The rest ---- */

static int not_done(const struct errand *e, const char *name, int32_t status)
{
    char what[32];
    snprintf(what, sizeof what, "queue %s", name);
    return errand_failed(e, what, status);
}

static int change(struct errand *e, const struct action *action, const struct choice *c, const char *route)
{
    struct queue_order order = { .match = c->match, .action = action->action, .route = bytes(route) };
    if (!chooses(c) && !c->all) {
        fprintf(e->err, "mailserverd: queue %s: expected what it is about, or --all\n", action->name);
        return WRONG_COMMAND;
    }
    if (*route != '\0' && config_route_named(e->config, bytes(route)) == NULL) {
        fprintf(e->err, "mailserverd: %s: expected the name of a [route NAME] in %s, or default\n", route,
                e->config->path);
        return 1;
    }
    if (e->office->order == NULL || !e->office->order(e->office->user, &order)) {
        fprintf(e->err, "mailserverd: no server runs on %s\n", e->config->data);
        return 1;
    }
    if (order.status != MAILSRV_OK)
        return not_done(e, action->name, order.status);
    fprintf(e->out, "%" PRIu64 "\n", order.n);
    return 0;
}

static const struct action *action_named(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

int do_queue(struct errand *e)
{
    const char *what = e->argc > 1 ? e->argv[1] : "list";
    const struct action *action = action_named(what);
    const bool lists = strcmp(what, "list") == 0, routes = strcmp(what, "reroute") == 0;
    struct choice choice;
    if (action == NULL && !lists) {
        fprintf(e->err, "mailserverd: queue %s: expected list, hold, release, retry, drop, return or reroute\n", what);
        return WRONG_COMMAND;
    }
    if (routes && (e->argc < 3 || e->argv[2][0] == '-')) {
        fputs("mailserverd: queue reroute: expected the name of a route, or default\n", e->err);
        return WRONG_COMMAND;
    }
    if (!read_choice(e, routes ? 3 : 2, &choice))
        return WRONG_COMMAND;
    if (lists)
        return list(e, &choice);
    return change(e, action, &choice, routes && strcmp(e->argv[2], "default") != 0 ? e->argv[2] : "");
}
