/* Calls of the library decoded from bytes: a spec that is built, flows that are made, evaluated, trained, saved and loaded,
 * with numbers that a caller may pass by mistake. Pointers are right, and buffers as long as the calls say. */
#ifndef CALLS_H
#define CALLS_H

#include <math.h>

enum { MOST_ROWS = 16, MOST_DIM = 64, MOST_WEIGHTS = 1 << 18 };
static const unsigned char *next_byte, *last_byte;

/* 0 when there are no more. */
static unsigned byte(void) { return next_byte < last_byte ? *next_byte++ : 0; }

static int64_t integer(void) {
  static const int64_t rare[] = {-1, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, 100, -7, 65537};
  const unsigned b = byte();
  return b < 208 ? b % 9 : b < 240 ? b % 32 : rare[b % 8];
}

static double real(void) {
  static const double numbers[] = {0, 1, -1, 0.5, 3, -0.0, 1e-3, 1e-320, 1e30, -1e30, 1e308, 1e-40, 40, -40, INFINITY, NAN};
  const unsigned b = byte();
  return b < 128 ? (b - 64.0) / 16 : numbers[b % 16];
}

/* Fields that are numbers. */
typedef struct field {
  size_t at, width;
  int is_real;
} field;
#define INTEGER(type, name) {offsetof(type, name), sizeof(((type *)0)->name), 0}
#define REAL(type, name) {offsetof(type, name), sizeof(double), 1}

static void change(void *options, const field *fields, size_t count) {
  for (unsigned changes = byte() % 5; changes > 0; changes--) {
    const field f = fields[byte() % count];
    const int64_t i = integer();
    const double r = real();
    memcpy((char *)options + f.at, f.is_real ? (const void *)&r : (const void *)&i, f.width);
  }
}
#define CHANGE(options, ...)                        \
  do {                                              \
    static const field fields_[] = {__VA_ARGS__};   \
    change(&options, fields_, sizeof fields_ / sizeof *fields_); \
  } while (0)

static int64_t widths[4], order[MOST_DIM];
static uint8_t mask[MOST_DIM];
static diffeo_network_options network;
static diffeo_spline_options spline;
static diffeo_mixture_options mixture;
static diffeo_map_options map;
static diffeo_base_options base;

/* The parts that options point to. */
static void make_parts(void) {
  for (size_t i = 0; i < 4; i++) widths[i] = integer();
  for (size_t i = 0; i < MOST_DIM; i++) order[i] = i < 8 ? integer() : (int64_t)i, mask[i] = (uint8_t)(byte() % 3);
  D.network_options_init(&network, sizeof network);
  network.hidden = widths, network.hidden_count = byte() % 4;
  CHANGE(network, INTEGER(diffeo_network_options, activation), INTEGER(diffeo_network_options, blocks),
         INTEGER(diffeo_network_options, context_mode), INTEGER(diffeo_network_options, normalized),
         REAL(diffeo_network_options, dropout));
  D.spline_options_init(&spline, sizeof spline);
  CHANGE(spline, INTEGER(diffeo_spline_options, bins), REAL(diffeo_spline_options, low), REAL(diffeo_spline_options, high),
         REAL(diffeo_spline_options, min_width), REAL(diffeo_spline_options, min_derivative),
         INTEGER(diffeo_spline_options, boundary), INTEGER(diffeo_spline_options, derivative),
         REAL(diffeo_spline_options, logit_bound), INTEGER(diffeo_spline_options, half_ends),
         INTEGER(diffeo_spline_options, encoding));
  D.mixture_options_init(&mixture, sizeof mixture);
  CHANGE(mixture, INTEGER(diffeo_mixture_options, components), INTEGER(diffeo_mixture_options, family),
         INTEGER(diffeo_mixture_options, target), REAL(diffeo_mixture_options, scale_bound));
  D.map_options_init(&map, sizeof map);
  CHANGE(map, INTEGER(diffeo_map_options, map), INTEGER(diffeo_map_options, scale), REAL(diffeo_map_options, scale_bound),
         REAL(diffeo_map_options, scale_epsilon), REAL(diffeo_map_options, log_scale_low));
  map.spline = byte() % 2 ? &spline : NULL, map.mixture = byte() % 2 ? &mixture : NULL;
  D.base_options_init(&base, sizeof base);
  CHANGE(base, INTEGER(diffeo_base_options, base), REAL(diffeo_base_options, low), REAL(diffeo_base_options, high),
         REAL(diffeo_base_options, df), INTEGER(diffeo_base_options, components));
  base.network = byte() % 4 ? NULL : &network;
}

