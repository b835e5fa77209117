/* The same bits, whatever the threads, the batches and the repetition: determinism [ROWS]. Prints a checksum of all
 * results, for comparison between instruction sets and machines. */
#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>

#include "check.h"

enum { DIM = 5, CONTEXT = 2, MOST = 1300 };
static double x[MOST * DIM], context[MOST * CONTEXT];
static int64_t rows = MOST;
static uint64_t checksum; /* FNV-1a */

static void add(const void *bytes, size_t size) {
  const unsigned char *b = bytes;
  for (size_t i = 0; i < size; i++) checksum = (checksum ^ b[i]) * 1099511628211u;
}

typedef struct results {
  double log_prob[MOST], z[MOST * DIM], log_det[MOST], back[MOST * DIM], log_det_back[MOST], sample[MOST * DIM],
      sample_log_prob[MOST], gradient[MOST * DIM], gradient_context[MOST * CONTEXT];
} results;

/* Hosts with threads of their own, some of which do other things than they are asked to: each counts its calls. */
static void in_order(void *calls, diffeo_job job, void *jobs, int32_t count) {
  ++*(int *)calls;
  for (int32_t i = 0; i < count; i++) job(jobs, i);
}
static void backwards(void *calls, diffeo_job job, void *jobs, int32_t count) {
  ++*(int *)calls;
  for (int32_t i = count; i-- > 0;) job(jobs, i);
}
static void only_the_first(void *calls, diffeo_job job, void *jobs, int32_t count) {
  ++*(int *)calls;
  if (count > 0) job(jobs, 0);
}
static void too_many(void *calls, diffeo_job job, void *jobs, int32_t count) {
  ++*(int *)calls;
  for (int32_t i = -3; i < count + 9; i++) job(jobs, i < 0 ? INT32_MIN : INT32_MAX);
}
typedef struct thread_job {
  diffeo_job job;
  void *jobs;
  int32_t index;
} thread_job;
static void *run_thread(void *argument) {
  const thread_job *own = argument;
  feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
  fesetround(FE_UPWARD);
  own->job(own->jobs, own->index);
  return fegetround() == FE_UPWARD ? NULL : argument;
}
static void in_threads(void *calls, diffeo_job job, void *jobs, int32_t count) {
  pthread_t threads[8];
  thread_job each[8];
  ++*(int *)calls;
  for (int32_t i = 0; i < count; i++) {
    each[i] = (thread_job){job, jobs, i};
    CHECK(pthread_create(&threads[i], NULL, run_thread, &each[i]) == 0, "thread %d of %d", (int)i, (int)count);
  }
  for (int32_t i = 0; i < count; i++) {
    void *changed = NULL;
    pthread_join(threads[i], &changed);
    CHECK(changed == NULL, "the floating-point environment of a thread of the host was changed");
  }
}
static const diffeo_parallel hosts[] = {in_order, backwards, only_the_first, too_many, in_threads};

/* All functions over all rows, in pieces of so many. Destroys the workspace. */
static void evaluate(const diffeo_flow *flow, int64_t piece, diffeo_workspace *workspace, results *r) {
  for (int64_t i = 0; i < rows; i += piece) {
    const int64_t n = rows - i < piece ? rows - i : piece;
    const double *c = context + i * CONTEXT;
    CHECK_OK(D.flow_log_prob_f64(flow, x + i * DIM, n, c, n, workspace, r->log_prob + i));
    CHECK_OK(D.flow_to_noise_f64(flow, x + i * DIM, n, c, n, workspace, r->z + i * DIM, r->log_det + i));
    CHECK_OK(D.flow_from_noise_f64(flow, r->z + i * DIM, n, c, n, workspace, r->back + i * DIM, r->log_det_back + i));
    CHECK_OK(D.flow_sample_f64(flow, 2385, 1000003 + (uint64_t)i, n, c, n, workspace, r->sample + i * DIM, r->sample_log_prob + i));
    CHECK_OK(D.flow_log_prob_gradient_f64(flow, x + i * DIM, n, c, n, workspace, NULL, r->gradient + i * DIM,
                                          r->gradient_context + i * CONTEXT));
  }
  D.workspace_destroy(workspace);
}

static diffeo_workspace *team(int32_t threads) {
  diffeo_workspace *workspace = NULL;
  CHECK_OK(D.workspace_create(threads, &workspace));
  return workspace;
}

static diffeo_workspace *hosted(int host, int *calls) {
  diffeo_workspace *workspace = NULL;
  *calls = 0;
  CHECK_OK(D.workspace_create_hosted(3, hosts[host], calls, &workspace));
  return workspace;
}

