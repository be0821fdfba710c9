/* Patterns: `<*>` stands for anything, `<name>` for what it stood for the first time; neither goes beyond a line.
 * `\<` is a `<`.  A name is made of lower-case letters and digits. */
#ifndef DIALOGUE_MATCH_H
#define DIALOGUE_MATCH_H

#include "text.h"

enum { CAPTURES_MAX = 16 };

struct capture {
    struct text name; /* in the pattern */
    struct buffer value;
};

struct captures {
    struct capture v[CAPTURES_MAX];
    size_t n;
};

void captures_free(struct captures *captures);

/* Does the line match as a whole?  New names are kept in `captures` if it does. */
bool match_line(struct text pattern, struct text line, struct captures *captures);

/* The same for texts of many lines, each line on its own. */
bool match_lines(struct text pattern, struct text text, struct captures *captures);

#endif
