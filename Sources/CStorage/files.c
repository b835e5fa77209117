#define _GNU_SOURCE
#include "CStorage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cstorage_open_unnamed(const char *folder, char *path, size_t size) {
#if defined(O_TMPFILE)
  const int file = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0) return -1;
  snprintf(path, size, "/proc/self/fd/%d", file);
  if (access(path, F_OK) == 0) return file;
  close(file);
#else
  (void)folder, (void)path, (void)size;
#endif
  return -1;
}

int cstorage_link(const char *path, const char *name) {
  return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

int cstorage_may_write(const char *path) { return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS); }

/* Of where the numbers of processes are ours: this machine, and on it perhaps a container. FNV-1a of their names. */
static uint32_t home(void) {
  char names[512] = {0};
  if (gethostname(names, 256) != 0) names[0] = 0;
  if (readlink("/proc/self/ns/pid", names + 256, 255) < 0) names[256] = 0;
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < sizeof names; i++) hash = (hash ^ (unsigned char)names[i]) * 16777619u;
  return hash;
}

void cstorage_temporary_name(uint32_t number, char *name, size_t size) {
  snprintf(name, size, ".diffeo-%08x-%ld-%08x.tmp", home(), (long)getpid(), number);
}

void cstorage_remove_stale(const char *folder) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, ".diffeo-%08x-%%ld-%%8x%%n", home());
  DIR *entries = opendir(folder);
  if (entries == NULL) return;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    long process = 0;
    unsigned number;
    int length = 0;
    if (sscanf(entry->d_name, pattern, &process, &number, &length) != 2 || strcmp(entry->d_name + length, ".tmp") != 0) continue;
    if (process > 0 && kill((pid_t)process, 0) != 0 && errno == ESRCH) unlinkat(dirfd(entries), entry->d_name, 0);
  }
  closedir(entries);
}
