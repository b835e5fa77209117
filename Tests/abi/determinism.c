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
    int calls = 0;
    diffeo_workspace *hosted = NULL;
    CHECK_OK(D.workspace_create_hosted(3, hosts[i], &calls, &hosted));
    CHECK(D.workspace_threads(hosted) == 3, "%d threads", (int)D.workspace_threads(hosted));
    memset(&got, 0, sizeof got);
    evaluate(flow, rows, hosted, &got);
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
  return checks_end("determinism");
}
