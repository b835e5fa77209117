/* Everything that a caller can do wrong: abuse [FOLDER [ROUNDS [PART...]]]; fewer rounds of the fuzzing for slow machinery. */
#include "refuse.h"

enum { N = 9, DIM = 3, CONTEXT = 2 };
static diffeo_flow *flow, *conditional, *standardised; /* f32, f64 with context, f32 that standardises */
static diffeo_trainer *trainer, *conditional_trainer;
static const char *folder = ".";
static int rounds = 4000;

#define T float
#define F(name) D.name##_f32
#define TYPED(name) name##_f32
#include "abuse_typed.h"
#undef T
#undef F
#undef TYPED
#define T double
#define F(name) D.name##_f64
#define TYPED(name) name##_f64
#include "abuse_typed.h"

/* Every function that makes a handle, each with a call that it refuses: NULL takes the place of what was there.
 * bindings/python/tests/test_header.py holds the list to the header. */
#define MAKERS(X)                                                    \
  X(workspace_create, (-1, OUT(0)))                                  \
  X(workspace_create_hosted, (2, NULL, NULL, OUT(0)))                \
  X(nice_create, (NULL, OUT(0)))                                     \
  X(realnvp_create, (NULL, OUT(0)))                                  \
  X(glow_create, (NULL, OUT(0)))                                     \
  X(glow_image_create, (NULL, OUT(0)))                               \
  X(realnvp_image_create, (NULL, OUT(0)))                            \
  X(made_create, (NULL, OUT(0)))                                     \
  X(maf_create, (NULL, OUT(0)))                                      \
  X(iaf_create, (NULL, OUT(0)))                                      \
  X(planar_create, (NULL, OUT(0)))                                   \
  X(radial_create, (NULL, OUT(0)))                                   \
  X(cdf_flow_create, (NULL, OUT(0)))                                 \
  X(spline_coupling_create, (NULL, OUT(0)))                          \
  X(spline_autoregressive_create, (NULL, OUT(0)))                    \
  X(spec_create, (0, 0, DIFFEO_F32, OUT(0)))                         \
  X(spec_create_image, (1, 0, 1, 0, DIFFEO_F32, OUT(0)))             \
  X(flow_create, (NULL, 0, OUT(0)))                                  \
  X(flow_compose, (flow, NULL, OUT(0)))                              \
  X(flow_load, (folder, OUT(0)))                                     \
  X(flow_load_memory, (folder, 1, OUT(0)))                           \
  X(flow_with_parameters_f32, (flow, NULL, OUT(0)))                  \
  X(flow_with_parameters_f64, (flow, NULL, OUT(0)))                  \
  X(trainer_create_f32, (flow, NULL, NULL, 9, NULL, 0, NULL, OUT(0)))      \
  X(trainer_create_f64, (flow, NULL, NULL, 9, NULL, 0, NULL, OUT(0)))      \
  X(rows_create_f32, (9, 0, 0, 0, NULL, NULL, OUT(0)))               \
  X(rows_create_f64, (-1, 1, 0, 0, NULL, NULL, OUT(0)))              \
  X(rows_open, (folder, "x", NULL, NULL, OUT(0)))                    \
  X(trainer_create_rows, (flow, NULL, NULL, OUT(0)))                 \
  X(trainer_best, (NULL, OUT(0)))                                    \
  X(vi_create_f32, (flow, NULL, NULL, NULL, NULL, 0, OUT(0)))        \
  X(vi_create_f64, (flow, NULL, NULL, NULL, NULL, 0, OUT(0)))        \
  X(vi_best, (NULL, OUT(0)))                                         \
  X(vi_current, (NULL, OUT(0)))                                      \
  X(trainer_current, (NULL, OUT(0)))                                 \
  X(optimizer_create, (NULL, NULL, 0, OUT(0)))                       \
  X(optimizer_current, (NULL, OUT(0)))                               \
  X(optimizer_average, (NULL, OUT(0)))                               \
  X(fit_f32, (flow, NULL, NULL, 9, NULL, 0, NULL, NULL, NULL, OUT(0), NULL)) \
  X(fit_f64, (flow, NULL, NULL, 9, NULL, 0, NULL, NULL, NULL, OUT(0), NULL))

