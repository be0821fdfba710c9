/* Every dialogue below a folder, in groups of ways: a test for each file and group.
 *
 * test-dialogues FOLDER */
#include "dialogue.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WAYS_MAX = 6 };

static const struct group {
    const char *name;
    const char *ways[WAYS_MAX];
} groups[] = {
    { "input", { "whole", "bytes", "cuts" } },
    { "memory", { "allocations", "drought", "block" } },
    { "answers", { "late", "failed", "cancelled", "never", "tardy" } },
    { "ends", { "closed", "eof", "shutdown" } },
    { "hosts", { "sips", "clogged", "feeds-first", "bound" } },
    { "pairs", { "pairs" } },
    { "tls", { "tls", "tls-hosts", "tls-told", "tls-memory", "tls-fails", "tls-ends" } },
};

enum { N_GROUPS = sizeof groups / sizeof groups[0] };

struct file {
    struct file *next;
    char path[1];
};

struct part {
    const struct file *file;
    const struct group *group;
};

static void test_part(void **state)
{
    const struct part *part = *state;
    struct counts counts = dialogue_counts();
    struct result result = { 0 };
    struct dialogue *d = dialogue_read(part->file->path, &result.why);
    for (size_t i = 0; d != NULL && i < WAYS_MAX && part->group->ways[i] != NULL; i++)
        assert_true(dialogue_run(d, part->group->ways[i], &counts, &result));
    if (d == NULL || result.wrong != 0)
        print_error("%.*s\n", (int)result.why.n, result.why.p);
    assert_non_null(d);
    assert_int_equal(result.wrong, 0);
    assert_true(result.runs != 0 || d->is_clear); /* which may have no way under TLS */
    buffer_free(&result.why);
    dialogue_free(d);
}

static struct file *new_file(const char *folder, const char *name)
{
    size_t n = strlen(folder) + 1 + strlen(name) + 1;
    struct file *file = calloc(1, sizeof *file + n);
    if (file == NULL)
        abort();
    snprintf(file->path, n, "%s/%s", folder, name);
    return file;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* In the order of their paths, so that every run names the same tests in the same order. */
static void insert(struct file **files, struct file *file)
{
    while (*files != NULL && strcmp((*files)->path, file->path) < 0)
        files = &(*files)->next;
    file->next = *files;
    *files = file;
}

static void find_files(const char *folder, struct file **files)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        struct file *file = new_file(folder, entry->d_name);
        if (ends_with(entry->d_name, ".dlg")) {
            insert(files, file);
            continue;
        }
        find_files(file->path, files);
        free(file);
    }
    if (dir != NULL)
        closedir(dir);
}

static size_t count(const struct file *files)
{
    size_t n = 0;
    for (; files != NULL; files = files->next)
        n++;
    return n;
}

static struct CMUnitTest make_test(struct part *part, const struct file *file, const struct group *group)
{
    size_t n = strlen(file->path) + 1 + strlen(group->name) + 1;
    char *name = calloc(1, n);
    if (name == NULL)
        abort();
    snprintf(name, n, "%s %s", file->path, group->name);
    *part = (struct part){ file, group };
    return (struct CMUnitTest){ .name = name, .test_func = test_part, .initial_state = part };
}

int main(int argc, char **argv)
{
    struct file *files = NULL;
    find_files(argc > 1 ? argv[1] : "tests/dialogues", &files);
    size_t n = 0, all = count(files) * N_GROUPS;
    if (all == 0) {
        fputs("no dialogues there\n", stderr);
        return 2;
    }
    struct CMUnitTest *tests = calloc(all, sizeof *tests);
    struct part *parts = calloc(all, sizeof *parts);
    if (tests == NULL || parts == NULL)
        return 2;
    for (const struct file *file = files; file != NULL; file = file->next)
        for (size_t i = 0; i < N_GROUPS; i++, n++)
            tests[n] = make_test(&parts[n], file, &groups[i]);
    int failed = _cmocka_run_group_tests("dialogues", tests, n, NULL, NULL);
    while (n-- != 0)
        free((void *)(uintptr_t)tests[n].name);
    free(tests);
    free(parts);
    while (files != NULL) {
        struct file *file = files;
        files = file->next;
        free(file);
    }
    return failed != 0;
}
