/* routed DOMAIN OWN: where the mail of a domain goes.  Each question is a line "? TYPE NAME", whose answer is read: a
 * line with the message in hexadecimal, empty: there is none.  The plan is the last line: "= HOST/ADDRESS ...", or
 * "= CODE TEXT". */
#include "queue/route.h"
#include "text/writer.h"

#include <stdio.h>

static size_t read_message(uint8_t *to, size_t room)
{
    size_t n = 0;
    unsigned octet;
    int c;
    while (n < room && (c = getchar()) != '\n' && c != EOF) {
        if (ungetc(c, stdin) == EOF || scanf("%2x", &octet) != 1)
            return 0;
        to[n++] = (uint8_t)octet;
    }
    return n;
}

static void ask(struct route *r, unsigned i, const mailsrv_arg_dns *question)
{
    static uint8_t message[65535];
    const char *type = question->type == MAILSRV_DNS_MX ? "MX" : question->type == MAILSRV_DNS_A ? "A" : "AAAA";
    printf("? %s %.*s\n", type, (int)question->name.n, (const char *)question->name.p);
    fflush(stdout);
    mailsrv_dns_reply reply = { .size = sizeof reply, .message = { message, read_message(message, sizeof message) } };
    const int32_t status = reply.message.n == 0 ? MAILSRV_TEMP : MAILSRV_OK;
    mailsrv__route_answer(r, i, &(mailsrv_answer){ .size = sizeof(mailsrv_answer), .status = status, .value = &reply });
}

static void print_plan(const struct route_plan *plan)
{
    if (plan->verdict != ROUTE_FOUND)
        printf("= %u %.*s", (unsigned)plan->code, (int)plan->text.n, plan->text.p);
    for (uint32_t i = 0; i < plan->n; i++) {
        char room[64];
        struct writer w = { .p = room, .room = sizeof room };
        const struct route_address *a = &plan->addresses[i];
        mailsrv__write_ip(&w, a->octets, a->n);
        printf("%s%.*s/%.*s", i == 0 ? "= " : " ", (int)a->host.n, a->host.p, (int)w.n, w.p);
    }
    printf(" ttl %u\n", (unsigned)plan->ttl_s);
}

int main(int argc, char **argv)
{
    struct heap heap;
    mailsrv_arg_dns question;
    if (argc != 3)
        return 2;
    struct route_terms terms = { .domain = { argv[1], strlen(argv[1]) }, .own = { argv[2], strlen(argv[2]) } };
    mailsrv__heap_init(&heap, mailsrv__malloc(), UINT64_MAX);
    struct route *r = mailsrv__route_new(&heap, &terms);
    for (unsigned i = 0; r != NULL && i < ROUTE_AT_ONCE; i++)
        while (mailsrv__route_question(r, i, &question)) {
            ask(r, i, &question);
            i = 0;
        }
    struct route_plan *plan = r == NULL ? NULL : mailsrv__route_plan(r);
    if (plan == NULL)
        return 1;
    print_plan(plan);
    mailsrv__route_plan_free(&heap, plan);
    mailsrv__route_free(r);
    return 0;
}