static void add(diffeo_spec *spec) {
  static double low[MOST_DIM], high[MOST_DIM];
  for (size_t i = 0; i < 8; i++) low[i] = real(), high[i] = real();
  const diffeo_network_options *perhaps = byte() % 2 ? &network : NULL;
  switch (byte() % 18) {
    case 0: {
      diffeo_autoregressive_options o;
      D.autoregressive_options_init(&o, sizeof o);
      o.network = &network, o.map = &map, o.order_given = order;
      CHANGE(o, INTEGER(diffeo_autoregressive_options, order), INTEGER(diffeo_autoregressive_options, degrees),
             INTEGER(diffeo_autoregressive_options, direct), INTEGER(diffeo_autoregressive_options, inverse_map));
      D.spec_add_autoregressive(spec, &o);
      break;
    }
    case 1: {
      diffeo_coupling_options o;
      D.coupling_options_init(&o, sizeof o);
      o.network = &network, o.map = &map, o.mask_given = mask;
      CHANGE(o, INTEGER(diffeo_coupling_options, mask), INTEGER(diffeo_coupling_options, scale_activation));
      D.spec_add_coupling(spec, &o);
      break;
    }
    case 2: {
      diffeo_elementwise_options o;
      D.elementwise_options_init(&o, sizeof o);
      o.network = perhaps, o.map = &map, o.columns = order, o.column_count = byte() % 9;
      D.spec_add_elementwise(spec, &o);
      break;
    }
    case 3: D.spec_add_planar(spec, perhaps); break;
    case 4: D.spec_add_radial(spec, perhaps); break;
    case 5: D.spec_add_lu(spec, (int32_t)integer(), (uint64_t)integer()); break;
    case 6: D.spec_add_random_permutation(spec, (uint64_t)integer()); break;
    case 7: D.spec_add_actnorm(spec); break;
    case 8: D.spec_add_batch_norm(spec, real(), real()); break;
    case 9: D.spec_add_standardize(spec, byte() % 2 ? low : NULL, byte() % 2 ? high : NULL); break;
    case 10: D.spec_add_domain(spec, (int32_t)integer(), order, byte() % 9, low, high); break;
    case 11:
      if (byte() % 2)
        D.spec_add_dequantize(spec, integer());
      else
        D.spec_add_dequantize_columns(spec, order, byte() % 9, order);
      break;
    case 12: D.spec_add_householder(spec, integer()); break;
    case 13: D.spec_add_squeeze(spec, (int32_t)integer()); break;
    case 14: {
      diffeo_image_coupling_options o;
      D.image_coupling_options_init(&o, sizeof o);
      o.map = &map;
      CHANGE(o, INTEGER(diffeo_image_coupling_options, mask));
      diffeo_convolution_options c;
      D.convolution_options_init(&c, sizeof c);
      c.hidden = widths, c.hidden_count = byte() % 4;
      CHANGE(c, INTEGER(diffeo_convolution_options, activation), INTEGER(diffeo_convolution_options, blocks),
             INTEGER(diffeo_convolution_options, kernel_first), INTEGER(diffeo_convolution_options, kernel_last),
             INTEGER(diffeo_convolution_options, gain));
      o.network = &c, o.mask_given = mask;
      D.spec_add_image_coupling(spec, &o);
      break;
    }
    case 15: D.spec_invert(spec); break;
    case 16: D.spec_set_standardization(spec, (int32_t)integer()); break;
    default: D.spec_set_base(spec, &base);
  }
}

