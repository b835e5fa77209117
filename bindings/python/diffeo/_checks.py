"""What is wrong with data or a training though nothing fails: warnings, each once a fit."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import Rows, rows
from .errors import TrainingWarning

# The rules; docs/learning.md, "Warnings", has what was measured for them.
_SURVIVORS, _STEPS = 0.9, 10_000.0  # of distinct values; steps of the dtype in a standard deviation
_SHARE, _COUNT = 0.05, 20  # of rows with one value
_RATIO, _TAIL = 5.0, 0.005  # of a standard deviation to that without the tails; rows in each of them

_ROWS, _NUMBERS, _BLOCKS = 20_000, 1_000_000, 20  # of a sample, at most
_MENTIONED = 4  # columns in a warning, at most

_EPOCHS, _PART = 5, 0.2  # without a better one; their part of all
_MEAN, _NOISE, _FALL = 5, 2.0, 0.05  # epochs in a mean; standard deviations of one; nats


class Curves(Protocol):
    """What is needed of a `History`."""

    epoch: list[int]
    train_robust_log_prob: list[float]
    validation_robust_log_prob: list[float]
    steps: int
    skipped_steps: int


@dataclass(frozen=True, slots=True)
class Part:
    """The data or the context of a training: as the caller wrote it, and as rows for the library.

    ``names`` are those of the columns, ``weights`` those of the rows.
    """

    name: str
    written: npt.ArrayLike
    rows: Rows
    names: tuple[str, ...] | None
    weights: Array | None

    def sample(self) -> Array:
        """So many rows as will do, in blocks spread over all: [columns, rows], each column in increasing order.

        As they were written, before they became the dtype of the flow: float32 or float64.
        """
        n, width = self.rows.array.shape
        size = min(n, _ROWS, max(_NUMBERS // width, 1000))
        blocks = _BLOCKS if size < n else 1
        length = size // blocks
        source: Any = self.written
        if hasattr(source, "iloc"):
            source = source.iloc  # of pandas: rows by their number
        elif not isinstance(source, (list, tuple)) and not hasattr(source, "shape"):
            source = self._as_rows(source)
        starts = np.linspace(0, n - length, blocks, dtype=np.int64)
        return np.sort(np.concatenate([self._as_rows(source[i : i + length]) for i in map(int, starts)]).T, axis=1)

    def _as_rows(self, written: npt.ArrayLike) -> Array:
        width = self.rows.array.shape[1]
        if len(self.rows.event) > 1:
            written = np.asarray(written).reshape(-1, width)
        return rows(written, width, np.dtype(np.float64), self.name, "columns", self.names).array

    def tell(self, findings: list[str | None], advice: str) -> None:
        """Warn about the columns that something was found in."""
        found = [
            f"column {self.names[j]!r} {text}" if self.names else f"column {j} {text}"
            for j, text in enumerate(findings)
            if text
        ]
        if len(found) > _MENTIONED:
            found[_MENTIONED:] = [f"and {len(found) - _MENTIONED} columns more"]
        if found:
            warn(f"{self.name}: {'; '.join(found)}. {advice}")


def warn(text: str) -> None:
    """Warn about what the caller of the package does."""
    frame, level = sys._getframe(), 1
    while frame.f_back and re.match(r"diffeo(\.|$)", frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, TrainingWarning, stacklevel=level)


def check(
    flow: str, dtype: np.dtype[Any], x: Part, context: Part | None, noise: bool, levels: Sequence[int | None]
) -> None:
    """Warn about columns that a training will stumble over.

    flow: what it says of itself. noise: whether x gets some in training. levels: of its counts, which get some too.
    """
    layers = dict(re.findall(r"^ +(\d+|base|context)  (.*)$", flow, flags=re.MULTILINE))
    # Without a density, or with noise, values may repeat; those of a context may always.
    discrete = noise or "bernoulli" in layers["base"]
    scaled = layers.get("0", "").startswith(("standardize", "actnorm")) and "by quantiles" not in layers["0"]
    context_scaled = "context" in layers and "by quantiles" not in layers["context"]
    for part, may_repeat, is_scaled in (x, discrete, scaled), (context, True, context_scaled):
        if part is None or len(part.rows) < _COUNT:
            continue  # nothing can be said of so few, nor of one context for all
        sample = part.sample()
        with np.errstate(over="ignore", invalid="ignore"):
            part.tell(
                [_indistinct(column, dtype) for column in sample],
                f'So far from 0 {dtype.name} is coarse: subtract an offset, or make the flow with dtype="float64".',
            )
            if not may_repeat:
                part.tell(
                    [
                        _repeated(column) if known is None else None
                        for column, known in zip(sample, levels, strict=True)
                    ],
                    "Where values repeat, a density grows without bound: say that they are counts or categories "
                    "(diffeo.for_table), let x_noise or add_dequantize blur them, or make them context.",
                )
            if is_scaled:
                part.tell(
                    _outlying(part, sample),
                    "So few rows rule the scale, and squeeze all others: leave them out, clip them, train on a "
                    'logarithm, or make the flow with standardize="robust".',
                )


def _indistinct(column: Array, dtype: np.dtype[Any]) -> str | None:
    """Values that differ as they were written, and do not in the flow's dtype; or that became it before."""
    cast = column.astype(dtype)
    low, high = abs(cast[[0, -1]])
    step = float(np.spacing(max(low, high)))
    gaps = np.diff(cast)
    gaps = gaps[gaps > 0]
    kept, n = len(gaps) + 1, len(column)
    if column.dtype != dtype:
        total = 1 + int(np.count_nonzero(np.diff(column)))
        text = f"keeps {kept:,} of {total:,} distinct values in {dtype.name}, whose steps are {step:g} there"
    elif len(gaps) and np.median(gaps) < 2 * step:
        total = n
        text = f"has {kept:,} distinct values in {n:,} rows of {dtype.name}, whose steps are {step:g} there"
    else:
        return None  # where values repeat, it is not because of the dtype
    lost = kept < _SURVIVORS * total and column.std(dtype=np.float64) < _STEPS * step
    return text if lost else None