static void evaluation(const char *kind, int32_t dtype) {
  static results expected, got;
  static const int64_t pieces[] = {1, 2, 7, 8, 31, 64, 65, 300};
  diffeo_flow *flow = make_flow(kind, DIM, CONTEXT, dtype);
  memset(&expected, 0, sizeof expected);
  memset(&got, 0, sizeof got);
  evaluate(flow, rows, NULL, &expected);
  for (int32_t threads = 1; threads <= 3; threads++) {
    evaluate(flow, rows, team(threads), &got);
    CHECK(memcmp(&got, &expected, sizeof got) == 0, "%s, dtype %d: %d threads differ", kind, dtype, threads);
  }
  for (int i = 0; i < COUNT(hosts); i++) {
    int calls;
    diffeo_workspace *workspace = hosted(i, &calls);
    CHECK(D.workspace_threads(workspace) == 3, "%d threads", (int)D.workspace_threads(workspace));
    memset(&got, 0, sizeof got);
    evaluate(flow, rows, workspace, &got);
    if (rows == MOST) CHECK(calls > 0, "host %d was not asked", i); /* few rows are one job */
    CHECK(memcmp(&got, &expected, sizeof got) == 0, "%s, dtype %d: host %d differs", kind, dtype, i);
  }
  for (int i = 0; i < COUNT(pieces); i++) {
    if (pieces[i] >= rows || (pieces[i] == 1 && rows > 200)) continue; /* the other run has them */
    memset(&got, 0, sizeof got);
    evaluate(flow, pieces[i], team(1 + i % 2), &got);
    CHECK(memcmp(&got, &expected, sizeof got) == 0, "%s, dtype %d: batches of %d differ", kind, dtype, (int)pieces[i]);
  }
  add(&expected, sizeof expected);
  D.flow_destroy(flow);
}

/* The weights after a training in threads of each host's, against those in a thread of its own. */
static void training_in_hosts(const char *kind, const diffeo_flow *flow, const diffeo_train_options *o, const double *given,
                              int64_t n, const double *c, const double *expected) {
  const size_t size = (size_t)D.flow_parameter_count(flow) * sizeof(double);
  double *got = malloc(size);
  for (int i = 0; i < COUNT(hosts); i++) {
    diffeo_trainer *trainer = NULL;
    diffeo_flow *trained = NULL;
    int calls;
    diffeo_workspace *workspace = hosted(i, &calls);
    CHECK_OK(D.trainer_create_f64(flow, o, given, n, c, c ? n : 0, NULL, &trainer));
    CHECK_OK(D.trainer_set_workspace(trainer, workspace));
    D.workspace_destroy(workspace);
    while (!D.trainer_finished(trainer)) CHECK_OK(D.trainer_step(trainer, 0, NULL));
    const int before = calls;
    CHECK(before > 0 || n < 65, "host %d was not asked", i);
    CHECK_OK(D.trainer_set_workspace(trainer, NULL));
    CHECK_OK(D.trainer_best(trainer, &trained));
    CHECK_OK(D.flow_parameters_f64(trained, got));
    CHECK(memcmp(got, expected, size) == 0, "%s: training differs in host %d", kind, i);
    CHECK(calls == before, "host %d was asked again", i);
    D.flow_destroy(trained), D.trainer_destroy(trainer);
  }
  free(got);
}

static int half_square(void *user, int64_t n, const double *z, const double *c, double *log_density, double *gradient) {
  (void)user, (void)c;
  for (int64_t i = 0; i < n * DIM; i++) {
    if (i % DIM == 0) log_density[i / DIM] = 0;
    log_density[i / DIM] -= z[i] * z[i] / 2;
    if (gradient != NULL) gradient[i] = -z[i];
  }
  return 0;
}

