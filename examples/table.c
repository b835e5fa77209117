/* A table with columns of several kinds in one flow: the hour of a purchase, its amount, how many things, and how it was
 * paid. Each column has the layers of its kind; all that are not named pass. */
#include "example.h"

enum { ROWS = 4000, COLUMNS = 4, TRANSFORMS = 2, PAYMENTS = 3, PLACES = 16 };
enum { HOUR, AMOUNT, THINGS, PAYMENT };

/* At noon few things for cash, in the night many, by card or on account. */
static void purchase(double *x) {
  const double hour = uniform() < 0.6 ? 12 + 2 * normal() : 23.5 + 1.5 * normal();
  const double late = 0.5 * (1 + cos(hour * 3.14159265358979 / 12));
  x[HOUR] = hour;
  x[THINGS] = 0;
  for (double t = -log(uniform()); t < 1 + 4 * late; t -= log(uniform())) x[THINGS]++;
  x[AMOUNT] = exp(1 + 0.4 * x[THINGS] + 0.5 * normal());
  x[PAYMENT] = x[AMOUNT] < 6 ? 0 : uniform() < 0.7 ? 1 : 2;
}

static diffeo_flow *new_flow(void) {
  const int64_t hour[] = {HOUR}, amount[] = {AMOUNT}, things[] = {THINGS}, payment[] = {PAYMENT};
  const int64_t counts[] = {THINGS, PAYMENT}, levels[] = {0, PAYMENTS}; /* of things there is no highest number */
  const int64_t on_line[] = {AMOUNT, THINGS, PAYMENT}, hidden[] = {32};
  const double zero[] = {0}, one[] = {1}, minus[] = {-1, -1, -1, -1}, plus[] = {1, 1, 1, 1};
  diffeo_spec *spec;
  diffeo_flow *flow;
  diffeo_autoregressive_options layer;
  diffeo_network_options network;
  diffeo_map_options map;
  diffeo_spline_options spline;
  diffeo_base_options base;
  check(diffeo_autoregressive_options_init(&layer, sizeof layer));
  check(diffeo_network_options_init(&network, sizeof network));
  check(diffeo_map_options_init(&map, sizeof map));
  check(diffeo_spline_options_init(&spline, sizeof spline));
  check(diffeo_base_options_init(&base, sizeof base));
  network.hidden = hidden, network.hidden_count = 1;
  spline.low = -1, spline.high = 1, spline.boundary = DIFFEO_BOUNDARY_PERIODIC;
  map.map = DIFFEO_MAP_SPLINE, map.spline = &spline;
  layer.network = &network, layer.map = &map;
  base.base = DIFFEO_BASE_LOGISTIC;

  /* Counts and categories get a place between n and n + 1 in training; then all but the angle go to the line. */
  check(diffeo_spec_create(COLUMNS, 0, DIFFEO_F64, &spec));
  check(diffeo_spec_add_dequantize_columns(spec, counts, 2, levels));
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_LOG, amount, 1, zero, NULL));
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_SOFTPLUS, things, 1, zero, NULL));
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, payment, 1, zero, one));

  /* All to circles from -1 to 1: the hour by its turn, the others with three deviations in the middle half, about. */
  const double mean[] = {12, 2.2, 3, 0}, std[] = {12, 3, 7, 6}, third[] = {1, 1 / 3., 1 / 3., 1 / 3.};
  check(diffeo_spec_add_standardize(spec, mean, std));
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, on_line, 3, minus, plus));
  check(diffeo_spec_invert(spec));
  for (int i = 0; i < TRANSFORMS; i++) { /* the circle of the hour is turned between the splines */
    check(diffeo_spec_add_wrap_columns(spec, hour, 1, minus, plus, i > 0, 0));
    layer.order = i % 2 ? DIFFEO_ORDER_REVERSED : DIFFEO_ORDER_NATURAL;
    check(diffeo_spec_add_autoregressive(spec, &layer));
  }

  /* And back: a logistic variable is uniform on its circle. */
  check(diffeo_spec_add_domain(spec, DIFFEO_DOMAIN_LOGIT, NULL, 0, minus, plus));
  check(diffeo_spec_add_standardize(spec, (const double[]){0, 0, 0, 0}, third));
  check(diffeo_spec_set_base(spec, &base));
  check(diffeo_flow_create(spec, 1, &flow));
  diffeo_spec_destroy(spec);
  return flow;
}

/* Of each way to pay, given the other columns: the density over its cell, at some places. */
static void payments(const diffeo_flow *flow, double hour, double amount, double things, double *probability) {
  double x[PAYMENTS * PLACES * COLUMNS], log_prob[PAYMENTS * PLACES], total = 0;
  for (int i = 0; i < PAYMENTS * PLACES; i++) {
    double *row = x + COLUMNS * i;
    row[HOUR] = hour, row[AMOUNT] = amount, row[THINGS] = things + 0.5, row[PAYMENT] = (i + 0.5) / PLACES;
  }
  check(diffeo_flow_log_prob_f64(flow, x, PAYMENTS * PLACES, NULL, 0, NULL, log_prob));
  for (int k = 0; k < PAYMENTS; k++) probability[k] = 0;
  for (int i = 0; i < PAYMENTS * PLACES; i++) probability[i / PLACES] += exp(log_prob[i]), total += exp(log_prob[i]);
  for (int k = 0; k < PAYMENTS; k++) probability[k] /= total;
}

int main(void) {
  static double x[ROWS * COLUMNS];
  for (int i = 0; i < ROWS; i++) purchase(x + COLUMNS * i);
  diffeo_flow *flow = new_flow(), *trained;
  diffeo_train_options train;
  check(diffeo_train_options_init(&train, sizeof train));
  train.max_epochs = 40, train.batch_size = 100, train.learning_rate = 5e-3;
  check(diffeo_fit_f64(flow, &train, x, ROWS, NULL, 0, NULL, NULL, NULL, &trained, NULL));
  diffeo_flow_destroy(flow);

  double midnight[2 * COLUMNS] = {0.1, 20, 4.5, 1.5, 24.1, 20, 4.5, 1.5}, log_prob[2], paid[PAYMENTS];
  check(diffeo_flow_log_prob_f64(trained, midnight, 2, NULL, 0, NULL, log_prob));
  printf("log-density at 0.1 and at 24.1 hours: %.6f, %.6f\n", log_prob[0], log_prob[1]);
  payments(trained, 12, 3, 1, paid);
  printf("paid at noon, 3 for 1 thing: cash %.2f, card %.2f, on account %.2f\n", paid[0], paid[1], paid[2]);
  payments(trained, 23, 40, 5, paid);
  printf("at 23 hours, 40 for 5 things: cash %.2f, card %.2f, on account %.2f\n", paid[0], paid[1], paid[2]);

  check(diffeo_flow_sample_f64(trained, 1, 0, 5, NULL, 0, NULL, x, NULL));
  printf(" hour  amount  things  payment\n");
  for (int i = 0; i < 5; i++, printf("\n")) {
    const double *row = x + COLUMNS * i;
    printf("%5.1f %7.2f %7.0f %8.0f", row[HOUR], row[AMOUNT], floor(row[THINGS]), floor(row[PAYMENT]));
  }
  diffeo_flow_destroy(trained);
  return 0;
}