static diffeo_flow *make_flow(void) {
  diffeo_flow *flow = NULL;
  make_parts();
  const int64_t shape[] = {1 + byte() % 4, 2 * (1 + byte() % 2), 2 * (1 + byte() % 2)};
  if (byte() % 3 == 0) {
    diffeo_status (*const named[])(const diffeo_architecture_options *, diffeo_flow **) = {
        D.maf_create,    D.iaf_create,      D.realnvp_create,         D.nice_create, D.glow_create, D.planar_create,
        D.radial_create, D.cdf_flow_create, D.spline_coupling_create, D.spline_autoregressive_create, D.made_create};
    diffeo_architecture_options o;
    D.architecture_options_init(&o, sizeof o);
    if (byte() % 4 == 0) o.features = 1 + byte() % 6, o.embedding = &network;
    o.dim = 1 + byte() % 6, o.context_dim = byte() % 3, o.network = &network, o.base = byte() % 3 ? NULL : &base;
    CHANGE(o, INTEGER(diffeo_architecture_options, dim), INTEGER(diffeo_architecture_options, transforms),
           INTEGER(diffeo_architecture_options, dtype), INTEGER(diffeo_architecture_options, scale),
           INTEGER(diffeo_architecture_options, random_order), INTEGER(diffeo_architecture_options, standardize),
           INTEGER(diffeo_architecture_options, actnorm), INTEGER(diffeo_architecture_options, batch_norm),
           INTEGER(diffeo_architecture_options, periodic), INTEGER(diffeo_architecture_options, conditional),
           INTEGER(diffeo_architecture_options, components), INTEGER(diffeo_architecture_options, masks),
           INTEGER(diffeo_architecture_options, bins), REAL(diffeo_architecture_options, bound));
    named[byte() % (sizeof named / sizeof *named)](&o, &flow);
    return flow;
  }
  diffeo_spec *spec = NULL;
  const int32_t dtype = byte() % 8 ? 1 + (int32_t)(byte() % 2) : (int32_t)integer();
  const int64_t context_dim = byte() % 3;
  if (byte() % 3 == 0) D.spec_create_image(shape[0], shape[1], shape[2], context_dim, dtype, &spec);
  else D.spec_create(byte() % 8 ? 1 + byte() % 6 : integer(), context_dim, dtype, &spec);
  if (spec == NULL) return NULL;
  if (byte() % 4 == 0) D.spec_set_embedding(spec, byte() % 8 ? 1 + byte() % 6 : integer(), byte() % 2 ? &network : NULL);
  for (unsigned layers = byte() % 6; layers > 0; layers--) add(spec);
  if (byte() % 2) D.spec_standardize_context(spec, NULL, NULL);
  D.flow_create(spec, (uint64_t)integer(), &flow);
  D.spec_destroy(spec);
  return flow;
}

