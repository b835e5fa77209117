/* The density of a flow of two columns, as a picture in characters: density [FILE], which training writes. */
#include "example.h"

enum { WIDTH = 72, HEIGHT = 28 };

int main(int argc, char **argv) {
  diffeo_flow *flow;
  check(diffeo_flow_load(argc > 1 ? argv[1] : "moons.h5", &flow));

  /* All points of the picture in one call: x from -1.5 to 2.5, y from 1.5 down to -1. */
  static float x[WIDTH * HEIGHT * 2], log_prob[WIDTH * HEIGHT];
  const double dx = 4.0 / WIDTH, dy = 2.5 / HEIGHT;
  for (int i = 0; i < WIDTH * HEIGHT; i++) {
    x[2 * i] = (float)(-1.5 + (i % WIDTH + 0.5) * dx);
    x[2 * i + 1] = (float)(1.5 - (i / WIDTH + 0.5) * dy);
  }
  check(diffeo_flow_log_prob_f32(flow, x, WIDTH * HEIGHT, NULL, 0, NULL, log_prob));

  double total = 0;
  for (int i = 0; i < WIDTH * HEIGHT; i++) {
    const double p = exp(log_prob[i]);
    total += p * dx * dy;
    putchar(" .:-=+*#%@"[p < 0.7 ? (int)(p / 0.07) : 9]);
    if (i % WIDTH == WIDTH - 1) putchar('\n');
  }
  printf("the density in this window sums to %.3f\n", total);
  diffeo_flow_destroy(flow);
  return 0;
}
