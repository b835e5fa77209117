"""The rows of a report: checked, thinned, and with samples of the flow beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import plot
from .._abi import Array
from .._arrays import real_array
from .._judged import Judged, Read, read
from ..errors import InvalidArgumentError, NumericError, ShapeError

FEWEST = 100  # rows of a report


@dataclass(frozen=True)
class Rows:
    """Rows of data, and for each a sample of the flow for the same context; all in float64.

    numbers: of the rows in what was given, [n]. counts: columns of whole numbers, here with a place from n to n + 1.
    said: sentences about what was left out.
    """

    flow: Judged
    source: Read
    x: Array
    context: Array | None
    samples: Array
    log_prob: Array
    sample_log_prob: Array
    numbers: npt.NDArray[np.int64]
    names: list[str]
    context_names: list[str]
    counts: list[int]
    row_names: list[str] | None
    given: int
    said: list[str]
    seed: int

    def __len__(self) -> int:
        return len(self.x)

    @property
    def dim(self) -> int:
        """Columns."""
        return int(self.x.shape[1])

    def pairs(self) -> tuple[Array, Array, Array | None]:
        """Rows, samples and contexts where both have a density."""
        kept = np.isfinite(self.log_prob) & np.isfinite(self.samples).all(axis=1)
        return self.x[kept], self.samples[kept], None if self.context is None else self.context[kept]

    def inside(self) -> npt.NDArray[np.bool_]:
        """Which rows have a density."""
        return np.isfinite(self.log_prob)

    def seed_of(self, purpose: str) -> int:
        """A seed for one purpose, unlike those that samples were likely drawn with."""
        return seed_of(self.seed, purpose)


def seed_of(seed: int, purpose: str) -> int:
    """Seeds of different purposes have nothing in common, nor with the number itself."""
    state = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1, np.uint64)
    return int(state[0])


def rows(
    flow: Judged,
    x: npt.ArrayLike,
    context: npt.ArrayLike | None,
    weights: npt.ArrayLike | None,
    names: Sequence[str] | None,
    row_names: Sequence[object] | None,
    most: int,
    seed: int,
) -> Rows:
    """Of what a user gives."""
    words = plot.column_names(flow, x, names)
    called = list(row_names) if row_names is not None else _index(x)
    found = read(flow, x, context, seed_of(seed, "counts"))
    bare, data, contexts, counts, _ = found
    given, said = len(data), []
    if called is not None and len(called) != given:
        raise ShapeError(f"row_names has {len(called)} names, x has {given} rows")
    kept = np.arange(given)
    if weights is not None:
        kept = _thinned(weights, given, seed)
        said.append(
            f"Rows have weights: {len(kept):,} of {given:,} were kept, each with a probability of its weight over the "
            "largest; these have the weighted distribution."
        )
    if len(kept) > most:
        chosen = np.random.default_rng(seed_of(seed, "rows")).choice(len(kept), most, replace=False)
        said.append(f"{most:,} of {len(kept):,} rows are looked at, drawn by the seed.")
        kept = kept[np.sort(chosen)]
    if len(kept) < FEWEST:
        left = f", {len(kept)} of them after thinning by weights" if weights is not None else ""
        raise ShapeError(f"x has {given} rows{left}; a report wants {FEWEST} at least")
    data, contexts = data[kept], None if contexts is None else contexts[kept]
    if counts:
        said.append("A whole number n of counts and categories stands for a place from n to n + 1, drawn by the seed.")
    samples = found.samples(len(data), contexts, seed_of(seed, "samples"))
    log_prob = np.asarray(bare.log_prob(data, contexts), np.float64)
    if np.isfinite(log_prob).sum() < FEWEST:
        raise NumericError(
            f"{np.isfinite(log_prob).sum()} of {len(data)} rows of x have a density above 0 in this flow; a report "
            f"wants {FEWEST} at least"
        )
    return Rows(
        flow=bare,
        source=found,
        x=data,
        context=contexts,
        samples=samples,
        log_prob=log_prob,
        sample_log_prob=np.asarray(bare.log_prob(samples, contexts), np.float64),
        numbers=kept.astype(np.int64),
        names=words,
        context_names=_context_names(flow),
        counts=counts,
        row_names=None if called is None else [str(called[i]) for i in kept],
        given=given,
        said=said,
        seed=seed,
    )


def _context_names(flow: Judged) -> list[str]:
    """By number where a column of the context has become several."""
    known = [str(column) for column in flow.context_columns or ()]
    return known if len(known) == flow.context_dim else [f"context {i}" for i in range(flow.context_dim)]


def _index(x: Any) -> list[object] | None:
    """The names of the rows of a data frame, where they are more than their numbers."""
    index = getattr(x, "index", None)
    if index is None or callable(index) or type(index).__name__ == "RangeIndex":
        return None
    return list(index)


def _thinned(weights: npt.ArrayLike, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Numbers of the rows that are kept, so that these are draws of the weighted distribution without weights."""
    w = real_array(weights, "weights", np.dtype(np.float64)).astype(np.float64)
    if w.shape != (count,):
        raise ShapeError(f"weights has shape {w.shape}, expected ({count},)")
    bad = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
    if len(bad):
        raise InvalidArgumentError(f"weights must be 0 or more and finite, not {w[bad[0]]} in row {bad[0]}")
    if not w.any():
        raise InvalidArgumentError(f"all {count} weights are 0")
    return np.flatnonzero(np.random.default_rng(seed_of(seed, "weights")).random(count) * w.max() < w)
