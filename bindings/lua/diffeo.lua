-- diffeo.h for LuaJIT: local diffeo, ffi = require "diffeo", require "ffi". Written by scripts/generate-interface.
-- Functions, constants and structs have their names of C: diffeo.diffeo_flow_load, diffeo.DIFFEO_OK. The library is
-- that of the environment variable DIFFEO_LIBRARY, else that of the system.
local ffi = require "ffi"

ffi.cdef [[
int32_t diffeo_version_number(void);
const char *diffeo_version_string(void);
typedef int32_t diffeo_status;
enum {
  DIFFEO_OK = 0,
  DIFFEO_EINVAL = -1,
  DIFFEO_ENOMEM = -2,
  DIFFEO_ESHAPE = -3,
  DIFFEO_EDTYPE = -4,
  DIFFEO_EIO = -5,
  DIFFEO_EFORMAT = -6,
  DIFFEO_EVERSION = -7,
  DIFFEO_ENUMERIC = -8,
  DIFFEO_ECANCELLED = -9,
  DIFFEO_ESTATE = -10,
  DIFFEO_EUNSUPPORTED = -11,
  DIFFEO_EINTERNAL = -127
};
const char *diffeo_status_name(diffeo_status status);
const char *diffeo_last_error(void);
typedef struct diffeo_workspace diffeo_workspace;
diffeo_status diffeo_workspace_create(int32_t threads, diffeo_workspace **workspace);
typedef void (*diffeo_job)(void *jobs, int32_t index);
typedef void (*diffeo_parallel)(void *user, diffeo_job job, void *jobs, int32_t count);
diffeo_status diffeo_workspace_create_hosted(int32_t threads, diffeo_parallel parallel, void *user,
    diffeo_workspace **workspace);
diffeo_status diffeo_workspace_pin(diffeo_workspace *workspace, const int64_t *processors, int64_t count);
void diffeo_workspace_destroy(diffeo_workspace *workspace);
int32_t diffeo_workspace_threads(const diffeo_workspace *workspace);
typedef struct diffeo_spec diffeo_spec;
typedef struct diffeo_flow diffeo_flow;
enum { DIFFEO_F32 = 1, DIFFEO_F64 = 2 };
enum {
  DIFFEO_RELU = 1,
  DIFFEO_TANH = 2,
  DIFFEO_ELU = 3,
  DIFFEO_SILU = 4,
  DIFFEO_LEAKY_RELU = 5,
  DIFFEO_SOFTPLUS = 6,
  DIFFEO_SIGMOID = 7,
  DIFFEO_GELU = 8,
  DIFFEO_GELU_ERF = 9,
  DIFFEO_MISH = 10,
  DIFFEO_HARD_SILU = 11
};
enum {
  DIFFEO_SCALE_SOFT_CLIP = 1,
  DIFFEO_SCALE_EXP = 2,
  DIFFEO_SCALE_TANH = 3,
  DIFFEO_SCALE_SOFTPLUS = 4,
  DIFFEO_SCALE_SIGMOID = 5,
  DIFFEO_SCALE_ADDITIVE = 6,
  DIFFEO_SCALE_GATED = 7,
  DIFFEO_SCALE_CLAMPED_SOFTPLUS = 8,
  DIFFEO_SCALE_CLAMPED_EXP = 9,
  DIFFEO_SCALE_RECIPROCAL_SIGMOID = 10,
  DIFFEO_SCALE_ATAN = 11,
  DIFFEO_SCALE_SKEWED_CLIP = 12,
  DIFFEO_SCALE_CLIPPED_SOFTPLUS = 13,
  DIFFEO_SCALE_SOFTPLUS_ARSINH = 14
};
enum { DIFFEO_ORDER_NATURAL = 1, DIFFEO_ORDER_REVERSED = 2, DIFFEO_ORDER_RANDOM = 3, DIFFEO_ORDER_GIVEN = 4 };
enum { DIFFEO_DEGREES_SEQUENTIAL = 1, DIFFEO_DEGREES_RANDOM = 2 };
enum {
  DIFFEO_MASK_EVEN = 1,
  DIFFEO_MASK_ODD = 2,
  DIFFEO_MASK_FIRST = 3,
  DIFFEO_MASK_LAST = 4,
  DIFFEO_MASK_RANDOM = 5,
  DIFFEO_MASK_GIVEN = 6
};
enum {
  DIFFEO_BLOCKS_PLAIN = 1,
  DIFFEO_BLOCKS_RESIDUAL = 2,
  DIFFEO_BLOCKS_PREACTIVATION = 3
};
enum {
  DIFFEO_CONTEXT_INPUT = 1,
  DIFFEO_CONTEXT_GATE = 2,
  DIFFEO_CONTEXT_SHIFT = 3,
  DIFFEO_CONTEXT_ADD = 4
};
typedef struct diffeo_network_options {
  size_t struct_size;
  const int64_t *hidden;
  int64_t hidden_count;
  int32_t activation;
  int32_t blocks;
  int32_t context_mode;
  int32_t normalized;
  double dropout;
  double layer_norm_epsilon;
} diffeo_network_options;
enum {
  DIFFEO_BOUNDARY_LINEAR = 1,
  DIFFEO_BOUNDARY_PERIODIC = 2,
  DIFFEO_BOUNDARY_INTERVAL = 3,
  DIFFEO_BOUNDARY_FREE = 4,
  DIFFEO_BOUNDARY_EXTENDED = 5,
  DIFFEO_BOUNDARY_HALF_TURN = 6
};
enum {
  DIFFEO_DERIVATIVE_SOFTPLUS = 1,
  DIFFEO_DERIVATIVE_EXP = 2
};
enum {
  DIFFEO_ENCODING_CIRCLE = 1,
  DIFFEO_ENCODING_NUMBERS = 2
};
typedef struct diffeo_spline_options {
  size_t struct_size;
  int64_t bins;
  double low, high;
  double min_width;
  double min_height;
  double min_derivative;
  int32_t boundary;
  int32_t derivative;
  double logit_bound;
  double derivative_bound;
  double boundary_derivative;
  int32_t half_ends;
  int32_t encoding;
  double min_lambda;
} diffeo_spline_options;
enum { DIFFEO_FAMILY_NORMAL = 1, DIFFEO_FAMILY_LOGISTIC = 2 };
enum { DIFFEO_TARGET_UNIFORM = 1, DIFFEO_TARGET_LOGISTIC = 2 };
typedef struct diffeo_mixture_options {
  size_t struct_size;
  int64_t components;
  int32_t family;
  int32_t target;
  double scale_bound;
  int32_t scale;
  int32_t reserved;
  double scale_epsilon;
} diffeo_mixture_options;
enum {
  DIFFEO_MAP_AFFINE = 1,
  DIFFEO_MAP_SPLINE = 2,
  DIFFEO_MAP_MIXTURE = 3,
  DIFFEO_MAP_SINH_ARCSINH = 4,
  DIFFEO_MAP_LINEAR_SPLINE = 5
};
typedef struct diffeo_map_options {
  size_t struct_size;
  int32_t map;
  int32_t scale;
  double scale_bound;
  double scale_epsilon;
  double log_scale_low, log_scale_high;
  const diffeo_spline_options *spline;
  const diffeo_mixture_options *mixture;
} diffeo_map_options;
typedef struct diffeo_autoregressive_options {
  size_t struct_size;
  int32_t order;
  int32_t degrees;
  const int64_t *order_given;
  int32_t direct;
  int32_t inverse_map;
  uint64_t seed;
  const diffeo_network_options *network;
  const diffeo_map_options *map;
} diffeo_autoregressive_options;
typedef struct diffeo_coupling_options {
  size_t struct_size;
  int32_t mask;
  int32_t scale_activation;
  const uint8_t *mask_given;
  uint64_t seed;
  const diffeo_network_options *network;
  const diffeo_map_options *map;
} diffeo_coupling_options;
typedef struct diffeo_elementwise_options {
  size_t struct_size;
  const int64_t *columns;
  int64_t column_count;
  const diffeo_network_options *network;
  const diffeo_map_options *map;
} diffeo_elementwise_options;
enum {
  DIFFEO_BASE_STANDARD_NORMAL = 1,
  DIFFEO_BASE_NORMAL = 2,
  DIFFEO_BASE_LOGISTIC = 3,
  DIFFEO_BASE_UNIFORM = 4,
  DIFFEO_BASE_STUDENT_T = 5,
  DIFFEO_BASE_MIXTURE = 6,
  DIFFEO_BASE_BETA = 7
};
enum {
  DIFFEO_COVARIANCE_DIAGONAL = 1,
  DIFFEO_COVARIANCE_FULL = 2,
  DIFFEO_COVARIANCE_PRECISION = 3
};
enum {
  DIFFEO_DIAGONAL_EXP = 1,
  DIFFEO_DIAGONAL_SOFTPLUS = 2
};
typedef struct diffeo_base_options {
  size_t struct_size;
  int32_t base;
  int32_t reserved;
  double low, high;
  double df;
  int64_t components;
  const diffeo_network_options *network;
  double alpha, beta;
  int32_t covariance;
  int32_t diagonal;
  double epsilon;
} diffeo_base_options;
enum {
  DIFFEO_MADE_GAUSSIAN = 1,
  DIFFEO_MADE_MIXTURE = 2,
  DIFFEO_MADE_BERNOULLI = 3
};
typedef struct diffeo_made_options {
  size_t struct_size;
  int32_t conditional;
  int32_t order;
  const int64_t *order_given;
  int32_t degrees;
  int32_t direct;
  int64_t components;
  int64_t masks;
  uint64_t seed;
  const diffeo_network_options *network;
} diffeo_made_options;
typedef struct diffeo_architecture_options {
  size_t struct_size;
  int64_t dim;
  int64_t context_dim;
  int64_t transforms;
  uint64_t seed;
  int32_t dtype;
  int32_t scale;
  int32_t random_order;
  int32_t standardize;
  int32_t actnorm;
  int32_t batch_norm;
  int32_t periodic;
  int32_t conditional;
  int64_t components;
  int64_t masks;
  int64_t bins;
  double bound;
  const diffeo_network_options *network;
  const diffeo_base_options *base;
  int64_t features;
  const diffeo_network_options *embedding;
} diffeo_architecture_options;
enum {
  DIFFEO_SQUEEZE_CHANNELS = 1,
  DIFFEO_SQUEEZE_PLACES = 2,
  DIFFEO_SQUEEZE_DIAGONALS = 3
};
enum {
  DIFFEO_IMAGE_MASK_FIRST = 1,
  DIFFEO_IMAGE_MASK_LAST = 2,
  DIFFEO_IMAGE_MASK_EVEN = 3,
  DIFFEO_IMAGE_MASK_ODD = 4,
  DIFFEO_IMAGE_MASK_NONE = 5,
  DIFFEO_IMAGE_MASK_GIVEN = 6
};
typedef struct diffeo_convolution_options {
  size_t struct_size;
  const int64_t *hidden;
  int64_t hidden_count;
  int32_t activation;
  int32_t blocks;
  int64_t kernel_first;
  int64_t kernel_hidden;
  int64_t kernel_last;
  int32_t gain;
  int32_t ones_outside;
} diffeo_convolution_options;
typedef struct diffeo_image_coupling_options {
  size_t struct_size;
  int32_t mask;
  int32_t reserved;
  const uint8_t *mask_given;
  const diffeo_convolution_options *network;
  const diffeo_map_options *map;
} diffeo_image_coupling_options;
typedef struct diffeo_split_options {
  size_t struct_size;
  int32_t keep;
  int32_t prior;
  const diffeo_convolution_options *network;
} diffeo_split_options;
typedef struct diffeo_image_options {
  size_t struct_size;
  int64_t channels, height, width;
  int64_t context_dim;
  int64_t levels;
  int64_t steps;
  int64_t quantization;
  double alpha;
  uint64_t seed;
  int32_t dtype;
  int32_t scale;
  int32_t split;
  int32_t learned_prior;
  int32_t learned_top;
  int32_t lu;
  const diffeo_convolution_options *network;
  const diffeo_map_options *map;
} diffeo_image_options;
diffeo_status diffeo_convolution_options_init(diffeo_convolution_options *options, size_t struct_size);
diffeo_status diffeo_image_coupling_options_init(diffeo_image_coupling_options *options, size_t struct_size);
diffeo_status diffeo_split_options_init(diffeo_split_options *options, size_t struct_size);
diffeo_status diffeo_image_options_init(diffeo_image_options *options, size_t struct_size);
diffeo_status diffeo_network_options_init(diffeo_network_options *options, size_t struct_size);
diffeo_status diffeo_spline_options_init(diffeo_spline_options *options, size_t struct_size);
diffeo_status diffeo_mixture_options_init(diffeo_mixture_options *options, size_t struct_size);
diffeo_status diffeo_map_options_init(diffeo_map_options *options, size_t struct_size);
diffeo_status diffeo_autoregressive_options_init(diffeo_autoregressive_options *options, size_t struct_size);
diffeo_status diffeo_coupling_options_init(diffeo_coupling_options *options, size_t struct_size);
diffeo_status diffeo_elementwise_options_init(diffeo_elementwise_options *options, size_t struct_size);
diffeo_status diffeo_base_options_init(diffeo_base_options *options, size_t struct_size);
diffeo_status diffeo_made_options_init(diffeo_made_options *options, size_t struct_size);
diffeo_status diffeo_architecture_options_init(diffeo_architecture_options *options, size_t struct_size);
diffeo_status diffeo_option_bounds(const char *option, double *low, double *high);
diffeo_status diffeo_nice_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_realnvp_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_glow_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_made_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_maf_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_iaf_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_planar_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_radial_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_cdf_flow_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_spline_coupling_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_spline_autoregressive_create(const diffeo_architecture_options *options, diffeo_flow **flow);
diffeo_status diffeo_glow_image_create(const diffeo_image_options *options, diffeo_flow **flow);
diffeo_status diffeo_realnvp_image_create(const diffeo_image_options *options, diffeo_flow **flow);
diffeo_status diffeo_spec_create(int64_t dim, int64_t context_dim, int32_t dtype, diffeo_spec **spec);
diffeo_status diffeo_spec_create_image(int64_t channels, int64_t height, int64_t width, int64_t context_dim,
    int32_t dtype, diffeo_spec **spec);
void diffeo_spec_destroy(diffeo_spec *spec);
diffeo_status diffeo_spec_set_dtype(diffeo_spec *spec, int32_t dtype);
diffeo_status diffeo_spec_invert(diffeo_spec *spec);
diffeo_status diffeo_spec_add_autoregressive(diffeo_spec *spec, const diffeo_autoregressive_options *options);
diffeo_status diffeo_spec_add_coupling(diffeo_spec *spec, const diffeo_coupling_options *options);
diffeo_status diffeo_spec_add_permutation(diffeo_spec *spec, const int64_t *permutation);
diffeo_status diffeo_spec_add_reverse(diffeo_spec *spec);
diffeo_status diffeo_spec_add_random_permutation(diffeo_spec *spec, uint64_t seed);
diffeo_status diffeo_spec_add_lu(diffeo_spec *spec, int32_t permuted, uint64_t seed);
diffeo_status diffeo_spec_add_linear(diffeo_spec *spec);
diffeo_status diffeo_spec_add_householder(diffeo_spec *spec, int64_t reflections);
diffeo_status diffeo_spec_add_actnorm(diffeo_spec *spec);
diffeo_status diffeo_spec_add_elementwise_affine(diffeo_spec *spec, int32_t shift);
diffeo_status diffeo_spec_add_batch_norm(diffeo_spec *spec, double epsilon, double momentum);
diffeo_status diffeo_spec_add_planar(diffeo_spec *spec, const diffeo_network_options *network);
diffeo_status diffeo_spec_add_radial(diffeo_spec *spec, const diffeo_network_options *network);
diffeo_status diffeo_spec_add_elementwise(diffeo_spec *spec, const diffeo_elementwise_options *options);
diffeo_status diffeo_spec_add_squeeze(diffeo_spec *spec, int32_t order);
diffeo_status diffeo_spec_add_unsqueeze(diffeo_spec *spec, int32_t order);
diffeo_status diffeo_spec_add_image_coupling(diffeo_spec *spec, const diffeo_image_coupling_options *options);
diffeo_status diffeo_spec_add_split(diffeo_spec *spec, const diffeo_split_options *options);
diffeo_status diffeo_spec_map(const diffeo_spec *spec, int64_t *map);
enum {
  DIFFEO_STANDARDIZE_DEVIATION = 1,
  DIFFEO_STANDARDIZE_ROBUST = 2,
};
diffeo_status diffeo_spec_set_standardization(diffeo_spec *spec, int32_t standardization);
diffeo_status diffeo_spec_add_standardize(diffeo_spec *spec, const double *mean, const double *std);
diffeo_status diffeo_spec_standardize_context(diffeo_spec *spec, const double *mean, const double *std);
diffeo_status diffeo_spec_set_embedding(diffeo_spec *spec, int64_t features, const diffeo_network_options *network);
enum {
  DIFFEO_DOMAIN_LOGIT = 1,
  DIFFEO_DOMAIN_LOG = 2,
  DIFFEO_DOMAIN_SOFTPLUS = 3,
  DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL = 4,
  DIFFEO_DOMAIN_LEAKY_TANH = 5,
  DIFFEO_DOMAIN_LEAKY_RELU = 6,
  DIFFEO_DOMAIN_LOG_TANH = 7,
  DIFFEO_DOMAIN_PROBIT = 8
};
diffeo_status diffeo_spec_add_domain(diffeo_spec *spec, int32_t domain, const int64_t *columns, int64_t count,
    const double *low, const double *high);
diffeo_status diffeo_spec_add_wrap(diffeo_spec *spec, double low, double high, int32_t random_shift, uint64_t seed);
diffeo_status diffeo_spec_add_wrap_columns(diffeo_spec *spec, const int64_t *columns, int64_t count,
    const double *low, const double *high, int32_t random_shift, uint64_t seed);
diffeo_status diffeo_spec_add_dequantize(diffeo_spec *spec, int64_t levels);
diffeo_status diffeo_spec_add_dequantize_columns(diffeo_spec *spec, const int64_t *columns, int64_t count,
    const int64_t *levels);
diffeo_status diffeo_spec_set_base(diffeo_spec *spec, const diffeo_base_options *options);
diffeo_status diffeo_spec_set_base_made(diffeo_spec *spec, const diffeo_made_options *options);
diffeo_status diffeo_flow_create(const diffeo_spec *spec, uint64_t seed, diffeo_flow **flow);
void diffeo_flow_destroy(diffeo_flow *flow);
diffeo_status diffeo_flow_compose(const diffeo_flow *first, const diffeo_flow *then, diffeo_flow **flow);
diffeo_status diffeo_flow_load(const char *path, diffeo_flow **flow);
diffeo_status diffeo_flow_save(const diffeo_flow *flow, const char *path);
diffeo_status diffeo_flow_load_memory(const void *bytes, size_t size, diffeo_flow **flow);
diffeo_status diffeo_flow_save_memory(const diffeo_flow *flow, void *bytes, size_t capacity, size_t *size);
int64_t diffeo_flow_dim(const diffeo_flow *flow);
int64_t diffeo_flow_context_dim(const diffeo_flow *flow);
int64_t diffeo_flow_shape(const diffeo_flow *flow, int64_t *shape, int64_t capacity);
int32_t diffeo_flow_dtype(const diffeo_flow *flow);
int64_t diffeo_flow_layer_count(const diffeo_flow *flow);
diffeo_status diffeo_flow_levels(const diffeo_flow *flow, int64_t *levels);
int64_t diffeo_flow_parameter_count(const diffeo_flow *flow);
diffeo_status diffeo_flow_describe(const diffeo_flow *flow, char *text, size_t capacity, size_t *length);
diffeo_status diffeo_flow_set_metadata(diffeo_flow *flow, const char *key, const char *value);
diffeo_status diffeo_flow_metadata(const diffeo_flow *flow, const char *key, char *text, size_t capacity, size_t *length);
int64_t diffeo_flow_metadata_count(const diffeo_flow *flow);
diffeo_status diffeo_flow_metadata_key(const diffeo_flow *flow, int64_t index, char *text, size_t capacity, size_t *length);
diffeo_status diffeo_flow_parameters_f32(const diffeo_flow *flow, float *parameters);
diffeo_status diffeo_flow_parameters_f64(const diffeo_flow *flow, double *parameters);
diffeo_status diffeo_flow_with_parameters_f32(const diffeo_flow *flow, const float *parameters, diffeo_flow **changed);
diffeo_status diffeo_flow_with_parameters_f64(const diffeo_flow *flow, const double *parameters, diffeo_flow **changed);
diffeo_status diffeo_flow_trained_parameters(const diffeo_flow *flow, uint8_t *trained);
diffeo_status diffeo_flow_log_prob_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *log_prob);
diffeo_status diffeo_flow_log_prob_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *log_prob);
diffeo_status diffeo_flow_log_prob_gradient_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace,
    float *log_prob, float *grad_x, float *grad_context);
