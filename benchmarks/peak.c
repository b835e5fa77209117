/* Peak of one core: float32 fused multiply-adds, in GFLOP/s, on stdout.
 *
 * Independent chains of vectors, as many as hide the latency and stay in registers: a multiply-add is two operations.
 * Compile with -O3 -march=native -ffp-contract=fast: vectors are as wide as the machine has them. */
#include <stdio.h>
#include <time.h>

#ifdef __AVX512F__
#define WIDTH 16
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define REGISTER "+v"
#else
#define WIDTH 8
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#ifdef __x86_64__
#define REGISTER "+x"
#else
#define REGISTER "+w"
#endif
#endif
typedef float vector __attribute__((vector_size(WIDTH * sizeof(float))));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void) {
  const long rounds = 2000000;
  volatile float one = 1.0f, small = 1e-9f;
  double best = 0;
  float sum = 0;
#define ONE(i) +1
  const int chains = 0 CHAINS(ONE);
  for (int repeat = 0; repeat < 10; repeat++) {
    vector factor, term;
    for (int i = 0; i < WIDTH; i++) factor[i] = one, term[i] = small;
#define BEGIN(i) vector chain##i = factor + (float)i;
    CHAINS(BEGIN)
    double start = now();
    for (long round = 0; round < rounds; round++) {
/* the empty asm leaves the value as it is, in its register, and keeps the compiler from combining rounds */
#define STEP(i) chain##i = chain##i * factor + term; __asm__ volatile("" : REGISTER(chain##i));
      CHAINS(STEP)
    }
    double rate = 2.0 * WIDTH * chains * (double)rounds / (now() - start) * 1e-9;
    if (rate > best) best = rate;
#define ADD(i) sum += chain##i[0];
    CHAINS(ADD)
  }
  fprintf(stderr, "%g\n", (double)sum); /* so that nothing is left out */
  printf("%.3f\n", best);
  return 0;
}
