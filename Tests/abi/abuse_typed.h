/* Of abuse.c, included once for each type of buffers: T is the type, F(name) the function, TYPED(name) a name. */

static void TYPED(evaluation)(void) {
  T x[N * DIM], context[N * CONTEXT];
  T *o = OUT(0), *p = OUT(1), *q = OUT(2);
  for (int i = 0; i < N * DIM; i++) x[i] = (T)(0.01 * i - 0.2385);
  for (int i = 0; i < N * CONTEXT; i++) context[i] = (T)(0.3 - 0.02 * i);

  /* NULL for every pointer in turn */
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_log_prob)(NULL, x, N, NULL, 0, NULL, o));
  REFUSED(DIFFEO_EINVAL, "x", F(flow_log_prob)(flow, NULL, N, NULL, 0, NULL, o));
  REFUSED(DIFFEO_EINVAL, "context", F(flow_log_prob)(conditional, x, N, NULL, N, NULL, o));
  REFUSED(DIFFEO_EINVAL, "log_prob", F(flow_log_prob)(flow, x, N, NULL, 0, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_log_prob_gradient)(NULL, x, N, NULL, 0, NULL, o, p, NULL));
  REFUSED(DIFFEO_EINVAL, "x", F(flow_log_prob_gradient)(flow, NULL, N, NULL, 0, NULL, o, p, NULL));
  REFUSED(DIFFEO_EINVAL, "context", F(flow_log_prob_gradient)(conditional, x, N, NULL, 1, NULL, o, p, q));
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_to_noise)(NULL, x, N, NULL, 0, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "x", F(flow_to_noise)(flow, NULL, N, NULL, 0, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "context", F(flow_to_noise)(conditional, x, N, NULL, 1, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "z", F(flow_to_noise)(flow, x, N, NULL, 0, NULL, NULL, p));
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_from_noise)(NULL, x, N, NULL, 0, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "z", F(flow_from_noise)(flow, NULL, N, NULL, 0, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "context", F(flow_from_noise)(conditional, x, N, NULL, 1, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "x", F(flow_from_noise)(flow, x, N, NULL, 0, NULL, NULL, p));
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_sample)(NULL, 1, 0, N, NULL, 0, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "context", F(flow_sample)(conditional, 1, 0, N, NULL, N, NULL, o, p));
  REFUSED(DIFFEO_EINVAL, "x", F(flow_sample)(flow, 1, 0, N, NULL, 0, NULL, NULL, p));

  /* numbers of rows that cannot be */
  static const struct {
    int64_t n;
    const char *piece;
  } rows[] = {{-1, "-1"}, {INT64_MIN, "-9223372036854775808"}, {INT64_MAX, "9223372036854775807"},
              {INT64_MAX / DIM, "3074457345618258602"}, {INT64_MAX / sizeof(T), ""}};
  for (int i = 0; i < COUNT(rows); i++) {
    const int64_t n = rows[i].n;
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_log_prob)(flow, x, n, NULL, 0, NULL, o));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_log_prob_gradient)(flow, x, n, NULL, 0, NULL, o, p, NULL));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_to_noise)(flow, x, n, NULL, 0, NULL, o, p));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_from_noise)(flow, x, n, NULL, 0, NULL, o, p));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_sample)(flow, 1, 0, n, NULL, 0, NULL, o, p));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_log_prob)(conditional, x, n, context, 1, NULL, o));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(flow_log_prob)(conditional, x, n, context, n, NULL, o));
    diffeo_trainer **t = OUT(0);
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(trainer_create)(flow, NULL, x, n, NULL, 0, NULL, t));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(trainer_set_validation)(trainer, x, n, NULL, 0, NULL));
    REFUSED(DIFFEO_EINVAL, rows[i].piece, F(fit)(flow, NULL, x, n, NULL, 0, NULL, NULL, NULL, OUT(0), NULL));
  }

  /* contexts that do not fit */
  static const struct {
    int64_t n;
    const char *piece;
  } contexts[] = {{0, "0"}, {2, "2"}, {N - 1, ""}, {N + 1, ""}, {INT64_MAX, "9223372036854775807"}};
  for (int i = 0; i < COUNT(contexts); i++) {
    const int64_t n = contexts[i].n;
    const char *piece = contexts[i].piece;
    REFUSED(DIFFEO_ESHAPE, piece, F(flow_log_prob)(conditional, x, N, context, n, NULL, o));
    REFUSED(DIFFEO_ESHAPE, piece, F(flow_log_prob_gradient)(conditional, x, N, context, n, NULL, o, p, q));
    REFUSED(DIFFEO_ESHAPE, piece, F(flow_to_noise)(conditional, x, N, context, n, NULL, o, p));
    REFUSED(DIFFEO_ESHAPE, piece, F(flow_from_noise)(conditional, x, N, context, n, NULL, o, p));
    REFUSED(DIFFEO_ESHAPE, piece, F(flow_sample)(conditional, 1, 0, N, context, n, NULL, o, p));
    REFUSED(DIFFEO_ESHAPE, piece, F(trainer_create)(conditional, NULL, x, N, context, n, NULL, OUT(0)));
    REFUSED(DIFFEO_ESHAPE, piece, F(trainer_set_validation)(conditional_trainer, x, N, context, n, NULL));
    REFUSED(DIFFEO_ESHAPE, piece, F(fit)(conditional, NULL, x, N, context, n, NULL, NULL, NULL, OUT(0), NULL));
  }
  REFUSED(DIFFEO_EINVAL, "-1", F(flow_log_prob)(conditional, x, N, context, -1, NULL, o));
  REFUSED(DIFFEO_EINVAL, "-1", F(flow_sample)(conditional, 1, 0, N, context, -1, NULL, o, p));
  REFUSED(DIFFEO_ESHAPE, "context", F(flow_log_prob)(flow, x, N, context, N, NULL, o));
  REFUSED(DIFFEO_ESHAPE, "context", F(flow_log_prob)(flow, x, N, context, 0, NULL, o));
  REFUSED(DIFFEO_ESHAPE, "1", F(flow_log_prob)(flow, x, N, NULL, 1, NULL, o));
  REFUSED(DIFFEO_EINVAL, "-1", F(flow_log_prob)(flow, x, N, NULL, -1, NULL, o));

  /* no rows: nothing to read, nothing to write */
  ISOLATED("no rows") {
    CHECK_OK(F(flow_log_prob)(flow, NULL, 0, NULL, 0, NULL, NULL));
    CHECK_OK(F(flow_log_prob)(flow, x, 0, NULL, 0, NULL, o));
    CHECK_OK(F(flow_log_prob)(conditional, NULL, 0, NULL, 0, NULL, o));
    CHECK_OK(F(flow_log_prob)(conditional, x, 0, context, 1, NULL, o));
    CHECK_OK(F(flow_log_prob_gradient)(conditional, x, 0, context, 1, NULL, o, p, q));
    CHECK_OK(F(flow_to_noise)(flow, NULL, 0, NULL, 0, NULL, o, p));
    CHECK_OK(F(flow_from_noise)(flow, NULL, 0, NULL, 0, NULL, o, p));
    CHECK_OK(F(flow_sample)(flow, 1, 0, 0, NULL, 0, NULL, o, p));
    CHECK(memcmp(outputs, paint, sizeof paint) == 0, "calls with no rows wrote something");
  }

  /* what is written is what was promised, and not a byte more */
  for (int64_t n = 1; n <= N; n += 6)
    ISOLATED("exact outputs") {
      const size_t one = (size_t)n * sizeof(T);
      CHECK_OK(F(flow_log_prob_gradient)(conditional, x, n, context, 1, NULL, o, p, q));
      CHECK(only_first(0, one) && only_first(1, one * DIM) && only_first(2, one * CONTEXT), "%d rows", (int)n);
      paint_outputs();
      CHECK_OK(F(flow_log_prob_gradient)(flow, x, n, NULL, 0, NULL, NULL, p, q));
      CHECK(only_first(0, 0) && only_first(1, one * DIM) && only_first(2, 0), "%d rows", (int)n);
      paint_outputs();
      CHECK_OK(F(flow_to_noise)(conditional, x, n, context, n, NULL, o, p));
      CHECK(only_first(0, one * DIM) && only_first(1, one), "%d rows", (int)n);
      paint_outputs();
      CHECK_OK(F(flow_from_noise)(conditional, x, n, context, n, NULL, o, NULL));
      CHECK(only_first(0, one * DIM) && only_first(1, 0), "%d rows", (int)n);
      paint_outputs();
      CHECK_OK(F(flow_sample)(flow, UINT64_MAX, UINT64_MAX - (uint64_t)n + 1, n, NULL, 0, NULL, o, p));
      CHECK(only_first(0, one * DIM) && only_first(1, one), "%d rows", (int)n);
    }

  REFUSED(DIFFEO_EINVAL, "first_row", F(flow_sample)(flow, 1, UINT64_MAX, 2, NULL, 0, NULL, OUT(2), NULL));

  /* numbers that no data has */
  ISOLATED("extreme values") {
    static const double extremes[] = {0, -0.0, 1e-320, 5e-324, -1e-40, 1e30, -1e30, 3e38, 1e300, -1e308, INFINITY, -INFINITY, NAN};
    for (int i = 0; i < COUNT(extremes); i++)
      for (int j = 0; j < DIM; j++) {
        T row[DIM] = {(T)0.1, (T)-0.2, (T)0.3}, c[CONTEXT] = {(T)0.5, (T)-0.5};
        row[j] = (T)extremes[i];
        CHECK_OK(F(flow_log_prob_gradient)(flow, row, 1, NULL, 0, NULL, o, p, NULL));
        if (isnan(extremes[i])) CHECK(isnan((double)o[0]), "log_prob of NaN is %g", (double)o[0]);
        else CHECK(o[0] < 100, "log_prob at %g is %g", extremes[i], (double)o[0]);
        CHECK_OK(F(flow_log_prob)(flow, row, 1, NULL, 0, NULL, o));
        if (isinf((double)row[j])) CHECK(isinf((double)o[0]), "log_prob of an infinity is %g", (double)o[0]);
        CHECK_OK(F(flow_from_noise)(flow, row, 1, NULL, 0, NULL, o, p));
        c[j % CONTEXT] = (T)extremes[i];
        CHECK_OK(F(flow_log_prob)(conditional, row, 1, c, 1, NULL, o));
        CHECK_OK(F(flow_sample)(conditional, 1, 0, 1, c, 1, NULL, o, p));
      }
  }
}

