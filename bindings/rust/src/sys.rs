//! What diffeo.h declares, which says what it means: written by scripts/generate-interface.

#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_int, c_void};

pub const DIFFEO_VERSION_MAJOR: i32 = 0;
pub const DIFFEO_VERSION_MINOR: i32 = 2;
pub const DIFFEO_VERSION_PATCH: i32 = 0;
pub const DIFFEO_VERSION_NUMBER: i32 = 200;
pub const DIFFEO_VERSION_STRING: &str = "0.2.0";
pub const DIFFEO_BATCH_NORM_ROWS: i32 = 512;

pub const DIFFEO_OK: i32 = 0;
pub const DIFFEO_EINVAL: i32 = -1;
pub const DIFFEO_ENOMEM: i32 = -2;
pub const DIFFEO_ESHAPE: i32 = -3;
pub const DIFFEO_EDTYPE: i32 = -4;
pub const DIFFEO_EIO: i32 = -5;
pub const DIFFEO_EFORMAT: i32 = -6;
pub const DIFFEO_EVERSION: i32 = -7;
pub const DIFFEO_ENUMERIC: i32 = -8;
pub const DIFFEO_ECANCELLED: i32 = -9;
pub const DIFFEO_ESTATE: i32 = -10;
pub const DIFFEO_EUNSUPPORTED: i32 = -11;
pub const DIFFEO_EINTERNAL: i32 = -127;

pub const DIFFEO_F32: i32 = 1;
pub const DIFFEO_F64: i32 = 2;

pub const DIFFEO_RELU: i32 = 1;
pub const DIFFEO_TANH: i32 = 2;
pub const DIFFEO_ELU: i32 = 3;
pub const DIFFEO_SILU: i32 = 4;
pub const DIFFEO_LEAKY_RELU: i32 = 5;
pub const DIFFEO_SOFTPLUS: i32 = 6;
pub const DIFFEO_SIGMOID: i32 = 7;
pub const DIFFEO_GELU: i32 = 8;
pub const DIFFEO_GELU_ERF: i32 = 9;
pub const DIFFEO_MISH: i32 = 10;
pub const DIFFEO_HARD_SILU: i32 = 11;

pub const DIFFEO_SCALE_SOFT_CLIP: i32 = 1;
pub const DIFFEO_SCALE_EXP: i32 = 2;
pub const DIFFEO_SCALE_TANH: i32 = 3;
pub const DIFFEO_SCALE_SOFTPLUS: i32 = 4;
pub const DIFFEO_SCALE_SIGMOID: i32 = 5;
pub const DIFFEO_SCALE_ADDITIVE: i32 = 6;
pub const DIFFEO_SCALE_GATED: i32 = 7;
pub const DIFFEO_SCALE_CLAMPED_SOFTPLUS: i32 = 8;
pub const DIFFEO_SCALE_CLAMPED_EXP: i32 = 9;
pub const DIFFEO_SCALE_RECIPROCAL_SIGMOID: i32 = 10;
pub const DIFFEO_SCALE_ATAN: i32 = 11;
pub const DIFFEO_SCALE_SKEWED_CLIP: i32 = 12;
pub const DIFFEO_SCALE_CLIPPED_SOFTPLUS: i32 = 13;
pub const DIFFEO_SCALE_SOFTPLUS_ARSINH: i32 = 14;

pub const DIFFEO_ORDER_NATURAL: i32 = 1;
pub const DIFFEO_ORDER_REVERSED: i32 = 2;
pub const DIFFEO_ORDER_RANDOM: i32 = 3;
pub const DIFFEO_ORDER_GIVEN: i32 = 4;

pub const DIFFEO_DEGREES_SEQUENTIAL: i32 = 1;
pub const DIFFEO_DEGREES_RANDOM: i32 = 2;

pub const DIFFEO_MASK_EVEN: i32 = 1;
pub const DIFFEO_MASK_ODD: i32 = 2;
pub const DIFFEO_MASK_FIRST: i32 = 3;
pub const DIFFEO_MASK_LAST: i32 = 4;
pub const DIFFEO_MASK_RANDOM: i32 = 5;
pub const DIFFEO_MASK_GIVEN: i32 = 6;

pub const DIFFEO_BLOCKS_PLAIN: i32 = 1;
pub const DIFFEO_BLOCKS_RESIDUAL: i32 = 2;
pub const DIFFEO_BLOCKS_PREACTIVATION: i32 = 3;

pub const DIFFEO_CONTEXT_INPUT: i32 = 1;
pub const DIFFEO_CONTEXT_GATE: i32 = 2;
pub const DIFFEO_CONTEXT_SHIFT: i32 = 3;
pub const DIFFEO_CONTEXT_ADD: i32 = 4;

pub const DIFFEO_BOUNDARY_LINEAR: i32 = 1;
pub const DIFFEO_BOUNDARY_PERIODIC: i32 = 2;
pub const DIFFEO_BOUNDARY_INTERVAL: i32 = 3;
pub const DIFFEO_BOUNDARY_FREE: i32 = 4;
pub const DIFFEO_BOUNDARY_EXTENDED: i32 = 5;
pub const DIFFEO_BOUNDARY_HALF_TURN: i32 = 6;

pub const DIFFEO_DERIVATIVE_SOFTPLUS: i32 = 1;
pub const DIFFEO_DERIVATIVE_EXP: i32 = 2;