diffeo_status diffeo_flow_log_prob_gradient_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace,
    double *log_prob, double *grad_x, double *grad_context);
diffeo_status diffeo_flow_to_noise_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *z, float *log_det);
diffeo_status diffeo_flow_to_noise_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *z, double *log_det);
diffeo_status diffeo_flow_from_noise_f32(const diffeo_flow *flow, const float *z, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *x, float *log_det);
diffeo_status diffeo_flow_from_noise_f64(const diffeo_flow *flow, const double *z, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *x, double *log_det);
diffeo_status diffeo_flow_sample_f32(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const float *context, int64_t n_context, diffeo_workspace *workspace, float *x, float *log_prob);
diffeo_status diffeo_flow_sample_f64(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const double *context, int64_t n_context, diffeo_workspace *workspace, double *x, double *log_prob);
diffeo_status diffeo_flow_sample_tempered_f32(const diffeo_flow *flow, double temperature, uint64_t seed,
    uint64_t first_row, int64_t n, const float *context, int64_t n_context, diffeo_workspace *workspace, float *x,
    float *log_prob);
diffeo_status diffeo_flow_sample_tempered_f64(const diffeo_flow *flow, double temperature, uint64_t seed,
    uint64_t first_row, int64_t n, const double *context, int64_t n_context, diffeo_workspace *workspace, double *x,
    double *log_prob);