static void handles(void) {
  diffeo_workspace **w = OUT(0);
#define MAKES_NONE(name, arguments)                                                            \
  ISOLATED(#name " makes none") {                                                              \
    const diffeo_status status = D.name arguments;                                             \
    CHECK(status != DIFFEO_OK && *w == NULL && only_first(0, sizeof *w), #name " is %s", D.status_name(status)); \
  }
  MAKERS(MAKES_NONE)
  REFUSED(DIFFEO_EINVAL, "workspace", D.workspace_create(1, NULL));
  REFUSED(DIFFEO_EINVAL, "-1", D.workspace_create(-1, w));
  REFUSED(DIFFEO_EINVAL, "257", D.workspace_create(257, w));
  REFUSED(DIFFEO_EINVAL, "2147483647", D.workspace_create(INT32_MAX, w));
  REFUSED(DIFFEO_EINVAL, "parallel", D.workspace_create_hosted(2, NULL, NULL, w));
  static const int64_t processors[] = {0, 123456, -1, INT64_MAX};
  REFUSED(DIFFEO_EINVAL, "workspace", D.workspace_pin(NULL, processors, 1));
  ISOLATED("threads are kept on processors") {
    diffeo_workspace *team = NULL;
    CHECK_OK(D.workspace_create(3, &team));
    CHECK_OK(D.workspace_pin(team, processors, 1));
    for (int i = 1; i < COUNT(processors); i++) CHECK_STATUS(D.workspace_pin(team, &processors[i], 1), DIFFEO_EINVAL);
    CHECK_STATUS(D.workspace_pin(team, NULL, 1), DIFFEO_EINVAL);
    CHECK_STATUS(D.workspace_pin(team, processors, 0), DIFFEO_EINVAL);
    CHECK_STATUS(D.workspace_pin(team, processors, INT64_MIN), DIFFEO_EINVAL);
    CHECK_STATUS(D.workspace_pin(team, processors, 4097), DIFFEO_EINVAL);
    D.workspace_destroy(team);
  }
  ISOLATED("NULL handles are 0 and no-ops") {
    D.workspace_destroy(NULL), D.spec_destroy(NULL), D.flow_destroy(NULL), D.trainer_destroy(NULL);
    D.trainer_cancel(NULL), D.rows_destroy(NULL), D.vi_destroy(NULL), D.vi_cancel(NULL), D.optimizer_destroy(NULL);
    CHECK(D.workspace_threads(NULL) == 0 && D.flow_dim(NULL) == 0 && D.flow_context_dim(NULL) == 0 &&
              D.flow_dtype(NULL) == 0 && D.flow_layer_count(NULL) == 0 && D.flow_parameter_count(NULL) == 0 &&
              D.rows_count(NULL) == 0 && D.rows_dim(NULL) == 0 && D.rows_context_dim(NULL) == 0 &&
              D.flow_shape(NULL, OUT(0), 3) == 0 && D.flow_metadata_count(NULL) == 0 && D.trainer_finished(NULL) == 1 &&
              D.vi_finished(NULL) == 1, "facts about NULL");
  }
  ISOLATED("as many threads as there may be") {
    diffeo_workspace *many = NULL;
    double x[DIM] = {0.1, 0.2, 0.3}, y;
    CHECK_OK(D.workspace_create(256, &many));
    CHECK_OK(D.flow_log_prob_f64(flow, x, 1, NULL, 0, many, &y));
    D.workspace_destroy(many);
    CHECK_OK(D.workspace_create(0, &many));
    CHECK(D.workspace_threads(many) >= 1, "%d", D.workspace_threads(many));
    D.workspace_destroy(many);
  }
}

/* Targets: half the density of normal numbers, in the upper half of the first column if side is not 0; and one that
 * stops in the call that user counts down to. */
static int half_f64(void *user, int64_t n, const double *x, const double *context, double *log_density, double *gradient) {
  (void)user, (void)context;
  for (int64_t i = 0; i < n; i++) {
    log_density[i] = 0;
    for (int j = 0; j < DIM; j++) {
      log_density[i] -= 0.5 * x[i * DIM + j] * x[i * DIM + j];
      if (gradient) gradient[i * DIM + j] = -x[i * DIM + j];
    }
  }
  return 0;
}
static int stopping_f64(void *user, int64_t n, const double *x, const double *context, double *log_density, double *gradient) {
  return --*(int *)user == 0 ? 42 : half_f64(NULL, n, x, context, log_density, gradient);
}
static int wild_f64(void *user, int64_t n, const double *x, const double *context, double *log_density, double *gradient) {
  half_f64(NULL, n, x, context, log_density, gradient);
  for (int64_t i = 0; i < n; i++) {
    if (gradient) gradient[i * DIM] = *(double *)user;
    log_density[i] = *(double *)user;
  }
  return 0;
}

/* Structs that begin with their size: its values, and a tail from the future. */
#define SIZES(type, init, use)                                                                       \
  do {                                                                                               \
    unsigned char bytes[4096];                                                                       \
    type *o = (type *)(void *)bytes;                                                                 \
    static const size_t sizes[] = {0, 1, 7, sizeof(type) - 1, sizeof(type) - 8, SIZE_MAX, SIZE_MAX / 2, \
                                   (size_t)1 << 40};                                                 \
    REFUSED(DIFFEO_EINVAL, "options", init(NULL, sizeof(type)));                                     \
    for (int i = 0; i < COUNT(sizes); i++) {                                                         \
      REFUSED(DIFFEO_EINVAL, "struct_size", init(OUT(3), sizes[i]));                                 \
      memset(bytes, 0, sizeof bytes);                                                                \
      CHECK_OK(init(o, sizeof(type)));                                                               \
      o->struct_size = sizes[i];                                                                     \
      REFUSED(DIFFEO_EINVAL, "struct_size", use);                                                    \
    }                                                                                                \
    memset(bytes, 0xFF, sizeof bytes);                                                               \
    CHECK_OK(init(o, sizeof(type) + 9));                                                             \
    CHECK(o->struct_size == sizeof(type) + 9 && bytes[sizeof(type) + 8] == 0 && bytes[sizeof(type) + 9] == 0xFF, \
          #init " of a larger struct");                                                              \
    bytes[sizeof(type) + 8] = 1;                                                                     \
    REFUSED(DIFFEO_EUNSUPPORTED, "", use);                                                           \
  } while (0)

/* Maps and networks by themselves, in the options that point to them. */
#define POINTED(name, kind, field, type, use)                            \
  static diffeo_status name(diffeo_spec *spec, const type *options) {    \
    diffeo_##kind##_options o;                                           \
    CHECK_OK(D.kind##_options_init(&o, sizeof o));                       \
    o.field = options;                                                   \
    return use(spec, &o);                                                \
  }
POINTED(autoregressive_network, autoregressive, network, diffeo_network_options, D.spec_add_autoregressive)
POINTED(coupling_network, coupling, network, diffeo_network_options, D.spec_add_coupling)
POINTED(made_network, made, network, diffeo_network_options, D.spec_set_base_made)
POINTED(autoregressive_map, autoregressive, map, diffeo_map_options, D.spec_add_autoregressive)
POINTED(coupling_map, coupling, map, diffeo_map_options, D.spec_add_coupling)
POINTED(elementwise_map, elementwise, map, diffeo_map_options, D.spec_add_elementwise)

static diffeo_status spline(diffeo_spec *spec, const diffeo_spline_options *options) {
  diffeo_map_options o;
  CHECK_OK(D.map_options_init(&o, sizeof o));
  o.map = DIFFEO_MAP_SPLINE, o.spline = options;
  return coupling_map(spec, &o);
}
static diffeo_status mixture(diffeo_spec *spec, const diffeo_mixture_options *options) {
  diffeo_map_options o;
  CHECK_OK(D.map_options_init(&o, sizeof o));
  o.map = DIFFEO_MAP_MIXTURE, o.mixture = options;
  return autoregressive_map(spec, &o);
}
static diffeo_status named_network(diffeo_status (*create)(const diffeo_architecture_options *, diffeo_flow **),
                                   const diffeo_network_options *options) {
  diffeo_architecture_options o;
  CHECK_OK(D.architecture_options_init(&o, sizeof o));
  o.dim = 2, o.network = options;
  return create(&o, OUT(0));
}

static diffeo_status named_base(diffeo_status (*create)(const diffeo_architecture_options *, diffeo_flow **),
                                const diffeo_base_options *options) {
  diffeo_architecture_options o;
  CHECK_OK(D.architecture_options_init(&o, sizeof o));
  o.dim = 2, o.base = options;
  return create(&o, OUT(0));
}

static void sizes(void) {
  diffeo_spec *spec = NULL;
  float x[N * DIM] = {0};
  CHECK_OK(D.spec_create(DIM, CONTEXT, DIFFEO_F64, &spec));
  SIZES(diffeo_autoregressive_options, D.autoregressive_options_init, D.spec_add_autoregressive(spec, o));
  SIZES(diffeo_coupling_options, D.coupling_options_init, D.spec_add_coupling(spec, o));
  SIZES(diffeo_architecture_options, D.architecture_options_init, (o->dim = 2, D.maf_create(o, OUT(0))));
  diffeo_autoregressive_options a;
  diffeo_coupling_options c;
  diffeo_base_options b;
  CHECK_OK(D.autoregressive_options_init(&a, sizeof a));
  CHECK_OK(D.coupling_options_init(&c, sizeof c));
  CHECK_OK(D.base_options_init(&b, sizeof b));
  b.base = DIFFEO_BASE_NORMAL;
  SIZES(diffeo_map_options, D.map_options_init, (a.map = o, D.spec_add_autoregressive(spec, &a)));
  SIZES(diffeo_map_options, D.map_options_init, (c.map = o, D.spec_add_coupling(spec, &c)));
  SIZES(diffeo_map_options, D.map_options_init, elementwise_map(spec, o));
  SIZES(diffeo_spline_options, D.spline_options_init, spline(spec, o));
  SIZES(diffeo_mixture_options, D.mixture_options_init, mixture(spec, o));
  SIZES(diffeo_network_options, D.network_options_init, autoregressive_network(spec, o));
  SIZES(diffeo_network_options, D.network_options_init, coupling_network(spec, o));
  SIZES(diffeo_network_options, D.network_options_init, made_network(spec, o));
  SIZES(diffeo_network_options, D.network_options_init, named_network(D.maf_create, o));
  SIZES(diffeo_network_options, D.network_options_init, (b.network = o, D.spec_set_base(spec, &b)));
  SIZES(diffeo_network_options, D.network_options_init, D.spec_add_planar(spec, o));
  SIZES(diffeo_network_options, D.network_options_init, D.spec_add_radial(spec, o));
  SIZES(diffeo_base_options, D.base_options_init, D.spec_set_base(spec, o));
  SIZES(diffeo_base_options, D.base_options_init, named_base(D.maf_create, o));
  b.network = NULL;
  REFUSED(DIFFEO_EINVAL, "made is a base itself", named_base(D.made_create, &b));
  b.base = DIFFEO_BASE_UNIFORM;
  REFUSED(DIFFEO_EINVAL, "the whole line", named_base(D.maf_create, &b));
  SIZES(diffeo_made_options, D.made_options_init, D.spec_set_base_made(spec, o));
  SIZES(diffeo_train_options, D.train_options_init, D.trainer_create_f32(flow, o, x, N, NULL, 0, NULL, OUT(0)));
  SIZES(diffeo_vi_options, D.vi_options_init, D.vi_create_f64(flow, o, half_f64, NULL, NULL, 0, OUT(0)));
  static const size_t reports[] = {0, 1, sizeof(diffeo_train_report) - 1, SIZE_MAX};
  for (int i = 0; i < COUNT(reports); i++) {
    diffeo_train_report report = {.struct_size = reports[i]};
    REFUSED(DIFFEO_EINVAL, "struct_size", D.trainer_step(trainer, 1, &report));
  }
  D.spec_destroy(spec);
}

/* One field of some options at a time is set to what it cannot be. */
#define FIELD(type, init, field, value, status, piece, use) \
  do {                                                      \
    type o;                                                 \
    CHECK_OK(init(&o, sizeof o));                           \
    o.field = (value);                                      \
    REFUSED(status, piece, use);                            \
  } while (0)

static diffeo_status wide_base(diffeo_base_options *o, int64_t dim, int64_t components) {
  diffeo_spec *spec = NULL;
  CHECK_OK(D.spec_create(dim, 0, DIFFEO_F32, &spec));
  o->components = components;
  const diffeo_status status = D.spec_set_base(spec, o);
  D.spec_destroy(spec);
  return status;
}
static diffeo_status wide_lu(void) {
  diffeo_spec *spec = NULL;
  CHECK_OK(D.spec_create(65536, 0, DIFFEO_F32, &spec));
  const diffeo_status status = D.spec_add_lu(spec, 1, 1);
  D.spec_destroy(spec);
  return status;
}

/* Numbers beyond their ranges, of layers and bases; spec has a context, plain none. */
static void numbers(diffeo_spec *spec, diffeo_spec *plain) {
  static const int64_t far[] = {0, -1, INT64_MAX, INT64_MIN, (int64_t)1 << 32, INT64_MAX / 3, INT64_MAX / 2 + 1};
  static const double wild[] = {NAN, INFINITY, -INFINITY, -1, 1e300};
  for (int i = 0; i < COUNT(far); i++) {
    const int64_t n = far[i];
    char piece[32];
    snprintf(piece, sizeof piece, "%lld", (long long)n);
#define SPLINE(field, value, piece) \
  FIELD(diffeo_spline_options, D.spline_options_init, field, value, DIFFEO_EINVAL, piece, spline(spec, &o))
#define MIXTURE(field, value, piece) \
  FIELD(diffeo_mixture_options, D.mixture_options_init, field, value, DIFFEO_EINVAL, piece, mixture(spec, &o))
#define BASE(kind, field, value, piece) \
  FIELD(diffeo_base_options, D.base_options_init, field, (o.base = DIFFEO_BASE_##kind, value), DIFFEO_EINVAL, piece, \
        D.spec_set_base(spec, &o))
#define NAMED(name, field, value, piece) \
  FIELD(diffeo_architecture_options, D.architecture_options_init, field, (o.dim = 3, value), DIFFEO_EINVAL, piece, \
        D.name##_create(&o, OUT(0)))
    SPLINE(bins, n, piece);
    MIXTURE(components, n, piece);
    BASE(MIXTURE, components, n, piece);
    REFUSED(DIFFEO_EINVAL, piece, D.spec_add_householder(spec, n));
    NAMED(spline_coupling, bins, n, piece);
    NAMED(spline_autoregressive, bins, n, piece);
    if (n == 0) continue;
    REFUSED(DIFFEO_EINVAL, piece, D.spec_add_dequantize(spec, n));
    NAMED(cdf_flow, components, n, piece);
#define TRANSFORMS_OF(name) NAMED(name, transforms, n, piece);
    NAMED_FLOWS(TRANSFORMS_OF)
  }
  SPLINE(bins, 1, "1");
  SPLINE(bins, 65, "65");
  MIXTURE(components, 65, "65");
  BASE(MIXTURE, components, 1025, "1025");
  REFUSED(DIFFEO_EINVAL, "349526", D.spec_add_householder(spec, 349526)); /* times 3: above 2^20 */
  REFUSED(DIFFEO_EINVAL, "1", D.spec_add_dequantize(spec, 1));
  REFUSED(DIFFEO_EINVAL, "16777217", D.spec_add_dequantize(spec, (1 << 24) + 1));

  for (int i = 0; i < COUNT(wild); i++) {
    const double w = wild[i];
    SPLINE(low, w == -1 ? 4 : w, "");
    SPLINE(high, w == -1 ? -4 : w, "");
    SPLINE(min_width, w, "min_width");
    SPLINE(min_height, w, "min_height");
    SPLINE(min_derivative, w, "min_derivative");
    SPLINE(min_lambda, w, "min_lambda");
    BASE(BETA, alpha, w, "alpha");
    BASE(BETA, beta, w, "beta");
    if (w != 1e300) BASE(BETA, high, w, "");
    BASE(MIXTURE, epsilon, w, "epsilon");
    SPLINE(logit_bound, w, "logit_bound");
    SPLINE(derivative_bound, w, "derivative_bound");
    SPLINE(boundary_derivative, w, "boundary_derivative");
    FIELD(diffeo_map_options, D.map_options_init, log_scale_low, w == -1 ? 3 : w, DIFFEO_EINVAL, "log_scale",
          coupling_map(spec, &o));
    FIELD(diffeo_map_options, D.map_options_init, log_scale_high, w == -1 ? -5 : w, DIFFEO_EINVAL, "log_scale",
          elementwise_map(spec, &o));
    MIXTURE(scale_bound, w, "scale_bound");
    REFUSED(DIFFEO_EINVAL, "epsilon", D.spec_add_batch_norm(spec, w, 0.1));
    REFUSED(DIFFEO_EINVAL, "momentum", D.spec_add_batch_norm(spec, 1e-5, w));
    BASE(STUDENT_T, df, w, "");
    if (w != 1e300) BASE(UNIFORM, high, w, "");
    if (w != -1) BASE(UNIFORM, low, w, "");
    REFUSED(DIFFEO_EINVAL, "high", D.spec_add_wrap(spec, w == -1 ? 2 : w, 1, 0, 0));
    if (w != 1e300) REFUSED(DIFFEO_EINVAL, "high", D.spec_add_wrap(spec, 1, w, 0, 0));
    if (w != 1e300) NAMED(spline_coupling, bound, w, "bound");
    NAMED(spline_autoregressive, bound, w, "");
    NAMED(spline_autoregressive, bound, (o.periodic = 1, w), "");
  }
  SPLINE(min_lambda, 0.5, "0.5");
  BASE(BETA, beta, 0, "0");
  BASE(MIXTURE, epsilon, 1, "1");
  BASE(MIXTURE, covariance, 4, "covariance");
  BASE(MIXTURE, diagonal, 0, "diagonal");
  SPLINE(boundary_derivative, (o.boundary = DIFFEO_BOUNDARY_FREE, 0.5), "0.5");
  SPLINE(encoding, DIFFEO_ENCODING_NUMBERS, "encoding");
  FIELD(diffeo_elementwise_options, D.elementwise_options_init, column_count, INT64_MAX, DIFFEO_EINVAL, "columns",
        D.spec_add_elementwise(spec, &o));
  SPLINE(min_width, 0.125, "0.125"); /* all of the box for 8 bins */
  SPLINE(min_height, 0.125, "0.125");
  SPLINE(min_derivative, 1, "1");
  SPLINE(low, 4, "4");
  SPLINE(low, (o.high = 1e6, 1e6 - 1), "1000000");
  MIXTURE(scale_bound, 0, "0");
  MIXTURE(scale_epsilon, 0, "0");
  MIXTURE(scale_epsilon, 1, "1");
  MIXTURE(scale_epsilon, NAN, "scale_epsilon");
  MIXTURE(reserved, 1, "reserved is 1");
  MIXTURE(scale_bound, 21, "21");
  REFUSED(DIFFEO_EINVAL, "0", D.spec_add_batch_norm(spec, 0, 0.1));
  REFUSED(DIFFEO_EINVAL, "0", D.spec_add_batch_norm(spec, 1e-5, 0));
  REFUSED(DIFFEO_EINVAL, "1.5", D.spec_add_batch_norm(spec, 1.5, 0.1));
  REFUSED(DIFFEO_EINVAL, "1.5", D.spec_add_batch_norm(spec, 1e-5, 1.5));
  BASE(STUDENT_T, df, 0, "0");
  BASE(UNIFORM, low, 1, "1");
  BASE(UNIFORM, low, (o.high = 1.7e308, -1.7e308), "1.7e+308");
  REFUSED(DIFFEO_EINVAL, "1.7e+308", D.spec_add_wrap(spec, -1.7e308, 1.7e308, 0, 0));
  REFUSED(DIFFEO_EINVAL, "2", D.spec_add_wrap(spec, 2, 2, 0, 0));

  /* one map, not two */
  diffeo_spline_options s;
  diffeo_mixture_options m;
  diffeo_network_options network;
  CHECK_OK(D.spline_options_init(&s, sizeof s));
  CHECK_OK(D.mixture_options_init(&m, sizeof m));
  CHECK_OK(D.network_options_init(&network, sizeof network));
  for (int32_t map = DIFFEO_MAP_AFFINE; map <= DIFFEO_MAP_LINEAR_SPLINE; map++) {
    if (map != DIFFEO_MAP_SPLINE && map != DIFFEO_MAP_LINEAR_SPLINE)
      FIELD(diffeo_map_options, D.map_options_init, spline, (o.map = map, &s), DIFFEO_EINVAL, "of the map rational_quadratic",
            autoregressive_map(spec, &o));
    if (map != DIFFEO_MAP_MIXTURE)
      FIELD(diffeo_map_options, D.map_options_init, mixture, (o.map = map, &m), DIFFEO_EINVAL, "of the map mixture_cdf",
            coupling_map(spec, &o));
  }

  /* no context to depend on */
  REFUSED(DIFFEO_EINVAL, "context", D.spec_add_planar(plain, &network));
  REFUSED(DIFFEO_EINVAL, "context", D.spec_add_radial(plain, &network));
  static const int32_t conditional_bases[] = {DIFFEO_BASE_NORMAL, DIFFEO_BASE_STUDENT_T, DIFFEO_BASE_MIXTURE};
  for (int i = 0; i < COUNT(conditional_bases); i++)
    FIELD(diffeo_base_options, D.base_options_init, network, (o.base = conditional_bases[i], &network), DIFFEO_EINVAL,
          "context", D.spec_set_base(plain, &o));

  /* their networks */
  static const int64_t widths[][2] = {{0, 5}, {5, -1}, {INT64_MAX, 5}, {INT64_MIN, INT64_MIN}, {65537, 1},
                                      {46342, 46342}};
  for (int i = 0; i < COUNT(widths); i++) {
    network.hidden = widths[i], network.hidden_count = 2;
    REFUSED(DIFFEO_EINVAL, "", D.spec_add_planar(spec, &network));
    REFUSED(DIFFEO_EINVAL, "", D.spec_add_radial(spec, &network));
    BASE(NORMAL, network, &network, "");
    REFUSED(DIFFEO_EINVAL, "", made_network(spec, &network));
  }
  network.hidden = NULL;
  static const int64_t counts[] = {-1, 1, 17, INT64_MAX, INT64_MIN};
  for (int i = 0; i < COUNT(counts); i++) {
    network.hidden_count = counts[i];
    REFUSED(DIFFEO_EINVAL, "hidden", D.spec_add_planar(spec, &network));
    BASE(NORMAL, network, &network, "hidden");
  }

  /* domains: columns, and ends */
  static const int64_t columns[][DIM] = {{0, 2, 1}, {0, 1, 1}, {0, 1, 3}, {-1, 0, 1}, {INT64_MIN, 0, INT64_MAX}};
  static const double zeros[DIM] = {0}, ones[DIM] = {1, 1, 1};
  for (int i = 0; i < COUNT(columns); i++)
    REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, columns[i], DIM, zeros, ones));
  for (int i = 0; i < COUNT(far); i++)
    if (far[i] != 0) {
      REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, far[i], zeros, ones));
      REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, columns[0], far[i], zeros, ones));
    }
  REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 1, zeros, ones));
  REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, columns[0], 0, zeros, ones));
  REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, columns[0], DIM + 1, zeros, ones));
  REFUSED(DIFFEO_EINVAL, "low", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, NULL, ones));
  REFUSED(DIFFEO_EINVAL, "high", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, zeros, NULL));
  REFUSED(DIFFEO_EINVAL, "low", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOG, NULL, 0, NULL, ones));
  REFUSED(DIFFEO_EINVAL, "low", D.spec_add_domain(spec, DIFFEO_DOMAIN_SOFTPLUS, NULL, 0, NULL, ones));
  for (int i = 0; i < COUNT(wild); i++) {
    const double end[DIM] = {0.5, wild[i], 0.5}, most[DIM] = {1, 1.7e308, 1}, least[DIM] = {0, -1.7e308, 0};
    if (wild[i] == -1 || wild[i] == 1e300) {
      REFUSED(DIFFEO_EINVAL, "1.7e+308", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, least, most));
    } else {
      REFUSED(DIFFEO_EINVAL, "column 1", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOG, NULL, 0, end, NULL));
      REFUSED(DIFFEO_EINVAL, "column 1", D.spec_add_domain(spec, DIFFEO_DOMAIN_SOFTPLUS, NULL, 0, end, NULL));
    }
    if (wild[i] != 1e300) REFUSED(DIFFEO_EINVAL, "column 1", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, zeros, end));
    if (wild[i] != -1) REFUSED(DIFFEO_EINVAL, "column 1", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, end, ones));
  }
  REFUSED(DIFFEO_EINVAL, "column 0", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, ones, ones));

  /* what is still to come in this version, and orders of MADE */
  FIELD(diffeo_made_options, D.made_options_init, order, DIFFEO_ORDER_GIVEN, DIFFEO_EINVAL, "order_given",
        D.spec_set_base_made(spec, &o));
  for (int i = 0; i < COUNT(far); i++) {
    FIELD(diffeo_made_options, D.made_options_init, masks, far[i], DIFFEO_EINVAL, "", D.spec_set_base_made(spec, &o));
    FIELD(diffeo_made_options, D.made_options_init, components, (o.conditional = DIFFEO_MADE_MIXTURE, far[i]), DIFFEO_EINVAL,
          "", D.spec_set_base_made(spec, &o));
    NAMED(made, transforms, (o.standardize = 0, far[i] == 0 ? -1 : far[i]), "");
  }

  /* ends that the flow's type cannot tell apart, or hold */
  static const struct {
    double low, high;
  } narrow[] = {{1, 1 + 1e-12}, {0, 1e300}, {-1e300, 0}, {-3e38, 3e38}};
  for (int i = 0; i < COUNT(narrow); i++) {
    diffeo_base_options b;
    CHECK_OK(D.base_options_init(&b, sizeof b));
    b.base = DIFFEO_BASE_UNIFORM, b.low = narrow[i].low, b.high = narrow[i].high;
    const double low[DIM] = {b.low, b.low, b.low}, high[DIM] = {b.high, b.high, b.high};
    for (int what = 0; what < (i < 3 ? 4 : 3); what++) { /* a domain of 6e38 is fine: it computes in double precision */
      diffeo_spec *odd = NULL;
      CHECK_OK(D.spec_create(DIM, 0, DIFFEO_F32, &odd));
      diffeo_status status = what == 0   ? D.spec_set_base(odd, &b)
                             : what == 1 ? D.spec_add_wrap(odd, b.low, b.high, 1, 3)
                             : what == 2 ? D.spec_add_wrap_columns(odd, NULL, 0, low, high, 1, 3)
                                         : D.spec_add_domain(odd, DIFFEO_DOMAIN_LOGIT, NULL, 0, low, high);
      CHECK(status == DIFFEO_OK, "%d of %d: %s", what, i, D.last_error());
      ISOLATED("ends that float32 does not have") {
        diffeo_flow *built = NULL;
        status = D.flow_create(odd, 0, &built);
        CHECK((status == DIFFEO_EINVAL || status == DIFFEO_ENUMERIC) && built == NULL, "%d of %d is %s", what, i,
              D.status_name(status));
      }
      D.spec_destroy(odd);
    }
  }
}

