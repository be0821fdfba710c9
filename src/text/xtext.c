#include "text/xtext.h"

enum { ENVID_OCTETS_MAX = 100, ORCPT_OCTETS_MAX = 500 };

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext = *( xchar / hexchar )   RFC 3461 section 4; hexchar = "+" 2HEXDIG, in upper case */
bool mailsrv__is_xtext(struct span text, int least, int most)
{
    for (size_t i = 0; i < text.n; i++) {
        int c = text.p[i];
        if (c < '!' || c > '~' || c == '=')
            return false;
        if (c != '+')
            continue;
        if (text.n - i < 3 || hex_value(text.p[i + 1]) < 0 || hex_value(text.p[i + 2]) < 0)
            return false;
        c = hex_value(text.p[i + 1]) * 16 + hex_value(text.p[i + 2]);
        if (c < least || c > most)
            return false;
        i += 2;
    }
    return text.n != 0;
}

/* Printable ASCII, as both parameters want it: no line end that would break out of a notice. */
static bool is_printable(struct span text)
{
    return mailsrv__is_xtext(text, ' ', '~');
}

/* envid-parameter = "ENVID=" xtext   RFC 3461 section 4.4 */
bool mailsrv__is_envelope_id(struct span text)
{
    return text.n <= ENVID_OCTETS_MAX && is_printable(text);
}

/* original-recipient-address = addr-type ";" xtext   RFC 3461 section 4.2; addr-type = atom */
bool mailsrv__is_original(struct span text)
{
    const char *semicolon = text.n == 0 ? NULL : memchr(text.p, ';', text.n);
    if (semicolon == NULL || semicolon == text.p || text.n > ORCPT_OCTETS_MAX)
        return false;
    size_t n = (size_t)(semicolon - text.p);
    for (size_t i = 0; i < n; i++) {
        char c = mailsrv__upper(text.p[i]);
        if ((c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-')
            return false;
    }
    return is_printable(mailsrv__span_after(text, n + 1));
}
