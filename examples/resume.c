/* A training that may be stopped at any time, with Ctrl-C, by Slurm or by a power cut, and goes on where it was when it is
 * started again: resume [CHECKPOINT]. */
#include "example.h"
#include <signal.h>

enum { ROWS = 8000 };

static volatile sig_atomic_t stopped;
static void stop(int number) {
  (void)number;
  stopped = 1;
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "training.h5";
  static float x[ROWS * 2];
  for (int i = 0; i < ROWS; i++) moon_point(i % 2, x + 2 * i);

  /* Made the same way each time: a checkpoint of another training is refused. */
  diffeo_architecture_options architecture;
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  architecture.dim = 2;
  diffeo_flow *flow;
  check(diffeo_maf_create(&architecture, &flow));
  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  options.max_epochs = 12;
  diffeo_trainer *trainer;
  check(diffeo_trainer_create_f32(flow, &options, x, ROWS, NULL, 0, NULL, &trainer));

  FILE *before = fopen(path, "rb");
  if (before) {
    fclose(before);
    check(diffeo_trainer_load(trainer, path));
  }
  diffeo_train_report report = {.struct_size = sizeof report};
  check(diffeo_trainer_report(trainer, &report));
  printf("begins after %d epochs and %d batches\n", (int)report.epoch,
         report.state == DIFFEO_TRAIN_RUNNING ? (int)report.batch : 0);

  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  while (!stopped && !diffeo_trainer_finished(trainer)) {
    /* A few batches at a time, so that a signal is heard soon. */
    check(diffeo_trainer_step(trainer, 8, &report));
    if (report.state == DIFFEO_TRAIN_RUNNING) continue;
    check(diffeo_trainer_save(trainer, path));
    printf("epoch %2d: %.3f nats a row\n", (int)report.epoch, report.validation_log_prob);
    if (report.epoch == 6) raise(SIGTERM); /* as Slurm does before it kills */
  }
  check(diffeo_trainer_save(trainer, path));
  printf("%s; %s is the best flow so far, too\n", stopped ? "stopped" : "finished", path);
  diffeo_trainer_destroy(trainer);
  diffeo_flow_destroy(flow);
  return 0;
}
