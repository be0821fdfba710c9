#define _DEFAULT_SOURCE /* setgroups */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool refused(const char *what)
{
    fprintf(stderr, "mailserverd: %s: %s\n", what, strerror(errno));
    return false;
}

/* A directory that is there belongs to whom it belongs. */
static bool give_directory(const char *path, const struct passwd *user)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST || refused(path);
    return chown(path, user->pw_uid, user->pw_gid) == 0 || refused(path);
}

bool privileges_drop(const struct config *config)
{
    if (config->run_as[0] == '\0' || geteuid() != 0)
        return true;
    errno = 0;
    const struct passwd *user = getpwnam(config->run_as);
    if (user == NULL) {
        fprintf(stderr, "mailserverd: %s:%u: user: expected the name of a user of this system, not %s\n", config->path,
                config->run_as_line, config->run_as);
        return false;
    }
    if (!give_directory(config->data, user))
        return false;
    if (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)
        return refused(config->run_as);
    if (user->pw_uid != 0 && setuid(0) == 0) { /* it must not come back */
        fprintf(stderr, "mailserverd: %s: this user can become root again\n", config->run_as);
        return false;
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return true;
}
