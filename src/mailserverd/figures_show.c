/* Figures as a person reads them, and as a program does. */
#include "figures.h"

#include <mailsrv/stores/durable.h>

#include <inttypes.h>
#include <string.h>

static const struct figure_stat store_stats[] = {
    { "groups", MAILSRV_DURABLE_STAT_GROUPS },
    { "changes", MAILSRV_DURABLE_STAT_CHANGES },
    { "syncs", MAILSRV_DURABLE_STAT_SYNCS },
    { "sync_us", MAILSRV_DURABLE_STAT_SYNC_US },
    { "longest_sync_us", MAILSRV_DURABLE_STAT_SYNC_MOST_US },
    { "log_octets", MAILSRV_DURABLE_STAT_LOG_OCTETS },
    { "writes_waiting", MAILSRV_DURABLE_STAT_WRITES_WAITING },
    { "reads_waiting", MAILSRV_DURABLE_STAT_READS_WAITING },
    { "reads_at_once", MAILSRV_DURABLE_STAT_READ_NOW },
    { "staged_octets", MAILSRV_DURABLE_STAT_STAGED },
    { "held", MAILSRV_DURABLE_STAT_HELD },
    { "handles", MAILSRV_DURABLE_STAT_HANDLES },
    { "segments", MAILSRV_DURABLE_STAT_SEGMENTS },
    { "checkpoints", MAILSRV_DURABLE_STAT_CHECKPOINTS },
    { "compactions", MAILSRV_DURABLE_STAT_COMPACTIONS },
};

enum { STORE_STATS = sizeof store_stats / sizeof *store_stats };

static const struct {
    const char *name;
    int room; /* in a table */
    size_t at;
} face_columns[] = {
    { "sessions", 8, offsetof(mailsrv_face_stats, sessions) },
    { "resting", 7, offsetof(mailsrv_face_stats, resting) },
    { "waiting", 7, offsetof(mailsrv_face_stats, waiting) },
    { "sending", 7, offsetof(mailsrv_face_stats, sending) },
    { "shaking", 7, offsetof(mailsrv_face_stats, shaking) },
    { "ending", 6, offsetof(mailsrv_face_stats, ending) },
    { "secure", 6, offsetof(mailsrv_face_stats, secure) },
    { "logged_in", 9, offsetof(mailsrv_face_stats, logged_in) },
    { "began", 10, offsetof(mailsrv_face_stats, began) },
    { "octets_in", 14, offsetof(mailsrv_face_stats, octets_in) },
    { "octets_out", 14, offsetof(mailsrv_face_stats, octets_out) },
};

enum { FACE_COLUMNS = sizeof face_columns / sizeof *face_columns };

static uint64_t in_column(const mailsrv_face_stats *face, size_t column)
{
    return *(const uint64_t *)(const void *)((const char *)face + face_columns[column].at);
}

/* Both histograms of the store, as arrays. */
static void load(mailsrv_store *store, int32_t histogram, uint64_t buckets[MAILSRV_BUCKETS])
{
    for (uint32_t i = 0; i < MAILSRV_BUCKETS; i++)
        buckets[i] = mailsrv_durable_bucket(store, histogram, i);
}

/* So many of a hundred are below this, or 0: the limit of the bucket in which the last of them is. */
static uint64_t below(const uint64_t buckets[MAILSRV_BUCKETS], uint64_t percent)
{
    uint64_t all = 0, seen = 0;
    uint32_t i = 0;
    for (uint32_t k = 0; k < MAILSRV_BUCKETS; k++)
        all += buckets[k];
    while (all != 0 && i < MAILSRV_BUCKETS && (seen += buckets[i]) * 100 < all * percent)
        i++;
    return all == 0 ? 0 : mailsrv_bucket_limit(i);
}

/* ---- For persons ---- */

/* "messages_accepted" without its _. */
static void show_name(const char *name, FILE *out)
{
    for (; *name != '\0'; name++)
        fputc(*name == '_' ? ' ' : *name, out);
}

