#include "subcommand.h"
#include "control.h"
#include "folders.h"
#include "office.h"
#include "password.h"
#include "privileges.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { CANNOT_BE_SAID = 2 };

/* ---- Who does it ---- */

struct doer {
    int fd;      /* of this end */
    pid_t child; /* where no server runs; 0: one does */
};

/* As the server would: what it makes is its user's.  Who typed the command may be root, and reads files of others. */
static _Noreturn void serve_here(const struct config *config, int fd)
{
    static struct office office;
    const char failed = 1;
    umask(077);
    if (!privileges_drop(config) || !office_open(&office, config, stderr)) {
        wire_send(fd, WIRE_EXIT, &failed, 1);
        _exit(1);
    }
    office_serve(&office, fd);
    office_close(&office);
    _exit(0);
}

static bool begin_here(struct doer *d, const struct config *config)
{
    int both[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both) != 0 || (d->child = fork()) < 0) {
        fprintf(stderr, "mailserverd: %s\n", strerror(errno));
        return false;
    }
    if (d->child == 0) {
        close(both[0]);
        serve_here(config, both[1]);
    }
    close(both[1]);
    d->fd = both[0];
    return true;
}

static bool begin(struct doer *d, const struct config *config)
{
    *d = (struct doer){ .fd = control_connect(config->data) };
    if (d->fd >= 0)
        return true;
    if (errno == ENOENT || errno == ECONNREFUSED) /* no server, or one that ended without a word */
        return begin_here(d, config);
    fprintf(stderr, "mailserverd: %s: %s\n", config->data, strerror(errno));
    return false;
}

static void end(struct doer *d)
{
    shutdown(d->fd, SHUT_RDWR);
    close(d->fd);
    if (d->child > 0)
        waitpid(d->child, NULL, 0);
}

static bool say(const struct doer *d, char **words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!wire_send(d->fd, WIRE_WORD, words[i], strlen(words[i])))
            return false;
    return wire_send(d->fd, WIRE_GO, NULL, 0);
}

/* ---- What it answers ---- */

/* DATA, as a source: what stands between is shown. */
struct answer {
    const struct doer *doer;
    struct frame *frame;
    size_t at;
    int status; /* once it has come; -1 */
};

/* Shows what comes until there is DATA, its END, or EXIT; false: no DATA. */
static bool next_data(struct answer *a)
{
    a->at = 0;
    while (a->status < 0) {
        if (!wire_receive(a->doer->fd, a->frame)) {
            fprintf(stderr, "mailserverd: the server has gone\n");
            a->status = 1;
            break;
        }
        if (a->frame->kind == WIRE_DATA && a->frame->n > 0)
            return true;
        if (a->frame->kind == WIRE_END)
            break;
        if (a->frame->kind == WIRE_OUT)
            fwrite(a->frame->octets, 1, a->frame->n, stdout);
        if (a->frame->kind == WIRE_ERR)
            fwrite(a->frame->octets, 1, a->frame->n, stderr);
        if (a->frame->kind == WIRE_EXIT)
            a->status = a->frame->n == 1 ? a->frame->octets[0] : 1;
    }
    a->frame->n = 0;
    return false;
}

static bool read_answer(void *user, void *p, size_t n)
{
    struct answer *a = user;
    char *to = p;
    while (n > 0) {
        if (a->at == a->frame->n && !next_data(a))
            return false;
        const size_t here = a->frame->n - a->at < n ? a->frame->n - a->at : n;
        memcpy(to, a->frame->octets + a->at, here);
        a->at += here;
        to += here;
        n -= here;
    }
    return true;
}

static bool read_answer_line(void *user, char *line, size_t room)
{
    for (size_t n = 0; n < room && read_answer(user, line + n, 1); n++)
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
    return false;
}

static int finish(struct answer *a)
{
    while (a->status < 0)
        next_data(a);
    return a->status;
}

/* ---- Passwords ---- */

