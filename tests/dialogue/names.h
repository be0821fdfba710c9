/* The words of dialogue files and the numbers that they stand for. */
#ifndef DIALOGUE_NAMES_H
#define DIALOGUE_NAMES_H

#include "text.h"

/* False: no such name. */
bool name_of_verdict(struct text name, int32_t *out);
bool name_of_status(struct text name, int32_t *out);
bool name_of_profile_key(struct text name, int32_t *out, bool *is_string);
bool name_of_extension(struct text name, int32_t *out);
/* Of a message, as IMAP writes it: \Seen. */
bool name_of_flag(struct text name, uint32_t *out);
void names_of_flags(uint32_t flags, struct buffer *out);
bool name_of_kind(struct text name, int32_t *out);

/* A status by its place, for those who go through all that refuse; 0 after the last. */
int32_t status_at(size_t i);
const char *status_name(int32_t status);

#endif
