/* Without linking: the library is opened at run time. dlopen_density LIBRARY [FILE]; the file as training writes it. */
#include <diffeo_loader.h>

static diffeo_api diffeo;

static void check(diffeo_status status) {
  if (status == DIFFEO_OK) return;
  fprintf(stderr, "%s: %s\n", diffeo.status_name(status), diffeo.last_error());
  exit(1);
}

int main(int argc, char **argv) {
  char error[512];
  if (diffeo_api_load(argc > 1 ? argv[1] : NULL, &diffeo, error, sizeof error) != 0) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  printf("diffeo %s\n", diffeo.version_string());

  diffeo_flow *flow;
  check(diffeo.flow_load(argc > 2 ? argv[2] : "moons.h5", &flow));
  const double x[] = {0, 1, 1, -0.5, 0.5, 0.25};
  double log_prob[3];
  check(diffeo.flow_log_prob_f64(flow, x, 3, NULL, 0, NULL, log_prob));
  for (int i = 0; i < 3; i++) printf("log p(%g, %g) = %.3f\n", x[2 * i], x[2 * i + 1], log_prob[i]);
  diffeo.flow_destroy(flow);
  return 0;
}
