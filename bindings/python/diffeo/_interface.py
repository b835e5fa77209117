"""What include/diffeo.h declares: written by scripts/generate-interface, never by hand."""
# fmt: off
# ruff: noqa: E501, I001

from __future__ import annotations

from ctypes import (
    CFUNCTYPE, POINTER, Structure,
    c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint64, c_void_p,
)
from typing import Any

from ._ctypes import Float32s, Float64s, Int64s, Status, UInt8s

VERSION_NUMBER = 200
VERSION_STRING = "0.2.0"
SONAME = "libdiffeo.so.0.2"

# Enumerators, by the words for them.
STATUSES = {"ok": 0, "einval": -1, "enomem": -2, "eshape": -3, "edtype": -4, "eio": -5, "eformat": -6, "eversion": -7, "enumeric": -8, "ecancelled": -9, "estate": -10, "eunsupported": -11, "einternal": -127}
DTYPES = {"f32": 1, "f64": 2}
ACTIVATIONS = {"relu": 1, "tanh": 2, "elu": 3, "silu": 4, "leaky_relu": 5, "softplus": 6, "sigmoid": 7, "gelu": 8, "gelu_erf": 9, "mish": 10, "hard_silu": 11}
SCALES = {"soft_clip": 1, "exp": 2, "tanh": 3, "softplus": 4, "sigmoid": 5, "additive": 6, "gated": 7, "clamped_softplus": 8, "clamped_exp": 9, "reciprocal_sigmoid": 10, "atan": 11, "skewed_clip": 12, "clipped_softplus": 13, "softplus_arsinh": 14}
ORDERS = {"natural": 1, "reversed": 2, "random": 3, "given": 4}
DEGREES = {"sequential": 1, "random": 2}
MASKS = {"even": 1, "odd": 2, "first": 3, "last": 4, "random": 5, "given": 6}
BLOCKS = {"plain": 1, "residual": 2, "preactivation": 3}
CONTEXT_MODES = {"input": 1, "gate": 2, "shift": 3, "add": 4}
BOUNDARIES = {"linear": 1, "periodic": 2, "interval": 3, "free": 4, "extended": 5, "half_turn": 6}
DERIVATIVES = {"softplus": 1, "exp": 2}
ENCODINGS = {"circle": 1, "numbers": 2}
FAMILIES = {"normal": 1, "logistic": 2}
TARGETS = {"uniform": 1, "logistic": 2}
MAPS = {"affine": 1, "spline": 2, "mixture": 3, "sinh_arcsinh": 4, "linear_spline": 5}
BASES = {"standard_normal": 1, "normal": 2, "logistic": 3, "uniform": 4, "student_t": 5, "mixture": 6, "beta": 7}
COVARIANCES = {"diagonal": 1, "full": 2, "precision": 3}
DIAGONALS = {"exp": 1, "softplus": 2}
CONDITIONALS = {"gaussian": 1, "mixture": 2, "bernoulli": 3}
SQUEEZES = {"channels": 1, "places": 2, "diagonals": 3}
IMAGE_MASKS = {"first": 1, "last": 2, "even": 3, "odd": 4, "none": 5, "given": 6}
STANDARDIZES = {"deviation": 1, "robust": 2}
DOMAINS = {"logit": 1, "log": 2, "softplus": 3, "logistic_to_normal": 4, "leaky_tanh": 5, "leaky_relu": 6, "log_tanh": 7, "probit": 8}
OPTIMIZERS = {"adam": 1, "sgd": 2}
SCHEDULES = {"constant": 1, "cosine": 2, "exponential": 3, "plateau": 4}
JUDGES = {"mean": 1, "robust": 2}
STATES = {"running": 0, "epoch_end": 1, "max_epochs": 2, "patience": 3, "cancelled": 4}
ESTIMATORS = {"reverse_kl": 1, "path": 2, "importance": 3, "mass_covering": 4}


