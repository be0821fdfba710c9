#include "names.h"

#include <mailsrv/mailsrv.h>

struct name {
    const char *name;
    int32_t number;
};

static const struct name statuses[] = {
    { "TEMP", MAILSRV_TEMP },
    { "NOMEM", MAILSRV_NOMEM },
    { "FULL", MAILSRV_FULL },
    { "LIMIT", MAILSRV_LIMIT },
    { "OVERQUOTA", MAILSRV_OVERQUOTA },
    { "INUSE", MAILSRV_INUSE },
    { "CORRUPT", MAILSRV_CORRUPT },
    { "DENIED", MAILSRV_DENIED },
    { "TOOBIG", MAILSRV_TOOBIG },
    { "NONEXISTENT", MAILSRV_NONEXISTENT },
    { "NOPERM", MAILSRV_NOPERM },
    { "CANNOT", MAILSRV_CANNOT },
    { "ALREADYEXISTS", MAILSRV_ALREADYEXISTS },
    { "GONE", MAILSRV_GONE },
    { NULL, 0 },
};

static const struct name verdicts[] = {
    { "CONTINUE", MAILSRV_POLICY_CONTINUE }, { "ACCEPT", MAILSRV_POLICY_ACCEPT },
    { "REJECT", MAILSRV_POLICY_REJECT },     { "LATER", MAILSRV_POLICY_LATER },
    { "DISCARD", MAILSRV_POLICY_DISCARD },   { "QUARANTINE", MAILSRV_POLICY_QUARANTINE },
    { "REDIRECT", MAILSRV_POLICY_REDIRECT }, { "ADD_FIELDS", MAILSRV_POLICY_ADD_FIELDS },
    { "RELAY_OK", MAILSRV_POLICY_RELAY_OK }, { NULL, 0 },
};

static const struct name numbers[] = {
    { "message_octets_max", MAILSRV_PROFILE_MESSAGE_OCTETS_MAX },
    { "recipients_max", MAILSRV_PROFILE_RECIPIENTS_MAX },
    { "line_octets_max", MAILSRV_PROFILE_LINE_OCTETS_MAX },
    { "errors_max", MAILSRV_PROFILE_ERRORS_MAX },
    { "session_octets_max", MAILSRV_PROFILE_SESSION_OCTETS_MAX },
    { "window_octets", MAILSRV_PROFILE_WINDOW_OCTETS },
    { "command_timeout_ms", MAILSRV_PROFILE_COMMAND_TIMEOUT_MS },
    { "data_timeout_ms", MAILSRV_PROFILE_DATA_TIMEOUT_MS },
    { "final_timeout_ms", MAILSRV_PROFILE_FINAL_TIMEOUT_MS },
    { "answer_timeout_ms", MAILSRV_PROFILE_ANSWER_TIMEOUT_MS },
    { "hops_max", MAILSRV_PROFILE_HOPS_MAX },
    { "policy_stages", MAILSRV_PROFILE_POLICY_STAGES },
    { "sender_check", MAILSRV_PROFILE_SENDER_CHECK },
    { "sender_field", MAILSRV_PROFILE_SENDER_FIELD },
    { "auth_mechanisms", MAILSRV_PROFILE_AUTH_MECHANISMS },
    { "auth_delay_ms", MAILSRV_PROFILE_AUTH_DELAY_MS },
    { "auth_failures_max", MAILSRV_PROFILE_AUTH_FAILURES_MAX },
    { "scram_iterations", MAILSRV_PROFILE_SCRAM_ITERATIONS },
    { "plain_passwords", MAILSRV_PROFILE_PLAIN_PASSWORDS },
    { "bare_line_ends", MAILSRV_PROFILE_BARE_LINE_ENDS },
    { "overquota_permanent", MAILSRV_PROFILE_OVERQUOTA_PERMANENT },
    { "tls", MAILSRV_PROFILE_TLS },
    { "tls_discard", MAILSRV_PROFILE_TLS_DISCARD },
    { "tls_timeout_ms", MAILSRV_PROFILE_TLS_TIMEOUT_MS },
    { NULL, 0 },
};

static const struct name strings[] = {
    { "hostname", MAILSRV_PROFILE_HOSTNAME },
    { "drop_fields", MAILSRV_PROFILE_DROP_FIELDS },
    { "detail_delimiter", MAILSRV_PROFILE_DETAIL_DELIMITER },
    { "postmaster", MAILSRV_PROFILE_POSTMASTER },
    { "scram_secret", MAILSRV_PROFILE_SCRAM_SECRET },
    { NULL, 0 },
};

