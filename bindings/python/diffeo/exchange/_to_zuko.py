"""Flows of Diffeo as flows of zuko: the table below is the way back of zuko.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import AffineTransform
from zuko.distributions import BoxUniform, DiagNormal
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.flows.gaussianization import ElementWiseTransform
from zuko.lazy import Flow, LazyComposedTransform, UnconditionalDistribution, UnconditionalTransform
from zuko.nn import MaskedLinear
from zuko.transforms import (
    AdditiveTransform,
    CircularShiftTransform,
    ComposedTransform,
    DependentTransform,
    LULinearTransform,
    MonotonicAffineTransform,
    MonotonicRQSTransform,
    PermutationTransform,
)

from . import _formulas, _layers, _read
from ._error import NoCounterpartError
from ._export import Library, affine_only, export
from ._layers import Layer, Transformer
from ._nets import MATHS, Outputs, net, stages
from ._network import real
from ._read import Parts
from ._torch import tensor
from .zuko import _maps

# --------------------------------------------------------------------------------------------------------- univariates


def affine(shift: Any, a: Any, transformer: Transformer) -> Any:
    """The affine map with a scale that zuko has no name for."""
    scale, shift = _formulas.scale_and_shift(MATHS, transformer, a, shift)
    return AffineTransform(shift, scale)


def half_turn(*phi: Any, bound: float, slope: float) -> Any:
    """A spline on the circle, as zuko.flows.NCSF has it."""
    return ComposedTransform(CircularShiftTransform(bound), MonotonicRQSTransform(*phi, bound=bound, slope=slope))


def inverted(*phi: Any, univariate: Any) -> Any:
    """The inverse of a map of one number."""
    return univariate(*phi).inv


def each(*phi: Any, univariate: Any) -> Any:
    """The same map for all columns."""
    return DependentTransform(univariate(*phi), 1)


def _univariate(layer: Layer) -> tuple[Any, list[Any], Any]:
    """The map of one number, the shapes of its parameters, and which of our outputs each of them is."""
    affine_only(layer)
    assert layer.transformer is not None
    said: dict[str, Any] = dict(layer.transformer.attributes)
    if said["transformer"] == "rational_quadratic":
        return _spline(said)
    if said["scale"] == "additive":
        return AdditiveTransform, [()], [0]
    if said["scale"] == "soft_clip":
        return partial(MonotonicAffineTransform, slope=math.exp(-said["scale_bound"])), [(), ()], [1, 0]
    return partial(affine, transformer=layer.transformer), [(), ()], [1, 0]


def _spline(said: dict[str, Any]) -> tuple[Any, list[Any], Any]:
    bound, bins, slope = said["high"], said["bins"], said.get("derivative_bound", 0)
    if said["boundary"] not in ("linear", "half_turn") or said["low"] != -bound:
        box = f"its boundary is {said['boundary']}, from {said['low']} to {bound}"
        raise NoCounterpartError(f"{box}; zuko has linear and half_turn, from -b to b")
    formula = said.get("derivative"), said["min_width"], said["min_height"]
    same = formula == ("exp", 0, 0) and math.isclose(said.get("logit_bound", 0), slope / 2)
    if not same or said.get("boundary_derivative", 1) != 1 or said.get("half_ends", 0):
        raise NoCounterpartError("zuko has splines with derivative exp, logit_bound half of derivative_bound, minima 0")
    univariate = MonotonicRQSTransform if said["boundary"] == "linear" else half_turn
    shapes = [(bins,), (bins,), (bins - 1,)]
    return partial(univariate, bound=bound, slope=math.exp(-slope)), shapes, range(3 * bins - 1)


# ---------------------------------------------------------------------------------------------------------- transforms


def masked(sees: Any) -> Any:
    """A linear layer with this mask."""
    return MaskedLinear(torch.from_numpy(np.array(sees)))


def _hyper(layer: Layer, parts: Parts, index: Any) -> Any:
    """The network of a layer, with zuko's order of the outputs of a column."""
    first, *others = (n.given(parts.context) for n in (layer.network, layer.scale_network) if n is not None)
    if others:  # shifts, and what scales are made of
        pairs = np.arange(2 * first.outputs).reshape(2, -1).T
        return Outputs([net(n, masked) for n in (first, *others)], pairs.ravel())
    per = len(index)
    network = first.select((np.arange(first.outputs // per)[:, None] * per + np.asarray(index)).ravel())
    if network.blocks or network.context_layer is not None:
        return net(network, masked)
    made = nn.Sequential(*stages(network, masked))
    made.in_features, made.out_features = network.inputs + network.context, network.outputs
    return made


def _autoregressive(layer: Layer, parts: Parts) -> Any:
    univariate, shapes, index = _univariate(layer)
    if layer.attributes.get("inverse_map", 0):
        univariate = partial(inverted, univariate=univariate)
    rank = np.empty(parts.dim, np.int64)
    rank[layer.lists["order"]] = np.arange(parts.dim)
    # of one column zuko makes another transform, so there are two until the network is ours
    part = MaskedAutoregressiveTransform(
        max(parts.dim, 2), parts.context, univariate=univariate, shapes=shapes, hidden_features=()
    )
    part.order, part.passes, part.hyper = torch.from_numpy(rank), parts.dim, _hyper(layer, parts, index)
    return part


def _coupling(layer: Layer, parts: Parts) -> Any:
    univariate, shapes, index = _univariate(layer)
    mask = layer.lists["mask"]
    if mask.any():
        kept = torch.from_numpy(mask == 1)
        part = GeneralCouplingTransform(parts.dim, parts.context, kept, univariate, shapes, hidden_features=())
    else:
        part = ElementWiseTransform(parts.dim, parts.context, univariate, shapes, hidden_features=())
    part.hyper = _hyper(layer, parts, index)
    return part


def _elementwise(layer: Layer, parts: Parts) -> Any:
    if layer.network is not None or len(layer.lists["columns"]) < parts.dim:
        return _coupling(_read.as_coupling(layer, parts.dim), parts)
    univariate, shapes, index = _univariate(layer)
    values = layer.parameters["parameters"][:, list(index)]
    sizes = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    columns = np.split(values, sizes, axis=1)
    phi = [tensor(v.reshape(len(v), *shape)) for v, shape in zip(columns, shapes, strict=True)]
    return UnconditionalTransform(each, *phi, univariate=univariate)


def _diagonal(layer: Layer, parts: Parts) -> Any:
    scale, shift = _read.elementwise(layer)
    univariate = partial(affine, transformer=_layers.affine("exp"))
    return UnconditionalTransform(each, tensor(shift), tensor(np.log(scale)), univariate=univariate)


def _permutation(layer: Layer, parts: Parts) -> Any:
    order = torch.from_numpy(np.array(layer.lists["permutation"], np.int64))
    return UnconditionalTransform(PermutationTransform, order, buffer=True)


def _linear(layer: Layer, parts: Parts) -> Any:
    """L U with the diagonal in L, then rows in their order, then the bias."""
    if layer.kind == "householder":
        layer = _layers.linear(_read.matrix(layer)[0])
    p = layer.parameters
    diagonal = p["sign"] * np.exp(p["log_scale"])
    lower = (np.tril(p["lower"], -1) + np.eye(parts.dim)) * diagonal
    upper = np.triu(p["upper"], 1) / diagonal[:, None]
    chain = [UnconditionalTransform(LULinearTransform, tensor(lower + upper)), _permutation(layer, parts)]
    chain.append(UnconditionalTransform(each, tensor(p["bias"]), univariate=AdditiveTransform))
    return LazyComposedTransform(*chain)


TABLE = {
    "coupling": _coupling,
    "autoregressive": _autoregressive,
    "elementwise": _elementwise,
    "permutation": _permutation,
    "lu": _linear,
    "householder": _linear,
    "actnorm": _diagonal,
    "batch_norm": _diagonal,
    "standardize": _diagonal,
}


def _directed(make: Any) -> Any:
    def made(layer: Layer, parts: Parts) -> Any:
        part = make(replace(layer, inverse=False), parts)
        return part.inv if layer.inverse else part

    return made


# --------------------------------------------------------------------------------------------------------------- bases


def _normal(base: Layer, parts: Parts) -> Any:
    if base.network is not None:
        raise NoCounterpartError("zuko has no normal distribution whose parameters depend on the context")
    mean = base.parameters.get("mean", np.zeros(parts.dim))
    scale = np.exp(base.parameters.get("log_scale", np.zeros(parts.dim)))
    return UnconditionalDistribution(DiagNormal, tensor(mean), tensor(scale), buffer=True)


def _uniform(base: Layer, parts: Parts) -> Any:
    low, high = (np.full(parts.dim, float(real(base.attributes[name]))) for name in ("low", "high"))
    return UnconditionalDistribution(BoxUniform, tensor(low), tensor(high), buffer=True)


BASES = {"standard_normal": _normal, "normal": _normal, "uniform": _uniform}


def _flow(chain: Sequence[Any], base: Any, dim: int) -> tuple[Any, Any]:
    identity = UnconditionalTransform(PermutationTransform, torch.arange(dim), buffer=True)
    made = Flow(chain or [identity], base)  # it wants one transform at least
    return made, made.transform


LIBRARY = Library(
    "zuko",
    {kind: _directed(make) for kind, make in TABLE.items()},
    BASES,
    _flow,
    _maps,
    lambda part, x, context: part(context).log_prob(x),
)


def flow(parts: Parts) -> Any:
    """The flow of zuko."""
    return export(LIBRARY, parts)
