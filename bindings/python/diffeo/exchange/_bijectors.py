"""The bijectors of TensorFlow Probability on JAX and of distrax, whose flows may have those of both.

Readers below give the steps of a bijector in its forward direction. Networks are functions that their users wrote: they
are read from a trace, with all constants in them. A bijector that is affine is read by its matrix, whatever its class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from . import _conditional, _layers
from ._check import Map, Mapped, Step, reverse
from ._error import ConversionError
from ._jaxpr import NotDenseError
from ._jaxpr import read as read_network
from ._layers import Layer
from ._network import Network, Real, inverse_softplus, real
from .flowjax import double


@dataclass(frozen=True)
class Part:
    """A bijector or distribution: `of` finds it in the flow that belongs to a context."""

    path: str
    of: Callable[[Any], Any]
    value: Any  # for a context of zeros
    dim: int
    context: int
    dtypes: set[str]  # of the arrays that were found
    lead: tuple[int, ...] = (1,)  # a row is a batch of one; or (), where a network takes no batches

    def row(self, x: Any) -> Any:
        """A row as its functions take it."""
        return x.reshape(*self.lead, -1)

    def child(self, name: str, get: Callable[[Any], Any]) -> Part:
        """A part of it."""
        return replace(
            self, path=f"{self.path}.{name}".lstrip("."), of=lambda c: get(self.of(c)), value=get(self.value)
        )

    def each(self, name: str) -> list[Part]:
        """Parts of it in a list."""
        count = len(getattr(self.value, name))
        return [self.child(f"{name}[{i}]", partial(_item, name, i)) for i in range(count)]

    def refused(self, reason: str) -> ConversionError:
        """Why it does not convert."""
        return ConversionError(self.path, self.value, reason)


def _item(name: str, i: int, value: Any) -> Any:
    return getattr(value, name)[i]


Reader: TypeAlias = Callable[[Part], list[Step]]


def read(part: Part) -> list[Step]:
    """The steps of a part, by the first of its classes that a table names, or by its matrix."""
    for kind in type(part.value).__mro__:
        table = DISTRAX if kind.__module__.startswith("distrax") else TFP
        if kind.__name__.lstrip("_") in table:
            return table[kind.__name__.lstrip("_")](part)
    return affine(part)


def named(value: Any) -> str:
    """Its class: TFP makes some with another name."""
    return type(value).__name__.lstrip("_")


# --------------------------------------------------------------------------------------------------------------- maps


def one(function: Callable[[Any, Any], Any], part: Part) -> Callable[[Real, Real | None], Any]:
    """A function of one row and the part that belongs to its context, as one of many."""

    def run(x: Real, context: Real | None) -> Any:
        import jax

        given = np.zeros((len(x), 0)) if context is None else context[:, : part.context]
        with double():
            return jax.vmap(lambda row, c: function(part.of(c), part.row(row)))(x, given)

    return run


def directed(value: Any, x: Any, inverse: bool) -> tuple[Any, Any]:
    """A bijector of either library, or a transform of numpyro."""
    if hasattr(value, "call_with_intermediates"):
        y = value._inverse(x) if inverse else value(x)
        return y, -value.log_abs_det_jacobian(y, x).sum() if inverse else value.log_abs_det_jacobian(x, y).sum()
    if hasattr(value, "forward_and_log_det"):
        y, log_det = value.inverse_and_log_det(x) if inverse else value.forward_and_log_det(x)
        return y, log_det.sum()
    if inverse:
        return value.inverse(x), value.inverse_log_det_jacobian(x, event_ndims=1).sum()
    return value.forward(x), value.forward_log_det_jacobian(x, event_ndims=1).sum()


def _map(part: Part, inverse: bool) -> Map:
    run = one(lambda value, x: directed(value, x, inverse), part)

    def mapped(x: Real, context: Real | None) -> Mapped:
        z, log_det = run(x, context)
        return real(z).reshape(x.shape), real(log_det)

    return mapped


def leaf(part: Part, *layers: Layer) -> list[Step]:
    """A step of these layers."""
    return [Step(part.path, part.value, list(layers), _map(part, False), _map(part, True))]


# ----------------------------------------------------------------------------------------------- couplings and the like


def peeled(inner: Any) -> tuple[Any, bool]:
    """The bijector inside of wrappers, and whether it is turned round."""
    turned = False
    while True:
        match named(inner):
            case "Invert" | "Inverse":
                inner, turned = inner.bijector, not turned
            case "Block":
                inner = inner.bijector
            case "BijectorFromTFP":
                inner = inner._tfp_bijector
            case "Chain" if len(inner.bijectors) == 1:
                inner = inner.bijectors[0]
            case _:
                return inner, turned


def _fields(inner: Any, lead: tuple[int, ...], columns: int, chosen: Any) -> list[Any]:
    """What makes the map of each of the chosen columns."""
    import jax
    import jax.numpy as jnp

    def of(values: Any, count: int) -> Any:
        return jnp.broadcast_to(values, (*lead, columns, count)).reshape(columns, count)[chosen]

    if named(inner) == "RationalQuadraticSpline":
        if hasattr(inner, "x_pos"):
            low, slopes = inner.x_pos.ravel()[0], inner.knot_slopes
            sizes = [jnp.diff(inner.x_pos), jnp.diff(inner.y_pos)]
        else:
            low, sizes = inner.range_min, [inner.bin_widths, inner.bin_heights]
            slopes = jnp.broadcast_to(inner.knot_slopes, (*sizes[0].shape[:-1], sizes[0].shape[-1] - 1))
            slopes = jnp.pad(slopes, [(0, 0)] * (slopes.ndim - 1) + [(1, 1)], constant_values=1.0)
        return [jnp.asarray(low), *(of(each, each.shape[-1]) for each in (*sizes, slopes))]
    zeros = jnp.zeros((*lead, columns))
    t, s = jax.jvp(inner.forward, (zeros,), (zeros + 1,))
    return [s.reshape(columns)[chosen], t.reshape(columns)[chosen]]


def conditional(part: Part, build: Callable[[Any, Any], Any], moved: Any) -> tuple[_layers.Transformer, Network, bool]:
    """The map that `build` makes of a part and what its network reads, for the moved ones of its columns.

    Also whether that map is turned round.
    """
    import jax.numpy as jnp

    chosen = np.flatnonzero(moved)

    def at(v: Any) -> tuple[Any, bool]:
        return peeled(build(part.of(v[part.dim :]), part.row(v[: part.dim])))

    def function(v: Any) -> list[Any]:
        return _fields(at(v)[0], part.lead, len(moved), chosen)

    with double():
        try:
            inner, turned = at(jnp.linspace(-1, 1, part.dim + part.context))
            match = _conditional.spline
            if named(inner) != "RationalQuadraticSpline":
                match = _conditional.affine
                zero, one, three = (
                    np.asarray(inner.forward(np.full((*part.lead, len(moved)), a))) for a in (0.0, 1.0, 3.0)
                )
                if not np.allclose(three - zero, 3 * (one - zero), rtol=1e-9, atol=1e-9):
                    raise NotDenseError(f"the map of a column, {named(inner)}, is neither affine nor a spline")
            network, tail, dtypes = read_network(function, part.dim, part.context)
            transformer, index, factor, offset = match(tail, network.outputs)
        except NotDenseError as error:
            raise part.refused(str(error)) from error
        except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
            raise part.refused(f"its network cannot be read: {error}") from error
    part.dtypes.update(dtypes)
    return transformer, network.select(index, factor, offset), turned


def coupling(part: Part, build: Callable[[Any, Any], Any], kept: Any, moved: Any) -> list[Step]:
    """A coupling layer, of which `build` makes the map of columns, of which the moved ones count."""
    transformer, network, turned = conditional(part, build, moved)
    if network.direct is not None:
        raise part.refused("its network adds its inputs to its outputs, which networks of couplings have not")
    if not np.any(kept) and not part.context and len(network.dense) == 1:  # parameters of its own, of no network
        layer = _layers.elementwise(transformer, network.dense[0].bias.reshape(int(np.sum(moved)), -1))
    else:
        layer = _layers.coupling(kept, transformer, network.reading(np.flatnonzero(kept)))
    return leaf(part, layer.inverted() if turned else layer)


def _real_nvp(part: Part) -> list[Step]:
    nvp = part.value
    count = nvp._num_masked if nvp._num_masked is not None else int(np.round(part.dim * nvp._fraction_masked))
    first = np.arange(part.dim) < count % part.dim
    kept = ~first if nvp._reverse_mask else first
    moved = int((~kept).sum())
    index = np.flatnonzero(kept)
    return coupling(part, lambda value, x: value._bijector_fn(x[..., index], moved), kept, np.ones(moved, bool))


def _autoregressive(part: Part) -> list[Step]:
    """Its inverse, from data to noise, is in one pass of the network."""
    every = np.ones(part.dim, bool)
    transformer, network, turned = conditional(part, lambda value, x: value._bijector_fn(x), every)
    try:
        layer = _layers.autoregressive(part.dim, transformer, network)
    except ValueError as error:
        raise part.refused(str(error)) from error
    if not turned:
        layer = replace(layer, attributes={**layer.attributes, "inverse_map": 1})
    return leaf(part, layer.inverted())


# ------------------------------------------------------------------------------------------------------ other bijectors


def affine(part: Part) -> list[Step]:
    """By its matrix and what it makes of zeros."""
    import jax

    def at(x: Any) -> Any:
        return directed(part.value, part.row(x), False)[0].reshape(-1)

    with double():
        try:
            bias, matrix = real(at(np.zeros(part.dim))), real(jax.jacfwd(at)(np.zeros(part.dim)))
            again = real(jax.jacfwd(at)(np.linspace(-1.5, 1.0, part.dim)))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise part.refused(f"Diffeo has no layer for it: {error}") from error
    if matrix.shape != (part.dim, part.dim) or not np.allclose(matrix, again, rtol=1e-12, atol=1e-12):
        raise part.refused("Diffeo has no layer for it")
    order = np.argmax(matrix, axis=1)
    if not bias.any() and np.array_equal(matrix, np.eye(part.dim)[order]):
        return leaf(part, _layers.permutation(order))
    diagonal = np.diag(matrix)
    if np.array_equal(matrix, np.diag(diagonal)) and (diagonal > 0).all():
        return leaf(part, _layers.elementwise_affine(np.log(diagonal), bias))
    try:
        return leaf(part, _layers.linear(matrix, bias))
    except ValueError as error:
        raise part.refused(str(error)) from error


def spline(part: Part) -> list[Step]:
    """Splines of each column, from their positions and derivatives: minima are not needed any more."""
    with double():
        low, widths, heights, slopes = map(real, _fields(part.value, (), part.dim, np.arange(part.dim)))
    bins, total = widths.shape[1], widths.sum(axis=1)
    if np.ptp(total) > 1e-9:
        raise part.refused("its columns have different intervals")
    high = round(float(low + total[0]), 12)
    boundary, inside = ("linear", slopes[:, 1:-1]) if (slopes[:, [0, -1]] == 1).all() else ("extended", slopes)
    least = 1e-6
    words = {"min_width": least, "min_height": least, "min_derivative": least}
    transformer = _layers.spline(bins, float(low), high, boundary, **words)
    parts = [np.log((each / total[:, None] - least) / (1 - least * bins)) for each in (widths, heights)]
    parts.append(inverse_softplus(inside - least) - np.log(np.expm1(1 - least)))
    return leaf(part, _layers.elementwise(transformer, np.concatenate(parts, axis=1)))


def domain(name: str, **constants: float) -> Reader:
    """A map of each column from the whole line to a domain."""
    return lambda part: leaf(part, _layers.domain(name, **constants).inverted())


def _sigmoid(part: Part) -> list[Step]:
    ends = (getattr(part.value, name, None) for name in ("low", "high"))
    low, high = (otherwise if each is None else real(each) for each, otherwise in zip(ends, (0.0, 1.0), strict=True))
    return leaf(part, _layers.domain("logit", low=low, high=high).inverted())


def tanh(part: Part) -> list[Step]:
    """As 2 sigmoid(2 x) - 1."""
    doubled = _layers.elementwise_affine(np.log(2), 0)
    return leaf(part, doubled, _layers.domain("logit", low=-1, high=1).inverted())


def _softplus(part: Part) -> list[Step]:
    if part.value.hinge_softness is not None and (real(part.value.hinge_softness) != 1).any():
        raise part.refused("hinge_softness")
    low = 0.0 if part.value.low is None else real(part.value.low)
    return leaf(part, _layers.domain("softplus", low=low).inverted())


def chain(part: Part) -> list[Step]:
    """The last one acts first."""
    return [step for each in reversed(part.each("bijectors")) for step in read(each)]


def inverse(part: Part) -> list[Step]:
    """The other way round."""
    return reverse(inner(part))


def inner(part: Part) -> list[Step]:
    """What it wraps."""
    return read(part.child("bijector", lambda value: value.bijector))


def _blockwise(part: Part) -> list[Step]:
    sizes = [int(size) for size in np.asarray(part.value.block_sizes)]
    steps: list[Step] = []
    for i, each in enumerate(part.each("bijectors")):
        columns = np.arange(sum(sizes[:i]), sum(sizes[: i + 1]))
        steps += [step.on(columns, part.dim) for step in read(replace(each, dim=sizes[i]))]
    return steps


TFP: dict[str, Reader] = {
    "Chain": chain,
    "Invert": inverse,
    "Identity": lambda part: [],
    "Blockwise": _blockwise,
    "MaskedAutoregressiveFlow": _autoregressive,
    "RealNVP": _real_nvp,
    "RationalQuadraticSpline": spline,
    "Sigmoid": _sigmoid,
    "Tanh": tanh,
    "Exp": domain("log", low=0.0),
    "Softplus": _softplus,
}

# -------------------------------------------------------------------------------------------------- those of distrax


def _masked(part: Part) -> list[Step]:
    mask = np.asarray(part.value.mask)
    if mask.shape != (part.dim,) or part.value._inner_event_ndims:
        raise part.refused("its mask is not one of the columns")

    def build(value: Any, x: Any) -> Any:
        return value.bijector(value.conditioner(np.where(mask, 1.0, 0.0) * x))

    return coupling(part, build, mask, ~mask)


def _split(part: Part) -> list[Step]:
    first = np.arange(part.dim) < part.value.split_index
    kept = ~first if part.value.swap else first
    index, moved = np.flatnonzero(kept), int((~kept).sum())
    return coupling(part, lambda v, x: v.bijector(v.conditioner(x[..., index])), kept, np.ones(moved, bool))


DISTRAX: dict[str, Reader] = {
    "LowerUpperTriangularAffine": affine,
    "Chain": chain,
    "Inverse": inverse,
    "Block": inner,
    "BijectorFromTFP": lambda part: read(part.child("_tfp_bijector", lambda value: value._tfp_bijector)),
    "MaskedCoupling": _masked,
    "SplitCoupling": _split,
    "RationalQuadraticSpline": spline,
    "Tanh": tanh,
    "Sigmoid": domain("logit", low=0.0, high=1.0),
}
