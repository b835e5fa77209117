"""Whole flows in one call. Each has a page in docs/flows.md: formula, cost, when to choose it."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from ctypes import byref, pointer
from typing import Any, SupportsIndex, TypeVar

import numpy.typing as npt

from . import _abi
from ._abi import lib
from ._arrays import Integers, choice, dtype_code, image_shape, integer, real, seed64
from ._words import Activation, Base, Blocks, Conditional, Scale, Standardization, Transformer
from .flow import Flow
from .spec import Embedding, Mixture, Spline, _convolution, _map, _network

_Maker = TypeVar("_Maker", bound=Callable[..., Flow])

# ------------------------------------------------------------------------------------------------------ parameters


def _bounds(option: str, least: int = 0) -> tuple[int, int]:
    low, high = _abi.bounds(option)
    return max(int(low), least), int(high)


# The library's own ranges, without the 0 that stands for its default; a seed is any number of 64 bits.
_LIMITS = {
    **{name: _bounds(f"architecture.{name}", 1) for name in ("dim", "transforms", "bins", "components", "masks")},
    "context_dim": _bounds("architecture.context_dim"),
    **{name: _bounds(f"image.{name}", 1) for name in ("levels", "steps")},
    "quantization": _bounds("image.quantization"),
    **{name: _bounds(f"network.{name}") for name in ("hidden", "hidden_count")},
    "seed": (0, 2**64 - 1),
}

_CHOICES = {
    "activation": _abi.ACTIVATIONS,
    "blocks": _abi.BLOCKS,
    "scale": _abi.SCALES,
    "conditional": _abi.CONDITIONALS,
    "base": _abi.BASES,
    "dtype": _abi.DTYPES,
}

# What each means. {layers} are those the flow consists of; the names of limits are theirs.
_MEANINGS = {
    "dim": "Columns of the data.",
    "transforms": "Number of {layers}.",
    "hidden": "Widths of the hidden layers of each network, at most {hidden_count[1]} of them.",
    "context_dim": "Columns of the context; 0 for a flow without context.",
    "embedding": "A network of the context whose outputs layers read in its place, trained with the rest.",
    "activation": "Nonlinearity of the hidden layers.",
    "blocks": "What the hidden layers are: see `Spec.add_autoregressive`.",
    "dropout": "In training, the probability with which a hidden unit is left out; 0 or more, below 1: see "
    "`Spec.add_autoregressive`.",
    "scale": "How scales are made: see `Spec.add_autoregressive`.",
    "conditional": "Of each column given those before it; for bernoulli the data are 0 and 1, and log_prob is of a "
    "probability.",
    "components": "Gaussians a column.",
    "masks": "More than 1: so many random orders and connectivities share the weights; densities are averaged.",
    "bins": "Of each spline.",
    "bound": "The splines live in [-bound, bound]; by default 4, or pi for angles.",
    "periodic": "All columns are angles of period 2 bound.",
    "random_order": "Take the columns in random orders, from the seed, not in natural and reversed order in turn.",
    "actnorm": "Put an actnorm layer before each of the {layers}.",
    "batch_norm": "Put batch normalisation after each of the {layers}.",
    "base": "The distribution of the noise, in place of the flow's own: see `Spec.set_base`; parameters are trained. "
    "{base}",
    "standardize": "Begin with a layer that standardises the data, if they are no angles, and the context, set when "
    "training begins: by mean and standard deviation, or, robust, by the median and half the distance between the "
    "quantiles 0.1587 and 0.8413, which a few wild values do not move.",
    "shape": "Channels, height and width; 65536 numbers at most.",
    "levels": "Scales, each of half the height and width of the one before. {levels_default}",
    "steps": "Of each level: {steps_meaning}.",
    "kernels": "Sides of the kernels of the first convolution, those between and the last, odd: see "
    "`Spec.add_image_coupling`.",
    "gain": "Multiply each output of the networks by exp(3 l) with trained l.",
    "quantization": "Images are counts 0 to quantization - 1, which get noise in training: see `Spec.add_dequantize`. "
    "0: real numbers, taken as they are.",
    "alpha": "Of counts: they become logit(alpha + (1 - 2 alpha) x / quantization), 0 to 0.499; 0: "
    "x / quantization - 1/2 instead.",
    "split": "Let half of the channels leave at each level but the last.",
    "learned_prior": "What leaves has a normal distribution with mean and deviation by a network of what stays; else a "
    "standard normal one.",
    "learned_top": "What is left in the end has mean and deviation by channel, trained or by the context; else 0, 1.",
    "transformer": "The map of each coupling, in place of an affine one: see `Spec.add_image_coupling`.",
    "lu": "Parametrise 1x1 convolutions by their factors P L (U + diag(s)), else as one matrix.",
    "dtype": "What the flow computes in.",
    "seed": "Of the initial weights, orders and masks.",
}
_ON_THE_LINE = "Not uniform: the layers end on the whole line."
_ON_LINE_OR_TORUS = "Uniform for angles, which it is anyway; else not, as the layers end on the whole line."
_RANDOM_MASKS = "Draw the masks with the seed, in place of even and odd columns in turn."


_IMAGE_BLOCKS = "What the networks of couplings are made of: see `Spec.add_image_coupling`."
_IMAGE_SCALE = 'How affine couplings make their scales, by default "sigmoid": see `Spec.add_autoregressive`.'
_IMAGE_SEED = "Of the initial weights and permutations."


def _documented(
    layers: str = "", base: str = _ON_THE_LINE, levels_default: str = "", steps_meaning: str = "", **meanings: str
) -> Callable[[_Maker], _Maker]:
    """Give a function's docstring its parameters, before the references; `meanings` are those of this flow alone."""
    words = {"layers": layers, "base": base, "levels_default": levels_default, "steps_meaning": steps_meaning}

    def document(function: _Maker) -> _Maker:
        lines = ["Parameters", "----------"]
        for parameter in inspect.signature(function).parameters.values():
            meaning = (_MEANINGS | meanings)[parameter.name].format(**words, **_LIMITS)
            lines += [f"{parameter.name} : {_kind(parameter)}", textwrap.indent(textwrap.fill(meaning, 112), "    ")]
        lines += ["", "Returns", "-------", "Flow", "    New, with random weights near the identity: train it."]
        text, title, references = inspect.cleandoc(function.__doc__ or "").partition("References\n")
        function.__doc__ = text + "\n".join(lines) + f"\n\n{title}{references}\n"
        return function

    return document