pub const DIFFEO_ENCODING_CIRCLE: i32 = 1;
pub const DIFFEO_ENCODING_NUMBERS: i32 = 2;

pub const DIFFEO_FAMILY_NORMAL: i32 = 1;
pub const DIFFEO_FAMILY_LOGISTIC: i32 = 2;

pub const DIFFEO_TARGET_UNIFORM: i32 = 1;
pub const DIFFEO_TARGET_LOGISTIC: i32 = 2;

pub const DIFFEO_MAP_AFFINE: i32 = 1;
pub const DIFFEO_MAP_SPLINE: i32 = 2;
pub const DIFFEO_MAP_MIXTURE: i32 = 3;
pub const DIFFEO_MAP_SINH_ARCSINH: i32 = 4;
pub const DIFFEO_MAP_LINEAR_SPLINE: i32 = 5;

pub const DIFFEO_BASE_STANDARD_NORMAL: i32 = 1;
pub const DIFFEO_BASE_NORMAL: i32 = 2;
pub const DIFFEO_BASE_LOGISTIC: i32 = 3;
pub const DIFFEO_BASE_UNIFORM: i32 = 4;
pub const DIFFEO_BASE_STUDENT_T: i32 = 5;
pub const DIFFEO_BASE_MIXTURE: i32 = 6;
pub const DIFFEO_BASE_BETA: i32 = 7;

pub const DIFFEO_COVARIANCE_DIAGONAL: i32 = 1;
pub const DIFFEO_COVARIANCE_FULL: i32 = 2;
pub const DIFFEO_COVARIANCE_PRECISION: i32 = 3;

pub const DIFFEO_DIAGONAL_EXP: i32 = 1;
pub const DIFFEO_DIAGONAL_SOFTPLUS: i32 = 2;

pub const DIFFEO_MADE_GAUSSIAN: i32 = 1;
pub const DIFFEO_MADE_MIXTURE: i32 = 2;
pub const DIFFEO_MADE_BERNOULLI: i32 = 3;

pub const DIFFEO_SQUEEZE_CHANNELS: i32 = 1;
pub const DIFFEO_SQUEEZE_PLACES: i32 = 2;
pub const DIFFEO_SQUEEZE_DIAGONALS: i32 = 3;

pub const DIFFEO_IMAGE_MASK_FIRST: i32 = 1;
pub const DIFFEO_IMAGE_MASK_LAST: i32 = 2;
pub const DIFFEO_IMAGE_MASK_EVEN: i32 = 3;
pub const DIFFEO_IMAGE_MASK_ODD: i32 = 4;
pub const DIFFEO_IMAGE_MASK_NONE: i32 = 5;
pub const DIFFEO_IMAGE_MASK_GIVEN: i32 = 6;

pub const DIFFEO_STANDARDIZE_DEVIATION: i32 = 1;
pub const DIFFEO_STANDARDIZE_ROBUST: i32 = 2;

pub const DIFFEO_DOMAIN_LOGIT: i32 = 1;
pub const DIFFEO_DOMAIN_LOG: i32 = 2;
pub const DIFFEO_DOMAIN_SOFTPLUS: i32 = 3;
pub const DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL: i32 = 4;
pub const DIFFEO_DOMAIN_LEAKY_TANH: i32 = 5;
pub const DIFFEO_DOMAIN_LEAKY_RELU: i32 = 6;
pub const DIFFEO_DOMAIN_LOG_TANH: i32 = 7;
pub const DIFFEO_DOMAIN_PROBIT: i32 = 8;

pub const DIFFEO_OPTIMIZER_ADAM: i32 = 1;
pub const DIFFEO_OPTIMIZER_SGD: i32 = 2;

pub const DIFFEO_SCHEDULE_CONSTANT: i32 = 1;
pub const DIFFEO_SCHEDULE_COSINE: i32 = 2;
pub const DIFFEO_SCHEDULE_EXPONENTIAL: i32 = 3;
pub const DIFFEO_SCHEDULE_PLATEAU: i32 = 4;

pub const DIFFEO_JUDGE_MEAN: i32 = 1;
pub const DIFFEO_JUDGE_ROBUST: i32 = 2;

pub const DIFFEO_TRAIN_RUNNING: i32 = 0;
pub const DIFFEO_TRAIN_EPOCH_END: i32 = 1;
pub const DIFFEO_TRAIN_MAX_EPOCHS: i32 = 2;
pub const DIFFEO_TRAIN_PATIENCE: i32 = 3;
pub const DIFFEO_TRAIN_CANCELLED: i32 = 4;

pub const DIFFEO_ESTIMATOR_REVERSE_KL: i32 = 1;
pub const DIFFEO_ESTIMATOR_PATH: i32 = 2;
pub const DIFFEO_ESTIMATOR_IMPORTANCE: i32 = 3;
pub const DIFFEO_ESTIMATOR_MASS_COVERING: i32 = 4;

