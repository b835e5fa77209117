/* Hostile files and calls. Programs from one source:
 *
 *   with -DLIBFUZZER, for clang -fsanitize=fuzzer: inputs are files, or with -DCALLS as well calls decoded from bytes
 *   (calls.h), guided by the coverage of what is instrumented;
 *   alone: fuzz COUNT SEED FOLDER FILE...: loads files, mutates them, a child for every few hundred, and keeps in
 *   FOLDER what ended one. Without files: sequences of calls.
 *
 * The mutator knows what an HDF5 file is made of and repairs the checksums behind itself, as an attacker would. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "diffeo_loader.h"

static diffeo_api D;
enum { LARGEST = 1 << 18 };

#include "calls.h"

static void open_library(void) {
  char error[512];
  if (diffeo_api_load(NULL, &D, error, sizeof error) == 0) return;
  fprintf(stderr, "%s\n", error);
  exit(2);
}

/* ------------------------------------------------------------------------------------------------------ checksums */

/* Bob Jenkins' lookup3, which HDF5 has behind its structures. */
static uint32_t lookup3(const unsigned char *bytes, size_t size) {
#define ROT(x, k) (((x) << (k)) | ((x) >> (32 - (k))))
  uint32_t a = 0xdeadbeefu + (uint32_t)size, b = a, c = a;
  unsigned char last[12] = {0};
  for (; size > 12; bytes += 12, size -= 12) {
    uint32_t w[3];
    memcpy(w, bytes, 12);
    a += w[0], b += w[1], c += w[2];
    a -= c, a ^= ROT(c, 4), c += b, b -= a, b ^= ROT(a, 6), a += c, c -= b, c ^= ROT(b, 8), b += a;
    a -= c, a ^= ROT(c, 16), c += b, b -= a, b ^= ROT(a, 19), a += c, c -= b, c ^= ROT(b, 4), b += a;
  }
  if (size == 0) return c;
  uint32_t w[3];
  memcpy(last, bytes, size);
  memcpy(w, last, 12);
  a += w[0], b += w[1], c += w[2];
  c ^= b, c -= ROT(b, 14), a ^= c, a -= ROT(c, 11), b ^= a, b -= ROT(a, 25), c ^= b, c -= ROT(b, 16);
  a ^= c, a -= ROT(c, 4), b ^= a, b -= ROT(a, 14), c ^= b, c -= ROT(b, 24);
  return c;
#undef ROT
}

/* A structure at `at` that ends with its checksum; false: it does not fit. */
static int seal(unsigned char *file, size_t size, size_t at, size_t length) {
  if (length < 8 || at > size || length > size - at) return 0;
  const uint32_t sum = lookup3(file + at, length - 4);
  memcpy(file + at + length - 4, &sum, 4);
  return 1;
}

static uint64_t number(const unsigned char *bytes, int width) {
  uint64_t value = 0;
  memcpy(&value, bytes, (size_t)width);
  return value;
}

/* Messages of an object header, for continuations, whose lengths stand nowhere else. */
static void seal_continuations(unsigned char *file, size_t size, size_t from, size_t to, int flags, int depth) {
  const size_t head = flags & 4 ? 6 : 4;
  for (size_t at = from; depth < 4 && at + head <= to && to <= size;) {
    const size_t length = (size_t)number(file + at + 1, 2);
    if (file[at] == 0x10 && length >= 16 && at + head + 16 <= to) {
      const uint64_t where = number(file + at + head, 8), extent = number(file + at + head + 8, 8);
      if (where < size && extent <= size - where && extent > 8) {
        seal(file, size, (size_t)where, (size_t)extent);
        seal_continuations(file, size, (size_t)where + 4, (size_t)(where + extent) - 4, flags, depth + 1);
      }
    }
    at += head + length;
  }
}

