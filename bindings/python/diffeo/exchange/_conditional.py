"""Maps of each column that depend on a network, as functions of its outputs, recognised by what they compute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from . import _layers
from ._jaxpr import NotDenseError, Tail, numbers
from ._layers import Transformer
from ._network import Integer, Real, inverse_softplus, real
from ._probe import scale as probe_scale

# The map, which of the outputs of the network each of its own is for each column (-1: none), and factor and offset
Found: TypeAlias = tuple[Transformer, Integer, Real, Real]
ROWS = 100
FAR = 1e4  # a logit that leaves nothing for the others


def _on(tail: Tail, size: int) -> Callable[[Any], list[Real]]:
    """The tail at rows of outputs, a hundred at a time: it is compiled once."""
    import jax

    run = jax.jit(jax.vmap(tail))

    def at(y: Any) -> list[Real]:
        rows = np.reshape(y, (-1, size))
        wide = np.zeros((-(-len(rows) // ROWS) * ROWS, size))
        wide[: len(rows)] = rows
        found = [run(wide[i : i + ROWS]) for i in range(0, len(wide), ROWS)]
        return [np.concatenate([real(each) for each in parts])[: len(rows)] for parts in zip(*found, strict=True)]

    return at


def _only(tail: Tail, k: int) -> Callable[[Any], Any]:
    """One of the arrays that a tail gives, flat."""
    return lambda y: tail(y)[k].ravel()


def _array(at: Callable[[Any], list[Real]], k: int, y: Any) -> Real:
    return at(y)[k]


def _column(of_all: Callable[[Real], Real], column: int, a: Real) -> Real:
    return np.array(of_all(a)[:, column])


def affine(tail: Tail, size: int) -> Found:
    """Of a tail that gives s and t of s x + t for each column."""
    at = _on(tail, size)
    (s, _) = at(np.zeros((1, size)))
    columns = s.shape[1]
    own = [numbers(_only(tail, k), size) for k in (0, 1)]
    one, two, three = (at(np.full((1, size), value))[1][0] for value in (0.0, 1.0, -2.0))
    if not np.allclose(three - one, -2 * (two - one), rtol=1e-9, atol=1e-9):
        raise NotDenseError("the shift is not one of the outputs of the network")
    shift = (own[1], two - one, one)
    if (own[0] < 0).all():
        if (s[0] == 1).all():
            return _layers.affine("additive"), shift[0], shift[1], shift[2]
        if (s[0] <= 0).any():
            raise NotDenseError("its scale is not positive")
        return _layers.affine("exp"), *_woven((own[0], np.zeros(columns), np.log(s[0])), shift)
    scales = []

    def of_all(a: Real) -> Real:
        return at(np.repeat(a[:, None], size, axis=1))[0]

    for column in range(columns):
        found = probe_scale(partial(_column, of_all, column))
        if found is None:
            raise NotDenseError("its scale is none that Diffeo knows")
        scales.append(found)
    if any(each.transformer != scales[0].transformer for each in scales):
        raise NotDenseError("the scales of its columns differ by more than a factor")
    factors, offsets = (np.array([getattr(each, name) for each in scales]) for name in ("factor", "offset"))
    return scales[0].transformer, *_woven((own[0], factors, offsets), shift)


def _woven(*parts: tuple[Any, Any, Any]) -> tuple[Integer, Real, Real]:
    """Index, factor and offset of all outputs of the first column, then of the second, and so on."""
    index, factor, offset = (np.stack(each, axis=-1).ravel() for each in zip(*parts, strict=True))
    return index, factor, offset


def spline(tail: Tail, size: int) -> Found:
    """Of a tail that gives low, widths, heights and derivatives at all knots for each column."""
    at = _on(tail, size)
    low, widths, heights = (each[0] for each in at(np.zeros((1, size)))[:3])
    columns, bins = widths.shape
    high = float(low) + widths.sum(axis=1)
    if np.ptp(high) > 1e-9 or np.ptp(heights.sum(axis=1) - widths.sum(axis=1)) > 1e-9:
        raise NotDenseError("the columns have different intervals")
    total = round(float(high[0] - low), 12)
    parts, minima = [], {}
    for k, name in ((1, "min_width"), (2, "min_height")):
        least, found = _softmax(partial(_array, at, k), _only(tail, k), size, (columns, bins), total)
        minima[name] = least
        parts.append(found)
    boundary, least, found = _slopes(partial(_array, at, 3), _only(tail, 3), size, columns, bins)
    minima["min_derivative"] = least
    parts.append(found)
    index, factor, offset = (np.concatenate(each, axis=1).ravel() for each in zip(*parts, strict=True))
    words = {"encoding": "numbers"} if boundary == "periodic" else {}
    transformer = _layers.spline(bins, float(low), float(low) + total, boundary, **minima, **words)
    return transformer, index, factor, offset


def _softmax(
    at: Callable[[Real], Real], traced: Callable[[Any], Any], size: int, shape: tuple[int, int], total: float
) -> tuple[float, tuple[Any, Any, Any]]:
    """The m of total (m + (1 - K m) softmax(factor y + offset)), and which y, factor and offset."""
    import jax

    columns, bins = shape
    if bins < 2:
        raise NotDenseError("a spline of one bin")
    y = np.random.default_rng(0).normal(size=size)
    jacobian = np.asarray(jax.jit(jax.jacfwd(traced))(y)).reshape(columns, bins, size)
    own = np.argmax(jacobian, axis=2)  # more of a logit is more of its own share only
    if (jacobian.max(axis=2) <= 0).any():
        raise NotDenseError("a width or height depends on no output of the network")
    far = np.zeros((1, size))
    far[0, own[:, 0]] = FAR
    least = round(float(at(far)[0][0, 1]), 12) / total  # libraries have it as a round number

    def logits(y: Real) -> Real:
        return np.log((at(y) / total - least) / (1 - bins * least))

    begin = logits(np.zeros((1, size)))[0]
    factor = np.empty((columns, bins))
    for k in range(bins):
        y = np.zeros((1, size))
        y[0, own[:, k]] = 1.0
        change, other = logits(y)[0] - begin, (k + 1) % bins
        factor[:, k] = change[:, k] - change[:, other]
    return least, (own, factor, begin)


def _slopes(
    at: Callable[[Real], Real], traced: Callable[[Any], Any], size: int, columns: int, bins: int
) -> tuple[str, float, tuple[Any, Any, Any]]:
    """The boundary, the minimum, and which outputs: derivatives at the ends may be constant, or the same."""
    own = numbers(traced, size).reshape(columns, bins + 1)
    begin = at(np.zeros((1, size)))[0]
    first, last = own[:, 0], own[:, -1]
    if (own[:, [0, -1]] < 0).all() and (begin[:, [0, -1]] == 1).all():
        boundary, kept = "linear", slice(1, -1)
    elif (first >= 0).all() and (first == last).all():
        boundary, kept = "periodic", slice(0, -1)
    else:
        boundary, kept = "extended", slice(None)
    own, begin = own[:, kept], begin[:, kept]
    least, offset = 1e-3, np.zeros(own.shape)
    if (own >= 0).any():
        column, knot = np.argwhere(own >= 0)[0]

        def one(a: Real) -> Real:
            values = at(np.repeat(a[:, None], size, axis=1))[:, :, kept]
            mine = values[:, column, knot]
            if not np.allclose(values[:, own >= 0], mine[:, None], rtol=1e-9, atol=1e-12):
                raise NotDenseError("the derivatives are different functions of outputs of the network")
            return np.array(mine)

        found = probe_scale(one)
        if found is None or found.transformer.attributes["scale"] != "softplus" or found.factor != 1:
            raise NotDenseError("its derivatives are not softplus of outputs of the network")
        least = float(str(found.transformer.attributes["scale_epsilon"]))
        offset[own >= 0] = found.offset
    fixed = own < 0
    offset[fixed] = inverse_softplus(begin[fixed] - least) - np.log(np.expm1(1 - least))
    return boundary, least, (own, (own >= 0).astype(float), offset)
