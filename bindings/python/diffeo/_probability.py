"""Probabilities of counts and categories: the density of a flow integrated over their cells.

One or two columns by adaptive cubature with the rule of Gauss and Kronrod (Kronrod 1965; Piessens et al., QUADPACK,
1983): a box whose two rules differ by too much is cut in halves, in each direction. More columns by the mean over
places that are drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import Rows
from ._columns import Cells, listed
from ._judged import without_columns
from .errors import InvalidArgumentError, UnsupportedError

Integer: TypeAlias = npt.NDArray[np.int64]
# Of some rows, by their numbers, at these places of their counts: log-densities.
LogDensity: TypeAlias = Callable[[Integer, Array], Array]

_TOGETHER = 1 << 18  # places whose densities are in memory at the same time, about
_HALVINGS = 24  # of a box, at most
_BOXES = 1 << 8  # of a row, about, beyond those that it begins with
_DIRECT = 2  # columns that are integrated by cubature, at most
_HIGHEST = 1 << 24  # up to here counts without an end are looked at

# Nodes in [-1, 1] from the middle to the right; weights of the 15 points, and of the 7 among them.
_NODES = (
    0.0, 0.207784955007898467600689403773245, 0.405845151377397166906606412076961, 0.586087235467691130294144691258730,
    0.741531185599394439863864773280788, 0.864864423359769072789712788640926, 0.949107912342758524526189684047851,
    0.991455371120812639206854697526329,
)  # fmt: skip
_KRONROD = (
    0.209482141084727828012999174891714, 0.204432940075298892414161999234649, 0.190350578064785409913256402421014,
    0.169004726639267902826583426598550, 0.140653259715525918745189590510238, 0.104790010322250183839876322541518,
    0.063092092629978553290700663189204, 0.022935322010529224963732008058970,
)  # fmt: skip
_GAUSS = (
    0.417959183673469387755102040816327, 0.0, 0.381830050505118944950369775488975, 0.0,
    0.279705391489276667901467771423780, 0.0, 0.129484966168869693270611432679082, 0.0,
)  # fmt: skip


class Rule(NamedTuple):
    """In [0, 1]^k: nodes [n, k], weights [n], and those of the coarser rule."""

    nodes: Array
    fine: Array
    coarse: Array

    @classmethod
    def of(cls, dim: int) -> Rule:
        """Products of the rule of one dimension."""

        def both_sides(right: tuple[float, ...], sign: float) -> Array:
            return np.array([*(sign * value for value in right[:0:-1]), *right])

        def product(values: Array) -> Array:
            return np.array([np.prod(each) for each in itertools.product(values, repeat=dim)])

        places = (both_sides(_NODES, -1) + 1) / 2
        nodes = np.array(list(itertools.product(places, repeat=dim)))
        return cls(nodes, product(both_sides(_KRONROD, 1) / 2), product(both_sides(_GAUSS, 1) / 2))


class Integral(NamedTuple):
    """Logarithms [rows] of integrals, and the errors of these."""

    log: Array
    error: Array


class _Boxes(NamedTuple):
    """Parts of what the rows are integrated over: whose they are, where they begin, how long their sides are.

    differs: by how much the rules did in the box that this one was a part of, its share; a logarithm.
    """

    row: Integer
    low: Array
    side: Array
    differs: Array

    @classmethod
    def first(cls, row: Integer, low: Array, side: Array) -> _Boxes:
        return cls(row, low, side, np.full(len(row), np.inf))

    def only(self, chosen: Any) -> _Boxes:
        return _Boxes(*(values[chosen] for values in self))

    def halved(self, differs: Array) -> _Boxes:
        corners = np.array(list(itertools.product((0.0, 0.5), repeat=self.low.shape[1])))
        parts = len(corners)
        low = (self.low[:, None] + self.side[:, None] * corners).reshape(-1, self.low.shape[1])
        side = np.repeat(self.side / 2, parts, axis=0)
        return _Boxes(np.repeat(self.row, parts), low, side, np.repeat(differs - np.log(parts), parts))


def integrate(log_density: LogDensity, rows: int, boxes: _Boxes, tolerance: float, rounding: float) -> Integral:
    """Of exp(log_density) over the boxes of each row.

    tolerance: of the error relative to the integral, that is wanted. rounding: relative error of a density of 1; those
    of others grow with their logarithm.
    """
    rule = Rule.of(boxes.low.shape[1])
    scale = np.full(rows, -np.inf)  # logarithm of what the sums of a row are in units of
    done, error = np.zeros(rows), np.zeros(rows)
    left = _BOXES + np.bincount(boxes.row, minlength=rows)
    for halving in range(_HALVINGS + 1):
        logs, differs, noise = _of_boxes(log_density, boxes, rule, rounding)
        highest = scale.copy()
        with np.errstate(invalid="ignore"):
            np.maximum.at(highest, boxes.row, logs)
            shrunk = np.where(np.isfinite(scale), np.exp(scale - highest), 0.0)
        done, error, scale = done * shrunk, error * shrunk, highest
        unit = np.where(np.isfinite(scale), scale, 0.0)[boxes.row]
        values, off = np.exp(logs - unit), np.exp(differs - unit)
        floor = np.exp(noise - unit)
        many = np.bincount(boxes.row, minlength=rows)
        left = left - many
        wanted = tolerance * (done + np.bincount(boxes.row, values, rows))
        enough = (error + np.bincount(boxes.row, off, rows) <= wanted) | (left <= 0) | (halving == _HALVINGS)
        # Where halving does not make the difference less, it is that of numbers that were rounded.
        stalls = (off <= 1024 * floor) & (differs >= boxes.differs - np.log(2))
        small = ~(off > np.maximum(wanted[boxes.row] / (2 * many[boxes.row]), floor))
        settled = enough[boxes.row] | small | stalls
        done += np.bincount(boxes.row[settled], values[settled], rows)
        error += np.bincount(boxes.row[settled], (off + floor)[settled], rows)
        boxes = boxes.only(~settled).halved(differs[~settled])
        if not len(boxes.row):
            break
    with np.errstate(divide="ignore", invalid="ignore"):
        return Integral(scale + np.log(done), np.where(done > 0, error / done, np.where(done == 0, 0.0, np.nan)))


def _of_boxes(log_density: LogDensity, boxes: _Boxes, rule: Rule, rounding: float) -> tuple[Array, Array, Array]:
    """Of each box the logarithms of its integral, of the difference of the two rules, and of what rounding may do."""
    found = [np.empty(len(boxes.row)) for _ in range(3)]
    step = max(1, _TOGETHER // len(rule.nodes))
    for first in range(0, len(boxes.row), step):
        part = boxes.only(slice(first, first + step))
        places = part.low[:, None] + part.side[:, None] * rule.nodes
        logs = log_density(np.repeat(part.row, len(rule.nodes)), places.reshape(-1, places.shape[2]))
        logs = logs.reshape(len(part.row), -1)
        highest = logs.max(axis=1)
        unit = np.where(np.isfinite(highest), highest, 0.0)
        values = np.exp(logs - unit[:, None])
        fine, coarse = values @ rule.fine, values @ rule.coarse
        volume = np.log(part.side).sum(axis=1) + unit
        with np.errstate(divide="ignore"):
            for of_all, of_part in zip(
                found, (fine, abs(fine - coarse), rounding * (1 + abs(unit)) * fine), strict=True
            ):
                of_all[first : first + step] = np.log(of_part) + volume
    return found[0], found[1], found[2]


# --------------------------------------------------------------------------------------------------------- of a flow


def log_probability(
    flow: Any, data: Rows, given: Rows | None, *, conditional: bool, tolerance: float, draws: int, seed: int
) -> Integral:
    """What `Flow.log_probability` says, of rows as the flow takes them."""
    levels = counts(flow)
    if not levels:
        raise InvalidArgumentError("no column of this flow is a count or a category: log_prob is exact")
    columns = list(levels)
    if conditional and len(columns) > _DIRECT:
        raise UnsupportedError(
            f"conditional is for up to {_DIRECT} counts and categories, this flow has {len(columns)}"
        )
    x = data.array.astype(np.float64)
    # What a flow knows as a count it has read as the middle of its cell.
    known = [j for j, _ in Cells(flow.columns or ()).columns]
    x[:, known] = np.floor(x[:, known])
    _check(flow, x, levels)
    plain, rounding = without_columns(flow), 8 * float(np.finfo(flow.dtype).eps)

    def log_density(rows: Integer, places: Array) -> Array:
        whole = x[rows]
        whole[:, columns] = places
        context = None if given is None else given.array if len(given) == 1 else given.array[rows]
        found: Array = plain.log_prob(whole, context)
        return found.astype(np.float64)

    here = x[:, columns]
    if len(columns) > _DIRECT:
        return _drawn(log_density, here, draws, seed)
    n, every = len(x), np.arange(len(x))
    cell = integrate(log_density, n, _Boxes.first(every, here, np.ones_like(here)), tolerance, rounding)
    if not conditional:
        return cell
    around = integrate(log_density, n, _around(here, list(levels.values())), tolerance, rounding)
    with np.errstate(invalid="ignore"):
        return Integral(cell.log - around.log, cell.error + around.error)


def counts(flow: Any) -> dict[int, int | None]:
    """The levels of counts and categories, by their columns; None without an end."""
    found = {j: levels or None for j, levels in enumerate(flow.levels) if levels is not None}
    for j, column in Cells(flow.columns or ()).columns:
        found.setdefault(j, column.levels)
    return dict(sorted(found.items()))


def _check(flow: Any, x: Array, levels: dict[int, int | None]) -> None:
    for j, end in levels.items():
        values = x[:, j]
        whole = (values >= 0) & (values < (end or np.inf)) & (values == np.floor(values))
        wrong = np.flatnonzero(~whole & ~np.isnan(values))
        if len(wrong):
            name = repr(str(flow.columns[j])) if flow.columns else j
            needed = f"0 to {end - 1}" if end else "0 or more"
            raise InvalidArgumentError(
                f"x has {values[wrong[0]]:g} in {listed(wrong)}, column {name}: it must be a whole number, {needed}"
            )


def _around(here: Array, levels: list[int | None]) -> _Boxes:
    """All that the counts can be, in boxes that grow with their distance from what they are."""
    rows, low, side = [], [], []
    for row, numbers in enumerate(here):
        sides = [_steps(number, end or _HIGHEST) for number, end in zip(numbers, levels, strict=True)]
        for box in itertools.product(*map(itertools.pairwise, sides)):
            rows.append(row)
            low.append([first for first, _ in box])
            side.append([last - first for first, last in box])
    shape = len(rows), here.shape[1]
    return _Boxes.first(
        np.array(rows, np.int64), np.reshape(low, shape).astype(float), np.reshape(side, shape).astype(float)
    )


def _steps(number: float, end: int) -> list[float]:
    """Edges from 0 to end."""
    if np.isnan(number):
        return [number, number]
    edges = {0.0, float(end), number, number + 1}
    for power in range(25):
        edges |= {max(number - 2.0**power, 0), min(number + 1 + 2.0**power, end)}
    return sorted(edges)


def _drawn(log_density: LogDensity, here: Array, draws: int, seed: int) -> Integral:
    """The mean over places in the cells, the same in all, and its standard error."""
    places = np.random.default_rng(seed).random((draws, here.shape[1]))
    log, error = np.empty(len(here)), np.empty(len(here))
    step = max(1, _TOGETHER // draws)
    for first in range(0, len(here), step):
        rows = np.arange(first, min(first + step, len(here)))
        there = (here[rows][:, None] + places).reshape(-1, here.shape[1])
        logs = log_density(np.repeat(rows, draws), there).reshape(len(rows), draws)
        highest = logs.max(axis=1)
        unit = np.where(np.isfinite(highest), highest, 0.0)
        values = np.exp(logs - unit[:, None])
        mean = values.mean(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            log[rows] = unit + np.log(mean)
            error[rows] = np.where(mean == 0, 0.0, values.std(axis=1, ddof=1) / np.sqrt(draws) / mean)
    return Integral(log, error)
