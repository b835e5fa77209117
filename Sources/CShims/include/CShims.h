/* What Swift cannot say: CPUID, macros, a prefetch, the floating-point environment and one thread-local buffer. */
#ifndef CSHIMS_H
#define CSHIMS_H

#include <stddef.h>
#include <stdint.h>

/* 0: x86-64 baseline, or another machine. 1: AVX2 and FMA (x86-64-v3). 2: AVX-512 F, BW, CD, DQ, VL (x86-64-v4).
 * What both the processor and the operating system support. */
int cshims_instruction_set(void);

/* Processors that this process may run on, at least 1. */
int cshims_processors(void);

/* Of a thread (a pthread_t, which bare metal has not): its name, at most 15 bytes, and the one processor that it may run
 * on. pin gives 0, or 1 if the process may not use that, 2 if this system knows no such thing. */
void cshims_name_thread(uintptr_t thread, const char *name);
int cshims_pin_thread(uintptr_t thread, int processor);

/* Has the line of the cache around an address fetched, for reading: other threads may read it, too. Any address will do. */
static inline void cshims_prefetch(const void *address) { __builtin_prefetch(address); }

/* errno, open and S_ISREG: macros, and a function of any number of arguments. Swift has versions of its own of them, in
 * one object with one of each function of libm, which brings symbols of newer C libraries than we need. */
int cshims_errno(void);
int cshims_open(const char *path, int flags, int mode);
int cshims_is_regular(unsigned mode);

/* The floating-point environment of a thread: how it rounds, what it traps, which flags are up, what becomes of denormal
 * numbers. The library computes in the default one whatever its host has. fegetenv and fesetenv would take 60 ns a call, and
 * bare metal, which the tests compile the kernels for, has no <fenv.h>. */
typedef struct cshims_environment {
#if defined(__x86_64__)
  uint32_t vector;          /* MXCSR */
  uint16_t control, status; /* of the x87, which does long double */
#else                       /* 64-bit ARM */
  uint64_t control, status; /* FPCR and FPSR */
#endif
} cshims_environment;

/* Enters the default environment. What the thread had until now is its host's, to be given back by _leave, which takes
 * what _enter returned: the host's environment of a call that this one is nested in, by way of a function of the host. */
cshims_environment cshims_environment_enter(void);
void cshims_environment_leave(cshims_environment outer);

/* Between the two, around a call of a function of the host: it runs in the host's environment, and what it makes of that
 * is the host's. */
void cshims_environment_begin_host(void);
void cshims_environment_end_host(void);

/* The host's environment, for a thread of ours that will call functions of the host. */
cshims_environment cshims_environment_of_host(void);
void cshims_environment_adopt(cshims_environment host);

/* This thread's error text, 1024 bytes, never NULL. */
char *cshims_error_text(void);
enum { CSHIMS_ERROR_TEXT_SIZE = 1024 };

#endif
