/* One flow under many threads, a trainer cancelled from another thread, a flow after fork: threads [ROUNDS].
 * Without the fork if NO_FORK is set: valgrind takes what the threads of the parent hold for lost in the child. */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { THREADS = 4, N = 300, DIM = 4 };
static diffeo_flow *flow;
static double x[N * DIM], expected[N], expected_sample[N * DIM], expected_gradient[N * DIM];
static int rounds = 60;

typedef struct worker {
  pthread_t thread;
  int number, wrong;
  char error[256];
} worker;

static void *work(void *argument) {
  worker *w = argument;
  double log_prob[N], sample[N * DIM], gradient[N * DIM];
  diffeo_workspace *workspace = NULL;
  for (int i = 0; i < rounds; i++) {
    /* In turn: a workspace of one's own with one thread and with two, a new one each round, none. */
    if (i % 16 == 0 && w->number > 0) {
      D.workspace_destroy(workspace);
      workspace = NULL;
      if (D.workspace_create(1 + (i / 16 + w->number) % 2, &workspace) != DIFFEO_OK) w->wrong++;
    }
    if (D.flow_log_prob_f64(flow, x, N, NULL, 0, workspace, log_prob) != DIFFEO_OK ||
        D.flow_sample_f64(flow, 5, 0, N, NULL, 0, workspace, sample, NULL) != DIFFEO_OK ||
        D.flow_log_prob_gradient_f64(flow, x, N, NULL, 0, workspace, NULL, gradient, NULL) != DIFFEO_OK)
      w->wrong++;
    if (memcmp(log_prob, expected, sizeof expected) != 0 || memcmp(sample, expected_sample, sizeof sample) != 0 ||
        memcmp(gradient, expected_gradient, sizeof gradient) != 0)
      w->wrong++;
    /* The error text is this thread's own. */
    char piece[32];
    snprintf(piece, sizeof piece, "%d", -1000 - w->number);
    D.flow_log_prob_f64(flow, x, -1000 - w->number, NULL, 0, workspace, log_prob);
    if (strstr(D.last_error(), piece) == NULL) w->wrong++, snprintf(w->error, sizeof w->error, "%s", D.last_error());
    if (i % 20 == w->number) {
      /* Files, too. */
      size_t size = 0;
      diffeo_flow *copy = NULL;
      D.flow_save_memory(flow, NULL, 0, &size);
      void *bytes = malloc(size);
      if (D.flow_save_memory(flow, bytes, size, &size) != DIFFEO_OK || D.flow_load_memory(bytes, size, &copy) != DIFFEO_OK)
        w->wrong++, snprintf(w->error, sizeof w->error, "%s", D.last_error());
      D.flow_destroy(copy);
      free(bytes);
    }
  }
  D.workspace_destroy(workspace);
  return NULL;
}

