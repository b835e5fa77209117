"""Pyro: Bingham and others 2019. A TransformedDistribution of Pyro or torch, whose transforms go from noise to data.

Readers below give the steps of a transform in that direction. Pyro's conditional transforms have no distribution of
their own kind in torch: ConditionalTransformedDistribution is read likewise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import _layers
from ._check import Map, Source, Step, reverse
from ._error import ConversionError
from ._layers import Layer, Transformer
from ._network import Network, Real, real
from ._torch import Reader, activation, array, double, in_float32, integers, linear, mapped, read, tensor
from .nflows import spline_outputs

MODULES = ("pyro", "torch")


def _given(part: Any, context: Any) -> Any:
    return part.condition(context) if hasattr(part, "condition") else part


def _sum(log_det: Any, x: Any, event_dim: int = 1) -> Any:
    """Of each row; that of a map of numbers is one for each number, or for each column."""
    return log_det.expand(len(x)) if event_dim else log_det.expand(x.shape).sum(dim=1)


def _maps(part: Any) -> tuple[Map, Map]:
    """Without Pyro's memory of its last results."""

    def forward(x: Any, context: Any) -> Any:
        transform = _given(part, context)
        y = transform(x)
        return y, _sum(transform.log_abs_det_jacobian(x, y), x, transform.domain.event_dim)

    def backward(y: Any, context: Any) -> Any:
        transform = _given(part, context)
        try:
            x = transform._inverse(y)
        except KeyError as error:
            raise NotImplementedError(str(error)) from error
        return x, -_sum(transform.log_abs_det_jacobian(x, transform(x)), x, transform.domain.event_dim)

    return mapped(forward), mapped(backward)


def _leaf(part: Any, path: str, *layers: Layer) -> list[Step]:
    return [Step(path, part, list(layers), *_maps(part))]


# ------------------------------------------------------------------------------------------------------------ networks


def _net(net: Any, path: str, inputs: int) -> Network:
    """An AutoRegressiveNN or DenseNN; a conditional one reads the context first, ours last."""
    if not hasattr(net, "layers") or not hasattr(net, "f"):
        raise ConversionError(path, net, "only AutoRegressiveNN and DenseNN convert")
    if getattr(net, "skip_layer", None) is not None:
        raise ConversionError(path, net, "skip_connections")
    context = int(getattr(net, "context_dim", 0))
    order = np.concatenate([np.arange(context, context + inputs), np.arange(context)])
    dense = [linear(layer) for layer in net.layers]
    return Network((dense[0].columns(order), *dense[1:]), activation(net.f, path, net), context)


def _of_context(net: Any, path: str) -> Network:
    """A DenseNN that reads the context alone."""
    network = _net(net, path, int(net.input_dim))
    return replace(network, context=network.inputs)


def _transposed(columns: int, count: int) -> Any:
    """All numbers of a column from one number of all columns after the other."""
    return np.arange(columns * count).reshape(count, columns).T.ravel()


def _by_column(columns: int, bins: int) -> Any:
    """The same from widths of all columns, column by column, then heights, then derivatives."""
    widths, heights, derivatives = np.split(np.arange(columns * (3 * bins - 1)), [columns * bins, 2 * columns * bins])
    return np.concatenate([each.reshape(columns, -1) for each in (widths, heights, derivatives)], axis=1).ravel()


def _scale(part: Any, path: str, kwargs: Any) -> tuple[Transformer, float]:
    """The scale, and what is added to its output."""

    def word(name: str, otherwise: float) -> float:
        return float(kwargs.get(name, otherwise) if kwargs is not None else getattr(part, name, otherwise))

    if kwargs.get("stable", False) if kwargs is not None else getattr(part, "stable", False):
        return _layers.affine("gated"), word("sigmoid_bias", 2.0) - 2.0
    low, high = word("log_scale_min_clip", -5.0), word("log_scale_max_clip", 3.0)
    return _layers.affine("clamped_exp", log_scale_low=low, log_scale_high=high), 0.0