/* Layers of some columns: which they are, and what belongs to each. */
static void some_columns(void) {
  static const struct {
    int64_t columns[3], count;
    const char *says;
  } wrong[] = {{{0, 3}, 2, "columns[1] is 3"}, {{-1, 2}, 2, "columns[0] is -1"}, {{1, 1}, 2, "columns[1] is 1, after 1"},
               {{2, 0}, 2, "columns[1] is 0, after 2"}, {{0, 1, 2}, 4, "4"}, {{0}, -1, "-1"}, {{0}, 0, "no entries"}};
  const double low[] = {-1, 0, 1, 2}, high[] = {1, 2, 3, 4};
  const int64_t levels[] = {2, 0, 1 << 24, 2}, first[] = {0, 2};
  diffeo_spec *spec = NULL;
  CHECK_OK(D.spec_create(DIM, 0, DIFFEO_F64, &spec));
  for (int i = 0; i < COUNT(wrong); i++) {
    const int64_t *at = wrong[i].columns, count = wrong[i].count;
    REFUSED(DIFFEO_EINVAL, wrong[i].says, D.spec_add_wrap_columns(spec, at, count, low, high, 0, 0));
    REFUSED(DIFFEO_EINVAL, wrong[i].says, D.spec_add_dequantize_columns(spec, at, count, levels));
    REFUSED(DIFFEO_EINVAL, wrong[i].says, D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, at, count, low, high));
  }
  REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_wrap_columns(spec, NULL, 2, low, high, 0, 0));
  REFUSED(DIFFEO_EINVAL, "columns", D.spec_add_dequantize_columns(spec, NULL, 2, levels));
  REFUSED(DIFFEO_EINVAL, "low", D.spec_add_wrap_columns(spec, first, 2, NULL, high, 0, 0));
  REFUSED(DIFFEO_EINVAL, "high", D.spec_add_wrap_columns(spec, first, 2, low, NULL, 0, 0));
  REFUSED(DIFFEO_EINVAL, "levels", D.spec_add_dequantize_columns(spec, first, 2, NULL));
  REFUSED(DIFFEO_EINVAL, "random_shift", D.spec_add_wrap_columns(spec, first, 2, low, high, 2, 0));
  static const double ends[] = {NAN, INFINITY, -INFINITY, 1, 3};
  for (int i = 0; i < COUNT(ends); i++) {
    const double one[] = {0, ends[i]}, other[] = {1, 1};
    REFUSED(DIFFEO_EINVAL, "column 2", D.spec_add_wrap_columns(spec, first, 2, one, other, 0, 0));
  }
  const int64_t few[] = {2, 1}, many[] = {2, (1 << 24) + 1}, negative[] = {2, -3};
  REFUSED(DIFFEO_EINVAL, "levels of column 2 is 1", D.spec_add_dequantize_columns(spec, first, 2, few));
  REFUSED(DIFFEO_EINVAL, "levels of column 2 is 16777217", D.spec_add_dequantize_columns(spec, first, 2, many));
  REFUSED(DIFFEO_EINVAL, "levels of column 2 is -3", D.spec_add_dequantize_columns(spec, first, 2, negative));
  /* A wrapped column under a base on the whole line. */
  CHECK_OK(D.spec_add_wrap_columns(spec, first + 1, 1, low, high, 0, 0));
  diffeo_flow *built = NULL;
  REFUSED(DIFFEO_EINVAL, "column 2", D.flow_create(spec, 0, &built));
  D.spec_destroy(spec);
}

/* As large and as extreme as promised: built, and used. */
static void large(void) {
  static const int64_t one[] = {1};
#define USED(dim, name, add)                                                                                     \
  ISOLATED(name) {                                                                                               \
    diffeo_spec *spec = NULL;                                                                                    \
    diffeo_flow *built = NULL;                                                                                   \
    float *x = calloc(2 * (dim), sizeof *x), *z = calloc(2 * (dim), sizeof *x), *y = calloc(2 * (dim), sizeof *x), l[2]; \
    for (int64_t i = 0; i < 2 * (dim); i++) x[i] = (float)(0.25 + 0.5 * (double)(i % 97) / 97);                  \
    CHECK_OK(D.spec_create(dim, 0, DIFFEO_F32, &spec));                                                          \
    CHECK_OK(add);                                                                                               \
    CHECK_OK(D.flow_create(spec, 1, &built));                                                                    \
    CHECK_OK(D.flow_log_prob_gradient_f32(built, x, 2, NULL, 0, NULL, l, z, NULL));                              \
    CHECK(isfinite(l[0]) && isfinite(z[0]), "%s: log_prob is %g", name, l[0]);                                   \
    CHECK_OK(D.flow_to_noise_f32(built, x, 2, NULL, 0, NULL, z, l));                                             \
    CHECK_OK(D.flow_from_noise_f32(built, z, 2, NULL, 0, NULL, y, l));                                           \
    double far = 0;                                                                                              \
    for (int64_t i = 0; i < 2 * (dim); i++) far = fmax(far, isfinite(y[i]) ? fabs(y[i] - x[i]) : INFINITY);      \
    CHECK(far < 1e-2, "%s: there and back is off by %g", name, far);                                             \
    CHECK_OK(D.flow_sample_f32(built, 1, 0, 2, NULL, 0, NULL, y, l));                                            \
    D.flow_destroy(built);                                                                                       \
    D.spec_destroy(spec);                                                                                        \
    free(x), free(y), free(z);                                                                                   \
  }
  diffeo_autoregressive_options a;
  diffeo_spline_options s;
  diffeo_mixture_options m;
  diffeo_base_options b;
  CHECK_OK(D.autoregressive_options_init(&a, sizeof a));
  CHECK_OK(D.spline_options_init(&s, sizeof s));
  CHECK_OK(D.mixture_options_init(&m, sizeof m));
  CHECK_OK(D.base_options_init(&b, sizeof b));
  diffeo_network_options n;
  diffeo_map_options map;
  CHECK_OK(D.network_options_init(&n, sizeof n));
  CHECK_OK(D.map_options_init(&map, sizeof map));
  n.hidden = one, n.hidden_count = 1, map.map = DIFFEO_MAP_SPLINE, map.spline = &s, a.network = &n, a.map = &map;
  s.bins = 64, s.min_width = s.min_height = 1.0 / 64 - 1e-6, s.min_derivative = 1 - 1e-6;
  USED(3, "64 bins that are all of the box", D.spec_add_autoregressive(spec, &a));
  s.bins = 2, s.min_width = s.min_height = s.min_derivative = 1e-6, s.low = -1e6, s.high = 1e6;
  USED(3, "the widest box", D.spec_add_autoregressive(spec, &a));
  s.min_width = s.min_height = s.min_derivative = 0, s.low = -4, s.high = 4;
  USED(3, "no minima", D.spec_add_autoregressive(spec, &a));
  s.min_lambda = 1e-3, map.map = DIFFEO_MAP_LINEAR_SPLINE;
  USED(3, "no minima of linear pieces", D.spec_add_autoregressive(spec, &a));
  map.map = DIFFEO_MAP_SPLINE;
  CHECK_OK(D.spline_options_init(&s, sizeof s));
  USED(2000, "splines of many columns", D.spec_add_autoregressive(spec, &a));
  map.map = DIFFEO_MAP_MIXTURE, map.spline = NULL, map.mixture = &m, m.components = 64, m.scale_bound = 20;
  USED(3, "64 components", D.spec_add_autoregressive(spec, &a));
  m.scale_bound = 1e-3;
  USED(3, "components of one scale", D.spec_add_autoregressive(spec, &a));
  m.scale = DIFFEO_SCALE_SOFTPLUS, m.scale_epsilon = 1e-9;
  USED(3, "scales down to 1e-9", D.spec_add_autoregressive(spec, &a));
  USED(3, "many reflections", D.spec_add_householder(spec, 349525));
  USED(65536, "reflections of many columns", D.spec_add_householder(spec, 16));
  if (!no_fork) USED(1024, "a large matrix", D.spec_add_lu(spec, 1, 1));
  USED(65536, "planar and radial layers of many columns", (D.spec_add_planar(spec, NULL), D.spec_add_radial(spec, NULL)));
  USED(3, "the finest integers", D.spec_add_dequantize(spec, 1 << 24));
  USED(65536, "batch normalisation of many columns", D.spec_add_batch_norm(spec, 1, 1));
  USED(3, "the least epsilon", D.spec_add_batch_norm(spec, 5e-324, 5e-324));
  USED(65536, "domains of many columns", D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL, NULL, 0, NULL, NULL));
  b.base = DIFFEO_BASE_MIXTURE, b.components = 1024;
  USED(64, "a base of 1024 components", D.spec_set_base(spec, &b));
  b.base = DIFFEO_BASE_STUDENT_T, b.df = 0.1;
  USED(3, "the heaviest tails", D.spec_set_base(spec, &b));
  b.df = 1e8;
  USED(3, "the lightest tails", D.spec_set_base(spec, &b));
  b.base = DIFFEO_BASE_MIXTURE;
  REFUSED(DIFFEO_EINVAL, "65536", wide_base(&b, 65, 1024));
  REFUSED(DIFFEO_EINVAL, "65536", wide_base(&b, 65536, 1024));
  REFUSED(DIFFEO_EINVAL, "65536 x 65536", wide_lu());
}

static void building(void) {
  diffeo_spec *spec = NULL, **s = OUT(0);
  diffeo_flow **f = OUT(0);
  CHECK_OK(D.spec_create(DIM, CONTEXT, DIFFEO_F64, &spec));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_create(2, 0, DIFFEO_F32, NULL));
  static const int64_t dims[] = {0, -1, 65537, INT64_MAX, INT64_MIN};
  for (int i = 0; i < COUNT(dims); i++) {
    char piece[32];
    snprintf(piece, sizeof piece, "%lld", (long long)dims[i]);
    REFUSED(DIFFEO_EINVAL, piece, D.spec_create(dims[i], 0, DIFFEO_F32, s));
    if (dims[i] != 0) REFUSED(DIFFEO_EINVAL, piece, D.spec_create(2, dims[i], DIFFEO_F32, s));
    diffeo_architecture_options o;
    CHECK_OK(D.architecture_options_init(&o, sizeof o));
    o.dim = dims[i];
#define DIM_OF(name) REFUSED(DIFFEO_EINVAL, piece, D.name##_create(&o, f));
    NAMED_FLOWS(DIM_OF)
    DIM_OF(made)
    o.dim = 2, o.context_dim = dims[i];
    if (dims[i] == 0) continue;
    NAMED_FLOWS(DIM_OF)
    DIM_OF(made)
  }
  REFUSED(DIFFEO_EDTYPE, "0", D.spec_create(2, 0, 0, s));
  REFUSED(DIFFEO_EDTYPE, "3", D.spec_create(2, 0, 3, s));
  REFUSED(DIFFEO_EDTYPE, "-2147483648", D.spec_create(2, 0, INT32_MIN, s));
  diffeo_architecture_options two;
  CHECK_OK(D.architecture_options_init(&two, sizeof two));
  two.dim = 2;
