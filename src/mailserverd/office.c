#include "office.h"
#include "text.h"

#include <mailsrv/stores/durable.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS_MAX = 72 };

/* ---- Opening ---- */

static bool failed(FILE *err, const char *what, int32_t status)
{
    if (status != MAILSRV_OK)
        fprintf(err, "mailserverd: %s: %s\n", what, mailsrv_strerror(status));
    return status != MAILSRV_OK;
}

static bool make_directory(const char *path, FILE *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    fprintf(err, "mailserverd: %s: %s\n", path, strerror(errno));
    return false;
}

static bool open_store(struct office *office, FILE *err)
{
    char path[PATH_OCTETS + 16];
    snprintf(path, sizeof path, "%s/store", office->config->data);
    const mailsrv_durable_setup setup = { .size = sizeof setup,
                                          .directory = path,
                                          .index_octets = office->config->index_memory };
    return make_directory(office->config->data, err) && make_directory(path, err) &&
           !failed(err, path, mailsrv_durable_open(&setup, &office->store));
}

/* Who is in the file has an account in the store. */
static bool give_accounts(const struct office *office, struct people *people, FILE *err)
{
    for (size_t i = 0; i < people->of[PEOPLE_USERS].n; i++) {
        struct entry *p = &people->of[PEOPLE_USERS].all[i];
        const size_t n = strlen(p->address);
        int32_t status = mailsrv_durable_find_account(office->store, p->address, n, &p->account);
        if (status == MAILSRV_NONEXISTENT)
            status = mailsrv_durable_add_account(office->store, p->address, n, &p->account);
        if (failed(err, p->address, status))
            return false;
    }
    return true;
}

bool office_reload(struct office *office, FILE *err)
{
    struct people *people = people_read(office->config->data, err);
    if (people == NULL || !give_accounts(office, people, err)) {
        people_unref(people);
        return false;
    }
    struct people *before = office->people;
    office->people = people;
    people_unref(before);
    if (office->on_people != NULL)
        office->on_people(office->user, people_ref(people));
    return true;
}

void office_reconfigure(struct office *office, const struct config *config)
{
    pthread_mutex_lock(&office->mutex);
    config_unref(office->config);
    office->config = config_ref(config);
    office_reload(office, stderr);
    pthread_mutex_unlock(&office->mutex);
}

bool office_open(struct office *office, const struct config *config, FILE *err)
{
    memset(office, 0, sizeof *office);
    office->config = config_ref(config);
    pthread_mutex_init(&office->mutex, NULL);
    if (!open_store(office, err)) {
        config_unref(config);
        return false;
    }
    desks_begin(&office->desks, office->store);
    if (office_reload(office, err))
        return true;
    office_close(office);
    return false;
}

void office_close(struct office *office)
{
    desks_end_engines(&office->desks);
    mailsrv_store_free(office->store);
    desks_end(&office->desks);
    people_unref(office->people);
    config_unref(office->config);
    office->store = NULL;
    office->people = NULL;
}

/* ---- Input ---- */

static bool next_frame(struct errand *e)
{
    if (e->at_end)
        return false;
    e->at = 0;
    if (!wire_receive(e->fd, e->frame) || e->frame->kind != WIRE_DATA) {
        e->at_end = true;
        e->frame->n = 0;
    }
    return !e->at_end;
}

bool errand_has_input(struct errand *e)
{
    while (e->at == e->frame->n)
        if (!next_frame(e))
            return false;
    return true;
}

bool errand_read(struct errand *e, void *p, size_t n)
{
    char *to = p;
    while (n > 0) {
        if (!errand_has_input(e))
            return false;
        const size_t here = e->frame->n - e->at < n ? e->frame->n - e->at : n;
        memcpy(to, e->frame->octets + e->at, here);
        e->at += here;
        to += here;
        n -= here;
    }
    return true;
}

bool errand_line(struct errand *e, char *line, size_t room)
{
    for (size_t n = 0; n < room && errand_has_input(e); n++) {
        line[n] = e->frame->octets[e->at++];
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
    }
    return false;
}

