/* diffeo.h for .Call. A batch is a matrix of dim x n, whose columns lie one after the other as the rows of C do: R turns
 * its n x dim matrices round (R/flow.R). A failed call is an error of R, with the library's sentence. */
#include <R.h>
#include <R_ext/Rdynload.h>
#include <Rinternals.h>
#include <diffeo.h>
#include <string.h>

static void check(diffeo_status status) {
  if (status != DIFFEO_OK) Rf_error("%s", diffeo_last_error());
}

/* ------------------------------------------------------------------------------------------------------- handles */

static void end_flow(SEXP pointer) {
  diffeo_flow_destroy(R_ExternalPtrAddr(pointer));
  R_ClearExternalPtr(pointer);
}

static void end_trainer(SEXP pointer) {
  diffeo_trainer_destroy(R_ExternalPtrAddr(pointer));
  R_ClearExternalPtr(pointer);
}

static SEXP owned(void *handle, const char *kind, R_CFinalizer_t end) {
  SEXP pointer = PROTECT(R_MakeExternalPtr(handle, Rf_install(kind), R_NilValue));
  R_RegisterCFinalizerEx(pointer, end, TRUE);
  UNPROTECT(1);
  return pointer;
}

static void *handle(SEXP pointer, const char *kind) {
  if (TYPEOF(pointer) != EXTPTRSXP || R_ExternalPtrTag(pointer) != Rf_install(kind)) Rf_error("this is no %s", kind);
  if (!R_ExternalPtrAddr(pointer)) Rf_error("this %s is of another session: load it from its file", kind);
  return R_ExternalPtrAddr(pointer);
}

static diffeo_flow *flow_of(SEXP pointer) { return handle(pointer, "flow"); }
static SEXP new_flow(diffeo_flow *flow) { return owned(flow, "flow", end_flow); }

/* ----------------------------------------------------------------------------------------------------- arguments */

static const double *numbers(SEXP x) { return Rf_isNull(x) ? NULL : REAL(x); }
static int64_t columns(SEXP x) { return Rf_isNull(x) ? 0 : Rf_ncols(x); }

/* x has rows of so many numbers; NULL is for C to judge. */
static void expect(const char *name, SEXP x, int64_t size) {
  if (!Rf_isNull(x) && Rf_nrows(x) != size)
    Rf_error("%s has %d columns, this flow has %s %d", name, Rf_nrows(x), strcmp(name, "x") ? "context_dim" : "dim", (int)size);
}

static void expect_batch(const diffeo_flow *flow, SEXP x, SEXP context) {
  expect("x", x, diffeo_flow_dim(flow));
  expect("context", context, diffeo_flow_context_dim(flow));
}

/* 0, 1, ..., 2^53: R's numbers are exact to there. */
static uint64_t whole(SEXP x, const char *name) {
  const double number = Rf_asReal(x);
  if (!(number >= 0 && number <= 9007199254740992.0 && number == (double)(uint64_t)number))
    Rf_error("%s is %g, it must be a whole number, 0 to 2^53", name, number);
  return (uint64_t)number;
}

static const char *string(SEXP x, const char *name) {
  if (TYPEOF(x) != STRSXP || Rf_xlength(x) != 1) Rf_error("%s must be one string", name);
  return CHAR(STRING_ELT(x, 0));
}

static void end_workspace(SEXP pointer) {
  diffeo_workspace_destroy(R_ExternalPtrAddr(pointer));
  R_ClearExternalPtr(pointer);
}

/* Ended when R collects it, whatever happens between. PROTECT what this gives. */
static SEXP workspace(SEXP threads) {
  diffeo_workspace *made = NULL;
  check(diffeo_workspace_create(Rf_asInteger(threads), &made));
  return owned(made, "workspace", end_workspace);
}