diffeo_status diffeo_flow_bits_per_dim_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, uint64_t seed, int64_t draws, diffeo_workspace *workspace, float *bits);
diffeo_status diffeo_flow_bits_per_dim_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, uint64_t seed, int64_t draws, diffeo_workspace *workspace, double *bits);
diffeo_status diffeo_flow_log_prob_vjp_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, const float *g_log_prob, diffeo_workspace *workspace,
    float *log_prob, float *grad_x, float *grad_context, float *grad_parameters);
diffeo_status diffeo_flow_log_prob_vjp_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, const double *g_log_prob, diffeo_workspace *workspace,
    double *log_prob, double *grad_x, double *grad_context, double *grad_parameters);
diffeo_status diffeo_flow_to_noise_vjp_f32(const diffeo_flow *flow, const float *x, int64_t n,
    const float *context, int64_t n_context, const float *g_z, const float *g_log_det, diffeo_workspace *workspace,
    float *z, float *log_det, float *grad_x, float *grad_context, float *grad_parameters);
diffeo_status diffeo_flow_to_noise_vjp_f64(const diffeo_flow *flow, const double *x, int64_t n,
    const double *context, int64_t n_context, const double *g_z, const double *g_log_det, diffeo_workspace *workspace,
    double *z, double *log_det, double *grad_x, double *grad_context, double *grad_parameters);