def _repeated(column: Array) -> str | None:
    """A value that many rows have."""
    n = len(column)
    run = max(_COUNT, int(np.ceil(_SHARE * n)))
    if n < run or not (column[run - 1 :] == column[: n - run + 1]).any():
        return None
    values, counts = np.unique(column, return_counts=True)
    if len(values) == 1:
        return f"is constant, {values[0]:g} in all of {n:,} rows"
    most = counts.argmax()
    share = 100 * counts[most] / n
    return f"is {values[most]:g} in {share:.0f} % of the rows, and has {len(values):,} distinct values"


def _outlying(part: Part, sample: Array) -> list[str | None]:
    """Rows that rule the standard deviation, by which the flow will divide: of each column."""
    tail = max(1, int(_TAIL * sample.shape[1]))
    # The sample may miss a row that stands alone. Data that is not in memory is not read for it.
    data: object = part.rows.array
    whole, weights = (data, part.weights) if isinstance(data, np.ndarray) else (sample.T, None)
    findings: list[str | None] = [None] * len(sample)
    for j, (column, low, high) in enumerate(zip(sample, *_range(whole), strict=True)):
        centre, middle = column[len(column) // 2], column[tail:-tail].std(dtype=np.float64)
        # No standard deviation is larger than the largest deviation.
        if not max(high - centre, centre - low) > _RATIO * middle > 0:
            continue
        values = whole[:, j]
        squares = np.square(values - np.average(values, weights=weights), dtype=np.float64)
        std = float(np.sqrt(np.average(squares, weights=weights)))
        if std > _RATIO * middle:
            row = int(np.argmax(squares if weights is None else weights * squares))
            findings[j] = (
                f"is {values[row]:g}{f' in row {row}' if whole is data else ''}, and has {std / middle:,.0f} times "
                f"the standard deviation of the middle {100 - 200 * _TAIL:g} % of its rows, {middle:g}"
            )
    return findings


def _range(values: Array) -> tuple[Array, Array]:
    """The least and the greatest value of each column."""
    n, width = values.shape
    # Many rows at once: NumPy is slow along an axis that is short.
    group = min(n, max(1, 4096 // width))
    folded = values[: n - n % group].reshape(-1, group * width)
    low, high = folded.min(axis=0).reshape(group, width), folded.max(axis=0).reshape(group, width)
    rest = values[n - group :]
    return np.minimum(low, rest).min(axis=0), np.maximum(high, rest).max(axis=0)


class Watch:
    """Over a training, from epoch to epoch: warns once of each kind."""

    def __init__(self) -> None:
        self._worsened = False

    def epoch(self, history: Curves) -> None:
        """After every epoch."""
        if not self._worsened and (text := worsening(history)):
            self._worsened = True
            warn(text)

    def end(self, history: Curves) -> None:
        """After the last one, with the number of all."""
        if history.skipped_steps:
            warn(
                f"skipped {history.skipped_steps:,} of {history.steps:,} steps, because their gradient was not finite: "
                "a smaller lr or a clip_norm may help, or data without extreme rows (Report.worst_row is one)"
            )


def worsening(history: Curves) -> str | None:
    """A sentence where validation falls, by more than its noise, while training still improves.

    Both without their worst rows, which would rule the means of few rows.
    """
    train, validation = np.array(history.train_robust_log_prob), np.array(history.validation_robust_log_prob)
    n = len(validation)
    best = int(validation.argmax()) if n else 0
    if n - 1 - best < max(_EPOCHS, _PART * n):
        return None
    # The best epoch was lucky, too: its neighbours say how good it is.
    then, now = slice(max(best - _MEAN // 2, 0), best + _MEAN // 2 + 1), slice(-_MEAN, None)
    with np.errstate(invalid="ignore"):
        fall = validation[then].mean() - validation[now].mean()
        rise = train[now].mean() - train[then].mean()
        # Differences of independent normal numbers have sqrt(2) times their deviation, and 0.674 of that for median.
        noise = np.median(abs(np.diff(validation[-20:]))) / (0.674 * 2**0.5)
    if not (fall > max(_NOISE * noise, _FALL) and rise > 0):
        return None
    return (
        f"the log-likelihood of validation rows has fallen by {fall:.3g} nats since epoch {history.epoch[best]}, "
        f"while that of training rows rose by {rise:.3g}: the flow overfits. It will have the weights of the best "
        "epoch, which more rows, fewer parameters, weight_decay, dropout or x_noise may make better"
    )