pub type diffeo_status = i32;
pub type diffeo_job = Option<unsafe extern "C" fn(jobs: *mut c_void, index: i32)>;
pub type diffeo_parallel = Option<unsafe extern "C" fn(user: *mut c_void, job: diffeo_job, jobs: *mut c_void, count: i32)>;
pub type diffeo_read_rows_f32 = Option<unsafe extern "C" fn(user: *mut c_void, first: i64, count: i64, x: *mut f32, context: *mut f32, weights: *mut f32) -> c_int>;
pub type diffeo_read_rows_f64 = Option<unsafe extern "C" fn(user: *mut c_void, first: i64, count: i64, x: *mut f64, context: *mut f64, weights: *mut f64) -> c_int>;
pub type diffeo_progress = Option<unsafe extern "C" fn(report: *const diffeo_train_report, user: *mut c_void) -> c_int>;
pub type diffeo_target_f32 = Option<unsafe extern "C" fn(user: *mut c_void, n: i64, x: *const f32, context: *const f32, log_density: *mut f32, gradient: *mut f32) -> c_int>;
pub type diffeo_target_f64 = Option<unsafe extern "C" fn(user: *mut c_void, n: i64, x: *const f64, context: *const f64, log_density: *mut f64, gradient: *mut f64) -> c_int>;

#[repr(C)]
pub struct diffeo_workspace {
    _private: [u8; 0],
}

#[repr(C)]
pub struct diffeo_spec {
    _private: [u8; 0],
}

#[repr(C)]
pub struct diffeo_flow {
    _private: [u8; 0],
}

#[repr(C)]
pub struct diffeo_rows {
    _private: [u8; 0],
}

#[repr(C)]
pub struct diffeo_trainer {
    _private: [u8; 0],
}

#[repr(C)]
pub struct diffeo_vi {
    _private: [u8; 0],
}

