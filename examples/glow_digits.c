/* Trains a multi-scale Glow with splines on 8 x 8 digits, given their label, straight from an HDF5 file, and draws a sheet
 * of samples: glow_digits [DIGITS.h5 [EPOCHS]].
 * The digits are counts 0 to 16, examples/digits.h5; its attribute `source` says whose. Writes glow-digits.h5, and
 * glow-digits.pgm: a column for each label, two lines of samples at each of the temperatures 0.5, 0.7 and 1. Under a minute. */
#include <string.h>

#include "example.h"

enum { SIDE = 8, PIXELS = SIDE * SIDE, MOST = 16, LABELS = 10, LINES = 6, SCALE = 4 };

static void draw(const diffeo_flow *flow, const char *path) {
  static unsigned char sheet[LINES * SIDE * SCALE][LABELS * SIDE * SCALE];
  const double temperatures[LINES] = {0.5, 0.5, 0.7, 0.7, 1, 1};
  float labels[LABELS][LABELS], x[LABELS][PIXELS];
  memset(labels, 0, sizeof labels);
  for (int i = 0; i < LABELS; i++) labels[i][i] = 1;
  for (int line = 0; line < LINES; line++) {
    check(diffeo_flow_sample_tempered_f32(flow, temperatures[line], 1, (uint64_t)(line * LABELS), LABELS, labels[0], LABELS,
                                          NULL, x[0], NULL));
    for (int i = 0; i < LABELS; i++)
      for (int y = 0; y < SIDE * SCALE; y++)
        for (int z = 0; z < SIDE * SCALE; z++) {
          /* Samples are the counts with the noise of the dequantisation: numbers of 0 to 17. */
          const float value = x[i][y / SCALE * SIDE + z / SCALE];
          const int count = value < 0 ? 0 : value > MOST ? MOST : (int)value;
          sheet[line * SIDE * SCALE + y][i * SIDE * SCALE + z] = (unsigned char)(255 - 255 * count / MOST);
        }
  }
  FILE *file = fopen(path, "wb");
  if (!file) exit((perror(path), 1));
  fprintf(file, "P5 %d %d 255\n", LABELS * SIDE * SCALE, LINES * SIDE * SCALE);
  fwrite(sheet, sizeof sheet, 1, file);
  if (fclose(file)) exit((perror(path), 1));
  printf("wrote %s\n", path);
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "digits.h5";

  const int64_t hidden[] = {32, 32};
  diffeo_convolution_options network;
  check(diffeo_convolution_options_init(&network, sizeof network));
  network.hidden = hidden;
  network.hidden_count = 2;
  network.kernel_first = 5;
  network.kernel_last = 1; /* splines have 23 parameters a number: of 3 x 3 this would take most of the time */
  diffeo_map_options map;
  check(diffeo_map_options_init(&map, sizeof map));
  map.map = DIFFEO_MAP_SPLINE;
  diffeo_image_options image;
  check(diffeo_image_options_init(&image, sizeof image));
  image.channels = 1;
  image.height = image.width = SIDE;
  image.context_dim = LABELS;
  image.quantization = MOST + 1;
  image.steps = 6;
  image.network = &network;
  image.map = &map;
  image.seed = 1;
  diffeo_flow *flow;
  check(diffeo_glow_image_create(&image, &flow));

  diffeo_rows *rows;
  check(diffeo_rows_open(path, "images", "onehot", NULL, &rows));
  diffeo_train_options options;
  check(diffeo_train_options_init(&options, sizeof options));
  options.batch_size = 64;
  options.max_epochs = argc > 2 ? atoi(argv[2]) : 30;
  options.learning_rate = 3e-3;
  options.schedule = DIFFEO_SCHEDULE_COSINE;
  options.ema_decay = 0.99;
  diffeo_trainer *trainer;
  check(diffeo_trainer_create_rows(flow, &options, rows, &trainer));
  diffeo_train_report report = {.struct_size = sizeof report};
  while (!diffeo_trainer_finished(trainer)) {
    check(diffeo_trainer_step(trainer, 0, &report));
    if (report.epoch % 5 == 0)
      printf("epoch %2d: %.3f bits a pixel, %.3f on digits held out\n", (int)report.epoch,
             -report.train_log_prob / (PIXELS * log(2)), -report.validation_log_prob / (PIXELS * log(2)));
  }
  diffeo_flow *trained;
  check(diffeo_trainer_best(trainer, &trained));
  check(diffeo_flow_save(trained, "glow-digits.h5"));
  draw(trained, "glow-digits.pgm");

  diffeo_flow_destroy(trained);
  diffeo_trainer_destroy(trainer);
  diffeo_rows_destroy(rows);
  diffeo_flow_destroy(flow);
  return 0;
}
