"""Importance sampling with a flow as the proposal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import integer, real_array
from .diagnostics import effective_sample_size, pareto_k
from .errors import NumericError, ShapeError
from .flow import Flow

_FLOAT64 = np.dtype(np.float64)
_ROWS = 65536  # at once


@dataclass(frozen=True, slots=True)
class Importance:
    """Samples of a flow q with weights for another density p; see `importance`.

    Attributes
    ----------
    x : array [n, dim]
        Samples number 0 to n - 1 of the seed.
    log_weights : array [n], float64
        log p(x) - log q(x).
    weights : array [n], float64
        They sum to 1: ``weights @ f(x)`` is an estimate of the mean of f under p.
    log_evidence : float
        Of the integral of p: log of the mean weight.
    log_evidence_error : float
        Its standard error, by the delta method.
    effective_samples : float
        1 to n.
    pareto_k : float
        Below 0.7 all of these can be trusted, but for modes that no sample has reached; NaN for fewer than 25 samples.
    """

    x: Array
    log_weights: Array
    weights: Array
    log_evidence: float
    log_evidence_error: float
    effective_samples: float
    pareto_k: float

    def mean(self, values: npt.ArrayLike) -> tuple[Any, Any]:
        """Estimate the mean of a function under p.

        Parameters
        ----------
        values : array_like, [n] or [n, m]
            Of the function, for the rows of x.

        Returns
        -------
        mean, error : float, or arrays [m]
            With its standard error [1]_.

        References
        ----------
        .. [1] Owen, "Monte Carlo theory, methods and examples", 2013, section 9.2.
        """
        f = real_array(values, "values", _FLOAT64).astype(np.float64)
        if f.shape[:1] != self.weights.shape:
            raise ShapeError(f"values has shape {f.shape}, expected {len(self.weights)} rows")
        mean = self.weights @ f
        error = np.sqrt((self.weights**2) @ (f - mean) ** 2)
        return mean, error


def importance(
    flow: Flow,
    log_density: Callable[..., Any],
    n: SupportsIndex = 10_000,
    context: npt.ArrayLike | None = None,
    *,
    seed: SupportsIndex = 0,
) -> Importance:
    """Importance sampling [1]_: samples of a flow, weighted for a density that can be evaluated up to a constant.

    Parameters
    ----------
    flow : Flow
        Trained to `log_density`, or to anything that is no narrower.
    log_density : callable
        ``log_density(x)`` of an array [n, dim], of images [n, channels, height, width], some thousand rows at a time:
        log p of each row, [n], -inf where p is 0. A target of `Flow.fit_target`, which returns a gradient too, will do.
    n : int
        Number of samples.
    context : array_like, [context_dim], optional
        One row, which all samples are drawn given. Required where the flow has a context.
    seed : int
        Of the samples.

    Returns
    -------
    Importance

    Raises
    ------
    ArithmeticError
        For a log-density that is NaN or +inf, and where all are -inf.

    References
    ----------
    .. [1] Robert, Casella, "Monte Carlo statistical methods", 2004, chapter 3.

    Examples
    --------
    >>> flow = diffeo.Spec(1, dtype="float64").add_standardize([0.0], [1.5]).build()   # N(0, 1.5^2)
    >>> found = diffeo.importance(flow, lambda x: -0.5 * (x[:, 0] - 0.5) ** 2)
    >>> bool(abs(found.log_evidence - 0.5 * np.log(2 * np.pi)) < 4 * found.log_evidence_error)
    True
    >>> mean, error = found.mean(found.x[:, 0])
    >>> bool(abs(mean - 0.5) < 4 * error)
    True
    """
    count = integer(n, "n", 1)
    if context is not None and np.ndim(context) > 1:
        raise ShapeError(f"context has shape {np.shape(context)}, expected one row")
    x, log_q = flow.sample_and_log_prob(count, context, seed=seed)
    return weighted(x, evaluated(log_density, x), log_q)


def evaluated(log_density: Callable[..., Any], x: Array) -> npt.NDArray[np.float64]:
    """Log p of each row of x, [n], asked for some thousand rows at a time."""
    log_p = np.empty(len(x))
    for first in range(0, len(x), _ROWS):
        rows = slice(first, min(first + _ROWS, len(x)))
        found = log_density(x[rows])
        values = np.asarray(found[0] if isinstance(found, tuple) else found, dtype=float)
        if values.shape != log_p[rows].shape:
            raise ShapeError(f"log_density gave shape {values.shape}, expected {log_p[rows].shape}")
        log_p[rows] = values
    return log_p


def weighted(x: Any, log_p: Array, log_q: Array) -> Importance:
    """Weights of samples x, and what is estimated with them, from log p and log q of each, [n]."""
    if not (log_p < math.inf).all():
        raise NumericError(f"log_density is {log_p[~(log_p < math.inf)][0]} in row {int(np.argmin(log_p < math.inf))}")
    count = len(log_p)
    log_weights = log_p - log_q
    effective = effective_sample_size(log_weights)
    top = log_weights.max()
    weights = np.exp(log_weights - top)
    total = weights.sum()
    return Importance(
        x=x,
        log_weights=log_weights,
        weights=weights / total,
        log_evidence=float(top + math.log(total / count)),
        log_evidence_error=float(math.sqrt(max(0.0, 1 / effective - 1 / count))),
        effective_samples=effective,
        pareto_k=pareto_k(log_weights) if count >= 25 else math.nan,
    )