/* What a list has by its name, or NULL. */
static SEXP element(SEXP list, const char *name) {
  SEXP names = Rf_getAttrib(list, R_NamesSymbol);
  for (R_xlen_t i = 0; i < Rf_xlength(list); i++)
    if (!strcmp(CHAR(STRING_ELT(names, i)), name)) return VECTOR_ELT(list, i);
  return R_NilValue;
}
/* A number of a list, if it is there: to the option of its name. */
#define WHOLE(list, options, field) \
  if (!Rf_isNull(element(list, #field))) (options).field = (int64_t)whole(element(list, #field), #field)
#define NUMBER(list, options, field) \
  if (!Rf_isNull(element(list, #field))) (options).field = Rf_asReal(element(list, #field))

/* --------------------------------------------------------------------------------------------------------- flows */

static SEXP flow_load(SEXP path) {
  diffeo_flow *flow = NULL;
  check(diffeo_flow_load(string(path, "path"), &flow));
  return new_flow(flow);
}

static SEXP flow_save(SEXP flow, SEXP path) {
  check(diffeo_flow_save(flow_of(flow), string(path, "path")));
  return R_NilValue;
}

/* A network with the hidden widths that a list has by this name, or NULL. */
static const diffeo_network_options *network_of(SEXP list, const char *name, diffeo_network_options *network) {
  SEXP hidden = element(list, name);
  if (Rf_isNull(hidden)) return NULL;
  check(diffeo_network_options_init(network, sizeof *network));
  network->hidden_count = Rf_xlength(hidden);
  int64_t *widths = (int64_t *)R_alloc((size_t)network->hidden_count + 1, sizeof *widths);
  for (int64_t i = 0; i < network->hidden_count; i++) widths[i] = (int64_t)REAL(hidden)[i];
  network->hidden = widths;
  return network;
}

static SEXP flow_new(SEXP kind, SEXP options) {
  static const struct {
    const char *name;
    diffeo_status (*create)(const diffeo_architecture_options *, diffeo_flow **);
  } kinds[] = {
      {"nice", diffeo_nice_create},       {"realnvp", diffeo_realnvp_create},
      {"glow", diffeo_glow_create},       {"made", diffeo_made_create},
      {"maf", diffeo_maf_create},         {"iaf", diffeo_iaf_create},
      {"planar", diffeo_planar_create},   {"radial", diffeo_radial_create},
      {"cdf_flow", diffeo_cdf_flow_create}, {"spline_coupling", diffeo_spline_coupling_create},
      {"spline_autoregressive", diffeo_spline_autoregressive_create},
  };
  diffeo_architecture_options architecture;
  diffeo_network_options network, embedding;
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  const char *name = string(kind, "kind");
  WHOLE(options, architecture, dim);
  WHOLE(options, architecture, context_dim);
  WHOLE(options, architecture, transforms);
  WHOLE(options, architecture, bins);
  WHOLE(options, architecture, features);
  architecture.dtype = Rf_asInteger(element(options, "dtype"));
  architecture.seed = whole(element(options, "seed"), "seed");
  architecture.network = network_of(options, "hidden", &network);
  architecture.embedding = network_of(options, "embedding", &embedding);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(kinds[i].name, name)) continue;
    diffeo_flow *flow = NULL;
    check(kinds[i].create(&architecture, &flow));
    return new_flow(flow);
  }
  Rf_error("there is no flow '%s'", name);
}

static SEXP flow_dims(SEXP flow) {
  SEXP dims = PROTECT(Rf_allocVector(INTSXP, 2));
  INTEGER(dims)[0] = (int)diffeo_flow_dim(flow_of(flow));
  INTEGER(dims)[1] = (int)diffeo_flow_context_dim(flow_of(flow));
  UNPROTECT(1);
  return dims;
}

static SEXP flow_describe(SEXP flow) {
  size_t length = 0;
  check(diffeo_flow_describe(flow_of(flow), NULL, 0, &length));
  char *text = R_alloc(length + 1, 1);
  check(diffeo_flow_describe(flow_of(flow), text, length + 1, &length));
  return Rf_ScalarString(Rf_mkCharCE(text, CE_UTF8));
}

/* ---------------------------------------------------------------------------------------------------- evaluation */

static SEXP flow_log_prob(SEXP pointer, SEXP x, SEXP context, SEXP threads) {
  const diffeo_flow *flow = flow_of(pointer);
  expect_batch(flow, x, context);
  SEXP scratch = PROTECT(workspace(threads));
  SEXP result = PROTECT(Rf_allocVector(REALSXP, columns(x)));
  check(diffeo_flow_log_prob_f64(flow, REAL(x), columns(x), numbers(context), columns(context),
                                 R_ExternalPtrAddr(scratch), REAL(result)));
  end_workspace(scratch);
  UNPROTECT(2);
  return result;
}

static SEXP flow_score(SEXP pointer, SEXP x, SEXP context, SEXP threads) {
  const diffeo_flow *flow = flow_of(pointer);
  expect_batch(flow, x, context);
  SEXP scratch = PROTECT(workspace(threads));
  SEXP result = PROTECT(Rf_allocMatrix(REALSXP, Rf_nrows(x), Rf_ncols(x)));
  check(diffeo_flow_log_prob_gradient_f64(flow, REAL(x), columns(x), numbers(context), columns(context),
                                          R_ExternalPtrAddr(scratch), NULL, REAL(result), NULL));
  end_workspace(scratch);
  UNPROTECT(2);
  return result;
}

/* Both directions: a list of rows and log-determinants. */
static SEXP flow_map(SEXP pointer, SEXP x, SEXP context, SEXP threads, SEXP forward) {
  const diffeo_flow *flow = flow_of(pointer);
  expect_batch(flow, x, context);
  SEXP scratch = PROTECT(workspace(threads));
  SEXP result = PROTECT(Rf_allocVector(VECSXP, 2));
  SET_VECTOR_ELT(result, 0, Rf_allocMatrix(REALSXP, Rf_nrows(x), Rf_ncols(x)));
  SET_VECTOR_ELT(result, 1, Rf_allocVector(REALSXP, columns(x)));
  check((Rf_asLogical(forward) ? diffeo_flow_to_noise_f64 : diffeo_flow_from_noise_f64)(
      flow, REAL(x), columns(x), numbers(context), columns(context), R_ExternalPtrAddr(scratch),
      REAL(VECTOR_ELT(result, 0)), REAL(VECTOR_ELT(result, 1))));
  end_workspace(scratch);
  UNPROTECT(2);
  return result;
}

static SEXP flow_sample(SEXP pointer, SEXP n, SEXP seed, SEXP first_row, SEXP context, SEXP threads) {
  const diffeo_flow *flow = flow_of(pointer);
  expect_batch(flow, R_NilValue, context);
  const uint64_t rows = whole(n, "n");
  if (rows > INT32_MAX) Rf_error("n is %.0f, a matrix has at most 2147483647 rows", (double)rows);
  const uint64_t first = whole(first_row, "first_row"), random = whole(seed, "seed");
  SEXP scratch = PROTECT(workspace(threads));
  SEXP result = PROTECT(Rf_allocVector(VECSXP, 2));
  SET_VECTOR_ELT(result, 0, Rf_allocMatrix(REALSXP, (int)diffeo_flow_dim(flow), (int)rows));
  SET_VECTOR_ELT(result, 1, Rf_allocVector(REALSXP, (R_xlen_t)rows));
  check(diffeo_flow_sample_f64(flow, random, first, (int64_t)rows, numbers(context), columns(context),
                               R_ExternalPtrAddr(scratch), REAL(VECTOR_ELT(result, 0)), REAL(VECTOR_ELT(result, 1))));
  end_workspace(scratch);
  UNPROTECT(2);
  return result;
}

/* ------------------------------------------------------------------------------------------------------ training */

static SEXP trainer_new(SEXP pointer, SEXP x, SEXP context, SEXP weights, SEXP given) {
  const diffeo_flow *flow = flow_of(pointer);
  expect_batch(flow, x, context);
  if (!Rf_isNull(weights) && Rf_xlength(weights) != columns(x))
    Rf_error("weights has %d values, x has %d rows", (int)Rf_xlength(weights), (int)columns(x));
  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  WHOLE(given, options, max_epochs);
  WHOLE(given, options, batch_size);
  WHOLE(given, options, patience);
  NUMBER(given, options, learning_rate);
  NUMBER(given, options, validation_fraction);
  if (!Rf_isNull(element(given, "threads"))) options.threads = Rf_asInteger(element(given, "threads"));
  options.seed = whole(element(given, "seed"), "seed");
  diffeo_trainer *trainer = NULL;
  check(diffeo_trainer_create_f64(flow, &options, REAL(x), columns(x), numbers(context), columns(context),
                                  numbers(weights), &trainer));
  return owned(trainer, "trainer", end_trainer);
}

/* An epoch: c(epoch, training, validation, finished). */
static SEXP trainer_step(SEXP pointer) {
  diffeo_train_report report;
  report.struct_size = sizeof report;
  check(diffeo_trainer_step(handle(pointer, "trainer"), 0, &report));
  SEXP result = PROTECT(Rf_allocVector(REALSXP, 4));
  REAL(result)[0] = (double)report.epoch;
  REAL(result)[1] = report.train_log_prob;
  REAL(result)[2] = report.validation_log_prob;
  REAL(result)[3] = diffeo_trainer_finished(handle(pointer, "trainer"));
  UNPROTECT(1);
  return result;
}

static SEXP trainer_best(SEXP pointer) {
  diffeo_flow *flow = NULL;
  check(diffeo_trainer_best(handle(pointer, "trainer"), &flow));
  return new_flow(flow);
}

void R_init_diffeo(DllInfo *info) {
  static const R_CallMethodDef calls[] = {
      {"flow_load", (DL_FUNC)flow_load, 1},         {"flow_save", (DL_FUNC)flow_save, 2},
      {"flow_new", (DL_FUNC)flow_new, 2},           {"flow_dims", (DL_FUNC)flow_dims, 1},
      {"flow_describe", (DL_FUNC)flow_describe, 1}, {"flow_log_prob", (DL_FUNC)flow_log_prob, 4},
      {"flow_score", (DL_FUNC)flow_score, 4},       {"flow_map", (DL_FUNC)flow_map, 5},
      {"flow_sample", (DL_FUNC)flow_sample, 6},     {"trainer_new", (DL_FUNC)trainer_new, 5},
      {"trainer_step", (DL_FUNC)trainer_step, 1},   {"trainer_best", (DL_FUNC)trainer_best, 1},
      {NULL, NULL, 0},
  };
  R_registerRoutines(info, NULL, calls, NULL, NULL);
  R_useDynamicSymbols(info, FALSE);
}
