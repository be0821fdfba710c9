/* The header editor: any cutting gives the same message, and the one that the plain rules give. */
#include "fuzz.h"

#include "message/header_editor.h"

enum { HELD_OCTETS = FIELD_NAME_OCTETS_MAX + 16 };

static const struct missing_field missing_fields[] = {
    { { "Date", 4 }, { "Date: now\r\n", 11 } },
    { { "Message-ID", 10 }, { "Message-ID: <1@x>\r\n", 19 } },
};

struct job {
    struct span drop;
    size_t n_add;
    struct header_editor editor;
    struct bytes out;
};

static void take(void *ctx, struct span piece)
{
    struct job *job = ctx;
    struct span part;
    while (mailsrv__header_edit(&job->editor, &piece, &part)) {
        CHECK(part.n != 0, "a part of nothing");
        bytes_add(&job->out, part);
    }
    CHECK(piece.n == 0, "something was not taken");
}

static void edit(struct job *job, struct span all, uint32_t *chance)
{
    struct span part;
    mailsrv__header_editor_init(&job->editor, job->drop, missing_fields, job->n_add);
    in_pieces(all, chance, take, job);
    while (mailsrv__header_end(&job->editor, &part))
        bytes_add(&job->out, part);
}

/* ---- The plain rules ---- */

enum kind { UNDECIDED, CONTINUES, FIELD, OTHER, EMPTY };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static enum kind kind_of(struct span text, struct span *name)
{
    size_t n = 0;
    if (is_blank(text.p[0]))
        return CONTINUES;
    if (text.p[0] == '\n' || mailsrv__span_equal(mailsrv__span_first(text, 2), SPAN("\r\n")))
        return EMPTY;
    if (text.p[0] == '\r')
        return text.n == 1 ? UNDECIDED : OTHER;
    while (n < text.n && text.p[n] > ' ' && text.p[n] <= '~' && text.p[n] != ':')
        n++;
    *name = mailsrv__span_first(text, n);
    if (n > FIELD_NAME_OCTETS_MAX)
        return FIELD;
    while (n < text.n && n < HELD_OCTETS && is_blank(text.p[n]))
        n++;
    if (n == HELD_OCTETS)
        return FIELD;
    if (n == text.n)
        return UNDECIDED;
    return text.p[n] == ':' && name->n != 0 ? FIELD : OTHER;
}

static bool is_in(struct span list, struct span name)
{
    while (list.n != 0) {
        const char *space = memchr(list.p, ' ', list.n);
        size_t n = space == NULL ? list.n : (size_t)(space - list.p);
        if (mailsrv__span_equal_nocase(mailsrv__span_first(list, n), name))
            return true;
        list = mailsrv__span_after(list, n + 1);
    }
    return false;
}

static bool add_missing(const struct job *job, const bool *seen, struct bytes *out)
{
    bool any = false;
    for (size_t i = 0; i < job->n_add; i++)
        if (!seen[i]) {
            bytes_add(out, missing_fields[i].text);
            any = true;
        }
    return any;
}

static size_t line_octets(struct span rest)
{
    const char *lf = memchr(rest.p, '\n', rest.n);
    return lf == NULL ? rest.n : (size_t)(lf - rest.p) + 1;
}

static void edit_plainly(const struct job *job, struct span rest, struct bytes *out)
{
    bool seen[2] = { job->n_add < 1, job->n_add < 2 }, dropping = false;
    while (rest.n != 0) {
        struct span name = { NULL, 0 };
        enum kind kind = kind_of(rest, &name);
        if (kind == FIELD)
            dropping = is_in(job->drop, name);
        else if (kind != CONTINUES)
            dropping = false;
        for (size_t i = 0; i < 2; i++)
            seen[i] = seen[i] || (kind == FIELD && !dropping && mailsrv__span_equal_nocase(name, missing_fields[i].name));
        if (kind == EMPTY || (kind == OTHER && !(seen[0] && seen[1]))) {
            if (add_missing(job, seen, out) && kind == OTHER)
                bytes_add(out, SPAN("\r\n"));
            bytes_add(out, rest);
            return;
        }
        if (!dropping)
            bytes_add(out, mailsrv__span_first(rest, line_octets(rest)));
        rest = mailsrv__span_after(rest, line_octets(rest));
    }
    if (out->n != 0 && out->p[out->n - 1] != '\n' && !(seen[0] && seen[1]))
        bytes_add(out, SPAN("\r\n"));
    add_missing(job, seen, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct job whole = { .drop = SPAN("Bcc Return-Path X") };
    if (draw(&chance, 4) == 0)
        whole.drop.n = 0;
    whole.n_add = draw(&chance, 3);
    struct job cut = whole;
    struct bytes plain = { 0 };
    edit_plainly(&whole, all, &plain);
    edit(&whole, all, NULL);
    edit(&cut, all, &chance);
    bytes_same(&whole.out, &plain, "the message is not that of the rules");
    bytes_same(&cut.out, &plain, "cut input gives another message");
    bytes_free(&whole.out);
    bytes_free(&cut.out);
    bytes_free(&plain);
    return 0;
}