def _affine(network: Network, columns: int, offset: float) -> Network:
    """Rows a, t for each column from all t and then all a."""
    index = np.arange(2 * columns).reshape(2, columns)[::-1].T.ravel()
    return network.select(index, 1.0, np.tile([offset, 0.0], columns))


def _affine_autoregressive(part: Any, path: str) -> list[Step]:
    conditional = hasattr(part, "condition")
    net = part.nn if conditional else part.arn
    transformer, offset = _scale(part, path, part.kwargs if conditional else None)
    dim = net.input_dim
    network = _affine(_net(net, f"{path}.arn", dim), dim, offset)
    return _leaf(part, path, _layers.autoregressive(dim, transformer, network))


def _affine_coupling(part: Any, path: str) -> list[Step]:
    conditional = hasattr(part, "condition")
    transformer, offset = _scale(part, path, part.kwargs if conditional else None)
    network = _net(part.nn, f"{path}.nn", part.split_dim)
    moved = network.outputs // 2
    mask = np.arange(part.split_dim + moved) < part.split_dim
    return _leaf(part, path, _layers.coupling(mask, transformer, _affine(network, moved, offset)))


def _spline(part: Any, path: str, said: Mapping[str, Any] | None = None) -> Transformer:
    """Its derivative at the ends of the box is 0.999."""
    said = vars(part) if said is None else {"order": "linear", "bound": 3.0, "count_bins": 8, **said}
    if said["order"] != "quadratic":
        raise ConversionError(path, part, "splines of linear order; order='quadratic' converts")
    bound = float(said["bound"])
    return _layers.spline(said["count_bins"], -bound, bound, "linear", boundary_derivative=1 - 1e-3)


def _splines(network: Network, transformer: Transformer, columns: int, index: Any) -> Network:
    """Outputs in our order and for our derivatives."""
    return network.select(index).with_last(lambda last: last.then(*spline_outputs(transformer, columns)))


def _spline_autoregressive(part: Any, path: str) -> list[Step]:
    conditional = hasattr(part, "condition")
    net = part.nn if conditional else part.arn
    transformer = _spline(part, path, part.kwargs) if conditional else _spline(part.spline, path)
    dim = net.input_dim
    index = _transposed(dim, transformer.parameters)
    network = _splines(_net(net, f"{path}.arn", dim), transformer, dim, index)
    return _leaf(part, path, _layers.autoregressive(dim, transformer, network))


def _conditional_spline(part: Any, path: str) -> list[Step]:
    transformer, dim = _spline(part, path), part.input_dim
    network = _splines(_of_context(part.nn, f"{path}.nn"), transformer, dim, _by_column(dim, part.count_bins))
    return _leaf(part, path, _layers.coupling(np.zeros(dim, np.int64), transformer, network))


def _spline_layer(part: Any, path: str) -> Layer:
    transformer = _spline(part, path)
    names = "unnormalized_widths", "unnormalized_heights", "unnormalized_derivatives"
    values = np.concatenate([array(getattr(part, name)) for name in names], axis=1)
    factor, offset = (each.reshape(values.shape) for each in spline_outputs(transformer, len(values)))
    return _layers.elementwise(transformer, values * factor + offset)


def _spline_coupling(part: Any, path: str) -> list[Step]:
    """The columns that it keeps go through splines of their own, before which the network reads them."""
    upper = part.upper_spline
    transformer = _spline(upper, f"{path}.upper_spline")
    moved = upper.input_dim
    dim = part.split_dim + moved
    network = _net(upper.nn, f"{path}.upper_spline.nn", part.split_dim)
    network = _splines(network, transformer, moved, _by_column(moved, upper.count_bins))
    layers = [_layers.coupling(np.arange(dim) < part.split_dim, transformer, network)]
    if not part.identity:
        own = _layers.embed(_spline_layer(part.lower_spline, f"{path}.lower_spline"), np.arange(part.split_dim), dim)
        layers += [own] if own is not None else []
    return _leaf(part, path, *layers)


def _batch_norm(part: Any, path: str) -> list[Step]:
    gamma = np.maximum(array(part.gamma), 0.0) + 1e-6
    statistics = array(part.moving_mean), array(part.moving_variance)
    layer = _layers.batch_norm(gamma, array(part.beta), *statistics, part.epsilon, part.momentum)
    return _leaf(part, path, layer.inverted())