static void use(diffeo_flow **flow) {
  static double x[MOST_ROWS * MOST_DIM], context[MOST_ROWS * MOST_DIM], y[MOST_ROWS * MOST_DIM], logs[MOST_ROWS];
  static float xs[MOST_ROWS * MOST_DIM], contexts[MOST_ROWS * MOST_DIM], ys[MOST_ROWS * MOST_DIM], log_s[MOST_ROWS];
  static double *weights;
  const int64_t dim = D.flow_dim(*flow), context_dim = D.flow_context_dim(*flow);
  const int64_t count = D.flow_parameter_count(*flow);
  if (dim > MOST_DIM || context_dim > MOST_DIM || count > MOST_WEIGHTS) {
    next_byte = last_byte;
    return;
  }
  for (int64_t i = 0; i < MOST_ROWS * MOST_DIM; i++) {
    x[i] = i < 32 ? real() : (double)(i % 7) - 3, context[i] = i < 8 ? real() : (double)(i % 5);
    xs[i] = (float)x[i], contexts[i] = (float)context[i];
  }
  int64_t n = byte() % 4 ? 1 + byte() % MOST_ROWS : integer();
  if (n > MOST_ROWS) n = MOST_ROWS;
  const int64_t given = context_dim == 0 ? 0 : byte() % 2 ? 1 : n;
  const double *c = context_dim == 0 ? NULL : context;
  const float *cs = context_dim == 0 ? NULL : contexts;
  diffeo_workspace *workspace = NULL;
  if (byte() % 2) D.workspace_create(1 + byte() % 2, &workspace);
  switch (byte() % 13) {
    case 0: D.flow_log_prob_f64(*flow, x, n, c, given, workspace, logs); break;
    case 1: D.flow_log_prob_f32(*flow, xs, n, cs, given, workspace, log_s); break;
    case 2: D.flow_to_noise_f64(*flow, x, n, c, given, workspace, y, logs); break;
    case 3: D.flow_from_noise_f32(*flow, xs, n, cs, given, workspace, ys, log_s); break;
    case 4: D.flow_sample_f64(*flow, (uint64_t)integer(), (uint64_t)integer(), n, c, given, workspace, y, logs); break;
    case 5: D.flow_log_prob_gradient_f64(*flow, x, n, c, given, workspace, logs, y, NULL); break;
    case 6: D.flow_sample_tempered_f32(*flow, real(), 1, 0, n, cs, given, workspace, ys, log_s); break;
    case 7: D.flow_bits_per_dim_f64(*flow, x, n, c, given, 1, integer() % 4, workspace, logs); break;
    case 8: {
      weights = realloc(weights, sizeof *weights * MOST_WEIGHTS);
      D.flow_parameters_f64(*flow, weights);
      for (unsigned i = byte() % 8; i > 0 && count > 0; i--) weights[byte() * 7 % count] = real();
      diffeo_flow *other = NULL;
      if (D.flow_with_parameters_f64(*flow, weights, &other) == DIFFEO_OK) {
        D.flow_destroy(*flow);
        *flow = other;
      }
      break;
    }
    case 9: {
      size_t size = 0;
      D.flow_save_memory(*flow, NULL, 0, &size);
      void *bytes = malloc(size + 1);
      diffeo_flow *again = NULL;
      if (D.flow_save_memory(*flow, bytes, size, &size) == DIFFEO_OK && D.flow_load_memory(bytes, size, &again) == DIFFEO_OK) {
        D.flow_destroy(*flow);
        *flow = again;
      }
      free(bytes);
      break;
    }
    case 10:
    case 11: {
      diffeo_train_options o;
      diffeo_trainer *trainer = NULL;
      diffeo_flow *best = NULL;
      D.train_options_init(&o, sizeof o);
      CHANGE(o, INTEGER(diffeo_train_options, batch_size), INTEGER(diffeo_train_options, patience),
             REAL(diffeo_train_options, validation_fraction), INTEGER(diffeo_train_options, judge),
             INTEGER(diffeo_train_options, optimizer), INTEGER(diffeo_train_options, schedule),
             REAL(diffeo_train_options, learning_rate), INTEGER(diffeo_train_options, warmup_steps),
             REAL(diffeo_train_options, beta1), REAL(diffeo_train_options, weight_decay), REAL(diffeo_train_options, l2),
             REAL(diffeo_train_options, clip_norm), REAL(diffeo_train_options, clip_quantile),
             REAL(diffeo_train_options, ema_decay), REAL(diffeo_train_options, x_noise),
             INTEGER(diffeo_train_options, image_shift), INTEGER(diffeo_train_options, image_flip));
      D.trainer_create_f64(*flow, &o, x, n, c, given, NULL, &trainer);
      for (int i = 0; trainer != NULL && i < 3; i++) D.trainer_step(trainer, integer(), NULL);
      if (trainer != NULL && D.trainer_best(trainer, &best) == DIFFEO_OK) {
        D.flow_destroy(*flow);
        *flow = best;
      }
      D.trainer_destroy(trainer);
      break;
    }
    default: {
      char text[64];
      size_t length;
      D.flow_describe(*flow, text, sizeof text, &length);
    }
  }
  D.workspace_destroy(workspace);
}

/* Whether a flow came of them. */
static inline int calls(const unsigned char *bytes, size_t size) {
  next_byte = bytes, last_byte = bytes + size;
  diffeo_flow *flow = make_flow();
  if (flow == NULL) return 0;
  while (next_byte < last_byte) use(&flow);
  D.flow_destroy(flow);
  return 1;
}

#endif