/* Temperatures, and bits per dimension of counts. */
static void TYPED(counts)(void) {
  enum { SIZE = 32, IMAGES = 3 };
  diffeo_flow *images = new_image_flow("glow_image", CONTEXT, DIFFEO_F32);
  T x[IMAGES * SIZE], context[IMAGES * CONTEXT] = {0};
  T *o = OUT(0), *p = OUT(1);
  for (int i = 0; i < IMAGES * SIZE; i++) x[i] = (T)(i % 16);
#define BITS(flow, x, n, c, nc, draws) F(flow_bits_per_dim)(flow, x, n, c, nc, 1, draws, NULL, o)
  REFUSED(DIFFEO_EINVAL, "flow", BITS(NULL, x, IMAGES, context, 1, 1));
  REFUSED(DIFFEO_EINVAL, "x", BITS(images, NULL, IMAGES, context, 1, 1));
  REFUSED(DIFFEO_EINVAL, "context", BITS(images, x, IMAGES, NULL, 1, 1));
  REFUSED(DIFFEO_ESHAPE, "context", BITS(images, x, IMAGES, NULL, 0, 1));
  REFUSED(DIFFEO_ESHAPE, "2", BITS(images, x, IMAGES, context, 2, 1));
  REFUSED(DIFFEO_EINVAL, "bits", F(flow_bits_per_dim)(images, x, IMAGES, context, 1, 1, 1, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "-1", BITS(images, x, -1, context, 1, 1));
  REFUSED(DIFFEO_EINVAL, "draws is 0", BITS(images, x, IMAGES, context, 1, 0));
  REFUSED(DIFFEO_EINVAL, "draws is -9223372036854775808", BITS(images, x, IMAGES, context, 1, INT64_MIN));
  REFUSED(DIFFEO_EINVAL, "dequantises columns", BITS(flow, x, IMAGES, NULL, 0, 1));
  static const double wrong[] = {0.5, 16, -1, 1e30, NAN, INFINITY, -INFINITY};
  for (int i = 0; i < COUNT(wrong); i++) {
    x[SIZE + 5] = (T)wrong[i];
    REFUSED(DIFFEO_EINVAL, "in row 1, column 5", BITS(images, x, IMAGES, context, 1, 1));
  }
  x[SIZE + 5] = 15;
#define TEMPERED(flow, temperature, n, c, nc, x) F(flow_sample_tempered)(flow, temperature, 1, 0, n, c, nc, NULL, x, p)
  REFUSED(DIFFEO_EINVAL, "flow", TEMPERED(NULL, 0.5, IMAGES, context, 1, o));
  REFUSED(DIFFEO_EINVAL, "context", TEMPERED(images, 0.5, IMAGES, NULL, 1, o));
  REFUSED(DIFFEO_ESHAPE, "2", TEMPERED(images, 0.5, IMAGES, context, 2, o));
  REFUSED(DIFFEO_EINVAL, "x", TEMPERED(images, 0.5, IMAGES, context, 1, NULL));
  REFUSED(DIFFEO_EINVAL, "-1", TEMPERED(images, 0.5, -1, context, 1, o));
  static const double no_temperature[] = {0, -1, NAN, INFINITY, -INFINITY, 2e6};
  for (int i = 0; i < COUNT(no_temperature); i++)
    REFUSED(DIFFEO_EINVAL, "temperature is", TEMPERED(images, no_temperature[i], IMAGES, context, 1, o));
  diffeo_flow *others[] = {new_flow("units", DIM, 0, DIFFEO_F32), new_flow("made", DIM, 0, DIFFEO_F32)};
  for (int i = 0; i < COUNT(others); i++) {
    REFUSED(DIFFEO_EUNSUPPORTED, "temperature", TEMPERED(others[i], 0.5, IMAGES, NULL, 0, o));
    D.flow_destroy(others[i]);
  }
  ISOLATED("exact outputs of images") {
    CHECK_OK(BITS(images, x, IMAGES, context, 1, 2));
    CHECK(only_first(0, IMAGES * sizeof(T)), "more than bits");
    paint_outputs();
    CHECK_OK(TEMPERED(images, 0.7, IMAGES, context, 1, o));
    CHECK(only_first(0, IMAGES * SIZE * sizeof(T)) && only_first(1, IMAGES * sizeof(T)), "more than samples");
    paint_outputs();
    CHECK_OK(BITS(images, NULL, 0, NULL, 0, 1));
    CHECK_OK(TEMPERED(images, 0.7, 0, NULL, 0, NULL));
    CHECK(memcmp(outputs, paint, sizeof paint) == 0, "calls with no rows wrote something");
  }
#undef BITS
#undef TEMPERED
  D.flow_destroy(images);
}

static void TYPED(parameters)(void) {
  T *o = OUT(0);
  diffeo_flow **changed = OUT(1);
  const int64_t n = D.flow_parameter_count(flow);
  T *values = malloc((size_t)n * sizeof *values);
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_parameters)(NULL, o));
  REFUSED(DIFFEO_EINVAL, "parameters", F(flow_parameters)(flow, NULL));
  CHECK_OK(F(flow_parameters)(flow, values));
  REFUSED(DIFFEO_EINVAL, "flow", F(flow_with_parameters)(NULL, values, changed));
  REFUSED(DIFFEO_EINVAL, "parameters", F(flow_with_parameters)(flow, NULL, changed));
  REFUSED(DIFFEO_EINVAL, "changed", F(flow_with_parameters)(flow, values, NULL));
  ISOLATED("exact parameters") {
    CHECK_OK(F(flow_parameters)(flow, o));
    CHECK(only_first(0, (size_t)n * sizeof(T)), "more than %d parameters", (int)n);
  }
  const T kept = values[n - 1];
  values[n - 1] = (T)NAN;
  REFUSED(DIFFEO_ENUMERIC, "", F(flow_with_parameters)(flow, values, changed));
  values[n - 1] = (T)-INFINITY;
  REFUSED(DIFFEO_ENUMERIC, "", F(flow_with_parameters)(flow, values, changed));
  values[n - 1] = kept;
  /* Any finite numbers make a flow that does no harm, but perhaps no sense. */
  static const double all[] = {0, 1e3, -1e3, 1e30, -1e30, 1e-40};
  for (int i = 0; i < COUNT(all); i++)
    ISOLATED("senseless parameters") {
      T row[DIM] = {(T)0.1, (T)-0.2, (T)0.3};
      for (int64_t j = 0; j < n; j++) values[j] = (T)all[i];
      diffeo_flow *odd = NULL;
      CHECK_OK(F(flow_with_parameters)(flow, values, &odd));
      CHECK_OK(F(flow_log_prob_gradient)(odd, row, 1, NULL, 0, NULL, o, OUT(1), NULL));
      CHECK_OK(F(flow_from_noise)(odd, row, 1, NULL, 0, NULL, o, NULL));
      D.flow_destroy(odd);
    }
  free(values);
}