/* ---- A command ---- */

#define NOT_OF_AN_ADDRESS " \t\"(),:;<>[\\]"

bool errand_is_outside(const struct errand *e, const char *word, char *out)
{
    const char *at = strrchr(word, '@');
    const size_t n = strlen(word);
    if (at == NULL || at == word || at[1] == '\0' || n >= ADDRESS_MAX || strpbrk(word, NOT_OF_AN_ADDRESS) != NULL ||
        config_has_domain(e->config, at + 1, strlen(at + 1)))
        return false;
    memcpy(out, word, n + 1);
    text_lower(out);
    return true;
}

bool errand_address(const struct errand *e, const char *word, bool catch_all, char *out)
{
    const struct config *c = e->config;
    const char *at = strrchr(word, '@');
    const int n = snprintf(out, ADDRESS_MAX, "%s%s%s", word, at == NULL ? "@" : "", at == NULL ? c->domains[0] : "");
    text_lower(out);
    if (n < 0 || n >= ADDRESS_MAX || (*out == '@' && !catch_all) || strpbrk(out, NOT_OF_AN_ADDRESS) != NULL)
        fprintf(e->err, "mailserverd: %s: expected an address, as in pat@%s%s\n", word, c->domains[0],
                catch_all ? ", or @ and a domain for all others in it" : "");
    else if (at != NULL && !config_has_domain(c, at + 1, strlen(at + 1)))
        fprintf(e->err, "mailserverd: %s: expected an address in one of the domains of %s\n", word, c->path);
    else
        return true;
    return false;
}

int errand_failed(const struct errand *e, const char *what, int32_t status)
{
    failed(e->err, what, status);
    return 1;
}

static const struct command {
    const char *name;
    int (*run)(struct errand *errand);
} commands[] = {
    { "user", do_user },     { "alias", do_alias },   { "backup", do_backup }, { "import", do_import },
    { "export", do_export }, { "status", do_status }, { "stats", do_stats },
    { "queue", do_queue },
};

static int run(struct errand *e)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (e->argc > 0 && strcmp(commands[i].name, e->argv[0]) == 0)
            return commands[i].run(e);
    fprintf(e->err, "mailserverd: the server does not know this command: it is of another version\n");
    return 1;
}

/* The words of a command; false: it is none. */
static bool receive_words(struct errand *e, char **words)
{
    while (wire_receive(e->fd, e->frame)) {
        if (e->frame->kind == WIRE_GO)
            return true;
        if (e->frame->kind != WIRE_WORD || e->argc == WORDS_MAX)
            return false;
        words[e->argc] = strndup(e->frame->octets, e->frame->n);
        if (words[e->argc] == NULL)
            return false;
        e->argc++;
    }
    return false;
}

static void converse(struct errand *e)
{
    char *words[WORDS_MAX + 1] = { NULL };
    e->argv = words;
    if (receive_words(e, words)) {
        e->frame->n = e->at = 0;
        const char status = (char)run(e);
        fflush(e->out);
        fflush(e->err);
        wire_send(e->fd, WIRE_EXIT, &status, 1);
    }
    for (size_t i = 0; i < e->argc; i++)
        free(words[i]);
}

void office_serve(struct office *office, int fd)
{
    struct errand e = { .office = office, .fd = fd };
    pthread_mutex_lock(&office->mutex);
    e.config = config_ref(office->config);
    pthread_mutex_unlock(&office->mutex);
    e.out = wire_stream(fd, WIRE_OUT);
    e.err = wire_stream(fd, WIRE_ERR);
    e.frame = malloc(sizeof *e.frame);
    if (e.out != NULL && e.err != NULL && e.frame != NULL)
        converse(&e);
    if (e.out != NULL)
        fclose(e.out);
    if (e.err != NULL)
        fclose(e.err);
    if (e.frame != NULL)
        explicit_bzero(e.frame, sizeof *e.frame); /* a password may have come by it */
    free(e.frame);
    config_unref(e.config);
}