#define NULLS_OF(name)                                            \
  REFUSED(DIFFEO_EINVAL, "options", D.name##_create(NULL, f));    \
  REFUSED(DIFFEO_EINVAL, "flow", D.name##_create(&two, NULL));
  NAMED_FLOWS(NULLS_OF)
  NULLS_OF(made)
  REFUSED(DIFFEO_EINVAL, "spec", D.flow_create(NULL, 0, f));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_create(spec, 0, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_autoregressive(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_coupling(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_reverse(NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_random_permutation(NULL, 1));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_actnorm(NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_invert(NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_lu(NULL, 1, 1));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_householder(NULL, 1));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_elementwise_affine(NULL, 1));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_batch_norm(NULL, 1e-5, 0.1));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_planar(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_radial(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_elementwise(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_domain(NULL, DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL, NULL, 0, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_wrap(NULL, -1, 1, 0, 0));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_wrap_columns(NULL, NULL, 0, NULL, NULL, 0, 0));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_dequantize(NULL, 2));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_dequantize_columns(NULL, NULL, 0, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_set_base(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_set_base_made(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_set_standardization(NULL, DIFFEO_STANDARDIZE_ROBUST));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_standardize(NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_standardize_context(NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_set_embedding(NULL, 2, NULL));

  static const int64_t permutations[][DIM] = {{0, 1, 3}, {0, 1, 1}, {-1, 0, 1}, {INT64_MAX, 0, 1}, {INT64_MIN, 1, 2}};
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_permutation(NULL, permutations[0]));
  REFUSED(DIFFEO_EINVAL, "permutation", D.spec_add_permutation(spec, NULL));
  for (int i = 0; i < COUNT(permutations); i++) {
    REFUSED(DIFFEO_EINVAL, "", D.spec_add_permutation(spec, permutations[i]));
    diffeo_autoregressive_options o;
    CHECK_OK(D.autoregressive_options_init(&o, sizeof o));
    o.order = DIFFEO_ORDER_GIVEN;
    REFUSED(DIFFEO_EINVAL, "order_given", D.spec_add_autoregressive(spec, &o));
    o.order_given = permutations[i];
    REFUSED(DIFFEO_EINVAL, "", D.spec_add_autoregressive(spec, &o));
  }

  static const double fine[] = {1, 1, 1}, bad[][DIM] = {{1, 0, 1}, {1, 1, -2}, {NAN, 1, 1}, {1, INFINITY, 1}};
  REFUSED(DIFFEO_EINVAL, "mean", D.spec_add_standardize(spec, NULL, fine));
  REFUSED(DIFFEO_EINVAL, "std", D.spec_add_standardize(spec, fine, NULL));
  REFUSED(DIFFEO_EINVAL, "mean", D.spec_standardize_context(spec, NULL, fine));
  REFUSED(DIFFEO_EINVAL, "std", D.spec_standardize_context(spec, fine, NULL));
  for (int i = 0; i < COUNT(bad); i++) {
    REFUSED(DIFFEO_EINVAL, "", D.spec_add_standardize(spec, fine, bad[i]));
    if (i >= 2) REFUSED(DIFFEO_EINVAL, "", D.spec_add_standardize(spec, bad[i], fine));
    if (i != 1) REFUSED(DIFFEO_EINVAL, "", D.spec_standardize_context(spec, fine, bad[i]));
  }
  diffeo_spec *plain = NULL, *narrow = NULL;
  CHECK_OK(D.spec_create(1, 0, DIFFEO_F32, &narrow));
  CHECK_OK(D.spec_create(DIM, 0, DIFFEO_F32, &plain));
  REFUSED(DIFFEO_EINVAL, "context", D.spec_standardize_context(plain, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "context", D.spec_set_embedding(plain, 2, NULL));
  static const int64_t features[] = {0, -1, 65537, INT64_MAX, INT64_MIN};
  for (int i = 0; i < COUNT(features); i++) REFUSED(DIFFEO_EINVAL, "features", D.spec_set_embedding(spec, features[i], NULL));
  REFUSED(DIFFEO_EINVAL, "1", D.spec_add_coupling(narrow, NULL));
  FIELD(diffeo_architecture_options, D.architecture_options_init, dim, 1, DIFFEO_EINVAL, "1", D.realnvp_create(&o, f));
  CHECK_OK(D.spec_set_embedding(spec, 2, NULL));
  REFUSED(DIFFEO_EINVAL, "already", D.spec_set_embedding(spec, 2, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_set_dtype(NULL, DIFFEO_F32));
  for (int32_t dtype = 3; dtype < 6; dtype++) REFUSED(DIFFEO_EDTYPE, "", D.spec_set_dtype(spec, dtype));
  CHECK_OK(D.spec_standardize_context(spec, fine, fine));
  REFUSED(DIFFEO_EINVAL, "", D.spec_standardize_context(spec, fine, fine));

  /* networks that cannot be */
  static const int64_t widths[][2] = {{0, 5}, {5, 0}, {-1, 5}, {5, INT64_MIN}, {INT64_MAX, 5}, {5, INT64_MAX},
                                      {INT64_MAX, INT64_MAX}, {(int64_t)1 << 32, (int64_t)1 << 32},
                                      {(int64_t)1 << 31, 1}, {46342, 46342}};
  for (int i = 0; i < COUNT(widths); i++) {
#define HIDDEN(pointer, count, words)                                                                                 \
  FIELD(diffeo_network_options, D.network_options_init, hidden_count, (o.hidden = (pointer), count), DIFFEO_EINVAL,   \
        words, autoregressive_network(spec, &o));                                                                     \
  FIELD(diffeo_network_options, D.network_options_init, hidden_count, (o.hidden = (pointer), count), DIFFEO_EINVAL,   \
        words, coupling_network(spec, &o));                                                                           \
  FIELD(diffeo_network_options, D.network_options_init, hidden_count, (o.hidden = (pointer), count), DIFFEO_EINVAL,   \
        words, named_network(D.maf_create, &o));                                                                      \
  FIELD(diffeo_network_options, D.network_options_init, hidden_count, (o.hidden = (pointer), count), DIFFEO_EINVAL,   \
        words, named_network(D.realnvp_create, &o))
    HIDDEN(widths[i], 2, "");
  }
  static const int64_t counts[] = {-1, 17, INT64_MAX, INT64_MIN};
  for (int i = 0; i < COUNT(counts); i++) {
    HIDDEN(widths[0], counts[i], "hidden");
    HIDDEN(NULL, counts[i], "hidden");
    FIELD(diffeo_architecture_options, D.architecture_options_init, transforms, (o.dim = 2, counts[i] | 1 << 20),
          DIFFEO_EINVAL, "", D.maf_create(&o, f));
  }
  HIDDEN(NULL, 2, "hidden");

  /* unknown choices */
  static const double zeros[DIM] = {0}, ones[DIM] = {1, 1, 1};
  static const int32_t choices[] = {0, -1, 15, 100, INT32_MAX, INT32_MIN};
  for (int i = 0; i < COUNT(choices); i++) {
    const int32_t c = choices[i];
    char piece[32];
    snprintf(piece, sizeof piece, "%d", c);
#define AUTOREGRESSIVE(field) FIELD(diffeo_autoregressive_options, D.autoregressive_options_init, field, c, \
                                    DIFFEO_EINVAL, piece, D.spec_add_autoregressive(spec, &o))
#define COUPLING(field) FIELD(diffeo_coupling_options, D.coupling_options_init, field, c, DIFFEO_EINVAL, piece, \
                              D.spec_add_coupling(spec, &o))
#define NETWORK(field, use) FIELD(diffeo_network_options, D.network_options_init, field, c, DIFFEO_EINVAL, piece, use)
#define NETWORKS(field)                                 \
  NETWORK(field, D.spec_add_planar(spec, &o));          \
  NETWORK(field, D.spec_add_radial(spec, &o));          \
  NETWORK(field, autoregressive_network(spec, &o));     \
  NETWORK(field, coupling_network(spec, &o));           \
  NETWORK(field, made_network(spec, &o));               \
  NETWORK(field, named_network(D.maf_create, &o))
#define MAPS(field)                                                                                                \
  FIELD(diffeo_map_options, D.map_options_init, field, c, DIFFEO_EINVAL, piece, autoregressive_map(spec, &o));     \
  FIELD(diffeo_map_options, D.map_options_init, field, c, DIFFEO_EINVAL, piece, coupling_map(spec, &o));           \
  FIELD(diffeo_map_options, D.map_options_init, field, c, DIFFEO_EINVAL, piece, elementwise_map(spec, &o))
#define MADE(field) FIELD(diffeo_made_options, D.made_options_init, field, c, DIFFEO_EINVAL, piece, \
                          D.spec_set_base_made(spec, &o))
#define ARCHITECTURE(field, status) FIELD(diffeo_architecture_options, D.architecture_options_init, field, \
                                          (o.dim = 2, c), status, piece, D.maf_create(&o, f))
    AUTOREGRESSIVE(order);
    AUTOREGRESSIVE(degrees);
    COUPLING(mask);
    NETWORKS(activation);
    NETWORKS(blocks);
    NETWORKS(context_mode);
    MAPS(map);
    MAPS(scale);
    ARCHITECTURE(dtype, DIFFEO_EDTYPE);
    ARCHITECTURE(conditional, DIFFEO_EINVAL);
    FIELD(diffeo_spline_options, D.spline_options_init, boundary, c, DIFFEO_EINVAL, piece, spline(spec, &o));
    FIELD(diffeo_mixture_options, D.mixture_options_init, family, c, DIFFEO_EINVAL, piece, mixture(spec, &o));
    FIELD(diffeo_mixture_options, D.mixture_options_init, target, c, DIFFEO_EINVAL, piece, mixture(spec, &o));
    FIELD(diffeo_mixture_options, D.mixture_options_init, scale, c, DIFFEO_EINVAL, piece, mixture(spec, &o));
    FIELD(diffeo_base_options, D.base_options_init, base, c, DIFFEO_EINVAL, piece, D.spec_set_base(spec, &o));
    MADE(conditional);
    MADE(order);
    MADE(degrees);
    REFUSED(DIFFEO_EINVAL, piece, D.spec_add_domain(spec, c, NULL, 0, zeros, ones));
    if (c == 0) continue;
    REFUSED(DIFFEO_EINVAL, piece, D.spec_add_lu(spec, c, 0));
    REFUSED(DIFFEO_EINVAL, piece, D.spec_add_elementwise_affine(spec, c));
    REFUSED(DIFFEO_EINVAL, piece, D.spec_add_wrap(spec, -1, 1, c, 0));
    FIELD(diffeo_spline_options, D.spline_options_init, derivative, c, DIFFEO_EINVAL, piece, spline(spec, &o));
    FIELD(diffeo_spline_options, D.spline_options_init, encoding, c, DIFFEO_EINVAL, piece, spline(spec, &o));
    FIELD(diffeo_spline_options, D.spline_options_init, half_ends, c, DIFFEO_EINVAL, piece, spline(spec, &o));
    FIELD(diffeo_base_options, D.base_options_init, reserved, c, DIFFEO_EINVAL, piece, D.spec_set_base(spec, &o));
    NETWORKS(normalized);
    MADE(direct);
    ARCHITECTURE(scale, DIFFEO_EINVAL);
    ARCHITECTURE(batch_norm, DIFFEO_EINVAL);
    ARCHITECTURE(periodic, DIFFEO_EINVAL);
    AUTOREGRESSIVE(inverse_map);
    AUTOREGRESSIVE(direct);
    COUPLING(scale_activation);
    ARCHITECTURE(random_order, DIFFEO_EINVAL);
    ARCHITECTURE(standardize, DIFFEO_EINVAL);
    ARCHITECTURE(actnorm, DIFFEO_EINVAL);
  }

  /* blocks that do not fit together, or their network */
#define BLOCKS(target, words, ...)                                                                                   \
  FIELD(diffeo_network_options, D.network_options_init, blocks, (__VA_ARGS__), DIFFEO_EINVAL, words,                 \
        autoregressive_network(target, &o));                                                                         \
  FIELD(diffeo_network_options, D.network_options_init, blocks, (__VA_ARGS__), DIFFEO_EINVAL, words,                 \
        coupling_network(target, &o));                                                                               \
  FIELD(diffeo_network_options, D.network_options_init, blocks, (__VA_ARGS__), DIFFEO_EINVAL, words,                 \
        made_network(target, &o))
  static const int64_t none[] = {1};
  BLOCKS(spec, "hidden layer", o.hidden = none, o.hidden_count = 0, DIFFEO_BLOCKS_RESIDUAL);
  BLOCKS(spec, "hidden layer", o.hidden = none, o.hidden_count = 0, o.context_mode = DIFFEO_CONTEXT_SHIFT,
         DIFFEO_BLOCKS_PLAIN);
  BLOCKS(spec, "normalized", o.normalized = 1, DIFFEO_BLOCKS_PLAIN);
  BLOCKS(spec, "normalized", o.normalized = 1, DIFFEO_BLOCKS_RESIDUAL);
  BLOCKS(spec, "gate", o.context_mode = DIFFEO_CONTEXT_GATE, DIFFEO_BLOCKS_PLAIN);
  BLOCKS(plain, "context", o.context_mode = DIFFEO_CONTEXT_GATE, DIFFEO_BLOCKS_PREACTIVATION);
  BLOCKS(plain, "context", o.context_mode = DIFFEO_CONTEXT_SHIFT, DIFFEO_BLOCKS_PLAIN);
  static const uint8_t nothing[DIM] = {0};
  diffeo_network_options shifted;
  CHECK_OK(D.network_options_init(&shifted, sizeof shifted));
  shifted.context_mode = DIFFEO_CONTEXT_SHIFT;
  FIELD(diffeo_coupling_options, D.coupling_options_init, network,
        (o.mask = DIFFEO_MASK_GIVEN, o.mask_given = nothing, &shifted), DIFFEO_EINVAL, "columns",
        D.spec_add_coupling(spec, &o));
  /* what reads nothing but the context has it as its inputs */
  REFUSED(DIFFEO_EINVAL, "context_mode", D.spec_add_planar(spec, &shifted));
  FIELD(diffeo_base_options, D.base_options_init, network, (o.base = DIFFEO_BASE_NORMAL, &shifted), DIFFEO_EINVAL,
        "context_mode", D.spec_set_base(spec, &o));

  static const double bounds[] = {0, -1, NAN, INFINITY};
  for (int i = 0; i < COUNT(bounds); i++) {
    const double b = bounds[i];
    FIELD(diffeo_map_options, D.map_options_init, scale_bound, b, DIFFEO_EINVAL, "scale_bound", autoregressive_map(spec, &o));
    FIELD(diffeo_map_options, D.map_options_init, scale_bound, b, DIFFEO_EINVAL, "scale_bound", coupling_map(spec, &o));
    if (b != 0)
      FIELD(diffeo_map_options, D.map_options_init, scale_epsilon, (o.scale = DIFFEO_SCALE_SIGMOID, b), DIFFEO_EINVAL,
            "scale_epsilon", coupling_map(spec, &o));
  }
  static const double probabilities[] = {1, -0.1, NAN, INFINITY, -INFINITY};
  for (int i = 0; i < COUNT(probabilities); i++) {
    const double c = probabilities[i];
    const char *piece = "0 or more, below 1";
    NETWORKS(dropout);
  }
  static const uint8_t mask[] = {1, 2, 0};
  FIELD(diffeo_coupling_options, D.coupling_options_init, mask, DIFFEO_MASK_GIVEN, DIFFEO_EINVAL, "mask_given",
        D.spec_add_coupling(spec, &o));
  FIELD(diffeo_coupling_options, D.coupling_options_init, mask_given, (o.mask = DIFFEO_MASK_GIVEN, mask),
        DIFFEO_EINVAL, "2", D.spec_add_coupling(spec, &o));

  numbers(spec, plain);

  /* After all of that the spec is as it was. */
  ISOLATED("failed additions leave the spec") {
    diffeo_flow *built = NULL;
    CHECK_OK(D.flow_create(spec, 0, &built));
    CHECK(D.flow_layer_count(built) == 0, "%lld layers", (long long)D.flow_layer_count(built));
    double x[DIM] = {0}, y = 1;
    double c[CONTEXT] = {0};
    CHECK_OK(D.flow_log_prob_f64(built, x, 1, c, 1, NULL, &y));
    CHECK(fabs(y + 0.5 * DIM * 1.8378770664093454836) < 1e-12, "a flow of no layers has log_prob %g at 0", y);
    D.flow_destroy(built);
  }
  REFUSED(DIFFEO_ESTATE, "no layer", D.spec_invert(spec));
  some_columns();
  large();
  ISOLATED("65536 columns") {
    static const int64_t one[] = {1};
    diffeo_architecture_options o;
    diffeo_network_options n;
    diffeo_flow *wide = NULL;
    CHECK_OK(D.architecture_options_init(&o, sizeof o));
    CHECK_OK(D.network_options_init(&n, sizeof n));
    n.hidden = one, n.hidden_count = 1;
    o.dim = o.context_dim = 65536, o.network = &n, o.transforms = 1;
    float *x = calloc(65536, sizeof *x), y;
    CHECK_OK(D.maf_create(&o, &wide));
    CHECK_OK(D.flow_log_prob_f32(wide, x, 1, x, 1, NULL, &y));
    CHECK(isfinite(y), "%g", y);
    free(x);
    D.flow_destroy(wide);
  }
  D.spec_destroy(spec), D.spec_destroy(plain), D.spec_destroy(narrow);
}

/* Pullbacks: every pointer may be missing that need not be there, and nothing else. */
static void gradients(void) {
  double x[2 * DIM] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, c[2 * CONTEXT] = {0}, g[2 * DIM] = {1, 2, 3, 4, 5, 6};
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_log_prob_vjp_f64(NULL, x, 2, NULL, 0, g, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "x", D.flow_log_prob_vjp_f64(flow, NULL, 2, NULL, 0, g, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "z", D.flow_from_noise_vjp_f64(flow, NULL, 2, NULL, 0, g, g, NULL, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "-1", D.flow_to_noise_vjp_f64(flow, x, -1, NULL, 0, g, g, NULL, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "", D.flow_sample_vjp_f64(flow, 1, 0, INT64_MAX, NULL, 0, g, g, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_ESHAPE, "context", D.flow_sample_vjp_f64(flow, 1, 0, 2, c, 2, g, g, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_ESHAPE, "context", D.flow_log_prob_vjp_f64(conditional, x, 2, NULL, 0, g, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_levels(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "levels", D.flow_levels(flow, NULL));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_trained_parameters(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "trained", D.flow_trained_parameters(flow, NULL));
  ISOLATED("pullbacks of nothing, for nothing") {
    CHECK_OK(D.flow_log_prob_vjp_f64(flow, x, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL));
    CHECK_OK(D.flow_log_prob_vjp_f64(flow, x, 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL));
    CHECK_OK(D.flow_to_noise_vjp_f64(flow, x, 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    CHECK_OK(D.flow_from_noise_vjp_f64(flow, x, 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    CHECK_OK(D.flow_sample_vjp_f64(flow, 1, 0, 2, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
  }
  ISOLATED("cotangents of every kind") {
    static const double wild[] = {0, 1e308, INFINITY, NAN};
    const int64_t count = D.flow_parameter_count(conditional);
    double *gradient = calloc((size_t)count, sizeof *gradient), gx[2 * DIM], gc[2 * CONTEXT];
    for (int i = 0; i < COUNT(wild); i++) {
      const double far[2 * DIM] = {wild[i], -wild[i], wild[i], 0, 1, wild[i]};
      CHECK_OK(D.flow_log_prob_vjp_f64(conditional, far, 2, c, 2, far, NULL, NULL, gx, gc, gradient));
      CHECK_OK(D.flow_to_noise_vjp_f64(conditional, far, 2, c, 1, far, far, NULL, NULL, NULL, gx, gc, gradient));
      CHECK_OK(D.flow_from_noise_vjp_f64(conditional, far, 2, c, 2, far, far, NULL, NULL, NULL, gx, gc, gradient));
      CHECK_OK(D.flow_sample_vjp_f64(conditional, 1, UINT64_MAX - 1, 2, c, 2, far, far, NULL, NULL, NULL, gc, gradient));
    }
    free(gradient);
  }
  REFUSED(DIFFEO_EINVAL, "first_row",
          D.flow_sample_vjp_f64(flow, 1, UINT64_MAX, 2, NULL, 0, NULL, NULL, NULL, OUT(2), NULL, NULL, NULL));
  ISOLATED("samples without a derivative") {
    diffeo_architecture_options o;
    diffeo_flow *binary = NULL;
    CHECK_OK(D.architecture_options_init(&o, sizeof o));
    o.dim = DIM, o.conditional = DIFFEO_MADE_BERNOULLI;
    CHECK_OK(D.made_create(&o, &binary));
    CHECK_STATUS(D.flow_sample_vjp_f64(binary, 1, 0, 2, NULL, 0, g, NULL, NULL, NULL, NULL, NULL, NULL), DIFFEO_EUNSUPPORTED);
    CHECK(strstr(D.last_error(), "bernoulli") != NULL, "%s", D.last_error());
    D.flow_destroy(binary);
  }
}

/* Training to a target: its options, what the target gives, and in which order the functions are called. */
static void targets(void) {
  double context[CONTEXT] = {0};
#define VI(field, value, piece) FIELD(diffeo_vi_options, D.vi_options_init, field, value, DIFFEO_EINVAL, piece, \
                                      D.vi_create_f64(flow, &o, half_f64, NULL, NULL, 0, OUT(0)))
  VI(steps, -1, "steps is -1");
  VI(steps, INT64_MIN, "steps is -9223372036854775808");
  VI(batch_size, 0, "batch_size is 0");
  VI(window, 0, "window is 0");
  VI(patience, -1, "patience is -1");
  VI(estimator, 0, "estimator is 0");
  VI(estimator, 5, "estimator is 5");
  VI(draws, 0, "draws is 0");
  VI(draws, (o.estimator = DIFFEO_ESTIMATOR_IMPORTANCE, 7), "256 and draws 7");
  VI(tempering, 0, "tempering is 0");
  VI(tempering, 1.5, "tempering is 1.5");
  VI(tempering, NAN, "tempering is");
  VI(tempering_steps, -1, "tempering_steps is -1");
  diffeo_train_options train;
  CHECK_OK(D.train_options_init(&train, sizeof train));
  train.learning_rate = 0;
  VI(train, &train, "learning_rate is 0");
  train.struct_size = 0;
  VI(train, &train, "struct_size is 0");
  /* More than memory holds. */
  ISOLATED("batches beyond memory") {
    static const int64_t far[] = {INT64_MAX, INT64_MAX / 16, (int64_t)1 << 50};
    for (int i = 0; i < 2 * COUNT(far); i++) {
      diffeo_vi_options o;
      diffeo_vi *none = NULL;
      CHECK_OK(D.vi_options_init(&o, sizeof o));
      *(i < COUNT(far) ? &o.batch_size : &o.window) = far[i % COUNT(far)];
      const diffeo_status status = D.vi_create_f64(flow, &o, half_f64, NULL, NULL, 0, &none);
      CHECK(status == DIFFEO_EINVAL && none == NULL, "%d is %s", i, D.status_name(status));
      D.vi_destroy(none);
    }
  }
  REFUSED(DIFFEO_EINVAL, "target", D.vi_create_f64(flow, NULL, NULL, NULL, NULL, 0, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "flow", D.vi_create_f64(NULL, NULL, half_f64, NULL, NULL, 0, OUT(0)));
  REFUSED(DIFFEO_ESHAPE, "n_context", D.vi_create_f64(conditional, NULL, half_f64, NULL, NULL, 0, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "context", D.vi_create_f64(conditional, NULL, half_f64, NULL, NULL, 3, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "-1", D.vi_create_f64(flow, NULL, half_f64, NULL, NULL, -1, OUT(0)));
  REFUSED(DIFFEO_ESHAPE, "no context", D.vi_create_f64(flow, NULL, half_f64, NULL, context, 1, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_step(NULL, 1, NULL));
  diffeo_variational_report report = {.struct_size = sizeof report};
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_step_given_f32(NULL, NULL, NULL, &report));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_step_given_f64(NULL, context, NULL, &report));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_report(NULL, &report));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_set_learning_rate(NULL, 1));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_set_workspace(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_save(NULL, "x.h5"));
  REFUSED(DIFFEO_EINVAL, "vi", D.vi_load(NULL, "x.h5"));
  ISOLATED("a target that stops, and one that is nowhere finite") {
    int left = 5;
    double wild[] = {NAN, INFINITY, -INFINITY};
    diffeo_vi_options o;
    diffeo_vi *vi = NULL;
    diffeo_flow *best = NULL;
    CHECK_OK(D.vi_options_init(&o, sizeof o));
    o.window = 3, o.steps = 30, o.batch_size = 7;
    CHECK_OK(D.vi_create_f64(flow, &o, stopping_f64, &left, NULL, 0, &vi));
    CHECK_OK(D.vi_step(vi, 0, &report));
    CHECK(report.steps == 3 && report.windows == 1 && report.total_steps == 30, "%lld", (long long)report.steps);
    CHECK_STATUS(D.vi_step(vi, 0, &report), DIFFEO_ECANCELLED);
    CHECK(strstr(D.last_error(), "42") != NULL && report.steps == 4, "%s", D.last_error());
    CHECK_OK(D.vi_best(vi, &best));
    D.flow_destroy(best);
    for (int i = 0; i < 2; i++) {
      report.struct_size = i;
      CHECK_STATUS(D.vi_step(vi, 0, &report), DIFFEO_EINVAL);
      CHECK_STATUS(D.vi_report(vi, &report), DIFFEO_EINVAL);
    }
    report.struct_size = sizeof report;
    CHECK_STATUS(D.vi_report(vi, NULL), DIFFEO_EINVAL);
    CHECK_STATUS(D.vi_step_given_f64(vi, context, NULL, &report), DIFFEO_EINVAL); /* no context */
    CHECK_STATUS(D.vi_step_given_f64(vi, NULL, NULL, &report), DIFFEO_EINVAL);
    CHECK_STATUS(D.vi_save(vi, NULL), DIFFEO_EINVAL);
    CHECK_STATUS(D.vi_save(vi, "/nowhere/x.h5"), DIFFEO_EIO);
    CHECK_STATUS(D.vi_load(vi, "/nowhere/x.h5"), DIFFEO_EIO);
    CHECK_STATUS(D.vi_set_learning_rate(vi, NAN), DIFFEO_EINVAL);
    CHECK_STATUS(D.vi_best(vi, NULL), DIFFEO_EINVAL);
    D.vi_cancel(vi);
    CHECK_STATUS(D.vi_step(vi, INT64_MIN, &report), DIFFEO_ECANCELLED);
    CHECK(D.vi_finished(vi) == 1 && report.state == DIFFEO_TRAIN_CANCELLED, "%d", report.state);
    D.vi_destroy(vi);
    for (int i = 0; i < COUNT(wild); i++) {
      for (int32_t e = DIFFEO_ESTIMATOR_REVERSE_KL; e <= DIFFEO_ESTIMATOR_MASS_COVERING; e++) {
        o.estimator = e, o.batch_size = 16;
        CHECK_OK(D.vi_create_f64(flow, &o, wild_f64, &wild[i], NULL, 0, &vi));
        CHECK_STATUS(D.vi_step(vi, 0, &report), DIFFEO_ENUMERIC);
        CHECK_OK(D.vi_best(vi, &best));
        D.flow_destroy(best), D.vi_destroy(vi);
      }
    }
  }
}

static void optimizers(void) {
  const int64_t count = D.flow_parameter_count(flow);
  double *gradient = calloc((size_t)count, sizeof *gradient);
  diffeo_train_report report = {.struct_size = sizeof report};
  diffeo_train_options o;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_create(flow, NULL, 1, NULL));
  static const int64_t far[] = {-1, INT64_MIN};
  for (int i = 0; i < COUNT(far); i++) REFUSED(DIFFEO_EINVAL, "total_steps", D.optimizer_create(flow, &o, far[i], OUT(0)));
  for (int32_t schedule = DIFFEO_SCHEDULE_EXPONENTIAL; schedule <= DIFFEO_SCHEDULE_PLATEAU; schedule++) {
    o.schedule = schedule;
    REFUSED(DIFFEO_EINVAL, "epochs", D.optimizer_create(flow, &o, 1, OUT(0)));
  }
  o.schedule = DIFFEO_SCHEDULE_COSINE;
  REFUSED(DIFFEO_EINVAL, "total_steps is 0", D.optimizer_create(flow, &o, 0, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_step_f64(NULL, gradient, &report));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_step_f32(NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_report(NULL, &report));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_set_learning_rate(NULL, 1));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_set_workspace(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_save(NULL, "x.h5"));
  REFUSED(DIFFEO_EINVAL, "optimizer", D.optimizer_load(NULL, "x.h5"));
  ISOLATED("an optimizer of bad gradients") {
    diffeo_optimizer *optimizer = NULL, *other = NULL;
    diffeo_flow *now = NULL;
    char path[1024];
    snprintf(path, sizeof path, "%s/optimizer.h5", folder);
    CHECK_OK(D.optimizer_create(flow, &o, INT64_MAX, &other));
    CHECK_OK(D.optimizer_create(flow, &o, 1, &optimizer));
    CHECK_OK(D.optimizer_save(optimizer, path));
    CHECK_STATUS(D.optimizer_load(other, path), DIFFEO_EINVAL); /* another total_steps */
    D.optimizer_destroy(other);
    CHECK_STATUS(D.optimizer_step_f64(optimizer, NULL, &report), DIFFEO_EINVAL);
    CHECK_STATUS(D.optimizer_step_f32(optimizer, NULL, &report), DIFFEO_EINVAL);
    CHECK_STATUS(D.optimizer_set_learning_rate(optimizer, -1), DIFFEO_EINVAL);
    CHECK_STATUS(D.optimizer_set_learning_rate(optimizer, INFINITY), DIFFEO_EINVAL);
    CHECK_STATUS(D.optimizer_average(optimizer, &now), DIFFEO_ESTATE);
    CHECK_STATUS(D.optimizer_report(optimizer, NULL), DIFFEO_EINVAL);
    CHECK_STATUS(D.optimizer_load(optimizer, "/nowhere/x.h5"), DIFFEO_EIO);
    CHECK_STATUS(D.optimizer_save(optimizer, "/nowhere/x.h5"), DIFFEO_EIO);
    CHECK_OK(D.flow_save(flow, path));
    CHECK(D.optimizer_load(optimizer, path) != DIFFEO_OK, "a flow without a training is taken for a checkpoint");
    const double wild[] = {INFINITY, NAN, -1e308, 1e300, 0};
    CHECK_OK(D.optimizer_set_learning_rate(optimizer, 1e300));
    for (int i = 0; i < COUNT(wild); i++) {
      for (int64_t k = 0; k < count; k++) gradient[k] = wild[i];
      CHECK_OK(D.optimizer_step_f64(optimizer, gradient, &report));
    }
    CHECK(report.steps == COUNT(wild) && report.skipped_steps >= 2, "%d", (int)report.skipped_steps);
    const diffeo_status status = D.optimizer_current(optimizer, &now); /* what is left of the weights */
    CHECK(status == DIFFEO_OK || status == DIFFEO_ENUMERIC, "%s", D.status_name(status));
    D.flow_destroy(now);
    D.optimizer_destroy(optimizer);
    remove(path);
  }
  free(gradient);
}

/* Rows that a function gives, or does not: count of the calls, and the one that fails. */
typedef struct {
  int calls, fails, puts_nan, never_same;
} reading_state;
static int give_f64(void *user, int64_t first, int64_t count, double *x, double *context, double *weights) {
  reading_state *state = user;
  CHECK(is_at_home(), "read runs in another floating-point environment");
  if (++state->calls == state->fails) return -7;
  for (int64_t r = 0; r < count; r++) {
    uint64_t seed = (uint64_t)(first + r) + (state->never_same ? (uint64_t)state->calls : 0);
    for (int j = 0; x && j < DIM; j++) x[r * DIM + j] = uniform(&seed);
    for (int j = 0; context && j < CONTEXT; j++) context[r * CONTEXT + j] = uniform(&seed);
    if (weights) weights[r] = 1 + uniform(&seed);
    if (state->puts_nan && first + r == 4321) x[r * DIM + 1] = NAN;
  }
  return 0;
}
static int give_f32(void *user, int64_t first, int64_t count, float *x, float *context, float *weights) {
  double *rows = malloc((size_t)count * (DIM + CONTEXT + 1) * sizeof *rows), *c = rows + count * DIM, *w = c + count * CONTEXT;
  const int status = give_f64(user, first, count, x ? rows : NULL, context ? c : NULL, weights ? w : NULL);
  for (int64_t i = 0; status == 0 && i < count * DIM && x; i++) x[i] = (float)rows[i];
  for (int64_t i = 0; status == 0 && i < count * CONTEXT && context; i++) context[i] = (float)c[i];
  for (int64_t i = 0; status == 0 && i < count && weights; i++) weights[i] = (float)w[i];
  free(rows);
  return status;
}

static void reading(void) {
  enum { ROWS = 6000 };
  reading_state state = {0};
  diffeo_rows *rows = NULL, *floats = NULL, *weighted = NULL, *context = NULL, *one = NULL, *none = NULL;
  void *o = OUT(0);
  char path[1024];
  snprintf(path, sizeof path, "%s/rows.h5", folder);
  REFUSED(DIFFEO_EINVAL, "read", D.rows_create_f32(9, 1, 0, 0, NULL, NULL, o));
  REFUSED(DIFFEO_EINVAL, "read", D.rows_create_f64(9, 1, 0, 0, NULL, NULL, o));
  REFUSED(DIFFEO_EINVAL, "rows", D.rows_create_f32(9, 1, 0, 0, give_f32, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "rows", D.rows_create_f64(9, 1, 0, 0, give_f64, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "weighted", D.rows_create_f64(9, 1, 0, 2, give_f64, NULL, o));
  REFUSED(DIFFEO_EINVAL, "without columns", D.rows_create_f64(9, 0, 0, 0, give_f64, NULL, o));
  static const int64_t far[] = {-1, INT64_MIN, INT64_MAX};
  for (int i = 0; i < COUNT(far); i++) {
    REFUSED(DIFFEO_EINVAL, "", D.rows_create_f64(far[i], DIM, 0, 0, give_f64, NULL, o));
    REFUSED(DIFFEO_EINVAL, "dim", D.rows_create_f64(9, far[i], 0, 0, give_f64, NULL, o));
    REFUSED(DIFFEO_EINVAL, "context_dim", D.rows_create_f64(9, 1, far[i], 0, give_f64, NULL, o));
  }
  REFUSED(DIFFEO_EINVAL, "65537", D.rows_create_f64(9, 65537, 0, 0, give_f64, NULL, o));
  REFUSED(DIFFEO_EINVAL, "path", D.rows_open(NULL, "x", NULL, NULL, o));
  REFUSED(DIFFEO_EINVAL, "rows", D.rows_open(path, "x", NULL, NULL, NULL));
  REFUSED(DIFFEO_EIO, "not a regular file", D.rows_open(folder, "x", NULL, NULL, o));
  REFUSED(DIFFEO_EIO, "No such file", D.rows_open("/does/not/exist", "x", NULL, NULL, o));

  CHECK_OK(D.rows_create_f64(ROWS, DIM, 0, 0, give_f64, &state, &rows));
  CHECK_OK(D.rows_create_f32(ROWS, DIM, 0, 0, give_f32, &state, &floats));
  CHECK_OK(D.rows_create_f64(ROWS, DIM, CONTEXT, 1, give_f64, &state, &weighted));
  CHECK_OK(D.rows_create_f32(ROWS, 0, CONTEXT, 0, give_f32, &state, &context));
  CHECK_OK(D.rows_create_f64(1, DIM, 0, 0, give_f64, &state, &one));
  CHECK_OK(D.rows_create_f64(0, DIM, 0, 0, give_f64, &state, &none));
  REFUSED(DIFFEO_EINVAL, "flow", D.trainer_create_rows(NULL, NULL, rows, o));
  REFUSED(DIFFEO_EINVAL, "rows", D.trainer_create_rows(flow, NULL, NULL, o));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_create_rows(flow, NULL, rows, NULL));
  REFUSED(DIFFEO_ESHAPE, "2 of context", D.trainer_create_rows(flow, NULL, weighted, o));
  REFUSED(DIFFEO_ESHAPE, "1 row", D.trainer_create_rows(flow, NULL, one, o));
  REFUSED(DIFFEO_ESHAPE, "0 rows", D.trainer_create_rows(flow, NULL, none, o));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_set_validation_rows(NULL, rows));
  REFUSED(DIFFEO_EINVAL, "rows", D.trainer_set_validation_rows(trainer, NULL));
  REFUSED(DIFFEO_ESHAPE, "2 of context", D.trainer_set_validation_rows(trainer, weighted));
  REFUSED(DIFFEO_ESHAPE, "0 validation rows", D.trainer_set_validation_rows(trainer, none));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_log_prob_file(NULL, rows, NULL, path));
  REFUSED(DIFFEO_EINVAL, "rows", D.flow_log_prob_file(flow, NULL, NULL, path));
  REFUSED(DIFFEO_EINVAL, "path", D.flow_log_prob_file(flow, rows, NULL, NULL));
  REFUSED(DIFFEO_ESHAPE, "3 columns", D.flow_log_prob_file(conditional, rows, NULL, path));
  REFUSED(DIFFEO_EIO, "not a regular file", D.flow_log_prob_file(flow, rows, NULL, folder));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_sample_file(NULL, 1, 0, 9, NULL, NULL, path));
  REFUSED(DIFFEO_EINVAL, "path", D.flow_sample_file(flow, 1, 0, 9, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "-1", D.flow_sample_file(flow, 1, 0, -1, NULL, NULL, path));
  REFUSED(DIFFEO_EINVAL, "9223372036854775807", D.flow_sample_file(flow, 1, 0, INT64_MAX, NULL, NULL, path));
  REFUSED(DIFFEO_ESHAPE, "context", D.flow_sample_file(conditional, 1, 0, 9, NULL, NULL, path));
  REFUSED(DIFFEO_ESHAPE, "context", D.flow_sample_file(flow, 1, 0, 9, context, NULL, path));
  REFUSED(DIFFEO_ESHAPE, "6000 rows", D.flow_sample_file(conditional, 1, 0, 9, context, NULL, path));
  ISOLATED("no rows, and what there is after a failure") {
    CHECK_OK(D.flow_log_prob_file(flow, none, NULL, path));
    CHECK_OK(D.flow_sample_file(conditional, 1, 0, ROWS, context, NULL, path));
    CHECK_OK(D.flow_log_prob_file(flow, floats, NULL, path));
    state.calls = 0, state.fails = 1;
    CHECK_STATUS(D.flow_log_prob_file(flow, rows, NULL, path), DIFFEO_EIO);
    diffeo_rows *again = NULL;
    CHECK_OK(D.rows_open(path, NULL, "log_prob", NULL, &again));
    CHECK(D.rows_count(again) == ROWS && D.rows_context_dim(again) == 1, "%d rows", (int)D.rows_count(again));
    D.rows_destroy(again);
    remove(path);
  }

  /* Each call in turn fails, and one gives what it has not given before. */
  diffeo_train_options options;
  CHECK_OK(D.train_options_init(&options, sizeof options));
  options.max_epochs = 2, options.rows_memory = 0;
  for (int at = 1; at < 2000; at = at * 3 / 2 + 1)
    for (int kind = 0; kind < 3; kind++)
      ISOLATED("rows that fail") {
        diffeo_trainer *t = NULL;
        diffeo_status status = DIFFEO_OK;
        state = (reading_state){.fails = kind < 2 ? at : 0};
        if (kind == 2) state.never_same = 1;
        options.threads = kind == 1 ? 2 : 1;
        status = D.trainer_create_rows(flow, &options, kind == 1 ? floats : rows, &t);
        CHECK((status == DIFFEO_OK) == (t != NULL), "%s", D.status_name(status));
        while (status == DIFFEO_OK && !D.trainer_finished(t)) status = D.trainer_step(t, 1, NULL);
        CHECK(status == (kind < 2 && state.calls < at ? DIFFEO_OK : DIFFEO_EIO), "%d at %d: %s", kind, at,
              D.last_error());
        if (t != NULL) {
          diffeo_flow *best = NULL;
          CHECK_OK(D.trainer_best(t, &best));
          D.flow_destroy(best);
        }
        D.trainer_destroy(t);
      }
  state = (reading_state){.puts_nan = 1};
  REFUSED(DIFFEO_ENUMERIC, "row 4321, column 1", D.trainer_create_rows(flow, &options, rows, o));
  REFUSED(DIFFEO_ENUMERIC, "row 4321, column 1", D.trainer_create_rows(flow, NULL, rows, o));
  state = (reading_state){0};
  ISOLATED("rows that go before their trainer, and weights, and much memory") {
    diffeo_trainer *t = NULL;
    options.rows_memory = INT64_MAX;
    CHECK_OK(D.trainer_create_rows(conditional, &options, weighted, &t));
    D.trainer_destroy(t);
    options.rows_memory = 0;
    CHECK_OK(D.trainer_create_rows(conditional, &options, weighted, &t));
    CHECK_OK(D.trainer_set_validation_rows(t, weighted));
    D.rows_destroy(weighted);
    while (!D.trainer_finished(t)) CHECK_OK(D.trainer_step(t, 0, NULL));
    CHECK_STATUS(D.trainer_set_validation_rows(t, rows), DIFFEO_ESHAPE);
    D.trainer_destroy(t);
    weighted = NULL;
  }
  D.rows_destroy(weighted);
  D.rows_destroy(rows), D.rows_destroy(floats), D.rows_destroy(context), D.rows_destroy(one), D.rows_destroy(none);
}

static void training_options(void) {
  float x[N * DIM];
  uint64_t state = 5;
  for (int i = 0; i < N * DIM; i++) x[i] = (float)uniform(&state);
#define TRAIN(field, value, piece) FIELD(diffeo_train_options, D.train_options_init, field, value, DIFFEO_EINVAL, \
                                         piece, D.trainer_create_f32(flow, &o, x, N, NULL, 0, NULL, OUT(0)))
  TRAIN(batch_size, 0, "batch_size is 0");
  TRAIN(rows_memory, -1, "rows_memory is -1");
  TRAIN(rows_memory, INT64_MIN, "rows_memory is -9223372036854775808");
  TRAIN(batch_size, INT64_MIN, "batch_size is -9223372036854775808");
  TRAIN(max_epochs, -1, "max_epochs is -1");
  TRAIN(patience, -1, "patience is -1");
  TRAIN(learning_rate, 0, "learning_rate is 0");
  TRAIN(learning_rate, NAN, "learning_rate is");
  TRAIN(learning_rate, INFINITY, "learning_rate is");
  TRAIN(beta1, 1, "beta1 is 1");
  TRAIN(beta1, NAN, "beta1 is");
  TRAIN(beta2, -0.5, "beta2 is -0.5");
  TRAIN(epsilon, 0, "epsilon is 0");
  TRAIN(weight_decay, -1, "weight_decay is -1");
  TRAIN(clip_norm, -1, "clip_norm is -1");
  TRAIN(clip_norm, NAN, "clip_norm is");
  TRAIN(validation_fraction, 1, "validation_fraction is 1");
  TRAIN(validation_fraction, NAN, "validation_fraction is");
  TRAIN(schedule, 0, "schedule is 0");
  TRAIN(schedule, 5, "schedule is 5");
  TRAIN(optimizer, 3, "optimizer is 3");
  TRAIN(judge, 0, "judge is 0");
  TRAIN(negative_weights, 2, "negative_weights is 2");
  TRAIN(warmup_steps, -1, "warmup_steps is -1");
  TRAIN(rate_decay, 0, "rate_decay is 0");
  TRAIN(rate_decay, NAN, "rate_decay is");
  TRAIN(plateau_patience, 0, "plateau_patience is 0");
  TRAIN(momentum, 1, "momentum is 1");
  TRAIN(l2, -1, "l2 is -1");
  TRAIN(clip_quantile, 1, "clip_quantile is 1");
  TRAIN(ema_decay, 1, "ema_decay is 1");
  TRAIN(x_noise, INFINITY, "x_noise is");
  TRAIN(threads, 257, "threads is 257");
  TRAIN(threads, -1, "threads is -1");
  TRAIN(image_shift, -1, "image_shift is -1");
  TRAIN(image_shift, 65537, "image_shift is 65537");
  TRAIN(image_flip, 2, "image_flip is 2");
  TRAIN(image_flip, 1, "image_flip are for images");
  TRAIN(image_shift, 1, "image_flip are for images");

  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_step(NULL, 1, NULL));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_best(NULL, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "flow", D.trainer_best(trainer, NULL));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_current(NULL, OUT(0)));
  REFUSED(DIFFEO_EINVAL, "flow", D.trainer_current(trainer, NULL));
  diffeo_train_report report = {.struct_size = sizeof report};
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_report(NULL, &report));
  REFUSED(DIFFEO_EINVAL, "report", D.trainer_report(trainer, NULL));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_save(NULL, "checkpoint.h5"));
  REFUSED(DIFFEO_EINVAL, "path", D.trainer_save(trainer, NULL));
  REFUSED(DIFFEO_EIO, "/nowhere", D.trainer_save(trainer, "/nowhere/checkpoint.h5"));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_load(NULL, "checkpoint.h5"));
  REFUSED(DIFFEO_EINVAL, "path", D.trainer_load(trainer, NULL));
  REFUSED(DIFFEO_EIO, "/nowhere", D.trainer_load(trainer, "/nowhere/checkpoint.h5"));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_set_learning_rate(NULL, 1));
  REFUSED(DIFFEO_EINVAL, "trainer", D.trainer_set_workspace(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "rate is 0", D.trainer_set_learning_rate(trainer, 0));
  REFUSED(DIFFEO_EINVAL, "rate is", D.trainer_set_learning_rate(trainer, NAN));

  /* Large, but right: two steps each. */
#define LARGE(field, value)                                              \
  ISOLATED(#field " " #value) {                                          \
    diffeo_train_options o;                                              \
    diffeo_trainer *t = NULL;                                            \
    diffeo_train_report report = {.struct_size = sizeof report};         \
    CHECK_OK(D.train_options_init(&o, sizeof o));                        \
    o.schedule = DIFFEO_SCHEDULE_COSINE;                                 \
    o.field = (value);                                                   \
    CHECK_OK(D.trainer_create_f32(flow, &o, x, N, NULL, 0, NULL, &t));         \
    CHECK_OK(D.trainer_step(t, INT64_MAX, &report));                     \
    CHECK_OK(D.trainer_step(t, INT64_MIN, &report));                     \
    CHECK_OK(D.trainer_step(t, 1, NULL));                                \
    D.trainer_destroy(t);                                                \
  }
  LARGE(batch_size, INT64_MAX)
  LARGE(max_epochs, INT64_MAX)
  LARGE(max_epochs, 0)
  LARGE(patience, INT64_MAX)
  LARGE(clip_norm, 1e-300)
  LARGE(clip_norm, 0)
  LARGE(warmup_steps, INT64_MAX)
  LARGE(plateau_patience, INT64_MAX)
  LARGE(l2, 1)
  LARGE(x_noise, 10)
  LARGE(ema_decay, 0.9999999)
  LARGE(validation_fraction, 0)
  LARGE(validation_fraction, 0.9999999)
  LARGE(validation_fraction, 1e-300)
  LARGE(weight_decay, 10)
  LARGE(seed, UINT64_MAX)
  LARGE(threads, 256)
  ISOLATED("a learning rate that ruins everything") {
    diffeo_train_options o;
    diffeo_trainer *t = NULL;
    diffeo_flow *best = NULL;
    diffeo_train_report report = {.struct_size = sizeof report};
    CHECK_OK(D.train_options_init(&o, sizeof o));
    o.learning_rate = 1e300, o.max_epochs = 20;
    CHECK_OK(D.trainer_create_f32(flow, &o, x, N, NULL, 0, NULL, &t));
    diffeo_status status = DIFFEO_OK;
    for (int i = 0; i < 30 && status == DIFFEO_OK; i++) status = D.trainer_step(t, 0, &report);
    CHECK(status == DIFFEO_ENUMERIC, "%s", D.status_name(status));
    CHECK(D.trainer_finished(t) == 1, "and it is not finished");
    CHECK_OK(D.trainer_best(t, &best));
    float y[N];
    CHECK_OK(D.flow_log_prob_f32(best, x, N, NULL, 0, NULL, y));
    for (int i = 0; i < N; i++) CHECK(isfinite(y[i]), "the best flow has log_prob %g", y[i]);
    D.flow_destroy(best);
    D.trainer_destroy(t);
  }
}

static diffeo_status image_network(diffeo_spec *spec, const diffeo_convolution_options *options) {
  diffeo_image_coupling_options o;
  CHECK_OK(D.image_coupling_options_init(&o, sizeof o));
  o.network = options;
  return D.spec_add_image_coupling(spec, &o);
}
static diffeo_status image_map(diffeo_spec *spec, const diffeo_map_options *options) {
  diffeo_image_coupling_options o;
  CHECK_OK(D.image_coupling_options_init(&o, sizeof o));
  o.map = options;
  return D.spec_add_image_coupling(spec, &o);
}
static diffeo_status split_network(diffeo_spec *spec, const diffeo_convolution_options *options) {
  diffeo_split_options o;
  CHECK_OK(D.split_options_init(&o, sizeof o));
  o.network = options;
  return D.spec_add_split(spec, &o);
}
static diffeo_status small_image(diffeo_image_options *o, int flow) {
  if (o->channels == 0) o->channels = 1;
  if (o->height == 0) o->height = 4;
  if (o->width == 0) o->width = 4;
  return flow ? D.glow_image_create(o, OUT(0)) : D.realnvp_image_create(o, OUT(0));
}

static void images(void) {
  diffeo_spec *spec = NULL, *odd = NULL, *given = NULL, **s = OUT(0);
  int64_t *map = OUT(0);
  CHECK_OK(D.spec_create_image(2, 4, 6, 0, DIFFEO_F64, &spec));
  CHECK_OK(D.spec_create_image(1, 3, 4, 0, DIFFEO_F64, &odd));
  CHECK_OK(D.spec_create_image(2, 4, 4, CONTEXT, DIFFEO_F64, &given));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_create_image(1, 4, 4, 0, DIFFEO_F32, NULL));
  static const int64_t sizes[] = {0, -1, 65537, INT64_MAX, INT64_MIN};
  for (int i = 0; i < COUNT(sizes); i++) {
    char piece[64];
    snprintf(piece, sizeof piece, "channels is %lld", (long long)sizes[i]);
    REFUSED(DIFFEO_EINVAL, piece, D.spec_create_image(sizes[i], 1, 1, 0, DIFFEO_F32, s));
    snprintf(piece, sizeof piece, "height is %lld", (long long)sizes[i]);
    REFUSED(DIFFEO_EINVAL, piece, D.spec_create_image(1, sizes[i], 1, 0, DIFFEO_F32, s));
    snprintf(piece, sizeof piece, "width is %lld", (long long)sizes[i]);
    REFUSED(DIFFEO_EINVAL, piece, D.spec_create_image(1, 1, sizes[i], 0, DIFFEO_F32, s));
    if (sizes[i] != 0) REFUSED(DIFFEO_EINVAL, piece + 9, D.spec_create_image(1, 1, 1, sizes[i], DIFFEO_F32, s));
  }
  REFUSED(DIFFEO_EINVAL, "281474976710656", D.spec_create_image(65536, 65536, 65536, 0, DIFFEO_F32, s));
  REFUSED(DIFFEO_EINVAL, "at most 65536", D.spec_create_image(257, 16, 16, 0, DIFFEO_F32, s));
  REFUSED(DIFFEO_EDTYPE, "0", D.spec_create_image(1, 4, 4, 0, 0, s));
  REFUSED(DIFFEO_EDTYPE, "3", D.spec_create_image(1, 4, 4, 0, 3, s));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_map(NULL, map));
  REFUSED(DIFFEO_EINVAL, "map", D.spec_map(spec, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_linear(NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_squeeze(NULL, DIFFEO_SQUEEZE_CHANNELS));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_unsqueeze(NULL, DIFFEO_SQUEEZE_CHANNELS));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_image_coupling(NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "spec", D.spec_add_split(NULL, NULL));
  static const int32_t orders[] = {0, 4, -1, INT32_MIN};
  for (int i = 0; i < COUNT(orders); i++) {
    REFUSED(DIFFEO_EINVAL, "order", D.spec_add_squeeze(spec, orders[i]));
    REFUSED(DIFFEO_EINVAL, "order", D.spec_add_unsqueeze(spec, orders[i]));
  }
  REFUSED(DIFFEO_EINVAL, "1 x 3 x 4", D.spec_add_squeeze(odd, DIFFEO_SQUEEZE_CHANNELS));
  REFUSED(DIFFEO_EINVAL, "2 channels", D.spec_add_unsqueeze(spec, DIFFEO_SQUEEZE_CHANNELS));
  REFUSED(DIFFEO_EINVAL, "one channel", D.spec_add_image_coupling(odd, NULL));
  REFUSED(DIFFEO_EINVAL, "one channel", D.spec_add_split(odd, NULL));
  ISOLATED("layers in an order that is wrong") {
    diffeo_spec *other = NULL;
    CHECK_OK(D.spec_create_image(2, 2, 2, 0, DIFFEO_F32, &other));
    CHECK_OK(D.spec_add_squeeze(other, DIFFEO_SQUEEZE_DIAGONALS));
    CHECK_STATUS(D.spec_invert(other), DIFFEO_ESTATE);
    CHECK_STATUS(D.spec_add_squeeze(other, DIFFEO_SQUEEZE_DIAGONALS), DIFFEO_EINVAL);
    for (int i = 0; i < 3; i++) CHECK_OK(D.spec_add_split(other, NULL));
    CHECK_STATUS(D.spec_invert(other), DIFFEO_ESTATE);
    CHECK_STATUS(D.spec_add_split(other, NULL), DIFFEO_EINVAL);
    CHECK_STATUS(D.spec_add_image_coupling(other, NULL), DIFFEO_EINVAL);
    D.spec_destroy(other);
  }
  diffeo_spec *wide = NULL;
  CHECK_OK(D.spec_create(4097, 0, DIFFEO_F32, &wide));
  REFUSED(DIFFEO_EINVAL, "4097", D.spec_add_linear(wide));
  D.spec_destroy(wide);

#define IMAGE_COUPLING(field, value, piece)                                                                              \
  FIELD(diffeo_image_coupling_options, D.image_coupling_options_init, field, value, DIFFEO_EINVAL, piece, \
        D.spec_add_image_coupling(spec, &o))
  IMAGE_COUPLING(mask, 0, "mask is 0");
  IMAGE_COUPLING(mask, 7, "mask is 7");
  IMAGE_COUPLING(mask, INT32_MIN, "mask is -2147483648");
  IMAGE_COUPLING(mask, DIFFEO_IMAGE_MASK_NONE, "nothing is left");
  IMAGE_COUPLING(mask, DIFFEO_IMAGE_MASK_GIVEN, "mask_given");
  static const uint8_t all[] = {1, 1}, strange[] = {0, 2};
  IMAGE_COUPLING(mask_given, (o.mask = DIFFEO_IMAGE_MASK_GIVEN, all), "all 2 channels");
  IMAGE_COUPLING(mask_given, (o.mask = DIFFEO_IMAGE_MASK_GIVEN, strange), "mask_given[1] is 2");
  IMAGE_COUPLING(reserved, 1, "reserved");
#define SPLIT(field, value, piece) \
  FIELD(diffeo_split_options, D.split_options_init, field, value, DIFFEO_EINVAL, piece, D.spec_add_split(spec, &o))
  SPLIT(keep, 0, "keep is 0");
  SPLIT(keep, DIFFEO_IMAGE_MASK_EVEN, "keep is 3");
  SPLIT(prior, 2, "prior is 2");
  static const int64_t two[] = {4, 5}, none[] = {0}, huge[] = {INT64_MAX};
#define CONVOLUTION(field, value, piece)                                                                          \
  FIELD(diffeo_convolution_options, D.convolution_options_init, field, value, DIFFEO_EINVAL, piece, image_network(spec, &o)); \
  FIELD(diffeo_convolution_options, D.convolution_options_init, field, value, DIFFEO_EINVAL, piece, split_network(given, &o))
  CONVOLUTION(hidden_count, 1, "hidden");
  CONVOLUTION(hidden_count, -1, "hidden_count is -1");
  CONVOLUTION(hidden_count, 17, "hidden_count is 17");
  CONVOLUTION(hidden_count, INT64_MIN, "hidden_count is -9223372036854775808");
  CONVOLUTION(hidden, (o.hidden_count = 1, none), "0");
  CONVOLUTION(hidden, (o.hidden_count = 1, huge), "9223372036854775807");
  CONVOLUTION(hidden, (o.hidden_count = 2, o.blocks = DIFFEO_BLOCKS_RESIDUAL, two), "of 4 and 5");
  CONVOLUTION(blocks, (o.hidden = two, DIFFEO_BLOCKS_RESIDUAL), "needs a hidden layer");
  CONVOLUTION(blocks, 4, "blocks is 4");
  CONVOLUTION(activation, 0, "activation is 0");
  CONVOLUTION(kernel_first, 2, "kernel_first is 2");
  CONVOLUTION(kernel_hidden, -1, "kernel_hidden is -1");
  CONVOLUTION(kernel_last, 17, "kernel_last is 17");
  CONVOLUTION(kernel_last, INT64_MIN, "kernel_last is -9223372036854775808");
  CONVOLUTION(gain, 2, "gain is 2");
  CONVOLUTION(ones_outside, -1, "ones_outside is -1");
  FIELD(diffeo_map_options, D.map_options_init, scale_bound, -1, DIFFEO_EINVAL, "scale_bound", image_map(spec, &o));
  diffeo_spline_options periodic;
  CHECK_OK(D.spline_options_init(&periodic, sizeof periodic));
  periodic.boundary = DIFFEO_BOUNDARY_PERIODIC;
  FIELD(diffeo_map_options, D.map_options_init, spline, (o.map = DIFFEO_MAP_SPLINE, &periodic), DIFFEO_EINVAL, "angles",
        image_map(spec, &o));
  SIZES(diffeo_image_coupling_options, D.image_coupling_options_init, D.spec_add_image_coupling(spec, o));
  SIZES(diffeo_split_options, D.split_options_init, D.spec_add_split(spec, o));
  SIZES(diffeo_convolution_options, D.convolution_options_init, image_network(spec, o));
  SIZES(diffeo_convolution_options, D.convolution_options_init, split_network(spec, o));
  SIZES(diffeo_map_options, D.map_options_init, image_map(spec, o));

  for (int flow = 0; flow < 2; flow++) {
    SIZES(diffeo_image_options, D.image_options_init, small_image(o, flow));
#define IMAGE(field, value, piece) \
  FIELD(diffeo_image_options, D.image_options_init, field, value, DIFFEO_EINVAL, piece, small_image(&o, flow))
    for (int i = 1; i < COUNT(sizes); i++) {
      IMAGE(channels, sizes[i], "channels is");
      IMAGE(height, sizes[i], "height is");
      IMAGE(width, sizes[i], "width is");
      IMAGE(context_dim, sizes[i], "context_dim is");
      IMAGE(levels, sizes[i], "levels is");
      IMAGE(steps, sizes[i], "steps is");
      IMAGE(quantization, sizes[i] == 65537 ? 1 : sizes[i], "quantization is");
    }
    IMAGE(height, (o.levels = 3, 6), "must be even");
    IMAGE(alpha, 0.5, "alpha is 0.5");
    IMAGE(alpha, -0.1, "alpha is -0.1");
    IMAGE(alpha, NAN, "alpha is");
    IMAGE(scale, 99, "scale is 99");
    IMAGE(split, 2, "split is 2");
    IMAGE(learned_prior, -1, "learned_prior is -1");
    IMAGE(learned_top, 2, "learned_top is 2");
    IMAGE(lu, 2, "lu is 2");
    diffeo_map_options map;
    CHECK_OK(D.map_options_init(&map, sizeof map));
    IMAGE(map, (o.scale = DIFFEO_SCALE_EXP, &map), "scale is 2, and there is a map");
    map.map = 99;
    IMAGE(map, &map, "map is 99");
    diffeo_spline_options circle;
    CHECK_OK(D.spline_options_init(&circle, sizeof circle));
    circle.boundary = DIFFEO_BOUNDARY_PERIODIC;
    map.map = DIFFEO_MAP_SPLINE;
    map.spline = &circle;
    IMAGE(map, &map, "no angles");
    FIELD(diffeo_image_options, D.image_options_init, dtype, 0, DIFFEO_EDTYPE, "0", small_image(&o, flow));
    REFUSED(DIFFEO_EINVAL, "options", flow ? D.glow_image_create(NULL, OUT(0)) : D.realnvp_image_create(NULL, OUT(0)));
    diffeo_image_options o;
    CHECK_OK(D.image_options_init(&o, sizeof o));
    REFUSED(DIFFEO_EINVAL, "channels is 0", flow ? D.glow_image_create(&o, OUT(0)) : D.realnvp_image_create(&o, OUT(0)));
    o.channels = 1, o.height = o.width = 4;
    REFUSED(DIFFEO_EINVAL, "flow", flow ? D.glow_image_create(&o, NULL) : D.realnvp_image_create(&o, NULL));
  }
  D.spec_destroy(spec), D.spec_destroy(odd), D.spec_destroy(given);
  counts_f32(), counts_f64();
}

static void bounds(void) {
  static const struct {
    const char *option;
    double low, high;
  } some[] = {{"spline.bins", 2, 64}, {"train.batch_size", 1, INFINITY}, {"train.learning_rate", 5e-324, INFINITY},
              {"map.scale_epsilon", 0, 1 - 0x1p-53}, {"network.dropout", 0, 1 - 0x1p-53}, {"spec.dim", 1, 65536}};
  double low, high;
  for (int i = 0; i < COUNT(some); i++) {
    CHECK_OK(D.option_bounds(some[i].option, &low, &high));
    CHECK(low == some[i].low && high == some[i].high, "%s is %g to %g", some[i].option, low, high);
  }
  double *l = OUT(2), *h = OUT(3);
  REFUSED(DIFFEO_EINVAL, "option", D.option_bounds(NULL, l, h));
  REFUSED(DIFFEO_EINVAL, "spline.bin'", D.option_bounds("spline.bin", l, h));
  REFUSED(DIFFEO_EINVAL, "UTF-8", D.option_bounds("\xff", l, h));
  REFUSED(DIFFEO_EINVAL, "low", D.option_bounds("spline.bins", NULL, h));
  REFUSED(DIFFEO_EINVAL, "high", D.option_bounds("spline.bins", l, NULL));
}

static void words(void) {
  char *text = OUT(0), key[300], value[65600];
  size_t *length = OUT(1);
  memset(key, 'k', sizeof key);
  key[256] = '\0';
  memset(value, 'v', sizeof value);
  value[65536] = '\0';
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_describe(NULL, text, 100, length));
  REFUSED(DIFFEO_EINVAL, "text", D.flow_describe(flow, NULL, 100, length));
  REFUSED(DIFFEO_EINVAL, "capacity", D.flow_describe(flow, text, SIZE_MAX, length));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_set_metadata(NULL, "a", "b"));
  REFUSED(DIFFEO_EINVAL, "key", D.flow_set_metadata(flow, NULL, "b"));
  REFUSED(DIFFEO_EINVAL, "0", D.flow_set_metadata(flow, "", "b"));
  REFUSED(DIFFEO_EINVAL, "256", D.flow_set_metadata(flow, key, "b"));
  REFUSED(DIFFEO_EINVAL, "65536", D.flow_set_metadata(flow, "a", value));
  REFUSED(DIFFEO_EINVAL, "UTF-8", D.flow_set_metadata(flow, "\xff\xfe", "b"));
  REFUSED(DIFFEO_EINVAL, "UTF-8", D.flow_set_metadata(flow, "a", "\xc3("));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_metadata(NULL, "a", text, 100, length));
  REFUSED(DIFFEO_EINVAL, "key", D.flow_metadata(flow, NULL, text, 100, length));
  REFUSED(DIFFEO_EINVAL, "nothing", D.flow_metadata(flow, "nothing", text, 100, length));
  REFUSED(DIFFEO_EINVAL, "UTF-8", D.flow_metadata(flow, "\xff", text, 100, length));
  REFUSED(DIFFEO_EINVAL, "text", D.flow_metadata(flow, "kept", NULL, 100, length));
  REFUSED(DIFFEO_EINVAL, "capacity", D.flow_metadata(flow, "kept", text, SIZE_MAX, length));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_metadata_key(NULL, 0, text, 100, length));
  REFUSED(DIFFEO_EINVAL, "text", D.flow_metadata_key(flow, 0, NULL, 100, length));
  REFUSED(DIFFEO_EINVAL, "-1", D.flow_metadata_key(flow, -1, text, 100, length));
  REFUSED(DIFFEO_EINVAL, "index is 1", D.flow_metadata_key(flow, 1, text, 100, length));
  REFUSED(DIFFEO_EINVAL, "9223372036854775807", D.flow_metadata_key(flow, INT64_MAX, text, 100, length));
  for (size_t capacity = 0; capacity < 40; capacity++)
    ISOLATED("texts that do not fit") {
      CHECK_OK(D.flow_describe(flow, text, capacity, length));
      CHECK(only_first(0, capacity) && *length > 0, "capacity %zu", capacity);
      CHECK(capacity == 0 || strlen(text) == (*length < capacity ? *length : capacity - 1), "capacity %zu", capacity);
    }
  ISOLATED("words that come back as they went") {
    static const char *const keys[] = {"/", ".", "..", "a/b", "/a", "a b", " ", "\xe6\x97\xa5", "\xc3\xa9", "\n",
                                       "format", "version", "layers", "dim"};
    size_t size = 0;
    diffeo_flow *again = NULL;
    key[255] = '\0', value[65535] = '\0';
    CHECK_OK(D.flow_set_metadata(flow, key, value));
    CHECK_OK(D.flow_set_metadata(flow, "empty", ""));
    for (int i = 0; i < COUNT(keys); i++) CHECK_OK(D.flow_set_metadata(flow, keys[i], keys[i]));
    const int64_t count = D.flow_metadata_count(flow);
    CHECK(count == COUNT(keys) + 3, "%lld keys", (long long)count);
    CHECK_OK(D.flow_save_memory(flow, NULL, 0, &size));
    void *bytes = malloc(size);
    CHECK_OK(D.flow_save_memory(flow, bytes, size, &size));
    CHECK_OK(D.flow_load_memory(bytes, size, &again));
    CHECK(D.flow_metadata_count(again) == count, "%lld keys", (long long)D.flow_metadata_count(again));
    for (int i = 0; i < COUNT(keys); i++) {
      CHECK_OK(D.flow_metadata(again, keys[i], text, 100, length));
      CHECK(strcmp(text, keys[i]) == 0, "'%s' became '%s'", keys[i], text);
    }
    static char whole[65536];
    CHECK_OK(D.flow_metadata(again, key, whole, sizeof whole, length));
    CHECK(strcmp(whole, value) == 0 && *length == 65535, "the longest value has %zu bytes", *length);
    CHECK_OK(D.flow_metadata(again, "empty", text, 100, length));
    CHECK(*length == 0 && *text == '\0', "an empty value has %zu bytes", *length);
    D.flow_destroy(again);
    free(bytes);
    if (no_fork) { /* as it was */
      for (int i = 0; i < COUNT(keys); i++) CHECK_OK(D.flow_set_metadata(flow, keys[i], NULL));
      CHECK_OK(D.flow_set_metadata(flow, key, NULL));
      CHECK_OK(D.flow_set_metadata(flow, "empty", NULL));
    }
  }
  ISOLATED("more keys than a file holds") {
    diffeo_flow *odd = make_flow("maf", 1, 0, DIFFEO_F32), *again = NULL;
    diffeo_status status = DIFFEO_OK;
    for (int i = 0; i < 5000 && status == DIFFEO_OK; i++) {
      char name[16];
      snprintf(name, sizeof name, "%d", i);
      status = D.flow_set_metadata(odd, name, "x");
    }
    size_t size = 1 << 23;
    void *bytes = malloc(size);
    if (status == DIFFEO_OK) status = D.flow_save_memory(odd, bytes, size, &size);
    if (status == DIFFEO_OK) CHECK_OK(D.flow_load_memory(bytes, size, &again));
    else CHECK(status == DIFFEO_EINVAL, "%s", D.status_name(status));
    free(bytes);
    D.flow_destroy(odd), D.flow_destroy(again);
  }
}

static void write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(bytes, 1, size, file) == size, "%s", path);
  if (file) fclose(file);
}

