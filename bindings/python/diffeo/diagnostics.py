"""How good a flow is, or samples are: two-sample tests, importance weights, calibration.

- Samples against samples of the truth: `c2st`, `mmd`.
- Log-weights of importance sampling, log p(x) - log q(x): `effective_sample_size`, `pareto_k`.
- A density against data: `pit`.
- A posterior p(theta | context) against pairs of both, without any reference: `posterior_samples`, and from these
  `sbc_ranks`, `coverage`. `uniformity` judges ranks and probability integral transforms.

NumPy is enough for all but `c2st` and `uniformity`, which need scikit-learn and SciPy:
``pip install "diffeo[diagnostics]"``.
"""

from __future__ import annotations

import math
from typing import NamedTuple, SupportsIndex

import numpy as np
import numpy.typing as npt

from ._abi import Array
from ._arrays import integer, real, real_array, seed64
from ._extras import optional
from ._judged import Judged, base, uniform_ends
from .errors import InvalidArgumentError, NumericError, ShapeError, UnsupportedError

__all__ = [
    "TwoSampleTest",
    "c2st",
    "coverage",
    "effective_sample_size",
    "mmd",
    "pareto_k",
    "pit",
    "posterior_samples",
    "sbc_ranks",
    "uniformity",
]

_FLOAT64 = np.dtype(np.float64)
_MEDIAN_ROWS = 4096  # between which the median distance is taken: 8 million pairs
_BLOCK = 4_000_000  # numbers at once where there is one for each pair of rows


# ------------------------------------------------------------------------------------------ samples and samples


class TwoSampleTest(NamedTuple):
    """The result of `c2st`: accuracy, and its standard error over the folds."""

    accuracy: float
    standard_error: float


def c2st(a: npt.ArrayLike, b: npt.ArrayLike, seed: SupportsIndex = 0) -> TwoSampleTest:
    """Classifier two-sample test [1]_: how often a network that has learned to tell `a` from `b` is right on new rows.

    0.5: it cannot tell them apart; 1: it always can. Made as in sbibm [2]_: the columns standardised by those of `a`, a
    network of two hidden layers of 10 dim units, trained by Adam, five-fold cross-validation. With fewer rows of one
    sample than of the other, guessing is already better than 0.5.

    Parameters
    ----------
    a, b : array_like, [n, dim] and [m, dim]
        At least 5 rows together; 1-D arrays are one column. Which is the truth matters little: it sets the scale.
    seed : int
        0 to 2**32 - 1, of the network and of the folds.

    Returns
    -------
    TwoSampleTest
        (accuracy, standard_error): mean over the five folds, and their standard deviation / sqrt(5).

    Raises
    ------
    ImportError
        Without scikit-learn.
    ArithmeticError
        For a NaN or an infinity.

    References
    ----------
    .. [1] Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
    .. [2] Lueckmann, Boelts, Greenberg, Goncalves, Macke, "Benchmarking simulation-based inference", AISTATS 2021.
    """
    first, second = _pair(a, b)
    number = integer(seed, "seed", 0, 2**32 - 1)
    selection = optional("sklearn.model_selection", "c2st", "diagnostics")
    networks = optional("sklearn.neural_network", "c2st", "diagnostics")
    mean, std = first.mean(axis=0), first.std(axis=0, ddof=1) if len(first) > 1 else np.ones(first.shape[1])
    std = np.where(std > 0, std, 1.0)
    width = 10 * first.shape[1]
    classifier = networks.MLPClassifier((width, width), max_iter=10_000, random_state=number)
    folds = selection.KFold(5, shuffle=True, random_state=number)
    labels = np.repeat([0, 1], [len(first), len(second)])
    both = (np.concatenate([first, second]) - mean) / std
    scores = selection.cross_val_score(classifier, both, labels, cv=folds, scoring="accuracy")
    return TwoSampleTest(float(scores.mean()), float(scores.std(ddof=1)) / math.sqrt(len(scores)))


