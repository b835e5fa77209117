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
from torch.distributions import AffineTransform, Transform, constraints
from zuko.distributions import BoxUniform, DiagNormal
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.flows.gaussianization import ElementWiseTransform
from zuko.lazy import (
    Flow,
    LazyComposedTransform,
    LazyDistribution,
    LazyTransform,
    UnconditionalDistribution,
    UnconditionalTransform,
)
from zuko.mixtures import GMM
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
from ._export import Library, export
from ._layers import Layer, Transformer
from ._modules import Box, Noise, Whole, circled, mapped
from ._nets import MATHS, Outputs, net, stages
from ._network import constant, real
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


class ElementMap(Transform):  # type: ignore[misc]
    """A map of one number that zuko has no name for."""

    domain = constraints.real
    codomain = constraints.real
    bijective = True
    sign = 1

    def __init__(self, parameters: Any, transformer: Transformer) -> None:
        super().__init__()
        self.parameters, self.transformer = parameters, transformer

    def _call(self, x: Any) -> Any:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Any) -> Any:
        return mapped(self.transformer, self.parameters, y, True)[0]

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """Of each number."""
        return self.call_and_ladj(x)[1]

    def call_and_ladj(self, x: Any) -> Any:
        """Both."""
        return mapped(self.transformer, self.parameters, x, False)


