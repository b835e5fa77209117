#define _GNU_SOURCE
#include "CStorage.h"
#include "filters.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_open, is_private;

bool cstorage_hdf5_is_private(void) { return is_private; }

#if defined(CHDF5_STATIC)
/* HDF5 is in this library, and none of its names are seen outside. */
#define ADDRESS(name) .name = &name,
chdf5_variables_table chdf5_variables = {CHDF5_VARIABLES(ADDRESS)};

#define CLASS(name) extern __attribute__((weak)) const H5Z_class2_t H5Z_##name[1];
CSTORAGE_FILTERS(CLASS)
extern __attribute__((weak)) herr_t H5Z_register(const H5Z_class2_t *);
#define FILTER(name) .name = H5Z_##name,
static cstorage_filters filters = {.put = H5Z_register, CSTORAGE_FILTERS(FILTER)};

static int load(char *error, size_t size) { return (void)error, (void)size, is_private = true, H5dont_atexit(), 0; }
#else

/* HDF5 is not linked. A host may have one of its own, of any version, and two of them in the global scope of a process mix:
 * the functions of one call those of the other. So HDF5 is opened when it is first needed, as a copy that has no name and
 * looks for its functions in itself first (RTLD_DEEPBIND would do the latter for all functions, malloc as well, and the
 * sanitizers refuse it). Its functions are reached by way of what stands here under their names. */
#define STUB(name) STUB_OF(name)
#if defined(__x86_64__)
#define JUMP(address) "jmp *" #address "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(address) "adrp x16, " #address "\nldr x16, [x16, :lo12:" #address "]\nbr x16\n"
#endif
#define STUB_OF(name)                                                                                       \
  __attribute__((visibility("hidden"), used)) void *cstorage_address_##name;                                \
  __asm__(".text\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n" #name ":\n" JUMP(      \
      cstorage_address_##name) ".size " #name ", . - " #name "\n");
CHDF5_FUNCTIONS(STUB)

chdf5_variables_table chdf5_variables;
static cstorage_filters filters;

#define FUNCTION(name) FUNCTION_OF(name)
#define FUNCTION_OF(name) {#name, &cstorage_address_##name},
#define VARIABLE(name) {#name, (void **)&chdf5_variables.name},
static const struct {
  const char *name;
  void **address;
} symbols[] = {CHDF5_FUNCTIONS(FUNCTION) CHDF5_VARIABLES(VARIABLE)};

/* The name that HDF5 has on Debian, and the one elsewhere. */
#if H5_VERSION_GE(1, 14, 0)
#define ABI "310"
#elif H5_VERSION_GE(1, 12, 0)
#define ABI "200"
#else
#define ABI "103"
#endif
static const char *const names[] = {"libhdf5_serial.so." ABI, "libhdf5.so." ABI};

#if defined(__linux__)
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

/* Makes of the file of a library, in memory, one that has no name to be found by and prefers its own functions: that takes
 * one number. */
static bool make_private(unsigned char *file, size_t size) {
  ElfW(Ehdr) head;
  if (size < sizeof head) return false;
  memcpy(&head, file, sizeof head);
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(ElfW(Phdr))) return false;
  for (size_t i = 0; i < head.e_phnum; i++) {
    ElfW(Phdr) part;
    if (head.e_phoff > size || size - head.e_phoff < (i + 1) * sizeof part) return false;
    memcpy(&part, file + head.e_phoff + i * sizeof part, sizeof part);
    if (part.p_type != PT_DYNAMIC || part.p_offset > size || part.p_filesz > size - part.p_offset) continue;
    for (size_t at = 0; at + sizeof(ElfW(Dyn)) <= part.p_filesz; at += sizeof(ElfW(Dyn))) {
      ElfW(Dyn) entry;
      memcpy(&entry, file + part.p_offset + at, sizeof entry);
      if (entry.d_tag != DT_SONAME) continue;
      entry.d_tag = DT_SYMBOLIC;
      memcpy(file + part.p_offset + at, &entry, sizeof entry);
      return true;
    }
  }
  return false;
}

static int memory_file(void) {
  const int file = memfd_create("libhdf5", MFD_CLOEXEC | MFD_EXEC);
  return file >= 0 || errno != EINVAL ? file : memfd_create("libhdf5", MFD_CLOEXEC);
}

static bool read_all(int file, unsigned char *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t step = read(file, bytes + done, size - done);
    if (step > 0) done += (size_t)step;
    else if (step == 0 || errno != EINTR) return false;
  }
  return true;
}

static bool write_all(int file, const unsigned char *bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t step = write(file, bytes + done, size - done);
    if (step >= 0) done += (size_t)step;
    else if (errno != EINTR) return false;
  }
  return true;
}

/* What CMemory has in their place, where it is linked. */
#define ALLOCATORS(X) X(malloc) X(calloc) X(realloc) X(free) X(strdup)
#define WRAPPER(name) extern __attribute__((weak)) __typeof__(name) __wrap_##name;
ALLOCATORS(WRAPPER)

#if defined(__x86_64__)
#define IS_SLOT(type) ((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT)
#else
#define IS_SLOT(type) ((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT)
#endif

