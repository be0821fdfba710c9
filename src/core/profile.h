/* A profile's own struct: for the files of core/ alone. */
#ifndef CORE_PROFILE_H
#define CORE_PROFILE_H

#include "core/machine.h"
#include "core/tap.h"

enum {
    SETTINGS = 40,   /* u64 keys are below this */
    TEXT_FIRST = 40, /* str keys begin here */
    TEXTS = 10,
    TEXT_OCTETS_MAX = 255
};

struct setting {
    uint64_t value, least, most;
    bool known;
    bool chosen; /* by the host; else it is the default */
};

struct setting_text {
    char *p;
    size_t n;
    bool known;
};

struct mailsrv_profile {
    mailsrv_allocator from;
    const mailsrv_machine *machine;
    int32_t face;
    uint32_t references; /* atomic */
    struct setting settings[SETTINGS];
    struct setting_text texts[TEXTS];
    uint64_t extensions_off; /* a bit each */
    mailsrv_tls *tls;        /* NULL: the host does it, if anybody does */
    const struct tap *taps[TAPS_MAX];
    uint8_t n_taps;
    bool sealed;
    bool out_of_memory; /* a default could not be kept */
};

mailsrv_profile *mailsrv__profile_ref(mailsrv_profile *profile);

#endif
