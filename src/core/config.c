#include "core/config.h"

#include "base/heap.h"

#include <string.h>

enum { MEMORY_LEAST = 128 * 1024, MEMORY_USUAL = 64 * 1024 * 1024, EVENTS_USUAL = 64, EVENTS_MOST = 65536 };
enum { IMAGES_USUAL = 75, IMAGES_MOST = 90, TEXTS_USUAL = 10 };

void mailsrv__config_init(mailsrv_config *config, const mailsrv_allocator *from)
{
    *config = (mailsrv_config){
        .from = *from,
        .memory_max = MEMORY_USUAL,
        .events_max = EVENTS_USUAL,
        .images_percent = IMAGES_USUAL,
        .texts_percent = TEXTS_USUAL,
    };
}

int32_t mailsrv_config_new(const mailsrv_allocator *allocator, mailsrv_config **out)
{
    const mailsrv_allocator *from = allocator == NULL ? mailsrv__malloc() : allocator;
    if (out == NULL || from->size < sizeof *from || from->alloc == NULL || from->release == NULL)
        return MAILSRV_E_USAGE;
    mailsrv_config *config = from->alloc(from->user, sizeof *config);
    if (config == NULL)
        return MAILSRV_NOMEM;
    mailsrv__config_init(config, from);
    *out = config;
    return MAILSRV_OK;
}

int32_t mailsrv_config_set_u64(mailsrv_config *config, int32_t key, uint64_t value)
{
    if (config == NULL)
        return MAILSRV_E_USAGE;
    switch (key) {
    case MAILSRV_CONFIG_MEMORY_MAX:
        if (value < MEMORY_LEAST)
            return MAILSRV_E_VALUE;
        config->memory_max = value;
        return MAILSRV_OK;
    case MAILSRV_CONFIG_EVENTS_MAX:
        if (value > EVENTS_MOST)
            return MAILSRV_E_VALUE;
        config->events_max = value;
        return MAILSRV_OK;
    case MAILSRV_CONFIG_IMAGES_PERCENT:
        if (value == 0 || value > IMAGES_MOST)
            return MAILSRV_E_VALUE;
        config->images_percent = value;
        return MAILSRV_OK;
    case MAILSRV_CONFIG_TEXTS_PERCENT:
        if (value > IMAGES_MOST)
            return MAILSRV_E_VALUE;
        config->texts_percent = value;
        return MAILSRV_OK;
    default:
        return MAILSRV_E_UNKNOWN_KEY;
    }
}

int32_t mailsrv_config_set_crypto(mailsrv_config *config, const mailsrv_crypto *crypto)
{
    if (config == NULL || (crypto != NULL && crypto->size < sizeof crypto->size))
        return MAILSRV_E_USAGE;
    config->crypto = (mailsrv_crypto){ .size = sizeof *crypto };
    if (crypto != NULL)
        memcpy(&config->crypto, crypto, crypto->size < sizeof *crypto ? crypto->size : sizeof *crypto);
    return MAILSRV_OK;
}

void mailsrv_config_free(mailsrv_config *config)
{
    if (config != NULL)
        config->from.release(config->from.user, config, sizeof *config);
}
