/* A config's own struct: for the files of core/ alone. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <mailsrv/engine.h>
#include <mailsrv/tls.h>

struct mailsrv_config {
    mailsrv_allocator from;
    uint64_t memory_max;
    uint64_t events_max;
    uint64_t images_percent, texts_percent;
    mailsrv_crypto crypto;
};

void mailsrv__config_init(mailsrv_config *config, const mailsrv_allocator *from);

#endif
