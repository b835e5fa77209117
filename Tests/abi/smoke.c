/* The whole life of flows through the ABI, with everything loaded at run time: smoke [FOLDER [PART...]]. */
#include "check.h"

enum { N = 131, DIM = 3 };
static double x[N * DIM], context[N * 2];
static const char *folder = ".";

static double worst(const double *a, const double *b, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(a[i] - b[i]) / (1 + fabs(b[i])));
  return isfinite(most) ? most : INFINITY;
}

/* The macros of the header against the functions of the library, and names for every status. */
static void version(void) {
  char text[32];
  static const diffeo_status all[] = {0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -127};
  snprintf(text, sizeof text, "%d.%d.%d", DIFFEO_VERSION_MAJOR, DIFFEO_VERSION_MINOR, DIFFEO_VERSION_PATCH);
  CHECK(D.version_number() == DIFFEO_VERSION_NUMBER, "%d", D.version_number());
  CHECK(strcmp(D.version_string(), DIFFEO_VERSION_STRING) == 0, "%s", D.version_string());
  CHECK(strcmp(text, DIFFEO_VERSION_STRING) == 0, "%s", text);
  CHECK(DIFFEO_VERSION_NUMBER == DIFFEO_VERSION_MAJOR * 10000 + DIFFEO_VERSION_MINOR * 100 + DIFFEO_VERSION_PATCH,
        "%d", DIFFEO_VERSION_NUMBER);
  CHECK(strcmp(D.last_error(), "") == 0, "before any failure: %s", D.last_error());
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    CHECK(strncmp(D.status_name(all[i]), "DIFFEO_", 7) == 0, "%d is %s", all[i], D.status_name(all[i]));
  CHECK(strcmp(D.status_name(DIFFEO_ECANCELLED), "DIFFEO_ECANCELLED") == 0, "%s", D.status_name(-9));
  CHECK(strcmp(D.status_name(1), "unknown status") == 0, "%s", D.status_name(1));
  CHECK(strcmp(D.status_name(INT32_MIN), "unknown status") == 0, "%s", D.status_name(INT32_MIN));
}

static int standard_normal(const char *kind, int64_t context_dim) {
  return strcmp(kind, "maf") == 0 || strcmp(kind, "realnvp") == 0 || strcmp(kind, "glow") == 0 ||
         strcmp(kind, "planar") == 0 || strcmp(kind, "radial") == 0 || strncmp(kind, "spline", 6) == 0 ||
         (strcmp(kind, "iaf") == 0 && context_dim == 0);
}

/* Densities, both directions, samples and gradients agree with one another; both buffer types; in place. */
static void evaluation(const char *kind, int64_t dim, int64_t context_dim, int32_t dtype) {
  if (!possible(kind, dim, context_dim)) return;
  diffeo_flow *flow = make_flow(kind, dim, context_dim, dtype);
  const size_t rows_size = (size_t)(N * dim) * sizeof(double);
  diffeo_workspace *workspace = NULL;
  CHECK_OK(D.workspace_create(2, &workspace));
  CHECK(D.workspace_threads(workspace) == 2, "%d", D.workspace_threads(workspace));
  const double *c = context_dim > 0 ? context : NULL;
  const int64_t nc = context_dim > 0 ? N : 0;
  const double tolerance = dtype == DIFFEO_F32 ? 2e-4 : 1e-10;
  double log_prob[N], z[N * DIM], log_det[N], back[N * DIM], log_det_back[N], again[N], place[N * DIM];

  CHECK_OK(D.flow_log_prob_f64(flow, x, N, c, nc, workspace, log_prob));
  CHECK_OK(D.flow_to_noise_f64(flow, x, N, c, nc, workspace, z, log_det));
  if (standard_normal(kind, context_dim)) {
    for (int i = 0; i < N; i++) {
      double sum = -0.5 * (double)dim * 1.8378770664093454836 + log_det[i];
      for (int j = 0; j < dim; j++) sum -= 0.5 * z[i * dim + j] * z[i * dim + j];
      again[i] = sum;
    }
    CHECK(worst(again, log_prob, N) < tolerance, "%s: log_prob is not that of the noise: %g", kind, worst(again, log_prob, N));
  }
  CHECK_OK(D.flow_from_noise_f64(flow, z, N, c, nc, NULL, back, log_det_back));
  CHECK(worst(back, x, N * dim) < tolerance, "%s: from_noise(to_noise(x)) is off by %g", kind, worst(back, x, N * dim));
  for (int i = 0; i < N; i++) again[i] = -log_det_back[i];
  CHECK(worst(again, log_det, N) < tolerance, "%s: log_det differs by %g", kind, worst(again, log_det, N));

  /* In place: the same bits. */
  memcpy(place, x, rows_size);
  CHECK_OK(D.flow_to_noise_f64(flow, place, N, c, nc, workspace, place, NULL));
  CHECK(memcmp(place, z, rows_size) == 0, "%s: to_noise in place differs", kind);
  CHECK_OK(D.flow_from_noise_f64(flow, place, N, c, nc, workspace, place, NULL));
  CHECK(memcmp(place, back, rows_size) == 0, "%s: from_noise in place differs", kind);
  memcpy(place, x, rows_size);
  double gradient[N * DIM], gradient_context[N * 2];
  CHECK_OK(D.flow_log_prob_gradient_f64(flow, x, N, c, nc, workspace, again, gradient, gradient_context));
  CHECK(memcmp(again, log_prob, sizeof again) == 0, "%s: log_prob of the gradient differs", kind);
  CHECK_OK(D.flow_log_prob_gradient_f64(flow, place, N, c, nc, workspace, NULL, place, NULL));
  CHECK(memcmp(place, gradient, rows_size) == 0, "%s: gradient in place differs", kind);

  /* The gradient against differences, of fourth order: planar layers that nearly fold have large derivatives. */
  if (dtype == DIFFEO_F64) {
    const double h = 1e-6;
    for (int64_t k = 0; k < dim + context_dim; k++) {
      static const double steps[] = {2, 1, -1, -2}, weights[] = {-1, 8, -8, 1};
      double near[N], saved[N], expected[N] = {0}, got[N];
      double *values = k < dim ? x : context;
      const int64_t column = k < dim ? k : k - dim, columns = k < dim ? dim : context_dim;
      for (int i = 0; i < N; i++) saved[i] = values[i * columns + column];
      for (int step = 0; step < COUNT(steps); step++) {
        for (int i = 0; i < N; i++) values[i * columns + column] = saved[i] + steps[step] * h;
        CHECK_OK(D.flow_log_prob_f64(flow, x, N, c, nc, workspace, near));
        for (int i = 0; i < N; i++) expected[i] += weights[step] * near[i] / (12 * h);
      }
      for (int i = 0; i < N; i++) {
        values[i * columns + column] = saved[i];
        got[i] = (k < dim ? gradient : gradient_context)[i * columns + column];
      }
      CHECK(worst(got, expected, N) < 1e-7, "%s: gradient in column %d is off by %g", kind, (int)k, worst(got, expected, N));
    }
  }

  /* Samples: their density is theirs, and a piece is a piece. */
  double s[N * DIM], piece[20 * DIM];
  CHECK_OK(D.flow_sample_f64(flow, 42, 0, N, c, nc, workspace, s, log_prob));
  CHECK_OK(D.flow_log_prob_f64(flow, s, N, c, nc, workspace, again));
  CHECK(worst(again, log_prob, N) < tolerance, "%s: samples' log_prob is off by %g", kind, worst(again, log_prob, N));
  CHECK_OK(D.flow_sample_f64(flow, 42, 100, 20, c ? c + 100 * 2 : c, c ? 20 : 0, NULL, piece, NULL));
  CHECK(memcmp(piece, s + 100 * dim, (size_t)(20 * dim) * sizeof *piece) == 0, "%s: rows 100 to 119 differ in a call of their own", kind);

  /* The other type of buffers: the same numbers, rounded. */
  float xf[N * DIM], cf[N * 2], lf[N], sf[N * DIM];
  double wide[N * DIM], widened[N];
  to_float(x, xf, N * dim);
  to_float(context, cf, N * 2);
  for (int i = 0; i < N * dim; i++) wide[i] = xf[i];
  double cwide[N * 2];
  for (int i = 0; i < N * 2; i++) cwide[i] = cf[i];
  CHECK_OK(D.flow_log_prob_f32(flow, xf, N, c ? cf : NULL, nc, workspace, lf));
  CHECK_OK(D.flow_log_prob_f64(flow, wide, N, c ? cwide : NULL, nc, workspace, widened));
  for (int i = 0; i < N; i++) CHECK(lf[i] == (float)widened[i], "%s row %d: %.9g and %.9g", kind, i, lf[i], widened[i]);
  if (c == NULL) {
    CHECK_OK(D.flow_sample_f32(flow, 42, 0, N, NULL, 0, workspace, sf, NULL));
    for (int i = 0; i < N * dim; i++) CHECK(sf[i] == (float)s[i], "%s value %d: %.9g and %.9g", kind, i, sf[i], s[i]);
  }

  /* One row of context for all is the same as its copies. */
  if (c != NULL) {
    for (int i = 0; i < N; i++) memcpy(cwide + 2 * i, context + 6, 2 * sizeof *context);
    CHECK_OK(D.flow_log_prob_f64(flow, x, N, cwide, N, workspace, again));
    CHECK_OK(D.flow_log_prob_f64(flow, x, N, context + 6, 1, workspace, log_prob));
    CHECK(memcmp(again, log_prob, sizeof again) == 0, "%s: a shared context differs from its copies", kind);
  }

  /* A NaN or an infinity stays in its row. */
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, c, nc, workspace, again));
  memcpy(place, x, rows_size);
  place[5 * dim + dim / 2] = NAN;
  place[70 * dim] = INFINITY;
  CHECK_OK(D.flow_log_prob_f64(flow, place, N, c, nc, workspace, log_prob));
  if (getenv("MEMCHECK") == NULL) { /* valgrind's vcmppd takes EQ_UQ for EQ_OQ and NEQ_OQ for NEQ_UQ: wrong with NaN */
    CHECK(isnan(log_prob[5]), "%s: a row with NaN has %g", kind, log_prob[5]);
    CHECK(isinf(log_prob[70]) && log_prob[70] < 0, "%s: a row with an infinity has %g", kind, log_prob[70]);
  }
  log_prob[5] = again[5], log_prob[70] = again[70];
  CHECK(memcmp(again, log_prob, sizeof again) == 0, "%s: other rows changed", kind);

  D.workspace_destroy(workspace);
  D.flow_destroy(flow);
}

