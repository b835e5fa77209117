"""A box that the data of a flow cannot leave: where the flow leaks out of it, and densities and samples that do not."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import integer
from .errors import NumericError, ShapeError

KEY = "diffeo.prior_box"  # of the metadata: {"low": [...], "high": [...]} in JSON, null for no end
_ROUND = 4096


def written(low: npt.ArrayLike, high: npt.ArrayLike, dim: int) -> str:
    """The ends as the metadata have them."""
    ends = {}
    for name, given in (("low", low), ("high", high)):
        values = np.asarray(given, np.float64)
        if values.shape not in ((), (dim,)):
            raise ShapeError(f"{name} has shape {values.shape}, expected ({dim},) or one number")
        ends[name] = np.broadcast_to(values, dim).tolist()
    for i, (a, b) in enumerate(zip(ends["low"], ends["high"], strict=True)):
        if not a < b:
            raise ValueError(f"the box is empty: in column {i} low is {a:g}, high {b:g}")
    return json.dumps({name: [v if math.isfinite(v) else None for v in values] for name, values in ends.items()})


def read(text: str) -> tuple[Array, Array]:
    """The ends, infinite where there is none."""
    ends = json.loads(text)
    low, high = (
        np.array([otherwise if v is None else v for v in ends[name]], np.float64)
        for name, otherwise in (("low", -np.inf), ("high", np.inf))
    )
    return low, high


@dataclass(frozen=True)
class Truncated:
    """A flow within its box, given one context if it has any: renormalised by the share of its samples inside.

    Made by `Flow.truncated`.

    Attributes
    ----------
    flow : Flow
        The flow, whose own `log_prob` is not renormalised.
    low, high : [dim]
        Ends of the box; infinite where there is none.
    context : [context_dim] or None
        What it is given.
    draws, inside : int
        Samples that the share was estimated from, and those in the box.
    """

    flow: Any
    low: Array
    high: Array
    context: Array | None
    draws: int
    inside: int

    @property
    def acceptance(self) -> float:
        """The estimated probability that a sample of the flow lies in the box."""
        return self.inside / self.draws

    @property
    def error(self) -> float:
        """One standard error of `acceptance`; that of the renormalised log-densities is error / acceptance."""
        return math.sqrt(self.acceptance * (1 - self.acceptance) / self.draws)

    def log_prob(self, x: npt.ArrayLike) -> Array:
        """Return the log-density within the box, log p(x) - log(acceptance), and -inf outside.

        Parameters
        ----------
        x : array_like, [n, dim] or [dim]
        """
        rows = np.asarray(x)
        found = np.asarray(self.flow.log_prob(rows, self.context), np.float64) - math.log(self.acceptance)
        return np.asarray(np.where(self._holds(rows), found, -np.inf))

    def sample(self, n: SupportsIndex, *, seed: SupportsIndex) -> Array:
        """Return the first n samples of the flow and the seed that lie in the box, [n, dim].

        Parameters
        ----------
        n : int
        seed : int
        """
        wanted = integer(n, "n", 0)
        kept, count, first = [np.empty((0, self.flow.dim), self.flow.dtype)], 0, 0
        while count < wanted:
            rows = self.flow.sample(_ROUND, self.context, seed=seed, first_row=first)
            kept.append(rows[self._holds(rows)])
            count, first = count + len(kept[-1]), first + _ROUND
        return np.concatenate(kept)[:wanted]

    def _holds(self, x: Array) -> Array:
        return within(x, self.low, self.high)


def within(x: Array, low: Array, high: Array) -> Array:
    """Which rows lie in the box, ends included."""
    return np.asarray(((x >= low) & (x <= high)).all(axis=-1))


def truncated(flow: Any, low: Array, high: Array, context: Array | None, draws: int, seed: int) -> Truncated:
    """Estimate the share of samples inside."""
    inside = 0
    for first in range(0, draws, _ROUND):
        rows = flow.sample(min(_ROUND, draws - first), context, seed=seed, first_row=first)
        inside += int(within(rows, low, high).sum())
    if not inside:
        raise NumericError(f"none of {draws} samples of the flow lies in its box")
    return Truncated(flow, low, high, context, draws, inside)
