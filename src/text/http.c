#include "text/http.h"

bool mailsrv__is_http_method(struct span word)
{
    static const char methods[][8] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                       "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI" };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (mailsrv__span_equal_nocase(word, (struct span){ methods[i], strlen(methods[i]) }))
            return true;
    return false;
}

bool mailsrv__is_http_request(struct span line)
{
    const struct span version = SPAN(" HTTP/");
    const size_t whole = version.n + 5; /* and two digits with a dot between them, and CRLF */
    const char *end = line.n > whole ? memchr(line.p, ' ', line.n - whole) : NULL;
    return end != NULL && mailsrv__is_http_method((struct span){ line.p, (size_t)(end - line.p) }) &&
           memcmp(line.p + line.n - whole, version.p, version.n) == 0;
}