/* Of the sum of log_prob, and of x and log_prob of samples, each with the cotangents given. */
static double weighed(const diffeo_flow *flow, const double *c, int64_t nc, const double *g, int sampled) {
  double rows[N * DIM], logs[N], sum = 0;
  const int64_t dim = D.flow_dim(flow);
  if (sampled) {
    CHECK_OK(D.flow_sample_f64(flow, 3, 7, N, c, nc, NULL, rows, logs));
    for (int i = 0; i < N * dim; i++) sum += g[i] * rows[i];
  } else {
    CHECK_OK(D.flow_log_prob_f64(flow, x, N, c, nc, NULL, logs));
  }
  for (int i = 0; i < N; i++) sum += g[i] * logs[i];
  return sum;
}

/* Pullbacks: the gradient again, what the functions give, and the parameters against a difference along a line. */
static void pullbacks(const char *kind, int64_t dim, int64_t context_dim) {
  if (!possible(kind, dim, context_dim)) return;
  diffeo_flow *flow = make_flow(kind, dim, context_dim, DIFFEO_F64);
  diffeo_workspace *workspace = NULL;
  CHECK_OK(D.workspace_create(2, &workspace));
  const double *c = context_dim > 0 ? context : NULL;
  const int64_t nc = context_dim > 0 ? N : 0, count = D.flow_parameter_count(flow);
  double g[N * DIM], ones[N], a[N * DIM], b[N * DIM], la[N], lb[N], ga[N * DIM], gb[N * DIM], ca[N * 2], cb[N * 2];
  uint64_t seed = 4;
  for (int i = 0; i < N * DIM; i++) g[i] = uniform(&seed) - 0.5;
  for (int i = 0; i < N; i++) ones[i] = 1;
  double *start = malloc((size_t)count * sizeof *start), *moved = malloc((size_t)count * sizeof *moved);
  double *along = malloc((size_t)count * sizeof *along), *gradient = malloc((size_t)count * sizeof *gradient);
  CHECK_OK(D.flow_parameters_f64(flow, start));
  uint8_t *trained = malloc((size_t)count);
  CHECK_OK(D.flow_trained_parameters(flow, trained));
  for (int64_t i = 0; i < count; i++) along[i] = uniform(&seed) - 0.5;

  CHECK_OK(D.flow_log_prob_gradient_f64(flow, x, N, c, nc, NULL, la, ga, ca));
  CHECK_OK(D.flow_log_prob_vjp_f64(flow, x, N, c, nc, ones, workspace, lb, gb, context_dim ? cb : NULL, NULL));
  CHECK(memcmp(la, lb, sizeof la) == 0 && memcmp(ga, gb, (size_t)(N * dim) * sizeof *ga) == 0, "%s: log_prob_vjp", kind);
  if (context_dim) CHECK(memcmp(ca, cb, sizeof ca) == 0, "%s: log_prob_vjp in the context", kind);
  CHECK_OK(D.flow_to_noise_f64(flow, x, N, c, nc, NULL, a, la));
  CHECK_OK(D.flow_to_noise_vjp_f64(flow, x, N, c, nc, g, NULL, workspace, b, lb, NULL, NULL, NULL));
  CHECK(memcmp(a, b, (size_t)(N * dim) * sizeof *a) == 0 && memcmp(la, lb, sizeof la) == 0, "%s: z on the way", kind);
  CHECK_OK(D.flow_from_noise_f64(flow, b, N, c, nc, NULL, a, la));
  CHECK_OK(D.flow_from_noise_vjp_f64(flow, b, N, c, nc, NULL, g, workspace, b, lb, NULL, NULL, NULL));
  CHECK(memcmp(a, b, (size_t)(N * dim) * sizeof *a) == 0 && memcmp(la, lb, sizeof la) == 0, "%s: x on the way", kind);

  const double h = 1e-6;
  for (int sampled = 0; sampled < 2; sampled++) {
    for (int64_t i = 0; i < count; i++) gradient[i] = 2; /* is added to */
    if (sampled && strcmp(kind, "mixtures") == 0) continue; /* its rows jump: right in the mean only */
    if (sampled) {
      diffeo_status status = D.flow_sample_vjp_f64(flow, 3, 7, N, c, nc, g, g, workspace, a, la, NULL, gradient);
      if (strcmp(kind, "made") == 0 && status == DIFFEO_EUNSUPPORTED) continue;
      CHECK_OK(status);
      CHECK_OK(D.flow_sample_f64(flow, 3, 7, N, c, nc, NULL, b, lb));
      CHECK(memcmp(a, b, (size_t)(N * dim) * sizeof *a) == 0 && memcmp(la, lb, sizeof la) == 0, "%s: sample_vjp", kind);
    } else {
      CHECK_OK(D.flow_log_prob_vjp_f64(flow, x, N, c, nc, g, workspace, NULL, NULL, NULL, gradient));
    }
    /* Constants, such as means and widths, stay. */
    double slope = 0, differences[2];
    for (int64_t i = 0; i < count; i++) CHECK(trained[i] || gradient[i] == 2, "%s: parameter %d is not trained, but has a slope", kind, (int)i);
    for (int64_t i = 0; i < count; i++) slope += (gradient[i] - 2) * along[i];
    for (int side = 0; side < 2; side++) {
      diffeo_flow *other = NULL;
      for (int64_t i = 0; i < count; i++) moved[i] = start[i] + (gradient[i] == 2 ? 0 : (side ? -h : h) * along[i]);
      CHECK_OK(D.flow_with_parameters_f64(flow, moved, &other));
      differences[side] = weighed(other, c, nc, g, sampled);
      D.flow_destroy(other);
    }
    const double expected = (differences[0] - differences[1]) / (2 * h);
    CHECK(fabs(slope - expected) < 2e-5 * (1 + fabs(expected)), "%s, sampled %d: %g and %g", kind, sampled, slope, expected);
  }
  free(start), free(moved), free(along), free(gradient), free(trained);
  D.workspace_destroy(workspace);
  D.flow_destroy(flow);
}

