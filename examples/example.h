/* What the C examples share: one way to end when something fails, and two moons. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <diffeo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The library says what is wrong in words. */
static inline void check(diffeo_status status) {
  if (status == DIFFEO_OK) return;
  fprintf(stderr, "%s: %s\n", diffeo_status_name(status), diffeo_last_error());
  exit(1);
}

static inline double uniform(void) { return (rand() + 0.5) / (RAND_MAX + 1.0); }

static inline double normal(void) { return sqrt(-2 * log(uniform())) * cos(2 * 3.14159265358979 * uniform()); }

/* A point of two interleaved half circles with noise 0.1; moon is 0 or 1. */
static inline void moon_point(int moon, float *x) {
  const double angle = 3.14159265358979 * uniform();
  x[0] = (float)((moon ? 1 - cos(angle) : cos(angle)) + 0.1 * normal());
  x[1] = (float)((moon ? 0.5 - sin(angle) : sin(angle)) + 0.1 * normal());
}

#endif
