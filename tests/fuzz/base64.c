/* Base64: what is read, written again, is the text; and nothing else is. */
#include "fuzz.h"

#include "text/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct span all = { (const char *)p, n };
    char *copy = exact(all), *again = (char *)must(malloc(n + 4));
    uint8_t *octets = (uint8_t *)must(malloc(BASE64_OCTETS(n) + 1));
    size_t n_octets = 0;
    octets[BASE64_OCTETS(n)] = '#';
    if (mailsrv__base64_read((struct span){ copy, n }, octets, &n_octets)) {
        CHECK(n_octets <= BASE64_OCTETS(n), "more octets than there is room for");
        size_t n_again = mailsrv__base64(octets, n_octets, again);
        CHECK(n_again == BASE64_CHARS(n_octets) && mailsrv__span_equal((struct span){ again, n_again }, all),
              "what was read is another text");
    }
    CHECK(octets[BASE64_OCTETS(n)] == '#', "written behind its room");
    free(octets);
    free(again);
    free(copy);
    return 0;
}