/* Has our copy take its memory there: the places of these functions are in its tables, of which some are read-only now. */
static void redirect_allocators(void *library) {
#define ENTRY(name) {#name, (uintptr_t)&__wrap_##name},
  const struct {
    const char *name;
    uintptr_t wrapper;
  } allocators[] = {ALLOCATORS(ENTRY)};
  const struct link_map *map;
  if (allocators[0].wrapper == 0 || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return;
  const ElfW(Sym) *symbols = NULL;
  const char *text = NULL;
  const ElfW(Rela) *tables[2] = {NULL, NULL};
  size_t sizes[2] = {0, 0};
  for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
    if (entry->d_tag == DT_SYMTAB) symbols = (const void *)entry->d_un.d_ptr;
    if (entry->d_tag == DT_STRTAB) text = (const void *)entry->d_un.d_ptr;
    if (entry->d_tag == DT_RELA) tables[0] = (const void *)entry->d_un.d_ptr;
    if (entry->d_tag == DT_RELASZ) sizes[0] = entry->d_un.d_val;
    if (entry->d_tag == DT_JMPREL) tables[1] = (const void *)entry->d_un.d_ptr;
    if (entry->d_tag == DT_PLTRELSZ) sizes[1] = entry->d_un.d_val;
  }
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int t = 0; t < 2; t++)
    for (size_t i = 0; i < sizes[t] / sizeof(ElfW(Rela)); i++) {
      if (!IS_SLOT(ELF64_R_TYPE(tables[t][i].r_info))) continue;
      const char *name = text + symbols[ELF64_R_SYM(tables[t][i].r_info)].st_name;
      for (size_t a = 0; a < sizeof allocators / sizeof *allocators; a++) {
        if (strcmp(name, allocators[a].name) != 0) continue;
        uintptr_t *slot = (uintptr_t *)(map->l_addr + tables[t][i].r_offset);
        if (mprotect((void *)((uintptr_t)slot & ~(page - 1)), page, PROT_READ | PROT_WRITE) == 0) *slot = allocators[a].wrapper;
      }
    }
}

/* A private copy of a library that is open; NULL where the system does not let us. */
static void *open_copy(void *library) {
  struct link_map *map;
  struct stat facts;
  void *copy = NULL;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return NULL;
  const int original = open(map->l_name, O_RDONLY | O_CLOEXEC), file = memory_file();
  if (original >= 0 && file >= 0 && fstat(original, &facts) == 0 && facts.st_size > 0) {
    const size_t size = (size_t)facts.st_size;
    unsigned char *bytes = malloc(size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (bytes != NULL && read_all(original, bytes, size) && make_private(bytes, size) && write_all(file, bytes, size))
      copy = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    free(bytes);
  }
  if (original >= 0) close(original);
  if (file >= 0) close(file);
  if (copy != NULL) redirect_allocators(copy);
  return copy;
}
#else
static void *open_copy(void *library) { return (void)library, NULL; }
#endif

/* Where there can be no copy: with its own functions first, if no sanitizer forbids it. Closed it may not be again. */
static void *open_shared(const char *name) {
  const int own_first = dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace") == NULL ? RTLD_DEEPBIND : 0;
  return dlopen(name, RTLD_NOW | RTLD_LOCAL | own_first);
}

static int load(char *error, size_t size) {
  const char *name = NULL;
  void *found = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && found == NULL; i++) found = dlopen(name = names[i], RTLD_LAZY | RTLD_LOCAL);
  if (found == NULL) {
    snprintf(error, size, "files need the HDF5 library %s or %s, which cannot be opened: %s", names[0], names[1], dlerror());
    return -1;
  }
  void *library = open_copy(found);
  is_private = library != NULL;
  /* Before the other is closed, so that what they need stays open. */
  if (library == NULL) library = open_shared(name);
  dlclose(found);
  if (library == NULL) {
    snprintf(error, size, "the HDF5 library %s cannot be opened: %s", name, dlerror());
    return -1;
  }
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
    if ((*symbols[i].address = dlsym(library, symbols[i].name)) == NULL) {
      snprintf(error, size, "the HDF5 library %s has no %s", name, symbols[i].name);
      return -1;
    }
#define FILTER(name) filters.name = dlsym(library, "H5Z_" #name);
  CSTORAGE_FILTERS(FILTER)
  *(void **)&filters.put = dlsym(library, "H5Z_register");
  /* Nothing is left to do at the end of the process: what is written is written when a call returns. And HDF5 1.10 would
   * complain there of what it lost when it met a damaged file. Before all else, as any call starts HDF5. */
  if (is_private) H5dont_atexit();
  unsigned version[3];
  if (H5get_libversion(&version[0], &version[1], &version[2]) < 0 || version[0] != H5_VERS_MAJOR ||
      version[1] != H5_VERS_MINOR) {
    snprintf(error, size, "the HDF5 library %s is version %u.%u.%u, it must be %d.%d", name, version[0], version[1], version[2],
             H5_VERS_MAJOR, H5_VERS_MINOR);
    return -1;
  }
  return 0;
}
#endif

int cstorage_open_hdf5(char *error, size_t size) {
  if (is_open) return 0;
  if (load(error, size) != 0) return -1;
  if (H5open() < 0) {
    snprintf(error, size, "the HDF5 library cannot be started");
    return -1;
  }
  if (is_private) cstorage_judge_filters(&filters);
  is_open = true;
  return 0;
}
