/* IP addresses as text, there and back. */
#include "text/ip.h"
#include "text/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    size_t octets;
    const char *again; /* NULL: the same text */
} rows[] = {
    { "0.0.0.0", 4, NULL },
    { "192.0.2.1", 4, NULL },
    { "255.255.255.255", 4, NULL },
    { "010.001.000.009", 4, "10.1.0.9" },
    { "1.2.3", 0, NULL },
    { "1.2.3.4.5", 0, NULL },
    { "1.2.3.256", 0, NULL },
    { "1.2.3.0004", 0, NULL },
    { "1.2.3.", 0, NULL },
    { "1..2.3", 0, NULL },
    { "1.2.3.a", 0, NULL },
    { " 1.2.3.4", 0, NULL },
    { "", 0, NULL },
    { "::", 16, NULL },
    { "::1", 16, NULL },
    { "2001:db8::1", 16, NULL },
    { "2001:DB8:0:0:0:0:0:1", 16, "2001:db8::1" },
    { "1:2:3:4:5:6:7:8", 16, NULL },
    { "1:2:3:4:5:6::", 16, NULL },
    { "::3:4:5:6:7:8", 16, NULL },
    { "::ffff:192.0.2.1", 16, "::ffff:c000:201" },
    { "1:2:3:4:5:6:192.0.2.1", 16, "1:2:3:4:5:6:c000:201" },
    { "1::2:3.4.5.6", 16, "1::2:304:506" },
    { "1:2:3:4:5:6:7::", 0, NULL }, /* one group is no two */
    { "1:2:3:4:5:6:7", 0, NULL },
    { "1:2:3:4:5:6:7:8:9", 0, NULL },
    { "1:2:3:4:5:6:7:1.2.3.4", 0, NULL },
    { "1:2:3:4:5:6:7:8:1.2.3.4", 0, NULL },
    { "1:2:3:4:5:6:1.2.3.4:5", 0, NULL },
    { "1.2.3.4::", 0, NULL },
    { "1::2::3", 0, NULL },
    { ":::", 0, NULL },
    { "1:", 0, NULL },
    { ":1", 0, NULL },
    { "::12345", 0, NULL },
    { "::g", 0, NULL },
    { "::\xE1", 0, NULL },
    { "::[", 0, NULL },
    { "::1%lo", 0, NULL },
};

static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t address[IPV6_OCTETS];
        char room[64];
        struct writer w = { .p = room, .room = sizeof room };
        const char *again = rows[i].again == NULL ? rows[i].text : rows[i].again;
        size_t n = mailsrv__ip_read((struct span){ rows[i].text, strlen(rows[i].text) }, address);
        mailsrv__write_ip(&w, address, n);
        if (n != rows[i].octets || (n != 0 && (w.n != strlen(again) || memcmp(room, again, w.n) != 0)))
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
