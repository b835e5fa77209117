/* What the test programs share: the library through dlopen, a count of checks, some data. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>

#include "diffeo_loader.h"

static diffeo_api D;
static int checks_passed, checks_failed;

/* Counts, and says what failed. The message is for printf. */
#define CHECK(condition, ...)                                      \
  do {                                                             \
    if (condition) {                                               \
      checks_passed++;                                             \
    } else {                                                       \
      checks_failed++;                                             \
      printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);       \
      printf(__VA_ARGS__);                                         \
      printf("\n");                                                \
    }                                                              \
  } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, DIFFEO_OK)
#define CHECK_STATUS(call, expected)                                                              \
  do {                                                                                            \
    diffeo_status status_ = (call);                                                               \
    CHECK(status_ == (expected), "%s is %s: %s", #call, D.status_name(status_), D.last_error());  \
  } while (0)

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static inline void load_library(void) {
  char error[512];
  if (diffeo_api_load(NULL, &D, error, sizeof error) == 0) return;
  printf("cannot load the library: %s\n", error);
  exit(2);
}

static inline int checks_end(const char *name) {
  printf("%s: %d passed, %d failed\n", name, checks_passed, checks_failed);
  return checks_failed == 0 ? 0 : 1;
}

/* Numbers between -1 and 1, the same on every machine. */
static inline double uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) / 4503599627370496.0 - 1.0;
}

/* n rows that are neither uncorrelated nor normal. */
static inline void make_rows(double *x, int64_t n, int64_t dim, uint64_t seed) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < dim; j++) {
      double before = j > 0 ? x[i * dim + j - 1] : 0.0;
      x[i * dim + j] = 1.385 * uniform(&seed) + 0.617 * before * before - 0.284;
    }
}

static inline void to_float(const double *from, float *to, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = (float)from[i];
}

/* A small flow of the kind "maf", "iaf" or "realnvp", near the identity but not it. */
static inline diffeo_flow *make_flow(const char *kind, int64_t dim, int64_t context_dim, int32_t dtype) {
  static const int64_t hidden[] = {19, 16};
  diffeo_architecture_options o;
  diffeo_flow *flow = NULL;
  D.architecture_options_init(&o, sizeof o);
  o.dim = dim;
  o.context_dim = context_dim;
  o.transforms = 3;
  o.hidden = hidden;
  o.hidden_count = COUNT(hidden);
  o.activation = DIFFEO_TANH;
  o.dtype = dtype;
  o.standardize = 0;
  o.seed = 2385;
  diffeo_status status = strcmp(kind, "maf") == 0   ? D.maf_create(&o, &flow)
                         : strcmp(kind, "iaf") == 0 ? D.iaf_create(&o, &flow)
                                                    : D.realnvp_create(&o, &flow);
  CHECK(status == DIFFEO_OK, "%s: %s", kind, D.last_error());
  /* Move every parameter that is not a constant or masked to zero, so that no result is trivial. */
  int64_t n = D.flow_parameter_count(flow);
  double *parameters = malloc((size_t)n * sizeof *parameters);
  diffeo_flow *changed = NULL;
  CHECK_OK(D.flow_parameters_f64(flow, parameters));
  uint64_t state = 7;
  for (int64_t i = 0; i < n; i++) parameters[i] += parameters[i] == 0.0 ? 0.0 : 0.1 * uniform(&state);
  CHECK_OK(D.flow_with_parameters_f64(flow, parameters, &changed));
  free(parameters);
  D.flow_destroy(flow);
  return changed;
}

#endif
