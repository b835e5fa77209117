/* What a data-parallel step takes on each rank of MPI: ranks DIM TRANSFORMS HIDDEN ROWS STEPS. Prints the parameters, and
 * seconds a step of the gradient of ROWS rows, of MPI_Allreduce, of the optimizer and the new flow; of the slowest rank,
 * medians over the steps. See ranks.py. */
#include <diffeo.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(diffeo_status status) {
  if (status == DIFFEO_OK) return;
  fprintf(stderr, "%s: %s\n", diffeo_status_name(status), diffeo_last_error());
  MPI_Abort(MPI_COMM_WORLD, 1);
}

static int ascending(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  if (argc != 6) return 1;
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const int64_t dim = atoi(argv[1]), rows = atoi(argv[4]), width = atoi(argv[3]), hidden[] = {width, width};
  const int steps = atoi(argv[5]);
  diffeo_network_options network;
  diffeo_architecture_options architecture;
  diffeo_workspace *workspace;
  diffeo_flow *flow;
  diffeo_optimizer *optimizer;
  check(diffeo_network_options_init(&network, sizeof network));
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  network.hidden = hidden, network.hidden_count = 2;
  architecture.dim = dim, architecture.transforms = atoi(argv[2]), architecture.network = &network;
  check(diffeo_maf_create(&architecture, &flow));
  check(diffeo_workspace_create(1, &workspace));
  check(diffeo_optimizer_create(flow, NULL, 0, &optimizer));
  const int64_t count = diffeo_flow_parameter_count(flow);
  float *x = malloc((size_t)(rows * dim) * sizeof *x), *weights = malloc((size_t)rows * sizeof *weights);
  float *gradient = malloc((size_t)count * sizeof *gradient);
  double *seconds = malloc((size_t)(3 * steps) * sizeof *seconds);
  srand((unsigned)rank);
  for (int64_t i = 0; i < rows * dim; i++) x[i] = (float)(rand() / (RAND_MAX + 1.0) - rand() / (RAND_MAX + 1.0));
  for (int64_t i = 0; i < rows; i++) weights[i] = -1.0f / (float)rows;
  for (int step = 0; step < steps; step++) {
    memset(gradient, 0, (size_t)count * sizeof *gradient);
    MPI_Barrier(MPI_COMM_WORLD);
    double marks[4] = {MPI_Wtime()};
    check(diffeo_flow_log_prob_vjp_f32(flow, x, rows, NULL, 0, weights, workspace, NULL, NULL, NULL, gradient));
    marks[1] = MPI_Wtime();
    MPI_Barrier(MPI_COMM_WORLD); /* waiting for others is not what the sum takes */
    const double from = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, gradient, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    marks[2] = MPI_Wtime();
    check(diffeo_optimizer_step_f32(optimizer, gradient, NULL));
    diffeo_flow_destroy(flow);
    check(diffeo_optimizer_current(optimizer, &flow));
    marks[3] = MPI_Wtime();
    double took[3] = {marks[1] - marks[0], marks[2] - from, marks[3] - marks[2]};
    MPI_Allreduce(MPI_IN_PLACE, took, 3, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    for (int k = 0; k < 3; k++) seconds[k * steps + step] = took[k];
  }
  if (rank == 0) {
    printf("%lld", (long long)count);
    for (int k = 0; k < 3; k++) {
      qsort(seconds + k * steps, (size_t)steps, sizeof *seconds, ascending);
      printf(" %.9f", seconds[k * steps + steps / 2]);
    }
    printf("\n");
  }
  MPI_Finalize();
  return 0;
}