/* Normal numbers around the context, with standard deviation 1/2, and a constant that the evidence is to find. */
static int target_f64(void *user, int64_t n, const double *x, const double *context, double *log_density, double *gradient) {
  CHECK(is_at_home(), "the target runs in another floating-point environment");
  ++*(int *)user;
  for (int64_t i = 0; i < n; i++) {
    log_density[i] = 2.5 - 2 * 0.22579135264472743236;  /* log sqrt(2 pi) - log 2 */
    for (int j = 0; j < 2; j++) {
      const double d = x[2 * i + j] - (context ? context[2 * i + j] : 1);
      log_density[i] -= 2 * d * d;
      if (gradient) gradient[2 * i + j] = -4 * d;
    }
  }
  return 0;
}
static int target_f32(void *user, int64_t n, const float *x, const float *context, float *log_density, float *gradient) {
  CHECK(is_at_home(), "the target runs in another floating-point environment");
  ++*(int *)user;
  for (int64_t i = 0; i < n; i++) {
    log_density[i] = 2.5f - 2 * 0.22579135f;
    for (int j = 0; j < 2; j++) {
      const float d = x[2 * i + j] - (context ? context[2 * i + j] : 1);
      log_density[i] -= 2 * d * d;
      if (gradient) gradient[2 * i + j] = -4 * d;
    }
  }
  return 0;
}

/* A step with contexts of its own: each moves its row of the gradient, and no other. */
static void given_contexts(diffeo_vi *vi, int32_t dtype) {
  enum { ROWS = 64 };
  double given[ROWS * 2], gradient[ROWS * 2];
  float narrow[ROWS * 2], narrow_gradient[ROWS * 2];
  uint64_t seed = 8;
  for (int i = 0; i < ROWS * 2; i++) given[i] = narrow[i] = (float)uniform(&seed), gradient[i] = narrow_gradient[i] = NAN;
  if (dtype == DIFFEO_F32) {
    CHECK_STATUS(D.vi_step_given_f64(vi, given, gradient, NULL), DIFFEO_EINVAL);
    CHECK_OK(D.vi_step_given_f32(vi, narrow, narrow_gradient, NULL));
    for (int i = 0; i < ROWS * 2; i++) gradient[i] = narrow_gradient[i];
  } else {
    CHECK_STATUS(D.vi_step_given_f32(vi, narrow, narrow_gradient, NULL), DIFFEO_EINVAL);
    CHECK_OK(D.vi_step_given_f64(vi, given, gradient, NULL));
  }
  int moved = 0;
  for (int i = 0; i < ROWS * 2; i++) {
    CHECK(isfinite(gradient[i]), "context gradient %d is %g", i, gradient[i]);
    moved += gradient[i] != 0;
  }
  CHECK(moved > ROWS, "%d of the numbers move", moved);
}

/* Training to a target, in both types of buffers, saved in the middle and continued. */
static void inference(void) {
  const int quick = getenv("MEMCHECK") != NULL, window = quick ? 5 : 50; /* it takes fifty times as long there */
  for (int32_t dtype = DIFFEO_F32; dtype <= DIFFEO_F64; dtype++) {
    for (int32_t e = DIFFEO_ESTIMATOR_REVERSE_KL; e <= DIFFEO_ESTIMATOR_MASS_COVERING; e++) {
      for (int given = 0; given < 2; given++) {
        diffeo_flow *flow = make_flow("realnvp", 2, given ? 2 : 0, dtype), *best[2] = {NULL, NULL};
        diffeo_train_options train;
        diffeo_vi_options o;
        diffeo_vi *vi[2] = {NULL, NULL};
        diffeo_variational_report report = {.struct_size = sizeof report};
        char path[512];
        int calls = 0;
        snprintf(path, sizeof path, "%s/smoke-vi-%d-%d-%d.h5", folder, dtype, e, given);
        CHECK_OK(D.train_options_init(&train, sizeof train));
        CHECK_OK(D.vi_options_init(&o, sizeof o));
        train.learning_rate = 1e-2, train.schedule = DIFFEO_SCHEDULE_COSINE;
        o.train = &train, o.steps = 4 * window, o.window = window, o.batch_size = 64, o.estimator = e;
        for (int i = 0; i < 2; i++) {
          train.threads = 1 + 2 * i; /* the same bits */
          if (dtype == DIFFEO_F32) {
            float narrow[N * 2];
            to_float(context, narrow, N * 2);
            CHECK_OK(D.vi_create_f32(flow, &o, target_f32, &calls, given ? narrow : NULL, given ? N : 0, &vi[i]));
          } else {
            CHECK_OK(D.vi_create_f64(flow, &o, target_f64, &calls, given ? context : NULL, given ? N : 0, &vi[i]));
          }
        }
        CHECK_OK(D.vi_step(vi[0], 0, &report));
        if (given) given_contexts(vi[0], dtype);
        CHECK_OK(D.vi_step(vi[0], given ? 2 : 3, &report));
        CHECK(report.steps == window + 3 && report.windows == 1 && report.state == DIFFEO_TRAIN_RUNNING, "%d", (int)report.steps);
        CHECK_OK(D.vi_save(vi[0], path));
        CHECK_OK(D.vi_load(vi[1], path));
        for (int i = 0; i < 2; i++) {
          while (!D.vi_finished(vi[i])) CHECK_OK(D.vi_step(vi[i], 30, &report));
          CHECK_OK(D.vi_best(vi[i], &best[i]));
        }
        CHECK(calls == 7 * window - 3 && report.steps == 4 * window && report.skipped_steps == 0, "%d calls", calls);
        CHECK(quick || (fabs(report.log_evidence - 2.5) < 0.3 && report.pareto_k < 1), "estimator %d: %g, %g", e, report.log_evidence, report.pareto_k);
        CHECK(quick || (report.bound <= 2.5 + 4 * report.elbo_error + 0.05 && report.bound > 1.5), "bound %g", report.bound);
        const int64_t count = D.flow_parameter_count(flow);
        double *a = malloc((size_t)count * sizeof *a), *b = malloc((size_t)count * sizeof *b);
        CHECK_OK(D.flow_parameters_f64(best[0], a));
        CHECK_OK(D.flow_parameters_f64(best[1], b));
        CHECK(memcmp(a, b, (size_t)count * sizeof *a) == 0, "estimator %d: continued, other weights", e);
        free(a), free(b), remove(path);
        for (int i = 0; i < 2; i++) D.vi_destroy(vi[i]), D.flow_destroy(best[i]);
        D.flow_destroy(flow);
      }
    }
  }
}

/* Maximum likelihood by hand: the steps of the trainer, given the gradient that it computes. Saved in the middle and
 * continued: the same bits. */
