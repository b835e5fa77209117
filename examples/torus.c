/* Data on their own ground: a positive number and a share between 0 and 1, each by a layer that knows its domain; then
 * pairs of angles, on the torus. */
#include "example.h"

enum { ROWS = 2000, GRID = 60 };
static const double pi = 3.14159265358979;

/* A speed above 0 and a share that goes with it. */
static void domains(void) {
  static double x[ROWS * 2];
  for (int i = 0; i < ROWS; i++) {
    const double t = normal();
    x[2 * i] = exp(0.8 * t + 0.3 * normal());
    x[2 * i + 1] = 1 / (1 + exp(-t - 0.5 * normal()));
  }
  diffeo_spec *spec;
  diffeo_flow *flow, *trained;
  diffeo_autoregressive_options layer;
  diffeo_network_options network;
  diffeo_map_options map;
  diffeo_mixture_options mixture;
  diffeo_base_options base;
  diffeo_train_options train;
  const int64_t speed[] = {0}, share[] = {1}, hidden[] = {16};
  const double zero[] = {0}, one[] = {1};
  check(diffeo_autoregressive_options_init(&layer, sizeof layer));
  check(diffeo_network_options_init(&network, sizeof network));
  check(diffeo_map_options_init(&map, sizeof map));
  check(diffeo_mixture_options_init(&mixture, sizeof mixture));
  check(diffeo_base_options_init(&base, sizeof base));
  check(diffeo_train_options_init(&train, sizeof train));
  network.hidden = hidden, network.hidden_count = 1, mixture.components = 4;
  map.map = DIFFEO_MAP_MIXTURE, map.mixture = &mixture;
  layer.network = &network, layer.map = &map;
  base.base = DIFFEO_BASE_LOGISTIC;
  train.max_epochs = 20, train.batch_size = 100, train.learning_rate = 5e-3;

  check(diffeo_spec_create(2, 0, DIFFEO_F64, &spec));
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_LOG, speed, 1, zero, NULL));
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, share, 1, zero, one));
  check(diffeo_spec_add_autoregressive(spec, &layer));
  check(diffeo_spec_set_base(spec, &base));
  check(diffeo_flow_create(spec, 1, &flow));
  diffeo_spec_destroy(spec);
  check(diffeo_fit_f64(flow, &train, x, ROWS, NULL, 0, NULL, NULL, NULL, &trained, NULL));
  const double rows[] = {1, 0.5, -1, 0.5, 1, 1.5};
  double log_prob[3];
  check(diffeo_flow_log_prob_f64(trained, rows, 3, NULL, 0, NULL, log_prob));
  printf("log-density at (1, 0.5): %.2f; at speed -1: %g; at a share of 1.5: %g\n", log_prob[0], log_prob[1], log_prob[2]);
  diffeo_flow_destroy(flow);
  diffeo_flow_destroy(trained);
}

/* Two angles, such as those along the backbone of a protein: splines that meet themselves after a turn. */
static void torus(void) {
  static double x[ROWS * 2], grid[GRID * GRID * 2], log_prob[GRID * GRID];
  for (int i = 0; i < ROWS; i++) {
    x[2 * i] = pi + normal(); /* beyond pi is beyond -pi */
    x[2 * i + 1] = x[2 * i] + 0.5 * normal();
  }
  diffeo_architecture_options options;
  diffeo_network_options network;
  diffeo_flow *flow, *trained;
  diffeo_train_options train;
  const int64_t hidden[] = {16};
  check(diffeo_architecture_options_init(&options, sizeof options));
  check(diffeo_network_options_init(&network, sizeof network));
  check(diffeo_train_options_init(&train, sizeof train));
  network.hidden = hidden, network.hidden_count = 1;
  options.dim = 2, options.network = &network, options.periodic = 1;
  train.max_epochs = 20, train.batch_size = 100, train.learning_rate = 5e-3;
  check(diffeo_spline_autoregressive_create(&options, &flow));
  check(diffeo_fit_f64(flow, &train, x, ROWS, NULL, 0, NULL, NULL, NULL, &trained, NULL));

  double total = 0;
  for (int i = 0; i < GRID * GRID; i++) {
    grid[2 * i] = 2 * pi * (i % GRID) / GRID;
    grid[2 * i + 1] = 2 * pi * (i / GRID) / GRID;
  }
  check(diffeo_flow_log_prob_f64(trained, grid, GRID * GRID, NULL, 0, NULL, log_prob));
  for (int i = 0; i < GRID * GRID; i++) total += exp(log_prob[i]) * 4 * pi * pi / (GRID * GRID);
  printf("on the torus the density sums to %.3f\n", total);
  diffeo_flow_destroy(flow);
  diffeo_flow_destroy(trained);
}

int main(void) {
  domains();
  torus();
  return 0;
}
