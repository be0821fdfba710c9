/* mailsrv/base.h - what every other header stands on: export macro, version, statuses, slices, allocators.
 *
 * libmailserver owns no socket, thread, clock or file.  It keeps no global state: everything hangs on an object that
 * the caller made.  Rules that hold for the whole library:
 *
 *   Structs.   Every struct that a caller fills begins with `size`, set to sizeof of it; fields are only ever added at
 *              the end, and a field that `size` does not reach has its zero meaning.  Arrays of such structs carry
 *              their stride.  mailsrv_bytes, mailsrv_out, mailsrv_run and mailsrv_id have no size and never change.
 *   Texts.     Bytes are never NUL-ended unless a comment says so.
 *   Results.   MAILSRV_OK is 0, failures are negative.  Outputs are written on success only.
 *   Threads.   An object belongs to one thread at a time, unless its header says otherwise.
 *   Memory.    All of it comes from an allocator that the caller gave; running out is a status, never an end.
 */
#ifndef MAILSRV_BASE_H
#define MAILSRV_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define MAILSRV_API
#elif defined(__GNUC__)
#define MAILSRV_API __attribute__((visibility("default")))
#else
#define MAILSRV_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header: major * 1,000,000 + minor * 1,000 + patch. */
#define MAILSRV_VERSION 1000

/* The version of the library that is running, in the same form.  Any thread. */
MAILSRV_API uint32_t mailsrv_version(void);

/* Statuses.  The hundreds tell who erred and what a peer is told. */
#define MAILSRV_OK 0   /* done */
#define MAILSRV_MORE 1 /* done so far, and there is more to do */

/* -1xx: the call was wrong, nothing happened */
#define MAILSRV_E_USAGE (-100)       /* not now, not this argument, not this thread */
#define MAILSRV_E_UNKNOWN_KEY (-101) /* this library knows no such key, kind or extension */
#define MAILSRV_E_VALUE (-102)       /* a value out of its bounds */
#define MAILSRV_E_CLOSED (-103)      /* the object has ended */
#define MAILSRV_E_STALE (-104)       /* the operation was settled before */
#define MAILSRV_E_BUSY (-105)        /* something of it is still in use */

/* -2xx: memory */
#define MAILSRV_NOMEM (-200) /* the allocator, or a ceiling of the engine, had none */

/* -4xx: an answer that may be another one later */
#define MAILSRV_TEMP (-400)      /* nobody can say now */
#define MAILSRV_FULL (-401)      /* the disk is full */
#define MAILSRV_LIMIT (-402)     /* a limit other than memory, disk and quota */
#define MAILSRV_OVERQUOTA (-403) /* the owner's quota is used up */
#define MAILSRV_INUSE (-404)     /* somebody else holds it */
#define MAILSRV_CORRUPT (-405)   /* what is stored cannot be read */

/* -5xx: an answer that stays */
#define MAILSRV_DENIED (-500)        /* wrong credentials */
#define MAILSRV_TOOBIG (-501)        /* larger than will ever be taken */
#define MAILSRV_NONEXISTENT (-502)   /* no such account, mailbox or address */
#define MAILSRV_NOPERM (-503)        /* not allowed to this user */
#define MAILSRV_CANNOT (-504)        /* cannot be done at all */
#define MAILSRV_ALREADYEXISTS (-505) /* the name or number is taken */
#define MAILSRV_GONE (-506)          /* the row was there and is no more */

/* A short English text for a status, NUL-ended and static; "unknown status" for any other number.  Any thread. */
MAILSRV_API const char *mailsrv_strerror(int32_t status);

/* Borrowed bytes: never owned, valid as long as the place that hands them out says. */
typedef struct mailsrv_bytes {
    const uint8_t *p;
    size_t n;
} mailsrv_bytes;

/* A piece of output: bytes, or, where `p` is NULL, `n` octets of `file` from `offset`. */
typedef struct mailsrv_out {
    const uint8_t *p;
    size_t n;
    uint64_t file;
    uint64_t offset;
} mailsrv_out;

/* The UIDs from `first` to `last`, both included.  A set is an array of runs, ascending, neither overlapping nor
 * touching. */
typedef struct mailsrv_run {
    uint32_t first;
    uint32_t last;
} mailsrv_run;

/* An account, a mailbox, a message: never reused, stable when renamed.  All zero: none. */
typedef struct mailsrv_id {
    uint8_t b[16];
} mailsrv_id;

/* Where memory comes from.  The functions get `user`, may be called by every call into the library, and must not call
 * the library back.  `n` is never 0; the memory is aligned for any object; `release` is told the size that was asked
 * for. */
typedef struct mailsrv_allocator {
    uint32_t size;
    uint32_t reserved; /* 0 */
    void *user;
    void *(*alloc)(void *user, size_t n); /* NULL: there is none */
    void (*release)(void *user, void *p, size_t n);
} mailsrv_allocator;

/* An allocator over one block of memory that the caller owns, so that an engine lives without malloc.
 *
 * Its books are kept inside the block; `block` may have any alignment, is used from one thread at a time, and lives
 * until everything taken from it was released.  MAILSRV_E_USAGE: NULL, or fewer than 1,024 octets. */
MAILSRV_API int32_t mailsrv_block_allocator(void *block, size_t octets, mailsrv_allocator *out);

#ifdef __cplusplus
}
#endif

#endif