static void optimizers(void) {
  for (int32_t optimizer = DIFFEO_OPTIMIZER_ADAM; optimizer <= DIFFEO_OPTIMIZER_SGD; optimizer++) {
    enum { STEPS = 12, ROWS = 64 };
    diffeo_flow *flow = make_flow("maf", 2, 0, DIFFEO_F64), *begun = NULL, *now = NULL, *trained = NULL;
    const int64_t count = D.flow_parameter_count(flow);
    double rows[ROWS * 2], down[ROWS], *a = malloc((size_t)count * sizeof *a), *b = malloc((size_t)count * sizeof *b);
    float *narrow = malloc((size_t)count * sizeof *narrow);
    char path[512];
    uint64_t seed = 3;
    diffeo_train_options o;
    diffeo_train_report report = {.struct_size = sizeof report};
    diffeo_trainer *trainer = NULL;
    diffeo_optimizer *opt[2] = {NULL, NULL};
    snprintf(path, sizeof path, "%s/smoke-optimizer-%d.h5", folder, optimizer);
    for (int i = 0; i < ROWS * 2; i++) rows[i] = 3 * uniform(&seed) - 1;
    for (int i = 0; i < ROWS; i++) down[i] = -1.0 / ROWS;
    CHECK_OK(D.train_options_init(&o, sizeof o));
    o.optimizer = optimizer, o.schedule = DIFFEO_SCHEDULE_COSINE, o.warmup_steps = 2, o.learning_rate = 3e-3;
    o.weight_decay = 0.01, o.l2 = 0.01, o.clip_norm = 2, o.ema_decay = 0.9;
    o.batch_size = ROWS, o.max_epochs = STEPS, o.validation_fraction = 0, o.patience = 0;
    CHECK_OK(D.trainer_create_f64(flow, &o, rows, ROWS, NULL, 0, NULL, &trainer));
    CHECK_OK(D.trainer_current(trainer, &begun)); /* standardised by the rows */
    for (int i = 0; i < 2; i++) {
      o.threads = 1 + i;
      CHECK_OK(D.optimizer_create(begun, &o, STEPS, &opt[i]));
    }
    for (int step = 0; step < STEPS; step++) {
      CHECK_OK(D.trainer_step(trainer, 0, NULL));
      if (step == STEPS / 2) {
        CHECK_OK(D.optimizer_save(opt[0], path));
        CHECK_OK(D.optimizer_load(opt[1], path));
        remove(path);
      }
      for (int i = 0; i < (step < STEPS / 2 ? 1 : 2); i++) {
        CHECK_OK(D.optimizer_current(opt[i], &now));
        memset(a, 0, (size_t)count * sizeof *a);
        CHECK_OK(D.flow_log_prob_vjp_f64(now, rows, ROWS, NULL, 0, down, NULL, NULL, NULL, NULL, a));
        CHECK_OK(D.optimizer_step_f64(opt[i], a, &report));
        D.flow_destroy(now);
      }
    }
    CHECK(report.steps == STEPS && report.skipped_steps == 0 && report.cut_steps > 0, "%d steps", (int)report.steps);
    for (int i = 0; i < 2; i++) {
      CHECK_OK(D.optimizer_current(opt[i], &now));
      CHECK_OK(D.flow_parameters_f64(now, i ? b : a));
      D.flow_destroy(now);
    }
    CHECK(memcmp(a, b, (size_t)count * sizeof *a) == 0, "continued, other weights");
    CHECK_OK(D.trainer_current(trainer, &trained));
    CHECK_OK(D.flow_parameters_f64(trained, b));
    double worst = 0;
    for (int64_t i = 0; i < count; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    CHECK(worst < 1e-9, "optimizer %d: %g away from the trainer", optimizer, worst);
    CHECK_OK(D.optimizer_average(opt[0], &now));
    CHECK_OK(D.flow_parameters_f64(now, b));
    CHECK(memcmp(a, b, (size_t)count * sizeof *a) != 0, "the average is the latest");
    D.flow_destroy(now);

    /* Single precision, and what is left out. */
    for (int64_t i = 0; i < count; i++) narrow[i] = 0.5f;
    CHECK_OK(D.optimizer_step_f32(opt[0], narrow, &report));
    CHECK(report.steps == STEPS + 1 && report.skipped_steps == 0, "%d", (int)report.skipped_steps);
    for (int64_t i = 0; i < count; i++) narrow[i] = NAN;
    CHECK_OK(D.optimizer_set_learning_rate(opt[0], 1));
    CHECK_OK(D.optimizer_current(opt[0], &now));
    CHECK_OK(D.flow_parameters_f64(now, a));
    D.flow_destroy(now);
    CHECK_OK(D.optimizer_step_f32(opt[0], narrow, NULL));
    CHECK_OK(D.optimizer_report(opt[0], &report));
    CHECK_OK(D.optimizer_current(opt[0], &now));
    CHECK_OK(D.flow_parameters_f64(now, b));
    CHECK(report.skipped_steps == 1 && memcmp(a, b, (size_t)count * sizeof *a) == 0, "moved by NaN");
    D.flow_destroy(now), D.flow_destroy(begun), D.flow_destroy(trained), D.flow_destroy(flow);
    for (int i = 0; i < 2; i++) D.optimizer_destroy(opt[i]);
    D.trainer_destroy(trainer);
    free(a), free(b), free(narrow);
  }
}

/* To a file, to bytes, to numbers, and back: the same flow each time. */
static void storage(const char *kind, int32_t dtype) {
  diffeo_flow *flow = make_flow(kind, DIM, 2, dtype), *copies[3] = {NULL, NULL, NULL};
  char path[512], text[4096];
  size_t size = 0, length = 0;
  CHECK_OK(D.flow_set_metadata(flow, "data", "moons \xc3\xa9"));
  CHECK_OK(D.flow_set_metadata(flow, "author", "nobody"));
  snprintf(path, sizeof path, "%s/smoke-%s-%d.h5", folder, kind, dtype);

  CHECK_OK(D.flow_save(flow, path));
  CHECK_OK(D.flow_save(flow, path)); /* over itself */
  CHECK_OK(D.flow_load(path, &copies[0]));
  remove(path);

  CHECK_OK(D.flow_save_memory(flow, NULL, 0, &size));
  void *bytes = malloc(size);
  CHECK(size > 0, "%zu", size);
  CHECK_OK(D.flow_save_memory(flow, bytes, size, &size));
  CHECK_OK(D.flow_load_memory(bytes, size, &copies[1]));
  free(bytes);

  int64_t count = D.flow_parameter_count(flow);
  double *parameters = malloc((size_t)count * sizeof *parameters), *same = malloc((size_t)count * sizeof *same);
  float *narrow = malloc((size_t)count * sizeof *narrow);
  CHECK_OK(D.flow_parameters_f64(flow, parameters));
  CHECK_OK(D.flow_parameters_f32(flow, narrow));
  for (int64_t i = 0; i < count; i++) CHECK(narrow[i] == (float)parameters[i], "parameter %lld", (long long)i);
  CHECK_OK(D.flow_with_parameters_f64(flow, parameters, &copies[2]));

  double expected[N], got[N];
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, context, N, NULL, expected));
  for (int i = 0; i < 3; i++) {
    diffeo_flow *copy = copies[i];
    CHECK(D.flow_dim(copy) == DIM && D.flow_context_dim(copy) == 2 && D.flow_dtype(copy) == dtype, "copy %d", i);
    CHECK(D.flow_layer_count(copy) == D.flow_layer_count(flow), "%lld layers", (long long)D.flow_layer_count(copy));
    CHECK(D.flow_parameter_count(copy) == count, "%lld parameters", (long long)D.flow_parameter_count(copy));
    CHECK_OK(D.flow_parameters_f64(copy, same));
    CHECK(memcmp(same, parameters, (size_t)count * sizeof *same) == 0, "%s: parameters of copy %d differ", kind, i);
    CHECK_OK(D.flow_log_prob_f64(copy, x, N, context, N, NULL, got));
    CHECK(memcmp(got, expected, sizeof got) == 0, "%s: log_prob of copy %d differs", kind, i);
    CHECK(D.flow_metadata_count(copy) == 2, "%lld", (long long)D.flow_metadata_count(copy));
    CHECK_OK(D.flow_metadata(copy, "data", text, sizeof text, &length));
    CHECK(strcmp(text, "moons \xc3\xa9") == 0 && length == 8, "%s", text);
    CHECK_OK(D.flow_metadata_key(copy, 0, text, sizeof text, NULL));
    CHECK(strcmp(text, "author") == 0, "keys are ordered: %s", text);
    D.flow_destroy(copy);
  }

  CHECK_OK(D.flow_describe(flow, NULL, 0, &length));
  CHECK(length > 20 && length < sizeof text, "%zu", length);
  CHECK_OK(D.flow_describe(flow, text, sizeof text, NULL));
  CHECK(strlen(text) == length, "%zu and %zu", strlen(text), length);
  CHECK_OK(D.flow_describe(flow, text, 8, &size));
  CHECK(strlen(text) == 7 && size == length, "%s", text);
  CHECK_OK(D.flow_set_metadata(flow, "data", NULL));
  CHECK(D.flow_metadata_count(flow) == 1, "%lld", (long long)D.flow_metadata_count(flow));
  CHECK_STATUS(D.flow_metadata(flow, "data", text, sizeof text, NULL), DIFFEO_EINVAL);
  free(parameters), free(same), free(narrow);
  D.flow_destroy(flow);
}