diffeo_status diffeo_flow_from_noise_vjp_f32(const diffeo_flow *flow, const float *z, int64_t n,
    const float *context, int64_t n_context, const float *g_x, const float *g_log_det, diffeo_workspace *workspace,
    float *x, float *log_det, float *grad_z, float *grad_context, float *grad_parameters);
diffeo_status diffeo_flow_from_noise_vjp_f64(const diffeo_flow *flow, const double *z, int64_t n,
    const double *context, int64_t n_context, const double *g_x, const double *g_log_det, diffeo_workspace *workspace,
    double *x, double *log_det, double *grad_z, double *grad_context, double *grad_parameters);
diffeo_status diffeo_flow_sample_vjp_f32(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const float *context, int64_t n_context, const float *g_x, const float *g_log_prob, diffeo_workspace *workspace,
    float *x, float *log_prob, float *grad_context, float *grad_parameters);
diffeo_status diffeo_flow_sample_vjp_f64(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const double *context, int64_t n_context, const double *g_x, const double *g_log_prob, diffeo_workspace *workspace,
    double *x, double *log_prob, double *grad_context, double *grad_parameters);
typedef struct diffeo_rows diffeo_rows;
typedef int (*diffeo_read_rows_f32)(void *user, int64_t first, int64_t count, float *x, float *context, float *weights);
typedef int (*diffeo_read_rows_f64)(void *user, int64_t first, int64_t count, double *x, double *context, double *weights);
diffeo_status diffeo_rows_create_f32(int64_t n, int64_t dim, int64_t context_dim, int32_t weighted,
    diffeo_read_rows_f32 read, void *user, diffeo_rows **rows);
