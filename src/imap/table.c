/* The table of commands (RFC 9051 section 6). */
#include "imap/messages.h"

static const struct row rows[] = {
    /* What each is allowed in, tells, tells in its UID form, needs and does. */
    { "APPEND", IN_LOGGED_IN, TELL_ALL, 0, ROW_TRYCREATE, MAILSRV_OP_BODY_COMMIT, 0, mailsrv__imap_parse_append,
      mailsrv__imap_append, mailsrv__imap_append_fini, &mailsrv__imap_append_streams },
    { "AUTHENTICATE", IN_GREETED, TELL_NOTHING, 0, 0, 0, MAILSRV_EXT_AUTH, mailsrv__imap_parse_authenticate,
      mailsrv__imap_authenticate, NULL, NULL },
    { "CAPABILITY", IN_ANY, TELL_ALL, 0, 0, 0, 0, NULL, mailsrv__imap_capability, NULL, NULL },
    /* RFC 3501 section 6.4.1: there is nothing to check, and clients of IMAP4rev1 ask. */
    { "CHECK", IN_SELECTED, TELL_ALL, 0, ROW_SYNCS, 0, 0, NULL, mailsrv__imap_noop, NULL, NULL },
    { "CLOSE", IN_SELECTED, TELL_NOTHING, 0, 0, 0, 0, NULL, mailsrv__imap_close, NULL, NULL },
    { "COPY", IN_SELECTED, TELL_ALL, TELL_ALL, ROW_NUMBERED | ROW_TRYCREATE, MAILSRV_OP_COPY, 0,
      mailsrv__imap_parse_copy, mailsrv__imap_copy, mailsrv__imap_copy_fini, NULL },
    { "ENABLE", IN_LOGGED_IN, TELL_ALL, 0, 0, 0, MAILSRV_EXT_ENABLE, mailsrv__imap_parse_enable, mailsrv__imap_enable,
      NULL, NULL },
    { "CREATE", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_CREATE, 0, mailsrv__imap_parse_create,
      mailsrv__imap_create, mailsrv__imap_names_fini, NULL },
    { "DELETE", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_DELETE, 0, mailsrv__imap_parse_name,
      mailsrv__imap_delete, mailsrv__imap_names_fini, NULL },
    { "EXAMINE", IN_LOGGED_IN, TELL_NOTHING, 0, 0, MAILSRV_OP_CHANGES, 0, mailsrv__imap_parse_select,
      mailsrv__imap_examine, mailsrv__imap_select_fini, NULL },
    { "EXPUNGE", IN_SELECTED, TELL_ALL, TELL_ALL, ROW_EXPUNGES | ROW_WRITES, MAILSRV_OP_EXPUNGE, 0,
      mailsrv__imap_parse_expunge, mailsrv__imap_expunge, NULL, NULL },
    { "FETCH", IN_SELECTED, TELL_FLAGS, TELL_ALL, 0, 0, 0, mailsrv__imap_parse_fetch, mailsrv__imap_fetch,
      mailsrv__imap_fetch_fini, NULL },
    { "ID", IN_ANY, TELL_ALL, 0, 0, 0, MAILSRV_EXT_ID, mailsrv__imap_parse_id, mailsrv__imap_id, NULL, NULL },
    { "IDLE", IN_LOGGED_IN, TELL_ALL, 0, ROW_SYNCS, 0, MAILSRV_EXT_IDLE, NULL, mailsrv__imap_idle, NULL, NULL },
    { "LIST", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_LIST, 0, mailsrv__imap_parse_list, mailsrv__imap_list,
      NULL, NULL },
    { "LOGIN", IN_GREETED, TELL_NOTHING, 0, 0, 0, 0, mailsrv__imap_parse_login, mailsrv__imap_login, NULL, NULL },
    { "LOGOUT", IN_ANY, TELL_NOTHING, 0, 0, 0, 0, NULL, mailsrv__imap_logout, NULL, NULL },
    { "LSUB", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_LIST, 0, mailsrv__imap_parse_lsub, mailsrv__imap_list,
      NULL, NULL },
    { "MOVE", IN_SELECTED, TELL_ALL, TELL_ALL, ROW_NUMBERED | ROW_TRYCREATE | ROW_EXPUNGES | ROW_WRITES, 0,
      MAILSRV_EXT_MOVE, mailsrv__imap_parse_copy, mailsrv__imap_move, mailsrv__imap_copy_fini, NULL },
    { "NAMESPACE", IN_LOGGED_IN, TELL_ALL, 0, 0, 0, MAILSRV_EXT_NAMESPACE, NULL, mailsrv__imap_namespace, NULL, NULL },
    { "NOOP", IN_ANY, TELL_ALL, 0, ROW_SYNCS, 0, 0, NULL, mailsrv__imap_noop, NULL, NULL },
    { "RENAME", IN_LOGGED_IN, TELL_ALL, 0, ROW_EXPUNGES, MAILSRV_OP_MBOX_RENAME, 0, mailsrv__imap_parse_rename,
      mailsrv__imap_rename, mailsrv__imap_names_fini, NULL },
    { "SEARCH", IN_SELECTED, TELL_FLAGS, TELL_ALL, 0, 0, 0, mailsrv__imap_parse_search, mailsrv__imap_search,
      mailsrv__imap_search_fini, NULL },
    { "SELECT", IN_LOGGED_IN, TELL_NOTHING, 0, 0, MAILSRV_OP_CHANGES, 0, mailsrv__imap_parse_select,
      mailsrv__imap_select, mailsrv__imap_select_fini, NULL },
    { "STARTTLS", IN_GREETED, TELL_NOTHING, 0, 0, 0, MAILSRV_EXT_STARTTLS, NULL, mailsrv__imap_starttls, NULL, NULL },
    { "STATUS", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_STATUS, 0, mailsrv__imap_parse_status,
      mailsrv__imap_status_command, NULL, NULL },
    { "STORE", IN_SELECTED, TELL_FLAGS, TELL_ALL, ROW_WRITES, MAILSRV_OP_FLAGS, 0, mailsrv__imap_parse_store,
      mailsrv__imap_store, NULL, NULL },
    { "UNSELECT", IN_SELECTED, TELL_NOTHING, 0, 0, 0, MAILSRV_EXT_UNSELECT, NULL, mailsrv__imap_unselect_only, NULL,
      NULL },
    { "SUBSCRIBE", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_SUBSCRIBE, 0, mailsrv__imap_parse_name,
      mailsrv__imap_subscribe, mailsrv__imap_names_fini, NULL },
    { "UNSUBSCRIBE", IN_LOGGED_IN, TELL_ALL, 0, 0, MAILSRV_OP_MBOX_SUBSCRIBE, 0, mailsrv__imap_parse_name,
      mailsrv__imap_unsubscribe, mailsrv__imap_names_fini, NULL },
};

struct command_names mailsrv__imap_names(void)
{
    return (struct command_names){ rows->name, sizeof *rows, sizeof rows / sizeof *rows };
}

const struct row *mailsrv__imap_row(const struct imap *p, struct span name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        if (mailsrv__span_equal_nocase(name, (struct span){ row->name, strlen(row->name) }))
            return row->extension == 0 || mailsrv__enabled(&p->session, row->extension) ? row : NULL;
    }
    return NULL;
}
