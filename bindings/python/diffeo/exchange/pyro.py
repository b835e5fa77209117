"""Pyro: Bingham and others 2019. A TransformedDistribution of Pyro or torch, whose transforms go from noise to data.

Readers below give the steps of a transform in that direction. Pyro's conditional transforms have no distribution of
their own kind in torch: ConditionalTransformedDistribution is read likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from . import _layers
from ._bases import inside_independent, standard_noise, torch_base
from ._check import Source, Step, both_ways, reverse
from ._error import ConversionError
from ._layers import Layer, Transformer
from ._network import Network, Real
from ._torch import (
    Reader,
    activated,
    array,
    copied,
    double,
    dtype_of,
    in_float32,
    integers,
    linear,
    read,
    tensor,
    tensors_of,
)
from ._transforms import TABLE as FIXED
from ._transforms import chain, with_holders
from ._transforms import leaf as _leaf

MODULES = ("pyro", "torch")


# ------------------------------------------------------------------------------------------------------------ networks


def _net(net: Any, path: str, inputs: int) -> Network:
    """An AutoRegressiveNN or DenseNN; a conditional one reads the context first, ours last."""
    if not hasattr(net, "layers") or not hasattr(net, "f"):
        raise ConversionError(path, net, "only AutoRegressiveNN and DenseNN convert")
    context = int(getattr(net, "context_dim", 0))
    order = np.concatenate([np.arange(context, context + inputs), np.arange(context)])
    layers = [linear(layer) for layer in net.layers]
    dense, name = activated(layers, [net.f] * (len(layers) - 1), path, net)
    skip = getattr(net, "skip_layer", None)
    direct = None if skip is None else linear(skip).columns(order)
    return Network((dense[0].columns(order), *dense[1:]), name, context, direct=direct)


def _of_context(net: Any, path: str) -> Network:
    """A DenseNN that reads the context alone."""
    network = _net(net, path, int(net.input_dim))
    return replace(network, context=network.inputs)


def _transposed(columns: int, count: int) -> Any:
    """All numbers of a column from one number of all columns after the other."""
    return np.arange(columns * count).reshape(count, columns).T.ravel()


def _by_column(columns: int, transformer: Transformer) -> Any:
    """The same from widths of all columns, column by column, then heights, then derivatives, then lambdas."""
    starts = np.cumsum(columns * np.array(_sizes(transformer)))
    parts = np.split(np.arange(starts[-1]), starts[:-1])
    return np.concatenate([each.reshape(columns, -1) for each in parts], axis=1).ravel()


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
    bound, ends = float(said["bound"]), {"boundary_derivative": 1 - 1e-3}
    kinds = {"linear": _layers.linear_spline, "quadratic": _layers.spline}
    if said["order"] not in kinds:
        raise ConversionError(path, part, f"order is {said['order']!r}; 'linear' and 'quadratic' convert")
    return kinds[said["order"]](said["count_bins"], -bound, bound, "linear", **ends)


def _sizes(transformer: Transformer) -> list[int]:
    """How many widths, heights, derivatives and, of linear ones, lambdas a column has."""
    bins = int(str(transformer.attributes["bins"]))
    return [bins, bins, bins - 1, bins][: 3 + (transformer.attributes["transformer"] == "rational_linear")]


def _offsets(transformer: Transformer) -> Real:
    """What makes our parameters of a column of theirs: our derivatives are 1 at 0."""
    found = np.zeros(transformer.parameters)
    minimum = float(str(transformer.attributes["min_derivative"]))
    before, count = sum(_sizes(transformer)[:2]), _sizes(transformer)[2]
    found[before : before + count] = -np.log(np.expm1(1 - minimum))
    return found


def _splines(network: Network, transformer: Transformer, columns: int, index: Any) -> Network:
    """Outputs in our order and for our derivatives."""
    return network.select(index, 1.0, np.tile(_offsets(transformer), columns))


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
    network = _splines(_of_context(part.nn, f"{path}.nn"), transformer, dim, _by_column(dim, transformer))
    return _leaf(part, path, _layers.coupling(np.zeros(dim, np.int64), transformer, network))


def _spline_layer(part: Any, path: str) -> Layer:
    transformer = _spline(part, path)
    names = ["widths", "heights", "derivatives", "lambdas"][: len(_sizes(transformer))]
    values = np.concatenate([array(getattr(part, f"unnormalized_{name}")) for name in names], axis=1)
    return _layers.elementwise(transformer, values + _offsets(transformer))


def _spline_coupling(part: Any, path: str) -> list[Step]:
    """The columns that it keeps go through splines of their own, before which the network reads them."""
    upper = part.upper_spline
    transformer = _spline(upper, f"{path}.upper_spline")
    moved = upper.input_dim
    dim = part.split_dim + moved
    network = _net(upper.nn, f"{path}.upper_spline.nn", part.split_dim)
    network = _splines(network, transformer, moved, _by_column(moved, transformer))
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


TABLE: dict[str, Reader] = with_holders(
    FIXED
    | {
        "AffineAutoregressive": _affine_autoregressive,
        "ConditionalAffineAutoregressive": _affine_autoregressive,
        "_ConditionalInverseTransformModule": lambda part, path: reverse(
            read(TABLE, part._transform, f"{path}._transform")
        ),
        "ConditionalComposeTransformModule": lambda part, path: chain(TABLE, part.transforms, f"{path}.transforms"),
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
    }
)


# ---------------------------------------------------------------------------------------------------------------- flow


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
    if hasattr(value, "_validate_args"):  # else it raises or not, as whoever was imported last has it
        value._validate_args = False
    for name, inner in list(getattr(value, "__dict__", {}).items()):
        kind = type(inner).__module__
        if hasattr(inner, "detach") or kind.startswith(("torch.distributions", "pyro.distributions")):
            value.__dict__[name] = _cast(inner, dtype, seen)
        elif isinstance(inner, (list, tuple)):
            value.__dict__[name] = type(inner)(_cast(each, dtype, seen) for each in inner)
    return value


def _flattened(flow: Any) -> tuple[list[Step], Any, str]:
    """All transforms, toward data, the base that is no such distribution itself, and where it is."""
    steps, path = chain(TABLE, flow.transforms, "transforms"), "base_dist"
    base = flow.base_dist
    while True:
        if type(base).__name__ == "ConstantConditionalDistribution":
            base, path = base.base_dist, f"{path}.base_dist"
        inner = inside_independent(base)
        if not (hasattr(inner, "transforms") and hasattr(inner, "base_dist")):
            return steps, base, path
        steps = [*chain(TABLE, inner.transforms, f"{path}.transforms"), *steps]
        base, path = inner.base_dist, f"{path}.base_dist"


def source(flow: Any) -> Source:
    """What a TransformedDistribution is."""
    if not hasattr(flow, "transforms") or not hasattr(flow, "base_dist"):
        raise ConversionError("", flow, "only a TransformedDistribution is converted")
    original, dtype = flow, dtype_of(tensors_of(flow))
    with double():
        flow = _cast(copied(flow), "float64", set())
    toward_data, known, path = _flattened(flow)
    steps, (base, dim) = reverse(toward_data), torch_base(known, path)

    def base_log_prob(z: Real, context: Real | None) -> Real:
        with double():
            noise = tensor(z)  # beyond the support torch says anything, unless all of torch validates
            log_prob = array(known.log_prob(noise).masked_fill(~known.support.check(noise), -np.inf))
            return log_prob.sum(axis=1) if log_prob.ndim > 1 else log_prob

    maps = both_ways(steps)

    def log_prob(x: Real, context: Real | None) -> Real:
        z, log_det = maps[0](x, context)
        return base_log_prob(z, context) + log_det

    def density(of: Any) -> Callable[[Real, Real | None], Real]:
        def run(x: Real, context: Real | None) -> Real:
            with double():
                given = of if context is None else of.condition(tensor(context))
                log_prob = array(given.log_prob(tensor(x)))
            return log_prob.sum(axis=1) if log_prob.ndim > 1 else log_prob

        return run

    name, library = type(flow).__qualname__, type(flow).__module__.partition(".")[0]
    made = Source(library, name, dim, steps, base, log_prob, base_log_prob, *maps, dtype)
    made.in_float32 = in_float32(lambda: _cast(copied(original), "float32", set()), density)
    return standard_noise(made, known)
