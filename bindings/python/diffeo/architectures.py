"""Whole flows in one call."""

from __future__ import annotations

from ctypes import byref
from typing import SupportsIndex

import numpy.typing as npt

from . import _abi
from ._abi import lib
from ._arrays import Integers, choice, dtype_code, int64s, integer, seed64
from .flow import Flow


def maf(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    scale: str = "soft_clip",
    random_order: bool = False,
    standardize: bool = True,
    actnorm: bool = False,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Masked autoregressive flow [1]_: fast density and, here, fast samples.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of autoregressive layers.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu"}
        Nonlinearity of the hidden layers.
    scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive"}
        How scales are made: see `Spec.add_autoregressive`.
    random_order : bool
        Take the columns in a random order, from the seed, in place of natural and reversed orders in turn.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    actnorm : bool
        Put an actnorm layer before each autoregressive layer.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights and orders.

    References
    ----------
    .. [1] Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", NIPS 2017.

    Examples
    --------
    >>> diffeo.maf(dim=5, transforms=3, hidden=(64, 64)).dim
    5
    """
    return _architecture(
        "maf", dim, transforms, hidden, context_dim, activation, scale, random_order, standardize, actnorm, dtype, seed
    )


def iaf(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    scale: str = "soft_clip",
    random_order: bool = False,
    standardize: bool = True,
    actnorm: bool = False,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Inverse autoregressive flow [1]_: `maf` with the roles of data and noise exchanged.

    Parameters are those of `maf`.

    References
    ----------
    .. [1] Kingma et al., "Improved variational inference with inverse autoregressive flow", NIPS 2016.
    """
    return _architecture(
        "iaf", dim, transforms, hidden, context_dim, activation, scale, random_order, standardize, actnorm, dtype, seed
    )


def realnvp(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 8,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    scale: str = "soft_clip",
    standardize: bool = True,
    actnorm: bool = False,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """RealNVP [1]_: affine coupling layers with alternating masks; one pass in both directions.

    Parameters are those of `maf`. Needs dim >= 2, or a context.

    References
    ----------
    .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
    """
    return _architecture(
        "realnvp", dim, transforms, hidden, context_dim, activation, scale, False, standardize, actnorm, dtype, seed
    )


def _architecture(
    name: str,
    dim: SupportsIndex,
    transforms: SupportsIndex,
    hidden: Integers,
    context_dim: SupportsIndex,
    activation: str,
    scale: str,
    random_order: bool,
    standardize: bool,
    actnorm: bool,
    dtype: npt.DTypeLike,
    seed: SupportsIndex,
) -> Flow:
    options = _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)
    options.dim = integer(dim, "dim", 1)
    options.transforms = integer(transforms, "transforms", 1)
    options.hidden, options.hidden_count = int64s(hidden, "hidden", 1), len(hidden)
    options.context_dim = integer(context_dim, "context_dim", 0)
    options.activation = choice(activation, _abi.ACTIVATIONS, "activation")
    options.scale = choice(scale, _abi.SCALES, "scale")
    options.random_order = bool(random_order)
    options.standardize = bool(standardize)
    options.actnorm = bool(actnorm)
    options.dtype = dtype_code(dtype)
    options.seed = seed64(seed)
    return Flow(_abi.create(_abi.Flow, getattr(lib, f"diffeo_{name}_create"), byref(options)))