diffeo_status diffeo_rows_create_f64(int64_t n, int64_t dim, int64_t context_dim, int32_t weighted,
    diffeo_read_rows_f64 read, void *user, diffeo_rows **rows);
diffeo_status diffeo_rows_open(const char *path, const char *x, const char *context, const char *weights,
    diffeo_rows **rows);
void diffeo_rows_destroy(diffeo_rows *rows);
int64_t diffeo_rows_count(const diffeo_rows *rows);
int64_t diffeo_rows_dim(const diffeo_rows *rows);
int64_t diffeo_rows_context_dim(const diffeo_rows *rows);
diffeo_status diffeo_flow_log_prob_file(const diffeo_flow *flow, const diffeo_rows *rows,
    diffeo_workspace *workspace, const char *path);
diffeo_status diffeo_flow_sample_file(const diffeo_flow *flow, uint64_t seed, uint64_t first_row, int64_t n,
    const diffeo_rows *context, diffeo_workspace *workspace, const char *path);
enum {
  DIFFEO_OPTIMIZER_ADAM = 1,
  DIFFEO_OPTIMIZER_SGD = 2
};
enum {
  DIFFEO_SCHEDULE_CONSTANT = 1,
  DIFFEO_SCHEDULE_COSINE = 2,
  DIFFEO_SCHEDULE_EXPONENTIAL = 3,
  DIFFEO_SCHEDULE_PLATEAU = 4
};
enum {
  DIFFEO_JUDGE_MEAN = 1,
  DIFFEO_JUDGE_ROBUST = 2
};
typedef struct diffeo_train_options {
  size_t struct_size;
  int64_t batch_size;
  int64_t max_epochs;
  int64_t patience;
  double validation_fraction;
  uint64_t seed;
  int32_t threads;
  int32_t judge;
  int32_t optimizer;
  int32_t schedule;
  double learning_rate;
  int64_t warmup_steps;
  double rate_decay;
  int64_t plateau_patience;
  double beta1, beta2;
  double epsilon;
  double momentum;
  double weight_decay;
  double l2;
  double clip_norm;
  double clip_quantile;
  double ema_decay;
  double x_noise;
  int32_t negative_weights;
  int32_t reserved;
  int64_t rows_memory;
  int64_t image_shift;
  int32_t image_flip;
  int32_t reserved2;
} diffeo_train_options;
enum {
  DIFFEO_TRAIN_RUNNING = 0,
  DIFFEO_TRAIN_EPOCH_END = 1,
  DIFFEO_TRAIN_MAX_EPOCHS = 2,
  DIFFEO_TRAIN_PATIENCE = 3,
  DIFFEO_TRAIN_CANCELLED = 4
};
typedef struct diffeo_train_report {
  size_t struct_size;
  int64_t epoch;
  int64_t batch;
  int64_t batches_per_epoch;
  int64_t train_rows, validation_rows;
  double effective_rows;
  double train_log_prob;
  double train_robust_log_prob;
  double validation_log_prob;
  double validation_robust_log_prob;
  double worst_log_prob;
  int64_t worst_row;
  double best_log_prob;
  int64_t best_epoch;
  double gradient_norm;
  double learning_rate;
  double base_learning_rate;
  double rows_per_second;
  double seconds;
  double seconds_left;
  int64_t steps;
  int64_t skipped_steps;
  int64_t cut_steps;
  int32_t averaged;
  int32_t state;
} diffeo_train_report;
diffeo_status diffeo_train_options_init(diffeo_train_options *options, size_t struct_size);
typedef struct diffeo_trainer diffeo_trainer;
diffeo_status diffeo_trainer_create_f32(const diffeo_flow *flow, const diffeo_train_options *options,
    const float *x, int64_t n, const float *context, int64_t n_context, const float *weights, diffeo_trainer **trainer);
