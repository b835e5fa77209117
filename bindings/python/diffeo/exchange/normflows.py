"""normflows: Stimper and others 2023. Its flows go from noise to data in the order of the list.

Readers below give the steps of a part in that direction, as its `forward` goes; the whole is turned round at the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Mapped, Source, Step, reverse
from ._error import ConversionError
from ._layers import Layer
from ._network import Dense, Network, Real, constant, inverse_softplus
from ._probe import Scale, sigmoid_scale
from ._torch import (
    Reader,
    activation,
    array,
    chain,
    double,
    in_double,
    integers,
    is_linear,
    linear,
    mapped,
    normalisation,
    plain,
    read,
    tensor,
)
from .nflows import box_uniform, residual_net, spline_outputs, triangles, with_scale

MODULES = ("normflows",)


def _run(function: Callable[..., Any], image: bool = False) -> Map:
    """A direction of a part; one of images is given images of one pixel."""
    takes_context = "context" in inspect.signature(function).parameters

    def run(x: Any, context: Any) -> Any:
        z, log_det = function(x[:, :, None, None] if image else x, **({"context": context} if takes_context else {}))
        return z[:, :, 0, 0] if image else z, log_det

    return mapped(run)


def _leaf(part: Any, path: str, layers: list[Layer], image: bool = False) -> list[Step]:
    return [Step(path, part, layers, _run(part.forward, image), _run(part.inverse, image))]


# ------------------------------------------------------------------------------------------------------------ networks


def made(net: Any, path: str) -> Network:
    """A MADE: unlike that of nflows it has no activation after its first layer, and the context is added as it is."""
    context = linear(net.context_layer) if hasattr(net, "context_layer") else None
    first = linear(net.initial_layer)
    if type(net.preprocessing).__name__ != "Identity":
        first = _periodic(net.preprocessing, first, path)
    if context is not None:
        both = np.concatenate([first.weight, context.weight], axis=1)
        sees = np.concatenate([first.sees, context.sees], axis=1)
        first = Dense(both, first.bias + context.bias, sees)
    count = 0 if context is None else context.weight.shape[1]
    if all(hasattr(block, "linear_layers") for block in net.blocks):
        if not len(net.blocks):
            return Network((_product(linear(net.final_layer), first),), context=count)
        inner = residual_net(net, path)
        mode = "gate" if count else "input"
        return replace(inner, dense=(first, inner.dense[-1]), context=count, context_mode=mode)
    dense, names = [], set()
    for i, block in enumerate(net.blocks):
        masked = linear(block.linear)
        if block.batch_norm is not None:
            masked = masked.after(*normalisation(block.batch_norm))
        dense.append(_product(masked, first) if i == 0 else masked)
        names.add(activation(block.activation, f"{path}.blocks.{i}", block))
    return Network((*dense, linear(net.final_layer)), names.pop(), count)


def _product(outer: Dense, inner: Dense) -> Dense:
    """Two linear layers in one."""
    return Dense(outer.weight @ inner.weight, outer.bias + outer.weight @ inner.bias, outer.sees @ inner.sees)


def _periodic(features: Any, first: Dense, path: str) -> Dense:
    """A first layer that reads w sin(k x) + v cos(k x): ours reads the cosine and the sine of k x + pi."""
    columns = first.weight.shape[1]
    if len(features.ind) < columns or features.apply_bias or type(features.activation).__name__ != "Identity":
        raise ConversionError(path, features, "only angles without bias and activation, and no other columns, convert")
    order, weights = integers(features.ind), array(features.weights)
    wide, sees = np.empty((len(first.bias), columns, 2)), np.repeat(first.sees[:, :, None], 2, axis=2)
    wide[:, order, 0], wide[:, order, 1] = (
        -first.weight[:, order] * weights[:, 1],
        -first.weight[:, order] * weights[:, 0],
    )
    return Dense(wide.reshape(len(wide), -1), first.bias, sees.reshape(len(wide), -1))


def _coupling_net(net: Any, inputs: int, path: str) -> Network:
    if not hasattr(net, "initial_layer"):
        return plain(net, inputs, path)
    network = residual_net(net, path)
    if getattr(net, "preprocessing", None) is not None:
        before = network.dense[0]
        own = _periodic(net.preprocessing, before.columns(np.arange(inputs)), path)
        rest = before.columns(np.arange(inputs, before.weight.shape[1]))
        weight = np.concatenate([own.weight, rest.weight], axis=1)
        network = network.with_first(lambda first: Dense.of(weight, first.bias))
    return network


def _pixel(module: Any) -> Any:
    """The layers of a network of images as those of the one pixel in the middle."""
    layers: list[Any] = []
    for each in module.net:
        if type(each).__name__ == "Conv2d":
            middle = each.kernel_size[0] // 2
            layers.append(_Pixel(each.weight[:, :, middle, middle], each.bias))
        elif type(each).__name__ == "ActNorm" and layers:
            before, norm = layers[-1], each.actNorm
            scale, shift = norm.s.exp().flatten(), norm.t.flatten()
            bias = shift if before.bias is None else before.bias * scale + shift
            layers[-1] = _Pixel(before.weight * scale[:, None], bias)
        else:
            layers.append(each)
    return layers


class _Pixel:
    """A convolution of one pixel; its name has Linear, as that is what it is."""

    def __init__(self, weight: Any, bias: Any) -> None:
        self.weight, self.bias = weight, bias


_Pixel.__name__ = "PixelLinear"


# --------------------------------------------------------------------------------------------------------------- flows


def _constant_affine(part: Any, path: str) -> list[Step]:
    if hasattr(part, "data_dep_init_done") and not float(part.data_dep_init_done):
        raise ConversionError(path, part, "it has not seen data yet, from which it would take its scale")
    image = part.s.ndim == 4
    if part.s[0].numel() != part.s.shape[1]:
        raise ConversionError(path, part, "images are not converted, only vectors")
    return _leaf(part, path, [_layers.elementwise_affine(array(part.s).ravel(), array(part.t).ravel())], image)


def _masked_affine(part: Any, path: str) -> list[Step]:
    """B z + (1 - b) (z exp(s(b z)) + t(b z)), with two networks of all columns."""
    mask = array(part.b).ravel().astype(np.int64)
    kept, moved = np.flatnonzero(mask), np.flatnonzero(1 - mask)
    networks: list[Network | None] = []
    bound = None
    for name in "s", "t":
        net = getattr(part, name)
        if not hasattr(net, "modules"):  # torch.zeros_like
            networks.append(None)
            continue
        modules = list(net.net) if hasattr(net, "net") else [m for m in net.modules() if not list(m.children())]
        dense, activation_name, after = chain(modules, f"{path}.{name}", net)
        network = Network(tuple(dense), activation_name)
        if after:
            scales = [float(m.scale) for m in after if type(m).__name__ == "ConstScaleLayer"]
            names = [type(m).__name__ for m in after if type(m).__name__ != "ConstScaleLayer"]
            if name == "t" or names != ["Tanh"] or len(scales) not in (0, 1, 2):
                raise ConversionError(f"{path}.{name}", net, f"the network ends with {', '.join(names)}")
            before = scales[0] if type(after[0]).__name__ == "ConstScaleLayer" else 1.0
            bound = scales[-1] if type(after[-1]).__name__ == "ConstScaleLayer" else 1.0
            count = network.outputs
            network = network.select(np.arange(count), before * bound)
        networks.append(network.reading(kept).select(moved))
    scale, shift = networks
    transformer = _layers.affine("exp") if bound is None else _layers.affine("tanh", bound=bound)
    if scale is None:
        shift = shift or constant(np.zeros(len(moved)), len(kept))
        return _leaf(part, path, [_layers.coupling(mask, _layers.affine("additive"), shift)])
    if shift is None:
        both = scale.select(np.stack([np.arange(len(moved)), np.full(len(moved), -1)], axis=1).ravel())
        return _leaf(part, path, [_layers.coupling(mask, transformer, both)])
    if len(scale.widths) != len(shift.widths):
        raise ConversionError(path, part, "its two networks have different numbers of layers")
    scale, shift = as_wide(scale, shift), as_wide(shift, scale)
    return _leaf(part, path, [_layers.coupling(mask, transformer, shift, scale)])


def as_wide(network: Network, other: Network) -> Network:
    """With hidden units that do nothing, so that all layers are as wide as those of the other network."""
    dense, inputs = [], network.dense[0].weight.shape[1]
    for d, wide in zip(network.dense, [*other.widths, None], strict=True):
        d = d.columns(np.concatenate([np.arange(d.weight.shape[1]), np.full(inputs - d.weight.shape[1], -1)]))
        if wide is not None:
            extra = max(wide - len(d.bias), 0)
            d = d.rows(np.concatenate([np.arange(len(d.bias)), np.full(extra, -1)]))
        inputs = len(d.bias)
        dense.append(d)
    return Network(tuple(dense), network.activation, network.context)


_SCALES = {
    "exp": Scale(_layers.affine("exp")),
    "sigmoid": Scale(_layers.affine("reciprocal_sigmoid"), offset=2.0),
    "sigmoid_inv": sigmoid_scale(2.0, 0.0),
}


def _affine_block(part: Any, path: str) -> list[Step]:
    split, affine = part.flows[0], part.flows[1]
    net = affine.param_map
    image = "Conv" in type(net).__name__
    where = f"{path}.flows.1.param_map"
    if image:
        dense, name, after = chain(_pixel(net), where, net)
        network = Network(tuple(dense), name)
        if after:
            raise ConversionError(where, net, f"the network ends with {type(after[-1]).__name__}")
    else:
        first = next((m for m in net.modules() if is_linear(m)), None)
        if first is None:
            raise ConversionError(where, net, "the network has no linear layers")
        network = plain(net, first.weight.shape[1], where)
    moved = network.outputs // 2 if affine.scale else network.outputs
    dim = network.inputs + moved
    match split.mode:
        case "channel":
            kept = np.arange(network.inputs)
        case "channel_inv":
            kept = np.arange(moved, dim)
        case "checkerboard" | "checkerboard_inv" if not image:
            kept = np.arange("inv" not in split.mode, dim, 2)
        case _:
            raise ConversionError(path, part, f"the split {split.mode!r}")
    mask = np.zeros(dim, np.int64)
    mask[kept] = 1
    scale = Scale(_layers.affine("additive"))
    if affine.scale:
        scale = _SCALES[affine.scale_map]
        network = with_scale(network.select(np.arange(2 * moved).reshape(moved, 2)[:, ::-1].ravel()), scale)
    return _leaf(part, path, [_layers.coupling(mask, scale.transformer, network)], image)


def _convolution(part: Any, path: str) -> list[Step]:
    """From data to noise it is W x."""
    if part.use_lu:
        diagonal = array(part.sign_S) * np.exp(array(part.log_S))
        rows = np.argmax(array(part.P), axis=1)
        layer = _layers.lu(array(part.L), array(part.U), diagonal, 0.0, rows)
    else:
        layer = _layers.linear(array(part.W))
    return _leaf(part, path, [layer.inverted()], image=True)


def _invertible_affine(part: Any, path: str) -> list[Step]:
    """From data to noise it is x W, rows being vectors."""
    with double():
        matrix = array(part._assemble_W() if part.use_lu else part.W)
    return _leaf(part, path, [_layers.linear(matrix.T).inverted()])


def _lu_permute(part: Any, path: str) -> list[Step]:
    linear = part.linear
    diagonal = np.logaddexp(0.0, array(linear.unconstrained_upper_diag)) + linear.eps
    layers = [
        _layers.permutation(integers(part.permutation._permutation)),
        _layers.lu(*triangles(linear), diagonal, array(linear.bias)),
    ]
    return _leaf(part, path, [layer.inverted() for layer in reversed(layers)])


def _permute(part: Any, path: str) -> list[Step]:
    if part.mode == "shuffle":
        order = integers(part.perm)
    else:
        order = np.roll(np.arange(part.num_channels), -(part.num_channels // 2))
    return _leaf(part, path, [_layers.permutation(order)])


def _affine_autoregressive(part: Any, path: str) -> list[Step]:
    scale = sigmoid_scale(2.0, 1e-3)
    network = with_scale(made(part.autoregressive_net, f"{path}.autoregressive_net"), scale)
    return _leaf(part, path, [_layers.autoregressive(part.features, scale.transformer, network)])


def _spline(part: Any, path: str) -> tuple[_layers.Transformer, Any]:
    """The spline, and which of their outputs of a column are ours: a list of tails leaves some unused."""
    tails = part.tails
    listed = isinstance(tails, (list, tuple))
    if listed and len(set(tails)) > 1:
        raise ConversionError(path, part, "columns with different tails in one layer")
    tails = tails[0] if listed and tails else tails
    bound = part.tail_bound
    if hasattr(bound, "detach"):
        bounds = set(array(bound).ravel())
        if len(bounds) > 1:
            raise ConversionError(path, part, "columns with different bounds in one layer")
        bound = bounds.pop()
    bins = part.num_bins if hasattr(part, "num_bins") else part.unnormalized_widths.shape[-1]
    boundary = {"linear": "linear", "circular": "periodic", None: "interval"}[tails]
    low, high = (0.0, 1.0) if tails is None else (-float(bound), float(bound))
    minima = {"min_width": part.min_bin_width, "min_height": part.min_bin_height}
    transformer = _layers.spline(bins, low, high, boundary, **minima, min_derivative=part.min_derivative)
    derivatives = np.arange(2 * bins, 3 * bins + 1) if listed else np.arange(2 * bins, transformer.parameters)
    if listed:
        derivatives = {"linear": derivatives[1:-1], "periodic": derivatives[:-1]}.get(boundary, derivatives)
    return transformer, np.concatenate([np.arange(2 * bins), derivatives])


def _spline_network(part: Any, network: Network, net: Any, path: str) -> tuple[_layers.Transformer, Network]:
    transformer, index = _spline(part, path)
    per = 3 * transformer_bins(transformer) + 1 if isinstance(part.tails, (list, tuple)) else len(index)
    columns = network.outputs // per
    network = network.select((np.arange(columns)[:, None] * per + index).ravel())
    root = float(np.sqrt(getattr(net, "hidden_features", 1)))
    return transformer, network.with_last(lambda last: last.then(*spline_outputs(transformer, columns, root)))


def transformer_bins(transformer: _layers.Transformer) -> int:
    """The bins of a spline."""
    return int(str(transformer.attributes["bins"]))


def _spline_coupling(part: Any, path: str) -> list[Step]:
    mask = np.zeros(part.features, np.int64)
    mask[integers(part.identity_features)] = 1
    network = _coupling_net(part.transform_net, int(mask.sum()), f"{path}.transform_net")
    transformer, network = _spline_network(part, network, part.transform_net, path)
    steps = []
    if part.unconditional_transform is not None:
        kept = _spline_cdf(part.unconditional_transform, f"{path}.unconditional_transform")
        steps = [step.on(np.flatnonzero(mask), len(mask)) for step in kept]
    layers = [_layers.coupling(mask, transformer, network), *(layer for step in steps for layer in step.layers)]
    return _leaf(part, path, layers)


def _spline_cdf(part: Any, path: str) -> list[Step]:
    transformer, index = _spline(part, path)
    names = "unnormalized_widths", "unnormalized_heights", "unnormalized_derivatives"
    values = np.concatenate([array(getattr(part, name)) for name in names], axis=1)[:, index]
    factor, offset = (each.reshape(values.shape) for each in spline_outputs(transformer, len(values)))
    layer = _layers.elementwise(transformer, values * factor + offset)
    return _leaf(part, path, [layer])


def _spline_autoregressive(part: Any, path: str) -> list[Step]:
    net = part.autoregressive_net
    transformer, network = _spline_network(part, made(net, f"{path}.autoregressive_net"), net, path)
    dim = network.outputs // transformer.parameters
    return _leaf(part, path, [_layers.autoregressive(dim, transformer, network)])


def _planar(part: Any, path: str) -> list[Step]:
    if part.act != "tanh":
        raise ConversionError(path, part, f"its nonlinearity is {part.act}, not tanh")
    return _leaf(part, path, [Layer("planar", parameters={name: array(getattr(part, name)).ravel() for name in "uwb"})])


def _radial(part: Any, path: str) -> list[Step]:
    alpha = inverse_softplus(np.abs(array(part.alpha)))
    values = {"x0": array(part.z_0).ravel(), "alpha": alpha, "beta": array(part.beta)}
    return _leaf(part, path, [Layer("radial", parameters=values)])


def _inside(name: str) -> Reader:
    """A wrapper whose forward is the inverse of what it wraps."""

    def reader(part: Any, path: str) -> list[Step]:
        return reverse(read(TABLE, getattr(part, name), f"{path}.{name}"))

    return reader


def _glow(part: Any, path: str) -> list[Step]:
    return [step for i, each in enumerate(part.flows) for step in read(TABLE, each, f"{path}.flows.{i}")]


TABLE: dict[str, Reader] = {
    "AffineConstFlow": _constant_affine,
    "MaskedAffineFlow": _masked_affine,
    "AffineCouplingBlock": _affine_block,
    "GlowBlock": _glow,
    "Invertible1x1Conv": _convolution,
    "InvertibleAffine": _invertible_affine,
    "LULinearPermute": _lu_permute,
    "Permute": _permute,
    "MaskedAffineAutoregressive": _affine_autoregressive,
    "CoupledRationalQuadraticSpline": _inside("prqct"),
    "CircularCoupledRationalQuadraticSpline": _inside("prqct"),
    "AutoregressiveRationalQuadraticSpline": _inside("mprqat"),
    "CircularAutoregressiveRationalQuadraticSpline": _inside("mprqat"),
    "PiecewiseRationalQuadraticCoupling": _spline_coupling,
    "MaskedPiecewiseRationalQuadraticAutoregressive": _spline_autoregressive,
    "Planar": _planar,
    "Radial": _radial,
}

# --------------------------------------------------------------------------------------------------------------- bases


def _gaussian(base: Any, path: str) -> Layer:
    temperature = 0.0 if base.temperature is None else np.log(base.temperature)
    values = {"mean": array(base.loc).ravel(), "log_scale": array(base.log_scale).ravel() + temperature}
    return Layer("normal", parameters=values)


def _linear_normal(mean: Dense, log_scale: Dense) -> Layer:
    """Both are linear in the context, here the classes."""
    both = Dense.of(np.concatenate([mean.weight, log_scale.weight]), np.concatenate([mean.bias, log_scale.bias]))
    return Layer("normal", network=Network((both,), context=both.weight.shape[1]))


def _class_gaussian(base: Any, path: str) -> Layer:
    loc, log_scale = (array(p).reshape(-1, base.num_classes) for p in (base.loc, base.log_scale))
    temperature = 0.0 if base.temperature is None else float(np.log(base.temperature))
    return _linear_normal(Dense.of(loc), Dense.of(log_scale, np.full(len(loc), temperature)))


def _glow_base(base: Any, path: str) -> Layer:
    if base.num_pix != 1:
        raise ConversionError(path, base, "images are not converted, only vectors")
    factor = base.logscale_factor
    loc = (array(base.loc) * np.exp(array(base.loc_logs) * factor)).ravel()
    log_scale = (array(base.log_scale) * np.exp(array(base.log_scale_logs) * factor)).ravel()
    log_scale = log_scale + (0.0 if base.temperature is None else np.log(base.temperature))
    if not base.class_cond:
        return Layer("normal", parameters={"mean": loc, "log_scale": log_scale})
    classes = array(base.loc_cc), array(base.log_scale_cc)
    return _linear_normal(Dense.of(classes[0].T, loc), Dense.of(classes[1].T, log_scale))


def _conditional_gaussian(base: Any, path: str) -> Layer:
    return Layer("normal", network=plain(base.context_encoder, 0, f"{path}.context_encoder"))


def _mixture(base: Any, path: str) -> Layer:
    values = {
        "logits": array(base.weight_scores)[0],
        "means": array(base.loc)[0],
        "log_scales": array(base.log_scale)[0],
    }
    return Layer("mixture", {"components": base.n_modes}, parameters=values)


BASES = {
    "DiagGaussian": _gaussian,
    "ClassCondDiagGaussian": _class_gaussian,
    "GlowBase": _glow_base,
    "ConditionalDiagGaussian": _conditional_gaussian,
    "GaussianMixture": _mixture,
    "Uniform": box_uniform,
}


def _base(base: Any, path: str) -> Layer:
    if type(base).__name__ not in BASES:
        raise ConversionError(path, base, "Diffeo has no such base distribution")
    return BASES[type(base).__name__](base, path)


def _size(base: Any, path: str) -> int:
    if hasattr(base, "n_modes"):
        return int(base.dim)
    if any(n != 1 for n in base.shape[1:]):
        raise ConversionError(path, base, "images are not converted, only vectors")
    return int(base.shape[0])


# ---------------------------------------------------------------------------------------------------------------- flow


def source(flow: Any) -> Source:
    """What a flow of normflows is."""
    flow, dtype = in_double(flow)
    if type(flow.q0).__name__ == "Uniform":  # its constants are no buffers: they stay in float32
        flow.q0.low, flow.q0.high = flow.q0.low.double(), flow.q0.high.double()
        flow.q0.log_prob_val = -flow.q0.d * (flow.q0.high - flow.q0.low).log()
    if hasattr(flow, "merges"):
        return _multiscale(flow, dtype)
    toward_data = [step for i, each in enumerate(flow.flows) for step in read(TABLE, each, f"flows.{i}")]
    steps, base = reverse(toward_data), _base(flow.q0, "q0")
    dim = _size(flow.q0, "q0")
    image = len(getattr(flow.q0, "shape", ())) == 3

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            given = () if context is None else (tensor(context),)
            return array(flow.q0.log_prob(tensor(z[:, :, None, None] if image else z), *given))

    def log_prob(x: Real, context: Real | None) -> Real:
        with double():
            given = () if context is None else (tensor(context),)
            return array(flow.log_prob(tensor(x[:, :, None, None] if image else x), *given))

    name = type(flow).__qualname__
    if name != "ConditionalNormalizingFlow":
        steps = _without_context(steps)
    box = None if base.kind != "uniform" else (float(str(base.attributes["low"])), float(str(base.attributes["high"])))
    made = Source("normflows", name, dim, steps, base, log_prob, base_log_prob, chained(steps), chained(reverse(steps)))
    made.dtype, made.box = dtype, box
    return made


def chained(steps: list[Step]) -> Map:
    """The library's own maps one after the other: its own loop adds log-determinants in float32."""

    def run(x: Real, context: Real | None) -> Mapped:
        total = np.zeros(len(x))
        for step in steps:
            x, log_det = step.forward(x, context)
            total = total + log_det
        return x, total

    return run