# Handles: structs that are never defined, as in C. Pointers to each have a type of their own.


class WorkspaceStruct(Structure):
    pass


Workspace = POINTER(WorkspaceStruct)


class SpecStruct(Structure):
    pass


Spec = POINTER(SpecStruct)


class FlowStruct(Structure):
    pass


Flow = POINTER(FlowStruct)


class RowsStruct(Structure):
    pass


Rows = POINTER(RowsStruct)


class TrainerStruct(Structure):
    pass


Trainer = POINTER(TrainerStruct)


class ViStruct(Structure):
    pass


Vi = POINTER(ViStruct)


class OptimizerStruct(Structure):
    pass


Optimizer = POINTER(OptimizerStruct)


class NetworkOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("hidden", POINTER(c_int64)),
        ("hidden_count", c_int64),
        ("activation", c_int32),
        ("blocks", c_int32),
        ("context_mode", c_int32),
        ("normalized", c_int32),
        ("dropout", c_double),
        ("layer_norm_epsilon", c_double),
    ]


class SplineOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("bins", c_int64),
        ("low", c_double),
        ("high", c_double),
        ("min_width", c_double),
        ("min_height", c_double),
        ("min_derivative", c_double),
        ("boundary", c_int32),
        ("derivative", c_int32),
        ("logit_bound", c_double),
        ("derivative_bound", c_double),
        ("boundary_derivative", c_double),
        ("half_ends", c_int32),
        ("encoding", c_int32),
        ("min_lambda", c_double),
    ]


class MixtureOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("components", c_int64),
        ("family", c_int32),
        ("target", c_int32),
        ("scale_bound", c_double),
        ("scale", c_int32),
        ("reserved", c_int32),
        ("scale_epsilon", c_double),
    ]


class MapOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("map", c_int32),
        ("scale", c_int32),
        ("scale_bound", c_double),
        ("scale_epsilon", c_double),
        ("log_scale_low", c_double),
        ("log_scale_high", c_double),
        ("spline", POINTER(SplineOptions)),
        ("mixture", POINTER(MixtureOptions)),
    ]


class AutoregressiveOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("order", c_int32),
        ("degrees", c_int32),
        ("order_given", POINTER(c_int64)),
        ("direct", c_int32),
        ("inverse_map", c_int32),
        ("seed", c_uint64),
        ("network", POINTER(NetworkOptions)),
        ("map", POINTER(MapOptions)),
    ]


class CouplingOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("mask", c_int32),
        ("scale_activation", c_int32),
        ("mask_given", POINTER(c_uint8)),
        ("seed", c_uint64),
        ("network", POINTER(NetworkOptions)),
        ("map", POINTER(MapOptions)),
    ]


class ElementwiseOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("columns", POINTER(c_int64)),
        ("column_count", c_int64),
        ("network", POINTER(NetworkOptions)),
        ("map", POINTER(MapOptions)),
    ]


class BaseOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("base", c_int32),
        ("reserved", c_int32),
        ("low", c_double),
        ("high", c_double),
        ("df", c_double),
        ("components", c_int64),
        ("network", POINTER(NetworkOptions)),
        ("alpha", c_double),
        ("beta", c_double),
        ("covariance", c_int32),
        ("diagonal", c_int32),
        ("epsilon", c_double),
    ]


class MadeOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("conditional", c_int32),
        ("order", c_int32),
        ("order_given", POINTER(c_int64)),
        ("degrees", c_int32),
        ("direct", c_int32),
        ("components", c_int64),
        ("masks", c_int64),
        ("seed", c_uint64),
        ("network", POINTER(NetworkOptions)),
    ]


class ArchitectureOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("dim", c_int64),
        ("context_dim", c_int64),
        ("transforms", c_int64),
        ("seed", c_uint64),
        ("dtype", c_int32),
        ("scale", c_int32),
        ("random_order", c_int32),
        ("standardize", c_int32),
        ("actnorm", c_int32),
        ("batch_norm", c_int32),
        ("periodic", c_int32),
        ("conditional", c_int32),
        ("components", c_int64),
        ("masks", c_int64),
        ("bins", c_int64),
        ("bound", c_double),
        ("network", POINTER(NetworkOptions)),
        ("base", POINTER(BaseOptions)),
        ("features", c_int64),
        ("embedding", POINTER(NetworkOptions)),
    ]


class ConvolutionOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("hidden", POINTER(c_int64)),
        ("hidden_count", c_int64),
        ("activation", c_int32),
        ("blocks", c_int32),
        ("kernel_first", c_int64),
        ("kernel_hidden", c_int64),
        ("kernel_last", c_int64),
        ("gain", c_int32),
        ("ones_outside", c_int32),
    ]


class ImageCouplingOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("mask", c_int32),
        ("reserved", c_int32),
        ("mask_given", POINTER(c_uint8)),
        ("network", POINTER(ConvolutionOptions)),
        ("map", POINTER(MapOptions)),
    ]


class SplitOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("keep", c_int32),
        ("prior", c_int32),
        ("network", POINTER(ConvolutionOptions)),
    ]


class ImageOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("channels", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("context_dim", c_int64),
        ("levels", c_int64),
        ("steps", c_int64),
        ("quantization", c_int64),
        ("alpha", c_double),
        ("seed", c_uint64),
        ("dtype", c_int32),
        ("scale", c_int32),
        ("split", c_int32),
        ("learned_prior", c_int32),
        ("learned_top", c_int32),
        ("lu", c_int32),
        ("network", POINTER(ConvolutionOptions)),
        ("map", POINTER(MapOptions)),
    ]


class TrainOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("batch_size", c_int64),
        ("max_epochs", c_int64),
        ("patience", c_int64),
        ("validation_fraction", c_double),
        ("seed", c_uint64),
        ("threads", c_int32),
        ("judge", c_int32),
        ("optimizer", c_int32),
        ("schedule", c_int32),
        ("learning_rate", c_double),
        ("warmup_steps", c_int64),
        ("rate_decay", c_double),
        ("plateau_patience", c_int64),
        ("beta1", c_double),
        ("beta2", c_double),
        ("epsilon", c_double),
        ("momentum", c_double),
        ("weight_decay", c_double),
        ("l2", c_double),
        ("clip_norm", c_double),
        ("clip_quantile", c_double),
        ("ema_decay", c_double),
        ("x_noise", c_double),
        ("negative_weights", c_int32),
        ("reserved", c_int32),
        ("rows_memory", c_int64),
        ("image_shift", c_int64),
        ("image_flip", c_int32),
        ("reserved2", c_int32),
    ]


class TrainReport(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("epoch", c_int64),
        ("batch", c_int64),
        ("batches_per_epoch", c_int64),
        ("train_rows", c_int64),
        ("validation_rows", c_int64),
        ("effective_rows", c_double),
        ("train_log_prob", c_double),
        ("train_robust_log_prob", c_double),
        ("validation_log_prob", c_double),
        ("validation_robust_log_prob", c_double),
        ("worst_log_prob", c_double),
        ("worst_row", c_int64),
        ("best_log_prob", c_double),
        ("best_epoch", c_int64),
        ("gradient_norm", c_double),
        ("learning_rate", c_double),
        ("base_learning_rate", c_double),
        ("rows_per_second", c_double),
        ("seconds", c_double),
        ("seconds_left", c_double),
        ("steps", c_int64),
        ("skipped_steps", c_int64),
        ("cut_steps", c_int64),
        ("averaged", c_int32),
        ("state", c_int32),
    ]


class ViOptions(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("steps", c_int64),
        ("batch_size", c_int64),
        ("window", c_int64),
        ("patience", c_int64),
        ("estimator", c_int32),
        ("draws", c_int32),
        ("tempering", c_double),
        ("tempering_steps", c_int64),
        ("train", POINTER(TrainOptions)),
    ]