/* A node of a tree of version 2, and, of one level at most, those below. */
static void seal_node(unsigned char *file, size_t size, uint64_t node, uint64_t records, size_t record, size_t most,
                      int level) {
  const size_t width = most > 255 ? 2 : 1, pointer = 8 + width, body = (size_t)records * record;
  const size_t length = 6 + body + (level ? ((size_t)records + 1) * pointer : 0) + 4;
  if (node > size || length > size - node) return;
  for (size_t i = 0; level && i <= records; i++) {
    const unsigned char *child = file + node + 6 + body + i * pointer;
    seal_node(file, size, number(child, 8), number(child + 8, (int)width), record, most, 0);
  }
  seal(file, size, (size_t)node, length);
}

static void seal_tree(unsigned char *file, size_t size, size_t at) {
  const size_t record = (size_t)number(file + at + 10, 2), node = (size_t)number(file + at + 6, 4);
  const uint64_t depth = number(file + at + 12, 2);
  if (record == 0 || node < 10 || depth > 1) return;
  seal_node(file, size, number(file + at + 16, 8), number(file + at + 24, 2), record, (node - 10) / record, (int)depth);
}

static void repair(unsigned char *file, size_t size) {
  static const struct {
    const char *signature;
    size_t length;
  } fixed[] = {{"FRHP", 146}, {"BTHD", 38}, {"FAHD", 28}, {"EAHD", 72}};
  if (size >= 48 && file[8] >= 2) seal(file, size, 0, 48);
  for (size_t at = 0; at + 8 <= size; at++) {
    if (file[at] == 'O' && memcmp(file + at, "OHDR", 4) == 0) {
      const int flags = file[at + 5], width = 1 << (flags & 3);
      const size_t start = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
      if (start + 8 > size) continue;
      const uint64_t chunk = number(file + start, width);
      if (chunk > size) continue;
      const size_t first = start + (size_t)width;
      if (seal(file, size, at, first + (size_t)chunk + 4 - at))
        seal_continuations(file, size, first, first + (size_t)chunk, flags, 0);
    }
    if (file[at] == 'B' && at + 38 <= size && memcmp(file + at, "BTHD", 4) == 0) seal_tree(file, size, at);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
      if (memcmp(file + at, fixed[i].signature, 4) == 0) seal(file, size, at, fixed[i].length);
  }
}

/* -------------------------------------------------------------------------------------------------------- mutation */

static uint64_t state;
static uint64_t draw(uint64_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % below;
}

/* Where one of the structures of a file begins; the size, if none was found. */
static size_t structure(const unsigned char *file, size_t size) {
  static const char *const signatures[] = {"OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "BTIN", "FAHD",
                                           "FADB", "EAHD", "TREE", "SNOD", "HEAP", "GCOL"};
  const char *signature = signatures[draw(sizeof signatures / sizeof *signatures)];
  const size_t start = (size_t)draw(size);
  for (int pass = 0; pass < 2; pass++) {
    const size_t from = pass ? 0 : start;
    const unsigned char *found = memmem(file + from, size - from, signature, 4);
    if (found != NULL) return (size_t)(found - file);
  }
  return size;
}

/* A place near one of the structures of a file, as most bytes of it are numbers of the flow. */
static size_t place(const unsigned char *file, size_t size) {
  if (draw(8) == 0) return (size_t)draw(size);
  if (draw(16) == 0) return (size_t)draw(size < 96 ? size : 96);
  const size_t start = structure(file, size), at = start + (size_t)draw(draw(2) ? 64 : 512);
  return start == size ? (size_t)draw(size) : at < size ? at : size - 1;
}