def _kind(parameter: inspect.Parameter) -> str:
    """What a docstring says behind the name: type or choices, limits, default."""
    name, default = parameter.name, parameter.default
    if name in _CHOICES:
        kind = "{" + ", ".join(f'"{word}"' for word in _CHOICES[name]) + "}"
        kind += " or numpy dtype" if name == "dtype" else ", optional" if default is None else ""
    elif name == "hidden":
        kind = f"sequence of int, or one int, each {_range(name)}"
    elif name == "standardize":
        kind = 'bool, "deviation" (as True) or "robust"'
    elif name == "shape":
        kind = "(int, int, int)"
    elif name == "embedding":
        kind = "Embedding, optional"
    elif name == "kernels":
        kind = "(int, int, int), optional"
    elif name == "transformer":
        kind = "Spline, Mixture or str, optional"
    elif name in _LIMITS:
        none = "0 or " if (default == 0 or name == "quantization") and _LIMITS[name][0] > 0 else ""
        kind = f"int, {none}{_range(name)}" + (", optional" if default is None else "")
    else:
        kind = "float, optional" if default is None else type(default).__name__
    if default is None or default is parameter.empty:
        return kind
    return f'{kind}, default "{default}"' if isinstance(default, str) else f"{kind}, default {default}"


def _range(name: str) -> str:
    low, high = _LIMITS[name]
    return f"{low} to {high if high < 2**63 else '2**64 - 1'}"


