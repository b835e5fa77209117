"""What is asked of conditional distributions: all contexts at once, quantiles, and some columns given others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import Rows, integer, real, rows
from ._columns import Cells, Column, as_data, is_frame, like, table
from ._judged import base, uniform_ends, without_columns
from .errors import InvalidArgumentError, ShapeError, UnsupportedError

Interval: TypeAlias = Literal["central", "shortest"]
_TOGETHER = 1 << 20  # samples that are in memory at the same time, about
_PROBES = 16  # rows at which a flow is looked at


def repeated(context: Rows, n: int) -> Array:
    """Each context n times, one after the other."""
    return np.repeat(context.array, n, axis=0)


def crossed(flow: Any, data: Rows, context: Rows) -> Array:
    """Log-densities of each row given each context, [rows, contexts]; the shorter of the two is gone through."""
    n, m = len(data), len(context)
    found = np.empty((n, m), data.dtype)
    if m <= n:
        for j in range(m):
            column = np.empty(n, data.dtype)
            flow._evaluate("log_prob", data, Rows(context.array[j : j + 1], (), ()), column)
            found[:, j] = column
    else:
        for i in range(n):
            same = np.repeat(data.array[i : i + 1], m, axis=0)
            flow._evaluate("log_prob", Rows(same, (m,), ()), context, found[i])
    return found


def quantiles(samples: Array, q: Array, columns: tuple[Column, ...] | None) -> Array:
    """Of samples [contexts, draws, dim]: [contexts, len(q), dim], float64."""
    with _about_angles(samples, columns) as (values, centre):
        return np.moveaxis(np.quantile(values, q, axis=1), 0, 1) + centre[:, None]


def intervals(samples: Array, level: float, kind: Interval, columns: tuple[Column, ...] | None) -> Array:
    """Of samples [contexts, draws, dim]: [contexts, dim, 2], float64."""
    if kind == "central":
        ends = np.array([(1 - level) / 2, (1 + level) / 2])
        return np.moveaxis(quantiles(samples, ends, columns), 1, 2)
    with _about_angles(samples, columns) as (values, centre):
        ordered = np.sort(values, axis=1)
        n = ordered.shape[1]
        inside = min(n - 1, math.ceil(level * n))
        widths = ordered[:, inside:] - ordered[:, : n - inside]
        first = widths.argmin(axis=1)[:, None]
        low, high = (np.take_along_axis(ordered, first + shift, axis=1)[:, 0] for shift in (0, inside))
        return np.stack([low, high], axis=-1) + centre[..., None]


class _about_angles:  # noqa: N801
    """Samples less their circular means, where columns are angles: half a turn to both sides."""

    def __init__(self, samples: Array, columns: tuple[Column, ...] | None) -> None:
        values = samples.astype(np.float64)
        centre = np.zeros((len(values), values.shape[2]))
        for j, column in enumerate(columns or ()):
            if (period := column.period) is None:
                continue
            turns = np.exp(2j * np.pi * values[:, :, j] / period).mean(axis=1)
            centre[:, j] = np.angle(turns) * period / (2 * np.pi)
            if column.low is not None:
                centre[:, j] = column.low + np.mod(centre[:, j] - column.low, period)
            away = values[:, :, j] - centre[:, j, None] + period / 2
            values[:, :, j] = np.mod(away, period) - period / 2
        self._found = values, centre

    def __enter__(self) -> tuple[Array, Array]:
        return self._found

    def __exit__(self, *_: object) -> None: ...


def many_samples(
    flow: Any, context: npt.ArrayLike | None, draws: int, seed: int
) -> Iterator[tuple[Array, tuple[int, ...]]]:
    """Samples [contexts, draws, dim] of some contexts after the other, and the axes that contexts came in."""
    if context is None and flow.context_dim == 0:
        yield flow.sample(draws, seed=seed).reshape(1, draws, flow.dim), ()
        return
    given = flow._context(context)
    step = max(1, _TOGETHER // (draws * flow.dim))
    for first in range(0, len(given), step):
        part = given.array[first : first + step]
        samples = flow.sample(draws, part, per_context=True, seed=seed, first_row=first * draws)
        yield samples.reshape(len(part), draws, flow.dim), given.batch


def checked_quantiles(q: npt.ArrayLike) -> Array:
    """Between 0 and 1."""
    found = np.asarray(q, np.float64)
    if found.ndim > 1 or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"q must be from 0 to 1, a number or a sequence of them, not {q!r}")
    return found


def checked_level(level: float) -> float:
    """Above 0 and below 1."""
    value = real(level, "level")
    if not 0 < value < 1:
        raise ValueError(f"level must be above 0 and below 1, not {value:g}")
    return value


# ------------------------------------------------------------------------------------------ some columns given others


class Given:
    """The distribution of some columns of a flow given its others: exact, by the flow itself. See `Flow.given`.

    Parameters
    ----------
    flow : Flow
    columns : sequence of str or int
        Those that are given.

    Attributes
    ----------
    given, rest : tuple of int
        The columns that are given, in the order of `columns`, and the others, in the order of the flow.
    """

    def __init__(self, flow: Any, columns: Sequence[Any]) -> None:
        if len(flow.shape) > 1:
            raise UnsupportedError("given is for flows of vectors, and this is one of images")
        self._flow = flow
        self.given = _numbers(flow, columns)
        self.rest = tuple(j for j in range(flow.dim) if j not in self.given)
        if not self.given or not self.rest:
            raise InvalidArgumentError(f"{len(self.given)} of {flow.dim} columns are given: it must be some, not all")
        self._base = base(flow).partition(":")[0]
        if self._base not in ("standard_normal", "logistic", "uniform"):
            raise UnsupportedError(f"given is for the bases standard_normal, logistic and uniform, not {self._base}")
        self._plain = without_columns(flow)
        self._inside = self._plain.sample(_PROBES, *self._zero_context(), seed=0)
        self._check()

    def __repr__(self) -> str:
        rest, given = (", ".join(map(self._name, columns)) for columns in (self.rest, self.given))
        return f"<diffeo.Given {rest} given {given} of {self._flow!r}>"

    @property
    def dim(self) -> int:
        """Number of the columns that are not given."""
        return len(self.rest)

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """Those of the flow that are not given."""
        known = self._flow.columns
        return known and tuple(known[j] for j in self.rest)

    def log_prob(self, x: npt.ArrayLike, given: npt.ArrayLike, context: npt.ArrayLike | None = None) -> Array:
        """Log-density of each row of the columns that are not given, log p(x | given, context), in nats.

        Parameters
        ----------
        x : array_like, [n, dim] or [dim]
            Of data frames columns are found by name, here and in `given`.
        given : array_like, [n, given columns] or one row for all
        context : array_like, optional
            That of the flow.

        Returns
        -------
        array [n], or a number for a single row
        """
        data = self._part(x, self.rest, "x")
        whole = self._whole(data.array, self._part(given, self.given, "given"), len(data))
        z, log_det = self._plain.to_noise(whole, self._context(context))
        block = self.rest if len(self.rest) <= len(self.given) else self.given
        jacobian = self._jacobian(whole, context, block)[:, :, list(block)]
        of_block = np.linalg.slogdet(jacobian)[1]
        change = of_block if block is self.rest else log_det.astype(float) - of_block
        found = self._base_log_prob(z[:, list(self.rest)].astype(float)) + change
        shaped: Array = found.astype(data.dtype).reshape(data.batch)[()]
        return shaped

    def sample(
        self,
        n: SupportsIndex,
        given: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        per_given: bool = False,
        seed: SupportsIndex | None = None,
        first_row: SupportsIndex = 0,
    ) -> Any:
        """Draw samples of the columns that are not given.

        Their noise is that of the flow's samples number first_row to first_row + n - 1 of the seed.

        Parameters
        ----------
        n : int
            Number of rows; with `per_given`, for each row of `given`.
        given : array_like, [n, given columns] or one row for all
        context : array_like, optional
            That of the flow: one row for all, or one for each sample.
        per_given : bool
            Draw n for each of m rows of `given`, sample j of row i being number first_row + i n + j.
        seed, first_row
            As in `Flow.sample`.

        Returns
        -------
        array [n, dim], or [m, n, dim] with `per_given`
            A data frame where `given` is one, but with `per_given`.
        """
        count = integer(n, "n", 0)
        known = self._part(given, self.given, "given")
        many = len(known)
        total = count * many if per_given else count
        if per_given:
            known = Rows(np.repeat(known.array, count, axis=0), known.batch, known.event)
        inner = self._context(context)
        drawn = self._plain.sample(total, inner, seed=seed, first_row=first_row)
        noise, _ = self._plain.to_noise(drawn, inner)
        filled = np.broadcast_to(self._inside[0, list(self.rest)], (total, self.dim))
        z, _ = self._plain.to_noise(self._whole(filled, known, total), inner)
        noise[:, list(self.given)] = z[:, list(self.given)]
        x, _ = self._plain.from_noise(noise, inner)
        found = as_data(np.ascontiguousarray(x[:, list(self.rest)]), self.columns)
        if per_given:
            return found.reshape(many, count, self.dim)
        return like(given, found, self.columns or [str(j) for j in self.rest]) if is_frame(given) else found

    # ------------------------------------------------------------------------------------------------------ private

    def _context(self, context: Any) -> Any:
        return None if context is None else self._flow._context(context).array

    def _zero_context(self) -> tuple[Array, ...]:
        return (np.zeros(self._flow.context_dim),) if self._flow.context_dim else ()

    def _part(self, value: Any, columns: tuple[int, ...], name: str) -> Rows:
        known = self._flow.columns
        names = known and tuple(known[j] for j in columns)
        value = table(value, names, name)
        found = rows(value, len(columns), self._flow.dtype, name, "given columns" if name == "given" else "dim", names)
        cells = Cells(names or ())
        return Rows(cells.middle(found.array, name), found.batch, found.event) if cells else found

    def _whole(self, rest: Array, given: Rows, count: int) -> Array:
        if len(given) not in (1, count):
            raise ShapeError(f"given has {len(given)} rows, x has {count}: give one row for all, or one for each")
        whole = np.empty((count, self._flow.dim), rest.dtype)
        whole[:, list(self.rest)], whole[:, list(self.given)] = rest, given.array
        return whole

    def _jacobian(self, whole: Array, context: Any, block: tuple[int, ...]) -> Array:
        """Of the noise of some columns by all columns, [rows, block, dim], float64."""
        found = np.empty((len(whole), len(block), self._flow.dim))
        for i, j in enumerate(block):
            direction = np.zeros_like(whole)
            direction[:, j] = 1
            found[:, i] = self._plain.to_noise_vjp(whole, self._context(context), g_z=direction, of=["rows"]).rows
        return found

    def _check(self) -> None:
        """The noise of what is given must depend on that alone."""
        context = self._zero_context()[0] if self._flow.context_dim else None
        found = self._jacobian(self._inside, context, self.given)[:, :, list(self.rest)]
        seen = np.flatnonzero((found != 0).any(axis=(0, 1)))
        if len(seen):
            name = self._name(self.rest[seen[0]])
            raise UnsupportedError(
                f"the columns {', '.join(map(self._name, self.given))} do not come first in every layer: their noise "
                f"depends on {name}, too"
            )

    def _name(self, j: int) -> str:
        return repr(str(self._flow.columns[j])) if self._flow.columns else str(j)

    def _base_log_prob(self, z: Array) -> Array:
        if self._base == "standard_normal":
            each = -0.5 * (z * z + math.log(2 * math.pi))
        elif self._base == "logistic":
            each = -np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z)))
        else:
            low, high = uniform_ends(self._flow)
            each = np.where((z >= low) & (z <= high), -math.log(high - low), -np.inf)
        found: Array = each.sum(axis=1)
        return found


def _numbers(flow: Any, columns: Sequence[Any]) -> tuple[int, ...]:
    """Of columns by name or number."""
    found = []
    for each in [columns] if isinstance(columns, str) else columns:
        if isinstance(each, str):
            if flow.columns is None or each not in flow.columns:
                known = ", ".join(map(repr, map(str, flow.columns or ()))) or "no names"
                raise InvalidArgumentError(f"there is no column {str(each)!r}: the flow has {known}")
            found.append(flow.columns.index(each))
        else:
            found.append(integer(each, "a column", 0, flow.dim - 1))
    if len(set(found)) < len(found):
        raise InvalidArgumentError("a column is given twice")
    return tuple(found)