static size_t mutate(unsigned char *file, size_t size, size_t most) {
  static const uint64_t numbers[] = {0, 1, 2, 7, 8, 16, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
                                     0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff};
  for (uint64_t changes = 1 + draw(4); changes > 0; changes--) {
    const size_t at = place(file, size), room = size - at;
    size_t width = (size_t)1 << draw(4);
    if (width > room) width = 1;
    uint64_t value = number(file + at, (int)width);
    switch (draw(9)) {
      case 0: file[at] ^= (unsigned char)(1 << draw(8)); break;
      case 1: file[at] = (unsigned char)draw(256); break;
      case 2: value = numbers[draw(sizeof numbers / sizeof *numbers)], memcpy(file + at, &value, width); break;
      case 3: value += 1 + draw(8), memcpy(file + at, &value, width); break;
      case 4: value -= 1 + draw(8), memcpy(file + at, &value, width); break;
      case 5: { /* an address, where one may be */
        const size_t aligned = structure(file, size) + 8 * (size_t)draw(16), to = draw(2) ? aligned : at;
        value = draw(2) ? structure(file, size) : place(file, size);
        if (size >= 8 && to <= size - 8) memcpy(file + to, &value, 8);
        break;
      }
      case 6: {
        const size_t from = place(file, size), length = 1 + (size_t)draw(64);
        if (length <= room && length <= size - from) memmove(file + at, file + from, length);
        break;
      }
      case 7: value = size + draw(64) - 32, memcpy(file + at, &value, width); break;
      default:
        if (draw(12) == 0) size = at > 64 ? at : size; /* an end */
        else if (draw(6) == 0 && size + 16 < most) memmove(file + at + 16, file + at, room), size += 16;
    }
  }
  if (draw(4) != 0) repair(file, size);
  return size;
}

/* ------------------------------------------------------------------------------------------------------------- use */

/* Of rows HDF5 wants a file with a name, here in memory. One serves all children, which leave it. */
static char rows_path[] = "/dev/shm/diffeo-fuzz-XXXXXX";
static int rows_file = -1;
static void remove_rows(void) { unlink(rows_path); }
static void make_rows(void) {
  if ((rows_file = mkstemp(rows_path)) >= 0) atexit(remove_rows);
  else perror(rows_path), exit(2);
}

/* Rows of a file, all of which a trainer reads to begin with. */
static int train(const unsigned char *bytes, size_t size) {
  if (ftruncate(rows_file, 0) != 0 || pwrite(rows_file, bytes, size, 0) != (ssize_t)size) return 0;
  diffeo_rows *rows = NULL;
  if (D.rows_open(rows_path, "in/x", NULL, "w", &rows) != DIFFEO_OK) return 0;
  diffeo_spec *spec = NULL;
  diffeo_flow *flow = NULL;
  diffeo_trainer *trainer = NULL;
  diffeo_train_options options;
  D.train_options_init(&options, sizeof options);
  if (D.rows_dim(rows) <= 4096 && D.rows_count(rows) <= 1 << 16 &&
      D.spec_create(D.rows_dim(rows), 0, DIFFEO_F32, &spec) == DIFFEO_OK && D.spec_add_actnorm(spec) == DIFFEO_OK &&
      D.flow_create(spec, 1, &flow) == DIFFEO_OK)
    D.trainer_create_rows(flow, &options, rows, &trainer);
  D.trainer_destroy(trainer);
  D.flow_destroy(flow);
  D.spec_destroy(spec);
  D.rows_destroy(rows);
  return 1;
}

/* What a host does with a file. */
static int load(const unsigned char *bytes, size_t size) {
  enum { MOST = 64 };
  diffeo_flow *flow = NULL;
  const diffeo_status status = D.flow_load_memory(bytes, size, &flow);
  if (status != DIFFEO_OK) return train(bytes, size);
  static double x[4 * 4096], context[4 * 4096], log_prob[4];
  const int64_t dim = D.flow_dim(flow), context_dim = D.flow_context_dim(flow);
  if (dim <= 4096 && context_dim <= 4096 && D.flow_parameter_count(flow) < 1 << 20) {
    char text[MOST];
    size_t length;
    D.flow_describe(flow, text, sizeof text, &length);
    D.flow_log_prob_f64(flow, x, 4, context_dim ? context : NULL, context_dim ? 4 : 0, NULL, log_prob);
    D.flow_sample_f64(flow, 1, 0, 4, context_dim ? context : NULL, context_dim ? 4 : 0, NULL, x, NULL);
    D.flow_save_memory(flow, NULL, 0, &length);
  }
  D.flow_destroy(flow);
  return 1;
}

#ifdef LIBFUZZER

int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  open_library();
  make_rows();
  return 0;
}

#ifdef CALLS

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return (void)load, (void)mutate, calls(data, size), 0; }

