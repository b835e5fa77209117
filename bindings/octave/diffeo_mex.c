/* diffeo.h for Octave, by its MEX interface, which is MATLAB's (where it was not tried): what diffeo_flow.m calls.
 *
 * Octave stores a matrix by columns: a batch is dim x n, whose columns lie one after the other as the rows of C do, and is
 * what the matrices here are (diffeo_flow.m turns n x dim ones round). A failed call is an error with the sentence. */
#include <diffeo.h>
#include <mex.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Flows that are there: what is no handle of these is refused. They end when this is cleared. */
static diffeo_flow **flows;
static size_t flow_count;

static void fail(const char *name, const char *message) {
  char id[64] = "diffeo:";
  strncat(id, name, sizeof id - strlen(id) - 1);
  mexErrMsgIdAndTxt(id, "%s", message);
}

static void check(diffeo_status status) {
  if (status != DIFFEO_OK) fail(diffeo_status_name(status) + strlen("DIFFEO_"), diffeo_last_error());
}

static void end_all(void) {
  for (size_t i = 0; i < flow_count; i++) diffeo_flow_destroy(flows[i]);
  mxFree(flows);
  flows = NULL;
  flow_count = 0;
}

static mxArray *owned(diffeo_flow *flow) {
  flows = mxRealloc(flows, (flow_count + 1) * sizeof *flows);
  mexMakeMemoryPersistent(flows);
  flows[flow_count++] = flow;
  mxArray *handle = mxCreateNumericMatrix(1, 1, mxUINT64_CLASS, mxREAL);
  *(uint64_t *)mxGetData(handle) = (uintptr_t)flow;
  return handle;
}

/* Its place among the flows. */
static size_t place(const mxArray *handle) {
  if (mxGetClassID(handle) == mxUINT64_CLASS && mxGetNumberOfElements(handle) == 1)
    for (size_t i = 0; i < flow_count; i++)
      if (*(uint64_t *)mxGetData(handle) == (uintptr_t)flows[i]) return i;
  fail("EINVAL", "this is no flow, or one that was destroyed");
  return 0;
}

static double *numbers(const mxArray *x) { return mxIsEmpty(x) ? NULL : mxGetPr(x); }
static int64_t rows(const mxArray *x) { return mxIsEmpty(x) ? 0 : (int64_t)mxGetN(x); }

/* Columns that are the rows of a batch, with as many numbers as the flow has. */
static void expect(const char *name, const mxArray *x, int64_t size) {
  char message[128];
  if (!mxIsDouble(x) || mxIsComplex(x) || mxIsSparse(x) || mxGetNumberOfDimensions(x) != 2) {
    snprintf(message, sizeof message, "%s is no matrix of real numbers", name);
    fail("EINVAL", message);
  }
  if (!mxIsEmpty(x) && (int64_t)mxGetM(x) != size) {
    snprintf(message, sizeof message, "%s has %lld columns, this flow has %s %lld", name, (long long)mxGetM(x),
             strcmp(name, "x") ? "context_dim" : "dim", (long long)size);
    fail("ESHAPE", message);
  }
}

static double scalar(const mxArray *x, const char *name) {
  char message[128];
  const double number = mxGetNumberOfElements(x) == 1 && mxIsNumeric(x) ? mxGetScalar(x) : -1;
  if (!(number >= 0 && number <= 9007199254740992.0 && number == (double)(uint64_t)number)) {
    snprintf(message, sizeof message, "%s must be a whole number, 0 to 2^53", name);
    fail("EINVAL", message);
  }
  return number;
}

/* An option by its name, and where its number goes, to one of these; or the hidden widths of a network. */
struct option {
  const char *name;
  int64_t *whole;
  double *number;
  diffeo_network_options *network;
};

/* Hidden layers of these widths, in memory of Octave's that ends with the call. */
static void read_widths(const mxArray *value, const char *name, diffeo_network_options *network) {
  char message[128];
  if (!mxIsDouble(value) || mxIsComplex(value)) {
    snprintf(message, sizeof message, "%s must be widths of layers", name);
    fail("EINVAL", message);
  }
  const size_t count = mxGetNumberOfElements(value);
  int64_t *widths = mxMalloc((count + 1) * sizeof *widths);
  for (size_t i = 0; i < count; i++) widths[i] = (int64_t)mxGetPr(value)[i];
  check(diffeo_network_options_init(network, sizeof *network));
  network->hidden = widths;
  network->hidden_count = (int64_t)count;
}

/* Those that the struct has; a field that is none of them is an error. */
static void read_options(const mxArray *given, const struct option *options, size_t count) {
  char message[128];
  if (!mxIsStruct(given) || mxGetNumberOfElements(given) != 1) fail("EINVAL", "options are no struct");
  for (int field = 0; field < mxGetNumberOfFields(given); field++) {
    const char *name = mxGetFieldNameByNumber(given, field);
    const mxArray *value = mxGetFieldByNumber(given, 0, field);
    size_t i = 0;
    while (i < count && strcmp(options[i].name, name)) i++;
    if (i == count) {
      snprintf(message, sizeof message, "there is no option '%s'", name);
      fail("EINVAL", message);
    }
    if (options[i].network)
      read_widths(value, name, options[i].network);
    else if (options[i].whole)
      *options[i].whole = (int64_t)scalar(value, name);
    else if (mxIsNumeric(value) && mxGetNumberOfElements(value) == 1)
      *options[i].number = mxGetScalar(value);
    else {
      snprintf(message, sizeof message, "%s must be a number", name);
      fail("EINVAL", message);
    }
  }
}

