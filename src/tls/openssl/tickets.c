/* The keys of session tickets (RFC 5077 section 4): one to write with, and the one before it to read with.  They are
 * counted: a context that takes another's place goes on with its keys. */
#include "provider.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct key {
    uint8_t name[16], cipher[32], mac[32];
    time_t born; /* 0: there is none */
};

struct tickets {
    pthread_mutex_t lock; /* of everything below */
    unsigned references;
    uint32_t lifetime_s;
    struct key keys[2]; /* the newer one first */
};

struct tickets *mailsrv__openssl_tickets_new(uint32_t lifetime_s)
{
    struct tickets *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->references = 1;
    t->lifetime_s = lifetime_s;
    return t;
}

struct tickets *mailsrv__openssl_tickets_ref(struct tickets *t)
{
    pthread_mutex_lock(&t->lock);
    t->references++;
    pthread_mutex_unlock(&t->lock);
    return t;
}

void mailsrv__openssl_tickets_unref(struct tickets *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    bool is_last = --t->references == 0;
    pthread_mutex_unlock(&t->lock);
    if (!is_last)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->keys, sizeof t->keys);
    free(t);
}

uint32_t mailsrv__openssl_tickets_lifetime(const struct tickets *t)
{
    return t->lifetime_s;
}

/* A key writes for as long as a ticket may be used, and reads as long again: who steals one does not read the past. */
static bool renew(struct tickets *t, time_t now)
{
    struct key fresh;
    if (t->keys[0].born != 0 && now - t->keys[0].born < (time_t)t->lifetime_s && now >= t->keys[0].born)
        return true;
    if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 || RAND_bytes(fresh.cipher, sizeof fresh.cipher) != 1 ||
        RAND_bytes(fresh.mac, sizeof fresh.mac) != 1)
        return false;
    fresh.born = now;
    t->keys[1] = t->keys[0];
    t->keys[0] = fresh;
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return true;
}

/* How the key of that name is to be used: 0: there is none, 1: it is the newer one, 2: a new ticket is due. */
static int find(struct tickets *t, const unsigned char *name, time_t now, struct key *out)
{
    for (int i = 0; i < 2; i++) {
        const struct key *key = &t->keys[i];
        if (key->born == 0 || CRYPTO_memcmp(key->name, name, sizeof key->name) != 0 ||
            now - key->born >= 2 * (time_t)t->lifetime_s)
            continue;
        *out = *key;
        return i + 1;
    }
    return 0;
}

static int take_key(struct tickets *t, unsigned char *name, int encrypt, struct key *out)
{
    time_t now = time(NULL);
    int found = -1;
    pthread_mutex_lock(&t->lock);
    bool is_fresh = renew(t, now);
    if (encrypt && is_fresh) {
        *out = t->keys[0];
        memcpy(name, out->name, sizeof out->name);
        found = 1;
    } else if (!encrypt) {
        found = find(t, name, now, out);
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static bool set_mac(EVP_MAC_CTX *mac, const struct key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int mailsrv__openssl_tickets_use(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                                 EVP_MAC_CTX *mac, int encrypt)
{
    const struct context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct key key;
    int found = take_key(context->tickets, name, encrypt, &key);
    if (found <= 0)
        return found;
    bool good = !encrypt || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1;
    good = good && EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, encrypt) == 1;
    good = good && set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof key);
    return good ? found : -1;
}
