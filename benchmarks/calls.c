/* Calls of a flow from C, in float32 and with a workspace.
 *
 *     calls flow.h5 log_prob|sample|to_noise|from_noise ROWS THREADS
 *
 * First it prints the seconds to open the library, to load the flow and for a first call. Then each line on stdin is a
 * number of calls; the answer is the seconds that they took, and the most kilobytes of memory the process has had beyond
 * those before the first call. */
#include "diffeo_loader.h"
#include <malloc.h>
#include <math.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *text) {
  fprintf(stderr, "calls: %s\n", text);
  exit(1);
}

/* Kilobytes of a line of /proc/self/status. ru_maxrss would count the parent before exec, too. */
static long memory(const char *name) {
  char line[256];
  long found = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) found = atol(line + strlen(name));
  if (status != NULL) fclose(status);
  return found;
}

static uint64_t state = 1;
static double uniform(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static diffeo_api api;
static diffeo_flow *flow;
static diffeo_workspace *workspace;
static float *in, *out, *value;
static long rows;
static uint64_t seed;

static diffeo_status call(const char *task) {
  switch (task[0]) {
  case 'l': return api.flow_log_prob_f32(flow, in, rows, NULL, 0, workspace, value);
  case 's': return api.flow_sample_f32(flow, seed++, 0, rows, NULL, 0, workspace, out, NULL);
  case 't': return api.flow_to_noise_f32(flow, in, rows, NULL, 0, workspace, out, value);
  default: return api.flow_from_noise_f32(flow, in, rows, NULL, 0, workspace, out, value);
  }
}

int main(int argc, char **argv) {
  char error[256];
  double times[4];
  long calls, i, before;
  FILE *peak;

  if (argc != 5) fail("usage: calls flow.h5 log_prob|sample|to_noise|from_noise ROWS THREADS");
  times[0] = now();
  if (diffeo_api_load(NULL, &api, error, sizeof error) != 0) fail(error);
  times[1] = now();
  if (api.flow_load(argv[1], &flow) != DIFFEO_OK || api.workspace_create(atoi(argv[4]), &workspace) != DIFFEO_OK)
    fail(api.last_error());
  times[2] = now();
  const long dim = (long)api.flow_dim(flow);
  rows = 1, in = calloc((size_t)dim, sizeof *in), out = calloc((size_t)dim, sizeof *in), value = malloc(sizeof *value);
  if (in == NULL || out == NULL || value == NULL) fail("out of memory");
  if (call(argv[2]) != DIFFEO_OK) fail(api.last_error());
  times[3] = now();
  printf("%.9f %.9f %.9f\n", times[1] - times[0], times[2] - times[1], times[3] - times[2]);
  fflush(stdout);

  rows = atol(argv[3]);
  const size_t count = (size_t)(rows * dim), least = 4096;
  in = realloc(in, (count + least) * sizeof *in);
  out = realloc(out, (count + least) * sizeof *out);
  value = realloc(value, ((size_t)rows + least) * sizeof *value);
  if (in == NULL || out == NULL || value == NULL) fail("out of memory");
  memset(out, 0, (count + least) * sizeof *out);
  memset(value, 0, ((size_t)rows + least) * sizeof *value);
  for (i = 0; i < rows * dim; i++) in[i] = (float)(sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));

  /* A new workspace, and the peak counted from here. */
  api.workspace_destroy(workspace);
  malloc_trim(0);
  if ((peak = fopen("/proc/self/clear_refs", "w")) != NULL) fputs("5", peak), fclose(peak);
  before = memory("VmRSS:");
  if (api.workspace_create(atoi(argv[4]), &workspace) != DIFFEO_OK) fail(api.last_error());
  while (scanf("%ld", &calls) == 1) {
    double start = now();
    for (i = 0; i < calls; i++)
      if (call(argv[2]) != DIFFEO_OK) fail(api.last_error());
    start = now() - start;
    if (!isfinite(argv[2][0] == 's' ? out[0] : value[0])) fail("the result is not finite");
    printf("%.9f %ld\n", start, memory("VmHWM:") - before);
    fflush(stdout);
  }
  api.workspace_destroy(workspace);
  api.flow_destroy(flow);
  free(in), free(out), free(value);
  return 0;
}