def _create(name: str, arguments: Mapping[str, Any]) -> Flow:
    """The flow of a name, of its function's arguments."""
    options = _image_options(arguments) if "shape" in arguments else _options(arguments)
    return Flow(_abi.create(_abi.Flow, getattr(lib, f"diffeo_{name}_create"), byref(options)))


def _options(arguments: Mapping[str, Any]) -> Any:
    """The arguments in the struct of the C interface, whose own defaults are those of arguments not there."""
    options = _abi.defaults(_abi.ArchitectureOptions, lib.diffeo_architecture_options_init)
    network = {name: arguments[name] for name in ("hidden", "activation", "blocks", "dropout")}
    options.network = _network(**network)
    for name, value in arguments.items():
        if name in network or value is None:
            continue
        if name == "dtype":
            options.dtype = dtype_code(value)
        elif name == "seed":
            options.seed = seed64(value)
        elif name == "base":
            base = _abi.defaults(_abi.BaseOptions, lib.diffeo_base_options_init)
            base.base = choice(value, _abi.BASES, name)
            options.base = pointer(base)
        elif name == "embedding":
            options.features = integer(value.features, "features", 1)
            options.embedding = value._network()
        elif name == "standardize" and isinstance(value, str):
            options.standardize = choice(value, _abi.STANDARDIZES, name)
        elif name in _CHOICES:
            setattr(options, name, choice(value, _CHOICES[name], name))
        elif name in _LIMITS:  # what is too much the library tells
            setattr(options, name, integer(value, name, 0 if name == "components" else min(1, _LIMITS[name][0])))
        else:
            setattr(options, name, real(value, name) if name == "bound" else bool(value))
    return options


def _image_options(arguments: Mapping[str, Any]) -> Any:
    """The same for flows of images."""
    options = _abi.defaults(_abi.ImageOptions, lib.diffeo_image_options_init)
    options.channels, options.height, options.width = image_shape(arguments["shape"])
    network = {name: arguments[name] for name in ("hidden", "activation", "blocks", "kernels", "gain")}
    options.network = _convolution(**network)
    transformer = arguments["transformer"]
    if transformer is not None:
        if arguments["scale"] is not None:
            raise ValueError("scale is that of an affine map: not with a transformer")
        options.map = _map(transformer=transformer)
    for name, value in arguments.items():
        if name in network or name in ("shape", "transformer") or value is None:
            continue
        if name == "dtype":
            options.dtype = dtype_code(value)
        elif name == "seed":
            options.seed = seed64(value)
        elif name in _CHOICES:
            setattr(options, name, choice(value, _CHOICES[name], name))
        elif name in _LIMITS:
            setattr(options, name, integer(value, name, 1 if name in ("levels", "steps") else 0))
        else:
            setattr(options, name, real(value, name) if name == "alpha" else bool(value))
    return options


# ----------------------------------------------------------------------------------------------------------- flows


