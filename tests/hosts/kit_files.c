/* The conformance kit over the store of examples/store_files.c, in a directory of its own. */
#include "store_files.h"

#include <mailsrv/stores/kit.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    char directory[64];
    uint64_t descriptors; /* that were open before the store */
    unsigned checks;
};

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static uint64_t descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static int32_t add_account(const struct world *w, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->directory, name);
    if (mkdir(path, 0700) != 0)
        return MAILSRV_TEMP;
    snprintf(path, sizeof path, "%s/%s/password", w->directory, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs("secret words", file) < 0 || fclose(file) != 0)
        return MAILSRV_TEMP;
    return MAILSRV_OK;
}

static int32_t open_store(void *user)
{
    struct world *w = user;
    snprintf(w->directory, sizeof w->directory, "kit-files-XXXXXX");
    if (mkdtemp(w->directory) == NULL || add_account(w, "pat") != MAILSRV_OK)
        return MAILSRV_TEMP;
    w->descriptors = descriptors();
    return add_account(w, "kim");
}

static int32_t bind_store(void *user, mailsrv_engine *engine)
{
    struct world *w = user;
    int32_t status = MAILSRV_OK;
    for (const struct store_files *kind = store_files; status == MAILSRV_OK && kind->answer != NULL; kind++)
        status = mailsrv_engine_serve(engine, kind->kind, kind->answer, w->directory);
    return status;
}

static void remove_all(const char *path)
{
    DIR *dir = opendir(path);
    char inner[512];
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && remove(inner) != 0)
            remove_all(inner);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

static void close_store(void *user)
{
    remove_all(((struct world *)user)->directory);
}

/* All that is kept is on disk. */
static int32_t reopen(void *user)
{
    (void)user;
    return MAILSRV_OK;
}

static uint64_t handles(void *user)
{
    return descriptors() - ((struct world *)user)->descriptors;
}

static void report(void *user, const char *name, int32_t outcome, const char *text)
{
    static const char *const words[] = { "ok", "not ok", "ok" };
    struct world *w = user;
    printf("%s %u - the store of files: %s%s%s\n", words[outcome], ++w->checks, name,
           outcome == MAILSRV_KIT_SKIPPED ? " # not covered: " : "", outcome == MAILSRV_KIT_SKIPPED ? text : "");
    if (outcome == MAILSRV_KIT_FAILED)
        printf("# %s\n", text);
}

int main(void)
{
    struct world world = { .checks = 0 };
    mailsrv_kit_setup setup = {
        .size = sizeof setup,
        .covers = MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_LOCKS,
        .user = &world,
        .open = open_store,
        .bind = bind_store,
        .close = close_store,
        .reopen = reopen,
        .handles = handles,
        .report = report,
        .accounts = { { bytes("pat@here.test"), bytes("pat"), bytes("secret words") },
                      { bytes("kim@here.test"), bytes("kim"), bytes("secret words") } },
        .unknown_address = bytes("nobody@here.test"),
    };
    uint32_t failed = 0;
    int32_t status = mailsrv_kit_run(&setup, &failed);
    printf("1..%u\n", world.checks);
    return status != MAILSRV_OK || failed != 0;
}
