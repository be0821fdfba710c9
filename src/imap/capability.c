/* CAPABILITY (RFC 9051 section 6.1.1). */
#include "imap/messages.h"

static const struct {
    struct span name;
    int32_t extension;
    int32_t kind; /* of operation, that it needs; 0: none */
} capabilities[] = {
    { { "LITERAL+", 8 }, MAILSRV_EXT_LITERAL_PLUS, 0 },           /* RFC 7888 */
    { { "IDLE", 4 }, MAILSRV_EXT_IDLE, 0 },                       /* RFC 2177 */
    { { "UIDPLUS", 7 }, MAILSRV_EXT_UIDPLUS, MAILSRV_OP_EXPUNGE }, /* RFC 4315 */
    { { "NAMESPACE", 9 }, MAILSRV_EXT_NAMESPACE, 0 },             /* RFC 2342 */
    { { "ID", 2 }, MAILSRV_EXT_ID, 0 },                           /* RFC 2971 */
    { { "CHILDREN", 8 }, MAILSRV_EXT_CHILDREN, MAILSRV_OP_MBOX_LIST }, /* RFC 3348 */
    { { "SPECIAL-USE", 11 }, MAILSRV_EXT_SPECIAL_USE, MAILSRV_OP_MBOX_LIST }, /* RFC 6154 */
    { { "CREATE-SPECIAL-USE", 18 }, MAILSRV_EXT_SPECIAL_USE, MAILSRV_OP_MBOX_CREATE },
    { { "LIST-EXTENDED", 13 }, MAILSRV_EXT_LIST_EXTENDED, MAILSRV_OP_MBOX_LIST }, /* RFC 5258 */
    { { "STATUS=SIZE", 11 }, MAILSRV_EXT_STATUS_SIZE, MAILSRV_OP_MBOX_STATUS }, /* RFC 8438 */
    { { "UNSELECT", 8 }, MAILSRV_EXT_UNSELECT, 0 },                /* RFC 3691 */
    { { "ESEARCH", 7 }, MAILSRV_EXT_ESEARCH, 0 },                  /* RFC 4731 */
    { { "ENABLE", 6 }, MAILSRV_EXT_ENABLE, 0 },                    /* RFC 5161 */
    { { "CONDSTORE", 9 }, MAILSRV_EXT_CONDSTORE, MAILSRV_OP_CHANGES }, /* RFC 7162 */
};

/* Who has logged in does so no more. */
static void write_logins(const struct imap *p, struct writer *w)
{
    if (mailsrv__imap_takes_logins(p) && mailsrv__sasl_offers_any(&p->session)) {
        mailsrv__sasl_write_names(&p->session, SPAN(" AUTH="), w);
        if (mailsrv__enabled(&p->session, MAILSRV_EXT_SASL_IR))
            mailsrv__write(w, SPAN(" SASL-IR")); /* RFC 4959 */
    }
    if (!mailsrv__imap_takes_passwords(p))
        mailsrv__write(w, SPAN(" LOGINDISABLED"));
}

/* It is an option of the extended LIST alone. */
bool mailsrv__imap_lists_status(const struct imap *p)
{
    return mailsrv__enabled(&p->session, MAILSRV_EXT_LIST_STATUS) &&
           mailsrv__enabled(&p->session, MAILSRV_EXT_LIST_EXTENDED) &&
           mailsrv__served(&p->session, MAILSRV_OP_MBOX_LIST) && mailsrv__served(&p->session, MAILSRV_OP_MBOX_STATUS);
}

void mailsrv__imap_write_capabilities(const struct imap *p, struct writer *w)
{
    mailsrv__write(w, SPAN("IMAP4rev1"));
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        int32_t kind = capabilities[i].kind;
        if (!mailsrv__enabled(&p->session, capabilities[i].extension) ||
            (kind != 0 && !mailsrv__served(&p->session, kind)))
            continue;
        mailsrv__write_char(w, ' ');
        mailsrv__write(w, capabilities[i].name);
    }
    if (mailsrv__imap_can_move(p))
        mailsrv__write(w, SPAN(" MOVE")); /* RFC 6851 */
    if (mailsrv__imap_has_qresync(p))
        mailsrv__write(w, SPAN(" QRESYNC")); /* RFC 7162 */
    if (mailsrv__imap_lists_status(p))
        mailsrv__write(w, SPAN(" LIST-STATUS")); /* RFC 5819 */
    if (mailsrv__can_start_tls(&p->session))
        mailsrv__write(w, SPAN(" STARTTLS"));
    if (p->state == IN_GREETED)
        write_logins(p, w);
}

enum step mailsrv__imap_capability(struct imap *p)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    mailsrv__write(&line, SPAN("* CAPABILITY "));
    mailsrv__imap_write_capabilities(p, &line);
    return mailsrv__imap_say(p, &line) ? mailsrv__imap_ok(p, SPAN("that is all")) : STEP_CLOSE;
}