diffeo_status diffeo_trainer_create_f64(const diffeo_flow *flow, const diffeo_train_options *options,
    const double *x, int64_t n, const double *context, int64_t n_context, const double *weights, diffeo_trainer **trainer);
void diffeo_trainer_destroy(diffeo_trainer *trainer);
diffeo_status diffeo_trainer_set_validation_f32(diffeo_trainer *trainer, const float *x, int64_t n,
    const float *context, int64_t n_context, const float *weights);
diffeo_status diffeo_trainer_set_validation_f64(diffeo_trainer *trainer, const double *x, int64_t n,
    const double *context, int64_t n_context, const double *weights);
diffeo_status diffeo_trainer_create_rows(const diffeo_flow *flow, const diffeo_train_options *options,
    const diffeo_rows *rows, diffeo_trainer **trainer);
diffeo_status diffeo_trainer_set_validation_rows(diffeo_trainer *trainer, const diffeo_rows *rows);
diffeo_status diffeo_trainer_step(diffeo_trainer *trainer, int64_t batches, diffeo_train_report *report);
diffeo_status diffeo_trainer_report(const diffeo_trainer *trainer, diffeo_train_report *report);
diffeo_status diffeo_trainer_set_learning_rate(diffeo_trainer *trainer, double rate);
diffeo_status diffeo_trainer_set_workspace(diffeo_trainer *trainer, diffeo_workspace *workspace);
int32_t diffeo_trainer_finished(const diffeo_trainer *trainer);
diffeo_status diffeo_trainer_best(const diffeo_trainer *trainer, diffeo_flow **flow);
diffeo_status diffeo_trainer_current(const diffeo_trainer *trainer, diffeo_flow **flow);
diffeo_status diffeo_trainer_save(const diffeo_trainer *trainer, const char *path);
diffeo_status diffeo_trainer_load(diffeo_trainer *trainer, const char *path);
void diffeo_trainer_cancel(diffeo_trainer *trainer);
typedef int (*diffeo_progress)(const diffeo_train_report *report, void *user);
diffeo_status diffeo_fit_f32(const diffeo_flow *flow, const diffeo_train_options *options,
    const float *x, int64_t n, const float *context, int64_t n_context, const float *weights,
    diffeo_progress on_progress, void *user, diffeo_flow **trained, diffeo_train_report *report);