def mmd(a: npt.ArrayLike, b: npt.ArrayLike, bandwidth: float | None = None) -> float:
    """Squared maximum mean discrepancy [1]_ with a Gaussian kernel, ``exp(-|x - y|^2 / (2 bandwidth^2))``.

    The unbiased estimate, which is below 0 about half of the time where both samples have one distribution. Columns are
    taken as they are: bring them to one scale first.

    Parameters
    ----------
    a, b : array_like, [n, dim] and [m, dim]
        Two rows each at least; 1-D arrays are one column. Time grows as (n + m)^2, memory does not.
    bandwidth : float, optional
        Above 0; by default the median distance between rows of `a`, as in sbibm, of 4096 evenly spaced ones if it has
        more.

    Returns
    -------
    float
        About 0 to 2.

    Raises
    ------
    ArithmeticError
        For a NaN or an infinity, and where that median is 0.

    References
    ----------
    .. [1] Gretton, Borgwardt, Rasch, Schoelkopf, Smola, "A kernel two-sample test", JMLR 2012, lemma 6.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(500, 2)), rng.normal(size=(500, 2))
    >>> abs(diffeo.diagnostics.mmd(a, b)) < 0.01 < diffeo.diagnostics.mmd(a, b + 1)
    True
    """
    first, second = _pair(a, b)
    n, m = len(first), len(second)
    if min(n, m) < 2:
        raise ShapeError(f"mmd wants two rows of each sample at least, not {n} and {m}")
    centre = first.mean(axis=0)  # squared distances are differences of squares
    first, second = first - centre, second - centre
    width = _median_distance(first) if bandwidth is None else real(bandwidth, "bandwidth")
    if bandwidth is None and not width > 0:
        raise NumericError("the median distance between the rows of a is 0: give a bandwidth")
    if not 0 < width < math.inf:
        raise InvalidArgumentError(f"bandwidth must be above 0 and finite, not {width}")
    within_a = (_kernel_sum(first, first, width) - n) / (n * (n - 1))
    within_b = (_kernel_sum(second, second, width) - m) / (m * (m - 1))
    return within_a + within_b - 2 * _kernel_sum(first, second, width) / (n * m)


