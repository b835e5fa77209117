#define _GNU_SOURCE
#include "CShims.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>

int cshims_processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
#else
int cshims_processors(void) {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int)count : 1;
}
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
