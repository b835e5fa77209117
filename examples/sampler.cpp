// A flow as the proposal of a Markov chain: independence Metropolis-Hastings on a banana whose mean is known.
// The flow is trained on a rough sample of the target; the chain corrects what it has not learned.
#include <diffeo.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

static void check(diffeo_status status) {
  if (status != DIFFEO_OK) throw std::runtime_error(diffeo_last_error());
}

struct Destroy {
  void operator()(diffeo_flow *flow) const { diffeo_flow_destroy(flow); }
};
using Flow = std::unique_ptr<diffeo_flow, Destroy>;

// x0 ~ N(0, 1), x1 | x0 ~ N(x0^2, 0.3): the mean of x1 is 1. Not normalised, as targets are.
static double log_target(const double *x) {
  const double d = (x[1] - x[0] * x[0]) / 0.3;
  return -0.5 * (x[0] * x[0] + d * d);
}

static Flow train() {
  const std::size_t rows = 3000;
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  std::vector<double> x(2 * rows);
  for (std::size_t i = 0; i < rows; i++) {
    x[2 * i] = 1.2 * normal(engine);
    x[2 * i + 1] = x[2 * i] * x[2 * i] + 0.4 * normal(engine);
  }
  diffeo_architecture_options architecture;
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  architecture.dim = 2;
  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  options.max_epochs = 20;
  options.batch_size = 128;
  diffeo_flow *flow = nullptr;
  check(diffeo_maf_create(&architecture, &flow));
  const Flow start(flow);
  check(diffeo_fit_f64(start.get(), &options, x.data(), rows, nullptr, 0, nullptr, nullptr, nullptr, &flow, nullptr));
  return Flow(flow);
}

int main() try {
  const Flow flow = train();
  const std::size_t n = 200000;
  std::vector<double> x(2 * n), log_q(n);
  check(diffeo_flow_sample_f64(flow.get(), 7, 0, n, nullptr, 0, nullptr, x.data(), log_q.data()));

  std::mt19937_64 engine(2);
  std::uniform_real_distribution<double> uniform;
  std::size_t at = 0, accepted = 0;
  double mean = 0;
  for (std::size_t i = 1; i < n; i++) {
    const double log_ratio = log_target(&x[2 * i]) - log_q[i] - log_target(&x[2 * at]) + log_q[at];
    if (std::log(uniform(engine)) < log_ratio) at = i, accepted++;
    mean += x[2 * at + 1] / static_cast<double>(n - 1);
  }
  std::printf("accepted %.0f %% of %zu proposals; mean of x1 %.3f, exactly 1\n", 100.0 * accepted / n, n, mean);
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