#else

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  state = seed;
  if (size < 96 || draw(4) == 0) {
    size = LLVMFuzzerMutate(data, size, most);
    if (size >= 96 && draw(2)) repair(data, size);
    return size;
  }
  return mutate(data, size, most);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return load(data, size), 0; }

#endif
#else

static struct {
  uint64_t done, loaded;
} *shared;

static unsigned char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  unsigned char *bytes = malloc(LARGEST);
  if (file == NULL || bytes == NULL) return fprintf(stderr, "cannot read %s\n", path), exit(2), NULL;
  *size = fread(bytes, 1, LARGEST, file);
  fclose(file);
  return bytes;
}

static int files;
static unsigned char **bytes;
static size_t *sizes;
static unsigned char input[LARGEST + 64];

/* Input number i of a seed: gives its size, and where it came from. */
static size_t make_input(uint64_t seed, uint64_t i, int *file) {
  state = (seed << 40) + i * 0x9e3779b97f4a7c15u;
  if (files == 0) {
    const size_t size = 64 + (size_t)draw(448);
    for (size_t j = 0; j < size; j++) input[j] = (unsigned char)draw(256);
    return size;
  }
  *file = (int)draw((uint64_t)files);
  memcpy(input, bytes[*file], sizes[*file]);
  return mutate(input, sizes[*file], LARGEST);
}

int main(int count, char **arguments) {
  if (count < 4) return fprintf(stderr, "fuzz COUNT SEED FOLDER [FILE...]\n"), 2;
  const uint64_t wanted = strtoull(arguments[1], NULL, 10), seed = strtoull(arguments[2], NULL, 10);
  files = count - 4;
  bytes = malloc(sizeof *bytes * (size_t)(files + 1));
  sizes = malloc(sizeof *sizes * (size_t)(files + 1));
  for (int i = 0; i < files; i++) bytes[i] = read_file(arguments[4 + i], &sizes[i]);
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  open_library();
  make_rows();
  /* As they are, the first time; that opens HDF5 before the first child. */
  for (int i = 0; i < files; i++) load(bytes[i], sizes[i]);

  uint64_t ended = 0, slow = 0;
  int file = 0;
  const time_t start = time(NULL);
  while (shared->done < wanted) {
    fflush(stdout);
    const uint64_t from = shared->done;
    const pid_t child = fork();
    if (child == 0) {
      const struct rlimit memory = {(rlim_t)6 << 30, (rlim_t)6 << 30};
      setrlimit(RLIMIT_AS, &memory);
      if (from / 500 % 2) mallopt(M_PERTURB, 1 + (int)(from % 254)); /* as a heap is that was used before */
      const uint64_t to = from + 500 < wanted ? from + 500 : wanted;
      while (shared->done < to) {
        const size_t size = make_input(seed, shared->done, &file);
        alarm(60);
        shared->loaded += (uint64_t)(files == 0 ? calls(input, size) : load(input, size));
        shared->done++;
      }
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status == 0) continue;
    /* The input once more, to keep it. */
    const size_t size = make_input(seed, shared->done, &file);
    char path[700];
    const int is_slow = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    snprintf(path, sizeof path, "%s/%s-%llu-%llu.%s", arguments[3], is_slow ? "slow" : "ended", (unsigned long long)seed,
             (unsigned long long)shared->done, files == 0 ? "calls" : "h5");
    FILE *kept = fopen(path, "wb");
    if (kept != NULL) fwrite(input, 1, size, kept), fclose(kept);
    const int reason = WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
    printf("%s: signal %d%s%s\n", path, reason, files == 0 ? "" : ", from ", files == 0 ? "" : arguments[4 + file]);
    if (is_slow) slow++;
    else ended++;
    shared->done++;
  }
  printf("%llu %s in %ld s: %llu %s, %llu ended the process, %llu took 60 s\n", (unsigned long long)wanted,
         files == 0 ? "sequences of calls" : "mutated files", (long)(time(NULL) - start),
         (unsigned long long)shared->loaded, files == 0 ? "made a flow" : "loaded", (unsigned long long)ended,
         (unsigned long long)slow);
  return ended + slow > 0;
}
#endif