static void show_time(uint64_t us, FILE *out)
{
    if (us < 10000)
        fprintf(out, " %7" PRIu64 "us", us);
    else if (us < 10000000)
        fprintf(out, " %7" PRIu64 "ms", us / 1000);
    else
        fprintf(out, " %8" PRIu64 "s", us / 1000000);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void show_series(const char *group, const struct series *s, FILE *out)
{
    const mailsrv_tally *t = &s->sum;
    static const uint64_t percents[] = { 50, 90, 99 };
    fprintf(out, "%-10s %-16s %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %6" PRIu64, group, t->name, t->done,
            t->refused, t->failed, t->dropped, t->open);
    show_time(t->done == 0 ? 0 : t->total_us / t->done, out);
    for (size_t i = 0; i < 3; i++)
        show_time(least(below(s->buckets, percents[i]), t->most_us), out);
    show_time(t->most_us, out);
    fputc('\n', out);
}

static void show_group(const struct figures *f, size_t group, FILE *out)
{
    for (size_t i = 0; i < MAILSRV_TALLIES; i++)
        if (f->series[group][i].sum.begun != 0)
            show_series(group == MAILSRV_TALLY_OPERATIONS ? "" : figure_groups[group], &f->series[group][i], out);
}

static void show_faces(const struct figures *f, FILE *out)
{
    fprintf(out, "\n%-10s", "");
    for (size_t k = 0; k < FACE_COLUMNS; k++) {
        fprintf(out, "%*s", 2 + face_columns[k].room - (int)strlen(face_columns[k].name), "");
        show_name(face_columns[k].name, out);
    }
    fputc('\n', out);
    for (size_t i = 1; i < FIGURE_GROUPS; i++) {
        if (f->faces[i].began == 0)
            continue;
        fprintf(out, "%-10s", figure_groups[i]);
        for (size_t k = 0; k < FACE_COLUMNS; k++)
            fprintf(out, "  %*" PRIu64, face_columns[k].room, in_column(&f->faces[i], k));
        fputc('\n', out);
    }
}

static void show_histogram(const char *what, const uint64_t buckets[MAILSRV_BUCKETS], FILE *out)
{
    fprintf(out, "\n%s\n", what);
    for (uint32_t i = 0; i < MAILSRV_BUCKETS; i++)
        if (buckets[i] != 0)
            fprintf(out, "%10" PRIu64 " %10" PRIu64 "\n", i == 0 ? 0 : mailsrv_bucket_limit(i - 1), buckets[i]);
}

static void show_store(mailsrv_store *store, FILE *out)
{
    uint64_t buckets[MAILSRV_BUCKETS];
    for (size_t i = 0; i < STORE_STATS; i++) {
        fputs("store: ", out);
        show_name(store_stats[i].name, out);
        fprintf(out, " %" PRIu64 "\n", mailsrv_durable_stat(store, store_stats[i].key));
    }
    load(store, MAILSRV_DURABLE_GROUP_SIZES, buckets);
    show_histogram("   changes     groups   of so many and more", buckets, out);
    load(store, MAILSRV_DURABLE_SYNC_TIMES, buckets);
    show_histogram("        us      syncs   that took so long and more", buckets, out);
}

void figures_show(const struct figures *f, mailsrv_store *store, FILE *out)
{
    static const char head[] = "\n%-10s %-16s %10s %8s %8s %8s %6s %9s %9s %9s %9s %9s\n";
    for (size_t i = 0; i < FIGURE_STATS; i++) {
        show_name(figure_stats[i].name, out);
        fprintf(out, " %" PRIu64 "\n", f->stats[i]);
    }
    show_faces(f, out);
    fprintf(out, head, "face", "command", "done", "refused", "failed", "dropped", "open", "mean", "50%", "90%", "99%",
            "most");
    for (size_t group = 1; group < FIGURE_GROUPS; group++)
        show_group(f, group, out);
    fprintf(out, head, "", "operation", "done", "refused", "failed", "dropped", "open", "mean", "50%", "90%", "99%",
            "most");
    show_group(f, MAILSRV_TALLY_OPERATIONS, out);
    fputc('\n', out);
    show_store(store, out);
}

/* ---- For programs ---- */

static void json_number(const char *name, uint64_t value, FILE *out)
{
    fprintf(out, "\"%s\":%" PRIu64 ",", name, value);
}

/* [[limit, count], ...] of the buckets in which there is something; the last bucket has no limit. */
static void json_buckets(const char *name, const uint64_t buckets[MAILSRV_BUCKETS], FILE *out)
{
    const char *between = "";
    fprintf(out, "\"%s\":[", name);
    for (uint32_t i = 0; i < MAILSRV_BUCKETS; i++) {
        if (buckets[i] == 0)
            continue;
        if (i == MAILSRV_BUCKETS - 1)
            fprintf(out, "%s[null,%" PRIu64 "]", between, buckets[i]);
        else
            fprintf(out, "%s[%" PRIu64 ",%" PRIu64 "]", between, mailsrv_bucket_limit(i), buckets[i]);
        between = ",";
    }
    fputs("]", out);
}

static void json_series(const struct series *s, FILE *out)
{
    const mailsrv_tally *t = &s->sum;
    fprintf(out, "\"%s\":{", t->name);
    json_number("begun", t->begun, out);
    json_number("open", t->open, out);
    json_number("done", t->done, out);
    json_number("refused", t->refused, out);
    json_number("failed", t->failed, out);
    json_number("dropped", t->dropped, out);
    json_number("total_us", t->total_us, out);
    json_number("most_us", t->most_us, out);
    json_buckets("buckets_us", s->buckets, out);
    fputs("}", out);
}

static void json_group(const struct figures *f, size_t group, FILE *out)
{
    const char *between = "";
    for (size_t i = 0; i < MAILSRV_TALLIES; i++) {
        if (f->series[group][i].sum.begun == 0)
            continue;
        fputs(between, out);
        json_series(&f->series[group][i], out);
        between = ",";
    }
}

static void json_faces(const struct figures *f, FILE *out)
{
    const char *between = "";
    fputs("\"faces\":{", out);
    for (size_t i = 1; i < FIGURE_GROUPS; i++) {
        if (f->faces[i].began == 0)
            continue;
        fprintf(out, "%s\n\"%s\":{", between, figure_groups[i]);
        for (size_t k = 0; k < FACE_COLUMNS; k++)
            json_number(face_columns[k].name, in_column(&f->faces[i], k), out);
        fputs("\"commands\":{", out);
        json_group(f, i, out);
        fputs("}}", out);
        between = ",";
    }
    fputs("},\n", out);
}

static void json_store(mailsrv_store *store, FILE *out)
{
    uint64_t buckets[MAILSRV_BUCKETS];
    fputs("\"store\":{", out);
    for (size_t i = 0; i < STORE_STATS; i++)
        json_number(store_stats[i].name, mailsrv_durable_stat(store, store_stats[i].key), out);
    load(store, MAILSRV_DURABLE_GROUP_SIZES, buckets);
    json_buckets("group_sizes", buckets, out);
    fputs(",", out);
    load(store, MAILSRV_DURABLE_SYNC_TIMES, buckets);
    json_buckets("sync_times_us", buckets, out);
    fputs("}", out);
}

void figures_show_json(const struct figures *f, mailsrv_store *store, FILE *out)
{
    fputs("{", out);
    for (size_t i = 0; i < FIGURE_STATS; i++)
        json_number(figure_stats[i].name, f->stats[i], out);
    fputs("\n", out);
    json_faces(f, out);
    fputs("\"operations\":{", out);
    json_group(f, MAILSRV_TALLY_OPERATIONS, out);
    fputs("},\n", out);
    json_store(store, out);
    fputs("}\n", out);
}