static void TYPED(training)(void) {
  T x[N * DIM], context[N * CONTEXT];
  diffeo_trainer **t = OUT(0);
  diffeo_flow **f = OUT(0);
  diffeo_train_report *report = OUT(1);
  uint64_t state = 11;
  for (int i = 0; i < N * DIM; i++) x[i] = (T)uniform(&state);
  for (int i = 0; i < N * CONTEXT; i++) context[i] = (T)uniform(&state);

  REFUSED(DIFFEO_EINVAL, "flow", F(trainer_create)(NULL, NULL, x, N, NULL, 0, NULL, t));
  REFUSED(DIFFEO_EINVAL, "x", F(trainer_create)(flow, NULL, NULL, N, NULL, 0, NULL, t));
  REFUSED(DIFFEO_EINVAL, "context", F(trainer_create)(conditional, NULL, x, N, NULL, N, NULL, t));
  REFUSED(DIFFEO_EINVAL, "trainer", F(trainer_create)(flow, NULL, x, N, NULL, 0, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "trainer", F(trainer_set_validation)(NULL, x, N, NULL, 0, NULL));
  REFUSED(DIFFEO_EINVAL, "x", F(trainer_set_validation)(trainer, NULL, N, NULL, 0, NULL));
  REFUSED(DIFFEO_EINVAL, "context", F(trainer_set_validation)(conditional_trainer, x, N, NULL, 1, NULL));
  REFUSED(DIFFEO_EINVAL, "flow", F(fit)(NULL, NULL, x, N, NULL, 0, NULL, NULL, NULL, f, NULL));
  REFUSED(DIFFEO_EINVAL, "x", F(fit)(flow, NULL, NULL, N, NULL, 0, NULL, NULL, NULL, f, NULL));
  REFUSED(DIFFEO_EINVAL, "trained", F(fit)(flow, NULL, x, N, NULL, 0, NULL, NULL, NULL, NULL, NULL));
  REFUSED(DIFFEO_EINVAL, "struct_size", F(fit)(flow, NULL, x, N, NULL, 0, NULL, NULL, NULL, f, report)); /* painted size */

  REFUSED(DIFFEO_ESHAPE, "0", F(trainer_create)(flow, NULL, x, 0, NULL, 0, NULL, t));
  REFUSED(DIFFEO_ESHAPE, "0", F(trainer_create)(flow, NULL, NULL, 0, NULL, 0, NULL, t));
  REFUSED(DIFFEO_ESHAPE, "1", F(trainer_create)(flow, NULL, x, 1, NULL, 0, NULL, t));
  REFUSED(DIFFEO_ESHAPE, "0", F(trainer_set_validation)(trainer, x, 0, NULL, 0, NULL));
  REFUSED(DIFFEO_ESHAPE, "1", F(fit)(flow, NULL, x, 1, NULL, 0, NULL, NULL, NULL, f, NULL));

  static const double bad[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < COUNT(bad); i++) {
    const T kept = x[6 * DIM + 2], kept_context = context[5 * CONTEXT + 1];
    x[6 * DIM + 2] = (T)bad[i];
    REFUSED(DIFFEO_ENUMERIC, "row 6, column 2", F(trainer_create)(flow, NULL, x, N, NULL, 0, NULL, t));
    REFUSED(DIFFEO_ENUMERIC, "row 6, column 2", F(trainer_set_validation)(trainer, x, N, NULL, 0, NULL));
    REFUSED(DIFFEO_ENUMERIC, "row 6, column 2", F(fit)(flow, NULL, x, N, NULL, 0, NULL, NULL, NULL, f, NULL));
    x[6 * DIM + 2] = kept;
    context[5 * CONTEXT + 1] = (T)bad[i];
    REFUSED(DIFFEO_ENUMERIC, "row 5, column 1", F(trainer_create)(conditional, NULL, x, N, context, N, NULL, t));
    context[5 * CONTEXT + 1] = kept_context;
  }
  T weights[N];
  static const double bad_weights[] = {NAN, INFINITY, -0.5};
  for (int i = 0; i < COUNT(bad_weights); i++) {
    for (int r = 0; r < N; r++) weights[r] = 1;
    weights[3] = (T)bad_weights[i];
    REFUSED(DIFFEO_ENUMERIC, "row 3", F(trainer_create)(flow, NULL, x, N, NULL, 0, weights, t));
    REFUSED(DIFFEO_ENUMERIC, "row 3", F(trainer_set_validation)(trainer, x, N, NULL, 0, weights));
    REFUSED(DIFFEO_ENUMERIC, "row 3", F(fit)(flow, NULL, x, N, NULL, 0, weights, NULL, NULL, f, NULL));
  }
  memset(weights, 0, sizeof weights);
  REFUSED(DIFFEO_ENUMERIC, "sum 0", F(trainer_create)(flow, NULL, x, N, NULL, 0, weights, t));
  T constant[N * DIM];
  memcpy(constant, x, sizeof x);
  for (int i = 0; i < N; i++) constant[i * DIM + 1] = (T)0.7385;
  REFUSED(DIFFEO_ENUMERIC, "1", F(trainer_create)(standardised, NULL, constant, N, NULL, 0, NULL, t));
  ISOLATED("a constant column where nothing is standardised, and few rows") {
    diffeo_train_options options;
    diffeo_flow *trained = NULL;
    CHECK_OK(D.train_options_init(&options, sizeof options));
    options.max_epochs = 2;
    CHECK_OK(F(fit)(flow, &options, constant, N, NULL, 0, NULL, NULL, NULL, &trained, NULL));
    D.flow_destroy(trained);
    CHECK_OK(F(fit)(standardised, &options, x, 2, NULL, 0, NULL, NULL, NULL, &trained, NULL));
    D.flow_destroy(trained);
    CHECK_OK(F(fit)(conditional, &options, x, 3, context, 1, NULL, NULL, NULL, &trained, NULL));
    D.flow_destroy(trained);
  }
  ISOLATED("data far away") {
    for (double size = 1e-35; size < 1e39; size *= 1e7) {
      for (int i = 0; i < N * DIM; i++) constant[i] = x[i] * (T)size;
      diffeo_train_options options;
      diffeo_flow *trained = NULL;
      CHECK_OK(D.train_options_init(&options, sizeof options));
      options.max_epochs = 2;
      diffeo_status status = F(fit)(standardised, &options, constant, N, NULL, 0, NULL, NULL, NULL, &trained, NULL);
      CHECK(status == DIFFEO_OK || status == DIFFEO_ENUMERIC, "at %g: %s", size, D.status_name(status));
      CHECK((status == DIFFEO_OK) == (trained != NULL), "at %g: %s", size, D.status_name(status));
      D.flow_destroy(trained);
    }
  }
}
