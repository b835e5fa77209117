/* What Swift cannot say: CPUID, macros, a prefetch and one thread-local buffer. */
#ifndef CSHIMS_H
#define CSHIMS_H

#include <stddef.h>

/* 0: x86-64 baseline, or another machine. 1: AVX2 and FMA (x86-64-v3). 2: AVX-512 F, BW, CD, DQ, VL (x86-64-v4).
 * What both the processor and the operating system support. */
int cshims_instruction_set(void);

/* Processors that this process may run on, at least 1. */
int cshims_processors(void);

/* Has the line of the cache around an address fetched, for reading: other threads may read it, too. Any address will do. */
static inline void cshims_prefetch(const void *address) { __builtin_prefetch(address); }

/* errno, open and S_ISREG: macros, and a function of any number of arguments. Swift has versions of its own of them, in
 * one object with one of each function of libm, which brings symbols of newer C libraries than we need. */
int cshims_errno(void);
int cshims_open(const char *path, int flags, int mode);
int cshims_is_regular(unsigned mode);

/* This thread's error text, 1024 bytes, never NULL. */
char *cshims_error_text(void);
enum { CSHIMS_ERROR_TEXT_SIZE = 1024 };

#endif