@_documented(layers="coupling layers", random_order=_RANDOM_MASKS)
def nice(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 4,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """NICE [1]_: additive coupling layers, a diagonal scaling and a logistic base.

    Volume changes in the scaling alone. Needs dim >= 2, or a context.

    References
    ----------
    .. [1] Dinh, Krueger, Bengio, "NICE: non-linear independent components estimation", ICLR 2015 workshop.

    Examples
    --------
    >>> diffeo.nice(dim=4).layer_count
    6
    """
    return _create("nice", locals())


@_documented(layers="coupling layers", random_order=_RANDOM_MASKS)
def realnvp(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 8,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    scale: Scale = "skewed_clip",
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """RealNVP [1]_: affine coupling layers with alternating masks; one pass in both directions.

    Needs dim >= 2, or a context.

    References
    ----------
    .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
    """
    return _create("realnvp", locals())


@_documented(layers="steps")
def glow(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 6,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    scale: Scale = "skewed_clip",
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Glow [1]_ on vectors: steps of actnorm, an invertible linear layer and an affine coupling layer.

    Needs dim >= 2, or a context.

    References
    ----------
    .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
    """
    return _create("glow", locals())


@_documented(components="Of the mixture.", random_order="Take the columns in a random order, from the seed.")
def made(
    dim: SupportsIndex,
    *,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    conditional: Conditional = "gaussian",
    components: SupportsIndex = 8,
    masks: SupportsIndex = 1,
    random_order: bool = False,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """MADE [1]_: one masked network as a density, a product of conditionals.

    References
    ----------
    .. [1] Germain, Gregor, Murray, Larochelle, "MADE: masked autoencoder for distribution estimation", ICML 2015.
    """
    return _create("made", locals())


@_documented(
    layers="autoregressive layers",
    base=_ON_THE_LINE + " Not together with components.",
    components="More than 0: the base is a MADE with so many Gaussians a column (MAF MoG).",
)
def maf(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    scale: Scale = "skewed_clip",
    components: SupportsIndex = 0,
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Masked autoregressive flow [1]_: fast density and, here, fast samples.

    References
    ----------
    .. [1] Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", NIPS 2017.

    Examples
    --------
    >>> diffeo.maf(dim=5, transforms=3, hidden=(64, 64)).dim
    5
    """
    return _create("maf", locals())


@_documented(layers="autoregressive layers")
def iaf(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    scale: Scale = "soft_clip",
    random_order: bool = False,
    actnorm: bool = False,
    batch_norm: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Inverse autoregressive flow [1]_: `maf` with the roles of data and noise exchanged.

    Given a context, the base depends on it, too: a normal distribution with mean and deviation from a network.

    References
    ----------
    .. [1] Kingma et al., "Improved variational inference with inverse autoregressive flow", NIPS 2016.
    """
    return _create("iaf", locals())


@_documented(layers="planar layers")
def planar(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 16,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    actnorm: bool = False,
    batch_norm: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Planar flow [1]_: one hidden unit a layer, explicit from noise to data and exact in both directions.

    An invertible linear layer comes first, so that correlations are not left to single units.
    `hidden` and `activation` are of the networks that give the parameters from a context, if there is one.

    References
    ----------
    .. [1] Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015.
    """
    return _create("planar", locals())


@_documented(layers="radial layers")
def radial(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 16,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    actnorm: bool = False,
    batch_norm: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Radial flow [1]_: each layer expands or contracts about a point; exact in both directions.

    An invertible linear layer comes first: nothing round can make a correlation.
    `hidden` and `activation` are of the networks that give the parameters from a context, if there is one.

    References
    ----------
    .. [1] Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015.
    """
    return _create("radial", locals())


@_documented(layers="autoregressive layers")
def cdf_flow(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 1,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    components: SupportsIndex = 8,
    random_order: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """A triangular map by the CDFs of mixtures of Gaussians [1]_ over a logistic base.

    One layer is MADE with mixtures, a universal model of densities, as an invertible map.

    References
    ----------
    .. [1] Papamakarios et al., "Normalizing flows for probabilistic modeling and inference", JMLR 2021, section 2.2.
    """
    return _create("cdf_flow", locals())


@_documented(layers="coupling layers", base=_ON_LINE_OR_TORUS)
def spline_coupling(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 5,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    bins: SupportsIndex = 8,
    bound: float | None = None,
    periodic: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Neural spline flow [1]_ with coupling layers; one pass in both directions.

    On the line, invertible linear layers mix the columns; on the torus [2]_ (`periodic`) masks alternate, and the base
    is uniform. Needs dim >= 2, or a context.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", NeurIPS 2019.
    .. [2] Rezende et al., "Normalizing flows on tori and spheres", ICML 2020.
    """
    return _create("spline_coupling", locals())


@_documented(layers="autoregressive layers", base=_ON_LINE_OR_TORUS)
def spline_autoregressive(
    dim: SupportsIndex,
    *,
    transforms: SupportsIndex = 3,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    embedding: Embedding | None = None,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    dropout: float = 0.0,
    bins: SupportsIndex = 8,
    bound: float | None = None,
    periodic: bool = False,
    random_order: bool = False,
    base: Base | None = None,
    standardize: bool | Standardization = True,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Neural spline flow [1]_ with autoregressive layers; on the line or, `periodic`, on the torus [2]_.

    On the line, invertible linear layers mix the columns.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", NeurIPS 2019.
    .. [2] Rezende et al., "Normalizing flows on tori and spheres", ICML 2020.
    """
    return _create("spline_autoregressive", locals())


@_documented(
    levels_default="By default as many as leave 2 places a side, at most 3.",
    steps_meaning="an actnorm layer, an invertible 1x1 convolution and a coupling each",
    blocks=_IMAGE_BLOCKS,
    scale=_IMAGE_SCALE,
    seed=_IMAGE_SEED,
    hidden="Channels of the hidden maps of each coupling's network, at most {hidden_count[1]} of them; () is one "
    "convolution.",
)
def glow_image(
    shape: Integers,
    *,
    levels: SupportsIndex | None = None,
    steps: SupportsIndex = 8,
    hidden: Integers | SupportsIndex = (128, 128),
    context_dim: SupportsIndex = 0,
    activation: Activation = "relu",
    blocks: Blocks = "plain",
    kernels: Integers | None = None,
    gain: bool = False,
    scale: Scale | None = None,
    transformer: Spline | Mixture | Transformer | None = None,
    split: bool = True,
    learned_prior: bool = True,
    learned_top: bool = True,
    lu: bool = True,
    quantization: SupportsIndex = 256,
    alpha: float = 1e-6,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """Glow [1]_: levels of a squeeze, steps of actnorm, 1x1 convolution and affine coupling, and a split.

    Takes and gives images [n, channels, height, width]. A context, such as a label, one-hot, is read by all networks.

    References
    ----------
    .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.

    Examples
    --------
    >>> flow = diffeo.glow_image((1, 8, 8), levels=2, steps=2, hidden=(16, 16), quantization=17)
    >>> flow.shape, flow.sample(5, temperature=0.7, seed=1).shape
    ((1, 8, 8), (5, 1, 8, 8))
    """
    return _create("glow_image", locals())


@_documented(
    levels_default="By default as many as leave 4 places a side, at most 4.",
    steps_meaning="couplings with checkerboards, and, but for the last level, as many with masks by channel",
    blocks=_IMAGE_BLOCKS,
    scale=_IMAGE_SCALE,
    seed=_IMAGE_SEED,
    hidden="Channels of the hidden maps of each coupling's network, of residual blocks all the same, at most "
    "{hidden_count[1]} of them.",
)
def realnvp_image(
    shape: Integers,
    *,
    levels: SupportsIndex | None = None,
    steps: SupportsIndex = 3,
    hidden: Integers | SupportsIndex = (64, 64),
    context_dim: SupportsIndex = 0,
    activation: Activation = "relu",
    blocks: Blocks = "preactivation",
    kernels: Integers | None = None,
    gain: bool = False,
    scale: Scale | None = None,
    transformer: Spline | Mixture | Transformer | None = None,
    split: bool = True,
    learned_prior: bool = True,
    learned_top: bool = True,
    quantization: SupportsIndex = 256,
    alpha: float = 1e-6,
    dtype: npt.DTypeLike = "float32",
    seed: SupportsIndex = 0,
) -> Flow:
    """RealNVP of images [1]_: couplings with checkerboards, a squeeze, couplings by channel and a split, by levels.

    With actnorm in place of batch normalisation. Takes and gives images [n, channels, height, width]. A context, such
    as a label, one-hot, is read by all networks.

    References
    ----------
    .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.

    Examples
    --------
    >>> diffeo.realnvp_image((1, 8, 8), steps=1, hidden=(8,)).shape
    (1, 8, 8)
    """
    return _create("realnvp_image", locals())
