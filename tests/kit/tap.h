/* A line of TAP for each thing that was looked at. */
#ifndef TESTS_KIT_TAP_H
#define TESTS_KIT_TAP_H

/* `text` says more where it is not good. */
void tap(int good, const char *name, const char *which, const char *text);

/* Prints the plan; the exit status of the program. */
int tap_end(void);

#endif
