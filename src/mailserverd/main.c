/* mailserverd - a mail server of libmailserver's parts, on public headers alone. */
#include "options.h"
#include "serve.h"

#include <mailsrv/base.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    static struct options options;
    const uint32_t version = mailsrv_version();
    if (strcmp(command, "--help") == 0) {
        options_help();
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        printf("mailserverd %u.%u.%u\n", version / 1000000, version / 1000 % 1000, version % 1000);
        return 0;
    }
    if (strcmp(command, "serve") != 0) {
        fprintf(stderr, "mailserverd: expected serve, --help or --version%s%s\n", *command != '\0' ? ", not " : "",
                command);
        return 2;
    }
    return options_read(&options, argc - 1, argv + 1) ? serve(&options) : 2;
}