#[repr(C)]
pub struct diffeo_optimizer {
    _private: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_network_options {
    pub struct_size: usize,
    pub hidden: *const i64,
    pub hidden_count: i64,
    pub activation: i32,
    pub blocks: i32,
    pub context_mode: i32,
    pub normalized: i32,
    pub dropout: f64,
    pub layer_norm_epsilon: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_spline_options {
    pub struct_size: usize,
    pub bins: i64,
    pub low: f64,
    pub high: f64,
    pub min_width: f64,
    pub min_height: f64,
    pub min_derivative: f64,
    pub boundary: i32,
    pub derivative: i32,
    pub logit_bound: f64,
    pub derivative_bound: f64,
    pub boundary_derivative: f64,
    pub half_ends: i32,
    pub encoding: i32,
    pub min_lambda: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_mixture_options {
    pub struct_size: usize,
    pub components: i64,
    pub family: i32,
    pub target: i32,
    pub scale_bound: f64,
    pub scale: i32,
    pub reserved: i32,
    pub scale_epsilon: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_map_options {
    pub struct_size: usize,
    pub map: i32,
    pub scale: i32,
    pub scale_bound: f64,
    pub scale_epsilon: f64,
    pub log_scale_low: f64,
    pub log_scale_high: f64,
    pub spline: *const diffeo_spline_options,
    pub mixture: *const diffeo_mixture_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_autoregressive_options {
    pub struct_size: usize,
    pub order: i32,
    pub degrees: i32,
    pub order_given: *const i64,
    pub direct: i32,
    pub inverse_map: i32,
    pub seed: u64,
    pub network: *const diffeo_network_options,
    pub map: *const diffeo_map_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_coupling_options {
    pub struct_size: usize,
    pub mask: i32,
    pub scale_activation: i32,
    pub mask_given: *const u8,
    pub seed: u64,
    pub network: *const diffeo_network_options,
    pub map: *const diffeo_map_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_elementwise_options {
    pub struct_size: usize,
    pub columns: *const i64,
    pub column_count: i64,
    pub network: *const diffeo_network_options,
    pub map: *const diffeo_map_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_base_options {
    pub struct_size: usize,
    pub base: i32,
    pub reserved: i32,
    pub low: f64,
    pub high: f64,
    pub df: f64,
    pub components: i64,
    pub network: *const diffeo_network_options,
    pub alpha: f64,
    pub beta: f64,
    pub covariance: i32,
    pub diagonal: i32,
    pub epsilon: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_made_options {
    pub struct_size: usize,
    pub conditional: i32,
    pub order: i32,
    pub order_given: *const i64,
    pub degrees: i32,
    pub direct: i32,
    pub components: i64,
    pub masks: i64,
    pub seed: u64,
    pub network: *const diffeo_network_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_architecture_options {
    pub struct_size: usize,
    pub dim: i64,
    pub context_dim: i64,
    pub transforms: i64,
    pub seed: u64,
    pub dtype: i32,
    pub scale: i32,
    pub random_order: i32,
    pub standardize: i32,
    pub actnorm: i32,
    pub batch_norm: i32,
    pub periodic: i32,
    pub conditional: i32,
    pub components: i64,
    pub masks: i64,
    pub bins: i64,
    pub bound: f64,
    pub network: *const diffeo_network_options,
    pub base: *const diffeo_base_options,
    pub features: i64,
    pub embedding: *const diffeo_network_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_convolution_options {
    pub struct_size: usize,
    pub hidden: *const i64,
    pub hidden_count: i64,
    pub activation: i32,
    pub blocks: i32,
    pub kernel_first: i64,
    pub kernel_hidden: i64,
    pub kernel_last: i64,
    pub gain: i32,
    pub ones_outside: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_image_coupling_options {
    pub struct_size: usize,
    pub mask: i32,
    pub reserved: i32,
    pub mask_given: *const u8,
    pub network: *const diffeo_convolution_options,
    pub map: *const diffeo_map_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_split_options {
    pub struct_size: usize,
    pub keep: i32,
    pub prior: i32,
    pub network: *const diffeo_convolution_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_image_options {
    pub struct_size: usize,
    pub channels: i64,
    pub height: i64,
    pub width: i64,
    pub context_dim: i64,
    pub levels: i64,
    pub steps: i64,
    pub quantization: i64,
    pub alpha: f64,
    pub seed: u64,
    pub dtype: i32,
    pub scale: i32,
    pub split: i32,
    pub learned_prior: i32,
    pub learned_top: i32,
    pub lu: i32,
    pub network: *const diffeo_convolution_options,
    pub map: *const diffeo_map_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_train_options {
    pub struct_size: usize,
    pub batch_size: i64,
    pub max_epochs: i64,
    pub patience: i64,
    pub validation_fraction: f64,
    pub seed: u64,
    pub threads: i32,
    pub judge: i32,
    pub optimizer: i32,
    pub schedule: i32,
    pub learning_rate: f64,
    pub warmup_steps: i64,
    pub rate_decay: f64,
    pub plateau_patience: i64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub l2: f64,
    pub clip_norm: f64,
    pub clip_quantile: f64,
    pub ema_decay: f64,
    pub x_noise: f64,
    pub negative_weights: i32,
    pub reserved: i32,
    pub rows_memory: i64,
    pub image_shift: i64,
    pub image_flip: i32,
    pub reserved2: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_train_report {
    pub struct_size: usize,
    pub epoch: i64,
    pub batch: i64,
    pub batches_per_epoch: i64,
    pub train_rows: i64,
    pub validation_rows: i64,
    pub effective_rows: f64,
    pub train_log_prob: f64,
    pub train_robust_log_prob: f64,
    pub validation_log_prob: f64,
    pub validation_robust_log_prob: f64,
    pub worst_log_prob: f64,
    pub worst_row: i64,
    pub best_log_prob: f64,
    pub best_epoch: i64,
    pub gradient_norm: f64,
    pub learning_rate: f64,
    pub base_learning_rate: f64,
    pub rows_per_second: f64,
    pub seconds: f64,
    pub seconds_left: f64,
    pub steps: i64,
    pub skipped_steps: i64,
    pub cut_steps: i64,
    pub averaged: i32,
    pub state: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_vi_options {
    pub struct_size: usize,
    pub steps: i64,
    pub batch_size: i64,
    pub window: i64,
    pub patience: i64,
    pub estimator: i32,
    pub draws: i32,
    pub tempering: f64,
    pub tempering_steps: i64,
    pub train: *const diffeo_train_options,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct diffeo_variational_report {
    pub struct_size: usize,
    pub steps: i64,
    pub total_steps: i64,
    pub windows: i64,
    pub elbo: f64,
    pub elbo_error: f64,
    pub bound: f64,
    pub best_bound: f64,
    pub best_window: i64,
    pub log_evidence: f64,
    pub effective_samples: f64,
    pub pareto_k: f64,
    pub inverse_temperature: f64,
    pub gradient_norm: f64,
    pub learning_rate: f64,
    pub base_learning_rate: f64,
    pub samples_per_second: f64,
    pub seconds: f64,
    pub seconds_left: f64,
    pub skipped_steps: i64,
    pub cut_steps: i64,
    pub averaged: i32,
    pub state: i32,
}

#[link(name = "diffeo")]
extern "C" {
    pub fn diffeo_version_number() -> i32;
    pub fn diffeo_version_string() -> *const c_char;
    pub fn diffeo_status_name(status: diffeo_status) -> *const c_char;
    pub fn diffeo_last_error() -> *const c_char;
    pub fn diffeo_workspace_create(threads: i32, workspace: *mut *mut diffeo_workspace) -> diffeo_status;
    pub fn diffeo_workspace_create_hosted(threads: i32, parallel: diffeo_parallel, user: *mut c_void, workspace: *mut *mut diffeo_workspace) -> diffeo_status;
    pub fn diffeo_workspace_pin(workspace: *mut diffeo_workspace, processors: *const i64, count: i64) -> diffeo_status;
    pub fn diffeo_workspace_destroy(workspace: *mut diffeo_workspace);
    pub fn diffeo_workspace_threads(workspace: *const diffeo_workspace) -> i32;
    pub fn diffeo_convolution_options_init(options: *mut diffeo_convolution_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_image_coupling_options_init(options: *mut diffeo_image_coupling_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_split_options_init(options: *mut diffeo_split_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_image_options_init(options: *mut diffeo_image_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_network_options_init(options: *mut diffeo_network_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_spline_options_init(options: *mut diffeo_spline_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_mixture_options_init(options: *mut diffeo_mixture_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_map_options_init(options: *mut diffeo_map_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_autoregressive_options_init(options: *mut diffeo_autoregressive_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_coupling_options_init(options: *mut diffeo_coupling_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_elementwise_options_init(options: *mut diffeo_elementwise_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_base_options_init(options: *mut diffeo_base_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_made_options_init(options: *mut diffeo_made_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_architecture_options_init(options: *mut diffeo_architecture_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_option_bounds(option: *const c_char, low: *mut f64, high: *mut f64) -> diffeo_status;
    pub fn diffeo_nice_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_realnvp_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_glow_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_made_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_maf_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_iaf_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_planar_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_radial_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_cdf_flow_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_spline_coupling_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_spline_autoregressive_create(options: *const diffeo_architecture_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_glow_image_create(options: *const diffeo_image_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_realnvp_image_create(options: *const diffeo_image_options, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_spec_create(dim: i64, context_dim: i64, dtype: i32, spec: *mut *mut diffeo_spec) -> diffeo_status;
    pub fn diffeo_spec_create_image(channels: i64, height: i64, width: i64, context_dim: i64, dtype: i32, spec: *mut *mut diffeo_spec) -> diffeo_status;
    pub fn diffeo_spec_destroy(spec: *mut diffeo_spec);
    pub fn diffeo_spec_set_dtype(spec: *mut diffeo_spec, dtype: i32) -> diffeo_status;
    pub fn diffeo_spec_invert(spec: *mut diffeo_spec) -> diffeo_status;
    pub fn diffeo_spec_add_autoregressive(spec: *mut diffeo_spec, options: *const diffeo_autoregressive_options) -> diffeo_status;
    pub fn diffeo_spec_add_coupling(spec: *mut diffeo_spec, options: *const diffeo_coupling_options) -> diffeo_status;
    pub fn diffeo_spec_add_permutation(spec: *mut diffeo_spec, permutation: *const i64) -> diffeo_status;
    pub fn diffeo_spec_add_reverse(spec: *mut diffeo_spec) -> diffeo_status;
    pub fn diffeo_spec_add_random_permutation(spec: *mut diffeo_spec, seed: u64) -> diffeo_status;
    pub fn diffeo_spec_add_lu(spec: *mut diffeo_spec, permuted: i32, seed: u64) -> diffeo_status;
    pub fn diffeo_spec_add_linear(spec: *mut diffeo_spec) -> diffeo_status;
    pub fn diffeo_spec_add_householder(spec: *mut diffeo_spec, reflections: i64) -> diffeo_status;
    pub fn diffeo_spec_add_actnorm(spec: *mut diffeo_spec) -> diffeo_status;
    pub fn diffeo_spec_add_elementwise_affine(spec: *mut diffeo_spec, shift: i32) -> diffeo_status;
    pub fn diffeo_spec_add_batch_norm(spec: *mut diffeo_spec, epsilon: f64, momentum: f64) -> diffeo_status;
    pub fn diffeo_spec_add_planar(spec: *mut diffeo_spec, network: *const diffeo_network_options) -> diffeo_status;
    pub fn diffeo_spec_add_radial(spec: *mut diffeo_spec, network: *const diffeo_network_options) -> diffeo_status;
    pub fn diffeo_spec_add_elementwise(spec: *mut diffeo_spec, options: *const diffeo_elementwise_options) -> diffeo_status;
    pub fn diffeo_spec_add_squeeze(spec: *mut diffeo_spec, order: i32) -> diffeo_status;
    pub fn diffeo_spec_add_unsqueeze(spec: *mut diffeo_spec, order: i32) -> diffeo_status;
    pub fn diffeo_spec_add_image_coupling(spec: *mut diffeo_spec, options: *const diffeo_image_coupling_options) -> diffeo_status;
    pub fn diffeo_spec_add_split(spec: *mut diffeo_spec, options: *const diffeo_split_options) -> diffeo_status;
    pub fn diffeo_spec_map(spec: *const diffeo_spec, map: *mut i64) -> diffeo_status;
    pub fn diffeo_spec_set_standardization(spec: *mut diffeo_spec, standardization: i32) -> diffeo_status;
    pub fn diffeo_spec_add_standardize(spec: *mut diffeo_spec, mean: *const f64, std: *const f64) -> diffeo_status;
    pub fn diffeo_spec_standardize_context(spec: *mut diffeo_spec, mean: *const f64, std: *const f64) -> diffeo_status;
    pub fn diffeo_spec_set_embedding(spec: *mut diffeo_spec, features: i64, network: *const diffeo_network_options) -> diffeo_status;
    pub fn diffeo_spec_add_domain(spec: *mut diffeo_spec, domain: i32, columns: *const i64, count: i64, low: *const f64, high: *const f64) -> diffeo_status;
    pub fn diffeo_spec_add_wrap(spec: *mut diffeo_spec, low: f64, high: f64, random_shift: i32, seed: u64) -> diffeo_status;
    pub fn diffeo_spec_add_wrap_columns(spec: *mut diffeo_spec, columns: *const i64, count: i64, low: *const f64, high: *const f64, random_shift: i32, seed: u64) -> diffeo_status;
    pub fn diffeo_spec_add_dequantize(spec: *mut diffeo_spec, levels: i64) -> diffeo_status;
    pub fn diffeo_spec_add_dequantize_columns(spec: *mut diffeo_spec, columns: *const i64, count: i64, levels: *const i64) -> diffeo_status;
    pub fn diffeo_spec_set_base(spec: *mut diffeo_spec, options: *const diffeo_base_options) -> diffeo_status;
    pub fn diffeo_spec_set_base_made(spec: *mut diffeo_spec, options: *const diffeo_made_options) -> diffeo_status;
    pub fn diffeo_flow_create(spec: *const diffeo_spec, seed: u64, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_flow_destroy(flow: *mut diffeo_flow);
    pub fn diffeo_flow_compose(first: *const diffeo_flow, then: *const diffeo_flow, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_flow_load(path: *const c_char, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_flow_save(flow: *const diffeo_flow, path: *const c_char) -> diffeo_status;
    pub fn diffeo_flow_load_memory(bytes: *const c_void, size: usize, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_flow_save_memory(flow: *const diffeo_flow, bytes: *mut c_void, capacity: usize, size: *mut usize) -> diffeo_status;
    pub fn diffeo_flow_dim(flow: *const diffeo_flow) -> i64;
    pub fn diffeo_flow_context_dim(flow: *const diffeo_flow) -> i64;
    pub fn diffeo_flow_shape(flow: *const diffeo_flow, shape: *mut i64, capacity: i64) -> i64;
    pub fn diffeo_flow_dtype(flow: *const diffeo_flow) -> i32;
    pub fn diffeo_flow_layer_count(flow: *const diffeo_flow) -> i64;
    pub fn diffeo_flow_levels(flow: *const diffeo_flow, levels: *mut i64) -> diffeo_status;
    pub fn diffeo_flow_parameter_count(flow: *const diffeo_flow) -> i64;
    pub fn diffeo_flow_describe(flow: *const diffeo_flow, text: *mut c_char, capacity: usize, length: *mut usize) -> diffeo_status;
    pub fn diffeo_flow_set_metadata(flow: *mut diffeo_flow, key: *const c_char, value: *const c_char) -> diffeo_status;
    pub fn diffeo_flow_metadata(flow: *const diffeo_flow, key: *const c_char, text: *mut c_char, capacity: usize, length: *mut usize) -> diffeo_status;
    pub fn diffeo_flow_metadata_count(flow: *const diffeo_flow) -> i64;
    pub fn diffeo_flow_metadata_key(flow: *const diffeo_flow, index: i64, text: *mut c_char, capacity: usize, length: *mut usize) -> diffeo_status;
    pub fn diffeo_flow_parameters_f32(flow: *const diffeo_flow, parameters: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_parameters_f64(flow: *const diffeo_flow, parameters: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_with_parameters_f32(flow: *const diffeo_flow, parameters: *const f32, changed: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_flow_with_parameters_f64(flow: *const diffeo_flow, parameters: *const f64, changed: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_flow_trained_parameters(flow: *const diffeo_flow, trained: *mut u8) -> diffeo_status;
    pub fn diffeo_flow_log_prob_f32(flow: *const diffeo_flow, x: *const f32, n: i64, context: *const f32, n_context: i64, workspace: *mut diffeo_workspace, log_prob: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_log_prob_f64(flow: *const diffeo_flow, x: *const f64, n: i64, context: *const f64, n_context: i64, workspace: *mut diffeo_workspace, log_prob: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_log_prob_gradient_f32(flow: *const diffeo_flow, x: *const f32, n: i64, context: *const f32, n_context: i64, workspace: *mut diffeo_workspace, log_prob: *mut f32, grad_x: *mut f32, grad_context: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_log_prob_gradient_f64(flow: *const diffeo_flow, x: *const f64, n: i64, context: *const f64, n_context: i64, workspace: *mut diffeo_workspace, log_prob: *mut f64, grad_x: *mut f64, grad_context: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_to_noise_f32(flow: *const diffeo_flow, x: *const f32, n: i64, context: *const f32, n_context: i64, workspace: *mut diffeo_workspace, z: *mut f32, log_det: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_to_noise_f64(flow: *const diffeo_flow, x: *const f64, n: i64, context: *const f64, n_context: i64, workspace: *mut diffeo_workspace, z: *mut f64, log_det: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_from_noise_f32(flow: *const diffeo_flow, z: *const f32, n: i64, context: *const f32, n_context: i64, workspace: *mut diffeo_workspace, x: *mut f32, log_det: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_from_noise_f64(flow: *const diffeo_flow, z: *const f64, n: i64, context: *const f64, n_context: i64, workspace: *mut diffeo_workspace, x: *mut f64, log_det: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_sample_f32(flow: *const diffeo_flow, seed: u64, first_row: u64, n: i64, context: *const f32, n_context: i64, workspace: *mut diffeo_workspace, x: *mut f32, log_prob: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_sample_f64(flow: *const diffeo_flow, seed: u64, first_row: u64, n: i64, context: *const f64, n_context: i64, workspace: *mut diffeo_workspace, x: *mut f64, log_prob: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_sample_tempered_f32(flow: *const diffeo_flow, temperature: f64, seed: u64, first_row: u64, n: i64, context: *const f32, n_context: i64, workspace: *mut diffeo_workspace, x: *mut f32, log_prob: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_sample_tempered_f64(flow: *const diffeo_flow, temperature: f64, seed: u64, first_row: u64, n: i64, context: *const f64, n_context: i64, workspace: *mut diffeo_workspace, x: *mut f64, log_prob: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_bits_per_dim_f32(flow: *const diffeo_flow, x: *const f32, n: i64, context: *const f32, n_context: i64, seed: u64, draws: i64, workspace: *mut diffeo_workspace, bits: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_bits_per_dim_f64(flow: *const diffeo_flow, x: *const f64, n: i64, context: *const f64, n_context: i64, seed: u64, draws: i64, workspace: *mut diffeo_workspace, bits: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_log_prob_vjp_f32(flow: *const diffeo_flow, x: *const f32, n: i64, context: *const f32, n_context: i64, g_log_prob: *const f32, workspace: *mut diffeo_workspace, log_prob: *mut f32, grad_x: *mut f32, grad_context: *mut f32, grad_parameters: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_log_prob_vjp_f64(flow: *const diffeo_flow, x: *const f64, n: i64, context: *const f64, n_context: i64, g_log_prob: *const f64, workspace: *mut diffeo_workspace, log_prob: *mut f64, grad_x: *mut f64, grad_context: *mut f64, grad_parameters: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_to_noise_vjp_f32(flow: *const diffeo_flow, x: *const f32, n: i64, context: *const f32, n_context: i64, g_z: *const f32, g_log_det: *const f32, workspace: *mut diffeo_workspace, z: *mut f32, log_det: *mut f32, grad_x: *mut f32, grad_context: *mut f32, grad_parameters: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_to_noise_vjp_f64(flow: *const diffeo_flow, x: *const f64, n: i64, context: *const f64, n_context: i64, g_z: *const f64, g_log_det: *const f64, workspace: *mut diffeo_workspace, z: *mut f64, log_det: *mut f64, grad_x: *mut f64, grad_context: *mut f64, grad_parameters: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_from_noise_vjp_f32(flow: *const diffeo_flow, z: *const f32, n: i64, context: *const f32, n_context: i64, g_x: *const f32, g_log_det: *const f32, workspace: *mut diffeo_workspace, x: *mut f32, log_det: *mut f32, grad_z: *mut f32, grad_context: *mut f32, grad_parameters: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_from_noise_vjp_f64(flow: *const diffeo_flow, z: *const f64, n: i64, context: *const f64, n_context: i64, g_x: *const f64, g_log_det: *const f64, workspace: *mut diffeo_workspace, x: *mut f64, log_det: *mut f64, grad_z: *mut f64, grad_context: *mut f64, grad_parameters: *mut f64) -> diffeo_status;
    pub fn diffeo_flow_sample_vjp_f32(flow: *const diffeo_flow, seed: u64, first_row: u64, n: i64, context: *const f32, n_context: i64, g_x: *const f32, g_log_prob: *const f32, workspace: *mut diffeo_workspace, x: *mut f32, log_prob: *mut f32, grad_context: *mut f32, grad_parameters: *mut f32) -> diffeo_status;
    pub fn diffeo_flow_sample_vjp_f64(flow: *const diffeo_flow, seed: u64, first_row: u64, n: i64, context: *const f64, n_context: i64, g_x: *const f64, g_log_prob: *const f64, workspace: *mut diffeo_workspace, x: *mut f64, log_prob: *mut f64, grad_context: *mut f64, grad_parameters: *mut f64) -> diffeo_status;
    pub fn diffeo_rows_create_f32(n: i64, dim: i64, context_dim: i64, weighted: i32, read: diffeo_read_rows_f32, user: *mut c_void, rows: *mut *mut diffeo_rows) -> diffeo_status;
    pub fn diffeo_rows_create_f64(n: i64, dim: i64, context_dim: i64, weighted: i32, read: diffeo_read_rows_f64, user: *mut c_void, rows: *mut *mut diffeo_rows) -> diffeo_status;
    pub fn diffeo_rows_open(path: *const c_char, x: *const c_char, context: *const c_char, weights: *const c_char, rows: *mut *mut diffeo_rows) -> diffeo_status;
    pub fn diffeo_rows_destroy(rows: *mut diffeo_rows);
    pub fn diffeo_rows_count(rows: *const diffeo_rows) -> i64;
    pub fn diffeo_rows_dim(rows: *const diffeo_rows) -> i64;
    pub fn diffeo_rows_context_dim(rows: *const diffeo_rows) -> i64;
    pub fn diffeo_flow_log_prob_file(flow: *const diffeo_flow, rows: *const diffeo_rows, workspace: *mut diffeo_workspace, path: *const c_char) -> diffeo_status;
    pub fn diffeo_flow_sample_file(flow: *const diffeo_flow, seed: u64, first_row: u64, n: i64, context: *const diffeo_rows, workspace: *mut diffeo_workspace, path: *const c_char) -> diffeo_status;
    pub fn diffeo_train_options_init(options: *mut diffeo_train_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_trainer_create_f32(flow: *const diffeo_flow, options: *const diffeo_train_options, x: *const f32, n: i64, context: *const f32, n_context: i64, weights: *const f32, trainer: *mut *mut diffeo_trainer) -> diffeo_status;
    pub fn diffeo_trainer_create_f64(flow: *const diffeo_flow, options: *const diffeo_train_options, x: *const f64, n: i64, context: *const f64, n_context: i64, weights: *const f64, trainer: *mut *mut diffeo_trainer) -> diffeo_status;
    pub fn diffeo_trainer_destroy(trainer: *mut diffeo_trainer);
    pub fn diffeo_trainer_set_validation_f32(trainer: *mut diffeo_trainer, x: *const f32, n: i64, context: *const f32, n_context: i64, weights: *const f32) -> diffeo_status;
    pub fn diffeo_trainer_set_validation_f64(trainer: *mut diffeo_trainer, x: *const f64, n: i64, context: *const f64, n_context: i64, weights: *const f64) -> diffeo_status;
    pub fn diffeo_trainer_create_rows(flow: *const diffeo_flow, options: *const diffeo_train_options, rows: *const diffeo_rows, trainer: *mut *mut diffeo_trainer) -> diffeo_status;
    pub fn diffeo_trainer_set_validation_rows(trainer: *mut diffeo_trainer, rows: *const diffeo_rows) -> diffeo_status;
    pub fn diffeo_trainer_step(trainer: *mut diffeo_trainer, batches: i64, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_trainer_report(trainer: *const diffeo_trainer, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_trainer_set_learning_rate(trainer: *mut diffeo_trainer, rate: f64) -> diffeo_status;
    pub fn diffeo_trainer_set_workspace(trainer: *mut diffeo_trainer, workspace: *mut diffeo_workspace) -> diffeo_status;
    pub fn diffeo_trainer_finished(trainer: *const diffeo_trainer) -> i32;
    pub fn diffeo_trainer_best(trainer: *const diffeo_trainer, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_trainer_current(trainer: *const diffeo_trainer, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_trainer_save(trainer: *const diffeo_trainer, path: *const c_char) -> diffeo_status;
    pub fn diffeo_trainer_load(trainer: *mut diffeo_trainer, path: *const c_char) -> diffeo_status;
    pub fn diffeo_trainer_cancel(trainer: *mut diffeo_trainer);
    pub fn diffeo_fit_f32(flow: *const diffeo_flow, options: *const diffeo_train_options, x: *const f32, n: i64, context: *const f32, n_context: i64, weights: *const f32, on_progress: diffeo_progress, user: *mut c_void, trained: *mut *mut diffeo_flow, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_fit_f64(flow: *const diffeo_flow, options: *const diffeo_train_options, x: *const f64, n: i64, context: *const f64, n_context: i64, weights: *const f64, on_progress: diffeo_progress, user: *mut c_void, trained: *mut *mut diffeo_flow, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_vi_options_init(options: *mut diffeo_vi_options, struct_size: usize) -> diffeo_status;
    pub fn diffeo_vi_create_f32(flow: *const diffeo_flow, options: *const diffeo_vi_options, target: diffeo_target_f32, user: *mut c_void, context: *const f32, n_context: i64, vi: *mut *mut diffeo_vi) -> diffeo_status;
    pub fn diffeo_vi_create_f64(flow: *const diffeo_flow, options: *const diffeo_vi_options, target: diffeo_target_f64, user: *mut c_void, context: *const f64, n_context: i64, vi: *mut *mut diffeo_vi) -> diffeo_status;
    pub fn diffeo_vi_destroy(vi: *mut diffeo_vi);
    pub fn diffeo_vi_step(vi: *mut diffeo_vi, steps: i64, report: *mut diffeo_variational_report) -> diffeo_status;
    pub fn diffeo_vi_step_given_f32(vi: *mut diffeo_vi, context: *const f32, grad_context: *mut f32, report: *mut diffeo_variational_report) -> diffeo_status;
    pub fn diffeo_vi_step_given_f64(vi: *mut diffeo_vi, context: *const f64, grad_context: *mut f64, report: *mut diffeo_variational_report) -> diffeo_status;
    pub fn diffeo_vi_report(vi: *const diffeo_vi, report: *mut diffeo_variational_report) -> diffeo_status;
    pub fn diffeo_vi_set_learning_rate(vi: *mut diffeo_vi, rate: f64) -> diffeo_status;
    pub fn diffeo_vi_set_workspace(vi: *mut diffeo_vi, workspace: *mut diffeo_workspace) -> diffeo_status;
    pub fn diffeo_vi_finished(vi: *const diffeo_vi) -> i32;
    pub fn diffeo_vi_best(vi: *const diffeo_vi, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_vi_current(vi: *const diffeo_vi, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_vi_save(vi: *const diffeo_vi, path: *const c_char) -> diffeo_status;
    pub fn diffeo_vi_load(vi: *mut diffeo_vi, path: *const c_char) -> diffeo_status;
    pub fn diffeo_vi_cancel(vi: *mut diffeo_vi);
    pub fn diffeo_optimizer_create(flow: *const diffeo_flow, options: *const diffeo_train_options, total_steps: i64, optimizer: *mut *mut diffeo_optimizer) -> diffeo_status;
    pub fn diffeo_optimizer_destroy(optimizer: *mut diffeo_optimizer);
    pub fn diffeo_optimizer_step_f32(optimizer: *mut diffeo_optimizer, gradient: *const f32, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_optimizer_step_f64(optimizer: *mut diffeo_optimizer, gradient: *const f64, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_optimizer_report(optimizer: *const diffeo_optimizer, report: *mut diffeo_train_report) -> diffeo_status;
    pub fn diffeo_optimizer_set_learning_rate(optimizer: *mut diffeo_optimizer, rate: f64) -> diffeo_status;
    pub fn diffeo_optimizer_set_workspace(optimizer: *mut diffeo_optimizer, workspace: *mut diffeo_workspace) -> diffeo_status;
    pub fn diffeo_optimizer_current(optimizer: *const diffeo_optimizer, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_optimizer_average(optimizer: *const diffeo_optimizer, flow: *mut *mut diffeo_flow) -> diffeo_status;
    pub fn diffeo_optimizer_save(optimizer: *const diffeo_optimizer, path: *const c_char) -> diffeo_status;
    pub fn diffeo_optimizer_load(optimizer: *mut diffeo_optimizer, path: *const c_char) -> diffeo_status;
}
