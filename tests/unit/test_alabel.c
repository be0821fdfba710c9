/* Domains beyond ASCII as A-labels. */
#include "text/alabel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *label, *domain, *written; /* NULL: it cannot be */
};

static void check(const struct row *row)
{
    char room[256];
    struct writer w = { .p = room, .room = sizeof room };
    bool written = mailsrv__alabel_write(&w, (struct span){ row->domain, strlen(row->domain) });
    if (written != (row->written != NULL) ||
        (written && (w.n != strlen(row->written) || memcmp(room, row->written, w.n) != 0)))
        fail_msg("%s: %.*s", row->label, (int)w.n, room);
}

/* RFC 3492 section 7.1, with capitals made small; (S) has no need of it, and (H) is longer than a label. */
static const struct row vectors[] = {
    { "Arabic", "ليهمابتكلموشعربي؟",
      "xn--egbpdaj6bu4bxfgehfvwxn" },
    { "Chinese (simplified)", "他们为什么不说中文",
      "xn--ihqwcrb4cv8a8dqg056pqjye" },
    { "Chinese (traditional)", "他們爲什麽不說中文",
      "xn--ihqwctvzc91f659drss3x8bo0yb" },
    { "Czech", "Pročprostěnemluvíčesky",
      "xn--proprostnemluvesky-uyb24dma41a" },
    { "Hebrew", "למההםפשוטלאמדבריםעברית",
      "xn--4dbcagdahymbxekheh6e0a7fei0b" },
    { "Hindi", "यहलोगहिन्दीक्योंनहींबोलसकतेहैं",
      "xn--i1baa7eci9glrd9b2ae1bj0hfcgg6iyaf8o0a1dig0cd" },
    { "Japanese", "なぜみんな日本語を話してくれないのか",
      "xn--n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa" },
    { "Korean", "세계의모든사람들이한국어를이해한다면얼마나좋을까",
      NULL },
    { "Russian", "почемужеонинеговорятпорусски",
      "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l" },
    { "Spanish", "PorquénopuedensimplementehablarenEspañol",
      "xn--porqunopuedensimplementehablarenespaol-fmd56a" },
    { "Vietnamese", "TạisaohọkhôngthểchỉnóitiếngViệt",
      "xn--tisaohkhngthchnitingvit-kjcr8268qyxafd2f1b9g" },
    { "3B", "3年B組金八先生",
      "xn--3b-ww4c5e180e575a65lsy2b" },
    { "Amuro", "安室奈美恵-with-SUPER-MONKEYS",
      "xn---with-super-monkeys-pc58ag80a8qai00g7n9n" },
    { "Hello", "Hello-Another-Way-それぞれの場所",
      "xn--hello-another-way--fc4qua05auwb3674vfr0b" },
    { "Hitotsu", "ひとつ屋根の下2",
      "xn--2-u9tlzr9756bt3uc0v" },
    { "Maji", "MajiでKoiする5秒前",
      "xn--majikoi5-783gue6qz075azm5e" },
    { "Pafii", "パフィーdeルンバ",
      "xn--de-jg4avhby1noc0d" },
    { "Sono", "そのスピードで",
      "xn--d9juau41awczczp" },
};

static void test_the_vectors_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        check(&vectors[i]);
}

static const struct row rows[] = {
    { "nothing", "", "" },
    { "ASCII", "Here.TEST", "here.test" },
    { "ASCII that is no name", "a..b.", "a..b." },
    { "one label of three", "post.b\xC3\xBC" "cher.example", "post.xn--bcher-kva.example" },
    { "a capital", "B\xC3\x9C" "CHER.example", "xn--bcher-kva.example" },
    { "a final sigma", "\xCE\xB1\xCF\x82", "xn--mxa8a" },
    { "a sigma", "\xCE\xB1\xCF\x83", "xn--mxa0b" },
    { "the Kelvin sign", "\xE2\x84\xAA.test", "k.test" },
    { "all planes", "\xF4\x8F\xBF\xBF", "xn--dn32g" },
    { "U+FFFD itself", "\xEF\xBF\xBD", "xn--zn7c" },
    { "no UTF-8", "b\xFC" "cher", NULL },
    { "a character that is cut", "b\xC3", NULL },
    { "the same, of three octets", "b\xEF\xBF", NULL },
    { "a surrogate", "\xED\xA0\x80", NULL },
    { "as long as a label can be", "\xC3\xBC" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "xn--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-oxf" },
    { "one octet more", "\xC3\xBC" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
    { "many too many",
      "\xC3\xBC" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
};

static void test_domains(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_of_the_rfc),
        cmocka_unit_test(test_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
