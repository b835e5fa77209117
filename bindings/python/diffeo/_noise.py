"""The noise of rows as numbers that are uniform if the flow is right, whatever its base."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._abi import Array
from ._extras import optional
from ._judged import Judged, base
from .diagnostics import pit

_CLOSED = ("standard_normal", "logistic", "uniform")  # bases whose distribution function is known without parameters
_BY_COLUMN = (*_CLOSED, "normal", "student_t", "mixture")  # whose columns are independent
_DRAWS = 99  # for each row, where ranks among draws take the place of a distribution function
_SAMPLES = 400_000  # draws in all
_TIMES = 20  # as many draws as rows, where all rows share them


class Noise(NamedTuple):
    """Noise of n rows, standardised.

    u and scores are [n, dim]: probability integral transforms, uniform on [0, 1], and the same through the inverse of
    the standard normal distribution function. `rows` of them are taken, in order, and the means over them have errors
    as if there were `effective` ones: those of the draws that they are ranked among are in it. `independent` says
    whether columns should be independent of each other, `how` how they were made.
    """

    u: Array
    scores: Array
    rows: int
    effective: float
    independent: bool
    how: str


def noise(flow: Judged, x: Array, context: Array | None, seed: int, who: str = "noise") -> Noise:
    """Of rows x [n, dim], all with a density, and their contexts [n, context_dim]."""
    special = optional("scipy.special", who, "report")
    kind = base(flow).partition(":")[0]
    n, independent = len(x), kind in _BY_COLUMN
    if kind in _CLOSED:
        u = pit(flow, x, context)
        z = np.asarray(flow.to_noise(x, context)[0], np.float64) if kind == "standard_normal" else None
        effective, how = float(n), f"by the distribution function of the {kind.replace('_', ' ')} base"
    else:
        rng = np.random.default_rng(seed)
        z = None
        draws, rows = (_DRAWS, min(n, _SAMPLES // _DRAWS)) if context is not None else (min(_TIMES * n, _SAMPLES), n)
        x, n = x[:rows], rows
        if context is not None:
            given = np.repeat(context[:rows], draws, axis=0)
            drawn = _of_samples(flow, given, rows * draws, seed).reshape(rows, draws, -1)
            found = np.asarray(flow.to_noise(x, context[:rows])[0], np.float64)
            below, equal = (drawn < found[:, None]).sum(1), (drawn == found[:, None]).sum(1)
            effective, how = float(n), f"by ranks among {draws} draws of noise for each row"
        else:
            drawn = np.sort(_of_samples(flow, None, draws, seed), axis=0)
            found = np.asarray(flow.to_noise(x)[0], np.float64)
            columns = list(zip(drawn.T, found.T, strict=True))
            below = np.stack([np.searchsorted(a, b, "left") for a, b in columns], axis=1)
            equal = np.stack([np.searchsorted(a, b, "right") for a, b in columns], axis=1) - below
            effective, how = n * draws / (n + draws), f"by ranks among {draws:,} draws of noise"
        # A row is as probable in each of the draws + 1 places between draws; among equal ones the place is drawn.
        u = (below + rng.random(below.shape) * (equal + 1)) / (draws + 1)
    tiny = np.finfo(np.float64).tiny
    scores = z if z is not None else special.ndtri(np.clip(u, tiny, 1 - np.finfo(np.float64).epsneg))
    return Noise(u, scores, n, effective, independent, how)


def _of_samples(flow: Judged, context: Array | None, n: int, seed: int) -> Array:
    x = flow.sample(n, context, seed=seed).reshape(n, -1)
    return np.asarray(flow.to_noise(x, context)[0], np.float64)