class RowMap(Transform):  # type: ignore[misc]
    """A map of rows, given the context."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, whole: Any, context: Any) -> None:
        super().__init__()
        self.whole, self.context = whole, context

    def _given(self, x: Any) -> Any:
        c = self.context
        return c if c is None else c.expand(*x.shape[:-1], c.shape[-1])

    def _call(self, x: Any) -> Any:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Any) -> Any:
        return self.whole(y, self._given(y), inverse=True)[0]

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """Of each row."""
        return self.call_and_ladj(x)[1]

    def call_and_ladj(self, x: Any) -> Any:
        """Both."""
        return self.whole(x, self._given(x))


def _univariate(layer: Layer) -> tuple[Any, list[Any], Any]:
    """The map of one number, the shapes of its parameters, and which of our outputs each of them is."""
    assert layer.transformer is not None
    said: dict[str, Any] = dict(layer.transformer.attributes)
    if said["transformer"] == "rational_quadratic" and _own_spline(said):
        bound, bins, slope = said["high"], said["bins"], said["derivative_bound"]
        univariate = MonotonicRQSTransform if said["boundary"] == "linear" else half_turn
        shapes = [(bins,), (bins,), (bins - 1,)]
        return partial(univariate, bound=bound, slope=math.exp(-slope)), shapes, range(3 * bins - 1)
    if said["transformer"] != "affine":
        per = layer.transformer.parameters
        return partial(ElementMap, transformer=layer.transformer), [(per,)], range(per)
    if said["scale"] == "additive":
        return AdditiveTransform, [()], [0]
    if said["scale"] == "soft_clip":
        return partial(MonotonicAffineTransform, slope=math.exp(-said["scale_bound"])), [(), ()], [1, 0]
    return partial(affine, transformer=layer.transformer), [(), ()], [1, 0]


def _own_spline(said: dict[str, Any]) -> bool:
    """Whether zuko has it: from -b to b, with its formulas."""
    box = said["boundary"] in ("linear", "half_turn") and said["low"] == -said["high"]
    formula = said.get("derivative"), said["min_width"], said["min_height"]
    same = formula == ("exp", 0, 0) and math.isclose(said.get("logit_bound", 0), said.get("derivative_bound", 0) / 2)
    return box and same and said.get("boundary_derivative", 1) == 1 and not said.get("half_ends", 0)


# ---------------------------------------------------------------------------------------------------------- transforms


def masked(sees: Any) -> Any:
    """A linear layer with this mask."""
    return MaskedLinear(torch.from_numpy(np.array(sees)))


def _hyper(layer: Layer, parts: Parts, index: Any, columns: int) -> Any:
    """The network of a layer, with zuko's order of the outputs of a column."""
    assert layer.transformer is not None
    first, *others = (n.given(parts.context) for n in (layer.network, layer.scale_network) if n is not None)
    if others:  # shifts, and what scales are made of
        pairs = np.arange(2 * first.outputs).reshape(2, -1).T
        return Outputs([net(n, masked) for n in (first, *others)], pairs.ravel())
    per = len(index)
    network = first.select((np.arange(first.outputs // per)[:, None] * per + np.asarray(index)).ravel())
    on_circle = columns and _read.on_circle(layer.transformer)
    if network.blocks or network.context_layer is not None or on_circle:
        return circled(net(network, masked), layer.transformer, columns)
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
    part.order, part.passes, part.hyper = torch.from_numpy(rank), parts.dim, _hyper(layer, parts, index, parts.dim)
    return part


def _coupling(layer: Layer, parts: Parts) -> Any:
    univariate, shapes, index = _univariate(layer)
    mask = layer.lists["mask"]
    if mask.any():
        kept = torch.from_numpy(mask == 1)
        part = GeneralCouplingTransform(parts.dim, parts.context, kept, univariate, shapes, hidden_features=())
    else:
        part = ElementWiseTransform(parts.dim, parts.context, univariate, shapes, hidden_features=())
    part.hyper = _hyper(layer, parts, index, int(mask.sum()))
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


class LazyRowMap(LazyTransform):  # type: ignore[misc]
    """A layer that zuko does not have."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, c: Any = None) -> Any:
        """Given the context."""
        return RowMap(self.whole, c)


def _whole(layer: Layer, parts: Parts) -> Any:
    return LazyRowMap(Whole(layer, parts.dim, masked))


def _dequantize(layer: Layer, parts: Parts) -> Any:
    levels = tensor(_read.levels(layer, parts.dim))
    univariate = partial(affine, transformer=_layers.affine("exp"))
    return UnconditionalTransform(each, torch.zeros(parts.dim), -levels.log(), univariate=univariate, buffer=True)


def _linear(layer: Layer, parts: Parts) -> Any:
    """L U with the diagonal in L, then rows in their order, then the bias."""
    if layer.kind != "lu":
        layer = _layers.linear(*_read.matrix(layer))
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
    "domain": _whole,
    "wrap": _whole,
    "dequantize": _dequantize,
    "planar": _whole,
    "radial": _whole,
    "permutation": _permutation,
    "lu": _linear,
    "linear": _linear,
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


class LazyNoise(LazyDistribution):  # type: ignore[misc]
    """A base that zuko does not have."""

    def __init__(self, noise: Any) -> None:
        super().__init__()
        self.noise = noise

    def forward(self, c: Any = None) -> Any:
        """Given the context."""
        return self.noise(c)


def _noise(base: Layer, parts: Parts) -> Any:
    return LazyNoise(Noise(base, parts.dim, masked))


def _normal(base: Layer, parts: Parts) -> Any:
    if base.network is not None:
        return _noise(base, parts)
    mean = base.parameters.get("mean", np.zeros(parts.dim))
    scale = np.exp(base.parameters.get("log_scale", np.zeros(parts.dim)))
    return UnconditionalDistribution(DiagNormal, tensor(mean), tensor(scale), buffer=True)


def _mixture(base: Layer, parts: Parts) -> Any:
    count, network = int(str(base.attributes["components"])), base.network
    p, epsilon = base.parameters, float(real(base.attributes.get("epsilon", 0.0)))
    full = base.attributes.get("covariance") == "full"
    names = ("logits", "means", "diagonals" if full or epsilon else "log_scales", "triangles")[: 4 if full else 3]
    part = GMM(parts.dim, 0, count, "full" if full else "diagonal", epsilon=epsilon)
    if network is None and parts.context:  # one that is given a context reads it
        network = constant(np.concatenate([p[name].ravel() for name in names]))
    if network is None:
        part.phi = nn.ParameterList(tensor(p[name]) for name in names)
    else:
        del part.phi
        part.hyper = net(network.given(parts.context), masked)
    return part


def _made(base: Layer, parts: Parts) -> Any:
    """Conditionals are maps to normal or uniform noise."""
    assert base.transformer is not None
    if len(base.masks) > 1:
        raise NoCounterpartError(f"its density is a mean over {len(base.masks)} masks")
    if base.transformer.attributes["transformer"] == "bernoulli":
        raise NoCounterpartError("its conditionals are those of numbers 0 and 1, which are no flow")
    noise = _normal(Layer("standard_normal"), parts)
    if base.transformer.attributes["transformer"] == "mixture_cdf":  # F may be 1, where BoxUniform is not
        noise = LazyNoise(Box(torch.zeros(parts.dim), torch.ones(parts.dim)))
    layer = replace(base, kind="autoregressive", network=base.masks[0])
    return Flow([_autoregressive(layer, parts)], noise)


def _uniform(base: Layer, parts: Parts) -> Any:
    low, high = (np.full(parts.dim, float(real(base.attributes[name]))) for name in ("low", "high"))
    return UnconditionalDistribution(BoxUniform, tensor(low), tensor(high), buffer=True)


BASES = {
    "standard_normal": _normal,
    "normal": _normal,
    "uniform": _uniform,
    "logistic": _noise,
    "student_t": _noise,
    "mixture": _mixture,
    "made": _made,
}


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
