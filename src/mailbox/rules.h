/* The rules of a view, by name.  The model test builds this room six times more, each time with MAILBOX_WITHOUT set to
 * one of them, and must find that it is missing (tests/model). */
#ifndef MAILBOX_RULES_H
#define MAILBOX_RULES_H

enum rule {
    RULE_ORIGIN = 1, /* one's own .SILENT changes are not told */
    RULE_FITS,       /* but what a foreign change is mixed with is */
    RULE_DEFERRED,   /* no EXPUNGE where numbers are in use */
    RULE_GONE,       /* what vanished stays a member until it is told */
    RULE_MAX_UID,    /* what appeared is no member until it is told */
    RULE_HELD_BACK   /* HIGHESTMODSEQ stays below an expunge that is not told */
};

#ifndef MAILBOX_WITHOUT
#define MAILBOX_WITHOUT 0
#endif

#define HOLDS(rule) (MAILBOX_WITHOUT != (rule))

#endif