/* Every kind of layer in one spec, evaluated; the spec survives its flow and the flow its spec. */
static void layers(void) {
  diffeo_spec *spec = NULL;
  diffeo_flow *flow = NULL;
  diffeo_autoregressive_options a;
  diffeo_coupling_options c;
  diffeo_network_options n;
  diffeo_map_options m;
  const int64_t hidden[] = {11}, order[] = {2, 0, 1}, permutation[] = {1, 2, 0};
  const uint8_t mask[] = {0, 1, 1};
  const double mean[] = {0.3, -0.2, 0.1}, std[] = {1.2, 0.7, 2.1};
  CHECK_OK(D.spec_create(DIM, 2, DIFFEO_F64, &spec));
  CHECK_OK(D.network_options_init(&n, sizeof n));
  CHECK_OK(D.map_options_init(&m, sizeof m));
  n.hidden = hidden;
  CHECK_OK(D.spec_standardize_context(spec, mean, std));
  CHECK_OK(D.spec_add_standardize(spec, mean, std));
  for (int i = DIFFEO_ORDER_NATURAL; i <= DIFFEO_ORDER_GIVEN; i++) {
    CHECK_OK(D.autoregressive_options_init(&a, sizeof a));
    n.hidden_count = i % 2, n.activation = i, m.scale = i;
    a.order = i, a.order_given = order, a.degrees = 1 + i % 2, a.network = &n, a.map = &m;
    CHECK_OK(D.spec_add_autoregressive(spec, &a));
    if (i % 2) CHECK_OK(D.spec_invert(spec));
  }
  for (int i = DIFFEO_MASK_EVEN; i <= DIFFEO_MASK_GIVEN; i++) {
    CHECK_OK(D.coupling_options_init(&c, sizeof c));
    n.hidden_count = 1, n.activation = i + 2, m.scale = i;
    c.mask = i, c.mask_given = mask, c.network = &n, c.map = &m;
    CHECK_OK(D.spec_add_coupling(spec, &c));
  }
  CHECK_OK(D.spec_add_autoregressive(spec, NULL));
  CHECK_OK(D.spec_add_coupling(spec, NULL));
  CHECK_OK(D.spec_add_permutation(spec, permutation));
  CHECK_OK(D.spec_add_reverse(spec));
  CHECK_OK(D.spec_add_random_permutation(spec, 5));
  CHECK_OK(D.spec_add_actnorm(spec));
  CHECK_OK(D.flow_create(spec, 1, &flow));
  D.flow_destroy(flow);
  CHECK_OK(D.flow_create(spec, 1, &flow));
  D.spec_destroy(spec);
  double z[N * DIM], back[N * DIM];
  CHECK_OK(D.flow_to_noise_f64(flow, x, N, context, N, NULL, z, NULL));
  CHECK_OK(D.flow_from_noise_f64(flow, z, N, context, N, NULL, back, NULL));
  CHECK(worst(back, x, N * DIM) < 1e-9, "%g", worst(back, x, N * DIM));
  CHECK(D.flow_layer_count(flow) >= 17, "%lld", (long long)D.flow_layer_count(flow));
  D.flow_destroy(flow);
}

/* Flows by name take all that a network has; a context_mode where there are columns beside the context. */
static void networks(void) {
#define NAME_OF(name) #name,
  static const char *const names[] = {NAMED_FLOWS(NAME_OF) "made"};
  static const int64_t hidden[] = {9, 9};
  for (int i = 0; i < COUNT(names); i++) {
    diffeo_architecture_options o;
    diffeo_network_options network;
    diffeo_flow *flow = NULL;
    char text[4096];
    CHECK_OK(D.architecture_options_init(&o, sizeof o));
    CHECK_OK(D.network_options_init(&network, sizeof network));
    network.hidden = hidden, network.hidden_count = 2, network.activation = DIFFEO_ELU;
    network.blocks = DIFFEO_BLOCKS_PREACTIVATION, network.normalized = 1, network.context_mode = DIFFEO_CONTEXT_GATE;
    network.dropout = 0.25;
    o.dim = DIM, o.context_dim = 2, o.transforms = strcmp(names[i], "made") == 0 ? 0 : 2, o.network = &network;
    CHECK_OK(create_named(names[i], &o, &flow));
    CHECK_OK(D.flow_describe(flow, text, sizeof text, NULL));
    const int unit = strcmp(names[i], "planar") == 0 || strcmp(names[i], "radial") == 0;
    CHECK(strstr(text, "9 x 9 elu, residual blocks with normalized preactivation") != NULL, "%s: %s", names[i], text);
    CHECK((strstr(text, "gated by the context") == NULL) == unit, "%s: %s", names[i], text);
    CHECK(strstr(text, "dropout 0.25") != NULL, "%s: %s", names[i], text);
    D.flow_destroy(flow);
  }
}

/* What the bases say of z, by the formulas; a flow of no layers, so that x is z. */
static void bases(int32_t dtype) {
  static const struct {
    int32_t base;
    double df;
  } kinds[] = {{DIFFEO_BASE_STANDARD_NORMAL, 0}, {DIFFEO_BASE_NORMAL, 0}, {DIFFEO_BASE_LOGISTIC, 0},
               {DIFFEO_BASE_UNIFORM, 0}, {DIFFEO_BASE_STUDENT_T, 2.5}, {DIFFEO_BASE_MIXTURE, 0}, {DIFFEO_BASE_BETA, 0}};
  for (int k = 0; k < COUNT(kinds); k++)
    for (int again = 0; again < 2; again++) {
      diffeo_spec *spec = NULL;
      diffeo_flow *flow = NULL;
      diffeo_base_options o;
      diffeo_network_options network;
      CHECK_OK(D.base_options_init(&o, sizeof o));
      CHECK_OK(D.network_options_init(&network, sizeof network));
      o.base = kinds[k].base, o.low = -1.5, o.high = 2, o.network = again && kinds[k].base != DIFFEO_BASE_STANDARD_NORMAL && kinds[k].base != DIFFEO_BASE_LOGISTIC &&
                          kinds[k].base != DIFFEO_BASE_UNIFORM && kinds[k].base != DIFFEO_BASE_BETA
                      ? &network
                      : NULL;
      o.alpha = 2, o.beta = 3;
      if (kinds[k].df > 0) o.df = kinds[k].df;
      CHECK_OK(D.spec_create(DIM, 2, dtype, &spec));
      CHECK_OK(D.spec_set_base(spec, NULL)); /* the last one said counts */
      CHECK_OK(D.spec_set_base(spec, &o));
      CHECK_OK(D.flow_create(spec, 4, &flow));
      D.spec_destroy(spec);
      double log_prob[N], expected[N], z[N * DIM], sample[N * DIM], of_sample[N], beside[N];
      CHECK_OK(D.flow_log_prob_f64(flow, x, N, context, N, NULL, log_prob));
      CHECK_OK(D.flow_to_noise_f64(flow, x, N, context, N, NULL, z, NULL));
      for (int i = 0; i < N; i++) {
        expected[i] = 0;
        for (int j = 0; j < DIM; j++) {
          const double t = x[i * DIM + j], nu = kinds[k].df;
          switch (o.base) {
            case DIFFEO_BASE_LOGISTIC: expected[i] -= t + 2 * log1p(exp(-t)); break;
            case DIFFEO_BASE_UNIFORM: expected[i] -= t >= -1.5 && t <= 2 ? log(3.5) : INFINITY; break;
            case DIFFEO_BASE_BETA: /* 1 / B(2, 3) is 12 */
              expected[i] += t > -1.5 && t < 2 ? log(12 * (t + 1.5) * (2 - t) * (2 - t) / (3.5 * 3.5 * 3.5 * 3.5)) : -INFINITY;
              break;
            case DIFFEO_BASE_STUDENT_T:
              expected[i] += lgamma((nu + 1) / 2) - lgamma(nu / 2) - 0.5 * log(nu * 3.14159265358979323846) -
                             (nu + 1) / 2 * log1p(t * t / nu);
              break;
            default: expected[i] -= 0.5 * (t * t + 1.8378770664093454836);
          }
        }
        /* A network begins near the numbers that vectors begin with, but for the means, which are drawn. */
        const double tolerance = again && k != 2 && k != 3 && k != 6 ? 0.5 : dtype == DIFFEO_F32 ? 1e-5 : 1e-13;
        if (o.base == DIFFEO_BASE_MIXTURE) CHECK(isfinite(log_prob[i]), "%g", log_prob[i]);
        else
          CHECK(log_prob[i] == expected[i] || fabs(log_prob[i] - expected[i]) < tolerance * (1 + fabs(expected[i])),
                "base %d, row %d: %g, not %g", o.base, i, log_prob[i], expected[i]);
      }
      CHECK_OK(D.flow_sample_f64(flow, 5, 0, N, context, N, NULL, sample, of_sample));
      CHECK_OK(D.flow_log_prob_f64(flow, sample, N, context, N, NULL, beside));
      CHECK(worst(of_sample, beside, N) < 1e-4, "base %d: samples are off by %g", o.base, worst(of_sample, beside, N));
      D.flow_destroy(flow);
    }
}

