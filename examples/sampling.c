/* A million samples in pieces, with scratch memory and threads of their own: sampling [FILE], which training writes.
 * Sample number i of a seed is the same whatever the pieces, so that they could as well come from many machines. */
#include "example.h"

enum { TOTAL = 1000000, PIECE = 50000 };

int main(int argc, char **argv) {
  diffeo_flow *flow;
  check(diffeo_flow_load(argc > 1 ? argv[1] : "moons.h5", &flow));
  diffeo_workspace *workspace;
  check(diffeo_workspace_create(0, &workspace)); /* as many threads as there are */

  const uint64_t seed = 42;
  static float x[PIECE * 2], log_prob[PIECE];
  double mean[2] = {0, 0}, entropy = 0;
  for (uint64_t first = 0; first < TOTAL; first += PIECE) {
    check(diffeo_flow_sample_f32(flow, seed, first, PIECE, NULL, 0, workspace, x, log_prob));
    for (int i = 0; i < PIECE; i++) {
      mean[0] += x[2 * i] / TOTAL;
      mean[1] += x[2 * i + 1] / TOTAL;
      entropy -= (double)log_prob[i] / TOTAL;
    }
  }
  printf("%d samples with %d threads: mean %.4f %.4f, entropy %.4f nats\n", TOTAL, (int)diffeo_workspace_threads(workspace),
         mean[0], mean[1], entropy);

  /* Number 123456 alone, once more. */
  check(diffeo_flow_sample_f32(flow, seed, 123456, 1, NULL, 0, NULL, x, NULL));
  printf("sample 123456 is %.6f %.6f\n", x[0], x[1]);
  diffeo_workspace_destroy(workspace);
  diffeo_flow_destroy(flow);
  return 0;
}