def _kernel_sum(a: Array, b: Array, width: float) -> float:
    """Over all pairs, block by block."""
    block = max(1, _BLOCK // len(b))
    return sum(
        float(np.exp(_squared_distances(a[i : i + block], b) / (-2 * width**2)).sum()) for i in range(0, len(a), block)
    )


def _median_distance(a: Array) -> float:
    some = a[np.linspace(0, len(a) - 1, min(len(a), _MEDIAN_ROWS)).astype(np.int64)]
    pairs = [_squared_distances(some[i : i + 1], some[i + 1 :])[0] for i in range(len(some) - 1)]
    return math.sqrt(float(np.median(np.concatenate(pairs))))


def _squared_distances(a: Array, b: Array) -> Array:
    found: Array = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    np.maximum(found, 0, out=found)
    return found


# -------------------------------------------------------------------------------------------- importance weights


def effective_sample_size(log_weights: npt.ArrayLike) -> float:
    """How many independent draws so many weighted ones are worth, (sum w)^2 / sum w^2 [1]_.

    Parameters
    ----------
    log_weights : array_like, [n]
        Of importance sampling, log p(x) - log q(x) for draws x of q, up to a constant; -inf is a weight of 0.

    Returns
    -------
    float
        1 to n. Large values prove nothing where no draw has reached a part of p: `pareto_k` warns of some of these.

    Raises
    ------
    ArithmeticError
        For NaN or +inf, and if all are -inf.

    References
    ----------
    .. [1] Kong, "A note on importance sampling using standardized weights", University of Chicago, 1992.

    Examples
    --------
    >>> round(diffeo.diagnostics.effective_sample_size(np.log([1.0, 1.0, 2.0])), 6)
    2.666667
    """
    weights = _weights(log_weights)
    return float(weights.sum() ** 2 / (weights**2).sum())


def pareto_k(log_weights: npt.ArrayLike) -> float:
    """k-hat: the shape of a generalised Pareto distribution fitted to the largest weights [1]_.

    The weights have fewer than 1 / k finite moments. Below 0.7 estimates with these weights can be trusted (with
    fewer than 2200 of them below 1 - 1 / log10(n)); above it their errors are larger than they seem; at 1 and above not
    even the mean weight exists.

    Parameters
    ----------
    log_weights : array_like, [n]
        As in `effective_sample_size`; 25 at least. The tail are the largest min(n / 5, 3 sqrt(n)).

    Returns
    -------
    float
        With the weak prior of [1]_, which is worth ten draws of 0.5. -inf if the weights of the tail are all the same.

    Raises
    ------
    ArithmeticError
        For NaN or +inf, and if all are -inf.

    References
    ----------
    .. [1] Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto smoothed importance sampling", JMLR 2024, appendices C and G.
    .. [2] Zhang, Stephens, "A new and efficient estimation method for the generalized Pareto distribution",
       Technometrics 2009.
    """
    weights = np.sort(_weights(log_weights))
    n = len(weights)
    if n < 25:
        raise ShapeError(f"pareto_k wants 25 weights at least, not {n}")
    size = math.ceil(min(n / 5, 3 * math.sqrt(n)))
    excesses = weights[-size:] - weights[-size - 1]
    excesses = excesses[excesses > 0]
    if len(excesses) < 5:
        return -math.inf
    k = _pareto_shape(excesses)
    return (len(excesses) * k + 10 * 0.5) / (len(excesses) + 10)


def _pareto_shape(excesses: Array) -> float:
    """Zhang and Stephens' k of ascending excesses, all above 0: a mean over a grid, weighted by profile likelihood.

    Theirs has the other sign; here a heavy tail has k > 0.
    """
    n = len(excesses)
    points = 30 + int(math.sqrt(n))
    quartile = excesses[int(n / 4 + 0.5) - 1]
    grid = 1 / excesses[-1] + (1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3 * quartile)
    shapes = np.log1p(-grid[:, None] * excesses).mean(axis=1)
    likelihoods = n * (np.log(-grid / shapes) - shapes - 1)
    weights = np.exp(likelihoods - likelihoods.max())
    theta = (grid * weights).sum() / weights.sum()
    return float(np.log1p(-theta * excesses).mean())


def _weights(log_weights: npt.ArrayLike) -> Array:
    """The weights, the largest of them 1."""
    logs = real_array(log_weights, "log_weights", _FLOAT64).astype(np.float64)
    if logs.ndim != 1 or not logs.size:
        raise ShapeError(f"log_weights has shape {logs.shape}, expected (n,) with n of 1 at least")
    if not (logs < math.inf).all():
        raise NumericError("log_weights has a NaN or +inf")
    top = logs.max()
    if top == -math.inf:
        raise NumericError("log_weights are all -inf: every weight is 0")
    weights: Array = np.exp(logs - top)
    return weights


# --------------------------------------------------------------------------------------------------- calibration


def pit(flow: Judged, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> Array:
    """Probability integral transform [1]_: the noise of each row through the cumulative distribution of the base.

    If x has the density of the flow, the columns are uniform on [0, 1], independent of each other and of the context.
    With one autoregressive layer, column i is the distribution function of x_i given the columns before it.

    Parameters
    ----------
    flow : Flow
        Its base standard normal, logistic or uniform.
    x, context
        As in `Flow.log_prob`.

    Returns
    -------
    array of the shape of `x`, float64
        0 to 1; NaN where the noise is NaN.

    Raises
    ------
    NotImplementedError
        For flows of another base.

    References
    ----------
    .. [1] Rosenblatt, "Remarks on a multivariate transformation", Annals of Mathematical Statistics 1952.

    Examples
    --------
    >>> flow = diffeo.maf(dim=2)
    >>> u = diffeo.diagnostics.pit(flow, flow.sample(1000, seed=1))
    >>> u.shape, bool(abs(u.mean() - 0.5) < 0.05)
    ((1000, 2), True)
    """
    kind = base(flow).partition(":")[0]
    if kind not in ("standard_normal", "logistic", "uniform"):
        raise UnsupportedError(
            f"pit takes flows whose base is standard_normal, logistic or uniform; the base of this one is {kind}"
        )
    z = np.asarray(flow.to_noise(x, context)[0], np.float64)
    if kind == "logistic":
        return 0.5 * (1 + np.tanh(z / 2))
    if kind == "uniform":
        low, high = uniform_ends(flow)
        placed: Array = np.clip((z - low) / (high - low), 0, 1)
        return placed
    below = map(math.erfc, (-z.ravel() / math.sqrt(2)).tolist())  # NumPy has no error function
    return 0.5 * np.fromiter(below, np.float64, z.size).reshape(z.shape)


def posterior_samples(
    flow: Judged, context: npt.ArrayLike, draws: SupportsIndex = 99, *, seed: SupportsIndex = 0
) -> Array:
    """Draw from a conditional flow so many rows for each row of the context, as `sbc_ranks` and `coverage` want them.

    Parameters
    ----------
    flow : Flow
        With a context.
    context : array_like, [n, context_dim]
        With ``context_dim == 1`` also [n].
    draws : int
        1 or more.
    seed : int
        As in `Flow.sample`.

    Returns
    -------
    array [n, draws, dim]
        In the dtype of the flow.

    Examples
    --------
    >>> flow = diffeo.maf(dim=3, context_dim=2)
    >>> diffeo.diagnostics.posterior_samples(flow, np.zeros((10, 2)), draws=99).shape
    (10, 99, 3)
    """
    count = integer(draws, "draws", 1)
    given = real_array(context, "context", flow.dtype)
    if given.ndim == 1 and flow.context_dim == 1:
        given = given[:, None]
    if flow.context_dim == 0:
        raise ShapeError("posterior_samples wants a flow with a context: the context_dim of this one is 0")
    if given.ndim != 2:
        raise ShapeError(f"context has shape {given.shape}, expected (n, {flow.context_dim})")
    samples: Array = flow.sample(len(given) * count, np.repeat(given, count, axis=0), seed=seed64(seed))
    return samples.reshape(len(given), count, *samples.shape[1:])


def sbc_ranks(theta: npt.ArrayLike, samples: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Ranks of simulation-based calibration [1]_: how many posterior samples are below the truth, by column.

    Draw theta from the prior, simulate data from each, and sample the posterior given the data. If that is exact, ranks
    are uniform on 0 to draws, which `uniformity` tests. Ranks in the middle: the posterior is too wide; at both ends:
    too narrow; at one: shifted. The prior in place of the posterior passes, too: look at `coverage` and log-densities.

    Parameters
    ----------
    theta : array_like, [n, dim]
    samples : array_like, [n, draws, dim]
        Such as `posterior_samples` gives. Independent of each other: thin Markov chains.

    Returns
    -------
    array [n, dim], int64
        0 to draws.

    References
    ----------
    .. [1] Talts, Betancourt, Simpson, Vehtari, Gelman, "Validating Bayesian inference algorithms with simulation-based
       calibration", arXiv:1804.06788, 2018.
    """
    truth, drawn = _truth_and_samples(theta, samples)
    return np.asarray((drawn < truth[:, None, :]).sum(axis=1), np.int64)


def uniformity(values: npt.ArrayLike, draws: SupportsIndex | None = None) -> Array:
    """Test by column whether ranks of `sbc_ranks`, or numbers such as those of `pit`, are uniform.

    Parameters
    ----------
    values : array_like, [n, dim] or [n]
        Ranks 0 to `draws`; without `draws`, numbers in [0, 1].
    draws : int, optional
        Of `sbc_ranks`. Best is one less than a number with many divisors, such as 99 or 999.

    Returns
    -------
    array [dim], float64
        p-values. Ranks: of a chi-square test with as many bins of equal size, 2 to 20, as divide draws + 1 and leave 5
        rows a bin. Numbers: of a Kolmogorov-Smirnov test.

    Raises
    ------
    ImportError
        Without SciPy.
    ValueError
        For values out of range, and for ranks where there are no such bins.
    """
    stats = optional("scipy.stats", "uniformity", "diagnostics")
    columns = _matrix(values, "values")
    if draws is None:
        if not ((columns >= 0) & (columns <= 1)).all():
            raise InvalidArgumentError("values must be from 0 to 1; for ranks, give draws")
        return np.array([stats.kstest(column, "uniform").pvalue for column in columns.T], np.float64)
    choices = integer(draws, "draws", 1) + 1
    if not ((columns >= 0) & (columns < choices) & (columns == np.floor(columns))).all():
        raise InvalidArgumentError(f"ranks must be whole numbers from 0 to {choices - 1}")
    possible = [bins for bins in range(2, 21) if choices % bins == 0 and len(columns) >= 5 * bins]
    if not possible:
        raise InvalidArgumentError(
            f"{len(columns)} ranks of 0 to {choices - 1} do not fill 2 to 20 bins of equal size with 5 ranks each"
        )
    bins = max(possible)
    placed = columns.astype(np.int64) // (choices // bins)
    counts = [np.bincount(column, minlength=bins) for column in placed.T]
    return np.array([stats.chisquare(count).pvalue for count in counts], np.float64)


def coverage(
    theta: npt.ArrayLike, samples: npt.ArrayLike, *, levels: npt.ArrayLike | None = None, seed: SupportsIndex = 0
) -> tuple[Array, Array]:
    """Coverage of regions around random points (TARP) [1]_, which sees all columns together.

    For each row a reference point is drawn, uniform in the box of all theta; its region of credibility c is the ball
    that holds a fraction c of the posterior samples. How often it holds theta is the coverage, which is c if the
    posterior is exact. Below c near 1 and above it near 0: too narrow; the other way round: too wide.

    Parameters
    ----------
    theta, samples
        As in `sbc_ranks`. Distances are taken with each column divided by the range of its theta.
    levels : array_like, [k], optional
        Credibilities, 0 to 1; by default 0, 0.05, ..., 1.
    seed : int
        Of the reference points.

    Returns
    -------
    levels : array [k], float64
    coverage : array [k], float64
        0 to 1; its standard error is sqrt(c (1 - c) / n).

    References
    ----------
    .. [1] Lemos, Coogan, Hezaveh, Perreault-Levasseur, "Sampling-based accuracy testing of posterior estimators for
       general inference", ICML 2023.
    """
    truth, drawn = _truth_and_samples(theta, samples)
    wanted = np.linspace(0, 1, 21) if levels is None else real_array(levels, "levels", _FLOAT64).astype(np.float64)
    if wanted.ndim != 1 or not ((wanted >= 0) & (wanted <= 1)).all():
        raise InvalidArgumentError("levels must be a list of numbers from 0 to 1")
    low, span = truth.min(axis=0), np.ptp(truth, axis=0)
    span = np.where(span > 0, span, 1.0)
    reference = np.random.default_rng(seed64(seed)).random(truth.shape)
    truth, drawn = (truth - low) / span, (drawn - low) / span
    radius = ((truth - reference) ** 2).sum(axis=1)
    nearer = (((drawn - reference[:, None, :]) ** 2).sum(axis=2) < radius[:, None]).sum(axis=1)
    # Of draws + 1 equally probable ranks, (nearer + 0.5) / (draws + 1) lies in the middle of its own.
    place = np.sort((nearer + 0.5) / (drawn.shape[1] + 1))
    return wanted, np.searchsorted(place, wanted, side="right") / len(place)


# ------------------------------------------------------------------------------------------------------- private


def _matrix(value: npt.ArrayLike, name: str) -> Array:
    """Finite rows [n, dim] in float64; [n] is one column."""
    array = real_array(value, name, _FLOAT64).astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(f"{name} has shape {np.shape(value)}, expected (n, dim), neither 0")
    _check_finite(array, name)
    return array


def _pair(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Array, Array]:
    first, second = _matrix(a, "a"), _matrix(b, "b")
    if first.shape[1] != second.shape[1]:
        raise ShapeError(f"a has {first.shape[1]} columns, b has {second.shape[1]}")
    return first, second


def _truth_and_samples(theta: npt.ArrayLike, samples: npt.ArrayLike) -> tuple[Array, Array]:
    truth, drawn = _matrix(theta, "theta"), real_array(samples, "samples", _FLOAT64)
    n, dim = truth.shape
    if drawn.ndim != 3 or drawn.shape[::2] != (n, dim) or not drawn.shape[1]:
        raise ShapeError(f"samples has shape {drawn.shape}, expected ({n}, draws, {dim})")
    _check_finite(drawn, "samples")
    return truth, drawn


def _check_finite(array: Array, name: str) -> None:
    if not np.isfinite(array).all():
        raise NumericError(f"{name} has a NaN or an infinity")
