/* Calls that must be refused: with the right status, words of their own, and no output touched but handles, which are
 * NULL; and no end of the process, which is why each runs in a child, unless NO_FORK is set in the environment (for valgrind). */
#ifndef REFUSE_H
#define REFUSE_H

#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Outputs lie in slots of one block, painted before a call, with unused bytes around each. */
enum { SLOTS = 4, SLOT = 1 << 16, GUARD = 1 << 10 };
static unsigned char outputs[SLOTS * SLOT], paint[SLOTS * SLOT];
#define OUT(slot) ((void *)(outputs + (slot) * SLOT + GUARD))

static inline void paint_outputs(void) {
  memset(paint, 0xA5, sizeof paint);
  memset(outputs, 0xA5, sizeof outputs);
}

/* Of a slot, exactly the first so many bytes may have changed. */
static inline int only_first(int slot, size_t bytes) {
  const unsigned char *begin = outputs + slot * SLOT;
  return memcmp(begin, paint, GUARD) == 0 &&
         memcmp(begin + GUARD + bytes, paint, SLOT - GUARD - bytes) == 0;
}

/* Nothing is written but NULL for a handle, which only the first two slots are used for. */
static inline int untouched(void) {
  for (int slot = 0; slot < 2; slot++) {
    void *handle;
    memcpy(&handle, OUT(slot), sizeof handle);
    if (handle == NULL) memset(OUT(slot), 0xA5, sizeof handle);
  }
  return memcmp(outputs, paint, sizeof paint) == 0;
}

static const char stale[] = "threads is -5";

static int no_fork;

/* 1: make the call, then end_call. 0: a child did. */
static inline int begin_call(const char *file, int line, const char *what) {
  if (!no_fork) {
    fflush(stdout);
    pid_t child = fork();
    if (child > 0) {
      int status = 0;
      waitpid(child, &status, 0);
      if (WIFSIGNALED(status)) printf("%s:%d: %s: died of signal %d\n", file, line, what, WTERMSIG(status));
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) checks_passed++;
      else checks_failed++;
      return 0;
    }
    checks_passed = checks_failed = 0;
  }
  diffeo_workspace *none;
  D.workspace_create(-5, &none); /* an error text to be replaced */
  paint_outputs();
  return 1;
}

static inline void end_call(void) {
  if (no_fork) return;
  fflush(stdout);
  _exit(checks_failed != 0 || hostile_failures() > 0);
}

/* expected; a piece that the text must contain, "" for any; the call. */
#define REFUSED(expected, piece, call)                                                                  \
  do {                                                                                                  \
    if (begin_call(__FILE__, __LINE__, #call)) {                                                        \
      diffeo_status status_ = (call);                                                                   \
      const char *text_ = D.last_error();                                                               \
      const int untouched_ = untouched();                                                               \
      CHECK(status_ == (expected) && *text_ != '\0' && strncmp(text_, stale, strlen(stale)) != 0 &&     \
                strstr(text_, piece) != NULL && untouched_,                                             \
            "%s is %s%s: %s", #call, D.status_name(status_), untouched_ ? "" : " and wrote an output",  \
            text_);                                                                                     \
      end_call();                                                                                       \
    }                                                                                                   \
  } while (0)

/* A call that is unusual, but right. */
#define ACCEPTED(call)                                                                        \
  do {                                                                                        \
    if (begin_call(__FILE__, __LINE__, #call)) {                                              \
      diffeo_status status_ = (call);                                                         \
      CHECK(status_ == DIFFEO_OK, "%s is %s: %s", #call, D.status_name(status_), D.last_error()); \
      end_call();                                                                             \
    }                                                                                         \
  } while (0)

/* ISOLATED("name") { ... CHECK ... } */
#define ISOLATED(name) for (int once_ = begin_call(__FILE__, __LINE__, name); once_; once_ = 0, end_call())

#endif