static const struct name extensions[] = {
    { "size", MAILSRV_EXT_SIZE },         { "pipelining", MAILSRV_EXT_PIPELINING },
    { "8bitmime", MAILSRV_EXT_8BITMIME }, { "enhancedstatuscodes", MAILSRV_EXT_ENHANCEDSTATUSCODES },
    { "chunking", MAILSRV_EXT_CHUNKING }, { "top", MAILSRV_EXT_TOP },
    { "starttls", MAILSRV_EXT_STARTTLS }, { "dsn", MAILSRV_EXT_DSN },
    { "uidl", MAILSRV_EXT_UIDL },         { "smtputf8", MAILSRV_EXT_SMTPUTF8 },
    { "pop3_pipelining", MAILSRV_EXT_POP3_PIPELINING },
    { "resp_codes", MAILSRV_EXT_RESP_CODES },
    { "pop3_utf8", MAILSRV_EXT_POP3_UTF8 },
    { "auth", MAILSRV_EXT_AUTH },
    { "unselect", MAILSRV_EXT_UNSELECT },
    { "move", MAILSRV_EXT_MOVE },
    { "enable", MAILSRV_EXT_ENABLE },
    { "condstore", MAILSRV_EXT_CONDSTORE },
    { "qresync", MAILSRV_EXT_QRESYNC },
    { "esearch", MAILSRV_EXT_ESEARCH },
    { "namespace", MAILSRV_EXT_NAMESPACE },
    { "id", MAILSRV_EXT_ID },
    { "special_use", MAILSRV_EXT_SPECIAL_USE },
    { "children", MAILSRV_EXT_CHILDREN },
    { "list_extended", MAILSRV_EXT_LIST_EXTENDED },
    { "list_status", MAILSRV_EXT_LIST_STATUS },
    { "status_size", MAILSRV_EXT_STATUS_SIZE },
    { "sasl_ir", MAILSRV_EXT_SASL_IR },   { "dsn", MAILSRV_EXT_DSN },
    { NULL, 0 },
};

static const struct name flags[] = {
    { "\\Seen", MAILSRV_FLAG_SEEN },       { "\\Answered", MAILSRV_FLAG_ANSWERED },
    { "\\Flagged", MAILSRV_FLAG_FLAGGED }, { "\\Deleted", MAILSRV_FLAG_DELETED },
    { "\\Draft", MAILSRV_FLAG_DRAFT },     { NULL, 0 },
};

static bool find(const struct name *table, struct text name, int32_t *out)
{
    for (; table->name != NULL; table++) {
        if (!text_is(name, table->name))
            continue;
        *out = table->number;
        return true;
    }
    return false;
}

bool name_of_verdict(struct text name, int32_t *out)
{
    return find(verdicts, name, out);
}

bool name_of_status(struct text name, int32_t *out)
{
    if (text_is(name, "OK") || text_is(name, "ok")) {
        *out = MAILSRV_OK;
        return true;
    }
    return find(statuses, name, out);
}

bool name_of_profile_key(struct text name, int32_t *out, bool *is_string)
{
    *is_string = find(strings, name, out);
    return *is_string || find(numbers, name, out);
}

bool name_of_extension(struct text name, int32_t *out)
{
    return find(extensions, name, out);
}

bool name_of_flag(struct text name, uint32_t *out)
{
    int32_t flag = 0;
    if (!find(flags, name, &flag))
        return false;
    *out = (uint32_t)flag;
    return true;
}

void names_of_flags(uint32_t set, struct buffer *out)
{
    const char *between = "";
    for (const struct name *f = flags; f->name != NULL; f++) {
        if ((set & (uint32_t)f->number) == 0)
            continue;
        buffer_add_text(out, between);
        buffer_add_text(out, f->name);
        between = " ";
    }
}

bool name_of_kind(struct text name, int32_t *out)
{
    for (int32_t kind = 1; kind < 64; kind++) {
        if (!text_is(name, mailsrv_op_name(kind)))
            continue;
        *out = kind;
        return true;
    }
    return false;
}

int32_t status_at(size_t i)
{
    return i < sizeof statuses / sizeof statuses[0] ? statuses[i].number : 0;
}

const char *status_name(int32_t status)
{
    for (const struct name *s = statuses; s->name != NULL; s++)
        if (s->number == status)
            return s->name;
    return "OK";
}
