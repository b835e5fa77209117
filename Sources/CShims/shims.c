#define _GNU_SOURCE
#include "CShims.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>

int cshims_processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void cshims_name_thread(uintptr_t thread, const char *name) { pthread_setname_np((pthread_t)thread, name); }

int cshims_pin_thread(uintptr_t thread, int processor) {
  cpu_set_t set;
  if (processor < 0 || processor >= CPU_SETSIZE) return 1;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return pthread_setaffinity_np((pthread_t)thread, sizeof set, &set) != 0;
}
#else
int cshims_processors(void) {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}

void cshims_name_thread(uintptr_t thread, const char *name) { (void)thread, (void)name; }
int cshims_pin_thread(uintptr_t thread, int processor) { return (void)thread, (void)processor, 2; }
#endif

int cshims_errno(void) { return errno; }
int cshims_open(const char *path, int flags, int mode) { return open(path, flags, mode); }
int cshims_is_regular(unsigned mode) { return S_ISREG(mode); }

char *cshims_error_text(void) {
  static _Thread_local char text[CSHIMS_ERROR_TEXT_SIZE];
  return text;
}

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long enabled_state(void) {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((unsigned long long)high << 32) | low;
}

int cshims_instruction_set(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const unsigned fma = 1u << 12, movbe = 1u << 22, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  if ((c & (fma | movbe | osxsave | avx | f16c)) != (fma | movbe | osxsave | avx | f16c)) return 0;
  unsigned long long state = enabled_state();
  if ((state & 0x6) != 0x6) return 0; /* the system saves xmm and ymm */
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const unsigned bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
  if ((b & (bmi1 | avx2 | bmi2)) != (bmi1 | avx2 | bmi2)) return 0;
  const unsigned f = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
  if ((b & (f | dq | cd | bw | vl)) != (f | dq | cd | bw | vl)) return 1;
  return (state & 0xe6) == 0xe6 ? 2 : 1; /* and the masks and zmm */
}
#else
int cshims_instruction_set(void) { return 0; }
#endif

// MARK: - Floating-point environment

#if defined(__x86_64__)
enum { VECTOR_DEFAULT = 0x1f80, CONTROL_DEFAULT = 0x037f, FLAGS = 0x3f };
static _Thread_local cshims_environment host = {VECTOR_DEFAULT, CONTROL_DEFAULT, 0};

static inline cshims_environment current_environment(void) {
  cshims_environment now;
  __asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2" : "=m"(now.vector), "=m"(now.control), "=m"(now.status));
  return now;
}

/* From one that is the present one. Flags of the x87 first: one that is up traps as soon as the control word lets it. */
static inline void change_environment(cshims_environment now, cshims_environment to) {
  if ((now.status ^ to.status) & FLAGS) {
    if (to.status & FLAGS) {
      struct {
        uint16_t control, unused1, status, unused2, others[10];
      } x87;
      __asm__ volatile("fnstenv %0" : "=m"(x87)); /* which masks all exceptions, until fldenv */
      x87.control = to.control;
      x87.status = (uint16_t)((x87.status & ~FLAGS) | (to.status & FLAGS));
      __asm__ volatile("fldenv %0" : : "m"(x87));
    } else {
      __asm__ volatile("fnclex");
      __asm__ volatile("fldcw %0" : : "m"(to.control));
    }
  } else if (now.control != to.control) {
    __asm__ volatile("fldcw %0" : : "m"(to.control));
  }
  if (now.vector != to.vector) __asm__ volatile("ldmxcsr %0" : : "m"(to.vector));
}

static inline void set_default_environment(cshims_environment now) {
  const cshims_environment none = {VECTOR_DEFAULT, CONTROL_DEFAULT, 0};
  change_environment(now, none);
}
#else
/* Zero is the default: to nearest, nothing flushed, nothing trapped, no flag up. */
static _Thread_local cshims_environment host;

static inline cshims_environment current_environment(void) {
  cshims_environment now;
  __asm__ volatile("mrs %0, fpcr\n\tmrs %1, fpsr" : "=r"(now.control), "=r"(now.status));
  return now;
}

/* A change of the control register waits for what is being computed. */
static inline void change_environment(cshims_environment now, cshims_environment to) {
  if (now.control != to.control) __asm__ volatile("msr fpcr, %0" : : "r"(to.control));
  if (now.status != to.status) __asm__ volatile("msr fpsr, %0" : : "r"(to.status));
}

static inline void set_default_environment(cshims_environment now) {
  const cshims_environment none = {0, 0};
  change_environment(now, none);
}
#endif

cshims_environment cshims_environment_enter(void) {
  cshims_environment *mine = &host;
  const cshims_environment outer = *mine, now = current_environment();
  *mine = now;
  set_default_environment(now);
  return outer;
}

void cshims_environment_leave(cshims_environment outer) {
  cshims_environment *mine = &host;
  change_environment(current_environment(), *mine);
  *mine = outer;
}

void cshims_environment_begin_host(void) { change_environment(current_environment(), host); }

void cshims_environment_end_host(void) {
  host = current_environment();
  set_default_environment(host);
}

cshims_environment cshims_environment_of_host(void) { return host; }
void cshims_environment_adopt(cshims_environment of_host) { host = of_host; }
