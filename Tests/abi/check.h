/* What the test programs share: the library through dlopen, a count of checks, some data. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>

#include "diffeo_loader.h"
#include "hostile.h"

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
  if (diffeo_api_load(NULL, &D, error, sizeof error) != 0) {
    printf("cannot load the library: %s\n", error);
    exit(2);
  }
  become_hostile(&D);
}

/* A program has parts. It runs all of them or, for slow machinery, those its last arguments name; "parts" lists them. */
static char **parts_named;
static int parts_named_count, parts_found;
static inline void choose_parts(int count, char **names) {
  parts_named = names, parts_named_count = count;
}

static inline int wanted(const char *name) {
  if (parts_named_count <= 0) return 1;
  if (strcmp(parts_named[0], "parts") == 0) return printf("part %s\n", name), parts_found = 1, 0;
  for (int i = 0; i < parts_named_count; i++)
    if (strcmp(parts_named[i], name) == 0) return parts_found++, 1;
  return 0;
}
#define PART(name) \
  if (wanted(#name)) name()

static inline int checks_end(const char *name) {
  checks_failed += hostile_failures();
  CHECK(parts_named_count <= 0 || parts_found == parts_named_count, "%d of %d parts are there", parts_found, parts_named_count);
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

/* Flows by name. "torus_..." are those on angles, of period 13. */
#define NAMED_FLOWS(X) X(maf) X(iaf) X(realnvp) X(nice) X(glow) X(planar) X(radial) X(cdf_flow) X(spline_coupling) \
  X(spline_autoregressive)

/* ... of images, whose options are others. */
#define IMAGE_FLOWS(X) X(glow_image) X(realnvp_image)

static inline diffeo_status create_named(const char *name, const diffeo_architecture_options *o, diffeo_flow **flow) {
#define CREATE(each) \
  if (strcmp(name, #each) == 0) return D.each##_create(o, flow);
  NAMED_FLOWS(CREATE)
  if (strcmp(name, "made") == 0) return D.made_create(o, flow);
#undef CREATE
  return DIFFEO_EINTERNAL;
}

/* Layers and bases that no named flow has. All take any x to any z, or to where the base is not 0. */
static inline diffeo_status add_layers(const char *name, diffeo_spec *spec, int64_t dim, int64_t context_dim) {
  static const int64_t hidden[] = {13};
  diffeo_autoregressive_options a;
  diffeo_coupling_options c;
  diffeo_spline_options s;
  diffeo_mixture_options m;
  diffeo_map_options map;
  diffeo_network_options n;
  diffeo_base_options b;
  D.autoregressive_options_init(&a, sizeof a), D.coupling_options_init(&c, sizeof c);
  D.spline_options_init(&s, sizeof s), D.mixture_options_init(&m, sizeof m);
  D.map_options_init(&map, sizeof map), D.network_options_init(&n, sizeof n), D.base_options_init(&b, sizeof b);
  n.hidden = hidden, n.hidden_count = 1, n.activation = DIFFEO_TANH;
  a.network = c.network = &n, a.map = c.map = &map;
  const diffeo_network_options *network = context_dim > 0 ? &n : NULL;
  double low[64], high[64];
  for (int i = 0; i < 64; i++) low[i] = -0.25, high[i] = 1.5;
  diffeo_status status = DIFFEO_OK;
#define ADD(call) if (status == DIFFEO_OK) status = (call)
  if (strcmp(name, "linear") == 0) {
    ADD(D.spec_add_lu(spec, 1, 3));
    ADD(D.spec_add_elementwise_affine(spec, 0));
    ADD(D.spec_add_householder(spec, 2));
    ADD(D.spec_add_batch_norm(spec, 1e-5, 0.1));
    ADD(D.spec_add_lu(spec, 0, 0));
    ADD(D.spec_invert(spec));
    ADD(D.spec_add_householder(spec, 1));
    ADD(D.spec_invert(spec));
    ADD(D.spec_add_actnorm(spec));
    ADD(D.spec_add_elementwise_affine(spec, 1));
    b.base = DIFFEO_BASE_NORMAL, b.network = network;
  } else if (strcmp(name, "units") == 0) {
    ADD(D.spec_add_planar(spec, network));
    ADD(D.spec_add_radial(spec, network));
    ADD(D.spec_add_planar(spec, NULL));
    ADD(D.spec_invert(spec));
    ADD(D.spec_add_radial(spec, NULL));
    ADD(D.spec_invert(spec));
    b.base = DIFFEO_BASE_STUDENT_T, b.network = network;
  } else if (strcmp(name, "mixtures") == 0) {
    map.map = DIFFEO_MAP_MIXTURE, map.mixture = &m, m.components = 3;
    ADD(D.spec_add_autoregressive(spec, &a));
    if (dim > 1 || context_dim > 0) {
      static const uint8_t mask[64] = {0, 1, 1};
      c.mask = DIFFEO_MASK_GIVEN, c.mask_given = mask, m.family = DIFFEO_FAMILY_LOGISTIC;
      ADD(D.spec_add_coupling(spec, &c));
    }
    a.order = DIFFEO_ORDER_REVERSED;
    ADD(D.spec_add_autoregressive(spec, &a));
    ADD(D.spec_invert(spec));
    b.base = DIFFEO_BASE_MIXTURE, b.components = 3, b.network = network;
  } else if (strcmp(name, "bounded") == 0) { /* the line to an interval, splines there, and back; the box to the end */
    ADD(D.spec_add_domain(spec, DIFFEO_DOMAIN_SOFTPLUS, NULL, 0, low, NULL));
    ADD(D.spec_invert(spec));
    ADD(D.spec_add_domain(spec, DIFFEO_DOMAIN_LOG, NULL, 0, low, NULL));
    ADD(D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL, NULL, 0, NULL, NULL));
    ADD(D.spec_invert(spec));
    ADD(D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, low, high));
    ADD(D.spec_invert(spec));
    map.map = DIFFEO_MAP_SPLINE, map.spline = &s;
    s.boundary = DIFFEO_BOUNDARY_INTERVAL, s.low = -0.25, s.high = 1.5;
    ADD(D.spec_add_autoregressive(spec, &a));
    ADD(D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, low, high));
    s.boundary = DIFFEO_BOUNDARY_LINEAR, s.low = -3, s.high = 3;
    ADD(D.spec_add_autoregressive(spec, &a));
    ADD(D.spec_invert(spec));
    ADD(D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, low, high));
    ADD(D.spec_invert(spec));
    b.base = DIFFEO_BASE_UNIFORM, b.low = -0.25, b.high = 1.5;
  } else if (strcmp(name, "blocks") == 0) {
    static const int64_t widths[] = {13, 13, 9};
    n.hidden = widths, n.hidden_count = 3, n.blocks = DIFFEO_BLOCKS_PREACTIVATION, n.normalized = 1;
    diffeo_network_options shifted = n, gated = n;
    gated.blocks = DIFFEO_BLOCKS_RESIDUAL, gated.normalized = 0;
    if (context_dim > 0) shifted.context_mode = DIFFEO_CONTEXT_SHIFT, gated.context_mode = DIFFEO_CONTEXT_GATE;
    a.network = &shifted, c.network = &gated;
    ADD(D.spec_add_autoregressive(spec, &a));
    if (dim > 1 || context_dim > 0) ADD(D.spec_add_coupling(spec, &c));
    a.order = DIFFEO_ORDER_REVERSED, map.map = DIFFEO_MAP_SPLINE, map.spline = &s;
    ADD(D.spec_add_autoregressive(spec, &a));
    ADD(D.spec_invert(spec));
    b.base = DIFFEO_BASE_NORMAL, b.network = network;
  } else if (strcmp(name, "convolutions") == 0) { /* of 1 x 1 x dim: borders everywhere */
    diffeo_convolution_options v;
    diffeo_image_coupling_options i;
    D.convolution_options_init(&v, sizeof v), D.image_coupling_options_init(&i, sizeof i);
    v.hidden = hidden, v.hidden_count = 1, v.activation = DIFFEO_TANH, v.gain = 1;
    i.network = &v, i.map = &map;
    ADD(D.spec_add_linear(spec));
    ADD(D.spec_add_actnorm(spec));
    for (int k = 0; k < 3; k++) {
      i.mask = dim == 1 ? DIFFEO_IMAGE_MASK_NONE : k == 1 ? DIFFEO_IMAGE_MASK_ODD : DIFFEO_IMAGE_MASK_EVEN;
      if (dim > 1 || context_dim > 0) ADD(D.spec_add_image_coupling(spec, &i));
      if (k == 1 && (dim > 1 || context_dim > 0)) ADD(D.spec_invert(spec));
    }
    ADD(D.spec_add_lu(spec, 1, 2));
  } else {
    status = DIFFEO_EINTERNAL;
  }
#undef ADD
  return status != DIFFEO_OK ? status : D.spec_set_base(spec, &b);
}
static const char *const layer_names[] = {"linear", "units", "mixtures", "bounded", "blocks", "convolutions"};

/* Moved from where a new flow begins, so that no result is trivial: by two epochs over a few rows, which move all that
 * is trained and nothing else. */
static inline diffeo_flow *make_moved(diffeo_flow *flow) {
  enum { ROWS = 64 };
  const int64_t dim = D.flow_dim(flow), context_dim = D.flow_context_dim(flow);
  diffeo_flow *moved = NULL;
  double *x = malloc(sizeof *x * (size_t)(ROWS * dim)), *context = malloc(sizeof *x * (size_t)(ROWS * context_dim) + 1);
  make_rows(x, ROWS, dim, 31);
  make_rows(context, ROWS, context_dim, 32);
  diffeo_train_options o;
  diffeo_trainer *trainer = NULL;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.batch_size = 16, o.max_epochs = 2, o.learning_rate = 0.03;
  CHECK_OK(D.trainer_create_f64(flow, &o, x, ROWS, context_dim ? context : NULL, context_dim ? ROWS : 0, NULL, &trainer));
  while (!D.trainer_finished(trainer)) CHECK_OK(D.trainer_step(trainer, 0, NULL));
  CHECK_OK(D.trainer_current(trainer, &moved));
  D.trainer_destroy(trainer);
  D.flow_destroy(flow);
  free(x), free(context);
  return moved;
}

/* A small new flow by its name, or of layers. */
static inline diffeo_flow *new_flow(const char *kind, int64_t dim, int64_t context_dim, int32_t dtype) {
  static const int64_t hidden[] = {19, 16};
  diffeo_flow *flow = NULL;
  for (int i = 0; i < COUNT(layer_names); i++)
    if (strcmp(kind, layer_names[i]) == 0) {
      diffeo_spec *spec = NULL;
      if (strcmp(kind, "convolutions") == 0) CHECK_OK(D.spec_create_image(1, 1, dim, context_dim, dtype, &spec));
      else CHECK_OK(D.spec_create(dim, context_dim, dtype, &spec));
      diffeo_status status = add_layers(kind, spec, dim, context_dim);
      CHECK(status == DIFFEO_OK, "%s: %s", kind, D.last_error());
      CHECK_OK(D.flow_create(spec, 2385, &flow));
      D.spec_destroy(spec);
      return flow;
    }
  diffeo_architecture_options o;
  const int torus = strncmp(kind, "torus_", 6) == 0;
  diffeo_network_options network;
  D.architecture_options_init(&o, sizeof o);
  D.network_options_init(&network, sizeof network);
  network.hidden = hidden;
  network.hidden_count = COUNT(hidden);
  network.activation = DIFFEO_TANH;
  o.network = &network;
  o.dim = dim;
  o.context_dim = context_dim;
  o.transforms = 3;
  o.dtype = dtype;
  o.standardize = 0;
  o.seed = 2385;
  o.components = strcmp(kind, "cdf_flow") == 0 ? 3 : 0;
  o.bins = 5;
  o.periodic = torus, o.bound = torus ? 6.5 : 0;
  diffeo_status status = create_named(kind + (torus ? 6 : 0), &o, &flow);
  CHECK(status == DIFFEO_OK, "%s: %s", kind, D.last_error());
  return flow;
}

static inline diffeo_flow *make_flow(const char *kind, int64_t dim, int64_t context_dim, int32_t dtype) {
  return make_moved(new_flow(kind, dim, context_dim, dtype));
}

/* All that make_flow can make. */
#define NAME(each) #each,
static const char *const all_flows[] = {NAMED_FLOWS(NAME) "torus_spline_coupling", "torus_spline_autoregressive", "linear",
                                        "units", "mixtures", "bounded", "convolutions"};
#undef NAME

/* A new flow of images of 2 x 4 x 4, counts 0 to 15. */
static inline diffeo_flow *new_image_flow(const char *kind, int64_t context_dim, int32_t dtype) {
  static const int64_t hidden[] = {5, 5};
  diffeo_image_options o;
  diffeo_convolution_options network;
  diffeo_flow *flow = NULL;
  CHECK_OK(D.image_options_init(&o, sizeof o));
  CHECK_OK(D.convolution_options_init(&network, sizeof network));
  network.hidden = hidden, network.hidden_count = COUNT(hidden), network.activation = DIFFEO_TANH;
  o.network = &network, o.channels = 2, o.height = 4, o.width = 4;
  o.levels = 2, o.steps = 1, o.quantization = 16, o.context_dim = context_dim, o.dtype = dtype, o.seed = 2385;
#define CREATE(each) \
  if (strcmp(kind, #each) == 0) CHECK_OK(D.each##_create(&o, &flow));
  IMAGE_FLOWS(CREATE)
#undef CREATE
  return flow;
}

/* Couplings of a single column need a context. */
static inline int possible(const char *kind, int64_t dim, int64_t context_dim) {
  return dim > 1 || context_dim > 0 || !(strcmp(kind, "realnvp") == 0 || strcmp(kind, "nice") == 0 ||
                                         strcmp(kind, "glow") == 0 || strstr(kind, "coupling") != NULL);
}

#endif
