/* Time of log_prob or sample of one row with a workspace, from C.
 *
 *     one_row flow.h5 log_prob|sample
 *
 * Each line on stdin is a number of calls; the answer is the seconds that they took. */
#include "diffeo_loader.h"
#include <math.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *text) {
  fprintf(stderr, "one_row: %s\n", text);
  exit(1);
}

int main(int argc, char **argv) {
  diffeo_api api;
  char error[256];
  diffeo_flow *flow;
  diffeo_workspace *workspace;
  long calls, call, dim, column;
  uint64_t seed = 0;
  int sampling;
  float *row, log_prob = 0;

  if (argc != 3) fail("usage: one_row flow.h5 log_prob|sample");
  sampling = strcmp(argv[2], "sample") == 0;
  if (diffeo_api_load(NULL, &api, error, sizeof error) != 0) fail(error);
  if (api.flow_load(argv[1], &flow) != DIFFEO_OK || api.workspace_create(1, &workspace) != DIFFEO_OK)
    fail(api.last_error());
  dim = (long)api.flow_dim(flow);
  row = malloc((size_t)dim * sizeof *row);
  if (row == NULL) fail("out of memory");
  for (column = 0; column < dim; column++) row[column] = 0.3f * (float)(column % 7) - 0.9f;

  while (scanf("%ld", &calls) == 1) {
    double start = now();
    for (call = 0; call < calls; call++) {
      diffeo_status status = sampling
                                 ? api.flow_sample_f32(flow, seed++, 0, 1, NULL, 0, workspace, row, NULL)
                                 : api.flow_log_prob_f32(flow, row, 1, NULL, 0, workspace, &log_prob);
      if (status != DIFFEO_OK) fail(api.last_error());
    }
    start = now() - start;
    if (!isfinite(sampling ? row[0] : log_prob)) fail("the result is not finite");
    printf("%.9f\n", start);
    fflush(stdout);
  }
  api.workspace_destroy(workspace);
  api.flow_destroy(flow);
  free(row);
  return 0;
}