/* Integers in, a density on the unit cube: what the base does not cover has none. */
static void integers(void) {
  diffeo_spec *spec = NULL;
  diffeo_flow *flow = NULL;
  diffeo_base_options o;
  CHECK_OK(D.base_options_init(&o, sizeof o));
  o.base = DIFFEO_BASE_UNIFORM;
  CHECK_OK(D.spec_create(2, 0, DIFFEO_F64, &spec));
  CHECK_OK(D.spec_add_dequantize(spec, 256));
  CHECK_OK(D.spec_set_base(spec, &o));
  CHECK_OK(D.flow_create(spec, 0, &flow));
  const double rows[] = {0, 0, 255.5, 17, 256.5, 0, -1, 3};
  double log_prob[4];
  CHECK_OK(D.flow_log_prob_f64(flow, rows, 4, NULL, 0, NULL, log_prob));
  for (int i = 0; i < 2; i++)
    CHECK(fabs(log_prob[i] / (2 * log(2)) + 8) < 1e-12, "%g bits", -log_prob[i] / (2 * log(2)));
  for (int i = 2; i < 4; i++) CHECK(isinf(log_prob[i]) && log_prob[i] < 0, "outside: %g", log_prob[i]);
  D.flow_destroy(flow);
  D.spec_destroy(spec);
}

/* A table: an angle, a real number, a count and a category, by layers of their columns. */
static void table(void) {
  enum { ROWS = 400 };
  const int64_t discrete[] = {2, 3}, levels[] = {0, 3}, angle[] = {0}, count[] = {2}, wide[] = {0, 3};
  const double zero[] = {0}, turn[] = {24}, end[] = {0, 0}, ends[] = {24, 1};
  diffeo_spec *spec = NULL;
  diffeo_flow *flow = NULL, *trained = NULL, *again = NULL;
  diffeo_train_options o;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.max_epochs = 3, o.batch_size = 50;
  CHECK_OK(D.spec_create(4, 0, DIFFEO_F64, &spec));
  CHECK_OK(D.spec_add_dequantize_columns(spec, discrete, 2, levels));
  CHECK_OK(D.spec_add_wrap_columns(spec, angle, 1, zero, turn, 0, 0));
  CHECK_OK(D.spec_add_domain(spec, DIFFEO_DOMAIN_SOFTPLUS, count, 1, zero, NULL));
  CHECK_OK(D.spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, wide, 2, end, ends));
  CHECK_OK(D.spec_add_actnorm(spec));
  CHECK_OK(D.flow_create(spec, 0, &flow));
  int64_t found[4];
  CHECK_OK(D.flow_levels(flow, found));
  CHECK(found[0] == -1 && found[1] == -1 && found[2] == 0 && found[3] == 3, "levels of column 2: %lld", (long long)found[2]);

  static double x[ROWS * 4], density[ROWS], turned[ROWS], bits[ROWS];
  uint64_t seed = 3;
  for (int i = 0; i < ROWS; i++) {
    x[4 * i] = 24 * uniform(&seed);
    x[4 * i + 1] = uniform(&seed) + uniform(&seed);
    x[4 * i + 2] = i % 7;
    x[4 * i + 3] = i % 3;
  }
  CHECK_OK(D.fit_f64(flow, &o, x, ROWS, NULL, 0, NULL, NULL, NULL, &trained, NULL));
  CHECK_OK(D.flow_bits_per_dim_f64(trained, x, ROWS, NULL, 0, 1, 8, NULL, bits));
  for (int i = 0; i < ROWS; i++) x[4 * i + 2] += 0.5, x[4 * i + 3] += 0.5;
  CHECK_OK(D.flow_log_prob_f64(trained, x, ROWS, NULL, 0, NULL, density));
  for (int i = 0; i < ROWS; i++) x[4 * i] -= 48;
  CHECK_OK(D.flow_log_prob_f64(trained, x, ROWS, NULL, 0, NULL, turned));
  double middle = 0, bound = 0; /* bits are a bound, near the density in the middle of the cells */
  for (int i = 0; i < ROWS; i++) {
    CHECK(fabs(density[i] - turned[i]) < 1e-9, "row %d after two turns: %g and %g", i, density[i], turned[i]);
    middle += density[i] / ROWS, bound -= 4 * log(2) * bits[i] / ROWS;
  }
  CHECK(bound < middle && bound > middle - 0.5, "mean log-density %g, of the bits %g", middle, bound);
  x[2] = 1.5, x[3] = 1;
  CHECK(D.flow_bits_per_dim_f64(trained, x, 1, NULL, 0, 1, 8, NULL, bits) == DIFFEO_EINVAL, "1.5 is no count");
  CHECK(strstr(D.last_error(), "1.5 in row 0, column 2") != NULL, "%s", D.last_error());
  x[2] = 1, x[3] = 3;
  CHECK(D.fit_f64(flow, &o, x, 1, NULL, 0, NULL, NULL, NULL, &again, NULL) != DIFFEO_OK, "3 is none of 3 levels");
  CHECK_OK(D.flow_sample_f64(trained, 1, 0, ROWS, NULL, 0, NULL, x, NULL));
  for (int i = 0; i < ROWS; i++)
    CHECK(x[4 * i] >= 0 && x[4 * i] < 24 && x[4 * i + 2] > 0 && x[4 * i + 3] > 0 && x[4 * i + 3] < 3, "sample %d", i);

  size_t size = 0;
  CHECK_OK(D.flow_save_memory(trained, NULL, 0, &size));
  void *bytes = malloc(size);
  CHECK_OK(D.flow_save_memory(trained, bytes, size, &size));
  CHECK_OK(D.flow_load_memory(bytes, size, &again));
  CHECK_OK(D.flow_log_prob_f64(trained, x, ROWS, NULL, 0, NULL, density));
  CHECK_OK(D.flow_log_prob_f64(again, x, ROWS, NULL, 0, NULL, turned));
  CHECK(memcmp(density, turned, sizeof density) == 0, "a table from its file");
  free(bytes);
  D.flow_destroy(flow);
  D.flow_destroy(trained);
  D.flow_destroy(again);
  D.spec_destroy(spec);
}

