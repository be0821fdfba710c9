/* bench-load MODE key=value ...: load for a server of SMTP, LMTP, IMAP or POP3, whosever it is.
 *
 * One thread, which never waits for one connection while another could go on, and sends as a large sender does, so that
 * the server is what is measured.  Each answer is checked; what is none is told, and is an error.  One JSON object
 * comes out: what was done, its rate, how long an operation took, and the processor time of the generator itself. */
#include "idle.h"
#include "imap_modes.h"
#include "pop3.h"
#include "rtt.h"
#include "smtp.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct mode *const modes[] = { &smtp_mode,  &lmtp_mode,   &append_mode, &login_mode, &select_mode,
                                            &fetch_mode, &search_mode, &store_mode,  &pop3_mode,  &idle_mode };
enum { MODES = sizeof modes / sizeof *modes };

static int usage(void)
{
    fputs("bench-load MODE key=value ...\nmodes:", stderr);
    for (size_t i = 0; i < MODES; i++)
        fprintf(stderr, " %s", modes[i]->name);
    fputs(" rtt\nkeys, with what they are if nothing is said:\n", stderr);
    options_print();
    return 2;
}

static const struct mode *mode_of(const char *name)
{
    for (size_t i = 0; i < MODES; i++)
        if (strcmp(modes[i]->name, name) == 0)
            return modes[i];
    return NULL;
}

static const struct mode *rtt_of(const char *protocol)
{
    for (size_t i = 0; i < RTT_MODES; i++)
        if (strcmp(rtt_modes[i].name, protocol) == 0)
            return &rtt_modes[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc < 2 || !options_read(&load.options, argc - 2, argv + 2))
        return usage();
    const struct mode *mode = strcmp(argv[1], "rtt") == 0 ? rtt_of(load.options.protocol) : mode_of(argv[1]);
    if (mode == NULL)
        return usage();
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    load.name = argv[1];
    if (!load_init(&load, mode))
        return 2;
    load_run(&load);
    if (mode->end != NULL)
        mode->end(&load);
    load_print(&load);
    load_fini(&load);
    return load.errors != 0;
}