diffeo_status diffeo_fit_f64(const diffeo_flow *flow, const diffeo_train_options *options,
    const double *x, int64_t n, const double *context, int64_t n_context, const double *weights,
    diffeo_progress on_progress, void *user, diffeo_flow **trained, diffeo_train_report *report);
typedef int (*diffeo_target_f32)(void *user, int64_t n, const float *x, const float *context, float *log_density,
    float *gradient);
typedef int (*diffeo_target_f64)(void *user, int64_t n, const double *x, const double *context, double *log_density,
    double *gradient);
enum {
  DIFFEO_ESTIMATOR_REVERSE_KL = 1,
  DIFFEO_ESTIMATOR_PATH = 2,
  DIFFEO_ESTIMATOR_IMPORTANCE = 3,
  DIFFEO_ESTIMATOR_MASS_COVERING = 4
};
typedef struct diffeo_vi_options {
  size_t struct_size;
  int64_t steps;
  int64_t batch_size;
  int64_t window;
  int64_t patience;
  int32_t estimator;
  int32_t draws;
  double tempering;
  int64_t tempering_steps;
  const diffeo_train_options *train;
} diffeo_vi_options;
typedef struct diffeo_variational_report {
  size_t struct_size;
  int64_t steps, total_steps;
  int64_t windows;
  double elbo, elbo_error;
  double bound;
  double best_bound;
  int64_t best_window;
  double log_evidence;
  double effective_samples;
  double pareto_k;
  double inverse_temperature;
  double gradient_norm;
  double learning_rate;
  double base_learning_rate;
  double samples_per_second;
  double seconds;
  double seconds_left;
  int64_t skipped_steps;
  int64_t cut_steps;
  int32_t averaged;
  int32_t state;
} diffeo_variational_report;
diffeo_status diffeo_vi_options_init(diffeo_vi_options *options, size_t struct_size);
typedef struct diffeo_vi diffeo_vi;
diffeo_status diffeo_vi_create_f32(const diffeo_flow *flow, const diffeo_vi_options *options,
    diffeo_target_f32 target, void *user, const float *context, int64_t n_context, diffeo_vi **vi);
