/* dialogue [--ways NAME,...] [--cuts N] [--seed N] [--pairs N] [--wrong] [-v] [-t] FILE...
 *
 * Runs each file in each way, prints a line for each file and the totals.  --cuts N: input is cut in N runs at random
 * places, and not once at every place.  --wrong: the files are wrong ones, and each must be found so.  -v: the runs of
 * each way.  -t: each file is played once, and what is said and asked is printed. */
#include "dialogue.h"

#include <stdio.h>
#include <stdlib.h>

struct options {
    struct counts counts;
    const char *ways; /* NULL: all */
    bool wrong, verbose, traced;
    int first_file;
};

static int usage(void)
{
    fputs("usage: dialogue [--ways NAME,...] [--cuts N] [--pairs N] [--seed N] [--wrong] [-v] [-t] FILE...\nways:",
          stderr);
    for (size_t i = 0; dialogue_way_name(i) != NULL; i++)
        fprintf(stderr, " %s", dialogue_way_name(i));
    fputs("\n", stderr);
    return 2;
}

static bool read_number(const char *name, const char *value, struct options *o)
{
    uint64_t n;
    if (!text_number(text_of(value), &n))
        return false;
    if (strcmp(name, "--seed") == 0) {
        o->counts.seed = n;
    } else if (strcmp(name, "--pairs") == 0) {
        o->counts.pairs = (size_t)n;
    } else if (strcmp(name, "--cuts") == 0) {
        o->counts.cuts = 0;
        o->counts.random_cuts = (size_t)n;
    } else {
        return false;
    }
    return true;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    int i = 1;
    o->counts = dialogue_counts();
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--wrong") == 0)
            o->wrong = true;
        else if (strcmp(argv[i], "-v") == 0)
            o->verbose = true;
        else if (strcmp(argv[i], "-t") == 0)
            o->traced = true;
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--ways") == 0)
            o->ways = argv[++i];
        else if (!read_number(argv[i], argv[i + 1], o))
            return false;
        else
            i++;
    }
    o->first_file = i;
    return i < argc;
}

/* Is the way one of those that were asked for? */
static bool wanted(const char *ways, const char *name)
{
    size_t n = strlen(name);
    if (ways == NULL)
        return true;
    for (const char *at = ways; (at = strstr(at, name)) != NULL; at += n)
        if ((at == ways || at[-1] == ',') && (at[n] == 0 || at[n] == ','))
            return true;
    return false;
}

/* What went wrong, as a comment of TAP. */
static void print_why(const struct buffer *why)
{
    struct text rest = buffer_text(why);
    while (rest.n != 0) {
        struct text line = text_line(&rest);
        while (line.n != 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
            line.n--;
        printf("#   %.*s\n", (int)line.n, line.p);
    }
}

static void run_ways(const struct dialogue *d, const struct options *o, struct result *all)
{
    for (size_t i = 0; dialogue_way_name(i) != NULL; i++) {
        struct result result = { 0 };
        const char *way = dialogue_way_name(i);
        if (!wanted(o->ways, way))
            continue;
        dialogue_run(d, way, &o->counts, &result);
        if (o->verbose)
            printf("#   %-12s %8llu runs, %llu refused\n", way, (unsigned long long)result.runs,
                   (unsigned long long)result.diverged);
        if (result.wrong != 0 && o->verbose)
            print_why(&result.why);
        if (result.wrong != 0 && all->why.n == 0) {
            buffer_add(&all->why, result.why.p, result.why.n);
            buffer_add_text(&all->why, "\n    in the way: ");
            buffer_add_text(&all->why, way);
        }
        all->runs += result.runs;
        all->wrong += result.wrong;
        buffer_free(&result.why);
    }
}

static bool run_file(const char *path, const struct options *o, struct result *totals)
{
    struct result result = { 0 };
    struct dialogue *d = dialogue_read(path, &result.why);
    if (d == NULL)
        result.wrong = 1;
    else if (o->traced)
        dialogue_trace(d, &result);
    else
        run_ways(d, o, &result);
    bool good = (result.wrong == 0) != o->wrong;
    totals->files++;
    printf("%s %u - %s: %llu runs", good ? "ok" : "not ok", totals->files, path, (unsigned long long)result.runs);
    if (result.wrong != 0)
        printf(", %llu wrong; the first:", (unsigned long long)result.wrong);
    puts("");
    print_why(&result.why);
    fflush(stdout);
    totals->runs += result.runs;
    buffer_free(&result.why);
    dialogue_free(d);
    return good;
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    struct result totals = { 0 };
    int failed = 0;
    size_t ways = 0;
    if (!read_options(argc, argv, &o))
        return usage();
    for (size_t i = 0; dialogue_way_name(i) != NULL; i++)
        ways += wanted(o.ways, dialogue_way_name(i));
    printf("1..%d\n", argc - o.first_file);
    for (int i = o.first_file; i < argc; i++)
        failed += !run_file(argv[i], &o, &totals);
    printf("%d dialogues x %zu ways, %llu runs, seed %llu: %d failed\n", argc - o.first_file, ways,
           (unsigned long long)totals.runs, (unsigned long long)o.counts.seed, failed);
    return failed != 0;
}
