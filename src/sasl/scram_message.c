#include "sasl/scram_message.h"

#include "text/decimal.h"

/* Takes what stands before the next comma, and the comma.  False: there is none. */
static bool take_until_comma(struct span *rest, struct span *out)
{
    const char *comma = rest->n == 0 ? NULL : memchr(rest->p, ',', rest->n);
    if (comma == NULL)
        return false;
    *out = mailsrv__span_first(*rest, (size_t)(comma - rest->p));
    *rest = mailsrv__span_after(*rest, out->n + 1);
    return true;
}

/* `x=value`, value not empty. */
static bool is_attribute(struct span text, char name, struct span *value)
{
    if (text.n < 3 || text.p[0] != name || text.p[1] != '=')
        return false;
    *value = mailsrv__span_after(text, 2);
    return memchr(value->p, 0, value->n) == NULL;
}

/* The next attribute, which has that name; whether a comma follows says `*more`. */
static bool take_attribute(struct span *rest, char name, struct span *value, bool *more)
{
    struct span text = *rest;
    *more = take_until_comma(rest, &text);
    if (!*more)
        *rest = (struct span){ NULL, 0 };
    return is_attribute(text, name, value);
}

/* cb-name = 1*(ALPHA / DIGIT / "." / "-") */
static bool is_binding_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        char u = mailsrv__upper(name.p[i]);
        if (!((u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '.' || u == '-'))
            return false;
    }
    return name.n != 0;
}

/* gs2-cbind-flag = ("p=" cb-name) / "n" / "y" */
static bool read_flag(struct span flag, struct scram_first *out)
{
    if (mailsrv__span_equal(flag, SPAN("n")) || mailsrv__span_equal(flag, SPAN("y"))) {
        out->binding = flag.p[0] == 'n' ? SCRAM_CANNOT_BIND : SCRAM_COULD_BIND;
        return true;
    }
    out->binding = SCRAM_BINDS;
    return is_attribute(flag, 'p', &out->binding_name) && is_binding_name(out->binding_name);
}

/* printable = %x21-2B / %x2D-7E */
static bool is_nonce(struct span nonce)
{
    for (size_t i = 0; i < nonce.n; i++)
        if (nonce.p[i] < '!' || nonce.p[i] > '~')
            return false;
    return nonce.n <= SCRAM_NONCE_MAX;
}

/* extensions = attr-val *("," attr-val); attr-val = ALPHA "=" value: what is not known is ignored */
static bool skip_extensions(struct span rest, bool more)
{
    struct span ignored;
    while (more) {
        if (rest.n == 0 || mailsrv__upper(rest.p[0]) < 'A' || mailsrv__upper(rest.p[0]) > 'Z' ||
            !take_attribute(&rest, rest.p[0], &ignored, &more))
            return false;
    }
    return true;
}

/* client-first-message = gs2-header client-first-message-bare
 * gs2-header = gs2-cbind-flag "," [authzid] ","
 * client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
 * reserved-mext is for what must be understood: nothing is, so it is an error. */
bool mailsrv__scram_read_first(struct span message, struct scram_first *out)
{
    struct span rest = message, flag, identity;
    bool more;
    *out = (struct scram_first){ .binding = SCRAM_CANNOT_BIND };
    if (!take_until_comma(&rest, &flag) || !read_flag(flag, out) || !take_until_comma(&rest, &identity) ||
        (identity.n != 0 && !is_attribute(identity, 'a', &out->identity)) || rest.n == 0)
        return false;
    out->bare = rest;
    out->gs2_header = mailsrv__span_first(message, (size_t)(rest.p - message.p));
    return take_attribute(&rest, 'n', &out->user, &more) && more && take_attribute(&rest, 'r', &out->nonce, &more) &&
           is_nonce(out->nonce) && skip_extensions(rest, more);
}

/* client-final-message = channel-binding "," nonce ["," extensions] "," proof */
bool mailsrv__scram_read_final(struct span message, struct scram_final *out)
{
    struct span rest = message;
    size_t comma = message.n;
    bool more;
    *out = (struct scram_final){ .nonce = { NULL, 0 } };
    while (comma != 0 && message.p[comma - 1] != ',')
        comma--;
    if (comma == 0 || !is_attribute(mailsrv__span_after(message, comma), 'p', &out->proof))
        return false;
    out->without_proof = rest = mailsrv__span_first(message, comma - 1);
    return take_attribute(&rest, 'c', &out->binding, &more) && more && take_attribute(&rest, 'r', &out->nonce, &more) &&
           skip_extensions(rest, more);
}

/* posit-number = %x31-39 *DIGIT; one that does not fit is none */
static bool read_count(struct span text, uint32_t *out)
{
    uint64_t value;
    if (text.p[0] == '0' || !mailsrv__decimal_read(text, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions] */
bool mailsrv__scram_read_server_first(struct span message, struct scram_server_first *out)
{
    struct span rest = message, count;
    bool more;
    *out = (struct scram_server_first){ .iterations = 0 };
    return take_attribute(&rest, 'r', &out->nonce, &more) && more && is_nonce(out->nonce) &&
           take_attribute(&rest, 's', &out->salt, &more) && more && take_attribute(&rest, 'i', &count, &more) &&
           read_count(count, &out->iterations) && skip_extensions(rest, more);
}

/* server-final-message = (server-error / verifier) ["," extensions]; verifier = "v=" base64 */
bool mailsrv__scram_read_server_final(struct span message, struct span *signature)
{
    bool more;
    return take_attribute(&message, 'v', signature, &more) && skip_extensions(message, more);
}

/* saslname = 1*(value-safe-char / "=2C" / "=3D") */
bool mailsrv__scram_unescape(struct span escaped, char *out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < escaped.n; i++) {
        char c = escaped.p[i];
        if (c == '=') {
            struct span code = mailsrv__span_first(mailsrv__span_after(escaped, i), 3);
            if (!mailsrv__span_equal(code, SPAN("=2C")) && !mailsrv__span_equal(code, SPAN("=3D")))
                return false;
            c = code.p[2] == 'C' ? ',' : '=';
            i += 2;
        }
        out[(*n)++] = c;
    }
    return true;
}

void mailsrv__scram_escape(struct span name, struct writer *w)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == ',')
            mailsrv__write(w, SPAN("=2C"));
        else if (name.p[i] == '=')
            mailsrv__write(w, SPAN("=3D"));
        else
            mailsrv__write_char(w, name.p[i]);
    }
}
