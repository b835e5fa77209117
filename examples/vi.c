/* The posterior of a model in C, by variational inference: eight schools (Rubin 1981), whose effects are estimated from
 * eight experiments, each of them noisy. No data set is drawn from the posterior; all there is is its density. */
#include <diffeo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCHOOLS = 8, DIM = SCHOOLS + 2, DRAWS = 4000 };
static const double effect[SCHOOLS] = {28, 8, -3, 7, -1, 1, 18, 12}, error[SCHOOLS] = {15, 10, 16, 11, 9, 11, 10, 18};

static void check(diffeo_status status) {
  if (status == DIFFEO_OK) return;
  fprintf(stderr, "%s: %s\n", diffeo_status_name(status), diffeo_last_error());
  exit(1);
}

/* mu ~ N(0, 5), tau ~ half-Cauchy(0, 5), theta_i = mu + tau eta_i, eta_i ~ N(0, 1), effect_i ~ N(theta_i, error_i).
 * Rows are eta, mu, log tau; the last has the Jacobian of the logarithm. */
static int posterior(void *user, int64_t n, const double *rows, const double *context, double *log_p, double *gradient) {
  (void)user, (void)context;
  for (int64_t r = 0; r < n; r++) {
    const double *x = rows + r * DIM, mu = x[SCHOOLS], tau = exp(x[SCHOOLS + 1]);
    double p = -mu * mu / 50 - log1p(tau * tau / 25) + log(tau), d_mu = -mu / 25, d_tau = 1 - 2 * tau * tau / (25 + tau * tau);
    for (int i = 0; i < SCHOOLS; i++) {
      const double residual = (effect[i] - mu - tau * x[i]) / error[i];
      p -= 0.5 * x[i] * x[i] + 0.5 * residual * residual;
      d_mu += residual / error[i];
      d_tau += residual / error[i] * tau * x[i];
      if (gradient) gradient[r * DIM + i] = -x[i] + residual / error[i] * tau;
    }
    log_p[r] = p;
    if (gradient) gradient[r * DIM + SCHOOLS] = d_mu, gradient[r * DIM + SCHOOLS + 1] = d_tau;
  }
  return 0;
}

int main(void) {
  static const int64_t hidden[] = {32, 32};
  diffeo_network_options network;
  diffeo_architecture_options architecture;
  diffeo_train_options train;
  diffeo_vi_options options;
  diffeo_flow *start, *flow;
  diffeo_vi *vi;
  diffeo_variational_report report = {.struct_size = sizeof report};

  check(diffeo_network_options_init(&network, sizeof network));
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  network.hidden = hidden, network.hidden_count = 2;
  architecture.dim = DIM, architecture.network = &network;
  check(diffeo_realnvp_create(&architecture, &start));
  check(diffeo_train_options_init(&train, sizeof train));
  train.learning_rate = 3e-3, train.schedule = DIFFEO_SCHEDULE_COSINE;
  check(diffeo_vi_options_init(&options, sizeof options));
  options.train = &train, options.steps = 2000;
  check(diffeo_vi_create_f64(start, &options, posterior, NULL, NULL, 0, &vi));
  while (!diffeo_vi_finished(vi)) check(diffeo_vi_step(vi, 0, &report));
  check(diffeo_vi_best(vi, &flow));
  printf("%lld steps in %.1f s: ELBO %.2f +- %.2f, log evidence %.2f, k-hat %.2f\n", (long long)report.steps, report.seconds,
         report.elbo, report.elbo_error, report.log_evidence, report.pareto_k);

  static double x[DRAWS * DIM];
  double mean[2] = {0, 0}, square[2] = {0, 0};
  check(diffeo_flow_sample_f64(flow, 1, 0, DRAWS, NULL, 0, NULL, x, NULL));
  for (int r = 0; r < DRAWS; r++) {
    const double parameters[2] = {x[r * DIM + SCHOOLS], exp(x[r * DIM + SCHOOLS + 1])};
    for (int k = 0; k < 2; k++) mean[k] += parameters[k] / DRAWS, square[k] += parameters[k] * parameters[k] / DRAWS;
  }
  for (int k = 0; k < 2; k++)
    printf("%s %.2f +- %.2f\n", k == 0 ? "mu " : "tau", mean[k], sqrt(square[k] - mean[k] * mean[k]));
  diffeo_vi_destroy(vi), diffeo_flow_destroy(start), diffeo_flow_destroy(flow);
  return 0;
}
