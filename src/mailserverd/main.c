/* mailserverd - a mail server of libmailserver's parts, on public headers alone. */
#include "doctor.h"
#include "plan.h"
#include "serve.h"
#include "subcommand.h"

#include <mailsrv/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef MAILSERVERD_CONFIG
#define MAILSERVERD_CONFIG "/etc/mailserverd.conf"
#endif

static int help(void)
{
    printf("mailserverd [--config FILE] COMMAND\n"
           "\n"
           "  serve                          takes mail in and gives it out, until a signal ends it\n"
           "  check-config                   says what is wrong with the configuration\n"
           "  user add ADDRESS               a new user; the password is asked for, or is a line of standard input\n"
           "  user passwd ADDRESS            another password\n"
           "  user remove ADDRESS [--mail]   no longer a user; --mail: and the mail is deleted\n"
           "  user list                      all users\n"
           "  alias add ADDRESS TARGET...    an address that leads to users; @DOMAIN: all others of a domain\n"
           "  alias remove ADDRESS           no longer one\n"
           "  alias list                     all aliases\n"
           "  import ADDRESS --maildir DIRECTORY\n"
           "  import ADDRESS --mbox FILE [--mailbox NAME]\n"
           "                                 mail of another server, with flags, dates and UIDs\n"
           "  export ADDRESS --maildir DIRECTORY\n"
           "  export ADDRESS --mbox DIRECTORY\n"
           "                                 all mail of a user\n"
           "  backup DIRECTORY               a copy of everything, also while the server runs\n"
           "  doctor                         looks through all that is kept, while no server runs\n"
           "  queue [list] [WHICH]           what waits; WHICH: numbers, --domain D, --from ADDRESS,\n"
           "                                 --to ADDRESS, --held; --json\n"
           "  queue hold | release | retry | drop | return WHICH\n"
           "                                 sets aside, lets go, tries now, deletes, sends back; --all\n"
           "  queue reroute ROUTE WHICH      sends it by another [route], or as its domain says: default\n"
           "  status                         how the server is\n"
           "  stats [--json]                 what it has counted: commands, operations, the store, and their times\n"
           "\n"
           "  --config FILE                  default " MAILSERVERD_CONFIG "\n"
           "  --help, --version\n");
    return 0;
}

static int show_version(void)
{
    const uint32_t version = mailsrv_version();
    printf("mailserverd %u.%u.%u\n", version / 1000000, version / 1000 % 1000, version % 1000);
    return 0;
}

static int check_config(const char *path)
{
    struct plan *plan = plan_make(path, NULL);
    if (plan == NULL)
        return 1;
    printf("%s: %zu listeners, %zu certificates, %zu domains: as it should be\n", path, plan->config->n_listeners,
           plan->config->n_certificates, plan->config->n_domains);
    plan_unref(plan);
    return 0;
}

static int administer(const char *path, int argc, char **argv)
{
    const struct config *config = config_read(path);
    if (config == NULL)
        return 1;
    const int status = strcmp(argv[0], "doctor") == 0 && argc == 1 ? doctor(config) : subcommand(config, argc, argv);
    config_unref(config);
    return status;
}

/* The file's option may stand before the command or behind it. */
static const char *take_config(int *argc, char **argv)
{
    const char *path = MAILSERVERD_CONFIG;
    for (int i = 1; i + 1 < *argc; i++)
        if (strcmp(argv[i], "--config") == 0) {
            path = argv[i + 1];
            memmove(&argv[i], &argv[i + 2], (size_t)(*argc - i - 1) * sizeof *argv);
            *argc -= 2;
            break;
        }
    return path;
}

int main(int argc, char **argv)
{
    const char *path = take_config(&argc, argv);
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0)
        return help();
    if (strcmp(command, "--version") == 0)
        return show_version();
    if (*command == '\0' || *command == '-') {
        fprintf(stderr, "mailserverd: expected a command that mailserverd --help names%s%s\n",
                *command != '\0' ? ", not " : "", command);
        return 2;
    }
    const bool alone = argc == 2;
    if (strcmp(command, "serve") == 0 && alone)
        return serve(path);
    if (strcmp(command, "check-config") == 0 && alone)
        return check_config(path);
    return administer(path, argc - 1, argv + 1);
}