def _planar(part: Any, path: str) -> list[Step]:
    values = {"u": array(part.u), "w": array(part.w), "b": array(part.bias)}
    return _leaf(part, path, Layer("planar", parameters=values))


def _conditional_planar(part: Any, path: str) -> list[Step]:
    """Its network gives b, u, w; ours u, w, b."""
    network = _of_context(part.nn, f"{path}.nn")
    return _leaf(part, path, Layer("planar", network=network.select(np.roll(np.arange(network.outputs), -1))))


def _radial(part: Any, path: str) -> list[Step]:
    values = {"x0": array(part.x0), "alpha": array(part.alpha_prime), "beta": array(part.beta_prime)}
    return _leaf(part, path, Layer("radial", parameters=values))


def _cholesky(part: Any, path: str) -> list[Step]:
    matrix = array(part.scale_tril)
    diagonal = np.diag(matrix)
    return _leaf(part, path, _layers.lu(matrix / diagonal, np.zeros(matrix.shape), diagonal, array(part.loc)))


def _affine_transform(part: Any, path: str) -> list[Step]:
    loc, scale = (array(v) if hasattr(v, "detach") else real(v) for v in (part.loc, part.scale))
    loc, scale = np.broadcast_arrays(loc, scale)
    if (scale <= 0).any():
        raise ConversionError(path, part, "its scale is not positive")
    return _leaf(part, path, _layers.elementwise_affine(np.log(scale), loc))


def _tanh(part: Any, path: str) -> list[Step]:
    """tanh(x) is 2 sigmoid(2 x) - 1."""
    doubled = _layers.elementwise_affine(np.log(2), 0)
    return _leaf(part, path, doubled, _layers.domain("logit", low=-1, high=1).inverted())


def _chain(parts: Any, path: str) -> list[Step]:
    return [step for i, each in enumerate(parts) for step in read(TABLE, each, f"{path}.{i}")]


TABLE: dict[str, Reader] = {
    "ComposeTransform": lambda part, path: _chain(part.parts, f"{path}.parts"),
    "_InverseTransform": lambda part, path: reverse(read(TABLE, part._inv, f"{path}._inv")),
    "AffineAutoregressive": _affine_autoregressive,
    "ConditionalAffineAutoregressive": _affine_autoregressive,
    "_ConditionalInverseTransformModule": lambda part, path: reverse(
        read(TABLE, part._transform, f"{path}._transform")
    ),
    "ConditionalComposeTransformModule": lambda part, path: _chain(part.transforms, f"{path}.transforms"),
    "ConstantConditionalTransform": lambda part, path: read(TABLE, part.transform, f"{path}.transform"),
    "AffineCoupling": _affine_coupling,
    "ConditionalAffineCoupling": _affine_coupling,
    "SplineAutoregressive": _spline_autoregressive,
    "ConditionalSplineAutoregressive": _spline_autoregressive,
    "ConditionalSpline": _conditional_spline,
    "SplineCoupling": _spline_coupling,
    "Spline": lambda part, path: _leaf(part, path, _spline_layer(part, path)),
    "Permute": lambda part, path: _leaf(part, path, _layers.permutation(integers(part.permutation))),
    "BatchNorm": _batch_norm,
    "Planar": _planar,
    "ConditionalPlanar": _conditional_planar,
    "Radial": _radial,
    "ConditionalRadial": lambda part, path: _leaf(
        part, path, Layer("radial", network=_of_context(part.nn, f"{path}.nn"))
    ),
    "Householder": lambda part, path: _leaf(part, path, _layers.householder(array(part.u_unnormed)[::-1])),
    "LowerCholeskyAffine": _cholesky,
    "AffineTransform": _affine_transform,
    "LeakyReLUTransform": lambda part, path: _leaf(part, path, _layers.domain("leaky_relu", slope=0.01)),
    "SigmoidTransform": lambda part, path: _leaf(part, path, _layers.domain("logit", low=0, high=1).inverted()),
    "ExpTransform": lambda part, path: _leaf(part, path, _layers.domain("log", low=0).inverted()),
    "SoftplusTransform": lambda part, path: _leaf(part, path, _layers.domain("softplus", low=0).inverted()),
    "TanhTransform": _tanh,
}


