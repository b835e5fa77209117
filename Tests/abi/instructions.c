/* What test_instructions.py counts under callgrind: each piece of work once, warm, on one thread, and nothing around it.
 *
 *     instructions FOLDER     where a file may be written */
#include <valgrind/callgrind.h>

#include "check.h"

enum { DIM = 6, MOST = 1024, TILE = 64 };
static float x[MOST * DIM], out[MOST * DIM];

/* The call is counted under this name; what comes before it is the same for no more rows than warm it up. */
#define COUNT_INSTRUCTIONS(name, warming, call)        \
  do {                                                 \
    CHECK_OK(warming);                                 \
    CALLGRIND_START_INSTRUMENTATION;                   \
    const diffeo_status status_ = (call);              \
    CALLGRIND_STOP_INSTRUMENTATION;                    \
    CALLGRIND_DUMP_STATS_AT(name);                     \
    CHECK(status_ == DIFFEO_OK, "%s", D.last_error()); \
  } while (0)

/* As new: the work does not depend on the weights. */
static diffeo_flow *make(diffeo_status (*create)(const diffeo_architecture_options *, diffeo_flow **), int64_t hidden) {
  const int64_t widths[] = {hidden, hidden};
  diffeo_architecture_options o;
  diffeo_network_options network;
  diffeo_flow *flow = NULL;
  CHECK_OK(D.architecture_options_init(&o, sizeof o));
  CHECK_OK(D.network_options_init(&network, sizeof network));
  network.hidden = widths, network.hidden_count = COUNT(widths);
  o.dim = DIM, o.transforms = 5, o.network = &network, o.standardize = 0;
  CHECK_OK(create(&o, &flow));
  return flow;
}

static diffeo_workspace *w;

static diffeo_status log_prob(const diffeo_flow *flow, int64_t rows) {
  return D.flow_log_prob_f32(flow, x, rows, NULL, 0, w, out);
}

static diffeo_status sample(const diffeo_flow *flow, int64_t rows) {
  return D.flow_sample_f32(flow, 1, 0, rows, NULL, 0, w, out, NULL);
}

static diffeo_status load(const char *file) {
  diffeo_flow *flow = NULL;
  const diffeo_status status = D.flow_load(file, &flow);
  D.flow_destroy(flow);
  return status;
}

int main(int argc, char **argv) {
  static double rows[MOST * DIM];
  char file[4096];
  diffeo_train_options o;
  diffeo_trainer *trainer = NULL;
  if (argc != 2) return 2;
  snprintf(file, sizeof file, "%s/instructions.h5", argv[1]);
  load_library();
  make_rows(rows, MOST, DIM, 1);
  to_float(rows, x, MOST * DIM);
  diffeo_flow *maf = make(D.maf_create, 100), *spline = make(D.spline_coupling_create, 128);
  CHECK_OK(D.workspace_create(1, &w));

  COUNT_INSTRUCTIONS("maf-log_prob-1", log_prob(maf, 1), log_prob(maf, 1));
  COUNT_INSTRUCTIONS("maf-log_prob-1024", log_prob(maf, TILE), log_prob(maf, MOST));
  COUNT_INSTRUCTIONS("maf-sample-1", sample(maf, 1), sample(maf, 1));
  COUNT_INSTRUCTIONS("maf-sample-1024", sample(maf, TILE), sample(maf, MOST));
  COUNT_INSTRUCTIONS("spline_coupling-log_prob-256", log_prob(spline, TILE), log_prob(spline, 256));
  COUNT_INSTRUCTIONS("spline_coupling-sample-256", sample(spline, TILE), sample(spline, 256));

  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.batch_size = 64, o.validation_fraction = 0;
  CHECK_OK(D.trainer_create_f32(maf, &o, x, MOST, NULL, 0, NULL, &trainer));
  COUNT_INSTRUCTIONS("maf-training_step-64", D.trainer_step(trainer, 1, NULL), D.trainer_step(trainer, 1, NULL));
  D.trainer_destroy(trainer);

  CHECK_OK(D.flow_save(maf, file));
  COUNT_INSTRUCTIONS("maf-load", load(file), load(file));
  D.workspace_destroy(w);
  D.flow_destroy(maf);
  D.flow_destroy(spline);
  return checks_end("instructions");
}