/* Flows of images: shapes, both directions, counts, temperatures, files, and a training with moves. */
static void of_images(const char *kind, int64_t context_dim, int32_t dtype) {
  enum { IMAGES = 21, SIZE = 32 };
  const double tolerance = dtype == DIFFEO_F32 ? 1e-3 : 1e-9;
  diffeo_flow *flow = new_image_flow(kind, context_dim, dtype), *trained = NULL, *again = NULL;
  int64_t shape[4] = {0, 0, 0, -7};
  CHECK(D.flow_shape(flow, NULL, 0) == 3 && D.flow_dim(flow) == SIZE, "%lld", (long long)D.flow_dim(flow));
  CHECK(D.flow_shape(flow, shape, 1) == 3 && shape[0] == 2 && shape[1] == 0, "%lld", (long long)shape[1]);
  CHECK(D.flow_shape(flow, shape, 4) == 3 && shape[0] == 2 && shape[1] == 4 && shape[2] == 4 && shape[3] == -7, "shape");
  static double counts[IMAGES * SIZE], z[IMAGES * SIZE], back[IMAGES * SIZE], cold[IMAGES * SIZE];
  static float narrow[IMAGES * SIZE];
  double a[IMAGES], b[IMAGES], log_det[IMAGES], log_det_cold[IMAGES];
  float bits32[IMAGES];
  uint64_t state = 3;
  for (int i = 0; i < IMAGES * SIZE; i++) counts[i] = floor(8 + 8 * uniform(&state));
  to_float(counts, narrow, IMAGES * SIZE);
  const double *c = context_dim > 0 ? context : NULL;
  const int64_t nc = context_dim > 0 ? IMAGES : 0;

  diffeo_train_options o;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.max_epochs = 2, o.batch_size = 7, o.learning_rate = 0.02, o.image_flip = 1, o.image_shift = 1;
  CHECK_OK(D.fit_f64(flow, &o, counts, IMAGES, c, nc, NULL, NULL, NULL, &trained, NULL));
  D.flow_destroy(flow);

  CHECK_OK(D.flow_to_noise_f64(trained, counts, IMAGES, c, nc, NULL, z, log_det));
  CHECK_OK(D.flow_from_noise_f64(trained, z, IMAGES, c, nc, NULL, back, a));
  CHECK(worst(back, counts, IMAGES * SIZE) < tolerance, "%s: back off by %g", kind, worst(back, counts, IMAGES * SIZE));
  for (int i = 0; i < IMAGES; i++) a[i] = -a[i];
  CHECK(worst(a, log_det, IMAGES) < tolerance, "%s: log_det differs by %g", kind, worst(a, log_det, IMAGES));

  /* The mean of two draws is half of the first and half of the other; the same in both types of buffers. */
  CHECK_OK(D.flow_bits_per_dim_f64(trained, counts, IMAGES, c, nc, 9, 1, NULL, a));
  CHECK_OK(D.flow_bits_per_dim_f64(trained, counts, IMAGES, c, nc, 9, 64, NULL, b));
  for (int i = 0; i < IMAGES; i++)
    CHECK(isfinite(a[i]) && fabs(a[i] - b[i]) < 1, "%s: %g bits of one draw, %g of 64", kind, a[i], b[i]);
  if (context_dim == 0) {
    CHECK_OK(D.flow_bits_per_dim_f32(trained, narrow, IMAGES, NULL, 0, 9, 1, NULL, bits32));
    for (int i = 0; i < IMAGES; i++) CHECK(bits32[i] == (float)a[i], "%s: %.9g and %.9g", kind, bits32[i], a[i]);
  }

  /* Tempered noise is half as far, and the density is that of such samples. */
  CHECK_OK(D.flow_sample_f64(trained, 4, 0, IMAGES, c, nc, NULL, back, a));
  CHECK_OK(D.flow_sample_tempered_f64(trained, 1, 4, 0, IMAGES, c, nc, NULL, cold, b));
  CHECK(memcmp(back, cold, sizeof cold) == 0 && memcmp(a, b, sizeof a) == 0, "%s: temperature 1 differs", kind);
  CHECK_OK(D.flow_sample_tempered_f64(trained, 0.5, 4, 0, IMAGES, c, nc, NULL, cold, b));
  CHECK_OK(D.flow_to_noise_f64(trained, back, IMAGES, c, nc, NULL, z, log_det));
  CHECK_OK(D.flow_to_noise_f64(trained, cold, IMAGES, c, nc, NULL, back, log_det_cold));
  for (int i = 0; i < IMAGES * SIZE; i++) z[i] /= 2;
  CHECK(worst(back, z, IMAGES * SIZE) < 20 * tolerance, "%s: tempered off by %g", kind, worst(back, z, IMAGES * SIZE));
  for (int i = 0; i < IMAGES; i++) a[i] += log_det_cold[i] - log_det[i] + SIZE * log(2);
  CHECK(worst(b, a, IMAGES) < 20 * tolerance, "%s: tempered log_prob off by %g", kind, worst(b, a, IMAGES));

  size_t size = 0;
  CHECK_OK(D.flow_save_memory(trained, NULL, 0, &size));
  void *bytes = malloc(size);
  CHECK_OK(D.flow_save_memory(trained, bytes, size, &size));
  CHECK_OK(D.flow_load_memory(bytes, size, &again));
  shape[1] = 0;
  CHECK(D.flow_shape(again, shape, 3) == 3 && shape[1] == 4, "the shape of a loaded flow");
  CHECK_OK(D.flow_log_prob_f64(trained, counts, IMAGES, c, nc, NULL, a));
  CHECK_OK(D.flow_log_prob_f64(again, counts, IMAGES, c, nc, NULL, b));
  CHECK(memcmp(a, b, sizeof a) == 0, "%s: a loaded flow differs", kind);
  free(bytes);
  D.flow_destroy(trained), D.flow_destroy(again);
}

static void images(void) {
  for (int32_t dtype = DIFFEO_F32; dtype <= DIFFEO_F64; dtype++)
    for (int64_t context_dim = 0; context_dim <= 2; context_dim += 2) {
#define OF_IMAGES(name) of_images(#name, context_dim, dtype);
      IMAGE_FLOWS(OF_IMAGES)
    }
  /* Layer by layer: the map as it goes. */
  diffeo_spec *spec = NULL;
  diffeo_flow *flow = NULL;
  diffeo_split_options split;
  int64_t map[3];
  CHECK_OK(D.split_options_init(&split, sizeof split));
  CHECK_OK(D.spec_create_image(3, 4, 6, 0, DIFFEO_F64, &spec));
#define MAP_IS(c, h, w)                   \
  CHECK_OK(D.spec_map(spec, map));        \
  CHECK(map[0] == (c) && map[1] == (h) && map[2] == (w), "%d x %d x %d", (int)map[0], (int)map[1], (int)map[2])
  MAP_IS(3, 4, 6);
  CHECK_OK(D.spec_add_squeeze(spec, DIFFEO_SQUEEZE_PLACES));
  MAP_IS(12, 2, 3);
  split.keep = DIFFEO_IMAGE_MASK_LAST, split.prior = 0;
  CHECK_OK(D.spec_add_split(spec, &split));
  MAP_IS(6, 2, 3);
  CHECK_OK(D.spec_add_image_coupling(spec, NULL));
  CHECK_OK(D.spec_add_split(spec, NULL));
  MAP_IS(3, 2, 3);
  CHECK_STATUS(D.spec_add_unsqueeze(spec, DIFFEO_SQUEEZE_CHANNELS), DIFFEO_EINVAL);
  MAP_IS(3, 2, 3);
  CHECK_OK(D.flow_create(spec, 1, &flow));
  CHECK(D.flow_layer_count(flow) == 3, "%lld layers", (long long)D.flow_layer_count(flow));
  D.flow_destroy(flow), D.spec_destroy(spec);
  CHECK_OK(D.spec_create(5, 0, DIFFEO_F32, &spec));
  MAP_IS(5, 1, 1);
  CHECK_OK(D.flow_create(spec, 1, &flow));
  map[1] = -7;
  CHECK(D.flow_shape(flow, map, 3) == 1 && map[0] == 5 && map[1] == -7, "the shape of rows");
  D.flow_destroy(flow), D.spec_destroy(spec);
}