# ---------------------------------------------------------------------------------------------------------------- flow


def _base(base: Any) -> tuple[Layer, int]:
    inside = base
    while hasattr(inside, "base_dist"):
        inside = inside.base_dist
    shape = (*getattr(base, "batch_shape", ()), *getattr(base, "event_shape", ()))
    if len(shape) != 1:
        raise ConversionError("base_dist", base, f"its shape is {shape}, not that of a vector")
    match type(inside).__name__:
        case "Normal":
            loc, scale = array(inside.loc).ravel(), array(inside.scale).ravel()
            return Layer("normal", parameters={"mean": loc, "log_scale": np.log(scale)}), shape[0]
        case "Uniform":
            low, high = array(inside.low).ravel(), array(inside.high).ravel()
            if len(set(low)) == len(set(high)) == 1:
                return Layer("uniform", {"low": float(low[0]), "high": float(high[0])}), shape[0]
    raise ConversionError("base_dist", inside, "Diffeo has no such base distribution")


def _cast(value: Any, dtype: str, seen: set[int]) -> Any:
    """In this dtype; tensors of distributions and transforms, which are no modules, too."""
    import torch

    if hasattr(value, "double") and hasattr(value, "eval"):
        return value.to(getattr(torch, dtype)).eval()
    if hasattr(value, "detach"):
        return value.detach().to(getattr(torch, dtype)) if value.is_floating_point() else value
    if id(value) in seen:
        return value
    seen.add(id(value))
    for name, inner in list(getattr(value, "__dict__", {}).items()):
        kind = type(inner).__module__
        if hasattr(inner, "detach") or kind.startswith(("torch.distributions", "pyro.distributions")):
            value.__dict__[name] = _cast(inner, dtype, seen)
        elif isinstance(inner, (list, tuple)):
            value.__dict__[name] = type(inner)(_cast(each, dtype, seen) for each in inner)
    return value


def source(flow: Any) -> Source:
    """What a TransformedDistribution is."""
    if not hasattr(flow, "transforms") or not hasattr(flow, "base_dist"):
        raise ConversionError("", flow, "only a TransformedDistribution is converted")
    parameters = [p for t in flow.transforms for p in getattr(getattr(t, "transform", t), "parameters", list)()]
    dtype = "float64" if any("float64" in str(p.dtype) for p in parameters) else "float32"
    original = flow
    with double():
        flow = _cast(copy.deepcopy(flow), "float64", set())
    toward_data = _chain(flow.transforms, "transforms")
    known = flow.base_dist
    if type(known).__name__ == "ConstantConditionalDistribution":
        known = known.base_dist
    steps, (base, dim) = reverse(toward_data), _base(known)

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            log_prob = array(known.log_prob(tensor(z)))
            return log_prob.sum(axis=1) if log_prob.ndim > 1 else log_prob

    def chain(parts: list[Step]) -> Map:
        def run(x: Real, context: Real | None) -> tuple[Real, Real]:
            total = np.zeros(len(x))
            for step in parts:
                x, log_det = step.forward(x, context)
                total = total + log_det
            return x, total

        return run

    forward = chain(steps)

    def log_prob(x: Real, context: Real | None) -> Real:
        z, log_det = forward(x, context)
        return base_log_prob(z, context) + log_det

    def density(of: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with double():
                given = of if context is None else of.condition(tensor(context))
                log_prob = array(given.log_prob(tensor(x)))
            return log_prob.sum(axis=1) if log_prob.ndim > 1 else log_prob

        return run

    name, library = type(flow).__qualname__, type(flow).__module__.partition(".")[0]
    made = Source(library, name, dim, steps, base, log_prob, base_log_prob, forward, chain(toward_data), dtype)
    made.in_float32 = in_float32(lambda: _cast(copy.deepcopy(original), "float32", set()), density)
    return made