/* Variational inference, and steps by gradients that are given. */
static void other_steps_in_hosts(int32_t dtype) {
  diffeo_flow *flow = make_flow("maf", DIM, 0, dtype), *trained = NULL;
  const int64_t count = D.flow_parameter_count(flow);
  const size_t size = (size_t)count * sizeof(double);
  double *expected[2] = {malloc(size), malloc(size)}, *got = malloc(size);
  diffeo_vi_options o;
  CHECK_OK(D.vi_options_init(&o, sizeof o));
  o.steps = 3, o.window = 3, o.batch_size = 200;
  for (int i = -1; i < COUNT(hosts); i++) {
    int calls = 0;
    diffeo_workspace *workspace = i < 0 ? NULL : hosted(i, &calls);
    diffeo_vi *vi = NULL;
    diffeo_optimizer *optimizer = NULL;
    CHECK_OK(D.vi_create_f64(flow, &o, half_square, NULL, NULL, 0, &vi));
    CHECK_OK(D.optimizer_create(flow, NULL, 3, &optimizer));
    if (workspace != NULL) {
      CHECK_OK(D.vi_set_workspace(vi, workspace));
      CHECK_OK(D.optimizer_set_workspace(optimizer, workspace));
    }
    CHECK_OK(D.vi_step(vi, 3, NULL));
    CHECK(i < 0 || calls > 0, "host %d was not asked", i);
    for (int64_t k = 0; k < count; k++) got[k] = sin((double)k);
    for (int step = 0; step < 3; step++) CHECK_OK(D.optimizer_step_f64(optimizer, got, NULL));
    for (int which = 0; which < 2; which++) {
      CHECK_OK(which == 0 ? D.vi_current(vi, &trained) : D.optimizer_current(optimizer, &trained));
      CHECK_OK(D.flow_parameters_f64(trained, got));
      if (i < 0) memcpy(expected[which], got, size);
      CHECK(memcmp(got, expected[which], size) == 0, "%s differs in host %d", which == 0 ? "vi" : "optimizer", i);
      D.flow_destroy(trained);
    }
    D.vi_destroy(vi), D.optimizer_destroy(optimizer), D.workspace_destroy(workspace);
  }
  free(expected[0]), free(expected[1]), free(got);
  D.flow_destroy(flow);
}

/* Their tiles go through all layers one by one. */
static void training_of_images(int32_t dtype) {
  enum { NUMBERS = 2 * 4 * 4, IMAGES = 70 };
  static double images[IMAGES * NUMBERS];
  for (int i = 0; i < COUNT(images); i++) images[i] = i * 7 % 16;
  diffeo_flow *flow = new_image_flow("glow_image", 0, dtype), *trained = NULL;
  double *expected = malloc((size_t)D.flow_parameter_count(flow) * sizeof(double));
  diffeo_train_options o;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.batch_size = 50, o.max_epochs = 2;
  CHECK_OK(D.fit_f64(flow, &o, images, IMAGES, NULL, 0, NULL, NULL, NULL, &trained, NULL));
  CHECK_OK(D.flow_parameters_f64(trained, expected));
  training_in_hosts("glow_image", flow, &o, images, IMAGES, NULL, expected);
  free(expected);
  D.flow_destroy(trained), D.flow_destroy(flow);
}

static void training(const char *kind, int32_t dtype, int64_t context_dim) {
  diffeo_flow *flow = make_flow(kind, DIM, context_dim, dtype), *trained = NULL;
  const int64_t count = D.flow_parameter_count(flow);
  const size_t size = (size_t)count * sizeof(double);
  double *expected = malloc(size), *got = malloc(size);
  diffeo_train_options o;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.batch_size = 150, o.max_epochs = 2, o.learning_rate = 3e-3, o.seed = 9, o.weight_decay = 1e-3;
  for (int32_t threads = 1; threads <= 3; threads++)
    for (int again = 0; again < (threads == 1 ? 2 : 1); again++) {
      o.threads = threads;
      const double *c = context_dim > 0 ? context : NULL;
      CHECK_OK(D.fit_f64(flow, &o, x, rows, c, c ? rows : 0, NULL, NULL, NULL, &trained, NULL));
      CHECK_OK(D.flow_parameters_f64(trained, got));
      if (threads == 1 && again == 0) memcpy(expected, got, size);
      CHECK(memcmp(got, expected, size) == 0, "%s, dtype %d: training differs with %d threads", kind, dtype, threads);
      D.flow_destroy(trained);
    }
  o.threads = 1;
  training_in_hosts(kind, flow, &o, x, rows, context_dim > 0 ? context : NULL, expected);
  add(expected, size);
  free(expected), free(got);
  D.flow_destroy(flow);
}

int main(int argc, char **argv) {
  if (argc > 1) rows = atoi(argv[1]) < MOST ? atoi(argv[1]) : MOST;
  load_library();
  make_rows(x, rows, DIM, 1);
  make_rows(context, rows, CONTEXT, 2);
  for (int i = 0; i < COUNT(all_flows); i++)
    for (int32_t dtype = DIFFEO_F32; dtype <= DIFFEO_F64; dtype++) {
      const char *const kind = all_flows[i];
      checksum = 14695981039346656037u; /* each by itself: what differs is seen at once */
      evaluation(kind, dtype);
      printf("checksum %s-%d %016llx\n", kind, dtype, (unsigned long long)checksum);
      training(kind, dtype, i % 2 == 0 ? 0 : CONTEXT);
      printf("checksum %s-%d-trained %016llx\n", kind, dtype, (unsigned long long)checksum);
    }
  for (int32_t dtype = DIFFEO_F32; dtype <= DIFFEO_F64; dtype++) training_of_images(dtype), other_steps_in_hosts(dtype);
  return checks_end("determinism");
}
