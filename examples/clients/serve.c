/* A flow that was taken out of another package: samples and their log-densities, those inside of the prior if the file has
 * its box. serve LIBRARY FILE COUNT [CONTEXT...] */
#include <diffeo_loader.h>
#include <math.h>
#include <string.h>

enum { DRAWS = 100000, SEED = 1 };

static diffeo_api diffeo;

static void check(diffeo_status status) {
  if (status == DIFFEO_OK) return;
  fprintf(stderr, "%s: %s\n", diffeo.status_name(status), diffeo.last_error());
  exit(1);
}

static void *memory(size_t bytes) {
  void *made = malloc(bytes);
  if (made == NULL) fprintf(stderr, "no memory for %zu bytes\n", bytes), exit(1);
  return made;
}

/* The numbers of a list of JSON: {"low": [0.0, null], "high": [1.0, null]}, null for no end. */
static void read_ends(const char *json, const char *name, double none, int64_t dim, double *ends) {
  const char *at = strstr(json, name);
  at = at == NULL ? NULL : strchr(at, '[');
  for (int64_t i = 0; i < dim; i++) {
    ends[i] = none;
    if (at == NULL) continue;
    char *end;
    const double value = strtod(at + 1, &end);
    if (end != at + 1) ends[i] = value;
    at = strchr(end, ',');
  }
}

int main(int count, char **words) {
  if (count < 4) return fprintf(stderr, "usage: serve LIBRARY FILE COUNT [CONTEXT...]\n"), 1;
  char error[512];
  if (diffeo_api_load(words[1], &diffeo, error, sizeof error) != 0) return fprintf(stderr, "%s\n", error), 1;
  diffeo_flow *flow;
  check(diffeo.flow_load(words[2], &flow));
  const int64_t dim = diffeo.flow_dim(flow), wanted = strtol(words[3], NULL, 10), given = count - 4;
  if (given != diffeo.flow_context_dim(flow))
    return fprintf(stderr, "%d numbers of context, this flow has %d\n", (int)given, (int)diffeo.flow_context_dim(flow)), 1;

  double *context = memory((size_t)(given + 1) * sizeof *context);
  for (int64_t i = 0; i < given; i++) context[i] = strtod(words[4 + i], NULL);
  double *low = memory((size_t)dim * sizeof *low), *high = memory((size_t)dim * sizeof *high);
  char box[65536] = ""; /* the longest there is */
  if (diffeo.flow_metadata(flow, "diffeo.prior_box", box, sizeof box, NULL) != DIFFEO_OK) box[0] = 0;
  read_ends(box, "\"low\"", -INFINITY, dim, low);
  read_ends(box, "\"high\"", INFINITY, dim, high);

  double *x = memory((size_t)(DRAWS * dim) * sizeof *x), *log_prob = memory(DRAWS * sizeof *log_prob);
  check(diffeo.flow_sample_f64(flow, SEED, 0, DRAWS, given ? context : NULL, given != 0, NULL, x, log_prob));
  int64_t inside = 0;
  for (int64_t row = 0; row < DRAWS; row++) {
    const double *at = x + row * dim;
    int holds = 1;
    for (int64_t i = 0; i < dim; i++) holds &= low[i] <= at[i] && at[i] <= high[i];
    if (!holds || inside++ >= wanted) continue;
    for (int64_t i = 0; i < dim; i++) printf("%14.6f", at[i]);
    printf("%14.6f\n", log_prob[row]);
  }
  /* Within the prior alone densities are larger by one over this share. */
  printf("inside of the prior: %.4f\n", (double)inside / DRAWS);

  free(x), free(log_prob), free(low), free(high), free(context);
  diffeo.flow_destroy(flow);
  return 0;
}
