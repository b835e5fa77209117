"""What is asked of a flow by all that looks at it from outside: diagnostics, pictures, reports."""

from __future__ import annotations

from collections.abc import MutableMapping
from copy import copy
from typing import Any, NamedTuple, Protocol, SupportsIndex, TypeVar

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import Rows
from .errors import NumericError


class Judged(Protocol):
    """The part of a `Flow` that is asked."""

    @property
    def dim(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def context_dim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def columns(self) -> tuple[str, ...] | None: ...

    @property
    def levels(self) -> tuple[int | None, ...]: ...

    @property
    def metadata(self) -> MutableMapping[str, str]: ...

    @property
    def context_columns(self) -> tuple[str, ...] | None: ...

    def log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> Array: ...

    def to_noise(self, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> tuple[Array, Array]: ...

    def from_noise(self, z: npt.ArrayLike, context: npt.ArrayLike | None = None) -> tuple[Array, Array]: ...

    def sample(
        self, n: SupportsIndex, context: npt.ArrayLike | None = None, *, seed: SupportsIndex | None = None
    ) -> Array: ...

    def _inputs(self, x: npt.ArrayLike, context: npt.ArrayLike | None) -> tuple[Rows, Rows | None]: ...

    def _context(self, context: npt.ArrayLike | None) -> Rows: ...


F = TypeVar("F", bound=Judged)


def base(flow: Judged) -> str:
    """What the summary of a flow says of its base, such as ``logistic`` or ``uniform: on [0.0, 1.0]``."""
    lines = (line.split(maxsplit=1) for line in str(flow).splitlines())
    return next(words[1] for words in lines if words[:1] == ["base"])


def uniform_ends(flow: Judged) -> tuple[float, float]:
    """Of a uniform base, the same for all columns."""
    low, high = map(float, base(flow).partition("[")[2].rstrip("]").split(","))
    return low, high


def without_columns(flow: F) -> F:
    """A copy that knows nothing of its columns, so that it takes and gives all places in the cells of counts."""
    bare = copy(flow)
    for key in ("diffeo.columns", "diffeo.context_columns"):
        bare.metadata.pop(key, None)
    return bare


class Read(NamedTuple):
    """Rows as a flow has a density over them.

    flow: as `without_columns` gives it. x: [n, dim], float64, finite; counts have a place in their cell. context:
    [n, context_dim] or None. counts: the columns of these. angles: columns of angles, where their turn begins, and how
    long it is.
    """

    flow: Judged
    x: Array
    context: Array | None
    counts: list[int]
    angles: list[tuple[int, float, float]]

    def samples(self, n: int, context: Array | None, seed: int) -> Array:
        """[n, dim], float64, angles within their turn."""
        drawn = self.flow.sample(n, context, seed=seed).reshape(n, self.flow.dim).astype(np.float64)
        for column, low, period in self.angles:
            drawn[:, column] = low + np.mod(drawn[:, column] - low, period)
        return drawn


def read(flow: Judged, x: npt.ArrayLike, context: npt.ArrayLike | None, seed: int, name: str = "x") -> Read:
    """Rows and a row of context for each; refused by their place where they are not finite."""
    data, given = flow._inputs(x, context)
    for rows, what in [(data, name)] + ([] if given is None else [(given, "context")]):
        bad = np.argwhere(~np.isfinite(rows.array))
        if len(bad):
            row, column = bad[0]
            raise NumericError(f"{what} has {rows.array[row, column]} in row {row}, column {column}")
    values = data.array.astype(np.float64)
    columns = flow.columns or ()
    known = zip(columns or [None] * flow.dim, flow.levels, strict=True)
    counts = [j for j, (column, levels) in enumerate(known) if levels is not None or getattr(column, "discrete", False)]
    if counts:
        # A flow that knows of counts has read them as the middles of their cells.
        values[:, counts] = np.floor(values[:, counts]) + np.random.default_rng(seed).random((len(values), len(counts)))
    contexts = None
    if given is not None:
        contexts = np.broadcast_to(given.array, (len(data), given.array.shape[1])).astype(np.float64)
    turns = [(j, getattr(column, "low", None), getattr(column, "period", None)) for j, column in enumerate(columns)]
    angles = [(j, low, period) for j, low, period in turns if low is not None and period is not None]
    return Read(without_columns(flow), values, contexts, counts, angles)
