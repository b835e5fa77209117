"""normflows: Stimper and others 2023. Its flows go from noise to data in the order of the list.

Readers below give the steps of a part in that direction, as its `forward` goes; the whole is turned round at the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from . import _layers
from ._bases import box_uniform, is_cube
from ._check import Map, Mapped, Source, Step, both_ways, reverse, standard_normal
from ._convolutions import AnyNetwork
from ._error import ConversionError
from ._images import FeatureMap, ImageReader, coupling, matrix, plain_convolutions, squeeze
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
    in_float32,
    integers,
    is_linear,
    linear,
    mapped,
    narrowed,
    normalisation,
    plain,
    read,
    tensor,
)
from .nflows import residual_net, spline_outputs, triangles, with_scale

MODULES = ("normflows",)


def _run(function: Callable[..., Any]) -> Callable[..., Any]:
    """A direction of a part."""
    takes_context = "context" in inspect.signature(function).parameters
    return lambda x, context: function(x, **({"context": context} if takes_context else {}))


def _leaf(part: Any, path: str, layers: list[Layer]) -> list[Step]:
    return [Step(path, part, layers, mapped(_run(part.forward)), mapped(_run(part.inverse)))]


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


# --------------------------------------------------------------------------------------------------------------- flows


def _constant_affine(part: Any, path: str) -> list[Step]:
    _initialised(part, path)
    if part.s.ndim != 2:
        raise ConversionError(path, part, "a layer of images in a flow of vectors")
    return _leaf(part, path, [_layers.elementwise_affine(array(part.s).ravel(), array(part.t).ravel())])


def _initialised(part: Any, path: str) -> None:
    if hasattr(part, "data_dep_init_done") and not float(part.data_dep_init_done):
        raise ConversionError(path, part, "it has not seen data yet, from which it would take its scale")


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
    if network.widths == other.widths:
        return network
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
    net, where = part.flows[1].param_map, f"{path}.flows.1.param_map"
    if "Conv" in type(net).__name__:
        raise ConversionError(where, net, "a network of images in a flow of vectors")
    first = next((m for m in net.modules() if is_linear(m)), None)
    if first is None:
        raise ConversionError(where, net, "the network has no linear layers")
    network = plain(net, first.weight.shape[1], where)
    moved = network.outputs // 2 if part.flows[1].scale else network.outputs
    mask = _split_mask(part, path, network.inputs, moved)
    transformer, network = _affine_outputs(part, network)
    return _leaf(part, path, [_layers.coupling(mask, transformer, network)])


def _split_mask(part: Any, path: str, kept: int, moved: int) -> Any:
    """Which columns or channels a coupling block keeps."""
    mask, mode = np.zeros(kept + moved, np.int64), part.flows[0].mode
    match mode:
        case "channel":
            mask[:kept] = 1
        case "channel_inv":
            mask[moved:] = 1
        case "checkerboard" | "checkerboard_inv":
            mask["inv" not in mode :: 2] = 1
        case _:
            raise ConversionError(path, part, f"the split {mode!r}")
    return mask


def _affine_outputs(part: Any, network: AnyNetwork) -> tuple[_layers.Transformer, AnyNetwork]:
    """The map of a coupling block, and its network with outputs for it."""
    affine = part.flows[1]
    if not affine.scale:
        return _layers.affine("additive"), network
    scale, moved = _SCALES[affine.scale_map], network.outputs // 2
    network = network.select(np.arange(2 * moved).reshape(moved, 2)[:, ::-1].ravel())
    return scale.transformer, with_scale(network, scale)


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
    return _leaf(part, path, [_permutation(part)])


def _permutation(part: Any) -> Layer:
    if part.mode == "shuffle":
        return _layers.permutation(integers(part.perm))
    return _layers.permutation(np.roll(np.arange(part.num_channels), -(part.num_channels // 2)))


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
    net, where = part.transform_net, f"{path}.transform_net"
    network = _coupling_net(net, int(mask.sum()), where)
    transformer, network = _spline_network(part, network, net, path)
    angles = getattr(net, "preprocessing", None) is not None
    if angles and transformer.attributes["boundary"] != "periodic":
        raise ConversionError(where, net, "it reads angles, and the columns that it moves are none")
    if not angles and transformer.attributes["boundary"] == "periodic":
        transformer = replace(transformer, attributes={**transformer.attributes, "encoding": "numbers"})
    steps = []
    if part.unconditional_transform is not None:
        kept = _spline_cdf(part.unconditional_transform, f"{path}.unconditional_transform")
        steps = [step.on(np.flatnonzero(mask), len(mask)) for step in kept]
    layers = [_layers.coupling(mask, transformer, network), *(layer for step in steps for layer in step.layers)]
    listed = _listed(part), _listed(part.unconditional_transform)
    return _within(_leaf(part, path, layers), part, np.flatnonzero(np.where(mask == 0, *listed)))


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
    steps = _leaf(part, path, [_layers.autoregressive(dim, transformer, network)])
    return _within(steps, part, np.arange(dim) if _listed(part) else np.arange(0))


def _listed(part: Any) -> bool:
    """Whether a spline has tails for each column."""
    return isinstance(getattr(part, "tails", None), (list, tuple))


def _within(steps: list[Step], part: Any, columns: Any) -> list[Step]:
    """Of what is beyond the bound it makes 0 where tails are a list; ours goes on by whole turns, or in a line."""
    bound = float(array(part.tail_bound).ravel()[0]) if hasattr(part.tail_bound, "detach") else float(part.tail_bound)

    def run(function: Map, x: Real, context: Real | None) -> Mapped:
        z, log_det = function(x, context)
        return np.where((np.abs(x[:, columns]) > bound).any(axis=1, keepdims=True), np.nan, z), log_det

    return [replace(step, forward=partial(run, step.forward)) for step in steps]


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


def _logit(part: Any, path: str) -> list[Step]:
    """From data to noise it is the logit of alpha + (1 - 2 alpha) x."""
    edge = part.alpha / (1 - 2 * part.alpha)
    return _leaf(part, path, [_layers.domain("logit", low=-edge, high=1 + edge).inverted()])


def _shift(part: Any, path: str) -> list[Step]:
    return _leaf(part, path, [_layers.elementwise_affine(0, part.shift).inverted()])


TABLE: dict[str, Reader] = {
    "AffineConstFlow": _constant_affine,
    "MaskedAffineFlow": _masked_affine,
    "AffineCouplingBlock": _affine_block,
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
    "Logit": _logit,
    "Shift": _shift,
}

# -------------------------------------------------------------------------------------------------------------- images


def _read_all(flows: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """The steps of a list of flows, from noise to data, and the map after them."""
    steps: list[Step] = []
    for i, each in enumerate(flows):
        more, at = _read_at(each, f"{path}.{i}", at)
        steps += more
    return steps, at


def _read_at(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    for kind in type(part).__mro__:
        if kind.__name__ in IMAGES and len(at.shape) == 3:
            return IMAGES[kind.__name__](part, path, at)
        if kind.__name__ in TABLE and (len(at.shape) == 1 or kind.__name__ in ("Logit", "Shift")):
            return [step.on(at.columns, at.dim) for step in TABLE[kind.__name__](part, path)], at
    raise ConversionError(path, part, f"Diffeo has no layer for it on maps of {at.shape}")


def _image_glow(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    return _read_all(part.flows, f"{path}.flows", at)


def _image_coupling(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    net, mode = part.flows[1].param_map, part.flows[0].mode
    if "checkerboard" in mode:
        raise ConversionError(path, part, f"the split {mode!r}, whose network sees maps of half the width")
    kept = (at.shape[0] + (mode == "channel")) // 2
    network = plain_convolutions(net, kept, f"{path}.flows.1.param_map")
    transformer, network = _affine_outputs(part, network)
    layer = at.layer(coupling(_split_mask(part, path, kept, at.shape[0] - kept), transformer, network))
    return [at.step(part, path, [layer], _run(part.forward), _run(part.inverse))], at


def _image_convolution(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """From data to noise it is W x."""
    if part.use_lu:
        diagonal = array(part.sign_S) * np.exp(array(part.log_S))
        rows = np.argmax(array(part.P), axis=1)
        layer = _layers.lu(array(part.L), array(part.U), diagonal, 0.0, rows)
    else:
        layer = matrix(array(part.W))
    return [at.step(part, path, [at.layer(layer.inverted())], _run(part.forward), _run(part.inverse))], at


def _image_affine(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """One scale and shift a channel, or more."""
    _initialised(part, path)
    scale, shift = array(part.s)[0], array(part.t)[0]
    if scale.shape == (at.shape[0], 1, 1):
        layer = at.layer(_layers.elementwise_affine(scale.ravel(), shift.ravel()))
    else:
        wide = (np.broadcast_to(each, at.shape).ravel() for each in (scale, shift))
        layer = at.shaped(at.size, 1, 1).layer(_layers.elementwise_affine(*wide))
    return [at.step(part, path, [layer], _run(part.forward), _run(part.inverse))], at


def _image_squeeze(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    """From data to noise it is a squeeze."""
    then = at.shaped(at.shape[0] // 4, 2 * at.shape[1], 2 * at.shape[2])
    layer = then.layer(squeeze("channels")).inverted()
    return [at.step(part, path, [layer], _run(part.forward), _run(part.inverse), then)], then


def _image_permute(part: Any, path: str, at: FeatureMap) -> tuple[list[Step], FeatureMap]:
    return [at.step(part, path, [at.layer(_permutation(part))], _run(part.forward), _run(part.inverse))], at


IMAGES: dict[str, ImageReader] = {
    "GlowBlock": _image_glow,
    "AffineCouplingBlock": _image_coupling,
    "Invertible1x1Conv": _image_convolution,
    "AffineConstFlow": _image_affine,
    "Squeeze": _image_squeeze,
    "Permute": _image_permute,
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
    factor, places = base.logscale_factor, int(base.num_pix)
    loc = (array(base.loc) * np.exp(array(base.loc_logs) * factor)).ravel()
    log_scale = (array(base.log_scale) * np.exp(array(base.log_scale_logs) * factor)).ravel()
    log_scale = log_scale + (0.0 if base.temperature is None else np.log(base.temperature))
    loc, log_scale = (np.repeat(each, places) for each in (loc, log_scale))
    if not base.class_cond:
        return Layer("normal", parameters={"mean": loc, "log_scale": log_scale})
    classes = (np.repeat(array(each).T, places, axis=0) for each in (base.loc_cc, base.log_scale_cc))
    return _linear_normal(*(Dense.of(w, b) for w, b in zip(classes, (loc, log_scale), strict=True)))


def _conditional_gaussian(base: Any, path: str) -> Layer:
    return Layer("normal", network=plain(base.context_encoder, 0, f"{path}.context_encoder"))


def _cube(base: Any, path: str) -> Layer:
    if not is_cube(base):  # normflows has no density there either: it takes one width for all columns
        raise ConversionError(path, base, "the box is not a cube")
    return box_uniform(base, path)


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
    "Uniform": _cube,
}


def _uniform_gaussian(base: Any, path: str) -> Step:
    """Uniform in some columns, which a probit makes normal, and normal in the others: to standard normal noise."""
    scale, uniform = array(base.scale), np.zeros(int(base.ndim), bool)
    uniform[integers(base.ind)] = True
    columns, half, std = np.flatnonzero(uniform), scale[uniform] / 2, np.where(uniform, 1.0, scale)
    log_scale, special = float(np.log(scale).sum()), import_module("torch.special")

    def log_det(z: Any) -> Any:
        return (0.5 * (z[:, columns] ** 2 + np.log(2 * np.pi))).sum(dim=1) - log_scale

    def forward(x: Any, context: Any) -> Any:
        z = x / tensor(scale)
        z[:, columns] = special.ndtri(z[:, columns] + 0.5)
        return z, log_det(z)

    def backward(z: Any, context: Any) -> Any:
        x = z.clone()
        x[:, columns] = special.ndtr(z[:, columns]) - 0.5
        return x * tensor(scale), -log_det(z)

    layers = [_layers.domain("probit", columns, low=-half, high=half), _layers.standardize(np.zeros(len(std)), std)]
    return Step(path, base, layers, mapped(forward), mapped(backward))


def _base(base: Any, path: str) -> Layer:
    if type(base).__name__ not in BASES:
        raise ConversionError(path, base, "Diffeo has no such base distribution")
    return BASES[type(base).__name__](base, path)


def _shape(base: Any) -> tuple[int, ...]:
    """Of what a base gives."""
    if hasattr(base, "ndim"):
        return (int(base.ndim),)
    shape = (base.dim,) if hasattr(base, "n_modes") else base.shape
    return tuple(int(size) for size in shape)


# ---------------------------------------------------------------------------------------------------------------- flow


def source(flow: Any) -> Source:
    """What a flow of normflows is."""
    original = flow
    flow, dtype = in_double(flow)
    if type(flow.q0).__name__ == "Uniform":  # its constants are no buffers: they stay in float32
        flow.q0.low, flow.q0.high = flow.q0.low.double(), flow.q0.high.double()
        flow.q0.log_prob_val = -flow.q0.d * (flow.q0.high - flow.q0.low).log()
    if hasattr(flow, "merges"):
        return _multiscale(flow, dtype, original)
    _derive(flow)
    mixed = [_uniform_gaussian(flow.q0, "q0")] if type(flow.q0).__name__ == "UniformGaussian" else []
    base, noise = Layer("standard_normal") if mixed else _base(flow.q0, "q0"), _shape(flow.q0)
    dim = int(np.prod(noise))
    toward_data, data = _read_all(flow.flows, "flows", FeatureMap(dim, noise))
    steps = [*reverse(toward_data), *mixed]

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            given = () if context is None else (tensor(context),)
            return array(flow.q0.log_prob(tensor(z.reshape(len(z), *noise)), *given))

    def density(module: Any) -> Callable[[Real, Real | None], Real]:
        def log_prob(x: Real, context: Real | None) -> Real:
            with double():
                given = () if context is None else (tensor(context),)
                return array(module.log_prob(tensor(x.reshape(len(x), *data.shape)), *given))

        return log_prob

    name = type(flow).__qualname__
    if name != "ConditionalNormalizingFlow":
        steps = _without_context(steps)
    box = None if base.kind != "uniform" else (float(str(base.attributes["low"])), float(str(base.attributes["high"])))
    maps = both_ways(steps)
    of_noise = standard_normal if mixed else base_log_prob
    made = Source("normflows", name, dim, steps, base, density(flow), of_noise, *maps)
    made.in_float32 = in_float32(narrowed(original), density)
    made.dtype, made.box, made.shape = dtype, box, data.shape if len(data.shape) == 3 else ()
    if any(_listed(part) and "linear" in part.tails for part in flow.modules()):
        made.notes = (
            "normflows makes 0 of what is beyond the bound of its circular layers; here tails that are no angles "
            "are linear, as it says they are",
        )
    return made


def _derive(flow: Any) -> None:
    """Make the scales of angles, pi / bound, anew in float64: where bounds are tensors they were made in float32."""
    for part in flow.modules():
        net = getattr(part, "transform_net", getattr(part, "autoregressive_net", None))
        scale, bound = getattr(getattr(net, "preprocessing", None), "scale", None), getattr(part, "tail_bound", None)
        if scale is not None and hasattr(scale, "detach") and hasattr(bound, "detach"):
            exact = np.pi / array(bound).ravel()[0]
            if np.allclose(array(scale), exact, rtol=1e-6):
                scale.fill_(exact)


def _without_context(steps: list[Step]) -> list[Step]:
    """Only the base is given the class."""

    def deaf(function: Map) -> Map:
        return lambda x, context: function(x, None)

    return [replace(step, forward=deaf(step.forward), backward=deaf(step.backward)) for step in steps]


def _multiscale(flow: Any, dtype: str, original: Any) -> Source:
    """Levels from noise to data: each is merged with new channels behind those that it has, or before them."""
    shapes = [_shape(base) for base in flow.q0]
    modes = [merge.mode for merge in flow.merges]
    for i, mode in enumerate(modes):
        if mode not in ("channel", "channel_inv"):
            raise ConversionError(f"merges.{i}", flow.merges[i], f"the mode {mode!r}")
    sizes = [int(np.prod(shape)) for shape in shapes]
    before = sum(size for size, mode in zip(sizes[1:], modes, strict=True) if mode == "channel_inv")
    at = FeatureMap(sum(sizes), shapes[0], before)
    noise, toward_data = [at], []
    for i, shape in enumerate(shapes):
        if i:
            first = modes[i - 1] == "channel_inv"
            fresh = FeatureMap(at.dim, shape, at.start - sizes[i] if first else at.start + at.size)
            at = FeatureMap(at.dim, (at.shape[0] + shape[0], *at.shape[1:]), min(at.start, fresh.start))
            noise.append(fresh)
        more, at = _read_all(flow.flows[i], f"flows.{i}", at)
        toward_data += more
    if flow.transform is not None:
        more, at = _read_at(flow.transform, "transform", at)
        toward_data += more
    steps, data = _without_context(reverse(toward_data)), at
    order = np.argsort([each.start for each in noise])
    base = _joined([_base(flow.q0[i], f"q0.{i}") for i in order])

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            given = (tensor(context),) if flow.class_cond and context is not None else ()
            total = np.zeros(len(z))
            for q, each in zip(flow.q0, noise, strict=True):
                total += array(q.log_prob(tensor(z[:, each.columns].reshape(len(z), *each.shape)), *given))
            return total

    def density(module: Any) -> Callable[[Real, Real | None], Real]:
        def log_prob(x: Real, context: Real | None) -> Real:
            with double():
                return array(module.log_prob(tensor(x.reshape(len(x), *data.shape)), tensor(context)))

        return log_prob

    runs = both_ways(steps)
    made = Source("normflows", "MultiscaleFlow", data.dim, steps, base, density(flow), base_log_prob, *runs)
    made.in_float32 = in_float32(narrowed(original), density)
    made.dtype, made.shape = dtype, data.shape if len(data.shape) == 3 else ()
    return made


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
