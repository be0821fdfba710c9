/* A Maildir's names and lists, as other servers leave them: names in lines, an empty line, dovecot-uidlist, an empty
 * line, dovecot-keywords.  Who is in the list has the UID that plain looking finds. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include "folders.h"
#include "maildir_index.h"

enum { NAME_OCTETS_MAX = 255 };

/* What stands before the next empty line; `*all` is what stands behind it. */
static struct span part_of(struct span *all)
{
    for (size_t i = 0; i + 1 < all->n; i++)
        if (all->p[i] == '\n' && all->p[i + 1] == '\n') {
            struct span part = mailsrv__span_first(*all, i + 1);
            *all = mailsrv__span_after(*all, i + 2);
            return part;
        }
    struct span part = *all;
    *all = mailsrv__span_after(*all, all->n);
    return part;
}

static struct span line_of(struct span *all)
{
    const char *lf = all->n == 0 ? NULL : memchr(all->p, '\n', all->n);
    const size_t n = lf == NULL ? all->n : (size_t)(lf - all->p);
    struct span line = mailsrv__span_first(*all, n);
    *all = mailsrv__span_after(*all, lf == NULL ? n : n + 1);
    return line;
}

static void add_names(struct maildir_index *index, struct span names)
{
    for (unsigned i = 0; names.n != 0; i++) {
        struct span line = line_of(&names);
        char name[NAME_OCTETS_MAX + 1];
        if (line.n == 0 || line.n > NAME_OCTETS_MAX || line.p[0] == '.' || memchr(line.p, '/', line.n) != NULL ||
            memchr(line.p, '\0', line.n) != NULL)
            continue;
        memcpy(name, line.p, line.n);
        name[line.n] = '\0';
        CHECK(maildir_index_add(index, i % 2 == 0 ? "cur" : "new", name), "no memory");
    }
}

static bool is_base(const struct maildir_entry *entry, struct span base)
{
    const char *name = entry->path + 4;
    return strcspn(name, ":") == base.n && (base.n == 0 || memcmp(name, base.p, base.n) == 0);
}

/* The last line of the list that ends with its name; a list with a NUL or a CR in it is not looked at here. */
static uint32_t plain_uid(const struct maildir_entry *entry, struct span list)
{
    uint32_t uid = 0;
    line_of(&list);
    while (list.n != 0) {
        struct span line = line_of(&list);
        const char *mark = memmem(line.p, line.n, " :", 2);
        if (mark == NULL)
            continue;
        struct span base = mailsrv__span_after(line, (size_t)(mark + 2 - line.p));
        const char *colon = base.n == 0 ? NULL : memchr(base.p, ':', base.n);
        if (!is_base(entry, colon == NULL ? base : mailsrv__span_first(base, (size_t)(colon - base.p))))
            continue;
        uint64_t n = 0;
        for (const char *p = line.p; p < mark && *p >= '0' && *p <= '9' && n <= UINT32_MAX; p++)
            n = 10 * n + (uint64_t)(*p - '0');
        uid = n <= UINT32_MAX ? (uint32_t)n : 0;
    }
    return uid;
}

static bool is_alone(const struct maildir_index *index, size_t which)
{
    const char *name = index->all[which].path + 4;
    struct span base = { name, strcspn(name, ":") };
    for (size_t i = 0; i < index->n; i++)
        if (i != which && is_base(&index->all[i], base))
            return false;
    return true;
}

static void check_entry(const struct maildir_index *index, const struct maildir_entry *entry)
{
    struct exchanged_message *m = must(calloc(1, sizeof *m));
    char letters[8];
    CHECK(memchr(entry->uidl, '\0', sizeof entry->uidl) != NULL, "a UIDL without an end");
    for (const char *p = entry->uidl; *p != '\0'; p++)
        CHECK(*p >= 0x21 && *p <= 0x7E, "no UIDL");
    maildir_index_flags(index, entry, m);
    CHECK(memchr(m->keywords, '\0', sizeof m->keywords) != NULL, "keywords without an end");
    CHECK(maildir_flag_letters(m->flags, letters) == strlen(letters) && strlen(letters) <= 5, "letters");
    for (const char *p = letters; *p != '\0'; p++)
        CHECK(strchr(strstr(entry->path, ":2,"), *p) != NULL, "a letter from nowhere");
    free(m);
}

static void check(const struct maildir_index *index, struct span list)
{
    const bool plain = list.n != 0 && memchr(list.p, '\0', list.n) == NULL && memchr(list.p, '\r', list.n) == NULL;
    for (size_t i = 0; i < index->n; i++) {
        const struct maildir_entry *entry = &index->all[i];
        CHECK(i == 0 || entry->uid == 0 || (index->all[i - 1].uid != 0 && index->all[i - 1].uid <= entry->uid),
              "they are not in order");
        if (plain && is_alone(index, i) && strchr(entry->path, '\r') == NULL)
            CHECK(entry->uid == plain_uid(entry, list), "another UID than the list has");
        check_entry(index, entry);
    }
}

static void check_names(struct span text)
{
    char name[EXCHANGE_NAME_MAX + 1], back[1024], *from = must(strndup(text.p, text.n));
    if (name_from_utf7(from, name, sizeof name))
        CHECK(strlen(name) < sizeof name && name_to_utf7(name, back, sizeof back), "a name that has no way back");
    maildir_is_subscribed(text.p, text.n, from);
    const uint32_t uses = maildir_uses(text.p, text.n, "Sent");
    char *lines = NULL;
    size_t n = 0;
    FILE *to = must(open_memstream(&lines, &n));
    maildir_write_uses(uses, "Sent", to);
    fclose(to);
    CHECK(maildir_uses(n == 0 ? "" : lines, n, "Sent") == uses, "other uses than were written");
    free(lines);
    free(from);
}

static FILE *open_text(struct span text)
{
    return text.n == 0 ? NULL : must(fmemopen((void *)(uintptr_t)text.p, text.n, "r"));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct maildir_index index = { .n = 0 };
    struct span rest = { (const char *)p, n };
    struct span names = part_of(&rest), list = part_of(&rest);
    FILE *uids = open_text(list), *keywords = open_text(rest);
    add_names(&index, names);
    maildir_index_complete(&index, uids, keywords);
    check(&index, list);
    check_names(names);
    maildir_index_free(&index);
    if (uids != NULL)
        fclose(uids);
    if (keywords != NULL)
        fclose(keywords);
    return 0;
}