static void files(void) {
  diffeo_flow **f = OUT(0);
  size_t *size = OUT(1), total = 0;
  char path[512], bytes[64] = "not an HDF5 file, but some text of a length that could be one";
  REFUSED(DIFFEO_EINVAL, "path", D.flow_load(NULL, f));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_load("nowhere.h5", NULL));
  REFUSED(DIFFEO_EINVAL, "UTF-8", D.flow_load("\xff.h5", f));
  REFUSED(DIFFEO_EIO, "nowhere.h5", D.flow_load("/nowhere/nowhere.h5", f));
  REFUSED(DIFFEO_EIO, "", D.flow_load("", f));
  REFUSED(DIFFEO_EIO, folder, D.flow_load(folder, f));
  REFUSED(DIFFEO_EIO, "/dev/null", D.flow_load("/dev/null", f));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_save(NULL, "/nowhere/x.h5"));
  REFUSED(DIFFEO_EINVAL, "path", D.flow_save(flow, NULL));
  REFUSED(DIFFEO_EINVAL, "UTF-8", D.flow_save(flow, "/nowhere/\xff"));
  REFUSED(DIFFEO_EIO, "/nowhere/x.h5", D.flow_save(flow, "/nowhere/x.h5"));
  REFUSED(DIFFEO_EIO, "", D.flow_save(flow, ""));
  REFUSED(DIFFEO_EIO, folder, D.flow_save(flow, folder));
  REFUSED(DIFFEO_EIO, "/dev/full", D.flow_save(flow, "/dev/full"));
  snprintf(path, sizeof path, "%s/abuse.h5", folder);
  write_file(path, "", 0);
  REFUSED(DIFFEO_EFORMAT, "", D.flow_load(path, f));
  write_file(path, bytes, sizeof bytes);
  REFUSED(DIFFEO_EFORMAT, "", D.flow_load(path, f));
  remove(path);

  CHECK_OK(D.flow_save_memory(flow, NULL, 0, &total));
  unsigned char *image = malloc(total), *copy = malloc(total);
  CHECK_OK(D.flow_save_memory(flow, image, total, &total));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_save_memory(NULL, OUT(0), SLOT, size));
  REFUSED(DIFFEO_EINVAL, "size", D.flow_save_memory(flow, OUT(0), SLOT, NULL));
  REFUSED(DIFFEO_EINVAL, "bytes", D.flow_load_memory(NULL, 100, f));
  REFUSED(DIFFEO_EINVAL, "flow", D.flow_load_memory(image, total, NULL));
  REFUSED(DIFFEO_EINVAL, "size", D.flow_load_memory(image, SIZE_MAX, f));
  REFUSED(DIFFEO_EFORMAT, "", D.flow_load_memory(image, 0, f));
  ISOLATED("too small a capacity gives the size and nothing else") {
    CHECK_STATUS(D.flow_save_memory(flow, OUT(0), 100, size), DIFFEO_EINVAL);
    CHECK(*size == total && only_first(0, 0) && only_first(1, sizeof *size), "%zu", *size);
    CHECK_STATUS(D.flow_save_memory(flow, OUT(0), total - 1, size), DIFFEO_EINVAL);
    CHECK_STATUS(D.flow_save_memory(flow, NULL, 100, size), DIFFEO_EINVAL);
  }
  /* Cut off anywhere, with bits turned: refused, or a flow that works; never worse. */
  const size_t step = rounds < 4000 ? 150 : 1;
  ISOLATED("a file cut off") {
    for (size_t cut = 0; cut < total; cut += step) {
      *f = (diffeo_flow *)(void *)copy;
      memcpy(copy, image, cut);
      diffeo_status status = D.flow_load_memory(copy, cut, f);
      CHECK(status == DIFFEO_EFORMAT && *f == NULL && *D.last_error(), "cut to %zu of %zu bytes: %s", cut, total,
            D.status_name(status));
    }
  }
  ISOLATED("turned bits") {
    uint64_t state = 2385;
    int loaded = 0;
    for (int i = 0; i < rounds; i++) {
      diffeo_flow *odd = (diffeo_flow *)(void *)copy;
      memcpy(copy, image, total);
      for (int flips = 1 + i % 3; flips > 0; flips--) {
        const size_t at = (size_t)((uniform(&state) + 1) / 2 * (double)total);
        copy[at < total ? at : 0] ^= (unsigned char)(1u << (i / 3 % 8));
      }
      diffeo_status status = D.flow_load_memory(copy, total, &odd);
      CHECK((status == DIFFEO_OK) == (odd != NULL), "round %d: %s", i, D.status_name(status));
      CHECK(status == DIFFEO_OK || status == DIFFEO_EFORMAT || status == DIFFEO_EVERSION || status == DIFFEO_ENOMEM,
            "round %d: %s: %s", i, D.status_name(status), D.last_error());
      if (odd == NULL) continue;
      double x[DIM] = {0.1, 0.2, 0.3}, y[DIM];
      CHECK_OK(D.flow_log_prob_f64(odd, x, 1, NULL, 0, NULL, y));
      D.flow_destroy(odd);
      loaded++;
    }
    if (getenv("VERBOSE")) printf("%d of %d files with turned bits were read\n", loaded, rounds);
  }
  free(image), free(copy);
}