static bool read_line(char *out)
{
    if (fgets(out, PASSWORD_MAX, stdin) == NULL)
        return false;
    const size_t n = strcspn(out, "\r\n");
    const bool whole = out[n] != '\0' || feof(stdin);
    out[n] = '\0';
    return whole && n > 0;
}

static bool ask_once(const char *prompt, char *out)
{
    struct termios before, quiet;
    const bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "%s: ", prompt);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    const bool ok = read_line(out);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    return ok;
}

/* From a terminal it is asked for twice, from a pipe it is a line. */
static bool ask_password(char *out)
{
    char again[PASSWORD_MAX];
    bool ok = ask_once("Password", out);
    if (!ok)
        fprintf(stderr, "mailserverd: expected a password of 1 to %d octets in a line of standard input\n",
                PASSWORD_MAX - 2);
    if (ok && isatty(STDIN_FILENO)) {
        ok = ask_once("Once more", again) && strcmp(out, again) == 0;
        if (!ok)
            fprintf(stderr, "mailserverd: the two are not the same\n");
        explicit_bzero(again, sizeof again);
    }
    return ok;
}

/* ---- Subcommands ---- */

/* What a person typed, and what is given beside the words. */
struct request {
    char **words;
    size_t n;
    bool (*feed)(const struct request *request, FILE *to);                           /* NULL: no input */
    bool (*take)(const struct request *request, const struct exchange_source *from); /* NULL: no output but text */
    const char *path, *mailbox;
    char password[PASSWORD_MAX];
};

static bool feed_password(const struct request *r, FILE *to)
{
    fprintf(to, "%s\n", r->password);
    return true;
}

static bool feed_maildir(const struct request *r, FILE *to)
{
    return maildir_read(r->path, to);
}

static bool feed_mbox(const struct request *r, FILE *to)
{
    return mbox_read(r->path, r->mailbox, to);
}

static bool take_maildir(const struct request *r, const struct exchange_source *from)
{
    return maildir_write(r->path, from);
}

static bool take_mbox(const struct request *r, const struct exchange_source *from)
{
    return mbox_write(r->path, from);
}

struct feeder {
    const struct request *request;
    const struct doer *doer;
    bool ok;
};

static void *feed(void *user)
{
    struct feeder *f = user;
    FILE *to = wire_stream(f->doer->fd, WIRE_DATA);
    f->ok = to != NULL && f->request->feed(f->request, to);
    if (to != NULL)
        fclose(to);
    wire_send(f->doer->fd, WIRE_END, NULL, 0);
    return NULL;
}

/* Input goes out on a thread of its own, so that neither end waits for the other. */
static int converse(const struct request *r, const struct doer *doer, struct frame *frame)
{
    struct answer a = { .doer = doer, .frame = frame, .status = -1 };
    const struct exchange_source from = { &a, read_answer, read_answer_line };
    struct feeder f = { r, doer, true };
    pthread_t thread;
    frame->n = 0;
    frame->kind = WIRE_GO;
    const bool feeds = r->feed != NULL && pthread_create(&thread, NULL, feed, &f) == 0;
    const bool taken = r->take == NULL || r->take(r, &from);
    const int status = finish(&a);
    if (feeds) {
        shutdown(doer->fd, SHUT_RDWR);
        pthread_join(thread, NULL);
    }
    return status != 0 ? status : taken && f.ok ? 0 : 1;
}

static int perform(const struct config *config, const struct request *r)
{
    struct doer doer;
    struct frame *frame = malloc(sizeof *frame);
    int status = 1;
    if (frame != NULL && begin(&doer, config)) {
        if (say(&doer, r->words, r->n))
            status = converse(r, &doer, frame);
        else
            fprintf(stderr, "mailserverd: the server has gone\n");
        end(&doer);
    }
    free(frame);
    return status;
}

static int expected(const char *what)
{
    fprintf(stderr, "mailserverd: expected %s\n", what);
    return CANNOT_BE_SAID;
}

