/* The files users and aliases of mailserverd: what was read is in order, is found again, leads to a bounded number of
 * persons, and is the same when it is written and read once more. */
#include "fuzz.h"

#include "people.h"
#include "secrets.h"

static bool read_lines(struct people *people, enum people_file which, struct span text)
{
    char *told = NULL;
    size_t n_told = 0;
    FILE *file = text.n == 0 ? NULL : must(fmemopen((void *)(uintptr_t)text.p, text.n, "r"));
    FILE *err = must(open_memstream(&told, &n_told));
    const bool ok = file == NULL || people_read_lines(people, which, file, "the file", err);
    if (file != NULL)
        fclose(file);
    fclose(err);
    CHECK(ok == (n_told == 0), "what is wrong was not told");
    free(told);
    return ok;
}

static void check_found(const struct people *people, enum people_file which, const struct entry *entry)
{
    char upper[ADDRESS_MAX];
    const size_t n = strlen(entry->address);
    CHECK(n < ADDRESS_MAX && strchr(entry->address, '@') != NULL && *entry->text != '\0', "no entry");
    for (size_t i = 0; i <= n; i++)
        upper[i] =
            entry->address[i] >= 'a' && entry->address[i] <= 'z' ? (char)(entry->address[i] - 32) : entry->address[i];
    CHECK(people_find(people, which, entry->address, n) == entry, "it is not found");
    CHECK(people_find(people, which, upper, n) == entry, "it is not found in upper case");
}

static void check_resolved(const struct people *people, const struct entry *entry)
{
    static const struct config config = { .domains = { "here.test", "a.test" }, .n_domains = 2 };
    struct leads to[TARGETS_MAX];
    const size_t n = people_resolve(people, &config, entry->address, strlen(entry->address), to);
    CHECK(n <= TARGETS_MAX, "too many");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            CHECK(to[i].person != to[k].person || to[i].person == NULL, "one twice");
}

static void check_secrets(const char *secrets)
{
    struct scram_keys keys;
    if (secrets_keys(secrets, MAILSRV_HASH_SHA1, &keys))
        CHECK(keys.n_keys == 20 && keys.n_salt >= 1 && keys.n_salt <= MAILSRV_SCRAM_SALT_MAX, "keys for SHA-1");
    if (secrets_keys(secrets, MAILSRV_HASH_SHA256, &keys))
        CHECK(keys.n_keys == 32 && keys.n_salt >= 1 && keys.n_salt <= MAILSRV_SCRAM_SALT_MAX, "keys for SHA-256");
}

static void check(const struct people *people, enum people_file which)
{
    const struct entries *in = &people->of[which];
    for (size_t i = 0; i < in->n; i++) {
        CHECK(i == 0 || strcmp(in->all[i - 1].address, in->all[i].address) < 0, "they are not in order");
        check_found(people, which, &in->all[i]);
        check_resolved(people, &in->all[i]);
        if (which == PEOPLE_USERS)
            check_secrets(in->all[i].text);
    }
}

/* As people_write does. */
static void check_again(const struct people *people, enum people_file which)
{
    char *text = NULL;
    size_t n = 0;
    FILE *file = must(open_memstream(&text, &n));
    const struct entries *in = &people->of[which];
    for (size_t i = 0; i < in->n; i++)
        fprintf(file, "%s %s\n", in->all[i].address, in->all[i].text);
    fclose(file);
    struct people *again = must(people_new());
    CHECK(read_lines(again, which, (struct span){ text, n }), "what was written is not read");
    const struct entries *other = &again->of[which];
    CHECK(in->n == other->n, "not as many are read as were written");
    for (size_t i = 0; i < in->n; i++)
        CHECK(strcmp(in->all[i].address, other->all[i].address) == 0 &&
                  strcmp(in->all[i].text, other->all[i].text) == 0,
              "another one is read than was written");
    people_unref(again);
    free(text);
}

/* Takes out every second one, to the last. */
static void take_out(struct people *people, enum people_file which)
{
    char address[ADDRESS_MAX];
    for (size_t i = 0; people->of[which].n > 0; i++) {
        const size_t before = people->of[which].n;
        snprintf(address, sizeof address, "%s", people->of[which].all[i % before].address);
        people_put(people, which, address, NULL);
        CHECK(people->of[which].n == before - 1, "it is not gone");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    const size_t cut = draw(&chance, 4) == 0 ? 0 : draw(&chance, (uint32_t)all.n + 1);
    struct people *people = must(people_new());
    if (read_lines(people, PEOPLE_USERS, mailsrv__span_first(all, cut)) &&
        read_lines(people, PEOPLE_ALIASES, mailsrv__span_after(all, cut)))
        for (size_t which = 0; which < PEOPLE_FILES; which++) {
            check(people, (enum people_file)which);
            check_again(people, (enum people_file)which);
            take_out(people, (enum people_file)which);
        }
    people_unref(people);
    return 0;
}
