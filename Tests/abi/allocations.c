/* A call with a workspace of one thread that has seen such a call before allocates nothing. With more threads it takes
 * two blocks of 32 bytes, whatever the rows: Swift hands a closure to the other threads in them (Team.run).
 * This program's malloc counts: the library's calls come here, because a program's symbols go before those of
 * libraries. */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "check.h"

static _Atomic int64_t allocations;

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

/* A place for a breakpoint: what allocates? */
__attribute__((noinline)) void allocated(void) { allocations++; }

void *malloc(size_t size) { return allocated(), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return allocated(), __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return allocated(), __libc_realloc(block, size); }
void *aligned_alloc(size_t alignment, size_t size) { return allocated(), __libc_memalign(alignment, size); }
void *memalign(size_t alignment, size_t size) { return allocated(), __libc_memalign(alignment, size); }
int posix_memalign(void **block, size_t alignment, size_t size) {
  allocated();
  *block = __libc_memalign(alignment, size);
  return *block ? 0 : 12;
}

enum { N = 500, DIM = 4, CONTEXT = 2 };

/* Thrice to warm up; then counted. With more threads than one again, until each has had its share of the work once: on a
 * busy machine that can take a while. */
#define NONE(what, call)                                                                             \
  do {                                                                                               \
    for (int i = 0; i < 3; i++) (void)(call);                                                        \
    diffeo_status status_ = DIFFEO_OK;                                                               \
    int64_t count = 1;                                                                               \
    for (int i = 0; i < (threads > 1 ? 20 : 1) && count > 0; i++) {                                  \
      const int64_t before = allocations;                                                            \
      status_ = (call);                                                                              \
      count = allocations - before;                                                                  \
    }                                                                                                \
    CHECK(status_ == DIFFEO_OK && count == 0, "%s of %s, dtype %d, %d threads: %lld allocations", what, kind, dtype, \
          threads, (long long)count);                                                                \
  } while (0)

static void evaluation(const char *kind, int32_t dtype, int32_t threads, int64_t context_dim) {
  static double x[N * DIM], context[N * CONTEXT], a[N * DIM], b[N * DIM], c[N * DIM];
  static float xf[N * DIM], contextf[N * CONTEXT], af[N * DIM], bf[N * DIM];
  make_rows(x, N, DIM, 1);
  make_rows(context, N, CONTEXT, 2);
  to_float(x, xf, N * DIM);
  to_float(context, contextf, N * CONTEXT);
  const double *given = context_dim ? context : NULL;
  const float *givenf = context_dim ? contextf : NULL;
  const int64_t n = context_dim ? N : 0;
  diffeo_flow *flow = make_flow(kind, DIM, context_dim, dtype);
  diffeo_workspace *w = NULL;
  CHECK_OK(D.workspace_create(threads, &w));
  NONE("log_prob_f64", D.flow_log_prob_f64(flow, x, N, given, n, w, a));
  NONE("log_prob_f32", D.flow_log_prob_f32(flow, xf, N, givenf, n, w, af));
  NONE("log_prob_gradient_f64", D.flow_log_prob_gradient_f64(flow, x, N, given, n, w, a, b, given ? c : NULL));
  NONE("log_prob_gradient_f32", D.flow_log_prob_gradient_f32(flow, xf, N, givenf, n, w, af, bf, NULL));
  NONE("to_noise_f64", D.flow_to_noise_f64(flow, x, N, given, n, w, a, b));
  NONE("to_noise_f32", D.flow_to_noise_f32(flow, xf, N, givenf, n, w, af, bf));
  NONE("from_noise_f64", D.flow_from_noise_f64(flow, x, N, given, n, w, a, b));
  NONE("from_noise_f32", D.flow_from_noise_f32(flow, xf, N, givenf, n, w, af, bf));
  NONE("sample_f64", D.flow_sample_f64(flow, 1, 0, N, given, n, w, a, b));
  NONE("sample_f32", D.flow_sample_f32(flow, 1, 0, N, givenf, n, w, af, bf));
  NONE("log_prob_f64 of one row", D.flow_log_prob_f64(flow, x, 1, given, n ? 1 : 0, w, a));
  D.workspace_destroy(w);
  D.flow_destroy(flow);
}

int main(void) {
  load_library();
  const int64_t before = allocations;
  void *volatile block = malloc(1);
  free(block);
  CHECK(allocations > before, "the count does not count");
  for (int k = 0; k < COUNT(all_flows); k++)
    for (int32_t dtype = DIFFEO_F32; dtype <= DIFFEO_F64; dtype++)
      for (int32_t threads = 1; threads <= 2; threads++) {
        evaluation(all_flows[k], dtype, threads, 0);
        evaluation(all_flows[k], dtype, threads, CONTEXT);
      }
  return checks_end("allocations");
}
