#define _GNU_SOURCE
#include "CStorage.h"
#include "filters.h"

/* HDF5 takes a chunk for whole when its filters are done with it, however few bytes they gave, and reads on behind its end.
 * So those that give another number of bytes than they take are asked by way of what stands here, in our copy of HDF5. */
static struct {
  int filter;
  size_t least;
} expected = {-1, 0};

void cstorage_expect(int filter, size_t least) { expected.filter = filter, expected.least = least; }

/* 0 is a filter's failure. */
static size_t judge(int filter, unsigned flags, size_t size) {
  const bool is_short = flags & H5Z_FLAG_REVERSE && filter == expected.filter && size < expected.least;
  return is_short ? 0 : size;
}

#define JUDGED(name)                                                                                               \
  static H5Z_func_t of_##name;                                                                                     \
  static size_t judged_##name(unsigned flags, size_t count, const unsigned values[], size_t bytes, size_t *size,   \
                              void **buffer) {                                                                     \
    return judge(H5Z_FILTER_##name, flags, of_##name(flags, count, values, bytes, size, buffer));                  \
  }
CSTORAGE_FILTERS(JUDGED)

void cstorage_judge_filters(const cstorage_filters *of) {
  if (of->put == NULL) return;
#define REPLACE(name)                 \
  if (of->name != NULL) {             \
    H5Z_class2_t class = *of->name;   \
    of_##name = class.filter;         \
    class.filter = judged_##name;     \
    of->put(&class);                  \
  }
  CSTORAGE_FILTERS(REPLACE)
}