def _without_context(steps: list[Step]) -> list[Step]:
    """Only the base is given the class."""

    def deaf(function: Map) -> Map:
        return lambda x, context: function(x, None)

    return [replace(step, forward=deaf(step.forward), backward=deaf(step.backward)) for step in steps]


def _multiscale(flow: Any, dtype: str) -> Source:
    """Levels from noise to data: each is merged with new columns after those that it has."""
    if flow.transform is not None:
        raise ConversionError("transform", flow.transform, "a transform of the inputs")
    sizes = [_size(base, f"q0.{i}") for i, base in enumerate(flow.q0)]
    dim = sum(sizes)
    image = len(getattr(flow.q0[0], "shape", ())) == 3
    columns, toward_data = np.arange(0), []  # of the bases, in the order of the level
    for i, size in enumerate(sizes):
        fresh = np.arange(sum(sizes[:i]), sum(sizes[:i]) + size)
        if i and flow.merges[i - 1].mode not in ("channel", "channel_inv"):
            raise ConversionError(f"merges.{i - 1}", flow.merges[i - 1], f"the mode {flow.merges[i - 1].mode!r}")
        first = i and flow.merges[i - 1].mode == "channel_inv"
        columns = np.concatenate([fresh, columns] if first else [columns, fresh])
        for j, each in enumerate(flow.flows[i]):
            for step in read(TABLE, each, f"flows.{i}.{j}"):
                toward_data.append((step, columns))
    # The data are the columns of the last level in its order; noise the columns in that of the bases
    place = np.argsort(columns)
    inside = [step.on(place[used], dim) for step, used in toward_data]
    steps = reverse(inside)
    steps = _without_context([*steps, _reorder(columns)])
    bases = [_base(base, f"q0.{i}") for i, base in enumerate(flow.q0)]
    base = _joined(bases)

    def split(z: Real) -> list[Any]:
        parts = np.split(z, np.cumsum(sizes)[:-1], axis=1)
        return [tensor(part[:, :, None, None] if image else part) for part in parts]

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            given = (tensor(context),) if flow.class_cond and context is not None else ()
            return sum(
                (array(q.log_prob(part, *given)) for q, part in zip(flow.q0, split(z), strict=True)), np.zeros(len(z))
            )

    def log_prob(x: Real, context: Real | None) -> Real:
        with double():
            return array(flow.log_prob(tensor(x[:, :, None, None] if image else x), tensor(context)))

    made = Source(
        "normflows",
        "MultiscaleFlow",
        dim,
        steps,
        base,
        log_prob,
        base_log_prob,
        chained(steps),
        chained(reverse(steps)),
    )
    made.dtype = dtype
    return made


