/* Trains a masked autoregressive flow on two moons and writes it to a file: training [FILE]. */
#include "example.h"

enum { ROWS = 8000 };

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "moons.h5";
  static float x[ROWS * 2];
  for (int i = 0; i < ROWS; i++) moon_point(i % 2, x + 2 * i);

  const int64_t hidden[] = {64, 64};
  diffeo_network_options network;
  check(diffeo_network_options_init(&network, sizeof network));
  network.hidden = hidden;
  network.hidden_count = 2;
  network.activation = DIFFEO_SILU;
  diffeo_architecture_options architecture;
  check(diffeo_architecture_options_init(&architecture, sizeof architecture));
  architecture.dim = 2;
  architecture.network = &network;
  diffeo_flow *flow;
  check(diffeo_maf_create(&architecture, &flow));

  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  options.batch_size = 256;
  options.max_epochs = 60;
  options.learning_rate = 3e-3;
  options.schedule = DIFFEO_SCHEDULE_COSINE;
  diffeo_trainer *trainer;
  check(diffeo_trainer_create_f32(flow, &options, x, ROWS, NULL, 0, NULL, &trainer));

  /* The loop is yours: a step of 0 batches goes to the end of the epoch. */
  diffeo_train_report report = {.struct_size = sizeof report};
  while (!diffeo_trainer_finished(trainer)) {
    check(diffeo_trainer_step(trainer, 0, &report));
    if (report.epoch % 5 != 0) continue;
    printf("epoch %2d: %.3f nats a row, %.3f on rows held out, %.0f rows/s\n", (int)report.epoch,
           report.train_log_prob, report.validation_log_prob, report.rows_per_second);
  }

  diffeo_flow *trained;
  check(diffeo_trainer_best(trainer, &trained));
  check(diffeo_flow_set_metadata(trained, "data", "two moons"));
  check(diffeo_flow_save(trained, path));
  printf("wrote %s, of epoch %d\n", path, (int)report.best_epoch);

  diffeo_flow_destroy(trained);
  diffeo_trainer_destroy(trainer);
  diffeo_flow_destroy(flow);
  return 0;
}