static mxArray *create(const mxArray *kind, const mxArray *given) {
  static const struct {
    const char *name;
    diffeo_status (*create)(const diffeo_architecture_options *, diffeo_flow **);
  } kinds[] = {
      {"maf", diffeo_maf_create},
      {"realnvp", diffeo_realnvp_create},
      {"iaf", diffeo_iaf_create},
      {"glow", diffeo_glow_create},
      {"spline_coupling", diffeo_spline_coupling_create},
      {"spline_autoregressive", diffeo_spline_autoregressive_create},
  };
  char name[64] = "", message[128];
  mxGetString(kind, name, sizeof name);
  diffeo_architecture_options options;
  check(diffeo_architecture_options_init(&options, sizeof options));
  int64_t seed = (int64_t)options.seed;
  diffeo_network_options network = {0}, embedding = {0};
  const struct option known[] = {
      {"dim", &options.dim, NULL, NULL},
      {"context_dim", &options.context_dim, NULL, NULL},
      {"transforms", &options.transforms, NULL, NULL},
      {"bins", &options.bins, NULL, NULL},
      {"hidden", NULL, NULL, &network},
      {"features", &options.features, NULL, NULL},
      {"embedding", NULL, NULL, &embedding},
      {"seed", &seed, NULL, NULL},
  };
  read_options(given, known, sizeof known / sizeof *known);
  if (network.struct_size) options.network = &network;
  if (embedding.struct_size) options.embedding = &embedding;
  options.seed = (uint64_t)seed;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(kinds[i].name, name)) continue;
    diffeo_flow *flow = NULL;
    check(kinds[i].create(&options, &flow));
    return owned(flow);
  }
  snprintf(message, sizeof message, "there is no flow '%s'", name);
  fail("EINVAL", message);
  return NULL;
}

static mxArray *fit(const diffeo_flow *flow, const mxArray *x, const mxArray *context, const mxArray *given) {
  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  int64_t seed = (int64_t)options.seed, threads = options.threads;
  const struct option known[] = {
      {"max_epochs", &options.max_epochs, NULL, NULL},
      {"batch_size", &options.batch_size, NULL, NULL},
      {"patience", &options.patience, NULL, NULL},
      {"learning_rate", NULL, &options.learning_rate, NULL},
      {"validation_fraction", NULL, &options.validation_fraction, NULL},
      {"seed", &seed, NULL, NULL},
      {"threads", &threads, NULL, NULL},
  };
  read_options(given, known, sizeof known / sizeof *known);
  options.seed = (uint64_t)seed;
  options.threads = threads < INT32_MAX ? (int32_t)threads : INT32_MAX; /* which the library refuses */
  diffeo_flow *trained = NULL;
  check(diffeo_fit_f64(flow, &options, numbers(x), rows(x), numbers(context), rows(context), NULL, NULL, NULL, &trained,
                       NULL));
  return owned(trained);
}

void mexFunction(int nlhs, mxArray *results[], int nrhs, const mxArray *arguments[]) {
  char command[32] = "";
  (void)nlhs;
  if (nrhs < 2 || mxGetString(arguments[0], command, sizeof command)) fail("EINVAL", "a command and its arguments");
  const mxArray *const *given = arguments + 1;
  mexAtExit(end_all);
  if (!strcmp(command, "create") && nrhs == 3) {
    results[0] = create(given[0], given[1]);
    return;
  }
  if (!strcmp(command, "load")) {
    char *path = mxArrayToString(given[0]);
    diffeo_flow *flow = NULL;
    const diffeo_status status = path ? diffeo_flow_load(path, &flow) : DIFFEO_EINVAL;
    mxFree(path);
    check(status);
    results[0] = owned(flow);
    return;
  }
  const size_t at = place(given[0]);
  diffeo_flow *const flow = flows[at];
  const int64_t dim = diffeo_flow_dim(flow);
  if (!strcmp(command, "destroy")) {
    diffeo_flow_destroy(flow);
    flows[at] = flows[--flow_count];
  } else if (!strcmp(command, "save") && nrhs == 3) {
    char *path = mxArrayToString(given[1]);
    const diffeo_status status = path ? diffeo_flow_save(flow, path) : DIFFEO_EINVAL;
    mxFree(path);
    check(status);
  } else if (!strcmp(command, "dim")) {
    results[0] = mxCreateDoubleScalar((double)dim);
  } else if (!strcmp(command, "log_prob") && nrhs == 4) {
    expect("x", given[1], dim);
    expect("context", given[2], diffeo_flow_context_dim(flow));
    results[0] = mxCreateDoubleMatrix(1, (mwSize)rows(given[1]), mxREAL);
    check(diffeo_flow_log_prob_f64(flow, mxGetPr(given[1]), rows(given[1]), numbers(given[2]), rows(given[2]), NULL,
                                   mxGetPr(results[0])));
  } else if (!strcmp(command, "sample") && nrhs == 6) {
    const double n = scalar(given[1], "n"), seed = scalar(given[2], "seed"), first = scalar(given[3], "first_row");
    expect("context", given[4], diffeo_flow_context_dim(flow));
    results[0] = mxCreateDoubleMatrix((mwSize)dim, (mwSize)n, mxREAL);
    check(diffeo_flow_sample_f64(flow, (uint64_t)seed, (uint64_t)first, (int64_t)n, numbers(given[4]), rows(given[4]),
                                 NULL, mxGetPr(results[0]), NULL));
  } else if (!strcmp(command, "fit") && nrhs == 5) {
    expect("x", given[1], dim);
    expect("context", given[2], diffeo_flow_context_dim(flow));
    results[0] = fit(flow, given[1], given[2], given[3]);
  } else {
    fail("EINVAL", "this is no command, or it has other arguments");
  }
}
