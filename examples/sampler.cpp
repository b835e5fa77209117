// A flow as the proposal of a Markov chain: independence Metropolis-Hastings on a banana whose mean is known.
// The flow is trained on a rough sample of the target; the chain corrects what it has not learned.
#include <diffeo.hpp>

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

// x0 ~ N(0, 1), x1 | x0 ~ N(x0^2, 0.3): the mean of x1 is 1. Not normalised, as targets are.
static double log_target(const double *x) {
  const double d = (x[1] - x[0] * x[0]) / 0.3;
  return -0.5 * (x[0] * x[0] + d * d);
}

static diffeo::flow train() {
  const std::size_t rows = 3000;
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  std::vector<double> x(2 * rows);
  for (std::size_t i = 0; i < rows; i++) {
    x[2 * i] = 1.2 * normal(engine);
    x[2 * i + 1] = x[2 * i] * x[2 * i] + 0.4 * normal(engine);
  }
  const diffeo::flow start = diffeo::maf(diffeo::architecture_options().set_dim(2));
  return start.fit(x, diffeo::train_options().set_max_epochs(20).set_batch_size(128));
}

int main() try {
  const diffeo::flow flow = train();
  const std::size_t n = 200000;
  std::vector<double> x(2 * n), log_q(n);
  flow.sample(7, x, log_q);

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