/* Two inversions are none; angles count modulo their period. */
static void turns(void) {
  diffeo_flow *flow = make_flow("torus_spline_autoregressive", DIM, 0, DIFFEO_F64);
  double turned[N * DIM], a[N], b[N];
  for (int i = 0; i < N * DIM; i++) turned[i] = x[i] + 13 * (i % 5 - 2);
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, NULL, 0, NULL, a));
  CHECK_OK(D.flow_log_prob_f64(flow, turned, N, NULL, 0, NULL, b));
  CHECK(worst(b, a, N) < 1e-11, "the density is not periodic by %g", worst(b, a, N));
  D.flow_destroy(flow);
  for (int inversions = 0; inversions < 3; inversions++) {
    diffeo_spec *spec = NULL;
    double z[N * DIM];
    static double first[N * DIM];
    CHECK_OK(D.spec_create(DIM, 0, DIFFEO_F64, &spec));
    CHECK_OK(D.spec_add_radial(spec, NULL));
    for (int i = 0; i < inversions; i++) CHECK_OK(D.spec_invert(spec));
    CHECK_OK(D.flow_create(spec, 3, &flow));
    CHECK_OK(D.flow_to_noise_f64(flow, x, N, NULL, 0, NULL, z, NULL));
    if (inversions == 0) memcpy(first, z, sizeof z);
    CHECK((memcmp(first, z, sizeof z) == 0) == (inversions != 1), "after %d inversions", inversions);
    D.flow_destroy(flow);
    D.spec_destroy(spec);
  }
}

static int epochs_seen;
static int stop_after_two(const diffeo_train_report *report, void *user) {
  (void)user;
  CHECK(is_at_home(), "on_progress runs in another floating-point environment");
  epochs_seen = (int)report->epoch;
  return report->epoch == 2;
}

static void training(int32_t dtype) {
  enum { ROWS = 900 };
  static double rows[ROWS * DIM];
  make_rows(rows, ROWS, DIM, 99);
  diffeo_flow *flow = new_flow("maf", DIM, 0, dtype), *best = NULL, *current = NULL;
  diffeo_trainer *trainer = NULL;
  diffeo_train_options o;
  diffeo_train_report report = {.struct_size = sizeof report};
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.batch_size = 64, o.max_epochs = 4, o.learning_rate = 5e-3, o.seed = 3, o.threads = 2;
  CHECK_OK(D.trainer_create_f64(flow, &o, rows, ROWS, NULL, 0, NULL, &trainer));
  CHECK(D.trainer_finished(trainer) == 0, "finished at once");
  CHECK_OK(D.trainer_step(trainer, 3, &report));
  CHECK(report.batch == 3 && report.epoch == 0 && report.state == DIFFEO_TRAIN_RUNNING, "batch %lld of epoch %lld",
        (long long)report.batch, (long long)report.epoch);
  CHECK(report.train_rows == 810 && report.validation_rows == 90 && report.batches_per_epoch == 13, "%lld %lld %lld",
        (long long)report.train_rows, (long long)report.validation_rows, (long long)report.batches_per_epoch);
  double first = NAN;
  while (!D.trainer_finished(trainer)) {
    CHECK_OK(D.trainer_step(trainer, 0, &report));
    if (report.epoch == 1) first = report.validation_log_prob;
  }
  CHECK(report.state == DIFFEO_TRAIN_MAX_EPOCHS && report.epoch == 4, "state %d", report.state);
  CHECK(report.best_log_prob > first, "%g is not better than %g", report.best_log_prob, first);
  CHECK_OK(D.trainer_step(trainer, 0, &report));
  CHECK(report.epoch == 4, "a step after the end: epoch %lld", (long long)report.epoch);
  CHECK_OK(D.trainer_best(trainer, &best));
  CHECK_OK(D.trainer_current(trainer, &current));
  double *log_prob = malloc(ROWS * sizeof *log_prob), before = 0, after = 0;
  CHECK_OK(D.flow_log_prob_f64(flow, rows, ROWS, NULL, 0, NULL, log_prob));
  for (int i = 0; i < ROWS; i++) before += log_prob[i] / ROWS;
  CHECK_OK(D.flow_log_prob_f64(best, rows, ROWS, NULL, 0, NULL, log_prob));
  for (int i = 0; i < ROWS; i++) after += log_prob[i] / ROWS;
  CHECK(after > before + 0.3, "training went from %g to %g nats", before, after);
  free(log_prob);
  D.flow_destroy(best);
  D.flow_destroy(current);
  D.trainer_destroy(trainer);

  /* The same in one call, stopped: the one failure that gives a result. */
  best = NULL;
  CHECK_STATUS(D.fit_f64(flow, &o, rows, ROWS, NULL, 0, NULL, stop_after_two, NULL, &best, &report), DIFFEO_ECANCELLED);
  CHECK(best != NULL && epochs_seen == 2 && report.epoch == 2, "after epoch %d", epochs_seen);
  CHECK(report.state == DIFFEO_TRAIN_CANCELLED, "state %d", report.state);
  D.flow_destroy(best);

  /* Cancelled: this step and later ones. */
  CHECK_OK(D.trainer_create_f64(flow, &o, rows, ROWS, NULL, 0, NULL, &trainer));
  CHECK_OK(D.trainer_set_validation_f64(trainer, rows, 50, NULL, 0, NULL));
  CHECK_OK(D.trainer_step(trainer, 1, NULL));
  CHECK_STATUS(D.trainer_set_validation_f64(trainer, rows, 50, NULL, 0, NULL), DIFFEO_ESTATE);
  D.trainer_cancel(trainer);
  CHECK_STATUS(D.trainer_step(trainer, 1, NULL), DIFFEO_ECANCELLED);
  CHECK_STATUS(D.trainer_step(trainer, 1, NULL), DIFFEO_ECANCELLED);
  CHECK(D.trainer_finished(trainer) == 1, "a cancelled trainer is not finished");
  best = NULL;
  CHECK_OK(D.trainer_best(trainer, &best));
  D.flow_destroy(best);
  D.trainer_destroy(trainer);
  D.flow_destroy(flow);
}

int main(int argc, char **argv) {
  if (argc > 1) folder = argv[1];
  choose_parts(argc - 2, argv + 2);
  load_library();
  make_rows(x, N, DIM, 1);
  make_rows(context, N, 2, 2);
  PART(version);
  for (int k = 0; k < COUNT(all_flows); k++) {
    if (!wanted(all_flows[k])) continue;
    for (int32_t dtype = DIFFEO_F32; dtype <= DIFFEO_F64; dtype++) {
      for (int64_t dim = 1; dim <= DIM; dim += DIM - 1) {
        evaluation(all_flows[k], dim, 0, dtype);
        evaluation(all_flows[k], dim, 2, dtype);
        if (dtype == DIFFEO_F64 && dim == DIM) pullbacks(all_flows[k], dim, 0), pullbacks(all_flows[k], dim, 2);
      }
      storage(all_flows[k], dtype);
    }
  }
  PART(layers);
  PART(networks);
  if (wanted("bases")) bases(DIFFEO_F32), bases(DIFFEO_F64);
  PART(integers);
  PART(table);
  PART(images);
  PART(turns);
  PART(inference);
  PART(optimizers);
  if (wanted("training")) training(DIFFEO_F32), training(DIFFEO_F64);
  return checks_end("smoke");
}
