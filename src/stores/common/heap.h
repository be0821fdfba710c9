/* malloc and free as an allocator, for stores that were given none. */
#ifndef STORES_COMMON_HEAP_H
#define STORES_COMMON_HEAP_H

#include <mailsrv/base.h>

extern const mailsrv_allocator mailsrv__stores_heap;

#endif
