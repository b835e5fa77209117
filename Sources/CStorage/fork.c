#include "CStorage.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int generation;
/* Of this thread, which may fork where HDF5 calls something of the host: an allocator, a filter. */
static _Thread_local bool is_inside;

static void prepare(void) {
  if (!is_inside) pthread_mutex_lock(&lock);
}
static void in_parent(void) {
  if (!is_inside) pthread_mutex_unlock(&lock);
}
static void in_child(void) {
  generation++;
  if (!is_inside) pthread_mutex_unlock(&lock);
}
static void watch(void) { pthread_atfork(prepare, in_parent, in_child); }

unsigned long cstorage_lock(void) {
  static unsigned long count;
  pthread_once(&once, watch);
  pthread_mutex_lock(&lock);
  is_inside = true;
  return ++count;
}

void cstorage_unlock(void) {
  is_inside = false;
  pthread_mutex_unlock(&lock);
}

int cstorage_generation(void) {
  pthread_once(&once, watch);
  return generation;
}