class VariationalReport(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("steps", c_int64),
        ("total_steps", c_int64),
        ("windows", c_int64),
        ("elbo", c_double),
        ("elbo_error", c_double),
        ("bound", c_double),
        ("best_bound", c_double),
        ("best_window", c_int64),
        ("log_evidence", c_double),
        ("effective_samples", c_double),
        ("pareto_k", c_double),
        ("inverse_temperature", c_double),
        ("gradient_norm", c_double),
        ("learning_rate", c_double),
        ("base_learning_rate", c_double),
        ("samples_per_second", c_double),
        ("seconds", c_double),
        ("seconds_left", c_double),
        ("skipped_steps", c_int64),
        ("cut_steps", c_int64),
        ("averaged", c_int32),
        ("state", c_int32),
    ]


STRUCTS: dict[str, type[Structure]] = {
    "diffeo_network_options": NetworkOptions,
    "diffeo_spline_options": SplineOptions,
    "diffeo_mixture_options": MixtureOptions,
    "diffeo_map_options": MapOptions,
    "diffeo_autoregressive_options": AutoregressiveOptions,
    "diffeo_coupling_options": CouplingOptions,
    "diffeo_elementwise_options": ElementwiseOptions,
    "diffeo_base_options": BaseOptions,
    "diffeo_made_options": MadeOptions,
    "diffeo_architecture_options": ArchitectureOptions,
    "diffeo_convolution_options": ConvolutionOptions,
    "diffeo_image_coupling_options": ImageCouplingOptions,
    "diffeo_split_options": SplitOptions,
    "diffeo_image_options": ImageOptions,
    "diffeo_train_options": TrainOptions,
    "diffeo_train_report": TrainReport,
    "diffeo_vi_options": ViOptions,
    "diffeo_variational_report": VariationalReport,
}

Job = CFUNCTYPE(None, c_void_p, c_int32)
Parallel = CFUNCTYPE(None, c_void_p, Job, c_void_p, c_int32)
ReadRowsF32 = CFUNCTYPE(c_int, c_void_p, c_int64, c_int64, Float32s, Float32s, Float32s)
ReadRowsF64 = CFUNCTYPE(c_int, c_void_p, c_int64, c_int64, Float64s, Float64s, Float64s)
Progress = CFUNCTYPE(c_int, POINTER(TrainReport), c_void_p)
TargetF32 = CFUNCTYPE(c_int, c_void_p, c_int64, Float32s, Float32s, Float32s, Float32s)
TargetF64 = CFUNCTYPE(c_int, c_void_p, c_int64, Float64s, Float64s, Float64s, Float64s)

