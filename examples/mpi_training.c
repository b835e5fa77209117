/* One training on many machines: each rank has rows of its own and takes the gradient of its part of every batch, MPI adds
 * the gradients up, and all ranks take the same step.
 *
 *   mpicc mpi_training.c -ldiffeo -lm -o mpi_training && mpirun -n 4 ./mpi_training CHECKPOINT [exact]
 *
 * Started again with its checkpoint it goes on where that was, on another number of ranks too. MPI_Allreduce adds in an
 * order of its own, in which last digits may depend on the number of ranks. With `exact` they do not: the pieces of a
 * batch are gathered, and added in their order, which moves PIECES / 2 times the bytes. */
#include "example.h"
#include <mpi.h>
#include <string.h>

enum { DIM = 2, BATCH = 1024, PIECES = 8, PIECE = BATCH / PIECES, STEPS = 200, EVERY = 20, HELD_OUT = 4096 };

static int rank, ranks, exact;

/* Rows of all the data there is, from the beginning of a piece on: made up here, elsewhere a rank reads its part of a
 * file. */
static void data_rows(int64_t first, int64_t count, double *x) {
  for (int64_t row = first; row < first + count; row++) {
    float point[DIM];
    if (row % PIECE == 0) srand((unsigned)(row / PIECE));
    moon_point((int)(row % 2), point);
    for (int j = 0; j < DIM; j++) x[(row - first) * DIM + j] = point[j];
  }
}

/* The gradient of the mean negative log-likelihood of batch number `step`, the same on all ranks. pieces: room for all. */
static void batch_gradient(const diffeo_flow *flow, int64_t step, int64_t count, double *pieces, double *gradient) {
  const int own = PIECES / ranks;
  double x[PIECE * DIM], weights[PIECE];
  for (int i = 0; i < PIECE; i++) weights[i] = -1.0 / BATCH;
  memset(pieces, 0, (size_t)(count * PIECES) * sizeof *pieces);
  for (int k = rank * own; k < (rank + 1) * own; k++) {
    data_rows(HELD_OUT + step * BATCH + k * PIECE, PIECE, x);
    check(diffeo_flow_log_prob_vjp_f64(flow, x, PIECE, NULL, 0, weights, NULL, NULL, NULL, NULL, pieces + k * count));
  }
  if (exact) MPI_Allgather(MPI_IN_PLACE, 0, MPI_DOUBLE, pieces, (int)(own * count), MPI_DOUBLE, MPI_COMM_WORLD);
  memset(gradient, 0, (size_t)count * sizeof *gradient);
  for (int k = 0; k < PIECES; k++) {
    for (int64_t i = 0; i < count; i++) gradient[i] += pieces[k * count + i];
  }
  if (!exact) MPI_Allreduce(MPI_IN_PLACE, gradient, (int)count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

/* The mean over rows that no batch has, each rank with its part of them. */
static double held_out_log_prob(const diffeo_flow *flow) {
  static double x[HELD_OUT * DIM], log_prob[HELD_OUT];
  const int64_t own = HELD_OUT / ranks;
  double sum = 0;
  data_rows(rank * own, own, x);
  check(diffeo_flow_log_prob_f64(flow, x, own, NULL, 0, NULL, log_prob));
  for (int64_t i = 0; i < own; i++) sum += log_prob[i];
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  return sum / (double)(own * ranks);
}

/* A flow standardised by rows of rank 0: a trainer that takes no step sets such layers. */
static diffeo_flow *first_flow(void) {
  static double x[HELD_OUT * DIM];
  diffeo_architecture_options architecture;
  diffeo_flow *flow, *standardised;
  diffeo_trainer *trainer;
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  architecture.dim = DIM;
  check(diffeo_maf_create(&architecture, &flow));
  data_rows(0, HELD_OUT, x);
  check(diffeo_trainer_create_f64(flow, NULL, x, HELD_OUT, NULL, 0, NULL, &trainer));
  check(diffeo_trainer_current(trainer, &standardised));
  diffeo_trainer_destroy(trainer);

  const int64_t count = diffeo_flow_parameter_count(flow);
  double *parameters = malloc((size_t)count * sizeof *parameters);
  check(diffeo_flow_parameters_f64(standardised, parameters));
  MPI_Bcast(parameters, (int)count, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  diffeo_flow_destroy(flow), diffeo_flow_destroy(standardised);
  check(diffeo_maf_create(&architecture, &flow));
  check(diffeo_flow_with_parameters_f64(flow, parameters, &standardised));
  diffeo_flow_destroy(flow), free(parameters);
  return standardised;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const char *path = argc > 1 ? argv[1] : "mpi_training.h5";
  exact = argc > 2 && strcmp(argv[2], "exact") == 0;
  if (PIECES % ranks) {
    if (rank == 0) fprintf(stderr, "%d pieces of a batch cannot be dealt evenly to %d ranks\n", PIECES, ranks);
    MPI_Finalize();
    return 1;
  }

  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  options.learning_rate = 3e-3, options.schedule = DIFFEO_SCHEDULE_COSINE;
  diffeo_flow *flow = first_flow();
  const int64_t count = diffeo_flow_parameter_count(flow);
  double *gradient = malloc((size_t)count * sizeof *gradient), *pieces = malloc((size_t)(count * PIECES) * sizeof *pieces);
  diffeo_optimizer *optimizer;
  check(diffeo_optimizer_create(flow, &options, STEPS, &optimizer));
  FILE *before = fopen(path, "rb");
  if (before) {
    fclose(before);
    check(diffeo_optimizer_load(optimizer, path));
  }
  diffeo_train_report report = {.struct_size = sizeof report};
  check(diffeo_optimizer_report(optimizer, &report));
  if (rank == 0) printf("%d ranks, begins after %d steps\n", ranks, (int)report.steps), fflush(stdout);

  while (report.steps < STEPS) {
    diffeo_flow_destroy(flow);
    check(diffeo_optimizer_current(optimizer, &flow));
    batch_gradient(flow, report.steps, count, pieces, gradient);
    check(diffeo_optimizer_step_f64(optimizer, gradient, &report));
    if (report.steps % EVERY) continue;
    if (rank == 0) check(diffeo_optimizer_save(optimizer, path));
    const double log_prob = held_out_log_prob(flow);
    if (rank == 0) printf("step %3d: %.6f nats a row\n", (int)report.steps, log_prob), fflush(stdout);
  }
  diffeo_optimizer_destroy(optimizer), diffeo_flow_destroy(flow);
  free(gradient), free(pieces);
  MPI_Finalize();
  return 0;
}
