/* The densities of inference_targets.py as targets of C, with the constants of Tests/inference/targets.py. */
#include <math.h>
#include <stdint.h>

#define LOG_2PI 1.8378770664093453f

int banana(void *user, int64_t n, const float *x, const float *context, float *log_p, float *gradient) {
  (void)user, (void)context;
  for (int64_t r = 0; r < n; r++, x += 2) {
    const float bend = x[1] - x[0] * x[0];
    log_p[r] = -0.5f * x[0] * x[0] - 2 * bend * bend;
    if (gradient) gradient[2 * r] = -x[0] + 8 * x[0] * bend, gradient[2 * r + 1] = -4 * bend;
  }
  return 0;
}

int funnel(void *user, int64_t n, const float *x, const float *context, float *log_p, float *gradient) {
  enum { D = 10 };
  (void)user, (void)context;
  for (int64_t r = 0; r < n; r++, x += D) {
    const float precision = expf(-x[0]);
    float squares = 0;
    for (int i = 1; i < D; i++) squares += x[i] * x[i];
    squares *= precision;
    log_p[r] = -x[0] * x[0] / 18 - logf(3) - 0.5f * (squares + (D - 1) * x[0] + D * LOG_2PI);
    if (!gradient) continue;
    gradient[r * D] = -x[0] / 9 + 0.5f * (squares - (D - 1));
    for (int i = 1; i < D; i++) gradient[r * D + i] = -x[i] * precision;
  }
  return 0;
}

int ring(void *user, int64_t n, const float *x, const float *context, float *log_p, float *gradient) {
  enum { MODES = 8 };
  const float far = 4, near = 2.828427125f, precision = 4;
  const float centres[MODES][2] = {{far, 0},  {near, near},   {0, far},  {-near, near},
                                   {-far, 0}, {-near, -near}, {0, -far}, {near, -near}};
  (void)user, (void)context;
  for (int64_t r = 0; r < n; r++, x += 2) {
    float logs[MODES], top = -INFINITY, total = 0, first = 0, second = 0;
    for (int k = 0; k < MODES; k++) {
      const float a = centres[k][0] - x[0], b = centres[k][1] - x[1];
      logs[k] = -0.5f * precision * (a * a + b * b);
      top = fmaxf(top, logs[k]);
    }
    for (int k = 0; k < MODES; k++) {
      const float weight = expf(logs[k] - top);
      total += weight, first += weight * (centres[k][0] - x[0]), second += weight * (centres[k][1] - x[1]);
    }
    log_p[r] = top + logf(total);
    if (gradient) gradient[2 * r] = precision * first / total, gradient[2 * r + 1] = precision * second / total;
  }
  return 0;
}

int eight_schools(void *user, int64_t n, const float *x, const float *context, float *log_p, float *gradient) {
  enum { SCHOOLS = 8, D = SCHOOLS + 2 };
  static const float effect[SCHOOLS] = {28, 8, -3, 7, -1, 1, 18, 12}, error[SCHOOLS] = {15, 10, 16, 11, 9, 11, 10, 18};
  float constant = logf(2 / (3.14159265f * 5)) - logf(5) - 8.5f * LOG_2PI;
  for (int i = 0; i < SCHOOLS; i++) constant -= logf(error[i]);
  (void)user, (void)context;
  for (int64_t r = 0; r < n; r++, x += D) {
    const float mu = x[SCHOOLS], tau = expf(x[SCHOOLS + 1]), ratio = tau * tau / 25;
    float p = constant - mu * mu / 50 - log1pf(ratio) + x[SCHOOLS + 1];
    float d_mu = -mu / 25, d_tau = 1 - 2 * ratio / (1 + ratio);
    for (int i = 0; i < SCHOOLS; i++) {
      const float residual = (effect[i] - mu - tau * x[i]) / error[i], slope = residual / error[i];
      p -= 0.5f * (x[i] * x[i] + residual * residual);
      d_mu += slope, d_tau += slope * tau * x[i];
      if (gradient) gradient[r * D + i] = -x[i] + slope * tau;
    }
    log_p[r] = p;
    if (gradient) gradient[r * D + SCHOOLS] = d_mu, gradient[r * D + SCHOOLS + 1] = d_tau;
  }
  return 0;
}
