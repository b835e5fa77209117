/* Where files come to be and what is in the way: names FOLDER. Links, pipes, files of others, files that were left
 * behind. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { DIM = 3 };
static diffeo_flow *flow;

/* Saves in either way: a flow, and rows by the piece. */
static diffeo_status save(const char *path, int rows) {
  return rows ? D.flow_sample_file(flow, 1, 0, 10, NULL, NULL, path) : D.flow_save(flow, path);
}

static int is_file(const char *path) {
  struct stat facts;
  return lstat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}
static int is_link(const char *path) {
  struct stat facts;
  return lstat(path, &facts) == 0 && S_ISLNK(facts.st_mode);
}

/* Entries of the working directory. */
static int entries(void) {
  int count = -2;
  DIR *folder = opendir(".");
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static void links(int rows) {
  CHECK(mkdir("inner", 0700) == 0, "mkdir");
  CHECK(symlink("inner/new.h5", "dangling") == 0 && symlink("dangling", "chain") == 0, "links");
  CHECK(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0, "links");
  CHECK(symlink("nowhere/x.h5", "astray") == 0, "links");
  CHECK_OK(save("chain", rows)); /* makes the file */
  CHECK(is_link("chain") && is_link("dangling") && is_file("inner/new.h5"), "the file behind the link is not made");
  CHECK_OK(save("dangling", rows)); /* replaces it */
  CHECK(is_link("dangling") && is_file("inner/new.h5"), "the file behind the link is not replaced");
  CHECK_STATUS(save("loop1", rows), DIFFEO_EIO);
  CHECK_STATUS(save("astray", rows), DIFFEO_EIO);
  CHECK(is_link("loop1") && is_link("loop2") && is_link("astray"), "a link is gone");
  CHECK(entries() == 6, "%d entries", entries());
  remove("inner/new.h5"), remove("inner"), remove("dangling"), remove("chain");
  remove("loop1"), remove("loop2"), remove("astray");
}

/* What may not be written is not replaced, whoever may write to its folder. */
static void read_only(int rows) {
  CHECK_OK(save("kept.h5", rows));
  CHECK(chmod("kept.h5", 0444) == 0 && chmod(".", 0777) == 0, "chmod");
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534) != 0) _exit(2); /* root may write to anything */
    const diffeo_status status = save("kept.h5", rows);
    if (status != DIFFEO_EIO) printf("%s\n", D.status_name(status)), fflush(stdout);
    _exit(status != DIFFEO_EIO);
  }
  int status = 0;
  waitpid(child, &status, 0);
  struct stat facts;
  CHECK(status == 0 && stat("kept.h5", &facts) == 0 && (facts.st_mode & 0777) == 0444,
        "a file that is read-only is replaced");
  CHECK(entries() == 1, "%d entries", entries());
  chmod("kept.h5", 0640);
  CHECK_OK(save("kept.h5", rows));
  CHECK(stat("kept.h5", &facts) == 0 && (facts.st_mode & 0777) == 0640, "the mode has become %o", facts.st_mode & 0777);
  remove("kept.h5");
}

/* Processes that die while they save leave nothing that stays: what a later one finds, it removes. */
static void stale(int rows) {
  for (int i = 0; i < 60; i++) {
    const pid_t child = fork();
    if (child == 0)
      for (;;) save("saved.h5", rows);
    usleep(3000 + 731 * (useconds_t)(i % 13));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  const int left = entries();
  CHECK_OK(save("saved.h5", 1)); /* by a temporary file with a name, before which the folder is tidied up */
  CHECK(entries() == 1 && is_file("saved.h5"), "%d entries, where there were %d", entries(), left);
  remove("saved.h5");
}

/* Pipes with names that something might open by mistake: each would wait for ever. */
static void pipes(void) {
  char name[64];
  CHECK_OK(D.flow_save(flow, "flow.h5"));
  const pid_t child = fork();
  if (child == 0) {
    diffeo_flow *loaded = NULL;
    alarm(60);
    for (int i = 0; i < 100; i++) {
      snprintf(name, sizeof name, "diffeo-%d-%d", (int)getpid(), i);
      if (mkfifo(name, 0600) != 0) _exit(2);
    }
    if (D.flow_load("flow.h5", &loaded) != DIFFEO_OK || D.flow_save(loaded, "flow.h5") != DIFFEO_OK) _exit(1);
    for (int i = 0; i < 100; i++) snprintf(name, sizeof name, "diffeo-%d-%d", (int)getpid(), i), remove(name);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0, "signal %d, %d", WTERMSIG(status), WEXITSTATUS(status));
  CHECK(mkfifo("pipe.h5", 0600) == 0, "mkfifo");
  diffeo_flow *none = NULL;
  CHECK_STATUS(D.flow_load("pipe.h5", &none), DIFFEO_EIO);
  CHECK_STATUS(D.flow_save(flow, "pipe.h5"), DIFFEO_EIO);
  remove("pipe.h5"), remove("flow.h5");
}

int main(int count, char **arguments) {
  if (count != 2 || chdir(arguments[1]) != 0) return 2;
  load_library();
  flow = make_flow("maf", DIM, 0, DIFFEO_F64);
  for (int rows = 0; rows < 2; rows++) links(rows), read_only(rows), stale(rows);
  pipes();
  D.flow_destroy(flow);
  return checks_end("names");
}
