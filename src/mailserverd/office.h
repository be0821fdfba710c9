/* Whoever has the store administers it: commands come as frames (wire.h), from a subcommand of this program. */
#ifndef MAILSERVERD_OFFICE_H
#define MAILSERVERD_OFFICE_H

#include "config.h"
#include "desk.h"
#include "people.h"
#include "wire.h"

struct figures;
struct queue_order;

struct office {
    mailsrv_store *store;
    struct desks desks;
    pthread_mutex_t mutex;       /* of what follows: one change at a time */
    const struct config *config; /* its own reference */
    struct people *people;       /* the newest */
    /* There are other people now; its own reference each time.  Any thread.  NULL: nobody is told. */
    void (*on_people)(void *user, struct people *people);
    /* Lines that say how the server is; NULL: it is not running. */
    void (*show_status)(void *user, const struct config *config, FILE *out);
    /* What all threads have counted; false: of some it is missing.  NULL: it is not running. */
    bool (*count)(void *user, struct figures *out);
    /* Has the queue do something, and waits for that; false: it cannot.  NULL: it is not running. */
    bool (*order)(void *user, struct queue_order *what);
    void *user;
};

/* One command, while it runs. */
struct errand {
    struct office *office;
    const struct config *config; /* when it began; its own reference */
    int fd;
    FILE *out, *err;
    struct frame *frame; /* of its input */
    size_t at;           /* read of it */
    bool at_end;
    size_t argc;
    char **argv; /* the command's words; NULL-ended */
};

/* Takes the lock of config->data, makes it where it is not there, and reads who has mail.  False: it has told `err`. */
bool office_open(struct office *office, const struct config *config, FILE *err);
void office_close(struct office *office);

/* Another configuration from now on, and users and aliases as the files now have them. */
void office_reconfigure(struct office *office, const struct config *config);

/* Reads users and aliases anew, and tells of them; under the mutex.  False: it has told `err`, and all is as before. */
bool office_reload(struct office *office, FILE *err);

/* Serves one command on a connection, which stays open; waits as long as that takes. */
void office_serve(struct office *office, int fd);

/* Input: exactly `n` octets, or a line without its end.  False: there is not so much. */
bool errand_read(struct errand *errand, void *p, size_t n);
bool errand_line(struct errand *errand, char *line, size_t room);
bool errand_has_input(struct errand *errand);

/* The address that a word means, in lower case, ADDRESS_MAX octets: pat is pat@ the first domain; with `catch_all`
 * @DOMAIN is one, too.  False: it is none of ours, and `err` has been told. */
bool errand_address(const struct errand *errand, const char *word, bool catch_all, char *out);

/* Is a word an address of another domain?  Then it is in `out`, as above. */
bool errand_is_outside(const struct errand *errand, const char *word, char *out);

/* Tells a failure on `err`; the exit status for it. */
int errand_failed(const struct errand *errand, const char *what, int32_t status);

/* ---- Commands: each returns its exit status ---- */

int do_user(struct errand *errand);
int do_alias(struct errand *errand);
int do_backup(struct errand *errand);
int do_import(struct errand *errand);
int do_export(struct errand *errand);
int do_status(struct errand *errand);
int do_stats(struct errand *errand);
int do_queue(struct errand *errand);

#endif
