/* A host with an HDF5 of its own and a file open in it: other_hdf5 HDF5 FOLDER first|last local|global. It opens its
 * HDF5 before or after the library. Neither of them notices the other. */
#define _GNU_SOURCE
#include "check.h"

enum { N = 200, DIM = 3 };

/* Of any version; as in its header. */
typedef int64_t hid_t;
static struct {
  int (*H5open)(void);
  int (*H5get_libversion)(unsigned *, unsigned *, unsigned *);
  hid_t (*H5Fcreate)(const char *, unsigned, hid_t, hid_t);
  int (*H5Fclose)(hid_t);
  ssize_t (*H5Fget_obj_count)(hid_t, unsigned);
  hid_t (*H5Screate)(int);
  int (*H5Sclose)(hid_t);
  hid_t (*H5Dcreate2)(hid_t, const char *, hid_t, hid_t, hid_t, hid_t, hid_t);
  int (*H5Dwrite)(hid_t, hid_t, hid_t, hid_t, hid_t, const void *);
  int (*H5Dread)(hid_t, hid_t, hid_t, hid_t, hid_t, void *);
  int (*H5Dclose)(hid_t);
  int (*H5Eset_auto2)(hid_t, int (*)(hid_t, void *), void *);
  int (*H5Eget_auto2)(hid_t, int (**)(hid_t, void *), void **);
  hid_t *H5T_NATIVE_DOUBLE_g;
} H;

static void open_hdf5(const char *path, int scope) {
  void *library = dlopen(path, RTLD_NOW | scope);
  CHECK(library != NULL, "%s", dlerror());
#define FIND(name) CHECK((*(void **)&H.name = dlsym(library, #name)) != NULL, "%s", dlerror())
  FIND(H5open);
  FIND(H5get_libversion);
  FIND(H5Fcreate);
  FIND(H5Fclose);
  FIND(H5Fget_obj_count);
  FIND(H5Screate);
  FIND(H5Sclose);
  FIND(H5Dcreate2);
  FIND(H5Dwrite);
  FIND(H5Dread);
  FIND(H5Dclose);
  FIND(H5Eset_auto2);
  FIND(H5Eget_auto2);
  FIND(H5T_NATIVE_DOUBLE_g);
}

static int errors;
static int count_error(hid_t stack, void *data) { return (void)stack, (void)data, errors++, 0; }

/* Lines of the memory map with a part of a library's name. */
static int maps(const char *name) {
  char line[4096];
  int count = 0;
  FILE *file = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, file)) count += strstr(line, name) != NULL;
  fclose(file);
  return count;
}

static void evaluate(diffeo_flow *flow) {
  double x[N * DIM], log_prob[N];
  make_rows(x, N, DIM, 5);
  CHECK_OK(D.flow_log_prob_f64(flow, x, N, NULL, 0, NULL, log_prob));
  CHECK_OK(D.flow_sample_f64(flow, 1, 0, N, NULL, 0, NULL, x, log_prob));
}

static void use_files(const char *folder, diffeo_flow *flow) {
  char path[600], rows_path[600];
  diffeo_flow *again = NULL;
  diffeo_rows *rows = NULL;
  snprintf(path, sizeof path, "%s/flow.h5", folder), snprintf(rows_path, sizeof rows_path, "%s/rows.h5", folder);
  CHECK_OK(D.flow_save(flow, path));
  CHECK_OK(D.flow_load(path, &again));
  CHECK_OK(D.flow_sample_file(again, 3, 0, 20 * N, NULL, NULL, rows_path));
  CHECK_OK(D.rows_open(rows_path, "x", NULL, NULL, &rows));
  CHECK_OK(D.flow_log_prob_file(again, rows, NULL, path));
  CHECK_STATUS(D.flow_load(path, &again), DIFFEO_EFORMAT); /* of no flow: an error, inside HDF5 too */
  CHECK(H.H5open == NULL || H.H5Fget_obj_count(0x1f, 0x1f) <= 2, "the host sees what the library has open");
  D.rows_destroy(rows);
  D.flow_destroy(again);
}

int main(int count, char **arguments) {
  if (count != 5) return 2;
  const char *path = arguments[1], *folder = arguments[2];
  const int is_first = strcmp(arguments[3], "first") == 0;
  const int scope = strcmp(arguments[4], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
  const int before = maps("hdf5");
  char name[600];
  if (is_first) open_hdf5(path, scope);
  load_library();
  diffeo_flow *flow = make_flow("maf", DIM, 0, DIFFEO_F64);
  evaluate(flow);
  if (!is_first) {
    CHECK(maps("hdf5") == before, "a host that has no files gets an HDF5");
    use_files(folder, flow);
    open_hdf5(path, scope);
  }

  unsigned version[3];
  double value = 2.385, got = 0;
  int (*handler)(hid_t, void *) = NULL;
  void *data = NULL;
  snprintf(name, sizeof name, "%s/host.h5", folder);
  H.H5open(), H.H5get_libversion(version, version + 1, version + 2);
  printf("the host's HDF5 is %u.%u.%u\n", version[0], version[1], version[2]);
  CHECK(H.H5Eset_auto2(0, count_error, &value) >= 0, "H5Eset_auto2");
  const hid_t file = H.H5Fcreate(name, 2, 0, 0), space = H.H5Screate(0), type = *H.H5T_NATIVE_DOUBLE_g;
  const hid_t set = H.H5Dcreate2(file, "value", type, space, 0, 0, 0);
  CHECK(file >= 0 && space >= 0 && set >= 0, "the host's file");
  CHECK(H.H5Dwrite(set, type, 0, 0, 0, &value) >= 0, "H5Dwrite");
  use_files(folder, flow);
  evaluate(flow);
  CHECK(H.H5Dread(set, type, 0, 0, 0, &got) >= 0 && got == value, "%g", got);
  H.H5Eget_auto2(0, &handler, &data);
  CHECK(handler == count_error && data == &value && errors == 0, "%d errors of the library came to the host", errors);
  CHECK(H.H5Dclose(set) >= 0 && H.H5Sclose(space) >= 0 && H.H5Fclose(file) >= 0, "the end");
  use_files(folder, flow);
  D.flow_destroy(flow);
  return checks_end("other_hdf5");
}
