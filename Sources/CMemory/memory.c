#define _GNU_SOURCE
#include "CMemory.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The Swift runtime ends the process when it gets no memory, and HDF5 1.10 loses its way. So when the system has no memory
 * any more, what is linked into the library, and its HDF5, get up to 1 MB at a time (the cache of an HDF5 file has half of
 * that) of these 8 MB, which cost nothing before. The call then fails with DIFFEO_ENOMEM when it comes to something larger,
 * or succeeds. The linker sends all calls of malloc here (--wrap in the manifest), CStorage those of HDF5. */
enum { RESERVE = 1 << 23, LARGEST = 1 << 20, HEAD = 16 };
static _Alignas(64) unsigned char reserve[RESERVE];
static size_t used, living;
static atomic_flag is_busy = ATOMIC_FLAG_INIT;
static _Thread_local bool ran_out;

void cmemory_begin(void) { ran_out = false; }
bool cmemory_ran_out(void) { return ran_out; }

static bool is_reserved(const void *block) {
  return (const unsigned char *)block >= reserve && (const unsigned char *)block < reserve + RESERVE;
}

static size_t reserved_size(const void *block) {
  size_t size;
  memcpy(&size, (const unsigned char *)block - HEAD, sizeof size);
  return size;
}

static void enter(void) {
  while (atomic_flag_test_and_set_explicit(&is_busy, memory_order_acquire)) {}
}
static void leave(void) { atomic_flag_clear_explicit(&is_busy, memory_order_release); }

/* With its size before it. What was freed is used again when all was. */
static void *take(size_t size, size_t alignment) {
  ran_out = true;
  if (size > LARGEST || alignment > LARGEST) return NULL;
  if (alignment < HEAD) alignment = HEAD;
  enter();
  const size_t start = (used + HEAD + alignment - 1) / alignment * alignment;
  unsigned char *block = start <= RESERVE && size <= RESERVE - start ? reserve + start : NULL;
  if (block != NULL) {
    memcpy(block - HEAD, &size, sizeof size);
    used = start + size;
    living++;
  }
  leave();
  return block;
}

static void give_back(void) {
  enter();
  if (--living == 0) used = 0;
  leave();
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void __real_free(void *block);
size_t __real_malloc_usable_size(void *block);
#if !defined(CMEMORY_STATIC)
/* new and delete of C++, for the Swift runtime. The host may have its own. (Those of a static library call malloc and free
 * here anyway.) */
void *__real__Znwm(size_t size);
void __real__ZdlPv(void *block);
void __real__ZdlPvm(void *block, size_t size);
extern const char _ZSt7nothrow;
void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
#endif

void *__wrap_malloc(size_t size) {
  void *block = __real_malloc(size);
  return block != NULL ? block : take(size, HEAD);
}

void *__wrap_calloc(size_t count, size_t size) {
  void *block = __real_calloc(count, size);
  size_t bytes;
  if (block != NULL) return block;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  block = take(bytes, HEAD);
  return block != NULL ? memset(block, 0, bytes) : NULL;
}

void *__wrap_realloc(void *block, size_t size) {
  const bool was_reserved = is_reserved(block);
  void *moved = was_reserved ? __real_malloc(size) : __real_realloc(block, size);
  if (moved == NULL && size > 0) moved = take(size, HEAD);
  if (moved == NULL) return NULL;
  if (was_reserved) {
    const size_t before = reserved_size(block);
    memcpy(moved, block, before < size ? before : size);
    give_back();
  } else if (is_reserved(moved) && block != NULL) {
    const size_t before = __real_malloc_usable_size(block);
    memcpy(moved, block, before < size ? before : size);
    __real_free(block);
  }
  return moved;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  void *block = __real_aligned_alloc(alignment, size);
  return block != NULL ? block : take(size, alignment);
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size) {
  const int error = __real_posix_memalign(block, alignment, size);
  if (error != ENOMEM) return error;
  void *taken = take(size, alignment);
  if (taken == NULL) return ENOMEM;
  *block = taken;
  return 0;
}

void __wrap_free(void *block) {
  if (is_reserved(block)) give_back();
  else __real_free(block);
}

size_t __wrap_malloc_usable_size(void *block) {
  return is_reserved(block) ? reserved_size(block) : __real_malloc_usable_size(block);
}

char *__wrap_strdup(const char *text) {
  const size_t size = strlen(text) + 1;
  char *copy = __wrap_malloc(size);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

#if !defined(CMEMORY_STATIC)
void *__wrap__Znwm(size_t size) {
  void *block = _ZnwmRKSt9nothrow_t(size, &_ZSt7nothrow);
  if (block == NULL) block = take(size, HEAD);
  return block != NULL ? block : __real__Znwm(size); /* which throws */
}

void __wrap__ZdlPv(void *block) {
  if (is_reserved(block)) give_back();
  else __real__ZdlPv(block);
}

void __wrap__ZdlPvm(void *block, size_t size) {
  if (is_reserved(block)) give_back();
  else __real__ZdlPvm(block, size);
}
#endif

#if defined(CMEMORY_STATIC)
/* Of the Swift standard library: the names of Unicode's characters, half a megabyte that nothing here asks for. */
intptr_t __wrap__swift_stdlib_getScalarName(uint32_t scalar, unsigned char *name, intptr_t capacity) {
  return (void)scalar, (void)name, (void)capacity, 0;
}
#endif