static void soak(void) {
  worker workers[THREADS] = {{0}};
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, NULL, 0, NULL, expected));
  CHECK_OK(D.flow_sample_f64(flow, 5, 0, N, NULL, 0, NULL, expected_sample, NULL));
  CHECK_OK(D.flow_log_prob_gradient_f64(flow, x, N, NULL, 0, NULL, NULL, expected_gradient, NULL));
  for (int i = 0; i < THREADS; i++) {
    workers[i].number = i;
    pthread_create(&workers[i].thread, NULL, work, &workers[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    CHECK(workers[i].wrong == 0, "thread %d saw %d wrong results; %s", i, workers[i].wrong, workers[i].error);
  }
  CHECK(strcmp(D.last_error(), "") == 0, "errors of other threads show here: %s", D.last_error());
}

static void *cancel(void *trainer) {
  nanosleep(&(struct timespec){0, 50000000}, NULL);
  D.trainer_cancel(trainer);
  return NULL;
}

static void cancellation(int32_t threads) {
  diffeo_trainer *trainer = NULL;
  diffeo_train_options o;
  diffeo_flow *best = NULL;
  diffeo_train_report report = {.struct_size = sizeof report};
  pthread_t thread;
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.threads = threads, o.batch_size = 16, o.max_epochs = 1000000000, o.patience = 0;
  CHECK_OK(D.trainer_create_f64(flow, &o, x, N, NULL, 0, NULL, &trainer));
  pthread_create(&thread, NULL, cancel, trainer);
  diffeo_status status = DIFFEO_OK;
  while (status == DIFFEO_OK) status = D.trainer_step(trainer, 0, &report);
  pthread_join(thread, NULL);
  CHECK(status == DIFFEO_ECANCELLED, "%s", D.status_name(status));
  CHECK(D.trainer_finished(trainer) == 1, "not finished");
  CHECK_OK(D.trainer_best(trainer, &best));
  D.flow_destroy(best);
  D.trainer_destroy(trainer);
}

/* A child may use flows, workspaces it makes, and files; also when the parent has threads. */
static void forked(void) {
  diffeo_workspace *of_parent = NULL;
  CHECK_OK(D.workspace_create(2, &of_parent));
  double log_prob[N];
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, NULL, 0, of_parent, log_prob));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    diffeo_workspace *own = NULL;
    size_t size = 0;
    int wrong = 0;
    wrong += D.flow_log_prob_f64(flow, x, N, NULL, 0, NULL, log_prob) != DIFFEO_OK;
    wrong += memcmp(log_prob, expected, sizeof expected) != 0;
    wrong += D.workspace_create(2, &own) != DIFFEO_OK;
    wrong += D.flow_log_prob_f64(flow, x, N, NULL, 0, own, log_prob) != DIFFEO_OK;
    wrong += memcmp(log_prob, expected, sizeof expected) != 0;
    wrong += D.flow_save_memory(flow, NULL, 0, &size) != DIFFEO_OK;
    D.workspace_destroy(own);
    _exit(wrong);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %x", (unsigned)status);
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, NULL, 0, of_parent, log_prob));
  CHECK(memcmp(log_prob, expected, sizeof expected) == 0, "the parent's results changed");
  D.workspace_destroy(of_parent);
}

/* 64 KiB of stack are enough for everything, the first opening of a file among it. */
static void *on_small_stack(void *kind) {
  static double rows[100 * DIM], gradient[100 * DIM], values[100];
  diffeo_flow *made = make_flow(kind, DIM, 0, DIFFEO_F32), *loaded = NULL;
  size_t size = 0;
  make_rows(rows, 100, DIM, 3);
  CHECK_OK(D.flow_save_memory(made, NULL, 0, &size));
  void *bytes = malloc(size);
  CHECK_OK(D.flow_save_memory(made, bytes, size, &size));
  CHECK_OK(D.flow_load_memory(bytes, size, &loaded));
  CHECK_OK(D.flow_log_prob_gradient_f64(loaded, rows, 100, NULL, 0, NULL, values, gradient, NULL));
  CHECK_OK(D.flow_sample_f64(loaded, 1, 0, 100, NULL, 0, NULL, rows, values));
  free(bytes);
  D.flow_destroy(made), D.flow_destroy(loaded);
  return NULL;
}

static void small_stack(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstacksize(&attributes, 64 << 10) == 0, "a stack of 64 KiB");
  for (int i = 0; i < COUNT(all_flows); i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, &attributes, on_small_stack, (void *)(uintptr_t)all_flows[i]) == 0, "no thread");
    pthread_join(thread, NULL);
  }
  pthread_attr_destroy(&attributes);
}

int main(int argc, char **argv) {
  if (argc > 1) rounds = atoi(argv[1]);
  load_library();
  make_rows(x, N, DIM, 1);
  flow = make_flow("maf", DIM, 0, DIFFEO_F32);
  if (getenv("NO_FORK") == NULL) small_stack(); /* valgrind and the sanitizers want more */
  soak();
  cancellation(1);
  cancellation(2);
  if (getenv("NO_FORK") == NULL) forked();
  D.flow_destroy(flow);
  return checks_end("threads");
}
