#include "tls_file.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef WITH_OPENSSL
#include <mailsrv/openssl.h>

mailsrv_tls *tls_file(const char *directory)
{
    static uint8_t pem[65536];
    char path[4096];
    mailsrv_tls *tls = NULL;
    snprintf(path, sizeof path, "%s/tls.pem", directory);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    const mailsrv_bytes all = { pem, fread(pem, 1, sizeof pem, file) };
    const mailsrv_certificate own = { .size = sizeof own, .chain = all, .key = all };
    const mailsrv_tls_setup setup = { sizeof setup, 0, &own, 1, sizeof own, { 0 }, NULL, 0, 0 };
    fclose(file);
    if (mailsrv_openssl_new(&setup, &tls, NULL) != MAILSRV_OK)
        exit((fputs("tls.pem cannot be used\n", stderr), 1));
    return tls;
}
#else
mailsrv_tls *tls_file(const char *directory)
{
    (void)directory;
    return NULL;
}
#endif
