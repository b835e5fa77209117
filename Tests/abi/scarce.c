/* Memory that cannot be had: scarce [FOLDER [PART...]]. Of each call, each allocation fails once, then all from each
 * on. The call succeeds or says DIFFEO_ENOMEM, and succeeds when there is memory again. Each runs in a child. This
 * program's malloc fails: the library's calls come here, because a program's symbols go before those of libraries. */
#define _GNU_SOURCE
#include <errno.h>

#include "refuse.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);
static volatile int64_t left = -1; /* allocations until one fails */
static volatile int goes_on, refused;

static int fails(void) {
  if (left < 0 || left-- > 0) return 0;
  left = goes_on ? 0 : -1;
  errno = ENOMEM;
  return refused = 1;
}
void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return size > 0 && fails() ? NULL : __libc_realloc(block, size); }
void *aligned_alloc(size_t alignment, size_t size) { return fails() ? NULL : __libc_memalign(alignment, size); }
int posix_memalign(void **block, size_t alignment, size_t size) {
  void *taken = fails() ? NULL : __libc_memalign(alignment, size);
  if (taken != NULL) *block = taken;
  return taken != NULL ? 0 : ENOMEM;
}

enum { N = 300, DIM = 3 };
static char flow_path[600], other_path[600], rows_path[600];
static diffeo_flow *flow;
static double x[N * DIM], out[N * DIM], out2[N * DIM];

static diffeo_status load(void) {
  diffeo_flow *loaded = NULL;
  const diffeo_status status = D.flow_load(flow_path, &loaded);
  D.flow_destroy(loaded);
  return status;
}
static diffeo_status save(void) { return D.flow_save(flow, other_path); }
static diffeo_status save_memory(void) {
  size_t size;
  return D.flow_save_memory(flow, NULL, 0, &size);
}
static diffeo_status create(void) {
  diffeo_architecture_options o;
  diffeo_flow *made = NULL;
  D.architecture_options_init(&o, sizeof o);
  o.dim = DIM, o.transforms = 2;
  const diffeo_status status = D.spline_coupling_create(&o, &made);
  D.flow_destroy(made);
  return status;
}
static diffeo_status evaluate(void) {
  diffeo_status status = D.flow_log_prob_f64(flow, x, N, NULL, 0, NULL, out);
  if (status == DIFFEO_OK) status = D.flow_sample_f64(flow, 1, 0, N, NULL, 0, NULL, out, out2);
  return status != DIFFEO_OK ? status : D.flow_log_prob_gradient_f64(flow, x, N, NULL, 0, NULL, out, out2, NULL);
}
static diffeo_status describe(void) {
  char text[4000];
  size_t length;
  return D.flow_describe(flow, text, sizeof text, &length);
}
static diffeo_status train(void) {
  diffeo_train_options o;
  diffeo_trainer *trainer = NULL;
  D.train_options_init(&o, sizeof o);
  o.max_epochs = 1;
  diffeo_status status = D.trainer_create_f64(flow, &o, x, N, NULL, 0, NULL, &trainer);
  if (status == DIFFEO_OK) status = D.trainer_step(trainer, 0, NULL);
  if (status == DIFFEO_OK) status = D.trainer_save(trainer, other_path);
  D.trainer_destroy(trainer);
  return status;
}
static diffeo_status read_rows(void) {
  diffeo_rows *rows = NULL;
  diffeo_status status = D.rows_open(rows_path, "x", NULL, NULL, &rows);
  if (status == DIFFEO_OK) status = D.flow_log_prob_file(flow, rows, NULL, other_path);
  D.rows_destroy(rows);
  return status;
}

/* step: between the allocations that fail. */
static void without(const char *what, diffeo_status (*call)(void), int64_t step, int in_the_end) {
  int64_t counts[2] = {0, 0};
  CHECK(call() == DIFFEO_OK, "%s: %s", what, D.last_error()); /* what is made once is there */
  for (goes_on = 0; goes_on <= in_the_end; goes_on++)
    for (int64_t n = 0, done = 0; !done && n < 1000 * step; n += step) {
      int pipes[2];
      char seen[2] = {0, 0};
      fflush(stdout);
      if (pipe(pipes) != 0) return;
      const pid_t child = fork();
      if (child == 0) {
        left = n, refused = 0;
        const diffeo_status status = call();
        left = -1;
        const char answer[2] = {(char)(refused ? 1 : 2), (char)status};
        if (status != DIFFEO_OK && status != DIFFEO_ENOMEM) printf("%s: %s\n", what, D.last_error());
        const diffeo_status after = call();
        if (after != DIFFEO_OK) printf("%s afterwards: %s\n", what, D.last_error());
        fflush(stdout);
        if (after == DIFFEO_OK && write(pipes[1], answer, 2) != 2) _exit(2);
        _exit(0);
      }
      close(pipes[1]);
      const int is_there = read(pipes[0], seen, 2) == 2;
      close(pipes[0]);
      waitpid(child, NULL, 0);
      CHECK(is_there && (seen[1] == DIFFEO_OK || seen[1] == DIFFEO_ENOMEM), "%s, allocation %d%s: %s", what, (int)n,
            goes_on ? " and all others" : "", is_there ? D.status_name(seen[1]) : "the end");
      done = seen[0] == 2 || !is_there;
      if (seen[0] == 1) counts[seen[1] == DIFFEO_OK]++;
    }
  CHECK(counts[0] + counts[1] > 0, "%s allocates nothing", what);
  printf("%s: ENOMEM %d, done all the same %d\n", what, (int)counts[0], (int)counts[1]);
}

int main(int count, char **arguments) {
  const char *folder = count > 1 ? arguments[1] : ".";
  choose_parts(count - 2, arguments + 2);
  load_library();
  snprintf(flow_path, sizeof flow_path, "%s/flow.h5", folder);
  snprintf(other_path, sizeof other_path, "%s/other.h5", folder);
  snprintf(rows_path, sizeof rows_path, "%s/rows.h5", folder);
  make_rows(x, N, DIM, 3);
  flow = make_flow("maf", DIM, 0, DIFFEO_F64);
  CHECK_OK(D.flow_save(flow, flow_path));
  CHECK_OK(D.flow_sample_file(flow, 1, 0, N, NULL, NULL, rows_path));
  without("load", load, 31, 1);
  without("save", save, 31, 1);
  without("save_memory", save_memory, 31, 1);
  without("create", create, 31, 1);
  without("evaluate", evaluate, 1, 1);
  without("describe", describe, 31, 1);
  without("train", train, 101, 1);
  /* The C library ends a process that has no memory for what is a new thread's own. */
  without("read_rows", read_rows, 31, 0);
  D.flow_destroy(flow);
  return checks_end("scarce");
}
