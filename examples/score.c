/* The gradient of the log-density leads from anywhere up to the data: score [FILE], which training writes. */
#include "example.h"

enum { POINTS = 5, STEPS = 200 };

int main(int argc, char **argv) {
  diffeo_flow *flow;
  check(diffeo_flow_load(argc > 1 ? argv[1] : "moons.h5", &flow));
  diffeo_workspace *workspace;
  check(diffeo_workspace_create(1, &workspace));

  float x[POINTS * 2] = {-1.2f, -0.4f, 0.5f, 0.25f, 2.2f, 1.0f, 0.0f, -0.8f, 1.0f, 1.2f};
  float log_prob[POINTS], score[POINTS * 2];
  for (int step = 0; step <= STEPS; step++) {
    check(diffeo_flow_log_prob_gradient_f32(flow, x, POINTS, NULL, 0, workspace, log_prob, score, NULL));
    if (step % 50 == 0) {
      printf("step %3d:", step);
      for (int i = 0; i < POINTS; i++) printf("  (%5.2f, %5.2f) %6.2f", x[2 * i], x[2 * i + 1], log_prob[i]);
      printf("\n");
    }
    /* Short steps, at most 0.05, for far from the data the score is large. */
    for (int i = 0; i < POINTS; i++) {
      const float length = hypotf(score[2 * i], score[2 * i + 1]);
      const float rate = fminf(0.002f, 0.05f / length);
      x[2 * i] += rate * score[2 * i];
      x[2 * i + 1] += rate * score[2 * i + 1];
    }
  }
  diffeo_workspace_destroy(workspace);
  diffeo_flow_destroy(flow);
  return 0;
}
