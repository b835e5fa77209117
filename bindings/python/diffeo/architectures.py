"""Whole flows in one call. Each has a page in docs/flows.md: formula, cost, when to choose it."""

from __future__ import annotations

from ctypes import byref
from typing import Any, SupportsIndex

import numpy.typing as npt

from . import _abi
from ._abi import lib
from ._arrays import Integers, choice, dtype_code, integer, seed64
from .flow import Flow
from .spec import _network


def nice(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 4,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """NICE [1]_: additive coupling layers, a diagonal scaling and a logistic base.

    Volume changes in the scaling alone. Needs dim >= 2, or a context.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of coupling layers.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    random_order : bool
        Draw the masks with the seed, in place of even and odd columns in turn.
    actnorm : bool
        Put an actnorm layer before each of the coupling layers.
    batch_norm : bool
        Put batch normalisation after each of the coupling layers.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Dinh, Krueger, Bengio, "NICE: non-linear independent components estimation", ICLR 2015 workshop.

    Examples
    --------
    >>> diffeo.nice(dim=4).layer_count
    6
    """
    return _create(
        "nice",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        random_order=random_order,
        actnorm=actnorm,
        batch_norm=batch_norm,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def realnvp(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 8,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    scale: str = "soft_clip",
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """RealNVP [1]_: affine coupling layers with alternating masks; one pass in both directions.

    Needs dim >= 2, or a context.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of coupling layers.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated"}
        How scales are made: see `Spec.add_autoregressive`.
    random_order : bool
        Draw the masks with the seed, in place of even and odd columns in turn.
    actnorm : bool
        Put an actnorm layer before each of the coupling layers.
    batch_norm : bool
        Put batch normalisation after each of the coupling layers.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
    """
    return _create(
        "realnvp",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        scale=scale,
        random_order=random_order,
        actnorm=actnorm,
        batch_norm=batch_norm,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def glow(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 6,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    scale: str = "sigmoid",
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Glow [1]_ on vectors: steps of actnorm, an invertible linear layer and an affine coupling layer.

    Needs dim >= 2, or a context.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of steps.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated"}
        How scales are made: see `Spec.add_autoregressive`.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
    """
    return _create(
        "glow",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        scale=scale,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def made(
    dim: SupportsIndex,
    *,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    conditional: str = "gaussian",
    components: SupportsIndex = 8,
    masks: SupportsIndex = 1,
    random_order: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """MADE [1]_: one masked network as a density, a product of conditionals.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    hidden : sequence of int
        Widths of the hidden layers.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    conditional : {"gaussian", "mixture", "bernoulli"}
        Of each column given those before it; for bernoulli the data are 0 and 1, and log_prob is of a
        probability.
    components : int
        Of the mixture.
    masks : int
        More than 1: as many random orders and connectivities share the weights, and their densities are
        averaged.
    random_order : bool
        Take the columns in a random order, from the seed.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Germain, Gregor, Murray, Larochelle, "MADE: masked autoencoder for distribution estimation", ICML 2015.
    """
    return _create(
        "made",
        dim=dim,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        conditional=conditional,
        components=components,
        masks=masks,
        random_order=random_order,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def maf(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    scale: str = "soft_clip",
    components: SupportsIndex = 0,
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    standardize: bool = True,
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
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated"}
        How scales are made: see `Spec.add_autoregressive`.
    components : int
        More than 0: the base is a MADE with so many Gaussians a column (MAF MoG).
    random_order : bool
        Take the columns in a random order, from the seed, in place of natural and reversed orders in turn.
    actnorm : bool
        Put an actnorm layer before each of the autoregressive layers.
    batch_norm : bool
        Put batch normalisation after each of the autoregressive layers.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", NIPS 2017.

    Examples
    --------
    >>> diffeo.maf(dim=5, transforms=3, hidden=(64, 64)).dim
    5
    """
    return _create(
        "maf",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        scale=scale,
        components=components,
        random_order=random_order,
        actnorm=actnorm,
        batch_norm=batch_norm,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def iaf(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    scale: str = "soft_clip",
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Inverse autoregressive flow [1]_: `maf` with the roles of data and noise exchanged.

    Given a context, the base depends on it, too: a normal distribution with mean and deviation from a network.

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
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated"}
        How scales are made: see `Spec.add_autoregressive`.
    random_order : bool
        Take the columns in a random order, from the seed, in place of natural and reversed orders in turn.
    actnorm : bool
        Put an actnorm layer before each of the autoregressive layers.
    batch_norm : bool
        Put batch normalisation after each of the autoregressive layers.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Kingma et al., "Improved variational inference with inverse autoregressive flow", NIPS 2016.
    """
    return _create(
        "iaf",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        scale=scale,
        random_order=random_order,
        actnorm=actnorm,
        batch_norm=batch_norm,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def planar(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 16,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    actnorm: bool = False,
    batch_norm: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Planar flow [1]_: one hidden unit a layer, explicit from noise to data and exact in both directions.

    An invertible linear layer comes first, so that correlations are not left to single units.
    `hidden` and `activation` are of the networks that give the parameters from a context, if there is one.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of planar layers.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    actnorm : bool
        Put an actnorm layer before each of the planar layers.
    batch_norm : bool
        Put batch normalisation after each of the planar layers.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015.
    """
    return _create(
        "planar",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        actnorm=actnorm,
        batch_norm=batch_norm,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def radial(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 16,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    actnorm: bool = False,
    batch_norm: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Radial flow [1]_: each layer expands or contracts about a point; exact in both directions.

    An invertible linear layer comes first: nothing round can make a correlation.
    `hidden` and `activation` are of the networks that give the parameters from a context, if there is one.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of radial layers.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    actnorm : bool
        Put an actnorm layer before each of the radial layers.
    batch_norm : bool
        Put batch normalisation after each of the radial layers.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015.
    """
    return _create(
        "radial",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        actnorm=actnorm,
        batch_norm=batch_norm,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def cdf_flow(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 1,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    components: SupportsIndex = 8,
    random_order: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """A triangular map by the CDFs of mixtures of Gaussians [1]_ over a logistic base.

    One layer is MADE with mixtures, a universal model of densities, as an invertible map.

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
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    components : int
        Gaussians a column.
    random_order : bool
        Take the columns in a random order, from the seed, in place of natural and reversed orders in turn.
    standardize : bool
        Begin with a layer that standardises data and context, set when training begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Papamakarios et al., "Normalizing flows for probabilistic modeling and inference", JMLR 2021, section 2.2.
    """
    return _create(
        "cdf_flow",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        components=components,
        random_order=random_order,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def spline_coupling(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    bins: SupportsIndex = 8,
    bound: float | None = None,
    periodic: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Neural spline flow [1]_ with coupling layers; one pass in both directions.

    On the line, invertible linear layers mix the columns; on the torus [2]_ (`periodic`) masks alternate, and the base
    is uniform. Needs dim >= 2, or a context.

    The new flow has random weights near the identity: train it.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    transforms : int
        Number of coupling layers.
    hidden : sequence of int
        Widths of the hidden layers in each of them.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    bins : int
        Of each spline.
    bound : float, optional
        The splines live in [-bound, bound]; by default 4, or pi for angles.
    periodic : bool
        All columns are angles of period 2 bound.
    standardize : bool
        Begin with a layer that standardises the data, if they are no angles, and the context, set when training
        begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", NeurIPS 2019.
    .. [2] Rezende et al., "Normalizing flows on tori and spheres", ICML 2020.
    """
    return _create(
        "spline_coupling",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        bins=bins,
        bound=bound,
        periodic=periodic,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def spline_autoregressive(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 3,
    hidden: Integers = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: str = "relu",
    blocks: str = "plain",
    bins: SupportsIndex = 8,
    bound: float | None = None,
    periodic: bool = False,
    random_order: bool = False,
    standardize: bool = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Neural spline flow [1]_ with autoregressive layers; on the line or, `periodic`, on the torus [2]_.

    On the line, invertible linear layers mix the columns.

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
    activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf"}
        Nonlinearity of the hidden layers.
    blocks : {"plain", "residual", "preactivation"}
        What the hidden layers are: see `Spec.add_autoregressive`.
    bins : int
        Of each spline.
    bound : float, optional
        The splines live in [-bound, bound]; by default 4, or pi for angles.
    periodic : bool
        All columns are angles of period 2 bound.
    random_order : bool
        Take the columns in a random order, from the seed, in place of natural and reversed orders in turn.
    standardize : bool
        Begin with a layer that standardises the data, if they are no angles, and the context, set when training
        begins.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    seed : int
        Of the initial weights, orders and masks.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", NeurIPS 2019.
    .. [2] Rezende et al., "Normalizing flows on tori and spheres", ICML 2020.
    """
    return _create(
        "spline_autoregressive",
        dim=dim,
        transforms=transforms,
        hidden=hidden,
        context_dim=context_dim,
        activation=activation,
        blocks=blocks,
        bins=bins,
        bound=bound,
        periodic=periodic,
        random_order=random_order,
        standardize=standardize,
        dtype=dtype,
        seed=seed,
    )


def _create(
    name: str,
    *,
    hidden: Integers,
    activation: str,
    blocks: str,
    dtype: npt.DTypeLike,
    seed: SupportsIndex,
    scale: str | None = None,
    conditional: str = "gaussian",
    bound: float | None = None,
    **others: Any,
) -> Flow:
    """The flow of a name; `others` are whole numbers and truth values, taken as they are."""
    options = _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)
    options.network = _network(hidden, activation, blocks)
    options.dtype = dtype_code(dtype)
    options.seed = seed64(seed)
    options.conditional = choice(conditional, _abi.CONDITIONALS, "conditional")
    if scale is not None:
        options.scale = choice(scale, _abi.SCALES, "scale")
    if bound is not None:
        options.bound = bound
    for key, value in others.items():
        least = 1 if key in ("dim", "transforms", "masks", "bins") else 0
        setattr(options, key, value if isinstance(value, bool) else integer(value, key, least))
    return Flow(_abi.create(_abi.Flow, getattr(lib, f"diffeo_{name}_create"), byref(options)))
