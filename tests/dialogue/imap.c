#include "imap.h"

/* ---- Literals ---- */

/* `{n}` or `{n+}` at the end of the text.  False: there is none. */
static bool literal_at_end(struct text line, uint64_t *octets, bool *waits)
{
    size_t end = line.n, first;
    if (end == 0 || line.p[--end] != '}')
        return false;
    *waits = end == 0 || line.p[end - 1] != '+';
    end -= *waits ? 0 : 1;
    for (first = end; first != 0 && line.p[first - 1] >= '0' && line.p[first - 1] <= '9';)
        first--;
    if (first == end || first == 0 || line.p[first - 1] != '{')
        return false;
    return text_number((struct text){ line.p + first, end - first }, octets);
}

static void line_ends(struct said *said)
{
    bool waits = false;
    struct text line = { said->tail, said->n };
    while (line.n != 0 && line.p[line.n - 1] == '\r')
        line.n--;
    said->inside = literal_at_end(line, &said->left, &waits);
    said->state = !said->inside ? SAID_AT_LINE : waits ? SAID_WAITS : SAID_IN_LITERAL;
    if (said->state == SAID_IN_LITERAL && said->left == 0)
        said->state = SAID_AT_LINE;
    said->n = 0;
}

static void take_octet(struct said *said, char c)
{
    said->state = SAID_IN_LINE;
    if (c == '\n') {
        line_ends(said);
        return;
    }
    if (said->n == SAID_TAIL)
        memmove(said->tail, said->tail + 1, --said->n);
    said->tail[said->n++] = c;
}

size_t said_take(struct said *said, struct text text)
{
    size_t n = 0;
    if (said->state == SAID_IN_LITERAL) {
        n = text.n < said->left ? text.n : (size_t)said->left;
        said->left -= n;
        if (said->left == 0)
            said->state = SAID_AT_LINE;
        return n;
    }
    do {
        take_octet(said, text.p[n++]);
    } while (n < text.n && said->state == SAID_IN_LINE);
    return n;
}

void said_answered(struct said *said, bool asked_for)
{
    bool more = asked_for && said->left != 0;
    said->state = more ? SAID_IN_LITERAL : SAID_AT_LINE;
    said->inside = asked_for;
}

/* ---- Responses ---- */

struct text imap_response(struct text rest)
{
    struct text left = rest;
    for (;;) {
        uint64_t octets = 0;
        bool waits = false;
        struct text line = text_line(&left);
        size_t n = (size_t)(left.p - rest.p);
        if (line.n < 2 || line.p[line.n - 1] != '\n')
            return (struct text){ rest.p, 0 };
        if (!literal_at_end((struct text){ line.p, line.n - 2 }, &octets, &waits))
            return (struct text){ rest.p, n };
        if (octets > left.n)
            return (struct text){ rest.p, 0 };
        left = text_after(left, (size_t)octets);
    }
}

struct text imap_tag(struct text line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] != ' ' && line.p[n] != '\r')
        n++;
    return (struct text){ line.p, n };
}

bool imap_is_tagged(struct text line)
{
    return line.n != 0 && line.p[0] != '*' && line.p[0] != '+';
}