static int user(const struct config *config, struct request *r)
{
    const char *what = r->n > 1 ? r->words[1] : "";
    const bool sets = strcmp(what, "add") == 0 || strcmp(what, "passwd") == 0;
    const bool removes = strcmp(what, "remove") == 0;
    if (!(strcmp(what, "list") == 0 && r->n == 2) && !(sets && r->n == 3) && !(removes && r->n == 3) &&
        !(removes && r->n == 4 && strcmp(r->words[3], "--mail") == 0))
        return expected("user add ADDRESS, user passwd ADDRESS, user remove ADDRESS [--mail] or user list");
    if (sets && !ask_password(r->password))
        return 1;
    r->feed = sets ? feed_password : NULL;
    const int status = perform(config, r);
    explicit_bzero(r->password, sizeof r->password);
    return status;
}

static int alias(const struct config *config, struct request *r)
{
    const char *what = r->n > 1 ? r->words[1] : "";
    if (!(strcmp(what, "list") == 0 && r->n == 2) && !(strcmp(what, "remove") == 0 && r->n == 3) &&
        !(strcmp(what, "add") == 0 && r->n >= 4 && r->n <= 3 + TARGETS_MAX))
        return expected("alias add ADDRESS TARGET..., alias remove ADDRESS or alias list");
    return perform(config, r);
}

/* import ADDRESS --maildir PATH | --mbox FILE [--mailbox NAME] */
static int import(const struct config *config, struct request *r)
{
    const bool maildir = r->n == 4 && strcmp(r->words[2], "--maildir") == 0;
    const bool mbox =
        (r->n == 4 || (r->n == 6 && strcmp(r->words[4], "--mailbox") == 0)) && strcmp(r->words[2], "--mbox") == 0;
    if (!maildir && !mbox)
        return expected("import ADDRESS --maildir DIRECTORY or import ADDRESS --mbox FILE [--mailbox NAME]");
    r->path = r->words[3];
    r->mailbox = r->n == 6 ? r->words[5] : "INBOX";
    r->feed = maildir ? feed_maildir : feed_mbox;
    r->n = 2;
    return perform(config, r);
}

static int export(const struct config *config, struct request *r)
{
    const bool maildir = r->n == 4 && strcmp(r->words[2], "--maildir") == 0;
    const bool mbox = r->n == 4 && strcmp(r->words[2], "--mbox") == 0;
    if (!maildir && !mbox)
        return expected("export ADDRESS --maildir DIRECTORY or export ADDRESS --mbox DIRECTORY");
    r->path = r->words[3];
    r->take = maildir ? take_maildir : take_mbox;
    r->n = 2;
    return perform(config, r);
}

/* The server writes it, wherever it stands. */
static int backup(const struct config *config, struct request *r)
{
    char whole[PATH_OCTETS];
    if (r->n != 2)
        return expected("backup DIRECTORY");
    if (r->words[1][0] != '/') {
        if (getcwd(whole, sizeof whole) == NULL || strlen(whole) + strlen(r->words[1]) + 2 > sizeof whole)
            return expected("a shorter path");
        strcat(whole, "/");
        strcat(whole, r->words[1]);
        r->words[1] = whole;
    }
    return perform(config, r);
}

static int status(const struct config *config, struct request *r)
{
    return r->n == 1 ? perform(config, r) : expected("status");
}

static int stats(const struct config *config, struct request *r)
{
    const bool json = r->n == 2 && strcmp(r->words[1], "--json") == 0;
    return r->n == 1 || json ? perform(config, r) : expected("stats [--json]");
}

/* Whoever does it reads the words. */
static int queue(const struct config *config, struct request *r)
{
    return perform(config, r);
}

static const struct {
    const char *name;
    int (*run)(const struct config *config, struct request *request);
} known[] = {
    { "user", user },     { "alias", alias },   { "import", import }, { "export", export },
    { "backup", backup }, { "status", status }, { "stats", stats },   { "queue", queue },
};

int subcommand(const struct config *config, int argc, char **argv)
{
    struct request r = { .words = argv, .n = (size_t)argc };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, argv[0]) == 0)
            return known[i].run(config, &r);
    return expected("a subcommand that mailserverd --help names");
}
