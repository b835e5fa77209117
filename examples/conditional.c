/* p(x | c): the moons again, where the context says which one. Trained in a single call. */
#include "example.h"

enum { ROWS = 6000 };

static int show(const diffeo_train_report *report, void *user) {
  (void)user;
  printf("\repoch %d: %.3f nats a row", (int)report->epoch, report->validation_log_prob);
  fflush(stdout);
  return 0; /* anything else would stop the training */
}

int main(void) {
  static float x[ROWS * 2], context[ROWS];
  for (int i = 0; i < ROWS; i++) {
    moon_point(i % 2, x + 2 * i);
    context[i] = (float)(i % 2);
  }

  diffeo_architecture_options architecture;
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  architecture.dim = 2;
  architecture.context_dim = 1;
  architecture.transforms = 4;
  diffeo_flow *start, *flow;
  check(diffeo_realnvp_create(&architecture, &start));

  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  options.batch_size = 256;
  options.max_epochs = 12;
  options.learning_rate = 3e-3;
  check(diffeo_fit_f32(start, &options, x, ROWS, context, ROWS, NULL, show, NULL, &flow, NULL));
  printf("\n");

  /* One row of context serves all samples; which moon did this point come from? */
  for (float moon = 0; moon < 2; moon++) {
    float sample[3 * 2];
    check(diffeo_flow_sample_f32(flow, 1, 0, 3, &moon, 1, NULL, sample, NULL));
    printf("moon %.0f: (%.2f, %.2f) (%.2f, %.2f) (%.2f, %.2f)\n", moon, sample[0], sample[1], sample[2], sample[3],
           sample[4], sample[5]);
  }
  const float points[] = {0, 1, 0, 1}, moons[] = {0, 1};
  float log_prob[2];
  check(diffeo_flow_log_prob_f32(flow, points, 2, moons, 2, NULL, log_prob));
  printf("(0, 1) has log-density %.1f in moon 0 and %.1f in moon 1\n", log_prob[0], log_prob[1]);
  diffeo_flow_destroy(flow);
  diffeo_flow_destroy(start);
  return 0;
}
