/* Children that are forked while threads load, save and read rows: they can do the same, and end what their parent has
 * made: forks [FORKS [FOLDER]]. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { N = 2000, DIM = 3 };
static char flow_path[600], rows_path[600];
static diffeo_flow *flow;
static diffeo_rows *given;
static _Atomic int stop;

static int give(void *user, int64_t first, int64_t count, double *x, double *context, double *weights) {
  (void)user, (void)context, (void)weights;
  make_rows(x, count, DIM, (uint64_t)first);
  return 0;
}

/* All that goes by a lock, in a file of this process or thread. */
static int use(int number) {
  char path[700];
  diffeo_flow *loaded = NULL;
  diffeo_rows *rows = NULL;
  snprintf(path, sizeof path, "%s.%d.%d", flow_path, (int)getpid(), number);
  int wrong = D.flow_load(flow_path, &loaded) != DIFFEO_OK;
  wrong += D.flow_save(loaded, path) != DIFFEO_OK;
  wrong += D.rows_open(rows_path, "x", NULL, NULL, &rows) != DIFFEO_OK;
  wrong += D.flow_log_prob_file(loaded, rows, NULL, path) != DIFFEO_OK;
  wrong += D.flow_log_prob_file(loaded, given, NULL, path) != DIFFEO_OK;
  D.rows_destroy(rows), D.flow_destroy(loaded);
  remove(path);
  return wrong;
}

static void *work(void *number) {
  int wrong = 0;
  while (!stop) wrong += use(*(int *)number);
  *(int *)number = wrong;
  return NULL;
}

int main(int count, char **arguments) {
  const int forks = count > 1 ? atoi(arguments[1]) : 40;
  const char *folder = count > 2 ? arguments[2] : ".";
  load_library();
  snprintf(flow_path, sizeof flow_path, "%s/flow.h5", folder);
  snprintf(rows_path, sizeof rows_path, "%s/rows.h5", folder);
  flow = make_flow("maf", DIM, 0, DIFFEO_F64);
  CHECK_OK(D.flow_save(flow, flow_path));
  CHECK_OK(D.flow_sample_file(flow, 1, 0, N, NULL, NULL, rows_path));
  CHECK_OK(D.rows_create_f64(N, DIM, 0, 0, give, NULL, &given));

  /* With threads of their own, which a child does not have. */
  diffeo_workspace *workspace = NULL;
  diffeo_trainer *trainer = NULL;
  diffeo_train_options o;
  double x[DIM] = {0.1, 0.2, 0.3}, log_prob;
  CHECK_OK(D.workspace_create(3, &workspace));
  CHECK_OK(D.flow_log_prob_f64(flow, x, 1, NULL, 0, workspace, &log_prob));
  CHECK_OK(D.train_options_init(&o, sizeof o));
  o.threads = 2;
  CHECK_OK(D.trainer_create_rows(flow, &o, given, &trainer));
  CHECK_OK(D.trainer_step(trainer, 3, NULL));

  pthread_t threads[2];
  int numbers[2] = {1, 2};
  for (int t = 0; t < 2; t++) pthread_create(&threads[t], NULL, work, &numbers[t]);
  for (int i = 0; i < forks; i++) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      const int wrong = use(0);
      D.workspace_destroy(workspace), D.trainer_destroy(trainer), D.rows_destroy(given), D.flow_destroy(flow);
      _exit(wrong);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0, "child %d: signal %d, %d calls failed", i, WTERMSIG(status), WEXITSTATUS(status));
  }
  stop = 1;
  for (int t = 0; t < 2; t++) {
    pthread_join(threads[t], NULL);
    CHECK(numbers[t] == 0, "thread %d: %d calls failed", t, numbers[t]);
  }
  D.trainer_destroy(trainer), D.workspace_destroy(workspace), D.rows_destroy(given), D.flow_destroy(flow);
  return checks_end("forks");
}