int main(int argc, char **argv) {
  if (argc > 1) folder = argv[1];
  if (argc > 2) rounds = atoi(argv[2]);
  choose_parts(argc - 3, argv + 3);
  no_fork = getenv("NO_FORK") != NULL;
  load_library();
  diffeo_architecture_options o;
  double x[N * DIM], context[N * CONTEXT];
  make_rows(x, N, DIM, 3);
  make_rows(context, N, CONTEXT, 4);
  flow = make_flow("maf", DIM, 0, DIFFEO_F32);
  conditional = make_flow("iaf", DIM, CONTEXT, DIFFEO_F64);
  CHECK_OK(D.flow_set_metadata(flow, "kept", "value"));
  CHECK_OK(D.architecture_options_init(&o, sizeof o));
  o.dim = DIM, o.transforms = 1;
  CHECK_OK(D.maf_create(&o, &standardised));
  CHECK_OK(D.trainer_create_f64(flow, NULL, x, N, NULL, 0, NULL, &trainer));
  CHECK_OK(D.trainer_create_f64(conditional, NULL, x, N, context, N, NULL, &conditional_trainer));
  PART(handles);
  PART(sizes);
  PART(building);
  PART(evaluation_f32);
  PART(evaluation_f64);
  PART(gradients);
  PART(targets);
  PART(optimizers);
  PART(parameters_f32);
  PART(parameters_f64);
  PART(training_f32);
  PART(training_f64);
  PART(reading);
  PART(training_options);
  PART(images);
  PART(bounds);
  PART(words);
  PART(files);
  D.trainer_destroy(trainer), D.trainer_destroy(conditional_trainer);
  D.flow_destroy(flow), D.flow_destroy(conditional), D.flow_destroy(standardised);
  return checks_end("abuse");
}
