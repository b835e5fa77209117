/* A host that does everything at once, for long: soak [SECONDS [FOLDER]]. Two threads evaluate, one loads and saves, one
 * trains, and children are forked in between that do the same: all have the same bits at all times, and memory does not
 * grow. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { N = 64, DIM = 4, FLOWS = 3, ROWS = 200 };
static const char *const kinds[FLOWS] = {"maf", "spline_coupling", "planar"};
static diffeo_flow *flows[FLOWS];
static char paths[FLOWS][600];
static double x[ROWS * DIM];
typedef struct values {
  double log_prob[N], sample[N * DIM], gradient[N * DIM];
} values;
static values expected[FLOWS];
static double *trained;
static int64_t trained_count;
static _Atomic int stop;

typedef struct worker {
  pthread_t thread;
  int number;
  long rounds, wrong;
  char error[256];
} worker;

static void note(worker *w, const char *what) {
  if (w->wrong++ == 0) snprintf(w->error, sizeof w->error, "%s: %s", what, D.last_error());
}

static int evaluate(const diffeo_flow *flow, diffeo_workspace *workspace, values *v) {
  return D.flow_log_prob_f64(flow, x, N, NULL, 0, workspace, v->log_prob) == DIFFEO_OK &&
         D.flow_sample_f64(flow, 5, 7, N, NULL, 0, workspace, v->sample, NULL) == DIFFEO_OK &&
         D.flow_log_prob_gradient_f64(flow, x, N, NULL, 0, workspace, NULL, v->gradient, NULL) == DIFFEO_OK;
}

static void check_values(worker *w, const diffeo_flow *flow, int i, diffeo_workspace *workspace) {
  static _Thread_local values v;
  if (!evaluate(flow, workspace, &v)) note(w, "evaluation");
  else if (memcmp(&v, &expected[i], sizeof v) != 0) note(w, "other bits");
}

static void evaluations(worker *w) {
  diffeo_workspace *workspace = NULL;
  if (D.workspace_create(1 + w->number % 2, &workspace) != DIFFEO_OK) note(w, "workspace");
  for (int i = 0; i < FLOWS; i++) check_values(w, flows[i], i, w->rounds % 3 ? workspace : NULL);
  D.workspace_destroy(workspace);
}

static void files(worker *w) {
  const int i = (int)(w->rounds % FLOWS);
  char path[700];
  snprintf(path, sizeof path, "%s.%d.%d", paths[i], (int)getpid(), w->number);
  diffeo_flow *loaded = NULL, *again = NULL, *copy = NULL;
  size_t size = 0;
  void *bytes = NULL;
  if (D.flow_load(paths[i], &loaded) != DIFFEO_OK || D.flow_save(loaded, path) != DIFFEO_OK ||
      D.flow_load(path, &again) != DIFFEO_OK)
    note(w, "file");
  else check_values(w, again, i, NULL);
  if (loaded != NULL && D.flow_save_memory(loaded, NULL, 0, &size) == DIFFEO_OK) {
    bytes = malloc(size);
    if (D.flow_save_memory(loaded, bytes, size, &size) != DIFFEO_OK ||
        D.flow_load_memory(bytes, size, &copy) != DIFFEO_OK)
      note(w, "memory");
    else check_values(w, copy, i, NULL);
  }
  free(bytes);
  D.flow_destroy(loaded), D.flow_destroy(again), D.flow_destroy(copy);
  remove(path);
}

/* Gives the weights, to be freed. */
static double *train(void) {
  diffeo_train_options o;
  diffeo_trainer *trainer = NULL;
  diffeo_flow *flow = NULL;
  double *weights = NULL;
  D.train_options_init(&o, sizeof o);
  o.max_epochs = 2, o.batch_size = 32, o.seed = 3;
  if (D.trainer_create_f64(flows[0], &o, x, ROWS, NULL, 0, NULL, &trainer) == DIFFEO_OK &&
      D.trainer_step(trainer, 0, NULL) == DIFFEO_OK && D.trainer_step(trainer, 0, NULL) == DIFFEO_OK &&
      D.trainer_current(trainer, &flow) == DIFFEO_OK) {
    weights = malloc(sizeof *weights * (size_t)trained_count);
    D.flow_parameters_f64(flow, weights);
  }
  D.flow_destroy(flow), D.trainer_destroy(trainer);
  return weights;
}

static void trainings(worker *w) {
  double *weights = train();
  if (weights == NULL) note(w, "training");
  else if (memcmp(weights, trained, sizeof *weights * (size_t)trained_count) != 0) note(w, "other weights");
  free(weights);
}

static void *work(void *argument) {
  worker *w = argument;
  for (; !stop; w->rounds++) w->number < 2 ? evaluations(w) : w->number == 2 ? files(w) : trainings(w);
  return NULL;
}

/* In MB. */
static double resident(void) {
  long all = 0, here = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &all, &here) != 2) here = 0;
  if (file != NULL) fclose(file);
  return (double)here * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

int main(int count, char **arguments) {
  const double seconds = count > 1 ? atof(arguments[1]) : 5;
  const char *folder = count > 2 ? arguments[2] : ".";
  load_library();
  make_rows(x, ROWS, DIM, 1);
  for (int i = 0; i < FLOWS; i++) {
    flows[i] = make_flow(kinds[i], DIM, 0, DIFFEO_F64);
    snprintf(paths[i], sizeof paths[i], "%s/soak-%s.h5", folder, kinds[i]);
    CHECK_OK(D.flow_save(flows[i], paths[i]));
    CHECK(evaluate(flows[i], NULL, &expected[i]), "%s", D.last_error());
  }
  trained_count = D.flow_parameter_count(flows[0]);
  CHECK((trained = train()) != NULL, "%s", D.last_error());
  if (trained == NULL) return checks_end("soak");

  worker workers[4] = {{0}};
  for (int i = 0; i < COUNT(workers); i++) {
    workers[i].number = i;
    pthread_create(&workers[i].thread, NULL, work, &workers[i]);
  }
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  double passed = 0, early = 0;
  long children = 0, ended = 0;
  while (passed < seconds) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(120);
      worker w = {.number = 4 + (int)(children % 1000), .rounds = children};
      evaluations(&w), files(&w), trainings(&w);
      if (w.wrong > 0) fprintf(stderr, "child %ld: %s\n", children, w.error);
      _exit(w.wrong > 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    children++;
    if (status != 0) ended++;
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    passed = (double)(now.tv_sec - start.tv_sec) + 1e-9 * (double)(now.tv_nsec - start.tv_nsec);
    if (early == 0 && passed > seconds / 10) early = resident();
  }
  stop = 1;
  static const char *const words[] = {"evaluations", "evaluations", "files", "trainings"};
  for (int i = 0; i < COUNT(workers); i++) {
    pthread_join(workers[i].thread, NULL);
    printf("%ld rounds of %s\n", workers[i].rounds, words[i]);
    CHECK(workers[i].rounds > 0 && workers[i].wrong == 0, "%s: %ld wrong; %s", words[i], workers[i].wrong, workers[i].error);
  }
  CHECK(ended == 0, "%ld of %ld children were not well", ended, children);
  const double late = resident();
  printf("%ld children, %.0f s, %.0f MB after a tenth of it, %.0f MB in the end\n", children, passed, early, late);
  CHECK(late < early + 8, "memory grows");
  for (int i = 0; i < FLOWS; i++) remove(paths[i]), D.flow_destroy(flows[i]);
  free(trained);
  return checks_end("soak");
}
