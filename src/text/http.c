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