diffeo_status diffeo_vi_create_f64(const diffeo_flow *flow, const diffeo_vi_options *options,
    diffeo_target_f64 target, void *user, const double *context, int64_t n_context, diffeo_vi **vi);
void diffeo_vi_destroy(diffeo_vi *vi);
diffeo_status diffeo_vi_step(diffeo_vi *vi, int64_t steps, diffeo_variational_report *report);
diffeo_status diffeo_vi_step_given_f32(diffeo_vi *vi, const float *context, float *grad_context,
    diffeo_variational_report *report);
diffeo_status diffeo_vi_step_given_f64(diffeo_vi *vi, const double *context, double *grad_context,
    diffeo_variational_report *report);
diffeo_status diffeo_vi_report(const diffeo_vi *vi, diffeo_variational_report *report);
diffeo_status diffeo_vi_set_learning_rate(diffeo_vi *vi, double rate);
diffeo_status diffeo_vi_set_workspace(diffeo_vi *vi, diffeo_workspace *workspace);
int32_t diffeo_vi_finished(const diffeo_vi *vi);
diffeo_status diffeo_vi_best(const diffeo_vi *vi, diffeo_flow **flow);
diffeo_status diffeo_vi_current(const diffeo_vi *vi, diffeo_flow **flow);
diffeo_status diffeo_vi_save(const diffeo_vi *vi, const char *path);
diffeo_status diffeo_vi_load(diffeo_vi *vi, const char *path);
void diffeo_vi_cancel(diffeo_vi *vi);
typedef struct diffeo_optimizer diffeo_optimizer;
diffeo_status diffeo_optimizer_create(const diffeo_flow *flow, const diffeo_train_options *options,
    int64_t total_steps, diffeo_optimizer **optimizer);
void diffeo_optimizer_destroy(diffeo_optimizer *optimizer);
diffeo_status diffeo_optimizer_step_f32(diffeo_optimizer *optimizer, const float *gradient,
    diffeo_train_report *report);
diffeo_status diffeo_optimizer_step_f64(diffeo_optimizer *optimizer, const double *gradient,
    diffeo_train_report *report);
diffeo_status diffeo_optimizer_report(const diffeo_optimizer *optimizer, diffeo_train_report *report);
diffeo_status diffeo_optimizer_set_learning_rate(diffeo_optimizer *optimizer, double rate);
diffeo_status diffeo_optimizer_set_workspace(diffeo_optimizer *optimizer, diffeo_workspace *workspace);
diffeo_status diffeo_optimizer_current(const diffeo_optimizer *optimizer, diffeo_flow **flow);
diffeo_status diffeo_optimizer_average(const diffeo_optimizer *optimizer, diffeo_flow **flow);
diffeo_status diffeo_optimizer_save(const diffeo_optimizer *optimizer, const char *path);
diffeo_status diffeo_optimizer_load(diffeo_optimizer *optimizer, const char *path);
]]

return ffi.load(os.getenv "DIFFEO_LIBRARY" or "libdiffeo.so.0.2")
