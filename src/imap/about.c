/* NAMESPACE (RFC 2342) and ID (RFC 2971). */
#include "imap/imap.h"

/* One namespace, the account's own, whose root is the root of all names. */
enum step mailsrv__imap_namespace(struct imap *p)
{
    bool said = mailsrv__say(&p->session, SPAN("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"));
    return said ? mailsrv__imap_ok(p, SPAN("that is all")) : STEP_CLOSE;
}

enum { FIELDS_MAX = 30, FIELD_OCTETS_MAX = 30, VALUE_OCTETS_MAX = 1024 }; /* RFC 2971 section 3.3 */

/* string SP nstring */
static bool parse_field(struct reader *r)
{
    struct span field, value = { NULL, 0 };
    if (!mailsrv__parse_string(r, &field) || !mailsrv__parse_sp(r))
        return false;
    if (!mailsrv__parse_word(r, SPAN("NIL")) && !mailsrv__parse_string(r, &value))
        return false;
    if (field.n > FIELD_OCTETS_MAX || value.n > VALUE_OCTETS_MAX)
        return mailsrv__parse_fails(r, "shorter fields");
    return true;
}

/* id = "ID" SP ("(" [string SP nstring *(SP string SP nstring)] ")" / nil): nothing is done with what clients say of
 * themselves (RFC 2971 section 1). */
bool mailsrv__imap_parse_id(struct imap *p, struct reader *r)
{
    (void)p;
    if (!mailsrv__parse_sp(r))
        return false;
    if (mailsrv__parse_word(r, SPAN("NIL")))
        return true;
    if (!mailsrv__parse_char(r, '('))
        return false;
    if (mailsrv__parse_is(r, ')'))
        return mailsrv__parse_char(r, ')');
    unsigned n = 0;
    do {
        if (n++ == FIELDS_MAX)
            return mailsrv__parse_fails(r, "fewer fields");
        if (!parse_field(r))
            return false;
    } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    return mailsrv__parse_char(r, ')');
}

/* The version is for nobody who has not logged in, and so it is told to nobody. */
enum step mailsrv__imap_id(struct imap *p)
{
    bool said = mailsrv__say(&p->session, SPAN("* ID (\"name\" \"libmailserver\")\r\n"));
    return said ? mailsrv__imap_ok(p, SPAN("that is all")) : STEP_CLOSE;
}
