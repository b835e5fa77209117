"""The words that arguments choose from, as types. A test holds them to those of the library."""

from typing import Literal, TypeAlias

Activation: TypeAlias = Literal[
    "relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf",
    "mish", "hard_silu",
]  # fmt: skip
Base: TypeAlias = Literal["standard_normal", "normal", "logistic", "uniform", "student_t", "mixture", "beta"]
Blocks: TypeAlias = Literal["plain", "residual", "preactivation"]
Boundary: TypeAlias = Literal["linear", "periodic", "interval", "free", "extended", "half_turn"]
Conditional: TypeAlias = Literal["gaussian", "mixture", "bernoulli"]
ContextMode: TypeAlias = Literal["input", "gate", "shift", "add"]
Covariance: TypeAlias = Literal["diagonal", "full", "precision"]
Degrees: TypeAlias = Literal["sequential", "random"]
Derivative: TypeAlias = Literal["softplus", "exp"]
Diagonal: TypeAlias = Literal["exp", "softplus"]
Domain: TypeAlias = Literal[
    "logit", "log", "softplus", "logistic_to_normal", "leaky_tanh", "leaky_relu", "log_tanh", "probit"
]  # fmt: skip
Encoding: TypeAlias = Literal["circle", "numbers"]
Estimator: TypeAlias = Literal["reverse_kl", "path", "importance", "mass_covering"]
Family: TypeAlias = Literal["normal", "logistic"]
ImageMask: TypeAlias = Literal["first", "last", "even", "odd", "none"]
Judge: TypeAlias = Literal["mean", "robust"]
Mask: TypeAlias = Literal["even", "odd", "first", "last", "random"]
Optimizer: TypeAlias = Literal["adam", "sgd"]
Order: TypeAlias = Literal["natural", "reversed", "random"]
Scale: TypeAlias = Literal[
    "soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated", "clamped_softplus", "clamped_exp",
    "reciprocal_sigmoid", "atan", "skewed_clip", "clipped_softplus", "softplus_arsinh",
]  # fmt: skip
Schedule: TypeAlias = Literal["constant", "cosine", "exponential", "plateau"]
Squeeze: TypeAlias = Literal["channels", "places", "diagonals"]
Standardization: TypeAlias = Literal["deviation", "robust"]
Target: TypeAlias = Literal["logistic", "uniform"]
Transformer: TypeAlias = Literal["affine", "spline", "mixture", "sinh_arcsinh", "linear_spline"]