struct text imap_command(struct text input, struct text tag)
{
    while (input.n != 0) {
        struct text line = text_line(&input);
        if (text_begins(line, tag) && line.n > tag.n && line.p[tag.n] == ' ')
            return text_after(line, tag.n + 1);
    }
    return (struct text){ "", 0 };
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

bool imap_is_verb(struct text command, const char *verb)
{
    size_t n = 0;
    for (; verb[n] != 0; n++)
        if (n == command.n || upper(command.p[n]) != verb[n])
            return false;
    return n == command.n || command.p[n] == ' ' || command.p[n] == '\r' || command.p[n] == '\n';
}

/* ---- What a view is told ---- */

/* `* n WORD`. */
static bool is_told(struct text line, const char *word, uint64_t *n)
{
    struct text rest = text_after(line, 2);
    if (!text_begins(line, text_of("* ")) || !text_number(text_word(&rest), n))
        return false;
    struct text what = text_word(&rest);
    while (what.n != 0 && (what.p[what.n - 1] == '\n' || what.p[what.n - 1] == '\r'))
        what.n--;
    return text_is(what, word);
}

void imap_without_expunges(struct text heard, struct buffer *out)
{
    for (struct text r = imap_response(heard); r.n != 0; r = imap_response(heard)) {
        uint64_t n;
        if (!is_told(r, "EXPUNGE", &n))
            buffer_add(out, r.p, r.n);
        heard = text_after(heard, r.n);
    }
    buffer_add(out, heard.p, heard.n);
}

struct view {
    struct text said;
    uint64_t exists;
    struct text command; /* that is being answered; empty: none is known */
};

/* The command whose tagged response is the next. */
static struct text next_answered(struct text said, struct text heard)
{
    for (struct text r = imap_response(heard); r.n != 0; r = imap_response(heard)) {
        if (imap_is_tagged(r))
            return imap_command(said, imap_tag(r));
        heard = text_after(heard, r.n);
    }
    return (struct text){ "", 0 };
}

static bool selects(struct text command)
{
    return imap_is_verb(command, "SELECT") || imap_is_verb(command, "EXAMINE");
}

/* RFC 9051 section 7.5.1: in these a number must not change. */
static bool keeps_numbers(struct text command)
{
    return imap_is_verb(command, "FETCH") || imap_is_verb(command, "STORE") || imap_is_verb(command, "SEARCH");
}

/* These leave the mailbox: nothing of it is told any more. */
static bool leaves(struct text command)
{
    return imap_is_verb(command, "CLOSE") || imap_is_verb(command, "LOGOUT");
}

/* `* VANISHED` and UIDs, without (EARLIER): so many messages have gone (RFC 7162 section 3.2.10). */
static bool is_vanished(struct text line, uint64_t *n)
{
    struct text begin = text_of("* VANISHED ");
    uint64_t first = 0, number = 0;
    *n = 0;
    if (!text_begins(line, begin) || text_begins(line, text_of("* VANISHED (")))
        return false;
    for (size_t i = begin.n; i < line.n; i++) {
        char c = line.p[i];
        if (c >= '0' && c <= '9') {
            number = number * 10 + (uint64_t)(c - '0');
            continue;
        }
        if (c == ',' || c == '\r')
            *n += 1 + (first != 0 ? number - first : 0);
        first = c == ':' ? number : 0;
        number = 0;
    }
    return true;
}

static const char *check_gone(struct view *view, uint64_t n)
{
    if (n == 0 || n > view->exists)
        return "VANISHED of more than there is";
    view->exists -= n;
    if (keeps_numbers(view->command))
        return "VANISHED while numbers are in use";
    return leaves(view->command) || selects(view->command) ? "VANISHED of a mailbox that is left" : NULL;
}

static const char *check_told(struct view *view, struct text line)
{
    uint64_t n = 0;
    if (text_begins(line, text_of("* OK [CLOSED]"))) /* RFC 7162 section 3.2.11: what comes now is of the next one */
        view->exists = 0;
    if (is_told(line, "EXISTS", &n)) {
        bool less = n < view->exists && !selects(view->command);
        view->exists = n;
        return leaves(view->command) ? "EXISTS of a mailbox that is left" : less ? "EXISTS becomes less" : NULL;
    }
    if (is_told(line, "EXPUNGE", &n)) {
        if (n == 0 || n > view->exists)
            return "EXPUNGE of a number that is not there";
        view->exists--;
        if (keeps_numbers(view->command))
            return "EXPUNGE while numbers are in use";
        return leaves(view->command) || selects(view->command) ? "EXPUNGE of a mailbox that is left" : NULL;
    }
    if (is_vanished(line, &n))
        return check_gone(view, n);
    if (is_told(line, "FETCH", &n) && (n == 0 || n > view->exists))
        return "FETCH of a number that is not there";
    return NULL;
}

/* ---- How a response looks ---- */

static const char *check_tagged(const struct view *view, struct text line)
{
    struct text tag = imap_tag(line), rest = text_after(line, tag.n + 1);
    if (imap_command(view->said, tag).n == 0)
        return "a tag that no command has";
    if (!text_begins(rest, text_of("OK ")) && !text_begins(rest, text_of("NO ")) && !text_begins(rest, text_of("BAD ")))
        return "a tagged response that is neither OK nor NO nor BAD";
    return NULL;
}

/* Outside of literals only what can be printed, and brackets that close. */
static const char *check_octets(struct text response)
{
    int depth = 0;
    bool quoted = false, fetches = false;
    uint64_t n = 0;
    fetches = is_told(response, "FETCH", &n);
    while (response.n != 0) {
        uint64_t octets = 0;
        bool waits = false;
        struct text line = text_line(&response);
        line.n -= 2;
        for (size_t i = 0; i < line.n; i++) {
            char c = line.p[i];
            if (c < ' ' || c > '~')
                return "a response holds what cannot be printed";
            if (quoted && c == '\\')
                i++;
            else if (c == '"')
                quoted = !quoted;
            else if (!quoted && (c == '(' || c == ')'))
                depth += c == '(' ? 1 : -1;
        }
        if (literal_at_end(line, &octets, &waits))
            response = text_after(response, (size_t)octets);
    }
    return fetches && (quoted || depth != 0) ? "a FETCH response whose brackets do not close" : NULL;
}

static const char *check_response(struct view *view, struct text r)
{
    const char *why = check_octets(r);
    if (why == NULL && r.p[r.n - 2] != '\r')
        why = "a line does not end in CRLF";
    if (why == NULL && imap_is_tagged(r))
        why = check_tagged(view, r);
    else if (why == NULL && r.n < 4)
        why = "an empty response";
    else if (why == NULL && r.p[1] != ' ')
        why = "no space behind * or +"; /* RFC 9051 section 7.6 */
    else if (why == NULL)
        why = check_told(view, r);
    return why;
}

const char *imap_check(struct text said, struct text heard, struct text *where)
{
    struct view view = { .said = said };
    bool answered = true;
    for (struct text r = imap_response(heard); r.n != 0; r = imap_response(heard)) {
        if (answered)
            view.command = next_answered(said, heard);
        answered = imap_is_tagged(r);
        const char *why = check_response(&view, r);
        *where = r;
        if (why != NULL)
            return why;
        heard = text_after(heard, r.n);
    }
    return NULL;
}
