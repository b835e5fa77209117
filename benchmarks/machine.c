/* What the machine can do: fused multiply-adds and reading of memory, on so many threads at once.
 *
 *     machine peak THREADS             GFLOP/s
 *     machine read THREADS BYTES       GB/s, each thread from so many bytes of its own
 *
 * Compile with -O3 -ffp-contract=fast, -DREAL=float or double, and -march=native or x86-64-v3 for vectors as wide as
 * those of the machine or of AVX2. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __AVX512F__
#define BYTES 64
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define REGISTER "+v"
#else
#define BYTES 32
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#ifdef __x86_64__
#define REGISTER "+x"
#else
#define REGISTER "+w"
#endif
#endif
#define WIDTH ((int)(BYTES / sizeof(REAL)))
typedef REAL vector __attribute__((vector_size(BYTES)));

enum { MOST = 256, UNROLLED = 8 };
static const double ROUND = 0.004; /* seconds, at the least; the best of about twenty counts */

typedef struct member {
  pthread_t thread;
  size_t bytes; /* to read; 0: multiply-adds */
  double rate, sum;
} member;
static pthread_barrier_t barrier;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Independent chains of vectors, as many as hide the latency and stay in registers: a multiply-add is two operations. */
static double multiply_add(long rounds, double *sum) {
  static volatile REAL one = 1, small = (REAL)1e-9;
  vector factor, term;
  for (int i = 0; i < WIDTH; i++) factor[i] = one, term[i] = small;
#define BEGIN(i) vector chain##i = factor + (REAL)i;
  CHAINS(BEGIN)
  for (long round = 0; round < rounds; round++) {
/* the empty asm leaves the value as it is, in its register, and keeps the compiler from combining rounds */
#define STEP(i) chain##i = chain##i * factor + term; __asm__ volatile("" : REGISTER(chain##i));
    CHAINS(STEP)
  }
#define ADD(i) *sum += (double)chain##i[0];
  CHAINS(ADD)
#define ONE(i) +1
  return 2.0 * WIDTH * (0 CHAINS(ONE)) * (double)rounds;
}

static double reading(const vector *memory, size_t bytes, long rounds, double *sum) {
  vector found[UNROLLED];
  const size_t count = bytes / sizeof(vector) / UNROLLED * UNROLLED;
  memset(found, 0, sizeof found);
  for (long round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i += UNROLLED)
      for (int j = 0; j < UNROLLED; j++) found[j] += memory[i + (size_t)j];
    __asm__ volatile("" : : "r"(memory) : "memory");
  }
  for (int j = 0; j < UNROLLED; j++) *sum += (double)found[j][0];
  return (double)(count * sizeof(vector)) * (double)rounds;
}

static void *work(void *argument) {
  member *m = argument;
  vector *memory = NULL;
  if (m->bytes > 0) {
    memory = aligned_alloc(sizeof(vector), (m->bytes + sizeof(vector) - 1) / sizeof(vector) * sizeof(vector));
    if (memory == NULL) fprintf(stderr, "machine: out of memory\n"), exit(1);
    memset(memory, 0, m->bytes);
  }
  long rounds = 1;
  double end = 0;
  for (;;) {
    const double start = now();
    const double amount = memory ? reading(memory, m->bytes, rounds, &m->sum) : multiply_add(rounds, &m->sum);
    const double stop = now(), rate = amount / (stop - start) * 1e-9;
    if (end == 0 && stop - start < ROUND) {
      rounds *= 2;
    } else if (end == 0) { /* long enough: now all at once, until the same moment */
      pthread_barrier_wait(&barrier);
      end = now() + 20 * ROUND + (stop - start);
    } else if (stop > end) {
      if (m->rate == 0) m->rate = rate;
      break;
    } else if (rate > m->rate) {
      m->rate = rate;
    }
  }
  free(memory);
  return NULL;
}

int main(int argc, char **argv) {
  static member members[MOST];
  const int threads = argc > 2 ? atoi(argv[2]) : 0;
  const int reads = argc == 4 && strcmp(argv[1], "read") == 0;
  if (threads < 1 || threads > MOST || !(reads || (argc == 3 && strcmp(argv[1], "peak") == 0)))
    return fprintf(stderr, "usage: machine peak THREADS | machine read THREADS BYTES\n"), 1;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (int i = 0; i < threads; i++) {
    members[i].bytes = reads ? strtoull(argv[3], NULL, 10) : 0;
    if (pthread_create(&members[i].thread, NULL, work, &members[i]) != 0) return perror("machine"), 1;
  }
  double rate = 0, sum = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(members[i].thread, NULL);
    rate += members[i].rate, sum += members[i].sum;
  }
  fprintf(stderr, "%g\n", sum); /* so that nothing is left out */
  printf("%.3f\n", rate);
  return 0;
}
