/* A program that knows nothing of Python: it opens libdiffeo.so at run time, loads a flow, gives log-densities of the
 * rows in a file and draws samples.
 *
 *     evaluate flow.h5 rows.f32 log_prob.f32 samples.f32 number_of_samples seed
 *
 * rows.f32 and the outputs are bare row-major float32. */
#include <stdio.h>
#include <stdlib.h>

#include "diffeo_loader.h"

static diffeo_api api;

static void check(diffeo_status status, const char *what) {
  if (status == DIFFEO_OK) return;
  fprintf(stderr, "%s: %s\n", what, api.last_error());
  exit(1);
}

static float *new_rows(int64_t n, int64_t columns) {
  float *rows = malloc((size_t)(n * columns) * sizeof *rows);
  if (!rows) exit(1);
  return rows;
}

static void write_file(const char *path, const float *values, int64_t n) {
  FILE *file = fopen(path, "wb");
  if (!file || fwrite(values, sizeof *values, (size_t)n, file) != (size_t)n || fclose(file)) {
    perror(path);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 7) return fprintf(stderr, "usage: %s flow rows log_prob samples count seed\n", argv[0]), 2;
  char error[256];
  if (diffeo_api_load(NULL, &api, error, sizeof error)) return fprintf(stderr, "%s\n", error), 1;

  diffeo_flow *flow = NULL;
  check(api.flow_load(argv[1], &flow), argv[1]);
  const int64_t dim = api.flow_dim(flow);

  FILE *file = fopen(argv[2], "rb");
  if (!file) return perror(argv[2]), 1;
  fseek(file, 0, SEEK_END);
  const int64_t n = ftell(file) / (int64_t)sizeof(float) / dim;
  rewind(file);
  float *x = new_rows(n, dim), *log_prob = new_rows(n, 1);
  if (fread(x, sizeof *x, (size_t)(n * dim), file) != (size_t)(n * dim)) return perror(argv[2]), 1;
  fclose(file);

  diffeo_workspace *workspace = NULL;
  check(api.workspace_create(0, &workspace), "workspace");
  check(api.flow_log_prob_f32(flow, x, n, NULL, 0, workspace, log_prob), "log_prob");
  write_file(argv[3], log_prob, n);

  const int64_t count = atoll(argv[5]);
  float *samples = new_rows(count, dim);
  check(api.flow_sample_f32(flow, strtoull(argv[6], NULL, 10), 0, count, NULL, 0, workspace, samples, NULL),
        "sample");
  write_file(argv[4], samples, count * dim);
  printf("C: diffeo %s, %s: log-densities of %lld rows, %lld samples\n", api.version_string(), argv[1],
         (long long)n, (long long)count);

  api.workspace_destroy(workspace);
  api.flow_destroy(flow);
  free(x), free(log_prob), free(samples);
  return 0;
}