def _reorder(columns: Any) -> Step:
    """From the order of the data to that of the bases."""
    place = np.argsort(columns)

    def forward(x: Real, context: Real | None) -> Mapped:
        return x[:, place], np.zeros(len(x))

    def backward(z: Real, context: Real | None) -> Mapped:
        return z[:, columns], np.zeros(len(z))

    return Step("merges", "MultiscaleFlow", [_layers.permutation(place)], forward, backward)


def _joined(bases: list[Layer]) -> Layer:
    """Normal distributions side by side."""
    if any(base.kind != "normal" for base in bases):
        raise ConversionError("q0", "MultiscaleFlow", "bases other than normal distributions")
    if all(base.network is None for base in bases):
        names = "mean", "log_scale"
        return Layer("normal", parameters={name: np.concatenate([b.parameters[name] for b in bases]) for name in names})
    if any(base.network is None or len(base.network.dense) > 1 for base in bases):
        raise ConversionError("q0", "MultiscaleFlow", "only some of the bases depend on the class")
    halves: list[list[Dense]] = [[], []]
    for base in bases:
        dense = base.network.dense[0] if base.network is not None else Dense.of(np.zeros((0, 0)))
        for half, rows in zip(halves, np.split(np.arange(len(dense.bias)), 2), strict=True):
            half.append(dense.rows(rows))
    joined = [
        Dense.of(np.concatenate([d.weight for d in half]), np.concatenate([d.bias for d in half])) for half in halves
    ]
    return _linear_normal(joined[0], joined[1])