# name: (result, *arguments), in the order of the header
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "diffeo_version_number": (c_int32,),
    "diffeo_version_string": (c_char_p,),
    "diffeo_status_name": (c_char_p, Status),
    "diffeo_last_error": (c_char_p,),
    "diffeo_workspace_create": (Status, c_int32, POINTER(Workspace)),
    "diffeo_workspace_create_hosted": (Status, c_int32, Parallel, c_void_p, POINTER(Workspace)),
    "diffeo_workspace_pin": (Status, Workspace, Int64s, c_int64),
    "diffeo_workspace_destroy": (None, Workspace),
    "diffeo_workspace_threads": (c_int32, Workspace),
    "diffeo_convolution_options_init": (Status, POINTER(ConvolutionOptions), c_size_t),
    "diffeo_image_coupling_options_init": (Status, POINTER(ImageCouplingOptions), c_size_t),
    "diffeo_split_options_init": (Status, POINTER(SplitOptions), c_size_t),
    "diffeo_image_options_init": (Status, POINTER(ImageOptions), c_size_t),
    "diffeo_network_options_init": (Status, POINTER(NetworkOptions), c_size_t),
    "diffeo_spline_options_init": (Status, POINTER(SplineOptions), c_size_t),
    "diffeo_mixture_options_init": (Status, POINTER(MixtureOptions), c_size_t),
    "diffeo_map_options_init": (Status, POINTER(MapOptions), c_size_t),
    "diffeo_autoregressive_options_init": (Status, POINTER(AutoregressiveOptions), c_size_t),
    "diffeo_coupling_options_init": (Status, POINTER(CouplingOptions), c_size_t),
    "diffeo_elementwise_options_init": (Status, POINTER(ElementwiseOptions), c_size_t),
    "diffeo_base_options_init": (Status, POINTER(BaseOptions), c_size_t),
    "diffeo_made_options_init": (Status, POINTER(MadeOptions), c_size_t),
    "diffeo_architecture_options_init": (Status, POINTER(ArchitectureOptions), c_size_t),
    "diffeo_option_bounds": (Status, c_char_p, Float64s, Float64s),
    "diffeo_nice_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_realnvp_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_glow_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_made_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_maf_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_iaf_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_planar_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_radial_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_cdf_flow_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_spline_coupling_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_spline_autoregressive_create": (Status, POINTER(ArchitectureOptions), POINTER(Flow)),
    "diffeo_glow_image_create": (Status, POINTER(ImageOptions), POINTER(Flow)),
    "diffeo_realnvp_image_create": (Status, POINTER(ImageOptions), POINTER(Flow)),
    "diffeo_spec_create": (Status, c_int64, c_int64, c_int32, POINTER(Spec)),
    "diffeo_spec_create_image": (Status, c_int64, c_int64, c_int64, c_int64, c_int32, POINTER(Spec)),
    "diffeo_spec_destroy": (None, Spec),
    "diffeo_spec_set_dtype": (Status, Spec, c_int32),
    "diffeo_spec_invert": (Status, Spec),
    "diffeo_spec_add_autoregressive": (Status, Spec, POINTER(AutoregressiveOptions)),
    "diffeo_spec_add_coupling": (Status, Spec, POINTER(CouplingOptions)),
    "diffeo_spec_add_permutation": (Status, Spec, Int64s),
    "diffeo_spec_add_reverse": (Status, Spec),
    "diffeo_spec_add_random_permutation": (Status, Spec, c_uint64),
    "diffeo_spec_add_lu": (Status, Spec, c_int32, c_uint64),
    "diffeo_spec_add_linear": (Status, Spec),
    "diffeo_spec_add_householder": (Status, Spec, c_int64),
    "diffeo_spec_add_actnorm": (Status, Spec),
    "diffeo_spec_add_elementwise_affine": (Status, Spec, c_int32),
    "diffeo_spec_add_batch_norm": (Status, Spec, c_double, c_double),
    "diffeo_spec_add_planar": (Status, Spec, POINTER(NetworkOptions)),
    "diffeo_spec_add_radial": (Status, Spec, POINTER(NetworkOptions)),
    "diffeo_spec_add_elementwise": (Status, Spec, POINTER(ElementwiseOptions)),
    "diffeo_spec_add_squeeze": (Status, Spec, c_int32),
    "diffeo_spec_add_unsqueeze": (Status, Spec, c_int32),
    "diffeo_spec_add_image_coupling": (Status, Spec, POINTER(ImageCouplingOptions)),
    "diffeo_spec_add_split": (Status, Spec, POINTER(SplitOptions)),
    "diffeo_spec_map": (Status, Spec, Int64s),
    "diffeo_spec_set_standardization": (Status, Spec, c_int32),
    "diffeo_spec_add_standardize": (Status, Spec, Float64s, Float64s),
    "diffeo_spec_standardize_context": (Status, Spec, Float64s, Float64s),
    "diffeo_spec_set_embedding": (Status, Spec, c_int64, POINTER(NetworkOptions)),
    "diffeo_spec_add_domain": (Status, Spec, c_int32, Int64s, c_int64, Float64s, Float64s),
    "diffeo_spec_add_wrap": (Status, Spec, c_double, c_double, c_int32, c_uint64),
    "diffeo_spec_add_wrap_columns": (Status, Spec, Int64s, c_int64, Float64s, Float64s, c_int32, c_uint64),
    "diffeo_spec_add_dequantize": (Status, Spec, c_int64),
    "diffeo_spec_add_dequantize_columns": (Status, Spec, Int64s, c_int64, Int64s),
    "diffeo_spec_set_base": (Status, Spec, POINTER(BaseOptions)),
    "diffeo_spec_set_base_made": (Status, Spec, POINTER(MadeOptions)),
    "diffeo_flow_create": (Status, Spec, c_uint64, POINTER(Flow)),
    "diffeo_flow_destroy": (None, Flow),
    "diffeo_flow_compose": (Status, Flow, Flow, POINTER(Flow)),
    "diffeo_flow_load": (Status, c_char_p, POINTER(Flow)),
    "diffeo_flow_save": (Status, Flow, c_char_p),
    "diffeo_flow_load_memory": (Status, c_void_p, c_size_t, POINTER(Flow)),
    "diffeo_flow_save_memory": (Status, Flow, c_void_p, c_size_t, POINTER(c_size_t)),
    "diffeo_flow_dim": (c_int64, Flow),
    "diffeo_flow_context_dim": (c_int64, Flow),
    "diffeo_flow_shape": (c_int64, Flow, Int64s, c_int64),
    "diffeo_flow_dtype": (c_int32, Flow),
    "diffeo_flow_layer_count": (c_int64, Flow),
    "diffeo_flow_levels": (Status, Flow, Int64s),
    "diffeo_flow_parameter_count": (c_int64, Flow),
    "diffeo_flow_describe": (Status, Flow, c_char_p, c_size_t, POINTER(c_size_t)),
    "diffeo_flow_set_metadata": (Status, Flow, c_char_p, c_char_p),
    "diffeo_flow_metadata": (Status, Flow, c_char_p, c_char_p, c_size_t, POINTER(c_size_t)),
    "diffeo_flow_metadata_count": (c_int64, Flow),
    "diffeo_flow_metadata_key": (Status, Flow, c_int64, c_char_p, c_size_t, POINTER(c_size_t)),
    "diffeo_flow_parameters_f32": (Status, Flow, Float32s),
    "diffeo_flow_parameters_f64": (Status, Flow, Float64s),
    "diffeo_flow_with_parameters_f32": (Status, Flow, Float32s, POINTER(Flow)),
    "diffeo_flow_with_parameters_f64": (Status, Flow, Float64s, POINTER(Flow)),
    "diffeo_flow_trained_parameters": (Status, Flow, UInt8s),
    "diffeo_flow_log_prob_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Workspace, Float32s),
    "diffeo_flow_log_prob_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Workspace, Float64s),
    "diffeo_flow_log_prob_gradient_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Workspace, Float32s, Float32s, Float32s),
    "diffeo_flow_log_prob_gradient_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Workspace, Float64s, Float64s, Float64s),
    "diffeo_flow_to_noise_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Workspace, Float32s, Float32s),
    "diffeo_flow_to_noise_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Workspace, Float64s, Float64s),
    "diffeo_flow_from_noise_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Workspace, Float32s, Float32s),
    "diffeo_flow_from_noise_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Workspace, Float64s, Float64s),
    "diffeo_flow_sample_f32": (Status, Flow, c_uint64, c_uint64, c_int64, Float32s, c_int64, Workspace, Float32s, Float32s),
    "diffeo_flow_sample_f64": (Status, Flow, c_uint64, c_uint64, c_int64, Float64s, c_int64, Workspace, Float64s, Float64s),
    "diffeo_flow_sample_tempered_f32": (Status, Flow, c_double, c_uint64, c_uint64, c_int64, Float32s, c_int64, Workspace, Float32s, Float32s),
    "diffeo_flow_sample_tempered_f64": (Status, Flow, c_double, c_uint64, c_uint64, c_int64, Float64s, c_int64, Workspace, Float64s, Float64s),
    "diffeo_flow_bits_per_dim_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, c_uint64, c_int64, Workspace, Float32s),
    "diffeo_flow_bits_per_dim_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, c_uint64, c_int64, Workspace, Float64s),
    "diffeo_flow_log_prob_vjp_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Float32s, Workspace, Float32s, Float32s, Float32s, Float32s),
    "diffeo_flow_log_prob_vjp_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Float64s, Workspace, Float64s, Float64s, Float64s, Float64s),
    "diffeo_flow_to_noise_vjp_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Float32s, Float32s, Workspace, Float32s, Float32s, Float32s, Float32s, Float32s),
    "diffeo_flow_to_noise_vjp_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Float64s, Float64s, Workspace, Float64s, Float64s, Float64s, Float64s, Float64s),
    "diffeo_flow_from_noise_vjp_f32": (Status, Flow, Float32s, c_int64, Float32s, c_int64, Float32s, Float32s, Workspace, Float32s, Float32s, Float32s, Float32s, Float32s),
    "diffeo_flow_from_noise_vjp_f64": (Status, Flow, Float64s, c_int64, Float64s, c_int64, Float64s, Float64s, Workspace, Float64s, Float64s, Float64s, Float64s, Float64s),
    "diffeo_flow_sample_vjp_f32": (Status, Flow, c_uint64, c_uint64, c_int64, Float32s, c_int64, Float32s, Float32s, Workspace, Float32s, Float32s, Float32s, Float32s),
    "diffeo_flow_sample_vjp_f64": (Status, Flow, c_uint64, c_uint64, c_int64, Float64s, c_int64, Float64s, Float64s, Workspace, Float64s, Float64s, Float64s, Float64s),
    "diffeo_rows_create_f32": (Status, c_int64, c_int64, c_int64, c_int32, ReadRowsF32, c_void_p, POINTER(Rows)),
    "diffeo_rows_create_f64": (Status, c_int64, c_int64, c_int64, c_int32, ReadRowsF64, c_void_p, POINTER(Rows)),
    "diffeo_rows_open": (Status, c_char_p, c_char_p, c_char_p, c_char_p, POINTER(Rows)),
    "diffeo_rows_destroy": (None, Rows),
    "diffeo_rows_count": (c_int64, Rows),
    "diffeo_rows_dim": (c_int64, Rows),
    "diffeo_rows_context_dim": (c_int64, Rows),
    "diffeo_flow_log_prob_file": (Status, Flow, Rows, Workspace, c_char_p),
    "diffeo_flow_sample_file": (Status, Flow, c_uint64, c_uint64, c_int64, Rows, Workspace, c_char_p),
    "diffeo_train_options_init": (Status, POINTER(TrainOptions), c_size_t),
    "diffeo_trainer_create_f32": (Status, Flow, POINTER(TrainOptions), Float32s, c_int64, Float32s, c_int64, Float32s, POINTER(Trainer)),
    "diffeo_trainer_create_f64": (Status, Flow, POINTER(TrainOptions), Float64s, c_int64, Float64s, c_int64, Float64s, POINTER(Trainer)),
    "diffeo_trainer_destroy": (None, Trainer),
    "diffeo_trainer_set_validation_f32": (Status, Trainer, Float32s, c_int64, Float32s, c_int64, Float32s),
    "diffeo_trainer_set_validation_f64": (Status, Trainer, Float64s, c_int64, Float64s, c_int64, Float64s),
    "diffeo_trainer_create_rows": (Status, Flow, POINTER(TrainOptions), Rows, POINTER(Trainer)),
    "diffeo_trainer_set_validation_rows": (Status, Trainer, Rows),
    "diffeo_trainer_step": (Status, Trainer, c_int64, POINTER(TrainReport)),
    "diffeo_trainer_report": (Status, Trainer, POINTER(TrainReport)),
    "diffeo_trainer_set_learning_rate": (Status, Trainer, c_double),
    "diffeo_trainer_set_workspace": (Status, Trainer, Workspace),
    "diffeo_trainer_finished": (c_int32, Trainer),
    "diffeo_trainer_best": (Status, Trainer, POINTER(Flow)),
    "diffeo_trainer_current": (Status, Trainer, POINTER(Flow)),
    "diffeo_trainer_save": (Status, Trainer, c_char_p),
    "diffeo_trainer_load": (Status, Trainer, c_char_p),
    "diffeo_trainer_cancel": (None, Trainer),
    "diffeo_fit_f32": (Status, Flow, POINTER(TrainOptions), Float32s, c_int64, Float32s, c_int64, Float32s, Progress, c_void_p, POINTER(Flow), POINTER(TrainReport)),
    "diffeo_fit_f64": (Status, Flow, POINTER(TrainOptions), Float64s, c_int64, Float64s, c_int64, Float64s, Progress, c_void_p, POINTER(Flow), POINTER(TrainReport)),
    "diffeo_vi_options_init": (Status, POINTER(ViOptions), c_size_t),
    "diffeo_vi_create_f32": (Status, Flow, POINTER(ViOptions), TargetF32, c_void_p, Float32s, c_int64, POINTER(Vi)),
    "diffeo_vi_create_f64": (Status, Flow, POINTER(ViOptions), TargetF64, c_void_p, Float64s, c_int64, POINTER(Vi)),
    "diffeo_vi_destroy": (None, Vi),
    "diffeo_vi_step": (Status, Vi, c_int64, POINTER(VariationalReport)),
    "diffeo_vi_step_given_f32": (Status, Vi, Float32s, Float32s, POINTER(VariationalReport)),
    "diffeo_vi_step_given_f64": (Status, Vi, Float64s, Float64s, POINTER(VariationalReport)),
    "diffeo_vi_report": (Status, Vi, POINTER(VariationalReport)),
    "diffeo_vi_set_learning_rate": (Status, Vi, c_double),
    "diffeo_vi_set_workspace": (Status, Vi, Workspace),
    "diffeo_vi_finished": (c_int32, Vi),
    "diffeo_vi_best": (Status, Vi, POINTER(Flow)),
    "diffeo_vi_current": (Status, Vi, POINTER(Flow)),
    "diffeo_vi_save": (Status, Vi, c_char_p),
    "diffeo_vi_load": (Status, Vi, c_char_p),
    "diffeo_vi_cancel": (None, Vi),
    "diffeo_optimizer_create": (Status, Flow, POINTER(TrainOptions), c_int64, POINTER(Optimizer)),
    "diffeo_optimizer_destroy": (None, Optimizer),
    "diffeo_optimizer_step_f32": (Status, Optimizer, Float32s, POINTER(TrainReport)),
    "diffeo_optimizer_step_f64": (Status, Optimizer, Float64s, POINTER(TrainReport)),
    "diffeo_optimizer_report": (Status, Optimizer, POINTER(TrainReport)),
    "diffeo_optimizer_set_learning_rate": (Status, Optimizer, c_double),
    "diffeo_optimizer_set_workspace": (Status, Optimizer, Workspace),
    "diffeo_optimizer_current": (Status, Optimizer, POINTER(Flow)),
    "diffeo_optimizer_average": (Status, Optimizer, POINTER(Flow)),
    "diffeo_optimizer_save": (Status, Optimizer, c_char_p),
    "diffeo_optimizer_load": (Status, Optimizer, c_char_p),
}
